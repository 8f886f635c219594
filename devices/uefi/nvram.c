// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reads and writes the file of UEFI variables. It is an input like any other: it may be bad. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "devices/report.h"
#include "devices/uefi/nvram.h"
#include "devices/uefi/uuid.h"

#define FORMAT	     "openvmbus nvram"
#define VERSION	     1
#define WHY_LEN	     160u
#define PATH_LEN_MAX 4096u
#define LOCK_SUFFIX  ".lock"
#define LOCK_TRIES   10

static const char digits[] = "0123456789abcdef";

static void to_hex(const uint8_t *bytes, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	*out = 0;
}

static int digit(char c)
{
	const char *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Returns whether text is exactly bytes of at most room; their number is *len. */
static bool from_hex(const char *text, uint8_t *out, size_t room, size_t *len)
{
	*len = strlen(text) / 2;
	if (strlen(text) % 2 || *len > room)
		return false;
	for (size_t i = 0; i < *len; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = high << 4 | low;
	}
	return true;
}

/* Names have no surrogates (vmb_dev_uefi_vars_name_is_valid), so a unit is a character. */
static size_t name_to_text(const uint8_t *name, uint32_t len, char *out)
{
	char *at = out;

	for (uint32_t i = 0; i + 2 < len; i += 2) {
		uint16_t unit = name[i] | name[i + 1] << 8;

		if (unit < 0x80) {
			*at++ = unit;
		} else if (unit < 0x800) {
			*at++ = 0xC0 | unit >> 6;
			*at++ = 0x80 | (unit & 0x3F);
		} else {
			*at++ = 0xE0 | unit >> 12;
			*at++ = 0x80 | (unit >> 6 & 0x3F);
			*at++ = 0x80 | (unit & 0x3F);
		}
	}
	return at - out;
}

/* text is valid UTF-8: jansson has checked that. Returns the bytes of the name, 0: too long. */
static uint32_t name_from_text(const char *text, size_t text_len, uint8_t *name)
{
	uint32_t len = 0, unit, more;

	for (size_t i = 0; i < text_len && len + 4 <= VMB_DEV_UEFI_NAME_MAX; i += more + 1) {
		uint8_t first = text[i];

		more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 0;
		if (more == 3)
			return 0;
		unit = more == 2 ? first & 0x0F : more == 1 ? first & 0x1F : first;
		for (uint32_t k = 1; k <= more; k++)
			unit = unit << 6 | (text[i + k] & 0x3F);
		name[len++] = unit & 0xFF;
		name[len++] = unit >> 8;
		if (i + more + 1 == text_len) {
			name[len++] = 0;
			name[len++] = 0;
			return len;
		}
	}
	return 0;
}

/* Parsing */

struct scratch {
	uint8_t name[VMB_DEV_UEFI_NAME_MAX];
	uint8_t data[VMB_DEV_UEFI_DATA_MAX];
};

static bool parse_bytes(const json_t *entry, const char *key, uint8_t *out, size_t exactly)
{
	const json_t *value = json_object_get(entry, key);
	size_t len;

	return !value || (json_is_string(value) &&
			  from_hex(json_string_value(value), out, exactly, &len) && len == exactly);
}

/* Returns what is wrong with an entry; NULL: var is filled in, with the bytes in scratch. */
static const char *parse_variable(const json_t *entry, struct vmb_dev_uefi_var *var,
				  struct scratch *scratch)
{
	const json_t *guid = json_object_get(entry, "guid"), *name = json_object_get(entry, "name");
	const json_t *attributes = json_object_get(entry, "attributes");
	const json_t *data = json_object_get(entry, "data");
	size_t len;

	*var = (struct vmb_dev_uefi_var){ .name = scratch->name, .data = scratch->data };
	if (!json_is_string(guid) ||
	    !vmb_dev_uefi_uuid_parse(json_string_value(guid), var->guid.bytes))
		return "guid is not one";
	if (json_is_string(name))
		var->name_len = name_from_text(json_string_value(name), json_string_length(name),
					       scratch->name);
	if (!vmb_dev_uefi_vars_name_is_valid(scratch->name, var->name_len))
		return "name is missing, too long or has characters that a name may not have";
	if (!json_is_integer(attributes) || json_integer_value(attributes) < 0 ||
	    json_integer_value(attributes) > 0x7F)
		return "attributes is not a number up to 127";
	var->attributes = json_integer_value(attributes) | VMB_DEV_UEFI_NON_VOLATILE;
	if (!json_is_string(data) ||
	    !from_hex(json_string_value(data), scratch->data, sizeof(scratch->data), &len))
		return "data is not up to 32 KiB in hexadecimal digits";
	var->data_len = len;
	if (!parse_bytes(entry, "time", var->time, sizeof(var->time)) ||
	    !parse_bytes(entry, "signer", var->signer, sizeof(var->signer)))
		return "time or signer has a wrong length";
	return NULL;
}

static const char *parse_variables(struct vmb_dev_uefi_vars *v, const json_t *list, size_t *at)
{
	static _Thread_local struct scratch scratch;
	struct vmb_dev_uefi_var var;
	const char *wrong;

	for (*at = 0; *at < json_array_size(list); (*at)++) {
		wrong = parse_variable(json_array_get(list, *at), &var, &scratch);
		if (wrong)
			return wrong;
		if (vmb_dev_uefi_vars_put(v, &var))
			return "there is no room for it";
	}
	return NULL;
}

static int parse_root(struct vmb_dev_uefi_vars *v, const json_t *root, char *why, size_t size)
{
	const char *format = json_string_value(json_object_get(root, "format"));
	const json_t *list = json_object_get(root, "variables");
	const char *wrong;
	size_t at;

	if (!format || strcmp(format, FORMAT) != 0 || !json_is_array(list)) {
		snprintf(why, size, "not a file of UEFI variables of openvmbus");
		return -EINVAL;
	}
	if (json_integer_value(json_object_get(root, "version")) != VERSION) {
		snprintf(why, size, "another version of the format than %d", VERSION);
		return -EINVAL;
	}
	wrong = parse_variables(v, list, &at);
	if (!wrong)
		return 0;
	snprintf(why, size, "variable %zu: %s", at, wrong);
	return -EINVAL;
}

int vmb_dev_uefi_nvram_parse(struct vmb_dev_uefi_vars *v, const char *text, size_t len, char *why,
			     size_t size)
{
	json_error_t error;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	int result = -EINVAL;

	if (root)
		result = parse_root(v, root, why, size);
	else
		snprintf(why, size, "line %d: %s", error.line, error.text);
	json_decref(root);
	if (result)
		vmb_dev_uefi_vars_clear(v);
	v->changed = false;
	return result;
}

/* Writing */

static void set_hex(json_t *entry, const char *key, const uint8_t *bytes, size_t len)
{
	char *text = malloc(2 * len + 1);

	if (!text)
		return;
	to_hex(bytes, len, text);
	json_object_set_new(entry, key, json_string(text));
	free(text);
}

static json_t *variable_to_json(const struct vmb_dev_uefi_var *var)
{
	static _Thread_local char name[3 * VMB_DEV_UEFI_NAME_MAX / 2];
	static const uint8_t none[VMB_DEV_UEFI_SIGNER_LEN];
	json_t *entry = json_object();
	char guid[VMB_DEV_UEFI_UUID_TEXT_LEN];

	vmb_dev_uefi_uuid_print(var->guid.bytes, guid);
	json_object_set_new(entry, "guid", json_string(guid));
	json_object_set_new(entry, "name",
			    json_stringn(name, name_to_text(var->name, var->name_len, name)));
	json_object_set_new(entry, "attributes", json_integer(var->attributes));
	set_hex(entry, "data", var->data, var->data_len);
	if (memcmp(var->time, none, sizeof(var->time)) != 0)
		set_hex(entry, "time", var->time, sizeof(var->time));
	if (memcmp(var->signer, none, sizeof(var->signer)) != 0)
		set_hex(entry, "signer", var->signer, sizeof(var->signer));
	return entry;
}

char *vmb_dev_uefi_nvram_text(const struct vmb_dev_uefi_vars *v)
{
	json_t *root = json_object(), *list = json_array();
	char *text;

	for (uint32_t i = 0; i < v->count; i++)
		if (v->vars[i].attributes & VMB_DEV_UEFI_NON_VOLATILE)
			json_array_append_new(list, variable_to_json(&v->vars[i]));
	json_object_set_new(root, "format", json_string(FORMAT));
	json_object_set_new(root, "version", json_integer(VERSION));
	json_object_set_new(root, "variables", list);
	text = json_dumps(root, JSON_INDENT(1));
	json_decref(root);
	return text;
}

static int refuse(const char *path, const char *why)
{
	vmb_dev_report("--nvram %s: %s; give a file that an earlier --nvram made, or one that is "
		       "not there yet",
		       path, why);
	return -EINVAL;
}

static int read_file(struct vmb_dev_uefi_vars *v, const char *path, int fd)
{
	char why[WHY_LEN], *text;
	struct stat st;
	ssize_t got;
	int error;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return refuse(path, "not a regular file");
	if (st.st_size > VMB_DEV_UEFI_NVRAM_LEN_MAX)
		return refuse(path, "too long to be a file of variables");
	text = malloc(st.st_size + 1);
	if (!text)
		return refuse(path, strerror(ENOMEM));
	got = pread(fd, text, st.st_size, 0);
	if (got == st.st_size)
		error = vmb_dev_uefi_nvram_parse(v, text, got, why, sizeof(why));
	else
		error = -EINVAL, snprintf(why, sizeof(why), "cannot be read");
	free(text);
	return error ? refuse(path, why) : 0;
}

static int refuse_place(const char *path, int error)
{
	vmb_dev_report("--nvram %s: no file can be made there: %s", path, strerror(error));
	return -EINVAL;
}

/* A file that is not there yet, by its folder; NULL and errno: there is none. */
static char *find_in_folder(const char *path)
{
	char folder[PATH_LEN_MAX], name[PATH_LEN_MAX], *real, *found = NULL;

	snprintf(folder, sizeof(folder), "%s", path);
	snprintf(name, sizeof(name), "%s", path);
	real = realpath(dirname(folder), NULL);
	if (real && asprintf(&found, "%s/%s", real, basename(name)) < 0)
		found = NULL;
	free(real);
	return found;
}

char *vmb_dev_uefi_nvram_find(const char *path)
{
	char *found = NULL;

	if (strlen(path) > PATH_LEN_MAX - sizeof(LOCK_SUFFIX)) {
		refuse("", "the path is too long");
		return NULL;
	}
	found = realpath(path, NULL);
	if (!found && errno == ENOENT)
		found = find_in_folder(path);
	if (!found)
		refuse_place(path, errno);
	return found;
}

/* Whoever held the lock before may have removed the file after this process had opened it. */
static bool is_there(int fd, const char *path)
{
	struct stat open_one, named;

	return fstat(fd, &open_one) == 0 && stat(path, &named) == 0 &&
	       open_one.st_ino == named.st_ino && open_one.st_dev == named.st_dev;
}

int vmb_dev_uefi_nvram_lock(const char *path)
{
	char name[PATH_LEN_MAX];
	int fd;

	snprintf(name, sizeof(name), "%s" LOCK_SUFFIX, path);
	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
			  0600);
		if (fd < 0)
			return refuse_place(path, errno);
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_there(fd, name))
			return fd;
		close(fd);
	}
	vmb_dev_report("--nvram %s: another machine uses it; give each machine its own", path);
	return -EINVAL;
}

