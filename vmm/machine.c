// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Makes one machine on KVM out of its parts, and implements the table of devices/machine.h for the
 * devices.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "devices/bus.h"
#include "devices/fault_plan.h"
#include "devices/report.h"
#include "vmm/acpi.h"
#include "vmm/boot_uefi.h"
#include "vmm/control.h"
#include "vmm/machine.h"
#include "vmm/smbios.h"

/* While a message waits for an occupied slot, the slot is polled this often, in milliseconds. */
#define RETRY_MS 10

void vmb_vmm_machine_wake(struct vmb_vmm_machine *machine)
{
	uint64_t one = 1;

	/* A full counter wakes as well. */
	if (write(machine->wake, &one, sizeof(one)) < 0)
		return;
}

/* What the devices ask of it */

static struct vmb_vmm_machine *machine_of(struct vmb_dev_machine *dev)
{
	return VMB_CONTAINER_OF(dev, struct vmb_vmm_machine, dev);
}

static int ring_doorbell(struct vmb_dev_machine *dev, uint32_t connection_id,
			 struct vmb_dev_bell *bell, bool on)
{
	return vmb_vmm_kvm_doorbell(machine_of(dev)->kvm, connection_id, bell->fd, on);
}

static void signal_vp(struct vmb_dev_machine *dev, uint32_t vp, uint32_t flag)
{
	vmb_vmm_synic_signal(&machine_of(dev)->vcpus[vp].synic, flag);
}

static void hand_over(struct vmb_vmm_vcpu *v)
{
	__atomic_store_n(&v->deliver, 1, __ATOMIC_SEQ_CST);
	vmb_vmm_vcpu_kick(v);
}

/*
 * Only a processor's own thread may write its message (see vmm/synic.h), so a caller on another
 * thread kicks that processor. If the slot is occupied, the message waits for the acknowledgement,
 * which the main thread notices.
 */
static int post_message(struct vmb_dev_machine *dev, uint32_t vp, uint32_t sint,
			const void *payload, uint32_t len)
{
	struct vmb_vmm_machine *machine = machine_of(dev);
	struct vmb_vmm_vcpu *v = &machine->vcpus[vp];
	int error;

	if (!vmb_vmm_vcpu_is_current(v)) {
		hand_over(v);
		return VMB_EAGAIN;
	}
	error = vmb_vmm_synic_post(&v->synic, sint, payload, len);
	if (error == VMB_EAGAIN) {
		__atomic_store_n(&machine->waiting_vp, vp, __ATOMIC_SEQ_CST);
		__atomic_store_n(&machine->waiting, true, __ATOMIC_SEQ_CST);
		vmb_vmm_machine_wake(machine);
	}
	return error;
}

static void retry_message(struct vmb_vmm_machine *machine)
{
	if (__atomic_exchange_n(&machine->waiting, false, __ATOMIC_SEQ_CST))
		hand_over(&machine->vcpus[__atomic_load_n(&machine->waiting_vp, __ATOMIC_SEQ_CST)]);
}

/* Only the thread of the processor that posts may ask for its registers. */
static bool wants_monitors(struct vmb_dev_machine *dev)
{
	struct vmb_vmm_machine *machine = machine_of(dev);

	for (uint32_t i = 0; i < dev->vp_count; i++)
		if (vmb_vmm_vcpu_is_current(&machine->vcpus[i]))
			return vmb_vmm_vcpu_wants_monitors(&machine->vcpus[i]);
	return false;
}

static void lacks(struct vmb_dev_machine *dev)
{
	vmb_vmm_power_lacks(machine_of(dev));
}

static int grow(struct vmb_dev_machine *dev, uint64_t len)
{
	const struct vmb_dev_memory *m = &dev->memory;

	return vmb_vmm_kvm_grow(machine_of(dev)->kvm, &m->regions[m->region_count - 1], len);
}

static int map(struct vmb_dev_machine *dev, uint64_t gpa, void *base, uint64_t len)
{
	if (!vmb_vmm_acpi_is_window(&dev->memory, gpa, len))
		return -EINVAL;
	return vmb_vmm_kvm_map(machine_of(dev)->kvm, gpa, base, len);
}

static uint64_t reference(struct vmb_dev_machine *dev)
{
	return vmb_vmm_kvm_reference(machine_of(dev)->kvm);
}

static void heartbeat(struct vmb_dev_machine *dev, bool lost, uint32_t seconds)
{
	vmb_vmm_control_event(machine_of(dev)->control, "heartbeat", "{s:b, s:i}", "lost", lost,
			      "seconds", (int)seconds);
}

/* A guest that reported a crash stands still by right; vmm/watch.c ends it. */
static void hung(struct vmb_dev_machine *dev)
{
	struct vmb_vmm_machine *machine = machine_of(dev);

	if (vmb_vmm_power_crashed(machine))
		return;
	vmb_dev_report("--watchdog: the guest is reset");
	vmb_vmm_power_end(machine, VMB_VMM_RESET);
}

