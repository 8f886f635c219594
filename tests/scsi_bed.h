/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A SCSI target with something to command: two disks, a read-only one with 4096-byte blocks and a
 * DVD drive, their media in memory, and guest memory around the buffer of a command that nobody may
 * touch.
 */
#ifndef TESTS_SCSI_BED_H
#define TESTS_SCSI_BED_H

#include "host/scsi.h"

#define SCSI_GUEST_LEN	 (1u << 20)
#define SCSI_CANARY	 0xC5
#define SCSI_DISK_BLOCKS 2048u /* of 512 bytes */
#define SCSI_BIG_BLOCKS	 256u /* of 4096 bytes */
#define SCSI_DVD_BLOCKS	 512u /* of 2048 bytes */

enum scsi_bed_lun { SCSI_DISK = 0, SCSI_BIG = 1, SCSI_DVD = 3, SCSI_ABSENT = 2 };

struct scsi_bed {
	struct vmb_host_scsi_bus bus;
	struct vmb_host_scsi_lun disk, big, dvd;
	struct vmb_host_scsi_task task;
	uint8_t medium[SCSI_DISK_BLOCKS * 512u]; /* all three have this length */
	uint8_t guest[SCSI_GUEST_LEN + 4096]; /* a command's buffer, then canaries */
	uint32_t op_count; /* backend operations so far */
	uint32_t fetch_count; /* times that the target asked for the guest's bytes */
	enum vmb_host_scsi_error error; /* of the next backend operation */
	uint8_t lun;
	uint8_t target_id;
};

void scsi_start(struct scsi_bed *b);

/* Runs one command as a port would: fetches, does the backend's work, copies the answer. */
void scsi_run(struct scsi_bed *b, uint8_t direction, uint32_t transfer_len, const uint8_t *cdb,
	      uint8_t cdb_len);

#define SCSI_CDB(...)	  ((const uint8_t[16]){ __VA_ARGS__ })
#define SCSI_CDB_LEN(...) ((uint8_t)sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* The CDB's bytes, all of them; the result is in b->task and b->guest. */
#define READ_CMD(b, len, ...) \
	scsi_run(b, VMB_STOR_READ, len, SCSI_CDB(__VA_ARGS__), SCSI_CDB_LEN(__VA_ARGS__))
#define WRITE_CMD(b, len, ...) \
	scsi_run(b, VMB_STOR_WRITE, len, SCSI_CDB(__VA_ARGS__), SCSI_CDB_LEN(__VA_ARGS__))
#define PLAIN_CMD(b, ...) \
	scsi_run(b, VMB_STOR_NO_DATA, 0, SCSI_CDB(__VA_ARGS__), SCSI_CDB_LEN(__VA_ARGS__))

/* GOOD with moved bytes. */
void scsi_good_at(const struct scsi_bed *b, uint32_t moved, const char *file, int line);
/* SRB DATA_OVERRUN with moved bytes. */
void scsi_overrun_at(const struct scsi_bed *b, uint32_t moved, const char *file, int line);
/* CHECK CONDITION, nothing moved; sense = key << 16 | code << 8 | qualifier. */
void scsi_sense_at(const struct scsi_bed *b, uint32_t sense, const char *file, int line);
/* The guest's bytes from offset on. */
void scsi_bytes_at(const struct scsi_bed *b, uint32_t offset, const uint8_t *want, uint32_t len,
		   const char *file, int line);
/* Nothing in the guest's memory from offset on has changed since the command began. */
void scsi_untouched_at(const struct scsi_bed *b, uint32_t offset, const char *file, int line);

#define assert_good(b, moved)	    scsi_good_at(b, moved, __FILE__, __LINE__)
#define assert_overrun(b, moved)    scsi_overrun_at(b, moved, __FILE__, __LINE__)
#define assert_sense(b, sense)	    scsi_sense_at(b, sense, __FILE__, __LINE__)
#define assert_untouched(b, offset) scsi_untouched_at(b, offset, __FILE__, __LINE__)
#define assert_bytes(b, offset, ...)                               \
	scsi_bytes_at(b, offset, (const uint8_t[]){ __VA_ARGS__ }, \
		      sizeof((const uint8_t[]){ __VA_ARGS__ }), __FILE__, __LINE__)

#endif
