// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The storage device: its offer, its sub-channels, its units and its statistics. What moves on its
 * channels is devices/storage_queue.c's.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/report.h"
#include "devices/storage.h"
#include "devices/uefi/uuid.h"

#define PHYSICAL_LEN   4096u
/* Which byte of a named controller's id tells the LUN: not one of those that people count up. */
#define NAMED_LUN_BYTE 10u

/* Any GUIDs will do, if they are the same in every start of the machine. */
const struct vmb_guid vmb_dev_storage_scsi_id =
	VMB_GUID(0x6f70656e, 0x766d, 0x4275, 0xb3, 0x00, 0x73, 0x63, 0x73, 0x69, 0x30, 0x00);
static const struct vmb_guid ide_id =
	VMB_GUID(0x6f70656e, 0x766d, 0x4275, 0xb3, 0x00, 0x69, 0x64, 0x65, 0x00, 0x30, 0x00);

/* The bus's orders */

static struct vmb_dev_storage_queue *queue_of(const struct vmb_dev_channel *channel)
{
	const struct vmb_dev_storage *s = channel->device;

	return &s->queues[channel->host.sub_channel_index];
}

static int start(struct vmb_dev_channel *channel)
{
	vmb_dev_storage_queue_open(queue_of(channel), channel);
	return 0;
}

static void stop(struct vmb_dev_channel *channel)
{
	vmb_dev_storage_queue_close(queue_of(channel));
}

static void released(struct vmb_dev_channel *channel)
{
	struct vmb_dev_storage *s = channel->device;

	if (channel->host.sub_channel_index) {
		vmb_dev_bus_detach(channel);
		free(channel);
	} else {
		__atomic_store_n(&s->released, true, __ATOMIC_RELEASE);
	}
}

static uint64_t oldest_ns(const struct vmb_dev_channel *channel)
{
	return vmb_dev_storage_queue_oldest(queue_of(channel));
}

static const struct vmb_dev_channel_ops channel_ops = {
	.start = start, .stop = stop, .released = released, .oldest_ns = oldest_ns
};

static void fill_channel(struct vmb_dev_storage *s, struct vmb_dev_channel *channel, uint16_t index)
{
	memset(channel, 0, sizeof(*channel));
	channel->ops = &channel_ops;
	channel->device = s;
	channel->host.type_id = s->type_id;
	channel->host.instance_id = s->instance_id;
	channel->host.flags = VMB_OFFER_FLAG_ENUMERATE;
	channel->host.sub_channel_index = index;
	memcpy(channel->host.user, &s->user, sizeof(s->user));
}

/* If the guest has closed the primary meanwhile, it gets none. */
void vmb_dev_storage_offer(struct vmb_dev_storage *s, uint32_t count)
{
	struct vmb_dev_channel *channel;

	for (uint16_t i = 1; i <= count && i < s->queue_count; i++) {
		channel = malloc(sizeof(*channel));
		if (!channel)
			return;
		fill_channel(s, channel, i);
		if (vmb_dev_bus_attach(s->channel.bus, channel)) {
			free(channel);
			return;
		}
	}
}

/* Life */

/* All of an id in eight digits. */
static uint32_t fold(const struct vmb_guid *id)
{
	uint32_t words[sizeof(*id) / sizeof(uint32_t)];

	memcpy(words, id, sizeof(words));
	return words[0] ^ words[1] ^ words[2] ^ words[3];
}

/*
 * A unit's id and serial number are the same in every start of the machine, and differ from every
 * other unit's. A disk that was plugged in is another one than that which had the LUN before.
 */
static void fill_identity(const struct vmb_dev_storage *s, struct vmb_host_scsi_lun *unit,
			  const struct vmb_dev_disk_option *option, uint32_t lun)
{
	memcpy(unit->guid, s->unit_id.bytes, sizeof(unit->guid));
	unit->guid[s->named ? NAMED_LUN_BYTE : sizeof(unit->guid) - 1] ^= lun;
	if (s->own[lun])
		unit->guid[sizeof(unit->guid) - 2] ^= s->plugged;
	if (option->serial)
		snprintf(unit->serial, sizeof(unit->serial), "%s", option->serial);
	else if (s->host.config.ide)
		snprintf(unit->serial, sizeof(unit->serial), "openvmbus-%.16s", s->name);
	else if (s->own[lun])
		snprintf(unit->serial, sizeof(unit->serial), "openvmbus-%02u-%u", lun, s->plugged);
	else if (s->named)
		snprintf(unit->serial, sizeof(unit->serial), "openvmbus-%08x-%02u",
			 fold(&s->instance_id), lun);
	else
		snprintf(unit->serial, sizeof(unit->serial), "openvmbus-%02u", lun);
}

