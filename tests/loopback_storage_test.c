// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A guest's storage on a host's, end to end through real messages and rings: the whole life, data,
 * pressure, and hosts that complete late, twice, never, or what nobody asked for.
 */
#include "tests/loopback_bed.h"

static void test_whole_life_leaves_nothing_behind(void **state)
{
	int threads, round;
	struct loop *b;

	for (threads = 0; threads < 2; threads++) {
		b = loop_new((struct vmb_user_loopback_config){ .threads = threads });
		for (round = 0; round < 20; round++)
			loop_expect_whole_life(b);
		assert_true(b->l.machine.bus->contact_count == 20 &&
			    b->l.machine.bus->unload_count == 20);
		loop_free(b);
	}
}

static void test_every_bus_version_is_agreed_upon(void **state)
{
	const uint32_t *version = vmb_guest_connect_versions();
	struct vmb_user_loopback_config config = { 0 };
	struct loop *b;

	for (; *version; version++) {
		if (*version < VMB_VERSION_2_4)
			break;
		config.machine.version_max = *version;
		b = loop_new(config);
		loop_verify(b, loop_open(b), 7, 4096);
		assert_int_equal(b->l.guest.connect.version, *version);
		assert_int_equal(b->l.machine.bus->server.version, *version);
		loop_free(b);
	}
}

static void test_guest_that_host_is_too_old_for_is_refused(void **state)
{
	struct vmb_user_loopback_config config = { .machine.version_max = VMB_VERSION_3_0,
						   .guest.version_min = VMB_VERSION_4_0 };
	struct loop *b = loop_new(config);

	assert_int_equal(vmb_user_guest_start(&b->l.guest), VMB_EIO);
	loop_free(b);
}

static void test_every_storage_version_is_agreed_upon(void **state)
{
	static const uint16_t versions[] = { VMB_STOR_VERSION_2_0, VMB_STOR_VERSION_4_2,
					     VMB_STOR_VERSION_5_1, VMB_STOR_VERSION_6_0,
					     VMB_STOR_VERSION_6_2 };
	struct vmb_user_loopback_config config = { 0 };
	struct vmb_user_device *d;
	struct loop *b;
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(versions); i++) {
		config.storage_version_max = versions[i];
		b = loop_new(config);
		d = loop_open(b);
		loop_verify(b, d, 100, 65536);
		assert_int_equal(d->storage.version, versions[i]);
		loop_free(b);
	}
}

/* A command without data: the shortest packets. */
static void ask_ready(struct loop *b, struct vmb_user_device *d)
{
	static const uint8_t test_unit_ready[6];
	struct vmb_guest_storage_event event;

	assert_int_equal(vmb_user_loopback_scsi(&b->l, d, 0, test_unit_ready, 6, VMB_STOR_NO_DATA,
						NULL, 0, &event),
			 0);
	assert_int_equal(event.srb_status, VMB_SRB_SUCCESS);
}

static bool is_near_end(const struct vmb_user_device *d)
{
	return d->tx.data_len - d->tx.write_index < 1024 ||
	       d->rx.data_len - d->rx.read_index < 1024;
}

/* Returns whether a packet lay around the ring's end. */
static bool went_round(uint32_t *last, uint32_t index)
{
	bool round = index && index < *last;

	*last = index;
	return round;
}

/* Uses both rings until each had a packet around its end; there the commands have data. */
static void go_round(struct loop *b, struct vmb_user_device *d)
{
	uint32_t tx = d->tx.write_index, rx = d->rx.read_index, count = 0;
	bool tx_round = false, rx_round = false;

	while (!tx_round || !rx_round) {
		assert_true(++count < 200000);
		if (is_near_end(d))
			loop_verify(b, d, 3, VMB_PAGE_LEN * (1 + loop_random(b, 64)));
		else
			ask_ready(b, d);
		tx_round |= went_round(&tx, d->tx.write_index);
		rx_round |= went_round(&rx, d->rx.read_index);
	}
}

