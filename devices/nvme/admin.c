// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The admin commands of an NVMe controller: what it is, its queues, its features and its events. */
#include <stdio.h>

#include "devices/nvme/internal.h"

#define MODEL	     "OpenVMBus NVMe disk"
#define FIRMWARE     "1"
#define KELVIN	     273u
#define NAMESPACE    1u
#define ALL	     UINT32_MAX
#define CONTIGUOUS   1u
#define INTERRUPTS   2u
#define LOG_ERRORS   1u
#define LOG_HEALTH   2u
#define LOG_FIRMWARE 3u

/* The space behind a text of that kind is blanks. */
static void set_text(char *field, size_t len, const char *text)
{
	size_t i = 0;

	for (; i < len && text[i]; i++)
		field[i] = text[i];
	memset(field + i, ' ', len - i);
}

static bool can_deallocate(const struct vmb_dev_nvme *n)
{
	return n->disk.can_unmap && !n->disk.option->no_discard;
}

/* Identify */

static void identify_controller(const struct vmb_dev_nvme *n, void *data)
{
	const struct vmb_pci_description *pci = &n->function.config.description;
	struct vmb_nvme_controller_data c = {
		.vendor_id = pci->vendor_id,
		.subsystem_vendor_id = pci->subsystem_vendor_id,
		.transfer_max = NVME_TRANSFER_MAX,
		.controller_id = (uint16_t)n->number,
		.version = VMB_NVME_VERSION,
		.aborts_max = 3,
		.events_max = NVME_EVENT_MAX - 1,
		.firmware_slots = 1u << 1 | 1, /* one, which cannot be written */
		.warning_kelvin = KELVIN + 70,
		.critical_kelvin = KELVIN + 80,
		.sq_entry = 0x66,
		.cq_entry = 0x44,
		.namespaces = 1,
		.optional_io = VMB_NVME_HAS_WRITE_ZEROES,
		.write_cache = 1,
	};
	char serial[sizeof(c.serial) + 1];

	snprintf(serial, sizeof(serial), "openvmbus-%.8s", n->name);
	set_text(c.serial, sizeof(c.serial),
		 n->disk.option->serial ? n->disk.option->serial : serial);
	set_text(c.model, sizeof(c.model), MODEL);
	set_text(c.firmware, sizeof(c.firmware), FIRMWARE);
	if (can_deallocate(n))
		c.optional_io |= VMB_NVME_HAS_DATASET;
	snprintf(c.name, sizeof(c.name), "nqn.2014-08.org.nvmexpress:openvmbus:%s",
		 n->disk.option->serial ? n->disk.option->serial : serial);
	memcpy(data, &c, sizeof(c));
}

static void identify_namespace(const struct vmb_dev_nvme *n, void *data)
{
	uint64_t blocks = n->disk.len / n->disk.block_len;
	struct vmb_nvme_namespace_data ns = { .blocks = blocks,
					      .capacity = blocks,
					      .used = blocks,
					      .features = can_deallocate(n),
					      .deallocation = VMB_NVME_READS_ZEROES };

	memcpy(ns.guid, n->channel.host.instance_id.bytes, sizeof(ns.guid));
	ns.lba[0].block = (uint8_t)__builtin_ctz(n->disk.block_len);
	memcpy(data, &ns, sizeof(ns));
}

/* A list of descriptors: the namespace's GUID. */
static void identify_names(const struct vmb_dev_nvme *n, uint8_t *data)
{
	data[0] = 3;
	data[1] = sizeof(n->channel.host.instance_id.bytes);
	memcpy(data + 4, n->channel.host.instance_id.bytes, data[1]);
}

