// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Looks once a second whether the guest uses the bus, ends a guest that crashed and stands still,
 * and resets one whose firmware hangs.
 */
#include <string.h>
#include <time.h>

#include "devices/bus.h"
#include "devices/report.h"
#include "vmm/control.h"
#include "devices/uefi/device.h"
#include "vmm/machine.h"
#include "vmm/watch.h"

/* What --progress names, in this order. */
#define REACHED_SYSTEM	(1u << 0)
#define REACHED_BUS	(1u << 1)
#define REACHED_DISK	(1u << 2)
#define REACHED_NETWORK (1u << 3)

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static bool is_connected(struct vmb_vmm_machine *machine)
{
	struct vmb_dev_bus *bus = machine->vmbus;
	bool connected;

	pthread_mutex_lock(&bus->lock);
	connected = bus->server.state == VMB_HOST_CONNECTED;
	pthread_mutex_unlock(&bus->lock);
	return connected;
}

/*
 * A guest without the bus has neither disks nor network, and its own words for that are seldom
 * clear.
 */
static void say_away(const struct vmb_vmm_watch *w, uint32_t seconds)
{
	if (w->was_connected)
		vmb_dev_report(
			"the guest left VMBus %u s ago and did not come back: it has no disks "
			"and no network; its console may say why",
			seconds);
	else
		vmb_dev_report("the guest has not contacted VMBus in %u s: is its kernel one with "
			       "VMBus drivers (Linux: hv_vmbus, or our vmbus), are they in the "
			       "initrd, and does its console say something?",
			       seconds);
}

static void look_at_bus(struct vmb_vmm_machine *machine, struct vmb_vmm_watch *w, int64_t now)
{
	uint32_t limit = machine->options->contact_s;
	bool connected = is_connected(machine);

	if (connected != w->connected)
		vmb_vmm_control_event(machine->control, connected ? "connected" : "disconnected",
				      NULL);
	w->connected = connected;
	if (connected) {
		w->was_connected = true;
		w->said = false;
		w->away_since = now;
	} else if (limit && !w->said && now - w->away_since >= limit * 1000ll) {
		w->said = true;
		say_away(w, limit);
	}
}

static bool has_open(const struct vmb_host_server *s, const struct vmb_guid *type)
{
	const struct vmb_host_channel *ch;

	for (ch = s->first; ch; ch = ch->next)
		if (ch->state == VMB_HOST_CHANNEL_OPEN &&
		    memcmp(&ch->type_id, type, sizeof(*type)) == 0)
			return true;
	return false;
}

/* What the guest has reached by now; of a firmware's own use of the bus nothing counts. */
static uint32_t reached(struct vmb_vmm_machine *machine)
{
	static const struct vmb_guid scsi = VMB_GUID_SCSI, ide = VMB_GUID_IDE,
				     network = VMB_GUID_NETWORK;
	const struct vmb_host_server *s = &machine->vmbus->server;
	uint32_t now = REACHED_SYSTEM;

	if (machine->uefi && !vmb_dev_uefi_has_exited(machine->uefi))
		return 0;
	pthread_mutex_lock(&machine->vmbus->lock);
	if (s->state == VMB_HOST_CONNECTED) {
		now |= REACHED_BUS;
		now |= has_open(s, &scsi) || has_open(s, &ide) ? REACHED_DISK : 0;
		now |= has_open(s, &network) ? REACHED_NETWORK : 0;
	}
	pthread_mutex_unlock(&machine->vmbus->lock);
	return now;
}

/* One line for each thing, the first time. */
static void say_progress(struct vmb_vmm_machine *machine, struct vmb_vmm_watch *w)
{
	static const char *const names[] = { "system", "bus", "disk", "network" };
	uint32_t fresh = reached(machine) & ~w->reached;

	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(names); i++)
		if (fresh >> i & 1)
			vmb_dev_report("progress: %s", names[i]);
	w->reached |= fresh;
}

/* A guest that writes its dump, or restarts, talks to us all the time. */
static void look_for_life(struct vmb_vmm_machine *machine, struct vmb_vmm_watch *w, int64_t now)
{
	uint32_t limit = machine->options->crash_s;
	uint64_t exits = 0;

	for (uint32_t i = 0; i < machine->dev.vp_count; i++)
		exits += __atomic_load_n(&machine->vcpus[i].exits, __ATOMIC_RELAXED);
	if (exits != w->exits || !vmb_vmm_power_crashed(machine)) {
		w->exits = exits;
		w->exits_at = now;
	} else if (now - w->exits_at >= limit * 1000ll && !machine->options->go_on_after_crash) {
		vmb_dev_report("the guest has stood still for %u s since its crash: ended", limit);
		vmb_vmm_power_end(machine, VMB_VMM_CRASH);
	}
}

/* Firmware answers no heartbeats, so it has a watchdog of its own. */
static void look_at_firmware(struct vmb_vmm_machine *machine)
{
	if (!machine->uefi || !vmb_dev_uefi_tick(machine->uefi))
		return;
	vmb_dev_report("--watchdog: the firmware, or what it started, hangs: reset");
	vmb_vmm_power_end(machine, VMB_VMM_RESET);
}

void vmb_vmm_watch_start(struct vmb_vmm_machine *machine)
{
	int64_t now = now_ms();

	machine->watch = (struct vmb_vmm_watch){ .next = now, .away_since = now, .exits_at = now };
}

void vmb_vmm_watch_look(struct vmb_vmm_machine *machine)
{
	struct vmb_vmm_watch *w = &machine->watch;
	int64_t now = now_ms();

	if (now < w->next)
		return;
	w->next = now + VMB_VMM_WATCH_TICK_MS;
	if (vmb_vmm_pause_is_on(machine)) {
		w->exits_at = w->away_since = now; /* it cannot do anything */
		return;
	}
	look_at_bus(machine, w, now);
	look_at_firmware(machine);
	look_for_life(machine, w, now);
	if (machine->options->progress)
		say_progress(machine, w);
}
