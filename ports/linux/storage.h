/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of storvsc.ko share: one SCSI host per storage channel.
 *
 * Who runs where: queuecommand submits, on any CPU; the channel's softirq feeds the protocol core
 * and completes commands; a work item scans, another removes disks; the SCSI error handler's
 * thread resets.
 *
 * Each tag has a slot of the core. The SCSI layer reuses a tag only after its command has ended,
 * and a command ends only when the host has released its pages, so no slot is reused while the host
 * holds it. A user's command may end before: then its tag gets a slot that is spare.
 */
#ifndef PORTS_LINUX_STORAGE_H
#define PORTS_LINUX_STORAGE_H

#include <linux/workqueue.h>
#include <scsi/scsi_cmnd.h>
#include <scsi/scsi_device.h>
#include <scsi/scsi_host.h>
#include "ports/linux/compat.h"
#include "ports/linux/storage_link.h"

#define STORVSC_TARGET_COUNT 2
#define STORVSC_LUN_COUNT    256

#define STORVSC_SPARE_MAX    16

/* A slot that no tag has: it is free, or the host has a request that nobody waits for any more. */
struct storvsc_spare {
	u32 slot;
	bool abandoned;
	unsigned long since, due; /* when its request was sent, and is overdue */
};

struct storvsc_bounce;

struct storvsc {
	struct storage_link link;
	struct Scsi_Host *host;
	bool ide; /* one unit, at address; host:0:0:0 to the SCSI layer */
	struct vmb_guest_storage_address address;
	bool removing; /* no more work is queued */
	struct work_struct scan_work, gone_work;
	DECLARE_BITMAP(gone, STORVSC_TARGET_COUNT *STORVSC_LUN_COUNT); /* disks to remove */
	/* Commands of users: see storage_user.c. */
	u32 *slot_of; /* by tag; its command's owner changes it */
	struct storvsc_bounce **bounces; /* by slot */
	spinlock_t spare_lock;
	struct storvsc_spare spares[STORVSC_SPARE_MAX];
	u32 spare_count; /* tags are so many fewer than slots */
	struct delayed_work late_work;
};
#define to_storvsc(l) container_of(l, struct storvsc, link)

/*
 * storage_ide.c. chosen: the user named this driver for the device, which overrides ide=. The
 * checks return 0; -ENODEV: the device is not for this driver; other errors are reported.
 * check_offer is called before the link is started, check_unit after.
 */
int storvsc_ide_init(void);
bool storvsc_is_ide(const struct vmb_device *device);
int storvsc_ide_check_offer(struct storvsc *s, bool chosen);
int storvsc_ide_check_unit(struct storvsc *s, bool chosen);

/* storage_error.c */
void storvsc_complete(struct storvsc *s, const struct vmb_guest_storage_event *event);
void storvsc_lost(struct storage_link *link, u32 slot, void *cookie, enum storage_link_loss loss);
enum scsi_timeout_action storvsc_timed_out(struct scsi_cmnd *cmd);
int storvsc_abort(struct scsi_cmnd *cmd);
int storvsc_host_reset(struct scsi_cmnd *cmd);

/*
 * storage_user.c. prepare before all others; start after the link has started: 0 or -ENOMEM, and
 * free undoes it. stop before the link is stopped, when no command is left.
 */
void storvsc_user_prepare(struct storvsc *s);
int storvsc_user_start(struct storvsc *s);
void storvsc_user_stop(struct storvsc *s);
void storvsc_user_free(struct storvsc *s);

/*
 * Before cmd is sent in slot: returns the number of page frame numbers written, or 0: the command's
 * own pages are to be sent. Afterwards exactly one of answered (data_len: bytes that came) and lost
 * must be called; lost too if it was not sent. held: the host may still write to the pages. lost
 * returns whether pages of ours were used.
 */
u32 storvsc_user_pages(struct storvsc *s, u32 slot, struct scsi_cmnd *cmd, u64 *pfns);
void storvsc_user_answered(struct storvsc *s, u32 slot, struct scsi_cmnd *cmd, u32 data_len);
bool storvsc_user_lost(struct storvsc *s, u32 slot, bool held);

/*
 * The command's time is over. Returns true if it is a user's and may end: its tag has another slot.
 * ended must be called when the host has answered it, or it was lost.
 */
bool storvsc_user_abandon(struct storvsc *s, struct scsi_cmnd *cmd);
void storvsc_user_ended(struct storvsc *s, u32 slot, bool held);

#endif
