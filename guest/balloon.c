// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Negotiates dynamic memory, and reads and makes its messages. Which pages a guest can spare, only
 * its port can know.
 */
#include "guest/balloon.h"

static void send(struct vmb_guest_balloon *g, enum vmb_balloon_type type, const void *message,
		 uint32_t len)
{
	const struct vmb_balloon_header header = { .type = (uint16_t)type,
						   .len = (uint16_t)len,
						   .transaction_id = ++g->transaction_id };

	if (message)
		memcpy(g->packet, message, len);
	memcpy(g->packet, &header, sizeof(header));
	g->output_len = len;
	g->range_len = 0;
}

static void propose(struct vmb_guest_balloon *g, uint32_t version)
{
	const struct vmb_balloon_version message = {
		.version = version,
		.flags = version == VMB_BALLOON_VERSION_1 ? VMB_BALLOON_VERSION_LAST : 0,
	};

	g->version = version;
	send(g, VMB_BALLOON_VERSION_REQUEST, &message, sizeof(message));
}

void vmb_guest_balloon_init(struct vmb_guest_balloon *g, uint64_t caps)
{
	memset(g, 0, sizeof(*g));
	g->caps = caps;
	propose(g, VMB_BALLOON_VERSION_3);
}

const void *vmb_guest_balloon_output(const struct vmb_guest_balloon *g, uint32_t *len)
{
	*len = g->output_len;
	return g->output_len ? g->packet : NULL;
}

void vmb_guest_balloon_output_done(struct vmb_guest_balloon *g)
{
	g->output_len = 0;
}

/* Input */

static int refused(struct vmb_guest_balloon *g)
{
	g->state = VMB_GUEST_BALLOON_SHUT;
	return VMB_GUEST_BALLOON_REFUSED;
}

static void tell_caps(struct vmb_guest_balloon *g)
{
	const struct vmb_balloon_caps message = { .caps = g->caps, .page_max = ~0ull };

	g->state = VMB_GUEST_BALLOON_CAPABILITIES;
	send(g, VMB_BALLOON_CAPS, &message, sizeof(message));
}

static int take_version(struct vmb_guest_balloon *g, const void *message)
{
	const struct vmb_balloon_accept *answer = message;

	if (answer->flags & VMB_BALLOON_ACCEPTED)
		tell_caps(g);
	else if (g->version == VMB_BALLOON_VERSION_3)
		propose(g, VMB_BALLOON_VERSION_2);
	else if (g->version == VMB_BALLOON_VERSION_2)
		propose(g, VMB_BALLOON_VERSION_1);
	else
		return refused(g);
	return VMB_GUEST_BALLOON_NOTHING;
}

static int take_caps(struct vmb_guest_balloon *g, const void *message)
{
	const struct vmb_balloon_accept *answer = message;

	if (!(answer->flags & VMB_BALLOON_ACCEPTED))
		return refused(g);
	g->state = VMB_GUEST_BALLOON_OPEN;
	return VMB_GUEST_BALLOON_READY;
}

static int take_request(struct vmb_guest_balloon *g, const void *message)
{
	const struct vmb_balloon_request *request = message;

	if (!(g->caps & VMB_BALLOON_CAP_BALLOON))
		return VMB_EPROTO;
	g->wanted = request->page_count;
	g->state = VMB_GUEST_BALLOON_GIVING;
	g->requests++;
	return VMB_GUEST_BALLOON_ASKED;
}

static int take_return(struct vmb_guest_balloon *g, const void *message)
{
	const struct vmb_balloon_return *head = message;
	uint32_t count = head->range_count;

	if (count > (head->header.len - sizeof(*head)) / sizeof(uint64_t))
		return VMB_EPROTO;
	memcpy(g->ranges, head + 1, count * sizeof(uint64_t));
	for (uint32_t i = 0; i < count; i++)
		if (!VMB_BALLOON_RANGE_COUNT(g->ranges[i]))
			return VMB_EPROTO;
	g->range_count = count;
	g->more = head->more & 1;
	g->state = VMB_GUEST_BALLOON_TAKING;
	g->requests++;
	return VMB_GUEST_BALLOON_RETURNED;
}

static int take_add(struct vmb_guest_balloon *g, const void *message)
{
	const struct vmb_balloon_add *add = message;
	uint64_t region = add->header.len >= sizeof(*add) ? add->region : 0;

	if (!(g->caps & VMB_BALLOON_CAP_ADD) || !VMB_BALLOON_RANGE_COUNT(add->range))
		return VMB_EPROTO;
	g->add_first = VMB_BALLOON_RANGE_FIRST(add->range);
	g->add_count = VMB_BALLOON_RANGE_COUNT(add->range);
	g->region_first = VMB_BALLOON_RANGE_FIRST(region);
	g->region_count = VMB_BALLOON_RANGE_COUNT(region);
	g->state = VMB_GUEST_BALLOON_ADDING;
	g->requests++;
	return VMB_GUEST_BALLOON_ADD;
}

static int take_info(struct vmb_guest_balloon *g, const void *message)
{
	const struct vmb_balloon_info *info = message;

	if (info->type == VMB_BALLOON_INFO_PAGE_MAX)
		g->page_max = info->page_max;
	return VMB_GUEST_BALLOON_NOTHING;
}

