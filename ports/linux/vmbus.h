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
 * A driver that polls (NAPI) has ops->doorbell() instead of ops->packet():
 *
 *   vmb_channel_open(), then napi_enable() and napi_schedule(): the poll needs the ring, and a
 *                 doorbell that rang earlier is lost
 *   doorbell:     napi_schedule()
 *   poll:         vmb_channel_mask(); then vmb_channel_read(), _copy(), _next() until -EAGAIN or
 *                 the budget is used up; vmb_channel_commit() the answers; _release()
 *                 all read:   napi_complete_done(), and if that is true vmb_channel_unmask(); if
 *                             that is true napi_schedule() again, for more came meanwhile
 *                 a doorbell also means "there is room again": wake a stopped queue here
 *   send:         vmb_channel_write() any number of packets, vmb_channel_commit() once.
 *                 -EAGAIN: stop the queue, then vmb_channel_wait_room(): 0: wake it again;
 *                 -EAGAIN: a doorbell will ring
 *   end:          napi_disable(), then vmb_channel_close()
 *
 * Sub-channels, more channels of one device, come when the driver has asked the host for them in
 * the device's own protocol. ops->sub_channel() announces each of them; it is opened and closed
 * like any other. The pointer is valid until vmb_channel_drop_subs() or vmb_channel_close() of the
 * primary returns, even if the host takes the sub-channel away before.
 *
 * A rescind (the host takes the device away) reaches the driver twice: ops->rescinded() at once, so
 * that it can stop waiting for the host, and remove() soon after. A rescind of a sub-channel alone
 * only calls ops->rescinded(sub); the channel goes back to the host when the driver has closed it.
 *
 * Ownership: a device and its channel live at least until remove() returns. Ring memory belongs to
 * the channel; memory that the host was told about is freed only after the host has confirmed its
 * release, otherwise it is leaked.
 */
#ifndef PORTS_LINUX_VMBUS_H
#define PORTS_LINUX_VMBUS_H

#include <linux/device.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include "guest/socket.h"
#include "ring/ring.h"
#include "ring/stream.h"
#include "wire/guid.h"

struct vmb_channel;
struct vmb_device;
struct vmb_share;

struct vmb_channel_ops {
	/*
	 * One packet from the host: softirq, one at a time per channel. Copy its bytes with
	 * vmb_channel_copy(); the packet is gone when this returns. Not called if there is a
	 * doorbell().
	 */
	void (*packet)(struct vmb_channel *ch, const struct vmb_ring_received *packet);
	/*
	 * All packets that were there, or as many as the budget allowed, have been given to
	 * packet(): do here what is cheaper for many at once. Softirq, as packet(). May be NULL.
	 */
	void (*drained)(struct vmb_channel *ch);
	/*
	 * packet() and drained() may be called in hard interrupt too, which saves a softirq; still
	 * one at a time. They must be short.
	 */
	bool in_interrupt;
	/*
	 * Something came, or there is room again: hard interrupt, or any context with the channel's
	 * send lock held (that means interrupts off, but not with PREEMPT_RT). So it must only
	 * schedule the driver's poll and must call no function of this header but
	 * vmb_channel_hush(). Before vmb_channel_open() returns it may ring already; after
	 * vmb_channel_close() has returned it does not ring any more.
	 */
	void (*doorbell)(struct vmb_channel *ch);
	/*
	 * The host offers sub, a further channel of the device whose primary channel was opened
	 * with these ops. Process context, may wait for the host, one at a time per device; once
	 * the primary is open (also while vmb_channel_open() is about to return), for each one
	 * that was offered since then or before. Closing the primary and dropping the sub-channels
	 * wait until this has returned, so it may do neither, and may take no lock under which the
	 * driver does. May be NULL: then nobody opens them.
	 */
	void (*sub_channel)(struct vmb_channel *primary, struct vmb_channel *sub);
	/*
	 * The host took the channel away. Process context; must not wait for the host, and calls
	 * nothing that opens, closes or shares. May be NULL.
	 */
	void (*rescinded)(struct vmb_channel *ch);
	/*
	 * The host may see what was sent 100 us late. If true, the monitor page may be used instead
	 * of a hypercall, if the host offers that and the user wants it (parameter monitor of
	 * vmbus).
	 */
	bool tolerates_delay;
};

struct vmb_device {
	struct device dev;
	struct vmb_guid type_id;
	struct vmb_guid instance_id;
	struct vmb_channel *channel;
	struct kset *channels;
	/* for vmbus_override.c: the only driver that may have the device, or NULL */
	char *driver_override;
	void *data; /* the driver's own */
};
#define to_vmb_device(d) container_of(d, struct vmb_device, dev)

