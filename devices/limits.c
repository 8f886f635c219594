// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The process's limits; disks, channels and connections of the guest's all need descriptors. */
#include <sys/resource.h>

#include "devices/limits.h"

void vmb_dev_limits_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= VMB_DEV_DESCRIPTORS_WANTED)
		return;
	limit.rlim_cur = limit.rlim_max < VMB_DEV_DESCRIPTORS_WANTED ? limit.rlim_max :
								       VMB_DEV_DESCRIPTORS_WANTED;
	setrlimit(RLIMIT_NOFILE, &limit);
}
