// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Faults by rules and a seed: what each kind does to a life of guest and host in one thread, that
 * the same seed does the same again, and that whatever a seed does the guest ends and a new life
 * works.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "devices/fault_plan.h"
#include "tests/loopback_bed.h"

#define STEPS	4000u
#define TICK_IN 8u /* steps of a tick */
#define SEEDS	60u

struct bed {
	struct loop *b;
	struct vmb_dev_fault_plan plan;
};

static void begin(struct bed *t)
{
	t->b = loop_new((struct vmb_user_loopback_config){ 0 });
	vmb_dev_fault_plan_init(&t->plan);
	vmb_dev_fault_plan_attach(&t->plan, t->b->l.machine.bus);
}

static void end(struct bed *t)
{
	vmb_dev_fault_plan_detach(&t->plan, t->b->l.machine.bus);
	loop_free(t->b);
	vmb_dev_fault_plan_destroy(&t->plan);
}

static void add(struct bed *t, const char *rule)
{
	assert_true(vmb_dev_fault_plan_add(&t->plan, rule) > 0);
}

static struct vmb_dev_fault_rule rule_of(struct bed *t, uint32_t place)
{
	struct vmb_dev_fault_rule rule;

	assert_true(vmb_dev_fault_plan_look(&t->plan, place, &rule));
	return rule;
}

/* One life: connects, opens, sends requests one at a time, and goes. */
struct life {
	struct vmb_user_device *d;
	struct vmb_user_request request;
	uint32_t sent, ended;
	uint64_t sum; /* of all that the guest saw of its requests */
	bool busy;
};

static void take_end(struct life *life)
{
	if (!life->busy || !life->request.has_ended)
		return;
	life->busy = false;
	life->ended++;
	life->sum = life->sum * 31 + life->request.result.srb_status * 256 +
		    life->request.result.scsi_status;
}

static void send_next(struct life *life)
{
	if (life->busy || !life->d || !life->d->ready)
		return;
	life->request = (struct vmb_user_request){ 0 };
	life->request.storage.cdb_len = 6; /* TEST UNIT READY */
	life->request.storage.direction = VMB_STOR_NO_DATA;
	life->busy = !vmb_user_guest_submit(life->d, &life->request, false);
	life->sent += life->busy;
}

static void live(struct bed *t, struct life *life, uint32_t steps)
{
	struct vmb_user_guest *g = &t->b->l.guest;

	*life = (struct life){ 0 };
	vmb_guest_connect_start(&g->connect);
	for (uint32_t i = 0; i < steps; i++) {
		life->d = vmb_user_guest_device(g);
		if (life->d)
			life->d->want_open = true;
		vmb_user_guest_step(g);
		vmb_user_machine_step(&t->b->l.machine);
		if (i % TICK_IN == 0)
			vmb_dev_fault_tick(t->b->l.machine.bus);
		take_end(life);
		send_next(life);
	}
	life->sum = life->sum * 31 + t->b->l.machine.bus->server.counters.messages_in;
}

/* Whatever happened: the faults stop, another guest boots, and everything works. */
static void expect_new_life(struct bed *t)
{
	while (t->plan.count)
		assert_int_equal(vmb_dev_fault_plan_remove(&t->plan, t->plan.rules[0].id), 0);
	vmb_user_loopback_settle(&t->b->l);
	assert_int_equal(vmb_user_loopback_reboot(&t->b->l), 0);
	t->b->l.machine.memory.used_count = 0;
	memset(t->b->l.machine.memory.used, 0, t->b->l.machine.memory.page_count);
	loop_expect_whole_life(t->b);
}

static void test_without_rules_nothing_changes(void **state)
{
	struct life life;
	struct bed t;

	begin(&t);
	live(&t, &life, STEPS);
	assert_true(life.ended > 100);
	end(&t);
}

static void test_dropped_completion_leaves_one_request_without_an_end(void **state)
{
	struct life life;
	struct bed t;

	begin(&t);
	add(&t, "drop,on=storage,rate=1,after=20,count=1,seed=1");
	live(&t, &life, STEPS);
	assert_int_equal(rule_of(&t, 0).done, 1);
	assert_true(life.busy && life.ended < 20);
	assert_int_equal(life.sent, life.ended + 1);
	expect_new_life(&t);
	end(&t);
}

static void test_delayed_completion_comes_later(void **state)
{
	struct life slow, quick;
	struct bed t;

	begin(&t);
	live(&t, &quick, STEPS);
	end(&t);
	begin(&t);
	add(&t, "delay,on=storage,rate=1,after=20,ticks=10,seed=1");
	live(&t, &slow, STEPS);
	assert_true(rule_of(&t, 0).done > 10);
	assert_true(slow.ended >= 30);
	assert_true(slow.ended < quick.ended / 4);
	expect_new_life(&t);
	end(&t);
}

