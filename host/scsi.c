// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Dispatch: which unit, which command, whether it may run now; and the ways in which one ends.
 */
#include "host/scsi_internal.h"

enum command_flags {
	ATTENTION_WAITS = 1, /* runs while a unit attention waits and leaves it waiting */
	NEEDS_MEDIUM = 2,
	WRITES = 4, /* refused by a write-protected unit */
	MEDIUM_DATA = 8, /* task->data is not used: no need to clear it */
};

struct command {
	const char *name;
	uint8_t cdb_len;
	uint8_t direction; /* of the data it may move; NO_DATA: the guest's claim does not matter */
	uint8_t flags; /* enum command_flags */
	vmb_host_scsi_handler *run;
	vmb_host_scsi_handler *data; /* goes on after vmb_host_scsi_want */
};

static vmb_host_scsi_handler succeed, request_sense, send_diagnostic;

#define IN	    VMB_STOR_READ
#define OUT	    VMB_STOR_WRITE
#define NONE	    VMB_STOR_NO_DATA
#define READS	    (NEEDS_MEDIUM | MEDIUM_DATA)
#define DVD(verb)   vmb_host_scsi_dvd_##verb
#define BLOCK(verb) vmb_host_scsi_block_##verb

static const struct command disk_commands[256] = {
	[0x00] = { "TEST UNIT READY", 6, NONE, NEEDS_MEDIUM, succeed, NULL },
	[0x03] = { "REQUEST SENSE", 6, IN, ATTENTION_WAITS, request_sense, NULL },
	[0x04] = { "FORMAT UNIT", 6, NONE, NEEDS_MEDIUM | WRITES, BLOCK(format), NULL },
	[0x08] = { "READ(6)", 6, IN, READS, BLOCK(read), NULL },
	[0x0A] = { "WRITE(6)", 6, OUT, READS | WRITES, BLOCK(write), NULL },
	[0x12] = { "INQUIRY", 6, IN, ATTENTION_WAITS, vmb_host_scsi_inquiry_unit, NULL },
	[0x15] = { "MODE SELECT(6)", 6, OUT, 0, vmb_host_scsi_mode_select,
		   vmb_host_scsi_mode_select_data },
	[0x16] = { "RESERVE(6)", 6, NONE, 0, succeed, NULL },
	[0x17] = { "RELEASE(6)", 6, NONE, 0, succeed, NULL },
	[0x1A] = { "MODE SENSE(6)", 6, IN, 0, vmb_host_scsi_mode_sense, NULL },
	[0x1B] = { "START STOP UNIT", 6, NONE, 0, BLOCK(start_stop), NULL },
	[0x1D] = { "SEND DIAGNOSTIC", 6, NONE, 0, send_diagnostic, NULL },
	[0x1E] = { "PREVENT ALLOW MEDIUM REMOVAL", 6, NONE, 0, succeed, NULL },
	[0x25] = { "READ CAPACITY(10)", 10, IN, NEEDS_MEDIUM, BLOCK(capacity), NULL },
	[0x28] = { "READ(10)", 10, IN, READS, BLOCK(read), NULL },
	[0x2A] = { "WRITE(10)", 10, OUT, READS | WRITES, BLOCK(write), NULL },
	[0x2E] = { "WRITE AND VERIFY(10)", 10, OUT, READS | WRITES, BLOCK(write_verify), NULL },
	[0x2F] = { "VERIFY(10)", 10, NONE, READS, BLOCK(verify), NULL },
	[0x35] = { "SYNCHRONIZE CACHE(10)", 10, NONE, READS, BLOCK(flush), NULL },
	[0x41] = { "WRITE SAME(10)", 10, OUT, NEEDS_MEDIUM | WRITES, BLOCK(write_same),
		   BLOCK(write_same_data) },
	[0x42] = { "UNMAP", 10, OUT, NEEDS_MEDIUM | WRITES, BLOCK(unmap), BLOCK(unmap_data) },
	[0x55] = { "MODE SELECT(10)", 10, OUT, 0, vmb_host_scsi_mode_select,
		   vmb_host_scsi_mode_select_data },
	[0x5A] = { "MODE SENSE(10)", 10, IN, 0, vmb_host_scsi_mode_sense, NULL },
	[0x5E] = { "PERSISTENT RESERVE IN", 10, IN, 0, vmb_host_scsi_reserve_in, NULL },
	[0x5F] = { "PERSISTENT RESERVE OUT", 10, OUT, 0, vmb_host_scsi_reserve_out,
		   vmb_host_scsi_reserve_out_data },
	[0x88] = { "READ(16)", 16, IN, READS, BLOCK(read), NULL },
	[0x8A] = { "WRITE(16)", 16, OUT, READS | WRITES, BLOCK(write), NULL },
	[0x8E] = { "WRITE AND VERIFY(16)", 16, OUT, READS | WRITES, BLOCK(write_verify), NULL },
	[0x8F] = { "VERIFY(16)", 16, NONE, READS, BLOCK(verify), NULL },
	[0x91] = { "SYNCHRONIZE CACHE(16)", 16, NONE, READS, BLOCK(flush), NULL },
	[0x93] = { "WRITE SAME(16)", 16, OUT, NEEDS_MEDIUM | WRITES, BLOCK(write_same),
		   BLOCK(write_same_data) },
	[0x9E] = { "SERVICE ACTION IN(16)", 16, IN, NEEDS_MEDIUM, BLOCK(service_in), NULL },
	[0xA0] = { "REPORT LUNS", 12, IN, ATTENTION_WAITS, vmb_host_scsi_inquiry_luns, NULL },
	[0xA8] = { "READ(12)", 12, IN, READS, BLOCK(read), NULL },
	[0xAA] = { "WRITE(12)", 12, OUT, READS | WRITES, BLOCK(write), NULL },
	[0xAE] = { "WRITE AND VERIFY(12)", 12, OUT, READS | WRITES, BLOCK(write_verify), NULL },
	[0xAF] = { "VERIFY(12)", 12, NONE, READS, BLOCK(verify), NULL },
};

