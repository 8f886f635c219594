// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A SCSI layer in user space, as far as storvsc uses it. */
#include "tests/linux/scsi.h"

struct Scsi_Host *shim_host;
u64 shim_luns[SHIM_UNITS];
static wait_queue_head_t done_wait;

void scsi_done(struct scsi_cmnd *cmd)
{
	if (cmd->timed_out)
		return;
	if (cmd->done) {
		fprintf(stderr, "# a command is done twice\n");
		abort();
	}
	shim_release(cmd);
	cmd->done = true;
	wake_up_all(&done_wait);
}

void scsi_build_sense(struct scsi_cmnd *cmd, int desc, u8 key, u8 asc, u8 ascq)
{
	cmd->result = SAM_STAT_CHECK_CONDITION;
}

struct Scsi_Host *scsi_host_alloc(const struct scsi_host_template *hostt, int len)
{
	struct Scsi_Host *host = kzalloc(sizeof(*host) + len, GFP_KERNEL);

	host->hostt = hostt;
	return host;
}

void scsi_host_put(struct Scsi_Host *host)
{
	kfree(host);
}

int scsi_add_host(struct Scsi_Host *host, struct device *device)
{
	u32 cpu;

	host->tag_set.map[0].mq_map = host->queue_of_cpu;
	if (host->nr_hw_queues > 1 && host->hostt->map_queues)
		host->hostt->map_queues(host);
	for (cpu = 0; cpu < SHIM_CPUS; cpu++)
		if (host->queue_of_cpu[cpu] >= (u32)max(host->nr_hw_queues, 1)) {
			fprintf(stderr, "# CPU %u has no queue\n", cpu);
			abort();
		}
	shim_release(&shim_host);
	shim_host = host;
	return 0;
}

/* Waits for the commands under way, as the kernel's does: each must end. */
void scsi_remove_host(struct Scsi_Host *host)
{
	u32 i;

	shim_host = NULL;
	while (host->tags)
		msleep(4);
	shim_acquire(&host->tags);
	for (i = 0; i < SHIM_UNITS; i++)
		kfree(host->units[i]);
	memset(host->units, 0, sizeof(host->units));
}

static void add_unit(struct Scsi_Host *host, u32 place, u64 lun)
{
	struct scsi_device *sdev = kzalloc(sizeof(*sdev), GFP_KERNEL);
	struct queue_limits limits = {};

	sdev->host = host;
	sdev->lun = lun;
	sdev->vendor = "Msft    ";
	sdev->request_queue = sdev;
	if (lun > host->max_lun || host->hostt->sdev_init(sdev)) {
		kfree(sdev);
		return;
	}
	host->hostt->sdev_configure(sdev, &limits);
	host->units[place] = sdev;
}

void scsi_scan_host(struct Scsi_Host *host)
{
	u32 i;

	for (i = 0; i < SHIM_UNITS; i++)
		if (!host->units[i] && (!i || shim_luns[i]))
			add_unit(host, i, i ? shim_luns[i] : 0);
}

struct scsi_device *scsi_device_lookup(struct Scsi_Host *host, u32 channel, u32 id, u64 lun)
{
	u32 i;

	for (i = 0; i < SHIM_UNITS; i++)
		if (host->units[i] && host->units[i]->lun == lun)
			return host->units[i];
	return NULL;
}

void scsi_remove_device(struct scsi_device *sdev)
{
}

int scsi_change_queue_depth(struct scsi_device *sdev, int depth)
{
	return depth;
}

int match_string(const char *const *array, size_t len, const char *text)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!strcmp(array[i], text))
			return (int)i;
	return -EINVAL;
}

/* Of one piece; the test and the driver share its pages. */
static size_t copy_piece(struct scatterlist *sg, void *data, size_t len, off_t skip, bool to_sg)
{
	u8 *at = (u8 *)page_address(sg->page) + sg->offset + skip;

	if (skip >= sg->length)
		return 0;
	len = min(len, sg->length - (size_t)skip);
	memcpy(to_sg ? at : data, to_sg ? data : at, len);
	return len;
}

size_t sg_pcopy_to_buffer(struct scatterlist *sg, u32 count, void *data, size_t len, off_t skip)
{
	return copy_piece(sg, data, len, skip, false);
}

size_t sg_pcopy_from_buffer(struct scatterlist *sg, u32 count, const void *data, size_t len,
			    off_t skip)
{
	return copy_piece(sg, (void *)(uintptr_t)data, len, skip, true);
}

static int queue(struct scsi_device *sdev, struct scsi_cmnd *cmd)
{
	int rc;

	cmd->done = false;
	cmd->timed_out = false;
	cmd->flags = SCMD_LAST;
	rcu_read_lock();
	rc = sdev->host->hostt->queuecommand(sdev->host, cmd);
	rcu_read_unlock();
	return rc;
}

/*
 * A time-out that the driver does not handle is followed by an abort. If that fails the error
 * handler would start and stop all disks of the host, which must not happen here.
 */
static void abort_command(struct scsi_device *sdev, struct scsi_cmnd *cmd)
{
	cmd->timed_out = true;
	msleep(10);
	if (sdev->host->hostt->eh_abort_handler(cmd) != SUCCESS) {
		fprintf(stderr, "# the error handler starts\n");
		abort();
	}
	cmd->result = DID_TIME_OUT << 16;
	cmd->done = true;
}

static void await_done(struct scsi_device *sdev, struct scsi_cmnd *cmd)
{
	while (!cmd->done && !wait_event_timeout(done_wait, cmd->done, cmd->rq.timeout))
		if (sdev->host->hostt->eh_timed_out(cmd) == SCSI_EH_NOT_HANDLED)
			abort_command(sdev, cmd);
	shim_acquire(cmd);
}

/* One for all queues, as with host_tagset; without it there must be one queue. */
static void take_tag(struct Scsi_Host *host, struct scsi_cmnd *cmd)
{
	u32 tag = 0;

	if (host->nr_hw_queues > 1 && !host->host_tagset)
		abort();
	while (host->tags >> tag & 1)
		if (++tag == min(64, host->can_queue)) {
			msleep(4);
			tag = 0;
		}
	host->tags |= 1ull << tag;
	shim_acquire(&host->tags);
	cmd->rq.tag = tag;
	cmd->rq.queue_number = host->queue_of_cpu[cmd->cpu];
}

void shim_execute(struct scsi_device *sdev, struct scsi_cmnd *cmd, unsigned long timeout)
{
	cmd->device = sdev;
	cmd->rq.timeout = timeout;
	cmd->jiffies_at_alloc = jiffies;
	take_tag(sdev->host, cmd);
	do {
		while (queue(sdev, cmd))
			msleep(100);
		await_done(sdev, cmd);
	} while (cmd->result >> 16 == DID_REQUEUE || cmd->result >> 16 == DID_RESET);
	shim_release(&sdev->host->tags);
	sdev->host->tags &= ~(1ull << cmd->rq.tag);
}
