/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's end without a machine: the message engine, SCSI controllers, IDE units and their disks.
 *
 *   vmb_user_host_init(h, memory, synic, &config); h->disks[n] = ...
 *   vmb_user_host_offer(h, number)
 *   _post, _signal, _eom are the guest's hypercalls, on the guest's threads
 *   _step does what a device thread does, once: call it whenever synic->host_fd rings, until it
 *   answers false
 *
 * A channel's rings are looked at when the guest has signalled it, and only then.
 *
 * One lock serialises all of it. Nothing here calls the guest; the lock may be taken with the
 * guest's locks held.
 */
#ifndef PORTS_USER_HOST_H
#define PORTS_USER_HOST_H

#include <pthread.h>

#include "host/server.h"
#include "host/storage.h"
#include "ports/user/disk.h"
#include "ports/user/memory.h"
#include "ports/user/synic.h"
#include "ring/ring.h"

#define VMB_USER_DISK_MAX     8u
#define VMB_USER_HELD_MAX     256u
#define VMB_USER_TRANSFER_MAX (1u << 20) /* bytes a request */
#define VMB_USER_SPAN_MAX     (VMB_USER_TRANSFER_MAX / VMB_PAGE_LEN + 1)

struct vmb_user_host_config {
	uint32_t version_min, version_max; /* VMB_VERSION_*, 0 = the server's */
	uint16_t storage_version_max; /* VMB_STOR_VERSION_*, 0 = newest */
	bool monitors; /* offers have monitor ids: call _step every 100 us, too */
};

/* What becomes of a completion that is about to be sent. */
enum vmb_user_fate {
	VMB_USER_SEND,
	VMB_USER_DROP,
	VMB_USER_HOLD, /* until vmb_user_host_unhold */
	VMB_USER_DUPLICATE,
};

/* Misbehaviour to order. Called with the lock held; NULL: a good host. */
struct vmb_user_host_hooks {
	void *arg;
	/* A message to the guest, which may be changed; false: it gets lost. */
	bool (*message)(void *arg, uint8_t payload[VMB_MSG_LEN_MAX], uint32_t *len);
	/* A completion; all of it may be changed. */
	enum vmb_user_fate (*completion)(void *arg, uint64_t *transaction_id,
					 struct vmb_stor_packet *packet, uint32_t *len);
};

struct vmb_user_reply {
	uint16_t type;
	uint64_t transaction_id;
	uint32_t len; /* bytes of packet */
	struct vmb_stor_packet packet;
};

struct vmb_user_channel {
	struct vmb_host_channel host;
	struct vmb_user_channel *next;
	void *pages; /* both rings; NULL: closed */
	uint32_t page_count;
	struct vmb_ring_reader rx;
	struct vmb_ring_writer tx;
	bool closing;
	bool again; /* the last look ended with work left, or the rings are new */
	bool broken; /* the guest broke the protocol: not served any more */
	struct vmb_host_storage storage;
	struct vmb_user_reply replies[2]; /* that wait for room */
	uint32_t reply_count;
	struct vmb_user_reply held[VMB_USER_HELD_MAX];
	uint32_t held_count;
};

struct vmb_user_host {
	pthread_mutex_t lock;
	struct vmb_user_memory *memory;
	struct vmb_user_synic *synic;
	struct vmb_user_host_config config;
	struct vmb_user_host_hooks hooks;
	struct vmb_host_server server;
	struct vmb_host_ram ram;
	uint32_t connection_base; /* a channel's connection id less its relid */
	uint32_t doorbells[VMB_CHANNEL_COUNT_MAX / 32]; /* atomic; a bit a relid: signalled */
	void *interrupt_page, *monitor_page; /* of the connection, or NULL; atomic */
	uint64_t shared_count, monitored_count,
		stray_count; /* bits taken; of them, of no channel */
	struct vmb_user_disk *disks[VMB_USER_DISK_MAX]; /* by LUN; the caller's */
	struct vmb_user_channel *channels;
	uint32_t gpadl_count; /* lent by the guest now */
	uint64_t contact_count, unload_count;
	uint64_t request_count; /* ring packets served */
	struct vmb_host_storage_io io; /* of the request being served */
	struct vmb_user_span spans[VMB_USER_SPAN_MAX];
	uint32_t span_count;
};

/* 0, or what vmb_host_server_init says. */
int vmb_user_host_init(struct vmb_user_host *h, struct vmb_user_memory *memory,
		       struct vmb_user_synic *synic, const struct vmb_user_host_config *config);
/* Frees channels and GPADLs, whatever state they are in. No other thread is in here. */
void vmb_user_host_destroy(struct vmb_user_host *h);

/*
 * Adds a SCSI controller with all of h->disks. It belongs to the host until the guest has let go of
 * it. NULL: full.
 */
struct vmb_user_channel *vmb_user_host_offer(struct vmb_user_host *h, uint8_t number);
/* The same with one disk on IDE; channel and unit are 0 or 1. */
struct vmb_user_channel *vmb_user_host_offer_ide(struct vmb_user_host *h, uint8_t channel,
						 uint8_t unit, struct vmb_user_disk *disk);
/* Takes it away; ch may be gone when this returns. */
void vmb_user_host_rescind(struct vmb_user_host *h, struct vmb_user_channel *ch);
/* The first channel that the guest may open, or NULL. */
struct vmb_user_channel *vmb_user_host_first(struct vmb_user_host *h);

/* Hypercalls: enum vmb_hv_status; INVALID_CONNECTION_ID: no channel can have that. */
uint32_t vmb_user_host_post(struct vmb_user_host *h, uint32_t connection_id, const void *payload,
			    uint32_t len);
uint32_t vmb_user_host_signal(struct vmb_user_host *h, uint32_t connection_id);
/* The guest has emptied its message slot. */
void vmb_user_host_eom(struct vmb_user_host *h);

/* The machine was reset: steps close and release everything. */
void vmb_user_host_reset(struct vmb_user_host *h);

/* True: something was done, and there may be more. */
bool vmb_user_host_step(struct vmb_user_host *h);

/* Sends what was held, oldest first. */
void vmb_user_host_unhold(struct vmb_user_host *h, struct vmb_user_channel *ch);
/* Puts a packet of the test's own into the guest's ring. VMB_EAGAIN: no room. */
int vmb_user_host_inject(struct vmb_user_host *h, struct vmb_user_channel *ch,
			 const struct vmb_user_reply *packet);

#endif
