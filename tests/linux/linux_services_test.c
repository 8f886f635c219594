// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests of ports/linux/services*.c: a host that asks, and a daemon that registers, answers, is late,
 * dies, or finds its channel gone. The channel is a few lines here: what is sent is kept.
 */
#include "base/utf16.h"
#include "ports/linux/services.h"
#include "tests/linux/bed.h"
#include "tests/linux/misc.h"
#include "tests/linux/single.h"

#define HEADERS_LEN sizeof(struct vmb_ic_packet)
#define SECONDS(n)  msleep((n)*1000)

static u8 sent[VMB_IC_PACKET_LEN_MAX]; /* the last answer */
static u32 sent_count, sent_len, offs, restarts, thaws;
static u8 said[VMB_IC_PACKET_LEN_MAX]; /* what the host sends now */

int vmb_channel_open(struct vmb_channel *ch, u32 ring_len, const struct vmb_channel_ops *ops,
		     void *context)
{
	ch->ops = ops;
	ch->context = context;
	ch->open = true;
	return 0;
}

int vmb_channel_send(struct vmb_channel *ch, const struct vmb_ring_packet *packet)
{
	if (!ch->open)
		return -ENODEV;
	claim_same(packet->transaction_id, 77);
	sent_len = packet->payload[0].len;
	memcpy(sent, packet->payload[0].base, sent_len);
	sent_count++;
	return 0;
}

bool vmb_channel_copy(struct vmb_channel *ch, const struct vmb_ring_received *packet, u32 offset,
		      void *dst, u32 len)
{
	memcpy(dst, said, len);
	return true;
}

void orderly_poweroff(bool force)
{
	offs++;
}

void orderly_reboot(void)
{
	restarts++;
}

int call_usermodehelper(const char *path, char **argv, char **envp, int wait)
{
	claim_same(strcmp(argv[2], "echo j >/proc/sysrq-trigger"), 0);
	thaws++;
	return 0;
}

/* It needs a PTP clock, which the shim has not. */
static const bool off;
const struct service_kind service_time = { .type = VMB_IC_TIME, .enabled = &off };

/* ---- the host ---- */

static void say(u32 len)
{
	const struct vmb_ring_received received = { .type = VMB_PKT_INBAND,
						    .transaction_id = 77,
						    .payload_len = (len + 7) & ~7u };

	shim_atomic_begin();
	channel.ops->packet(&channel, &received);
	shim_atomic_end();
}

static void negotiate(u16 major, u16 minor)
{
	const struct vmb_ic_version versions[2] = { { 3, 0 }, { major, minor } };
	struct vmb_ic_packet head = { .pipe = { 1, 36 }, .ic = { .body_len = 16, .flags = 3 } };

	memset(said, 0, sizeof(said));
	memcpy(said, &head, sizeof(head));
	said[28] = said[30] = 1;
	memcpy(said + 36, versions, sizeof(versions));
	say(44);
	claim_same(sent_count, 1);
	claim_same(sent[28], 1);
	sent_count = 0;
}

static void *request(enum vmb_ic_type type, u32 body_len)
{
	struct vmb_ic_packet head = { .pipe = { 1, 20 + body_len },
				      .ic = { .type = type, .body_len = body_len, .flags = 3 } };

	memset(said, 0, sizeof(said));
	memcpy(said, &head, sizeof(head));
	return said + HEADERS_LEN;
}

static u32 status(void)
{
	struct vmb_ic_packet head;

	claim_same(sent_count, 1);
	sent_count = 0;
	memcpy(&head, sent, sizeof(head));
	claim_same(head.ic.flags, 5);
	return head.ic.status;
}

static int try_probe(enum vmb_ic_type type)
{
	const struct hv_vmbus_device_id *id = driver->id_table;

	while (((const struct service_kind *)id->driver_data)->type != type)
		id++;
	channel.device.channel = &channel;
	return driver->probe(&channel.device, id);
}

