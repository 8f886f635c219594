// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A card's channels and rings: what fills up, what comes and goes, and guests that mean harm. */
#include "tests/devices_network_bed.h"

#define FRAME_LEN 100u

static uint64_t random_state = 5;

static uint32_t roll(uint32_t sides)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % sides;
}

/* An RNDIS message with a frame of that flow at dst; answers its length. */
static uint32_t put_message(uint8_t *dst, uint32_t flow)
{
	struct net_spec spec = { .len = FRAME_LEN, .ip = 4, .protocol = NET_UDP, .flow = flow };
	const struct rndis_packet packet = { .header = { RNDIS_PACKET, 44 + FRAME_LEN },
					     .data_offset = 36,
					     .data_len = FRAME_LEN };

	memcpy(dst, &packet, sizeof(packet));
	net_frame_make(dst + sizeof(packet), &spec);
	return sizeof(packet) + FRAME_LEN;
}

static void send_section(uint32_t queue, uint32_t section, uint32_t flow, uint64_t id)
{
	uint32_t len = put_message(at(SEND_GPA + section * VMB_NET_SEND_SECTION_LEN), flow);
	const struct vmb_net_rndis_packet message = { VMB_NET_SEND_RNDIS_PACKET, VMB_NET_DATA,
						      section, len };
	uint8_t payload[40] = { 0 };

	memcpy(payload, &message, sizeof(message));
	assert_int_equal(post(queue, VMB_PKT_INBAND, NULL, 0, payload, sizeof(payload), id), 0);
	publish(queue);
}

static uint32_t status_of(uint32_t queue, uint64_t id)
{
	struct got got = expect_completion(queue, id, VMB_NET_SEND_RNDIS_PACKET_COMPLETE);

	return word(got.payload, 4);
}

static void expect_nothing(uint32_t queue)
{
	struct got got;

	assert_false(receive(queue, &got, 30));
}

static void ask_sub_channels(uint32_t count)
{
	const struct vmb_net_subchannel ask = { VMB_NET_SUBCHANNEL, VMB_NET_SUBCHANNEL_ALLOCATE,
						count };
	uint32_t before = peek(&bed.offer_count);

	command(&ask, sizeof(ask), VMB_NET_SUBCHANNEL);
	await(&bed.offer_count, before + (count < QUEUES ? count : QUEUES - 1));
}

static void expect_table(void)
{
	struct got got;

	assert_true(receive(0, &got, WAIT_MS));
	assert_int_equal(got.type, VMB_PKT_INBAND);
	assert_int_equal(word(got.payload, 0), VMB_NET_SEND_INDIRECTION_TABLE);
	assert_int_equal(word(got.payload, 4), 16);
	assert_int_equal(word(got.payload, 8), 12);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(word(got.payload, 12 + 4 * i), i % QUEUES);
}

static void open_sub_channels(void)
{
	ask_sub_channels(64); /* more than there are */
	for (uint32_t i = 1; i < QUEUES; i++)
		open_queue(i);
	expect_table();
}

static void close_sub_channels(void)
{
	for (uint32_t i = 1; i < QUEUES; i++) {
		close_queue(i);
		release_queue(i);
	}
}

/* Sub-channels */

static void test_sub_channels_carry_frames_both_ways(void **state)
{
	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	open_sub_channels();
	for (uint32_t i = 0; i < QUEUES; i++) {
		send_section(i, i, i, 40 + i);
		assert_int_equal(status_of(i, 40 + i), VMB_NET_STATUS_SUCCESS);
	}
	assert_int_equal(bed.frame_count, QUEUES);
	assert_int_equal(card->open_max, QUEUES);
	close_sub_channels();
}

static void test_100_lives_of_sub_channels_leave_nothing(void **state)
{
	for (uint32_t life = 0; life < 100; life++) {
		handshake(1500, NDIS_PARAMETER_BOTH, 0);
		open_sub_channels();
		send_section(life % QUEUES, 1, 0, life);
		assert_int_equal(status_of(life % QUEUES, life), VMB_NET_STATUS_SUCCESS);
		close_sub_channels();
		close_queue(0);
		assert_int_equal(peek(&bed.mapped_count), 0);
		open_queue(0);
	}
	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	assert_int_equal(card->counters.opened, 100 * QUEUES + 1);
}

