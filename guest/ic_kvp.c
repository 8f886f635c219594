// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reads requests for key-value pairs and backup in the guest, and writes their answers. */
#include "base/utf16.h"
#include "guest/ic_kvp.h"

#define CLAMP(len, max) ((len) < (max) ? (len) : (uint32_t)(max))

static void read_value(const struct vmb_ic_kvp_value *pair, struct vmb_guest_ic_kvp *kvp)
{
	kvp->type = pair->type;
	kvp->key = pair->key;
	kvp->key_len = CLAMP(pair->key_len, sizeof(pair->key));
	kvp->value = pair->value;
	kvp->value_len = CLAMP(pair->value_len, sizeof(pair->value));
}

static int read_pair(const struct vmb_guest_ic_request *request, struct vmb_guest_ic_kvp *kvp)
{
	const struct vmb_ic_kvp *body = request->body;

	if (request->body_len < sizeof(*body))
		return VMB_EPROTO;
	switch (kvp->operation) {
	case VMB_IC_KVP_DELETE:
		kvp->key = body->u.delete.key;
		kvp->key_len = CLAMP(body->u.delete.key_len, sizeof(body->u.delete.key));
		return 0;
	case VMB_IC_KVP_ENUMERATE: kvp->index = body->u.enumerate.index; return 0;
	case VMB_IC_KVP_SET: read_value(&body->u.value, kvp); return 0;
	default:
		read_value(&body->u.value, kvp);
		kvp->value = NULL;
		kvp->value_len = 0;
		return 0;
	}
}

int vmb_guest_ic_kvp(const struct vmb_guest_ic_request *request, struct vmb_guest_ic_kvp *kvp)
{
	const uint8_t *body = request->body;

	memset(kvp, 0, sizeof(*kvp));
	if (request->body_len < 2)
		return VMB_EPROTO;
	kvp->operation = body[0];
	kvp->pool = body[1];
	if (kvp->operation > VMB_IC_KVP_SET_IP || kvp->pool >= VMB_IC_KVP_AUTO_INTERNAL)
		return VMB_EOPNOTSUPP;
	if (kvp->operation < VMB_IC_KVP_GET_IP)
		return read_pair(request, kvp);
	if (request->body_len < sizeof(*kvp->ip))
		return VMB_EPROTO;
	kvp->ip = request->body;
	return 0;
}

/* Without dividing 64 bits, for which 32-bit kernels lack a function. */
static void put_number(char *text, uint64_t number)
{
	static const uint64_t powers[] = {
		10000000000000000000ull,
		1000000000000000000ull,
		100000000000000000ull,
		10000000000000000ull,
		1000000000000000ull,
		100000000000000ull,
		10000000000000ull,
		1000000000000ull,
		100000000000ull,
		10000000000ull,
		1000000000ull,
		100000000ull,
		10000000ull,
		1000000ull,
		100000ull,
		10000ull,
		1000ull,
		100ull,
		10ull,
		1ull,
	};
	uint32_t count = 0;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(powers); i++) {
		char digit = '0';

		for (; number >= powers[i]; number -= powers[i])
			digit++;
		if (digit != '0' || count || powers[i] == 1)
			text[count++] = digit;
	}
	text[count] = 0;
}

void vmb_guest_ic_kvp_text(const struct vmb_guest_ic_kvp *kvp, char *text, uint32_t room)
{
	uint64_t number = 0;

	switch (kvp->type) {
	case VMB_IC_KVP_U32:
		memcpy(&number, kvp->value, sizeof(uint32_t));
		put_number(text, number);
		break;
	case VMB_IC_KVP_U64:
	case VMB_IC_KVP_U64_LINUX:
		memcpy(&number, kvp->value, sizeof(number));
		put_number(text, number);
		break;
	default: vmb_utf16_to_utf8(text, room, kvp->value, kvp->value_len);
	}
}

static int fill(struct vmb_ic_kvp_value *pair, const char *key, const char *value)
{
	memset(pair, 0, sizeof(*pair));
	pair->type = VMB_IC_KVP_TEXT;
	pair->key_len = vmb_utf16_from_utf8(pair->key, sizeof(pair->key) / 2, key);
	pair->value_len = vmb_utf16_from_utf8(pair->value, sizeof(pair->value) / 2, value);
	return pair->key_len && pair->value_len ? 0 : VMB_EOVERFLOW;
}

int vmb_guest_ic_kvp_answer(const struct vmb_guest_ic_request *request, const char *key,
			    const char *value)
{
	struct vmb_ic_kvp *body = request->body;
	bool enumerate = body->operation == VMB_IC_KVP_ENUMERATE;

	return fill(enumerate ? &body->u.enumerate.value : &body->u.value, key, value);
}

int vmb_guest_ic_backup(const struct vmb_guest_ic_request *request)
{
	const struct vmb_ic_backup *body = request->body;

	return request->body_len < sizeof(*body) ? VMB_EPROTO : body->operation;
}
