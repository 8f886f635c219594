// SPDX-License-Identifier: GPL-2.0-only
/*
 * How storage commands end: what a status means to the SCSI layer, and what is done about a host
 * that does not answer. A command whose time is up stays with the host until the link has it back,
 * so
 *
 *   time-out    is told to the link, and the command waits on: the error handler does not start,
 *               which would take the disks offline when it finds no way. A time-out that is
 *               shorter than the disk's own, as a scan's, is no reason to reset the bus. A user's
 *               command ends: see storage_user.c
 *   abort       succeeds if the answer came in the meantime, or the tag's slot is a spare one by
 *               now; else fails
 *   host reset  is storage_link_reset()
 *
 * The SCSI layer ends a command that is older than all its retries could be, when it is to be tried
 * again; a host that is slow is no reason for that, so such a command is made young again.
 */
#include <scsi/scsi.h>
#include <scsi/scsi_dbg.h>
#include <scsi/scsi_eh.h>
#include "ports/linux/storage.h"

/* ---- what a status means ---- */

/* By enum vmb_srb_status, plus one; 0, what is not named, is an error that is worth a retry. */
#define HOST_BYTE(byte) ((byte) + 1)
static const u8 host_bytes[VMB_SRB_STATUS_MASK + 1] = {
	[VMB_SRB_SUCCESS] = HOST_BYTE(DID_OK),
	[VMB_SRB_DATA_OVERRUN] = HOST_BYTE(DID_OK), /* less data than asked for: see the residual */
	[VMB_SRB_ABORTED] = HOST_BYTE(DID_RESET),
	[VMB_SRB_BUS_RESET] = HOST_BYTE(DID_RESET),
	[VMB_SRB_REQUEST_FLUSHED] = HOST_BYTE(DID_RESET),
	[VMB_SRB_BUSY] = HOST_BYTE(DID_BUS_BUSY),
	[VMB_SRB_INVALID_PATH_ID] = HOST_BYTE(DID_NO_CONNECT),
	[VMB_SRB_NO_DEVICE] = HOST_BYTE(DID_NO_CONNECT),
	[VMB_SRB_SELECTION_TIMEOUT] = HOST_BYTE(DID_NO_CONNECT),
	[VMB_SRB_NO_HBA] = HOST_BYTE(DID_NO_CONNECT),
	[VMB_SRB_INVALID_LUN] = HOST_BYTE(DID_NO_CONNECT),
	[VMB_SRB_INVALID_TARGET_ID] = HOST_BYTE(DID_NO_CONNECT),
	[VMB_SRB_TIMEOUT] = HOST_BYTE(DID_SOFT_ERROR),
	[VMB_SRB_COMMAND_TIMEOUT] = HOST_BYTE(DID_SOFT_ERROR),
	[VMB_SRB_PARITY_ERROR] = HOST_BYTE(DID_PARITY),
};

static u8 host_byte_of(u8 srb_status)
{
	u8 byte = host_bytes[srb_status & VMB_SRB_STATUS_MASK];

	return byte ? byte - 1 : DID_ERROR;
}

static bool is_unknown_request(u8 srb_status)
{
	return srb_status == VMB_SRB_INVALID_REQUEST || srb_status == VMB_SRB_BAD_FUNCTION;
}

/*
 * A SCSI status says more than the SRB's "error" around it; check condition only with sense data.
 */
static bool scsi_status_counts(const struct vmb_guest_storage_event *event)
{
	if (event->scsi_status == SAM_STAT_CHECK_CONDITION)
		return event->sense_len;
	return event->scsi_status != SAM_STAT_GOOD;
}

static void set_result(struct scsi_cmnd *cmd, const struct vmb_guest_storage_event *event)
{
	u8 host = host_byte_of(event->srb_status);

	if (event->sense_len)
		memcpy(cmd->sense_buffer, event->sense, event->sense_len);
	if (scsi_status_counts(event) && host != DID_NO_CONNECT)
		cmd->result = event->scsi_status;
	else if (is_unknown_request(event->srb_status))
		scsi_build_sense(cmd, 0, ILLEGAL_REQUEST, 0x20, 0);
	else
		cmd->result = host << 16;
	if (host == DID_RESET)
		WRITE_ONCE(cmd->jiffies_at_alloc, jiffies);
	scsi_set_resid(cmd, scsi_bufflen(cmd) - event->data_len);
}

