// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The device by which a Generation 2 firmware speaks to its host: a selector and a value, which is
 * often the guest address of a request.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "devices/report.h"
#include "devices/uefi/device.h"
#include "devices/uefi/log.h"
#include "devices/uefi/nvram.h"

enum selector {
	GENERATION_LOW = 0x0E,
	GENERATION_HIGH = 0x0F,
	VARIABLES = 0x24,
	CRYPTO = 0x26,
	WATCHDOG_CONFIG = 0x27,
	WATCHDOG_RESOLUTION = 0x28,
	WATCHDOG_COUNT = 0x29,
	LOG_PLACE = 0x2B,
	LOG_COLLECT = 0x2C,
	EVENTS = 0x30,
	NFIT_SIZE = 0x37,
};

enum command { GET, SET, FIRST_NAME, NEXT_NAME, QUERY, BOOT_SERVICES_ENDED, DEBUG_TEXT };

#define CRYPTO_RANDOM	  5u
#define RANDOM_MAX	  64u
#define GENERATION_ID_LEN 16u
#define ATTEMPTS_MAX	  16u
#define LINE_LEN	  256u
#define LINES_MAX	  100u
#define CRASH_TEXT_MAX	  1024u
#define LEVEL_ERROR	  0x80000000u
#define LEVEL_WARNING	  0x00000002u

struct descriptor {
	uint32_t command;
	uint64_t status;
	union {
		struct {
			uint32_t attributes;
			uint64_t name_gpa;
			uint32_t name_len;
			struct vmb_dev_uefi_guid guid;
			uint64_t data_gpa;
			uint32_t data_len;
		} VMB_PACKED variable;
		struct {
			uint32_t attributes;
			uint64_t storage_max, storage_left, variable_max;
		} VMB_PACKED query;
	};
} VMB_PACKED;
VMB_ASSERT_LEN(struct descriptor, 56);

struct crypto {
	uint32_t command;
	uint64_t status;
	uint64_t gpa;
	uint32_t len;
} VMB_PACKED;

/* One request and copies of what it names: the guest may change its memory meanwhile. */
struct request {
	struct descriptor d;
	struct vmb_dev_uefi_key key;
	uint8_t name[VMB_DEV_UEFI_NAME_MAX];
	uint8_t data[VMB_DEV_UEFI_NAME_MAX + VMB_DEV_UEFI_DATA_MAX];
};

static bool read_name(struct vmb_dev_uefi *u, struct request *r)
{
	r->key = (struct vmb_dev_uefi_key){ .guid = r->d.variable.guid,
					    .name = r->name,
					    .name_len = r->d.variable.name_len };
	return r->key.name_len <= sizeof(r->name) &&
	       vmb_dev_memory_read(u->memory, r->d.variable.name_gpa, r->name, r->key.name_len);
}

/* A name's buffer may be longer than the name. */
static void trim_name(struct request *r)
{
	for (uint32_t i = 0; i + 1 < r->key.name_len; i += 2) {
		if (!r->name[i] && !r->name[i + 1]) {
			r->key.name_len = i + 2;
			return;
		}
	}
}

static enum vmb_dev_uefi_status get(struct vmb_dev_uefi *u, struct request *r)
{
	uint32_t len = r->d.variable.data_len, attributes = 0;
	enum vmb_dev_uefi_status status;

	if (!read_name(u, r))
		return VMB_DEV_UEFI_INVALID;
	trim_name(r);
	len = len < sizeof(r->data) ? len : sizeof(r->data);
	status = vmb_dev_uefi_vars_get(&u->vars, &r->key, &attributes, r->data, &len);
	if (status && status != VMB_DEV_UEFI_TOO_SMALL)
		return status;
	r->d.variable.attributes = attributes;
	r->d.variable.data_len = len;
	if (!status && !vmb_dev_memory_write(u->memory, r->d.variable.data_gpa, r->data, len))
		return VMB_DEV_UEFI_INVALID;
	return status;
}

/* A variable that stays is in its file before the guest hears that it was written. */
static enum vmb_dev_uefi_status keep(struct vmb_dev_uefi *u, enum vmb_dev_uefi_status status)
{
	int error = 0;

