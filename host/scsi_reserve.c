// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Persistent reservations as seen by the only initiator that a controller has: it can register a
 * key, reserve, preempt itself, and ask. A reservation never keeps anybody out, since there is
 * nobody else; conflicts come from wrong keys. They don't outlive the host's process, and are
 * reported so.
 * Source: docs/protocol/storage.md, "12.7 PERSISTENT RESERVE"; SPC-3 5.6, 6.11 and 6.12.
 */
#include "host/scsi_internal.h"

#define PARAMETER_LEN 24u

enum reservation_type {
	WRITE_EXCLUSIVE = 1,
	EXCLUSIVE_ACCESS = 3,
	WRITE_EXCLUSIVE_REGISTRANTS = 5,
	EXCLUSIVE_ACCESS_REGISTRANTS = 6,
	WRITE_EXCLUSIVE_ALL = 7,
	EXCLUSIVE_ACCESS_ALL = 8,
};

#define TYPE_BIT(type) (1u << (type))
#define TYPES_ALL      (TYPE_BIT(WRITE_EXCLUSIVE_ALL) | TYPE_BIT(EXCLUSIVE_ACCESS_ALL))
#define TYPES                                                                             \
	(TYPE_BIT(WRITE_EXCLUSIVE) | TYPE_BIT(EXCLUSIVE_ACCESS) |                         \
	 TYPE_BIT(WRITE_EXCLUSIVE_REGISTRANTS) | TYPE_BIT(EXCLUSIVE_ACCESS_REGISTRANTS) | \
	 TYPES_ALL)

/* What PERSISTENT RESERVE OUT was given. */
struct order {
	uint64_t key;
	uint64_t action_key;
	uint8_t type;
};

typedef enum vmb_host_scsi_step order_run(struct vmb_host_scsi_task *task,
					  struct vmb_host_scsi_lun *unit,
					  const struct order *order);

static bool held_by_all(const struct vmb_host_scsi_lun *unit)
{
	return unit->reserved && TYPE_BIT(unit->reservation_type) & TYPES_ALL;
}

static void unregister(struct vmb_host_scsi_lun *unit)
{
	unit->registered = false;
	unit->reserved = false;
	unit->reservation_key = 0;
	unit->reservation_type = 0;
}

/* Sets the key; key 0 unregisters. */
static enum vmb_host_scsi_step set_key(struct vmb_host_scsi_lun *unit, uint64_t key)
{
	unit->reservation_generation++;
	if (key == 0) {
		unregister(unit);
	} else {
		unit->registered = true;
		unit->reservation_key = key;
	}
	return VMB_HOST_SCSI_DONE;
}

static bool key_matches(const struct vmb_host_scsi_lun *unit, const struct order *order)
{
	return unit->registered && unit->reservation_key == order->key;
}

static enum vmb_host_scsi_step run_register(struct vmb_host_scsi_task *task,
					    struct vmb_host_scsi_lun *unit,
					    const struct order *order)
{
	uint64_t expected = unit->registered ? unit->reservation_key : 0;

	if (order->key != expected)
		return vmb_host_scsi_conflict(task);
	return set_key(unit, order->action_key);
}

static enum vmb_host_scsi_step run_register_ignore(struct vmb_host_scsi_task *task,
						   struct vmb_host_scsi_lun *unit,
						   const struct order *order)
{
	return set_key(unit, order->action_key);
}

static enum vmb_host_scsi_step run_reserve(struct vmb_host_scsi_task *task,
					   struct vmb_host_scsi_lun *unit,
					   const struct order *order)
{
	if (!key_matches(unit, order) || (unit->reserved && unit->reservation_type != order->type))
		return vmb_host_scsi_conflict(task);
	unit->reserved = true;
	unit->reservation_type = order->type;
	return VMB_HOST_SCSI_DONE;
}

static enum vmb_host_scsi_step run_release(struct vmb_host_scsi_task *task,
					   struct vmb_host_scsi_lun *unit,
					   const struct order *order)
{
	if (!key_matches(unit, order))
		return vmb_host_scsi_conflict(task);
	if (!unit->reserved)
		return VMB_HOST_SCSI_DONE;
	if (unit->reservation_type != order->type)
		return vmb_host_scsi_check(task, VMB_SENSE_RELEASE);
	unit->reserved = false;
	unit->reservation_type = 0;
	return VMB_HOST_SCSI_DONE;
}

static enum vmb_host_scsi_step run_clear(struct vmb_host_scsi_task *task,
					 struct vmb_host_scsi_lun *unit, const struct order *order)
{
	if (!key_matches(unit, order))
		return vmb_host_scsi_conflict(task);
	return set_key(unit, 0);
}

/*
 * The only registration that can be preempted is the initiator's own. Where it holds the
 * reservation, it holds one of the new type afterwards; where there is none, its registration goes.
 */
