// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Mode pages: MODE SENSE and MODE SELECT in both sizes. Nothing in them can be changed; MODE SELECT
 * takes what would change nothing. Source: docs/protocol/storage.md,
 * "12.5 MODE SENSE", "12.9 CD and DVD"; SPC-3 6.7 to 6.10 and 7.4, SBC-3 6.4.5, MMC-5 7.
 */
#include "host/scsi_internal.h"

#define ALL_PAGES    0x3Fu
#define ALL_SUBPAGES 0xFFu
#define PAGE_LEN_MAX 12u

enum page_control { CURRENT, CHANGEABLE, DEFAULT, SAVED };

struct page {
	uint8_t code;
	uint8_t len; /* bytes, header included, <= PAGE_LEN_MAX */
	void (*fill)(const struct vmb_host_scsi_lun *unit, uint8_t *page); /* NULL: all zero */
};

static void fill_caching(const struct vmb_host_scsi_lun *unit, uint8_t *page)
{
	if (unit->write_cache)
		page[2] = 0x04; /* WCE */
}

static const struct page disk_pages[] = {
	{ 0x08, 12, fill_caching },
};

static const struct page dvd_pages[] = {
	{ 0x01, 12, NULL }, /* read error recovery */
	{ 0x1A, 12, NULL }, /* power condition */
	{ 0x1D, 10, NULL }, /* timeout and protect */
};

static const struct page *unit_pages(const struct vmb_host_scsi_lun *unit, size_t *count)
{
	bool dvd = unit->kind == VMB_HOST_SCSI_DVD;

	*count = dvd ? VMB_ARRAY_COUNT(dvd_pages) : VMB_ARRAY_COUNT(disk_pages);
	return dvd ? dvd_pages : disk_pages;
}

static void fill(const struct page *page, const struct vmb_host_scsi_lun *unit,
		 enum page_control control, uint8_t *p)
{
	memset(p, 0, page->len);
	p[0] = page->code;
	p[1] = page->len - 2;
	if (control != CHANGEABLE && page->fill)
		page->fill(unit, p);
}

/* Those pages that code asks for, one after the other; returns their length. */
static uint32_t fill_pages(const struct vmb_host_scsi_lun *unit, uint8_t code,
			   enum page_control control, uint8_t *p)
{
	size_t i, count;
	const struct page *pages = unit_pages(unit, &count);
	uint32_t len = 0;

	for (i = 0; i < count; i++) {
		if (code != ALL_PAGES && code != pages[i].code)
			continue;
		fill(&pages[i], unit, control, p + len);
		len += pages[i].len;
	}
	return len;
}

static bool is_long(const struct vmb_host_scsi_task *task)
{
	return task->cdb[0] >> 5 != 0;
}

static uint32_t header_len(const struct vmb_host_scsi_task *task)
{
	return is_long(task) ? 8 : 4;
}

static uint8_t device_specific(const struct vmb_host_scsi_lun *unit)
{
	if (unit->kind == VMB_HOST_SCSI_DVD)
		return 0;
	return unit->read_only ? 0x90 : 0x10; /* write protected; FUA is honoured */
}

static void fill_header(const struct vmb_host_scsi_task *task, uint32_t len, uint8_t *p)
{
	uint8_t specific = device_specific(task->unit);

	if (is_long(task)) {
		vmb_put_be16(p, len - 2);
		p[3] = specific;
	} else {
		p[0] = (uint8_t)(len - 1);
		p[2] = specific;
	}
}

enum vmb_host_scsi_step vmb_host_scsi_mode_sense(struct vmb_host_scsi_bus *bus,
						 struct vmb_host_scsi_task *task)
{
	enum page_control control = task->cdb[2] >> 6;
	uint8_t code = task->cdb[2] & 0x3F, subcode = task->cdb[3];
	uint32_t allocation_len = is_long(task) ? vmb_get_be16(&task->cdb[7]) : task->cdb[4];
	uint32_t len, pages_len;

	if (control == SAVED)
		return vmb_host_scsi_check(task, VMB_SENSE_NO_SAVING);
	if (subcode && (subcode != ALL_SUBPAGES || code != ALL_PAGES))
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	len = header_len(task);
	pages_len = fill_pages(task->unit, code, control, task->data + len);
	if (pages_len == 0)
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	len += pages_len;
	fill_header(task, len, task->data);
	return vmb_host_scsi_answer(task, len, allocation_len);
}

enum vmb_host_scsi_step vmb_host_scsi_mode_select(struct vmb_host_scsi_bus *bus,
						  struct vmb_host_scsi_task *task)
{
	uint32_t len = is_long(task) ? vmb_get_be16(&task->cdb[7]) : task->cdb[4];

	if (task->cdb[1] & 0x01) /* saving */
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	if (len == 0)
		return VMB_HOST_SCSI_DONE;
	if (len < header_len(task) || len > VMB_HOST_SCSI_DATA_MAX)
		return vmb_host_scsi_check(task, VMB_SENSE_PARAMETER_LEN);
	return vmb_host_scsi_want(task, len);
}

static const struct page *find_page(const struct vmb_host_scsi_lun *unit, uint8_t code)
{
	size_t i, count;
	const struct page *pages = unit_pages(unit, &count);

	for (i = 0; i < count; i++)
		if (pages[i].code == code)
			return &pages[i];
	return NULL;
}

/* One page of a parameter list, with left bytes from its start to the end of the list. */
static enum vmb_scsi_sense select_page(const struct vmb_host_scsi_lun *unit, const uint8_t *p,
				       uint32_t left, uint32_t *used)
{
	const struct page *page = find_page(unit, p[0] & 0x7F); /* bit 7 has no meaning here */
	uint8_t current[PAGE_LEN_MAX];

	if (!page)
		return VMB_SENSE_PARAMETER;
	if (left < page->len)
		return VMB_SENSE_PARAMETER_LEN;
	fill(page, unit, CURRENT, current);
	*used = page->len;
	return memcmp(p + 1, current + 1, page->len - 1u) ? VMB_SENSE_PARAMETER : VMB_SENSE_NONE;
}

enum vmb_host_scsi_step vmb_host_scsi_mode_select_data(struct vmb_host_scsi_bus *bus,
						       struct vmb_host_scsi_task *task)
{
	uint32_t descriptors_len = is_long(task) ? vmb_get_be16(task->data + 6) : task->data[3];
	uint32_t used = 0, pos = header_len(task);
	enum vmb_scsi_sense sense;

	if (descriptors_len)
		return vmb_host_scsi_check(task, VMB_SENSE_PARAMETER);
	for (; pos < task->want_len; pos += used) {
		sense = select_page(task->unit, task->data + pos, task->want_len - pos, &used);
		if (sense)
			return vmb_host_scsi_check(task, sense);
	}
	return VMB_HOST_SCSI_DONE;
}
