/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What stands in for the bus between the two ends of a network card: pages, memory that the guest shares, channels of
 * two rings each, and doorbells. There is no message engine here (ports/user/guest.h has it, for storage):
 * opening a channel is a function call, a GPADL is a number in a table.
 *
 *   vmb_user_network_bus_init(bus, threads)
 *   the guest: id = _share(bus, len, &memory);  the host: memory = _map(bus, id, &len); _unmap(bus, id)
 *   each end of a channel is a struct vmb_user_network_end: the rings through _end_init, packets through _end_write,
 *   the doorbell through _end_publish; the other end finds it with _end_rung
 *   vmb_user_network_bus_destroy(bus)
 *
 * A hook at an end sees each packet before it goes into the ring and may change it, drop it or send it twice; to hold
 * one back it keeps a copy, drops it, and writes it later with _end_inject.
 * An end looks at its rings only when the bell rang, in either mode: a lost signal shows as a loopback that stands still.
 */
#ifndef PORTS_USER_NETWORK_BUS_H
#define PORTS_USER_NETWORK_BUS_H

#include <pthread.h>

#include "ports/user/memory.h"
#include "ports/user/synic.h"
#include "ring/ring.h"
#include "wire/network.h"

#define VMB_USER_NETWORK_SHARED_MAX 4u
#define VMB_USER_NETWORK_QUEUE_MAX  8u
#define VMB_USER_NETWORK_HEADER_LEN_MAX                     \
	((uint32_t)(sizeof(struct vmb_pkt_transfer_pages) + \
		    VMB_NET_RANGE_COUNT_MAX_RSC * sizeof(struct vmb_gpa_range)))

struct vmb_user_network_shared {
	uint32_t id; /* 0 = none */
	uint8_t *memory;
	uint32_t len;
	bool mapped; /* by the host */
};

struct vmb_user_network_bus {
	bool threads; /* somebody sleeps on the eventfds */
	struct vmb_user_memory memory; /* single pages, for page ranges */
	struct vmb_user_synic synic; /* only its eventfds */
	pthread_mutex_t lock; /* of what follows */
	struct vmb_user_network_shared shared[VMB_USER_NETWORK_SHARED_MAX];
	uint32_t last_id;
	uint64_t shared_len; /* bytes, rings included: 0 when all is given back */
	uint32_t mapped_count;
	uint32_t torn; /* shared memory that was taken away while the host had it mapped */
};

struct vmb_user_network_packet {
	uint16_t type, flags;
	uint64_t transaction_id;
	uint32_t header_len, payload_len;
	uint8_t header[VMB_USER_NETWORK_HEADER_LEN_MAX];
	uint8_t payload[VMB_NET_MESSAGE_LEN_MAX];
};

enum vmb_user_network_verdict {
	VMB_USER_NETWORK_PASS,
	VMB_USER_NETWORK_DROP,
	VMB_USER_NETWORK_TWICE,
};

typedef enum vmb_user_network_verdict vmb_user_network_hook(void *arg, uint16_t queue,
							    struct vmb_user_network_packet *packet);

struct vmb_user_network_end {
	struct vmb_ring_writer tx;
	struct vmb_ring_reader rx;
	struct vmb_user_network_end *peer;
	struct vmb_user_network_bus *bus;
	int peer_fd;
	uint16_t queue;
	vmb_user_network_hook *hook; /* NULL: none */
	void *hook_arg;
	struct vmb_user_network_packet *scratch; /* the hook's packet */
	uint64_t signals; /* to the peer, atomic */
	uint32_t rung VMB_CACHE_ALIGNED; /* atomic: the peer's signal */
};

/* 0, or VMB_ENOMEM. page_count: of single pages. */
int vmb_user_network_bus_init(struct vmb_user_network_bus *bus, uint32_t page_count, bool threads);
void vmb_user_network_bus_destroy(struct vmb_user_network_bus *bus);

/* Whole zeroed pages that the guest may give to the host. Counted in shared_len. NULL: no memory. */
uint8_t *vmb_user_network_bus_alloc(struct vmb_user_network_bus *bus, uint32_t len);
void vmb_user_network_bus_free(struct vmb_user_network_bus *bus, uint8_t *memory, uint32_t len);

/* Lends memory. Answers its number, or 0: the table is full. */
uint32_t vmb_user_network_bus_share(struct vmb_user_network_bus *bus, uint8_t *memory,
				    uint32_t len);
void vmb_user_network_bus_unshare(struct vmb_user_network_bus *bus, uint32_t id);

/* Host. NULL: no such number, or it is mapped already. */
uint8_t *vmb_user_network_bus_map(struct vmb_user_network_bus *bus, uint32_t id, uint32_t *len);
void vmb_user_network_bus_unmap(struct vmb_user_network_bus *bus, uint32_t id);

/*
 * tx and rx: the two rings, control page and data, ring_len bytes each. fresh: this end made them. peer_fd: the
 * eventfd that its signals ring. What vmb_ring_writer_init and _reader_init say.
 */
int vmb_user_network_end_init(struct vmb_user_network_end *e, struct vmb_user_network_bus *bus,
			      uint16_t queue, uint8_t *tx, uint8_t *rx, uint32_t ring_len,
			      bool fresh);
void vmb_user_network_end_destroy(struct vmb_user_network_end *e);

/* Through the hook, if there is one. As vmb_ring_write. */
int vmb_user_network_end_write(struct vmb_user_network_end *e,
			       const struct vmb_ring_packet *packet);
/* Past the hook, published and signalled at once. As vmb_ring_write. */
int vmb_user_network_end_inject(struct vmb_user_network_end *e,
				const struct vmb_user_network_packet *packet);

/* Commits, and rings if the ring says so. */
void vmb_user_network_end_publish(struct vmb_user_network_end *e);
/* Rings without a look at the rings: what vmb_ring_release() asks for. */
void vmb_user_network_end_signal(struct vmb_user_network_end *e);
/* Whether the peer rang since the last call. */
bool vmb_user_network_end_rung(struct vmb_user_network_end *e);

#endif
