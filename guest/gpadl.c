// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* GPADLs: one range of guest pages each, sent to the host in one message or more. */
#include "guest/engine.h"

#define GPADL_PAGES_MAX VMB_GUEST_GPADL_PAGES_MAX

/* The range list in qwords: the range's header, then a page frame number each. */
static uint32_t list_count(const struct vmb_guest_gpadl *gpadl)
{
	return 1 + gpadl->pfn_count;
}

static struct vmb_guest_gpadl *find(const struct vmb_guest_connect *c, uint32_t id)
{
	struct vmb_guest_gpadl *gpadl;

	for (gpadl = c->gpadls; gpadl; gpadl = gpadl->next)
		if (gpadl->id == id)
			return gpadl;
	return NULL;
}

bool vmb_guest_gpadl_any(const struct vmb_guest_connect *c, const struct vmb_guest_channel *ch)
{
	const struct vmb_guest_gpadl *gpadl;

	for (gpadl = c->gpadls; gpadl; gpadl = gpadl->next)
		if (gpadl->channel == ch)
			return true;
	return false;
}

static uint32_t new_id(struct vmb_guest_connect *c)
{
	do
		c->last_gpadl_id++;
	while (!c->last_gpadl_id || find(c, c->last_gpadl_id));
	return c->last_gpadl_id;
}

int vmb_guest_gpadl_establish(struct vmb_guest_channel *ch, struct vmb_guest_gpadl *gpadl,
			      const uint64_t *pfns, uint32_t pfn_count, uint32_t byte_count,
			      uint32_t byte_offset)
{
	struct vmb_guest_connect *c = ch->connect;
	uint64_t end = (uint64_t)byte_offset + byte_count;

	if (pfn_count > GPADL_PAGES_MAX)
		return VMB_EOVERFLOW;
	if (!byte_count || byte_offset >= VMB_PAGE_LEN ||
	    (end + VMB_PAGE_LEN - 1) / VMB_PAGE_LEN != pfn_count)
		return VMB_EINVAL;
	if (ch->rescinded || ch->released)
		return VMB_ENODEV;
	if (gpadl->state != VMB_GUEST_GPADL_NONE || c->state != VMB_GUEST_CONNECTED)
		return VMB_EBUSY;
	gpadl->channel = ch;
	gpadl->id = new_id(c);
	gpadl->state = VMB_GUEST_GPADL_SENDING;
	gpadl->byte_count = byte_count;
	gpadl->byte_offset = byte_offset;
	gpadl->pfns = pfns;
	gpadl->pfn_count = pfn_count;
	gpadl->sent_count = 0;
	gpadl->built_count = 0;
	gpadl->body_number = 0;
	gpadl->next = c->gpadls;
	c->gpadls = gpadl;
	vmb_guest_connect_post(c, &gpadl->link, VMB_MSG_GPADL_HEADER);
	return 0;
}

int vmb_guest_gpadl_teardown(struct vmb_guest_gpadl *gpadl)
{
	struct vmb_guest_connect *c;

	if (gpadl->state != VMB_GUEST_GPADL_READY)
		return VMB_EBUSY;
	c = gpadl->channel->connect;
	if (c->state != VMB_GUEST_CONNECTED)
		return VMB_EBUSY;
	gpadl->state = VMB_GUEST_GPADL_TEARING;
	vmb_guest_connect_post(c, &gpadl->link, VMB_MSG_GPADL_TEARDOWN);
	return 0;
}

void vmb_guest_gpadl_forget(struct vmb_guest_gpadl *gpadl)
{
	struct vmb_guest_connect *c;
	struct vmb_guest_gpadl **at;

	if (gpadl->state == VMB_GUEST_GPADL_NONE)
		return;
	c = gpadl->channel->connect;
	vmb_guest_connect_unpost(c, &gpadl->link);
	for (at = &c->gpadls; *at; at = &(*at)->next) {
		if (*at == gpadl) {
			*at = gpadl->next;
			break;
		}
	}
	gpadl->next = NULL;
	gpadl->state = VMB_GUEST_GPADL_NONE;
}

/* ---- messages to the host ---- */

/*
 * Copies the next qwords of the range list, at most count_max, behind a message's fixed part.
 * Returns their length in bytes.
 */
static uint32_t build_part(struct vmb_guest_gpadl *gpadl, uint8_t *dst, uint32_t count_max)
{
	struct vmb_gpa_range range = { gpadl->byte_count, gpadl->byte_offset };
	uint32_t left = list_count(gpadl) - gpadl->sent_count;
	uint32_t count = left < count_max ? left : count_max;
	uint32_t head = gpadl->sent_count ? 0 : 1;
	uint32_t pfn = gpadl->sent_count + head - 1;

	if (head)
		memcpy(dst, &range, sizeof(range));
	memcpy(dst + head * sizeof(range), &gpadl->pfns[pfn], (count - head) * sizeof(uint64_t));
	gpadl->built_count = count;
	return count * (uint32_t)sizeof(uint64_t);
}

