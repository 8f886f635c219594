// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hypervisor below the bus: each CPU's message and event-flag page, the interrupt, and the two
 * hypercalls. The kernel's own boot code has made the hypercall page and the VP indices.
 */
#include <linux/cpuhotplug.h>
#include <linux/io.h>
#include <linux/rcupdate.h>
#include <asm/irq_vectors.h>
#include <asm/mshyperv.h>
#include <asm/msr.h>
#include "guest/doorbell.h"
#include "ports/linux/compat.h"
#include "ports/linux/vmbus_internal.h"

DEFINE_PER_CPU(struct vmbus_cpu, vmbus_cpus);

/* Readers have interrupts off, which is all that RCU asks of them. */
static struct vmb_channel __rcu *by_relid[VMB_CHANNEL_COUNT_MAX];
static u32 word_count = 1; /* words of flags that a channel was ever published in, and flag 0's */
static int hotplug_state;

/*
 * relid is one that the engine has accepted. NULL unpublishes: then nothing in interrupt sees ch
 * any more.
 */
void vmbus_synic_publish(u32 relid, struct vmb_channel *ch)
{
	u32 words = relid / BITS_PER_LONG + 1;
	u32 before = READ_ONCE(word_count);

	while (before < words && !try_cmpxchg(&word_count, &before, words))
		;
	rcu_assign_pointer(by_relid[relid], ch);
	if (!ch)
		synchronize_rcu();
}

static void ring_word(u32 first, unsigned long bits)
{
	struct vmb_channel *ch;
	u32 bit;

	for_each_set_bit(bit, &bits, BITS_PER_LONG) {
		ch = rcu_dereference_sched(by_relid[first + bit]);
		if (ch)
			vmbus_ring_doorbell(ch);
	}
}

/* Flag 0 is never a channel: a host before 2.4 sets it after it has marked channels in a page. */
static void take_interrupt_page(void)
{
	void *page = READ_ONCE(vmbus.interrupt_page);
	u32 word;

	for (word = 0; page && word < VMB_INTERRUPT_WORD_COUNT; word++)
		ring_word(word * 32, vmb_guest_doorbell_take(page, word));
}

static void take_flags(struct vmb_synic_event_page *page)
{
	unsigned long *words = (unsigned long *)page->sint[VMB_SYNIC_SINT_VMBUS];
	unsigned long bits;
	u32 word;

	for (word = 0; word < READ_ONCE(word_count); word++) {
		if (!READ_ONCE(words[word]))
			continue;
		bits = xchg(&words[word], 0);
		ring_word(word * BITS_PER_LONG, bits);
		if (!word && bits & 1)
			take_interrupt_page();
	}
}

/*
 * Takes the message out of the slot in the exact order of docs/protocol/bus.md, "3.1 Message page".
 * Without the full barrier (the exchange is one) the host could see the slot still taken, set
 * "pending" too late for us to read, and wait for an EOM that never comes. After a panic another
 * CPU looks into the slot too, and what the host has put there since is not to be lost.
 */
static bool take_message(struct vmb_synic_message *slot, struct vmb_synic_message *copy)
{
	u32 type = smp_load_acquire(&slot->type);

	if (!type)
		return false;
	memcpy(copy, slot, sizeof(*copy));
	copy->type = type;
	if (cmpxchg(&slot->type, type, 0) == type &&
	    READ_ONCE(slot->flags) & VMB_SYNIC_FLAG_PENDING)
		wrmsrq(VMB_MSR_EOM, 0);
	return true;
}

/* After a panic on another CPU: the work may never run, and the EOM is this CPU's to write. */
static void take_last_words(struct vmbus_cpu *cpu)
{
	struct vmb_synic_message copy;

	while (take_message(&cpu->messages->slots[VMB_SYNIC_SINT_VMBUS], &copy))
		vmbus_unload_saw(&copy);
}

/* Hard interrupt. Flags first: a message may be long under way, a doorbell never is. */
static void interrupt(void)
{
	struct vmbus_cpu *cpu = this_cpu_ptr(&vmbus_cpus);

	if (!cpu->messages)
		return;
	take_flags(cpu->events);
	if (!READ_ONCE(cpu->messages->slots[VMB_SYNIC_SINT_VMBUS].type))
		return;
	if (vmbus_unload_begun())
		take_last_words(cpu);
	else
		queue_work_on(smp_processor_id(), vmbus.message_queue, &cpu->message_work);
}

/*
 * Bound to its CPU, because EOM is that CPU's register. The slot is the queue: the host holds back
 * the rest.
 */
static void message_work(struct work_struct *work)
{
	struct vmbus_cpu *cpu = container_of(work, struct vmbus_cpu, message_work);
	struct vmb_synic_message copy;

	while (take_message(&cpu->messages->slots[VMB_SYNIC_SINT_VMBUS], &copy)) {
		vmbus_unload_saw(&copy);
		if (copy.type == VMB_SYNIC_MESSAGE_VMBUS)
			vmbus_connect_message(&copy);
	}
}

static void set_page(u32 msr, void *page)
{
	u64 value;

	rdmsrq(msr, value);
	value &= VMB_PAGE_LEN - 1 - VMB_MSR_ENABLE;
	if (page)
		value |= virt_to_phys(page) | VMB_MSR_ENABLE;
	wrmsrq(msr, value);
}

