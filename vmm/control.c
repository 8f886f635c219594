// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The server of the control socket: one thread, which polls the socket and its clients, takes lines
 * apart, and calls the functions of the tables.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "devices/event.h"
#include "devices/report.h"
#include "devices/role.h"
#include "devices/socket.h"
#include "host/scsi.h"
#include "vmm/control.h"
#include "vmm/relay.h"

#ifndef OPENVMBUS_VERSION
#define OPENVMBUS_VERSION "unknown"
#endif

#define LEAVING_MS   10000 /* a client that ended its requests and does not read the answers */
#define LOCK_MS	     5000 /* for the relay, which has other clients too */
#define LOCK_WHY_LEN 256u
#define DUMP	     (JSON_COMPACT | JSON_ENSURE_ASCII)
#define POLL_WAKE    0
#define POLL_LISTEN  1
#define POLL_PORT    2
#define POLL_CLIENTS 3

struct client {
	bool used; /* else this place is free */
	int fd; /* -1: it is on the port */
	uint32_t number; /* on the port */
	bool sending; /* the port's other end has not taken the last bytes */
	bool ending; /* it ends behind what is held */
	uint32_t held_len; /* bytes that came over the port, and are not in in[] yet */
	uint8_t held[VMB_VMM_LINK_DATA_MAX];
	bool skipping; /* the rest of a line that was too long */
	bool ended; /* it sends no more */
	bool in_call; /* a call of its goes on */
	bool gone;
	int64_t moved_at; /* it took something */
	struct vmb_vmm_call call;
	uint32_t in_len;
	size_t out_at, out_len, out_room; /* bytes of out */
	char *out;
	char in[VMB_VMM_CONTROL_LINE_MAX + 1];
};

struct vmb_vmm_control {
	struct vmb_vmm_control_config config;
	struct vmb_dev_socket socket;
	struct vmb_vmm_link port; /* fd -1: none */
	int lun_locks[VMB_HOST_SCSI_LUN_MAX]; /* 0: none */
	int lock_number; /* of the last one */
	bool lock_answered;
	char lock_why[LOCK_WHY_LEN]; /* empty: it is locked */
	pthread_t thread;
	bool started;
	int wake;
	struct client clients[VMB_VMM_CONTROL_CLIENT_MAX];
	struct client one_more; /* that is turned away */

	pthread_mutex_t lock; /* a command uses the machine */
	struct vmb_vmm_machine *machine; /* NULL: none now */
	uint32_t starts; /* how many machines there were */

	pthread_mutex_t events_lock;
	bool ending;
	char *events[VMB_VMM_CONTROL_EVENT_MAX]; /* lines, oldest first */
	uint32_t event_count;
	uint64_t events_lost;
};

int64_t vmb_vmm_control_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* What leaves for a client */

/* Bounded by what one answer may have: a client that is behind is not read from. */
static bool make_room(struct client *c, size_t len)
{
	size_t room = c->out_room ? c->out_room : 4096;
	char *out;

	if (c->out_at) {
		memmove(c->out, c->out + c->out_at, c->out_len);
		c->out_at = 0;
	}
	while (room < c->out_len + len)
		room *= 2;
	if (room == c->out_room)
		return true;
	out = realloc(c->out, room);
	if (!out)
		return false;
	c->out = out;
	c->out_room = room;
	return true;
}

static void say(struct client *c, const char *text, size_t len)
{
	if (c->gone)
		return;
	if (!make_room(c, len + 1)) {
		c->gone = true;
		return;
	}
	if (!c->out_len)
		c->moved_at = vmb_vmm_control_now();
	memcpy(c->out + c->out_len, text, len);
	c->out[c->out_len + len] = '\n';
	c->out_len += len + 1;
}

/* Takes object. */
static void say_object(struct client *c, json_t *object)
{
	char *text = object ? json_dumps(object, DUMP) : NULL;

	if (text)
		say(c, text, strlen(text));
	else
		c->gone = true;
	free(text);
	json_decref(object);
}

/* A text of the client's own may be no UTF-8. */
static json_t *error_object(const char *code, const char *message)
{
	json_t *object = json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", message);

	return object ? object :
			json_pack("{s:{s:s, s:s}}", "error", "code", code, "message",
				  "the request holds text that is not UTF-8");
}

