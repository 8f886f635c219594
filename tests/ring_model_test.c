// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * No wake-up is lost and no byte is, in any interleaving of a writer and a reader: proved by
 * visiting all states of both over rings of a few packets, under memory models as weak as ARM's.
 * Negative controls: with each barrier, check and order of the ring taken away in turn, the same
 * search must find what that one prevents.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/ring_model/model.h"
#include "tests/ring_model/variant.h"

#define FOREIGN_BYTE 0xEE

extern const struct ring_variant ring_variant_original;
extern const struct ring_variant ring_variant_no_look_after_unmask;
extern const struct ring_variant ring_variant_wish_ignored;
extern const struct ring_variant ring_variant_no_look_after_wish;
extern const struct ring_variant ring_variant_index_before_mask;
extern const struct ring_variant ring_variant_index_before_wish;
extern const struct ring_variant ring_variant_full_looks_empty;
extern const struct ring_variant ring_variant_enough_off_by_one;
extern const struct ring_variant ring_variant_signals_always;
extern const struct ring_variant ring_variant_index_before_bytes;

static struct scenario {
	const struct ring_variant *ring;
	uint32_t data_len; /* bytes */
	uint32_t start; /* both indices at first */
	uint32_t packet_count;
	uint32_t batch; /* packets a commit */
	uint32_t words[2]; /* payload of packets with even and odd numbers, in 8 bytes */
	bool release_each; /* else: when the ring is empty */
	bool delay; /* payload loads may be late; needs release_each and one word a packet */
	bool unmask_first; /* the reader's planted bug: unmask, then release */
} scenario;

static uint32_t payload_len(uint32_t number)
{
	return scenario.words[number % 2] * 8;
}

static uint64_t payload_word(uint32_t number, uint32_t word)
{
	return 0x1000u + number * 0x10u + word;
}

enum writer_phase { SEND, COMMIT, WAIT, WRITER_SLEEP };

struct writer {
	struct vmb_ring_writer w;
	enum writer_phase phase;
	uint32_t next; /* number of the next packet */
	uint32_t batch_count;
	uint32_t batch_len; /* bytes */
	uint32_t blocked;
};

static int write_packet(struct writer *t)
{
	uint64_t payload[4];
	struct vmb_ring_part part = { payload, payload_len(t->next) };
	struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
					  .transaction_id = t->next,
					  .payload = &part,
					  .payload_count = 1 };
	uint32_t i;

	for (i = 0; i < scenario.words[t->next % 2]; i++)
		payload[i] = payload_word(t->next, i);
	return scenario.ring->write(&t->w, &packet);
}

static void writer_send(struct writer *t)
{
	int err = write_packet(t);

	if (err && err != VMB_EAGAIN)
		model_fail("writer: the ring is broken");
	t->blocked = err != 0;
	if (!err) {
		t->batch_len += 24 + payload_len(t->next);
		t->batch_count++;
		t->next++;
	}
	if (err || t->batch_count == scenario.batch || t->next == scenario.packet_count)
		t->phase = COMMIT;
}

static bool writer_commit(struct writer *t)
{
	if (scenario.ring->commit(&t->w))
		model_signal(t->batch_len);
	t->batch_len = 0;
	t->batch_count = 0;
	t->phase = t->blocked ? WAIT : SEND;
	return t->next == scenario.packet_count;
}

static void writer_wait(struct writer *t)
{
	int err = scenario.ring->wait_room(&t->w, 24 + payload_len(t->next));

	if (err && err != VMB_EAGAIN)
		model_fail("writer: the ring is broken");
	t->phase = err ? WRITER_SLEEP : SEND;
}

static bool writer_step(void *local)
{
	struct writer *t = local;
	bool done = false;

	switch (t->phase) {
	case SEND: writer_send(t); break;
	case COMMIT: done = writer_commit(t); break;
	case WAIT: writer_wait(t); break;
	case WRITER_SLEEP:
		model_sleep();
		t->phase = SEND;
		break;
	}
	memset(&t->w.counters, 0, sizeof(t->w.counters));
	return done;
}

