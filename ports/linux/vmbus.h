/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What vmbus.ko offers to the drivers of its devices.
 *
 * Life story of a driver:
 *
 *   static struct vmb_driver driver = { .driver.name, .id_table, .probe, .remove };
 *   module init:  vmb_driver_register(&driver)
 *   probe:        vmb_channel_open(device->channel, ring_len, &ops, context)
 *                 vmb_channel_send() from any context; ops->packet() for each packet from the host
 *   remove:       vmb_channel_close(device->channel)
 *   module exit:  vmb_driver_unregister(&driver)
 *
 * A rescind (the host takes the device away) reaches the driver twice: ops->rescinded() at once,
 * so that it can stop waiting for the host, and remove() soon after.
 *
 * Ownership: a device and its channel live at least until remove() returns. Ring memory belongs to
 * the channel; memory that the host was told about is freed only after the host said that it let
 * go, else it is leaked.
 */
#ifndef PORTS_LINUX_VMBUS_H
#define PORTS_LINUX_VMBUS_H

#include <linux/device.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include "ring/ring.h"
#include "wire/guid.h"

struct vmb_channel;
struct vmb_device;

struct vmb_channel_ops {
	/*
	 * One packet from the host: softirq, one at a time per channel. Its bytes are fetched with
	 * vmb_channel_copy(); it is gone when this returns.
	 */
	void (*packet)(struct vmb_channel *ch, const struct vmb_ring_received *packet);
	/*
	 * The host took the channel away. Process context; must not wait for the host. May be
	 * NULL.
	 */
	void (*rescinded)(struct vmb_channel *ch);
};

struct vmb_device {
	struct device dev;
	struct vmb_guid type_id;
	struct vmb_guid instance_id;
	struct vmb_channel *channel;
	struct kset *channels;
	const char *driver_override; /* the name of the only driver that may have it, or NULL */
	void *data; /* the driver's own */
};
#define to_vmb_device(d) container_of(d, struct vmb_device, dev)

struct vmb_driver {
	struct device_driver driver;
	const struct hv_vmbus_device_id *id_table; /* ends with a zero GUID */
	/* id: the matching entry of id_table, NULL if the user chose this driver. */
	int (*probe)(struct vmb_device *device, const struct hv_vmbus_device_id *id);
	void (*remove)(struct vmb_device *device);
	void (*shutdown)(struct vmb_device *device); /* may be NULL */
};
#define to_vmb_driver(d) container_of(d, struct vmb_driver, driver)

int vmb_driver_register_owner(struct vmb_driver *driver, struct module *owner, const char *name);
#define vmb_driver_register(driver) vmb_driver_register_owner(driver, THIS_MODULE, KBUILD_MODNAME)
void vmb_driver_unregister(struct vmb_driver *driver);

/*
 * Opens ch with two rings of ring_len bytes each, control page included (a multiple of 4096, at
 * least 8192). Waits for the host. -ENODEV: rescinded; -EBUSY: open; -ETIMEDOUT: the host says
 * nothing; -EIO: it refused. Packets may arrive before this returns.
 */
int vmb_channel_open(struct vmb_channel *ch, u32 ring_len, const struct vmb_channel_ops *ops,
		     void *context);

/*
 * Closes ch and waits until the host has let go of its rings; ops->packet() is not running any
 * more. 0, also when it was closed before; -ETIMEDOUT: the host did not let go and may still write
 * to any memory that it was told about.
 */
int vmb_channel_close(struct vmb_channel *ch);

/*
 * Writes one packet and signals the host if it sleeps. Any context. -EAGAIN: no room now: try
 * again when something was answered; -ENODEV: not open; else as vmb_ring_write().
 */
int vmb_channel_send(struct vmb_channel *ch, const struct vmb_ring_packet *packet);

/* Copies bytes of the packet that ops->packet() was given: see vmb_ring_copy(). */
bool vmb_channel_copy(struct vmb_channel *ch, const struct vmb_ring_received *packet, u32 offset,
		      void *dst, u32 len);

void *vmb_channel_context(const struct vmb_channel *ch);
bool vmb_channel_rescinded(const struct vmb_channel *ch);

/* Bytes of packets that a ring of ring_len can hold. */
static inline u32 vmb_channel_room_max(u32 ring_len)
{
	return vmb_ring_packet_len_max(ring_len - VMB_PAGE_LEN);
}

#endif
