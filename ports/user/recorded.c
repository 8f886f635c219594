// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Takes the records of a recording one after the other: what the host said is put into the guest
 * core; where the recorded guest said something, its decision is taken over, and what the guest
 * core says is compared. This file has the messages; rings and devices are in the two others.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/report.h"
#include "ports/user/recorded_internal.h"

#define TEXT_MAX 300u

/* Differences */

void recorded_differ(struct recorded *r, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	r->result->differences++;
	r->config->differs(r->config->arg, r->record.number, text);
}

void recorded_tolerate(struct recorded *r, enum vmb_user_recorded_tolerance which)
{
	if (!r->result->tolerated[which].count++)
		r->result->tolerated[which].first = r->record.number;
}

const char *vmb_user_recorded_tolerance(enum vmb_user_recorded_tolerance which)
{
	static const char *const names[] = {
		[VMB_USER_RECORDED_ORDER] = "asked in another order",
		[VMB_USER_RECORDED_ASKED] = "asked by our guest only",
		[VMB_USER_RECORDED_WAITS] = "asked while our guest waits for an answer",
		[VMB_USER_RECORDED_NUMBER] = "number of a GPADL_BODY",
		[VMB_USER_RECORDED_QUEUEING] = "port, queue tag, action or sort key of an SRB",
		[VMB_USER_RECORDED_FLAGS] = "flags of an SRB",
		[VMB_USER_RECORDED_TIMEOUT] = "timeout of an SRB",
		[VMB_USER_RECORDED_CDB_REST] = "bytes behind the CDB of an SRB",
		[VMB_USER_RECORDED_PLACE] = "place of an RNDIS message in its page",
		[VMB_USER_RECORDED_REST] = "bytes behind the fields of an NVSP message",
		[VMB_USER_RECORDED_QUERY] = "input of an RNDIS query",
		[VMB_USER_RECORDED_SETTING] = "settings that a card is started with",
	};

	return names[which];
}

void recorded_compare(struct recorded *r, const char *what, const uint8_t *expected,
		      uint32_t expected_len, const uint8_t *got, uint32_t got_len)
{
	uint32_t at = 0, len = expected_len < got_len ? expected_len : got_len;

	r->result->compared++;
	while (at < len && expected[at] == got[at])
		at++;
	if (at < len)
		recorded_differ(r, "%s: byte %u: the recorded guest says 0x%02x, ours 0x%02x", what,
				at, expected[at], got[at]);
	else if (expected_len != got_len)
		recorded_differ(r, "%s: the recorded guest says %u bytes, ours %u", what,
				expected_len, got_len);
}

uint32_t recorded_word(const uint8_t *bytes, uint32_t len, uint32_t at)
{
	uint32_t word = 0;

	if (len >= sizeof(word) && at <= len - sizeof(word))
		memcpy(&word, bytes + at, sizeof(word));
	return word;
}

/* Lists */

bool recorded_keep(struct recorded *r, struct recorded_list *list, const void *bytes, uint32_t len,
		   const void *data, uint32_t data_len)
{
	struct recorded_said *said = malloc(sizeof(*said) + len + data_len);

	if (!said) {
		r->failed = true;
		return false;
	}
	*said = (struct recorded_said){ .len = len, .data_len = data_len };
	memcpy(said->bytes, bytes, len);
	if (data_len)
		memcpy(said->bytes + len, data, data_len);
	if (!list->first)
		list->end = &list->first;
	*list->end = said;
	list->end = &said->next;
	return true;
}

void recorded_drop(struct recorded_list *list, struct recorded_said **at)
{
	struct recorded_said *said = *at;

	*at = said->next;
	if (!*at)
		list->end = at;
	free(said);
}

void recorded_drop_all(struct recorded_list *list)
{
	while (list->first)
		recorded_drop(list, &list->first);
}

