// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The hypervisor's registers and pages. Source: docs/protocol/bus.md, "1 Discovery and registers",
 * "2 Hypercalls", "3 SynIC messages and event flags".
 */
#include <Uefi.h>

#include <Library/BaseLib.h>
#include <Library/BaseMemoryLib.h>
#include <Library/LocalApicLib.h>
#include <Library/UefiBootServicesTableLib.h>
#include <Protocol/Cpu.h>

#include "ports/uefi/vmbus/hyperv.h"
#include "wire/synic.h"

#define VECTOR	    0x50u
#define GUEST_OS_ID 0x8100000000000000u /* open source, no vendor and no version */
#define PAGE	    4096u

static struct {
	uint8_t *hypercall;
	struct vmb_synic_message_page *messages;
	struct vmb_synic_event_page *events;
	bool auto_eoi;
	EFI_CPU_ARCH_PROTOCOL *cpu;
	_Alignas(256) struct vmb_synic_post post; /* within one page */
} hyperv;

static bool has_interface(void)
{
	const uint32_t needed = VMB_FEATURE_SYNIC | VMB_FEATURE_HYPERCALL |
				VMB_FEATURE_TIME_REF_COUNT;
	uint32_t eax, ecx;

	AsmCpuid(1, NULL, NULL, &ecx, NULL);
	if (!(ecx >> 31))
		return false;
	AsmCpuid(VMB_CPUID_INTERFACE, &eax, NULL, NULL, NULL);
	if (eax != VMB_CPUID_INTERFACE_EAX)
		return false;
	AsmCpuid(VMB_CPUID_FEATURES, &eax, NULL, NULL, NULL);
	return (eax & needed) == needed;
}

static void *get_page(EFI_MEMORY_TYPE type)
{
	EFI_PHYSICAL_ADDRESS gpa;

	if (EFI_ERROR(gBS->AllocatePages(AllocateAnyPages, type, 1, &gpa)))
		return NULL;
	return ZeroMem((void *)(UINTN)gpa, PAGE);
}

static bool get_pages(void)
{
	hyperv.hypercall = get_page(EfiBootServicesCode);
	hyperv.messages = get_page(EfiBootServicesData);
	hyperv.events = get_page(EfiBootServicesData);
	return hyperv.hypercall && hyperv.messages && hyperv.events;
}

/* Without it the host would think that the last interrupt is still being served. */
static void EFIAPI interrupt(EFI_EXCEPTION_TYPE type, EFI_SYSTEM_CONTEXT context)
{
	if (!hyperv.auto_eoi)
		SendApicEoi();
}

static bool set_handler(void)
{
	return !EFI_ERROR(
		       gBS->LocateProtocol(&gEfiCpuArchProtocolGuid, NULL, (void **)&hyperv.cpu)) &&
	       !EFI_ERROR(hyperv.cpu->RegisterInterruptHandler(hyperv.cpu, VECTOR, interrupt));
}

/* Bits 11:0 of the three registers with an address are to be preserved. */
static void set_page(uint32_t msr, const void *page, bool on)
{
	uint64_t kept = AsmReadMsr64(msr) & (PAGE - 1) & ~(uint64_t)VMB_MSR_ENABLE;

	AsmWriteMsr64(msr, on ? (uintptr_t)page | kept | VMB_MSR_ENABLE : kept);
}

bool vmb_uefi_hyperv_start(void)
{
	uint32_t recommended;

	if (!has_interface() || !get_pages() || !set_handler())
		return false;
	AsmCpuid(VMB_CPUID_RECOMMENDATIONS, &recommended, NULL, NULL, NULL);
	hyperv.auto_eoi = !(recommended & VMB_RECOMMEND_NO_AUTO_EOI);
	AsmWriteMsr64(VMB_MSR_GUEST_OS_ID, GUEST_OS_ID);
	set_page(VMB_MSR_HYPERCALL, hyperv.hypercall, true);
	set_page(VMB_MSR_SIMP, hyperv.messages, true);
	set_page(VMB_MSR_SIEFP, hyperv.events, true);
	AsmWriteMsr64(VMB_MSR_SINT0 + VMB_SYNIC_SINT_VMBUS,
		      VECTOR | (hyperv.auto_eoi ? VMB_SINT_AUTO_EOI : 0));
	AsmWriteMsr64(VMB_MSR_SCONTROL, AsmReadMsr64(VMB_MSR_SCONTROL) | VMB_MSR_ENABLE);
	return true;
}

/* The order is that of docs/protocol/bus.md, "1.7 Order of disabling". */
void vmb_uefi_hyperv_stop(void)
{
	AsmWriteMsr64(VMB_MSR_SINT0 + VMB_SYNIC_SINT_VMBUS, VMB_SINT_MASKED | VECTOR);
	set_page(VMB_MSR_SIMP, NULL, false);
	set_page(VMB_MSR_SIEFP, NULL, false);
	set_page(VMB_MSR_HYPERCALL, NULL, false);
	AsmWriteMsr64(VMB_MSR_GUEST_OS_ID, 0);
	hyperv.cpu->RegisterInterruptHandler(hyperv.cpu, VECTOR, NULL);
}

/* By the page that the hypervisor filled in: control in RCX, input in RDX, no output in R8. */
static uint64_t hypercall(uint64_t control, uint64_t input)
{
	register uint64_t output __asm__("r8") = 0;
	uint64_t status;

	__asm__ volatile("call *%[page]"
			 : "=a"(status), "+c"(control), "+d"(input), "+r"(output)
			 : [page] "r"(hyperv.hypercall)
			 : "r9", "r10", "r11", "cc", "memory");
	return status;
}

uint32_t vmb_uefi_hyperv_post(uint32_t connection_id, const void *payload, uint32_t len)
{
	hyperv.post = (struct vmb_synic_post){ .connection_id = connection_id,
					       .type = VMB_SYNIC_MESSAGE_VMBUS,
					       .payload_len = len };
	CopyMem(hyperv.post.payload, payload, len);
	return hypercall(VMB_HYPERCALL_POST_MESSAGE, (uintptr_t)&hyperv.post) & 0xFFFF;
}

void vmb_uefi_hyperv_signal(uint32_t connection_id)
{
	hypercall(VMB_HYPERCALL_SIGNAL_EVENT | VMB_HYPERCALL_FAST, connection_id);
}

/* The type of SINT 2's message: the first word of its slot, aligned as the page is. */
static uint32_t *message_type(void)
{
	return (uint32_t *)((uintptr_t)hyperv.messages +
			    VMB_SYNIC_SINT_VMBUS * sizeof(struct vmb_synic_message));
}

/* The order is that of docs/protocol/bus.md, "3.1 Message page". */
uint32_t vmb_uefi_hyperv_take(void *message)
{
	struct vmb_synic_message *slot = &hyperv.messages->slots[VMB_SYNIC_SINT_VMBUS];
	uint32_t type = __atomic_load_n(message_type(), __ATOMIC_ACQUIRE), len = slot->payload_len;

	if (!type)
		return 0;
	if (len > VMB_SYNIC_PAYLOAD_MAX)
		len = VMB_SYNIC_PAYLOAD_MAX;
	CopyMem(message, slot->payload, VMB_SYNIC_PAYLOAD_MAX);
	__atomic_exchange_n(message_type(), 0, __ATOMIC_SEQ_CST);
	if (*(volatile uint8_t *)&slot->flags & VMB_SYNIC_FLAG_PENDING)
		AsmWriteMsr64(VMB_MSR_EOM, 0);
	return type == VMB_SYNIC_MESSAGE_VMBUS ? len : 0;
}
