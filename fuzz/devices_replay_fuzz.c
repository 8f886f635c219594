// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A whole host against any guest: the input is a recording, whose guest is played on the devices as
 * they ship, a controller with a disk and a card. Whatever the guest does, and whatever is in the
 * file, the replay ends and nothing outside of memory is touched. The same for the other half: its
 * host is played to the guest core.
 *
 * The mutator knows blocks: it changes a record in its place, or takes, doubles or moves one, so
 * that most inputs are still recordings.
 */
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/network.h"
#include "devices/pcapng.h"
#include "devices/replay.h"
#include "devices/storage.h"
#include "fuzz/fuzz.h"
#include "fuzz/quiet.h"
#include "ports/user/recorded.h"

#define MEMORY_LEN (72u << 20)
#define BLOCKS_MAX 512u
#define HEAD_LEN   (sizeof(struct vmb_dev_pcapng_head) + sizeof(struct vmb_dev_trace_header))

static struct vmb_dev_memory memory;

static void make_memory(void)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && ftruncate(fd, MEMORY_LEN) == 0);
	memory.region_count = 1;
	memory.regions[0] = (struct vmb_dev_memory_region){
		.len = MEMORY_LEN,
		.base = mmap(NULL, MEMORY_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
		.fd = fd
	};
	FUZZ_CHECK(memory.regions[0].base != MAP_FAILED);
}

/* As in tests/trace_session.c, whose recordings are the seeds. */
static void make_devices(struct vmb_dev_device devices[2])
{
	static const struct vmb_dev_disk_option disk = { .path = "ram:1M" };
	static const struct vmb_dev_net_option net = {
		.kind = VMB_DEV_NET_NULL, .mac = { 2 }, .queue_count = 4, .mtu_max = 1500
	};
	static struct vmb_guid instance_id;
	const struct vmb_dev_storage_config config = { .instance_id = &instance_id,
						       .disks = &disk,
						       .disk_count = 1 };

	memset(instance_id.bytes, 1, sizeof(instance_id.bytes));
	FUZZ_CHECK(!vmb_dev_storage_open(&devices[0], &config));
	FUZZ_CHECK(!vmb_dev_network_open(&devices[1], &net, 0));
	for (int i = 0; i < 2; i++)
		FUZZ_CHECK(!devices[i].ops->prepare(devices[i].state));
}

static void differs(void *arg, uint32_t number, const char *text)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct vmb_dev_device devices[2];
	struct vmb_dev_replay_result result;
	const struct vmb_dev_replay_config config = { .bytes = bytes,
						      .len = len,
						      .memory = &memory,
						      .vp_count = 2,
						      .devices = devices,
						      .device_count = 2,
						      .differs = differs };
	const struct vmb_user_recorded_config host = { .bytes = bytes,
						       .len = len,
						       .differs = differs };
	struct vmb_user_recorded_result recorded;

	fuzz_quiet();
	if (!memory.region_count)
		make_memory();
	make_devices(devices);
	vmb_dev_replay(&config, &result);
	for (int i = 0; i < 2; i++)
		devices[i].ops->close(devices[i].state);
	vmb_user_recorded_play(&host, &recorded);
	return 0;
}

/* The mutator */

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t len, size_t max_len);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t len, size_t max_len, unsigned int seed);

static uint32_t word_at(const uint8_t *bytes)
{
	uint32_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

/* Where the packet blocks begin, and the end of the last one. Returns how many there are. */
static uint32_t find_blocks(const uint8_t *bytes, size_t len, uint32_t at[BLOCKS_MAX + 1])
{
	uint32_t count = 0, block;

	for (size_t i = 0; i + 12 <= len && count < BLOCKS_MAX; i += block) {
		block = word_at(bytes + i + 4);
		if (block < 12 || block % 4 || block > len - i)
			break;
		if (word_at(bytes + i) == VMB_DEV_PCAPNG_PACKET && block > HEAD_LEN)
			at[count++] = i;
		at[count] = i + block;
	}
	return count;
}

/* What stands behind the record's head, but not the block's end. */
static void change(uint8_t *block, uint32_t len, unsigned int seed)
{
	uint32_t room = len - HEAD_LEN - 16 < len ? len - HEAD_LEN - 16 : 0;

	if (seed % 8 == 0)
		block[sizeof(struct vmb_dev_pcapng_head) + seed / 8 % 16] ^= 1u << seed / 128 % 8;
	else if (room)
		LLVMFuzzerMutate(block + HEAD_LEN, room, room);
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t len, size_t max_len, unsigned int seed)
{
	uint32_t at[BLOCKS_MAX + 1] = { 0 }, count = find_blocks(bytes, len, at), which, block;

	if (!count || seed % 16 == 0)
		return LLVMFuzzerMutate(bytes, len, max_len);
	which = seed / 16 % count;
	block = word_at(bytes + at[which] + 4);
	switch (seed / 8192 % 8) {
	case 0: /* it is not there */
		memmove(bytes + at[which], bytes + at[which] + block, len - at[which] - block);
		return len - block;
	case 1: /* twice */
		if (block > max_len - len)
			break;
		memmove(bytes + at[which] + block, bytes + at[which], len - at[which]);
		return len + block;
	}
	change(bytes + at[which], block, seed / 65536);
	return len;
}
