// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A thread that opens one disk, so that the thread of the control socket never waits for a server:
 * its other clients and the end of the machine would wait with it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "devices/report.h"
#include "devices/storage.h"
#include "vmm/opening.h"

struct vmb_vmm_opening {
	struct vmb_dev_disk_option *option;
	struct vmb_dev_disk disk;
	int error;
	char why[VMB_VMM_OPENING_WHY_LEN];
	pthread_mutex_t lock; /* the rest */
	bool ended, dropped;
};

static uint32_t count; /* atomic */

static void free_opening(struct vmb_vmm_opening *o)
{
	pthread_mutex_destroy(&o->lock);
	free(o);
	__atomic_fetch_sub(&count, 1, __ATOMIC_RELAXED);
}

static void discard(struct vmb_vmm_opening *o)
{
	vmb_dev_storage_discard(&o->disk, o->option);
	free_opening(o);
}

static void *work(void *arg)
{
	struct vmb_vmm_opening *o = arg;
	bool dropped;

	vmb_dev_report_into(o->why, sizeof(o->why));
	o->error = vmb_dev_disk_open(&o->disk, o->option);
	if (!o->error)
		o->error = vmb_dev_disk_prepare(&o->disk);
	vmb_dev_report_into(NULL, 0);
	pthread_mutex_lock(&o->lock);
	o->ended = true;
	dropped = o->dropped;
	pthread_mutex_unlock(&o->lock);
	if (dropped)
		discard(o);
	return NULL;
}

static struct vmb_vmm_opening *create(struct vmb_dev_disk_option *option)
{
	struct vmb_vmm_opening *o;

	if (__atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) > VMB_VMM_OPENING_MAX) {
		vmb_dev_report("%u disks are being opened already; try again later",
			       VMB_VMM_OPENING_MAX);
		errno = EAGAIN;
		o = NULL;
	} else {
		o = calloc(1, sizeof(*o));
	}
	if (!o) {
		__atomic_fetch_sub(&count, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	o->option = option;
	pthread_mutex_init(&o->lock, NULL);
	return o;
}

/* The thread is confined as the one that starts it. */
struct vmb_vmm_opening *vmb_vmm_opening_start(struct vmb_dev_disk_option *option)
{
	struct vmb_vmm_opening *o = create(option);
	pthread_t thread;
	int error;

	if (!o)
		return NULL;
	error = pthread_create(&thread, NULL, work, o);
	if (error) {
		free_opening(o);
		errno = error;
		return NULL;
	}
	pthread_detach(thread);
	return o;
}

bool vmb_vmm_opening_ended(struct vmb_vmm_opening *o, struct vmb_dev_disk *disk, int *error,
			   char why[VMB_VMM_OPENING_WHY_LEN])
{
	bool ended;

	pthread_mutex_lock(&o->lock);
	ended = o->ended;
	pthread_mutex_unlock(&o->lock);
	if (!ended)
		return false;
	*disk = o->disk;
	*error = o->error;
	memcpy(why, o->why, sizeof(o->why));
	free_opening(o);
	return true;
}

void vmb_vmm_opening_drop(struct vmb_vmm_opening *o)
{
	bool ended;

	pthread_mutex_lock(&o->lock);
	o->dropped = true;
	ended = o->ended;
	pthread_mutex_unlock(&o->lock);
	if (ended)
		discard(o);
}
