// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A storage driver with one request at a time. A command is repeated when the disk has something to
 * say first (UNIT ATTENTION), which it may at any time.
 */
#include "ports/baremetal/disk.h"
#include "ports/baremetal/machine.h"
#include "ports/baremetal/sha256.h"

#define READ_CAPACITY 0x25u
#define READ	      0x28u
#define TRIES	      5u

static _Alignas(4096) uint8_t rings[2 * VMB_METAL_RING_LEN];
static _Alignas(4096) uint8_t data[VMB_METAL_READ_LEN];

static void send_control(struct vmb_metal_disk *d)
{
	const struct vmb_guest_storage_output *out = vmb_guest_storage_output(&d->core);
	struct vmb_ring_part payload;
	struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
					  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
					  .payload = &payload,
					  .payload_count = 1 };

	if (!out)
		return;
	payload = (struct vmb_ring_part){ &out->packet, out->payload_len };
	packet.transaction_id = out->transaction_id;
	if (vmb_metal_bus_send(&d->bus->disk, &packet))
		vmb_guest_storage_output_done(&d->core);
}

/* Takes what the host sent. Returns whether the event of that type was among it. */
static bool look(struct vmb_metal_disk *d, enum vmb_guest_storage_event_type type,
		 struct vmb_guest_storage_event *event)
{
	struct vmb_ring_received received;
	uint8_t payload[sizeof(struct vmb_stor_packet)];
	uint32_t len;

	for (uint32_t n = 0; n < VMB_METAL_LOOK_MAX; n++) {
		if (!vmb_metal_bus_receive(&d->bus->disk, &received, payload, sizeof(payload), NULL,
					   0))
			return false;
		len = received.payload_len < sizeof(payload) ? received.payload_len :
							       sizeof(payload);
		if (!vmb_guest_storage_input(&d->core, received.type, received.transaction_id,
					     payload, len, event) &&
		    event->type == type)
			return true;
	}
	return false;
}

static bool await(struct vmb_metal_disk *d, enum vmb_guest_storage_event_type type,
		  struct vmb_guest_storage_event *event)
{
	uint64_t until = vmb_metal_now() + VMB_METAL_PATIENCE_US;

	do {
		vmb_metal_bus_poll(d->bus);
		send_control(d);
		if (look(d, type, event))
			return true;
	} while (!d->bus->lost && !d->bus->disk.rx.broken && vmb_metal_now() < until);
	return false;
}

/* One command of LUN 0, whose len bytes come to data. */
static bool command(struct vmb_metal_disk *d, const uint8_t cdb[10], uint32_t len,
		    struct vmb_guest_storage_event *event)
{
	static uint64_t pfns[VMB_METAL_READ_LEN / VMB_PAGE_LEN];
	struct vmb_guest_storage_request request = { .cookie = d,
						     .cdb_len = 10,
						     .direction = VMB_STOR_READ,
						     .data_len = len,
						     .timeout_s = 10 };
	struct vmb_guest_storage_packet p;
	struct vmb_ring_part header[2] = { { &p.gpa, sizeof(p.gpa) }, { pfns, 0 } };
	struct vmb_ring_part payload = { &p.payload, 0 };
	struct vmb_ring_packet packet = { .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
					  .header = header,
					  .header_count = 2,
					  .payload = &payload,
					  .payload_count = 1 };

	memcpy(request.cdb, cdb, 10);
	if (vmb_guest_storage_submit(&d->core, 0, &request, &p))
		return false;
	for (uint32_t i = 0; i < p.pfn_count; i++)
		pfns[i] = ((uintptr_t)data >> VMB_PAGE_SHIFT) + i;
	header[1].len = p.pfn_count * sizeof(pfns[0]);
	packet.type = p.type;
	packet.transaction_id = p.transaction_id;
	payload.len = p.payload_len;
	return vmb_metal_bus_send(&d->bus->disk, &packet) &&
	       await(d, VMB_GUEST_STORAGE_COMPLETED, event);
}

static bool read_data(struct vmb_metal_disk *d, uint8_t code, uint32_t first, uint32_t blocks,
		      uint32_t len)
{
	const uint8_t cdb[10] = { code,	 0, first >> 24, first >> 16, first >> 8,
				  first, 0, blocks >> 8, blocks };
	struct vmb_guest_storage_event event;

	for (uint32_t i = 0; i < TRIES; i++) {
		if (!command(d, cdb, len, &event))
			return false;
		if (event.srb_status == VMB_SRB_SUCCESS && event.data_len == len)
			return true;
	}
	vmb_metal_print("disk: command %x ended with status %x\n", (uint64_t)code,
			(uint64_t)event.srb_status);
	return false;
}

static uint32_t big_endian(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* READ(10) reaches 2 TiB, which is more than anybody wants to see hashed here. */
static bool read_size(struct vmb_metal_disk *d)
{
	if (!read_data(d, READ_CAPACITY, 0, 0, 8))
		return false;
	d->block_count = (uint64_t)big_endian(data) + 1;
	d->block_len = big_endian(data + 4);
	return d->block_count <= UINT32_MAX && d->block_len >= 512 &&
	       d->block_len <= VMB_PAGE_LEN && !(d->block_len & (d->block_len - 1));
}

bool vmb_metal_disk_open(struct vmb_metal_disk *d, struct vmb_metal_bus *bus)
{
	const struct vmb_guest_storage_config config = { 0 };
	struct vmb_guest_storage_event event;

	d->bus = bus;
	bus->disk.rings = rings;
	if (bus->disk.core.connect && vmb_metal_bus_open(bus, &bus->disk) &&
	    !vmb_guest_storage_init(&d->core, d->slots, 1, &config) &&
	    !vmb_guest_storage_start(&d->core) && await(d, VMB_GUEST_STORAGE_IS_READY, &event) &&
	    read_size(d))
		return true;
	vmb_metal_print("disk: none\n");
	return false;
}

bool vmb_metal_disk_hash(struct vmb_metal_disk *d)
{
	uint32_t at_once = VMB_METAL_READ_LEN;
	struct vmb_metal_sha256 hash;
	uint64_t left, block = 0;
	uint32_t count;

	if (d->core.max_transfer_len < at_once)
		at_once = d->core.max_transfer_len;
	vmb_metal_sha256_begin(&hash);
	for (left = d->block_count; left; left -= count, block += count) {
		count = at_once / d->block_len;
		if (left < count)
			count = left;
		if (!read_data(d, READ, block, count, count * d->block_len))
			return false;
		vmb_metal_sha256_add(&hash, data, count * d->block_len);
		d->read_len += count * d->block_len;
	}
	vmb_metal_sha256_end(&hash, d->hash);
	return true;
}
