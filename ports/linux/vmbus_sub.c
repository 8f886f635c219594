// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sub-channels: the further channels of a device. They hang on their primary, from the offer until
 * that is closed; the driver may hold their pointers as long.
 *
 *   offered -> told (once the primary is open) -> opened and closed by the driver, or never
 *   rescinded and closed -> RELID_RELEASED; the driver's pointer stays good, and opens nothing
 *   the primary is closed -> closed, RELID_RELEASED if that was not sent yet, freed
 *
 * The host may rescind one in each of these states. Sub work does what follows from that; whoever
 * changes the state of a sub-channel wakes it with vmbus_sub_check().
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "ports/linux/vmbus_internal.h"

/* Of one device, those included that the host took away and the driver still may have. */
#define SUB_COUNT_MAX VMB_CHANNEL_COUNT_MAX

/* ---- offers; vmbus.lock ---- */

static struct vmb_channel *find_primary(const struct vmb_msg_offer *offer)
{
	struct vmb_channel *ch;

	list_for_each_entry(ch, &vmbus.channels, link)
		if (!ch->primary && !ch->core.rescinded &&
		    vmb_guid_equal(&ch->core.offer.type_id, &offer->type_id) &&
		    vmb_guid_equal(&ch->core.offer.instance_id, &offer->instance_id))
			return ch;
	return NULL;
}

static bool index_taken(const struct vmb_channel *primary, u32 index)
{
	const struct vmb_channel *sub;

	list_for_each_entry(sub, &primary->subs, sub_link)
		if (!sub->core.rescinded && vmb_channel_index(sub) == index)
			return true;
	return false;
}

/* The channel that an offered sub-channel belongs to; NULL: it is not to be taken. */
struct vmb_channel *vmbus_sub_primary(const struct vmb_msg_offer *offer)
{
	struct vmb_channel *primary = find_primary(offer);

	if (primary && primary->sub_count < SUB_COUNT_MAX &&
	    !index_taken(primary, offer->sub_channel_index))
		return primary;
	pr_warn_ratelimited("channel %u: no place for sub-channel %u\n", offer->relid,
			    offer->sub_channel_index);
	return NULL;
}

void vmbus_sub_offered(struct vmb_channel *sub)
{
	list_add_tail(&sub->sub_link, &sub->primary->subs);
	sub->primary->sub_count++;
	vmbus_sub_check(sub);
}

/* ---- sub work ---- */

/* Any context. ch: a sub-channel that changed, or a primary. */
void vmbus_sub_check(struct vmb_channel *ch)
{
	queue_work(vmbus.sub_queue, ch->primary ? &ch->primary->sub_work : &ch->sub_work);
}

static void hide(struct vmb_channel *sub)
{
	if (sub->kobj.state_in_sysfs)
		kobject_del(&sub->kobj);
}

static void await_gone(struct vmb_channel *sub)
{
	vmbus_connect_send();
	wait_event_timeout(vmbus.wait, vmb_guest_channel_gone(&sub->core), VMBUS_WAIT);
}

/* vmbus.lock and sub_mutex; nobody has a pointer to it any more. */
static void forget(struct vmb_channel *sub)
{
	vmb_guest_channel_remove(&sub->core);
	list_del(&sub->sub_link);
	vmbus_channel_free(sub);
}

/* The next one that was rescinded and whose last message could now be queued, or NULL. */
static struct vmb_channel *next_released(struct vmb_channel *primary)
{
	struct vmb_channel *sub, *found = NULL;

	mutex_lock(&vmbus.lock);
	list_for_each_entry(sub, &primary->subs, sub_link)
		if (sub->core.rescinded && !vmb_guest_channel_release(&sub->core)) {
			found = sub;
			break;
		}
	mutex_unlock(&vmbus.lock);
	return found;
}

/*
 * The host may reuse its number at once, but sub work adds that to the sysfs folder only after
 * this.
 */
static void retire(struct vmb_channel *sub)
{
	hide(sub);
	await_gone(sub);
	mutex_lock(&vmbus.lock);
	vmbus_channel_unlink(sub);
	if (!sub->told) {
		sub->primary->sub_count--;
		forget(sub);
	}
	mutex_unlock(&vmbus.lock);
}

static struct vmb_channel *next_hidden(struct vmb_channel *primary, struct kset **channels)
{
	struct vmb_channel *sub, *found = NULL;

	mutex_lock(&vmbus.lock);
	*channels = primary->device ? primary->device->channels : NULL;
	list_for_each_entry(sub, &primary->subs, sub_link)
		if (*channels && !sub->shown && !sub->core.released) {
			sub->shown = true;
			found = sub;
			break;
		}
	mutex_unlock(&vmbus.lock);
	return found;
}

static void show(struct vmb_channel *sub, struct kset *channels)
{
	sub->kobj.kset = channels;
	if (kobject_add(&sub->kobj, NULL, "%u", sub->core.relid))
		pr_warn("channel %u is missing in sysfs\n", sub->core.relid);
	vmbus_user_show_ring(sub);
}