struct vmb_driver {
	struct device_driver driver;
	const struct hv_vmbus_device_id *id_table; /* ends with a zero GUID */
	struct vmb_added_id *added_ids; /* the bus's: classes that the user added */
	/*
	 * id: a copy of the matching entry of id_table, or an id without driver_data that the user
	 * added; NULL if the user chose this driver. Valid until this returns.
	 */
	int (*probe)(struct vmb_device *device, const struct hv_vmbus_device_id *id);
	void (*remove)(struct vmb_device *device);
	void (*shutdown)(struct vmb_device *device); /* may be NULL */
	/*
	 * Before and after hibernation; NULL: the driver cannot hibernate, which then fails.
	 * suspend closes the device's channel, so that the host has nothing of the device's; resume
	 * opens it again. Process context, nothing else of the device is running. suspend returns
	 * 0; or -errno, and the device goes on as before. What resume returns is only reported.
	 */
	int (*suspend)(struct vmb_device *device);
	int (*resume)(struct vmb_device *device);
};
#define to_vmb_driver(d) container_of(d, struct vmb_driver, driver)

/*
 * Use vmb_driver_register(). Probes devices that match, before or after it returns. Returns 0 or
 * -errno.
 */
int vmb_driver_register_owner(struct vmb_driver *driver, struct module *owner, const char *name);
#define vmb_driver_register(driver) vmb_driver_register_owner(driver, THIS_MODULE, KBUILD_MODNAME)
/* Calls remove() for each device of the driver, and returns when all are gone. */
void vmb_driver_unregister(struct vmb_driver *driver);

/*
 * Opens ch with two rings of ring_len bytes each, control page included (a multiple of 4096, at
 * least 8192). Waits for the host. Returns 0; -ENODEV: rescinded; -EBUSY: already open; -ETIMEDOUT:
 * the host does not answer; -EIO: it refused. Packets may arrive before this returns; they can be
 * answered at once.
 */
int vmb_channel_open(struct vmb_channel *ch, u32 ring_len, const struct vmb_channel_ops *ops,
		     void *context);

/*
 * Closes ch and waits until the host has released its rings; neither ops->packet() nor
 * ops->doorbell() is running any more. A driver that polls must have stopped its poll on this
 * channel and, if it is the primary, on all its sub-channels: those are closed first and given back
 * to the host afterwards, and their pointers become invalid. Returns 0, also if it was closed
 * already; -ETIMEDOUT: the host did not release a ring and may still write to any memory that it
 * was told about.
 */
int vmb_channel_close(struct vmb_channel *ch);

/* ---- sending; any context, any number of senders at a time ---- */

/*
 * Each of these takes the channel's send lock itself, for one packet. A lock of the driver's is
 * neither needed nor enough, because its queues and its poll share one ring. The next commit of any
 * sender publishes all packets that were written.
 */

/*
 * Writes one packet and signals the host if it sleeps. Returns 0; -EAGAIN: no room now, so try
 * again when the host has answered something, or call vmb_channel_wait_room(); -ENODEV: not open;
 * else the error of vmb_ring_write().
 */
int vmb_channel_send(struct vmb_channel *ch, const struct vmb_ring_packet *packet);

/* The same, but the host sees nothing before vmb_channel_commit(). */
int vmb_channel_write(struct vmb_channel *ch, const struct vmb_ring_packet *packet);

/*
 * vmb_channel_write() for many completions at once: one with this payload for each of count
 * transaction ids. Returns how many had room, at least 1, or an error as above.
 */
int vmb_channel_complete(struct vmb_channel *ch, const u64 *transaction_ids, u32 count,
			 const struct vmb_ring_part *payload);

/* Publishes all that was written, and signals the host if it sleeps. Cheap if there is nothing. */
void vmb_channel_commit(struct vmb_channel *ch);

/*
 * Returns the length in bytes of the longest packet (as vmb_ring_packet_len() counts) that would
 * fit now; 0 if ch is not open.
 */
u32 vmb_channel_room(struct vmb_channel *ch);

/*
 * Commits, and asks for a call of ops->doorbell() when a packet of len bytes
 * (vmb_ring_packet_len()) fits. Returns 0: it fits now, and there will be no call; -EAGAIN: the
 * request stays, even if smaller packets are sent meanwhile, until there is room or
 * vmb_channel_wait_cancel(). Only the longest request counts. If the host does not signal when
 * there is room, the ring is polled every few milliseconds instead. -ENODEV: not open; -EINVAL: no
 * ops->doorbell(); -EOVERFLOW: it can never fit; -EPROTO: the host broke the ring.
 */
