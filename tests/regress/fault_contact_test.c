// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A guest boots over another one while a message for that one waits for its slot, and faults are
 * set: the waiting message, already judged, was sent in place of the answer to the new contact. The
 * simulator found it.
 */
#include "tests/loopback_bed.h"

static bool pass_all(void *arg, uint8_t payload[VMB_MSG_LEN_MAX], uint32_t *len)
{
	return true;
}

static void test_contact_is_answered_while_an_offer_waits(void **state)
{
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct vmb_user_guest *g = &b->l.guest;

	b->fault.message = pass_all;
	loop_spoil(b);
	assert_non_null(vmb_user_loopback_offer(&b->l, 2));
	assert_non_null(vmb_user_loopback_offer(&b->l, 3));
	assert_int_equal(vmb_guest_connect_start(&g->connect), 0);
	while (!g->connect.offers_requested)
		vmb_user_guest_step(g);
	/* One offer is in the slot, and the next one has found it occupied. */
	assert_false(vmb_user_synic_is_free(&b->l.machine.synic));
	assert_true(b->fault.judged);
	assert_int_equal(vmb_user_loopback_reboot(&b->l), 0);
	assert_int_equal(vmb_user_guest_start(&b->l.guest), 0);
	assert_non_null(vmb_user_guest_device(&b->l.guest));
	loop_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contact_is_answered_while_an_offer_waits),
	};

	return cmocka_run_group_tests_name("fault_contact", tests, NULL, NULL);
}
