// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a switch does in one round, and for whom it makes others wait. The system calls of the
 * switch's own thread pass through here, so what happens in the middle of a round is decided at a
 * certain call and not at a certain time.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/net/cable.h"
#include "devices/switch/patience.h"
#include "devices/switch/switch.h"

#define WAIT_MS	   5000
#define PORTS	   16u
#define SENDERS	   PORTS
#define FRAMES	   60u /* of each sender, to all */
#define ROUND	   (1024u + PORTS) /* sends of a round at most */
#define ACCEPTS	   16u
#define CALLERS	   100u
#define FRAME_LEN  60u
#define HEADER_LEN sizeof(struct virtio_net_hdr_v1)
#define FRAME_FULL (HEADER_LEN + FRAME_LEN)

static char folder[] = "/tmp/vmm-round-XXXXXX", path[64];
static pthread_t thread;
static __thread bool is_switch;
static int clients[PORTS];
static uint32_t accepts, sends; /* of the switch, since the test began to count */
static bool refill;
static uint32_t passed[SENDERS]; /* sends by the port where the frame came in */
static uint32_t stop_at; /* at this send SIGTERM comes */
static bool calls_again; /* each accepted caller is followed by another one */
static int callers[CALLERS + 1];
static sem_t held, go;
static bool hold; /* the next send waits for go */

