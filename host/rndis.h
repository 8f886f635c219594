/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The device's side of RNDIS. One struct vmb_host_rndis is one network adapter as a guest sees it
 * through queries and sets. Bytes only: it knows nothing of VMBus, buffers or queues.
 *
 *   vmb_host_rndis_init(r, &config); vmb_host_rndis_reset(r, ...) at every new connection
 *   for each control message: vmb_host_rndis_control(r, message, len, reply, &reply_len)
 *   when something changed that the guest should know:
 *     vmb_host_rndis_indication(r, ...) until false
 *   for each frame of the guest: vmb_host_rndis_unwrap()
 *   for each frame to the guest: vmb_host_rndis_wrap()
 *
 * Context: one caller at a time for an adapter; unwrap and wrap have no state.
 *
 * Source: docs/protocol/network.md, "8 RNDIS", "9 RNDIS packets", "10 NDIS structures",
 * "14 Particular guests", "15 Traps", "16 Hardening".
 */
#ifndef HOST_RNDIS_H
#define HOST_RNDIS_H

#include "wire/rndis.h"

#define VMB_HOST_RNDIS_CONTROL_LEN_MAX	4096u /* of a request; longer ones break the protocol */
#define VMB_HOST_RNDIS_REPLY_LEN_MAX	1024u
#define VMB_HOST_RNDIS_PACKET_COUNT_MAX 8u /* frames in one send, as announced */
#define VMB_HOST_RNDIS_ALIGNMENT_LOG2	3u
#define VMB_HOST_RNDIS_ENVELOPE_LEN_MAX \
	320u /* header and per-packet information of one frame, in */
#define VMB_HOST_RNDIS_HASH_INPUT_LEN_MAX 36u /* two IPv6 addresses and two ports */
#define VMB_HOST_RNDIS_DATA_OFFSET	  256u /* of a frame to the guest, in its message */

/* Offloads of the adapter: those that it announces, and those that the guest has enabled. */
#define VMB_HOST_RNDIS_TX_CHECKSUM	  0x01u /* IPv4 header, TCP and UDP, both IP versions */
#define VMB_HOST_RNDIS_RX_CHECKSUM	  0x02u
#define VMB_HOST_RNDIS_LSO		  0x04u
#define VMB_HOST_RNDIS_RSC		  0x08u

struct vmb_host_rndis_config {
	uint8_t mac[6]; /* permanent: unicast, not zero */
	uint32_t mtu_max; /* bytes without the Ethernet header, 1500..65521 */
	uint32_t link_speed; /* 100 bit/s */
	uint32_t offload; /* VMB_HOST_RNDIS_*: available */
	uint32_t queue_count_max; /* 1..64 */
	const char *name; /* friendly name, ASCII, the caller's; NULL: "OpenVMBus network" */
};

struct vmb_host_rndis_rss {
	bool enabled;
	uint32_t hash; /* NDIS_RSS_HASH_* */
	uint8_t key[NDIS_RSS_KEY_LEN];
	bool has_key;
	uint32_t table_count; /* always NDIS_RSS_TABLE_COUNT_MAX when enabled */
	uint16_t table[NDIS_RSS_TABLE_COUNT_MAX]; /* queue numbers, all < queue_count */
	/*
	 * What each half byte of the hash's input adds to the hash, by its place; computed from the
	 * key.
	 */
	uint32_t lookup[2 * VMB_HOST_RNDIS_HASH_INPUT_LEN_MAX][16];
};

struct vmb_host_rndis_counters {
	uint64_t requests;
	uint64_t unsupported; /* unknown OIDs */
	uint64_t refused; /* invalid requests */
	uint64_t tx_frames, tx_bytes; /* by the guest */
	uint64_t rx_frames, rx_bytes;
	uint64_t rx_no_buffer;
};

enum vmb_host_rndis_state {
	VMB_HOST_RNDIS_UNINITIALIZED,
	VMB_HOST_RNDIS_INITIALIZED,
	VMB_HOST_RNDIS_HALTED,
};

