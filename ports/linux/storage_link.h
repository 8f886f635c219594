/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A storage channel, as storvsc and blkvsc both use it: the handshake, sending requests, receiving
 * answers, and what to do when the host does not answer. It is linked into both modules.
 *
 * Life story:
 *
 *   storage_link_init(link, device, ops, &config)
 *   storage_link_start()           opens the channel, negotiates; afterwards the link is UP
 *   storage_link_command()         sends one short command and waits for it: to look at units
 *   storage_link_submit()          a request, with the page frame numbers of its data in
 *                                  storage_link_pfns(); the host sees it with the next commit
 *   storage_link_take()            a packet from the host, as an event
 *   storage_link_drained()         the driver has handled all events that take() returned
 *   storage_link_overdue()         a request has timed out: the link makes sure that it ends
 *   storage_link_rescinded()       the host took the channel away: its requests end soon
 *   storage_link_removing()        remove() begins
 *   storage_link_stop(), storage_link_free()
 *
 * Queues: with config.queue_max the host is asked for sub-channels, and the link has one queue a
 * channel: link->queue_count of them when it has started. The driver says with a number from 0 to
 * link->queue_count - 1 on which one a request goes; the context of the channel's ops is its queue.
 * A slot belongs to the link, not to a queue, and a new connection may have fewer channels than the
 * first one had: then several numbers share one. A sub-channel that the host takes away is a reason
 * for a new connection.
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
	/* no channel, or no handshake yet: requests wait without a limit */
	STORAGE_LINK_DOWN,
	STORAGE_LINK_UP,
	STORAGE_LINK_GONE, /* for good, by a rescind, give_up or stop: requests fail */
};

/* Why a request ends that the host did not answer. */
enum storage_link_loss {
	/* the channel was replaced: the host has forgotten the request, which may be sent again */
	STORAGE_LINK_REPLACED,
	STORAGE_LINK_ENDED, /* there is no channel any more, and the host has released the data */
	/* there is no channel, and the host may still access the data: leak its pages */
	STORAGE_LINK_HELD,
};

/*
 * Temporary data of a request or an answer is kept in here, not on the stack: many kernels fill a
 * function's arrays and structures with zeroes on each call (CONFIG_INIT_STACK_ALL_ZERO).
 */

/* The header lies before the page frame numbers, because the ring wants both in one piece. */
#define STORAGE_LINK_HEADER_WORDS \
	(sizeof(((struct vmb_guest_storage_packet *)0)->gpa) / sizeof(u64))

struct storage_link;

/* What belongs to one channel. */
struct storage_queue {
	struct storage_link *link;
	struct vmb_channel *channel; /* while the link is UP */
	u32 cpu; /* that the host interrupted for it when it was opened last */
	struct vmb_channel *offered; /* a sub-channel that the host offers; any context */
	struct vmb_guest_storage *core; /* the link's, or a sub-channel's: */
	struct vmb_guest_storage joined;
	u8 payload[VMB_STOR_PACKET_LEN]; /* the packet in storage_link_take() */
	struct vmb_guest_storage_event event; /* and what it was */
	u32 round; /* odd from a batch's first packet until drained */
};

struct storage_link_ops {
	struct vmb_channel_ops channel; /* with a struct storage_queue as context */
	/* cookie is NULL for a request that was abandoned */
	void (*lost)(struct storage_link *link, u32 slot, void *cookie,
		     enum storage_link_loss loss);
};

struct storage_link_config {
	u32 ring_size; /* bytes of each ring, as the user said */
	u32 queue_depth; /* number of requests, 0: as many as fit into the rings */
	u32 queue_max; /* channels to ask for; 0: one */
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
	struct storage_queue *queues;
	u32 queue_max;
	u32 queue_count; /* the driver's; settled by storage_link_start() */
	u32 open_count; /* channels that are used; changes only while the link is not UP */
	struct vmb_guest_storage_slot *slots;
	/*
	 * Requests of the driver; one more slot is storage_link_command()'s. May become less in
	 * storage_link_start().
	 */
	u32 slot_count;
	u32 slots_a_queue; /* at most so many more for each channel */
	u64 *lists; /* for each slot a GPA range's header and pfn_max page frame numbers */
	struct vmb_guest_storage_packet *packets; /* for each slot what is being sent */
	u32 pfn_max;
	u32 ring_len;
	u16 max_version;
	wait_queue_head_t wait; /* woken by drained, and whenever the state changes */
	/* how many times requests may have ended only because of a reset; any context */
	u32 resets;
	struct mutex command_mutex;
	void *command_page; /* the data of the one command, shared with the host */
	bool command_done;
	bool command_lost; /* when it is done */
	struct vmb_guest_storage_event command_event;

	/* A host that does not answer: see recover(). */
	struct workqueue_struct *queue;
	struct delayed_work recover_work;
	const unsigned int *give_up;
	bool overdue; /* recover_work has work to do; control_lock */
	unsigned long overdue_since; /* when the oldest such request was sent; control_lock */
	bool broken; /* the host broke the ring: asking it is useless */
	bool reset_done;
	struct mutex recover_mutex; /* the rest, and who opens and closes */
	bool asked; /* for a reset, because of these: */
	u32 *asked_words; /* the slots' words at that time */
	bool closed; /* the channel is closed */
	bool owed; /* and the host has not confirmed that it released it */
	unsigned long delay; /* until the host is asked again */
};

/* The outcome of a short command. */
struct storage_link_answer {
	u32 data_len; /* bytes that came */
	u8 srb_status, scsi_status;
	u8 sense_len;
	u8 sense[VMB_STOR_SENSE_LEN];
};

