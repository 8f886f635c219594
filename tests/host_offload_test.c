// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Checksums and segmentation of the host's adapter against a sink that trusts no flag
 * (tests/host_offload_bed.h). docs/protocol/network.md, "9 RNDIS packets", "9.1 LSO",
 * "16 Hardening".
 */
#include "tests/host_offload_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROUNDS	   3000
#define PIECES_MAX 8u

static struct frame frame, segment;

/* A frame in memory of exactly its size, head apart, the rest in pieces of random lengths. */
struct scattered {
	uint8_t *head;
	uint32_t head_len;
	uint8_t *memory[PIECES_MAX];
	struct vmb_host_offload_piece pieces[PIECES_MAX];
	uint32_t count;
};

static void *copy_of(const uint8_t *bytes, uint32_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	memcpy(copy, bytes, len);
	return copy;
}

static void scatter(struct scattered *s, const uint8_t *bytes, uint32_t len, uint32_t head_len)
{
	uint32_t part;

	memset(s, 0, sizeof(*s));
	s->head_len = head_len < len ? head_len : len;
	s->head = copy_of(bytes, s->head_len);
	bytes += s->head_len;
	len -= s->head_len;
	while (len) {
		part = s->count + 1 == PIECES_MAX ? len : source_random() % (len + 1);
		s->memory[s->count] = copy_of(bytes, part);
		s->pieces[s->count].base = s->memory[s->count];
		s->pieces[s->count++].len = part;
		bytes += part;
		len -= part;
	}
}

static void gather(struct scattered *s, uint8_t *bytes)
{
	uint32_t i;

	memcpy(bytes, s->head, s->head_len);
	bytes += s->head_len;
	free(s->head);
	for (i = 0; i < s->count; i++) {
		if (s->pieces[i].len)
			memcpy(bytes, s->memory[i], s->pieces[i].len);
		bytes += s->pieces[i].len;
		free(s->memory[i]);
	}
}

static uint32_t flags_for(const struct frame_kind *kind)
{
	uint32_t flags = kind->ip_version == 4 ?
				 RNDIS_TX_CHECKSUM_IPV4 | RNDIS_TX_CHECKSUM_IP_HEADER :
				 RNDIS_TX_CHECKSUM_IPV6;

	return flags | (kind->protocol == 6 ? RNDIS_TX_CHECKSUM_TCP : RNDIS_TX_CHECKSUM_UDP);
}

/* The head must have all headers, and may have more. */
static uint32_t some_head_len(const struct frame *f)
{
	return f->payload_at +
	       source_random() % (VMB_HOST_OFFLOAD_HEAD_LEN_MAX - f->payload_at + 1);
}

static void complete(struct frame *f, const struct frame_kind *kind)
{
	struct scattered s;

	scatter(&s, f->bytes, f->len, some_head_len(f));
	assert_int_equal(vmb_host_offload_complete(s.head, s.head_len, s.pieces, s.count,
						   flags_for(kind)),
			 0);
	gather(&s, f->bytes);
}

static void test_sum_is_that_of_single_bytes(void **state)
{
	uint8_t bytes[300];
	uint32_t i, start, len, sum;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)source_random() | (i % 3 ? 0 : 0xFF);
	for (start = 0; start < 9; start++) {
		for (len = 0; len + start <= sizeof(bytes); len++) {
			uint8_t *copy = copy_of(bytes + start, len);
			uint16_t folded, expected = sink_sum(copy, len);

			sum = vmb_host_offload_sum(0x12345678, false, copy, len);
			folded = vmb_host_offload_fold(sum);
			sum = vmb_host_offload_sum(0x12345678, true, copy, len);
			expected = (uint16_t)(expected << 8 | expected >> 8);
			assert_int_equal(folded % 0xFFFF, (0x12345678ull + expected) % 0xFFFF);
			expected = (uint16_t)(expected << 8 | expected >> 8);
			assert_int_equal(vmb_host_offload_fold(sum) % 0xFFFF,
					 (0x12345678ull + expected) % 0xFFFF);
			free(copy);
		}
	}
}

/* Carries that pile up: all ones, as long as a large send. */
static void test_sum_of_all_ones_keeps_its_carries(void **state)
{
	static uint8_t bytes[65536];
	uint32_t len;

	memset(bytes, 0xFF, sizeof(bytes));
	for (len = 1; len <= sizeof(bytes); len = len * 3 + 1) {
		uint16_t expected = len & 1 ? 0x00FF : 0xFFFF;

		assert_int_equal(vmb_host_offload_fold(vmb_host_offload_sum(0, false, bytes, len)),
				 expected);
		assert_int_equal(
			vmb_host_offload_fold(vmb_host_offload_sum(0xFFFFFFFF, false, bytes, len)),
			expected);
	}
}