static void probe(enum vmb_ic_type type, u16 major, u16 minor)
{
	claim_same(shim_module_load("hvutils"), 0);
	claim_same(try_probe(type), 0);
	negotiate(major, minor);
}

static void end(void)
{
	driver->remove(&channel.device);
	shim_module_unload("hvutils");
}

/* ---- what the kernel does alone ---- */

static void a_shutdown_is_answered_before_it_begins(void)
{
	struct vmb_ic_shutdown *body;

	probe(VMB_IC_SHUTDOWN, 3, 2);
	body = request(VMB_IC_SHUTDOWN, sizeof(*body));
	say(HEADERS_LEN + sizeof(*body));
	claim_same(status(), VMB_IC_OK);
	SECONDS(1);
	claim_same(offs, 1);
	body = request(VMB_IC_SHUTDOWN, sizeof(*body));
	body->flags = VMB_IC_SHUTDOWN_RESTART | VMB_IC_SHUTDOWN_FORCE;
	say(HEADERS_LEN + sizeof(*body));
	claim_same(status(), VMB_IC_OK);
	SECONDS(1);
	claim_same(restarts, 1);
	body = request(VMB_IC_SHUTDOWN, sizeof(*body));
	body->flags = VMB_IC_SHUTDOWN_HIBERNATE;
	say(HEADERS_LEN + sizeof(*body));
	claim_same(status(), VMB_IC_FAIL);
	SECONDS(1);
	claim_same(offs + restarts, 2);
	end();
}

static void what_is_switched_off_the_host_cannot_use(void)
{
	u8 *enabled;

	probe(VMB_IC_SHUTDOWN, 3, 2);
	enabled = (u8 *)shim_uint("hvutils", "shutdown");
	*enabled = 0;
	request(VMB_IC_SHUTDOWN, sizeof(struct vmb_ic_shutdown));
	say(HEADERS_LEN + sizeof(struct vmb_ic_shutdown));
	claim_same(status(), VMB_IC_FAIL);
	SECONDS(1);
	claim_same(offs, 0);
	driver->remove(&channel.device);
	claim_same(try_probe(VMB_IC_SHUTDOWN), -ENODEV);
	shim_module_unload("hvutils");
}

/* ---- a daemon of key-value pairs ---- */

#define KVP_LEN 7432

static u8 message[KVP_LEN];

static struct file *start_kvp_daemon(void)
{
	struct file *f = misc_open("vmbus/hv_kvp");

	claim(f);
	memset(message, 0, sizeof(message));
	message[0] = 100;
	claim_same(misc_write(f, message, KVP_LEN), KVP_LEN);
	claim_same(misc_read(f, message, KVP_LEN), KVP_LEN);
	claim_same(message[0], 100);
	claim_same(strcmp((char *)message + 4, "3.1"), 0);
	return f;
}

static void ask_for_pair(u32 index)
{
	struct vmb_ic_kvp *body = request(VMB_IC_KVP, sizeof(*body));

	body->operation = VMB_IC_KVP_ENUMERATE;
	body->pool = VMB_IC_KVP_AUTO;
	body->u.enumerate.index = index;
	say(HEADERS_LEN + sizeof(*body));
}

/* As hv_kvp_daemon does it: ENUMERATE has its key at 20 and its value at 532. */
static void answer_pair(struct file *f)
{
	claim_same(misc_read(f, message, KVP_LEN), KVP_LEN);
	claim_same(message[0], VMB_IC_KVP_ENUMERATE);
	claim_same(message[1], VMB_IC_KVP_AUTO);
	claim_same(message[4], 3);
	memset(message, 0, 4);
	strcpy((char *)message + 20, "OSName");
	strcpy((char *)message + 532, "Debian \xE2\x82\xAC");
	claim_same(misc_write(f, message, KVP_LEN), KVP_LEN);
}