void recorded_ids_add(struct recorded *r, struct recorded_ids *ids, uint64_t theirs, uint64_t ours,
		      bool left_out)
{
	uint32_t room = ids->room ? 2 * ids->room : 64;
	struct recorded_id *all = ids->all;

	if (ids->count == ids->room) {
		all = room > RECORDED_AHEAD ? NULL : realloc(all, room * sizeof(*all));
		if (!all) {
			r->failed = true;
			return;
		}
		ids->all = all;
		ids->room = room;
	}
	ids->all[ids->count++] =
		(struct recorded_id){ .recorded = theirs, .ours = ours, .left_out = left_out };
}

bool recorded_ids_take(struct recorded_ids *ids, uint64_t theirs, struct recorded_id *id)
{
	for (uint32_t i = 0; i < ids->count; i++) {
		if (ids->all[i].recorded != theirs)
			continue;
		*id = ids->all[i];
		ids->count--;
		memmove(&ids->all[i], &ids->all[i + 1], (ids->count - i) * sizeof(*ids->all));
		return true;
	}
	return false;
}

void recorded_ids_free(struct recorded_ids *ids)
{
	free(ids->all);
	*ids = (struct recorded_ids){ 0 };
}

/* Lent memory */

struct recorded_gpadl *recorded_gpadl_find(struct recorded *r, uint32_t id)
{
	struct recorded_gpadl *g = r->gpadls;

	while (g && g->id != id)
		g = g->next;
	return g;
}

/* Who uses memory that its guest takes back has it no more. */
static void end_use(struct recorded_channel *ch, const struct recorded_gpadl *g)
{
	if (ch->rings == g)
		recorded_ring_close(ch);
	if (ch->card && (ch->card->receive_gpadl == g || ch->card->send_gpadl == g))
		ch->card->started = false;
}

static void free_gpadl(struct recorded *r, struct recorded_gpadl *g)
{
	struct recorded_gpadl **at = &r->gpadls;

	for (uint32_t i = 0; i < VMB_CHANNEL_COUNT_MAX; i++)
		if (r->channels[i])
			end_use(r->channels[i], g);
	while (*at && *at != g)
		at = &(*at)->next;
	if (*at)
		*at = g->next;
	r->memory_len -= (uint64_t)g->page_count * VMB_PAGE_LEN;
	free(g->memory);
	free(g->pfns);
	free(g);
}

/* Takes the page numbers of one message. */
static uint32_t add_pfns(struct recorded_gpadl *g, uint32_t have, const uint8_t *bytes,
			 uint32_t len)
{
	for (; len >= sizeof(uint64_t) && have < g->page_count; len -= sizeof(uint64_t)) {
		memcpy(&g->pfns[have++], bytes, sizeof(uint64_t));
		bytes += sizeof(uint64_t);
	}
	return have;
}

/* Finds the GPADL_HEADER with that id, from the record on that is being played. */
static bool find_header(const struct recorded *r, uint32_t id, struct vmb_dev_trace_reader *ahead,
			struct vmb_dev_trace_record *found)
{
	struct vmb_msg_gpadl_header header;

	*ahead = r->reader;
	*found = r->record;
	for (uint32_t i = 0; i < RECORDED_AHEAD; i++) {
		if (found->header.kind == VMB_DEV_TRACE_MESSAGE &&
		    found->header.direction == VMB_DEV_TRACE_TO_HOST &&
		    found->len >= sizeof(header) + sizeof(struct vmb_gpa_range)) {
			memcpy(&header, found->bytes, sizeof(header));
			if (header.header.type == VMB_MSG_GPADL_HEADER && header.gpadl_id == id)
				return true;
		}
		if (vmb_dev_trace_read(ahead, found) <= 0)
			break;
	}
	return false;
}

/* Gathers the page numbers of the messages that follow. */
static void read_bodies(struct recorded_gpadl *g, uint32_t have, struct vmb_dev_trace_reader *ahead)
{
	const uint32_t begin = sizeof(struct vmb_msg_gpadl_body);
	struct vmb_dev_trace_record record;

	for (uint32_t i = 0; have < g->page_count && i < RECORDED_AHEAD; i++) {
		if (vmb_dev_trace_read(ahead, &record) <= 0)
			break;
		if (record.header.kind == VMB_DEV_TRACE_MESSAGE &&
		    record.header.direction == VMB_DEV_TRACE_TO_HOST && record.len > begin &&
		    record.header.detail == VMB_HV_SUCCESS &&
		    recorded_word(record.bytes, record.len, 0) == VMB_MSG_GPADL_BODY &&
		    recorded_word(record.bytes, record.len, 12) == g->id)
			have = add_pfns(g, have, record.bytes + begin, record.len - begin);
	}
}

