// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The command of control that writes what the guest shows to a file. */
#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/control.h"
#include "vmm/devices.h"
#include "vmm/options.h"

#define PATH_LEN_MAX 4096u

/* The picture as it was, apart from the machine. */
struct shot {
	struct vmb_host_video_mode mode;
	uint32_t *pixels; /* from malloc() */
};

/* Returns 0; -ENOENT: there is no picture; -EAGAIN: its form changed meanwhile; -ENOMEM. */
static int take(struct vmb_dev_video *video, struct shot *shot)
{
	struct vmb_video_rectangle all = { 0 };

	vmb_dev_video_look(video, &shot->mode);
	if (!shot->mode.active)
		return -ENOENT;
	shot->pixels = malloc((size_t)shot->mode.width * shot->mode.height * sizeof(uint32_t));
	if (!shot->pixels)
		return -ENOMEM;
	all.right = (int32_t)shot->mode.width;
	all.bottom = (int32_t)shot->mode.height;
	return vmb_dev_video_read(video, &shot->mode, &all, shot->pixels, shot->mode.width) ?
		       0 :
		       -EAGAIN;
}

/* PNG has red first, and three bytes a pixel. */
static uint8_t *pack(const struct shot *shot)
{
	size_t count = (size_t)shot->mode.width * shot->mode.height;
	uint8_t *bytes = malloc(count * 3);

	for (size_t i = 0; bytes && i < count; i++) {
		bytes[3 * i] = (uint8_t)(shot->pixels[i] >> 16);
		bytes[3 * i + 1] = (uint8_t)(shot->pixels[i] >> 8);
		bytes[3 * i + 2] = (uint8_t)shot->pixels[i];
	}
	return bytes;
}

static int write_png(FILE *file, const struct shot *shot)
{
	png_image image = { .version = PNG_IMAGE_VERSION,
			    .width = shot->mode.width,
			    .height = shot->mode.height,
			    .format = PNG_FORMAT_RGB };
	uint8_t *bytes = pack(shot);
	int error = 0;

	if (!bytes)
		return -ENOMEM;
	errno = 0;
	if (!png_image_write_to_stdio(&image, file, 0, bytes, 0, NULL) || fflush(file) ||
	    fsync(fileno(file)))
		error = errno ? -errno : -EIO;
	free(bytes);
	return error;
}

/* The file has its name when it is whole. What an earlier process of this number left goes. */
static int write_file(const char *path, const struct shot *shot)
{
	char name[PATH_LEN_MAX];
	FILE *file;
	int error;

	if (snprintf(name, sizeof(name), "%s.%d.new", path, getpid()) >= (int)sizeof(name))
		return -ENAMETOOLONG;
	unlink(name);
	file = fopen(name, "wbxe");
	if (!file)
		return -errno;
	error = write_png(file, shot);
	if (fclose(file) && !error)
		error = -errno;
	if (!error && rename(name, path))
		error = -errno;
	if (error)
		unlink(name);
	return error;
}

static enum vmb_vmm_call_step refuse(struct vmb_vmm_call *call, int error)
{
	if (error == -ENOENT)
		return vmb_vmm_call_fail(call, "failed",
					 "the guest shows no picture now: is its driver loaded "
					 "(Linux: hyperv_drm)?");
	if (error == -EAGAIN)
		return vmb_vmm_call_fail(call, "failed",
					 "the picture just changed its form; try again");
	return vmb_vmm_call_fail(call, "failed", "%s", strerror(-error));
}

/* The picture is copied, and the file is written without the machine. */
static enum vmb_vmm_call_step run_screenshot(struct vmb_vmm_call *call)
{
	struct vmb_dev_video *video = vmb_vmm_devices_video(vmb_vmm_control_config(call)->devices);
	const char *path = vmb_vmm_call_text(call, "file");
	struct shot shot = { .pixels = NULL };
	int error;

	if (!video)
		return vmb_vmm_call_fail(call, "failed",
					 "the machine has no screen: it was started without "
					 "--video and --vnc");
	error = take(video, &shot);
	vmb_vmm_call_release(call);
	if (!error) {
		error = write_file(path, &shot);
		if (error)
			vmb_vmm_call_fail(call, "failed", "%s: %s", path, strerror(-error));
	} else {
		refuse(call, error);
	}
	vmb_vmm_call_regain(call);
	free(shot.pixels);
	if (error)
		return VMB_VMM_CALL_FAILED;
	vmb_vmm_call_set_number(call, "width", shot.mode.width);
	vmb_vmm_call_set_number(call, "height", shot.mode.height);
	return VMB_VMM_CALL_DONE;
}

#define END                                             \
	{                                               \
		NULL, VMB_VMM_CONTROL_TEXT, false, NULL \
	}

static const struct vmb_vmm_control_field arguments[] = {
	{ "file", VMB_VMM_CONTROL_TEXT, false,
	  "where the picture goes, as PNG; one that exists is replaced when the new one is whole" },
	END,
};

static const struct vmb_vmm_control_field results[] = {
	{ "width", VMB_VMM_CONTROL_NUMBER, false, "pixels" },
	{ "height", VMB_VMM_CONTROL_NUMBER, false, "pixels" },
	END,
};

const struct vmb_vmm_command vmb_vmm_control_video[] = {
	{ "screenshot",
	  "Writes what the guest shows to a file. The machine is started with --video or --vnc.",
	  true, run_screenshot, arguments, results },
	{ NULL, NULL, false, NULL, NULL, NULL },
};
