// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Runs one virtual processor on a thread: enters the guest and handles its exits. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/bus.h"
#include "devices/report.h"
#include "devices/role.h"
#include "vmm/cpuid.h"
#include "vmm/crash.h"
#include "vmm/hypercall.h"
#include "vmm/machine.h"
#include "vmm/pio.h"
#include "vmm/vcpu.h"

/* Open-source guests of this kind find only disks and cards with a monitor id. */
#define OS_ID_SHIFT	      48
#define OS_ID_WITH_MONITORS   0x8201u

#define MSR_MTRR_DEFAULT      0x2FFu
#define MTRR_ENABLE	      0x800u
#define MTRR_WRITE_BACK	      6u
#define MSR_MTRR_BASE_0	      0x200u
#define MSR_MTRR_MASK_0	      0x201u
#define MTRR_ENABLE_FIXED     0x400u
#define MTRR_FIXED_WRITE_BACK 0x0606060606060606ull

/* The processor whose thread this is. */
static __thread struct vmb_vmm_vcpu *current;

bool vmb_vmm_vcpu_is_current(const struct vmb_vmm_vcpu *v)
{
	return v == current;
}

static int failed(const struct vmb_vmm_vcpu *v, const char *what)
{
	int error = -errno;

	vmb_dev_report("KVM: processor %u: %s: %s", v->index, what, strerror(errno));
	return error;
}

/* KVM's list of registers ends in an array of any length; this one has room for one. */
struct msr_list {
	uint64_t words[(sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)) / 8];
};

static int set_msr(struct vmb_vmm_vcpu *v, uint32_t number, uint64_t value)
{
	struct msr_list list = { { 0 } };
	struct kvm_msrs *msrs = (void *)&list;

	msrs->nmsrs = 1;
	msrs->entries[0].index = number;
	msrs->entries[0].data = value;
	return ioctl(v->fd, KVM_SET_MSRS, msrs) == 1 ? 0 : failed(v, "set a register");
}

/* SCONTROL is 1 at reset although the specification says 0: firmware relies on it. */
static int enable_synic(struct vmb_vmm_vcpu *v)
{
	struct kvm_enable_cap synic = { .cap = KVM_CAP_HYPERV_SYNIC2 };
	int error;

	if (ioctl(v->fd, KVM_ENABLE_CAP, &synic))
		return failed(v, "enable SynIC");
	error = set_msr(v, VMB_MSR_VP_INDEX, v->index);
	return error ? error : set_msr(v, VMB_MSR_SCONTROL, VMB_MSR_ENABLE);
}

static int set_fixed_mtrrs(struct vmb_vmm_vcpu *v)
{
	static const uint32_t numbers[] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26A,
					    0x26B, 0x26C, 0x26D, 0x26E, 0x26F };
	int error = 0;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(numbers) && !error; i++)
		error = set_msr(v, numbers[i], MTRR_FIXED_WRITE_BACK);
	return error;
}

/* All is cached but what lies between RAM and 4 GiB. The firmware is told that this is done. */
static int enable_cache_for_firmware(struct vmb_vmm_vcpu *v)
{
	uint64_t all = (1ull << vmb_vmm_cpuid_address_bits(v->machine->kvm)) - 1;
	int error = set_fixed_mtrrs(v);

	if (!error)
		error = set_msr(v, MSR_MTRR_BASE_0, VMB_VMM_LOW_MAX);
	if (!error)
		error = set_msr(v, MSR_MTRR_MASK_0,
				(all & ~(VMB_VMM_HIGH_BASE - VMB_VMM_LOW_MAX - 1)) | MTRR_ENABLE);
	return error ? error :
		       set_msr(v, MSR_MTRR_DEFAULT,
			       MTRR_ENABLE | MTRR_ENABLE_FIXED | MTRR_WRITE_BACK);
}

