// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the first signal does and what the second, with a guest that listens and with one that does
 * not. Each case is a process of its own, because a guard's thread never ends.
 */
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "tests/services_bed.h"
#include "vmm/guard.h"
#include "vmm/machine.h"

#define TICK_US 20000
#define LONG	150 /* ticks: three seconds, on a machine that is busy */
#define APART	20 /* ticks: longer than what counts as one signal */

static struct vmb_vmm_machine machine;
static struct vmb_vmm_options options;
static struct vmb_vmm_guard guard;

static void begin_guard(struct bed *b, uint32_t stop_s)
{
	options.stop_s = stop_s;
	machine.options = &options;
	machine.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(vmb_vmm_guard_start(&guard, machine.wake), 0);
	vmb_vmm_guard_attach(&guard, &machine, b->services);
}

/* Both ends go on meanwhile. */
static void wait_ticks(struct bed *b, uint32_t ticks)
{
	while (ticks--) {
		settle(b);
		usleep(TICK_US);
	}
}

static bool ends(struct bed *b)
{
	for (uint32_t i = 0; i < LONG; i++) {
		if (vmb_vmm_power_outcome(&machine) == VMB_VMM_STOPPED)
			return true;
		wait_ticks(b, 1);
	}
	return false;
}

static void await_request(struct bed *b, const struct vmb_user_device *d)
{
	for (uint32_t i = 0; i < LONG && !d->service.asked; i++)
		wait_ticks(b, 1);
	assert_int_equal(d->service.asked, 1);
}

static void first_asks_and_second_ends(void)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_SHUTDOWN);

	begin_guard(b, 60);
	kill(getpid(), SIGTERM);
	await_request(b, d);
	wait_ticks(b, APART);
	assert_int_equal(vmb_vmm_power_outcome(&machine), VMB_VMM_RUNNING);
	assert_true(vmb_vmm_guard_is_stopped(&guard)); /* it is not started again */
	kill(getpid(), SIGTERM);
	assert_true(ends(b));
}

static void refusal_ends(void)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_SHUTDOWN);

	d->service.status = VMB_IC_FAIL;
	begin_guard(b, 60);
	kill(getpid(), SIGTERM);
	await_request(b, d);
	assert_true(ends(b));
}

static void silence_ends_in_time(void)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_SHUTDOWN);

	d->service.silent = true;
	begin_guard(b, 1);
	kill(getpid(), SIGTERM);
	await_request(b, d);
	assert_true(ends(b));
}

static void first_ends_who_does_not_listen(void)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });

	begin_guard(b, 60);
	kill(getpid(), SIGTERM);
	assert_true(ends(b));
}

static void first_ends_who_shall_not_be_asked(void)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_SHUTDOWN);

	begin_guard(b, 0);
	kill(getpid(), SIGTERM);
	assert_true(ends(b));
	settle(b);
	assert_int_equal(d->service.asked, 0);
}

static void run(void (*fn)(void))
{
	pid_t child = fork();
	int status;

	if (!child) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_first_signal_asks_and_second_ends(void **state)
{
	run(first_asks_and_second_ends);
}

static void test_refusal_or_silence_ends(void **state)
{
	run(refusal_ends);
	run(silence_ends_in_time);
}

static void test_first_signal_ends_where_nobody_is_asked(void **state)
{
	run(first_ends_who_does_not_listen);
	run(first_ends_who_shall_not_be_asked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_signal_asks_and_second_ends),
		cmocka_unit_test(test_refusal_or_silence_ends),
		cmocka_unit_test(test_first_signal_ends_where_nobody_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