enum reader_phase { MASK, READ, RELEASE_ONE, RELEASE, UNMASK, READER_SLEEP };

struct reader {
	struct vmb_ring_reader r;
	enum reader_phase phase;
	uint32_t next;
};

static void check_payload(struct reader *t, const struct vmb_ring_received *packet)
{
	uint64_t payload[4];
	uint32_t i;

	model_delay_loads(scenario.delay);
	scenario.ring->copy(&t->r, packet, 16, payload, payload_len(t->next));
	model_delay_loads(false);
	for (i = 0; i < scenario.words[t->next % 2] && !scenario.delay; i++)
		if (payload[i] != payload_word(t->next, i))
			model_fail("reader: wrong bytes in a packet");
}

static void reader_read(struct reader *t)
{
	struct vmb_ring_received packet;
	int err = scenario.ring->read(&t->r, &packet);

	t->phase = scenario.release_each ? RELEASE_ONE : READ;
	if (err == VMB_EAGAIN) {
		t->phase = scenario.unmask_first ? UNMASK : RELEASE;
		return;
	}
	if (err)
		model_fail("reader: the ring is broken");
	if (packet.transaction_id != t->next || packet.payload_len != payload_len(t->next))
		model_fail("reader: wrong packet");
	check_payload(t, &packet);
	scenario.ring->next(&t->r, &packet);
	t->next++;
}

static void reader_release(struct reader *t)
{
	if (scenario.ring->release(&t->r))
		model_signal(0);
	if (t->phase == RELEASE_ONE) {
		if (scenario.delay && model_delayed_load() != payload_word(t->next - 1, 0))
			model_fail("reader: wrong bytes in a packet");
		t->phase = READ;
	} else {
		t->phase = scenario.unmask_first ? READER_SLEEP : UNMASK;
	}
}

static void reader_unmask(struct reader *t)
{
	if (scenario.ring->unmask(&t->r))
		t->phase = MASK;
	else
		t->phase = scenario.unmask_first ? RELEASE : READER_SLEEP;
}

static bool reader_step(void *local)
{
	struct reader *t = local;

	switch (t->phase) {
	case MASK:
		scenario.ring->mask(&t->r);
		t->phase = READ;
		break;
	case READ: reader_read(t); break;
	case RELEASE_ONE:
	case RELEASE: reader_release(t); break;
	case UNMASK: reader_unmask(t); break;
	case READER_SLEEP:
		model_sleep();
		t->phase = MASK;
		break;
	}
	memset(&t->r.counters, 0, sizeof(t->r.counters));
	return false;
}

static const char *judge_end(const void *writer, bool writer_done, const void *reader)
{
	const struct reader *r = reader;

	if (!writer_done)
		return "the writer sleeps for ever with packets left to send";
	if (r->next != scenario.packet_count)
		return "the reader sleeps for ever with packets in the ring";
	return r->phase == READER_SLEEP ? NULL : "the reader neither sleeps nor moves";
}

/* Never a signal for a ring in which older packets wait: the host would throttle us. */
static const char *judge_signal(uint32_t write_index, uint32_t read_index, uint32_t batch_len)
{
	uint32_t used = (write_index + scenario.data_len - read_index) % scenario.data_len;

	return used > batch_len ? "the writer signals although the ring was not empty" : NULL;
}

static bool wish_is_met(uint32_t write_index, uint32_t read_index, uint32_t pending)
{
	uint32_t used = (write_index + scenario.data_len - read_index) % scenario.data_len;

	return pending && scenario.data_len - used > pending;
}

