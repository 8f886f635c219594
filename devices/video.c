// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Serves the video channel: has the machine map the video memory where the guest wants it, and
 * keeps what others must know to show the picture.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "devices/channel.h"
#include "devices/event.h"
#include "devices/report.h"
#include "devices/video.h"
#include "devices/worker.h"

#define READ_BUDGET  64u /* packets, before orders are looked for again */
#define PAYLOAD_AT   sizeof(struct vmb_pkt_desc)
#define ROOM_POLL_MS 10 /* for guests that never promised to signal when there is room */
#define MEMORY_LEN   (VMB_DEV_VIDEO_MIB << 20)
#define USUAL	     2u /* of resolutions */

/* All fit the memory with 32 bits a pixel. */
static const struct vmb_video_resolution resolutions[] = {
	{ 640, 480 },  { 800, 600 },  { 1024, 768 }, { 1152, 864 },  { 1280, 720 },  { 1280, 1024 },
	{ 1366, 768 }, { 1440, 900 }, { 1600, 900 }, { 1600, 1200 }, { 1680, 1050 }, { 1920, 1080 },
};

struct vmb_dev_video {
	struct vmb_dev_video_config config;
	struct vmb_dev_bus *bus; /* from attach to detach */
	struct vmb_dev_channel channel;
	struct vmb_dev_worker worker;
	struct vmb_host_video host; /* the worker's */
	uint8_t *memory; /* MEMORY_LEN bytes; NULL before prepare */
	bool mapped; /* at gpa */
	uint64_t gpa;
	bool open;
	bool broken; /* the guest broke the protocol: its packets are left alone */
	bool more; /* the ring may have packets that nobody announces */
	bool full; /* the output waits for room */
	int64_t report_due; /* when a fault of the guest may be reported again */
	pthread_mutex_t lock;
	/* under the lock */
	struct vmb_host_video_mode mode;
	struct vmb_dev_video_changes changes;
	int watcher; /* eventfd; -1: nobody */
	bool attached; /* the worker may be woken */
};

bool vmb_dev_video_parse(const char *text, uint8_t *preferred)
{
	unsigned int width, height;
	int len = 0;

	*preferred = USUAL;
	if (!text)
		return true;
	if (sscanf(text, "%4ux%4u%n", &width, &height, &len) != 2 || text[len])
		return false;
	for (uint8_t i = 0; i < VMB_ARRAY_COUNT(resolutions); i++) {
		*preferred = i;
		if (resolutions[i].width == width && resolutions[i].height == height)
			return true;
	}
	return false;
}

/* What others see; the functions below are called under the lock. */

static void tell(struct vmb_dev_video *d)
{
	if (d->watcher >= 0)
		vmb_dev_event_ring(d->watcher);
}

static void add_dirt(struct vmb_dev_video *d, const struct vmb_video_rectangle *r)
{
	struct vmb_video_rectangle *all = &d->changes.dirt;

	if (all->left >= all->right) {
		*all = *r;
		return;
	}
	all->left = r->left < all->left ? r->left : all->left;
	all->top = r->top < all->top ? r->top : all->top;
	all->right = r->right > all->right ? r->right : all->right;
	all->bottom = r->bottom > all->bottom ? r->bottom : all->bottom;
}

/* The rectangles that wait are of the picture as it was. */
static void set_mode(struct vmb_dev_video *d, const struct vmb_host_video_mode *mode)
{
	d->changes.mode |= !vmb_host_video_mode_equal(&d->mode, mode);
	d->mode = *mode;
	d->changes.dirt =
		(struct vmb_video_rectangle){ 0, 0, (int32_t)mode->width, (int32_t)mode->height };
	tell(d);
}

static void set_silent(struct vmb_dev_video *d, bool silent)
{
	pthread_mutex_lock(&d->lock);
	d->changes.silent = silent;
	tell(d);
	pthread_mutex_unlock(&d->lock);
}

void vmb_dev_video_look(struct vmb_dev_video *d, struct vmb_host_video_mode *mode)
{
	pthread_mutex_lock(&d->lock);
	*mode = d->mode;
	pthread_mutex_unlock(&d->lock);
}

void vmb_dev_video_watch(struct vmb_dev_video *d, int fd)
{
	pthread_mutex_lock(&d->lock);
	d->watcher = fd;
	if (d->attached)
		vmb_dev_worker_wake(&d->worker);
	pthread_mutex_unlock(&d->lock);
}

