// SPDX-License-Identifier: GPL-2.0-only
/*
 * An open channel's rings: who may touch them when, and who is woken.
 *
 * Receiving is one caller's at a time: the tasklet's, or the driver's poll's. Sending is anybody's,
 * so it has a lock: the driver's queues and its poll, which answers packets, share one ring.
 */
#include <asm/mshyperv.h>
#include "guest/doorbell.h"
#include "ports/linux/vmbus_internal.h"
#include "ports/linux/vmbus_trace.h"

#define PACKET_BUDGET 64 /* packets from one channel before others get the CPU */
#define ROOM_DELAY    msecs_to_jiffies(2)

/* The core knows how much room a packet takes, and drivers ask it. */
EXPORT_SYMBOL_GPL(vmb_ring_packet_len);
EXPORT_SYMBOL_GPL(vmb_ring_packet_len_max);

static bool monitor;
module_param(monitor, bool, 0644);
MODULE_PARM_DESC(monitor, "signal hosts that offer it through the monitor page, where a driver can "
			  "wait 100 us (default: no)");

static void signal_host(struct vmb_channel *ch)
{
	bool tolerant = ch->tolerates_delay && READ_ONCE(monitor);

	trace_vmbus_signal(ch);
	if (vmb_guest_doorbell_ring(&ch->core, vmbus.interrupt_page, vmbus.monitor_pages[1],
				    tolerant))
		vmbus_synic_signal(ch->core.connection_id);
}

/* ---- receiving ---- */

/* With PREEMPT_RT what drivers do with a packet takes locks that sleep. */
static bool takes_in_interrupt(const struct vmb_channel *ch)
{
	return ch->ops->in_interrupt && !IS_ENABLED(CONFIG_PREEMPT_RT);
}

/* Hard interrupt, or any context under tx_lock; the channel is open. */
static void ring(struct vmb_channel *ch)
{
	if (ch->ops->doorbell)
		ch->ops->doorbell(ch);
	else
		tasklet_schedule(&ch->tasklet);
}

void vmb_channel_poke(struct vmb_channel *ch)
{
	unsigned long flags;

	spin_lock_irqsave(&ch->tx_lock, flags);
	if (ch->open)
		ring(ch);
	spin_unlock_irqrestore(&ch->tx_lock, flags);
}
EXPORT_SYMBOL_GPL(vmb_channel_poke);

void vmb_channel_mask(struct vmb_channel *ch)
{
	ch->events++;
	vmb_ring_mask(&ch->rx);
}
EXPORT_SYMBOL_GPL(vmb_channel_mask);

int vmb_channel_read(struct vmb_channel *ch, struct vmb_ring_received *packet)
{
	int rc = vmb_ring_read(&ch->rx, packet);

	if (rc == VMB_EPROTO)
		pr_err_ratelimited("channel %u: the host broke the ring\n", ch->core.relid);
	if (!rc)
		trace_vmbus_packet_received(ch, packet);
	return rc;
}
EXPORT_SYMBOL_GPL(vmb_channel_read);

bool vmb_channel_copy(struct vmb_channel *ch, const struct vmb_ring_received *packet, u32 offset,
		      void *dst, u32 len)
{
	return vmb_ring_copy(&ch->rx, packet, offset, dst, len);
}
EXPORT_SYMBOL_GPL(vmb_channel_copy);

void vmb_channel_next(struct vmb_channel *ch, const struct vmb_ring_received *packet)
{
	vmb_ring_next(&ch->rx, packet);
}
EXPORT_SYMBOL_GPL(vmb_channel_next);

void vmb_channel_release(struct vmb_channel *ch)
{
	if (!vmb_ring_release(&ch->rx))
		return;
	ch->room_signals++;
	signal_host(ch);
}
EXPORT_SYMBOL_GPL(vmb_channel_release);

bool vmb_channel_unmask(struct vmb_channel *ch)
{
	return vmb_ring_unmask(&ch->rx);
}
EXPORT_SYMBOL_GPL(vmb_channel_unmask);

void vmb_channel_hush(struct vmb_channel *ch)
{
	vmb_ring_mask(&ch->rx);
}
EXPORT_SYMBOL_GPL(vmb_channel_hush);

/* The indices are the program's: ch->rx does not follow them. */
bool vmb_channel_listen(struct vmb_channel *ch)
{
	struct vmb_ring_control *ring = ch->rx.control;

	vmb_ring_unmask(&ch->rx);
	return READ_ONCE(ring->read_index) != READ_ONCE(ring->write_index);
}
EXPORT_SYMBOL_GPL(vmb_channel_listen);

void vmb_channel_signal(struct vmb_channel *ch)
{
	unsigned long flags;
	bool open;

	spin_lock_irqsave(&ch->tx_lock, flags);
	open = ch->open;
	ch->signals += open;
	spin_unlock_irqrestore(&ch->tx_lock, flags);
	if (open)
		signal_host(ch);
}
EXPORT_SYMBOL_GPL(vmb_channel_signal);

