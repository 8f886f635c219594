// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A virtual processor's thread without KVM: starting, kicking, joining. What it may not do is send
 * a signal to a thread that was joined: its number means nothing any more.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/machine.h"

static struct vmb_vmm_machine machine;
static struct kvm_run page;
static bool joined, joining_kicks;
static int kills, late_kills;

/* A device that finds a message for the processor just when it was joined. */
int pthread_join(pthread_t thread, void **result)
{
	int (*real)(pthread_t, void **) = dlsym(RTLD_NEXT, "pthread_join");
	int error = real(thread, result);

	joined = true;
	if (joining_kicks)
		vmb_vmm_vcpu_kick(&machine.vcpus[0]);
	return error;
}

/* Only counted: the processor's thread has ended or is about to. */
int pthread_kill(pthread_t thread, int number)
{
	kills++;
	late_kills += joined;
	return 0;
}

static int set_up(void **state)
{
	struct vmb_vmm_vcpu *v = &machine.vcpus[0];

	memset(&machine, 0, sizeof(machine));
	machine.outcome = VMB_VMM_OFF;
	machine.dev.vp_count = 1;
	v->machine = &machine;
	v->run = &page;
	pthread_mutex_init(&v->lock, NULL);
	joined = joining_kicks = false;
	kills = late_kills = 0;
	return 0;
}

static void test_no_signal_after_the_join(void **state)
{
	struct vmb_vmm_vcpu *v = &machine.vcpus[0];

	joining_kicks = true;
	assert_int_equal(vmb_vmm_vcpu_start(v), 0);
	vmb_vmm_vcpu_join(v);
	vmb_vmm_vcpu_kick(v);
	assert_int_equal(late_kills, 0);
	vmb_vmm_vcpu_join(v); /* again is no fault */
}

/*
 * Who ended the machine may be held up between two processors; the second would stay in the guest.
 */
static void test_join_kicks(void **state)
{
	struct vmb_vmm_vcpu *v = &machine.vcpus[0];

	assert_int_equal(vmb_vmm_vcpu_start(v), 0);
	vmb_vmm_vcpu_join(v);
	assert_true(kills > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_no_signal_after_the_join, set_up),
		cmocka_unit_test_setup(test_join_kicks, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
