// SPDX-License-Identifier: GPL-2.0-only
/*
 * A channel between its offer and its end: rings, doorbells, the CPU that it interrupts.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <asm/mshyperv.h>
#include "ports/linux/vmbus_internal.h"

#define PACKET_BUDGET 64 /* packets from one channel before others get the CPU */

/* ---- rings ---- */

static void free_rings(struct vmbus_rings *rings)
{
	vfree(rings->memory);
	kvfree(rings->pfns);
	kfree(rings);
}

static struct vmbus_rings *alloc_rings(u32 len)
{
	struct vmbus_rings *rings = kzalloc(sizeof(*rings), GFP_KERNEL);
	u32 i;

	BUILD_BUG_ON(PAGE_SIZE != VMB_PAGE_LEN);
	if (!rings)
		return NULL;
	rings->gpadl.port = rings;
	rings->page_count = len / VMB_PAGE_LEN;
	rings->memory = vzalloc(len);
	rings->pfns = kvmalloc_array(rings->page_count, sizeof(u64), GFP_KERNEL);
	if (!rings->memory || !rings->pfns) {
		free_rings(rings);
		return NULL;
	}
	for (i = 0; i < rings->page_count; i++)
		rings->pfns[i] = vmalloc_to_pfn(rings->memory + i * VMB_PAGE_LEN);
	return rings;
}

static bool answered(const struct vmb_channel *ch, const bool *answer)
{
	return READ_ONCE(*answer) || READ_ONCE(ch->core.rescinded);
}

/*
 * Waits for an answer to what was just queued. A rescind ends most waits, for the host may answer
 * nothing any more; but an answer that crossed it is still worth a second.
 */
static int await(struct vmb_channel *ch, const bool *answer)
{
	vmbus_connect_send();
	if (!wait_event_timeout(vmbus.wait, answered(ch, answer), VMBUS_WAIT))
		return -ETIMEDOUT;
	if (!READ_ONCE(*answer))
		wait_event_timeout(vmbus.wait, READ_ONCE(*answer), HZ);
	return READ_ONCE(*answer) ? 0 : -ENODEV;
}

/* Teardown is answered on a rescinded channel too. */
static int await_torn(struct vmbus_rings *rings)
{
	vmbus_connect_send();
	return wait_event_timeout(vmbus.wait, READ_ONCE(rings->torn), VMBUS_WAIT) ? 0 : -ETIMEDOUT;
}

/*
 * Takes the rings back from the host and frees them. When the host does not let go they are
 * leaked, because it may write to them at any time.
 */
static int withdraw_rings(struct vmb_channel *ch, struct vmbus_rings *rings)
{
	int rc;

	mutex_lock(&vmbus.lock);
	rc = vmb_guest_gpadl_teardown(&rings->gpadl);
	mutex_unlock(&vmbus.lock);
	if (!rc)
		rc = await_torn(rings);
	if (!rc) {
		free_rings(rings);
		return 0;
	}
	mutex_lock(&vmbus.lock);
	vmb_guest_gpadl_forget(&rings->gpadl);
	mutex_unlock(&vmbus.lock);
	pr_err("channel %u: the host keeps %u pages of ours, they are lost\n", ch->core.relid,
	       rings->page_count);
	return -ETIMEDOUT;
}

/* On success the host holds the rings. On failure they are freed or, if it may hold them, lost. */
static int present_rings(struct vmb_channel *ch, struct vmbus_rings *rings)
{
	int rc;

	mutex_lock(&vmbus.lock);
	rc = vmb_guest_gpadl_establish(&ch->core, &rings->gpadl, rings->pfns, rings->page_count,
				       rings->page_count * VMB_PAGE_LEN, 0);
	mutex_unlock(&vmbus.lock);
	if (rc) {
		free_rings(rings);
		return rc;
	}
	rc = await(ch, &rings->created);
	if (!rc && rings->status) {
		pr_err("channel %u: the host refuses the rings with status %#x\n", ch->core.relid,
		       rings->status);
		free_rings(rings);
		return -EIO;
	}
	if (rc)
		withdraw_rings(ch, rings);
	return rc;
}

