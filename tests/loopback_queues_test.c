// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A controller with several channels, end to end: a guest that asks for 1, 2, 4 and 8, a host whose
 * queues work side by side. A request is answered where it was asked; a reset, a close and a rescind
 * reach all channels.
 */
#include "tests/loopback_bed.h"

#define QUEUE_MAX   8u
#define SLOT_MAX    (VMB_USER_SLOT_COUNT / 2)
#define HELD_BLOCK  5000u
#define LOAD_BLOCKS 8u

static const uint32_t counts[] = { 1, 2, 4, 8 };

static struct vmb_user_loopback_config with_queues(uint32_t count, bool threads)
{
	return (struct vmb_user_loopback_config){ .queue_count = count,
						  .guest.queue_count = count,
						  .threads = threads };
}

/* The controller's channels, all open. */
static struct vmb_user_device *open_all(struct loop *b, struct vmb_user_device **queues,
					uint32_t count)
{
	struct vmb_user_device *d = loop_open(b);

	assert_int_equal(vmb_user_guest_queues(&b->l.guest, d, count), 0);
	for (uint32_t i = 0; i < count; i++)
		assert_non_null(queues[i] = vmb_user_guest_queue(&b->l.guest, d, i));
	return d;
}

static struct vmb_dev_storage *host_of(struct loop *b)
{
	return vmb_user_loopback_first(&b->l);
}

static void verify(struct loop *b, struct vmb_user_device **queues, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		loop_verify(b, queues[i], 100 * i, 8192);
}

/* Each of its requests writes, and then reads back, blocks that no other request uses. */
struct load {
	struct loop *b;
	struct vmb_user_device *d;
	struct vmb_user_request requests[SLOT_MAX];
	uint64_t pfns[SLOT_MAX];
	bool busy[SLOT_MAX], written[SLOT_MAX];
	uint32_t first_block, number, slots;
	uint32_t submitted, total, bad;
	uint32_t ended; /* atomic */
};

static uint64_t *words_of(struct load *load, uint32_t i)
{
	return (uint64_t *)vmb_user_memory_page(&load->b->l.machine.memory, load->pfns[i]);
}

static uint64_t word_of(const struct load *load, uint32_t i, uint32_t word)
{
	return (uint64_t)load->number << 48 | (uint64_t)i << 32 | word;
}

static void load_ended(struct vmb_user_request *request,
		       const struct vmb_guest_storage_event *event)
{
	struct load *load = request->arg;
	uint32_t i = (uint32_t)(request - load->requests);

	load->bad += event->srb_status != VMB_SRB_SUCCESS || event->data_len != VMB_PAGE_LEN;
	if (!load->written[i])
		for (uint32_t word = 0; word < VMB_PAGE_LEN / 8; word++)
			load->bad += words_of(load, i)[word] != word_of(load, i, word);
	load->busy[i] = false;
	__atomic_fetch_add(&load->ended, 1, __ATOMIC_RELEASE);
}

static void load_fill(struct load *load, uint32_t i)
{
	struct vmb_user_request *request = &load->requests[i];
	bool reads = load->written[i];

	load->written[i] = !reads;
	request->pfns = &load->pfns[i];
	request->ended = load_ended;
	request->arg = load;
	request->storage.cdb_len = 10;
	request->storage.data_len = VMB_PAGE_LEN;
	request->storage.direction = reads ? VMB_STOR_READ : VMB_STOR_WRITE;
	loop_cdb(request->storage.cdb, reads ? LOOP_READ : LOOP_WRITE,
		 load->first_block + i * LOAD_BLOCKS, LOAD_BLOCKS);
	for (uint32_t word = 0; word < VMB_PAGE_LEN / 8; word++)
		words_of(load, i)[word] = reads ? 0 : word_of(load, i, word);
}

static void load_submit(struct vmb_user_device *d, void *arg)
{
	struct load *load = arg;

	for (uint32_t i = 0; i < load->slots && load->submitted < load->total; i++) {
		if (load->busy[i])
			continue;
		load->busy[i] = true;
		load_fill(load, i);
		load->bad += vmb_user_guest_submit(d, &load->requests[i], true) != 0;
		load->submitted++;
	}
	vmb_user_guest_publish(d);
}

struct loads {
	struct load *loads;
	uint32_t count;
};

static bool loads_done(void *arg)
{
	const struct loads *all = arg;

	for (uint32_t i = 0; i < all->count; i++)
		if (__atomic_load_n(&all->loads[i].ended, __ATOMIC_ACQUIRE) != all->loads[i].total)
			return false;
	return true;
}

