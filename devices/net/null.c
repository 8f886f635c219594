// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A network that nobody is on: for measuring everything but the network.
 */
#include "devices/net/net.h"

static int open_null(struct vmb_dev_net *net, const struct vmb_dev_net_option *option)
{
	(void)option;
	net->takes_large = true;
	return 0;
}

static void close_null(struct vmb_dev_net *net)
{
	(void)net;
}

static uint32_t fill(struct vmb_dev_net *net, struct pollfd *fds, uint32_t max, int *timeout)
{
	(void)net;
	(void)fds;
	(void)max;
	(void)timeout;
	return 0;
}

static void take(struct vmb_dev_net *net, const struct pollfd *fds, uint32_t count)
{
	(void)net;
	(void)fds;
	(void)count;
}

static enum vmb_dev_net_sent send_frame(struct vmb_dev_net *net,
					const struct vmb_dev_net_frame *frame)
{
	(void)net;
	(void)frame;
	return VMB_DEV_NET_SENT;
}

const struct vmb_dev_net_ops vmb_dev_net_null = {
	.name = "null",
	.open = open_null,
	.close = close_null,
	.fill = fill,
	.take = take,
	.send = send_frame,
};
