// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How long a card's worker is busy with one queue: packets that are many segments, or many bytes,
 * let the bus and the other queues have their turn. What happens at which frame is decided on the
 * worker's own thread, so no time matters here.
 */
#include "tests/devices_network_bed.h"

#define LARGE_LEN 62774u /* 117 segments of MSS bytes and a short one */
#define MSS	  536u
#define SMALL_LEN 100u
#define SEGMENTS  ((LARGE_LEN - 54 + MSS - 1) / MSS)

/* An RNDIS message of a frame, with a wish for a cut; answers its length. */
static uint32_t put_message(uint8_t *dst, const struct net_spec *spec, uint32_t mss)
{
	const uint32_t info_len = mss ? 16 : 0;
	const struct rndis_packet packet = { .header = { RNDIS_PACKET,
							 sizeof(packet) + info_len + spec->len },
					     .data_offset = 36 + info_len,
					     .data_len = spec->len,
					     .info_offset = mss ? 36 : 0,
					     .info_len = info_len };
	const uint32_t info[4] = { 16, RNDIS_INFO_LSO, 12,
				   mss | 34u << RNDIS_LSO_TCP_OFFSET_SHIFT | RNDIS_LSO_V2 };

	memcpy(dst, &packet, sizeof(packet));
	memcpy(dst + sizeof(packet), info, info_len);
	net_frame_make(dst + sizeof(packet) + info_len, spec);
	return packet.header.len;
}

/* count packets that are one large frame each, seen by the worker all at once. */
static void post_large(uint32_t count)
{
	const struct net_spec spec = { .len = LARGE_LEN,
				       .ip = 4,
				       .protocol = NET_TCP,
				       .large = true,
				       .checksums = NET_CHECKSUMS_OPEN };
	const struct vmb_net_rndis_packet message = { VMB_NET_SEND_RNDIS_PACKET, VMB_NET_DATA,
						      VMB_NET_SECTION_NONE, 0 };
	uint32_t len = put_message(at(DATA_GPA), &spec, MSS), header_len;
	uint8_t payload[40] = { 0 };
	struct ranges ranges;

	memcpy(payload, &message, sizeof(message));
	header_len = make_ranges(&ranges, 0, len);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(post(0, VMB_PKT_GPA_DIRECT, &ranges, header_len, payload,
				      sizeof(payload), 100 + i),
				 0);
	publish(0);
}

static void expect_completions(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(
			word(expect_completion(0, 100 + i, VMB_NET_SEND_RNDIS_PACKET_COMPLETE)
				     .payload,
			     4),
			VMB_NET_STATUS_SUCCESS);
}

static void post_small(uint32_t queue)
{
	const struct net_spec spec = { .len = SMALL_LEN, .ip = 4, .protocol = NET_UDP };
	uint32_t len = put_message(at(SEND_GPA), &spec, 0);
	const struct vmb_net_rndis_packet message = { VMB_NET_SEND_RNDIS_PACKET, VMB_NET_DATA, 0,
						      len };
	uint8_t payload[40] = { 0 };

	memcpy(payload, &message, sizeof(message));
	assert_int_equal(post(queue, VMB_PKT_INBAND, NULL, 0, payload, sizeof(payload), 7), 0);
	publish(queue);
}

/* The bus asks for an end in the middle of a packet */

static void stop_after_the_first(uint32_t number, uint32_t len)
{
	if (!number)
		card->channel.ops->stop(&card->channel);
}

static void test_channel_closes_between_two_segments(void **state)
{
	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	after_send = stop_after_the_first;
	post_large(8);
	await(&bed.stopped_count, 1);
	assert_int_equal(peek(&bed.frame_count), 1);
	after_send = NULL;
	open_queue(0);
}

static void wait_for_the_end(uint32_t number, uint32_t len)
{
	while (!number && !vmb_dev_worker_woken(&card->worker))
		nap();
}

