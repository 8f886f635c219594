// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What an NBD connection does while its server comes back: what was answered is written again, and
 * the server dies or refuses just then; or its name is looked up, and no name server answers.
 * Nothing of it may hold up a reset or the end.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/platform.h"
#include "devices/disk/nbd_connection.h"
#include "tests/nbd_fake.h"

#define EXPORT_LEN (1u << 20)
#define OP_LEN	   4096u
#define WINDOW_S   60
#define PATIENCE_S 20
#define HOST	   "disk.example"

static struct nbd_fake fake;
static struct vmb_dev_nbd *nbd;

/* The system's name lookup, which libnbd calls */

static bool lookup_hangs;
static uint32_t lookups_begun, lookups_ended;
static sem_t lookup_goes_on;

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		struct addrinfo **found)
{
	int (*of_system)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	int error;

	of_system = (__typeof__(of_system))dlsym(RTLD_NEXT, "getaddrinfo");
	__atomic_fetch_add(&lookups_begun, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&lookup_hangs, __ATOMIC_SEQ_CST))
		while (sem_wait(&lookup_goes_on))
			;
	error = of_system(strcmp(host, HOST) == 0 ? "127.0.0.1" : host, service, hints, found);
	__atomic_fetch_add(&lookups_ended, 1, __ATOMIC_SEQ_CST);
	return error;
}

/* Bed */

struct op {
	struct vmb_dev_nbd_op op;
	int error;
	uint32_t ended;
};

static uint32_t load(const uint32_t *count)
{
	return __atomic_load_n(count, __ATOMIC_SEQ_CST);
}

static void ended(struct vmb_dev_nbd_op *op, int error)
{
	struct op *o = VMB_CONTAINER_OF(op, struct op, op);

	if (op->kind == VMB_DEV_NBD_READ)
		free(op->data);
	o->error = error;
	__atomic_store_n(&o->ended, 1, __ATOMIC_SEQ_CST);
}

static void begin(struct op *o, enum vmb_dev_nbd_kind kind)
{
	*o = (struct op){
		.op = { .kind = kind, .len = OP_LEN, .data = calloc(1, OP_LEN), .ended = ended }
	};
	vmb_dev_nbd_submit(nbd, &o->op);
}

static bool reaches(const uint32_t *count, uint32_t value)
{
	for (int i = 0; i < PATIENCE_S * 100 && load(count) < value; i++)
		usleep(10000);
	return load(count) >= value;
}

