// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a thread can no longer do once it has said its role. Each case is a process of its own,
 * because nothing gives a thread back what was taken from it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/platform.h"
#include "devices/disk/disk.h"
#include "devices/disk/engine.h"
#include "devices/net/net.h"
#include "devices/report.h"
#include "devices/role.h"
#include "devices/trace.h"
#include "devices/uefi/nvram.h"
#include "vmm/confine.h"
#include "vmm/hotplug.h"

#define WENT_ON 42 /* exit code of a child whose call was carried out */
#define REFUSED 43 /* ... or failed with EPERM */
#define OTHER	44 /* ... or with another error */

static pid_t other; /* a process that is none of the confined one's business: the test's */

/* What an attacker would like to do. -1 and errno, as system calls answer. */

static long start_program(void)
{
	static char *const none[] = { NULL };

	return execve("/bin/true", none, none);
}

static long trace(void)
{
	return syscall(SYS_ptrace, PTRACE_ATTACH, other, 0, 0);
}

static long read_other(void)
{
	return syscall(SYS_process_vm_readv, other, NULL, 0, NULL, 0, 0);
}

static long open_file(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static long make_file(void)
{
	return open("/tmp/vmm-confine-test", O_RDWR | O_CREAT, 0600);
}

static long make_process(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static long make_thread_elsewhere(void)
{
	return syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWUSER, 0, 0, 0,
		       0);
}

static long signal_other(void)
{
	return kill(other, 0);
}

static long signal_thread_of_other(void)
{
	return syscall(SYS_tgkill, other, other, 0);
}

static long become_root(void)
{
	return syscall(SYS_setresuid, 0, 0, 0);
}

static long mount_something(void)
{
	return syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL);
}