/*
 * Rings from the smallest to one whose GPADL takes 74 messages, each to its end and around it:
 * docs/known-bugs.md, "23 Leaks on a full ring"; docs/protocol/bus.md, "4.4 GPADLs". None has 11
 * pages of data or a multiple of it, where each completion (88 bytes) would end at the ring's end.
 */
static void test_rings_of_every_size_carry_data(void **state)
{
	static const uint32_t pages[] = { 2, 3, 13, 14, 27, 28, 400, 1025 };
	struct vmb_user_loopback_config config = { 0 };
	struct vmb_user_device *d;
	struct loop *b;
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(pages); i++) {
		config.guest.ring_pages = pages[i];
		b = loop_new(config);
		d = loop_open(b);
		loop_verify(b, d, 3, 262144);
		go_round(b, d);
		assert_int_equal(d->tx.data_len, (pages[i] - 1) * VMB_PAGE_LEN);
		loop_free(b);
	}
}

static void test_errors_carry_sense_data(void **state)
{
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct vmb_user_device *d = loop_open(b);
	struct vmb_guest_storage_event event;
	uint8_t data[4096];

	assert_int_equal(loop_move(b, d, LOOP_READ, LOOP_BLOCK_COUNT - 4, data, 4096, &event), 0);
	assert_int_equal(event.srb_status, VMB_SRB_INVALID_REQUEST);
	assert_int_equal(event.scsi_status, 2);
	assert_true(event.sense_len >= 14);
	assert_int_equal(event.sense[2] & 0xF, 5);
	assert_int_equal(event.sense[12], 0x21);
	assert_int_equal(event.data_len, 0);
	loop_free(b);
}

/*
 * Load: as many requests under way as there are slots, all ended exactly once, on small rings. Each
 * slot has blocks of its own, writes there and reads back what it wrote.
 */
#define LOAD_PAGES	 8u
#define LOAD_SLOT_BLOCKS (LOOP_BLOCK_COUNT / VMB_USER_SLOT_COUNT)

struct load {
	struct loop *b;
	struct vmb_user_device *d;
	struct vmb_user_request requests[VMB_USER_SLOT_COUNT];
	bool busy[VMB_USER_SLOT_COUNT];
	uint32_t written
		[VMB_USER_SLOT_COUNT]; /* number of the write that is to be read back, 0 = none */
	uint64_t pfns[VMB_USER_SLOT_COUNT][LOAD_PAGES];
	uint32_t submitted, ended, total, bad;
};

/* What write number `number` puts into word `word` of its data; every page differs. */
static uint64_t load_word(uint32_t number, uint32_t word)
{
	return (uint64_t)number << 32 | (word * 2654435761u);
}

static uint64_t *load_page(struct load *load, uint32_t i, uint32_t page)
{
	return (uint64_t *)vmb_user_memory_page(&load->b->l.machine.memory, load->pfns[i][page]);
}

static void load_fill_pages(struct load *load, uint32_t i, uint32_t len, uint32_t number)
{
	uint32_t word;

	for (word = 0; word < len / 8; word++)
		load_page(load, i, word / 512)[word % 512] = number ? load_word(number, word) : 0;
}

static bool load_pages_hold(struct load *load, uint32_t i, uint32_t len, uint32_t number)
{
	uint32_t word;

	for (word = 0; word < len / 8; word++)
		if (load_page(load, i, word / 512)[word % 512] != load_word(number, word))
			return false;
	return true;
}

static void load_ended(struct vmb_user_request *request,
		       const struct vmb_guest_storage_event *event)
{
	struct load *load = request->arg;
	uint32_t i = (uint32_t)(request - load->requests), len = request->storage.data_len;

	load->bad += !load->busy[i] || event->srb_status != VMB_SRB_SUCCESS ||
		     event->data_len != len;
	if (request->storage.direction == VMB_STOR_READ) {
		load->bad += !load_pages_hold(load, i, len, load->written[i]);
		load->written[i] = 0;
	}
	load->busy[i] = false;
	__atomic_fetch_add(&load->ended, 1, __ATOMIC_RELEASE);
}