static void say_error(struct client *c, const char *code, const char *message)
{
	say_object(c, error_object(code, message));
}

static void say_version(struct client *c)
{
	say_object(c, json_pack("{s:s, s:i}", "openvmbus", OPENVMBUS_VERSION, "control",
				VMB_VMM_CONTROL_VERSION));
}

static ssize_t send_to_port(struct client *c)
{
	struct vmb_vmm_link *port = &c->call.control->port;
	size_t len = c->out_len < VMB_VMM_LINK_DATA_MAX ? c->out_len : VMB_VMM_LINK_DATA_MAX;

	if (c->sending)
		return 0;
	vmb_vmm_link_put(port, c->number, VMB_VMM_LINK_DATA, c->out + c->out_at, len);
	c->sending = true;
	return len;
}

static void flush(struct client *c)
{
	ssize_t sent;

	if (!c->out_len || c->gone)
		return;
	if (c->fd < 0)
		sent = send_to_port(c);
	else
		sent = send(c->fd, c->out + c->out_at, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent <= 0) {
		c->gone = sent < 0 && errno != EAGAIN && errno != EINTR;
		return;
	}
	c->moved_at = vmb_vmm_control_now();
	c->out_at += sent;
	c->out_len -= sent;
	if (c->out_len)
		return;
	free(c->out);
	c->out = NULL;
	c->out_at = c->out_room = 0;
}

/* Calls */

static void end_call(struct client *c, enum vmb_vmm_call_step step)
{
	struct vmb_vmm_call *call = &c->call;
	json_t *answer;

	if (step == VMB_VMM_CALL_DONE)
		answer = json_pack("{s:O}", "result", call->result);
	else
		answer = error_object(call->code ? call->code : "failed", call->message);
	if (call->id && answer)
		json_object_set(answer, "id", call->id);
	say_object(c, answer);
	json_decref(call->result);
	json_decref(call->arguments);
	json_decref(call->id);
	*call = (struct vmb_vmm_call){ .control = call->control, .events = call->events };
	c->in_call = false;
}

/* With the lock. */
static enum vmb_vmm_call_step run_on_machine(struct vmb_vmm_call *call)
{
	struct vmb_vmm_control *control = call->control;

	if (!control->machine)
		return vmb_vmm_call_no_machine(call);
	call->machine = control->machine;
	call->start = control->starts;
	return call->row->run(call);
}

/* With the lock. */
static bool has_its_machine(const struct vmb_vmm_call *call)
{
	return call->control->machine && call->control->starts == call->start;
}

static enum vmb_vmm_call_step go_on_on_machine(struct vmb_vmm_call *call)
{
	if (has_its_machine(call))
		return call->go_on(call);
	call->over = true;
	call->machine = NULL;
	call->go_on(call);
	return vmb_vmm_call_fail(call, "no-machine", "the machine was reset or has ended");
}

static void run_call(struct client *c, enum vmb_vmm_call_step (*step)(struct vmb_vmm_call *call),
		     enum vmb_vmm_call_step (*step_on_machine)(struct vmb_vmm_call *call))
{
	struct vmb_vmm_call *call = &c->call;
	enum vmb_vmm_call_step result;

	if (call->row->machine) {
		pthread_mutex_lock(&call->control->lock);
		result = step_on_machine(call);
		pthread_mutex_unlock(&call->control->lock);
	} else {
		result = step(call);
	}
	c->in_call = result == VMB_VMM_CALL_LATER;
	if (!c->in_call)
		end_call(c, result);
}

static enum vmb_vmm_call_step refuse(struct vmb_vmm_call *call, const char *code,
				     const char *message)
{
	return vmb_vmm_call_fail(call, code, "%s", message);
}

/* Fills in the call. Returns VMB_VMM_CALL_DONE: it can be run. */
static enum vmb_vmm_call_step take_request(struct vmb_vmm_call *call, json_t *request)
{
	const char *command = json_string_value(json_object_get(request, "command")), *code, *name;
	json_t *arguments = json_object_get(request, "arguments"), *value;

