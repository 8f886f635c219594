// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Becomes ssh with a ProxyCommand, so that a shell in the guest is one command away: what ssh can
 * do stays ssh's. Of a command that is to run there, each argument arrives as it was given.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/report.h"
#include "devices/text.h"
#include "vmm/run.h"
#include "vmm/ssh.h"
#include "wire/socket.h"

#define SSH_PORT "22"

/* Arguments of ssh, and text for it. The process becomes ssh or ends, so nothing is freed. */
struct command {
	char **argv;
	size_t count;
};

static void *reserve(void *old, size_t len)
{
	void *memory = realloc(old, len);

	if (!memory)
		abort();
	return memory;
}

static void add(struct command *c, char *word)
{
	c->argv = reserve(c->argv, (c->count + 2) * sizeof(*c->argv));
	c->argv[c->count++] = word;
	c->argv[c->count] = NULL;
}

static void add_option(struct command *c, const char *name, const char *value)
{
	char *text = reserve(NULL, strlen(name) + strlen(value) + 2);

	sprintf(text, "%s=%s", name, value);
	add(c, "-o");
	add(c, text);
}

static void add_flag(struct command *c, char flag, char *value)
{
	char *text = reserve(NULL, 3);

	sprintf(text, "-%c", flag);
	add(c, text);
	add(c, value);
}

/*
 * For a shell: in quotes, those of its own taken out of them. For ssh's ProxyCommand, which has
 * percent signs of its own, these are doubled.
 */
static char *quote(const char *word, bool percents)
{
	char *text = reserve(NULL, 4 * strlen(word) + 3), *at = text;

	*at++ = '\'';
	for (; *word; word++) {
		if (*word == '\'')
			at = stpcpy(at, "'\\'");
		if (*word == '%' && percents)
			*at++ = '%';
		*at++ = *word;
	}
	strcpy(at, "'");
	return text;
}

static bool find_program(char *program, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", program, size - 1);

	if (len < 0) {
		vmb_dev_report("the program itself: %s", strerror(errno));
		return false;
	}
	program[len] = '\0';
	return true;
}

static bool begin(struct command *c, char *path, const char *port)
{
	char program[4096], *by, *to, *text;

	if (!find_program(program, sizeof(program)))
		return false;
	by = quote(program, true);
	to = quote(path, true);
	text = reserve(NULL, strlen(by) + strlen(to) + 32);
	sprintf(text, "%s vsock %s %s", by, to, port);
	add(c, getenv("OPENVMBUS_SSH") ? getenv("OPENVMBUS_SSH") : "ssh");
	add_option(c, "ProxyCommand", text);
	add_option(c, "CheckHostIP", "no");
	return true;
}

static int become(const struct command *c)
{
	execvp(c->argv[0], c->argv);
	vmb_dev_report("%s: %s; it is in the package openssh-client", c->argv[0], strerror(errno));
	return VMB_VMM_EXIT_FAILURE;
}

static int usage(const char *verb, const char *what)
{
	vmb_dev_report("%s: %s; see openvmbus --help", verb, what);
	return VMB_VMM_EXIT_USAGE;
}

static bool is_port(const char *text)
{
	const char *rest;
	uint64_t port;

	return vmb_dev_text_number(text, VMB_SOCKET_PORT_MAX, &port, &rest) && !*rest;
}

/*
 * Options before PATH are ours and, for exec, some of ssh's. Returns NULL, or what is wrong with
 * them.
 */
static const char *parse(struct command *sshs, int argc, char **argv, const char *known,
			 const char **port)
{
	int option;

	opterr = 0;
	optind = 1;
	while ((option = getopt(argc, argv, known)) >= 0) {
		if (option == '?')
			return "no such option stands before the path, or its value is missing";
		if (option == 'p')
			*port = optarg;
		else
			add_flag(sshs, (char)option, optarg);
	}
	if (!is_port(*port))
		return "-p: give a port of the guest, 0 to 2147483647";
	return argc - optind < 2 ? "an argument is missing" : NULL;
}

int vmb_vmm_ssh_run(int argc, char **argv)
{
	struct command options = { 0 }, c = { 0 };
	const char *port = SSH_PORT;
	const char *wrong = parse(&options, argc, argv, "+p:", &port);

	if (wrong)
		return usage(argv[0], wrong);
	if (!begin(&c, argv[optind], port))
		return VMB_VMM_EXIT_FAILURE;
	for (int i = optind + 1; i < argc; i++)
		add(&c, argv[i]);
	return become(&c);
}

/* What a guest's key is kept by in known_hosts: one name for each path. */
static void add_alias(struct command *c, const char *path)
{
	char *whole = realpath(path, NULL), *text;

	text = reserve(NULL, strlen(whole ? whole : path) + 7);
	sprintf(text, "vsock%s%s", whole || *path == '/' ? "" : "/", whole ? whole : path);
	for (char *at = text; *at; at++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_",
			    *at))
			*at = '_';
	add_option(c, "HostKeyAlias", text);
}

int vmb_vmm_exec_run(int argc, char **argv)
{
	struct command options = { 0 }, c = { 0 };
	const char *port = SSH_PORT;
	const char *wrong = parse(&options, argc, argv, "+p:l:i:o:", &port);

	if (wrong)
		return usage(argv[0], wrong);
	if (!begin(&c, argv[optind], port))
		return VMB_VMM_EXIT_FAILURE;
	for (size_t i = 0; i < options.count; i++)
		add(&c, options.argv[i]);
	add_alias(&c, argv[optind]);
	add_option(&c, "BatchMode", "yes");
	add(&c, "-T");
	add(&c, "--");
	add(&c, "guest");
	for (int i = optind + 1; i < argc; i++)
		add(&c, quote(argv[i], false));
	return become(&c);
}
