// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* GPADLs at the host: assembly from parts, validation, use counts, teardown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host_bed.h"

#define FAR_PFN 0x50000u /* outside guest RAM */

static struct bed *connected(void)
{
	struct bed *bed = bed_new(0, 0);

	bed_device(bed, 1, 0);
	bed_device(bed, 2, 0);
	bed_connect(bed, 0x50003);
	return bed;
}

static void expect_created(struct bed *bed, uint32_t relid, uint32_t id, bool success)
{
	const uint8_t *m = bed_expect(bed, 10, 20);

	assert_int_equal(get32(m, 8), relid);
	assert_int_equal(get32(m, 12), id);
	assert_int_equal(get32(m, 16) == 0, success);
}

/* A header with this list, all of it in one message. */
static uint32_t post_list(struct bed *bed, uint32_t relid, uint32_t id, uint16_t ranges_len,
			  uint16_t range_count, const uint64_t *list, uint32_t count)
{
	uint8_t m[240] = { 8 };
	uint32_t i;

	put32(m, 8, relid);
	put32(m, 12, id);
	put16(m, 16, ranges_len);
	put16(m, 18, range_count);
	for (i = 0; i < count; i++)
		put64(m, 20 + 8 * i, list[i]);
	return bed_post(bed, m, 20 + 8 * count);
}

static uint32_t post_body(struct bed *bed, uint32_t id, const uint64_t *list, uint32_t count,
			  uint32_t extra_len)
{
	uint8_t m[240] = { 9 };
	uint32_t i;

	put32(m, 8, 12345); /* hosts ignore the number */
	put32(m, 12, id);
	for (i = 0; i < count; i++)
		put64(m, 16 + 8 * i, list[i]);
	return bed_post(bed, m, 16 + 8 * count + extra_len);
}

#define RANGE(count, offset) ((uint64_t)(offset) << 32 | (count))

/* Assembly */

static void check_size(uint32_t pages)
{
	struct bed *bed = connected();
	struct vmb_host_gpadl_range range;
	struct vmb_host_gpadl *gpadl;
	uint32_t i;

	assert_int_equal(post_gpadl(bed, 1, 7, pages), 0);
	expect_created(bed, 1, 7, true);
	bed_expect_nothing(bed);
	gpadl = vmb_host_gpadl_find(bed->s.channels[1], 7);
	assert_non_null(gpadl);
	assert_true(vmb_host_gpadl_range(gpadl, 0, &range));
	assert_false(vmb_host_gpadl_range(gpadl, 1, &range));
	assert_false(vmb_host_gpadl_range(gpadl, ~0u, &range));
	assert_int_equal(range.pfn_count, pages);
	assert_int_equal(range.byte_count, 4096 * pages);
	assert_int_equal(range.byte_offset, 0);
	for (i = 0; i < pages; i++)
		assert_int_equal(range.pfns[i], BED_FIRST_PFN + i);
	bed_free(bed);
}

static void test_any_number_of_pages_is_assembled(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 25, 26, 27, 32, 53, 54, 55, 82, 83, 2048, 8190 };
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(sizes); i++)
		check_size(sizes[i]);
}

/* Firmware sends 240 bytes always: 27 qwords and 4 bytes in a header, 28 qwords in a body. */
static void test_padded_messages_are_taken(void **state)
{
	struct bed *bed = connected();
	uint8_t m[240] = { 8 };
	uint32_t i;

	memset(m + 4, 0xEE, sizeof(m) - 4);
	put32(m, 8, 1);
	put32(m, 12, 7);
	put16(m, 16, 8 + 8 * 28);
	put16(m, 18, 1);
	put64(m, 20, RANGE(28 * 4096, 0));
	for (i = 0; i < 26; i++)
		put64(m, 28 + 8 * i, BED_FIRST_PFN + i);
	assert_int_equal(bed_post(bed, m, 240), 0);
	bed_expect_nothing(bed);
	memset(m, 0xEE, sizeof(m));
	put32(m, 0, 9);
	put32(m, 12, 7);
	put64(m, 16, BED_FIRST_PFN + 26);
	put64(m, 24, BED_FIRST_PFN + 27);
	assert_int_equal(bed_post(bed, m, 240), 0);
	expect_created(bed, 1, 7, true);
	bed_free(bed);
}

