// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A card's frames, both ways: what reaches the backend and the guest's receive buffer is judged by
 * a sink that trusts no flag.
 */
#include "tests/devices_network_bed.h"

#define ENVELOPE_LEN 92u /* with the three elements below, padded */
#define CSUM_IPV4    (RNDIS_TX_CHECKSUM_IPV4 | RNDIS_TX_CHECKSUM_IP_HEADER)
#define TAG	     0x6064u /* priority 3, id 100 */
#define TAG_RNDIS    (3u | 100u << RNDIS_VLAN_ID_SHIFT)

static uint8_t frame[66000];

/* An RNDIS message around a frame. info: type and value, type ~0 ends it. Answers its length. */
static uint32_t wrap(uint8_t *dst, const uint8_t *bytes, uint32_t len, const uint32_t (*info)[2])
{
	struct rndis_packet packet = { .header = { RNDIS_PACKET, 0 } };
	uint32_t head_len = sizeof(packet), element[4];

	for (; (*info)[0] != ~0u; info++) {
		element[0] = sizeof(element);
		element[1] = (*info)[0];
		element[2] = 12;
		element[3] = (*info)[1];
		memcpy(dst + head_len, element, sizeof(element));
		head_len += sizeof(element);
		packet.info_offset = 36;
		packet.info_len += sizeof(element);
	}
	packet.data_offset = head_len - 8;
	packet.data_len = len;
	packet.header.len = head_len + len;
	memcpy(dst, &packet, sizeof(packet));
	memcpy(dst + head_len, bytes, len);
	return head_len + len;
}

static const uint32_t no_info[][2] = { { ~0u, 0 } };

/* Sends the frame and waits for its completion. offset: of the message in its first page. */
static uint32_t send_frame(uint32_t len, const uint32_t (*info)[2], uint32_t offset)
{
	uint32_t total = wrap(at(DATA_GPA) + offset, frame, len, info);
	struct got got;

	send_pages(0, VMB_NET_DATA, offset, total, 11);
	got = expect_completion(0, 11, VMB_NET_SEND_RNDIS_PACKET_COMPLETE);
	return word(got.payload, 4);
}

static void judge(const struct kept *kept, uint16_t tag, uint32_t flow, uint32_t sequence)
{
	struct net_verdict v = net_frame_judge(kept->bytes, kept->len);

	if (v.wrong)
		fail_msg("%s", v.wrong);
	assert_int_equal(v.vlan_tag, tag);
	assert_int_equal(net_payload_differs(kept->bytes + v.payload_at, v.payload_len, flow,
					     sequence),
			 v.payload_len);
}

static void test_frame_leaves_from_any_page_offset(void **state)
{
	struct net_spec spec = { .len = 1514, .ip = 4, .protocol = NET_TCP, .flow = 3 };

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	net_frame_make(frame, &spec);
	for (uint32_t offset = 0; offset < PAGE; offset += 113) {
		bed.frame_count = 0;
		assert_int_equal(send_frame(spec.len, no_info, offset), VMB_NET_STATUS_SUCCESS);
		assert_int_equal(bed.frame_count, 1);
		assert_int_equal(bed.frames[0].len, spec.len);
		assert_memory_equal(bed.frames[0].bytes, frame, spec.len);
	}
}

static void test_section_of_several_frames_leaves(void **state)
{
	const struct vmb_net_rndis_packet message = { VMB_NET_SEND_RNDIS_PACKET, VMB_NET_DATA, 3,
						      3 * 160 };
	uint8_t payload[40] = { 0 };

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	for (uint32_t i = 0; i < 3; i++) {
		struct net_spec spec = { .len = 116, .ip = 4, .protocol = NET_UDP, .flow = i };

		net_frame_make(frame, &spec);
		assert_int_equal(wrap(at(SEND_GPA + 3 * VMB_NET_SEND_SECTION_LEN) + 160 * i, frame,
				      116, no_info),
				 160);
	}
	memcpy(payload, &message, sizeof(message));
	assert_int_equal(post(0, VMB_PKT_INBAND, NULL, 0, payload, sizeof(payload), 5), 0);
	publish(0);
	expect_completion(0, 5, VMB_NET_SEND_RNDIS_PACKET_COMPLETE);
	assert_int_equal(bed.frame_count, 3);
	for (uint32_t i = 0; i < 3; i++)
		judge(&bed.frames[i], 0, i, 0);
}

