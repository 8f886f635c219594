// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Answers integration services in a guest without a virtual machine, as well or badly as a test
 * wants.
 */
#include <stdlib.h>
#include <string.h>

#include "base/utf16.h"
#include "ports/user/service.h"

static const struct {
	enum vmb_ic_type type;
	struct vmb_guid type_id;
} types[] = {
	{ VMB_IC_SHUTDOWN, VMB_GUID_SHUTDOWN },	  { VMB_IC_TIME, VMB_GUID_TIME },
	{ VMB_IC_HEARTBEAT, VMB_GUID_HEARTBEAT }, { VMB_IC_KVP, VMB_GUID_KVP },
	{ VMB_IC_BACKUP, VMB_GUID_BACKUP },	  { VMB_IC_COPY, VMB_GUID_COPY },
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

static uint32_t find_pair(const struct vmb_user_service *s, const struct vmb_guest_ic_kvp *kvp)
{
	char key[128];
	uint32_t i = 0;

	vmb_utf16_to_utf8(key, sizeof(key), kvp->key, kvp->key_len);
	while (i < s->pair_count && strcmp(s->pairs[i].key, key) != 0)
		i++;
	return i;
}

static uint32_t set_pair(struct vmb_user_service *s, const struct vmb_guest_ic_kvp *kvp)
{
	uint32_t i = find_pair(s, kvp);

	if (i == VMB_USER_PAIR_MAX)
		return VMB_IC_FAIL;
	s->pair_count += i == s->pair_count;
	vmb_utf16_to_utf8(s->pairs[i].key, sizeof(s->pairs[i].key), kvp->key, kvp->key_len);
	vmb_guest_ic_kvp_text(kvp, s->pairs[i].value, sizeof(s->pairs[i].value));
	return VMB_IC_OK;
}

static uint32_t delete_pair(struct vmb_user_service *s, const struct vmb_guest_ic_kvp *kvp)
{
	uint32_t i = find_pair(s, kvp);

	if (i == s->pair_count)
		return VMB_IC_NOT_FOUND;
	s->pairs[i] = s->pairs[--s->pair_count];
	return VMB_IC_OK;
}

static uint32_t give_ip(struct vmb_ic_kvp_ip *ip)
{
	ip->dhcp = 1;
	vmb_utf16_from_utf8(ip->addresses, sizeof(ip->addresses) / 2, "10.0.2.15;fe80::1");
	vmb_utf16_from_utf8(ip->gateways, sizeof(ip->gateways) / 2, "10.0.2.2");
	return VMB_IC_OK;
}

static int look_at_pairs(struct vmb_user_service *s, const struct vmb_guest_ic_request *request)
{
	struct vmb_guest_ic_kvp kvp;
	int error = vmb_guest_ic_kvp(request, &kvp);

	if (error)
		return error;
	switch (kvp.operation) {
	case VMB_IC_KVP_SET: s->status = set_pair(s, &kvp); break;
	case VMB_IC_KVP_DELETE: s->status = delete_pair(s, &kvp); break;
	case VMB_IC_KVP_GET_IP: s->status = give_ip(kvp.ip); break;
	case VMB_IC_KVP_ENUMERATE:
		s->status = VMB_IC_NO_MORE_ITEMS;
		if (kvp.index < s->pair_count)
			s->status = vmb_guest_ic_kvp_answer(request, s->pairs[kvp.index].key,
							    s->pairs[kvp.index].value) ?
					    VMB_IC_FAIL :
					    VMB_IC_OK;
		break;
	default: s->status = VMB_IC_NOT_SUPPORTED;
	}
	return 0;
}

static int look_at_backup(struct vmb_user_service *s, const struct vmb_guest_ic_request *request)
{
	int operation = vmb_guest_ic_backup(request);

	if (operation < 0)
		return operation;
	s->freezes += operation == VMB_IC_BACKUP_FREEZE;
	if (operation == VMB_IC_BACKUP_FREEZE || operation == VMB_IC_BACKUP_THAW)
		s->frozen = operation == VMB_IC_BACKUP_FREEZE;
	return 0;
}

static int look_at_copy(struct vmb_user_service *s, const struct vmb_guest_ic_request *request)
{
	const struct vmb_ic_copy_write *write = request->body;

	if (request->body_len < sizeof(write->header))
		return VMB_EPROTO;
	if (write->header.operation == VMB_IC_COPY_START) {
		free(s->file);
		s->file = calloc(1, VMB_USER_COPY_MAX);
		s->file_len = 0;
		s->complete = false;
	}
	if (write->header.operation == VMB_IC_COPY_WRITE && write->offset < VMB_USER_COPY_MAX &&
	    write->len <= VMB_USER_COPY_MAX - write->offset) {
		memcpy(s->file + write->offset, write->data, write->len);
		s->file_len = (uint32_t)write->offset + write->len;
	}
	if (write->header.operation == VMB_IC_COPY_CANCEL) {
		free(s->file);
		s->file = NULL;
	}
	s->complete |= write->header.operation == VMB_IC_COPY_COMPLETE;
	return 0;
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
	case VMB_IC_KVP: return look_at_pairs(s, request);
	case VMB_IC_BACKUP: return look_at_backup(s, request);
	case VMB_IC_COPY: return look_at_copy(s, request);
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
