/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the storage drivers use of the SCSI layer. A command belongs to the thread that submits it,
 * as a request in block.h; a scan makes the units that a test names.
 */
#ifndef TESTS_LINUX_SCSI_H
#define TESTS_LINUX_SCSI_H

#include "tests/linux/block.h"

#define TEST_UNIT_READY		      0x00
#define INQUIRY			      0x12
#define MODE_SENSE		      0x1a
#define READ_CAPACITY		      0x25
#define READ_10			      0x28
#define WRITE_10		      0x2a
#define SYNCHRONIZE_CACHE	      0x35
#define UNMAP			      0x42
#define READ_16			      0x88
#define WRITE_16		      0x8a
#define WRITE_SAME_16		      0x93
#define SERVICE_ACTION_IN_16	      0x9e
#define SAI_READ_CAPACITY_16	      0x10
#define REPORT_LUNS		      0xa0

#define SAM_STAT_GOOD		      0x00
#define SAM_STAT_CHECK_CONDITION      0x02
#define SAM_STAT_BUSY		      0x08
#define SAM_STAT_RESERVATION_CONFLICT 0x18
#define SAM_STAT_TASK_SET_FULL	      0x28

#define NO_SENSE		      0x0
#define RECOVERED_ERROR		      0x1
#define MEDIUM_ERROR		      0x3
#define ILLEGAL_REQUEST		      0x5
#define UNIT_ATTENTION		      0x6
#define ABORTED_COMMAND		      0xb

#define DID_OK			      0x00
#define DID_NO_CONNECT		      0x01
#define DID_BUS_BUSY		      0x02
#define DID_TIME_OUT		      0x03
#define DID_PARITY		      0x06
#define DID_ERROR		      0x07
#define DID_RESET		      0x08
#define DID_SOFT_ERROR		      0x0b
#define DID_REQUEUE		      0x0d
#define SUCCESS			      0x2002
#define FAILED			      0x2003
#define SCMD_LAST		      1
#define SCSI_SPC_3		      6
#define BLIST_REPORTLUN2	      1
#define BLIST_TRY_VPD_PAGES	      2
#define SCSI_MLQUEUE_HOST_BUSY	      0x1055

enum scsi_timeout_action { SCSI_EH_DONE, SCSI_EH_RESET_TIMER, SCSI_EH_NOT_HANDLED };
enum dma_data_direction { DMA_TO_DEVICE = 1, DMA_FROM_DEVICE = 2 };

#define __GFP_NOWARN			   64u
#define __free_page(page)		   put_page(page)
#define DIV_ROUND_UP(n, d)		   (((n) + (d)-1) / (d))
#define struct_size(p, member, count)	   (sizeof(*(p)) + (count) * sizeof(*(p)->member))
#define system_percpu_wq		   system_wq
#define schedule_delayed_work(work, delay) queue_delayed_work(system_wq, work, delay)

struct scatterlist {
	struct page *page;
	unsigned int offset, length;
};
#define sg_phys(sg) (page_to_phys((sg)->page) + (sg)->offset)

struct scsi_device;
struct scsi_cmnd {
	struct scsi_device *device;
	struct request rq;
	u8 cmnd[16];
	unsigned short cmd_len;
	enum dma_data_direction sc_data_direction;
	int flags, result;
	int allowed; /* retries */
	bool timed_out; /* it is the error handler's, or its abort's */
	unsigned long jiffies_at_alloc;
	u8 sense_buffer[96];
	struct scatterlist sg;
	u32 bufflen, resid;
	bool done;
	u32 cpu; /* that a test sends it from */
};
#define scsi_cmd_to_rq(cmd)	       (&(cmd)->rq)
#define scsi_bufflen(cmd)	       ((cmd)->bufflen)
#define scsi_sglist(cmd)	       (&(cmd)->sg)
#define scsi_sg_count(cmd)	       ((cmd)->bufflen ? 1 : 0)
#define scsi_for_each_sg(cmd, s, n, i) for ((s) = &(cmd)->sg, (i) = 0; (i) < (n); (i)++)
#define scsi_set_resid(cmd, n)	       ((cmd)->resid = (n))
size_t sg_pcopy_to_buffer(struct scatterlist *sg, u32 count, void *data, size_t len, off_t skip);
size_t sg_pcopy_from_buffer(struct scatterlist *sg, u32 count, const void *data, size_t len,
			    off_t skip);
void scsi_done(struct scsi_cmnd *cmd);
void scsi_build_sense(struct scsi_cmnd *cmd, int desc, u8 key, u8 asc, u8 ascq);