/* A write of a new number, or the read of what the last one wrote. */
static void load_fill(struct load *load, struct vmb_user_request *request, uint32_t i)
{
	uint32_t pages = 1 + loop_random(load->b, LOAD_PAGES);
	uint32_t block =
		i * LOAD_SLOT_BLOCKS + loop_random(load->b, LOAD_SLOT_BLOCKS - LOAD_PAGES * 8);

	request->pfns = load->pfns[i];
	request->ended = load_ended;
	request->arg = load;
	request->storage.cdb_len = 10;
	if (load->written[i]) {
		request->storage.direction = VMB_STOR_READ;
		request->storage.cdb[0] = LOOP_READ;
		load_fill_pages(load, i, request->storage.data_len, 0);
	} else {
		request->storage.direction = VMB_STOR_WRITE;
		request->storage.data_len = pages * VMB_PAGE_LEN;
		loop_cdb(request->storage.cdb, LOOP_WRITE, block, pages * 8);
		load_fill_pages(load, i, request->storage.data_len, load->submitted + 1);
	}
}

static void load_submit(struct vmb_user_device *d, void *arg)
{
	struct load *load = arg;
	uint32_t i;
	int err = 0;

	for (i = 0; d->ready && i < VMB_USER_SLOT_COUNT && load->submitted < load->total; i++) {
		if (load->busy[i])
			continue;
		load_fill(load, &load->requests[i], i);
		load->busy[i] = true;
		err = vmb_user_guest_submit(d, &load->requests[i], true);
		load->busy[i] = !err;
		if (err)
			break;
		load->submitted++;
		if (load->requests[i].storage.direction == VMB_STOR_WRITE)
			load->written[i] = load->submitted;
	}
	load->bad += err && err != VMB_EAGAIN;
	vmb_user_guest_publish(d);
}

static bool load_done(void *arg)
{
	struct load *load = arg;

	return __atomic_load_n(&load->ended, __ATOMIC_ACQUIRE) == load->total;
}

static void run_load(struct loop *b, uint32_t total)
{
	struct load *load = calloc(1, sizeof(*load));
	uint32_t i, held = b->l.machine.memory.used_count;

	load->b = b;
	load->total = total;
	load->d = loop_open(b);
	for (i = 0; i < VMB_USER_SLOT_COUNT; i++)
		assert_true(vmb_user_memory_alloc(&b->l.machine.memory, load->pfns[i], LOAD_PAGES));
	pthread_mutex_lock(&load->d->rx_lock);
	load->d->looked_arg = load;
	load->d->looked = load_submit;
	load_submit(load->d, load);
	pthread_mutex_unlock(&load->d->rx_lock);
	assert_int_equal(vmb_user_guest_wait(&b->l.guest, load_done, load), 0);
	assert_int_equal(load->bad, 0);
	assert_int_equal(load->submitted, total);
	load->d->looked = NULL;
	assert_int_equal(load->d->free_count, VMB_USER_SLOT_COUNT);
	for (i = 0; i < VMB_USER_SLOT_COUNT; i++)
		vmb_user_memory_free(&b->l.machine.memory, load->pfns[i], LOAD_PAGES);
	assert_int_equal(b->l.machine.memory.used_count, held + load->d->page_count);
	assert_true(load->d->refused_packets == 0);
	free(load);
}

/*
 * docs/known-bugs.md, "23 Leaks on a full ring": both rings full all the time. How often so, and
 * for how many signals, is with threads the scheduler's.
 */
static void test_full_rings_leak_nothing(void **state)
{
	struct vmb_user_loopback_config config = { .guest.ring_pages = 2 };
	struct vmb_user_device *d;
	struct loop *b;
	int threads;

	for (threads = 0; threads < 2; threads++) {
		config.threads = threads;
		b = loop_new(config);
		run_load(b, 100000);
		d = b->l.guest.devices;
		assert_true(threads || d->tx.counters.full > 1000);
		assert_true(threads || loop_channel(b)->rx.counters.signals > 100);
		print_message("# %llu packets, %llu found the ring full, %llu + %llu signals\n",
			      (unsigned long long)d->tx.counters.packets,
			      (unsigned long long)d->tx.counters.full,
			      (unsigned long long)b->l.machine.synic.host_signals,
			      (unsigned long long)b->l.machine.synic.guest_signals);
		assert_int_equal(vmb_user_guest_unload(&b->l.guest), 0);
		loop_expect_nothing_held(b);
		loop_free(b);
	}
}

