// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attributes of the kernel's documented ABI (sysfs-bus-vmbus): /sys/bus/vmbus/devices/GUID and
 * its channels/RELID. Users parse them, so formats and meanings are the in-tree driver's.
 */
#include <linux/cpu.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <asm/mshyperv.h>
#include "ports/linux/compat.h"
#include "ports/linux/vmbus_internal.h"

#define VENDOR_MICROSOFT      0x1414

/* ---- monitor pages: docs/protocol/bus.md, "6.3 Monitor pages" ---- */

#define MONITOR_GROUP_SIZE    32
#define MONITOR_PENDING(id)   (8 + (id) / MONITOR_GROUP_SIZE * 8)
#define MONITOR_LATENCY(id)   (576 + (id)*2)
#define MONITOR_PARAMETER(id) (1088 + (id)*8)

enum monitor_page { SERVER, CLIENT };

/* The pages go with the connection, before the kernel does: after that all is 0. */
static u32 monitor_word(enum monitor_page page, u32 offset)
{
	const u8 *at = READ_ONCE(vmbus.monitor_pages[page]);

	return at ? READ_ONCE(*(const u32 *)(at + offset)) : 0;
}

static u32 monitor_pending(const struct vmb_channel *ch, enum monitor_page page)
{
	u32 id = ch->core.offer.monitor_id;

	return monitor_word(page, MONITOR_PENDING(id)) >> (id % MONITOR_GROUP_SIZE) & 1;
}

/* Two to a word. */
static u32 monitor_latency(const struct vmb_channel *ch, enum monitor_page page)
{
	u32 offset = MONITOR_LATENCY(ch->core.offer.monitor_id);

	return monitor_word(page, offset & ~3u) >> (offset & 2) * 8 & 0xffff;
}

static u32 monitor_connection(const struct vmb_channel *ch, enum monitor_page page)
{
	return monitor_word(page, MONITOR_PARAMETER(ch->core.offer.monitor_id));
}

/* ---- ring state; tx_lock, without which the ring may go ---- */

enum ring_direction { OUT, IN };

static const struct vmb_ring_control *ring_of(const struct vmb_channel *ch, enum ring_direction d)
{
	return d == OUT ? ch->tx.control : ch->rx.control;
}

static u32 ring_readable(const struct vmb_channel *ch, enum ring_direction d)
{
	const struct vmb_ring_control *ring = ring_of(ch, d);
	u32 write = READ_ONCE(ring->write_index), read = READ_ONCE(ring->read_index);
	u32 len = ch->tx.data_len;

	return write >= read ? write - read : len - read + write;
}

static u32 ring_writable(const struct vmb_channel *ch, enum ring_direction d)
{
	return ch->tx.data_len - ring_readable(ch, d);
}

static u32 ring_mask(const struct vmb_channel *ch, enum ring_direction d)
{
	return READ_ONCE(ring_of(ch, d)->interrupt_mask);
}

static u32 ring_read_index(const struct vmb_channel *ch, enum ring_direction d)
{
	return READ_ONCE(ring_of(ch, d)->read_index);
}

static u32 ring_write_index(const struct vmb_channel *ch, enum ring_direction d)
{
	return READ_ONCE(ring_of(ch, d)->write_index);
}

static ssize_t show_ring(struct vmb_channel *ch, char *buf, enum ring_direction d,
			 u32 (*value)(const struct vmb_channel *ch, enum ring_direction d))
{
	unsigned long flags;
	bool open;
	u32 shown = 0;

	spin_lock_irqsave(&ch->tx_lock, flags);
	open = ch->open;
	if (open)
		shown = value(ch, d);
	spin_unlock_irqrestore(&ch->tx_lock, flags);
	return open ? sysfs_emit(buf, "%u\n", shown) : -EINVAL;
}

/* ---- devices ---- */

static struct vmb_channel *channel_of(struct device *dev)
{
	return to_vmb_device(dev)->channel;
}

