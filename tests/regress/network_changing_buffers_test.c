// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Shared memory changes while it is read: a length that was checked and is read again is another
 * one. Both ends run at full speed while a third thread writes extreme values over envelopes in the
 * receive and the send buffer.
 */
#include "tests/network_bed.h"

struct scribble {
	uint32_t received, sent; /* atomic */
	bool stop; /* atomic */
};

static void check_bounds(struct vmb_user_network_queue *q,
			 const struct vmb_guest_network_frame *frame)
{
	struct scribble *s = q->guest->config.arg;
	uint32_t len = q->guest->network.config.receive_len, total = 0, i;

	for (i = 0; i < frame->piece_count; i++) {
		if (frame->pieces[i].offset > len ||
		    frame->pieces[i].len > len - frame->pieces[i].offset)
			abort();
		total += frame->pieces[i].len;
	}
	if (total != frame->rndis.len)
		abort();
	__atomic_fetch_add(&s->received, 1, __ATOMIC_RELAXED);
}

static void send_more(struct vmb_user_network_queue *q)
{
	static const uint8_t bytes[200];
	struct vmb_user_network_frame frame = { .bytes = bytes, .inline_len = sizeof(bytes) };
	struct scribble *s = q->guest->config.arg;
	uint32_t i;

	frame.rndis.len = sizeof(bytes);
	for (i = 0; i < 20 && !__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE); i++)
		vmb_user_network_guest_send(q, &frame, i % 4 != 0);
	vmb_user_network_guest_push(q);
}

static bool give_more(struct vmb_user_network *l)
{
	struct scribble *s = l->config.host.arg;
	static const uint8_t bytes[9000];
	struct vmb_host_network_received frame = { .mss = 1400 };
	struct vmb_host_offload_piece piece = { bytes, 0 };
	uint32_t i;

	for (i = 0; i < 20 && !__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE); i++) {
		frame.len = piece.len = i % 5 ? 300 : 9000;
		if (vmb_user_network_give(l, (uint16_t)(i % 2), &frame, &piece, 1))
			return false;
	}
	return i == 20;
}

static void count_wire(struct vmb_user_network *l, uint16_t queue, const uint8_t *bytes,
		       uint32_t len, uint32_t mss)
{
	struct scribble *s = l->config.host.arg;

	if (bytes != l->wire.frame || len > sizeof(l->wire.frame))
		abort();
	__atomic_fetch_add(&s->sent, 1, __ATOMIC_RELAXED);
}

static bool enough(const struct scribble *s)
{
	return __atomic_load_n(&s->received, __ATOMIC_RELAXED) > 1000 &&
	       __atomic_load_n(&s->sent, __ATOMIC_RELAXED) > 1000;
}

/* One word of an envelope: a length or an offset, mostly. */
static void write_over(uint64_t random, uint8_t *buffer, uint32_t unit_len, uint32_t unit_count)
{
	static const uint32_t values[] = { 0,	       1,	   4,	       36,    248,
					   0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 65536, 1u << 20 };
	uint32_t *at = (uint32_t *)(void *)(buffer + random % unit_count * unit_len +
					    (random >> 20) % 16 * 4);
	uint32_t value = values[(random >> 32) % VMB_ARRAY_COUNT(values)];

	memcpy(at, &value, sizeof(value));
}

static void test_buffers_may_change_while_they_are_read(void **state)
{
	struct vmb_user_network_config config = {
		.threads = true,
		.guest = { .queue_count = 2,
			   .rsc = true,
			   .receive_len = 64u << 10,
			   .send_len = 64u << 10,
			   .received = check_bounds,
			   .looked = send_more },
		.host = { .looked = give_more,
			  .wire = count_wire,
			  .network.rndis = { .mac = { 0, 0x15, 0x5D, 1, 2, 3 },
					     .mtu_max = 1500,
					     .link_speed = 1000000,
					     .queue_count_max = 2,
					     .offload = VMB_HOST_RNDIS_RSC } },
	};
	struct vmb_user_network *l = aligned_alloc(64, (sizeof(*l) + 63) & ~(size_t)63);
	uint64_t random = 88172645463325252ull, malformed = 0;
	struct scribble s = { 0 };
	uint32_t i;

	config.guest.arg = config.host.arg = &s;
	assert_int_equal(vmb_user_network_init(l, &config), 0);
	assert_int_equal(vmb_user_network_guest_open(&l->guest), 0);
	for (i = 0; i < 2; i++)
		vmb_user_network_guest_kick(&l->guest.queues[i]);
	vmb_user_wire_wake(&l->wire);
	for (i = 0; i < 3000000 || (i < 1000000000 && !enough(&s)); i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		write_over(random, l->guest.network.config.receive_buffer,
			   l->guest.network.agreed.suballoc_len,
			   l->guest.network.agreed.suballoc_count);
		write_over(random >> 8, l->guest.network.config.send_buffer,
			   l->guest.network.agreed.section_len,
			   l->guest.network.agreed.section_count);
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELEASE);
	vmb_user_network_guest_abandon(&l->guest);
	for (i = 0; i < 2; i++)
		malformed += l->guest.queues[i].core.counters.malformed;
	assert_true(enough(&s));
	assert_true(malformed > 0);
	assert_true(l->card->host.counters.refused > 0);
	assert_true(vmb_user_network_holds_nothing(l));
	assert_int_equal(vmb_user_network_guest_open(&l->guest), 0);
	vmb_user_network_destroy(l);
	free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buffers_may_change_while_they_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
