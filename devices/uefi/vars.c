// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Keeps the variables of a UEFI firmware. What a write must be signed with is in uefi_auth.c; this
 * file has everything else: names, attributes, limits, and what a running system may not see.
 */
#include <stdlib.h>
#include <string.h>

#include "devices/uefi/auth.h"
#include "devices/uefi/vars.h"

#define KNOWN_ATTRIBUTES                                                        \
	(VMB_DEV_UEFI_NON_VOLATILE | VMB_DEV_UEFI_BOOT | VMB_DEV_UEFI_RUNTIME | \
	 VMB_DEV_UEFI_HARDWARE | VMB_DEV_UEFI_TIME_BASED | VMB_DEV_UEFI_APPEND)
#define ASCII_NAME_MAX 32u

const struct vmb_dev_uefi_guid vmb_dev_uefi_global = { { 0x61, 0xDF, 0xE4, 0x8B, 0xCA, 0x93, 0xD2,
							 0x11, 0xAA, 0x0D, 0x00, 0xE0, 0x98, 0x03,
							 0x2B, 0x8C } };
const struct vmb_dev_uefi_guid vmb_dev_uefi_security = { { 0xCB, 0xB2, 0x19, 0xD7, 0x3A, 0x3D, 0x96,
							   0x45, 0xA3, 0xBC, 0xDA, 0xD0, 0x0E, 0x67,
							   0x65, 0x6F } };

bool vmb_dev_uefi_vars_name_is_valid(const uint8_t *name, uint32_t len)
{
	uint16_t unit = 0;

	if (len < 4 || len > VMB_DEV_UEFI_NAME_MAX || len % 2)
		return false;
	for (uint32_t i = 0; i < len; i += 2) {
		unit = name[i] | name[i + 1] << 8;
		if ((unit == 0) != (i + 2 == len) || (unit >= 0xD800 && unit <= 0xDFFF))
			return false;
	}
	return true;
}

static bool matches(const struct vmb_dev_uefi_var *var, const struct vmb_dev_uefi_key *key)
{
	return var->name_len == key->name_len &&
	       memcmp(&var->guid, &key->guid, sizeof(key->guid)) == 0 &&
	       memcmp(var->name, key->name, key->name_len) == 0;
}

static struct vmb_dev_uefi_var *find(const struct vmb_dev_uefi_vars *v,
				     const struct vmb_dev_uefi_key *key)
{
	for (uint32_t i = 0; i < v->count; i++)
		if (matches(&v->vars[i], key))
			return (struct vmb_dev_uefi_var *)&v->vars[i];
	return NULL;
}

const struct vmb_dev_uefi_var *vmb_dev_uefi_vars_find(const struct vmb_dev_uefi_vars *v,
						      const struct vmb_dev_uefi_key *key)
{
	return find(v, key);
}

/* out has room for ASCII_NAME_MAX characters. Returns the bytes of the name. */
static uint32_t widen(const char *name, uint8_t *out)
{
	uint32_t len = 0;

	memset(out, 0, 2 * ASCII_NAME_MAX);
	for (; len < ASCII_NAME_MAX - 1 && name[len]; len++)
		out[2 * len] = name[len];
	return 2 * (len + 1);
}

const struct vmb_dev_uefi_var *vmb_dev_uefi_vars_named(const struct vmb_dev_uefi_vars *v,
						       const struct vmb_dev_uefi_guid *guid,
						       const char *name)
{
	uint8_t wide[2 * ASCII_NAME_MAX];
	const struct vmb_dev_uefi_key key = { .guid = *guid,
					      .name = wide,
					      .name_len = widen(name, wide) };

	return find(v, &key);
}

uint64_t vmb_dev_uefi_vars_used(const struct vmb_dev_uefi_vars *v)
{
	uint64_t used = 0;

	for (uint32_t i = 0; i < v->count; i++)
		used += v->vars[i].name_len + v->vars[i].data_len;
	return used;
}

static void note_change(struct vmb_dev_uefi_vars *v, uint32_t attributes)
{
	v->changed |= attributes & VMB_DEV_UEFI_NON_VOLATILE;
}

static void drop(struct vmb_dev_uefi_vars *v, struct vmb_dev_uefi_var *var)
{
	free(var->name);
	*var = v->vars[--v->count];
}

