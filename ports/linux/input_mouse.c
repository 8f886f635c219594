// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mouse, as a device of the HID layer: what the host describes is its affair, and what the
 * description and the reports mean is that of the layer.
 */
#include <linux/hid.h>
#include "ports/linux/input.h"

struct mouse {
	struct input_link link;
	struct vmb_guest_mouse core;
	struct hid_device *hid; /* NULL: no host has described one yet */
	/* The layer fills up a report that is shorter than the description says, in this place. */
	u8 report[HID_MAX_BUFFER_SIZE];
};

static struct mouse *mouse_of(struct input_link *link)
{
	return container_of(link, struct mouse, link);
}

/* ---- the device of the system ---- */

static int nothing(struct hid_device *hid)
{
	return 0;
}

static void nothing_either(struct hid_device *hid)
{
}

/* Only while hid_add_device() runs, in the work. */
static int parse(struct hid_device *hid)
{
	struct mouse *m = hid->driver_data;

	return hid_parse_report(hid, m->core.descriptor, m->core.info.descriptor_len);
}

static int request(struct hid_device *hid, unsigned char number, __u8 *buffer, size_t len,
		   unsigned char type, int what)
{
	return -EOPNOTSUPP; /* the protocol has no such thing */
}

static struct hid_ll_driver transport = {
	.start = nothing,
	.stop = nothing_either,
	.open = nothing,
	.close = nothing_either,
	.parse = parse,
	.raw_request = request,
};

static void describe(struct mouse *m, struct hid_device *hid)
{
	hid->ll_driver = &transport;
	hid->driver_data = m;
	hid->bus = BUS_VIRTUAL;
	hid->vendor = m->core.info.vendor;
	hid->product = m->core.info.product;
	hid->version = m->core.info.version;
	hid->dev.parent = &m->link.device->dev;
	strscpy(hid->name, "OpenVMBus mouse", sizeof(hid->name));
	strscpy(hid->phys, dev_name(&m->link.device->dev), sizeof(hid->phys));
}

/* Once, when a host has described it; it stays over hibernation. */
static void announce(struct mouse *m)
{
	struct hid_device *hid;
	int rc;

	if (m->hid)
		return;
	hid = hid_allocate_device();
	if (IS_ERR(hid)) {
		pr_warn("no HID device for the mouse: %ld\n", PTR_ERR(hid));
		return;
	}
	describe(m, hid);
	m->hid = hid;
	rc = hid_add_device(hid);
	if (!rc)
		return;
	pr_warn("the description of the mouse is of no use: %d\n", rc);
	m->hid = NULL;
	hid_destroy_device(hid);
}

static void point(struct mouse *m, const struct vmb_guest_mouse_report *report)
{
	if (!m->hid)
		return;
	memcpy(m->report, report->bytes, report->len);
	hid_input_report(m->hid, HID_INPUT_REPORT, m->report, report->len, 1);
}

/* ---- the channel ---- */

static void begin(struct input_link *link)
{
	vmb_guest_mouse_init(&mouse_of(link)->core);
}

static const void *output(struct input_link *link, u32 *len)
{
	return vmb_guest_mouse_output(&mouse_of(link)->core, len);
}

static void output_done(struct input_link *link)
{
	vmb_guest_mouse_output_done(&mouse_of(link)->core);
}

static int input(struct input_link *link, u32 len)
{
	struct vmb_guest_mouse_report report;
	struct mouse *m = mouse_of(link);
	int step = vmb_guest_mouse_input(&m->core, link->packet, len, &report);

	if (step == VMB_GUEST_MOUSE_READY)
		announce(m);
	else if (step == VMB_GUEST_MOUSE_REFUSED)
		pr_info("the host has another version of the mouse\n");
	else if (step == VMB_GUEST_MOUSE_REPORT)
		point(m, &report);
	return step < 0 ? step : 0;
}

/* The host's next report says which buttons are down. */
static void end(struct input_link *link)
{
}

static const struct input_link_ops ops = {
	.begin = begin,
	.output = output,
	.output_done = output_done,
	.input = input,
	.end = end,
};

struct input_link *input_mouse_new(struct vmb_device *device)
{
	struct mouse *m = kzalloc(sizeof(*m), GFP_KERNEL);

	if (!m)
		return NULL;
	m->link.device = device;
	m->link.ops = &ops;
	return &m->link;
}

void input_mouse_free(struct input_link *link)
{
	struct mouse *m = mouse_of(link);

	if (m->hid)
		hid_destroy_device(m->hid);
	kfree(m);
}
