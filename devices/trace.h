/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Records what passes between a guest and the host into a pcapng file: messages, ring packets,
 * signals, and the guest's memory that packets name. docs/tracing.md has the form of a record.
 *
 *   vmb_dev_trace_init(&trace)
 *   vmb_dev_trace_check(&config)             can it be written? changes nothing
 *   vmb_dev_trace_start(&trace, &config)     creates the file
 *   vmb_dev_trace_attach(&trace, bus)        from now on the bus and its channels record
 *   vmb_dev_trace_detach(bus); vmb_dev_trace_stop(&trace)
 *   vmb_dev_trace_destroy(&trace)            when no bus runs that it was attached to
 *
 * Start, attach, detach and stop may come again, while the guest runs.
 *
 * Whoever records never waits for the file: records go through a buffer to a thread that writes
 * them. When it is full records are lost,
 * and a record says how many. The file has a maximal length; it ends with the last whole record
 * that fits, which is reported once.
 *
 * What is recorded is a copy of its own: nothing is judged by it, and a guest that changes its
 * memory at that moment can make it differ from what the host saw.
 *
 * Context: any thread. Without a trace each place that records costs a load and a test.
 */
#ifndef DEVICES_TRACE_H
#define DEVICES_TRACE_H

#include <pthread.h>

#include "devices/bus.h"

#define VMB_DEV_TRACE_BUFFER_LEN     (8u << 20)
#define VMB_DEV_TRACE_LEN_DEFAULT    (1ull << 30) /* bytes of a file, unless said */
#define VMB_DEV_TRACE_SNAP_DEFAULT   256u /* bytes of memory that a packet names */
#define VMB_DEV_TRACE_SNAP_FULL	     UINT32_MAX
#define VMB_DEV_TRACE_RECORD_LEN_MAX (128u << 10) /* bytes; longer memory is cut into pieces */
#define VMB_DEV_TRACE_VERSION	     1u
#define VMB_DEV_TRACE_VP_UNKNOWN     0xFFFFu
#define VMB_DEV_TRACE_PATH_MAX	     4096u

enum vmb_dev_trace_kind {
	VMB_DEV_TRACE_CONTROL = 0, /* of the recording itself: detail is what happened */
	VMB_DEV_TRACE_MESSAGE = 1, /* detail: to the host, the hypercall's status */
	VMB_DEV_TRACE_PACKET = 2, /* detail: where it begins in the ring's data */
	VMB_DEV_TRACE_SIGNAL = 3, /* no bytes; detail: to the host, the connection id */
	VMB_DEV_TRACE_DATA = 4, /* memory that a packet names, behind struct vmb_dev_trace_data */
};

enum vmb_dev_trace_direction {
	VMB_DEV_TRACE_TO_HOST = 0,
	VMB_DEV_TRACE_TO_GUEST = 1,
};

/* What a control record is about. */
enum vmb_dev_trace_control {
	VMB_DEV_TRACE_ATTACHED = 1, /* struct vmb_dev_trace_bus: recording of a bus begins */
	VMB_DEV_TRACE_OPENED = 2, /* struct vmb_dev_trace_channel: a channel is open */
	VMB_DEV_TRACE_CLOSED = 3,
	VMB_DEV_TRACE_LOST = 4, /* 64 bits: records that the buffer had no room for */
	VMB_DEV_TRACE_DETACHED = 5,
	VMB_DEV_TRACE_OPTIONS = 6, /* of openvmbus, for an equal machine; each ends with a 0 */
};

/* Each record begins with this. All numbers are little-endian. */
struct vmb_dev_trace_header {
	uint8_t version; /* VMB_DEV_TRACE_VERSION */
	uint8_t kind; /* enum vmb_dev_trace_kind */
	uint8_t direction; /* enum vmb_dev_trace_direction */
	uint8_t flags; /* none yet: 0 */
	uint32_t id; /* the channel's relid; of a message to the host its connection id */
	uint16_t sub_channel;
	uint16_t vp; /* of the guest: to whom a message or signal goes, else _VP_UNKNOWN */
	uint32_t detail; /* by kind */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_dev_trace_header, 16);

struct vmb_dev_trace_bus {
	uint32_t version; /* VMB_VERSION_*, 0: no connection */
	uint32_t features;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_dev_trace_bus, 8);

struct vmb_dev_trace_channel {
	struct vmb_guid type_id, instance_id;
	uint32_t connection_id;
	uint32_t gpadl_id;
	uint32_t downstream_page; /* of the GPADL: where the ring to the guest begins */
	uint32_t page_count; /* of both rings */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_dev_trace_channel, 48);

enum vmb_dev_trace_place {
	VMB_DEV_TRACE_PAGES = 0, /* the ranges of a GPA-direct packet, one behind the other */
	VMB_DEV_TRACE_RECEIVE_BUFFER = 1,
	VMB_DEV_TRACE_SEND_BUFFER = 2,
};

