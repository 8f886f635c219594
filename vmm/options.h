/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The command line of `openvmbus run`.
 */
#ifndef VMM_OPTIONS_H
#define VMM_OPTIONS_H

#include "devices/bus.h"
#include "devices/disk/disk.h"
#include "devices/fault_plan.h"
#include "devices/net/net.h"
#include "devices/nvme/nvme.h"
#include "devices/trace.h"
#include "devices/uefi/boot.h"
#include "devices/vnc.h"
#include "vmm/confine.h"
#include "vmm/generation.h"

#define VMB_VMM_SCSI_MAX 4u /* controllers; as many as on Hyper-V */

enum vmb_vmm_accel {
	VMB_VMM_ACCEL_AUTO, /* KVM, or the nest where there is no /dev/kvm */
	VMB_VMM_ACCEL_KVM,
	VMB_VMM_ACCEL_NEST,
};

/* What a firmware tries first. */
enum vmb_vmm_boot_device {
	VMB_VMM_BOOT_ANY, /* its own order */
	VMB_VMM_BOOT_DISK, /* the first of --disk */
	VMB_VMM_BOOT_DVD, /* the first of --cdrom */
	VMB_VMM_BOOT_NETWORK, /* the first of --net */
};

struct vmb_vmm_options {
	const char *kernel; /* NULL: firmware starts the machine */
	const char *firmware; /* NULL: the kernel is started directly */
	const char *nvram; /* NULL: the firmware's variables are lost at the end */
	enum vmb_vmm_boot_device boot_device;
	const char *boot_uri; /* of the network: see devices/uefi/boot.h */
	const char *asset_tag; /* of the chassis; NULL: none */
	uint8_t uuid[16]; /* of the machine, as SMBIOS has it; all zero: one is made up */
	const char *initrd; /* NULL: none */
	const char *append;
	const char *console; /* NULL: standard input and output */
	const char *console_also; /* with console_count 2; NULL as above */
	uint32_t console_count; /* as --console was given; 0: standard input and output */
	const char *faults[VMB_DEV_FAULT_RULE_MAX]; /* as --fault has them */
	uint32_t fault_count;
	const char *control; /* path of a socket; NULL: none */
	const char *vsock; /* path of a socket; NULL: none */
	bool input; /* a keyboard and a mouse */
	bool video; /* the guest has a screen */
	uint8_t resolution; /* of it, as vmb_dev_video_parse() has it */
	struct vmb_dev_vnc_option vnc;
	/* those of each controller by LUN; the first controller is always there */
	struct vmb_dev_disk_option disks[VMB_VMM_SCSI_MAX * VMB_HOST_SCSI_LUN_MAX];
	struct vmb_guid controllers[VMB_VMM_SCSI_MAX - 1]; /* instance ids of the others */
	uint32_t controller_count; /* of these */
	struct vmb_dev_disk_option ides[VMB_DEV_IDE_MAX]; /* by place */
	struct vmb_dev_disk_option nvmes[VMB_DEV_NVME_MAX];
	uint32_t nvme_count;
	struct vmb_dev_net_option nets[VMB_DEV_NET_MAX];
	uint32_t net_count;
	uint32_t disk_queues; /* channels of the SCSI controller; 0: by the number of processors */
	uint32_t disk_poll; /* microseconds that its queues look for requests before they sleep */
	uint64_t memory_len; /* bytes, a multiple of a page */
	uint64_t memory_min; /* bytes, when its size follows its need; 0: it does not */
	uint64_t memory_max; /* the same, with what may be added; memory_len or more */
	uint32_t cpus;
	struct vmb_vmm_generation generation; /* that of --generation, with the single caps in it */
	struct {
		uint32_t bus, network;
		uint16_t storage;
		bool no_timers;
		bool unannounced;
	} caps; /* as the options name them; 0: not given */
	enum vmb_vmm_accel accel;
	enum vmb_dev_monitors monitor;
	bool no_reboot;
	/* else a guest that crashed ends with its next reset, or when it stands still */
	bool go_on_after_crash;
	uint32_t crash_s; /* seconds; how long it may stand still */
	uint32_t contact_s; /* seconds without VMBus until that is reported; 0: never */
	uint32_t services; /* that are offered: VMB_DEV_SERVICES_BIT() of each */
	uint32_t stop_s; /* seconds that a guest has that was asked to power off; 0: not asked */
	uint32_t watchdog_s; /* seconds without heartbeats until a reset; 0: never */
	bool stats;
	struct vmb_dev_trace_config trace; /* path NULL: nothing is recorded */
	enum vmb_vmm_confine_how seccomp;
	const char *user; /* whom to become when everything is open; NULL: nobody else */
	bool progress;
};

/*
 * Parses argv, which is "run" and what follows. argv is not changed and must outlive o. Opens no
 * file. Returns 0, or -EINVAL: reported in one line.
 */
int vmb_vmm_options_parse(struct vmb_vmm_options *o, int argc, char **argv);
/* Of what --boot disk or dvd names, or -ENOENT. */
int vmb_vmm_options_boot_lun(const struct vmb_vmm_options *o);
/* The value of --monitor as it is written. */
const char *vmb_vmm_options_monitor_name(const struct vmb_vmm_options *o);

#endif
