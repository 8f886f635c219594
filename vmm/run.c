// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Runs `openvmbus run`: opens everything, starts the guest, starts it again after a reset, and
 * takes everything down.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "devices/bus.h"
#include "devices/disk/engine.h"
#include "devices/report.h"
#include "devices/role.h"
#include "devices/user.h"
#include "vmm/control.h"
#include "vmm/boot_uefi.h"
#include "vmm/devices.h"
#include "vmm/guard.h"
#include "vmm/machine.h"
#include "vmm/nest.h"
#include "vmm/replay.h"
#include "vmm/run.h"

#define WHY_LEN		   128u /* bytes; the text that says why KVM cannot be used */
/* a guest that resets itself twice sooner than this is in a loop of resets */
#define SHORT_LIFE_MS	   10000
#define RESET_REST_MS	   100 /* between two of its starts: doubled each time */
#define RESET_REST_DOUBLED 6 /* at most this many times */

/* What stays when the machine starts again. */
struct session {
	struct vmb_vmm_options options;
	struct vmb_vmm_boot boot;
	struct vmb_vmm_boot_uefi uefi;
	struct vmb_vmm_kvm kvm;
	struct vmb_vmm_devices devices;
	struct vmb_vmm_console console, console_also;
	struct vmb_vmm_guard guard;
	struct vmb_vmm_control *control;
	struct vmb_dev_fault_plan faults;
	struct vmb_dev_trace trace;
	int wake;
	bool crashed, lacking; /* in one of its starts */
	bool no_system; /* its firmware found nothing to start */
	uint32_t resets, short_lives;
	int64_t started_at; /* milliseconds */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* What is opened again, or by another process, when the user has changed already. */
static int check_user(const struct vmb_vmm_options *o)
{
	int error = o->user ? vmb_dev_user_set(o->user) : 0;

	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(o->disks) && !error; i++)
		error = vmb_dev_disk_check_user(&o->disks[i]);
	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(o->ides) && !error; i++)
		error = vmb_dev_disk_check_user(&o->ides[i]);
	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(o->nvmes) && !error; i++)
		error = vmb_dev_disk_check_user(&o->nvmes[i]);
	for (uint32_t i = 0; i < o->net_count && !error; i++)
		if (o->nets[i].kind == VMB_DEV_NET_SWITCH)
			error = vmb_dev_user_reach("--net switch", o->nets[i].target, W_OK);
	if (!error && o->control)
		error = vmb_dev_user_removes("--control", o->control);
	if (!error && o->vsock)
		error = vmb_dev_user_removes("--vsock", o->vsock);
	if (!error && *o->vnc.path)
		error = vmb_dev_user_removes("--vnc", o->vnc.path);
	if (!error && o->user && o->nvram)
		error = vmb_dev_user_removes("--nvram", o->nvram);
	return error;
}

static int open_kernel(struct session *s)
{
	int error = vmb_vmm_boot_open(&s->boot, s->options.kernel, s->options.initrd,
				      s->options.append);

	return error ? error : vmb_vmm_boot_check(&s->boot, s->options.memory_len);
}

static int open_firmware(struct session *s)
{
	s->boot = (struct vmb_vmm_boot){ .kernel_fd = -1, .initrd_fd = -1, .uefi = &s->uefi };
	return vmb_vmm_boot_uefi_open(&s->uefi, &s->options);
}

/* One that is made up stays until openvmbus ends, and says that it is random. */
static void choose_uuid(uint8_t uuid[16])
{
	static const uint8_t none[16];

	if (memcmp(uuid, none, sizeof(none)) != 0 || getrandom(uuid, 16, 0) != 16)
		return;
	uuid[7] = (uuid[7] & 0x0F) | 0x40;
	uuid[8] = (uuid[8] & 0x3F) | 0x80;
}

static int check_inputs(struct session *s)
{
	int error;

	choose_uuid(s->options.uuid);
	error = s->options.firmware ? open_firmware(s) : open_kernel(s);

	if (!error && s->options.trace.path)
		error = vmb_dev_trace_check(&s->options.trace);
	vmb_dev_fault_plan_init(&s->faults);
	for (uint32_t i = 0; i < s->options.fault_count && !error; i++)
		error = vmb_dev_fault_plan_add(&s->faults, s->options.faults[i]) < 0 ? -EINVAL : 0;
	if (!error)
		error = check_user(&s->options);
	return error ? error : vmb_vmm_devices_open_disks(&s->devices, &s->options);
}

/* The signal that kicks is delivered only to processors' threads and to the console's writer. */
static int set_up_signals(struct session *s)
{
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake < 0) {
		vmb_dev_report("eventfd: %s", strerror(errno));
		return -errno;
	}
	vmb_vmm_vcpu_signals();
	return vmb_vmm_guard_start(&s->guard, s->wake);
}