int vmb_channel_wait_room(struct vmb_channel *ch, u32 len);

/* Withdraws the request for room: saves the host a signal. */
void vmb_channel_wait_cancel(struct vmb_channel *ch);

/* ---- receiving by polling; one caller at a time per channel, between open and close ---- */

/* Stops doorbells for new packets. Those for room still ring. */
void vmb_channel_mask(struct vmb_channel *ch);

/*
 * Reads the next packet's descriptor. Returns 0; -EAGAIN: there is none; -EPROTO: the host broke
 * the ring, and no more packets will come.
 */
int vmb_channel_read(struct vmb_channel *ch, struct vmb_ring_received *packet);

/*
 * Copies len bytes at offset of the packet that vmb_channel_read() or ops->packet() gave: see
 * vmb_ring_copy().
 */
bool vmb_channel_copy(struct vmb_channel *ch, const struct vmb_ring_received *packet, u32 offset,
		      void *dst, u32 len);

/* Steps over the packet; its space is given back by vmb_channel_release(). */
void vmb_channel_next(struct vmb_channel *ch, const struct vmb_ring_received *packet);

/*
 * Gives back the space of all packets stepped over, and signals the host if it waits for that. Must
 * be called before vmb_channel_unmask(), or the host may see a ring that is not empty and not
 * signal.
 */
void vmb_channel_release(struct vmb_channel *ch);

/*
 * Allows doorbells again. Returns whether more packets came meanwhile: no doorbell will ring for
 * them, so poll again.
 */
bool vmb_channel_unmask(struct vmb_channel *ch);

/*
 * Does what a signal of the host does: calls ops->doorbell(), or ops->packet() for each packet. Any
 * context except ops->doorbell(); does nothing on a closed channel.
 */
void vmb_channel_poke(struct vmb_channel *ch);

/* ---- sub-channels; process context ---- */

/*
 * Closes all sub-channels of primary, gives them back to the host and waits for both, as
 * vmb_channel_close(primary) does too. Sub-channels that the host offers afterwards are announced
 * as before. Must not run at the same time as opening, closing or sharing on one of them. Returns 0
 * or -ETIMEDOUT, as vmb_channel_close().
 */
int vmb_channel_drop_subs(struct vmb_channel *primary);

/*
 * Returns the number that the host gave: 0 for a primary, otherwise unique among the sub-channels
 * that are not rescinded.
 */
u32 vmb_channel_index(const struct vmb_channel *ch);

/* ---- memory shared with the host; process context ---- */

#define VMB_SHARE_LEN_MAX (8190u * VMB_PAGE_LEN)

/*
 * Tells the host about len bytes at memory, both multiples of 4096, at most VMB_SHARE_LEN_MAX; from
 * vmalloc() or the page allocator. Waits for the host. Returns 0: the caller must give *share to
 * vmb_channel_unshare() before ch ends (remove() returns, or a sub-channel is dropped). -ETIMEDOUT:
 * the host did not answer and may write to the memory at any time, so the caller must leak it.
 * After any other error the caller may free it: -EINVAL, -EOVERFLOW, -ENOMEM; -ENODEV: rescinded;
 * -EIO: the host refused.
 */
int vmb_channel_share(struct vmb_channel *ch, void *memory, u32 len, struct vmb_share **share);

/* Returns the GPADL's id, for the device's protocol. */
u32 vmb_share_id(const struct vmb_share *share);

/*
 * Takes the memory back and waits for the host; share is freed. Returns 0: the memory belongs to
 * the caller alone; -ETIMEDOUT: the host did not release it, so the caller must leak it. May be
 * called before or after vmb_channel_close(), also on a rescinded channel, whose memory the host
 * has released even if it does not answer. Returns 0 for NULL.
 */
int vmb_channel_unshare(struct vmb_share *share);

/*
 * Asks for the memory and does not wait; vmb_channel_unshare() waits later. For hosts that must be
 * asked before vmb_channel_close() and may answer only after it. Does nothing for NULL.
 */
void vmb_channel_unshare_begin(struct vmb_share *share);

/* ---- sockets; process context ---- */

/*
 * Connections are channels without a device, and there is one driver for all of them:
 *
 *   vmb_socket_register(&ops)
 *   vmb_socket_dial(dial) asks the host for a connection: ops->offered() with that dial, or
 *                         ops->refused(); hosts of 4.0 do not refuse, so the caller gives up by
 *                         itself, with vmb_socket_hang_up()
 *   ops->offered(ch, ...) true: ch is the driver's, which opens it (vmb_channel_open(), later and
 *                         not in here) and at the end gives it back by vmb_socket_release()
 *   vmb_socket_unregister() when the driver has no channel and no dial left
 */
