// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A host's dynamic memory against any guest. The record of what is out has as many bits as it says,
 * all of them memory of the guest, and nothing is taken that was not asked for.
 */
#include "fuzz/fuzz.h"
#include "host/balloon.h"

#define MAP_PAGES 1024u

static const struct vmb_host_ram ram[] = { { 16, 240 }, { 512, 400 } };
static uint32_t map[MAP_PAGES / 32];
static struct vmb_host_balloon b;

static const struct vmb_host_balloon_config config = { .bus_version = VMB_VERSION_NEWEST,
						       .ram = ram,
						       .ram_count = VMB_ARRAY_COUNT(ram),
						       .map = map,
						       .map_pages = MAP_PAGES };

static void check_map(void)
{
	uint64_t out = 0;

	for (uint64_t page = 0; page < MAP_PAGES; page++) {
		bool is_ram = (page >= 16 && page < 256) || (page >= 512 && page < 912);

		FUZZ_CHECK(is_ram || !vmb_host_balloon_is_out(&b, page));
		out += vmb_host_balloon_is_out(&b, page);
	}
	FUZZ_CHECK(out == b.out);
}

/* A message that mostly fits the state. */
static void shape(struct fuzz *f, uint8_t *packet, uint32_t len)
{
	static const uint8_t types[] = { 5, 1, 3, 5, 7, 9, 11 };
	uint8_t how = fuzz_u8(f);
	uint16_t said = (uint16_t)len;

	if (len < 16 || how & 1)
		return;
	packet[0] = types[b.state];
	packet[1] = 0;
	memcpy(packet + 2, &said, sizeof(said));
	if (how & 2)
		return;
	if (packet[0] == 1) {
		packet[8] = packet[9] = packet[11] = 0;
		packet[10] = 2;
	} else if (packet[0] == 7) {
		uint32_t word = (len - 16) / 8 << 1 | (how & 4 ? 1 : 0);

		memcpy(packet + 12, &word, sizeof(word));
		for (uint32_t at = 16; at + 8 <= len; at += 8) {
			uint64_t range;

			memcpy(&range, packet + at, sizeof(range));
			range = VMB_BALLOON_RANGE(range % MAP_PAGES, 1 + (range >> 56) % 16);
			memcpy(packet + at, &range, sizeof(range));
		}
	}
}

static void say(struct fuzz *f)
{
	uint32_t len = fuzz_u8(f) & 1 ? fuzz_u16(f) % (VMB_BALLOON_LEN_MAX + 8) : fuzz_u8(f) % 64;
	uint8_t *packet = fuzz_exact(f, len);
	uint64_t before = b.out;
	int step;

	shape(f, packet, len);
	step = vmb_host_balloon_input(&b, packet, len);
	FUZZ_CHECK((step < 0) == (b.state == VMB_HOST_BALLOON_IDLE));
	FUZZ_CHECK(step == VMB_HOST_BALLOON_TAKEN || step < 0 || b.out == before);
	FUZZ_CHECK(b.done <= b.wanted || b.state < VMB_HOST_BALLOON_OPEN);
	free(packet);
}

static void take_output(struct fuzz *f)
{
	struct vmb_balloon_header header;
	uint32_t len;
	const void *packet = vmb_host_balloon_output(&b, &len);

	if (!packet)
		return;
	FUZZ_CHECK(len >= sizeof(header) && len <= VMB_BALLOON_LEN_MAX);
	memcpy(&header, packet, sizeof(header));
	FUZZ_CHECK(header.len == len);
	vmb_host_balloon_output_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz f = { data, len };

	memset(map, 0, sizeof(map));
	vmb_host_balloon_init(&b, &config);
	vmb_host_balloon_reset(&b);
	while (f.len) {
		switch (fuzz_u8(&f) % 8) {
		case 0: vmb_host_balloon_ask(&b, fuzz_u16(&f)); break;
		case 1: vmb_host_balloon_give(&b, fuzz_u16(&f)); break;
		case 2: vmb_host_balloon_add(&b, 512, fuzz_u16(&f), 0, 0); break;
		case 3:
			if (fuzz_u8(&f) == 0)
				vmb_host_balloon_reset(&b);
			break;
		case 4:
		case 5: take_output(&f); break;
		default: say(&f); break;
		}
	}
	check_map();
	return 0;
}
