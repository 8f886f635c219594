// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The terminal as a shell's job has it: in the foreground, stopped and continued, in the
 * background. Each test is a session of its own with a pseudo terminal; its other end is looked at
 * from here.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/terminal.h"

#define LIMIT_S 30

static int terminal;

/*
 * Runs job as the leader of a session on a new terminal, standard input its end of that. Answers
 * the process id.
 */
static pid_t start(void (*job)(void))
{
	const char *name;
	pid_t pid;

	terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
	name = ptsname(terminal);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG,
	      SIGKILL); /* a test that fails leaves nobody behind who is stopped */
	setsid();
	close(STDIN_FILENO);
	if (open(name, O_RDWR) != STDIN_FILENO)
		_exit(100); /* and it controls us now */
	job();
	_exit(0);
}

static bool is_raw(void)
{
	struct termios now;

	assert_int_equal(tcgetattr(terminal, &now), 0);
	return !(now.c_lflag & ICANON);
}

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	return status;
}

static void stop_and_go_on(void)
{
	vmb_vmm_terminal_open();
	vmb_vmm_terminal_suspend();
	vmb_vmm_terminal_resume();
	kill(getpid(), SIGSTOP); /* nobody told us: it stays raw, and a shell makes it its own */
	vmb_vmm_terminal_resume();
	kill(getpid(), SIGSTOP);
	vmb_vmm_terminal_restore();
}

static void test_a_stopped_job_gives_the_terminal_back(void **state)
{
	pid_t pid = start(stop_and_go_on);
	struct termios shell;

	assert_int_equal(tcgetattr(terminal, &shell), 0);
	assert_true(WIFSTOPPED(status_of(pid)));
	assert_false(is_raw());
	kill(pid, SIGCONT);
	assert_true(WIFSTOPPED(status_of(pid)));
	assert_true(is_raw());
	tcsetattr(terminal, TCSANOW, &shell);
	kill(pid, SIGCONT);
	assert_true(WIFSTOPPED(status_of(pid)));
	assert_true(is_raw());
	kill(pid, SIGCONT);
	assert_true(WIFEXITED(status_of(pid)));
	assert_false(is_raw());
	close(terminal);
}

/* The shell, with a job in the background: that one has another process group. */
static void have_a_job(void)
{
	pid_t job = fork();
	int status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (job) {
		setpgid(job, job);
		if (waitpid(job, &status, WUNTRACED) != job)
			_exit(101);
		_exit(WIFSTOPPED(status) ? 102 : WEXITSTATUS(status));
	}
	setpgid(0, 0);
	vmb_vmm_terminal_open();
	if (vmb_vmm_terminal_is_raw() || vmb_vmm_terminal_is_ours())
		_exit(103);
	/* And now it is brought to the foreground, of which no signal tells. */
	signal(SIGTTOU, SIG_IGN);
	tcsetpgrp(STDIN_FILENO, getpgrp());
	signal(SIGTTOU, SIG_DFL);
	vmb_vmm_terminal_resume();
	if (!vmb_vmm_terminal_is_raw())
		_exit(104);
	vmb_vmm_terminal_restore();
	_exit(0);
}

static void test_a_job_in_the_background_leaves_the_terminal_alone(void **state)
{
	int status = status_of(start(have_a_job));

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(terminal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stopped_job_gives_the_terminal_back),
		cmocka_unit_test(test_a_job_in_the_background_leaves_the_terminal_alone),
	};

	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
