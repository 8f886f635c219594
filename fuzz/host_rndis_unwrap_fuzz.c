// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Envelopes of frames from the guest, in memory of exactly the size that is copied. What is taken
 * lies inside of the message, and what was wrapped is unwrapped again.
 */
#include "fuzz/fuzz.h"
#include "host/rndis.h"

/* Something near a good packet, then single fields changed. */
static void put_packet(struct fuzz *f, uint8_t *at, uint32_t len)
{
	struct rndis_packet packet = { .header.type = RNDIS_PACKET };
	uint32_t i, count = fuzz_u8(f) % 8, end = sizeof(packet);
	struct rndis_info info = { 16, 0, 12 };

	packet.header.len = len;
	packet.info_offset = 36;
	for (i = 0; i < count && end + 16 <= len; i++, end += 16) {
		info.type = fuzz_u8(f) % 12;
		memcpy(at + end, &info, sizeof(info));
		fuzz_take(f, at + end + 12, 4);
	}
	packet.info_len = end - (uint32_t)sizeof(packet);
	packet.data_offset = end - 8;
	packet.data_len = len - end;
	memcpy(at, &packet, sizeof(packet));
	for (i = fuzz_u8(f) % 4; i; i--)
		fuzz_take(f, at + fuzz_u8(f) % (len / 4 < 80 ? len / 4 : 80) * 4, 4);
}

/* Each element lies within the list, whose bytes were copied. */
static void check_infos(const uint8_t *bytes, uint32_t copied_len)
{
	struct rndis_packet packet;
	struct rndis_info info;
	uint32_t at = 0;

	memcpy(&packet, bytes, sizeof(packet));
	while (at < packet.info_len) {
		FUZZ_CHECK((uint64_t)packet.info_offset + 8 + at + sizeof(info) <= copied_len);
		memcpy(&info, bytes + packet.info_offset + 8 + at, sizeof(info));
		FUZZ_CHECK(info.len >= sizeof(info) && info.len <= packet.info_len - at);
		at += info.len;
	}
}

static void check_taken(const uint8_t *bytes, uint32_t copied_len, uint32_t room)
{
	struct vmb_host_rndis_frame frame;

	if (vmb_host_rndis_unwrap(bytes, copied_len, room, &frame))
		return;
	check_infos(bytes, copied_len);
	FUZZ_CHECK(frame.message_len <= room && frame.message_len >= sizeof(struct rndis_packet));
	FUZZ_CHECK(frame.data_offset >= sizeof(struct rndis_packet));
	FUZZ_CHECK(frame.data_offset <= frame.message_len);
	FUZZ_CHECK(frame.len && frame.len <= frame.message_len - frame.data_offset);
	FUZZ_CHECK(!(frame.present & VMB_HOST_RNDIS_HAS_PACKET_ID));
}

static void check_wrapped(struct fuzz *f)
{
	struct vmb_host_rndis_frame in, out;
	uint8_t *bytes = malloc(VMB_HOST_RNDIS_DATA_OFFSET);

	memset(&in, 0, sizeof(in));
	in.present = fuzz_u8(f) & (VMB_HOST_RNDIS_HAS_CHECKSUM | VMB_HOST_RNDIS_HAS_VLAN |
				   VMB_HOST_RNDIS_HAS_HASH | VMB_HOST_RNDIS_HAS_PACKET_ID);
	in.len = fuzz_u16(f) + 1u;
	in.checksum = fuzz_u32(f);
	in.vlan = fuzz_u16(f);
	in.hash = fuzz_u32(f);
	vmb_host_rndis_wrap(bytes, &in);
	FUZZ_CHECK(!vmb_host_rndis_unwrap(bytes, VMB_HOST_RNDIS_DATA_OFFSET,
					  VMB_HOST_RNDIS_DATA_OFFSET + in.len, &out));
	FUZZ_CHECK(out.len == in.len && out.data_offset == VMB_HOST_RNDIS_DATA_OFFSET);
	FUZZ_CHECK(out.present == (in.present & ~VMB_HOST_RNDIS_HAS_PACKET_ID));
	if (in.present & VMB_HOST_RNDIS_HAS_CHECKSUM)
		FUZZ_CHECK(out.checksum == in.checksum);
	if (in.present & VMB_HOST_RNDIS_HAS_VLAN)
		FUZZ_CHECK(out.vlan == in.vlan);
	if (in.present & VMB_HOST_RNDIS_HAS_HASH)
		FUZZ_CHECK(out.hash == in.hash);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct fuzz f = { bytes, len };
	uint8_t how = fuzz_u8(&f), *envelope;
	uint32_t room = fuzz_u16(&f), copied_len;

	if (how % 4 == 0) {
		check_wrapped(&f);
		return 0;
	}
	copied_len = room < VMB_HOST_RNDIS_ENVELOPE_LEN_MAX ? room :
							      VMB_HOST_RNDIS_ENVELOPE_LEN_MAX;
	if (how % 4 == 1 && copied_len >= sizeof(struct rndis_packet)) {
		envelope = malloc(copied_len);
		memset(envelope, 0, copied_len);
		put_packet(&f, envelope, copied_len);
	} else {
		envelope = fuzz_exact(&f, copied_len);
	}
	check_taken(envelope, copied_len, room);
	free(envelope);
	return 0;
}