static void test_late_answer_to_open_is_waited_for(void **state)
{
	struct life life;
	struct bed t;

	begin(&t);
	add(&t, "delay,on=opened,rate=1,ticks=100,seed=1");
	live(&t, &life, 99 * TICK_IN);
	assert_int_equal(rule_of(&t, 0).done, 1);
	assert_int_equal(life.sent, 0);
	for (uint32_t i = 0; i < STEPS; i++) {
		vmb_user_guest_step(&t.b->l.guest);
		vmb_user_machine_step(&t.b->l.machine);
		vmb_dev_fault_tick(t.b->l.machine.bus);
	}
	assert_true(life.d->open);
	expect_new_life(&t);
	end(&t);
}

static void test_repeated_completion_is_refused_once(void **state)
{
	struct life life;
	struct bed t;

	begin(&t);
	add(&t, "duplicate,on=storage,rate=1,after=20,count=5,seed=1");
	live(&t, &life, STEPS);
	assert_int_equal(rule_of(&t, 0).done, 5);
	assert_int_equal(life.d->refused_packets, 5);
	assert_true(life.ended > 100);
	expect_new_life(&t);
	end(&t);
}

static void test_lost_signal_makes_the_guest_sleep(void **state)
{
	struct life life;
	struct bed t;

	begin(&t);
	add(&t, "silence,on=storage,rate=1,after=30,count=1,seed=1");
	live(&t, &life, STEPS);
	assert_int_equal(rule_of(&t, 0).done, 1);
	assert_true(life.busy);
	assert_true(life.ended < 40);
	expect_new_life(&t);
	end(&t);
}

static void test_throttled_guest_goes_on_slower(void **state)
{
	struct life slow, quick;
	struct bed t;

	begin(&t);
	live(&t, &quick, STEPS);
	end(&t);
	begin(&t);
	add(&t, "throttle,on=storage,rate=1,seed=1");
	live(&t, &slow, STEPS);
	assert_true(slow.ended == 0); /* no signal is ever heard: each is left for the next tick */
	expect_new_life(&t);
	end(&t);
	begin(&t);
	add(&t, "throttle,on=storage,rate=2,seed=1");
	live(&t, &slow, STEPS);
	assert_in_range(slow.ended, 20, quick.ended / 2);
	expect_new_life(&t);
	end(&t);
}

static void test_refused_versions_end_the_guest_in_words(void **state)
{
	struct life life;
	struct bed t;

	begin(&t);
	add(&t, "refuse,rate=1,seed=1");
	live(&t, &life, STEPS);
	assert_true(rule_of(&t, 0).done > 3); /* the guest goes through its versions */
	assert_int_not_equal(t.b->l.guest.connect.state, VMB_GUEST_CONNECTED);
	expect_new_life(&t);
	end(&t);
	begin(&t);
	add(&t, "refuse,rate=1,count=2,seed=1");
	live(&t, &life, STEPS);
	assert_true(life.ended > 100); /* the third version is taken */
	expect_new_life(&t);
	end(&t);
}

static void write_blocks(struct bed *t, uint32_t count, struct vmb_guest_storage_event *event)
{
	static uint8_t data[8 * LOOP_BLOCK_LEN];

	memset(data, 0xA5, sizeof(data));
	assert_int_equal(loop_move(t->b, vmb_user_guest_device(&t->b->l.guest), LOOP_WRITE, 10,
				   data, count * LOOP_BLOCK_LEN, event),
			 0);
}

static void test_torn_write_fails_and_leaves_its_first_half(void **state)
{
	struct vmb_guest_storage_event event;
	const uint8_t *medium;
	struct bed t;

	begin(&t);
	loop_open(t.b);
	add(&t, "tear,rate=1,seed=1");
	write_blocks(&t, 8, &event);
	assert_int_not_equal(event.scsi_status, 0);
	medium = loop_medium(t.b) + 10 * LOOP_BLOCK_LEN;
	assert_int_equal(medium[0], 0xA5);
	assert_int_equal(medium[4 * LOOP_BLOCK_LEN - 1], 0xA5);
	assert_int_equal(medium[4 * LOOP_BLOCK_LEN], 0);
	expect_new_life(&t);
	end(&t);
}

static void test_failed_operation_leaves_the_medium_alone(void **state)
{
	struct vmb_guest_storage_event event;
	struct bed t;

	begin(&t);
	loop_open(t.b);
	add(&t, "fail,rate=1,seed=1");
	write_blocks(&t, 8, &event);
	assert_int_not_equal(event.scsi_status, 0);
	assert_int_equal(loop_medium(t.b)[10 * LOOP_BLOCK_LEN], 0);
	expect_new_life(&t);
	end(&t);
}

/* docs/known-bugs.md, "46 What real hosts refuse". */
static void test_mode_sense_is_refused(void **state)
{
	const uint8_t cdb[6] = { 0x1A, 0, 0x3F, 0, 192 };
	struct vmb_guest_storage_event event;
	uint8_t data[192];
	struct bed t;

	begin(&t);
	loop_open(t.b);
	add(&t, "no-mode-sense,rate=1,seed=1");
	assert_int_equal(vmb_user_loopback_scsi(&t.b->l, vmb_user_guest_device(&t.b->l.guest), 0,
						cdb, sizeof(cdb), VMB_STOR_READ, data, sizeof(data),
						&event),
			 0);
	assert_int_equal(event.sense[2] & 0xF, 5); /* illegal request */
	assert_int_equal(event.sense[12], 0x20); /* invalid command */
	loop_verify(t.b, vmb_user_guest_device(&t.b->l.guest), 3, 4096);
	expect_new_life(&t);
	end(&t);
}

