// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which classes of device a driver takes: those of its own list, and those that the user adds and
 * takes back by its attributes new_id and remove_id (a GUID), as with the kernel's own driver. What
 * a driver has stays with it when its id is taken back.
 */
#include <linux/device.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/sysfs.h>
#include <linux/uuid.h>
#include "ports/linux/vmbus_ids.h"

struct vmb_added_id {
	struct vmb_added_id *next;
	guid_t guid;
};

static DEFINE_SPINLOCK(lock); /* all drivers' added ids */

/* Under the lock. Returns where the id hangs, or the end. */
static struct vmb_added_id **find_added(struct vmb_driver *driver, const guid_t *guid)
{
	struct vmb_added_id **at = &driver->added_ids;

	while (*at && !guid_equal(&(*at)->guid, guid))
		at = &(*at)->next;
	return at;
}

bool vmbus_ids_find(struct vmb_driver *driver, const struct vmb_guid *type,
		    struct hv_vmbus_device_id *found)
{
	const struct hv_vmbus_device_id *id;
	bool added;
	guid_t guid;

	memcpy(&guid, type, sizeof(guid));
	for (id = driver->id_table; !guid_is_null(&id->guid); id++)
		if (guid_equal(&id->guid, &guid)) {
			*found = *id;
			return true;
		}
	*found = (struct hv_vmbus_device_id){ .guid = guid };
	spin_lock(&lock);
	added = *find_added(driver, &guid) != NULL;
	spin_unlock(&lock);
	return added;
}

static int add(struct vmb_driver *driver, const guid_t *guid)
{
	struct vmb_added_id *id = kzalloc(sizeof(*id), GFP_KERNEL), **at;
	int rc = -EEXIST;

	if (!id)
		return -ENOMEM;
	id->guid = *guid;
	spin_lock(&lock);
	at = find_added(driver, guid);
	if (!*at) {
		*at = id;
		id = NULL;
		rc = 0;
	}
	spin_unlock(&lock);
	kfree(id);
	return rc;
}

/* The devices that are there already are looked at anew. */
static ssize_t new_id_store(struct device_driver *drv, const char *buf, size_t count)
{
	guid_t guid;
	int rc = guid_parse(buf, &guid);

	if (!rc && guid_is_null(&guid))
		rc = -EINVAL;
	if (!rc)
		rc = add(to_vmb_driver(drv), &guid);
	if (!rc)
		rc = driver_attach(drv);
	return rc ? rc : count;
}
static DRIVER_ATTR_WO(new_id);

static ssize_t remove_id_store(struct device_driver *drv, const char *buf, size_t count)
{
	struct vmb_added_id **at, *id;
	guid_t guid;
	int rc = guid_parse(buf, &guid);

	if (rc)
		return rc;
	spin_lock(&lock);
	at = find_added(to_vmb_driver(drv), &guid);
	id = *at;
	if (id)
		*at = id->next;
	spin_unlock(&lock);
	kfree(id);
	return id ? count : -ENODEV;
}
static DRIVER_ATTR_WO(remove_id);

/* The driver is gone, and its attributes with it. */
void vmbus_ids_free(struct vmb_driver *driver)
{
	struct vmb_added_id *id;

	while ((id = driver->added_ids)) {
		driver->added_ids = id->next;
		kfree(id);
	}
}

static struct attribute *attributes[] = {
	&driver_attr_new_id.attr,
	&driver_attr_remove_id.attr,
	NULL,
};

static const struct attribute_group group = {
	.attrs = attributes,
};

const struct attribute_group *vmbus_driver_groups[] = {
	&group,
	NULL,
};
