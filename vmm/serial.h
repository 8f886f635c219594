/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A serial port: a 16550A at the first PC port, without a modem, and without a line speed. What the
 * guest sends goes to the console at once, and while that is busy the transmitter is not empty;
 * what is typed waits in a queue that the guest sees as its FIFO. Context: any thread.
 */
#ifndef VMM_SERIAL_H
#define VMM_SERIAL_H

#include <pthread.h>

#include "base/platform.h"

#define VMB_VMM_SERIAL_PORT	  0x3F8u
#define VMB_VMM_SERIAL_PORT_COUNT 8u
#define VMB_VMM_SERIAL_QUEUE_LEN  1024u
#define VMB_VMM_SERIAL_ROOM_MIN	  256u /* the queue is filled again from this on */

struct vmb_vmm_machine;

struct vmb_vmm_serial {
	struct vmb_vmm_machine *machine;
	pthread_mutex_t lock;
	uint8_t interrupt_enable, line_control, modem_control, scratch, fifo_control;
	uint16_t divisor;
	bool sent; /* the guest was not told "transmitter empty" yet */
	bool line_raised;
	uint8_t queue[VMB_VMM_SERIAL_QUEUE_LEN];
	uint32_t first, count;
};

/* Prepares the port as after a reset. machine must outlive it. */
void vmb_vmm_serial_create(struct vmb_vmm_serial *s, struct vmb_vmm_machine *machine);
void vmb_vmm_serial_destroy(struct vmb_vmm_serial *s);

/*
 * Returns how many bytes fit into the queue now. The main thread is woken when that reaches
 * VMB_VMM_SERIAL_ROOM_MIN.
 */
uint32_t vmb_vmm_serial_room(struct vmb_vmm_serial *s);
/* Adds what was typed to the queue; what does not fit is lost. */
void vmb_vmm_serial_type(struct vmb_vmm_serial *s, const uint8_t *bytes, uint32_t len);
/* The console may be ready again: tells a guest that waits for an empty transmitter. */
void vmb_vmm_serial_resume(struct vmb_vmm_serial *s);

/* The functions of the ports; offset: the register. */
uint8_t vmb_vmm_serial_read(struct vmb_vmm_machine *machine, uint16_t offset);
void vmb_vmm_serial_write(struct vmb_vmm_machine *machine, uint16_t offset, uint8_t value);

#endif