static struct recorded_gpadl *new_gpadl(struct recorded *r, uint32_t id, uint32_t page_count)
{
	struct recorded_gpadl *g = calloc(1, sizeof(*g));
	uint64_t len = (uint64_t)page_count * VMB_PAGE_LEN;

	if (!g || !page_count || r->memory_len + len > VMB_USER_RECORDED_MEMORY_MAX) {
		free(g);
		return NULL;
	}
	g->id = id;
	g->page_count = page_count;
	g->pfns = calloc(page_count, sizeof(*g->pfns));
	g->memory = calloc(page_count, VMB_PAGE_LEN);
	g->next = r->gpadls;
	r->gpadls = g;
	r->memory_len += len;
	if (g->pfns && g->memory)
		return g;
	free_gpadl(r, g);
	return NULL;
}

struct recorded_gpadl *recorded_gpadl_lend(struct recorded *r, const struct recorded_channel *ch,
					   uint32_t id)
{
	const uint32_t begin = sizeof(struct vmb_msg_gpadl_header) + sizeof(struct vmb_gpa_range);
	struct vmb_dev_trace_reader ahead;
	struct vmb_dev_trace_record record;
	struct vmb_msg_gpadl_header header;
	struct recorded_gpadl *g = NULL;
	struct vmb_gpa_range range;

	if (!find_header(r, id, &ahead, &record) || recorded_gpadl_find(r, id))
		return NULL;
	memcpy(&header, record.bytes, sizeof(header));
	memcpy(&range, record.bytes + sizeof(header), sizeof(range));
	if (header.range_count == 1 && header.ranges_len > sizeof(range))
		g = new_gpadl(r, id, (header.ranges_len - sizeof(range)) / sizeof(uint64_t));
	if (!g)
		return NULL;
	read_bodies(g, add_pfns(g, 0, record.bytes + begin, record.len - begin), &ahead);
	if (vmb_guest_gpadl_establish((struct vmb_guest_channel *)&ch->core, &g->core, g->pfns,
				      g->page_count, range.byte_count, range.byte_offset) == 0)
		return g;
	free_gpadl(r, g);
	return NULL;
}

/* Channels */

static void free_channel(struct recorded *r, struct recorded_channel *ch)
{
	r->channels[ch->core.relid] = NULL;
	recorded_ring_close(ch);
	recorded_drop_all(&ch->said);
	recorded_ids_free(&ch->ids);
	free(ch->disk);
	if (ch->card) {
		recorded_ids_free(&ch->card->requests);
		recorded_ids_free(&ch->card->acks);
		free(ch->card->taken);
	}
	free(ch->card);
	free(ch);
}

static struct recorded_channel *channel_of(struct recorded *r, uint32_t relid)
{
	return relid < VMB_CHANNEL_COUNT_MAX ? r->channels[relid] : NULL;
}

struct recorded_channel *recorded_primary(struct recorded *r, struct recorded_channel *ch)
{
	struct recorded_channel *other;

	if (!ch->core.offer.sub_channel_index)
		return ch;
	for (uint32_t i = 0; i < VMB_CHANNEL_COUNT_MAX; i++) {
		other = r->channels[i];
		if (other && !other->core.offer.sub_channel_index &&
		    vmb_guid_equal(&other->core.offer.instance_id, &ch->core.offer.instance_id))
			return other;
	}
	return NULL;
}

static enum recorded_kind kind_of(const struct vmb_guid *type_id)
{
	static const struct vmb_guid scsi = VMB_GUID_SCSI, ide = VMB_GUID_IDE,
				     network = VMB_GUID_NETWORK;

	if (vmb_guid_equal(type_id, &scsi) || vmb_guid_equal(type_id, &ide))
		return RECORDED_DISK;
	return vmb_guid_equal(type_id, &network) ? RECORDED_CARD : RECORDED_OTHER;
}

