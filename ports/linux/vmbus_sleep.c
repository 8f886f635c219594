// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hibernation. A host's memory of the connection does not survive it as the guest's does: the image
 * is resumed on a host that has just spoken to the kernel which loaded it. So everything that the
 * host knows is taken back before the image is made, and made anew afterwards:
 *
 *   devices suspend   each driver closes its channels; its requests wait
 *   the bus suspends  UNLOAD; the channels stay, without a number: they are asleep
 *   (the image is made, written, loaded)
 *   the bus resumes   contact, offers; an offer of a device that is asleep wakes its channel
 *   devices resume    each driver opens its channels again. One that is not offered any more is
 *                     removed
 *
 * All this runs in the "noirq" phases, when no other device works any more and none works yet; the
 * hypervisor's interrupt is not masked in them. Suspend-to-idle needs none of it: the guest keeps
 * its memory and the host does not notice.
 */
#include <linux/smp.h>
#include <linux/suspend.h>
#include "ports/linux/vmbus_internal.h"

static u32 version; /* before the sleep */

/* ---- devices ---- */

static int suspend_device(struct device *dev)
{
	struct vmb_driver *driver = dev->driver ? to_vmb_driver(dev->driver) : NULL;

	if (!driver)
		return 0;
	if (driver->suspend && driver->resume)
		return driver->suspend(to_vmb_device(dev));
	dev_err(dev, "driver %s cannot hibernate\n", dev->driver->name);
	return -EOPNOTSUPP;
}

/* A device that is gone gets removed; that others fail must not keep the system from going on. */
static int resume_device(struct device *dev)
{
	struct vmb_device *device = to_vmb_device(dev);
	int rc;

	if (!dev->driver || vmb_channel_rescinded(device->channel))
		return 0;
	rc = to_vmb_driver(dev->driver)->resume(device);
	if (rc)
		dev_err(dev, "does not come back: error %d\n", rc);
	return rc;
}

const struct dev_pm_ops vmbus_device_sleep = {
	.freeze_noirq = suspend_device,
	.thaw_noirq = resume_device,
	.poweroff_noirq = suspend_device,
	.restore_noirq = resume_device,
};

/* ---- channels; vmbus.lock ---- */

/* The connection has ended, and with it what the engine knows of its channels. */
static void fall_asleep(struct vmb_channel *ch)
{
	struct vmb_msg_offer offer = ch->core.offer;

	vmb_guest_channel_remove(&ch->core);
	memset(&ch->core, 0, sizeof(ch->core));
	ch->core.port = ch;
	ch->core.offer = offer;
	ch->core.relid = offer.relid;
	ch->asleep = true;
	ch->cpu_before = ch->cpu;
}

/* An offer after the sleep. NULL: it is of no channel that sleeps. */
struct vmb_channel *vmbus_sleep_find(const struct vmb_msg_offer *offer)
{
	struct vmb_channel *ch;

	if (offer->sub_channel_index)
		return NULL;
	list_for_each_entry(ch, &vmbus.channels, link)
		if (ch->asleep && vmb_guid_equal(&ch->core.offer.type_id, &offer->type_id) &&
		    vmb_guid_equal(&ch->core.offer.instance_id, &offer->instance_id))
			return ch;
	return NULL;
}

/* CPUs went offline for the sleep, and their channels went elsewhere. */
void vmbus_sleep_wake(struct vmb_channel *ch, const struct vmb_msg_offer *offer)
{
	if (vmb_guest_channel_add(&vmbus.connect, &ch->core, offer))
		return;
	ch->asleep = false;
	if (!cpumask_test_cpu(ch->cpu_before, &vmbus.cpus))
		return;
	vmbus.cpu_load[ch->cpu]--;
	vmbus.cpu_load[ch->cpu_before]++;
	WRITE_ONCE(ch->cpu, ch->cpu_before);
}

/* ---- the bus ---- */

/* No device is being added or removed meanwhile, and no offer is taken. */
static void hold_devices(void)
{
	mutex_lock(&vmbus.lock);
	vmbus.stopping = true;
	mutex_unlock(&vmbus.lock);
	flush_workqueue(vmbus.device_queue);
}

static int suspend_bus(struct device *dev)
{
	struct vmb_channel *ch;

	hold_devices();
	version = vmbus.connect.version;
	vmbus_connect_stop();
	mutex_lock(&vmbus.lock);
	list_for_each_entry(ch, &vmbus.channels, link)
		fall_asleep(ch);
	mutex_unlock(&vmbus.lock);
	vmbus_synic_sleep();
	return 0;
}

/* A channel's folder is named after the number that the host gave it; vmbus.lock. */
static void rename_channels(void)
{
	struct vmb_channel *ch;
	char name[12];

	list_for_each_entry(ch, &vmbus.channels, link) {
		snprintf(name, sizeof(name), "%u", ch->core.relid);
		if (ch->kobj.state_in_sysfs && strcmp(name, kobject_name(&ch->kobj)) &&
		    kobject_rename(&ch->kobj, name))
			pr_warn("channel %s has another name in sysfs\n", name);
	}
}

static int resume_bus(struct device *dev)
{
	struct vmb_channel *ch;
	int rc;

	vmbus_synic_wake();
	rc = vmbus_connect_remake_pages();
	if (!rc)
		rc = vmbus_connect_start(version);
	if (rc)
		dev_err(dev, "no connection with the host after the sleep: error %d\n", rc);
	mutex_lock(&vmbus.lock);
	list_for_each_entry(ch, &vmbus.channels, link)
		if (ch->asleep)
			WRITE_ONCE(ch->core.rescinded, true);
	rename_channels();
	mutex_unlock(&vmbus.lock);
	return rc;
}

/* All devices are awake. Those that the host does not offer any more go. */
static void remove_sleepers(struct device *dev)
{
	struct vmb_channel *ch;

	mutex_lock(&vmbus.lock);
	list_for_each_entry(ch, &vmbus.channels, link)
		if (ch->asleep && ch->core.rescinded && !ch->removing) {
			ch->removing = true;
			queue_work(vmbus.device_queue, &ch->remove_work);
		}
	mutex_unlock(&vmbus.lock);
}

/* The firmware's sleep would take the host's view of the SynIC away, and no such host is known. */
static int refuse_firmware(struct device *dev)
{
	if (!pm_suspend_via_firmware())
		return 0;
	dev_err(dev, "suspend to RAM is not supported; suspend-to-idle and hibernation are\n");
	return -EOPNOTSUPP;
}

/* The other end of a connection does not sleep, nor does it come back. */
static int refuse_sockets(struct device *dev)
{
	bool any;

	mutex_lock(&vmbus.lock);
	any = vmbus_socket_any();
	mutex_unlock(&vmbus.lock);
	if (!any)
		return 0;
	dev_err(dev, "no hibernation while sockets (AF_VSOCK) are connected\n");
	return -EBUSY;
}

const struct dev_pm_ops vmbus_bus_sleep = {
	.freeze = refuse_sockets,
	.poweroff = refuse_sockets,
	.complete = remove_sleepers,
	.suspend = refuse_firmware,
	.freeze_noirq = suspend_bus,
	.thaw_noirq = resume_bus,
	.poweroff_noirq = suspend_bus,
	.restore_noirq = resume_bus,
};
