/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Blocks of a pcapng file and the file itself, for those who record something: a card's frames
 * (devices/net/capture.h), the bus (devices/trace.h).
 *
 *   vmb_dev_pcapng_check("--trace ", path)    can it be written? changes nothing
 *   fd = vmb_dev_pcapng_create("--trace ", path)
 *   vmb_dev_pcapng_section(&block), _interface(&block, ...): whole blocks, to be written
 *   vmb_dev_pcapng_packet(&head, &tail, ...): what stands before and behind a packet's bytes
 *
 * Context: any thread. The format: the pcapng specification (IETF opsawg).
 */
#ifndef DEVICES_PCAPNG_H
#define DEVICES_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/platform.h"

#define VMB_DEV_PCAPNG_SECTION	     0x0A0D0D0Au
#define VMB_DEV_PCAPNG_INTERFACE     1u
#define VMB_DEV_PCAPNG_PACKET	     6u
#define VMB_DEV_PCAPNG_MARK	     0x1A2B3C4Du /* byte order */
#define VMB_DEV_PCAPNG_LINK_ETHERNET 1u
#define VMB_DEV_PCAPNG_LINK_USER0    147u
#define VMB_DEV_PCAPNG_SNAP_LEN	     262144u /* the longest packet that Wireshark takes */

/* A block without its packet's bytes; text in options is cut where it would not fit. */
struct vmb_dev_pcapng_block {
	uint32_t len;
	uint8_t bytes[512];
};

/* The beginning of an enhanced packet block. */
struct vmb_dev_pcapng_head {
	uint32_t type, len, interface, time_high, time_low, captured_len, original_len;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_dev_pcapng_head, 28);

/* Values of the format's direction bits. */
enum vmb_dev_pcapng_direction {
	VMB_DEV_PCAPNG_UNKNOWN,
	VMB_DEV_PCAPNG_INBOUND,
	VMB_DEV_PCAPNG_OUTBOUND,
};

void vmb_dev_pcapng_section(struct vmb_dev_pcapng_block *block);
/* description may be NULL. Time stamps of its packets are in nanoseconds. */
void vmb_dev_pcapng_interface(struct vmb_dev_pcapng_block *block, uint16_t link, const char *name,
			      const char *description);
/*
 * head goes before the packet's captured_len bytes, tail behind them. ns: since 1970. comment may
 * be NULL. Returns the length of the whole block.
 */
uint32_t vmb_dev_pcapng_packet(struct vmb_dev_pcapng_head *head, struct vmb_dev_pcapng_block *tail,
			       uint32_t interface, uint64_t ns, uint32_t captured_len,
			       uint32_t original_len, enum vmb_dev_pcapng_direction direction,
			       const char *comment);

/*
 * A file that exists must be a capture, or empty: nothing else is overwritten. option is what
 * stands before the path in a report, with its separator. 0, or -EINVAL: reported in one line.
 */
int vmb_dev_pcapng_check(const char *option, const char *path);
/* Creates or empties the file, and locks it. Returns a descriptor, or -errno: reported. */
int vmb_dev_pcapng_create(const char *option, const char *path);

#endif
