/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames of a guest that would end at this machine's own loopback.
 *
 * libslirp leads the gateway's address there, and can be told not to. But it hands any other
 * address to the kernel as it is, and to that 127.0.0.1, 0.0.0.0 or an IPv4 address in an IPv6 one
 * mean this machine too, whoever asks.
 */
#ifndef DEVICES_NET_LOOPBACK_H
#define DEVICES_NET_LOOPBACK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Returns whether an Ethernet frame of len bytes would reach this machine's loopback, so that a
 * user network with loopback=off must drop it. Also true for frames that are too short to have a
 * destination.
 */
bool vmb_dev_net_loopback_is_meant(const uint8_t *frame, uint32_t len);

#endif
