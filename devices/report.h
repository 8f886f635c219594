/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the program says about itself: one line on standard error, "openvmbus: what and what to do".
 */
#ifndef DEVICES_REPORT_H
#define DEVICES_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The program's exit codes; --help and README name them.
 */
enum vmb_vmm_exit {
	VMB_VMM_EXIT_OFF = 0, /* the guest powered itself off */
	VMB_VMM_EXIT_FAILURE = 1, /* the host failed while it ran */
	VMB_VMM_EXIT_USAGE = 2, /* an option or an input file is invalid; nothing was started */
	VMB_VMM_EXIT_CRASH = 3, /* the guest reported a crash through the crash registers */
	VMB_VMM_EXIT_RESET = 4, /* the guest reset itself under --no-reboot */
	VMB_VMM_EXIT_TRIPLE_FAULT = 5, /* a virtual processor had a triple fault */
	VMB_VMM_EXIT_STOPPED = 6, /* the escape key or a signal stopped it */
	VMB_VMM_EXIT_CONFINED = 7, /* a thread did what its role does not need */
	VMB_VMM_EXIT_NO_SYSTEM = 8, /* the firmware found no system to start */
};

/*
 * Writes one line; adds the prefix and the line end. Control characters become question marks.
 * Any thread. Never waits: 64 KiB are kept for a
 * reader that pauses; what is said beyond that is lost, and a line says how much was.
 */
void vmb_dev_report(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Offers to the reader what was kept. Returns whether something is left. Any thread. */
bool vmb_dev_report_offer(void);
/* Offers it until it is taken, for ms milliseconds at most. Any thread. */
void vmb_dev_report_drain(int ms);
/*
 * To be called in a child after fork(), which has neither the parent's threads nor all of its
 * descriptors; and before a thread loses the right to open files. Drops what was kept.
 */
void vmb_dev_report_begin(void);
/*
 * From now on this thread's lines are copied to text (len bytes, without prefix and line end; the
 * first of several) and not written, until the next call with NULL. For requests that must say
 * themselves what went wrong.
 */
void vmb_dev_report_into(char *text, size_t len);

/*
 * For what a guest can cause again and again: returns whether it may be said now, which is so once
 * in 10 s. *next: 0 at first, and the caller's to serialise.
 */
bool vmb_dev_report_due(int64_t *next);

/* raw: whether the terminal is raw now, so that lines need a carriage return. */
void vmb_dev_report_raw(int raw);

#endif