static void a_pair_goes_through_the_daemon(void)
{
	struct vmb_ic_kvp *body = (void *)(sent + HEADERS_LEN);
	struct file *f;
	char text[64];

	probe(VMB_IC_KVP, 4, 0);
	f = start_kvp_daemon();
	claim_same(misc_poll(f), 0);
	ask_for_pair(3);
	answer_pair(f);
	claim_same(status(), VMB_IC_OK);
	claim_same(sent_len, HEADERS_LEN + sizeof(*body));
	claim_same(body->u.enumerate.value.type, VMB_IC_KVP_TEXT);
	claim_same(body->u.enumerate.value.key_len, 14);
	vmb_utf16_to_utf8(text, sizeof(text), body->u.enumerate.value.value,
			  body->u.enumerate.value.value_len);
	claim_same(strcmp(text, "Debian \xE2\x82\xAC"), 0);
	claim_same(misc_write(f, message, KVP_LEN), -EINVAL); /* nobody asked */
	misc_close(f);
	end();
}

static void a_set_pair_reaches_the_daemon(void)
{
	struct vmb_ic_kvp *body;
	struct file *f;

	probe(VMB_IC_KVP, 4, 0);
	f = start_kvp_daemon();
	body = request(VMB_IC_KVP, sizeof(*body));
	body->operation = VMB_IC_KVP_SET;
	body->u.value.type = VMB_IC_KVP_U32;
	body->u.value.key_len = 0xFFFFFFFF;
	vmb_utf16_from_utf8(body->u.value.key, 256, "n\xC3\xBCtzlich");
	body->u.value.value_len = 4;
	body->u.value.value[0] = 200;
	say(HEADERS_LEN + sizeof(*body));
	claim_same(misc_read(f, message, KVP_LEN), KVP_LEN);
	claim_same(message[0], VMB_IC_KVP_SET);
	claim_same(message[8], 10); /* UTF-8, and the NUL */
	claim_same(message[12], 4);
	claim_same(strcmp((char *)message + 16, "n\xC3\xBCtzlich"), 0);
	claim_same(strcmp((char *)message + 528, "200"), 0);
	memset(message, 0, 4);
	message[0] = 5;
	message[3] = 0x80; /* E_FAIL's sign and 5 */
	claim_same(misc_write(f, message, KVP_LEN), KVP_LEN);
	claim_same(status(), 0x80000005);
	misc_close(f);
	end();
}

static void without_a_daemon_a_request_fails(void)
{
	struct file *f;

	probe(VMB_IC_KVP, 4, 0);
	ask_for_pair(3);
	SECONDS(1);
	claim_same(status(), VMB_IC_FAIL);
	f = misc_open("vmbus/hv_kvp");
	claim(!misc_open("vmbus/hv_kvp")); /* one at a time */
	ask_for_pair(3);
	SECONDS(1);
	claim_same(status(), VMB_IC_FAIL); /* it has not registered */
	message[0] = 99;
	claim_same(misc_write(f, message, KVP_LEN), -EINVAL);
	claim_same(misc_write(f, message, 10), -EINVAL);
	misc_close(f);
	end();
}

static void a_daemon_that_is_late_or_dies_fails_the_request(void)
{
	struct file *f;

	probe(VMB_IC_KVP, 4, 0);
	f = start_kvp_daemon();
	ask_for_pair(3);
	claim_same(misc_read(f, message, KVP_LEN), KVP_LEN);
	SECONDS(29);
	claim_same(sent_count, 0);
	SECONDS(2);
	claim_same(status(), VMB_IC_FAIL);
	claim_same(misc_write(f, message, KVP_LEN), -EINVAL); /* too late */
	ask_for_pair(3);
	SECONDS(20); /* the first one's limit must not end this one */
	answer_pair(f);
	claim_same(status(), VMB_IC_OK);
	ask_for_pair(3);
	claim_same(misc_read(f, message, KVP_LEN), KVP_LEN);
	misc_close(f);
	claim_same(status(), VMB_IC_FAIL);
	f = start_kvp_daemon();
	ask_for_pair(3);
	answer_pair(f);
	claim_same(status(), VMB_IC_OK);
	misc_close(f);
	end();
}

