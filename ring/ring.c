// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The ring buffer. P1..P7 and B1..B4 are the producer's steps, C1..C6 the consumer's, as numbered
 * in docs/protocol/bus.md, "5.4 Producer", "5.5 Consumer". Each barrier says which race it
 * prevents; the model checker in tests/ takes them away one by one and requires that the race then
 * shows.
 */
#include "ring/ring.h"

#define DESC_LEN     ((uint32_t)sizeof(struct vmb_pkt_desc))
#define FOOTER_LEN   ((uint32_t)sizeof(struct vmb_pkt_footer))
#define LEN8_MAX     0xFFFFu
#define DATA_LEN_MIN (DESC_LEN + FOOTER_LEN + 16u)

static bool index_is_valid(uint32_t index, uint32_t data_len)
{
	return index < data_len && index % 8 == 0;
}

/* Bytes from index back to index from, going round the ring. */
static uint32_t distance(uint32_t from, uint32_t to, uint32_t data_len)
{
	return to >= from ? to - from : data_len - (from - to);
}

static uint32_t advance(uint32_t index, uint32_t len, uint32_t data_len)
{
	return len < data_len - index ? index + len : len - (data_len - index);
}

static bool data_len_is_valid(uint32_t data_len)
{
	return data_len >= DATA_LEN_MIN && data_len % 8 == 0;
}

/*
 * P1. The peer's read index, read once. Acquire: the stores of a packet (P3) go to space that this
 * load found free, so they must not be done before it.
 */
static bool load_read_index(struct vmb_ring_writer *w, uint32_t *read_index)
{
	*read_index = vmb_load_acquire_u32(&w->control->read_index);
	if (!index_is_valid(*read_index, w->data_len))
		w->broken = true;
	return !w->broken;
}

/*
 * C1. The peer's write index, read once. Acquire: pairs with P4, so that the bytes of the packets
 * that this index covers are read no earlier than the index itself; else a new index could come
 * with old bytes.
 */
static bool load_write_index(struct vmb_ring_reader *r)
{
	uint32_t write_index = vmb_load_acquire_u32(&r->control->write_index);

	if (!index_is_valid(write_index, r->data_len)) {
		r->broken = true;
		return false;
	}
	r->write_index = write_index;
	return true;
}

static void put_round_end(struct vmb_ring_writer *w, uint32_t index, const void *src, uint32_t len)
{
	uint32_t first = w->data_len - index;

	vmb_shared_write(w->data + index, src, first);
	vmb_shared_write(w->data, (const uint8_t *)src + first, len - first);
}

/*
 * Copies len bytes into the ring at index, around its end if necessary. Returns the index behind
 * them. Inline, so that copies of a fixed length are a few moves.
 */
static inline uint32_t put(struct vmb_ring_writer *w, uint32_t index, const void *src, uint32_t len)
{
	if (len <= w->data_len - index)
		vmb_shared_write(w->data + index, src, len);
	else
		put_round_end(w, index, src, len);
	return advance(index, len, w->data_len);
}

static void get_round_end(const struct vmb_ring_reader *r, uint32_t index, void *dst, uint32_t len)
{
	uint32_t first = r->data_len - index;

	vmb_shared_read(dst, r->data + index, first);
	vmb_shared_read((uint8_t *)dst + first, r->data, len - first);
}

static inline void get(const struct vmb_ring_reader *r, uint32_t index, void *dst, uint32_t len)
{
	if (len <= r->data_len - index)
		vmb_shared_read(dst, r->data + index, len);
	else
		get_round_end(r, index, dst, len);
}

static uint64_t parts_len(const struct vmb_ring_part *parts, uint32_t count)
{
	uint64_t len = 0;
	uint32_t i;

	for (i = 0; i < count; i++)
		len += parts[i].len;
	return len;
}

static uint32_t put_parts(struct vmb_ring_writer *w, uint32_t index,
			  const struct vmb_ring_part *parts, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (parts[i].len)
			index = put(w, index, parts[i].base, parts[i].len);
	return index;
}

