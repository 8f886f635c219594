/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ring buffer, used by guest and host alike: shared memory in, bytes moved, "must signal" out.
 *
 * Life of a channel's two rings, at either end:
 *
 *   vmb_ring_writer_init(&tx, ...);  vmb_ring_reader_init(&rx, ...);
 *
 *   send:     vmb_ring_write() any number of packets, then vmb_ring_commit() once; when it returns
 *             true, signal the peer. VMB_EAGAIN from vmb_ring_write() means no room: commit what
 *             was written, then call vmb_ring_wait_room(). If that returns VMB_EAGAIN too, the
 *             peer will signal when there is room, if it promised to
 *             (vmb_ring_peer_signals_room()); otherwise poll.
 *   receive:  on a doorbell, vmb_ring_mask(); then vmb_ring_read(), vmb_ring_copy(),
 *             vmb_ring_next() until VMB_EAGAIN; vmb_ring_release() (true: signal the peer);
 *             vmb_ring_unmask() (true: more arrived meanwhile, start again). The order matters: a
 *             reader that unmasks before it has released hides the empty ring from the writer and
 *             sleeps for ever. A doorbell means "look at both rings".
 *
 * Shared memory is never trusted. Each end keeps its own index in private memory and overwrites the
 * shared copy. The peer's index is loaded once a step and validated. Descriptors are copied before
 * they are validated. A violation makes the ring broken: every later call returns VMB_EPROTO (or
 * false).
 *
 * Context: a writer and a reader are each used by one caller at a time (the port serialises them);
 * the writer and the reader of one channel are independent. Nothing here waits.
 * Source: docs/protocol/bus.md, "5 Ring buffers", which has the letters P, B and C of ring.c.
 */
#ifndef RING_RING_H
#define RING_RING_H

#include "wire/ring.h"

/*
 * Counters, for statistics and for tests of the signalling policy. Any thread may read them, by an
 * atomic load each; those of one moment need not fit each other.
 */
struct vmb_ring_counters {
	uint64_t packets;
	uint64_t bytes; /* ring space, framing included */
	uint64_t signals; /* times that it returned "must signal" */
	uint64_t full; /* writer: vmb_ring_write returned VMB_EAGAIN; reader: unused */
};

struct vmb_ring_writer {
	struct vmb_ring_control *control; /* shared */
	uint8_t *data; /* shared */
	uint32_t data_len;
	uint32_t packet_len_max; /* vmb_ring_packet_len_max(data_len) */
	uint32_t write_index; /* next byte to write; authoritative: the shared one is a copy */
	uint32_t commit_index; /* the index that was last published */
	uint32_t pending_len; /* value of pending_send_size, 0 = none */
	bool broken;
	struct vmb_ring_counters counters;
};

struct vmb_ring_reader {
	struct vmb_ring_control *control; /* shared */
	const uint8_t *data; /* shared */
	uint32_t data_len;
	uint32_t read_index; /* next byte to read; authoritative */
	uint32_t release_index; /* the index that was last published */
	uint32_t write_index; /* the peer's, as last loaded */
	bool broken;
	struct vmb_ring_counters counters;
};

/* A piece of a packet to be gathered; base is the caller's private memory. */
struct vmb_ring_part {
	const void *base;
	uint32_t len; /* bytes */
};

struct vmb_ring_packet {
	uint16_t type; /* enum vmb_pkt_type */
	uint16_t flags; /* VMB_PKT_FLAG_* */
	uint64_t transaction_id;
	const struct vmb_ring_part
		*header; /* extra header after the descriptor; total a multiple of 8 */
	uint32_t header_count; /* parts, may be 0 */
	const struct vmb_ring_part *payload; /* any total length; padded to 8 with zeroes */
	uint32_t payload_count;
};

/*
 * A received packet's descriptor, copied and validated. Offsets are from the packet's first byte.
 */
struct vmb_ring_received {
	uint16_t type;
	uint16_t flags;
	uint64_t transaction_id;
	uint32_t header_len; /* bytes between the 16-byte descriptor and the payload */
	uint32_t payload_len; /* bytes, padding included: the real length is inside */
	uint32_t start; /* ring offset, for vmb_ring_copy */
};

