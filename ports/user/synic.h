/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stands in for the hypervisor between the two ends: a message slot and event flags for the guest,
 * and doorbells in both directions. An eventfd serves as the interrupt.
 */
#ifndef PORTS_USER_SYNIC_H
#define PORTS_USER_SYNIC_H

#include "wire/synic.h"

struct vmb_user_synic {
	int guest_fd; /* eventfd: look at the slot and the flags */
	int host_fd; /* eventfd: look at the rings */
	uint64_t guest_signals, host_signals; /* how often each was rung, atomic */
	struct vmb_synic_message slot; /* type is atomic: 0 = empty */
	uint64_t flags[VMB_SYNIC_FLAG_COUNT / 64]; /* atomic */
};

/* Returns 0, or VMB_ENOMEM. */
int vmb_user_synic_init(struct vmb_user_synic *s);
/* Closes the eventfds. */
void vmb_user_synic_destroy(struct vmb_user_synic *s);

/* Host: puts a message of len bytes into the slot. Returns false if the slot is occupied. */
bool vmb_user_synic_post(struct vmb_user_synic *s, const void *payload, uint32_t len);
/* Host: returns whether the slot is free. */
bool vmb_user_synic_is_free(struct vmb_user_synic *s);
/* Host: sets the flag and interrupts the guest if it was clear. */
void vmb_user_synic_interrupt(struct vmb_user_synic *s, uint32_t flag);
/* Guest: takes the message out of the slot. Returns its length in bytes, or 0 if there is none. */
uint32_t vmb_user_synic_take(struct vmb_user_synic *s, uint8_t payload[VMB_SYNIC_PAYLOAD_MAX]);
/* Guest: clears the flag. Returns whether it was set. */
bool vmb_user_synic_take_flag(struct vmb_user_synic *s, uint32_t flag);
/* Guest: HvCallSignalEvent. */
void vmb_user_synic_signal(struct vmb_user_synic *s);

/* Sleeps until the eventfd rings, or the hypervisor's monitor is due (100 us). */
void vmb_user_synic_wait_monitor(int fd);
/* Ring an eventfd without a reason in the protocol; sleep until an eventfd rings. */
void vmb_user_synic_kick(int fd);
void vmb_user_synic_wait(int fd);

#endif
