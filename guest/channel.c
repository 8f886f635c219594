// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Channels: offers, open, close, moves to another VP, rescind and release. */
#include "guest/engine.h"

#define RING_PAGES_MIN	2u /* a control page and one of data */
#define OFFER_DEDICATED 1u
#define OFFER_MONITORED 1u

/*
 * Whether relid was released without a RESCIND. One RESCIND of it may be under way until it is
 * offered again.
 */
static bool given_back(const struct vmb_guest_connect *c, uint32_t relid)
{
	return c->given_back[relid / 32] >> relid % 32 & 1;
}

static void set_given_back(struct vmb_guest_connect *c, uint32_t relid, bool value)
{
	uint32_t bit = 1u << relid % 32;

	if (value)
		c->given_back[relid / 32] |= bit;
	else
		c->given_back[relid / 32] &= ~bit;
}

struct vmb_guest_channel *vmb_guest_channel_find(struct vmb_guest_connect *c, uint32_t relid)
{
	return relid < VMB_CHANNEL_COUNT_MAX ? c->channels[relid] : NULL;
}

static bool has_own_signal(const struct vmb_guest_connect *c)
{
	return c->version >= VMB_VERSION_1_1;
}

static bool is_monitored(const struct vmb_guest_connect *c, const struct vmb_msg_offer *offer)
{
	return offer->monitor_allocated & OFFER_MONITORED && c->config.monitor_gpa[1] &&
	       offer->monitor_id < VMB_MONITOR_COUNT_MAX;
}

int vmb_guest_channel_add(struct vmb_guest_connect *c, struct vmb_guest_channel *ch,
			  const struct vmb_msg_offer *offer)
{
	uint32_t relid = offer->relid;

	if (!relid || relid >= VMB_CHANNEL_COUNT_MAX)
		return VMB_EINVAL;
	if (c->channels[relid] || c->state != VMB_GUEST_CONNECTED)
		return VMB_EBUSY;
	ch->connect = c;
	ch->offer = *offer;
	ch->relid = relid;
	ch->dedicated = has_own_signal(c) && offer->is_dedicated & OFFER_DEDICATED;
	ch->connection_id = has_own_signal(c) ? offer->connection_id : VMB_CONNECTION_EVENT;
	ch->monitor_id = is_monitored(c, offer) ? offer->monitor_id : VMB_OFFER_MONITOR_NONE;
	ch->state = VMB_GUEST_CHANNEL_CLOSED;
	ch->target_vp = VMB_VP_NONE;
	c->channels[relid] = ch;
	set_given_back(c, relid, false);
	return 0;
}

static bool ring_fits(const struct vmb_guest_gpadl *gpadl, uint32_t downstream_page)
{
	return !gpadl->byte_offset && gpadl->byte_count % VMB_PAGE_LEN == 0 &&
	       downstream_page >= RING_PAGES_MIN && downstream_page < gpadl->pfn_count &&
	       gpadl->pfn_count - downstream_page >= RING_PAGES_MIN;
}

int vmb_guest_channel_open(struct vmb_guest_channel *ch, const struct vmb_guest_gpadl *gpadl,
			   uint32_t downstream_page, uint32_t target_vp, const void *user,
			   uint32_t user_len)
{
	struct vmb_guest_connect *c = ch->connect;

	if (ch->rescinded || ch->released)
		return VMB_ENODEV;
	if (gpadl->channel != ch || user_len > sizeof(ch->user) ||
	    !ring_fits(gpadl, downstream_page))
		return VMB_EINVAL;
	if (ch->state != VMB_GUEST_CHANNEL_CLOSED || gpadl->state != VMB_GUEST_GPADL_READY ||
	    c->state != VMB_GUEST_CONNECTED)
		return VMB_EBUSY;
	ch->gpadl_id = gpadl->id;
	ch->downstream_page = downstream_page;
	ch->target_vp = c->version < VMB_VERSION_2_4 ? 0 : target_vp;
	memset(ch->user, 0, sizeof(ch->user));
	if (user_len)
		memcpy(ch->user, user, user_len);
	ch->open_id = ++c->last_open_id;
	ch->state = VMB_GUEST_CHANNEL_OPENING;
	vmb_guest_connect_post(c, &ch->open_link, VMB_MSG_OPEN);
	return 0;
}