/*
 * control and data: the ring's shared memory, mapped so that data is contiguous. It stays the
 * caller's and must outlive the ring. data_len: bytes, a multiple of 8, at least 40 (one bare
 * packet). The protocol knows whole pages only; a caller that takes a length from a peer must check
 * that, the ring's own arithmetic does not need it.
 * fresh: true at the end that made the ring: indices, mask and pending size are set to 0. False at
 * the end that attaches to a ring (a host at OPEN): the ring takes over the indices in shared
 * memory after it has validated them. The writer sets the feature bit in either case.
 * Returns 0; VMB_EINVAL: wrong length; VMB_EPROTO: an invalid index in shared memory.
 */
int vmb_ring_writer_init(struct vmb_ring_writer *w, void *control, void *data, uint32_t data_len,
			 bool fresh);
int vmb_ring_reader_init(struct vmb_ring_reader *r, void *control, const void *data,
			 uint32_t data_len, bool fresh);

/*
 * Returns the bytes of ring that a packet takes, footer included, or 0 if it cannot be framed.
 * header_len must be a multiple of 8.
 */
uint32_t vmb_ring_packet_len(uint32_t header_len, uint32_t payload_len);

/*
 * Returns the length of the longest packet (as vmb_ring_packet_len counts) that a ring of data_len
 * can take.
 */
uint32_t vmb_ring_packet_len_max(uint32_t data_len);

/*
 * Copies a packet into the ring behind what was written before. The peer does not see it until
 * vmb_ring_commit(). Returns 0; VMB_EAGAIN: no room, nothing written; VMB_EOVERFLOW: it can never
 * fit; VMB_EINVAL: the header's length is not a multiple of 8; VMB_EPROTO: the ring is broken.
 */
int vmb_ring_write(struct vmb_ring_writer *w, const struct vmb_ring_packet *packet);

/*
 * Publishes all packets that were written. Returns true if the peer must be signalled: the ring was
 * empty and the peer has not masked signals.
 */
bool vmb_ring_commit(struct vmb_ring_writer *w);

/*
 * Asks the peer to signal when len bytes of ring (vmb_ring_packet_len) are free, and checks once
 * more. Commit first: the peer cannot consume what was not published. Returns 0: there is room now,
 * the request was withdrawn; VMB_EAGAIN: the request stands until vmb_ring_write() succeeds or
 * vmb_ring_wait_cancel(); VMB_EINVAL: a written packet is not committed; VMB_EOVERFLOW, VMB_EPROTO
 * as above.
 */
int vmb_ring_wait_room(struct vmb_ring_writer *w, uint32_t len);
void vmb_ring_wait_cancel(struct vmb_ring_writer *w);

/* Returns the bytes that are free now, for decisions about back-pressure; 0 when broken. */
uint32_t vmb_ring_room(struct vmb_ring_writer *w);

/*
 * Reads the next packet's descriptor. Returns 0; VMB_EAGAIN: the ring is empty; VMB_EPROTO: broken
 * (invalid index or descriptor). Another call without vmb_ring_next() returns the same packet.
 */
int vmb_ring_read(struct vmb_ring_reader *r, struct vmb_ring_received *packet);

/*
 * Copies len bytes of the packet that vmb_ring_read() returned into dst, from offset (bytes from
 * the descriptor's first byte; the extra header is at 16, the payload at 16 + header_len). Returns
 * false if that is outside the packet; nothing is copied then. The caller must copy each byte once
 * and validate the copy.
 */
bool vmb_ring_copy(const struct vmb_ring_reader *r, const struct vmb_ring_received *packet,
		   uint32_t offset, void *dst, uint32_t len);

/* Moves on to the next packet. The bytes of this one stay in the ring until vmb_ring_release(). */
void vmb_ring_next(struct vmb_ring_reader *r, const struct vmb_ring_received *packet);

/*
 * Gives the space of all packets that were passed back to the writer. Returns true if the writer
 * waits for room and must be signalled.
 */
bool vmb_ring_release(struct vmb_ring_reader *r);

/* Tells the writer not to signal when the ring becomes non-empty. */
void vmb_ring_mask(struct vmb_ring_reader *r);

/*
 * Lets the writer signal again. Returns true if the ring has a packet that was not signalled (or
 * its index is broken, which vmb_ring_read() will report): mask and read on. As soon as the mask is
 * cleared, a signal may start another caller's reading, so a caller that gave up its turn before
 * may still call this: it writes nothing that belongs to the reader.
 */
bool vmb_ring_unmask(struct vmb_ring_reader *r);

/*
 * Returns whether the peer that reads this end's writer has promised to signal on
 * pending_send_size. The promise stands in the other ring, which the peer produces: pass this end's
 * reader.
 */
bool vmb_ring_peer_signals_room(const struct vmb_ring_reader *r);

#endif
