// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Answers the two ports of the CMOS clock with the host's time. */
#include <time.h>

#include "vmm/machine.h"
#include "vmm/rtc.h"

#define INDEX_MASK	  0x7Fu /* bit 7 of the index port masks NMI */
#define STATUS_A_IDLE	  0x26u /* 32768 Hz base, no update in progress */
#define STATUS_B_24_HOURS 0x02u /* numbers are BCD */
#define STATUS_D_VALID	  0x80u

static uint8_t bcd(int n)
{
	return (n / 10 % 10) << 4 | n % 10;
}

static uint8_t value_of(uint8_t index, const struct tm *t)
{
	switch (index) {
	case 0x00: return bcd(t->tm_sec);
	case 0x02: return bcd(t->tm_min);
	case 0x04: return bcd(t->tm_hour);
	case 0x06: return bcd(t->tm_wday + 1);
	case 0x07: return bcd(t->tm_mday);
	case 0x08: return bcd(t->tm_mon + 1);
	case 0x09: return bcd(t->tm_year % 100);
	case 0x0A: return STATUS_A_IDLE;
	case 0x0B: return STATUS_B_24_HOURS;
	case 0x0D: return STATUS_D_VALID;
	case 0x32: return bcd((t->tm_year + 1900) / 100);
	default: return 0;
	}
}

uint8_t vmb_vmm_rtc_read(struct vmb_vmm_machine *machine, uint16_t offset)
{
	uint8_t index = __atomic_load_n(&machine->rtc.index, __ATOMIC_RELAXED);
	time_t now = time(NULL);
	struct tm t;

	if (!offset)
		return index;
	if (!gmtime_r(&now, &t))
		return 0;
	return value_of(index & INDEX_MASK, &t);
}

void vmb_vmm_rtc_write(struct vmb_vmm_machine *machine, uint16_t offset, uint8_t value)
{
	if (!offset)
		__atomic_store_n(&machine->rtc.index, value, __ATOMIC_RELAXED);
}
