/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Peers that drop, repeat, change, forge or withhold, at both ends of a network card; and rings, buffers and channels under
 * pressure. Whatever happens, memory comes back and the next connection works.
 */
#include "tests/network_bed.h"

static struct vmb_user_network_config no_config;

static void set_host_hook(struct net_bed *b, vmb_user_network_hook *hook, void *arg)
{
	uint32_t i;

	for (i = 0; i < VMB_USER_NETWORK_QUEUE_MAX; i++) {
		b->l.host.queues[i].end.hook_arg = arg;
		b->l.host.queues[i].end.hook = hook;
	}
}

static void set_guest_hook(struct net_bed *b, vmb_user_network_hook *hook, void *arg)
{
	uint32_t i;

	for (i = 0; i < VMB_USER_NETWORK_QUEUE_MAX; i++) {
		b->l.guest.queues[i].end.hook_arg = arg;
		b->l.guest.queues[i].end.hook = hook;
	}
}

static uint32_t message_type(const struct vmb_user_network_packet *p)
{
	uint32_t type;

	memcpy(&type, p->payload, sizeof(type));
	return type;
}

static bool is_data_completion(const struct vmb_user_network_packet *p)
{
	return p->type == VMB_PKT_COMPLETION &&
	       message_type(p) == VMB_NET_SEND_RNDIS_PACKET_COMPLETE;
}

static bool is_data(const struct vmb_user_network_packet *p)
{
	struct vmb_net_rndis_packet message;

	memcpy(&message, p->payload, sizeof(message));
	return message.type == VMB_NET_SEND_RNDIS_PACKET && message.channel_type == VMB_NET_DATA;
}

static void make_frame(uint8_t *bytes, uint32_t len, uint32_t flow)
{
	struct net_spec s = { .len = len, .flow = flow };

	net_frame_make(bytes, &s);
	memcpy(bytes, net_guest_mac, 6);
}

/* One frame to the guest in a packet of its own; nobody is stepped. */
static int give_alone(struct net_bed *b, uint32_t flow)
{
	uint8_t bytes[60];
	int err;

	make_frame(bytes, sizeof(bytes), flow);
	err = vmb_user_network_host_deliver(&b->l.host, bytes, sizeof(bytes), 0);
	vmb_user_network_host_flush(&b->l.host);
	return err;
}

/* Known-bugs 27. */

static bool try_send(struct net_bed *b)
{
	struct net_spec s = { .len = 100 };

	return !net_send(b, 0, &s, 0, NET_INLINE);
}

static struct net_bed *sender; /* of send_when_looked; NULL: has sent */

static void send_when_looked(struct vmb_user_network_queue *q)
{
	(void)q;
	if (sender && try_send(sender))
		sender = NULL;
}

/*
 * Acknowledgements alone fill the guest's ring, more are owed, and a frame waits behind them. When the host reads
 * again all of them leave, without a frame or a call that would push them.
 */
static void test_frame_leaves_after_ring_was_filled_by_acknowledgements(void **state)
{
	struct vmb_user_network_config config = { .guest = { .ring_pages = 2,
							     .looked = send_when_looked } };
	struct net_bed *b;
	uint32_t i, round;

	(void)state;
	sender = NULL;
	b = net_new_open(config);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 300; i++) {
			assert_int_equal(give_alone(b, i), 0);
			vmb_user_network_guest_step(&b->l.guest);
		}
		assert_true(b->l.guest.queues[0].waiting);
		assert_true(b->l.guest.queues[0].core.owed_count > 100);
		assert_false(try_send(b));
		sender = b;
		vmb_user_network_settle(&b->l);
		assert_null(sender);
		assert_int_equal(b->wire.count, 1);
		assert_int_equal(b->received.count, 300);
		assert_int_equal(b->sent_frames, 1);
		net_expect_quiet(b);
		net_forget(b);
	}
	net_free(b);
}

/* The other way round: frames fill the ring, then acknowledgements are owed; room comes a little at a time. */
static void test_acknowledgements_leave_after_ring_was_filled_by_frames(void **state)
{
	struct vmb_user_network_config config = { .guest = { .ring_pages = 2, .slot_count = 128 } };
	struct net_bed *b = net_new_open(config);
	uint32_t sent = 0, i;

	(void)state;
	while (try_send(b))
		sent++;
	assert_true(b->l.guest.queues[0].waiting);
	for (i = 0; i < 30; i++)
		assert_int_equal(give_alone(b, i), 0);
	while (vmb_user_network_guest_step(&b->l.guest))
		;
	assert_int_equal(b->l.guest.queues[0].core.owed_count, 30);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->wire.count, sent);
	assert_int_equal(b->sent_frames, sent);
	net_expect_quiet(b);
	net_free(b);
}

