// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A disk of zeroes that forgets what is written: for measuring everything but the disk.
 */
#include <errno.h>
#include <string.h>

#include "devices/disk/disk.h"
#include "devices/report.h"
#include "devices/text.h"

static enum vmb_dev_disk_step begin(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request,
				    struct vmb_dev_disk_engine *engine)
{
	if (request->task->op == VMB_HOST_SCSI_READ)
		for (uint32_t i = 0; i < request->iov_count; i++)
			memset(request->iov[i].iov_base, 0, request->iov[i].iov_len);
	request->error = VMB_HOST_SCSI_OK;
	return VMB_DEV_DISK_DONE;
}

/* Never reached: begin does not wait. */
static enum vmb_dev_disk_step resume(struct vmb_dev_disk *disk,
				     struct vmb_dev_disk_request *request,
				     struct vmb_dev_disk_engine *engine, int result)
{
	return begin(disk, request, engine);
}

static int prepare(struct vmb_dev_disk *disk)
{
	disk->can_unmap = true;
	return 0;
}

static void close_disk(struct vmb_dev_disk *disk)
{
}

static const struct vmb_dev_disk_ops ops = {
	.prepare = prepare, .begin = begin, .resume = resume, .close = close_disk, .at_once = true
};

int vmb_dev_disk_open_null(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option)
{
	const char *size = option->path + strlen(VMB_DEV_DISK_NULL_PREFIX);

	disk->ops = &ops;
	if (vmb_dev_text_size(size, &disk->len))
		return 0;
	vmb_dev_report("%s %s: '%s' is no size; give for example null:1G",
		       vmb_dev_disk_option_name(option), option->path, size);
	return -EINVAL;
}