static uint16_t version_part(uint32_t version, bool major)
{
	return major ? version >> 16 : version & 0xFFFF;
}

static void report_faults(const struct session *s)
{
	char text[VMB_DEV_FAULT_RULE_LEN_MAX];

	for (uint32_t i = 0; i < s->faults.count; i++) {
		const struct vmb_dev_fault_rule *r = &s->faults.rules[i];

		vmb_dev_fault_plan_text(r, text, sizeof(text));
		vmb_dev_report("stats: fault %s: struck %llu of %llu times", text,
			       (unsigned long long)r->done, (unsigned long long)r->met);
	}
}

/* The statistics: what both ends agreed on, and how much went over the bus. */
static void report_stats(const struct session *s, const struct vmb_dev_bus *bus)
{
	const struct vmb_host_server_counters *messages = &bus->server.counters;
	uint16_t storage = vmb_vmm_devices_storage_version(&s->devices);

	vmb_dev_report("stats: negotiated VMBus %u.%u, storage %u.%u",
		       version_part(bus->version, true), version_part(bus->version, false),
		       storage >> 8, storage & 0xFF);
	if (s->resets)
		vmb_dev_report("stats: %u resets; of the last start:", s->resets);
	vmb_dev_report("stats: messages: %llu in, %llu out, %llu unknown, %llu malformed, "
		       "%llu misplaced",
		       (unsigned long long)messages->messages_in,
		       (unsigned long long)messages->messages_out,
		       (unsigned long long)messages->unknown,
		       (unsigned long long)messages->malformed,
		       (unsigned long long)messages->misplaced);
	report_faults(s);
	vmb_dev_doorbell_report(&bus->doorbell);
	vmb_vmm_devices_report(&s->devices);
}

/* Returns whether the machine starts again, after what the guest or the user did. */
static bool goes_on(const struct session *s, enum vmb_vmm_outcome outcome)
{
	return (outcome == VMB_VMM_RESET || outcome == VMB_VMM_TRIPLE_FAULT) &&
	       !s->options.no_reboot;
}

/*
 * A guest that reported a crash ends when it resets or powers off; with --on-crash continue a reset
 * starts it again.
 */
static enum vmb_vmm_outcome judge(struct session *s, struct vmb_vmm_machine *machine)
{
	static const char *const said[] = {
		[VMB_VMM_OFF] = "powered itself off",
		[VMB_VMM_RESET] = "reset itself",
		[VMB_VMM_TRIPLE_FAULT] = "lost its exception handlers",
	};
	enum vmb_vmm_outcome outcome = vmb_vmm_power_outcome(machine);
	const char *then = outcome < VMB_ARRAY_COUNT(said) ? said[outcome] : NULL;

	s->no_system |= machine->uefi && vmb_dev_uefi_gave_up(machine->uefi);
	s->lacking |= __atomic_load_n(&machine->lacking, __ATOMIC_SEQ_CST);
	if (!vmb_vmm_power_crashed(machine))
		return outcome;
	s->crashed = true;
	if (!then || (s->options.go_on_after_crash && goes_on(s, outcome)))
		return outcome;
	vmb_dev_report("the guest that had crashed %s", then);
	return VMB_VMM_CRASH;
}

static void rest(struct session *s, int ms)
{
	struct pollfd wake = { .fd = s->wake, .events = POLLIN };
	int64_t until = now_ms() + ms, now;

	while ((now = now_ms()) < until && !vmb_vmm_guard_is_stopped(&s->guard)) {
		poll(&wake, 1, until - now);
		if (wake.revents && read(s->wake, &(uint64_t){ 0 }, sizeof(uint64_t)) < 0)
			return;
	}
}

/* A guest that resets itself at once would keep a processor of this machine busy for ever. */
static void slow_down(struct session *s)
{
	uint32_t doubled;

	__atomic_store_n(&s->resets, s->resets + 1, __ATOMIC_RELAXED);
	s->short_lives = now_ms() - s->started_at < SHORT_LIFE_MS ? s->short_lives + 1 : 0;
	if (s->short_lives < 2)
		return;
	doubled = s->short_lives - 2;
	if (doubled == RESET_REST_DOUBLED)
		vmb_dev_report("the guest has reset itself %u times in a row within %d s of its "
			       "start: each start waits some seconds now",
			       s->short_lives, SHORT_LIFE_MS / 1000);
	rest(s, RESET_REST_MS << (doubled < RESET_REST_DOUBLED ? doubled : RESET_REST_DOUBLED));
}

/* Each step of the end is named, so that the guard can say which one hangs. */
static void stop(struct session *s, struct vmb_vmm_machine *machine)
{
	vmb_vmm_guard_waits_for(&s->guard, "the machine's processors and devices");
	vmb_vmm_machine_stop(machine);
	vmb_dev_trace_detach(machine->vmbus);
	vmb_dev_fault_plan_detach(&s->faults, machine->vmbus);
	vmb_vmm_guard_waits_for(&s->guard, "the devices");
	vmb_vmm_devices_detach(&s->devices);
}