static void interrupt(struct vmb_dev_machine *dev, uint32_t vp, uint8_t vector)
{
	vmb_vmm_kvm_message(machine_of(dev)->kvm, vp, vector);
}

static void fail(struct vmb_dev_machine *dev)
{
	vmb_vmm_power_end(machine_of(dev), VMB_VMM_FAILURE);
}

static const struct vmb_dev_machine_ops dev_ops = { .doorbell = ring_doorbell,
						    .signal = signal_vp,
						    .post = post_message,
						    .wants_monitors = wants_monitors,
						    .lacks = lacks,
						    .grow = grow,
						    .map = map,
						    .reference = reference,
						    .heartbeat = heartbeat,
						    .hung = hung,
						    .interrupt = interrupt,
						    .fail = fail };

/* Life */

static int create_vcpus(struct vmb_vmm_machine *machine, uint32_t count)
{
	int error = 0;

	machine->dev.vp_count = count;
	for (uint32_t i = 0; i < count; i++) {
		machine->vcpus[i].fd = machine->vcpus[i].synic.irq = -1;
		machine->vcpus[i].run = (void *)-1;
	}
	for (uint32_t i = 0; i < count && !error; i++)
		error = vmb_vmm_vcpu_create(&machine->vcpus[i], machine, i);
	/*
	 * Routes only now: KVM notes who acknowledges while it processes them for an active SynIC.
	 */
	if (!error)
		error = vmb_vmm_kvm_route(machine->kvm, count);
	for (uint32_t i = 0; i < count && !error; i++)
		error = vmb_vmm_vcpu_connect(&machine->vcpus[i], machine->ack);
	return error;
}

static int write_tables(struct vmb_vmm_machine *machine)
{
	if (vmb_vmm_acpi_write(&machine->dev.memory, machine->dev.vp_count) &&
	    vmb_vmm_smbios_write(&machine->dev.memory, machine->options->uuid,
				 machine->options->asset_tag))
		return 0;
	vmb_dev_report("the ACPI or SMBIOS tables do not fit");
	return -EOVERFLOW;
}

/* Hyper-V's own firmware has tables of its own, and to it this is free memory; ours has none. */
static int load_firmware(struct vmb_vmm_machine *machine, struct vmb_vmm_boot_uefi *uefi)
{
	struct vmb_vmm_boot_state state;
	int error =
		vmb_vmm_boot_uefi_load(uefi, &machine->dev.memory, machine->dev.vp_count, &state);

	if (!error)
		error = write_tables(machine);
	return error ? error : vmb_vmm_vcpu_boot(&machine->vcpus[0], &state);
}

static int write_vector(struct vmb_vmm_machine *machine)
{
	if (vmb_vmm_power_write_vector(&machine->dev.memory))
		return 0;
	vmb_dev_report("the code for a reset does not fit");
	return -EOVERFLOW;
}

static int load_guest(struct vmb_vmm_machine *machine, const struct vmb_vmm_boot *boot)
{
	struct vmb_vmm_boot_state state;
	int error;

	if (boot->uefi)
		return load_firmware(machine, boot->uefi);
	error = vmb_vmm_boot_load(boot, &machine->dev.memory, &state);
	if (!error)
		error = write_tables(machine);
	if (!error)
		error = write_vector(machine);
	return error ? error : vmb_vmm_vcpu_boot(&machine->vcpus[0], &state);
}

static int create_bus(struct vmb_vmm_machine *machine)
{
	const struct vmb_dev_bus_config config = { .machine = &machine->dev,
						   .version_max = machine->generation.bus,
						   .monitors = machine->monitor };

	machine->vmbus = vmb_dev_bus_create(&config);
	return machine->vmbus ? 0 : -ENOMEM;
}

static int create_parts(struct vmb_vmm_machine *machine, const struct vmb_vmm_options *o)
{
	int error = vmb_vmm_memory_create(&machine->dev.memory, o->memory_len, o->memory_max);

	if (error) {
		vmb_dev_report("--memory: %s; give less", strerror(-error));
		return error;
	}
	error = vmb_vmm_kvm_create(machine->kvm, &machine->dev.memory);
	if (error)
		return error;
	vmb_vmm_serial_create(&machine->serial, machine);
	error = create_vcpus(machine, o->cpus);
	if (error)
		return error;
	return create_bus(machine);
}

