/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the guest's serial port ends: this program's terminal, a file, or a socket; or two of them
 * at once, which get the same and may both type.
 *
 * On a socket one client at a time reads and types. While there is none the newest 1 MiB is kept
 * for the next, and the guest never waits. A client that goes leaves what it did not read for the
 * next one.
 *
 * On a terminal every key goes to the guest, except the escape key Ctrl-]. Ctrl-] q stops the
 * machine, Ctrl-] r resets it, Ctrl-] Ctrl-] sends one Ctrl-] to the guest, and any other key
 * prints these choices.
 *
 * What the guest prints goes through a buffer of 1 MiB. A thread of its own writes it out, so
 * nothing else ever waits for the reader: no virtual processor, no lock, and not the end of the
 * machine. A full buffer makes the port busy, and the guest waits in its own way. If the reader
 * then takes nothing for 5 seconds, what the guest prints is dropped and counted until the reader
 * goes on. At the end the reader has 1 second, or 4 while it goes on reading.
 *
 *   vmb_vmm_console_open(&c, path, wake)   NULL: standard input and output; changes nothing yet
 *   vmb_vmm_console_start(&c)
 *   vmb_vmm_console_put(&c, byte)          any thread
 *   main thread: vmb_vmm_console_poll_fd() to poll, vmb_vmm_console_input() when readable,
 *     vmb_vmm_console_watch() in each round and once a second
 *   vmb_vmm_console_close(&c)
 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include <pthread.h>

#include "base/platform.h"
#include "devices/socket.h"

#define VMB_VMM_CONSOLE_ESCAPE	   0x1Du /* Ctrl-] */
#define VMB_VMM_CONSOLE_BUFFER_LEN (1u << 20)
#define VMB_VMM_CONSOLE_SOCKET	   "unix:"
#define VMB_VMM_CONSOLE_PATIENCE   5000 /* milliseconds that a full buffer holds the guest up */

struct vmb_vmm_machine;

struct vmb_vmm_console {
	int in_fd; /* -1: no input, or no more */
	int out_fd;
	const char *path; /* NULL: standard output */
	struct vmb_vmm_console *also; /* gets the same; NULL: none */
	bool is_socket; /* in_fd is that of the client */
	struct vmb_dev_socket socket;
	bool escaped; /* the escape key was the last one */
	int wake; /* eventfd: there is room again */
	pthread_t writer;
	bool started;

	pthread_mutex_t lock;
	pthread_cond_t filled; /* or ending */
	bool ending;
	bool hangs_up; /* the writer lets go of the client of a socket */
	bool full; /* until a quarter is free again */
	bool given_up; /* the reader took nothing for too long */
	bool gone; /* no one will ever read */
	bool failed; /* a write failed, which was reported */
	int64_t drain_since; /* milliseconds; 0: not yet. All waits at the end share one limit */
	int64_t moved_at; /* milliseconds: bytes were taken, or the buffer was empty */
	uint64_t dropped;
	uint32_t first, count; /* of buffer */
	uint8_t buffer[VMB_VMM_CONSOLE_BUFFER_LEN];
};

/*
 * path: NULL, a file, or VMB_VMM_CONSOLE_SOCKET and a path. Returns 0, or -errno: reported. Creates
 * and changes nothing yet.
 */
int vmb_vmm_console_open(struct vmb_vmm_console *c, const char *path, int wake);
/*
 * Creates or empties the file, makes the terminal raw, and starts the writer. Returns 0, or -errno:
 * reported.
 */
int vmb_vmm_console_start(struct vmb_vmm_console *c);
/*
 * Writes out the rest as far as the reader takes it, restores the terminal, and reports what was
 * lost.
 */
void vmb_vmm_console_close(struct vmb_vmm_console *c);

/*
 * Adds a byte to the buffer, or drops and counts it when the buffer is full. Any thread; never
 * waits.
 */
void vmb_vmm_console_put(struct vmb_vmm_console *c, uint8_t byte);
/* Returns whether the buffer is full, so that the guest must wait. */
bool vmb_vmm_console_busy(struct vmb_vmm_console *c);
/* Waits until what was printed so far is written out, with the same limits as at the end. */
void vmb_vmm_console_drain(struct vmb_vmm_console *c);

/*
 * Returns the descriptor to poll for input. Returns -1 if there is none, if the guest's queue is
 * full, if another process has the terminal now, or if no client can be taken for a moment: then
 * *timeout_ms, -1 for none, is lowered to when one can.
 */
int vmb_vmm_console_poll_fd(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine,
			    int *timeout_ms);
/*
 * Reads what was typed, and gives it to the guest's port. The main thread, when the descriptor is
 * readable.
 */
void vmb_vmm_console_input(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine);
/*
 * Tells the guest's port when it can go on, and makes the terminal raw when this program is in its
 * foreground again.
 */
void vmb_vmm_console_watch(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine);

#endif
