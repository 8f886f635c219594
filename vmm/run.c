// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "devices/controllers.h"
#include "vmm/machine.h"
#include "vmm/nest.h"
#include "devices/network.h"
#include "devices/report.h"
#include "vmm/run.h"
#include "devices/bus.h"

#define WHY_LEN 128u /* bytes, of why there is no KVM for us */

/* What stays the same over resets. */
struct session {
	struct vmb_vmm_options options;
	struct vmb_vmm_boot boot;
	struct vmb_vmm_kvm kvm;
	struct vmb_dev_controllers storage;
	struct vmb_dev_network *networks[VMB_DEV_NET_MAX];
	struct vmb_vmm_console console;
	int wake;
	int stop; /* signalfd */
};

static int check_inputs(struct session *s)
{
	int error = vmb_vmm_boot_open(&s->boot, s->options.kernel, s->options.initrd,
				      s->options.append);

	if (!error)
		error = vmb_vmm_boot_check(&s->boot, s->options.memory_len);
	return error ? error : vmb_dev_controllers_open(&s->storage, &s->options);
}

/* Signals that end the program arrive at the main loop; those that kick processors only there. */
static int set_up_signals(struct session *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	vmb_vmm_vcpu_signals();
	s->stop = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->stop >= 0 && s->wake >= 0)
		return 0;
	vmb_dev_report("signals: %s", strerror(errno));
	return -errno;
}

static uint16_t version_part(uint32_t version, bool major)
{
	return major ? version >> 16 : version & 0xFFFF;
}

/* What a summary or a test can rest on: what both ends agreed on, and how much went over the bus. */
static void report_stats(const struct session *s, const struct vmb_dev_bus *bus)
{
	const struct vmb_host_server_counters *messages = &bus->server.counters;
	uint16_t storage = vmb_dev_controllers_version(&s->storage);

	vmb_dev_report("stats: negotiated VMBus %u.%u, storage %u.%u",
		       version_part(bus->version, true), version_part(bus->version, false),
		       storage >> 8, storage & 0xFF);
	vmb_dev_report("stats: messages: %llu in, %llu out, %llu unknown, %llu malformed, "
		       "%llu misplaced",
		       (unsigned long long)messages->messages_in,
		       (unsigned long long)messages->messages_out,
		       (unsigned long long)messages->unknown,
		       (unsigned long long)messages->malformed,
		       (unsigned long long)messages->misplaced);
	vmb_dev_doorbell_report(&bus->doorbell);
	vmb_dev_controllers_report(&s->storage);
	for (uint32_t i = 0; i < s->options.net_count; i++)
		vmb_dev_network_report(s->networks[i]);
}

/* What is no good about a backend is found before the machine starts, and before anything is created. */
static int open_networks(struct session *s)
{
	int error = 0;

	for (uint32_t i = 0; i < s->options.net_count && !error; i++)
		error = vmb_dev_network_open(&s->networks[i], &s->options.nets[i], i);
	return error;
}

static int prepare_networks(struct session *s)
{
	int error = 0;

	for (uint32_t i = 0; i < s->options.net_count && !error; i++)
		error = vmb_dev_network_prepare(s->networks[i]);
	return error;
}

static int attach_networks(struct session *s, struct vmb_dev_bus *bus)
{
	int error = 0;

	for (uint32_t i = 0; i < s->options.net_count && !error; i++)
		error = vmb_dev_network_attach(s->networks[i], bus);
	return error;
}

static void close_networks(struct session *s)
{
	for (uint32_t i = 0; i < s->options.net_count; i++)
		if (s->networks[i])
			vmb_dev_network_close(s->networks[i]);
}

static enum vmb_vmm_outcome run_once(struct session *s)
{
	struct vmb_vmm_machine *machine =
		vmb_vmm_machine_create(&s->kvm, &s->console, s->wake, &s->options, &s->boot);
	enum vmb_vmm_outcome outcome;

	if (!machine)
		return VMB_VMM_FAILURE;
	if (vmb_dev_controllers_attach(&s->storage, machine->vmbus) ||
	    attach_networks(s, machine->vmbus))
		vmb_vmm_power_end(machine, VMB_VMM_FAILURE);
	vmb_vmm_machine_start(machine);
	vmb_vmm_machine_watch(machine, s->stop);
	outcome = vmb_vmm_power_outcome(machine);
	vmb_vmm_machine_stop(machine);
	for (uint32_t i = 0; i < s->options.net_count; i++)
		vmb_dev_network_detach(s->networks[i]);
	vmb_vmm_console_flush(&s->console);
	if (s->options.stats)
		report_stats(s, machine->vmbus);
	vmb_vmm_machine_destroy(machine);
	return outcome;
}

static int exit_code(enum vmb_vmm_outcome outcome)
{
	static const int codes[] = {
		[VMB_VMM_OFF] = VMB_VMM_EXIT_OFF,
		[VMB_VMM_RESET] = VMB_VMM_EXIT_RESET,
		[VMB_VMM_CRASH] = VMB_VMM_EXIT_CRASH,
		[VMB_VMM_TRIPLE_FAULT] = VMB_VMM_EXIT_TRIPLE_FAULT,
		[VMB_VMM_FAILURE] = VMB_VMM_EXIT_FAILURE,
		[VMB_VMM_STOPPED] = VMB_VMM_EXIT_STOPPED,
	};

	return codes[outcome];
}

static enum vmb_vmm_outcome run(struct session *s)
{
	enum vmb_vmm_outcome outcome;

	do
		outcome = run_once(s);
	while (outcome == VMB_VMM_RESET && !s->options.no_reboot);
	return outcome;
}

/* What writes to files that may hold something, console and captures, comes when all else is good. */
static int run_here(struct session *s)
{
	int code = VMB_VMM_EXIT_USAGE;

	if (vmb_vmm_kvm_open(&s->kvm) || set_up_signals(s))
		return VMB_VMM_EXIT_FAILURE;
	if (open_networks(s) == 0 && vmb_dev_controllers_prepare(&s->storage) == 0 &&
	    vmb_vmm_console_open(&s->console, s->options.console, s->wake) == 0) {
		if (prepare_networks(s) == 0)
			code = exit_code(run(s));
		vmb_vmm_console_close(&s->console);
	}
	close_networks(s);
	vmb_dev_controllers_close(&s->storage);
	return code;
}

static bool use_nest(const struct vmb_vmm_options *o)
{
	char why[WHY_LEN];

	if (o->accel != VMB_VMM_ACCEL_AUTO)
		return o->accel == VMB_VMM_ACCEL_NEST;
	if (vmb_vmm_kvm_check(why, sizeof(why)) == 0)
		return false;
	vmb_dev_report("%s; running in an emulated machine that has one", why);
	return true;
}

int vmb_vmm_check(void)
{
	char why[WHY_LEN];

	if (vmb_vmm_kvm_check(why, sizeof(why)) == 0) {
		puts("/dev/kvm can run guests");
		return 0;
	}
	vmb_dev_report("%s; guests run in an emulated machine", why);
	return VMB_VMM_EXIT_FAILURE;
}

/* For a nest the disks are locked anew, by what outlives this process. */
int vmb_vmm_run(int argc, char **argv)
{
	static struct session session;

	if (vmb_vmm_options_parse(&session.options, argc, argv) || check_inputs(&session))
		return VMB_VMM_EXIT_USAGE;
	if (!use_nest(&session.options))
		return run_here(&session);
	vmb_dev_controllers_close(&session.storage);
	vmb_vmm_boot_close(&session.boot);
	return vmb_vmm_nest_run(&session.options, argc, argv);
}
