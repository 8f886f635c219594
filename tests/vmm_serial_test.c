// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The serial port without a guest: registers as a 16550A driver uses them, and the interrupt line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/console.h"
#include "vmm/machine.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

static struct vmb_vmm_machine machine;
static char sent[64];
static size_t sent_len;
static int line, wakes, edges;
static bool busy;

/* In the place of what the port hangs on. */
void vmb_vmm_kvm_irq(struct vmb_vmm_kvm *k, uint32_t gsi, bool level)
{
	assert_int_equal(gsi, 4);
	edges += level && !line;
	line = level;
}

void vmb_vmm_console_put(struct vmb_vmm_console *c, uint8_t byte)
{
	sent[sent_len++] = byte;
}

bool vmb_vmm_console_busy(struct vmb_vmm_console *c)
{
	return busy;
}

void vmb_vmm_machine_wake(struct vmb_vmm_machine *m)
{
	assert_ptr_equal(m, &machine);
	wakes++;
}

static uint8_t in(uint16_t reg)
{
	return vmb_vmm_serial_read(&machine, reg);
}

static void out(uint16_t reg, uint8_t value)
{
	vmb_vmm_serial_write(&machine, reg, value);
}

static void type(const char *text)
{
	vmb_vmm_serial_type(&machine.serial, (const uint8_t *)text, strlen(text));
}

static int set_up(void **state)
{
	vmb_vmm_serial_create(&machine.serial, &machine);
	sent_len = 0;
	line = wakes = edges = 0;
	busy = false;
	return 0;
}

static int tear_down(void **state)
{
	vmb_vmm_serial_destroy(&machine.serial);
	return 0;
}

/* What drivers do to find out what is there. */
static void test_port_is_recognised_as_16550a(void **state)
{
	out(SCR, 0xA5);
	assert_int_equal(in(SCR), 0xA5);
	out(IER, 0);
	assert_int_equal(in(IER), 0);
	out(IER, 0xFF);
	assert_int_equal(in(IER), 0x0F);
	out(IER, 0);
	out(MCR, 0x10 | 0x0A);
	assert_int_equal(in(MSR)&0xF0, 0x90);
	out(MCR, 0);
	out(FCR, 0x01);
	assert_int_equal(in(IIR)&0xC0, 0xC0);
	out(LCR, 0x80);
	out(DATA, 0x0C);
	out(IER, 0x01);
	assert_int_equal(in(DATA), 0x0C);
	assert_int_equal(in(IER), 0x01);
	out(LCR, 0x03);
	assert_int_equal(in(IER), 0);
	assert_int_equal(sent_len, 0);
}

static void test_sent_bytes_reach_the_console(void **state)
{
	for (const char *c = "hello"; *c; c++) {
		assert_int_equal(in(LSR)&0x60, 0x60);
		out(DATA, *c);
	}
	assert_int_equal(sent_len, 5);
	assert_memory_equal(sent, "hello", 5);
	assert_int_equal(line, 0);
}

static void test_typed_bytes_interrupt_until_read(void **state)
{
	out(IER, 1);
	assert_int_equal(line, 0);
	type("ab");
	assert_int_equal(line, 1);
	assert_int_equal(in(IIR)&0x0F, 0x04);
	assert_int_equal(in(LSR)&1, 1);
	assert_int_equal(in(DATA), 'a');
	assert_int_equal(line, 1);
	assert_int_equal(in(DATA), 'b');
	assert_int_equal(line, 0);
	assert_int_equal(in(LSR)&1, 0);
	assert_int_equal(in(IIR)&0x0F, 0x01);
	assert_int_equal(in(DATA), 0);
}

/* Each byte sent under IER bit 1 is an edge: the driver writes the next one from its handler. */
static void test_empty_transmitter_interrupts_once_a_byte(void **state)
{
	out(IER, 2);
	assert_int_equal(edges, 1);
	for (int i = 2; i < 6; i++) {
		assert_int_equal(in(IIR)&0x0F, 0x02);
		assert_int_equal(line, 0);
		assert_int_equal(in(IIR)&0x0F, 0x01);
		out(DATA, 'x');
		assert_int_equal(edges, i);
	}
	out(IER, 0);
	assert_int_equal(line, 0);
}

static void test_received_comes_before_sent(void **state)
{
	out(IER, 3);
	type("q");
	assert_int_equal(in(IIR)&0x0F, 0x04);
	assert_int_equal(in(DATA), 'q');
	assert_int_equal(in(IIR)&0x0F, 0x02);
}

static void test_loop_back_returns_bytes_to_the_guest(void **state)
{
	out(MCR, 0x10);
	out(DATA, 'z');
	assert_int_equal(sent_len, 0);
	assert_int_equal(in(DATA), 'z');
}

/*
 * Whoever types looks again only when there is room for much: it must be woken then, however full
 * the queue was.
 */
static void fill(uint32_t room)
{
	for (uint32_t i = room; i < VMB_VMM_SERIAL_QUEUE_LEN; i++)
		type("k");
	assert_int_equal(vmb_vmm_serial_room(&machine.serial), room);
}

static void test_queue_wakes_when_it_gets_room(void **state)
{
	for (uint32_t room = 0; room < VMB_VMM_SERIAL_ROOM_MIN; room++) {
		wakes = 0;
		fill(room);
		for (uint32_t i = room; i < VMB_VMM_SERIAL_ROOM_MIN; i++) {
			assert_int_equal(wakes, 0);
			assert_int_equal(in(DATA), 'k');
		}
		assert_int_equal(wakes, 1);
		while (vmb_vmm_serial_room(&machine.serial) < VMB_VMM_SERIAL_QUEUE_LEN)
			in(DATA);
		assert_int_equal(wakes, 1);
	}
	fill(0);
	type("lost");
	out(FCR, 0x03);
	assert_int_equal(wakes, 2);
	assert_int_equal(in(DATA), 0);
}

/* The console is full: the guest is told to wait, and when it can go on. */
static void test_busy_console_is_a_transmitter_that_is_not_empty(void **state)
{
	out(IER, 2);
	in(IIR);
	busy = true;
	out(DATA, 'x');
	assert_int_equal(in(LSR)&0x60, 0);
	assert_int_equal(line, 0);
	assert_int_equal(in(IIR)&0x0F, 0x01);
	busy = false;
	vmb_vmm_serial_resume(&machine.serial);
	assert_int_equal(line, 1);
	assert_int_equal(in(LSR)&0x60, 0x60);
	assert_int_equal(in(IIR)&0x0F, 0x02);
}

static void test_fifo_reset_drops_what_was_typed(void **state)
{
	out(IER, 1);
	type("old");
	out(FCR, 0x03);
	assert_int_equal(line, 0);
	assert_int_equal(in(LSR)&1, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_port_is_recognised_as_16550a),
		TEST(test_sent_bytes_reach_the_console),
		TEST(test_typed_bytes_interrupt_until_read),
		TEST(test_empty_transmitter_interrupts_once_a_byte),
		TEST(test_received_comes_before_sent),
		TEST(test_loop_back_returns_bytes_to_the_guest),
		TEST(test_queue_wakes_when_it_gets_room),
		TEST(test_busy_console_is_a_transmitter_that_is_not_empty),
		TEST(test_fifo_reset_drops_what_was_typed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