	if (u->vars.changed && u->nvram)
		error = vmb_dev_uefi_writer_save(&u->writer, &u->vars);
	u->vars.changed = false;
	if (!error)
		return status;
	if (!u->nvram_failed)
		vmb_dev_report("--nvram %s: %s; what the guest writes there is lost when "
			       "openvmbus ends",
			       u->nvram, strerror(-error));
	u->nvram_failed = true;
	return VMB_DEV_UEFI_DEVICE_ERROR;
}

static enum vmb_dev_uefi_status set(struct vmb_dev_uefi *u, struct request *r)
{
	uint32_t len = r->d.variable.data_len;

	if (!read_name(u, r) || len > sizeof(r->data) ||
	    (len && !vmb_dev_memory_read(u->memory, r->d.variable.data_gpa, r->data, len)))
		return VMB_DEV_UEFI_INVALID;
	return keep(u, vmb_dev_uefi_vars_set(&u->vars, &r->key, r->d.variable.attributes, r->data,
					     len));
}

static enum vmb_dev_uefi_status next_name(struct vmb_dev_uefi *u, struct request *r)
{
	uint32_t room = r->d.variable.name_len;
	const struct vmb_dev_uefi_var *next;
	enum vmb_dev_uefi_status status;

	status = vmb_dev_uefi_vars_next(&u->vars, &r->key, &next);
	if (!next)
		return status;
	r->d.variable.name_len = next->name_len;
	if (room < next->name_len)
		return VMB_DEV_UEFI_TOO_SMALL;
	r->d.variable.guid = next->guid;
	return vmb_dev_memory_write(u->memory, r->d.variable.name_gpa, next->name, next->name_len) ?
		       VMB_DEV_UEFI_SUCCESS :
		       VMB_DEV_UEFI_INVALID;
}

static enum vmb_dev_uefi_status name_after(struct vmb_dev_uefi *u, struct request *r)
{
	if (!read_name(u, r))
		return VMB_DEV_UEFI_INVALID;
	trim_name(r);
	return next_name(u, r);
}

static enum vmb_dev_uefi_status query(struct vmb_dev_uefi *u, struct request *r)
{
	uint64_t left = VMB_DEV_UEFI_STORAGE_MAX - vmb_dev_uefi_vars_used(&u->vars);

	r->d.query.storage_max = VMB_DEV_UEFI_STORAGE_MAX;
	r->d.query.storage_left = left;
	r->d.query.variable_max = left < VMB_DEV_UEFI_DATA_MAX ? left : VMB_DEV_UEFI_DATA_MAX;
	return VMB_DEV_UEFI_SUCCESS;
}

static enum vmb_dev_uefi_status obey(struct vmb_dev_uefi *u, struct request *r)
{
	switch (r->d.command) {
	case GET: return get(u, r);
	case SET: return set(u, r);
	case FIRST_NAME: return next_name(u, r);
	case NEXT_NAME: return name_after(u, r);
	case QUERY: return query(u, r);
	case BOOT_SERVICES_ENDED:
		u->exited = true;
		vmb_dev_uefi_vars_runtime(&u->vars);
		return VMB_DEV_UEFI_SUCCESS;
	case DEBUG_TEXT: return VMB_DEV_UEFI_SUCCESS;
	default: return VMB_DEV_UEFI_UNSUPPORTED;
	}
}

static void serve_variables(struct vmb_dev_uefi *u, uint64_t gpa)
{
	static struct request r; /* u->lock is held */

	memset(&r.key, 0, sizeof(r.key));
	if (!vmb_dev_memory_read(u->memory, gpa, &r.d, sizeof(r.d)))
		return;
	r.d.status = obey(u, &r);
	vmb_dev_memory_write(u->memory, gpa, &r.d, sizeof(r.d));
}

/* For firmware on a processor without an instruction for random numbers. */
static void give_random(struct vmb_dev_uefi *u, uint64_t gpa)
{
	uint8_t bytes[RANDOM_MAX];
	struct crypto c;

	if (!vmb_dev_memory_read(u->memory, gpa, &c, sizeof(c)))
		return;
	c.status = VMB_DEV_UEFI_UNSUPPORTED;
	if (c.command == CRYPTO_RANDOM && c.len <= sizeof(bytes) &&
	    getrandom(bytes, c.len, 0) == (ssize_t)c.len)
		c.status = vmb_dev_memory_write(u->memory, c.gpa, bytes, c.len) ?
				   VMB_DEV_UEFI_SUCCESS :
				   VMB_DEV_UEFI_INVALID;
	vmb_dev_memory_write(u->memory, gpa, &c, sizeof(c));
}

