// SPDX-License-Identifier: GPL-2.0-only
/*
 * Key-value pairs and addresses: turns the host's requests, UTF-16, into the messages of
 * hv_kvp_daemon, UTF-8, and back (docs/protocol/integration.md, "15.2 KVP device").
 */
#include <linux/moduleparam.h>
#include "base/utf16.h"
#include "ports/linux/services.h"

#define REGISTER   100u
#define PATIENCE_S 30u

static bool kvp = true;
module_param(kvp, bool, 0644);
MODULE_PARM_DESC(kvp, "Exchange key-value pairs and addresses with the host, by hv_kvp_daemon (Y)");

struct kvp_pair {
	u32 type;
	u32 key_len; /* bytes, NUL included */
	u32 value_len;
	char key[512];
	char value[2048];
} __packed;

struct kvp_message {
	union {
		struct {
			u8 operation, pool;
		};
		u32 error; /* in an answer */
	};
	union {
		char version[64];
		struct kvp_pair pair; /* GET, SET */
		struct {
			u32 key_len;
			char key[512];
		} __packed delete;
		struct {
			u32 index;
			struct kvp_pair pair;
		} __packed enumerate;
		struct {
			char adapter[256];
			u8 family, dhcp;
			char addresses[2048];
			char subnets[2048];
			char gateways[1024];
			char name_servers[2048];
			u8 padding[2];
		} __packed ip;
	};
} __packed;
static_assert(sizeof(struct kvp_message) == DAEMON_MESSAGE_MAX);

static int greet(const u8 *message, u32 len, u8 *reply)
{
	struct kvp_message *m = (struct kvp_message *)reply;

	if (len != sizeof(*m) || message[0] != REGISTER)
		return -EINVAL;
	memset(m, 0, sizeof(*m));
	m->operation = REGISTER;
	strscpy(m->version, "3.1", sizeof(m->version));
	return sizeof(*m);
}

#define TO_UTF8(dst, src, len)	 vmb_utf16_to_utf8(dst, sizeof(dst), src, len)
#define ALL_TO_UTF8(dst, src)	 TO_UTF8(dst, src, sizeof(src))
#define ALL_FROM_UTF8(dst, text) vmb_utf16_from_utf8(dst, sizeof(dst) / 2, text)

static void ask_pair(const struct vmb_guest_ic_kvp *wanted, struct kvp_message *m)
{
	switch (wanted->operation) {
	case VMB_IC_KVP_ENUMERATE: m->enumerate.index = wanted->index; break;
	case VMB_IC_KVP_DELETE:
		m->delete.key_len = TO_UTF8(m->delete.key, wanted->key, wanted->key_len) + 1;
		break;
	case VMB_IC_KVP_SET:
		m->pair.type = VMB_IC_KVP_TEXT;
		vmb_guest_ic_kvp_text(wanted, m->pair.value, sizeof(m->pair.value));
		m->pair.value_len = strlen(m->pair.value) + 1;
		fallthrough;
	default: m->pair.key_len = TO_UTF8(m->pair.key, wanted->key, wanted->key_len) + 1;
	}
}

static void ask_ip(const struct vmb_ic_kvp_ip *ip, struct kvp_message *m)
{
	ALL_TO_UTF8(m->ip.adapter, ip->adapter);
	m->ip.family = ip->family;
	if (ip->operation == VMB_IC_KVP_GET_IP)
		return;
	m->ip.dhcp = ip->dhcp;
	ALL_TO_UTF8(m->ip.addresses, ip->addresses);
	ALL_TO_UTF8(m->ip.subnets, ip->subnets);
	ALL_TO_UTF8(m->ip.gateways, ip->gateways);
	ALL_TO_UTF8(m->ip.name_servers, ip->name_servers);
}

static u32 ask(struct service *s, u8 *message, u32 *status)
{
	struct kvp_message *m = (struct kvp_message *)message;
	struct vmb_guest_ic_kvp wanted;

	*status = VMB_IC_INVALID_ARGUMENT;
	if (vmb_guest_ic_kvp(&s->request, &wanted))
		return 0;
	m->operation = wanted.operation;
	m->pool = wanted.pool;
	if (wanted.ip)
		ask_ip(wanted.ip, m);
	else
		ask_pair(&wanted, m);
	return sizeof(*m);
}

/* A daemon's texts need not end. */
static u32 give_pair(struct service *s, struct kvp_pair *pair)
{
	pair->key[sizeof(pair->key) - 1] = 0;
	pair->value[sizeof(pair->value) - 1] = 0;
	return vmb_guest_ic_kvp_answer(&s->request, pair->key, pair->value) ? VMB_IC_FAIL :
									      VMB_IC_OK;
}

static u32 give_ip(struct vmb_ic_kvp_ip *ip, struct kvp_message *m)
{
	char *const texts[] = { m->ip.addresses, m->ip.subnets, m->ip.gateways,
				m->ip.name_servers };
	static const u32 lens[] = { 2048, 2048, 1024, 2048 };
	bool fits;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(texts); i++)
		texts[i][lens[i] - 1] = 0;
	ip->family = m->ip.family;
	ip->dhcp = m->ip.dhcp;
	memset(ip->addresses, 0, sizeof(ip->addresses));
	memset(ip->subnets, 0, sizeof(ip->subnets));
	memset(ip->gateways, 0, sizeof(ip->gateways));
	memset(ip->name_servers, 0, sizeof(ip->name_servers));
	fits = ALL_FROM_UTF8(ip->addresses, texts[0]) && ALL_FROM_UTF8(ip->subnets, texts[1]) &&
	       ALL_FROM_UTF8(ip->gateways, texts[2]) && ALL_FROM_UTF8(ip->name_servers, texts[3]);
	return fits ? VMB_IC_OK : VMB_IC_FAIL;
}

static u32 take(struct service *s, u8 *answer)
{
	struct kvp_message *m = (struct kvp_message *)answer;
	const u8 *body = s->request.body;

	if (m->error)
		return m->error;
	switch (body[0]) {
	case VMB_IC_KVP_GET: return give_pair(s, &m->pair);
	case VMB_IC_KVP_ENUMERATE: return give_pair(s, &m->enumerate.pair);
	case VMB_IC_KVP_GET_IP: return give_ip(s->request.body, m);
	default: return VMB_IC_OK;
	}
}

static u32 patience(const struct service *s)
{
	return PATIENCE_S;
}

const struct daemon_kind daemon_kvp = {
	.name = "vmbus/hv_kvp",
	.answer_len = sizeof(struct kvp_message),
	.greet = greet,
	.ask = ask,
	.take = take,
	.patience = patience,
};

const struct service_kind service_kvp = {
	.type = VMB_IC_KVP,
	.enabled = &kvp,
	.daemon = &daemon_kvp,
	.start = daemon_start,
	.stop = daemon_stop,
	.take = daemon_take_request,
};