static void set_up_rings(struct vmb_channel *ch, struct vmbus_rings *rings, u32 ring_len)
{
	u8 *tx = rings->memory, *rx = tx + ring_len;
	u32 data_len = ring_len - VMB_PAGE_LEN;

	vmb_ring_writer_init(&ch->tx, tx, tx + VMB_PAGE_LEN, data_len, true);
	vmb_ring_reader_init(&ch->rx, rx, rx + VMB_PAGE_LEN, data_len, true);
}

/* ---- doorbells ---- */

static void signal_host(struct vmb_channel *ch)
{
	ch->signals++;
	if (!ch->core.dedicated)
		set_bit(ch->core.relid, (unsigned long *)(vmbus.interrupt_page + VMB_PAGE_LEN / 2));
	vmbus_synic_signal(ch->core.connection_id);
}

/* Hard interrupt. */
void vmbus_channel_doorbell(struct vmb_channel *ch)
{
	ch->interrupts++;
	tasklet_schedule(&ch->tasklet);
}

/* Hands packets to the driver: VMB_EAGAIN when none is left, 0 when the budget is. */
static int drain(struct vmb_channel *ch, u32 *budget)
{
	struct vmb_ring_received packet;
	int rc;

	for (; *budget; (*budget)--) {
		rc = vmb_ring_read(&ch->rx, &packet);
		if (rc)
			return rc;
		ch->ops->packet(ch, &packet);
		vmb_ring_next(&ch->rx, &packet);
	}
	return 0;
}

static void bottom_half(struct tasklet_struct *t)
{
	struct vmb_channel *ch = from_tasklet(ch, t, tasklet);
	u32 budget = PACKET_BUDGET;
	int rc;

	ch->events++;
	do {
		vmb_ring_mask(&ch->rx);
		rc = drain(ch, &budget);
		if (vmb_ring_release(&ch->rx))
			signal_host(ch);
	} while (rc == VMB_EAGAIN && vmb_ring_unmask(&ch->rx));
	if (!rc && !READ_ONCE(ch->closing))
		tasklet_schedule(t);
	if (rc == VMB_EPROTO)
		pr_err_ratelimited("channel %u: the host broke the ring\n", ch->core.relid);
}

int vmb_channel_send(struct vmb_channel *ch, const struct vmb_ring_packet *packet)
{
	unsigned long flags;
	bool signal = false;
	int rc = -ENODEV;

	spin_lock_irqsave(&ch->tx_lock, flags);
	if (ch->open) {
		rc = vmb_ring_write(&ch->tx, packet);
		if (!rc)
			signal = vmb_ring_commit(&ch->tx);
		ch->full_first += rc == VMB_EAGAIN && !ch->was_full;
		ch->was_full = rc == VMB_EAGAIN;
	}
	spin_unlock_irqrestore(&ch->tx_lock, flags);
	if (signal)
		signal_host(ch);
	return rc;
}
EXPORT_SYMBOL_GPL(vmb_channel_send);

bool vmb_channel_copy(struct vmb_channel *ch, const struct vmb_ring_received *packet, u32 offset,
		      void *dst, u32 len)
{
	return vmb_ring_copy(&ch->rx, packet, offset, dst, len);
}
EXPORT_SYMBOL_GPL(vmb_channel_copy);

/* ---- open and close ---- */

static void set_open(struct vmb_channel *ch, bool open)
{
	unsigned long flags;

	spin_lock_irqsave(&ch->tx_lock, flags);
	ch->open = open;
	spin_unlock_irqrestore(&ch->tx_lock, flags);
}

