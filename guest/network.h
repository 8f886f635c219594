/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's side of the network protocol (NVSP). One struct vmb_guest_network is one card, one
 * struct vmb_guest_network_queue is one of its channels. Packets in and out; it does not know the
 * channels: the port moves packets through the rings, shares the buffers (GPADLs) and waits.
 *
 * Life story:
 *
 *   the port opens the primary channel and shares a receive and a send buffer on it
 *   vmb_guest_network_init(n, &config); vmb_guest_network_queue_init(n, q, 0, ...)
 *   vmb_guest_network_start(n)       the handshake, one message outstanding at a time
 *   while ((out = vmb_guest_network_output(n)))
 *           write it to the primary ring, with a completion if out->flags say so, then
 *           vmb_guest_network_output_done(n);
 *   for each packet read from the primary ring, except transfer pages (_receive, see below):
 *     vmb_guest_network_input(n, type, transaction_id, payload, len, &event)
 *   events
 *     IS_READY    version, mac, mtu, offload, link and sub_channel_count are settled: that many
 *                 sub-channels will be offered; open each, vmb_guest_network_queue_init(), then
 *                 set RSS
 *     HAS_FAILED  the host refused
 *     ANSWERED    the request under way has ended: see n->answer
 *     LINK, SPEED, OFFLOAD, TABLE, VF, NETWORK
 *                 the host announced a change; fields of n have the new state. Before IS_READY
 *                 and after _halt only the fields change, without an event
 *     SENT        completion of a data packet
 *   requests, one at a time, each ends with ANSWERED:
 *     _query, _set, _set_filter, _set_rss, _set_offload, _set_mac, _keepalive, _reset,
 *     _switch_data_path
 *
 *   sending, per queue:
 *     vmb_guest_network_put(q, &frame, inline_len, &at)
 *                 copy inline_len bytes of the frame to at; the others follow as page ranges, and
 *                 then nothing may be put behind the frame
 *     vmb_guest_network_seal(q, &packet)
 *                 write packet into the queue's ring, with the ranges
 *     input:      SENT with the slot's cookie: the memory of the ranges is the port's again
 *   receiving, per queue:
 *     copy a transfer-page packet's header and payload into r->header and r->message
 *     vmb_guest_network_receive(n, q, r, ...)
 *       FRAMES:   while (vmb_guest_network_receive_next(n, q, r, &frame))
 *                         use the frame's pieces, which lie in the receive buffer
 *       CONTROL:  vmb_guest_network_control(n, r, &event), on the primary
 *     in every case one acknowledgement is due, after the last access to the frames:
 *     vmb_guest_network_owe(q, id); then
 *     while (vmb_guest_network_owed(q, &id))
 *             write a completion with vmb_guest_network_ack_message and call _owed_done(q, 1),
 *             or stop when the ring is full
 *
 *   leaving:
 *     set_filter(0); vmb_guest_network_halt(n); wait until no slot is in flight
 *     (vmb_guest_network_idle(q)); vmb_guest_network_revoke(n): up to two more messages; unshare
 *     in the order that the version of the bus demands; close.
 *   To change the MTU or the number of queues, the port leaves and starts again.
 *
 * Context: start, output, requests, input on the primary and control: one caller at a time (under
 * the port's lock, or in its poll of the primary). Per queue: put and seal belong to one caller
 * (the sender); input's SENT, receive and owe to another (the poll); the two meet only in the
 * queue's ring of free slots. Queues share no written cache line. The control page belongs to the
 * host while a request is out.
 *
 * Source: docs/protocol/network.md.
 */
#ifndef GUEST_NETWORK_H
#define GUEST_NETWORK_H

#include "guest/rndis.h"
#include "wire/network.h"
#include "wire/ring.h"

#define VMB_GUEST_NETWORK_ANSWER_LEN_MAX 4096u /* of a request's answer */
/* ... and of the RNDIS control message that carries it. */
#define VMB_GUEST_NETWORK_MESSAGE_LEN_MAX \
	(VMB_GUEST_NETWORK_ANSWER_LEN_MAX + sizeof(struct rndis_query_complete))

#define VMB_GUEST_NETWORK_MTU_MIN 68u
#define VMB_GUEST_NETWORK_MTU_MAX (65535u - VMB_NET_ETHERNET_LEN)

enum vmb_guest_network_state {
	VMB_GUEST_NETWORK_IDLE,
	VMB_GUEST_NETWORK_VERSION,
	VMB_GUEST_NETWORK_BUFFERS,
	VMB_GUEST_NETWORK_RNDIS, /* INITIALIZE, then queries */
	VMB_GUEST_NETWORK_SUBCHANNEL,
	VMB_GUEST_NETWORK_READY,
	VMB_GUEST_NETWORK_LEAVING, /* halted */
	VMB_GUEST_NETWORK_FAILED,
};

/* Why a card FAILED, for the port's log. */
enum vmb_guest_network_failure {
	VMB_GUEST_NETWORK_NO_FAILURE,
	VMB_GUEST_NETWORK_NO_VERSION, /* none in common */
	VMB_GUEST_NETWORK_RECEIVE_BUFFER_TOO_LONG, /* for the old version that the host wants */
	VMB_GUEST_NETWORK_RECEIVE_BUFFER_REFUSED, /* or divided in an invalid way */
	VMB_GUEST_NETWORK_SEND_BUFFER_REFUSED,
	VMB_GUEST_NETWORK_RNDIS_REFUSED, /* INITIALIZE */
	VMB_GUEST_NETWORK_NO_FRAME_LEN,
	VMB_GUEST_NETWORK_NO_MAC,
	VMB_GUEST_NETWORK_TOO_MANY_SUB_CHANNELS, /* more than requested */
};

struct vmb_guest_network_config {
	uint32_t version_max; /* VMB_NET_VERSION_*, 0 = newest */
	uint32_t version_min; /* 0 = oldest */
	uint32_t mtu; /* bytes of a frame without Ethernet header, 68..65521 */
	uint16_t queue_count; /* wanted, the primary included: 1..VMB_NET_QUEUE_COUNT_MAX */
	bool rsc; /* take coalesced frames where the host can */
	/*
	 * Shared on the primary channel before the start; contiguous in this address space, whole
	 * pages.
	 */
	uint8_t *receive_buffer;
	uint32_t receive_len; /* bytes, <= VMB_NET_RECEIVE_BUFFER_LEN_MAX, or _V2 */
	uint32_t receive_gpadl_id;
	uint8_t *send_buffer;
	uint32_t send_len;
	uint32_t send_gpadl_id;
	/* One page for RNDIS requests, so that no message is ever split. */
	uint8_t *control_page;
	uint64_t control_pfn;
};

/* What the host can do, and what was agreed; bits VMB_GUEST_NETWORK_OFFLOAD_*. */
#define VMB_GUEST_NETWORK_TX_IP_HEADER 0x001u
#define VMB_GUEST_NETWORK_TX_TCP4      0x002u
#define VMB_GUEST_NETWORK_TX_UDP4      0x004u
#define VMB_GUEST_NETWORK_TX_TCP6      0x008u
#define VMB_GUEST_NETWORK_TX_UDP6      0x010u
#define VMB_GUEST_NETWORK_RX_CHECKSUM  0x020u
#define VMB_GUEST_NETWORK_LSO4	       0x040u
#define VMB_GUEST_NETWORK_LSO6	       0x080u
#define VMB_GUEST_NETWORK_RSC	       0x100u

struct vmb_guest_network_counters {
	uint64_t forged; /* completions and acknowledgements without a request */
	uint64_t malformed; /* invalid packets, ranges, messages */
	uint64_t unknown; /* unknown message types */
};

/*
 * One packet that the host has. The slot's number is that of its section in the send buffer minus
 * that of the queue's first section.
 */
struct vmb_guest_network_slot {
	uint32_t state; /* free, filling or in flight, and a generation that shows duplicates */
	uint32_t frame_count;
	uint32_t byte_count; /* of the frames */
	void *cookie; /* the port's, set in q->slots[q->filling] between put and seal */
};

struct vmb_guest_network_queue {
	/* written by init only */
	struct vmb_guest_network *network;
	uint16_t index;
	struct vmb_guest_network_slot *slots;
	uint32_t slot_count; /* a power of two, or 0 */
	uint32_t first_section;
	uint32_t *free_slots; /* slot_count entries */
	uint64_t *owed; /* owed_max transaction ids */
	uint32_t owed_max; /* a power of two, >= the suballocations that can be due */
	/* written by the sender */
	uint32_t filling VMB_CACHE_ALIGNED; /* slot being filled, or VMB_NET_SECTION_NONE */
	uint32_t filled_len; /* bytes of its section */
	bool filling_closed; /* ranges follow: no more frames fit */
	uint32_t take; /* index into free_slots */
	uint32_t give_seen; /* the value of give that the sender has seen */
	/* written by the poll */
	uint32_t give VMB_CACHE_ALIGNED;
	uint32_t owed_first, owed_count;
	struct vmb_guest_network_counters counters;
};

struct vmb_guest_network_output {
	uint16_t type; /* VMB_PKT_INBAND or VMB_PKT_GPA_DIRECT */
	uint16_t flags; /* VMB_PKT_FLAG_* */
	uint64_t transaction_id;
	/* GPA-direct: header, range and its one page frame number */
	struct {
		struct vmb_pkt_gpa_direct direct;
		struct vmb_gpa_range range;
		uint64_t pfn;
	} VMB_PACKED gpa;
	uint32_t payload_len;
	uint8_t payload[VMB_NET_MESSAGE_LEN_MAX];
};

/*
 * A data packet to write into the queue's ring. The port adds its ranges, and makes it GPA-direct
 * if it has any.
 */
struct vmb_guest_network_packet {
	uint32_t slot;
	uint64_t transaction_id; /* completion requested */
	uint32_t frame_count;
	uint32_t byte_count;
	uint32_t payload_len;
	union {
		struct vmb_net_rndis_packet rndis;
		uint8_t bytes[VMB_NET_MESSAGE_LEN_6_1];
	} payload;
};

enum vmb_guest_network_event_type {
	VMB_GUEST_NETWORK_NOTHING,
	VMB_GUEST_NETWORK_IS_READY,
	VMB_GUEST_NETWORK_HAS_FAILED,
	VMB_GUEST_NETWORK_ANSWERED,
	VMB_GUEST_NETWORK_SENT,
	VMB_GUEST_NETWORK_LINK_CHANGED, /* n->agreed.link_up */
	VMB_GUEST_NETWORK_SPEED_CHANGED, /* n->agreed.link_speed */
	VMB_GUEST_NETWORK_NETWORK_CHANGED, /* another network: request a new address */
	VMB_GUEST_NETWORK_OFFLOAD_CHANGED, /* n->agreed.offload */
	VMB_GUEST_NETWORK_TABLE_CHANGED, /* n->agreed.send_table */
	VMB_GUEST_NETWORK_VF_CHANGED, /* n->agreed.vf_allocated, n->agreed.vf_serial */
};

struct vmb_guest_network_event {
	enum vmb_guest_network_event_type type;
	/* SENT */
	uint32_t slot;
	void *cookie;
	uint32_t frame_count;
	uint32_t byte_count;
	uint32_t status; /* enum vmb_net_status */
};

/* How the last request ended. data: see _query; valid until the next request. */
struct vmb_guest_network_answer {
	uint32_t status; /* enum rndis_status */
	uint32_t data_len;
	uint8_t data[VMB_GUEST_NETWORK_ANSWER_LEN_MAX];
};

/*
 * What host and guest agreed in the handshake, and what the host announced since. Valid from
 * IS_READY on.
 */
struct vmb_guest_network_agreed {
	uint32_t version; /* VMB_NET_VERSION_* */
	uint32_t message_len; /* bytes of a message in this version */
	uint32_t suballoc_len, suballoc_count; /* of the receive buffer */
	uint32_t section_len, section_count; /* of the send buffer */
	uint32_t section_room; /* section_len rounded down to the alignment */
	uint32_t frame_count_max; /* frames in one packet */
	uint32_t transfer_len_max; /* bytes in one packet */
	uint32_t alignment; /* of each message in a packet of several */
	uint8_t mac[VMB_NET_MAC_LEN];
	uint32_t mtu; /* what the host accepts: <= config.mtu */
	uint32_t mtu_max; /* the host's limit */
	uint32_t offload; /* VMB_GUEST_NETWORK_*: enabled */
	uint32_t offload_caps; /* what can be enabled */
	uint32_t lso_len_max, lso_segments_min;
	uint32_t rss_table_count; /* entries that the host accepts; 0 = no RSS */
	uint32_t rss_queue_count; /* queues that the host has */
	uint32_t sub_channel_count; /* granted */
	bool link_up;
	uint32_t link_speed; /* 100 bit/s */
	/* hash & 15 -> queue index, always < number of queues */
	uint16_t send_table[VMB_NET_TABLE_COUNT];
	bool vf_allocated;
	uint32_t vf_serial;
};

/* Where the exchange of messages with the host stands: the core's own. */
struct vmb_guest_network_dialogue {
	uint32_t version_step;
	uint32_t step;
	bool receiving; /* READY was reached; set once, before any other queue is polled */
	uint32_t next_id;
	uint64_t shown_id; /* of what output returned last */
	uint32_t request_type; /* enum rndis_type */
	uint32_t asked; /* what the request under way changes */
	uint32_t offload_wanted, offload_receive;
	uint8_t mac_wanted[VMB_NET_MAC_LEN];
	bool receive_shared, send_shared; /* the host has the buffer */
	uint32_t request_id; /* of the RNDIS request that is out */
	uint64_t output_id;
	uint32_t output_answer; /* the message type that completes it; 0 = none */
	uint32_t output_len_min;
	bool output_waiting, output_out; /* to be sent; with the host */
	bool reply_waiting; /* an RNDIS reply is expected */
	bool request_waiting; /* a request of the port's is under way */
	struct vmb_guest_network_output out;
	uint8_t message[VMB_GUEST_NETWORK_MESSAGE_LEN_MAX]; /* private copy of the host's message */
};

struct vmb_guest_network {
	struct vmb_guest_network_config config;
	enum vmb_guest_network_state state;
	enum vmb_guest_network_failure failure;
	struct vmb_guest_network_agreed agreed;
	struct vmb_guest_network_answer answer;
	struct vmb_guest_network_counters counters;
	struct vmb_guest_network_dialogue dialogue;
};

/* A piece of a received frame: bytes of the receive buffer. */
struct vmb_guest_network_piece {
	uint32_t offset;
	uint32_t len;
};

struct vmb_guest_network_frame {
	struct vmb_guest_rndis_frame rndis; /* checksum, VLAN, hash; len: all pieces together */
	const struct vmb_guest_network_piece *pieces; /* in order; several: a coalesced frame */
	uint32_t piece_count;
};

/* A transfer-page packet being read: the port's scratch, one a queue, not on a stack. */
struct vmb_guest_network_receive {
	struct {
		struct vmb_pkt_transfer_pages pages;
		struct vmb_gpa_range ranges[VMB_NET_RANGE_COUNT_MAX_RSC];
	} header; /* the port's copy of the extra header: its first min(header_len, sizeof) bytes */
	uint8_t message[VMB_NET_MESSAGE_LEN_MAX]; /* ... and of the payload */
	/* the core's */
	uint32_t next;
	uint32_t piece_count;
	uint32_t fragment_len;
	uint8_t envelope[VMB_GUEST_RNDIS_ENVELOPE_IN_LEN_MAX]; /* private copy of a frame's */
	struct vmb_guest_rndis_frame part; /* parsed */
	struct vmb_guest_rndis_frame first; /* of the frame being assembled */
	struct vmb_guest_network_piece pieces[VMB_NET_RANGE_COUNT_MAX_RSC];
};

/* Initialises n; config is copied. VMB_EINVAL: a value outside its bounds. */
int vmb_guest_network_init(struct vmb_guest_network *n,
			   const struct vmb_guest_network_config *config);

/* Starts the handshake. VMB_EBUSY unless idle. */
int vmb_guest_network_start(struct vmb_guest_network *n);

/*
 * Returns the message to write into the primary ring next, or NULL. It stays the same, and valid,
 * until _output_done.
 */
const struct vmb_guest_network_output *vmb_guest_network_output(struct vmb_guest_network *n);
void vmb_guest_network_output_done(struct vmb_guest_network *n);

/*
 * Takes a packet of queue q that is no transfer-page packet: in-band or completion, payload a
 * private copy of len bytes. Returns 0: see event; VMB_EPROTO: refused and counted, nothing
 * changed.
 */
int vmb_guest_network_input(struct vmb_guest_network *n, struct vmb_guest_network_queue *q,
			    uint16_t type, uint64_t transaction_id, const void *payload,
			    uint32_t len, struct vmb_guest_network_event *event);

/*
 * Returns whether a packet claims to be the completion of a data packet. For such a packet _input
 * reports SENT or refuses it, and touches nothing of the card but q; the port need not hold its
 * lock of the dialogue, if it has one.
 */
bool vmb_guest_network_is_sent(const struct vmb_guest_network_queue *q, uint16_t type,
			       uint64_t transaction_id);

/*
 * Requests. An RNDIS request ends when both the host's NVSP completion and its RNDIS reply have
 * arrived; n->answer has status and data then. VMB_EBUSY: one is under way, or not READY;
 * VMB_EOVERFLOW: data does not fit into the page. A request that the host never answers leaves the
 * core busy: close the channel and start again.
 */
int vmb_guest_network_query(struct vmb_guest_network *n, uint32_t oid, const void *data,
			    uint32_t len);
int vmb_guest_network_set(struct vmb_guest_network *n, uint32_t oid, const void *data,
			  uint32_t len);
int vmb_guest_network_set_filter(struct vmb_guest_network *n, uint32_t filter);
/*
 * table: count queue numbers, count <= rss_table_count (a shorter table is repeated); hash:
 * NDIS_RSS_HASH_*, 0 = off.
 */
int vmb_guest_network_set_rss(struct vmb_guest_network *n, const uint16_t *table, uint32_t count,
			      const uint8_t key[NDIS_RSS_KEY_LEN], uint32_t hash);
/* offload: VMB_GUEST_NETWORK_*, out of offload_caps. */
int vmb_guest_network_set_offload(struct vmb_guest_network *n, uint32_t offload);
/*
 * The host is asked for its address afterwards, because some accept the request and do nothing:
 * then the answer is RNDIS_STATUS_FAILURE and n->agreed.mac stays as it was.
 * Source: docs/protocol/peers.md.
 */
int vmb_guest_network_set_mac(struct vmb_guest_network *n, const uint8_t mac[VMB_NET_MAC_LEN]);
int vmb_guest_network_keepalive(struct vmb_guest_network *n);
int vmb_guest_network_reset(struct vmb_guest_network *n);
/* From version 4 on, else VMB_EOPNOTSUPP. */
int vmb_guest_network_switch_data_path(struct vmb_guest_network *n, bool to_vf);

/* Queues RNDIS HALT; ANSWERED when the host has taken it. No request after this. */
int vmb_guest_network_halt(struct vmb_guest_network *n);
/*
 * Queues the revocation of the buffers that the host has: up to two outputs without answers. Once
 * they are in the ring, the host must not touch the buffers any more. A request that is under way
 * is given up. VMB_EBUSY: the handshake is under way.
 */
int vmb_guest_network_revoke(struct vmb_guest_network *n);

/*
 * Initialises q. slots, free_slots (slot_count each, a power of two) and owed (owed_max, a power of
 * two) are the caller's arrays; the sections first_section .. first_section + slot_count - 1 of the
 * send buffer are this queue's. To be called after READY; for queue 0, whose sections are not known
 * earlier, once with 0 slots for the handshake and again at READY. VMB_EINVAL: sections that do not
 * exist, invalid sizes.
 */
int vmb_guest_network_queue_init(struct vmb_guest_network *n, struct vmb_guest_network_queue *q,
				 uint16_t index, struct vmb_guest_network_slot *slots,
				 uint32_t *free_slots, uint32_t slot_count, uint32_t first_section,
				 uint64_t *owed, uint32_t owed_max);

/*
 * Puts a frame into the packet that is being filled, or begins a packet. The caller must copy
 * inline_len bytes of the frame to *at (memory of the send buffer). If they are fewer than
 * frame->len, the rest follows as ranges, in order, and the packet must be sealed next. Returns 0;
 * VMB_EAGAIN: no slot is free, wait for SENT; VMB_EBUSY: the frame does not fit into the packet
 * being filled: seal it and call again; VMB_EOVERFLOW: inline_len is more than
 * vmb_guest_network_inline_max.
 */
int vmb_guest_network_put(struct vmb_guest_network_queue *q,
			  const struct vmb_guest_rndis_frame *frame, uint32_t inline_len,
			  void **at);

/* Returns how many bytes of this frame fit into an empty section. */
uint32_t vmb_guest_network_inline_max(const struct vmb_guest_network *n,
				      const struct vmb_guest_rndis_frame *frame);

/*
 * Closes the packet being filled; the slot is in flight from now on. Returns false if there is
 * none.
 */
bool vmb_guest_network_seal(struct vmb_guest_network_queue *q,
			    struct vmb_guest_network_packet *packet);

/*
 * The ring refused the packet that was sealed last, and it will not be tried again. Returns true if
 * the slot is free and the memory of the ranges is the port's. Returns false if a host that guessed
 * the id has already ended it; its SENT event is valid. Context: the sender, before the next put.
 */
bool vmb_guest_network_unseal(struct vmb_guest_network_queue *q, uint32_t slot);

/* Returns the number of free slots; only a hint in the other context. */
uint32_t vmb_guest_network_room(struct vmb_guest_network_queue *q);
/* Returns true if no slot is filling or in flight. */
bool vmb_guest_network_idle(struct vmb_guest_network_queue *q);
/*
 * To be called after the channel is closed, when nobody sends: frees the next slot that was taken
 * and reports it as SENT with status FAIL and its cookie. frame_count and byte_count are 0 if it
 * was never sealed. Returns false if none is left.
 */
bool vmb_guest_network_fail_next(struct vmb_guest_network_queue *q,
				 struct vmb_guest_network_event *event);

enum vmb_guest_network_received {
	VMB_GUEST_NETWORK_FRAMES,
	VMB_GUEST_NETWORK_CONTROL, /* primary only */
};

/*
 * Begins to read a transfer-page packet whose header and payload the port has copied into r.
 * header_len and payload_len: their lengths in the ring. VMB_EPROTO: nothing to read; an
 * acknowledgement is due all the same.
 */
int vmb_guest_network_receive(struct vmb_guest_network *n, struct vmb_guest_network_queue *q,
			      struct vmb_guest_network_receive *r, uint32_t header_len,
			      uint32_t payload_len);

/* Returns the next frame; false if there is none. Invalid frames are counted and skipped. */
bool vmb_guest_network_receive_next(struct vmb_guest_network *n, struct vmb_guest_network_queue *q,
				    struct vmb_guest_network_receive *r,
				    struct vmb_guest_network_frame *frame);

/* Copies, validates and handles the control message in r. As _input. */
int vmb_guest_network_control(struct vmb_guest_network *n, struct vmb_guest_network_receive *r,
			      struct vmb_guest_network_event *event);

/*
 * Notes that an acknowledgement is due for this transaction. VMB_EPROTO: the host has more packets
 * under way than it has suballocations.
 */
int vmb_guest_network_owe(struct vmb_guest_network_queue *q, uint64_t transaction_id);
/* Fills in the oldest one that is due. Returns false if there is none. */
bool vmb_guest_network_owed(const struct vmb_guest_network_queue *q, uint64_t *transaction_id);
/*
 * Sets *ids to the oldest ones that are contiguous, valid until the next call for q. Returns their
 * number; 0 if none is due.
 */
uint32_t vmb_guest_network_owed_run(const struct vmb_guest_network_queue *q, const uint64_t **ids);
/* The oldest count of them were written. */
void vmb_guest_network_owed_done(struct vmb_guest_network_queue *q, uint32_t count);

/* The payload of every acknowledgement. */
extern const struct vmb_net_rndis_packet_complete vmb_guest_network_ack_message;

#endif