static void test_completed_frames_satisfy_the_sink(void **state)
{
	uint32_t round;

	for (round = 0; round < ROUNDS; round++) {
		struct frame_kind kind = source_kind(round % 50 ? 200 : 20000);
		const char *wrong;

		source_frame(&frame, &kind);
		complete(&frame, &kind);
		wrong = sink_judge(frame.bytes, frame.len);
		if (wrong)
			fail_msg("round %u: %s", round, wrong);
	}
}

/* Only checksum fields are touched. */
static void test_complete_changes_nothing_else(void **state)
{
	static struct frame before;
	uint32_t round, i, field;

	for (round = 0; round < 300; round++) {
		struct frame_kind kind = source_kind(100);

		source_frame(&frame, &kind);
		before = frame;
		complete(&frame, &kind);
		field = frame.transport_at + (kind.protocol == 6 ? 16 : 6);
		for (i = 0; i < frame.len; i++) {
			if (i == field || i == field + 1 ||
			    (kind.ip_version == 4 &&
			     (i == frame.ip_at + 10 || i == frame.ip_at + 11)))
				continue;
			assert_int_equal(frame.bytes[i], before.bytes[i]);
		}
	}
}

static void test_frame_that_is_not_what_flags_say_is_refused(void **state)
{
	static const struct {
		uint8_t ip_version, protocol;
		uint32_t flags;
	} cases[] = {
		{ 4, 6, RNDIS_TX_CHECKSUM_UDP },
		{ 4, 17, RNDIS_TX_CHECKSUM_TCP },
		{ 6, 6, RNDIS_TX_CHECKSUM_IP_HEADER },
		{ 4, 1, RNDIS_TX_CHECKSUM_TCP },
		{ 6, 58, RNDIS_TX_CHECKSUM_UDP },
		{ 6, 6, RNDIS_TX_CHECKSUM_TCP | RNDIS_TX_CHECKSUM_UDP },
	};
	uint16_t start, at;
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		struct frame_kind kind = { .ip_version = cases[i].ip_version,
					   .protocol = cases[i].protocol,
					   .payload_len = 60 };

		source_frame(&frame, &kind);
		assert_int_equal(vmb_host_offload_complete(frame.bytes, frame.len, NULL, 0,
							   cases[i].flags),
				 VMB_EPROTO);
		assert_int_equal(vmb_host_offload_prepare(frame.bytes, frame.len, frame.len,
							  cases[i].flags, false, &start, &at),
				 VMB_EPROTO);
	}
}

static void test_fragment_gets_no_transport_checksum(void **state)
{
	static const uint16_t fields[] = { 0x2000, 0x0001, 0x2005, 0x1FFF };
	struct frame_kind kind = { .ip_version = 4, .protocol = 17, .payload_len = 40 };
	struct vmb_host_offload_layout layout;
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(fields); i++) {
		source_frame(&frame, &kind);
		frame.bytes[frame.ip_at + 6] = (uint8_t)(fields[i] >> 8);
		frame.bytes[frame.ip_at + 7] = (uint8_t)fields[i];
		assert_int_equal(vmb_host_offload_parse(frame.bytes, frame.len, frame.len, &layout),
				 0);
		assert_true(layout.fragment);
		assert_int_equal(layout.protocol, 17);
		assert_int_equal(layout.transport_offset,
				 fields[i] & 0x1FFF ? 0 : frame.transport_at);
		assert_int_equal(vmb_host_offload_complete(frame.bytes, frame.len, NULL, 0,
							   RNDIS_TX_CHECKSUM_UDP),
				 VMB_EPROTO);
		assert_int_equal(vmb_host_offload_complete(frame.bytes, frame.len, NULL, 0,
							   RNDIS_TX_CHECKSUM_IP_HEADER),
				 0);
		assert_int_equal(sink_sum(frame.bytes + frame.ip_at, 20), 0xFFFF);
		assert_int_equal(vmb_host_offload_verify(frame.bytes, frame.len, NULL, 0),
				 RNDIS_RX_CHECKSUM_IP_OK);
	}
}