static void add_channel(struct recorded *r, const struct vmb_msg_offer *offer)
{
	struct recorded_channel *ch = calloc(1, sizeof(*ch));

	if (!ch) {
		r->failed = true;
		return;
	}
	ch->kind = kind_of(&offer->type_id);
	ch->disk = ch->kind == RECORDED_DISK ? calloc(1, sizeof(*ch->disk)) : NULL;
	ch->card = ch->kind == RECORDED_CARD ? calloc(1, sizeof(*ch->card)) : NULL;
	if (vmb_guest_channel_add(&r->connect, &ch->core, offer)) {
		recorded_differ(r, "our guest takes no offer of channel %u", offer->relid);
		free(ch->disk);
		free(ch->card);
		free(ch);
		return;
	}
	r->channels[ch->core.relid] = ch;
	r->failed |= (ch->kind == RECORDED_DISK && !ch->disk) ||
		     (ch->kind == RECORDED_CARD && !ch->card);
}

/* Everything of one life of the guest. */
static void end_bus(struct recorded *r)
{
	for (uint32_t i = 0; i < VMB_CHANNEL_COUNT_MAX; i++)
		if (r->channels[i])
			free_channel(r, r->channels[i]);
	while (r->gpadls)
		free_gpadl(r, r->gpadls);
	recorded_drop_all(&r->said);
	r->has_config = false;
}

/* What the guest core has to say. */

static void keep_message(struct recorded *r, const struct vmb_guest_connect_output *out)
{
	if (recorded_keep(r, &r->said, out->payload, out->len, NULL, 0))
		VMB_CONTAINER_OF(r->said.end, struct recorded_said, next)->connection_id =
			out->connection_id;
}

static void take_outputs(struct recorded *r)
{
	const struct vmb_guest_connect_output *out;

	while ((out = vmb_guest_connect_output(&r->connect))) {
		keep_message(r, out);
		vmb_guest_connect_output_done(&r->connect);
	}
}

static const char *name_of(uint32_t type)
{
	static const char *const names[] = {
		[VMB_MSG_OFFER] = "OFFER_CHANNEL",
		[VMB_MSG_RESCIND] = "RESCIND_OFFER",
		[VMB_MSG_REQUEST_OFFERS] = "REQUEST_OFFERS",
		[VMB_MSG_OFFERS_DELIVERED] = "OFFERS_DELIVERED",
		[VMB_MSG_OPEN] = "OPEN_CHANNEL",
		[VMB_MSG_OPEN_RESULT] = "OPEN_CHANNEL_RESULT",
		[VMB_MSG_CLOSE] = "CLOSE_CHANNEL",
		[VMB_MSG_GPADL_HEADER] = "GPADL_HEADER",
		[VMB_MSG_GPADL_BODY] = "GPADL_BODY",
		[VMB_MSG_GPADL_CREATED] = "GPADL_CREATED",
		[VMB_MSG_GPADL_TEARDOWN] = "GPADL_TEARDOWN",
		[VMB_MSG_GPADL_TORNDOWN] = "GPADL_TORNDOWN",
		[VMB_MSG_RELID_RELEASED] = "RELID_RELEASED",
		[VMB_MSG_INITIATE_CONTACT] = "INITIATE_CONTACT",
		[VMB_MSG_VERSION_RESPONSE] = "VERSION_RESPONSE",
		[VMB_MSG_UNLOAD] = "UNLOAD",
		[VMB_MSG_UNLOAD_COMPLETE] = "UNLOAD_COMPLETE",
		[VMB_MSG_MODIFY_CHANNEL] = "MODIFY_CHANNEL",
		[VMB_MSG_MODIFY_CHANNEL_RESPONSE] = "MODIFY_CHANNEL_RESPONSE",
	};

	return type < VMB_ARRAY_COUNT(names) && names[type] ? names[type] : "message";
}

/* The recorded guest's decisions; each returns 0 or why the guest core does not do it. */

