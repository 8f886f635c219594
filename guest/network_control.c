// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The control channel: RNDIS requests in the control page, their replies, and what the host says of
 * itself. A request ends when the host has let go of the page (its completion) and has replied, in
 * whichever order.
 */
#include "guest/network_internal.h"

/* ---- requests ---- */

/* Sends the message of len bytes that stands in the control page; 0 bytes: it had no room. */
static int post_request(struct vmb_guest_network *n, uint32_t type, uint32_t len)
{
	struct vmb_net_rndis_packet packet = {
		.type = VMB_NET_SEND_RNDIS_PACKET,
		.channel_type = VMB_NET_CONTROL,
		.section_index = VMB_NET_SECTION_NONE,
	};

	if (!len)
		return VMB_EOVERFLOW;
	vmb_guest_network_post(n, &packet, sizeof(packet), VMB_NET_SEND_RNDIS_PACKET_COMPLETE,
			       sizeof(struct vmb_net_rndis_packet_complete));
	n->dialogue.out.type = VMB_PKT_GPA_DIRECT;
	n->dialogue.out.gpa.direct.range_count = 1;
	n->dialogue.out.gpa.range.byte_count = len;
	n->dialogue.out.gpa.pfn = n->config.control_pfn;
	n->dialogue.request_type = type;
	n->dialogue.reply_waiting = type != RNDIS_HALT;
	return 0;
}

static uint32_t new_request(struct vmb_guest_network *n)
{
	n->dialogue.request_id = n->dialogue.next_id + 1;
	return n->dialogue.request_id;
}

int vmb_guest_network_ask_initialize(struct vmb_guest_network *n)
{
	return post_request(n, RNDIS_INITIALIZE,
			    vmb_guest_rndis_initialize(n->config.control_page, VMB_PAGE_LEN,
						       new_request(n)));
}

int vmb_guest_network_ask_query(struct vmb_guest_network *n, uint32_t oid, const void *data,
				uint32_t len)
{
	return post_request(n, RNDIS_QUERY,
			    vmb_guest_rndis_query(n->config.control_page, VMB_PAGE_LEN,
						  new_request(n), oid, data, len));
}

int vmb_guest_network_ask_set(struct vmb_guest_network *n, uint32_t oid, const void *data,
			      uint32_t len)
{
	return post_request(n, RNDIS_SET,
			    vmb_guest_rndis_set(n->config.control_page, VMB_PAGE_LEN,
						new_request(n), oid, data, len));
}

/* A request of the port's: err is what became of posting it. */
static int begun(struct vmb_guest_network *n, int err)
{
	n->dialogue.request_waiting = !err;
	n->dialogue.asked = VMB_GUEST_NETWORK_ASKED_NOTHING;
	return err;
}

int vmb_guest_network_query(struct vmb_guest_network *n, uint32_t oid, const void *data,
			    uint32_t len)
{
	if (!vmb_guest_network_may_ask(n))
		return VMB_EBUSY;
	return begun(n, vmb_guest_network_ask_query(n, oid, data, len));
}

int vmb_guest_network_set(struct vmb_guest_network *n, uint32_t oid, const void *data, uint32_t len)
{
	if (!vmb_guest_network_may_ask(n))
		return VMB_EBUSY;
	return begun(n, vmb_guest_network_ask_set(n, oid, data, len));
}

int vmb_guest_network_set_filter(struct vmb_guest_network *n, uint32_t filter)
{
	return vmb_guest_network_set(n, RNDIS_OID_PACKET_FILTER, &filter, sizeof(filter));
}

int vmb_guest_network_keepalive(struct vmb_guest_network *n)
{
	if (!vmb_guest_network_may_ask(n))
		return VMB_EBUSY;
	return begun(n, post_request(n, RNDIS_KEEPALIVE,
				     vmb_guest_rndis_keepalive(n->config.control_page, VMB_PAGE_LEN,
							       new_request(n))));
}

int vmb_guest_network_reset(struct vmb_guest_network *n)
{
	if (!vmb_guest_network_may_ask(n))
		return VMB_EBUSY;
	return begun(n, post_request(n, RNDIS_RESET,
				     vmb_guest_rndis_reset(n->config.control_page, VMB_PAGE_LEN)));
}

int vmb_guest_network_halt(struct vmb_guest_network *n)
{
	if (!vmb_guest_network_may_ask(n))
		return VMB_EBUSY;
	n->state = VMB_GUEST_NETWORK_LEAVING;
	return begun(n, post_request(n, RNDIS_HALT,
				     vmb_guest_rndis_halt(n->config.control_page, VMB_PAGE_LEN,
							  new_request(n))));
}

/* ---- the address is set as a configuration parameter, in UTF-16 ---- */

#define MAC_NAME	"NetworkAddress"
#define MAC_NAME_COUNT	(sizeof(MAC_NAME) - 1)
#define MAC_DIGIT_COUNT (2 * VMB_NET_MAC_LEN)

struct mac_parameter {
	struct rndis_config_parameter head;
	uint16_t name[MAC_NAME_COUNT];
	uint16_t value[MAC_DIGIT_COUNT];
} VMB_PACKED;
VMB_ASSERT_LEN(struct mac_parameter, 72);

