// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Signals by page, without KVM: the interrupt page of hosts before 2.4 and the monitor page. The
 * test is the guest and the device; what the monitor would ask of KVM is noted.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/bus.h"
#include "vmm/memory.h"

#define MIB	      (1ull << 20)
#define PAGE	      4096u
#define INTERRUPT_GPA 0x10000u
#define MONITOR_1_GPA 0x11000u
#define MONITOR_2_GPA 0x12000u
#define RING_PAGES    4u /* each way */
#define LONG_MS	      5000 /* it must come, however busy this machine is */
#define SHORT_MS      50 /* it must not come */
#define CHANNEL_COUNT 2u

static struct vmb_dev_machine machine;
static struct vmb_dev_bus *bus;
static struct vmb_dev_channel channels[CHANNEL_COUNT];
static uint8_t last_message[240];
static uint32_t signalled_vp; /* where the last flag was set */
static int64_t signalled_flag; /* -1: none */
static int shared_fd; /* of connection 2, -1: none */

/* What stands around the bus. */
static int post_to_guest(struct vmb_dev_machine *m, uint32_t vp, uint32_t sint, const void *payload,
			 uint32_t len)
{
	memcpy(last_message, payload, len);
	return 0;
}

static void signal_guest(struct vmb_dev_machine *m, uint32_t vp, uint32_t flag)
{
	signalled_vp = vp;
	signalled_flag = flag;
}

static int connect_bell(struct vmb_dev_machine *m, uint32_t connection_id,
			struct vmb_dev_bell *bell, bool on)
{
	if (connection_id != VMB_CONNECTION_EVENT)
		return 0;
	assert_int_equal(shared_fd >= 0, !on);
	shared_fd = on ? bell->fd : -1;
	return 0;
}

static const struct vmb_dev_machine_ops machine_ops = { .doorbell = connect_bell,
							.signal = signal_guest,
							.post = post_to_guest };

/* The devices: their threads are this one. */
static int start(struct vmb_dev_channel *channel)
{
	return 0;
}

static void stop(struct vmb_dev_channel *channel)
{
}

static const struct vmb_dev_channel_ops ops = { .start = start, .stop = stop };

/* The guest. */
static void post(const void *message, uint32_t len)
{
	struct vmb_synic_post block = { .type = VMB_SYNIC_MESSAGE_VMBUS, .payload_len = len };

	memcpy(block.payload, message, len);
	assert_int_equal(vmb_dev_bus_post(bus, 1, &block), 0);
}

static void post_bare(uint32_t type)
{
	const struct vmb_msg_header m = { type, 0 };

	post(&m, sizeof(m));
}

static void open_channel(uint32_t relid)
{
	struct {
		struct vmb_msg_gpadl_header m;
		struct vmb_gpa_range range;
		uint64_t pfns[2 * RING_PAGES];
	} VMB_PACKED lent = {
		.m = { { VMB_MSG_GPADL_HEADER, 0 }, relid, 0x100 + relid, sizeof(lent) - 20, 1 },
		.range = { 2 * RING_PAGES * PAGE, 0 }
	};
	struct vmb_msg_open m = { .header = { VMB_MSG_OPEN, 0 },
				  .relid = relid,
				  .gpadl_id = 0x100 + relid,
				  .target_vp = 1,
				  .downstream_page = RING_PAGES };
	struct vmb_msg_open_result result;

	for (uint32_t i = 0; i < 2 * RING_PAGES; i++)
		lent.pfns[i] = 0x100 * relid + i;
	post(&lent, sizeof(lent));
	post(&m, VMB_MSG_OPEN_LEN);
	memcpy(&result, last_message, sizeof(result));
	assert_int_equal(result.header.type, VMB_MSG_OPEN_RESULT);
	assert_int_equal(result.status, 0);
}

static void close_channel(uint32_t relid)
{
	const struct vmb_msg_relid m = { { VMB_MSG_CLOSE, 0 }, relid };

	post(&m, sizeof(m));
	vmb_dev_bus_stopped(&channels[relid - 1]);
}

static void *at(uint64_t gpa)
{
	return vmb_dev_memory_at(&machine.memory, gpa, PAGE);
}

static struct vmb_interrupt_page *interrupt_page(void)
{
	return at(INTERRUPT_GPA);
}

static struct vmb_monitor_page *monitor_page(void)
{
	return at(MONITOR_2_GPA);
}

static void signal_shared(void)
{
	uint64_t one = 1;

	assert_int_equal(write(shared_fd, &one, sizeof(one)), sizeof(one));
}

static bool rings(uint32_t relid, int limit_ms)
{
	struct pollfd fd = { .fd = channels[relid - 1].bell.fd, .events = POLLIN };
	uint64_t count;

	return poll(&fd, 1, limit_ms) == 1 && read(fd.fd, &count, sizeof(count)) > 0;
}

static int monitored = -1; /* the channel that has a monitor id on every host */

