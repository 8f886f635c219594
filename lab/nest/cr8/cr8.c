// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Keeps KVM's intercept of writes to CR8, which is the guest's task priority, in the nest.
 *
 * KVM takes that intercept away where the processor keeps the priority by itself. QEMU, which
 * emulates the nest's processor, then looks at each write whether an interrupt that waits may be
 * taken now, and if one waits it asks for it without the lock that this needs, and aborts
 * (target/i386/tcg, helper_write_crN(); seen in 7.2 and 10.0). A firmware built from EDK II writes
 * CR8 at the end of each interrupt. With the intercept KVM does the write, and QEMU's code is not
 * reached.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/printk.h>

/* In the place of svm_update_cr8_intercept(), which takes the intercept away. */
static void leave_it(void)
{
}
NOKPROBE_SYMBOL(leave_it);

static int at_update(struct kprobe *probe, struct pt_regs *regs)
{
	regs->ip = (unsigned long)leave_it;
	return 1; /* go on there */
}
NOKPROBE_SYMBOL(at_update);

/* A probe that has one is never turned into a jump, which could not go on elsewhere. */
static void after_update(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe update = {
	.symbol_name = "svm_update_cr8_intercept",
	.pre_handler = at_update,
	.post_handler = after_update,
};

static int __init cr8_init(void)
{
	int error = register_kprobe(&update);

	if (error)
		pr_err("no svm_update_cr8_intercept() in kvm_amd: %d\n", error);
	return error;
}

static void __exit cr8_exit(void)
{
	unregister_kprobe(&update);
}

module_init(cr8_init);
module_exit(cr8_exit);
MODULE_DESCRIPTION("Keeps KVM's intercept of writes to CR8");
MODULE_LICENSE("Dual BSD/GPL");
