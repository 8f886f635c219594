// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Serves keyboard and mouse: moves packets between their channels and the host cores, and hands
 * over what other threads have queued.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "devices/channel.h"
#include "devices/input.h"
#include "devices/input_queue.h"
#include "devices/report.h"
#include "devices/worker.h"
#include "host/keyboard.h"
#include "host/mouse.h"

#define READ_BUDGET  16u /* packets */
#define PAYLOAD_AT   sizeof(struct vmb_pkt_desc)
#define PAYLOAD_MAX  VMB_KEYBOARD_LEN_MAX /* no message of a guest is longer */
#define ROOM_POLL_MS 10 /* for guests that never promised to signal when there is room */

enum { KEYBOARD, MOUSE, LINES };

struct line;

/* What differs between the two. */
struct line_ops {
	const char *name;
	struct vmb_guid type_id, instance_id;
	bool pipe;
	void (*reset)(struct vmb_dev_input *input);
	int (*input)(struct vmb_dev_input *input, const void *payload, uint32_t len);
	const void *(*output)(struct vmb_dev_input *input, uint32_t *len);
	void (*output_done)(struct vmb_dev_input *input);
	bool (*ready)(const struct vmb_dev_input *input);
	/* Makes the oldest event the output, if there is one. Under the lock. */
	void (*next)(struct vmb_dev_input *input);
	/* Forgets what is queued. Returns how many. Under the lock. */
	uint32_t (*empty)(struct vmb_dev_input *input);
};

/* A channel. */
struct line {
	const struct line_ops *ops;
	struct vmb_dev_input *input;
	struct vmb_dev_channel channel;
	bool open;
	bool broken; /* the guest broke the protocol: its packets are left alone */
	bool more; /* the ring may have packets that nobody announces */
	bool full; /* the output waits for room */
	bool completing; /* and first of all a completion, of this id */
	uint64_t transaction_id;
	int64_t report_due; /* when a fault of the guest may be reported again */
	/* under the lock */
	bool ready; /* events can be queued */
	uint64_t events, lost; /* since the machine's start */
};

struct vmb_dev_input {
	struct line lines[LINES];
	struct vmb_dev_worker worker;
	struct vmb_host_keyboard keyboard; /* the worker's, and so is mouse */
	struct vmb_host_mouse mouse;
	pthread_mutex_t lock;
	/* under the lock */
	bool attached;
	uint16_t leds;
	struct vmb_dev_keys keys;
	struct vmb_dev_pointers pointers;
};

/* The keyboard */

static void reset_keyboard(struct vmb_dev_input *input)
{
	vmb_host_keyboard_reset(&input->keyboard);
}

static int input_keyboard(struct vmb_dev_input *input, const void *payload, uint32_t len)
{
	return vmb_host_keyboard_input(&input->keyboard, payload, len);
}

static const void *output_keyboard(struct vmb_dev_input *input, uint32_t *len)
{
	return vmb_host_keyboard_output(&input->keyboard, len);
}

static void output_keyboard_done(struct vmb_dev_input *input)
{
	vmb_host_keyboard_output_done(&input->keyboard);
}

static bool keyboard_ready(const struct vmb_dev_input *input)
{
	return input->keyboard.state == VMB_HOST_KEYBOARD_OPEN;
}

static void next_key(struct vmb_dev_input *input)
{
	const struct vmb_dev_key *key = vmb_dev_keys_first(&input->keys);

	if (key && !vmb_host_keyboard_key(&input->keyboard, key->make_code, key->flags))
		vmb_dev_keys_next(&input->keys);
}

static uint32_t empty_keys(struct vmb_dev_input *input)
{
	uint32_t count = input->keys.count;

	memset(&input->keys, 0, sizeof(input->keys));
	return count;
}

/* The mouse */

static void reset_mouse(struct vmb_dev_input *input)
{
	vmb_host_mouse_reset(&input->mouse);
}

static int input_mouse(struct vmb_dev_input *input, const void *payload, uint32_t len)
{
	return vmb_host_mouse_input(&input->mouse, payload, len);
}

static const void *output_mouse(struct vmb_dev_input *input, uint32_t *len)
{
	return vmb_host_mouse_output(&input->mouse, len);
}

static void output_mouse_done(struct vmb_dev_input *input)
{
	vmb_host_mouse_output_done(&input->mouse);
}

static bool mouse_ready(const struct vmb_dev_input *input)
{
	return input->mouse.state == VMB_HOST_MOUSE_OPEN;
}

