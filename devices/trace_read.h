/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads what devices/trace.h wrote.
 *
 *   vmb_dev_trace_load(&file, path)      the whole file into memory
 *   vmb_dev_trace_reader_init(&reader, file.bytes, file.len)
 *   while (vmb_dev_trace_read(&reader, &record) > 0) ...
 *   reader.why: NULL at the end of a whole file, else what is wrong behind the last record
 *   vmb_dev_trace_unload(&file)
 *
 * The bytes may come from anyone: each length is checked, and nothing outside of them is read.
 */
#ifndef DEVICES_TRACE_READ_H
#define DEVICES_TRACE_READ_H

#include "devices/trace.h"
#include "ring/ring.h"

#define VMB_DEV_TRACE_FILE_LEN_MAX (4ull << 30) /* bytes; a longer file is refused */

struct vmb_dev_trace_file {
	uint8_t *bytes;
	uint64_t len;
};

struct vmb_dev_trace_reader {
	const uint8_t *bytes;
	uint64_t len, at;
	uint32_t number; /* of the last packet, as Wireshark counts them: the first is 1 */
	uint32_t interfaces, link; /* how many, and of which link type the first one is */
	const char *why; /* NULL: nothing is wrong */
	bool refused; /* it is not just cut off */
};

struct vmb_dev_trace_record {
	uint32_t number;
	uint64_t ns; /* since 1970 */
	struct vmb_dev_trace_header header;
	const uint8_t *bytes; /* behind the header */
	uint32_t len; /* bytes there are */
	uint32_t original_len; /* bytes there were */
};

/* Returns 0, or -errno: reported in one line. */
int vmb_dev_trace_load(struct vmb_dev_trace_file *file, const char *path);
void vmb_dev_trace_unload(struct vmb_dev_trace_file *file);

void vmb_dev_trace_reader_init(struct vmb_dev_trace_reader *reader, const void *bytes,
			       uint64_t len);
/*
 * Fills in the next record. Returns 1; 0: there is none; VMB_EPROTO: what follows is no record, and
 * reader->why says why. A block that is cut off at the end of the file, as a killed process may
 * leave one, is the end, with a reason.
 */
int vmb_dev_trace_read(struct vmb_dev_trace_reader *reader, struct vmb_dev_trace_record *record);

/*
 * What lies in a record of kind VMB_DEV_TRACE_PACKET. Returns whether it is a packet of a ring, all
 * of it (docs/protocol/bus.md, "5.2 Packets"): the others are for such packets alone.
 */
bool vmb_dev_trace_has_packet(const struct vmb_dev_trace_record *record);
struct vmb_pkt_desc vmb_dev_trace_desc(const uint8_t *packet);
/* Writes it as it was written; errors as of vmb_ring_write(), which see. */
int vmb_dev_trace_write_packet(struct vmb_ring_writer *w, const uint8_t *packet, uint32_t len);

#endif
