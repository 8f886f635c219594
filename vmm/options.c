// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Parses the command line of `openvmbus run` and reports in one line what is wrong with it. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "devices/balloon.h"
#include "devices/report.h"
#include "devices/services/services.h"
#include "devices/storage.h"
#include "devices/text.h"
#include "devices/video.h"
#include "vmm/firmware.h"
#include "vmm/kvm.h"
#include "vmm/options.h"
#include "devices/uefi/uuid.h"
#include "wire/vmbus.h"

#define MEMORY_DEFAULT	    (1ull << 30)
#define MEMORY_MIN	    (64ull << 20)
#define MEMORY_MAX	    (1ull << 40)
#define CRASH_S		    30u
#define CONTACT_S	    120u
#define SECONDS_MAX	    3600u
#define STOP_S		    60u
#define WATCHDOG_S_MIN	    10u /* heartbeats are two seconds apart */
/* What guests reckon with; docs/protocol/storage.md, "4 Initialisation". */
#define CPUS_PER_DISK_QUEUE 4u
#define DISK_POLL_MAX_US    1000u /* about what a slice of a scheduler may be */
#define ASSET_TAG_MAX	    63u

/* Guests add memory in blocks of their own, which are not smaller. */
#define MEMORY_BLOCK	    (128ull << 20)

static int parse_memory_property(struct vmb_vmm_options *o, const char *property)
{
	bool min = !strncmp(property, "min=", 4), max = !strncmp(property, "max=", 4);

	if (!(min || max) ||
	    !vmb_dev_text_size(property + 4, min ? &o->memory_min : &o->memory_max)) {
		vmb_dev_report("--memory ...,%s: not known; give max=SIZE and min=SIZE, for "
			       "example 1G,max=4G",
			       property);
		return -EINVAL;
	}
	if (min && (o->memory_min < VMB_DEV_BALLOON_MIN || o->memory_min > o->memory_len)) {
		vmb_dev_report("--memory ...,%s: give 32M to what the guest starts with", property);
		return -EINVAL;
	}
	if (max && (o->memory_max < o->memory_len || o->memory_max > MEMORY_MAX ||
		    o->memory_max % MEMORY_BLOCK || o->memory_len % MEMORY_BLOCK)) {
		vmb_dev_report("--memory ...,%s: give at least what the guest starts with, 1T at "
			       "most, and both in steps of 128M",
			       property);
		return -EINVAL;
	}
	return 0;
}

static int parse_memory(struct vmb_vmm_options *o, char *value)
{
	char *rest = value;
	int error = 0;

	value = strsep(&rest, ",");
	if (!vmb_dev_text_size(value, &o->memory_len)) {
		vmb_dev_report("--memory %s: not a size; give a number with K, M or G, for "
			       "example 1G",
			       value);
		return -EINVAL;
	}
	if (o->memory_len < MEMORY_MIN || o->memory_len > MEMORY_MAX ||
	    o->memory_len % VMB_PAGE_LEN) {
		vmb_dev_report("--memory %s: give 64M to 1T, in pages of 4K", value);
		return -EINVAL;
	}
	o->memory_max = o->memory_len;
	o->memory_min = 0;
	while (!error && rest)
		error = parse_memory_property(o, strsep(&rest, ","));
	return error;
}

static int parse_cpus(struct vmb_vmm_options *o, char *value)
{
	const char *rest;
	uint64_t n;

	if (!vmb_dev_text_number(value, UINT32_MAX, &n, &rest) || *rest || !n ||
	    n > VMB_VMM_VP_MAX) {
		vmb_dev_report("--cpus %s: give a number from 1 to %u", value, VMB_VMM_VP_MAX);
		return -EINVAL;
	}
	o->cpus = n;
	return 0;
}

static int parse_accel(struct vmb_vmm_options *o, char *value)
{
	static const char *const names[] = { "auto", "kvm", "nest" };

	for (size_t i = 0; i < VMB_ARRAY_COUNT(names); i++) {
		if (strcmp(value, names[i]) == 0) {
			o->accel = i;
			return 0;
		}
	}
	vmb_dev_report("--accel %s: give auto, kvm or nest", value);
	return -EINVAL;
}