static struct model_result explore(enum model_memory memory, const char *drop)
{
	struct vmb_ring_control *control = (void *)model_shared.control;
	struct model_config config = { .memory = memory,
				       .data_len = scenario.data_len,
				       .drop = drop,
				       .judge_end = judge_end,
				       .judge_signal = judge_signal,
				       .wish_is_met = wish_is_met };
	struct model_result result;
	struct writer writer;
	struct reader reader;

	memset(&writer, 0, sizeof(writer));
	memset(&reader, 0, sizeof(reader));
	memset(&model_shared, 0, sizeof(model_shared));
	memset(model_shared.data, FOREIGN_BYTE, sizeof(model_shared.data));
	control->write_index = control->read_index = scenario.start;
	assert_int_equal(scenario.ring->writer_init(&writer.w, control, model_shared.data,
						    scenario.data_len, false),
			 0);
	assert_int_equal(scenario.ring->reader_init(&reader.r, control, model_shared.data,
						    scenario.data_len, false),
			 0);
	config.threads[MODEL_WRITER] =
		(struct model_thread){ writer_step, &writer, sizeof(writer) };
	config.threads[MODEL_READER] =
		(struct model_thread){ reader_step, &reader, sizeof(reader) };
	model_explore(&config, &result);
	return result;
}

static const char *const memory_names[] = { "TSO", "PSO", "WEAK" };

static uint64_t total_states, total_steps;

/* Remembers what was explored, for the line at the end. */
static struct model_result explore_and_count(enum model_memory memory, const char *drop)
{
	struct model_result result = explore(memory, drop);

	total_states += result.state_count;
	total_steps += result.transition_count;
	return result;
}

static void prove(enum model_memory memory)
{
	struct model_result result = explore_and_count(memory, NULL);

	print_message(
		"# %s, ring %u from %u, %u packets of %u/%u, batch %u%s%s: %llu states, %llu steps, "
		"%llu ends, %llu + %llu signals\n",
		memory_names[memory], scenario.data_len, scenario.start, scenario.packet_count,
		payload_len(0), payload_len(1), scenario.batch,
		scenario.release_each ? ", release each" : "", scenario.delay ? ", late loads" : "",
		(unsigned long long)result.state_count, (unsigned long long)result.transition_count,
		(unsigned long long)result.end_count,
		(unsigned long long)result.signal_count[MODEL_WRITER],
		(unsigned long long)result.signal_count[MODEL_READER]);
	if (result.failure)
		fail_msg("%s", result.failure);
	assert_true(result.end_count > 0 && result.signal_count[MODEL_WRITER] > 0);
}

/* Two packets fit: the writer blocks on the third, and the fourth crosses the ring's end. */
static const struct scenario two_fit = {
	.ring = &ring_variant_original,
	.data_len = 72,
	.packet_count = 4,
	.batch = 1,
	.words = { 1, 1 },
};

static void prove_all_policies(enum model_memory memory, uint32_t batch_max)
{
	for (scenario.batch = 1; scenario.batch <= batch_max; scenario.batch++) {
		scenario.release_each = false;
		prove(memory);
		scenario.release_each = true;
		prove(memory);
	}
}

static void test_ring_of_two_packets_loses_nothing_under_tso(void **state)
{
	scenario = two_fit;
	scenario.packet_count = 6;
	prove_all_policies(MODEL_TSO, 3);
}

static void test_ring_of_two_packets_loses_nothing_under_pso(void **state)
{
	scenario = two_fit;
	scenario.packet_count = 5;
	prove_all_policies(MODEL_PSO, 3);
}

static void test_ring_of_two_packets_loses_nothing_under_weak_order(void **state)
{
	scenario = two_fit;
	prove_all_policies(MODEL_WEAK, 1);
	scenario.packet_count = 3;
	prove_all_policies(MODEL_WEAK, 3);
}

static void test_late_loads_read_no_reused_space(void **state)
{
	scenario = two_fit;
	scenario.release_each = true;
	scenario.delay = true;
	prove(MODEL_WEAK);
	scenario.batch = 2;
	scenario.packet_count = 3;
	prove(MODEL_WEAK);
}