uint32_t vmb_guest_gpadl_build_header(struct vmb_guest_connect *c, struct vmb_link *link,
				      void *message)
{
	struct vmb_guest_gpadl *gpadl = VMB_CONTAINER_OF(link, struct vmb_guest_gpadl, link);
	struct vmb_msg_gpadl_header *msg = message;

	msg->relid = gpadl->channel->relid;
	msg->gpadl_id = gpadl->id;
	msg->ranges_len = (uint16_t)(list_count(gpadl) * sizeof(uint64_t));
	msg->range_count = 1;
	return sizeof(*msg) + build_part(gpadl, (uint8_t *)(msg + 1), VMB_MSG_GPADL_HEADER_QWORDS);
}

uint32_t vmb_guest_gpadl_build_body(struct vmb_guest_connect *c, struct vmb_link *link,
				    void *message)
{
	struct vmb_guest_gpadl *gpadl = VMB_CONTAINER_OF(link, struct vmb_guest_gpadl, link);
	struct vmb_msg_gpadl_body *msg = message;

	msg->number = gpadl->body_number;
	msg->gpadl_id = gpadl->id;
	return sizeof(*msg) + build_part(gpadl, (uint8_t *)(msg + 1), VMB_MSG_GPADL_BODY_QWORDS);
}

bool vmb_guest_gpadl_part_left(struct vmb_guest_connect *c, struct vmb_link *link)
{
	struct vmb_guest_gpadl *gpadl = VMB_CONTAINER_OF(link, struct vmb_guest_gpadl, link);

	gpadl->sent_count += gpadl->built_count;
	gpadl->built_count = 0;
	if (gpadl->sent_count == list_count(gpadl)) {
		gpadl->state = VMB_GUEST_GPADL_WAITING;
		return false;
	}
	gpadl->body_number = link->tag == VMB_MSG_GPADL_HEADER ? 0 : gpadl->body_number + 1;
	link->tag = VMB_MSG_GPADL_BODY;
	return true;
}

uint32_t vmb_guest_gpadl_build_teardown(struct vmb_guest_connect *c, struct vmb_link *link,
					void *message)
{
	struct vmb_guest_gpadl *gpadl = VMB_CONTAINER_OF(link, struct vmb_guest_gpadl, link);
	struct vmb_msg_gpadl_teardown *msg = message;

	msg->relid = gpadl->channel->relid;
	msg->gpadl_id = gpadl->id;
	return sizeof(*msg);
}

/* ---- messages from the host ---- */

/*
 * Whether the host may have the header (else it cannot refuse), or the whole list (else it cannot
 * accept).
 */
static bool shown(const struct vmb_guest_connect *c, const struct vmb_guest_gpadl *gpadl, bool all)
{
	uint32_t seen = gpadl->sent_count;

	if (c->sending == &gpadl->link)
		seen += gpadl->built_count;
	return all ? seen == list_count(gpadl) : seen > 0;
}

int vmb_guest_gpadl_created(struct vmb_guest_connect *c, const void *message, uint32_t len,
			    struct vmb_guest_event *event)
{
	const struct vmb_msg_gpadl_created *msg = message;
	struct vmb_guest_gpadl *gpadl = find(c, msg->gpadl_id);

	if (!gpadl || gpadl->channel->relid != msg->relid ||
	    (gpadl->state != VMB_GUEST_GPADL_SENDING && gpadl->state != VMB_GUEST_GPADL_WAITING) ||
	    !shown(c, gpadl, !msg->status))
		return vmb_guest_connect_unsolicited(c);
	event->type = VMB_GUEST_EVENT_GPADL_CREATED;
	event->status = msg->status;
	event->channel = gpadl->channel;
	event->gpadl = gpadl;
	if (msg->status) {
		vmb_guest_gpadl_forget(gpadl);
		return 0;
	}
	vmb_guest_connect_unpost(c, &gpadl->link);
	gpadl->state = VMB_GUEST_GPADL_READY;
	return 0;
}

int vmb_guest_gpadl_torndown(struct vmb_guest_connect *c, const void *message, uint32_t len,
			     struct vmb_guest_event *event)
{
	const struct vmb_msg_gpadl_torndown *msg = message;
	struct vmb_guest_gpadl *gpadl = find(c, msg->gpadl_id);

	if (!gpadl || gpadl->state != VMB_GUEST_GPADL_TEARING ||
	    !vmb_guest_connect_handed(c, &gpadl->link))
		return vmb_guest_connect_unsolicited(c);
	event->type = VMB_GUEST_EVENT_GPADL_TORNDOWN;
	event->channel = gpadl->channel;
	event->gpadl = gpadl;
	vmb_guest_gpadl_forget(gpadl);
	return 0;
}