/* The number of the controller that a disk is for; VMB_VMM_SCSI_MAX: there can be no more. */
static uint32_t find_controller(struct vmb_vmm_options *o, const struct vmb_dev_disk_parsed *p)
{
	uint32_t i = 0;

	if (!p->has_controller || vmb_guid_equal(&p->controller, &vmb_dev_storage_scsi_id))
		return 0;
	while (i < o->controller_count && !vmb_guid_equal(&o->controllers[i], &p->controller))
		i++;
	if (i == o->controller_count && i < VMB_ARRAY_COUNT(o->controllers))
		o->controllers[o->controller_count++] = p->controller;
	return i + 1;
}

static int place_disk(struct vmb_vmm_options *o, const struct vmb_dev_disk_parsed *p)
{
	uint32_t i = find_controller(o, p);

	if (i < VMB_VMM_SCSI_MAX)
		return vmb_dev_disk_place(&o->disks[i * VMB_HOST_SCSI_LUN_MAX], p);
	vmb_dev_report("%s %s: a machine has at most %u SCSI controllers; give a controller= that "
		       "another disk has, or none",
		       vmb_dev_disk_option_name(&p->option), p->option.path, VMB_VMM_SCSI_MAX);
	return -EINVAL;
}

static int parse_unit(struct vmb_vmm_options *o, const char *value, bool ide, bool dvd)
{
	struct vmb_dev_disk_parsed p;
	int error = vmb_dev_disk_parse(&p, value, ide, dvd);

	if (error)
		return error;
	error = ide ? vmb_dev_disk_place(o->ides, &p) : place_disk(o, &p);
	if (error)
		free((char *)p.option.path);
	return error;
}

static int parse_disk(struct vmb_vmm_options *o, char *value)
{
	return parse_unit(o, value, false, false);
}

static int parse_cdrom(struct vmb_vmm_options *o, char *value)
{
	return parse_unit(o, value, false, true);
}

static int parse_disk_queues(struct vmb_vmm_options *o, char *value)
{
	const char *rest;
	uint64_t n;

	if (!vmb_dev_text_number(value, UINT32_MAX, &n, &rest) || *rest || !n ||
	    n > VMB_DEV_STORAGE_QUEUE_MAX) {
		vmb_dev_report("--disk-queues %s: give a number from 1 to %u", value,
			       VMB_DEV_STORAGE_QUEUE_MAX);
		return -EINVAL;
	}
	o->disk_queues = n;
	return 0;
}

static int parse_disk_poll(struct vmb_vmm_options *o, char *value)
{
	const char *rest;
	uint64_t n;

	if (!vmb_dev_text_number(value, UINT32_MAX, &n, &rest) || *rest || n > DISK_POLL_MAX_US) {
		vmb_dev_report("--disk-poll %s: give a number of microseconds from 0 to %u", value,
			       DISK_POLL_MAX_US);
		return -EINVAL;
	}
	o->disk_poll = n;
	return 0;
}

static int parse_ide(struct vmb_vmm_options *o, char *value)
{
	return parse_unit(o, value, true, false);
}

static int parse_ide_cdrom(struct vmb_vmm_options *o, char *value)
{
	return parse_unit(o, value, true, true);
}

static int parse_nvme(struct vmb_vmm_options *o, char *value)
{
	struct vmb_dev_disk_parsed p;
	int error;

	if (o->nvme_count == VMB_DEV_NVME_MAX) {
		vmb_dev_report("--nvme %s: a machine has at most %u such disks", value,
			       VMB_DEV_NVME_MAX);
		return -EINVAL;
	}
	error = vmb_dev_disk_parse_nvme(&p, value);
	if (!error)
		o->nvmes[o->nvme_count++] = p.option;
	return error;
}

static int check_net(const struct vmb_vmm_options *o, const struct vmb_dev_net_option *net)
{
	for (uint32_t i = 0; i < o->net_count; i++) {
		const struct vmb_dev_net_option *other = &o->nets[i];

		if (memcmp(other->mac, net->mac, sizeof(net->mac)) == 0) {
			vmb_dev_report("--net: two cards have one address; give another mac=");
			return -EINVAL;
		}
		if (net->capture && other->capture && strcmp(net->capture, other->capture) == 0) {
			vmb_dev_report("--net: two cards write to capture=%s; give another file",
				       net->capture);
			return -EINVAL;
		}
	}
	return 0;
}

