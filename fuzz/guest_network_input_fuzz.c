// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A guest's network card against a host that says what it likes, while the guest sends. Each packet
 * ends at most once, frames lie in the receive buffer, nothing is written outside of the queue's
 * sections, and what the handshake has settled can be used.
 */
#include "fuzz/fuzz.h"
#include "guest/network.h"

#define SLOT_COUNT 4u
#define OWED_COUNT 16u
#define ID_COUNT   16u
#define RX_LEN	   8192u
#define TX_LEN	   16384u

struct bed {
	struct vmb_guest_network n;
	struct vmb_guest_network_queue q;
	struct vmb_guest_network_slot slots[SLOT_COUNT];
	uint32_t free_slots[SLOT_COUNT];
	uint64_t owed[OWED_COUNT];
	struct vmb_guest_network_receive r;
	uint8_t *rx, *tx, *page;
	bool in_flight[SLOT_COUNT];
	uint64_t sent_ids[SLOT_COUNT];
	uint32_t frame_counts[SLOT_COUNT], byte_counts[SLOT_COUNT];
	uint32_t filling_frames, filling_bytes, filling_ranges;
	uint32_t owed_count;
	uint64_t ids[ID_COUNT]; /* that the guest sent, newest last */
	uint32_t id_count;
	bool slots_there;
};

/* ---- what must hold ---- */

static void check_settled(const struct vmb_guest_network *n)
{
	uint32_t i;

	FUZZ_CHECK(n->agreed.mtu >= 68 && n->agreed.mtu <= n->agreed.mtu_max &&
		   n->agreed.mtu <= n->config.mtu);
	FUZZ_CHECK((uint64_t)n->agreed.suballoc_len * n->agreed.suballoc_count <= RX_LEN &&
		   n->agreed.suballoc_count);
	FUZZ_CHECK((uint64_t)n->agreed.section_len * n->agreed.section_count <= TX_LEN &&
		   n->agreed.section_count);
	FUZZ_CHECK(n->agreed.section_room && n->agreed.section_room <= n->agreed.section_len);
	FUZZ_CHECK(n->agreed.alignment >= 4 && !(n->agreed.alignment & (n->agreed.alignment - 1)));
	FUZZ_CHECK(!(n->agreed.section_room % n->agreed.alignment) && n->agreed.frame_count_max);
	FUZZ_CHECK(!(n->agreed.mac[0] & 1));
	FUZZ_CHECK(!(n->agreed.offload & ~n->agreed.offload_caps));
	FUZZ_CHECK(n->agreed.sub_channel_count < n->config.queue_count);
	FUZZ_CHECK(n->agreed.rss_table_count <= 128 && n->agreed.rss_queue_count <= 64);
	for (i = 0; i < VMB_NET_TABLE_COUNT; i++)
		FUZZ_CHECK(n->agreed.send_table[i] <= n->agreed.sub_channel_count);
}

static void end(struct bed *b, const struct vmb_guest_network_event *event)
{
	FUZZ_CHECK(event->slot < SLOT_COUNT && b->in_flight[event->slot]);
	FUZZ_CHECK(event->cookie == &b->in_flight[event->slot]);
	FUZZ_CHECK(event->frame_count == b->frame_counts[event->slot]);
	FUZZ_CHECK(event->byte_count == b->byte_counts[event->slot]);
	b->in_flight[event->slot] = false;
}

static void check_event(struct bed *b, int err, const struct vmb_guest_network_event *event)
{
	FUZZ_CHECK(!err || err == VMB_EPROTO);
	if (err)
		return;
	FUZZ_CHECK(event->type <= VMB_GUEST_NETWORK_VF_CHANGED);
	if (event->type == VMB_GUEST_NETWORK_SENT)
		end(b, event);
	FUZZ_CHECK(b->n.answer.data_len <= VMB_GUEST_NETWORK_ANSWER_LEN_MAX);
	if (b->n.state == VMB_GUEST_NETWORK_READY)
		check_settled(&b->n);
	if (event->type >= VMB_GUEST_NETWORK_LINK_CHANGED)
		FUZZ_CHECK(b->n.state == VMB_GUEST_NETWORK_READY);
	if (event->type == VMB_GUEST_NETWORK_HAS_FAILED)
		FUZZ_CHECK(b->n.failure != VMB_GUEST_NETWORK_NO_FAILURE);
}

