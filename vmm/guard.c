// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Takes the program's signals on a thread of its own, and ends the program when something else
 * hangs.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "devices/report.h"
#include "devices/role.h"
#include "vmm/guard.h"
#include "vmm/machine.h"
#include "vmm/terminal.h"

#define TICK_MS	 250
#define SAME_MS	 250 /* signals so close to each other are one */
#define SPEAK_MS 100 /* standard error may have a reader that does not read */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Ends the program without its exit handlers, which may wait for the same thing. */
static void end_program(const struct vmb_vmm_guard *g, int code)
{
	const char *what = g->what ? g->what : "the machine";

	vmb_vmm_terminal_restore();
	if (code == VMB_VMM_EXIT_FAILURE)
		vmb_dev_report("%s did not end within %d s: ended all the same; what the guest "
			       "wrote last may be missing",
			       what, VMB_VMM_GUARD_LIMIT_MS / 1000);
	else if (g->stopped)
		vmb_dev_report("a second signal: ended without waiting for %s", what);
	vmb_dev_report_drain(SPEAK_MS);
	_exit(code);
}

/*
 * timeout(1) sends its signal to the program and then to its process group: count the two as one.
 */
static void stop(struct vmb_vmm_guard *g)
{
	bool asks;

	if (g->stopped && now_ms() - g->stopped_at < SAME_MS)
		return;
	if ((g->stopped && !g->shutdown.asking) || !g->begun)
		end_program(g, VMB_VMM_EXIT_STOPPED);
	asks = !g->stopped && g->machine && vmb_vmm_shutdown_ask(&g->shutdown);
	g->shutdown.asking = asks;
	g->stopped = true;
	g->stopped_at = now_ms();
	if (asks)
		return;
	if (g->machine)
		vmb_vmm_power_end(g->machine, VMB_VMM_STOPPED);
	else if (write(g->wake, &(uint64_t){ 1 }, sizeof(uint64_t)) < 0)
		return;
}

static void take_signal(struct vmb_vmm_guard *g)
{
	struct signalfd_siginfo info;

	if (read(g->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGTSTP)
		vmb_vmm_terminal_suspend();
	else if (info.ssi_signo == SIGCONT)
		vmb_vmm_terminal_resume();
	else
		stop(g);
}

static void look_at_clock(struct vmb_vmm_guard *g)
{
	bool running = g->machine && vmb_vmm_power_outcome(g->machine) == VMB_VMM_RUNNING;
	bool ends;

	if (running && vmb_vmm_shutdown_over(&g->shutdown))
		vmb_vmm_power_end(g->machine, VMB_VMM_STOPPED);
	if (!running)
		g->shutdown.asking = false;
	ends = (g->stopped && !g->shutdown.asking) || g->last || (g->machine && !running);
	if (!ends)
		g->since = 0;
	else if (!g->since)
		g->since = now_ms();
	else if (now_ms() - g->since >= VMB_VMM_GUARD_LIMIT_MS)
		end_program(g, VMB_VMM_EXIT_FAILURE);
}

static void *guard_thread(void *arg)
{
	struct vmb_vmm_guard *g = arg;
	struct pollfd fd = { .fd = g->signals, .events = POLLIN };

	vmb_dev_role_enter(VMB_DEV_ROLE_GUARD);
	for (;;) {
		poll(&fd, 1, TICK_MS);
		pthread_mutex_lock(&g->lock);
		if (fd.revents)
			take_signal(g);
		look_at_clock(g);
		pthread_mutex_unlock(&g->lock);
	}
	return NULL;
}

/* SIGTTIN and SIGTTOU are blocked and never taken: a job in the background of its shell goes on. */
static void block_signals(sigset_t *taken)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT };
	sigset_t blocked;

	sigemptyset(taken);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(numbers); i++)
		sigaddset(taken, numbers[i]);
	blocked = *taken;
	sigaddset(&blocked, SIGTTIN);
	sigaddset(&blocked, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int vmb_vmm_guard_start(struct vmb_vmm_guard *g, int wake)
{
	pthread_t thread;
	sigset_t taken;
	int error;

	block_signals(&taken);
	pthread_mutex_init(&g->lock, NULL);
	g->wake = wake;
	g->signals = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
	error = g->signals < 0 ? errno : pthread_create(&thread, NULL, guard_thread, g);
	if (!error)
		error = pthread_detach(thread);
	if (error)
		vmb_dev_report("signals: %s", strerror(error));
	return -error;
}

void vmb_vmm_guard_attach(struct vmb_vmm_guard *g, struct vmb_vmm_machine *machine,
			  struct vmb_dev_services *services)
{
	pthread_mutex_lock(&g->lock);
	g->shutdown = (struct vmb_vmm_shutdown){ .services = services,
						 .timeout_s = machine->options->stop_s };
	g->machine = machine;
	g->begun = true;
	g->what = NULL;
	if (g->stopped)
		vmb_vmm_power_end(machine, VMB_VMM_STOPPED);
	pthread_mutex_unlock(&g->lock);
}

void vmb_vmm_guard_waits_for(struct vmb_vmm_guard *g, const char *what)
{
	pthread_mutex_lock(&g->lock);
	g->what = what;
	pthread_mutex_unlock(&g->lock);
}

void vmb_vmm_guard_detach(struct vmb_vmm_guard *g, bool last)
{
	pthread_mutex_lock(&g->lock);
	g->machine = NULL;
	g->last = last;
	pthread_mutex_unlock(&g->lock);
}

bool vmb_vmm_guard_is_stopped(struct vmb_vmm_guard *g)
{
	bool stopped;

	pthread_mutex_lock(&g->lock);
	stopped = g->stopped;
	pthread_mutex_unlock(&g->lock);
	return stopped;
}