enum vmb_dev_uefi_status vmb_dev_uefi_vars_put(struct vmb_dev_uefi_vars *v,
					       const struct vmb_dev_uefi_var *var)
{
	const struct vmb_dev_uefi_key key = { var->guid, var->name, var->name_len };
	struct vmb_dev_uefi_var *old = find(v, &key), *slot = old ? old : &v->vars[v->count];
	uint64_t freed = old ? old->name_len + old->data_len : 0;
	uint8_t *block;

	if ((!old && v->count == VMB_DEV_UEFI_VARS_MAX) || var->data_len > VMB_DEV_UEFI_DATA_MAX ||
	    vmb_dev_uefi_vars_used(v) - freed + var->name_len + var->data_len >
		    VMB_DEV_UEFI_STORAGE_MAX)
		return VMB_DEV_UEFI_NO_ROOM;
	block = malloc(var->name_len + var->data_len);
	if (!block)
		return VMB_DEV_UEFI_NO_ROOM;
	memcpy(block, var->name, var->name_len);
	memcpy(block + var->name_len, var->data, var->data_len);
	if (old)
		free(old->name);
	else
		v->count++;
	*slot = *var;
	slot->name = block;
	slot->data = block + var->name_len;
	note_change(v, var->attributes);
	return VMB_DEV_UEFI_SUCCESS;
}

void vmb_dev_uefi_vars_clear(struct vmb_dev_uefi_vars *v)
{
	while (v->count)
		drop(v, &v->vars[0]);
}

void vmb_dev_uefi_vars_put_volatile(struct vmb_dev_uefi_vars *v, const char *name, const void *data,
				    uint32_t len)
{
	uint8_t wide[2 * ASCII_NAME_MAX];
	const struct vmb_dev_uefi_var var = {
		.guid = vmb_dev_uefi_global,
		.attributes = VMB_DEV_UEFI_BOOT | VMB_DEV_UEFI_RUNTIME,
		.name = wide,
		.name_len = widen(name, wide),
		.data = (uint8_t *)data,
		.data_len = len,
	};

	vmb_dev_uefi_vars_put(v, &var);
}

/* What the firmware's own Secure Boot code asks for, and a guest may read but not write. */
static void put_state(struct vmb_dev_uefi_vars *v, const char *name, uint8_t value)
{
	vmb_dev_uefi_vars_put_volatile(v, name, &value, 1);
}

static void put_states(struct vmb_dev_uefi_vars *v)
{
	bool setup = !vmb_dev_uefi_vars_named(v, &vmb_dev_uefi_global, "PK");

	put_state(v, "SetupMode", setup);
	put_state(v, "SecureBoot", v->secure_boot);
	put_state(v, "VendorKeys", 0);
}

/* Secure Boot does not begin in the middle of a boot: a new platform key counts from a reset on. */
void vmb_dev_uefi_vars_restart(struct vmb_dev_uefi_vars *v)
{
	for (uint32_t i = 0; i < v->count;) {
		if (v->vars[i].attributes & VMB_DEV_UEFI_NON_VOLATILE)
			i++;
		else
			drop(v, &v->vars[i]);
	}
	v->runtime = false;
	v->secure_boot = vmb_dev_uefi_vars_named(v, &vmb_dev_uefi_global, "PK");
	put_states(v);
}

void vmb_dev_uefi_vars_runtime(struct vmb_dev_uefi_vars *v)
{
	v->runtime = true;
}

static bool is_visible(const struct vmb_dev_uefi_vars *v, const struct vmb_dev_uefi_var *var)
{
	return !v->runtime || (var->attributes & VMB_DEV_UEFI_RUNTIME);
}

enum vmb_dev_uefi_status vmb_dev_uefi_vars_get(const struct vmb_dev_uefi_vars *v,
					       const struct vmb_dev_uefi_key *key,
					       uint32_t *attributes, uint8_t *data, uint32_t *len)
{
	const struct vmb_dev_uefi_var *var = find(v, key);
	uint32_t room = *len;

	if (!var || !is_visible(v, var))
		return VMB_DEV_UEFI_NOT_FOUND;
	*attributes = var->attributes;
	*len = var->data_len;
	if (room < var->data_len)
		return VMB_DEV_UEFI_TOO_SMALL;
	memcpy(data, var->data, var->data_len);
	return VMB_DEV_UEFI_SUCCESS;
}

enum vmb_dev_uefi_status vmb_dev_uefi_vars_next(const struct vmb_dev_uefi_vars *v,
						const struct vmb_dev_uefi_key *key,
						const struct vmb_dev_uefi_var **next)
{
	const struct vmb_dev_uefi_var *at = find(v, key);
	bool first = key->name_len < 2 || (!key->name[0] && !key->name[1]);

	*next = NULL;
	if (!at && !first)
		return VMB_DEV_UEFI_INVALID;
	for (uint32_t i = at ? at - v->vars + 1 : 0; i < v->count && !*next; i++)
		if (is_visible(v, &v->vars[i]))
			*next = &v->vars[i];
	return *next ? VMB_DEV_UEFI_SUCCESS : VMB_DEV_UEFI_NOT_FOUND;
}

static bool is_state(const struct vmb_dev_uefi_key *key)
{
	static const char *const names[] = { "SetupMode", "SecureBoot", "VendorKeys" };
	uint8_t wide[2 * ASCII_NAME_MAX];

	if (memcmp(&key->guid, &vmb_dev_uefi_global, sizeof(key->guid)) != 0)
		return false;
	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(names); i++)
		if (widen(names[i], wide) == key->name_len &&
		    memcmp(wide, key->name, key->name_len) == 0)
			return true;
	return false;
}

