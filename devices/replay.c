// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Plays a recorded guest: posts its messages, writes its memory and its packets, and compares what
 * the devices answer.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/gpadl.h"
#include "devices/replay.h"
#include "devices/report.h"
#include "ring/ring.h"
#include "wire/network.h"

#define STEPS_MAX     100000u /* of all devices between two records */
#define KEPT_MAX      65536u /* messages or packets of the host that nobody looked for */
#define GPADL_MAX     1024u
#define LOOK_AHEAD    256u /* records behind a packet that may be its memory */
#define TEXT_MAX      300u
#define RELID_UNKNOWN 0u

/* Bytes that the host sent and the recording has not had yet. */
struct kept {
	struct kept *next;
	uint32_t len;
	uint8_t bytes[];
};

struct kept_list {
	struct kept *first, **end;
	uint32_t count;
};

struct gpadl {
	uint32_t id, pfn_count, want; /* want: page numbers that it will have */
	uint64_t *pfns;
};

struct channel {
	bool known; /* the devices have it */
	uint32_t relid; /* of the replay */
	bool is_network;
	struct vmb_guid instance_id;
	uint32_t receive_gpadl, send_gpadl; /* of the primary: the network's buffers */
	/* the guest's end of the rings, while open */
	uint8_t *pages;
	uint32_t page_count;
	struct vmb_ring_writer tx;
	struct vmb_ring_reader rx;
	struct kept_list packets; /* of the host */
};

struct replay {
	const struct vmb_dev_replay_config *config;
	struct vmb_dev_replay_result *result;
	struct vmb_dev_machine machine;
	struct vmb_dev_bus *bus;
	struct vmb_dev_trace_reader reader;
	struct vmb_dev_trace_record record;
	struct kept_list messages;
	struct gpadl gpadls[GPADL_MAX];
	struct channel channels[VMB_CHANNEL_COUNT_MAX]; /* by the recording's relid */
	uint32_t relid_end; /* all that were offered are below */
	bool offsets_differ; /* a frame was left out: the receive buffer is used in another way */
	bool failed;
	/* transactions of the host whose answers are left out */
	uint64_t skipped[KEPT_MAX];
	uint32_t skipped_count;
	uint8_t scratch[VMB_DEV_TRACE_RECORD_LEN_MAX];
};

/* Differences */

