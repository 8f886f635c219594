// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Makes the filters of system calls from the lists in vmm/confine_calls.c when the program starts,
 * so that a thread only has to load its own: that needs no memory and cannot go wrong for the want
 * of it in the middle of a run.
 *
 * A call that a filter forbids is a trap, not a kill by the kernel: the handler restores the
 * terminal, says which thread wanted what, and ends the program. For disks that end is like any
 * other sudden one: what the guest flushed is durable.
 */
#include <errno.h>
#include <linux/filter.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/platform.h"
#include "devices/report.h"
#include "devices/user.h"
#include "vmm/confine.h"
#include "vmm/confine_calls.h"
#include "vmm/confine_files.h"
#include "vmm/terminal.h"

#define SPEAK_MS    100 /* standard error may have a reader that does not read */
#define NUMBER_MAX  512u
#define BINARY_TREE 2 /* of SCMP_FLTATR_CTL_OPTIMIZE */
#define FROM_FILTER 1 /* si_code of a SIGSYS, SYS_SECCOMP of asm/siginfo.h */
#define SET_FILTER  1 /* SECCOMP_SET_MODE_FILTER of linux/seccomp.h, which seccomp.h replaces */

/* Global, because the handler of the trap needs them. */
static struct sock_fprog programs[VMB_DEV_ROLE_COUNT];
static char *names[NUMBER_MAX];
static __thread enum vmb_dev_role current;

bool vmb_vmm_confine_parse(enum vmb_vmm_confine_how *how, const char *text)
{
	static const char *const texts[] = { "kill", "errno", "off" };

	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(texts); i++) {
		if (strcmp(text, texts[i]))
			continue;
		*how = i;
		return true;
	}
	return false;
}

/* The trap */

/* Not by vmb_dev_report(): the call may be one of that function's own, under its lock. */
static void end_program(int number)
{
	const char *name = (unsigned int)number < NUMBER_MAX ? names[number] : NULL;
	struct pollfd err = { .fd = STDERR_FILENO, .events = POLLOUT };
	char line[256];
	int len;

	vmb_vmm_terminal_restore();
	len = snprintf(line, sizeof(line),
		       "openvmbus: seccomp: the thread '%s' called %s (%d), which its role does "
		       "not need: ended at once; it is a fault of openvmbus or an attack "
		       "(--seccomp off goes on)\n",
		       vmb_dev_role_name(current), name ? name : "an unknown system call", number);
	if (poll(&err, 1, SPEAK_MS) == 1 && write(STDERR_FILENO, line, len) < 0)
		_exit(VMB_VMM_EXIT_CONFINED);
	_exit(VMB_VMM_EXIT_CONFINED);
}

/* Comes from the call itself, so it interrupts no other work of the thread. */
static void on_trap(int signal_number, siginfo_t *info, void *context)
{
	if (info->si_code == FROM_FILTER)
		end_program(info->si_syscall);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void name_calls(void)
{
	for (uint32_t i = 0; i < NUMBER_MAX; i++)
		names[i] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
}

static int set_trap(void)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

	name_calls();
	return sigaction(SIGSYS, &action, NULL) ? -errno : 0;
}

/* Filters */

/* otherwise: what happens with the list's calls that have no answer of their own. */
static int add(scmp_filter_ctx filter, const struct vmb_vmm_confine_list *list, uint32_t otherwise)
{
	int error;

	for (uint32_t i = 0; i < list->count; i++) {
		const struct vmb_vmm_confine_call *call = &list->calls[i];
		uint32_t action = call->answer ? SCMP_ACT_ERRNO(call->answer) : otherwise;

		error = seccomp_rule_add_array(filter, action, call->number, call->compare_count,
					       call->compare);
		if (error && error != -EEXIST) /* another role needs it too */
			return error;
	}
	return 0;
}

static int add_value(scmp_filter_ctx filter, int number, uint32_t argument, uint64_t value)
{
	const struct scmp_arg_cmp compare = { argument, SCMP_CMP_MASKED_EQ, 0xFFFFFFFF, value };

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, 1, &compare);
}

/* Signals reach this process only; the guard stops it for Ctrl-Z. */
static int add_signals(scmp_filter_ctx filter, enum vmb_dev_role role)
{
	int error = add_value(filter, SCMP_SYS(tgkill), 0, getpid());

	if (!error && role == VMB_DEV_ROLE_GUARD)
		error = add_value(filter, SCMP_SYS(kill), 0, getpid());
	return error;
}

/* Of all three: real, effective and saved. */
static int add_ids(scmp_filter_ctx filter, int number, unsigned int id)
{
	const struct scmp_arg_cmp compare[] = { { 0, SCMP_CMP_EQ, id, 0 },
						{ 1, SCMP_CMP_EQ, id, 0 },
						{ 2, SCMP_CMP_EQ, id, 0 } };

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, VMB_ARRAY_COUNT(compare),
				      compare);
}

/*
 * The C library changes the user of every thread, also of those that are confined already; and of
 * no other user.
 */
