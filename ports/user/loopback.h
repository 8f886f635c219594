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
 * The host's end is the devices of devices/ as they ship, over ports/user/machine.h.
 *
 * threads true: the guest has a thread and each device a worker. False: the caller's thread steps
 * both ends in turn whenever it waits, so that a test decides what happens between any two steps.
 */
#ifndef PORTS_USER_LOOPBACK_H
#define PORTS_USER_LOOPBACK_H

#include "devices/storage.h"
#include "ports/user/guest.h"

#define VMB_USER_DISK_MAX 8u

struct vmb_user_loopback_config {
	struct vmb_user_guest_config guest;
	struct vmb_user_machine_config machine; /* page_count and threads are filled in */
	uint16_t storage_version_max; /* VMB_STOR_VERSION_*, 0 = newest */
	uint32_t queue_count; /* channels of a SCSI controller at most, 0 = 1 */
	uint32_t poll_us; /* of SCSI controllers, see devices/storage.h */
	struct vmb_dev_disk_option disks[VMB_USER_DISK_MAX]; /* by LUN; path NULL: none */
	struct vmb_dev_disk_option ides[VMB_DEV_IDE_MAX]; /* by place; with one, there is no SCSI
							   * controller unless it has disks */
	bool threads;
};

struct vmb_user_loopback {
	struct vmb_user_loopback_config config;
	struct vmb_user_machine machine;
	struct vmb_user_guest guest;
	pthread_t guest_thread;
	bool guest_stop; /* atomic */
};

/* Returns 0, or an enum vmb_error with nothing left behind. */
int vmb_user_loopback_init(struct vmb_user_loopback *l,
			   const struct vmb_user_loopback_config *config);
/* Ends the thread, if there is one, and frees both ends in any state. */
void vmb_user_loopback_destroy(struct vmb_user_loopback *l);

/*
 * Offers another SCSI controller with config.disks, which has media of its own. number: 1..255, not
 * in use. Returns NULL on failure.
 */
struct vmb_dev_storage *vmb_user_loopback_offer(struct vmb_user_loopback *l, uint8_t number);
/*
 * Returns the newest storage device that the guest may open, or NULL. Closes those that the guest
 * has released.
 */
struct vmb_dev_storage *vmb_user_loopback_first(struct vmb_user_loopback *l);

/*
 * The guest ends without a message to the host and another one boots in its place, as with kexec.
 * Returns 0 or an enum vmb_error.
 */
int vmb_user_loopback_reboot(struct vmb_user_loopback *l);

/* Steps both ends until neither has anything to do. Not with threads. */
void vmb_user_loopback_settle(struct vmb_user_loopback *l);

/*
 * Sends one SCSI command to LUN lun of d and waits for it. data (len bytes, may be NULL) is copied
 * to pages that the host sees and, for reads, back. Returns 0 if the command ended, with *event its
 * outcome; else the error of submitting or waiting.
 */
int vmb_user_loopback_scsi(struct vmb_user_loopback *l, struct vmb_user_device *d, uint8_t lun,
			   const void *cdb, uint8_t cdb_len, enum vmb_stor_direction direction,
			   void *data, uint32_t len, struct vmb_guest_storage_event *event);

#endif