/* Machine, bus and two channels; a contact of this version. */
static void connect_to(const struct vmb_dev_machine_ops *to, uint32_t version,
		       enum vmb_dev_monitors monitor)
{
	struct vmb_msg_initiate_contact contact = {
		.header = { VMB_MSG_INITIATE_CONTACT, 0 },
		.version = version,
		.u.interrupt_page_gpa = INTERRUPT_GPA,
		.parent_to_child_monitor_gpa = MONITOR_1_GPA,
		.child_to_parent_monitor_gpa = MONITOR_2_GPA,
	};

	signalled_flag = shared_fd = -1;
	machine.ops = to;
	machine.vp_count = 2;
	assert_int_equal(vmb_vmm_memory_create(&machine.memory, 16 * MIB, 16 * MIB), 0);
	bus = vmb_dev_bus_create(
		&(struct vmb_dev_bus_config){ .machine = &machine, .monitors = monitor });
	assert_non_null(bus);
	memset(channels, 0, sizeof(channels));
	for (uint32_t i = 0; i < CHANNEL_COUNT; i++) {
		channels[i].ops = &ops;
		channels[i].host.instance_id.bytes[0] = 1 + i;
		channels[i].host.monitored = (int)i == monitored;
		assert_int_equal(vmb_dev_bus_attach(bus, &channels[i]), 0);
	}
	if (version >= VMB_VERSION_5_0)
		contact.u.interrupt_page_gpa = VMB_SYNIC_SINT_VMBUS;
	post(&contact, VMB_MSG_INITIATE_CONTACT_LEN);
	post_bare(VMB_MSG_REQUEST_OFFERS);
	for (uint32_t relid = 1; relid <= CHANNEL_COUNT; relid++)
		open_channel(relid);
}

static void connect_as(uint32_t version, bool monitor)
{
	connect_to(&machine_ops, version, monitor ? VMB_DEV_MONITORS_ON : VMB_DEV_MONITORS_OFF);
}

static void disconnect(void)
{
	for (uint32_t relid = 1; relid <= CHANNEL_COUNT; relid++)
		if (channels[relid - 1].pages)
			close_channel(relid);
	vmb_dev_bus_stop(bus);
	for (uint32_t i = 0; i < CHANNEL_COUNT; i++)
		vmb_dev_bus_detach(&channels[i]);
	vmb_dev_bus_destroy(bus);
	vmb_vmm_memory_destroy(&machine.memory);
}

static void test_old_guest_is_interrupted_by_page_and_flag_0_of_vp_0(void **state)
{
	connect_as(VMB_VERSION_1_1, false);
	vmb_dev_bus_signal(&channels[1]);
	assert_int_equal(signalled_vp, 0);
	assert_int_equal(signalled_flag, 0);
	assert_int_equal(interrupt_page()->to_guest[0], 1u << 2);
	assert_int_equal(interrupt_page()->to_host[0], 0);
	disconnect();
}

static void test_guest_since_2_4_is_interrupted_by_its_channels_flag(void **state)
{
	connect_as(VMB_VERSION_2_4, false);
	vmb_dev_bus_signal(&channels[1]);
	assert_int_equal(signalled_vp, 1);
	assert_int_equal(signalled_flag, 2);
	assert_int_equal(interrupt_page()->to_guest[0], 0);
	assert_int_equal(shared_fd, -1);
	disconnect();
}

static void test_shared_signal_rings_exactly_the_channels_with_a_bit(void **state)
{
	connect_as(VMB_VERSION_0_13, false);
	__atomic_store_n(&interrupt_page()->to_host[0], 1u << 2, __ATOMIC_SEQ_CST);
	signal_shared();
	assert_true(rings(2, LONG_MS));
	assert_false(rings(1, 0));
	assert_int_equal(interrupt_page()->to_host[0], 0);
	__atomic_store_n(&interrupt_page()->to_host[0], 1u << 1 | 1u << 2, __ATOMIC_SEQ_CST);
	signal_shared();
	assert_true(rings(1, LONG_MS));
	assert_true(rings(2, LONG_MS));
	disconnect();
}

static void test_bits_of_no_channel_or_a_closed_one_ring_nothing(void **state)
{
	connect_as(VMB_VERSION_0_13, false);
	close_channel(2);
	memset(interrupt_page()->to_host, 0xFF, sizeof(interrupt_page()->to_host));
	signal_shared();
	assert_true(rings(1, LONG_MS));
	/* Only relids below 256 exist there. */
	assert_int_equal(interrupt_page()->to_host[VMB_INTERRUPT_WORD_COUNT], 0xFFFFFFFF);
	disconnect();
}

static void test_unload_ends_the_use_of_the_page(void **state)
{
	struct vmb_interrupt_page before;
	int fd;

	connect_as(VMB_VERSION_1_1, false);
	fd = dup(shared_fd);
	close_channel(1);
	close_channel(2);
	post_bare(VMB_MSG_UNLOAD);
	assert_int_equal(shared_fd, -1);
	memset(interrupt_page(), 0xA5, PAGE);
	memcpy(&before, interrupt_page(), sizeof(before));
	shared_fd = fd;
	signal_shared();
	usleep(SHORT_MS * 1000);
	assert_memory_equal(interrupt_page(), &before, sizeof(before));
	close(fd);
	shared_fd = -1;
	disconnect();
}