/* One qword a message, then all ranges at once: the same result, whatever the cuts. */
static void test_cuts_do_not_matter(void **state)
{
	static const uint64_t list[] = {
		RANGE(4096, 0),	   BED_FIRST_PFN,     RANGE(4096, 1),	 BED_FIRST_PFN + 1,
		BED_FIRST_PFN + 2, RANGE(1, 4095),    BED_FIRST_PFN + 3, RANGE(2, 4095),
		BED_FIRST_PFN + 4, BED_HIGH_PFN + 15,
	};
	const uint32_t count = VMB_ARRAY_COUNT(list);
	struct bed *bed = connected();
	uint32_t first, part, at;

	for (first = 0; first <= count; first++) {
		for (part = 1; part <= count; part++) {
			struct vmb_host_gpadl_range range;
			struct vmb_host_gpadl *gpadl;

			bed_forget(bed);
			assert_int_equal(post_list(bed, 1, 7, 8 * count, 4, list, first), 0);
			for (at = first; at < count; at += part) {
				bed_expect_nothing(bed);
				post_body(bed, 7, list + at, at + part > count ? count - at : part,
					  first % 8);
			}
			expect_created(bed, 1, 7, true);
			gpadl = vmb_host_gpadl_find(bed->s.channels[1], 7);
			assert_true(vmb_host_gpadl_range(gpadl, 3, &range));
			assert_int_equal(range.byte_count, 2);
			assert_int_equal(range.byte_offset, 4095);
			assert_int_equal(range.pfn_count, 2);
			assert_int_equal(range.pfns[1], BED_HIGH_PFN + 15);
			assert_false(vmb_host_gpadl_range(gpadl, 4, &range));
			post_teardown(bed, 1, 7);
		}
	}
	bed_free(bed);
}

static void test_two_assemblies_interleave(void **state)
{
	static const uint64_t first[] = { RANGE(2 * 4096, 0), BED_FIRST_PFN, BED_FIRST_PFN + 1 };
	static const uint64_t second[] = { RANGE(2 * 4096, 0), BED_FIRST_PFN + 8,
					   BED_FIRST_PFN + 9 };
	struct bed *bed = connected();
	struct vmb_host_gpadl_range range;

	post_list(bed, 1, 7, 24, 1, first, 1);
	post_list(bed, 2, 8, 24, 1, second, 1);
	post_list(bed, 2, 7, 24, 1, second, 1); /* bodies could not tell them apart */
	expect_created(bed, 2, 7, false);
	post_body(bed, 7, first + 1, 1, 0);
	post_body(bed, 8, second + 1, 2, 0);
	expect_created(bed, 2, 8, true);
	post_body(bed, 7, first + 2, 1, 0);
	expect_created(bed, 1, 7, true);
	vmb_host_gpadl_range(vmb_host_gpadl_find(bed->s.channels[2], 8), 0, &range);
	assert_int_equal(range.pfns[1], BED_FIRST_PFN + 9);
	vmb_host_gpadl_range(vmb_host_gpadl_find(bed->s.channels[1], 7), 0, &range);
	assert_int_equal(range.pfns[1], BED_FIRST_PFN + 1);
	bed_free(bed);
}

