/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Plays the guest's half of a recording (devices/trace.h) against devices, and says where what the
 * host answers differs from the recording.
 *
 *   vmb_dev_replay(&config, &result)
 *
 * The caller makes devices equal to the recorded ones, and memory with room for the guest's
 * addresses. What the guest did is done again, in its order; between any two of its records the
 * devices are stepped until nothing moves. What the host did is looked for among what it does now:
 * messages by type and channel, completions by transaction id, so that requests may end in another
 * order.
 *
 * Channels are known by class and instance, not by relid. Those that the devices have not are left
 * out, with all that concerns them. So are frames that came from the network, and the guest's
 * answers to them: there is no network.
 *
 * A recording may come from anyone: whatever is in it, this ends, and touches nothing but devices
 * and memory. Context: one thread.
 */
#ifndef DEVICES_REPLAY_H
#define DEVICES_REPLAY_H

#include "devices/device.h"
#include "devices/trace_read.h"

struct vmb_dev_replay_config {
	const void *bytes; /* the recording */
	uint64_t len;
	struct vmb_dev_bus_config bus; /* machine is filled in; stepped is true */
	const struct vmb_dev_memory *memory;
	uint32_t vp_count;
	/* Prepared; attached and detached here. */
	const struct vmb_dev_device *devices;
	uint32_t device_count;
	/* Called for each difference, in the order of the records. number 0: at the end. */
	void (*differs)(void *arg, uint32_t number, const char *text);
	void *arg;
};

struct vmb_dev_replay_result {
	uint64_t played, compared, differences; /* records */
	uint64_t left_out; /* records of channels that the devices have not, and cut frames */
	uint64_t cut; /* pieces of memory that were not whole in the recording */
	const char *ended; /* why it ended before the end of the file; NULL: it did not */
};

/* Returns 0, or -errno: reported. */
int vmb_dev_replay(const struct vmb_dev_replay_config *config,
		   struct vmb_dev_replay_result *result);

#endif
