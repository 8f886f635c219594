/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What older kernels than the newest spell differently. The drivers are written for the newest;
 * this is the only file that asks for a version.
 */
#ifndef PORTS_LINUX_COMPAT_H
#define PORTS_LINUX_COMPAT_H

#include <linux/version.h>

/* 6.16 named the MSR accessors after the operand's size. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#define rdmsrq rdmsrl
#define wrmsrq wrmsrl
#endif

/* 6.11 made a bus match against a driver that it may not change. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
#define MATCH_DRIVER struct device_driver
#else
#define MATCH_DRIVER const struct device_driver
#endif

/* 6.3 gave uevent a device that it may not change. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define UEVENT_DEVICE struct device
#else
#define UEVENT_DEVICE const struct device
#endif

/* 6.4 gave a bus's attributes a bus that they may not change. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define ATTRIBUTE_BUS struct bus_type
#else
#define ATTRIBUTE_BUS const struct bus_type
#endif

/* 6.10 gave the hook that sees a new disk its queue limits, 6.14 a better name. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#define sdev_configure	    slave_configure
#define SDEV_CONFIGURE_ARGS struct scsi_device *sdev
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#define sdev_configure	    device_configure
#define SDEV_CONFIGURE_ARGS struct scsi_device *sdev, struct queue_limits *limits
#else
#define SDEV_CONFIGURE_ARGS struct scsi_device *sdev, struct queue_limits *limits
#endif
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#define sdev_init slave_alloc
#endif

#endif