/* The oldest versions have an interrupt page, of which only their own proposals tell. */
static uint64_t find_interrupt_page(const struct recorded *r)
{
	struct vmb_dev_trace_reader ahead = r->reader;
	struct vmb_dev_trace_record record = r->record;
	struct vmb_msg_initiate_contact contact;

	for (uint32_t i = 0; i < 256; i++) {
		if (record.header.kind == VMB_DEV_TRACE_MESSAGE &&
		    record.header.direction == VMB_DEV_TRACE_TO_HOST &&
		    record.len >= VMB_MSG_INITIATE_CONTACT_LEN) {
			memcpy(&contact, record.bytes, VMB_MSG_INITIATE_CONTACT_LEN);
			if (contact.header.type == VMB_MSG_INITIATE_CONTACT &&
			    contact.version < VMB_VERSION_5_0)
				return contact.u.interrupt_page_gpa;
		}
		if (vmb_dev_trace_read(&ahead, &record) <= 0)
			break;
	}
	return 0;
}

static int decide_contact(struct recorded *r, const uint8_t *bytes, uint32_t len)
{
	struct vmb_guest_connect_config config = { 0 };
	struct vmb_msg_initiate_contact contact;
	int error;

	/* Older versions are proposed by the core itself. */
	if (r->has_config && r->connect.state != VMB_GUEST_IDLE)
		return 0;
	if (len < VMB_MSG_INITIATE_CONTACT_LEN)
		return VMB_EINVAL;
	memcpy(&contact, bytes, VMB_MSG_INITIATE_CONTACT_LEN);
	config.version_max = contact.version;
	config.target_vp = contact.target_vp;
	config.monitor_gpa[0] = contact.parent_to_child_monitor_gpa;
	config.monitor_gpa[1] = contact.child_to_parent_monitor_gpa;
	config.interrupt_page_gpa = find_interrupt_page(r);
	end_bus(r);
	error = vmb_guest_connect_init(&r->connect, &config);
	r->has_config = !error;
	return error ? error : vmb_guest_connect_start(&r->connect);
}

static int decide_offers(struct recorded *r, const uint8_t *bytes, uint32_t len)
{
	return vmb_guest_connect_request_offers(&r->connect);
}

static int decide_gpadl(struct recorded *r, const uint8_t *bytes, uint32_t len)
{
	struct recorded_channel *ch = channel_of(r, recorded_word(bytes, len, 8));
	uint32_t id = recorded_word(bytes, len, 12);

	if (!ch)
		return VMB_ENODEV;
	/* A card's buffers are lent when it starts. */
	return recorded_gpadl_find(r, id) || recorded_gpadl_lend(r, ch, id) ? 0 : VMB_EINVAL;
}

/* The core sends it by itself. */
static int decide_nothing(struct recorded *r, const uint8_t *bytes, uint32_t len)
{
	return 0;
}

static int decide_open(struct recorded *r, const uint8_t *bytes, uint32_t len)
{
	struct recorded_channel *ch = channel_of(r, recorded_word(bytes, len, 8));
	struct recorded_gpadl *g = recorded_gpadl_find(r, recorded_word(bytes, len, 16));
	uint32_t down = recorded_word(bytes, len, 24);
	int error;

	if (!ch || !g || len < VMB_MSG_OPEN_LEN)
		return VMB_ENODEV;
	ch->open_id = recorded_word(bytes, len, 12);
	error = vmb_guest_channel_open(&ch->core, &g->core, down, recorded_word(bytes, len, 20),
				       bytes + offsetof(struct vmb_msg_open, user),
				       VMB_OPEN_USER_LEN);
	if (!error && !recorded_ring_open(r, ch, g, down))
		error = VMB_EINVAL;
	return error;
}

static int decide_close(struct recorded *r, const uint8_t *bytes, uint32_t len)
{
	struct recorded_channel *ch = channel_of(r, recorded_word(bytes, len, 8));

	if (!ch)
		return VMB_ENODEV;
	recorded_ring_close(ch);
	return vmb_guest_channel_close(&ch->core);
}

static int decide_teardown(struct recorded *r, const uint8_t *bytes, uint32_t len)
{
	struct recorded_gpadl *g = recorded_gpadl_find(r, recorded_word(bytes, len, 12));

	return g ? vmb_guest_gpadl_teardown(&g->core) : VMB_ENODEV;
}

