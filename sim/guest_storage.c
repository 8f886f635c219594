// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The guest's storage driver: random commands, each watched from its beginning to its only end. */
#include <stdlib.h>
#include <string.h>

#include "ports/user/guest.h"
#include "sim/sim.h"

#define BLOCKS_MAX     8u
#define SECTORS_MAX    2u /* of a DVD; as many bytes */
#define UNIT_ATTENTION 6u /* sense key */

static struct vmb_guest_storage *core_of(struct sim_channel *ch)
{
	return ch->primary ? &ch->joined : &ch->storage->core;
}

static struct sim_storage *storage_of(struct sim_channel *ch)
{
	return ch->primary ? ch->primary->storage : ch->storage;
}

static bool find_address(struct sim_channel *ch, const struct vmb_msg_offer *offer)
{
	static const struct vmb_guid scsi_id = VMB_GUID_SCSI, ide_id = VMB_GUID_IDE;
	struct vmb_guest_storage_address address = { 0, 0, 0 };
	bool ide = ch->device->config->class == SIM_IDE;

	if (!vmb_guid_equal(&offer->type_id, ide ? &ide_id : &scsi_id) ||
	    (ide && vmb_guest_storage_ide_address(&offer->instance_id, &address)))
		return false;
	ch->path_id = address.path_id;
	ch->target_id = address.target_id;
	return true;
}

static bool alloc_storage(struct sim_channel *ch, const struct vmb_msg_offer *offer)
{
	if (!find_address(ch, offer))
		return false;
	if (!ch->primary)
		ch->storage = calloc(1, sizeof(*ch->storage));
	return ch->primary || ch->storage;
}

static void free_storage(struct sim_channel *ch)
{
	free(ch->storage);
}

static void begin(struct sim_channel *ch)
{
	if (ch->primary) {
		vmb_guest_storage_join(&ch->joined, &ch->primary->storage->core);
		return;
	}
	vmb_guest_storage_start(&ch->storage->core);
}

static void prepare(struct sim_channel *ch)
{
	struct vmb_guest_storage_config config = {
		.sub_channel_max = (uint16_t)(ch->guest->sim->config.guest_queues - 1),
	};

	if (ch->primary)
		return;
	if (ch->device->config->class == SIM_IDE)
		config.sub_channel_max = 0;
	memset(ch->storage, 0, sizeof(*ch->storage));
	vmb_guest_storage_init(&ch->storage->core, ch->storage->slots, SIM_SLOT_COUNT, &config);
}

/* The end of a request */

static void copy_pages(struct sim_channel *ch, const struct sim_request *r, uint8_t *bytes,
		       uint32_t len, bool to_pages)
{
	uint32_t at = r->offset, part;

	for (uint32_t i = 0; len; i++, at = 0, bytes += part, len -= part) {
		uint8_t *page = vmb_user_memory_page(&ch->guest->sim->machine.memory, r->pfns[i]);

		part = VMB_PAGE_LEN - at < len ? VMB_PAGE_LEN - at : len;
		if (to_pages)
			memcpy(page + at, bytes, part);
		else
			memcpy(bytes, page + at, part);
	}
}

/*
 * Pages begin and end as junk: a request that ends before the host has done it reads junk, or has
 * the host write some.
 */
static void spoil_pages(struct sim_channel *ch, const struct sim_request *r)
{
	for (uint32_t i = 0; i < r->page_count; i++)
		memset(vmb_user_memory_page(&ch->guest->sim->machine.memory, r->pfns[i]), 0xA5,
		       VMB_PAGE_LEN);
}

static bool is_good(const struct sim_request *r, const struct vmb_guest_storage_event *event)
{
	if (event->srb_status != VMB_SRB_SUCCESS || event->scsi_status)
		return false;
	return (r->op != SIM_READ && r->op != SIM_DISC) || event->data_len == r->data_len;
}

/* Another request of the drive may bring the news that this one lacks. */
static bool is_alone(struct sim_channel *ch, const struct sim_request *r)
{
	const struct sim_storage *s = storage_of(ch);

	for (uint32_t i = 0; i < SIM_SLOT_COUNT; i++)
		if (s->requests[i].busy && &s->requests[i] != r &&
		    s->requests[i].lun == SIM_DRIVE_LUN)
			return false;
	return true;
}

