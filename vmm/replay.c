// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Makes the machine that a recording describes, without a guest, and plays the recorded guest on
 * its devices; or plays the recorded host to the guest core.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/replay.h"
#include "devices/network.h"
#include "devices/report.h"
#include "devices/storage.h"
#include "devices/uefi/uuid.h"
#include "ports/user/recorded.h"
#include "vmm/memory.h"
#include "vmm/replay.h"

#define ARGUMENT_MAX 256u
#define SHOWN_MAX    20u /* differences that are printed */

/* Writing the options */

static void put(FILE *out, const char *option)
{
	fputs(option, out);
	fputc(0, out);
}

static void put_controller(FILE *out, const struct vmb_guid *id)
{
	char text[VMB_DEV_UEFI_UUID_TEXT_LEN];

	vmb_dev_uefi_uuid_print(id->bytes, text);
	fprintf(out, ",controller=%s", text);
}

/* id: of its controller, if it is named. */
static void put_disk(FILE *out, const struct vmb_dev_disk *disk, uint32_t lun, bool ide,
		     uint32_t place, const struct vmb_guid *id)
{
	const struct vmb_dev_disk_option *o = disk->option;

	put(out, ide ? (o->dvd ? "--ide-cdrom" : "--ide") : o->dvd ? "--cdrom" : "--disk");
	fprintf(out, VMB_DEV_DISK_RAM_PREFIX "%" PRIu64, disk->len);
	if (ide)
		fprintf(out, ",channel=%u,unit=%u", VMB_DEV_IDE_CHANNEL(place),
			VMB_DEV_IDE_UNIT(place));
	else
		fprintf(out, ",lun=%u", lun);
	if (id)
		put_controller(out, id);
	if (!o->dvd)
		fprintf(out, ",block=%u%s%s", disk->block_len, disk->read_only ? ",readonly" : "",
			disk->can_unmap && !o->no_discard ? "" : ",discard=off");
	if (o->serial)
		fprintf(out, ",serial=%s", o->serial);
	fputc(0, out);
}

static void put_disks(FILE *out, const struct vmb_vmm_options *o,
		      const struct vmb_vmm_devices *devices)
{
	const struct vmb_dev_storage *s;
	uint32_t place;

	for (uint32_t i = 0; i < devices->count; i++) {
		if (devices->all[i].ops != &vmb_dev_storage_ops)
			continue;
		s = devices->all[i].state;
		place = 2 * s->host.config.path_id + s->host.config.target_id;
		for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
			if (s->disks[lun].ops)
				put_disk(out, &s->disks[lun], lun, s->host.config.ide, place,
					 s->named ? &s->instance_id : NULL);
	}
}

/* Whether the guest is offered coalesced frames depends on the network, which is not recorded. */
static bool has_rsc(const struct vmb_vmm_devices *devices, uint32_t number)
{
	const struct vmb_dev_network *card;

	for (uint32_t i = 0; i < devices->count; i++) {
		card = devices->all[i].state;
		if (devices->all[i].ops == &vmb_dev_network_ops && card->number == number)
			return card->host.config.rndis.offload & VMB_HOST_RNDIS_RSC;
	}
	return false;
}

static void put_nets(FILE *out, const struct vmb_vmm_options *o,
		     const struct vmb_vmm_devices *devices)
{
	const struct vmb_dev_net_option *net = o->nets;

	for (uint32_t i = 0; i < o->net_count; i++, net++) {
		put(out, "--net");
		fprintf(out, "null,mac=%02x:%02x:%02x:%02x:%02x:%02x,queues=%u,mtu=%u%s%s%c",
			net->mac[0], net->mac[1], net->mac[2], net->mac[3], net->mac[4],
			net->mac[5], net->queue_count, net->mtu_max,
			net->monitored ? ",monitor=on" : "", has_rsc(devices, i) ? "" : ",rsc=off",
			0);
	}
}

