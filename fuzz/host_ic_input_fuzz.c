// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A host's integration services against any answers of a guest. It never has two requests under
 * way, and an answer lies in the packet that brought it.
 */
#include "fuzz/fuzz.h"
#include "host/ic.h"
#include "host/ic_kvp.h"

static const enum vmb_ic_type types[] = { VMB_IC_SHUTDOWN, VMB_IC_TIME,	  VMB_IC_HEARTBEAT,
					  VMB_IC_KVP,	   VMB_IC_BACKUP, VMB_IC_COPY };
static const uint32_t hosts[] = { VMB_VERSION_0_13, VMB_VERSION_2_4, VMB_VERSION_4_0,
				  VMB_VERSION_6_0 };

static void ask(struct vmb_host_ic *ic, struct fuzz *f)
{
	bool may = vmb_host_ic_may_ask(ic);
	uint32_t len;
	int error;

	if (ic->type != VMB_IC_TIME)
		error = vmb_host_ic_beat(ic);
	else
		error = vmb_host_ic_time(ic, fuzz_u64(f), fuzz_u64(f), VMB_IC_TIME_SAMPLE);
	FUZZ_CHECK(error == (may ? 0 : VMB_EAGAIN));
	FUZZ_CHECK(!may || (vmb_host_ic_output(ic, &len) && len <= VMB_IC_PACKET_LEN_MAX));
}

/* Headers that are mostly an answer to what was asked. */
static void shape(struct fuzz *f, const struct vmb_host_ic *ic, uint8_t *packet, uint32_t len)
{
	uint8_t how = fuzz_u8(f);
	struct vmb_ic_packet head;

	if (len < sizeof(head) || how & 1)
		return;
	memcpy(&head, packet, sizeof(head));
	head.pipe.type = VMB_PIPE_DATA;
	head.pipe.len = len - sizeof(head.pipe);
	head.ic.type = ic->state == VMB_HOST_IC_NEGOTIATING ? VMB_IC_NEGOTIATE : ic->type;
	head.ic.flags = 5;
	head.ic.transaction_id = 0;
	if (!(how & 2))
		head.ic.body_len = (uint16_t)(len - sizeof(head));
	memcpy(packet, &head, sizeof(head));
	if (how & 4 || len < sizeof(head) + VMB_IC_NEGOTIATE_LEN)
		return;
	packet[28] = packet[30] = 1;
	packet[29] = packet[31] = packet[37] = packet[38] = packet[39] = packet[41] = 0;
	packet[42] = packet[43] = 0;
	packet[36] %= 4;
	packet[40] %= 5;
}

static void read_texts(const struct vmb_host_ic_answer *a)
{
	static struct vmb_host_ic_kvp_item item;
	static struct vmb_host_ic_kvp_ip ip;

	if (!vmb_host_ic_kvp_item(a->body, a->body_len, &item))
		FUZZ_CHECK(strlen(item.key) < sizeof(item.key) &&
			   strlen(item.value) < sizeof(item.value));
	if (!vmb_host_ic_kvp_ip(a->body, a->body_len, &ip))
		FUZZ_CHECK(strlen(ip.addresses) < sizeof(ip.addresses) &&
			   strlen(ip.gateways) < sizeof(ip.gateways));
}

static void answer(struct vmb_host_ic *ic, struct fuzz *f)
{
	bool waits = ic->state == VMB_HOST_IC_WAITING || ic->state == VMB_HOST_IC_NEGOTIATING;
	uint32_t len = fuzz_u8(f) & 1 ? fuzz_u16(f) % (VMB_IC_PACKET_LEN_MAX + 8) : fuzz_u8(f);
	uint8_t *packet = fuzz_exact(f, len);
	struct vmb_host_ic_answer a;
	int step;

	shape(f, ic, packet, len);
	step = vmb_host_ic_input(ic, packet, len, &a);
	FUZZ_CHECK(waits || step == VMB_EPROTO);
	FUZZ_CHECK((step < 0 || step == VMB_HOST_IC_REFUSED) == (ic->state == VMB_HOST_IC_IDLE));
	if (step == VMB_HOST_IC_ANSWERED) {
		FUZZ_CHECK((const uint8_t *)a.body + a.body_len <= packet + len);
		vmb_host_ic_beat_answered(ic, &a);
		read_texts(&a);
	}
	if (step == VMB_HOST_IC_READY)
		FUZZ_CHECK(ic->framework.major && ic->message.major);
	free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz f = { data, len };
	static struct vmb_host_ic ic;

	vmb_host_ic_init(&ic, types[fuzz_u8(&f) % VMB_ARRAY_COUNT(types)],
			 hosts[fuzz_u8(&f) % VMB_ARRAY_COUNT(hosts)]);
	while (f.len) {
		switch (fuzz_u8(&f) % 4) {
		case 0: vmb_host_ic_reset(&ic); break;
		case 1: vmb_host_ic_output_done(&ic); break;
		case 2: ask(&ic, &f); break;
		default: answer(&ic, &f); break;
		}
	}
	return 0;
}