/* The host's ring is full of completions and frames: it drops frames, keeps completions, and goes on when there is room. */
static void test_host_drops_frames_and_keeps_completions_when_its_ring_is_full(void **state)
{
	struct vmb_user_network_config config = { .guest = { .ring_pages = 2, .slot_count = 128 } };
	struct net_bed *b = net_new_open(config);
	uint32_t sent = 0, i;

	(void)state;
	for (i = 0; i < 200; i++)
		give_alone(b, i);
	assert_true(b->l.host.counters.dropped > 0);
	for (i = 0; i < 20; i++) {
		sent += try_send(b);
		vmb_user_network_host_step(&b->l.host);
	}
	assert_true(sent > 0);
	assert_true(b->l.host.queues[0].has_reply);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->sent_frames, sent);
	assert_true(b->received.count + b->l.host.counters.dropped >= 200);
	net_expect_quiet(b);
	net_expect_traffic(b, 10);
	net_free(b);
}

/* Known-bugs 28. */

/* A frame that the host puts into the ring at the moment when the guest's call to open it is under way. */
static void frame_at_open(struct vmb_user_network_host *h, uint16_t queue)
{
	static struct vmb_user_network_packet p;
	struct vmb_host_network *n = &h->network;
	struct vmb_host_rndis_frame frame = { .len = 60 };
	struct vmb_pkt_transfer_pages pages = { .set_id = n->receive_buffer.id, .range_count = 1 };
	struct vmb_gpa_range range = { .byte_count = VMB_HOST_RNDIS_DATA_OFFSET + 60,
				       .byte_offset =
					       (n->suballoc_count / 2 + queue) * n->suballoc_len };
	struct vmb_net_rndis_packet message = { .type = VMB_NET_SEND_RNDIS_PACKET,
						.section_index = VMB_NET_SECTION_NONE };

	if (!queue)
		return;
	vmb_host_rndis_wrap(n->receive_buffer.memory + range.byte_offset, &frame);
	make_frame(n->receive_buffer.memory + range.byte_offset + VMB_HOST_RNDIS_DATA_OFFSET, 60,
		   queue);
	memset(&p, 0, sizeof(p));
	p.type = VMB_PKT_TRANSFER_PAGES;
	p.flags = VMB_PKT_FLAG_COMPLETION_REQUESTED;
	p.transaction_id = n->suballoc_count / 2 + queue;
	p.header_len = sizeof(pages) + sizeof(range);
	p.payload_len = n->message_len;
	memcpy(p.header, &pages, sizeof(pages));
	memcpy(p.header + sizeof(pages), &range, sizeof(range));
	memcpy(p.payload, &message, sizeof(message));
	assert_int_equal(vmb_user_network_end_inject(&h->queues[queue].end, &p), 0);
}

static void test_packet_in_the_ring_before_open_returns_is_received(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 8,
						  .host.opened = frame_at_open };
	struct net_bed *b = net_new_open(config);
	uint8_t bytes[60];
	uint32_t i;

	(void)state;
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->received.count, 7);
	for (i = 0; i < 7; i++) {
		make_frame(bytes, sizeof(bytes), b->received.list[i].queue);
		assert_int_equal(b->received.list[i].len, sizeof(bytes));
		assert_memory_equal(b->received.list[i].bytes, bytes, sizeof(bytes));
	}
	/* Nothing was lent for them: seven acknowledgements of nothing. */
	assert_int_equal(b->l.host.network.counters.forged, 7);
	net_expect_traffic(b, 16);
	net_free(b);
}

static void unknown_at_open(struct vmb_user_network_host *h, uint16_t queue)
{
	struct vmb_user_network_packet p = { .type = VMB_PKT_INBAND,
					     .payload_len = VMB_NET_MESSAGE_LEN,
					     .payload = { 0xE7, 3 } };

	assert_int_equal(vmb_user_network_end_inject(&h->queues[queue].end, &p), 0);
}

static void test_first_packet_of_a_channel_may_be_of_no_known_kind(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 4,
						  .host.opened = unknown_at_open };
	struct net_bed *b = net_new_open(config);

	(void)state;
	net_expect_traffic(b, 16);
	net_free(b);
}

/* Known-bugs 29. */

/* Rewrites a section's message into pages, from a page offset on, cut into two ranges at a place. */
struct mover {
	struct net_bed *b;
	uint64_t pfns[3];
	uint32_t offset, cut;
};

static void put_range(struct vmb_user_network_packet *p, uint64_t pfn, uint32_t offset,
		      uint32_t len)
{
	struct vmb_gpa_range range = { .byte_count = len, .byte_offset = offset };

	memcpy(p->header + p->header_len, &range, sizeof(range));
	memcpy(p->header + p->header_len + sizeof(range), &pfn, sizeof(pfn));
	p->header_len += sizeof(range) + sizeof(pfn);
}

