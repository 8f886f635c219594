/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Dynamic memory of a machine: a device that makes the guest smaller and larger while it runs. What
 * the guest gives leaves the memory file, so this machine has it; it reads as zero when the guest
 * has it again.
 *
 *   vmb_dev_balloon_open(&device, &config)
 *   balloon = vmb_dev_balloon_of(&device)
 *   vmb_dev_balloon_set(balloon, bytes)      how large the guest is to be from now on
 *   vmb_dev_balloon_follow(balloon)          that goes by what it reports: balloon_policy.h
 *   vmb_dev_balloon_look(balloon, &view)     how large it is
 *
 * The device goes after the target by itself: it asks for pages, returns them, and adds memory when
 * all that was given is returned and it is not enough. A guest that cannot spare as much is asked
 * again when it reports that it can, or after a while, in longer and longer steps. The target
 * outlives a reset; what is out and what was added does not, and is brought about anew.
 *
 * A guest may use pages that it gave: it then gets empty ones, and this machine has less. It can
 * never have more than it was given and added, since nothing else is mapped.
 *
 * Context: any thread for _set and _look, from attach to detach of the device; before and after it
 * they say that nobody is there.
 *
 * Source: docs/protocol/integration.md, "9 Dynamic memory".
 */
#ifndef DEVICES_BALLOON_H
#define DEVICES_BALLOON_H

#include "devices/device.h"

struct vmb_dev_balloon;

struct vmb_dev_balloon_config {
	uint32_t bus_version; /* of the host that this one is: VMB_VERSION_* */
	uint64_t base; /* bytes that the guest starts with */
	uint64_t max; /* bytes that it may have; base or more */
	/* Bytes; not 0: the target follows the guest's need from the start, and goes no lower. */
	uint64_t min;
	int64_t (*clock)(void); /* nanoseconds, for tests; NULL: the machine's own */
};

struct vmb_dev_balloon_view {
	bool ready; /* the guest's driver is there */
	bool reached; /* assigned is the target, as near as the protocol allows */
	bool settled; /* reached, or the guest had no more to spare when it was asked last */
	bool follows; /* the target goes by what the guest reports */
	uint32_t version; /* agreed: VMB_BALLOON_VERSION_*; 0: none */
	/* bytes */
	uint64_t target, assigned, out, added, max;
	uint64_t available, committed; /* as the guest said last; 0: it said nothing yet */
	uint64_t resident; /* of the guest's memory: what this machine holds of it now */
};

/*
 * Makes the device. A host of an old generation has none: then *device is left alone and -ENODEV
 * returned, which is no error to report. Returns 0, or -ENOMEM: reported.
 */
int vmb_dev_balloon_open(struct vmb_dev_device *device,
			 const struct vmb_dev_balloon_config *config);
/* Returns device's balloon, or NULL: it is another kind of device. */
struct vmb_dev_balloon *vmb_dev_balloon_of(const struct vmb_dev_device *device);

/*
 * Sets the target. Does not wait. Returns 0; -ERANGE: more than max, or less than a balloon can
 * leave (VMB_DEV_BALLOON_MIN); -ENOTCONN: the guest has no driver for it now, and the target is set
 * for when it has.
 */
int vmb_dev_balloon_set(struct vmb_dev_balloon *balloon, uint64_t bytes);
#define VMB_DEV_BALLOON_MIN (32ull << 20)

/*
 * From now on the target goes by what the guest reports, between config.min (VMB_DEV_BALLOON_MIN
 * without one) and config.max, until vmb_dev_balloon_set(). Returns 0, or -ENOTCONN as _set().
 */
int vmb_dev_balloon_follow(struct vmb_dev_balloon *balloon);

void vmb_dev_balloon_look(struct vmb_dev_balloon *balloon, struct vmb_dev_balloon_view *view);

#endif
