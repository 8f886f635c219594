/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The limits of this process, raised once at the start. */
#ifndef DEVICES_LIMITS_H
#define DEVICES_LIMITS_H

#define VMB_DEV_DESCRIPTORS_WANTED 65536u

/*
 * Raises the soft limit of descriptors to what the machine may need, as far as the hard one allows.
 * The soft one is 1024 on most machines for the sake of select(), which nothing here calls. What
 * cannot be raised stays as it is.
 */
void vmb_dev_limits_raise(void);

#endif
