// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Connects the guest's serial port to the terminal or a file, so that a slow reader never holds up
 * the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "devices/report.h"
#include "devices/role.h"
#include "vmm/console.h"
#include "vmm/machine.h"
#include "vmm/terminal.h"

#define PIECE_LEN     4096u /* bytes of one write */
#define AGAIN_MS      100 /* for a descriptor that another process made non-blocking */
#define END_STILL_MS  1000 /* at the end: a reader that takes nothing */
#define END_MOVING_MS 4000 /* and one that does */
#define END_STEP_MS   10
#define ROOM_AGAIN    (VMB_VMM_CONSOLE_BUFFER_LEN / 4)

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static const char *name_of(const struct vmb_vmm_console *c)
{
	return c->path ? c->path : "stdio";
}

/* Writing out */

/*
 * Waits for bytes. Returns how many can be written in one piece, or 0: the writer must end. With
 * the lock.
 */
static uint32_t wait_for_piece(struct vmb_vmm_console *c)
{
	uint32_t len;

	while (!(c->count && c->out_fd >= 0) && !c->ending && !c->hangs_up)
		pthread_cond_wait(&c->filled, &c->lock);
	if (c->out_fd < 0)
		return 0;
	len = VMB_VMM_CONSOLE_BUFFER_LEN - c->first;
	if (len > c->count)
		len = c->count;
	return len < PIECE_LEN ? len : PIECE_LEN;
}

static void taken(struct vmb_vmm_console *c, uint32_t len)
{
	c->first = (c->first + len) % VMB_VMM_CONSOLE_BUFFER_LEN;
	c->count -= len;
	c->moved_at = now_ms();
	c->given_up = false;
	if (!c->full || VMB_VMM_CONSOLE_BUFFER_LEN - c->count < ROOM_AGAIN)
		return;
	c->full = false;
	if (write(c->wake, &(uint64_t){ 1 }, sizeof(uint64_t)) < 0)
		return;
}

/*
 * Drops what could not be written. A reader that went away must not stop the machine, and a full
 * disk may have room again later.
 */
static void lose(struct vmb_vmm_console *c, uint32_t len, int error)
{
	if (c->is_socket) {
		c->hangs_up = true; /* what it did not read is the next one's */
		return;
	}
	c->dropped += len;
	taken(c, len);
	if (error == EPIPE || error == EIO || error == EBADF) {
		c->gone = true;
		taken(c, c->count);
	} else if (!c->failed) {
		c->failed = true;
		vmb_dev_report("--console %s: %s; what the guest prints is lost", name_of(c),
			       strerror(error));
	}
}

/* May wait for the reader without a limit: a signal ends the wait. Without the lock. */
static ssize_t write_piece(struct vmb_vmm_console *c, const uint8_t *bytes, uint32_t len)
{
	struct pollfd out = { .fd = c->out_fd, .events = POLLOUT };
	ssize_t done = write(c->out_fd, bytes, len);
	int error = errno;

	if (done >= 0 || error == EINTR)
		return done < 0 ? 0 : done;
	if (error != EAGAIN)
		return -error;
	poll(&out, 1, AGAIN_MS);
	return 0;
}

/* The only place that closes a client's descriptor: the writer may be using it anywhere else. */
static void hang_up(struct vmb_vmm_console *c)
{
	if (c->out_fd >= 0)
		close(c->out_fd);
	c->out_fd = c->in_fd = -1;
	c->hangs_up = false;
	c->full = false;
	if (write(c->wake, &(uint64_t){ 1 }, sizeof(uint64_t)) < 0)
		return;
}

