// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Channels as the bus has them: offered, opened, closed, rescinded and released. */
#include "host/engine.h"

/*
 * Connection ids of channels: unique because relids are, below the hypervisor's limit of 24 bits,
 * and apart from the ids that VMBus itself uses (1 to 4).
 */
#define CONNECTION_BASE 0x2000u

static bool same_device(const struct vmb_host_channel *a, const struct vmb_host_channel *b)
{
	return vmb_guid_equal(&a->type_id, &b->type_id) &&
	       vmb_guid_equal(&a->instance_id, &b->instance_id);
}

/*
 * The channel of ch's device that has this index, or NULL. A sub-channel that was taken away counts
 * no more: the guest may ask for new ones before it has let go of the old.
 */
static struct vmb_host_channel *sibling(struct vmb_host_server *s,
					const struct vmb_host_channel *ch, uint16_t index)
{
	struct vmb_host_channel *at;

	for (at = s->first; at; at = at->next)
		if (at->sub_channel_index == index && same_device(at, ch) &&
		    !(index && at->revoked))
			return at;
	return NULL;
}

static uint32_t free_relid(const struct vmb_host_server *s)
{
	uint32_t relid;

	for (relid = 1; relid < VMB_CHANNEL_COUNT_MAX; relid++)
		if (!s->channels[relid])
			return relid;
	return 0;
}

static void link_channel(struct vmb_host_server *s, struct vmb_host_channel *ch)
{
	s->channels[ch->relid] = ch;
	if (s->last)
		s->last->next = ch;
	else
		s->first = ch;
	s->last = ch;
}

void vmb_host_channel_forget(struct vmb_host_channel *ch)
{
	struct vmb_host_server *s = ch->server;
	struct vmb_host_channel *before = NULL;
	struct vmb_host_channel *at;

	for (at = s->first; at != ch; at = at->next)
		before = at;
	if (before)
		before->next = ch->next;
	else
		s->first = ch->next;
	if (s->last == ch)
		s->last = before;
	s->channels[ch->relid] = NULL;
	if (ch->monitor_id < VMB_MONITOR_COUNT_MAX)
		s->monitors[ch->monitor_id / VMB_MONITOR_GROUP_BITS] &=
			~(1u << ch->monitor_id % VMB_MONITOR_GROUP_BITS);
}

/* A pipe's few messages need no monitor, and some guests take services without one only. */
static bool may_have_monitor(const struct vmb_host_channel *ch)
{
	return ch->monitored ||
	       (ch->server->config.monitors && !(ch->flags & VMB_OFFER_FLAG_NAMED_PIPE));
}

/* Ids are few: a channel that finds none left is signalled as without. */
static uint32_t take_monitor_id(struct vmb_host_server *s)
{
	uint32_t id;
	uint32_t *group;

	for (id = 0; id < VMB_MONITOR_COUNT_MAX; id++) {
		group = &s->monitors[id / VMB_MONITOR_GROUP_BITS];
		if (!(*group >> id % VMB_MONITOR_GROUP_BITS & 1)) {
			*group |= 1u << id % VMB_MONITOR_GROUP_BITS;
			return id;
		}
	}
	return VMB_OFFER_MONITOR_NONE;
}

void vmb_host_channel_announce(struct vmb_host_channel *ch)
{
	struct vmb_host_server *s = ch->server;

	if (s->version >= VMB_VERSION_2_4 || ch->relid < VMB_CHANNEL_COUNT_SHARED)
		vmb_host_server_post(s, &ch->offer_link, VMB_MSG_OFFER);
}