/* After this neither interrupt nor tasklet nor sender touches the rings. */
static void detach(struct vmb_channel *ch)
{
	vmbus_synic_publish(ch->core.relid, NULL);
	WRITE_ONCE(ch->closing, true);
	tasklet_kill(&ch->tasklet);
	set_open(ch, false);
}

static void attach(struct vmb_channel *ch, const struct vmb_channel_ops *ops, void *context)
{
	mutex_lock(&vmbus.lock);
	ch->ops = ops;
	ch->context = context;
	mutex_unlock(&vmbus.lock);
	ch->closing = false;
	vmbus_synic_publish(ch->core.relid, ch);
}

static int close_locked(struct vmb_channel *ch)
{
	struct vmbus_rings *rings = ch->rings;

	if (!rings)
		return 0;
	detach(ch);
	mutex_lock(&vmbus.lock);
	ch->ops = NULL;
	vmb_guest_channel_close(&ch->core);
	mutex_unlock(&vmbus.lock);
	ch->rings = NULL;
	return withdraw_rings(ch, rings);
}

static int ask_open(struct vmb_channel *ch, u32 ring_len)
{
	int rc;

	mutex_lock(&vmbus.lock);
	ch->opened = false;
	rc = vmb_guest_channel_open(&ch->core, &ch->rings->gpadl, ring_len / VMB_PAGE_LEN,
				    hv_vp_index[ch->cpu], NULL, 0);
	mutex_unlock(&vmbus.lock);
	if (!rc)
		rc = await(ch, &ch->opened);
	if (rc || !ch->open_status)
		return rc;
	pr_err("channel %u: the host refuses to open it with status %#x\n", ch->core.relid,
	       ch->open_status);
	return -EIO;
}

static int open_locked(struct vmb_channel *ch, u32 ring_len, const struct vmb_channel_ops *ops,
		       void *context)
{
	struct vmbus_rings *rings;
	int rc;

	if (ch->rings)
		return -EBUSY;
	rings = alloc_rings(2 * ring_len);
	if (!rings)
		return -ENOMEM;
	rc = present_rings(ch, rings);
	if (rc)
		return rc;
	set_up_rings(ch, rings, ring_len);
	ch->rings = rings;
	attach(ch, ops, context);
	rc = ask_open(ch, ring_len);
	if (rc)
		close_locked(ch);
	else
		set_open(ch, true);
	return rc;
}

int vmb_channel_open(struct vmb_channel *ch, u32 ring_len, const struct vmb_channel_ops *ops,
		     void *context)
{
	int rc;

	if (ring_len < 2 * VMB_PAGE_LEN || ring_len % VMB_PAGE_LEN)
		return -EINVAL;
	mutex_lock(&ch->mutex);
	rc = open_locked(ch, ring_len, ops, context);
	mutex_unlock(&ch->mutex);
	return rc;
}
EXPORT_SYMBOL_GPL(vmb_channel_open);

int vmb_channel_close(struct vmb_channel *ch)
{
	int rc;

	mutex_lock(&ch->mutex);
	rc = close_locked(ch);
	mutex_unlock(&ch->mutex);
	return rc;
}
EXPORT_SYMBOL_GPL(vmb_channel_close);

void *vmb_channel_context(const struct vmb_channel *ch)
{
	return ch->context;
}
EXPORT_SYMBOL_GPL(vmb_channel_context);

bool vmb_channel_rescinded(const struct vmb_channel *ch)
{
	return READ_ONCE(ch->core.rescinded);
}
EXPORT_SYMBOL_GPL(vmb_channel_rescinded);

/* ---- which CPU ---- */

/* The CPU with the fewest channels; vmbus.lock. */
u32 vmbus_channel_pick_cpu(void)
{
	u32 cpu, best = vmbus.connect_cpu;

	for_each_cpu(cpu, &vmbus.cpus)
		if (!cpumask_test_cpu(best, &vmbus.cpus) ||
		    vmbus.cpu_load[cpu] < vmbus.cpu_load[best])
			best = cpu;
	return best;
}