static void set_sint(bool on)
{
	u32 msr = VMB_MSR_SINT0 + VMB_SYNIC_SINT_VMBUS;
	u64 value;

	rdmsrq(msr, value);
	value &= ~(u64)(0xff | VMB_SINT_MASKED | VMB_SINT_AUTO_EOI);
	value |= HYPERVISOR_CALLBACK_VECTOR;
	if (!on)
		value |= VMB_SINT_MASKED;
	if (!(ms_hyperv.hints & VMB_RECOMMEND_NO_AUTO_EOI))
		value |= VMB_SINT_AUTO_EOI;
	wrmsrq(msr, value);
}

/*
 * Whether there are registers to drive. How firmware left them does not matter: SINT2 may be
 * unmasked, and both pages enabled.
 */
bool vmbus_synic_there(void)
{
	u64 sint, page;

	return !rdmsrq_safe(VMB_MSR_SINT0 + VMB_SYNIC_SINT_VMBUS, &sint) &&
	       !rdmsrq_safe(VMB_MSR_SIMP, &page);
}

static void enable_this_cpu(void)
{
	struct vmbus_cpu *c = this_cpu_ptr(&vmbus_cpus);
	u64 control;

	memset(c->messages, 0, VMB_PAGE_LEN);
	memset(c->events, 0, VMB_PAGE_LEN);
	set_page(VMB_MSR_SIMP, c->messages);
	set_page(VMB_MSR_SIEFP, c->events);
	set_sint(true);
	rdmsrq(VMB_MSR_SCONTROL, control);
	wrmsrq(VMB_MSR_SCONTROL, control | VMB_MSR_ENABLE);
}

static int enable_cpu(unsigned int cpu)
{
	struct vmbus_cpu *c = per_cpu_ptr(&vmbus_cpus, cpu);

	if (!c->messages)
		c->messages = (void *)get_zeroed_page(GFP_KERNEL);
	if (!c->events)
		c->events = (void *)get_zeroed_page(GFP_KERNEL);
	if (!c->messages || !c->events)
		return -ENOMEM;
	enable_this_cpu();
	mutex_lock(&vmbus.lock);
	cpumask_set_cpu(cpu, &vmbus.cpus);
	mutex_unlock(&vmbus.lock);
	return 0;
}

/*
 * SCONTROL stays on: firmware and other systems that take over later expect it so
 * (docs/protocol/bus.md, "10 Traps" (T1)).
 */
static void disable_this_cpu(void)
{
	set_sint(false);
	set_page(VMB_MSR_SIMP, NULL);
	set_page(VMB_MSR_SIEFP, NULL);
}

static void sleep_cpu(void *unused)
{
	disable_this_cpu();
}

static void wake_cpu(void *unused)
{
	enable_this_cpu();
}

/* No CPU's pages may be written to while another kernel has the memory. */
void vmbus_synic_sleep(void)
{
	on_each_cpu(sleep_cpu, NULL, 1);
}

/* CPUs that come online later are enabled as they come. */
void vmbus_synic_wake(void)
{
	on_each_cpu(wake_cpu, NULL, 1);
}

/*
 * At the kernel's end, this CPU's: the timers too, which are not this driver's. The next kernel may
 * not know of the interrupt that they would raise.
 */
void vmbus_synic_quiesce(void *unused)
{
	u32 i;

	for (i = 0; ms_hyperv.features & VMB_FEATURE_STIMER && i < VMB_STIMER_COUNT; i++) {
		wrmsrq(VMB_MSR_STIMER0_COUNT + 2 * i, 0);
		wrmsrq(VMB_MSR_STIMER0_CONFIG + 2 * i, 0);
	}
	disable_this_cpu();
}

static int disable_cpu(unsigned int cpu)
{
	struct vmbus_cpu *c = per_cpu_ptr(&vmbus_cpus, cpu);
	int rc;

	if (vmbus.connected && cpu == vmbus.connect_cpu)
		return -EBUSY;
	rc = vmbus_channel_evacuate(cpu);
	if (rc)
		return rc;
	disable_this_cpu();
	/* Handle doorbells that rang before the host knew the new CPU. */
	local_irq_disable();
	take_flags(c->events);
	local_irq_enable();
	return 0;
}

u32 vmbus_synic_post(struct vmb_synic_post *post)
{
	return hv_result(hv_do_hypercall(VMB_HYPERCALL_POST_MESSAGE, post, NULL));
}

void vmbus_synic_signal(u32 connection_id)
{
	hv_do_fast_hypercall8(VMB_HYPERCALL_SIGNAL_EVENT, connection_id);
}

static void free_pages_of_cpus(void)
{
	struct vmbus_cpu *c;
	int cpu;

	for_each_possible_cpu(cpu) {
		c = per_cpu_ptr(&vmbus_cpus, cpu);
		free_page((unsigned long)c->messages);
		free_page((unsigned long)c->events);
		c->messages = NULL;
		c->events = NULL;
	}
}

int vmbus_synic_start(void)
{
	int cpu, rc;

	for_each_possible_cpu(cpu)
		INIT_WORK(&per_cpu_ptr(&vmbus_cpus, cpu)->message_work, message_work);
	hv_setup_vmbus_handler(interrupt);
	rc = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "vmbus:online", enable_cpu, disable_cpu);
	if (rc < 0) {
		hv_remove_vmbus_handler();
		synchronize_rcu();
		flush_workqueue(vmbus.message_queue);
		free_pages_of_cpus();
		return rc;
	}
	hotplug_state = rc;
	return 0;
}

void vmbus_synic_stop(void)
{
	cpuhp_remove_state(hotplug_state);
	hv_remove_vmbus_handler();
	synchronize_rcu(); /* no CPU is in interrupt() any more */
	flush_workqueue(vmbus.message_queue);
	free_pages_of_cpus();
}
