// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Frames from the guest to the backend: a private copy of the headers, completed or prepared as the
 * backend needs them, and the rest where it lies. What is to be done to a frame is host/frame.h's;
 * this moves it.
 */
#include <string.h>

#include "devices/network.h"

/* The note of work that the core leaves, as the backends have it. */
static void fill_header(struct virtio_net_hdr_v1 *header, const struct vmb_host_frame_work *work)
{
	memset(header, 0, sizeof(*header));
	header->num_buffers = 1;
	if (work->checksum) {
		header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header->csum_start = work->checksum_start;
		header->csum_offset = work->checksum_at;
	}
	if (work->large) {
		header->gso_type = work->large == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 :
						      VIRTIO_NET_HDR_GSO_TCPV6;
		header->gso_size = work->mss;
		header->hdr_len = work->head_len;
	}
}

static void make_ready(struct vmb_dev_network_queue *q)
{
	struct vmb_dev_network_send *s = &q->send;

	q->card->counters.copied_bytes += s->frame.head_len;
	fill_header(&s->out.header, &s->frame.work);
	s->iov[0].iov_base = s->frame.head;
	s->iov[0].iov_len = s->frame.head_len;
	for (uint32_t i = 0; i < s->frame.rest_count; i++) {
		s->iov[i + 1].iov_base = (void *)s->frame.rest[i].base;
		s->iov[i + 1].iov_len = s->frame.rest[i].len;
	}
	s->out.iov = s->iov;
	s->out.iov_count = s->frame.rest_count + 1;
	s->out.len = s->frame.len;
	s->out.queue = q->index;
	s->ready = true;
}

static void begin_frame(struct vmb_dev_network_queue *q, const struct vmb_host_network_frame *frame)
{
	struct vmb_dev_network *c = q->card;
	struct vmb_dev_network_send *s = &q->send;

	s->active =
		!vmb_host_frame_send_begin(&s->frame, &c->host, &q->io, frame, c->net.takes_large);
	if (!s->active)
		c->counters.out_dropped++;
	else if (s->frame.way == VMB_HOST_FRAME_WHOLE)
		c->counters.large_out++;
	else if (s->frame.way == VMB_HOST_FRAME_CUT)
		c->counters.cut_out++;
}

/* If a segment cannot be made, the rest of its frame is dropped. */
static void next_segment(struct vmb_dev_network_queue *q)
{
	struct vmb_dev_network_send *s = &q->send;
	int more = vmb_host_frame_send_next(&s->frame, &q->io);

	s->active = more > 0;
	if (more > 0)
		make_ready(q);
	else if (more < 0)
		q->card->counters.out_dropped++;
}

static bool push(struct vmb_dev_network_queue *q)
{
	struct vmb_dev_network_counters *counters = &q->card->counters;
	struct vmb_dev_network_send *s = &q->send;
	enum vmb_dev_net_sent sent = vmb_dev_net_send(&q->card->net, &s->out);

	if (sent == VMB_DEV_NET_FULL)
		return false;
	s->ready = false;
	q->turn_frames++;
	q->turn_len += s->out.len;
	if (sent == VMB_DEV_NET_DROPPED) {
		counters->out_dropped++;
	} else {
		counters->out_frames++;
		counters->out_bytes += s->out.len;
	}
	return true;
}

static bool turn_is_over(const struct vmb_dev_network_queue *q)
{
	return q->turn_frames >= VMB_DEV_NETWORK_TURN_FRAMES ||
	       q->turn_len >= VMB_DEV_NETWORK_TURN_LEN || vmb_dev_worker_woken(&q->card->worker);
}

bool vmb_dev_network_send(struct vmb_dev_network_queue *q)
{
	struct vmb_dev_network_send *s = &q->send;
	struct vmb_host_network_frame frame;

	for (;;) {
		if (s->ready && (turn_is_over(q) || !push(q)))
			return false;
		if (s->active)
			next_segment(q);
		else if (vmb_host_network_send_next(&q->card->host, &q->io, &frame))
			begin_frame(q, &frame);
		else
			return true;
	}
}