/* As firmware leaves it: all memory is cached. At reset it is not, and a guest may believe that. */
static int enable_cache(struct vmb_vmm_vcpu *v)
{
	if (v->machine->uefi)
		return enable_cache_for_firmware(v);
	return set_msr(v, MSR_MTRR_DEFAULT, MTRR_ENABLE | MTRR_WRITE_BACK);
}

int vmb_vmm_vcpu_create(struct vmb_vmm_vcpu *v, struct vmb_vmm_machine *machine, uint32_t index)
{
	int error;

	memset(v, 0, sizeof(*v));
	pthread_mutex_init(&v->lock, NULL);
	v->machine = machine;
	v->index = index;
	v->synic.irq = -1;
	v->run = MAP_FAILED;
	v->fd = ioctl(machine->kvm->vm, KVM_CREATE_VCPU, (unsigned long)index);
	if (v->fd < 0)
		return failed(v, "create");
	v->run = mmap(NULL, machine->kvm->run_len, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED)
		return failed(v, "map its page");
	error = vmb_vmm_cpuid_set(machine->kvm, &machine->generation, v->fd, index,
				  machine->dev.vp_count);
	if (!error)
		error = enable_synic(v);
	return error ? error : enable_cache(v);
}

int vmb_vmm_vcpu_connect(struct vmb_vmm_vcpu *v, int ack)
{
	struct vmb_vmm_machine *machine = v->machine;

	return vmb_vmm_synic_create(&v->synic, machine->kvm, &machine->dev.memory, v->index, ack);
}

#define CR0_PE	     0x1u
#define CR0_ET	     0x10u
#define CR0_PG	     0x80000000u
#define CR0_MP_NE    0x22u
#define CR4_PAE	     0x20u
#define CR4_FIRMWARE 0x640u /* machine checks, FXSAVE, SSE exceptions */
#define EFER_LME_LMA 0x500u
#define EFER_NXE     0x800u
#define CODE_SEGMENT 0x10u
#define DATA_SEGMENT 0x18u
#define TASK_SEGMENT 0x20u

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type, bool code64)
{
	return (struct kvm_segment){
		.limit = 0xFFFFFFFF,
		.selector = selector,
		.type = type,
		.present = 1,
		.db = !code64,
		.s = 1,
		.l = code64,
		.g = 1,
	};
}

/*
 * A GDT that says what the segment registers hold, for a guest that loads them before it has its
 * own.
 */
static void fill_gdt(struct vmb_vmm_machine *machine, struct kvm_sregs *sregs,
		     const struct vmb_vmm_boot_state *state)
{
	const uint64_t gdt[] = {
		0,
		0,
		state->long_mode ? 0x00AF9B000000FFFFull : 0x00CF9B000000FFFFull,
		0x00CF93000000FFFFull,
		0x00008B0000000067ull,
	};

	vmb_dev_memory_write(&machine->dev.memory, state->gdt_gpa, gdt, sizeof(gdt));
	sregs->gdt.base = state->gdt_gpa;
	sregs->gdt.limit = sizeof(gdt) - 1;
}

int vmb_vmm_vcpu_boot(struct vmb_vmm_vcpu *v, const struct vmb_vmm_boot_state *state)
{
	/* A guest may push before it has a stack of its own: below the tables there is room. */
	struct kvm_regs regs = { .rip = state->rip,
				 .rsi = state->rsi,
				 .rbx = state->rbx,
				 .rbp = state->rbp,
				 .rsp = state->gdt_gpa,
				 .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(v->fd, KVM_GET_SREGS, &sregs))
		return failed(v, "get registers");
	fill_gdt(v->machine, &sregs, state);
	sregs.cs = flat_segment(CODE_SEGMENT, 0xB, state->long_mode);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss =
		flat_segment(DATA_SEGMENT, 0x3, false);
	sregs.tr = (struct kvm_segment){
		.limit = 0x67, .selector = TASK_SEGMENT, .type = 0xB, .present = 1
	};
	sregs.idt.limit = 0;
	sregs.cr0 = CR0_PE | CR0_ET;
	if (state->long_mode) {
		sregs.cr0 |= CR0_PG;
		sregs.cr3 = state->tables_gpa;
		sregs.cr4 = CR4_PAE;
		sregs.efer = EFER_LME_LMA;
	}
	if (state->firmware) {
		sregs.cr0 |= CR0_MP_NE;
		sregs.cr4 |= CR4_FIRMWARE;
		sregs.efer |= EFER_NXE;
	}
	if (ioctl(v->fd, KVM_SET_SREGS, &sregs) || ioctl(v->fd, KVM_SET_REGS, &regs))
		return failed(v, "set registers");
	return 0;
}