static int decide_release(struct recorded *r, const uint8_t *bytes, uint32_t len)
{
	struct recorded_channel *ch = channel_of(r, recorded_word(bytes, len, 8));

	return ch ? vmb_guest_channel_release(&ch->core) : VMB_ENODEV;
}

static int decide_modify(struct recorded *r, const uint8_t *bytes, uint32_t len)
{
	struct recorded_channel *ch = channel_of(r, recorded_word(bytes, len, 8));

	return ch ? vmb_guest_channel_modify(&ch->core, recorded_word(bytes, len, 12)) : VMB_ENODEV;
}

/* A guest that leaves need not close first. */
static int decide_unload(struct recorded *r, const uint8_t *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < VMB_CHANNEL_COUNT_MAX; i++) {
		if (!r->channels[i])
			continue;
		recorded_ring_close(r->channels[i]);
		vmb_guest_channel_remove(&r->channels[i]->core);
		free_channel(r, r->channels[i]);
	}
	return vmb_guest_connect_unload(&r->connect);
}

static int (*const decisions[])(struct recorded *r, const uint8_t *bytes, uint32_t len) = {
	[VMB_MSG_REQUEST_OFFERS] = decide_offers,
	[VMB_MSG_OPEN] = decide_open,
	[VMB_MSG_CLOSE] = decide_close,
	[VMB_MSG_GPADL_HEADER] = decide_gpadl,
	[VMB_MSG_GPADL_BODY] = decide_nothing,
	[VMB_MSG_GPADL_TEARDOWN] = decide_teardown,
	[VMB_MSG_RELID_RELEASED] = decide_release,
	[VMB_MSG_INITIATE_CONTACT] = decide_contact,
	[VMB_MSG_UNLOAD] = decide_unload,
	[VMB_MSG_MODIFY_CHANNEL] = decide_modify,
};

/* Puts our ids in the place of the recorded ones. */

static uint32_t gpadl_at(uint32_t type)
{
	switch (type) {
	case VMB_MSG_GPADL_HEADER:
	case VMB_MSG_GPADL_BODY:
	case VMB_MSG_GPADL_TEARDOWN:
	case VMB_MSG_GPADL_CREATED: return 12;
	case VMB_MSG_OPEN: return 16;
	case VMB_MSG_GPADL_TORNDOWN: return 8;
	default: return 0;
	}
}

static void put_word(uint8_t *bytes, uint32_t len, uint32_t at, uint32_t word)
{
	if (at + sizeof(word) <= len)
		memcpy(bytes + at, &word, sizeof(word));
}

/* An id that nobody has is a mistake of the recorded side, and stays one. */
static void translate(struct recorded *r, uint8_t *bytes, uint32_t len)
{
	uint32_t type = recorded_word(bytes, len, 0), at = gpadl_at(type);
	struct recorded_channel *ch = channel_of(r, recorded_word(bytes, len, 8));
	struct recorded_gpadl *g = at ? recorded_gpadl_find(r, recorded_word(bytes, len, at)) :
					NULL;

	if (g)
		put_word(bytes, len, at, g->core.id);
	if ((type == VMB_MSG_OPEN || type == VMB_MSG_OPEN_RESULT) && ch &&
	    recorded_word(bytes, len, 12) == ch->open_id)
		put_word(bytes, len, 12, ch->core.open_id);
}

/* Same type, and the same channel or GPADL. */
static bool concern_the_same(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
	uint32_t type = recorded_word(a, a_len, 0);
	uint32_t at = type == VMB_MSG_GPADL_BODY ? 12 : 8;

	if (recorded_word(b, b_len, 0) != type)
		return false;
	if (type == VMB_MSG_GPADL_HEADER)
		at = 12;
	return type == VMB_MSG_INITIATE_CONTACT ||
	       recorded_word(a, a_len, at) == recorded_word(b, b_len, at);
}

static struct recorded_said **find_said(struct recorded *r, const uint8_t *bytes, uint32_t len)
{
	struct recorded_said **at = &r->said.first;

