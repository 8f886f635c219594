// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Commands of control that ask the guest for something: its integration services. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/ic_kvp.h"
#include "vmm/control.h"
#include "vmm/devices.h"
#include "vmm/options.h"

#define TEXT   VMB_VMM_CONTROL_TEXT
#define NUMBER VMB_VMM_CONTROL_NUMBER
#define FLAG   VMB_VMM_CONTROL_FLAG
#define LIST   VMB_VMM_CONTROL_LIST
#define END                             \
	{                               \
		NULL, TEXT, false, NULL \
	}

/* Linux waits for its daemon for 30 s before it answers, and for the daemon's start for 55 s. */
#define ANSWER_LIMIT_MS 65000
#define COPY_LIMIT_MS	600000 /* a file */
#define FREEZE_S	60u
#define FREEZE_S_MAX	900u /* what the guest of Linux allows */
#define ITEM_MAX	1024u /* pairs of a pool; a guest may go on for ever */
#define MAC_TEXT_LEN	18u

static struct vmb_dev_services *services_of(struct vmb_vmm_call *call)
{
	return vmb_vmm_devices_services(vmb_vmm_control_config(call)->devices);
}

static bool is_late(const struct vmb_vmm_call *call, int64_t limit_ms)
{
	return vmb_vmm_control_now() - call->began >= limit_ms;
}

/* What -errno of the services means to the user. */
static enum vmb_vmm_call_step refuse(struct vmb_vmm_call *call, int error)
{
	switch (error) {
	case -ENOTCONN:
		return vmb_vmm_call_fail(call, "failed",
					 "the guest does not use this service now: is its driver "
					 "loaded (Linux: hv_utils), and the machine not paused?");
	case -EBUSY: return vmb_vmm_call_fail(call, "failed", "the guest is busy with another one");
	case -EOPNOTSUPP:
		return vmb_vmm_call_fail(call, "failed",
					 "the version that the guest negotiated cannot do that");
	case -ETIMEDOUT:
		return vmb_vmm_call_fail(call, "time-out", "the guest did not answer in time");
	default:
		return vmb_vmm_call_fail(call, "failed", "the guest could not: %s",
					 strerror(-error));
	}
}

/* shutdown, restart */

static enum vmb_vmm_call_step await_shutdown(struct vmb_vmm_call *call)
{
	int error;

	if (call->over)
		return VMB_VMM_CALL_FAILED;
	error = vmb_dev_services_shutdown_answer(services_of(call));
	if (error == -EAGAIN && !is_late(call, ANSWER_LIMIT_MS))
		return VMB_VMM_CALL_LATER;
	if (error == -EIO)
		return vmb_vmm_call_fail(call, "failed", "the guest refused");
	return error ? refuse(call, error == -EAGAIN ? -ETIMEDOUT : error) : VMB_VMM_CALL_DONE;
}

static enum vmb_vmm_call_step ask_shutdown(struct vmb_vmm_call *call, uint32_t flags)
{
	struct vmb_dev_services *services = services_of(call);
	uint32_t timeout_s = vmb_vmm_control_config(call)->options->stop_s;
	int error = services ? vmb_dev_services_shutdown(services, flags, timeout_s) : -ENOTCONN;

	call->go_on = await_shutdown;
	return error ? refuse(call, error) : VMB_VMM_CALL_LATER;
}

static enum vmb_vmm_call_step run_shutdown(struct vmb_vmm_call *call)
{
	return ask_shutdown(call, VMB_IC_SHUTDOWN_OFF);
}

static enum vmb_vmm_call_step run_restart(struct vmb_vmm_call *call)
{
	return ask_shutdown(call, VMB_IC_SHUTDOWN_RESTART);
}

/* heartbeat */

static const struct vmb_vmm_control_field heartbeat_results[] = {
	{ "state", TEXT, false,
	  "`alive`; `lost`: it stopped to answer; `unknown`: it has not answered one since it "
	  "opened the channel" },
	{ "answered", NUMBER, false, "heartbeats since the machine was started" },
	{ "since_ms", NUMBER, true, "milliseconds since the last one was answered" },
	END,
};

