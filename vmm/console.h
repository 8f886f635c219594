/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the guest's serial port ends: this program's terminal or a file.
 *
 * On a terminal every key goes to the guest, but for the escape key Ctrl-]: followed by q it stops the machine, by r it
 * resets it, by Ctrl-] it is a Ctrl-] for the guest, by anything else it prints these choices. The terminal's own
 * settings come back on every way out of the program.
 *
 *   vmb_vmm_console_open(&c, path)      NULL: standard input and output
 *   vmb_vmm_console_put(&c, byte)       any thread
 *   main thread: vmb_vmm_console_poll_fd() to poll, vmb_vmm_console_input() when readable, vmb_vmm_console_flush() when woken
 *   vmb_vmm_console_close(&c)
 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include <pthread.h>

#include "base/platform.h"

#define VMB_VMM_CONSOLE_ESCAPE	   0x1Du /* Ctrl-] */
#define VMB_VMM_CONSOLE_BUFFER_LEN 4096u

struct vmb_vmm_machine;

struct vmb_vmm_console {
	int in_fd; /* -1: no input, or no more */
	int out_fd;
	bool escaped; /* the escape key was the last one */
	int wake; /* eventfd: there is something to flush */
	pthread_mutex_t lock;
	uint8_t buffer[VMB_VMM_CONSOLE_BUFFER_LEN];
	uint32_t buffered_len;
};

int vmb_vmm_console_open(struct vmb_vmm_console *c, const char *path, int wake);
void vmb_vmm_console_close(struct vmb_vmm_console *c);

void vmb_vmm_console_put(struct vmb_vmm_console *c, uint8_t byte);
void vmb_vmm_console_flush(struct vmb_vmm_console *c);

/* The descriptor to poll for input, or -1: none, or the guest's queue is full. */
int vmb_vmm_console_poll_fd(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine);
void vmb_vmm_console_input(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine);

/* The terminal as it was found; also for those who run another program on it. */
void vmb_vmm_console_restore(void);

#endif