static void test_worker_ends_between_two_segments(void **state)
{
	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	after_send = wait_for_the_end;
	post_large(8);
	await(&bed.frame_count, 1);
	vmb_dev_worker_stop(&card->worker);
	assert_int_equal(peek(&bed.frame_count), 1);
	after_send = NULL;
	assert_int_equal(vmb_dev_worker_start(&card->worker), 0);
}

static void stop_now(void)
{
	card->channel.ops->stop(&card->channel);
}

/* A neighbour's large frame, which this guest wants in segments. */
static void test_channel_closes_between_two_segments_to_the_guest(void **state)
{
	const struct net_spec spec = { .len = 30054, .ip = 4, .protocol = NET_TCP, .flow = 5 };
	const struct virtio_net_hdr_v1 header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
						  .hdr_len = 54,
						  .gso_size = MSS,
						  .csum_start = 34,
						  .csum_offset = 16 };
	static uint8_t frame[30054];

	handshake(1500, NDIS_PARAMETER_BOTH, NDIS_PARAMETER_OFF);
	net_frame_make(frame, &spec);
	memcpy(frame, net_guest_mac, 6);
	before_receive = stop_now;
	inject(frame, sizeof(frame), &header);
	await(&bed.stopped_count, 1);
	assert_int_equal(card->counters.cut_in, 1);
	assert_int_equal(card->counters.in_frames, 1);
	assert_int_equal(card->counters.in_dropped, 1);
	open_queue(0);
}

/*
 * Another queue's turn: the worker hears of it when the first one's is over, and looks at that one
 * first again.
 */

static uint32_t small_at; /* the small frame's number; 0: not yet */

static void note_the_small_one(uint32_t number, uint32_t len)
{
	if (!number)
		post_small(1);
	if (len == SMALL_LEN)
		small_at = number;
}

static void open_second_queue(void)
{
	const struct vmb_net_subchannel ask = { VMB_NET_SUBCHANNEL, VMB_NET_SUBCHANNEL_ALLOCATE,
						1 };
	struct got got;

	command(&ask, sizeof(ask), VMB_NET_SUBCHANNEL);
	await(&bed.offer_count, 1);
	open_queue(1);
	assert_true(receive(0, &got, WAIT_MS));
	assert_int_equal(word(got.payload, 0), VMB_NET_SEND_INDIRECTION_TABLE);
	small_at = 0;
	after_send = note_the_small_one;
}

static void close_second_queue(void)
{
	expect_completion(1, 7, VMB_NET_SEND_RNDIS_PACKET_COMPLETE);
	close_queue(1);
	release_queue(1);
}

static void test_segments_of_one_queue_let_the_other_have_its_turn(void **state)
{
	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	open_second_queue();
	post_large(8);
	expect_completions(8);
	assert_int_equal(peek(&bed.frame_count), 8 * SEGMENTS + 1);
	assert_in_range(small_at, 1, 2 * VMB_DEV_NETWORK_TURN_FRAMES);
	close_second_queue();
}

static void test_bytes_of_one_queue_let_the_other_have_its_turn(void **state)
{
	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	open_second_queue();
	post_large(50);
	expect_completions(50);
	assert_int_equal(peek(&bed.frame_count), 50 + 1);
	assert_in_range(small_at, 1, 2 * (VMB_DEV_NETWORK_TURN_LEN / LARGE_LEN + 1));
	close_second_queue();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_channel_closes_between_two_segments),
		CASE(test_worker_ends_between_two_segments),
		CASE(test_channel_closes_between_two_segments_to_the_guest),
		CASE(test_segments_of_one_queue_let_the_other_have_its_turn),
		cmocka_unit_test_setup_teardown(test_bytes_of_one_queue_let_the_other_have_its_turn,
						set_up_large, tear_down),
	};

	return cmocka_run_group_tests_name("devices_network_turn", tests, NULL, NULL);
}