static void set_cpu(struct vmb_channel *ch, u32 cpu)
{
	mutex_lock(&vmbus.lock);
	vmbus.cpu_load[ch->cpu]--;
	vmbus.cpu_load[cpu]++;
	ch->cpu = cpu;
	mutex_unlock(&vmbus.lock);
}

/* Before 5.3 no answer comes, and the old CPU keeps being served for good. */
static int ask_move(struct vmb_channel *ch, u32 cpu)
{
	int rc;

	mutex_lock(&vmbus.lock);
	ch->modified = false;
	rc = vmb_guest_channel_modify(&ch->core, hv_vp_index[cpu]);
	mutex_unlock(&vmbus.lock);
	if (rc)
		return rc == -ENODEV ? 0 : rc;
	if (vmbus.connect.version < VMB_VERSION_5_3) {
		vmbus_connect_send();
		return 0;
	}
	rc = await(ch, &ch->modified);
	if (rc)
		return rc == -ENODEV ? 0 : rc;
	return ch->modify_status ? -EIO : 0;
}

int vmbus_channel_move(struct vmb_channel *ch, u32 cpu)
{
	int rc = 0;

	mutex_lock(&ch->mutex);
	if (cpu != ch->cpu && ch->rings)
		rc = ask_move(ch, cpu);
	if (!rc)
		set_cpu(ch, cpu);
	mutex_unlock(&ch->mutex);
	return rc;
}

static struct vmb_channel *first_on_cpu(u32 cpu)
{
	struct vmb_channel *ch, *found = NULL;

	mutex_lock(&vmbus.lock);
	list_for_each_entry(ch, &vmbus.channels, link)
		if (ch->cpu == cpu && kobject_get(&ch->kobj)) {
			found = ch;
			break;
		}
	mutex_unlock(&vmbus.lock);
	return found;
}

/*
 * Before a CPU goes: its channels move elsewhere. A host older than 5.3 never says when it has
 * stopped to interrupt the old CPU, so there an open channel keeps its CPU from going.
 */
int vmbus_channel_evacuate(u32 cpu)
{
	struct vmb_channel *ch;
	u32 target;
	int rc = 0;

	mutex_lock(&vmbus.lock);
	cpumask_clear_cpu(cpu, &vmbus.cpus);
	target = vmbus_channel_pick_cpu();
	mutex_unlock(&vmbus.lock);
	while (!rc && (ch = first_on_cpu(cpu))) {
		if (READ_ONCE(ch->rings) && vmbus.connect.version < VMB_VERSION_5_3)
			rc = -EBUSY;
		else
			rc = vmbus_channel_move(ch, target);
		kobject_put(&ch->kobj);
	}
	if (!rc)
		return 0;
	mutex_lock(&vmbus.lock);
	cpumask_set_cpu(cpu, &vmbus.cpus);
	mutex_unlock(&vmbus.lock);
	return rc;
}

/* ---- birth and death; vmbus.lock ---- */

struct vmb_channel *vmbus_channel_new(const struct vmb_msg_offer *offer)
{
	struct vmb_channel *ch = kzalloc(sizeof(*ch), GFP_KERNEL);

	if (!ch)
		return NULL;
	ch->core.port = ch;
	kobject_init(&ch->kobj, &vmbus_channel_type);
	mutex_init(&ch->mutex);
	spin_lock_init(&ch->tx_lock);
	tasklet_setup(&ch->tasklet, bottom_half);
	INIT_LIST_HEAD(&ch->link);
	INIT_WORK(&ch->add_work, vmbus_device_add);
	INIT_WORK(&ch->remove_work, vmbus_device_remove);
	ch->cpu = vmbus_channel_pick_cpu();
	vmbus.cpu_load[ch->cpu]++;
	return ch;
}

void vmbus_channel_free(struct vmb_channel *ch)
{
	vmbus.cpu_load[ch->cpu]--;
	kobject_put(&ch->kobj);
}
