/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a seed draws before its run begins: the host, the guest, the devices, and how bad it gets.
 */
#ifndef SIM_CONFIG_H
#define SIM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_DEVICE_MAX		   8u /* 4 of disks and cards, 2 services, memory, sockets */
#define SIM_DISK_MAX		   3u /* of a SCSI controller */
#define SIM_QUEUE_MAX		   4u /* channels of a disk or card */
#define SIM_CHANNEL_MAX		   8u /* and of any device: connections of sockets */
#define SIM_CHANNEL(device, index) ((uint8_t)((device)*SIM_CHANNEL_MAX + (index)))

enum sim_class { SIM_SCSI, SIM_IDE, SIM_CARD, SIM_SERVICE, SIM_MEMORY, SIM_SOCKETS };

/* What may go wrong. Each class of faults has the promises that still hold under it. */
enum sim_faults {
	SIM_FAULTS_NONE, /* both ends keep the protocol; disks may fail */
	SIM_FAULTS_UNRELIABLE, /* messages, packets and signals are lost, late, doubled */
	SIM_FAULTS_LIAR, /* and changed: what the guest reads is not believed any more */
};

struct sim_device_config {
	enum sim_class class;
	uint32_t queue_count; /* of the host; the guest asks for as many as it likes */
	uint32_t disk_count; /* SCSI: at the start; IDE: 1 */
	bool drive; /* SCSI: a DVD drive, too */
	uint32_t version_max; /* storage or network */
	uint32_t ide_place;
	uint32_t service; /* enum vmb_ic_type */
	/* reads of this block are not answered: until a reset, or at all; 0: of none */
	uint32_t held_block, stuck_block;
};

struct sim_config {
	bool liveness; /* faults end, and everything must recover; else they never end */
	enum sim_faults faults;
	uint32_t host_version, guest_version; /* VMB_VERSION_*: the newest of each */
	bool monitors;
	uint32_t vp_count;
	uint32_t ring_pages; /* of each ring, control page included */
	uint32_t guest_queues; /* channels of a device that the guest uses */
	uint32_t device_count;
	struct sim_device_config devices[SIM_DEVICE_MAX];
	uint32_t disk_error_in; /* one operation of a disk in so many goes wrong; 0: none */
	uint32_t refusal_in; /* one post in so many finds the host out of buffers; 0: none */
	uint32_t life_in; /* one choice in so many is something that somebody wants */
	uint32_t weights[9]; /* how likely each kind of actor is to move, see sim/schedule.c */
};

void sim_config_draw(struct sim_config *config, uint64_t seed);
/* One paragraph in words. */
void sim_config_print(const struct sim_config *config, FILE *out);

#endif
