// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Plays the host engine's port, and writes a guest's messages byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host_bed.h"

static const struct vmb_host_ram ram[] = {
	{ BED_FIRST_PFN, 0x10000 },
	{ BED_HIGH_PFN, 16 },
};

struct bed *bed_new(uint32_t version_min, uint32_t version_max)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	assert_non_null(bed);
	bed->config.version_min = version_min;
	bed->config.version_max = version_max;
	bed->config.vp_count = BED_VP_COUNT;
	bed->config.ram = ram;
	bed->config.ram_count = 2;
	assert_int_equal(vmb_host_server_init(&bed->s, &bed->config), 0);
	return bed;
}

/* Takes everything down the way a port does; what then is still lent would be a leak. */
void bed_free(struct bed *bed)
{
	struct vmb_host_channel *ch;

	bed->hold_events = bed->hold_open = bed->hold_close = bed->hold_modify = false;
	bed->slot_busy = bed->hold_memory = false;
	bed_forget(bed);
	bed_pump(bed);
	if (bed->s.wanted)
		vmb_host_gpadl_supply(&bed->s, NULL, NULL);
	for (ch = bed->s.first; ch; ch = ch->next) {
		vmb_host_channel_opened(ch, VMB_STATUS_FAILURE);
		vmb_host_channel_modified(ch, 0);
	}
	vmb_host_server_reset(&bed->s);
	for (ch = bed->s.first; ch; ch = ch->next)
		vmb_host_channel_closed(ch);
	bed_pump(bed);
	assert_int_equal(bed->s.state, VMB_HOST_DISCONNECTED);
	assert_int_equal(bed->gpadls_lent, 0);
	while (bed->s.first) {
		vmb_host_channel_rescind(bed->s.first);
		bed_pump(bed);
	}
	free(bed);
}

struct vmb_host_channel *bed_device(struct bed *bed, uint8_t name, uint16_t index)
{
	struct vmb_host_channel *ch = calloc(1, sizeof(*ch));

	assert_non_null(ch);
	memset(ch->type_id.bytes, 0xA0, sizeof(ch->type_id.bytes));
	memset(ch->instance_id.bytes, name, sizeof(ch->instance_id.bytes));
	memset(ch->user, 0x55, sizeof(ch->user));
	ch->flags = VMB_OFFER_FLAG_ENUMERATE;
	ch->sub_channel_index = index;
	assert_int_equal(vmb_host_channel_offer(&bed->s, ch), 0);
	bed_pump(bed);
	return ch;
}

static void supply(struct bed *bed, uint32_t ranges_len)
{
	struct vmb_host_gpadl *gpadl;

	if (bed->hold_memory)
		return;
	if (bed->refuse_memory) {
		vmb_host_gpadl_supply(&bed->s, NULL, NULL);
		return;
	}
	gpadl = calloc(1, sizeof(*gpadl));
	assert_non_null(gpadl);
	/* Exactly as much as was asked for: the address sanitizer sees a byte too many. */
	gpadl->port = malloc(ranges_len);
	assert_non_null(gpadl->port);
	bed->gpadls_lent++;
	vmb_host_gpadl_supply(&bed->s, gpadl, gpadl->port);
}

static void handle_event(struct bed *bed, const struct vmb_host_event *event)
{
	struct bed_event *kept = &bed->events[bed->event_count++];

	assert_true(bed->event_count < BED_LOG_LEN);
	kept->type = event->type;
	kept->channel = event->channel;
	kept->gpadl_id = event->gpadl ? event->gpadl->id : 0;
	switch (event->type) {
	case VMB_HOST_EVENT_GPADL_WANTED: supply(bed, event->ranges_len); break;
	case VMB_HOST_EVENT_GPADL_RELEASED:
		free(event->gpadl->port);
		free(event->gpadl);
		bed->gpadls_lent--;
		break;
	case VMB_HOST_EVENT_OPEN:
		if (!bed->hold_open)
			vmb_host_channel_opened(event->channel, bed->open_status);
		break;
	case VMB_HOST_EVENT_CLOSE:
		if (!bed->hold_close)
			vmb_host_channel_closed(event->channel);
		break;
	case VMB_HOST_EVENT_MODIFY:
		if (!bed->hold_modify)
			vmb_host_channel_modified(event->channel, 0);
		break;
	case VMB_HOST_EVENT_RELEASED: free(event->channel); break;
	default: break;
	}
}

static void deliver(struct bed *bed)
{
	const struct vmb_host_server_output *out;
	struct bed_message *m;

	while (!bed->slot_busy && (out = vmb_host_server_output(&bed->s))) {
		m = &bed->messages[bed->message_count++];
		assert_true(bed->message_count < BED_LOG_LEN);
		assert_true(out->len <= sizeof(m->bytes));
		m->vp = out->target_vp;
		m->sint = out->target_sint;
		m->len = out->len;
		memcpy(m->bytes, out->payload, out->len);
		vmb_host_server_output_done(&bed->s);
	}
}

void bed_pump(struct bed *bed)
{
	struct vmb_host_event event;

	while (!bed->hold_events && vmb_host_server_event(&bed->s, &event))
		handle_event(bed, &event);
	deliver(bed);
}

uint32_t bed_post_on(struct bed *bed, uint32_t connection_id, const void *bytes, uint32_t len)
{
	uint8_t *copy = malloc(len); /* exact, for the address sanitizer */
	uint32_t status;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	status = vmb_host_server_input(&bed->s, connection_id, 1, copy, len);
	free(copy);
	bed_pump(bed);
	return status;
}