/*
 * The smallest ring there is: one bare packet, and every one of them lies across the end sooner or
 * later.
 */
static void test_smallest_ring_loses_nothing(void **state)
{
	enum model_memory memory;

	for (memory = MODEL_TSO; memory <= MODEL_WEAK; memory++) {
		scenario = two_fit;
		scenario.data_len = 40;
		scenario.words[0] = scenario.words[1] = 0;
		for (scenario.start = 0; scenario.start < 40; scenario.start += 8)
			prove(memory);
	}
}

/* Packets of different sizes: room for the small one is not room for the big one. */
static void test_mixed_sizes_lose_nothing(void **state)
{
	enum model_memory memory;

	scenario = two_fit;
	scenario.data_len = 80;
	scenario.words[0] = 0;
	scenario.words[1] = 4;
	scenario.start = 24;
	for (memory = MODEL_TSO; memory <= MODEL_PSO; memory++)
		prove_all_policies(memory, 2);
	scenario.batch = 1;
	scenario.words[1] = 2;
	scenario.data_len = 64;
	prove(MODEL_WEAK);
}

static void test_ring_of_three_packets_loses_nothing(void **state)
{
	scenario = two_fit;
	scenario.data_len = 104;
	prove_all_policies(MODEL_PSO, 3);
	scenario.batch = 1;
	prove(MODEL_WEAK);
}

/*
 * Negative controls. Each must go red, and for the reason that its barrier, check or order exists.
 */

#define READER_SLEEPS "the reader sleeps for ever with packets in the ring"
#define WRITER_SLEEPS "the writer sleeps for ever with packets left to send"
#define WRONG_BYTES   "reader: wrong bytes in a packet"
#define FALSE_ROOM    "the reader signals although no wish is fulfilled"
#define OVERSIGNALS   "the writer signals although the ring was not empty"

static void expect_red(enum model_memory memory, const char *drop, const char *failure)
{
	struct model_result result = explore_and_count(memory, drop);

	print_message("# %s%s%s, %s: %s\n", scenario.ring->name, drop ? " less " : "",
		      drop ? drop : "", memory_names[memory],
		      result.failure ? result.failure : "nothing found");
	assert_non_null(result.failure);
	assert_string_equal(result.failure, failure);
}

static void test_missing_full_barrier_turns_red(void **state)
{
	enum model_memory memory;

	scenario = two_fit;
	for (memory = MODEL_TSO; memory <= MODEL_WEAK; memory++) {
		expect_red(memory, "full _commit", READER_SLEEPS); /* P5 */
		expect_red(memory, "full _wait_room", WRITER_SLEEPS); /* B2 */
		expect_red(memory, "full _release", WRITER_SLEEPS); /* C3 */
		expect_red(memory, "full _unmask", READER_SLEEPS); /* C6 */
	}
}

static void test_missing_release_order_turns_red(void **state)
{
	scenario = two_fit;
	expect_red(MODEL_PSO, "release _commit", WRONG_BYTES); /* P4 */
	scenario.release_each = scenario.delay = true;
	expect_red(MODEL_WEAK, "release _release", WRONG_BYTES); /* C2b */
}

static void test_missing_acquire_order_turns_red(void **state)
{
	scenario = two_fit;
	expect_red(MODEL_WEAK, "acquire load_write_index", WRONG_BYTES); /* C1 */
}

static void test_missing_order_of_wish_and_index_turns_red(void **state)
{
	scenario = two_fit;
	expect_red(MODEL_WEAK, "read _release", FALSE_ROOM);
}

static void expect_bug_red(const struct ring_variant *ring, const char *failure)
{
	scenario.ring = ring;
	expect_red(MODEL_TSO, NULL, failure);
}

