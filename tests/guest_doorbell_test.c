// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Interrupt page and monitor page on the guest's side, byte by byte as docs/protocol/bus.md,
 * "6 Doorbells" has them, not by the structures of wire/.
 */
#include "guest/doorbell.h"
#include "tests/guest_bed.h"

#define MONITOR_PENDING(group) (8u + 8u * (group))

struct pages {
	struct vmb_guest_channel ch;
	_Alignas(4096) uint8_t interrupt[PAGE];
	_Alignas(4096) uint8_t monitor[PAGE];
};

static struct pages *pages_new(uint32_t relid, bool dedicated, uint32_t monitor_id)
{
	struct pages *p = aligned_alloc(4096, sizeof(*p));

	assert_non_null(p);
	memset(p, 0, sizeof(*p));
	p->ch.relid = relid;
	p->ch.dedicated = dedicated;
	p->ch.monitor_id = monitor_id;
	return p;
}

/* Fails unless this one bit of the page is set, and answers with a clean page. */
static void expect_only_bit(uint8_t *page, uint32_t byte, uint32_t bit)
{
	uint32_t i;

	for (i = 0; i < PAGE; i++)
		assert_int_equal(page[i], i == byte ? 1u << bit : 0);
	memset(page, 0, PAGE);
}

static void expect_clear(const uint8_t *page)
{
	uint32_t i;

	for (i = 0; i < PAGE; i++)
		assert_int_equal(page[i], 0);
}

static void test_shared_channel_sets_its_bit_in_the_second_half(void **state)
{
	static const uint32_t relids[] = { 1, 7, 8, 31, 32, 255 };
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(relids); i++) {
		struct pages *p = pages_new(relids[i], false, VMB_OFFER_MONITOR_NONE);

		assert_true(vmb_guest_doorbell_ring(&p->ch, p->interrupt, NULL, false));
		expect_only_bit(p->interrupt, 2048 + relids[i] / 8, relids[i] % 8);
		assert_true(vmb_guest_doorbell_ring(&p->ch, NULL, NULL, false));
		free(p);
	}
}

static void test_dedicated_channel_leaves_the_page_alone(void **state)
{
	struct pages *p = pages_new(9, true, VMB_OFFER_MONITOR_NONE);

	assert_true(vmb_guest_doorbell_ring(&p->ch, p->interrupt, p->monitor, true));
	expect_clear(p->interrupt);
	expect_clear(p->monitor);
	free(p);
}

/* Every id lands in its group, and only a group that the host has enabled spares the signal. */
static void test_enabled_monitor_spares_the_signal(void **state)
{
	struct pages *p = pages_new(9, true, 0);
	uint32_t id, group;

	for (id = 0; id < 128; id++) {
		group = id / 32;
		p->ch.monitor_id = id;
		p->monitor[0] = (uint8_t)(0xF & ~(1u << group));
		assert_true(vmb_guest_doorbell_ring(&p->ch, p->interrupt, p->monitor, true));
		p->monitor[0] = (uint8_t)(1u << group);
		assert_false(vmb_guest_doorbell_ring(&p->ch, p->interrupt, p->monitor, true));
		assert_int_equal(p->monitor[0], 1u << group);
		p->monitor[0] = 0;
		expect_only_bit(p->monitor, MONITOR_PENDING(group) + id % 32 / 8, id % 8);
		expect_clear(p->interrupt);
	}
	free(p);
}

static void test_urgent_driver_signals_all_the_same(void **state)
{
	struct pages *p = pages_new(9, true, 5);

	p->monitor[0] = 0xF;
	assert_true(vmb_guest_doorbell_ring(&p->ch, NULL, p->monitor, false));
	p->monitor[0] = 0;
	expect_clear(p->monitor);
	assert_true(vmb_guest_doorbell_ring(&p->ch, NULL, NULL, true));
	free(p);
}

/* The monitor's owner must find the channel in the interrupt page. */
static void test_shared_channel_with_monitor_sets_both_bits(void **state)
{
	struct pages *p = pages_new(9, false, 33);

	p->monitor[0] = 2;
	assert_false(vmb_guest_doorbell_ring(&p->ch, p->interrupt, p->monitor, true));
	expect_only_bit(p->interrupt, 2048 + 1, 1);
	p->monitor[0] = 0;
	expect_only_bit(p->monitor, MONITOR_PENDING(1), 1);
	free(p);
}

static void test_taken_bits_are_the_first_halfs_and_gone(void **state)
{
	struct pages *p = pages_new(9, false, VMB_OFFER_MONITOR_NONE);
	uint32_t word;

	memset(p->interrupt + 2048, 0xEE, 2048); /* the host's half */
	put(p->interrupt, 4, 0x80000201, 4);
	put(p->interrupt, 28, 1, 4);
	put(p->interrupt, 32, 0xFFFFFFFF, 4); /* relids of no channel: 256 and more */
	assert_int_equal(vmb_guest_doorbell_take(p->interrupt, 0), 0);
	assert_int_equal(vmb_guest_doorbell_take(p->interrupt, 1), 0x80000201);
	assert_int_equal(vmb_guest_doorbell_take(p->interrupt, 7), 1);
	assert_int_equal(vmb_guest_doorbell_take(p->interrupt, 8), 0);
	assert_int_equal(vmb_guest_doorbell_take(p->interrupt, ~0u), 0);
	for (word = 0; word < VMB_INTERRUPT_WORD_COUNT; word++)
		assert_int_equal(vmb_guest_doorbell_take(p->interrupt, word), 0);
	for (word = 2048; word < PAGE; word++)
		assert_int_equal(p->interrupt[word], 0xEE);
	assert_int_equal(get(p->interrupt, 32, 4), 0xFFFFFFFF);
	free(p);
}

/* What an offer says of its monitor counts only for a guest that gave pages. */
static void test_offered_monitor_needs_the_guests_pages(void **state)
{
	struct vmb_guest_channel ch;
	struct bench b;
	int with;

	for (with = 0; with < 2; with++) {
		bench_ready(&b, 0x30000);
		b.c.config.monitor_gpa[0] = with ? 0x7000 : 0;
		b.c.config.monitor_gpa[1] = with ? 0x8000 : 0;
		put(make_offer(&b, 5, 5, 0), 188, 77 | 1 << 8, 2);
		assert_int_equal(deliver(&b, 196), 0);
		memset(&ch, 0, sizeof(ch));
		assert_int_equal(vmb_guest_channel_add(&b.c, &ch, &b.event.offer), 0);
		assert_int_equal(ch.monitor_id, with ? 77 : 0xFF);
		put(make_offer(&b, 6, 6, 0), 188, 77, 2); /* an id that is not allocated */
		assert_int_equal(deliver(&b, 196), 0);
		memset(&ch, 0, sizeof(ch));
		assert_int_equal(vmb_guest_channel_add(&b.c, &ch, &b.event.offer), 0);
		assert_int_equal(ch.monitor_id, 0xFF);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared_channel_sets_its_bit_in_the_second_half),
		cmocka_unit_test(test_dedicated_channel_leaves_the_page_alone),
		cmocka_unit_test(test_enabled_monitor_spares_the_signal),
		cmocka_unit_test(test_urgent_driver_signals_all_the_same),
		cmocka_unit_test(test_shared_channel_with_monitor_sets_both_bits),
		cmocka_unit_test(test_taken_bits_are_the_first_halfs_and_gone),
		cmocka_unit_test(test_offered_monitor_needs_the_guests_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
