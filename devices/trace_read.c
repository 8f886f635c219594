// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Finds the records of a trace in a pcapng file, for whoever plays or checks one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/pcapng.h"
#include "devices/report.h"
#include "devices/trace_read.h"

#define BLOCK_LEN_MIN	  12u
#define SECTION_LEN_MIN	  28u
#define INTERFACE_LEN_MIN 20u
#define PACKET_LEN_MIN	  32u

static int refuse(struct vmb_dev_trace_reader *r, const char *why)
{
	r->why = why;
	r->refused = true;
	return VMB_EPROTO;
}

static uint32_t word_at(const struct vmb_dev_trace_reader *r, uint64_t at)
{
	uint32_t word;

	memcpy(&word, r->bytes + at, sizeof(word));
	return word;
}

/* Returns the length of the block at r->at; 0: the end; VMB_EPROTO. */
static int64_t block_len(struct vmb_dev_trace_reader *r)
{
	uint64_t left = r->len - r->at;
	uint32_t len = left < BLOCK_LEN_MIN ? 0 : word_at(r, r->at + 4);

	if (len > left || (left && left < BLOCK_LEN_MIN)) {
		r->why = "its last block is cut off";
		return 0;
	}
	if (!left)
		return 0;
	if (len < BLOCK_LEN_MIN || len % 4)
		return refuse(r, "a block has a length that cannot be");
	if (word_at(r, r->at + len - 4) != len)
		return refuse(r, "a block's two lengths differ");
	return len;
}

static int take_section(struct vmb_dev_trace_reader *r, uint32_t len)
{
	if (len < SECTION_LEN_MIN || word_at(r, r->at + 8) != VMB_DEV_PCAPNG_MARK)
		return refuse(r, "its byte order is another machine's");
	r->interfaces = 0;
	return 0;
}

static int take_interface(struct vmb_dev_trace_reader *r, uint32_t len)
{
	if (len < INTERFACE_LEN_MIN)
		return refuse(r, "an interface has no description");
	if (!r->interfaces++)
		r->link = word_at(r, r->at + 8) & 0xFFFF;
	if (r->link == VMB_DEV_PCAPNG_LINK_USER0)
		return 0;
	return refuse(r, "its packets are not of VMBus");
}

static int take_packet(struct vmb_dev_trace_reader *r, uint32_t len,
		       struct vmb_dev_trace_record *record)
{
	struct vmb_dev_pcapng_head head;

	if (len < PACKET_LEN_MIN)
		return refuse(r, "a packet has no head");
	memcpy(&head, r->bytes + r->at, sizeof(head));
	if (!r->interfaces || head.interface)
		return refuse(r, "a packet is not of the first interface");
	if (head.captured_len > len - PACKET_LEN_MIN || head.captured_len > head.original_len)
		return refuse(r, "a packet is longer than its block");
	if (head.captured_len < sizeof(record->header))
		return refuse(r, "a packet is too short for a record");
	r->number++;
	memcpy(&record->header, r->bytes + r->at + sizeof(head), sizeof(record->header));
	if (record->header.version != VMB_DEV_TRACE_VERSION)
		return refuse(r, "a record is of another version");
	record->number = r->number;
	record->ns = (uint64_t)head.time_high << 32 | head.time_low;
	record->bytes = r->bytes + r->at + sizeof(head) + sizeof(record->header);
	record->len = head.captured_len - sizeof(record->header);
	record->original_len = head.original_len - sizeof(record->header);
	return 1;
}

void vmb_dev_trace_reader_init(struct vmb_dev_trace_reader *r, const void *bytes, uint64_t len)
{
	*r = (struct vmb_dev_trace_reader){ .bytes = bytes, .len = len };
	if (len < SECTION_LEN_MIN || word_at(r, 0) != VMB_DEV_PCAPNG_SECTION)
		refuse(r, "not a recording");
}

int vmb_dev_trace_read(struct vmb_dev_trace_reader *r, struct vmb_dev_trace_record *record)
{
	int64_t len;
	int result;

	if (r->why)
		return r->refused ? VMB_EPROTO : 0;
	while ((len = block_len(r)) > 0) {
		switch (word_at(r, r->at)) {
		case VMB_DEV_PCAPNG_SECTION: result = take_section(r, len); break;
		case VMB_DEV_PCAPNG_INTERFACE: result = take_interface(r, len); break;
		case VMB_DEV_PCAPNG_PACKET: result = take_packet(r, len, record); break;
		default: result = 0; /* for others */
		}
		if (result < 0)
			return result;
		r->at += len;
		if (result)
			return result;
	}
	return len;
}

static int read_all(struct vmb_dev_trace_file *file, int fd)
{
	uint64_t at = 0;
	ssize_t len;

	file->bytes = malloc(file->len + 1);
	if (!file->bytes)
		return -ENOMEM;
	while (at < file->len && (len = read(fd, file->bytes + at, file->len - at)) != 0) {
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		at += len;
	}
	file->len = at; /* shorter: it was cut meanwhile */
	return 0;
}

int vmb_dev_trace_load(struct vmb_dev_trace_file *file, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), error = 0;
	struct stat about;

	*file = (struct vmb_dev_trace_file){ 0 };
	if (fd < 0 || fstat(fd, &about))
		error = -errno;
	else if (!S_ISREG(about.st_mode))
		error = -EINVAL;
	else if ((uint64_t)about.st_size > VMB_DEV_TRACE_FILE_LEN_MAX)
		error = -EFBIG;
	if (!error) {
		file->len = about.st_size;
		error = read_all(file, fd);
	}
	if (fd >= 0)
		close(fd);
	if (!error)
		return 0;
	vmb_dev_report("%s: %s; give a recording of openvmbus run --trace", path,
		       error == -EINVAL ? "not a file" : strerror(-error));
	vmb_dev_trace_unload(file);
	return error;
}

void vmb_dev_trace_unload(struct vmb_dev_trace_file *file)
{
	free(file->bytes);
	*file = (struct vmb_dev_trace_file){ 0 };
}

/* Packets */

struct vmb_pkt_desc vmb_dev_trace_desc(const uint8_t *packet)
{
	struct vmb_pkt_desc desc;

	memcpy(&desc, packet, sizeof(desc));
	return desc;
}

bool vmb_dev_trace_has_packet(const struct vmb_dev_trace_record *record)
{
	struct vmb_pkt_desc desc;

	if (record->len < sizeof(desc) || record->len != record->original_len)
		return false;
	desc = vmb_dev_trace_desc(record->bytes);
	return desc.offset8 * 8u >= sizeof(desc) && desc.offset8 <= desc.len8 &&
	       desc.len8 * 8u == record->len;
}

int vmb_dev_trace_write_packet(struct vmb_ring_writer *w, const uint8_t *packet, uint32_t len)
{
	const struct vmb_pkt_desc desc = vmb_dev_trace_desc(packet);
	const uint32_t payload_at = desc.offset8 * 8u;
	const struct vmb_ring_part header = { packet + sizeof(desc), payload_at - sizeof(desc) };
	const struct vmb_ring_part payload = { packet + payload_at, len - payload_at };
	const struct vmb_ring_packet out = { .type = desc.type,
					     .flags = desc.flags,
					     .transaction_id = desc.transaction_id,
					     .header = &header,
					     .header_count = header.len ? 1 : 0,
					     .payload = &payload,
					     .payload_count = payload.len ? 1 : 0 };

	return vmb_ring_write(w, &out);
}