struct vmb_socket_ops {
	/*
	 * A connection is offered: of the host (dial NULL), or the answer to dial, which is the
	 * caller's again. Returns whether the driver takes it; false: it is left, until the host
	 * takes it back. With the bus's lock: must not wait for the host or for whoever calls
	 * functions of this header, and calls none of them.
	 */
	bool (*offered)(struct vmb_channel *ch, const struct vmb_guest_socket *about,
			struct vmb_guest_dial *dial);
	/* The host refuses dial, which is the caller's again. With the bus's lock, as above. */
	void (*refused)(struct vmb_guest_dial *dial);
};

/* Returns 0, or -EBUSY: there is a driver. */
int vmb_socket_register(const struct vmb_socket_ops *ops);
void vmb_socket_unregister(void);

/* Asks for a connection, and does not wait. Returns as vmb_guest_socket_dial(). */
int vmb_socket_dial(struct vmb_guest_dial *dial);
/* Takes dial back. Returns true: nobody has answered and nobody will; false: an answer had it. */
bool vmb_socket_hang_up(struct vmb_guest_dial *dial);

/* Closes ch, which must not be used any more, and waits for the host. */
void vmb_socket_release(struct vmb_channel *ch);

/* ---- channels whose rings a program has mapped; process context ---- */

/*
 * Such a driver has ops->doorbell(), which hushes it and tells the program, and uses neither the
 * functions that send nor those that read packets:
 *
 *   vmb_channel_open(), vmb_channel_hush()
 *   vmb_channel_memory() is what is mapped: the ring to the host, then the ring from it, each a
 *                 control page and its data
 *   vmb_channel_listen() when the program wants to be told again
 *   vmb_channel_signal() for a program that cannot signal by the pages of the bus
 *   vmb_channel_show_ring() puts the file "ring" into the channel's folder in sysfs
 *
 * What the program does to the rings is between it and the host. The kernel reads nothing of them
 * but the indices and masks that sysfs shows.
 */

/* Returns both rings of an open channel; valid until it is closed. From vmalloc(). */
void *vmb_channel_memory(const struct vmb_channel *ch);

/* Stops doorbells of an open channel. Any context, any number of callers. */
void vmb_channel_hush(struct vmb_channel *ch);

/*
 * Allows doorbells again. Returns whether there are packets that the program has not read: no
 * doorbell will ring for them.
 */
bool vmb_channel_listen(struct vmb_channel *ch);

/* Signals the host, whatever the ring says. Does nothing on a closed channel. Any context. */
void vmb_channel_signal(struct vmb_channel *ch);

/* Returns whether the host offers to be signalled for ch through the monitor page. */
bool vmb_channel_monitored(const struct vmb_channel *ch);

/*
 * Return the pages of the bus by which a program can signal: one bit a channel in the second half
 * of the first, one a monitor id in the other. From the page allocator; valid as long as a driver
 * that cannot suspend has a device.
 */
void *vmb_bus_interrupt_page(void);
void *vmb_bus_monitor_page(void);

/*
 * From now on the channel has the file "ring" of 2 * ring_len bytes, for root alone, which maps
 * what vmb_channel_memory() returns; while it is closed that fails with -ENODEV. It goes with
 * vmb_channel_hide_ring(), which waits for whoever is mapping it, or with a sub-channel. What was
 * mapped stays, and is nobody else's, until the program gives it up.
 */
void vmb_channel_show_ring(struct vmb_channel *ch, u32 ring_len);
void vmb_channel_hide_ring(struct vmb_channel *ch);

/* ---- questions; any context ---- */

void *vmb_channel_context(const struct vmb_channel *ch); /* as given to vmb_channel_open() */
bool vmb_channel_rescinded(const struct vmb_channel *ch);

/*
 * Returns the CPU that the host interrupts for ch. It stays the same from the offer on, unless the
 * user moves the channel or the CPU goes offline. The channels of a device are on different CPUs as
 * long as there are enough.
 */
u32 vmb_channel_cpu(const struct vmb_channel *ch);

/*
 * Returns the negotiated version of the bus, VMB_VERSION_*. Parts of a device's protocol depend on
 * it.
 */
u32 vmb_bus_version(void);

/* Returns how many bytes of packets a ring of ring_len bytes can hold. */
static inline u32 vmb_channel_room_max(u32 ring_len)
{
	return vmb_ring_packet_len_max(ring_len - VMB_PAGE_LEN);
}

#endif
