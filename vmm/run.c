// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "vmm/devices.h"
#include "vmm/machine.h"
#include "vmm/nest.h"
#include "devices/report.h"
#include "vmm/run.h"
#include "devices/bus.h"

#define WHY_LEN 128u /* bytes, of why there is no KVM for us */

/* What stays the same over resets. */
struct session {
	struct vmb_vmm_options options;
	struct vmb_vmm_boot boot;
	struct vmb_vmm_kvm kvm;
	struct vmb_vmm_devices devices;
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
	return error ? error : vmb_vmm_devices_open_disks(&s->devices, &s->options);
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
	uint16_t storage = vmb_vmm_devices_storage_version(&s->devices);

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
	vmb_vmm_devices_report(&s->devices);
}

static enum vmb_vmm_outcome run_once(struct session *s)
{
	struct vmb_vmm_machine *machine =
		vmb_vmm_machine_create(&s->kvm, &s->console, s->wake, &s->options, &s->boot);
	enum vmb_vmm_outcome outcome;

	if (!machine)
		return VMB_VMM_FAILURE;
	if (vmb_vmm_devices_attach(&s->devices, machine->vmbus))
		vmb_vmm_power_end(machine, VMB_VMM_FAILURE);
	vmb_vmm_machine_start(machine);
	vmb_vmm_machine_watch(machine, s->stop);
	outcome = vmb_vmm_power_outcome(machine);
	vmb_vmm_machine_stop(machine);
	vmb_vmm_devices_detach(&s->devices);
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

/* What is no good is found before anything is created; what writes to files comes when all is good. */
static int run_here(struct session *s)
{
	int code = VMB_VMM_EXIT_USAGE;

	if (vmb_vmm_kvm_open(&s->kvm) || set_up_signals(s))
		return VMB_VMM_EXIT_FAILURE;
	if (vmb_vmm_devices_open(&s->devices, &s->options) == 0 &&
	    vmb_vmm_console_open(&s->console, s->options.console, s->wake) == 0) {
		if (vmb_vmm_devices_prepare(&s->devices) == 0)
			code = exit_code(run(s));
		vmb_vmm_console_close(&s->console);
	}
	vmb_vmm_devices_close(&s->devices);
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

/* The disks stay open and locked here while the nest works on them. */
int vmb_vmm_run(int argc, char **argv)
{
	static struct session session;
	int code;

	if (vmb_vmm_options_parse(&session.options, argc, argv) || check_inputs(&session))
		return VMB_VMM_EXIT_USAGE;
	if (!use_nest(&session.options))
		return run_here(&session);
	code = vmb_vmm_nest_run(&session.options, argc, argv);
	vmb_vmm_devices_close(&session.devices);
	vmb_vmm_boot_close(&session.boot);
	return code;
}
