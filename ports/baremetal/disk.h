/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The first disk, read through once. */
#ifndef PORTS_BAREMETAL_DISK_H
#define PORTS_BAREMETAL_DISK_H

#include "guest/storage.h"
#include "ports/baremetal/bus.h"

#define VMB_METAL_READ_LEN (64u << 10) /* of one request */

struct vmb_metal_disk {
	struct vmb_metal_bus *bus;
	struct vmb_guest_storage core;
	struct vmb_guest_storage_slot slots[1];
	uint64_t block_count;
	uint32_t block_len;
	uint64_t read_len; /* bytes that were read */
	uint8_t hash[32]; /* SHA-256 of them */
};

/* Opens the disk and reads its size. False, and one line says why: there is none, or it fails. */
bool vmb_metal_disk_open(struct vmb_metal_disk *d, struct vmb_metal_bus *bus);

/* Reads the whole disk into hash. */
bool vmb_metal_disk_hash(struct vmb_metal_disk *d);

#endif