static void end_request(struct sim_channel *ch, struct sim_request *r,
			const struct vmb_guest_storage_event *event, bool by_host)
{
	struct sim *sim = ch->guest->sim;
	uint8_t bytes[BLOCKS_MAX * SIM_BLOCK_LEN] = { 0 };
	bool good = by_host && is_good(r, event);

	sim_say(sim,
		by_host ? "  request %lu ends with status %lu, SCSI status %lu" :
			  "  request %lu ends without the host (status %lu, SCSI status %lu)",
		r->number, event->srb_status, event->scsi_status);
	ch->device->good += good;
	if (good && (r->op == SIM_READ || r->op == SIM_DISC))
		copy_pages(ch, r, bytes, r->data_len, false);
	if (r->lun == SIM_DRIVE_LUN && by_host && event->sense_len > 2 &&
	    (event->sense[2] & 15) == UNIT_ATTENTION)
		sim_drive_told(ch->device);
	/* What a liar says about data proves nothing; a read is not looked at then. */
	if (sim->config.faults == SIM_FAULTS_LIAR)
		good = false;
	if (r->op == SIM_DISC && good)
		sim_drive_read(ch->device, r->disc, r->block, r->count, bytes, is_alone(ch, r));
	if (r->disk)
		sim_disk_end(sim, r->disk, r->op, r->block, r->count, r->stamp, good, r->began,
			     bytes);
	spoil_pages(ch, r);
	vmb_user_memory_free(&sim->machine.memory, r->pfns, r->page_count);
	r->busy = false;
}

/* The engine says that a slot's request has ended; the slot says which that was. */
static void take_end(struct sim_channel *ch, const struct vmb_guest_storage_event *event,
		     uint64_t transaction_id, bool by_host)
{
	struct sim_request *r = &storage_of(ch)->requests[event->slot];
	struct sim *sim = ch->guest->sim;

	if (!r->busy) {
		sim_fail(sim, "TWO ENDS: a request in slot %lu ends that has ended before",
			 event->slot, 0, 0);
		return;
	}
	if (by_host && r->transaction_id != transaction_id && sim->config.faults != SIM_FAULTS_LIAR)
		sim_fail(sim,
			 "WRONG END: request %lu has id %lx and ends by the completion of id "
			 "%lx",
			 r->number, r->transaction_id, transaction_id);
	end_request(ch, r, event, by_host);
	sim_guest_wake(ch);
	/* As a queue of requests does: the slot is used again before anything else happens. */
	if (by_host && sim_mix(r->number) % 4 == 0)
		sim_guest_storage_request(ch, (uint32_t)sim_mix(r->number));
}

static void take_event(struct sim_channel *ch, const struct vmb_guest_storage_event *event,
		       uint64_t transaction_id)
{
	switch (event->type) {
	case VMB_GUEST_STORAGE_IS_READY:
		ch->ready = true;
		/* It has not asked yet what there is. */
		ch->device->drive.told = ch->device->drive.disc;
		break;
	case VMB_GUEST_STORAGE_HAS_FAILED: ch->refused = true; break;
	case VMB_GUEST_STORAGE_COMPLETED: take_end(ch, event, transaction_id, true); break;
	case VMB_GUEST_STORAGE_RESET_DONE: ch->storage->resetting = 0; break;
	default: break;
	}
	sim_guest_wake(ch);
}

static void write_control(struct sim_channel *ch);
static void use_room(struct sim_channel *ch);

static void read_packet(struct sim_channel *ch, const struct vmb_ring_received *received)
{
	struct vmb_guest_storage_event event;
	uint8_t payload[128];
	uint32_t len = received->payload_len < sizeof(payload) ? received->payload_len :
								 sizeof(payload);

	vmb_ring_copy(&ch->rx, received, 16 + received->header_len, payload, len);
	if (!vmb_guest_storage_input(core_of(ch), received->type, received->transaction_id, payload,
				     len, &event))
		take_event(ch, &event, received->transaction_id);
	if (!ch->primary)
		write_control(ch);
}

