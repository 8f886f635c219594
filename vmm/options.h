/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The command line of `openvmbus run`.
 */
#ifndef VMM_OPTIONS_H
#define VMM_OPTIONS_H

#include "host/scsi.h"
#include "vmm/generation.h"
#include "devices/net/net.h"

enum vmb_vmm_accel {
	VMB_VMM_ACCEL_AUTO, /* KVM, or the nest where there is no /dev/kvm */
	VMB_VMM_ACCEL_KVM,
	VMB_VMM_ACCEL_NEST,
};

/* Something that goes wrong when the guest reads this block. */
struct vmb_dev_disk_fault {
	bool planned;
	uint64_t block; /* logical */
};

struct vmb_dev_disk_option {
	const char *path; /* NULL: no unit here; "null:LENGTH" is a disk of zeroes; or an NBD URI */
	const char *format; /* as format= names it; NULL: not said */
	const char *serial; /* NULL: one is made up */
	uint32_t reconnect_s; /* NBD: how long commands wait for a server that went away */
	bool read_only;
	bool dvd;
	bool ide;
	struct vmb_dev_disk_fault
		hold; /* not answered until the guest resets the unit or closes the channel */
	struct vmb_dev_disk_fault stuck; /* not answered until the guest closes the channel */
	struct vmb_dev_disk_fault gone; /* the disk is taken away */
};

/* Two IDE channels with two units each, by place. */
#define VMB_DEV_IDE_MAX		   4u
#define VMB_DEV_IDE_CHANNEL(place) ((place) / 2)
#define VMB_DEV_IDE_UNIT(place)	   ((place) % 2)

struct vmb_vmm_options {
	const char *kernel;
	const char *initrd; /* NULL: none */
	const char *append;
	const char *console; /* NULL: standard input and output */
	struct vmb_dev_disk_option disks[VMB_HOST_SCSI_LUN_MAX]; /* by LUN */
	struct vmb_dev_disk_option ides[VMB_DEV_IDE_MAX]; /* by place */
	struct vmb_dev_net_option nets[VMB_DEV_NET_MAX];
	uint32_t net_count;
	uint64_t memory_len; /* bytes, a multiple of a page */
	uint32_t cpus;
	struct vmb_vmm_generation generation; /* that of --generation, with the single caps in it */
	struct {
		uint32_t bus, network;
		uint16_t storage;
		bool unannounced;
	} caps; /* as the options name them; 0: not said */
	enum vmb_vmm_accel accel;
	bool monitor; /* offers have monitor ids */
	bool no_reboot;
	bool stats;
};

/*
 * argv: "run" and what follows; not changed, and kept by reference. 0; -EINVAL: reported in one line.
 * Looks at no file.
 */
int vmb_vmm_options_parse(struct vmb_vmm_options *o, int argc, char **argv);

/* A decimal number of at most max; *rest is what follows it. False: none. */
bool vmb_vmm_options_number(const char *text, uint64_t max, uint64_t *value, const char **rest);

/* "4096", "64K", "512M", "1G", "1T" in bytes. False: not a size. */
bool vmb_vmm_options_size(const char *text, uint64_t *len);

#endif
