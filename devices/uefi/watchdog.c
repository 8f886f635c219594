// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts down the firmware's watchdog: a clock of its own would go on while the machine pauses. */
#include "devices/uefi/watchdog.h"

#define COUNT_DEFAULT 120u
#define RUNNING	      (VMB_DEV_UEFI_WATCHDOG_CONFIGURED | VMB_DEV_UEFI_WATCHDOG_ENABLED)
#define KNOWN	      (RUNNING | VMB_DEV_UEFI_WATCHDOG_ONE_SHOT | VMB_DEV_UEFI_WATCHDOG_FIRED)

static bool is_running(const struct vmb_dev_uefi_watchdog *w)
{
	return (w->config & RUNNING) == RUNNING;
}

void vmb_dev_uefi_watchdog_restart(struct vmb_dev_uefi_watchdog *w)
{
	w->config = w->fired ? VMB_DEV_UEFI_WATCHDOG_FIRED : 0;
	w->fired = false;
	w->count = COUNT_DEFAULT;
	w->left = 0;
}

void vmb_dev_uefi_watchdog_configure(struct vmb_dev_uefi_watchdog *w, uint32_t config)
{
	uint32_t fired = w->config & VMB_DEV_UEFI_WATCHDOG_FIRED;

	if (!w->there || config & ~KNOWN)
		return;
	/* written as 1 it is cleared */
	w->config = config & VMB_DEV_UEFI_WATCHDOG_FIRED ? config & ~VMB_DEV_UEFI_WATCHDOG_FIRED :
							   config | fired;
	if (!(config & VMB_DEV_UEFI_WATCHDOG_CONFIGURED))
		w->count = COUNT_DEFAULT;
	w->left = is_running(w) ? w->count : 0;
}

void vmb_dev_uefi_watchdog_set(struct vmb_dev_uefi_watchdog *w, uint32_t count)
{
	w->count = count;
	w->left = is_running(w) ? count : 0;
}

uint32_t vmb_dev_uefi_watchdog_resolution(const struct vmb_dev_uefi_watchdog *w)
{
	return w->there ? 1 : VMB_DEV_UEFI_WATCHDOG_NONE;
}

bool vmb_dev_uefi_watchdog_tick(struct vmb_dev_uefi_watchdog *w)
{
	if (!w->left || --w->left)
		return false;
	w->config &= ~RUNNING;
	w->fired = true;
	return true;
}