/* When the card is ready its queue gets the sections that there are. */
static void give_slots(struct bed *b)
{
	uint32_t count = SLOT_COUNT;

	if (b->slots_there || b->n.state != VMB_GUEST_NETWORK_READY)
		return;
	while (count > b->n.agreed.section_count)
		count /= 2;
	FUZZ_CHECK(!vmb_guest_network_queue_init(&b->n, &b->q, 0, b->slots, b->free_slots, count,
						 b->n.agreed.section_count - count, b->owed,
						 OWED_COUNT));
	b->slots_there = true;
	b->owed_count = 0;
}

/* ---- the host ---- */

static void remember(struct bed *b, uint64_t id)
{
	b->ids[b->id_count++ % ID_COUNT] = id;
}

static void deliver(struct bed *b, uint16_t type, uint64_t id, const void *payload, uint32_t len)
{
	struct vmb_guest_network_event event;
	int err = vmb_guest_network_input(&b->n, &b->q, type, id, payload, len, &event);

	check_event(b, err, &event);
	if (!err && event.type == VMB_GUEST_NETWORK_SENT)
		FUZZ_CHECK(type == VMB_PKT_COMPLETION && id == b->sent_ids[event.slot]);
	give_slots(b);
}

static void op_completion(struct bed *b, struct fuzz *f)
{
	static const uint8_t types[] = { 2, 102, 105, 108, 133, 108, 108, 129 };
	uint8_t how = fuzz_u8(f);
	uint64_t id = how & 0x80 ? fuzz_u64(f) : b->ids[fuzz_u8(f) % ID_COUNT];
	uint32_t len = how & 0x40 ? fuzz_u8(f) : VMB_NET_MESSAGE_LEN_6_1;
	uint8_t *payload = fuzz_exact(f, len);

	if (len >= 4 && how & 0x20) {
		memset(payload, 0, 4);
		payload[0] = types[how & 7];
	}
	if (len >= 8 && how & 0x10) {
		memset(payload + 4, 0, 4);
		payload[4] = 1;
	}
	deliver(b, VMB_PKT_COMPLETION, id, payload, len);
	free(payload);
}

static void op_inband(struct bed *b, struct fuzz *f)
{
	uint8_t how = fuzz_u8(f);
	uint32_t len = how & 0x40 ? fuzz_u8(f) : 76 + (how & 0x20);
	uint8_t *payload = fuzz_exact(f, len);

	if (len >= 12 && how & 3) {
		memset(payload, 0, 12);
		payload[0] = how & 1 ? 128 : 134;
		payload[4] = how & 1 ? how & 4 : 16;
		payload[8] = how & 8 ? fuzz_u8(f) : 12;
	}
	deliver(b, how & 0x80 ? fuzz_u16(f) : VMB_PKT_INBAND, fuzz_u8(f), payload, len);
	free(payload);
}

/* Writes an RNDIS message that is nearly right to the receive buffer; answers its length. */
static uint32_t write_message(struct bed *b, struct fuzz *f, uint32_t at)
{
	uint32_t room = RX_LEN - at;
	uint32_t len = 44 + fuzz_u8(f) % 128;
	uint32_t fields[12] = { 1, len, 36, len - 44 };
	uint8_t how = fuzz_u8(f);

	if (len > room)
		len = room;
	fuzz_take(f, b->rx + at, len < 96 ? len : 96);
	if (how & 1 && room >= 92) {
		fields[2] = 52;
		fields[3] = len > 60 ? len - 60 : 1;
		fields[7] = 36;
		fields[8] = 16;
		memcpy(b->rx + at, fields, 44);
		fields[0] = 16;
		fields[1] = 0x80000001;
		fields[2] = 12;
		fields[3] = 1 | (how >> 1 & 7) << 8;
		memcpy(b->rx + at + 44, fields, 16);
	} else if (how & 0x40 && room >= 44) {
		memcpy(b->rx + at, fields, 44);
	}
	if (how & 0x80 && room >= 44)
		b->rx[at + fuzz_u8(f) % 44] ^= fuzz_u8(f);
	return how & 0x20 ? 44 + len % 128 : len;
}

