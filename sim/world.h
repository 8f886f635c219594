/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's devices, the files behind their disks, the network behind their cards, and what the
 * checkers know of both: which block may hold what, and which frame must arrive.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "devices/network.h"
#include "devices/storage.h"
#include "ports/user/wire.h"
#include "sim/config.h"

#define SIM_BLOCK_LEN	512u
#define SIM_BLOCK_START 64u /* blocks of a disk at the start */
#define SIM_BLOCK_MAX	128u /* and at most */
#define SIM_STAMP_MAX	6u
#define SIM_FRAME_COUNT 64u /* frames that are remembered, each way */

struct sim;

/*
 * A block's content is made from a stamp, so that reading tells which write it is from; 0: zeroes.
 * After a write that failed, or never ended, the block may hold the old stamps or the new one.
 */
struct sim_block {
	uint64_t stamps[SIM_STAMP_MAX];
	uint32_t stamp_count;
	uint32_t users; /* requests under way that touch it: one that writes, or readers */
	bool writing;
	uint64_t acknowledged; /* when a write of it was, on the disk's clock */
	uint64_t filed; /* when the file was changed */
};

struct sim_disk {
	int fd; /* a file in memory */
	char path[32];
	bool there; /* plugged in */
	bool leaving;
	uint32_t block_count;
	uint64_t clock; /* counts what happens to it */
	uint64_t synced; /* what happened until then is on the medium */
	struct sim_block blocks[SIM_BLOCK_MAX];
};

struct sim_frame {
	uint64_t number; /* 0: none */
	uint32_t len;
	bool due; /* it must arrive */
	uint32_t seen; /* how often it did */
};

struct sim_device {
	struct sim *sim;
	uint32_t number;
	const struct sim_device_config *config;
	struct vmb_dev_device dev; /* ops NULL: not offered */
	bool leaving; /* rescinded, and the guest has not let go of it yet */
	bool awake; /* it may have something to do */

	struct sim_disk disks[SIM_DISK_MAX];
	struct vmb_dev_disk_option options[VMB_HOST_SCSI_LUN_MAX];

	struct vmb_user_wire wire;
	bool pulled;
	uint64_t frames; /* numbered so far, both ways */
	uint64_t left, arrived; /* of them: the guest's, and the network's */
	uint64_t good; /* requests that ended well */
	struct sim_frame out[SIM_FRAME_COUNT], in[SIM_FRAME_COUNT];
};

struct sim_world {
	struct sim_device devices[SIM_DEVICE_MAX];
	uint32_t count;
	uint64_t requests; /* of all guests, numbered */
};

/* sim/world.c */
/* Returns 0, or -1: this process lacks something. */
int sim_world_init(struct sim *sim);
void sim_world_free(struct sim *sim);
struct vmb_dev_storage *sim_storage(const struct sim_device *d); /* NULL: a card, or not there */
struct vmb_dev_network *sim_network(const struct sim_device *d); /* NULL: a disk, or not there */
/* The device with this instance id, or NULL. */
struct sim_device *sim_world_find(struct sim *sim, const struct vmb_guid *instance_id);
void sim_world_wake(struct sim *sim); /* any device may have something to do */
void sim_world_wake_device(struct sim *sim, const void *state); /* the one with this state */
bool sim_device_offer(struct sim_device *d);
bool sim_device_rescind(struct sim_device *d);
/* One step of the device. Returns false if it was asleep. */
bool sim_device_step(struct sim_device *d);
/* The nth operation of its disks ends, well or badly as arg says. */
bool sim_device_operate(struct sim_device *d, uint32_t arg, bool always_well);
bool sim_device_busy(const struct sim_device *d); /* operations are under way */
bool sim_disk_plug(struct sim_device *d, uint32_t lun);
bool sim_disk_unplug(struct sim_device *d, uint32_t lun);
bool sim_disk_grow(struct sim_device *d, uint32_t lun);

/* sim/disk.c: what a disk promised */
enum sim_operation {
	SIM_READ,
	SIM_WRITE,
	SIM_WRITE_FUA,
	SIM_ZERO,
	SIM_UNMAP,
	SIM_FLUSH,
	SIM_OTHER
};
static inline bool sim_writes(enum sim_operation op)
{
	return op >= SIM_WRITE && op <= SIM_UNMAP;
}
/* Fills len bytes (whole blocks) with the content of blocks from first on. */
void sim_disk_fill(uint8_t *bytes, uint32_t first, uint32_t count, uint64_t stamp);
/*
 * A request begins. Returns false if it must not: it would race with one under way, and then no
 * content could be told to be wrong.
 */
bool sim_disk_begin(struct sim_disk *disk, enum sim_operation op, uint32_t first, uint32_t count,
		    uint64_t stamp);
/*
 * It has ended. good: it was acknowledged. began: the disk's clock when it began. bytes: of READ.
 */
void sim_disk_end(struct sim *sim, struct sim_disk *disk, enum sim_operation op, uint32_t first,
		  uint32_t count, uint64_t stamp, bool good, uint64_t began, const uint8_t *bytes);
/* The file was changed, or is on the medium now. */
void sim_disk_filed(struct sim_disk *disk, uint64_t offset, uint64_t len);
void sim_disk_synced(struct sim_disk *disk);

/* sim/frames.c: what a network promised */
uint32_t sim_frame_make(uint8_t *bytes, uint64_t number, uint32_t len);
struct sim_frame *sim_frame_add(struct sim_device *d, struct sim_frame *frames, uint32_t len);
struct sim_frame *sim_frame_find(struct sim_frame *frames, uint64_t number);
/* A frame arrived: it must be one of these, whole, for the first time. */
void sim_frame_seen(struct sim_device *d, struct sim_frame *frames, const uint8_t *bytes,
		    uint32_t len, const char *where);
/* The card begins anew: what was under way may be lost. */
void sim_frames_forget(struct sim_device *d);
/* Everything rests: every frame that was due must have arrived. */
void sim_frames_check(struct sim_device *d);

#endif