static void test_bodies_of_nothing_are_dropped(void **state)
{
	static const uint64_t list[] = { RANGE(2 * 4096, 0), BED_FIRST_PFN, BED_FIRST_PFN + 1 };
	struct bed *bed = connected();

	post_body(bed, 7, list, 3, 0);
	assert_int_equal(bed->s.counters.misplaced, 1);
	post_list(bed, 1, 7, 24, 1, list, 1);
	post_body(bed, 7, list, 0, 0);
	post_body(bed, 7, list, 0, 7);
	assert_int_equal(bed->s.counters.malformed, 2);
	post_body(bed, 7, list + 1, 2, 0);
	expect_created(bed, 1, 7, true);
	post_body(bed, 7, list + 1, 2, 0);
	assert_int_equal(bed->s.counters.misplaced, 2);
	bed_expect_nothing(bed);
	bed_free(bed);
}

/*
 * Some guests send as many bodies as they have room for: what is behind the list is zeros, and no
 * mistake.
 */
static void test_surplus_bodies_of_zeros_are_taken(void **state)
{
	static const uint64_t list[] = { RANGE(2 * 4096, 0), BED_FIRST_PFN, BED_FIRST_PFN + 1 };
	static const uint64_t zeros[28];
	struct bed *bed = connected();
	uint32_t i;

	post_list(bed, 1, 7, 24, 1, list, 2);
	post_body(bed, 7, list + 2, 1, 0);
	expect_created(bed, 1, 7, true);
	for (i = 0; i < 15; i++)
		assert_int_equal(post_body(bed, 7, zeros, 28, 0), 0);
	assert_int_equal(bed->s.counters.misplaced, 0);
	assert_int_equal(bed->s.counters.malformed, 0);
	bed_expect_nothing(bed);
	/* Not what has something to say, nor what is of no GPADL. */
	post_body(bed, 7, list + 1, 2, 0);
	post_body(bed, 8, zeros, 28, 0);
	assert_int_equal(bed->s.counters.misplaced, 2);
	post_open(bed, 1, 1, 7, 0, 2);
	assert_int_equal(bed->s.counters.malformed, 1); /* two pages are no ring */
	post_teardown(bed, 1, 7);
	post_body(bed, 7, zeros, 28, 0);
	assert_int_equal(bed->s.counters.misplaced, 3);
	bed_free(bed);
}

/* The guest lets go of a channel whose GPADL it never finished, and uses the id for another one. */
static void test_unfinished_gpadl_of_a_released_channel_frees_its_id(void **state)
{
	struct bed *bed = connected();
	struct vmb_host_gpadl_range range;
	uint8_t m[240] = { 8 };
	uint32_t i;

	for (i = 0; i < 3; i++) {
		put32(m, 8, 2);
		put32(m, 12, 7);
		put16(m, 16, 8 + 8 * 100);
		put16(m, 18, 1);
		put32(m, 20, 4096 * 100);
		assert_int_equal(bed_post(bed, m, 240), 0);
		if (i) /* once let go, once taken away as well */
			vmb_host_channel_rescind(bed->s.channels[2]);
		bed_pump(bed);
		post_relid(bed, 13, 2);
		assert_int_equal(bed->gpadls_lent, 0);
		bed_forget(bed);
		assert_int_equal(post_gpadl(bed, 1, 7, 40), 0);
		expect_created(bed, 1, 7, true);
		assert_true(vmb_host_gpadl_range(vmb_host_gpadl_find(bed->s.channels[1], 7), 0,
						 &range));
		assert_int_equal(range.pfns[39], BED_FIRST_PFN + 39);
		post_teardown(bed, 1, 7);
		bed_forget(bed);
		if (i) {
			assert_null(bed->s.channels[2]);
			bed_device(bed, 2, 0);
		} else {
			bed_connect(bed, 0x50003); /* which shows it again */
		}
	}
	bed_free(bed);
}

/* Validation */