static void test_ipv6_fragment_is_seen(void **state)
{
	struct frame_kind kind = { .ip_version = 6, .protocol = 6, .ip_extra = 3, .payload_len = 9 };
	struct vmb_host_offload_layout layout;

	source_frame(&frame, &kind);
	assert_int_equal(vmb_host_offload_parse(frame.bytes, frame.len, frame.len, &layout), 0);
	assert_false(layout.fragment);
	assert_int_equal(layout.transport_offset, frame.transport_at);
	assert_int_equal(layout.payload_offset, frame.payload_at);
	frame.bytes[frame.transport_at - 5] = 0x01; /* more fragments */
	assert_int_equal(vmb_host_offload_parse(frame.bytes, frame.len, frame.len, &layout), 0);
	assert_true(layout.fragment);
	assert_int_equal(layout.transport_offset, frame.transport_at);
	frame.bytes[frame.transport_at - 5] = 0x08; /* the second fragment, and the last one */
	assert_int_equal(vmb_host_offload_parse(frame.bytes, frame.len, frame.len, &layout), 0);
	assert_true(layout.fragment);
	assert_int_equal(layout.transport_offset, 0);
}

/* The checksum's destination is not the header's while a routing header has hops to go. */
static void test_routing_header_with_hops_left_is_left_alone(void **state)
{
	struct frame_kind kind = { .ip_version = 6, .protocol = 6, .ip_extra = 1, .payload_len = 9 };
	uint8_t *routing;

	source_frame(&frame, &kind);
	routing = frame.bytes + frame.ip_at + 40;
	frame.bytes[frame.ip_at + 6] = 43;
	routing[3] = 1;
	assert_int_equal(vmb_host_offload_complete(frame.bytes, frame.len, NULL, 0,
						   RNDIS_TX_CHECKSUM_TCP),
			 VMB_EPROTO);
	assert_int_equal(vmb_host_offload_verify(frame.bytes, frame.len, NULL, 0), 0);
	routing[3] = 0;
	assert_int_equal(vmb_host_offload_complete(frame.bytes, frame.len, NULL, 0,
						   RNDIS_TX_CHECKSUM_TCP),
			 0);
}

/* A payload that makes the sum all ones: the field would be 0, which says "no checksum". */
static void test_udp_checksum_of_zero_is_sent_as_all_ones(void **state)
{
	uint32_t version;

	for (version = 4; version <= 6; version += 2) {
		struct frame_kind kind = { .ip_version = (uint8_t)version,
					   .protocol = 17,
					   .payload_len = 20 };
		uint8_t *payload, *field;

		source_frame(&frame, &kind);
		payload = frame.bytes + frame.payload_at;
		field = frame.bytes + frame.transport_at + 6;
		payload[0] = payload[1] = 0;
		complete(&frame, &kind);
		memcpy(payload, field, 2); /* what was missing to all ones */
		complete(&frame, &kind);
		assert_int_equal(field[0], 0xFF);
		assert_int_equal(field[1], 0xFF);
		assert_null(sink_judge(frame.bytes, frame.len));
	}
}

static void test_bytes_behind_the_ip_packet_do_not_count(void **state)
{
	struct frame_kind kind = { .ip_version = 4, .protocol = 6, .payload_len = 1, .padding = 5 };
	uint16_t before;

	source_frame(&frame, &kind);
	complete(&frame, &kind);
	memcpy(&before, frame.bytes + frame.transport_at + 16, 2);
	memset(frame.bytes + frame.len - 5, 0xA7, 5);
	complete(&frame, &kind);
	assert_memory_equal(&before, frame.bytes + frame.transport_at + 16, 2);
	assert_null(sink_judge(frame.bytes, frame.len));
	assert_int_equal(vmb_host_offload_verify(frame.bytes, frame.len, NULL, 0),
			 RNDIS_RX_CHECKSUM_IP_OK | RNDIS_RX_CHECKSUM_TCP_OK);
}

static void test_length_of_zero_means_all_of_the_frame(void **state)
{
	uint32_t version;

	for (version = 4; version <= 6; version += 2) {
		struct frame_kind kind = { .ip_version = (uint8_t)version,
					   .protocol = 6,
					   .payload_len = 33 };

		source_frame(&frame, &kind);
		memset(frame.bytes + frame.ip_at + (version == 4 ? 2 : 4), 0, 2);
		complete(&frame, &kind);
		assert_null(sink_judge(frame.bytes, frame.len));
	}
}

