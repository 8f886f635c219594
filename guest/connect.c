// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The connection: negotiation, the queue of what is to be sent, and who handles what the host says.
 */
#include "guest/engine.h"

/* Newest first. */
static const uint32_t versions[] = {
	VMB_VERSION_6_0, VMB_VERSION_5_3, VMB_VERSION_5_2,  VMB_VERSION_5_1,
	VMB_VERSION_5_0, VMB_VERSION_4_1, VMB_VERSION_4_0,  VMB_VERSION_3_0,
	VMB_VERSION_2_4, VMB_VERSION_1_1, VMB_VERSION_0_13, 0,
};
#define VERSION_COUNT (VMB_ARRAY_COUNT(versions) - 1)

const uint32_t *vmb_guest_connect_versions(void)
{
	return versions;
}

int vmb_guest_connect_init(struct vmb_guest_connect *c,
			   const struct vmb_guest_connect_config *config)
{
	memset(c, 0, sizeof(*c));
	c->config = *config;
	if (!c->config.version_max)
		c->config.version_max = versions[0];
	if (!c->config.version_min)
		c->config.version_min = versions[VERSION_COUNT - 1];
	if (!vmb_version_known(c->config.version_max) ||
	    !vmb_version_known(c->config.version_min) ||
	    c->config.version_min > c->config.version_max)
		return VMB_EINVAL;
	if (!config->monitor_gpa[0] != !config->monitor_gpa[1])
		return VMB_EINVAL;
	if ((config->monitor_gpa[0] | config->monitor_gpa[1] | config->interrupt_page_gpa) %
	    VMB_PAGE_LEN)
		return VMB_EINVAL;
	return 0;
}

/*
 * Queues a contact with the newest allowed version from version_step on that is below limit. False:
 * none is left.
 */
static bool propose(struct vmb_guest_connect *c, uint32_t limit)
{
	uint32_t version = 0;

	for (; c->version_step < VERSION_COUNT; c->version_step++) {
		version = versions[c->version_step];
		if (version < limit && version <= c->config.version_max)
			break;
	}
	if (c->version_step == VERSION_COUNT || version < c->config.version_min ||
	    (version < VMB_VERSION_2_4 && !c->config.interrupt_page_gpa)) {
		c->state = VMB_GUEST_IDLE;
		return false;
	}
	c->state = VMB_GUEST_CONTACTING;
	c->version = version;
	c->features = 0;
	c->message_connection_id = version >= VMB_VERSION_5_0 ? VMB_CONNECTION_MESSAGE_MULTICLIENT :
								VMB_CONNECTION_MESSAGE;
	vmb_guest_connect_post(c, &c->post_link, VMB_MSG_INITIATE_CONTACT);
	return true;
}

static bool any_channel(const struct vmb_guest_connect *c)
{
	uint32_t relid;

	for (relid = 0; relid < VMB_CHANNEL_COUNT_MAX; relid++)
		if (c->channels[relid])
			return true;
	return false;
}

int vmb_guest_connect_start(struct vmb_guest_connect *c)
{
	if (c->state != VMB_GUEST_IDLE || any_channel(c))
		return VMB_EBUSY;
	c->version_step = 0;
	memset(c->given_back, 0, sizeof(c->given_back));
	c->dials = NULL;
	c->offers_requested = false;
	c->offers_delivered = false;
	c->multiclient_answers = false;
	return propose(c, UINT32_MAX) ? 0 : VMB_EINVAL;
}

int vmb_guest_connect_request_offers(struct vmb_guest_connect *c)
{
	if (c->state != VMB_GUEST_CONNECTED || c->offers_requested)
		return VMB_EBUSY;
	c->offers_requested = true;
	vmb_guest_connect_post(c, &c->post_link, VMB_MSG_REQUEST_OFFERS);
	return 0;
}

