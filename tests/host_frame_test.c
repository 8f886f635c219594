// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a frame means between a guest's messages and a wire, against a sink that trusts no flag
 * (tests/host_offload_bed.h). docs/protocol/network.md, "9 RNDIS packets", "9.1 LSO",
 * "10 NDIS structures", "16 Hardening".
 */
#include "host/frame.h"
#include "tests/host_network_bed.h"
#include "tests/host_offload_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROUNDS	   1500
#define MTU	   1500u
#define PIECES_MAX 7u
#define VLAN	   0x1235u /* id 0x123, priority 5 */
#define TAG	   0xA123u

static struct nic nic;
static struct frame frame, wire, joined;
static struct vmb_host_frame_send sent;
static struct vmb_host_frame_receive got;

/* A card that receives everything; what the guest has switched on is the test's. */
static int set_up(void **state)
{
	const struct vmb_host_network_config config = nic_config();

	nic_start(&nic, &config);
	nic_open(&nic, VMB_NET_VERSION_6_1, MTU + 14, VMB_NET_CAP_RSC);
	nic_initialize(&nic);
	nic.n.rndis.filter = RNDIS_FILTER_PROMISCUOUS;
	nic.n.rndis.offload = VMB_HOST_RNDIS_RX_CHECKSUM;
	return 0;
}

static int tear_down(void **state)
{
	nic_end(&nic);
	return 0;
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

/* Pieces of exactly their sizes, the first of first_len bytes, others of random lengths. */
struct pieces {
	struct vmb_host_offload_piece at[PIECES_MAX];
	uint8_t *memory[PIECES_MAX];
	uint32_t count;
};

static void split(struct pieces *p, const uint8_t *bytes, uint32_t len, uint32_t first_len)
{
	uint32_t part = first_len < len ? first_len : len;

	for (p->count = 0; len; part = source_random() % (len + 1)) {
		if (p->count + 1 == PIECES_MAX)
			part = len;
		p->memory[p->count] = malloc(part ? part : 1);
		memcpy(p->memory[p->count], bytes, part);
		p->at[p->count] = (struct vmb_host_offload_piece){ p->memory[p->count], part };
		p->count++;
		bytes += part;
		len -= part;
	}
}

static void drop(struct pieces *p)
{
	while (p->count)
		free(p->memory[--p->count]);
}

static void join(const uint8_t *head, uint32_t head_len, const struct vmb_host_offload_piece *rest,
		 uint32_t count)
{
	if (head_len)
		memcpy(joined.bytes, head, head_len);
	joined.len = head_len;
	for (uint32_t i = 0; i < count; i++) {
		memcpy(joined.bytes + joined.len, rest[i].base, rest[i].len);
		joined.len += rest[i].len;
	}
}

static uint32_t flags_for(const struct frame_kind *kind)
{
	return (kind->ip_version == 4 ? RNDIS_TX_CHECKSUM_IPV4 | RNDIS_TX_CHECKSUM_IP_HEADER :
					RNDIS_TX_CHECKSUM_IPV6) |
	       (kind->protocol == 6 ? RNDIS_TX_CHECKSUM_TCP : RNDIS_TX_CHECKSUM_UDP);
}

static struct frame_kind tcp_kind(uint8_t ip_version, uint32_t payload_len)
{
	return (struct frame_kind){ .ip_version = ip_version,
				    .protocol = 6,
				    .payload_len = payload_len };
}

/* From the guest */

static struct vmb_host_network_io io;
static struct pieces sent_pieces;

/* The frame lies behind 11 other bytes of the packet. */
static struct vmb_host_network_frame put_into_packet(const struct frame *f, uint32_t present,
						     uint32_t checksum, uint32_t lso)
{
	static uint8_t packet[SINK_FRAME_LEN_MAX + 11];

	memset(packet, 0xEE, 11);
	memcpy(packet + 11, f->bytes, f->len);
	split(&sent_pieces, packet, f->len + 11, source_random() % 300);
	io = (struct vmb_host_network_io){ .pieces = sent_pieces.at,
					   .piece_count = sent_pieces.count,
					   .total_len = f->len + 11 };
	return (struct vmb_host_network_frame){ .rndis = { .present = present,
							   .len = f->len,
							   .checksum = checksum,
							   .lso = lso,
							   .vlan = VLAN },
						.offset = 11 };
}

static int begin_send(const struct frame *f, uint32_t present, uint32_t checksum, uint32_t lso,
		      bool takes_large)
{
	const struct vmb_host_network_frame of_guest = put_into_packet(f, present, checksum, lso);

	return vmb_host_frame_send_begin(&sent, &nic.n, &io, &of_guest, takes_large);
}

/* The next frame on the wire is in joined, its tag judged and taken out. */
static void expect_sent(bool tagged)
{
	assert_int_equal(vmb_host_frame_send_next(&sent, &io), 1);
	join(sent.head, sent.head_len, sent.rest, sent.rest_count);
	assert_int_equal(joined.len, sent.len);
	if (!tagged)
		return;
	assert_int_equal(get16(joined.bytes + 12), 0x8100);
	assert_int_equal(get16(joined.bytes + 14), TAG);
	joined.len -= 4;
	memmove(joined.bytes + 12, joined.bytes + 16, joined.len - 12);
}

static void expect_no_more(void)
{
	assert_int_equal(vmb_host_frame_send_next(&sent, &io), 0);
	assert_int_equal(vmb_host_frame_send_next(&sent, &io), 0);
	drop(&sent_pieces);
}

/* As the one who takes the frame does it: a plain sum to the end. */
static void fill(uint8_t *bytes, uint32_t len, uint32_t start, uint32_t at)
{
	uint16_t sum = (uint16_t)~sink_sum(bytes + start, len - start);

	assert_true(start + at + 2 <= len);
	sum = sum ? sum : 0xFFFF;
	bytes[start + at] = (uint8_t)(sum >> 8);
	bytes[start + at + 1] = (uint8_t)sum;
}

static void test_tags_and_their_information_are_one_thing(void **state)
{
	assert_int_equal(vmb_host_frame_tag_of(VLAN), TAG);
	assert_int_equal(vmb_host_frame_tag_of(0x0008), 0x1000); /* CFI */
	assert_int_equal(vmb_host_frame_tag_of(0xFFFF0000u | VLAN), TAG); /* no other bits count */
	for (uint32_t tag = 0; tag <= 0xFFFF; tag++)
		assert_int_equal(vmb_host_frame_tag_of(vmb_host_frame_vlan_of((uint16_t)tag)), tag);
}

static void test_frame_without_wishes_is_left_as_it_is(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		const struct frame_kind kind = source_kind(1400);
		const bool tagged = i & 1;

		source_frame(&frame, &kind);
		assert_int_equal(
			begin_send(&frame, tagged ? VMB_HOST_RNDIS_HAS_VLAN : 0, 0, 0, i & 2), 0);
		assert_int_equal(sent.way, VMB_HOST_FRAME_PLAIN);
		expect_sent(tagged);
		assert_int_equal(joined.len, frame.len);
		assert_memory_equal(joined.bytes, frame.bytes, frame.len);
		assert_false(sent.work.checksum || sent.work.large);
		expect_no_more();
	}
}