/* Bytes at .. at + len of the message go where its offset says, page by page. */
static uint32_t move_piece(struct mover *m, struct vmb_user_network_packet *p, const uint8_t *bytes,
			   uint32_t at, uint32_t len)
{
	uint32_t count = 0, piece, page, in_page;

	for (; len; len -= piece, at += piece, count++) {
		page = (m->offset + at) / VMB_PAGE_LEN;
		in_page = (m->offset + at) % VMB_PAGE_LEN;
		piece = VMB_PAGE_LEN - in_page < len ? VMB_PAGE_LEN - in_page : len;
		memcpy(vmb_user_memory_page(&m->b->l.bus.memory, m->pfns[page]) + in_page,
		       bytes + at, piece);
		put_range(p, m->pfns[page], in_page, piece);
	}
	return count;
}

static enum vmb_user_network_verdict move(void *arg, uint16_t queue,
					  struct vmb_user_network_packet *p)
{
	const struct vmb_guest_network *n;
	struct vmb_pkt_gpa_direct direct = { 0 };
	struct vmb_net_rndis_packet message;
	struct mover *m = arg;
	const uint8_t *section;

	(void)queue;
	if (!is_data(p))
		return VMB_USER_NETWORK_PASS;
	n = &m->b->l.guest.network;
	memcpy(&message, p->payload, sizeof(message));
	section = n->config.send_buffer + message.section_index * n->section_len;
	p->type = VMB_PKT_GPA_DIRECT;
	p->header_len = sizeof(direct);
	direct.range_count = move_piece(m, p, section, 0, m->cut);
	direct.range_count += move_piece(m, p, section, m->cut, message.section_len - m->cut);
	memcpy(p->header, &direct, sizeof(direct));
	message.section_index = VMB_NET_SECTION_NONE;
	message.section_len = 0;
	memcpy(p->payload, &message, sizeof(message));
	return VMB_USER_NETWORK_PASS;
}

static void expect_moved(struct net_bed *b, const struct net_spec *s)
{
	struct net_verdict v;

	assert_int_equal(net_send(b, 0, s, 0, NET_INLINE), 0);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->sent_bad, 0);
	assert_int_equal(b->wire.count, 1);
	v = net_frame_judge(b->wire.list[0].bytes, b->wire.list[0].len);
	assert_null(v.wrong);
	assert_int_equal(net_payload_differs(b->wire.list[0].bytes + v.payload_at, v.payload_len,
					     s->flow, s->sequence),
			 s->len - net_head_len(s));
	net_forget(b);
}

static void test_envelope_may_lie_anywhere_and_in_pieces(void **state)
{
	struct net_spec s = {
		.len = 300, .ip = 4, .protocol = NET_TCP, .checksums = NET_CHECKSUMS_OPEN
	};
	struct net_bed *b = net_new_open(no_config);
	struct mover m = { .b = b };

	(void)state;
	assert_true(vmb_user_memory_alloc(&b->l.bus.memory, m.pfns, 3));
	set_guest_hook(b, move, &m);
	m.cut = 1;
	for (m.offset = 0; m.offset < VMB_PAGE_LEN; m.offset++)
		expect_moved(b, &s);
	for (m.offset = 0; m.offset < 2; m.offset++)
		for (m.cut = 1; m.cut < 360; m.cut++)
			expect_moved(b, &s);
	m.offset = VMB_PAGE_LEN - 40;
	for (m.cut = 1; m.cut < 360; m.cut++)
		expect_moved(b, &s);
	set_guest_hook(b, NULL, NULL);
	vmb_user_memory_free(&b->l.bus.memory, m.pfns, 3);
	net_expect_quiet(b);
	net_free(b);
}

/* Hosts that do not keep to it. */

static enum vmb_user_network_verdict drop_completions(void *arg, uint16_t queue,
						      struct vmb_user_network_packet *p)
{
	(void)arg;
	(void)queue;
	return is_data_completion(p) ? VMB_USER_NETWORK_DROP : VMB_USER_NETWORK_PASS;
}

