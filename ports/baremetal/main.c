// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A guest without an operating system: it connects, hashes its disk, and then answers pings and
 * serves a page with its own counters. docs/porting.md, "Without an operating system".
 * Command line:
 *
 *   interrupt         first a test of the machine: vmb_metal_interrupt_self()
 *   address=A.B.C.D   its IPv4 address (10.0.2.15)
 *   poweroff          whoever fetches /poweroff may end it; without a card it ends by itself
 */
#include "ports/baremetal/card.h"
#include "ports/baremetal/disk.h"
#include "ports/baremetal/internet.h"
#include "ports/baremetal/machine.h"

#define COMMAND_LINE_MAX 1024u

/* Xen's start structure, as far as it is read here. */
struct start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, command_line;
};

struct times {
	uint64_t entered, connected, disk_open, card_open,
		hashed; /* us since the machine was made */
};

static struct {
	struct vmb_metal_bus bus;
	struct vmb_metal_disk disk;
	struct vmb_metal_card card;
	struct vmb_metal_internet internet;
	struct times times;
	char hash[65];
	bool has_disk, may_power_off, power_off;
	char command_line[COMMAND_LINE_MAX];
} guest;

void vmb_metal_main(const struct start_info *info);

/* Returns what stands behind word on the command line, or NULL. */
static const char *option(const char *word)
{
	const char *at = guest.command_line, *w;

	while (*at) {
		const char *begin = at;

		for (w = word; *w && *at == *w; at++)
			w++;
		if (!*w)
			return at;
		for (at = begin; *at && *at != ' '; at++)
			;
		while (*at == ' ')
			at++;
	}
	return NULL;
}

/* A wrong address stays the default's; the console shows which one is used. */
static void parse_address(const char *text, uint8_t address[4])
{
	uint32_t number = 0, parts = 0;
	uint8_t parsed[4];

	for (; text && parts < 4; text++) {
		if (*text >= '0' && *text <= '9') {
			number = number * 10 + (*text - '0');
			continue;
		}
		if (number > 255)
			return;
		parsed[parts++] = number;
		number = 0;
		if (*text != '.')
			break;
	}
	if (parts == 4)
		memcpy(address, parsed, 4);
}

static void read_command_line(const struct start_info *info)
{
	const char *from = (const char *)(uintptr_t)info->command_line;

	for (uint32_t i = 0; from && i + 1 < COMMAND_LINE_MAX && from[i]; i++)
		guest.command_line[i] = from[i];
	guest.may_power_off = option("poweroff") != NULL;
}

static bool begins(const char *text, const char *with)
{
	while (*with && *text == *with) {
		text++;
		with++;
	}
	return !*with;
}

static uint32_t write_page(void *arg, const char *request, char *dst, uint32_t room)
{
	const struct times *t = &guest.times;
	int len;

	guest.power_off |= guest.may_power_off && begins(request, "GET /poweroff ");
	if (!begins(request, "GET / ") && !begins(request, "GET /poweroff "))
		len = vmb_metal_format(dst, room, "HTTP/1.0 404 Not Found\r\n\r\n");
	else
		len = vmb_metal_format(
			dst, room,
			"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n"
			"vmbus=%u.%u\nentered_us=%u\nconnected_us=%u\ndisk_us=%u\ncard_us=%u\n"
			"hashed_us=%u\nnow_us=%u\ndisk_bytes=%u\nsha256=%s\n"
			"frames_in=%u\nframes_out=%u\nframes_dropped=%u\npings=%u\npages=%u\n",
			(uint64_t)(guest.bus.connect.version >> 16),
			(uint64_t)(guest.bus.connect.version & 0xFFFF), t->entered, t->connected,
			t->disk_open, t->card_open, t->hashed, vmb_metal_now(), guest.disk.read_len,
			guest.hash, guest.card.received, guest.card.sent, guest.card.dropped,
			guest.internet.pings, guest.internet.pages);
	return len < 0 ? 0 : (uint32_t)len;
}

static void hash_disk(void)
{
	static const char digits[] = "0123456789abcdef";

	if (!guest.has_disk || !vmb_metal_disk_hash(&guest.disk))
		return;
	for (uint32_t i = 0; i < 32; i++) {
		guest.hash[2 * i] = digits[guest.disk.hash[i] >> 4];
		guest.hash[2 * i + 1] = digits[guest.disk.hash[i] & 15];
	}
	guest.times.hashed = vmb_metal_now();
	vmb_metal_print("disk: %u bytes, SHA-256 %s at %u us\n", guest.disk.read_len, guest.hash,
			guest.times.hashed);
}

/* Frames that came while this looked away set a flag before the halt, so it does not halt. */
static void serve(void)
{
	while (!guest.power_off && !guest.bus.lost && !guest.bus.card.rx.broken) {
		vmb_metal_take_flags();
		vmb_metal_bus_poll(&guest.bus);
		if (!vmb_metal_card_poll(&guest.card))
			vmb_metal_wait();
	}
}

static void start_internet(void)
{
	const uint8_t address[4] = { 10, 0, 2, 15 };
	uint8_t *a = guest.internet.address;

	memcpy(a, address, 4);
	parse_address(option("address="), a);
	guest.internet.page = write_page;
	vmb_metal_internet_start(&guest.internet, &guest.card);
	vmb_metal_print("card: http://%u.%u.%u.%u/ at %u us\n", (uint64_t)a[0], (uint64_t)a[1],
			(uint64_t)a[2], (uint64_t)a[3], guest.times.card_open);
}

static void run(void)
{
	bool has_card;

	guest.times.entered = vmb_metal_now();
	if (option("interrupt"))
		vmb_metal_interrupt_self();
	if (!vmb_metal_bus_start(&guest.bus))
		return;
	guest.times.connected = vmb_metal_now();
	vmb_metal_print("vmbus: version %u.%u at %u us\n",
			(uint64_t)(guest.bus.connect.version >> 16),
			(uint64_t)(guest.bus.connect.version & 0xFFFF), guest.times.connected);
	guest.has_disk = vmb_metal_disk_open(&guest.disk, &guest.bus);
	guest.times.disk_open = vmb_metal_now();
	has_card = vmb_metal_card_open(&guest.card, &guest.bus);
	guest.times.card_open = vmb_metal_now();
	if (has_card)
		start_internet();
	hash_disk();
	if (has_card)
		serve();
	vmb_metal_bus_leave(&guest.bus);
}

void vmb_metal_main(const struct start_info *info)
{
	read_command_line(info);
	if (vmb_metal_start())
		run();
	else
		vmb_metal_print("no Hyper-V with VMBus here\n");
	vmb_metal_power_off();
}
