// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A card in loopback: sends frames in every shape and records what comes out at either end. */
#include "tests/network_bed.h"

/* The pages of one frame under way. */
struct held {
	struct net_bed *b;
	uint32_t count;
	uint64_t pfns[VMB_NET_PAGE_COUNT_MAX];
};

static struct net_record *add(struct net_records *records, uint32_t len)
{
	struct net_record *r;

	if (records->count == records->room) {
		records->room = records->room ? 2 * records->room : 64;
		records->list = realloc(records->list, records->room * sizeof(*records->list));
		assert_non_null(records->list);
	}
	r = &records->list[records->count++];
	*r = (struct net_record){ .bytes = malloc(len ? len : 1), .len = len };
	assert_non_null(r->bytes);
	return r;
}

static void empty(struct net_records *records)
{
	while (records->count)
		free(records->list[--records->count].bytes);
}

void net_forget(struct net_bed *b)
{
	empty(&b->wire);
	empty(&b->received);
	b->sent_frames = b->sent_bad = 0;
}

static void on_wire(struct vmb_user_network *l, uint16_t queue, const uint8_t *bytes, uint32_t len,
		    uint32_t mss)
{
	struct net_bed *b = l->config.host.arg;
	struct net_record *r;

	if (!b->keep)
		return;
	r = add(&b->wire, len);
	memcpy(r->bytes, bytes, len);
	r->queue = queue;
	r->mss = mss;
}

static void on_received(struct vmb_user_network_queue *q,
			const struct vmb_guest_network_frame *frame)
{
	struct net_bed *b = q->guest->config.arg;
	const uint8_t *buffer = q->guest->network.config.receive_buffer;
	struct net_record *r;
	uint32_t at = 0, i;

	if (!b->keep)
		return;
	r = add(&b->received, frame->rndis.len);
	for (i = 0; i < frame->piece_count; at += frame->pieces[i++].len) {
		assert_true(frame->pieces[i].len <= frame->rndis.len - at);
		memcpy(r->bytes + at, buffer + frame->pieces[i].offset, frame->pieces[i].len);
	}
	assert_int_equal(at, frame->rndis.len);
	r->rndis = frame->rndis;
	r->queue = q->index;
	r->piece_count = frame->piece_count;
}

static void on_sent(struct vmb_user_network_queue *q, const struct vmb_guest_network_event *event)
{
	struct net_bed *b = q->guest->config.arg;
	struct held *held = event->cookie;

	b->sent_frames += event->frame_count;
	b->sent_bad += event->status != VMB_NET_STATUS_SUCCESS;
	if (!held)
		return;
	vmb_user_memory_free(&b->l.bus.machine.memory, held->pfns, held->count);
	__atomic_fetch_sub(&b->held_count, 1, __ATOMIC_RELAXED);
	free(held);
}

static void set_defaults(struct net_bed *b)
{
	struct vmb_host_rndis_config *r = &b->config.host.network.rndis;

	memcpy(r->mac, net_guest_mac, sizeof(r->mac));
	if (!r->mtu_max)
		r->mtu_max = 9000;
	if (!r->link_speed)
		r->link_speed = 100000000; /* 10 Gbit/s */
	if (!r->offload)
		r->offload = VMB_HOST_RNDIS_TX_CHECKSUM | VMB_HOST_RNDIS_RX_CHECKSUM |
			     VMB_HOST_RNDIS_LSO | VMB_HOST_RNDIS_RSC;
	if (!r->queue_count_max)
		r->queue_count_max = VMB_USER_NETWORK_QUEUE_MAX;
	if (!b->config.host.wire)
		b->config.host.wire = on_wire;
	if (!b->config.guest.received)
		b->config.guest.received = on_received;
	if (!b->config.guest.sent)
		b->config.guest.sent = on_sent;
	b->config.host.arg = b->config.guest.arg = b;
}

struct net_bed *net_new(struct vmb_user_network_config config)
{
	/* The card's fields stand on cache lines of their own. */
	struct net_bed *b = aligned_alloc(64, (sizeof(*b) + 63) & ~(size_t)63);

	assert_non_null(b);
	memset(b, 0, sizeof(*b));
	b->random = 0x2545F4914F6CDD1Dull;
	b->keep = true;
	b->config = config;
	set_defaults(b);
	assert_int_equal(vmb_user_network_init(&b->l, &b->config), 0);
	return b;
}

struct net_bed *net_new_open(struct vmb_user_network_config config)
{
	struct net_bed *b = net_new(config);

	assert_int_equal(vmb_user_network_guest_open(&b->l.guest), 0);
	return b;
}

void net_close(struct net_bed *b)
{
	assert_int_equal(vmb_user_network_guest_close(&b->l.guest), 0);
	assert_true(vmb_user_network_holds_nothing(&b->l));
	assert_int_equal(b->held_count, 0);
}

void net_free(struct net_bed *b)
{
	if (b->l.guest.queue_count)
		net_close(b);
	vmb_user_network_destroy(&b->l);
	net_forget(b);
	free(b->wire.list);
	free(b->received.list);
	free(b);
}

