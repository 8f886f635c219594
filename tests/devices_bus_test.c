// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bus between a guest's messages and a device's thread, without KVM: channels that are offered
 * while the guest runs, memory that it lends, and who gets what back when. The test is the guest
 * and the device.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/channel.h"
#include "devices/bus.h"
#include "vmm/memory.h"

#define MIB	   (1ull << 20)
#define PAGE	   4096u
#define KEPT_MAX   256u
#define RING_PAGES 4u /* each way */

struct message {
	uint32_t len;
	uint8_t bytes[240];
};

static struct vmb_dev_machine machine;
static bool elsewhere; /* another thread than the processor's own has the message */
static struct vmb_dev_bus *bus;
static struct message kept[KEPT_MAX];
static uint32_t kept_count, seen;
static uint32_t signalled[2]; /* by virtual processor */
static uint32_t kicks, started, stopping, released, lacking;
static bool host_refuses; /* the device has no thread, no io_uring, ... */
static struct vmb_dev_channel *last_released;
static struct vmb_dev_channel primary;

/* What stands around the bus. */
static int post_to_guest(struct vmb_dev_machine *m, uint32_t vp, uint32_t sint, const void *payload,
			 uint32_t len)
{
	if (elsewhere) {
		kicks++;
		return VMB_EAGAIN;
	}
	if (sint != VMB_SYNIC_SINT_VMBUS)
		return sint == 7 ? VMB_ENODEV : VMB_EAGAIN;
	assert_true(kept_count < KEPT_MAX);
	kept[kept_count].len = len;
	memcpy(kept[kept_count++].bytes, payload, len);
	return 0;
}

static void signal_guest(struct vmb_dev_machine *m, uint32_t vp, uint32_t flag)
{
	signalled[vp]++;
}

static int connect_bell(struct vmb_dev_machine *m, uint32_t connection_id,
			struct vmb_dev_bell *bell, bool on)
{
	assert_true(bell->fd >= 0);
	return 0;
}

static void lacks(struct vmb_dev_machine *m)
{
	lacking++;
}

static const struct vmb_dev_machine_ops machine_ops = {
	.doorbell = connect_bell, .signal = signal_guest, .post = post_to_guest, .lacks = lacks
};

/* The device. */
static int start(struct vmb_dev_channel *channel)
{
	started++;
	return host_refuses ? -EPERM : 0;
}

static void stop(struct vmb_dev_channel *channel)
{
	stopping++;
}

static void let_go(struct vmb_dev_channel *channel)
{
	released++;
	last_released = channel;
	if (!channel->host.sub_channel_index)
		return;
	vmb_dev_bus_detach(channel);
	free(channel);
}

static const struct vmb_dev_channel_ops ops = { .start = start, .stop = stop, .released = let_go };

static struct vmb_dev_channel *new_sub_channel(uint16_t index)
{
	struct vmb_dev_channel *channel = calloc(1, sizeof(*channel));

	assert_non_null(channel);
	channel->ops = &ops;
	channel->host.instance_id.bytes[0] = 1;
	channel->host.sub_channel_index = index;
	return channel;
}

/* The guest. */
static void post(const void *message, uint32_t len)
{
	struct vmb_synic_post block = { .type = VMB_SYNIC_MESSAGE_VMBUS, .payload_len = len };

	memcpy(block.payload, message, len);
	elsewhere = false; /* the guest's processor is in the hypercall */
	assert_int_equal(vmb_dev_bus_post(bus, 1, &block), 0);
	elsewhere = true;
}

/* What a kicked processor does. */
static void deliver(void)
{
	elsewhere = false;
	vmb_dev_bus_deliver(bus);
	elsewhere = true;
}

static const void *expect(uint32_t type)
{
	uint32_t found;

	assert_true(seen < kept_count);
	memcpy(&found, kept[seen].bytes, sizeof(found));
	assert_int_equal(found, type);
	return kept[seen++].bytes;
}

static void expect_nothing(void)
{
	assert_int_equal(seen, kept_count);
}

static void post_relid(uint32_t type, uint32_t relid)
{
	const struct vmb_msg_relid m = { { type, 0 }, relid };

	post(&m, sizeof(m));
}

