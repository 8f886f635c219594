// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* GPADLs: guest pages that a header and its body messages describe, piece by piece. */
#include "host/engine.h"

#define QWORD_LEN     8u
#define RANGE_LEN_MIN 16u /* a range of one page */

/* Answers */

static void answer(struct vmb_host_server *s, enum vmb_msg_type type, uint32_t relid,
		   uint32_t gpadl_id, uint32_t status)
{
	struct vmb_host_answer *a;

	a = &s->answers[(s->answer_first + s->answer_count) % VMB_HOST_ANSWER_COUNT_MAX];
	s->answer_count++;
	a->relid = relid;
	a->gpadl_id = gpadl_id;
	a->status = status;
	vmb_host_server_post(s, &a->link, type);
}

static uint32_t refuse(struct vmb_host_server *s, uint32_t relid, uint32_t gpadl_id)
{
	answer(s, VMB_MSG_GPADL_CREATED, relid, gpadl_id, VMB_STATUS_FAILURE);
	return vmb_host_server_malformed(s);
}

/* Room for the two answers of one more GPADL, besides those of every GPADL that there is. */
static bool answers_fit(const struct vmb_host_server *s)
{
	return s->answer_count + 2 * s->gpadl_count + 2 <= VMB_HOST_ANSWER_COUNT_MAX;
}

uint32_t vmb_host_gpadl_build_created(struct vmb_host_server *s, struct vmb_link *link,
				      void *message)
{
	const struct vmb_host_answer *a = VMB_CONTAINER_OF(link, struct vmb_host_answer, link);
	struct vmb_msg_gpadl_created *m = message;

	m->relid = a->relid;
	m->gpadl_id = a->gpadl_id;
	m->status = a->status;
	return sizeof(*m);
}

uint32_t vmb_host_gpadl_build_torndown(struct vmb_host_server *s, struct vmb_link *link,
				       void *message)
{
	const struct vmb_host_answer *a = VMB_CONTAINER_OF(link, struct vmb_host_answer, link);
	struct vmb_msg_gpadl_torndown *m = message;

	m->gpadl_id = a->gpadl_id;
	return sizeof(*m);
}

/* Finding and releasing */

static struct vmb_host_gpadl *find_any(const struct vmb_host_channel *ch, uint32_t id)
{
	struct vmb_host_gpadl *g;

	for (g = ch->server->gpadls; g; g = g->next)
		if (g->channel == ch && g->id == id)
			return g;
	return NULL;
}

struct vmb_host_gpadl *vmb_host_gpadl_find(struct vmb_host_channel *ch, uint32_t id)
{
	struct vmb_host_gpadl *g = find_any(ch, id);

	return g && g->state == VMB_HOST_GPADL_READY ? g : NULL;
}

/* Bodies name no channel, so an id can be under assembly only once. */
static struct vmb_host_gpadl *find_assembling(const struct vmb_host_server *s, uint32_t id)
{
	struct vmb_host_gpadl *g;

	for (g = s->gpadls; g; g = g->next)
		if (g->id == id && g->state == VMB_HOST_GPADL_ASSEMBLING)
			return g;
	return NULL;
}

static void unlink_gpadl(struct vmb_host_server *s, struct vmb_host_gpadl *gpadl)
{
	struct vmb_host_gpadl **at;

	for (at = &s->gpadls; *at != gpadl; at = &(*at)->next)
		;
	*at = gpadl->next;
	s->gpadl_count--;
	gpadl->channel->gpadl_count--;
}

/* The event first: no message leaves while events wait, so TORNDOWN finds the memory unmapped. */
static void release(struct vmb_host_gpadl *gpadl)
{
	struct vmb_host_server *s = gpadl->server;
	bool answered = gpadl->state == VMB_HOST_GPADL_TEARING;

	unlink_gpadl(s, gpadl);
	gpadl->state = VMB_HOST_GPADL_RELEASED;
	vmb_host_server_notify(s, &gpadl->released_event, VMB_HOST_EVENT_GPADL_RELEASED);
	if (answered) {
		gpadl->channel->tearing_count--;
		answer(s, VMB_MSG_GPADL_TORNDOWN, 0, gpadl->id, 0);
	}
}

void vmb_host_gpadl_drop_all(struct vmb_host_channel *ch)
{
	struct vmb_host_gpadl *g;
	struct vmb_host_gpadl *next;

	for (g = ch->server->gpadls; g; g = next) {
		next = g->next;
		if (g->channel != ch)
			continue;
		g->state = VMB_HOST_GPADL_DROPPING;
		if (!g->use_count)
			release(g);
	}
	ch->tearing_count = 0;
}

void vmb_host_gpadl_get(struct vmb_host_gpadl *gpadl)
{
	gpadl->use_count++;
}

