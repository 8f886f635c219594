/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Both ends of VMBus in one process: a guest with storage drivers and a host with controllers, over
 * shared memory.
 *
 *   vmb_user_loopback_init(l, &config)         offers one SCSI controller with config.disks, and
 *                                              each of config.ides
 *   vmb_user_guest_start(&l->guest)            connect, versions, offers
 *   d = vmb_user_guest_device(&l->guest)
 *   vmb_user_guest_open(&l->guest, d)          GPADL, OPEN, the storage handshake
 *   vmb_user_loopback_scsi(l, d, ...)          a command
 *   vmb_user_guest_close(), vmb_user_guest_unload()
 *   vmb_user_loopback_destroy(l)
 *
 * threads true: each end has a thread that sleeps until its eventfd rings. False: the caller's
 * thread steps both ends in turn whenever it waits, so that a test decides what happens between any
 * two steps.
 */
#ifndef PORTS_USER_LOOPBACK_H
#define PORTS_USER_LOOPBACK_H

#include "ports/user/guest.h"
#include "ports/user/host.h"

struct vmb_user_loopback_config {
	struct vmb_user_guest_config guest;
	struct vmb_user_host_config host;
	struct vmb_user_disk *disks[VMB_USER_DISK_MAX]; /* by LUN; the caller's */
	struct vmb_user_disk *ides[4]; /* by 2 * channel + unit; with one, there is no SCSI controller
					* unless it has disks */
	bool threads;
};

struct vmb_user_loopback {
	struct vmb_user_loopback_config config;
	struct vmb_user_memory memory;
	struct vmb_user_synic synic;
	struct vmb_user_host host;
	struct vmb_user_guest guest;
	pthread_t guest_thread, host_thread;
	bool guest_stop, host_stop; /* atomic */
};

/* 0 or an enum vmb_error; then nothing is left behind. */
int vmb_user_loopback_init(struct vmb_user_loopback *l,
			   const struct vmb_user_loopback_config *config);
void vmb_user_loopback_destroy(struct vmb_user_loopback *l);

/* The guest dies without a word and another one boots over it, as with kexec. */
int vmb_user_loopback_reboot(struct vmb_user_loopback *l);

/* Steps both ends until neither has anything to do. Not with threads. */
void vmb_user_loopback_settle(struct vmb_user_loopback *l);

/*
 * One SCSI command over bounce pages, for LUN lun where d stands: data (len bytes, may be NULL) is copied there and, for reads,
 * back. 0 when it ended, *event says how; else what submitting or waiting said.
 */
int vmb_user_loopback_scsi(struct vmb_user_loopback *l, struct vmb_user_device *d, uint8_t lun,
			   const void *cdb, uint8_t cdb_len, enum vmb_stor_direction direction,
			   void *data, uint32_t len, struct vmb_guest_storage_event *event);

#endif