static void build_mac(struct mac_parameter *parameter, const uint8_t mac[VMB_NET_MAC_LEN])
{
	static const char digits[] = "0123456789ABCDEF";
	uint32_t i;

	parameter->head.name_offset = offsetof(struct mac_parameter, name);
	parameter->head.name_len = sizeof(parameter->name);
	parameter->head.type = RNDIS_CONFIG_STRING;
	parameter->head.value_offset = offsetof(struct mac_parameter, value);
	parameter->head.value_len = sizeof(parameter->value);
	for (i = 0; i < MAC_NAME_COUNT; i++)
		parameter->name[i] = (uint8_t)MAC_NAME[i];
	for (i = 0; i < VMB_NET_MAC_LEN; i++) {
		parameter->value[2 * i] = (uint8_t)digits[mac[i] >> 4];
		parameter->value[2 * i + 1] = (uint8_t)digits[mac[i] & 0xF];
	}
}

int vmb_guest_network_set_mac(struct vmb_guest_network *n, const uint8_t mac[VMB_NET_MAC_LEN])
{
	struct mac_parameter parameter;
	int err;

	if (!vmb_guest_network_may_ask(n))
		return VMB_EBUSY;
	if (!vmb_guest_network_mac_sane(mac))
		return VMB_EINVAL;
	memcpy(n->dialogue.mac_wanted, mac, VMB_NET_MAC_LEN);
	build_mac(&parameter, mac);
	err = vmb_guest_network_set(n, RNDIS_OID_CONFIG_PARAMETER, &parameter, sizeof(parameter));
	n->dialogue.asked = VMB_GUEST_NETWORK_ASKED_MAC;
	return err;
}

/* Hosts that take the parameter and keep their address say success too. */
static void ask_mac_back(struct vmb_guest_network *n)
{
	n->dialogue.asked = VMB_GUEST_NETWORK_ASKED_MAC_BACK;
	/* A question without data fits the control page. */
	vmb_guest_network_ask_query(n, RNDIS_OID_CURRENT_MAC, NULL, 0);
}

/* A host that cannot be asked is believed. */
static void judge_mac(struct vmb_guest_network *n)
{
	bool told = n->answer.status == RNDIS_STATUS_SUCCESS &&
		    n->answer.data_len == VMB_NET_MAC_LEN;

	n->answer.status = told && memcmp(n->answer.data, n->dialogue.mac_wanted, VMB_NET_MAC_LEN) ?
				   RNDIS_STATUS_FAILURE :
				   RNDIS_STATUS_SUCCESS;
	n->answer.data_len = 0;
}

/* ---- replies ---- */

/* What a request changes takes effect when the host has agreed. */
static void take_effect(struct vmb_guest_network *n)
{
	if (n->answer.status != RNDIS_STATUS_SUCCESS)
		return;
	if (n->dialogue.asked == VMB_GUEST_NETWORK_ASKED_MAC_BACK)
		memcpy(n->agreed.mac, n->dialogue.mac_wanted, VMB_NET_MAC_LEN);
	else if (n->dialogue.asked == VMB_GUEST_NETWORK_ASKED_OFFLOAD)
		n->agreed.offload = n->dialogue.offload_wanted;
}

void vmb_guest_network_request_ended(struct vmb_guest_network *n,
				     struct vmb_guest_network_event *event)
{
	if (vmb_guest_network_shaking(n)) {
		vmb_guest_network_step_answered(n, NULL, event);
		return;
	}
	if (n->dialogue.asked == VMB_GUEST_NETWORK_ASKED_MAC &&
	    n->answer.status == RNDIS_STATUS_SUCCESS) {
		ask_mac_back(n);
		return;
	}
	if (n->dialogue.asked == VMB_GUEST_NETWORK_ASKED_MAC_BACK)
		judge_mac(n);
	take_effect(n);
	n->dialogue.request_waiting = false;
	event->type = VMB_GUEST_NETWORK_ANSWERED;
}

static void set_answer(struct vmb_guest_network *n, uint32_t status, const void *data, uint32_t len)
{
	n->answer.status = status;
	n->answer.data_len = len;
	if (len)
		memcpy(n->answer.data, data, len);
}

void vmb_guest_network_request_taken(struct vmb_guest_network *n, uint32_t status,
				     struct vmb_guest_network_event *event)
{
	if (status != VMB_NET_STATUS_SUCCESS) {
		/*
		 * It was no message for the host, so it will not reply; if it has, that does not
		 * count.
		 */
		n->dialogue.reply_waiting = false;
		set_answer(n, RNDIS_STATUS_FAILURE, NULL, 0);
	} else if (n->dialogue.request_type == RNDIS_HALT) {
		set_answer(n, RNDIS_STATUS_SUCCESS, NULL, 0);
	}
	if (!n->dialogue.reply_waiting)
		vmb_guest_network_request_ended(n, event);
}

/* RESET's reply does not say whose it is. */
static bool replies(const struct vmb_guest_network *n, const struct vmb_guest_rndis_reply *reply)
{
	return reply->type == (n->dialogue.request_type | RNDIS_COMPLETION) &&
	       (n->dialogue.request_type == RNDIS_RESET ||
		reply->request_id == n->dialogue.request_id);
}

