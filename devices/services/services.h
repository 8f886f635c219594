/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The integration services of a machine, as one device: each has a channel of its own, and one
 * worker serves them all.
 *
 *   vmb_dev_services_open(&device, &config)
 *   services = vmb_dev_services_of(&device)
 *   vmb_dev_services_shutdown(services, ...), _shutdown_answer(services)
 *
 * Heartbeats go out every two seconds and the time every five, as on real hosts, to whoever opens
 * these channels. A guest that breaks the protocol loses that service until it opens the channel
 * again. A guest that never answers loses it too: nothing here waits for a guest.
 *
 * Context: any thread for the functions below, from attach to detach of the device; before and
 * after it they say that nobody is there.
 *
 * Source: docs/protocol/integration.md.
 */
#ifndef DEVICES_SERVICES_SERVICES_H
#define DEVICES_SERVICES_SERVICES_H

#include "devices/device.h"
#include "devices/services/service.h"
#include "devices/worker.h"

#define VMB_DEV_SERVICES_ALL	 0xFFFFFFFFu
#define VMB_DEV_SERVICES_NAMES	 "shutdown, heartbeat, time, kvp, backup, copy and memory"
#define VMB_DEV_SERVICES_BIT(ic) (1u << (ic))
#define VMB_DEV_SERVICES_MEMORY \
	(1u << 31) /* dynamic memory, a device of its own: devices/balloon.h */

struct vmb_dev_services_config {
	uint32_t offered; /* VMB_DEV_SERVICES_BIT(VMB_IC_*) of each, if this host has it */
	uint32_t bus_version; /* of the host that this one is: VMB_VERSION_* */
	uint32_t watchdog_s; /* seconds without a heartbeat until machine->ops->hung(); 0: never */
	/* For tests: what the clocks say. NULL: the machine's own. */
	void (*clock)(struct vmb_dev_services_now *now);
};

enum vmb_dev_services_copy_state {
	VMB_DEV_SERVICES_COPY_IDLE,
	VMB_DEV_SERVICES_COPY_WANTED,
	VMB_DEV_SERVICES_COPY_STARTING,
	VMB_DEV_SERVICES_COPY_WRITING,
	VMB_DEV_SERVICES_COPY_COMPLETING,
	VMB_DEV_SERVICES_COPY_CANCELLING,
};

/* The one file that is being copied. */
struct vmb_dev_services_copy {
	enum vmb_dev_services_copy_state state; /* under the lock */
	int error; /* the last one's result, under the lock */
	bool cancel; /* under the lock */
	int fd; /* -1: none */
	uint64_t offset; /* bytes that the guest has, under the lock */
	uint32_t piece; /* bytes that it was sent last */
	int read_error; /* why it is cancelled */
	struct vmb_ic_copy_start start;
};

struct vmb_dev_services {
	struct vmb_dev_services_config config;
	struct vmb_dev_machine *machine; /* from attach to detach */
	struct vmb_dev_worker worker;
	pthread_mutex_t lock; /* of what other threads ask for */
	pthread_cond_t changed; /* a call has ended */
	struct vmb_dev_service all[VMB_DEV_SERVICE_COUNT];
	uint32_t count;
	bool paused; /* the machine stands still */
	struct vmb_dev_service_call power; /* of _shutdown() */
	struct vmb_ic_shutdown power_body;
	struct vmb_dev_services_copy copy;
};

/*
 * Makes a device of the services in config->offered that such a host has. Returns 0, or -ENOMEM,
 * reported.
 */
int vmb_dev_services_open(struct vmb_dev_device *device,
			  const struct vmb_dev_services_config *config);
/*
 * Makes a device of the i-th of them, which can be taken from a running guest and be given back.
 * Attaching services attaches all of them; a part that is attached stays as it is. Parts are closed
 * by closing services, and must be behind it in a list of devices. Returns false: there are not so
 * many.
 */
bool vmb_dev_services_part(struct vmb_dev_device *device, struct vmb_dev_services *services,
			   uint32_t i);
/* Returns device's services, or NULL: it is another kind of device. */
struct vmb_dev_services *vmb_dev_services_of(const struct vmb_dev_device *device);