/*
 * A queue that looks for requests before it sleeps needs no signal for a request that comes while it
 * does. It stops looking when the channel is closed: this would take an hour a request.
 */
static void test_polling_needs_few_signals(void **state)
{
	const struct vmb_user_loopback_config config = { .threads = true, .poll_us = 3600000000u };
	struct loop *b = loop_new(config);
	struct vmb_user_device *d = loop_open(b);
	uint64_t before = b->l.machine.synic.host_signals;
	uint64_t signals;
	int i;

	for (i = 0; i < 1000; i++)
		ask_ready(b, d);
	signals = b->l.machine.synic.host_signals - before;
	print_message("# %llu signals for 1000 requests\n", (unsigned long long)signals);
	assert_true(signals < 10);
	loop_verify(b, d, 100, 65536);
	assert_int_equal(vmb_user_guest_unload(&b->l.guest), 0);
	loop_expect_nothing_held(b);
	loop_free(b);
}

static void test_big_rings_signal_seldom(void **state)
{
	struct vmb_user_loopback_config config = { .guest.ring_pages = 64 };
	struct loop *b = loop_new(config);

	run_load(b, 50000);
	assert_true(b->l.machine.synic.host_signals < 50000 / 8);
	assert_true(b->l.machine.synic.guest_signals < 50000 / 8);
	loop_free(b);
}

/* Hosts that misbehave. */

struct mischief {
	enum vmb_dev_fault_verdict fate;
	uint32_t count;
	uint64_t last_id;
	bool scramble;
	struct loop *b;
};

static enum vmb_dev_fault_verdict do_mischief(void *arg, struct vmb_dev_channel *ch,
					      struct vmb_dev_packet *packet)
{
	struct mischief *m = arg;
	uint32_t i;

	if (packet->type != VMB_PKT_COMPLETION)
		return VMB_DEV_FAULT_PASS;
	m->count++;
	m->last_id = packet->transaction_id;
	if (!m->scramble)
		return m->fate;
	for (i = loop_random(m->b, 8); i; i--)
		packet->payload[loop_random(m->b, VMB_STOR_PACKET_LEN)] =
			(uint8_t)loop_random(m->b, 256);
	if (!loop_random(m->b, 8))
		packet->payload_len = loop_random(m->b, VMB_STOR_PACKET_LEN + 1);
	if (!loop_random(m->b, 8))
		packet->transaction_id ^= 1ull << loop_random(m->b, 64);
	return loop_random(m->b, 8) ? VMB_DEV_FAULT_PASS : VMB_DEV_FAULT_TWICE;
}

static struct vmb_user_device *open_with(struct loop *b, struct mischief *m)
{
	struct vmb_user_device *d = loop_open(b);

	m->b = b;
	b->fault.arg = m;
	b->fault.packet = do_mischief;
	loop_spoil(b);
	return d;
}

/* A request without data that stays under way while the host holds its completion. */
static void submit_held(struct loop *b, struct vmb_user_device *d, struct vmb_user_request *request)
{
	memset(request, 0, sizeof(*request));
	request->storage.cdb_len = 6; /* TEST UNIT READY */
	request->storage.direction = VMB_STOR_NO_DATA;
	assert_int_equal(vmb_user_guest_submit(d, request, false), 0);
	vmb_user_loopback_settle(&b->l);
	assert_false(request->has_ended);
}

