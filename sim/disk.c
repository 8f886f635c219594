// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The checker of disks. It knows for every block which writes it may hold, and for every promise of
 * a flush whether the file was brought to the medium in time. It sees requests at the guest's end
 * and operations at the file, and nothing of what is between them.
 */
#include <string.h>

#include "sim/sim.h"

static uint64_t word_of(uint64_t stamp, uint32_t block, uint32_t i)
{
	if (!stamp)
		return 0;
	return i ? sim_mix(stamp * 0x100000001B3ull + block * 64 + i) : stamp;
}

void sim_disk_fill(uint8_t *bytes, uint32_t first, uint32_t count, uint64_t stamp)
{
	uint64_t word;

	for (uint32_t b = first; b < first + count; b++)
		for (uint32_t i = 0; i < SIM_BLOCK_LEN / 8; i++, bytes += 8) {
			word = word_of(stamp, b, i);
			memcpy(bytes, &word, 8);
		}
}

static bool holds(const uint8_t *bytes, uint32_t block, uint64_t stamp)
{
	uint64_t word;

	for (uint32_t i = 0; i < SIM_BLOCK_LEN / 8; i++) {
		memcpy(&word, bytes + 8 * i, 8);
		if (word != word_of(stamp, block, i))
			return false;
	}
	return true;
}

static bool may_begin(const struct sim_block *b, enum sim_operation op)
{
	if (b->writing || (sim_writes(op) && b->users))
		return false;
	return !sim_writes(op) || b->stamp_count < SIM_STAMP_MAX;
}

bool sim_disk_begin(struct sim_disk *disk, enum sim_operation op, uint32_t first, uint32_t count,
		    uint64_t stamp)
{
	struct sim_block *b = disk->blocks + first;

	for (uint32_t i = 0; i < count; i++)
		if (!may_begin(&b[i], op))
			return false;
	for (uint32_t i = 0; i < count; i++) {
		b[i].users++;
		b[i].writing = sim_writes(op);
		if (sim_writes(op))
			b[i].stamps[b[i].stamp_count++] = stamp;
	}
	return true;
}

static void check_read(struct sim *sim, const struct sim_disk *disk, uint32_t block,
		       const uint8_t *bytes)
{
	const struct sim_block *b = &disk->blocks[block];
	uint64_t found;

	for (uint32_t i = 0; i < b->stamp_count; i++)
		if (holds(bytes, block, b->stamps[i]))
			return;
	memcpy(&found, bytes, sizeof(found));
	sim_fail(sim,
		 found > sim->world.requests ?
			 "WRONG DATA: block %lu reads as junk (%lx); the last acknowledged write "
			 "is %lu" :
			 "WRONG DATA: block %lu reads as write %lu; the last acknowledged one is "
			 "%lu",
		 block, found, b->stamps[0]);
}

/* Acknowledged before the flush began, and not on the medium when it ended. */
static void check_flush(struct sim *sim, const struct sim_disk *disk, uint64_t began)
{
	const struct sim_block *b = disk->blocks;

	for (uint32_t i = 0; i < disk->block_count; i++)
		if (b[i].acknowledged && b[i].acknowledged <= began && b[i].filed <= began &&
		    b[i].filed > disk->synced)
			sim_fail(sim,
				 "BROKEN PROMISE: a flush ended, and block %lu is not on the "
				 "medium",
				 i, 0, 0);
}

static void end_write(struct sim *sim, struct sim_disk *disk, struct sim_block *b,
		      enum sim_operation op, uint64_t stamp)
{
	b->stamps[0] = stamp;
	b->stamp_count = 1;
	b->acknowledged = disk->clock;
	if (op == SIM_WRITE_FUA && b->filed > disk->synced)
		sim_fail(sim,
			 "BROKEN PROMISE: a forced write ended, and block %lu is not on the "
			 "medium",
			 (unsigned long)(b - disk->blocks), 0, 0);
}

void sim_disk_end(struct sim *sim, struct sim_disk *disk, enum sim_operation op, uint32_t first,
		  uint32_t count, uint64_t stamp, bool good, uint64_t began, const uint8_t *bytes)
{
	struct sim_block *b = disk->blocks + first;

	disk->clock++;
	for (uint32_t i = 0; i < count; i++) {
		b[i].users--;
		b[i].writing = false;
		if (good && op == SIM_READ)
			check_read(sim, disk, first + i, bytes + (size_t)i * SIM_BLOCK_LEN);
		else if (good && sim_writes(op))
			end_write(sim, disk, &b[i], op, stamp);
	}
	if (good && op == SIM_FLUSH)
		check_flush(sim, disk, began);
}

void sim_disk_filed(struct sim_disk *disk, uint64_t offset, uint64_t len)
{
	uint64_t first = offset / SIM_BLOCK_LEN, end = (offset + len) / SIM_BLOCK_LEN;

	disk->clock++;
	for (; first < end && first < SIM_BLOCK_MAX; first++)
		disk->blocks[first].filed = disk->clock;
}

void sim_disk_synced(struct sim_disk *disk)
{
	disk->synced = disk->clock;
}