static void test_length_beyond_the_frame_is_refused(void **state)
{
	struct frame_kind kind = { .ip_version = 4, .protocol = 17, .payload_len = 33 };

	source_frame(&frame, &kind);
	frame.bytes[frame.ip_at + 3]++;
	assert_int_equal(vmb_host_offload_complete(frame.bytes, frame.len, NULL, 0,
						   RNDIS_TX_CHECKSUM_UDP),
			 VMB_EPROTO);
	source_frame(&frame, &kind);
	frame.bytes[frame.transport_at + 5]++;
	assert_int_equal(vmb_host_offload_complete(frame.bytes, frame.len, NULL, 0,
						   RNDIS_TX_CHECKSUM_UDP),
			 VMB_EPROTO);
	source_frame(&frame, &kind);
	frame.bytes[frame.transport_at + 4] = 0;
	frame.bytes[frame.transport_at + 5] = 7;
	assert_int_equal(vmb_host_offload_complete(frame.bytes, frame.len, NULL, 0,
						   RNDIS_TX_CHECKSUM_UDP),
			 VMB_EPROTO);
	assert_int_equal(vmb_host_offload_verify(frame.bytes, frame.len, NULL, 0) &
				 (RNDIS_RX_CHECKSUM_UDP_OK | RNDIS_RX_CHECKSUM_UDP_FAILED),
			 0);
}

/*
 * What virtio's other side does: sums from start to the end, writes the complement at start + at.
 */
static void finish(uint8_t *bytes, uint32_t len, uint32_t start, uint32_t at, bool udp)
{
	uint16_t sum = (uint16_t)~sink_sum(bytes + start, len - start);

	if (!sum && udp)
		sum = 0xFFFF;
	bytes[start + at] = (uint8_t)(sum >> 8);
	bytes[start + at + 1] = (uint8_t)sum;
}

static void test_prepared_frames_are_finished_by_a_plain_sum(void **state)
{
	uint32_t round;

	for (round = 0; round < ROUNDS; round++) {
		struct frame_kind kind = source_kind(300);
		uint16_t start, at;
		const char *wrong;

		kind.padding = 0;
		source_frame(&frame, &kind);
		assert_int_equal(vmb_host_offload_prepare(frame.bytes, frame.payload_at, frame.len,
							  flags_for(&kind), false, &start, &at),
				 0);
		assert_int_equal(start, frame.transport_at);
		assert_int_equal(at, kind.protocol == 6 ? 16 : 6);
		finish(frame.bytes, frame.len, start, at, kind.protocol == 17);
		wrong = sink_judge(frame.bytes, frame.len);
		if (wrong)
			fail_msg("round %u: %s", round, wrong);
	}
}

/* Whoever sums up all would sum up the padding too. */
static void test_padded_frame_is_completed_not_prepared(void **state)
{
	uint32_t round;

	for (round = 0; round < ROUNDS; round++) {
		struct frame_kind kind = source_kind(300);
		uint16_t start, at;

		kind.padding = 1 + round % 20;
		source_frame(&frame, &kind);
		assert_int_equal(vmb_host_offload_prepare(frame.bytes, frame.payload_at, frame.len,
							  flags_for(&kind), false, &start, &at),
				 VMB_EINVAL);
		complete(&frame, &kind);
		assert_null(sink_judge(frame.bytes, frame.len));
	}
}

static void test_prepared_large_send_has_its_real_length(void **state)
{
	uint32_t version;

	for (version = 4; version <= 6; version += 2) {
		struct frame_kind kind = { .ip_version = (uint8_t)version,
					   .protocol = 6,
					   .payload_len = 60000,
					   .tcp_extra = 12 };
		uint16_t start, at;

		source_frame(&frame, &kind);
		memset(frame.bytes + frame.ip_at + (version == 4 ? 2 : 4), 0, 2);
		assert_int_equal(vmb_host_offload_prepare(frame.bytes, frame.payload_at, frame.len,
							  0, true, &start, &at),
				 0);
		finish(frame.bytes, frame.len, start, at, false);
		assert_null(sink_judge(frame.bytes, frame.len));
	}
}

