/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `openvmbus switch SOCKET`: an Ethernet switch for the guests of one machine, a process of its
 * own.
 *
 * A card connects to the socket (--net switch=SOCKET) and leaves when it closes its connection.
 * Frames pass as they are, behind their virtio-net header, so that open checksums and large frames
 * need no work between guests. A frame to an address that is known goes to its port, all others go
 * to all. The queues are the sockets', so their lengths are bounded by the kernel. When the one
 * port that a frame is for is full, its sender is not read until there is room, but at most
 * HOLD_MS: then the frame is dropped (devices/switch/patience.h). Frames for all never wait.
 *
 * A client is not trusted: an invalid frame closes its port, it uses one buffer and
 * VMB_DEV_SWITCH_ADDRESS_MAX addresses at most, and --ports limits the number of ports. As on any
 * switch, it can send from addresses of others.
 */
#ifndef DEVICES_SWITCH_SWITCH_H
#define DEVICES_SWITCH_SWITCH_H

/* how: what --seccomp said, or NULL. Returns 0, or an error: reported. */
typedef int vmb_dev_switch_confine(const char *how);

/*
 * argv: "switch" and what follows. confine: called when argv has been understood, before anything
 * is opened; from then on the program may confine the role VMB_DEV_ROLE_SWITCH. NULL: --seccomp has
 * no effect. Runs until SIGTERM, SIGINT or SIGHUP. Returns the exit code, 0 after one of these
 * signals.
 */
int vmb_dev_switch_run(int argc, char **argv, vmb_dev_switch_confine *confine);

#endif
