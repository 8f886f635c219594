/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The other end of a control socket: `openvmbus ctl PATH COMMAND [ARGUMENT...]`, and what
 * `openvmbus top` needs of it.
 *
 *   vmb_vmm_ctl_connect(&ctl, path)
 *   answer = vmb_vmm_ctl_ask(&ctl, request)
 *   vmb_vmm_ctl_close(&ctl)
 */
#ifndef VMM_CTL_H
#define VMM_CTL_H

#include <jansson.h>
#include <stdbool.h>

#define VMB_VMM_CTL_ROOM (1u << 16)

struct vmb_vmm_ctl {
	const char *who, *path;
	int fd;
	char *in;
	size_t in_len, in_room;
};

/*
 * Connects and reads the version line. who begins each message: "ctl". Returns 0, or -errno:
 * reported. The machine has 10 s to accept and to say its version.
 */
int vmb_vmm_ctl_connect(struct vmb_vmm_ctl *ctl, const char *who, const char *path);
/*
 * Sends a request, which it takes, and waits for its answer: result or error, the caller's. Events
 * that come before it are left out. NULL: reported.
 */
json_t *vmb_vmm_ctl_ask(struct vmb_vmm_ctl *ctl, json_t *request);
/*
 * Waits for the next line, timeout_ms (-1: without a limit). NULL: reported, or *ended: the machine
 * closed the connection.
 */
json_t *vmb_vmm_ctl_read(struct vmb_vmm_ctl *ctl, int timeout_ms, bool *ended);
void vmb_vmm_ctl_close(struct vmb_vmm_ctl *ctl);

/* The command. argv[0] is "ctl". Returns the exit code: 0, 1 the command failed, 2 usage. */
int vmb_vmm_ctl_run(int argc, char **argv);

#endif