static void test_host_that_drops_completions_stops_the_sender_and_nothing_else(void **state)
{
	struct net_bed *b = net_new_open(no_config);
	struct net_spec s = { .len = 5000,
			      .ip = 4,
			      .protocol = NET_TCP,
			      .large = true,
			      .checksums = NET_CHECKSUMS_OPEN };
	struct net_shape shape = { .inline_len = 54 };
	uint32_t sent = 0, i;

	(void)state;
	set_host_hook(b, drop_completions, NULL);
	while (!net_send(b, 0, &s, 1000, shape)) {
		sent++;
		vmb_user_network_settle(&b->l);
	}
	assert_int_equal(sent, 64);
	assert_int_equal(b->sent_frames, 0);
	assert_int_equal(b->held_count, 64);
	for (i = 0; i < 500; i++) {
		assert_int_equal(give_alone(b, i), 0);
		vmb_user_network_settle(&b->l);
	}
	assert_int_equal(b->received.count, 500);
	/* Pages that the host may still read come back only when the channel is closed. */
	assert_int_not_equal(vmb_user_network_guest_close(&b->l.guest), 0);
	assert_int_equal(b->sent_bad, 64);
	assert_int_equal(b->held_count, 0);
	assert_true(vmb_user_network_holds_nothing(&b->l));
	set_host_hook(b, NULL, NULL);
	net_forget(b);
	assert_int_equal(vmb_user_network_guest_open(&b->l.guest), 0);
	net_expect_traffic(b, 100);
	net_free(b);
}

static enum vmb_user_network_verdict repeat_completions(void *arg, uint16_t queue,
							struct vmb_user_network_packet *p)
{
	(void)arg;
	(void)queue;
	return is_data_completion(p) ? VMB_USER_NETWORK_TWICE : VMB_USER_NETWORK_PASS;
}

static void test_host_that_completes_twice_frees_a_slot_once(void **state)
{
	struct vmb_user_network_config config = { .guest.ring_pages = 64 };
	struct net_bed *b = net_new_open(config);
	struct net_spec s = { .len = 100 };
	uint32_t i, sent = 0;

	(void)state;
	set_host_hook(b, repeat_completions, NULL);
	for (i = 0; i < 1000; i++) {
		sent += !net_send(b, 0, &s, 0, i % 2 ? NET_INLINE : (struct net_shape){ 0 });
		if (net_random(b, 8) == 0)
			vmb_user_network_settle(&b->l);
		assert_true(vmb_guest_network_room(&b->l.guest.queues[0].core) <= 64);
	}
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->sent_frames, sent);
	assert_int_equal(b->l.guest.queues[0].core.counters.forged, sent);
	assert_int_equal(b->wire.count, sent);
	net_expect_quiet(b);
	set_host_hook(b, NULL, NULL);
	net_expect_traffic(b, 10);
	net_free(b);
}

/* Completions of what nobody sent, by the thousand, while frames are under way. */
static void test_forged_completions_end_nothing(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 2, .guest.ring_pages = 64 };
	struct net_bed *b = net_new_open(config);
	struct vmb_user_network_packet p = { .type = VMB_PKT_COMPLETION, .payload_len = 8 };
	struct net_spec s = { .len = 100 };
	uint32_t i, sent = 0, held_back;

	(void)state;
	for (i = 0; i < 5000; i++) {
		p.transaction_id = net_random(b, 2) ? net_random(b, 200) :
						      (uint64_t)net_random(b, 1u << 31) << 31;
		p.payload[0] = (uint8_t)(net_random(b, 4) ? VMB_NET_SEND_RNDIS_PACKET_COMPLETE :
							    net_random(b, 256));
		p.payload[4] = VMB_NET_STATUS_SUCCESS;
		p.payload_len = net_random(b, 10) ? 8 : net_random(b, 8);
		held_back = 64 - vmb_guest_network_room(&b->l.guest.queues[1].core);
		assert_int_equal(vmb_user_network_host_inject(&b->l.host, 1, &p), 0);
		vmb_user_network_guest_step(&b->l.guest);
		/* Generation 0 of a slot that is in flight is a true name; all others are not. */
		assert_true(64 - vmb_guest_network_room(&b->l.guest.queues[1].core) == held_back ||
			    p.transaction_id < 200);
		sent += i % 16 == 0 && !net_send(b, 1, &s, 0, NET_INLINE);
		if (i % 64 == 0)
			vmb_user_network_settle(&b->l);
	}
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->sent_frames, sent);
	assert_int_equal(b->wire.count, sent);
	assert_true(b->l.guest.queues[1].core.counters.forged +
			    b->l.guest.queues[1].core.counters.malformed >
		    4000);
	net_expect_quiet(b);
	net_free(b);
}

static enum vmb_user_network_verdict keep_first(void *arg, uint16_t queue,
						struct vmb_user_network_packet *p)
{
	struct vmb_user_network_packet *kept = arg;

	(void)queue;
	if (is_data_completion(p) && !kept->type)
		*kept = *p;
	return VMB_USER_NETWORK_PASS;
}