static void test_late_completion_ends_request_late(void **state)
{
	struct mischief m = { .fate = VMB_DEV_FAULT_HOLD };
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct vmb_user_device *d = open_with(b, &m);
	struct vmb_user_request request;

	submit_held(b, d, &request);
	vmb_dev_fault_release(loop_channel(b));
	vmb_user_loopback_settle(&b->l);
	assert_true(request.has_ended);
	assert_int_equal(d->free_count, VMB_USER_SLOT_COUNT);
	loop_free(b);
}

/*
 * docs/known-bugs.md, "25 Waits that are too short, and lost completions": the port gives up; the
 * slot is not reused until the host has answered.
 */
static void test_abandoned_request_keeps_its_slot_until_answered(void **state)
{
	struct mischief m = { .fate = VMB_DEV_FAULT_HOLD };
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct vmb_user_device *d = open_with(b, &m);
	struct vmb_user_request request;

	submit_held(b, d, &request);
	assert_true(vmb_guest_storage_abandon(&d->storage, 0));
	assert_false(vmb_guest_storage_abandon(&d->storage, 0));
	assert_int_equal(d->free_count, VMB_USER_SLOT_COUNT - 1);
	vmb_dev_fault_release(loop_channel(b));
	vmb_user_loopback_settle(&b->l);
	assert_false(request.has_ended);
	assert_int_equal(d->free_count, VMB_USER_SLOT_COUNT);
	loop_free(b);
}

static void test_completion_that_never_comes_ends_with_close(void **state)
{
	struct mischief m = { .fate = VMB_DEV_FAULT_DROP };
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct vmb_user_device *d = open_with(b, &m);
	struct vmb_user_request request;

	submit_held(b, d, &request);
	assert_int_equal(vmb_user_guest_close(&b->l.guest, d), 0);
	assert_true(request.has_ended);
	assert_int_equal(request.result.srb_status, VMB_SRB_NO_DEVICE);
	loop_expect_nothing_held(b);
	b->fault.packet = NULL;
	loop_verify(b, loop_open(b), 9, 4096);
	loop_free(b);
}

/* docs/known-bugs.md, "10 Transaction id 0", "19 Unsolicited packets". */
static void test_forged_completions_end_nothing(void **state)
{
	static const uint64_t ids[] = {
		0, 1, 2, 64, 65, 0x100000001ull, 0xFFFFFFFFull, UINT64_MAX, 1ull << 63
	};
	struct mischief m = { .fate = VMB_DEV_FAULT_HOLD };
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct vmb_user_device *d = open_with(b, &m);
	struct vmb_dev_packet reply = { .type = VMB_PKT_COMPLETION,
					.payload_len = VMB_STOR_PACKET_LEN };
	struct vmb_stor_packet *body = (struct vmb_stor_packet *)reply.payload;
	struct vmb_user_request request;
	uint64_t refused;
	uint32_t i, bit;

	submit_held(b, d, &request);
	body->operation = VMB_STOR_COMPLETE_IO;
	body->u.srb.srb_status = VMB_SRB_SUCCESS;
	for (i = 0; i < VMB_ARRAY_COUNT(ids) + 64; i++) {
		bit = i - (uint32_t)VMB_ARRAY_COUNT(ids);
		reply.transaction_id = i < VMB_ARRAY_COUNT(ids) ? ids[i] : m.last_id ^ 1ull << bit;
		if (reply.transaction_id == m.last_id)
			continue;
		refused = d->refused_packets;
		assert_int_equal(vmb_dev_fault_inject(loop_channel(b), &reply), 0);
		vmb_user_loopback_settle(&b->l);
		assert_false(request.has_ended);
		assert_true(d->refused_packets == refused + 1);
	}
	vmb_dev_fault_release(loop_channel(b));
	vmb_user_loopback_settle(&b->l);
	assert_true(request.has_ended);
	assert_int_equal(request.result.srb_status, VMB_SRB_SUCCESS);
	loop_free(b);
}

static void test_duplicate_completions_are_refused(void **state)
{
	struct mischief m = { .fate = VMB_DEV_FAULT_TWICE };
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct vmb_user_device *d = open_with(b, &m);
	uint32_t i;

	for (i = 0; i < 500; i++)
		loop_verify(b, d, i, 512);
	assert_true(d->refused_packets == m.count);
	assert_int_equal(d->free_count, VMB_USER_SLOT_COUNT);
	loop_free(b);
}

