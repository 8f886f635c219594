// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Emulates the 16550A serial port that the guest uses as its console. */
#include <string.h>

#include "vmm/console.h"
#include "vmm/machine.h"
#include "vmm/serial.h"

enum reg {
	DATA,
	INTERRUPT_ENABLE,
	IDENTIFICATION,
	LINE_CONTROL,
	MODEM_CONTROL,
	LINE_STATUS,
	MODEM_STATUS,
	SCRATCH
};

#define INTERRUPT_RECEIVED  0x1u
#define INTERRUPT_SENT	    0x2u
#define INTERRUPT_MASK	    0xFu
#define IDENTIFY_NONE	    0x1u
#define IDENTIFY_SENT	    0x2u
#define IDENTIFY_RECEIVED   0x4u
#define IDENTIFY_FIFO	    0xC0u
#define FIFO_ENABLE	    0x1u
#define FIFO_CLEAR_RECEIVED 0x2u
#define LINE_DIVISOR	    0x80u
#define MODEM_LOOP	    0x10u
#define MODEM_MASK	    0x1Fu
#define STATUS_RECEIVED	    0x1u
#define STATUS_SENDER_EMPTY 0x60u
#define STATUS_LINE_UP	    0xB0u /* carrier, data set ready, clear to send */
#define QUEUE_HIGH	    (VMB_VMM_SERIAL_QUEUE_LEN - VMB_VMM_SERIAL_ROOM_MIN)

static bool sender_is_empty(const struct vmb_vmm_serial *s)
{
	return !vmb_vmm_console_busy(s->machine->console);
}

static uint8_t identification(const struct vmb_vmm_serial *s)
{
	uint8_t fifo = s->fifo_control & FIFO_ENABLE ? IDENTIFY_FIFO : 0;

	if ((s->interrupt_enable & INTERRUPT_RECEIVED) && s->count)
		return fifo | IDENTIFY_RECEIVED;
	if ((s->interrupt_enable & INTERRUPT_SENT) && s->sent && sender_is_empty(s))
		return fifo | IDENTIFY_SENT;
	return fifo | IDENTIFY_NONE;
}

static void update_line(struct vmb_vmm_serial *s)
{
	bool raise = !(identification(s) & IDENTIFY_NONE);

	if (raise != s->line_raised)
		vmb_vmm_kvm_irq(s->machine->kvm, VMB_VMM_GSI_SERIAL, raise);
	s->line_raised = raise;
}

static void push(struct vmb_vmm_serial *s, uint8_t byte)
{
	if (s->count == VMB_VMM_SERIAL_QUEUE_LEN)
		return;
	s->queue[(s->first + s->count++) % VMB_VMM_SERIAL_QUEUE_LEN] = byte;
}

/* The main thread does not fill the queue while there is little room, so wake it now. */
static void shrink(struct vmb_vmm_serial *s, uint32_t count)
{
	if (s->count > QUEUE_HIGH && count <= QUEUE_HIGH)
		vmb_vmm_machine_wake(s->machine);
	s->count = count;
}

static uint8_t pop(struct vmb_vmm_serial *s)
{
	uint8_t byte;

	if (!s->count)
		return 0;
	byte = s->queue[s->first];
	s->first = (s->first + 1) % VMB_VMM_SERIAL_QUEUE_LEN;
	shrink(s, s->count - 1);
	return byte;
}

/* In loop-back the modem's outputs come back as its inputs: the guest's test for a port. */
static uint8_t modem_status(const struct vmb_vmm_serial *s)
{
	uint8_t out = s->modem_control;

	if (!(out & MODEM_LOOP))
		return STATUS_LINE_UP;
	return (out & 0x2) << 3 | (out & 0x1) << 5 | (out & 0x4) << 4 | (out & 0x8) << 4;
}

static void send(struct vmb_vmm_serial *s, uint8_t byte)
{
	if (s->modem_control & MODEM_LOOP)
		push(s, byte);
	else
		vmb_vmm_console_put(s->machine->console, byte);
	s->sent = true;
}

