/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A guest that reports its crash: by five numbers in registers, or by a text of at most a page of
 * its memory, the last lines of its log. KVM knows the registers, but not that a text may be
 * behind them, so the control register's accesses come here instead, where KVM can do that.
 *
 * Source: docs/protocol/bus.md, "1.2 Synthetic MSRs".
 */
#ifndef VMM_CRASH_H
#define VMM_CRASH_H

#include "base/platform.h"

struct vmb_vmm_vcpu;
struct vmb_dev_memory;

/* What the control register says to a guest that reads it: it may report, and with a text. */
#define VMB_VMM_CRASH_CAN      (VMB_VMM_CRASH_NOTIFY | VMB_VMM_CRASH_TEXT)
#define VMB_VMM_CRASH_NOTIFY   (1ull << 63)
#define VMB_VMM_CRASH_TEXT     (1ull << 62)
#define VMB_VMM_CRASH_TEXT_MAX 4096u

/*
 * Has KVM ask for each access to the control register of all processors of this machine. vm: its
 * descriptor. A KVM that cannot (before 5.10) tells of the report itself, without a text. The main
 * thread, before the first processor is made.
 */
void vmb_vmm_crash_prepare(int vm);

/* KVM's exits for that register, and for a report that KVM tells of. The processor's thread. */
void vmb_vmm_crash_read(struct vmb_vmm_vcpu *v);
void vmb_vmm_crash_write(struct vmb_vmm_vcpu *v);
void vmb_vmm_crash_report(struct vmb_vmm_vcpu *v, uint64_t control);

/*
 * Says each line of the guest's text at gpa, VMB_VMM_CRASH_TEXT_MAX bytes of it at most, printable
 * characters only; nothing if it does not lie in memory.
 */
void vmb_vmm_crash_say(const struct vmb_dev_memory *memory, uint64_t gpa, uint64_t len);

#endif