static uint32_t packet_len(uint64_t header_len, uint64_t payload_len)
{
	uint64_t len = DESC_LEN + header_len + payload_len;

	if (header_len % 8 || len > LEN8_MAX * 8u)
		return 0;
	return (uint32_t)((len + 7) & ~(uint64_t)7) + FOOTER_LEN;
}

uint32_t vmb_ring_packet_len(uint32_t header_len, uint32_t payload_len)
{
	return packet_len(header_len, payload_len);
}

uint32_t vmb_ring_packet_len_max(uint32_t data_len)
{
	if (!data_len_is_valid(data_len))
		return 0;
	if (data_len - 16 > LEN8_MAX * 8u + FOOTER_LEN)
		return LEN8_MAX * 8u + FOOTER_LEN;
	return data_len - 16;
}

static void reset_control(struct vmb_ring_control *control)
{
	vmb_store_u32(&control->write_index, 0);
	vmb_store_u32(&control->read_index, 0);
	vmb_store_u32(&control->interrupt_mask, 0);
	vmb_store_u32(&control->pending_send_size, 0);
}

int vmb_ring_writer_init(struct vmb_ring_writer *w, void *control, void *data, uint32_t data_len,
			 bool fresh)
{
	uint32_t read_index;

	if (!data_len_is_valid(data_len))
		return VMB_EINVAL;
	memset(w, 0, sizeof(*w));
	w->control = control;
	w->data = data;
	w->data_len = data_len;
	w->packet_len_max = vmb_ring_packet_len_max(data_len);
	if (fresh)
		reset_control(w->control);
	w->write_index = vmb_load_u32(&w->control->write_index);
	w->commit_index = w->write_index;
	if (!index_is_valid(w->write_index, data_len) || !load_read_index(w, &read_index)) {
		w->broken = true;
		return VMB_EPROTO;
	}
	vmb_store_u32(&w->control->pending_send_size, 0);
	vmb_store_u32(&w->control->feature_bits, VMB_RING_FEATURE_PENDING_SEND_SIZE);
	return 0;
}

int vmb_ring_reader_init(struct vmb_ring_reader *r, void *control, const void *data,
			 uint32_t data_len, bool fresh)
{
	if (!data_len_is_valid(data_len))
		return VMB_EINVAL;
	memset(r, 0, sizeof(*r));
	r->control = control;
	r->data = data;
	r->data_len = data_len;
	if (fresh)
		reset_control(r->control);
	r->read_index = vmb_load_u32(&r->control->read_index);
	r->release_index = r->read_index;
	if (!index_is_valid(r->read_index, data_len) || !load_write_index(r)) {
		r->broken = true;
		return VMB_EPROTO;
	}
	return 0;
}

static inline uint32_t room_of(struct vmb_ring_writer *w)
{
	uint32_t read_index;

	if (w->broken || !load_read_index(w, &read_index))
		return 0;
	return w->data_len - distance(read_index, w->write_index, w->data_len);
}

uint32_t vmb_ring_room(struct vmb_ring_writer *w)
{
	return room_of(w);
}

/* P2. A packet may not fill the ring to the last byte: equal indices always mean empty. */
static int check_room(struct vmb_ring_writer *w, uint32_t len)
{
	uint32_t room = room_of(w);

	if (w->broken)
		return VMB_EPROTO;
	return room > len ? 0 : VMB_EAGAIN;
}

/* P3. All of the packet's bytes; nothing is visible until the index moves. */
static void put_packet(struct vmb_ring_writer *w, const struct vmb_ring_packet *packet,
		       uint32_t header_len, uint32_t payload_len, uint32_t len)
{
	static const uint8_t zeroes[8];
	struct vmb_pkt_desc desc = {
		.type = packet->type,
		.offset8 = (uint16_t)((DESC_LEN + header_len) / 8),
		.len8 = (uint16_t)((len - FOOTER_LEN) / 8),
		.flags = packet->flags,
		.transaction_id = packet->transaction_id,
	};
	struct vmb_pkt_footer footer = { .start_index = w->write_index };
	uint32_t at = w->write_index;

	at = put(w, at, &desc, DESC_LEN);
	at = put_parts(w, at, packet->header, packet->header_count);
	at = put_parts(w, at, packet->payload, packet->payload_count);
	if (payload_len % 8)
		at = put(w, at, zeroes, 8 - payload_len % 8);
	w->write_index = put(w, at, &footer, FOOTER_LEN);
}