static void test_checksums_are_completed_for_a_wire_that_takes_none_open(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		const struct frame_kind kind = source_kind(1400);
		const bool tagged = i & 1;

		source_frame(&frame, &kind);
		assert_int_equal(begin_send(&frame,
					    VMB_HOST_RNDIS_HAS_CHECKSUM |
						    (tagged ? VMB_HOST_RNDIS_HAS_VLAN : 0),
					    flags_for(&kind), 0, false),
				 0);
		expect_sent(tagged);
		assert_null(sink_judge(joined.bytes, joined.len));
		assert_false(sent.work.checksum);
		expect_no_more();
	}
}

static void test_checksums_stay_open_for_a_wire_that_takes_them(void **state)
{
	uint32_t open = 0;

	for (int i = 0; i < ROUNDS; i++) {
		const struct frame_kind kind = source_kind(1400);
		const bool tagged = i & 1;

		source_frame(&frame, &kind);
		assert_int_equal(begin_send(&frame,
					    VMB_HOST_RNDIS_HAS_CHECKSUM |
						    (tagged ? VMB_HOST_RNDIS_HAS_VLAN : 0),
					    flags_for(&kind), 0, true),
				 0);
		expect_sent(tagged);
		/* Padding would be summed as well, so that such frames are completed. */
		assert_int_equal(sent.work.checksum, !kind.padding);
		if (sent.work.checksum)
			fill(joined.bytes, joined.len, sent.work.checksum_start - (tagged ? 4 : 0),
			     sent.work.checksum_at);
		open += sent.work.checksum;
		assert_null(sink_judge(joined.bytes, joined.len));
		expect_no_more();
	}
	assert_true(open > ROUNDS / 4);
}