static const struct command dvd_commands[256] = {
	[0x00] = { "TEST UNIT READY", 6, NONE, NEEDS_MEDIUM, succeed, NULL },
	[0x03] = { "REQUEST SENSE", 6, IN, ATTENTION_WAITS, request_sense, NULL },
	[0x12] = { "INQUIRY", 6, IN, ATTENTION_WAITS, vmb_host_scsi_inquiry_unit, NULL },
	[0x1B] = { "START STOP UNIT", 6, NONE, 0, DVD(start_stop), NULL },
	[0x1E] = { "PREVENT ALLOW MEDIUM REMOVAL", 6, NONE, 0, DVD(prevent), NULL },
	[0x25] = { "READ CAPACITY(10)", 10, IN, NEEDS_MEDIUM, BLOCK(capacity), NULL },
	[0x28] = { "READ(10)", 10, IN, READS, BLOCK(read), NULL },
	[0x43] = { "READ TOC/PMA/ATIP", 10, IN, NEEDS_MEDIUM, DVD(toc), NULL },
	[0x46] = { "GET CONFIGURATION", 10, IN, ATTENTION_WAITS, DVD(configuration), NULL },
	[0x4A] = { "GET EVENT STATUS NOTIFICATION", 10, IN, ATTENTION_WAITS, DVD(event), NULL },
	[0x51] = { "READ DISC INFORMATION", 10, IN, NEEDS_MEDIUM, DVD(disc), NULL },
	[0x52] = { "READ TRACK INFORMATION", 10, IN, NEEDS_MEDIUM, DVD(track), NULL },
	[0x55] = { "MODE SELECT(10)", 10, OUT, 0, vmb_host_scsi_mode_select,
		   vmb_host_scsi_mode_select_data },
	[0x5A] = { "MODE SENSE(10)", 10, IN, 0, vmb_host_scsi_mode_sense, NULL },
	[0x5C] = { "READ BUFFER CAPACITY", 10, IN, 0, DVD(buffer), NULL },
	[0x88] = { "READ(16)", 16, IN, READS, BLOCK(read), NULL },
	[0xA0] = { "REPORT LUNS", 12, IN, ATTENTION_WAITS, vmb_host_scsi_inquiry_luns, NULL },
	[0xA8] = { "READ(12)", 12, IN, READS, BLOCK(read), NULL },
	[0xAC] = { "GET PERFORMANCE", 12, IN, NEEDS_MEDIUM, DVD(performance), NULL },
	[0xAD] = { "READ DISC STRUCTURE", 12, IN, NEEDS_MEDIUM, DVD(structure), NULL },
	[0xB6] = { "SET STREAMING", 12, OUT, NEEDS_MEDIUM, DVD(streaming), DVD(streaming_data) },
	[0xBD] = { "MECHANISM STATUS", 12, IN, 0, DVD(mechanism), NULL },
};