int vmb_ring_write(struct vmb_ring_writer *w, const struct vmb_ring_packet *packet)
{
	uint64_t header_len = parts_len(packet->header, packet->header_count);
	uint64_t payload_len = parts_len(packet->payload, packet->payload_count);
	uint32_t len = packet_len(header_len, payload_len);
	int err;

	if (w->broken)
		return VMB_EPROTO;
	if (header_len % 8)
		return VMB_EINVAL;
	if (!len || len > w->packet_len_max)
		return VMB_EOVERFLOW;
	err = check_room(w, len);
	if (err) {
		vmb_count(&w->counters.full, err == VMB_EAGAIN);
		return err;
	}
	put_packet(w, packet, (uint32_t)header_len, (uint32_t)payload_len, len);
	vmb_ring_wait_cancel(w);
	vmb_count(&w->counters.packets, 1);
	vmb_count(&w->counters.bytes, len);
	return 0;
}

bool vmb_ring_commit(struct vmb_ring_writer *w)
{
	uint32_t before = w->commit_index;
	uint32_t read_index;

	if (w->broken || w->write_index == before)
		return false;
	w->commit_index = w->write_index;
	/* P4. Release: the reader must not see the new index before the packet's bytes. */
	vmb_store_release_u32(&w->control->write_index, w->write_index);
	/*
	 * P5. The index must be visible before mask and read index are loaded. Otherwise the reader
	 * unmasks, checks, finds the ring empty and sleeps, while this side has read the old mask
	 * and does not signal. Pairs with C6.
	 */
	vmb_full_barrier();
	if (vmb_load_u32(&w->control->interrupt_mask))
		return false;
	/*
	 * P7. Mask first, then the read index: the protocol's order. A reader that checks again
	 * after it has unmasked (C6) loses nothing by the other order, as the model checker shows;
	 * but the peer may rely on this one.
	 */
	vmb_read_barrier();
	if (!load_read_index(w, &read_index) || read_index != before)
		return false;
	vmb_count(&w->counters.signals, 1);
	return true;
}

int vmb_ring_wait_room(struct vmb_ring_writer *w, uint32_t len)
{
	int err;

	if (w->broken)
		return VMB_EPROTO;
	if (w->write_index != w->commit_index)
		return VMB_EINVAL;
	if (!len || len > w->packet_len_max)
		return VMB_EOVERFLOW;
	w->pending_len = (len + 7) & ~7u;
	vmb_store_u32(&w->control->pending_send_size, w->pending_len); /* B1 */
	/*
	 * B2. The wish must be visible before the read index is loaded again. Otherwise the reader
	 * frees space and finds no wish, while this side still sees the old index: both sleep.
	 * Pairs with C3.
	 */
	vmb_full_barrier();
	err = check_room(w, w->pending_len); /* B3 */
	if (!err)
		vmb_ring_wait_cancel(w);
	return err;
}

/* B4. */
void vmb_ring_wait_cancel(struct vmb_ring_writer *w)
{
	if (!w->pending_len)
		return;
	w->pending_len = 0;
	vmb_store_u32(&w->control->pending_send_size, 0);
}

/* The lengths are kept as 16-bit counts of 8 bytes, so nothing here can overflow. */
static bool desc_is_valid(const struct vmb_pkt_desc *desc, uint32_t available)
{
	return desc->offset8 >= DESC_LEN / 8 && desc->offset8 <= desc->len8 &&
	       desc->len8 * 8u + FOOTER_LEN <= available;
}

static int read_desc(struct vmb_ring_reader *r, struct vmb_ring_received *packet)
{
	uint32_t available = distance(r->read_index, r->write_index, r->data_len);
	struct vmb_pkt_desc desc;

	if (available >= DESC_LEN + FOOTER_LEN)
		get(r, r->read_index, &desc, DESC_LEN); /* C2: copied, then validated */
	if (available < DESC_LEN + FOOTER_LEN || !desc_is_valid(&desc, available)) {
		r->broken = true;
		return VMB_EPROTO;
	}
	packet->type = desc.type;
	packet->flags = desc.flags;
	packet->transaction_id = desc.transaction_id;
	packet->header_len = desc.offset8 * 8u - DESC_LEN;
	packet->payload_len = (uint32_t)(desc.len8 - desc.offset8) * 8u;
	packet->start = r->read_index;
	return 0;
}

