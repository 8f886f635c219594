/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ring buffer as both ends see it: the control page and the framing of packets.
 * Source: docs/protocol/bus.md, "5.1 Memory layout", "5.2 Packets", "5.7 Pipe packets".
 */
#ifndef WIRE_RING_H
#define WIRE_RING_H

#include "base/platform.h"
#include "wire/vmbus.h"

/*
 * First page of a ring; the data area follows. Indices are byte offsets into the data area,
 * multiples of 8, and always below its length.
 */
struct vmb_ring_control {
	uint32_t write_index; /* written by the producer */
	uint32_t read_index; /* written by the consumer */
	uint32_t interrupt_mask; /* written by the consumer: non-zero = it wants no signal */
	uint32_t pending_send_size; /* written by the producer: bytes it waits for, 0 = none */
	uint8_t reserved1[48];
	uint32_t feature_bits; /* written by the producer */
	uint8_t reserved2[4028];
};
VMB_ASSERT_LEN(struct vmb_ring_control, 4096);
VMB_ASSERT_OFFSET(struct vmb_ring_control, feature_bits, 64);

/* The producer of this ring fills pending_send_size here, and looks at it in the other ring. */
#define VMB_RING_FEATURE_PENDING_SEND_SIZE 0x1u

enum vmb_pkt_type {
	VMB_PKT_INVALID = 0,
	VMB_PKT_INBAND = 6,
	VMB_PKT_TRANSFER_PAGES = 7,
	VMB_PKT_GPADL = 8,
	VMB_PKT_GPA_DIRECT = 9,
	VMB_PKT_CANCEL = 10,
	VMB_PKT_COMPLETION = 11,
};

#define VMB_PKT_FLAG_COMPLETION_REQUESTED 0x1u

struct vmb_pkt_desc {
	uint16_t type;
	uint16_t offset8; /* start of the payload in units of 8 bytes, >= 2 */
	uint16_t len8; /* packet without footer in units of 8 bytes, >= offset8 */
	uint16_t flags; /* VMB_PKT_FLAG_* */
	uint64_t transaction_id;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pkt_desc, 16);

/* Last eight bytes of a packet, not counted in len8. */
struct vmb_pkt_footer {
	uint32_t reserved;
	uint32_t start_index; /* ring offset of this packet's descriptor */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pkt_footer, 8);

/* Extra header of VMB_PKT_GPA_DIRECT; range_count ranges with their page frame numbers follow. */
struct vmb_pkt_gpa_direct {
	uint32_t reserved;
	uint32_t range_count;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pkt_gpa_direct, 8);

/* Extra header of VMB_PKT_TRANSFER_PAGES; range_count vmb_gpa_range without page numbers follow. */
struct vmb_pkt_transfer_pages {
	uint16_t set_id;
	uint8_t sender_owns_set;
	uint8_t reserved;
	uint32_t range_count;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pkt_transfer_pages, 8);

#endif