static void next_pointer(struct vmb_dev_input *input)
{
	const struct vmb_mouse_report *report = vmb_dev_pointers_first(&input->pointers);

	if (report && !vmb_host_mouse_report(&input->mouse, report))
		vmb_dev_pointers_next(&input->pointers);
}

static uint32_t empty_pointers(struct vmb_dev_input *input)
{
	uint32_t count = input->pointers.count;

	memset(&input->pointers, 0, sizeof(input->pointers));
	return count;
}

static const struct line_ops rows[LINES] = {
	[KEYBOARD] = { .name = "keyboard",
		       .type_id = VMB_GUID_KEYBOARD,
		       .instance_id = VMB_GUID_KEYBOARD_INSTANCE,
		       .reset = reset_keyboard,
		       .input = input_keyboard,
		       .output = output_keyboard,
		       .output_done = output_keyboard_done,
		       .ready = keyboard_ready,
		       .next = next_key,
		       .empty = empty_keys },
	[MOUSE] = { .name = "mouse",
		    .type_id = VMB_GUID_MOUSE,
		    .instance_id = VMB_GUID_MOUSE_INSTANCE,
		    .pipe = true,
		    .reset = reset_mouse,
		    .input = input_mouse,
		    .output = output_mouse,
		    .output_done = output_mouse_done,
		    .ready = mouse_ready,
		    .next = next_pointer,
		    .empty = empty_pointers },
};

/* What others may see of the host cores. Who is not there any more gets nothing. */
static void publish(struct line *l)
{
	struct vmb_dev_input *input = l->input;

	pthread_mutex_lock(&input->lock);
	l->ready = l->open && !l->broken && l->ops->ready(input);
	if (!l->ready)
		l->lost += l->ops->empty(input);
	input->leds = input->keyboard.leds;
	pthread_mutex_unlock(&input->lock);
}

/* The rings */

static void fail(struct line *l)
{
	l->broken = true;
	l->completing = l->full = false;
	if (vmb_dev_report_due(&l->report_due))
		vmb_dev_report("the guest broke the protocol of the %s, which it has no more until "
			       "it opens the channel again",
			       l->ops->name);
}

static void take_message(struct line *l, const struct vmb_ring_received *received)
{
	uint8_t payload[PAYLOAD_MAX];
	int step = VMB_EPROTO;

	if (received->type == VMB_PKT_INBAND && !received->header_len &&
	    received->payload_len <= sizeof(payload) &&
	    vmb_ring_copy(&l->channel.rx, received, PAYLOAD_AT, payload, received->payload_len))
		step = l->ops->input(l->input, payload, received->payload_len);
	if (step == VMB_EPROTO) {
		fail(l);
		return;
	}
	l->completing = received->flags & VMB_PKT_FLAG_COMPLETION_REQUESTED;
	l->transaction_id = received->transaction_id;
}

/* Returns whether it was written. */
static bool write_packet(struct line *l, const struct vmb_ring_packet *packet, uint32_t len)
{
	int error = vmb_dev_channel_write(&l->channel, packet, vmb_ring_packet_len(0, len));

	if (error && error != VMB_EAGAIN)
		fail(l);
	l->full = error == VMB_EAGAIN;
	return !error;
}

static void complete(struct line *l)
{
	const struct vmb_ring_packet packet = { .type = VMB_PKT_COMPLETION,
						.transaction_id = l->transaction_id };

	if (l->completing && write_packet(l, &packet, 0))
		l->completing = false;
}

/* A completion that finds no room holds up what the guest says after that. */
static bool wants_packet(const void *arg)
{
	const struct line *l = arg;

	return !l->broken && !l->completing;
}

static void take_packet(void *arg, const struct vmb_ring_received *received)
{
	take_message(arg, received);
	complete(arg);
}

static const struct vmb_dev_channel_reader reader = { .wants = wants_packet, .take = take_packet };

static void read_ring(struct line *l)
{
	enum vmb_dev_channel_rest rest =
		vmb_dev_channel_read_ring(&l->channel, READ_BUDGET, &reader, l);

	if (rest == VMB_DEV_CHANNEL_BROKEN)
		fail(l);
	l->more = !l->broken && rest == VMB_DEV_CHANNEL_MORE;
}