static void test_bad_header_gets_a_failure(void **state)
{
	static const struct {
		uint32_t relid, id;
		uint16_t ranges_len, range_count;
	} bad[] = {
		{ 0, 7, 16, 1 },   { 3, 7, 16, 1 },	  { 2048, 7, 16, 1 },
		{ ~0u, 7, 16, 1 }, { 1, 0, 16, 1 }, /* id 0 */
		{ 1, 7, 0, 1 },	   { 1, 7, 8, 1 }, /* smaller than a range */
		{ 1, 7, 17, 1 },   { 1, 7, 20, 1 },	  { 1, 7, 0xFFFF, 1 }, /* no whole qwords */
		{ 1, 7, 16, 0 }, /* no range */
		{ 1, 7, 24, 2 },   { 1, 7, 65528, 4096 }, { 1, 7, 16, 0xFFFF }, /* too many */
	};
	static const uint64_t list[] = { RANGE(4096, 0), BED_FIRST_PFN };
	struct bed *bed = connected();
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		assert_int_equal(post_list(bed, bad[i].relid, bad[i].id, bad[i].ranges_len,
					   bad[i].range_count, list, 2),
				 0);
		expect_created(bed, bad[i].relid, bad[i].id, false);
		bed_expect_no_event(bed);
	}
	assert_int_equal(bed->s.counters.malformed, VMB_ARRAY_COUNT(bad));
	bed_free(bed);
}

static void test_bad_list_gets_a_failure_and_is_released(void **state)
{
	static const struct {
		uint64_t list[5];
		uint32_t count;
		uint16_t range_count;
		bool good;
	} lists[] = {
		{ { RANGE(4096, 0), BED_FIRST_PFN }, 2, 1, true },
		{ { RANGE(0, 0), BED_FIRST_PFN }, 2, 1, false },
		{ { RANGE(1, 4095), BED_FIRST_PFN }, 2, 1, true },
		{ { RANGE(1, 4096), BED_FIRST_PFN }, 2, 1, false },
		{ { RANGE(1, 0x80000000), BED_FIRST_PFN }, 2, 1, false },
		{ { RANGE(4097, 0), BED_FIRST_PFN }, 2, 1, false }, /* two pages, one PFN */
		{ { RANGE(4096, 1), BED_FIRST_PFN }, 2, 1, false },
		{ { RANGE(4096, 1), BED_FIRST_PFN, BED_FIRST_PFN }, 3, 1, true },
		/* would wrap to 0 pages */
		{ { RANGE(0xFFFFFFFF, 0), BED_FIRST_PFN }, 2, 1, false },
		{ { RANGE(0xFFFFF001, 0), BED_FIRST_PFN }, 2, 1, false },
		{ { RANGE(0xFFFFF000, 0), BED_FIRST_PFN }, 2, 1, false },
		{ { RANGE(0xFFFFFFF0, 4095), BED_FIRST_PFN }, 2, 1, false },
		{ { RANGE(4096, 0), BED_FIRST_PFN - 1 }, 2, 1, false },
		{ { RANGE(4096, 0), BED_FIRST_PFN + 0xFFFF }, 2, 1, true },
		{ { RANGE(4096, 0), BED_FIRST_PFN + 0x10000 }, 2, 1, false },
		{ { RANGE(4096, 0), BED_HIGH_PFN + 15 }, 2, 1, true },
		{ { RANGE(4096, 0), BED_HIGH_PFN + 16 }, 2, 1, false },
		{ { RANGE(4096, 0), 0xFFFFFFFFFFFFFFFF }, 2, 1, false },
		{ { RANGE(4096, 0), 1ull << 52 | BED_FIRST_PFN }, 2, 1, false },
		{ { RANGE(8192, 0), BED_FIRST_PFN, FAR_PFN }, 3, 1, false },
		{ { RANGE(4096, 0), BED_FIRST_PFN, RANGE(1, 0), BED_FIRST_PFN }, 4, 2, true },
		{ { RANGE(4096, 0), BED_FIRST_PFN, RANGE(1, 0), FAR_PFN }, 4, 2, false },
		{ { RANGE(8192, 0), BED_FIRST_PFN, BED_FIRST_PFN, RANGE(1, 0) }, 4, 2, false },
		{ { RANGE(12288, 0), BED_FIRST_PFN, BED_FIRST_PFN, BED_FIRST_PFN }, 4, 2, false },
	};
	struct bed *bed = connected();
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(lists); i++) {
		bed_forget(bed);
		assert_int_equal(post_list(bed, 1, 7, (uint16_t)(8 * lists[i].count),
					   lists[i].range_count, lists[i].list, lists[i].count),
				 0);
		expect_created(bed, 1, 7, lists[i].good);
		assert_int_equal(bed->gpadls_lent, lists[i].good);
		assert_int_equal(vmb_host_gpadl_find(bed->s.channels[1], 7) != NULL, lists[i].good);
		post_teardown(bed, 1, 7);
		assert_int_equal(bed->message_count, lists[i].good ? 2 : 1);
		assert_int_equal(bed->gpadls_lent, 0);
	}
	bed_free(bed);
}

