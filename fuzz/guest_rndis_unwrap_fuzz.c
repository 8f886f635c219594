// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A frame's message of a hostile host: the frame lies inside of it, and copying only what is needed
 * tells the same as copying all that is allowed.
 */
#include "fuzz/fuzz.h"
#include "guest/rndis.h"

static void put_u32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* Makes a part of the inputs messages whose fields are nearly right, as chosen by how. */
static void make_likely(uint8_t *message, uint32_t room, uint8_t how)
{
	uint32_t value;

	if (room < sizeof(struct rndis_packet))
		return;
	if (how & 1) {
		put_u32(message, RNDIS_PACKET);
		put_u32(message + 4, room);
	}
	if (how & 2) {
		put_u32(message + 8, 36 + message[8]);
		put_u32(message + 12, message[12]);
	}
	if (how & 4) {
		put_u32(message + 28, 36);
		put_u32(message + 32, message[32] & 0x7C);
	}
	for (value = 44; how & 8 && value + 16 <= room; value += 16) {
		put_u32(message + value, 16);
		put_u32(message + value + 8, 12);
	}
}

static int unwrap(const uint8_t *message, uint32_t copied, uint32_t room,
		  struct vmb_guest_rndis_frame *frame)
{
	uint8_t *exact = malloc(copied ? copied : 1);
	int err;

	memcpy(exact, message, copied);
	memset(frame, 0, sizeof(*frame));
	err = vmb_guest_rndis_unwrap(exact, copied, room, frame);
	free(exact);
	FUZZ_CHECK(!err || err == VMB_EPROTO);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz f = { bytes, size };
	struct vmb_guest_rndis_frame few, all;
	uint8_t how = fuzz_u8(&f);
	uint32_t room = (uint32_t)f.len, limit, need;
	uint8_t *message = fuzz_exact(&f, room);
	int err;

	make_likely(message, room, how);
	limit = room < VMB_GUEST_RNDIS_ENVELOPE_IN_LEN_MAX ? room :
							     VMB_GUEST_RNDIS_ENVELOPE_IN_LEN_MAX;
	need = room < sizeof(struct rndis_packet) ? room :
						    vmb_guest_rndis_envelope_in_len(message, room);
	FUZZ_CHECK(need <= limit);
	err = unwrap(message, limit, room, &all);
	FUZZ_CHECK(unwrap(message, need, room, &few) == err);
	if (!err) {
		FUZZ_CHECK(all.len && all.data_offset >= sizeof(struct rndis_packet));
		FUZZ_CHECK((uint64_t)all.data_offset + all.len <= room);
		FUZZ_CHECK(!(all.present & VMB_GUEST_RNDIS_LSO) && all.present < 0x40);
		FUZZ_CHECK(!memcmp(&few, &all, sizeof(few)));
	}
	free(message);
	return 0;
}
