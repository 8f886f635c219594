/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the storage drivers ask of the SCSI layer. */
#ifndef TESTS_LINUX_SCSI_H
#define TESTS_LINUX_SCSI_H

#include "tests/linux/kernel.h"

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

#endif