static enum vmb_vmm_call_step run_heartbeat(struct vmb_vmm_call *call)
{
	static const char *const names[] = { "unknown", "alive", "lost" };
	struct vmb_dev_services *services = services_of(call);
	struct vmb_dev_services_heartbeat heartbeat = { 0 };

	if (services)
		heartbeat = vmb_dev_services_heartbeat(services);
	vmb_vmm_call_set_text(call, "state", names[heartbeat.health]);
	vmb_vmm_call_set_number(call, "answered", heartbeat.answered);
	if (heartbeat.health != VMB_DEV_SERVICES_UNKNOWN)
		vmb_vmm_call_set_number(call, "since_ms", heartbeat.since_ms);
	return VMB_VMM_CALL_DONE;
}

/* Key-value pairs: one request after the other */

struct pairs {
	struct vmb_dev_services *services;
	struct vmb_dev_service_call ask;
	union {
		struct vmb_ic_kvp pair;
		struct vmb_ic_kvp_ip ip;
	} body, answer;
	uint32_t index;
	json_t *items;
};

static int send(struct pairs *p, uint32_t len)
{
	p->ask = (struct vmb_dev_service_call){
		.body = &p->body, .body_len = len, .answer = &p->answer, .answer_len = len
	};
	return vmb_dev_services_ask(p->services, VMB_IC_KVP, &p->ask);
}

static enum vmb_vmm_call_step finish(struct vmb_vmm_call *call, enum vmb_vmm_call_step step)
{
	struct pairs *p = call->state;

	vmb_dev_services_withdraw(p->services, VMB_IC_KVP, &p->ask);
	json_decref(p->items);
	free(p);
	call->state = NULL;
	return step;
}

static enum vmb_vmm_call_step begin(struct vmb_vmm_call *call, uint32_t len,
				    enum vmb_vmm_call_step (*go_on)(struct vmb_vmm_call *call))
{
	struct pairs *p = call->state;
	int error = send(p, len);

	call->go_on = go_on;
	return error ? finish(call, refuse(call, error)) : VMB_VMM_CALL_LATER;
}

static struct pairs *new_pairs(struct vmb_vmm_call *call)
{
	struct pairs *p = services_of(call) ? calloc(1, sizeof(*p)) : NULL;

	if (p)
		p->services = services_of(call);
	call->state = p;
	return p;
}

/*
 * Returns whether the answer is there. If not, *step is what the caller returns at once: it is
 * over, it is late, or the channel is closed; or later.
 */
static bool is_answered(struct vmb_vmm_call *call, enum vmb_vmm_call_step *step)
{
	struct pairs *p = call->state;
	bool done = !call->over && vmb_dev_services_asked(p->services, &p->ask);

	if (done && !p->ask.error)
		return true;
	if (call->over)
		*step = finish(call, VMB_VMM_CALL_FAILED);
	else if (done)
		*step = finish(call, refuse(call, p->ask.error));
	else if (is_late(call, ANSWER_LIMIT_MS))
		*step = finish(call, refuse(call, -ETIMEDOUT));
	else
		*step = VMB_VMM_CALL_LATER;
	return false;
}

static enum vmb_vmm_call_step fail_status(struct vmb_vmm_call *call, uint32_t status)
{
	if (status == VMB_IC_NOT_FOUND)
		return finish(call, vmb_vmm_call_fail(call, "failed", "the guest has no such one"));
	return finish(call, vmb_vmm_call_fail(call, "failed",
					      "the guest refused with status 0x%08x: is its daemon "
					      "running (Linux: hv_kvp_daemon)?",
					      status));
}

/* kvp-list, kvp-get */

