// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The values of --disk, --cdrom, --ide, --ide-cdrom and --nvme: what is the medium, its properties,
 * and where it goes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/disk/disk.h"
#include "devices/report.h"
#include "devices/text.h"
#include "devices/uefi/uuid.h"

#define RECONNECT_DEFAULT 25u /* seconds: Linux gives a SCSI command 30 */
#define RECONNECT_MAX	  3600u
#define BLOCK_LEN_MAX	  4096
#define NOT_SAID	  VMB_DEV_DISK_NOT_SAID
#define USAGE_LEN	  360u

enum kinds { /* the kinds of unit that have a property */
	     SCSI_UNIT = 1,
	     IDE_UNIT = 2,
	     DISK = 4,
	     DVD = 8,
	     NVME_UNIT = 16,
};
#define ALL	  (SCSI_UNIT | IDE_UNIT | NVME_UNIT | DISK | DVD)
#define ALL_DISKS (SCSI_UNIT | IDE_UNIT | NVME_UNIT | DISK)

static bool set_number(const char *value, uint32_t max, int *number)
{
	const char *rest;
	uint64_t n;

	if (!vmb_dev_text_number(value, max, &n, &rest) || *rest)
		return false;
	*number = (int)n;
	return true;
}

static bool set_read_only(struct vmb_dev_disk_parsed *p, const char *value)
{
	p->option.read_only = true;
	return true;
}

static bool set_lun(struct vmb_dev_disk_parsed *p, const char *value)
{
	return set_number(value, VMB_HOST_SCSI_LUN_MAX - 1, &p->lun);
}

/* All zeroes are the id of nothing. */
static bool set_controller(struct vmb_dev_disk_parsed *p, const char *value)
{
	static const struct vmb_guid none;

	p->has_controller = true;
	return vmb_dev_uefi_uuid_parse(value, p->controller.bytes) &&
	       !vmb_guid_equal(&p->controller, &none);
}

static bool set_channel(struct vmb_dev_disk_parsed *p, const char *value)
{
	return set_number(value, 1, &p->channel);
}

static bool set_unit(struct vmb_dev_disk_parsed *p, const char *value)
{
	return set_number(value, 1, &p->unit);
}

static bool set_format(struct vmb_dev_disk_parsed *p, const char *value)
{
	p->option.format = value;
	return vmb_dev_disk_format_known(value);
}

static bool set_backing(struct vmb_dev_disk_parsed *p, const char *value)
{
	p->option.backing = true;
	return strcmp(value, "allow") == 0;
}

static bool set_block(struct vmb_dev_disk_parsed *p, const char *value)
{
	int len;

	if (!set_number(value, BLOCK_LEN_MAX, &len))
		return false;
	p->option.block_len = (uint32_t)len;
	return len == 512 || len == BLOCK_LEN_MAX;
}

static bool set_reconnect(struct vmb_dev_disk_parsed *p, const char *value)
{
	int seconds;

	if (!set_number(value, RECONNECT_MAX, &seconds))
		return false;
	p->option.reconnect_s = (uint32_t)seconds;
	return true;
}

static bool set_discard(struct vmb_dev_disk_parsed *p, const char *value)
{
	p->option.no_discard = strcmp(value, "off") == 0;
	return p->option.no_discard || strcmp(value, "auto") == 0;
}

/* A block behind the disk's end is allowed, since the disk may grow. */
static bool set_fault(struct vmb_dev_disk_fault *fault, const char *value)
{
	const char *rest;

	fault->planned = true;
	return vmb_dev_text_number(value, UINT64_MAX, &fault->block, &rest) && !*rest;
}

static bool set_hold(struct vmb_dev_disk_parsed *p, const char *value)
{
	return set_fault(&p->option.hold, value);
}

static bool set_stuck(struct vmb_dev_disk_parsed *p, const char *value)
{
	return set_fault(&p->option.stuck, value);
}

static bool set_gone(struct vmb_dev_disk_parsed *p, const char *value)
{
	return set_fault(&p->option.gone, value);
}

