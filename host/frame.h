/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a frame means, between the two places where it looks different:
 *
 *                      in the guest's messages                on a wire
 *   802.1Q tag         in per-packet information              four bytes behind the addresses
 *   checksum           asked for, or vouched for, by flags    in its field, or open with a note
 *   large TCP frame    with a wish for a cut, or coalesced    cut, or whole with a note
 *
 * The note is struct vmb_host_frame_work: work that the one who has the frame leaves to the one who
 * takes it. A wire that takes large frames (takes_large) takes open checksums as well; for any
 * other wire all the work is done here.
 *
 * From the guest, for each frame of vmb_host_network_send_next():
 *
 *   error = vmb_host_frame_send_begin(s, n, io, &frame, takes_large)
 *     < 0  the guest asks for what the frame is not: drop it
 *   while ((more = vmb_host_frame_send_next(s, io)) > 0)
 *     put s->head (s->head_len bytes) and s->rest on the wire, with s->work
 *     < 0  the frame's end cannot be had: drop it
 *
 * To the guest, for each frame of a wire:
 *
 *   error = vmb_host_frame_receive_begin(r, n, pieces, count, &work)
 *     VMB_ENODEV  nobody wants it
 *     VMB_EPROTO  the note does not fit the frame, or there is no frame: drop it
 *   while ((more = vmb_host_frame_receive_next(r, n)) > 0)
 *     vmb_host_network_receive(n, r->queue, &r->frame, r->pieces, r->count)
 *     < 0  the frame's end cannot be had: drop it
 *
 * Between two calls of _next() the caller may do anything else, for as long as it likes, as long as
 * the frame's bytes stay where they are. It may also never come back: nothing is held.
 *
 * Bytes of the guest are read where they lie and may change at any moment; headers are copied once
 * and judged in the copy. Neither a guest nor a wire is believed: lengths, offsets and notes are
 * checked against the frame.
 *
 * Context: one caller at a time for a card; the state is the caller's.
 *
 * Source: docs/protocol/network.md, "9 RNDIS packets", "9.1 LSO", "10 NDIS structures",
 * "16 Hardening"; IEEE 802.1Q; RFC 791, 793, 768, 1071, 8200.
 */
#ifndef HOST_FRAME_H
#define HOST_FRAME_H

#include "host/network.h"

#define VMB_HOST_FRAME_TAG_LEN	       4u /* bytes of an 802.1Q tag */
#define VMB_HOST_FRAME_HEAD_LEN_MAX    (VMB_HOST_OFFLOAD_HEAD_LEN_MAX + VMB_HOST_FRAME_TAG_LEN)
#define VMB_HOST_FRAME_PIECE_COUNT_MAX 72u /* pieces of a frame from a wire */

/* Work on a frame that is left to whoever takes it. All zero: there is none. */
struct vmb_host_frame_work {
	/*
	 * The transport's checksum is open: the bytes from checksum_start to the frame's end are to
	 * be summed. The field, checksum_at bytes behind checksum_start, holds the pseudo-header's
	 * sum, which counts.
	 */
	bool checksum;
	uint32_t checksum_start, checksum_at; /* bytes */
	bool checksum_good; /* to the guest: all sums were looked at and are right */
	/*
	 * A TCP frame over IPv4 (4) or IPv6 (6) is to be cut. 0: not. Others: a kind not known
	 * here.
	 */
	uint8_t large;
	uint32_t mss; /* large: bytes of payload of a segment, not 0 */
	uint32_t head_len; /* large: bytes of all headers; not used to the guest */
};

/* What happens to a frame. */
enum vmb_host_frame_way {
	VMB_HOST_FRAME_PLAIN, /* one frame */
	VMB_HOST_FRAME_WHOLE, /* a large frame that stays one */
	VMB_HOST_FRAME_CUT, /* a large frame that is cut into several */
};

/* A frame of the guest's under way to a wire. */
struct vmb_host_frame_send {
	enum vmb_host_frame_way way; /* after _begin */
	/* After _next: what goes on the wire, len bytes. */
	uint32_t head_len, rest_count, len;
	struct vmb_host_frame_work work;
	uint8_t head[VMB_HOST_FRAME_HEAD_LEN_MAX];
	struct vmb_host_offload_piece rest[VMB_HOST_NETWORK_PIECE_COUNT_MAX];
	/* host/frame.c's own */
	bool ready;
	struct vmb_host_network_frame frame;
	struct vmb_host_offload_lso lso;
};

/* A frame of a wire under way to the guest. */
struct vmb_host_frame_receive {
	enum vmb_host_frame_way way; /* after _begin */
	/* After _next: what the guest gets, and on which queue. */
	struct vmb_host_network_received frame;
	const struct vmb_host_offload_piece *pieces;
	uint32_t count;
	uint16_t queue;
	/* host/frame.c's own: the frame as it came, its tag taken out, and one segment of it */
	bool ready;
	struct vmb_host_frame_work work;
	struct vmb_host_offload_layout layout;
	struct vmb_host_offload_lso lso;
	uint32_t head_len, whole_count;
	uint8_t head[VMB_HOST_FRAME_HEAD_LEN_MAX];
	uint8_t segment_head[VMB_HOST_OFFLOAD_HEAD_LEN_MAX];
	struct vmb_host_offload_piece whole[1 + VMB_HOST_FRAME_PIECE_COUNT_MAX];
	struct vmb_host_offload_piece segment[2 + VMB_HOST_FRAME_PIECE_COUNT_MAX];
};

/* The tag on a wire, in host order, from per-packet information RNDIS_VLAN_*, and back. */
uint16_t vmb_host_frame_tag_of(uint32_t vlan);
uint32_t vmb_host_frame_vlan_of(uint16_t tag);

/*
 * Begins a frame of the guest's. io: of the packet that it lies in, after vmb_host_network_send();
 * takes_large: whether the wire takes large frames and open checksums. 0: go on with _next().
 * VMB_EPROTO: no Ethernet frame, headers that cannot be, or a wish that does not fit the frame.
 */
int vmb_host_frame_send_begin(struct vmb_host_frame_send *s, const struct vmb_host_network *n,
			      const struct vmb_host_network_io *io,
			      const struct vmb_host_network_frame *frame, bool takes_large);

/*
 * 1: head, rest and work are the next frame on the wire; rest points to io's bytes. 0: there is no
 * more. VMB_EPROTO: the rest of the frame cannot be had.
 */
int vmb_host_frame_send_next(struct vmb_host_frame_send *s, const struct vmb_host_network_io *io);

/*
 * Begins a frame of a wire, in count pieces that stay the caller's and must not change until the
 * last _next(). work: what the wire says is left to do. 0: go on with _next(). VMB_ENODEV: the
 * guest does not receive, or not frames with this destination. VMB_EPROTO: no Ethernet frame, more
 * than VMB_HOST_FRAME_PIECE_COUNT_MAX pieces, or work that does not fit the frame.
 */
int vmb_host_frame_receive_begin(struct vmb_host_frame_receive *r, const struct vmb_host_network *n,
				 const struct vmb_host_offload_piece *pieces, uint32_t count,
				 const struct vmb_host_frame_work *work);

/*
 * 1: frame, pieces and queue are for vmb_host_network_receive(). 0: there is no more. VMB_EPROTO:
 * the rest of the frame cannot be had.
 */
int vmb_host_frame_receive_next(struct vmb_host_frame_receive *r, const struct vmb_host_network *n);

#endif