static bool parse_pool(struct vmb_vmm_call *call, uint8_t otherwise, uint8_t *pool)
{
	static const char *const names[] = { "external", "guest", "auto", "auto-external" };
	const char *name = vmb_vmm_call_text(call, "pool");

	*pool = otherwise;
	if (!name)
		return true;
	for (*pool = 0; *pool < VMB_ARRAY_COUNT(names); (*pool)++)
		if (strcmp(name, names[*pool]) == 0)
			return true;
	vmb_vmm_call_fail(call, "bad-argument",
			  "pool: give external, guest, auto or auto-external");
	return false;
}

/* Returns false when there are no more. Texts that JSON cannot carry were made whole before. */
static bool take_item(struct pairs *p)
{
	struct vmb_host_ic_kvp_item *item = malloc(sizeof(*item));
	bool taken = item && !vmb_host_ic_kvp_item(&p->answer, p->ask.answer_len, item);

	if (taken)
		json_array_append_new(p->items, json_pack("{s:s, s:s}", "key", item->key, "value",
							  item->value));
	free(item);
	return taken;
}

static enum vmb_vmm_call_step give_items(struct vmb_vmm_call *call)
{
	struct pairs *p = call->state;

	vmb_vmm_call_set(call, "pairs", p->items);
	p->items = NULL;
	return finish(call, VMB_VMM_CALL_DONE);
}

static enum vmb_vmm_call_step give_value(struct vmb_vmm_call *call)
{
	const char *wanted = vmb_vmm_call_text(call, "key");
	struct pairs *p = call->state;
	json_t *item;
	size_t i;

	json_array_foreach(p->items, i, item) {
		if (strcmp(json_string_value(json_object_get(item, "key")), wanted) != 0)
			continue;
		vmb_vmm_call_set_text(call, "value",
				      json_string_value(json_object_get(item, "value")));
		return finish(call, VMB_VMM_CALL_DONE);
	}
	return finish(call, vmb_vmm_call_fail(call, "failed", "the guest has no such key"));
}

/* Asks for the next pair until the guest has no more. */
static enum vmb_vmm_call_step await_items(struct vmb_vmm_call *call)
{
	struct pairs *p = call->state;
	enum vmb_vmm_call_step step;
	uint8_t pool;
	int error;

	if (!is_answered(call, &step))
		return step;
	if (p->ask.status && p->ask.status != VMB_IC_NO_MORE_ITEMS)
		return fail_status(call, p->ask.status);
	pool = p->body.pair.pool;
	if (p->ask.status || !take_item(p) || ++p->index == ITEM_MAX)
		return vmb_vmm_call_text(call, "key") ? give_value(call) : give_items(call);
	vmb_host_ic_kvp_enumerate(&p->body.pair, pool, p->index);
	error = send(p, sizeof(p->body.pair));
	return error ? finish(call, refuse(call, error)) : VMB_VMM_CALL_LATER;
}

static enum vmb_vmm_call_step list_items(struct vmb_vmm_call *call)
{
	struct pairs *p;
	uint8_t pool;

	if (!parse_pool(call, VMB_IC_KVP_AUTO, &pool))
		return VMB_VMM_CALL_FAILED;
	p = new_pairs(call);
	if (!p)
		return refuse(call, -ENOTCONN);
	p->items = json_array();
	vmb_host_ic_kvp_enumerate(&p->body.pair, pool, 0);
	return begin(call, sizeof(p->body.pair), await_items);
}

#define POOL                                                                                      \
	{                                                                                         \
		"pool", TEXT, true,                                                               \
			"`auto`: what the guest is; `guest`: what it tells the host; `external`:" \
			" what it was told; `auto-external`"                                      \
	}

static const struct vmb_vmm_control_field list_arguments[] = { POOL, END };
static const struct vmb_vmm_control_field list_results[] = {
	{ "pairs", LIST, false, "1024 at most" },
	{ "pairs[].key", TEXT, false, "its name" },
	{ "pairs[].value", TEXT, false, "a number is in decimal" },
	END,
};
static const struct vmb_vmm_control_field get_arguments[] = {
	{ "key", TEXT, false, "its name" },
	POOL,
	END,
};
static const struct vmb_vmm_control_field get_results[] = {
	{ "value", TEXT, false, "a number is in decimal" },
	END,
};

