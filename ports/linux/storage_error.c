// SPDX-License-Identifier: GPL-2.0-only
/*
 * How storage commands end: what a status means to the SCSI layer, and what is done about a host
 * that does not answer.
 *
 * The protocol has no abort, so a command whose time is up stays with the host, which may still
 * move its data. It is never given back to the SCSI layer before that is over:
 *
 *   abort       fails, unless the answer came in the meantime
 *   host reset  asks the host for RESET_BUS and waits for the answers; if some are still missing,
 *               closes the channel. Once the host has let go of the rings it has forgotten all
 *               requests; they end, and a new channel is opened.
 *
 * A host that does not even let go of the rings is given up: all commands end with an error, now
 * and later, and the pages that it may still write to are leaked, by a reference that is never
 * dropped.
 */
#include <linux/mm.h>
#include <scsi/scsi.h>
#include <scsi/scsi_dbg.h>
#include <scsi/scsi_eh.h>
#include "ports/linux/storage.h"

#define RESET_WAIT	(10 * HZ)
#define DRAIN_WAIT	(5 * HZ)
#define SLOT_TAKEN	3u /* see struct vmb_guest_storage_slot */

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

	if (!cmd)
		return;
	if (proves_absence(cmd, event))
		queue_removal(s, cmd->device);
	set_result(cmd, event);
	scsi_done(cmd);
}

/* ---- a host that does not answer ---- */

static bool slot_taken(const struct storvsc *s, u32 slot)
{
	return READ_ONCE(s->slots[slot].state) & SLOT_TAKEN;
}

static bool drained(const struct storvsc *s)
{
	u32 slot;

	for (slot = 0; slot < s->slot_count; slot++)
		if (slot_taken(s, slot))
			return false;
	return true;
}

/* The host may write to these for ever, so nobody else may get them. Slab pages cannot be held. */
static void leak_pages(struct scsi_cmnd *cmd)
{
	struct scatterlist *sg;
	phys_addr_t at, end;
	struct page *page;
	int i;

	scsi_for_each_sg(cmd, sg, scsi_sg_count(cmd), i) {
		at = sg_phys(sg) & PAGE_MASK;
		end = sg_phys(sg) + sg->length;
		for (; at < end; at += PAGE_SIZE) {
			page = pfn_to_page(PHYS_PFN(at));
			if (!PageSlab(page))
				get_page(page);
		}
	}
}

/*
 * Ends all that the host still holds. forgotten: it has let go of the channel, and so of the data.
 */
static void fail_all(struct storvsc *s, u8 host_byte, bool forgotten)
{
	struct vmb_guest_storage_event event;
	struct scsi_cmnd *cmd;

	while (!vmb_guest_storage_fail_next(&s->core, &event)) {
		cmd = event.cookie;
		if (!cmd)
			continue;
		if (!forgotten)
			leak_pages(cmd);
		cmd->result = host_byte << 16;
		scsi_set_resid(cmd, scsi_bufflen(cmd));
		scsi_done(cmd);
	}
}

/* The channel is closed for good. */
void storvsc_give_up(struct storvsc *s, bool forgotten)
{
	WRITE_ONCE(s->state, STORVSC_GONE);
	synchronize_rcu(); /* nobody is between submit and send any more */
	fail_all(s, DID_NO_CONNECT, forgotten);
}

int storvsc_abort(struct scsi_cmnd *cmd)
{
	struct storvsc *s = shost_priv(cmd->device->host);

	return slot_taken(s, scsi_cmd_to_rq(cmd)->tag) ? FAILED : SUCCESS;
}

/* True when the host has answered all. */
static bool reset_politely(struct storvsc *s)
{
	spin_lock_bh(&s->control_lock);
	s->reset_done = false;
	vmb_guest_storage_reset(&s->core);
	storvsc_pump(s);
	spin_unlock_bh(&s->control_lock);
	wait_event_timeout(s->wait, READ_ONCE(s->reset_done) || s->state == STORVSC_GONE,
			   RESET_WAIT);
	return wait_event_timeout(s->wait, drained(s) || s->state == STORVSC_GONE, DRAIN_WAIT) &&
	       drained(s);
}

static int reconnect(struct storvsc *s)
{
	int rc;

	if (cmpxchg(&s->state, STORVSC_UP, STORVSC_DOWN) != STORVSC_UP)
		return -ENODEV; /* rescinded: remove() is on its way */
	synchronize_rcu();
	dev_warn(&s->device->dev, "the host owes answers, replacing the channel\n");
	rc = vmb_channel_close(s->device->channel);
	if (rc) {
		storvsc_give_up(s, false);
		return rc;
	}
	fail_all(s, DID_RESET, true);
	rc = storvsc_connect(s);
	if (rc)
		WRITE_ONCE(s->state, STORVSC_GONE);
	else
		cmpxchg(&s->state, STORVSC_DOWN, STORVSC_UP);
	return rc;
}

/* The error handler's thread, or a user's ioctl with commands still running. */
int storvsc_host_reset(struct scsi_cmnd *cmd)
{
	struct storvsc *s = shost_priv(cmd->device->host);
	int rc = 0;

	mutex_lock(&s->reset_mutex);
	if (!reset_politely(s))
		rc = reconnect(s);
	mutex_unlock(&s->reset_mutex);
	if (rc)
		dev_err(&s->device->dev, "reset failed with error %d\n", rc);
	return rc ? FAILED : SUCCESS;
}
