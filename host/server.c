// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The bus end of one guest: takes its messages, negotiates a version, answers. */
#include "host/engine.h"

/* connection_state of VERSION_RESPONSE */
#define CONNECTION_OK	  0
#define CONNECTION_FAILED 2

int vmb_host_server_init(struct vmb_host_server *s, const struct vmb_host_server_config *config)
{
	memset(s, 0, sizeof(*s));
	s->config = *config;
	s->monitors_wanted = config->monitors;
	if (!s->config.version_min)
		s->config.version_min = VMB_VERSION_OLDEST;
	if (!s->config.version_max)
		s->config.version_max = VMB_VERSION_NEWEST;
	if (!s->config.vp_count || s->config.version_min > s->config.version_max)
		return VMB_EINVAL;
	if (!vmb_version_known(s->config.version_min) || !vmb_version_known(s->config.version_max))
		return VMB_EINVAL;
	return 0;
}

/* Connecting and disconnecting */

static bool version_supported(const struct vmb_host_server *s, uint32_t version)
{
	return vmb_version_known(version) && version >= s->config.version_min &&
	       version <= s->config.version_max;
}

static void respond(struct vmb_host_server *s, bool supported, uint8_t connection_state)
{
	struct vmb_msg_version_response *r = &s->response;
	uint32_t version = s->contact.version;

	memset(r, 0, sizeof(*r));
	r->header.type = VMB_MSG_VERSION_RESPONSE;
	r->supported = supported;
	s->response_len = VMB_MSG_VERSION_RESPONSE_LEN;
	if (supported) {
		r->connection_state = connection_state;
		r->version_or_connection = version < VMB_VERSION_5_0 ? version :
								       VMB_CONNECTION_MESSAGE;
		if (version >= VMB_VERSION_6_0)
			s->response_len = VMB_MSG_VERSION_RESPONSE_LEN_6_0;
	}
	vmb_host_server_post(s, &s->version_link, VMB_MSG_VERSION_RESPONSE);
}

/* Before 3.0 hosts ignore which VP the guest asks for and use VP 0. */
static bool vp_exists(const struct vmb_host_server *s, const struct vmb_msg_initiate_contact *c)
{
	return c->version < VMB_VERSION_3_0 || c->target_vp < s->config.vp_count;
}

/* Where messages go; a guest that asked for what does not exist is told so on VP 0. */
static uint32_t message_vp(const struct vmb_host_server *s,
			   const struct vmb_msg_initiate_contact *c)
{
	return c->version >= VMB_VERSION_3_0 && vp_exists(s, c) ? c->target_vp : 0;
}

static bool is_page(const struct vmb_host_server *s, uint64_t gpa)
{
	return gpa % VMB_PAGE_LEN == 0 && vmb_host_gpadl_in_ram(s, gpa >> VMB_PAGE_SHIFT);
}

static bool looks_at_monitors(const struct vmb_host_server *s)
{
	const struct vmb_host_channel *ch = s->first;

	while (ch && !ch->monitored)
		ch = ch->next;
	return s->monitors_wanted || ch;
}

/* Both monitor pages or none; what they are matters only to a host that looks at them. */
static bool monitors_usable(const struct vmb_host_server *s,
			    const struct vmb_msg_initiate_contact *c)
{
	if (!c->parent_to_child_monitor_gpa && !c->child_to_parent_monitor_gpa)
		return true;
	if (!c->parent_to_child_monitor_gpa || !c->child_to_parent_monitor_gpa)
		return false;
	return !looks_at_monitors(s) || (is_page(s, c->parent_to_child_monitor_gpa) &&
					 is_page(s, c->child_to_parent_monitor_gpa));
}

static void take_pages(struct vmb_host_server *s, const struct vmb_msg_initiate_contact *c)
{
	s->interrupt_page_gpa = c->version < VMB_VERSION_2_4 ? c->u.interrupt_page_gpa : 0;
	s->monitor_gpa[0] = looks_at_monitors(s) ? c->parent_to_child_monitor_gpa : 0;
	s->monitor_gpa[1] = looks_at_monitors(s) ? c->child_to_parent_monitor_gpa : 0;
}

static void forget_pages(struct vmb_host_server *s)
{
	s->interrupt_page_gpa = 0;
	memset(s->monitor_gpa, 0, sizeof(s->monitor_gpa));
}

