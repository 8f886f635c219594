/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What each thread is for. A thread says it once, when it begins; a program that confines its
 * threads (vmm/confine.h) then takes from this one what its role does not need.
 *
 *   vmb_dev_role_confine_by(enter)   the program, before it starts threads; without it nothing is
 *                                    taken from anyone
 *   vmb_dev_role_enter(role)         the first thing that a thread does
 */
#ifndef DEVICES_ROLE_H
#define DEVICES_ROLE_H

#include <stdbool.h>

enum vmb_dev_role {
	VMB_DEV_ROLE_MAIN, /* makes and ends machines; or not named yet: what all others may */
	VMB_DEV_ROLE_CONTROL, /* serves the control socket */
	VMB_DEV_ROLE_GUARD, /* takes signals */
	VMB_DEV_ROLE_CONSOLE, /* writes what the guest prints */
	VMB_DEV_ROLE_PROCESSOR, /* runs a virtual processor */
	VMB_DEV_ROLE_DOORBELL, /* looks at the interrupt and monitor pages */
	VMB_DEV_ROLE_STORAGE, /* serves a storage channel */
	VMB_DEV_ROLE_NVME, /* serves an NVMe disk */
	VMB_DEV_ROLE_DISK, /* carries out disk operations where io_uring is refused */
	VMB_DEV_ROLE_NBD, /* talks to an NBD server */
	VMB_DEV_ROLE_SERVER, /* another program: a private NBD server */
	VMB_DEV_ROLE_SERVICES, /* serves the integration services */
	VMB_DEV_ROLE_SOCKETS, /* carries connections between guest and UNIX sockets */
	VMB_DEV_ROLE_BALLOON, /* takes and gives the guest's memory */
	VMB_DEV_ROLE_INPUT, /* types and points for the guest */
	VMB_DEV_ROLE_VIDEO, /* serves the video channel */
	VMB_DEV_ROLE_VNC, /* serves VNC clients */
	VMB_DEV_ROLE_TRACE, /* writes what passed on the bus to a file */
	VMB_DEV_ROLE_NETWORK, /* serves a card on a tap, a switch or nothing */
	VMB_DEV_ROLE_USER_NETWORK, /* serves a card on a user network */
	VMB_DEV_ROLE_SWITCH, /* `openvmbus switch` */
	VMB_DEV_ROLE_VARIABLES, /* writes the file of UEFI variables */
	VMB_DEV_ROLE_COUNT,
};

/* enter: takes from the calling thread what the role does not need; NULL: nothing. */
void vmb_dev_role_confine_by(void (*enter)(enum vmb_dev_role role));

/* Returns whether roles take anything. */
bool vmb_dev_role_is_confined(void);

/* The calling thread has this role from here on. Gives it its name too. */
void vmb_dev_role_enter(enum vmb_dev_role role);

/* Returns the role's name, as it is in messages and in the thread's own name. */
const char *vmb_dev_role_name(enum vmb_dev_role role);

#endif
