/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which system calls each role's thread may make.
 */
#ifndef VMM_CONFINE_CALLS_H
#define VMM_CONFINE_CALLS_H

#include <seccomp.h>
#include <stdint.h>

#include "devices/role.h"

#define VMB_VMM_CONFINE_COMPARE_MAX 3u

struct vmb_vmm_confine_call {
	int number;
	int answer; /* 0: as the list says; else the errno that it fails with, in every mode */
	uint32_t compare_count; /* 0: whatever its arguments are */
	struct scmp_arg_cmp compare[VMB_VMM_CONFINE_COMPARE_MAX];
};

struct vmb_vmm_confine_list {
	const struct vmb_vmm_confine_call *calls;
	uint32_t count;
};

/*
 * What a private NBD server may not do: it is another program, whose needs change. Its calls with
 * an answer fail with it; all others end it.
 */
extern const struct vmb_vmm_confine_list vmb_vmm_confine_server;

/* What every thread may do. */
extern const struct vmb_vmm_confine_list vmb_vmm_confine_common;
/* What a role may do beside that. A filter is inherited: the main thread's has the others' too,
 * and that of control has those of the devices. */
extern const struct vmb_vmm_confine_list vmb_vmm_confine_lists[VMB_DEV_ROLE_COUNT];

#endif