void vmb_host_gpadl_unuse(struct vmb_host_gpadl *gpadl)
{
	gpadl->use_count--;
	if (!gpadl->use_count && gpadl->state != VMB_HOST_GPADL_READY)
		release(gpadl);
}

void vmb_host_gpadl_put(struct vmb_host_gpadl *gpadl)
{
	struct vmb_host_channel *ch = gpadl->channel;

	vmb_host_gpadl_unuse(gpadl);
	vmb_host_channel_settle(ch);
	vmb_host_server_settle(ch->server);
}

/* Ranges */

bool vmb_host_gpadl_in_ram(const struct vmb_host_server *s, uint64_t pfn)
{
	const struct vmb_host_ram *ram = s->config.ram;
	uint32_t i;

	for (i = 0; i < s->config.ram_count; i++)
		if (pfn >= ram[i].first_pfn && pfn - ram[i].first_pfn < ram[i].pfn_count)
			return true;
	return false;
}

/*
 * The range that begins at qword *at of a list; *at moves behind it. False: it does not fit the
 * list or the rules.
 */
static bool next_range(const struct vmb_host_gpadl *gpadl, uint32_t *at,
		       struct vmb_host_gpadl_range *range)
{
	uint32_t count = gpadl->ranges_len / QWORD_LEN;
	uint64_t end;

	if (*at >= count)
		return false;
	range->byte_count = (uint32_t)gpadl->ranges[*at];
	range->byte_offset = (uint32_t)(gpadl->ranges[*at] >> 32);
	end = (uint64_t)range->byte_offset + range->byte_count + VMB_PAGE_LEN - 1;
	if (!range->byte_count || range->byte_offset >= VMB_PAGE_LEN)
		return false;
	/* Nothing wraps in 64 bits; a sum above 32 bits needs more pages than a list holds. */
	range->pfn_count = (uint32_t)(end / VMB_PAGE_LEN);
	if (range->pfn_count > count - *at - 1)
		return false;
	range->pfns = &gpadl->ranges[*at + 1];
	*at += 1 + range->pfn_count;
	return true;
}

bool vmb_host_gpadl_range(const struct vmb_host_gpadl *gpadl, uint32_t index,
			  struct vmb_host_gpadl_range *range)
{
	uint32_t at = 0;
	uint32_t i;

	if (index >= gpadl->range_count)
		return false;
	for (i = 0; i <= index; i++)
		if (!next_range(gpadl, &at, range))
			return false;
	return true;
}

static bool ranges_are_sound(const struct vmb_host_gpadl *gpadl)
{
	struct vmb_host_gpadl_range range;
	uint32_t at = 0;
	uint32_t i, p;

	for (i = 0; i < gpadl->range_count; i++) {
		if (!next_range(gpadl, &at, &range))
			return false;
		for (p = 0; p < range.pfn_count; p++)
			if (!vmb_host_gpadl_in_ram(gpadl->server, range.pfns[p]))
				return false;
	}
	return true;
}

/* Assembly */

/*
 * Takes the whole qwords of a part; what exceeds the announced length is padding. False: the part
 * holds nothing.
 */
static bool append(struct vmb_host_gpadl *gpadl, const void *part, uint32_t part_len)
{
	uint32_t want_len = gpadl->ranges_len - gpadl->filled_len;

	part_len -= part_len % QWORD_LEN;
	if (part_len > want_len)
		part_len = want_len;
	memcpy((char *)gpadl->ranges + gpadl->filled_len, part, part_len);
	gpadl->filled_len += part_len;
	return part_len;
}

static void complete(struct vmb_host_gpadl *gpadl)
{
	struct vmb_host_server *s = gpadl->server;
	uint32_t status = VMB_STATUS_SUCCESS;

	if (gpadl->filled_len < gpadl->ranges_len)
		return;
	gpadl->state = VMB_HOST_GPADL_READY;
	if (!ranges_are_sound(gpadl)) {
		status = VMB_STATUS_FAILURE;
		s->counters.malformed++;
		release(gpadl);
	}
	answer(s, VMB_MSG_GPADL_CREATED, gpadl->channel->relid, gpadl->id, status);
}

/*
 * Everything that can be known before there is memory is checked here. The pages of a revoked
 * channel are taken like any other's: the guest does not know yet, and will tear them down.
 */
