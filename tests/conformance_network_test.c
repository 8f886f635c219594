// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A network card's rings and buffers in every version, byte by byte, against tests/transcripts/;
 * see tests/conformance_test.c, which does so for the bus and for storage.
 */
#include <stdio.h>
#include <string.h>

#include "tests/conformance_card.h"
#include "vmm/generation.h"

static const char *const versions[] = { "6.1", "6", "5", "4", "2", "1" };
static const char *const generations[] = { "2008", "2008r2", "2012", "2012r2",
					   "2016", "2019",   "2022", "2025" };
static const char *const casts[] = {
	[BOTH_REAL] = "guest and host", [GUEST_REAL] = "guest alone", [HOST_REAL] = "host alone"
};

static const uint8_t near[6] = { 0x00, 0x15, 0x5D, 0x01, 0x02, 0x03 };
static const uint8_t far[6] = { 0x02, 0, 0, 0, 0, 0x99 };

/* As tools/transcripts makes them. */
static void make_frame(uint8_t *bytes, uint32_t len, const uint8_t to[6], const uint8_t from[6])
{
	uint32_t i;

	memcpy(bytes, to, 6);
	memcpy(bytes + 6, from, 6);
	bytes[12] = 0x88;
	bytes[13] = 0xB5;
	for (i = 0; i < len - 14; i++)
		bytes[14 + i] = (uint8_t)(i * 7 + i / 256);
}

/* Priority 5, VLAN 100, in the frame. Answers the new length. */
static uint32_t tag(uint8_t *bytes, uint32_t len)
{
	static const uint8_t vlan[4] = { 0x81, 0x00, 5 << 5, 100 };

	memmove(bytes + 16, bytes + 12, len - 12);
	memcpy(bytes + 12, vlan, 4);
	return len + 4;
}

static void expect_frame(const struct card_frame *f, const uint8_t *bytes, uint32_t len)
{
	assert_int_equal(f->len, len);
	assert_memory_equal(f->bytes, bytes, len);
}

static void act_open(struct card *c)
{
	if (play_has_guest(&c->play))
		assert_int_equal(vmb_user_network_guest_open(&c->l.guest), 0);
	else
		card_open_scripted(c);
}

static void send(struct card *c, uint16_t queue, uint32_t len, bool vlan, bool more)
{
	struct vmb_user_network_frame frame = { .rndis = { .len = len }, .inline_len = len };
	uint8_t bytes[1600];

	if (!play_has_guest(&c->play))
		return;
	make_frame(bytes, len, far, near);
	frame.bytes = bytes;
	if (vlan) {
		frame.rndis.present = VMB_GUEST_RNDIS_VLAN;
		frame.rndis.vlan = 5 | 100 << 4;
	}
	assert_int_equal(vmb_user_network_guest_send(&c->l.guest.queues[queue], &frame, more), 0);
}

static void act_send(struct card *c)
{
	send(c, 0, 61, true, true);
	send(c, 0, 61, false, false);
}

static void act_send_sub(struct card *c)
{
	send(c, 1, 60, false, false);
}

static void act_send_pages(struct card *c)
{
	struct vmb_user_network_range range = { .offset = 0x123, .len = 560 };
	struct vmb_user_network_frame frame = {
		.rndis = { .len = 600 }, .inline_len = 40, .ranges = &range, .range_count = 1
	};
	uint8_t bytes[600];

	if (!play_has_guest(&c->play))
		return;
	make_frame(bytes, 600, near, near);
	assert_true(vmb_user_memory_alloc(&c->l.bus.machine.memory, &range.pfn, 1));
	memcpy(vmb_user_memory_page(&c->l.bus.machine.memory, range.pfn) + range.offset, bytes + 40,
	       560);
	frame.bytes = bytes;
	assert_int_equal(vmb_user_network_guest_send(&c->l.guest.queues[0], &frame, false), 0);
}

static void deliver(struct card *c, uint32_t len, bool vlan)
{
	uint8_t bytes[1600];

	if (!play_has_host(&c->play))
		return;
	make_frame(bytes, len, near, far);
	if (vlan)
		len = tag(bytes, len);
	assert_int_equal(vmb_user_network_deliver(&c->l, bytes, len, 0), 0);
}

static void act_receive(struct card *c)
{
	deliver(c, 60, false);
}

static void act_receive_two(struct card *c)
{
	deliver(c, 60, false);
	deliver(c, 61, true);
}