static void test_id_in_use_gets_a_failure(void **state)
{
	struct bed *bed = connected();
	struct vmb_host_gpadl *gpadl;

	post_gpadl(bed, 1, 7, 4);
	expect_created(bed, 1, 7, true);
	post_gpadl(bed, 1, 7, 4);
	expect_created(bed, 1, 7, false);
	post_gpadl(bed, 2, 7, 4); /* another channel's is another one */
	expect_created(bed, 2, 7, true);
	gpadl = vmb_host_gpadl_find(bed->s.channels[1], 7);
	vmb_host_gpadl_get(gpadl);
	post_teardown(bed, 1, 7);
	post_gpadl(bed, 1, 7, 4); /* not torn down yet */
	expect_created(bed, 1, 7, false);
	vmb_host_gpadl_put(gpadl);
	bed_pump(bed);
	assert_int_equal(get32(bed_expect(bed, 12, 12), 8), 7);
	post_gpadl(bed, 1, 7, 4);
	expect_created(bed, 1, 7, true);
	bed_free(bed);
}

static void test_no_memory_gets_a_failure(void **state)
{
	struct bed *bed = connected();

	bed->refuse_memory = true;
	post_gpadl(bed, 1, 7, 100);
	expect_created(bed, 1, 7, false);
	bed_expect_nothing(bed);
	assert_int_equal(bed->s.counters.misplaced, 3); /* the bodies */
	bed->refuse_memory = false;
	post_gpadl(bed, 1, 7, 100);
	expect_created(bed, 1, 7, true);
	bed_free(bed);
}

/* Limits */

static void test_too_many_gpadls_get_a_failure(void **state)
{
	struct bed *bed = connected();
	uint32_t i;

	for (i = 1; i <= VMB_HOST_GPADL_COUNT_MAX; i++) {
		bed_forget(bed);
		post_gpadl(bed, 1, i, 1);
		expect_created(bed, 1, i, true);
	}
	post_gpadl(bed, 2, i, 1);
	expect_created(bed, 2, i, false);
	post_teardown(bed, 1, 500);
	bed_expect(bed, 12, 12);
	post_gpadl(bed, 2, i, 1);
	expect_created(bed, 2, i, true);
	bed_free(bed);
}

/* A guest that never frees its message slot is told to come again before anything is lost. */
static void test_answers_wait_in_order_and_none_is_lost(void **state)
{
	struct bed *bed = connected();
	uint32_t accepted = 0, refused = 0, i;

	bed->slot_busy = true;
	while (post_gpadl(bed, 1, accepted + 1, 1) == 0) {
		accepted++;
		assert_true(accepted <= VMB_HOST_GPADL_COUNT_MAX);
	}
	assert_int_equal(post_list(bed, 77, 7, 16, 1, NULL, 0), 0x13);
	for (i = 1; i <= accepted; i++)
		assert_int_equal(post_teardown(bed, 1, i), 0);
	while (post_list(bed, 77, 7, 16, 1, NULL, 0) == 0)
		refused++;
	assert_true(refused > 0);
	assert_int_equal(bed->gpadls_lent, 0);
	bed_forget(bed);
	bed->slot_busy = false;
	bed_pump(bed);
	for (i = 1; i <= accepted; i++)
		expect_created(bed, 1, i, true);
	for (i = 1; i <= accepted; i++)
		assert_int_equal(get32(bed_expect(bed, 12, 12), 8), i);
	for (i = 0; i < refused; i++)
		expect_created(bed, 77, 7, false);
	bed_expect_nothing(bed);
	post_gpadl(bed, 1, 1, 1);
	expect_created(bed, 1, 1, true);
	bed_free(bed);
}

