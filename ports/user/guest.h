/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A guest without a virtual machine: a bus that opens storage channels and sends commands to them,
 * answers integration services (ports/user/service.h) and has sockets (ports/user/socket.h).
 *
 *   vmb_user_guest_init(g, ...); _start(g): connects and asks for offers
 *   device = _device(g); _open(g, device); _submit() or _execute(); _close(g, device); _unload(g)
 *
 * These functions only set what is wanted. _step does all protocol work whenever synic->guest_fd
 * rings: it compares what is wanted with the state of the connection and of each device, and sends
 * the next message. So a rescind may come between any two messages and needs no special case.
 *
 * Locks, in the order in which they may be taken: a device's rx_lock, its tx_lock; g->lock.
 * Requests end on the thread that steps, with rx_lock held; from there _submit may be called.
 */
#ifndef PORTS_USER_GUEST_H
#define PORTS_USER_GUEST_H

#include <pthread.h>

#include "guest/connect.h"
#include "guest/storage.h"
#include "guest/video.h"
#include "ports/user/balloon.h"
#include "ports/user/input.h"
#include "ports/user/machine.h"
#include "ports/user/memory.h"
#include "ports/user/service.h"
#include "ports/user/socket.h"
#include "ports/user/synic.h"
#include "ring/ring.h"
#include "wire/pci.h"

#define VMB_USER_SLOT_COUNT	64u
#define VMB_USER_RING_PAGES_MAX 1024u

struct vmb_user_guest_config {
	uint32_t version_min, version_max; /* VMB_VERSION_*, 0 = the engine's */
	uint16_t storage_version_min, storage_version_max; /* 0 = the engine's */
	bool tolerant; /* signals may wait for the host's monitor, where it has one */
	uint32_t ring_pages; /* of each ring, control page included; 0 = 16 */
	/* channels of a controller, at most 8, which share its slots evenly; 0 = 1 */
	uint32_t queue_count;
};

struct vmb_user_request {
	/* the caller's */
	struct vmb_guest_storage_request storage; /* cookie is set by _submit */
	const uint64_t *pfns; /* of the data */
	void (*ended)(struct vmb_user_request *request,
		      const struct vmb_guest_storage_event *event);
	void *arg;
	uint32_t slot; /* set by _submit: the slot to abandon */
	/* the result, for callers without ended() */
	bool has_ended;
	struct vmb_guest_storage_event result;
};

struct vmb_user_device {
	struct vmb_guest_channel channel;
	struct vmb_guest_gpadl gpadl;
	struct vmb_user_guest *guest;
	struct vmb_user_device *next;
	struct vmb_user_device *primary; /* of a sub-channel; NULL: this is one */
	struct vmb_guest_storage_address address; /* of LUN 0 */
	/* control, under guest->lock */
	bool want_open;
	bool refused; /* the host answered an open, a GPADL or the handshake with an error */
	bool has_gone; /* released, or the connection ended: only this memory is left */
	bool releasing;
	uint64_t *pfns;
	uint32_t page_count;
	void *pages;
	/* data, under rx_lock and tx_lock */
	pthread_mutex_t rx_lock, tx_lock;
	bool open; /* the rings may be used; changes under all locks */
	bool interrupted; /* look at the rings; belongs to the thread that steps */
	bool ready; /* the handshake is done */
	struct vmb_ring_reader rx;
	struct vmb_ring_writer tx;
	struct vmb_user_service service; /* used: instead of storage */
	struct vmb_user_socket socket; /* used: instead of storage */
	struct vmb_user_balloon balloon; /* the same */
	struct vmb_user_input input; /* the same */
	/* Synthetic video, the same. The test places the memory and draws. */
	struct {
		bool used;
		struct vmb_guest_video core;
		uint32_t steps[VMB_GUEST_VIDEO_FEATURES + 1]; /* how often each came */
		/* Changes a message before it is sent. May be NULL. */
		void (*spoil)(uint8_t *message, uint32_t *len);
	} video;
	/* PCI pass-through, the same: the test sends packets and looks at what came. */
	struct {
		bool used;
		uint32_t count; /* packets that came; atomic, and counted when the rest is there */
		uint16_t type; /* of the last one */
		uint64_t transaction_id;
		uint32_t len;
		uint8_t bytes[256]; /* its payload */
	} pci;
	struct vmb_guest_storage storage;
	struct vmb_guest_storage_slot slots[VMB_USER_SLOT_COUNT];
	uint32_t free_slots[VMB_USER_SLOT_COUNT];
	uint32_t free_count;
	uint32_t rescan_count, reset_count;
	uint64_t refused_packets; /* packets that vmb_guest_storage_input() refused */
	/* Called after each look at the rings, with rx_lock held; may call _submit. May be NULL. */
	void (*looked)(struct vmb_user_device *d, void *arg);
	void *looked_arg;
};

struct vmb_user_guest {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct vmb_user_memory *memory;
	struct vmb_user_synic *synic;
	struct vmb_user_machine *machine;
	struct vmb_user_guest_config config;
	struct vmb_guest_connect connect;
	struct vmb_user_device *devices; /* all that ever existed, newest first */
	void *interrupt_page, *monitor_page;
	uint64_t stray_count; /* bits of the interrupt page that belong to no channel */
	bool keeps; /* the test's: does not release what was rescinded */
	bool listens; /* for connections to listen_port */
	uint32_t listen_port;
	bool want_unload;
	bool refused; /* the host accepts none of the versions */
	bool unloaded;
	bool threaded; /* somebody else steps both ends */
};

