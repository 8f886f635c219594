// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The control socket with clients that are sane and others, over a machine that has a bus and no
 * processor: what each gets, that answers are as the tables say, and that docs/control.md says the
 * same.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/balloon.h"
#include "devices/trace_read.h"
#include "tests/lack.h"
#include "tests/loopback_bed.h"
#include "vmm/control.h"
#include "vmm/ctl.h"
#include "vmm/devices.h"
#include "vmm/machine.h"
#include "vmm/relay.h"
#include "vmm/top.h"

#define LIMIT_S 60 /* whatever waits for ever ends the test by SIGALRM */

static struct vmb_vmm_machine machine;
static struct vmb_vmm_options options = { .kernel = "vmlinuz", .cpus = 1 };
static struct vmb_vmm_devices devices;
static struct vmb_dev_fault_plan faults;
static struct vmb_vmm_control *control;
static struct kvm_run page;
static struct loop *bed;
static char folder[] = "/tmp/vmm-control-XXXXXX", path[64];
static uint32_t resets;
static struct vmb_dev_trace trace;
static bool relayed; /* as with a nest: clients come over a port */

static int open_control(const struct vmb_vmm_control_config *config)
{
	int fd;

	if (!relayed)
		return vmb_vmm_control_open(&control, path, config);
	assert_int_equal(vmb_vmm_relay_start(path, &fd), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return vmb_vmm_control_open_port(&control, fd, config);
}

static int set_up(void **state)
{
	const struct vmb_vmm_control_config config = { &options, &devices, &resets, &trace,
						       &faults };

	alarm(LIMIT_S);
	vmb_dev_trace_init(&trace);
	bed = loop_new((struct vmb_user_loopback_config){ 0 });
	options.generation = *vmb_vmm_generation_newest();
	machine = (struct vmb_vmm_machine){ .vmbus = bed->l.machine.bus, .options = &options };
	machine.dev.vp_count = 1;
	machine.vcpus[0].machine = &machine;
	machine.vcpus[0].run = &page;
	machine.wake = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(open_control(&config), 0);
	assert_int_equal(vmb_vmm_control_start(control), 0);
	vmb_vmm_control_attach(control, &machine);
	return 0;
}

static int tear_down(void **state)
{
	vmb_vmm_control_detach(control);
	vmb_vmm_control_close(control);
	while (relayed && access(path, F_OK) == 0)
		usleep(1000); /* the relay ends by itself */
	assert_int_equal(access(path, F_OK), -1);
	close(machine.wake);
	loop_free(bed);
	vmb_dev_trace_destroy(&trace);
	return 0;
}

/* A client that blocks. */
static int connect_client(void)
{
	struct sockaddr_un address;
	int fd = vmb_dev_socket_create(&address, path, SOCK_STREAM);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* The next line; NULL: the connection was closed. */
static json_t *read_line(int fd)
{
	static char line[4 << 20];
	size_t len = 0;
	json_t *object;

	while (len < sizeof(line) && read(fd, line + len, 1) == 1 && line[len] != '\n')
		len++;
	if (!len)
		return NULL;
	object = json_loadb(line, len, 0, NULL);
	assert_non_null(object);
	return object;
}

static int new_client(void)
{
	int fd = connect_client();
	json_t *greeting = read_line(fd);

	assert_int_equal(json_integer_value(json_object_get(greeting, "control")),
			 VMB_VMM_CONTROL_VERSION);
	json_decref(greeting);
	return fd;
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void expect_error(int fd, const char *code)
{
	json_t *line = read_line(fd), *error = json_object_get(line, "error");

	assert_non_null(error);
	assert_string_equal(json_string_value(json_object_get(error, "code")), code);
	assert_true(strlen(json_string_value(json_object_get(error, "message"))) > 10);
	json_decref(line);
}

static void refuse(int fd, const char *line, const char *code)
{
	send_text(fd, line);
	send_text(fd, "\n");
	expect_error(fd, code);
}

/* The result of a command, the caller's. */
static json_t *ask(int fd, const char *command)
{
	json_t *line, *result;
	char text[256];

	snprintf(text, sizeof(text), "{\"command\":\"%s\",\"id\":[\"mine\"]}\n", command);
	send_text(fd, text);
	line = read_line(fd);
	assert_string_equal(json_string_value(json_array_get(json_object_get(line, "id"), 0)),
			    "mine");
	result = json_incref(json_object_get(line, "result"));
	assert_non_null(result);
	json_decref(line);
	return result;
}

static void expect_alive(void)
{
	int fd = new_client();

	json_decref(ask(fd, "status"));
	close(fd);
}

static void test_each_mistake_gets_one_error_and_the_next_request_is_served(void **state)
{
	int fd = new_client();

	refuse(fd, "garbage", "syntax");
	refuse(fd, "\x80\xff\x01", "syntax");
	refuse(fd, "[1,2]", "bad-request");
	refuse(fd, "{\"command\":\"status\",\"command\":\"pause\"}", "syntax");
	refuse(fd, "{\"command\":7}", "bad-request");
	refuse(fd, "{\"command\":\"status\",\"also\":1}", "bad-request");
	refuse(fd, "{\"command\":\"status\",\"arguments\":[]}", "bad-request");
	refuse(fd, "{\"command\":\"stat\"}", "no-such-command");
	refuse(fd, "{\"command\":\"status\",\"arguments\":{\"of\":1}}", "no-such-argument");
	refuse(fd, "{\"command\":\"events\",\"arguments\":{\"on\":1}}", "bad-argument");
	send_text(fd, "\n \t\r\n"); /* no request */
	json_decref(ask(fd, "version"));
	close(fd);
}

/* A thread of its own sends, because the server may take the bytes slower than a socket holds. */
static void *send_long_line(void *arg)
{
	static char bytes[1 << 20];
	int fd = *(int *)arg;

	memset(bytes, 'x', sizeof(bytes));
	for (size_t at = 0; at < sizeof(bytes);) {
		ssize_t sent = send(fd, bytes + at, sizeof(bytes) - at, MSG_NOSIGNAL);

		assert_true(sent > 0);
		at += sent;
	}
	send_text(fd, "\n{\"command\":\"version\"}\n");
	return NULL;
}

static void test_request_of_a_mebibyte_gets_one_error(void **state)
{
	int fd = new_client();
	pthread_t sender;
	json_t *line;

	assert_int_equal(pthread_create(&sender, NULL, send_long_line, &fd), 0);
	expect_error(fd, "too-long");
	line = read_line(fd);
	assert_non_null(json_object_get(line, "result"));
	json_decref(line);
	pthread_join(sender, NULL);
	close(fd);
}

static void test_longest_line_is_a_request(void **state)
{
	static char line[VMB_VMM_CONTROL_LINE_MAX + 2];
	const char *text = "{\"command\":\"version\"}";
	int fd = new_client();
	json_t *answer;

	memset(line, ' ', sizeof(line));
	memcpy(line, text, strlen(text));
	line[VMB_VMM_CONTROL_LINE_MAX] = '\n';
	line[VMB_VMM_CONTROL_LINE_MAX + 1] = 0;
	send_text(fd, line);
	answer = read_line(fd);
	assert_non_null(json_object_get(answer, "result"));
	json_decref(answer);
	line[VMB_VMM_CONTROL_LINE_MAX] = ' ';
	send_text(fd, line);
	refuse(fd, "", "too-long");
	close(fd);
}

static void test_request_without_a_line_end_is_answered_when_the_client_shuts_down(void **state)
{
	int fd = new_client();
	json_t *line;

	send_text(fd, "{\"command\":\"version\"}");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	line = read_line(fd);
	assert_non_null(json_object_get(line, "result"));
	json_decref(line);
	assert_null(read_line(fd));
	close(fd);
}

static void test_client_that_never_reads_holds_nobody_up(void **state)
{
	const char *request = "{\"command\":\"inspect\"}\n";
	int fd = new_client();
	struct pollfd full = { .fd = fd, .events = POLLOUT };
	uint32_t sent = 0;

	/* Until the server no longer reads, which is when 64 KiB wait and both sockets are full. */
	while (poll(&full, 1, 500) == 1) {
		assert_true(send(fd, request, strlen(request), MSG_NOSIGNAL | MSG_DONTWAIT) > 0);
		sent++;
	}
	assert_true(sent > 100);
	expect_alive();
	for (uint32_t i = 0; i < 10000; i++)
		vmb_vmm_control_event(control, "resumed", NULL);
	expect_alive();
	close(fd);
	expect_alive();
}

static void test_clients_beyond_the_limit_get_one_error_and_are_turned_away(void **state)
{
	int fds[100];
	json_t *line;

	for (uint32_t i = 0; i < VMB_VMM_CONTROL_CLIENT_MAX; i++)
		fds[i] = new_client();
	for (uint32_t i = VMB_VMM_CONTROL_CLIENT_MAX; i < VMB_ARRAY_COUNT(fds); i++) {
		fds[i] = connect_client();
		expect_error(fds[i], "too-many-clients");
		assert_null(read_line(fds[i]));
	}
	json_decref(ask(fds[0], "status"));
	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(fds); i++)
		close(fds[i]);
	/* The places are free again as soon as the server has seen that. */
	do {
		fds[0] = connect_client();
		line = read_line(fds[0]);
		close(fds[0]);
		json_decref(line);
	} while (!line);
	expect_alive();
}

/* A client that cannot be taken yet waits, and the server does not ask for it without a pause. */
static void test_a_client_waits_while_descriptors_lack(void **state)
{
	int fd, other = new_client();
	json_t *greeting;

	lack_begin();
	fd = connect_client();
	lack_watch();
	json_decref(ask(other, "status"));
	lack_end();
	greeting = read_line(fd);
	assert_non_null(json_object_get(greeting, "control"));
	json_decref(greeting);
	close(fd);
	close(other);
}

/* Answers and tables */

static const struct vmb_vmm_control_field *find(const struct vmb_vmm_control_field *fields,
						const char *name)
{
	for (; fields && fields->name; fields++)
		if (strcmp(fields->name, name) == 0)
			return fields;
	return NULL;
}

static void expect_declared(const struct vmb_vmm_command *row, const char *prefix, json_t *value)
{
	const char *name;
	json_t *member;
	char where[256];
	size_t i;

	if (json_is_array(value)) {
		snprintf(where, sizeof(where), "%s[]", prefix);
		json_array_foreach(value, i, member)
			expect_declared(row, where, member);
		return;
	}
	json_object_foreach(value, name, member) {
		snprintf(where, sizeof(where), "%s%s%s", prefix, *prefix ? "." : "", name);
		if (!find(row->results, where))
			fail_msg("%s has an undeclared result %s", row->name, where);
		expect_declared(row, where, member);
	}
}

/* Looks up "a[].b" in the first entry of a. */
static json_t *at_path(json_t *value, const char *name)
{
	char part[64];
	size_t len = strcspn(name, ".[");

	snprintf(part, sizeof(part), "%.*s", (int)len, name);
	value = json_object_get(value, part);
	name += len;
	if (strncmp(name, "[]", 2) == 0) {
		value = json_array_get(value, 0);
		name += 2;
	}
	return *name == '.' ? at_path(value, name + 1) : value;
}

static void expect_row(const struct vmb_vmm_command *row, json_t *result)
{
	expect_declared(row, "", result);
	for (const struct vmb_vmm_control_field *f = row->results; f && f->name; f++) {
		json_t *value = at_path(result, f->name);

		if (!f->optional && !value)
			fail_msg("%s lacks the result %s", row->name, f->name);
		if (value && f->type == VMB_VMM_CONTROL_NUMBER)
			assert_true(json_is_integer(value));
		if (value && f->type == VMB_VMM_CONTROL_TEXT)
			assert_true(json_is_string(value));
		if (value && f->type == VMB_VMM_CONTROL_FLAG)
			assert_true(json_is_boolean(value));
	}
}

static void expect_as_declared(const char *command)
{
	int fd = new_client();
	json_t *result = ask(fd, command);

	expect_row(vmb_vmm_control_find(command), result);
	json_decref(result);
	close(fd);
}

static void test_answers_are_what_the_tables_say(void **state)
{
	loop_verify(bed, loop_open(bed), 3, 4096);
	expect_as_declared("version");
	expect_as_declared("status");
	expect_as_declared("inspect");
	expect_as_declared("events");
}

struct sought {
	const struct vmb_vmm_command *row;
	uint32_t count;
};

static void count_row(void *arg, const struct vmb_vmm_command *row)
{
	struct sought *sought = arg;

	sought->count += strcmp(row->name, sought->row->name) == 0;
}

static void expect_once(void *arg, const struct vmb_vmm_command *row)
{
	struct sought sought = { row, 0 };

	vmb_vmm_control_each(count_row, &sought);
	if (sought.count != 1)
		fail_msg("%s is in the tables %u times", row->name, sought.count);
}

static void test_each_command_is_in_the_tables_once(void **state)
{
	vmb_vmm_control_each(expect_once, NULL);
}

static void test_document_says_what_the_tables_say(void **state)
{
	static char document[1 << 20];
	FILE *in = fopen("docs/control.md", "r"), *out;
	size_t tables_len, len;
	char *tables, *from;

	assert_non_null(in);
	len = fread(document, 1, sizeof(document) - 1, in);
	fclose(in);
	document[len] = 0;
	out = open_memstream(&tables, &tables_len);
	vmb_vmm_control_document(out);
	fclose(out);
	from = strstr(document, "## Commands\n");
	if (!from || strncmp(from, tables, strlen(from)) || strcmp(tables + strlen(from), "\n"))
		fail_msg("docs/control.md differs; see what openvmbus ctl --document prints");
	free(tables);
}

/* The machine */

static void test_inspect_shows_a_channel_and_who_owes_a_signal(void **state)
{
	int fd = new_client();
	json_t *result, *channel;

	loop_verify(bed, loop_open(bed), 3, 4096);
	result = ask(fd, "inspect");
	channel = json_array_get(json_object_get(result, "channels"), 0);
	assert_string_equal(json_string_value(at_path(channel, "class")), "scsi");
	assert_string_equal(json_string_value(at_path(channel, "state")), "open");
	assert_string_equal(json_string_value(at_path(channel, "owes_signal")), "nobody");
	assert_true(json_integer_value(at_path(channel, "in.packets")) > 5);
	assert_true(json_integer_value(at_path(channel, "out.packets")) > 5);
	assert_int_equal(json_integer_value(at_path(channel, "in.fill")), 0);
	json_decref(result);

	/* A packet that the guest wrote, and whose signal is lost. */
	loop_channel(bed)->rx.control->write_index += 24;
	loop_channel(bed)->rx.control->write_index %= loop_channel(bed)->rx.data_len;
	result = ask(fd, "inspect");
	channel = json_array_get(json_object_get(result, "channels"), 0);
	assert_int_equal(json_integer_value(at_path(channel, "in.fill")), 24);
	assert_string_equal(json_string_value(at_path(channel, "owes_signal")), "guest");
	json_decref(result);
	loop_channel(bed)->rx.control->write_index = loop_channel(bed)->rx.control->read_index;
	close(fd);
}

/* In the place of a processor's thread. */
static void *processor(void *arg)
{
	uint32_t *rests = arg;

	while (vmb_vmm_power_outcome(&machine) == VMB_VMM_RUNNING)
		*rests += vmb_vmm_pause_rest(&machine);
	return NULL;
}

static void expect_state(int fd, const char *state)
{
	json_t *status = ask(fd, "status");

	assert_string_equal(json_string_value(json_object_get(status, "state")), state);
	json_decref(status);
}

static void test_pause_is_answered_when_the_processors_stand_still(void **state)
{
	uint32_t rests = 0;
	int fd = new_client();
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, processor, &rests), 0);
	for (uint32_t round = 1; round <= 3; round++) {
		json_decref(ask(fd, "pause"));
		assert_true(vmb_vmm_pause_is_complete(&machine));
		expect_state(fd, "paused");
		json_decref(ask(fd, "resume"));
		expect_state(fd, "running");
	}
	json_decref(ask(fd, "pause"));
	json_decref(ask(fd, "reset"));
	pthread_join(thread, NULL);
	assert_in_range(rests, 1, 4); /* one rest may last over a resume */
	assert_int_equal(vmb_vmm_power_outcome(&machine), VMB_VMM_RESET);
	expect_state(fd, "ending");
	close(fd);
}

