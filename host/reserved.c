// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Reserved channels: those that a crash kernel or a debugger keeps open over a disconnect and
 * polls. This host offers none: OPEN_RESERVED gets a failure, and CLOSE_RESERVED its answer,
 * without which a guest would wait for ever. Both are answered at the VP and SINT that the message
 * names; if there is no such VP or SINT, there is no answer.
 *
 * Source: docs/protocol/bus.md, "OPEN_RESERVED_CHANNEL (18)", "CLOSE_RESERVED_CHANNEL (19)",
 * "CLOSE_RESERVED_RESPONSE (20)", "4.5 A connection, host side".
 */
#include "host/engine.h"

static uint32_t answer(struct vmb_host_server *s, struct vmb_host_aside *aside,
		       enum vmb_msg_type type, const struct vmb_msg_close_reserved *m)
{
	if (m->target_vp >= s->config.vp_count || m->target_sint >= VMB_SYNIC_SLOT_COUNT)
		return vmb_host_server_malformed(s);
	if (aside->link.queued)
		return VMB_HV_INSUFFICIENT_BUFFERS;
	aside->vp = m->target_vp;
	aside->sint = m->target_sint;
	aside->relid = m->relid;
	vmb_host_server_post(s, &aside->link, type);
	return VMB_HV_SUCCESS;
}

/* It begins as CLOSE_RESERVED does; the ring behind that is of no interest. */
uint32_t vmb_host_reserved_input_open(struct vmb_host_server *s, const void *message, uint32_t len)
{
	struct vmb_msg_close_reserved m;

	memcpy(&m, message, sizeof(m));
	return answer(s, &s->reserved_open, VMB_MSG_OPEN_RESULT, &m);
}

uint32_t vmb_host_reserved_input_close(struct vmb_host_server *s, const void *message, uint32_t len)
{
	struct vmb_msg_close_reserved m;

	memcpy(&m, message, sizeof(m));
	return answer(s, &s->reserved_close, VMB_MSG_CLOSE_RESERVED_RESPONSE, &m);
}

uint32_t vmb_host_reserved_build_result(struct vmb_host_server *s, struct vmb_link *link,
					void *message)
{
	const struct vmb_host_aside *aside = VMB_CONTAINER_OF(link, struct vmb_host_aside, link);
	struct vmb_msg_open_result *m = message;

	vmb_host_server_aim(s, aside);
	m->relid = aside->relid;
	m->status = VMB_STATUS_FAILURE;
	return sizeof(*m);
}

uint32_t vmb_host_reserved_build_closed(struct vmb_host_server *s, struct vmb_link *link,
					void *message)
{
	const struct vmb_host_aside *aside = VMB_CONTAINER_OF(link, struct vmb_host_aside, link);
	struct vmb_msg_relid *m = message;

	vmb_host_server_aim(s, aside);
	m->relid = aside->relid;
	return sizeof(*m);
}