struct vmb_dev_trace_data {
	uint64_t transaction_id; /* of the packet */
	uint32_t place; /* enum vmb_dev_trace_place */
	uint32_t offset; /* there, in bytes */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_dev_trace_data, 16);

/* A file and its bounds. */
struct vmb_dev_trace_config {
	const char *path; /* shorter than VMB_DEV_TRACE_PATH_MAX */
	uint64_t len_max; /* bytes of the file; 0 = VMB_DEV_TRACE_LEN_DEFAULT */
	uint32_t snap; /* bytes of memory of each packet; 0: none */
	uint32_t buffer_len; /* bytes; 0 = VMB_DEV_TRACE_BUFFER_LEN */
};

struct vmb_dev_trace {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* under the lock */
	struct vmb_dev_trace_config config;
	uint8_t *buffer; /* NULL: not started */
	uint64_t put, taken; /* bytes that went into the buffer, and that were written */
	uint64_t lost; /* records since the last one that said so */
	int64_t epoch_ns; /* what makes the monotonic clock the time since 1970 */
	bool stopping, full, failed;
	int fd;
	pthread_t thread;
	char path[VMB_DEV_TRACE_PATH_MAX]; /* config.path */
	uint8_t scratch[VMB_DEV_TRACE_RECORD_LEN_MAX];
};

void vmb_dev_trace_init(struct vmb_dev_trace *trace);
void vmb_dev_trace_destroy(struct vmb_dev_trace *trace);

/* Returns 0, or -EINVAL: reported in one line. Creates nothing. */
int vmb_dev_trace_check(const struct vmb_dev_trace_config *config);
/* Returns 0, or -errno: reported, and nothing is recorded. It must not be started already. */
int vmb_dev_trace_start(struct vmb_dev_trace *trace, const struct vmb_dev_trace_config *config);
/* Whether it was started and not stopped; also when its file is full. */
bool vmb_dev_trace_is_on(struct vmb_dev_trace *trace);
/* Records the options of a machine like the recorded one, len bytes, before it is attached. */
void vmb_dev_trace_options(struct vmb_dev_trace *trace, const char *options, uint32_t len);
/* Writes what is in the buffer and closes the file. Waits for the file system. May be repeated. */
void vmb_dev_trace_stop(struct vmb_dev_trace *trace);

/*
 * From now on the bus records, first which of its channels are open. Takes the bus's lock. A bus
 * has at most one trace. The trace must be initialised until the bus is stopped.
 */
void vmb_dev_trace_attach(struct vmb_dev_trace *trace, struct vmb_dev_bus *bus);
void vmb_dev_trace_detach(struct vmb_dev_bus *bus);

/* For the bus and the devices: the trace of a bus, or NULL. */
static inline struct vmb_dev_trace *vmb_dev_trace_of(const struct vmb_dev_bus *bus)
{
	return __atomic_load_n(&bus->trace, __ATOMIC_ACQUIRE);
}

/* id: connection id to the host, SINT to the guest. */
void vmb_dev_trace_message(struct vmb_dev_trace *trace, enum vmb_dev_trace_direction direction,
			   uint32_t id, uint32_t vp, uint32_t status, const void *payload,
			   uint32_t len);
/*
 * Posts a message to the guest, and records it if the bus has a trace. The bus's lock must be held.
 * Returns what the machine's post() returns.
 */
int vmb_dev_trace_post(struct vmb_dev_bus *bus, uint32_t vp, uint32_t sint, const void *payload,
		       uint32_t len);
void vmb_dev_trace_signal(struct vmb_dev_trace *trace, enum vmb_dev_trace_direction direction,
			  const struct vmb_dev_channel *channel, uint32_t vp);
void vmb_dev_trace_received(struct vmb_dev_trace *trace, const struct vmb_dev_channel *channel,
			    const struct vmb_ring_received *received);
/* start: where the packet begins in the ring. */
void vmb_dev_trace_sent(struct vmb_dev_trace *trace, const struct vmb_dev_channel *channel,
			const struct vmb_ring_packet *packet, uint32_t start);
void vmb_dev_trace_opened(struct vmb_dev_trace *trace, const struct vmb_dev_channel *channel);
void vmb_dev_trace_closed(struct vmb_dev_trace *trace, const struct vmb_dev_channel *channel);

/*
 * The memory that a packet names; parts are the guest's memory in this process, together at most
 * len bytes are taken.
 */
void vmb_dev_trace_data(struct vmb_dev_trace *trace, const struct vmb_dev_channel *channel,
			enum vmb_dev_trace_direction direction,
			const struct vmb_dev_trace_data *data, const struct vmb_ring_part *parts,
			uint32_t count, uint32_t len);

#endif
