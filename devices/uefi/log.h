/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a Generation 2 firmware says of itself in guest memory: its log, and the events of its boot.
 * Both are read from the guest's memory, which the guest may change meanwhile: each part is copied
 * and judged. Context: any thread.
 */
#ifndef DEVICES_UEFI_LOG_H
#define DEVICES_UEFI_LOG_H

#include <stddef.h>

#include "devices/memory.h"

/* What became of one device that the firmware tried to boot from. */
struct vmb_dev_uefi_attempt {
	uint32_t status; /* enum BOOT_DEVICE_STATUS of the firmware */
	uint64_t extended; /* an EFI status code */
	uint16_t option; /* the number of its boot option */
};

/*
 * Reads the events that a firmware flushes (selector 0x30). Returns how many attempts to boot were
 * among them and fills in the first of these, at most max.
 */
uint32_t vmb_dev_uefi_log_attempts(const struct vmb_dev_memory *m, uint64_t gpa,
				   struct vmb_dev_uefi_attempt *attempts, uint32_t max);

/* The status in words. */
const char *vmb_dev_uefi_log_status(uint32_t status);
/* Whether the status says that a system was started. */
bool vmb_dev_uefi_log_is_start(uint32_t status);

/*
 * Takes the messages of the firmware's log at gpa, one after the other, each a line or a part of
 * one: at starts as 0 and is where the next begins. Returns the bytes of text (at most size - 1,
 * with a NUL), or 0 at the end or where the log is not one. level: the message's, as EDK II counts
 * them.
 */
size_t vmb_dev_uefi_log_next(const struct vmb_dev_memory *m, uint64_t gpa, uint32_t *at,
			     uint32_t *level, char *text, size_t size);

#endif
