// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A peer that writes what it likes into shared memory never gets more than a broken ring.
 */
#include "tests/ring_pair.h"

static void test_hostile_write_index_breaks_reader(void **state)
{
	static const uint32_t bad[] = {
		4, 7, 4095, DATA_LEN, DATA_LEN + 8, 0x80000000u, UINT32_MAX - 7
	};
	struct pair *p = *state;
	struct vmb_ring_received packet;
	uint8_t byte;
	uint32_t i, step;

	for (i = 0; i < VMB_ARRAY_COUNT(bad); i++)
		for (step = 0; step < 2; step++) {
			place(p, DATA_LEN, 0);
			p->control.write_index = bad[i];
			if (step) /* "look again": that finds it */
				assert_true(vmb_ring_unmask(&p->r));
			assert_int_equal(vmb_ring_read(&p->r, &packet), VMB_EPROTO);
			p->control.write_index = 0;
			assert_int_equal(vmb_ring_read(&p->r, &packet), VMB_EPROTO);
			packet = (struct vmb_ring_received){ .payload_len = 8 };
			assert_false(vmb_ring_copy(&p->r, &packet, 16, &byte, 1));
			assert_false(vmb_ring_unmask(&p->r));
			vmb_ring_next(&p->r, &packet);
			assert_false(vmb_ring_release(&p->r));
		}
}

static void test_hostile_write_index_at_release_breaks_reader(void **state)
{
	struct pair *p = *state;

	fill_ring(p);
	p->control.pending_send_size = 32;
	expect(p, VMB_PKT_INBAND, 1, 0, 8);
	p->control.write_index = 5;
	assert_false(vmb_ring_release(&p->r));
	assert_true(p->r.broken);
}

static void test_hostile_read_index_breaks_writer(void **state)
{
	static const uint32_t bad[] = {
		4, 7, 4095, DATA_LEN, DATA_LEN + 8, 0x80000000u, UINT32_MAX - 7
	};
	struct pair *p = *state;
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		place(p, DATA_LEN, 0);
		p->control.read_index = bad[i];
		assert_int_equal(send(p, VMB_PKT_INBAND, 1, 0, 8), VMB_EPROTO);
		p->control.read_index = 0;
		assert_int_equal(send(p, VMB_PKT_INBAND, 1, 0, 8), VMB_EPROTO);
		assert_int_equal(vmb_ring_wait_room(&p->w, 32), VMB_EPROTO);
		assert_int_equal(vmb_ring_room(&p->w), 0);
		assert_false(vmb_ring_commit(&p->w));

		place(p, DATA_LEN, 0);
		send(p, VMB_PKT_INBAND, 1, 0, 8);
		p->control.read_index = bad[i];
		assert_false(vmb_ring_commit(&p->w));
		assert_true(p->w.broken);
	}
}

static void test_own_index_in_shared_memory_is_never_believed(void **state)
{
	struct pair *p = *state;

	send(p, VMB_PKT_INBAND, 1, 0, 8);
	vmb_ring_commit(&p->w);
	p->control.write_index = 4000;
	send(p, VMB_PKT_INBAND, 2, 0, 8);
	vmb_ring_commit(&p->w);
	assert_int_equal(p->control.write_index, 64);
	expect(p, VMB_PKT_INBAND, 1, 0, 8);
	p->control.read_index = 4000;
	expect(p, VMB_PKT_INBAND, 2, 0, 8);
	vmb_ring_release(&p->r);
	assert_int_equal(p->control.read_index, 64);
}

static void test_descriptor_of_every_length_is_accepted_only_if_it_fits(void **state)
{
	struct pair *p = *state;
	struct vmb_ring_received packet;
	uint32_t available, offset8, len8;
	bool good;

	for (available = 8; available <= 96; available += 8)
		for (len8 = 0; len8 <= 14; len8++)
			for (offset8 = 0; offset8 <= 14; offset8++) {
				place(p, DATA_LEN, 4072);
				p->control.write_index = (4072 + available) % DATA_LEN;
				memset(p->data, 0, 128);
				raw_desc(p, 4072,
					 (struct vmb_pkt_desc){ 6, (uint16_t)offset8,
								(uint16_t)len8, 0, 1 });
				good = offset8 >= 2 && offset8 <= len8 && len8 * 8 + 8 <= available;
				assert_int_equal(vmb_ring_read(&p->r, &packet),
						 good ? 0 : VMB_EPROTO);
				assert_int_equal(p->r.broken, !good);
				if (good)
					assert_int_equal(16 + packet.header_len +
								 packet.payload_len,
							 len8 * 8);
			}
}

