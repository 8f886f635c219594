// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Takes the report of a guest that crashed, and passes on what it says. The guest's numbers and
 * text are its own: they are said, and nothing is done by them.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "devices/report.h"
#include "devices/uefi/device.h"
#include "vmm/control.h"
#include "vmm/crash.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

#define WORDS 5u

void vmb_vmm_crash_prepare(int vm)
{
	struct kvm_enable_cap exits = { .cap = KVM_CAP_X86_USER_SPACE_MSR,
					.args = { KVM_MSR_EXIT_REASON_FILTER } };
	uint8_t denied[8] = { 0 }; /* a bit for each register, padded as KVM reads it */
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges[0] = { .flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			       .base = VMB_MSR_CRASH_CTL,
			       .nmsrs = 1,
			       .bitmap = denied },
	};

	if (!ioctl(vm, KVM_ENABLE_CAP, &exits))
		ioctl(vm, KVM_X86_SET_MSR_FILTER, &filter);
}

/* Its control characters would reach a terminal. */
static void say_line(char *line)
{
	size_t len = 0;

	for (size_t i = 0; line[i]; i++)
		if (line[i] >= ' ' && line[i] <= '~')
			line[len++] = line[i];
	line[len] = 0;
	if (len)
		vmb_dev_report("guest: %s", line);
}

void vmb_vmm_crash_say(const struct vmb_dev_memory *memory, uint64_t gpa, uint64_t len)
{
	char text[VMB_VMM_CRASH_TEXT_MAX + 1], *rest = text, *line;

	len = len < VMB_VMM_CRASH_TEXT_MAX ? len : VMB_VMM_CRASH_TEXT_MAX;
	if (!vmb_dev_memory_read(memory, gpa, text, len))
		return;
	text[len] = 0;
	while ((line = strsep(&rest, "\n")))
		say_line(line);
}

static void get_words(struct vmb_vmm_vcpu *v, unsigned long long word[WORDS])
{
	uint64_t room[(sizeof(struct kvm_msrs) + WORDS * sizeof(struct kvm_msr_entry)) / 8] = { 0 };
	struct kvm_msrs *msrs = (void *)room;

	msrs->nmsrs = WORDS;
	for (uint32_t i = 0; i < WORDS; i++)
		msrs->entries[i].index = VMB_MSR_CRASH_CTL - WORDS + i;
	if (ioctl(v->fd, KVM_GET_MSRS, msrs) == WORDS)
		for (uint32_t i = 0; i < WORDS; i++)
			word[i] = msrs->entries[i].data;
}

/*
 * The five parameters are the guest's own words; Linux puts error, guest id, and three registers
 * there, or address and length of its text into the last two.
 */
void vmb_vmm_crash_report(struct vmb_vmm_vcpu *v, uint64_t control)
{
	unsigned long long word[WORDS] = { 0 };

	if (!vmb_vmm_power_crash(v->machine))
		return;
	vmb_vmm_control_event(v->machine->control, "crashed", NULL);
	get_words(v, word);
	if (v->machine->uefi)
		vmb_dev_uefi_crashed(v->machine->uefi, word[3], word[4]);
	vmb_dev_report("the guest crashed: %#llx %#llx %#llx %#llx %#llx; %s", word[0], word[1],
		       word[2], word[3], word[4],
		       control & VMB_VMM_CRASH_TEXT ? "the end of its log follows" :
						      "its console says why");
	if (control & VMB_VMM_CRASH_TEXT)
		vmb_vmm_crash_say(&v->machine->dev.memory, word[3], word[4]);
}

void vmb_vmm_crash_read(struct vmb_vmm_vcpu *v)
{
	v->run->msr.data = VMB_VMM_CRASH_CAN;
	v->run->msr.error = v->run->msr.index != VMB_MSR_CRASH_CTL;
}

void vmb_vmm_crash_write(struct vmb_vmm_vcpu *v)
{
	v->run->msr.error = v->run->msr.index != VMB_MSR_CRASH_CTL;
	if (!v->run->msr.error && v->run->msr.data & VMB_VMM_CRASH_NOTIFY)
		vmb_vmm_crash_report(v, v->run->msr.data);
}