/* A machine is never copied here, so each start has an id of its own. */
static void give_generation(struct vmb_dev_uefi *u)
{
	uint8_t id[GENERATION_ID_LEN];

	if (getrandom(id, sizeof(id), 0) == sizeof(id))
		vmb_dev_memory_write(u->memory, u->generation_gpa, id, sizeof(id));
}

/* The guest must not fill this machine's log: a start has so many lines. */
static bool may_speak(struct vmb_dev_uefi *u)
{
	return u->lines++ < LINES_MAX;
}

static void report_attempts(struct vmb_dev_uefi *u, uint64_t gpa)
{
	struct vmb_dev_uefi_attempt attempts[ATTEMPTS_MAX];
	uint32_t count = vmb_dev_uefi_log_attempts(u->memory, gpa, attempts, ATTEMPTS_MAX);

	for (uint32_t i = 0; i < count; i++)
		if (!vmb_dev_uefi_log_is_start(attempts[i].status) && may_speak(u))
			vmb_dev_report("firmware: boot option %u: %s", attempts[i].option,
				       vmb_dev_uefi_log_status(attempts[i].status));
}

/* The guest's text goes to a terminal: printable characters only. */
static void report_message(struct vmb_dev_uefi *u, char *text)
{
	size_t len = 0;

	for (size_t i = 0; text[i]; i++)
		if (text[i] >= ' ' && text[i] <= '~')
			text[len++] = text[i];
	text[len] = 0;
	if (len && may_speak(u))
		vmb_dev_report("firmware: %s", text);
}

static void report_log(struct vmb_dev_uefi *u)
{
	uint32_t at = 0, level = 0;
	char text[LINE_LEN];

	while (u->log_gpa &&
	       vmb_dev_uefi_log_next(u->memory, u->log_gpa, &at, &level, text, sizeof(text)))
		if (level & (LEVEL_ERROR | LEVEL_WARNING))
			report_message(u, text);
}

/*
 * The firmware asks for this when it gives up, before it shows a page that nobody would see, and
 * when it has crashed.
 */
static void collect_log(struct vmb_dev_uefi *u)
{
	if (!u->exited && !u->crashed)
		u->gave_up = true;
	u->collected = true;
	report_log(u);
}

static void write_value(struct vmb_dev_uefi *u, uint32_t value)
{
	switch (u->selector) {
	case GENERATION_LOW:
		u->generation_gpa = (u->generation_gpa & ~0xFFFFFFFFull) | value;
		break;
	case GENERATION_HIGH:
		u->generation_gpa = (u->generation_gpa & 0xFFFFFFFFull) | (uint64_t)value << 32;
		give_generation(u);
		break;
	case VARIABLES: serve_variables(u, value); break;
	case CRYPTO: give_random(u, value); break;
	case LOG_PLACE: u->log_gpa = value; break;
	case LOG_COLLECT: collect_log(u); break;
	case EVENTS: report_attempts(u, value); break;
	case WATCHDOG_CONFIG: vmb_dev_uefi_watchdog_configure(&u->watchdog, value); break;
	case WATCHDOG_COUNT: vmb_dev_uefi_watchdog_set(&u->watchdog, value); break;
	default: break;
	}
}

void vmb_dev_uefi_write(struct vmb_dev_uefi *u, bool data, uint32_t value)
{
	pthread_mutex_lock(&u->lock);
	if (data)
		write_value(u, value);
	else
		u->selector = value;
	pthread_mutex_unlock(&u->lock);
}

static uint32_t read_value(const struct vmb_dev_uefi *u)
{
	switch (u->selector) {
	case WATCHDOG_CONFIG:
		return u->watchdog.there ? u->watchdog.config : VMB_DEV_UEFI_WATCHDOG_NONE;
	case WATCHDOG_RESOLUTION: return vmb_dev_uefi_watchdog_resolution(&u->watchdog);
	case WATCHDOG_COUNT:
		return u->watchdog.there ? u->watchdog.count : VMB_DEV_UEFI_WATCHDOG_NONE;
	case NFIT_SIZE:
	default: return 0;
	}
}

