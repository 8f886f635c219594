// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Commands of control about the machine as a whole, and about what is on its bus. */
#include <stdlib.h>

#include "devices/inspect.h"
#include "vmm/control.h"
#include "vmm/devices.h"
#include "vmm/machine.h"
#include "wire/balloon.h"
#include "wire/ic.h"
#include "wire/keyboard.h"
#include "wire/mouse.h"

#ifndef OPENVMBUS_VERSION
#define OPENVMBUS_VERSION "unknown"
#endif

#define PAUSE_LIMIT_MS 5000
#define GUID_TEXT_LEN  37u

#define TEXT	       VMB_VMM_CONTROL_TEXT
#define NUMBER	       VMB_VMM_CONTROL_NUMBER
#define FLAG	       VMB_VMM_CONTROL_FLAG
#define LIST	       VMB_VMM_CONTROL_LIST
#define OBJECT	       VMB_VMM_CONTROL_OBJECT

/* version, events */

static const struct vmb_vmm_control_field version_results[] = {
	{ "openvmbus", TEXT, false, "version of the program" },
	{ "control", NUMBER, false, "version of this protocol" },
	{ NULL, TEXT, false, NULL },
};

static enum vmb_vmm_call_step run_version(struct vmb_vmm_call *call)
{
	vmb_vmm_call_set_text(call, "openvmbus", OPENVMBUS_VERSION);
	vmb_vmm_call_set_number(call, "control", VMB_VMM_CONTROL_VERSION);
	return VMB_VMM_CALL_DONE;
}

static const struct vmb_vmm_control_field events_arguments[] = {
	{ "on", FLAG, true, "false: no more events (true)" },
	{ NULL, TEXT, false, NULL },
};

static enum vmb_vmm_call_step run_events(struct vmb_vmm_call *call)
{
	call->events = !json_object_get(call->arguments, "on") || vmb_vmm_call_flag(call, "on");
	return VMB_VMM_CALL_DONE;
}

/* status */

static const struct vmb_vmm_control_field status_results[] = {
	{ "state", TEXT, false, "`starting`, `running`, `paused` or `ending`" },
	{ "kernel", TEXT, false, "the kernel's file" },
	{ "cpus", NUMBER, false, "virtual processors" },
	{ "memory", NUMBER, false, "bytes" },
	{ "generation", TEXT, false, "the Windows Server that this host is like" },
	{ "resets", NUMBER, false, "how often the machine was started again" },
	{ "crashed", FLAG, false, "the guest reported a crash in this start" },
	{ "exits", NUMBER, false, "how often a processor left the guest for this program" },
	{ "bus", TEXT, true, "the version that the guest negotiated; absent without a connection" },
	{ NULL, TEXT, false, NULL },
};

static const char *state_name(struct vmb_vmm_machine *machine)
{
	if (!machine)
		return "starting";
	if (vmb_vmm_power_outcome(machine) != VMB_VMM_RUNNING)
		return "ending";
	return vmb_vmm_pause_is_on(machine) ? "paused" : "running";
}

static void set_bus_version(struct vmb_vmm_call *call, struct vmb_vmm_machine *machine)
{
	struct vmb_dev_bus_sample bus;
	char text[16];

	vmb_dev_inspect_bus(machine->vmbus, &bus);
	if (bus.state != VMB_HOST_CONNECTED)
		return;
	snprintf(text, sizeof(text), "%u.%u", bus.version >> 16, bus.version & 0xFFFF);
	vmb_vmm_call_set_text(call, "bus", text);
}

static void set_machine_status(struct vmb_vmm_call *call, struct vmb_vmm_machine *machine)
{
	uint64_t exits = 0;

	for (uint32_t i = 0; machine && i < machine->dev.vp_count; i++)
		exits += __atomic_load_n(&machine->vcpus[i].exits, __ATOMIC_RELAXED);
	vmb_vmm_call_set_text(call, "state", state_name(machine));
	vmb_vmm_call_set_flag(call, "crashed", machine && vmb_vmm_power_crashed(machine));
	vmb_vmm_call_set_number(call, "exits", exits);
	if (machine)
		set_bus_version(call, machine);
}