static void put_for_all(uint32_t from)
{
	uint8_t bytes[FRAME_FULL] = { 0 };

	memset(bytes + HEADER_LEN, 0xFF, 6);
	bytes[HEADER_LEN + 6] = 2;
	bytes[HEADER_LEN + 11] = from;
	assert_int_equal(send(clients[from], bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
}

/* Once for each frame for all, which leaves by all ports but its own. */
static void follow(const uint8_t *frame)
{
	uint8_t from = frame[11];

	if (passed[from]++ % (PORTS - 1) == 0)
		put_for_all(from);
}

/* The switch's system calls */

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (is_switch && hold) {
		hold = false;
		sem_post(&held);
		sem_wait(&go);
	}
	if (is_switch && ++sends == stop_at)
		kill(getpid(), SIGTERM);
	if (is_switch && refill)
		follow(message->msg_iov[1].iov_base);
	return syscall(SYS_sendmsg, fd, message, flags);
}

static int call(void)
{
	struct sockaddr_un address;
	int fd = vmb_dev_net_cable_socket(&address, path);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	int accepted = syscall(SYS_accept4, fd, address, len, flags);

	if (!is_switch || accepted < 0 || !calls_again)
		return accepted;
	if (accepts == 0)
		kill(getpid(), SIGTERM);
	if (++accepts < CALLERS)
		callers[accepts] = call();
	return accepted;
}

static void *run(void *arg)
{
	char *argv[] = { "switch", path, "--ports", "16", NULL };

	is_switch = true;
	return (void *)(intptr_t)vmb_dev_switch_run(4, argv, NULL);
}

static int set_up(void **state)
{
	struct stat about;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* the switch waits for it in its own way */
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/s", folder);
	accepts = sends = stop_at = 0;
	hold = calls_again = refill = false;
	memset(passed, 0, sizeof(passed));
	sem_init(&held, 0, 0);
	sem_init(&go, 0, 0);
	if (pthread_create(&thread, NULL, run, NULL))
		return -1;
	for (int ms = 0; stat(path, &about); ms++) {
		if (ms == WAIT_MS)
			return -1;
		usleep(1000);
	}
	return 0;
}

/* The switch looks at its signal and leaves it pending. */
static void take_signal(void)
{
	const struct timespec none = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigtimedwait(&set, NULL, &none);
}

/* The switch ends by SIGTERM, which the test has sent or sends here. */
static int join(bool send_it)
{
	void *code;

	if (send_it)
		kill(getpid(), SIGTERM);
	pthread_join(thread, &code);
	take_signal();
	return (int)(intptr_t)code;
}

static int tear_down(void **state)
{
	unlink(path);
	return rmdir(folder);
}

static void plug_in_all(void)
{
	for (uint32_t i = 0; i < PORTS; i++)
		while ((clients[i] = call()) < 0)
			usleep(1000);
}

static void unplug_all(void)
{
	for (uint32_t i = 0; i < PORTS; i++)
		close(clients[i]);
}

/* All that is sent here is there when the next round begins. */
static void fill_between_two_rounds(void)
{
	plug_in_all();
	hold = true;
	put_for_all(0);
	sem_wait(&held);
	for (uint32_t from = 0; from < SENDERS; from++)
		for (uint32_t i = 0; i < FRAMES; i++)
			put_for_all(from);
	sends = 0;
	sem_post(&go);
}

static void test_switch_stops_in_the_middle_of_a_storm(void **state)
{
	stop_at = (FRAMES + 1) * PORTS; /* the round that was held had the first port's only */
	fill_between_two_rounds();
	assert_int_equal(join(false), 0);
	assert_in_range(sends, stop_at, stop_at + ROUND);
	unplug_all();
}

/*
 * Each frame that the switch has passed on is followed by another one: whose turn it was not has it
 * next.
 */
static void test_storm_without_end_leaves_nobody_out(void **state)
{
	refill = true;
	stop_at = 30 * ROUND;
	fill_between_two_rounds();
	assert_int_equal(join(false), 0);
	for (uint32_t i = 0; i < SENDERS; i++)
		assert_in_range(passed[i], stop_at / SENDERS / 2, stop_at);
	unplug_all();
}

static void test_switch_stops_while_callers_come_without_end(void **state)
{
	calls_again = true;
	callers[0] = call();
	assert_int_equal(join(false), 0);
	assert_in_range(accepts, 1, ACCEPTS);
	for (uint32_t i = 0; i <= accepts; i++)
		if (callers[i] >= 0)
			close(callers[i]);
}

/* Patience */

static void test_port_that_takes_nothing_is_waited_for_once(void **state)
{
	struct vmb_dev_switch_patience p;

	vmb_dev_switch_patience_init(&p);
	assert_int_equal(vmb_dev_switch_patience_full(&p, 1000), 1200);
	assert_int_equal(vmb_dev_switch_patience_full(&p, 1100), 1200);
	assert_int_equal(vmb_dev_switch_patience_full(&p, 5000), 1200);
	vmb_dev_switch_patience_took(&p, 5000, 60);
	assert_int_equal(vmb_dev_switch_patience_full(&p, 5000), 5002);
}

static void test_port_that_takes_a_frame_now_and_then_costs_others_little(void **state)
{
	struct vmb_dev_switch_patience p;
	int64_t now = 0, until, cost = 0;

	vmb_dev_switch_patience_init(&p);
	for (int i = 0; i < 1000; i++) { /* a frame each 190 ms */
		until = vmb_dev_switch_patience_full(&p, now);
		cost += until > now + 190 ? 190 : until > now ? until - now : 0;
		now += 190;
		vmb_dev_switch_patience_took(&p, now, 1514);
	}
	assert_in_range(cost, VMB_DEV_SWITCH_PATIENCE_MAX_MS, now / 30);
}

static void test_port_that_is_fast_enough_is_always_waited_for(void **state)
{
	struct vmb_dev_switch_patience p;
	int64_t now = 0;

	vmb_dev_switch_patience_init(&p);
	for (int i = 0; i < 100000; i++) {
		assert_true(vmb_dev_switch_patience_full(&p, now) > now + 2);
		now += 2;
		vmb_dev_switch_patience_took(&p, now, 60);
	}
	for (int i = 0; i < 1000; i++) {
		assert_true(vmb_dev_switch_patience_full(&p, now) > now + 100);
		now += 100;
		vmb_dev_switch_patience_took(&p, now, 65536);
	}
	/* What it takes while nobody waits does not add up. */
	assert_int_equal(vmb_dev_switch_patience_full(&p, now), now + 200);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_switch_stops_in_the_middle_of_a_storm),
		CASE(test_storm_without_end_leaves_nobody_out),
		CASE(test_switch_stops_while_callers_come_without_end),
		cmocka_unit_test(test_port_that_takes_nothing_is_waited_for_once),
		cmocka_unit_test(test_port_that_takes_a_frame_now_and_then_costs_others_little),
		cmocka_unit_test(test_port_that_is_fast_enough_is_always_waited_for),
	};

	alarm(120); /* SIGTERM is blocked, so that whoever runs the test could not end it */
	return cmocka_run_group_tests_name("devices_switch_round", tests, NULL, NULL);
}