static void write_control(struct sim_channel *ch)
{
	const struct vmb_guest_storage_output *out;
	struct vmb_ring_part payload;
	struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
					  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
					  .payload = &payload,
					  .payload_count = 1 };

	use_room(ch);
	if (ch->primary || !ch->open)
		return;
	while ((out = vmb_guest_storage_output(&ch->storage->core))) {
		packet.transaction_id = out->transaction_id;
		payload = (struct vmb_ring_part){ &out->packet, out->payload_len };
		if (vmb_ring_write(&ch->tx, &packet)) {
			sim_guest_publish(ch);
			vmb_ring_wait_room(&ch->tx, vmb_ring_packet_len(0, payload.len));
			break;
		}
		vmb_guest_storage_output_done(&ch->storage->core);
	}
	sim_guest_publish(ch);
}

static void fail_requests(struct sim_channel *ch)
{
	struct vmb_guest_storage_event event;
	struct sim_storage *s = ch->storage;

	while (s && s->core.slots && !vmb_guest_storage_fail_next(&s->core, &event))
		take_end(ch, &event, 0, false);
}

/* Commands */

/* How the command block of an operation looks, and which way its data go. */
static void build_cdb(struct vmb_guest_storage_request *q, const struct sim_request *r,
		      uint32_t other)
{
	static const uint8_t others[][2] = { { 0x00, 6 }, { 0x12, 6 }, { 0x25, 10 }, { 0x1A, 6 } };
	static const uint8_t opcodes[] = {
		[SIM_READ] = 0x28,  [SIM_WRITE] = 0x2A, [SIM_WRITE_FUA] = 0x2A, [SIM_ZERO] = 0x41,
		[SIM_UNMAP] = 0x42, [SIM_FLUSH] = 0x35, [SIM_DISC] = 0x28
	};

	/* TEST UNIT READY, READ CAPACITY, PREVENT and ALLOW */
	if (r->op == SIM_DRIVE) {
		q->cdb[0] = other == 1 ? 0x25 : other > 1 ? 0x1E : 0x00;
		q->cdb_len = other == 1 ? 10 : 6;
		q->cdb[4] = other == 2;
		return;
	}
	if (r->op == SIM_OTHER) {
		q->cdb[0] = others[other % 4][0];
		q->cdb_len = others[other % 4][1];
		q->cdb[4] = q->cdb_len == 6 && q->cdb[0] ? 36 : 0;
		return;
	}
	q->cdb[0] = opcodes[r->op];
	q->cdb_len = 10;
	q->cdb[1] = r->op == SIM_WRITE_FUA || r->op == SIM_ZERO ? 8 : 0;
	if (r->op == SIM_UNMAP)
		q->cdb[8] = 24;
	if (r->op == SIM_FLUSH || r->op == SIM_UNMAP)
		return;
	q->cdb[5] = (uint8_t)r->block;
	q->cdb[8] = (uint8_t)r->count;
}

static uint32_t build_data(uint8_t *bytes, const struct sim_request *r, uint32_t other)
{
	static const uint8_t lengths[] = { 0, 36, 8, 36 };

	switch (r->op) {
	case SIM_WRITE:
	case SIM_WRITE_FUA: sim_disk_fill(bytes, r->block, r->count, r->stamp); /* fall through */
	case SIM_READ: return r->count * SIM_BLOCK_LEN;
	case SIM_ZERO: memset(bytes, 0, SIM_BLOCK_LEN); return SIM_BLOCK_LEN;
	case SIM_UNMAP:
		memset(bytes, 0, 24);
		bytes[1] = 22;
		bytes[3] = 16;
		bytes[15] = (uint8_t)r->block;
		bytes[19] = (uint8_t)r->count;
		return 24;
	case SIM_FLUSH: return 0;
	case SIM_DISC: return r->count * SIM_SECTOR_LEN;
	case SIM_DRIVE: return other == 1 ? 8 : 0;
	default: return lengths[other % 4];
	}
}

static enum sim_operation draw_operation(uint32_t n)
{
	static const enum sim_operation often[] = {
		SIM_READ,      SIM_READ,  SIM_READ, SIM_WRITE, SIM_WRITE, SIM_WRITE,
		SIM_WRITE_FUA, SIM_FLUSH, SIM_ZERO, SIM_UNMAP, SIM_OTHER, SIM_FLUSH
	};

	return often[n % VMB_ARRAY_COUNT(often)];
}

