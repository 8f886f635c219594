/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's side of the network protocol (NVSP). One struct vmb_host_network is one card with up
 * to 64 queues, each a channel. Packet payloads in, steps and packets out. It does not know the
 * channels: the port reads and writes rings, maps the buffers that the guest shares, and moves
 * frames between the guest and the backend.
 *
 * Life story:
 *
 *   vmb_host_network_init(n, &config)
 *   vmb_host_network_reset(n) at every OPEN of the primary channel
 *   for each packet of queue q's ring (io is the port's; one is enough, as a step is completed
 *   before the next packet):
 *     step = vmb_host_network_input(n, q, io, &packet)
 *       < 0 (VMB_EPROTO)
 *                     the guest broke the protocol: stop serving this channel
 *       REPLY         write io->reply (io->reply_len bytes) as completion of io->transaction_id
 *       NOTHING       no answer is due
 *       SHARE         map GPADL io->gpadl_id of the primary channel;
 *                     step = vmb_host_network_shared(n, io, memory, len), memory NULL if that is
 *                     impossible (UNSHARE: the buffer is too small)
 *       UNSHARE       unmap io->memory, then let the GPADL io->gpadl_id go;
 *                     step = vmb_host_network_unshared(n, io)
 *       SUB_CHANNELS  as REPLY; then offer the sub-channels 1 .. n->sub_channel_count
 *       CONTROL       resolve the packet's pages into pieces;
 *                     step = vmb_host_network_control(n, io, pieces, count)
 *       SEND          resolve; step = vmb_host_network_send(n, io, pieces, count): SEND again or
 *                     REPLY; on SEND
 *                     while (vmb_host_network_send_next(n, io, &frame)) move the frame;
 *                     step = vmb_host_network_send_done(n, io)
 *   to the guest: vmb_host_network_receive(n, q, &frame, pieces, count) for each frame, then
 *     while ((out = vmb_host_network_output(n, q)))   write it into q's ring
 *             vmb_host_network_output_done(n, q);
 *     (Control replies, indications and in-band messages come out of queue 0 in the same way. What
 *     _output returned is void after UNSHARE, CONTROL, _reset and _queue_closed, on every queue.)
 *   when a buffer must be given back because the channel closes: vmb_host_network_reset(n) forgets
 *   it; the port unmaps it
 *
 * The guest may have lent n->receive_buffer and n->send_buffer. They are read and written at any
 * time between shared and unshared or reset. The guest may change them at any moment: nothing is
 * read back.
 *
 * This host differs from real ones on purpose: an envelope may be split over sections and ranges at
 * any place (they want it in the first range); a buffer may be shared again after it was revoked; a
 * frame length above the adapter's is reduced to it (they fall back to 1514); INITIALIZE announces
 * 256 KiB a send, which is what is accepted; queries of the packet filter and of values that were
 * set return the true values; a RESET keeps filter and addresses. There is no virtual function, so
 * none is announced, and SWITCH_DATA_PATH is completed without effect.
 *
 * Context: one caller at a time for a card. Several packets may be under way, each with its io, as
 * long as the port ends those whose section lies in a send buffer before it unmaps that buffer.
 *
 * Source: docs/protocol/network.md.
 */
#ifndef HOST_NETWORK_H
#define HOST_NETWORK_H

#include "host/offload.h"
#include "host/rndis.h"
#include "wire/network.h"
#include "wire/ring.h"

#define VMB_HOST_NETWORK_SUBALLOC_MAX	 32768u /* used suballocations of a receive buffer */
#define VMB_HOST_NETWORK_CONTROL_RESERVE 16u /* of them, kept for control messages */
#define VMB_HOST_NETWORK_SUBALLOC_TAIL	 36u /* bytes behind a frame that an old guest reads */
#define VMB_HOST_NETWORK_LARGE_LEN_MAX	 (14u + 65535u) /* bytes of a coalesced frame */
#define VMB_HOST_NETWORK_SEND_LEN_MAX	 (256u << 10) /* bytes of one send */
#define VMB_HOST_NETWORK_PIECE_COUNT_MAX 66u /* pieces of one send, section included */
#define VMB_HOST_NETWORK_BATCH_COUNT_MAX 64u /* frames in one packet to the guest */

enum vmb_host_network_state {
	VMB_HOST_NETWORK_CLOSED, /* only INIT is legal */
	VMB_HOST_NETWORK_VERSIONED, /* buffers, NDIS version and configuration */
	VMB_HOST_NETWORK_RUNNING, /* an RNDIS message came */
};

enum vmb_host_network_step {
	VMB_HOST_NETWORK_NOTHING,
	VMB_HOST_NETWORK_REPLY,
	VMB_HOST_NETWORK_SHARE,
	VMB_HOST_NETWORK_UNSHARE,
	VMB_HOST_NETWORK_SUB_CHANNELS,
	VMB_HOST_NETWORK_CONTROL,
	VMB_HOST_NETWORK_SEND,
};

struct vmb_host_network_config {
	struct vmb_host_rndis_config rndis;
	uint32_t version_max; /* VMB_NET_VERSION_*, 0 = newest */
};

