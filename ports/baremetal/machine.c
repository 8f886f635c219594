// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bare machine: registers of the hypervisor, its interrupt, the serial port, and the four
 * functions that the core calls. Source: docs/protocol/bus.md, "1 Discovery and registers",
 * "2 Hypercalls", "3 SynIC messages and event flags".
 */
#include <stdarg.h>
#include <stddef.h>

#include "ports/baremetal/machine.h"
#include "wire/synic.h"

#define VECTOR	       0x50u
#define SERIAL_PORT    0x3F8u
#define SERIAL_READY   0x20u /* of the line status, five ports on */
#define POWER_PORT     0x600u /* PM1a control: sleep type 5 and the bit that starts it */
#define POWER_OFF      0x34u
#define APIC_SPURIOUS  0xFEE000F0u
#define APIC_ON	       0x1FFu
#define APIC_COMMAND   0xFEE00300u
#define APIC_TO_SELF   0x44000u
#define GUEST_OS_ID    0x8100000000000000u /* open source, no vendor and no version */
#define TIME_REFERENCE 0x40000020u /* counts 100 ns */
#define GATE_INTERRUPT 0x8E00u
#define PAGE	       4096u

struct gate {
	uint16_t offset_low, segment, type, offset_middle;
	uint32_t offset_high, reserved;
};

static struct {
	_Alignas(4096) uint8_t hypercall[PAGE];
	_Alignas(4096) struct vmb_synic_message_page messages;
	_Alignas(4096) struct vmb_synic_event_page events;
	_Alignas(256) struct vmb_synic_post post; /* within one page */
	_Alignas(16) struct gate gates[VECTOR + 1];
} machine;

extern void vmb_metal_interrupt(void);
extern uint64_t vmb_metal_hypercall(const void *page, uint64_t control, uint64_t input);

/* The four functions of the core. Words where that is possible: there may be no fast `rep movs`. */

void *memcpy(void *dst, const void *src, size_t len)
{
	uint8_t *to = dst;
	const uint8_t *from = src;

	for (; len >= 8; len -= 8, to += 8, from += 8)
		*(volatile uint64_t *)to = *(const uint64_t *)from;
	while (len--)
		*(volatile uint8_t *)to++ = *from++;
	return dst;
}

void *memmove(void *dst, const void *src, size_t len)
{
	uint8_t *to = dst;
	const uint8_t *from = src;

	if (to <= from || to >= from + len)
		return memcpy(dst, src, len);
	while (len--)
		*(volatile uint8_t *)(to + len) = from[len];
	return dst;
}

void *memset(void *dst, int value, size_t len)
{
	uint8_t *to = dst;
	uint64_t word = (uint8_t)value * 0x0101010101010101u;

	for (; len >= 8; len -= 8, to += 8)
		*(volatile uint64_t *)to = word;
	while (len--)
		*(volatile uint8_t *)to++ = (uint8_t)value;
	return dst;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const uint8_t *left = a, *right = b;

	for (; len; len--, left++, right++)
		if (*left != *right)
			return *left < *right ? -1 : 1;
	return 0;
}