	call->id = json_incref(json_object_get(request, "id"));
	json_object_foreach(request, name, value)
		if (strcmp(name, "id") && strcmp(name, "command") && strcmp(name, "arguments"))
			return vmb_vmm_call_fail(call, "bad-request",
						 "a request has id, command, "
						 "arguments, not '%.64s'",
						 name);
	if (!command)
		return refuse(call, "bad-request",
			      "give an object with a text 'command'; see docs/control.md");
	if (arguments && !json_is_object(arguments))
		return refuse(call, "bad-request", "'arguments' must be an object");
	call->row = vmb_vmm_control_find(command);
	if (!call->row)
		return vmb_vmm_call_fail(call, "no-such-command",
					 "there is no command '%.64s'; see docs/control.md",
					 command);
	call->arguments = arguments ? json_incref(arguments) : json_object();
	call->result = json_object();
	if (!call->arguments || !call->result)
		return refuse(call, "failed", strerror(ENOMEM));
	code = vmb_vmm_control_check(call->row, call->arguments, call->message);
	call->code = code;
	return code ? VMB_VMM_CALL_FAILED : VMB_VMM_CALL_DONE;
}

static void take_line(struct client *c, const char *line, size_t len)
{
	json_error_t error;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	char message[VMB_VMM_CONTROL_MESSAGE_LEN];

	if (!request) {
		snprintf(message, sizeof(message), "the line is no JSON object: %s", error.text);
		say_error(c, "syntax", message);
		return;
	}
	c->call.began = vmb_vmm_control_now();
	if (take_request(&c->call, request) == VMB_VMM_CALL_DONE)
		run_call(c, c->call.row->run, run_on_machine);
	else
		end_call(c, VMB_VMM_CALL_FAILED);
	json_decref(request);
}

/* What comes from a client */

static bool is_behind(const struct client *c)
{
	return c->out_len > VMB_VMM_CONTROL_BEHIND_MAX;
}

/* Returns the length of the line that begins at, or -1: there is none yet. */
static int next_line(const struct client *c, uint32_t at)
{
	const char *end = memchr(c->in + at, '\n', c->in_len - at);

	if (end)
		return end - (c->in + at);
	return c->ended && c->in_len > at && !c->skipping ? (int)(c->in_len - at) : -1;
}

static void drop_input(struct client *c, uint32_t len)
{
	c->in_len -= len;
	memmove(c->in, c->in + len, c->in_len);
}

/* One error for a line that is too long, however long it is. */
static void refuse_long_line(struct client *c)
{
	char message[VMB_VMM_CONTROL_MESSAGE_LEN];

	snprintf(message, sizeof(message),
		 "a request is one line of at most %u bytes; this one was left out",
		 VMB_VMM_CONTROL_LINE_MAX);
	say_error(c, "too-long", message);
	c->skipping = true;
	c->in_len = 0;
}

static bool is_blank(const char *line, int len)
{
	int at = 0;

	while (at < len && (line[at] == ' ' || line[at] == '\t' || line[at] == '\r'))
		at++;
	return at == len;
}

static void take_lines(struct client *c)
{
	uint32_t at = 0;
	int len;

	while (!c->in_call && !c->gone && !is_behind(c) && (len = next_line(c, at)) >= 0) {
		if (!c->skipping && !is_blank(c->in + at, len))
			take_line(c, c->in + at, len);
		c->skipping = false;
		at += at + len < c->in_len ? len + 1 : len;
	}
	drop_input(c, at);
	if (c->in_call || next_line(c, 0) >= 0)
		return;
	if (c->skipping)
		c->in_len = 0;
	else if (c->in_len == sizeof(c->in))
		refuse_long_line(c);
}

static bool wants_input(const struct client *c)
{
	return !c->ended && !c->in_call && !is_behind(c) && c->in_len < sizeof(c->in);
}

static void read_client(struct client *c)
{
	ssize_t len = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);

	if (len > 0)
		c->in_len += len;
	else if (len == 0)
		c->ended = true;
	else
		c->gone = errno != EAGAIN && errno != EINTR;
}

/* Life of a client */

/* A call that goes on is told that nobody waits for it any more. */
static void abandon_call(struct client *c)
{
	struct vmb_vmm_call *call = &c->call;

	pthread_mutex_lock(&call->control->lock);
	if (!has_its_machine(call))
		call->machine = NULL;
	call->over = true;
	call->go_on(call);
	pthread_mutex_unlock(&call->control->lock);
	end_call(c, VMB_VMM_CALL_FAILED);
}

