// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Interrupt page and monitor page on the host's side, byte by byte as docs/protocol/bus.md,
 * "6 Doorbells" has them; and whether either side can lose a bit when both are at work.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "guest/doorbell.h"
#include "host/doorbell.h"
#include "tests/host_bed.h"

#define PAGE 4096u

static uint8_t *page_new(void)
{
	uint8_t *page = aligned_alloc(PAGE, PAGE);

	assert_non_null(page);
	memset(page, 0, PAGE);
	return page;
}

static void test_interrupt_sets_its_bit_in_the_first_half(void **state)
{
	uint8_t *page = page_new();
	uint32_t relid, i;

	for (relid = 1; relid < 256; relid++) {
		vmb_host_doorbell_set(page, relid);
		for (i = 0; i < PAGE; i++)
			assert_int_equal(page[i], i == relid / 8 ? 1u << relid % 8 : 0);
		memset(page, 0, PAGE);
	}
	vmb_host_doorbell_set(page, 256);
	vmb_host_doorbell_set(page, 0xFFFFFFFF);
	for (i = 0; i < PAGE; i++)
		assert_int_equal(page[i], 0);
	free(page);
}

static void test_taken_bits_are_the_second_halfs_and_gone(void **state)
{
	uint8_t *page = page_new();
	uint32_t word;

	memset(page, 0xEE, 2048);
	put32(page, 2048 + 4, 0x80000201);
	put32(page, 2048 + 32, 0xFFFFFFFF);
	assert_int_equal(vmb_host_doorbell_take(page, 0), 0);
	assert_int_equal(vmb_host_doorbell_take(page, 1), 0x80000201);
	for (word = 0; word < VMB_INTERRUPT_WORD_COUNT + 2; word++)
		assert_int_equal(vmb_host_doorbell_take(page, word), 0);
	assert_int_equal(vmb_host_doorbell_take(page, ~0u), 0);
	assert_int_equal(get32(page, 2048 + 32), 0xFFFFFFFF);
	for (word = 0; word < 2048; word++)
		assert_int_equal(page[word], 0xEE);
	free(page);
}

static struct bed *monitored_bed(uint32_t version, bool monitors)
{
	struct bed *bed = bed_new(0, 0);
	uint8_t m[40] = { 14 };
	uint8_t name;

	bed->config.monitors = monitors;
	assert_int_equal(vmb_host_server_init(&bed->s, &bed->config), 0);
	for (name = 1; name <= 200; name++)
		bed_device(bed, name, 0);
	put32(m, 8, version);
	if (version >= 0x50000)
		m[16] = 2;
	else
		put64(m, 16, 0x102000);
	put64(m, 24, 0x103000);
	put64(m, 32, 0x104000);
	assert_int_equal(bed_post(bed, m, sizeof(m)), 0);
	assert_int_equal(bed->s.state, VMB_HOST_CONNECTED);
	bed_forget(bed);
	assert_int_equal(post_simple(bed, 3), 0);
	return bed;
}

/* 128 ids, each once; who comes later has none. */
static void test_offers_have_monitor_ids_while_there_are_some(void **state)
{
	static const uint32_t versions[] = { 0xD, 0x10001, 0x20004, 0x40001, 0x60000 };
	struct bed *bed;
	const uint8_t *m;
	uint32_t i, v;

	for (v = 0; v < VMB_ARRAY_COUNT(versions); v++) {
		bed = monitored_bed(versions[v], true);
		for (i = 0; i < 200; i++) {
			m = bed_expect(bed, 1, 196);
			assert_int_equal(m[188], i < 128 ? i : 0xFF);
			assert_int_equal(m[189], i < 128);
		}
		assert_int_equal(bed->s.monitor_gpa[0], 0x103000);
		assert_int_equal(bed->s.monitor_gpa[1], 0x104000);
		/* An id that is given back is the next one's. */
		vmb_host_channel_rescind(bed->s.channels[18]);
		bed_pump(bed);
		assert_int_equal(post_relid(bed, 13, 18), 0);
		bed_forget(bed);
		bed_device(bed, 201, 0);
		m = bed_expect(bed, 1, 196);
		assert_int_equal(m[188], 17);
		assert_int_equal(m[189], 1);
		assert_int_equal(post_simple(bed, 16), 0);
		assert_int_equal(bed->s.monitor_gpa[1], 0);
		bed_free(bed);
	}
}

static void test_monitors_are_off_by_default(void **state)
{
	struct bed *bed = monitored_bed(0x30000, false);
	const uint8_t *m;
	uint32_t i;

	for (i = 0; i < 200; i++) {
		m = bed_expect(bed, 1, 196);
		assert_int_equal(m[188], 0xFF);
		assert_int_equal(m[189], 0);
	}
	assert_int_equal(bed->s.monitor_gpa[1], 0);
	bed_free(bed);
}

/* A guest without monitor pages gets no ids, and one with pages outside of memory no connection. */
static void test_monitor_pages_must_be_the_guests(void **state)
{
	static const uint64_t bad[] = { 0x104008, 0xFF000, 0x10100000, ~0ull & ~0xFFFull };
	struct bed *bed = bed_new(0, 0);
	uint8_t m[40] = { 14 };
	uint32_t i;

	bed->config.monitors = true;
	assert_int_equal(vmb_host_server_init(&bed->s, &bed->config), 0);
	bed_device(bed, 1, 0);
	put32(m, 8, 0x30000);
	put64(m, 24, 0x103000);
	for (i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		put64(m, 32, bad[i]);
		assert_int_equal(bed_post(bed, m, sizeof(m)), 0);
		assert_int_equal(bed_expect(bed, 15, 16)[8], 1);
		assert_int_equal(bed->messages[i].bytes[9], 2);
		assert_int_equal(bed->s.state, VMB_HOST_DISCONNECTED);
	}
	bed_connect(bed, 0x30000);
	assert_int_equal(bed->s.monitor_gpa[1], 0);
	assert_int_equal(post_contact(bed, 0x30000, 0), 0);
	bed_forget(bed);
	assert_int_equal(post_simple(bed, 3), 0);
	assert_int_equal(bed_expect(bed, 1, 196)[189], 0);
	bed_free(bed);
}