static ssize_t id_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", channel_of(dev)->core.relid);
}
static DEVICE_ATTR_RO(id);

/* The numbers are the in-tree driver's: offered, opening, open (still without a result), opened. */
static ssize_t state_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	static const u8 states[] = {
		[VMB_GUEST_CHANNEL_CLOSED] = 0,
		[VMB_GUEST_CHANNEL_OPENING] = 1,
		[VMB_GUEST_CHANNEL_OPEN] = 3,
	};
	u32 state = READ_ONCE(channel_of(dev)->core.state);

	return sysfs_emit(buf, "%u\n", state < ARRAY_SIZE(states) ? states[state] : 0);
}
static DEVICE_ATTR_RO(state);

static ssize_t monitor_id_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", channel_of(dev)->core.offer.monitor_id);
}
static DEVICE_ATTR_RO(monitor_id);

static ssize_t class_id_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "{%pUl}\n", &to_vmb_device(dev)->type_id);
}
static DEVICE_ATTR_RO(class_id);

static ssize_t device_id_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "{%pUl}\n", &to_vmb_device(dev)->instance_id);
}
static DEVICE_ATTR_RO(device_id);

static ssize_t modalias_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct vmb_guid *id = &to_vmb_device(dev)->type_id;

	return sysfs_emit(buf, "vmbus:%*phN\n", (int)sizeof(*id), id);
}
static DEVICE_ATTR_RO(modalias);

static ssize_t numa_node_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", cpu_to_node(channel_of(dev)->cpu));
}
static DEVICE_ATTR_RO(numa_node);

static ssize_t channel_vp_mapping_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct vmb_channel *ch = channel_of(dev), *sub;
	int len = sysfs_emit(buf, "%u:%u\n", ch->core.relid, ch->cpu);

	mutex_lock(&vmbus.lock);
	list_for_each_entry(sub, &ch->subs, sub_link)
		if (!list_empty(&sub->link))
			len += sysfs_emit_at(buf, len, "%u:%u\n", sub->core.relid, sub->cpu);
	mutex_unlock(&vmbus.lock);
	return len;
}
static DEVICE_ATTR_RO(channel_vp_mapping);

static ssize_t vendor_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "0x%x\n", VENDOR_MICROSOFT);
}
static DEVICE_ATTR_RO(vendor);

/* The number of a device type is its place in this list; the last stands for all others. */
static const struct vmb_guid device_types[] = {
	VMB_GUID_IDE,
	VMB_GUID_SCSI,
	VMB_GUID(0x2f9bcc4a, 0x0069, 0x4af3, 0xb7, 0x6b, 0x6f, 0xd0, 0xbe, 0x52, 0x8c, 0xda),
	VMB_GUID_NETWORK,
	VMB_GUID(0x8c2eaf3d, 0x32a7, 0x4b09, 0xab, 0x99, 0xbd, 0x1f, 0x1c, 0x86, 0xb5, 0x01),
	VMB_GUID(0x44c4f61d, 0x4444, 0x4400, 0x9d, 0x52, 0x80, 0x2e, 0x27, 0xed, 0xe1, 0x9f),
	VMB_GUID(0xda0a7802, 0xe377, 0x4aac, 0x8e, 0x77, 0x05, 0x58, 0xeb, 0x10, 0x73, 0xf8),
	VMB_GUID(0xf912ad6d, 0x2b17, 0x48ea, 0xbd, 0x65, 0xf9, 0x27, 0xa6, 0x1c, 0x76, 0x84),
	VMB_GUID(0xcfa8b69e, 0x5b4a, 0x4cc0, 0xb9, 0x8b, 0x8b, 0xa1, 0xa1, 0xf3, 0xf9, 0x5a),
	VMB_GUID(0xa9a0f4e7, 0x5a45, 0x4d96, 0xb8, 0x27, 0x8a, 0x84, 0x1e, 0x8c, 0x03, 0xe6),
	VMB_GUID(0x9527e630, 0xd0ae, 0x497b, 0xad, 0xce, 0xe8, 0x0a, 0xb0, 0x17, 0x5c, 0xaf),
	VMB_GUID(0x57164f39, 0x9115, 0x4e78, 0xab, 0x55, 0x38, 0x2f, 0x3b, 0xd5, 0x42, 0x2d),
	VMB_GUID(0x0e0b6031, 0x5213, 0x4934, 0x81, 0x8b, 0x38, 0xd9, 0x0c, 0xed, 0x39, 0xdb),
	VMB_GUID(0x34d14be3, 0xdee4, 0x41c8, 0x9a, 0xe7, 0x6b, 0x17, 0x49, 0x77, 0xc1, 0x92),
	VMB_GUID(0x35fa2e29, 0xea23, 0x4236, 0x96, 0xae, 0x3a, 0x6e, 0xba, 0xcb, 0xa4, 0x40),
	VMB_GUID(0x525074dc, 0x8985, 0x46e2, 0x80, 0x57, 0xa3, 0x07, 0xdc, 0x18, 0xa5, 0x02),
};

