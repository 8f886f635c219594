// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asks a unit for its properties, and shows them to the block layer and sysfs. All of them come
 * from the host and are not trusted: lengths are bounded by the data that came, numbers by valid
 * ranges.
 */
#include <linux/sysfs.h>
#include <scsi/scsi_proto.h>
#include "ports/linux/block.h"
#include "ports/linux/block_compat.h"

#define ASK_TIMEOUT    30u /* seconds */
#define FLUSH_TIMEOUT  60u
#define ATTENTION_MAX  5 /* unit attentions that may come before an answer */
#define INQUIRY_LEN    36 /* old hosts mistake longer ones */
#define VPD_LEN	       252 /* a multiple of 4 that one byte of a CDB holds */
#define CACHING_PAGE   8
#define BLOCK_LEN_MAX  4096u
#define CDB_EVPD       1
#define MODE_DBD       8 /* ask for no block descriptors */
#define MODE_SENSE_LEN 192

/* ---- asking ---- */

static void address(const struct blkvsc *b, struct vmb_guest_storage_request *request)
{
	memset(request, 0, sizeof(*request));
	request->path_id = b->address.path_id;
	request->target_id = b->address.target_id;
	request->lun = b->address.lun;
	request->timeout_s = ASK_TIMEOUT;
}

static bool is_attention(const struct storage_link_answer *answer)
{
	if (answer->sense_len < 3)
		return answer->srb_status == VMB_SRB_BUS_RESET;
	return ((answer->sense[0] & 0x7e) == 0x72 ? answer->sense[1] : answer->sense[2] & 0xf) ==
	       UNIT_ATTENTION;
}

/* Bytes that came into data, or an error. */
static int ask(struct blkvsc *b, const u8 *cdb, u8 cdb_len, void *data, u32 len)
{
	struct vmb_guest_storage_request request;
	struct storage_link_answer answer;
	int rc, tries;

	for (tries = 0; tries < ATTENTION_MAX; tries++) {
		address(b, &request);
		memcpy(request.cdb, cdb, cdb_len);
		request.cdb_len = cdb_len;
		request.direction = len ? VMB_STOR_READ : VMB_STOR_NO_DATA;
		request.data_len = len;
		rc = storage_link_command(&b->link, &request, data, &answer);
		if (rc != -EIO || !is_attention(&answer))
			break;
	}
	return rc ? rc : answer.data_len;
}

void blkvsc_flush(struct blkvsc *b)
{
	static const u8 cdb[10] = { SYNCHRONIZE_CACHE };
	struct vmb_guest_storage_request request;
	int rc;

	if (!b->unit.write_cache || b->unit.read_only)
		return;
	address(b, &request);
	memcpy(request.cdb, cdb, sizeof(cdb));
	request.cdb_len = sizeof(cdb);
	request.direction = VMB_STOR_NO_DATA;
	request.timeout_s = FLUSH_TIMEOUT;
	rc = storage_link_command(&b->link, &request, NULL, NULL);
	if (rc && rc != -ENODEV)
		dev_err(&b->link.device->dev, "the last flush failed with error %d\n", rc);
}

/* A vital product data page of at least min_len bytes, header included; its length, or 0. */
static u32 ask_page(struct blkvsc *b, u8 page, u8 *data, u32 min_len)
{
	const u8 cdb[6] = { INQUIRY, CDB_EVPD, page, 0, VPD_LEN };
	int rc = ask(b, cdb, sizeof(cdb), data, VPD_LEN);
	u32 len;

	if (rc < 4 || data[1] != page)
		return 0;
	len = min_t(u32, rc, get_unaligned_be16(data + 2) + 4);
	return len < min_len ? 0 : len;
}

/* ---- what it is ---- */

/* Printable ASCII without the blanks at both ends; size: of to, its ending 0 included. */
static void copy_text(char *to, size_t size, const u8 *from, size_t len)
{
	size_t i;

	while (len && (from[len - 1] == ' ' || !from[len - 1]))
		len--;
	for (; len && *from == ' '; from++)
		len--;
	len = min(len, size - 1);
	for (i = 0; i < len; i++)
		to[i] = from[i] >= ' ' && from[i] < 0x7f ? from[i] : '?';
	to[len] = 0;
}

static int inquire(struct blkvsc *b)
{
	static const u8 cdb[6] = { INQUIRY, 0, 0, 0, INQUIRY_LEN };
	u8 data[INQUIRY_LEN];
	int rc = ask(b, cdb, sizeof(cdb), data, sizeof(data));

	if (rc < 0)
		return rc;
	if (rc < INQUIRY_LEN || data[0]) /* qualifier 0: it is there; type 0: a disk */
		return -ENODEV;
	copy_text(b->unit.vendor, sizeof(b->unit.vendor), data + 8, 8);
	copy_text(b->unit.model, sizeof(b->unit.model), data + 16, 16);
	copy_text(b->unit.revision, sizeof(b->unit.revision), data + 32, 4);
	return 0;
}

