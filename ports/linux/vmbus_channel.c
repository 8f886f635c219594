// SPDX-License-Identifier: GPL-2.0-only
/*
 * A channel between its offer and its end: open and close, the CPU that it interrupts.
 */
#include <linux/sched/isolation.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <linux/vmalloc.h>
#include <asm/mshyperv.h>
#include "ports/linux/vmbus_internal.h"

/* ---- open and close ---- */

/* Both rings and what the host must know of them. On failure nothing is left but, maybe, a leak. */
static int make_rings(struct vmb_channel *ch, u32 ring_len)
{
	u32 data_len = ring_len - VMB_PAGE_LEN;
	u8 *tx = vzalloc_node(2 * ring_len, cpu_to_node(ch->cpu)), *rx = tx + ring_len;
	int rc;

	if (!tx)
		return -ENOMEM;
	rc = vmb_channel_share(ch, tx, 2 * ring_len, &ch->rings);
	if (rc) {
		if (rc != -ETIMEDOUT)
			vfree(tx);
		return rc;
	}
	ch->ring_memory = tx;
	vmb_ring_writer_init(&ch->tx, tx, tx + VMB_PAGE_LEN, data_len, true);
	vmb_ring_reader_init(&ch->rx, rx, rx + VMB_PAGE_LEN, data_len, true);
	return 0;
}

/* What the host does not let go of is leaked, because it may write to it at any time. */
static int take_rings_back(struct vmb_channel *ch)
{
	int rc = vmb_channel_unshare(ch->rings);

	if (!rc)
		vfree(ch->ring_memory);
	ch->rings = NULL;
	ch->ring_memory = NULL;
	/*
	 * A driver that polls in spite of the rules finds no ring, instead of memory that was
	 * freed.
	 */
	memset(&ch->tx, 0, sizeof(ch->tx));
	memset(&ch->rx, 0, sizeof(ch->rx));
	return rc;
}

static int close_locked(struct vmb_channel *ch)
{
	if (!ch->rings)
		return 0;
	vmbus_ring_stop(ch);
	mutex_lock(&vmbus.lock);
	ch->ops = NULL;
	vmb_guest_channel_close(&ch->core);
	mutex_unlock(&vmbus.lock);
	return take_rings_back(ch);
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
		rc = vmbus_share_await(ch, &ch->opened);
	if (rc || !ch->open_status)
		return rc;
	pr_err("channel %u: the host refuses to open it with status %#x\n", ch->core.relid,
	       ch->open_status);
	return -EIO;
}

static int open_locked(struct vmb_channel *ch, u32 ring_len, const struct vmb_channel_ops *ops,
		       void *context)
{
	int rc;

	if (ch->rings)
		return -EBUSY;
	rc = make_rings(ch, ring_len);
	if (rc)
		return rc;
	mutex_lock(&vmbus.lock);
	ch->ops = ops;
	ch->context = context;
	ch->tolerates_delay = ops->tolerates_delay;
	mutex_unlock(&vmbus.lock);
	vmbus_ring_start(ch);
	rc = ask_open(ch, ring_len);
	if (rc)
		close_locked(ch);
	return rc;
}

int vmb_channel_open(struct vmb_channel *ch, u32 ring_len, const struct vmb_channel_ops *ops,
		     void *context)
{
	int rc;

	if (ring_len < 2 * VMB_PAGE_LEN || ring_len % VMB_PAGE_LEN ||
	    ring_len > VMB_SHARE_LEN_MAX / 2)
		return -EINVAL;
	mutex_lock(&ch->mutex);
	rc = open_locked(ch, ring_len, ops, context);
	mutex_unlock(&ch->mutex);
	if (ch->primary)
		vmbus_sub_check(ch);
	else if (!rc)
		vmbus_sub_opened(ch);
	return rc;
}
EXPORT_SYMBOL_GPL(vmb_channel_open);

int vmbus_channel_close(struct vmb_channel *ch)
{
	int rc;

	mutex_lock(&ch->mutex);
	rc = close_locked(ch);
	mutex_unlock(&ch->mutex);
	return rc;
}