static ssize_t device_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(device_types); i++)
		if (vmb_guid_equal(&device_types[i], &to_vmb_device(dev)->type_id))
			break;
	return sysfs_emit(buf, "0x%x\n", i);
}
static DEVICE_ATTR_RO(device);

#define DEVICE_MONITOR(name, value, page)                                                        \
	static ssize_t name##_show(struct device *dev, struct device_attribute *attr, char *buf) \
	{                                                                                        \
		return sysfs_emit(buf, "%u\n", value(channel_of(dev), page));                    \
	}                                                                                        \
	static DEVICE_ATTR_RO(name)

DEVICE_MONITOR(server_monitor_pending, monitor_pending, SERVER);
DEVICE_MONITOR(client_monitor_pending, monitor_pending, CLIENT);
DEVICE_MONITOR(server_monitor_latency, monitor_latency, SERVER);
DEVICE_MONITOR(client_monitor_latency, monitor_latency, CLIENT);
DEVICE_MONITOR(server_monitor_conn_id, monitor_connection, SERVER);
DEVICE_MONITOR(client_monitor_conn_id, monitor_connection, CLIENT);

#define DEVICE_RING(name, value, direction)                                                      \
	static ssize_t name##_show(struct device *dev, struct device_attribute *attr, char *buf) \
	{                                                                                        \
		return show_ring(channel_of(dev), buf, direction, value);                        \
	}                                                                                        \
	static DEVICE_ATTR_RO(name)

DEVICE_RING(out_intr_mask, ring_mask, OUT);
DEVICE_RING(out_read_index, ring_read_index, OUT);
DEVICE_RING(out_write_index, ring_write_index, OUT);
DEVICE_RING(out_read_bytes_avail, ring_readable, OUT);
DEVICE_RING(out_write_bytes_avail, ring_writable, OUT);
DEVICE_RING(in_intr_mask, ring_mask, IN);
DEVICE_RING(in_read_index, ring_read_index, IN);
DEVICE_RING(in_write_index, ring_write_index, IN);
DEVICE_RING(in_read_bytes_avail, ring_readable, IN);
DEVICE_RING(in_write_bytes_avail, ring_writable, IN);