/* A completion that was true once must not end what its slot carries now. */
static void test_completion_of_an_earlier_use_of_a_slot_is_refused(void **state)
{
	static struct vmb_user_network_packet kept;
	struct net_bed *b = net_new_open(no_config);
	uint32_t i;

	(void)state;
	memset(&kept, 0, sizeof(kept));
	set_host_hook(b, keep_first, &kept);
	assert_true(try_send(b));
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->sent_frames, 1);
	set_host_hook(b, drop_completions, NULL);
	for (i = 0; i < 64; i++)
		assert_true(try_send(b));
	vmb_user_network_settle(&b->l);
	assert_int_equal(vmb_guest_network_room(&b->l.guest.queues[0].core), 0);
	assert_int_equal(vmb_user_network_host_inject(&b->l.host, 0, &kept), 0);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->sent_frames, 1);
	assert_int_equal(b->l.guest.queues[0].core.counters.forged, 1);
	vmb_user_network_guest_abandon(&b->l.guest);
	net_free(b);
}

static enum vmb_user_network_verdict refuse(void *arg, uint16_t queue,
					    struct vmb_user_network_packet *p)
{
	(void)arg;
	(void)queue;
	if (is_data_completion(p))
		p->payload[4] = VMB_NET_STATUS_FAIL;
	return VMB_USER_NETWORK_PASS;
}

static void test_status_of_the_host_reaches_the_port(void **state)
{
	struct net_bed *b = net_new_open(no_config);
	struct net_spec s = { .len = 100 };

	(void)state;
	set_host_hook(b, refuse, NULL);
	assert_int_equal(net_send(b, 0, &s, 0, NET_INLINE), 0);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->sent_frames, 1);
	assert_int_equal(b->sent_bad, 1);
	net_expect_quiet(b);
	set_host_hook(b, NULL, NULL);
	net_free(b);
}

/* Does something to the packet number `at`, and to no other. */
struct saboteur {
	uint32_t at, seen;
	uint32_t how;
	bool done;
};

enum how {
	HOW_DROP,
	HOW_TWICE,
	HOW_TYPE,
	HOW_SHORT,
	HOW_STATUS,
	HOW_ID,
	HOW_COUNT,
};

static enum vmb_user_network_verdict sabotage(void *arg, uint16_t queue,
					      struct vmb_user_network_packet *p)
{
	struct saboteur *s = arg;

	(void)queue;
	if (s->seen++ != s->at)
		return VMB_USER_NETWORK_PASS;
	s->done = true;
	if (s->how == HOW_DROP)
		return VMB_USER_NETWORK_DROP;
	if (s->how == HOW_TWICE)
		return VMB_USER_NETWORK_TWICE;
	if (s->how == HOW_TYPE)
		p->payload[0] ^= 0x5A;
	if (s->how == HOW_SHORT)
		p->payload_len = 4;
	if (s->how == HOW_STATUS)
		memset(p->payload + 4, 0x7F, p->payload_len > 12 ? 8 : 0);
	if (s->how == HOW_ID)
		p->transaction_id += 3;
	return VMB_USER_NETWORK_PASS;
}

/* A whole life with one packet spoilt; then one that is sound. Answers whether there was such a packet. */
static bool live_through(struct net_bed *b, struct saboteur *s, bool at_host)
{
	int err;

	s->seen = 0;
	s->done = false;
	if (at_host)
		set_host_hook(b, sabotage, s);
	else
		set_guest_hook(b, sabotage, s);
	err = vmb_user_network_guest_open(&b->l.guest);
	if (!err)
		vmb_user_network_guest_close(&b->l.guest);
	else
		vmb_user_network_guest_abandon(&b->l.guest);
	assert_true(vmb_user_network_holds_nothing(&b->l));
	set_host_hook(b, NULL, NULL);
	set_guest_hook(b, NULL, NULL);
	assert_int_equal(vmb_user_network_guest_open(&b->l.guest), 0);
	net_expect_traffic(b, 4);
	net_close(b);
	return s->done;
}

static void live_through_everything(bool at_host)
{
	struct vmb_user_network_config config = { .guest.queue_count = 2 };
	struct net_bed *b = net_new(config);
	struct saboteur s = { 0 };

	for (s.how = 0; s.how < HOW_COUNT; s.how++) {
		for (s.at = 0; live_through(b, &s, at_host); s.at++)
			;
		assert_true(s.at > 15);
	}
	net_free(b);
}

static void test_host_may_fail_at_every_packet_of_a_life(void **state)
{
	(void)state;
	live_through_everything(true);
}

static void test_guest_may_fail_at_every_packet_of_a_life(void **state)
{
	(void)state;
	live_through_everything(false);
}

/* Guests that do not keep to it. */

