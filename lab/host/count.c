// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A plugin for the QEMU that is the nest: counts the instructions of the guest inside, without
 * those of the nest's own kernel and of the machine monitor.
 *
 * The nest's only CPU enters its guest with VMRUN and is back at the instruction behind it. So what
 * ran from a VMRUN until the block that begins there is the guest's. The counters are added to in
 * line, one for each half of the address space: programs below, the kernel above.
 *
 * The guest says when, by executing a NOP with a number in it: lab/guest/count-mark.S. Then a line
 * with what was counted since the nest started goes to FILE:
 *
 *   mark NUMBER user INSTRUCTIONS kernel INSTRUCTIONS entries VMRUNS
 *
 * Use: -plugin count.so,out=FILE. QEMU 7.2's plugin interface is declared here as far as it is
 * used, because Debian has no package with its header.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t qemu_plugin_id_t;

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*call)(qemu_plugin_id_t id,
							struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*call)(unsigned int cpu, void *data), int flags,
					  void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*call)(unsigned int cpu, void *data), int flags,
					    void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op,
						void *counter, uint64_t add);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *insn);

#define EXPORT	  __attribute__((visibility("default")))
#define NO_REGS	  0
#define ADD_U64	  0
#define VMRUN_MAX 8 /* places in a kernel that have the instruction */

EXPORT int qemu_plugin_version = 1;

enum half { USER, KERNEL, HALF_COUNT };

static uint64_t executed[HALF_COUNT]; /* by everybody */
static uint64_t entered_at[HALF_COUNT]; /* executed, when the guest was entered last */
static uint64_t guest[HALF_COUNT];
static uint64_t entries;
static bool inside;
static const uint8_t *behind_vmrun[VMRUN_MAX]; /* where the nest goes on after its guest */
static FILE *out;

static void enter(unsigned int cpu, void *data)
{
	memcpy(entered_at, executed, sizeof(executed));
	inside = true;
	entries++;
}

static void add_up(void)
{
	int half;

	for (half = 0; half < HALF_COUNT; half++)
		guest[half] += executed[half] - entered_at[half];
	memcpy(entered_at, executed, sizeof(executed));
}

static void leave(unsigned int cpu, void *data)
{
	if (inside)
		add_up();
	inside = false;
}

static void mark(unsigned int cpu, void *data)
{
	if (inside)
		add_up();
	fprintf(out, "mark %u user %llu kernel %llu entries %llu\n", (unsigned int)(uintptr_t)data,
		(unsigned long long)guest[USER], (unsigned long long)guest[KERNEL],
		(unsigned long long)entries);
	fflush(out);
}

static void remember_vmrun(const uint8_t *behind)
{
	int i;

	for (i = 0; i < VMRUN_MAX; i++) {
		if (behind_vmrun[i] == behind)
			return;
		if (!behind_vmrun[i]) {
			behind_vmrun[i] = behind;
			return;
		}
	}
}

static bool is_behind_vmrun(const uint8_t *at)
{
	int i;

	for (i = 0; i < VMRUN_MAX && behind_vmrun[i]; i++)
		if (behind_vmrun[i] == at)
			return true;
	return false;
}

static void see_insn(struct qemu_plugin_insn *insn)
{
	static const uint8_t vmrun[] = { 0x0f, 0x01, 0xd8 };
	static const uint8_t nop[] = { 0x0f, 0x1f, 0x84, 0x00 };
	static const uint8_t magic[] = { 0x4d, 0x56 };
	const uint8_t *bytes = qemu_plugin_insn_data(insn);
	size_t size = qemu_plugin_insn_size(insn);
	enum half half = qemu_plugin_insn_vaddr(insn) >> 63 ? KERNEL : USER;

	qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &executed[half], 1);
	if (size == sizeof(vmrun) && !memcmp(bytes, vmrun, size)) {
		remember_vmrun((const uint8_t *)qemu_plugin_insn_haddr(insn) + size);
		qemu_plugin_register_vcpu_insn_exec_cb(insn, enter, NO_REGS, NULL);
	} else if (size == 8 && !memcmp(bytes, nop, sizeof(nop)) &&
		   !memcmp(bytes + 6, magic, sizeof(magic))) {
		qemu_plugin_register_vcpu_insn_exec_cb(
			insn, mark, NO_REGS, (void *)(uintptr_t)(bytes[4] | bytes[5] << 8));
	}
}

static void see_block(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t i, count = qemu_plugin_tb_n_insns(tb);

	if (count && is_behind_vmrun(qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(tb, 0))))
		qemu_plugin_register_vcpu_tb_exec_cb(tb, leave, NO_REGS, NULL);
	for (i = 0; i < count; i++)
		see_insn(qemu_plugin_tb_get_insn(tb, i));
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	out = fopen(argv[0] + 4, "w");
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, see_block);
	return 0;
}