/* Before 2.4 there is no other way to interrupt the guest. */
static bool interrupt_page_usable(const struct vmb_host_server *s,
				  const struct vmb_msg_initiate_contact *c)
{
	return c->version >= VMB_VERSION_2_4 || is_page(s, c->u.interrupt_page_gpa);
}

/* Everything of the old connection is gone: answer the contact that waited for that. */
static void negotiate(struct vmb_host_server *s)
{
	const struct vmb_msg_initiate_contact *c = &s->contact;

	s->target_vp = message_vp(s, c);
	if (!version_supported(s, c->version) || !vp_exists(s, c) || !interrupt_page_usable(s, c)) {
		respond(s, false, CONNECTION_OK);
		return;
	}
	if (!monitors_usable(s, c)) {
		/* Before 2.4 there is no connection state to say so. */
		respond(s, c->version >= VMB_VERSION_2_4, CONNECTION_FAILED);
		return;
	}
	take_pages(s, c);
	s->state = VMB_HOST_CONNECTED;
	s->version = c->version;
	respond(s, true, CONNECTION_OK);
	vmb_host_server_notify(s, &s->contact_event, VMB_HOST_EVENT_CONTACT);
}

/* A device that is not closed holds its ring, so it is enough to look at the GPADLs. */
static bool disconnect_done(const struct vmb_host_server *s)
{
	return !s->gpadl_count && !s->wanted;
}

void vmb_host_server_settle(struct vmb_host_server *s)
{
	bool complete = s->unload_waiting && s->version >= VMB_VERSION_1_1;

	if (s->state != VMB_HOST_DISCONNECTING || !disconnect_done(s))
		return;
	s->state = VMB_HOST_DISCONNECTED;
	s->unload_waiting = false;
	s->version = 0;
	forget_pages(s);
	if (s->contact_waiting) {
		s->contact_waiting = false;
		negotiate(s);
		return;
	}
	vmb_host_server_notify(s, &s->unloaded_event, VMB_HOST_EVENT_UNLOADED);
	if (complete)
		vmb_host_server_post(s, &s->unload_link, VMB_MSG_UNLOAD_COMPLETE);
}

static void drop_posts(struct vmb_host_server *s)
{
	while (vmb_queue_head(&s->posts))
		vmb_queue_remove(&s->posts, vmb_queue_head(&s->posts));
	s->sending = NULL;
	s->answer_count = 0;
}

/* Begins a disconnect, or adds to one; vmb_host_server_settle ends it. */
static void disconnect(struct vmb_host_server *s)
{
	struct vmb_host_channel *ch;
	struct vmb_host_channel *next;

	drop_posts(s);
	vmb_host_socket_forget(s);
	s->state = VMB_HOST_DISCONNECTING;
	s->offers_requested = false;
	for (ch = s->first; ch; ch = ch->next)
		vmb_host_channel_drop(ch);
	for (ch = s->first; ch; ch = next) {
		next = ch->next;
		if (vmb_host_channel_is_passing(ch))
			ch->revoked = true;
		vmb_host_channel_settle(ch);
	}
}

void vmb_host_server_reset(struct vmb_host_server *s)
{
	vmb_queue_remove(&s->events, &s->contact_event);
	disconnect(s);
	s->contact_waiting = false;
	s->unload_waiting = false;
	s->version = 0; /* whatever comes before the next contact gets no answer */
	vmb_host_server_settle(s);
}

/* Messages from the guest */

/*
 * A contact for another SINT or trust level is another client's: it is refused there, and ours
 * stays as it is. Only connection 4 has several clients: on connection 1 the two fields do not
 * count (the firmware of Generation 2 leaves them 0 there, and listens on SINT 2).
 */
static bool contact_is_ours(const struct vmb_host_server *s,
			    const struct vmb_msg_initiate_contact *c)
{
	if (s->connection_id != VMB_CONNECTION_MESSAGE_MULTICLIENT)
		return true;
	if (c->version >= VMB_VERSION_5_0 && c->u.v5.target_sint != VMB_SYNIC_SINT_VMBUS)
		return false;
	return c->version < VMB_VERSION_5_1 || !c->u.v5.target_vtl;
}

