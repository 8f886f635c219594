// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The integration services end to end, both ends stepped by hand on a clock that the test sets:
 * what is agreed with each generation, heartbeats and their loss, the time, shutdown, and guests
 * that lie or are silent.
 */
#include "tests/services_bed.h"

static void expect_version(const struct vmb_user_device *d, uint16_t framework, uint16_t major,
			   uint16_t minor)
{
	assert_true(d->service.ic.negotiated);
	assert_int_equal(d->service.ic.framework.major, framework);
	assert_int_equal(d->service.ic.message.major, major);
	assert_int_equal(d->service.ic.message.minor, minor);
}

static void test_each_generation_agrees_on_its_versions(void **state)
{
	static const struct {
		uint32_t bus;
		uint16_t framework, shutdown[2], time, heartbeat;
	} rows[] = {
		{ VMB_VERSION_0_13, 1, { 1, 0 }, 1, 1 }, { VMB_VERSION_1_1, 3, { 3, 0 }, 3, 3 },
		{ VMB_VERSION_2_4, 3, { 3, 0 }, 3, 3 },	 { VMB_VERSION_3_0, 3, { 3, 0 }, 3, 3 },
		{ VMB_VERSION_4_0, 3, { 3, 0 }, 4, 3 },	 { VMB_VERSION_5_2, 3, { 3, 2 }, 4, 3 },
		{ VMB_VERSION_6_0, 3, { 3, 2 }, 4, 3 },
	};
	struct bed *b;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(rows); i++) {
		b = bed_new((struct vmb_dev_services_config){ .bus_version = rows[i].bus });
		expect_version(begin(b, VMB_IC_SHUTDOWN), rows[i].framework, rows[i].shutdown[0],
			       rows[i].shutdown[1]);
		expect_version(begin(b, VMB_IC_TIME), rows[i].framework, rows[i].time, 0);
		expect_version(begin(b, VMB_IC_HEARTBEAT), rows[i].framework, rows[i].heartbeat, 0);
		bed_free(b);
	}
}

static void test_offers_are_message_pipes_without_monitor(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	const struct vmb_msg_offer *offer =
		&vmb_user_guest_service(&b->guest, VMB_IC_SHUTDOWN)->channel.offer;
	const struct vmb_guid instance = VMB_GUID_SHUTDOWN_INSTANCE;

	assert_int_equal(offer->flags, 0x11);
	assert_int_equal(offer->user[0], 4);
	assert_int_equal(offer->monitor_id, VMB_OFFER_MONITOR_NONE);
	assert_int_equal(offer->monitor_allocated, 0);
	assert_true(vmb_guid_equal(&offer->instance_id, &instance));
	bed_free(b);
}

static void test_only_chosen_services_are_offered(void **state)
{
	uint32_t offered;
	struct bed *b;

	assert_true(vmb_dev_services_parse("time,shutdown", &offered));
	b = bed_new((struct vmb_dev_services_config){ .offered = offered });
	assert_non_null(vmb_user_guest_service(&b->guest, VMB_IC_TIME));
	assert_non_null(vmb_user_guest_service(&b->guest, VMB_IC_SHUTDOWN));
	assert_null(vmb_user_guest_service(&b->guest, VMB_IC_HEARTBEAT));
	bed_free(b);
	assert_true(vmb_dev_services_parse("none", &offered));
	assert_int_equal(offered, 0);
	assert_true(vmb_dev_services_parse("all", &offered));
	assert_int_equal(offered, VMB_DEV_SERVICES_ALL);
	assert_false(vmb_dev_services_parse("", &offered));
	assert_false(vmb_dev_services_parse("time,", &offered));
	assert_false(vmb_dev_services_parse("times", &offered));
	assert_false(vmb_dev_services_parse("tim", &offered));
}

static void test_heartbeats_go_out_every_two_seconds(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_HEARTBEAT);

	assert_int_equal(d->service.asked, 1);
	live(b, 20);
	assert_int_equal(d->service.asked, 11);
	assert_int_equal(d->service.last_sequence, 12); /* 11, and one more for the answer */
	assert_int_equal(vmb_dev_services_heartbeat(b->services).answered, 11);
	assert_int_equal(vmb_dev_services_heartbeat(b->services).health, VMB_DEV_SERVICES_ALIVE);
	bed_free(b);
}