int vmb_host_channel_offer(struct vmb_host_server *s, struct vmb_host_channel *ch)
{
	const struct vmb_host_channel *primary;
	uint32_t relid = free_relid(s);

	if (sibling(s, ch, ch->sub_channel_index))
		return VMB_EBUSY;
	if (ch->sub_channel_index) {
		primary = sibling(s, ch, 0);
		if (!primary || primary->revoked || primary->state != VMB_HOST_CHANNEL_OPEN ||
		    s->state != VMB_HOST_CONNECTED)
			return VMB_EINVAL;
		if (s->version < VMB_VERSION_2_4)
			return VMB_EOPNOTSUPP;
	}
	if (!relid)
		return VMB_EAGAIN;
	ch->server = s;
	ch->relid = relid;
	ch->connection_id = CONNECTION_BASE | relid;
	ch->monitor_id = may_have_monitor(ch) ? take_monitor_id(s) : VMB_OFFER_MONITOR_NONE;
	ch->target_vp = VMB_VP_NONE;
	link_channel(s, ch);
	if (s->offers_requested)
		vmb_host_channel_announce(ch);
	return 0;
}

struct vmb_host_channel *vmb_host_channel_find(struct vmb_host_server *s, uint32_t relid)
{
	return relid < VMB_CHANNEL_COUNT_MAX ? s->channels[relid] : NULL;
}

struct vmb_host_channel *vmb_host_channel_visible(struct vmb_host_server *s, uint32_t relid)
{
	struct vmb_host_channel *ch = vmb_host_channel_find(s, relid);

	return ch && ch->visible ? ch : NULL;
}

/* Opening */

/* A ring needs a control page and a page of data; both rings lie in one range of whole pages. */
static bool ring_is_sound(const struct vmb_host_gpadl *gpadl, uint32_t downstream_page)
{
	struct vmb_host_gpadl_range range;

	if (gpadl->range_count != 1 || !vmb_host_gpadl_range(gpadl, 0, &range))
		return false;
	if (range.byte_offset || range.byte_count % VMB_PAGE_LEN)
		return false;
	return downstream_page >= 2 && range.pfn_count >= 4 &&
	       downstream_page <= range.pfn_count - 2;
}

static void answer_open(struct vmb_host_channel *ch, uint32_t status)
{
	ch->open_status = status;
	vmb_host_server_post(ch->server, &ch->open_link, VMB_MSG_OPEN_RESULT);
}

static void begin_open(struct vmb_host_channel *ch, const struct vmb_msg_open *m)
{
	struct vmb_host_server *s = ch->server;
	struct vmb_host_gpadl *ring = vmb_host_gpadl_find(ch, m->gpadl_id);
	/* Before 2.4 all interrupts go to VP 0. */
	uint32_t target_vp = s->version < VMB_VERSION_2_4 ? 0 : m->target_vp;

	ch->open_id = m->open_id;
	if (!ring || !ring_is_sound(ring, m->downstream_page) ||
	    (target_vp != VMB_VP_NONE && target_vp >= s->config.vp_count)) {
		s->counters.malformed++;
		answer_open(ch, VMB_STATUS_FAILURE);
		return;
	}
	ch->state = VMB_HOST_CHANNEL_OPENING;
	ch->target_vp = target_vp;
	ch->downstream_page = m->downstream_page;
	memcpy(ch->open_user, m->user, sizeof(ch->open_user));
	ch->ring = ring;
	vmb_host_gpadl_get(ring);
	vmb_host_server_notify(s, &ch->open_event, VMB_HOST_EVENT_OPEN);
}

uint32_t vmb_host_channel_input_open(struct vmb_host_server *s, const void *message, uint32_t len)
{
	struct vmb_host_channel *ch;
	struct vmb_msg_open m = { 0 };

	memcpy(&m, message, VMB_MSG_OPEN_LEN);
	ch = vmb_host_channel_visible(s, m.relid);
	if (!ch)
		return vmb_host_server_malformed(s);
	if (ch->revoked)
		return vmb_host_server_misplaced(s);
	if (ch->reopen ||
	    (ch->state != VMB_HOST_CHANNEL_OFFERED && ch->state != VMB_HOST_CHANNEL_CLOSING))
		return vmb_host_server_misplaced(s);
	if (ch->open_link.queued)
		return VMB_HV_INSUFFICIENT_BUFFERS;
	if (ch->state == VMB_HOST_CHANNEL_CLOSING) {
		ch->reopen = true;
		ch->reopen_message = m;
	} else {
		begin_open(ch, &m);
	}
	return VMB_HV_SUCCESS;
}

