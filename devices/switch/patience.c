// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A port's budget of waiting time: waiting uses it up, frames that the port takes refill it. */
#include "devices/switch/patience.h"

#define MAX_US	 (VMB_DEV_SWITCH_PATIENCE_MAX_MS * 1000)
#define FRAME_US 2000 /* put back by a frame, and 2 us by each byte of it */
#define BYTE_US	 2

void vmb_dev_switch_patience_init(struct vmb_dev_switch_patience *p)
{
	*p = (struct vmb_dev_switch_patience){ .left_us = MAX_US };
}

int64_t vmb_dev_switch_patience_full(struct vmb_dev_switch_patience *p, int64_t now)
{
	if (!p->waits) {
		p->waits = true;
		p->since = now;
	}
	return p->since + p->left_us / 1000;
}

void vmb_dev_switch_patience_took(struct vmb_dev_switch_patience *p, int64_t now, uint32_t len)
{
	if (p->waits)
		p->left_us -= (now - p->since) * 1000;
	if (p->left_us < 0)
		p->left_us = 0;
	p->left_us += FRAME_US + (int64_t)len * BYTE_US;
	if (p->left_us > MAX_US)
		p->left_us = MAX_US;
	p->waits = false;
}
