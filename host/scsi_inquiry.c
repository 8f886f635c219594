// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who is there: INQUIRY with its pages of vital product data, REPORT LUNS. Source:
 * docs/protocol/storage.md, "12.1 Absent units", "12.3 INQUIRY", "12.9 CD and DVD"; SPC-3 6.4,
 * 6.21, 7.6; SBC-3 6.5.
 */
#include "host/scsi_internal.h"

#define INQUIRY_LEN	96u
#define INQUIRY_DVD_LEN 36u
#define VPD_HEADER_LEN	4u

static const char vendor[8] = "Msft    ";

static uint8_t device_type(const struct vmb_host_scsi_lun *unit)
{
	return unit->kind == VMB_HOST_SCSI_DVD ? 0x05 : 0x00;
}

static void fill_names(uint8_t *p, const char *product)
{
	memcpy(p + 8, vendor, 8);
	memcpy(p + 16, product, 16);
	memcpy(p + 32, "1.0 ", 4);
}

static uint32_t fill_disk(uint8_t *p)
{
	p[2] = 0x05; /* SPC-3 */
	p[3] = 0x02;
	p[4] = INQUIRY_LEN - 5;
	p[7] = 0x02; /* command queuing */
	return INQUIRY_LEN;
}

static uint32_t fill_dvd(uint8_t *p)
{
	p[0] = 0x05;
	p[1] = 0x80; /* removable */
	p[3] = 0x02;
	p[4] = INQUIRY_DVD_LEN - 5;
	return INQUIRY_DVD_LEN;
}

/* One page: fills what follows the header, returns its length; 0 = this unit has no such page. */
typedef uint32_t page_fill(const struct vmb_host_scsi_bus *bus,
			   const struct vmb_host_scsi_lun *unit, uint8_t *p);

static page_fill fill_page_list;

static uint32_t fill_serial(const struct vmb_host_scsi_bus *bus,
			    const struct vmb_host_scsi_lun *unit, uint8_t *p)
{
	uint32_t len = 0;

	if (unit->kind == VMB_HOST_SCSI_DVD)
		return 0;
	while (len < VMB_HOST_SCSI_SERIAL_LEN && unit->serial[len])
		len++;
	memcpy(p, unit->serial, len);
	return len;
}

/* The T10 designator comes first: old guests take the first one for the serial number. */
static uint32_t fill_device_id(const struct vmb_host_scsi_bus *bus,
			       const struct vmb_host_scsi_lun *unit, uint8_t *p)
{
	static const uint8_t t10[4] = { 0x01, 0x01, 0x00, 24 };
	static const uint8_t naa[8] = { 0x01, 0x03, 0x00, 16, 0x60, 0x02, 0x24, 0x80 };

	memcpy(p, t10, 4);
	memcpy(p + 4, vendor, 8);
	memcpy(p + 12, unit->guid, 16);
	memcpy(p + 28, naa, 8);
	memcpy(p + 36, unit->guid, 6);
	memcpy(p + 42, unit->guid + 10, 6);
	return 48;
}

/* Offsets in the standard count from the start of the page, header included. */
static uint32_t fill_block_limits(const struct vmb_host_scsi_bus *bus,
				  const struct vmb_host_scsi_lun *unit, uint8_t *p)
{
	uint8_t *page = p - VPD_HEADER_LEN;

	if (unit->kind != VMB_HOST_SCSI_DISK)
		return 0;
	page[4] = 0x01; /* WSNZ: a WRITE SAME of no blocks is no "up to the end" */
	vmb_put_be32(page + 8, bus->max_transfer_len / unit->block_len);
	if (unit->can_unmap) {
		vmb_put_be32(page + 20, 0xFFFFFFFF);
		vmb_put_be32(page + 24, VMB_HOST_SCSI_EXTENT_MAX);
		vmb_put_be32(page + 28, unit->physical_block_len / unit->block_len);
		vmb_put_be32(page + 32, 0x80000000); /* aligned to 0, valid */
	}
	vmb_put_be64(page + 36, vmb_host_scsi_write_same_max(bus) / unit->block_len);
	return 60;
}

static uint32_t fill_characteristics(const struct vmb_host_scsi_bus *bus,
				     const struct vmb_host_scsi_lun *unit, uint8_t *p)
{
	if (unit->kind != VMB_HOST_SCSI_DISK)
		return 0;
	vmb_put_be16(p, 1); /* does not rotate */
	return 60;
}

static uint32_t fill_provisioning(const struct vmb_host_scsi_bus *bus,
				  const struct vmb_host_scsi_lun *unit, uint8_t *p)
{
	if (unit->kind != VMB_HOST_SCSI_DISK || !unit->can_unmap)
		return 0;
	p[0] = 1; /* threshold exponent */
	p[1] = 0x80 | 0x40 | 0x20; /* UNMAP and the UNMAP bit of both WRITE SAME */
	if (unit->zero_after_unmap)
		p[1] |= 0x04;
	p[2] = 2; /* thin */
	return 4;
}

