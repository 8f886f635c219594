// SPDX-License-Identifier: GPL-2.0-only
/* hvinput.ko: keyboard and mouse of a guest. This file has their channels and their life. */
#include "ports/linux/input.h"

#define RING_LEN (10 * VMB_PAGE_LEN) /* each way, as others have them */
#define LOOK_MAX 256u /* packets, before others have a turn */

/* ---- the ring ---- */

/* What finds no room is sent at the next look: the host answers, or types. */
static void flush(struct input_link *link)
{
	struct vmb_ring_part part = {};
	struct vmb_ring_packet packet = {
		.type = VMB_PKT_INBAND,
		.flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
		.payload = &part,
		.payload_count = 1,
	};

	while ((part.base = link->ops->output(link, &part.len))) {
		packet.transaction_id = ++link->transaction_id;
		if (vmb_channel_send(link->device->channel, &packet))
			return;
		link->ops->output_done(link);
	}
}

/* Completions say nothing. */
static void take_packet(struct input_link *link, const struct vmb_ring_received *received)
{
	u32 at = sizeof(struct vmb_pkt_desc) + received->header_len;
	int rc = VMB_EPROTO;

	if (received->type == VMB_PKT_COMPLETION)
		rc = 0;
	else if (received->type == VMB_PKT_INBAND &&
		 received->payload_len <= sizeof(link->packet) &&
		 vmb_channel_copy(link->device->channel, received, at, link->packet,
				  received->payload_len))
		rc = link->ops->input(link, received->payload_len);
	vmb_channel_next(link->device->channel, received);
	if (rc)
		dev_warn_ratelimited(&link->device->dev,
				     "the host sent what makes no sense here\n");
}

static void look(struct work_struct *work)
{
	struct input_link *link = container_of(work, struct input_link, look);
	struct vmb_channel *ch = link->device->channel;
	struct vmb_ring_received received;
	unsigned int budget = LOOK_MAX;

	if (!READ_ONCE(link->running))
		return;
	if (!link->started)
		link->ops->begin(link);
	link->started = true;
	flush(link);
	do {
		vmb_channel_mask(ch);
		while (budget && READ_ONCE(link->running) && !vmb_channel_read(ch, &received)) {
			take_packet(link, &received);
			flush(link);
			budget--;
		}
		vmb_channel_release(ch);
	} while (budget && READ_ONCE(link->running) && vmb_channel_unmask(ch));
	if (!budget)
		input_link_kick(link);
}

void input_link_kick(struct input_link *link)
{
	if (READ_ONCE(link->running))
		schedule_work(&link->look);
}

static void doorbell(struct vmb_channel *ch)
{
	input_link_kick(vmb_channel_context(ch));
}

static void rescinded(struct vmb_channel *ch)
{
	struct input_link *link = vmb_channel_context(ch);

	WRITE_ONCE(link->running, false);
}

static const struct vmb_channel_ops channel_ops = { .doorbell = doorbell, .rescinded = rescinded };

/* ---- life ---- */

/* A doorbell that rang before the channel was open is lost, so there is always a first look. */
int input_link_start(struct input_link *link)
{
	int rc;

	link->started = false;
	rc = vmb_channel_open(link->device->channel, RING_LEN, &channel_ops, link);
	if (rc)
		return rc;
	WRITE_ONCE(link->running, true);
	input_link_kick(link);
	return 0;
}

/* The work ends first: it uses the ring. */
void input_link_stop(struct input_link *link)
{
	WRITE_ONCE(link->running, false);
	cancel_work_sync(&link->look);
	vmb_channel_close(link->device->channel);
	cancel_work_sync(&link->look); /* a doorbell that rang meanwhile */
	link->ops->end(link);
}

static struct input_link *new_link(struct vmb_device *device)
{
	static const struct vmb_guid mouse = VMB_GUID_MOUSE;

	if (vmb_guid_equal(&device->type_id, &mouse))
		return input_mouse_new(device);
	return input_keyboard_new(device);
}

static void free_link(struct input_link *link)
{
	static const struct vmb_guid mouse = VMB_GUID_MOUSE;

	if (vmb_guid_equal(&link->device->type_id, &mouse))
		input_mouse_free(link);
	else
		input_keyboard_free(link);
}

static int probe(struct vmb_device *device, const struct hv_vmbus_device_id *id)
{
	struct input_link *link = new_link(device);
	int rc;

	if (!link)
		return -ENOMEM;
	INIT_WORK(&link->look, look);
	rc = input_link_start(link);
	if (rc)
		free_link(link);
	else
		device->data = link;
	return rc;
}

static void remove(struct vmb_device *device)
{
	struct input_link *link = device->data;

	input_link_stop(link);
	free_link(link);
}

static int suspend(struct vmb_device *device)
{
	input_link_stop(device->data);
	return 0;
}

static int resume(struct vmb_device *device)
{
	return input_link_start(device->data);
}

static const struct hv_vmbus_device_id ids[] = {
	{ .guid = GUID_INIT(0xf912ad6d, 0x2b17, 0x48ea, 0xbd, 0x65, 0xf9, 0x27, 0xa6, 0x1c, 0x76,
			    0x84) }, /* keyboard */
	{ .guid = GUID_INIT(0xcfa8b69e, 0x5b4a, 0x4cc0, 0xb9, 0x8b, 0x8b, 0xa1, 0xa1, 0xf3, 0xf9,
			    0x5a) }, /* mouse */
	{},
};
MODULE_DEVICE_TABLE(vmbus, ids);

static struct vmb_driver hvinput_driver = {
	.driver = {
		.name = "hvinput",
		.probe_type = PROBE_PREFER_ASYNCHRONOUS,
	},
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.suspend = suspend,
	.resume = resume,
};

static int __init hvinput_init(void)
{
	return vmb_driver_register(&hvinput_driver);
}

static void __exit hvinput_exit(void)
{
	vmb_driver_unregister(&hvinput_driver);
}

module_init(hvinput_init);
module_exit(hvinput_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("OpenVMBus: Hyper-V keyboard and mouse");