/* Hands packets to the driver: VMB_EAGAIN when none is left, 0 when the budget is. */
static int drain(struct vmb_channel *ch, u32 *budget)
{
	struct vmb_ring_received packet;
	int rc;

	for (; *budget; (*budget)--) {
		rc = vmb_channel_read(ch, &packet);
		if (rc)
			return rc;
		ch->ops->packet(ch, &packet);
		vmb_ring_next(&ch->rx, &packet);
	}
	return 0;
}

/* True: there may be more than the budget allowed. */
static bool take_packets(struct vmb_channel *ch)
{
	u32 budget = PACKET_BUDGET;
	int rc;

	do {
		vmb_channel_mask(ch);
		rc = drain(ch, &budget);
		vmb_channel_release(ch);
		if (ch->ops->drained)
			ch->ops->drained(ch);
	} while (rc == VMB_EAGAIN && vmb_ring_unmask(&ch->rx));
	return !rc;
}

static void bottom_half(struct tasklet_struct *t)
{
	struct vmb_channel *ch = from_tasklet(ch, t, tasklet);
	unsigned long flags;
	bool more;

	if (takes_in_interrupt(ch)) {
		spin_lock_irqsave(&ch->rx_lock, flags);
		more = take_packets(ch);
		spin_unlock_irqrestore(&ch->rx_lock, flags);
	} else {
		more = take_packets(ch);
	}
	if (more && !READ_ONCE(ch->closing))
		tasklet_schedule(t);
}

/* Another CPU has the lock: the tasklet looks when that has finished. */
void vmbus_ring_doorbell(struct vmb_channel *ch)
{
	bool more = true;

	ch->interrupts++;
	trace_vmbus_interrupt(ch);
	if (!takes_in_interrupt(ch)) {
		ring(ch);
		return;
	}
	if (spin_trylock(&ch->rx_lock)) {
		more = take_packets(ch);
		spin_unlock(&ch->rx_lock);
	}
	if (more)
		tasklet_schedule(&ch->tasklet);
}

/* ---- sending; tx_lock ---- */

static int write_packet(struct vmb_channel *ch, const struct vmb_ring_packet *packet)
{
	int rc;

	if (!ch->open)
		return -ENODEV;
	rc = vmb_ring_write(&ch->tx, packet);
	trace_vmbus_packet_sent(ch, packet, rc);
	ch->full_first += rc == VMB_EAGAIN && !ch->was_full;
	ch->was_full = rc == VMB_EAGAIN;
	return rc;
}

/*
 * Each packet that is written cancels the ring's request for room, even if a caller still waits for
 * more. So ask again; if there is room by now, ring the doorbell here, because the host will not
 * signal.
 */
static void renew_wish(struct vmb_channel *ch)
{
	if (vmb_ring_wait_room(&ch->tx, ch->wish_len) == VMB_EAGAIN)
		return;
	ch->wish_len = 0;
	ring(ch);
}

static bool commit(struct vmb_channel *ch)
{
	bool signal = vmb_ring_commit(&ch->tx);

	ch->signals += signal;
	return signal;
}

/* True: signal the host. */
static bool publish(struct vmb_channel *ch)
{
	bool signal = commit(ch);

	if (ch->wish_len && !ch->tx.pending_len)
		renew_wish(ch);
	return signal;
}

/* If the host does not signal when there is room, poll for it. */
static void wait_for_room(struct vmb_channel *ch, u32 len)
{
	ch->wish_len = len;
	if (!vmb_ring_peer_signals_room(&ch->rx))
		schedule_delayed_work(&ch->room_work, ROOM_DELAY);
}

static u32 longest_packet(struct vmb_channel *ch)
{
	u32 room = ch->open ? vmb_ring_room(&ch->tx) : 0;

	return room > 8 ? room - 8 : 0; /* the ring is never filled to the last byte */
}

/*
 * If another caller asked for more room, both wait for that, unless there is room for this one now.
 */
static int wish(struct vmb_channel *ch, u32 len)
{
	u32 longest = max(len, ch->wish_len);
	bool others = ch->wish_len;
	int rc = vmb_ring_wait_room(&ch->tx, longest);

	if (rc == VMB_EAGAIN) {
		wait_for_room(ch, longest);
		return len < longest && longest_packet(ch) >= len ? 0 : rc;
	}
	if (!rc && others) {
		ch->wish_len = 0;
		ring(ch);
	}
	return rc;
}

/* ---- sending ---- */

int vmb_channel_send(struct vmb_channel *ch, const struct vmb_ring_packet *packet)
{
	unsigned long flags;
	bool signal = false;
	int rc;

	spin_lock_irqsave(&ch->tx_lock, flags);
	rc = write_packet(ch, packet);
	if (!rc)
		signal = publish(ch);
	spin_unlock_irqrestore(&ch->tx_lock, flags);
	if (signal)
		signal_host(ch);
	return rc;
}
EXPORT_SYMBOL_GPL(vmb_channel_send);