/* What is wrong with a request, whatever the variable has in it. */
static enum vmb_dev_uefi_status check_request(const struct vmb_dev_uefi_vars *v,
					      const struct vmb_dev_uefi_key *key,
					      uint32_t attributes)
{
	bool runtime = attributes & VMB_DEV_UEFI_RUNTIME;

	if (!vmb_dev_uefi_vars_name_is_valid(key->name, key->name_len) ||
	    (attributes & ~KNOWN_ATTRIBUTES) || (runtime && !(attributes & VMB_DEV_UEFI_BOOT)))
		return VMB_DEV_UEFI_INVALID;
	if (attributes & VMB_DEV_UEFI_HARDWARE)
		return VMB_DEV_UEFI_UNSUPPORTED;
	if (v->runtime && (attributes & VMB_DEV_UEFI_BOOT) && !runtime)
		return VMB_DEV_UEFI_INVALID;
	return is_state(key) ? VMB_DEV_UEFI_PROTECTED : VMB_DEV_UEFI_SUCCESS;
}

static enum vmb_dev_uefi_status erase(struct vmb_dev_uefi_vars *v, struct vmb_dev_uefi_var *var)
{
	if (!var)
		return VMB_DEV_UEFI_NOT_FOUND;
	note_change(v, var->attributes);
	drop(v, var);
	return VMB_DEV_UEFI_SUCCESS;
}

/* The old data and the new after it. */
static enum vmb_dev_uefi_status append(struct vmb_dev_uefi_vars *v, struct vmb_dev_uefi_var *var,
				       const struct vmb_dev_uefi_var *old)
{
	static _Thread_local uint8_t joined[2 * VMB_DEV_UEFI_DATA_MAX];

	if (old->data_len + var->data_len > VMB_DEV_UEFI_DATA_MAX)
		return VMB_DEV_UEFI_NO_ROOM;
	memcpy(joined, old->data, old->data_len);
	memcpy(joined + old->data_len, var->data, var->data_len);
	var->data = joined;
	var->data_len += old->data_len;
	return vmb_dev_uefi_vars_put(v, var);
}

/* Writes what a request says, once it is known to be allowed. */
static enum vmb_dev_uefi_status apply(struct vmb_dev_uefi_vars *v, struct vmb_dev_uefi_var *var,
				      struct vmb_dev_uefi_var *old)
{
	bool appends = var->attributes & VMB_DEV_UEFI_APPEND;

	var->attributes &= ~VMB_DEV_UEFI_APPEND;
	if (!(var->attributes & (VMB_DEV_UEFI_BOOT | VMB_DEV_UEFI_RUNTIME)))
		return erase(v, old);
	if (!var->data_len)
		return appends ? VMB_DEV_UEFI_SUCCESS : erase(v, old);
	if (appends && old)
		return append(v, var, old);
	return vmb_dev_uefi_vars_put(v, var);
}

/* A variable keeps its attributes, but for a deletion, which may leave them out. */
static enum vmb_dev_uefi_status check_old(const struct vmb_dev_uefi_vars *v,
					  const struct vmb_dev_uefi_var *old, uint32_t attributes,
					  uint32_t len)
{
	uint32_t asked = attributes & ~VMB_DEV_UEFI_APPEND;

	if (v->runtime && !is_visible(v, old))
		return VMB_DEV_UEFI_PROTECTED;
	if ((old->attributes & VMB_DEV_UEFI_TIME_BASED) && !(asked & VMB_DEV_UEFI_TIME_BASED))
		return VMB_DEV_UEFI_PROTECTED;
	if (asked != old->attributes && asked && len)
		return VMB_DEV_UEFI_INVALID;
	return VMB_DEV_UEFI_SUCCESS;
}

enum vmb_dev_uefi_status vmb_dev_uefi_vars_set(struct vmb_dev_uefi_vars *v,
					       const struct vmb_dev_uefi_key *key,
					       uint32_t attributes, const uint8_t *data,
					       uint32_t len)
{
	enum vmb_dev_uefi_status status = check_request(v, key, attributes);
	struct vmb_dev_uefi_var *old = find(v, key);
	struct vmb_dev_uefi_var var = { .guid = key->guid,
					.attributes = attributes,
					.name = (uint8_t *)key->name,
					.name_len = key->name_len,
					.data = (uint8_t *)data,
					.data_len = len };

	if (!status && old)
		status = check_old(v, old, attributes, len);
	if (!status)
		status = vmb_dev_uefi_auth_check(v, &var, old);
	if (!status && var.data_len > VMB_DEV_UEFI_DATA_MAX)
		status = VMB_DEV_UEFI_INVALID;
	if (!status)
		status = apply(v, &var, old);
	put_states(v);
	return status;
}