/* As tools/transcripts makes it: coalesced TCP of 1946 bytes. */
static void act_receive_large(struct card *c)
{
	static const uint8_t head[54] = {
		0x00, 0x15, 0x5D, 0x01, 0x02, 0x03, 0x02, 0,	0,  0, 0, 0x99, 0x08, 0,
		0x45, 0,    0x07, 0xC2, 0,    0,    0x40, 0,	64, 6, 0, 0,	10,   0,
		0,    2,    10,	  0,	0,    1,    0,	  80,	4,  0, 0, 0,	0,    0,
		0,    0,    0,	  0,	0x50, 0x10, 0xFF, 0xFF, 0,  0, 0, 0,
	};
	uint8_t bytes[2000];
	uint32_t i;

	if (!play_has_host(&c->play))
		return;
	memcpy(bytes, head, sizeof(head));
	for (i = 0; i < sizeof(bytes) - sizeof(head); i++)
		bytes[sizeof(head) + i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(vmb_user_network_deliver(&c->l, bytes, sizeof(bytes), 1460), 0);
}

static void act_close(struct card *c)
{
	if (play_has_guest(&c->play))
		assert_int_equal(vmb_user_network_guest_close(&c->l.guest), 0);
}

static const struct {
	const char *section;
	void (*act)(struct card *c);
} acts[] = {
	{ "open", act_open },
	{ "send", act_send },
	{ "send-pages", act_send_pages },
	{ "receive", act_receive },
	{ "receive-two", act_receive_two },
	{ "receive-large", act_receive_large },
	{ "send-sub", act_send_sub },
	{ "close", act_close },
};

static void play(struct card *c, const struct transcript *t, const char *section)
{
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(acts); i++)
		if (!strcmp(acts[i].section, section))
			break;
	assert_true(i < VMB_ARRAY_COUNT(acts));
	card_play(c, t, section, acts[i].act);
}

/* The frames themselves, at whichever ends are real. */
static void expect_frames(const struct card *c, bool sub, bool rsc)
{
	uint8_t bytes[1600];

	if (play_has_host(&c->play)) {
		assert_int_equal(c->host_count, sub ? 4 : 3);
		make_frame(bytes, 61, far, near);
		expect_frame(&c->at_host[1], bytes, 61);
		expect_frame(&c->at_host[0], bytes, tag(bytes, 61));
		make_frame(bytes, 600, near, near);
		expect_frame(&c->at_host[2], bytes, 600);
	}
	if (play_has_guest(&c->play)) {
		assert_int_equal(c->sent_count, sub ? 4 : 3);
		assert_int_equal(c->guest_count, rsc ? 4 : 3);
		make_frame(bytes, 60, near, far);
		expect_frame(&c->at_guest[0], bytes, 60);
		expect_frame(&c->at_guest[1], bytes, 60);
		make_frame(bytes, 61, near, far);
		expect_frame(&c->at_guest[2], bytes, 61);
		if (rsc)
			assert_int_equal(c->at_guest[3].len, 2000);
	}
}

static void expect_network(const char *version, enum play_cast cast, bool doubt)
{
	uint32_t number = vmb_vmm_generation_network(version), i;
	char file[64];
	struct transcript *t;
	struct card *c;

	print_message("# network %s, %s\n", version, casts[cast]);
	snprintf(file, sizeof(file), "network-%s.txt", version);
	t = transcript_load(file);
	c = card_new(number, cast);
	c->play.doubt = doubt;
	for (i = 0; i < t->section_count; i++)
		play(c, t, t->sections[i].name);
	play_end(&c->play);
	if (doubt)
		print_message("# %llu bytes and arguments changed, all found\n",
			      (unsigned long long)c->play.doubted);
	assert_true(!doubt || c->play.doubted > 4000);
	expect_frames(c, number >= VMB_NET_VERSION_5, number >= VMB_NET_VERSION_6_1);
	card_free(c);
	transcript_free(t);
}

static void test_network_of_every_version_speaks_as_written(void **state)
{
	uint32_t i, cast;

	for (cast = BOTH_REAL; cast <= HOST_REAL; cast++)
		for (i = 0; i < VMB_ARRAY_COUNT(versions); i++)
			expect_network(versions[i], cast, false);
}

static void test_no_changed_byte_passes(void **state)
{
	expect_network("6.1", BOTH_REAL, true);
}

static const char *name_of(uint32_t number)
{
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(versions); i++)
		if (vmb_vmm_generation_network(versions[i]) == number)
			return versions[i];
	fail_msg("network version %x has no transcript", number);
	return NULL;
}

static void test_network_of_every_generation_speaks_as_written(void **state)
{
	const struct vmb_vmm_generation *g;
	uint32_t i, cast;

	for (i = 0; i < VMB_ARRAY_COUNT(generations); i++) {
		g = vmb_vmm_generation_find(generations[i]);
		assert_non_null(g);
		print_message("# Windows Server %s\n", g->name);
		for (cast = BOTH_REAL; cast <= HOST_REAL; cast++)
			expect_network(name_of(g->network), cast, false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_network_of_every_version_speaks_as_written),
		cmocka_unit_test(test_no_changed_byte_passes),
		cmocka_unit_test(test_network_of_every_generation_speaks_as_written),
	};

	return cmocka_run_group_tests_name("conformance_network", tests, NULL, NULL);
}