static enum vmb_host_scsi_step run_preempt(struct vmb_host_scsi_task *task,
					   struct vmb_host_scsi_lun *unit,
					   const struct order *order)
{
	bool everybody = held_by_all(unit) && order->action_key == 0;

	if (!key_matches(unit, order))
		return vmb_host_scsi_conflict(task);
	if (order->action_key == 0 && !everybody)
		return vmb_host_scsi_check(task, VMB_SENSE_PARAMETER);
	if (order->action_key != unit->reservation_key && !everybody)
		return vmb_host_scsi_conflict(task);
	if (!unit->reserved)
		return set_key(unit, 0);
	unit->reservation_generation++;
	unit->reservation_type = order->type;
	return VMB_HOST_SCSI_DONE;
}

static const struct {
	order_run *run; /* NULL: not for a single initiator */
	bool typed; /* scope and type of the CDB count */
} orders[] = {
	[0x00] = { run_register, false },
	[0x01] = { run_reserve, true },
	[0x02] = { run_release, true },
	[0x03] = { run_clear, false },
	[0x04] = { run_preempt, true },
	[0x05] = { run_preempt, true }, /* and abort: nothing of anybody else is under way */
	[0x06] = { run_register_ignore, false },
};

static bool order_valid(const uint8_t *cdb)
{
	uint8_t action = cdb[1] & 0x1F, scope = cdb[2] >> 4, type = cdb[2] & 0x0F;

	if (action >= VMB_ARRAY_COUNT(orders) || !orders[action].run)
		return false;
	return !orders[action].typed || (scope == 0 && TYPE_BIT(type) & TYPES);
}

enum vmb_host_scsi_step vmb_host_scsi_reserve_out(struct vmb_host_scsi_bus *bus,
						  struct vmb_host_scsi_task *task)
{
	if (!order_valid(task->cdb))
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	if (vmb_get_be32(&task->cdb[5]) != PARAMETER_LEN)
		return vmb_host_scsi_check(task, VMB_SENSE_PARAMETER_LEN);
	return vmb_host_scsi_want(task, PARAMETER_LEN);
}

enum vmb_host_scsi_step vmb_host_scsi_reserve_out_data(struct vmb_host_scsi_bus *bus,
						       struct vmb_host_scsi_task *task)
{
	struct order order = {
		.key = vmb_get_be64(task->data),
		.action_key = vmb_get_be64(task->data + 8),
		.type = task->cdb[2] & 0x0F,
	};

	if (task->data[20] & 0x0D) /* other initiators, other ports, keep through power loss */
		return vmb_host_scsi_check(task, VMB_SENSE_PARAMETER);
	return orders[task->cdb[1] & 0x1F].run(task, task->unit, &order);
}

static uint32_t fill_keys(const struct vmb_host_scsi_lun *unit, uint8_t *p)
{
	vmb_put_be32(p, unit->reservation_generation);
	if (!unit->registered)
		return 8;
	vmb_put_be32(p + 4, 8);
	vmb_put_be64(p + 8, unit->reservation_key);
	return 16;
}

static uint32_t fill_reservation(const struct vmb_host_scsi_lun *unit, uint8_t *p)
{
	vmb_put_be32(p, unit->reservation_generation);
	if (!unit->reserved)
		return 8;
	vmb_put_be32(p + 4, 16);
	if (!held_by_all(unit))
		vmb_put_be64(p + 8, unit->reservation_key);
	p[21] = unit->reservation_type;
	return 24;
}

static uint32_t fill_capabilities(const struct vmb_host_scsi_lun *unit, uint8_t *p)
{
	vmb_put_be16(p, 8);
	p[3] = 0x80; /* the type mask is valid */
	p[4] = TYPES & 0xFF;
	p[5] = TYPES >> 8;
	return 8;
}

/* The transport has no protocol identifier of its own: 0Fh, no specific one. */
static uint32_t fill_full_status(const struct vmb_host_scsi_lun *unit, uint8_t *p)
{
	vmb_put_be32(p, unit->reservation_generation);
	if (!unit->registered)
		return 8;
	vmb_put_be32(p + 4, 48);
	vmb_put_be64(p + 8, unit->reservation_key);
	p[20] = unit->reserved; /* holder */
	p[21] = unit->reservation_type;
	vmb_put_be16(p + 26, 1); /* relative target port */
	vmb_put_be32(p + 28, 24);
	p[32] = 0x0F;
	return 56;
}

enum vmb_host_scsi_step vmb_host_scsi_reserve_in(struct vmb_host_scsi_bus *bus,
						 struct vmb_host_scsi_task *task)
{
	static uint32_t (*const fills[])(const struct vmb_host_scsi_lun *unit,
					 uint8_t *p) = { fill_keys, fill_reservation,
							 fill_capabilities, fill_full_status };
	uint8_t action = task->cdb[1] & 0x1F;

	if (action >= VMB_ARRAY_COUNT(fills))
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	return vmb_host_scsi_answer(task, fills[action](task->unit, task->data),
				    vmb_get_be16(&task->cdb[7]));
}
