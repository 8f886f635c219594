// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests of the block layer as SCSI commands, and what becomes of them.
 */
#include <linux/io.h>
#include <scsi/scsi_proto.h>
#include "ports/linux/block.h"
#include "ports/linux/block_compat.h"

#define RETRIES_MAX 5
#define RETRY_DELAY 100 /* ms */
#define CDB_FUA	    0x08 /* byte 1 of READ and WRITE */
#define CDB_UNMAP   0x08 /* byte 1 of WRITE SAME */

/* ---- commands ---- */

static u64 first_block(const struct blkvsc *b, const struct request *rq)
{
	return blk_rq_pos(rq) >> (b->unit.block_shift - SECTOR_SHIFT);
}

static u32 count_blocks(const struct blkvsc *b, const struct request *rq)
{
	return blk_rq_bytes(rq) >> b->unit.block_shift;
}

/* Appends the pages that len bytes at `at` lie in. Returns how many there are now. */
static u32 append_pages(u64 *pfns, u32 count, u32 pfn_max, phys_addr_t at, u32 len)
{
	phys_addr_t end = at + len;

	for (at &= PAGE_MASK; at < end && count < pfn_max; at += PAGE_SIZE)
		pfns[count++] = at >> PAGE_SHIFT;
	return count;
}

/*
 * The queue's boundary mask makes all segments but the first start, and all but the last end, at a
 * page's edge: so they form one range. Most requests have one segment and need no loop.
 */
static int list_pages(struct request *rq, u64 *pfns, u32 pfn_max, u32 *offset)
{
	struct bio_vec bv = req_bvec(rq);
	phys_addr_t at = page_to_phys(bv.bv_page) + bv.bv_offset;
	struct req_iterator iter;
	u32 count = 0;

	*offset = offset_in_page(at);
	if (blk_rq_nr_phys_segments(rq) == 1)
		return append_pages(pfns, 0, pfn_max, at, blk_rq_bytes(rq));
	rq_for_each_bvec(bv, rq, iter)
	{
		at = page_to_phys(bv.bv_page) + bv.bv_offset;
		count = append_pages(pfns, count, pfn_max, at, bv.bv_len);
	}
	return count;
}

static void put_rw10(u8 *cdb, u64 block, u32 count)
{
	put_unaligned_be32(block, cdb + 2);
	put_unaligned_be16(count, cdb + 7);
}

static void put_rw16(u8 *cdb, u64 block, u32 count)
{
	put_unaligned_be64(block, cdb + 2);
	put_unaligned_be32(count, cdb + 10);
}

static int build_rw(struct blkvsc *b, struct request *rq, struct vmb_guest_storage_request *request)
{
	bool write = req_op(rq) == REQ_OP_WRITE;
	u64 block = first_block(b, rq);
	u32 count = count_blocks(b, rq);

	if (block + count <= U32_MAX && count <= U16_MAX) {
		request->cdb[0] = write ? WRITE_10 : READ_10;
		request->cdb_len = 10;
		put_rw10(request->cdb, block, count);
	} else {
		request->cdb[0] = write ? WRITE_16 : READ_16;
		request->cdb_len = 16;
		put_rw16(request->cdb, block, count);
	}
	if (rq->cmd_flags & REQ_FUA)
		request->cdb[1] = CDB_FUA;
	request->direction = write ? VMB_STOR_WRITE : VMB_STOR_READ;
	request->data_len = blk_rq_bytes(rq);
	return list_pages(rq, storage_link_pfns(&b->link, rq->tag), b->link.pfn_max,
			  &request->data_offset);
}

static int build_flush(struct blkvsc *b, struct request *rq,
		       struct vmb_guest_storage_request *request)
{
	request->cdb[0] = SYNCHRONIZE_CACHE;
	request->cdb_len = 10;
	request->direction = VMB_STOR_NO_DATA;
	return 0;
}

/* One descriptor, which lies beside the request: it may cross into another page. */
static int build_discard(struct blkvsc *b, struct request *rq,
			 struct vmb_guest_storage_request *request)
{
	struct blkvsc_request *mine = blk_mq_rq_to_pdu(rq);
	u64 *pfns = storage_link_pfns(&b->link, rq->tag);
	phys_addr_t at = virt_to_phys(mine->unmap);

	if (!b->unit.unmap_max)
		return -EOPNOTSUPP;
	memset(mine->unmap, 0, sizeof(mine->unmap));
	put_unaligned_be16(sizeof(mine->unmap) - 2, mine->unmap);
	put_unaligned_be16(sizeof(mine->unmap) - 8, mine->unmap + 2);
	put_unaligned_be64(first_block(b, rq), mine->unmap + 8);
	put_unaligned_be32(count_blocks(b, rq), mine->unmap + 16);
	request->cdb[0] = UNMAP;
	request->cdb_len = 10;
	request->cdb[8] = sizeof(mine->unmap);
	request->direction = VMB_STOR_WRITE;
	request->data_len = sizeof(mine->unmap);
	request->data_offset = offset_in_page(at);
	pfns[0] = at >> PAGE_SHIFT;
	if (request->data_offset + request->data_len <= PAGE_SIZE)
		return 1;
	pfns[1] = pfns[0] + 1;
	return 2;
}

