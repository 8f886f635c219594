/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's side of the storage protocol: packet payloads in and out. It does not know the
 * channel: the port moves payloads through a ring and supplies page frame numbers.
 *
 * Life story:
 *
 *   vmb_guest_storage_init(s, slots, slot_count, &config);
 *   vmb_guest_storage_start(s);           the handshake, one packet outstanding at a time
 *   while ((out = vmb_guest_storage_output(s)))
 *           write it to the ring (in-band, completion requested), then
 *           vmb_guest_storage_output_done(s);
 *   for each packet read from the ring:
 *     vmb_guest_storage_input(s, type, transaction_id, payload, len, &event)
 *       IS_READY    version and max_transfer_len are settled: scan for disks
 *       HAS_FAILED  the host refused the handshake
 *       COMPLETED   a request ended: event.cookie, status, sense
 *       RESCAN      disks were added, removed or changed
 *       RESET_DONE
 *   I/O: vmb_guest_storage_submit() fills a packet; write it to the ring; if the ring refuses it,
 *        vmb_guest_storage_cancel() takes the slot back.
 *   A request that timed out: vmb_guest_storage_abandon(). The port answers its OS; the slot stays
 *        taken until the host completes it or the channel is closed
 *        (vmb_guest_storage_fail_next), because the host may still move data.
 *
 * Sub-channels: with config.sub_channel_max the handshake ends with CREATE_SUB_CHANNELS. When
 * IS_READY, the host offers s->sub_channel_count further channels of the device (less, if it is
 * short of something). The port opens each and calls vmb_guest_storage_join() for it: the result
 * submits and takes packets as the primary's does, on its own ring, without a handshake. All share
 * the slots, so a request may go out on any channel, and its slot alone says whether it has ended.
 *
 * Context: submit, cancel and abandon for different slots may run at the same time; input runs on
 * one caller at a time for each channel, side by side for several. The calls for one slot must not
 * race with each other, except abandon with input: the slot's state word decides, and exactly one
 * of them wins. Handshake functions: one caller; until READY or FAILED it must also be the caller
 * of input.
 *
 * A channel of the IDE class (VMB_GUID_IDE) uses the same protocol. Its one unit is addressed as
 * vmb_guest_storage_ide_address() says, and it has no sub-channels: leave sub_channel_max 0.
 *
 * Source: docs/protocol/storage.md.
 */
#ifndef GUEST_STORAGE_H
#define GUEST_STORAGE_H

#include "wire/ring.h"
#include "wire/storage.h"

enum vmb_guest_storage_state {
	VMB_GUEST_STORAGE_IDLE,
	VMB_GUEST_STORAGE_BEGIN,
	VMB_GUEST_STORAGE_VERSION,
	VMB_GUEST_STORAGE_PROPERTIES,
	VMB_GUEST_STORAGE_END,
	VMB_GUEST_STORAGE_CREATE,
	VMB_GUEST_STORAGE_READY,
	VMB_GUEST_STORAGE_FAILED,
};

/* One request that the host may hold. Index = the caller's tag. */
struct vmb_guest_storage_slot {
	/*
	 * Bits 1:0: free, busy, in flight or abandoned. The other bits are a generation that makes
	 * the ids of one slot differ, so that a duplicate is refused. One word, changed by
	 * compare-and-swap.
	 */
	uint32_t state;
	void *cookie;
	uint32_t data_len;
	uint8_t sense_len;
};

struct vmb_guest_storage_config {
	uint16_t version_max; /* VMB_STOR_VERSION_*, 0 = newest */
	uint16_t version_min; /* 0 = oldest */
	uint32_t max_transfer_len; /* own limit, bytes, at least 4096; 0 = 8 MiB */
	uint16_t sub_channel_max; /* sub-channels to ask for at most */
};

struct vmb_guest_storage_counters {
	uint64_t completed;
	uint64_t forged; /* completions whose id belongs to no request in flight: refused */
	uint64_t malformed; /* too short, wrong type or operation */
	uint64_t events; /* unsolicited packets of the host */
};

