// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A guest's keyboard and mouse against any host: keys that exist, and descriptors and reports that
 * lie in the packet that brought them.
 */
#include "fuzz/fuzz.h"
#include "guest/keyboard.h"
#include "guest/mouse.h"

static struct vmb_guest_keyboard k;
static struct vmb_guest_mouse m;

static uint32_t draw_len(struct fuzz *f)
{
	return fuzz_u8(f) & 1 ? fuzz_u16(f) % (VMB_MOUSE_PACKET_LEN_MAX + 8) : fuzz_u8(f) % 96;
}

static void type(struct fuzz *f)
{
	uint32_t len = draw_len(f);
	uint8_t *packet = fuzz_exact(f, len);
	bool open = k.state == VMB_GUEST_KEYBOARD_OPEN;
	int step;

	if (len >= 8 && fuzz_u8(f) & 1) {
		memset(packet, 0, 4);
		packet[0] = open ? 3 : 2;
	}
	step = vmb_guest_keyboard_input(&k, packet, len);
	if (step == VMB_GUEST_KEYBOARD_KEY)
		FUZZ_CHECK(open && len >= 12 && k.make_code &&
			   k.make_code <= VMB_KEYBOARD_MAKE_CODE_MAX && !(k.flags & ~14u));
	free(packet);
}

/* A message that mostly fits the state. */
static void shape(struct fuzz *f, uint8_t *packet, uint32_t len)
{
	static const uint8_t types[] = { 1, 2, 4, 4 };
	uint8_t how = fuzz_u8(f);
	uint32_t pipe_len = len - 8, body_len = len - 16;

	if (len < 16 || how & 1)
		return;
	memset(packet, 0, 16);
	packet[0] = 1;
	packet[8] = types[m.state];
	memcpy(packet + 4, &pipe_len, 4);
	memcpy(packet + 12, &body_len, 4);
	if (packet[8] == 1 && body_len >= 5)
		memcpy(packet + 16, (uint8_t[]){ 0, 0, 2, 0, 1 }, 5);
	if (packet[8] == 2 && body_len > 41) {
		packet[16 + 32] = 9;
		packet[16 + 39] = (uint8_t)(how & 2 ? body_len - 41 : fuzz_u8(f));
		packet[16 + 40] = 0;
	}
}

static void point(struct fuzz *f)
{
	struct vmb_guest_mouse_report report = { 0 };
	uint32_t len = draw_len(f);
	uint8_t *packet = fuzz_exact(f, len);
	int step;

	shape(f, packet, len);
	step = vmb_guest_mouse_input(&m, packet, len, &report);
	if (step == VMB_GUEST_MOUSE_REPORT)
		FUZZ_CHECK(report.len && report.len <= VMB_MOUSE_REPORT_LEN_MAX &&
			   report.bytes >= packet && report.bytes + report.len <= packet + len);
	if (step == VMB_GUEST_MOUSE_READY)
		FUZZ_CHECK(m.info.descriptor_len && 16u + 41 + m.info.descriptor_len <= len);
	free(packet);
}

static void take_output(void)
{
	uint32_t len;

	if (vmb_guest_keyboard_output(&k, &len)) {
		FUZZ_CHECK(len == 8);
		vmb_guest_keyboard_output_done(&k);
	}
	if (vmb_guest_mouse_output(&m, &len)) {
		FUZZ_CHECK(len == 17 || len == 20);
		vmb_guest_mouse_output_done(&m);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz f = { data, len };

	vmb_guest_keyboard_init(&k);
	vmb_guest_mouse_init(&m);
	while (f.len) {
		switch (fuzz_u8(&f) % 5) {
		case 0: take_output(); break;
		case 1: vmb_guest_keyboard_leds(&k, fuzz_u16(&f)); break;
		case 2: type(&f); break;
		default: point(&f); break;
		}
	}
	return 0;
}
