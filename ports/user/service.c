// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Answers integration services in a guest without a virtual machine, as well or badly as a test
 * wants.
 */
#include "ports/user/service.h"

static const struct {
	enum vmb_ic_type type;
	struct vmb_guid type_id;
} types[] = {
	{ VMB_IC_SHUTDOWN, VMB_GUID_SHUTDOWN },
	{ VMB_IC_TIME, VMB_GUID_TIME },
	{ VMB_IC_HEARTBEAT, VMB_GUID_HEARTBEAT },
};

bool vmb_user_service_init(struct vmb_user_service *s, const struct vmb_guid *type_id)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(types); i++) {
		if (!vmb_guid_equal(&types[i].type_id, type_id))
			continue;
		vmb_guest_ic_init(&s->ic, types[i].type);
		s->used = true;
	}
	return s->used;
}

static int look(struct vmb_user_service *s, const struct vmb_guest_ic_request *request)
{
	switch (s->ic.type) {
	case VMB_IC_SHUTDOWN: s->last_shutdown = vmb_guest_ic_shutdown(request); return 0;
	case VMB_IC_TIME: return vmb_guest_ic_time(&s->ic, request, &s->last_time);
	case VMB_IC_HEARTBEAT:
		if (vmb_guest_ic_beat(request))
			return VMB_EPROTO;
		memcpy(&s->last_sequence, request->body, sizeof(s->last_sequence));
		return 0;
	default: return VMB_EPROTO;
	}
}

uint32_t vmb_user_service_take(struct vmb_user_service *s, uint8_t *packet, uint32_t len)
{
	struct vmb_guest_ic_request request;
	int step = vmb_guest_ic_input(&s->ic, packet, len, &request);

	if (step < 0)
		return 0;
	if (step == VMB_GUEST_IC_REQUEST) {
		s->asked++;
		if (look(s, &request))
			return 0;
		vmb_guest_ic_answer(packet, s->status);
	}
	if (s->silent)
		return 0;
	return s->spoil ? s->spoil(packet, len) : len;
}
