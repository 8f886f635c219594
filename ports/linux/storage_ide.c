// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which units of the IDE class storvsc takes. The offer does not say whether a unit is a disk or a
 * DVD drive, so it is asked; a unit that is declined (-ENODEV) goes to the next driver that knows
 * the class, whichever of them was loaded first.
 */
#include <linux/module.h>
#include <linux/string.h>
#include "ports/linux/storage.h"

#define INQUIRY_LEN	  36
#define INQUIRY_TIMEOUT_S 30
#define DEVICE_PRESENT	  0 /* peripheral qualifier */
#define DEVICE_CD	  5 /* peripheral device type */

enum ide_choice {
	IDE_NONE,
	IDE_DVD,
	IDE_ALL,
};
static const char *const choices[] = { "none", "dvd", "all" };

static char *ide = "dvd";
module_param(ide, charp, 0444);
MODULE_PARM_DESC(ide, "IDE units to take: none, dvd (default; disks are blkvsc's) or all");

static enum ide_choice choice;

int __init storvsc_ide_init(void)
{
	int found = match_string(choices, ARRAY_SIZE(choices), ide);

	if (found < 0) {
		pr_err("storvsc: ide=%s: there are none, dvd and all\n", ide);
		return -EINVAL;
	}
	choice = found;
	return 0;
}

/* The first byte of the unit's INQUIRY data: qualifier << 5 | type. */
static int ask_type(struct storvsc *s, u8 *type)
{
	struct vmb_guest_storage_request request = {
		.path_id = s->address.path_id,
		.target_id = s->address.target_id,
		.lun = s->address.lun,
		.cdb_len = 6,
		.cdb = { 0x12, 0, 0, 0, INQUIRY_LEN },
		.direction = VMB_STOR_READ,
		.data_len = INQUIRY_LEN,
		.timeout_s = INQUIRY_TIMEOUT_S,
	};
	u8 data[INQUIRY_LEN];
	int rc;

	rc = storage_link_command(&s->link, &request, data, NULL);
	*type = data[0];
	return rc;
}

bool storvsc_is_ide(const struct vmb_device *device)
{
	static const struct vmb_guid id = VMB_GUID_IDE;

	return vmb_guid_equal(&device->type_id, &id);
}

int storvsc_ide_check_offer(struct storvsc *s, bool chosen)
{
	if (choice == IDE_NONE && !chosen)
		return -ENODEV;
	if (vmb_guest_storage_ide_address(&s->link.device->instance_id, &s->address)) {
		dev_err(&s->link.device->dev, "this IDE unit has no address\n");
		return -EINVAL;
	}
	return 0;
}

int storvsc_ide_check_unit(struct storvsc *s, bool chosen)
{
	u8 type;
	int rc = ask_type(s, &type);

	if (rc)
		dev_err(&s->link.device->dev, "the unit does not say what it is: error %d\n", rc);
	if (rc || chosen)
		return rc;
	if (type >> 5 != DEVICE_PRESENT || (choice == IDE_DVD && type != DEVICE_CD))
		return -ENODEV;
	return 0;
}