static void test_sub_channel_that_closes_before_the_worker_knew_it(void **state)
{
	uint32_t before;

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	ask_sub_channels(3);
	before = peek(&bed.stopped_count);
	for (uint32_t i = 1; i < QUEUES; i++) {
		open_queue(i);
		channel_of(i)->ops->stop(channel_of(i));
	}
	await(&bed.stopped_count, before + 3);
	for (uint32_t i = 1; i < QUEUES; i++) {
		release_queue(i);
	}
}

/* What is full */

static void test_full_backend_stops_the_ring_until_it_takes_frames(void **state)
{
	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	bed.full = true;
	for (uint32_t i = 0; i < 5; i++)
		send_section(0, i, i, i);
	expect_nothing(0);
	pthread_mutex_lock(&bed.mutex);
	bed.full = false;
	pthread_mutex_unlock(&bed.mutex);
	poke_backend();
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(status_of(0, i), VMB_NET_STATUS_SUCCESS);
	assert_int_equal(bed.frame_count, 5);
}

static void test_send_buffer_revoked_under_a_waiting_frame(void **state)
{
	const struct vmb_net_revoke revoke = { VMB_NET_REVOKE_SEND_BUFFER, 0 };

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	open_sub_channels();
	bed.full = true;
	send_section(1, 2, 0, 77);
	expect_nothing(1);
	command(&revoke, sizeof(revoke), 0);
	assert_int_equal(status_of(1, 77), VMB_NET_STATUS_FAIL);
	assert_int_equal(peek(&bed.mapped_count), 1);
	send_section(1, 2, 0, 78);
	assert_int_equal(status_of(1, 78), VMB_NET_STATUS_INVALID_RNDIS_PACKET);
	close_sub_channels();
}

static void test_send_buffer_revoked_after_a_waiting_frame_closed(void **state)
{
	const struct vmb_net_revoke revoke = { VMB_NET_REVOKE_SEND_BUFFER, 0 };

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	open_sub_channels();
	bed.full = true;
	send_section(1, 2, 0, 77);
	expect_nothing(1);
	close_queue(1);
	command(&revoke, sizeof(revoke), 0);
	assert_int_equal(peek(&bed.mapped_count), 1);
	release_queue(1);
	for (uint32_t i = 2; i < QUEUES; i++) {
		close_queue(i);
		release_queue(i);
	}
	assert_int_equal(bed.frame_count, 0);
}

static void test_primary_closes_over_a_frame_that_waits_on_a_sub_channel(void **state)
{
	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	open_sub_channels();
	bed.full = true;
	send_section(2, 2, 0, 77);
	expect_nothing(2);
	close_queue(0);
	assert_int_equal(peek(&bed.mapped_count), 0);
	bed.full = false;
	poke_backend();
	nap();
	close_sub_channels();
	assert_int_equal(bed.frame_count, 0);
	open_queue(0);
}

static void test_full_ring_to_the_guest_loses_no_answer(void **state)
{
	uint64_t posted = 0, answered = 0;
	uint8_t payload[40] = { 0 };
	const struct vmb_net_rndis_packet message = { VMB_NET_SEND_RNDIS_PACKET, VMB_NET_DATA,
						      VMB_NET_SECTION_NONE, 0 };
	uint32_t idle = 0;
	struct got got;

	memcpy(payload, &message, sizeof(message));
	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	/* Post until neither ring moves any more. */
	while (idle < 50) {
		if (post(0, VMB_PKT_INBAND, NULL, 0, payload, sizeof(payload), posted) == 0) {
			posted++;
			idle = 0;
			continue;
		}
		publish(0);
		nap();
		idle++;
	}
	assert_true(posted > RING_LEN / 64);
	while (answered < posted) {
		assert_true(receive(0, &got, WAIT_MS));
		assert_int_equal(got.id, answered);
		answered++;
	}
	expect_nothing(0);
}

static void inject_flow(uint32_t flow)
{
	struct net_spec spec = { .len = FRAME_LEN, .ip = 4, .protocol = NET_UDP, .flow = flow };
	uint8_t bytes[FRAME_LEN];

	net_frame_make(bytes, &spec);
	memcpy(bytes, net_guest_mac, 6);
	inject(bytes, sizeof(bytes), NULL);
}

