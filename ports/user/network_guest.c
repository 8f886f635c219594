// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A guest's network driver as a user-space program: the guest core's network protocol over shared
 * memory. Tests drive the card of devices/ with it.
 */
#include <stdlib.h>
#include <time.h>

#include "ports/user/network_guest.h"

#define READ_MAX     256u
#define PATIENCE_S   10 /* with threads */
#define SUBALLOC_MIN 512u /* what is assumed of hosts, to size the list of owed acknowledgements */

static const uint8_t default_key[NDIS_RSS_KEY_LEN] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static uint32_t power_of_two_below(uint32_t n)
{
	return n ? 1u << (31 - __builtin_clz(n)) : 0;
}

static void set_default(uint32_t *value, uint32_t fallback)
{
	if (!*value)
		*value = fallback;
}

int vmb_user_network_guest_init(struct vmb_user_network_guest *g, struct vmb_user_network_bus *bus,
				const struct vmb_user_network_guest_config *config)
{
	uint16_t i;

	g->bus = bus;
	g->config = *config;
	set_default(&g->config.mtu, 1500);
	set_default(&g->config.receive_len, 2u << 20);
	set_default(&g->config.send_len, 1u << 20);
	set_default(&g->config.ring_pages, 16);
	set_default(&g->config.slot_count, 64);
	set_default(&g->config.filter,
		    RNDIS_FILTER_DIRECTED | RNDIS_FILTER_MULTICAST | RNDIS_FILTER_BROADCAST);
	if (!g->config.queue_count)
		g->config.queue_count = 1;
	if (g->config.queue_count > VMB_USER_NETWORK_QUEUE_MAX ||
	    g->config.slot_count > VMB_USER_NETWORK_SLOT_MAX)
		return VMB_EINVAL;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
	for (i = 0; i < VMB_USER_NETWORK_QUEUE_MAX; i++) {
		pthread_mutex_init(&g->queues[i].lock, NULL);
		pthread_mutex_init(&g->queues[i].poll_lock, NULL);
		g->queues[i].guest = g;
		g->queues[i].index = i;
	}
	return 0;
}

void vmb_user_network_guest_destroy(struct vmb_user_network_guest *g)
{
	uint16_t i;

	for (i = 0; i < VMB_USER_NETWORK_QUEUE_MAX; i++) {
		vmb_user_network_end_destroy(&g->queues[i].end);
		pthread_mutex_destroy(&g->queues[i].lock);
		pthread_mutex_destroy(&g->queues[i].poll_lock);
	}
	pthread_cond_destroy(&g->changed);
	pthread_mutex_destroy(&g->lock);
}

static bool is_open(const struct vmb_user_network_queue *q)
{
	return __atomic_load_n(&q->open, __ATOMIC_ACQUIRE);
}

void vmb_user_network_guest_kick(struct vmb_user_network_queue *q)
{
	__atomic_store_n(&q->end.rung, 1, __ATOMIC_SEQ_CST);
	if (q->guest->bus->machine.config.threads)
		vmb_user_synic_kick(q->guest->bus->machine.synic.guest_fd);
}

/* Writing. q->lock is held. */

/* False: the wish stands, or (true) there is room now, or never. */
static bool has_room(struct vmb_user_network_queue *q, uint32_t header_len, uint32_t payload_len)
{
	vmb_user_network_end_publish(&q->end);
	return vmb_ring_wait_room(&q->end.tx, vmb_ring_packet_len(header_len, payload_len)) !=
	       VMB_EAGAIN;
}

/* Returns 0, or VMB_EAGAIN: the host will signal. A broken ring loses the packet. */
static int write_or_wait(struct vmb_user_network_queue *q, const struct vmb_ring_packet *packet)
{
	uint32_t header_len = packet->header_count ? packet->header->len : 0;
	int err;

	do
		err = vmb_user_network_end_write(&q->end, packet);
	while (err == VMB_EAGAIN && has_room(q, header_len, packet->payload->len));
	return err == VMB_EAGAIN ? VMB_EAGAIN : 0;
}

