/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bare machine: what docs/porting.md asks of a port, and a console. One processor, memory
 * mapped at itself, so an address is a guest physical address.
 *
 *   vmb_metal_start()        Hyper-V's interface: hypercall page, SynIC, the interrupt; false: none
 *   vmb_metal_post()         HvCallPostMessage
 *   vmb_metal_signal()       HvCallSignalEvent
 *   vmb_metal_take_message() copies the message out of the slot of SINT 2
 *   vmb_metal_take_flags()   clears the event flags: whoever looks at the rings calls it first
 *   vmb_metal_wait()         halts until the host has something to say
 */
#ifndef PORTS_BAREMETAL_MACHINE_H
#define PORTS_BAREMETAL_MACHINE_H

#include "base/platform.h"

bool vmb_metal_start(void);

/* Microseconds since the host made this machine. */
uint64_t vmb_metal_now(void);

/* Returns the status, enum vmb_hv_status. len is at most VMB_SYNIC_PAYLOAD_MAX bytes. */
uint32_t vmb_metal_post(uint32_t connection_id, const void *payload, uint32_t len);
void vmb_metal_signal(uint32_t connection_id);

/* message: VMB_SYNIC_PAYLOAD_MAX bytes. Returns the length, or 0: the slot is empty. */
uint32_t vmb_metal_take_message(void *message);
void vmb_metal_take_flags(void);
void vmb_metal_wait(void);

/*
 * For a test of the machine: asks for an interrupt, and writes the task priority while that waits,
 * as many systems do at the end of an interrupt. Not every emulated processor survives it.
 */
void vmb_metal_interrupt_self(void);

/* text with %s, %u (uint64_t always) and %x (the same), and nothing else. */
void vmb_metal_print(const char *text, ...);

/* As _print, into dst; returns the length, without the NUL. VMB_EOVERFLOW: there is no room. */
int vmb_metal_format(char *dst, uint32_t room, const char *text, ...);

void vmb_metal_power_off(void);

#endif
