// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Commands that move or measure blocks. Every range is checked before anything happens, by
 * comparisons that cannot overflow. Source: docs/protocol/storage.md, "12.2 Disk commands",
 * "12.4 READ CAPACITY", "12.6 UNMAP"; SBC-3 section 5.
 */
#include "host/scsi_internal.h"

struct range { /* blocks */
	uint64_t lba;
	uint64_t count;
};

#define UNMAP_HEADER_LEN     8u
#define UNMAP_DESCRIPTOR_LEN 16u
#define UNMAP_BLOCK_MAX	     0xFFFFFFFFu /* blocks a command, as VPD B0 says */

/* The group code in the upper three bits of an opcode says how the CDB is laid out. */
static struct range parse_range(const uint8_t *cdb)
{
	switch (cdb[0] >> 5) {
	case 0: return (struct range){ vmb_get_be24(&cdb[1]) & 0x1FFFFF, cdb[4] ? cdb[4] : 256 };
	case 4: return (struct range){ vmb_get_be64(&cdb[2]), vmb_get_be32(&cdb[10]) };
	case 5: return (struct range){ vmb_get_be32(&cdb[2]), vmb_get_be32(&cdb[6]) };
	default: return (struct range){ vmb_get_be32(&cdb[2]), vmb_get_be16(&cdb[7]) };
	}
}

static bool range_exists(const struct vmb_host_scsi_lun *unit, struct range range)
{
	return range.lba <= unit->block_count && range.count <= unit->block_count - range.lba;
}

static void set_range(struct vmb_host_scsi_task *task, struct range range)
{
	task->offset = range.lba * task->unit->block_len;
	task->len = range.count * task->unit->block_len;
}

/* Bits of CDB byte 1 from READ(10) on; the 6-byte form has address bits there. */
static uint8_t option_bits(const uint8_t *cdb)
{
	return cdb[0] >> 5 == 0 ? 0 : cdb[1];
}

/* What reads and writes have in common. VMB_SENSE_NONE: task->offset and task->len are set. */
static enum vmb_scsi_sense prepare(const struct vmb_host_scsi_bus *bus,
				   struct vmb_host_scsi_task *task)
{
	struct range range = parse_range(task->cdb);
	uint8_t options = option_bits(task->cdb);

	if (options & 0xE0) /* protection information */
		return VMB_SENSE_CDB_FIELD;
	if (!range_exists(task->unit, range))
		return VMB_SENSE_LBA;
	set_range(task, range);
	if (task->len > bus->max_transfer_len)
		return VMB_SENSE_CDB_FIELD;
	task->fua = options & 0x08;
	task->moved_len = (uint32_t)task->len;
	return VMB_SENSE_NONE;
}

/* A buffer that is too short gets the whole blocks that fit. */
enum vmb_host_scsi_step vmb_host_scsi_block_read(struct vmb_host_scsi_bus *bus,
						 struct vmb_host_scsi_task *task)
{
	enum vmb_scsi_sense sense = prepare(bus, task);

	if (sense)
		return vmb_host_scsi_check(task, sense);
	if (task->len > task->transfer_len) {
		task->len = task->transfer_len - task->transfer_len % task->unit->block_len;
		vmb_host_scsi_overrun(task, (uint32_t)task->len);
	}
	if (task->len == 0)
		return VMB_HOST_SCSI_DONE;
	return vmb_host_scsi_backend(task, VMB_HOST_SCSI_READ);
}

/* A buffer that is too short writes nothing: half a record on the medium helps nobody. */
enum vmb_host_scsi_step vmb_host_scsi_block_write(struct vmb_host_scsi_bus *bus,
						  struct vmb_host_scsi_task *task)
{
	enum vmb_scsi_sense sense = prepare(bus, task);

	if (sense)
		return vmb_host_scsi_check(task, sense);
	if (task->len > task->transfer_len) {
		vmb_host_scsi_overrun(task, 0);
		return VMB_HOST_SCSI_DONE;
	}
	if (task->len == 0)
		return VMB_HOST_SCSI_DONE;
	return vmb_host_scsi_backend(task, VMB_HOST_SCSI_WRITE);
}

/* Verifying what a cache holds would prove nothing: the write goes through to the medium. */
enum vmb_host_scsi_step vmb_host_scsi_block_write_verify(struct vmb_host_scsi_bus *bus,
							 struct vmb_host_scsi_task *task)
{
	enum vmb_host_scsi_step step;

	if (task->cdb[1] & 0x04) /* BYTCHK values 10b and 11b */
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	step = vmb_host_scsi_block_write(bus, task);
	if (step == VMB_HOST_SCSI_BACKEND)
		task->fua = true;
	return step;
}

