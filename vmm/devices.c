// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The one list of devices that a machine can have. */
#include <errno.h>

#include "devices/network.h"
#include "devices/nvme/nvme.h"
#include "devices/report.h"
#include "devices/storage.h"
#include "devices/vnc.h"
#include "devices/vsock/vsock.h"
#include "vmm/devices.h"
#include "vmm/hotplug.h"

static int open_scsi(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o)
{
	struct vmb_dev_storage_config config = { .version_max = o->generation.storage,
						 .queue_count = o->disk_queues,
						 .poll_us = o->disk_poll,
						 .disk_count = VMB_HOST_SCSI_LUN_MAX };
	int error = 0;

	for (uint32_t i = 0; i <= o->controller_count && !error; i++) {
		config.disks = &o->disks[i * VMB_HOST_SCSI_LUN_MAX];
		config.named = i > 0;
		config.instance_id = i ? &o->controllers[i - 1] : NULL;
		error = vmb_dev_storage_open(&d->all[d->count], &config);
		d->count += !error;
	}
	return error;
}

static int open_ide(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o)
{
	struct vmb_dev_storage_config config = { .version_max = o->generation.storage,
						 .ide = true,
						 .disk_count = 1 };
	int error = 0;

	for (config.place = 0; config.place < VMB_DEV_IDE_MAX && !error; config.place++) {
		config.disks = &o->ides[config.place];
		if (!config.disks->path)
			continue;
		error = vmb_dev_storage_open(&d->all[d->count], &config);
		d->count += !error;
	}
	return error;
}

static int open_nvme(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o)
{
	struct vmb_dev_nvme_config config;
	int error = 0;

	for (uint32_t i = 0; i < o->nvme_count && !error; i++) {
		config = (struct vmb_dev_nvme_config){ .number = i, .disk = &o->nvmes[i] };
		error = vmb_dev_nvme_open(&d->all[d->count], &config);
		d->count += !error;
	}
	return error;
}

static int open_some_networks(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o, bool taps)
{
	int error = 0;

	for (uint32_t i = 0; i < o->net_count && !error; i++) {
		if ((o->nets[i].kind == VMB_DEV_NET_TAP) != taps)
			continue;
		error = vmb_dev_network_open(&d->all[d->count], &o->nets[i], i);
		d->count += !error;
	}
	return error;
}

static int open_networks(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o)
{
	return open_some_networks(d, o, false);
}

static int open_services(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o)
{
	const struct vmb_dev_services_config config = { .offered = o->services,
							.bus_version = o->generation.bus,
							.watchdog_s = o->watchdog_s };
	int error = vmb_dev_services_open(&d->all[d->count], &config);
	struct vmb_dev_services *services;

	if (error)
		return error;
	services = vmb_dev_services_of(&d->all[d->count++]);
	for (uint32_t i = 0; vmb_dev_services_part(&d->all[d->count], services, i); i++)
		d->count++;
	return 0;
}

static int open_vsock(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o)
{
	const struct vmb_dev_vsock_config config = { .path = o->vsock };
	int error = o->vsock ? vmb_dev_vsock_open(&d->all[d->count], &config) : 0;

	d->count += o->vsock && !error;
	return error;
}

static int open_balloon(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o)
{
	const struct vmb_dev_balloon_config config = { .bus_version = o->generation.bus,
						       .base = o->memory_len,
						       .max = o->memory_max,
						       .min = o->memory_min };
	int error = -ENODEV;

	if (o->services & VMB_DEV_SERVICES_MEMORY)
		error = vmb_dev_balloon_open(&d->all[d->count], &config);
	d->count += !error;
	return error == -ENODEV ? 0 : error;
}

static int open_input(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o)
{
	int error = o->input ? vmb_dev_input_open(&d->all[d->count]) : 0;

	d->count += o->input && !error;
	return error;
}

static int open_video(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o)
{
	const struct vmb_dev_video_config config = { .bus_version = o->generation.bus,
						     .preferred = o->resolution };
	int error = o->video ? vmb_dev_video_open(&d->all[d->count], &config) : 0;

	d->count += o->video && !error;
	return error;
}

/* After what it shows and types into. */
static int open_vnc(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o)
{
	const struct vmb_dev_vnc_config config = { .option = o->vnc,
						   .video = vmb_vmm_devices_video(d),
						   .input = vmb_vmm_devices_input(d) };
	int error = o->vnc.used ? vmb_dev_vnc_open(&d->all[d->count], &config) : 0;

	d->count += o->vnc.used && !error;
	return error;
}

/* Opening a card may create an interface, so cards come last. */
static int open_taps(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o)
{
	uint32_t count = d->count;
	int error = open_some_networks(d, o, true);

	d->begun |= d->count > count;
	return error;
}

/*
 * The kinds of device. Disks are also checked and locked on this machine when the guest runs in a
 * nest.
 */
static const struct {
	int (*open)(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o);
	bool is_disk;
} kinds[] = {
	{ open_scsi, true },	  { open_ide, true },	    { open_nvme, true },
	{ open_networks, false }, { open_services, false }, { open_balloon, false },
	{ open_vsock, false },	  { open_input, false },    { open_video, false },
	{ open_vnc, false },	  { open_taps, false },
};

