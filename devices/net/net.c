// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What all network backends share: opening, capturing, and the check of each frame's header. */
#include <string.h>

#include "base/platform.h"
#include "devices/net/capture.h"
#include "devices/net/net.h"

#define ETHERNET_LEN 14u

static const struct vmb_dev_net_ops *const kinds[] = {
	[VMB_DEV_NET_NULL] = &vmb_dev_net_null,
	[VMB_DEV_NET_USER] = &vmb_dev_net_user,
	[VMB_DEV_NET_TAP] = &vmb_dev_net_tap,
	[VMB_DEV_NET_SWITCH] = &vmb_dev_net_cable,
};

int vmb_dev_net_open(struct vmb_dev_net *net, const struct vmb_dev_net_option *option,
		     vmb_dev_net_receive *receive, void *arg)
{
	int error;

	memset(net, 0, sizeof(*net));
	net->receive = receive;
	net->arg = arg;
	net->link_up = true;
	net->mtu_max = option->mtu_max;
	net->has_descriptors = option->kind != VMB_DEV_NET_NULL && option->kind != VMB_DEV_NET_OWN;
	net->ops = option->kind == VMB_DEV_NET_OWN ? option->ops : kinds[option->kind];
	error = net->ops->open(net, option);
	if (!error && option->capture)
		error = vmb_dev_capture_open(&net->capture, option->capture, option->capture_len);
	if (error)
		vmb_dev_net_close(net);
	return error;
}

int vmb_dev_net_prepare(struct vmb_dev_net *net)
{
	int error = net->ops->prepare ? net->ops->prepare(net) : 0;

	if (!error && net->capture)
		error = vmb_dev_capture_start(net->capture);
	if (net->capture && !error)
		vmb_dev_capture_interface(net->capture, net->ops->name,
					  "outbound is what the guest sends");
	return error;
}

void vmb_dev_net_close(struct vmb_dev_net *net)
{
	if (net->ops)
		net->ops->close(net);
	net->ops = NULL;
	vmb_dev_capture_close(net->capture);
	net->capture = NULL;
}

/* Capture first: the backend may deliver an answer from within send(). */
enum vmb_dev_net_sent vmb_dev_net_send(struct vmb_dev_net *net,
				       const struct vmb_dev_net_frame *frame)
{
	enum vmb_dev_net_sent sent;

	if (vmb_dev_net_is_pulled(net)) {
		net->dropped++;
		net->full = false;
		return VMB_DEV_NET_DROPPED;
	}
	if (net->capture)
		vmb_dev_capture_frame(net->capture, 0, frame, VMB_DEV_PCAPNG_OUTBOUND);
	sent = net->ops->send(net, frame);
	if (net->capture && sent != VMB_DEV_NET_SENT)
		vmb_dev_capture_undo(net->capture);
	net->full = sent == VMB_DEV_NET_FULL;
	if (sent == VMB_DEV_NET_SENT)
		net->sent++;
	if (sent == VMB_DEV_NET_DROPPED)
		net->dropped++;
	return sent;
}

/*
 * The header is not trusted: another guest's monitor made it, or a process that pretends to be one.
 */
static bool header_is_good(const struct virtio_net_hdr_v1 *h, uint32_t len)
{
	uint8_t type = h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	bool open = h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;

	if (len < ETHERNET_LEN || len > VMB_DEV_NET_FRAME_MAX)
		return false;
	if (open && (h->csum_start < ETHERNET_LEN ||
		     (uint32_t)h->csum_start + h->csum_offset + sizeof(h->csum_offset) > len))
		return false;
	if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	return (type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6) && open &&
	       h->gso_size && h->hdr_len <= len;
}

void vmb_dev_net_deliver(struct vmb_dev_net *net, const struct vmb_dev_net_frame *frame)
{
	if (!header_is_good(&frame->header, frame->len)) {
		net->malformed++;
		return;
	}
	if (vmb_dev_net_is_pulled(net))
		return;
	net->received++;
	if (net->capture)
		vmb_dev_capture_frame(net->capture, 0, frame, VMB_DEV_PCAPNG_INBOUND);
	net->receive(net->arg, frame);
}

uint32_t vmb_dev_net_gather(const struct vmb_dev_net_frame *frame, void *room, uint32_t room_len)
{
	uint8_t *to = room;

	if (frame->len > room_len)
		return 0;
	for (uint32_t i = 0; i < frame->iov_count; i++) {
		vmb_shared_read(to, frame->iov[i].iov_base, frame->iov[i].iov_len);
		to += frame->iov[i].iov_len;
	}
	return frame->len;
}