/* What an address without a unit still answers. */
static const struct command absent_commands[256] = {
	[0x12] = { "INQUIRY", 6, IN, 0, vmb_host_scsi_inquiry_absent, NULL },
	[0xA0] = { "REPORT LUNS", 12, IN, 0, vmb_host_scsi_inquiry_luns, NULL },
};

static const struct command *find_command(const struct vmb_host_scsi_lun *unit, uint8_t opcode)
{
	if (!unit)
		return &absent_commands[opcode];
	return unit->kind == VMB_HOST_SCSI_DVD ? &dvd_commands[opcode] : &disk_commands[opcode];
}

const char *vmb_host_scsi_name(enum vmb_host_scsi_kind kind, uint8_t opcode)
{
	return kind == VMB_HOST_SCSI_DVD ? dvd_commands[opcode].name : disk_commands[opcode].name;
}

void vmb_host_scsi_sense_fill(uint8_t *p, enum vmb_scsi_sense sense)
{
	memset(p, 0, VMB_SENSE_FIXED_LEN);
	p[0] = 0x70; /* current error, fixed format */
	p[2] = VMB_SENSE_KEY(sense);
	p[7] = VMB_SENSE_FIXED_LEN - 8;
	p[12] = (uint8_t)(sense >> 8);
	p[13] = (uint8_t)sense;
}

/* Ends the command without having moved anything. */
static enum vmb_host_scsi_step fail(struct vmb_host_scsi_task *task, uint8_t srb_status,
				    uint8_t scsi_status)
{
	task->srb_status = srb_status;
	task->scsi_status = scsi_status;
	task->sense_len = 0;
	task->data_len = 0;
	task->moved_len = 0;
	return VMB_HOST_SCSI_DONE;
}

enum vmb_host_scsi_step vmb_host_scsi_check(struct vmb_host_scsi_task *task,
					    enum vmb_scsi_sense sense)
{
	bool illegal = VMB_SENSE_KEY(sense) == VMB_SENSE_KEY_ILLEGAL;

	fail(task, illegal ? VMB_SRB_INVALID_REQUEST : VMB_SRB_ERROR, VMB_SCSI_CHECK_CONDITION);
	if (task->no_autosense) {
		if (task->unit)
			task->unit->kept_sense = sense;
		return VMB_HOST_SCSI_DONE;
	}
	task->srb_status |= VMB_SRB_AUTOSENSE_VALID;
	task->sense_len = VMB_SENSE_FIXED_LEN;
	vmb_host_scsi_sense_fill(task->sense, sense);
	return VMB_HOST_SCSI_DONE;
}

enum vmb_host_scsi_step vmb_host_scsi_conflict(struct vmb_host_scsi_task *task)
{
	return fail(task, VMB_SRB_ERROR, VMB_SCSI_RESERVATION_CONFLICT);
}

void vmb_host_scsi_overrun(struct vmb_host_scsi_task *task, uint32_t moved_len)
{
	task->srb_status = VMB_SRB_DATA_OVERRUN;
	task->moved_len = moved_len;
}

enum vmb_host_scsi_step vmb_host_scsi_answer(struct vmb_host_scsi_task *task, uint32_t len,
					     uint32_t allocation_len)
{
	uint32_t asked_len = vmb_min_u32(len, allocation_len);

	task->data_len = vmb_min_u32(asked_len, task->transfer_len);
	task->moved_len = task->data_len;
	if (task->data_len < asked_len)
		vmb_host_scsi_overrun(task, task->data_len);
	return VMB_HOST_SCSI_DONE;
}

enum vmb_host_scsi_step vmb_host_scsi_want(struct vmb_host_scsi_task *task, uint32_t len)
{
	if (task->transfer_len < len) {
		vmb_host_scsi_overrun(task, 0);
		return VMB_HOST_SCSI_DONE;
	}
	task->want_len = len;
	task->moved_len = len;
	return VMB_HOST_SCSI_WANT_DATA;
}

enum vmb_host_scsi_step vmb_host_scsi_backend(struct vmb_host_scsi_task *task,
					      enum vmb_host_scsi_op op)
{
	task->op = op;
	return VMB_HOST_SCSI_BACKEND;
}

