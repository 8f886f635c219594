/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's side of the bus, as far as a network card needs it: the connection, the card's
 * channels with their rings, and memory that is lent to the host. The other side is the bus and the
 * devices of devices/, over ports/user/machine.h.
 *
 *   vmb_user_network_bus_init(bus, &config)
 *   vmb_user_network_bus_connect(bus)          negotiates, hears of the offers
 *   memory = _alloc(bus, len); id = _share(bus, memory): a GPADL; _unshare(bus, id); _free(bus, memory)
 *   _open(bus, queue, rings, ring_len), _close(bus, queue)
 *   each end of a ring pair is a struct vmb_user_network_end: packets through _end_write, the
 *   doorbell through _end_publish; whether the host rang says _end_rung
 *   vmb_user_network_bus_destroy(bus)
 *
 * These verbs wait for the host's answers: they carry messages themselves, and step the devices if
 * these have no workers.
 *
 * A hook at the guest's end sees each packet before it goes into the ring and may change it, drop it
 * or send it twice; to hold one back it keeps a copy, drops it, and writes it later with
 * _end_inject. What the host sends passes devices/fault.h.
 * The guest looks at its rings only when the bell rang, in either mode: a lost signal shows as a
 * loopback that stands still.
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
	struct vmb_user_network_channel *next; /* released ones that the engine still holds */
	bool answered, refused; /* OPEN */
};

struct vmb_user_network_bus {
	struct vmb_user_machine machine;
	pthread_mutex_t lock; /* of what follows */
	struct vmb_guest_connect connect;
	struct vmb_user_network_channel *channels[VMB_USER_NETWORK_QUEUE_MAX]; /* NULL: not offered */
	struct vmb_user_network_channel *released;
	struct vmb_user_network_lent lent[VMB_USER_NETWORK_LENT_MAX];
	uint64_t lent_len; /* bytes that were allocated: 0 when all is given back */
	/* Steps the host's end. True: something was done. NULL: it has threads. */
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
	uint32_t rung VMB_CACHE_ALIGNED; /* atomic: somebody in here wants it looked at */
};

/* 0, or VMB_ENOMEM. */
int vmb_user_network_bus_init(struct vmb_user_network_bus *bus,
			      const struct vmb_user_machine_config *config);
/* The guest's end is closed. Closes the devices. */
void vmb_user_network_bus_destroy(struct vmb_user_network_bus *bus);

/* 0; VMB_EIO: refused; VMB_EAGAIN: no answer. Nothing, when it is connected. */
int vmb_user_network_bus_connect(struct vmb_user_network_bus *bus);
/* Takes and posts messages. True: something was done. Any thread. */
bool vmb_user_network_bus_step(struct vmb_user_network_bus *bus);

/* Zeroed pages that the guest may lend. Counted in lent_len. NULL: no memory, or no place. */
uint8_t *vmb_user_network_bus_alloc(struct vmb_user_network_bus *bus, uint32_t len);
void vmb_user_network_bus_free(struct vmb_user_network_bus *bus, uint8_t *memory);

/* Lends memory on the primary channel. Returns the GPADL's id, or 0: the host refused. */
uint32_t vmb_user_network_bus_share(struct vmb_user_network_bus *bus, uint8_t *memory);
/* Returns when the host has let go. */
void vmb_user_network_bus_unshare(struct vmb_user_network_bus *bus, uint32_t id);
/* The memory behind a GPADL of this guest, or NULL. */
uint8_t *vmb_user_network_bus_find(struct vmb_user_network_bus *bus, uint32_t id, uint32_t *len);

/* Waits until the channel of a queue is offered. 0, or VMB_EAGAIN: it is not. */
int vmb_user_network_bus_await(struct vmb_user_network_bus *bus, uint16_t queue);
/*
 * Opens the channel of a queue over rings, which _alloc gave: ring_len bytes to the host, then as
 * many to the guest. Waits for its offer. 0, VMB_EIO: refused, VMB_EAGAIN: no offer or no answer.
 */
int vmb_user_network_bus_open(struct vmb_user_network_bus *bus, uint16_t queue, uint8_t *rings,
			      uint32_t ring_len);
/* The host no longer touches the rings when this returns. Of what is not open: nothing. */
void vmb_user_network_bus_close(struct vmb_user_network_bus *bus, uint16_t queue);

/*
 * rings as above; the channel is offered. What vmb_ring_writer_init and _reader_init say. The bell
 * and the hook outlive the rings: they may be there before the channel opens.
 */
int vmb_user_network_end_init(struct vmb_user_network_end *e, struct vmb_user_network_bus *bus,
			      uint16_t queue, uint8_t *rings, uint32_t ring_len);
void vmb_user_network_end_destroy(struct vmb_user_network_end *e);

/* Through the hook, if there is one. As vmb_ring_write. */
int vmb_user_network_end_write(struct vmb_user_network_end *e,
			       const struct vmb_ring_packet *packet);
/* Past the hook, published and signalled at once. As vmb_ring_write. */
int vmb_user_network_end_inject(struct vmb_user_network_end *e,
				const struct vmb_dev_packet *packet);

/* Commits, and rings if the ring says so. */
void vmb_user_network_end_publish(struct vmb_user_network_end *e);
/* Rings without a look at the rings: what vmb_ring_release() asks for. */
void vmb_user_network_end_signal(struct vmb_user_network_end *e);
/* Whether the host rang, or somebody in here, since the last call. */
bool vmb_user_network_end_rung(struct vmb_user_network_end *e);

#endif
