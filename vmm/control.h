/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The control socket of a running machine: one JSON object a line, requests in, answers and events
 * out. docs/control.md is the whole of it for a user.
 *
 *   vmb_vmm_control_open(&control, path, &config)   makes the socket; NULL path: nothing
 *   vmb_vmm_control_start(control)                  the server's thread; clients may connect
 *   for every start of the machine:
 *     vmb_vmm_control_attach(control, machine)      commands may use it
 *     vmb_vmm_control_detach(control)               waits for the command that runs, which is short
 *   vmb_vmm_control_event(control, "reset", ...)    any thread; never waits
 *   vmb_vmm_control_close(control)
 *
 * All functions take a control of NULL: then there is no socket.
 *
 * A command is a row of a table: name, arguments, results, function. The rows of one subject are in
 * one file, vmm/control_SUBJECT.c, and vmm/control_table.c lists the files. The server checks the
 * arguments against the row, so a function finds those that it needs, of the right type. A row is
 * documented from the table itself (vmb_vmm_control_document), and docs/control.md must say the
 * same.
 *
 * A function runs on the server's thread and must not wait. With row->machine it is called only
 * while there is a machine, call->machine, which stays there until the function returns. What takes
 * longer returns VMB_VMM_CALL_LATER after it has set call->go_on: that function is called again
 * every VMB_VMM_CONTROL_TICK_MS, with the same promise, until it returns something else. It needs a
 * limit of its own. When its machine or its client has gone it is called a last time, with
 * call->over, to let go of what it holds; what it returns then does not matter. If the machine has
 * gone call->machine is NULL then.
 *
 * Clients are not trusted to be quick or sane: lines, buffers and their number have bounds, a
 * client that does not read is not read from, and none holds up the machine or another client.
 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/platform.h"
#include "vmm/pause.h"

#define VMB_VMM_CONTROL_PORT	    "port:" /* in place of a path: in a nest, vmm/relay.h */
#define VMB_VMM_CONTROL_VERSION	    1 /* of the schema, in the first line of a connection */
#define VMB_VMM_CONTROL_CLIENT_MAX  32u
#define VMB_VMM_CONTROL_LINE_MAX    65536u /* bytes of a request, without the line end */
#define VMB_VMM_CONTROL_BEHIND_MAX  65536u /* bytes that wait for a client: no more requests */
#define VMB_VMM_CONTROL_EVENT_MAX   256u /* events that wait for the server's thread */
#define VMB_VMM_CONTROL_TICK_MS	    20
#define VMB_VMM_CONTROL_MESSAGE_LEN 512u

struct vmb_dev_fault_plan;
struct vmb_dev_trace;
struct vmb_vmm_control;
struct vmb_vmm_devices;
struct vmb_vmm_machine;
struct vmb_vmm_options;

enum vmb_vmm_control_type {
	VMB_VMM_CONTROL_TEXT, /* a string */
	VMB_VMM_CONTROL_NUMBER, /* an integer that is not negative */
	VMB_VMM_CONTROL_FLAG, /* true or false */
	VMB_VMM_CONTROL_LIST,
	VMB_VMM_CONTROL_OBJECT,
};

/* An argument or a result. A result's name is a path: "channels[].relid". */
struct vmb_vmm_control_field {
	const char *name; /* NULL ends a list of fields */
	enum vmb_vmm_control_type type;
	bool optional; /* argument: may be left out; result: is not always there */
	const char *doc; /* one line, without a full stop */
};

enum vmb_vmm_call_step {
	VMB_VMM_CALL_DONE, /* call->result is the answer */
	VMB_VMM_CALL_FAILED, /* vmb_vmm_call_fail() has said why */
	VMB_VMM_CALL_LATER,
};

/* One request under way. */
struct vmb_vmm_call {
	struct vmb_vmm_control *control;
	struct vmb_vmm_machine *machine; /* of row->machine; else NULL */
	const struct vmb_vmm_command *row;
	json_t *arguments; /* an object, checked against the row */
	json_t *result; /* an empty object, for the function to fill */
	json_t *id; /* of the request; NULL: none */
	int64_t began; /* milliseconds, vmb_vmm_control_now() */
	uint32_t start; /* of the machine, for the server */
	bool over; /* go_on is called for the last time; machine is NULL if it has gone */
	bool events; /* the client wants events; kept for its later requests */
	const char *code; /* of the error */
	char message[VMB_VMM_CONTROL_MESSAGE_LEN];
	enum vmb_vmm_call_step (*go_on)(struct vmb_vmm_call *call);
	void *state; /* go_on's own */
};

struct vmb_vmm_command {
	const char *name; /* NULL ends a list of commands */
	const char *doc; /* a sentence */
	bool machine; /* needs a machine that is there */
	enum vmb_vmm_call_step (*run)(struct vmb_vmm_call *call);
	const struct vmb_vmm_control_field *arguments, *results;
};

struct vmb_vmm_event_row {
	const char *name; /* NULL ends a list */
	const char *doc;
	const struct vmb_vmm_control_field *fields;
};

/* What outlives the single starts of a machine; outlives the control. */
struct vmb_vmm_control_config {
	const struct vmb_vmm_options *options;
	struct vmb_vmm_devices *devices; /* used only while a machine is attached */
	const uint32_t *resets;
	struct vmb_dev_trace *trace;
	struct vmb_dev_fault_plan *faults;
};