static int build_zeroes(struct blkvsc *b, struct request *rq,
			struct vmb_guest_storage_request *request)
{
	if (!b->unit.zeroes_max)
		return -EOPNOTSUPP;
	request->cdb[0] = WRITE_SAME_16;
	request->cdb_len = 16;
	put_rw16(request->cdb, first_block(b, rq), count_blocks(b, rq));
	if (b->unit.zeroes_may_unmap && !(rq->cmd_flags & REQ_NOUNMAP))
		request->cdb[1] = CDB_UNMAP;
	request->direction = VMB_STOR_WRITE;
	request->data_len = b->unit.block_len;
	storage_link_pfns(&b->link, rq->tag)[0] = page_to_pfn(ZERO_PAGE(0));
	return 1;
}

static int (*const builders[REQ_OP_LAST])(struct blkvsc *b, struct request *rq,
					  struct vmb_guest_storage_request *request) = {
	[REQ_OP_READ] = build_rw,
	[REQ_OP_WRITE] = build_rw,
	[REQ_OP_FLUSH] = build_flush,
	[REQ_OP_DISCARD] = build_discard,
	[REQ_OP_WRITE_ZEROES] = build_zeroes,
};

int blkvsc_build(struct blkvsc *b, struct request *rq, struct vmb_guest_storage_request *request)
{
	struct blkvsc_request *mine = blk_mq_rq_to_pdu(rq);
	unsigned int op = (__force unsigned int)req_op(rq);

	if (unlikely(op >= ARRAY_SIZE(builders) || !builders[op]))
		return -EOPNOTSUPP;
	memset(request, 0, sizeof(*request));
	request->cookie = rq;
	request->path_id = b->address.path_id;
	request->target_id = b->address.target_id;
	request->lun = b->address.lun;
	request->timeout_s = rq->timeout / HZ;
	mine->resets = READ_ONCE(b->link.resets);
	/* A direct call is cheaper, and these are nearly all. */
	if (likely(req_op(rq) == REQ_OP_READ || req_op(rq) == REQ_OP_WRITE))
		return build_rw(b, rq, request);
	return builders[op](b, rq, request);
}

/* ---- how they end ---- */

struct verdict {
	blk_status_t status;
	bool retry; /* a few times, before status stands */
};

/* All others are I/O errors. */
static const struct verdict by_srb_status[VMB_SRB_STATUS_MASK + 1] = {
	[VMB_SRB_ABORTED] = { BLK_STS_IOERR, true },
	[VMB_SRB_BUSY] = { BLK_STS_IOERR, true },
	[VMB_SRB_BUS_RESET] = { BLK_STS_IOERR, true },
	[VMB_SRB_REQUEST_FLUSHED] = { BLK_STS_IOERR, true },
	[VMB_SRB_TIMEOUT] = { BLK_STS_TIMEOUT, true },
	[VMB_SRB_COMMAND_TIMEOUT] = { BLK_STS_TIMEOUT, true },
	[VMB_SRB_NO_DEVICE] = { BLK_STS_OFFLINE, false },
	[VMB_SRB_NO_HBA] = { BLK_STS_OFFLINE, false },
	[VMB_SRB_INVALID_LUN] = { BLK_STS_OFFLINE, false },
	[VMB_SRB_INVALID_TARGET_ID] = { BLK_STS_OFFLINE, false },
	[VMB_SRB_INVALID_PATH_ID] = { BLK_STS_OFFLINE, false },
	[VMB_SRB_SELECTION_TIMEOUT] = { BLK_STS_OFFLINE, false },
	[VMB_SRB_BAD_FUNCTION] = { BLK_STS_NOTSUPP, false },
};

static const struct verdict by_sense_key[16] = {
	[MEDIUM_ERROR] = { BLK_STS_MEDIUM, false },
	[ILLEGAL_REQUEST] = { BLK_STS_TARGET, false },
	[UNIT_ATTENTION] = { BLK_STS_IOERR, true },
	[ABORTED_COMMAND] = { BLK_STS_IOERR, true },
};

static struct verdict name_it(struct verdict verdict)
{
	if (verdict.status == BLK_STS_OK)
		verdict.status = BLK_STS_IOERR;
	return verdict;
}

/* Key in the low, additional sense code in the high byte; fixed and descriptor format. */
static u16 read_sense(const struct vmb_guest_storage_event *event)
{
	const u8 *sense = event->sense;

	if (event->sense_len >= 14 && (sense[0] & 0x7e) == 0x70)
		return (sense[2] & 0xf) | sense[12] << 8;
	if (event->sense_len >= 3 && (sense[0] & 0x7e) == 0x72)
		return (sense[1] & 0xf) | sense[2] << 8;
	return NO_SENSE;
}