static bool write_one(struct line *l)
{
	struct vmb_ring_part part = { 0 };
	const struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
						.payload = &part,
						.payload_count = 1 };

	part.base = l->ops->output(l->input, &part.len);
	if (!part.base) {
		pthread_mutex_lock(&l->input->lock);
		l->ops->next(l->input);
		pthread_mutex_unlock(&l->input->lock);
		part.base = l->ops->output(l->input, &part.len);
	}
	if (!part.base || !write_packet(l, &packet, part.len))
		return false;
	l->ops->output_done(l->input);
	return true;
}

static void write_ring(struct line *l)
{
	complete(l);
	while (!l->broken && !l->completing && write_one(l))
		;
	if (vmb_ring_commit(&l->channel.tx))
		vmb_dev_bus_signal(&l->channel);
}

/* Opening and closing: the bus orders, the worker carries it out. */

static bool take_orders(struct line *l)
{
	uint32_t orders = vmb_dev_channel_take_orders(&l->channel);

	if (orders & VMB_DEV_ORDER_OPEN) {
		l->open = l->more = true; /* the guest may have filled the ring before */
		l->broken = l->full = l->completing = false;
		l->ops->reset(l->input);
	}
	if (!(orders & VMB_DEV_ORDER_CLOSE))
		return orders;
	l->open = false;
	publish(l);
	vmb_dev_bus_stopped(&l->channel);
	return true;
}

static bool serve(struct line *l)
{
	bool any = take_orders(l);

	if (!l->open)
		return any;
	l->more |= vmb_dev_channel_rang(&l->channel);
	if (!l->broken)
		complete(l);
	if (l->more && !l->broken && !l->completing)
		read_ring(l);
	publish(l);
	if (!l->broken)
		write_ring(l);
	return any || (l->more && !l->broken && !l->completing);
}

static bool step(void *state)
{
	struct vmb_dev_input *input = state;
	bool more = false;

	vmb_dev_worker_heard(&input->worker);
	for (uint32_t i = 0; i < LINES; i++)
		more |= serve(&input->lines[i]);
	return more;
}

static int wait_ms(const struct vmb_dev_input *input)
{
	for (uint32_t i = 0; i < LINES; i++) {
		const struct line *l = &input->lines[i];

		if (l->open && l->full && !vmb_ring_peer_signals_room(&l->channel.rx))
			return ROOM_POLL_MS;
	}
	return -1;
}

static void wait(void *state, bool more)
{
	struct vmb_dev_input *input = state;
	struct vmb_dev_bell *bells[LINES];

	for (uint32_t i = 0; i < LINES; i++)
		bells[i] = &input->lines[i].channel.bell;
	vmb_dev_worker_poll(&input->worker, bells, LINES, more ? 0 : wait_ms(input));
}

static const struct vmb_dev_worker_ops worker_ops = { .step = step,
						      .wait = wait,
						      .role = VMB_DEV_ROLE_INPUT };

/* Life */

static int prepare(void *state)
{
	return 0;
}

static void fill_channel(struct line *l)
{
	const uint32_t mode = VMB_PIPE_MODE_MESSAGE;

	memset(&l->channel, 0, sizeof(l->channel));
	l->channel.ops = &vmb_dev_channel_ordered;
	l->channel.worker = &l->input->worker;
	l->channel.device = l;
	l->channel.host.type_id = l->ops->type_id;
	l->channel.host.instance_id = l->ops->instance_id;
	l->channel.host.flags = VMB_OFFER_FLAG_ENUMERATE;
	if (!l->ops->pipe)
		return;
	l->channel.host.flags |= VMB_OFFER_FLAG_NAMED_PIPE;
	memcpy(l->channel.host.user, &mode, sizeof(mode));
}

static void begin(struct vmb_dev_input *input, uint32_t i)
{
	input->lines[i] = (struct line){ .ops = &rows[i], .input = input };
	fill_channel(&input->lines[i]);
}

static void set_attached(struct vmb_dev_input *input, bool attached)
{
	pthread_mutex_lock(&input->lock);
	input->attached = attached;
	pthread_mutex_unlock(&input->lock);
}

static int attach(void *state, struct vmb_dev_bus *bus)
{
	struct vmb_dev_input *input = state;
	int error = 0;

	pthread_mutex_lock(&input->lock);
	for (uint32_t i = 0; i < LINES; i++)
		begin(input, i);
	pthread_mutex_unlock(&input->lock);
	vmb_host_keyboard_init(&input->keyboard);
	vmb_host_mouse_init(&input->mouse);
	for (uint32_t i = 0; i < LINES && !error; i++)
		error = vmb_dev_bus_attach(bus, &input->lines[i].channel);
	if (!error && !bus->config.stepped)
		error = vmb_dev_worker_start(&input->worker);
	if (error)
		vmb_dev_report("input: %s", strerror(-error));
	else
		set_attached(input, true);
	return error;
}