static struct attribute *device_attributes[] = {
	&dev_attr_id.attr,
	&dev_attr_state.attr,
	&dev_attr_class_id.attr,
	&dev_attr_device_id.attr,
	&dev_attr_modalias.attr,
	&dev_attr_numa_node.attr,
	&dev_attr_channel_vp_mapping.attr,
	&dev_attr_vendor.attr,
	&dev_attr_device.attr,
	&dev_attr_out_intr_mask.attr,
	&dev_attr_out_read_index.attr,
	&dev_attr_out_write_index.attr,
	&dev_attr_out_read_bytes_avail.attr,
	&dev_attr_out_write_bytes_avail.attr,
	&dev_attr_in_intr_mask.attr,
	&dev_attr_in_read_index.attr,
	&dev_attr_in_write_index.attr,
	&dev_attr_in_read_bytes_avail.attr,
	&dev_attr_in_write_bytes_avail.attr,
	NULL,
};

static struct attribute *device_monitor_attributes[] = {
	&dev_attr_monitor_id.attr,
	&dev_attr_server_monitor_pending.attr,
	&dev_attr_client_monitor_pending.attr,
	&dev_attr_server_monitor_latency.attr,
	&dev_attr_client_monitor_latency.attr,
	&dev_attr_server_monitor_conn_id.attr,
	&dev_attr_client_monitor_conn_id.attr,
	NULL,
};

static umode_t device_monitor_visible(struct kobject *kobj, struct attribute *attr, int i)
{
	return vmb_channel_monitored(channel_of(kobj_to_dev(kobj))) ? attr->mode : 0;
}

static const struct attribute_group device_group = {
	.attrs = device_attributes,
};

static const struct attribute_group device_monitor_group = {
	.attrs = device_monitor_attributes,
	.is_visible = device_monitor_visible,
};

const struct attribute_group *vmbus_device_groups[] = {
	&device_group,
	&device_monitor_group,
	VMBUS_OVERRIDE_GROUP,
	NULL,
};

/* ---- the bus ---- */

static ssize_t hibernation_show(ATTRIBUTE_BUS *bus, char *buf)
{
	return sysfs_emit(buf, "%d\n", hv_is_hibernation_supported());
}
static struct bus_attribute bus_attr_hibernation =
	__ATTR(hibernation, 0444, hibernation_show, NULL);

static struct attribute *bus_attributes[] = {
	&bus_attr_hibernation.attr,
	NULL,
};

static const struct attribute_group bus_group = {
	.attrs = bus_attributes,
};

const struct attribute_group *vmbus_bus_groups[] = {
	&bus_group,
	NULL,
};

/* ---- channels ---- */

struct channel_attribute {
	struct attribute attr;
	ssize_t (*show)(struct vmb_channel *ch, char *buf);
	ssize_t (*store)(struct vmb_channel *ch, const char *buf, size_t count);
};

#define CHANNEL_ATTR(name, mode, show, store) \
	static struct channel_attribute channel_attr_##name = __ATTR(name, mode, show, store)