/* kvp-set, kvp-delete */

static enum vmb_vmm_call_step await_change(struct vmb_vmm_call *call)
{
	struct pairs *p = call->state;
	enum vmb_vmm_call_step step;

	if (!is_answered(call, &step))
		return step;
	return p->ask.status ? fail_status(call, p->ask.status) : finish(call, VMB_VMM_CALL_DONE);
}

static enum vmb_vmm_call_step change(struct vmb_vmm_call *call, const char *value)
{
	const char *key = vmb_vmm_call_text(call, "key");
	struct pairs *p = new_pairs(call);
	int error;

	if (!p)
		return refuse(call, -ENOTCONN);
	error = value ? vmb_host_ic_kvp_set(&p->body.pair, VMB_IC_KVP_EXTERNAL, key, value) :
			vmb_host_ic_kvp_delete(&p->body.pair, VMB_IC_KVP_EXTERNAL, key);
	if (error || !*key)
		return finish(call, vmb_vmm_call_fail(call, "bad-argument",
						      "give a key of 1 to 255 and a value of at "
						      "most 1023 characters"));
	return begin(call, sizeof(p->body.pair), await_change);
}

static enum vmb_vmm_call_step run_set(struct vmb_vmm_call *call)
{
	return change(call, vmb_vmm_call_text(call, "value"));
}

static enum vmb_vmm_call_step run_delete(struct vmb_vmm_call *call)
{
	return change(call, NULL);
}

static const struct vmb_vmm_control_field set_arguments[] = {
	{ "key", TEXT, false, "its name" },
	{ "value", TEXT, false, "what it shall have" },
	END,
};
static const struct vmb_vmm_control_field delete_arguments[] = {
	{ "key", TEXT, false, "its name" },
	END,
};

/* ip */

static enum vmb_vmm_call_step await_ip(struct vmb_vmm_call *call)
{
	struct vmb_host_ic_kvp_ip *ip;
	struct pairs *p = call->state;
	enum vmb_vmm_call_step step;

	if (!is_answered(call, &step))
		return step;
	if (p->ask.status)
		return fail_status(call, p->ask.status);
	ip = calloc(1, sizeof(*ip));
	if (!ip || vmb_host_ic_kvp_ip(&p->answer, p->ask.answer_len, ip)) {
		free(ip);
		return finish(call, vmb_vmm_call_fail(call, "failed",
						      "the guest's answer makes no sense"));
	}
	vmb_vmm_call_set_flag(call, "dhcp", ip->dhcp);
	vmb_vmm_call_set_text(call, "addresses", ip->addresses);
	vmb_vmm_call_set_text(call, "subnets", ip->subnets);
	vmb_vmm_call_set_text(call, "gateways", ip->gateways);
	vmb_vmm_call_set_text(call, "name_servers", ip->name_servers);
	free(ip);
	return finish(call, VMB_VMM_CALL_DONE);
}

static bool find_mac(struct vmb_vmm_call *call, char text[MAC_TEXT_LEN])
{
	const struct vmb_vmm_options *o = vmb_vmm_control_config(call)->options;
	uint64_t card = vmb_vmm_call_number(call, "card", 0);

	if (card >= o->net_count) {
		vmb_vmm_call_fail(call, "bad-argument", "card: the machine has %u cards",
				  o->net_count);
		return false;
	}
	for (uint32_t i = 0; i < sizeof(o->nets[card].mac); i++)
		snprintf(text + 3 * i, 4, "%02X:", o->nets[card].mac[i]);
	text[MAC_TEXT_LEN - 1] = 0;
	return true;
}

static enum vmb_vmm_call_step run_ip(struct vmb_vmm_call *call)
{
	char mac[MAC_TEXT_LEN + 1];
	struct pairs *p;

	if (!find_mac(call, mac))
		return VMB_VMM_CALL_FAILED;
	p = new_pairs(call);
	if (!p)
		return refuse(call, -ENOTCONN);
	vmb_host_ic_kvp_get_ip(&p->body.ip, mac);
	return begin(call, sizeof(p->body.ip), await_ip);
}

