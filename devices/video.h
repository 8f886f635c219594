/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The video device of a machine: memory that the guest draws into, and what others need to show it.
 *
 *   vmb_dev_video_open(&device, &config)
 *   video = vmb_dev_video_of(&device)
 *   vmb_dev_video_look(video, &mode)         what form the picture has, if there is one
 *   vmb_dev_video_read(video, ...)           its pixels
 *   vmb_dev_video_watch(video, fd)           fd is written whenever something changes
 *   vmb_dev_video_changes(video, &changes)   what it was
 *
 * The video memory belongs to the device and is there as long as it is. The guest says where in its
 * address space it wants to see it, and the machine maps it there (devices/machine.h). It stays
 * mapped, and its picture visible, when the guest closes the channel, for firmware hands its
 * picture over to the system that it starts; a reset ends both.
 *
 * Context: any thread, from prepare to close of the device.
 *
 * Source: docs/protocol/integration.md, "12 Video".
 */
#ifndef DEVICES_VIDEO_H
#define DEVICES_VIDEO_H

#include "devices/device.h"
#include "host/video.h"

#define VMB_DEV_VIDEO_MIB 8u /* of video memory */
#define VMB_DEV_VIDEO_RESOLUTIONS                                                         \
	"640x480, 800x600, 1024x768, 1152x864, 1280x720, 1280x1024, 1366x768, 1440x900, " \
	"1600x900, 1600x1200, 1680x1050 or 1920x1080"

struct vmb_dev_video;

struct vmb_dev_video_config {
	uint32_t bus_version; /* of the host that this one is: VMB_VERSION_* */
	uint8_t preferred; /* the resolution that the guest is to take; vmb_dev_video_parse() */
};

struct vmb_dev_video_changes {
	bool mode; /* the form of the picture, or whether there is one */
	struct vmb_video_rectangle dirt; /* around all that changed; empty: nothing */
	bool silent; /* the guest does not say what changes: whoever shows it must look */
};

/* Finds a resolution, as "1024x768". False: there is no such one. NULL: the usual one. */
bool vmb_dev_video_parse(const char *text, uint8_t *preferred);

/* Makes the device. Returns 0, or -ENOMEM: reported. */
int vmb_dev_video_open(struct vmb_dev_device *device, const struct vmb_dev_video_config *config);
/* Returns device's video, or NULL: it is another kind of device. */
struct vmb_dev_video *vmb_dev_video_of(const struct vmb_dev_device *device);

/* The form of the picture; mode->active: there is one. */
void vmb_dev_video_look(struct vmb_dev_video *video, struct vmb_host_video_mode *mode);

/*
 * Copies the pixels of a rectangle of the picture, each as blue, green, red and a byte of 0, in
 * lines of stride pixels. Returns false if the picture no longer has the form of mode, or the
 * rectangle is not within it: then nothing is copied.
 */
bool vmb_dev_video_read(struct vmb_dev_video *video, const struct vmb_host_video_mode *mode,
			const struct vmb_video_rectangle *rectangle, uint32_t *pixels,
			uint32_t stride);

/*
 * From now on fd, an eventfd, is written when there are changes, and the guest is asked to say what
 * they are; -1: no longer. There is one watcher at most.
 */
void vmb_dev_video_watch(struct vmb_dev_video *video, int fd);
/* Takes the changes since the last call. */
void vmb_dev_video_changes(struct vmb_dev_video *video, struct vmb_dev_video_changes *changes);

#endif
