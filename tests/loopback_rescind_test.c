// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The device goes away, or a message is lost, repeated, stale or wrong, at every point of a
 * channel's life. Whatever happens, both ends come to rest, hold nothing of each other's, and a new
 * life works.
 */
#include "tests/loopback_bed.h"

#define STEPS_MAX 400u

/*
 * One whole life without waiting: each step moves one end by one step, and does what is due next.
 */
struct life {
	struct loop *b;
	struct vmb_user_device *d;
	struct vmb_user_request request;
	uint32_t steps;
	bool submitted, finished;
};

static void live_device(struct life *life)
{
	struct vmb_user_device *d = life->d;

	if (d->ready && !life->submitted) {
		memset(&life->request, 0, sizeof(life->request));
		life->request.storage.cdb_len = 6; /* TEST UNIT READY */
		life->request.storage.direction = VMB_STOR_NO_DATA;
		life->submitted = !vmb_user_guest_submit(d, &life->request, false);
	}
	d->want_open = !life->request.has_ended;
	if (life->request.has_ended && !d->pfns && !d->open)
		life->b->l.guest.want_unload = true;
}

/* False: nothing moves any more. */
static bool live_one_step(struct life *life)
{
	struct vmb_user_guest *g = &life->b->l.guest;
	bool any;

	if (!life->steps)
		vmb_guest_connect_start(&g->connect);
	if (!life->d)
		life->d = vmb_user_guest_device(g);
	if (life->d)
		live_device(life);
	any = life->steps++ % 2 ? vmb_user_machine_step(&life->b->l.machine) :
				  vmb_user_guest_step(g);
	life->finished = g->unloaded;
	return any;
}

/* Begins a life, which stays the caller's: its request may be under way afterwards. */
static void live_steps(struct life *life, struct loop *b, uint32_t steps)
{
	*life = (struct life){ .b = b };
	while (life->steps < steps && !life->finished)
		live_one_step(life);
}

/* Lets both ends come to rest, then has a guest boot over this one and live a whole life. */
static void expect_new_life(struct loop *b)
{
	vmb_user_loopback_settle(&b->l);
	if (!vmb_user_loopback_first(&b->l))
		assert_non_null(vmb_user_loopback_offer(&b->l, 2));
	assert_int_equal(vmb_user_loopback_reboot(&b->l), 0);
	loop_expect_whole_life(b);
}

/* How many steps a whole life takes, nothing happening. */
static uint32_t whole_life(void)
{
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct life life;

	live_steps(&life, b, STEPS_MAX);
	assert_true(life.finished && life.submitted && life.request.has_ended);
	assert_int_equal(life.request.result.slot, 0);
	loop_free(b);
	return life.steps;
}

/* docs/known-bugs.md, "11 Rescind during offer or open". */
static void test_rescind_between_any_two_messages_leaves_nothing(void **state)
{
	uint32_t steps, count = whole_life();
	struct vmb_dev_storage *ch;
	struct life life;
	struct loop *b;

	print_message("# %u places to rescind at\n", count);
	assert_true(count > 20);
	for (steps = 0; steps < count; steps++) {
		b = loop_new((struct vmb_user_loopback_config){ 0 });
		live_steps(&life, b, steps);
		ch = vmb_user_loopback_first(&b->l);
		vmb_dev_bus_rescind(&ch->channel);
		vmb_user_loopback_settle(&b->l);
		loop_expect_nothing_held(b);
		assert_null(vmb_user_loopback_first(&b->l));
		assert_null(b->l.machine.devices);
		if (life.submitted)
			assert_true(life.request.has_ended);
		expect_new_life(b);
		loop_free(b);
	}
}

