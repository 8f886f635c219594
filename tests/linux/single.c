// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One driver and one channel, for tests of drivers that have no more. */
#include "tests/linux/single.h"

struct vmb_driver *driver;
struct vmb_channel channel;

int vmb_driver_register_owner(struct vmb_driver *d, struct module *owner, const char *name)
{
	driver = d;
	return 0;
}

void vmb_driver_unregister(struct vmb_driver *d)
{
	driver = NULL;
}

int vmb_channel_close(struct vmb_channel *ch)
{
	ch->open = false;
	return 0;
}

void *vmb_channel_context(const struct vmb_channel *ch)
{
	return ch->context;
}