/* Segments in order: each one good by itself, their payloads the frame's. */
static void check_cut(const struct frame_kind *kind, uint32_t mss, bool tagged)
{
	uint32_t done = 0, len;

	assert_int_equal(sent.way, VMB_HOST_FRAME_CUT);
	for (; done < kind->payload_len; done += len) {
		expect_sent(tagged);
		assert_null(sink_judge(joined.bytes, joined.len));
		assert_false(sent.work.checksum || sent.work.large);
		len = joined.len - frame.payload_at;
		assert_int_equal(len,
				 kind->payload_len - done < mss ? kind->payload_len - done : mss);
		assert_memory_equal(joined.bytes + frame.payload_at,
				    frame.bytes + frame.payload_at + done, len);
	}
	expect_no_more();
}

static void test_large_frame_is_cut_for_a_wire_that_takes_none(void **state)
{
	for (int i = 0; i < 100; i++) {
		const struct frame_kind kind = tcp_kind(i & 2 ? 4 : 6, 1500 + i * 600);
		const uint32_t mss = 500 + source_random() % 900;
		const bool tagged = i & 1;

		source_frame(&frame, &kind);
		assert_int_equal(begin_send(&frame,
					    VMB_HOST_RNDIS_HAS_LSO |
						    (tagged ? VMB_HOST_RNDIS_HAS_VLAN : 0),
					    0, RNDIS_LSO_V2 | mss, false),
				 0);
		check_cut(&kind, mss, tagged);
	}
}

static void test_large_frame_passes_whole_with_a_note(void **state)
{
	for (int i = 0; i < 100; i++) {
		const struct frame_kind kind = tcp_kind(i & 2 ? 4 : 6, 1500 + i * 600);
		const uint32_t tag_len = i & 1 ? 4 : 0;

		source_frame(&frame, &kind);
		assert_int_equal(begin_send(&frame,
					    VMB_HOST_RNDIS_HAS_LSO |
						    (tag_len ? VMB_HOST_RNDIS_HAS_VLAN : 0),
					    0, RNDIS_LSO_V2 | 1400, true),
				 0);
		assert_int_equal(sent.way, VMB_HOST_FRAME_WHOLE);
		expect_sent(tag_len);
		assert_int_equal(sent.work.large, kind.ip_version);
		assert_int_equal(sent.work.mss, 1400);
		assert_int_equal(sent.work.head_len, frame.payload_at + tag_len);
		assert_true(sent.work.checksum);
		assert_int_equal(sent.work.checksum_start, frame.transport_at + tag_len);
		fill(joined.bytes, joined.len, sent.work.checksum_start - tag_len,
		     sent.work.checksum_at);
		assert_null(sink_judge(joined.bytes, joined.len));
		expect_no_more();
	}
}

static void test_large_frame_of_one_segment_is_a_plain_one(void **state)
{
	const struct frame_kind kind = tcp_kind(4, 900);

	for (int takes_large = 0; takes_large < 2; takes_large++) {
		source_frame(&frame, &kind);
		frame.bytes[frame.ip_at + 2] = 0xFF; /* no length that could be right */
		assert_int_equal(begin_send(&frame, VMB_HOST_RNDIS_HAS_LSO, 0, RNDIS_LSO_V2 | 900,
					    takes_large),
				 0);
		assert_int_equal(sent.way, VMB_HOST_FRAME_PLAIN);
		expect_sent(false);
		assert_int_equal(sent.work.large, 0);
		assert_int_equal(sent.work.checksum, takes_large);
		if (takes_large)
			fill(joined.bytes, joined.len, sent.work.checksum_start,
			     sent.work.checksum_at);
		assert_null(sink_judge(joined.bytes, joined.len));
		expect_no_more();
	}
}

