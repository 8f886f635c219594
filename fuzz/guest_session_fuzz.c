// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A whole guest against a host that lies: the devices as they ship, with each message, packet and
 * signal to the guest dropped, doubled or changed as the input says. The guest connects, opens the
 * controller, reads and writes, closes and unloads; each of these ends, well or not.
 */
#include <stdbool.h>

#include "devices/fault.h"
#include "fuzz/fuzz.h"
#include "fuzz/quiet.h"
#include "ports/user/loopback.h"

#define COMMANDS_MAX 8u

static void spoil(struct fuzz *f, uint8_t *bytes, uint32_t len)
{
	uint8_t how = fuzz_u8(f);
	uint32_t at = len ? fuzz_u8(f) % len : 0;

	if (!len)
		return;
	if (how & 1)
		bytes[at] = fuzz_u8(f);
	else if (len >= 4 && at + 4 <= len)
		fuzz_take(f, bytes + at, 4);
}

static bool message(void *arg, uint8_t payload[VMB_MSG_LEN_MAX], uint32_t *len)
{
	struct fuzz *f = arg;
	uint8_t how = fuzz_u8(f);

	if (how & 1)
		spoil(f, payload, *len);
	if (how & 2)
		*len = fuzz_u8(f) % (VMB_MSG_LEN_MAX + 1);
	return (how & 12) != 12;
}

static enum vmb_dev_fault_verdict packet(void *arg, struct vmb_dev_channel *channel,
					 struct vmb_dev_packet *p)
{
	struct fuzz *f = arg;
	uint8_t how = fuzz_u8(f);

	if (how & 1)
		spoil(f, p->payload, p->payload_len);
	if (how & 2)
		p->payload_len = fuzz_u8(f) % (sizeof(p->payload) + 1);
	if (how & 4)
		p->transaction_id ^= 1ull << fuzz_u8(f) % 64;
	if (how & 8)
		p->type = fuzz_u8(f) % 16;
	switch (how >> 4) {
	case 1: return VMB_DEV_FAULT_DROP;
	case 2: return VMB_DEV_FAULT_TWICE;
	case 3: return VMB_DEV_FAULT_HOLD;
	default: return VMB_DEV_FAULT_PASS;
	}
}

static bool signal_guest(void *arg, struct vmb_dev_channel *channel)
{
	return fuzz_u8(arg) != 0x55;
}

static void move(struct vmb_user_loopback *l, struct vmb_user_device *d, struct fuzz *f)
{
	uint8_t cdb[10] = { fuzz_u8(f) & 1 ? 0x28 : 0x2A, 0, 0, 0, 0, fuzz_u8(f), 0, 0, 8, 0 };
	struct vmb_guest_storage_event event;
	uint8_t data[4096] = { 0 };

	vmb_user_loopback_scsi(l, d, fuzz_u8(f) & 1, cdb, sizeof(cdb),
			       cdb[0] == 0x28 ? VMB_STOR_READ : VMB_STOR_WRITE, data, sizeof(data),
			       &event);
}

static void live(struct vmb_user_loopback *l, struct fuzz *f)
{
	struct vmb_user_device *d;
	uint8_t count = fuzz_u8(f) % COMMANDS_MAX;

	if (vmb_user_guest_start(&l->guest))
		return;
	d = vmb_user_guest_device(&l->guest);
	if (!d)
		return;
	if (vmb_user_guest_open(&l->guest, d) == 0)
		for (uint8_t i = 0; i < count; i++)
			move(l, d, f);
	vmb_user_guest_close(&l->guest, d);
	vmb_user_guest_unload(&l->guest);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const uint32_t versions[] = { 0, VMB_VERSION_5_3, VMB_VERSION_2_4,
					     VMB_VERSION_0_13 };
	struct fuzz f = { bytes, len };
	struct vmb_dev_fault fault = {
		.arg = &f, .message = message, .packet = packet, .signal = signal_guest
	};
	struct vmb_user_loopback_config config = {
		.machine.version_max = versions[fuzz_u8(&f) % VMB_ARRAY_COUNT(versions)],
		.disks[0].path = "ram:1M",
	};
	struct vmb_user_loopback *l = calloc(1, sizeof(*l));

	fuzz_quiet();
	FUZZ_CHECK(l && !vmb_user_loopback_init(l, &config));
	l->machine.bus->fault = &fault;
	live(l, &f);
	vmb_user_loopback_destroy(l);
	free(l);
	return 0;
}
