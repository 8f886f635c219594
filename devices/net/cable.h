/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What goes over the socket between a card and `openvmbus switch`: SOCK_SEQPACKET, each message one
 * frame behind its virtio-net header (little-endian, 12 bytes). There is no greeting and no flow
 * control. An empty message ends the connection.
 */
#ifndef DEVICES_NET_CABLE_H
#define DEVICES_NET_CABLE_H

#include <stddef.h>

#include "devices/net/net.h"

struct vmb_dev_net_cable_message {
	struct virtio_net_hdr_v1 header;
	uint8_t frame[VMB_DEV_NET_FRAME_MAX];
};
_Static_assert(sizeof(struct virtio_net_hdr_v1) == 12, "the header has a buffer count");
_Static_assert(offsetof(struct vmb_dev_net_cable_message, frame) == 12, "no gap");

/* Bytes under way in one direction of a socket; the kernel may give less. */
#define VMB_DEV_NET_CABLE_QUEUE_LEN (1 << 20)

/*
 * Returns a socket that is not yet connected, or -errno; fills in its address. path must fit, see
 * devices/net/parse.c.
 */
struct sockaddr_un;
int vmb_dev_net_cable_socket(struct sockaddr_un *address, const char *path);

/* Sends a frame; never waits. */
enum vmb_dev_net_cable_sent {
	VMB_DEV_NET_CABLE_SENT,
	VMB_DEV_NET_CABLE_FULL,
	VMB_DEV_NET_CABLE_REFUSED, /* this frame only */
	VMB_DEV_NET_CABLE_CLOSED,
};
enum vmb_dev_net_cable_sent vmb_dev_net_cable_send(int fd, const struct vmb_dev_net_frame *frame);

/*
 * Returns the frame's length in bytes; 0: the peer closed the connection or broke the rules;
 * -EAGAIN: no frame is there.
 */
int vmb_dev_net_cable_receive(int fd, struct vmb_dev_net_cable_message *message);

#endif