static void test_enabled_monitor_has_the_channels_parameters(void **state)
{
	struct bed *bed = monitored_bed(0x30000, true);
	uint8_t *page = page_new(), want[PAGE];
	struct vmb_host_channel *ch;

	memset(page, 0xCC, 40);
	vmb_host_doorbell_monitor_reset(page);
	assert_int_equal(get32(page, 0), 0);
	memset(page, 0, 40);
	ch = bed->s.channels[36]; /* which has monitor id 35: group 1, bit 3 */
	vmb_host_doorbell_monitor_enable(page, ch, 1000);
	memset(want, 0, sizeof(want));
	put32(want, 0, 2);
	put16(want, 576 + 2 * 35, 1000);
	put32(want, 1088 + 8 * 35, 0x2000 + 36);
	assert_memory_equal(page, want, PAGE);
	vmb_host_doorbell_monitor_enable(page, bed->s.channels[200], 1000); /* has none */
	assert_memory_equal(page, want, PAGE);
	free(page);
	bed_free(bed);
}

/* The guest may do with the page what it likes: bits of nobody's, groups that are off. */
static void test_scan_finds_only_open_channels(void **state)
{
	struct bed *bed = monitored_bed(0x30000, true);
	uint8_t *page = page_new();
	uint32_t group, id, found = 0;

	bed_open(bed, 36, 5);
	for (group = 0; group < 4; group++)
		put32(page, 8 + 8 * group, 0xFFFFFFFF);
	for (group = 0; group < 4; group++) {
		assert_int_equal(vmb_host_doorbell_monitor_take(page, group), 0xFFFFFFFF);
		assert_int_equal(vmb_host_doorbell_monitor_take(page, group), 0);
	}
	assert_int_equal(vmb_host_doorbell_monitor_take(page, 4), 0);
	assert_int_equal(vmb_host_doorbell_monitor_take(page, ~0u), 0);
	for (id = 0; id < 300; id++)
		if (vmb_host_doorbell_monitored(&bed->s, id)) {
			assert_int_equal(id, 35);
			found++;
		}
	assert_int_equal(found, 1);
	free(page);
	bed_free(bed);
}

/* Both ends at once: as often as one end saw its bit clear and set it, the other takes it. */
#define RELIDS 40u
#define ROUNDS 300000u

struct race {
	uint8_t *page;
	struct vmb_guest_channel ch[RELIDS];
	uint32_t announced[RELIDS], seen[RELIDS]; /* announced: atomic */
	bool to_host;
	bool done; /* atomic */
};

static void *announce(void *arg)
{
	struct race *r = arg;
	uint32_t round, relid;

	for (round = 0; round < ROUNDS; round++) {
		relid = round * 7 % RELIDS;
		__atomic_fetch_add(&r->announced[relid], 1, __ATOMIC_RELAXED);
		if (r->to_host)
			vmb_guest_doorbell_ring(&r->ch[relid], r->page, NULL, false);
		else
			vmb_host_doorbell_set(r->page, relid);
	}
	__atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* A bit that was taken shows at least what was announced before it was set. */
static void look(struct race *r)
{
	uint32_t word, bits, relid;

	for (word = 0; word < VMB_INTERRUPT_WORD_COUNT; word++) {
		bits = r->to_host ? vmb_host_doorbell_take(r->page, word) :
				    vmb_guest_doorbell_take(r->page, word);
		for (; bits; bits &= bits - 1) {
			relid = word * 32 + (uint32_t)__builtin_ctz(bits);
			r->seen[relid] = __atomic_load_n(&r->announced[relid], __ATOMIC_RELAXED);
		}
	}
}

static void test_no_bit_is_lost_between_two_threads(void **state)
{
	struct race *r = calloc(1, sizeof(*r));
	pthread_t thread;
	uint32_t relid;
	bool done;
	int way;

	assert_non_null(r);
	for (way = 0; way < 2; way++) {
		memset(r, 0, sizeof(*r));
		r->to_host = way;
		r->page = page_new();
		for (relid = 0; relid < RELIDS; relid++)
			r->ch[relid].relid = relid;
		assert_int_equal(pthread_create(&thread, NULL, announce, r), 0);
		do {
			done = __atomic_load_n(&r->done, __ATOMIC_ACQUIRE);
			look(r);
		} while (!done);
		pthread_join(thread, NULL);
		for (relid = 0; relid < RELIDS; relid++) {
			assert_int_equal(r->announced[relid], ROUNDS / RELIDS);
			assert_int_equal(r->seen[relid], r->announced[relid]);
		}
		free(r->page);
	}
	free(r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interrupt_sets_its_bit_in_the_first_half),
		cmocka_unit_test(test_taken_bits_are_the_second_halfs_and_gone),
		cmocka_unit_test(test_offers_have_monitor_ids_while_there_are_some),
		cmocka_unit_test(test_monitors_are_off_by_default),
		cmocka_unit_test(test_monitor_pages_must_be_the_guests),
		cmocka_unit_test(test_enabled_monitor_has_the_channels_parameters),
		cmocka_unit_test(test_scan_finds_only_open_channels),
		cmocka_unit_test(test_no_bit_is_lost_between_two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