/*
 * docs/known-bugs.md, "9 Endless callback loop": each end of a request brings the next one's
 * completion before the guest looks again.
 */
struct chain {
	struct loop *b;
	struct vmb_user_device *d;
	uint32_t left, ended;
};

static void chain_ended(struct vmb_user_request *request,
			const struct vmb_guest_storage_event *event)
{
	struct chain *chain = request->arg;

	chain->ended++;
	if (chain->left && chain->left--)
		vmb_user_guest_submit(chain->d, request, false);
	vmb_user_machine_step(&chain->b->l.machine);
}

static void test_ring_that_never_runs_empty_does_not_hold_the_guest(void **state)
{
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct chain chain = { .b = b, .d = loop_open(b), .left = 10000 };
	struct vmb_user_request request = { .storage = { .cdb_len = 6,
							 .direction = VMB_STOR_NO_DATA },
					    .ended = chain_ended,
					    .arg = &chain };
	uint32_t before;

	assert_int_equal(vmb_user_guest_submit(chain.d, &request, false), 0);
	vmb_user_machine_step(&b->l.machine);
	do {
		before = chain.ended;
		vmb_user_guest_step(&b->l.guest);
		assert_in_range(chain.ended - before, 1, 256);
	} while (chain.left);
	loop_free(b);
}

/*
 * docs/known-bugs.md, "17 TOCTOU in shared memory", "18 Validation of length and type": any byte of
 * a completion may be anything. What is reported stays within what was asked.
 */
static uint32_t scrambled_round(struct loop *b, struct vmb_user_device *d)
{
	struct vmb_guest_storage_event event;
	uint32_t ended = 0;
	uint8_t data[4096];

	while (d->free_count) {
		if (loop_move(b, d, LOOP_READ, 5, data, sizeof(data), &event))
			continue;
		assert_true(event.data_len <= sizeof(data));
		assert_true(event.sense_len <= VMB_STOR_SENSE_LEN);
		assert_true(event.srb_status <= VMB_SRB_STATUS_MASK);
		ended++;
	}
	return ended;
}

static void test_scrambled_completions_stay_within_bounds(void **state)
{
	struct mischief m = { .scramble = true };
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct vmb_user_device *d;
	uint32_t round, ended = 0;
	uint64_t refused = 0;

	for (round = 0; round < 100; round++) {
		b->fault.packet = NULL;
		d = open_with(b, &m);
		ended += scrambled_round(b, d);
		assert_int_equal(vmb_user_guest_close(&b->l.guest, d), 0);
		loop_expect_nothing_held(b);
	}
	refused = d->refused_packets;
	print_message("# %u requests ended, %llu packets refused\n", ended,
		      (unsigned long long)refused);
	assert_true(ended > 5000 && refused > 1000);
	b->fault.packet = NULL;
	loop_expect_whole_life(b);
	loop_free(b);
}

static void test_broken_rings_end_with_close(void **state)
{
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct vmb_ring_control *control;
	struct vmb_guest_storage_event event;
	struct vmb_user_device *d;
	uint32_t victim;
	uint8_t data[512];

	for (victim = 0; victim < 4; victim++) {
		d = loop_open(b);
		control = victim < 2 ? d->tx.control : d->rx.control;
		if (victim % 2)
			control->write_index = 13;
		else
			control->read_index = UINT32_MAX;
		loop_move(b, d, LOOP_READ, 5, data, sizeof(data), &event);
		assert_int_equal(vmb_user_guest_close(&b->l.guest, d), 0);
		loop_expect_nothing_held(b);
	}
	loop_expect_whole_life(b);
	loop_free(b);
}