/* "none" says that there is no card. */
static int parse_net(struct vmb_vmm_options *o, char *value)
{
	const char *text = value;
	struct vmb_dev_net_option net;

	if (strcmp(value, "none") == 0)
		return 0;
	if (o->net_count == VMB_DEV_NET_MAX) {
		vmb_dev_report("--net %s: a machine has at most %u cards", value, VMB_DEV_NET_MAX);
		return -EINVAL;
	}
	value = strdup(value); /* argv stays whole: the nest is given it again */
	if (!value) {
		vmb_dev_report("--net: %s", strerror(ENOMEM));
		return -EINVAL;
	}
	if (vmb_dev_net_parse(&net, value, o->net_count) || check_net(o, &net))
		return -EINVAL;
	net.text = text;
	o->nets[o->net_count++] = net;
	return 0;
}

static int parse_generation(struct vmb_vmm_options *o, char *value)
{
	const struct vmb_vmm_generation *found = vmb_vmm_generation_find(value);

	if (found) {
		o->generation = *found;
		return 0;
	}
	vmb_dev_report("--generation %s: give " VMB_VMM_GENERATION_NAMES, value);
	return -EINVAL;
}

static int parse_bus_version(struct vmb_vmm_options *o, char *value)
{
	o->caps.bus = vmb_vmm_generation_bus(value);
	if (o->caps.bus)
		return 0;
	vmb_dev_report("--vmbus-version %s: give " VMB_VMM_GENERATION_BUS, value);
	return -EINVAL;
}

static int parse_storage_version(struct vmb_vmm_options *o, char *value)
{
	o->caps.storage = vmb_vmm_generation_storage(value);
	if (o->caps.storage)
		return 0;
	vmb_dev_report("--storage-version %s: give " VMB_VMM_GENERATION_STORAGE, value);
	return -EINVAL;
}

static int parse_network_version(struct vmb_vmm_options *o, char *value)
{
	o->caps.network = vmb_vmm_generation_network(value);
	if (o->caps.network)
		return 0;
	vmb_dev_report("--network-version %s: give " VMB_VMM_GENERATION_NETWORK, value);
	return -EINVAL;
}

/* Single versions override --generation, in whatever order the options were given. */
static int settle_generation(struct vmb_vmm_options *o)
{
	uint32_t vp_max = o->generation.vp_max;

	if (vp_max && o->cpus > vp_max) {
		vmb_dev_report("--cpus %u: Windows Server %s has at most %u processors a machine; "
			       "give fewer, or --vmbus-version alone",
			       o->cpus, o->generation.name, vp_max);
		return -EINVAL;
	}
	if (o->caps.bus)
		o->generation.bus = o->caps.bus;
	if (o->caps.storage)
		o->generation.storage = o->caps.storage;
	if (o->caps.network)
		o->generation.network = o->caps.network;
	o->generation.no_timers = o->caps.no_timers;
	o->generation.unannounced = o->caps.unannounced;
	if (!o->disk_queues)
		o->disk_queues = 1 + (o->cpus - 1) / CPUS_PER_DISK_QUEUE;
	if (o->generation.bus < VMB_VERSION_2_4)
		o->disk_queues = 1; /* no sub-channels */
	for (uint32_t i = 0; i < o->net_count; i++) {
		o->nets[i].version_max = o->generation.network;
		if (o->generation.bus < VMB_VERSION_2_4)
			o->nets[i].queue_count = 1; /* no sub-channels */
	}
	return 0;
}

static int parse_kernel(struct vmb_vmm_options *o, char *value)
{
	o->kernel = value;
	return 0;
}

static int parse_progress(struct vmb_vmm_options *o, char *value)
{
	o->progress = true;
	return 0;
}

static int parse_firmware(struct vmb_vmm_options *o, char *value)
{
	o->firmware = value;
	return 0;
}

static int parse_nvram(struct vmb_vmm_options *o, char *value)
{
	o->nvram = value;
	return 0;
}

/* A place for HTTP: printable, without a blank, and short enough for a boot entry. */
static bool is_uri(const char *value)
{
	static const char scheme[] = "http://";
	size_t len = strlen(value);

	if (strncmp(value, scheme, sizeof(scheme) - 1) != 0 || len < sizeof(scheme) ||
	    len > VMB_DEV_UEFI_BOOT_URI_MAX)
		return false;
	for (; *value; value++)
		if (*value <= ' ' || *value > '~')
			return false;
	return true;
}

