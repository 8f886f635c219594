/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A network card on the bus: between the host core's network protocol and a backend.
 *
 *   vmb_dev_network_open(&device, &option, number), then the device's own functions
 *
 * A card has one worker, for all of its queues: it owns the rings of every open channel, the core's
 * state and the backend, and waits in one place, for doorbells, the bus and the backend's
 * descriptors alike. What belongs to one queue is in struct vmb_dev_network_queue and handled by
 * network_queue.c, so that queues can be spread over threads once the core's state is; today they
 * share a processor of the host.
 *
 * The bus tells of opened and closed channels by leaving a request behind (under card->lock) and
 * waking the worker.
 *
 * What a packet says is copied out of the ring once and judged in the copy. A frame's headers are
 * copied before they are looked at; the rest of it goes to the backend from where the guest put it.
 * One packet can hold a quarter of a million segments, so a queue's turn is limited in frames and
 * bytes for the backend, and the worker checks for the bus's requests between any two segments.
 * Nothing waits for a guest or a backend: a ring whose backend is full, or whose answers find no
 * room, is left alone until that changes. Frames that find no room in the receive buffer wait in a
 * bounded queue; when that is full they are dropped and counted.
 */
#ifndef DEVICES_NETWORK_H
#define DEVICES_NETWORK_H

#include "devices/device.h"
#include "devices/net/net.h"
#include "devices/worker.h"
#include "host/frame.h"
#include "host/network.h"

#define VMB_DEV_NETWORK_PENDING_LEN_MAX	  (512u << 10) /* bytes of frames that wait, a queue */
#define VMB_DEV_NETWORK_PENDING_COUNT_MAX 256u

/* What one queue may send to the backend before the others and the bus get their turn. */
#define VMB_DEV_NETWORK_TURN_FRAMES	  256u
#define VMB_DEV_NETWORK_TURN_LEN	  (1u << 20) /* bytes */

/* The guest's frame that is on its way to the backend. */
struct vmb_dev_network_send {
	bool active; /* frame has more */
	bool ready; /* out waits for the backend */
	struct vmb_host_frame_send frame;
	struct iovec iov[VMB_HOST_NETWORK_PIECE_COUNT_MAX + 1];
	struct vmb_dev_net_frame out;
};

/* A frame that found the receive buffer full. */
struct vmb_dev_network_pending {
	struct vmb_dev_network_pending *next;
	struct vmb_host_network_received frame;
	uint8_t bytes[];
};

struct vmb_dev_network;

struct vmb_dev_network_queue {
	struct vmb_dev_network *card;
	uint16_t index;

	/* the bus's requests, under card->lock */
	struct vmb_dev_channel *opening, *closing;

	/* the worker's */
	struct vmb_dev_channel *channel; /* NULL: not open */
	bool look; /* the doorbell rang */
	bool more; /* the budget was used up before the ring was empty */
	bool blocked; /* something waits for room in the ring to the guest */
	bool broken; /* the guest broke the protocol: the queue is dead until it is opened anew */
	bool sending, replying, offering; /* what the packet under way waits for */
	struct vmb_host_network_io io;
	struct vmb_host_offload_piece pieces[VMB_HOST_NETWORK_PIECE_COUNT_MAX];
	uint32_t piece_count;
	bool pieces_good; /* all ranges are RAM */
	struct vmb_dev_network_send send;
	uint32_t turn_frames, turn_len; /* sent to the backend in this turn */
	struct vmb_dev_network_pending *pending, **pending_end;
	uint32_t pending_len, pending_count;
};

/* For the summary; frames and bytes as they pass the backend. */
struct vmb_dev_network_counters {
	uint64_t out_frames, out_bytes;
	uint64_t in_frames, in_bytes;
	uint64_t out_dropped; /* their header was invalid, or the backend dropped them */
	uint64_t in_dropped; /* no room, or longer than agreed */
	uint64_t in_unwanted; /* nobody listens, or not to this address */
	uint64_t large_out, large_in; /* of them, large ones that went through whole */
	uint64_t cut_out, cut_in; /* large ones that were cut */
	/* to private memory on the way out, to the pending queue on the way in */
	uint64_t copied_bytes;
	uint64_t pending; /* frames that had to wait */
	uint64_t doorbells, signals;
	uint64_t opened; /* channels, sub-channels too */
};

struct vmb_dev_network {
	struct vmb_host_network host;
	struct vmb_host_network_queue *host_queues;
	struct vmb_dev_net net;
	struct vmb_dev_network_queue *queues; /* queue 0 is the primary channel's */
	uint32_t queue_count;
	struct vmb_dev_channel channel; /* the primary */
	uint32_t number;
	bool monitored; /* its channels always have monitor ids */
	char name[32]; /* for the guest */
	char short_name[8]; /* for commands */

	bool released; /* the guest has let go of a primary that is no longer offered; atomic */
	pthread_mutex_t lock; /* for the requests; the bus's lock comes first */
	struct vmb_dev_worker worker;

	/* the worker's */
	struct vmb_dev_shared shared[2]; /* receive buffer, send buffer */
	struct pollfd *fds;

	/* read when no worker runs */
	uint32_t version; /* the last negotiated, VMB_NET_VERSION_* */
	uint32_t open_max; /* queues that were open at one time */
	struct vmb_dev_network_counters counters;
};

/* The id of the offer of that card. */
struct vmb_guid vmb_dev_network_id(uint32_t number);

/*
 * Opens a card and its backend. number: of the card in its machine, 0..VMB_DEV_NET_MAX - 1. Returns
 * 0, or -errno: reported, with nothing left behind. The device's state is a struct vmb_dev_network.
 */
extern const struct vmb_dev_device_ops vmb_dev_network_ops;
int vmb_dev_network_open(struct vmb_dev_device *device, const struct vmb_dev_net_option *option,
			 uint32_t number);

/*
 * One queue's rings, on the worker's thread; network_queue.c. The channel must be open. _read takes
 * packets, at most a budget of them; _flush lets frames and messages to the guest out and publishes
 * everything, once a round.
 */
void vmb_dev_network_queue_open(struct vmb_dev_network_queue *queue,
				struct vmb_dev_channel *channel);
void vmb_dev_network_queue_close(struct vmb_dev_network_queue *queue);
void vmb_dev_network_queue_read(struct vmb_dev_network_queue *queue);
void vmb_dev_network_queue_flush(struct vmb_dev_network_queue *queue);

/*
 * Passes a frame to the guest: it goes into the receive buffer, waits or is dropped. pieces:
 * frame->len bytes.
 */
void vmb_dev_network_queue_deliver(struct vmb_dev_network_queue *queue,
				   const struct vmb_host_network_received *frame,
				   const struct vmb_host_offload_piece *pieces, uint32_t count);

/*
 * Pulls the card's cable, or plugs it in again: the guest hears of it, and while it is out frames
 * are dropped both ways. Any thread.
 */
void vmb_dev_network_pull(struct vmb_dev_network *card, bool out);

/* Opens the sub-channels that the bus has asked to open; network.c. */
void vmb_dev_network_open_requested(struct vmb_dev_network *card);

/* Offers the sub-channels that the core granted; network.c. */
void vmb_dev_network_offer(struct vmb_dev_network *card);

/*
 * Sends the frames of the current packet to the backend. Returns false if the backend is full, the
 * queue's turn is over or the bus has a request: call again. In network_send.c.
 */
bool vmb_dev_network_send(struct vmb_dev_network_queue *queue);

/* A frame came from the backend; arg is the card. In network_receive.c. */
void vmb_dev_network_receive(void *arg, const struct vmb_dev_net_frame *frame);

#endif
