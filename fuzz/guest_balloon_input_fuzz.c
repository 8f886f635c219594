// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A guest's dynamic memory against any host: one request at a time, ranges that lie in the packet
 * that brought them, and answers that fit a message.
 */
#include "fuzz/fuzz.h"
#include "guest/balloon.h"

static struct vmb_guest_balloon g;

static void shape(struct fuzz *f, uint8_t *packet, uint32_t len)
{
	static const uint8_t types[] = { 2, 4, 6, 8, 10, 12, 8, 6 };
	uint8_t how = fuzz_u8(f);
	uint16_t said = (uint16_t)len;

	if (len < 16 || how & 1)
		return;
	packet[0] = g.state < VMB_GUEST_BALLOON_OPEN ? types[g.state] : types[how >> 5];
	packet[1] = 0;
	memcpy(packet + 2, &said, sizeof(said));
	if (packet[0] == 8 && how & 2) {
		uint32_t count = (len - 16) / 8;

		memcpy(packet + 12, &count, sizeof(count));
	}
	if (packet[0] < 5 && how & 2)
		packet[8] |= 1;
}

static void say(struct fuzz *f)
{
	uint32_t len = fuzz_u8(f) & 1 ? fuzz_u16(f) % (VMB_BALLOON_LEN_MAX + 8) : fuzz_u8(f) % 64;
	uint8_t *packet = fuzz_exact(f, len);
	bool busy = g.state >= VMB_GUEST_BALLOON_GIVING;
	int step;

	shape(f, packet, len);
	step = vmb_guest_balloon_input(&g, packet, len);
	FUZZ_CHECK(!busy || step < VMB_GUEST_BALLOON_ASKED);
	if (step == VMB_GUEST_BALLOON_RETURNED) {
		FUZZ_CHECK(16 + g.range_count * 8 <= len);
		for (uint32_t i = 0; i < g.range_count; i++)
			FUZZ_CHECK(VMB_BALLOON_RANGE_COUNT(g.ranges[i]));
	}
	if (step == VMB_GUEST_BALLOON_ADD)
		FUZZ_CHECK(g.add_count);
	free(packet);
}

static void take_output(void)
{
	struct vmb_balloon_header header;
	uint32_t len;
	const void *packet = vmb_guest_balloon_output(&g, &len);

	if (!packet)
		return;
	FUZZ_CHECK(len >= sizeof(header) && len <= VMB_BALLOON_LEN_MAX);
	memcpy(&header, packet, sizeof(header));
	FUZZ_CHECK(header.len == len);
	vmb_guest_balloon_output_done(&g);
}

static void serve(struct fuzz *f)
{
	const struct vmb_balloon_status status = { .available = fuzz_u8(f) };

	switch (fuzz_u8(f) % 6) {
	case 0: vmb_guest_balloon_range(&g, fuzz_u32(f), 1 + fuzz_u8(f)); break;
	case 1: vmb_guest_balloon_flush(&g); break;
	case 2: vmb_guest_balloon_given(&g); break;
	case 3: vmb_guest_balloon_taken(&g); break;
	case 4: vmb_guest_balloon_added(&g, fuzz_u32(f), fuzz_u8(f) & 1); break;
	default: vmb_guest_balloon_report(&g, &status); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz f = { data, len };

	vmb_guest_balloon_init(&g, fuzz_u8(&f));
	while (f.len) {
		switch (fuzz_u8(&f) % 4) {
		case 0: take_output(); break;
		case 1: serve(&f); break;
		default: say(&f); break;
		}
	}
	return 0;
}
