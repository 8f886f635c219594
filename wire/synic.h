/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hypervisor's interface below VMBus: CPUID leaves, synthetic MSRs, hypercalls, and the two
 * pages per virtual processor that carry messages and event flags. Source: TLFS 6.0b chapters 2, 3
 * and 11 as collected in docs/protocol/bus.md, "1 Discovery and registers", "2 Hypercalls",
 * "3 SynIC messages and event flags".
 */
#ifndef WIRE_SYNIC_H
#define WIRE_SYNIC_H

#include "base/platform.h"

/* CPUID */
#define VMB_CPUID_VENDOR		0x40000000u
#define VMB_CPUID_INTERFACE		0x40000001u
#define VMB_CPUID_VERSION		0x40000002u
#define VMB_CPUID_FEATURES		0x40000003u
#define VMB_CPUID_RECOMMENDATIONS	0x40000004u
#define VMB_CPUID_LIMITS		0x40000005u
#define VMB_CPUID_HARDWARE		0x40000006u
#define VMB_CPUID_VENDOR_EBX		0x7263694Du /* "Micr" */
#define VMB_CPUID_VENDOR_ECX		0x666F736Fu /* "osof" */
#define VMB_CPUID_VENDOR_EDX		0x76482074u /* "t Hv" */
#define VMB_CPUID_INTERFACE_EAX		0x31237648u /* "Hv#1" */

#define VMB_FEATURE_VP_RUNTIME		(1u << 0)
#define VMB_FEATURE_TIME_REF_COUNT	(1u << 1)
#define VMB_FEATURE_SYNIC		(1u << 2)
#define VMB_FEATURE_STIMER		(1u << 3)
#define VMB_FEATURE_APIC		(1u << 4)
#define VMB_FEATURE_HYPERCALL		(1u << 5)
#define VMB_FEATURE_VP_INDEX		(1u << 6)
#define VMB_FEATURE_RESET		(1u << 7)
#define VMB_FEATURE_REFERENCE_TSC	(1u << 9)
#define VMB_FEATURE_FREQUENCY		(1u << 11)
#define VMB_FEATURE_EBX_POST_MESSAGES	(1u << 4)
#define VMB_FEATURE_EBX_SIGNAL_EVENTS	(1u << 5)
#define VMB_FEATURE_EBX_CPU_MANAGEMENT	(1u << 12)
#define VMB_FEATURE_EDX_FREQUENCY_QUERY (1u << 8)
#define VMB_FEATURE_EDX_CRASH		(1u << 10)
#define VMB_FEATURE_EDX_STIMER_DIRECT	(1u << 19)
#define VMB_RECOMMEND_RELAXED_TIMING	(1u << 5)
#define VMB_RECOMMEND_NO_AUTO_EOI	(1u << 9)

/* MSRs */
#define VMB_MSR_GUEST_OS_ID		0x40000000u
#define VMB_MSR_HYPERCALL		0x40000001u
#define VMB_MSR_VP_INDEX		0x40000002u
#define VMB_MSR_RESET			0x40000003u
#define VMB_MSR_TIME_REF_COUNT		0x40000020u
#define VMB_MSR_SCONTROL		0x40000080u
#define VMB_MSR_SVERSION		0x40000081u
#define VMB_MSR_SIEFP			0x40000082u
#define VMB_MSR_SIMP			0x40000083u
#define VMB_MSR_EOM			0x40000084u
#define VMB_MSR_SINT0			0x40000090u
#define VMB_MSR_STIMER0_CONFIG		0x400000B0u
#define VMB_MSR_STIMER0_COUNT		0x400000B1u
#define VMB_STIMER_COUNT		4u /* timers of a VP; each has the next two MSRs */
#define VMB_MSR_CRASH_CTL		0x40000105u
#define VMB_MSR_ENABLE			1u /* bit 0 of HYPERCALL, SCONTROL, SIEFP, SIMP */
#define VMB_SINT_MASKED			(1u << 16)
#define VMB_SINT_AUTO_EOI		(1u << 17)

/* Hypercalls: code in bits 15:0, bit 16 = parameters in registers. */
#define VMB_HYPERCALL_POST_MESSAGE	0x005Cu
#define VMB_HYPERCALL_SIGNAL_EVENT	0x005Du
#define VMB_HYPERCALL_FAST		(1u << 16)

enum vmb_hv_status {
	VMB_HV_SUCCESS = 0,
	VMB_HV_INVALID_HYPERCALL_CODE = 2,
	VMB_HV_INVALID_HYPERCALL_INPUT = 3,
	VMB_HV_INVALID_ALIGNMENT = 4,
	VMB_HV_INVALID_PARAMETER = 5,
	VMB_HV_ACCESS_DENIED = 6,
	VMB_HV_INSUFFICIENT_MEMORY = 0x0B,
	VMB_HV_INVALID_PORT_ID = 0x11,
	VMB_HV_INVALID_CONNECTION_ID = 0x12, /* no such connection, or the host is throttling */
	VMB_HV_INSUFFICIENT_BUFFERS = 0x13,
	VMB_HV_TIMEOUT = 0x78,
};

#define VMB_SYNIC_PAYLOAD_MAX		   240u
#define VMB_SYNIC_SLOT_COUNT		   16u
#define VMB_SYNIC_FLAG_COUNT		   2048u
#define VMB_SYNIC_SINT_VMBUS		   2u
#define VMB_SYNIC_MESSAGE_VMBUS		   1u
#define VMB_SYNIC_MESSAGE_TIMER		   0x80000010u
#define VMB_SYNIC_FLAG_PENDING		   0x01u

/* Connection ids of the message and event ports. */
#define VMB_CONNECTION_MESSAGE		   1u /* versions before 5.0 */
#define VMB_CONNECTION_EVENT		   2u /* channels without a connection of their own */
#define VMB_CONNECTION_MESSAGE_MULTICLIENT 4u /* INITIATE_CONTACT from 5.0 on */

/* Input block of HvCallPostMessage: 8-byte aligned, within one page. */
struct vmb_synic_post {
	uint32_t connection_id;
	uint32_t reserved;
	uint32_t type; /* VMB_SYNIC_MESSAGE_VMBUS */
	uint32_t payload_len;
	uint8_t payload[VMB_SYNIC_PAYLOAD_MAX];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_synic_post, 256);

/* One slot of the message page; slot n belongs to SINTn. type 0 = empty. */
struct vmb_synic_message {
	uint32_t type;
	uint8_t payload_len;
	uint8_t flags; /* VMB_SYNIC_FLAG_PENDING: write EOM after freeing the slot */
	uint16_t reserved;
	uint64_t origin;
	uint8_t payload[VMB_SYNIC_PAYLOAD_MAX];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_synic_message, 256);
VMB_ASSERT_OFFSET(struct vmb_synic_message, flags, 5);
VMB_ASSERT_OFFSET(struct vmb_synic_message, payload, 16);

struct vmb_synic_message_page {
	struct vmb_synic_message slots[VMB_SYNIC_SLOT_COUNT];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_synic_message_page, 4096);

/* The event-flags page: flag f of SINTn is byte f / 8, bit f % 8 of sint[n]. */
struct vmb_synic_event_page {
	uint8_t sint[VMB_SYNIC_SLOT_COUNT][VMB_SYNIC_FLAG_COUNT / 8];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_synic_event_page, 4096);

#endif