/* The guest takes what was offered in place of the rescinded device, in the same connection. */
static void test_device_offered_anew_is_used(void **state)
{
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	uint8_t round;

	for (round = 0; round < 50; round++) {
		loop_verify(b, loop_open(b), 3, 4096);
		vmb_dev_bus_rescind(&vmb_user_loopback_first(&b->l)->channel);
		vmb_user_loopback_settle(&b->l);
		loop_expect_nothing_held(b);
		assert_null(vmb_user_guest_device(&b->l.guest));
		assert_non_null(vmb_user_loopback_offer(&b->l, round));
		vmb_user_loopback_settle(&b->l);
	}
	loop_expect_whole_life(b);
	loop_free(b);
}

static void test_threads_survive_rescind_under_load(void **state)
{
	struct loop *b = loop_new((struct vmb_user_loopback_config){ .threads = true });
	struct vmb_guest_storage_event event;
	struct vmb_user_device *d;
	uint8_t round, data[4096];
	int err;

	for (round = 0; round < 50; round++) {
		d = loop_open(b);
		loop_verify(b, d, 3, 4096);
		vmb_dev_bus_rescind(&vmb_user_loopback_first(&b->l)->channel);
		do
			err = loop_move(b, d, LOOP_READ, 0, data, sizeof(data), &event);
		while (!err && event.srb_status == VMB_SRB_SUCCESS);
		assert_true(!err || err == VMB_ENODEV || err == VMB_EBUSY);
		assert_non_null(vmb_user_loopback_offer(&b->l, (uint8_t)(round + 2)));
		while (!(d = vmb_user_guest_device(&b->l.guest)))
			;
	}
	assert_int_equal(vmb_user_guest_unload(&b->l.guest), 0);
	loop_expect_nothing_held(b);
	loop_free(b);
}

/* Messages of a host gone wrong: `at` counts those that it sends. */
struct noise {
	struct loop *b;
	uint32_t at, count;
	bool drop;
	uint32_t flip_one_in; /* 0: never */
};

static bool make_noise(void *arg, uint8_t payload[VMB_MSG_LEN_MAX], uint32_t *len)
{
	struct noise *n = arg;
	uint32_t i;

	n->count++;
	if (n->drop)
		return n->count != n->at;
	for (i = 0; n->flip_one_in && !loop_random(n->b, n->flip_one_in) && i < 4; i++)
		payload[loop_random(n->b, VMB_MSG_LEN_MAX)] ^=
			(uint8_t)(1u << loop_random(n->b, 8));
	if (n->flip_one_in && !loop_random(n->b, n->flip_one_in * 4))
		*len = 8 + loop_random(n->b, VMB_MSG_LEN_MAX - 7);
	return true;
}

static void test_any_message_may_be_lost(void **state)
{
	struct noise n = { .drop = true };
	struct life life;
	struct loop *b;

	do {
		n.at++;
		n.count = 0;
		b = loop_new((struct vmb_user_loopback_config){ 0 });
		b->fault.arg = &n;
		b->fault.message = make_noise;
		loop_spoil(b);
		live_steps(&life, b, STEPS_MAX);
		b->fault.message = NULL;
		expect_new_life(b);
		loop_free(b);
	} while (n.count >= n.at);
	assert_true(life.finished);
	print_message("# %u messages lost in turn\n", n.at - 1);
	assert_true(n.at > 6);
}

static void test_scrambled_messages_do_no_harm(void **state)
{
	uint32_t round, finished = 0;
	struct life life;
	struct noise n = { .flip_one_in = 4 };
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });

	n.b = b;
	b->fault.arg = &n;
	for (round = 0; round < 2000; round++) {
		b->fault.message = make_noise;
		loop_spoil(b);
		live_steps(&life, b, 100);
		finished += life.finished;
		b->fault.message = NULL;
		vmb_user_loopback_settle(&b->l);
		assert_int_equal(vmb_user_loopback_reboot(&b->l), 0);
	}
	print_message("# %u of %u lives finished over %u messages\n", finished, round, n.count);
	assert_true(finished > 10 && finished < 1990);
	/*
	 * What the guests leaked because the host never answered went with them: start from
	 * nothing.
	 */
	b->l.machine.memory.used_count = 0;
	memset(b->l.machine.memory.used, 0, b->l.machine.memory.page_count);
	loop_expect_whole_life(b);
	loop_free(b);
}

