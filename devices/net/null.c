// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A network that nobody is on: for measuring everything but the network.
 */
#include "devices/net/net.h"

static int open_null(struct vmb_dev_net *net, const struct vmb_dev_net_option *option)
{
	net->takes_large = true;
	return 0;
}

static void close_null(struct vmb_dev_net *net)
{
}

static uint32_t fill(struct vmb_dev_net *net, struct pollfd *fds, uint32_t max, int *timeout)
{
	return 0;
}

static void take(struct vmb_dev_net *net, const struct pollfd *fds, uint32_t count)
{
}

static enum vmb_dev_net_sent send_frame(struct vmb_dev_net *net,
					const struct vmb_dev_net_frame *frame)
{
	return VMB_DEV_NET_SENT;
}

const struct vmb_dev_net_ops vmb_dev_net_null = {
	.name = "null",
	.role = VMB_DEV_ROLE_NETWORK,
	.open = open_null,
	.close = close_null,
	.fill = fill,
	.take = take,
	.send = send_frame,
};