static void leave(struct client *c)
{
	if (c->in_call)
		abandon_call(c);
	if (c->fd >= 0)
		close(c->fd);
	else
		vmb_vmm_link_put(&c->call.control->port, c->number, VMB_VMM_LINK_CLOSE, NULL, 0);
	free(c->out);
	c->out = NULL;
	c->used = false;
}

static struct client *free_place(struct vmb_vmm_control *control)
{
	for (uint32_t i = 0; i < VMB_VMM_CONTROL_CLIENT_MAX; i++)
		if (!control->clients[i].used)
			return &control->clients[i];
	return NULL;
}

/* fd -1: the client is on the port. */
static void welcome(struct vmb_vmm_control *control, int fd, uint32_t number)
{
	struct client *c = free_place(control), *none = &control->one_more;
	char message[VMB_VMM_CONTROL_MESSAGE_LEN];

	if (c) {
		*c = (struct client){
			.used = true, .fd = fd, .number = number, .call.control = control
		};
		say_version(c);
		flush(c);
		return;
	}
	*none = (struct client){ .fd = fd, .number = number, .call.control = control };
	snprintf(message, sizeof(message), "%u clients are connected already; try again later",
		 VMB_VMM_CONTROL_CLIENT_MAX);
	say_error(none, "too-many-clients", message);
	flush(none);
	leave(none);
}

static void accept_client(struct vmb_vmm_control *control)
{
	int fd = vmb_dev_socket_accept(&control->socket);

	if (fd >= 0)
		welcome(control, fd, 0);
}

/* The port's other end sends no more before it hears that this was taken. */
static void take_held(struct client *c)
{
	uint32_t room = sizeof(c->in) - c->in_len;
	uint32_t len = c->held_len < room ? c->held_len : room;

	memcpy(c->in + c->in_len, c->held, len);
	c->in_len += len;
	c->held_len -= len;
	memmove(c->held, c->held + len, c->held_len);
	if (len && !c->held_len)
		vmb_vmm_link_put(&c->call.control->port, c->number, VMB_VMM_LINK_TAKEN, NULL, 0);
	if (!c->held_len && c->ending)
		c->ended = true;
}

static struct client *find_client(struct vmb_vmm_control *control, uint32_t number)
{
	for (uint32_t i = 0; i < VMB_VMM_CONTROL_CLIENT_MAX; i++) {
		struct client *c = &control->clients[i];

		if (c->used && c->fd < 0 && c->number == number)
			return c;
	}
	return NULL;
}

static void take_lock_answer(struct vmb_vmm_control *control,
			     const struct vmb_vmm_link_frame *frame)
{
	if ((int)frame->head.client != control->lock_number)
		return; /* it came too late */
	control->lock_answered = true;
	snprintf(control->lock_why, sizeof(control->lock_why), "%.*s", frame->head.len,
		 (const char *)frame->bytes);
}

static void take_frame(struct vmb_vmm_control *control, const struct vmb_vmm_link_frame *frame)
{
	struct client *c = find_client(control, frame->head.client);

	if (frame->head.kind == VMB_VMM_LINK_LOCKED) {
		take_lock_answer(control, frame);
		return;
	}
	if (frame->head.kind == VMB_VMM_LINK_OPEN)
		welcome(control, -1, frame->head.client);
	if (!c)
		return;
	switch (frame->head.kind) {
	case VMB_VMM_LINK_DATA:
		if (c->held_len)
			return;
		memcpy(c->held, frame->bytes, frame->head.len);
		c->held_len = frame->head.len;
		break;
	case VMB_VMM_LINK_TAKEN: c->sending = false; break;
	case VMB_VMM_LINK_END: c->ending = true; break;
	case VMB_VMM_LINK_CLOSE: c->gone = true; break;
	default: break;
	}
}

static void take_frames(struct vmb_vmm_control *control)
{
	struct vmb_vmm_link_frame frame;

	vmb_vmm_link_move(&control->port);
	while (vmb_vmm_link_take(&control->port, &frame))
		take_frame(control, &frame);
}

static void serve_client(struct client *c, short revents)
{
	if (c->fd < 0 && wants_input(c))
		take_held(c);
	else if (revents & (POLLIN | POLLHUP | POLLERR) && wants_input(c))
		read_client(c);
	if (c->in_call)
		run_call(c, c->call.go_on, go_on_on_machine);
	take_lines(c);
	flush(c);
	if (c->ended && !c->in_call && next_line(c, 0) < 0 && !c->out_len)
		c->gone = true;
	if (c->ended && c->out_len && vmb_vmm_control_now() - c->moved_at > LEAVING_MS)
		c->gone = true;
	if (c->gone)
		leave(c);
}