static uint32_t fill_identify(const struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
			      uint8_t *data)
{
	const uint32_t namespace = NAMESPACE;
	uint32_t what = command->dw10 & 0xFF;

	if ((what == 0 || what == 3) && command->nsid != NAMESPACE &&
	    !(what == 0 && command->nsid == ALL))
		return VMB_NVME_INVALID_NAMESPACE;
	switch (what) {
	case 0: identify_namespace(n, data); break;
	case 1: identify_controller(n, data); break;
	case 2:
		if (command->nsid >= ALL - 1)
			return VMB_NVME_INVALID_NAMESPACE;
		if (command->nsid < NAMESPACE)
			memcpy(data, &namespace, sizeof(namespace));
		break;
	case 3: identify_names(n, data); break;
	default: return VMB_NVME_INVALID_FIELD;
	}
	return VMB_NVME_OK;
}

/* Writes len bytes to where the command wants them. */
static uint32_t give(const struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
		     const uint8_t *data, uint32_t len)
{
	struct iovec iov[VMB_DEV_DISK_IOV_MAX];
	uint32_t count, status = nvme_io_pages(n, command, len, iov, &count);

	for (uint32_t i = 0; !status && i < count; i++) {
		vmb_shared_write(iov[i].iov_base, data, (uint32_t)iov[i].iov_len);
		data += iov[i].iov_len;
	}
	return status;
}

static uint32_t identify(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
			 uint32_t *result)
{
	uint8_t data[VMB_NVME_DATA_LEN] = { 0 };
	uint32_t status = fill_identify(n, command, data);

	return status ? status : give(n, command, data, sizeof(data));
}

/* Logs: 512 bytes each, of which a guest may read a part */

static void fill_health(const struct vmb_dev_nvme *n, uint8_t *data)
{
	const uint16_t kelvin = KELVIN + 40;
	const uint64_t units[] = { n->read_len / 512000, n->written_len / 512000, n->commands };

	memcpy(data + 1, &kelvin, sizeof(kelvin));
	data[3] = 100; /* spare, per cent */
	data[4] = 10;
	memcpy(data + 32, &units[0], sizeof(units[0]));
	memcpy(data + 48, &units[1], sizeof(units[1]));
}

static uint32_t get_log(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
			uint32_t *result)
{
	uint64_t len = (((uint64_t)command->dw11 & 0xFFFF) << 16 | command->dw10 >> 16) * 4 + 4;
	uint64_t offset = (uint64_t)command->dw13 << 32 | command->dw12;
	uint8_t data[VMB_NVME_DATA_LEN] = { 0 };

	switch (command->dw10 & 0xFF) {
	case LOG_ERRORS: break; /* none is kept */
	case LOG_HEALTH: fill_health(n, data); break;
	case LOG_FIRMWARE:
		data[0] = 1;
		set_text((char *)data + 8, 8, FIRMWARE);
		break;
	default: return VMB_NVME_BAD_LOG;
	}
	if (offset % 4 || offset >= sizeof(data) || len > sizeof(data) - offset)
		return VMB_NVME_INVALID_FIELD;
	return give(n, command, data + offset, (uint32_t)len);
}

/* Queues */

static uint32_t check_queue(const struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
			    bool taken, uint32_t entry)
{
	uint32_t count = (command->dw10 >> 16) + 1;

	if (taken)
		return VMB_NVME_BAD_QUEUE_ID;
	if (count < 2 || count > NVME_ENTRY_MAX)
		return VMB_NVME_BAD_QUEUE_SIZE;
	if (!(command->dw11 & CONTIGUOUS))
		return VMB_NVME_INVALID_FIELD;
	return nvme_is_queue(n, command->prp1, count * entry) ? VMB_NVME_OK :
								VMB_NVME_BAD_PRP_OFFSET;
}

static bool has_entry_len(const struct vmb_dev_nvme *n, uint32_t shift, uint32_t len)
{
	return (1u << (n->cc >> shift & 0xF)) == len;
}

