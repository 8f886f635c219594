// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * DVD drives, and their checker: what is read is of a disc that lay in the drive meanwhile, and the
 * guest was told of that disc before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sim/sim.h"

/* Not as the blocks of a disk, so that these are not taken for a disc's. */
static void fill(uint8_t *bytes, uint64_t disc, uint32_t sector, uint32_t count)
{
	for (uint32_t i = 0; i < count * SIM_SECTOR_LEN / 8; i++) {
		uint64_t word =
			sim_mix(disc << 32 ^ (sector * SIM_SECTOR_LEN / 8 + i) ^ 1ull << 60);

		memcpy(bytes + 8 * i, &word, 8);
	}
}

static int make_disc(struct sim_drive *v)
{
	static _Alignas(8) uint8_t bytes[SIM_DISC_LEN];

	v->disc = ++v->discs;
	fill(bytes, v->disc, 0, SIM_DISC_SECTORS);
	v->fd = memfd_create("disc", MFD_CLOEXEC);
	snprintf(v->path, sizeof(v->path), "/proc/self/fd/%d", v->fd);
	return v->fd < 0 || write(v->fd, bytes, sizeof(bytes)) != sizeof(bytes) ? -1 : 0;
}

int sim_drive_init(struct sim_device *d)
{
	int error = d->config->drive ? make_disc(&d->drive) : 0;

	d->drive.told = d->drive.disc;
	return error;
}

void sim_drive_free(struct sim_device *d)
{
	if (d->drive.path[0])
		close(d->drive.fd);
}

bool sim_drive_change(struct sim_device *d)
{
	struct sim_drive *v = &d->drive;
	int before = v->fd;

	if (v->option || make_disc(v))
		return false;
	close(before); /* the drive has it open */
	v->option = calloc(1, sizeof(*v->option));
	if (v->option)
		*v->option = (struct vmb_dev_disk_option){ .path = strdup(v->path),
							   .dvd = true,
							   .read_only = true };
	if (!v->option || vmb_dev_disk_open(&v->waiting, v->option) ||
	    vmb_dev_disk_prepare(&v->waiting) ||
	    vmb_dev_storage_eject(sim_storage(d), SIM_DRIVE_LUN, true))
		sim_fail(d->sim, "device %lu cannot be given a disc", d->number, 0, 0);
	sim_say(d->sim, "the drive of device %lu GETS DISC %lu", d->number, v->disc, 0);
	d->awake = true;
	return true;
}

void sim_drive_step(struct sim_device *d)
{
	struct sim_drive *v = &d->drive;

	if (!v->option ||
	    vmb_dev_storage_exchange(sim_storage(d), SIM_DRIVE_LUN, &v->waiting, &v->option, false))
		return;
	/* These are the old ones now. */
	vmb_dev_storage_discard(&v->waiting, v->option);
	v->option = NULL;
	d->awake = true;
	sim_say(d->sim, "  disc %lu lies in the drive of device %lu", v->disc, d->number, 0);
}

void sim_drive_close(struct sim_device *d)
{
	if (d->drive.option)
		vmb_dev_storage_discard(&d->drive.waiting, d->drive.option);
	d->drive.option = NULL;
	d->drive.told = d->drive.disc; /* a new controller is news enough */
}

void sim_drive_told(struct sim_device *d)
{
	/* One that waits does not lie in the drive yet. */
	d->drive.told = d->drive.disc - (d->drive.option != NULL);
}

void sim_drive_read(struct sim_device *d, uint64_t first_disc, uint32_t sector, uint32_t count,
		    const uint8_t *bytes, bool alone)
{
	uint8_t wanted[2 * SIM_SECTOR_LEN];
	uint64_t disc = first_disc;

	for (; disc <= d->drive.disc; disc++) {
		fill(wanted, disc, sector, count);
		if (!memcmp(wanted, bytes, (size_t)count * SIM_SECTOR_LEN))
			break;
	}
	if (disc > d->drive.disc)
		sim_fail(d->sim, "WRONG DISC: sector %lu is of none of the discs from %lu to %lu",
			 sector, first_disc, d->drive.disc);
	else if (alone && disc > d->drive.told && d->sim->config.faults == SIM_FAULTS_NONE)
		sim_fail(d->sim, "UNTOLD DISC: the guest reads disc %lu, and was told of %lu", disc,
			 d->drive.told, 0);
}
