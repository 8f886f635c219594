// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The commands of an NVMe disk that move data: judged here, carried out by the disk's backend
 * (devices/disk/disk.h).
 */
#include "devices/fault.h"
#include "devices/nvme/internal.h"

#define NAMESPACE	1u
#define ALL		UINT32_MAX
#define FUA		(1u << 30)
#define DEALLOCATE	(1u << 25) /* of WRITE_ZEROES */
#define DATASET_DEALLOC (1u << 2)
#define LIST_ENTRIES	(VMB_PAGE_LEN / (uint32_t)sizeof(uint64_t))

/* Pages */

struct pages {
	const struct vmb_dev_memory *memory;
	struct iovec *iov;
	uint32_t count;
	uint32_t left; /* bytes */
};

/* The next part begins at gpa and ends with its page, or with the data. */
static bool add_part(struct pages *p, uint64_t gpa)
{
	uint32_t len = VMB_PAGE_LEN - gpa % VMB_PAGE_LEN;
	struct iovec *last = p->count ? &p->iov[p->count - 1] : NULL;
	uint8_t *at;

	if (len > p->left)
		len = p->left;
	at = vmb_dev_memory_at(p->memory, gpa, len);
	if (!at)
		return false;
	p->left -= len;
	if (last && (uint8_t *)last->iov_base + last->iov_len == at)
		last->iov_len += len;
	else
		p->iov[p->count++] = (struct iovec){ at, len };
	return true;
}

/* A list ends with its page; if that is not enough, its last entry is where the next one is. */
static uint32_t add_list(struct pages *p, uint64_t gpa)
{
	uint64_t entries[LIST_ENTRIES];

	while (p->left) {
		uint32_t count = LIST_ENTRIES - gpa % VMB_PAGE_LEN / sizeof(entries[0]);
		uint32_t needed = (p->left + VMB_PAGE_LEN - 1) / VMB_PAGE_LEN, i = 0;
		bool goes_on = needed > count;

		if (needed < count)
			count = needed;
		if (gpa % sizeof(entries[0]))
			return VMB_NVME_BAD_PRP_OFFSET;
		if (!vmb_dev_memory_read(p->memory, gpa, entries, count * sizeof(entries[0])))
			return VMB_NVME_DATA_ERROR;
		for (; i < count - goes_on; i++) {
			if (entries[i] % VMB_PAGE_LEN)
				return VMB_NVME_BAD_PRP_OFFSET;
			if (!add_part(p, entries[i]))
				return VMB_NVME_DATA_ERROR;
		}
		if (goes_on && count == 1 && entries[i] % VMB_PAGE_LEN)
			return VMB_NVME_BAD_PRP_OFFSET; /* or it could lead to itself for ever */
		if (goes_on)
			gpa = entries[i];
	}
	return VMB_NVME_OK;
}

uint32_t nvme_io_pages(const struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
		       uint32_t len, struct iovec *iov, uint32_t *count)
{
	struct pages p = { .memory = nvme_memory(n), .iov = iov, .left = len };
	uint32_t status = VMB_NVME_OK;

	if (command->prp1 % 4)
		return VMB_NVME_BAD_PRP_OFFSET;
	if (len && !add_part(&p, command->prp1))
		return VMB_NVME_DATA_ERROR;
	if (p.left > VMB_PAGE_LEN)
		status = add_list(&p, command->prp2);
	else if (p.left && command->prp2 % VMB_PAGE_LEN)
		status = VMB_NVME_BAD_PRP_OFFSET;
	else if (p.left && !add_part(&p, command->prp2))
		status = VMB_NVME_DATA_ERROR;
	*count = p.count;
	return status;
}

/* Requests */

static struct nvme_request *take(struct vmb_dev_nvme *n, uint32_t sq,
				 const struct vmb_nvme_command *command)
{
	struct nvme_request *request = n->free;

	n->free = request->next;
	request->life = n->life;
	request->sq = sq;
	request->id = command->id;
	request->task.unit = &n->unit;
	request->task.fua = !(n->features[VMB_NVME_WRITE_CACHE] & 1);
	request->task.may_unmap = false;
	request->task.extent_count = 0;
	request->disk.task = &request->task;
	request->disk.iov_count = 0;
	return request;
}

