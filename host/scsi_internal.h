/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shared by the files of the SCSI target, and included by no others: big-endian fields, sense codes
 * and the few ways in which a command can continue. A command is a handler in the table of its kind
 * of device (host/scsi.c). It ends in exactly one of
 *
 *   vmb_host_scsi_check     CHECK CONDITION with sense data
 *   vmb_host_scsi_conflict  RESERVATION CONFLICT
 *   vmb_host_scsi_answer    GOOD, with bytes of task->data for the guest
 *   vmb_host_scsi_want      bytes of the guest are needed first: the data handler continues
 *   vmb_host_scsi_backend   the medium is needed
 *   return VMB_HOST_SCSI_DONE   GOOD, no data
 *
 * When a handler runs, the task's results say GOOD, nothing moved, and task->data is zero.
 */
#ifndef HOST_SCSI_INTERNAL_H
#define HOST_SCSI_INTERNAL_H

#include "host/scsi.h"

#define VMB_SCSI_GOOD		      0x00u
#define VMB_SCSI_CHECK_CONDITION      0x02u
#define VMB_SCSI_RESERVATION_CONFLICT 0x18u

enum vmb_scsi_opcode { /* those that the code names; the rest are rows of a table */
		       VMB_SCSI_REQUEST_SENSE = 0x03,
		       VMB_SCSI_INQUIRY = 0x12,
		       VMB_SCSI_MODE_SENSE_6 = 0x1A,
		       VMB_SCSI_REPORT_LUNS = 0xA0,
};

enum vmb_scsi_sense { /* sense key, additional code, qualifier */
		      VMB_SENSE_NONE = 0,
		      VMB_SENSE_NOT_READY = 0x020400,
		      VMB_SENSE_NO_MEDIUM = 0x023A00,
		      VMB_SENSE_NO_MEDIUM_TRAY_CLOSED = 0x023A01,
		      VMB_SENSE_NO_MEDIUM_TRAY_OPEN = 0x023A02,
		      VMB_SENSE_WRITE_ERROR = 0x030C00,
		      VMB_SENSE_READ_ERROR = 0x031100,
		      VMB_SENSE_PARAMETER_LEN = 0x051A00,
		      VMB_SENSE_OPCODE = 0x052000,
		      VMB_SENSE_LBA = 0x052100,
		      VMB_SENSE_CDB_FIELD = 0x052400,
		      VMB_SENSE_PARAMETER = 0x052600,
		      VMB_SENSE_RELEASE = 0x052604, /* release of another reservation */
		      VMB_SENSE_NO_SAVING = 0x053900,
		      VMB_SENSE_REMOVAL_PREVENTED = 0x055302,
		      VMB_SENSE_MEDIUM_CHANGED = 0x062800,
		      VMB_SENSE_RESET = 0x062900,
		      VMB_SENSE_CAPACITY_CHANGED = 0x062A09,
		      VMB_SENSE_LUNS_CHANGED = 0x063F0E,
		      VMB_SENSE_WRITE_PROTECTED = 0x072700,
		      VMB_SENSE_SPACE = 0x072707,
};

#define VMB_SENSE_KEY(sense)	      ((uint8_t)((sense) >> 16))
#define VMB_SENSE_KEY_ILLEGAL	      5u

#define VMB_SENSE_FIXED_LEN	      18u

#define VMB_SCSI_EVENT_NEW_MEDIUM     2u /* vmb_host_scsi_lun.media_event */
#define VMB_SCSI_EVENT_MEDIUM_REMOVED 3u

typedef enum vmb_host_scsi_step vmb_host_scsi_handler(struct vmb_host_scsi_bus *bus,
						      struct vmb_host_scsi_task *task);

static inline uint16_t vmb_get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t vmb_get_be24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t vmb_get_be32(const uint8_t *p)
{
	return (uint32_t)vmb_get_be16(p) << 16 | vmb_get_be16(p + 2);
}

static inline uint64_t vmb_get_be64(const uint8_t *p)
{
	return (uint64_t)vmb_get_be32(p) << 32 | vmb_get_be32(p + 4);
}

static inline void vmb_put_be16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static inline void vmb_put_be32(uint8_t *p, uint32_t value)
{
	vmb_put_be16(p, value >> 16);
	vmb_put_be16(p + 2, value);
}

static inline void vmb_put_be64(uint8_t *p, uint64_t value)
{
	vmb_put_be32(p, (uint32_t)(value >> 32));
	vmb_put_be32(p + 4, (uint32_t)value);
}

static inline uint32_t vmb_min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/*
 * Returns the most bytes that one WRITE SAME may cover: VPD B0 announces it, and more is refused.
 */
static inline uint32_t vmb_host_scsi_write_same_max(const struct vmb_host_scsi_bus *bus)
{
	return vmb_min_u32(bus->max_transfer_len, VMB_HOST_SCSI_WRITE_SAME_MAX);
}

