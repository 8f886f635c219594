/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's side of the storage protocol. One struct vmb_host_storage is one SCSI controller, or
 * one unit of an IDE controller, which has a channel of its own. Packet payloads in, steps and
 * completions out. It does not know the channel: the port reads the ring, checks only the framing,
 * and moves the guest's data.
 *
 * Life story:
 *
 *   vmb_host_storage_init(s, &config); s->bus.luns[n] = ...
 *   vmb_host_storage_reset(s) at every OPEN of the channel
 *   for each packet of the ring, with a free struct vmb_host_storage_io (the port bounds their
 *   number, so that every completion fits into the ring):
 *     step = vmb_host_storage_input(s, io, &packet)
 *       < 0 (VMB_EPROTO)  the guest broke the protocol: stop serving this channel
 *       VMB_HOST_STORAGE_REPLY
 *                         copy io->task.data_len bytes of io->task.data to the guest's pages (if
 *                         any), then send io->reply (io->reply_len bytes) as completion of
 *                         io->transaction_id
 *       VMB_HOST_STORAGE_WANT_DATA
 *                         copy io->task.want_len bytes from the guest's pages to io->task.data;
 *                         step = vmb_host_storage_data(s, io)
 *       VMB_HOST_STORAGE_DO
 *                         do io->task.op; vmb_host_storage_done(s, io, error): then REPLY
 *       VMB_HOST_STORAGE_NOTHING
 *                         no answer is due
 *   sub-channels: when CREATE_SUB_CHANNELS was answered, s->sub_channel_wanted says how many to
 *     offer, with indexes 1, 2 and so on; the port offers them and sets it to 0. Their packets come
 *     to the same functions; the port reads them only from READY on
 *   events: while (vmb_host_storage_event(s, &packet, &len))
 *                   send it in-band on the primary, transaction id 0, no completion, and then call
 *                   vmb_host_storage_event_done(s); or stop when the ring is full
 *
 * Context: one caller at a time for a controller; the backend operation itself may run anywhere.
 *
 * IDE (config.ide): the one unit is LUN 0 of the offer's target, on any path; there are no
 * sub-channels. vmb_host_storage_ide_offer() fills in the offer.
 *
 * Source: docs/protocol/storage.md.
 */
#ifndef HOST_STORAGE_H
#define HOST_STORAGE_H

#include "host/scsi.h"
#include "wire/ring.h"
#include "wire/storage.h"

#define VMB_HOST_STORAGE_TRANSFER_MIN (256u << 10)

enum vmb_host_storage_state {
	VMB_HOST_STORAGE_BEGIN, /* only BEGIN_INITIALIZATION is legal */
	VMB_HOST_STORAGE_BEGAN,
	VMB_HOST_STORAGE_VERSIONED,
	VMB_HOST_STORAGE_PROPERTIED,
	VMB_HOST_STORAGE_READY,
};

enum vmb_host_storage_step {
	VMB_HOST_STORAGE_NOTHING,
	VMB_HOST_STORAGE_REPLY,
	VMB_HOST_STORAGE_WANT_DATA,
	VMB_HOST_STORAGE_DO, /* the backend operation in io->task */
};

struct vmb_host_storage_config {
	uint16_t version_max; /* VMB_STOR_VERSION_*, 0 = newest */
	uint32_t max_transfer_len; /* bytes, n * 4096, >= VMB_HOST_STORAGE_TRANSFER_MIN; or 0 */
	uint16_t max_sub_channel_count; /* 0 = one channel */
	bool ide;
	uint8_t path_id, target_id; /* IDE: channel and device, 0 or 1 each; else 0 */
};

struct vmb_host_storage_counters {
	uint64_t requests;
	uint64_t refused; /* invalid, answered with an error */
	uint64_t broken; /* VMB_EPROTO */
};

struct vmb_host_storage {
	struct vmb_host_storage_config config;
	struct vmb_host_scsi_bus bus;
	enum vmb_host_storage_state state;
	uint16_t version; /* negotiated */
	bool enumerate_waiting;
	bool sub_channels_created; /* once a connection */
	uint16_t sub_channel_wanted; /* by CREATE_SUB_CHANNELS; the port offers them */
	struct vmb_host_storage_counters counters;
};

/* A packet as the port read it: descriptor validated by the ring, payload a private copy. */
struct vmb_host_storage_packet {
	bool sub_channel; /* it came on one, where there is no handshake */
	uint16_t type; /* enum vmb_pkt_type */
	uint16_t flags; /* VMB_PKT_FLAG_* */
	uint64_t transaction_id;
	const void *payload;
	uint32_t payload_len; /* bytes */
	uint32_t range_count; /* GPA-direct: as announced */
	struct vmb_gpa_range range; /* the first one */
	uint32_t pfn_count; /* page frame numbers of it that the port found to be RAM */
};

/* One request under way. The port embeds it in its own, with the pages. */
struct vmb_host_storage_io {
	uint64_t transaction_id;
	uint32_t reply_len;
	uint8_t sense_room; /* bytes of sense data that the guest accepts */
	struct vmb_stor_packet reply;
	struct vmb_host_scsi_task task;
};

/*
 * Fills in what an IDE unit's offer has besides its class VMB_GUID_IDE: the instance id, and the
 * beginning of the user area, the rest of which is zero.
 */
void vmb_host_storage_ide_offer(uint8_t path_id, uint8_t target_id, struct vmb_guid *instance_id,
				struct vmb_stor_offer *user);

/*
 * Initialises s: config is copied, bus is emptied. VMB_EINVAL: a value outside its bounds, or
 * sub-channels with IDE.
 */
int vmb_host_storage_init(struct vmb_host_storage *s, const struct vmb_host_storage_config *config);

/*
 * The channel was opened: the handshake starts anew. Units keep what outlives a guest
 * (reservations, tray, medium) and lose unit attentions, kept sense data and a prevented removal.
 */
void vmb_host_storage_reset(struct vmb_host_storage *s);

/* Return a step (enum vmb_host_storage_step) or VMB_EPROTO. */
int vmb_host_storage_input(struct vmb_host_storage *s, struct vmb_host_storage_io *io,
			   const struct vmb_host_storage_packet *packet);
int vmb_host_storage_data(struct vmb_host_storage *s, struct vmb_host_storage_io *io);
int vmb_host_storage_done(struct vmb_host_storage *s, struct vmb_host_storage_io *io,
			  enum vmb_host_scsi_error error);

/*
 * A unit was added or removed: the guest is told as soon as it may be told. A request under way
 * keeps pointing at the unit that it found (io->task.unit), so the caller must end such requests
 * before it frees a removed unit.
 */
void vmb_host_storage_attach(struct vmb_host_storage *s, uint32_t lun,
			     struct vmb_host_scsi_lun *unit);
void vmb_host_storage_detach(struct vmb_host_storage *s, uint32_t lun);
/* unit->block_count changed, or the disc of a DVD drive: see vmb_host_scsi_changed. */
void vmb_host_storage_resized(struct vmb_host_storage *s, uint32_t lun);

/*
 * Returns the next unsolicited packet, *len bytes of *packet; false if there is none. It is the
 * same one until _done says that it was sent.
 */
bool vmb_host_storage_event(const struct vmb_host_storage *s, struct vmb_stor_packet *packet,
			    uint32_t *len);
void vmb_host_storage_event_done(struct vmb_host_storage *s);

#endif
