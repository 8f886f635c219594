// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a signal does with a guest that listens, and when it is no longer waited for. */
#include "tests/services_bed.h"
#include "vmm/shutdown.h"

static void test_guest_that_does_not_listen_is_not_asked(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_vmm_shutdown s = { .services = b->services, .timeout_s = 60 };
	struct vmb_vmm_shutdown none = { .timeout_s = 60 };

	assert_false(vmb_vmm_shutdown_ask(&none));
	assert_false(vmb_vmm_shutdown_over(&none));
	assert_false(vmb_vmm_shutdown_ask(&s));
	begin(b, VMB_IC_SHUTDOWN);
	s.timeout_s = 0;
	assert_false(vmb_vmm_shutdown_ask(&s));
	assert_false(vmb_vmm_shutdown_over(&s));
	bed_free(b);
}

static void test_guest_that_agrees_is_waited_for(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_SHUTDOWN);
	struct vmb_vmm_shutdown s = { .services = b->services, .timeout_s = 60 };

	assert_true(vmb_vmm_shutdown_ask(&s));
	assert_false(vmb_vmm_shutdown_over(&s));
	settle(b);
	assert_int_equal(d->service.last_shutdown, VMB_IC_SHUTDOWN_OFF);
	assert_false(vmb_vmm_shutdown_over(&s));
	/* its drivers may be gone before it powers off */
	assert_int_equal(vmb_user_guest_close(&b->guest, d), 0);
	assert_false(vmb_vmm_shutdown_over(&s));
	s.asked_at -= 59000;
	assert_false(vmb_vmm_shutdown_over(&s));
	s.asked_at -= 1000;
	assert_true(vmb_vmm_shutdown_over(&s));
	assert_false(vmb_vmm_shutdown_over(&s)); /* said once */
	bed_free(b);
}

static void test_guest_that_refuses_or_leaves_is_ended(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_SHUTDOWN);
	struct vmb_vmm_shutdown s = { .services = b->services, .timeout_s = 60 };

	d->service.status = VMB_IC_FAIL;
	assert_true(vmb_vmm_shutdown_ask(&s));
	settle(b);
	assert_true(vmb_vmm_shutdown_over(&s));
	d->service.silent = true;
	assert_true(vmb_vmm_shutdown_ask(&s));
	settle(b);
	assert_false(vmb_vmm_shutdown_over(&s));
	assert_int_equal(vmb_user_guest_close(&b->guest, d), 0);
	assert_true(vmb_vmm_shutdown_over(&s));
	bed_free(b);
}

static void test_guest_that_never_answers_has_no_longer_than_that(void **state)
{
	struct bed *b = bed_new((struct vmb_dev_services_config){ 0 });
	struct vmb_user_device *d = begin(b, VMB_IC_SHUTDOWN);
	struct vmb_vmm_shutdown s = { .services = b->services, .timeout_s = 60 };

	d->service.silent = true;
	assert_true(vmb_vmm_shutdown_ask(&s));
	settle(b);
	s.asked_at -= 60000;
	assert_true(vmb_vmm_shutdown_over(&s));
	bed_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guest_that_does_not_listen_is_not_asked),
		cmocka_unit_test(test_guest_that_agrees_is_waited_for),
		cmocka_unit_test(test_guest_that_refuses_or_leaves_is_ended),
		cmocka_unit_test(test_guest_that_never_answers_has_no_longer_than_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