/* Events */

void vmb_vmm_control_event(struct vmb_vmm_control *control, const char *name, const char *format,
			   ...)
{
	json_t *event, *fields = NULL;
	char *line = NULL;
	va_list args;

	if (!control)
		return;
	va_start(args, format);
	if (format)
		fields = json_vpack_ex(NULL, 0, format, args);
	va_end(args);
	event = json_pack("{s:s, s:o*}", "event", name, "fields", fields);
	if (event)
		line = json_dumps(event, DUMP);
	json_decref(event);
	pthread_mutex_lock(&control->events_lock);
	if (line && control->event_count < VMB_VMM_CONTROL_EVENT_MAX) {
		control->events[control->event_count++] = line;
	} else {
		control->events_lost++;
		free(line);
	}
	pthread_mutex_unlock(&control->events_lock);
	vmb_dev_event_ring(control->wake);
}

/* For a client that is behind the event is lost; what it missed shows in `inspect`. */
static void spread(struct vmb_vmm_control *control, const char *line)
{
	for (uint32_t i = 0; i < VMB_VMM_CONTROL_CLIENT_MAX; i++) {
		struct client *c = &control->clients[i];

		if (c->used && c->call.events && !is_behind(c))
			say(c, line, strlen(line));
	}
}

/* Returns whether the server must end. */
static bool take_events(struct vmb_vmm_control *control)
{
	char *lines[VMB_VMM_CONTROL_EVENT_MAX], text[96];
	uint32_t count;
	uint64_t lost;
	bool ending;

	pthread_mutex_lock(&control->events_lock);
	count = control->event_count;
	lost = control->events_lost;
	memcpy(lines, control->events, count * sizeof(lines[0]));
	control->event_count = control->events_lost = 0;
	ending = control->ending;
	pthread_mutex_unlock(&control->events_lock);
	for (uint32_t i = 0; i < count; i++) {
		spread(control, lines[i]);
		free(lines[i]);
	}
	snprintf(text, sizeof(text), "{\"event\":\"lost\",\"fields\":{\"count\":%llu}}",
		 (unsigned long long)lost);
	if (lost)
		spread(control, text);
	return ending;
}

/* The thread */

static short wanted(const struct client *c)
{
	return (wants_input(c) ? POLLIN : 0) | (c->out_len ? POLLOUT : 0);
}

/* A client from which nothing is wanted is left out: poll() would report its hang-up for ever. */
static int fill(struct vmb_vmm_control *control, struct pollfd *fds)
{
	int timeout = -1;

	fds[POLL_WAKE] = (struct pollfd){ .fd = control->wake, .events = POLLIN };
	fds[POLL_PORT] = (struct pollfd){ .fd = control->port.broken ? -1 : control->port.fd,
					  .events = vmb_vmm_link_wanted(&control->port) };
	for (uint32_t i = 0; i < VMB_VMM_CONTROL_CLIENT_MAX; i++) {
		struct client *c = &control->clients[i];
		short events = !c->used || c->fd < 0 ? 0 : wanted(c);

		fds[POLL_CLIENTS + i] =
			(struct pollfd){ .fd = events ? c->fd : -1, .events = events };
		if (c->used && c->in_call)
			timeout = VMB_VMM_CONTROL_TICK_MS;
		else if (c->used && c->ended && timeout < 0)
			timeout = LEAVING_MS;
	}
	fds[POLL_LISTEN] = (struct pollfd){ .fd = vmb_dev_socket_wanted(&control->socket, &timeout),
					    .events = POLLIN };
	return timeout;
}