	while (*at && !concern_the_same(bytes, len, (*at)->bytes, (*at)->len))
		at = &(*at)->next;
	return at;
}

static void compare_message(struct recorded *r, uint8_t *bytes, uint32_t len,
			    struct recorded_said *said)
{
	uint32_t type = recorded_word(bytes, len, 0);

	if (type == VMB_MSG_GPADL_BODY &&
	    recorded_word(bytes, len, 8) != recorded_word(said->bytes, said->len, 8)) {
		recorded_tolerate(r, VMB_USER_RECORDED_NUMBER);
		put_word(bytes, len, 8, recorded_word(said->bytes, said->len, 8));
	}
	recorded_compare(r, name_of(type), bytes, len, said->bytes, said->len);
	if (said->connection_id != r->record.header.id)
		recorded_differ(r, "%s: the recorded guest posts on connection %u, ours on %u",
				name_of(type), r->record.header.id, said->connection_id);
}

/* The hypervisor refused what the recorded guest posted; it refuses the same of ours. */
static void refuse_post(struct recorded *r, uint8_t *bytes, uint32_t len)
{
	const struct vmb_guest_connect_output *out = vmb_guest_connect_output(&r->connect);

	if (!out || !concern_the_same(bytes, len, out->payload, out->len)) {
		r->result->left_out++;
		return;
	}
	keep_message(r, out);
	compare_message(r, bytes, len, *find_said(r, bytes, len));
	recorded_drop(&r->said, find_said(r, bytes, len));
	vmb_guest_connect_output_refused(&r->connect, r->record.header.detail);
}

/* Whose message it was may go now. */
static void after_message(struct recorded *r, const uint8_t *bytes, uint32_t len)
{
	struct recorded_channel *ch = channel_of(r, recorded_word(bytes, len, 8));

	if (recorded_word(bytes, len, 0) == VMB_MSG_RELID_RELEASED && ch &&
	    vmb_guest_channel_gone(&ch->core))
		free_channel(r, ch);
}

static void play_to_host(struct recorded *r, uint8_t *bytes, uint32_t len)
{
	uint32_t type = recorded_word(bytes, len, 0);
	struct recorded_said **at;
	int error;

	if (type >= VMB_ARRAY_COUNT(decisions) || !decisions[type] ||
	    (!r->has_config && type != VMB_MSG_INITIATE_CONTACT)) {
		r->result->left_out++;
		return;
	}
	translate(r, bytes, len);
	at = find_said(r, bytes, len);
	error = *at ? 0 : decisions[type](r, r->record.bytes, len);
	memcpy(bytes, r->record.bytes, len);
	translate(r, bytes, len);
	if (!error && r->record.header.detail != VMB_HV_SUCCESS) {
		refuse_post(r, bytes, len);
		return;
	}
	take_outputs(r);
	at = find_said(r, bytes, len);
	if (error)
		recorded_differ(r, "%s: our guest does not do that now (error %d)", name_of(type),
				error);
	else if (!*at)
		recorded_differ(r, "%s (message %u): our guest does not say it", name_of(type),
				type);
	else
		compare_message(r, bytes, len, *at);
	if (*at && !error)
		recorded_drop(&r->said, at);
	after_message(r, bytes, len);
}

/* What the host said. */

static void handle(struct recorded *r, const struct vmb_guest_event *event)
{
	struct recorded_gpadl *g;

	switch (event->type) {
	case VMB_GUEST_EVENT_OFFER: add_channel(r, &event->offer); break;
	case VMB_GUEST_EVENT_OPEN_RESULT:
		if (!event->status)
			recorded_ring_opened(r, VMB_CONTAINER_OF(event->channel,
								 struct recorded_channel, core));
		break;
	case VMB_GUEST_EVENT_GPADL_TORNDOWN:
		g = VMB_CONTAINER_OF(event->gpadl, struct recorded_gpadl, core);
		free_gpadl(r, g);
		break;
	case VMB_GUEST_EVENT_GPADL_CREATED:
		g = VMB_CONTAINER_OF(event->gpadl, struct recorded_gpadl, core);
		if (event->status)
			free_gpadl(r, g);
		break;
	default: break;
	}
}