static void draw_drive(struct sim_device *d, struct sim_request *r, uint64_t *random)
{
	r->op = sim_draw(random, 3) ? SIM_DISC : SIM_DRIVE;
	r->lun = SIM_DRIVE_LUN;
	r->disc = d->drive.disc;
	r->count = 1 + sim_draw(random, SECTORS_MAX);
	r->block = sim_draw(random, SIM_DISC_SECTORS - SECTORS_MAX);
}

static void draw_request(struct sim_channel *ch, struct sim_request *r, uint64_t random)
{
	struct sim_device *d = ch->device;

	r->since = ch->guest->sim->now;
	r->number = ch->guest->sim->world.requests + 1;
	r->offset = sim_draw(&random, 8) * SIM_BLOCK_LEN;
	r->op = draw_operation(sim_draw(&random, 64));
	r->lun = d->config->class == SIM_IDE ? 0 : sim_draw(&random, SIM_DISK_MAX);
	if (d->config->drive && !sim_draw(&random, 6)) {
		draw_drive(d, r, &random);
		return;
	}
	r->disk = r->op == SIM_OTHER ? NULL : &d->disks[r->lun];
	r->count = r->op >= SIM_FLUSH ? 0 : 1 + sim_draw(&random, BLOCKS_MAX);
	r->block = sim_draw(&random, d->disks[r->lun].block_count - BLOCKS_MAX);
	r->stamp = r->op == SIM_ZERO || r->op == SIM_UNMAP ? 0 : r->number;
}

/* Fills in the request and puts it into the ring. Nothing is kept if that is not possible. */
static bool submit(struct sim_channel *ch, struct sim_request *r, uint64_t random)
{
	struct vmb_guest_storage_request q = { .cookie = r,
					       .path_id = ch->path_id,
					       .target_id = ch->target_id,
					       .lun = (uint8_t)r->lun,
					       .timeout_s = 60 };
	uint8_t bytes[BLOCKS_MAX * SIM_BLOCK_LEN];
	struct vmb_guest_storage_packet packet;
	uint32_t other = sim_draw(&random, 4), len = build_data(bytes, r, other), room;

	r->data_len = len;
	build_cdb(&q, r, other);
	q.data_len = len;
	q.data_offset = len ? r->offset : 0;
	q.direction = !len ? VMB_STOR_NO_DATA : sim_writes(r->op) ? VMB_STOR_WRITE : VMB_STOR_READ;
	r->page_count = (q.data_offset + len + VMB_PAGE_LEN - 1) / VMB_PAGE_LEN;
	if (!vmb_user_memory_alloc(&ch->guest->sim->machine.memory, r->pfns, r->page_count))
		return false; /* no memory */
	spoil_pages(ch, r);
	if (len && q.direction == VMB_STOR_WRITE)
		copy_pages(ch, r, bytes, len, true);
	if (!vmb_guest_storage_submit(core_of(ch), r->slot, &q, &packet)) {
		r->transaction_id = packet.transaction_id;
		if (!vmb_user_storage_write(&ch->tx, &packet, r->pfns, &room))
			return true;
		ch->room_wanted = room;
		vmb_guest_storage_cancel(core_of(ch), r->slot);
	}
	vmb_user_memory_free(&ch->guest->sim->machine.memory, r->pfns, r->page_count);
	return false;
}

static struct sim_request *free_request(struct sim_storage *s)
{
	for (uint32_t i = 0; i < SIM_SLOT_COUNT; i++)
		if (!s->requests[i].busy) {
			s->requests[i] = (struct sim_request){ .slot = i };
			return &s->requests[i];
		}
	return NULL;
}

static void forget(struct sim_request *r)
{
	struct sim_block *b = r->disk ? r->disk->blocks + r->block : NULL;

	for (uint32_t i = 0; b && i < r->count; i++) {
		b[i].users--;
		b[i].writing = false;
		b[i].stamp_count -= sim_writes(r->op);
	}
}