void vmb_dev_video_changes(struct vmb_dev_video *d, struct vmb_dev_video_changes *changes)
{
	pthread_mutex_lock(&d->lock);
	*changes = d->changes;
	d->changes = (struct vmb_dev_video_changes){ .silent = changes->silent };
	pthread_mutex_unlock(&d->lock);
}

/* Five bits, or six, become eight: the lowest ones repeat the highest. */
static uint32_t widen(uint16_t pixel)
{
	uint32_t red = pixel >> 11, green = pixel >> 5 & 63, blue = pixel & 31;

	return (red << 3 | red >> 2) << 16 | (green << 2 | green >> 4) << 8 |
	       (blue << 3 | blue >> 2);
}

static void read_line(const struct vmb_dev_video *d, uint32_t x, uint32_t y, uint32_t count,
		      uint32_t *pixels)
{
	const uint8_t *at = d->memory + d->mode.offset + (size_t)y * d->mode.pitch;
	uint16_t narrow[VMB_HOST_VIDEO_SIDE_MAX];

	if (d->mode.depth == 16) {
		vmb_shared_read(narrow, at + (size_t)x * 2, count * 2);
		for (uint32_t i = 0; i < count; i++)
			pixels[i] = widen(narrow[i]);
		return;
	}
	vmb_shared_read(pixels, at + (size_t)x * 4, count * 4);
	for (uint32_t i = 0; i < count; i++)
		pixels[i] &= 0xFFFFFF;
}

static bool is_within(const struct vmb_host_video_mode *mode, const struct vmb_video_rectangle *r)
{
	return mode->active && r->left >= 0 && r->top >= 0 && r->left < r->right &&
	       r->top < r->bottom && (uint32_t)r->right <= mode->width &&
	       (uint32_t)r->bottom <= mode->height;
}

bool vmb_dev_video_read(struct vmb_dev_video *d, const struct vmb_host_video_mode *mode,
			const struct vmb_video_rectangle *r, uint32_t *pixels, uint32_t stride)
{
	bool ok;

	pthread_mutex_lock(&d->lock);
	ok = vmb_host_video_mode_equal(&d->mode, mode) && is_within(mode, r);
	for (int32_t y = r->top; ok && y < r->bottom; y++)
		read_line(d, r->left, y, r->right - r->left,
			  pixels + (size_t)(y - r->top) * stride);
	pthread_mutex_unlock(&d->lock);
	return ok;
}

/* The rings */

static void fail(struct vmb_dev_video *d)
{
	d->broken = true;
	set_silent(d, true);
	if (vmb_dev_report_due(&d->report_due))
		vmb_dev_report("the guest broke the protocol of video, which it has no more until "
			       "it opens the channel again");
}

static void take_away(struct vmb_dev_video *d)
{
	if (d->mapped)
		vmb_dev_bus_map(d->bus, d->gpa, NULL, MEMORY_LEN);
	d->mapped = false;
}

/* Returns whether the guest may go on. */
static bool place(struct vmb_dev_video *d)
{
	uint64_t gpa = d->host.location.gpa;
	int error;

	take_away(d);
	if (!d->host.location.specified)
		return true;
	error = vmb_dev_bus_map(d->bus, gpa, d->memory, MEMORY_LEN);
	d->mapped = !error;
	d->gpa = gpa;
	if (error && vmb_dev_report_due(&d->report_due))
		vmb_dev_report("video: the guest wants its video memory at 0x%" PRIx64 ": %s", gpa,
			       error == -EINVAL ? "that is no address space of VMBus" :
						  strerror(-error));
	return !error;
}

static void take_step(struct vmb_dev_video *d, int step)
{
	if (step == VMB_EPROTO || (step == VMB_HOST_VIDEO_LOCATION && !place(d))) {
		fail(d);
		return;
	}
	pthread_mutex_lock(&d->lock);
	if (step == VMB_HOST_VIDEO_SITUATION) {
		set_mode(d, &d->host.mode);
		d->changes.silent = false;
	} else if (step == VMB_HOST_VIDEO_DIRT) {
		add_dirt(d, &d->host.dirt);
		tell(d);
	}
	pthread_mutex_unlock(&d->lock);
}