static void test_loss_and_return_of_heartbeats_are_told_once(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_HEARTBEAT);

	live(b, 4);
	d->service.deaf = true;
	live(b, 29);
	assert_int_equal(lost_now, -1);
	live(b, 4);
	assert_int_equal(lost_now, 1);
	lost_now = -1;
	live(b, 20);
	assert_int_equal(lost_now, -1);
	d->service.deaf = false;
	d->interrupted = true;
	live(b, 4);
	assert_int_equal(lost_now, 0);
	assert_int_equal(hung_count, 0);
	bed_free(b);
}

static void test_watchdog_bites_a_guest_that_stops_to_answer(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ .watchdog_s = 12 });
	struct vmb_user_device *d = begin(b, VMB_IC_HEARTBEAT);

	live(b, 4);
	d->service.silent = true;
	live(b, 10);
	assert_int_equal(hung_count, 0);
	live(b, 6);
	assert_int_equal(hung_count, 1);
	assert_int_equal(vmb_dev_services_heartbeat(b->services).health, VMB_DEV_SERVICES_LOST);
	live(b, 60);
	assert_int_equal(hung_count, 1);
	bed_free(b);
}

static void test_watchdog_spares_who_never_answered_or_left(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ .watchdog_s = 12 });
	struct vmb_user_device *d = vmb_user_guest_service(&b->guest, VMB_IC_HEARTBEAT);

	d->service.silent = true;
	begin(b, VMB_IC_HEARTBEAT);
	live(b, 60);
	assert_int_equal(hung_count, 0);
	d->service.silent = false;
	assert_int_equal(vmb_user_guest_close(&b->guest, d), 0);
	begin(b, VMB_IC_HEARTBEAT);
	live(b, 4);
	assert_int_equal(vmb_user_guest_close(&b->guest, d), 0);
	live(b, 60);
	assert_int_equal(hung_count, 0);
	assert_int_equal(vmb_dev_services_heartbeat(b->services).health, VMB_DEV_SERVICES_UNKNOWN);
	bed_free(b);
}

static void test_machine_that_stood_still_is_forgiven(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ .watchdog_s = 12 });

	struct vmb_user_device *d = begin(b, VMB_IC_HEARTBEAT);

	begin(b, VMB_IC_SHUTDOWN);
	live(b, 4);
	d->service.deaf = true; /* as are processors that do not run */
	vmb_dev_services_pause(b->services, true);
	live(b, 100);
	assert_int_equal(vmb_dev_services_shutdown(b->services, 0, 60), -ENOTCONN);
	vmb_dev_services_pause(b->services, false);
	settle(b);
	assert_int_equal(hung_count, 0);
	d->service.deaf = false;
	d->interrupted = true;
	live(b, 20);
	assert_int_equal(hung_count, 0);
	assert_int_equal(vmb_dev_services_heartbeat(b->services).health, VMB_DEV_SERVICES_ALIVE);
	assert_int_equal(vmb_dev_services_shutdown(b->services, 0, 60), 0);
	bed_free(b);
}

static void test_time_is_set_once_and_then_hinted(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_TIME);

	assert_true(d->service.last_time.sync);
	assert_false(d->service.last_time.sample);
	assert_int_equal(d->service.last_time.utc, clock_now.utc);
	assert_int_equal(d->service.last_time.reference, reference_now);
	live(b, 5);
	assert_int_equal(d->service.asked, 2);
	assert_false(d->service.last_time.sync);
	assert_true(d->service.last_time.sample);
	live(b, 20);
	assert_int_equal(d->service.asked, 6);
	assert_int_equal(vmb_guest_ic_time_at(&d->service.last_time, reference_now + 3),
			 clock_now.utc + 3);
	bed_free(b);
}

