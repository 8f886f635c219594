// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Key-value pairs, backup and file copy end to end, both ends stepped by hand: what arrives, what is
 * bounded, and what a guest that fails, lies or leaves does to them.
 */
#include <fcntl.h>
#include <unistd.h>

#include "host/ic_kvp.h"
#include "tests/services_bed.h"

/* Key-value pairs */

static union {
	struct vmb_ic_kvp pair;
	struct vmb_ic_kvp_ip ip;
} body, answer;
static struct vmb_dev_service_call call;

static uint32_t ask(struct bed *b, uint32_t len)
{
	call = (struct vmb_dev_service_call){
		.body = &body, .body_len = len, .answer = &answer, .answer_len = len
	};
	assert_int_equal(vmb_dev_services_ask(b->services, VMB_IC_KVP, &call), 0);
	settle(b);
	assert_true(vmb_dev_services_asked(b->services, &call));
	assert_int_equal(call.error, 0);
	return call.status;
}

static uint32_t set(struct bed *b, const char *key, const char *value)
{
	assert_int_equal(vmb_host_ic_kvp_set(&body.pair, VMB_IC_KVP_EXTERNAL, key, value), 0);
	return ask(b, sizeof(body.pair));
}

static uint32_t item(struct bed *b, uint32_t index, struct vmb_host_ic_kvp_item *item)
{
	uint32_t status;

	vmb_host_ic_kvp_enumerate(&body.pair, VMB_IC_KVP_EXTERNAL, index);
	status = ask(b, sizeof(body.pair));
	if (!status)
		assert_int_equal(vmb_host_ic_kvp_item(&answer, call.answer_len, item), 0);
	return status;
}

static void test_pairs_are_set_listed_and_deleted(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_host_ic_kvp_item found;

	begin(b, VMB_IC_KVP);
	assert_int_equal(set(b, "one", "1"), VMB_IC_OK);
	assert_int_equal(set(b, "zw\xC3\xB6lf", "\xE2\x82\xAC \xF0\x9F\x98\x80"), VMB_IC_OK);
	assert_int_equal(set(b, "one", "eins"), VMB_IC_OK);
	assert_int_equal(item(b, 0, &found), VMB_IC_OK);
	assert_string_equal(found.key, "one");
	assert_string_equal(found.value, "eins");
	assert_int_equal(item(b, 1, &found), VMB_IC_OK);
	assert_string_equal(found.key, "zw\xC3\xB6lf");
	assert_string_equal(found.value, "\xE2\x82\xAC \xF0\x9F\x98\x80");
	assert_int_equal(item(b, 2, &found), VMB_IC_NO_MORE_ITEMS);
	assert_int_equal(vmb_host_ic_kvp_delete(&body.pair, 0, "one"), 0);
	assert_int_equal(ask(b, sizeof(body.pair)), VMB_IC_OK);
	assert_int_equal(vmb_host_ic_kvp_delete(&body.pair, 0, "one"), 0);
	assert_int_equal(ask(b, sizeof(body.pair)), VMB_IC_NOT_FOUND);
	bed_free(b);
}

static void test_addresses_are_asked_for(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	static struct vmb_host_ic_kvp_ip ip;

	begin(b, VMB_IC_KVP);
	assert_int_equal(vmb_host_ic_kvp_get_ip(&body.ip, "02:00:00:00:00:ab"), 0);
	assert_int_equal(body.ip.adapter[2 * 15], 'A');
	assert_int_equal(ask(b, sizeof(body.ip)), VMB_IC_OK);
	assert_int_equal(vmb_host_ic_kvp_ip(&answer, call.answer_len, &ip), 0);
	assert_true(ip.dhcp);
	assert_string_equal(ip.addresses, "10.0.2.15;fe80::1");
	assert_string_equal(ip.gateways, "10.0.2.2");
	assert_string_equal(ip.name_servers, "");
	assert_int_equal(vmb_host_ic_kvp_ip(&answer, sizeof(answer) - 1, &ip), VMB_EPROTO);
	bed_free(b);
}