int vmb_channel_write(struct vmb_channel *ch, const struct vmb_ring_packet *packet)
{
	unsigned long flags;
	int rc;

	spin_lock_irqsave(&ch->tx_lock, flags);
	rc = write_packet(ch, packet);
	spin_unlock_irqrestore(&ch->tx_lock, flags);
	return rc;
}
EXPORT_SYMBOL_GPL(vmb_channel_write);

int vmb_channel_complete(struct vmb_channel *ch, const u64 *transaction_ids, u32 count,
			 const struct vmb_ring_part *payload)
{
	struct vmb_ring_packet packet = {
		.type = VMB_PKT_COMPLETION,
		.payload = payload,
		.payload_count = 1,
	};
	unsigned long flags;
	u32 done;
	int rc = 0;

	spin_lock_irqsave(&ch->tx_lock, flags);
	for (done = 0; done < count && !rc; done += !rc) {
		packet.transaction_id = transaction_ids[done];
		rc = write_packet(ch, &packet);
	}
	spin_unlock_irqrestore(&ch->tx_lock, flags);
	return done ? done : rc;
}
EXPORT_SYMBOL_GPL(vmb_channel_complete);

void vmb_channel_commit(struct vmb_channel *ch)
{
	unsigned long flags;
	bool signal;

	spin_lock_irqsave(&ch->tx_lock, flags);
	signal = ch->open && publish(ch);
	spin_unlock_irqrestore(&ch->tx_lock, flags);
	if (signal)
		signal_host(ch);
}
EXPORT_SYMBOL_GPL(vmb_channel_commit);

u32 vmb_channel_room(struct vmb_channel *ch)
{
	unsigned long flags;
	u32 room;

	spin_lock_irqsave(&ch->tx_lock, flags);
	room = longest_packet(ch);
	spin_unlock_irqrestore(&ch->tx_lock, flags);
	return room;
}
EXPORT_SYMBOL_GPL(vmb_channel_room);

int vmb_channel_wait_room(struct vmb_channel *ch, u32 len)
{
	unsigned long flags;
	bool signal = false;
	int rc = -ENODEV;

	spin_lock_irqsave(&ch->tx_lock, flags);
	if (ch->open) {
		signal = commit(ch);
		rc = ch->ops->doorbell ? wish(ch, len) : -EINVAL;
	}
	spin_unlock_irqrestore(&ch->tx_lock, flags);
	if (signal)
		signal_host(ch);
	return rc;
}
EXPORT_SYMBOL_GPL(vmb_channel_wait_room);

void vmb_channel_wait_cancel(struct vmb_channel *ch)
{
	unsigned long flags;

	spin_lock_irqsave(&ch->tx_lock, flags);
	if (ch->open)
		vmb_ring_wait_cancel(&ch->tx);
	ch->wish_len = 0;
	spin_unlock_irqrestore(&ch->tx_lock, flags);
}
EXPORT_SYMBOL_GPL(vmb_channel_wait_cancel);

/* For a host that never promised to signal. */
static void look_for_room(struct work_struct *work)
{
	struct vmb_channel *ch = container_of(to_delayed_work(work), struct vmb_channel, room_work);

	spin_lock_irq(&ch->tx_lock);
	if (ch->open && ch->wish_len) {
		if (ch->tx.broken || longest_packet(ch) >= ch->wish_len) {
			vmb_ring_wait_cancel(&ch->tx);
			ch->wish_len = 0;
			ring(ch);
		} else {
			schedule_delayed_work(&ch->room_work, ROOM_DELAY);
		}
	}
	spin_unlock_irq(&ch->tx_lock);
}

/* ---- start and stop ---- */

void vmbus_ring_init(struct vmb_channel *ch)
{
	spin_lock_init(&ch->tx_lock);
	spin_lock_init(&ch->rx_lock);
	tasklet_setup(&ch->tasklet, bottom_half);
	INIT_DELAYED_WORK(&ch->room_work, look_for_room);
}

static void set_open(struct vmb_channel *ch, bool open)
{
	unsigned long flags;

	spin_lock_irqsave(&ch->tx_lock, flags);
	ch->open = open;
	ch->wish_len = 0;
	ch->was_full = false;
	spin_unlock_irqrestore(&ch->tx_lock, flags);
}

/*
 * From here on packets are taken, and can be answered: the first may come with the open's result.
 */
void vmbus_ring_start(struct vmb_channel *ch)
{
	ch->closing = false;
	set_open(ch, true);
	vmbus_synic_publish(ch->core.relid, ch);
}

/*
 * After this neither interrupt nor tasklet nor sender touches the rings. Senders and pokes first,
 * for they may schedule what is then waited for.
 */
void vmbus_ring_stop(struct vmb_channel *ch)
{
	set_open(ch, false);
	vmbus_synic_publish(ch->core.relid, NULL);
	WRITE_ONCE(ch->closing, true);
	tasklet_kill(&ch->tasklet);
	cancel_delayed_work_sync(&ch->room_work);
}