static enum vmb_host_scsi_step succeed(struct vmb_host_scsi_bus *bus,
				       struct vmb_host_scsi_task *task)
{
	return VMB_HOST_SCSI_DONE;
}

static enum vmb_host_scsi_step send_diagnostic(struct vmb_host_scsi_bus *bus,
					       struct vmb_host_scsi_task *task)
{
	bool self_test = task->cdb[1] & 0x04;
	bool other = task->cdb[1] & 0xE0 || vmb_get_be16(&task->cdb[3]);

	return self_test && !other ? VMB_HOST_SCSI_DONE :
				     vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
}

/* The order in which they are told, most severe first. */
static const struct {
	uint32_t bit;
	enum vmb_scsi_sense sense;
} attentions[] = {
	{ VMB_HOST_SCSI_BUS_RESET, VMB_SENSE_RESET },
	{ VMB_HOST_SCSI_MEDIUM_CHANGED, VMB_SENSE_MEDIUM_CHANGED },
	{ VMB_HOST_SCSI_CAPACITY_CHANGED, VMB_SENSE_CAPACITY_CHANGED },
	{ VMB_HOST_SCSI_LUNS_CHANGED, VMB_SENSE_LUNS_CHANGED },
};

static enum vmb_scsi_sense take_attention(struct vmb_host_scsi_lun *unit)
{
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(attentions); i++) {
		if (!(unit->attention & attentions[i].bit))
			continue;
		unit->attention &= ~attentions[i].bit;
		return attentions[i].sense;
	}
	unit->attention = 0;
	return VMB_SENSE_NONE;
}

static enum vmb_host_scsi_step request_sense(struct vmb_host_scsi_bus *bus,
					     struct vmb_host_scsi_task *task)
{
	uint32_t sense = task->unit->kept_sense;

	if (task->cdb[1] & 0x01) /* descriptor format */
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	task->unit->kept_sense = VMB_SENSE_NONE;
	if (!sense)
		sense = take_attention(task->unit);
	vmb_host_scsi_sense_fill(task->data, (enum vmb_scsi_sense)sense);
	return vmb_host_scsi_answer(task, VMB_SENSE_FIXED_LEN, task->cdb[4]);
}

static enum vmb_scsi_sense no_medium(const struct vmb_host_scsi_lun *unit)
{
	if (unit->kind != VMB_HOST_SCSI_DVD)
		return VMB_SENSE_NO_MEDIUM;
	return unit->tray_open ? VMB_SENSE_NO_MEDIUM_TRAY_OPEN : VMB_SENSE_NO_MEDIUM_TRAY_CLOSED;
}

/* Why the command may not run now; VMB_SENSE_NONE = it may. */
static enum vmb_scsi_sense obstacle(const struct command *command, struct vmb_host_scsi_lun *unit)
{
	enum vmb_scsi_sense sense = VMB_SENSE_NONE;

	if (!(command->flags & ATTENTION_WAITS))
		sense = take_attention(unit);
	if (sense)
		return sense;
	if (command->flags & NEEDS_MEDIUM && !vmb_host_scsi_medium_present(unit))
		return no_medium(unit);
	if (command->flags & WRITES && unit->read_only)
		return VMB_SENSE_WRITE_PROTECTED;
	return VMB_SENSE_NONE;
}

static bool address_exists(const struct vmb_host_scsi_task *task)
{
	return task->path_id == 0 && task->target_id == 0 && task->lun < VMB_HOST_SCSI_LUN_MAX;
}

static bool cdb_len_valid(uint8_t len)
{
	return len == 6 || len == 10 || len == 12 || len == 16;
}

static void begin(struct vmb_host_scsi_bus *bus, struct vmb_host_scsi_task *task)
{
	task->unit = address_exists(task) ? bus->luns[task->lun] : NULL;
	task->op = VMB_HOST_SCSI_READ;
	task->fua = false;
	task->may_unmap = false;
	task->offset = 0;
	task->len = 0;
	task->extent_count = 0;
	task->want_len = 0;
	memset(task->sense, 0, sizeof(task->sense));
	fail(task, VMB_SRB_SUCCESS, VMB_SCSI_GOOD);
	if (task->unit && task->cdb[0] != VMB_SCSI_REQUEST_SENSE)
		task->unit->kept_sense = VMB_SENSE_NONE;
}

