// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A network backend that passes frames to and from functions of this process, for tests. */
#include <stdlib.h>

#include "devices/event.h"
#include "host/offload.h"
#include "ports/user/wire.h"

#define ETHERTYPE_AT   12u
#define TCP_SUM_OFFSET 16u
#define IPV6_LEN       40u

struct vmb_user_wire_pushed {
	struct vmb_user_wire_pushed *next;
	uint32_t len, mss;
	uint8_t bytes[];
};

/* Where the transport header of a TCP frame begins, behind a tag if there is one. */
static uint16_t transport_at(const uint8_t *bytes)
{
	uint16_t ip = bytes[ETHERTYPE_AT] == 0x81 && !bytes[ETHERTYPE_AT + 1] ? 18 : 14;

	return bytes[ip] >> 4 == 4 ? (uint16_t)(ip + (bytes[ip] & 15) * 4) :
				     (uint16_t)(ip + IPV6_LEN);
}

static uint8_t gso_of(const uint8_t *bytes)
{
	uint16_t ip = bytes[ETHERTYPE_AT] == 0x81 && !bytes[ETHERTYPE_AT + 1] ? 18 : 14;

	return bytes[ip] >> 4 == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
}

void vmb_user_wire_deliver(struct vmb_user_wire *w, const uint8_t *bytes, uint32_t len,
			   uint32_t mss)
{
	const struct iovec iov = { (void *)bytes, len };
	struct vmb_dev_net_frame frame = { .iov = &iov, .iov_count = 1, .len = len };

	if (mss) {
		frame.header.gso_type = gso_of(bytes);
		frame.header.gso_size = mss;
		frame.header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		frame.header.csum_start = transport_at(bytes);
		frame.header.csum_offset = TCP_SUM_OFFSET;
	}
	vmb_dev_net_deliver(w->net, &frame);
}

void vmb_user_wire_wake(struct vmb_user_wire *w)
{
	vmb_dev_event_ring(w->wake);
}

void vmb_user_wire_push(struct vmb_user_wire *w, const uint8_t *bytes, uint32_t len, uint32_t mss)
{
	struct vmb_user_wire_pushed *p = malloc(sizeof(*p) + len);

	pthread_mutex_lock(&w->lock);
	if (p && w->pushed_count < VMB_USER_WIRE_PUSHED_MAX) {
		*p = (struct vmb_user_wire_pushed){ .len = len, .mss = mss };
		memcpy(p->bytes, bytes, len);
		*w->pushed_end = p;
		w->pushed_end = &p->next;
		w->pushed_count++;
	} else {
		w->pushed_dropped++;
		free(p);
	}
	pthread_mutex_unlock(&w->lock);
	vmb_user_wire_wake(w);
}

static struct vmb_user_wire_pushed *pull(struct vmb_user_wire *w)
{
	struct vmb_user_wire_pushed *p;

	pthread_mutex_lock(&w->lock);
	p = w->pushed;
	if (p) {
		w->pushed = p->next;
		w->pushed_count--;
	}
	if (!w->pushed)
		w->pushed_end = &w->pushed;
	pthread_mutex_unlock(&w->lock);
	return p;
}

static int open_wire(struct vmb_dev_net *net, const struct vmb_dev_net_option *option)
{
	struct vmb_user_wire *w = option->arg;

	net->state = w;
	net->takes_large = w->large;
	w->net = net;
	w->pushed_end = &w->pushed;
	pthread_mutex_init(&w->lock, NULL);
	w->wake = vmb_dev_event_create();
	return w->wake < 0 ? w->wake : 0;
}

static void close_wire(struct vmb_dev_net *net)
{
	struct vmb_user_wire *w = net->state;
	struct vmb_user_wire_pushed *p;

	while ((p = pull(w)))
		free(p);
	if (w->wake >= 0)
		close(w->wake);
	pthread_mutex_destroy(&w->lock);
}

static uint32_t fill(struct vmb_dev_net *net, struct pollfd *fds, uint32_t max, int *timeout)
{
	struct vmb_user_wire *w = net->state;

	fds[0] = (struct pollfd){ .fd = w->wake, .events = POLLIN };
	if (w->more)
		*timeout = 0;
	return 1;
}

static void take(struct vmb_dev_net *net, const struct pollfd *fds, uint32_t count)
{
	struct vmb_user_wire *w = net->state;
	struct vmb_user_wire_pushed *p;

	if (fds[0].revents)
		vmb_dev_event_clear(w->wake);
	while ((p = pull(w))) {
		vmb_user_wire_deliver(w, p->bytes, p->len, p->mss);
		free(p);
	}
	w->more = w->looked && w->looked(w->arg);
}

/* Completes the checksums that the card left incomplete, in a frame of one piece. */
static void fill_checksum(struct vmb_user_wire *w, const struct vmb_dev_net_frame *frame)
{
	uint32_t start = frame->header.csum_start, at = start + frame->header.csum_offset;
	uint32_t sum = vmb_host_offload_sum(0, false, w->frame + start, frame->len - start);
	uint16_t value = (uint16_t)~vmb_host_offload_fold(sum);

	if (!value)
		value = 0xFFFF;
	memcpy(w->frame + at, &value, sizeof(value));
}

static enum vmb_dev_net_sent send_frame(struct vmb_dev_net *net,
					const struct vmb_dev_net_frame *frame)
{
	struct vmb_user_wire *w = net->state;

	if (w->taken) {
		w->taken(w->arg, frame);
		return VMB_DEV_NET_SENT;
	}
	if (!w->sent)
		return VMB_DEV_NET_SENT;
	if (!vmb_dev_net_gather(frame, w->frame, sizeof(w->frame)))
		return VMB_DEV_NET_DROPPED;
	if (frame->header.gso_type == VIRTIO_NET_HDR_GSO_NONE &&
	    frame->header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		fill_checksum(w, frame);
	w->sent(w->arg, frame->queue, w->frame, frame->len, frame->header.gso_size);
	return VMB_DEV_NET_SENT;
}

const struct vmb_dev_net_ops vmb_user_wire_ops = { .name = "wire",
						   .open = open_wire,
						   .close = close_wire,
						   .fill = fill,
						   .take = take,
						   .send = send_frame };
