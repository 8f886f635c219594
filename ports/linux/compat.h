/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What older kernels name differently. The drivers are written for the newest kernel; only this
 * file and block_compat.h check the kernel's version.
 */
#ifndef PORTS_LINUX_COMPAT_H
#define PORTS_LINUX_COMPAT_H

#include <linux/types.h>
#include <linux/version.h>

/*
 * 6.17 made it a choice whether work stays on its CPU, and named the system's queue for that.
 * Stable kernels before it may have both names, so their header comes first.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#include <linux/workqueue.h>
#define WQ_PERCPU	 0
#define system_percpu_wq system_wq
#endif

/* 6.16 named the MSR accessors after the operand's size. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#define rdmsrq	    rdmsrl
#define wrmsrq	    wrmsrl
#define rdmsrq_safe rdmsrl_safe
#endif

/* Since 7.1 the driver core stores a device's driver override; before, each bus had to. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 1, 0)
#define VMBUS_OWN_OVERRIDE
#define VMBUS_OVERRIDE_GROUP	   &vmbus_override_group
#define vmbus_override_enable(bus) ((void)(bus))
#else
#define vmbus_override_match	   device_match_driver_override
#define vmbus_override_free(dev)   ((void)(dev))
#define VMBUS_OVERRIDE_GROUP	   NULL
#define vmbus_override_enable(bus) ((bus)->driver_override = true)
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

/* 6.13 gave the mapping of a file in sysfs an attribute that it may not change. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define RING_ATTRIBUTE struct bin_attribute
#else
#define RING_ATTRIBUTE const struct bin_attribute
#endif

/*
 * Since 6.4 the kernel's own code tells the host of a panic, whatever drives the bus; before, its
 * bus driver did.
 */
#define VMBUS_TELLS_PANIC (LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0))

/* 6.11 gave who takes the kernel's log more than the reason. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
#define KMSG_DUMP_ARGS	   struct kmsg_dumper *dumper, enum kmsg_dump_reason reason
#define KMSG_DUMP_IS_PANIC (reason == KMSG_DUMP_PANIC)
#else
#define KMSG_DUMP_ARGS	   struct kmsg_dumper *dumper, struct kmsg_dump_detail *detail
#define KMSG_DUMP_IS_PANIC (detail->reason == KMSG_DUMP_PANIC)
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

/* 6.2 gave the SCSI layer's time-outs a type of their own. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define scsi_timeout_action blk_eh_timer_return
#define SCSI_EH_RESET_TIMER BLK_EH_RESET_TIMER
#define SCSI_EH_NOT_HANDLED BLK_EH_DONE
#endif

/* Since 6.3 a network device declares its XDP features. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define xdp_set_features_flag(dev, flags) ((void)(dev))
#endif

/* 6.6 moved the page pool's header into a folder. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define PAGE_POOL_HEADER <net/page_pool.h>
#else
#define PAGE_POOL_HEADER <net/page_pool/helpers.h>
#endif

/* What a SCSI driver returns to a command that it takes or refuses got a type of its own. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 1, 0)
#define SCSI_QC_STATUS enum scsi_qc_status
#else
#define SCSI_QC_STATUS int
#endif

/*
 * 6.17 gave the fields that a hash is made of operations of their own, and stable kernels took them
 * at some point, so Kbuild looks.
 */
#ifdef RXFH_FIELDS_BY_RXNFC
struct ethtool_rxfh_fields {
	u32 data;
	u32 flow_type;
};
#endif

/* 7.0 gave the questions whether a socket may be connected that socket. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define VSOCK_ALLOW_ARGS u32 cid, u32 port
#else
#define VSOCK_ALLOW_ARGS struct vsock_sock *vsk, u32 cid, u32 port
#endif

/* 6.8 gathered the arguments of the RSS operations; older kernels are given them one by one. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
struct net_device;
struct netlink_ext_ack;
struct ethtool_rxfh_param {
	u8 hfunc;
	u32 *indir;
	u8 *key;
};
#define ETHTOOL_RXFH_OPS(get, set)                                                       \
	static int get##_compat(struct net_device *dev, u32 *indir, u8 *key, u8 *hfunc)  \
	{                                                                                \
		struct ethtool_rxfh_param rxfh = { .indir = indir, .key = key };         \
		int rc = get(dev, &rxfh);                                                \
                                                                                         \
		if (hfunc)                                                               \
			*hfunc = rxfh.hfunc;                                             \
		return rc;                                                               \
	}                                                                                \
	static int set##_compat(struct net_device *dev, const u32 *indir, const u8 *key, \
				const u8 hfunc)                                          \
	{                                                                                \
		struct ethtool_rxfh_param rxfh = { .hfunc = hfunc,                       \
						   .indir = (u32 *)indir,                \
						   .key = (u8 *)key };                   \
                                                                                         \
		return set(dev, &rxfh, NULL);                                            \
	}
#define ETHTOOL_GET_RXFH(get) get##_compat
#define ETHTOOL_SET_RXFH(set) set##_compat
#else
#define ETHTOOL_RXFH_OPS(get, set)
#define ETHTOOL_GET_RXFH(get) get
#define ETHTOOL_SET_RXFH(set) set
#endif

#endif
