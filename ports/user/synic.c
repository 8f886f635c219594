// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Message slot, event flags and doorbells between two threads of one process, in place of a
 * hypervisor.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "ports/user/synic.h"

int vmb_user_synic_init(struct vmb_user_synic *s)
{
	memset(s, 0, sizeof(*s));
	s->guest_fd = eventfd(0, EFD_CLOEXEC);
	s->host_fd = eventfd(0, EFD_CLOEXEC);
	return s->guest_fd < 0 || s->host_fd < 0 ? VMB_ENOMEM : 0;
}

void vmb_user_synic_destroy(struct vmb_user_synic *s)
{
	close(s->guest_fd);
	close(s->host_fd);
}

/* The structure is packed, but this one stands aligned. */
static uint32_t *slot_type(struct vmb_user_synic *s)
{
	return (uint32_t *)(void *)&s->slot;
}

bool vmb_user_synic_is_free(struct vmb_user_synic *s)
{
	return !__atomic_load_n(slot_type(s), __ATOMIC_ACQUIRE);
}

bool vmb_user_synic_post(struct vmb_user_synic *s, const void *payload, uint32_t len)
{
	if (!vmb_user_synic_is_free(s))
		return false;
	memset(s->slot.payload, 0, sizeof(s->slot.payload));
	memcpy(s->slot.payload, payload, len);
	s->slot.payload_len = (uint8_t)len;
	__atomic_store_n(slot_type(s), VMB_SYNIC_MESSAGE_VMBUS, __ATOMIC_RELEASE);
	vmb_user_synic_kick(s->guest_fd);
	return true;
}

void vmb_user_synic_interrupt(struct vmb_user_synic *s, uint32_t flag)
{
	uint64_t bit = 1ull << flag % 64;

	if (__atomic_fetch_or(&s->flags[flag / 64], bit, __ATOMIC_SEQ_CST) & bit)
		return;
	__atomic_fetch_add(&s->guest_signals, 1, __ATOMIC_RELAXED);
	vmb_user_synic_kick(s->guest_fd);
}

uint32_t vmb_user_synic_take(struct vmb_user_synic *s, uint8_t payload[VMB_SYNIC_PAYLOAD_MAX])
{
	uint32_t len;

	if (vmb_user_synic_is_free(s))
		return 0;
	len = s->slot.payload_len;
	if (len > VMB_SYNIC_PAYLOAD_MAX)
		len = VMB_SYNIC_PAYLOAD_MAX;
	memcpy(payload, s->slot.payload, len);
	__atomic_store_n(slot_type(s), 0, __ATOMIC_SEQ_CST);
	return len;
}

bool vmb_user_synic_take_flag(struct vmb_user_synic *s, uint32_t flag)
{
	uint64_t bit = 1ull << flag % 64;

	if (!(__atomic_load_n(&s->flags[flag / 64], __ATOMIC_SEQ_CST) & bit))
		return false;
	return __atomic_fetch_and(&s->flags[flag / 64], ~bit, __ATOMIC_SEQ_CST) & bit;
}

void vmb_user_synic_signal(struct vmb_user_synic *s)
{
	__atomic_fetch_add(&s->host_signals, 1, __ATOMIC_RELAXED);
	vmb_user_synic_kick(s->host_fd);
}

void vmb_user_synic_kick(int fd)
{
	eventfd_write(fd, 1);
}

void vmb_user_synic_wait_monitor(int fd)
{
	struct timespec latency = { .tv_nsec = 100000 };
	struct pollfd wanted = { .fd = fd, .events = POLLIN };

	if (ppoll(&wanted, 1, &latency, NULL) > 0)
		vmb_user_synic_wait(fd);
}

void vmb_user_synic_wait(int fd)
{
	eventfd_t count;

	eventfd_read(fd, &count);
}