static enum vmb_vmm_call_step run_status(struct vmb_vmm_call *call)
{
	const struct vmb_vmm_control_config *config = vmb_vmm_control_config(call);

	vmb_vmm_call_set_text(call, "kernel", config->options->kernel);
	vmb_vmm_call_set_number(call, "cpus", config->options->cpus);
	vmb_vmm_call_set_number(call, "memory", config->options->memory_len);
	vmb_vmm_call_set_text(call, "generation", config->options->generation.name);
	vmb_vmm_call_set_number(call, "resets", __atomic_load_n(config->resets, __ATOMIC_RELAXED));
	set_machine_status(call, vmb_vmm_call_hold(call));
	vmb_vmm_call_release(call);
	return VMB_VMM_CALL_DONE;
}

/* pause, resume, reset, power-off */

bool vmb_vmm_control_pause(struct vmb_vmm_call *call, enum vmb_vmm_pause_reason reason, bool on)
{
	struct vmb_dev_services *services =
		vmb_vmm_devices_services(vmb_vmm_control_config(call)->devices);
	bool was = vmb_vmm_pause_set(call->machine, reason, on);

	if (services)
		vmb_dev_services_pause(services, vmb_vmm_pause_is_on(call->machine));
	return was;
}

static enum vmb_vmm_call_step await_pause(struct vmb_vmm_call *call)
{
	if (call->over)
		return VMB_VMM_CALL_FAILED;
	if (!vmb_vmm_pause_is_for(call->machine, VMB_VMM_PAUSE_COMMAND))
		return vmb_vmm_call_fail(call, "no-machine",
					 "the machine ends or was resumed meanwhile");
	if (vmb_vmm_pause_is_complete(call->machine)) {
		vmb_vmm_control_event(call->control, "paused", NULL);
		return VMB_VMM_CALL_DONE;
	}
	if (vmb_vmm_control_now() - call->began < PAUSE_LIMIT_MS)
		return VMB_VMM_CALL_LATER;
	return vmb_vmm_call_fail(call, "time-out",
				 "a processor did not leave the guest within %d s; it will when it "
				 "can",
				 PAUSE_LIMIT_MS / 1000);
}

static enum vmb_vmm_call_step run_pause(struct vmb_vmm_call *call)
{
	vmb_vmm_control_pause(call, VMB_VMM_PAUSE_COMMAND, true);
	call->go_on = await_pause;
	return VMB_VMM_CALL_LATER;
}

static enum vmb_vmm_call_step run_resume(struct vmb_vmm_call *call)
{
	if (vmb_vmm_control_pause(call, VMB_VMM_PAUSE_COMMAND, false))
		vmb_vmm_control_event(call->control, "resumed", NULL);
	return VMB_VMM_CALL_DONE;
}

static enum vmb_vmm_call_step run_reset(struct vmb_vmm_call *call)
{
	vmb_vmm_power_end(call->machine, VMB_VMM_RESET);
	return VMB_VMM_CALL_DONE;
}

static enum vmb_vmm_call_step run_power_off(struct vmb_vmm_call *call)
{
	vmb_vmm_power_end(call->machine, VMB_VMM_STOPPED);
	return VMB_VMM_CALL_DONE;
}

/* inspect */

#define RING_FIELDS(ring, from)                                                                   \
	{ "channels[]." ring, OBJECT, false, "the ring " from },                                  \
		{ "channels[]." ring ".packets", NUMBER, false, "since the channel was opened" }, \
		{ "channels[]." ring ".bytes", NUMBER, false, "of the ring, framing included" },  \
		{ "channels[]." ring ".signals", NUMBER, false,                                   \
		  "times that the host had to signal for this ring" },                            \
		{ "channels[]." ring ".full", NUMBER, false,                                      \
		  "times that a packet of the host found no room" },                              \
		{ "channels[]." ring ".len", NUMBER, false, "bytes of data; 0: not open" },       \
		{ "channels[]." ring ".fill", NUMBER, false, "bytes that were not read yet" },    \
		{ "channels[]." ring ".room_wanted", NUMBER, false,                               \
		  "bytes that its writer waits for; 0: none" },                                   \
		{ "channels[]." ring ".masked", FLAG, false, "its reader wants no signals now" }, \
	{                                                                                         \
		"channels[]." ring ".broken", FLAG, false, "an index in it is impossible"         \
	}