static int parse_boot(struct vmb_vmm_options *o, char *value)
{
	o->boot_uri = NULL;
	if (strcmp(value, "disk") == 0)
		o->boot_device = VMB_VMM_BOOT_DISK;
	else if (strcmp(value, "dvd") == 0)
		o->boot_device = VMB_VMM_BOOT_DVD;
	else if (strcmp(value, "network") == 0)
		o->boot_device = VMB_VMM_BOOT_NETWORK;
	else if (strcmp(value, "http") == 0 || is_uri(value)) {
		o->boot_device = VMB_VMM_BOOT_NETWORK;
		o->boot_uri = value[strlen("http")] ? value : "";
	} else {
		vmb_dev_report("--boot %s: give disk, dvd, network, http or http://HOST/PATH",
			       value);
		return -EINVAL;
	}
	return 0;
}

static int parse_asset_tag(struct vmb_vmm_options *o, char *value)
{
	if (!*value || strlen(value) > ASSET_TAG_MAX) {
		vmb_dev_report("--asset-tag %s: give 1 to %u characters", value, ASSET_TAG_MAX);
		return -EINVAL;
	}
	o->asset_tag = value;
	return 0;
}

static int parse_uuid(struct vmb_vmm_options *o, char *value)
{
	if (vmb_dev_uefi_uuid_parse(value, o->uuid))
		return 0;
	vmb_dev_report("--uuid %s: give a UUID, for example "
		       "12345678-9abc-def0-1234-56789abcdef0",
		       value);
	return -EINVAL;
}

static int parse_initrd(struct vmb_vmm_options *o, char *value)
{
	o->initrd = value;
	return 0;
}

static int parse_append(struct vmb_vmm_options *o, char *value)
{
	o->append = value;
	return 0;
}

static int parse_console(struct vmb_vmm_options *o, char *value)
{
	const char *path = strcmp(value, "stdio") == 0 ? NULL : value;

	if (o->console_count == 2) {
		vmb_dev_report("--console %s: at most two can be given", value);
		return -EINVAL;
	}
	if (o->console_count &&
	    (path ? o->console && strcmp(path, o->console) == 0 : !o->console)) {
		vmb_dev_report("--console %s: given twice; give another one", value);
		return -EINVAL;
	}
	if (o->console_count++)
		o->console_also = path;
	else
		o->console = path;
	return 0;
}

static int parse_fault(struct vmb_vmm_options *o, char *value)
{
	if (o->fault_count == VMB_DEV_FAULT_RULE_MAX) {
		vmb_dev_report("--fault %s: at most %u can be given", value,
			       VMB_DEV_FAULT_RULE_MAX);
		return -EINVAL;
	}
	o->faults[o->fault_count++] = value;
	return 0;
}

static int parse_control(struct vmb_vmm_options *o, char *value)
{
	if (!*value) {
		vmb_dev_report("--control: the socket's path is missing");
		return -EINVAL;
	}
	o->control = value;
	return 0;
}

static int parse_vsock(struct vmb_vmm_options *o, char *value)
{
	if (!*value) {
		vmb_dev_report("--vsock: the socket's path is missing");
		return -EINVAL;
	}
	o->vsock = value;
	return 0;
}

static int parse_input(struct vmb_vmm_options *o, char *value)
{
	o->input = true;
	return 0;
}

static int parse_video(struct vmb_vmm_options *o, char *value)
{
	o->video = true;
	if (vmb_dev_video_parse(value, &o->resolution))
		return 0;
	vmb_dev_report("--video %s: give " VMB_DEV_VIDEO_RESOLUTIONS, value);
	return -EINVAL;
}

/* Whoever looks wants something to look at, and to type. */
static int parse_vnc(struct vmb_vmm_options *o, char *value)
{
	if (!o->video)
		vmb_dev_video_parse(NULL, &o->resolution);
	o->video = o->input = true;
	return vmb_dev_vnc_parse(&o->vnc, value);
}

static int parse_no_reboot(struct vmb_vmm_options *o, char *value)
{
	o->no_reboot = true;
	return 0;
}

static const char *const monitor_names[] = {
	[VMB_DEV_MONITORS_OFF] = "off",
	[VMB_DEV_MONITORS_ON] = "on",
	[VMB_DEV_MONITORS_AUTO] = "auto",
};

