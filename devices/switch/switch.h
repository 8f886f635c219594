/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `openvmbus switch SOCKET`: an Ethernet switch for the guests of one machine, a process of its own.
 *
 * Cards plug in by connecting (--net switch=SOCKET) and are gone when they close. Frames pass as they
 * are, behind their virtio-net header, so that open checksums and large frames need no work between
 * guests. A frame to an address that is known goes to its port, all others go to all. The queues are
 * the sockets', so their lengths are bounded by the kernel. When the one port that a frame is for is
 * full, its sender is not read until there is room, but at most HOLD_MS: then the frame is dropped,
 * and the slow port gets no more such patience before it has taken a frame. Frames for all never wait.
 *
 * A client is not trusted: what is no frame ends its port, it holds one buffer and
 * VMB_DEV_SWITCH_ADDRESS_MAX addresses, and there are at most so many ports as was said. As on any
 * switch, it can show addresses that are others'.
 */
#ifndef DEVICES_SWITCH_SWITCH_H
#define DEVICES_SWITCH_SWITCH_H

/* argv: "switch" and what follows. Answers the exit code. Ends with SIGTERM, SIGINT or SIGHUP: 0. */
int vmb_dev_switch_run(int argc, char **argv);

#endif