static const struct vmb_vmm_control_field inspect_results[] = {
	{ "bus", OBJECT, false, "the connection" },
	{ "bus.state", TEXT, false, "`disconnected`, `connected` or `disconnecting`" },
	{ "bus.version", TEXT, false, "0.0 without a connection" },
	{ "bus.target_cpu", NUMBER, false, "the processor that gets messages" },
	{ "bus.contacts", NUMBER, false, "since the machine was started" },
	{ "bus.unloads", NUMBER, false, "since the machine was started" },
	{ "bus.gpadls", NUMBER, false, "pieces of memory that the guest lends now" },
	{ "bus.open", NUMBER, false, "channels that a device may touch" },
	{ "bus.messages_in", NUMBER, false, "from the guest" },
	{ "bus.messages_out", NUMBER, false, "to the guest" },
	{ "bus.unknown", NUMBER, false, "messages that the version does not have" },
	{ "bus.malformed", NUMBER, false, "messages that are too short or have invalid values" },
	{ "bus.misplaced", NUMBER, false, "messages that are not legal in their state" },
	{ "channels", LIST, false, "in the order in which they were offered" },
	{ "channels[].relid", NUMBER, false, "the channel's number on this bus" },
	{ "channels[].type", TEXT, false, "GUID of its class" },
	{ "channels[].class", TEXT, false, "the same as a word; `other` if there is none" },
	{ "channels[].instance", TEXT, false, "GUID of the device" },
	{ "channels[].sub_channel", NUMBER, false, "0: a primary channel" },
	{ "channels[].state", TEXT, false, "`offered`, `opening`, `open` or `closing`" },
	{ "channels[].visible", FLAG, false, "the guest has seen its offer" },
	{ "channels[].rescinded", FLAG, false, "it is taken away from the guest" },
	{ "channels[].target_cpu", NUMBER, true, "the processor that is interrupted for it" },
	{ "channels[].monitor_id", NUMBER, true, "where it has one" },
	{ "channels[].gpadls", NUMBER, false, "pieces of memory that the guest lends to it" },
	{ "channels[].interrupts", NUMBER, false, "sent to the guest" },
	{ "channels[].oldest_ms", NUMBER, true,
	  "age of the oldest request under way, milliseconds" },
	{ "channels[].owes_signal", TEXT, false,
	  "`guest`: the host sleeps over packets; `host`: the guest waits for room that there is; "
	  "`nobody`. For a moment each is normal; what stays is a lost signal" },
	RING_FIELDS("in", "from the guest"),
	RING_FIELDS("out", "to the guest"),
	{ NULL, TEXT, false, NULL },
};

static json_t *guid_text(const struct vmb_guid *guid)
{
	const uint8_t *b = guid->bytes;
	char text[GUID_TEXT_LEN];

	snprintf(text, sizeof(text),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[3], b[2],
		 b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
	return json_string(text);
}

static const char *class_name(const struct vmb_guid *type)
{
	static const struct {
		struct vmb_guid guid;
		const char *name;
	} classes[] = {
		{ VMB_GUID_SCSI, "scsi" },
		{ VMB_GUID_IDE, "ide" },
		{ VMB_GUID_NETWORK, "network" },
		{ VMB_GUID_SHUTDOWN, "shutdown" },
		{ VMB_GUID_HEARTBEAT, "heartbeat" },
		{ VMB_GUID_TIME, "time" },
		{ VMB_GUID_KVP, "kvp" },
		{ VMB_GUID_BACKUP, "backup" },
		{ VMB_GUID_COPY, "copy" },
		{ VMB_GUID_BALLOON, "memory" },
		{ VMB_GUID_KEYBOARD, "keyboard" },
		{ VMB_GUID_MOUSE, "mouse" },
	};
	uint32_t port;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(classes); i++)
		if (vmb_guid_equal(type, &classes[i].guid))
			return classes[i].name;
	return vmb_socket_port(type, &port) ? "socket" : "other";
}