static void requests_that_come_meanwhile_are_dropped(void)
{
	struct file *f;

	probe(VMB_IC_KVP, 4, 0);
	f = start_kvp_daemon();
	ask_for_pair(3);
	ask_for_pair(4);
	ask_for_pair(5);
	answer_pair(f);
	claim_same(status(), VMB_IC_OK);
	claim_same(misc_poll(f), 0);
	misc_close(f);
	end();
}

static void read_on(void *argument)
{
	struct file *f = argument;

	claim_same(misc_read(f, message, KVP_LEN), -EBADF);
	claim_same(misc_poll(f), EPOLLERR | EPOLLHUP);
	claim_same(misc_write(f, message, KVP_LEN), -EBADF);
	misc_close(f);
}

static void a_channel_that_goes_wakes_the_daemon(void)
{
	struct bed_thread reader;
	struct file *f;

	probe(VMB_IC_KVP, 4, 0);
	f = start_kvp_daemon();
	bed_start(&reader, "daemon", read_on, f);
	SECONDS(1);
	driver->remove(&channel.device);
	claim(!misc_open("vmbus/hv_kvp"));
	bed_join(&reader);
	shim_module_unload("hvutils");
}

/* Its request, its daemon's death and its channel's end at once, in any order. */
static void die(void *argument)
{
	struct file *f = argument;

	sched_step();
	misc_close(f);
}

static void a_channel_may_go_at_any_time(void)
{
	struct bed_thread dying;
	struct file *f;

	probe(VMB_IC_KVP, 4, 0);
	f = start_kvp_daemon();
	ask_for_pair(3);
	bed_start(&dying, "daemon", die, f);
	sched_step();
	driver->remove(&channel.device);
	bed_join(&dying);
	claim(sent_count <= 1);
	shim_module_unload("hvutils");
}

/* ---- backup and copy ---- */

static void a_freeze_goes_through_the_daemon(void)
{
	struct vmb_ic_backup *body;
	u8 small[12] = { 129 };
	struct file *f;
	u32 answer = 0;

	probe(VMB_IC_BACKUP, 5, 0);
	f = misc_open("vmbus/hv_vss");
	claim_same(misc_write(f, small, 12), 12);
	claim_same(misc_read(f, &answer, 4), 4);
	claim_same(answer, 129);
	body = request(VMB_IC_BACKUP, sizeof(*body));
	body->operation = VMB_IC_BACKUP_CHECK;
	say(HEADERS_LEN + sizeof(*body));
	claim_same(misc_read(f, small, 12), 12);
	claim_same(small[0], VMB_IC_BACKUP_CHECK);
	memset(small, 0, sizeof(small));
	claim_same(misc_write(f, small, 12), 12);
	claim_same(status(), VMB_IC_OK);
	claim_same(((struct vmb_ic_backup *)(sent + HEADERS_LEN))->flags, 5);
	body = request(VMB_IC_BACKUP, sizeof(*body));
	body->operation = VMB_IC_BACKUP_FREEZE;
	say(HEADERS_LEN + sizeof(*body));
	SECONDS(800);
	claim_same(sent_count, 0); /* it has 900 seconds */
	SECONDS(101);
	claim_same(status(), VMB_IC_FAIL);
	body = request(VMB_IC_BACKUP, sizeof(*body));
	body->operation = 4; /* complete: nobody is asked */
	say(HEADERS_LEN + sizeof(*body));
	SECONDS(1);
	claim_same(status(), VMB_IC_OK);
	misc_close(f);
	end();
}

static struct file *start_vss_daemon(void)
{
	struct file *f = misc_open("vmbus/hv_vss");
	u8 small[12] = { 129 };