static uint32_t create_cq(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
			  uint32_t *result)
{
	uint32_t id = command->dw10 & 0xFFFF, vector = command->dw11 >> 16, status;

	if (!id || id >= NVME_QUEUE_MAX)
		return VMB_NVME_BAD_QUEUE_ID;
	status = check_queue(n, command, n->cqs[id].on, sizeof(struct vmb_nvme_completion));
	if (status)
		return status;
	if (vector >= NVME_VECTOR_COUNT)
		return VMB_NVME_BAD_VECTOR;
	if (!has_entry_len(n, VMB_NVME_CC_CQ_SHIFT, sizeof(struct vmb_nvme_completion)))
		return VMB_NVME_INVALID_FIELD;
	n->cqs[id] = (struct nvme_cq){ .on = true,
				       .interrupts = command->dw11 & INTERRUPTS,
				       .phase = true,
				       .gpa = command->prp1,
				       .count = (command->dw10 >> 16) + 1,
				       .vector = vector };
	return VMB_NVME_OK;
}

static uint32_t create_sq(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
			  uint32_t *result)
{
	uint32_t id = command->dw10 & 0xFFFF, cq = command->dw11 >> 16, status;

	if (!id || id >= NVME_QUEUE_MAX)
		return VMB_NVME_BAD_QUEUE_ID;
	if (!cq || cq >= NVME_QUEUE_MAX || !n->cqs[cq].on)
		return VMB_NVME_BAD_CQ;
	status = check_queue(n, command, n->sqs[id].on, sizeof(*command));
	if (status)
		return status;
	if (!has_entry_len(n, VMB_NVME_CC_SQ_SHIFT, sizeof(*command)))
		return VMB_NVME_INVALID_FIELD;
	n->sqs[id] = (struct nvme_sq){
		.on = true, .gpa = command->prp1, .count = (command->dw10 >> 16) + 1, .cq = cq
	};
	n->cqs[cq].users++;
	return VMB_NVME_OK;
}

static uint32_t delete_cq(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
			  uint32_t *result)
{
	uint32_t id = command->dw10 & 0xFFFF;

	if (!id || id >= NVME_QUEUE_MAX || !n->cqs[id].on)
		return VMB_NVME_BAD_QUEUE_ID;
	if (n->cqs[id].users)
		return VMB_NVME_BAD_DELETION;
	n->cqs[id].on = false;
	return VMB_NVME_OK;
}

/* Ends now, or with the last command of that queue. */
static void delete_sq(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command)
{
	uint32_t id = command->dw10 & 0xFFFF;
	struct nvme_sq *sq = &n->sqs[id < NVME_QUEUE_MAX ? id : 0];

	if (!id || id >= NVME_QUEUE_MAX || !sq->on || sq->deleting) {
		nvme_complete(n, 0, command->id, VMB_NVME_BAD_QUEUE_ID, 0);
		return;
	}
	sq->deleting = true;
	sq->delete_id = command->id;
	nvme_settle_deletion(n, id);
}

/* Features */

static bool is_feature(uint32_t id)
{
	return id >= VMB_NVME_ARBITRATION && id < VMB_NVME_FEATURE_COUNT && id != 3;
}

static uint32_t default_of(uint32_t id)
{
	const uint32_t others = NVME_QUEUE_MAX - 2; /* without the admin queue, less one */

	if (id == VMB_NVME_QUEUES)
		return others << 16 | others;
	if (id == VMB_NVME_TEMPERATURE)
		return KELVIN + 70;
	return id == VMB_NVME_WRITE_CACHE;
}

static uint32_t get_features(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
			     uint32_t *result)
{
	uint32_t id = command->dw10 & 0xFF, which = command->dw10 >> 8 & 7;

	if (!is_feature(id) || which > 3)
		return VMB_NVME_INVALID_FIELD;
	if (which == 3) /* what can be done with it: it can be changed */
		*result = id == VMB_NVME_QUEUES ? 0 : 4;
	else if (which || id == VMB_NVME_QUEUES || id == VMB_NVME_TEMPERATURE)
		*result = default_of(id);
	else
		*result = n->features[id];
	return VMB_NVME_OK;
}

