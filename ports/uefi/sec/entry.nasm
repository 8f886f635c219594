; SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
;
; The first instructions: the host comes here in 64-bit mode, with page tables of its own, and
; without a stack that could be trusted.

DEFAULT REL
SECTION .text

STACK_TOP equ 0x80000 ; as the genuine firmware has it; below is free RAM

extern ASM_PFX(vmb_sec_main)
global ASM_PFX(_ModuleEntryPoint)

ASM_PFX(_ModuleEntryPoint):
	mov rsp, STACK_TOP
	xor ebp, ebp
	cld
	call ASM_PFX(vmb_sec_main)
.halt:
	cli
	hlt
	jmp .halt