struct vmb_guest_storage_output {
	uint64_t transaction_id;
	uint32_t payload_len; /* bytes of packet to send */
	struct vmb_stor_packet packet;
};

struct vmb_guest_storage {
	struct vmb_guest_storage_config config;
	enum vmb_guest_storage_state state;
	uint16_t version;
	uint32_t version_step;
	uint32_t packet_len; /* 48 or 64 */
	uint16_t srb_len;
	uint8_t sense_len;
	uint32_t max_transfer_len; /* bytes, a multiple of 4096 */
	uint16_t max_sub_channel_count; /* the host's; 0 unless multi-channel is allowed */
	uint16_t sub_channel_count; /* that the host was asked for and granted */
	uint8_t path_id,
		target_id; /* before 5.1: the controller's address, from the host; else 0 */
	bool output_waiting; /* out waits to be sent */
	struct vmb_guest_storage_output out;
	uint64_t shown_id; /* of what output returned last */
	uint32_t reset_repeats; /* RESET_BUS repeated under the id of out, and not answered */
	struct vmb_guest_storage_slot
		control; /* of the one control packet that may be with the host */
	struct vmb_guest_storage_slot *slots;
	uint32_t slot_count;
	struct vmb_guest_storage_counters counters;
};

struct vmb_guest_storage_request {
	void *cookie; /* returned with the completion */
	uint8_t path_id, target_id, lun;
	uint8_t cdb_len; /* 1..16 */
	uint8_t cdb[VMB_STOR_CDB_LEN_MAX]; /* zero behind cdb_len */
	uint8_t direction; /* enum vmb_stor_direction */
	uint32_t data_len; /* bytes; <= max_transfer_len */
	uint32_t data_offset; /* 0..4095, into the first page */
	uint32_t timeout_s;
};

/*
 * What to write into the ring: type, VMB_PKT_FLAG_COMPLETION_REQUESTED (else it is never answered),
 * transaction id, header (gpa, then the page frame numbers) and payload.
 */
struct vmb_guest_storage_packet {
	uint16_t type; /* VMB_PKT_GPA_DIRECT with data, else VMB_PKT_INBAND */
	uint64_t transaction_id;
	struct {
		struct vmb_pkt_gpa_direct direct;
		struct vmb_gpa_range range;
	} VMB_PACKED gpa; /* 16 bytes, followed by pfn_count page frame numbers */
	uint32_t pfn_count; /* ceil((data_offset + data_len) / 4096) */
	uint32_t payload_len;
	struct vmb_stor_packet payload;
};

enum vmb_guest_storage_event_type {
	VMB_GUEST_STORAGE_NOTHING,
	VMB_GUEST_STORAGE_IS_READY,
	VMB_GUEST_STORAGE_HAS_FAILED,
	VMB_GUEST_STORAGE_COMPLETED,
	VMB_GUEST_STORAGE_RESCAN,
	VMB_GUEST_STORAGE_RESET_DONE,
};

struct vmb_guest_storage_event {
	enum vmb_guest_storage_event_type type;
	void *cookie; /* COMPLETED; NULL if the request was abandoned: only the slot became free */
	uint32_t slot;
	uint8_t srb_status; /* enum vmb_srb_status: the low six bits, without the flags */
	uint8_t scsi_status;
	bool capacity_changed; /* valid sense says 2A/09 or 3F/xx but 03, 0E: ask again, rescan */
	uint32_t data_len; /* bytes moved, <= those asked for; 0 unless SUCCESS or DATA_OVERRUN */
	uint8_t sense_len; /* 0 unless the sense data is valid */
	uint8_t sense[VMB_STOR_SENSE_LEN];
};

struct vmb_guest_storage_address {
	uint8_t path_id, target_id, lun;
};

/*
 * Fills in the address of the unit of an IDE channel, which requests must carry, from the instance
 * id of its offer. VMB_EPROTO: the id gives no address that a request could carry. Any context.
 * docs/protocol/storage.md, "1 Classes and offers", "11 The IDE driver of 2009".
 */
int vmb_guest_storage_ide_address(const struct vmb_guid *instance_id,
				  struct vmb_guest_storage_address *address);