static void test_wish_that_does_not_fit_is_refused(void **state)
{
	const struct frame_kind udp = { .ip_version = 4, .protocol = 17, .payload_len = 3000 };
	const struct frame_kind tcp = tcp_kind(4, 3000);

	for (int large = 0; large < 2; large++) {
		source_frame(&frame, &udp);
		assert_int_equal(begin_send(&frame, VMB_HOST_RNDIS_HAS_LSO, 0, RNDIS_LSO_V2 | 1000,
					    large),
				 VMB_EPROTO);
		drop(&sent_pieces);
		assert_int_equal(begin_send(&frame, VMB_HOST_RNDIS_HAS_CHECKSUM,
					    RNDIS_TX_CHECKSUM_TCP, 0, large),
				 VMB_EPROTO);
		drop(&sent_pieces);
		source_frame(&frame, &tcp);
		assert_int_equal(begin_send(&frame, VMB_HOST_RNDIS_HAS_LSO, 0,
					    RNDIS_LSO_V2 | (MTU - 39), large),
				 VMB_EPROTO);
		drop(&sent_pieces);
		frame.len = 13;
		assert_int_equal(begin_send(&frame, 0, 0, 0, large), VMB_EPROTO);
		drop(&sent_pieces);
	}
}

/* Whoever says how long the frame is and whoever has the bytes may be of two minds. */
static void test_frame_longer_than_its_packet_ends_where_that_ends(void **state)
{
	const struct frame_kind kind = tcp_kind(4, 3000);
	struct vmb_host_network_frame of_guest;

	source_frame(&frame, &kind);
	of_guest = put_into_packet(&frame, VMB_HOST_RNDIS_HAS_LSO, 0, RNDIS_LSO_V2 | 1000);
	of_guest.rndis.len++;
	assert_int_equal(vmb_host_frame_send_begin(&sent, &nic.n, &io, &of_guest, true),
			 VMB_EPROTO);
	assert_int_equal(vmb_host_frame_send_begin(&sent, &nic.n, &io, &of_guest, false), 0);
	for (int i = 0; i < 3; i++)
		expect_sent(false);
	assert_int_equal(vmb_host_frame_send_next(&sent, &io), VMB_EPROTO);
	expect_no_more();
}

/* To the guest */

static struct pieces got_pieces;

static int begin_receive(const struct frame *f, const struct vmb_host_frame_work *work)
{
	static const struct vmb_host_frame_work none;

	split(&got_pieces, f->bytes, f->len, source_random() % 300);
	return vmb_host_frame_receive_begin(&got, &nic.n, got_pieces.at, got_pieces.count,
					    work ? work : &none);
}

static void expect_got(void)
{
	assert_int_equal(vmb_host_frame_receive_next(&got, &nic.n), 1);
	join(NULL, 0, got.pieces, got.count);
	assert_int_equal(joined.len, got.frame.len);
	assert_int_equal(got.queue, 0);
}

static void expect_got_all(void)
{
	assert_int_equal(vmb_host_frame_receive_next(&got, &nic.n), 0);
	assert_int_equal(vmb_host_frame_receive_next(&got, &nic.n), 0);
	drop(&got_pieces);
}

static void refuse_receive(const struct frame *f, const struct vmb_host_frame_work *work, int error)
{
	assert_int_equal(begin_receive(f, work), error);
	drop(&got_pieces);
}

/* The frame of kind with good checksums, by the other direction. */
static void make_good(const struct frame_kind *kind)
{
	source_frame(&frame, kind);
	assert_int_equal(begin_send(&frame, VMB_HOST_RNDIS_HAS_CHECKSUM, flags_for(kind), 0, false),
			 0);
	expect_sent(false);
	expect_no_more();
	memcpy(frame.bytes, joined.bytes, joined.len);
}

/* The frame on a wire, tagged if tag_len is not 0. */
static void put_on_wire(uint32_t tag_len)
{
	memcpy(wire.bytes, frame.bytes, 12);
	memcpy(wire.bytes + 12, (const uint8_t[]){ 0x81, 0x00, TAG >> 8, TAG & 0xFF }, 4);
	memcpy(wire.bytes + 12 + tag_len, frame.bytes + 12, frame.len - 12);
	wire.len = frame.len + tag_len;
}

static uint32_t vouched(const struct frame_kind *kind)
{
	return kind->protocol == 6 ? RNDIS_RX_CHECKSUM_TCP_OK : RNDIS_RX_CHECKSUM_UDP_OK;
}