/* An optional command that the unit turns out not to have: nobody asks for it again. */
static bool forget_optional(struct blkvsc *b, const struct request *rq, u8 code)
{
	if (code != 0x20 && code != 0x24 && code != 0x26)
		return false;
	if (req_op(rq) == REQ_OP_DISCARD) {
		b->unit.unmap_max = 0;
		blk_queue_disable_discard(rq->q);
		return true;
	}
	if (req_op(rq) == REQ_OP_WRITE_ZEROES) {
		b->unit.zeroes_max = 0;
		blk_queue_disable_write_zeroes(rq->q);
		return true;
	}
	return false;
}

static struct verdict judge_sense(struct blkvsc *b, const struct request *rq,
				  const struct vmb_guest_storage_event *event)
{
	u16 sense = read_sense(event);
	u8 key = sense & 0xf;

	if (key == RECOVERED_ERROR)
		return (struct verdict){ BLK_STS_OK, false };
	if (key == ILLEGAL_REQUEST && forget_optional(b, rq, sense >> 8))
		return (struct verdict){ BLK_STS_NOTSUPP, false };
	return name_it(by_sense_key[key]);
}

/* A SCSI status says more than the SRB's "error" around it. */
static struct verdict judge(struct blkvsc *b, const struct request *rq,
			    const struct vmb_guest_storage_event *event)
{
	switch (event->scsi_status) {
	case SAM_STAT_GOOD: break;
	case SAM_STAT_CHECK_CONDITION:
		if (event->sense_len)
			return judge_sense(b, rq, event);
		break;
	case SAM_STAT_BUSY:
	case SAM_STAT_TASK_SET_FULL: return (struct verdict){ BLK_STS_IOERR, true };
	case SAM_STAT_RESERVATION_CONFLICT: return (struct verdict){ BLK_STS_RESV_CONFLICT, false };
	default: return (struct verdict){ BLK_STS_IOERR, false };
	}
	return name_it(by_srb_status[event->srb_status & VMB_SRB_STATUS_MASK]);
}

static bool went_well(const struct request *rq, const struct vmb_guest_storage_event *event)
{
	if (event->srb_status != VMB_SRB_SUCCESS || event->scsi_status)
		return false;
	/* Only of these two is data_len a length of the request's data. */
	if (req_op(rq) == REQ_OP_READ || req_op(rq) == REQ_OP_WRITE)
		return event->data_len == blk_rq_bytes(rq);
	return true;
}

/*
 * A retry does not count if the request ended because of a reset after it was sent, or because the
 * channel ended.
 */
static bool may_retry(struct request *rq)
{
	struct blkvsc *b = rq->q->queuedata;
	struct blkvsc_request *mine = blk_mq_rq_to_pdu(rq);

	if (mine->resets != READ_ONCE(b->link.resets))
		return true;
	return mine->retries++ < RETRIES_MAX;
}

static void retry_or_end(struct request *rq, struct verdict verdict)
{
	struct blkvsc_request *mine = blk_mq_rq_to_pdu(rq);

	if (verdict.retry && may_retry(rq)) {
		blk_mq_requeue_request(rq, false);
		blk_mq_delay_kick_requeue_list(rq->q, RETRY_DELAY);
		return;
	}
	mine->retries = 0;
	blk_mq_end_request(rq, verdict.status);
}

void blkvsc_complete(struct blkvsc *b, struct request *rq,
		     const struct vmb_guest_storage_event *event)
{
	struct blkvsc_request *mine = blk_mq_rq_to_pdu(rq);

	if (unlikely(!went_well(rq, event))) {
		retry_or_end(rq, judge(b, rq, event));
		return;
	}
	mine->retries = 0;
	if (!blk_mq_add_to_batch(rq, &b->batch, 0, blk_mq_end_request_batch))
		blk_mq_end_request(rq, BLK_STS_OK);
}

void blkvsc_end_batch(struct blkvsc *b)
{
	if (!b->batch.complete)
		return;
	b->batch.complete(&b->batch);
	memset(&b->batch, 0, sizeof(b->batch));
}

static void leak_pages(struct request *rq)
{
	struct req_iterator iter;
	struct bio_vec bv;

	if (req_op(rq) != REQ_OP_READ && req_op(rq) != REQ_OP_WRITE)
		return;
	rq_for_each_bvec(bv, rq, iter)
		storage_link_leak(page_to_phys(bv.bv_page) + bv.bv_offset, bv.bv_len);
}

void blkvsc_lost(struct storage_link *link, u32 slot, void *cookie, enum storage_link_loss loss)
{
	struct request *rq = cookie;

	if (loss == STORAGE_LINK_HELD)
		leak_pages(rq);
	if (loss == STORAGE_LINK_REPLACED)
		retry_or_end(rq, (struct verdict){ BLK_STS_IOERR, true });
	else
		retry_or_end(rq, (struct verdict){ BLK_STS_OFFLINE, false });
}
