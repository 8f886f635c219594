// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attribute driver_override, by which the user chooses a device's driver, for kernels whose
 * driver core does not keep it. match() runs without the device's lock when a driver is registered,
 * so the name has a lock of its own.
 */
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include "ports/linux/compat.h"
#include "ports/linux/vmbus_internal.h"

#ifdef VMBUS_OWN_OVERRIDE

static DEFINE_SPINLOCK(lock); /* all devices' names */

int vmbus_override_match(struct device *dev, const struct device_driver *driver)
{
	const char *name;
	int rc = -1;

	spin_lock(&lock);
	name = to_vmb_device(dev)->driver_override;
	if (name)
		rc = !strcmp(name, driver->name);
	spin_unlock(&lock);
	return rc;
}

void vmbus_override_free(struct device *dev)
{
	kfree(to_vmb_device(dev)->driver_override);
}

static ssize_t driver_override_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	ssize_t len;

	spin_lock(&lock);
	len = sysfs_emit(buf, "%s\n", to_vmb_device(dev)->driver_override);
	spin_unlock(&lock);
	return len;
}

/* An empty line takes it back. */
static ssize_t driver_override_store(struct device *dev, struct device_attribute *attr,
				     const char *buf, size_t count)
{
	size_t len = strcspn(buf, "\n");
	char *name = NULL;

	if (count >= PAGE_SIZE - 1)
		return -EINVAL;
	if (len) {
		name = kstrndup(buf, len, GFP_KERNEL);
		if (!name)
			return -ENOMEM;
	}
	spin_lock(&lock);
	swap(name, to_vmb_device(dev)->driver_override);
	spin_unlock(&lock);
	kfree(name);
	return count;
}
static DEVICE_ATTR_RW(driver_override);

static struct attribute *attributes[] = {
	&dev_attr_driver_override.attr,
	NULL,
};

const struct attribute_group vmbus_override_group = {
	.attrs = attributes,
};

#endif