/* Nobody is left who wants the channel open. */
static bool unwanted(const struct vmb_host_channel *ch)
{
	return ch->revoked || !ch->visible || ch->server->state != VMB_HOST_CONNECTED;
}

static void revoke(struct vmb_host_channel *ch);

/* Sub-channels live as long as their primary is open. */
static void revoke_sub_channels(const struct vmb_host_channel *primary)
{
	struct vmb_host_channel *at;

	for (at = primary->server->first; at; at = at->next)
		if (at->sub_channel_index && same_device(at, primary))
			revoke(at);
}

static void begin_close(struct vmb_host_channel *ch)
{
	ch->state = VMB_HOST_CHANNEL_CLOSING;
	ch->modify_valid = false;
	vmb_host_server_notify(ch->server, &ch->close_event, VMB_HOST_EVENT_CLOSE);
	if (!ch->sub_channel_index)
		revoke_sub_channels(ch);
}

static void end_close(struct vmb_host_channel *ch)
{
	struct vmb_host_gpadl *ring = ch->ring;

	ch->state = VMB_HOST_CHANNEL_OFFERED;
	ch->target_vp = VMB_VP_NONE;
	ch->ring = NULL;
	vmb_host_gpadl_unuse(ring);
}

void vmb_host_channel_opened(struct vmb_host_channel *ch, uint32_t status)
{
	struct vmb_host_server *s = ch->server;

	if (ch->state != VMB_HOST_CHANNEL_OPENING)
		return;
	if (status)
		end_close(ch);
	else if (unwanted(ch))
		begin_close(ch);
	else
		ch->state = VMB_HOST_CHANNEL_OPEN;
	if (!unwanted(ch))
		answer_open(ch, status);
	vmb_host_channel_settle(ch);
	vmb_host_server_settle(s);
}

/* Closing */

uint32_t vmb_host_channel_input_close(struct vmb_host_server *s, const void *message, uint32_t len)
{
	struct vmb_host_channel *ch;
	struct vmb_msg_relid m;

	memcpy(&m, message, sizeof(m));
	ch = vmb_host_channel_visible(s, m.relid);
	if (!ch)
		return vmb_host_server_malformed(s);
	if (ch->state == VMB_HOST_CHANNEL_OPEN)
		begin_close(ch);
	else if (!ch->revoked)
		s->counters.misplaced++;
	return VMB_HV_SUCCESS;
}

void vmb_host_channel_closed(struct vmb_host_channel *ch)
{
	struct vmb_host_server *s = ch->server;

	if (ch->state != VMB_HOST_CHANNEL_CLOSING)
		return;
	end_close(ch);
	if (ch->reopen) {
		ch->reopen = false;
		begin_open(ch, &ch->reopen_message);
	}
	vmb_host_channel_settle(ch);
	vmb_host_server_settle(s);
}

/*
 * Takes ch from its device in any state; the device confirms with _opened or _closed if it has to.
 */
static void shut(struct vmb_host_channel *ch)
{
	struct vmb_host_server *s = ch->server;

	ch->reopen = false;
	if (ch->state == VMB_HOST_CHANNEL_OPEN) {
		begin_close(ch);
	} else if (ch->open_event.queued) {
		vmb_queue_remove(&s->events, &ch->open_event);
		end_close(ch);
	}
}

/* Rescind and release */

static void revoke(struct vmb_host_channel *ch)
{
	if (ch->revoked)
		return;
	ch->revoked = true;
	if (!ch->visible)
		vmb_host_server_unpost(ch->server, &ch->offer_link);
	shut(ch);
	vmb_host_channel_settle(ch);
}

void vmb_host_channel_rescind(struct vmb_host_channel *ch)
{
	revoke(ch);
	vmb_host_server_settle(ch->server);
}