static void read_serial(struct blkvsc *b, const u8 *page, u32 len)
{
	copy_text(b->unit.serial, sizeof(b->unit.serial), page + 4, len - 4);
}

/* The first NAA designator of the unit itself. */
static void read_designators(struct blkvsc *b, const u8 *page, u32 len)
{
	const u8 *at = page + 4, *end = page + len;
	u32 id_len;

	for (; at + 4 <= end && at + 4 + at[3] <= end; at += 4 + at[3]) {
		id_len = at[3];
		if ((at[0] & 0xf) != 1 || (at[1] & 0x3f) != 3 || (id_len != 8 && id_len != 16))
			continue;
		snprintf(b->unit.wwid, sizeof(b->unit.wwid), "naa.%*phN", (int)id_len, at + 4);
		return;
	}
}

static void read_block_limits(struct blkvsc *b, const u8 *page, u32 len)
{
	if (len < 44)
		return;
	if (get_unaligned_be32(page + 24))
		b->unit.unmap_max = get_unaligned_be32(page + 20);
	b->unit.unmap_granularity = get_unaligned_be32(page + 28);
	b->unit.zeroes_max = min_t(u64, get_unaligned_be64(page + 36), U32_MAX);
}

static void read_characteristics(struct blkvsc *b, const u8 *page, u32 len)
{
	b->unit.rotational = get_unaligned_be16(page + 4) != 1;
}

/* Unmapping only if the unit says that it can, by UNMAP and by WRITE SAME each. */
static void read_provisioning(struct blkvsc *b, const u8 *page, u32 len)
{
	if (!(page[5] & 0x80))
		b->unit.unmap_max = 0;
	b->unit.zeroes_may_unmap = page[5] & 0x40;
}

static const struct {
	u8 page;
	u8 min_len;
	void (*read)(struct blkvsc *b, const u8 *page, u32 len);
} pages[] = {
	{ 0x80, 5, read_serial },	 { 0x83, 8, read_designators },
	{ 0xb0, 16, read_block_limits }, { 0xb1, 8, read_characteristics },
	{ 0xb2, 8, read_provisioning },
};

/* A disk that does not report it is treated as rotating, as the kernel's SCSI layer does. */
static void read_pages(struct blkvsc *b)
{
	u8 list[VPD_LEN], page[VPD_LEN];
	u32 list_len = ask_page(b, 0, list, 5), len, i;
	bool provisioning = false;

	b->unit.rotational = true;
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		if (!list_len || !memchr(list + 4, pages[i].page, list_len - 4))
			continue;
		len = ask_page(b, pages[i].page, page, pages[i].min_len);
		if (!len)
			continue;
		pages[i].read(b, page, len);
		provisioning |= pages[i].page == 0xb2;
	}
	if (!provisioning)
		b->unit.unmap_max = 0;
}

/* ---- how large it is, and what may be done to it ---- */

static int set_capacity_of(struct blkvsc_unit *unit, u64 last, u32 block_len)
{
	if (block_len < SECTOR_SIZE || block_len > BLOCK_LEN_MAX || !is_power_of_2(block_len))
		return -EINVAL;
	unit->block_len = block_len;
	unit->block_shift = ilog2(block_len);
	if (last >= U64_MAX >> unit->block_shift)
		return -EINVAL;
	unit->block_count = last + 1;
	unit->physical_len = max(unit->physical_len, block_len);
	return 0;
}

static int measure_16(struct blkvsc *b, struct blkvsc_unit *unit, bool *thin)
{
	static const u8 cdb[16] = { SERVICE_ACTION_IN_16, SAI_READ_CAPACITY_16, [13] = 32 };
	u8 data[32];
	int rc = ask(b, cdb, sizeof(cdb), data, sizeof(data));

	if (rc < 0)
		return rc;
	if (rc < 12)
		return -EIO;
	rc = set_capacity_of(unit, get_unaligned_be64(data), get_unaligned_be32(data + 8));
	if (rc)
		return rc;
	unit->physical_len = min(unit->block_len << (data[13] & 0xf), 1u << 20);
	*thin = data[14] & 0x80;
	return 0;
}

static int measure_10(struct blkvsc *b, struct blkvsc_unit *unit)
{
	static const u8 cdb[10] = { READ_CAPACITY };
	u8 data[8];
	int rc = ask(b, cdb, sizeof(cdb), data, sizeof(data));

	if (rc < 0)
		return rc;
	if (rc < 8)
		return -EIO;
	return set_capacity_of(unit, get_unaligned_be32(data), get_unaligned_be32(data + 4));
}

/*
 * A unit that does not say whether it caches is flushed: that costs little. One that does not say
 * whether it knows FUA is not asked for it.
 */
