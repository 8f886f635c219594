/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The thread of a guest, for a machine whose devices have threads, too. From start to stop nobody
 * else steps the guest: the test waits with vmb_user_guest_wait() and those that call it.
 */
#ifndef TESTS_GUEST_THREAD_H
#define TESTS_GUEST_THREAD_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "ports/user/guest.h"

struct guest_thread {
	struct vmb_user_guest *guest;
	pthread_t thread;
	bool stop; /* atomic */
};

static inline void *guest_thread_main(void *arg)
{
	struct guest_thread *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE)) {
		vmb_user_synic_wait(t->guest->synic->guest_fd);
		while (vmb_user_guest_step(t->guest))
			;
	}
	return NULL;
}

static inline void guest_thread_start(struct guest_thread *t, struct vmb_user_guest *guest)
{
	*t = (struct guest_thread){ .guest = guest };
	guest->threaded = true;
	assert_int_equal(pthread_create(&t->thread, NULL, guest_thread_main, t), 0);
}

static inline void guest_thread_stop(struct guest_thread *t)
{
	__atomic_store_n(&t->stop, true, __ATOMIC_RELEASE);
	vmb_user_synic_kick(t->guest->synic->guest_fd);
	pthread_join(t->thread, NULL);
}

#endif