/* A guest that hears of a primary's end has heard of its sub-channels'. */
static bool waits_for_sub_channels(const struct vmb_host_channel *ch)
{
	const struct vmb_host_channel *at;

	for (at = ch->sub_channel_index ? NULL : ch->server->first; at; at = at->next)
		if (at->sub_channel_index && same_device(at, ch) && at->visible &&
		    !at->rescind_queued)
			return true;
	return false;
}

static void settle_primary(const struct vmb_host_channel *ch)
{
	struct vmb_host_channel *primary = ch->sub_channel_index ? sibling(ch->server, ch, 0) :
								   NULL;

	if (primary)
		vmb_host_channel_settle(primary);
}

void vmb_host_channel_settle(struct vmb_host_channel *ch)
{
	if (!ch->revoked || ch->state != VMB_HOST_CHANNEL_OFFERED)
		return;
	if (!ch->visible) {
		if (!ch->gpadl_count && !ch->modifying)
			vmb_host_server_notify(ch->server, &ch->released_event,
					       VMB_HOST_EVENT_RELEASED);
	} else if (!ch->rescind_queued && !ch->tearing_count && !waits_for_sub_channels(ch)) {
		/* After every TORNDOWN and OPEN_RESULT, which are in the queue already. */
		ch->rescind_queued = true;
		vmb_host_server_post(ch->server, &ch->rescind_link, VMB_MSG_RESCIND);
		settle_primary(ch);
	}
}

void vmb_host_channel_drop(struct vmb_host_channel *ch)
{
	struct vmb_host_server *s = ch->server;

	ch->visible = false;
	ch->rescind_queued = false;
	ch->modify_answer = false;
	vmb_host_server_unpost(s, &ch->offer_link);
	vmb_host_server_unpost(s, &ch->rescind_link);
	vmb_host_server_unpost(s, &ch->open_link);
	vmb_host_server_unpost(s, &ch->modify_link);
	if (s->wanted_channel == ch)
		s->wanted_channel = NULL;
	shut(ch);
	vmb_host_gpadl_drop_all(ch);
}

/*
 * Of a rescinded channel this is the last word, and of a sub-channel or socket too. A guest may
 * also let go of a primary that is still there; then it hears of it again in its next connection.
 */
uint32_t vmb_host_channel_input_released(struct vmb_host_server *s, const void *message,
					 uint32_t len)
{
	struct vmb_host_channel *ch;
	struct vmb_msg_relid m;

	memcpy(&m, message, sizeof(m));
	ch = vmb_host_channel_visible(s, m.relid);
	if (!ch)
		return vmb_host_server_malformed(s);
	if (!ch->revoked &&
	    (ch->state == VMB_HOST_CHANNEL_OPENING || ch->state == VMB_HOST_CHANNEL_OPEN))
		return vmb_host_server_misplaced(s);
	if (vmb_host_channel_is_passing(ch))
		ch->revoked = true;
	vmb_host_channel_drop(ch);
	vmb_host_channel_settle(ch);
	settle_primary(ch);
	return VMB_HV_SUCCESS;
}

/* Another target VP */

static void answer_modify(struct vmb_host_channel *ch, uint32_t status)
{
	ch->modify_status = status;
	if (ch->server->version >= VMB_VERSION_5_3)
		vmb_host_server_post(ch->server, &ch->modify_link, VMB_MSG_MODIFY_CHANNEL_RESPONSE);
}

uint32_t vmb_host_channel_input_modify(struct vmb_host_server *s, const void *message, uint32_t len)
{
	struct vmb_host_channel *ch;
	struct vmb_msg_modify_channel m;

	memcpy(&m, message, sizeof(m));
	ch = vmb_host_channel_visible(s, m.relid);
	if (!ch)
		return vmb_host_server_malformed(s);
	if (ch->modifying || ch->modify_link.queued)
		return VMB_HV_INSUFFICIENT_BUFFERS;
	if (ch->state != VMB_HOST_CHANNEL_OPEN || ch->target_vp == VMB_VP_NONE) {
		answer_modify(ch, VMB_STATUS_FAILURE);
		return vmb_host_server_misplaced(s);
	}
	if (m.target_vp >= s->config.vp_count) {
		answer_modify(ch, VMB_STATUS_FAILURE);
		return vmb_host_server_malformed(s);
	}
	ch->wanted_vp = m.target_vp;
	ch->modifying = true;
	ch->modify_valid = true;
	ch->modify_answer = true;
	vmb_host_server_notify(s, &ch->modify_event, VMB_HOST_EVENT_MODIFY);
	return VMB_HV_SUCCESS;
}