static uint32_t refuse_contact(struct vmb_host_server *s, const struct vmb_msg_initiate_contact *c)
{
	struct vmb_host_aside *aside = &s->refusal;

	if (aside->link.queued)
		return VMB_HV_INSUFFICIENT_BUFFERS;
	aside->vp = c->target_vp < s->config.vp_count ? c->target_vp : 0;
	aside->sint = c->u.v5.target_sint < VMB_SYNIC_SLOT_COUNT ? c->u.v5.target_sint :
								   VMB_SYNIC_SINT_VMBUS;
	vmb_host_server_post(s, &aside->link, VMB_MSG_VERSION_RESPONSE);
	return VMB_HV_SUCCESS;
}

static uint32_t input_contact(struct vmb_host_server *s, const void *message, uint32_t len)
{
	struct vmb_msg_initiate_contact contact = { 0 };

	memcpy(&contact, message, VMB_MSG_INITIATE_CONTACT_LEN);
	if (!contact_is_ours(s, &contact))
		return refuse_contact(s, &contact);
	disconnect(s);
	s->contact = contact;
	s->contact_waiting = true;
	s->unload_waiting = false;
	return VMB_HV_SUCCESS;
}

/*
 * While an implicit disconnect is under way this takes the waiting contact's place, and is
 * answered at its VP.
 */
static uint32_t input_unload(struct vmb_host_server *s, const void *message, uint32_t len)
{
	if (s->contact_waiting) {
		s->contact_waiting = false;
		s->version = s->contact.version;
		s->target_vp = message_vp(s, &s->contact);
	}
	disconnect(s);
	s->unload_waiting = true;
	return VMB_HV_SUCCESS;
}

static uint32_t input_request_offers(struct vmb_host_server *s, const void *message, uint32_t len)
{
	struct vmb_host_channel *ch;

	if (s->offers_requested)
		return vmb_host_server_misplaced(s);
	s->offers_requested = true;
	for (ch = s->first; ch; ch = ch->next)
		if (!ch->revoked)
			vmb_host_channel_announce(ch);
	vmb_host_server_post(s, &s->delivered_link, VMB_MSG_OFFERS_DELIVERED);
	return VMB_HV_SUCCESS;
}

#define IN_DISCONNECTED	 (1u << VMB_HOST_DISCONNECTED)
#define IN_CONNECTED	 (1u << VMB_HOST_CONNECTED)
#define IN_DISCONNECTING (1u << VMB_HOST_DISCONNECTING)

/* Every message that a guest may send; what has no handler here is unknown. */
static const struct input_rule {
	uint32_t version_min;
	uint16_t len_min;
	uint16_t states;
	vmb_host_server_handle *handler;
} inputs[VMB_MSG_TYPE_COUNT] = {
	[VMB_MSG_REQUEST_OFFERS] = { 0, sizeof(struct vmb_msg_header), IN_CONNECTED,
				     input_request_offers },
	[VMB_MSG_OPEN] = { 0, VMB_MSG_OPEN_LEN, IN_CONNECTED, vmb_host_channel_input_open },
	[VMB_MSG_CLOSE] = { 0, sizeof(struct vmb_msg_relid), IN_CONNECTED,
			    vmb_host_channel_input_close },
	[VMB_MSG_GPADL_HEADER] = { 0, sizeof(struct vmb_msg_gpadl_header), IN_CONNECTED,
				   vmb_host_gpadl_input_header },
	[VMB_MSG_GPADL_BODY] = { 0, sizeof(struct vmb_msg_gpadl_body), IN_CONNECTED,
				 vmb_host_gpadl_input_body },
	[VMB_MSG_GPADL_TEARDOWN] = { 0, sizeof(struct vmb_msg_gpadl_teardown), IN_CONNECTED,
				     vmb_host_gpadl_input_teardown },
	[VMB_MSG_RELID_RELEASED] = { 0, sizeof(struct vmb_msg_relid), IN_CONNECTED,
				     vmb_host_channel_input_released },
	[VMB_MSG_INITIATE_CONTACT] = { 0, VMB_MSG_INITIATE_CONTACT_LEN,
				       IN_DISCONNECTED | IN_CONNECTED | IN_DISCONNECTING,
				       input_contact },
	[VMB_MSG_UNLOAD] = { 0, sizeof(struct vmb_msg_header), IN_CONNECTED | IN_DISCONNECTING,
			     input_unload },
	[VMB_MSG_OPEN_RESERVED] = { VMB_VERSION_4_0, sizeof(struct vmb_msg_open_reserved),
				    IN_CONNECTED, vmb_host_reserved_input_open },
	[VMB_MSG_CLOSE_RESERVED] = { VMB_VERSION_4_0, sizeof(struct vmb_msg_close_reserved),
				     IN_DISCONNECTED | IN_CONNECTED | IN_DISCONNECTING,
				     vmb_host_reserved_input_close },
	[VMB_MSG_TL_CONNECT_REQUEST] = { VMB_VERSION_4_0, VMB_MSG_TL_CONNECT_REQUEST_LEN,
					 IN_CONNECTED, vmb_host_socket_input_connect },
	[VMB_MSG_MODIFY_CHANNEL] = { VMB_VERSION_4_1, sizeof(struct vmb_msg_modify_channel),
				     IN_CONNECTED, vmb_host_channel_input_modify },
};

