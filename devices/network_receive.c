// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Frames from the backend to the guest: host/frame.h says what becomes of each, and on which queue;
 * this hands them on.
 */
#include <string.h>

#include "devices/network.h"

_Static_assert(VMB_HOST_FRAME_PIECE_COUNT_MAX >= VMB_DEV_NET_IOV_MAX, "a backend's frame fits");

/*
 * Returns the IP version of a large frame, or 0; for unknown kinds UINT8_MAX, which matches no
 * frame.
 */
static uint8_t large_of(uint8_t type)
{
	switch (type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE: return type ? UINT8_MAX : 0;
	case VIRTIO_NET_HDR_GSO_TCPV4: return 4;
	case VIRTIO_NET_HDR_GSO_TCPV6: return 6;
	}
	return UINT8_MAX;
}

/* The sums of a frame that is known to be good need not be looked at. */
static struct vmb_host_frame_work work_of(const struct virtio_net_hdr_v1 *header)
{
	return (struct vmb_host_frame_work){
		.checksum = header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.checksum_start = header->csum_start,
		.checksum_at = header->csum_offset,
		.checksum_good = header->flags & VIRTIO_NET_HDR_F_DATA_VALID,
		.large = large_of(header->gso_type),
		.mss = header->gso_size,
		.head_len = header->hdr_len,
	};
}

static void count_begun(struct vmb_dev_network *c, int error, enum vmb_host_frame_way way)
{
	if (error == VMB_ENODEV)
		c->counters.in_unwanted++;
	else if (error)
		c->counters.in_dropped++;
	else if (way == VMB_HOST_FRAME_WHOLE)
		c->counters.large_in++;
	else if (way == VMB_HOST_FRAME_CUT)
		c->counters.cut_in++;
}

/*
 * What is cut can be many thousand segments: when the bus asks for something, the rest of them is
 * dropped.
 */
static void deliver(struct vmb_dev_network *c, struct vmb_host_frame_receive *r)
{
	int more;

	while ((more = vmb_host_frame_receive_next(r, &c->host)) > 0) {
		vmb_dev_network_queue_deliver(&c->queues[r->queue], &r->frame, r->pieces, r->count);
		if (r->way == VMB_HOST_FRAME_CUT && vmb_dev_worker_woken(&c->worker))
			break;
	}
	if (more)
		c->counters.in_dropped++;
}

void vmb_dev_network_receive(void *arg, const struct vmb_dev_net_frame *frame)
{
	const struct vmb_host_frame_work work = work_of(&frame->header);
	struct vmb_host_offload_piece pieces[VMB_DEV_NET_IOV_MAX];
	uint32_t count = frame->iov_count;
	struct vmb_dev_network *c = arg;
	struct vmb_host_frame_receive r;
	int error = VMB_EPROTO;

	if (count <= VMB_ARRAY_COUNT(pieces)) {
		for (uint32_t i = 0; i < count; i++)
			pieces[i] = (struct vmb_host_offload_piece){ frame->iov[i].iov_base,
								     frame->iov[i].iov_len };
		error = vmb_host_frame_receive_begin(&r, &c->host, pieces, count, &work);
	}
	count_begun(c, error, error ? VMB_HOST_FRAME_PLAIN : r.way);
	if (!error)
		deliver(c, &r);
}