static void test_guest_that_never_acknowledges_is_dropped_for_and_recovers(void **state)
{
	struct vmb_user_network_config config = { .guest = { .receive_len = 256u << 10,
							     .ring_pages = 64 } };
	struct net_bed *b = net_new_open(config);
	struct net_spec s = { .len = 100 };
	uint32_t i, given = 0, lent;

	(void)state;
	b->l.guest.queues[0].mute = true;
	for (i = 0; i < 1000; i++) {
		given += !give_alone(b, i);
		vmb_user_network_settle(&b->l);
	}
	lent = b->l.guest.network.suballoc_count - b->l.host.network.free_count;
	assert_int_equal(given, lent);
	assert_int_equal(b->l.host.network.free_count, VMB_HOST_NETWORK_CONTROL_RESERVE);
	assert_int_equal(b->l.host.counters.dropped, 1000 - given);
	/* It is served all the same. */
	for (i = 0; i < 200; i++) {
		assert_int_equal(net_send(b, 0, &s, 0, NET_INLINE), 0);
		vmb_user_network_settle(&b->l);
	}
	assert_int_equal(b->sent_frames, 200);
	assert_int_equal(b->received.count, given);
	b->l.guest.queues[0].mute = false;
	vmb_user_network_guest_kick(&b->l.guest.queues[0]);
	vmb_user_network_settle(&b->l);
	net_expect_quiet(b);
	net_expect_traffic(b, 300);
	net_free(b);
}

static bool is_ack(const struct vmb_user_network_packet *p)
{
	return p->type == VMB_PKT_COMPLETION;
}

static enum vmb_user_network_verdict repeat_acks(void *arg, uint16_t queue,
						 struct vmb_user_network_packet *p)
{
	(void)arg;
	(void)queue;
	return is_ack(p) ? VMB_USER_NETWORK_TWICE : VMB_USER_NETWORK_PASS;
}

static void test_guest_that_acknowledges_twice_gives_back_once(void **state)
{
	struct vmb_user_network_config config = { .guest.ring_pages = 64 };
	struct net_bed *b = net_new_open(config);
	uint32_t i;

	(void)state;
	set_guest_hook(b, repeat_acks, NULL);
	for (i = 0; i < 500; i++) {
		assert_int_equal(give_alone(b, i), 0);
		assert_true(b->l.host.network.free_count <= b->l.host.network.suballoc_count);
		if (i % 7 == 0)
			vmb_user_network_settle(&b->l);
	}
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->l.host.network.counters.forged, 500);
	net_expect_quiet(b);
	set_guest_hook(b, NULL, NULL);
	net_expect_traffic(b, 10);
	net_free(b);
}

/* Acknowledgements of everything and nothing: a suballocation is never with the guest twice at a time. */
static void test_forged_acknowledgements_lend_nothing_twice(void **state)
{
	struct vmb_user_network_config config = { .guest = { .receive_len = 128u << 10,
							     .ring_pages = 64 } };
	struct net_bed *b = net_new_open(config);
	struct vmb_user_network_packet p = { .type = VMB_PKT_COMPLETION,
					     .payload_len = 8,
					     .payload = { VMB_NET_SEND_RNDIS_PACKET_COMPLETE, 0, 0,
							  0, VMB_NET_STATUS_SUCCESS } };
	uint32_t i;

	(void)state;
	for (i = 0; i < 20000; i++) {
		p.transaction_id = net_random(b, 4) ? net_random(b, 100) :
						      (uint64_t)net_random(b, 1u << 31) << 20;
		if (net_random(b, 2))
			vmb_user_network_guest_inject(&b->l.guest.queues[0], &p);
		else
			give_alone(b, i);
		if (net_random(b, 10) == 0)
			vmb_user_network_settle(&b->l);
		assert_true(b->l.host.network.free_count <= b->l.host.network.suballoc_count);
	}
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->l.host.network.free_count, b->l.host.network.suballoc_count);
	net_free(b);
}

static enum vmb_user_network_verdict drop_acks(void *arg, uint16_t queue,
					       struct vmb_user_network_packet *p)
{
	(void)arg;
	(void)queue;
	return is_ack(p) ? VMB_USER_NETWORK_DROP : VMB_USER_NETWORK_PASS;
}

static void test_suballocations_that_a_guest_kept_come_back_with_the_channel(void **state)
{
	struct net_bed *b = net_new_open(no_config);
	uint32_t i;

	(void)state;
	set_guest_hook(b, drop_acks, NULL);
	for (i = 0; i < 200; i++) {
		give_alone(b, i);
		vmb_user_network_settle(&b->l);
	}
	assert_int_equal(b->l.host.network.suballoc_count - b->l.host.network.free_count, 200);
	set_guest_hook(b, NULL, NULL);
	net_close(b);
	assert_int_equal(vmb_user_network_guest_open(&b->l.guest), 0);
	vmb_user_network_settle(&b->l);
	net_forget(b);
	net_expect_traffic(b, 100);
	net_free(b);
}

static void give_flow(struct net_bed *b, uint16_t queue)
{
	uint8_t bytes[60];
	struct vmb_host_network_received frame = { .len = sizeof(bytes) };
	struct vmb_host_offload_piece piece = { bytes, sizeof(bytes) };

	make_frame(bytes, sizeof(bytes), queue);
	assert_int_equal(vmb_user_network_host_give(&b->l.host, queue, &frame, &piece, 1), 0);
	vmb_user_network_host_flush(&b->l.host);
}