static void write_port(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t read_port(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void write_msr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static uint64_t read_msr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static void read_cpuid(uint32_t leaf, uint32_t regs[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
			 : "a"(leaf), "c"(0));
}

/* Bits 11:0 of the three registers with an address are to be preserved. */
static void set_page(uint32_t msr, const void *page)
{
	uint64_t kept = read_msr(msr) & (PAGE - 1);

	write_msr(msr, (uintptr_t)page | kept | VMB_MSR_ENABLE);
}

static void set_interrupt(void)
{
	uintptr_t at = (uintptr_t)vmb_metal_interrupt;
	struct {
		uint16_t limit;
		uint64_t base;
	} VMB_PACKED table = { sizeof(machine.gates) - 1, (uintptr_t)machine.gates };

	machine.gates[VECTOR] = (struct gate){ .offset_low = at & 0xFFFF,
					       .segment = 8,
					       .type = GATE_INTERRUPT,
					       .offset_middle = at >> 16 & 0xFFFF,
					       .offset_high = at >> 32 };
	__asm__ volatile("lidt %0" : : "m"(table));
	*(volatile uint32_t *)(uintptr_t)APIC_SPURIOUS = APIC_ON;
}

static bool has_hyperv(void)
{
	const uint32_t needed = VMB_FEATURE_SYNIC | VMB_FEATURE_HYPERCALL |
				VMB_FEATURE_TIME_REF_COUNT;
	uint32_t regs[4];

	read_cpuid(1, regs);
	if (!(regs[2] >> 31))
		return false;
	read_cpuid(VMB_CPUID_INTERFACE, regs);
	if (regs[0] != VMB_CPUID_INTERFACE_EAX)
		return false;
	read_cpuid(VMB_CPUID_FEATURES, regs);
	return (regs[0] & needed) == needed;
}

bool vmb_metal_start(void)
{
	uint32_t regs[4];
	uint64_t sint = VECTOR;

	if (!has_hyperv())
		return false;
	set_interrupt();
	write_msr(VMB_MSR_GUEST_OS_ID, GUEST_OS_ID);
	set_page(VMB_MSR_HYPERCALL, machine.hypercall);
	set_page(VMB_MSR_SIMP, &machine.messages);
	set_page(VMB_MSR_SIEFP, &machine.events);
	read_cpuid(VMB_CPUID_RECOMMENDATIONS, regs);
	if (!(regs[0] & VMB_RECOMMEND_NO_AUTO_EOI))
		sint |= VMB_SINT_AUTO_EOI;
	write_msr(VMB_MSR_SINT0 + VMB_SYNIC_SINT_VMBUS, sint);
	write_msr(VMB_MSR_SCONTROL, read_msr(VMB_MSR_SCONTROL) | VMB_MSR_ENABLE);
	return true;
}

uint64_t vmb_metal_now(void)
{
	return read_msr(TIME_REFERENCE) / 10;
}

uint32_t vmb_metal_post(uint32_t connection_id, const void *payload, uint32_t len)
{
	machine.post = (struct vmb_synic_post){ .connection_id = connection_id,
						.type = VMB_SYNIC_MESSAGE_VMBUS,
						.payload_len = len };
	memcpy(machine.post.payload, payload, len);
	return vmb_metal_hypercall(machine.hypercall, VMB_HYPERCALL_POST_MESSAGE,
				   (uintptr_t)&machine.post) &
	       0xFFFF;
}

void vmb_metal_signal(uint32_t connection_id)
{
	vmb_metal_hypercall(machine.hypercall, VMB_HYPERCALL_SIGNAL_EVENT | VMB_HYPERCALL_FAST,
			    connection_id);
}

/* The type of SINT 2's message: the first word of its slot, aligned as the page is. */
static uint32_t *message_type(void)
{
	uintptr_t at = (uintptr_t)&machine.messages;

	return (uint32_t *)(at + VMB_SYNIC_SINT_VMBUS * sizeof(struct vmb_synic_message));
}

/* The order is that of docs/protocol/bus.md, "3.1 Message page". */
uint32_t vmb_metal_take_message(void *message)
{
	struct vmb_synic_message *slot = &machine.messages.slots[VMB_SYNIC_SINT_VMBUS];
	uint32_t type = __atomic_load_n(message_type(), __ATOMIC_ACQUIRE), len = slot->payload_len;

	if (!type)
		return 0;
	if (len > VMB_SYNIC_PAYLOAD_MAX)
		len = VMB_SYNIC_PAYLOAD_MAX;
	memcpy(message, slot->payload, VMB_SYNIC_PAYLOAD_MAX);
	__atomic_exchange_n(message_type(), 0, __ATOMIC_SEQ_CST);
	if (*(volatile uint8_t *)&slot->flags & VMB_SYNIC_FLAG_PENDING)
		write_msr(VMB_MSR_EOM, 0);
	return type == VMB_SYNIC_MESSAGE_VMBUS ? len : 0;
}

static uint64_t *flags(void)
{
	return (uint64_t *)machine.events.sint[VMB_SYNIC_SINT_VMBUS];
}

void vmb_metal_take_flags(void)
{
	for (uint32_t i = 0; i < VMB_SYNIC_FLAG_COUNT / 64; i++)
		if (*(volatile uint64_t *)&flags()[i])
			__atomic_exchange_n(&flags()[i], 0, __ATOMIC_SEQ_CST);
}

static bool has_news(void)
{
	if (__atomic_load_n(message_type(), __ATOMIC_ACQUIRE))
		return true;
	for (uint32_t i = 0; i < VMB_SYNIC_FLAG_COUNT / 64; i++)
		if (*(volatile uint64_t *)&flags()[i])
			return true;
	return false;
}

/* `sti` lets the interrupt in behind the next instruction only, so none is lost before the halt. */
void vmb_metal_wait(void)
{
	__asm__ volatile("cli");
	if (!has_news())
		__asm__ volatile("sti; hlt; cli" : : : "memory");
}

void vmb_metal_interrupt_self(void)
{
	*(volatile uint32_t *)(uintptr_t)APIC_COMMAND = APIC_TO_SELF | VECTOR;
	__asm__ volatile("mov %0, %%cr8" : : "r"((uint64_t)0) : "memory");
}

static void write_character(char c)
{
	for (uint32_t i = 0; i < 100000 && !(read_port(SERIAL_PORT + 5) & SERIAL_READY); i++)
		__asm__ volatile("pause");
	write_port(SERIAL_PORT, c);
}

/* Digits of value at the end of text, which has 21 bytes; returns where they begin. */
static const char *number(char *text, uint64_t value, uint32_t base)
{
	char *at = text + 20;

	*at = 0;
	do
		*--at = "0123456789abcdef"[value % base];
	while (value /= base);
	return at;
}

static int format(char *dst, uint32_t room, const char *text, va_list args)
{
	uint32_t len = 0;
	char digits[21], one[2] = "";
	const char *piece;

	for (; *text; text++) {
		one[0] = *text;
		piece = one;
		if (*text == '%' && *++text == 's')
			piece = va_arg(args, const char *);
		else if (piece[0] == '%')
			piece = number(digits, va_arg(args, uint64_t), *text == 'x' ? 16 : 10);
		for (; *piece; piece++) {
			if (len + 1 >= room)
				return VMB_EOVERFLOW;
			dst[len++] = *piece;
		}
	}
	dst[len] = 0;
	return (int)len;
}

int vmb_metal_format(char *dst, uint32_t room, const char *text, ...)
{
	va_list args;
	int len;

	va_start(args, text);
	len = format(dst, room, text, args);
	va_end(args);
	return len;
}

void vmb_metal_print(const char *text, ...)
{
	char line[256];
	va_list args;

	va_start(args, text);
	if (format(line, sizeof(line), text, args) > 0)
		for (const char *at = line; *at; at++)
			write_character(*at);
	va_end(args);
}

void vmb_metal_power_off(void)
{
	write_port(POWER_PORT, POWER_OFF);
}
