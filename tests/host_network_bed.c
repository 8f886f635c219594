// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A guest of a few lines, which writes NVSP and RNDIS byte by byte. */
#include "tests/host_network_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

uint32_t nic_get32(const void *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

uint16_t nic_get16(const void *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

void nic_put32(void *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

struct vmb_host_network_config nic_config(void)
{
	struct vmb_host_network_config config = { 0 };
	static const uint8_t mac[6] = { 0x00, 0x15, 0x5D, 0x01, 0x02, 0x03 };

	memcpy(config.rndis.mac, mac, sizeof(mac));
	config.rndis.mtu_max = 9000;
	config.rndis.link_speed = 100000000;
	config.rndis.offload = 0xF;
	config.rndis.queue_count_max = NIC_QUEUE_COUNT;
	return config;
}

void nic_start(struct nic *nic, const struct vmb_host_network_config *config)
{
	memset(nic, 0, sizeof(*nic));
	memset(&nic->io, 0xEE, sizeof(nic->io)); /* used before */
	nic->receive_len = NIC_RECEIVE_LEN;
	nic->message_len = 40;
	assert_int_equal(vmb_host_network_init(&nic->n, config, nic->queues), 0);
}

static void forget_frames(struct nic *nic)
{
	while (nic->frame_count)
		free(nic->frames[--nic->frame_count].bytes);
}

void nic_end(struct nic *nic)
{
	forget_frames(nic);
	free(nic->receive_buffer);
	free(nic->send_buffer);
}

/* Bytes that whoever reads or writes outside of them is caught at. */
static int share(struct nic *nic)
{
	uint8_t **buffer = nic->io.receive_buffer ? &nic->receive_buffer : &nic->send_buffer;
	uint32_t len = nic->io.receive_buffer ? nic->receive_len : NIC_SEND_LEN;

	if (nic->no_memory)
		return vmb_host_network_shared(&nic->n, &nic->io, NULL, 0);
	assert_null(*buffer);
	*buffer = malloc(len);
	assert_non_null(*buffer);
	memset(*buffer, 0xDB, len);
	nic->shared_count++;
	return vmb_host_network_shared(&nic->n, &nic->io, *buffer, len);
}

static int unshare(struct nic *nic)
{
	uint8_t **buffer = nic->io.receive_buffer ? &nic->receive_buffer : &nic->send_buffer;

	assert_ptr_equal(nic->io.memory, *buffer);
	assert_int_equal(nic->io.len, nic->io.receive_buffer ? nic->receive_len : NIC_SEND_LEN);
	free(*buffer);
	*buffer = NULL;
	nic->unshared_count++;
	nic->unshared_gpadl = nic->io.gpadl_id;
	return vmb_host_network_unshared(&nic->n, &nic->io);
}

static void take_frames(struct nic *nic)
{
	struct vmb_host_network_frame frame;

	while (vmb_host_network_send_next(&nic->n, &nic->io, &frame)) {
		assert_true(nic->frame_count < NIC_FRAMES_MAX);
		nic->frames[nic->frame_count].frame = frame;
		nic->frames[nic->frame_count].bytes = malloc(frame.rndis.len);
		assert_true(vmb_host_network_copy(&nic->io, frame.offset,
						  nic->frames[nic->frame_count].bytes,
						  frame.rndis.len));
		nic->frame_count++;
	}
}

static int carry_out(struct nic *nic, int step, const struct vmb_host_offload_piece *pieces,
		     uint32_t count)
{
	switch (step) {
	case VMB_HOST_NETWORK_SHARE: return share(nic);
	case VMB_HOST_NETWORK_UNSHARE: return unshare(nic);
	case VMB_HOST_NETWORK_CONTROL:
		return vmb_host_network_control(&nic->n, &nic->io, pieces, count);
	case VMB_HOST_NETWORK_SEND:
		step = vmb_host_network_send(&nic->n, &nic->io, pieces, count);
		if (step != VMB_HOST_NETWORK_SEND)
			return step;
		take_frames(nic);
		return vmb_host_network_send_done(&nic->n, &nic->io);
	default: fail_msg("step %d", step);
	}
	return 0;
}

static bool final(int step)
{
	return step < 0 || step == VMB_HOST_NETWORK_REPLY || step == VMB_HOST_NETWORK_NOTHING ||
	       step == VMB_HOST_NETWORK_SUB_CHANNELS;
}

int nic_packet(struct nic *nic, uint16_t queue, const struct vmb_host_network_packet *packet,
	       const struct vmb_host_offload_piece *pieces, uint32_t count)
{
	int step;

	forget_frames(nic);
	memset(nic->reply, 0xA5, sizeof(nic->reply));
	step = vmb_host_network_input(&nic->n, queue, &nic->io, packet);
	while (!final(step))
		step = carry_out(nic, step, pieces, count);
	if (step == VMB_HOST_NETWORK_REPLY || step == VMB_HOST_NETWORK_SUB_CHANNELS) {
		assert_true(packet->flags & 1);
		assert_int_equal(nic->io.transaction_id, packet->transaction_id);
		assert_true(nic->io.reply_len <= sizeof(nic->io.reply));
		memcpy(nic->reply, nic->io.reply, nic->io.reply_len);
	}
	nic->step = step;
	return step;
}

int nic_message(struct nic *nic, bool ask, uint32_t count, ...)
{
	struct vmb_host_network_packet packet = { .type = 6, .transaction_id = 0x1122334455667788 };
	uint8_t *payload = calloc(1, nic->message_len);
	va_list words;
	uint32_t i;

	va_start(words, count);
	for (i = 0; i < count; i++)
		nic_put32(payload + 4 * i, va_arg(words, uint32_t));
	va_end(words);
	packet.flags = ask || nic->asks_always;
	packet.payload = payload;
	packet.payload_len = nic->message_len;
	nic_packet(nic, 0, &packet, NULL, 0);
	free(payload);
	return nic->step;
}

void nic_open(struct nic *nic, uint32_t version, uint32_t mtu, uint64_t capabilities)
{
	vmb_host_network_reset(&nic->n);
	assert_int_equal(nic_message(nic, true, 3, 1, version, version), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply), 2);
	assert_int_equal(nic_get32(nic->reply + 12), 1);
	if (version >= 0x00030002)
		assert_int_equal(nic_message(nic, false, 5, 125, mtu, 0, (uint32_t)capabilities,
					     (uint32_t)(capabilities >> 32)),
				 nic->asks_always ? VMB_HOST_NETWORK_REPLY :
						    VMB_HOST_NETWORK_NOTHING);
	nic_message(nic, false, 3, 100, 6, version >= 0x00050000 ? 30 : 1);
	assert_int_equal(nic_message(nic, true, 3, 101, 0xE1E10, 0xCAFE), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply), 102);
	assert_int_equal(nic_get32(nic->reply + 4), 1);
	assert_int_equal(nic_message(nic, true, 3, 104, 0xE1E11, 0), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply), 105);
	assert_int_equal(nic_get32(nic->reply + 4), 1);
}