uint32_t net_random(struct net_bed *b, uint32_t below)
{
	b->random = b->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(b->random >> 33) % below;
}

/* Puts the rest of a frame into pages. */
static struct held *hold(struct net_bed *b, const uint8_t *bytes, uint32_t len, uint32_t offset,
			 struct vmb_user_network_range *ranges, uint32_t *count)
{
	struct held *held = calloc(1, sizeof(*held));
	uint32_t piece, i = 0;

	assert_non_null(held);
	held->b = b;
	held->count = (offset + len + VMB_PAGE_LEN - 1) / VMB_PAGE_LEN;
	assert_true(held->count <= VMB_NET_PAGE_COUNT_MAX);
	assert_true(vmb_user_memory_alloc(&b->l.bus.machine.memory, held->pfns, held->count));
	for (; len; len -= piece, bytes += piece, offset = 0, i++) {
		piece = VMB_PAGE_LEN - offset < len ? VMB_PAGE_LEN - offset : len;
		memcpy(vmb_user_memory_page(&b->l.bus.machine.memory, held->pfns[i]) + offset,
		       bytes, piece);
		ranges[i] = (struct vmb_user_network_range){ held->pfns[i], offset, piece };
	}
	*count = i;
	return held;
}

int net_send_bytes(struct net_bed *b, uint16_t queue, struct vmb_guest_rndis_frame rndis,
		   const uint8_t *bytes, uint32_t len, struct net_shape shape)
{
	struct vmb_user_network_range ranges[VMB_NET_PAGE_COUNT_MAX];
	struct vmb_user_network_frame frame = { .bytes = bytes, .ranges = ranges };
	struct held *held = NULL;
	int err;

	rndis.len = len;
	frame.rndis = rndis;
	frame.inline_len = vmb_guest_network_inline_max(&b->l.guest.network, &rndis);
	if (frame.inline_len > shape.inline_len)
		frame.inline_len = shape.inline_len;
	if (frame.inline_len < len) {
		held = hold(b, bytes + frame.inline_len, len - frame.inline_len, shape.page_offset,
			    ranges, &frame.range_count);
		__atomic_fetch_add(&b->held_count, 1, __ATOMIC_RELAXED);
	}
	frame.cookie = held;
	err = vmb_user_network_guest_send(&b->l.guest.queues[queue], &frame, shape.more);
	if (err && held) {
		vmb_user_memory_free(&b->l.bus.machine.memory, held->pfns, held->count);
		__atomic_fetch_sub(&b->held_count, 1, __ATOMIC_RELAXED);
		free(held);
	}
	return err;
}

struct vmb_guest_rndis_frame net_facts(const struct net_spec *spec, uint32_t mss)
{
	struct vmb_guest_rndis_frame f = { 0 };

	if (!spec->ip || (spec->checksums == NET_CHECKSUMS_DONE && !mss))
		return f;
	f.present = VMB_GUEST_RNDIS_CHECKSUM;
	f.checksum = spec->ip == 4 ? RNDIS_TX_CHECKSUM_IPV4 | RNDIS_TX_CHECKSUM_IP_HEADER :
				     RNDIS_TX_CHECKSUM_IPV6;
	f.checksum |= spec->protocol == NET_TCP ? RNDIS_TX_CHECKSUM_TCP : RNDIS_TX_CHECKSUM_UDP;
	f.checksum |= net_transport_at(spec) << RNDIS_TX_CHECKSUM_TCP_OFFSET_SHIFT;
	if (!mss)
		return f;
	f.present = VMB_GUEST_RNDIS_LSO;
	f.lso = RNDIS_LSO_V2 | mss | net_transport_at(spec) << RNDIS_LSO_TCP_OFFSET_SHIFT;
	if (spec->ip == 6)
		f.lso |= RNDIS_LSO_IPV6;
	return f;
}

int net_send(struct net_bed *b, uint16_t queue, const struct net_spec *spec, uint32_t mss,
	     struct net_shape shape)
{
	uint8_t *bytes = malloc(spec->len);
	int err;

	assert_non_null(bytes);
	net_frame_make(bytes, spec);
	err = net_send_bytes(b, queue, net_facts(spec, mss), bytes, spec->len, shape);
	free(bytes);
	return err;
}

int net_deliver(struct net_bed *b, const uint8_t *bytes, uint32_t len, uint32_t mss)
{
	int err = vmb_user_network_deliver(&b->l, bytes, len, mss);
	vmb_user_network_flush(&b->l);
	if (!b->config.threads)
		vmb_user_network_settle(&b->l);
	return err;
}

void net_expect_quiet(struct net_bed *b)
{
	uint32_t i;

	for (i = 0; i < b->l.guest.queue_count; i++) {
		assert_true(vmb_guest_network_idle(&b->l.guest.queues[i].core));
		assert_int_equal(b->l.guest.queues[i].core.owed_count, 0);
		assert_false(b->l.guest.queues[i].waiting);
	}
	assert_int_equal(b->l.card->host.free_count, b->l.card->host.suballoc_count);
	assert_int_equal(b->held_count, 0);
}