static void test_tag_becomes_information(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct frame_kind kind = source_kind(1400);
		const uint32_t tag_len = i & 1 ? 4 : 0;

		kind.tags = 0;
		make_good(&kind);
		put_on_wire(tag_len);
		assert_int_equal(begin_receive(&wire, NULL), 0);
		assert_int_equal(got.way, VMB_HOST_FRAME_PLAIN);
		expect_got();
		assert_int_equal(got.frame.has_vlan, tag_len != 0);
		assert_int_equal(got.frame.vlan, tag_len ? VLAN : 0);
		assert_int_equal(joined.len, frame.len);
		assert_memory_equal(joined.bytes, frame.bytes, frame.len);
		assert_true(got.frame.checksum & vouched(&kind));
		expect_got_all();
	}
}

static void test_what_the_guest_has_not_switched_on_is_not_said(void **state)
{
	const struct frame_kind kind = tcp_kind(4, 100);

	make_good(&kind);
	nic.n.rndis.offload = 0;
	assert_int_equal(begin_receive(&frame, NULL), 0);
	expect_got();
	assert_int_equal(got.frame.checksum, 0);
	expect_got_all();
}

static void test_good_sums_are_vouched_for_and_bad_ones_not(void **state)
{
	const struct vmb_host_frame_work good = { .checksum_good = true };
	const struct frame_kind kind = tcp_kind(6, 100);

	make_good(&kind);
	frame.bytes[frame.payload_at]++;
	assert_int_equal(begin_receive(&frame, NULL), 0);
	expect_got();
	assert_int_equal(got.frame.checksum, RNDIS_RX_CHECKSUM_TCP_FAILED);
	expect_got_all();
	/* A wire that says it looked is believed. */
	assert_int_equal(begin_receive(&frame, &good), 0);
	expect_got();
	assert_int_equal(got.frame.checksum, RNDIS_RX_CHECKSUM_TCP_OK);
	expect_got_all();
}

static void test_open_checksum_is_filled_in(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct frame_kind kind = source_kind(1400);
		const uint32_t tag_len = i & 1 ? 4 : 0;
		struct vmb_host_frame_work work;

		kind.tags = kind.padding = 0;
		source_frame(&frame, &kind);
		assert_int_equal(begin_send(&frame, VMB_HOST_RNDIS_HAS_CHECKSUM, flags_for(&kind),
					    0, true),
				 0);
		expect_sent(false);
		work = sent.work;
		expect_no_more();
		memcpy(frame.bytes, joined.bytes, joined.len);
		put_on_wire(tag_len);
		work.checksum_start += tag_len;
		assert_int_equal(begin_receive(&wire, &work), 0);
		expect_got();
		assert_null(sink_judge(joined.bytes, joined.len));
		assert_int_equal(got.frame.checksum, vouched(&kind));
		expect_got_all();
	}
}

static void test_note_that_does_not_fit_is_refused(void **state)
{
	const struct frame_kind kind = tcp_kind(4, 1000);
	struct vmb_host_frame_work work = { .checksum = true, .checksum_start = 13 };

	source_frame(&frame, &kind);
	refuse_receive(&frame, &work, VMB_EPROTO); /* in the addresses */
	work.checksum_start = 17;
	put_on_wire(4);
	refuse_receive(&wire, &work, VMB_EPROTO); /* in the tag */
	work.checksum_start = 34;
	work.checksum_at = 240;
	refuse_receive(&frame, &work, VMB_EPROTO); /* behind the headers */
	work.checksum_at = UINT32_MAX - 33;
	refuse_receive(&frame, &work, VMB_EPROTO);
	work.checksum_start = UINT32_MAX;
	work.checksum_at = 16;
	refuse_receive(&frame, &work, VMB_EPROTO);
	frame.len = 13;
	refuse_receive(&frame, NULL, VMB_EPROTO);
}