static void exit_io(struct vmb_vmm_vcpu *v)
{
	struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size)
		vmb_vmm_pio_access(v->machine, run->io.port, data, run->io.size,
				   run->io.direction == KVM_EXIT_IO_OUT);
}

/* Where there is no device, reads return all ones, as on an empty bus. */
static void exit_mmio(struct vmb_vmm_vcpu *v)
{
	struct kvm_run *run = v->run;
	uint8_t data[sizeof(run->mmio.data)];
	bool is_write = run->mmio.is_write;

	memcpy(data, run->mmio.data, sizeof(data));
	if (!vmb_dev_bus_access(v->machine->vmbus, run->mmio.phys_addr, data, run->mmio.len,
				is_write))
		memset(data, 0xFF, sizeof(data));
	if (!is_write)
		memcpy(run->mmio.data, data, sizeof(data));
}

static void exit_hyperv(struct vmb_vmm_vcpu *v)
{
	if (v->run->hyperv.type == KVM_EXIT_HYPERV_SYNIC) {
		vmb_vmm_synic_exit(&v->synic, &v->run->hyperv);
		vmb_dev_bus_deliver(v->machine->vmbus);
	} else if (v->run->hyperv.type == KVM_EXIT_HYPERV_HCALL) {
		vmb_vmm_hypercall_exit(v, &v->run->hyperv);
	}
}

bool vmb_vmm_vcpu_wants_monitors(const struct vmb_vmm_vcpu *v)
{
	struct msr_list list = { { 0 } };
	struct kvm_msrs *msrs = (void *)&list;

	msrs->nmsrs = 1;
	msrs->entries[0].index = VMB_MSR_GUEST_OS_ID;
	return ioctl(v->fd, KVM_GET_MSRS, msrs) == 1 &&
	       msrs->entries[0].data >> OS_ID_SHIFT == OS_ID_WITH_MONITORS;
}

static void exit_system_event(struct vmb_vmm_vcpu *v)
{
	if (v->run->system_event.type == KVM_SYSTEM_EVENT_CRASH) {
		vmb_vmm_crash_report(v, 0);
	} else if (v->run->system_event.type == KVM_SYSTEM_EVENT_RESET) {
		vmb_vmm_power_end(v->machine, VMB_VMM_RESET);
	} else {
		vmb_vmm_power_end(v->machine, VMB_VMM_OFF);
	}
}

static void report_place(struct vmb_vmm_vcpu *v, const char *what, uint32_t detail)
{
	struct kvm_regs regs = { 0 };

	ioctl(v->fd, KVM_GET_REGS, &regs);
	vmb_dev_report("processor %u: %s (%u), instruction at %#llx", v->index, what, detail,
		       (unsigned long long)regs.rip);
}

/* Where it happened is not known: KVM may have reset the processor already. */
static void exit_shutdown(struct vmb_vmm_vcpu *v)
{
	vmb_dev_report("processor %u: triple fault: the guest has lost its exception handlers",
		       v->index);
	vmb_vmm_power_end(v->machine, VMB_VMM_TRIPLE_FAULT);
}

static void exit_failure(struct vmb_vmm_vcpu *v)
{
	report_place(v, "KVM cannot go on", v->run->exit_reason);
	vmb_vmm_power_end(v->machine, VMB_VMM_FAILURE);
}