/*
 * Parses "shutdown,heartbeat", "none" or "all". Returns false if a name is none of
 * VMB_DEV_SERVICES_NAMES.
 */
bool vmb_dev_services_parse(const char *list, uint32_t *offered);

/*
 * Asks the guest to end, and does not wait. flags: VMB_IC_SHUTDOWN_*; timeout_s: what the guest is
 * told. Returns 0; -ENOTCONN: the guest does not use the service; -EOPNOTSUPP: its version cannot
 * do that; -EBUSY: it was asked already.
 */
int vmb_dev_services_shutdown(struct vmb_dev_services *services, uint32_t flags,
			      uint32_t timeout_s);
/*
 * What the guest said to that: 0: it agreed and will end; -EAGAIN: nothing yet; -EIO: it refused;
 * -ENOTCONN: it closed the channel.
 */
int vmb_dev_services_shutdown_answer(struct vmb_dev_services *services);

/*
 * The machine stands still from now on (on), or no longer: meanwhile nothing is sent and nobody can
 * ask for anything. Afterwards the guest is told the time at once, and what it did not answer is
 * forgiven.
 */
void vmb_dev_services_pause(struct vmb_dev_services *services, bool on);

enum vmb_dev_services_health {
	VMB_DEV_SERVICES_UNKNOWN, /* no heartbeat was answered since the channel was opened */
	VMB_DEV_SERVICES_ALIVE,
	VMB_DEV_SERVICES_LOST, /* heartbeats are not answered any more */
};

struct vmb_dev_services_heartbeat {
	enum vmb_dev_services_health health;
	uint64_t answered; /* heartbeats since the machine's start */
	uint32_t since_ms; /* the last one was answered; 0 if none was */
};

/* Returns what the heartbeats say. */
struct vmb_dev_services_heartbeat vmb_dev_services_heartbeat(struct vmb_dev_services *services);

/*
 * Makes a request of a service for another thread, and does not wait. call must stay until _asked()
 * says that it is done, or _withdraw(). Returns 0; -ENOTCONN: the guest does not use the service;
 * -EBUSY: another call is under way.
 */
int vmb_dev_services_ask(struct vmb_dev_services *services, enum vmb_ic_type type,
			 struct vmb_dev_service_call *call);
/* Returns whether the call is done. */
bool vmb_dev_services_asked(struct vmb_dev_services *services,
			    const struct vmb_dev_service_call *call);
/* Forgets the call, done or not. */
void vmb_dev_services_withdraw(struct vmb_dev_services *services, enum vmb_ic_type type,
			       struct vmb_dev_service_call *call);

/*
 * Freezes the guest's file systems, for limit_s seconds at most, or thaws them. Does not wait.
 * Returns 0; -ENOTCONN: the guest does not use the service; -EBUSY: they are not thawed, or not
 * frozen.
 */
int vmb_dev_services_freeze(struct vmb_dev_services *services, uint32_t limit_s);
int vmb_dev_services_thaw(struct vmb_dev_services *services);
/*
 * Returns what came of that: 0, and *state is FROZEN or THAWED; -EAGAIN: not yet; -EIO: the guest
 * could not; -ENOTCONN.
 */
int vmb_dev_services_backup(struct vmb_dev_services *services,
			    enum vmb_dev_services_backup_state *state);

/*
 * Copies the open file fd, size bytes, to folder/name in the guest. flags: VMB_IC_COPY_*. Does not
 * wait. Returns 0, and fd belongs to services; else the caller keeps it: -ENOTCONN; -EBUSY: another
 * file is being copied; -ENAMETOOLONG.
 */
int vmb_dev_services_copy(struct vmb_dev_services *services, int fd, uint64_t size,
			  const char *folder, const char *name, uint32_t flags);
/*
 * What came of that: 0: the guest has it; -EAGAIN: not yet, *offset bytes are there; -EEXIST;
 * -ENOSPC; -EIO: the guest failed; -ENODATA: the file became shorter; -ECANCELED; -ENOTCONN.
 */
int vmb_dev_services_copied(struct vmb_dev_services *services, uint64_t *offset);
/* Ends it when the guest has answered the last piece. */
void vmb_dev_services_copy_cancel(struct vmb_dev_services *services);

#endif