static void *serve(void *arg)
{
	struct vmb_vmm_control *control = arg;
	struct pollfd fds[POLL_CLIENTS + VMB_VMM_CONTROL_CLIENT_MAX];
	bool ending = false;

	vmb_dev_role_enter(VMB_DEV_ROLE_CONTROL);
	while (!ending) {
		int timeout = fill(control, fds);

		if (poll(fds, VMB_ARRAY_COUNT(fds), timeout) < 0)
			continue;
		if (fds[POLL_WAKE].revents)
			vmb_dev_event_clear(control->wake);
		ending = take_events(control);
		if (control->port.fd >= 0)
			take_frames(control);
		for (uint32_t i = 0; i < VMB_VMM_CONTROL_CLIENT_MAX; i++)
			if (control->clients[i].used)
				serve_client(&control->clients[i], fds[POLL_CLIENTS + i].revents);
		if (fds[POLL_LISTEN].revents)
			accept_client(control);
	}
	return NULL;
}

/* Life */

static struct vmb_vmm_control *create(const struct vmb_vmm_control_config *config)
{
	struct vmb_vmm_control *c = calloc(1, sizeof(*c));

	json_object_seed(0); /* reads a file, which the server's thread would be too late for */
	if (!c) {
		vmb_dev_report("--control: %s", strerror(ENOMEM));
		return NULL;
	}
	c->config = *config;
	c->socket.fd = c->port.fd = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->events_lock, NULL);
	c->wake = vmb_dev_event_create();
	if (c->wake >= 0)
		return c;
	vmb_dev_report("--control: eventfd: %s", strerror(-c->wake));
	vmb_vmm_control_close(c);
	return NULL;
}

int vmb_vmm_control_open_port(struct vmb_vmm_control **control, int fd,
			      const struct vmb_vmm_control_config *config)
{
	*control = create(config);
	if (!*control) {
		close(fd);
		return -ENOMEM;
	}
	(*control)->port.fd = fd;
	return 0;
}

static int open_nest_port(struct vmb_vmm_control **control,
			  const struct vmb_vmm_control_config *config)
{
	int fd = vmb_vmm_relay_open_port();

	if (fd >= 0)
		return vmb_vmm_control_open_port(control, fd, config);
	vmb_dev_report("--control %s: %s; this is no nest, give a path", VMB_VMM_CONTROL_PORT,
		       strerror(-fd));
	return fd;
}

int vmb_vmm_control_open(struct vmb_vmm_control **control, const char *path,
			 const struct vmb_vmm_control_config *config)
{
	*control = NULL;
	if (!path)
		return 0;
	if (strcmp(path, VMB_VMM_CONTROL_PORT) == 0)
		return open_nest_port(control, config);
	*control = create(config);
	if (!*control)
		return -ENOMEM;
	return vmb_dev_socket_serve(&(*control)->socket, "--control", path, SOCK_STREAM, true);
}

int vmb_vmm_control_start(struct vmb_vmm_control *c)
{
	int error = c ? pthread_create(&c->thread, NULL, serve, c) : 0;

	if (error)
		vmb_dev_report("--control: no thread: %s", strerror(error));
	else if (c)
		c->started = true;
	return -error;
}

static void stop(struct vmb_vmm_control *c)
{
	pthread_mutex_lock(&c->events_lock);
	c->ending = true;
	pthread_mutex_unlock(&c->events_lock);
	vmb_dev_event_ring(c->wake);
	pthread_join(c->thread, NULL);
}

void vmb_vmm_control_close(struct vmb_vmm_control *c)
{
	if (!c)
		return;
	if (c->started)
		stop(c);
	for (uint32_t i = 0; i < VMB_VMM_CONTROL_CLIENT_MAX; i++)
		if (c->clients[i].used)
			leave(&c->clients[i]);
	if (c->port.fd >= 0) {
		vmb_vmm_link_move(&c->port);
		close(c->port.fd);
	}
	for (uint32_t i = 0; i < c->event_count; i++)
		free(c->events[i]);
	vmb_dev_socket_end(&c->socket);
	if (c->wake >= 0)
		close(c->wake);
	pthread_mutex_destroy(&c->events_lock);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void set_machine(struct vmb_vmm_control *c, struct vmb_vmm_machine *machine)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->machine = machine;
	c->starts += machine ? 1 : 0;
	pthread_mutex_unlock(&c->lock);
}

void vmb_vmm_control_attach(struct vmb_vmm_control *c, struct vmb_vmm_machine *machine)
{
	set_machine(c, machine);
}

void vmb_vmm_control_detach(struct vmb_vmm_control *c)
{
	set_machine(c, NULL);
}

/* Locks of a nest's files */