static uint8_t read_register(struct vmb_vmm_serial *s, uint16_t offset)
{
	bool divisor = s->line_control & LINE_DIVISOR;
	uint8_t value;

	switch (offset) {
	case DATA: return divisor ? s->divisor & 0xFF : pop(s);
	case INTERRUPT_ENABLE: return divisor ? s->divisor >> 8 : s->interrupt_enable;
	case IDENTIFICATION:
		value = identification(s);
		if ((value & ~IDENTIFY_FIFO) == IDENTIFY_SENT)
			s->sent = false;
		return value;
	case LINE_CONTROL: return s->line_control;
	case MODEM_CONTROL: return s->modem_control;
	case LINE_STATUS:
		return (sender_is_empty(s) ? STATUS_SENDER_EMPTY : 0) |
		       (s->count ? STATUS_RECEIVED : 0);
	case MODEM_STATUS: return modem_status(s);
	default: return s->scratch;
	}
}

static void write_data(struct vmb_vmm_serial *s, uint8_t value)
{
	if (s->line_control & LINE_DIVISOR)
		s->divisor = (s->divisor & 0xFF00) | value;
	else
		send(s, value);
}

/* A guest that begins to wait for an empty transmitter is told of it at once. */
static void write_interrupt_enable(struct vmb_vmm_serial *s, uint8_t value)
{
	if (s->line_control & LINE_DIVISOR) {
		s->divisor = (s->divisor & 0xFF) | value << 8;
		return;
	}
	if (value & ~s->interrupt_enable & INTERRUPT_SENT)
		s->sent = true;
	s->interrupt_enable = value & INTERRUPT_MASK;
}

static void write_register(struct vmb_vmm_serial *s, uint16_t offset, uint8_t value)
{
	switch (offset) {
	case DATA: write_data(s, value); break;
	case INTERRUPT_ENABLE: write_interrupt_enable(s, value); break;
	case IDENTIFICATION:
		s->fifo_control = value;
		if (value & FIFO_CLEAR_RECEIVED)
			shrink(s, 0);
		break;
	case LINE_CONTROL: s->line_control = value; break;
	case MODEM_CONTROL: s->modem_control = value & MODEM_MASK; break;
	case SCRATCH: s->scratch = value; break;
	default: break;
	}
}

void vmb_vmm_serial_create(struct vmb_vmm_serial *s, struct vmb_vmm_machine *machine)
{
	memset(s, 0, sizeof(*s));
	s->machine = machine;
	s->divisor = 1;
	pthread_mutex_init(&s->lock, NULL);
}

void vmb_vmm_serial_destroy(struct vmb_vmm_serial *s)
{
	pthread_mutex_destroy(&s->lock);
}

uint32_t vmb_vmm_serial_room(struct vmb_vmm_serial *s)
{
	uint32_t room;

	pthread_mutex_lock(&s->lock);
	room = VMB_VMM_SERIAL_QUEUE_LEN - s->count;
	pthread_mutex_unlock(&s->lock);
	return room;
}

void vmb_vmm_serial_type(struct vmb_vmm_serial *s, const uint8_t *bytes, uint32_t len)
{
	pthread_mutex_lock(&s->lock);
	for (uint32_t i = 0; i < len; i++)
		push(s, bytes[i]);
	update_line(s);
	pthread_mutex_unlock(&s->lock);
}

void vmb_vmm_serial_resume(struct vmb_vmm_serial *s)
{
	pthread_mutex_lock(&s->lock);
	update_line(s);
	pthread_mutex_unlock(&s->lock);
}

uint8_t vmb_vmm_serial_read(struct vmb_vmm_machine *machine, uint16_t offset)
{
	struct vmb_vmm_serial *s = &machine->serial;
	uint8_t value;

	pthread_mutex_lock(&s->lock);
	value = read_register(s, offset);
	update_line(s);
	pthread_mutex_unlock(&s->lock);
	return value;
}

void vmb_vmm_serial_write(struct vmb_vmm_machine *machine, uint16_t offset, uint8_t value)
{
	struct vmb_vmm_serial *s = &machine->serial;

	pthread_mutex_lock(&s->lock);
	write_register(s, offset, value);
	update_line(s);
	pthread_mutex_unlock(&s->lock);
}