static long open_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long open_packets(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static long open_raw(void)
{
	return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static long open_audit(void)
{
	return socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
}

static long make_code(void)
{
	return (long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long make_ring(void)
{
	uint64_t parameters[32] = { 0 };

	return syscall(SYS_io_uring_setup, 1, parameters);
}

/* SECCOMP_SET_MODE_STRICT, in which the kernel kills the thread without a word. */
static long become_strict(void)
{
	return syscall(SYS_seccomp, 0, 0, NULL);
}

/* Opens what it is told to add. */
#define CONTROL	  (1u << VMB_DEV_ROLE_CONTROL)
/* Writes the file of UEFI variables. */
#define VARIABLES (1u << VMB_DEV_ROLE_VARIABLES)

static const struct {
	long (*call)(void);
	const char *name;
	/* a bit for each role that may */
	uint32_t but_for;
} planted[] = {
	{ start_program, "execve", 0 },
	{ trace, "ptrace", 0 },
	{ read_other, "process_vm_readv", 0 },
	{ make_file, "openat", CONTROL | VARIABLES },
	{ make_process, "clone", 0 },
	{ make_thread_elsewhere, "clone", 0 },
	{ signal_other, "kill", 0 },
	{ signal_thread_of_other, "tgkill", 0 },
	{ become_root, "setresuid", 0 },
	{ mount_something, "mount", 0 },
	{ open_socket, "socket",
	  CONTROL | 1u << VMB_DEV_ROLE_NBD | 1u << VMB_DEV_ROLE_USER_NETWORK |
		  1u << VMB_DEV_ROLE_MAIN },
	{ open_packets, "socket", 0 },
	{ open_raw, "socket", 0 },
	{ open_audit, "socket", 0 },
	{ make_code, "mmap", CONTROL | 1u << VMB_DEV_ROLE_NBD | 1u << VMB_DEV_ROLE_MAIN },
	{ make_ring, "io_uring_setup", CONTROL | 1u << VMB_DEV_ROLE_MAIN },
	{ become_strict, "seccomp", 0 },
};

/* A thread that says its role and makes one call */

struct plan {
	enum vmb_dev_role role;
	long (*call)(void);
};

static void *act(void *arg)
{
	const struct plan *plan = arg;
	long result;

	vmb_dev_role_enter(plan->role);
	result = plan->call();
	if (result != -1)
		_exit(WENT_ON);
	_exit(errno == EPERM ? REFUSED : OTHER);
}

static bool begins = true; /* the process looks at its standard error before it is confined */

/* The exit code of a process in which such a thread runs; text: what it said. */
static int outcome(enum vmb_vmm_confine_how how, struct plan plan, char *text, size_t len)
{
	int fds[2], status;
	pthread_t thread;
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		alarm(20);
		dup2(fds[1], STDERR_FILENO);
		if (begins)
			vmb_dev_report_begin();
		if (vmb_vmm_confine_begin(how) || pthread_create(&thread, NULL, act, &plan))
			_exit(1);
		pthread_join(thread, NULL);
		_exit(1);
	}
	close(fds[1]);
	got = read(fds[0], text, len - 1);
	text[got > 0 ? got : 0] = 0;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

static void test_planted_call_ends_the_program_and_is_named(void **state)
{
	char text[512], wanted[128];

	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(planted); i++)
		for (uint32_t role = 0; role < VMB_DEV_ROLE_COUNT; role++) {
			if (planted[i].but_for >> role & 1 || role == VMB_DEV_ROLE_SERVER)
				continue;
			snprintf(wanted, sizeof(wanted), "the thread '%s' called %s (",
				 vmb_dev_role_name(role), planted[i].name);
			assert_int_equal(outcome(VMB_VMM_CONFINE_KILL,
						 (struct plan){ role, planted[i].call }, text,
						 sizeof(text)),
					 VMB_VMM_EXIT_CONFINED);
			if (!strstr(text, wanted))
				fail_msg("%s: no '%s'", text, wanted);
		}
}

static void test_planted_call_fails_with_errno(void **state)
{
	char text[512];

	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(planted); i++) {
		assert_int_equal(outcome(VMB_VMM_CONFINE_ERRNO,
					 (struct plan){ VMB_DEV_ROLE_STORAGE, planted[i].call },
					 text, sizeof(text)),
				 REFUSED);
		assert_string_equal(text, "");
	}
}

/* Another program: no handler of ours is there when it runs. */
static void test_server_ends_at_what_it_has_no_business_with(void **state)
{
	static long (*const calls[])(void) = { trace,	       read_other,  make_process,
					       become_root,    open_socket, open_packets,
					       mount_something };
	char text[512];

	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(calls); i++) {
		const struct plan plan = { VMB_DEV_ROLE_SERVER, calls[i] };

		assert_int_equal(WTERMSIG(-outcome(VMB_VMM_CONFINE_KILL, plan, text, sizeof(text))),
				 SIGSYS);
		assert_int_equal(outcome(VMB_VMM_CONFINE_ERRNO, plan, text, sizeof(text)), REFUSED);
	}
}

static void test_planted_call_is_carried_out_without_a_filter(void **state)
{
	char text[512];

	assert_int_equal(outcome(VMB_VMM_CONFINE_OFF,
				 (struct plan){ VMB_DEV_ROLE_STORAGE, open_file }, text,
				 sizeof(text)),
			 WENT_ON);
	assert_int_equal(outcome(VMB_VMM_CONFINE_OFF,
				 (struct plan){ VMB_DEV_ROLE_STORAGE, start_program }, text,
				 sizeof(text)),
			 0); /* that of the program */
}

static long open_elsewhere(void)
{
	return open("/proc/self/environ", O_RDONLY);
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
}

/*
 * Libraries try that now and then, so it is an error and no end; but no file is opened, and none for
 * writing is even tried.
 */
static void test_file_is_not_opened(void **state)
{
	const uint32_t may = CONTROL | VARIABLES | 1u << VMB_DEV_ROLE_MAIN;
	char text[512];
	int code;

	for (uint32_t role = 0; role < VMB_DEV_ROLE_COUNT; role++) {
		if (may >> role & 1 || role == VMB_DEV_ROLE_SERVER)
			continue;
		code = outcome(VMB_VMM_CONFINE_KILL, (struct plan){ role, open_elsewhere }, text,
			       sizeof(text));
		if ((role == VMB_DEV_ROLE_NBD || role == VMB_DEV_ROLE_USER_NETWORK) &&
		    !has_landlock())
			continue;
		assert_int_equal(code, OTHER);
		assert_string_equal(text, "");
	}
}

static long write_variables(void)
{
	static struct vmb_dev_uefi_vars none;
	const char *path = "/tmp/confine-test-nvram";
	int error = vmb_dev_uefi_nvram_save(&none, path);

	unlink(path);
	return error ? -1 : 0;
}

static void test_file_of_variables_is_written_by_its_thread_alone(void **state)
{
	char text[512];

	assert_int_equal(outcome(VMB_VMM_CONFINE_KILL,
				 (struct plan){ VMB_DEV_ROLE_VARIABLES, write_variables }, text,
				 sizeof(text)),
			 WENT_ON);
	assert_int_equal(outcome(VMB_VMM_CONFINE_KILL,
				 (struct plan){ VMB_DEV_ROLE_PROCESSOR, write_variables }, text,
				 sizeof(text)),
			 VMB_VMM_EXIT_CONFINED);
}

/* What is left */

static long open_list_of_servers(void)
{
	int fd = open("/etc/hosts", O_RDONLY);

	return fd < 0 ? -1 : close(fd);
}

static void test_threads_that_look_up_names_read_the_lists_and_nothing_else(void **state)
{
	static const enum vmb_dev_role roles[] = { VMB_DEV_ROLE_NBD, VMB_DEV_ROLE_USER_NETWORK };
	char text[512];

	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(roles); i++) {
		assert_int_equal(outcome(VMB_VMM_CONFINE_KILL,
					 (struct plan){ roles[i], open_list_of_servers }, text,
					 sizeof(text)),
				 WENT_ON);
		if (has_landlock())
			assert_int_equal(outcome(VMB_VMM_CONFINE_KILL,
						 (struct plan){ roles[i], open_elsewhere }, text,
						 sizeof(text)),
					 OTHER);
	}
}

