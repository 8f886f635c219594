/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of hvinput.ko share. input.c moves packets between a channel and one of the two
 * devices: input_keyboard.c and input_mouse.c.
 *
 * Everything runs in a work, in process context, one thing at a time for a device: a mouse is
 * announced to the HID layer when the host has described it, and that may sleep.
 */
#ifndef PORTS_LINUX_INPUT_H
#define PORTS_LINUX_INPUT_H

#include <linux/slab.h>
#include <linux/workqueue.h>
#include "guest/keyboard.h"
#include "guest/mouse.h"
#include "ports/linux/vmbus.h"

#undef pr_fmt
#define pr_fmt(fmt) "hvinput: " fmt

struct input_link;

struct input_link_ops {
	/* The channel was opened now. */
	void (*begin)(struct input_link *link);
	/* What waits to be sent, len bytes; NULL: nothing. Then _done: it was sent. */
	const void *(*output)(struct input_link *link, u32 *len);
	void (*output_done)(struct input_link *link);
	/* A message of the host, in link->packet. Returns 0, or VMB_EPROTO: it is nonsense. */
	int (*input)(struct input_link *link, u32 len);
	/* The channel is closed: nothing is pressed any more. */
	void (*end)(struct input_link *link);
};

/* The first member of each device. */
struct input_link {
	struct vmb_device *device;
	const struct input_link_ops *ops;
	struct work_struct look;
	bool running; /* the channel is open, and the host has not taken it away; atomic */
	bool started; /* the work: begin() was called since the channel was opened */
	u64 transaction_id; /* of the last message */
	u8 packet[VMB_MOUSE_PACKET_LEN_MAX];
};

/*
 * Opens the channel of link, whose device and ops are set. Does not wait for the device's
 * handshake. Returns 0 or -errno.
 */
int input_link_start(struct input_link *link);
/* Closes it; ops are not called any more when this returns. */
void input_link_stop(struct input_link *link);
/* There is something to send. Any context. */
void input_link_kick(struct input_link *link);

/* NULL: no memory. */
struct input_link *input_keyboard_new(struct vmb_device *device);
void input_keyboard_free(struct input_link *link);
struct input_link *input_mouse_new(struct vmb_device *device);
void input_mouse_free(struct input_link *link);

#endif