static const struct vmb_vmm_control_field ip_arguments[] = {
	{ "card", NUMBER, true, "which one, in the order of `--net` (0)" },
	END,
};
static const struct vmb_vmm_control_field ip_results[] = {
	{ "dhcp", FLAG, false, "its addresses come by DHCP" },
	{ "addresses", TEXT, false, "with `;` between them, as all lists here" },
	{ "subnets", TEXT, false, "of each address: a mask, or a prefix" },
	{ "gateways", TEXT, false, "ways out" },
	{ "name_servers", TEXT, false, "whom it asks for names" },
	END,
};

/* freeze, thaw */

static enum vmb_vmm_call_step await_backup(struct vmb_vmm_call *call,
					   enum vmb_dev_services_backup_state wanted)
{
	enum vmb_dev_services_backup_state state;
	int error;

	if (call->over)
		return VMB_VMM_CALL_FAILED;
	error = vmb_dev_services_backup(services_of(call), &state);
	if (error == -EAGAIN && !is_late(call, ANSWER_LIMIT_MS))
		return VMB_VMM_CALL_LATER;
	if (error == -EIO || (!error && state != wanted))
		return vmb_vmm_call_fail(call, "failed",
					 "the guest could not: is its daemon running (Linux: "
					 "hv_vss_daemon)?");
	return error ? refuse(call, error == -EAGAIN ? -ETIMEDOUT : error) : VMB_VMM_CALL_DONE;
}

static enum vmb_vmm_call_step await_frozen(struct vmb_vmm_call *call)
{
	return await_backup(call, VMB_DEV_SERVICES_FROZEN);
}

static enum vmb_vmm_call_step await_thawed(struct vmb_vmm_call *call)
{
	return await_backup(call, VMB_DEV_SERVICES_THAWED);
}

static enum vmb_vmm_call_step run_freeze(struct vmb_vmm_call *call)
{
	struct vmb_dev_services *services = services_of(call);
	uint64_t limit_s = vmb_vmm_call_number(call, "limit", FREEZE_S);
	int error;

	if (!limit_s || limit_s > FREEZE_S_MAX)
		return vmb_vmm_call_fail(call, "bad-argument", "limit: give seconds from 1 to %u",
					 FREEZE_S_MAX);
	error = services ? vmb_dev_services_freeze(services, (uint32_t)limit_s) : -ENOTCONN;
	call->go_on = await_frozen;
	return error ? refuse(call, error) : VMB_VMM_CALL_LATER;
}

static enum vmb_vmm_call_step run_thaw(struct vmb_vmm_call *call)
{
	struct vmb_dev_services *services = services_of(call);
	int error = services ? vmb_dev_services_thaw(services) : -ENOTCONN;

	call->go_on = await_thawed;
	return error ? refuse(call, error) : VMB_VMM_CALL_LATER;
}

static const struct vmb_vmm_control_field freeze_arguments[] = {
	{ "limit", NUMBER, true, "seconds until they are thawed without `thaw` (60)" },
	END,
};

/* copy */

static enum vmb_vmm_call_step await_copy(struct vmb_vmm_call *call)
{
	struct vmb_dev_services *services = services_of(call);
	uint64_t offset;
	int error;

	if (call->over) {
		vmb_dev_services_copy_cancel(services);
		return VMB_VMM_CALL_FAILED;
	}
	error = vmb_dev_services_copied(services, &offset);
	if (error == -EAGAIN && !is_late(call, COPY_LIMIT_MS))
		return VMB_VMM_CALL_LATER;
	if (error == -EAGAIN)
		vmb_dev_services_copy_cancel(services);
	if (error)
		return refuse(call, error == -EAGAIN ? -ETIMEDOUT : error);
	vmb_vmm_call_set_number(call, "bytes", offset);
	return VMB_VMM_CALL_DONE;
}

/*
 * Cuts path into folder and name, which is returned; NULL: it is not absolute, or has no name. The
 * folder keeps its last slash: hv_fcopy_daemon makes only folders that have one behind them.
 */
