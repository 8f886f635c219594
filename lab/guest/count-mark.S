# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# count-mark: executes the NOP that lab/host/count.c takes for mark NUMBER, and ends.
# gcc -nostdlib -static -DNUMBER=1

	.globl _start
_start:
	.byte 0x0f, 0x1f, 0x84, 0x00
	.short NUMBER
	.byte 0x4d, 0x56
	mov $60, %eax
	xor %edi, %edi
	syscall
