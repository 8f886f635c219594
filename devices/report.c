// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Writes the program's messages to standard error, one line with one system call each. */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "devices/report.h"

static int raw_terminal;

void vmb_dev_report_raw(int raw)
{
	__atomic_store_n(&raw_terminal, raw, __ATOMIC_RELAXED);
}

/* One write, so that lines of several threads do not mix. */
void vmb_dev_report(const char *format, ...)
{
	const char *end = __atomic_load_n(&raw_terminal, __ATOMIC_RELAXED) ? "\r\n" : "\n";
	char text[1024], line[1056];
	va_list args;
	int len;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	len = snprintf(line, sizeof(line), "openvmbus: %s%s", text, end);
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}