static void test_field_at_the_very_end_is_filled_in(void **state)
{
	const struct vmb_host_frame_work work = { .checksum = true,
						  .checksum_start = 14,
						  .checksum_at = 4 };
	struct vmb_host_frame_work over = work;

	memset(frame.bytes, 0x22, 20);
	frame.len = 20;
	assert_int_equal(begin_receive(&frame, &work), 0);
	expect_got();
	assert_int_equal(sink_sum(joined.bytes + 14, 4), 0x4444);
	assert_int_equal(get16(joined.bytes + 18), 0xFFFF - 0x6666);
	expect_got_all();
	/* A sum of zero would mean "no checksum" to UDP. */
	memset(frame.bytes + 14, 0, 6);
	frame.bytes[18] = frame.bytes[19] = 0xFF;
	assert_int_equal(begin_receive(&frame, &work), 0);
	expect_got();
	assert_int_equal(get16(joined.bytes + 18), 0xFFFF);
	expect_got_all();
	over.checksum_at = 5;
	refuse_receive(&frame, &over, VMB_EPROTO);
}

static void test_frame_that_nobody_wants_goes_nowhere(void **state)
{
	const struct frame_kind kind = tcp_kind(4, 100);

	source_frame(&frame, &kind);
	nic.n.rndis.filter = 0;
	refuse_receive(&frame, NULL, VMB_ENODEV);
	nic.n.rndis.filter = RNDIS_FILTER_DIRECTED;
	frame.bytes[0] = 0x02;
	refuse_receive(&frame, NULL, VMB_ENODEV);
	memcpy(frame.bytes, nic_config().rndis.mac, 6);
	assert_int_equal(begin_receive(&frame, NULL), 0);
	expect_got();
	expect_got_all();
}

static void test_pieces_are_counted(void **state)
{
	struct vmb_host_offload_piece pieces[VMB_HOST_FRAME_PIECE_COUNT_MAX + 1];
	const struct vmb_host_frame_work none = { 0 };
	const uint32_t most = VMB_HOST_FRAME_PIECE_COUNT_MAX;

	memset(frame.bytes, 0x22, 1000);
	for (uint32_t i = 0; i <= most; i++)
		pieces[i] = (struct vmb_host_offload_piece){ frame.bytes + 10 * i, i % 3 ? 10 : 0 };
	assert_int_equal(vmb_host_frame_receive_begin(&got, &nic.n, pieces, most + 1, &none),
			 VMB_EPROTO);
	assert_int_equal(vmb_host_frame_receive_begin(&got, &nic.n, pieces, 0, &none), VMB_EPROTO);
	assert_int_equal(vmb_host_frame_receive_begin(&got, &nic.n, pieces, most, &none), 0);
	expect_got();
	assert_int_equal(joined.len, most / 3 * 20);
	expect_got_all();
}

static void make_large(const struct frame_kind *kind, uint32_t tag_len, uint32_t mss,
		       struct vmb_host_frame_work *work)
{
	source_frame(&frame, kind);
	assert_int_equal(begin_send(&frame, VMB_HOST_RNDIS_HAS_LSO, 0, RNDIS_LSO_V2 | mss, true),
			 0);
	expect_sent(false);
	*work = sent.work;
	work->large = kind->ip_version;
	work->mss = mss;
	expect_no_more();
	memcpy(frame.bytes, joined.bytes, joined.len);
	put_on_wire(tag_len);
	work->checksum_start += tag_len;
}

static void test_large_frame_is_cut_for_a_guest_that_takes_none(void **state)
{
	struct vmb_host_frame_work work;

	for (int i = 0; i < 100; i++) {
		const struct frame_kind kind = tcp_kind(i & 2 ? 4 : 6, 1500 + i * 600);
		const uint32_t mss = 500 + source_random() % 900;
		uint32_t done = 0, len;

		make_large(&kind, i & 1 ? 4 : 0, mss, &work);
		assert_int_equal(begin_receive(&wire, &work), 0);
		assert_int_equal(got.way, VMB_HOST_FRAME_CUT);
		for (; done < kind.payload_len; done += len) {
			expect_got();
			assert_null(sink_judge(joined.bytes, joined.len));
			assert_int_equal(got.frame.vlan, i & 1 ? VLAN : 0);
			assert_int_equal(got.frame.checksum, RNDIS_RX_CHECKSUM_TCP_OK);
			assert_int_equal(got.frame.mss, 0);
			len = joined.len - frame.payload_at;
			assert_in_range(len, 1, mss);
			assert_memory_equal(joined.bytes + frame.payload_at,
					    frame.bytes + frame.payload_at + done, len);
		}
		expect_got_all();
	}
}