uint32_t vmb_dev_uefi_read(struct vmb_dev_uefi *u, bool data)
{
	uint32_t value;

	pthread_mutex_lock(&u->lock);
	value = data ? read_value(u) : u->selector;
	pthread_mutex_unlock(&u->lock);
	return value;
}

bool vmb_dev_uefi_tick(struct vmb_dev_uefi *u)
{
	bool hangs;

	pthread_mutex_lock(&u->lock);
	hangs = vmb_dev_uefi_watchdog_tick(&u->watchdog);
	pthread_mutex_unlock(&u->lock);
	return hangs;
}

bool vmb_dev_uefi_has_exited(struct vmb_dev_uefi *u)
{
	bool exited;

	pthread_mutex_lock(&u->lock);
	exited = u->exited;
	pthread_mutex_unlock(&u->lock);
	return exited;
}

/* A line for each line of the text. */
static void report_crash(struct vmb_dev_uefi *u, uint64_t gpa, uint64_t len)
{
	char text[CRASH_TEXT_MAX + 1], *rest = text, *line;

	len = len < CRASH_TEXT_MAX ? len : CRASH_TEXT_MAX;
	if (!vmb_dev_memory_read(u->memory, gpa, text, len))
		return;
	text[len] = 0;
	while ((line = strsep(&rest, "\n")))
		report_message(u, line);
}

void vmb_dev_uefi_crashed(struct vmb_dev_uefi *u, uint64_t gpa, uint64_t len)
{
	pthread_mutex_lock(&u->lock);
	u->crashed = true;
	if (!u->exited)
		report_crash(u, gpa, len);
	pthread_mutex_unlock(&u->lock);
}

void vmb_dev_uefi_stopped(struct vmb_dev_uefi *u)
{
	pthread_mutex_lock(&u->lock);
	if (!u->exited && !u->collected)
		report_log(u);
	pthread_mutex_unlock(&u->lock);
}

bool vmb_dev_uefi_gave_up(struct vmb_dev_uefi *u)
{
	bool gave_up;

	pthread_mutex_lock(&u->lock);
	gave_up = u->gave_up && !u->exited;
	pthread_mutex_unlock(&u->lock);
	return gave_up;
}

int vmb_dev_uefi_open(struct vmb_dev_uefi *u, const char *nvram)
{
	memset(u, 0, sizeof(*u));
	pthread_mutex_init(&u->lock, NULL);
	u->nvram_lock = -1;
	if (!nvram)
		return 0;
	u->nvram = vmb_dev_uefi_nvram_find(nvram);
	if (u->nvram)
		u->nvram_lock = vmb_dev_uefi_nvram_lock(u->nvram);
	return u->nvram_lock < 0 ? -EINVAL : vmb_dev_uefi_nvram_load(&u->vars, u->nvram);
}

int vmb_dev_uefi_start(struct vmb_dev_uefi *u)
{
	return u->nvram ? vmb_dev_uefi_writer_start(&u->writer, u->nvram) : 0;
}

void vmb_dev_uefi_close(struct vmb_dev_uefi *u)
{
	vmb_dev_uefi_writer_stop(&u->writer);
	vmb_dev_uefi_nvram_unlock(u->nvram, u->nvram_lock);
	free(u->nvram);
	u->nvram = NULL;
	u->nvram_lock = -1;
	vmb_dev_uefi_vars_clear(&u->vars);
	pthread_mutex_destroy(&u->lock);
}

void vmb_dev_uefi_restart(struct vmb_dev_uefi *u, const struct vmb_dev_memory *memory)
{
	pthread_mutex_lock(&u->lock);
	u->memory = memory;
	u->selector = 0;
	u->log_gpa = u->generation_gpa = 0;
	u->exited = u->crashed = u->collected = u->gave_up = false;
	u->lines = 0;
	vmb_dev_uefi_watchdog_restart(&u->watchdog);
	vmb_dev_uefi_vars_restart(&u->vars);
	vmb_dev_uefi_boot_next(&u->vars, &u->boot);
	pthread_mutex_unlock(&u->lock);
}