const char *vmb_vmm_options_monitor_name(const struct vmb_vmm_options *o)
{
	return monitor_names[o->monitor];
}

static int parse_monitor(struct vmb_vmm_options *o, char *value)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(monitor_names); i++)
		if (strcmp(value, monitor_names[i]) == 0) {
			o->monitor = i;
			return 0;
		}
	vmb_dev_report("--monitor %s: give auto, on or off", value);
	return -EINVAL;
}

static bool parse_seconds(const char *text, uint32_t *seconds)
{
	const char *rest;
	uint64_t n;

	if (!vmb_dev_text_number(text, SECONDS_MAX, &n, &rest) || *rest)
		return false;
	*seconds = n;
	return true;
}

static int parse_on_crash(struct vmb_vmm_options *o, char *value)
{
	static const char after[] = "stop,after=";

	o->go_on_after_crash = strcmp(value, "continue") == 0;
	if (o->go_on_after_crash || strcmp(value, "stop") == 0)
		return 0;
	if (strncmp(value, after, sizeof(after) - 1) == 0 &&
	    parse_seconds(value + sizeof(after) - 1, &o->crash_s))
		return 0;
	vmb_dev_report("--on-crash %s: give stop, stop,after=SECONDS (0 to %u) or continue", value,
		       SECONDS_MAX);
	return -EINVAL;
}

static int parse_contact(struct vmb_vmm_options *o, char *value)
{
	if (parse_seconds(value, &o->contact_s))
		return 0;
	vmb_dev_report("--contact-within %s: give seconds from 1 to %u, or 0: never", value,
		       SECONDS_MAX);
	return -EINVAL;
}

static int parse_services(struct vmb_vmm_options *o, char *value)
{
	if (vmb_dev_services_parse(value, &o->services))
		return 0;
	vmb_dev_report("--services %s: give all, none, or some of " VMB_DEV_SERVICES_NAMES
		       ", with commas between them",
		       value);
	return -EINVAL;
}

static int parse_stop_timeout(struct vmb_vmm_options *o, char *value)
{
	if (parse_seconds(value, &o->stop_s))
		return 0;
	vmb_dev_report("--stop-timeout %s: give seconds from 1 to %u, or 0: the guest is not asked",
		       value, SECONDS_MAX);
	return -EINVAL;
}

static int parse_watchdog(struct vmb_vmm_options *o, char *value)
{
	if (parse_seconds(value, &o->watchdog_s) &&
	    (!o->watchdog_s || o->watchdog_s >= WATCHDOG_S_MIN))
		return 0;
	vmb_dev_report("--watchdog %s: give seconds from %u to %u, or 0: never", value,
		       WATCHDOG_S_MIN, SECONDS_MAX);
	return -EINVAL;
}

static int parse_no_timers(struct vmb_vmm_options *o, char *value)
{
	o->caps.no_timers = true;
	return 0;
}

static int parse_unannounced(struct vmb_vmm_options *o, char *value)
{
	o->caps.unannounced = true;
	return 0;
}

static int parse_seccomp(struct vmb_vmm_options *o, char *value)
{
	if (vmb_vmm_confine_parse(&o->seccomp, value))
		return 0;
	vmb_dev_report("--seccomp %s: give kill, errno or off", value);
	return -EINVAL;
}

static int parse_user(struct vmb_vmm_options *o, char *value)
{
	o->user = value;
	return 0;
}

static int parse_stats(struct vmb_vmm_options *o, char *value)
{
	o->stats = true;
	return 0;
}

static int parse_trace(struct vmb_vmm_options *o, char *value)
{
	o->trace.path = value;
	return 0;
}

static int parse_trace_size(struct vmb_vmm_options *o, char *value)
{
	if (vmb_dev_text_size(value, &o->trace.len_max) && o->trace.len_max)
		return 0;
	vmb_dev_report("--trace-size %s: give a size, for example 100M", value);
	return -EINVAL;
}

static int parse_trace_snap(struct vmb_vmm_options *o, char *value)
{
	uint64_t len;

	if (strcmp(value, "full") == 0) {
		o->trace.snap = VMB_DEV_TRACE_SNAP_FULL;
		return 0;
	}
	if (vmb_dev_text_size(value, &len) && len < VMB_DEV_TRACE_SNAP_FULL) {
		o->trace.snap = len;
		return 0;
	}
	vmb_dev_report("--trace-snap %s: give bytes, for example 256, or full", value);
	return -EINVAL;
}

