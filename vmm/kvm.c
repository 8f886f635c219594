// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Sets up the virtual machine in KVM: the needed capabilities, interrupt routes, and eventfds for
 * interrupts and doorbells.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "devices/report.h"
#include "vmm/crash.h"
#include "vmm/kvm.h"

#define TSS_GPA		 0xFFFBD000u /* three pages that Intel processors need below 4 GiB */
#define IDENTITY_MAP_GPA 0xFFFBC000u
#define CREATE_TRIES	 1000
#define CPUID_ENTRY_MAX	 256u
#define REFERENCE_NS	 100 /* unit of the reference counter */
#define MESSAGE_GPA	 0xFEE00000u /* Intel SDM 3A, 11.11 "Message Signalled Interrupts" */
#define MESSAGE_VP_SHIFT 12
#define DEVICE_SLOT	 0u /* of memory: the others are RAM */

static int failed(const char *what)
{
	int error = -errno;

	vmb_dev_report("KVM: %s: %s", what, strerror(errno));
	return error;
}

/* The first thing that we need and this KVM does not have; NULL: it has all. */
static const char *missing_capability(int dev)
{
	static const struct {
		int number;
		const char *name;
	} needed[] = {
		{ KVM_CAP_IRQCHIP, "an interrupt controller" },
		{ KVM_CAP_IRQFD_RESAMPLE, "acknowledged interrupts by eventfd" },
		{ KVM_CAP_SIGNAL_MSI, "interrupts by message" },
		{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit" },
		{ KVM_CAP_HYPERV_SYNIC2, "Hyper-V's synthetic interrupt controller" },
		{ KVM_CAP_HYPERV_VP_INDEX, "Hyper-V's processor numbers" },
		{ KVM_CAP_HYPERV_EVENTFD, "Hyper-V's signals by eventfd" },
		{ KVM_CAP_SYS_HYPERV_CPUID, "the list of its Hyper-V features" },
	};

	for (size_t i = 0; i < VMB_ARRAY_COUNT(needed); i++)
		if (ioctl(dev, KVM_CHECK_EXTENSION, needed[i].number) <= 0)
			return needed[i].name;
	return NULL;
}

int vmb_vmm_kvm_check(char *why, size_t size)
{
	int dev = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int error = -errno;
	const char *missing;

	if (dev < 0) {
		snprintf(why, size, "/dev/kvm: %s", strerror(-error));
		return error;
	}
	missing = missing_capability(dev);
	close(dev);
	if (!missing)
		return 0;
	snprintf(why, size, "/dev/kvm lacks %s", missing);
	return -EOPNOTSUPP;
}

/* A CPUID table by request, grown until it fits; NULL: errno. */
static struct kvm_cpuid2 *cpuid_table(int fd, unsigned long request)
{
	struct kvm_cpuid2 *table =
		calloc(1, sizeof(*table) + CPUID_ENTRY_MAX * sizeof(table->entries[0]));

	if (!table)
		return NULL;
	table->nent = CPUID_ENTRY_MAX;
	if (ioctl(fd, request, table) == 0)
		return table;
	free(table);
	return NULL;
}

int vmb_vmm_kvm_open(struct vmb_vmm_kvm *k)
{
	const char *missing;
	int len;

	k->vm = -1;
	k->dev = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (k->dev < 0)
		return failed("/dev/kvm");
	missing = missing_capability(k->dev);
	if (missing) {
		vmb_dev_report("/dev/kvm lacks %s; a kernel from 5.11 on with CONFIG_KVM_HYPERV "
			       "has it, or use --accel nest",
			       missing);
		return -EOPNOTSUPP;
	}
	len = ioctl(k->dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (len < (int)sizeof(struct kvm_run))
		return failed("size of a virtual processor's page");
	k->run_len = len;
	k->cpuid = cpuid_table(k->dev, KVM_GET_SUPPORTED_CPUID);
	k->hv_cpuid = cpuid_table(k->dev, KVM_GET_SUPPORTED_HV_CPUID);
	if (!k->cpuid || !k->hv_cpuid)
		return failed("supported CPUID");
	return 0;
}

static int add_slot(int vm, uint32_t slot, const struct vmb_dev_memory_region *region)
{
	struct kvm_userspace_memory_region kvm_region = {
		.slot = slot,
		.guest_phys_addr = region->gpa,
		.memory_size = region->len,
		.userspace_addr = (uintptr_t)region->base,
	};

	return ioctl(vm, KVM_SET_USER_MEMORY_REGION, &kvm_region);
}

int vmb_vmm_kvm_create(struct vmb_vmm_kvm *k, const struct vmb_dev_memory *m)
{
	const struct kvm_pit_config timer = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity_map = IDENTITY_MAP_GPA;
	int error = 0;

	/* The kernel gives this up when anything is pending for the thread, not only signals. */
	for (int tries = 0; tries < CREATE_TRIES; tries++) {
		k->vm = ioctl(k->dev, KVM_CREATE_VM, 0);
		if (k->vm >= 0 || errno != EINTR)
			break;
	}
	if (k->vm < 0)
		return failed("create VM");
	if (ioctl(k->vm, KVM_SET_TSS_ADDR, (unsigned long)TSS_GPA) ||
	    ioctl(k->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map))
		return failed("reserve pages");
	if (ioctl(k->vm, KVM_CREATE_IRQCHIP, 0))
		return failed("create interrupt controller");
	/*
	 * For kernels that calibrate a delay before they detect the hypervisor: they would wait for
	 * ever.
	 */
	if (ioctl(k->vm, KVM_CREATE_PIT2, &timer))
		return failed("create interval timer");
	vmb_vmm_crash_prepare(k->vm);
	k->slot_count = DEVICE_SLOT + 1;
	for (uint32_t i = 0; i < m->region_count && !error; i++)
		if (m->regions[i].len)
			error = add_slot(k->vm, k->slot_count++, &m->regions[i]);
	if (error)
		return failed("map memory");
	return 0;
}

/* A slot cannot grow while a guest runs, so each piece has its own. */
int vmb_vmm_kvm_grow(struct vmb_vmm_kvm *k, const struct vmb_dev_memory_region *region,
		     uint64_t len)
{
	const struct vmb_dev_memory_region piece = { .gpa = region->gpa + region->len,
						     .len = len,
						     .base = region->base + region->len };

	if (add_slot(k->vm, k->slot_count, &piece))
		return failed("map more memory");
	k->slot_count++;
	return 0;
}

/* A piece of no length takes the slot's away. */
int vmb_vmm_kvm_map(struct vmb_vmm_kvm *k, uint64_t gpa, void *base, uint64_t len)
{
	const struct vmb_dev_memory_region piece = { .gpa = gpa,
						     .len = base ? len : 0,
						     .base = base };

	return add_slot(k->vm, DEVICE_SLOT, &piece) ? failed("map memory of a device") : 0;
}

static struct kvm_irq_routing_entry *add_pin(struct kvm_irq_routing *table, uint32_t gsi,
					     uint32_t chip, uint32_t pin)
{
	struct kvm_irq_routing_entry *entry = &table->entries[table->nr++];

	entry->gsi = gsi;
	entry->type = KVM_IRQ_ROUTING_IRQCHIP;
	entry->u.irqchip.irqchip = chip;
	entry->u.irqchip.pin = pin;
	return entry;
}

/*
 * Setting routes replaces all of them, so KVM's default ones for PIC and IOAPIC are repeated here.
 */
static void fill_routes(struct kvm_irq_routing *table, uint32_t vp_count)
{
	struct kvm_irq_routing_entry *entry;

	for (uint32_t pin = 0; pin < VMB_VMM_IOAPIC_PINS; pin++) {
		add_pin(table, pin, KVM_IRQCHIP_IOAPIC, pin);
		if (pin < 16)
			add_pin(table, pin,
				pin < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, pin % 8);
	}
	for (uint32_t vp = 0; vp < vp_count; vp++) {
		entry = &table->entries[table->nr++];
		entry->gsi = VMB_VMM_GSI_SINT(vp);
		entry->type = KVM_IRQ_ROUTING_HV_SINT;
		entry->u.hv_sint.vcpu = vp;
		entry->u.hv_sint.sint = VMB_SYNIC_SINT_VMBUS;
	}
}

int vmb_vmm_kvm_route(struct vmb_vmm_kvm *k, uint32_t vp_count)
{
	size_t count = VMB_VMM_IOAPIC_PINS + 16 + vp_count;
	struct kvm_irq_routing *table;
	int error = 0;

	table = calloc(1, sizeof(*table) + count * sizeof(table->entries[0]));
	if (!table)
		return -ENOMEM;
	fill_routes(table, vp_count);
	if (ioctl(k->vm, KVM_SET_GSI_ROUTING, table))
		error = failed("interrupt routes");
	free(table);
	return error;
}

void vmb_vmm_kvm_destroy(struct vmb_vmm_kvm *k)
{
	if (k->vm >= 0)
		close(k->vm);
	k->vm = -1;
}

void vmb_vmm_kvm_irq(struct vmb_vmm_kvm *k, uint32_t gsi, bool level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level };

	if (ioctl(k->vm, KVM_IRQ_LINE, &line))
		failed("interrupt line");
}

/*
 * An APIC's number is its processor's. A guest that has switched it off gets nothing: KVM returns
 * -1 for that, which is no error of ours, and which the guest could have us report without end.
 */
void vmb_vmm_kvm_message(struct vmb_vmm_kvm *k, uint32_t vp, uint8_t vector)
{
	struct kvm_msi message = { .address_lo = MESSAGE_GPA | vp << MESSAGE_VP_SHIFT,
				   .data = vector };

	if (ioctl(k->vm, KVM_SIGNAL_MSI, &message) < 0 && errno != EPERM)
		failed("interrupt by message");
}

int vmb_vmm_kvm_irqfd(struct vmb_vmm_kvm *k, int fd, uint32_t gsi, int ack)
{
	struct kvm_irqfd irqfd = { .fd = fd, .gsi = gsi };

	if (ack >= 0) {
		irqfd.flags = KVM_IRQFD_FLAG_RESAMPLE;
		irqfd.resamplefd = ack;
	}
	return ioctl(k->vm, KVM_IRQFD, &irqfd) ? failed("interrupt by eventfd") : 0;
}

int vmb_vmm_kvm_doorbell(struct vmb_vmm_kvm *k, uint32_t connection_id, int fd, bool on)
{
	struct kvm_hyperv_eventfd doorbell = {
		.conn_id = connection_id,
		.fd = fd,
		.flags = on ? 0 : KVM_HYPERV_EVENTFD_DEASSIGN,
	};

	return ioctl(k->vm, KVM_HYPERV_EVENTFD, &doorbell) ? failed("doorbell") : 0;
}

/* KVM derives the guest's reference counter from its own clock. */
uint64_t vmb_vmm_kvm_reference(struct vmb_vmm_kvm *k)
{
	struct kvm_clock_data clock = { 0 };

	if (ioctl(k->vm, KVM_GET_CLOCK, &clock)) {
		failed("clock");
		return 0;
	}
	return clock.clock / REFERENCE_NS;
}