int vmb_guest_connect_unload(struct vmb_guest_connect *c)
{
	if (c->state != VMB_GUEST_CONNECTED)
		return VMB_EBUSY;
	while (vmb_queue_head(&c->posts))
		vmb_guest_connect_unpost(c, vmb_queue_head(&c->posts));
	c->dials = NULL;
	c->state = VMB_GUEST_UNLOADING;
	vmb_guest_connect_post(c, &c->post_link, VMB_MSG_UNLOAD);
	return 0;
}

/* ---- what leaves ---- */

static uint32_t build_contact(struct vmb_guest_connect *c, struct vmb_link *link, void *message)
{
	struct vmb_msg_initiate_contact *msg = message;

	msg->version = c->version;
	msg->target_vp = c->config.target_vp;
	if (c->version >= VMB_VERSION_5_0)
		msg->u.v5.target_sint = VMB_SYNIC_SINT_VMBUS; /* VTL 0 and no features: zero */
	else
		msg->u.interrupt_page_gpa = c->config.interrupt_page_gpa;
	msg->parent_to_child_monitor_gpa = c->config.monitor_gpa[0];
	msg->child_to_parent_monitor_gpa = c->config.monitor_gpa[1];
	return VMB_MSG_INITIATE_CONTACT_LEN;
}

static uint32_t build_bare(struct vmb_guest_connect *c, struct vmb_link *link, void *message)
{
	return sizeof(struct vmb_msg_header);
}

/* Below 1.1 the host has no answer to it. */
static bool unload_left(struct vmb_guest_connect *c, struct vmb_link *link)
{
	if (c->version < VMB_VERSION_1_1)
		c->state = VMB_GUEST_IDLE;
	return false;
}

static const struct {
	vmb_guest_connect_build *build;
	vmb_guest_connect_left *left; /* NULL: nothing to do */
} outgoing[VMB_MSG_TYPE_COUNT] = {
	[VMB_MSG_INITIATE_CONTACT] = { build_contact, NULL },
	[VMB_MSG_REQUEST_OFFERS] = { build_bare, NULL },
	[VMB_MSG_UNLOAD] = { build_bare, unload_left },
	[VMB_MSG_OPEN] = { vmb_guest_channel_build_open, NULL },
	[VMB_MSG_CLOSE] = { vmb_guest_channel_build_close, NULL },
	[VMB_MSG_MODIFY_CHANNEL] = { vmb_guest_channel_build_modify,
				     vmb_guest_channel_modify_left },
	[VMB_MSG_RELID_RELEASED] = { vmb_guest_channel_build_release, NULL },
	[VMB_MSG_GPADL_HEADER] = { vmb_guest_gpadl_build_header, vmb_guest_gpadl_part_left },
	[VMB_MSG_GPADL_BODY] = { vmb_guest_gpadl_build_body, vmb_guest_gpadl_part_left },
	[VMB_MSG_GPADL_TEARDOWN] = { vmb_guest_gpadl_build_teardown, NULL },
	[VMB_MSG_TL_CONNECT_REQUEST] = { vmb_guest_socket_build_dial, NULL },
};

const struct vmb_guest_connect_output *vmb_guest_connect_output(struct vmb_guest_connect *c)
{
	struct vmb_msg_header header = { 0, 0 };
	struct vmb_link *link = vmb_queue_head(&c->posts);

	if (c->sending)
		return &c->out;
	c->out.len = 0;
	if (!link)
		return NULL;
	memset(c->out_payload, 0, sizeof(c->out_payload));
	header.type = link->tag;
	memcpy(c->out_payload, &header, sizeof(header));
	c->out.payload = c->out_payload;
	c->out.connection_id = c->message_connection_id;
	c->out.len = outgoing[link->tag].build(c, link, c->out_payload);
	c->sending = link;
	return &c->out;
}

bool vmb_guest_connect_output_done(struct vmb_guest_connect *c)
{
	struct vmb_link *link = c->sending;
	vmb_guest_connect_left *left;

	if (!c->out.len)
		return false;
	c->out.len = 0;
	c->sending = NULL;
	c->counters.messages_out++;
	if (!link)
		return false;
	left = outgoing[link->tag].left;
	if (left && left(c, link))
		return false;
	vmb_queue_remove(&c->posts, link);
	return link->tag == VMB_MSG_UNLOAD && c->state == VMB_GUEST_IDLE;
}

