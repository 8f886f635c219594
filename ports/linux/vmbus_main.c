// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks whether there is a VMBus, and starts and stops the parts of the driver in order.
 *
 * The hypervisor itself was found and set up by the kernel's boot code. What is missing here is a
 * reason to decline: one line, and nothing was touched.
 */
#include <linux/acpi.h>
#include <linux/platform_device.h>
#include <asm/mshyperv.h>
#include "ports/linux/vmbus_internal.h"

static char *max_version;
module_param(max_version, charp, 0444);
MODULE_PARM_DESC(max_version, "newest protocol version, like 4.0 (default: newest known)");

static int parse_version(u32 *version)
{
	unsigned int major, minor;
	const u32 *known;

	*version = 0;
	if (!max_version)
		return 0;
	if (sscanf(max_version, "%u.%u", &major, &minor) != 2)
		return -EINVAL;
	*version = VMB_VERSION(major, minor);
	for (known = vmb_guest_connect_versions(); *known; known++)
		if (*known == *version)
			return 0;
	return -EINVAL;
}

/*
 * Missing feature bits are no reason to decline: Microsoft's own open host does not set the bits
 * for messages and events, and accepts both. The root partition is recognised by a bit that is set.
 */
static const char *why_not(void)
{
	if (!hv_is_hyperv_initialized())
		return "no Hyper-V here";
	if (hv_is_isolation_supported())
		return "confidential VMs are not supported";
	if (ms_hyperv.priv_high & VMB_FEATURE_EBX_CPU_MANAGEMENT)
		return "this is the root partition";
	if (!vmbus_synic_there())
		return "Hyper-V without VMBus: no synthetic interrupt controller";
	return NULL;
}

static int come_up(u32 version_max)
{
	int rc;

	rc = vmbus_connect_init();
	if (rc)
		return rc;
	rc = vmbus_device_init();
	if (rc)
		goto no_bus;
	rc = vmbus_synic_start();
	if (rc)
		goto no_synic;
	rc = vmbus_unload_init();
	if (rc)
		goto no_unload;
	rc = vmbus_connect_start(version_max);
	if (rc)
		goto no_connection;
	return 0;

no_connection:
	vmbus_unload_exit();
no_unload:
	vmbus_synic_stop();
no_synic:
	vmbus_device_exit();
no_bus:
	vmbus_connect_exit();
	return rc;
}

static void go_down(void)
{
	vmbus_device_stop();
	vmbus_connect_stop();
	vmbus_unload_exit();
	vmbus_synic_stop();
	vmbus_device_exit();
	vmbus_connect_exit();
}

/*
 * platform_driver_probe() does not return these: whether there was a device, and the result of its
 * probe.
 */
static u32 wanted_version __initdata;
static bool found __initdata;
static const char *declined __initdata;
static int result __initdata;

/*
 * Devices hang off the bus as ACPI knows it, where the kernel's own driver puts them: udev rules
 * and tools of Azure name disks by that path. Older kernels' own driver is bound to it too.
 */
static int __init vmbus_probe(struct platform_device *device)
{
	struct acpi_device *companion = ACPI_COMPANION(&device->dev);

	if (companion && companion->dev.driver) {
		declined = "the kernel's own hv_vmbus drives the bus";
		return -ENODEV;
	}
	found = true;
	vmbus.parent = companion ? &companion->dev : &device->dev;
	result = come_up(wanted_version);
	return result;
}

static const struct acpi_device_id acpi_ids[] = {
	{ "VMBUS" },
	{ "VMBus" },
	{},
};
MODULE_DEVICE_TABLE(acpi, acpi_ids);

static struct platform_driver vmbus_platform = {
	.driver = {
		.name = "openvmbus",
		.acpi_match_table = acpi_ids,
		.pm = &vmbus_bus_sleep,
	},
};

static int __init vmbus_init(void)
{
	const char *reason = why_not();
	int rc;

	if (!reason) {
		rc = parse_version(&wanted_version);
		if (rc) {
			pr_err("max_version=%s is no version that this driver knows\n",
			       max_version);
			return rc;
		}
		rc = platform_driver_probe(&vmbus_platform, vmbus_probe);
		if (found)
			return result;
		if (rc != -ENODEV)
			return rc;
		reason = declined ?: "no VMBus device in ACPI, or another driver has it";
	}
	pr_info("%s\n", reason);
	return -ENODEV;
}

static void __exit vmbus_exit(void)
{
	go_down();
	platform_driver_unregister(&vmbus_platform);
}

module_init(vmbus_init);
module_exit(vmbus_exit);

MODULE_LICENSE("GPL");
/* For who asks for the kernel's own by name, where that is not installed. */
MODULE_ALIAS("hv_vmbus");
MODULE_DESCRIPTION("OpenVMBus: Hyper-V's bus of synthetic devices");