static int add_user(scmp_filter_ctx filter)
{
	int error;

	if (vmb_dev_user_uid() == (uid_t)-1)
		return 0;
	error = add_ids(filter, SCMP_SYS(setresuid), vmb_dev_user_uid());
	if (!error)
		error = add_ids(filter, SCMP_SYS(setresgid), vmb_dev_user_gid());
	if (!error)
		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(setgroups), 0,
					       NULL);
	return error;
}

/* Threads have the filters of the one that starts them, so that one must have what they need. */
static bool has_list(enum vmb_dev_role role, enum vmb_dev_role list)
{
	static const uint32_t started_by_control =
		1u << VMB_DEV_ROLE_STORAGE | 1u << VMB_DEV_ROLE_NVME | 1u << VMB_DEV_ROLE_DISK |
		1u << VMB_DEV_ROLE_NBD | 1u << VMB_DEV_ROLE_SERVICES | 1u << VMB_DEV_ROLE_NETWORK |
		1u << VMB_DEV_ROLE_USER_NETWORK | 1u << VMB_DEV_ROLE_TRACE;

	if (role == list)
		return true;
	if (role == VMB_DEV_ROLE_MAIN) /* the two run before main has its role */
		return list != VMB_DEV_ROLE_CONTROL && list != VMB_DEV_ROLE_VARIABLES;
	return role == VMB_DEV_ROLE_CONTROL && started_by_control >> list & 1;
}

/* What a thread's filter allows only counts as far as those do that it inherited. */
static int add_role(scmp_filter_ctx filter, enum vmb_dev_role role)
{
	int error = 0;

	/* The first rule for a call counts: what a role may do comes before what fails for all. */
	for (uint32_t i = 0; i < VMB_DEV_ROLE_COUNT && !error; i++)
		if (has_list(role, i))
			error = add(filter, &vmb_vmm_confine_lists[i], SCMP_ACT_ALLOW);
	if (!error)
		error = add(filter, &vmb_vmm_confine_common, SCMP_ACT_ALLOW);
	if (!error)
		error = add_signals(filter, role);
	return error ? error : add_user(filter);
}

/* Takes the filter's program out of libseccomp, which only writes it to a file. */
static int take_program(scmp_filter_ctx filter, struct sock_fprog *program)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	int error = fd < 0 ? -errno : seccomp_export_bpf(filter, fd);
	off_t len = error ? 0 : lseek(fd, 0, SEEK_END);

	program->filter = len > 0 ? malloc(len) : NULL;
	program->len = len / sizeof(*program->filter);
	if (!error && (!program->filter || pread(fd, program->filter, len, 0) != len))
		error = -ENOMEM;
	if (fd >= 0)
		close(fd);
	return error;
}

static scmp_filter_ctx begin_filter(uint32_t otherwise)
{
	scmp_filter_ctx filter = seccomp_init(otherwise);

	if (filter && (seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) ||
		       seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, BINARY_TREE))) {
		seccomp_release(filter);
		return NULL;
	}
	return filter;
}

/* No handler of ours survives the start of another program, so the kernel ends that. */
static int make_program(enum vmb_dev_role role, enum vmb_vmm_confine_how how)
{
	bool kills = how == VMB_VMM_CONFINE_KILL, is_server = role == VMB_DEV_ROLE_SERVER;
	uint32_t refusal = kills && is_server ? SCMP_ACT_KILL_PROCESS :
			   kills	      ? SCMP_ACT_TRAP :
						SCMP_ACT_ERRNO(EPERM);
	scmp_filter_ctx filter = begin_filter(is_server ? SCMP_ACT_ALLOW : refusal);
	int error = filter ? 0 : -ENOMEM;

	if (!error && is_server)
		error = add(filter, &vmb_vmm_confine_server, refusal);
	else if (!error)
		error = add_role(filter, role);
	if (!error)
		error = take_program(filter, &programs[role]);
	if (filter)
		seccomp_release(filter);
	return error;
}

/* Ends the program when a thread cannot be confined: it must not run as it is. */
static void enter(enum vmb_dev_role role)
{
	current = role;
	vmb_vmm_confine_files_enter(role);
	if (syscall(SYS_seccomp, SET_FILTER, 0, &programs[role]) == 0)
		return;
	vmb_dev_report("seccomp: the thread '%s' cannot be confined: %s", vmb_dev_role_name(role),
		       strerror(errno));
	_exit(VMB_VMM_EXIT_FAILURE);
}

static int make_all(enum vmb_vmm_confine_how how)
{
	int error = set_trap();

	vmb_vmm_confine_files_begin();
	tzset(); /* reads a file the first time, which the clock's port would be too late for */
	for (uint32_t role = 0; role < VMB_DEV_ROLE_COUNT && !error; role++)
		error = make_program(role, how);
	return error;
}

int vmb_vmm_confine_begin(enum vmb_vmm_confine_how how)
{
	int error = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;

	if (!error && how == VMB_VMM_CONFINE_OFF)
		return 0;
	if (!error && prctl(PR_GET_SECCOMP) < 0)
		error = -ENOSYS;
	if (!error)
		error = make_all(how);
	if (error)
		vmb_dev_report("seccomp: %s; --seccomp off runs without", strerror(-error));
	else
		vmb_dev_role_confine_by(enter);
	return error;
}