static bool transient(uint32_t status)
{
	static const uint32_t retried[] = {
		VMB_HV_INSUFFICIENT_BUFFERS,
		VMB_HV_INSUFFICIENT_MEMORY,
		VMB_HV_INVALID_CONNECTION_ID,
		VMB_HV_TIMEOUT,
	};
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(retried); i++)
		if (retried[i] == status)
			return true;
	return false;
}

int vmb_guest_connect_output_refused(struct vmb_guest_connect *c, uint32_t status)
{
	struct vmb_link *link = c->sending;
	bool contact;

	if (!link) {
		c->out.len = 0;
		return 0;
	}
	contact = link->tag == VMB_MSG_INITIATE_CONTACT;
	if (contact && status == VMB_HV_INVALID_CONNECTION_ID && !c->multiclient_answers &&
	    c->version >= VMB_VERSION_5_0) {
		vmb_guest_connect_unpost(c, link);
		c->out.len = 0;
		return propose(c, VMB_VERSION_5_0) ? 0 : VMB_EIO;
	}
	if (transient(status))
		return VMB_EAGAIN;
	vmb_guest_connect_unpost(c, link);
	c->out.len = 0;
	if (contact)
		c->state = VMB_GUEST_IDLE;
	return VMB_EIO;
}

/* ---- what comes ---- */

/* Only an acceptance of 5.0 and later must also say where messages go from now on. */
static bool names_connection(const struct vmb_guest_connect *c,
			     const struct vmb_msg_version_response *msg, uint32_t len)
{
	uint32_t len_min = c->version >= VMB_VERSION_6_0 ? VMB_MSG_VERSION_RESPONSE_LEN_6_0 :
							   VMB_MSG_VERSION_RESPONSE_LEN;

	if (c->version < VMB_VERSION_5_0)
		return true;
	return len >= len_min && msg->version_or_connection && !(msg->version_or_connection >> 24);
}

static int version_response(struct vmb_guest_connect *c, const void *message, uint32_t len,
			    struct vmb_guest_event *event)
{
	struct vmb_msg_version_response msg = { 0 };
	bool multiclient = c->version >= VMB_VERSION_5_0;

	if (!vmb_guest_connect_handed(c, &c->post_link))
		return vmb_guest_connect_unsolicited(c);
	memcpy(&msg, message, len < sizeof(msg) ? len : sizeof(msg));
	if (msg.supported && !msg.connection_state && !names_connection(c, &msg, len))
		return vmb_guest_connect_malformed(c);
	vmb_guest_connect_unpost(c, &c->post_link);
	c->multiclient_answers |= multiclient;
	if (!msg.supported || (c->version >= VMB_VERSION_2_4 && msg.connection_state)) {
		c->version_step++;
		if (!propose(c, UINT32_MAX))
			event->type = VMB_GUEST_EVENT_REFUSED;
		return 0;
	}
	/* No feature was asked for, so none is negotiated whatever the host says. */
	if (multiclient)
		c->message_connection_id = msg.version_or_connection;
	c->state = VMB_GUEST_CONNECTED;
	event->type = VMB_GUEST_EVENT_CONNECTED;
	return 0;
}

static int offers_delivered(struct vmb_guest_connect *c, const void *message, uint32_t len,
			    struct vmb_guest_event *event)
{
	if (!c->offers_requested || c->offers_delivered ||
	    !vmb_guest_connect_handed(c, &c->post_link))
		return vmb_guest_connect_unsolicited(c);
	c->offers_delivered = true;
	event->type = VMB_GUEST_EVENT_OFFERS_DELIVERED;
	return 0;
}