uint32_t vmb_host_gpadl_input_header(struct vmb_host_server *s, const void *message, uint32_t len)
{
	struct vmb_host_channel *ch;
	struct vmb_msg_gpadl_header m;

	if (!answers_fit(s))
		return VMB_HV_INSUFFICIENT_BUFFERS;
	memcpy(&m, message, sizeof(m));
	ch = vmb_host_channel_visible(s, m.relid);
	if (!ch || !m.gpadl_id || s->gpadl_count >= VMB_HOST_GPADL_COUNT_MAX)
		return refuse(s, m.relid, m.gpadl_id);
	if (m.ranges_len % QWORD_LEN || !m.range_count ||
	    m.ranges_len < (uint32_t)m.range_count * RANGE_LEN_MIN)
		return refuse(s, m.relid, m.gpadl_id);
	if (find_any(ch, m.gpadl_id) || find_assembling(s, m.gpadl_id))
		return refuse(s, m.relid, m.gpadl_id);
	memcpy(s->wanted_message, message, len);
	s->wanted_len = len;
	s->wanted_channel = ch;
	s->wanted = true;
	vmb_host_server_notify(s, &s->wanted_event, VMB_HOST_EVENT_GPADL_WANTED);
	return VMB_HV_SUCCESS;
}

static void adopt(struct vmb_host_server *s, struct vmb_host_gpadl *gpadl, uint64_t *ranges,
		  const struct vmb_msg_gpadl_header *m)
{
	gpadl->server = s;
	gpadl->channel = s->wanted_channel;
	gpadl->id = m->gpadl_id;
	gpadl->state = VMB_HOST_GPADL_ASSEMBLING;
	gpadl->ranges = ranges;
	gpadl->ranges_len = m->ranges_len;
	gpadl->range_count = m->range_count;
	gpadl->next = s->gpadls;
	s->gpadls = gpadl;
	s->gpadl_count++;
	gpadl->channel->gpadl_count++;
	append(gpadl, s->wanted_message + sizeof(*m), s->wanted_len - sizeof(*m));
	complete(gpadl);
}

void vmb_host_gpadl_supply(struct vmb_host_server *s, struct vmb_host_gpadl *gpadl,
			   uint64_t *ranges)
{
	struct vmb_msg_gpadl_header m;

	if (!s->wanted)
		return;
	memcpy(&m, s->wanted_message, sizeof(m));
	s->wanted = false;
	if (s->wanted_channel && gpadl) {
		adopt(s, gpadl, ranges, &m);
	} else if (s->wanted_channel) {
		answer(s, VMB_MSG_GPADL_CREATED, m.relid, m.gpadl_id, VMB_STATUS_FAILURE);
	} else if (gpadl) {
		gpadl->state = VMB_HOST_GPADL_RELEASED;
		vmb_host_server_notify(s, &gpadl->released_event, VMB_HOST_EVENT_GPADL_RELEASED);
	}
	s->wanted_channel = NULL;
	vmb_host_server_settle(s);
}

/* Some guests send all the bodies that they have room for: zeros follow a list that is complete. */
static bool is_surplus(const struct vmb_host_server *s, uint32_t id, const uint8_t *part,
		       uint32_t part_len)
{
	const struct vmb_host_gpadl *g = s->gpadls;

	while (g && (g->id != id || g->state != VMB_HOST_GPADL_READY))
		g = g->next;
	while (part_len && !*part) {
		part++;
		part_len--;
	}
	return g && !part_len;
}

uint32_t vmb_host_gpadl_input_body(struct vmb_host_server *s, const void *message, uint32_t len)
{
	const uint8_t *part = (const uint8_t *)message + sizeof(struct vmb_msg_gpadl_body);
	uint32_t part_len = len - sizeof(struct vmb_msg_gpadl_body);
	struct vmb_host_gpadl *gpadl;
	struct vmb_msg_gpadl_body m;

	memcpy(&m, message, sizeof(m));
	gpadl = find_assembling(s, m.gpadl_id);
	if (!gpadl)
		return is_surplus(s, m.gpadl_id, part, part_len) ? VMB_HV_SUCCESS :
								   vmb_host_server_misplaced(s);
	if (!append(gpadl, part, part_len))
		return vmb_host_server_malformed(s);
	complete(gpadl);
	return VMB_HV_SUCCESS;
}

uint32_t vmb_host_gpadl_input_teardown(struct vmb_host_server *s, const void *message, uint32_t len)
{
	struct vmb_host_channel *ch;
	struct vmb_host_gpadl *gpadl;
	struct vmb_msg_gpadl_teardown m;

	memcpy(&m, message, sizeof(m));
	ch = vmb_host_channel_visible(s, m.relid);
	if (!ch)
		return vmb_host_server_malformed(s);
	gpadl = vmb_host_gpadl_find(ch, m.gpadl_id);
	if (!gpadl)
		return vmb_host_server_misplaced(s);
	gpadl->state = VMB_HOST_GPADL_TEARING;
	ch->tearing_count++;
	if (!gpadl->use_count)
		release(gpadl);
	return VMB_HV_SUCCESS;
}