static void test_large_frame_stays_whole_for_a_guest_that_takes_it(void **state)
{
	const struct frame_kind kind = tcp_kind(4, 20000);
	struct vmb_host_frame_work work;

	nic.n.rndis.offload |= VMB_HOST_RNDIS_RSC;
	make_large(&kind, 4, 1400, &work);
	assert_int_equal(begin_receive(&wire, &work), 0);
	assert_int_equal(got.way, VMB_HOST_FRAME_WHOLE);
	expect_got();
	assert_int_equal(got.frame.mss, 1400);
	assert_int_equal(got.frame.checksum,
			 RNDIS_RX_CHECKSUM_TCP_OK | RNDIS_RX_CHECKSUM_TCP_VALUE_INVALID);
	assert_memory_equal(joined.bytes, frame.bytes, frame.len);
	expect_got_all();
	/* Who takes large frames but judges checksums itself gets segments. */
	nic.n.rndis.offload = VMB_HOST_RNDIS_RSC;
	assert_int_equal(begin_receive(&wire, &work), 0);
	assert_int_equal(got.way, VMB_HOST_FRAME_CUT);
	expect_got();
	assert_int_equal(got.frame.checksum, 0);
	drop(&got_pieces);
}

static void test_large_frame_that_fits_is_a_plain_one(void **state)
{
	const struct frame_kind kind = tcp_kind(4, MTU - 40);
	struct vmb_host_frame_work work;

	make_large(&kind, 0, 700, &work);
	assert_int_equal(begin_receive(&wire, &work), 0);
	assert_int_equal(got.way, VMB_HOST_FRAME_PLAIN);
	expect_got();
	assert_null(sink_judge(joined.bytes, joined.len));
	expect_got_all();
}

static void test_large_frame_that_is_none_is_refused(void **state)
{
	const struct frame_kind tcp = tcp_kind(4, 5000);
	const struct frame_kind udp = { .ip_version = 4, .protocol = 17, .payload_len = 5000 };
	struct vmb_host_frame_work work, wrong;

	make_large(&tcp, 0, 1000, &work);
	wrong = work;
	wrong.large = 6;
	refuse_receive(&wire, &wrong, VMB_EPROTO);
	wrong = work;
	wrong.mss = 0;
	refuse_receive(&wire, &wrong, VMB_EPROTO);
	nic.n.rndis.offload |= VMB_HOST_RNDIS_RSC;
	refuse_receive(&wire, &wrong, VMB_EPROTO);
	nic.n.rndis.offload &= ~VMB_HOST_RNDIS_RSC;
	wrong.mss = MTU - 39; /* headers and it are longer than the MTU */
	refuse_receive(&wire, &wrong, VMB_EPROTO);
	wrong.mss = RNDIS_LSO_MSS_MASK + 1 + 1000;
	refuse_receive(&wire, &wrong, VMB_EPROTO);
	source_frame(&frame, &udp);
	refuse_receive(&frame, &work, VMB_EPROTO);
	memset(frame.bytes, 0, 5000);
	refuse_receive(&frame, &work, VMB_EPROTO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tags_and_their_information_are_one_thing),
		TEST(test_frame_without_wishes_is_left_as_it_is),
		TEST(test_checksums_are_completed_for_a_wire_that_takes_none_open),
		TEST(test_checksums_stay_open_for_a_wire_that_takes_them),
		TEST(test_large_frame_is_cut_for_a_wire_that_takes_none),
		TEST(test_large_frame_passes_whole_with_a_note),
		TEST(test_large_frame_of_one_segment_is_a_plain_one),
		TEST(test_wish_that_does_not_fit_is_refused),
		TEST(test_frame_longer_than_its_packet_ends_where_that_ends),
		TEST(test_tag_becomes_information),
		TEST(test_what_the_guest_has_not_switched_on_is_not_said),
		TEST(test_good_sums_are_vouched_for_and_bad_ones_not),
		TEST(test_open_checksum_is_filled_in),
		TEST(test_note_that_does_not_fit_is_refused),
		TEST(test_field_at_the_very_end_is_filled_in),
		TEST(test_frame_that_nobody_wants_goes_nowhere),
		TEST(test_pieces_are_counted),
		TEST(test_large_frame_is_cut_for_a_guest_that_takes_none),
		TEST(test_large_frame_stays_whole_for_a_guest_that_takes_it),
		TEST(test_large_frame_that_fits_is_a_plain_one),
		TEST(test_large_frame_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
