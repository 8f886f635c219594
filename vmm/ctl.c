// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `openvmbus ctl`: makes a request of its arguments, by the tables, and prints the answer. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/report.h"
#include "devices/socket.h"
#include "devices/text.h"
#include "vmm/control.h"
#include "vmm/ctl.h"

#define GREETING_MS 10000
#define ANSWER_MS   600000 /* each command has a limit of its own, which is shorter */
#define LINE_MAX    (64u << 20) /* bytes of an answer */

static int refuse(const struct vmb_vmm_ctl *ctl, const char *why)
{
	vmb_dev_report("%s %s: %s", ctl->who, ctl->path, why);
	return -EINVAL;
}

/* The connection */

static json_t *take_line(struct vmb_vmm_ctl *ctl, size_t len)
{
	json_error_t error;
	json_t *line = json_loadb(ctl->in, len, 0, &error);

	ctl->in_len -= len + 1;
	memmove(ctl->in, ctl->in + len + 1, ctl->in_len);
	if (!line)
		refuse(ctl, "what it answers is no JSON; is it the control socket of openvmbus?");
	return line;
}

static bool make_room(struct vmb_vmm_ctl *ctl)
{
	char *in;

	if (ctl->in_len < ctl->in_room)
		return true;
	if (ctl->in_room >= LINE_MAX)
		return false;
	in = realloc(ctl->in, ctl->in_room * 2);
	if (!in)
		return false;
	ctl->in = in;
	ctl->in_room *= 2;
	return true;
}

json_t *vmb_vmm_ctl_read(struct vmb_vmm_ctl *ctl, int timeout_ms, bool *ended)
{
	struct pollfd fd = { .fd = ctl->fd, .events = POLLIN };
	const char *end;
	ssize_t len;

	*ended = false;
	while (!(end = memchr(ctl->in, '\n', ctl->in_len))) {
		if (!make_room(ctl)) {
			refuse(ctl, "its answer is too long");
			return NULL;
		}
		if (poll(&fd, 1, timeout_ms) == 0) {
			refuse(ctl, "no answer came in time");
			return NULL;
		}
		len = read(ctl->fd, ctl->in + ctl->in_len, ctl->in_room - ctl->in_len);
		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (len <= 0) {
			*ended = true;
			return NULL;
		}
		ctl->in_len += len;
	}
	return take_line(ctl, end - ctl->in);
}

static int check_greeting(struct vmb_vmm_ctl *ctl)
{
	json_t *line, *error;
	bool ended;
	int version;

	line = vmb_vmm_ctl_read(ctl, GREETING_MS, &ended);
	if (ended)
		refuse(ctl, "the connection was closed at once");
	if (!line)
		return -EINVAL;
	error = json_object_get(line, "error");
	version = json_integer_value(json_object_get(line, "control"));
	if (error)
		refuse(ctl, json_string_value(json_object_get(error, "message")));
	else if (version != VMB_VMM_CONTROL_VERSION)
		vmb_dev_report("%s %s: it speaks version %d of the protocol, this program %d",
			       ctl->who, ctl->path, version, VMB_VMM_CONTROL_VERSION);
	json_decref(line);
	return version == VMB_VMM_CONTROL_VERSION ? 0 : -EINVAL;
}

int vmb_vmm_ctl_connect(struct vmb_vmm_ctl *ctl, const char *who, const char *path)
{
	struct sockaddr_un address;

	*ctl = (struct vmb_vmm_ctl){ .who = who, .path = path, .in_room = VMB_VMM_CTL_ROOM };
	ctl->fd = vmb_dev_socket_create(&address, path, SOCK_STREAM);
	if (ctl->fd < 0)
		return refuse(ctl, ctl->fd == -ENAMETOOLONG ? "the path is too long for a socket" :
							      strerror(-ctl->fd));
	ctl->in = malloc(ctl->in_room);
	if (!ctl->in)
		return refuse(ctl, strerror(ENOMEM));
	if (connect(ctl->fd, (struct sockaddr *)&address, sizeof(address)))
		return refuse(ctl,
			      errno == ECONNREFUSED ?
				      "nobody serves this socket; is the machine still there?" :
				      strerror(errno));
	return check_greeting(ctl);
}