static json_t *ring_object(const struct vmb_dev_ring_sample *r)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "packets",
			 (json_int_t)r->packets, "bytes", (json_int_t)r->bytes, "signals",
			 (json_int_t)r->signals, "full", (json_int_t)r->full, "len",
			 (json_int_t)r->len, "fill", (json_int_t)r->fill, "room_wanted",
			 (json_int_t)r->room_wanted, "masked", r->masked, "broken", r->broken);
}

static void set_number(json_t *object, const char *name, uint64_t number)
{
	json_object_set_new(object, name, json_integer(number));
}

static json_t *channel_object(const struct vmb_dev_channel_sample *s)
{
	static const char *const states[] = {
		[VMB_HOST_CHANNEL_OFFERED] = "offered",
		[VMB_HOST_CHANNEL_OPENING] = "opening",
		[VMB_HOST_CHANNEL_OPEN] = "open",
		[VMB_HOST_CHANNEL_CLOSING] = "closing",
	};
	json_t *object = json_pack(
		"{s:I, s:o, s:s, s:o, s:I, s:s, s:b, s:b, s:I, s:I, s:s, s:o, s:o}", "relid",
		(json_int_t)s->relid, "type", guid_text(&s->type_id), "class",
		class_name(&s->type_id), "instance", guid_text(&s->instance_id), "sub_channel",
		(json_int_t)s->sub_channel_index, "state", states[s->state], "visible", s->visible,
		"rescinded", s->revoked, "gpadls", (json_int_t)s->gpadls, "interrupts",
		(json_int_t)s->interrupts, "owes_signal",
		s->guest_owes ? "guest" :
		s->host_owes  ? "host" :
				"nobody",
		"in", ring_object(&s->in), "out", ring_object(&s->out));

	if (s->target_vp != VMB_VP_NONE)
		set_number(object, "target_cpu", s->target_vp);
	if (s->monitor_id < VMB_MONITOR_COUNT_MAX)
		set_number(object, "monitor_id", s->monitor_id);
	if (s->oldest_ns)
		set_number(object, "oldest_ms", s->oldest_ns / 1000000);
	return object;
}

static json_t *bus_object(struct vmb_dev_bus *bus)
{
	static const char *const states[] = {
		[VMB_HOST_DISCONNECTED] = "disconnected",
		[VMB_HOST_CONNECTED] = "connected",
		[VMB_HOST_DISCONNECTING] = "disconnecting",
	};
	struct vmb_dev_bus_sample s;
	char version[16];

	vmb_dev_inspect_bus(bus, &s);
	snprintf(version, sizeof(version), "%u.%u", s.version >> 16, s.version & 0xFFFF);
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "state",
			 states[s.state], "version", version, "target_cpu", (json_int_t)s.target_vp,
			 "contacts", (json_int_t)s.contacts, "unloads", (json_int_t)s.unloads,
			 "gpadls", (json_int_t)s.gpadls, "open", (json_int_t)s.open_channels,
			 "messages_in", (json_int_t)s.counters.messages_in, "messages_out",
			 (json_int_t)s.counters.messages_out, "unknown",
			 (json_int_t)s.counters.unknown, "malformed",
			 (json_int_t)s.counters.malformed, "misplaced",
			 (json_int_t)s.counters.misplaced);
}

enum vmb_vmm_call_step vmb_vmm_control_inspect(struct vmb_vmm_call *call)
{
	struct vmb_dev_channel_sample *samples = calloc(VMB_CHANNEL_COUNT_MAX, sizeof(*samples));
	json_t *list;
	uint32_t count;

	if (!samples)
		return vmb_vmm_call_fail(call, "failed", "no memory for the samples");
	list = json_array();
	count = vmb_dev_inspect_channels(call->machine->vmbus, samples, VMB_CHANNEL_COUNT_MAX);
	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(list, channel_object(&samples[i]));
	vmb_vmm_call_set(call, "bus", bus_object(call->machine->vmbus));
	vmb_vmm_call_set(call, "channels", list);
	free(samples);
	return VMB_VMM_CALL_DONE;
}