static void test_extreme_descriptors_break_reader(void **state)
{
	static const struct vmb_pkt_desc bad[] = {
		{ 6, 0, 0, 0, 0 },	     { 6, 2, 0xFFFF, 0, 0 },
		{ 6, 0xFFFF, 0xFFFF, 0, 0 }, { 6, 0xFFFF, 4, 0, 0 },
		{ 6, 1, 4, 0, 0 },	     { 0xFFFF, 3, 2, 0xFFFF, UINT64_MAX },
		{ 6, 0x8000, 0x8002, 0, 0 },
	};
	struct pair *p = *state;
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		place(p, DATA_LEN, 0);
		raw_desc(p, 0, bad[i]);
		p->control.write_index = DATA_LEN - 8;
		assert_int_equal(vmb_ring_read(&p->r, &(struct vmb_ring_received){ 0 }),
				 VMB_EPROTO);
		assert_true(p->r.broken);
	}
}

static void test_type_flags_and_id_are_passed_on_untouched(void **state)
{
	struct pair *p = *state;
	struct vmb_ring_received packet;

	raw_desc(p, 0, (struct vmb_pkt_desc){ 0xABCD, 2, 2, 0x1234, UINT64_MAX });
	p->control.write_index = 24;
	assert_int_equal(vmb_ring_read(&p->r, &packet), 0);
	assert_int_equal(packet.type, 0xABCD);
	assert_int_equal(packet.flags, 0x1234);
	assert_true(packet.transaction_id == UINT64_MAX);
	assert_int_equal(packet.header_len | packet.payload_len, 0);
}

/*
 * docs/known-bugs.md, "17 TOCTOU in shared memory": the descriptor changes after it was read; what
 * was read stays in force.
 */
static void test_descriptor_changed_after_reading_has_no_effect(void **state)
{
	struct pair *p = *state;
	struct vmb_ring_received packet;
	uint8_t got[64];

	send(p, VMB_PKT_INBAND, 1, 0, 16);
	send(p, VMB_PKT_INBAND, 2, 0, 16);
	vmb_ring_commit(&p->w);
	assert_int_equal(vmb_ring_read(&p->r, &packet), 0);
	raw_desc(p, 0, (struct vmb_pkt_desc){ 9, 0xFFFF, 0xFFFF, 7, 666 });
	assert_true(vmb_ring_copy(&p->r, &packet, 16, got, 16));
	assert_false(vmb_ring_copy(&p->r, &packet, 16, got, 17));
	vmb_ring_next(&p->r, &packet);
	assert_int_equal(p->r.read_index, 40);
	expect(p, VMB_PKT_INBAND, 2, 0, 16);
}

static void test_footer_is_skipped_whatever_it_says(void **state)
{
	struct pair *p = *state;

	send(p, VMB_PKT_INBAND, 1, 0, 8);
	send(p, VMB_PKT_INBAND, 2, 0, 8);
	vmb_ring_commit(&p->w);
	memset(p->data + 24, 0xFF, 8);
	expect(p, VMB_PKT_INBAND, 1, 0, 8);
	expect(p, VMB_PKT_INBAND, 2, 0, 8);
}

#define WITH(name, prepare) cmocka_unit_test_setup_teardown(name, prepare, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_hostile_write_index_breaks_reader, setup),
		WITH(test_hostile_write_index_at_release_breaks_reader, setup_small),
		WITH(test_hostile_read_index_breaks_writer, setup),
		WITH(test_own_index_in_shared_memory_is_never_believed, setup),
		WITH(test_descriptor_of_every_length_is_accepted_only_if_it_fits, setup),
		WITH(test_extreme_descriptors_break_reader, setup),
		WITH(test_type_flags_and_id_are_passed_on_untouched, setup),
		WITH(test_descriptor_changed_after_reading_has_no_effect, setup),
		WITH(test_footer_is_skipped_whatever_it_says, setup),
	};

	return cmocka_run_group_tests_name("ring_hostile", tests, NULL, NULL);
}
