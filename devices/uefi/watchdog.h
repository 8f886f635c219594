/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The firmware's watchdog: it resets a machine whose firmware, or the loader that the firmware
 * started, hangs. The firmware stops it when a system takes over. It counts seconds in which the
 * machine runs, so a pause does not count. Source: docs/protocol/firmware.md, "Watchdog".
 *
 * Context: one caller at a time.
 */
#ifndef DEVICES_UEFI_WATCHDOG_H
#define DEVICES_UEFI_WATCHDOG_H

#include "base/platform.h"

#define VMB_DEV_UEFI_WATCHDOG_NONE	 0xFFFFFFFFu /* resolution where there is none */
#define VMB_DEV_UEFI_WATCHDOG_CONFIGURED (1u << 0)
#define VMB_DEV_UEFI_WATCHDOG_ENABLED	 (1u << 1)
#define VMB_DEV_UEFI_WATCHDOG_ONE_SHOT	 (1u << 4)
#define VMB_DEV_UEFI_WATCHDOG_FIRED	 (1u << 8) /* the last start ended by it */

struct vmb_dev_uefi_watchdog {
	bool there; /* the owner sets it once: the machine has one */
	bool fired; /* before the next start */
	uint32_t config;
	uint32_t count; /* seconds that it is set to */
	uint32_t left; /* seconds until it resets the machine; 0: never */
};

/* A machine starts. */
void vmb_dev_uefi_watchdog_restart(struct vmb_dev_uefi_watchdog *w);

/* The guest's accesses. A configuration with bits that mean nothing is left as it was. */
void vmb_dev_uefi_watchdog_configure(struct vmb_dev_uefi_watchdog *w, uint32_t config);
void vmb_dev_uefi_watchdog_set(struct vmb_dev_uefi_watchdog *w, uint32_t count);
uint32_t vmb_dev_uefi_watchdog_resolution(const struct vmb_dev_uefi_watchdog *w); /* seconds */

/* A second has passed. Returns whether the machine must be reset: once. */
bool vmb_dev_uefi_watchdog_tick(struct vmb_dev_uefi_watchdog *w);

#endif
