// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Makes the terminal raw for the guest's console, and restores it on every way out of the program.
 */
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/platform.h"
#include "devices/report.h"
#include "vmm/terminal.h"

/* Global, because the handler of fatal signals needs them. */
static struct termios saved;
static volatile sig_atomic_t is_terminal, have_saved, is_raw;

bool vmb_vmm_terminal_is_raw(void)
{
	return is_raw;
}

/* A terminal that does not control us knows no background. */
bool vmb_vmm_terminal_is_ours(void)
{
	pid_t foreground = is_terminal ? tcgetpgrp(STDIN_FILENO) : -1;

	return foreground < 0 || foreground == getpgrp();
}

/*
 * Nothing here waits for output that is under way: a terminal that was halted by Ctrl-S would hold
 * us for ever.
 */
static void put_back(void)
{
	is_raw = 0;
	if (vmb_vmm_terminal_is_ours())
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

void vmb_vmm_terminal_restore(void)
{
	if (!is_raw)
		return;
	put_back();
	vmb_dev_report_raw(0);
}

static void die(int number)
{
	if (is_raw)
		put_back();
	signal(number, SIG_DFL);
	raise(number);
}

void vmb_vmm_terminal_resume(void)
{
	struct termios raw;

	if (!is_terminal || !vmb_vmm_terminal_is_ours())
		return;
	/* After SIGSTOP the terminal is still raw: do not save that as the state to restore. */
	if (!is_raw && tcgetattr(STDIN_FILENO, &saved) == 0)
		have_saved = 1;
	if (!have_saved)
		return;
	raw = saved;
	cfmakeraw(&raw);
	is_raw = 1;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	vmb_dev_report_raw(1);
}

void vmb_vmm_terminal_suspend(void)
{
	vmb_vmm_terminal_restore();
	kill(getpid(), SIGSTOP);
}

void vmb_vmm_terminal_open(void)
{
	const int fatal[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };

	is_terminal = isatty(STDIN_FILENO);
	if (!is_terminal)
		return;
	atexit(vmb_vmm_terminal_restore);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(fatal); i++)
		signal(fatal[i], die);
	vmb_vmm_terminal_resume();
}