static uint32_t fill_virtual_device(const struct vmb_host_scsi_bus *bus,
				    const struct vmb_host_scsi_lun *unit, uint8_t *p)
{
	static const uint8_t guid[16] = { 0x15, 0x8f, 0xa9, 0x89, 0x28, 0xc9, 0x4d, 0x8b,
					  0x94, 0xcd, 0xef, 0x51, 0xfa, 0xa9, 0x9d, 0x33 };

	if (unit->kind != VMB_HOST_SCSI_DISK)
		return 0;
	p[0] = 1; /* version */
	memcpy(p + 4, guid, 16);
	return 20;
}

static const struct page {
	uint8_t code;
	page_fill *fill;
} pages[] = {
	/* ascending: page 00 lists them in this order */
	{ 0x00, fill_page_list },      { 0x80, fill_serial },	       { 0x83, fill_device_id },
	{ 0xB0, fill_block_limits },   { 0xB1, fill_characteristics }, { 0xB2, fill_provisioning },
	{ 0xCF, fill_virtual_device },
};

static uint32_t fill_page_list(const struct vmb_host_scsi_bus *bus,
			       const struct vmb_host_scsi_lun *unit, uint8_t *p)
{
	uint8_t scratch[VPD_HEADER_LEN + 64];
	uint32_t len = 1;
	size_t i;

	for (i = 1; i < VMB_ARRAY_COUNT(pages); i++)
		if (pages[i].fill(bus, unit, scratch + VPD_HEADER_LEN))
			p[len++] = pages[i].code;
	return len;
}

/* Length of the page in p, header included; 0 = there is no such page. */
static uint32_t fill_page(const struct vmb_host_scsi_bus *bus, const struct vmb_host_scsi_lun *unit,
			  uint8_t code, uint8_t *p)
{
	uint32_t len;
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(pages); i++) {
		if (pages[i].code != code)
			continue;
		len = pages[i].fill(bus, unit, p + VPD_HEADER_LEN);
		if (len == 0)
			return 0;
		p[0] = device_type(unit);
		p[1] = code;
		vmb_put_be16(p + 2, len);
		return VPD_HEADER_LEN + len;
	}
	return 0;
}

enum vmb_host_scsi_step vmb_host_scsi_inquiry_unit(struct vmb_host_scsi_bus *bus,
						   struct vmb_host_scsi_task *task)
{
	const struct vmb_host_scsi_lun *unit = task->unit;
	bool dvd = unit->kind == VMB_HOST_SCSI_DVD;
	bool vital_data = task->cdb[1] & 0x01;
	uint8_t code = task->cdb[2];
	uint32_t len;

	if (task->cdb[1] & 0x02 || (!vital_data && code))
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	if (vital_data) {
		len = fill_page(bus, unit, code, task->data);
		if (len == 0)
			return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	} else {
		len = dvd ? fill_dvd(task->data) : fill_disk(task->data);
		fill_names(task->data, dvd ? "Virtual DVD-ROM " : "Virtual Disk    ");
	}
	return vmb_host_scsi_answer(task, len, vmb_get_be16(&task->cdb[3]));
}

enum vmb_host_scsi_step vmb_host_scsi_inquiry_absent(struct vmb_host_scsi_bus *bus,
						     struct vmb_host_scsi_task *task)
{
	uint32_t len;

	if (task->cdb[1] & 0x03 || task->cdb[2])
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	len = fill_disk(task->data);
	task->data[0] = 0x7F; /* no device can be connected here */
	if (task->lun == 0)
		fill_names(task->data, "Virtual Disk    ");
	return vmb_host_scsi_answer(task, len, vmb_get_be16(&task->cdb[3]));
}

static uint32_t fill_luns(const struct vmb_host_scsi_bus *bus, uint8_t *p)
{
	uint32_t lun, len = 0;

	for (lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++) {
		if (!bus->luns[lun])
			continue;
		vmb_put_be16(p + len, lun);
		len += 8;
	}
	return len;
}

static void forget_luns_changed(struct vmb_host_scsi_bus *bus)
{
	uint32_t lun;

	for (lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (bus->luns[lun])
			bus->luns[lun]->attention &= ~(uint32_t)VMB_HOST_SCSI_LUNS_CHANGED;
}

/*
 * Answered by the controller for any address, or guests would never look again. An allocation
 * length of 0 is useless here, and the firmware of Generation 2 means "as much as fits the buffer"
 * by it.
 */
enum vmb_host_scsi_step vmb_host_scsi_inquiry_luns(struct vmb_host_scsi_bus *bus,
						   struct vmb_host_scsi_task *task)
{
	uint32_t allocation_len = vmb_get_be32(&task->cdb[6]);
	uint8_t select = task->cdb[2];
	uint32_t len = 0;

	if (select > 2)
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	if (select != 1 && task->path_id == 0 && task->target_id == 0) { /* 1 = well-known ones */
		len = fill_luns(bus, task->data + 8);
		forget_luns_changed(bus);
	}
	vmb_put_be32(task->data, len);
	return vmb_host_scsi_answer(task, 8 + len,
				    allocation_len ? allocation_len : task->transfer_len);
}
