// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Writes messages and event flags into the guest's SynIC pages and raises the interrupt. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/report.h"
#include "vmm/synic.h"

#define PAGE_GPA(reg) ((reg) & ~(uint64_t)(VMB_PAGE_LEN - 1))

int vmb_vmm_synic_create(struct vmb_vmm_synic *s, struct vmb_vmm_kvm *k,
			 const struct vmb_dev_memory *m, uint32_t vp, int ack)
{
	s->memory = m;
	s->control = VMB_MSR_ENABLE;
	s->event_page = s->message_page = 0;
	s->irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->irq < 0) {
		vmb_dev_report("eventfd: %s", strerror(errno));
		return -errno;
	}
	return vmb_vmm_kvm_irqfd(k, s->irq, VMB_VMM_GSI_SINT(vp), ack);
}

void vmb_vmm_synic_destroy(struct vmb_vmm_synic *s)
{
	if (s->irq >= 0)
		close(s->irq);
	s->irq = -1;
}

static void raise_irq(struct vmb_vmm_synic *s)
{
	uint64_t one = 1;

	/* A full counter is an interrupt under way already. */
	if (write(s->irq, &one, sizeof(one)) < 0)
		return;
}

/* KVM leaves the pages as they are, and stale memory would look like an occupied slot. */
static void move_page(const struct vmb_dev_memory *m, uint64_t *reg, uint64_t value)
{
	bool moved = (value & VMB_MSR_ENABLE) &&
		     (!(*reg & VMB_MSR_ENABLE) || PAGE_GPA(*reg) != PAGE_GPA(value));
	void *page = vmb_dev_memory_at(m, PAGE_GPA(value), VMB_PAGE_LEN);

	if (moved && page)
		memset(page, 0, VMB_PAGE_LEN);
	__atomic_store_n(reg, value, __ATOMIC_RELEASE);
}

void vmb_vmm_synic_exit(struct vmb_vmm_synic *s, const struct kvm_hyperv_exit *exit)
{
	__atomic_store_n(&s->control, exit->u.synic.control, __ATOMIC_RELEASE);
	move_page(s->memory, &s->event_page, exit->u.synic.evt_page);
	move_page(s->memory, &s->message_page, exit->u.synic.msg_page);
}

/*
 * Returns the address of len bytes at offset of a page, or NULL if the guest has not enabled the
 * page.
 */
static void *page_at(const struct vmb_vmm_synic *s, const uint64_t *reg, uint32_t offset,
		     uint32_t len)
{
	uint64_t value = __atomic_load_n(reg, __ATOMIC_ACQUIRE);
	uint64_t control = __atomic_load_n(&s->control, __ATOMIC_ACQUIRE);

	if (!(control & VMB_MSR_ENABLE) || !(value & VMB_MSR_ENABLE))
		return NULL;
	return vmb_dev_memory_at(s->memory, PAGE_GPA(value) + offset, len);
}

/*
 * An occupied slot: ask for an acknowledgement, then look again. Without the second look a guest
 * that freed the slot before it could see the flag would never acknowledge. type: the slot's first
 * word.
 */
static bool slot_is_busy(uint32_t *type)
{
	struct vmb_synic_message *slot = (void *)type;

	if (!vmb_load_acquire_u32(type))
		return false;
	__atomic_store_n(&slot->flags, VMB_SYNIC_FLAG_PENDING, __ATOMIC_RELAXED);
	vmb_full_barrier();
	return vmb_load_acquire_u32(type);
}

int vmb_vmm_synic_post(struct vmb_vmm_synic *s, uint32_t sint, const void *payload, uint32_t len)
{
	struct vmb_synic_message message = { .payload_len = len };
	uint32_t *type;

	if (sint >= VMB_SYNIC_SLOT_COUNT || len > sizeof(message.payload))
		return VMB_ENODEV;
	type = page_at(s, &s->message_page, sint * sizeof(message), sizeof(message));
	if (!type)
		return VMB_ENODEV;
	if (slot_is_busy(type))
		return VMB_EAGAIN;
	memcpy(message.payload, payload, len);
	vmb_shared_write(type + 1, &message.payload_len, sizeof(message) - sizeof(*type));
	/* The guest looks at the type first: nothing of the message may come after it. */
	vmb_store_release_u32(type, VMB_SYNIC_MESSAGE_VMBUS);
	/*
	 * Other SINTs have no interrupt route: a guest that uses one polls, or finds the message at
	 * the next interrupt.
	 */
	if (sint == VMB_SYNIC_SINT_VMBUS)
		raise_irq(s);
	return 0;
}

void vmb_vmm_synic_signal(struct vmb_vmm_synic *s, uint32_t flag)
{
	uint32_t area = VMB_SYNIC_SINT_VMBUS * (VMB_SYNIC_FLAG_COUNT / 8);
	uint8_t bit = 1u << flag % 8;
	uint8_t *byte;

	if (flag >= VMB_SYNIC_FLAG_COUNT)
		return;
	byte = page_at(s, &s->event_page, area + flag / 8, 1);
	if (byte && !(__atomic_fetch_or(byte, bit, __ATOMIC_SEQ_CST) & bit))
		raise_irq(s);
}