/* Returns whether a message was sent. */
static bool write_one(struct vmb_dev_video *d)
{
	const void *message;
	uint32_t len;
	int error;

	message = vmb_host_video_output(&d->host, &len);
	if (!message)
		return false;
	error = vmb_dev_channel_write_inband(&d->channel, message, len);
	if (!error)
		vmb_host_video_output_done(&d->host);
	else if (error != VMB_EAGAIN)
		fail(d);
	d->full = error == VMB_EAGAIN;
	return !error;
}

static void write_ring(struct vmb_dev_video *d)
{
	d->full = false;
	while (!d->broken && write_one(d))
		;
	if (vmb_ring_commit(&d->channel.tx))
		vmb_dev_bus_signal(&d->channel);
}

/* An answer that finds no room holds up what the guest says after that. */
static bool wants_packet(const void *state)
{
	const struct vmb_dev_video *d = state;

	return !d->broken && !d->full;
}

/* Each packet is answered before the next one is read. */
static void take_packet(void *state, const struct vmb_ring_received *received)
{
	struct vmb_dev_video *d = state;
	uint8_t payload[VMB_VIDEO_PACKET_LEN_MAX];
	int step = VMB_EPROTO;

	if (received->type == VMB_PKT_INBAND && !received->header_len &&
	    received->payload_len <= sizeof(payload) &&
	    vmb_ring_copy(&d->channel.rx, received, PAYLOAD_AT, payload, received->payload_len))
		step = vmb_host_video_input(&d->host, payload, received->payload_len);
	take_step(d, step);
	write_ring(d);
}

static const struct vmb_dev_channel_reader reader = { .wants = wants_packet, .take = take_packet };

static void read_ring(struct vmb_dev_video *d)
{
	enum vmb_dev_channel_rest rest =
		vmb_dev_channel_read_ring(&d->channel, READ_BUDGET, &reader, d);

	if (rest == VMB_DEV_CHANNEL_BROKEN)
		fail(d);
	d->more = !d->broken && rest == VMB_DEV_CHANNEL_MORE;
}

/* Opening and closing: the bus orders, the worker carries it out. */

static bool take_orders(struct vmb_dev_video *d)
{
	uint32_t orders = vmb_dev_channel_take_orders(&d->channel);

	if (orders & VMB_DEV_ORDER_OPEN) {
		d->open = d->more = true; /* the guest may have filled the ring before */
		d->broken = d->full = false;
		vmb_host_video_reset(&d->host);
	}
	if (!(orders & VMB_DEV_ORDER_CLOSE))
		return orders;
	d->open = false;
	set_silent(d, true);
	vmb_dev_bus_stopped(&d->channel);
	return true;
}

static bool is_watched(struct vmb_dev_video *d)
{
	bool watched;

	pthread_mutex_lock(&d->lock);
	watched = d->watcher >= 0;
	pthread_mutex_unlock(&d->lock);
	return watched;
}

static bool step(void *state)
{
	struct vmb_dev_video *d = state;
	bool any;

	vmb_dev_worker_heard(&d->worker);
	any = take_orders(d);
	if (!d->open || d->broken)
		return any;
	vmb_host_video_want(&d->host, is_watched(d));
	write_ring(d);
	d->more |= vmb_dev_channel_rang(&d->channel);
	if (d->more && wants_packet(d))
		read_ring(d);
	return any || (d->more && wants_packet(d));
}

/* Until the output is tried again; never: -1. */
static int wait_ms(const struct vmb_dev_video *d)
{
	if (d->open && !d->broken && d->full && !vmb_ring_peer_signals_room(&d->channel.rx))
		return ROOM_POLL_MS;
	return -1;
}

static void wait(void *state, bool more)
{
	struct vmb_dev_video *d = state;
	struct vmb_dev_bell *bell = &d->channel.bell;

	vmb_dev_worker_poll(&d->worker, &bell, 1, more ? 0 : wait_ms(d));
}

static const struct vmb_dev_worker_ops worker_ops = { .step = step,
						      .wait = wait,
						      .role = VMB_DEV_ROLE_VIDEO };

/* Life */