void net_expect_agreement(struct net_bed *b)
{
	const struct vmb_guest_network *g = &b->l.guest.network;
	const struct vmb_host_network *h = &b->l.card->host;

	assert_int_equal(g->state, VMB_GUEST_NETWORK_READY);
	assert_int_equal(g->agreed.version, h->version);
	assert_int_equal(g->agreed.mtu, h->rndis.mtu);
	assert_int_equal(g->agreed.suballoc_len, h->suballoc_len);
	assert_int_equal(g->agreed.suballoc_count, h->suballoc_count);
	assert_int_equal(g->agreed.sub_channel_count, h->sub_channel_count);
	assert_memory_equal(g->agreed.mac, h->rndis.mac, sizeof(g->agreed.mac));
	assert_true(g->agreed.link_up == h->rndis.link_up);
	assert_int_equal(g->counters.forged + g->counters.malformed + g->counters.unknown, 0);
	assert_int_equal(h->counters.broken + h->counters.forged, 0);
	if (!b->config.host.network.version_max) /* else it refuses versions */
		assert_int_equal(h->counters.refused, 0);
}

void net_expect_traffic(struct net_bed *b, uint32_t n)
{
	uint32_t mtu = b->l.guest.network.agreed.mtu, i;
	struct net_spec spec = { 0 };
	uint8_t *bytes = malloc(14 + mtu);

	assert_non_null(bytes);
	net_forget(b);
	for (i = 0; i < n; i++) {
		spec.len = 14 + net_random(b, mtu + 1);
		spec.flow = i;
		net_frame_make(bytes, &spec);
		assert_int_equal(net_send_bytes(b, (uint16_t)(i % b->l.guest.queue_count),
						(struct vmb_guest_rndis_frame){ 0 }, bytes,
						spec.len, NET_INLINE),
				 0);
		vmb_user_network_settle(&b->l);
		assert_int_equal(net_deliver(b, bytes, spec.len, 0), VMB_ENODEV);
		memcpy(bytes, net_guest_mac, 6);
		assert_int_equal(net_deliver(b, bytes, spec.len, 0), 0);
		assert_int_equal(b->wire.count, i + 1);
		assert_int_equal(b->received.count, i + 1);
		assert_int_equal(b->received.list[i].len, spec.len);
		assert_memory_equal(b->received.list[i].bytes, bytes, spec.len);
		memcpy(bytes, net_other_mac, 6);
		assert_int_equal(b->wire.list[i].len, spec.len);
		assert_memory_equal(b->wire.list[i].bytes, bytes, spec.len);
	}
	assert_int_equal(b->sent_frames, n);
	assert_int_equal(b->sent_bad, 0);
	net_expect_quiet(b);
	net_forget(b);
	free(bytes);
}

void net_hook_host(struct net_bed *b, vmb_user_network_hook *hook, void *arg)
{
	vmb_user_network_hook_host(&b->l, hook, arg);
}

void net_hook_guest(struct net_bed *b, vmb_user_network_hook *hook, void *arg)
{
	uint32_t i;

	for (i = 0; i < VMB_USER_NETWORK_QUEUE_MAX; i++) {
		b->l.guest.queues[i].end.hook_arg = arg;
		b->l.guest.queues[i].end.hook = hook;
	}
}

static uint32_t message_type(const struct vmb_dev_packet *p)
{
	uint32_t type;

	memcpy(&type, p->payload, sizeof(type));
	return type;
}

bool net_is_data_completion(const struct vmb_dev_packet *p)
{
	return p->type == VMB_PKT_COMPLETION &&
	       message_type(p) == VMB_NET_SEND_RNDIS_PACKET_COMPLETE;
}

bool net_is_data(const struct vmb_dev_packet *p)
{
	struct vmb_net_rndis_packet message;

	memcpy(&message, p->payload, sizeof(message));
	return message.type == VMB_NET_SEND_RNDIS_PACKET && message.channel_type == VMB_NET_DATA;
}

void net_frame_to_guest(uint8_t *bytes, uint32_t len, uint32_t flow)
{
	struct net_spec s = { .len = len, .flow = flow };

	net_frame_make(bytes, &s);
	memcpy(bytes, net_guest_mac, 6);
}

/* One frame to the guest in a packet of its own; nobody is stepped. */
int net_give_alone(struct net_bed *b, uint32_t flow)
{
	uint8_t bytes[60];
	int err;

	net_frame_to_guest(bytes, sizeof(bytes), flow);
	err = vmb_user_network_deliver(&b->l, bytes, sizeof(bytes), 0);
	vmb_user_network_flush(&b->l);
	return err;
}

bool net_try_send(struct net_bed *b)
{
	struct net_spec s = { .len = 100 };

	return !net_send(b, 0, &s, 0, NET_INLINE);
}
