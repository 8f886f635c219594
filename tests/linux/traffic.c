// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Frames that are checked at both ends, for tests of the network port. */
#include "tests/linux/traffic.h"

#define HEAD_LEN     22u /* Ethernet's, number, length */
#define LEN_MAX	     9014u
#define RECEIVE_SIZE (128u << 10)

u32 traffic_heard, traffic_back;
static u32 numbers;

/* On their way back to the guest, oldest first. */
static struct echo {
	struct echo *next;
	u32 len;
	u8 bytes[];
} * echoes, **echoes_end = &echoes;

static u8 byte_of(u32 number, u32 at)
{
	return (u8)(number * 31 + at * 7 + (at >> 8));
}

static void make_frame(u8 *frame, u32 number, u32 len)
{
	static const u8 head[ETH_HLEN] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5 };
	u32 i;

	memcpy(frame, head, ETH_HLEN);
	memcpy(frame + ETH_HLEN, &number, 4);
	memcpy(frame + ETH_HLEN + 4, &len, 4);
	for (i = HEAD_LEN; i < len; i++)
		frame[i] = byte_of(number, i);
}

static void check_frame(const u8 *frame, u32 len)
{
	u32 number, wanted, i;

	memcpy(&number, frame + ETH_HLEN, 4);
	memcpy(&wanted, frame + ETH_HLEN + 4, 4);
	claim_same(len, wanted);
	for (i = HEAD_LEN; i < len; i++)
		if (frame[i] != byte_of(number, i))
			claim_same(frame[i], byte_of(number, i));
}

static void at_the_host(u16 queue, const u8 *bytes, u32 len)
{
	struct echo *e = malloc(sizeof(*e) + len);

	check_frame(bytes, len);
	traffic_heard++;
	e->next = NULL;
	e->len = len;
	memcpy(e->bytes, bytes, len);
	*echoes_end = e;
	echoes_end = &e->next;
}

static bool send_back(void)
{
	struct echo *e;

	while ((e = echoes)) {
		echoes = e->next;
		if (!echoes)
			echoes_end = &echoes;
		host_deliver(e->bytes, e->len);
		free(e);
	}
	return true;
}

static void at_the_guest(const struct sk_buff *skb, const u8 *bytes, u32 len)
{
	check_frame(bytes, len);
	traffic_back++;
}

bool traffic_send(u16 queue, u32 len, u64 limit)
{
	struct net_device *dev = net_get();
	u8 frame[LEN_MAX];
	bool taken = false;

	if (!dev)
		return false;
	make_frame(frame, ++numbers, len);
	taken = net_send(dev, queue, frame, len, limit);
	net_put(dev);
	return taken;
}

void traffic_ping(u16 queue, u32 len)
{
	u32 before = traffic_back, i;

	for (i = 0; i < 60 && traffic_back == before; i++) {
		traffic_send(queue, len, HZ);
		msleep(1000);
	}
	claim(traffic_back != before);
}

struct netvsc *traffic_card(void)
{
	claim(net_dev);
	return netdev_priv(net_dev);
}

void traffic_start_bare(void)
{
	*shim_uint("netvsc", "receive_size") = RECEIVE_SIZE;
	*shim_uint("netvsc", "send_size") = RECEIVE_SIZE;
	*shim_uint("netvsc", "ring_size") = 32 << 10;
	host.sent = at_the_host;
	host.heard = send_back;
	net_received = at_the_guest;
	host_start();
}

void traffic_start(void)
{
	traffic_start_bare();
	claim_same(shim_module_load("netvsc"), 0);
	claim(net_dev);
	claim_same(net_up(net_dev), 0);
}

void traffic_stop(void)
{
	host_stop();
	shim_module_unload("netvsc");
	claim_same(net_skb_count, 0);
}