static void test_acknowledgement_counts_on_the_queue_that_was_given_to(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 2 };
	struct net_bed *b = net_new_open(config);
	struct vmb_user_network_packet p = { .type = VMB_PKT_COMPLETION,
					     .payload_len = 8,
					     .payload = { VMB_NET_SEND_RNDIS_PACKET_COMPLETE, 0, 0,
							  0, VMB_NET_STATUS_SUCCESS } };

	(void)state;
	b->l.guest.queues[1].mute = true;
	give_flow(b, 1);
	p.transaction_id = b->l.host.core_queues[1].out.transaction_id;
	assert_int_equal(vmb_user_network_guest_inject(&b->l.guest.queues[0], &p), 0);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->l.host.network.counters.forged, 1);
	assert_int_equal(b->l.host.network.suballoc_count - b->l.host.network.free_count, 1);
	b->l.guest.queues[1].mute = false;
	vmb_user_network_guest_kick(&b->l.guest.queues[1]);
	vmb_user_network_settle(&b->l);
	net_expect_quiet(b);
	net_free(b);
}

static void test_closing_a_sub_channel_frees_what_was_lent_on_it(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 3 };
	struct net_bed *b = net_new_open(config);
	uint32_t i;

	(void)state;
	vmb_user_network_settle(&b->l);
	for (i = 0; i < 90; i++)
		give_flow(b, (uint16_t)(i % 3));
	assert_int_equal(b->l.host.network.suballoc_count - b->l.host.network.free_count, 90);
	vmb_user_network_host_close(&b->l.host, 2);
	assert_int_equal(b->l.host.network.suballoc_count - b->l.host.network.free_count, 60);
	vmb_user_network_host_close(&b->l.host, 1);
	assert_int_equal(b->l.host.network.suballoc_count - b->l.host.network.free_count, 30);
	vmb_user_network_guest_abandon(&b->l.guest);
	assert_true(vmb_user_network_holds_nothing(&b->l));
	net_free(b);
}

/* A packet that found no room belongs to the connection that ended: the next one never sees it. */
static void test_packet_that_waited_for_room_dies_with_its_channel(void **state)
{
	struct vmb_user_network_config config = { .guest.ring_pages = 2, .guest.queue_count = 2 };
	struct net_bed *b = net_new(config);
	uint32_t i, round;

	(void)state;
	for (round = 0; round < 5; round++) {
		assert_int_equal(vmb_user_network_guest_open(&b->l.guest), 0);
		net_expect_agreement(b);
		net_expect_traffic(b, 4);
		for (i = 0; i < 200; i++)
			give_alone(b, i);
		assert_true(b->l.host.core_queues[0].ready);
		vmb_user_network_guest_abandon(&b->l.guest);
		assert_true(vmb_user_network_holds_nothing(&b->l));
		net_forget(b);
	}
	net_free(b);
}

/* Life under traffic. */

static void stir(struct net_bed *b, uint32_t steps)
{
	struct net_spec s = { .ip = 4, .protocol = NET_TCP, .checksums = NET_CHECKSUMS_OPEN };
	struct net_shape shape = { 0 };
	uint8_t bytes[700];

	while (steps--) {
		s.len = 54 + net_random(b, 1400);
		s.flow = net_random(b, 1000);
		shape.inline_len = net_random(b, 2) ? UINT32_MAX : net_random(b, 100);
		shape.more = net_random(b, 3) == 0;
		net_send(b, (uint16_t)net_random(b, b->l.guest.queue_count), &s, 0, shape);
		s.len = 54 + net_random(b, sizeof(bytes) - 54);
		net_frame_make(bytes, &s);
		memcpy(bytes, net_guest_mac, 6);
		vmb_user_network_host_deliver(&b->l.host, bytes, s.len, 0);
		if (net_random(b, 3) == 0)
			vmb_user_network_host_step(&b->l.host);
		if (net_random(b, 3) == 0)
			vmb_user_network_guest_step(&b->l.guest);
	}
}

static void test_closing_under_traffic_a_hundred_times_leaves_nothing_behind(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 4 };
	struct net_bed *b = net_new(config);
	uint32_t i;

	(void)state;
	for (i = 0; i < 100; i++) {
		assert_int_equal(vmb_user_network_guest_open(&b->l.guest), 0);
		stir(b, net_random(b, 300));
		if (i % 2) /* what is put together and not sent would be waited for in vain */
			for (uint32_t q = 0; q < b->l.guest.queue_count; q++)
				vmb_user_network_guest_push(&b->l.guest.queues[q]);
		if (i % 2)
			net_close(b);
		else
			vmb_user_network_guest_abandon(&b->l.guest);
		assert_true(vmb_user_network_holds_nothing(&b->l));
		assert_int_equal(b->held_count, 0);
		assert_int_equal(b->l.host.network.counters.broken, 0);
		net_forget(b);
	}
	net_free(b);
}