int vmb_guest_channel_close(struct vmb_guest_channel *ch)
{
	struct vmb_guest_connect *c = ch->connect;

	if (ch->state == VMB_GUEST_CHANNEL_OPENING && vmb_guest_connect_handed(c, &ch->open_link)) {
		/* The host drops a CLOSE that meets an OPEN under way. */
		ch->state = VMB_GUEST_CHANNEL_CLOSING;
		return 0;
	}
	if (ch->state == VMB_GUEST_CHANNEL_OPENING)
		vmb_guest_connect_unpost(c, &ch->open_link);
	else if (ch->state == VMB_GUEST_CHANNEL_OPEN)
		vmb_guest_connect_post(c, &ch->close_link, VMB_MSG_CLOSE);
	else
		return VMB_EBUSY;
	if (!vmb_guest_connect_handed(c, &ch->modify_link)) {
		vmb_guest_connect_unpost(c, &ch->modify_link);
		ch->modifying = false;
	}
	ch->state = VMB_GUEST_CHANNEL_CLOSED;
	return 0;
}

int vmb_guest_channel_modify(struct vmb_guest_channel *ch, uint32_t target_vp)
{
	struct vmb_guest_connect *c = ch->connect;

	if (c->version < VMB_VERSION_4_1)
		return VMB_EOPNOTSUPP;
	if (ch->rescinded)
		return VMB_ENODEV;
	if (ch->state != VMB_GUEST_CHANNEL_OPEN || ch->modifying || c->state != VMB_GUEST_CONNECTED)
		return VMB_EBUSY;
	if (target_vp == VMB_VP_NONE || ch->target_vp == VMB_VP_NONE)
		return VMB_EINVAL;
	ch->modifying = true;
	ch->wanted_vp = target_vp;
	vmb_guest_connect_post(c, &ch->modify_link, VMB_MSG_MODIFY_CHANNEL);
	return 0;
}

int vmb_guest_channel_release(struct vmb_guest_channel *ch)
{
	struct vmb_guest_connect *c = ch->connect;

	if (ch->released || (!ch->rescinded && !ch->offer.sub_channel_index) ||
	    ch->state != VMB_GUEST_CHANNEL_CLOSED || c->channels[ch->relid] != ch ||
	    vmb_guest_gpadl_any(c, ch) || c->state != VMB_GUEST_CONNECTED)
		return VMB_EBUSY;
	ch->released = true;
	vmb_guest_connect_post(c, &ch->release_link, VMB_MSG_RELID_RELEASED);
	return 0;
}

bool vmb_guest_channel_gone(const struct vmb_guest_channel *ch)
{
	return !ch->connect || (ch->connect->channels[ch->relid] != ch && !ch->release_link.queued);
}

void vmb_guest_channel_remove(struct vmb_guest_channel *ch)
{
	struct vmb_guest_connect *c = ch->connect;
	struct vmb_guest_gpadl *gpadl;
	struct vmb_guest_gpadl *next;

	if (!c)
		return;
	for (gpadl = c->gpadls; gpadl; gpadl = next) {
		next = gpadl->next;
		if (gpadl->channel == ch)
			vmb_guest_gpadl_forget(gpadl);
	}
	vmb_guest_connect_unpost(c, &ch->open_link);
	vmb_guest_connect_unpost(c, &ch->close_link);
	vmb_guest_connect_unpost(c, &ch->modify_link);
	vmb_guest_connect_unpost(c, &ch->release_link);
	if (c->channels[ch->relid] == ch)
		c->channels[ch->relid] = NULL;
}

/* ---- messages to the host ---- */