static void test_texts_that_are_too_long_are_refused(void **state)
{
	char text[2100];

	memset(text, 'x', sizeof(text) - 1);
	text[255] = 0;
	assert_int_equal(vmb_host_ic_kvp_set(&body.pair, 0, text, ""), 0);
	text[255] = 'x';
	text[256] = 0;
	assert_int_equal(vmb_host_ic_kvp_set(&body.pair, 0, text, ""), VMB_EOVERFLOW);
	text[256] = 'x';
	text[1024] = 0;
	assert_int_equal(vmb_host_ic_kvp_set(&body.pair, 0, "key", text), VMB_EOVERFLOW);
	text[1023] = 0;
	assert_int_equal(vmb_host_ic_kvp_set(&body.pair, 0, "key", text), 0);
	assert_int_equal(body.pair.u.value.value_len, 2048);
}

/* Lengths that are too long, texts without an end, numbers, halves of pairs. */
static void test_texts_of_a_guest_are_clamped(void **state)
{
	struct vmb_ic_kvp_value *pair = &answer.pair.u.enumerate.value;
	static struct vmb_host_ic_kvp_item found;

	memset(&answer, 0xD8, sizeof(answer));
	assert_int_equal(vmb_host_ic_kvp_item(&answer, sizeof(answer.pair), &found), 0);
	assert_int_equal(strlen(found.key), 256 * 3);
	assert_memory_equal(found.key, "\xEF\xBF\xBD", 3);
	assert_int_equal(strlen(found.value), 1024 * 3);
	assert_int_equal(vmb_host_ic_kvp_item(&answer, sizeof(answer.pair) - 1, &found),
			 VMB_EPROTO);
	memset(&answer, 0, sizeof(answer));
	pair->type = VMB_IC_KVP_U32;
	memset(pair->value, 0xFF, 8);
	assert_int_equal(vmb_host_ic_kvp_item(&answer, sizeof(answer.pair), &found), 0);
	assert_string_equal(found.key, "");
	assert_string_equal(found.value, "4294967295");
	for (pair->type = 8; pair->type <= 11; pair->type += 3) {
		assert_int_equal(vmb_host_ic_kvp_item(&answer, sizeof(answer.pair), &found), 0);
		assert_string_equal(found.value, "18446744073709551615");
	}
}

static void test_second_call_is_refused_and_the_first_can_be_forgotten(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_KVP);
	struct vmb_dev_service_call other = { .body = &body, .body_len = sizeof(body.pair) };

	d->service.silent = true;
	vmb_host_ic_kvp_enumerate(&body.pair, 0, 0);
	call = other;
	assert_int_equal(vmb_dev_services_ask(b->services, VMB_IC_KVP, &call), 0);
	assert_int_equal(vmb_dev_services_ask(b->services, VMB_IC_KVP, &other), -EBUSY);
	settle(b);
	assert_false(vmb_dev_services_asked(b->services, &call));
	vmb_dev_services_withdraw(b->services, VMB_IC_KVP, &call);
	assert_int_equal(vmb_dev_services_ask(b->services, VMB_IC_KVP, &other), 0);
	settle(b);
	/* the first one's answer never came, so the second was not even sent */
	assert_int_equal(other.state, VMB_DEV_SERVICE_CALL_QUEUED);
	assert_int_equal(d->service.asked, 1);
	assert_int_equal(vmb_user_guest_close(&b->guest, d), 0);
	assert_true(vmb_dev_services_asked(b->services, &other));
	assert_int_equal(other.error, -ENOTCONN);
	bed_free(b);
}

/* Backup */

static int backup(struct bed *b, enum vmb_dev_services_backup_state expected)
{
	enum vmb_dev_services_backup_state now;
	int error = vmb_dev_services_backup(b->services, &now);

	assert_int_equal(now, expected);
	return error;
}

static void test_guest_freezes_and_thaws(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d;

	assert_int_equal(vmb_dev_services_freeze(b->services, 60), -ENOTCONN);
	d = begin(b, VMB_IC_BACKUP);
	assert_int_equal(vmb_dev_services_thaw(b->services), -EBUSY);
	assert_int_equal(vmb_dev_services_freeze(b->services, 60), 0);
	assert_int_equal(backup(b, VMB_DEV_SERVICES_THAWED), -EAGAIN);
	settle(b);
	assert_int_equal(backup(b, VMB_DEV_SERVICES_FROZEN), 0);
	assert_true(d->service.frozen);
	assert_int_equal(vmb_dev_services_freeze(b->services, 60), -EBUSY);
	live(b, 30);
	assert_true(d->service.frozen);
	assert_int_equal(vmb_dev_services_thaw(b->services), 0);
	settle(b);
	assert_int_equal(backup(b, VMB_DEV_SERVICES_THAWED), 0);
	assert_false(d->service.frozen);
	bed_free(b);
}