static void put_versions(FILE *out, const struct vmb_vmm_options *o)
{
	static const char *const network[] = { "1", "2", "4", "5", "6", "6.1" };
	const struct vmb_vmm_generation *g = &o->generation;

	fprintf(out, "--vmbus-version%c%u.%u%c", 0, g->bus >> 16, g->bus & 0xFFFF, 0);
	fprintf(out, "--storage-version%c%u.%u%c", 0, g->storage >> 8, g->storage & 0xFF, 0);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(network); i++)
		if (vmb_vmm_generation_network(network[i]) == g->network)
			fprintf(out, "--network-version%c%s%c", 0, network[i], 0);
	fprintf(out, "--cpus%c%u%c--memory%c%" PRIu64, 0, o->cpus, 0, 0, o->memory_len);
	if (o->memory_max > o->memory_len)
		fprintf(out, ",max=%" PRIu64, o->memory_max);
	putc(0, out);
	fprintf(out, "--disk-queues%c%u%c", 0, o->disk_queues, 0);
	put(out, "--monitor");
	put(out, vmb_vmm_options_monitor_name(o));
}

void vmb_vmm_replay_describe(struct vmb_dev_trace *trace, const struct vmb_vmm_options *o,
			     const struct vmb_vmm_devices *devices)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	put_versions(out, o);
	put_disks(out, o, devices);
	put_nets(out, o, devices);
	if (fclose(out) == 0)
		vmb_dev_trace_options(trace, text, len);
	free(text);
}

/* Reading them */

/* Options come from a file that anyone may have made: nothing of this machine may be opened. */
static bool is_harmless(const struct vmb_vmm_options *o)
{
	static const char ram[] = VMB_DEV_DISK_RAM_PREFIX;
	bool good = !o->console && !o->control && !o->trace.path;

	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(o->disks); i++)
		good &= !o->disks[i].path || strncmp(o->disks[i].path, ram, sizeof(ram) - 1) == 0;
	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(o->ides); i++)
		good &= !o->ides[i].path || strncmp(o->ides[i].path, ram, sizeof(ram) - 1) == 0;
	good &= !o->nvme_count; /* its registers are not in a recording */
	for (uint32_t i = 0; i < o->net_count; i++)
		good &= o->nets[i].kind == VMB_DEV_NET_NULL && !o->nets[i].capture;
	return good;
}

/* text: len bytes, changed by nobody while the options are used. */
static int parse(struct vmb_vmm_options *o, char *text, uint32_t len)
{
	char *argv[ARGUMENT_MAX] = { "replay", "--kernel", "none", "--services", "none" };
	uint32_t argc = 5;

	for (uint32_t at = 0; at < len; at += strlen(text + at) + 1) {
		if (argc == ARGUMENT_MAX - 1)
			return -EINVAL;
		argv[argc++] = text + at;
	}
	if (vmb_vmm_options_parse(o, argc, argv))
		return -EINVAL;
	return is_harmless(o) ? 0 : -EINVAL;
}

/*
 * The first record of options, with a 0 behind it; NULL: there is none, and *why is why. The caller
 * frees it.
 */
static char *find_options(const struct vmb_dev_trace_file *file, uint32_t *len, const char **why)
{
	struct vmb_dev_trace_reader reader;
	struct vmb_dev_trace_record record;
	char *text;

	*why = "it does not say which machine it is of";
	vmb_dev_trace_reader_init(&reader, file->bytes, file->len);
	while (vmb_dev_trace_read(&reader, &record) > 0) {
		if (record.header.kind != VMB_DEV_TRACE_CONTROL ||
		    record.header.detail != VMB_DEV_TRACE_OPTIONS)
			continue;
		text = calloc(1, record.len + 1);
		if (text)
			memcpy(text, record.bytes, record.len);
		*len = record.len;
		return text;
	}
	if (reader.refused)
		*why = reader.why;
	return NULL;
}

static void differs(void *arg, uint32_t number, const char *text)
{
	uint32_t *shown = arg;

	if (++*shown <= SHOWN_MAX)
		printf("record %u: %s\n", number, text);
}

static void say_cut(uint64_t count)
{
	if (count)
		printf("%" PRIu64
		       " pieces of memory are not whole: record with --trace-snap full\n",
		       count);
}

static void say(const struct vmb_dev_replay_result *result)
{
	if (result->differences > SHOWN_MAX)
		printf("... and %" PRIu64 " more\n", result->differences - SHOWN_MAX);
	printf("%" PRIu64 " records played, %" PRIu64 " compared, %" PRIu64 " left out, %" PRIu64
	       " differences\n",
	       result->played, result->compared, result->left_out, result->differences);
	say_cut(result->cut);
	if (result->ended)
		printf("ended early: %s\n", result->ended);
}

