/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The clock of a PC's CMOS memory, so that a guest knows what day it is when it starts. It shows
 * the host's time in UTC, cannot be set and never interrupts. Context: any processor's thread.
 */
#ifndef VMM_RTC_H
#define VMM_RTC_H

#include "base/platform.h"

#define VMB_VMM_RTC_PORT       0x70u
#define VMB_VMM_RTC_PORT_COUNT 2u

struct vmb_vmm_machine;

struct vmb_vmm_rtc {
	uint8_t index; /* atomic */
};

/* The functions of the two ports; offset: 0 is the index, 1 the data. */
uint8_t vmb_vmm_rtc_read(struct vmb_vmm_machine *machine, uint16_t offset);
void vmb_vmm_rtc_write(struct vmb_vmm_machine *machine, uint16_t offset, uint8_t value);

#endif