static uint32_t send_ranges(struct nic *nic, uint16_t queue, uint32_t channel_type,
			    const void *bytes, uint32_t len, uint32_t count)
{
	struct vmb_host_network_packet packet = { .type = 9, .flags = 1, .transaction_id = 0 };
	struct vmb_host_offload_piece *pieces = calloc(count, sizeof(*pieces));
	uint32_t payload[10] = { 107, channel_type, 0xFFFFFFFF, 0 }, i, at = 0, part;
	uint8_t **copies = calloc(count, sizeof(*copies));

	for (i = 0; i < count; i++, at += part) {
		part = i + 1 == count ? len - at : len / count;
		copies[i] = malloc(part ? part : 1);
		memcpy(copies[i], (const uint8_t *)bytes + at, part);
		pieces[i].base = copies[i];
		pieces[i].len = part;
	}
	packet.payload = payload;
	packet.payload_len = nic->message_len;
	packet.range_count = count;
	nic_packet(nic, queue, &packet, pieces, count);
	for (i = 0; i < count; i++)
		free(copies[i]);
	free(copies);
	free(pieces);
	assert_int_equal(nic->step, VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply), 108);
	return nic_get32(nic->reply + 4);
}

uint32_t nic_control(struct nic *nic, const void *message, uint32_t len)
{
	return send_ranges(nic, 0, 1, message, len, 1);
}

uint32_t nic_send(struct nic *nic, uint16_t queue, const void *bytes, uint32_t len, uint32_t count)
{
	return send_ranges(nic, queue, 0, bytes, len, count);
}

uint32_t nic_send_section(struct nic *nic, uint16_t queue, uint32_t index, const void *bytes,
			  uint32_t len)
{
	struct vmb_host_network_packet packet = { .type = 6, .flags = 1, .transaction_id = 77 };
	uint32_t payload[10] = { 107, 0, index, len };

	if (index * 6144ull + len <= NIC_SEND_LEN && nic->send_buffer)
		memcpy(nic->send_buffer + index * 6144, bytes, len);
	packet.payload = payload;
	packet.payload_len = nic->message_len;
	nic_packet(nic, queue, &packet, NULL, 0);
	assert_int_equal(nic->step, VMB_HOST_NETWORK_REPLY);
	return nic_get32(nic->reply + 4);
}

