/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's devices, the files behind their disks, the network behind their cards, and what the
 * checkers know of both: which block may hold what, and which frame must arrive.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "devices/balloon.h"
#include "devices/network.h"
#include "devices/services/services.h"
#include "devices/storage.h"
#include "devices/vsock/vsock.h"
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

#define SIM_DRIVE_LUN	 SIM_DISK_MAX
#define SIM_DISC_LEN	 65536u
#define SIM_SECTOR_LEN	 2048u
#define SIM_DISC_SECTORS (SIM_DISC_LEN / SIM_SECTOR_LEN)

/* A DVD drive: its disc is a file in memory whose content is made from its number. */
struct sim_drive {
	uint64_t discs; /* numbered so far */
	uint64_t disc; /* in the drive, or on its way */
	uint64_t told; /* the last one that the guest was told of */
	int fd;
	char path[32];
	/* one that waits until the old one is not used any more; ops NULL: none */
	struct vmb_dev_disk waiting;
	struct vmb_dev_disk_option *option;
};

/* A service: what is asked of it, and what its guest has seen and done. */
struct sim_service {
	/* since the guest was asked for its versions; counts are the host's at that moment */
	bool counting;
	uint64_t requests_before, answers_before;
	uint64_t read, answered; /* requests by the guest */
	uint64_t sequence; /* of the last heartbeat */
	/* what somebody wants of the host */
	bool asked;
	uint64_t number; /* of the call or the file */
	struct vmb_dev_service_call call;
	struct vmb_ic_kvp body, reply;
	uint32_t status; /* shutdown: what the guest said */
	/* backup: the guest's file systems */
	bool frozen;
	int64_t frozen_since;
	/* copy: the guest's file */
	uint64_t file_len, file_size;
	bool file_complete;
};

#define SIM_GIVEN_MAX	   1024u /* pages that a guest gives at most */
#define SIM_FREEZE_S	   10u
#define SIM_CONNECTION_MAX 8u

/* One direction of a connection. */
struct sim_flow {
	uint64_t sent, got; /* bytes */
	bool ended; /* the sender sends no more */
	bool end_seen;
};

/* A connection of sockets, and the program at its end in this machine. */
struct sim_connection {
	uint64_t number; /* 0: none */
	int fd; /* the program's; -1: closed */
	bool from_host;
	bool greeted; /* from_host: "OK" has come */
	bool offered, taken; /* the guest has its channel; and has it open */
	bool cut; /* somebody went away: bytes may be lost */
	bool hears; /* there may be something to read */
	struct sim_flow in, out; /* to the guest, and from it */
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

	struct sim_drive drive;
	struct sim_service service;

	uint64_t connection_count; /* numbered so far */
	struct sim_connection connections[SIM_CONNECTION_MAX];
};

struct sim_world {
	struct sim_device devices[SIM_DEVICE_MAX];
	uint32_t count;
	uint64_t requests; /* of all guests, numbered */
};

/* What dynamic memory counts from; most of it is imaginary, for less may not be asked for. */
#define SIM_MEMORY_BASE (VMB_DEV_BALLOON_MIN + (uint64_t)SIM_GIVEN_MAX * VMB_PAGE_LEN)

/* sim/world.c */
void sim_world_live(const struct sim *sim); /* this run's clock is the devices' */
/* Returns 0, or -1: this process lacks something. */
int sim_world_init(struct sim *sim);
void sim_world_free(struct sim *sim);
struct vmb_dev_storage *sim_storage(const struct sim_device *d); /* NULL: a card, or not there */
struct vmb_dev_network *sim_network(const struct sim_device *d); /* NULL: a disk, or not there */
struct vmb_dev_services *sim_services(const struct sim_device *d); /* NULL: another kind */
struct vmb_dev_balloon *sim_memory(const struct sim_device *d); /* NULL: another kind */
struct vmb_dev_vsock *sim_sockets(const struct sim_device *d); /* NULL: another kind */
/* The device whose channel is offered, or NULL. */
struct sim_device *sim_world_find(struct sim *sim, const struct vmb_msg_offer *offer);
void sim_world_wake(struct sim *sim); /* any device may have something to do */
/* The one that this is the channel of. */
void sim_world_wake_channel(struct sim *sim, const struct vmb_dev_channel *channel);
void sim_world_cut(struct sim *sim); /* the guest is gone, without a word */
bool sim_device_offer(struct sim_device *d);
bool sim_device_rescind(struct sim_device *d);
/* One step of the device. Returns false if it was asleep. */
bool sim_device_step(struct sim_device *d);
/* The nth operation of its disks ends, well or badly as arg says. */
bool sim_device_operate(struct sim_device *d, uint32_t arg, bool always_well);
bool sim_device_busy(const struct sim_device *d); /* operations are under way */
/* The host wants another number of the guest's pages. */
bool sim_memory_set(struct sim_device *d, uint32_t arg);
bool sim_disk_plug(struct sim_device *d, uint32_t lun);
bool sim_disk_unplug(struct sim_device *d, uint32_t lun);
bool sim_disk_grow(struct sim_device *d, uint32_t lun);