struct vmb_host_network_counters {
	uint64_t packets; /* ring packets from the guest */
	uint64_t refused; /* answered with a status other than SUCCESS */
	uint64_t broken; /* VMB_EPROTO */
	uint64_t forged; /* acknowledgements of nothing under way */
	uint64_t no_suballoc; /* frames that found the receive buffer full */
	uint64_t mtu_cut; /* guests that wanted a larger MTU than there is */
};

/* Memory that the guest shared. */
struct vmb_host_network_buffer {
	uint8_t *memory; /* NULL: none */
	uint32_t len; /* bytes */
	uint32_t gpadl_id;
	uint16_t id;
};

struct vmb_host_network_packet {
	uint16_t type; /* enum vmb_pkt_type */
	uint16_t flags; /* VMB_PKT_FLAG_* */
	uint64_t transaction_id;
	const void *payload; /* a private copy */
	uint32_t payload_len;
	uint32_t range_count; /* GPA-direct: as announced */
};

/* A packet to write into a queue's ring. */
struct vmb_host_network_output {
	uint16_t type; /* VMB_PKT_TRANSFER_PAGES or VMB_PKT_INBAND */
	uint16_t flags;
	uint64_t transaction_id;
	uint32_t header_len; /* transfer pages: bytes of header */
	struct {
		struct vmb_pkt_transfer_pages pages;
		struct vmb_gpa_range ranges[VMB_NET_RANGE_COUNT_MAX_RSC];
	} header;
	uint32_t payload_len;
	uint8_t payload[VMB_NET_MESSAGE_LEN_MAX];
};

struct vmb_host_network_queue {
	bool open; /* set by _queue_opened, queue 0's by _reset */
	bool filling; /* out has frames */
	bool ready; /* out must be written before more frames are put in */
	uint32_t frame_count;
	uint32_t last; /* suballocation of out */
	uint32_t late_count; /* packets that the guest had when it revoked the receive buffer */
	struct vmb_host_network_output out;
};

/* One packet of the guest that is under way. The port embeds it. */
struct vmb_host_network_io {
	uint64_t transaction_id;
	bool reply_wanted;
	bool has_section; /* SEND, CONTROL: list[0] is one of the send buffer's */
	uint16_t queue;
	uint32_t range_count; /* SEND, CONTROL: as the packet announces; 0 = nothing to resolve */
	uint32_t reply_len;
	uint8_t reply[VMB_NET_MESSAGE_LEN_6_1];
	uint32_t gpadl_id; /* SHARE, UNSHARE */
	bool receive_buffer; /* SHARE, UNSHARE: which one */
	uint8_t *memory; /* UNSHARE: the memory to unmap, len bytes */
	uint32_t len;
	/* SEND, CONTROL */
	const struct vmb_host_offload_piece
		*pieces; /* valid during the step: section and pages in order */
	uint32_t piece_count;
	struct vmb_host_offload_piece list[VMB_HOST_NETWORK_PIECE_COUNT_MAX];
	uint32_t total_len;
	uint32_t position; /* of the next message */
	uint32_t frame_count;
	uint32_t status; /* enum vmb_net_status of the reply */
};

/* A frame of the guest: bytes offset .. offset + rndis.len of io's pieces. */
struct vmb_host_network_frame {
	struct vmb_host_rndis_frame rndis; /* the guest's requests, values bounded */
	uint32_t offset;
};

/* A frame for the guest. */
struct vmb_host_network_received {
	uint32_t len; /* bytes; up to 14 + mtu, or more if mss is not 0 */
	uint32_t checksum; /* RNDIS_RX_CHECKSUM_*, 0 = unknown */
	bool has_vlan; /* the tag is not in the bytes */
	uint32_t vlan; /* RNDIS_VLAN_* */
	bool has_hash;
	uint32_t hash, hash_type;
	uint32_t mss; /* not 0: one large TCP frame, if vmb_host_network_takes_large */
};

struct vmb_host_network {
	struct vmb_host_network_config config;
	struct vmb_host_rndis rndis;
	enum vmb_host_network_state state;
	uint32_t version;
	uint32_t message_len;
	uint64_t capabilities; /* VMB_NET_CAP_*, the guest's */
	bool versioned, configured; /* NDIS version and configuration have arrived */
	struct vmb_host_network_buffer receive_buffer, send_buffer;
	uint32_t suballoc_len, suballoc_count;
	uint16_t sub_channel_count; /* granted; 0 = not asked for */
	bool table_waiting; /* the send indirection table is to be sent */
	struct vmb_host_network_queue *queues; /* config.rndis.queue_count_max, the caller's */
	/* Which suballocations the guest holds; for the first one of a packet, how many it has. */
	uint32_t free_count;
	uint32_t free_suballocs[VMB_HOST_NETWORK_SUBALLOC_MAX]; /* a stack */
	uint16_t held_count[VMB_HOST_NETWORK_SUBALLOC_MAX]; /* by transaction id; 0 = none */
	uint8_t held_queue[VMB_HOST_NETWORK_SUBALLOC_MAX]; /* on which it is under way */
	uint32_t next_suballoc
		[VMB_HOST_NETWORK_SUBALLOC_MAX]; /* chains the suballocations of one packet */
	uint8_t control[VMB_HOST_RNDIS_CONTROL_LEN_MAX]; /* the request being judged */
	struct { /* control messages to the guest that wait for a suballocation or room */
		uint32_t len;
		uint8_t bytes[VMB_HOST_RNDIS_REPLY_LEN_MAX];
	} replies[8];
	uint32_t reply_first, reply_count;
	struct vmb_host_network_counters counters;
};