/*
 * The statistics come after what the guest printed, once. Devices close while the console's reader
 * is waited for: a server that writes out an image and a slow reader are not added up.
 */
static void finish(struct session *s, struct vmb_vmm_machine *machine)
{
	vmb_vmm_guard_detach(&s->guard, true);
	vmb_vmm_devices_leave(&s->devices);
	vmb_vmm_guard_waits_for(&s->guard, "the console's reader");
	vmb_vmm_console_drain(&s->console);
	if (s->options.stats)
		report_stats(s, machine->vmbus);
}

static void tell_end(struct session *s, enum vmb_vmm_outcome outcome)
{
	static const char *const names[] = {
		[VMB_VMM_OFF] = "off",	       [VMB_VMM_RESET] = "reset",
		[VMB_VMM_CRASH] = "crash",     [VMB_VMM_TRIPLE_FAULT] = "triple-fault",
		[VMB_VMM_FAILURE] = "failure", [VMB_VMM_STOPPED] = "stopped",
	};

	vmb_vmm_control_event(s->control, "ended", "{s:s}", "outcome", names[outcome]);
}

/* Between two starts the old machine stands still, without a limit for that. */
static enum vmb_vmm_outcome end_machine(struct session *s, struct vmb_vmm_machine *machine)
{
	enum vmb_vmm_outcome outcome = judge(s, machine);

	vmb_vmm_guard_waits_for(&s->guard, "a command of the control socket");
	vmb_vmm_control_detach(s->control);
	tell_end(s, outcome);
	stop(s, machine);
	if (machine->uefi)
		vmb_dev_uefi_stopped(machine->uefi);
	if (goes_on(s, outcome)) {
		vmb_vmm_guard_detach(&s->guard, false);
		slow_down(s);
		if (vmb_vmm_guard_is_stopped(&s->guard))
			outcome = VMB_VMM_STOPPED;
	}
	if (!goes_on(s, outcome))
		finish(s, machine);
	vmb_vmm_machine_destroy(machine);
	return outcome;
}

static enum vmb_vmm_outcome run_once(struct session *s)
{
	struct vmb_vmm_machine *machine =
		vmb_vmm_machine_create(&s->kvm, &s->console, s->wake, &s->options, &s->boot);

	if (!machine)
		return VMB_VMM_FAILURE;
	s->started_at = now_ms();
	vmb_vmm_guard_attach(&s->guard, machine, vmb_vmm_devices_services(&s->devices));
	if (vmb_dev_trace_is_on(&s->trace))
		vmb_dev_trace_attach(&s->trace, machine->vmbus);
	if (vmb_vmm_devices_attach(&s->devices, machine->vmbus))
		vmb_vmm_power_end(machine, VMB_VMM_FAILURE);
	machine->control = s->control;
	machine->faults = &s->faults;
	if (s->faults.count || s->control)
		vmb_dev_fault_plan_attach(&s->faults, machine->vmbus);
	vmb_vmm_machine_start(machine);
	vmb_vmm_control_attach(s->control, machine);
	vmb_vmm_control_event(s->control, "started", NULL);
	vmb_vmm_machine_watch(machine);
	return end_machine(s, machine);
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
	while (goes_on(s, outcome));
	return outcome;
}

/* A run in which the guest lacked one of its devices is no success. */
static int run_to_end(struct session *s)
{
	enum vmb_vmm_outcome outcome = run(s);
	int code = exit_code(outcome);

	if (s->no_system) {
		vmb_dev_report("the firmware found no boot device: no disk or DVD that it can "
			       "start a system from");
		return VMB_VMM_EXIT_NO_SYSTEM;
	}
	if (s->crashed && code == VMB_VMM_EXIT_OFF)
		code = VMB_VMM_EXIT_CRASH;
	if (!s->lacking || code != VMB_VMM_EXIT_OFF)
		return code;
	vmb_dev_report("the guest ran without a device that could not be started; see above");
	return VMB_VMM_EXIT_FAILURE;
}

static int start_trace(struct session *s)
{
	int error;

	if (!s->options.trace.path)
		return 0;
	error = vmb_dev_trace_start(&s->trace, &s->options.trace);
	if (!error)
		vmb_vmm_replay_describe(&s->trace, &s->options, &s->devices);
	return error;
}

static int start_variables(struct session *s)
{
	return s->boot.uefi ? vmb_dev_uefi_start(&s->uefi.device) : 0;
}