static int unload_complete(struct vmb_guest_connect *c, const void *message, uint32_t len,
			   struct vmb_guest_event *event)
{
	if (!vmb_guest_connect_handed(c, &c->post_link))
		return vmb_guest_connect_unsolicited(c);
	vmb_guest_connect_unpost(c, &c->post_link);
	c->state = VMB_GUEST_IDLE;
	event->type = VMB_GUEST_EVENT_UNLOADED;
	return 0;
}

#define IN_CONTACTING (1u << VMB_GUEST_CONTACTING)
#define IN_CONNECTED  (1u << VMB_GUEST_CONNECTED)
#define IN_UNLOADING  (1u << VMB_GUEST_UNLOADING)

static const struct {
	uint32_t len_min;
	uint32_t version_min;
	uint32_t states; /* IN_* in which the message is legal */
	vmb_guest_connect_handle *handle;
} incoming[VMB_MSG_TYPE_COUNT] = {
	[VMB_MSG_OFFER] = { VMB_MSG_OFFER_LEN_0_13, 0, IN_CONNECTED, vmb_guest_channel_offered },
	[VMB_MSG_RESCIND] = { sizeof(struct vmb_msg_relid), 0, IN_CONNECTED,
			      vmb_guest_channel_rescinded },
	[VMB_MSG_OFFERS_DELIVERED] = { sizeof(struct vmb_msg_header), 0, IN_CONNECTED,
				       offers_delivered },
	[VMB_MSG_OPEN_RESULT] = { sizeof(struct vmb_msg_open_result), 0, IN_CONNECTED,
				  vmb_guest_channel_opened },
	[VMB_MSG_GPADL_CREATED] = { sizeof(struct vmb_msg_gpadl_created), 0, IN_CONNECTED,
				    vmb_guest_gpadl_created },
	[VMB_MSG_GPADL_TORNDOWN] = { sizeof(struct vmb_msg_gpadl_torndown), 0,
				     IN_CONNECTED | IN_UNLOADING, vmb_guest_gpadl_torndown },
	[VMB_MSG_VERSION_RESPONSE] = { VMB_MSG_VERSION_RESPONSE_LEN_MIN, 0, IN_CONTACTING,
				       version_response },
	[VMB_MSG_UNLOAD_COMPLETE] = { sizeof(struct vmb_msg_header), VMB_VERSION_1_1, IN_UNLOADING,
				      unload_complete },
	[VMB_MSG_TL_CONNECT_RESULT] = { sizeof(struct vmb_msg_tl_connect_result), VMB_VERSION_4_1,
					IN_CONNECTED, vmb_guest_socket_refused },
	[VMB_MSG_MODIFY_CHANNEL_RESPONSE] = { sizeof(struct vmb_msg_modify_channel_response),
					      VMB_VERSION_5_3, IN_CONNECTED,
					      vmb_guest_channel_modified },
};

int vmb_guest_connect_input(struct vmb_guest_connect *c, const void *message, uint32_t len,
			    struct vmb_guest_event *event)
{
	struct vmb_msg_header header;

	memset(event, 0, sizeof(*event));
	c->counters.messages_in++;
	if (len < sizeof(header) || len > VMB_MSG_LEN_MAX)
		return vmb_guest_connect_malformed(c);
	memcpy(&header, message, sizeof(header));
	if (header.type >= VMB_MSG_TYPE_COUNT || !incoming[header.type].handle) {
		c->counters.unknown++;
		return 0;
	}
	if (len < incoming[header.type].len_min)
		return vmb_guest_connect_malformed(c);
	if (!(incoming[header.type].states & 1u << c->state)) {
		/* What was said before the host saw UNLOAD is no fault of its. */
		if (c->state == VMB_GUEST_UNLOADING && incoming[header.type].states & IN_CONNECTED)
			return 0;
		return vmb_guest_connect_unsolicited(c);
	}
	if (c->version < incoming[header.type].version_min)
		return vmb_guest_connect_unsolicited(c);
	return incoming[header.type].handle(c, message, len, event);
}
