/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bus: glue between the host core's message engine, the virtual processors and the devices.
 *
 *   vmb_dev_bus_create(machine)
 *   vmb_dev_bus_attach(bus, channel) for each device, before the guest starts; for a sub-channel when the guest asks
 *   _post, _deliver, _retry as the guest and the main thread go along
 *   vmb_dev_bus_stop(bus): closes what is open, waits for the devices
 *   vmb_dev_bus_destroy(bus)
 *
 * One lock serialises the engine. A device never holds anything of its own while it calls in here, and its callbacks
 * are called with the lock held: they must not wait.
 *
 * Messages are written to a processor's page by its own thread (see vmm/synic.h), so whoever finds one for another processor
 * kicks that one. A message whose slot is occupied waits for the acknowledgement: bus->waiting tells the main thread to
 * look for it.
 */
#ifndef DEVICES_BUS_H
#define DEVICES_BUS_H

#include <pthread.h>

#include "host/server.h"
#include "ring/ring.h"
#include "devices/doorbell.h"
#include "vmm/vcpu.h"

struct vmb_dev_channel;

struct vmb_dev_channel_ops {
	/* The rings stand and channel->doorbell rings. 0, or -errno: the guest's open fails. */
	int (*start)(struct vmb_dev_channel *channel);
	/* Begin to stop; vmb_dev_bus_stopped() from the device's thread when nothing touches the rings. */
	void (*stop)(struct vmb_dev_channel *channel);
	/* The guest has let go of a channel that is no longer offered: it is the device's again. NULL: never of interest. */
	void (*released)(struct vmb_dev_channel *channel);
};

/* Memory that a guest lent to a device, mapped side by side. */
struct vmb_dev_shared {
	void *memory; /* NULL: none */
	uint32_t len; /* bytes, whole pages */
	struct vmb_host_gpadl *gpadl;
};

struct vmb_dev_channel {
	/* filled by the device */
	const struct vmb_dev_channel_ops *ops;
	void *device;
	struct vmb_host_channel host; /* type_id, instance_id, flags, sub_channel_index, user */

	/* the bus's */
	struct vmb_dev_bus *bus;
	uint32_t target_vp; /* atomic; VMB_VP_NONE = no interrupts */
	uint64_t signals; /* interrupts sent, atomic */
	void *pages; /* both rings */
	uint32_t page_count;

	/* for the device, between start and stopped */
	int doorbell; /* eventfd: the guest signalled */
	struct vmb_ring_reader rx;
	struct vmb_ring_writer tx;
};

struct vmb_dev_bus {
	struct vmb_vmm_machine *machine;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint32_t open_count; /* channels that a device may still touch */
	bool waiting; /* atomic: a message waits for its slot */
	uint32_t waiting_vp; /* atomic */
	uint32_t tries; /* of the message that goes next, where it may be lost */
	uint32_t version; /* newest that a guest negotiated, for the summary */
	struct vmb_host_ram ram[2];
	struct vmb_dev_doorbell doorbell; /* where channels have none of their own */
	struct vmb_host_server server;
};

struct vmb_dev_bus *vmb_dev_bus_create(struct vmb_vmm_machine *machine);
/* When no processor runs any more. Counters stand until destroy. */
void vmb_dev_bus_stop(struct vmb_dev_bus *bus);
void vmb_dev_bus_destroy(struct vmb_dev_bus *bus);
/*
 * Offers a channel; any thread without the lock. 0; else nothing was begun: a sub-channel's primary is not open any more,
 * or the guest keeps too many channels that it was asked to let go; of a primary it is reported.
 */
int vmb_dev_bus_attach(struct vmb_dev_bus *bus, struct vmb_dev_channel *channel);

/* HvCallPostMessage by v: a private copy of the block. Answers the hypercall's status. */
uint32_t vmb_dev_bus_post(struct vmb_dev_bus *bus, struct vmb_vmm_vcpu *v, uint32_t connection_id,
			  const struct vmb_synic_post *post);
/* Writes waiting messages into v's slot. On v's thread. */
void vmb_dev_bus_deliver(struct vmb_dev_bus *bus, struct vmb_vmm_vcpu *v);
/* The slot may be free: tries again. Any thread. */
void vmb_dev_bus_retry(struct vmb_dev_bus *bus);

/* Device threads, of an open channel. */
void vmb_dev_bus_signal(struct vmb_dev_channel *channel);
/* Takes the channel away from the guest for good: ops->stop is called, and the guest hears of it after _stopped. */
void vmb_dev_bus_rescind(struct vmb_dev_channel *channel);
/* The channel may be gone when this returns: released. */
void vmb_dev_bus_stopped(struct vmb_dev_channel *channel);

/*
 * Maps the memory behind this channel's GPADL, one range of whole pages, and keeps it lent until _unshare, which is due
 * before _stopped. -ENOENT: the guest has no such GPADL; -EINVAL: it is not of that shape; or what mmap says.
 */
int vmb_dev_bus_share(struct vmb_dev_channel *channel, uint32_t gpadl_id,
		      struct vmb_dev_shared *shared);
void vmb_dev_bus_unshare(struct vmb_dev_channel *channel, struct vmb_dev_shared *shared);

#endif