#define CHANNEL_RING(name, value, direction)                                    \
	static ssize_t channel_##name##_show(struct vmb_channel *ch, char *buf) \
	{                                                                       \
		return show_ring(ch, buf, direction, value);                    \
	}                                                                       \
	CHANNEL_ATTR(name, 0444, channel_##name##_show, NULL)

#define CHANNEL_NUMBER(name, value)                                             \
	static ssize_t channel_##name##_show(struct vmb_channel *ch, char *buf) \
	{                                                                       \
		return sysfs_emit(buf, "%llu\n", (u64)(value));                 \
	}                                                                       \
	CHANNEL_ATTR(name, 0444, channel_##name##_show, NULL)

CHANNEL_RING(out_mask, ring_mask, OUT);
CHANNEL_RING(in_mask, ring_mask, IN);
CHANNEL_RING(read_avail, ring_readable, IN);
CHANNEL_RING(write_avail, ring_writable, OUT);
CHANNEL_NUMBER(interrupts, ch->interrupts);
CHANNEL_NUMBER(events, ch->signals + ch->room_signals);
CHANNEL_NUMBER(subchannel_id, ch->core.offer.sub_channel_index);
CHANNEL_NUMBER(monitor_id, ch->core.offer.monitor_id);
CHANNEL_NUMBER(pending, monitor_pending(ch, CLIENT));
CHANNEL_NUMBER(latency, monitor_latency(ch, CLIENT));
/* Interrupts that a full ring caused, and how often the ring was found full. */
CHANNEL_NUMBER(intr_in_full, ch->rx.counters.signals);
CHANNEL_NUMBER(intr_out_empty, ch->tx.counters.signals);
CHANNEL_NUMBER(out_full_first, ch->full_first);
CHANNEL_NUMBER(out_full_total, ch->tx.counters.full);

static ssize_t channel_cpu_show(struct vmb_channel *ch, char *buf)
{
	return sysfs_emit(buf, "%u\n", ch->cpu);
}

static ssize_t channel_cpu_store(struct vmb_channel *ch, const char *buf, size_t count)
{
	u32 cpu;
	int rc = kstrtou32(buf, 10, &cpu);

	if (rc)
		return rc;
	if (cpu >= nr_cpu_ids)
		return -EINVAL;
	if (vmbus.connect.version < VMB_VERSION_4_1)
		return -EIO;
	if (!vmbus_channel_may_use(cpu))
		return -EINVAL;
	/*
	 * When a CPU goes offline its channels are moved; a channel that arrives later would be
	 * missed.
	 */
	cpus_read_lock();
	rc = cpu_online(cpu) ? vmbus_channel_move(ch, cpu) : -EINVAL;
	cpus_read_unlock();
	return rc ? rc : count;
}
CHANNEL_ATTR(cpu, 0644, channel_cpu_show, channel_cpu_store);

static struct attribute *channel_attributes[] = {
	&channel_attr_out_mask.attr,
	&channel_attr_in_mask.attr,
	&channel_attr_read_avail.attr,
	&channel_attr_write_avail.attr,
	&channel_attr_cpu.attr,
	&channel_attr_interrupts.attr,
	&channel_attr_events.attr,
	&channel_attr_subchannel_id.attr,
	&channel_attr_intr_in_full.attr,
	&channel_attr_intr_out_empty.attr,
	&channel_attr_out_full_first.attr,
	&channel_attr_out_full_total.attr,
	NULL,
};

static struct attribute *channel_monitor_attributes[] = {
	&channel_attr_monitor_id.attr,
	&channel_attr_pending.attr,
	&channel_attr_latency.attr,
	NULL,
};

static struct vmb_channel *channel_of_kobj(struct kobject *kobj)
{
	return container_of(kobj, struct vmb_channel, kobj);
}

static umode_t channel_monitor_visible(struct kobject *kobj, struct attribute *attr, int i)
{
	return vmb_channel_monitored(channel_of_kobj(kobj)) ? attr->mode : 0;
}

static const struct attribute_group channel_group = {
	.attrs = channel_attributes,
};

static const struct attribute_group channel_monitor_group = {
	.attrs = channel_monitor_attributes,
	.is_visible = channel_monitor_visible,
};

static const struct attribute_group *channel_groups[] = {
	&channel_group,
	&channel_monitor_group,
	NULL,
};

static ssize_t channel_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	struct channel_attribute *a = container_of(attr, struct channel_attribute, attr);

	return a->show ? a->show(channel_of_kobj(kobj), buf) : -EIO;
}

static ssize_t channel_store(struct kobject *kobj, struct attribute *attr, const char *buf,
			     size_t count)
{
	struct channel_attribute *a = container_of(attr, struct channel_attribute, attr);

	return a->store ? a->store(channel_of_kobj(kobj), buf, count) : -EIO;
}

static const struct sysfs_ops channel_ops = {
	.show = channel_show,
	.store = channel_store,
};

static void channel_release(struct kobject *kobj)
{
	kfree(channel_of_kobj(kobj));
}

const struct kobj_type vmbus_channel_type = {
	.release = channel_release,
	.sysfs_ops = &channel_ops,
	.default_groups = channel_groups,
};
