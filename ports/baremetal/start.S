/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The PVH entry: 32-bit protected mode without paging, EBX names the start structure. Maps the first
 * 4 GiB at themselves, goes to long mode and calls vmb_metal_main(start structure). Sources: Xen's
 * pvh.pandoc, and elfnote.h for the note's number.
 */
#define NOTE_PHYS32_ENTRY 18
#define PAGE_PRESENT_WRITABLE 0x3
#define PAGE_LARGE 0x83
#define CR4_PAE (1 << 5)
#define CR0_PAGING (1 << 31)
#define MSR_EFER 0xC0000080
#define EFER_LONG_MODE (1 << 8)

	.section .note.pvh, "a", @note
	.align 4
	.long 4, 4, NOTE_PHYS32_ENTRY
	.asciz "Xen"
	.long entry

	.section .bss
	.align 4096
root_table:
	.skip 4096
upper_table:
	.skip 4096
lower_tables:
	.skip 4 * 4096
	.skip 65536
stack_end:

	.section .rodata
	.align 8
segments:
	.quad 0
	.quad 0x00AF9B000000FFFF /* 64-bit code */
	.quad 0x00CF93000000FFFF /* data */
segments_pointer:
	.word . - segments - 1
	.long segments

	.text
	.code32
	.globl entry
entry:
	cli
	movl $stack_end, %esp
	movl %ebx, %edi
	movl $root_table, %eax
	movl $upper_table + PAGE_PRESENT_WRITABLE, (%eax)
	movl $lower_tables + PAGE_PRESENT_WRITABLE, %eax
	xorl %ecx, %ecx
1:	movl %eax, upper_table(, %ecx, 8)
	addl $4096, %eax
	incl %ecx
	cmpl $4, %ecx
	jb 1b
	movl $PAGE_LARGE, %eax
	xorl %ecx, %ecx
2:	movl %eax, lower_tables(, %ecx, 8)
	addl $0x200000, %eax
	incl %ecx
	cmpl $2048, %ecx
	jb 2b
	movl %cr4, %eax
	orl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $root_table, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_LONG_MODE, %eax
	wrmsr
	movl %cr0, %eax
	orl $CR0_PAGING, %eax
	movl %eax, %cr0
	lgdt segments_pointer
	ljmp $8, $long_mode

	.code64
long_mode:
	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %edi, %edi
	call vmb_metal_main
3:	cli
	hlt
	jmp 3b

/*
 * The host's interrupt only ends the halt: whoever waits looks at the SynIC's pages. The end of the
 * interrupt is written to the local APIC; where the host has ended it by itself (AutoEOI), that
 * does nothing.
 */
	.globl vmb_metal_interrupt
vmb_metal_interrupt:
	pushq %rax
	movl $0xFEE000B0, %eax
	movl $0, (%rax)
	popq %rax
	iretq

/* vmb_metal_hypercall(page, control, input): through the page that the hypervisor filled in. */
	.globl vmb_metal_hypercall
vmb_metal_hypercall:
	movq %rdi, %rax
	movq %rsi, %rcx
	xorl %r8d, %r8d /* no output */
	jmp *%rax

	.section .note.GNU-stack, "", @progbits