/*
 * docs/known-bugs.md, "12 Duplicate or stale rescind": sends a message of the test's own, as soon
 * as the slot is free.
 */
static void say(struct loop *b, uint32_t type, uint32_t relid)
{
	struct vmb_msg_relid message = { .header.type = type, .relid = relid };

	while (!vmb_user_synic_post(&b->l.machine.synic, &message, sizeof(message)))
		vmb_user_guest_step(&b->l.guest);
	vmb_user_guest_step(&b->l.guest);
}

static void test_stale_rescinds_are_ignored_at_every_step(void **state)
{
	static const uint32_t relids[] = { 0, 2, 7, 2047, 2048, UINT32_MAX };
	uint32_t steps, count = whole_life(), i;
	struct life life;
	struct loop *b;

	for (steps = 0; steps < count; steps++) {
		b = loop_new((struct vmb_user_loopback_config){ 0 });
		live_steps(&life, b, steps);
		for (i = 0; i < VMB_ARRAY_COUNT(relids); i++)
			say(b, VMB_MSG_RESCIND, relids[i]);
		while (!life.finished && life.steps < STEPS_MAX)
			live_one_step(&life);
		assert_true(life.finished && life.request.has_ended);
		loop_expect_nothing_held(b);
		loop_free(b);
	}
}

static void test_rescind_sent_twice_is_one_rescind(void **state)
{
	uint32_t steps, count = whole_life(), relid;
	struct life life;
	struct vmb_dev_storage *ch;
	struct loop *b;

	for (steps = 0; steps < count; steps++) {
		b = loop_new((struct vmb_user_loopback_config){ 0 });
		live_steps(&life, b, steps);
		ch = vmb_user_loopback_first(&b->l);
		relid = ch->channel.host.relid;
		vmb_dev_bus_rescind(&ch->channel);
		say(b, VMB_MSG_RESCIND, relid);
		vmb_user_loopback_settle(&b->l);
		say(b, VMB_MSG_RESCIND, relid);
		vmb_user_loopback_settle(&b->l);
		loop_expect_nothing_held(b);
		expect_new_life(b);
		loop_free(b);
	}
}

/* docs/known-bugs.md, "36 Revoke and reoffer race": the host resets while the guest is anywhere. */
static void test_machine_reset_at_any_step_releases_everything(void **state)
{
	uint32_t steps, count = whole_life();
	struct life life;
	struct loop *b;

	for (steps = 0; steps < count; steps++) {
		b = loop_new((struct vmb_user_loopback_config){ 0 });
		live_steps(&life, b, steps);
		vmb_dev_bus_reset(b->l.machine.bus);
		while (vmb_user_machine_step(&b->l.machine))
			;
		assert_int_equal(b->l.machine.bus->gpadl_count, 0);
		assert_int_equal(vmb_user_loopback_reboot(&b->l), 0);
		loop_expect_whole_life(b);
		loop_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rescind_between_any_two_messages_leaves_nothing),
		cmocka_unit_test(test_device_offered_anew_is_used),
		cmocka_unit_test(test_threads_survive_rescind_under_load),
		cmocka_unit_test(test_any_message_may_be_lost),
		cmocka_unit_test(test_scrambled_messages_do_no_harm),
		cmocka_unit_test(test_stale_rescinds_are_ignored_at_every_step),
		cmocka_unit_test(test_rescind_sent_twice_is_one_rescind),
		cmocka_unit_test(test_machine_reset_at_any_step_releases_everything),
	};

	return cmocka_run_group_tests_name("loopback_rescind", tests, NULL, NULL);
}