static void lend(uint32_t relid, uint32_t gpadl_id, uint32_t byte_offset, const uint64_t *pfns,
		 uint32_t count)
{
	struct {
		struct vmb_msg_gpadl_header m;
		struct vmb_gpa_range range;
		uint64_t pfns[16];
	} VMB_PACKED lent = {
		.m = { { VMB_MSG_GPADL_HEADER, 0 }, relid, gpadl_id, 8 + 8 * count, 1 },
		.range = { count * PAGE - byte_offset, byte_offset }
	};

	memcpy(lent.pfns, pfns, count * sizeof(*pfns));
	post(&lent, sizeof(lent.m) + 8 + 8 * count);
	expect(VMB_MSG_GPADL_CREATED);
}

/* Answers the status. */
static uint32_t try_to_open(uint32_t relid, uint64_t first_pfn, uint32_t downstream_page)
{
	struct vmb_msg_open m = { .header = { VMB_MSG_OPEN, 0 },
				  .relid = relid,
				  .gpadl_id = 0x100 + relid,
				  .downstream_page = downstream_page };
	uint64_t pfns[2 * RING_PAGES];
	const struct vmb_msg_open_result *result;

	for (uint32_t i = 0; i < 2 * RING_PAGES; i++)
		pfns[i] = first_pfn + i;
	lend(relid, m.gpadl_id, 0, pfns, 2 * RING_PAGES);
	post(&m, VMB_MSG_OPEN_LEN);
	result = expect(VMB_MSG_OPEN_RESULT);
	return result->status;
}

static void open_channel(uint32_t relid, uint64_t first_pfn)
{
	assert_int_equal(try_to_open(relid, first_pfn, RING_PAGES), 0);
}

static void tear_gpadl_down(uint32_t relid, uint32_t gpadl_id)
{
	const struct vmb_msg_gpadl_teardown m = { { VMB_MSG_GPADL_TEARDOWN, 0 }, relid, gpadl_id };

	post(&m, sizeof(m));
}

static int set_up(void **state)
{
	const struct vmb_msg_initiate_contact contact = {
		.header = { VMB_MSG_INITIATE_CONTACT, 0 },
		.version = VMB_VERSION_5_3,
		.u.v5.target_sint = VMB_SYNIC_SINT_VMBUS,
	};
	const struct vmb_msg_header offers = { VMB_MSG_REQUEST_OFFERS, 0 };

	kept_count = seen = kicks = started = stopping = released = lacking = 0;
	host_refuses = false;
	memset(signalled, 0, sizeof(signalled));
	elsewhere = true;
	machine.ops = &machine_ops;
	machine.vp_count = 2;
	if (vmb_vmm_memory_create(&machine.memory, 16 * MIB, 16 * MIB))
		return -1;
	bus = vmb_dev_bus_create(&(struct vmb_dev_bus_config){ .machine = &machine });
	memset(&primary, 0, sizeof(primary));
	primary.ops = &ops;
	primary.host.instance_id.bytes[0] = 1;
	if (!bus || vmb_dev_bus_attach(bus, &primary))
		return -1;
	post(&contact, VMB_MSG_INITIATE_CONTACT_LEN);
	post(&offers, sizeof(offers));
	expect(VMB_MSG_VERSION_RESPONSE);
	expect(VMB_MSG_OFFER);
	expect(VMB_MSG_OFFERS_DELIVERED);
	open_channel(1, 0x100);
	assert_int_equal(started, 1);
	return 0;
}

static void close_primary(void)
{
	post_relid(VMB_MSG_CLOSE, 1);
	vmb_dev_bus_stopped(&primary);
}

static int tear_down(void **state)
{
	if (primary.pages)
		close_primary();
	vmb_dev_bus_stop(bus);
	vmb_dev_bus_detach(&primary);
	vmb_dev_bus_destroy(bus);
	vmb_vmm_memory_destroy(&machine.memory);
	return 0;
}

/* Answers its relid. */
static uint32_t offer_sub_channel(uint16_t index, struct vmb_dev_channel **channel)
{
	const struct vmb_msg_offer *offer;
	uint32_t before = kicks;

	*channel = new_sub_channel(index);
	assert_int_equal(vmb_dev_bus_attach(bus, *channel), 0);
	assert_int_equal(kicks, before + 1);
	expect_nothing(); /* a message is written by its processor's thread */
	deliver();
	offer = expect(VMB_MSG_OFFER);
	assert_int_equal(offer->sub_channel_index, index);
	return offer->relid;
}