void vmb_dev_storage_fill_unit(struct vmb_dev_storage *s, uint32_t lun)
{
	struct vmb_host_scsi_lun *unit = &s->units[lun];
	struct vmb_dev_disk *disk = &s->disks[lun];
	bool dvd = disk->option->dvd;

	unit->kind = dvd ? VMB_HOST_SCSI_DVD : VMB_HOST_SCSI_DISK;
	unit->read_only = disk->read_only;
	unit->write_cache = !disk->read_only;
	unit->can_unmap = disk->can_unmap && !disk->option->no_discard;
	unit->zero_after_unmap = unit->can_unmap;
	unit->block_len = disk->block_len;
	unit->physical_block_len = disk->block_len;
	if (!dvd && disk->len % PHYSICAL_LEN == 0)
		unit->physical_block_len = PHYSICAL_LEN;
	unit->block_count = disk->len / disk->block_len;
	unit->backend = disk;
	fill_identity(s, unit, disk->option, lun);
}

static void name_scsi(struct vmb_dev_storage *s, const struct vmb_guid *instance_id)
{
	char text[VMB_DEV_UEFI_UUID_TEXT_LEN];

	s->type_id = (struct vmb_guid)VMB_GUID_SCSI;
	s->instance_id = s->unit_id = instance_id ? *instance_id : vmb_dev_storage_scsi_id;
	vmb_dev_uefi_uuid_print(s->instance_id.bytes, text);
	snprintf(s->name, sizeof(s->name), s->named ? "scsi-%s" : "storage", text);
}

static void name_ide(struct vmb_dev_storage *s, uint32_t place)
{
	uint8_t channel = VMB_DEV_IDE_CHANNEL(place), unit = VMB_DEV_IDE_UNIT(place);

	snprintf(s->name, sizeof(s->name), "ide%u:%u", channel, unit);
	s->type_id = (struct vmb_guid)VMB_GUID_IDE;
	vmb_host_storage_ide_offer(channel, unit, &s->instance_id, &s->user);
	s->unit_id = ide_id;
	s->unit_id.bytes[sizeof(s->unit_id.bytes) - 1] ^= place;
}

static int init_queues(struct vmb_dev_storage *s, const struct vmb_dev_storage_config *config)
{
	s->poll_us = config->poll_us;
	s->queue_count = config->queue_count && !config->ide ? config->queue_count : 1;
	s->queues = calloc(s->queue_count, sizeof(*s->queues));
	if (!s->queues)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->queue_count; i++) {
		s->queues[i].requests =
			calloc(VMB_DEV_STORAGE_REQUEST_COUNT, sizeof(*s->queues[i].requests));
		if (!s->queues[i].requests)
			return -ENOMEM;
		vmb_dev_storage_queue_init(&s->queues[i], s, i);
	}
	return 0;
}

static void init_core(struct vmb_dev_storage *s, const struct vmb_dev_storage_config *config)
{
	const struct vmb_host_storage_config host = {
		.version_max = config->version_max,
		.max_transfer_len = VMB_DEV_DISK_TRANSFER_MAX,
		.max_sub_channel_count = s->queue_count - 1,
		.ide = config->ide,
		.path_id = config->ide ? VMB_DEV_IDE_CHANNEL(config->place) : 0,
		.target_id = config->ide ? VMB_DEV_IDE_UNIT(config->place) : 0,
	};

	vmb_host_storage_init(&s->host, &host);
}

static int init(struct vmb_dev_storage *s, const struct vmb_dev_storage_config *config)
{
	int error;

	pthread_mutex_init(&s->lock, NULL);
	s->named = config->named;
	if (config->ide)
		name_ide(s, config->place);
	else
		name_scsi(s, config->instance_id);
	if (config->unit_id)
		s->unit_id = *config->unit_id;
	error = init_queues(s, config);
	if (error) {
		vmb_dev_report("%s: %s", s->name, strerror(-error));
		return error;
	}
	init_core(s, config);
	for (uint32_t lun = 0; lun < config->disk_count && !error; lun++)
		if (config->disks[lun].path)
			error = vmb_dev_disk_open(&s->disks[lun], &config->disks[lun]);
	return error;
}

static int prepare(void *state)
{
	struct vmb_dev_storage *s = state;

	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++) {
		if (!s->disks[lun].ops)
			continue;
		if (vmb_dev_disk_prepare(&s->disks[lun]))
			return -EINVAL;
		vmb_dev_storage_fill_unit(s, lun);
		s->grows |= s->disks[lun].ops->measure != NULL;
	}
	return 0;
}

static void detach(void *state)
{
	struct vmb_dev_storage *s = state;

	/* The primary last: a sub-channel that has closed wakes it. */
	for (uint32_t i = s->queues ? s->queue_count : 0; i-- > 0;)
		vmb_dev_storage_queue_stop(&s->queues[i]);
	vmb_dev_bus_detach(&s->channel);
}

/* Whether whoever steps the device can serve its disks; else one line says which not. */
static bool serves_without_engine(const struct vmb_dev_storage *s)
{
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++) {
		if (!s->disks[lun].ops || !vmb_dev_disk_needs_engine(&s->disks[lun]))
			continue;
		vmb_dev_report("%s: '%s' needs a thread; a machine that is stepped has ram: and "
			       "null: only",
			       s->name, s->disks[lun].option->path);
		return false;
	}
	return true;
}

