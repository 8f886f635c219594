// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A DVD-ROM drive with one disc: one session, one track of data. The disc lies on the tray when
 * that is open. Source: docs/protocol/storage.md, "12.9 CD and DVD"; MMC-5 section 5 (features) and
 * 6 (commands).
 */
#include "host/scsi_internal.h"

#define TRACK_CONTROL 0x14u /* ADR 1: position; control 4: data, no copy */
#define LEAD_OUT      0xAAu
#define PROFILE_DVD   0x0010u
#define FIRST_SECTOR  0x030000u /* where the data area of a DVD begins, physically */
#define SPEED_KB_S    22160u /* 16 times 1385 */
#define MSF_PREGAP    150u

static uint32_t last_block(const struct vmb_host_scsi_lun *unit)
{
	uint64_t last = unit->block_count - 1;

	return last > 0xFFFFFFFE ? 0xFFFFFFFE : (uint32_t)last;
}

/*
 * A block address as a table of contents has it: four bytes of block, or of minute, second, frame.
 */
static void put_address(uint8_t *p, uint32_t lba, bool msf)
{
	uint64_t frames = (uint64_t)lba + MSF_PREGAP;
	static const uint8_t beyond[4] = { 0, 0xFF, 59, 74 };

	if (!msf) {
		vmb_put_be32(p, lba);
	} else if (frames / (60 * 75) > 0xFF) {
		memcpy(p, beyond, 4);
	} else {
		p[1] = (uint8_t)(frames / (60 * 75));
		p[2] = frames / 75 % 60;
		p[3] = frames % 75;
	}
}

static uint32_t put_track(uint8_t *p, uint8_t track, uint32_t lba, bool msf)
{
	p[1] = TRACK_CONTROL;
	p[2] = track;
	put_address(p + 4, lba, msf);
	return 8;
}

enum vmb_host_scsi_step vmb_host_scsi_dvd_toc(struct vmb_host_scsi_bus *bus,
					      struct vmb_host_scsi_task *task)
{
	bool msf = task->cdb[1] & 0x02;
	uint8_t format = task->cdb[2] & 0x0F ? task->cdb[2] & 0x0F : task->cdb[9] >> 6;
	uint8_t track = task->cdb[6];
	uint8_t *p = task->data;
	uint32_t len = 4;

	if (format > 1 || (format == 0 && track > 1 && track != LEAD_OUT))
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	if (format == 1 || track != LEAD_OUT)
		len += put_track(p + len, 1, 0, msf);
	if (format == 0)
		len += put_track(p + len, LEAD_OUT, last_block(task->unit) + 1, msf);
	vmb_put_be16(p, len - 2);
	p[2] = 1; /* first and last track, or session */
	p[3] = 1;
	return vmb_host_scsi_answer(task, len, vmb_get_be16(&task->cdb[7]));
}

enum vmb_host_scsi_step vmb_host_scsi_dvd_event(struct vmb_host_scsi_bus *bus,
						struct vmb_host_scsi_task *task)
{
	struct vmb_host_scsi_lun *unit = task->unit;
	uint8_t *p = task->data;

	if (!(task->cdb[1] & 0x01)) /* asynchronous */
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	p[3] = 0x10; /* classes that there are: media */
	if (!(task->cdb[4] & 0x10)) {
		vmb_put_be16(p, 2);
		p[2] = 0x80; /* no such event */
		return vmb_host_scsi_answer(task, 4, vmb_get_be16(&task->cdb[7]));
	}
	vmb_put_be16(p, 6);
	p[2] = 4;
	p[4] = (uint8_t)unit->media_event;
	p[5] = unit->tray_open ? 0x01 : 0;
	if (vmb_host_scsi_medium_present(unit))
		p[5] |= 0x02;
	unit->media_event = 0;
	return vmb_host_scsi_answer(task, 8, vmb_get_be16(&task->cdb[7]));
}

enum feature_current { WITH_MEDIUM, ALWAYS, NEVER };