void vmb_dev_uefi_nvram_unlock(const char *path, int lock)
{
	char name[PATH_LEN_MAX];

	if (lock < 0)
		return;
	snprintf(name, sizeof(name), "%s" LOCK_SUFFIX, path);
	unlink(name);
	close(lock);
}

int vmb_dev_uefi_nvram_load(struct vmb_dev_uefi_vars *v, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), error;

	if (fd < 0)
		return errno == ENOENT ? 0 : refuse(path, strerror(errno));
	error = read_file(v, path, fd);
	close(fd);
	return error;
}

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t written;

	for (; len; text += written, len -= written) {
		written = write(fd, text, len);
		if (written < 0)
			return -errno;
	}
	return fsync(fd) ? -errno : 0;
}

/* The new name is on the disk when its folder is. */
static int sync_folder(const char *path)
{
	char copy[PATH_LEN_MAX];
	int fd, error = 0;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd))
		error = -errno;
	close(fd);
	return error;
}

static int replace_file(const char *path, const char *text)
{
	char fresh[PATH_LEN_MAX];
	int fd, error;

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	error = write_all(fd, text, strlen(text));
	close(fd);
	if (!error && rename(fresh, path))
		error = -errno;
	if (!error)
		return sync_folder(path);
	unlink(fresh);
	return error;
}

int vmb_dev_uefi_nvram_save(const struct vmb_dev_uefi_vars *v, const char *path)
{
	char *text = vmb_dev_uefi_nvram_text(v);
	int error = text ? replace_file(path, text) : -ENOMEM;

	free(text);
	return error;
}
