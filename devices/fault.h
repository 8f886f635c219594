/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Faults for tests: the one place where a working device is made to misbehave. When a fault is set,
 * all that the host sends passes through here: messages, packets for the guest's rings, interrupts.
 *
 *   bus->fault = &fault    before a guest connects; NULL again when it is gone
 *   fault.packet() says what becomes of a packet, and may change it
 *   vmb_dev_fault_release(channel)  sends what was held back, oldest first
 *   vmb_dev_fault_inject(channel, &packet)  sends what no device sent
 *   vmb_dev_fault_say(fault, ...)   sends a message that the engine did not send
 *   vmb_dev_fault_tick(bus)         time passes: what was delayed leaves when it is due
 *
 * devices/fault_plan.h fills in these functions from rules and a seed.
 *
 * Context: packet() and signal() are called by the device that sends, message() with the bus's lock
 * held. _release and _inject write into the ring, so they belong to whoever steps the device.
 */
#ifndef DEVICES_FAULT_H
#define DEVICES_FAULT_H

#include "devices/bus.h"
#include "host/scsi.h"
#include "wire/network.h"

#define VMB_DEV_PACKET_HEADER_LEN_MAX                       \
	((uint32_t)(sizeof(struct vmb_pkt_transfer_pages) + \
		    VMB_NET_RANGE_COUNT_MAX_RSC * sizeof(struct vmb_gpa_range)))
#define VMB_DEV_PACKET_PAYLOAD_LEN_MAX 256u
#define VMB_DEV_HELD_MAX	       256u /* packets of one channel; more are dropped */

/* A packet in one piece. */
struct vmb_dev_packet {
	uint16_t type, flags; /* VMB_PKT_* */
	uint64_t transaction_id;
	uint32_t header_len, payload_len; /* bytes */
	uint8_t header[VMB_DEV_PACKET_HEADER_LEN_MAX]; /* behind the descriptor */
	uint8_t payload[VMB_DEV_PACKET_PAYLOAD_LEN_MAX];
	uint32_t ticks; /* HOLD: until so many ticks have passed; 0: until _release */
	bool behind; /* HOLD: only until the next packet has left, or the ticks have passed */
};

enum vmb_dev_fault_operation {
	VMB_DEV_FAULT_DO,
	VMB_DEV_FAULT_FAIL, /* as a medium error */
	VMB_DEV_FAULT_TEAR, /* the first half is done, and the operation fails */
};

enum vmb_dev_fault_verdict {
	VMB_DEV_FAULT_PASS,
	VMB_DEV_FAULT_DROP,
	VMB_DEV_FAULT_HOLD, /* packet->ticks and ->behind say how long */
	VMB_DEV_FAULT_TWICE,
};

#define VMB_DEV_FAULT_SAID_MAX 32u /* messages that wait; more are dropped */

/* A message that leaves later than it would, or that the engine never sent. */
struct vmb_dev_fault_said {
	uint64_t due; /* tick */
	bool behind; /* the next message, if that comes sooner */
	uint32_t vp, sint, len;
	uint8_t payload[VMB_MSG_LEN_MAX];
};

/* Functions that are NULL change nothing. */
struct vmb_dev_fault {
	void *arg;
	/* A message to the guest, which may be changed; false: it gets lost. */
	bool (*message)(void *arg, uint8_t payload[VMB_MSG_LEN_MAX], uint32_t *len);
	/* A packet for the guest's ring, which may be changed. */
	enum vmb_dev_fault_verdict (*packet)(void *arg, struct vmb_dev_channel *channel,
					     struct vmb_dev_packet *packet);
	/* False: this interrupt gets lost. */
	bool (*signal)(void *arg, struct vmb_dev_channel *channel);
	/* False: the guest's signal is heard one tick later. */
	bool (*hears)(void *arg, struct vmb_dev_channel *channel);
	/* What becomes of a disk operation that a guest asks for. */
	enum vmb_dev_fault_operation (*operation)(void *arg, struct vmb_dev_channel *channel,
						  const struct vmb_host_scsi_task *task);

	bool idle; /* none of the functions would do anything now; atomic */
	/* False: this command of a guest is one that the unit does not know. */
	bool (*command)(void *arg, struct vmb_dev_channel *channel, uint8_t opcode);