static int open_consoles(struct session *s)
{
	int error = vmb_vmm_console_open(&s->console, s->options.console, s->wake);

	if (error || s->options.console_count < 2)
		return error;
	s->console.also = &s->console_also;
	return vmb_vmm_console_open(&s->console_also, s->options.console_also, s->wake);
}

static int start_consoles(struct session *s)
{
	int error = vmb_vmm_console_start(&s->console);

	return error || !s->console.also ? error : vmb_vmm_console_start(s->console.also);
}

/* Everything is open: from here on this process can do no more than its guest needs. */
static int run_confined(struct session *s)
{
	int error = vmb_dev_user_become();

	if (error) {
		vmb_dev_report("--user %s: %s", s->options.user, strerror(-error));
		return VMB_VMM_EXIT_FAILURE;
	}
	vmb_dev_role_enter(VMB_DEV_ROLE_MAIN);
	return run_to_end(s);
}

/*
 * Checks come first, so that a bad option or file leaves nothing behind. After something was
 * started, an error has the exit code of a failure. Steps that overwrite files, console and
 * captures, come last.
 */
static int run_here(struct session *s)
{
	const struct vmb_vmm_control_config control = { &s->options, &s->devices, &s->resets,
							&s->trace, &s->faults };
	int code = VMB_VMM_EXIT_FAILURE;

	vmb_dev_trace_init(&s->trace);
	if (vmb_vmm_confine_begin(s->options.seccomp) || vmb_vmm_kvm_open(&s->kvm) ||
	    set_up_signals(s))
		return VMB_VMM_EXIT_FAILURE;
	if (open_consoles(s) == 0 && vmb_vmm_devices_open(&s->devices, &s->options) == 0 &&
	    vmb_vmm_devices_prepare_disks(&s->devices) == 0 &&
	    vmb_vmm_control_open(&s->control, s->options.control, &control) == 0 &&
	    start_consoles(s) == 0) {
		s->devices.begun = true;
		if (vmb_vmm_devices_prepare(&s->devices) == 0 && start_trace(s) == 0 &&
		    start_variables(s) == 0 && vmb_vmm_control_start(s->control) == 0)
			code = run_confined(s);
	} else if (!s->devices.begun) {
		code = VMB_VMM_EXIT_USAGE;
	}
	vmb_vmm_guard_detach(&s->guard, true);
	vmb_vmm_devices_leave(&s->devices);
	vmb_vmm_guard_waits_for(&s->guard, "the console's reader");
	vmb_vmm_console_close(&s->console);
	vmb_vmm_guard_waits_for(&s->guard, "the control socket");
	vmb_vmm_control_close(s->control);
	vmb_vmm_guard_waits_for(&s->guard, "the devices");
	vmb_vmm_devices_close(&s->devices);
	vmb_vmm_guard_waits_for(&s->guard, "the firmware's variables");
	vmb_vmm_boot_uefi_close(&s->uefi);
	vmb_vmm_guard_waits_for(&s->guard, "the trace's file");
	vmb_dev_trace_destroy(&s->trace);
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

static void report_engine(void)
{
	const char *why = vmb_dev_disk_engine_refused();

	if (why)
		vmb_dev_report("io_uring: %s; threads serve the disks, more slowly", why);
}

int vmb_vmm_check(void)
{
	char why[WHY_LEN];

	report_engine();
	if (vmb_vmm_kvm_check(why, sizeof(why)) == 0) {
		puts("/dev/kvm can run guests");
		return 0;
	}
	vmb_dev_report("%s; guests run in an emulated machine", why);
	return VMB_VMM_EXIT_FAILURE;
}

/* One line, which makes the same faults again. */
static void announce_faults(struct session *s)
{
	char line[VMB_DEV_FAULT_RULE_MAX * (VMB_DEV_FAULT_RULE_LEN_MAX + 9)] = "";
	struct vmb_dev_fault_rule rule;
	size_t len = 0;

	for (uint32_t i = 0; vmb_dev_fault_plan_look(&s->faults, i, &rule); i++) {
		len += snprintf(line + len, sizeof(line) - len, " --fault ");
		vmb_dev_fault_plan_text(&rule, line + len, sizeof(line) - len);
		len += strlen(line + len);
	}
	if (len)
		vmb_dev_report("faults:%s", line);
}

/* For a nest the disks are locked anew, by what outlives this process. */
int vmb_vmm_run(int argc, char **argv)
{
	static struct session session;

	if (vmb_vmm_options_parse(&session.options, argc, argv) || check_inputs(&session))
		return VMB_VMM_EXIT_USAGE;
	if (!use_nest(&session.options)) {
		report_engine();
		announce_faults(&session);
		return run_here(&session);
	}
	vmb_vmm_devices_close(&session.devices);
	vmb_vmm_boot_close(&session.boot);
	vmb_vmm_boot_uefi_close(&session.uefi);
	return vmb_vmm_nest_run(&session.options, argc, argv);
}