static void test_freeze_has_an_end(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_BACKUP);

	assert_int_equal(vmb_dev_services_freeze(b->services, 10), 0);
	settle(b);
	live(b, 9);
	assert_true(d->service.frozen);
	live(b, 2);
	assert_false(d->service.frozen);
	assert_int_equal(backup(b, VMB_DEV_SERVICES_THAWED), 0);
	assert_int_equal(vmb_dev_services_thaw(b->services), -EBUSY);
	bed_free(b);
}

/* Refuses only to freeze. */
static uint32_t refuse_freeze(uint8_t *packet, uint32_t len)
{
	if (packet[28] == VMB_IC_BACKUP_FREEZE)
		packet[20] = 5;
	return len;
}

static void test_failed_freeze_is_thawed(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_BACKUP);

	d->service.spoil = refuse_freeze;
	assert_int_equal(vmb_dev_services_freeze(b->services, 10), 0);
	settle(b);
	assert_int_equal(d->service.asked, 3); /* check, freeze, thaw */
	assert_false(d->service.frozen);
	assert_int_equal(backup(b, VMB_DEV_SERVICES_THAWED), -EIO);
	d->service.spoil = NULL;
	d->service.status = VMB_IC_FAIL;
	assert_int_equal(vmb_dev_services_freeze(b->services, 10), 0);
	settle(b);
	assert_int_equal(d->service.asked, 4); /* the check failed */
	assert_int_equal(backup(b, VMB_DEV_SERVICES_THAWED), -EIO);
	d->service.status = VMB_IC_OK;
	assert_int_equal(vmb_dev_services_freeze(b->services, 10), 0);
	settle(b);
	assert_int_equal(backup(b, VMB_DEV_SERVICES_FROZEN), 0);
	bed_free(b);
}

/* Its daemon is away. */
static uint32_t refuse_thaw(uint8_t *packet, uint32_t len)
{
	if (packet[28] == VMB_IC_BACKUP_THAW)
		packet[20] = 5;
	return len;
}

static void test_thaw_that_fails_is_said_and_tried_again(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_BACKUP);
	uint32_t asked;

	assert_int_equal(vmb_dev_services_freeze(b->services, 60), 0);
	settle(b);
	d->service.spoil = refuse_thaw;
	assert_int_equal(vmb_dev_services_thaw(b->services), 0);
	settle(b);
	assert_int_equal(backup(b, VMB_DEV_SERVICES_FROZEN), -EIO);
	asked = d->service.asked;
	live(b, 5);
	assert_in_range(d->service.asked - asked, 4, 6);
	d->service.spoil = NULL;
	live(b, 1);
	assert_false(d->service.frozen);
	assert_int_equal(backup(b, VMB_DEV_SERVICES_THAWED), 0);
	asked = d->service.asked;
	live(b, 5);
	assert_int_equal(d->service.asked, asked);
	bed_free(b);
}

static void test_guest_that_opens_the_channel_anew_is_thawed(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_BACKUP);

	assert_int_equal(vmb_dev_services_freeze(b->services, 60), 0);
	settle(b);
	assert_int_equal(vmb_user_guest_close(&b->guest, d), 0);
	assert_int_equal(backup(b, VMB_DEV_SERVICES_FROZEN), -ENOTCONN);
	d = begin(b, VMB_IC_BACKUP);
	assert_false(d->service.frozen);
	assert_int_equal(d->service.asked, 3); /* check, freeze, thaw */
	assert_int_equal(backup(b, VMB_DEV_SERVICES_THAWED), 0);
	bed_free(b);
}

static void test_guest_that_never_freezes_stalls_nobody(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_BACKUP);

	d->service.silent = true;
	assert_int_equal(vmb_dev_services_freeze(b->services, 10), 0);
	live(b, 100);
	assert_int_equal(backup(b, VMB_DEV_SERVICES_CHECKING), -EAGAIN);
	assert_int_equal(vmb_user_guest_close(&b->guest, d), 0);
	assert_int_equal(backup(b, VMB_DEV_SERVICES_CHECKING), -ENOTCONN);
	d->service.silent = false;
	begin(b, VMB_IC_BACKUP);
	assert_int_equal(vmb_dev_services_freeze(b->services, 10), 0);
	settle(b);
	assert_int_equal(backup(b, VMB_DEV_SERVICES_FROZEN), 0);
	bed_free(b);
}

