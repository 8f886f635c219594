/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A machine without a virtual machine: guest memory, one virtual processor's message slot and event
 * flags, and the bus with its devices (devices/), all in this process. The guest's half is in
 * ports/user/guest.h.
 *
 *   vmb_user_machine_init(m, &config)
 *   vmb_user_machine_add(m, &device)     a device that was opened; it is prepared and attached
 *   _post, _signal, _eom are the guest's hypercalls, on the guest's threads
 *   vmb_user_machine_step(m) until it returns false: all that the devices can do now; only if
 *     config.threads is false, else they have workers. Without threads a disk is "ram:" or "null:";
 *     files and NBD need a worker
 *   m->bus->fault = &fault               faults for tests, see devices/fault.h
 *   vmb_user_machine_destroy(m)
 *
 * A device looks at a channel's rings only after the guest has signalled it.
 */
#ifndef PORTS_USER_MACHINE_H
#define PORTS_USER_MACHINE_H

#include "devices/device.h"
#include "ports/user/memory.h"
#include "ports/user/synic.h"

#define VMB_USER_BELL_COUNT 4096u
#define VMB_USER_ADDED_GPA  0x100000000ull
/* Where guests may want memory of devices. */
#define VMB_USER_WINDOW_GPA 0xF8000000ull
#define VMB_USER_WINDOW_LEN 0x04000000ull

struct vmb_user_machine_config {
	uint32_t page_count; /* of guest memory */
	uint32_t version_min, version_max; /* VMB_VERSION_*, 0 = the server's */
	uint64_t add_max; /* bytes that may be added later, from VMB_USER_ADDED_GPA on */
	bool monitors; /* offers have monitor ids */
	bool threads; /* devices have workers; else the caller steps */
};

/* A device, newest first. */
struct vmb_user_machine_device {
	struct vmb_dev_device device;
	struct vmb_user_machine_device *next;
};

struct vmb_user_machine {
	struct vmb_dev_machine dev; /* how the devices see it */
	struct vmb_user_machine_config config;
	struct vmb_user_memory memory;
	struct vmb_user_synic synic;
	struct vmb_dev_bus *bus;
	struct vmb_user_machine_device *devices;
	/* memory of a device, as the guest has it; base NULL: none */
	struct {
		uint64_t gpa, len;
		uint8_t *base;
	} mapped;
	/* interrupts of devices that came; atomic */
	uint32_t interrupt_count;
	uint32_t interrupt_vp, interrupt_vector; /* of the last one */
	pthread_mutex_t bells_lock;
	struct {
		uint32_t connection_id;
		struct vmb_dev_bell *bell; /* NULL: nothing is connected */
	} bells[VMB_USER_BELL_COUNT];
};

/* Returns 0, or VMB_ENOMEM or an error of the bus, with nothing left behind. */
int vmb_user_machine_init(struct vmb_user_machine *m, const struct vmb_user_machine_config *config);
/* Works in any state of the channels. The guest may no longer use m. */
void vmb_user_machine_destroy(struct vmb_user_machine *m);

/*
 * Prepares and attaches a device. Returns 0, and the device belongs to the machine; or -errno, and
 * the device is closed.
 */
int vmb_user_machine_add(struct vmb_user_machine *m, const struct vmb_dev_device *device);
/* Closes a device whose channels the guest has released after a rescind. */
void vmb_user_machine_remove(struct vmb_user_machine *m, const struct vmb_dev_device *device);

/* Steps all devices once. Returns whether something was done; then there may be more. */
bool vmb_user_machine_step(struct vmb_user_machine *m);

/* The guest's hypercalls. Return an enum vmb_hv_status. */
uint32_t vmb_user_machine_post(struct vmb_user_machine *m, uint32_t connection_id,
			       const void *payload, uint32_t len);
uint32_t vmb_user_machine_signal(struct vmb_user_machine *m, uint32_t connection_id);
/* The guest has emptied its message slot. */
void vmb_user_machine_eom(struct vmb_user_machine *m);

#endif
