/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A guest of a few lines for the host's network tests: it writes messages byte by byte from
 * docs/protocol/network.md, carries out each step as a port would, and keeps what comes back.
 */
#ifndef TESTS_HOST_NETWORK_BED_H
#define TESTS_HOST_NETWORK_BED_H

#include "host/network.h"

#define NIC_QUEUE_COUNT 4
#define NIC_RECEIVE_LEN (1u << 20)
#define NIC_SEND_LEN	(64u << 10)
#define NIC_FRAMES_MAX	32

struct nic {
	struct vmb_host_network n;
	struct vmb_host_network_queue queues[NIC_QUEUE_COUNT];
	struct vmb_host_network_io io;
	uint8_t *receive_buffer, *send_buffer; /* of exactly their sizes */
	uint32_t receive_len;
	uint32_t message_len; /* bytes of each message */
	bool no_memory; /* nothing can be mapped */
	bool asks_always; /* completion requested on every message */
	/* the last message's outcome */
	int step; /* the last step */
	uint32_t shared_count, unshared_count;
	uint32_t unshared_gpadl;
	uint8_t reply[64];
	uint32_t frame_count;
	struct {
		struct vmb_host_network_frame frame;
		uint8_t *bytes; /* exactly frame.rndis.len */
	} frames[NIC_FRAMES_MAX];
	/* the last control message from the host */
	uint8_t answer[2048];
	uint32_t answer_len;
};

uint32_t nic_get32(const void *at);
uint16_t nic_get16(const void *at);
void nic_put32(void *at, uint32_t value);

/* A card that can do everything, up to mtu 9000, NIC_QUEUE_COUNT queues. */
void nic_start(struct nic *nic, const struct vmb_host_network_config *config);
struct vmb_host_network_config nic_config(void);
void nic_end(struct nic *nic);

/*
 * Sends count 32-bit words as an in-band message of nic->message_len bytes, and does what the steps
 * say.
 */
int nic_message(struct nic *nic, bool ask, uint32_t count, ...);
int nic_packet(struct nic *nic, uint16_t queue, const struct vmb_host_network_packet *packet,
	       const struct vmb_host_offload_piece *pieces, uint32_t count);

/*
 * Handshake in Linux' order up to the buffers; the version's NDIS version; then RNDIS INITIALIZE.
 */
void nic_open(struct nic *nic, uint32_t version, uint32_t mtu, uint64_t capabilities);
void nic_initialize(struct nic *nic);

/* Sends len bytes of RNDIS as a range of its own. Answers the status of the completion. */
uint32_t nic_control(struct nic *nic, const void *message, uint32_t len);
/*
 * Takes the next control message that the host sends into nic->answer and acknowledges it. False:
 * there is none.
 */
bool nic_take_answer(struct nic *nic);
/* QUERY or SET with its answer: RNDIS status; data in nic->answer + 24, *len of it for a query. */
uint32_t nic_query(struct nic *nic, uint32_t oid, const void *data, uint32_t data_len,
		   uint32_t *len);
uint32_t nic_set(struct nic *nic, uint32_t oid, const void *data, uint32_t data_len);

/* An RNDIS packet around a frame: header, info (info_len bytes), frame. Answers its length. */
uint32_t nic_wrap(uint8_t *at, const void *info, uint32_t info_len, const void *frame,
		  uint32_t len);
/*
 * Sends len bytes through a queue as count ranges of equal length. Answers the status of the
 * completion.
 */
uint32_t nic_send(struct nic *nic, uint16_t queue, const void *bytes, uint32_t len, uint32_t count);
/* The same through a section of the send buffer. */
uint32_t nic_send_section(struct nic *nic, uint16_t queue, uint32_t index, const void *bytes,
			  uint32_t len);

/* Acknowledges a packet of the host's. */
void nic_ack(struct nic *nic, uint16_t queue, uint64_t transaction_id);

#endif
