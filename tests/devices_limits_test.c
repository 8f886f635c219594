// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The limits that a process sets for itself when it starts. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/resource.h>
#include <cmocka.h>

#include "devices/limits.h"

static void *look(void *len)
{
	pthread_attr_t attr;

	assert_int_equal(pthread_getattr_np(pthread_self(), &attr), 0);
	pthread_attr_getstacksize(&attr, len);
	pthread_attr_destroy(&attr);
	return NULL;
}

static void test_threads_have_stacks_that_are_no_huge_pages(void **state)
{
	pthread_t thread;
	size_t len = 0;

	vmb_dev_limits_stacks();
	assert_int_equal(pthread_create(&thread, NULL, look, &len), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(len, VMB_DEV_STACK_LEN);
}

static void test_descriptors_are_raised_to_what_is_allowed(void **state)
{
	struct rlimit limit, wanted;

	getrlimit(RLIMIT_NOFILE, &limit);
	wanted = limit;
	limit.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	vmb_dev_limits_raise();
	getrlimit(RLIMIT_NOFILE, &limit);
	assert_int_equal(limit.rlim_cur, wanted.rlim_max < VMB_DEV_DESCRIPTORS_WANTED ?
						 wanted.rlim_max :
						 VMB_DEV_DESCRIPTORS_WANTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads_have_stacks_that_are_no_huge_pages),
		cmocka_unit_test(test_descriptors_are_raised_to_what_is_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