static void give_back(struct vmb_dev_nvme *n, struct nvme_request *request)
{
	request->next = n->free;
	n->free = request;
}

static uint32_t status_of(const struct vmb_host_scsi_task *task, enum vmb_host_scsi_error error)
{
	switch (error) {
	case VMB_HOST_SCSI_OK: return VMB_NVME_OK;
	case VMB_HOST_SCSI_IO_ERROR:
		return task->op == VMB_HOST_SCSI_READ ? VMB_NVME_READ_ERROR : VMB_NVME_WRITE_FAULT;
	case VMB_HOST_SCSI_NO_SPACE: return VMB_NVME_NO_SPACE;
	case VMB_HOST_SCSI_GONE: return VMB_NVME_INTERNAL;
	case VMB_HOST_SCSI_ABORTED: return VMB_NVME_ABORTED;
	}
	return VMB_NVME_INTERNAL;
}

static void count(struct vmb_dev_nvme *n, const struct vmb_host_scsi_task *task)
{
	if (task->op == VMB_HOST_SCSI_READ)
		n->read_len += task->len;
	else if (task->op == VMB_HOST_SCSI_WRITE)
		n->written_len += task->len;
	else if (task->op == VMB_HOST_SCSI_FLUSH)
		n->flushes++;
}

/* What a controller had begun before it was reset, nobody waits for. */
static void finish(struct vmb_dev_nvme *n, struct nvme_request *request,
		   enum vmb_host_scsi_error error)
{
	if (!error)
		count(n, &request->task);
	if (request->life == n->life)
		nvme_complete(n, request->sq, request->id, status_of(&request->task, error), 0);
	give_back(n, request);
}

/* An NVMe disk has no planned faults, so a backend keeps nothing back. */
static void take_step(struct vmb_dev_nvme *n, struct nvme_request *request,
		      enum vmb_dev_disk_step step)
{
	if (step == VMB_DEV_DISK_WAIT)
		return;
	n->busy--;
	n->disk.busy--;
	finish(n, request,
	       step == VMB_DEV_DISK_DONE ? request->disk.error : VMB_HOST_SCSI_IO_ERROR);
}

void nvme_io_resume(struct vmb_dev_nvme *n, struct nvme_request *request, int result)
{
	take_step(n, request, n->disk.ops->resume(&n->disk, &request->disk, &n->engine, result));
}

static void begin(struct vmb_dev_nvme *n, struct nvme_request *request)
{
	struct vmb_dev_fault *fault = vmb_dev_fault_of(n->bus);

	if (fault && vmb_dev_fault_operate(fault, &n->channel, &request->task)) {
		finish(n, request, VMB_HOST_SCSI_IO_ERROR);
		return;
	}
	n->busy++;
	n->disk.busy++;
	take_step(n, request, n->disk.ops->begin(&n->disk, &request->disk, &n->engine));
}

/* Commands: each returns a status, and VMB_NVME_OK if request may begin */

static uint32_t flush(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
		      struct nvme_request *request)
{
	request->task.op = VMB_HOST_SCSI_FLUSH;
	return VMB_NVME_OK;
}

/* The blocks of READ, WRITE and WRITE_ZEROES. */
static uint32_t set_extent(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
			   struct nvme_request *request)
{
	uint64_t first = (uint64_t)command->dw11 << 32 | command->dw10;
	uint64_t blocks = (command->dw12 & 0xFFFF) + 1, all = n->disk.len / n->disk.block_len;

	if (blocks > all || first > all - blocks)
		return VMB_NVME_OUT_OF_RANGE;
	request->task.offset = first * n->disk.block_len;
	request->task.len = blocks * n->disk.block_len;
	request->task.fua |= command->dw12 & FUA ? true : false;
	return VMB_NVME_OK;
}

static uint32_t move(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
		     struct nvme_request *request)
{
	bool writes = command->opcode == VMB_NVME_WRITE;
	uint32_t status = set_extent(n, command, request);