void vmb_host_channel_modified(struct vmb_host_channel *ch, uint32_t status)
{
	struct vmb_host_server *s = ch->server;

	if (!ch->modifying)
		return;
	ch->modifying = false;
	if (!ch->modify_valid)
		status = VMB_STATUS_FAILURE;
	else if (!status)
		ch->target_vp = ch->wanted_vp;
	if (ch->modify_answer)
		answer_modify(ch, status);
	ch->modify_valid = false;
	ch->modify_answer = false;
	vmb_host_channel_settle(ch);
	vmb_host_server_settle(s);
}

/* Messages */

uint32_t vmb_host_channel_monitor(const struct vmb_host_channel *ch)
{
	const struct vmb_host_server *s = ch->server;

	return s->monitor_gpa[1] && (s->monitors_wanted || ch->monitored) ? ch->monitor_id :
									    VMB_OFFER_MONITOR_NONE;
}

uint32_t vmb_host_channel_build_offer(struct vmb_host_server *s, struct vmb_link *link,
				      void *message)
{
	struct vmb_host_channel *ch = VMB_CONTAINER_OF(link, struct vmb_host_channel, offer_link);
	struct vmb_msg_offer *m = message;

	/* From here on the guest may have seen it, even if the port never says that it left. */
	ch->visible = true;
	m->type_id = ch->type_id;
	m->instance_id = ch->instance_id;
	m->flags = ch->flags;
	m->mmio_mib = ch->mmio_mib;
	memcpy(m->user, ch->user, sizeof(m->user));
	m->sub_channel_index = ch->sub_channel_index;
	m->relid = ch->relid;
	m->monitor_id = VMB_OFFER_MONITOR_NONE;
	if (vmb_host_channel_monitor(ch) < VMB_MONITOR_COUNT_MAX) {
		m->monitor_id = (uint8_t)ch->monitor_id;
		m->monitor_allocated = 1;
	}
	/*
	 * The whole message goes out on every version, since guests want it; below 1.1 these two
	 * are not there yet.
	 */
	if (s->version >= VMB_VERSION_1_1) {
		m->is_dedicated = 1;
		m->connection_id = ch->connection_id;
	}
	return sizeof(*m);
}

uint32_t vmb_host_channel_build_rescind(struct vmb_host_server *s, struct vmb_link *link,
					void *message)
{
	const struct vmb_host_channel *ch =
		VMB_CONTAINER_OF(link, struct vmb_host_channel, rescind_link);
	struct vmb_msg_relid *m = message;

	m->relid = ch->relid;
	return sizeof(*m);
}

uint32_t vmb_host_channel_build_result(struct vmb_host_server *s, struct vmb_link *link,
				       void *message)
{
	const struct vmb_host_channel *ch =
		VMB_CONTAINER_OF(link, struct vmb_host_channel, open_link);
	struct vmb_msg_open_result *m = message;

	m->relid = ch->relid;
	m->open_id = ch->open_id;
	m->status = ch->open_status;
	return sizeof(*m);
}

uint32_t vmb_host_channel_build_modified(struct vmb_host_server *s, struct vmb_link *link,
					 void *message)
{
	const struct vmb_host_channel *ch =
		VMB_CONTAINER_OF(link, struct vmb_host_channel, modify_link);
	struct vmb_msg_modify_channel_response *m = message;

	m->relid = ch->relid;
	m->status = ch->modify_status;
	return sizeof(*m);
}
