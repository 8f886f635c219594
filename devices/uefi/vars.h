/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The variables of a UEFI firmware, in memory: who may see, change and sign them. Names and data
 * come from the guest and are judged here; nothing here waits or writes files.
 *
 *   vmb_dev_uefi_vars_restart(&v)       a machine starts
 *   vmb_dev_uefi_vars_set(), _get()...  one call for each command of the firmware
 *   vmb_dev_uefi_vars_runtime(&v)       the guest's system took over
 *
 * Results are EFI status codes without their top bit. Sources: UEFI specification, "Variable
 * Services" and "Secure Boot and Driver Signing"; docs/protocol/firmware.md, "BiosDevice".
 *
 * Context: one caller at a time.
 */
#ifndef DEVICES_UEFI_VARS_H
#define DEVICES_UEFI_VARS_H

#include <stddef.h>

#include "base/platform.h"

#define VMB_DEV_UEFI_VARS_MAX	 512u
#define VMB_DEV_UEFI_NAME_MAX	 2048u /* bytes, with the two of its end */
#define VMB_DEV_UEFI_DATA_MAX	 32768u /* bytes */
#define VMB_DEV_UEFI_STORAGE_MAX (256u << 10) /* bytes of all names and data */
#define VMB_DEV_UEFI_TIME_LEN	 16u
#define VMB_DEV_UEFI_SIGNER_LEN	 32u

enum vmb_dev_uefi_status {
	VMB_DEV_UEFI_SUCCESS = 0,
	VMB_DEV_UEFI_INVALID = 2,
	VMB_DEV_UEFI_UNSUPPORTED = 3,
	VMB_DEV_UEFI_TOO_SMALL = 5,
	VMB_DEV_UEFI_DEVICE_ERROR = 7,
	VMB_DEV_UEFI_PROTECTED = 8,
	VMB_DEV_UEFI_NO_ROOM = 9,
	VMB_DEV_UEFI_NOT_FOUND = 14,
	VMB_DEV_UEFI_VIOLATION = 26,
};

#define VMB_DEV_UEFI_NON_VOLATILE (1u << 0)
#define VMB_DEV_UEFI_BOOT	  (1u << 1)
#define VMB_DEV_UEFI_RUNTIME	  (1u << 2)
#define VMB_DEV_UEFI_HARDWARE	  (1u << 3)
#define VMB_DEV_UEFI_TIME_BASED	  (1u << 5)
#define VMB_DEV_UEFI_APPEND	  (1u << 6)

struct vmb_dev_uefi_guid {
	uint8_t bytes[16];
};

extern const struct vmb_dev_uefi_guid vmb_dev_uefi_global; /* BootOrder, PK, KEK and others */
extern const struct vmb_dev_uefi_guid vmb_dev_uefi_security; /* db, dbx and dbt */

struct vmb_dev_uefi_var {
	struct vmb_dev_uefi_guid guid;
	uint32_t attributes;
	uint32_t name_len, data_len; /* bytes */
	uint8_t *name; /* UTF-16, ends in two zero bytes; the data follows it in one block */
	uint8_t *data;
	uint8_t time[VMB_DEV_UEFI_TIME_LEN]; /* of the last signed write */
	uint8_t signer[VMB_DEV_UEFI_SIGNER_LEN]; /* SHA-256 of the certificate; private variables */
};

struct vmb_dev_uefi_vars {
	uint32_t count;
	struct vmb_dev_uefi_var vars[VMB_DEV_UEFI_VARS_MAX];
	bool runtime; /* the guest's system runs: it sees less */
	bool secure_boot; /* since the start of the machine */
	bool changed; /* set when a variable that stays changed; the owner of v clears it */
};

/* A name as the guest gives it: bytes in UTF-16. */
struct vmb_dev_uefi_key {
	struct vmb_dev_uefi_guid guid;
	const uint8_t *name;
	uint32_t name_len;
};

/* Forgets what does not outlive a machine, and looks whether Secure Boot is in force. */
void vmb_dev_uefi_vars_restart(struct vmb_dev_uefi_vars *v);
void vmb_dev_uefi_vars_runtime(struct vmb_dev_uefi_vars *v);
/* Frees all variables. */
void vmb_dev_uefi_vars_clear(struct vmb_dev_uefi_vars *v);

/* len: room of data; becomes the length of the variable, also when it is too small. */
enum vmb_dev_uefi_status vmb_dev_uefi_vars_get(const struct vmb_dev_uefi_vars *v,
					       const struct vmb_dev_uefi_key *key,
					       uint32_t *attributes, uint8_t *data, uint32_t *len);

/*
 * What the guest asks for: a signed variable brings its signature in front of the data. The name
 * and data are copied.
 */
enum vmb_dev_uefi_status vmb_dev_uefi_vars_set(struct vmb_dev_uefi_vars *v,
					       const struct vmb_dev_uefi_key *key,
					       uint32_t attributes, const uint8_t *data,
					       uint32_t len);

/*
 * The variable after key; an empty name: the first. The result, which belongs to v, is NULL with
 * VMB_DEV_UEFI_NOT_FOUND at the end, or with VMB_DEV_UEFI_INVALID for a key that is not there.
 */
enum vmb_dev_uefi_status vmb_dev_uefi_vars_next(const struct vmb_dev_uefi_vars *v,
						const struct vmb_dev_uefi_key *key,
						const struct vmb_dev_uefi_var **next);

/* Bytes that names and data take. */
uint64_t vmb_dev_uefi_vars_used(const struct vmb_dev_uefi_vars *v);

/* For the file and for ourselves: no rule applies but those of form. */

/* Whether the name ends in its zero, and has characters that text can have. */
bool vmb_dev_uefi_vars_name_is_valid(const uint8_t *name, uint32_t len);
/* Replaces or adds; var's bytes are copied. Returns VMB_DEV_UEFI_NO_ROOM or _SUCCESS. */
enum vmb_dev_uefi_status vmb_dev_uefi_vars_put(struct vmb_dev_uefi_vars *v,
					       const struct vmb_dev_uefi_var *var);
/*
 * A global variable that is gone at the next start of the machine, under a name in ASCII, up to 31
 * characters. Where there is no room, none is set.
 */
void vmb_dev_uefi_vars_put_volatile(struct vmb_dev_uefi_vars *v, const char *name, const void *data,
				    uint32_t len);
/* Returns NULL if there is none. */
const struct vmb_dev_uefi_var *vmb_dev_uefi_vars_find(const struct vmb_dev_uefi_vars *v,
						      const struct vmb_dev_uefi_key *key);
/* The same for a name in ASCII, up to 31 characters. */
const struct vmb_dev_uefi_var *vmb_dev_uefi_vars_named(const struct vmb_dev_uefi_vars *v,
						       const struct vmb_dev_uefi_guid *guid,
						       const char *name);

#endif