	claim_same(misc_write(f, small, 12), 12);
	claim_same(misc_read(f, small, 4), 4);
	return f;
}

static void ask_backup(struct file *f, u8 operation)
{
	struct vmb_ic_backup *body = request(VMB_IC_BACKUP, sizeof(*body));
	u8 small[12];

	body->operation = operation;
	say(HEADERS_LEN + sizeof(*body));
	claim_same(misc_read(f, small, 12), 12);
	claim_same(small[0], operation);
}

static void answer_backup(struct file *f)
{
	u8 small[12] = { 0 };

	claim_same(misc_write(f, small, 12), 12);
	claim_same(status(), VMB_IC_OK);
}

static void what_a_daemon_froze_is_thawed_when_it_dies(void)
{
	struct file *f;

	probe(VMB_IC_BACKUP, 5, 0);
	f = start_vss_daemon();
	ask_backup(f, VMB_IC_BACKUP_FREEZE);
	answer_backup(f);
	ask_backup(f, VMB_IC_BACKUP_THAW);
	answer_backup(f);
	misc_close(f);
	claim_same(thaws, 0);
	f = start_vss_daemon();
	ask_backup(f, VMB_IC_BACKUP_FREEZE);
	answer_backup(f);
	misc_close(f);
	claim_same(thaws, 1);
	f = start_vss_daemon();
	ask_backup(f, VMB_IC_BACKUP_FREEZE); /* it dies in the middle */
	misc_close(f);
	claim_same(thaws, 2);
	claim_same(status(), VMB_IC_FAIL);
	f = start_vss_daemon();
	ask_backup(f, VMB_IC_BACKUP_FREEZE);
	answer_backup(f);
	end(); /* the service goes before the daemon */
	claim_same(thaws, 3);
	misc_close(f);
	claim_same(thaws, 3);
}

/* The host negotiates anew after a sleep; then the daemon answers what was asked before. */
static void an_answer_to_a_request_from_before_a_sleep_is_refused(void)
{
	struct file *f;

	probe(VMB_IC_KVP, 4, 0);
	f = start_kvp_daemon();
	ask_for_pair(3);
	claim_same(misc_read(f, message, KVP_LEN), KVP_LEN);
	claim_same(driver->suspend(&channel.device), 0);
	claim_same(driver->resume(&channel.device), 0);
	negotiate(4, 0);
	message[0] = message[1] = message[2] = message[3] = 0;
	claim_same(misc_write(f, message, KVP_LEN), -EINVAL);
	claim_same(sent_count, 0);
	ask_for_pair(3);
	answer_pair(f);
	claim_same(status(), VMB_IC_OK);
	ask_for_pair(3); /* nobody has read it yet */
	SECONDS(1);
	claim_same(driver->suspend(&channel.device), 0);
	claim_same(driver->resume(&channel.device), 0);
	negotiate(4, 0);
	claim_same(misc_poll(f), 0);
	misc_close(f);
	end();
}

static u32 copy_start(struct file *f, const char *path, const char *name)
{
	struct vmb_ic_copy_start *body = request(VMB_IC_COPY, sizeof(*body));
	u8 got[6196];
	u32 ok = 0;

	vmb_utf16_from_utf8(body->name, sizeof(body->name) / 2, name);
	vmb_utf16_from_utf8(body->path, sizeof(body->path) / 2, path);
	say(HEADERS_LEN + sizeof(*body));
	SECONDS(1);
	if (sent_count)
		return status();
	claim_same(misc_read(f, got, sizeof(got)), 1088);
	claim_same(strcmp((char *)got + 36, name), 0);
	claim_same(strcmp((char *)got + 556, path), 0);
	claim_same(misc_write(f, &ok, 4), 4);
	return status();
}