static int take_reply(struct vmb_guest_network *n, const struct vmb_guest_rndis_reply *reply,
		      struct vmb_guest_network_event *event)
{
	/* A request that nobody has looked at cannot have reached the host. */
	if (!n->dialogue.reply_waiting || n->dialogue.shown_id != n->dialogue.output_id ||
	    !replies(n, reply))
		return vmb_guest_network_forged(&n->counters);
	n->dialogue.reply_waiting = false;
	if (n->dialogue.request_type == RNDIS_INITIALIZE)
		set_answer(n, reply->status, &reply->initialize, sizeof(reply->initialize));
	else
		set_answer(n, reply->status, reply->data, reply->data_len);
	if (!n->dialogue.output_out)
		vmb_guest_network_request_ended(n, event);
	return 0;
}

/* ---- indications ---- */

static int link_up(struct vmb_guest_network *n, const struct vmb_guest_rndis_reply *said,
		   struct vmb_guest_network_event *event)
{
	bool up = said->status == RNDIS_STATUS_MEDIA_CONNECT;

	if (n->agreed.link_up == up)
		return 0;
	n->agreed.link_up = up;
	vmb_guest_network_tell(n, event, VMB_GUEST_NETWORK_LINK_CHANGED);
	return 0;
}

static int link_speed(struct vmb_guest_network *n, const struct vmb_guest_rndis_reply *said,
		      struct vmb_guest_network_event *event)
{
	if (said->data_len < sizeof(n->agreed.link_speed))
		return vmb_guest_network_malformed(&n->counters);
	memcpy(&n->agreed.link_speed, said->data, sizeof(n->agreed.link_speed));
	vmb_guest_network_tell(n, event, VMB_GUEST_NETWORK_SPEED_CHANGED);
	return 0;
}

static int network_changed(struct vmb_guest_network *n, const struct vmb_guest_rndis_reply *said,
			   struct vmb_guest_network_event *event)
{
	vmb_guest_network_tell(n, event, VMB_GUEST_NETWORK_NETWORK_CHANGED);
	return 0;
}

static int offload_changed(struct vmb_guest_network *n, const struct vmb_guest_rndis_reply *said,
			   struct vmb_guest_network_event *event)
{
	struct vmb_guest_network_offloads offloads;

	if (!vmb_guest_network_offload_read(n, said->data, said->data_len, &offloads))
		return vmb_guest_network_malformed(&n->counters);
	n->agreed.offload = offloads.offload & n->agreed.offload_caps;
	vmb_guest_network_tell(n, event, VMB_GUEST_NETWORK_OFFLOAD_CHANGED);
	return 0;
}

static const struct {
	uint32_t status;
	int (*take)(struct vmb_guest_network *n, const struct vmb_guest_rndis_reply *said,
		    struct vmb_guest_network_event *event);
} indications[] = {
	{ RNDIS_STATUS_MEDIA_CONNECT, link_up },
	{ RNDIS_STATUS_MEDIA_DISCONNECT, link_up },
	{ RNDIS_STATUS_LINK_SPEED_CHANGE, link_speed },
	{ RNDIS_STATUS_NETWORK_CHANGE, network_changed },
	{ RNDIS_STATUS_OFFLOAD_CURRENT_CONFIG, offload_changed },
};

static int take_indication(struct vmb_guest_network *n, const struct vmb_guest_rndis_reply *said,
			   struct vmb_guest_network_event *event)
{
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(indications); i++)
		if (indications[i].status == said->status)
			return indications[i].take(n, said, event);
	n->counters.unknown++;
	return 0;
}

/* ---- the control message of a packet ---- */

/* The length of the private copy, which n->dialogue.message is then; 0: no such range. */
static uint32_t copy_message(struct vmb_guest_network *n, const struct vmb_gpa_range *range)
{
	uint32_t len = range->byte_count < sizeof(n->dialogue.message) ?
			       range->byte_count :
			       (uint32_t)sizeof(n->dialogue.message);

	if (range->byte_count > n->config.receive_len ||
	    range->byte_offset > n->config.receive_len - range->byte_count)
		return 0;
	vmb_shared_read(n->dialogue.message, n->config.receive_buffer + range->byte_offset, len);
	return len;
}

int vmb_guest_network_control(struct vmb_guest_network *n, struct vmb_guest_network_receive *r,
			      struct vmb_guest_network_event *event)
{
	struct vmb_guest_rndis_reply reply;
	uint32_t len;

	memset(event, 0, sizeof(*event));
	/* Control messages are alone in their packet. */
	if (r->header.pages.range_count != 1)
		return vmb_guest_network_malformed(&n->counters);
	len = copy_message(n, &r->header.ranges[0]);
	if (vmb_guest_rndis_reply(n->dialogue.message, len, &reply))
		return vmb_guest_network_malformed(&n->counters);
	if (reply.type == RNDIS_INDICATE_STATUS)
		return take_indication(n, &reply, event);
	return take_reply(n, &reply, event);
}