static int prepare(void *state)
{
	struct vmb_dev_video *d = state;

	d->memory =
		mmap(NULL, MEMORY_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (d->memory == MAP_FAILED) {
		d->memory = NULL;
		vmb_dev_report("video: %s", strerror(errno));
		return -ENOMEM;
	}
	madvise(d->memory, MEMORY_LEN, MADV_DONTDUMP); /* what a guest shows is not for a dump */
	return 0;
}

/* A machine starts with a black screen, and nothing mapped. */
static void begin(struct vmb_dev_video *d)
{
	const struct vmb_host_video_mode none = { .active = false };
	const struct vmb_host_video_config config = {
		.bus_version = d->config.bus_version,
		.memory_len = MEMORY_LEN,
		.resolutions = resolutions,
		.resolution_count = VMB_ARRAY_COUNT(resolutions),
		.preferred = d->config.preferred,
	};

	vmb_host_video_init(&d->host, &config);
	d->mapped = d->open = d->broken = d->more = d->full = false;
	pthread_mutex_lock(&d->lock);
	memset(d->memory, 0, MEMORY_LEN);
	set_mode(d, &none);
	pthread_mutex_unlock(&d->lock);
}

static void fill_channel(struct vmb_dev_video *d)
{
	const uint32_t mode = VMB_PIPE_MODE_MESSAGE;

	memset(&d->channel, 0, sizeof(d->channel));
	d->channel.ops = &vmb_dev_channel_ordered;
	d->channel.worker = &d->worker;
	d->channel.device = d;
	d->channel.host.type_id = (struct vmb_guid)VMB_GUID_VIDEO;
	d->channel.host.instance_id = (struct vmb_guid)VMB_GUID_VIDEO_INSTANCE;
	d->channel.host.flags = VMB_OFFER_FLAG_NAMED_PIPE;
	d->channel.host.mmio_mib = VMB_DEV_VIDEO_MIB;
	memcpy(d->channel.host.user, &mode, sizeof(mode));
}

static void set_attached(struct vmb_dev_video *d, bool attached)
{
	pthread_mutex_lock(&d->lock);
	d->attached = attached;
	pthread_mutex_unlock(&d->lock);
}

static int attach(void *state, struct vmb_dev_bus *bus)
{
	struct vmb_dev_video *d = state;
	int error;

	begin(d);
	fill_channel(d);
	d->bus = bus;
	error = vmb_dev_bus_attach(bus, &d->channel);
	if (!error && !bus->config.stepped)
		error = vmb_dev_worker_start(&d->worker);
	if (error)
		vmb_dev_report("video: %s", strerror(-error));
	else
		set_attached(d, true);
	return error;
}

static void detach(void *state)
{
	struct vmb_dev_video *d = state;

	set_attached(d, false); /* from here on who watches does not wake the worker */
	vmb_dev_worker_stop(&d->worker);
	vmb_dev_bus_detach(&d->channel);
	d->bus = NULL;
}

static void report(const void *state)
{
	const struct vmb_dev_video *d = state;
	const struct vmb_host_video_mode *mode = &d->mode;

	vmb_dev_report("stats: video: version %u.%u, %ux%u with %u bits, %" PRIu64 " situations, "
		       "%" PRIu64 " times dirt%s",
		       VMB_VIDEO_MAJOR(d->host.version), VMB_VIDEO_MINOR(d->host.version),
		       mode->width, mode->height, mode->depth, d->host.situations, d->host.dirts,
		       d->broken ? ", broken by the guest" : "");
}

static void shut(void *state)
{
	struct vmb_dev_video *d = state;

	detach(d);
	if (d->memory)
		munmap(d->memory, MEMORY_LEN);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static const struct vmb_dev_device_ops ops = { .prepare = prepare,
					       .attach = attach,
					       .detach = detach,
					       .step = step,
					       .report = report,
					       .close = shut };

int vmb_dev_video_open(struct vmb_dev_device *device, const struct vmb_dev_video_config *config)
{
	struct vmb_dev_video *d = calloc(1, sizeof(*d));

	if (!d) {
		vmb_dev_report("video: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	d->config = *config;
	d->watcher = -1;
	d->changes.silent = true;
	vmb_dev_worker_init(&d->worker, &worker_ops, d);
	pthread_mutex_init(&d->lock, NULL);
	*device = (struct vmb_dev_device){ &ops, d };
	return 0;
}

struct vmb_dev_video *vmb_dev_video_of(const struct vmb_dev_device *device)
{
	return device->ops == &ops ? device->state : NULL;
}