void nic_ack(struct nic *nic, uint16_t queue, uint64_t transaction_id)
{
	struct vmb_host_network_packet packet = { .type = 11, .transaction_id = transaction_id };
	uint32_t payload[2] = { 108, 1 };

	packet.payload = payload;
	packet.payload_len = sizeof(payload);
	assert_int_equal(nic_packet(nic, queue, &packet, NULL, 0), VMB_HOST_NETWORK_NOTHING);
}

bool nic_take_answer(struct nic *nic)
{
	const struct vmb_host_network_output *out = vmb_host_network_output(&nic->n, 0);
	const struct vmb_gpa_range *range;

	nic->answer_len = 0;
	if (!out)
		return false;
	assert_int_equal(out->type, 7);
	assert_int_equal(out->flags, 1);
	assert_int_equal(out->header_len, 16);
	assert_int_equal(out->header.pages.range_count, 1);
	assert_int_equal(nic_get32(out->payload), 107);
	assert_int_equal(nic_get32(out->payload + 4), 1);
	assert_int_equal(nic_get32(out->payload + 8), 0xFFFFFFFF);
	assert_int_equal(nic_get32(out->payload + 12), 0);
	range = out->header.ranges;
	assert_true(range->byte_count <= sizeof(nic->answer));
	assert_true(range->byte_offset + range->byte_count <= nic->receive_len);
	memcpy(nic->answer, nic->receive_buffer + range->byte_offset, range->byte_count);
	nic->answer_len = range->byte_count;
	assert_int_equal(nic_get32(nic->answer + 4), nic->answer_len);
	vmb_host_network_output_done(&nic->n, 0);
	nic_ack(nic, 0, range->byte_offset / nic->n.suballoc_len);
	return true;
}

void nic_initialize(struct nic *nic)
{
	uint32_t message[6] = { 2, 24, 0x10001, 1, 0, 0x4000 };

	assert_int_equal(nic_control(nic, message, sizeof(message)), 1);
	assert_true(nic_take_answer(nic));
	assert_int_equal(nic_get32(nic->answer), 0x80000002);
	assert_int_equal(nic_get32(nic->answer + 8), 0x10001);
	assert_int_equal(nic_get32(nic->answer + 12), 0);
}

static uint32_t ask(struct nic *nic, uint32_t type, uint32_t oid, const void *data,
		    uint32_t data_len)
{
	static uint32_t id = 0x20000;
	uint8_t *message = calloc(1, 28 + data_len);
	uint32_t status;

	nic_put32(message, type);
	nic_put32(message + 4, 28 + data_len);
	nic_put32(message + 8, ++id);
	nic_put32(message + 12, oid);
	nic_put32(message + 16, data_len);
	nic_put32(message + 20, 20);
	if (data_len)
		memcpy(message + 28, data, data_len);
	status = nic_control(nic, message, 28 + data_len);
	free(message);
	assert_int_equal(status, 1);
	assert_true(nic_take_answer(nic));
	assert_int_equal(nic_get32(nic->answer), type | 0x80000000);
	assert_int_equal(nic_get32(nic->answer + 8), id);
	return nic_get32(nic->answer + 12);
}

uint32_t nic_query(struct nic *nic, uint32_t oid, const void *data, uint32_t data_len,
		   uint32_t *len)
{
	uint32_t status = ask(nic, 4, oid, data, data_len);

	*len = nic_get32(nic->answer + 16);
	assert_int_equal(nic_get32(nic->answer + 20), 16);
	assert_int_equal(nic->answer_len, 24 + *len);
	return status;
}

uint32_t nic_set(struct nic *nic, uint32_t oid, const void *data, uint32_t data_len)
{
	uint32_t status = ask(nic, 5, oid, data, data_len);

	assert_int_equal(nic->answer_len, 16);
	return status;
}

uint32_t nic_wrap(uint8_t *at, const void *info, uint32_t info_len, const void *frame, uint32_t len)
{
	memset(at, 0, 44);
	nic_put32(at, 1);
	nic_put32(at + 4, 44 + info_len + len);
	nic_put32(at + 8, 36 + info_len);
	nic_put32(at + 12, len);
	nic_put32(at + 28, info_len ? 36 : 0);
	nic_put32(at + 32, info_len);
	if (info_len)
		memcpy(at + 44, info, info_len);
	memcpy(at + 44 + info_len, frame, len);
	return 44 + info_len + len;
}
