// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Receive acknowledgements and frames share the guest's ring. Drivers stopped their queue when the
 * ring was full and waited for a completion of theirs to wake it; with nothing of theirs under way
 * it never came. Nor may a small packet that still fits withdraw the wish for more room.
 */
#include "tests/network_bed.h"

static struct net_bed *sender; /* of send_when_looked; NULL: has sent */

static void send_when_looked(struct vmb_user_network_queue *q)
{
	if (sender && net_try_send(sender))
		sender = NULL;
}

/*
 * Acknowledgements alone fill the guest's ring, more are owed, and a frame waits behind them. When
 * the host reads again all of them leave, without a frame or a call that would push them.
 */
static void test_frame_leaves_after_ring_was_filled_by_acknowledgements(void **state)
{
	struct vmb_user_network_config config = { .guest = { .ring_pages = 2,
							     .looked = send_when_looked } };
	struct net_bed *b;
	uint32_t i, round;

	sender = NULL;
	b = net_new_open(config);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 300; i++) {
			assert_int_equal(net_give_alone(b, i), 0);
			vmb_user_network_guest_step(&b->l.guest);
		}
		assert_true(b->l.guest.queues[0].waiting);
		assert_true(b->l.guest.queues[0].core.owed_count > 100);
		assert_false(net_try_send(b));
		sender = b;
		vmb_user_network_settle(&b->l);
		assert_null(sender);
		assert_int_equal(b->wire.count, 1);
		assert_int_equal(b->received.count, 300);
		assert_int_equal(b->sent_frames, 1);
		net_expect_quiet(b);
		net_forget(b);
	}
	net_free(b);
}

/*
 * The other way round: frames fill the ring, then acknowledgements are owed; room comes a little at
 * a time.
 */
static void test_acknowledgements_leave_after_ring_was_filled_by_frames(void **state)
{
	struct vmb_user_network_config config = { .guest = { .ring_pages = 2, .slot_count = 128 } };
	struct net_bed *b = net_new_open(config);
	uint32_t sent = 0, i;

	while (net_try_send(b))
		sent++;
	assert_true(b->l.guest.queues[0].waiting);
	for (i = 0; i < 30; i++)
		assert_int_equal(net_give_alone(b, i), 0);
	while (vmb_user_network_guest_step(&b->l.guest))
		;
	assert_int_equal(b->l.guest.queues[0].core.owed_count, 30);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->wire.count, sent);
	assert_int_equal(b->sent_frames, sent);
	net_expect_quiet(b);
	net_free(b);
}

/* The host's ring is full of completions and frames: both wait, and go on when there is room. */
static void test_host_keeps_frames_and_completions_when_its_ring_is_full(void **state)
{
	struct vmb_user_network_config config = { .guest = { .ring_pages = 2, .slot_count = 128 } };
	struct net_bed *b = net_new_open(config);
	uint32_t sent = 0, i;

	for (i = 0; i < 200; i++)
		net_give_alone(b, i);
	assert_true(b->l.card->queues[0].pending_count > 0);
	for (i = 0; i < 20; i++) {
		sent += net_try_send(b);
		vmb_user_machine_step(&b->l.bus.machine);
	}
	assert_true(sent > 0);
	assert_true(b->l.card->queues[0].replying);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->sent_frames, sent);
	assert_int_equal(b->received.count, 200);
	net_expect_quiet(b);
	net_expect_traffic(b, 10);
	net_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame_leaves_after_ring_was_filled_by_acknowledgements),
		cmocka_unit_test(test_acknowledgements_leave_after_ring_was_filled_by_frames),
		cmocka_unit_test(test_host_keeps_frames_and_completions_when_its_ring_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
