// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Asks the host for connections and matches what it answers to who asked. */
#include "guest/engine.h"

static struct vmb_guest_dial **find(struct vmb_guest_connect *c, const struct vmb_guid *endpoint,
				    const struct vmb_guid *service)
{
	struct vmb_guest_dial **at = &c->dials;

	while (*at && !(vmb_guid_equal(&(*at)->endpoint_id, endpoint) &&
			vmb_guid_equal(&(*at)->service_id, service)))
		at = &(*at)->next;
	return at;
}

/* A dial that was not sent yet cannot have been answered. */
static struct vmb_guest_dial *take(struct vmb_guest_connect *c, const struct vmb_guid *endpoint,
				   const struct vmb_guid *service)
{
	struct vmb_guest_dial **at = find(c, endpoint, service), *dial = *at;

	if (!dial || !vmb_guest_connect_handed(c, &dial->link))
		return NULL;
	*at = dial->next;
	dial->next = NULL;
	vmb_guest_connect_unpost(c, &dial->link);
	return dial;
}

int vmb_guest_socket_dial(struct vmb_guest_connect *c, struct vmb_guest_dial *dial)
{
	if (c->state != VMB_GUEST_CONNECTED || *find(c, &dial->endpoint_id, &dial->service_id))
		return VMB_EBUSY;
	if (c->version < VMB_SOCKET_VERSION_MIN)
		return VMB_EOPNOTSUPP;
	dial->next = c->dials;
	c->dials = dial;
	vmb_guest_connect_post(c, &dial->link, VMB_MSG_TL_CONNECT_REQUEST);
	return 0;
}

bool vmb_guest_socket_hang_up(struct vmb_guest_connect *c, struct vmb_guest_dial *dial)
{
	struct vmb_guest_dial **at = &c->dials;
	bool waited;

	while (*at && *at != dial)
		at = &(*at)->next;
	waited = *at;
	if (waited)
		*at = dial->next;
	dial->next = NULL;
	vmb_guest_connect_unpost(c, &dial->link);
	return waited;
}

bool vmb_guest_socket_read(const struct vmb_msg_offer *offer, struct vmb_guest_socket *socket)
{
	struct vmb_socket_offer said;
	uint32_t service, endpoint = 0;

	if (!vmb_socket_is_offer(offer->flags) || !vmb_socket_port(&offer->type_id, &service))
		return false;
	memcpy(&said, offer->user, sizeof(said));
	socket->from_host = said.from_host != 0;
	if (!vmb_socket_port(&offer->instance_id, &endpoint) && !socket->from_host)
		return false;
	socket->port = socket->from_host ? service : endpoint;
	socket->peer_port = socket->from_host ? endpoint : service;
	return true;
}

struct vmb_guest_dial *vmb_guest_socket_answered(struct vmb_guest_connect *c,
						 const struct vmb_msg_offer *offer)
{
	struct vmb_guest_socket socket;

	if (!vmb_guest_socket_read(offer, &socket) || socket.from_host)
		return NULL;
	return take(c, &offer->instance_id, &offer->type_id);
}

/* The short form, which hosts of every version take. */
uint32_t vmb_guest_socket_build_dial(struct vmb_guest_connect *c, struct vmb_link *link,
				     void *message)
{
	const struct vmb_guest_dial *dial = VMB_CONTAINER_OF(link, struct vmb_guest_dial, link);
	struct vmb_msg_tl_connect_request *msg = message;

	msg->endpoint_id = dial->endpoint_id;
	msg->service_id = dial->service_id;
	return VMB_MSG_TL_CONNECT_REQUEST_LEN;
}

/* Only failures are sent, so a status of 0 says nothing. */
int vmb_guest_socket_refused(struct vmb_guest_connect *c, const void *message, uint32_t len,
			     struct vmb_guest_event *event)
{
	struct vmb_msg_tl_connect_result msg;

	memcpy(&msg, message, sizeof(msg));
	if (!msg.status)
		return 0;
	event->dial = take(c, &msg.endpoint_id, &msg.service_id);
	if (!event->dial)
		return vmb_guest_connect_unsolicited(c);
	event->type = VMB_GUEST_EVENT_DIAL_REFUSED;
	event->status = msg.status;
	return 0;
}