static void fill_header(struct bed *b, struct fuzz *f, uint8_t how)
{
	struct vmb_net_rndis_packet message = { .type = VMB_NET_SEND_RNDIS_PACKET,
						.channel_type = how & 1 };
	uint32_t i, at, len;

	b->r.header.pages.set_id = VMB_NET_RECEIVE_BUFFER_ID;
	b->r.header.pages.range_count = how & 1 ? 1 : 1 + fuzz_u8(f) % 8;
	memcpy(b->r.message, &message, sizeof(message));
	for (i = 0; i < b->r.header.pages.range_count; i++) {
		at = fuzz_u8(f) * 32u;
		len = write_message(b, f, at);
		b->r.header.ranges[i].byte_offset = at;
		b->r.header.ranges[i].byte_count = len;
		if (how & 0x40 && fuzz_u8(f) & 1)
			fuzz_take(f, &b->r.header.ranges[i], sizeof(b->r.header.ranges[i]));
	}
	if (how & 0x80)
		fuzz_take(f, &b->r.header.pages, sizeof(b->r.header.pages));
	if (how & 0x20)
		fuzz_take(f, b->r.message, 8);
}

/* The header of a packet with one control message; its range is the caller's. */
static void say_control(struct bed *b)
{
	struct fuzz nothing = { (const uint8_t *)"", 0 };

	fill_header(b, &nothing, 1);
}

static void take_frames(struct bed *b, struct fuzz *f)
{
	struct vmb_guest_network_frame frame;
	uint32_t i, total;

	while (vmb_guest_network_receive_next(&b->n, &b->q, &b->r, &frame)) {
		FUZZ_CHECK(frame.piece_count && frame.piece_count <= VMB_NET_RANGE_COUNT_MAX_RSC);
		for (i = 0, total = 0; i < frame.piece_count; i++) {
			FUZZ_CHECK(frame.pieces[i].len && frame.pieces[i].len <= RX_LEN);
			FUZZ_CHECK(frame.pieces[i].offset <= RX_LEN - frame.pieces[i].len);
			total += frame.pieces[i].len;
		}
		FUZZ_CHECK(total == frame.rndis.len && total >= VMB_NET_ETHERNET_LEN);
		FUZZ_CHECK(frame.piece_count == 1 || (b->n.config.rsc && total <= 0xFFFF + 18));
		b->rx[fuzz_u16(f) % RX_LEN] ^= fuzz_u8(f); /* the host writes meanwhile */
	}
}

static void acknowledge(struct bed *b, struct fuzz *f, uint64_t id)
{
	uint64_t due;

	FUZZ_CHECK(vmb_guest_network_owe(&b->q, id) ==
		   (b->owed_count == OWED_COUNT ? VMB_EPROTO : 0));
	if (b->owed_count < OWED_COUNT)
		b->owed_count++;
	while (fuzz_u8(f) & 1) {
		FUZZ_CHECK(vmb_guest_network_owed(&b->q, &due) == !!b->owed_count);
		vmb_guest_network_owed_done(&b->q, 1);
		if (b->owed_count)
			b->owed_count--;
	}
}

static void op_transfer(struct bed *b, struct fuzz *f)
{
	struct vmb_guest_network_event event;
	uint8_t how = fuzz_u8(f);
	uint32_t header_len;
	int kind;

	fill_header(b, f, how);
	header_len = how & 0x10 ? fuzz_u16(f) : 8 + 8 * b->r.header.pages.range_count;
	if (header_len > sizeof(b->r.header))
		header_len = sizeof(b->r.header);
	kind = vmb_guest_network_receive(&b->n, &b->q, &b->r, header_len,
					 how & 8 ? fuzz_u8(f) : 40);
	if (kind == VMB_GUEST_NETWORK_CONTROL) {
		check_event(b, vmb_guest_network_control(&b->n, &b->r, &event), &event);
		give_slots(b);
	} else {
		FUZZ_CHECK(!kind || kind == VMB_EPROTO);
		take_frames(b, f);
	}
	acknowledge(b, f, how);
}