void vmb_vmm_ctl_close(struct vmb_vmm_ctl *ctl)
{
	if (ctl->fd >= 0)
		close(ctl->fd);
	free(ctl->in);
}

static int send_all(struct vmb_vmm_ctl *ctl, const char *text, size_t len)
{
	struct pollfd fd = { .fd = ctl->fd, .events = POLLOUT };
	ssize_t sent;

	while (len) {
		sent = send(ctl->fd, text, len, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return refuse(ctl, strerror(errno));
		if (sent < 0 && poll(&fd, 1, ANSWER_MS) == 0)
			return refuse(ctl, "it does not read the request");
		text += sent > 0 ? sent : 0;
		len -= sent > 0 ? sent : 0;
	}
	return 0;
}

json_t *vmb_vmm_ctl_ask(struct vmb_vmm_ctl *ctl, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_t *answer = NULL;
	bool ended = false;
	int error;

	json_decref(request);
	error = text ? send_all(ctl, text, strlen(text)) : refuse(ctl, "an argument is not UTF-8");
	if (!error)
		error = send_all(ctl, "\n", 1);
	free(text);
	while (!error && (answer = vmb_vmm_ctl_read(ctl, ANSWER_MS, &ended)) &&
	       json_object_get(answer, "event"))
		json_decref(answer);
	if (ended)
		refuse(ctl, "the machine ended before it answered");
	return answer;
}

/* The command line */

/* A number may have the suffix of a size. NULL: reported. */
static json_t *argument_value(const struct vmb_vmm_control_field *field, const char *text)
{
	const char *rest;
	uint64_t number;

	switch (field->type) {
	case VMB_VMM_CONTROL_NUMBER:
		if ((vmb_dev_text_number(text, INT64_MAX, &number, &rest) && !*rest) ||
		    (vmb_dev_text_size(text, &number) && number <= INT64_MAX))
			return json_integer(number);
		break;
	case VMB_VMM_CONTROL_FLAG:
		if (strcmp(text, "true") == 0 || strcmp(text, "on") == 0)
			return json_true();
		if (strcmp(text, "false") == 0 || strcmp(text, "off") == 0)
			return json_false();
		break;
	case VMB_VMM_CONTROL_TEXT: return json_string(text);
	default: break;
	}
	return NULL;
}

static const struct vmb_vmm_control_field *find_argument(const struct vmb_vmm_command *row,
							 const char *name)
{
	for (const struct vmb_vmm_control_field *f = row->arguments; f && f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static int add_argument(json_t *arguments, const struct vmb_vmm_control_field *field,
			const char *text)
{
	json_t *value = text ? argument_value(field, text) : NULL;

	if (value)
		return json_object_set_new(arguments, field->name, value);
	if (text)
		vmb_dev_report("ctl: %s '%s': give a %s", field->name, text,
			       vmb_vmm_control_type_name(field->type));
	else
		vmb_dev_report("ctl: --%s: its value is missing", field->name);
	return -EINVAL;
}

/* Values in the order of the table, or --NAME VALUE. NULL: reported. */
static json_t *parse_arguments(const struct vmb_vmm_command *row, int argc, char **argv)
{
	const struct vmb_vmm_control_field *next = row->arguments, *field;
	json_t *arguments = json_object();
	int error = 0;

	for (int i = 0; i < argc && !error; i++) {
		bool named = strncmp(argv[i], "--", 2) == 0;

		while (next && next->name && json_object_get(arguments, next->name))
			next++;
		field = named ? find_argument(row, argv[i] + 2) : next;
		if (field && field->name) {
			i += named;
			error = add_argument(arguments, field, i < argc ? argv[i] : NULL);
			continue;
		}
		vmb_dev_report("ctl: %s has no argument for '%s'; see openvmbus ctl --help",
			       row->name, argv[i]);
		error = -EINVAL;
	}
	if (!error)
		return arguments;
	json_decref(arguments);
	return NULL;
}

static void print_line(const json_t *value, size_t flags)
{
	char *text = json_dumps(value, flags);

	if (text)
		puts(text);
	free(text);
}

/* A result that is one text is printed as it is, for programs that read it. */
static int print_answer(const struct vmb_vmm_ctl *ctl, json_t *answer)
{
	json_t *error = json_object_get(answer, "error"),
	       *result = json_object_get(answer, "result");
	json_t *text = json_object_get(result, "text");

	if (error) {
		vmb_dev_report("%s %s: %s", ctl->who, ctl->path,
			       json_string_value(json_object_get(error, "message")));
		return VMB_VMM_EXIT_FAILURE;
	}
	if (json_object_size(result) == 1 && json_is_string(text))
		fputs(json_string_value(text), stdout);
	else if (json_object_size(result))
		print_line(result, JSON_INDENT(2));
	return fflush(stdout) ? VMB_VMM_EXIT_FAILURE : 0;
}

/* Until the machine ends. */
static int print_events(struct vmb_vmm_ctl *ctl)
{
	json_t *line;
	bool ended;

	while ((line = vmb_vmm_ctl_read(ctl, -1, &ended))) {
		print_line(line, JSON_COMPACT);
		json_decref(line);
		if (fflush(stdout))
			return VMB_VMM_EXIT_FAILURE;
	}
	return ended ? 0 : VMB_VMM_EXIT_FAILURE;
}

static int ask(struct vmb_vmm_ctl *ctl, const struct vmb_vmm_command *row, json_t *arguments)
{
	json_t *answer = vmb_vmm_ctl_ask(ctl, json_pack("{s:s, s:O}", "command", row->name,
							"arguments", arguments));
	int code = answer ? print_answer(ctl, answer) : VMB_VMM_EXIT_FAILURE;

	json_decref(answer);
	if (!code && strcmp(row->name, "events") == 0)
		code = print_events(ctl);
	return code;
}

static void print_row(void *arg, const struct vmb_vmm_command *row)
{
	printf("  %s", row->name);
	for (const struct vmb_vmm_control_field *f = row->arguments; f && f->name; f++)
		printf(f->optional ? " [%s]" : " %s", f->name);
	putchar('\n');
}

static int help(void)
{
	puts("usage: openvmbus ctl PATH COMMAND [ARGUMENT...]\n"
	     "Arguments are values in this order, or --NAME VALUE. Exit codes: 0; 1 the command\n"
	     "failed, and why; 2 a bad command line. docs/control.md describes the commands:\n");
	vmb_vmm_control_each(print_row, NULL);
	return 0;
}

int vmb_vmm_ctl_run(int argc, char **argv)
{
	const struct vmb_vmm_command *row;
	struct vmb_vmm_ctl ctl;
	json_t *arguments;
	int code = VMB_VMM_EXIT_FAILURE;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return help();
	if (argc == 2 && strcmp(argv[1], "--document") == 0) {
		vmb_vmm_control_document(stdout);
		return 0;
	}
	if (argc < 3) {
		vmb_dev_report("ctl: give a socket's path and a command; see openvmbus ctl --help");
		return VMB_VMM_EXIT_USAGE;
	}
	row = vmb_vmm_control_find(argv[2]);
	if (!row)
		vmb_dev_report("ctl: %s: no such command; see openvmbus ctl --help", argv[2]);
	arguments = row ? parse_arguments(row, argc - 3, argv + 3) : NULL;
	if (!arguments)
		return VMB_VMM_EXIT_USAGE;
	if (vmb_vmm_ctl_connect(&ctl, "ctl", argv[1]) == 0)
		code = ask(&ctl, row, arguments);
	vmb_vmm_ctl_close(&ctl);
	json_decref(arguments);
	return code;
}