static void test_checksums_are_filled_in_and_tags_inserted(void **state)
{
	const uint8_t protocols[] = { NET_TCP, NET_UDP }, versions[] = { 4, 6 };

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	for (uint32_t i = 0; i < 8; i++) {
		struct net_spec spec = { .len = 1001,
					 .ip = versions[i & 1],
					 .protocol = protocols[i >> 1 & 1],
					 .flow = i,
					 .checksums = NET_CHECKSUMS_OPEN };
		uint32_t flags =
			(spec.ip == 4 ? CSUM_IPV4 : RNDIS_TX_CHECKSUM_IPV6) |
			(spec.protocol == NET_TCP ? RNDIS_TX_CHECKSUM_TCP : RNDIS_TX_CHECKSUM_UDP) |
			net_transport_at(&spec) << RNDIS_TX_CHECKSUM_TCP_OFFSET_SHIFT;
		const uint32_t info[][2] = { { RNDIS_INFO_CHECKSUM, flags },
					     { i >> 2 ? RNDIS_INFO_VLAN : ~0u, TAG_RNDIS },
					     { ~0u, 0 } };

		bed.frame_count = 0;
		net_frame_make(frame, &spec);
		assert_int_equal(send_frame(spec.len, info, 100), VMB_NET_STATUS_SUCCESS);
		assert_int_equal(bed.frame_count, 1);
		judge(&bed.frames[0], i >> 2 ? TAG : 0, i, 0);
	}
}

static void test_large_send_is_cut(void **state)
{
	const uint32_t info[][2] = { { RNDIS_INFO_LSO,
				       1448 | 34u << RNDIS_LSO_TCP_OFFSET_SHIFT | RNDIS_LSO_V2 },
				     { RNDIS_INFO_VLAN, TAG_RNDIS },
				     { ~0u, 0 } };
	struct net_spec spec = { .len = 40054,
				 .ip = 4,
				 .protocol = NET_TCP,
				 .flow = 8,
				 .large = true,
				 .checksums = NET_CHECKSUMS_OPEN };
	uint32_t done = 0;

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	net_frame_make(frame, &spec);
	assert_int_equal(send_frame(spec.len, info, 3000), VMB_NET_STATUS_SUCCESS);
	assert_int_equal(bed.frame_count, (40000 + 1447) / 1448);
	for (uint32_t i = 0; i < bed.frame_count; i++) {
		struct net_verdict v = net_frame_judge(bed.frames[i].bytes, bed.frames[i].len);

		judge(&bed.frames[i], TAG, 8, done);
		assert_int_equal(v.sequence, done);
		assert_int_equal(bed.frames[i].header.gso_type, 0);
		done += v.payload_len;
	}
	assert_int_equal(done, 40000);
}

