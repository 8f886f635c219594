// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leaving the host when the kernel ends without unloading modules: kexec, panic, and the kernel
 * that kdump starts. The next system could not connect cleanly, or would have its memory written
 * to, without UNLOAD.
 *
 * After a panic no lock can be taken, and nothing need run but this CPU: UNLOAD is posted by hand,
 * past the engine, and the answer is looked for in the message slots of all CPUs, because it goes
 * to the one named at contact. Where that one is still alive it may be faster and take the answer
 * itself, so it is noted where both see it.
 */
#include <linux/delay.h>
#include <linux/nmi.h>
#include <linux/panic_notifier.h>
#include <linux/slab.h>
#include <asm/mshyperv.h>
#include <asm/msr.h>
#include "ports/linux/compat.h"
#include "ports/linux/vmbus_internal.h"

#define UNLOAD_POLL_MS	 10
#define UNLOAD_POLLS	 10000 /* a host may have to flush disks first */
#define UNLOAD_POLLS_OLD 500 /* one before 3.0 may do nothing and say nothing */

static struct vmb_synic_post
	*post; /* a page of its own: the send work may have died with the other half-filled */
static atomic_t begun;
static bool confirmed;

static bool is_unload_complete(const struct vmb_synic_message *message)
{
	const struct vmb_msg_header *header = (const void *)message->payload;

	return message->type == VMB_SYNIC_MESSAGE_VMBUS &&
	       message->payload_len >= sizeof(*header) && header->type == VMB_MSG_UNLOAD_COMPLETE;
}

bool vmbus_unload_begun(void)
{
	return atomic_read(&begun);
}

void vmbus_unload_saw(const struct vmb_synic_message *message)
{
	if (vmbus_unload_begun() && is_unload_complete(message))
		WRITE_ONCE(confirmed, true);
}

/*
 * Looks into one CPU's slot and empties it. That CPU may have emptied it in the same moment and
 * the host filled it again: hence the exchange. Present CPUs, not online ones: those that were
 * stopped are not online any more.
 */
static void poll_cpu(int cpu)
{
	struct vmb_synic_message_page *page = per_cpu_ptr(&vmbus_cpus, cpu)->messages;
	struct vmb_synic_message *slot, copy;
	u32 type;

	if (!page)
		return;
	slot = &page->slots[VMB_SYNIC_SINT_VMBUS];
	type = smp_load_acquire(&slot->type);
	if (!type)
		return;
	memcpy(&copy, slot, sizeof(copy));
	copy.type = type;
	if (cmpxchg(&slot->type, type, 0) == type &&
	    READ_ONCE(slot->flags) & VMB_SYNIC_FLAG_PENDING)
		wrmsrq(VMB_MSR_EOM, 0);
	vmbus_unload_saw(&copy);
}

static void poll_all(void)
{
	int cpu;

	for_each_present_cpu(cpu)
		poll_cpu(cpu);
}

static void await_answer(void)
{
	int i = vmbus.connect.version < VMB_VERSION_3_0 ? UNLOAD_POLLS_OLD : UNLOAD_POLLS;

	for (; i && !READ_ONCE(confirmed); i--) {
		poll_all();
		mdelay(UNLOAD_POLL_MS);
		touch_nmi_watchdog();
	}
}

/* Context: any, also the crashing CPU with everything else dead. */
static void unload_polling(void)
{
	struct vmb_msg_header *header = (void *)post->payload;
	int i;

	if (!vmbus.connected || vmbus.connect.state != VMB_GUEST_CONNECTED ||
	    atomic_xchg(&begun, 1))
		return;
	memset(post, 0, sizeof(*post));
	post->connection_id = vmbus.connect.message_connection_id;
	post->type = VMB_SYNIC_MESSAGE_VMBUS;
	post->payload_len = sizeof(*header);
	header->type = VMB_MSG_UNLOAD;
	for (i = 0; i < UNLOAD_POLLS && vmbus_synic_post(post) != VMB_HV_SUCCESS; i++) {
		poll_all(); /* the host may have no room because nobody listens */
		mdelay(1);
	}
	if (vmbus.connect.version >= VMB_VERSION_1_1) /* before, no answer exists */
		await_answer();
}

/* Before kexec: process context, all CPUs alive, devices shut down. */
static void on_kexec(void)
{
	mutex_lock(&vmbus.lock);
	vmbus.stopping = true;
	mutex_unlock(&vmbus.lock);
	vmbus_connect_stop();
	on_each_cpu(vmbus_synic_quiesce, NULL, 1);
}

/* Before the crash kernel starts: this CPU only. */
static void on_crash(struct pt_regs *regs)
{
	unload_polling();
	vmbus_synic_quiesce(NULL);
}

static int on_panic(struct notifier_block *block, unsigned long action, void *data)
{
	unload_polling();
	vmbus_panic_report(action);
	return NOTIFY_DONE;
}

/* The lowest priority: those who report the panic to the console or the host must run first. */
static struct notifier_block panic_block = {
	.notifier_call = on_panic,
	.priority = INT_MIN,
};

int vmbus_unload_init(void)
{
	post = (void *)get_zeroed_page(GFP_KERNEL);
	if (!post)
		return -ENOMEM;
	atomic_set(&begun, 0);
	confirmed = false;
	hv_setup_kexec_handler(on_kexec);
	hv_setup_crash_handler(on_crash);
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);
	vmbus_panic_init();
	return 0;
}

void vmbus_unload_exit(void)
{
	vmbus_panic_exit();
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_block);
	hv_remove_crash_handler();
	hv_remove_kexec_handler();
	free_page((unsigned long)post);
}