/* A control message: a reply to the request that is out, or an indication. */
static void op_control(struct bed *b, struct fuzz *f)
{
	static const uint32_t codes[] = { 0x4001000B, 0x4001000C, 0x40010013, 0x40010018,
					  0x40020006 };
	uint8_t how = fuzz_u8(f);
	uint32_t at = fuzz_u8(f) * 16u, data_len = how & 0x20 ? 156 : how & 7;
	uint32_t fields[7] = { 7, 20 + data_len, codes[how % 5], data_len, 12 };
	struct vmb_guest_network_event event;

	if (how & 0x40) {
		memcpy(fields, b->page, 12);
		fields[0] |= RNDIS_COMPLETION;
		fields[1] = fields[0] == 0x80000002 ? 52 : 24 + data_len;
		fields[3] = how & 0x10 ? 0 : fuzz_u32(f);
		fields[4] = data_len;
		fields[5] = 16;
	}
	say_control(b);
	fuzz_take(f, b->rx + at, 24 + data_len);
	memcpy(b->rx + at, fields, how & 0x40 ? 24 : 20);
	if (how & 0x80)
		b->rx[at + fuzz_u8(f) % 24] = fuzz_u8(f);
	b->r.header.ranges[0].byte_offset = at;
	b->r.header.ranges[0].byte_count = fields[1];
	if (vmb_guest_network_receive(&b->n, &b->q, &b->r, 16, 40) == VMB_GUEST_NETWORK_CONTROL)
		check_event(b, vmb_guest_network_control(&b->n, &b->r, &event), &event);
	give_slots(b);
}

/* ---- the guest ---- */

static void op_output(struct bed *b, struct fuzz *f)
{
	const struct vmb_guest_network_output *out = vmb_guest_network_output(&b->n);

	if (!out)
		return;
	FUZZ_CHECK(out->payload_len == b->n.agreed.message_len);
	FUZZ_CHECK(out->type == VMB_PKT_INBAND ||
		   (out->type == VMB_PKT_GPA_DIRECT && out->gpa.range.byte_count <= 4096));
	remember(b, out->transaction_id);
	if (fuzz_u8(f) & 0x7F)
		vmb_guest_network_output_done(&b->n);
}

static void count_put(struct bed *b, uint32_t len, bool ranges)
{
	b->filling_frames++;
	b->filling_bytes += len;
	b->filling_ranges = ranges;
}

static void op_put(struct bed *b, struct fuzz *f)
{
	struct vmb_guest_rndis_frame frame = { .present = fuzz_u8(f), .len = fuzz_u16(f) };
	uint32_t most = vmb_guest_network_inline_max(&b->n, &frame);
	uint32_t inline_len = fuzz_u8(f) & 1 ? most : fuzz_u16(f);
	bool beginning = !b->filling_frames;
	uint8_t *section;
	void *at = NULL;
	int err;

	err = vmb_guest_network_put(&b->q, &frame, inline_len, &at);
	if (inline_len > most)
		FUZZ_CHECK(err == VMB_EOVERFLOW);
	else
		FUZZ_CHECK(!err || err == (beginning ? VMB_EAGAIN : VMB_EBUSY));
	if (err)
		return;
	FUZZ_CHECK(!b->filling_ranges && b->q.filling < b->q.slot_count);
	section = b->tx + (b->q.first_section + b->q.filling) * b->n.agreed.section_len;
	FUZZ_CHECK((uint8_t *)at > section);
	FUZZ_CHECK((uint8_t *)at + inline_len <= section + b->n.agreed.section_len);
	memset(at, 0xAB, inline_len);
	b->slots[b->q.filling].cookie = &b->in_flight[b->q.filling];
	count_put(b, frame.len, inline_len < frame.len);
	FUZZ_CHECK(b->filling_frames <= b->n.agreed.frame_count_max);
}

