// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A filter over any disk, for tests: reads that touch a planned block go wrong, in the same place
 * in every run. All else goes to the disk below. What a planned read does to the channel or to the
 * unit is the device's business: the step tells it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/disk/disk.h"
#include "devices/report.h"

static bool meets(const struct vmb_dev_disk *disk, const struct vmb_dev_disk_fault *fault,
		  const struct vmb_host_scsi_task *task)
{
	uint64_t first = task->offset / disk->block_len;

	return fault->planned && task->op == VMB_HOST_SCSI_READ && fault->block >= first &&
	       fault->block - first < task->len / disk->block_len;
}

/*
 * Until the guest has asked for a reset of the unit: what it sends again then is done, since a host
 * that lost answers has not lost the disk.
 */
static bool goes_wrong(struct vmb_dev_disk *disk, const struct vmb_dev_disk_fault *fault,
		       struct vmb_dev_disk_met *met, const struct vmb_host_scsi_task *task)
{
	if (!meets(disk, fault, task))
		return false;
	if (!met->met)
		*met = (struct vmb_dev_disk_met){ true, task->unit->reset_count };
	return met->reset_count == task->unit->reset_count;
}

static enum vmb_dev_disk_step begin(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request,
				    struct vmb_dev_disk_engine *engine)
{
	const struct vmb_dev_disk_option *option = disk->option;

	if (goes_wrong(disk, &option->stuck, &disk->stuck, request->task))
		return VMB_DEV_DISK_STUCK;
	if (goes_wrong(disk, &option->hold, &disk->held, request->task))
		return VMB_DEV_DISK_HELD;
	if (meets(disk, &option->gone, request->task))
		return VMB_DEV_DISK_GONE;
	return disk->below->ops->begin(disk->below, request, engine);
}

static enum vmb_dev_disk_step resume(struct vmb_dev_disk *disk,
				     struct vmb_dev_disk_request *request,
				     struct vmb_dev_disk_engine *engine, int result)
{
	return disk->below->ops->resume(disk->below, request, engine, result);
}

static int prepare(struct vmb_dev_disk *disk)
{
	int error = disk->below->ops->prepare(disk->below);

	disk->len = disk->below->len;
	disk->block_len = disk->below->block_len;
	disk->can_unmap = disk->below->can_unmap;
	return error;
}

static void cancel(struct vmb_dev_disk *disk)
{
	vmb_dev_disk_cancel(disk->below);
}

static void leave(struct vmb_dev_disk *disk)
{
	vmb_dev_disk_leave(disk->below);
}

static uint64_t measure(const struct vmb_dev_disk *disk)
{
	return disk->below->ops->measure ? disk->below->ops->measure(disk->below) : 0;
}

static int resize(struct vmb_dev_disk *disk, uint64_t len)
{
	return vmb_dev_disk_resize(disk->below, len);
}

static void close_disk(struct vmb_dev_disk *disk)
{
	vmb_dev_disk_close(disk->below);
	free(disk->below);
}

static const struct vmb_dev_disk_ops ops = { .prepare = prepare,
					     .begin = begin,
					     .resume = resume,
					     .cancel = cancel,
					     .leave = leave,
					     .close = close_disk,
					     .measure = measure,
					     .resize = resize };

int vmb_dev_disk_add_fault(struct vmb_dev_disk *disk)
{
	struct vmb_dev_disk *below = malloc(sizeof(*below));

	if (!below) {
		vmb_dev_report("%s %s: %s", vmb_dev_disk_option_name(disk->option),
			       disk->option->path, strerror(ENOMEM));
		return -EINVAL;
	}
	*below = *disk;
	disk->ops = &ops;
	disk->below = below;
	disk->state = NULL;
	disk->fd = -1;
	return 0;
}
