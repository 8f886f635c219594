/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A storage channel as storvsc and blkvsc both use it: the handshake, requests into the ring,
 * what comes out of it, and a host that does not answer. The file is linked into both modules.
 *
 * Life story:
 *
 *   storage_link_init(link, device, ops, &config)
 *   storage_link_start()           opens the channel, negotiates; afterwards the link is UP
 *   storage_link_command()         one short command, waited for: to look at units
 *   storage_link_submit()          a request, with the page frame numbers of its data in
 *                                  storage_link_pfns(); the host sees it with the next commit
 *   storage_link_take()            a packet from the host, as an event
 *   storage_link_drained()         all that take() answered has been dealt with
 *   storage_link_overdue()         a request's time is up: the link sees to it that it ends
 *   storage_link_rescinded()       the host took the channel away: what it holds is ended soon
 *   storage_link_stop(), storage_link_free()
 *
 * Who runs where: submit on any CPU, under rcu_read_lock (blk-mq's is enough); take and drained
 * when the channel has packets; overdue anywhere; the rest in process context.
 */
#ifndef PORTS_LINUX_STORAGE_LINK_H
#define PORTS_LINUX_STORAGE_LINK_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "guest/storage.h"
#include "ports/linux/vmbus.h"

enum storage_link_state {
	STORAGE_LINK_DOWN, /* no channel, or no handshake yet: requests wait, for as long as it takes */
	STORAGE_LINK_UP,
	STORAGE_LINK_GONE, /* for good, by a rescind, give_up or stop: requests fail */
};

/* Why a request ends that the host did not answer. */
enum storage_link_loss {
	STORAGE_LINK_REPLACED, /* the channel was: the host has forgotten it, it may be sent again */
	STORAGE_LINK_ENDED, /* no channel any more, and the host has let go of the data */
	STORAGE_LINK_HELD, /* no channel, and the host may still move the data: leak its pages */
};

/*
 * What a request or an answer needs for a moment has its place in here, not on the stack: many
 * kernels fill a function's arrays and structures with zeroes each time that it is called
 * (CONFIG_INIT_STACK_ALL_ZERO).
 */

/* Before the page frame numbers, so that the two lie as the ring wants them: in one piece. */
#define STORAGE_LINK_HEADER_WORDS \
	(sizeof(((struct vmb_guest_storage_packet *)0)->gpa) / sizeof(u64))

struct storage_link;

struct storage_link_ops {
	struct vmb_channel_ops channel; /* with the link as context */
	void (*lost)(struct storage_link *link, void *cookie, enum storage_link_loss loss);
};

struct storage_link_config {
	u32 ring_size; /* bytes of each ring, as the user said */
	u32 queue_depth; /* requests, 0: what the ring fits */
	u16 max_version; /* VMB_STOR_VERSION_*, 0: newest */
	const unsigned int *give_up; /* seconds that the user may change at any time; 0: never */
};

struct storage_link {
	struct vmb_device *device;
	const struct storage_link_ops *ops;
	enum storage_link_state state; /* see storage_link_state() */
	struct vmb_guest_storage core;
	spinlock_t control_lock; /* the core's handshake and reset against its input */
	bool pumping; /* control packets wait for room; written under control_lock */
	u8 payload[VMB_STOR_PACKET_LEN]; /* the packet in storage_link_take() */
	struct vmb_guest_storage_event event; /* and what it was */
	struct vmb_guest_storage_slot *slots;
	u32 slot_count; /* requests of the driver; one more slot is storage_link_command()'s */
	u64 *lists; /* for each slot a GPA range's header and pfn_max page frame numbers */
	struct vmb_guest_storage_packet *packets; /* for each slot what is being sent */
	u32 pfn_max;
	u32 ring_len;
	u16 max_version;
	wait_queue_head_t wait; /* woken by drained, and whenever the state changes */
	u32 round; /* odd from a batch's first packet until drained */
	u32 resets; /* how often requests may have been ended for nothing but a reset; any context */
	struct mutex command_mutex;
	void *command_page; /* the data of the one command, shared with the host */
	bool command_done;
	bool command_lost; /* when it is done */
	struct vmb_guest_storage_event command_event;

	/* A host that does not answer: see recover(). */
	struct workqueue_struct *queue;
	struct delayed_work recover_work;
	const unsigned int *give_up;
	bool overdue; /* recover_work has something to do; control_lock */
	unsigned long overdue_since; /* when the oldest such request was sent; control_lock */
	bool broken; /* the host broke the ring, nothing will come of asking it */
	bool reset_done;
	struct mutex recover_mutex; /* the rest, and who opens and closes */
	bool asked; /* for a reset, because of these: */
	u32 *asked_words; /* the slots' words at that time */
	bool closed; /* the channel is */
	bool owed; /* and the host has not said that it let go */
	unsigned long delay; /* until it is asked again */
};

/* What a short command came to. */
struct storage_link_answer {
	u32 data_len; /* bytes that came */
	u8 srb_status, scsi_status;
	u8 sense_len;
	u8 sense[VMB_STOR_SENSE_LEN];
};

/* -EINVAL, and said: it is neither 0 nor a version of the protocol. For a module's parameter. */
int storage_link_check_version(const char *module, unsigned int version);

int storage_link_init(struct storage_link *link, struct vmb_device *device,
		      const struct storage_link_ops *ops, const struct storage_link_config *config);
int storage_link_start(struct storage_link *link);

/*
 * Closes the channel for good. The driver has no request under way. Afterwards none of its ops is called any more.
 */
void storage_link_stop(struct storage_link *link);
void storage_link_free(struct storage_link *link);

/* Room for pfn_max page frame numbers; the owner of the slot writes them. */
static inline u64 *storage_link_pfns(const struct storage_link *link, u32 slot)
{
	return link->lists + (size_t)slot * (STORAGE_LINK_HEADER_WORDS + link->pfn_max) +
	       STORAGE_LINK_HEADER_WORDS;
}

/*
 * Under the rcu_read_lock in which a request or a command is then submitted. What was negotiated is seen by whoever
 * sees STORAGE_LINK_UP.
 */
static inline enum storage_link_state storage_link_state(const struct storage_link *link)
{
	return smp_load_acquire(&link->state);
}

/*
 * Writes the request, which has pfn_count pages, into the ring; with commit, shows the ring to the
 * host. 0: it is with the host, or was answered already; -EAGAIN: no room; -EBUSY: the slot is
 * taken, or no handshake; -EINVAL, -EOVERFLOW: no host could take this request.
 */
int storage_link_submit(struct storage_link *link, u32 slot,
			const struct vmb_guest_storage_request *request, u32 pfn_count,
			bool commit);

/*
 * Sends the control packets that wait, and feeds the packet to the core. Answers an event that is the driver's to handle,
 * good until the next call, or NULL.
 */
const struct vmb_guest_storage_event *storage_link_take(struct storage_link *link,
							const struct vmb_ring_received *packet);

/*
 * For ops->channel.drained, after the driver has ended all requests whose events it got: only now those who wait for
 * them are woken, because they may use the requests again.
 */
void storage_link_drained(struct storage_link *link);

/*
 * One command for request's address, its CDB, direction and data_len (a page at most). Waits until it is answered; after
 * request->timeout_s it is overdue like any request. data: what to send, or where to put what comes; bytes that did not
 * come are zeroes. 0: done; -EIO: the unit refused, answer says why; -ENODEV: the link is gone. answer may be NULL.
 */
int storage_link_command(struct storage_link *link, struct vmb_guest_storage_request *request,
			 void *data, struct storage_link_answer *answer);

/* True while the host holds the slot. */
bool storage_link_holds(const struct storage_link *link, u32 slot);

/* Waits until what the host has answered is drained: a slot that it does not hold any more is nobody's then. */
void storage_link_settle(struct storage_link *link);

/*
 * A request that was sent at `since` has not been answered in time. The host is asked for a reset, which makes it answer
 * all it has; what it forgot is lost (ops->lost) with the channel, which is replaced. A host that does not answer that
 * either is waited for and asked again, until it does, or it rescinds, or config.give_up seconds after `since`.
 */
void storage_link_overdue(struct storage_link *link, unsigned long since);

/* The same for all that the host holds, and waits for the outcome. 0: it holds none of them; -ENODEV: the link is gone. */
int storage_link_reset(struct storage_link *link);

/*
 * For ops->channel.rescinded. All requests fail from here on; those that the host holds are ended soon, whoever waits for
 * them: a probe() that reads a new disk's partitions does, and until it returns there is no remove().
 */
void storage_link_rescinded(struct storage_link *link);

/* So that nobody else gets a page that the host may write to. Slab pages cannot be held. */
void storage_link_leak(phys_addr_t start, u32 len);

#endif