static void load_begin(struct load *load, struct loop *b, struct vmb_user_device *d,
		       uint32_t number, uint32_t slots, uint32_t total)
{
	*load = (struct load){ .b = b,
			       .d = d,
			       .number = number,
			       .slots = slots,
			       .total = total,
			       .first_block = number * SLOT_MAX * LOAD_BLOCKS };
	assert_true(vmb_user_memory_alloc(&b->l.machine.memory, load->pfns, slots));
	pthread_mutex_lock(&d->rx_lock);
	d->looked_arg = load;
	d->looked = load_submit;
	load_submit(d, load);
	pthread_mutex_unlock(&d->rx_lock);
}

static void run_loads(struct loop *b, struct vmb_user_device **queues, uint32_t count,
		      uint32_t total)
{
	struct loads all = { calloc(count, sizeof(*all.loads)), count };
	uint32_t slots = VMB_USER_SLOT_COUNT / (count > 1 ? count : 2);

	for (uint32_t i = 0; i < count; i++)
		load_begin(&all.loads[i], b, queues[i], i, slots, total);
	assert_int_equal(vmb_user_guest_wait(&b->l.guest, loads_done, &all), 0);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(all.loads[i].bad, 0);
		assert_true(queues[i]->refused_packets == 0);
		/* Answered where they were asked, and nowhere else. */
		assert_true(queues[i]->storage.counters.completed >= total);
		queues[i]->looked = NULL;
		vmb_user_memory_free(&b->l.machine.memory, all.loads[i].pfns, slots);
	}
	free(all.loads);
}

static void test_every_count_carries_data_on_every_channel(void **state)
{
	struct vmb_user_device *queues[QUEUE_MAX], *d;
	struct loop *b;

	for (uint32_t i = 0; i < 2 * VMB_ARRAY_COUNT(counts); i++) {
		b = loop_new(with_queues(counts[i / 2], i % 2));
		d = open_all(b, queues, counts[i / 2]);
		assert_int_equal(d->storage.sub_channel_count, counts[i / 2] - 1);
		verify(b, queues, counts[i / 2]);
		run_loads(b, queues, counts[i / 2], 2000);
		assert_int_equal(host_of(b)->open_max, counts[i / 2]);
		assert_int_equal(vmb_user_guest_close(&b->l.guest, d), 0);
		assert_int_equal(vmb_user_guest_unload(&b->l.guest), 0);
		loop_expect_nothing_held(b);
		loop_free(b);
	}
}

/* The guest may want more than there are, or less. */
static void test_the_smaller_wish_counts(void **state)
{
	static const uint32_t wishes[][3] = { { 8, 3, 3 }, { 2, 8, 2 }, { 1, 8, 1 }, { 8, 1, 1 } };
	struct vmb_user_device *queues[QUEUE_MAX], *d;
	struct vmb_user_loopback_config config;
	struct loop *b;

	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(wishes); i++) {
		config = with_queues(wishes[i][0], false);
		config.guest.queue_count = wishes[i][1];
		b = loop_new(config);
		d = open_all(b, queues, wishes[i][2]);
		vmb_user_loopback_settle(&b->l);
		assert_null(vmb_user_guest_queue(&b->l.guest, d, wishes[i][2]));
		verify(b, queues, wishes[i][2]);
		assert_int_equal(host_of(b)->open_max, wishes[i][2]);
		loop_free(b);
	}
}

/* docs/protocol/storage.md, "15 Traps" (10): before 5.1 the flag means something else. */
static void test_old_versions_have_one_channel(void **state)
{
	struct vmb_user_loopback_config config = with_queues(4, false);
	struct vmb_user_device *queues[QUEUE_MAX], *d;
	struct loop *b;

	config.storage_version_max = VMB_STOR_VERSION_4_2;
	b = loop_new(config);
	d = open_all(b, queues, 1);
	vmb_user_loopback_settle(&b->l);
	assert_int_equal(d->storage.max_sub_channel_count, 0);
	assert_null(vmb_user_guest_queue(&b->l.guest, d, 1));
	loop_free(b);
}

/* The host forgets an opening's channels before the next has its own. */
static void test_opened_again_and_again(void **state)
{
	struct vmb_user_device *queues[QUEUE_MAX], *d;
	struct loop *b;

	for (uint32_t i = 0; i < 2; i++) {
		b = loop_new(with_queues(4, i));
		for (uint32_t round = 0; round < 20; round++) {
			d = open_all(b, queues, 4);
			verify(b, queues, 4);
			assert_int_equal(vmb_user_guest_close(&b->l.guest, d), 0);
		}
		assert_int_equal(host_of(b)->open_max, 4);
		assert_int_equal(vmb_user_guest_unload(&b->l.guest), 0);
		loop_expect_nothing_held(b);
		loop_free(b);
	}
}

