// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Records how a machine ends, and answers the ports by which a guest powers off or resets. */
#include <time.h>

#include "vmm/machine.h"
#include "vmm/power.h"

#define SLEEP_ENABLE	  0x20u /* SLP_EN of the sleep control register */
#define SLEEP_TYPE(value) ((value) >> 2 & 7u)
#define KEYBOARD_RESET	  0xFEu

/* Hyper-V's power management block. */
#define PM_ENABLE	  0x02u /* of its events, two bytes */
#define PM_CONTROL	  0x04u
#define PM_CONTROL_HIGH	  0x05u
#define PM_CONTROL_ACPI	  0x01u
#define PM_GENERAL_ENABLE 0x0Eu /* of general purpose events, two bytes */
#define PM_RESET	  0x33u
#define PM_RESET_VALUE	  1u
#define PM_TIMER_HZ	  3579545ll

void vmb_vmm_power_end(struct vmb_vmm_machine *machine, enum vmb_vmm_outcome outcome)
{
	int running = VMB_VMM_RUNNING;

	if (!__atomic_compare_exchange_n(&machine->outcome, &running, (int)outcome, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	for (uint32_t i = 0; i < machine->dev.vp_count; i++)
		vmb_vmm_vcpu_kick(&machine->vcpus[i]);
	vmb_vmm_pause_end(machine);
	vmb_vmm_machine_wake(machine);
}

enum vmb_vmm_outcome vmb_vmm_power_outcome(struct vmb_vmm_machine *machine)
{
	return __atomic_load_n(&machine->outcome, __ATOMIC_SEQ_CST);
}

bool vmb_vmm_power_crash(struct vmb_vmm_machine *machine)
{
	return !__atomic_exchange_n(&machine->crashed, true, __ATOMIC_SEQ_CST);
}

bool vmb_vmm_power_crashed(struct vmb_vmm_machine *machine)
{
	return __atomic_load_n(&machine->crashed, __ATOMIC_SEQ_CST);
}

void vmb_vmm_power_lacks(struct vmb_vmm_machine *machine)
{
	__atomic_store_n(&machine->lacking, true, __ATOMIC_SEQ_CST);
}

bool vmb_vmm_power_write_vector(const struct vmb_dev_memory *m)
{
	const uint16_t port = VMB_VMM_POWER_PORT + VMB_VMM_POWER_RESET;
	const uint8_t code[] = {
		0xBA,	   port & 0xFF,
		port >> 8, /* mov dx, port */
		0xB0,	   VMB_VMM_POWER_RESET_VALUE, /* mov al, value */
		0xEE, /* out dx, al */
		0xF4,	   0xEB,
		0xFD, /* hlt, again */
	};

	return vmb_dev_memory_write(m, VMB_VMM_POWER_VECTOR_GPA, code, sizeof(code));
}

uint8_t vmb_vmm_power_read(struct vmb_vmm_machine *machine, uint16_t offset)
{
	return 0;
}

void vmb_vmm_power_write(struct vmb_vmm_machine *machine, uint16_t offset, uint8_t value)
{
	if (offset == VMB_VMM_POWER_CONTROL && (value & SLEEP_ENABLE) &&
	    SLEEP_TYPE(value) == VMB_VMM_POWER_S5)
		vmb_vmm_power_end(machine, VMB_VMM_OFF);
	if (offset == VMB_VMM_POWER_RESET && value == VMB_VMM_POWER_RESET_VALUE)
		vmb_vmm_power_end(machine, VMB_VMM_RESET);
}

/* The byte of the enable registers that is at offset, or NULL. */
static uint8_t *enable_byte(struct vmb_vmm_power_pm *pm, uint16_t offset)
{
	if (offset >= PM_ENABLE && offset < PM_ENABLE + sizeof(pm->enable))
		return &pm->enable[offset - PM_ENABLE];
	if (offset >= PM_GENERAL_ENABLE && offset < PM_GENERAL_ENABLE + sizeof(pm->general_enable))
		return &pm->general_enable[offset - PM_GENERAL_ENABLE];
	return NULL;
}

/*
 * No event ever happens, and the guest's system is in charge of power from the start. What it
 * enables is kept, because it reads that again and complains.
 */
uint8_t vmb_vmm_power_pm_read(struct vmb_vmm_machine *machine, uint16_t offset)
{
	uint8_t *enable = enable_byte(&machine->pm, offset);

	if (!machine->uefi)
		return 0xFF;
	if (enable)
		return __atomic_load_n(enable, __ATOMIC_RELAXED);
	return offset == PM_CONTROL ? PM_CONTROL_ACPI : 0;
}

/* Both sleep states that the firmware's tables name, S5 and S4, end in a machine that is off. */
void vmb_vmm_power_pm_write(struct vmb_vmm_machine *machine, uint16_t offset, uint8_t value)
{
	uint8_t *enable = enable_byte(&machine->pm, offset);

	if (!machine->uefi)
		return;
	if (enable)
		__atomic_store_n(enable, value, __ATOMIC_RELAXED);
	if (offset == PM_CONTROL_HIGH && (value & SLEEP_ENABLE))
		vmb_vmm_power_end(machine, VMB_VMM_OFF);
	if (offset == PM_RESET && value == PM_RESET_VALUE)
		vmb_vmm_power_end(machine, VMB_VMM_RESET);
}

uint32_t vmb_vmm_power_pm_timer(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)(now.tv_sec * PM_TIMER_HZ + now.tv_nsec * PM_TIMER_HZ / 1000000000);
}

/* No controller is there; an idle status keeps a guest that resets through it from waiting. */
uint8_t vmb_vmm_power_keyboard_read(struct vmb_vmm_machine *machine, uint16_t offset)
{
	return 0;
}

void vmb_vmm_power_keyboard_write(struct vmb_vmm_machine *machine, uint16_t offset, uint8_t value)
{
	if (value == KEYBOARD_RESET)
		vmb_vmm_power_end(machine, VMB_VMM_RESET);
}