/* The text of a plan, and what it did to a life, as one number. */
static uint64_t outcome(const char *rule, char *text, size_t len)
{
	struct vmb_dev_fault_rule r;
	struct life life;
	struct bed t;
	uint64_t sum;

	begin(&t);
	add(&t, rule);
	live(&t, &life, STEPS);
	sum = life.sum * 31 + life.ended;
	*text = 0;
	for (uint32_t i = 0; vmb_dev_fault_plan_look(&t.plan, i, &r); i++) {
		char one[VMB_DEV_FAULT_RULE_LEN_MAX];

		vmb_dev_fault_plan_text(&r, one, sizeof(one));
		snprintf(text + strlen(text), len - strlen(text), "%s ", one);
		sum = sum * 31 + r.done;
	}
	expect_new_life(&t);
	end(&t);
	return sum;
}

static void test_each_seed_ends_and_does_the_same_again(void **state)
{
	char rule[64], first[1024], second[1024], other[1024];
	uint32_t different = 0;
	uint64_t sum, before = 0;

	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		snprintf(rule, sizeof(rule), "any,seed=%u", seed);
		sum = outcome(rule, first, sizeof(first));
		assert_int_equal(outcome(rule, second, sizeof(second)), sum);
		assert_string_equal(first, second);
		different += sum != before && strcmp(first, other);
		strcpy(other, first);
		before = sum;
	}
	print_message("# %u of %u seeds differ from the one before\n", different, SEEDS);
	assert_true(different > SEEDS / 2);
}

static void test_text_of_a_rule_is_a_rule(void **state)
{
	char text[VMB_DEV_FAULT_RULE_LEN_MAX], again[VMB_DEV_FAULT_RULE_LEN_MAX];
	struct bed t;

	begin(&t);
	for (uint32_t seed = 0; seed < 200; seed++) {
		snprintf(text, sizeof(text), "any,seed=%u", seed);
		add(&t, text);
		while (t.plan.count) {
			struct vmb_dev_fault_rule rule = rule_of(&t, 0);

			vmb_dev_fault_plan_text(&rule, text, sizeof(text));
			assert_int_equal(vmb_dev_fault_plan_remove(&t.plan, rule.id), 0);
			add(&t, text);
			rule = rule_of(&t, t.plan.count - 1);
			vmb_dev_fault_plan_text(&rule, again, sizeof(again));
			assert_string_equal(text, again);
			assert_int_equal(vmb_dev_fault_plan_remove(&t.plan, rule.id), 0);
		}
	}
	end(&t);
}

static void test_bad_rules_are_refused(void **state)
{
	static const char *const rules[] = { "",
					     "drip",
					     "drop,on=moon",
					     "fail,on=network",
					     "tear,on=messages",
					     "drop,rate=0",
					     "drop,rate=x",
					     "drop,often=1",
					     "drop,rate",
					     "delay,ticks=0",
					     "drop,count=0",
					     "drop,seed=-1" };
	struct bed t;

	begin(&t);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(rules); i++)
		assert_int_equal(vmb_dev_fault_plan_add(&t.plan, rules[i]), -EINVAL);
	assert_int_equal(t.plan.count, 0);
	for (uint32_t i = 0; i < VMB_DEV_FAULT_RULE_MAX; i++)
		add(&t, "drop");
	assert_int_equal(vmb_dev_fault_plan_add(&t.plan, "drop"), -EINVAL);
	assert_int_equal(vmb_dev_fault_plan_remove(&t.plan, 77), -ENOENT);
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_rules_nothing_changes),
		cmocka_unit_test(test_dropped_completion_leaves_one_request_without_an_end),
		cmocka_unit_test(test_delayed_completion_comes_later),
		cmocka_unit_test(test_late_answer_to_open_is_waited_for),
		cmocka_unit_test(test_repeated_completion_is_refused_once),
		cmocka_unit_test(test_lost_signal_makes_the_guest_sleep),
		cmocka_unit_test(test_throttled_guest_goes_on_slower),
		cmocka_unit_test(test_refused_versions_end_the_guest_in_words),
		cmocka_unit_test(test_torn_write_fails_and_leaves_its_first_half),
		cmocka_unit_test(test_failed_operation_leaves_the_medium_alone),
		cmocka_unit_test(test_mode_sense_is_refused),
		cmocka_unit_test(test_each_seed_ends_and_does_the_same_again),
		cmocka_unit_test(test_text_of_a_rule_is_a_rule),
		cmocka_unit_test(test_bad_rules_are_refused),
	};

	return cmocka_run_group_tests_name("devices_fault_plan", tests, NULL, NULL);
}