static void set_pending(uint32_t monitor_id)
{
	__atomic_fetch_or(&monitor_page()->groups[monitor_id / 32].pending, 1u << monitor_id % 32,
			  __ATOMIC_SEQ_CST);
}

static void test_pending_bit_alone_rings_the_channel(void **state)
{
	static const uint32_t versions[] = { VMB_VERSION_0_13, VMB_VERSION_2_4, VMB_VERSION_4_1 };

	for (size_t i = 0; i < VMB_ARRAY_COUNT(versions); i++) {
		connect_as(versions[i], true);
		assert_true(channels[0].host.monitor_id < VMB_MONITOR_COUNT_MAX);
		assert_true(channels[0].host.monitor_id != channels[1].host.monitor_id);
		assert_int_not_equal(monitor_page()->trigger_state, 0);
		for (int round = 0; round < 3; round++) {
			set_pending(channels[1].host.monitor_id);
			assert_true(rings(2, LONG_MS));
			assert_false(rings(1, 0));
			/* From busy to idle and back. */
			usleep(round * 20000);
		}
		disconnect();
	}
}

static void test_without_an_open_monitored_channel_the_page_is_left_alone(void **state)
{
	uint32_t id;

	connect_as(VMB_VERSION_4_1, true);
	id = channels[0].host.monitor_id;
	close_channel(1);
	close_channel(2);
	usleep(SHORT_MS * 1000); /* the last look */
	set_pending(id);
	usleep(SHORT_MS * 1000);
	assert_int_equal(monitor_page()->groups[id / 32].pending, 1u << id % 32);
	disconnect();
}

static void test_without_monitors_no_offer_has_one(void **state)
{
	connect_as(VMB_VERSION_4_1, false);
	assert_int_equal(channels[0].host.monitor_id, VMB_OFFER_MONITOR_NONE);
	assert_int_equal(monitor_page()->trigger_state, 0);
	disconnect();
}

static bool wanted;

static bool wants_monitors(struct vmb_dev_machine *m)
{
	return wanted;
}

/* Each connection anew: a loader and the system that it starts may be of different kinds. */
static void test_guests_that_need_monitors_get_them(void **state)
{
	struct vmb_dev_machine_ops ops_with = machine_ops;

	ops_with.wants_monitors = wants_monitors;
	for (uint32_t i = 0; i < 4; i++) {
		wanted = i % 2;
		connect_to(&ops_with, VMB_VERSION_4_1, VMB_DEV_MONITORS_AUTO);
		assert_int_equal(bus->server.monitor_gpa[1], wanted ? MONITOR_2_GPA : 0);
		assert_int_equal(monitor_page()->trigger_state != 0, wanted);
		if (wanted) {
			set_pending(channels[0].host.monitor_id);
			assert_true(rings(1, LONG_MS));
		}
		disconnect();
	}
	/* of a machine that cannot say */
	connect_to(&machine_ops, VMB_VERSION_4_1, VMB_DEV_MONITORS_AUTO);
	assert_int_equal(bus->server.monitor_gpa[1], 0);
	disconnect();
}

/* One card for a driver in user space; all others are left as they are. */
static void test_one_channel_may_have_a_monitor_alone(void **state)
{
	static const enum vmb_dev_monitors modes[] = { VMB_DEV_MONITORS_OFF,
						       VMB_DEV_MONITORS_AUTO };

	monitored = 1;
	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(modes); i++) {
		connect_to(&machine_ops, VMB_VERSION_4_1, modes[i]);
		assert_int_equal(vmb_host_channel_monitor(&channels[0].host),
				 VMB_OFFER_MONITOR_NONE);
		assert_in_range(vmb_host_channel_monitor(&channels[1].host), 0,
				VMB_MONITOR_COUNT_MAX - 1);
		assert_false(channels[0].scanned);
		assert_true(channels[1].scanned);
		set_pending(vmb_host_channel_monitor(&channels[1].host));
		assert_true(rings(2, LONG_MS));
		disconnect();
	}
	monitored = -1;
	connect_to(&machine_ops, VMB_VERSION_4_1, VMB_DEV_MONITORS_OFF);
	assert_int_equal(bus->server.monitor_gpa[1], 0);
	disconnect();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_old_guest_is_interrupted_by_page_and_flag_0_of_vp_0),
		cmocka_unit_test(test_guest_since_2_4_is_interrupted_by_its_channels_flag),
		cmocka_unit_test(test_shared_signal_rings_exactly_the_channels_with_a_bit),
		cmocka_unit_test(test_bits_of_no_channel_or_a_closed_one_ring_nothing),
		cmocka_unit_test(test_unload_ends_the_use_of_the_page),
		cmocka_unit_test(test_pending_bit_alone_rings_the_channel),
		cmocka_unit_test(test_without_an_open_monitored_channel_the_page_is_left_alone),
		cmocka_unit_test(test_without_monitors_no_offer_has_one),
		cmocka_unit_test(test_guests_that_need_monitors_get_them),
		cmocka_unit_test(test_one_channel_may_have_a_monitor_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
