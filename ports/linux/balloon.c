// SPDX-License-Identifier: GPL-2.0-only
/*
 * hvballoon.ko: dynamic memory of a guest. Reads what the host asks for, finds pages or takes them
 * back, and reports every second.
 */
#include <linux/delay.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include "ports/linux/balloon.h"

#define RING_LEN   (5 * VMB_PAGE_LEN) /* each way: a control page, and room for three messages */
#define SEND_MS	   10 /* a host that did not make room yet is looked at again */
#define LOOK_PAGES 512u /* pages between two looks at what this guest can spare */

static bool balloon = true;
module_param(balloon, bool, 0444);
MODULE_PARM_DESC(balloon, "Give memory to the host when it asks for some (Y)");

static bool hot_add = true;
module_param(hot_add, bool, 0444);
MODULE_PARM_DESC(hot_add, "Take memory that the host adds (Y)");

struct balloon {
	struct vmb_device *device;
	struct workqueue_struct *queue; /* ordered: what follows is its works' own */
	struct work_struct look;
	struct delayed_work report;
	bool running; /* the channel is open, and the host has not taken it away; atomic */
	struct balloon_pages pages;
	struct vmb_guest_balloon core;
	u8 packet[VMB_BALLOON_LEN_MAX];
};

/* ---- sending ---- */

/* Waits for room, which a sane host makes at once. Returns false: there is no channel any more. */
static bool flush(struct balloon *d)
{
	struct vmb_ring_part part = {};
	const struct vmb_ring_packet packet = {
		.type = VMB_PKT_INBAND,
		.payload = &part,
		.payload_count = 1,
	};
	int rc;

	while ((part.base = vmb_guest_balloon_output(&d->core, &part.len))) {
		rc = vmb_channel_send(d->device->channel, &packet);
		if (!rc) {
			vmb_guest_balloon_output_done(&d->core);
			continue;
		}
		if (rc != -EAGAIN || !READ_ONCE(d->running))
			return false;
		msleep(SEND_MS);
	}
	return true;
}

/* ---- giving ---- */

/* Pages that lie side by side are one range. */
struct run {
	unsigned long first, count;
};

static bool say_run(struct balloon *d, struct run *run)
{
	int rc = run->count ? vmb_guest_balloon_range(&d->core, run->first, run->count) : 0;

	while (rc == VMB_EAGAIN) { /* the message is full */
		vmb_guest_balloon_flush(&d->core);
		if (!flush(d))
			return false;
		rc = vmb_guest_balloon_range(&d->core, run->first, run->count);
	}
	run->count = 0;
	return true;
}

static bool add_to_run(struct balloon *d, struct run *run, unsigned long first, unsigned long count)
{
	if (run->count && first + count == run->first) {
		run->first = first;
	} else if (!run->count || run->first + run->count != first) {
		if (!say_run(d, run))
			return false;
		run->first = first;
	}
	run->count += count;
	return run->count < VMB_BALLOON_RANGE_PAGE_MAX - (1u << BALLOON_ORDER) || say_run(d, run);
}

/* Large pieces as long as there are some. */
static unsigned int take_some(struct balloon *d, unsigned int *order, unsigned long most,
			      unsigned long *first)
{
	if (most < 1u << *order)
		*order = 0;
	*first = balloon_pages_take(&d->pages, *order);
	if (!*first && *order) {
		*order = 0;
		*first = balloon_pages_take(&d->pages, 0);
	}
	return *first ? 1u << *order : 0;
}

static void give(struct balloon *d)
{
	unsigned long left = d->core.wanted, seen = 0, first;
	unsigned int order = BALLOON_ORDER, some;
	struct run run = {};

	while (left && READ_ONCE(d->running)) {
		if (!seen) {
			left = min(left, balloon_pages_spare());
			seen = LOOK_PAGES;
		}
		some = left ? take_some(d, &order, left, &first) : 0;
		if (!some)
			break;
		left -= some;
		seen -= min_t(unsigned long, some, seen);
		if (!add_to_run(d, &run, first, some))
			return;
		cond_resched();
	}
	if (say_run(d, &run) && flush(d))
		vmb_guest_balloon_given(&d->core);
}

/* ---- taking ---- */

/* A host that returns what it had not is not followed any further in this message. */
static bool take_range(struct balloon *d, u64 range)
{
	u64 first = VMB_BALLOON_RANGE_FIRST(range), count = VMB_BALLOON_RANGE_COUNT(range), i;

	for (i = 0; i < count; i++) {
		if (!balloon_pages_return(&d->pages, first + i))
			return false;
		cond_resched();
	}
	return true;
}

static void take(struct balloon *d)
{
	u32 i;

	for (i = 0; i < d->core.range_count; i++) {
		if (take_range(d, d->core.ranges[i]))
			continue;
		pr_warn_ratelimited("the host returned a page that it had not\n");
		break;
	}
	vmb_guest_balloon_taken(&d->core);
}

static void add(struct balloon *d)
{
	int rc = balloon_pages_add(&d->pages, d->core.add_first, d->core.add_count);

	if (rc)
		pr_warn("%llu MiB of new memory cannot be used: %d\n", d->core.add_count >> 8, rc);
	else
		pr_info("%llu MiB of new memory\n", d->core.add_count >> 8);
	vmb_guest_balloon_added(&d->core, rc ? 0 : d->core.add_count, rc && rc != -EAGAIN);
}

/* ---- the ring ---- */