/*
 * Initialises n. queues: queue_count_max entries of the caller's, zeroed. VMB_EINVAL: a value
 * outside its bounds.
 */
int vmb_host_network_init(struct vmb_host_network *n, const struct vmb_host_network_config *config,
			  struct vmb_host_network_queue *queues);

/*
 * The primary channel was opened or closed: the protocol starts anew. Both buffers are forgotten;
 * whoever mapped them must unmap them.
 */
void vmb_host_network_reset(struct vmb_host_network *n);

/*
 * A sub-channel was opened or closed. When the last granted one opens, the send indirection table
 * is sent on queue 0. A closed queue's suballocations are free again.
 */
void vmb_host_network_queue_opened(struct vmb_host_network *n, uint16_t queue);
void vmb_host_network_queue_closed(struct vmb_host_network *n, uint16_t queue);

/* Return a step (enum vmb_host_network_step) or VMB_EPROTO. */
int vmb_host_network_input(struct vmb_host_network *n, uint16_t queue,
			   struct vmb_host_network_io *io,
			   const struct vmb_host_network_packet *packet);
int vmb_host_network_shared(struct vmb_host_network *n, struct vmb_host_network_io *io,
			    void *memory, uint32_t len);
int vmb_host_network_unshared(struct vmb_host_network *n, struct vmb_host_network_io *io);

/*
 * pieces: where the packet's ranges lie, in order; count is 0 if there are none. NULL: a range is
 * not RAM, or there are too many.
 */
int vmb_host_network_control(struct vmb_host_network *n, struct vmb_host_network_io *io,
			     const struct vmb_host_offload_piece *pieces, uint32_t count);
int vmb_host_network_send(struct vmb_host_network *n, struct vmb_host_network_io *io,
			  const struct vmb_host_offload_piece *pieces, uint32_t count);

/*
 * Returns the next frame of a send. False: there is none, or the rest is invalid (see io->status).
 */
bool vmb_host_network_send_next(struct vmb_host_network *n, struct vmb_host_network_io *io,
				struct vmb_host_network_frame *frame);
int vmb_host_network_send_done(struct vmb_host_network *n, struct vmb_host_network_io *io);

/* Copies len bytes from offset of a send's pieces. Returns false if they are outside. */
bool vmb_host_network_copy(const struct vmb_host_network_io *io, uint32_t offset, void *dst,
			   uint32_t len);
/*
 * The same bytes as pieces, at most max of them. Returns their number, 0 if the bytes are outside
 * or the pieces too many.
 */
uint32_t vmb_host_network_slice(const struct vmb_host_network_io *io, uint32_t offset, uint32_t len,
				struct vmb_host_offload_piece *slice, uint32_t max);

/* Returns whether the guest accepts a frame with this destination now (by filter and state). */
bool vmb_host_network_wants(const struct vmb_host_network *n, const uint8_t destination[6]);
/* Returns whether frames with mss may be given: RSC is agreed and enabled. */
bool vmb_host_network_takes_large(const struct vmb_host_network *n);
/*
 * Returns the queue of a frame that begins with head, by RSS, or 0; it is always open. hash and
 * hash_type are for _received.
 */
uint16_t vmb_host_network_queue_of(const struct vmb_host_network *n, const void *head,
				   uint32_t head_len, uint32_t *hash, uint32_t *hash_type);

/*
 * Returns how many suballocations frames may take now: the free ones without those reserved for
 * control messages. A frame takes one, a coalesced frame as many as hold its bytes.
 */
uint32_t vmb_host_network_room(const struct vmb_host_network *n);

/*
 * Copies a frame into the receive buffer; it is sent with the queue's next output. Returns 0;
 * VMB_EAGAIN: no suballocation is free, or output waits and must be taken first; VMB_ENODEV: the
 * guest does not receive; VMB_EOVERFLOW: longer than agreed, or than the buffer holds when it is
 * empty.
 */
int vmb_host_network_receive(struct vmb_host_network *n, uint16_t queue,
			     const struct vmb_host_network_received *frame,
			     const struct vmb_host_offload_piece *pieces, uint32_t count);

/* Returns what to write into this queue's ring next, or NULL; the same until _done. */
const struct vmb_host_network_output *vmb_host_network_output(struct vmb_host_network *n,
							      uint16_t queue);
void vmb_host_network_output_done(struct vmb_host_network *n, uint16_t queue);

/* Plugs the cable in or out. */
void vmb_host_network_set_link(struct vmb_host_network *n, bool up);

#endif