uint32_t vmb_guest_channel_build_open(struct vmb_guest_connect *c, struct vmb_link *link,
				      void *message)
{
	struct vmb_guest_channel *ch = VMB_CONTAINER_OF(link, struct vmb_guest_channel, open_link);
	struct vmb_msg_open *msg = message;

	msg->relid = ch->relid;
	msg->open_id = ch->open_id;
	msg->gpadl_id = ch->gpadl_id;
	msg->target_vp = ch->target_vp;
	msg->downstream_page = ch->downstream_page;
	memcpy(msg->user, ch->user, sizeof(msg->user));
	return VMB_MSG_OPEN_LEN;
}

uint32_t vmb_guest_channel_build_close(struct vmb_guest_connect *c, struct vmb_link *link,
				       void *message)
{
	struct vmb_guest_channel *ch = VMB_CONTAINER_OF(link, struct vmb_guest_channel, close_link);
	struct vmb_msg_relid *msg = message;

	msg->relid = ch->relid;
	return sizeof(*msg);
}

uint32_t vmb_guest_channel_build_modify(struct vmb_guest_connect *c, struct vmb_link *link,
					void *message)
{
	struct vmb_guest_channel *ch =
		VMB_CONTAINER_OF(link, struct vmb_guest_channel, modify_link);
	struct vmb_msg_modify_channel *msg = message;

	msg->relid = ch->relid;
	msg->target_vp = ch->wanted_vp;
	return sizeof(*msg);
}

bool vmb_guest_channel_modify_left(struct vmb_guest_connect *c, struct vmb_link *link)
{
	struct vmb_guest_channel *ch =
		VMB_CONTAINER_OF(link, struct vmb_guest_channel, modify_link);

	if (c->version < VMB_VERSION_5_3) {
		ch->target_vp = ch->wanted_vp;
		ch->modifying = false;
	}
	return false;
}

/*
 * The host may offer the relid again before the sender reports that this was sent: it is free from
 * here on.
 */
uint32_t vmb_guest_channel_build_release(struct vmb_guest_connect *c, struct vmb_link *link,
					 void *message)
{
	struct vmb_guest_channel *ch =
		VMB_CONTAINER_OF(link, struct vmb_guest_channel, release_link);
	struct vmb_msg_relid *msg = message;

	c->channels[ch->relid] = NULL;
	set_given_back(c, ch->relid, !ch->rescinded);
	msg->relid = ch->relid;
	return sizeof(*msg);
}

/* ---- messages from the host ---- */

/* The live primary channel of the device that offer names, or NULL. */
static const struct vmb_guest_channel *find_primary(const struct vmb_guest_connect *c,
						    const struct vmb_msg_offer *offer)
{
	const struct vmb_guest_channel *ch;
	uint32_t relid;

	for (relid = 1; relid < VMB_CHANNEL_COUNT_MAX; relid++) {
		ch = c->channels[relid];
		if (ch && !ch->rescinded && !ch->offer.sub_channel_index &&
		    vmb_guid_equal(&ch->offer.type_id, &offer->type_id) &&
		    vmb_guid_equal(&ch->offer.instance_id, &offer->instance_id))
			return ch;
	}
	return NULL;
}

static bool offer_acceptable(const struct vmb_guest_connect *c, const struct vmb_msg_offer *offer)
{
	uint32_t relid_end = c->version >= VMB_VERSION_2_4 ? VMB_CHANNEL_COUNT_MAX :
							     VMB_CHANNEL_COUNT_SHARED;

	if (!offer->relid || offer->relid >= relid_end || c->channels[offer->relid])
		return false;
	if (offer->monitor_allocated & OFFER_MONITORED &&
	    offer->monitor_id >= VMB_MONITOR_COUNT_MAX)
		return false;
	if (vmb_socket_is_offer(offer->flags) && offer->sub_channel_index)
		return false;
	/* A device has one primary, and no sub-channel without it. */
	return !find_primary(c, offer) == !offer->sub_channel_index;
}

int vmb_guest_channel_offered(struct vmb_guest_connect *c, const void *message, uint32_t len,
			      struct vmb_guest_event *event)
{
	uint32_t offer_len = has_own_signal(c) ? sizeof(event->offer) : VMB_MSG_OFFER_LEN_0_13;
	int error = 0;