static void take_packet(struct balloon *d, const struct vmb_ring_received *received)
{
	u32 at = sizeof(struct vmb_pkt_desc) + received->header_len;
	int step = VMB_EPROTO;

	if (received->type == VMB_PKT_INBAND && received->payload_len <= sizeof(d->packet) &&
	    vmb_channel_copy(d->device->channel, received, at, d->packet, received->payload_len))
		step = vmb_guest_balloon_input(&d->core, d->packet, received->payload_len);
	vmb_channel_next(d->device->channel, received);
	vmb_channel_release(d->device->channel);
	switch (step) {
	case VMB_GUEST_BALLOON_READY: queue_delayed_work(d->queue, &d->report, HZ); break;
	case VMB_GUEST_BALLOON_REFUSED: pr_info("the host wants no such driver\n"); break;
	case VMB_GUEST_BALLOON_ASKED: give(d); break;
	case VMB_GUEST_BALLOON_RETURNED: take(d); break;
	case VMB_GUEST_BALLOON_ADD: add(d); break;
	}
	flush(d);
}

static void look(struct work_struct *work)
{
	struct balloon *d = container_of(work, struct balloon, look);
	struct vmb_channel *ch = d->device->channel;
	struct vmb_ring_received received;

	if (!READ_ONCE(d->running))
		return;
	flush(d); /* the first time: the first message */
	do {
		vmb_channel_mask(ch);
		while (READ_ONCE(d->running) && !vmb_channel_read(ch, &received))
			take_packet(d, &received);
		vmb_channel_release(ch);
	} while (READ_ONCE(d->running) && vmb_channel_unmask(ch));
}

static void report(struct work_struct *work)
{
	struct balloon *d = container_of(to_delayed_work(work), struct balloon, report);
	struct vmb_balloon_status status;

	balloon_pages_status(&d->pages, &status);
	if (!vmb_guest_balloon_report(&d->core, &status))
		flush(d);
	if (READ_ONCE(d->running))
		queue_delayed_work(d->queue, &d->report, HZ);
}

static void doorbell(struct vmb_channel *ch)
{
	struct balloon *d = vmb_channel_context(ch);

	if (READ_ONCE(d->running))
		queue_work(d->queue, &d->look);
}

static void rescinded(struct vmb_channel *ch)
{
	struct balloon *d = vmb_channel_context(ch);

	WRITE_ONCE(d->running, false);
}

static const struct vmb_channel_ops channel_ops = { .doorbell = doorbell, .rescinded = rescinded };

/* ---- life ---- */

static u64 caps(void)
{
	unsigned int shift = balloon_pages_add_shift();
	u64 caps = balloon ? VMB_BALLOON_CAP_BALLOON : 0;

	/* the field has four bits */
	if (hot_add && IS_ENABLED(CONFIG_MEMORY_HOTPLUG) && shift <= VMB_BALLOON_CAP_ALIGN_MASK)
		caps |= VMB_BALLOON_CAP_ADD | (u64)shift << VMB_BALLOON_CAP_ALIGN_SHIFT;
	return caps;
}

/* A doorbell that rang before the channel was open is lost, so there is always a first look. */
static int start(struct balloon *d)
{
	int rc;

	vmb_guest_balloon_init(&d->core, caps());
	rc = vmb_channel_open(d->device->channel, RING_LEN, &channel_ops, d);
	if (rc)
		return rc;
	WRITE_ONCE(d->running, true);
	queue_work(d->queue, &d->look);
	return 0;
}

/*
 * The host forgets what it has when the channel closes, so all of it is ours again. The works end
 * first: they use the ring.
 */
static void stop(struct balloon *d)
{
	WRITE_ONCE(d->running, false);
	cancel_work_sync(&d->look);
	cancel_delayed_work_sync(&d->report);
	vmb_channel_close(d->device->channel);
	cancel_work_sync(&d->look); /* a doorbell that rang meanwhile */
	balloon_pages_return_all(&d->pages);
}

static int probe(struct vmb_device *device, const struct hv_vmbus_device_id *id)
{
	struct balloon *d = kzalloc(sizeof(*d), GFP_KERNEL);
	int rc = -ENOMEM;

	if (!d)
		return rc;
	d->device = device;
	balloon_pages_init(&d->pages);
	INIT_WORK(&d->look, look);
	INIT_DELAYED_WORK(&d->report, report);
	d->queue = alloc_ordered_workqueue("hvballoon", 0);
	if (d->queue)
		rc = start(d);
	if (!rc) {
		device->data = d;
		return 0;
	}
	if (d->queue)
		destroy_workqueue(d->queue);
	kfree(d);
	return rc;
}

static void remove(struct vmb_device *device)
{
	struct balloon *d = device->data;

	stop(d);
	destroy_workqueue(d->queue);
	kfree(d);
}

static int suspend(struct vmb_device *device)
{
	stop(device->data);
	return 0;
}

static int resume(struct vmb_device *device)
{
	return start(device->data);
}

static const struct hv_vmbus_device_id ids[] = {
	{ .guid = VMB_GUID_BALLOON },
	{},
};
MODULE_DEVICE_TABLE(vmbus, ids);

static struct vmb_driver hvballoon_driver = {
	.driver = {
		.name = "hvballoon",
		.probe_type = PROBE_PREFER_ASYNCHRONOUS,
	},
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.suspend = suspend,
	.resume = resume,
};

static int __init hvballoon_init(void)
{
	return vmb_driver_register(&hvballoon_driver);
}

static void __exit hvballoon_exit(void)
{
	vmb_driver_unregister(&hvballoon_driver);
}

module_init(hvballoon_init);
module_exit(hvballoon_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("OpenVMBus: Hyper-V dynamic memory");