/*
 * A guest that does without its disk for a fault of ours must not look like a success; its own
 * faults are its own.
 */
static void test_what_the_host_could_not_start_is_told_to_the_machine(void **state)
{
	close_primary();
	tear_gpadl_down(1, 0x101);
	expect(VMB_MSG_GPADL_TORNDOWN);
	assert_int_not_equal(try_to_open(1, 0x200, 0), 0);
	assert_int_equal(lacking, 0);
	tear_gpadl_down(1, 0x101);
	expect(VMB_MSG_GPADL_TORNDOWN);
	host_refuses = true;
	assert_int_not_equal(try_to_open(1, 0x200, RING_PAGES), 0);
	assert_int_equal(lacking, 1);
}

static void test_late_offer_reaches_the_guest(void **state)
{
	struct vmb_dev_channel *channel, *refused = new_sub_channel(1);
	uint32_t relid;

	relid = offer_sub_channel(1, &channel);
	open_channel(relid, 0x200);
	assert_int_equal(started, 2);
	assert_int_equal(vmb_dev_bus_attach(bus, refused), VMB_EBUSY);
	free(refused);
	post_relid(VMB_MSG_CLOSE, relid);
	vmb_dev_bus_stopped(channel);
}

/* No page there, or a slot that nobody empties: what is behind the refusal goes on. */
static void test_refusal_that_nobody_takes_holds_nothing_up(void **state)
{
	struct vmb_msg_initiate_contact contact = {
		.header = { VMB_MSG_INITIATE_CONTACT, 0 },
		.version = VMB_VERSION_5_3,
	};
	struct vmb_synic_post block = { .type = VMB_SYNIC_MESSAGE_VMBUS,
					.payload_len = VMB_MSG_INITIATE_CONTACT_LEN };
	struct vmb_dev_channel *channel;

	elsewhere = false;
	for (contact.u.v5.target_sint = 7; contact.u.v5.target_sint < 9;
	     contact.u.v5.target_sint++) {
		memcpy(block.payload, &contact, VMB_MSG_INITIATE_CONTACT_LEN);
		assert_int_equal(vmb_dev_bus_post(bus, VMB_CONNECTION_MESSAGE_MULTICLIENT, &block),
				 0);
	}
	for (uint32_t i = 0; i < 100; i++)
		deliver(); /* SINT 8 has its time */
	expect_nothing();
	offer_sub_channel(1, &channel);
}

static void test_sub_channels_go_with_their_primary(void **state)
{
	struct vmb_dev_channel *open, *closed;
	uint32_t open_relid, closed_relid;

	open_relid = offer_sub_channel(1, &open);
	closed_relid = offer_sub_channel(2, &closed);
	open_channel(open_relid, 0x200);
	post_relid(VMB_MSG_CLOSE, 1);
	assert_int_equal(stopping, 2);
	assert_int_equal(((const struct vmb_msg_relid *)expect(VMB_MSG_RESCIND))->relid,
			 closed_relid);
	expect_nothing();
	vmb_dev_bus_stopped(open);
	deliver();
	assert_int_equal(((const struct vmb_msg_relid *)expect(VMB_MSG_RESCIND))->relid,
			 open_relid);
	vmb_dev_bus_stopped(&primary);
	assert_int_equal(released, 0);
	post_relid(VMB_MSG_RELID_RELEASED, closed_relid);
	assert_int_equal(released, 1);
	assert_ptr_equal(last_released, closed);
	tear_gpadl_down(open_relid, 0x100 + open_relid);
	expect(VMB_MSG_GPADL_TORNDOWN);
	post_relid(VMB_MSG_RELID_RELEASED, open_relid);
	assert_int_equal(released, 2);
	closed = new_sub_channel(1);
	assert_int_equal(vmb_dev_bus_attach(bus, closed), VMB_EINVAL);
	free(closed);
}

static void test_machine_that_stops_gives_sub_channels_back(void **state)
{
	struct vmb_dev_channel *channel;

	offer_sub_channel(1, &channel);
	offer_sub_channel(2, &channel);
	close_primary(); /* both are rescinded, and the guest never answers */
	vmb_dev_bus_stop(bus);
	assert_int_equal(released, 2);
}