	uint64_t now; /* ticks; atomic */
	/*
	 * for _post: the message that waits for its slot has passed message(), and is payload now.
	 * A guest that connects anew takes it from the queue, so what it was is kept too.
	 */
	bool judged;
	struct vmb_host_server_output asked;
	uint8_t asked_payload[VMB_MSG_LEN_MAX];
	uint32_t len;
	uint8_t payload[VMB_MSG_LEN_MAX];
	uint32_t vp, sint; /* where it goes */
	uint32_t said_count;
	struct vmb_dev_fault_said said[VMB_DEV_FAULT_SAID_MAX]; /* in the order of _say */
};

/* The faults of a bus, or NULL: they may be taken from it while its devices work. Any thread. */
static inline struct vmb_dev_fault *vmb_dev_fault_of(const struct vmb_dev_bus *bus)
{
	return __atomic_load_n(&bus->fault, __ATOMIC_ACQUIRE);
}

/*
 * From within message(): sends another message, to where the judged one goes, behind that one and
 * not before so many ticks have passed. behind: not before the next message has left, or the ticks
 * have passed.
 */
void vmb_dev_fault_say(struct vmb_dev_fault *fault, const void *payload, uint32_t len,
		       uint32_t ticks, bool behind);
/*
 * A tick has passed. Any thread, without the bus's lock; on a stepped bus whoever steps it. Does
 * nothing without a fault.
 */
void vmb_dev_fault_tick(struct vmb_dev_bus *bus);

/* For the bus, with its lock held; returns what the machine's post() returns. */
int vmb_dev_fault_post(struct vmb_dev_fault *fault, struct vmb_dev_bus *bus,
		       const struct vmb_host_server_output *out);
/* For the bus, with its lock: messages that are due leave; and what waits is forgotten. */
void vmb_dev_fault_flush(struct vmb_dev_fault *fault, struct vmb_dev_bus *bus);
void vmb_dev_fault_forget_messages(struct vmb_dev_fault *fault);
/* For devices: packets that are due leave. The device's thread. */
void vmb_dev_fault_look(struct vmb_dev_fault *fault, struct vmb_dev_channel *channel);
/* Whether a signal of the guest is heard now; else the bell rings again at the next tick. */
bool vmb_dev_fault_hears(struct vmb_dev_fault *fault, struct vmb_dev_channel *channel);
/* For storage: what becomes of an operation. The device's thread, with its lock. */
enum vmb_dev_fault_operation vmb_dev_fault_operate(struct vmb_dev_fault *fault,
						   struct vmb_dev_channel *channel,
						   const struct vmb_host_scsi_task *task);
/* For storage: whether a unit knows a command. The device's thread. */
bool vmb_dev_fault_knows(struct vmb_dev_fault *fault, struct vmb_dev_channel *channel,
			 uint8_t opcode);
/* Returns whether an interrupt may be sent for channel. */
bool vmb_dev_fault_signals(struct vmb_dev_fault *fault, struct vmb_dev_channel *channel);
/* Returns what vmb_ring_write() returns; a packet that was dropped or held counts as written. */
int vmb_dev_fault_write(struct vmb_dev_fault *fault, struct vmb_dev_channel *channel,
			const struct vmb_ring_packet *packet);
/* The channel closes: what was held is gone. */
void vmb_dev_fault_forget(struct vmb_dev_channel *channel);

/*
 * Copies a packet in parts into one piece, without the bytes that exceed its room; and writes such
 * a packet into a ring, as vmb_ring_write().
 */
void vmb_dev_packet_flatten(struct vmb_dev_packet *flat, const struct vmb_ring_packet *packet);
int vmb_dev_packet_write(struct vmb_ring_writer *tx, const struct vmb_dev_packet *flat);

/*
 * Write, publish and signal at once. Return what vmb_ring_write() returns; VMB_EAGAIN: no room, and
 * the remaining held packets stay held.
 */
int vmb_dev_fault_inject(struct vmb_dev_channel *channel, const struct vmb_dev_packet *packet);
int vmb_dev_fault_release(struct vmb_dev_channel *channel);

#endif
