// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How a worker waits: bells that somebody rings who knows only their descriptors, as KVM does, are
 * heard, each for itself, and so is a wake.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/event.h"
#include "devices/worker.h"

static struct vmb_dev_worker worker;
static struct vmb_dev_bell all[2], *const bells[2] = { &all[0], &all[1] };

static int set_up(void **state)
{
	worker.wake = vmb_dev_event_create();
	for (int i = 0; i < 2; i++)
		all[i] = (struct vmb_dev_bell){ .fd = vmb_dev_event_create() };
	return worker.wake < 0 || all[0].fd < 0 || all[1].fd < 0;
}

static int tear_down(void **state)
{
	close(worker.wake);
	close(all[0].fd);
	close(all[1].fd);
	return 0;
}

static bool is_readable(int fd)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };

	return poll(&readable, 1, 0) == 1;
}

static void test_a_bell_is_heard_that_rang_by_its_descriptor(void **state)
{
	vmb_dev_event_ring(all[1].fd);
	vmb_dev_worker_poll(&worker, bells, 2, -1);
	assert_false(vmb_dev_bell_take(&all[0]));
	assert_true(vmb_dev_bell_take(&all[1]));
	assert_false(is_readable(all[1].fd));
}

static void test_a_wake_ends_the_wait_and_is_cleared(void **state)
{
	vmb_dev_worker_wake(&worker);
	vmb_dev_worker_poll(&worker, bells, 2, -1);
	assert_false(is_readable(worker.wake));
	assert_false(vmb_dev_bell_take(&all[0]) || vmb_dev_bell_take(&all[1]));
}

static void test_a_wait_of_no_time_hears_what_is_there(void **state)
{
	vmb_dev_worker_poll(&worker, bells, 2, 0);
	assert_false(vmb_dev_bell_take(&all[0]) || vmb_dev_bell_take(&all[1]));
	vmb_dev_event_ring(all[0].fd);
	vmb_dev_event_ring(worker.wake);
	vmb_dev_worker_poll(&worker, bells, 2, 0);
	assert_true(vmb_dev_bell_take(&all[0]));
	assert_false(is_readable(worker.wake));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_bell_is_heard_that_rang_by_its_descriptor),
		TEST(test_a_wake_ends_the_wait_and_is_cleared),
		TEST(test_a_wait_of_no_time_hears_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
