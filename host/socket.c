// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Takes a guest's requests for connections, answers them, and offers connections as channels. */
#include "host/engine.h"

/* The fields of an offer have a version since silos are named. */
#define OFFER_VERSION_SINCE VMB_VERSION_5_2

static struct vmb_host_socket_request *find(struct vmb_host_server *s,
					    const struct vmb_guid *endpoint_id,
					    const struct vmb_guid *service_id)
{
	for (uint32_t i = 0; i < VMB_HOST_SOCKET_REQUEST_MAX; i++) {
		struct vmb_host_socket_request *r = &s->requests[i];

		if (r->state == VMB_HOST_SOCKET_ASKED &&
		    vmb_guid_equal(&r->endpoint_id, endpoint_id) &&
		    vmb_guid_equal(&r->service_id, service_id))
			return r;
	}
	return NULL;
}

static struct vmb_host_socket_request *find_free(struct vmb_host_server *s)
{
	for (uint32_t i = 0; i < VMB_HOST_SOCKET_REQUEST_MAX; i++)
		if (s->requests[i].state == VMB_HOST_SOCKET_FREE)
			return &s->requests[i];
	return NULL;
}

static void release(struct vmb_host_server *s, struct vmb_host_socket_request *r)
{
	vmb_queue_remove(&s->events, &r->event_link);
	vmb_host_server_unpost(s, &r->result_link);
	r->state = VMB_HOST_SOCKET_FREE;
}

/* 4.0 has no message to say so. */
static void refuse(struct vmb_host_server *s, struct vmb_host_socket_request *r)
{
	release(s, r);
	if (s->version < VMB_VERSION_4_1)
		return;
	r->state = VMB_HOST_SOCKET_REFUSED;
	vmb_host_server_post(s, &r->result_link, VMB_MSG_TL_CONNECT_RESULT);
}

uint32_t vmb_host_socket_input_connect(struct vmb_host_server *s, const void *message, uint32_t len)
{
	struct vmb_msg_tl_connect_request m = { 0 };
	struct vmb_host_socket_request *r = find_free(s);

	memcpy(&m, message, VMB_MSG_TL_CONNECT_REQUEST_LEN);
	if (find(s, &m.endpoint_id, &m.service_id))
		return vmb_host_server_misplaced(s);
	if (!r)
		return VMB_HV_INSUFFICIENT_BUFFERS;
	r->endpoint_id = m.endpoint_id;
	r->service_id = m.service_id;
	if (!s->sockets) {
		refuse(s, r);
		return VMB_HV_SUCCESS;
	}
	r->state = VMB_HOST_SOCKET_ASKED;
	vmb_host_server_notify(s, &r->event_link, VMB_HOST_EVENT_SOCKET);
	return VMB_HV_SUCCESS;
}

void vmb_host_socket_serve(struct vmb_host_server *s, bool on)
{
	s->sockets = on;
	for (uint32_t i = 0; i < VMB_HOST_SOCKET_REQUEST_MAX && !on; i++)
		if (s->requests[i].state == VMB_HOST_SOCKET_ASKED)
			refuse(s, &s->requests[i]);
}

int vmb_host_socket_refuse(struct vmb_host_server *s, const struct vmb_guid *endpoint_id,
			   const struct vmb_guid *service_id)
{
	struct vmb_host_socket_request *r = find(s, endpoint_id, service_id);

	if (!r)
		return VMB_ENODEV;
	refuse(s, r);
	return 0;
}

static void fill(const struct vmb_host_server *s, struct vmb_host_channel *ch, bool from_host)
{
	const struct vmb_socket_offer offer = { .pipe_mode = VMB_PIPE_MODE_BYTE,
						.from_host = from_host,
						.version = s->version >= OFFER_VERSION_SINCE };

	ch->flags = VMB_SOCKET_OFFER_FLAGS;
	memcpy(ch->user, &offer, sizeof(offer));
}

int vmb_host_socket_offer(struct vmb_host_server *s, struct vmb_host_channel *ch, bool from_host)
{
	struct vmb_host_socket_request *r = from_host ? NULL :
							find(s, &ch->instance_id, &ch->type_id);
	int error;

	if (s->state != VMB_HOST_CONNECTED || !s->offers_requested || (!from_host && !r))
		return VMB_ENODEV;
	if (s->version < VMB_SOCKET_VERSION_MIN)
		return VMB_EOPNOTSUPP;
	fill(s, ch, from_host);
	error = vmb_host_channel_offer(s, ch);
	if (!error && r)
		release(s, r);
	return error;
}

uint32_t vmb_host_socket_build_result(struct vmb_host_server *s, struct vmb_link *link,
				      void *message)
{
	const struct vmb_host_socket_request *r =
		VMB_CONTAINER_OF(link, struct vmb_host_socket_request, result_link);
	struct vmb_msg_tl_connect_result *m = message;

	m->endpoint_id = r->endpoint_id;
	m->service_id = r->service_id;
	m->status = VMB_STATUS_REFUSED;
	return sizeof(*m);
}

void vmb_host_socket_result_left(struct vmb_link *link)
{
	VMB_CONTAINER_OF(link, struct vmb_host_socket_request, result_link)->state =
		VMB_HOST_SOCKET_FREE;
}

void vmb_host_socket_forget(struct vmb_host_server *s)
{
	for (uint32_t i = 0; i < VMB_HOST_SOCKET_REQUEST_MAX; i++)
		release(s, &s->requests[i]);
}