static const struct feature {
	uint16_t code;
	uint8_t version;
	bool persistent;
	enum feature_current current;
	uint8_t len;
	uint8_t data[8];
} features[] = {
	/* ascending */
	{ 0x0000, 0, true, ALWAYS, 4, { PROFILE_DVD >> 8, PROFILE_DVD & 0xFF } }, /* profiles */
	{ 0x0001, 2, true, ALWAYS, 8, { 0, 0, 0, 1 } }, /* core; on SCSI */
	{ 0x0002, 1, true, ALWAYS, 4, { 0 } }, /* morphing: no events of its own */
	{ 0x0003, 0, true, ALWAYS, 4, { 0x29 } }, /* removable: tray, eject, lock */
	{ 0x0010, 0, false, WITH_MEDIUM, 8, { 0, 0, 0x08, 0, 0, 1 } }, /* readable by 2048 */
	{ 0x001E, 2, false, NEVER, 4, { 0 } }, /* CD read */
	{ 0x001F, 1, false, WITH_MEDIUM, 4, { 0 } }, /* DVD read */
	{ 0x0100, 0, true, ALWAYS, 0, { 0 } }, /* power management */
	{ 0x0105, 1, true, ALWAYS, 4, { 0 } }, /* timeouts */
	{ 0x0107, 3, false, WITH_MEDIUM, 4, { 0x10 } }, /* streaming; buffer capacity is told */
};

static bool feature_current(const struct feature *feature, bool medium)
{
	return feature->current == ALWAYS || (feature->current == WITH_MEDIUM && medium);
}

static uint32_t put_feature(uint8_t *p, const struct feature *feature, bool medium)
{
	bool current = feature_current(feature, medium);

	vmb_put_be16(p, feature->code);
	p[2] = (uint8_t)(feature->version << 2 | feature->persistent << 1 | current);
	p[3] = feature->len;
	memcpy(p + 4, feature->data, feature->len);
	if (feature->code == 0)
		p[6] = medium; /* the profile in the list is the current one */
	return 4u + feature->len;
}

enum configuration_request { ALL_FEATURES, CURRENT_FEATURES, ONE_FEATURE };

static bool feature_asked(const struct feature *feature, uint8_t request, uint16_t start,
			  bool medium)
{
	if (request == ONE_FEATURE)
		return feature->code == start;
	return feature->code >= start &&
	       (request == ALL_FEATURES || feature_current(feature, medium));
}

enum vmb_host_scsi_step vmb_host_scsi_dvd_configuration(struct vmb_host_scsi_bus *bus,
							struct vmb_host_scsi_task *task)
{
	bool medium = vmb_host_scsi_medium_present(task->unit);
	uint8_t request = task->cdb[1] & 0x03;
	uint16_t start = vmb_get_be16(&task->cdb[2]);
	uint8_t *p = task->data;
	uint32_t len = 8;
	size_t i;

	if (request > ONE_FEATURE)
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	for (i = 0; i < VMB_ARRAY_COUNT(features); i++)
		if (feature_asked(&features[i], request, start, medium))
			len += put_feature(p + len, &features[i], medium);
	vmb_put_be32(p, len - 4);
	vmb_put_be16(p + 6, medium ? PROFILE_DVD : 0);
	return vmb_host_scsi_answer(task, len, vmb_get_be16(&task->cdb[7]));
}

static void open_tray(struct vmb_host_scsi_lun *unit)
{
	if (vmb_host_scsi_medium_present(unit))
		unit->media_event = VMB_SCSI_EVENT_MEDIUM_REMOVED;
	unit->tray_open = true;
}

static void close_tray(struct vmb_host_scsi_lun *unit)
{
	if (!unit->tray_open)
		return;
	unit->tray_open = false;
	if (!vmb_host_scsi_medium_present(unit))
		return;
	unit->media_event = VMB_SCSI_EVENT_NEW_MEDIUM;
	unit->attention |= VMB_HOST_SCSI_MEDIUM_CHANGED;
}

enum vmb_host_scsi_step vmb_host_scsi_dvd_start_stop(struct vmb_host_scsi_bus *bus,
						     struct vmb_host_scsi_task *task)
{
	bool start = task->cdb[4] & 0x01, load_eject = task->cdb[4] & 0x02;
	bool power = task->cdb[4] & 0xF0;

