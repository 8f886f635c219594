// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <string.h>

#include "base/platform.h"
#include "vmm/net.h"

static const struct vmb_vmm_net_ops *const kinds[] = {
	[VMB_VMM_NET_NULL] = &vmb_vmm_net_null,
	[VMB_VMM_NET_USER] = &vmb_vmm_net_user,
};

int vmb_vmm_net_open(struct vmb_vmm_net *net, const struct vmb_vmm_net_option *option,
		     vmb_vmm_net_receive *receive, void *arg)
{
	int error;

	memset(net, 0, sizeof(*net));
	net->receive = receive;
	net->arg = arg;
	net->link_up = true;
	net->mtu_max = option->mtu_max;
	net->ops = kinds[option->kind];
	error = net->ops->open(net, option);
	if (error)
		vmb_vmm_net_close(net);
	return error;
}

int vmb_vmm_net_prepare(struct vmb_vmm_net *net)
{
	(void)net;
	return 0;
}

void vmb_vmm_net_close(struct vmb_vmm_net *net)
{
	if (net->ops)
		net->ops->close(net);
	net->ops = NULL;
}

enum vmb_vmm_net_sent vmb_vmm_net_send(struct vmb_vmm_net *net,
				       const struct vmb_vmm_net_frame *frame)
{
	enum vmb_vmm_net_sent sent = net->ops->send(net, frame);

	net->full = sent == VMB_VMM_NET_FULL;
	if (sent == VMB_VMM_NET_SENT)
		net->sent++;
	if (sent == VMB_VMM_NET_DROPPED)
		net->dropped++;
	return sent;
}

void vmb_vmm_net_deliver(struct vmb_vmm_net *net, const struct vmb_vmm_net_frame *frame)
{
	net->received++;
	net->receive(net->arg, frame);
}

uint32_t vmb_vmm_net_gather(const struct vmb_vmm_net_frame *frame, void *room, uint32_t room_len)
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
