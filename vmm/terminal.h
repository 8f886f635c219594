/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The terminal on standard input: raw while a machine uses it, and restored on every way out of the
 * program.
 *
 * The terminal is touched only while this program is in its foreground. A background job of a shell
 * leaves it alone and reads nothing from it, and is not stopped for trying. A stop (SIGTSTP,
 * SIGSTOP) gives it back, SIGCONT takes it again.
 *
 *   vmb_vmm_terminal_open()      before the machine starts
 *   vmb_vmm_terminal_suspend(), vmb_vmm_terminal_resume() for SIGTSTP and SIGCONT
 *   vmb_vmm_terminal_restore()
 *
 * Context: any thread, one at a time, except _is_raw and _is_ours.
 */
#ifndef VMM_TERMINAL_H
#define VMM_TERMINAL_H

#include <stdbool.h>

/* These do nothing if standard input is no terminal. */
void vmb_vmm_terminal_open(void);
void vmb_vmm_terminal_restore(void);

/* Returns whether standard input is raw, so that the escape key counts. */
bool vmb_vmm_terminal_is_raw(void);
/*
 * Returns whether standard input may be read: it is no terminal, or this program is in its
 * foreground.
 */
bool vmb_vmm_terminal_is_ours(void);

/* Stops the program, as SIGTSTP does to one that does not catch it; returns when it goes on. */
void vmb_vmm_terminal_suspend(void);
/*
 * Makes the terminal raw again, if it should be and this program is in its foreground. Also called
 * to find out whether it was brought to the foreground, since no signal says so.
 */
void vmb_vmm_terminal_resume(void);

#endif
