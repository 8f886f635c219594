/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of storvsc.ko share: one SCSI host per storage channel.
 *
 * Who runs where: queuecommand submits, on any CPU; the channel's softirq feeds the protocol core
 * and completes commands; a work item scans, another removes disks; the SCSI error handler's
 * thread resets.
 *
 * A slot of the core is a command's tag. The SCSI layer reuses a tag only after its command has
 * ended, and a command ends only when the host has released its pages, so no slot is reused while
 * the host holds it.
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

struct storvsc {
	struct storage_link link;
	struct Scsi_Host *host;
	bool ide; /* one unit, at address; host:0:0:0 to the SCSI layer */
	struct vmb_guest_storage_address address;
	bool removing; /* no more work is queued */
	struct work_struct scan_work, gone_work;
	DECLARE_BITMAP(gone, STORVSC_TARGET_COUNT *STORVSC_LUN_COUNT); /* disks to remove */
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
void storvsc_lost(struct storage_link *link, void *cookie, enum storage_link_loss loss);
enum scsi_timeout_action storvsc_timed_out(struct scsi_cmnd *cmd);
int storvsc_abort(struct scsi_cmnd *cmd);
int storvsc_host_reset(struct scsi_cmnd *cmd);

#endif