static bool await_lock(struct vmb_vmm_control *control)
{
	struct pollfd fd = { .fd = control->port.fd };
	int64_t until = vmb_vmm_control_now() + LOCK_MS;

	while (!control->lock_answered && !control->port.broken && vmb_vmm_control_now() < until) {
		fd.events = vmb_vmm_link_wanted(&control->port);
		poll(&fd, 1, LOCK_MS / 10);
		take_frames(control);
	}
	return control->lock_answered;
}

int vmb_vmm_call_lock(struct vmb_vmm_call *call, const char *path, bool read_only)
{
	struct vmb_vmm_control *control = call->control;
	char bytes[VMB_VMM_LINK_DATA_MAX];
	int len = snprintf(bytes, sizeof(bytes), "%c%s", read_only ? 'r' : 'w', path);

	if (control->port.fd < 0)
		return 0;
	control->lock_answered = false;
	control->lock_number++;
	if (len < (int)sizeof(bytes))
		vmb_vmm_link_put(&control->port, control->lock_number, VMB_VMM_LINK_LOCK, bytes,
				 len);
	if (len < (int)sizeof(bytes) && await_lock(control) && !*control->lock_why)
		return control->lock_number;
	if (control->lock_answered)
		vmb_dev_report("%s", control->lock_why);
	else
		vmb_dev_report("%s: it cannot be locked outside of the nest", path);
	vmb_vmm_call_unlock(call, control->lock_number);
	return -1;
}

void vmb_vmm_call_unlock(struct vmb_vmm_call *call, int number)
{
	if (number > 0)
		vmb_vmm_link_put(&call->control->port, number, VMB_VMM_LINK_UNLOCK, NULL, 0);
}

int *vmb_vmm_call_lun_locks(struct vmb_vmm_call *call)
{
	return call->control->lun_locks;
}

/* For functions of rows */

const struct vmb_vmm_control_config *vmb_vmm_control_config(const struct vmb_vmm_call *call)
{
	return &call->control->config;
}

struct vmb_vmm_machine *vmb_vmm_call_hold(struct vmb_vmm_call *call)
{
	pthread_mutex_lock(&call->control->lock);
	return call->control->machine;
}

void vmb_vmm_call_release(struct vmb_vmm_call *call)
{
	pthread_mutex_unlock(&call->control->lock);
}

bool vmb_vmm_call_regain(struct vmb_vmm_call *call)
{
	pthread_mutex_lock(&call->control->lock);
	if (!has_its_machine(call))
		call->machine = NULL;
	return call->machine;
}

enum vmb_vmm_call_step vmb_vmm_call_no_machine(struct vmb_vmm_call *call)
{
	return vmb_vmm_call_fail(call, "no-machine",
				 "the machine is starting or ending; try again");
}

const char *vmb_vmm_call_text(const struct vmb_vmm_call *call, const char *name)
{
	return json_string_value(json_object_get(call->arguments, name));
}

uint64_t vmb_vmm_call_number(const struct vmb_vmm_call *call, const char *name, uint64_t otherwise)
{
	const json_t *value = json_object_get(call->arguments, name);

	return value ? (uint64_t)json_integer_value(value) : otherwise;
}

bool vmb_vmm_call_flag(const struct vmb_vmm_call *call, const char *name)
{
	return json_is_true(json_object_get(call->arguments, name));
}

void vmb_vmm_call_set(struct vmb_vmm_call *call, const char *name, json_t *value)
{
	json_object_set_new(call->result, name, value);
}

void vmb_vmm_call_set_text(struct vmb_vmm_call *call, const char *name, const char *text)
{
	json_t *value = json_string(text);

	vmb_vmm_call_set(call, name, value ? value : json_string("(no UTF-8)"));
}

void vmb_vmm_call_set_number(struct vmb_vmm_call *call, const char *name, uint64_t number)
{
	vmb_vmm_call_set(call, name, json_integer(number));
}

void vmb_vmm_call_set_flag(struct vmb_vmm_call *call, const char *name, bool flag)
{
	vmb_vmm_call_set(call, name, json_boolean(flag));
}

enum vmb_vmm_call_step vmb_vmm_call_fail(struct vmb_vmm_call *call, const char *code,
					 const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(call->message, sizeof(call->message), format, args);
	va_end(args);
	call->code = code;
	return VMB_VMM_CALL_FAILED;
}
