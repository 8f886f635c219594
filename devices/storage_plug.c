// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Disks that come and go while a controller runs, discs that are changed, and media that grow. The
 * guest hears of it as on Hyper-V: ENUMERATE_BUS and unit attentions.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/storage.h"

/* The primary's worker tells the guest. */
static void tell(struct vmb_dev_storage *s)
{
	__atomic_store_n(&s->poked, true, __ATOMIC_SEQ_CST);
	vmb_dev_worker_wake(&s->queues[0].worker);
}

static bool is_there(const struct vmb_dev_storage *s, uint32_t lun)
{
	return lun < VMB_HOST_SCSI_LUN_MAX && s->disks[lun].ops && !(s->leaving >> lun & 1);
}

int vmb_dev_storage_plug(struct vmb_dev_storage *s, uint32_t lun, const struct vmb_dev_disk *disk,
			 struct vmb_dev_disk_option *option)
{
	int error = 0;

	pthread_mutex_lock(&s->lock);
	if (lun >= VMB_HOST_SCSI_LUN_MAX)
		error = -ENOENT;
	else if (s->disks[lun].ops)
		error = -EBUSY;
	if (!error) {
		s->disks[lun] = *disk;
		s->own[lun] = option;
		s->plugged++;
		memset(&s->units[lun], 0, sizeof(s->units[lun]));
		vmb_dev_storage_fill_unit(s, lun);
		if (disk->ops->measure)
			__atomic_store_n(&s->grows, true, __ATOMIC_RELAXED);
		vmb_host_storage_attach(&s->host, lun, &s->units[lun]);
	}
	pthread_mutex_unlock(&s->lock);
	if (!error)
		tell(s);
	return error;
}

/* Requests that a fault holds end as with a reset of the unit. */
int vmb_dev_storage_unplug(struct vmb_dev_storage *s, uint32_t lun)
{
	bool there, leaving;

	pthread_mutex_lock(&s->lock);
	there = is_there(s, lun);
	if (there) {
		s->leaving |= 1ull << lun;
		vmb_host_storage_detach(&s->host, lun);
		s->units[lun].reset_count++;
		vmb_dev_storage_end_held(s);
		vmb_dev_disk_cancel(&s->disks[lun]);
	}
	leaving = lun < VMB_HOST_SCSI_LUN_MAX && s->leaving >> lun & 1;
	pthread_mutex_unlock(&s->lock);
	if (there)
		tell(s);
	return leaving ? 0 : -ENOENT;
}

int vmb_dev_storage_take_back(struct vmb_dev_storage *s, uint32_t lun, struct vmb_dev_disk *disk,
			      struct vmb_dev_disk_option **option)
{
	int error = 0;

	pthread_mutex_lock(&s->lock);
	if (!(s->leaving >> lun & 1))
		error = -ENOENT;
	else if (s->disks[lun].busy)
		error = -EAGAIN;
	if (!error) {
		*disk = s->disks[lun];
		*option = s->own[lun];
		memset(&s->disks[lun], 0, sizeof(s->disks[lun]));
		s->own[lun] = NULL;
		s->leaving &= ~(1ull << lun);
	}
	pthread_mutex_unlock(&s->lock);
	return error;
}

void vmb_dev_storage_discard(struct vmb_dev_disk *disk, struct vmb_dev_disk_option *option)
{
	vmb_dev_disk_close(disk);
	if (!option)
		return;
	free((char *)option->path);
	free(option);
}

int vmb_dev_storage_eject(struct vmb_dev_storage *s, uint32_t lun, bool force)
{
	struct vmb_host_scsi_lun *unit = &s->units[lun < VMB_HOST_SCSI_LUN_MAX ? lun : 0];
	int error = 0;

	pthread_mutex_lock(&s->lock);
	if (!is_there(s, lun))
		error = -ENOENT;
	else if (unit->kind != VMB_HOST_SCSI_DVD)
		error = -EINVAL;
	else if (unit->removal_prevented && !force)
		error = -EPERM;
	if (!error) {
		unit->medium_absent = true;
		unit->removal_prevented = false;
		vmb_host_storage_resized(&s->host, lun);
		vmb_dev_disk_cancel(&s->disks[lun]);
	}
	pthread_mutex_unlock(&s->lock);
	if (!error)
		tell(s);
	return error;
}

