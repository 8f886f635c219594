/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The devices of a machine, as the command line asks for them: which kinds there are, and all of
 * them as one array. A new kind is a row in vmm/devices.c.
 *
 *   vmb_vmm_devices_open_disks(&devices, &options)  the disks; also if the machine runs in a nest
 *   vmb_vmm_devices_open(&devices, &options)        the rest; both only check, and change nothing
 *   vmb_vmm_devices_prepare_disks(&devices)   they will be used: connects, measures
 *   vmb_vmm_devices_prepare(&devices)         the rest; may overwrite files
 *   for every start of the machine: _attach, after the bus was created; _detach, after it has
 *     stopped; _report
 *   vmb_vmm_devices_leave(&devices)           no other start follows; what takes time begins
 *   vmb_vmm_devices_close(&devices)
 */
#ifndef VMM_DEVICES_H
#define VMM_DEVICES_H

#include "devices/balloon.h"
#include "devices/device.h"
#include "devices/input.h"
#include "devices/services/services.h"
#include "devices/video.h"
#include "vmm/options.h"

#define VMB_VMM_DEVICE_MAX                                                                   \
	(6 + VMB_DEV_SERVICE_COUNT + VMB_VMM_SCSI_MAX + VMB_DEV_IDE_MAX + VMB_DEV_NVME_MAX + \
	 VMB_DEV_NET_MAX)

/* Where a device is while a machine runs; each start of the machine begins with all of them in. */
enum vmb_vmm_device_place {
	VMB_VMM_DEVICE_IN, /* offered */
	VMB_VMM_DEVICE_LEAVING, /* rescinded; the guest has not let go of it yet */
	VMB_VMM_DEVICE_OUT,
};

struct vmb_vmm_device_life {
	enum vmb_vmm_device_place place;
	bool removed; /* it is closed as soon as it is out, or the machine ends */
	struct vmb_dev_net_option *own; /* of a card that was added at run time */
};

struct vmb_vmm_devices {
	struct vmb_dev_device all[VMB_VMM_DEVICE_MAX];
	struct vmb_vmm_device_life lives[VMB_VMM_DEVICE_MAX]; /* vmm/hotplug.h */
	uint32_t count;
	/* something was started or written: from here on an error is no longer one of usage */
	bool begun;
};

/* These return 0, or -errno: reported. After an error the caller must still call _close. */
int vmb_vmm_devices_open_disks(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o);
int vmb_vmm_devices_open(struct vmb_vmm_devices *d, const struct vmb_vmm_options *o);
int vmb_vmm_devices_prepare_disks(struct vmb_vmm_devices *d);
int vmb_vmm_devices_prepare(struct vmb_vmm_devices *d);
int vmb_vmm_devices_attach(struct vmb_vmm_devices *d, struct vmb_dev_bus *bus);
void vmb_vmm_devices_detach(struct vmb_vmm_devices *d);
/* Begins to close, without waiting; after _detach. */
void vmb_vmm_devices_leave(struct vmb_vmm_devices *d);
void vmb_vmm_devices_close(struct vmb_vmm_devices *d);

/* The lines of --stats. */
void vmb_vmm_devices_report(const struct vmb_vmm_devices *d);
/* Returns keyboard and mouse. NULL: this machine has none. */
struct vmb_dev_input *vmb_vmm_devices_input(const struct vmb_vmm_devices *d);
/* Returns dynamic memory. NULL: this machine has none. */
struct vmb_dev_balloon *vmb_vmm_devices_balloon(const struct vmb_vmm_devices *d);
/* Returns video. NULL: this machine has none. */
struct vmb_dev_video *vmb_vmm_devices_video(const struct vmb_vmm_devices *d);
/* Returns the integration services. NULL: they are not open. */
struct vmb_dev_services *vmb_vmm_devices_services(const struct vmb_vmm_devices *d);
/* The storage version of the first disk channel that a guest used; 0: none. */
uint16_t vmb_vmm_devices_storage_version(const struct vmb_vmm_devices *d);

#endif