/* These return 0, or -errno: reported. */
int vmb_vmm_control_open(struct vmb_vmm_control **control, const char *path,
			 const struct vmb_vmm_control_config *config);
/* The same with clients on a port of a nest (vmm/relay.h), which it takes. */
int vmb_vmm_control_open_port(struct vmb_vmm_control **control, int fd,
			      const struct vmb_vmm_control_config *config);
int vmb_vmm_control_start(struct vmb_vmm_control *control);
void vmb_vmm_control_close(struct vmb_vmm_control *control);

void vmb_vmm_control_attach(struct vmb_vmm_control *control, struct vmb_vmm_machine *machine);
void vmb_vmm_control_detach(struct vmb_vmm_control *control);

/*
 * Tells all clients that asked for events. The arguments after name are of json_pack(), with format
 * NULL: no fields. Any thread. When too many wait already the event is dropped, and the next one
 * says so.
 */
void vmb_vmm_control_event(struct vmb_vmm_control *control, const char *name, const char *format,
			   ...);

/* For functions of rows */

const struct vmb_vmm_control_config *vmb_vmm_control_config(const struct vmb_vmm_call *call);
/* The monotonic clock in milliseconds. */
int64_t vmb_vmm_control_now(void);
/*
 * For a row without row->machine: the machine, or NULL; from here to _release it stays there. May
 * wait for the machine to start or to end, which is short.
 */
struct vmb_vmm_machine *vmb_vmm_call_hold(struct vmb_vmm_call *call);
void vmb_vmm_call_release(struct vmb_vmm_call *call);
/*
 * For a row with row->machine that must do something slow, as opening a file is: after _release,
 * takes the machine back. Returns false if it is no longer the same one; call->machine is NULL
 * then.
 */
bool vmb_vmm_call_regain(struct vmb_vmm_call *call);
/*
 * In a nest: has the file of a disk locked outside, where it is seen, and waits for that, for
 * seconds at most. The machine must not be held. Returns the lock's number; 0: no lock is needed;
 * -1: refused, reported.
 */
int vmb_vmm_call_lock(struct vmb_vmm_call *call, const char *path, bool read_only);
/* Gives up such a lock. number: what _lock returned. */
void vmb_vmm_call_unlock(struct vmb_vmm_call *call, int number);
/* The locks of the disks that were added, by LUN; the commands' own. */
int *vmb_vmm_call_lun_locks(struct vmb_vmm_call *call);
/* The request fails, because the machine has gone. Returns VMB_VMM_CALL_FAILED. */
enum vmb_vmm_call_step vmb_vmm_call_no_machine(struct vmb_vmm_call *call);

/* Values of arguments; without the argument NULL, 0 (or otherwise) and false. */
const char *vmb_vmm_call_text(const struct vmb_vmm_call *call, const char *name);
uint64_t vmb_vmm_call_number(const struct vmb_vmm_call *call, const char *name, uint64_t otherwise);
bool vmb_vmm_call_flag(const struct vmb_vmm_call *call, const char *name);

/*
 * Results, by the names of the row's fields that are at the top. A list or object belongs to the
 * result afterwards.
 */
void vmb_vmm_call_set_text(struct vmb_vmm_call *call, const char *name, const char *text);
void vmb_vmm_call_set_number(struct vmb_vmm_call *call, const char *name, uint64_t number);
void vmb_vmm_call_set_flag(struct vmb_vmm_call *call, const char *name, bool flag);
void vmb_vmm_call_set(struct vmb_vmm_call *call, const char *name, json_t *value);

/*
 * The request fails: code is one of docs/control.md, "Errors"; the text says what is wrong and what
 * to do. Returns VMB_VMM_CALL_FAILED.
 */
enum vmb_vmm_call_step vmb_vmm_call_fail(struct vmb_vmm_call *call, const char *code,
					 const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The tables */

/* Calls back for each row. */
void vmb_vmm_control_each(void (*row)(void *arg, const struct vmb_vmm_command *command), void *arg);
const struct vmb_vmm_command *vmb_vmm_control_find(const char *name);
extern const struct vmb_vmm_event_row vmb_vmm_control_events[];
/*
 * Checks arguments, an object, against the row. Returns 0, or a code, with what is wrong in message
 * (VMB_VMM_CONTROL_MESSAGE_LEN bytes).
 */
const char *vmb_vmm_control_check(const struct vmb_vmm_command *row, json_t *arguments,
				  char *message);
const char *vmb_vmm_control_type_name(enum vmb_vmm_control_type type);
/* Writes the tables as Markdown, as docs/control.md has them. */
void vmb_vmm_control_document(FILE *out);

/* The files of rows. */
extern const struct vmb_vmm_command vmb_vmm_control_machine[], vmb_vmm_control_device[],
	vmb_vmm_control_disk[], vmb_vmm_control_trace[], vmb_vmm_control_fault[],
	vmb_vmm_control_services[], vmb_vmm_control_memory[], vmb_vmm_control_input[],
	vmb_vmm_control_statistics[], vmb_vmm_control_video[];
/* The function of the command inspect, for others that need what it says. */
enum vmb_vmm_call_step vmb_vmm_control_inspect(struct vmb_vmm_call *call);
/*
 * Begins or ends the pause of call->machine for one reason, and lets its services know. Returns
 * whether there was a pause for this reason before.
 */
bool vmb_vmm_control_pause(struct vmb_vmm_call *call, enum vmb_vmm_pause_reason reason, bool on);

#endif