static int open_kinds(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o, bool disks)
{
	int error = 0;

	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(kinds) && !error; i++)
		if (kinds[i].is_disk == disks)
			error = kinds[i].open(d, o);
	return error;
}

int vmb_vmm_devices_open_disks(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o)
{
	d->count = 0;
	return open_kinds(d, o, true);
}

int vmb_vmm_devices_open(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o)
{
	return open_kinds(d, o, false);
}

static bool is_disk(const struct vmb_dev_device *device)
{
	return device->ops == &vmb_dev_storage_ops || device->ops == &vmb_dev_nvme_ops;
}

static int prepare_some(struct vmb_vmm_devices *d, bool disks)
{
	int error = 0;

	for (uint32_t i = 0; i < d->count && !error; i++)
		if (is_disk(&d->all[i]) == disks)
			error = d->all[i].ops->prepare(d->all[i].state);
	return error;
}

int vmb_vmm_devices_prepare_disks(struct vmb_vmm_devices *d)
{
	return prepare_some(d, true);
}

int vmb_vmm_devices_prepare(struct vmb_vmm_devices *d)
{
	return prepare_some(d, false);
}

static const struct vmb_guid *id_of(const struct vmb_dev_device *device)
{
	return device->ops->channel ? &device->ops->channel(device->state)->host.instance_id : NULL;
}

/* controller= may name what another device has; a guest knows devices by their id. */
static int check_id(const struct vmb_vmm_devices *d, uint32_t i)
{
	const struct vmb_guid *id = id_of(&d->all[i]), *other;

	for (uint32_t k = 0; id && k < i; k++) {
		other = id_of(&d->all[k]);
		if (!other || !vmb_guid_equal(id, other))
			continue;
		vmb_dev_report("controller=: %s has the instance id of %s; give another one",
			       d->all[k].ops->name(d->all[k].state),
			       d->all[i].ops->name(d->all[i].state));
		return -EEXIST;
	}
	return 0;
}

int vmb_vmm_devices_attach(struct vmb_vmm_devices *d, struct vmb_dev_bus *bus)
{
	int error = 0;

	for (uint32_t i = 0; i < d->count && !error; i++) {
		d->lives[i].place = VMB_VMM_DEVICE_IN;
		error = d->all[i].ops->attach(d->all[i].state, bus);
		if (!error)
			error = check_id(d, i);
	}
	return error;
}

void vmb_vmm_devices_detach(struct vmb_vmm_devices *d)
{
	for (uint32_t i = 0; i < d->count; i++)
		d->all[i].ops->detach(d->all[i].state);
	for (uint32_t i = d->count; i-- > 0;)
		if (d->lives[i].removed)
			vmb_vmm_hotplug_close(d, i);
}

void vmb_vmm_devices_leave(struct vmb_vmm_devices *d)
{
	for (uint32_t i = 0; i < d->count; i++)
		if (d->all[i].ops->leave)
			d->all[i].ops->leave(d->all[i].state);
}

void vmb_vmm_devices_close(struct vmb_vmm_devices *d)
{
	vmb_vmm_devices_leave(d);
	for (uint32_t i = 0; i < d->count; i++)
		d->all[i].ops->close(d->all[i].state);
	for (uint32_t i = 0; i < d->count; i++)
		vmb_vmm_hotplug_free_card(d->lives[i].own);
	d->count = 0;
}

void vmb_vmm_devices_report(const struct vmb_vmm_devices *d)
{
	for (uint32_t i = 0; i < d->count; i++)
		d->all[i].ops->report(d->all[i].state);
}

uint16_t vmb_vmm_devices_storage_version(const struct vmb_vmm_devices *d)
{
	uint16_t version = 0;

	for (uint32_t i = 0; i < d->count && !version; i++)
		if (d->all[i].ops == &vmb_dev_storage_ops)
			version = ((struct vmb_dev_storage *)d->all[i].state)->version;
	return version;
}

struct vmb_dev_balloon *vmb_vmm_devices_balloon(const struct vmb_vmm_devices *d)
{
	struct vmb_dev_balloon *balloon = NULL;

	for (uint32_t i = 0; i < d->count && !balloon; i++)
		balloon = vmb_dev_balloon_of(&d->all[i]);
	return balloon;
}

struct vmb_dev_input *vmb_vmm_devices_input(const struct vmb_vmm_devices *d)
{
	struct vmb_dev_input *input = NULL;

	for (uint32_t i = 0; i < d->count && !input; i++)
		input = vmb_dev_input_of(&d->all[i]);
	return input;
}

struct vmb_dev_video *vmb_vmm_devices_video(const struct vmb_vmm_devices *d)
{
	struct vmb_dev_video *video = NULL;

	for (uint32_t i = 0; i < d->count && !video; i++)
		video = vmb_dev_video_of(&d->all[i]);
	return video;
}

struct vmb_dev_services *vmb_vmm_devices_services(const struct vmb_vmm_devices *d)
{
	struct vmb_dev_services *services = NULL;

	for (uint32_t i = 0; i < d->count && !services; i++)
		services = vmb_dev_services_of(&d->all[i]);
	return services;
}