static bool write_acks(struct vmb_user_network_queue *q)
{
	static const struct vmb_ring_part payload = { &vmb_guest_network_ack_message,
						      sizeof(vmb_guest_network_ack_message) };
	struct vmb_ring_packet packet = { .type = VMB_PKT_COMPLETION,
					  .payload = &payload,
					  .payload_count = 1 };

	while (!q->mute && vmb_guest_network_owed(&q->core, &packet.transaction_id)) {
		if (write_or_wait(q, &packet))
			return false;
		vmb_guest_network_owed_done(&q->core, 1);
		q->ack_count++;
	}
	return true;
}

static bool write_packet(struct vmb_user_network_queue *q)
{
	struct vmb_ring_part header = { &q->packet_header, q->packet_header_len };
	struct vmb_ring_part payload = { &q->packet.payload, q->packet.payload_len };
	struct vmb_ring_packet packet = { .type = header.len ? VMB_PKT_GPA_DIRECT : VMB_PKT_INBAND,
					  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
					  .transaction_id = q->packet.transaction_id,
					  .header = &header,
					  .header_count = header.len != 0,
					  .payload = &payload,
					  .payload_count = 1 };

	q->has_packet = q->has_packet && write_or_wait(q, &packet);
	return !q->has_packet;
}

/* g->lock is held too. */
static bool write_dialogue(struct vmb_user_network_queue *q)
{
	struct vmb_guest_network *n = &q->guest->network;
	const struct vmb_guest_network_output *out;

	while ((out = vmb_guest_network_output(n))) {
		struct vmb_ring_part header = { &out->gpa, sizeof(out->gpa) };
		struct vmb_ring_part payload = { out->payload, out->payload_len };
		struct vmb_ring_packet packet = { .type = out->type,
						  .flags = out->flags,
						  .transaction_id = out->transaction_id,
						  .header = &header,
						  .header_count = out->type == VMB_PKT_GPA_DIRECT,
						  .payload = &payload,
						  .payload_count = 1 };

		if (write_or_wait(q, &packet))
			return false;
		vmb_guest_network_output_done(n);
	}
	return true;
}

static void write_waiting(struct vmb_user_network_queue *q)
{
	q->waiting = !(write_acks(q) && write_packet(q) && (q->index || write_dialogue(q)));
	vmb_user_network_end_publish(&q->end);
}

/* Begins a dialogue's next message at once. g->lock is held. */
static void write_now(struct vmb_user_network_guest *g)
{
	struct vmb_user_network_queue *q = &g->queues[0];

	pthread_mutex_lock(&q->lock);
	if (is_open(q))
		write_waiting(q);
	pthread_mutex_unlock(&q->lock);
}

/* Sending. */

static void seal(struct vmb_user_network_queue *q, const struct vmb_user_network_range *ranges,
		 uint32_t count)
{
	uint32_t i;

	if (!vmb_guest_network_seal(&q->core, &q->packet))
		return;
	q->packet_header_len = 0;
	if (count)
		q->packet_header_len = (uint32_t)(sizeof(q->packet_header.direct) +
						  count * sizeof(q->packet_header.pages[0]));
	q->packet_header.direct = (struct vmb_pkt_gpa_direct){ .range_count = count };
	for (i = 0; i < count; i++) {
		q->packet_header.pages[i].range =
			(struct vmb_gpa_range){ .byte_count = ranges[i].len,
						.byte_offset = ranges[i].offset };
		q->packet_header.pages[i].pfn = ranges[i].pfn;
	}
	q->core.slots[q->packet.slot].cookie = q->cookie;
	q->has_packet = true;
	q->waiting = !write_packet(q);
	q->sent_packets++;
}