static void test_missing_check_turns_red(void **state)
{
	scenario = two_fit;
	expect_bug_red(&ring_variant_no_look_after_unmask, READER_SLEEPS);
	expect_bug_red(&ring_variant_wish_ignored, WRITER_SLEEPS);
	expect_bug_red(&ring_variant_no_look_after_wish, WRITER_SLEEPS);
	expect_bug_red(&ring_variant_index_before_wish, FALSE_ROOM);
	expect_bug_red(&ring_variant_signals_always, OVERSIGNALS);
	scenario.data_len = 64; /* room and wish can be equal */
	expect_bug_red(&ring_variant_enough_off_by_one, WRITER_SLEEPS);
}

/*
 * The mask is read before the read index because the protocol says so; nothing is lost the other
 * way round, for the reader looks again after unmasking. Were this to change, the comment at P7
 * would be wrong.
 */
static void test_order_of_mask_and_index_is_not_needed(void **state)
{
	struct model_result result;

	scenario = two_fit;
	scenario.packet_count = 3;
	result = explore_and_count(MODEL_WEAK, "read _commit");
	assert_null(result.failure);
	scenario.ring = &ring_variant_index_before_mask;
	result = explore_and_count(MODEL_PSO, NULL);
	assert_null(result.failure);
}

static void test_index_published_before_bytes_turns_red(void **state)
{
	scenario = two_fit;
	expect_bug_red(&ring_variant_index_before_bytes, WRONG_BYTES);
}

static void test_ring_filled_to_last_byte_turns_red(void **state)
{
	scenario = two_fit;
	scenario.data_len = 64;
	expect_bug_red(&ring_variant_full_looks_empty, READER_SLEEPS);
}

static void test_unmask_before_release_turns_red(void **state)
{
	scenario = two_fit;
	scenario.unmask_first = true;
	expect_red(MODEL_TSO, NULL, READER_SLEEPS);
}

/* docs/known-bugs.md, "17 TOCTOU in shared memory": what the peer can change is read once. */

static uint32_t read_counts[sizeof(struct model_shared)];

static void count_reads(struct model_access access)
{
	uint32_t i;

	for (i = 0; access.read && i < access.len; i++)
		read_counts[access.offset + i]++;
}

static struct vmb_ring_control *fresh_ring(struct writer *writer, struct reader *reader)
{
	struct vmb_ring_control *control = (void *)model_shared.control;

	memset(&model_shared, 0, sizeof(model_shared));
	memset(writer, 0, sizeof(*writer));
	memset(reader, 0, sizeof(*reader));
	model_data_len = scenario.data_len;
	scenario.ring->writer_init(&writer->w, control, model_shared.data, scenario.data_len, true);
	scenario.ring->reader_init(&reader->r, control, model_shared.data, scenario.data_len, true);
	return control;
}

static void test_no_byte_of_a_packet_is_read_twice(void **state)
{
	struct vmb_ring_received packet;
	struct writer writer;
	struct reader reader;
	uint64_t payload[2];
	uint32_t round, i;

	scenario = two_fit;
	scenario.words[0] = scenario.words[1] = 2; /* wraps at every word in turn */
	fresh_ring(&writer, &reader);
	for (round = 0; round < 50; round++) {
		assert_int_equal(write_packet(&writer), 0);
		scenario.ring->commit(&writer.w);
		memset(read_counts, 0, sizeof(read_counts));
		model_accessed = count_reads;
		assert_int_equal(scenario.ring->read(&reader.r, &packet), 0);
		assert_true(scenario.ring->copy(&reader.r, &packet, 16, payload, sizeof(payload)));
		scenario.ring->next(&reader.r, &packet);
		scenario.ring->release(&reader.r);
		model_accessed = NULL;
		for (i = 0; i < VMB_ARRAY_COUNT(read_counts); i++)
			assert_true(read_counts[i] <= 1);
	}
}

static uint64_t scribble_random = 1;

static uint32_t scribble_value(void)
{
	scribble_random = scribble_random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(scribble_random >> 33);
}