static void test_verify_agrees_with_the_sink(void **state)
{
	uint32_t round, expected, bit;

	for (round = 0; round < ROUNDS; round++) {
		struct frame_kind kind = source_kind(200);
		struct scattered s;
		uint32_t result;

		source_frame(&frame, &kind);
		complete(&frame, &kind);
		/* one bit in three frames of four, in the transport's part or in the header */
		bit = round % 4;
		if (bit == 1)
			frame.bytes[frame.transport_at + source_random() % 4] ^= 0x10;
		if (bit == 2 && kind.payload_len)
			frame.bytes[frame.payload_at + source_random() % kind.payload_len] ^= 1;
		if (bit == 3 && kind.ip_version == 4)
			frame.bytes[frame.ip_at + 8] ^= 0x80;
		expected = kind.protocol == 6 ? RNDIS_RX_CHECKSUM_TCP_OK : RNDIS_RX_CHECKSUM_UDP_OK;
		if (bit == 1 || (bit == 2 && kind.payload_len))
			expected = kind.protocol == 6 ? RNDIS_RX_CHECKSUM_TCP_FAILED :
							RNDIS_RX_CHECKSUM_UDP_FAILED;
		if (kind.ip_version == 4)
			expected |= bit == 3 ? RNDIS_RX_CHECKSUM_IP_FAILED :
					       RNDIS_RX_CHECKSUM_IP_OK;
		scatter(&s, frame.bytes, frame.len, some_head_len(&frame));
		result = vmb_host_offload_verify(s.head, s.head_len, s.pieces, s.count);
		gather(&s, frame.bytes);
		assert_int_equal(result, expected);
	}
}

static void test_verify_says_nothing_of_udp_without_checksum(void **state)
{
	struct frame_kind kind = { .ip_version = 4, .protocol = 17, .payload_len = 5 };

	source_frame(&frame, &kind);
	complete(&frame, &kind);
	memset(frame.bytes + frame.transport_at + 6, 0, 2);
	assert_int_equal(vmb_host_offload_verify(frame.bytes, frame.len, NULL, 0),
			 RNDIS_RX_CHECKSUM_IP_OK);
	kind.ip_version = 6;
	source_frame(&frame, &kind);
	memset(frame.bytes + frame.transport_at + 6, 0, 2);
	assert_int_equal(vmb_host_offload_verify(frame.bytes, frame.len, NULL, 0),
			 RNDIS_RX_CHECKSUM_UDP_FAILED);
}

static void test_other_frames_are_no_error(void **state)
{
	struct vmb_host_offload_layout layout;
	uint8_t arp[60] = { [12] = 0x08, [13] = 0x06 };

	assert_int_equal(vmb_host_offload_parse(arp, sizeof(arp), sizeof(arp), &layout), 0);
	assert_int_equal(layout.ethertype, 0x0806);
	assert_int_equal(layout.ip_version, 0);
	assert_int_equal(layout.transport_offset, 0);
	assert_int_equal(vmb_host_offload_verify(arp, sizeof(arp), NULL, 0), 0);
	assert_int_equal(vmb_host_offload_complete(arp, sizeof(arp), NULL, 0, 0), 0);
	assert_int_equal(vmb_host_offload_complete(arp, sizeof(arp), NULL, 0,
						   RNDIS_TX_CHECKSUM_TCP),
			 VMB_EPROTO);
	assert_int_equal(vmb_host_offload_parse(arp, 13, 13, &layout), VMB_EPROTO);
}

/* Each length from nothing to all headers, in memory of exactly that size. */
static void test_headers_cut_anywhere_are_refused(void **state)
{
	struct vmb_host_offload_layout layout;
	uint32_t round, len;

	for (round = 0; round < 200; round++) {
		struct frame_kind kind = source_kind(10);

		source_frame(&frame, &kind);
		for (len = 0; len <= frame.payload_at; len++) {
			uint8_t *copy = copy_of(frame.bytes, len);
			int error = vmb_host_offload_parse(copy, len, frame.len, &layout);

			assert_int_equal(error, len < frame.payload_at ? VMB_EPROTO : 0);
			free(copy);
		}
		assert_int_equal(layout.ip_offset, frame.ip_at);
		assert_int_equal(layout.transport_offset, frame.transport_at);
		assert_int_equal(layout.payload_offset, frame.payload_at);
	}
}