/* On in the middle of a session, off, and on again. */
static void test_recording_is_switched_by_command(void **state)
{
	char line[160], file[80];
	struct vmb_dev_trace_file recording;
	struct vmb_user_device *d = loop_open(bed);
	int fd = new_client();

	snprintf(file, sizeof(file), "%s/trace", folder);
	snprintf(line, sizeof(line),
		 "{\"command\": \"trace-on\", \"arguments\": {\"file\": \"%s\"}}", file);
	refuse(fd, "{\"command\": \"trace-off\"}", "failed");
	refuse(fd, "{\"command\": \"trace-on\", \"arguments\": {\"file\": \"/nowhere/x\"}}",
	       "failed");
	for (int round = 0; round < 2; round++) {
		send_text(fd, line);
		send_text(fd, "\n");
		json_decref(read_line(fd));
		refuse(fd, line, "failed");
		loop_verify(bed, d, round, 512);
		json_decref(ask(fd, "trace-off"));
		assert_int_equal(vmb_dev_trace_load(&recording, file), 0);
		assert_in_range(recording.len, 1000, 100000);
		vmb_dev_trace_unload(&recording);
	}
	unlink(file);
	close(fd);
}

static void test_command_that_goes_on_ends_with_its_machine(void **state)
{
	int fd = new_client();

	/* Nobody stands still: there is no processor. */
	send_text(fd, "{\"command\":\"pause\"}\n");
	while (!vmb_vmm_pause_is_on(&machine))
		;
	vmb_vmm_control_detach(control);
	expect_error(fd, "no-machine");
	refuse(fd, "{\"command\":\"inspect\"}", "no-machine");
	expect_state(fd, "starting");
	vmb_vmm_control_attach(control, &machine);
	json_decref(ask(fd, "inspect"));
	json_decref(ask(fd, "power-off"));
	assert_int_equal(vmb_vmm_power_outcome(&machine), VMB_VMM_STOPPED);
	close(fd);
}