static void play_to_guest(struct recorded *r, uint8_t *bytes, uint32_t len)
{
	uint64_t unsolicited = r->connect.counters.unsolicited;
	uint32_t type = recorded_word(bytes, len, 0);
	struct vmb_guest_event event;

	if (!r->has_config || type == VMB_MSG_TL_CONNECT_RESULT) {
		r->result->left_out++;
		return;
	}
	translate(r, bytes, len);
	r->result->played++;
	if (vmb_guest_connect_input(&r->connect, bytes, len, &event))
		recorded_differ(r, "%s (message %u) of the host: our guest refuses it",
				name_of(type), type);
	else if (r->connect.counters.unsolicited != unsolicited)
		recorded_differ(r, "%s (message %u) of the host: our guest does not wait for it",
				name_of(type), type);
	else
		handle(r, &event);
	take_outputs(r);
}

static void play_message(struct recorded *r)
{
	uint8_t bytes[VMB_MSG_LEN_MAX];
	uint32_t len = r->record.len;

	if (len < sizeof(struct vmb_msg_header) || len > sizeof(bytes)) {
		recorded_differ(r, "a message of %u bytes", len);
		return;
	}
	memcpy(bytes, r->record.bytes, len);
	if (r->record.header.direction == VMB_DEV_TRACE_TO_HOST)
		play_to_host(r, bytes, len);
	else
		play_to_guest(r, bytes, len);
}

/* Records */

/* What our guest said and the recorded one did not. */
static void judge_rest(struct recorded *r)
{
	const struct recorded_said *said;

	for (said = r->said.first; said; said = said->next)
		recorded_differ(r, "our guest also says %s (message %u)",
				name_of(recorded_word(said->bytes, said->len, 0)),
				recorded_word(said->bytes, said->len, 0));
}

static void play_control(struct recorded *r)
{
	struct vmb_dev_trace_bus bus = { 0 };

	if (r->record.header.detail == VMB_DEV_TRACE_LOST)
		r->result->ended = "records were lost";
	if (r->record.header.detail != VMB_DEV_TRACE_ATTACHED)
		return;
	memcpy(&bus, r->record.bytes, r->record.len < sizeof(bus) ? r->record.len : sizeof(bus));
	if (bus.version)
		r->result->ended = "the recording begins when the guest is connected already";
	judge_rest(r);
	end_bus(r);
	r->begun = true;
}

static void play_packet(struct recorded *r)
{
	struct recorded_channel *ch = channel_of(r, r->record.header.id);

	if (!ch || ch->kind == RECORDED_OTHER)
		r->result->left_out++;
	else if (vmb_dev_trace_has_packet(&r->record))
		recorded_ring_play(r, ch);
	else
		recorded_differ(r, "the packet is not whole in the recording");
}

static void play_record(struct recorded *r)
{
	if (r->record.header.kind == VMB_DEV_TRACE_CONTROL)
		play_control(r);
	else if (!r->begun)
		r->result->ended = "the recording does not begin with a bus";
	else if (r->record.header.kind == VMB_DEV_TRACE_MESSAGE)
		play_message(r);
	else if (r->record.header.kind == VMB_DEV_TRACE_PACKET)
		play_packet(r);
}

int vmb_user_recorded_play(const struct vmb_user_recorded_config *config,
			   struct vmb_user_recorded_result *result)
{
	struct recorded *r = calloc(1, sizeof(*r));
	int error = r ? 0 : -ENOMEM;

	*result = (struct vmb_user_recorded_result){ 0 };
	if (r) {
		r->config = config;
		r->result = result;
		vmb_dev_trace_reader_init(&r->reader, config->bytes, config->len);
		while (!r->failed && !result->ended &&
		       vmb_dev_trace_read(&r->reader, &r->record) > 0)
			play_record(r);
		if (!result->ended)
			result->ended = r->reader.why;
		if (!result->ended)
			judge_rest(r);
		error = r->failed ? -ENOMEM : 0;
		end_bus(r);
	}
	free(r);
	if (error)
		vmb_dev_report("replay: %s", strerror(-error));
	return error;
}