/* Copy */

static uint8_t bytes[20000];

static int new_file(uint32_t len)
{
	char name[] = "/tmp/services-test-XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	unlink(name);
	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(write(fd, bytes, len), len);
	return fd;
}

static int copied(struct bed *b, uint64_t expected)
{
	uint64_t offset;
	int error = vmb_dev_services_copied(b->services, &offset);

	assert_int_equal(offset, expected);
	return error;
}

static void test_file_is_copied_whole(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 6143, 6144, 6145, 20000 };
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_COPY);

	for (size_t i = 0; i < VMB_ARRAY_COUNT(sizes); i++) {
		assert_int_equal(vmb_dev_services_copy(b->services, new_file(sizes[i]), sizes[i],
						       "/a/folder", "name", 0),
				 0);
		assert_int_equal(copied(b, 0), -EAGAIN);
		settle(b);
		assert_int_equal(copied(b, sizes[i]), 0);
		assert_true(d->service.complete);
		assert_int_equal(d->service.file_len, sizes[i]);
		assert_memory_equal(d->service.file, bytes, sizes[i]);
	}
	free(d->service.file);
	bed_free(b);
}

static void test_file_that_shrinks_is_not_copied(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_COPY);
	int fd = new_file(10000);

	assert_int_equal(vmb_dev_services_copy(b->services, fd, 20000, "/", "name", 0), 0);
	settle(b);
	assert_int_equal(copied(b, 6144), -ENODATA);
	assert_null(d->service.file); /* the guest was told to forget it */
	assert_false(d->service.complete);
	bed_free(b);
}

static void test_guest_that_refuses_a_file_ends_it(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_COPY);
	int fd = new_file(10);

	d->service.status = VMB_IC_EXISTS;
	assert_int_equal(vmb_dev_services_copy(b->services, fd, 10, "/", "name", 0), 0);
	assert_int_equal(vmb_dev_services_copy(b->services, fd, 10, "/", "name", 0), -EBUSY);
	settle(b);
	assert_int_equal(copied(b, 0), -EEXIST);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed */
	free(d->service.file);
	d->service.file = NULL;
	bed_free(b);
}

static void test_copy_ends_with_its_channel_and_by_wish(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_COPY);

	d->service.deaf = true;
	assert_int_equal(vmb_dev_services_copy(b->services, new_file(10000), 10000, "/", "n", 0),
			 0);
	settle(b);
	assert_int_equal(vmb_user_guest_close(&b->guest, d), 0);
	assert_int_equal(copied(b, 0), -ENOTCONN);
	d->service.deaf = false;
	begin(b, VMB_IC_COPY);
	assert_int_equal(vmb_dev_services_copy(b->services, new_file(10000), 10000, "/", "n", 0),
			 0);
	vmb_dev_services_copy_cancel(b->services);
	settle(b);
	assert_int_equal(copied(b, 0), -ECANCELED);
	assert_null(d->service.file);
	bed_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs_are_set_listed_and_deleted),
		cmocka_unit_test(test_addresses_are_asked_for),
		cmocka_unit_test(test_texts_that_are_too_long_are_refused),
		cmocka_unit_test(test_texts_of_a_guest_are_clamped),
		cmocka_unit_test(test_second_call_is_refused_and_the_first_can_be_forgotten),
		cmocka_unit_test(test_guest_freezes_and_thaws),
		cmocka_unit_test(test_freeze_has_an_end),
		cmocka_unit_test(test_failed_freeze_is_thawed),
		cmocka_unit_test(test_thaw_that_fails_is_said_and_tried_again),
		cmocka_unit_test(test_guest_that_opens_the_channel_anew_is_thawed),
		cmocka_unit_test(test_guest_that_never_freezes_stalls_nobody),
		cmocka_unit_test(test_file_is_copied_whole),
		cmocka_unit_test(test_file_that_shrinks_is_not_copied),
		cmocka_unit_test(test_guest_that_refuses_a_file_ends_it),
		cmocka_unit_test(test_copy_ends_with_its_channel_and_by_wish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