static void test_lent_pages_are_mapped_side_by_side(void **state)
{
	const uint64_t pfns[] = { 0x305, 0x301, 0x304, 0x302 };
	struct vmb_dev_shared shared;

	for (uint32_t i = 0; i < 4; i++)
		memset(vmb_dev_memory_at(&machine.memory, pfns[i] * PAGE, PAGE), i + 1, PAGE);
	lend(1, 9, 0, pfns, 4);
	assert_int_equal(vmb_dev_bus_share(&primary, 9, &shared), 0);
	assert_int_equal(shared.len, 4 * PAGE);
	for (uint32_t i = 0; i < 4 * PAGE; i++)
		assert_int_equal(((uint8_t *)shared.memory)[i], i / PAGE + 1);
	/* The guest wants them back: not before the device has let go. */
	tear_gpadl_down(1, 9);
	expect_nothing();
	kicks = 0;
	vmb_dev_bus_unshare(&primary, &shared);
	assert_null(shared.memory);
	assert_int_equal(kicks, 1);
	deliver();
	expect(VMB_MSG_GPADL_TORNDOWN);
	vmb_dev_bus_unshare(&primary, &shared); /* nothing to do */
}

static void test_what_is_no_buffer_is_not_mapped(void **state)
{
	const uint64_t pfns[] = { 0x305, 0x301 };
	struct vmb_dev_shared shared;

	assert_int_equal(vmb_dev_bus_share(&primary, 9, &shared), -ENOENT);
	lend(1, 9, 16, pfns, 2);
	assert_int_equal(vmb_dev_bus_share(&primary, 9, &shared), -EINVAL);
	assert_null(shared.memory);
}

/*
 * Lends as many pages as fit one GPADL, no two of which follow each other: the most mappings that
 * it can take. Answers how many.
 */
static uint32_t lend_scattered(uint32_t gpadl_id)
{
	static uint64_t list[VMB_GPADL_RANGES_LEN_MAX / 8];
	uint32_t pfn_count = VMB_ARRAY_COUNT(list) - 1, at = VMB_MSG_GPADL_HEADER_QWORDS, n;
	struct vmb_gpa_range range = { pfn_count * PAGE, 0 };
	struct {
		struct vmb_msg_gpadl_header m;
		uint64_t qwords[VMB_MSG_GPADL_HEADER_QWORDS];
	} VMB_PACKED head = { .m = { { VMB_MSG_GPADL_HEADER, 0 }, 1, gpadl_id, sizeof(list), 1 } };
	struct {
		struct vmb_msg_gpadl_body m;
		uint64_t qwords[VMB_MSG_GPADL_BODY_QWORDS];
	} VMB_PACKED body = { .m = { { VMB_MSG_GPADL_BODY, 0 }, 0, gpadl_id } };

	memcpy(list, &range, sizeof(range));
	for (uint32_t i = 0; i < pfn_count; i++)
		list[1 + i] = 2 * i % (16 * MIB / PAGE);
	memcpy(head.qwords, list, sizeof(head.qwords));
	post(&head, sizeof(head));
	for (; at < VMB_ARRAY_COUNT(list); at += n) {
		n = VMB_ARRAY_COUNT(list) - at;
		n = n < VMB_MSG_GPADL_BODY_QWORDS ? n : VMB_MSG_GPADL_BODY_QWORDS;
		memcpy(body.qwords, list + at, n * 8);
		post(&body, sizeof(body.m) + n * 8);
	}
	expect(VMB_MSG_GPADL_CREATED);
	return pfn_count;
}

