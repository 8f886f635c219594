// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Shows in a terminal what the channels of a machine do, from two looks a second apart. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devices/report.h"
#include "vmm/control.h"
#include "vmm/ctl.h"
#include "vmm/top.h"

#define PERIOD_S 1
#define HOME	 "\033[H\033[J" /* of a terminal: to the top, and nothing below */

static json_t *ask(struct vmb_vmm_ctl *ctl, const char *command)
{
	json_t *answer = vmb_vmm_ctl_ask(ctl, json_pack("{s:s}", "command", command));
	json_t *result = json_incref(json_object_get(answer, "result"));

	json_decref(answer);
	return result;
}

static long long number_at(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static const char *text_at(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "-";
}

/* The same channel in the look before; NULL: it is new. */
static const json_t *find(const json_t *before, long long relid)
{
	const json_t *channel;
	size_t i;

	json_array_foreach(json_object_get(before, "channels"), i, channel)
		if (number_at(channel, "relid") == relid)
			return channel;
	return NULL;
}

/* A channel that was opened anew begins at 0 again. */
static long long rate(const json_t *now, const json_t *before, const char *name)
{
	long long grown = number_at(now, name) - number_at(before, name);

	return grown > 0 ? grown / PERIOD_S : 0;
}

static void print_channel(const json_t *now, const json_t *before)
{
	const json_t *in = json_object_get(now, "in"), *out = json_object_get(now, "out");
	const json_t *in_before = json_object_get(before, "in");
	const json_t *out_before = json_object_get(before, "out");

	printf("%5lld %-9s %3lld %-8s %8lld %8lld %8lld %8lld %7lld %7lld %7lld %7lld  %s\n",
	       number_at(now, "relid"), text_at(now, "class"), number_at(now, "sub_channel"),
	       text_at(now, "state"), rate(in, in_before, "packets"),
	       rate(out, out_before, "packets"), rate(in, in_before, "bytes") >> 10,
	       rate(out, out_before, "bytes") >> 10, rate(now, before, "interrupts"),
	       number_at(in, "fill"), number_at(out, "fill"), number_at(now, "oldest_ms"),
	       text_at(now, "owes_signal"));
}

static void print(const json_t *status, const json_t *now, const json_t *before)
{
	const json_t *bus = json_object_get(now, "bus"), *channel;
	size_t i;

	printf("%s, %lld CPUs, %lld MiB, VMBus %s %s, %lld GPADLs, %lld resets\n\n",
	       text_at(status, "state"), number_at(status, "cpus"),
	       number_at(status, "memory") >> 20, text_at(bus, "version"), text_at(bus, "state"),
	       number_at(bus, "gpadls"), number_at(status, "resets"));
	printf("%5s %-9s %3s %-8s %8s %8s %8s %8s %7s %7s %7s %7s  %s\n", "relid", "class", "sub",
	       "state", "in/s", "out/s", "in KiB/s", "out", "int/s", "fill in", "out", "oldest",
	       "owes a signal");
	json_array_foreach(json_object_get(now, "channels"), i, channel)
		print_channel(channel, find(before, number_at(channel, "relid")));
}

/* Returns false at the end. */
static bool show(struct vmb_vmm_ctl *ctl, json_t **before, bool live)
{
	const struct timespec period = { .tv_sec = PERIOD_S };
	json_t *status, *now;

	nanosleep(&period, NULL);
	status = ask(ctl, "status");
	now = status ? ask(ctl, "inspect") : NULL;
	if (status && now) {
		fputs(live ? HOME : "", stdout);
		print(status, now, *before);
	}
	json_decref(*before);
	json_decref(status);
	*before = now;
	/* Between two starts there is a machine again soon. */
	return status && fflush(stdout) == 0;
}

int vmb_vmm_top_run(int argc, char **argv)
{
	bool live = isatty(STDOUT_FILENO);
	struct vmb_vmm_ctl ctl;
	json_t *before = NULL;
	int code = VMB_VMM_EXIT_FAILURE;

	if (argc != 2) {
		vmb_dev_report("top: give a socket's path; see openvmbus --help");
		return VMB_VMM_EXIT_USAGE;
	}
	if (vmb_vmm_ctl_connect(&ctl, "top", argv[1]) == 0) {
		before = ask(&ctl, "inspect");
		while (show(&ctl, &before, live) && live)
			;
		code = before || live ? 0 : VMB_VMM_EXIT_FAILURE;
	}
	json_decref(before);
	vmb_vmm_ctl_close(&ctl);
	return code;
}