/* A scan looks for LUNs that may not be there; everything else means a disk that went away. */
static bool proves_absence(const struct scsi_cmnd *cmd, const struct vmb_guest_storage_event *event)
{
	return event->srb_status == VMB_SRB_INVALID_LUN && cmd->cmnd[0] != INQUIRY &&
	       cmd->cmnd[0] != REPORT_LUNS;
}

static void queue_removal(struct storvsc *s, const struct scsi_device *sdev)
{
	if (READ_ONCE(s->removing))
		return;
	set_bit(sdev->id * STORVSC_LUN_COUNT + sdev->lun, s->gone);
	schedule_work(&s->gone_work);
}

void storvsc_complete(struct storvsc *s, const struct vmb_guest_storage_event *event)
{
	struct scsi_cmnd *cmd = event->cookie;

	if (!cmd) {
		storvsc_user_ended(s, event->slot, false);
		return;
	}
	if (blk_rq_is_passthrough(scsi_cmd_to_rq(cmd)))
		storvsc_user_answered(s, event->slot, cmd, event->data_len);
	if (proves_absence(cmd, event))
		queue_removal(s, cmd->device);
	set_result(cmd, event);
	scsi_done(cmd);
}

/* ---- a host that does not answer ---- */

static void leak_pages(struct scsi_cmnd *cmd)
{
	struct scatterlist *sg;
	int i;

	scsi_for_each_sg(cmd, sg, scsi_sg_count(cmd), i)
		storage_link_leak(sg_phys(sg), sg->length);
}

void storvsc_lost(struct storage_link *link, u32 slot, void *cookie, enum storage_link_loss loss)
{
	struct storvsc *s = to_storvsc(link);
	struct scsi_cmnd *cmd = cookie;
	u8 host_byte = loss == STORAGE_LINK_REPLACED ? DID_REQUEUE : DID_NO_CONNECT;
	bool held = loss == STORAGE_LINK_HELD;

	if (!cmd) {
		storvsc_user_ended(s, slot, held);
		return;
	}
	if (!storvsc_user_lost(s, slot, held) && held)
		leak_pages(cmd);
	cmd->result = host_byte << 16;
	WRITE_ONCE(cmd->jiffies_at_alloc, jiffies);
	scsi_set_resid(cmd, scsi_bufflen(cmd));
	scsi_done(cmd);
}

enum scsi_timeout_action storvsc_timed_out(struct scsi_cmnd *cmd)
{
	struct storvsc *s = shost_priv(cmd->device->host);
	/* A command that is being lost is made young meanwhile. */
	unsigned long since = READ_ONCE(cmd->jiffies_at_alloc);

	if (storvsc_user_abandon(s, cmd))
		return SCSI_EH_NOT_HANDLED; /* which means: abort it, alone */
	if (jiffies - since >= cmd->device->request_queue->rq_timeout)
		storage_link_overdue(&s->link, since);
	return SCSI_EH_RESET_TIMER;
}

/*
 * An answer may still be on its way to the SCSI layer: wait until it is handled before the command
 * is given back.
 */
int storvsc_abort(struct scsi_cmnd *cmd)
{
	struct storvsc *s = shost_priv(cmd->device->host);

	if (storage_link_holds(&s->link, s->slot_of[scsi_cmd_to_rq(cmd)->tag]))
		return FAILED;
	storage_link_settle(&s->link);
	return SUCCESS;
}

/* The error handler's thread, or a user's ioctl with commands still running. */
int storvsc_host_reset(struct scsi_cmnd *cmd)
{
	struct storvsc *s = shost_priv(cmd->device->host);

	return storage_link_reset(&s->link) ? FAILED : SUCCESS;
}
