// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The main thread's loop without a guest: how often it tries a message again whose slot stays
 * occupied.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include <cmocka.h>

#include "devices/bus.h"
#include "vmm/machine.h"

#define LASTS_MS 300
#define RETRY_MS 10

static struct vmb_vmm_machine machine;
static struct vmb_vmm_console console = { .in_fd = -1, .path = "none" };
static struct vmb_vmm_options options;
static struct vmb_dev_bus bus;
static struct kvm_run page;
static uint32_t tried;

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static void wait_for_slot(void)
{
	__atomic_store_n(&machine.waiting, true, __ATOMIC_SEQ_CST);
	vmb_vmm_machine_wake(&machine);
}

/*
 * In the place of a processor: it is told to try, finds the slot occupied, and says so at once.
 * Much else wakes the thread.
 */
static void *occupied(void *arg)
{
	int64_t end = now_ms() + LASTS_MS;

	wait_for_slot();
	while (now_ms() < end) {
		if (__atomic_exchange_n(&machine.vcpus[0].deliver, 0, __ATOMIC_SEQ_CST)) {
			tried++;
			wait_for_slot();
		}
		vmb_vmm_machine_wake(&machine);
		poll(NULL, 0, 1);
	}
	vmb_vmm_power_end(&machine, VMB_VMM_OFF);
	return NULL;
}

static void test_occupied_slot_is_tried_at_its_rate(void **state)
{
	int64_t began = now_ms();
	pthread_t processor;

	machine.console = &console;
	machine.options = &options;
	machine.vmbus = &bus;
	machine.dev.vp_count = 1;
	machine.vcpus[0].machine = &machine;
	machine.vcpus[0].run = &page;
	machine.wake = eventfd(0, EFD_NONBLOCK);
	machine.ack = eventfd(0, EFD_NONBLOCK);
	pthread_mutex_init(&bus.lock, NULL);
	pthread_mutex_init(&console.lock, NULL);
	vmb_vmm_serial_create(&machine.serial, &machine);
	vmb_vmm_watch_start(&machine);
	assert_int_equal(pthread_create(&processor, NULL, occupied, NULL), 0);
	vmb_vmm_machine_watch(&machine);
	pthread_join(processor, NULL);
	assert_true(tried >= 1);
	assert_true(tried <= (now_ms() - began) / RETRY_MS + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_occupied_slot_is_tried_at_its_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