static void test_headers_of_impossible_length_are_refused(void **state)
{
	struct frame_kind kind = { .ip_version = 4, .protocol = 6, .payload_len = 10 };
	struct vmb_host_offload_layout layout;

	source_frame(&frame, &kind);
	frame.bytes[frame.ip_at] = 0x44;
	assert_int_equal(vmb_host_offload_parse(frame.bytes, frame.len, frame.len, &layout),
			 VMB_EPROTO);
	source_frame(&frame, &kind);
	frame.bytes[frame.transport_at + 12] = 0x40;
	assert_int_equal(vmb_host_offload_parse(frame.bytes, frame.len, frame.len, &layout),
			 VMB_EPROTO);
	frame.bytes[frame.transport_at + 12] = 0xF0;
	assert_int_equal(vmb_host_offload_parse(frame.bytes, frame.len, frame.len, &layout),
			 VMB_EPROTO);
	/* an extension header of 2 KiB, and behind it nothing that is looked at */
	kind = (struct frame_kind){
		.ip_version = 6, .protocol = 58, .ip_extra = 1, .payload_len = 10
	};
	source_frame(&frame, &kind);
	assert_int_equal(vmb_host_offload_parse(frame.bytes, frame.len, frame.len, &layout), 0);
	frame.bytes[frame.ip_at + 41] = 255;
	assert_int_equal(vmb_host_offload_parse(frame.bytes, frame.len, frame.len, &layout),
			 VMB_EPROTO);
}

/*
 * Random bytes in the headers: nothing outside of head is touched, and what is answered lies
 * inside.
 */
static void test_scrambled_headers_stay_inside(void **state)
{
	struct vmb_host_offload_layout layout;
	uint32_t round, i;

	for (round = 0; round < 20000; round++) {
		struct frame_kind kind = source_kind(30);
		uint32_t len;
		uint8_t *copy;

		source_frame(&frame, &kind);
		for (i = source_random() % 4 + 1; i; i--)
			frame.bytes[12 + source_random() % (frame.payload_at - 12)] =
				(uint8_t)source_random();
		len = source_random() % 3 ? frame.len : source_random() % (frame.len + 1);
		copy = copy_of(frame.bytes, len);
		if (!vmb_host_offload_parse(copy, len, len, &layout)) {
			assert_true(layout.ip_offset <= len);
			assert_true(layout.transport_offset <= layout.payload_offset);
			assert_true(layout.payload_offset <= len);
		}
		vmb_host_offload_verify(copy, len, NULL, 0);
		vmb_host_offload_complete(copy, len, NULL, 0, source_random() & 0x1F);
		free(copy);
	}
}

/* Large sends. */