static void names_that_lead_elsewhere_never_reach_the_daemon(void)
{
	struct file *f;
	u32 one = 1;

	probe(VMB_IC_COPY, 1, 1);
	f = misc_open("vmbus/hv_fcopy");
	claim_same(misc_write(f, &one, 4), 4);
	claim_same(misc_read(f, &one, 4), 4);
	claim_same(copy_start(f, "/root", "file"), VMB_IC_OK);
	claim_same(copy_start(f, "/root/..x/y..", "..file"), VMB_IC_OK);
	claim_same(copy_start(f, "/root/../etc", "file"), VMB_IC_INVALID_ARGUMENT);
	claim_same(copy_start(f, "/..", "file"), VMB_IC_INVALID_ARGUMENT);
	claim_same(copy_start(f, "root", "file"), VMB_IC_INVALID_ARGUMENT);
	claim_same(copy_start(f, "/root", "a/b"), VMB_IC_INVALID_ARGUMENT);
	claim_same(copy_start(f, "/root", ".."), VMB_IC_INVALID_ARGUMENT);
	claim_same(copy_start(f, "/root", ""), VMB_IC_INVALID_ARGUMENT);
	misc_close(f);
	end();
}

static void a_piece_that_is_too_long_never_reaches_the_daemon(void)
{
	struct vmb_ic_copy_write *body;
	struct file *f;
	u32 one = 1;

	probe(VMB_IC_COPY, 1, 1);
	f = misc_open("vmbus/hv_fcopy");
	claim_same(misc_write(f, &one, 4), 4);
	claim_same(misc_read(f, &one, 4), 4);
	body = request(VMB_IC_COPY, sizeof(*body));
	body->header.operation = VMB_IC_COPY_WRITE;
	body->len = 6145;
	say(HEADERS_LEN + sizeof(*body));
	SECONDS(1);
	claim_same(status(), VMB_IC_INVALID_ARGUMENT);
	misc_close(f);
	end();
}

/* What follows are macros that make functions. */
/* clang-format off */
bed_test(a_shutdown_is_answered_before_it_begins)
bed_test(what_is_switched_off_the_host_cannot_use)
bed_test(a_pair_goes_through_the_daemon)
bed_test(a_set_pair_reaches_the_daemon)
bed_test(without_a_daemon_a_request_fails)
bed_test(a_daemon_that_is_late_or_dies_fails_the_request)
bed_test(requests_that_come_meanwhile_are_dropped)
bed_test(a_channel_that_goes_wakes_the_daemon)
bed_test_seeds(a_channel_may_go_at_any_time, 300)
bed_test(a_freeze_goes_through_the_daemon)
bed_test(what_a_daemon_froze_is_thawed_when_it_dies)
bed_test(an_answer_to_a_request_from_before_a_sleep_is_refused)
bed_test(names_that_lead_elsewhere_never_reach_the_daemon)
bed_test(a_piece_that_is_too_long_never_reaches_the_daemon)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_shutdown_is_answered_before_it_begins),
		cmocka_unit_test(test_what_is_switched_off_the_host_cannot_use),
		cmocka_unit_test(test_a_pair_goes_through_the_daemon),
		cmocka_unit_test(test_a_set_pair_reaches_the_daemon),
		cmocka_unit_test(test_without_a_daemon_a_request_fails),
		cmocka_unit_test(test_a_daemon_that_is_late_or_dies_fails_the_request),
		cmocka_unit_test(test_requests_that_come_meanwhile_are_dropped),
		cmocka_unit_test(test_a_channel_that_goes_wakes_the_daemon),
		cmocka_unit_test(test_a_channel_may_go_at_any_time),
		cmocka_unit_test(test_a_freeze_goes_through_the_daemon),
		cmocka_unit_test(test_what_a_daemon_froze_is_thawed_when_it_dies),
		cmocka_unit_test(test_an_answer_to_a_request_from_before_a_sleep_is_refused),
		cmocka_unit_test(test_names_that_lead_elsewhere_never_reach_the_daemon),
		cmocka_unit_test(test_a_piece_that_is_too_long_never_reaches_the_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
