// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A guest's integration services against any packets of a host. What it answers fits in the packet.
 */
#include "fuzz/fuzz.h"
#include "guest/ic_kvp.h"

static const enum vmb_ic_type types[] = { VMB_IC_SHUTDOWN, VMB_IC_TIME,	  VMB_IC_HEARTBEAT,
					  VMB_IC_KVP,	   VMB_IC_BACKUP, VMB_IC_COPY };

static void look_at_pairs(const struct vmb_guest_ic_request *request)
{
	struct vmb_guest_ic_kvp kvp;
	char text[64];

	vmb_guest_ic_backup(request);
	if (vmb_guest_ic_kvp(request, &kvp))
		return;
	FUZZ_CHECK(kvp.pool < VMB_IC_KVP_AUTO_INTERNAL && kvp.operation <= VMB_IC_KVP_SET_IP);
	FUZZ_CHECK(!kvp.key || kvp.key_len <= VMB_IC_KVP_KEY_LEN);
	if (!kvp.value)
		return;
	vmb_guest_ic_kvp_text(&kvp, text, sizeof(text));
	FUZZ_CHECK(strlen(text) < sizeof(text));
	FUZZ_CHECK(!vmb_guest_ic_kvp_answer(request, text, text));
}

static void look(struct vmb_guest_ic *ic, const struct vmb_guest_ic_request *request)
{
	struct vmb_guest_ic_time time;

	look_at_pairs(request);
	vmb_guest_ic_shutdown(request);
	vmb_guest_ic_beat(request);
	if (!vmb_guest_ic_time(ic, request, &time))
		FUZZ_CHECK(vmb_guest_ic_time_at(&time, 0) == time.utc);
}

/* Headers that are mostly sound. */
static void shape(struct fuzz *f, const struct vmb_guest_ic *ic, uint8_t *packet, uint32_t len)
{
	uint8_t how = fuzz_u8(f);
	struct vmb_ic_packet head;

	if (len < sizeof(head) || how & 1)
		return;
	memcpy(&head, packet, sizeof(head));
	head.pipe.type = VMB_PIPE_DATA;
	head.pipe.len = len - sizeof(head.pipe);
	head.ic.type = how & 2 ? VMB_IC_NEGOTIATE : ic->type;
	if (!(how & 4))
		head.ic.body_len = (uint16_t)(len - sizeof(head));
	memcpy(packet, &head, sizeof(head));
	if (!(how & 2) || len < sizeof(head) + 8)
		return;
	packet[28] %= 4;
	packet[30] %= 6;
	packet[29] = packet[31] = 0;
}

static void op_packet(struct fuzz *f, struct vmb_guest_ic *ic)
{
	uint32_t len = fuzz_u8(f) & 1 ? fuzz_u16(f) % VMB_IC_PACKET_LEN_MAX : fuzz_u8(f);
	uint8_t *packet = fuzz_exact(f, len);
	struct vmb_guest_ic_request request;
	int step;

	shape(f, ic, packet, len);
	step = vmb_guest_ic_input(ic, packet, len, &request);
	FUZZ_CHECK(step == VMB_EPROTO || step == VMB_GUEST_IC_REPLY ||
		   step == VMB_GUEST_IC_REQUEST);
	if (step == VMB_GUEST_IC_REQUEST) {
		FUZZ_CHECK(ic->negotiated);
		FUZZ_CHECK((uint8_t *)request.body + request.body_len <= packet + len);
		look(ic, &request);
		vmb_guest_ic_answer(packet, VMB_IC_OK);
	}
	if (step >= 0)
		FUZZ_CHECK(packet[25] == 5);
	free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz f = { data, len };
	struct vmb_guest_ic ic;

	vmb_guest_ic_init(&ic, types[fuzz_u8(&f) % VMB_ARRAY_COUNT(types)]);
	while (f.len)
		op_packet(&f, &ic);
	return 0;
}