static void test_time_is_set_after_the_machine_stood_still(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_TIME);

	live(b, 5);
	assert_false(d->service.last_time.sync);
	clock_now.awake_ns += 40 * SECOND_NS; /* the machine's counter did not go on */
	clock_now.utc += 40 * UNITS;
	live(b, 5);
	assert_true(d->service.last_time.sync);
	live(b, 5);
	assert_false(d->service.last_time.sync);
	clock_now.utc += 40 * UNITS; /* somebody set this machine's clock */
	live(b, 5);
	assert_false(d->service.last_time.sync);
	vmb_dev_services_pause(b->services, true);
	live(b, 60);
	assert_int_equal(d->service.asked, 5);
	vmb_dev_services_pause(b->services, false);
	settle(b);
	assert_int_equal(d->service.asked, 6);
	assert_true(d->service.last_time.sync);
	bed_free(b);
}

static void test_old_time_messages_have_no_reference(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ .bus_version = VMB_VERSION_2_4 });
	struct vmb_user_device *d = begin(b, VMB_IC_TIME);

	assert_true(d->service.last_time.sync);
	assert_int_equal(d->service.last_time.utc, clock_now.utc);
	assert_int_equal(d->service.last_time.reference, 0);
	assert_int_equal(vmb_guest_ic_time_at(&d->service.last_time, 12345), clock_now.utc);
	bed_free(b);
}

static void test_shutdown_is_asked_and_answered(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d;

	assert_int_equal(vmb_dev_services_shutdown(b->services, 0, 60), -ENOTCONN);
	d = begin(b, VMB_IC_SHUTDOWN);
	assert_int_equal(d->service.asked, 0);
	assert_int_equal(vmb_dev_services_shutdown(b->services, VMB_IC_SHUTDOWN_RESTART, 60), 0);
	assert_int_equal(vmb_dev_services_shutdown(b->services, 0, 60), -EBUSY);
	assert_int_equal(vmb_dev_services_shutdown_answer(b->services), -EAGAIN);
	settle(b);
	assert_int_equal(d->service.last_shutdown, VMB_IC_SHUTDOWN_RESTART);
	assert_int_equal(vmb_dev_services_shutdown_answer(b->services), 0);
	d->service.status = VMB_IC_FAIL;
	assert_int_equal(vmb_dev_services_shutdown(b->services, VMB_IC_SHUTDOWN_FORCE, 60), 0);
	settle(b);
	assert_int_equal(d->service.last_shutdown, VMB_IC_SHUTDOWN_OFF);
	assert_int_equal(vmb_dev_services_shutdown_answer(b->services), -EIO);
	bed_free(b);
}

static void test_old_hosts_cannot_restart_or_hibernate(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ .bus_version = VMB_VERSION_4_0 });

	begin(b, VMB_IC_SHUTDOWN);
	assert_int_equal(vmb_dev_services_shutdown(b->services, VMB_IC_SHUTDOWN_RESTART, 60),
			 -EOPNOTSUPP);
	assert_int_equal(vmb_dev_services_shutdown(b->services, VMB_IC_SHUTDOWN_HIBERNATE, 60),
			 -EOPNOTSUPP);
	assert_int_equal(vmb_dev_services_shutdown(b->services, VMB_IC_SHUTDOWN_OFF, 60), 0);
	bed_free(b);
}

static void test_guest_that_leaves_ends_the_call(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_SHUTDOWN);

	d->service.silent = true;
	assert_int_equal(vmb_dev_services_shutdown(b->services, 0, 60), 0);
	settle(b);
	assert_int_equal(vmb_dev_services_shutdown_answer(b->services), -EAGAIN);
	assert_int_equal(vmb_user_guest_close(&b->guest, d), 0);
	assert_int_equal(vmb_dev_services_shutdown_answer(b->services), -ENOTCONN);
	assert_int_equal(vmb_dev_services_shutdown(b->services, 0, 60), -ENOTCONN);
	d->service.silent = false;
	begin(b, VMB_IC_SHUTDOWN);
	assert_int_equal(vmb_dev_services_shutdown(b->services, 0, 60), 0);
	settle(b);
	assert_int_equal(vmb_dev_services_shutdown_answer(b->services), 0);
	bed_free(b);
}