int vmb_channel_close(struct vmb_channel *ch)
{
	int rc;

	if (!ch->primary)
		return vmbus_sub_close(ch);
	rc = vmbus_channel_close(ch);
	vmbus_sub_check(ch);
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

u32 vmb_channel_index(const struct vmb_channel *ch)
{
	return ch->core.offer.sub_channel_index;
}
EXPORT_SYMBOL_GPL(vmb_channel_index);

u32 vmb_channel_cpu(const struct vmb_channel *ch)
{
	return READ_ONCE(ch->cpu);
}
EXPORT_SYMBOL_GPL(vmb_channel_cpu);

bool vmb_channel_monitored(const struct vmb_channel *ch)
{
	return ch->core.offer.monitor_allocated & 1;
}
EXPORT_SYMBOL_GPL(vmb_channel_monitored);

/* ---- which CPU; vmbus.lock ---- */

/* Channels of primary's device, itself included, that interrupt cpu. */
static u32 count_siblings(const struct vmb_channel *primary, u32 cpu)
{
	const struct vmb_channel *sub;
	u32 count;

	if (!primary)
		return 0;
	count = primary->cpu == cpu;
	list_for_each_entry(sub, &primary->subs, sub_link)
		count += sub->cpu == cpu && !list_empty(&sub->link);
	return count;
}

/* Not one that the user has isolated from interrupts. */
bool vmbus_channel_may_use(u32 cpu)
{
	return cpumask_test_cpu(cpu, housekeeping_cpumask(HK_TYPE_MANAGED_IRQ));
}

static u32 node_load(int node)
{
	u32 cpu, load = 0;

	for_each_cpu(cpu, &vmbus.cpus)
		if (cpu_to_node(cpu) == node)
			load += vmbus.cpu_load[cpu];
	return load;
}

/*
 * First of all the CPU with the fewest channels of the same device, so that no two of its queues
 * share one as long as there is another; then the one with the fewest channels, of these one on the
 * NUMA node with the fewest. primary: the device's, NULL if this will be it.
 */
static u32 pick_cpu(const struct vmb_channel *primary)
{
	u32 cpu, best = vmbus.connect_cpu;
	u64 load, least = U64_MAX;

	if (vmbus.connect.version < VMB_VERSION_2_4)
		return best; /* such a host interrupts VP 0 only */
	for_each_cpu(cpu, &vmbus.cpus) {
		if (!vmbus_channel_may_use(cpu))
			continue;
		load = (u64)count_siblings(primary, cpu) << 48 | (u64)vmbus.cpu_load[cpu] << 24 |
		       node_load(cpu_to_node(cpu));
		if (load < least) {
			least = load;
			best = cpu;
		}
	}
	return best;
}

/* A channel that is being removed no longer counts. */
static void set_cpu(struct vmb_channel *ch, u32 cpu)
{
	mutex_lock(&vmbus.lock);
	if (!list_empty(&ch->link)) {
		vmbus.cpu_load[ch->cpu]--;
		vmbus.cpu_load[cpu]++;
		WRITE_ONCE(ch->cpu, cpu);
	}
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
	rc = vmbus_share_await(ch, &ch->modified);
	if (rc)
		return rc == -ENODEV ? 0 : rc;
	return ch->modify_status ? -EIO : 0;
}

/*
 * -EBUSY: it is being opened or closed. That can take the host minutes, and the CPUs are locked
 * here.
 */
int vmbus_channel_move(struct vmb_channel *ch, u32 cpu)
{
	int rc = 0;

	if (vmbus.connect.version < VMB_VERSION_2_4 && cpu != vmbus.connect_cpu)
		return -EOPNOTSUPP;
	if (!mutex_trylock(&ch->mutex))
		return -EBUSY;
	if (cpu != ch->cpu && ch->rings)
		rc = ask_move(ch, cpu);
	if (!rc)
		set_cpu(ch, cpu);
	mutex_unlock(&ch->mutex);
	return rc;
}

/* A channel that must leave cpu, with a reference, and where to. */
static struct vmb_channel *first_on_cpu(u32 cpu, u32 *target)
{
	struct vmb_channel *ch, *found = NULL;

	mutex_lock(&vmbus.lock);
	list_for_each_entry(ch, &vmbus.channels, link)
		if (ch->cpu == cpu && kobject_get(&ch->kobj)) {
			found = ch;
			*target = pick_cpu(ch->primary ? ch->primary : ch);
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
	mutex_unlock(&vmbus.lock);
	while (!rc && (ch = first_on_cpu(cpu, &target))) {
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

struct vmb_channel *vmbus_channel_new(const struct vmb_msg_offer *offer,
				      struct vmb_channel *primary)
{
	/*
	 * Message work is here, and what a disk waits for comes by a message: so memory that a disk
	 * must free first is not waited for.
	 */
	struct vmb_channel *ch = kzalloc(sizeof(*ch), GFP_NOIO);

	if (!ch)
		return NULL;
	ch->core.port = ch;
	ch->primary = primary;
	kobject_init(&ch->kobj, &vmbus_channel_type);
	mutex_init(&ch->mutex);
	vmbus_ring_init(ch);
	vmbus_sub_init(ch);
	INIT_WORK(&ch->add_work, vmbus_device_add);
	INIT_WORK(&ch->remove_work, vmbus_device_remove);
	ch->cpu = pick_cpu(primary);
	vmbus.cpu_load[ch->cpu]++;
	list_add_tail(&ch->link, &vmbus.channels);
	return ch;
}

/* It is at its end: no device has it, the host has it back or never will. */
void vmbus_channel_unlink(struct vmb_channel *ch)
{
	if (list_empty(&ch->link))
		return;
	list_del_init(&ch->link);
	vmbus.cpu_load[ch->cpu]--;
}

void vmbus_channel_free(struct vmb_channel *ch)
{
	vmbus_channel_unlink(ch);
	kobject_put(&ch->kobj);
}