/*
 * Makes a guest on machine, which must outlive it. Sends nothing yet. Returns 0 or an enum
 * vmb_error.
 */
int vmb_user_guest_init(struct vmb_user_guest *g, struct vmb_user_machine *machine,
			const struct vmb_user_guest_config *config);
/* Frees everything and sends nothing to the host. No other thread may be using g. */
void vmb_user_guest_destroy(struct vmb_user_guest *g);

/*
 * Does the next pieces of protocol work. Returns whether something was done; then there may be
 * more.
 */
bool vmb_user_guest_step(struct vmb_user_guest *g);

/*
 * These wait for the host. Return 0; VMB_EIO: refused; VMB_ENODEV: rescinded; VMB_EAGAIN: neither
 * end has anything left to do, or with threads, nothing has come for 20 s.
 */
int vmb_user_guest_start(struct vmb_user_guest *g);
int vmb_user_guest_open(struct vmb_user_guest *g, struct vmb_user_device *d);
int vmb_user_guest_close(struct vmb_user_guest *g, struct vmb_user_device *d);
int vmb_user_guest_unload(struct vmb_user_guest *g);
/* Waits until done(arg) returns true, as above; g->lock is held during the call. */
int vmb_user_guest_wait(struct vmb_user_guest *g, bool (*done)(void *arg), void *arg);

/* Returns the newest device that is still there, or NULL. */
struct vmb_user_device *vmb_user_guest_device(struct vmb_user_guest *g);
/*
 * Waits until the first count channels of d's controller may be used; then _queue() returns them:
 * index 0 is d itself. Its sub-channels open by themselves when d is open, and close before it.
 */
int vmb_user_guest_queues(struct vmb_user_guest *g, struct vmb_user_device *d, uint32_t count);
struct vmb_user_device *vmb_user_guest_queue(struct vmb_user_guest *g, struct vmb_user_device *d,
					     uint32_t index);
/* Returns the IDE unit at that address, if it is still there, or NULL. */
struct vmb_user_device *vmb_user_guest_ide(struct vmb_user_guest *g, uint8_t path_id,
					   uint8_t target_id);

/* Returns the integration service of that type, if it is still there, or NULL. */
struct vmb_user_device *vmb_user_guest_service(struct vmb_user_guest *g, enum vmb_ic_type type);

/* Returns dynamic memory, if it is still there, or NULL. */
struct vmb_user_device *vmb_user_guest_balloon(struct vmb_user_guest *g);
/*
 * Tells the host what memory it has, as guests do each second. Returns 0, or VMB_EAGAIN: the last
 * message is not out. Context: the thread that steps the guest.
 */
int vmb_user_guest_report_memory(struct vmb_user_device *balloon,
				 const struct vmb_balloon_status *status);

/* Returns the keyboard or the mouse, if it is still there, or NULL. */
struct vmb_user_device *vmb_user_guest_keyboard(struct vmb_user_guest *g);
struct vmb_user_device *vmb_user_guest_mouse(struct vmb_user_guest *g);

/* Returns PCI pass-through's bus, if it is still there, or NULL. */
struct vmb_user_device *vmb_user_guest_pci(struct vmb_user_guest *g);
/*
 * Sends a packet on a channel of which the test is the driver. Returns what vmb_ring_write()
 * returns, or VMB_ENODEV: it is not open. Any thread.
 */
int vmb_user_guest_packet(struct vmb_user_device *d, const struct vmb_ring_packet *packet);

/* Returns video, if it is still there, or NULL. */
struct vmb_user_device *vmb_user_guest_video(struct vmb_user_guest *g);
/* Sends what the guest core of d has to say. The test's thread, on a stepped machine. */
void vmb_user_guest_say(struct vmb_user_device *d);

/* Signals the host for d, whose tx_lock is held. For ports/user/socket.c. */
void vmb_user_guest_signal(struct vmb_user_device *d);

/*
 * Writes the packet of a storage request into a ring; pfns: p->pfn_count of them. *packet_len is
 * what it needs there. Returns as vmb_ring_write().
 */
int vmb_user_storage_write(struct vmb_ring_writer *tx, const struct vmb_guest_storage_packet *p,
			   const uint64_t *pfns, uint32_t *packet_len);

/*
 * Sends a request. When it ends, request->ended() is called, or if that is NULL, has_ended is set.
 * more: others follow, so do not publish yet. Returns 0; VMB_EAGAIN: no slot or no room, and
 * device->looked() is called when that may have changed; VMB_ENODEV: not open; else the error of
 * vmb_guest_storage_submit().
 */
int vmb_user_guest_submit(struct vmb_user_device *d, struct vmb_user_request *request, bool more);
/* Publishes the requests that were sent with more. */
void vmb_user_guest_publish(struct vmb_user_device *d);

/*
 * Sends a request and waits for its end. If it does not end, it is abandoned and belongs to the
 * caller again.
 */
int vmb_user_guest_execute(struct vmb_user_device *d, struct vmb_user_request *request);

#endif