/*
 * Checks a module's parameter max_version. Returns 0, or -EINVAL, reported: it is neither 0 nor a
 * version of the protocol.
 */
int storage_link_check_version(const char *module, unsigned int version);

/* Prepares a link to device; opens nothing. Returns 0, or -errno with nothing left behind. */
int storage_link_init(struct storage_link *link, struct vmb_device *device,
		      const struct storage_link_ops *ops, const struct storage_link_config *config);
/* Opens the channel and negotiates; waits for the host. Returns 0 and the link is UP, or -errno. */
int storage_link_start(struct storage_link *link);

/*
 * Closes the channel for good. The driver must have no request under way but abandoned ones, which
 * end now. None of its ops is called afterwards.
 */
void storage_link_stop(struct storage_link *link);
/* Frees what storage_link_init() has made, after storage_link_stop() or when start failed. */
void storage_link_free(struct storage_link *link);

/* Returns the room for pfn_max page frame numbers of a slot, which the slot's owner writes. */
static inline u64 *storage_link_pfns(const struct storage_link *link, u32 slot)
{
	return link->lists + (size_t)slot * (STORAGE_LINK_HEADER_WORDS + link->pfn_max) +
	       STORAGE_LINK_HEADER_WORDS;
}

/*
 * Call it under the same rcu_read_lock in which the request or command is then submitted. A caller
 * that sees STORAGE_LINK_UP also sees what was negotiated.
 */
static inline enum storage_link_state storage_link_state(const struct storage_link *link)
{
	return smp_load_acquire(&link->state);
}

/*
 * Writes the request, which has pfn_count pages, into the ring of the queue with this number; with
 * commit, shows the ring to the host. Returns 0: the host has it, or has answered it already;
 * -EAGAIN: no room; -EBUSY: the slot is taken, or there is no handshake yet; -EINVAL, -EOVERFLOW:
 * no host could take this request.
 */
int storage_link_submit(struct storage_link *link, u32 queue, u32 slot,
			const struct vmb_guest_storage_request *request, u32 pfn_count,
			bool commit);

/*
 * Shows the host what was written to the queue with this number. Under the rcu_read_lock of the
 * submits; does nothing if the link is not UP any more.
 */
void storage_link_commit(struct storage_link *link, u32 queue);

/*
 * Sends the control packets that wait, and passes the packet to the core. Returns an event that the
 * driver must handle, valid until the next call, or NULL.
 */
const struct vmb_guest_storage_event *storage_link_take(struct storage_queue *queue,
							const struct vmb_ring_received *packet);

/*
 * Must be called from ops->channel.drained, after the driver has ended all requests whose events it
 * got. Only now wakes those who wait for these requests, because they may use them again.
 */
void storage_link_drained(struct storage_queue *queue);

/*
 * Sends one command with request's address, CDB, direction and data_len (bytes, a page at most) and
 * waits for its answer; after request->timeout_s seconds it is overdue like any request. data: the
 * bytes to send, or room for those that come; bytes that did not come are set to zero. answer may
 * be NULL. Returns 0; -EIO: the unit refused, and answer says why; -ENODEV: the link is gone.
 */
int storage_link_command(struct storage_link *link, struct vmb_guest_storage_request *request,
			 void *data, struct storage_link_answer *answer);

/* Returns whether the host holds the slot. */
bool storage_link_holds(const struct storage_link *link, u32 slot);

/*
 * The request in this slot is its owner's no longer: it ends with a NULL cookie, when the host
 * answers it or it is lost, and until then its data and its slot stay the host's. Returns false: it
 * ends just now, as if this had not been called. Any context.
 */
bool storage_link_abandon(struct storage_link *link, u32 slot);

/*
 * Waits until the answers of the host are drained: then no one uses a slot that the host no longer
 * holds.
 */
void storage_link_settle(struct storage_link *link);

/*
 * A request that was sent at `since` has not been answered in time. Asks the host for a reset,
 * which makes it answer all requests that it has. Requests that it forgot are lost (ops->lost) with
 * the channel, which is replaced. If the host does not answer the reset either, asks again until it
 * does, or it rescinds the channel, or config.give_up seconds after `since` have passed.
 */
void storage_link_overdue(struct storage_link *link, unsigned long since);

/*
 * The same for all requests that the host holds; waits for the outcome. Returns 0: it holds none of
 * them; -ENODEV: the link is gone.
 */
int storage_link_reset(struct storage_link *link);

/*
 * For hibernation. Waits for the answers of all requests and closes the channel; requests wait from
 * now on. Returns 0; or -EBUSY, and the link goes on: the host does not answer, or does not let go.
 */
int storage_link_suspend(struct storage_link *link);
/* Opens the channel again. Where the host does not answer, the link goes on trying by itself. */
void storage_link_resume(struct storage_link *link);

/*
 * Must be called from ops->channel.rescinded. If it is the primary's, all requests fail from now
 * on, and those that the host holds end soon. They cannot wait for remove(): a probe() that reads a
 * new disk's partitions may wait for them, and remove() comes only after it. If it is a
 * sub-channel's, the connection is replaced.
 */
void storage_link_rescinded(struct storage_queue *queue);

/*
 * remove() must call it first. While a device sleeps its channel is closed, and nobody tells the
 * driver that it was rescinded; what was sent meanwhile ends now, and remove() can wait for it.
 */
void storage_link_removing(struct storage_link *link);

/* ops->channel.sub_channel of a driver with a queue_max above 1. */
void storage_link_sub_channel(struct vmb_channel *primary, struct vmb_channel *sub);

/*
 * Leaks the pages of len bytes at start, so that no one else gets a page that the host may write
 * to. Slab pages cannot be kept in this way.
 */
void storage_link_leak(phys_addr_t start, u32 len);

#endif
