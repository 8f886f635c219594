/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The device by which a Generation 2 firmware speaks to its host, and which the guest's system uses
 * later by way of the firmware's run-time services: variables, random numbers, log and boot events.
 * Source: docs/protocol/firmware.md, "BiosDevice".
 *
 *   vmb_dev_uefi_open(&u, nvram)
 *   for every start of the machine:
 *     vmb_dev_uefi_restart(&u, &memory)
 *     vmb_dev_uefi_write(), _read()       the guest's accesses
 *   vmb_dev_uefi_close(&u)
 */
#ifndef DEVICES_UEFI_DEVICE_H
#define DEVICES_UEFI_DEVICE_H

#include <pthread.h>

#include "devices/memory.h"
#include "devices/uefi/boot.h"
#include "devices/uefi/vars.h"
#include "devices/uefi/watchdog.h"
#include "devices/uefi/writer.h"

#define VMB_DEV_UEFI_PORT      0x28u /* selects; 32-bit accesses */
#define VMB_DEV_UEFI_PORT_DATA 0x2Cu

struct vmb_dev_uefi {
	struct vmb_dev_uefi_vars vars;
	struct vmb_dev_uefi_boot boot; /* what is tried first; the owner sets it before a start */
	char *nvram; /* NULL: variables do not outlive this program */
	int nvram_lock;
	struct vmb_dev_uefi_writer writer;
	bool nvram_failed; /* a variable could not be kept: reported once */

	pthread_mutex_t lock; /* of all that follows, and of vars */
	const struct vmb_dev_memory *memory;
	uint32_t selector;
	struct vmb_dev_uefi_watchdog watchdog; /* the owner says once whether it is there */
	uint64_t log_gpa; /* of the firmware's log; 0: none */
	uint64_t generation_gpa; /* where the guest looks for its generation id */
	bool exited; /* boot services have ended: a system runs */
	uint32_t lines; /* that were reported of what the firmware says: there is a limit */
	bool crashed; /* in this start, the firmware or the system */
	bool collected; /* its log was reported, because it asked for that */
	bool gave_up; /* the firmware found nothing that it can start */
};

/*
 * nvram: the file of the variables, or NULL. Returns 0, or -EINVAL: reported in one line. u must be
 * closed in either case.
 */
int vmb_dev_uefi_open(struct vmb_dev_uefi *u, const char *nvram);
/*
 * Before threads lose the right to open files: from here on a thread of its own writes the file.
 * Returns 0, or -errno: reported.
 */
int vmb_dev_uefi_start(struct vmb_dev_uefi *u);
void vmb_dev_uefi_close(struct vmb_dev_uefi *u);
/* A machine starts; memory must outlive it. */
void vmb_dev_uefi_restart(struct vmb_dev_uefi *u, const struct vmb_dev_memory *memory);

/*
 * 32-bit accesses of the guest to VMB_DEV_UEFI_PORT (data: false) and VMB_DEV_UEFI_PORT_DATA. Any
 * thread; a write of a variable that stays returns when it is in its file.
 */
void vmb_dev_uefi_write(struct vmb_dev_uefi *u, bool data, uint32_t value);
uint32_t vmb_dev_uefi_read(struct vmb_dev_uefi *u, bool data);

/*
 * To be called once a second while the machine runs. Returns whether its watchdog has run out, and
 * it must be reset: once.
 */
bool vmb_dev_uefi_tick(struct vmb_dev_uefi *u);

/* Returns whether boot services have ended: a system runs. */
bool vmb_dev_uefi_has_exited(struct vmb_dev_uefi *u);
/*
 * The guest reports a crash. If no system runs yet, len bytes at gpa are a text of the firmware's,
 * which is reported.
 */
void vmb_dev_uefi_crashed(struct vmb_dev_uefi *u, uint64_t gpa, uint64_t len);
/* The machine has stopped: if its firmware never came to a system, what it logged is reported. */
void vmb_dev_uefi_stopped(struct vmb_dev_uefi *u);
/* Returns whether the firmware said that there is nothing to boot, and no system ran after that. */
bool vmb_dev_uefi_gave_up(struct vmb_dev_uefi *u);

#endif
