// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bus as the driver model sees it: a device for each offered primary channel, named and
 * matched by GUID.
 */
#include <linux/slab.h>
#include <linux/string.h>
#include "ports/linux/compat.h"
#include "ports/linux/vmbus_ids.h"
#include "ports/linux/vmbus_internal.h"

/* ---- matching ---- */

/* The user's word counts more than the driver's own list: then there is no id to give. */
static int match(struct device *dev, MATCH_DRIVER *driver)
{
	struct hv_vmbus_device_id id;
	int chosen = vmbus_override_match(dev, driver);

	if (chosen >= 0)
		return chosen;
	return vmbus_ids_find(to_vmb_driver(driver), &to_vmb_device(dev)->type_id, &id);
}

static int uevent(UEVENT_DEVICE *dev, struct kobj_uevent_env *env)
{
	const struct vmb_device *device = to_vmb_device(dev);

	return add_uevent_var(env, "MODALIAS=vmbus:%*phN", (int)sizeof(device->type_id),
			      &device->type_id);
}

/* A channel that the driver left open is closed for it: its memory is about to go. */
static int probe(struct device *dev)
{
	struct vmb_device *device = to_vmb_device(dev);
	struct vmb_driver *driver = to_vmb_driver(dev->driver);
	struct hv_vmbus_device_id id;
	bool found;
	int rc;

	if (READ_ONCE(device->channel->removing))
		return -ENODEV;
	found = vmbus_ids_find(driver, &device->type_id, &id);
	rc = driver->probe(device, found ? &id : NULL);
	if (rc)
		vmb_channel_close(device->channel);
	return rc;
}

static void remove(struct device *dev)
{
	struct vmb_device *device = to_vmb_device(dev);
	struct vmb_driver *driver = to_vmb_driver(dev->driver);

	if (driver->remove)
		driver->remove(device);
	vmb_channel_close(device->channel);
}

static void shutdown(struct device *dev)
{
	struct vmb_driver *driver;

	if (!dev->driver)
		return;
	driver = to_vmb_driver(dev->driver);
	if (driver->shutdown)
		driver->shutdown(to_vmb_device(dev));
}

struct bus_type vmbus_bus = {
	.name = "vmbus",
	.match = match,
	.uevent = uevent,
	.probe = probe,
	.remove = remove,
	.shutdown = shutdown,
	.pm = &vmbus_device_sleep,
	.dev_groups = vmbus_device_groups,
	.bus_groups = vmbus_bus_groups,
	.drv_groups = vmbus_driver_groups,
};

int vmb_driver_register_owner(struct vmb_driver *driver, struct module *owner, const char *name)
{
	driver->driver.owner = owner;
	driver->driver.mod_name = name;
	driver->driver.bus = &vmbus_bus;
	return driver_register(&driver->driver);
}
EXPORT_SYMBOL_GPL(vmb_driver_register_owner);

void vmb_driver_unregister(struct vmb_driver *driver)
{
	driver_unregister(&driver->driver);
	vmbus_ids_free(driver);
}
EXPORT_SYMBOL_GPL(vmb_driver_unregister);

/* ---- devices ---- */

static void release(struct device *dev)
{
	struct vmb_device *device = to_vmb_device(dev);

	kobject_put(&device->channel->kobj);
	vmbus_override_free(dev);
	kfree(device);
}

static struct vmb_device *new_device(struct vmb_channel *ch)
{
	struct vmb_device *device = kzalloc(sizeof(*device), GFP_KERNEL);

	if (!device)
		return NULL;
	kobject_get(&ch->kobj);
	device->channel = ch;
	device->type_id = ch->core.offer.type_id;
	device->instance_id = ch->core.offer.instance_id;
	device->dev.bus = &vmbus_bus;
	device->dev.parent = vmbus.parent;
	device->dev.release = release;
	device_initialize(&device->dev);
	return device;
}

static void make_channels_folder(struct vmb_channel *ch)
{
	struct kset *channels = kset_create_and_add("channels", NULL, &ch->device->dev.kobj);

	if (!channels)
		return;
	ch->kobj.kset = channels;
	if (kobject_add(&ch->kobj, NULL, "%u", ch->core.relid))
		pr_warn("channel %u is missing in sysfs\n", ch->core.relid);
	vmbus_user_show_ring(ch);
	/* Sub-channels may have come with the probe. */
	mutex_lock(&vmbus.lock);
	ch->device->channels = channels;
	mutex_unlock(&vmbus.lock);
	vmbus_sub_check(ch);
}

/* Device work: the driver's probe may run in here and wait for the host. */
void vmbus_device_add(struct work_struct *work)
{
	struct vmb_channel *ch = container_of(work, struct vmb_channel, add_work);
	struct vmb_device *device = new_device(ch);
	int rc;

	if (!device)
		return;
	mutex_lock(&vmbus.lock);
	ch->device = device;
	mutex_unlock(&vmbus.lock);
	rc = dev_set_name(&device->dev, "%pUl", &device->instance_id);
	if (!rc)
		rc = device_add(&device->dev);
	if (rc) {
		pr_err("channel %u: no device, error %d\n", ch->core.relid, rc);
		mutex_lock(&vmbus.lock);
		ch->device = NULL;
		mutex_unlock(&vmbus.lock);
		put_device(&device->dev);
		return;
	}
	ch->registered = true;
	make_channels_folder(ch);
}

/*
 * The driver first, then its sub-channels, then what shows them. No driver is bound in between:
 * see probe().
 */
static void unregister(struct vmb_channel *ch)
{
	struct vmb_device *device = ch->device;

	device_release_driver(&device->dev);
	vmbus_sub_end(ch);
	if (ch->kobj.state_in_sysfs)
		kobject_del(&ch->kobj);
	if (device->channels)
		kset_unregister(device->channels);
	device_unregister(&device->dev);
}

/* Device work, once a channel: after a rescind, or when the bus goes. */
void vmbus_device_remove(struct work_struct *work)
{
	struct vmb_channel *ch = container_of(work, struct vmb_channel, remove_work);
	int rc = -ENODEV;

	if (ch->registered)
		unregister(ch);
	else
		vmbus_sub_end(ch);
	mutex_lock(&vmbus.lock);
	vmbus_channel_unlink(ch);
	if (ch->core.rescinded && !ch->asleep)
		rc = vmb_guest_channel_release(&ch->core);
	mutex_unlock(&vmbus.lock);
	if (!rc) {
		vmbus_connect_send();
		wait_event_timeout(vmbus.wait, vmb_guest_channel_gone(&ch->core), VMBUS_WAIT);
	}
	mutex_lock(&vmbus.lock);
	vmb_guest_channel_remove(&ch->core);
	vmbus_channel_free(ch);
	mutex_unlock(&vmbus.lock);
}

int vmbus_device_init(void)
{
	vmbus_override_enable(&vmbus_bus);
	return bus_register(&vmbus_bus);
}

/* Removes all devices; no new ones come. */
void vmbus_device_stop(void)
{
	struct vmb_channel *ch;

	mutex_lock(&vmbus.lock);
	vmbus.stopping = true;
	list_for_each_entry(ch, &vmbus.channels, link)
		if (!ch->removing && !ch->primary) {
			ch->removing = true;
			queue_work(vmbus.device_queue, &ch->remove_work);
		}
	mutex_unlock(&vmbus.lock);
	flush_workqueue(vmbus.device_queue);
	flush_workqueue(vmbus.sub_queue);
}

void vmbus_device_exit(void)
{
	bus_unregister(&vmbus_bus);
}