/* Graphic ASCII: it goes into VPD page 80, which has nothing else. */
static bool set_serial(struct vmb_dev_disk_parsed *p, const char *value)
{
	size_t len = strlen(value);

	for (size_t i = 0; i < len; i++)
		if (value[i] <= ' ' || value[i] > '~')
			return false;
	p->option.serial = value;
	return len > 0 && len < VMB_HOST_SCSI_SERIAL_LEN;
}

static const struct property {
	const char *name; /* with its "=" if it has a value */
	bool (*set)(struct vmb_dev_disk_parsed *p, const char *value);
	uint8_t kinds;
	const char *usage;
} properties[] = {
	{ "readonly", set_read_only, ALL, "readonly" },
	{ "lun=", set_lun, SCSI_UNIT | DISK | DVD, "lun=0 to lun=63" },
	{ "controller=", set_controller, SCSI_UNIT | DISK | DVD, "controller=GUID" },
	{ "channel=", set_channel, IDE_UNIT | DISK | DVD, "channel=0|1" },
	{ "unit=", set_unit, IDE_UNIT | DISK | DVD, "unit=0|1" },
	{ "format=", set_format, ALL, "format=raw|qcow2|vhd|vhdx|vmdk" },
	{ "backing=", set_backing, ALL, "backing=allow" },
	{ "block=", set_block, ALL_DISKS, "block=512|4096" },
	{ "serial=", set_serial, ALL_DISKS, "serial=1 to 31 characters" },
	{ "discard=", set_discard, ALL_DISKS, "discard=off|auto" },
	{ "reconnect=", set_reconnect, ALL, "reconnect=0 to reconnect=3600 seconds" },
	{ "hold=", set_hold, SCSI_UNIT | IDE_UNIT | DISK, "hold=BLOCK" },
	{ "stuck=", set_stuck, SCSI_UNIT | IDE_UNIT | DISK, "stuck=BLOCK" },
	{ "gone=", set_gone, SCSI_UNIT | IDE_UNIT | DISK, "gone=BLOCK" },
};
_Static_assert(VMB_HOST_SCSI_LUN_MAX == 64 && VMB_HOST_SCSI_SERIAL_LEN == 32 &&
		       RECONNECT_MAX == 3600,
	       "what the usage of properties says");

static bool has(const struct vmb_dev_disk_option *option, const struct property *property)
{
	uint8_t kinds = (option->nvme ? NVME_UNIT :
			 option->ide  ? IDE_UNIT :
					SCSI_UNIT) |
			(option->dvd ? DVD : DISK);

	return (property->kinds & kinds) == kinds;
}

static void report_properties(const struct vmb_dev_disk_option *option, const char *found)
{
	const char *usage[VMB_ARRAY_COUNT(properties)];
	char text[USAGE_LEN] = "";
	size_t count = 0, len = 0;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(properties); i++)
		if (has(option, &properties[i]))
			usage[count++] = properties[i].usage;
	for (size_t i = 0; i < count && len < sizeof(text); i++)
		len += snprintf(text + len, sizeof(text) - len, "%s%s",
				!i	       ? "" :
				i == count - 1 ? " and " :
						 ", ",
				usage[i]);
	vmb_dev_report("%s %s: no property '%s'; there are %s", vmb_dev_disk_option_name(option),
		       option->path, found, text);
}

static int parse_property(struct vmb_dev_disk_parsed *p, char *found)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(properties); i++) {
		const struct property *property = &properties[i];
		size_t len = strlen(property->name);
		bool valued = property->name[len - 1] == '=';

		if (!has(&p->option, property) || strncmp(found, property->name, len) ||
		    (!valued && found[len]))
			continue;
		if (property->set(p, found + len))
			return 0;
	}
	report_properties(&p->option, found);
	return -EINVAL;
}