	if (power || !load_eject)
		return VMB_HOST_SCSI_DONE;
	if (start) {
		close_tray(task->unit);
		return VMB_HOST_SCSI_DONE;
	}
	if (task->unit->removal_prevented)
		return vmb_host_scsi_check(task, VMB_SENSE_REMOVAL_PREVENTED);
	open_tray(task->unit);
	return VMB_HOST_SCSI_DONE;
}

enum vmb_host_scsi_step vmb_host_scsi_dvd_prevent(struct vmb_host_scsi_bus *bus,
						  struct vmb_host_scsi_task *task)
{
	task->unit->removal_prevented = task->cdb[4] & 0x01;
	return VMB_HOST_SCSI_DONE;
}

enum vmb_host_scsi_step vmb_host_scsi_dvd_disc(struct vmb_host_scsi_bus *bus,
					       struct vmb_host_scsi_task *task)
{
	uint8_t *p = task->data;

	if (task->cdb[1] & 0x07) /* resources of a recorder */
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	vmb_put_be16(p, 32);
	p[2] = 0x0E; /* last session complete, disc finalized */
	p[3] = 1; /* first track; sessions; first and last track of the last session */
	p[4] = 1;
	p[5] = 1;
	p[6] = 1;
	p[7] = 0x20; /* for unrestricted use */
	vmb_put_be32(p + 16, 0xFFFFFFFF); /* no further session can start */
	vmb_put_be32(p + 20, 0xFFFFFFFF);
	return vmb_host_scsi_answer(task, 34, vmb_get_be16(&task->cdb[7]));
}

static bool in_track(const struct vmb_host_scsi_task *task)
{
	uint32_t address = vmb_get_be32(&task->cdb[2]);

	switch (task->cdb[1] & 0x03) {
	case 0: return address <= last_block(task->unit);
	case 1:
	case 2: return address == 1;
	default: return false;
	}
}

enum vmb_host_scsi_step vmb_host_scsi_dvd_track(struct vmb_host_scsi_bus *bus,
						struct vmb_host_scsi_task *task)
{
	uint8_t *p = task->data;

	if (!in_track(task))
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	vmb_put_be16(p, 34);
	p[2] = 1; /* track */
	p[3] = 1; /* session */
	p[5] = TRACK_CONTROL & 0x0F;
	p[6] = 1; /* data mode */
	vmb_put_be32(p + 24, last_block(task->unit) + 1);
	return vmb_host_scsi_answer(task, 36, vmb_get_be16(&task->cdb[7]));
}

static uint32_t put_physical(const struct vmb_host_scsi_lun *unit, uint8_t *p)
{
	uint64_t last = (uint64_t)FIRST_SECTOR + last_block(unit);

	p[0] = 0x01; /* DVD-ROM, first book */
	p[1] = 0x02; /* 120 mm; 10 Mbit/s */
	p[2] = 0x01; /* one layer, embossed */
	vmb_put_be32(p + 4, FIRST_SECTOR);
	vmb_put_be32(p + 8, last > 0xFFFFFF ? 0xFFFFFF : (uint32_t)last);
	return 2048;
}

static uint32_t put_copyright(const struct vmb_host_scsi_lun *unit, uint8_t *p)
{
	memset(p, 0, 4); /* not protected, all regions */
	return 4;
}

static uint32_t put_manufacturing(const struct vmb_host_scsi_lun *unit, uint8_t *p)
{
	memset(p, 0, 2048);
	return 2048;
}

static uint32_t put_structure_list(const struct vmb_host_scsi_lun *unit, uint8_t *p);

static const struct structure {
	uint8_t format;
	uint16_t len; /* header included */
	uint32_t (*put)(const struct vmb_host_scsi_lun *unit, uint8_t *p);
} structures[] = {
	{ 0x00, 2052, put_physical },
	{ 0x01, 8, put_copyright },
	{ 0x04, 2052, put_manufacturing },
	{ 0xFF, 20, put_structure_list },
};