static void do_well(enum vmb_dev_nbd_kind kind)
{
	static struct op o; /* it may never end */

	begin(&o, kind);
	assert_true(reaches(&o.ended, 1));
	assert_int_equal(o.error, 0);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Connects to HOST, and waits until all connections are ready. */
static void open_nbd(void)
{
	char uri[64], why[256];

	nbd_fake_start(&fake, NULL, EXPORT_LEN, NBD_FAKE_GOOD);
	snprintf(uri, sizeof(uri), "nbd://" HOST ":%u/", fake.port);
	nbd = vmb_dev_nbd_connect(uri, WINDOW_S, why, sizeof(why));
	assert_non_null(nbd);
	assert_int_equal(vmb_dev_nbd_start(nbd, NULL), 0);
	assert_true(reaches(&fake.ready_count, VMB_DEV_NBD_CONNECTION_MAX));
}

static double close_nbd(void)
{
	double begin_s = seconds();

	vmb_dev_nbd_close(nbd);
	return seconds() - begin_s;
}

/* The journal */

static void answer_and_drop(struct vmb_dev_nbd_op *op, int error)
{
	nbd_fake_answer_and_drop(&fake);
	ended(op, error);
}

/*
 * The connections' thread is kept busy, by an operation that ends, while the server answers the
 * write and closes all connections: so it finds the answer and the end together.
 */
static void kill_server_in_its_answer(void)
{
	struct op o = { .op = { .kind = VMB_DEV_NBD_READ,
				.len = OP_LEN,
				.data = malloc(OP_LEN),
				.ended = answer_and_drop } };

	vmb_dev_nbd_submit(nbd, &o.op);
	vmb_dev_nbd_cancel(nbd);
	assert_true(reaches(&o.ended, 1));
	assert_int_equal(o.error, ECANCELED);
}

static void check_server_that_dies_in_the_replay(uint32_t writes)
{
	open_nbd();
	for (uint32_t i = 0; i < writes; i++)
		do_well(VMB_DEV_NBD_WRITE);
	nbd_fake_behave(&fake, NBD_FAKE_HOLDS_A_WRITE);
	nbd_fake_drop(&fake);
	assert_true(reaches(&fake.held_count, 1));
	assert_true(reaches(&fake.ready_count, 2 * VMB_DEV_NBD_CONNECTION_MAX));
	usleep(200000); /* until the client has read what the server said last */
	nbd_fake_behave(&fake, NBD_FAKE_GOOD);
	kill_server_in_its_answer();
	do_well(VMB_DEV_NBD_READ);
	close_nbd();
	nbd_fake_stop(&fake);
}

static void test_server_that_dies_in_the_last_write_of_the_replay_is_reached_again(void **state)
{
	check_server_that_dies_in_the_replay(1);
}

static void test_server_that_dies_in_the_middle_of_the_replay_is_reached_again(void **state)
{
	check_server_that_dies_in_the_replay(2);
}

static uint32_t count_lines(int fd, const char *what)
{
	char line[512];
	uint32_t count = 0;
	FILE *file;

	lseek(fd, 0, SEEK_SET);
	file = fdopen(fd, "r");
	while (fgets(line, sizeof(line), file))
		count += strstr(line, what) != NULL;
	fclose(file);
	return count;
}

/* It is asked again, but not ten times a second, and with one line. */
static void test_server_that_refuses_the_replay_is_asked_again_later(void **state)
{
	int error_output = dup(STDERR_FILENO), log = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	uint32_t lines, connections;

	open_nbd();
	do_well(VMB_DEV_NBD_WRITE);
	nbd_fake_behave(&fake, NBD_FAKE_REFUSES_WRITES);
	dup2(log, STDERR_FILENO);
	nbd_fake_drop(&fake);
	assert_true(reaches(&fake.command_count, 2));
	sleep(2);
	dup2(error_output, STDERR_FILENO);
	close(error_output);
	lines = count_lines(log, "refuses a write");
	connections = load(&fake.connection_count);
	print_message("in 2 s: %u lines, %u connections\n", lines, connections);
	assert_int_equal(lines, 1);
	assert_in_range(connections, 5, 9);
	nbd_fake_behave(&fake, NBD_FAKE_GOOD);
	do_well(VMB_DEV_NBD_READ);
	close_nbd();
	nbd_fake_stop(&fake);
}

/* The name */

static void lose_server_and_name_server(void)
{
	open_nbd();
	__atomic_store_n(&lookups_begun, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&lookups_ended, 0, __ATOMIC_SEQ_CST);
	sem_init(&lookup_goes_on, 0, 0);
	__atomic_store_n(&lookup_hangs, true, __ATOMIC_SEQ_CST);
	nbd_fake_drop(&fake);
	assert_true(reaches(&lookups_begun, 1));
}

static void let_lookup_go_on(void)
{
	__atomic_store_n(&lookup_hangs, false, __ATOMIC_SEQ_CST);
	sem_post(&lookup_goes_on);
	assert_true(reaches(&lookups_ended, 1));
}

static void test_nothing_waits_for_a_name_server(void **state)
{
	double begin_s, close_s, cancel_s;
	struct op o;

	lose_server_and_name_server();
	begin(&o, VMB_DEV_NBD_READ);
	begin_s = seconds();
	vmb_dev_nbd_cancel(nbd);
	assert_true(reaches(&o.ended, 1));
	cancel_s = seconds() - begin_s;
	assert_int_equal(o.error, ECANCELED);
	close_s = close_nbd();
	print_message("a cancelled read ended after %.2f s, the connection after %.2f s\n",
		      cancel_s, close_s);
	assert_true(cancel_s < 2 && close_s < 2);
	let_lookup_go_on();
	nbd_fake_stop(&fake);
}

static void test_server_is_reached_once_its_name_is_found(void **state)
{
	struct op o;

	lose_server_and_name_server();
	begin(&o, VMB_DEV_NBD_READ);
	let_lookup_go_on();
	assert_true(reaches(&o.ended, 1));
	assert_int_equal(o.error, 0);
	close_nbd();
	nbd_fake_stop(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_server_that_dies_in_the_last_write_of_the_replay_is_reached_again),
		cmocka_unit_test(
			test_server_that_dies_in_the_middle_of_the_replay_is_reached_again),
		cmocka_unit_test(test_server_that_refuses_the_replay_is_asked_again_later),
		cmocka_unit_test(test_nothing_waits_for_a_name_server),
		cmocka_unit_test(test_server_is_reached_once_its_name_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