/*
 * Mostly values that pass for indices and small descriptors, or every ring would be broken at once.
 */
static void scribble(struct model_access access)
{
	uint32_t i;

	for (i = 0; i < 4; i++)
		model_shared.control[i] = scribble_value() % 9 * 8;
	if (scribble_value() % 64 == 0)
		model_shared.control[scribble_value() % 4] = scribble_value();
	for (i = 0; i < scenario.data_len / 8; i++)
		model_shared.data[i] = (uint64_t)(scribble_value() % 5) << 32 |
				       (scribble_value() % 4) << 16 | 6;
}

static void drive(struct writer *writer, struct reader *reader, uint32_t *packets)
{
	struct vmb_ring_received packet;
	uint64_t payload[16];

	write_packet(writer);
	scenario.ring->commit(&writer->w);
	scenario.ring->wait_room(&writer->w, 32);
	if (!scenario.ring->read(&reader->r, &packet)) {
		assert_true(packet.header_len + packet.payload_len + 24 < scenario.data_len);
		assert_true(scenario.ring->copy(&reader->r, &packet, 0, payload,
						16 + packet.header_len + packet.payload_len));
		scenario.ring->next(&reader->r, &packet);
		(*packets)++;
	}
	scenario.ring->release(&reader->r);
	scenario.ring->mask(&reader->r);
	scenario.ring->unmask(&reader->r);
	assert_true(writer->w.write_index < scenario.data_len);
	assert_true(reader->r.read_index < scenario.data_len);
}

/*
 * Everything in shared memory changes after every single access; the model stops what leaves the
 * ring.
 */
static void test_memory_that_changes_after_every_access_lets_nothing_escape(void **state)
{
	uint32_t round, packets = 0, broken = 0;
	struct writer writer;
	struct reader reader;

	scenario = two_fit;
	fresh_ring(&writer, &reader);
	for (round = 0; round < 300000; round++) {
		if (writer.w.broken || reader.r.broken) {
			model_accessed = NULL;
			fresh_ring(&writer, &reader);
			broken++;
		}
		model_accessed = scribble;
		drive(&writer, &reader, &packets);
	}
	model_accessed = NULL;
	print_message("# %u packets of garbage read, %u rings broken\n", packets, broken);
	assert_true(packets > 1000 && broken > 1000);
}

static int report(void **state)
{
	print_message("# explored %llu states by %llu steps\n", (unsigned long long)total_states,
		      (unsigned long long)total_steps);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_of_two_packets_loses_nothing_under_tso),
		cmocka_unit_test(test_ring_of_two_packets_loses_nothing_under_pso),
		cmocka_unit_test(test_ring_of_two_packets_loses_nothing_under_weak_order),
		cmocka_unit_test(test_late_loads_read_no_reused_space),
		cmocka_unit_test(test_smallest_ring_loses_nothing),
		cmocka_unit_test(test_mixed_sizes_lose_nothing),
		cmocka_unit_test(test_ring_of_three_packets_loses_nothing),
		cmocka_unit_test(test_missing_full_barrier_turns_red),
		cmocka_unit_test(test_missing_release_order_turns_red),
		cmocka_unit_test(test_missing_acquire_order_turns_red),
		cmocka_unit_test(test_missing_order_of_wish_and_index_turns_red),
		cmocka_unit_test(test_missing_check_turns_red),
		cmocka_unit_test(test_order_of_mask_and_index_is_not_needed),
		cmocka_unit_test(test_index_published_before_bytes_turns_red),
		cmocka_unit_test(test_ring_filled_to_last_byte_turns_red),
		cmocka_unit_test(test_unmask_before_release_turns_red),
		cmocka_unit_test(test_no_byte_of_a_packet_is_read_twice),
		cmocka_unit_test(test_memory_that_changes_after_every_access_lets_nothing_escape),
	};

	return cmocka_run_group_tests_name("ring_model", tests, NULL, report);
}
