/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a machine ends: the first request counts. Any thread may make it. It wakes the main thread,
 * and the virtual processors leave the guest and do not enter it again.
 */
#ifndef VMM_POWER_H
#define VMM_POWER_H

#include "base/platform.h"

struct vmb_vmm_machine;
struct vmb_dev_memory;

/* Ports of the power device, as the ACPI tables announce them. */
#define VMB_VMM_POWER_PORT	    0x600u
#define VMB_VMM_POWER_PORT_COUNT    4u
#define VMB_VMM_POWER_CONTROL	    0u /* ACPI sleep control register */
#define VMB_VMM_POWER_STATUS	    1u /* ACPI sleep status register */
#define VMB_VMM_POWER_RESET	    2u /* ACPI reset register */
#define VMB_VMM_POWER_RESET_VALUE   1u
#define VMB_VMM_POWER_S5	    5u /* SLP_TYP of soft-off */

/*
 * Hyper-V's power management block, which its firmware's ACPI tables announce; only there with that
 * firmware. Source: docs/protocol/firmware.md, "ACPI, reset, power".
 */
#define VMB_VMM_POWER_PM_PORT	    0x400u
#define VMB_VMM_POWER_PM_PORT_COUNT 0x40u
#define VMB_VMM_POWER_PM_TIMER_PORT 0x408u

struct vmb_vmm_power_pm {
	uint8_t enable[2], general_enable[2]; /* atomic */
};

/* The old keyboard controller's command port: 0xFE pulses the processor's reset line. */
#define VMB_VMM_POWER_KEYBOARD_PORT 0x64u

/* Where a processor starts after reset in real mode, FFFF:0000. */
#define VMB_VMM_POWER_VECTOR_GPA    0xFFFF0u

enum vmb_vmm_outcome {
	VMB_VMM_RUNNING,
	VMB_VMM_OFF,
	VMB_VMM_RESET,
	VMB_VMM_CRASH,
	VMB_VMM_TRIPLE_FAULT,
	VMB_VMM_FAILURE, /* reported already */
	VMB_VMM_STOPPED,
};

/* Ends the machine with outcome, unless it has one already. Any thread. */
void vmb_vmm_power_end(struct vmb_vmm_machine *machine, enum vmb_vmm_outcome outcome);
/* Returns VMB_VMM_RUNNING until the machine ends. Any thread. */
enum vmb_vmm_outcome vmb_vmm_power_outcome(struct vmb_vmm_machine *machine);

/*
 * The guest reported a crash. It goes on, because it may write a dump first. Returns false if a
 * crash was recorded already.
 */
bool vmb_vmm_power_crash(struct vmb_vmm_machine *machine);
/* Returns whether the guest has reported a crash. Any thread. */
bool vmb_vmm_power_crashed(struct vmb_vmm_machine *machine);

/* The host could not give the guest one of its devices: the exit code will say so. Any thread. */
void vmb_vmm_power_lacks(struct vmb_vmm_machine *machine);

/*
 * Writes code for guests that reset by jumping to where firmware would begin, as Linux does without
 * EFI. Returns false if there is no RAM there.
 */
bool vmb_vmm_power_write_vector(const struct vmb_dev_memory *m);

/* The functions of the ports; offset: from the first port of each. */
uint8_t vmb_vmm_power_read(struct vmb_vmm_machine *machine, uint16_t offset);
void vmb_vmm_power_write(struct vmb_vmm_machine *machine, uint16_t offset, uint8_t value);
uint8_t vmb_vmm_power_pm_read(struct vmb_vmm_machine *machine, uint16_t offset);
void vmb_vmm_power_pm_write(struct vmb_vmm_machine *machine, uint16_t offset, uint8_t value);
/* ACPI's timer: 3.579545 MHz, from any start. */
uint32_t vmb_vmm_power_pm_timer(void);
uint8_t vmb_vmm_power_keyboard_read(struct vmb_vmm_machine *machine, uint16_t offset);
void vmb_vmm_power_keyboard_write(struct vmb_vmm_machine *machine, uint16_t offset, uint8_t value);

#endif
