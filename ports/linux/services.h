/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of hvutils.ko share: a service is a row of functions for one class of device.
 *
 *   probe:   kind->start(), then the channel is opened
 *   packet:  negotiations are answered here; requests go to kind->take(): its status is sent, and
 *            kind->answered() is called; or it says SERVICE_LATER, and service_answer() comes from
 *            process context
 *   remove:  the channel is closed, s->work is cancelled, kind->stop()
 *
 * take() and answered() run in softirq, one at a time for a service, with s->lock held. Until a
 * request is answered s->packet is its own, and what the host sends meanwhile is dropped: a host
 * that waits for answers sends nothing.
 *
 * Three services are carried out in user space. Their rows hang on a struct daemon, a character
 * device with the interface of Linux's own driver, which Debian's hyperv-daemons open.
 */
#ifndef PORTS_LINUX_SERVICES_H
#define PORTS_LINUX_SERVICES_H

#include <linux/workqueue.h>
#include "guest/ic_kvp.h"
#include "ports/linux/vmbus.h"

#undef pr_fmt
#define pr_fmt(fmt)   "hvutils: " fmt

#define SERVICE_LATER 1

struct daemon;
struct daemon_kind;
struct service;

struct service_kind {
	enum vmb_ic_type type;
	const bool *enabled; /* the user's module parameter */
	const struct daemon_kind *daemon; /* NULL: the kernel does it all */
	/* Returns 0 or -errno. NULL: nothing to do. */
	int (*start)(struct service *s);
	void (*stop)(struct service *s);
	/*
	 * Returns 0 and *status, VMB_IC_*, for the answer; SERVICE_LATER; else the packet is
	 * dropped.
	 */
	int (*take)(struct service *s, struct vmb_guest_ic_request *request, u32 *status);
	/* The answer was sent. NULL: nothing to do. */
	void (*answered)(struct service *s);
};

struct service {
	const struct service_kind *kind;
	struct vmb_device *device;
	void *data; /* the kind's own */
	struct work_struct work; /* the kind's; cancelled before stop() */
	int wish; /* for work; of backup: file systems may be frozen */
	spinlock_t lock;
	/* under lock, or the request's own until it is answered */
	bool pending; /* a request waits for service_answer() */
	struct vmb_guest_ic_request request;
	u64 transaction_id;
	u32 len;
	struct vmb_guest_ic ic;
	u8 packet[VMB_IC_PACKET_LEN_MAX];
};

extern const struct service_kind service_shutdown, service_time, service_heartbeat, service_kvp,
	service_backup, service_copy;

/* Answers a request that take() kept back. Process context. */
void service_answer(struct service *s, u32 status);

/* ---- services that a daemon carries out ---- */

#define DAEMON_MESSAGE_MAX 7432u

struct daemon_kind {
	const char *name; /* of the device, below /dev */
	u32 answer_len; /* bytes of every message that the daemon writes */
	/*
	 * The first message, len bytes. Writes what the daemon reads then to reply and returns its
	 * length; -EINVAL: it is no registration. len need not be answer_len.
	 */
	int (*greet)(const u8 *message, u32 len, u8 *reply);
	/*
	 * Turns the request of s into a message for the daemon. Returns its length; or 0 and
	 * *status: there is nothing for the daemon to do.
	 */
	u32 (*ask)(struct service *s, u8 *message, u32 *status);
	/* Takes the daemon's answer, changes the request's body. Returns the status, VMB_IC_*. */
	u32 (*take)(struct service *s, u8 *answer);
	/* Returns how long the daemon may take for the request, in seconds. */
	u32 (*patience)(const struct service *s);
	/*
	 * There is no daemon any more that could end what it has begun. Process context. NULL:
	 * nothing to do.
	 */
	void (*left)(struct service *s);
};

/* For the rows of such services. */
int daemon_start(struct service *s);
void daemon_stop(struct service *s);
int daemon_take_request(struct service *s, struct vmb_guest_ic_request *request, u32 *status);
/*
 * The channel is closed, and nobody waits for an answer: what the daemon says to the last request
 * is refused. Process context.
 */
void daemon_forget_request(struct service *s);

extern const struct daemon_kind daemon_kvp, daemon_backup, daemon_copy;

#endif