/* Without byte check: are the blocks there? */
enum vmb_host_scsi_step vmb_host_scsi_block_verify(struct vmb_host_scsi_bus *bus,
						   struct vmb_host_scsi_task *task)
{
	if (task->cdb[1] & 0xE6)
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	if (!range_exists(task->unit, parse_range(task->cdb)))
		return vmb_host_scsi_check(task, VMB_SENSE_LBA);
	return VMB_HOST_SCSI_DONE;
}

/*
 * Operating systems forget what they could not write once they have said so (an fsync after a
 * failed one succeeds), and then no later flush may promise that all is durable.
 */
static enum vmb_host_scsi_step flush(struct vmb_host_scsi_task *task)
{
	if (task->unit->flush_failed)
		return vmb_host_scsi_check(task, VMB_SENSE_WRITE_ERROR);
	return vmb_host_scsi_backend(task, VMB_HOST_SCSI_FLUSH);
}

/* The range is checked and then exceeded: all of the cache goes out. */
enum vmb_host_scsi_step vmb_host_scsi_block_flush(struct vmb_host_scsi_bus *bus,
						  struct vmb_host_scsi_task *task)
{
	if (!range_exists(task->unit, parse_range(task->cdb)))
		return vmb_host_scsi_check(task, VMB_SENSE_LBA);
	return flush(task);
}

enum write_same_bits { WRITE_SAME_NDOB = 0x01, WRITE_SAME_UNMAP = 0x08, WRITE_SAME_REFUSED = 0xF6 };

static bool write_same_valid(const struct vmb_host_scsi_bus *bus,
			     const struct vmb_host_scsi_task *task, uint64_t block_count)
{
	uint8_t options = task->cdb[1];

	if (options & WRITE_SAME_REFUSED) /* protection, anchor, the obsolete address patterns */
		return false;
	if (options & WRITE_SAME_NDOB && task->cdb[0] != 0x93)
		return false;
	if (options & WRITE_SAME_UNMAP && !task->unit->can_unmap)
		return false;
	return block_count > 0 &&
	       block_count <= vmb_host_scsi_write_same_max(bus) / task->unit->block_len;
}

enum vmb_host_scsi_step vmb_host_scsi_block_write_same(struct vmb_host_scsi_bus *bus,
						       struct vmb_host_scsi_task *task)
{
	struct range range = parse_range(task->cdb);

	if (!range_exists(task->unit, range))
		return vmb_host_scsi_check(task, VMB_SENSE_LBA);
	if (!write_same_valid(bus, task, range.count))
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	set_range(task, range);
	task->may_unmap = task->cdb[1] & WRITE_SAME_UNMAP;
	if (task->cdb[1] & WRITE_SAME_NDOB)
		return vmb_host_scsi_backend(task, VMB_HOST_SCSI_WRITE_ZEROES);
	return vmb_host_scsi_want(task, task->unit->block_len);
}