/* Teardown */

static void test_teardown_waits_for_every_user(void **state)
{
	struct bed *bed = connected();
	struct vmb_host_gpadl *gpadl;

	post_gpadl(bed, 1, 7, 4);
	bed_forget(bed);
	gpadl = vmb_host_gpadl_find(bed->s.channels[1], 7);
	vmb_host_gpadl_get(gpadl);
	vmb_host_gpadl_get(gpadl);
	post_teardown(bed, 1, 7);
	assert_null(vmb_host_gpadl_find(bed->s.channels[1], 7));
	post_teardown(bed, 1, 7); /* once is enough */
	vmb_host_gpadl_put(gpadl);
	bed_pump(bed);
	bed_expect_nothing(bed);
	bed_expect_no_event(bed);
	vmb_host_gpadl_put(gpadl);
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect(bed, 12, 12);
	bed_expect_nothing(bed);
	bed_free(bed);
}

/*
 * A card's buffers: guests below 4.0 tear them down before CLOSE, later ones behind it, and some
 * while the device still has them in hand. Each is answered once, and only when nobody writes there
 * any more.
 */
static void test_buffers_are_torn_down_before_and_behind_close(void **state)
{
	struct vmb_host_gpadl *buffers[2];
	struct bed *bed;
	int behind, held;

	for (behind = 0; behind < 2; behind++) {
		for (held = 0; held < 2; held++) {
			bed = connected();
			bed_open(bed, 1, 7);
			for (uint32_t i = 0; i < 2; i++) {
				assert_int_equal(post_gpadl(bed, 1, 8 + i, 60), 0);
				buffers[i] = vmb_host_gpadl_find(bed->s.channels[1], 8 + i);
				vmb_host_gpadl_get(buffers[i]);
			}
			bed_forget(bed);
			bed->hold_close = true;
			for (uint32_t i = 0; i < 2 && !held; i++)
				vmb_host_gpadl_put(buffers[i]); /* the guest revoked it */
			if (behind)
				assert_int_equal(post_relid(bed, 7, 1), 0);
			for (uint32_t i = 0; i < 2; i++)
				assert_int_equal(post_teardown(bed, 1, 8 + i), 0);
			if (!behind)
				assert_int_equal(post_relid(bed, 7, 1), 0);
			assert_int_equal(post_teardown(bed, 1, 7), 0);
			if (held) {
				bed_expect_nothing(bed);
				for (uint32_t i = 0; i < 2; i++)
					vmb_host_gpadl_put(buffers[i]);
				bed_pump(bed);
			}
			assert_int_equal(get32(bed_expect(bed, 12, 12), 8), 8);
			assert_int_equal(get32(bed_expect(bed, 12, 12), 8), 9);
			bed_expect_nothing(bed); /* the ring is the device's until it has closed */
			vmb_host_channel_closed(bed->s.channels[1]);
			bed_pump(bed);
			assert_int_equal(get32(bed_expect(bed, 12, 12), 8), 7);
			bed_expect_nothing(bed);
			bed_free(bed);
		}
	}
}

