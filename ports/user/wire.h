/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A network card's backend whose other end is in this process: it calls a function for each frame
 * that the guest sends, and a function call gives the guest a frame.
 *
 *   option.ops = &vmb_user_wire_ops; option.arg = wire; the card is opened
 *   wire->sent or wire->taken          called for each frame of the guest's
 *   vmb_user_wire_deliver(wire, ...)   a frame for the guest, now: by the thread that steps it
 *   vmb_user_wire_push(wire, ...)      the same from any thread: the card's worker hands it on
 *
 * Context: sent, taken and looked are called by the thread that steps the card.
 */
#ifndef PORTS_USER_WIRE_H
#define PORTS_USER_WIRE_H

#include <pthread.h>

#include "devices/net/net.h"

#define VMB_USER_WIRE_FRAME_MAX	 VMB_DEV_NET_FRAME_MAX
#define VMB_USER_WIRE_PUSHED_MAX 4096u /* frames that wait for the worker; more are dropped */

struct vmb_user_wire_pushed;

struct vmb_user_wire {
	/* filled by the caller */
	/*
	 * Gets a frame as on a wire: one piece, its checksums complete, its VLAN tag in place. mss
	 * not 0: a large TCP frame, uncut, with an incomplete checksum; only if large is set. NULL:
	 * frames are dropped.
	 */
	void (*sent)(void *arg, uint16_t queue, const uint8_t *bytes, uint32_t len, uint32_t mss);
	/*
	 * Used instead of sent if not NULL: gets the frame as the card hands it over, not copied.
	 */
	void (*taken)(void *arg, const struct vmb_dev_net_frame *frame);
	/*
	 * With a worker: a source of frames, called in each round. Returns whether there are more.
	 * May be NULL.
	 */
	bool (*looked)(void *arg);
	void *arg;
	bool large; /* takes large frames and incomplete checksums */

	/* the wire's */
	struct vmb_dev_net *net; /* the card's */
	int wake; /* eventfd */
	bool more; /* looked() said so */
	pthread_mutex_t lock;
	struct vmb_user_wire_pushed *pushed, **pushed_end;
	uint32_t pushed_count;
	uint64_t pushed_dropped;
	uint8_t frame[VMB_USER_WIRE_FRAME_MAX];
};

extern const struct vmb_dev_net_ops vmb_user_wire_ops;

/*
 * Give the guest a frame of len bytes; mss not 0: a large TCP frame. The card counts its outcome.
 */
void vmb_user_wire_deliver(struct vmb_user_wire *wire, const uint8_t *bytes, uint32_t len,
			   uint32_t mss);
void vmb_user_wire_push(struct vmb_user_wire *wire, const uint8_t *bytes, uint32_t len,
			uint32_t mss);
/* Wakes the worker, which also calls looked(). */
void vmb_user_wire_wake(struct vmb_user_wire *wire);

#endif