	if (len < offer_len)
		return vmb_guest_connect_malformed(c);
	if (!c->offers_requested || !vmb_guest_connect_handed(c, &c->post_link))
		return vmb_guest_connect_unsolicited(c);
	memcpy(&event->offer, message, offer_len);
	if (c->version < VMB_VERSION_2_4)
		event->offer.sub_channel_index = 0;
	if (!offer_acceptable(c, &event->offer)) {
		memset(&event->offer, 0, sizeof(event->offer));
		c->counters.offers_refused++;
		error = VMB_EPROTO;
	} else {
		event->type = VMB_GUEST_EVENT_OFFER;
		event->dial = vmb_guest_socket_answered(c, &event->offer);
	}
	return error;
}

int vmb_guest_channel_rescinded(struct vmb_guest_connect *c, const void *message, uint32_t len,
				struct vmb_guest_event *event)
{
	const struct vmb_msg_relid *msg = message;
	struct vmb_guest_channel *ch = vmb_guest_channel_find(c, msg->relid);

	if (!ch && msg->relid < VMB_CHANNEL_COUNT_MAX && given_back(c, msg->relid)) {
		set_given_back(c, msg->relid, false);
		return 0;
	}
	if (!ch || ch->rescinded)
		return vmb_guest_connect_unsolicited(c);
	ch->rescinded = true;
	if (ch->released)
		return 0;
	/* The host ignores OPEN from now on, and one that it already has gets no result. */
	vmb_guest_connect_unpost(c, &ch->open_link);
	vmb_guest_connect_unpost(c, &ch->modify_link);
	ch->modifying = false;
	if (ch->state != VMB_GUEST_CHANNEL_OPEN)
		ch->state = VMB_GUEST_CHANNEL_CLOSED;
	event->type = VMB_GUEST_EVENT_RESCIND;
	event->channel = ch;
	return 0;
}

int vmb_guest_channel_opened(struct vmb_guest_connect *c, const void *message, uint32_t len,
			     struct vmb_guest_event *event)
{
	const struct vmb_msg_open_result *msg = message;
	struct vmb_guest_channel *ch = vmb_guest_channel_find(c, msg->relid);
	bool closing;

	if (!ch ||
	    (ch->state != VMB_GUEST_CHANNEL_OPENING && ch->state != VMB_GUEST_CHANNEL_CLOSING) ||
	    ch->open_id != msg->open_id || !vmb_guest_connect_handed(c, &ch->open_link))
		return vmb_guest_connect_unsolicited(c);
	vmb_guest_connect_unpost(c, &ch->open_link);
	closing = ch->state == VMB_GUEST_CHANNEL_CLOSING;
	ch->state = msg->status || closing ? VMB_GUEST_CHANNEL_CLOSED : VMB_GUEST_CHANNEL_OPEN;
	if (closing) {
		if (!msg->status)
			vmb_guest_connect_post(c, &ch->close_link, VMB_MSG_CLOSE);
		return 0;
	}
	event->type = VMB_GUEST_EVENT_OPEN_RESULT;
	event->status = msg->status;
	event->channel = ch;
	return 0;
}

int vmb_guest_channel_modified(struct vmb_guest_connect *c, const void *message, uint32_t len,
			       struct vmb_guest_event *event)
{
	const struct vmb_msg_modify_channel_response *msg = message;
	struct vmb_guest_channel *ch = vmb_guest_channel_find(c, msg->relid);

	if (!ch || !ch->modifying || !vmb_guest_connect_handed(c, &ch->modify_link))
		return vmb_guest_connect_unsolicited(c);
	vmb_guest_connect_unpost(c, &ch->modify_link);
	ch->modifying = false;
	/* The answer to a request from before a close says nothing about a later open. */
	if (ch->state != VMB_GUEST_CHANNEL_OPEN)
		return 0;
	if (!msg->status)
		ch->target_vp = ch->wanted_vp;
	event->type = VMB_GUEST_EVENT_MODIFY_RESULT;
	event->status = msg->status;
	event->channel = ch;
	return 0;
}