static int put(struct vmb_user_network_queue *q, const struct vmb_user_network_frame *f, void **at)
{
	int err = vmb_guest_network_put(&q->core, &f->rndis, f->inline_len, at);

	if (err != VMB_EBUSY)
		return err;
	seal(q, NULL, 0);
	if (q->waiting)
		return VMB_EAGAIN;
	return vmb_guest_network_put(&q->core, &f->rndis, f->inline_len, at);
}

static int send_locked(struct vmb_user_network_queue *q, const struct vmb_user_network_frame *f,
		       bool more)
{
	void *at;
	int err;

	if (!is_open(q) || !q->slots)
		return VMB_ENODEV;
	if (q->waiting)
		return VMB_EAGAIN;
	err = put(q, f, &at);
	if (err)
		return err;
	if (f->inline_len)
		memcpy(at, f->bytes, f->inline_len);
	q->cookie = f->cookie;
	q->copied_len += f->inline_len;
	q->sent_frames++;
	if (!more || f->range_count) {
		seal(q, f->ranges, f->range_count);
		if (!more)
			vmb_user_network_end_publish(&q->end);
	}
	return 0;
}

int vmb_user_network_guest_send(struct vmb_user_network_queue *q,
				const struct vmb_user_network_frame *frame, bool more)
{
	int err;

	if (frame->range_count > VMB_NET_PAGE_COUNT_MAX)
		return VMB_EOVERFLOW;
	pthread_mutex_lock(&q->lock);
	err = send_locked(q, frame, more);
	pthread_mutex_unlock(&q->lock);
	return err;
}

void vmb_user_network_guest_push(struct vmb_user_network_queue *q)
{
	pthread_mutex_lock(&q->lock);
	if (is_open(q) && q->slots) {
		if (!q->waiting)
			seal(q, NULL, 0);
		vmb_user_network_end_publish(&q->end);
	}
	pthread_mutex_unlock(&q->lock);
}

struct vmb_user_network_queue *vmb_user_network_guest_queue(struct vmb_user_network_guest *g,
							    uint32_t hash)
{
	uint16_t i = g->network.agreed.send_table[hash % VMB_NET_TABLE_COUNT];

	return &g->queues[i < g->queue_count ? i : 0];
}

int vmb_user_network_guest_inject(struct vmb_user_network_queue *q,
				  const struct vmb_dev_packet *packet)
{
	int err = VMB_ENODEV;

	pthread_mutex_lock(&q->lock);
	if (is_open(q))
		err = vmb_user_network_end_inject(&q->end, packet);
	pthread_mutex_unlock(&q->lock);
	return err;
}

/* The poll. */

/* g->lock is held: only the primary's packets and requests come here. */
static void handle_event(struct vmb_user_network_queue *q,
			 const struct vmb_guest_network_event *event)
{
	struct vmb_user_network_guest *g = q->guest;

	if (event->type == VMB_GUEST_NETWORK_NOTHING)
		return;
	if (event->type == VMB_GUEST_NETWORK_SENT) {
		if (g->config.sent)
			g->config.sent(q, event);
		return;
	}
	g->ready |= event->type == VMB_GUEST_NETWORK_IS_READY;
	g->failed |= event->type == VMB_GUEST_NETWORK_HAS_FAILED;
	g->answered |= event->type == VMB_GUEST_NETWORK_ANSWERED;
	if (g->config.event)
		g->config.event(g, event);
	pthread_cond_broadcast(&g->changed);
}

static void take_frames(struct vmb_user_network_queue *q)
{
	struct vmb_user_network_guest *g = q->guest;
	struct vmb_guest_network_frame frame;

	while (vmb_guest_network_receive_next(&g->network, &q->core, &q->receive, &frame)) {
		q->received_frames++;
		q->received_len += frame.rndis.len;
		if (g->config.received)
			g->config.received(q, &frame);
	}
}