static void test_large_send_goes_whole_to_who_takes_it(void **state)
{
	const uint32_t info[][2] = { { RNDIS_INFO_LSO,
				       1448 | 34u << RNDIS_LSO_TCP_OFFSET_SHIFT | RNDIS_LSO_V2 },
				     { RNDIS_INFO_VLAN, TAG_RNDIS },
				     { ~0u, 0 } };
	struct net_spec spec = { .len = 40054,
				 .ip = 4,
				 .protocol = NET_TCP,
				 .large = true,
				 .checksums = NET_CHECKSUMS_OPEN };
	const struct kept *kept = &bed.frames[0];

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	net_frame_make(frame, &spec);
	assert_int_equal(send_frame(spec.len, info, 0), VMB_NET_STATUS_SUCCESS);
	assert_int_equal(bed.frame_count, 1);
	assert_int_equal(kept->len, spec.len + 4);
	assert_int_equal(kept->header.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(kept->header.gso_size, 1448);
	assert_int_equal(kept->header.hdr_len, 58);
	assert_int_equal(kept->header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(kept->header.csum_start, 38);
	assert_int_equal(kept->header.csum_offset, 16);
	assert_int_equal(kept->bytes[12] << 8 | kept->bytes[13], 0x8100);
}

/* To a backend that does the rest, and to one that does nothing. */
static void test_large_send_of_one_segment_has_its_real_length(void **state)
{
	const uint8_t versions[] = { 4, 6 };

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	for (uint32_t i = 0; i < 2; i++) {
		struct net_spec spec = { .len = 700,
					 .ip = versions[i],
					 .protocol = NET_TCP,
					 .flow = i,
					 .checksums = NET_CHECKSUMS_OPEN };
		const uint32_t info[][2] = {
			{ RNDIS_INFO_LSO,
			  1400 | net_transport_at(&spec) << RNDIS_LSO_TCP_OFFSET_SHIFT |
				  RNDIS_LSO_V2 | (spec.ip == 6 ? RNDIS_LSO_IPV6 : 0) },
			{ ~0u, 0 }
		};
		uint32_t len_at = spec.ip == 4 ? 16 : 18, left = spec.ip == 4 ? 686 : 646;
		struct kept *kept = &bed.frames[0];

		bed.frame_count = 0;
		net_frame_make(frame, &spec);
		frame[len_at] = 0x12; /* longer than the frame */
		assert_int_equal(send_frame(spec.len, info, 0), VMB_NET_STATUS_SUCCESS);
		assert_int_equal(bed.frame_count, 1);
		assert_int_equal(kept->header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		assert_int_equal(kept->bytes[len_at] << 8 | kept->bytes[len_at + 1], left);
		if (!backend_takes_large)
			judge(kept, 0, i, 0);
	}
}

static void test_padded_frame_leaves_complete(void **state)
{
	const uint32_t info[][2] = { { RNDIS_INFO_CHECKSUM, CSUM_IPV4 | RNDIS_TX_CHECKSUM_TCP },
				     { ~0u, 0 } };
	struct net_spec spec = {
		.len = 56, .ip = 4, .protocol = NET_TCP, .flow = 3, .checksums = NET_CHECKSUMS_OPEN
	};
	const struct kept *kept = &bed.frames[0];
	struct net_verdict v;

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	net_frame_make(frame, &spec);
	memset(frame + spec.len, 0xA5, 4);
	assert_int_equal(send_frame(60, info, 0), VMB_NET_STATUS_SUCCESS);
	assert_int_equal(bed.frame_count, 1);
	assert_int_equal(kept->len, 60);
	assert_int_equal(kept->header.flags, 0);
	v = net_frame_judge(kept->bytes, spec.len);
	assert_null(v.wrong);
}

static void test_lie_about_a_frame_is_dropped_and_answered(void **state)
{
	const uint32_t lso[][2] = { { RNDIS_INFO_LSO, 1448 | 34u << 20 | RNDIS_LSO_V2 },
				    { ~0u, 0 } };
	const uint32_t tcp[][2] = { { RNDIS_INFO_CHECKSUM, CSUM_IPV4 | RNDIS_TX_CHECKSUM_TCP },
				    { ~0u, 0 } };
	struct net_spec spec = { .len = 900, .ip = 4, .protocol = NET_UDP };

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	net_frame_make(frame, &spec);
	send_frame(spec.len, lso, 0);
	send_frame(spec.len, tcp, 0);
	assert_int_equal(bed.frame_count, 0);
	assert_int_equal(card->counters.out_dropped, 2);
	assert_int_equal(send_frame(spec.len, no_info, 0), VMB_NET_STATUS_SUCCESS);
	assert_int_equal(bed.frame_count, 1);
}

/* To the guest */

static void make_incoming(const struct net_spec *spec, bool tag)
{
	net_frame_make(frame, spec);
	memcpy(frame, net_guest_mac, 6);
	if (!tag)
		return;
	memmove(frame + 16, frame + 12, spec->len - 12);
	frame[12] = 0x81;
	frame[13] = 0;
	frame[14] = TAG >> 8;
	frame[15] = TAG & 0xFF;
}

/* A per-packet element's value, or ~0. */
static uint32_t element_of(const uint8_t *message, uint32_t type)
{
	uint32_t element = 8 + word(message, 28), end = element + word(message, 32);

	for (; element < end; element += word(message, element))
		if (word(message, element + 4) == type)
			return word(message, element + word(message, element + 8));
	return ~0u;
}

static void expect_frame(const uint8_t *message, uint32_t flow, uint32_t sequence,
			 uint32_t *payload_len)
{
	struct kept kept = { .len = word(message, 12) };
	struct net_verdict v;

	memcpy(kept.bytes, message + 8 + word(message, 8), kept.len);
	judge(&kept, 0, flow, sequence);
	v = net_frame_judge(kept.bytes, kept.len);
	*payload_len = v.payload_len;
}

static void test_frames_arrive_untagged_and_complete(void **state)
{
	const uint8_t protocols[] = { NET_TCP, NET_UDP }, versions[] = { 4, 6 };

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	for (uint32_t i = 0; i < 16; i++) {
		bool open = i & 4, tag = i & 8;
		struct net_spec spec = { .len = 601 + i,
					 .ip = versions[i & 1],
					 .protocol = protocols[i >> 1 & 1],
					 .flow = i };
		struct virtio_net_hdr_v1 header = { 0 };
		uint32_t checksum = spec.protocol == NET_TCP ? RNDIS_RX_CHECKSUM_TCP_OK :
							       RNDIS_RX_CHECKSUM_UDP_OK;
		const uint8_t *message;
		struct got got;
		uint32_t len;

		make_incoming(&spec, false);
		if (open) {
			/* Only the transport's checksum is open, as virtio has it. */
			spec.checksums = NET_CHECKSUMS_OPEN;
			uint8_t ip_checksum[2] = { frame[24], frame[25] };

			make_incoming(&spec, false);
			if (spec.ip == 4)
				memcpy(frame + 24, ip_checksum, 2);
			header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
			header.csum_start = net_transport_at(&spec) + (tag ? 4 : 0);
			header.csum_offset = spec.protocol == NET_TCP ? 16 : 6;
		}
		if (tag) {
			memmove(frame + 16, frame + 12, spec.len - 12);
			memcpy(frame + 12, (const uint8_t[]){ 0x81, 0, TAG >> 8, TAG & 0xFF }, 4);
		}
		inject(frame, spec.len + (tag ? 4 : 0), &header);
		assert_true(receive(0, &got, WAIT_MS));
		message = received_at(&got, 0, &len);
		expect_frame(message, i, 0, &len);
		assert_int_equal(element_of(message, RNDIS_INFO_VLAN), tag ? TAG_RNDIS : ~0u);
		assert_true(element_of(message, RNDIS_INFO_CHECKSUM) & checksum);
		acknowledge(0, got.id);
	}
}

static void test_bad_checksum_is_not_called_good(void **state)
{
	struct net_spec spec = { .len = 600, .ip = 4, .protocol = NET_TCP };
	const uint8_t *message;
	uint32_t len, flags;
	struct got got;

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	make_incoming(&spec, false);
	frame[300] ^= 1;
	inject(frame, spec.len, NULL);
	assert_true(receive(0, &got, WAIT_MS));
	message = received_at(&got, 0, &len);
	flags = element_of(message, RNDIS_INFO_CHECKSUM);
	assert_true(flags & RNDIS_RX_CHECKSUM_TCP_FAILED);
	assert_false(flags & RNDIS_RX_CHECKSUM_TCP_OK);
}

static void test_large_frame_is_cut_for_a_guest_that_wants_none(void **state)
{
	struct net_spec spec = { .len = 30054, .ip = 4, .protocol = NET_TCP, .flow = 5 };
	const struct virtio_net_hdr_v1 header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
						  .hdr_len = 54,
						  .gso_size = 1448,
						  .csum_start = 34,
						  .csum_offset = 16 };
	uint32_t done = 0, len, payload_len;
	struct got got;

	handshake(1500, NDIS_PARAMETER_BOTH, NDIS_PARAMETER_OFF);
	make_incoming(&spec, false);
	inject(frame, spec.len, &header);
	assert_true(receive(0, &got, WAIT_MS));
	assert_int_equal(word(got.header, 4), (30000 + 1447) / 1448);
	for (uint32_t i = 0; i < word(got.header, 4); i++, done += payload_len)
		expect_frame(received_at(&got, i, &len), 5, done, &payload_len);
	assert_int_equal(done, 30000);
}

static void test_large_frame_goes_whole_to_a_guest_that_coalesces(void **state)
{
	struct net_spec spec = { .len = 65535 + 14, .ip = 4, .protocol = NET_TCP, .flow = 5 };
	const struct virtio_net_hdr_v1 header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
						  .hdr_len = 54,
						  .gso_size = 1448,
						  .csum_start = 34,
						  .csum_offset = 16 };
	uint32_t done = 0, len, count;
	const uint8_t *message;
	struct got got;

	handshake(1500, NDIS_PARAMETER_BOTH, NDIS_PARAMETER_ON);
	make_incoming(&spec, false);
	inject(frame, spec.len, &header);
	assert_true(receive(0, &got, WAIT_MS));
	count = word(got.header, 4);
	assert_true(count > 1);
	for (uint32_t i = 0; i < count; i++, done += len) {
		message = received_at(&got, i, &len);
		len = word(message, 12);
		assert_memory_equal(message + 8 + word(message, 8), frame + done, len);
		assert_int_equal(element_of(message, (uint32_t)RNDIS_INFO_PACKET_ID) >> 8 & 7,
				 1 | (i ? 0 : 2) | (i + 1 == count ? 4 : 0));
	}
	assert_int_equal(done, spec.len);
}

static void test_frame_that_is_not_what_its_header_says_is_dropped(void **state)
{
	const uint8_t protocols[] = { NET_UDP, NET_TCP, NET_TCP };
	const uint8_t types[] = { VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6,
				  VIRTIO_NET_HDR_GSO_TCPV4 };
	struct got got;

	handshake(1500, NDIS_PARAMETER_BOTH, NDIS_PARAMETER_ON);
	for (uint32_t i = 0; i < 6; i++) {
		struct net_spec spec = { .len = i & 1 ? 9000 : 900,
					 .ip = 4,
					 .protocol = protocols[i >> 1] };
		const struct virtio_net_hdr_v1 header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
							  .gso_type = types[i >> 1],
							  .hdr_len = 54,
							  .gso_size = 1448,
							  .csum_start = 34,
							  .csum_offset = 16 };

		make_incoming(&spec, false);
		if (i >= 4)
			frame[20] |= 0x20; /* a fragment */
		inject(frame, spec.len, &header);
	}
	assert_false(receive(0, &got, 20));
	assert_int_equal(card->counters.in_dropped, 6);
}