static int play(const struct vmb_dev_trace_file *file, const struct vmb_vmm_options *o,
		struct vmb_vmm_devices *devices)
{
	struct vmb_dev_replay_result result;
	struct vmb_dev_memory memory;
	uint32_t shown = 0;
	struct vmb_dev_replay_config config = { .bytes = file->bytes,
						.len = file->len,
						.bus = { .version_max = o->generation.bus,
							 .monitors = o->monitor },
						.memory = &memory,
						.vp_count = o->cpus,
						.devices = devices->all,
						.device_count = devices->count,
						.differs = differs,
						.arg = &shown };
	int error = vmb_vmm_memory_create(&memory, o->memory_len, o->memory_max);

	if (error) {
		vmb_dev_report("replay: memory: %s", strerror(-error));
		return VMB_VMM_EXIT_FAILURE;
	}
	/* The recording does not say when memory was added. */
	vmb_dev_memory_grow(&memory, o->memory_max - o->memory_len);
	error = vmb_dev_replay(&config, &result);
	vmb_vmm_memory_destroy(&memory);
	if (error)
		return VMB_VMM_EXIT_FAILURE;
	say(&result);
	return result.differences || result.ended ? VMB_VMM_EXIT_FAILURE : 0;
}

static int refuse(const char *path, const char *why)
{
	vmb_dev_report("replay %s: %s; give a recording of openvmbus run --trace", path, why);
	return VMB_VMM_EXIT_USAGE;
}

static int replay(const char *path, const struct vmb_dev_trace_file *file)
{
	static struct vmb_vmm_options options;
	struct vmb_vmm_devices devices = { .count = 0 };
	int code = VMB_VMM_EXIT_FAILURE;
	uint32_t len = 0;
	const char *why;
	char *text = find_options(file, &len, &why);

	if (!text)
		return refuse(path, why);
	if (parse(&options, text, len))
		code = refuse(path, "it describes no machine that can be played on");
	else if (!vmb_vmm_devices_open_disks(&devices, &options) &&
		 !vmb_vmm_devices_open(&devices, &options) &&
		 !vmb_vmm_devices_prepare_disks(&devices) && !vmb_vmm_devices_prepare(&devices))
		code = play(file, &options, &devices);
	vmb_vmm_devices_close(&devices);
	free(text);
	return code;
}

/* The recorded host */

static void say_recorded(const struct vmb_user_recorded_result *result)
{
	if (result->differences > SHOWN_MAX)
		printf("... and %" PRIu64 " more\n", result->differences - SHOWN_MAX);
	for (int i = 0; i < VMB_USER_RECORDED_TOLERANCE_COUNT; i++)
		if (result->tolerated[i].count)
			printf("tolerated: %s: %" PRIu64 " times, first in record %u\n",
			       vmb_user_recorded_tolerance(i), result->tolerated[i].count,
			       result->tolerated[i].first);
	printf("%" PRIu64 " records played, %" PRIu64 " compared, %" PRIu64 " left out, %" PRIu64
	       " differences\n",
	       result->played, result->compared, result->left_out, result->differences);
	say_cut(result->cut);
	if (result->ended)
		printf("ended early: %s\n", result->ended);
}

static int replay_host(const char *path, const struct vmb_dev_trace_file *file)
{
	struct vmb_user_recorded_result result;
	uint32_t shown = 0;
	const struct vmb_user_recorded_config config = {
		.bytes = file->bytes, .len = file->len, .differs = differs, .arg = &shown
	};
	struct vmb_dev_trace_reader reader;
	struct vmb_dev_trace_record record;

	vmb_dev_trace_reader_init(&reader, file->bytes, file->len);
	if (vmb_dev_trace_read(&reader, &record) <= 0)
		return refuse(path, reader.why ? reader.why : "it has no records");
	if (vmb_user_recorded_play(&config, &result))
		return VMB_VMM_EXIT_FAILURE;
	say_recorded(&result);
	return result.differences || result.ended ? VMB_VMM_EXIT_FAILURE : 0;
}

int vmb_vmm_replay_run(int argc, char **argv)
{
	bool host = argc > 1 && strcmp(argv[1], "--host") == 0;
	struct vmb_dev_trace_file file;
	int code;

	if (argc != (host ? 3 : 2)) {
		vmb_dev_report("replay takes one file; see openvmbus --help");
		return VMB_VMM_EXIT_USAGE;
	}
	if (vmb_dev_trace_load(&file, argv[argc - 1]))
		return VMB_VMM_EXIT_USAGE;
	code = (host ? replay_host : replay)(argv[argc - 1], &file);
	vmb_dev_trace_unload(&file);
	return code;
}
