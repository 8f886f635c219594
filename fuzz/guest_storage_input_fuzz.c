// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A guest's storage against a host that completes what it likes. Each request ends at most once,
 * and says nothing that was not asked for.
 */
#include "fuzz/fuzz.h"
#include "guest/storage.h"

#define SLOT_COUNT 8u
#define ID_COUNT   32u

enum request_state { FREE, UNDER_WAY, ABANDONED };

struct bed {
	struct vmb_guest_storage s;
	struct vmb_guest_storage_slot slots[SLOT_COUNT];
	enum request_state states[SLOT_COUNT];
	uint32_t data_lens[SLOT_COUNT];
	uint64_t ids[ID_COUNT]; /* that the guest sent, newest last */
	uint32_t id_count;
};

static void remember(struct bed *b, uint64_t id)
{
	b->ids[b->id_count++ % ID_COUNT] = id;
}

static void end(struct bed *b, const struct vmb_guest_storage_event *event)
{
	FUZZ_CHECK(event->slot < SLOT_COUNT);
	FUZZ_CHECK(b->states[event->slot] != FREE);
	FUZZ_CHECK(!event->cookie == (b->states[event->slot] == ABANDONED));
	FUZZ_CHECK(!event->cookie || event->cookie == &b->states[event->slot]);
	FUZZ_CHECK(event->data_len <= b->data_lens[event->slot]);
	FUZZ_CHECK(event->sense_len <= VMB_STOR_SENSE_LEN);
	FUZZ_CHECK(event->srb_status <= VMB_SRB_STATUS_MASK);
	b->states[event->slot] = FREE;
}

static void op_packet(struct bed *b, struct fuzz *f)
{
	static const uint16_t types[] = { VMB_PKT_COMPLETION, VMB_PKT_COMPLETION, VMB_PKT_INBAND };
	struct vmb_guest_storage_event event;
	uint8_t how = fuzz_u8(f);
	uint16_t type = how % 4 == 3 ? fuzz_u16(f) : types[how % 4];
	uint64_t id = how & 0x80 ? fuzz_u64(f) : b->ids[fuzz_u8(f) % ID_COUNT];
	uint32_t len = how & 0x40 ? fuzz_u8(f) : VMB_STOR_PACKET_LEN;
	uint8_t *payload = fuzz_exact(f, len);
	int err;

	if (len && how & 0x20)
		payload[0] = VMB_STOR_COMPLETE_IO;
	if (len > 3 && how & 0x20)
		payload[1] = payload[2] = payload[3] = 0;
	if (how & 0x10 && len > 11)
		memset(payload + 8, 0, 4);
	err = vmb_guest_storage_input(&b->s, type, id, payload, len, &event);
	free(payload);
	FUZZ_CHECK(err == 0 || err == VMB_EPROTO);
	if (!err && event.type == VMB_GUEST_STORAGE_COMPLETED)
		end(b, &event);
}

static void op_output(struct bed *b, struct fuzz *f)
{
	const struct vmb_guest_storage_output *out = vmb_guest_storage_output(&b->s);

	if (!out)
		return;
	FUZZ_CHECK(out->payload_len <= VMB_STOR_PACKET_LEN);
	remember(b, out->transaction_id);
	vmb_guest_storage_output_done(&b->s);
}

static void op_submit(struct bed *b, struct fuzz *f)
{
	struct vmb_guest_storage_request request;
	struct vmb_guest_storage_packet packet;
	uint32_t slot = fuzz_u8(f) % (SLOT_COUNT + 1);

	memset(&request, 0, sizeof(request));
	request.cookie = slot < SLOT_COUNT ? &b->states[slot] : NULL;
	request.cdb_len = fuzz_u8(f) % 18;
	request.direction = fuzz_u8(f) % 4;
	request.data_len = fuzz_u8(f) & 0x80 ? fuzz_u32(f) : fuzz_u16(f);
	request.data_offset = fuzz_u16(f) % (VMB_PAGE_LEN + 8);
	if (vmb_guest_storage_submit(&b->s, slot, &request, &packet))
		return;
	FUZZ_CHECK(slot < SLOT_COUNT && b->states[slot] == FREE);
	FUZZ_CHECK(packet.payload_len <= VMB_STOR_PACKET_LEN);
	FUZZ_CHECK(packet.type == VMB_PKT_INBAND ||
		   packet.pfn_count == (request.data_offset + request.data_len + 4095ull) / 4096);
	b->states[slot] = UNDER_WAY;
	b->data_lens[slot] = request.data_len;
	remember(b, packet.transaction_id);
}

static void op_give_up(struct bed *b, struct fuzz *f)
{
	uint32_t slot = fuzz_u8(f) % SLOT_COUNT;

	if (fuzz_u8(f) & 1) {
		FUZZ_CHECK(vmb_guest_storage_abandon(&b->s, slot) ==
			   (b->states[slot] == UNDER_WAY));
		if (b->states[slot] == UNDER_WAY)
			b->states[slot] = ABANDONED;
	} else if (b->states[slot] == UNDER_WAY) {
		FUZZ_CHECK(vmb_guest_storage_cancel(&b->s, slot));
		b->states[slot] = FREE;
	}
}

static void op_reset(struct bed *b, struct fuzz *f)
{
	vmb_guest_storage_reset(&b->s);
}

static void fail_all(struct bed *b)
{
	struct vmb_guest_storage_event event;
	uint32_t slot;

	while (!vmb_guest_storage_fail_next(&b->s, &event)) {
		FUZZ_CHECK(event.srb_status == VMB_SRB_NO_DEVICE);
		end(b, &event);
	}
	for (slot = 0; slot < SLOT_COUNT; slot++)
		FUZZ_CHECK(b->states[slot] == FREE);
}

/* The answers of a good host up to READY, so that what follows gets somewhere. */
static void be_good(struct bed *b)
{
	struct vmb_stor_packet answer = { .operation = VMB_STOR_COMPLETE_IO };
	const struct vmb_guest_storage_output *out;
	struct vmb_guest_storage_event event;
	uint64_t id;

	answer.u.properties.max_transfer_bytes = 1u << 20;
	answer.u.properties.max_sub_channel_count = 2;
	answer.u.properties.flags = VMB_STOR_PROPERTY_MULTI_CHANNEL;
	while ((out = vmb_guest_storage_output(&b->s))) {
		id = out->transaction_id;
		vmb_guest_storage_output_done(&b->s);
		vmb_guest_storage_input(&b->s, VMB_PKT_COMPLETION, id, &answer, sizeof(answer),
					&event);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static void (*const ops[])(struct bed *, struct fuzz *) = {
		op_packet, op_packet, op_output, op_submit, op_submit, op_give_up, op_reset,
	};
	struct vmb_guest_storage_config config = { 0 };
	struct fuzz f = { bytes, len };
	struct bed b;
	uint8_t how = fuzz_u8(&f);

	memset(&b, 0, sizeof(b));
	config.version_max = how & 2 ? VMB_STOR_VERSION_4_2 : 0;
	config.sub_channel_max = how & 0x20 ? 3 : 0;
	if (vmb_guest_storage_init(&b.s, b.slots, SLOT_COUNT, &config))
		return 0;
	vmb_guest_storage_start(&b.s);
	if (how & 1)
		be_good(&b);
	while (f.len)
		ops[fuzz_u8(&f) % (sizeof(ops) / sizeof(*ops))](&b, &f);
	fail_all(&b);
	return 0;
}