/*
 * Initialises s. slots: the caller's array of slot_count entries, zeroed. VMB_EINVAL: no slots, an
 * unknown version bound, or an invalid limit.
 */
int vmb_guest_storage_init(struct vmb_guest_storage *s, struct vmb_guest_storage_slot *slots,
			   uint32_t slot_count, const struct vmb_guest_storage_config *config);

/* Starts the handshake. VMB_EBUSY unless idle. */
int vmb_guest_storage_start(struct vmb_guest_storage *s);

/*
 * Initialises s for a sub-channel of primary, which must be READY: it has the primary's slots and
 * what was negotiated, and is READY. Must be called anew after each handshake of the primary. On
 * such a channel only submit, cancel, abandon, input and ends_request may be called; a control
 * packet's completion is refused. Handshake functions: VMB_EBUSY.
 */
void vmb_guest_storage_join(struct vmb_guest_storage *s, const struct vmb_guest_storage *primary);

/*
 * Returns the control packet to send next, in-band with completion requested, or NULL. Valid until
 * _output_done.
 */
const struct vmb_guest_storage_output *vmb_guest_storage_output(struct vmb_guest_storage *s);
void vmb_guest_storage_output_done(struct vmb_guest_storage *s);

/* Queues RESET_BUS; the event RESET_DONE follows. VMB_EBUSY: one is under way, or not ready. */
int vmb_guest_storage_reset(struct vmb_guest_storage *s);

/*
 * Queues the RESET_BUS that the host has not answered once more. One RESET_DONE follows, however
 * often it was asked and is answered. VMB_EBUSY: none is with the host, or it still waits to be
 * sent.
 */
int vmb_guest_storage_reset_again(struct vmb_guest_storage *s);

/*
 * Takes slot and fills packet. VMB_EBUSY: the slot is taken (in flight or abandoned), or not READY;
 * VMB_EINVAL: slot, cdb_len, direction without data, data without direction, or offset;
 * VMB_EOVERFLOW: data_len > max_transfer_len. All fields of the packet are written; those that the
 * negotiated version does not have are beyond payload_len.
 */
int vmb_guest_storage_submit(struct vmb_guest_storage *s, uint32_t slot,
			     const struct vmb_guest_storage_request *request,
			     struct vmb_guest_storage_packet *packet);

/*
 * The ring refused the packet. Returns true if the slot is free again; the request is the caller's.
 * Returns false if a host that guessed the id has already ended the request; its COMPLETED event is
 * valid.
 */
bool vmb_guest_storage_cancel(struct vmb_guest_storage *s, uint32_t slot);

/*
 * Gives a request up. Returns true if its completion will come later with a NULL cookie, false if
 * it completed just now.
 */
bool vmb_guest_storage_abandon(struct vmb_guest_storage *s, uint32_t slot);

/*
 * The same by the slot alone. Any context, also while the session that sent the request is over and
 * the next one begins with vmb_guest_storage_init().
 */
bool vmb_guest_storage_abandon_slot(struct vmb_guest_storage_slot *slot);

/*
 * Takes one packet from the ring: type and transaction_id from its validated descriptor, payload a
 * private copy of len bytes. Returns 0: see event; VMB_EPROTO: the packet was refused and counted
 * (forged, duplicate, malformed) and nothing changed. The channel may go on.
 */
int vmb_guest_storage_input(struct vmb_guest_storage *s, uint16_t type, uint64_t transaction_id,
			    const void *payload, uint32_t len,
			    struct vmb_guest_storage_event *event);

/*
 * Returns whether a packet with this descriptor ends a request. For such a packet input touches the
 * request's slot and nothing that the handshake functions and reset use, so it may run beside them.
 * Any context.
 */
bool vmb_guest_storage_ends_request(const struct vmb_guest_storage *s, uint16_t type,
				    uint64_t transaction_id);

/*
 * To be called after the channel is closed and torn down: frees the next slot that was still taken
 * and reports it as a COMPLETED event with srb_status NO_DEVICE. VMB_EAGAIN: none is left.
 */
int vmb_guest_storage_fail_next(struct vmb_guest_storage *s, struct vmb_guest_storage_event *event);

#endif