	request->task.op = writes ? VMB_HOST_SCSI_WRITE : VMB_HOST_SCSI_READ;
	request->task.fua &= writes;
	if (!status && writes && n->disk.read_only)
		return VMB_NVME_READ_ONLY;
	if (!status && request->task.len > VMB_DEV_DISK_TRANSFER_MAX)
		return VMB_NVME_INVALID_FIELD;
	if (status)
		return status;
	return nvme_io_pages(n, command, (uint32_t)request->task.len, request->disk.iov,
			     &request->disk.iov_count);
}

static uint32_t write_zeroes(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
			     struct nvme_request *request)
{
	uint32_t status = set_extent(n, command, request);

	request->task.op = VMB_HOST_SCSI_WRITE_ZEROES;
	request->task.may_unmap = command->dw12 & DEALLOCATE && n->disk.can_unmap &&
				  !n->disk.option->no_discard;
	return !status && n->disk.read_only ? VMB_NVME_READ_ONLY : status;
}

/* Whether a range may be deallocated is the controller's to choose: one more than fits is left. */
static uint32_t add_range(struct vmb_dev_nvme *n, struct vmb_host_scsi_task *task,
			  const struct vmb_nvme_range *range)
{
	uint64_t all = n->disk.len / n->disk.block_len;

	if (range->blocks > all || range->first > all - range->blocks)
		return VMB_NVME_OUT_OF_RANGE;
	if (range->blocks && task->extent_count < VMB_HOST_SCSI_EXTENT_MAX)
		task->extents[task->extent_count++] =
			(struct vmb_host_scsi_extent){ range->first * n->disk.block_len,
						       (uint64_t)range->blocks *
							       n->disk.block_len };
	return VMB_NVME_OK;
}

static uint32_t dataset(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
			struct nvme_request *request)
{
	uint32_t range_count = (command->dw10 & 0xFF) + 1, parts, status;
	struct vmb_nvme_range ranges[VMB_NVME_RANGE_MAX];
	uint8_t *at = (uint8_t *)ranges;

	request->task.op = VMB_HOST_SCSI_UNMAP;
	status = nvme_io_pages(n, command, range_count * sizeof(ranges[0]), request->disk.iov,
			       &parts);
	for (uint32_t i = 0; !status && i < parts; at += request->disk.iov[i++].iov_len)
		vmb_shared_read(at, request->disk.iov[i].iov_base,
				(uint32_t)request->disk.iov[i].iov_len);
	for (uint32_t i = 0; !status && i < range_count; i++)
		status = add_range(n, &request->task, &ranges[i]);
	if (!status && n->disk.read_only)
		return VMB_NVME_READ_ONLY;
	/* Hints are taken and forgotten. */
	if (!(command->dw11 & DATASET_DEALLOC) || !n->disk.can_unmap || n->disk.option->no_discard)
		request->task.extent_count = 0;
	return status;
}

static uint32_t judge(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
		      struct nvme_request *request)
{
	if (command->flags & (VMB_NVME_FLAG_FUSED | VMB_NVME_FLAG_SGL))
		return VMB_NVME_INVALID_FIELD;
	if (command->nsid != NAMESPACE &&
	    !(command->opcode == VMB_NVME_FLUSH && command->nsid == ALL))
		return VMB_NVME_INVALID_NAMESPACE;
	switch (command->opcode) {
	case VMB_NVME_FLUSH: return flush(n, command, request);
	case VMB_NVME_WRITE:
	case VMB_NVME_READ: return move(n, command, request);
	case VMB_NVME_WRITE_ZEROES: return write_zeroes(n, command, request);
	case VMB_NVME_DATASET: return dataset(n, command, request);
	default: return VMB_NVME_INVALID_OPCODE;
	}
}

void nvme_io_command(struct vmb_dev_nvme *n, uint32_t sq, const struct vmb_nvme_command *command)
{
	struct nvme_request *request = take(n, sq, command);
	uint32_t status = judge(n, command, request);

	if (status) {
		nvme_complete(n, sq, command->id, status, 0);
		give_back(n, request);
	} else if (request->task.op == VMB_HOST_SCSI_UNMAP && !request->task.extent_count) {
		finish(n, request, VMB_HOST_SCSI_OK);
	} else {
		begin(n, request);
	}
}