#define HCTX_TYPE_DEFAULT	      0
#define blk_mq_unique_tag(rq)	      ((rq)->queue_number << 16 | (u32)(rq)->tag)
#define blk_mq_unique_tag_to_hwq(tag) ((tag) >> 16)

struct Scsi_Host;
struct scsi_host_template {
	struct module *module;
	const char *name, *proc_name;
	int (*queuecommand)(struct Scsi_Host *host, struct scsi_cmnd *cmd);
	void (*commit_rqs)(struct Scsi_Host *host, u16 queue);
	enum scsi_timeout_action (*eh_timed_out)(struct scsi_cmnd *cmd);
	int (*eh_abort_handler)(struct scsi_cmnd *cmd);
	int (*eh_host_reset_handler)(struct scsi_cmnd *cmd);
	int (*sdev_init)(struct scsi_device *sdev);
	int (*sdev_configure)(struct scsi_device *sdev, struct queue_limits *limits);
	void (*map_queues)(struct Scsi_Host *host);
	int (*change_queue_depth)(struct scsi_device *sdev, int depth);
	int this_id, skip_settle_delay, track_queue_depth;
	unsigned long virt_boundary_mask;
	unsigned int max_segment_size;
};
#define SHIM_UNITS 4
struct Scsi_Host {
	const struct scsi_host_template *hostt;
	unsigned int max_channel, max_id, max_cmd_len, max_sectors;
	u64 max_lun;
	int can_queue, cmd_per_lun, nr_hw_queues, host_tagset;
	struct {
		struct {
			unsigned int *mq_map;
		} map[1];
	} tag_set;
	unsigned int queue_of_cpu[SHIM_CPUS];
	u64 tags; /* of commands under way */
	unsigned short sg_tablesize;
	struct scsi_device *units[SHIM_UNITS];
	u64 private_data[];
};
struct scsi_device {
	struct Scsi_Host *host;
	unsigned int channel, id;
	u64 lun;
	unsigned int sdev_bflags, no_report_opcodes, no_write_same, wce_default_on;
	const char *vendor;
	int scsi_level;
	unsigned int rq_timeout;
	struct scsi_device *request_queue; /* itself */
};
struct scsi_sense_hdr {
	u8 response_code;
};
#define blk_queue_rq_timeout(q, t) ((q)->rq_timeout = (t))
#define shost_priv(h)		   ((void *)(h)->private_data)
struct Scsi_Host *scsi_host_alloc(const struct scsi_host_template *hostt, int len);
void scsi_host_put(struct Scsi_Host *host);
int scsi_add_host(struct Scsi_Host *host, struct device *device);
void scsi_remove_host(struct Scsi_Host *host);
void scsi_scan_host(struct Scsi_Host *host);
#define shost_for_each_device(sdev, h)                                                         \
	for (int unit_ = 0; unit_ < SHIM_UNITS && ((sdev) = (h)->units[unit_], true); unit_++) \
		if (sdev)
#define scsi_test_unit_ready(sdev, timeout, retries, sense) ((void)(sense))
#define scsi_rescan_device(sdev)			    ((void)(sdev))
struct scsi_device *scsi_device_lookup(struct Scsi_Host *host, u32 channel, u32 id, u64 lun);
void scsi_remove_device(struct scsi_device *sdev);
#define scsi_device_put(sdev) ((void)(sdev))
int scsi_change_queue_depth(struct scsi_device *sdev, int depth);

#define DECLARE_BITMAP(name, bits) u32 name[((bits) + 31) / 32]
#define set_bit(n, map)		   ((map)[(n) / 32] |= 1u << (n) % 32)
#define clear_bit(n, map)	   ((map)[(n) / 32] &= ~(1u << (n) % 32))
#define for_each_set_bit(n, map, len)     \
	for ((n) = 0; (n) < (len); (n)++) \
		if ((map)[(n) / 32] >> (n) % 32 & 1)
int match_string(const char *const *array, size_t len, const char *text);

/* ---- for tests ---- */

extern struct Scsi_Host *shim_host; /* the last that was added, NULL when it was removed */
extern u64 shim_luns[SHIM_UNITS]; /* what REPORT LUNS says, beside LUN 0 */

/* Sends cmd and waits until it is done, as often as the driver is busy or wants it requeued. */
void shim_execute(struct scsi_device *sdev, struct scsi_cmnd *cmd, unsigned long timeout);

#endif