/* Bytes of both directions' packets changed at random: nothing but the connection suffers. */
struct noise {
	struct net_bed *b;
	uint32_t one_in;
};

static enum vmb_user_network_verdict spoil(void *arg, uint16_t queue,
					   struct vmb_user_network_packet *p)
{
	struct noise *n = arg;
	uint32_t i;

	(void)queue;
	if (net_random(n->b, n->one_in))
		return VMB_USER_NETWORK_PASS;
	i = net_random(n->b, 8);
	if (i == 0)
		return VMB_USER_NETWORK_DROP;
	if (i == 1)
		return VMB_USER_NETWORK_TWICE;
	if (i == 2)
		p->transaction_id ^= 1ull << net_random(n->b, 64);
	else if (i == 3)
		p->payload_len = net_random(n->b, p->payload_len + 1);
	else if (i == 4 && p->header_len)
		p->header[net_random(n->b, p->header_len)] ^= (uint8_t)(1u << net_random(n->b, 8));
	else if (p->payload_len)
		p->payload[net_random(n->b, p->payload_len)] ^=
			(uint8_t)(1u << net_random(n->b, 8));
	return VMB_USER_NETWORK_PASS;
}

static void test_noise_on_the_rings_harms_one_connection_only(void **state)
{
	struct vmb_user_network_config config = { .guest = { .queue_count = 3,
							     .rsc = true,
							     .receive_len = 256u << 10,
							     .send_len = 256u << 10 } };
	struct net_bed *b = net_new(config);
	struct noise n = { .b = b };
	uint32_t i;

	(void)state;
	for (i = 0; i < 200; i++) {
		n.one_in = 5 + net_random(b, 200);
		set_host_hook(b, i % 3 == 0 ? NULL : spoil, &n);
		set_guest_hook(b, i % 3 == 1 ? NULL : spoil, &n);
		if (!vmb_user_network_guest_open(&b->l.guest)) {
			stir(b, 200);
			vmb_user_network_guest_close(&b->l.guest);
		} else {
			vmb_user_network_guest_abandon(&b->l.guest);
		}
		assert_true(vmb_user_network_holds_nothing(&b->l));
		assert_int_equal(b->held_count, 0);
		net_forget(b);
	}
	set_host_hook(b, NULL, NULL);
	set_guest_hook(b, NULL, NULL);
	assert_int_equal(vmb_user_network_guest_open(&b->l.guest), 0);
	net_expect_traffic(b, 30);
	net_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame_leaves_after_ring_was_filled_by_acknowledgements),
		cmocka_unit_test(test_acknowledgements_leave_after_ring_was_filled_by_frames),
		cmocka_unit_test(
			test_host_drops_frames_and_keeps_completions_when_its_ring_is_full),
		cmocka_unit_test(test_packet_in_the_ring_before_open_returns_is_received),
		cmocka_unit_test(test_first_packet_of_a_channel_may_be_of_no_known_kind),
		cmocka_unit_test(test_envelope_may_lie_anywhere_and_in_pieces),
		cmocka_unit_test(
			test_host_that_drops_completions_stops_the_sender_and_nothing_else),
		cmocka_unit_test(test_host_that_completes_twice_frees_a_slot_once),
		cmocka_unit_test(test_forged_completions_end_nothing),
		cmocka_unit_test(test_completion_of_an_earlier_use_of_a_slot_is_refused),
		cmocka_unit_test(test_status_of_the_host_reaches_the_port),
		cmocka_unit_test(test_host_may_fail_at_every_packet_of_a_life),
		cmocka_unit_test(test_guest_may_fail_at_every_packet_of_a_life),
		cmocka_unit_test(test_guest_that_never_acknowledges_is_dropped_for_and_recovers),
		cmocka_unit_test(test_guest_that_acknowledges_twice_gives_back_once),
		cmocka_unit_test(test_forged_acknowledgements_lend_nothing_twice),
		cmocka_unit_test(test_suballocations_that_a_guest_kept_come_back_with_the_channel),
		cmocka_unit_test(test_acknowledgement_counts_on_the_queue_that_was_given_to),
		cmocka_unit_test(test_closing_a_sub_channel_frees_what_was_lent_on_it),
		cmocka_unit_test(test_packet_that_waited_for_room_dies_with_its_channel),
		cmocka_unit_test(test_closing_under_traffic_a_hundred_times_leaves_nothing_behind),
		cmocka_unit_test(test_noise_on_the_rings_harms_one_connection_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