struct vmb_host_rndis {
	struct vmb_host_rndis_config config;
	enum vmb_host_rndis_state state;
	uint32_t ndis_version; /* major << 16 | minor, of NVSP's message 100 */
	uint32_t offload_revision; /* of NDIS_OFFLOAD: 1 to 3 */
	uint32_t mtu; /* bytes without the Ethernet header, agreed */
	uint32_t queue_count; /* channels that are open: bounds RSS tables */
	uint32_t filter; /* RNDIS_FILTER_* */
	uint8_t mac[6]; /* current */
	uint32_t offload; /* enabled, VMB_HOST_RNDIS_*; RX_CHECKSUM and RSC: for all protocols */
	uint32_t offload_caps; /* those of config.offload that the connection allows */
	uint32_t offload_on; /* enabled, by protocol: private to rndis_offload.c */
	bool link_up;
	struct vmb_host_rndis_rss rss, rss_new; /* rss_new: being set, too big for a stack */
	uint32_t link_indications, offload_indications, speed_indications; /* waiting */
	struct vmb_host_rndis_counters counters;
};

/* Which fields of a frame are valid. In: requests of the guest. Out: information for the guest. */
#define VMB_HOST_RNDIS_HAS_CHECKSUM  0x01u
#define VMB_HOST_RNDIS_HAS_LSO	     0x02u /* in only */
#define VMB_HOST_RNDIS_HAS_VLAN	     0x04u
#define VMB_HOST_RNDIS_HAS_HASH	     0x08u
#define VMB_HOST_RNDIS_HAS_PACKET_ID 0x10u /* out only */

struct vmb_host_rndis_frame {
	uint32_t present;
	uint32_t len; /* bytes of the frame */
	uint32_t checksum; /* RNDIS_TX_CHECKSUM_* in, RNDIS_RX_CHECKSUM_* out */
	uint32_t lso;
	uint32_t vlan;
	uint32_t hash, hash_type;
	struct rndis_packet_id packet_id;
	uint32_t data_offset; /* in: of the frame from the message's first byte */
	uint32_t message_len; /* in: to the next message */
};

/* Initialises r. VMB_EINVAL: a value outside its bounds. */
int vmb_host_rndis_init(struct vmb_host_rndis *r, const struct vmb_host_rndis_config *config);

/* Resets r to its initial state, except for the link state. */
void vmb_host_rndis_reset(struct vmb_host_rndis *r);

/*
 * Handles one control message, a private copy of len bytes. Returns 0: *reply_len bytes of reply
 * (room for VMB_HOST_RNDIS_REPLY_LEN_MAX; 0 for HALT) go back; VMB_EPROTO: not a message; the guest
 * must get the status INVALID_RNDIS_PACKET and no reply.
 */
int vmb_host_rndis_control(struct vmb_host_rndis *r, const void *message, uint32_t len, void *reply,
			   uint32_t *reply_len);

/* Returns the next waiting indication; false if there is none. There is none before INITIALIZE. */
bool vmb_host_rndis_indication(struct vmb_host_rndis *r, void *message, uint32_t *len);

/* Plugs the cable in or out; an indication follows. */
void vmb_host_rndis_set_link(struct vmb_host_rndis *r, bool up);

/* Returns whether the packet filter accepts a frame with this destination. */
bool vmb_host_rndis_wants(const struct vmb_host_rndis *r, const uint8_t destination[6]);

/*
 * Parses one PACKET message of a send. envelope: a private copy of its first copied_len bytes
 * (min(room, VMB_HOST_RNDIS_ENVELOPE_LEN_MAX)); room: the bytes that are left in the send. Returns
 * 0: frame is filled, and data_offset + len <= message_len <= room; VMB_EPROTO: invalid.
 */
int vmb_host_rndis_unwrap(const void *envelope, uint32_t copied_len, uint32_t room,
			  struct vmb_host_rndis_frame *frame);

/*
 * Writes the envelope of a frame to the guest at dst: VMB_HOST_RNDIS_DATA_OFFSET bytes with zeroed
 * gaps; each byte is written once and none is read. The frame's bytes follow.
 */
void vmb_host_rndis_wrap(void *dst, const struct vmb_host_rndis_frame *frame);

/*
 * Returns the Toeplitz hash of a frame's addresses (and ports) by the agreed hash types; 0 and
 * *type 0 when none applies.
 */
uint32_t vmb_host_rndis_hash(const struct vmb_host_rndis *r, const void *head, uint32_t head_len,
			     uint32_t *type);

#endif
