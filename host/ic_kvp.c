// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Makes requests for key-value pairs and addresses, and reads what the guest answers. */
#include "base/utf16.h"
#include "host/ic_kvp.h"

static void begin(struct vmb_ic_kvp *body, uint8_t operation, uint8_t pool)
{
	memset(body, 0, sizeof(*body));
	body->operation = operation;
	body->pool = pool;
}

int vmb_host_ic_kvp_set(struct vmb_ic_kvp *body, uint8_t pool, const char *key, const char *value)
{
	struct vmb_ic_kvp_value *pair = &body->u.value;

	begin(body, VMB_IC_KVP_SET, pool);
	pair->type = VMB_IC_KVP_TEXT;
	pair->key_len = vmb_utf16_from_utf8(pair->key, sizeof(pair->key) / 2, key);
	pair->value_len = vmb_utf16_from_utf8(pair->value, sizeof(pair->value) / 2, value);
	return pair->key_len && pair->value_len ? 0 : VMB_EOVERFLOW;
}

int vmb_host_ic_kvp_delete(struct vmb_ic_kvp *body, uint8_t pool, const char *key)
{
	begin(body, VMB_IC_KVP_DELETE, pool);
	body->u.delete.key_len =
		vmb_utf16_from_utf8(body->u.delete.key, sizeof(body->u.delete.key) / 2, key);
	return body->u.delete.key_len ? 0 : VMB_EOVERFLOW;
}

void vmb_host_ic_kvp_enumerate(struct vmb_ic_kvp *body, uint8_t pool, uint32_t index)
{
	begin(body, VMB_IC_KVP_ENUMERATE, pool);
	body->u.enumerate.index = index;
}

int vmb_host_ic_kvp_get_ip(struct vmb_ic_kvp_ip *body, const char *mac)
{
	uint32_t len;

	memset(body, 0, sizeof(*body));
	body->operation = VMB_IC_KVP_GET_IP;
	body->family = VMB_IC_KVP_IPV4 | VMB_IC_KVP_IPV6;
	len = vmb_utf16_from_utf8(body->adapter, sizeof(body->adapter) / 2, mac);
	for (uint32_t i = 0; i < len; i += 2)
		if (body->adapter[i] >= 'a' && body->adapter[i] <= 'f')
			body->adapter[i] -= 'a' - 'A';
	return len ? 0 : VMB_EOVERFLOW;
}

/* Writes a number in decimal. */
static void put_number(char *dst, uint64_t number)
{
	char digits[20];
	uint32_t count = 0;

	do
		digits[count++] = (char)('0' + number % 10);
	while (number /= 10);
	while (count)
		*dst++ = digits[--count];
	*dst = 0;
}

static void read_value(const struct vmb_ic_kvp_value *pair, char *text, uint32_t room)
{
	uint64_t number = 0;
	uint32_t len = pair->value_len < sizeof(pair->value) ? pair->value_len :
							       (uint32_t)sizeof(pair->value);

	switch (pair->type) {
	case VMB_IC_KVP_U32:
		memcpy(&number, pair->value, sizeof(uint32_t));
		put_number(text, number);
		break;
	case VMB_IC_KVP_U64:
	case VMB_IC_KVP_U64_LINUX:
		memcpy(&number, pair->value, sizeof(number));
		put_number(text, number);
		break;
	default: vmb_utf16_to_utf8(text, room, pair->value, len);
	}
}

int vmb_host_ic_kvp_item(const void *body, uint32_t len, struct vmb_host_ic_kvp_item *item)
{
	const struct vmb_ic_kvp *answer = body;
	const struct vmb_ic_kvp_value *pair = &answer->u.enumerate.value;
	uint32_t key_len;

	if (len < sizeof(*answer))
		return VMB_EPROTO;
	key_len = pair->key_len < sizeof(pair->key) ? pair->key_len : (uint32_t)sizeof(pair->key);
	vmb_utf16_to_utf8(item->key, sizeof(item->key), pair->key, key_len);
	read_value(pair, item->value, sizeof(item->value));
	return 0;
}

#define READ_TEXT(dst, src) vmb_utf16_to_utf8(dst, sizeof(dst), src, sizeof(src))

int vmb_host_ic_kvp_ip(const void *body, uint32_t len, struct vmb_host_ic_kvp_ip *ip)
{
	const struct vmb_ic_kvp_ip *answer = body;

	if (len < sizeof(*answer))
		return VMB_EPROTO;
	ip->family = answer->family;
	ip->dhcp = answer->dhcp;
	READ_TEXT(ip->addresses, answer->addresses);
	READ_TEXT(ip->subnets, answer->subnets);
	READ_TEXT(ip->gateways, answer->gateways);
	READ_TEXT(ip->name_servers, answer->name_servers);
	return 0;
}