static int submit_read(struct loop *b, struct vmb_user_device *d, struct vmb_user_request *request,
		       uint64_t *pfn, uint32_t block)
{
	assert_true(vmb_user_memory_alloc(&b->l.machine.memory, pfn, 1));
	*request = (struct vmb_user_request){
		.storage = { .cdb_len = 10, .direction = VMB_STOR_READ, .data_len = VMB_PAGE_LEN },
		.pfns = pfn
	};
	loop_cdb(request->storage.cdb, LOOP_READ, block, VMB_PAGE_LEN / LOOP_BLOCK_LEN);
	return vmb_user_guest_submit(d, request, false);
}

static bool request_ended(void *arg)
{
	return ((struct vmb_user_request *)arg)->has_ended;
}

static void reset_bus(struct loop *b, struct vmb_user_device *d)
{
	pthread_mutex_lock(&d->rx_lock);
	assert_int_equal(vmb_guest_storage_reset(&d->storage), 0);
	d->interrupted = true;
	pthread_mutex_unlock(&d->rx_lock);
}

static void test_reset_on_the_primary_ends_what_is_held_on_all(void **state)
{
	struct vmb_user_loopback_config config = with_queues(4, false);
	struct vmb_user_device *queues[QUEUE_MAX];
	struct vmb_user_request requests[4];
	uint64_t pfns[4];
	struct loop *b;

	config.disks[0].hold = (struct vmb_dev_disk_fault){ true, HELD_BLOCK };
	b = loop_new(config);
	open_all(b, queues, 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(submit_read(b, queues[i], &requests[i], &pfns[i], HELD_BLOCK), 0);
	vmb_user_loopback_settle(&b->l);
	for (uint32_t i = 0; i < 4; i++)
		assert_false(requests[i].has_ended);
	reset_bus(b, queues[0]);
	vmb_user_guest_step(&b->l.guest);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(vmb_user_guest_wait(&b->l.guest, request_ended, &requests[i]), 0);
		assert_int_equal(requests[i].result.srb_status, VMB_SRB_ABORTED);
		assert_true(queues[i]->storage.counters.completed == 1);
		vmb_user_memory_free(&b->l.machine.memory, &pfns[i], 1);
		assert_true(queues[i]->refused_packets == 0);
	}
	assert_int_equal(queues[0]->reset_count, 1);
	loop_free(b);
}

/* A unit that goes is told on the primary, whichever channel met it. */
static void test_news_come_on_the_primary(void **state)
{
	struct vmb_user_loopback_config config = with_queues(2, false);
	struct vmb_user_device *queues[QUEUE_MAX];
	struct vmb_user_request request;
	uint64_t pfn;
	struct loop *b;

	config.disks[0].gone = (struct vmb_dev_disk_fault){ true, HELD_BLOCK };
	b = loop_new(config);
	open_all(b, queues, 2);
	assert_int_equal(submit_read(b, queues[1], &request, &pfn, HELD_BLOCK), 0);
	assert_int_equal(vmb_user_guest_wait(&b->l.guest, request_ended, &request), 0);
	vmb_user_loopback_settle(&b->l);
	assert_int_equal(queues[0]->rescan_count, 1);
	assert_int_equal(queues[1]->rescan_count, 0);
	vmb_user_memory_free(&b->l.machine.memory, &pfn, 1);
	loop_free(b);
}

/* The machine's reset, a rescind of the controller and a guest that is simply gone, under load. */
static void spoil_then_live_on(uint32_t how, bool threads)
{
	struct loop *b = loop_new(with_queues(4, threads));
	struct vmb_user_device *queues[QUEUE_MAX];
	struct loads all = { calloc(4, sizeof(*all.loads)), 4 };

	open_all(b, queues, 4);
	for (uint32_t i = 0; i < 4; i++)
		load_begin(&all.loads[i], b, queues[i], i, SLOT_MAX / 2, UINT32_MAX);
	if (!how) {
		assert_int_equal(vmb_user_loopback_reboot(&b->l), 0);
	} else {
		vmb_dev_bus_rescind(loop_channel(b));
		if (!threads)
			vmb_user_loopback_settle(&b->l);
		assert_int_equal(vmb_user_guest_close(&b->l.guest, queues[0]), 0);
		assert_non_null(vmb_user_loopback_offer(&b->l, 2));
	}
	if (how && threads)
		while (!vmb_user_guest_device(&b->l.guest))
			;
	if (how && !threads)
		vmb_user_loopback_settle(&b->l);
	open_all(b, queues, 4);
	verify(b, queues, 4);
	loop_free(b);
	free(all.loads);
}

