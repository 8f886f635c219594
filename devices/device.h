/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A device of a machine: a row of functions and its state. Whoever runs a machine goes over an
 * array of these (vmm/run.c), so a new service is a file here and a row in vmm/devices.c.
 *
 *   an _open function fills in a device: it checks the options, and changes nothing
 *   ops->prepare(state)        it will be used: connects, creates files
 *   for every start of the machine:
 *     ops->attach(state, bus)  offers its channels
 *     (the guest runs; the bus is stopped)
 *     ops->detach(state)
 *     ops->report(state)       its lines of --stats
 *   ops->close(state)
 *
 * Context: one thread. Errors are -errno, reported in one line each.
 */
#ifndef DEVICES_DEVICE_H
#define DEVICES_DEVICE_H

#include "devices/bus.h"

struct vmb_dev_device_ops {
	int (*prepare)(void *state);
	int (*attach)(void *state, struct vmb_dev_bus *bus);
	void (*detach)(void *state); /* does nothing if not attached */
	/* On a stepped bus: does what can be done now. Returns whether there is more to do. */
	bool (*step)(void *state);
	void (*report)(const void *state);
	/*
	 * Begins to close, without waiting, so that devices close side by side. NULL: close is
	 * quick.
	 */
	void (*leave)(void *state);
	void (*close)(void *state); /* also when prepare failed */
	/*
	 * For devices that may be taken from a running guest and be given back. NULL: this one may
	 * not. channel: its primary channel, which vmb_dev_bus_rescind() takes away. released: the
	 * guest has let go of that since; then detach may be called although the bus runs, and
	 * attach after it offers the device anew, or close ends it. Any thread.
	 */
	struct vmb_dev_channel *(*channel)(void *state);
	bool (*released)(const void *state);
	/*
	 * Asks the guest to let go of the device. The device rescinds its channel itself when the
	 * guest has answered, or after some seconds without an answer. NULL: guests are not asked,
	 * and whoever takes the device away rescinds its channel. Any thread.
	 */
	void (*part)(void *state);
	/* How commands name it: "scsi", "net0". NULL: it has no name. */
	const char *(*name)(const void *state);
};

struct vmb_dev_device {
	const struct vmb_dev_device_ops *ops;
	void *state; /* the device's own */
};

#endif