static uint32_t set_features(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
			     uint32_t *result)
{
	uint32_t id = command->dw10 & 0xFF;

	if (command->dw10 >> 31)
		return VMB_NVME_NOT_SAVEABLE;
	if (!is_feature(id))
		return VMB_NVME_INVALID_FIELD;
	if (id == VMB_NVME_QUEUES) {
		if ((command->dw11 & 0xFFFF) == 0xFFFF || command->dw11 >> 16 == 0xFFFF)
			return VMB_NVME_INVALID_FIELD;
		*result = default_of(id);
	} else {
		n->features[id] = command->dw11;
	}
	return VMB_NVME_OK;
}

/* Events */

/* Such a request waits as long as it likes; until then no entry is kept free for it. */
static void request_event(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command)
{
	if (n->event_count == NVME_EVENT_MAX) {
		nvme_complete(n, 0, command->id, VMB_NVME_TOO_MANY_EVENTS, 0);
		return;
	}
	n->event_ids[n->event_count++] = command->id;
	n->cqs[0].busy--;
}

/* Ends one, if its completion has room. */
static bool end_event(struct vmb_dev_nvme *n, uint32_t i, uint32_t status, uint32_t event)
{
	struct nvme_cq *cq = &n->cqs[0];
	uint16_t id = n->event_ids[i];

	if (nvme_room(cq) <= cq->busy)
		return false;
	n->event_ids[i] = n->event_ids[--n->event_count];
	cq->busy++;
	nvme_complete(n, 0, id, status, event);
	return true;
}

void nvme_admin_events(struct vmb_dev_nvme *n)
{
	if (n->event && n->event_count && end_event(n, n->event_count - 1, VMB_NVME_OK, n->event))
		n->event = 0;
}

/* Result bit 0: it was not aborted. A command that waits for an event can be; the rest end soon. */
static uint32_t abort_command(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
			      uint32_t *result)
{
	uint16_t id = command->dw10 >> 16;

	*result = 1;
	if (command->dw10 & 0xFFFF)
		return VMB_NVME_OK;
	for (uint32_t i = 0; i < n->event_count; i++)
		if (n->event_ids[i] == id) {
			*result = !end_event(n, i, VMB_NVME_ABORTED, 0);
			break;
		}
	return VMB_NVME_OK;
}

void nvme_admin_command(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command)
{
	static const struct {
		uint8_t opcode;
		uint32_t (*carry_out)(struct vmb_dev_nvme *n,
				      const struct vmb_nvme_command *command, uint32_t *result);
	} rows[] = {
		{ VMB_NVME_CREATE_SQ, create_sq },	 { VMB_NVME_GET_LOG, get_log },
		{ VMB_NVME_DELETE_CQ, delete_cq },	 { VMB_NVME_CREATE_CQ, create_cq },
		{ VMB_NVME_IDENTIFY, identify },	 { VMB_NVME_ABORT, abort_command },
		{ VMB_NVME_SET_FEATURES, set_features }, { VMB_NVME_GET_FEATURES, get_features },
	};
	uint32_t status = VMB_NVME_INVALID_OPCODE, result = 0;

	if (command->opcode == VMB_NVME_DELETE_SQ) {
		delete_sq(n, command);
		return;
	}
	if (command->opcode == VMB_NVME_ASYNC_EVENT) {
		request_event(n, command);
		return;
	}
	if (command->flags & (VMB_NVME_FLAG_FUSED | VMB_NVME_FLAG_SGL))
		status = VMB_NVME_INVALID_FIELD;
	for (size_t i = 0; i < VMB_ARRAY_COUNT(rows) && status == VMB_NVME_INVALID_OPCODE; i++)
		if (rows[i].opcode == command->opcode) {
			status = rows[i].carry_out(n, command, &result);
			break;
		}
	nvme_complete(n, 0, command->id, status, result);
}