static void test_frames_wait_for_the_receive_buffer_then_are_dropped(void **state)
{
	uint32_t direct = 12, total = direct + VMB_DEV_NETWORK_PENDING_COUNT_MAX + 44, seen = 0;
	uint32_t len;
	struct got got;

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	for (uint32_t i = 0; i < total; i++)
		inject_flow(i);
	assert_int_equal(card->counters.pending, VMB_DEV_NETWORK_PENDING_COUNT_MAX);
	assert_int_equal(card->counters.in_dropped, 44);
	while (seen < total - 44) {
		assert_true(receive(0, &got, WAIT_MS));
		for (uint32_t i = 0; i < word(got.header, 4); i++, seen++) {
			const uint8_t *message = received_at(&got, i, &len);
			const uint8_t *frame = message + 8 + word(message, 8);

			assert_int_equal(net_payload_differs(frame + 42, FRAME_LEN - 42, seen, 0),
					 FRAME_LEN - 42);
		}
		acknowledge(0, got.id);
	}
	expect_nothing(0);
}

static int set_up_small(void **state)
{
	receive_len = 11 * PAGE; /* 24 suballocations, half of them for control messages */
	return set_up(state);
}

static int set_up_tiny(void **state)
{
	receive_len = 6 * PAGE;
	return set_up(state);
}

static void test_reception_goes_on_when_the_reserve_is_half_the_buffer(void **state)
{
	uint32_t frames = 20, seen = 0;
	struct got got;

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	assert_true(card->host.suballoc_count < VMB_HOST_NETWORK_CONTROL_RESERVE);
	for (uint32_t i = 0; i < frames; i++)
		inject_flow(i);
	while (seen < frames) {
		assert_true(receive(0, &got, WAIT_MS));
		seen += word(got.header, 4);
		acknowledge(0, got.id);
	}
	assert_int_equal(seen, frames);
}

static void test_cable_that_is_pulled_is_told(void **state)
{
	struct got got;
	uint32_t len;

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	for (uint32_t i = 0; i < 4; i++) {
		pthread_mutex_lock(&bed.mutex);
		bed.unplugged = !(i & 1);
		pthread_mutex_unlock(&bed.mutex);
		poke_backend();
		assert_true(receive(0, &got, WAIT_MS));
		assert_int_equal(word(received_at(&got, 0, &len), 0), RNDIS_INDICATE_STATUS);
		assert_int_equal(word(received_at(&got, 0, &len), 8),
				 i & 1 ? RNDIS_STATUS_MEDIA_CONNECT :
					 RNDIS_STATUS_MEDIA_DISCONNECT);
		acknowledge(0, got.id);
	}
}

/* Guests that mean harm */

static void test_ranges_that_are_not_ram_are_refused(void **state)
{
	const struct {
		uint32_t count, byte_count, byte_offset;
		uint64_t pfn;
	} bad[] = {
		{ 1, 100, 0, 1ull << 40 },	     { 1, 100, 0, ~0ull },
		{ 1, 100, 0, 64 * MIB / PAGE },	     { 1, 100, PAGE, DATA_GPA / PAGE },
		{ 1, 100, ~0u, DATA_GPA / PAGE },    { 1, ~0u, 0, DATA_GPA / PAGE },
		{ 1, PAGE + 1, 0, DATA_GPA / PAGE }, { 2, 100, 0, DATA_GPA / PAGE },
		{ ~0u, 100, 0, DATA_GPA / PAGE },    { 0, 100, 0, DATA_GPA / PAGE },
		{ 1, 0, 0, DATA_GPA / PAGE },
	};
	const struct vmb_net_rndis_packet message = { VMB_NET_SEND_RNDIS_PACKET, VMB_NET_DATA,
						      VMB_NET_SECTION_NONE, 0 };
	uint8_t payload[40] = { 0 };

	memcpy(payload, &message, sizeof(message));
	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		struct ranges ranges = {
			0, bad[i].count, { bad[i].byte_count, bad[i].byte_offset }, { bad[i].pfn }
		};

		assert_int_equal(
			post(0, VMB_PKT_GPA_DIRECT, &ranges, 24, payload, sizeof(payload), i), 0);
		publish(0);
		assert_int_not_equal(status_of(0, i), VMB_NET_STATUS_SUCCESS);
	}
	assert_int_equal(bed.frame_count, 0);
	send_section(0, 0, 0, 99);
	assert_int_equal(status_of(0, 99), VMB_NET_STATUS_SUCCESS);
}

static void reopen(void)
{
	close_queue(0);
	open_queue(0);
	handshake(1500, NDIS_PARAMETER_BOTH, 0);
}

