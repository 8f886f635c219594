// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The table of Windows Server versions and of the protocol versions that each one speaks. */
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

struct version {
	const char *text;
	uint32_t value;
};

static const struct version bus_versions[] = {
	{ "0.13", VMB_VERSION_0_13 }, { "1.1", VMB_VERSION_1_1 }, { "2.4", VMB_VERSION_2_4 },
	{ "3.0", VMB_VERSION_3_0 },   { "4.0", VMB_VERSION_4_0 }, { "4.1", VMB_VERSION_4_1 },
	{ "5.0", VMB_VERSION_5_0 },   { "5.1", VMB_VERSION_5_1 }, { "5.2", VMB_VERSION_5_2 },
	{ "5.3", VMB_VERSION_5_3 },   { "6.0", VMB_VERSION_6_0 },
};

static const struct version storage_versions[] = {
	{ "2.0", VMB_STOR_VERSION_2_0 }, { "4.2", VMB_STOR_VERSION_4_2 },
	{ "5.1", VMB_STOR_VERSION_5_1 }, { "6.0", VMB_STOR_VERSION_6_0 },
	{ "6.2", VMB_STOR_VERSION_6_2 },
};

static const struct version network_versions[] = {
	{ "1", VMB_NET_VERSION_1 }, { "2", VMB_NET_VERSION_2 }, { "4", VMB_NET_VERSION_4 },
	{ "5", VMB_NET_VERSION_5 }, { "6", VMB_NET_VERSION_6 }, { "6.1", VMB_NET_VERSION_6_1 },
};

static uint32_t lookup(const struct version *table, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(table[i].text, text) == 0)
			return table[i].value;
	return 0;
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
	return lookup(bus_versions, VMB_ARRAY_COUNT(bus_versions), text);
}

uint16_t vmb_vmm_generation_storage(const char *text)
{
	return (uint16_t)lookup(storage_versions, VMB_ARRAY_COUNT(storage_versions), text);
}

uint32_t vmb_vmm_generation_network(const char *text)
{
	return lookup(network_versions, VMB_ARRAY_COUNT(network_versions), text);
}