static void *write_thread(void *arg)
{
	struct vmb_vmm_console *c = arg;
	uint32_t len;
	ssize_t done;

	vmb_dev_role_enter(VMB_DEV_ROLE_CONSOLE);
	pthread_mutex_lock(&c->lock);
	for (;;) {
		len = wait_for_piece(c);
		if (c->ending)
			break;
		if (c->hangs_up)
			hang_up(c);
		if (!len || c->out_fd < 0)
			continue;
		pthread_mutex_unlock(&c->lock);
		done = write_piece(c, c->buffer + c->first, len);
		pthread_mutex_lock(&c->lock);
		if (done < 0)
			lose(c, len, -done);
		else if (done)
			taken(c, done);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* Nobody is there yet: the oldest byte makes room. */
static void forget_oldest(struct vmb_vmm_console *c)
{
	if (!c->is_socket || c->out_fd >= 0 || c->count < VMB_VMM_CONSOLE_BUFFER_LEN)
		return;
	c->first = (c->first + 1) % VMB_VMM_CONSOLE_BUFFER_LEN;
	c->count--;
}

void vmb_vmm_console_put(struct vmb_vmm_console *c, uint8_t byte)
{
	if (c->also)
		vmb_vmm_console_put(c->also, byte);
	pthread_mutex_lock(&c->lock);
	forget_oldest(c);
	if (c->gone || c->count == VMB_VMM_CONSOLE_BUFFER_LEN) {
		c->dropped += !c->gone;
	} else {
		if (!c->count) {
			c->moved_at = now_ms();
			pthread_cond_signal(&c->filled);
		}
		c->buffer[(c->first + c->count++) % VMB_VMM_CONSOLE_BUFFER_LEN] = byte;
		c->full |= c->count == VMB_VMM_CONSOLE_BUFFER_LEN && c->out_fd >= 0;
	}
	pthread_mutex_unlock(&c->lock);
}

bool vmb_vmm_console_busy(struct vmb_vmm_console *c)
{
	bool busy;

	pthread_mutex_lock(&c->lock);
	c->given_up |= c->full && now_ms() - c->moved_at >= VMB_VMM_CONSOLE_PATIENCE;
	busy = c->full && !c->given_up;
	pthread_mutex_unlock(&c->lock);
	return busy || (c->also && vmb_vmm_console_busy(c->also));
}

/* Returns whether there is more to write out, and a reader that takes it. */
static bool is_draining(struct vmb_vmm_console *c, int64_t since)
{
	int64_t now = now_ms(), moved;
	bool left;

	pthread_mutex_lock(&c->lock);
	left = c->count && c->out_fd >= 0;
	moved = c->moved_at;
	pthread_mutex_unlock(&c->lock);
	return left && now - moved < END_STILL_MS && now - since < END_MOVING_MS;
}

void vmb_vmm_console_drain(struct vmb_vmm_console *c)
{
	if (c->also)
		vmb_vmm_console_drain(c->also);
	if (!c->drain_since)
		c->drain_since = now_ms();
	while (is_draining(c, c->drain_since))
		poll(NULL, 0, END_STEP_MS);
}

/*
 * Ends the writer. It may wait in the kernel for the reader, so it gets the signal that kicks
 * processors until it has ended.
 */
static void end_writer(struct vmb_vmm_console *c)
{
	struct timespec limit;

	pthread_mutex_lock(&c->lock);
	c->ending = true;
	pthread_cond_signal(&c->filled);
	pthread_mutex_unlock(&c->lock);
	do {
		pthread_kill(c->writer, VMB_VMM_KICK_SIGNAL);
		clock_gettime(CLOCK_REALTIME, &limit);
		limit.tv_nsec += END_STEP_MS * 1000000;
		limit.tv_sec += limit.tv_nsec / 1000000000;
		limit.tv_nsec %= 1000000000;
	} while (pthread_timedjoin_np(c->writer, NULL, &limit) == ETIMEDOUT);
}

/* Beginning and end */

static int refuse(const struct vmb_vmm_console *c, int error)
{
	vmb_dev_report("--console %s: %s; %s", c->path,
		       error == ENXIO ? "nobody reads this pipe" : strerror(error),
		       error == ENXIO ? "start its reader first" :
					"give stdio or a file that can be written");
	return -error;
}

/*
 * Opened without waiting, because a pipe without a reader would block here; and for appending, so
 * that another process may truncate the file.
 */
static int open_file(struct vmb_vmm_console *c, int flags)
{
	c->out_fd = open(c->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags,
			 0666);
	if (c->out_fd < 0)
		return -errno;
	return fcntl(c->out_fd, F_SETFL, O_APPEND) ? -errno : 0;
}

static bool is_socket_path(const char *path)
{
	return path && strncmp(path, VMB_VMM_CONSOLE_SOCKET, strlen(VMB_VMM_CONSOLE_SOCKET)) == 0;
}

static bool can_be_made(const char *path)
{
	char *copy = strdup(path);
	bool can = copy && access(dirname(copy), W_OK | X_OK) == 0;

	free(copy);
	return can;
}

int vmb_vmm_console_open(struct vmb_vmm_console *c, const char *path, int wake)
{
	int error;

	memset(c, 0, sizeof(*c));
	c->wake = wake;
	c->path = path;
	c->socket.fd = -1;
	c->is_socket = is_socket_path(path);
	if (c->is_socket) {
		c->in_fd = c->out_fd = -1;
		return vmb_dev_socket_serve(&c->socket, "--console",
					    path + strlen(VMB_VMM_CONSOLE_SOCKET), SOCK_STREAM,
					    true);
	}
	c->in_fd = path ? -1 : STDIN_FILENO;
	c->out_fd = STDOUT_FILENO;
	error = path ? open_file(c, 0) : 0;
	if (error == -ENOENT && can_be_made(path))
		return 0;
	return error ? refuse(c, -error) : 0;
}

/* Creates or empties the file. A terminal or a pipe has no length, which is no error. */
static int begin_file(struct vmb_vmm_console *c)
{
	int error = c->out_fd < 0 ? open_file(c, O_CREAT) : 0;

	if (!error && ftruncate(c->out_fd, 0) && errno != EINVAL)
		error = -errno;
	return error ? refuse(c, -error) : 0;
}

int vmb_vmm_console_start(struct vmb_vmm_console *c)
{
	int error = c->path && !c->is_socket ? begin_file(c) : 0;

	if (error)
		return error;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->filled, NULL);
	error = pthread_create(&c->writer, NULL, write_thread, c);
	if (error) {
		vmb_dev_report("--console %s: no thread: %s", name_of(c), strerror(error));
		return -error;
	}
	c->started = true;
	if (!c->path)
		vmb_vmm_terminal_open();
	return 0;
}

void vmb_vmm_console_close(struct vmb_vmm_console *c)
{
	if (c->also)
		vmb_vmm_console_close(c->also);
	if (c->started) {
		vmb_vmm_console_drain(c);
		end_writer(c);
		c->dropped += c->count;
		pthread_cond_destroy(&c->filled);
		pthread_mutex_destroy(&c->lock);
	}
	if (c->out_fd >= 0 && c->out_fd != STDOUT_FILENO)
		close(c->out_fd);
	if (c->is_socket)
		vmb_dev_socket_end(&c->socket);
	if (!c->path)
		vmb_vmm_terminal_restore();
	if (c->dropped && !c->gone && !c->is_socket)
		vmb_dev_report("--console %s: nobody took %llu bytes that the guest printed",
			       name_of(c), (unsigned long long)c->dropped);
}

/* Input */

static bool is_free(struct vmb_vmm_console *c)
{
	bool free;

	pthread_mutex_lock(&c->lock);
	free = c->out_fd < 0;
	pthread_mutex_unlock(&c->lock);
	return free;
}

static void accept_client(struct vmb_vmm_console *c)
{
	int fd = vmb_dev_socket_accept(&c->socket);

	if (fd < 0)
		return;
	pthread_mutex_lock(&c->lock);
	c->out_fd = c->in_fd = fd;
	c->moved_at = now_ms();
	c->full = c->count == VMB_VMM_CONSOLE_BUFFER_LEN;
	c->given_up = false;
	pthread_cond_signal(&c->filled);
	pthread_mutex_unlock(&c->lock);
}

static void lose_client(struct vmb_vmm_console *c)
{
	pthread_mutex_lock(&c->lock);
	c->in_fd = -1;
	c->hangs_up = true;
	pthread_cond_signal(&c->filled);
	pthread_mutex_unlock(&c->lock);
}

/* A client has no escape key: it can go whenever it wants, and control stops the machine. */
static void read_client(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine)
{
	uint8_t bytes[VMB_VMM_SERIAL_ROOM_MIN];
	ssize_t len = read(c->in_fd, bytes, sizeof(bytes));

	if (len > 0)
		vmb_vmm_serial_type(&machine->serial, bytes, len);
	else if (len == 0 || (errno != EAGAIN && errno != EINTR))
		lose_client(c);
}

int vmb_vmm_console_poll_fd(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine,
			    int *timeout_ms)
{
	if (c->is_socket && is_free(c))
		return vmb_dev_socket_wanted(&c->socket, timeout_ms);
	if (c->in_fd < 0 || vmb_vmm_serial_room(&machine->serial) < VMB_VMM_SERIAL_ROOM_MIN)
		return -1;
	return c->is_socket || vmb_vmm_terminal_is_ours() ? c->in_fd : -1;
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

static void read_terminal(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine)
{
	bool is_raw = vmb_vmm_terminal_is_raw();
	uint8_t bytes[VMB_VMM_SERIAL_ROOM_MIN];
	ssize_t len = read(c->in_fd, bytes, sizeof(bytes));

	/* EIO also says that the terminal has just become another's. */
	if (len < 0 && (errno == EINTR || errno == EAGAIN || !vmb_vmm_terminal_is_ours()))
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

void vmb_vmm_console_input(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine)
{
	if (c->is_socket && is_free(c))
		accept_client(c);
	else if (c->is_socket)
		read_client(c, machine);
	else
		read_terminal(c, machine);
}

void vmb_vmm_console_watch(struct vmb_vmm_console *c, struct vmb_vmm_machine *machine)
{
	vmb_vmm_serial_resume(&machine->serial);
	if (c->also && !c->also->path)
		c = c->also;
	if (!c->path && !vmb_vmm_terminal_is_raw())
		vmb_vmm_terminal_resume();
}