static void differ(struct replay *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void differ(struct replay *r, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	r->result->differences++;
	r->config->differs(r->config->arg, r->record.number, text);
}

/* Where two are not the same, with the bytes there. */
static void differ_at(struct replay *r, const char *what, const uint8_t *expected,
		      uint32_t expected_len, const uint8_t *got, uint32_t got_len)
{
	uint32_t at = 0, len = expected_len < got_len ? expected_len : got_len;

	while (at < len && expected[at] == got[at])
		at++;
	if (at == len)
		differ(r, "%s: %u bytes expected, got %u", what, expected_len, got_len);
	else
		differ(r, "%s: byte %u: expected 0x%02x, got 0x%02x", what, at, expected[at],
		       got[at]);
}

/* Kept bytes */

static void keep(struct replay *r, struct kept_list *list, const void *bytes, uint32_t len)
{
	struct kept *kept = list->count < KEPT_MAX ? malloc(sizeof(*kept) + len) : NULL;

	if (!kept) {
		r->failed = true;
		return;
	}
	kept->next = NULL;
	kept->len = len;
	memcpy(kept->bytes, bytes, len);
	if (!list->end)
		list->end = &list->first;
	*list->end = kept;
	list->end = &kept->next;
	list->count++;
}

static void drop(struct kept_list *list, struct kept **at)
{
	struct kept *kept = *at;

	*at = kept->next;
	if (!*at)
		list->end = at;
	list->count--;
	free(kept);
}

static void drop_all(struct kept_list *list)
{
	while (list->first)
		drop(list, &list->first);
	list->end = &list->first;
}

/* The machine */

static int connect_bell(struct vmb_dev_machine *machine, uint32_t connection_id,
			struct vmb_dev_bell *bell, bool on)
{
	return 0;
}

static void signal_vp(struct vmb_dev_machine *machine, uint32_t vp, uint32_t flag)
{
}

static int post_message(struct vmb_dev_machine *machine, uint32_t vp, uint32_t sint,
			const void *payload, uint32_t len)
{
	struct replay *r = VMB_CONTAINER_OF(machine, struct replay, machine);

	keep(r, &r->messages, payload, len);
	return 0;
}

static void fail(struct vmb_dev_machine *machine)
{
	VMB_CONTAINER_OF(machine, struct replay, machine)->failed = true;
}

static const struct vmb_dev_machine_ops machine_ops = {
	.doorbell = connect_bell, .signal = signal_vp, .post = post_message, .fail = fail
};

static struct vmb_dev_channel *device_channel(struct replay *r, const struct channel *ch)
{
	struct vmb_host_channel *host = vmb_host_channel_find(&r->bus->server, ch->relid);

	return host ? VMB_CONTAINER_OF(host, struct vmb_dev_channel, host) : NULL;
}

static void ring_bell(struct replay *r, const struct channel *ch)
{
	struct vmb_dev_channel *device = device_channel(r, ch);

	if (device)
		vmb_dev_bell_ring(&device->bell);
}

/* Takes all packets that the host has written. Returns whether there were any. */
static bool drain(struct replay *r, struct channel *ch)
{
	struct vmb_ring_received received;
	uint32_t len;
	bool any = false;

	while (vmb_ring_read(&ch->rx, &received) == 0) {
		len = sizeof(struct vmb_pkt_desc) + received.header_len + received.payload_len;
		if (len > sizeof(r->scratch))
			len = sizeof(r->scratch);
		vmb_ring_copy(&ch->rx, &received, 0, r->scratch, len);
		keep(r, &ch->packets, r->scratch, len);
		vmb_ring_next(&ch->rx, &received);
		any = true;
	}
	if (vmb_ring_release(&ch->rx))
		ring_bell(r, ch);
	return any;
}

static bool step_devices(struct replay *r)
{
	bool any = vmb_dev_doorbell_step(&r->bus->doorbell);

	for (uint32_t i = 0; i < r->config->device_count; i++)
		any |= r->config->devices[i].ops->step(r->config->devices[i].state);
	for (uint32_t i = 0; i < r->relid_end; i++)
		if (r->channels[i].pages)
			any |= drain(r, &r->channels[i]);
	return any;
}

static void settle(struct replay *r)
{
	uint32_t steps = 0;

	while (step_devices(r) && !r->failed)
		if (++steps == STEPS_MAX)
			r->failed = true;
}

/* GPADLs, as the guest's messages tell of them */

static struct gpadl *find_gpadl(struct replay *r, uint32_t id)
{
	for (uint32_t i = 0; i < GPADL_MAX; i++)
		if (r->gpadls[i].pfns && r->gpadls[i].id == id)
			return &r->gpadls[i];
	return NULL;
}

static void free_gpadl(struct gpadl *g)
{
	free(g->pfns);
	*g = (struct gpadl){ 0 };
}

static void add_pfns(struct gpadl *g, const uint8_t *bytes, uint32_t len)
{
	for (; len >= sizeof(uint64_t) && g->pfn_count < g->want; len -= sizeof(uint64_t)) {
		memcpy(&g->pfns[g->pfn_count++], bytes, sizeof(uint64_t));
		bytes += sizeof(uint64_t);
	}
}

/* The range list begins with its length and offset; rings and buffers have one range. */
static void begin_gpadl(struct replay *r, const uint8_t *bytes, uint32_t len)
{
	struct vmb_msg_gpadl_header header;
	struct gpadl *g = NULL;
	uint32_t begin = sizeof(header) + sizeof(struct vmb_gpa_range);

	if (len < begin)
		return;
	memcpy(&header, bytes, sizeof(header));
	for (uint32_t i = 0; i < GPADL_MAX && !g; i++)
		if (!r->gpadls[i].pfns)
			g = &r->gpadls[i];
	if (!g || header.ranges_len < sizeof(struct vmb_gpa_range) ||
	    find_gpadl(r, header.gpadl_id))
		return;
	g->id = header.gpadl_id;
	g->want = (header.ranges_len - sizeof(struct vmb_gpa_range)) / sizeof(uint64_t);
	g->pfns = calloc(g->want ? g->want : 1, sizeof(*g->pfns));
	if (g->pfns)
		add_pfns(g, bytes + begin, len - begin);
}

static void continue_gpadl(struct replay *r, const uint8_t *bytes, uint32_t len)
{
	struct vmb_msg_gpadl_body body;
	struct gpadl *g;

	if (len < sizeof(body))
		return;
	memcpy(&body, bytes, sizeof(body));
	g = find_gpadl(r, body.gpadl_id);
	if (g)
		add_pfns(g, bytes + sizeof(body), len - sizeof(body));
}

static void forget_gpadl(struct replay *r, const uint8_t *bytes, uint32_t len)
{
	struct vmb_msg_gpadl_teardown message;
	struct gpadl *g;

	if (len < sizeof(message))
		return;
	memcpy(&message, bytes, sizeof(message));
	g = find_gpadl(r, message.gpadl_id);
	if (g)
		free_gpadl(g);
}

/* The guest's memory */

/* Writes from offset of the first page on; false: not all is memory. */
static bool write_pages(struct replay *r, const uint64_t *pfns, uint32_t pfn_count, uint32_t offset,
			const uint8_t *bytes, uint32_t len)
{
	uint32_t part, i = offset / VMB_PAGE_LEN, into = offset % VMB_PAGE_LEN;
	uint8_t *page;

	for (; len; len -= part, bytes += part, into = 0, i++) {
		page = i < pfn_count ? vmb_dev_memory_page(r->config->memory, pfns[i]) : NULL;
		if (!page)
			return false;
		part = VMB_PAGE_LEN - into < len ? VMB_PAGE_LEN - into : len;
		memcpy(page + into, bytes, part);
	}
	return true;
}

/* Writes into the ranges of a GPA-direct packet, one behind the other, from at on. */
static bool write_ranges(struct replay *r, const uint8_t *packet, uint32_t header_end, uint32_t at,
			 const uint8_t *bytes, uint32_t len)
{
	uint32_t position = sizeof(struct vmb_pkt_desc) + sizeof(struct vmb_pkt_gpa_direct);
	uint64_t pfns[VMB_PAGE_LEN / sizeof(uint64_t)], count;
	struct vmb_gpa_range range;
	uint32_t part;

	while (len && position + sizeof(range) <= header_end) {
		memcpy(&range, packet + position, sizeof(range));
		position += sizeof(range);
		count = ((uint64_t)range.byte_offset + range.byte_count + VMB_PAGE_LEN - 1) /
			VMB_PAGE_LEN;
		if (range.byte_offset >= VMB_PAGE_LEN || count > VMB_ARRAY_COUNT(pfns) ||
		    count * sizeof(pfns[0]) > header_end - position)
			return false;
		memcpy(pfns, packet + position, count * sizeof(pfns[0]));
		position += count * sizeof(pfns[0]);
		part = at >= range.byte_count ? 0 : range.byte_count - at;
		if (part > len)
			part = len;
		if (part && !write_pages(r, pfns, count, range.byte_offset + at, bytes, part))
			return false;
		at = part ? 0 : at - range.byte_count;
		bytes += part;
		len -= part;
	}
	return !len;
}

/* The send buffer is the primary's, whichever channel names a section of it. */
static uint32_t send_gpadl_of(const struct replay *r, const struct channel *ch)
{
	const struct channel *other;

	for (uint32_t i = 0; i < VMB_CHANNEL_COUNT_MAX; i++) {
		other = &r->channels[i];
		if (other->known && other->send_gpadl &&
		    vmb_guid_equal(&other->instance_id, &ch->instance_id))
			return other->send_gpadl;
	}
	return 0;
}

/* A data record's place in memory; packet is the one that names it. */
static bool write_data(struct replay *r, const struct channel *ch,
		       const struct vmb_dev_trace_data *data, const uint8_t *packet, uint8_t *bytes,
		       uint32_t len)
{
	struct vmb_pkt_desc desc;
	struct gpadl *g;

	memcpy(&desc, packet, sizeof(desc));
	if (data->place == VMB_DEV_TRACE_PAGES)
		return write_ranges(r, packet, desc.offset8 * 8u, data->offset, bytes, len);
	g = find_gpadl(r, send_gpadl_of(r, ch));
	return data->place == VMB_DEV_TRACE_SEND_BUFFER && g &&
	       write_pages(r, g->pfns, g->pfn_count, data->offset, bytes, len);
}

/* Messages */

static uint32_t word_at(const uint8_t *bytes, uint32_t len, uint32_t at)
{
	uint32_t word = 0;

	if (len >= sizeof(word) && at <= len - sizeof(word))
		memcpy(&word, bytes + at, sizeof(word));
	return word;
}

static uint32_t message_type(const uint8_t *bytes, uint32_t len)
{
	return word_at(bytes, len, 0);
}

/* Where a message has the relid of its channel; 0: it has none. */
static uint32_t relid_at(uint32_t type)
{
	switch (type) {
	case VMB_MSG_OFFER: return offsetof(struct vmb_msg_offer, relid);
	case VMB_MSG_RESCIND:
	case VMB_MSG_OPEN:
	case VMB_MSG_OPEN_RESULT:
	case VMB_MSG_CLOSE:
	case VMB_MSG_GPADL_HEADER:
	case VMB_MSG_GPADL_CREATED:
	case VMB_MSG_GPADL_TEARDOWN:
	case VMB_MSG_RELID_RELEASED:
	case VMB_MSG_OPEN_RESERVED:
	case VMB_MSG_CLOSE_RESERVED:
	case VMB_MSG_CLOSE_RESERVED_RESPONSE:
	case VMB_MSG_MODIFY_CHANNEL:
	case VMB_MSG_MODIFY_CHANNEL_RESPONSE: return sizeof(struct vmb_msg_header);
	default: return 0;
	}
}

/* Where a message that has no relid, or whose relid is not enough, names a GPADL; 0: nowhere. */
static uint32_t gpadl_at(uint32_t type)
{
	switch (type) {
	case VMB_MSG_GPADL_CREATED: return offsetof(struct vmb_msg_gpadl_created, gpadl_id);
	case VMB_MSG_GPADL_TORNDOWN: return offsetof(struct vmb_msg_gpadl_torndown, gpadl_id);
	default: return 0;
	}
}

static struct channel *channel_of(struct replay *r, uint32_t relid)
{
	return relid < VMB_CHANNEL_COUNT_MAX ? &r->channels[relid] : &r->channels[RELID_UNKNOWN];
}

/* Puts the replay's relid in the place of the recording's. False: there is no such channel. */
static bool translate(struct replay *r, uint8_t *bytes, uint32_t len)
{
	uint32_t at = relid_at(message_type(bytes, len)), relid;
	struct channel *ch;

	if (!at || len < at + sizeof(relid))
		return true;
	ch = channel_of(r, word_at(bytes, len, at));
	if (ch->known)
		memcpy(bytes + at, &ch->relid, sizeof(relid));
	return ch->known;
}

static bool same_channel(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	const uint32_t ids = 2 * sizeof(struct vmb_guid);

	if (message_type(a, len) == VMB_MSG_OFFER)
		return len >= VMB_MSG_OFFER_LEN_0_13 && memcmp(a + 8, b + 8, ids) == 0 &&
		       memcmp(a + offsetof(struct vmb_msg_offer, sub_channel_index),
			      b + offsetof(struct vmb_msg_offer, sub_channel_index), 2) == 0;
	if (gpadl_at(message_type(a, len)))
		return word_at(a, len, gpadl_at(message_type(a, len))) ==
		       word_at(b, len, gpadl_at(message_type(a, len)));
	return word_at(a, len, relid_at(message_type(a, len))) ==
	       word_at(b, len, relid_at(message_type(a, len)));
}

static struct kept **find_message(struct replay *r, const uint8_t *bytes, uint32_t len)
{
	struct kept **at = &r->messages.first;

	for (; *at; at = &(*at)->next)
		if (message_type((*at)->bytes, (*at)->len) == message_type(bytes, len) &&
		    (*at)->len >= len && same_channel(bytes, (*at)->bytes, len))
			break;
	return at;
}

/* An offer makes a channel known. Its numbers are the host's to choose. */
static void take_offer(struct replay *r, uint8_t *bytes, uint32_t len, uint8_t *said)
{
	static const struct vmb_guid network = VMB_GUID_NETWORK;
	uint32_t at = offsetof(struct vmb_msg_offer, relid);
	uint32_t relid = word_at(bytes, len, at);
	struct channel *ch = channel_of(r, relid);

	if (!relid || relid >= VMB_CHANNEL_COUNT_MAX)
		return;
	ch->is_network = memcmp(bytes + sizeof(struct vmb_msg_header), &network, sizeof(network)) ==
			 0;
	memcpy(&ch->instance_id, bytes + offsetof(struct vmb_msg_offer, instance_id),
	       sizeof(ch->instance_id));
	ch->known = true;
	if (relid >= r->relid_end)
		r->relid_end = relid + 1;
	ch->relid = word_at(said, len, at);
	memcpy(bytes + at, said + at, len - at);
}

static const char *name_of(uint32_t type)
{
	static const char *const names[] = {
		[VMB_MSG_OFFER] = "OFFER_CHANNEL",
		[VMB_MSG_RESCIND] = "RESCIND_OFFER",
		[VMB_MSG_OFFERS_DELIVERED] = "OFFERS_DELIVERED",
		[VMB_MSG_OPEN_RESULT] = "OPEN_CHANNEL_RESULT",
		[VMB_MSG_GPADL_CREATED] = "GPADL_CREATED",
		[VMB_MSG_GPADL_TORNDOWN] = "GPADL_TORNDOWN",
		[VMB_MSG_VERSION_RESPONSE] = "VERSION_RESPONSE",
		[VMB_MSG_UNLOAD_COMPLETE] = "UNLOAD_COMPLETE",
		[VMB_MSG_MODIFY_CHANNEL_RESPONSE] = "MODIFY_CHANNEL_RESPONSE",
	};

	return type < VMB_ARRAY_COUNT(names) && names[type] ? names[type] : "message";
}

static void expect_message(struct replay *r, uint8_t *bytes, uint32_t len)
{
	uint32_t type = message_type(bytes, len);
	struct kept **at;

	if (type != VMB_MSG_OFFER && !translate(r, bytes, len)) {
		r->result->left_out++;
		return;
	}
	at = find_message(r, bytes, len);
	if (!*at && (type == VMB_MSG_OFFER || type == VMB_MSG_GPADL_TORNDOWN)) {
		r->result->left_out++;
		return;
	}
	if (!*at) {
		differ(r, "%s (message %u) was expected, and the host does not say it",
		       name_of(type), type);
		return;
	}
	if (type == VMB_MSG_OFFER)
		take_offer(r, bytes, len, (*at)->bytes);
	r->result->compared++;
	if ((*at)->len != len || memcmp((*at)->bytes, bytes, len))
		differ_at(r, name_of(type), bytes, len, (*at)->bytes, (*at)->len);
	drop(&r->messages, at);
}

/* Opening and closing, at the guest's end */

/*
 * Packets that nobody looked for. Requests that were under way when the recorded guest went end
 * here, so completions are not counted.
 */
static void judge_packets(struct replay *r, struct channel *ch)
{
	struct vmb_pkt_desc desc;

	for (struct kept *kept = ch->packets.first; kept; kept = kept->next) {
		desc = vmb_dev_trace_desc(kept->bytes);
		if (desc.type != VMB_PKT_COMPLETION)
			differ(r,
			       "the host also sends a packet of type %u on channel %u, which was "
			       "not expected",
			       desc.type, ch->relid);
	}
}

static void unmap(struct channel *ch)
{
	if (ch->pages)
		vmb_dev_gpadl_unmap(ch->pages, ch->page_count);
	ch->pages = NULL;
	drop_all(&ch->packets);
}

/* Before the host hears of it, as a guest does. */
static void map_rings(struct replay *r, const uint8_t *bytes, uint32_t len)
{
	struct vmb_msg_open open;
	struct channel *ch;
	struct gpadl *g;
	uint32_t down;

	if (len < VMB_MSG_OPEN_LEN)
		return;
	memcpy(&open, bytes, VMB_MSG_OPEN_LEN);
	ch = channel_of(r, open.relid);
	g = find_gpadl(r, open.gpadl_id);
	down = open.downstream_page;
	if (!ch->known || ch->pages || !g || down < 2 || down > g->pfn_count ||
	    g->pfn_count - down < 2)
		return;
	ch->pages = vmb_dev_gpadl_map(r->config->memory, g->pfns, g->pfn_count);
	if (!ch->pages)
		return;
	ch->page_count = g->pfn_count;
	ch->packets.end = &ch->packets.first;
	memset(ch->pages, 0, (size_t)g->pfn_count * VMB_PAGE_LEN);
	vmb_ring_writer_init(&ch->tx, ch->pages, ch->pages + VMB_PAGE_LEN,
			     (down - 1) * VMB_PAGE_LEN, true);
	vmb_ring_reader_init(&ch->rx, ch->pages + (size_t)down * VMB_PAGE_LEN,
			     ch->pages + (size_t)(down + 1) * VMB_PAGE_LEN,
			     (g->pfn_count - down - 1) * VMB_PAGE_LEN, true);
}

static void before_message(struct replay *r, const uint8_t *bytes, uint32_t len)
{
	switch (message_type(bytes, len)) {
	case VMB_MSG_GPADL_HEADER: begin_gpadl(r, bytes, len); break;
	case VMB_MSG_GPADL_BODY: continue_gpadl(r, bytes, len); break;
	case VMB_MSG_OPEN: map_rings(r, bytes, len); break;
	}
}

static void forget_channels(struct replay *r)
{
	for (uint32_t i = 0; i < VMB_CHANNEL_COUNT_MAX; i++) {
		unmap(&r->channels[i]);
		r->channels[i] = (struct channel){ 0 };
	}
}

static void after_message(struct replay *r, const uint8_t *bytes, uint32_t len)
{
	uint32_t relid = word_at(bytes, len, sizeof(struct vmb_msg_header));

	switch (message_type(bytes, len)) {
	case VMB_MSG_GPADL_TEARDOWN: forget_gpadl(r, bytes, len); break;
	case VMB_MSG_CLOSE:
		judge_packets(r, channel_of(r, relid));
		unmap(channel_of(r, relid));
		break;
	case VMB_MSG_UNLOAD: forget_channels(r); break;
	}
}

/* A channel that is left out has GPADLs too, whose continuations name nothing else. */
static bool concerns(struct replay *r, const uint8_t *bytes, uint32_t len)
{
	uint32_t type = message_type(bytes, len), at = relid_at(type);

	if (type == VMB_MSG_GPADL_BODY)
		return find_gpadl(r, word_at(bytes, len, 12));
	return !at || channel_of(r, word_at(bytes, len, at))->known;
}

static void post(struct replay *r, const uint8_t *recorded, uint32_t len)
{
	struct vmb_synic_post block = { .type = VMB_SYNIC_MESSAGE_VMBUS, .payload_len = len };
	uint32_t status;

	/* The guest was told to try again, and did. */
	if (len > sizeof(block.payload) || r->record.header.detail != VMB_HV_SUCCESS)
		return;
	if (!concerns(r, recorded, len)) {
		r->result->left_out++;
		return;
	}
	before_message(r, recorded, len);
	memcpy(block.payload, recorded, len);
	translate(r, block.payload, len);
	status = vmb_dev_bus_post(r->bus, r->record.header.id, &block);
	r->result->played++;
	if (status != VMB_HV_SUCCESS)
		differ(r, "the hypercall ends with %u, expected 0", status);
	settle(r);
	after_message(r, recorded, len);
}

/* Packets */

/* The payload's NVSP message type, or 0. */
static uint32_t nvsp_word(const uint8_t *packet, uint32_t len, uint32_t index)
{
	return word_at(packet, len,
		       vmb_dev_trace_desc(packet).offset8 * 8u + index * sizeof(uint32_t));
}

static bool take_data(struct replay *r, const struct channel *ch,
		      const struct vmb_dev_trace_record *record, const uint8_t *packet)
{
	struct vmb_dev_trace_data data;
	uint32_t len = record->len - sizeof(data);
	uint8_t *copy = malloc(len ? len : 1);
	bool good;

	if (!copy)
		return false;
	memcpy(&data, record->bytes, sizeof(data));
	memcpy(copy, record->bytes + sizeof(data), len);
	good = write_data(r, ch, &data, packet, copy, len);
	free(copy);
	r->result->cut += record->original_len > record->len;
	return good;
}

/* Whether it is another packet of the guest, with the same id: what follows may be of that one. */
static bool is_packet_of(const struct vmb_dev_trace_record *record, const struct vmb_pkt_desc *desc)
{
	return record->header.kind == VMB_DEV_TRACE_PACKET &&
	       record->header.direction == VMB_DEV_TRACE_TO_HOST && record->len >= sizeof(*desc) &&
	       vmb_dev_trace_desc(record->bytes).transaction_id == desc->transaction_id;
}

/* The guest's memory is recorded behind its packet, and must be there before it. */
static void write_memory(struct replay *r, struct channel *ch, const uint8_t *packet, uint32_t len)
{
	struct vmb_dev_trace_reader ahead = r->reader;
	const struct vmb_pkt_desc desc = vmb_dev_trace_desc(packet);
	struct vmb_dev_trace_record next;
	uint64_t transaction_id;

	for (uint32_t i = 0; i < LOOK_AHEAD && vmb_dev_trace_read(&ahead, &next) > 0; i++) {
		if (next.header.id != r->record.header.id ||
		    next.header.kind == VMB_DEV_TRACE_MESSAGE)
			continue;
		if (next.header.kind == VMB_DEV_TRACE_CONTROL || is_packet_of(&next, &desc))
			return;
		if (next.header.kind != VMB_DEV_TRACE_DATA ||
		    next.header.direction != VMB_DEV_TRACE_TO_HOST ||
		    next.len < sizeof(struct vmb_dev_trace_data))
			continue;
		memcpy(&transaction_id, next.bytes, sizeof(transaction_id));
		if (transaction_id == desc.transaction_id && !take_data(r, ch, &next, packet))
			differ(r, "record %u names memory that the packet does not", next.number);
	}
}

static bool is_skipped(struct replay *r, uint64_t transaction_id)
{
	for (uint32_t i = 0; i < r->skipped_count; i++) {
		if (r->skipped[i] != transaction_id)
			continue;
		r->skipped[i] = r->skipped[--r->skipped_count];
		return true;
	}
	return false;
}

/* What the guest lends for frames. */
static void note_buffers(struct channel *ch, const uint8_t *packet, uint32_t len)
{
	uint32_t type = nvsp_word(packet, len, 0);

	if (type == VMB_NET_SEND_RECEIVE_BUFFER)
		ch->receive_gpadl = nvsp_word(packet, len, 1);
	if (type == VMB_NET_SEND_SEND_BUFFER)
		ch->send_gpadl = nvsp_word(packet, len, 1);
}

static void play_packet(struct replay *r, struct channel *ch)
{
	const uint8_t *packet = r->record.bytes;
	uint32_t len = r->record.len;
	int error;

	if (vmb_dev_trace_desc(packet).type == VMB_PKT_COMPLETION &&
	    is_skipped(r, vmb_dev_trace_desc(packet).transaction_id)) {
		r->result->left_out++;
		return;
	}
	if (!ch->pages) {
		differ(r, "the guest sends a packet on a channel that is not open here");
		return;
	}
	if (ch->is_network)
		note_buffers(ch, packet, len);
	write_memory(r, ch, packet, len);
	error = vmb_dev_trace_write_packet(&ch->tx, packet, len);
	if (error) {
		differ(r, "the ring to the host takes no packet (error %d)", error);
		return;
	}
	vmb_ring_commit(&ch->tx);
	ring_bell(r, ch);
	r->result->played++;
	settle(r);
}

/* Completions by their id; others in their order. */
static struct kept **find_packet(struct channel *ch, const struct vmb_pkt_desc *want)
{
	struct kept **at = &ch->packets.first;
	struct vmb_pkt_desc desc;

	for (; *at; at = &(*at)->next) {
		desc = vmb_dev_trace_desc((*at)->bytes);
		if (desc.type != want->type)
			continue;
		if (want->type != VMB_PKT_COMPLETION || desc.transaction_id == want->transaction_id)
			break;
	}
	return at;
}

/* Where the receive buffer is used in another way, places in it are not compared. */
static void hide_offsets(uint8_t *packet, uint32_t len)
{
	const struct vmb_pkt_desc desc = vmb_dev_trace_desc(packet);
	uint32_t at = sizeof(desc) + sizeof(struct vmb_pkt_transfer_pages);

	for (; at + 8 <= desc.offset8 * 8u && at + 8 <= len; at += 8)
		memset(packet + at + 4, 0, 4);
	memset(packet + offsetof(struct vmb_pkt_desc, transaction_id), 0, 8);
}

static void compare_packet(struct replay *r, uint8_t *expected, uint32_t len, struct kept *got)
{
	char what[64];

	if (r->offsets_differ && vmb_dev_trace_desc(expected).type == VMB_PKT_TRANSFER_PAGES) {
		hide_offsets(expected, len);
		hide_offsets(got->bytes, got->len);
	}
	r->result->compared++;
	if (got->len == len && memcmp(got->bytes, expected, len) == 0)
		return;
	snprintf(what, sizeof(what), "packet of type %u", vmb_dev_trace_desc(expected).type);
	differ_at(r, what, expected, len, got->bytes, got->len);
}

static bool carries_frames(const struct channel *ch, const uint8_t *packet, uint32_t len)
{
	return ch->is_network && vmb_dev_trace_desc(packet).type == VMB_PKT_TRANSFER_PAGES &&
	       nvsp_word(packet, len, 0) == VMB_NET_SEND_RNDIS_PACKET &&
	       nvsp_word(packet, len, 1) == VMB_NET_DATA;
}

static void expect_packet(struct replay *r, struct channel *ch)
{
	uint32_t len = r->record.len;
	const struct vmb_pkt_desc desc = vmb_dev_trace_desc(r->record.bytes);
	struct kept **at;
	uint8_t *copy;

	if (carries_frames(ch, r->record.bytes, len)) {
		if (r->skipped_count < KEPT_MAX)
			r->skipped[r->skipped_count++] = desc.transaction_id;
		r->offsets_differ = true;
		r->result->left_out++;
		return;
	}
	at = find_packet(ch, &desc);
	copy = malloc(len);
	if (!*at)
		differ(r,
		       "a packet of type %u, transaction 0x%llx, was expected, and the host does "
		       "not send it",
		       desc.type, (unsigned long long)desc.transaction_id);
	else if (copy)
		compare_packet(r, memcpy(copy, r->record.bytes, len), len, *at);
	if (*at)
		drop(&ch->packets, at);
	free(copy);
}

/* Records */

static void play_message(struct replay *r)
{
	uint8_t bytes[VMB_MSG_LEN_MAX];
	uint32_t len = r->record.len;

	if (len < sizeof(struct vmb_msg_header) || len > sizeof(bytes)) {
		differ(r, "a message of %u bytes", len);
		return;
	}
	memcpy(bytes, r->record.bytes, len);
	if (r->record.header.direction == VMB_DEV_TRACE_TO_HOST)
		post(r, bytes, len);
	else
		expect_message(r, bytes, len);
}

static void play_ring(struct replay *r)
{
	struct channel *ch = channel_of(r, r->record.header.id);

	if (!ch->known) {
		r->result->left_out++;
		return;
	}
	if (!vmb_dev_trace_has_packet(&r->record)) {
		differ(r, "the packet is not whole in the recording");
		return;
	}
	if (r->record.header.direction == VMB_DEV_TRACE_TO_HOST)
		play_packet(r, ch);
	else
		expect_packet(r, ch);
}

/* Copies from the pages; false: not all is memory. */
static bool read_pages(struct replay *r, const struct gpadl *g, uint32_t offset, uint8_t *bytes,
		       uint32_t len)
{
	uint32_t part, i = offset / VMB_PAGE_LEN, into = offset % VMB_PAGE_LEN;
	const uint8_t *page;

	for (; len; len -= part, bytes += part, into = 0, i++) {
		page = i < g->pfn_count ? vmb_dev_memory_page(r->config->memory, g->pfns[i]) : NULL;
		if (!page)
			return false;
		part = VMB_PAGE_LEN - into < len ? VMB_PAGE_LEN - into : len;
		memcpy(bytes, page + into, part);
	}
	return true;
}

/* RNDIS messages of the host, where it puts them at the same places as in the recording. */
static void expect_data(struct replay *r)
{
	struct channel *ch = channel_of(r, r->record.header.id);
	struct vmb_dev_trace_data data;
	uint8_t bytes[VMB_PAGE_LEN];
	struct gpadl *g;
	uint32_t len;

	if (r->record.header.direction != VMB_DEV_TRACE_TO_GUEST || r->record.len < sizeof(data))
		return;
	memcpy(&data, r->record.bytes, sizeof(data));
	len = r->record.len - sizeof(data);
	g = find_gpadl(r, ch->receive_gpadl);
	if (data.place != VMB_DEV_TRACE_RECEIVE_BUFFER || r->offsets_differ || !g ||
	    len > sizeof(bytes) || !read_pages(r, g, data.offset, bytes, len))
		return;
	r->result->compared++;
	if (memcmp(bytes, r->record.bytes + sizeof(data), len))
		differ_at(r, "RNDIS message", r->record.bytes + sizeof(data), len, bytes, len);
}

static void detach_devices(struct replay *r, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		r->config->devices[i].ops->detach(r->config->devices[i].state);
}

static void end_bus(struct replay *r)
{
	if (!r->bus)
		return;
	vmb_dev_bus_reset(r->bus);
	for (uint32_t steps = 0; steps < STEPS_MAX && step_devices(r); steps++)
		;
	vmb_dev_bus_stop(r->bus);
	detach_devices(r, r->config->device_count);
	vmb_dev_bus_destroy(r->bus);
	r->bus = NULL;
	forget_channels(r);
	drop_all(&r->messages);
	for (uint32_t i = 0; i < GPADL_MAX; i++)
		free_gpadl(&r->gpadls[i]);
	r->skipped_count = 0;
	r->offsets_differ = false;
}

/* What the host said and the recording does not have. */
static void judge_rest(struct replay *r)
{
	struct kept *kept;

	if (!r->bus)
		return;
	for (kept = r->messages.first; kept; kept = kept->next)
		differ(r, "the host also says %s (message %u), which was not expected",
		       name_of(message_type(kept->bytes, kept->len)),
		       message_type(kept->bytes, kept->len));
	for (uint32_t i = 0; i < VMB_CHANNEL_COUNT_MAX; i++)
		judge_packets(r, &r->channels[i]);
}

static int begin_bus(struct replay *r)
{
	struct vmb_dev_bus_config config = r->config->bus;
	int error = 0;

	config.machine = &r->machine;
	config.stepped = true;
	r->bus = vmb_dev_bus_create(&config);
	if (!r->bus)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->config->device_count && !error; i++)
		error = r->config->devices[i].ops->attach(r->config->devices[i].state, r->bus);
	return error;
}