static void expect_size(int fd, bool automatic, uint64_t target)
{
	json_t *result = ask(fd, "memory");

	assert_int_equal(json_is_true(json_object_get(result, "auto")), automatic);
	assert_int_equal(json_integer_value(json_object_get(result, "target")), target);
	json_decref(result);
}

static void test_memory_is_fixed_or_follows_the_need(void **state)
{
	const struct vmb_dev_balloon_config config = { .bus_version = VMB_VERSION_NEWEST,
						       .base = 1ull << 30,
						       .max = 1ull << 30 };
	int fd = new_client();

	refuse(fd, "{\"command\":\"memory\"}", "failed"); /* it has none */
	assert_int_equal(vmb_dev_balloon_open(&devices.all[0], &config), 0);
	devices.count = 1;
	expect_size(fd, false, 1ull << 30);
	refuse(fd, "{\"command\":\"memory\",\"arguments\":{\"size\":\"auto\"}}",
	       "failed"); /* no driver yet */
	expect_size(fd, true, 1ull << 30);
	refuse(fd, "{\"command\":\"memory\",\"arguments\":{\"size\":\"autos\"}}", "bad-argument");
	expect_size(fd, true, 1ull << 30);
	refuse(fd, "{\"command\":\"memory\",\"arguments\":{\"size\":\"512M\"}}", "failed");
	expect_size(fd, false, 512ull << 20);
	devices.count = 0;
	devices.all[0].ops->close(devices.all[0].state);
	close(fd);
}