static void op_seal(struct bed *b, struct fuzz *f)
{
	struct vmb_guest_network_packet packet;
	uint8_t how = fuzz_u8(f);

	FUZZ_CHECK(vmb_guest_network_seal(&b->q, &packet) == !!b->filling_frames);
	if (!b->filling_frames)
		return;
	FUZZ_CHECK(packet.slot < b->q.slot_count && !b->in_flight[packet.slot]);
	FUZZ_CHECK(packet.payload.rndis.section_len <= b->n.agreed.section_len);
	FUZZ_CHECK(packet.frame_count == b->filling_frames);
	FUZZ_CHECK(packet.byte_count == b->filling_bytes);
	b->frame_counts[packet.slot] = b->filling_frames;
	b->byte_counts[packet.slot] = b->filling_bytes;
	b->in_flight[packet.slot] = true;
	b->sent_ids[packet.slot] = packet.transaction_id;
	b->filling_frames = b->filling_bytes = b->filling_ranges = 0;
	remember(b, packet.transaction_id);
	if (how & 1) /* a host that guesses */
		op_completion(b, f);
	if (how & 2) {
		FUZZ_CHECK(vmb_guest_network_unseal(&b->q, packet.slot) ==
			   b->in_flight[packet.slot]);
		b->in_flight[packet.slot] = false;
	}
}

static void op_request(struct bed *b, struct fuzz *f)
{
	static const uint16_t table[2] = { 0, 1 };
	static const uint8_t key[NDIS_RSS_KEY_LEN];
	uint8_t how = fuzz_u8(f), mac[VMB_NET_MAC_LEN] = { 2 };

	switch (how % 10) {
	case 0: vmb_guest_network_query(&b->n, fuzz_u32(f), key, how / 10); break;
	case 1: vmb_guest_network_set_filter(&b->n, how); break;
	case 2: vmb_guest_network_set_rss(&b->n, table, 1 + how / 128, key, 0x1700); break;
	case 3: vmb_guest_network_set_offload(&b->n, fuzz_u16(f)); break;
	case 4: vmb_guest_network_set_mac(&b->n, mac); break;
	case 5: vmb_guest_network_keepalive(&b->n); break;
	case 6: vmb_guest_network_reset(&b->n); break;
	case 7: vmb_guest_network_switch_data_path(&b->n, how & 0x80); break;
	case 8:
		if (how & 0x80)
			vmb_guest_network_halt(&b->n);
		break;
	case 9:
		if (how > 0xF0)
			vmb_guest_network_revoke(&b->n);
		break;
	}
}

/* ---- a good host up to READY, so that what follows gets somewhere ---- */

/* From time to time one word is not what it should be. */
static void spoil(struct fuzz *f, uint32_t *words, uint32_t count)
{
	if (fuzz_u8(f) < 32)
		words[fuzz_u8(f) % count] = fuzz_u32(f);
}

static uint32_t good_reply(struct bed *b, struct fuzz *f)
{
	uint32_t *m = (uint32_t *)b->rx, oid;

	memset(b->rx, 0, 512);
	memcpy(&oid, b->page + 12, 4);
	memcpy(m, b->page, 12);
	m[0] |= RNDIS_COMPLETION;
	m[1] = m[0] == 0x80000005 ? 16 : 52;
	m[4] = oid == RNDIS_OID_PERMANENT_MAC ? 6 : oid == RNDIS_OID_RSS_CAPABILITIES ? 18 : 4;
	m[5] = 16;
	m[6] = oid == RNDIS_OID_FRAME_LEN_MAX ? 1500 : 2;
	if (m[0] == 0x80000002) {
		m[4] = 1;
		m[5] = m[6] = 0;
		m[8] = 1 + fuzz_u8(f) % 8;
		m[9] = 0xEFFFFFFF;
		m[10] = fuzz_u8(f) % 6;
	} else if (oid == RNDIS_OID_RSS_CAPABILITIES) {
		m[6] = 0x120288;
		m[7] = 0x301;
		m[9] = 8;
		m[10] = fuzz_u8(f);
	} else if (oid == (uint32_t)RNDIS_OID_OFFLOAD_CAPABILITIES) {
		m[1] = 24 + (m[4] = 156);
		fuzz_take(f, m + 6, 156);
		m[6] = 0x9C03A7;
	}
	spoil(f, m, 12);
	return m[1];
}