static int check_trace(const struct vmb_vmm_options *o)
{
	if (o->trace.path)
		return 0;
	if (!o->trace.len_max && o->trace.snap == VMB_DEV_TRACE_SNAP_DEFAULT)
		return 0;
	vmb_dev_report("%s: it belongs to --trace FILE, which is missing",
		       o->trace.len_max ? "--trace-size" : "--trace-snap");
	return -EINVAL;
}

int vmb_vmm_options_boot_lun(const struct vmb_vmm_options *o)
{
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (o->disks[lun].path && o->disks[lun].dvd == (o->boot_device == VMB_VMM_BOOT_DVD))
			return lun;
	return -ENOENT;
}

/* What is to be tried first must be there, and somebody who tries it. */
static int settle_boot_device(const struct vmb_vmm_options *o)
{
	static const char *const options[] = { [VMB_VMM_BOOT_DISK] = "--disk",
					       [VMB_VMM_BOOT_DVD] = "--cdrom",
					       [VMB_VMM_BOOT_NETWORK] = "--net" };
	bool there = o->boot_device == VMB_VMM_BOOT_NETWORK ? o->net_count :
							      vmb_vmm_options_boot_lun(o) >= 0;

	if (o->boot_device == VMB_VMM_BOOT_ANY || (o->firmware && there))
		return 0;
	if (!o->firmware)
		vmb_dev_report("--boot: only firmware looks for a system; give --firmware too");
	else
		vmb_dev_report("--boot: there is no %s to start from", options[o->boot_device]);
	return -EINVAL;
}

static bool has_disk(const struct vmb_vmm_options *o)
{
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (o->disks[lun].path)
			return true;
	return false;
}

/* Without a kernel, what there is to start is on a disk, or where --boot says. */
static int choose_firmware(struct vmb_vmm_options *o)
{
	bool wanted = !o->initrd && !o->append &&
		      (has_disk(o) || o->boot_device != VMB_VMM_BOOT_ANY);

	if (wanted)
		o->firmware = vmb_vmm_firmware_find();
	if (o->firmware)
		return 0;
	vmb_dev_report("--kernel FILE is missing%s; see openvmbus --help",
		       wanted ? ", or --firmware FILE: none is installed" : "");
	return -EINVAL;
}

/* A machine is started by a kernel or by firmware. */
static int settle_boot(struct vmb_vmm_options *o)
{
	if (!o->kernel && !o->firmware && choose_firmware(o))
		return -EINVAL;
	if (o->firmware && (o->kernel || o->initrd || o->append)) {
		vmb_dev_report("--firmware %s: the firmware finds the kernel on a disk; leave out "
			       "--kernel, --initrd and --append",
			       o->firmware);
		return -EINVAL;
	}
	if (!o->firmware && o->nvram) {
		vmb_dev_report("--nvram %s: only firmware has variables; give --firmware too",
			       o->nvram);
		return -EINVAL;
	}
	if (!o->append)
		o->append = "console=ttyS0";
	return settle_boot_device(o);
}