static void test_metrics_are_lines_that_prometheus_reads(void **state)
{
	int fd = new_client();
	json_t *result;
	char *text, *line, *rest;

	loop_verify(bed, loop_open(bed), 3, 4096);
	result = ask(fd, "metrics");
	expect_row(vmb_vmm_control_find("metrics"), result);
	text = strdup(json_string_value(json_object_get(result, "text")));
	assert_non_null(strstr(text, "openvmbus_ring_packets_total{relid=\"1\",class=\"scsi\","
				     "sub_channel=\"0\",ring=\"in\"} "));
	rest = text;
	while (*(line = strsep(&rest, "\n"))) {
		if (*line == '#')
			continue;
		assert_int_equal(strncmp(line, "openvmbus_", 10), 0);
		assert_true(strspn(strrchr(line, ' ') + 1, "0123456789.") ==
			    strlen(strrchr(line, ' ') + 1));
	}
	free(text);
	json_decref(result);
	close(fd);
}

/* What a program prints while standard output is a file. */
static char *printed(int (*program)(int argc, char **argv), int argc, char **argv, int *code)
{
	FILE *file = tmpfile();
	int out = dup(STDOUT_FILENO);
	static char text[65536];

	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	*code = program(argc, argv);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	close(out);
	rewind(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	return text;
}

static void test_ctl_and_top_print_what_there_is(void **state)
{
	char *top[] = { "top", path }, *ctl[] = { "ctl", path, "inspect" };
	char *stat[] = { "ctl", path, "device-offer", "none" };
	int code;

	loop_verify(bed, loop_open(bed), 3, 4096);
	assert_non_null(strstr(printed(vmb_vmm_ctl_run, 3, ctl, &code), "\"class\": \"scsi\""));
	assert_int_equal(code, 0);
	assert_string_equal(printed(vmb_vmm_ctl_run, 4, stat, &code), "");
	assert_int_equal(code, 1);
	assert_non_null(strstr(printed(vmb_vmm_top_run, 2, top, &code), "1 scsi        0 open"));
	assert_int_equal(code, 0);
}

static void send_dump(int fd, const char *file)
{
	char line[256];

	snprintf(line, sizeof(line), "{\"command\":\"dump\",\"arguments\":{\"file\":\"%s\"}}\n",
		 file);
	send_text(fd, line);
}

static json_t *ask_dump(int fd, const char *file)
{
	send_dump(fd, file);
	return read_line(fd);
}

static void test_dump_is_a_core_file_of_the_memory(void **state)
{
	static uint8_t memory[3 * VMB_PAGE_LEN], bytes[5 * VMB_PAGE_LEN];
	int fd = new_client(), core;
	char file[96];
	json_t *answer;

	memset(memory, 0x5A, sizeof(memory));
	machine.dev.vp_count = 0; /* all of them stand still */
	machine.dev.memory.region_count = 1;
	machine.dev.memory.regions[0] = (struct vmb_dev_memory_region){
		.gpa = 0x100000, .len = sizeof(memory), .base = memory, .fd = -1
	};
	snprintf(file, sizeof(file), "%s/core", folder);
	answer = ask_dump(fd, file);
	assert_int_equal(json_integer_value(at_path(answer, "result.len")), 4 * VMB_PAGE_LEN);
	json_decref(answer);
	assert_false(vmb_vmm_pause_is_on(&machine));
	core = open(file, O_RDONLY);
	assert_int_equal(read(core, bytes, sizeof(bytes)), 4 * VMB_PAGE_LEN);
	close(core);
	assert_memory_equal(bytes, "\177ELF\2\1\1", 7);
	assert_memory_equal(bytes + VMB_PAGE_LEN, memory, sizeof(memory));
	answer = ask_dump(fd, file); /* it is there already */
	assert_string_equal(json_string_value(at_path(answer, "error.code")), "failed");
	json_decref(answer);
	assert_int_equal(unlink(file), 0);
	close(fd);
}

static void test_dump_that_fails_leaves_no_file(void **state)
{
	int fd = new_client();
	char file[96];
	json_t *answer;

	/* A processor that never stands still: its machine goes away meanwhile. */
	snprintf(file, sizeof(file), "%s/core", folder);
	send_dump(fd, file);
	while (!vmb_vmm_pause_is_on(&machine))
		;
	vmb_vmm_control_detach(control);
	answer = read_line(fd);
	assert_string_equal(json_string_value(at_path(answer, "error.code")), "no-machine");
	json_decref(answer);
	assert_int_equal(access(file, F_OK), -1);
	vmb_vmm_control_attach(control, &machine);
	close(fd);
}

/* Nobody is left to resume it. */
static void test_dump_whose_client_goes_away_ends_its_pause(void **state)
{
	int fd = new_client();
	char file[96];

	snprintf(file, sizeof(file), "%s/core", folder);
	json_decref(ask(fd, "events"));
	send_dump(fd, file); /* goes on: there is no processor that could stand still */
	while (!vmb_vmm_pause_is_on(&machine))
		;
	close(fd);
	while (vmb_vmm_pause_is_on(&machine)) {
		vmb_vmm_control_event(control, "crashed", NULL); /* shows that it has gone */
		usleep(1000);
	}
	while (access(file, F_OK) == 0)
		usleep(1000);
}

#define LARGE_LEN (64u << 20) /* some ticks of the server's */

static void test_pause_that_is_asked_for_during_a_dump_outlasts_it(void **state)
{
	int fd = new_client(), other = new_client();
	char file[96];
	json_t *answer;

	machine.dev.vp_count = 0; /* all of them stand still */
	machine.dev.memory.region_count = 1;
	machine.dev.memory.regions[0] = (struct vmb_dev_memory_region){
		.len = LARGE_LEN,
		.base = mmap(NULL, LARGE_LEN, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
	};
	snprintf(file, sizeof(file), "%s/core", folder);
	send_dump(fd, file);
	json_decref(ask(other, "pause"));
	answer = read_line(fd);
	assert_non_null(json_object_get(answer, "result"));
	json_decref(answer);
	expect_state(other, "paused");
	json_decref(ask(other, "resume"));
	expect_state(other, "running");
	munmap(machine.dev.memory.regions[0].base, LARGE_LEN);
	unlink(file);
	close(other);
	close(fd);
}

/* Files that take long to open, as on a network */

static sem_t open_begins, open_goes_on;

int open(const char *name, int flags, ...)
{
	int (*of_system)(const char *, int, ...);
	va_list args;
	int mode;

	of_system = (__typeof__(of_system))dlsym(RTLD_NEXT, "open");
	va_start(args, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, int) : 0;
	va_end(args);
	if (strstr(name, "/slow")) {
		sem_post(&open_begins);
		while (sem_wait(&open_goes_on))
			;
	}
	return of_system(name, flags, mode);
}

/* What ends the machine, or starts it again, does not wait for the file. */
static void test_file_that_is_slow_to_open_does_not_hold_the_machine(void **state)
{
	static const char *const requests[] = {
		"{\"command\":\"dump\",\"arguments\":{\"file\":\"%s/slow\"}}\n",
		"{\"command\":\"trace-on\",\"arguments\":{\"file\":\"%s/slow\"}}\n",
		"{\"command\":\"copy\",\"arguments\":{\"file\":\"%s/slow\",\"to\":\"/x\"}}\n",
		"{\"command\":\"net-add\",\"arguments\":{\"net\":\"null,capture=%s/slow\"}}\n",
	};
	int fd = new_client();
	char line[256], file[96];

	snprintf(file, sizeof(file), "%s/slow", folder);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(requests); i++) {
		sem_init(&open_begins, 0, 0);
		sem_init(&open_goes_on, 0, 0);
		close(creat(i == 2 ? file : "/dev/null", 0600));
		snprintf(line, sizeof(line), requests[i], folder);
		send_text(fd, line);
		while (sem_wait(&open_begins))
			;
		vmb_vmm_control_detach(control);
		vmb_vmm_control_attach(control, &machine);
		for (int times = 0; times < 4; times++)
			sem_post(&open_goes_on);
		expect_error(fd, "no-machine");
		if (i == 0)
			assert_int_equal(access(file, F_OK), -1); /* no dump */
		unlink(file);
	}
	close(fd);
}

static void test_events_come_to_those_who_want_them(void **state)
{
	int deaf = new_client(), fd = new_client();
	json_t *line;

	json_decref(ask(fd, "events"));
	vmb_vmm_control_event(control, "ended", "{s:s}", "outcome", "off");
	line = read_line(fd);
	assert_string_equal(json_string_value(json_object_get(line, "event")), "ended");
	assert_string_equal(json_string_value(at_path(line, "fields.outcome")), "off");
	json_decref(line);
	json_decref(ask(deaf, "status"));
	send_text(fd, "{\"command\":\"events\",\"arguments\":{\"on\":false}}\n");
	json_decref(read_line(fd));
	vmb_vmm_control_event(control, "started", NULL);
	json_decref(ask(fd, "status"));
	close(deaf);
	close(fd);
}

/* The socket */

static void test_socket_that_is_served_is_refused_and_a_stale_one_taken_over(void **state)
{
	struct vmb_dev_socket served, second;
	struct stat about;
	int lock;

	assert_int_equal(vmb_dev_socket_serve(&served, "test", path, SOCK_STREAM, true), 0);
	assert_int_equal(stat(path, &about), 0);
	assert_int_equal(about.st_mode & 0777, 0600);
	assert_int_equal(vmb_dev_socket_serve(&second, "test", path, SOCK_STREAM, true), -EINVAL);
	vmb_dev_socket_end(&second);
	close(served.fd); /* as if it was killed */
	assert_int_equal(vmb_dev_socket_serve(&second, "test", path, SOCK_STREAM, true), 0);
	assert_int_equal(unlink(path), 0); /* somebody else's mistake */
	assert_int_equal(vmb_dev_socket_serve(&served, "test", path, SOCK_STREAM, true), 0);
	vmb_dev_socket_end(&second); /* the file is another's now */
	assert_int_equal(access(path, F_OK), 0);
	vmb_dev_socket_end(&served);
	assert_int_equal(access(path, F_OK), -1);
	lock = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(vmb_dev_socket_serve(&served, "test", path, SOCK_STREAM, true), -EINVAL);
	vmb_dev_socket_end(&served);
	assert_int_equal(unlink(path), 0);
	close(lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define SERVED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		SERVED(test_each_mistake_gets_one_error_and_the_next_request_is_served),
		SERVED(test_request_of_a_mebibyte_gets_one_error),
		SERVED(test_longest_line_is_a_request),
		SERVED(test_request_without_a_line_end_is_answered_when_the_client_shuts_down),
		SERVED(test_client_that_never_reads_holds_nobody_up),
		SERVED(test_clients_beyond_the_limit_get_one_error_and_are_turned_away),
		SERVED(test_a_client_waits_while_descriptors_lack),
		SERVED(test_answers_are_what_the_tables_say),
		cmocka_unit_test(test_each_command_is_in_the_tables_once),
		cmocka_unit_test(test_document_says_what_the_tables_say),
		SERVED(test_inspect_shows_a_channel_and_who_owes_a_signal),
		SERVED(test_pause_is_answered_when_the_processors_stand_still),
		SERVED(test_command_that_goes_on_ends_with_its_machine),
		SERVED(test_recording_is_switched_by_command),
		SERVED(test_memory_is_fixed_or_follows_the_need),
		SERVED(test_metrics_are_lines_that_prometheus_reads),
		SERVED(test_ctl_and_top_print_what_there_is),
		SERVED(test_dump_is_a_core_file_of_the_memory),
		SERVED(test_dump_that_fails_leaves_no_file),
		SERVED(test_dump_whose_client_goes_away_ends_its_pause),
		SERVED(test_pause_that_is_asked_for_during_a_dump_outlasts_it),
		SERVED(test_file_that_is_slow_to_open_does_not_hold_the_machine),
		SERVED(test_events_come_to_those_who_want_them),
		cmocka_unit_test(test_socket_that_is_served_is_refused_and_a_stale_one_taken_over),
	};
	int failed;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/control", folder);
	failed = cmocka_run_group_tests_name("vmm_control", tests, NULL, NULL);
	relayed = true;
	failed += cmocka_run_group_tests_name("vmm_control over a relay", tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