/* How an answer may be wrong: an offset in the packet, and what stands there. */
static uint32_t spoil_at, spoil_len;
static uint8_t spoil_value;

static uint32_t spoil(uint8_t *packet, uint32_t len)
{
	if (spoil_at < len)
		packet[spoil_at] = spoil_value;
	return spoil_len && spoil_len < len ? spoil_len : len;
}

static void expect_broken(uint32_t at, uint8_t value, uint32_t len, bool negotiating)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = vmb_user_guest_service(&b->guest, VMB_IC_HEARTBEAT);
	struct vmb_dev_service *s = vmb_dev_service_find(b->services, VMB_IC_HEARTBEAT);

	spoil_at = at;
	spoil_value = value;
	spoil_len = len;
	if (negotiating)
		d->service.spoil = spoil;
	begin(b, VMB_IC_HEARTBEAT);
	d->service.spoil = spoil;
	live(b, 4);
	assert_true(s->broken);
	/* the others go on, and so does this one when it is opened again */
	begin(b, VMB_IC_SHUTDOWN);
	assert_int_equal(vmb_dev_services_shutdown(b->services, 0, 60), 0);
	d->service.spoil = NULL;
	assert_int_equal(vmb_user_guest_close(&b->guest, d), 0);
	begin(b, VMB_IC_HEARTBEAT);
	live(b, 4);
	assert_false(s->broken);
	assert_int_equal(vmb_dev_services_heartbeat(b->services).health, VMB_DEV_SERVICES_ALIVE);
	bed_free(b);
}

static void test_wrong_answers_cost_that_service_alone(void **state)
{
	expect_broken(0, 2, 0, false); /* the pipe's type */
	expect_broken(5, 0xFF, 0, false); /* its length */
	expect_broken(12, 3, 0, false); /* another service's type */
	expect_broken(19, 0x10, 0, false); /* the body's length */
	expect_broken(24, 1, 0, false); /* the transaction */
	expect_broken(25, 3, 0, false); /* a request */
	expect_broken(25, 4, 0, false); /* no transaction */
	expect_broken(0, 1, 16, false); /* cut off in the header */
	expect_broken(12, 1, 0, true); /* no negotiation */
	expect_broken(28, 2, 0, true); /* counts */
	expect_broken(36, 2, 0, true); /* a framework that was not offered */
	expect_broken(40, 7, 0, true); /* a version that was not offered */
}

static void test_guest_without_a_version_is_left_alone(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ .watchdog_s = 12 });
	struct vmb_user_device *d = vmb_user_guest_service(&b->guest, VMB_IC_HEARTBEAT);

	spoil_at = 28;
	spoil_value = 0;
	spoil_len = 0;
	d->service.spoil = spoil;
	/* the other count */
	begin(b, VMB_IC_HEARTBEAT);
	live(b, 4);
	assert_true(vmb_dev_service_find(b->services, VMB_IC_HEARTBEAT)->broken);
	bed_free(b);
}

static uint32_t refuse(uint8_t *packet, uint32_t len)
{
	memset(packet + 28, 0, 4);
	return len;
}

static void test_refusal_of_all_versions_is_no_fault(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ .watchdog_s = 12 });
	struct vmb_user_device *d = vmb_user_guest_service(&b->guest, VMB_IC_SHUTDOWN);

	d->service.spoil = refuse;
	begin(b, VMB_IC_SHUTDOWN);
	assert_false(vmb_dev_service_find(b->services, VMB_IC_SHUTDOWN)->broken);
	assert_int_equal(vmb_dev_services_shutdown(b->services, 0, 60), -ENOTCONN);
	live(b, 10);
	bed_free(b);
}