static long has_no_new_privileges(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : -1;
}

static void test_no_thread_may_gain_privileges_even_without_a_filter(void **state)
{
	char text[512];

	assert_int_equal(outcome(VMB_VMM_CONFINE_OFF,
				 (struct plan){ VMB_DEV_ROLE_NETWORK, has_no_new_privileges }, text,
				 sizeof(text)),
			 WENT_ON);
}

/* Whatever a thread is for, it can say what is wrong. */

static long say_something(void)
{
	vmb_dev_report("something is wrong");
	return 0;
}

static void test_every_thread_can_speak(void **state)
{
	char text[512];

	for (uint32_t role = 0; role < VMB_DEV_ROLE_COUNT; role++) {
		assert_int_equal(outcome(VMB_VMM_CONFINE_KILL, (struct plan){ role, say_something },
					 text, sizeof(text)),
				 WENT_ON);
		assert_string_equal(text, "openvmbus: something is wrong\n");
	}
}

/* It would be opened once more, which no thread may. */
static void test_thread_speaks_into_a_pipe_that_came_later(void **state)
{
	const struct plan plan = { .role = VMB_DEV_ROLE_NBD, .call = say_something };
	char text[512];
	int code;

	begins = false;
	code = outcome(VMB_VMM_CONFINE_KILL, plan, text, sizeof(text));
	begins = true;
	assert_int_equal(code, WENT_ON);
	assert_string_equal(text, "openvmbus: something is wrong\n");
}

/* Threads that the main thread starts have its filter too, so it must allow what theirs do. */

static void *do_nothing(void *arg)
{
	vmb_dev_role_enter(*(enum vmb_dev_role *)arg);
	return NULL;
}

static void test_main_thread_starts_threads_of_every_role(void **state)
{
	enum vmb_dev_role role;
	pthread_t thread;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(20);
		if (vmb_vmm_confine_begin(VMB_VMM_CONFINE_KILL))
			_exit(1);
		vmb_dev_role_enter(VMB_DEV_ROLE_MAIN);
		for (role = 0; role < VMB_DEV_ROLE_COUNT; role++)
			if (role != VMB_DEV_ROLE_SERVER &&
			    (pthread_create(&thread, NULL, do_nothing, &role) ||
			     pthread_join(thread, NULL)))
				_exit(1);
		_exit(WENT_ON);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -status, WENT_ON);
}

/* As control does it while the guest runs: the thread that writes inherits its filter. */
static long record_something(void)
{
	static struct vmb_dev_trace recording;
	char path[64];
	const struct vmb_dev_trace_config config = { .path = path };
	int error;

	snprintf(path, sizeof(path), "/tmp/vmm-confine-%d", other);
	vmb_dev_trace_init(&recording);
	error = vmb_dev_trace_check(&config);
	if (!error)
		error = vmb_dev_trace_start(&recording, &config);
	vmb_dev_trace_stop(&recording);
	unlink(path);
	return error ? -1 : 0;
}

static void test_control_may_begin_a_recording(void **state)
{
	const struct plan plan = { .role = VMB_DEV_ROLE_CONTROL, .call = record_something };
	char text[512];
	int code = outcome(VMB_VMM_CONFINE_KILL, plan, text, sizeof(text));

	if (code != WENT_ON)
		fail_msg("%d: %s", code, text);
}

/* Disks and cards that control opens and closes again; where it cannot, it says so and goes on. */

static const char *plugged; /* as of --disk, or of --net with a dash before it */

