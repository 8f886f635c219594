// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that the host is told about, and how it comes back. What the host may still write to is
 * never freed: who gave it is told to leak it.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "ports/linux/vmbus_internal.h"

#define RESCINDED_WAIT (5 * HZ)
#define SILENT_WAIT    (2 * HZ)

static void free_share(struct vmb_share *share)
{
	kvfree(share->pfns);
	kfree(share);
}

static u64 pfn_of(const void *page)
{
	return is_vmalloc_addr(page) ? vmalloc_to_pfn(page) : page_to_pfn(virt_to_page(page));
}

static struct vmb_share *alloc_share(struct vmb_channel *ch, void *memory, u32 len)
{
	struct vmb_share *share = kzalloc(sizeof(*share), GFP_KERNEL);
	u32 i;

	BUILD_BUG_ON(PAGE_SIZE != VMB_PAGE_LEN);
	BUILD_BUG_ON(VMB_SHARE_LEN_MAX != VMB_GUEST_GPADL_PAGES_MAX * VMB_PAGE_LEN);
	if (!share)
		return NULL;
	share->gpadl.port = share;
	share->channel = ch;
	share->page_count = len / VMB_PAGE_LEN;
	share->pfns = kvmalloc_array(share->page_count, sizeof(u64), GFP_KERNEL);
	if (!share->pfns) {
		free_share(share);
		return NULL;
	}
	for (i = 0; i < share->page_count; i++)
		share->pfns[i] = pfn_of(memory + (size_t)i * VMB_PAGE_LEN);
	return share;
}

static bool answered(const struct vmb_channel *ch, const bool *answer)
{
	return smp_load_acquire(answer) || READ_ONCE(ch->core.rescinded);
}

/* The primary channel's, which a device's channels share. */
static bool *silent_of(struct vmb_channel *ch)
{
	return ch->primary ? &ch->primary->silent : &ch->silent;
}

/*
 * Waits for an answer to what was just queued. A rescind ends the wait: an OPEN or a MODIFY that it
 * overtakes is not answered any more, and an answer that came before it is seen.
 */
static int await(struct vmb_channel *ch, const bool *answer, unsigned long limit)
{
	bool came;

	vmbus_connect_send();
	came = wait_event_timeout(vmbus.wait, answered(ch, answer), limit);
	WRITE_ONCE(*silent_of(ch), !came);
	if (!came)
		return -ETIMEDOUT;
	return smp_load_acquire(answer) ? 0 : -ENODEV;
}

int vmbus_share_await(struct vmb_channel *ch, const bool *answer)
{
	return await(ch, answer, VMBUS_WAIT);
}

/* A GPADL is answered on a rescinded channel too, by all hosts but the worst. */
static int await_created(struct vmb_share *share)
{
	int rc = vmbus_share_await(share->channel, &share->created);

	if (rc == -ENODEV &&
	    wait_event_timeout(vmbus.wait, smp_load_acquire(&share->created), RESCINDED_WAIT))
		rc = 0;
	return rc;
}

/*
 * With the rescind the host has let go of everything. Some answer a teardown all the same, others
 * never: one that was silent once is not waited for again.
 */
static int await_torn_of_rescinded(struct vmb_share *share)
{
	struct vmb_channel *ch = share->channel;

	if (!READ_ONCE(ch->mute) &&
	    !wait_event_timeout(vmbus.wait, smp_load_acquire(&share->torn), RESCINDED_WAIT))
		WRITE_ONCE(ch->mute, true);
	return smp_load_acquire(&share->torn) ? 0 : -ENODEV;
}

/*
 * After a host has left one request of a device unanswered, its teardowns are not waited for that
 * long until it answers one: a caller that closes may hold locks that the whole system needs, and
 * has a channel a queue to close.
 */
static int await_torn(struct vmb_share *share)
{
	struct vmb_channel *ch = share->channel;
	bool silent = READ_ONCE(*silent_of(ch));
	int rc = await(ch, &share->torn, silent ? SILENT_WAIT : VMBUS_WAIT);

	return rc == -ENODEV ? await_torn_of_rescinded(share) : rc;
}

/* The host has refused it, perhaps after the wait for its answer was given up. */
static bool refused(const struct vmb_share *share)
{
	return smp_load_acquire(&share->created) && share->status;
}

void vmb_channel_unshare_begin(struct vmb_share *share)
{
	if (!share || share->tearing)
		return;
	mutex_lock(&vmbus.lock);
	share->tearing = !refused(share) && !vmb_guest_gpadl_teardown(&share->gpadl);
	mutex_unlock(&vmbus.lock);
	vmbus_connect_send();
}
EXPORT_SYMBOL_GPL(vmb_channel_unshare_begin);

static void forget(struct vmb_share *share)
{
	mutex_lock(&vmbus.lock);
	vmb_guest_gpadl_forget(&share->gpadl);
	mutex_unlock(&vmbus.lock);
}

int vmb_channel_unshare(struct vmb_share *share)
{
	int rc = 0;

	if (!share)
		return 0;
	vmb_channel_unshare_begin(share);
	if (!refused(share))
		rc = share->tearing ? await_torn(share) : -EBUSY;
	if (rc)
		forget(share);
	if (rc && vmb_channel_rescinded(share->channel))
		rc = 0;
	if (rc)
		pr_err("channel %u: the host keeps %u pages of ours, they are lost\n",
		       share->channel->core.relid, share->page_count);
	free_share(share);
	return rc ? -ETIMEDOUT : 0;
}
EXPORT_SYMBOL_GPL(vmb_channel_unshare);

static int present(struct vmb_channel *ch, struct vmb_share *share)
{
	int rc;

	mutex_lock(&vmbus.lock);
	rc = vmb_guest_gpadl_establish(&ch->core, &share->gpadl, share->pfns, share->page_count,
				       share->page_count * VMB_PAGE_LEN, 0);
	mutex_unlock(&vmbus.lock);
	if (rc) {
		free_share(share);
		return rc;
	}
	rc = await_created(share);
	if (!rc && share->status) {
		pr_err("channel %u: the host refuses our memory with status %#x\n", ch->core.relid,
		       share->status);
		rc = -EIO;
	}
	if (rc && vmb_channel_unshare(share))
		rc = -ETIMEDOUT;
	return rc;
}

int vmb_channel_share(struct vmb_channel *ch, void *memory, u32 len, struct vmb_share **share)
{
	int rc;

	if (!len || len % VMB_PAGE_LEN || offset_in_page(memory))
		return -EINVAL;
	if (len > VMB_SHARE_LEN_MAX)
		return -EOVERFLOW;
	*share = alloc_share(ch, memory, len);
	if (!*share)
		return -ENOMEM;
	rc = present(ch, *share);
	if (rc)
		*share = NULL;
	return rc;
}
EXPORT_SYMBOL_GPL(vmb_channel_share);

u32 vmb_share_id(const struct vmb_share *share)
{
	return share->gpadl.id;
}
EXPORT_SYMBOL_GPL(vmb_share_id);