/* The first place that is free and is what was said; count if there is none. */
static uint32_t find_lun(const struct vmb_dev_disk_option *units,
			 const struct vmb_dev_disk_parsed *p)
{
	uint32_t lun;

	for (lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (!units[lun].path && (p->lun == NOT_SAID || p->lun == (int)lun))
			break;
	return lun;
}

static uint32_t find_ide(const struct vmb_dev_disk_option *units,
			 const struct vmb_dev_disk_parsed *p)
{
	uint32_t place;

	for (place = 0; place < VMB_DEV_IDE_MAX; place++)
		if (!units[place].path &&
		    (p->channel == NOT_SAID || p->channel == (int)VMB_DEV_IDE_CHANNEL(place)) &&
		    (p->unit == NOT_SAID || p->unit == (int)VMB_DEV_IDE_UNIT(place)))
			break;
	return place;
}

static int place_scsi(struct vmb_dev_disk_option *units, const struct vmb_dev_disk_parsed *p)
{
	uint32_t lun = find_lun(units, p);

	if (lun == VMB_HOST_SCSI_LUN_MAX) {
		vmb_dev_report("%s %s: LUN %d is taken already; give another lun=N",
			       vmb_dev_disk_option_name(&p->option), p->option.path,
			       p->lun == NOT_SAID ? 0 : p->lun);
		return -EINVAL;
	}
	units[lun] = p->option;
	return 0;
}

static int place_ide(struct vmb_dev_disk_option *units, const struct vmb_dev_disk_parsed *p)
{
	const char *name = vmb_dev_disk_option_name(&p->option), *path = p->option.path;
	uint32_t place = find_ide(units, p);

	if (place < VMB_DEV_IDE_MAX) {
		units[place] = p->option;
		return 0;
	}
	if (p->channel != NOT_SAID && p->unit != NOT_SAID)
		vmb_dev_report("%s %s: channel %d, unit %d is taken already; give another unit= "
			       "or channel=",
			       name, path, p->channel, p->unit);
	else if (p->channel != NOT_SAID)
		vmb_dev_report("%s %s: both units of channel %d are taken already; give another "
			       "channel=",
			       name, path, p->channel);
	else if (p->unit != NOT_SAID)
		vmb_dev_report("%s %s: unit %d of both channels is taken already; give another "
			       "unit=",
			       name, path, p->unit);
	else
		vmb_dev_report("%s %s: a machine has at most %u IDE units; use %s", name, path,
			       VMB_DEV_IDE_MAX, p->option.dvd ? "--cdrom" : "--disk");
	return -EINVAL;
}

int vmb_dev_disk_place(struct vmb_dev_disk_option *units, const struct vmb_dev_disk_parsed *p)
{
	return p->option.ide ? place_ide(units, p) : place_scsi(units, p);
}

/* p->option says which kind of unit it is. */
static int parse(struct vmb_dev_disk_parsed *p, const char *value)
{
	const char *name = vmb_dev_disk_option_name(&p->option);
	/* argv stays whole: the nest is given it again */
	char *copy = strdup(value), *rest = copy;
	int error = 0;

	p->option.reconnect_s = RECONNECT_DEFAULT;
	p->lun = p->channel = p->unit = NOT_SAID;
	if (!copy) {
		vmb_dev_report("%s: %s", name, strerror(ENOMEM));
		return -EINVAL;
	}
	p->option.path = strsep(&rest, ",");
	if (!*p->option.path) {
		vmb_dev_report("%s: the file's name is missing", name);
		error = -EINVAL;
	}
	while (rest && !error)
		error = parse_property(p, strsep(&rest, ","));
	if (error) {
		free(copy);
		p->option.path = NULL;
	}
	return error;
}

int vmb_dev_disk_parse(struct vmb_dev_disk_parsed *p, const char *value, bool ide, bool dvd)
{
	*p = (struct vmb_dev_disk_parsed){ .option = { .ide = ide, .dvd = dvd, .read_only = dvd } };
	return parse(p, value);
}

int vmb_dev_disk_parse_nvme(struct vmb_dev_disk_parsed *p, const char *value)
{
	*p = (struct vmb_dev_disk_parsed){ .option = { .nvme = true } };
	return parse(p, value);
}
