// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Writes the program's messages to standard error, and never waits for whoever reads it: a thread
 * that says something may hold the bus's lock, or be the one that ends the program. What is not
 * taken at once is kept, up to a limit, and offered again with the next message, from the machine's
 * main loop, and at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "devices/report.h"
#include "devices/role.h"

#define KEPT_LEN_MAX 65536u
#define DUE_GAP_MS   10000
#define TEXT_LEN     1024 /* bytes of a message, with its NUL */
#define HEAD_LEN     500u /* of a longer one, those at its beginning */

static int raw_terminal;
static __thread char *into;
static __thread size_t into_len;

void vmb_dev_report_into(char *text, size_t len)
{
	into = text;
	into_len = len;
	if (text)
		*text = 0;
}

/* Global, because messages come from everywhere. */
static struct {
	pthread_mutex_t lock; /* all below */
	struct stat is; /* what standard error was when it was looked at */
	int fd; /* the same without waiting; -1: it cannot be had */
	uint32_t len, lost; /* bytes kept; messages for which there was no room */
	char kept[KEPT_LEN_MAX];
} out = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

void vmb_dev_report_raw(int raw)
{
	__atomic_store_n(&raw_terminal, raw, __ATOMIC_RELAXED);
}

/*
 * O_NONBLOCK belongs to the open file, which is also the shell's and the guest's console. So a pipe
 * or a terminal is opened once more. It may have been replaced since; then a thread that may not
 * open files does without.
 */
static void look_at_standard_error(bool may_open)
{
	struct stat is;

	if (fstat(STDERR_FILENO, &is) || (is.st_dev == out.is.st_dev && is.st_ino == out.is.st_ino))
		return;
	if (out.fd >= 0)
		close(out.fd);
	out.is = is;
	out.fd = -1;
	if (may_open && (S_ISFIFO(is.st_mode) || isatty(STDERR_FILENO)))
		out.fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static ssize_t write_now(const void *bytes, size_t len)
{
	struct pollfd err = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (out.fd >= 0)
		return write(out.fd, bytes, len);
	if (S_ISSOCK(out.is.st_mode))
		return send(STDERR_FILENO, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* A pipe that is writable takes so much at once; for more the write would wait. */
	if (poll(&err, 1, 0) == 1)
		return write(STDERR_FILENO, bytes, len < PIPE_BUF ? len : PIPE_BUF);
	errno = EAGAIN;
	return -1;
}

/* Writes what is taken now. With the lock. */
static void offer(void)
{
	ssize_t done = 0;

	look_at_standard_error(!vmb_dev_role_is_confined());
	if (out.len)
		done = write_now(out.kept, out.len);
	if (done < 0 && errno != EAGAIN && errno != EINTR)
		done = out.len; /* nobody will ever read it */
	if (done <= 0)
		return;
	out.len -= done;
	memmove(out.kept, out.kept + done, out.len);
}

static bool keep(const char *line, uint32_t len)
{
	if (len > KEPT_LEN_MAX - out.len)
		return false;
	memcpy(out.kept + out.len, line, len);
	out.len += len;
	return true;
}

static const char *line_end(void)
{
	return __atomic_load_n(&raw_terminal, __ATOMIC_RELAXED) ? "\r\n" : "\n";
}

/* In the place of those that were lost. */
static void keep_count_of_lost(void)
{
	char line[128];
	int len;

	if (!out.lost)
		return;
	len = snprintf(line, sizeof(line),
		       "openvmbus: %u messages were lost: standard error was not read%s", out.lost,
		       line_end());
	if (keep(line, len))
		out.lost = 0;
}

/* What a guest, a server or a file said may be in it: one line, which no terminal obeys. */
static void blank_controls(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7F)
			*text = '?';
}

/* What is wrong stands at the end, behind a path or a text that may be long: the middle goes. */
static void shorten(char text[TEXT_LEN], const char *format, va_list args, size_t len)
{
	char *whole = malloc(len + 1);

	if (!whole)
		return;
	vsnprintf(whole, len + 1, format, args);
	snprintf(text + HEAD_LEN, TEXT_LEN - HEAD_LEN, "...%s",
		 whole + len - (TEXT_LEN - HEAD_LEN - sizeof("...")));
	free(whole);
}

/* One write, so that lines of several threads do not mix. */
void vmb_dev_report(const char *format, ...)
{
	char text[TEXT_LEN], line[TEXT_LEN + 32];
	va_list args, again;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(text, sizeof(text), format, args);
	if (len >= TEXT_LEN)
		shorten(text, format, again, len);
	va_end(again);
	va_end(args);
	blank_controls(text);
	if (into) {
		if (!*into)
			snprintf(into, into_len, "%s", text);
		return;
	}
	len = snprintf(line, sizeof(line), "openvmbus: %s%s", text, line_end());
	pthread_mutex_lock(&out.lock);
	keep_count_of_lost();
	out.lost += out.lost || !keep(line, len);
	offer();
	pthread_mutex_unlock(&out.lock);
}

bool vmb_dev_report_offer(void)
{
	bool more;

	pthread_mutex_lock(&out.lock);
	keep_count_of_lost();
	offer();
	more = out.len || out.lost;
	pthread_mutex_unlock(&out.lock);
	return more;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

bool vmb_dev_report_due(int64_t *next)
{
	int64_t now = now_ms();

	if (now < *next)
		return false;
	*next = now + DUE_GAP_MS;
	return true;
}

void vmb_dev_report_drain(int ms)
{
	struct pollfd err = { .fd = STDERR_FILENO, .events = POLLOUT };
	int64_t until = now_ms() + ms, now;

	while (vmb_dev_report_offer() && (now = now_ms()) < until)
		poll(&err, 1, until - now);
}

void vmb_dev_report_begin(void)
{
	pthread_mutex_init(&out.lock, NULL);
	memset(&out.is, 0, sizeof(out.is));
	out.fd = -1;
	out.len = out.lost = 0;
	look_at_standard_error(true);
}
