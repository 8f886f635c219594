/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One service of a machine, between its channel and what it does: a row of functions and its state.
 * devices/services/services.c has the list and the worker; a new service is a row there and a file
 * here.
 *
 * Context: the functions of a row run on the worker, without a lock. Times are nanoseconds of a
 * clock that only grows.
 */
#ifndef DEVICES_SERVICES_SERVICE_H
#define DEVICES_SERVICES_SERVICE_H

#include "devices/bus.h"
#include "host/ic.h"

#define VMB_DEV_SERVICE_COUNT 6u
#define VMB_DEV_SERVICE_NEVER INT64_MAX

struct vmb_dev_service;
struct vmb_dev_services;

struct vmb_dev_services_now {
	int64_t ns; /* since some moment; does not count while this machine sleeps */
	int64_t awake_ns; /* the same, and counts then */
	uint64_t utc; /* 100 ns since 1601 */
};

struct vmb_dev_service_ops {
	const char *name; /* of --services */
	enum vmb_ic_type type;
	struct vmb_guid type_id, instance_id;
	/* Versions are agreed. NULL: nothing to do. */
	void (*ready)(struct vmb_dev_service *s, const struct vmb_dev_services_now *now);
	/* The guest answered a request that no call had made. NULL: there are none. */
	void (*answered)(struct vmb_dev_service *s, const struct vmb_dev_services_now *now,
			 const struct vmb_host_ic_answer *answer);
	/*
	 * Does what is due, while the channel is open and negotiated. Returns when it wants to be
	 * called again at the latest. NULL: never.
	 */
	int64_t (*tick)(struct vmb_dev_service *s, const struct vmb_dev_services_now *now);
};

/* What a guest's file systems are, and what somebody wants of them. */
enum vmb_dev_services_backup_state {
	VMB_DEV_SERVICES_THAWED,
	VMB_DEV_SERVICES_CHECKING,
	VMB_DEV_SERVICES_FREEZING,
	VMB_DEV_SERVICES_FROZEN,
	VMB_DEV_SERVICES_THAWING,
};

enum vmb_dev_services_backup_wish {
	VMB_DEV_SERVICES_NOTHING,
	VMB_DEV_SERVICES_FREEZE,
	VMB_DEV_SERVICES_THAW,
};

/* A request that another thread makes. */
enum vmb_dev_service_call_state {
	VMB_DEV_SERVICE_CALL_NONE,
	VMB_DEV_SERVICE_CALL_QUEUED,
	VMB_DEV_SERVICE_CALL_SENT,
	VMB_DEV_SERVICE_CALL_DONE,
};

struct vmb_dev_service_call {
	/* the caller's */
	const void *body;
	uint32_t body_len; /* bytes */
	void *answer; /* where the answer's body goes; NULL: nowhere */
	uint32_t answer_len; /* bytes that it may have, then that it has */
	/* the result */
	enum vmb_dev_service_call_state state;
	int error; /* 0, or -ENOTCONN: the guest closed the channel or broke the protocol */
	uint32_t status; /* VMB_IC_*, what the guest said */
};

struct vmb_dev_service {
	const struct vmb_dev_service_ops *ops;
	struct vmb_dev_services *services;
	struct vmb_dev_channel channel;
	struct vmb_host_ic ic;
	bool open;
	bool broken; /* the guest broke the protocol: its packets are left alone */
	int64_t report_due; /* when a fault of the guest may be reported again */
	bool more; /* the ring may have packets that nobody announces */
	bool full; /* the output waits for room */
	bool looked_at; /* what the worker knows of `served` */
	bool attached; /* offered, or taken away and not released; belongs to who attaches */
	bool released; /* the guest has let go of it since it was taken away; atomic */
	/* under services->lock */
	bool served; /* the worker looks at it; ends when it has seen `leaving` */
	bool leaving; /* it shall not be looked at any more */
	bool ready; /* requests can be made */
	bool nudged; /* it has a tick now */
	uint32_t version; /* agreed: VMB_IC_VERSION() of the message */
	struct vmb_dev_service_call *call; /* NULL: none */
	/* the row's own */
	int64_t due; /* next tick */
	union {
		struct {
			int64_t answered_at; /* 0: none since the channel was opened */
			uint64_t answered; /* since the machine's start */
			bool lost; /* a line has said so */
			bool told; /* the machine has been told */
			bool forgiven; /* under services->lock */
		} heartbeat;
		struct {
			bool synced; /* the clock need not be set */
			int64_t ahead_ns; /* then: awake time less the reference counter's */
			bool wanted; /* under services->lock: tell the time at once */
			uint64_t syncs, samples;
		} time;
		struct { /* state, wish and status are changed under services->lock */
			enum vmb_dev_services_backup_state state;
			enum vmb_dev_services_backup_wish wish;
			uint32_t limit_s; /* of a freeze */
			/* VMB_IC_*, of the last check or freeze, or of a thaw that failed */
			uint32_t status;
			int64_t thaw_at; /* or when to try again */
			bool told; /* a line has said why it is thawed */
			bool thaw_failed; /* a line has said so */
		} backup;
	} u;
};

extern const struct vmb_dev_service_ops vmb_dev_service_shutdown_ops;
extern const struct vmb_dev_service_ops vmb_dev_service_heartbeat_ops;
extern const struct vmb_dev_service_ops vmb_dev_service_time_ops;
extern const struct vmb_dev_service_ops vmb_dev_service_kvp_ops;
extern const struct vmb_dev_service_ops vmb_dev_service_backup_ops;
extern const struct vmb_dev_service_ops vmb_dev_service_copy_ops;

/* Has its tick called now. services->lock is held. */
void vmb_dev_service_nudge(struct vmb_dev_service *s);

/*
 * Makes a request for another thread and does not wait: call must stay until its state is DONE or
 * vmb_dev_service_withdraw(). services->lock is held. Returns 0; -ENOTCONN: the guest does not use
 * the service; -EBUSY: another call is under way.
 */
int vmb_dev_service_call(struct vmb_dev_service *s, struct vmb_dev_service_call *call);
/* Forgets the call; an answer that comes later is dropped. services->lock is held. */
void vmb_dev_service_withdraw(struct vmb_dev_service *s, struct vmb_dev_service_call *call);

/* What the clocks say: the machine's, or a test's. Any thread. */
struct vmb_dev_services_now vmb_dev_services_now(const struct vmb_dev_services *services);

/* Returns the service of that type, or NULL: it is not offered. */
struct vmb_dev_service *vmb_dev_service_find(struct vmb_dev_services *services,
					     enum vmb_ic_type type);

#endif