static void test_largest_frame_is_cut_too(void **state)
{
	struct net_spec spec = { .len = 65535 + 14, .ip = 6, .protocol = NET_TCP, .flow = 5 };
	const struct virtio_net_hdr_v1 header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						  .gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
						  .hdr_len = 74,
						  .gso_size = 1428,
						  .csum_start = 54,
						  .csum_offset = 16 };
	struct got got;

	receive_len = 128 * PAGE;
	handshake(1500, NDIS_PARAMETER_BOTH, NDIS_PARAMETER_OFF);
	make_incoming(&spec, false);
	inject(frame, spec.len, &header);
	assert_true(receive(0, &got, WAIT_MS));
	assert_int_equal(word(got.header, 4), (65549 - 74 + 1427) / 1428);
}

static void test_frame_for_another_is_not_delivered(void **state)
{
	struct net_spec spec = { .len = 600, .ip = 4, .protocol = NET_TCP };
	struct got got;

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	net_frame_make(frame, &spec);
	inject(frame, spec.len, NULL);
	make_incoming(&spec, false);
	inject(frame, 1600, NULL); /* longer than agreed */
	inject(frame, 30, NULL);
	assert_false(receive(0, &got, 20) &&
		     word(received_at(&got, 0, &(uint32_t){ 0 }), 12) != 30);
	assert_int_equal(card->counters.in_unwanted, 1);
	assert_int_equal(card->counters.in_dropped, 1);
}

