// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The process's limits: disks, channels and connections of the guest's all need descriptors, and
 * each page that a guest lends apart from the one before it needs a mapping.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>

#include "devices/limits.h"

#define MAPPINGS_USUAL 65530u /* vm.max_map_count of a kernel that was told nothing */
#define MAPPINGS_MOST  (1u << 30)

void vmb_dev_limits_raise(void)
{
	struct rlimit limit;

	vmb_dev_limits_mappings();
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= VMB_DEV_DESCRIPTORS_WANTED)
		return;
	limit.rlim_cur = limit.rlim_max < VMB_DEV_DESCRIPTORS_WANTED ? limit.rlim_max :
								       VMB_DEV_DESCRIPTORS_WANTED;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static uint32_t read_mappings(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned int count = MAPPINGS_USUAL;

	if (file && fscanf(file, "%u", &count) != 1)
		count = MAPPINGS_USUAL;
	if (file)
		fclose(file);
	return count < MAPPINGS_MOST ? count : MAPPINGS_MOST;
}

uint32_t vmb_dev_limits_mappings(void)
{
	static uint32_t count; /* atomic */
	uint32_t known = __atomic_load_n(&count, __ATOMIC_RELAXED);

	if (!known) {
		known = read_mappings();
		__atomic_store_n(&count, known, __ATOMIC_RELAXED);
	}
	return known - known / 8;
}

void vmb_dev_limits_stacks(void)
{
	pthread_attr_t attr;

	if (pthread_attr_init(&attr))
		return;
	if (pthread_attr_setstacksize(&attr, VMB_DEV_STACK_LEN) == 0)
		pthread_setattr_default_np(&attr);
	pthread_attr_destroy(&attr);
}