struct vmb_vmm_machine *vmb_vmm_machine_create(struct vmb_vmm_kvm *kvm,
					       struct vmb_vmm_console *console, int wake,
					       const struct vmb_vmm_options *o,
					       const struct vmb_vmm_boot *boot)
{
	struct vmb_vmm_machine *machine = calloc(1, sizeof(*machine));
	int error;

	if (!machine)
		return NULL;
	vmb_vmm_pause_init(&machine->pause);
	machine->dev.ops = &dev_ops;
	machine->kvm = kvm;
	machine->options = o;
	machine->uefi = boot->uefi ? &boot->uefi->device : NULL;
	machine->console = console;
	machine->generation = o->generation;
	machine->monitor = o->monitor;
	machine->wake = wake;
	machine->ack = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	error = machine->ack < 0 ? -errno : create_parts(machine, o);
	if (!error)
		error = load_guest(machine, boot);
	if (!error)
		return machine;
	vmb_vmm_machine_destroy(machine);
	return NULL;
}

int vmb_vmm_machine_start(struct vmb_vmm_machine *machine)
{
	int error = 0;

	vmb_vmm_watch_start(machine);
	for (uint32_t i = 0; i < machine->dev.vp_count && !error; i++)
		error = vmb_vmm_vcpu_start(&machine->vcpus[i]);
	if (error)
		vmb_vmm_power_end(machine, VMB_VMM_FAILURE);
	return error;
}

static void drain(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Rules that were removed may have left something that waits. */
static bool is_spoiled(const struct vmb_vmm_machine *machine)
{
	return machine->faults && machine->faults->last_id;
}

/*
 * How long to sleep: a message that waits is tried again at its time, however often we are woken
 * before.
 */
static int sleep_ms(const struct vmb_vmm_machine *machine, bool waiting, int64_t retry_at)
{
	int64_t left = retry_at - now_ms();
	int most = is_spoiled(machine) ? VMB_DEV_FAULT_TICK_MS : VMB_VMM_WATCH_TICK_MS;

	if (!waiting)
		return most;
	if (left > most)
		return most;
	return left > 0 ? (int)left : 0;
}

/* Faults that delay something count in ticks. */
static void tick(struct vmb_vmm_machine *machine, int64_t *tick_at)
{
	if (!is_spoiled(machine) || now_ms() < *tick_at)
		return;
	*tick_at = now_ms() + VMB_DEV_FAULT_TICK_MS;
	vmb_dev_fault_tick(machine->vmbus);
}

static struct pollfd to_read(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine,
			     int *timeout)
{
	return (struct pollfd){ .fd = c ? vmb_vmm_console_poll_fd(c, machine, timeout) : -1,
				.events = POLLIN };
}

/*
 * KVM signals every acknowledgement, also those of channel interrupts, so the descriptor is looked
 * at only while a message waits for one.
 */
void vmb_vmm_machine_watch(struct vmb_vmm_machine *machine)
{
	int64_t retry_at = now_ms() + RETRY_MS, tick_at = 0;
	struct vmb_vmm_console *also = machine->console->also;
	struct pollfd fds[4];
	bool waiting;
	int timeout;

	while (vmb_vmm_power_outcome(machine) == VMB_VMM_RUNNING) {
		waiting = __atomic_load_n(&machine->waiting, __ATOMIC_SEQ_CST);
		fds[0] = (struct pollfd){ .fd = machine->wake, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = waiting ? machine->ack : -1, .events = POLLIN };
		timeout = sleep_ms(machine, waiting, retry_at);
		fds[2] = to_read(machine->console, machine, &timeout);
		fds[3] = to_read(also, machine, &timeout);
		if (poll(fds, VMB_ARRAY_COUNT(fds), timeout) < 0)
			continue;
		if (fds[0].revents)
			drain(machine->wake);
		if (fds[1].revents)
			drain(machine->ack);
		if (waiting && (fds[1].revents || now_ms() >= retry_at)) {
			retry_message(machine);
			retry_at = now_ms() + RETRY_MS;
		}
		if (fds[2].revents)
			vmb_vmm_console_input(machine->console, machine);
		if (fds[3].revents)
			vmb_vmm_console_input(also, machine);
		vmb_vmm_console_watch(machine->console, machine);
		tick(machine, &tick_at);
		vmb_vmm_watch_look(machine);
		vmb_dev_report_offer();
	}
}

void vmb_vmm_machine_stop(struct vmb_vmm_machine *machine)
{
	for (uint32_t i = 0; i < machine->dev.vp_count; i++)
		vmb_vmm_vcpu_join(&machine->vcpus[i]);
	vmb_dev_bus_stop(machine->vmbus);
}

void vmb_vmm_machine_destroy(struct vmb_vmm_machine *machine)
{
	if (machine->vmbus)
		vmb_dev_bus_destroy(machine->vmbus);
	for (uint32_t i = 0; i < machine->dev.vp_count; i++)
		vmb_vmm_vcpu_destroy(&machine->vcpus[i]);
	vmb_vmm_kvm_destroy(machine->kvm);
	if (machine->serial.machine)
		vmb_vmm_serial_destroy(&machine->serial);
	vmb_vmm_memory_destroy(&machine->dev.memory);
	if (machine->ack >= 0)
		close(machine->ack);
	vmb_vmm_pause_destroy(&machine->pause);
	free(machine);
}