static void test_pages_outside_memory_are_refused(void **state)
{
	static const uint64_t pfns[] = { 0, VMB_USER_FIRST_PFN - 1, UINT64_MAX, 1ull << 52 };
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct vmb_user_device *d = loop_open(b);
	struct vmb_user_request request;
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(pfns); i++) {
		memset(&request, 0, sizeof(request));
		request.pfns = &pfns[i];
		request.storage.cdb_len = 10;
		request.storage.data_len = 4096;
		request.storage.direction = VMB_STOR_WRITE;
		loop_cdb(request.storage.cdb, LOOP_WRITE, 0, 8);
		assert_int_equal(vmb_user_guest_execute(d, &request), 0);
		assert_int_not_equal(request.result.srb_status, VMB_SRB_SUCCESS);
	}
	loop_verify(b, d, 0, 4096);
	loop_free(b);
}

/*
 * INITIATE_CONTACT while connected: the old guest's rings are still open and requests are under
 * way.
 */
static void test_guest_booted_over_another_starts_clean(void **state)
{
	struct mischief m = { .fate = VMB_DEV_FAULT_HOLD };
	struct vmb_user_request request;
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	int round;

	for (round = 0; round < 10; round++) {
		submit_held(b, open_with(b, &m), &request);
		b->fault.packet = NULL;
		assert_int_equal(b->l.machine.bus->gpadl_count, 1);
		assert_int_equal(vmb_user_loopback_reboot(&b->l), 0);
		loop_verify(b, loop_open(b), 77, 4096);
		assert_int_equal(b->l.machine.bus->gpadl_count, 1);
	}
	loop_expect_whole_life(b);
	loop_free(b);
}

static void test_resized_disk_makes_guest_look_again(void **state)
{
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct vmb_user_device *d = loop_open(b);
	struct vmb_guest_storage_event event;
	uint8_t cdb[10] = { 0x25 }, data[8]; /* READ CAPACITY */

	vmb_user_loopback_first(&b->l)->units[0].block_count /= 2;
	vmb_host_storage_resized(&vmb_user_loopback_first(&b->l)->host, 0);
	vmb_user_loopback_settle(&b->l);
	assert_int_equal(
		vmb_user_loopback_scsi(&b->l, d, 0, cdb, 10, VMB_STOR_READ, data, 8, &event), 0);
	assert_true(event.capacity_changed || d->rescan_count);
	assert_int_equal(
		vmb_user_loopback_scsi(&b->l, d, 0, cdb, 10, VMB_STOR_READ, data, 8, &event), 0);
	assert_int_equal(data[2], (LOOP_BLOCK_COUNT / 2 - 1) >> 8);
	loop_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_life_leaves_nothing_behind),
		cmocka_unit_test(test_every_bus_version_is_agreed_upon),
		cmocka_unit_test(test_guest_that_host_is_too_old_for_is_refused),
		cmocka_unit_test(test_every_storage_version_is_agreed_upon),
		cmocka_unit_test(test_rings_of_every_size_carry_data),
		cmocka_unit_test(test_errors_carry_sense_data),
		cmocka_unit_test(test_full_rings_leak_nothing),
		cmocka_unit_test(test_polling_needs_few_signals),
		cmocka_unit_test(test_big_rings_signal_seldom),
		cmocka_unit_test(test_late_completion_ends_request_late),
		cmocka_unit_test(test_abandoned_request_keeps_its_slot_until_answered),
		cmocka_unit_test(test_completion_that_never_comes_ends_with_close),
		cmocka_unit_test(test_forged_completions_end_nothing),
		cmocka_unit_test(test_duplicate_completions_are_refused),
		cmocka_unit_test(test_ring_that_never_runs_empty_does_not_hold_the_guest),
		cmocka_unit_test(test_scrambled_completions_stay_within_bounds),
		cmocka_unit_test(test_broken_rings_end_with_close),
		cmocka_unit_test(test_pages_outside_memory_are_refused),
		cmocka_unit_test(test_guest_booted_over_another_starts_clean),
		cmocka_unit_test(test_resized_disk_makes_guest_look_again),
	};

	return cmocka_run_group_tests_name("loopback_storage", tests, NULL, NULL);
}
