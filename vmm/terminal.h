/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The terminal on standard input: raw while a machine has it, as it was found on every way out of the program.
 *
 * The terminal is only touched while it is ours: a job in the background of a shell leaves it alone, reads nothing from it,
 * and is not stopped for either. A stop (SIGTSTP, SIGSTOP) gives it back, SIGCONT takes it again.
 *
 *   vmb_vmm_terminal_open()      before the machine starts
 *   vmb_vmm_terminal_suspend(), vmb_vmm_terminal_resume() for SIGTSTP and SIGCONT
 *   vmb_vmm_terminal_restore()
 *
 * Context: any thread, one at a time but for _is_raw and _is_ours.
 */
#ifndef VMM_TERMINAL_H
#define VMM_TERMINAL_H

#include <stdbool.h>

/* Nothing happens when standard input is no terminal. */
void vmb_vmm_terminal_open(void);
void vmb_vmm_terminal_restore(void);

/* Standard input is raw: the escape key counts. */
bool vmb_vmm_terminal_is_raw(void);
/* Standard input may be read: it is no terminal, or we are in its foreground. */
bool vmb_vmm_terminal_is_ours(void);

/* Stops the program, as SIGTSTP does to one that does not catch it; returns when it goes on. */
void vmb_vmm_terminal_suspend(void);
/* Raw again, if it should be and is ours. Also for a job that was brought to the foreground: no signal says so. */
void vmb_vmm_terminal_resume(void);

#endif
