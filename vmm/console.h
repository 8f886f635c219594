/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the guest's serial port ends: this program's terminal or a file.
 *
 * On a terminal every key goes to the guest, but for the escape key Ctrl-]: followed by q it stops the machine, by r it
 * resets it, by Ctrl-] it is a Ctrl-] for the guest, by anything else it prints these choices.
 *
 * What the guest prints goes through a buffer of 1 MiB that a thread of its own writes out, so nobody else ever waits for
 * the reader: no processor, no lock, and not the end of the machine. A full buffer makes the port busy, and the guest waits
 * in its own way. A reader that then takes nothing for 5 seconds is not waited for any longer: what the guest prints is
 * dropped and counted, until the reader takes something again. At the end it has 1 second, or 4 while it goes on reading.
 *
 *   vmb_vmm_console_open(&c, path, wake)   NULL: standard input and output; changes nothing yet
 *   vmb_vmm_console_start(&c)
 *   vmb_vmm_console_put(&c, byte)          any thread
 *   main thread: vmb_vmm_console_poll_fd() to poll, vmb_vmm_console_input() when readable, vmb_vmm_console_watch() in each
 *   round and once a second
 *   vmb_vmm_console_close(&c)
 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include <pthread.h>

#include "base/platform.h"

#define VMB_VMM_CONSOLE_ESCAPE	   0x1Du /* Ctrl-] */
#define VMB_VMM_CONSOLE_BUFFER_LEN (1u << 20)
#define VMB_VMM_CONSOLE_PATIENCE   5000 /* milliseconds that a full buffer holds the guest up */

struct vmb_vmm_machine;

struct vmb_vmm_console {
	int in_fd; /* -1: no input, or no more */
	int out_fd;
	const char *path; /* NULL: standard output */
	bool escaped; /* the escape key was the last one */
	int wake; /* eventfd: there is room again */
	pthread_t writer;
	bool started;

	pthread_mutex_t lock;
	pthread_cond_t filled; /* or ending */
	bool ending;
	bool full; /* until a quarter is free again */
	bool given_up; /* the reader took nothing for too long */
	bool gone; /* nobody will ever read */
	bool failed; /* a write failed, and it was said */
	int64_t moved_at; /* milliseconds: bytes were taken, or the buffer was empty */
	uint64_t dropped;
	uint32_t first, count; /* of buffer */
	uint8_t buffer[VMB_VMM_CONSOLE_BUFFER_LEN];
};

/* 0, or -errno: reported. Nothing is created or changed yet. */
int vmb_vmm_console_open(struct vmb_vmm_console *c, const char *path, int wake);
/* Makes or empties the file, makes the terminal raw, and begins to write. 0, or -errno: reported. */
int vmb_vmm_console_start(struct vmb_vmm_console *c);
/* What was printed is written out, as far as its reader takes it; the terminal is as it was found. Says what was lost. */
void vmb_vmm_console_close(struct vmb_vmm_console *c);

void vmb_vmm_console_put(struct vmb_vmm_console *c, uint8_t byte);
/* The buffer is full, and the guest is asked to wait. */
bool vmb_vmm_console_busy(struct vmb_vmm_console *c);
/* Waits until what was printed so far is written out, with the limits of the end. */
void vmb_vmm_console_drain(struct vmb_vmm_console *c);

/* The descriptor to poll for input, or -1: none, or the guest's queue is full, or the terminal is another's now. */
int vmb_vmm_console_poll_fd(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine);
void vmb_vmm_console_input(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine);
/* Tells the guest's port when it can go on, and takes the terminal when it has become ours. */
void vmb_vmm_console_watch(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine);

#endif