static void take_transfer(struct vmb_user_network_queue *q,
			  const struct vmb_ring_received *received, uint32_t payload_at)
{
	struct vmb_guest_network_receive *r = &q->receive;
	uint32_t header_len = received->header_len, payload_len = received->payload_len;
	struct vmb_guest_network_event event;
	int what;

	if (header_len > sizeof(r->header))
		header_len = sizeof(r->header);
	if (payload_len > sizeof(r->message))
		payload_len = sizeof(r->message);
	vmb_ring_copy(&q->end.rx, received, sizeof(struct vmb_pkt_desc), &r->header, header_len);
	vmb_ring_copy(&q->end.rx, received, payload_at, r->message, payload_len);
	what = vmb_guest_network_receive(&q->guest->network, &q->core, r, received->header_len,
					 received->payload_len);
	if (what == VMB_GUEST_NETWORK_FRAMES)
		take_frames(q);
	else if (what == VMB_GUEST_NETWORK_CONTROL &&
		 !vmb_guest_network_control(&q->guest->network, r, &event))
		handle_event(q, &event);
	else
		q->refused++;
	if (vmb_guest_network_owe(&q->core, received->transaction_id))
		q->refused++;
}

static void take_packet(struct vmb_user_network_queue *q, const struct vmb_ring_received *received)
{
	uint32_t payload_at = (uint32_t)sizeof(struct vmb_pkt_desc) + received->header_len;
	uint8_t payload[VMB_NET_MESSAGE_LEN_MAX];
	struct vmb_guest_network_event event;
	uint32_t len = received->payload_len;

	if (received->type == VMB_PKT_TRANSFER_PAGES) {
		take_transfer(q, received, payload_at);
		return;
	}
	if (len > sizeof(payload))
		len = sizeof(payload);
	vmb_ring_copy(&q->end.rx, received, payload_at, payload, len);
	if (vmb_guest_network_input(&q->guest->network, &q->core, received->type,
				    received->transaction_id, payload, len, &event))
		q->refused++;
	else
		handle_event(q, &event);
}

static bool read_packets(struct vmb_user_network_queue *q)
{
	struct vmb_ring_received received;
	uint32_t i;

	for (i = 0; i < READ_MAX && !vmb_ring_read(&q->end.rx, &received); i++) {
		take_packet(q, &received);
		vmb_ring_next(&q->end.rx, &received);
	}
	return i == READ_MAX;
}

static int give_sections(struct vmb_user_network_queue *q, uint32_t slot_count);

/*
 * Queue 0 gets its sections when the handshake is over and nothing of it is owed any more: the
 * core's queue begins anew with them.
 */
static void make_usable(struct vmb_user_network_queue *q)
{
	struct vmb_user_network_guest *g = q->guest;
	uint64_t id;

	if (q->index || !g->ready || g->usable || vmb_guest_network_owed(&q->core, &id))
		return;
	g->failed |= give_sections(q, g->config.slot_count) != 0;
	g->usable = true;
	pthread_cond_broadcast(&g->changed);
}

static void poll_queue(struct vmb_user_network_queue *q)
{
	vmb_ring_mask(&q->end.rx);
	q->again = read_packets(q);
	if (vmb_ring_release(&q->end.rx))
		vmb_user_network_end_signal(&q->end);
	pthread_mutex_lock(&q->lock);
	write_waiting(q);
	make_usable(q);
	pthread_mutex_unlock(&q->lock);
	if (q->guest->config.looked && q->guest->usable)
		q->guest->config.looked(q);
	if (!q->again)
		q->again = vmb_ring_unmask(&q->end.rx);
}

static bool step_queue(struct vmb_user_network_queue *q)
{
	bool any;

	if (!is_open(q))
		return false;
	pthread_mutex_lock(&q->poll_lock);
	any = is_open(q) && (vmb_user_network_end_rung(&q->end) || q->again);
	if (any)
		poll_queue(q);
	pthread_mutex_unlock(&q->poll_lock);
	return any;
}

bool vmb_user_network_guest_step(struct vmb_user_network_guest *g)
{
	bool any;
	uint16_t i;

	pthread_mutex_lock(&g->lock);
	any = step_queue(&g->queues[0]);
	pthread_mutex_unlock(&g->lock);
	for (i = 1; i < VMB_USER_NETWORK_QUEUE_MAX; i++)
		any |= step_queue(&g->queues[i]);
	return any;
}