static void test_a_new_guest_finds_all_channels_free(void **state)
{
	spoil_then_live_on(0, false);
	spoil_then_live_on(0, true);
}

static void test_rescind_of_the_controller_takes_all_channels(void **state)
{
	spoil_then_live_on(1, false);
	spoil_then_live_on(1, true);
}

/* Else the next opening's sub-channels would meet queues that still close. */
static void test_primary_closes_after_its_sub_channels(void **state)
{
	struct vmb_user_device *queues[QUEUE_MAX];
	struct loop *b = loop_new(with_queues(3, false));
	struct vmb_dev_storage *s;

	open_all(b, queues, 3);
	s = host_of(b);
	vmb_dev_bus_rescind(loop_channel(b));
	for (uint32_t i = 0; i < 10; i++) {
		vmb_dev_storage_queue_step(&s->queues[0]);
		vmb_dev_storage_queue_step(&s->queues[1]);
	}
	assert_int_equal(s->queues[0].state, VMB_DEV_STORAGE_CLOSING);
	assert_int_equal(s->queues[1].state, VMB_DEV_STORAGE_CLOSED);
	vmb_dev_storage_queue_step(&s->queues[2]);
	vmb_dev_storage_queue_step(&s->queues[0]);
	assert_int_equal(s->queues[0].state, VMB_DEV_STORAGE_CLOSED);
	vmb_user_loopback_settle(&b->l);
	loop_free(b);
}

/* The host takes one sub-channel away: the others go on. */
static void test_one_sub_channel_goes_alone(void **state)
{
	struct vmb_user_device *queues[QUEUE_MAX], *d;
	struct loop *b = loop_new(with_queues(4, false));
	struct vmb_dev_channel *channel;
	uint32_t cancels;

	d = open_all(b, queues, 4);
	channel = host_of(b)->queues[2].channel;
	cancels = host_of(b)->disks[0].cancels;
	vmb_dev_bus_rescind(channel);
	vmb_user_loopback_settle(&b->l);
	assert_null(vmb_user_guest_queue(&b->l.guest, d, 2));
	assert_null(host_of(b)->queues[2].channel);
	/* What the others have under way is not cancelled. */
	assert_int_equal(host_of(b)->disks[0].cancels, cancels);
	queues[2] = queues[3];
	verify(b, queues, 3);
	assert_int_equal(vmb_user_guest_close(&b->l.guest, d), 0);
	open_all(b, queues, 4);
	verify(b, queues, 4);
	loop_free(b);
}

/*
 * A control packet of the handshake on a sub-channel is refused, an unknown one ends only that
 * channel.
 */
static void test_handshake_is_the_primarys(void **state)
{
	struct vmb_user_device *queues[QUEUE_MAX];
	struct loop *b = loop_new(with_queues(2, false));
	struct vmb_stor_packet packet = { .operation = VMB_STOR_BEGIN_INITIALIZATION };
	const struct vmb_ring_part payload = { &packet, sizeof(packet) };
	const struct vmb_ring_packet ring_packet = { .type = VMB_PKT_INBAND,
						     .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
						     .transaction_id = 77,
						     .payload = &payload,
						     .payload_count = 1 };
	uint64_t refused;

	open_all(b, queues, 2);
	refused = host_of(b)->host.counters.refused;
	assert_int_equal(vmb_ring_write(&queues[1]->tx, &ring_packet), 0);
	vmb_user_guest_publish(queues[1]);
	vmb_user_loopback_settle(&b->l);
	assert_true(host_of(b)->host.counters.refused == refused + 1);
	verify(b, queues, 2);
	packet.operation = VMB_STOR_OPERATION_COUNT;
	assert_int_equal(vmb_ring_write(&queues[1]->tx, &ring_packet), 0);
	vmb_user_guest_publish(queues[1]);
	vmb_user_loopback_settle(&b->l);
	assert_true(host_of(b)->queues[1].broken && !host_of(b)->queues[0].broken);
	verify(b, queues, 1);
	loop_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_count_carries_data_on_every_channel),
		cmocka_unit_test(test_the_smaller_wish_counts),
		cmocka_unit_test(test_old_versions_have_one_channel),
		cmocka_unit_test(test_opened_again_and_again),
		cmocka_unit_test(test_reset_on_the_primary_ends_what_is_held_on_all),
		cmocka_unit_test(test_news_come_on_the_primary),
		cmocka_unit_test(test_a_new_guest_finds_all_channels_free),
		cmocka_unit_test(test_rescind_of_the_controller_takes_all_channels),
		cmocka_unit_test(test_primary_closes_after_its_sub_channels),
		cmocka_unit_test(test_one_sub_channel_goes_alone),
		cmocka_unit_test(test_handshake_is_the_primarys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