/* sim/drive.c: what a DVD drive promised */
int sim_drive_init(struct sim_device *d);
void sim_drive_free(struct sim_device *d);
/* Another disc is put in, whether the guest has locked the drive or not. */
bool sim_drive_change(struct sim_device *d);
void sim_drive_step(struct sim_device *d); /* it comes when the old one may go */
void sim_drive_close(struct sim_device *d); /* the controller goes */
/* The guest has been told of a change, or begins anew. */
void sim_drive_told(struct sim_device *d);
/*
 * A read of count sectors that began when first_disc was the disc has ended well: it must be of one
 * of the discs since then, and the guest must have been told of that one; alone: no other request
 * of the drive is under way, which could tell it.
 */
void sim_drive_read(struct sim_device *d, uint64_t first_disc, uint32_t sector, uint32_t count,
		    const uint8_t *bytes, bool alone);

/* sim/service.c: what is wanted of a service, and what it promised */
/* Somebody asks the host for something that the service can do. */
bool sim_service_call(struct sim_device *d, uint32_t arg);
/* What came of that. */
void sim_service_look(struct sim_device *d);
/* The guest has read a request, or answers it. */
void sim_service_asked(struct sim_device *d, bool negotiation);
void sim_service_answered(struct sim_device *d);
/* At any time, and when all rest and the guest owes nothing. */
void sim_service_check(struct sim_device *d);
void sim_service_check_rest(struct sim_device *d);
/* What the time is, in 100 ns since 1601. */
uint64_t sim_service_utc(const struct sim *sim);
uint8_t sim_service_byte(uint64_t number, uint64_t at);

/* sim/sockets.c: the programs at the other end of connections, and what a stream promised */
struct sim_connection *sim_connection_find(struct sim_device *d, uint64_t number);
/* A place for a new one, or NULL: all are in use. */
struct sim_connection *sim_connection_add(struct sim_device *d, bool from_host);
void sim_connection_drop(struct sim_device *d, struct sim_connection *c); /* it was not made */
int sim_connection_dialled(void *arg, uint32_t port); /* devices/vsock/vsock.h */
bool sim_connection_connect(struct sim_device *d); /* a program connects to the guest */
bool sim_connection_act(struct sim_device *d, uint32_t arg); /* it writes, ends or closes */
bool sim_connection_hear(struct sim_device *d, uint32_t arg); /* it reads */
bool sim_connection_may_hear(const struct sim_device *d);
void sim_connections_wake(struct sim_device *d);
void sim_connections_cut(struct sim_device *d); /* the guest is gone */
void sim_connections_close(struct sim_device *d);
/* Bytes that arrived are those that were sent, in order. */
void sim_flow_got(struct sim_device *d, struct sim_connection *c, bool in, const uint8_t *bytes,
		  uint32_t len);
void sim_flow_ended(struct sim_device *d, struct sim_connection *c, bool in);
void sim_flow_fill(uint8_t *bytes, uint64_t number, bool in, uint64_t at, uint32_t len);
void sim_connections_check_rest(struct sim_device *d);

/* sim/disk.c: what a disk promised */
enum sim_operation {
	SIM_READ,
	SIM_WRITE,
	SIM_WRITE_FUA,
	SIM_ZERO,
	SIM_UNMAP,
	SIM_FLUSH,
	SIM_OTHER,
	SIM_DISC, /* of the drive: sectors */
	SIM_DRIVE, /* of the drive: something else */
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
