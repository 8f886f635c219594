/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The machine as the devices see it: guest memory, and a table of what only a machine can do. KVM
 * is one implementation (vmm/machine.c), a process without a virtual machine another
 * (ports/user/machine.c). Whoever wants these devices in a monitor of his own writes the next.
 *
 *   the machine fills in a struct vmb_dev_machine and passes it to vmb_dev_bus_create()
 *   HvCallPostMessage: vmb_dev_bus_post()
 *   a message may be taken now that post() refused before: vmb_dev_bus_deliver()
 *   HvCallSignalEvent: rings the bell that doorbell() connected
 *   a processor touches an address without memory: vmb_dev_bus_access()
 *   HvCallRetargetDeviceInterrupt: vmb_dev_bus_retarget()
 *
 * Locks: all functions of the table but signal(), interrupt(), reference(), heartbeat() and hung()
 * are called with the bus's lock held. None may call back into the bus, and none may wait for the
 * guest or for a device.
 */
#ifndef DEVICES_MACHINE_H
#define DEVICES_MACHINE_H

#include "devices/event.h"
#include "devices/memory.h"

struct vmb_dev_machine;

struct vmb_dev_machine_ops {
	/*
	 * Connects bell to connection_id (on), or disconnects it. While connected, a signal of the
	 * guest on connection_id must write to bell->fd or call vmb_dev_bell_ring(). bell stays
	 * valid until it is disconnected. Returns 0, or -errno: reported.
	 */
	int (*doorbell)(struct vmb_dev_machine *machine, uint32_t connection_id,
			struct vmb_dev_bell *bell, bool on);
	/*
	 * Sets event flag (0..VMB_SYNIC_FLAG_COUNT - 1) of SINT 2 of virtual processor vp
	 * (0..vp_count - 1), and interrupts it if the flag was clear. Any thread, no lock held.
	 */
	void (*signal)(struct vmb_dev_machine *machine, uint32_t vp, uint32_t flag);
	/*
	 * Puts a message of len bytes (at most VMB_MSG_LEN_MAX) into the slot of sint of virtual
	 * processor vp. 0; VMB_EAGAIN: not now, and the machine calls vmb_dev_bus_deliver() when
	 * it may be; VMB_ENODEV: this processor takes no messages, the machine calls
	 * vmb_dev_bus_deliver() if that changes.
	 */
	int (*post)(struct vmb_dev_machine *machine, uint32_t vp, uint32_t sint,
		    const void *payload, uint32_t len);
	/*
	 * Returns whether the guest that is just posting its contact needs monitor ids to find its
	 * devices. NULL: none does.
	 */
	bool (*wants_monitors)(struct vmb_dev_machine *machine);
	/*
	 * The guest was refused a channel because the host lacks a resource, which has been
	 * reported. NULL: the machine does not need to know.
	 */
	void (*lacks)(struct vmb_dev_machine *machine);
	/*
	 * Returns the partition's reference counter, as the guest reads it now, in units of 100 ns.
	 * Any thread, no lock held. NULL: there is none, and the guest is told the time in the old
	 * way.
	 */
	uint64_t (*reference)(struct vmb_dev_machine *machine);
	/*
	 * The guest stopped to answer heartbeats (lost), or answers again; seconds: since or for
	 * how long. Any thread, no lock held. NULL: the machine does not need to know.
	 */
	void (*heartbeat)(struct vmb_dev_machine *machine, bool lost, uint32_t seconds);
	/*
	 * The guest has not answered heartbeats for as long as the user allows (--watchdog), which
	 * has been reported. Any thread, no lock held. NULL: the machine does not need to know.
	 */
	void (*hung)(struct vmb_dev_machine *machine);
	/*
	 * Gives the guest len bytes more, at the end of the last region of memory, whose capacity
	 * has them. Returns 0, or -errno. NULL: memory cannot grow.
	 */
	int (*grow)(struct vmb_dev_machine *machine, uint64_t len);
	/*
	 * Gives the guest len bytes at base, of this process, at guest address gpa: memory of a
	 * device, which is no RAM. base NULL: takes away what is there. Both are whole pages, and
	 * there is one such piece at a time. Returns 0; -EINVAL: gpa is not in the address space
	 * that the guest has for devices of VMBus; or another -errno, reported. NULL: the machine
	 * cannot.
	 */
	int (*map)(struct vmb_dev_machine *machine, uint64_t gpa, void *base, uint64_t len);
	/*
	 * Interrupts virtual processor vp (0..vp_count - 1) with vector, as a device does by a
	 * message. Any thread, with a device's lock. NULL: the machine cannot.
	 */
	void (*interrupt)(struct vmb_dev_machine *machine, uint32_t vp, uint8_t vector);
	/* The host cannot go on; why has been reported. Any thread; the lock may be held or not. */
	void (*fail)(struct vmb_dev_machine *machine);
};

struct vmb_dev_machine {
	const struct vmb_dev_machine_ops *ops;
	struct vmb_dev_memory memory;
	uint32_t vp_count;
};

#endif
