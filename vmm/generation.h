/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Generations of Hyper-V: the newest protocol versions that each Windows Server speaks, and its
 * build number.
 *
 *   struct vmb_vmm_generation g = VMB_VMM_GENERATION_DEFAULT;
 *   vmb_vmm_generation_find("2012r2") for a whole row
 *   vmb_vmm_generation_bus(), _storage(), _network() for single caps
 *
 * A cap is the newest version that is accepted; all older ones are too, as on a Windows Server.
 * Source: docs/protocol/bus.md, "4.1 Versions"; docs/protocol/storage.md, "2 Versions";
 * docs/protocol/network.md, "2 Versions"; docs/generations.md lists the assumptions.
 */
#ifndef VMM_GENERATION_H
#define VMM_GENERATION_H

#include "base/platform.h"

#define VMB_VMM_GENERATION_NAMES   "2008, 2008r2, 2012, 2012r2, 2016, 2019, 2022 or 2025"
#define VMB_VMM_GENERATION_BUS	   "0.13, 1.1, 2.4, 3.0, 4.0, 4.1, 5.0, 5.1, 5.2, 5.3 or 6.0"
#define VMB_VMM_GENERATION_STORAGE "2.0, 4.2, 5.1, 6.0 or 6.2"
#define VMB_VMM_GENERATION_NETWORK "1, 2, 4, 5, 6 or 6.1"

struct vmb_vmm_generation {
	const char *name;
	uint32_t bus; /* VMB_VERSION_* */
	uint16_t storage; /* VMB_STOR_VERSION_* */
	uint32_t network; /* VMB_NET_VERSION_* */
	uint32_t vp_max; /* maximum of virtual processors; 0: at least as many as ours */
	uint32_t release; /* leaf 0x40000002: EBX, major and minor */
	uint32_t build; /* EAX of the same leaf */
	bool no_timers; /* for tests: no synthetic timers */
	bool unannounced; /* leaf 0x40000003: EBX is 0, though messages and events are taken */
};

/* Returns the row with this name, or NULL: there is no such Windows Server. */
const struct vmb_vmm_generation *vmb_vmm_generation_find(const char *name);

/* The newest version of every protocol, with the build of Windows Server 2022. */
const struct vmb_vmm_generation *vmb_vmm_generation_newest(void);

/* Parse a version: "4.1" gives VMB_VERSION_4_1 and so on. Return 0 if there is no such version. */
uint32_t vmb_vmm_generation_bus(const char *text);
uint16_t vmb_vmm_generation_storage(const char *text);
uint32_t vmb_vmm_generation_network(const char *text);

#endif