int vmb_ring_read(struct vmb_ring_reader *r, struct vmb_ring_received *packet)
{
	if (r->broken)
		return VMB_EPROTO;
	if (r->read_index == r->write_index) {
		if (!load_write_index(r))
			return VMB_EPROTO;
		if (r->read_index == r->write_index)
			return VMB_EAGAIN;
	}
	return read_desc(r, packet);
}

static uint32_t received_len(const struct vmb_ring_received *packet)
{
	return DESC_LEN + packet->header_len + packet->payload_len;
}

bool vmb_ring_copy(const struct vmb_ring_reader *r, const struct vmb_ring_received *packet,
		   uint32_t offset, void *dst, uint32_t len)
{
	uint32_t total = received_len(packet);

	if (r->broken || offset > total || len > total - offset)
		return false;
	if (len)
		get(r, advance(packet->start, offset, r->data_len), dst, len);
	return true;
}

void vmb_ring_next(struct vmb_ring_reader *r, const struct vmb_ring_received *packet)
{
	uint32_t len = received_len(packet) + FOOTER_LEN;

	if (r->broken)
		return;
	r->read_index = advance(r->read_index, len, r->data_len);
	vmb_count(&r->counters.packets, 1);
	vmb_count(&r->counters.bytes, len);
}

bool vmb_ring_release(struct vmb_ring_reader *r)
{
	uint32_t before = r->release_index;
	uint32_t pending, room_before, room;

	if (r->broken || r->read_index == before)
		return false;
	r->release_index = r->read_index;
	/*
	 * C2b. Release: the writer must not reuse the space while its bytes are still being copied
	 * out.
	 */
	vmb_store_release_u32(&r->control->read_index, r->read_index);
	/*
	 * C3. The index must be visible before the wish is loaded. Otherwise the writer asks for
	 * room, still finds the old index and sleeps, while this side has read "no wish". Pairs
	 * with B2.
	 */
	vmb_full_barrier();
	pending = vmb_load_u32(&r->control->pending_send_size) & ~7u;
	if (!pending)
		return false;
	/*
	 * Wish first, then the write index: an index older than the wish lacks the writer's last
	 * packets, and the writer would be woken for room that they have taken.
	 */
	vmb_read_barrier();
	if (!load_write_index(r))
		return false;
	room_before = r->data_len - distance(before, r->write_index, r->data_len);
	room = r->data_len - distance(r->read_index, r->write_index, r->data_len);
	if (room_before > pending || room <= pending)
		return false;
	vmb_count(&r->counters.signals, 1);
	return true;
}

void vmb_ring_mask(struct vmb_ring_reader *r)
{
	/*
	 * C4. No barrier: a mask that becomes visible late costs a superfluous signal and nothing
	 * else.
	 */
	vmb_store_u32(&r->control->interrupt_mask, 1);
}

bool vmb_ring_unmask(struct vmb_ring_reader *r)
{
	vmb_store_u32(&r->control->interrupt_mask, 0); /* C5 */
	/*
	 * C6. The cleared mask must be visible before the ring is checked once more: a writer that
	 * published after the last check and still saw the mask set has sent nothing. Pairs with
	 * P5.
	 */
	vmb_full_barrier();
	/*
	 * Once the mask is cleared, a signal may start another caller's reading, so this function
	 * writes nothing of the reader any more. An invalid index is reported by vmb_ring_read().
	 */
	if (r->broken)
		return false;
	return r->read_index != vmb_load_acquire_u32(&r->control->write_index);
}

bool vmb_ring_peer_signals_room(const struct vmb_ring_reader *r)
{
	return vmb_load_u32(&r->control->feature_bits) & VMB_RING_FEATURE_PENDING_SEND_SIZE;
}
