// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Answers the hypercalls that KVM hands to user space: messages to the host, and signals without a
 * doorbell.
 */
#include "devices/bus.h"
#include "vmm/hypercall.h"
#include "vmm/machine.h"

#define CODE(input)	((uint32_t)((input)&0xFFFF))
#define CONNECTION_MASK 0x00FFFFFFu

/* The block is copied once: other processors of the guest may write to it at the same time. */
static uint32_t post_message(struct vmb_vmm_vcpu *v, uint64_t input, uint64_t gpa)
{
	struct vmb_synic_post post;

	if (input & VMB_HYPERCALL_FAST)
		return VMB_HV_INVALID_HYPERCALL_INPUT;
	if (gpa % 8 || gpa % VMB_PAGE_LEN > VMB_PAGE_LEN - sizeof(post) ||
	    !vmb_dev_memory_read(&v->machine->dev.memory, gpa, &post, sizeof(post)))
		return VMB_HV_INVALID_ALIGNMENT;
	if (post.payload_len > sizeof(post.payload) || !post.type || post.type >> 31)
		return VMB_HV_INVALID_PARAMETER;
	return vmb_dev_bus_post(v->machine->vmbus, post.connection_id & CONNECTION_MASK, &post);
}

/*
 * Every open channel has a doorbell, so a signal that arrives here names a connection that does not
 * exist. What its parameter means depends on the kernel's version (address or contents); the answer
 * does not.
 */
void vmb_vmm_hypercall_exit(struct vmb_vmm_vcpu *v, struct kvm_hyperv_exit *exit)
{
	uint64_t input = exit->u.hcall.input;
	uint32_t status = VMB_HV_INVALID_HYPERCALL_CODE;

	if (CODE(input) == VMB_HYPERCALL_POST_MESSAGE)
		status = post_message(v, input, exit->u.hcall.params[0]);
	else if (CODE(input) == VMB_HYPERCALL_SIGNAL_EVENT)
		status = VMB_HV_INVALID_CONNECTION_ID;
	exit->u.hcall.result = status;
}