uint32_t bed_post(struct bed *bed, const void *bytes, uint32_t len)
{
	return bed_post_on(bed, 1, bytes, len);
}

const uint8_t *bed_expect(struct bed *bed, uint32_t number, uint32_t len)
{
	struct bed_message *m = &bed->messages[bed->message_next];

	assert_true(bed->message_next < bed->message_count);
	assert_int_equal(get32(m->bytes, 0), number);
	assert_int_equal(get32(m->bytes, 4), 0);
	assert_int_equal(m->len, len);
	bed->message_next++;
	return m->bytes;
}

void bed_expect_nothing(struct bed *bed)
{
	assert_int_equal(bed->message_next, bed->message_count);
}

struct bed_event *bed_expect_event(struct bed *bed, enum vmb_host_event_type type)
{
	assert_true(bed->event_next < bed->event_count);
	assert_int_equal(bed->events[bed->event_next].type, type);
	return &bed->events[bed->event_next++];
}

void bed_expect_no_event(struct bed *bed)
{
	assert_int_equal(bed->event_next, bed->event_count);
}

void bed_forget(struct bed *bed)
{
	bed->message_count = bed->message_next = 0;
	bed->event_count = bed->event_next = 0;
}

uint32_t get32(const uint8_t *b, uint32_t offset)
{
	b += offset;
	return b[0] | b[1] << 8 | b[2] << 16 | (uint32_t)b[3] << 24;
}

static void put(uint8_t *bytes, uint32_t offset, uint64_t value, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		bytes[offset + i] = (uint8_t)(value >> (8 * i));
}

void put16(uint8_t *bytes, uint32_t offset, uint16_t value)
{
	put(bytes, offset, value, 2);
}

void put32(uint8_t *bytes, uint32_t offset, uint32_t value)
{
	put(bytes, offset, value, 4);
}

void put64(uint8_t *bytes, uint32_t offset, uint64_t value)
{
	put(bytes, offset, value, 8);
}

uint32_t post_contact(struct bed *bed, uint32_t version, uint32_t vp)
{
	uint8_t m[40] = { 14 };

	put32(m, 8, version);
	put32(m, 12, vp);
	if (version >= 0x50000)
		m[16] = 2;
	else
		put64(m, 16, (uint64_t)BED_FIRST_PFN << 12);
	return bed_post_on(bed, version >= 0x50000 ? 4 : 1, m, sizeof(m));
}

uint32_t post_simple(struct bed *bed, uint32_t number)
{
	uint8_t m[8] = { (uint8_t)number };

	return bed_post(bed, m, sizeof(m));
}

uint32_t post_relid(struct bed *bed, uint32_t number, uint32_t relid)
{
	uint8_t m[12] = { (uint8_t)number };

	put32(m, 8, relid);
	return bed_post(bed, m, sizeof(m));
}

uint32_t post_open(struct bed *bed, uint32_t relid, uint32_t open_id, uint32_t gpadl_id,
		   uint32_t vp, uint32_t downstream_page)
{
	uint8_t m[148] = { 5 };

	put32(m, 8, relid);
	put32(m, 12, open_id);
	put32(m, 16, gpadl_id);
	put32(m, 20, vp);
	put32(m, 24, downstream_page);
	memset(m + 28, 0x77, 120);
	return bed_post(bed, m, sizeof(m));
}

uint32_t post_teardown(struct bed *bed, uint32_t relid, uint32_t gpadl_id)
{
	uint8_t m[16] = { 11 };

	put32(m, 8, relid);
	put32(m, 12, gpadl_id);
	return bed_post(bed, m, sizeof(m));
}

uint32_t post_modify(struct bed *bed, uint32_t relid, uint32_t vp)
{
	uint8_t m[16] = { 22 };

	put32(m, 8, relid);
	put32(m, 12, vp);
	return bed_post(bed, m, sizeof(m));
}

uint32_t post_gpadl(struct bed *bed, uint32_t relid, uint32_t gpadl_id, uint32_t pages)
{
	uint32_t sent = 0;
	uint32_t status;
	uint8_t m[240] = { 8 };

	put32(m, 8, relid);
	put32(m, 12, gpadl_id);
	put16(m, 16, (uint16_t)(8 + 8 * pages));
	put16(m, 18, 1);
	put32(m, 20, 4096 * pages);
	while (sent < pages && sent < 26) {
		put64(m, 28 + 8 * sent, BED_FIRST_PFN + sent);
		sent++;
	}
	status = bed_post(bed, m, 28 + 8 * sent);
	while (sent < pages && !status) {
		uint32_t part = 0;

		memset(m, 0, sizeof(m));
		m[0] = 9;
		put32(m, 12, gpadl_id);
		while (sent < pages && part < 28)
			put64(m, 16 + 8 * part++, BED_FIRST_PFN + sent++);
		status = bed_post(bed, m, 16 + 8 * part);
	}
	return status;
}

void bed_connect(struct bed *bed, uint32_t version)
{
	assert_int_equal(post_contact(bed, version, 0), 0);
	assert_int_equal(bed->s.state, VMB_HOST_CONNECTED);
	assert_int_equal(post_simple(bed, 3), 0);
	bed_forget(bed);
}

void bed_open(struct bed *bed, uint32_t relid, uint32_t gpadl_id)
{
	assert_int_equal(post_gpadl(bed, relid, gpadl_id, 8), 0);
	assert_int_equal(post_open(bed, relid, relid, gpadl_id, 1, 4), 0);
	assert_int_equal(bed->s.channels[relid]->state, VMB_HOST_CHANNEL_OPEN);
	bed_forget(bed);
}