static uint32_t dispatch(struct vmb_host_server *s, const void *message, uint32_t len)
{
	const struct input_rule *rule;
	struct vmb_msg_header header;

	memcpy(&header, message, sizeof(header));
	if (header.type >= VMB_MSG_TYPE_COUNT || !inputs[header.type].handler) {
		s->counters.unknown++;
		return VMB_HV_SUCCESS;
	}
	rule = &inputs[header.type];
	if (len < rule->len_min)
		return vmb_host_server_malformed(s);
	if (!(rule->states & 1u << s->state))
		return vmb_host_server_misplaced(s);
	/* Without a connection there is no version; what may come then may always come. */
	if (s->state == VMB_HOST_CONNECTED && s->version < rule->version_min) {
		s->counters.unknown++;
		return VMB_HV_SUCCESS;
	}
	return rule->handler(s, message, len);
}

uint32_t vmb_host_server_input(struct vmb_host_server *s, uint32_t connection_id, uint32_t type,
			       const void *payload, uint32_t len)
{
	uint32_t status;

	if (connection_id != VMB_CONNECTION_MESSAGE &&
	    connection_id != VMB_CONNECTION_MESSAGE_MULTICLIENT)
		return VMB_HV_INVALID_CONNECTION_ID;
	if (type != VMB_SYNIC_MESSAGE_VMBUS || len < sizeof(struct vmb_msg_header) ||
	    len > VMB_MSG_LEN_MAX)
		return VMB_HV_INVALID_PARAMETER;
	if (vmb_queue_head(&s->events) || s->wanted)
		return VMB_HV_INSUFFICIENT_BUFFERS;
	s->connection_id = connection_id;
	status = dispatch(s, payload, len);
	if (status == VMB_HV_SUCCESS)
		s->counters.messages_in++;
	vmb_host_server_settle(s);
	return status;
}

/* Events */

static const struct event_rule {
	uint16_t link; /* offset of the entry in its owner */
	bool of_channel, of_gpadl;
} events[] = {
	[VMB_HOST_EVENT_CONTACT] = { offsetof(struct vmb_host_server, contact_event), false,
				     false },
	[VMB_HOST_EVENT_OPEN] = { offsetof(struct vmb_host_channel, open_event), true, false },
	[VMB_HOST_EVENT_CLOSE] = { offsetof(struct vmb_host_channel, close_event), true, false },
	[VMB_HOST_EVENT_MODIFY] = { offsetof(struct vmb_host_channel, modify_event), true, false },
	[VMB_HOST_EVENT_GPADL_WANTED] = { 0, false, false },
	[VMB_HOST_EVENT_GPADL_RELEASED] = { offsetof(struct vmb_host_gpadl, released_event), false,
					    true },
	[VMB_HOST_EVENT_RELEASED] = { offsetof(struct vmb_host_channel, released_event), true,
				      false },
	[VMB_HOST_EVENT_UNLOADED] = { 0, false, false },
	[VMB_HOST_EVENT_SOCKET] = { offsetof(struct vmb_host_socket_request, event_link), false,
				    false },
};

static uint32_t wanted_ranges_len(const struct vmb_host_server *s)
{
	struct vmb_msg_gpadl_header header;

	memcpy(&header, s->wanted_message, sizeof(header));
	return header.ranges_len;
}