/* The functions that wait. */

/*
 * Waits a moment, because not every change is announced (the last completion is not). Returns the
 * time.
 */
static time_t wait_a_little(struct vmb_user_network_guest *g)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&g->changed, &g->lock, &t);
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* g->lock is held, and given up while this waits. */
static int wait_for(struct vmb_user_network_guest *g,
		    bool (*done)(const struct vmb_user_network_guest *g))
{
	struct timespec now;
	bool moved = true;
	time_t until;

	clock_gettime(CLOCK_MONOTONIC, &now);
	until = now.tv_sec + PATIENCE_S;
	while (!done(g) && moved) {
		if (!g->config.step) {
			moved = wait_a_little(g) < until;
			continue;
		}
		pthread_mutex_unlock(&g->lock);
		moved = g->config.step(g->config.step_arg);
		pthread_mutex_lock(&g->lock);
	}
	return done(g) ? 0 : VMB_EAGAIN;
}

static bool has_answer(const struct vmb_user_network_guest *g)
{
	return g->answered;
}

int vmb_user_network_guest_finish(struct vmb_user_network_guest *g, int begun)
{
	int err;

	if (begun)
		return begun;
	g->answered = false;
	write_now(g);
	err = wait_for(g, has_answer);
	if (!err && g->network.answer.status != RNDIS_STATUS_SUCCESS)
		err = VMB_EIO;
	return err;
}

int vmb_user_network_guest_query(struct vmb_user_network_guest *g, uint32_t oid, const void *data,
				 uint32_t len)
{
	int err;

	pthread_mutex_lock(&g->lock);
	err = vmb_user_network_guest_finish(g,
					    vmb_guest_network_query(&g->network, oid, data, len));
	pthread_mutex_unlock(&g->lock);
	return err;
}

int vmb_user_network_guest_set(struct vmb_user_network_guest *g, uint32_t oid, const void *data,
			       uint32_t len)
{
	int err;

	pthread_mutex_lock(&g->lock);
	err = vmb_user_network_guest_finish(g, vmb_guest_network_set(&g->network, oid, data, len));
	pthread_mutex_unlock(&g->lock);
	return err;
}

static uint32_t owed_max(const struct vmb_user_network_guest *g)
{
	return 2 * power_of_two_below(g->config.receive_len / SUBALLOC_MIN);
}

/* slot_count 0: for the handshake. */
static int give_sections(struct vmb_user_network_queue *q, uint32_t slot_count)
{
	struct vmb_user_network_guest *g = q->guest;
	uint32_t share =
		power_of_two_below(g->network.agreed.section_count / g->config.queue_count);

	if (slot_count > share)
		slot_count = share;
	q->slots = slot_count ? calloc(slot_count, sizeof(*q->slots)) : NULL;
	q->free_slots = slot_count ? calloc(slot_count, sizeof(*q->free_slots)) : NULL;
	if (!q->owed)
		q->owed = calloc(owed_max(g), sizeof(*q->owed));
	if (!q->owed || (slot_count && (!q->slots || !q->free_slots)))
		return VMB_ENOMEM;
	return vmb_guest_network_queue_init(&g->network, &q->core, q->index, q->slots,
					    q->free_slots, slot_count, q->index * share, q->owed,
					    owed_max(g));
}

static uint32_t ring_len(const struct vmb_user_network_guest *g)
{
	return g->config.ring_pages * VMB_PAGE_LEN;
}

/*
 * Everything stands ready before the host hears of it, because its first packet may be there when
 * it answers (docs/known-bugs.md, "28 Early packets and NAPI").
 */
