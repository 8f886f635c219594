// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/console.h"
#include "vmm/machine.h"
#include "devices/report.h"

#define INPUT_LEN 256u

static struct termios saved;
static volatile sig_atomic_t is_raw;

void vmb_vmm_console_restore(void)
{
	if (!is_raw)
		return;
	is_raw = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	vmb_dev_report_raw(0);
}

static void die(int number)
{
	if (is_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	signal(number, SIG_DFL);
	raise(number);
}

static void make_raw(void)
{
	const int fatal[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved))
		return;
	raw = saved;
	cfmakeraw(&raw);
	atexit(vmb_vmm_console_restore);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(fatal); i++)
		signal(fatal[i], die);
	is_raw = 1;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	vmb_dev_report_raw(1);
}

int vmb_vmm_console_open(struct vmb_vmm_console *c, const char *path, int wake)
{
	memset(c, 0, sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
	c->wake = wake;
	c->in_fd = STDIN_FILENO;
	c->out_fd = STDOUT_FILENO;
	if (!path) {
		make_raw();
		return 0;
	}
	c->in_fd = -1;
	c->out_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	if (c->out_fd >= 0)
		return 0;
	vmb_dev_report("--console %s: %s; give stdio or a file that can be written", path,
		       strerror(errno));
	return -errno;
}

void vmb_vmm_console_close(struct vmb_vmm_console *c)
{
	vmb_vmm_console_flush(c);
	if (c->out_fd != STDOUT_FILENO)
		close(c->out_fd);
	vmb_vmm_console_restore();
	pthread_mutex_destroy(&c->lock);
}

/* Nobody reads any more: the machine goes on without its console. */
static void write_out(struct vmb_vmm_console *c)
{
	uint32_t done = 0;
	ssize_t len;

	while (done < c->buffered_len) {
		len = write(c->out_fd, c->buffer + done, c->buffered_len - done);
		if (len < 0 && errno != EINTR)
			break;
		done += len > 0 ? len : 0;
	}
	c->buffered_len = 0;
}

void vmb_vmm_console_flush(struct vmb_vmm_console *c)
{
	pthread_mutex_lock(&c->lock);
	write_out(c);
	pthread_mutex_unlock(&c->lock);
}

/* Bytes are collected until the main thread comes around: a write for each would cost more than the guest's exit. */
void vmb_vmm_console_put(struct vmb_vmm_console *c, uint8_t byte)
{
	uint64_t one = 1;
	bool first;

	pthread_mutex_lock(&c->lock);
	if (c->buffered_len == sizeof(c->buffer))
		write_out(c);
	first = !c->buffered_len;
	c->buffer[c->buffered_len++] = byte;
	pthread_mutex_unlock(&c->lock);
	if (first && write(c->wake, &one, sizeof(one)) < 0)
		return;
}

int vmb_vmm_console_poll_fd(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine)
{
	return c->in_fd >= 0 && vmb_vmm_serial_room(&machine->serial) >= INPUT_LEN ? c->in_fd : -1;
}

static void choose(struct vmb_vmm_machine *machine, uint8_t key)
{
	switch (key) {
	case 'q': vmb_vmm_power_end(machine, VMB_VMM_STOPPED); break;
	case 'r': vmb_vmm_power_end(machine, VMB_VMM_RESET); break;
	case VMB_VMM_CONSOLE_ESCAPE: vmb_vmm_serial_type(&machine->serial, &key, 1); break;
	default:
		vmb_dev_report("Ctrl-] then q: stop the machine; r: reset it; Ctrl-]: send Ctrl-]");
		break;
	}
}

void vmb_vmm_console_input(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine)
{
	uint8_t bytes[INPUT_LEN];
	ssize_t len = read(c->in_fd, bytes, sizeof(bytes));

	if (len < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (len <= 0) {
		c->in_fd = -1;
		return;
	}
	for (ssize_t i = 0; i < len; i++) {
		if (c->escaped)
			choose(machine, bytes[i]);
		else if (!is_raw || bytes[i] != VMB_VMM_CONSOLE_ESCAPE)
			vmb_vmm_serial_type(&machine->serial, &bytes[i], 1);
		c->escaped = !c->escaped && is_raw && bytes[i] == VMB_VMM_CONSOLE_ESCAPE;
	}
}