static char *cut(const char *path, char **folder)
{
	const char *slash = strrchr(path, '/');

	*folder = NULL;
	if (*path != '/' || !slash[1])
		return NULL;
	*folder = strndup(path, (size_t)(slash + 1 - path));
	return *folder ? (char *)slash + 1 : NULL;
}

static enum vmb_vmm_call_step start_copy(struct vmb_vmm_call *call, int fd, const char *folder,
					 const char *name)
{
	uint32_t flags = (vmb_vmm_call_flag(call, "overwrite") ? VMB_IC_COPY_OVERWRITE : 0) |
			 VMB_IC_COPY_CREATE_PATH;
	struct vmb_dev_services *services = services_of(call);
	struct stat st;
	int error;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return vmb_vmm_call_fail(call, "bad-argument", "file: it is not a regular file");
	error = services ? vmb_dev_services_copy(services, fd, (uint64_t)st.st_size, folder, name,
						 flags) :
			   -ENOTCONN;
	call->go_on = await_copy;
	return error ? refuse(call, error) : VMB_VMM_CALL_LATER;
}

static enum vmb_vmm_call_step run_copy(struct vmb_vmm_call *call)
{
	enum vmb_vmm_call_step step;
	char *folder, *name;
	int fd, error;

	vmb_vmm_call_release(call);
	fd = open(vmb_vmm_call_text(call, "file"), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	error = errno;
	vmb_vmm_call_regain(call);
	if (fd < 0)
		return vmb_vmm_call_fail(call, "bad-argument", "file: %s", strerror(error));
	name = cut(vmb_vmm_call_text(call, "to"), &folder);
	if (!call->machine)
		step = vmb_vmm_call_no_machine(call);
	else if (name)
		step = start_copy(call, fd, folder, name);
	else
		step = vmb_vmm_call_fail(call, "bad-argument",
					 "to: give the file's whole path in the guest");
	if (step == VMB_VMM_CALL_FAILED)
		close(fd);
	free(folder);
	return step;
}

static const struct vmb_vmm_control_field copy_arguments[] = {
	{ "file", TEXT, false, "of this machine" },
	{ "to", TEXT, false, "its path in the guest, name included; folders are made" },
	{ "overwrite", FLAG, true, "replace a file that is there (false)" },
	END,
};
static const struct vmb_vmm_control_field copy_results[] = {
	{ "bytes", NUMBER, false, "that were copied" },
	END,
};

const struct vmb_vmm_command vmb_vmm_control_services[] = {
	{ "shutdown", "Asks the guest to power off. The answer means that it will.", true,
	  run_shutdown, NULL, NULL },
	{ "restart", "Asks the guest to restart. The answer means that it will.", true, run_restart,
	  NULL, NULL },
	{ "heartbeat", "Says whether the guest answers heartbeats.", true, run_heartbeat, NULL,
	  heartbeat_results },
	{ "kvp-list", "Asks the guest for its key-value pairs.", true, list_items, list_arguments,
	  list_results },
	{ "kvp-get", "Asks the guest for the value of one key.", true, list_items, get_arguments,
	  get_results },
	{ "kvp-set", "Gives the guest a pair, in its pool `external`.", true, run_set,
	  set_arguments, NULL },
	{ "kvp-delete", "Takes a pair of the pool `external` from the guest.", true, run_delete,
	  delete_arguments, NULL },
	{ "ip", "Asks the guest for the addresses of a card.", true, run_ip, ip_arguments,
	  ip_results },
	{ "freeze",
	  "Has the guest write out and freeze its file systems, so that a copy of its disks is "
	  "whole.",
	  true, run_freeze, freeze_arguments, NULL },
	{ "thaw", "Thaws the guest's file systems.", true, run_thaw, NULL, NULL },
	{ "copy", "Copies a file of this machine into the guest.", true, run_copy, copy_arguments,
	  copy_results },
	{ NULL, NULL, false, NULL, NULL, NULL },
};