static bool all_zero(const uint8_t *p, uint32_t len)
{
	/* Equal to itself shifted by one, and the first is zero. */
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

enum vmb_host_scsi_step vmb_host_scsi_block_write_same_data(struct vmb_host_scsi_bus *bus,
							    struct vmb_host_scsi_task *task)
{
	if (all_zero(task->data, task->want_len))
		return vmb_host_scsi_backend(task, VMB_HOST_SCSI_WRITE_ZEROES);
	task->may_unmap = false; /* what is given back does not read as this pattern */
	return vmb_host_scsi_backend(task, VMB_HOST_SCSI_WRITE_SAME);
}

enum vmb_host_scsi_step vmb_host_scsi_block_unmap(struct vmb_host_scsi_bus *bus,
						  struct vmb_host_scsi_task *task)
{
	uint32_t len = vmb_get_be16(&task->cdb[7]);

	if (!task->unit->can_unmap)
		return vmb_host_scsi_check(task, VMB_SENSE_OPCODE);
	if (task->cdb[1] & 0x01) /* anchor */
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	if (len == 0)
		return VMB_HOST_SCSI_DONE;
	if (len < UNMAP_HEADER_LEN || len > VMB_HOST_SCSI_DATA_MAX)
		return vmb_host_scsi_check(task, VMB_SENSE_PARAMETER_LEN);
	return vmb_host_scsi_want(task, len);
}

_Static_assert((VMB_HOST_SCSI_DATA_MAX - UNMAP_HEADER_LEN) / UNMAP_DESCRIPTOR_LEN <=
		       VMB_HOST_SCSI_EXTENT_MAX,
	       "a list that can be fetched has more descriptors than there are extents");

/* All descriptors become extents, or none does. Empty ones are left out. */
static enum vmb_scsi_sense parse_extents(struct vmb_host_scsi_task *task, uint32_t count)
{
	const uint8_t *p = task->data + UNMAP_HEADER_LEN;
	uint64_t total = 0;
	uint32_t i;

	for (i = 0; i < count; i++, p += UNMAP_DESCRIPTOR_LEN) {
		struct range range = { vmb_get_be64(p), vmb_get_be32(p + 8) };

		if (!range_exists(task->unit, range))
			return VMB_SENSE_LBA;
		total += range.count;
		if (range.count == 0)
			continue;
		set_range(task, range);
		task->extents[task->extent_count].offset = task->offset;
		task->extents[task->extent_count++].len = task->len;
	}
	return total > UNMAP_BLOCK_MAX ? VMB_SENSE_PARAMETER : VMB_SENSE_NONE;
}

enum vmb_host_scsi_step vmb_host_scsi_block_unmap_data(struct vmb_host_scsi_bus *bus,
						       struct vmb_host_scsi_task *task)
{
	uint32_t descriptors_len = task->want_len - UNMAP_HEADER_LEN;
	enum vmb_scsi_sense sense;

	if (vmb_get_be16(task->data) != task->want_len - 2 ||
	    vmb_get_be16(task->data + 2) != descriptors_len ||
	    descriptors_len % UNMAP_DESCRIPTOR_LEN)
		return vmb_host_scsi_check(task, VMB_SENSE_PARAMETER);
	sense = parse_extents(task, descriptors_len / UNMAP_DESCRIPTOR_LEN);
	task->offset = 0;
	task->len = 0;
	if (sense) {
		task->extent_count = 0;
		return vmb_host_scsi_check(task, sense);
	}
	if (task->extent_count == 0)
		return VMB_HOST_SCSI_DONE;
	return vmb_host_scsi_backend(task, VMB_HOST_SCSI_UNMAP);
}

enum vmb_host_scsi_step vmb_host_scsi_block_capacity(struct vmb_host_scsi_bus *bus,
						     struct vmb_host_scsi_task *task)
{
	uint64_t last = task->unit->block_count - 1;

	vmb_put_be32(task->data, last > 0xFFFFFFFF ? 0xFFFFFFFF : (uint32_t)last);
	vmb_put_be32(task->data + 4, task->unit->block_len);
	return vmb_host_scsi_answer(task, 8, 8);
}

static uint8_t log2_of(uint32_t value)
{
	uint8_t log = 0;

	while (value >>= 1)
		log++;
	return log;
}

/* Service action 0 is how guests of 2009 ask for the same; their CDB says no allocation length. */
enum vmb_host_scsi_step vmb_host_scsi_block_service_in(struct vmb_host_scsi_bus *bus,
						       struct vmb_host_scsi_task *task)
{
	const struct vmb_host_scsi_lun *unit = task->unit;
	uint8_t action = task->cdb[1] & 0x1F;
	uint32_t allocation_len = vmb_get_be32(&task->cdb[10]);
	uint8_t *p = task->data;

	if (action != 0x10 && action != 0x00)
		return vmb_host_scsi_check(task, VMB_SENSE_OPCODE);
	if (action == 0x00)
		allocation_len = task->transfer_len;
	vmb_put_be64(p, unit->block_count - 1);
	vmb_put_be32(p + 8, unit->block_len);
	p[13] = log2_of(unit->physical_block_len / unit->block_len);
	if (unit->can_unmap)
		p[14] = unit->zero_after_unmap ? 0xC0 : 0x80;
	return vmb_host_scsi_answer(task, 32, allocation_len);
}

/* A disk has nothing to spin; stopping it means that its cache is on the medium. */
enum vmb_host_scsi_step vmb_host_scsi_block_start_stop(struct vmb_host_scsi_bus *bus,
						       struct vmb_host_scsi_task *task)
{
	bool start = task->cdb[4] & 0x01;
	bool eject = task->cdb[4] & 0x02;
	bool no_flush = task->cdb[4] & 0x04;

	if (task->cdb[4] & 0xF0 || eject)
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	if (start || no_flush)
		return VMB_HOST_SCSI_DONE;
	return flush(task);
}

/* The medium is formatted already. */
enum vmb_host_scsi_step vmb_host_scsi_block_format(struct vmb_host_scsi_bus *bus,
						   struct vmb_host_scsi_task *task)
{
	if (task->cdb[1] & 0xC0) /* with protection information */
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	return VMB_HOST_SCSI_DONE;
}
