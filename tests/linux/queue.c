// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One channel that carries messages of the host, for tests of drivers that poll their ring. */
#include "tests/linux/bed.h"
#include "tests/linux/queue.h"

#define QUEUE_MAX 64u

u32 queue_ring_len;
static u8 said[QUEUE_MAX][QUEUE_LEN_MAX];
static u32 said_len[QUEUE_MAX], said_count, read_count;
static bool masked;

int vmb_channel_open(struct vmb_channel *ch, u32 ring_len, const struct vmb_channel_ops *ops,
		     void *context)
{
	queue_ring_len = ring_len;
	ch->ops = ops;
	ch->context = context;
	ch->open = true;
	said_count = read_count = 0;
	masked = false;
	sched_step();
	return 0;
}

void vmb_channel_mask(struct vmb_channel *ch)
{
	claim(ch->open);
	masked = true;
}

bool vmb_channel_unmask(struct vmb_channel *ch)
{
	claim(ch->open);
	sched_step(); /* the host may say something now, and does not ring */
	masked = false;
	sched_step();
	return read_count != said_count;
}

int vmb_channel_read(struct vmb_channel *ch, struct vmb_ring_received *packet)
{
	claim(ch->open);
	if (read_count == said_count)
		return -EAGAIN;
	shim_acquire(&said_count);
	*packet = (struct vmb_ring_received){ .type = VMB_PKT_INBAND,
					      .payload_len = said_len[read_count % QUEUE_MAX] };
	return 0;
}

bool vmb_channel_copy(struct vmb_channel *ch, const struct vmb_ring_received *packet, u32 offset,
		      void *dst, u32 len)
{
	claim_same(offset, 16);
	claim(len <= said_len[read_count % QUEUE_MAX]);
	memcpy(dst, said[read_count % QUEUE_MAX], len);
	return true;
}

void vmb_channel_next(struct vmb_channel *ch, const struct vmb_ring_received *packet)
{
	read_count++;
}

void vmb_channel_release(struct vmb_channel *ch)
{
	claim(ch->open);
}

void queue_say(const void *message, u32 len)
{
	claim(said_count - read_count < QUEUE_MAX);
	claim(len <= QUEUE_LEN_MAX);
	memcpy(said[said_count % QUEUE_MAX], message, len);
	said_len[said_count % QUEUE_MAX] = len;
	shim_release(&said_count); /* as the ring's index does */
	said_count++;
	if (masked || !channel.open)
		return;
	shim_atomic_begin();
	channel.ops->doorbell(&channel);
	shim_atomic_end();
}