/* Answers more often than it was asked. */
static void test_answer_without_a_request_breaks_the_service(void **state)
{
	struct vmb_ic_packet answer = { .pipe = { 1, 20 },
					.ic = { .type = VMB_IC_SHUTDOWN, .flags = 5 } };
	struct vmb_ring_part part = { &answer, sizeof(answer) };
	struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
					  .payload = &part,
					  .payload_count = 1 };
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_SHUTDOWN);
	struct vmb_dev_service *s = vmb_dev_service_find(b->services, VMB_IC_SHUTDOWN);

	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(vmb_ring_write(&d->tx, &packet), 0);
	vmb_ring_commit(&d->tx);
	vmb_user_machine_signal(&b->machine, d->channel.connection_id);
	settle(b);
	assert_true(s->broken);
	assert_int_equal(vmb_user_guest_close(&b->guest, d), 0);
	bed_free(b);
}

static struct vmb_dev_device part_called(struct bed *b, const char *name)
{
	struct vmb_dev_device part;

	for (uint32_t i = 0; vmb_dev_services_part(&part, b->services, i); i++)
		if (strcmp(part.ops->name(part.state), name) == 0)
			return part;
	fail();
	return part;
}

/* With the guest before, in the middle of, and behind its opening. */
static void test_one_service_comes_and_goes(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_dev_device part = part_called(b, "kvp");
	struct vmb_user_device *beat = begin(b, VMB_IC_HEARTBEAT), *kvp;

	for (uint32_t steps = 0; steps < 12; steps++) {
		kvp = vmb_user_guest_service(&b->guest, VMB_IC_KVP);
		assert_non_null(kvp);
		kvp->want_open = steps;
		for (uint32_t i = 1; i < steps; i++)
			step(b);
		vmb_dev_bus_rescind(part.ops->channel(part.state));
		settle(b);
		assert_true(part.ops->released(part.state));
		part.ops->detach(part.state);
		part.ops->detach(part.state); /* as at the machine's end */
		assert_null(vmb_user_guest_service(&b->guest, VMB_IC_KVP));
		live(b, 4);
		assert_int_equal(part.ops->attach(part.state, b->machine.bus), 0);
		assert_int_equal(part.ops->attach(part.state, b->machine.bus), 0);
		settle(b);
	}
	kvp = begin(b, VMB_IC_KVP);
	assert_true(kvp->service.ic.negotiated);
	assert_in_range(beat->service.asked, 24, 26);
	bed_free(b);
}

static void test_deaf_guest_stalls_nobody(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_TIME);

	d->service.deaf = true;
	begin(b, VMB_IC_HEARTBEAT);
	live(b, 30);
	assert_int_equal(vmb_dev_services_heartbeat(b->services).answered, 16);
	assert_int_equal(vmb_user_guest_close(&b->guest, d), 0);
	assert_int_equal(vmb_user_guest_unload(&b->guest), 0);
	bed_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_generation_agrees_on_its_versions),
		cmocka_unit_test(test_offers_are_message_pipes_without_monitor),
		cmocka_unit_test(test_only_chosen_services_are_offered),
		cmocka_unit_test(test_heartbeats_go_out_every_two_seconds),
		cmocka_unit_test(test_loss_and_return_of_heartbeats_are_told_once),
		cmocka_unit_test(test_watchdog_bites_a_guest_that_stops_to_answer),
		cmocka_unit_test(test_watchdog_spares_who_never_answered_or_left),
		cmocka_unit_test(test_machine_that_stood_still_is_forgiven),
		cmocka_unit_test(test_time_is_set_once_and_then_hinted),
		cmocka_unit_test(test_time_is_set_after_the_machine_stood_still),
		cmocka_unit_test(test_old_time_messages_have_no_reference),
		cmocka_unit_test(test_shutdown_is_asked_and_answered),
		cmocka_unit_test(test_old_hosts_cannot_restart_or_hibernate),
		cmocka_unit_test(test_guest_that_leaves_ends_the_call),
		cmocka_unit_test(test_wrong_answers_cost_that_service_alone),
		cmocka_unit_test(test_guest_without_a_version_is_left_alone),
		cmocka_unit_test(test_refusal_of_all_versions_is_no_fault),
		cmocka_unit_test(test_answer_without_a_request_breaks_the_service),
		cmocka_unit_test(test_one_service_comes_and_goes),
		cmocka_unit_test(test_deaf_guest_stalls_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