static uint32_t put_structure_list(const struct vmb_host_scsi_lun *unit, uint8_t *p)
{
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(structures); i++, p += 4) {
		p[0] = structures[i].format;
		p[1] = 0x40; /* can be read */
		vmb_put_be16(p + 2, structures[i].len);
	}
	return 4 * VMB_ARRAY_COUNT(structures);
}

enum vmb_host_scsi_step vmb_host_scsi_dvd_structure(struct vmb_host_scsi_bus *bus,
						    struct vmb_host_scsi_task *task)
{
	uint8_t layer = task->cdb[6], format = task->cdb[7];
	uint32_t len;
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(structures) && structures[i].format != format; i++)
		;
	if (i == VMB_ARRAY_COUNT(structures) || layer || task->cdb[1] & 0x0F)
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	len = structures[i].put(task->unit, task->data + 4);
	vmb_put_be16(task->data, len + 2);
	return vmb_host_scsi_answer(task, 4 + len, vmb_get_be16(&task->cdb[8]));
}

enum vmb_host_scsi_step vmb_host_scsi_dvd_performance(struct vmb_host_scsi_bus *bus,
						      struct vmb_host_scsi_task *task)
{
	uint8_t data_type = task->cdb[1] & 0x1F, type = task->cdb[10];
	uint32_t descriptor_max = vmb_get_be16(&task->cdb[8]);
	bool exceptions = data_type & 0x03;
	uint8_t *p = task->data;
	uint32_t len = 8;

	if (type != 0 || data_type & 0x04) /* only the nominal performance of reading */
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	if (exceptions) {
		p[4] = 0x01; /* and there are none */
	} else {
		vmb_put_be32(p + 12, SPEED_KB_S);
		vmb_put_be32(p + 16, last_block(task->unit));
		vmb_put_be32(p + 20, SPEED_KB_S);
		len += 16;
	}
	vmb_put_be32(p, len - 4);
	return vmb_host_scsi_answer(task, len, 8 + 16 * descriptor_max);
}

enum vmb_host_scsi_step vmb_host_scsi_dvd_mechanism(struct vmb_host_scsi_bus *bus,
						    struct vmb_host_scsi_task *task)
{
	if (task->unit->tray_open)
		task->data[1] = 0x10;
	return vmb_host_scsi_answer(task, 8, vmb_get_be16(&task->cdb[8]));
}

enum vmb_host_scsi_step vmb_host_scsi_dvd_buffer(struct vmb_host_scsi_bus *bus,
						 struct vmb_host_scsi_task *task)
{
	bool blocks = task->cdb[1] & 0x01;
	uint32_t capacity = bus->max_transfer_len / (blocks ? task->unit->block_len : 1);

	vmb_put_be16(task->data, 10);
	task->data[3] = blocks;
	vmb_put_be32(task->data + 4, capacity);
	vmb_put_be32(task->data + 8, capacity);
	return vmb_host_scsi_answer(task, 12, vmb_get_be16(&task->cdb[7]));
}

#define STREAMING_LEN 28u

/* A performance descriptor is taken; we are always faster than it asks. */
enum vmb_host_scsi_step vmb_host_scsi_dvd_streaming(struct vmb_host_scsi_bus *bus,
						    struct vmb_host_scsi_task *task)
{
	uint32_t len = vmb_get_be16(&task->cdb[9]);

	if (task->cdb[8] != 0)
		return vmb_host_scsi_check(task, VMB_SENSE_CDB_FIELD);
	if (len == 0)
		return VMB_HOST_SCSI_DONE;
	if (len != STREAMING_LEN)
		return vmb_host_scsi_check(task, VMB_SENSE_PARAMETER_LEN);
	return vmb_host_scsi_want(task, len);
}

enum vmb_host_scsi_step vmb_host_scsi_dvd_streaming_data(struct vmb_host_scsi_bus *bus,
							 struct vmb_host_scsi_task *task)
{
	uint32_t start = vmb_get_be32(task->data + 4), last = vmb_get_be32(task->data + 8);
	bool defaults = task->data[0] & 0x04;

	if (!defaults && (start > last || last > last_block(task->unit)))
		return vmb_host_scsi_check(task, VMB_SENSE_PARAMETER);
	return VMB_HOST_SCSI_DONE;
}