static void read_modes(struct blkvsc *b, struct blkvsc_unit *unit)
{
	static const u8 cdb[6] = { MODE_SENSE, MODE_DBD, CACHING_PAGE, 0, MODE_SENSE_LEN };
	u8 data[MODE_SENSE_LEN];
	int rc = ask(b, cdb, sizeof(cdb), data, sizeof(data));
	const u8 *page;

	unit->write_cache = true;
	if (rc < 4)
		return;
	unit->read_only = data[2] & 0x80;
	unit->fua = data[2] & 0x10;
	page = data + 4 + data[3];
	if (page + 3 <= data + rc && (page[0] & 0x3f) == CACHING_PAGE)
		unit->write_cache = page[2] & 4;
}

static int measure(struct blkvsc *b, struct blkvsc_unit *unit, bool *thin)
{
	int rc = measure_16(b, unit, thin);

	if (rc && rc != -ENODEV && rc != -ETIMEDOUT)
		rc = measure_10(b, unit);
	if (!rc)
		read_modes(b, unit);
	return rc;
}

int blkvsc_measure(struct blkvsc *b, struct blkvsc_unit *unit)
{
	bool thin;

	memset(unit, 0, sizeof(*unit));
	return measure(b, unit, &thin);
}

int blkvsc_identify(struct blkvsc *b)
{
	bool thin = false;
	int rc = inquire(b);

	if (!rc)
		rc = measure(b, &b->unit, &thin);
	if (rc)
		return rc;
	read_pages(b);
	if (!thin)
		b->unit.unmap_max = 0;
	/* Older hosts claim WRITE SAME and fail it. */
	if (b->link.core.version < VMB_STOR_VERSION_6_2)
		b->unit.zeroes_max = 0;
	return 0;
}

static u32 sectors_of(const struct blkvsc_unit *unit, u32 block_count)
{
	u64 sectors = (u64)block_count << (unit->block_shift - SECTOR_SHIFT);

	return min_t(u64, sectors,
		     round_down(UINT_MAX >> SECTOR_SHIFT, unit->block_len >> SECTOR_SHIFT));
}

void blkvsc_limits(const struct blkvsc *b, struct queue_limits *limits)
{
	const struct blkvsc_unit *unit = &b->unit;

	memset(limits, 0, sizeof(*limits));
	limits->logical_block_size = unit->block_len;
	limits->physical_block_size = unit->physical_len;
	limits->virt_boundary_mask = VMB_PAGE_LEN - 1;
	limits->max_segment_size = UINT_MAX;
	limits->max_hw_sectors = b->link.core.max_transfer_len >> SECTOR_SHIFT;
	limits->max_segments = b->link.core.max_transfer_len / VMB_PAGE_LEN;
	limits->max_discard_segments = 1;
	limits->max_hw_discard_sectors = sectors_of(unit, unit->unmap_max);
	if (unit->unmap_max)
		limits->discard_granularity = max(unit->unmap_granularity, 1u) * unit->block_len;
	limits->max_write_zeroes_sectors = sectors_of(unit, unit->zeroes_max);
}

/* ---- sysfs: beside the disk, and on the device, where tools look for a SCSI disk's. (The
 * device's vendor is the bus's already.) ---- */

static const struct blkvsc *of_device(struct device *dev)
{
	return to_vmb_device(dev)->data;
}

static const struct blkvsc *of_disk(struct device *dev)
{
	return dev_to_disk(dev)->private_data;
}

#define TEXT_ATTRIBUTE(where, name, field)                                                      \
	static ssize_t where##_##name##_show(struct device *dev, struct device_attribute *attr, \
					     char *buf)                                         \
	{                                                                                       \
		return sysfs_emit(buf, "%s\n", of_##where(dev)->unit.field);                    \
	}                                                                                       \
	static struct device_attribute where##_##name =                                         \
		__ATTR(name, 0444, where##_##name##_show, NULL)

TEXT_ATTRIBUTE(device, model, model);
TEXT_ATTRIBUTE(device, rev, revision);
TEXT_ATTRIBUTE(device, serial, serial);
TEXT_ATTRIBUTE(device, wwid, wwid);
TEXT_ATTRIBUTE(disk, model, model);
TEXT_ATTRIBUTE(disk, serial, serial);
TEXT_ATTRIBUTE(disk, wwid, wwid);

static struct attribute *device_attrs[] = {
	&device_model.attr, &device_rev.attr, &device_serial.attr, &device_wwid.attr, NULL,
};

static struct attribute *disk_attrs[] = {
	&disk_model.attr,
	&disk_serial.attr,
	&disk_wwid.attr,
	NULL,
};

static const struct attribute_group device_group = { .attrs = device_attrs };
static const struct attribute_group disk_group = { .attrs = disk_attrs };
const struct attribute_group *blkvsc_device_groups[] = { &device_group, NULL };
const struct attribute_group *blkvsc_disk_groups[] = { &disk_group, NULL };