/* What a host may say, and when. last: the last state in which it may. */
static const struct row {
	enum vmb_balloon_type type;
	enum vmb_guest_balloon_state first, last;
	uint32_t len_min;
	int (*take)(struct vmb_guest_balloon *g, const void *message);
} rows[] = {
	{ VMB_BALLOON_VERSION_RESPONSE, VMB_GUEST_BALLOON_VERSIONS, VMB_GUEST_BALLOON_VERSIONS,
	  sizeof(struct vmb_balloon_accept), take_version },
	{ VMB_BALLOON_CAPS_RESPONSE, VMB_GUEST_BALLOON_CAPABILITIES, VMB_GUEST_BALLOON_CAPABILITIES,
	  sizeof(struct vmb_balloon_accept), take_caps },
	{ VMB_BALLOON_REQUEST, VMB_GUEST_BALLOON_OPEN, VMB_GUEST_BALLOON_OPEN,
	  sizeof(struct vmb_balloon_request), take_request },
	{ VMB_BALLOON_RETURN, VMB_GUEST_BALLOON_OPEN, VMB_GUEST_BALLOON_OPEN,
	  sizeof(struct vmb_balloon_return), take_return },
	{ VMB_BALLOON_ADD, VMB_GUEST_BALLOON_OPEN, VMB_GUEST_BALLOON_OPEN, VMB_BALLOON_ADD_LEN_MIN,
	  take_add },
	{ VMB_BALLOON_INFO, VMB_GUEST_BALLOON_CAPABILITIES, VMB_GUEST_BALLOON_ADDING,
	  sizeof(struct vmb_balloon_info), take_info },
};

/* A proposal that was not sent yet cannot have been answered. */
static bool is_too_early(const struct vmb_guest_balloon *g)
{
	return g->state < VMB_GUEST_BALLOON_OPEN && g->output_len;
}

static int judge(struct vmb_guest_balloon *g, const void *payload, uint32_t len)
{
	struct vmb_balloon_header header;

	if (len < sizeof(header) || len > VMB_BALLOON_LEN_MAX || is_too_early(g))
		return VMB_EPROTO;
	memcpy(&header, payload, sizeof(header));
	if (header.len < sizeof(header) || header.len > len)
		return VMB_EPROTO;
	for (size_t i = 0; i < VMB_ARRAY_COUNT(rows); i++)
		if (rows[i].type == header.type && header.len >= rows[i].len_min &&
		    g->state >= rows[i].first && g->state <= rows[i].last)
			return rows[i].take(g, payload);
	return VMB_EPROTO;
}

int vmb_guest_balloon_input(struct vmb_guest_balloon *g, const void *payload, uint32_t len)
{
	int step = judge(g, payload, len);

	g->dropped += step == VMB_EPROTO;
	return step;
}

/* Answers */

int vmb_guest_balloon_range(struct vmb_guest_balloon *g, uint64_t first, uint64_t count)
{
	const uint64_t range = VMB_BALLOON_RANGE(first, count);
	uint32_t at = sizeof(struct vmb_balloon_response) + g->range_len;

	if (g->state != VMB_GUEST_BALLOON_GIVING)
		return VMB_EINVAL;
	if (g->output_len || at + sizeof(range) > sizeof(g->packet))
		return VMB_EAGAIN;
	memcpy(g->packet + at, &range, sizeof(range));
	g->range_len += sizeof(range);
	return 0;
}

static void respond(struct vmb_guest_balloon *g, bool more)
{
	const uint32_t count = g->range_len / sizeof(uint64_t);
	const struct vmb_balloon_response head = { .more_and_count = count << 1 | more };

	memcpy(g->packet, &head, sizeof(head));
	send(g, VMB_BALLOON_RESPONSE, NULL, sizeof(head) + g->range_len);
}

void vmb_guest_balloon_flush(struct vmb_guest_balloon *g)
{
	if (g->state == VMB_GUEST_BALLOON_GIVING && !g->output_len && g->range_len)
		respond(g, true);
}

int vmb_guest_balloon_given(struct vmb_guest_balloon *g)
{
	if (g->state != VMB_GUEST_BALLOON_GIVING)
		return VMB_EINVAL;
	if (g->output_len)
		return VMB_EAGAIN;
	respond(g, false);
	g->state = VMB_GUEST_BALLOON_OPEN;
	return 0;
}

void vmb_guest_balloon_taken(struct vmb_guest_balloon *g)
{
	if (g->state != VMB_GUEST_BALLOON_TAKING)
		return;
	g->state = VMB_GUEST_BALLOON_OPEN;
	g->range_count = 0;
	if (!g->more)
		send(g, VMB_BALLOON_RETURN_RESPONSE, NULL, sizeof(struct vmb_balloon_header));
}

void vmb_guest_balloon_added(struct vmb_guest_balloon *g, uint32_t count, bool never)
{
	const struct vmb_balloon_add_response message = { .page_count = count,
							  .result = count || never };

	if (g->state != VMB_GUEST_BALLOON_ADDING)
		return;
	g->state = VMB_GUEST_BALLOON_OPEN;
	send(g, VMB_BALLOON_ADD_RESPONSE, &message, sizeof(message));
}

int vmb_guest_balloon_report(struct vmb_guest_balloon *g, const struct vmb_balloon_status *status)
{
	bool is_open = g->state >= VMB_GUEST_BALLOON_OPEN && g->state <= VMB_GUEST_BALLOON_ADDING;

	if (!is_open || g->output_len || g->range_len)
		return VMB_EAGAIN;
	send(g, VMB_BALLOON_STATUS, status, sizeof(*status));
	return 0;
}
