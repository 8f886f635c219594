/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A stream of bytes over a channel's two rings (a pipe in byte mode, as sockets have it), the same
 * at both ends: packets of a header and at most VMB_PIPE_DATA_LEN_MAX bytes; one without bytes is
 * the end of a direction. The other direction goes on.
 *
 *   vmb_stream_init(s) when the channel is opened
 *   receive:  vmb_ring_read(); copy the header, VMB_STREAM_HEADER_LEN bytes at _HEADER_AT;
 *             vmb_stream_input() says what the packet is; copy its bytes, in as many parts as
 *             wanted; vmb_ring_next() when all of it was taken
 *   send:     len = vmb_stream_fits(vmb_ring_room()); vmb_stream_data(), or _end() once;
 *             vmb_ring_write(). No room: vmb_ring_wait_room(vmb_stream_packet_len())
 *
 * There is always room for an end, because vmb_stream_fits() leaves it: who closes never waits for
 * a peer that does not read.
 *
 * Context: one caller at a time for each direction.
 * Source: docs/protocol/bus.md, "5.7 Pipe packets"; docs/protocol/integration.md, "14 hvsock".
 */
#ifndef RING_STREAM_H
#define RING_STREAM_H

#include "ring/ring.h"
#include "wire/pipe.h"

#define VMB_STREAM_HEADER_AT  sizeof(struct vmb_pkt_desc)
#define VMB_STREAM_HEADER_LEN sizeof(struct vmb_pipe_header)
#define VMB_STREAM_DATA_AT    (VMB_STREAM_HEADER_AT + VMB_STREAM_HEADER_LEN)
/* Below this a ring cannot carry one byte and an end. */
#define VMB_STREAM_RING_MIN   128u

struct vmb_stream {
	bool ended_in; /* the peer sends no more */
	bool ended_out; /* we have sent our end */
	uint64_t dropped; /* packets of kinds that streams do not have */
};

enum vmb_stream_step {
	VMB_STREAM_DATA, /* len bytes at VMB_STREAM_DATA_AT, len > 0 */
	VMB_STREAM_END, /* for the first time */
	VMB_STREAM_NOTHING, /* pass over it */
};

/* A packet to be written; valid as long as the bytes are. */
struct vmb_stream_packet {
	struct vmb_pipe_header header;
	struct vmb_ring_part parts[2];
	struct vmb_ring_packet packet;
};

/* The channel was opened: nothing has ended. */
void vmb_stream_init(struct vmb_stream *s);

/*
 * Judges a packet. header: a private copy of the packet's; not looked at if received->payload_len
 * is too short for one. Returns a step, and *len for VMB_STREAM_DATA; VMB_EPROTO: the peer broke
 * the protocol (a length that the packet does not have, bytes behind an end), and the stream is of
 * no more use. Judging the same packet twice gives the same answer, unless it was an end.
 */
int vmb_stream_input(struct vmb_stream *s, const struct vmb_ring_received *received,
		     const struct vmb_pipe_header *header, uint32_t *len);

/*
 * Returns how many bytes a packet may have that is written into a ring with room free bytes
 * (vmb_ring_room()), so that there is room for an end behind it; 0: none now.
 */
uint32_t vmb_stream_fits(uint32_t room);
/* Returns the room to wait for, for a packet of len bytes and the end behind it. */
uint32_t vmb_stream_packet_len(uint32_t len);

/* Makes a packet of len bytes, which must not be 0 or more than vmb_stream_fits() said. */
void vmb_stream_data(struct vmb_stream_packet *p, const void *bytes, uint32_t len);
/* Makes the end. To be written once; the caller then sets ended_out. */
void vmb_stream_end(struct vmb_stream_packet *p);

#endif
