// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Becomes the program that tries disk images, and tells it where this program is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/report.h"
#include "base/platform.h"
#include "vmm/image.h"

#define PATH_LEN 4096u

/* Where `make install` puts it, or in the sources if this program is in their build folder. */
static bool find_program(const char *self, char *path, size_t len)
{
	static const char *const places[] = { "../libexec/openvmbus", "../image" };
	int folder_len = strrchr(self, '/') - self;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(places); i++)
		if (snprintf(path, len, "%.*s/%s/openvmbus-image", folder_len, self, places[i]) <
			    (int)len &&
		    access(path, X_OK) == 0)
			return true;
	vmb_dev_report("%s is missing, which tries images; run make install", path);
	return false;
}

int vmb_vmm_image_run(int argc, char **argv)
{
	char self[PATH_LEN], path[PATH_LEN + 64];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len < 0)
		return VMB_VMM_EXIT_FAILURE;
	self[len] = 0;
	if (!find_program(self, path, sizeof(path)))
		return VMB_VMM_EXIT_USAGE;
	setenv("OPENVMBUS", self, 1);
	execv(path, argv);
	vmb_dev_report("%s: %s", path, strerror(errno));
	return VMB_VMM_EXIT_FAILURE;
}