static void plug_card(const char *net)
{
	struct vmb_dev_net_option option = { 0 };
	struct vmb_dev_device card;
	char text[128];

	snprintf(text, sizeof(text), "%s", net);
	if (vmb_dev_net_parse(&option, text, 0) == 0 &&
	    vmb_vmm_hotplug_open_card(&card, &option, 0) == 0)
		card.ops->close(card.state);
}

static void plug_disk(const char *value)
{
	struct vmb_dev_disk_parsed parsed;
	struct vmb_dev_disk disk = { 0 };

	if (vmb_dev_disk_parse(&parsed, value, false, false))
		return;
	if (vmb_dev_disk_open(&disk, &parsed.option) == 0)
		vmb_dev_disk_prepare(&disk);
	vmb_dev_disk_close(&disk);
	free((char *)parsed.option.path);
}

static long plug_something(void)
{
	if (*plugged == '-')
		plug_card(plugged + 1);
	else
		plug_disk(plugged);
	return 0;
}

static void test_control_may_plug_what_there_is(void **state)
{
	static const char *const all[] = {
		"-user",
		"-user,hostfwd=tcp:127.0.0.1:0-:22",
		"-tap=vmb-none",
		"-switch=/none/socket",
		"-null",
		"-null,capture=/tmp/vmm-confine-capture",
		"-tap=lo",
		"null:1M",
		"ram:1M",
		"/dev/null",
		"/bin/true,readonly",
		"nbd://127.0.0.1:1/",
		"nbd://localhost:1/",
		"nbd+unix:///?socket=/none",
	};
	const struct plan plan = { .role = VMB_DEV_ROLE_CONTROL, .call = plug_something };
	char text[512];
	int code;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(all); i++) {
		plugged = all[i];
		code = outcome(VMB_VMM_CONFINE_KILL, plan, text, sizeof(text));
		if (code != WENT_ON)
			fail_msg("%s: %d: %s", plugged, code, text);
	}
	unlink("/tmp/vmm-confine-capture");
}

/* A ring carries out what no filter sees. */
static void test_ring_of_a_disk_opens_nothing(void **state)
{
	struct vmb_dev_disk_engine engine;
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;

	assert_int_equal(vmb_dev_disk_engine_open(&engine, false), 0);
	if (engine.threads) {
		vmb_dev_disk_engine_close(&engine);
		skip(); /* the system refuses io_uring */
	}
	sqe = io_uring_get_sqe(&engine.uring);
	io_uring_prep_openat(sqe, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	assert_true(io_uring_submit_and_wait(&engine.uring, 1) > 0);
	assert_int_equal(io_uring_peek_cqe(&engine.uring, &cqe), 0);
	assert_int_equal(cqe->res, -EACCES);
	io_uring_cqe_seen(&engine.uring, cqe);
	vmb_dev_disk_engine_close(&engine);
}

static void test_modes_are_parsed(void **state)
{
	enum vmb_vmm_confine_how how;

	assert_true(vmb_vmm_confine_parse(&how, "errno"));
	assert_int_equal(how, VMB_VMM_CONFINE_ERRNO);
	assert_true(vmb_vmm_confine_parse(&how, "off"));
	assert_int_equal(how, VMB_VMM_CONFINE_OFF);
	assert_true(vmb_vmm_confine_parse(&how, "kill"));
	assert_int_equal(how, VMB_VMM_CONFINE_KILL);
	assert_false(vmb_vmm_confine_parse(&how, "on"));
	assert_false(vmb_vmm_confine_parse(&how, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_planted_call_ends_the_program_and_is_named),
		cmocka_unit_test(test_planted_call_fails_with_errno),
		cmocka_unit_test(test_server_ends_at_what_it_has_no_business_with),
		cmocka_unit_test(test_planted_call_is_carried_out_without_a_filter),
		cmocka_unit_test(test_threads_that_look_up_names_read_the_lists_and_nothing_else),
		cmocka_unit_test(test_no_thread_may_gain_privileges_even_without_a_filter),
		cmocka_unit_test(test_file_is_not_opened),
		cmocka_unit_test(test_file_of_variables_is_written_by_its_thread_alone),
		cmocka_unit_test(test_every_thread_can_speak),
		cmocka_unit_test(test_thread_speaks_into_a_pipe_that_came_later),
		cmocka_unit_test(test_main_thread_starts_threads_of_every_role),
		cmocka_unit_test(test_control_may_begin_a_recording),
		cmocka_unit_test(test_control_may_plug_what_there_is),
		cmocka_unit_test(test_ring_of_a_disk_opens_nothing),
		cmocka_unit_test(test_modes_are_parsed),
	};

	other = getpid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
