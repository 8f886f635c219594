/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A scripted other end of ports/linux/vmbus.h: a channel, and behind it a host with one disk, which
 * answers, holds, drops, stalls and takes things away as a test says.
 *
 *   fake_offer()                  a channel with a device; its host runs. disk: FAKE_DISK_LEN bytes
 *   fake_bind(), fake_unbind()    the driver's probe and remove, under the device's lock
 *   fake_rescind()                as the bus does it: ops->rescinded(), then remove in a thread
 *   fake_withdraw()               waits for what runs, frees the channel
 *
 * With sub_max the host offers sub-channels; what a test sets holds for all channels, and counters
 * are the primary's. They end, and are freed, with the close of the primary.
 *
 * The host reads and writes the data of a request where its page frame numbers say, whenever it
 * answers, so AddressSanitizer finds a page that was given back too early.
 */
#ifndef TESTS_LINUX_BUS_H
#define TESTS_LINUX_BUS_H

#include "ports/linux/vmbus.h"
#include "tests/linux/kernel.h"
#include "wire/storage.h"

#define FAKE_BLOCK_LEN	 512u
#define FAKE_BLOCK_COUNT 2048u
#define FAKE_SUB_MAX	 8u
#define FAKE_DISK_LEN	 (FAKE_BLOCK_LEN * FAKE_BLOCK_COUNT)

struct fake_packet {
	struct fake_packet *next;
	u16 type;
	u64 id;
	u32 payload_len;
	u32 byte_offset, byte_count, pfn_count;
	struct vmb_stor_packet payload;
	u64 pfns[];
};

enum fake_fate {
	FAKE_ANSWER,
	FAKE_HOLD, /* until fake_answer_held(), a reset or a close */
	FAKE_DROP, /* it is carried out, and its completion is lost */
	FAKE_IGNORE, /* it is neither carried out nor answered */
	FAKE_REFUSE, /* invalid command operation code */
};

struct vmb_channel {
	struct vmb_device device;
	const struct vmb_driver *driver; /* NULL: not bound */
	const struct vmb_channel_ops *ops;
	void *context;
	bool open, rescinded, calling;
	struct mutex mutex;
	spinlock_t lock;
	struct wait_queue_head wait;
	struct fake_packet *written, *sent, *held, *incoming;
	u32 in_ring, room; /* packets; room: of them all */

	struct vmb_channel *primary; /* of a sub-channel */
	u32 index;
	struct vmb_channel *subs[FAKE_SUB_MAX]; /* by index; [0] is not used */
	struct mutex sub_mutex; /* held while they are announced, closed and freed */
	bool telling; /* they may be announced */

	/* what a test may set */
	u32 sub_max; /* sub-channels that the host allows */
	bool refuses_subs; /* and then refuses */
	bool forgets_subs; /* or promises and does not offer */
	enum fake_fate (*fate)(struct vmb_channel *ch, const struct fake_packet *packet);
	void *script; /* fate's own */
	bool stalled; /* takes and answers nothing */
	bool ignores_resets;
	bool keeps_held; /* a reset does not end held requests */
	bool keeps_rings; /* does not release the rings at a close */
	bool refuses_mode_sense;
	int broken; /* the error that sending returns */
	bool broken_incoming; /* it sends invalid packets */

	/* what it may ask */
	u32 opens, closes, resets, flushes, executed, removes, scans;
	u32 served; /* requests that came on this channel, a sub-channel's too */
	bool owed; /* it was closed and has not released the rings */
	u8 *disk;
	bool withdrawn;
	u32 threads;
};

struct vmb_channel *fake_offer(const struct vmb_guid *type, const struct vmb_guid *instance,
			       u8 *disk);
int fake_bind(struct vmb_channel *ch, const char *driver);
void fake_unbind(struct vmb_channel *ch);
void fake_rescind(struct vmb_channel *ch);
/* The driver's, under the device's lock; nothing else runs then. Returns what suspend returned. */
int fake_suspend(struct vmb_channel *ch);
int fake_resume(struct vmb_channel *ch);
void fake_withdraw(struct vmb_channel *ch);
/* It slept and is not offered any more: removed in a thread, and its driver is not told before. */
void fake_forget(struct vmb_channel *ch);
/* The host takes this sub-channel alone away. */
void fake_rescind_sub(struct vmb_channel *sub);

void fake_stall(struct vmb_channel *ch, bool on);
void fake_answer_held(struct vmb_channel *ch);
void fake_say(struct vmb_channel *ch, enum vmb_stor_operation operation); /* unasked */
void fake_wake(struct vmb_channel *ch); /* after what a test may set was changed */
bool fake_reads(const struct fake_packet *packet, u64 *block); /* READ(10), READ(16) */

#endif
