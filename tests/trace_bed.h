/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A recording in a folder of its own, its reader, and the first difference that a player finds. */
#ifndef TESTS_TRACE_BED_H
#define TESTS_TRACE_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/trace_read.h"
#include "tests/trace_session.h"

static char folder[] = "/tmp/vmb-trace-XXXXXX", path[64];
static struct vmb_dev_trace trace;
static struct vmb_dev_trace_file file;
static struct vmb_dev_trace_reader reader;
static uint32_t first_number; /* of the first difference */
static char first_text[300];

static inline int trace_bed_set_up(void **state)
{
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/x.pcapng", folder);
	vmb_dev_trace_init(&trace);
	first_number = 0;
	first_text[0] = 0;
	return 0;
}

static inline int trace_bed_tear_down(void **state)
{
	vmb_dev_trace_destroy(&trace);
	vmb_dev_trace_unload(&file);
	unlink(path);
	return rmdir(folder);
}

static inline void start(struct vmb_dev_trace_config config)
{
	config.path = path;
	assert_int_equal(vmb_dev_trace_check(&config), 0);
	assert_int_equal(vmb_dev_trace_start(&trace, &config), 0);
}

/* What was recorded until now. */
static inline void load(void)
{
	vmb_dev_trace_stop(&trace);
	vmb_dev_trace_unload(&file);
	assert_int_equal(vmb_dev_trace_load(&file, path), 0);
	vmb_dev_trace_reader_init(&reader, file.bytes, file.len);
}

static inline void record(void (*session)(struct vmb_dev_trace *), uint32_t snap)
{
	start((struct vmb_dev_trace_config){ .snap = snap });
	session(&trace);
	load();
}

static inline void differs(void *arg, uint32_t number, const char *text)
{
	if (first_text[0])
		return;
	first_number = number;
	snprintf(first_text, sizeof(first_text), "%s", text);
}

#endif