bool sim_guest_storage_request(struct sim_channel *ch, uint32_t arg)
{
	static const char *const texts[] = {
		[SIM_READ] = "the guest asks to read: request %lu, block %lu, %lu blocks",
		[SIM_WRITE] = "the guest asks to write: request %lu, block %lu, %lu blocks",
		[SIM_WRITE_FUA] = "the guest forces a write: request %lu, block %lu, %lu blocks",
		[SIM_ZERO] = "the guest asks to write zeroes: request %lu, block %lu, %lu blocks",
		[SIM_UNMAP] = "the guest asks to unmap: request %lu, block %lu, %lu blocks",
		[SIM_FLUSH] = "the guest asks to flush: request %lu",
		[SIM_OTHER] = "the guest asks for something else: request %lu",
		[SIM_DISC] = "the guest asks to read a disc: request %lu, sector %lu, %lu sectors",
		[SIM_DRIVE] = "the guest asks a drive for something else: request %lu",
	};
	struct sim_request *r = ch->ready && ch->open ? free_request(storage_of(ch)) : NULL;
	uint64_t random = sim_mix(arg);

	if (!r)
		return false;
	draw_request(ch, r, random);
	if (r->disk && !sim_disk_begin(r->disk, r->op, r->block, r->count, r->stamp))
		return false;
	ch->guest->sim->world.requests++;
	if (!submit(ch, r, random)) {
		sim_say(ch->guest->sim, "the guest finds no room for request %lu", r->number, 0, 0);
		forget(r);
		sim_guest_publish(ch);
		ch->guest->sim->full++;
		return true;
	}
	r->busy = true;
	r->began = r->disk ? r->disk->clock : 0;
	sim_say(ch->guest->sim, texts[r->op], r->number, r->block, r->count);
	sim_guest_publish(ch);
	return true;
}

bool sim_guest_storage_burst(struct sim_channel *ch, uint32_t arg)
{
	bool any = false;

	for (uint32_t i = 0; i < SIM_SLOT_COUNT && !ch->room_wanted; i++)
		any |= sim_guest_storage_request(ch, (uint32_t)sim_mix(arg + i));
	use_room(ch);
	return any;
}

/* One that found no room comes again, as another one, when the host has made some. */
static void use_room(struct sim_channel *ch)
{
	if (!ch->open || !ch->room_wanted || vmb_ring_wait_room(&ch->tx, ch->room_wanted))
		return;
	ch->room_wanted = 0;
	sim_guest_storage_request(ch, (uint32_t)sim_mix(ch->guest->sim->world.requests));
}

bool sim_guest_storage_reset(struct sim_channel *ch)
{
	if (ch->primary || !ch->ready || !ch->open || vmb_guest_storage_reset(&ch->storage->core))
		return false;
	ch->storage->resetting = ch->guest->sim->now;
	write_control(ch);
	return true;
}

/* Time */

static bool give_up(struct sim_channel *ch, struct sim_request *r, int64_t now)
{
	if (!r->busy || now - r->since < SIM_REQUEST_NS)
		return false;
	if (r->given_up)
		return now - r->since > 3 * SIM_REQUEST_NS;
	r->given_up = true;
	sim_say(ch->guest->sim, "the guest gives request %lu up", r->number, 0, 0);
	if (ch->guest->sim->config.faults == SIM_FAULTS_NONE)
		sim_fail(ch->guest->sim, "NO END: request %lu has not ended for %lu s", r->number,
			 SIM_REQUEST_NS / 1000000000, 0);
	vmb_guest_storage_abandon(&ch->storage->core, r->slot);
	sim_guest_storage_reset(ch);
	return false;
}

static void watch(struct sim_channel *ch)
{
	int64_t now = ch->guest->sim->now;
	struct sim_storage *s = ch->storage;
	bool stuck = s->resetting && now - s->resetting > SIM_PATIENCE_NS;

	for (uint32_t i = 0; i < SIM_SLOT_COUNT; i++)
		stuck |= give_up(ch, &s->requests[i], now);
	if (!stuck || ch->refused || !ch->open)
		return;
	sim_say(ch->guest->sim, "the guest closes device %lu, which does not answer",
		ch->device->number, 0, 0);
	ch->refused = true;
	ch->since = now;
	s->resetting = 0;
	sim_guest_wake(ch);
}

bool sim_guest_storage_idle(const struct sim_channel *ch)
{
	for (uint32_t i = 0; i < SIM_SLOT_COUNT; i++)
		if (ch->storage->requests[i].busy)
			return false;
	return true;
}

const struct sim_guest_ops sim_guest_storage_ops = { .alloc = alloc_storage,
						     .free = free_storage,
						     .prepare = prepare,
						     .begin = begin,
						     .read = read_packet,
						     .write = write_control,
						     .fail = fail_requests,
						     .watch = watch };