static struct vmb_channel *next_untold(struct vmb_channel *primary)
{
	struct vmb_channel *sub, *found = NULL;

	mutex_lock(&vmbus.lock);
	list_for_each_entry(sub, &primary->subs, sub_link)
		if (primary->telling && !sub->told && !sub->core.rescinded) {
			sub->told = true;
			found = sub;
			break;
		}
	mutex_unlock(&vmbus.lock);
	return found;
}

static void sub_work(struct work_struct *work)
{
	struct vmb_channel *primary = container_of(work, struct vmb_channel, sub_work);
	unsigned int noio = memalloc_noio_save(); /* a disk's new connection waits for this */
	struct vmb_channel *sub;
	struct kset *channels;

	mutex_lock(&primary->sub_mutex);
	while ((sub = next_released(primary)))
		retire(sub);
	while ((sub = next_hidden(primary, &channels)))
		show(sub, channels);
	while ((sub = next_untold(primary)))
		primary->ops->sub_channel(primary, sub);
	mutex_unlock(&primary->sub_mutex);
	memalloc_noio_restore(noio);
}

/* ---- the primary's end ---- */

static struct vmb_channel *next_open(struct vmb_channel *primary)
{
	struct vmb_channel *sub, *found = NULL;

	mutex_lock(&vmbus.lock);
	list_for_each_entry(sub, &primary->subs, sub_link)
		if (READ_ONCE(sub->rings)) {
			found = sub;
			break;
		}
	mutex_unlock(&vmbus.lock);
	return found;
}

static int close_all(struct vmb_channel *primary)
{
	struct vmb_channel *sub;
	int rc = 0;

	while ((sub = next_open(primary)))
		rc = vmbus_channel_close(sub) ?: rc;
	return rc;
}

static void release_list(struct list_head *subs)
{
	struct vmb_channel *sub;

	mutex_lock(&vmbus.lock);
	list_for_each_entry(sub, subs, sub_link)
		vmb_guest_channel_release(&sub->core);
	mutex_unlock(&vmbus.lock);
	/*
	 * A sub-channel that is not released has an OPEN that the host never answered: give it up.
	 */
	list_for_each_entry(sub, subs, sub_link)
		if (sub->core.released)
			await_gone(sub);
}

/*
 * All sub-channels must be closed. One pass is enough: sub-channels that are offered meanwhile
 * belong to the next opening.
 */
static void release_all(struct vmb_channel *primary)
{
	struct vmb_channel *sub, *next;
	LIST_HEAD(subs);

	mutex_lock(&vmbus.lock);
	list_splice_init(&primary->subs, &subs);
	primary->sub_count = 0;
	mutex_unlock(&vmbus.lock);
	if (list_empty(&subs))
		return;
	list_for_each_entry(sub, &subs, sub_link)
		hide(sub);
	release_list(&subs);
	mutex_lock(&vmbus.lock);
	list_for_each_entry_safe(sub, next, &subs, sub_link)
		forget(sub);
	mutex_unlock(&vmbus.lock);
}

int vmb_channel_drop_subs(struct vmb_channel *primary)
{
	int rc;

	mutex_lock(&primary->sub_mutex);
	rc = close_all(primary);
	release_all(primary);
	mutex_unlock(&primary->sub_mutex);
	return rc;
}
EXPORT_SYMBOL_GPL(vmb_channel_drop_subs);

static void set_telling(struct vmb_channel *primary, bool telling)
{
	mutex_lock(&vmbus.lock);
	primary->telling = telling;
	mutex_unlock(&vmbus.lock);
}

/*
 * Closes the device's channels, the primary last, and gives the others back only then: the host
 * offers none behind the close of the primary, so when that is confirmed all offers that belonged
 * to this opening are here.
 */
int vmbus_sub_close(struct vmb_channel *primary)
{
	int rc, sub_rc;

	mutex_lock(&primary->sub_mutex);
	set_telling(primary, false);
	sub_rc = close_all(primary);
	rc = vmbus_channel_close(primary);
	release_all(primary);
	mutex_unlock(&primary->sub_mutex);
	return rc ? rc : sub_rc;
}

void vmbus_sub_opened(struct vmb_channel *primary)
{
	if (!primary->ops->sub_channel)
		return;
	set_telling(primary, true);
	vmbus_sub_check(primary);
}

/* The primary was rescinded or the bus goes, so no offers come any more. The driver has left. */
void vmbus_sub_end(struct vmb_channel *primary)
{
	vmb_channel_drop_subs(primary);
	cancel_work_sync(&primary->sub_work);
}

void vmbus_sub_init(struct vmb_channel *ch)
{
	mutex_init(&ch->sub_mutex);
	INIT_LIST_HEAD(&ch->subs);
	INIT_LIST_HEAD(&ch->sub_link);
	INIT_WORK(&ch->sub_work, sub_work);
}
