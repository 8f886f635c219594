/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bus: glue between the host core's message engine, the machine and the devices.
 *
 *   vmb_dev_bus_create(&config)
 *   vmb_dev_bus_attach(bus, channel) for each device, before the guest starts; for a sub-channel
 *     when the guest asks for it
 *   the machine calls _post and _deliver as the guest goes along
 *   vmb_dev_bus_reset(bus): closes what is open; vmb_dev_bus_stop(bus) also waits for the devices
 *   vmb_dev_bus_detach(channel)
 *   vmb_dev_bus_destroy(bus)
 *
 * One lock serialises the engine. A device holds nothing of its own while it calls in here. Its
 * callbacks are called with the lock held: they must not wait and must not call in here.
 */
#ifndef DEVICES_BUS_H
#define DEVICES_BUS_H

#include <pthread.h>

#include "devices/doorbell.h"
#include "devices/machine.h"
#include "host/server.h"
#include "ring/ring.h"
#include "wire/pci.h"

struct vmb_dev_channel;
struct vmb_dev_fault;
struct vmb_dev_held;
struct vmb_dev_trace;

/*
 * Address space that a device answers for: where it is, the guest decides, so each device is asked.
 * Filled by the device. The functions are called on threads of virtual processors, may be called
 * by several at a time, and must neither wait nor call in here.
 */
struct vmb_dev_window {
	/*
	 * The guest accesses len bytes at gpa, 1 to 8. Returns false if they are not this device's;
	 * else data was read or written.
	 */
	bool (*access)(struct vmb_dev_window *window, uint64_t gpa, uint8_t *data, uint32_t len,
		       bool is_write);
	/*
	 * The guest moves an interrupt to the processors vps, one bit each. Returns false if it is
	 * not this device's, or makes no sense.
	 */
	bool (*retarget)(struct vmb_dev_window *window, const struct vmb_pci_retarget *wanted,
			 uint64_t vps);
	struct vmb_dev_window *next; /* the bus's */
};

struct vmb_dev_channel_ops {
	/*
	 * The guest opens the channel: the rings are mapped and channel->bell is connected. Returns
	 * 0, or -errno: the open fails.
	 */
	int (*start)(struct vmb_dev_channel *channel);
	/*
	 * The channel must close: begin to stop. The device calls vmb_dev_bus_stopped() from its
	 * own thread when nothing touches the rings any more.
	 */
	void (*stop)(struct vmb_dev_channel *channel);
	/*
	 * The guest has released a channel that is no longer offered: it belongs to the device
	 * again. NULL: the device does not need to know.
	 */
	void (*released)(struct vmb_dev_channel *channel);
	/*
	 * Returns the age in nanoseconds of the oldest request under way on this channel; 0: there
	 * is none. Any thread, with the bus's lock. NULL: the device does not know.
	 */
	uint64_t (*oldest_ns)(const struct vmb_dev_channel *channel);
};

/* Memory that a guest lent to a device, mapped side by side. */
struct vmb_dev_shared {
	void *memory; /* NULL: none */
	uint32_t len; /* bytes, whole pages */
	uint32_t mapping_count; /* of the bus's */
	struct vmb_host_gpadl *gpadl;
};

struct vmb_dev_channel {
	/* filled by the device */
	const struct vmb_dev_channel_ops *ops;
	void *device;
	struct vmb_dev_worker *worker; /* takes orders (devices/channel.h); NULL: it has none */
	struct vmb_host_channel host; /* type_id, instance_id, flags, sub_channel_index, user */

	/* the bus's */
	struct vmb_dev_bus *bus;
	uint32_t target_vp; /* atomic; VMB_VP_NONE = no interrupts */
	uint32_t signalling; /* number of threads that are about to interrupt target_vp, atomic */
	uint64_t signals; /* interrupts sent, atomic */
	void *pages; /* both rings */
	uint32_t page_count;
	uint32_t mapping_count; /* of the bus's */
	bool scanned; /* it counts among those for which the monitor page is scanned */
	bool unheard; /* a fault left a signal of the guest for the next tick; atomic */
	struct vmb_dev_held *held; /* packets that a fault keeps back, oldest first */