/* Each recording of a bus is a machine of its own. */
static int play_control(struct replay *r)
{
	struct vmb_dev_trace_bus bus = { 0 };

	if (r->record.header.detail == VMB_DEV_TRACE_LOST) {
		r->result->ended = "records were lost";
		return 0;
	}
	if (r->record.header.detail != VMB_DEV_TRACE_ATTACHED)
		return 0;
	memcpy(&bus, r->record.bytes, r->record.len < sizeof(bus) ? r->record.len : sizeof(bus));
	if (bus.version) {
		r->result->ended = "the recording begins when the guest is connected already";
		return 0;
	}
	judge_rest(r);
	end_bus(r);
	return begin_bus(r);
}

static int play_record(struct replay *r)
{
	if (r->record.header.kind == VMB_DEV_TRACE_CONTROL)
		return play_control(r);
	if (!r->bus) {
		r->result->ended = "the recording does not begin with a bus";
		return 0;
	}
	if (r->record.header.kind == VMB_DEV_TRACE_MESSAGE)
		play_message(r);
	else if (r->record.header.kind == VMB_DEV_TRACE_PACKET)
		play_ring(r);
	else if (r->record.header.kind == VMB_DEV_TRACE_DATA)
		expect_data(r);
	return 0;
}

static int play(struct replay *r)
{
	int error = 0, more = 0;

	while (!error && !r->failed && !r->result->ended &&
	       (more = vmb_dev_trace_read(&r->reader, &r->record)) > 0)
		error = play_record(r);
	if (!error && r->failed)
		r->result->ended = "the host cannot go on";
	if (!error && !r->result->ended && r->reader.why)
		r->result->ended = r->reader.why;
	if (!error && !r->result->ended)
		judge_rest(r);
	return error;
}

int vmb_dev_replay(const struct vmb_dev_replay_config *config, struct vmb_dev_replay_result *result)
{
	struct replay *r = calloc(1, sizeof(*r));
	int error;

	*result = (struct vmb_dev_replay_result){ 0 };
	if (!r) {
		vmb_dev_report("replay: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	r->config = config;
	r->result = result;
	r->machine = (struct vmb_dev_machine){ .ops = &machine_ops,
					       .memory = *config->memory,
					       .vp_count = config->vp_count };
	r->messages.end = &r->messages.first;
	vmb_dev_trace_reader_init(&r->reader, config->bytes, config->len);
	error = play(r);
	end_bus(r);
	free(r);
	return error;
}