static enum vmb_host_scsi_step run(struct vmb_host_scsi_bus *bus, struct vmb_host_scsi_task *task)
{
	const struct command *command = find_command(task->unit, task->cdb[0]);
	enum vmb_scsi_sense sense;

	if (!cdb_len_valid(task->cdb_len))
		return fail(task, VMB_SRB_INVALID_REQUEST, VMB_SCSI_GOOD);
	if (!command->run && !task->unit)
		return fail(task, VMB_SRB_INVALID_LUN, VMB_SCSI_GOOD);
	if (!command->run)
		return vmb_host_scsi_check(task, VMB_SENSE_OPCODE);
	if (task->cdb_len < command->cdb_len)
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	if (command->direction != NONE && task->transfer_len > 0 &&
	    task->direction != command->direction)
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	sense = task->unit ? obstacle(command, task->unit) : VMB_SENSE_NONE;
	if (sense)
		return vmb_host_scsi_check(task, sense);
	if (!(command->flags & MEDIUM_DATA))
		memset(task->data, 0, sizeof(task->data));
	return command->run(bus, task);
}

/*
 * Linux takes these two for successful whatever their status and parses its buffer: what it finds
 * there must be zeros, not what some earlier command left.
 */
static void clear_parsed_answer(struct vmb_host_scsi_task *task)
{
	uint8_t opcode = task->cdb[0];

	if (opcode != VMB_SCSI_INQUIRY && opcode != VMB_SCSI_MODE_SENSE_6)
		return;
	if (task->direction != VMB_STOR_READ)
		return;
	memset(task->data, 0, sizeof(task->data));
	task->data_len = vmb_min_u32(task->transfer_len, sizeof(task->data));
}

enum vmb_host_scsi_step vmb_host_scsi_execute(struct vmb_host_scsi_bus *bus,
					      struct vmb_host_scsi_task *task)
{
	enum vmb_host_scsi_step step;

	begin(bus, task);
	step = run(bus, task);
	if (step == VMB_HOST_SCSI_DONE && task->srb_status != VMB_SRB_SUCCESS &&
	    task->srb_status != VMB_SRB_DATA_OVERRUN)
		clear_parsed_answer(task);
	return step;
}

void vmb_host_scsi_reset(struct vmb_host_scsi_lun *unit)
{
	unit->reset_count++;
	unit->attention |= VMB_HOST_SCSI_BUS_RESET;
	unit->kept_sense = VMB_SENSE_NONE;
	unit->removal_prevented = false;
}

void vmb_host_scsi_changed(struct vmb_host_scsi_lun *unit)
{
	if (unit->kind != VMB_HOST_SCSI_DVD) {
		unit->attention |= VMB_HOST_SCSI_CAPACITY_CHANGED;
		return;
	}
	unit->tray_open = false;
	if (vmb_host_scsi_medium_present(unit)) {
		unit->attention |= VMB_HOST_SCSI_MEDIUM_CHANGED;
		unit->media_event = VMB_SCSI_EVENT_NEW_MEDIUM;
	} else {
		unit->media_event = VMB_SCSI_EVENT_MEDIUM_REMOVED;
	}
}

enum vmb_host_scsi_step vmb_host_scsi_data(struct vmb_host_scsi_bus *bus,
					   struct vmb_host_scsi_task *task)
{
	return find_command(task->unit, task->cdb[0])->data(bus, task);
}

void vmb_host_scsi_done(struct vmb_host_scsi_task *task, enum vmb_host_scsi_error error)
{
	bool reading = task->op == VMB_HOST_SCSI_READ;
	bool lost = error == VMB_HOST_SCSI_IO_ERROR || error == VMB_HOST_SCSI_NO_SPACE;

	if (task->op == VMB_HOST_SCSI_FLUSH && lost)
		task->unit->flush_failed = true;
	switch (error) {
	case VMB_HOST_SCSI_OK: break;
	case VMB_HOST_SCSI_NO_SPACE: vmb_host_scsi_check(task, VMB_SENSE_SPACE); break;
	case VMB_HOST_SCSI_GONE: vmb_host_scsi_check(task, VMB_SENSE_NOT_READY); break;
	case VMB_HOST_SCSI_ABORTED: fail(task, VMB_SRB_ABORTED, VMB_SCSI_GOOD); break;
	default:
		vmb_host_scsi_check(task, reading ? VMB_SENSE_READ_ERROR : VMB_SENSE_WRITE_ERROR);
		break;
	}
}