static void handle_exit(struct vmb_vmm_vcpu *v)
{
	static void (*const handlers[])(struct vmb_vmm_vcpu *) = {
		[KVM_EXIT_IO] = exit_io,
		[KVM_EXIT_MMIO] = exit_mmio,
		[KVM_EXIT_HYPERV] = exit_hyperv,
		[KVM_EXIT_SYSTEM_EVENT] = exit_system_event,
		[KVM_EXIT_SHUTDOWN] = exit_shutdown,
		[KVM_EXIT_X86_RDMSR] = vmb_vmm_crash_read,
		[KVM_EXIT_X86_WRMSR] = vmb_vmm_crash_write,
	};
	uint32_t reason = v->run->exit_reason;

	if (reason < VMB_ARRAY_COUNT(handlers) && handlers[reason])
		handlers[reason](v);
	else
		exit_failure(v);
}

/*
 * A kick sets its reason first, then immediate_exit, then the signal. Here immediate_exit is
 * cleared before the reasons are looked at, so a kick at any moment is either seen here or ends the
 * next entry at once.
 */
static void *run_thread(void *arg)
{
	struct vmb_vmm_vcpu *v = arg;

	vmb_dev_role_enter(VMB_DEV_ROLE_PROCESSOR);
	current = v;
	for (;;) {
		__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (vmb_vmm_power_outcome(v->machine) != VMB_VMM_RUNNING)
			return NULL;
		if (vmb_vmm_pause_rest(v->machine))
			continue;
		if (__atomic_exchange_n(&v->deliver, 0, __ATOMIC_SEQ_CST))
			vmb_dev_bus_deliver(v->machine->vmbus);
		if (ioctl(v->fd, KVM_RUN, 0) == 0) {
			__atomic_fetch_add(&v->exits, 1, __ATOMIC_RELAXED);
			handle_exit(v);
		} else if (errno != EINTR && errno != EAGAIN) {
			failed(v, "run");
			vmb_vmm_power_end(v->machine, VMB_VMM_FAILURE);
		}
	}
}

static void kicked(int number)
{
}

void vmb_vmm_vcpu_signals(void)
{
	struct sigaction action = { .sa_handler = kicked };
	sigset_t set;

	sigaction(VMB_VMM_KICK_SIGNAL, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, VMB_VMM_KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int vmb_vmm_vcpu_start(struct vmb_vmm_vcpu *v)
{
	int error;

	pthread_mutex_lock(&v->lock);
	error = pthread_create(&v->thread, NULL, run_thread, v);
	v->started = !error;
	pthread_mutex_unlock(&v->lock);
	if (error)
		vmb_dev_report("processor %u: no thread: %s", v->index, strerror(error));
	return -error;
}

/* A joined thread's id is invalid, so no signal is sent once joining has begun. */
void vmb_vmm_vcpu_kick(struct vmb_vmm_vcpu *v)
{
	if (v->run == MAP_FAILED)
		return;
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&v->lock);
	if (v->started)
		pthread_kill(v->thread, VMB_VMM_KICK_SIGNAL);
	pthread_mutex_unlock(&v->lock);
}

/*
 * Kick here too: the thread that ended the machine may not have kicked this processor yet, and
 * finds it destroyed then.
 */
void vmb_vmm_vcpu_join(struct vmb_vmm_vcpu *v)
{
	bool started;

	vmb_vmm_vcpu_kick(v);
	pthread_mutex_lock(&v->lock);
	started = v->started;
	v->started = false;
	pthread_mutex_unlock(&v->lock);
	if (started)
		pthread_join(v->thread, NULL);
}

void vmb_vmm_vcpu_destroy(struct vmb_vmm_vcpu *v)
{
	vmb_vmm_synic_destroy(&v->synic);
	if (v->run != MAP_FAILED)
		munmap(v->run, v->machine->kvm->run_len);
	if (v->fd >= 0)
		close(v->fd);
	pthread_mutex_destroy(&v->lock);
}
