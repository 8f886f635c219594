/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's end of the bus, as far as a network card needs it: the connection, the card's
 * channels with their rings, and memory that is lent to the host. The host's end is the bus and the
 * devices of devices/, over ports/user/machine.h.
 *
 *   vmb_user_network_bus_init(bus, &config)
 *   vmb_user_network_bus_connect(bus)          negotiates, hears of the offers
 *   memory = _alloc(bus, len); id = _share(bus, memory): a GPADL; _unshare(bus, id);
 *     _free(bus, memory)
 *   _open(bus, queue, rings, ring_len), _close(bus, queue)
 *   each end of a ring pair is a struct vmb_user_network_end: packets through _end_write, the
 *   doorbell through _end_publish; whether the host rang says _end_rung
 *   vmb_user_network_bus_destroy(bus)
 *
 * These functions wait for the host's answers: they exchange messages themselves, and step the
 * devices if these have no workers.
 *
 * A hook at the guest's end sees each packet before it goes into the ring and may change it, drop
 * it or send it twice; to hold one back it keeps a copy, drops it, and writes it later with
 * _end_inject. What the host sends passes devices/fault.h. The guest looks at its rings only when
 * its bell rang, in both modes, so that a lost signal makes the test hang.
 */
#ifndef PORTS_USER_NETWORK_BUS_H
#define PORTS_USER_NETWORK_BUS_H

#include "devices/fault.h"
#include "guest/connect.h"
#include "ports/user/machine.h"
#include "ring/ring.h"

#define VMB_USER_NETWORK_LENT_MAX  16u
#define VMB_USER_NETWORK_QUEUE_MAX 8u

/* Guest memory in scattered pages, mapped side by side. */
struct vmb_user_network_lent {
	uint8_t *memory; /* NULL: a free place */
	uint32_t len; /* bytes, whole pages */
	uint64_t *pfns;
	struct vmb_guest_gpadl gpadl;
	bool refused; /* the host answered the GPADL with an error */
};

struct vmb_user_network_channel {
	struct vmb_guest_channel core;
	/* list of released channels that the engine still holds */
	struct vmb_user_network_channel *next;
	bool answered, refused; /* OPEN */
};

struct vmb_user_network_bus {
	struct vmb_user_machine machine;
	pthread_mutex_t lock; /* of what follows */
	struct vmb_guest_connect connect;
	/* NULL: not offered */
	struct vmb_user_network_channel *channels[VMB_USER_NETWORK_QUEUE_MAX];
	struct vmb_user_network_channel *released;
	struct vmb_user_network_lent lent[VMB_USER_NETWORK_LENT_MAX];
	uint64_t lent_len; /* bytes allocated and not freed */
	/* Steps the host's end. Returns whether something was done. NULL: the host has threads. */
	bool (*step)(void *step_arg);
	void *step_arg;
};

typedef enum vmb_dev_fault_verdict vmb_user_network_hook(void *arg, uint16_t queue,
							 struct vmb_dev_packet *packet);

struct vmb_user_network_end {
	struct vmb_ring_writer tx;
	struct vmb_ring_reader rx;
	struct vmb_user_network_bus *bus;
	uint16_t queue;
	uint32_t relid, connection_id; /* of the channel */
	vmb_user_network_hook *hook; /* NULL: none */
	void *hook_arg;
	struct vmb_dev_packet *scratch; /* the hook's packet */
	uint64_t signals; /* to the host, atomic */
	/* atomic: something in this process asks for a look at the rings */
	uint32_t rung VMB_CACHE_ALIGNED;
};

/* Returns 0, or VMB_ENOMEM. */
int vmb_user_network_bus_init(struct vmb_user_network_bus *bus,
			      const struct vmb_user_machine_config *config);
/* Closes the devices. The guest's end must be closed. */
void vmb_user_network_bus_destroy(struct vmb_user_network_bus *bus);

/* Connects, unless it is connected. Returns 0; VMB_EIO: refused; VMB_EAGAIN: no answer. */
int vmb_user_network_bus_connect(struct vmb_user_network_bus *bus);
/* Takes and posts messages. Returns whether something was done. Any thread. */
bool vmb_user_network_bus_step(struct vmb_user_network_bus *bus);

/*
 * Allocates len bytes of zeroed pages that the guest may lend, and counts them in lent_len. Returns
 * NULL without memory, or without a free entry in lent.
 */
uint8_t *vmb_user_network_bus_alloc(struct vmb_user_network_bus *bus, uint32_t len);
/* Frees memory that _alloc returned. It must not be lent. */
void vmb_user_network_bus_free(struct vmb_user_network_bus *bus, uint8_t *memory);

/* Lends memory on the primary channel. Returns the GPADL's id, or 0: the host refused. */
uint32_t vmb_user_network_bus_share(struct vmb_user_network_bus *bus, uint8_t *memory);
/* Takes the memory back; returns when the host no longer uses it. */
void vmb_user_network_bus_unshare(struct vmb_user_network_bus *bus, uint32_t id);
/* Returns the memory of a GPADL of this guest and its length in bytes, or NULL. */
uint8_t *vmb_user_network_bus_find(struct vmb_user_network_bus *bus, uint32_t id, uint32_t *len);

/* Waits until the channel of a queue is offered. Returns 0, or VMB_EAGAIN if it is not. */
int vmb_user_network_bus_await(struct vmb_user_network_bus *bus, uint16_t queue);
/*
 * Waits for the offer of a queue's channel and opens it. rings must come from _alloc: ring_len
 * bytes for the ring to the host, then as many for the ring to the guest. Returns 0; VMB_EIO:
 * refused; VMB_EAGAIN: no offer or no answer.
 */
int vmb_user_network_bus_open(struct vmb_user_network_bus *bus, uint16_t queue, uint8_t *rings,
			      uint32_t ring_len);
/*
 * Closes a queue's channel, if it is open. When this returns the host no longer touches the rings.
 */
void vmb_user_network_bus_close(struct vmb_user_network_bus *bus, uint16_t queue);

/*
 * Prepares an end for the rings of a queue; rings and ring_len are as above, and the channel must
 * be offered. Returns what vmb_ring_writer_init() and _reader_init() return. The bell and the hook
 * may be set before the channel opens, and stay after it closes.
 */
int vmb_user_network_end_init(struct vmb_user_network_end *e, struct vmb_user_network_bus *bus,
			      uint16_t queue, uint8_t *rings, uint32_t ring_len);
void vmb_user_network_end_destroy(struct vmb_user_network_end *e);

/* Writes a packet, through the hook if there is one. Returns what vmb_ring_write() returns. */
int vmb_user_network_end_write(struct vmb_user_network_end *e,
			       const struct vmb_ring_packet *packet);
/*
 * Writes a packet without the hook, publishes it and signals. Returns what vmb_ring_write()
 * returns.
 */
int vmb_user_network_end_inject(struct vmb_user_network_end *e,
				const struct vmb_dev_packet *packet);

/* Publishes what was written, and signals the host if the ring requires it. */
void vmb_user_network_end_publish(struct vmb_user_network_end *e);
/* Signals the host in any case, as vmb_ring_release() may require. */
void vmb_user_network_end_signal(struct vmb_user_network_end *e);
/* Returns whether the host, or something in this process, has signalled since the last call. */
bool vmb_user_network_end_rung(struct vmb_user_network_end *e);

#endif