bool vmb_host_server_event(struct vmb_host_server *s, struct vmb_host_event *event)
{
	struct vmb_link *link = vmb_queue_head(&s->events);
	void *owner;

	if (!link)
		return false;
	vmb_queue_remove(&s->events, link);
	owner = (char *)link - events[link->tag].link;
	memset(event, 0, sizeof(*event));
	event->type = link->tag;
	if (events[link->tag].of_channel)
		event->channel = owner;
	if (events[link->tag].of_gpadl) {
		event->gpadl = owner;
		event->channel = event->gpadl->channel;
	}
	if (event->type == VMB_HOST_EVENT_SOCKET)
		event->request = owner;
	if (event->type == VMB_HOST_EVENT_RELEASED)
		vmb_host_channel_forget(event->channel);
	if (event->type == VMB_HOST_EVENT_GPADL_WANTED) {
		event->channel = s->wanted_channel;
		event->ranges_len = wanted_ranges_len(s);
	}
	return true;
}

/* Messages to the guest */

void vmb_host_server_aim(struct vmb_host_server *s, const struct vmb_host_aside *aside)
{
	s->out.target_vp = aside->vp;
	s->out.target_sint = aside->sint;
}

/* Ours, or the refusal of a contact that is not, which is all zeros. */
static uint32_t build_version(struct vmb_host_server *s, struct vmb_link *link, void *message)
{
	if (link == &s->refusal.link) {
		vmb_host_server_aim(s, &s->refusal);
		return VMB_MSG_VERSION_RESPONSE_LEN;
	}
	memcpy(message, &s->response, s->response_len);
	return s->response_len;
}

static uint32_t build_result(struct vmb_host_server *s, struct vmb_link *link, void *message)
{
	return link == &s->reserved_open.link ? vmb_host_reserved_build_result(s, link, message) :
						vmb_host_channel_build_result(s, link, message);
}

static uint32_t build_header(struct vmb_host_server *s, struct vmb_link *link, void *message)
{
	return sizeof(struct vmb_msg_header);
}

static vmb_host_server_build *const outgoing[VMB_MSG_TYPE_COUNT] = {
	[VMB_MSG_OFFER] = vmb_host_channel_build_offer,
	[VMB_MSG_RESCIND] = vmb_host_channel_build_rescind,
	[VMB_MSG_OFFERS_DELIVERED] = build_header,
	[VMB_MSG_OPEN_RESULT] = build_result,
	[VMB_MSG_GPADL_CREATED] = vmb_host_gpadl_build_created,
	[VMB_MSG_GPADL_TORNDOWN] = vmb_host_gpadl_build_torndown,
	[VMB_MSG_VERSION_RESPONSE] = build_version,
	[VMB_MSG_UNLOAD_COMPLETE] = build_header,
	[VMB_MSG_CLOSE_RESERVED_RESPONSE] = vmb_host_reserved_build_closed,
	[VMB_MSG_TL_CONNECT_RESULT] = vmb_host_socket_build_result,
	[VMB_MSG_MODIFY_CHANNEL_RESPONSE] = vmb_host_channel_build_modified,
};

const struct vmb_host_server_output *vmb_host_server_output(struct vmb_host_server *s)
{
	struct vmb_link *link = vmb_queue_head(&s->posts);
	struct vmb_msg_header header = { 0, 0 };

	if (!link || vmb_queue_head(&s->events))
		return NULL;
	if (s->sending)
		return &s->out;
	memset(s->out_payload, 0, sizeof(s->out_payload));
	header.type = link->tag;
	memcpy(s->out_payload, &header, sizeof(header));
	s->out.target_vp = s->target_vp;
	s->out.target_sint = VMB_SYNIC_SINT_VMBUS;
	s->out.payload = s->out_payload;
	s->out.len = outgoing[link->tag](s, link, s->out_payload);
	s->sending = link;
	return &s->out;
}

/* The message that was shown is gone, one way or the other. False: none was. */
static bool leave(struct vmb_host_server *s)
{
	struct vmb_link *link = s->sending;

	if (!link)
		return false;
	vmb_queue_remove(&s->posts, link);
	s->sending = NULL;
	if (link->tag == VMB_MSG_GPADL_CREATED || link->tag == VMB_MSG_GPADL_TORNDOWN) {
		s->answer_first = (s->answer_first + 1) % VMB_HOST_ANSWER_COUNT_MAX;
		s->answer_count--;
	}
	if (link->tag == VMB_MSG_TL_CONNECT_RESULT)
		vmb_host_socket_result_left(link);
	return true;
}

void vmb_host_server_output_done(struct vmb_host_server *s)
{
	s->counters.messages_out += leave(s);
}

void vmb_host_server_output_drop(struct vmb_host_server *s)
{
	s->counters.undelivered += leave(s);
}