static void detach(void *state)
{
	struct vmb_dev_input *input = state;

	set_attached(input, false); /* from here on nobody wakes the worker */
	vmb_dev_worker_stop(&input->worker);
	for (uint32_t i = 0; i < LINES; i++)
		vmb_dev_bus_detach(&input->lines[i].channel);
}

static void report(const void *state)
{
	const struct vmb_dev_input *input = state;

	for (uint32_t i = 0; i < LINES; i++)
		vmb_dev_report("stats: %s: %" PRIu64 " events, %" PRIu64 " lost%s",
			       input->lines[i].ops->name, input->lines[i].events,
			       input->lines[i].lost,
			       input->lines[i].broken ? ", broken by the guest" : "");
}

static void shut(void *state)
{
	struct vmb_dev_input *input = state;

	detach(input);
	pthread_mutex_destroy(&input->lock);
	free(input);
}

static const struct vmb_dev_device_ops ops = { .prepare = prepare,
					       .attach = attach,
					       .detach = detach,
					       .step = step,
					       .report = report,
					       .close = shut };

int vmb_dev_input_open(struct vmb_dev_device *device)
{
	struct vmb_dev_input *input = calloc(1, sizeof(*input));

	if (!input) {
		vmb_dev_report("input: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < LINES; i++)
		begin(input, i);
	vmb_dev_worker_init(&input->worker, &worker_ops, input);
	pthread_mutex_init(&input->lock, NULL);
	*device = (struct vmb_dev_device){ &ops, input };
	return 0;
}

struct vmb_dev_input *vmb_dev_input_of(const struct vmb_dev_device *device)
{
	return device->ops == &ops ? device->state : NULL;
}

/* What other threads want */

/* Under the lock. */
static int count_event(struct line *l, int error)
{
	l->events += !error;
	l->lost += error != 0;
	if (!error && l->input->attached)
		vmb_dev_worker_wake(&l->input->worker);
	return error;
}

int vmb_dev_input_key(struct vmb_dev_input *input, uint16_t make_code, uint32_t flags)
{
	const uint32_t known = VMB_KEYBOARD_BREAK | VMB_KEYBOARD_E0 | VMB_KEYBOARD_E1;
	struct line *l = &input->lines[KEYBOARD];
	int error = -ENOTCONN;

	if (!make_code || make_code > VMB_KEYBOARD_MAKE_CODE_MAX || flags & ~known)
		return -EINVAL;
	pthread_mutex_lock(&input->lock);
	if (l->ready)
		error = vmb_dev_keys_put(&input->keys, make_code, flags) ? 0 : -ENOBUFS;
	error = count_event(l, error);
	pthread_mutex_unlock(&input->lock);
	return error;
}

int vmb_dev_input_pointer(struct vmb_dev_input *input, uint16_t x, uint16_t y, uint8_t buttons,
			  int16_t wheel)
{
	const struct vmb_mouse_report report = {
		.buttons = buttons, .x = x, .y = y, .wheel = wheel
	};
	struct line *l = &input->lines[MOUSE];
	int error = -ENOTCONN;

	if (x > VMB_MOUSE_MAX || y > VMB_MOUSE_MAX || buttons & ~VMB_MOUSE_BUTTONS)
		return -EINVAL;
	pthread_mutex_lock(&input->lock);
	if (l->ready)
		error = vmb_dev_pointers_put(&input->pointers, &report) ? 0 : -ENOBUFS;
	error = count_event(l, error);
	pthread_mutex_unlock(&input->lock);
	return error;
}

void vmb_dev_input_look(struct vmb_dev_input *input, struct vmb_dev_input_view *view)
{
	const struct line *keyboard = &input->lines[KEYBOARD], *mouse = &input->lines[MOUSE];

	pthread_mutex_lock(&input->lock);
	*view = (struct vmb_dev_input_view){
		.keyboard = keyboard->ready,
		.mouse = mouse->ready,
		.leds = input->leds,
		.keys = keyboard->events,
		.keys_lost = keyboard->lost,
		.pointers = mouse->events,
		.pointers_lost = mouse->lost,
		.queued = input->keys.count + input->pointers.count,
	};
	pthread_mutex_unlock(&input->lock);
}