	uint32_t orders; /* bits that the worker has not taken yet; atomic */

	/* for the device: valid from attach to detach, rung between start and stopped */
	struct vmb_dev_bell bell;
	/* between start and stopped */
	struct vmb_ring_reader rx;
	struct vmb_ring_writer tx;
};

/* Whether channels are offered with monitor ids. */
enum vmb_dev_monitors {
	VMB_DEV_MONITORS_OFF,
	VMB_DEV_MONITORS_ON,
	VMB_DEV_MONITORS_AUTO, /* to guests of which the machine says that they need them */
};

struct vmb_dev_bus_config {
	struct vmb_dev_machine *machine; /* outlives the bus */
	uint32_t version_min, version_max; /* VMB_VERSION_*, 0 = the server's */
	enum vmb_dev_monitors monitors;
	/* one thread steps the devices: bells have no descriptors, and no thread sleeps */
	bool stepped;
	/* of a stepped bus: disks wait for whoever steps, too (devices/disk/engine.h) */
	bool by_hand;
};

struct vmb_dev_bus {
	struct vmb_dev_bus_config config;
	struct vmb_dev_machine *machine;
	const struct vmb_dev_memory *memory; /* the machine's */
	struct vmb_dev_fault *fault; /* NULL: no faults; atomic; set before a guest connects */
	struct vmb_dev_trace *trace; /* NULL: nothing is recorded; atomic, see devices/trace.h */
	/* who serves sockets: _serve_sockets(); under the lock */
	void (*asked)(void *device, const struct vmb_host_socket_request *request);
	void *asked_device;
	pthread_rwlock_t windows_lock; /* no other lock of the bus is held with it */
	struct vmb_dev_window *windows; /* newest first */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint32_t open_count; /* channels that a device may still touch */
	uint32_t gpadl_count; /* GPADLs that the guest lends now */
	/* of this process, for what the guest lends: rings and buffers; under the lock */
	uint32_t mapping_count, mapping_max;
	int64_t refusal_due; /* when one may be reported again */
	uint64_t contact_count, unload_count;
	uint32_t tries; /* attempts to post the next message, if it may be lost */
	uint32_t version; /* newest that a guest negotiated, for the summary */
	struct vmb_host_ram ram[VMB_DEV_MEMORY_REGION_MAX];
	struct vmb_dev_doorbell doorbell; /* where channels have none of their own */
	struct vmb_host_server server;
};

/* Creates a bus without channels. NULL on failure, which is reported. */
struct vmb_dev_bus *vmb_dev_bus_create(const struct vmb_dev_bus_config *config);
/* The guest is gone: asks each open channel to stop. No virtual processor may run any more. */
void vmb_dev_bus_reset(struct vmb_dev_bus *bus);
/* Resets, and waits until all channels have stopped. Counters can be read until destroy. */
void vmb_dev_bus_stop(struct vmb_dev_bus *bus);
/* Frees the bus, which must have stopped. No channel may be attached. */
void vmb_dev_bus_destroy(struct vmb_dev_bus *bus);
/*
 * Offers a channel to the guest. Any thread, without the lock. Returns 0, or -errno and nothing has
 * changed. For a sub-channel an error means that its primary is no longer open, or that the guest
 * holds too many channels that it was asked to release; an error of a primary is reported.
 */
int vmb_dev_bus_attach(struct vmb_dev_bus *bus, struct vmb_dev_channel *channel);
/*
 * Takes a channel off the bus. The bus must have stopped, or the channel must have been
 * released. Does nothing if the channel is not attached.
 */
void vmb_dev_bus_detach(struct vmb_dev_channel *channel);

/*
 * From now on asked() is told, with the lock held, of each connection that the guest asks for;
 * NULL: nobody is, and all are refused.
 */
void vmb_dev_bus_serve_sockets(struct vmb_dev_bus *bus,
			       void (*asked)(void *device,
					     const struct vmb_host_socket_request *request),
			       void *device);