static int open_queue(struct vmb_user_network_queue *q)
{
	struct vmb_user_network_guest *g = q->guest;
	int err;

	q->rings = vmb_user_network_bus_alloc(g->bus, 2 * ring_len(g));
	if (!q->rings)
		return VMB_ENOMEM;
	err = vmb_user_network_bus_await(g->bus, q->index);
	if (!err)
		err = vmb_user_network_end_init(&q->end, g->bus, q->index, q->rings, ring_len(g));
	if (err)
		return err;
	q->again = q->waiting = q->has_packet = q->mute = false;
	__atomic_store_n(&q->open, true, __ATOMIC_RELEASE);
	return vmb_user_network_bus_open(g->bus, q->index, q->rings, ring_len(g));
}

static int share_buffers(struct vmb_user_network_guest *g, struct vmb_guest_network_config *c)
{
	c->receive_len = g->config.receive_len;
	c->receive_buffer = vmb_user_network_bus_alloc(g->bus, c->receive_len);
	c->send_len = g->config.send_len;
	c->send_buffer = vmb_user_network_bus_alloc(g->bus, c->send_len);
	if (!c->receive_buffer || !c->send_buffer ||
	    !vmb_user_memory_alloc(&g->bus->machine.memory, &c->control_pfn, 1))
		return VMB_ENOMEM;
	c->control_page = vmb_user_memory_page(&g->bus->machine.memory, c->control_pfn);
	c->receive_gpadl_id = vmb_user_network_bus_share(g->bus, c->receive_buffer);
	c->send_gpadl_id = vmb_user_network_bus_share(g->bus, c->send_buffer);
	return c->receive_gpadl_id && c->send_gpadl_id ? 0 : VMB_ENOMEM;
}

static int init_core(struct vmb_user_network_guest *g)
{
	struct vmb_guest_network_config c = { .version_max = g->config.version_max,
					      .version_min = g->config.version_min,
					      .mtu = g->config.mtu,
					      .queue_count = g->config.queue_count,
					      .rsc = g->config.rsc };
	int err = vmb_user_network_bus_connect(g->bus);

	if (!err)
		err = share_buffers(g, &c);
	memset(&g->network, 0, sizeof(g->network));
	if (!err)
		err = vmb_guest_network_init(&g->network, &c);
	g->network.config = c; /* also when that failed: what is to be given back */
	return err;
}

static bool handshake_ended(const struct vmb_user_network_guest *g)
{
	return g->usable || g->failed;
}

static int shake_hands(struct vmb_user_network_guest *g)
{
	int err = give_sections(&g->queues[0], 0);

	if (!err)
		err = open_queue(&g->queues[0]);
	if (!err)
		err = vmb_guest_network_start(&g->network);
	if (err)
		return err;
	g->queue_count = 1;
	write_now(g);
	err = wait_for(g, handshake_ended);
	return !err && g->failed ? VMB_EIO : err;
}

static int open_sub_channels(struct vmb_user_network_guest *g)
{
	struct vmb_user_network_queue *q;
	int err = 0;

	while (!err && g->queue_count <= g->network.agreed.sub_channel_count) {
		q = &g->queues[g->queue_count];
		err = give_sections(q, g->config.slot_count);
		if (!err)
			err = open_queue(q);
		g->queue_count++;
	}
	return err;
}

static int set_rss(struct vmb_user_network_guest *g)
{
	uint16_t table[NDIS_RSS_TABLE_COUNT_MAX];
	uint32_t count = g->network.agreed.rss_table_count, i;

	if (g->queue_count == 1 || !count)
		return 0;
	if (count > NDIS_RSS_TABLE_COUNT_MAX)
		count = NDIS_RSS_TABLE_COUNT_MAX;
	for (i = 0; i < count; i++)
		table[i] = (uint16_t)(i % g->queue_count);
	return vmb_user_network_guest_finish(
		g, vmb_guest_network_set_rss(&g->network, table, count, default_key,
					     NDIS_RSS_HASH_IPV4 | NDIS_RSS_HASH_TCP_IPV4 |
						     NDIS_RSS_HASH_IPV6 | NDIS_RSS_HASH_TCP_IPV6));
}