static void test_use_without_teardown_keeps_it(void **state)
{
	struct bed *bed = connected();
	struct vmb_host_gpadl *gpadl;

	post_gpadl(bed, 1, 7, 4);
	bed_forget(bed);
	gpadl = vmb_host_gpadl_find(bed->s.channels[1], 7);
	vmb_host_gpadl_get(gpadl);
	vmb_host_gpadl_put(gpadl);
	bed_pump(bed);
	bed_expect_no_event(bed);
	assert_ptr_equal(vmb_host_gpadl_find(bed->s.channels[1], 7), gpadl);
	bed_free(bed);
}

static void test_teardown_of_what_is_not_ready_is_dropped(void **state)
{
	static const uint64_t list[] = { RANGE(2 * 4096, 0), BED_FIRST_PFN, BED_FIRST_PFN + 1 };
	struct bed *bed = connected();

	post_teardown(bed, 1, 7);
	post_list(bed, 1, 7, 24, 1, list, 1);
	post_teardown(bed, 1, 7);
	bed_expect_nothing(bed);
	assert_int_equal(bed->s.counters.misplaced, 2);
	post_body(bed, 7, list + 1, 2, 0);
	expect_created(bed, 1, 7, true);
	post_teardown(bed, 2, 7); /* not that channel's */
	bed_expect_nothing(bed);
	post_teardown(bed, 1, 7);
	bed_expect(bed, 12, 12);
	bed_free(bed);
}

/* No message leaves while the port has not taken the event that unmaps the pages. */
static void test_torndown_waits_for_the_release_event(void **state)
{
	struct bed *bed = connected();

	post_gpadl(bed, 1, 7, 4);
	bed_forget(bed);
	bed->hold_events = true;
	post_teardown(bed, 1, 7);
	bed_expect_nothing(bed);
	assert_null(vmb_host_server_output(&bed->s));
	bed->hold_events = false;
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect(bed, 12, 12);
	bed_free(bed);
}

static void test_disconnect_waits_for_pages_in_use(void **state)
{
	struct bed *bed = connected();
	struct vmb_host_gpadl *gpadl;

	post_gpadl(bed, 1, 7, 4);
	bed_forget(bed);
	gpadl = vmb_host_gpadl_find(bed->s.channels[1], 7);
	vmb_host_gpadl_get(gpadl);
	post_teardown(bed, 1, 7);
	post_simple(bed, 16);
	bed_expect_nothing(bed);
	bed_expect_no_event(bed);
	vmb_host_gpadl_put(gpadl);
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect_event(bed, VMB_HOST_EVENT_UNLOADED);
	bed_expect(bed, 17, 8); /* and no TORNDOWN */
	bed_expect_nothing(bed);
	bed_free(bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_number_of_pages_is_assembled),
		cmocka_unit_test(test_padded_messages_are_taken),
		cmocka_unit_test(test_cuts_do_not_matter),
		cmocka_unit_test(test_two_assemblies_interleave),
		cmocka_unit_test(test_bodies_of_nothing_are_dropped),
		cmocka_unit_test(test_surplus_bodies_of_zeros_are_taken),
		cmocka_unit_test(test_unfinished_gpadl_of_a_released_channel_frees_its_id),
		cmocka_unit_test(test_bad_header_gets_a_failure),
		cmocka_unit_test(test_bad_list_gets_a_failure_and_is_released),
		cmocka_unit_test(test_id_in_use_gets_a_failure),
		cmocka_unit_test(test_no_memory_gets_a_failure),
		cmocka_unit_test(test_too_many_gpadls_get_a_failure),
		cmocka_unit_test(test_answers_wait_in_order_and_none_is_lost),
		cmocka_unit_test(test_teardown_waits_for_every_user),
		cmocka_unit_test(test_buffers_are_torn_down_before_and_behind_close),
		cmocka_unit_test(test_use_without_teardown_keeps_it),
		cmocka_unit_test(test_teardown_of_what_is_not_ready_is_dropped),
		cmocka_unit_test(test_torndown_waits_for_the_release_event),
		cmocka_unit_test(test_disconnect_waits_for_pages_in_use),
	};

	return cmocka_run_group_tests_name("host_gpadl", tests, NULL, NULL);
}
