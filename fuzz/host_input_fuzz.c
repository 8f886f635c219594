// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A host's keyboard and mouse against any guest: a guest that broke the protocol gets nothing any
 * more, and no event leaves before the handshake.
 */
#include "fuzz/fuzz.h"
#include "host/keyboard.h"
#include "host/mouse.h"

static struct vmb_host_keyboard k;
static struct vmb_host_mouse m;

static void say_to_keyboard(struct fuzz *f)
{
	static const uint8_t request[] = { 1, 0, 0, 0, 0, 0, 1, 0 };
	uint32_t len = fuzz_u8(f) % 16 ? fuzz_u8(f) % 24 : fuzz_u16(f) % 300;
	uint8_t *packet = fuzz_exact(f, len);
	uint8_t how = fuzz_u8(f);
	int step;

	if (len >= 8 && how & 1)
		memcpy(packet, request, sizeof(request));
	if (len >= 8 && how & 2)
		packet[0] = 4;
	step = vmb_host_keyboard_input(&k, packet, len);
	FUZZ_CHECK(step >= 0 ||
		   (step == VMB_EPROTO && k.state == VMB_HOST_KEYBOARD_IDLE && !k.output_len));
	FUZZ_CHECK(step != VMB_HOST_KEYBOARD_READY || k.state == VMB_HOST_KEYBOARD_OPEN);
	free(packet);
}

static void say_to_mouse(struct fuzz *f)
{
	static const uint8_t request[] = { 1, 0, 0, 0, 12, 0, 0, 0, 0, 0,
					   0, 0, 4, 0, 0,  0, 0, 0, 2, 0 };
	uint32_t len = fuzz_u8(f) % 16 ? fuzz_u8(f) % 40 : fuzz_u16(f) % 300;
	uint8_t *packet = fuzz_exact(f, len);
	uint8_t how = fuzz_u8(f);
	int step;

	if (len >= sizeof(request) && how & 1)
		memcpy(packet, request, sizeof(request));
	if (len >= sizeof(request) && how & 2)
		packet[8] = 3;
	step = vmb_host_mouse_input(&m, packet, len);
	FUZZ_CHECK(step >= 0 ||
		   (step == VMB_EPROTO && m.state == VMB_HOST_MOUSE_IDLE && !m.output_len));
	FUZZ_CHECK((step == VMB_HOST_MOUSE_READY) <= (m.state == VMB_HOST_MOUSE_OPEN));
	free(packet);
}

static void take_output(void)
{
	uint32_t len;
	const uint8_t *packet = vmb_host_keyboard_output(&k, &len);

	if (packet) {
		FUZZ_CHECK(packet[0] == 2 ||
			   (packet[0] == 3 && len == 12 && k.state == VMB_HOST_KEYBOARD_OPEN));
		vmb_host_keyboard_output_done(&k);
	}
	packet = vmb_host_mouse_output(&m, &len);
	if (packet) {
		FUZZ_CHECK(len <= VMB_HOST_MOUSE_PACKET_LEN);
		FUZZ_CHECK(packet[8] != 4 || m.state == VMB_HOST_MOUSE_OPEN);
		vmb_host_mouse_output_done(&m);
	}
}

static void send(struct fuzz *f)
{
	struct vmb_mouse_report report;

	fuzz_take(f, &report, sizeof(report));
	if (!vmb_host_mouse_report(&m, &report))
		FUZZ_CHECK(report.x <= 32767 && report.y <= 32767 && m.output_len == 23);
	if (!vmb_host_keyboard_key(&k, fuzz_u16(f), fuzz_u8(f)))
		FUZZ_CHECK(k.output_len == 12);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz f = { data, len };

	vmb_host_keyboard_init(&k);
	vmb_host_mouse_init(&m);
	vmb_host_keyboard_reset(&k);
	vmb_host_mouse_reset(&m);
	while (f.len) {
		switch (fuzz_u8(&f) % 8) {
		case 0: send(&f); break;
		case 1:
		case 2: take_output(); break;
		case 3:
			if (!fuzz_u8(&f))
				vmb_host_keyboard_reset(&k);
			break;
		case 4:
		case 5: say_to_keyboard(&f); break;
		default: say_to_mouse(&f); break;
		}
	}
	return 0;
}