int vmb_user_network_guest_open(struct vmb_user_network_guest *g)
{
	int err;

	pthread_mutex_lock(&g->lock);
	g->ready = g->usable = g->failed = false;
	err = init_core(g);
	if (!err)
		err = shake_hands(g);
	if (!err)
		err = open_sub_channels(g);
	if (!err)
		err = set_rss(g);
	if (!err)
		err = vmb_user_network_guest_finish(
			g, vmb_guest_network_set_filter(&g->network, g->config.filter));
	pthread_mutex_unlock(&g->lock);
	return err;
}

static void fail_slots(struct vmb_user_network_queue *q)
{
	struct vmb_guest_network_event event;

	while (q->slots && vmb_guest_network_fail_next(&q->core, &event))
		if (q->guest->config.sent)
			q->guest->config.sent(q, &event);
	free(q->slots);
	free(q->free_slots);
	free(q->owed);
	q->slots = NULL;
	q->free_slots = NULL;
	q->owed = NULL;
}

/*
 * The poll ends first: with the channel closed the host gives this queue's suballocations to
 * others, and writes over a frame that is still being read. Then the host lets go, then the memory
 * goes.
 */
static void close_queue(struct vmb_user_network_queue *q)
{
	struct vmb_user_network_guest *g = q->guest;

	pthread_mutex_lock(&q->poll_lock);
	pthread_mutex_lock(&q->lock);
	__atomic_store_n(&q->open, false, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&q->lock);
	pthread_mutex_unlock(&q->poll_lock);
	if (q->rings)
		vmb_user_network_bus_close(g->bus, q->index);
	fail_slots(q);
	vmb_user_network_bus_free(g->bus, q->rings);
	q->rings = NULL;
}

static void give_back(struct vmb_user_network_guest *g)
{
	struct vmb_guest_network_config *c = &g->network.config;

	vmb_user_network_bus_unshare(g->bus, c->receive_gpadl_id);
	vmb_user_network_bus_unshare(g->bus, c->send_gpadl_id);
	vmb_user_network_bus_free(g->bus, (uint8_t *)c->receive_buffer);
	vmb_user_network_bus_free(g->bus, c->send_buffer);
	if (c->control_page)
		vmb_user_memory_free(&g->bus->machine.memory, &c->control_pfn, 1);
	memset(c, 0, sizeof(*c));
}

void vmb_user_network_guest_abandon(struct vmb_user_network_guest *g)
{
	uint32_t i;

	pthread_mutex_lock(&g->lock);
	g->usable = false;
	for (i = VMB_USER_NETWORK_QUEUE_MAX; i-- > 0;)
		close_queue(&g->queues[i]);
	g->queue_count = 0;
	give_back(g);
	pthread_mutex_unlock(&g->lock);
}

static bool all_idle(const struct vmb_user_network_guest *g)
{
	struct vmb_user_network_guest *guest = (struct vmb_user_network_guest *)g;
	uint32_t i;

	for (i = 0; i < g->queue_count; i++)
		if (g->queues[i].slots && !vmb_guest_network_idle(&guest->queues[i].core))
			return false;
	return true;
}

/* What the host is told before the channels close. */
static int take_leave(struct vmb_user_network_guest *g)
{
	int err = vmb_user_network_guest_finish(g, vmb_guest_network_set_filter(&g->network, 0));

	if (!err)
		err = vmb_user_network_guest_finish(g, vmb_guest_network_halt(&g->network));
	if (!err)
		err = wait_for(g, all_idle);
	if (!vmb_guest_network_revoke(&g->network))
		write_now(g);
	return err;
}

int vmb_user_network_guest_close(struct vmb_user_network_guest *g)
{
	int err = 0;

	pthread_mutex_lock(&g->lock);
	if (g->usable && !g->failed)
		err = take_leave(g);
	pthread_mutex_unlock(&g->lock);
	vmb_user_network_guest_abandon(g);
	return err;
}