const struct vmb_vmm_command vmb_vmm_control_machine[] = {
	{ "version", "What this program is.", false, run_version, NULL, version_results },
	{ "events", "From now on the client gets events, between the answers to its requests.",
	  false, run_events, events_arguments, NULL },
	{ "status", "The machine in short.", false, run_status, NULL, status_results },
	{ "inspect",
	  "The bus and every channel, as they are at this moment. Numbers are a sample: the guest "
	  "goes on while it is taken.",
	  true, vmb_vmm_control_inspect, NULL, inspect_results },
	{ "pause",
	  "The virtual processors leave the guest and wait. The answer comes when all have. "
	  "Devices finish what they have begun, and the clocks go on.",
	  true, run_pause, NULL, NULL },
	{ "resume",
	  "The end of a pause. Does nothing if the machine is not paused. Until a dump is written "
	  "it stands still all the same.",
	  true, run_resume, NULL, NULL },
	{ "reset",
	  "As the reset key of a computer: the guest gets no chance to put anything in order. With "
	  "--no-reboot the machine ends.",
	  true, run_reset, NULL, NULL },
	{ "power-off",
	  "As pulling the plug: the guest gets no chance to put anything in order. The exit code "
	  "is 6.",
	  true, run_power_off, NULL, NULL },
	{ NULL, NULL, false, NULL, NULL, NULL },
};

static const struct vmb_vmm_control_field lost_fields[] = {
	{ "count", NUMBER, false, "how many" },
	{ NULL, TEXT, false, NULL },
};

static const struct vmb_vmm_control_field name_field[] = {
	{ "name", TEXT, false, "of the device" },
	{ NULL, TEXT, false, NULL },
};

static const struct vmb_vmm_control_field lun_field[] = {
	{ "lun", NUMBER, false, "of the unit" },
	{ NULL, TEXT, false, NULL },
};

static const struct vmb_vmm_control_field rule_field[] = {
	{ "rule", TEXT, false, "with its seed: added again it does the same" },
	{ NULL, TEXT, false, NULL },
};

static const struct vmb_vmm_control_field ended_fields[] = {
	{ "outcome", TEXT, false,
	  "`off`, `reset`, `crash`, `triple-fault`, `failure` or `stopped`" },
	{ NULL, TEXT, false, NULL },
};

static const struct vmb_vmm_control_field heartbeat_fields[] = {
	{ "lost", FLAG, false, "it stopped to answer" },
	{ "seconds", NUMBER, false, "since the last answer" },
	{ NULL, TEXT, false, NULL },
};

const struct vmb_vmm_event_row vmb_vmm_control_events[] = {
	{ "started", "The machine starts, for the first time or after a reset.", NULL },
	{ "ended",
	  "This start of the machine is over. After `reset` and `triple-fault` another one "
	  "follows, unless `--no-reboot` was given.",
	  ended_fields },
	{ "paused", "All virtual processors have left the guest.", NULL },
	{ "resumed", "They go on.", NULL },
	{ "crashed", "The guest reported a crash.", NULL },
	{ "connected", "The guest is connected to the bus, as seen once a second.", NULL },
	{ "disconnected", "The guest has left the bus, as seen once a second.", NULL },
	{ "device-offered", "A device was offered to the guest: a new one, or one that was away.",
	  name_field },
	{ "device-rescinded", "The guest has let go of a device that was taken away.", name_field },
	{ "device-removed", "The guest has let go of a device, which is gone for good.",
	  name_field },
	{ "disk-added", "A disk or drive was added.", lun_field },
	{ "disk-removed", "A disk or drive was removed, and its file is closed.", lun_field },
	{ "disc-inserted", "A drive has another disc.", lun_field },
	{ "disc-ejected", "A drive has no disc any more.", lun_field },
	{ "fault-added", "A rule of faults was added.", rule_field },
	{ "fault-removed", "A rule of faults was removed.", rule_field },
	{ "heartbeat", "The guest stopped to answer heartbeats, or answers again.",
	  heartbeat_fields },
	{ "lost", "Events came faster than they could be passed on, and were dropped.",
	  lost_fields },
	{ NULL, NULL, NULL },
};