static void answer_well(struct bed *b, struct fuzz *f, uint32_t type, uint64_t id)
{
	uint32_t m[10] = { type + 1, 1 };
	struct vmb_guest_network_event event;

	if (type == VMB_NET_INIT)
		m[3] = 1;
	if (type == VMB_NET_SEND_RECEIVE_BUFFER) {
		m[2] = 1;
		m[4] = 500;
		m[5] = RX_LEN / 500;
	}
	if (type == VMB_NET_SEND_SEND_BUFFER)
		m[2] = 512 + 4 * fuzz_u8(f);
	if (type == VMB_NET_SUBCHANNEL) {
		m[0] = type;
		m[2] = 1;
	}
	spoil(f, m + 1, 8);
	deliver(b, VMB_PKT_COMPLETION, id, m, sizeof(m));
	if (type != VMB_NET_SEND_RNDIS_PACKET)
		return;
	say_control(b);
	b->r.header.ranges[0].byte_offset = 0;
	b->r.header.ranges[0].byte_count = good_reply(b, f);
	if (vmb_guest_network_receive(&b->n, &b->q, &b->r, 16, 40) == VMB_GUEST_NETWORK_CONTROL)
		check_event(b, vmb_guest_network_control(&b->n, &b->r, &event), &event);
	give_slots(b);
}

static void be_good(struct bed *b, struct fuzz *f)
{
	const struct vmb_guest_network_output *out;
	uint32_t type;
	uint64_t id;
	uint16_t flags;

	while ((out = vmb_guest_network_output(&b->n))) {
		id = out->transaction_id;
		flags = out->flags;
		memcpy(&type, out->payload, sizeof(type));
		vmb_guest_network_output_done(&b->n);
		if (flags)
			answer_well(b, f, type, id);
	}
}

static void fail_all(struct bed *b)
{
	struct vmb_guest_network_event event;
	uint32_t slot;

	if (b->filling_frames) { /* its cookie comes back too, with nothing sent */
		b->in_flight[b->q.filling] = true;
		b->frame_counts[b->q.filling] = b->byte_counts[b->q.filling] = 0;
	}
	while (vmb_guest_network_fail_next(&b->q, &event))
		end(b, &event);
	for (slot = 0; slot < SLOT_COUNT; slot++)
		FUZZ_CHECK(!b->in_flight[slot]);
	FUZZ_CHECK(vmb_guest_network_idle(&b->q));
}

static int bed_init(struct bed *b, uint8_t how)
{
	static const uint32_t versions[] = { 0, 0, 0x60000, 0x50000, 0x40000, 0x30002, 2, 0 };
	struct vmb_guest_network_config config = { .version_max = versions[how & 7],
						   .mtu = 1500,
						   .queue_count = 2,
						   .rsc = !(how & 8),
						   .receive_len = RX_LEN,
						   .send_len = TX_LEN };
	static uint8_t rx[RX_LEN], tx[TX_LEN], page[VMB_PAGE_LEN];

	memset(b, 0, sizeof(*b));
	memset(rx, 0, sizeof(rx));
	memset(page, 0, sizeof(page));
	config.receive_buffer = b->rx = rx;
	config.send_buffer = b->tx = tx;
	config.control_page = b->page = page;
	if (vmb_guest_network_init(&b->n, &config))
		return VMB_EINVAL;
	return vmb_guest_network_queue_init(&b->n, &b->q, 0, b->slots, b->free_slots, 0, 0, b->owed,
					    OWED_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static void (*const ops[])(struct bed *, struct fuzz *) = {
		op_completion, op_completion, op_inband, op_transfer, op_control, op_output,
		op_put,	       op_put,	      op_seal,	 op_request,  op_output,  op_transfer,
	};
	struct fuzz f = { bytes, len };
	static struct bed b;
	uint8_t how = fuzz_u8(&f);

	FUZZ_CHECK(!bed_init(&b, how));
	vmb_guest_network_start(&b.n);
	if (how & 0x70)
		be_good(&b, &f);
	while (f.len)
		ops[fuzz_u8(&f) % (sizeof(ops) / sizeof(*ops))](&b, &f);
	fail_all(&b);
	return 0;
}