static void test_broken_protocol_ends_the_channel_and_nothing_else(void **state)
{
	const uint8_t payload[40] = { VMB_NET_SEND_RNDIS_PACKET };

	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	assert_int_equal(post(0, VMB_PKT_GPA_DIRECT, NULL, 0, payload, sizeof(payload), 1), 0);
	publish(0);
	expect_nothing(0);
	reopen();
	assert_int_equal(post(0, VMB_PKT_CANCEL, NULL, 0, payload, sizeof(payload), 1), 0);
	publish(0);
	expect_nothing(0);
	reopen();
	vmb_store_u32(&tx[0].control->write_index, RING_LEN + 8);
	ring_doorbell(0);
	expect_nothing(0);
	reopen();
	vmb_store_u32(&rx[0].control->read_index, 3); /* the worker notices when it writes */
	inject_flow(1);
	send_section(0, 0, 0, 5);
	nap();
	reopen();
	send_section(0, 0, 0, 6);
	assert_int_equal(status_of(0, 6), VMB_NET_STATUS_SUCCESS);
}

static void scribble(void *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)bytes)[i] = roll(4) ? roll(256) : 0;
}

static void post_noise(void)
{
	static const uint16_t types[] = { VMB_PKT_INBAND, VMB_PKT_GPA_DIRECT, VMB_PKT_COMPLETION,
					  VMB_PKT_TRANSFER_PAGES };
	static const uint8_t messages[] = {
		1, 100, 101, 103, 104, 106, 107, 107, 107, 107, 125, 133
	};
	uint32_t header[10] = { 0, roll(3), roll(9000), roll(4096) }, payload[10] = { 0 };
	uint64_t pfn = DATA_GPA / PAGE + roll(20);
	uint16_t type = types[roll(8) ? roll(2) : roll(4)];

	memcpy(&header[4], &pfn, sizeof(pfn));
	memcpy(&header[6], &pfn, sizeof(pfn));
	scribble(at(DATA_GPA + roll(4096)), 64);
	put_message(at(DATA_GPA + roll(8) * 512), roll(9));
	payload[0] = messages[roll(sizeof(messages))];
	payload[1] = roll(3);
	payload[2] = roll(3) ? ~0u : roll(12);
	payload[3] = roll(6200);
	if (!roll(10))
		scribble(payload, sizeof(payload));
	if (post(0, type, header, type == VMB_PKT_INBAND ? 0 : 8 * roll(6), payload, 8 * roll(6),
		 roll(1000)))
		return;
	publish(0);
}

static void test_noise_harms_nobody(void **state)
{
	struct got got;

	for (uint32_t round = 0; round < 150; round++) {
		if (roll(4))
			handshake(1500, NDIS_PARAMETER_BOTH, 0);
		for (uint32_t i = 0; i < 40; i++) {
			post_noise();
			while (receive(0, &got, 0))
				if (got.type == VMB_PKT_TRANSFER_PAGES && roll(2))
					acknowledge(0, got.id);
		}
		inject_flow(round);
		for (uint32_t i = 1; i < QUEUES; i++)
			if (channel_of(i))
				release_queue(i);
		close_queue(0);
		open_queue(0);
	}
	handshake(1500, NDIS_PARAMETER_BOTH, 0);
	for (uint32_t i = 1; i < QUEUES; i++)
		if (channel_of(i))
			release_queue(i);
	send_section(0, 0, 0, 5);
	assert_int_equal(status_of(0, 5), VMB_NET_STATUS_SUCCESS);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_sub_channels_carry_frames_both_ways),
		CASE(test_100_lives_of_sub_channels_leave_nothing),
		CASE(test_sub_channel_that_closes_before_the_worker_knew_it),
		CASE(test_full_backend_stops_the_ring_until_it_takes_frames),
		CASE(test_send_buffer_revoked_under_a_waiting_frame),
		CASE(test_send_buffer_revoked_after_a_waiting_frame_closed),
		CASE(test_primary_closes_over_a_frame_that_waits_on_a_sub_channel),
		cmocka_unit_test_setup_teardown(
			test_reception_goes_on_when_the_reserve_is_half_the_buffer, set_up_tiny,
			tear_down),
		CASE(test_full_ring_to_the_guest_loses_no_answer),
		cmocka_unit_test_setup_teardown(
			test_frames_wait_for_the_receive_buffer_then_are_dropped, set_up_small,
			tear_down),
		CASE(test_cable_that_is_pulled_is_told),
		CASE(test_ranges_that_are_not_ram_are_refused),
		CASE(test_broken_protocol_ends_the_channel_and_nothing_else),
		CASE(test_noise_harms_nobody),
	};

	return cmocka_run_group_tests_name("devices_network", tests, NULL, NULL);
}