static uint32_t get32be(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/*
 * What every segment must keep of the frame: all of the headers but for the fields that a segment
 * has of its own.
 */
static void check_kept(const struct frame *f, const uint8_t *head, uint8_t ip_version)
{
	uint32_t i, ip = f->ip_at, tcp = f->transport_at;

	for (i = 0; i < f->payload_at; i++) {
		if (ip_version == 4 &&
		    ((i >= ip + 2 && i < ip + 6) || (i >= ip + 10 && i < ip + 12)))
			continue;
		if (ip_version == 6 && i >= ip + 4 && i < ip + 6)
			continue;
		if ((i >= tcp + 4 && i < tcp + 8) || i == tcp + 13 || i == tcp + 16 ||
		    i == tcp + 17)
			continue;
		assert_int_equal(head[i], f->bytes[i]);
	}
}

static void check_segment(const struct frame *f, const struct frame_kind *kind, uint32_t number,
			  uint32_t done, bool last)
{
	const uint8_t *tcp = segment.bytes + f->transport_at;
	const uint8_t *before = f->bytes + f->transport_at;
	uint8_t flags = before[13];
	const char *wrong = sink_judge(segment.bytes, segment.len);

	if (wrong)
		fail_msg("segment %u: %s", number, wrong);
	check_kept(f, segment.bytes, kind->ip_version);
	assert_int_equal(get32be(tcp + 4), get32be(before + 4) + done);
	if (number)
		flags &= (uint8_t)~0x80;
	if (!last)
		flags &= (uint8_t)~0x09;
	assert_int_equal(tcp[13], flags);
	if (kind->ip_version == 4)
		assert_int_equal((segment.bytes[f->ip_at + 4] << 8 | segment.bytes[f->ip_at + 5]),
				 ((f->bytes[f->ip_at + 4] << 8 | f->bytes[f->ip_at + 5]) + number) &
					 0xFFFF);
}

/* Cuts a frame, completes each segment, and puts the payload together again. */
static void cut(const struct frame *f, const struct frame_kind *kind, uint32_t mss, uint32_t mtu)
{
	static struct vmb_host_offload_lso s;
	static uint8_t payload[SINK_FRAME_LEN_MAX];
	uint32_t done = 0, offset, len, number = 0, left;
	struct vmb_host_offload_piece piece;

	assert_int_equal(vmb_host_offload_lso_begin(&s, f->bytes, f->payload_at, f->len,
						    mss | RNDIS_LSO_V2, mtu),
			 0);
	left = vmb_host_offload_lso_left(&s);
	while (vmb_host_offload_lso_next(&s, segment.bytes, &offset, &len)) {
		assert_int_equal(vmb_host_offload_lso_left(&s), --left);
		assert_int_equal(offset, f->payload_at + done);
		assert_true(len <= mss && offset + len <= f->len);
		piece.base = f->bytes + offset;
		piece.len = len;
		assert_int_equal(vmb_host_offload_complete(segment.bytes, s.head_len, &piece, 1,
							   RNDIS_TX_CHECKSUM_TCP),
				 0);
		memcpy(segment.bytes + s.head_len, f->bytes + offset, len);
		segment.len = s.head_len + len;
		assert_true(segment.len - f->ip_at <= mtu);
		check_segment(f, kind, number, done, done + len == kind->payload_len);
		memcpy(payload + done, f->bytes + offset, len);
		done += len;
		number++;
	}
	assert_int_equal(left, 0);
	assert_int_equal(done, kind->payload_len);
	assert_int_equal(number, kind->payload_len ? (kind->payload_len + mss - 1) / mss : 1);
	assert_memory_equal(payload, f->bytes + f->payload_at, done);
}

static void test_segments_are_frames_and_make_up_the_whole(void **state)
{
	uint32_t round;

	for (round = 0; round < 200; round++) {
		struct frame_kind kind = source_kind(round % 10 ? 9000 : 0xF53C);
		uint32_t mtu = 1500 + source_random() % 3 * 1000, headers, least;

		kind.protocol = 6;
		kind.padding = 0;
		source_frame(&frame, &kind);
		/* as guests send it: no length, some sum of a pseudo-header in the checksum */
		if (round & 1)
			memset(frame.bytes + frame.ip_at + (kind.ip_version == 4 ? 2 : 4), 0, 2);
		headers = frame.payload_at - frame.ip_at;
		least = 48 - (frame.payload_at - frame.transport_at - 20);
		cut(&frame, &kind, least + source_random() % (mtu - headers - least + 1), mtu);
		cut(&frame, &kind, least, mtu);
		cut(&frame, &kind, mtu - headers, mtu);
	}
}

static void test_large_send_without_payload_is_one_segment(void **state)
{
	struct frame_kind kind = { .ip_version = 4, .protocol = 6 };

	source_frame(&frame, &kind);
	cut(&frame, &kind, 100, 1500);
}

static void test_segment_numbers_wrap(void **state)
{
	struct frame_kind kind = { .ip_version = 4, .protocol = 6, .payload_len = 1000 };

	source_frame(&frame, &kind);
	memset(frame.bytes + frame.ip_at + 4, 0xFF, 2);
	memset(frame.bytes + frame.transport_at + 4, 0xFF, 4);
	frame.bytes[frame.transport_at + 13] = 0xFF;
	cut(&frame, &kind, 100, 1500);
}

static void test_large_sends_that_are_no_good_are_refused(void **state)
{
	struct frame_kind kind = { .ip_version = 4, .protocol = 6, .payload_len = 5000 };
	static struct vmb_host_offload_lso s;

	source_frame(&frame, &kind);
#define BEGIN(lso, mtu) \
	vmb_host_offload_lso_begin(&s, frame.bytes, frame.payload_at, frame.len, lso, mtu)
	assert_int_equal(BEGIN(1460, 1500), 0);
	assert_int_equal(BEGIN(0, 1500), VMB_EPROTO);
	assert_int_equal(BEGIN(1461, 1500), VMB_EPROTO);
	assert_int_equal(BEGIN(0xFFFFF, 1500), VMB_EPROTO);
	assert_int_equal(BEGIN(1, 40), VMB_EPROTO);
	kind.protocol = 17;
	source_frame(&frame, &kind);
	assert_int_equal(BEGIN(1460, 1500), VMB_EPROTO);
	kind.protocol = 6;
	kind.payload_len = 0xFFFF;
	source_frame(&frame, &kind);
	assert_int_equal(BEGIN(1460, 1500), 0);
	kind.payload_len++;
	source_frame(&frame, &kind);
	assert_int_equal(BEGIN(1460, 1500), VMB_EPROTO);
	kind.payload_len = 100;
	source_frame(&frame, &kind);
	frame.bytes[frame.ip_at + 6] = 0x20;
	assert_int_equal(BEGIN(50, 1500), VMB_EPROTO);
	assert_int_equal(vmb_host_offload_lso_begin(&s, frame.bytes, frame.payload_at - 1,
						    frame.len, 50, 1500),
			 VMB_EPROTO);
}

/*
 * A frame in segments of one byte is tens of thousands of them; no guest has a reason to send less
 * than 48 with options.
 */
static void test_segments_too_small_to_be_meant_are_refused(void **state)
{
	static struct vmb_host_offload_lso s;
	uint32_t round, mss, least;

	for (round = 0; round < 50; round++) {
		struct frame_kind kind = source_kind(9000);

		kind.protocol = 6;
		kind.padding = 0;
		kind.payload_len += 9000;
		source_frame(&frame, &kind);
		least = 48 - (frame.payload_at - frame.transport_at - 20);
		assert_true(least >= 8);
		for (mss = 0; mss < least + 2; mss++)
			assert_int_equal(BEGIN(mss, 1500), mss < least ? VMB_EPROTO : 0);
	}
}

/*
 * The caller's budget may end between any two segments: all that is to be known is in the struct.
 */
static void test_large_send_goes_on_where_it_was_left(void **state)
{
	struct frame_kind kind = { .ip_version = 4, .protocol = 6, .payload_len = 5000 };
	static struct vmb_host_offload_lso s, copy;
	uint8_t head[VMB_HOST_OFFLOAD_HEAD_LEN_MAX], other[VMB_HOST_OFFLOAD_HEAD_LEN_MAX];
	uint32_t offset, len, offset2, len2, count = 0;

	source_frame(&frame, &kind);
	assert_int_equal(BEGIN(100, 1500), 0);
	assert_int_equal(vmb_host_offload_lso_left(&s), 50);
	do {
		copy = s;
		memset(&s, 0xEE, sizeof(s));
		s = copy;
		count++;
		assert_true(vmb_host_offload_lso_next(&s, head, &offset, &len));
		assert_true(vmb_host_offload_lso_next(&copy, other, &offset2, &len2));
		assert_int_equal(offset, frame.payload_at + 100 * (count - 1));
		assert_int_equal(offset, offset2);
		assert_memory_equal(head, other, s.head_len);
	} while (vmb_host_offload_lso_left(&s));
	assert_int_equal(count, 50);
	assert_false(vmb_host_offload_lso_next(&s, head, &offset, &len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum_is_that_of_single_bytes),
		cmocka_unit_test(test_sum_of_all_ones_keeps_its_carries),
		cmocka_unit_test(test_completed_frames_satisfy_the_sink),
		cmocka_unit_test(test_complete_changes_nothing_else),
		cmocka_unit_test(test_frame_that_is_not_what_flags_say_is_refused),
		cmocka_unit_test(test_fragment_gets_no_transport_checksum),
		cmocka_unit_test(test_ipv6_fragment_is_seen),
		cmocka_unit_test(test_routing_header_with_hops_left_is_left_alone),
		cmocka_unit_test(test_udp_checksum_of_zero_is_sent_as_all_ones),
		cmocka_unit_test(test_bytes_behind_the_ip_packet_do_not_count),
		cmocka_unit_test(test_length_of_zero_means_all_of_the_frame),
		cmocka_unit_test(test_length_beyond_the_frame_is_refused),
		cmocka_unit_test(test_prepared_frames_are_finished_by_a_plain_sum),
		cmocka_unit_test(test_padded_frame_is_completed_not_prepared),
		cmocka_unit_test(test_prepared_large_send_has_its_real_length),
		cmocka_unit_test(test_verify_agrees_with_the_sink),
		cmocka_unit_test(test_verify_says_nothing_of_udp_without_checksum),
		cmocka_unit_test(test_other_frames_are_no_error),
		cmocka_unit_test(test_headers_cut_anywhere_are_refused),
		cmocka_unit_test(test_headers_of_impossible_length_are_refused),
		cmocka_unit_test(test_scrambled_headers_stay_inside),
		cmocka_unit_test(test_segments_are_frames_and_make_up_the_whole),
		cmocka_unit_test(test_large_send_without_payload_is_one_segment),
		cmocka_unit_test(test_segment_numbers_wrap),
		cmocka_unit_test(test_large_sends_that_are_no_good_are_refused),
		cmocka_unit_test(test_segments_too_small_to_be_meant_are_refused),
		cmocka_unit_test(test_large_send_goes_on_where_it_was_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