/*
 * Offers a connection as vmb_host_socket_offer() does; refuses one as _refuse() does. Any thread,
 * without the lock. Returns what those return, or -errno; nothing is reported. A channel that was
 * offered is the bus's until ops->released, then vmb_dev_bus_detach().
 */
int vmb_dev_bus_offer_socket(struct vmb_dev_bus *bus, struct vmb_dev_channel *channel,
			     bool from_host);
int vmb_dev_bus_refuse_socket(struct vmb_dev_bus *bus, const struct vmb_guid *endpoint_id,
			      const struct vmb_guid *service_id);

/*
 * The guest called HvCallPostMessage; post must be a private copy of its block. Returns the
 * hypercall's status.
 */
uint32_t vmb_dev_bus_post(struct vmb_dev_bus *bus, uint32_t connection_id,
			  const struct vmb_synic_post *post);
/* Tries again to deliver messages that the machine refused before. Any thread, without the lock. */
void vmb_dev_bus_deliver(struct vmb_dev_bus *bus);

/* Interrupts the guest for an open channel. The device's thread. */
void vmb_dev_bus_signal(struct vmb_dev_channel *channel);
/*
 * Takes the channel away from the guest for good: calls ops->stop, and tells the guest after
 * _stopped.
 */
void vmb_dev_bus_rescind(struct vmb_dev_channel *channel);
/*
 * Gives the guest len bytes more, at the end of its last region of memory. Any thread, without the
 * lock. Returns 0; -EOPNOTSUPP: the machine cannot; -ENOSPC: more than the region's capacity; or
 * what machine->ops->grow() returns.
 */
int vmb_dev_bus_grow(struct vmb_dev_bus *bus, uint64_t len);
/*
 * Gives the guest memory of a device at gpa, or takes it away (base NULL), as machine->ops->map()
 * does. Any thread, without the lock. Returns 0; -EINVAL: gpa is not at a page, or has RAM, or is
 * not in address space of VMBus devices; -EOPNOTSUPP: the machine cannot; or what map() returns.
 */
int vmb_dev_bus_map(struct vmb_dev_bus *bus, uint64_t gpa, void *base, uint64_t len);
/*
 * From now on the device answers for address space; or no longer, and none of its functions runs
 * when _remove_window returns. Any thread, without the lock, but not from within those functions.
 */
void vmb_dev_bus_add_window(struct vmb_dev_bus *bus, struct vmb_dev_window *window);
/* Does nothing if the window was not added. */
void vmb_dev_bus_remove_window(struct vmb_dev_bus *bus, struct vmb_dev_window *window);
/*
 * For the machine: a processor accesses len bytes, 1 to 8, where there is no memory. Returns
 * whether a device answered. Any thread, without the lock.
 */
bool vmb_dev_bus_access(struct vmb_dev_bus *bus, uint64_t gpa, uint8_t *data, uint32_t len,
			bool is_write);
/* For the machine: whether a device has moved that interrupt. Any thread, without the lock. */
bool vmb_dev_bus_retarget(struct vmb_dev_bus *bus, const struct vmb_pci_retarget *wanted,
			  uint64_t vps);
/*
 * The device no longer touches the rings. ops->released may be called from here, so the channel may
 * be gone when this returns.
 */
void vmb_dev_bus_stopped(struct vmb_dev_channel *channel);

/*
 * Maps the memory of a GPADL of this channel, which must be one range of whole pages, and keeps the
 * guest from taking it back until _unshare. The device must call _unshare before _stopped. Returns
 * 0; -ENOENT: the guest has no such GPADL; -EINVAL: it is not one range of whole pages; or the
 * error of mmap().
 */
int vmb_dev_bus_share(struct vmb_dev_channel *channel, uint32_t gpadl_id,
		      struct vmb_dev_shared *shared);
/* Unmaps the memory and allows the guest to take it back. */
void vmb_dev_bus_unshare(struct vmb_dev_channel *channel, struct vmb_dev_shared *shared);

#endif
