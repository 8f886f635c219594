// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells the host of a panic: by the end of the kernel's log, where the host takes a text, else by
 * registers. Since 6.4 the kernel's own code does that, whatever drives the bus.
 */
#include <linux/kdebug.h>
#include <linux/kmsg_dump.h>
#include <linux/ptrace.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <asm/mshyperv.h>
#include <asm/msr.h>
#include "ports/linux/compat.h"
#include "ports/linux/vmbus_internal.h"

#define CRASH_NOTIFY BIT_ULL(63)
#define CRASH_TEXT   BIT_ULL(62)

static bool panic_message = true;
module_param(panic_message, bool, 0644);
MODULE_PARM_DESC(panic_message, "the end of the kernel's log goes to the host after a panic "
				"(default Y; Linux before 6.4)");

static void *text_page; /* NULL: the host takes no text */

static bool may_tell(void)
{
	return VMBUS_TELLS_PANIC && ms_hyperv.misc_features & HV_FEATURE_GUEST_CRASH_MSR_AVAILABLE;
}

static bool will_send_text(void)
{
	return text_page && READ_ONCE(panic_message);
}

/* Sparse takes the kernel's own macro for wrong where the value is a constant. */
static void tell(u32 msr, u64 value)
{
	wrmsrq(msr, value);
}

/* The crashing CPU, after the panic notifiers; the log is the kernel's own business. */
static void send_text(KMSG_DUMP_ARGS)
{
	struct kmsg_dump_iter iter;
	size_t len = 0;

	if (!KMSG_DUMP_IS_PANIC || !will_send_text())
		return;
	kmsg_dump_rewind(&iter);
	kmsg_dump_get_buffer(&iter, false, text_page, VMB_PAGE_LEN, &len);
	if (!len)
		return;
	tell(VMB_MSR_CRASH_CTL - 5, 0);
	tell(VMB_MSR_CRASH_CTL - 4, 0);
	tell(VMB_MSR_CRASH_CTL - 3, 0);
	tell(VMB_MSR_CRASH_CTL - 2, virt_to_phys(text_page));
	tell(VMB_MSR_CRASH_CTL - 1, len);
	tell(VMB_MSR_CRASH_CTL, CRASH_NOTIFY | CRASH_TEXT);
}

static struct kmsg_dumper dumper = { .dump = send_text };

void vmbus_panic_report(unsigned long action)
{
	if (may_tell() && !will_send_text())
		hyperv_report_panic(current_pt_regs(), action, false);
}

/* An oops that becomes a panic: its registers say more than those of the panic. */
static int on_die(struct notifier_block *block, unsigned long action, void *data)
{
	const struct die_args *die = data;

	if (action == DIE_OOPS && !will_send_text())
		hyperv_report_panic(die->regs, action, true);
	return NOTIFY_DONE;
}

static struct notifier_block die_block = { .notifier_call = on_die };

/* Without memory, or a place for one more dumper, registers are what is told. */
static void prepare_text(void)
{
	u64 control = 0;

	rdmsrq_safe(VMB_MSR_CRASH_CTL, &control);
	if (!(control & CRASH_TEXT))
		return;
	text_page = (void *)get_zeroed_page(GFP_KERNEL);
	if (text_page && kmsg_dump_register(&dumper)) {
		free_page((unsigned long)text_page);
		text_page = NULL;
	}
}

void vmbus_panic_init(void)
{
	if (!may_tell())
		return;
	prepare_text();
	register_die_notifier(&die_block);
}

void vmbus_panic_exit(void)
{
	if (!may_tell())
		return;
	unregister_die_notifier(&die_block);
	if (!text_page)
		return;
	kmsg_dump_unregister(&dumper);
	free_page((unsigned long)text_page);
	text_page = NULL;
}