/* Those that nobody took back, because their machine was started again meanwhile. */
static void drop_unplugged(struct vmb_dev_storage *s)
{
	struct vmb_dev_disk_option *option;
	struct vmb_dev_disk disk;

	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (!vmb_dev_storage_take_back(s, lun, &disk, &option))
			vmb_dev_storage_discard(&disk, option);
}

static int attach(void *state, struct vmb_dev_bus *bus)
{
	struct vmb_dev_storage *s = state;
	int error;

	drop_unplugged(s);
	if (bus->config.stepped && !bus->config.by_hand && !serves_without_engine(s))
		return -EINVAL;
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (s->disks[lun].ops)
			vmb_host_storage_attach(&s->host, lun, &s->units[lun]);
	fill_channel(s, &s->channel, 0);
	s->released = false;
	error = vmb_dev_bus_attach(bus, &s->channel);
	for (uint32_t i = 0; i < s->queue_count && !error && !bus->config.stepped; i++)
		error = vmb_dev_storage_queue_start(&s->queues[i]);
	for (uint32_t i = 0; i < s->queue_count && bus->config.by_hand; i++)
		vmb_dev_storage_queue_start_by_hand(&s->queues[i]);
	return error;
}

/* Whoever owns a stepped bus is every queue's worker. */
static bool step(void *state)
{
	struct vmb_dev_storage *s = state;
	bool more = false;

	for (uint32_t i = 0; i < s->queue_count; i++)
		more |= vmb_dev_storage_queue_step(&s->queues[i]);
	return __atomic_exchange_n(&s->poked, false, __ATOMIC_SEQ_CST) || more;
}

static void report_queues(const struct vmb_dev_storage *s)
{
	const struct vmb_dev_storage_queue *q;

	if (s->queue_count == 1)
		return;
	vmb_dev_report("stats: %s: %u of %u channels", s->name, s->open_max, s->queue_count);
	for (uint32_t i = 0; i < s->open_max; i++) {
		q = &s->queues[i];
		vmb_dev_report("stats: %s: channel %u: %" PRIu64 " packets in, %" PRIu64
			       " out; %" PRIu64 " doorbells, %" PRIu64 " signals",
			       s->name, i, q->packets_in, q->packets_out, q->doorbells, q->signals);
	}
}

static void report(const void *state)
{
	const struct vmb_dev_storage *s = state;
	const struct vmb_host_storage_counters *n = &s->host.counters;
	uint64_t doorbells = 0, signals = 0;

	for (uint32_t i = 0; i < s->queue_count; i++) {
		doorbells += s->queues[i].doorbells;
		signals += s->queues[i].signals;
	}
	vmb_dev_report("stats: %s: %" PRIu64 " requests, %" PRIu64 " refused, %" PRIu64
		       " broken; %" PRIu64 " bytes read, %" PRIu64 " written, %" PRIu64
		       " flushes; %" PRIu64 " doorbells, %" PRIu64 " signals",
		       s->name, n->requests, n->refused, n->broken, s->read_len, s->written_len,
		       s->flushes, doorbells, signals);
	report_queues(s);
}

static void leave(void *state)
{
	struct vmb_dev_storage *s = state;

	detach(s);
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		vmb_dev_disk_leave(&s->disks[lun]);
}

static void shut(void *state)
{
	struct vmb_dev_storage *s = state;

	leave(s);
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		vmb_dev_storage_discard(&s->disks[lun], s->own[lun]);
	for (uint32_t i = 0; s->queues && i < s->queue_count; i++)
		vmb_dev_storage_queue_free(&s->queues[i]);
	free(s->queues);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static struct vmb_dev_channel *primary(void *state)
{
	return &((struct vmb_dev_storage *)state)->channel;
}

static bool is_released(const void *state)
{
	return __atomic_load_n(&((const struct vmb_dev_storage *)state)->released,
			       __ATOMIC_ACQUIRE);
}

static const char *name(const void *state)
{
	const struct vmb_dev_storage *s = state;

	return s->host.config.ide || s->named ? s->name : "scsi";
}

const struct vmb_dev_device_ops vmb_dev_storage_ops = { .prepare = prepare,
							.attach = attach,
							.detach = detach,
							.step = step,
							.report = report,
							.leave = leave,
							.close = shut,
							.channel = primary,
							.released = is_released,
							.name = name };

int vmb_dev_storage_open(struct vmb_dev_device *device, const struct vmb_dev_storage_config *config)
{
	struct vmb_dev_storage *s = calloc(1, sizeof(*s));
	int error;

	if (!s) {
		vmb_dev_report("storage: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	error = init(s, config);
	if (error)
		shut(s);
	else
		*device = (struct vmb_dev_device){ &vmb_dev_storage_ops, s };
	return error;
}