/* What is left for the rest of the process: a mapping for each page of its own. */
static bool can_still_map(uint32_t count)
{
	void *at = mmap(NULL, (uint64_t)2 * count * PAGE, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	bool can = at != MAP_FAILED;

	for (uint32_t i = 0; i < count && can; i++)
		can = mprotect((uint8_t *)at + (uint64_t)2 * i * PAGE, PAGE, PROT_READ) == 0;
	if (at != MAP_FAILED)
		munmap(at, (uint64_t)2 * count * PAGE);
	return can;
}

static void test_scattered_pages_leave_mappings_to_others(void **state)
{
	struct vmb_dev_shared shared[16];
	uint32_t before = bus->mapping_count, each = 0, count = 0;
	int error;

	do {
		each = lend_scattered(0x200 + count);
		error = vmb_dev_bus_share(&primary, 0x200 + count, &shared[count]);
		count += !error;
	} while (!error && count < VMB_ARRAY_COUNT(shared));
	assert_int_equal(error, -ENOSPC);
	assert_int_equal(count, (bus->mapping_max - before) / each);
	assert_int_equal(lacking, 1);
	assert_true(can_still_map(1000));
	while (count)
		vmb_dev_bus_unshare(&primary, &shared[--count]);
	assert_int_equal(bus->mapping_count, before);
	assert_int_equal(vmb_dev_bus_share(&primary, 0x200, &shared[0]), 0);
	vmb_dev_bus_unshare(&primary, &shared[0]);
	elsewhere = false;
}

/* The lines that a guest can cause. */
static uint32_t count_lines(int file)
{
	char text[4096];
	ssize_t len = pread(file, text, sizeof(text), 0);
	uint32_t lines = 0;

	for (ssize_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

static void test_refusals_that_a_guest_repeats_are_one_line(void **state)
{
	int file = memfd_create("errors", MFD_CLOEXEC), standard_error = dup(STDERR_FILENO);
	const uint64_t pfns[] = { 0x305, 0x301, 0x304, 0x302 };
	struct vmb_dev_shared shared;

	lend(1, 9, 0, pfns, 4);
	bus->mapping_max = bus->mapping_count + 3;
	dup2(file, STDERR_FILENO);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(vmb_dev_bus_share(&primary, 9, &shared), -ENOSPC);
	dup2(standard_error, STDERR_FILENO);
	assert_int_equal(count_lines(file), 1);
	bus->mapping_max++;
	assert_int_equal(vmb_dev_bus_share(&primary, 9, &shared), 0);
	vmb_dev_bus_unshare(&primary, &shared);
	close(standard_error);
	close(file);
}

/*
 * A wish for room while packets are unseen would never be granted: the guest has nothing to read
 * and is not told.
 */
static void test_full_ring_is_published_before_the_wish(void **state)
{
	const uint8_t payload[1000] = { 0 };
	const struct vmb_ring_part part = { payload, sizeof(payload) };
	const struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
						.payload = &part,
						.payload_count = 1 };
	uint32_t len = vmb_ring_packet_len(0, sizeof(payload)), written = 0;
	int error;

	while (!(error = vmb_dev_channel_write(&primary, &packet, len)))
		written++;
	assert_int_equal(error, VMB_EAGAIN);
	assert_int_equal(written, ((RING_PAGES - 1) * PAGE - 1) / len); /* never quite full */
	assert_int_equal(primary.tx.control->write_index, written * len);
	assert_int_equal(primary.tx.control->pending_send_size, len);
	assert_int_equal(primary.signals, 1);
	/* Room comes back: it is seen without a signal. */
	primary.tx.control->read_index = len * 2;
	assert_int_equal(vmb_dev_channel_write(&primary, &packet, len), 0);
	assert_int_equal(primary.tx.control->pending_send_size, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* The old processor may go offline with an interrupt that it never looks at. */
static void test_moved_channel_interrupts_its_new_processor_at_once(void **state)
{
	const struct vmb_msg_modify_channel m = { { VMB_MSG_MODIFY_CHANNEL, 0 }, 1, 1 };

	vmb_dev_bus_signal(&primary);
	assert_int_equal(signalled[0], 1);
	post(&m, sizeof(m));
	expect(VMB_MSG_MODIFY_CHANNEL_RESPONSE);
	assert_int_equal(signalled[1], 1);
	vmb_dev_bus_signal(&primary);
	assert_int_equal(signalled[0], 1);
	assert_int_equal(signalled[1], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_what_the_host_could_not_start_is_told_to_the_machine),
		CASE(test_late_offer_reaches_the_guest),
		CASE(test_refusal_that_nobody_takes_holds_nothing_up),
		CASE(test_sub_channels_go_with_their_primary),
		CASE(test_moved_channel_interrupts_its_new_processor_at_once),
		CASE(test_machine_that_stops_gives_sub_channels_back),
		CASE(test_lent_pages_are_mapped_side_by_side),
		CASE(test_what_is_no_buffer_is_not_mapped),
		CASE(test_scattered_pages_leave_mappings_to_others),
		CASE(test_refusals_that_a_guest_repeats_are_one_line),
		CASE(test_full_ring_is_published_before_the_wish),
	};

	return cmocka_run_group_tests_name("devices_bus", tests, NULL, NULL);
}