static const struct option names[] = {
	{ "kernel", required_argument, NULL, 0 },
	{ "initrd", required_argument, NULL, 0 },
	{ "append", required_argument, NULL, 0 },
	{ "disk", required_argument, NULL, 0 },
	{ "disk-queues", required_argument, NULL, 0 },
	{ "disk-poll", required_argument, NULL, 0 },
	{ "cdrom", required_argument, NULL, 0 },
	{ "ide", required_argument, NULL, 0 },
	{ "ide-cdrom", required_argument, NULL, 0 },
	{ "nvme", required_argument, NULL, 0 },
	{ "net", required_argument, NULL, 0 },
	{ "memory", required_argument, NULL, 0 },
	{ "cpus", required_argument, NULL, 0 },
	{ "console", required_argument, NULL, 0 },
	{ "accel", required_argument, NULL, 0 },
	{ "generation", required_argument, NULL, 0 },
	{ "vmbus-version", required_argument, NULL, 0 },
	{ "storage-version", required_argument, NULL, 0 },
	{ "network-version", required_argument, NULL, 0 },
	{ "monitor", required_argument, NULL, 0 },
	{ "no-reboot", no_argument, NULL, 0 },
	{ "unannounced", no_argument, NULL, 0 },
	{ "stats", no_argument, NULL, 0 },
	{ "on-crash", required_argument, NULL, 0 },
	{ "contact-within", required_argument, NULL, 0 },
	{ "no-timers", no_argument, NULL, 0 },
	{ "control", required_argument, NULL, 0 },
	{ "vsock", required_argument, NULL, 0 },
	{ "input", no_argument, NULL, 0 },
	{ "video", required_argument, NULL, 0 },
	{ "vnc", required_argument, NULL, 0 },
	{ "fault", required_argument, NULL, 0 },
	{ "trace", required_argument, NULL, 0 },
	{ "trace-size", required_argument, NULL, 0 },
	{ "trace-snap", required_argument, NULL, 0 },
	{ "services", required_argument, NULL, 0 },
	{ "stop-timeout", required_argument, NULL, 0 },
	{ "watchdog", required_argument, NULL, 0 },
	{ "seccomp", required_argument, NULL, 0 },
	{ "user", required_argument, NULL, 0 },
	{ "firmware", required_argument, NULL, 0 },
	{ "nvram", required_argument, NULL, 0 },
	{ "boot", required_argument, NULL, 0 },
	{ "uuid", required_argument, NULL, 0 },
	{ "asset-tag", required_argument, NULL, 0 },
	{ "progress", no_argument, NULL, 0 },
	{ NULL, 0, NULL, 0 },
};

/* In the order of names. */
static int (*const parsers[])(struct vmb_vmm_options *o, char *value) = {
	parse_kernel,
	parse_initrd,
	parse_append,
	parse_disk,
	parse_disk_queues,
	parse_disk_poll,
	parse_cdrom,
	parse_ide,
	parse_ide_cdrom,
	parse_nvme,
	parse_net,
	parse_memory,
	parse_cpus,
	parse_console,
	parse_accel,
	parse_generation,
	parse_bus_version,
	parse_storage_version,
	parse_network_version,
	parse_monitor,
	parse_no_reboot,
	parse_unannounced,
	parse_stats,
	parse_on_crash,
	parse_contact,
	parse_no_timers,
	parse_control,
	parse_vsock,
	parse_input,
	parse_video,
	parse_vnc,
	parse_fault,
	parse_trace,
	parse_trace_size,
	parse_trace_snap,
	parse_services,
	parse_stop_timeout,
	parse_watchdog,
	parse_seccomp,
	parse_user,
	parse_firmware,
	parse_nvram,
	parse_boot,
	parse_uuid,
	parse_asset_tag,
	parse_progress,
};
_Static_assert(VMB_ARRAY_COUNT(names) == VMB_ARRAY_COUNT(parsers) + 1, "a parser for each option");

static int refuse(int found, const char *argument)
{
	if (found == ':')
		vmb_dev_report("%s: its value is missing; see openvmbus --help", argument);
	else
		vmb_dev_report("%s: no such option; see openvmbus --help", argument);
	return -EINVAL;
}

int vmb_vmm_options_parse(struct vmb_vmm_options *o, int argc, char **argv)
{
	int found, index;

	*o = (struct vmb_vmm_options){ .memory_len = MEMORY_DEFAULT,
				       .memory_max = MEMORY_DEFAULT,
				       .cpus = 1,
				       .crash_s = CRASH_S,
				       .contact_s = CONTACT_S,
				       .monitor = VMB_DEV_MONITORS_AUTO,
				       .trace = { .snap = VMB_DEV_TRACE_SNAP_DEFAULT },
				       .services = VMB_DEV_SERVICES_ALL,
				       .stop_s = STOP_S,
				       .generation = *vmb_vmm_generation_newest() };
	optind = 0; /* getopt starts anew, at argv[1] */
	opterr = 0;
	while ((found = getopt_long(argc, argv, "+:", names, &index)) != -1) {
		if (found)
			return refuse(found, argv[optind - 1]);
		if (parsers[index](o, optarg))
			return -EINVAL;
	}
	if (optind < argc)
		return refuse(0, argv[optind]);
	if (settle_boot(o))
		return -EINVAL;
	return check_trace(o) ? -EINVAL : settle_generation(o);
}
