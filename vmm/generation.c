// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The table of Windows Server versions and of the protocol versions that each one speaks. */
#include <stdio.h>
#include <string.h>

#include "vmm/generation.h"
#include "wire/network.h"
#include "wire/storage.h"
#include "wire/vmbus.h"

#define RELEASE(major, minor) ((uint32_t)(major) << 16 | (minor))

#define GENERATION(label, bus_version, storage_version, network_version, vps, os, os_build) \
	{                                                                                   \
		.name = label, .bus = VMB_VERSION_##bus_version,                            \
		.storage = VMB_STOR_VERSION_##storage_version,                              \
		.network = VMB_NET_VERSION_##network_version, .vp_max = vps, .release = os, \
		.build = os_build                                                           \
	}

static const struct vmb_vmm_generation generations[] = {
	GENERATION("2008", 0_13, 2_0, 1, 4, RELEASE(6, 0), 6002),
	GENERATION("2008r2", 1_1, 4_2, 2, 4, RELEASE(6, 1), 7600),
	GENERATION("2012", 2_4, 5_1, 4, 64, RELEASE(6, 2), 9200),
	GENERATION("2012r2", 3_0, 6_0, 5, 0, RELEASE(6, 3), 9600),
	GENERATION("2016", 4_0, 6_2, 6, 0, RELEASE(10, 0), 14393),
	GENERATION("2019", 5_2, 6_2, 6_1, 0, RELEASE(10, 0), 17763),
	GENERATION("2022", 5_3, 6_2, 6_1, 0, RELEASE(10, 0), 20348),
	GENERATION("2025", 6_0, 6_2, 6_1, 0, RELEASE(10, 0), 26100),
};

static const struct vmb_vmm_generation newest =
	GENERATION("newest", 6_0, 6_2, 6_1, 0, RELEASE(10, 0), 20348);

/* The numbers of this protocol are not those of its versions. */
static const struct {
	const char *text;
	uint32_t value;
} network_versions[] = {
	{ "1", VMB_NET_VERSION_1 }, { "2", VMB_NET_VERSION_2 }, { "4", VMB_NET_VERSION_4 },
	{ "5", VMB_NET_VERSION_5 }, { "6", VMB_NET_VERSION_6 }, { "6.1", VMB_NET_VERSION_6_1 },
};

/* MAJOR.MINOR as a number with minor_bits for the minor; 0: not written like that. */
static uint32_t number(const char *text, unsigned int minor_bits)
{
	unsigned int major, minor;
	char again[16];

	if (sscanf(text, "%3u.%3u", &major, &minor) != 2)
		return 0;
	snprintf(again, sizeof(again), "%u.%u", major, minor);
	return strcmp(text, again) == 0 ? major << minor_bits | minor : 0;
}

const struct vmb_vmm_generation *vmb_vmm_generation_find(const char *name)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(generations); i++)
		if (strcmp(generations[i].name, name) == 0)
			return &generations[i];
	return NULL;
}

const struct vmb_vmm_generation *vmb_vmm_generation_newest(void)
{
	return &newest;
}

uint32_t vmb_vmm_generation_bus(const char *text)
{
	uint32_t version = number(text, 16);

	return vmb_version_known(version) ? version : 0;
}

uint16_t vmb_vmm_generation_storage(const char *text)
{
	uint32_t version = number(text, 8);

	return version <= UINT16_MAX && vmb_stor_version_known(version) ? version : 0;
}

uint32_t vmb_vmm_generation_network(const char *text)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(network_versions); i++)
		if (strcmp(network_versions[i].text, text) == 0)
			return network_versions[i].value;
	return 0;
}
