/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of storvsc.ko share: one SCSI host per storage channel.
 *
 * Who runs where: queuecommand submits, on any CPU; the channel's softirq feeds the protocol core
 * and completes commands; a work item scans, another removes disks; the SCSI error handler's
 * thread resets.
 *
 * A slot of the core is a command's tag. The SCSI layer gives a tag out again only after the
 * command ended, and a command ends only when the host has let go of its pages, so a slot is never
 * asked for while the host holds it.
 */
#ifndef PORTS_LINUX_STORAGE_H
#define PORTS_LINUX_STORAGE_H

#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <scsi/scsi_cmnd.h>
#include <scsi/scsi_device.h>
#include <scsi/scsi_host.h>
#include "guest/storage.h"
#include "ports/linux/vmbus.h"

#define STORVSC_TARGET_COUNT 2
#define STORVSC_LUN_COUNT    256

enum storvsc_state {
	STORVSC_DOWN, /* no channel, or no handshake yet: commands wait */
	STORVSC_UP,
	STORVSC_GONE, /* for good: commands fail */
};

struct storvsc {
	struct vmb_device *device;
	struct Scsi_Host *host;
	enum storvsc_state state; /* read under rcu_read_lock by queuecommand */
	struct vmb_guest_storage core;
	spinlock_t control_lock; /* the core's handshake and reset against its input */
	struct vmb_guest_storage_slot *slots;
	u32 slot_count;
	u64 *pfns; /* pfn_max of them for each slot */
	u32 pfn_max;
	u32 ring_len;
	wait_queue_head_t wait; /* handshake, reset, commands that drain */
	bool reset_done;
	struct mutex reset_mutex;
	bool removing; /* no more work is queued */
	struct work_struct scan_work, gone_work;
	DECLARE_BITMAP(gone, STORVSC_TARGET_COUNT *STORVSC_LUN_COUNT); /* disks to remove */
};

/* storage.c */
int storvsc_connect(struct storvsc *s);
void storvsc_pump(struct storvsc *s);

/* storage_error.c */
void storvsc_complete(struct storvsc *s, const struct vmb_guest_storage_event *event);
void storvsc_give_up(struct storvsc *s, bool disconnected);
int storvsc_abort(struct scsi_cmnd *cmd);
int storvsc_host_reset(struct scsi_cmnd *cmd);

#endif