/* With the lock. The drive stays the same one. */
static void swap_disc(struct vmb_dev_storage *s, uint32_t lun, struct vmb_dev_disk *disk,
		      struct vmb_dev_disk_option **option, bool empty)
{
	struct vmb_host_scsi_lun *unit = &s->units[lun];
	struct vmb_dev_disk_option *old_option = s->own[lun];
	struct vmb_dev_disk old = s->disks[lun];

	s->disks[lun] = *disk;
	s->own[lun] = *option;
	*disk = old;
	*option = old_option;
	unit->block_count = s->disks[lun].len / s->disks[lun].block_len;
	unit->medium_absent = empty;
	vmb_host_storage_resized(&s->host, lun);
}

int vmb_dev_storage_exchange(struct vmb_dev_storage *s, uint32_t lun, struct vmb_dev_disk *disk,
			     struct vmb_dev_disk_option **option, bool empty)
{
	int error = 0;

	pthread_mutex_lock(&s->lock);
	if (!is_there(s, lun))
		error = -ENOENT;
	else if (s->units[lun].kind != VMB_HOST_SCSI_DVD)
		error = -EINVAL;
	else if (s->disks[lun].busy)
		error = -EAGAIN;
	else
		swap_disc(s, lun, disk, option, empty);
	pthread_mutex_unlock(&s->lock);
	if (!error)
		tell(s);
	return error;
}

int vmb_dev_storage_resize(struct vmb_dev_storage *s, uint32_t lun, uint64_t len)
{
	int error = -ENOENT;

	pthread_mutex_lock(&s->lock);
	if (is_there(s, lun))
		error = vmb_dev_disk_resize(&s->disks[lun], len);
	if (!error && vmb_dev_disk_resized(&s->disks[lun])) {
		s->units[lun].block_count = s->disks[lun].len / s->disks[lun].block_len;
		vmb_host_storage_resized(&s->host, lun);
	}
	pthread_mutex_unlock(&s->lock);
	if (!error)
		tell(s);
	return error;
}

uint64_t vmb_dev_storage_luns(struct vmb_dev_storage *s)
{
	uint64_t luns = 0;

	pthread_mutex_lock(&s->lock);
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (s->disks[lun].ops)
			luns |= 1ull << lun;
	pthread_mutex_unlock(&s->lock);
	return luns;
}

static void look(const struct vmb_dev_storage *s, uint32_t lun, struct vmb_dev_storage_unit *unit)
{
	const struct vmb_host_scsi_lun *host = &s->units[lun];
	const struct vmb_dev_disk *disk = &s->disks[lun];

	*unit = (struct vmb_dev_storage_unit){ .dvd = host->kind == VMB_HOST_SCSI_DVD,
					       .read_only = disk->read_only,
					       .leaving = s->leaving >> lun & 1,
					       .gone = !s->host.bus.luns[lun],
					       .medium_absent = host->medium_absent,
					       .tray_open = host->tray_open,
					       .locked = host->removal_prevented,
					       .len = disk->len,
					       .block_len = disk->block_len,
					       .busy = disk->busy };
	snprintf(unit->path, sizeof(unit->path), "%s", disk->option->path);
}

int vmb_dev_storage_look(struct vmb_dev_storage *s, uint32_t lun, struct vmb_dev_storage_unit *unit)
{
	bool there;

	pthread_mutex_lock(&s->lock);
	there = lun < VMB_HOST_SCSI_LUN_MAX && s->disks[lun].ops;
	if (there)
		look(s, lun, unit);
	pthread_mutex_unlock(&s->lock);
	return there ? 0 : -ENOENT;
}