/* CHECK CONDITION. Discards any result that was prepared. */
enum vmb_host_scsi_step vmb_host_scsi_check(struct vmb_host_scsi_task *task,
					    enum vmb_scsi_sense sense);

enum vmb_host_scsi_step vmb_host_scsi_conflict(struct vmb_host_scsi_task *task);

/*
 * Returns the first len bytes of task->data to the guest, cut to allocation_len. If a shorter
 * buffer cuts them, it is an overrun.
 */
enum vmb_host_scsi_step vmb_host_scsi_answer(struct vmb_host_scsi_task *task, uint32_t len,
					     uint32_t allocation_len);

/* Asks for len bytes of the guest, 1 to VMB_HOST_SCSI_DATA_MAX. A shorter buffer is an overrun. */
enum vmb_host_scsi_step vmb_host_scsi_want(struct vmb_host_scsi_task *task, uint32_t len);

enum vmb_host_scsi_step vmb_host_scsi_backend(struct vmb_host_scsi_task *task,
					      enum vmb_host_scsi_op op);

/* SRB DATA_OVERRUN, moved_len of the bytes that were to move. */
void vmb_host_scsi_overrun(struct vmb_host_scsi_task *task, uint32_t moved_len);

/* Fixed-format sense data, VMB_SENSE_FIXED_LEN bytes. */
void vmb_host_scsi_sense_fill(uint8_t *p, enum vmb_scsi_sense sense);

static inline bool vmb_host_scsi_medium_present(const struct vmb_host_scsi_lun *unit)
{
	return !unit->medium_absent && !unit->tray_open && unit->block_count > 0;
}

/* host/scsi_inquiry.c */
vmb_host_scsi_handler vmb_host_scsi_inquiry_unit; /* 12 */
vmb_host_scsi_handler vmb_host_scsi_inquiry_absent; /* 12, no unit there */
vmb_host_scsi_handler vmb_host_scsi_inquiry_luns; /* A0 */

/* host/scsi_block.c */
vmb_host_scsi_handler vmb_host_scsi_block_read; /* 08 28 88 A8 */
vmb_host_scsi_handler vmb_host_scsi_block_write; /* 0A 2A 8A AA */
vmb_host_scsi_handler vmb_host_scsi_block_write_verify; /* 2E 8E AE */
vmb_host_scsi_handler vmb_host_scsi_block_verify; /* 2F 8F AF */
vmb_host_scsi_handler vmb_host_scsi_block_flush; /* 35 91 */
vmb_host_scsi_handler vmb_host_scsi_block_write_same; /* 41 93 */
vmb_host_scsi_handler vmb_host_scsi_block_write_same_data;
vmb_host_scsi_handler vmb_host_scsi_block_unmap; /* 42 */
vmb_host_scsi_handler vmb_host_scsi_block_unmap_data;
vmb_host_scsi_handler vmb_host_scsi_block_capacity; /* 25 */
vmb_host_scsi_handler vmb_host_scsi_block_service_in; /* 9E */
vmb_host_scsi_handler vmb_host_scsi_block_start_stop; /* 1B, disk */
vmb_host_scsi_handler vmb_host_scsi_block_format; /* 04 */

/* host/scsi_mode.c */
vmb_host_scsi_handler vmb_host_scsi_mode_sense; /* 1A 5A */
vmb_host_scsi_handler vmb_host_scsi_mode_select; /* 15 55 */
vmb_host_scsi_handler vmb_host_scsi_mode_select_data;

/* host/scsi_reserve.c */
vmb_host_scsi_handler vmb_host_scsi_reserve_in; /* 5E */
vmb_host_scsi_handler vmb_host_scsi_reserve_out; /* 5F */
vmb_host_scsi_handler vmb_host_scsi_reserve_out_data;

/* host/scsi_dvd.c */
vmb_host_scsi_handler vmb_host_scsi_dvd_start_stop; /* 1B */
vmb_host_scsi_handler vmb_host_scsi_dvd_prevent; /* 1E */
vmb_host_scsi_handler vmb_host_scsi_dvd_toc; /* 43 */
vmb_host_scsi_handler vmb_host_scsi_dvd_configuration; /* 46 */
vmb_host_scsi_handler vmb_host_scsi_dvd_event; /* 4A */
vmb_host_scsi_handler vmb_host_scsi_dvd_disc; /* 51 */
vmb_host_scsi_handler vmb_host_scsi_dvd_track; /* 52 */
vmb_host_scsi_handler vmb_host_scsi_dvd_buffer; /* 5C */
vmb_host_scsi_handler vmb_host_scsi_dvd_performance; /* AC */
vmb_host_scsi_handler vmb_host_scsi_dvd_structure; /* AD */
vmb_host_scsi_handler vmb_host_scsi_dvd_streaming; /* B6 */
vmb_host_scsi_handler vmb_host_scsi_dvd_streaming_data;
vmb_host_scsi_handler vmb_host_scsi_dvd_mechanism; /* BD */

#endif