#define CASE(name)	 cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define CASE_LARGE(name) cmocka_unit_test_setup_teardown(name, set_up_large, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_frame_leaves_from_any_page_offset),
		CASE(test_section_of_several_frames_leaves),
		CASE(test_checksums_are_filled_in_and_tags_inserted),
		CASE(test_large_send_is_cut),
		CASE_LARGE(test_large_send_goes_whole_to_who_takes_it),
		CASE(test_large_send_of_one_segment_has_its_real_length),
		CASE_LARGE(test_large_send_of_one_segment_has_its_real_length),
		CASE(test_padded_frame_leaves_complete),
		CASE_LARGE(test_padded_frame_leaves_complete),
		CASE(test_lie_about_a_frame_is_dropped_and_answered),
		CASE(test_frames_arrive_untagged_and_complete),
		CASE(test_bad_checksum_is_not_called_good),
		CASE_LARGE(test_large_frame_is_cut_for_a_guest_that_wants_none),
		CASE_LARGE(test_large_frame_goes_whole_to_a_guest_that_coalesces),
		CASE_LARGE(test_frame_that_is_not_what_its_header_says_is_dropped),
		CASE(test_largest_frame_is_cut_too),
		CASE(test_frame_for_another_is_not_delivered),
	};

	return cmocka_run_group_tests_name("devices_network_frame", tests, NULL, NULL);
}
