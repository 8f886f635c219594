// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Commands of control that take devices from the guest and give them back, and that add cards. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/network.h"
#include "devices/report.h"
#include "vmm/control.h"
#include "vmm/hotplug.h"
#include "vmm/machine.h"

#define RELEASE_LIMIT_MS 10000
#define NAME_LEN	 32u

#define TEXT		 VMB_VMM_CONTROL_TEXT
#define NUMBER		 VMB_VMM_CONTROL_NUMBER
#define FLAG		 VMB_VMM_CONTROL_FLAG
#define LIST		 VMB_VMM_CONTROL_LIST
#define NO_MORE                         \
	{                               \
		NULL, TEXT, false, NULL \
	}

static struct vmb_vmm_devices *devices_of(const struct vmb_vmm_call *call)
{
	return vmb_vmm_control_config(call)->devices;
}

/* devices */

static const struct vmb_vmm_control_field devices_results[] = {
	{ "devices", LIST, false, "those that have a name" },
	{ "devices[].name", TEXT, false, "`scsi`, `ide0:1`, `net0`, `kvp`, ..." },
	{ "devices[].place", TEXT, false,
	  "`in`; `leaving`: the guest has not let go of it; `out`" },
	NO_MORE
};

static enum vmb_vmm_call_step run_devices(struct vmb_vmm_call *call)
{
	static const char *const places[] = { [VMB_VMM_DEVICE_IN] = "in",
					      [VMB_VMM_DEVICE_LEAVING] = "leaving",
					      [VMB_VMM_DEVICE_OUT] = "out" };
	const struct vmb_vmm_devices *d = devices_of(call);
	json_t *list = json_array();

	for (uint32_t i = 0; i < d->count; i++)
		if (d->all[i].ops->name)
			json_array_append_new(list, json_pack("{s:s, s:s}", "name",
							      d->all[i].ops->name(d->all[i].state),
							      "place", places[d->lives[i].place]));
	vmb_vmm_call_set(call, "devices", list);
	return VMB_VMM_CALL_DONE;
}

/* Names: a place in the list may become another's while a command goes on. */

static int find(const struct vmb_vmm_call *call, const char *name)
{
	return vmb_vmm_hotplug_find(devices_of(call), name);
}

static enum vmb_vmm_call_step no_such_device(struct vmb_vmm_call *call, const char *name)
{
	return vmb_vmm_call_fail(call, "no-such-device",
				 "there is no device '%.64s'; the command devices lists them",
				 name);
}

struct leaving {
	char name[NAME_LEN];
	bool removed;
};

static enum vmb_vmm_call_step end_leaving(struct vmb_vmm_call *call, enum vmb_vmm_call_step step)
{
	struct leaving *l = call->state;

	if (step == VMB_VMM_CALL_DONE)
		vmb_vmm_control_event(call->control,
				      l->removed ? "device-removed" : "device-rescinded", "{s:s}",
				      "name", l->name);
	free(l);
	return step;
}

static enum vmb_vmm_call_step await_release(struct vmb_vmm_call *call)
{
	struct leaving *l = call->state;
	int i = call->over ? -ENOENT : find(call, l->name);

	if (call->over)
		return end_leaving(call, VMB_VMM_CALL_FAILED);
	if (i < 0 || vmb_vmm_hotplug_settle(devices_of(call), i) == 0)
		return end_leaving(call, VMB_VMM_CALL_DONE);
	if (vmb_vmm_control_now() - call->began < RELEASE_LIMIT_MS)
		return VMB_VMM_CALL_LATER;
	vmb_vmm_call_fail(call, "time-out",
			  "the guest has not let go of it within %d s; it is taken away all the "
			  "same",
			  RELEASE_LIMIT_MS / 1000);
	return end_leaving(call, VMB_VMM_CALL_FAILED);
}

static enum vmb_vmm_call_step rescind(struct vmb_vmm_call *call, const char *name, bool removed)
{
	int i = find(call, name), error;
	struct leaving *l;

	if (i < 0)
		return no_such_device(call, name);
	error = vmb_vmm_hotplug_rescind(devices_of(call), i, removed);
	if (error == -EOPNOTSUPP)
		return vmb_vmm_call_fail(call, "failed", "a device of this kind cannot leave");
	if (error)
		return vmb_vmm_call_fail(call, "failed", "the device is not in already");
	l = calloc(1, sizeof(*l));
	if (!l)
		return vmb_vmm_call_fail(call, "failed", "%s", strerror(ENOMEM));
	snprintf(l->name, sizeof(l->name), "%s", name);
	l->removed = removed;
	call->state = l;
	call->go_on = await_release;
	return VMB_VMM_CALL_LATER;
}

/* device-rescind, device-offer */

static const struct vmb_vmm_control_field name_argument[] = {
	{ "name", TEXT, false, "as the command `devices` says it" }, NO_MORE
};

static enum vmb_vmm_call_step run_rescind(struct vmb_vmm_call *call)
{
	return rescind(call, vmb_vmm_call_text(call, "name"), false);
}

static enum vmb_vmm_call_step run_offer(struct vmb_vmm_call *call)
{
	const char *name = vmb_vmm_call_text(call, "name");
	char why[VMB_VMM_CONTROL_MESSAGE_LEN];
	int i = find(call, name), error;

	if (i < 0)
		return no_such_device(call, name);
	vmb_dev_report_into(why, sizeof(why));
	error = vmb_vmm_hotplug_offer(devices_of(call), i, call->machine->vmbus);
	vmb_dev_report_into(NULL, 0);
	if (error == -EBUSY)
		return vmb_vmm_call_fail(call, "failed",
					 "the device is in, or the guest has not let go of it");
	if (error)
		return vmb_vmm_call_fail(call, "failed", "%s", *why ? why : strerror(-error));
	vmb_vmm_control_event(call->control, "device-offered", "{s:s}", "name", name);
	return VMB_VMM_CALL_DONE;
}

/* net-add, net-remove, net-link */

static const struct vmb_vmm_control_field net_add_arguments[] = {
	{ "net", TEXT, false, "as the value of `--net`" }, NO_MORE
};

static const struct vmb_vmm_control_field net_add_results[] = {
	{ "name", TEXT, false, "of the card, for the other commands" }, NO_MORE
};

/* What the generation allows, as for the cards of the command line. */
static void fit_generation(const struct vmb_vmm_call *call, struct vmb_dev_net_option *option)
{
	const struct vmb_vmm_options *o = vmb_vmm_control_config(call)->options;

	option->version_max = o->generation.network;
	if (o->generation.bus < VMB_VERSION_2_4)
		option->queue_count = 1;
}

static int parse_card(struct vmb_vmm_call *call, uint32_t number,
		      struct vmb_dev_net_option **parsed)
{
	struct vmb_dev_net_option *option = calloc(1, sizeof(*option));
	char *text = strdup(vmb_vmm_call_text(call, "net"));
	int error = option && text ? vmb_dev_net_parse(option, text, number) : -ENOMEM;

	if (error) {
		free(option);
		free(text);
		return error;
	}
	option->text = text;
	fit_generation(call, option);
	*parsed = option;
	return 0;
}

/* Opens the card without the machine, because a network may take its time. */
static int add_card(struct vmb_vmm_call *call, uint32_t number)
{
	struct vmb_dev_net_option *option = NULL;
	struct vmb_dev_device card;
	int error = parse_card(call, number, &option);

	if (!error)
		error = vmb_vmm_hotplug_check_card(devices_of(call), option);
	if (!error) {
		vmb_vmm_call_release(call);
		error = vmb_vmm_hotplug_open_card(&card, option, number);
		vmb_vmm_call_regain(call);
	}
	if (!error && call->machine)
		return vmb_vmm_hotplug_add_card(devices_of(call), call->machine->vmbus, &card,
						option);
	if (!error)
		card.ops->close(card.state);
	vmb_vmm_hotplug_free_card(option);
	return error;
}

static enum vmb_vmm_call_step run_net_add(struct vmb_vmm_call *call)
{
	int number = vmb_vmm_hotplug_free_card_number(devices_of(call)), error;
	char why[VMB_VMM_CONTROL_MESSAGE_LEN], name[NAME_LEN];

	if (number < 0)
		return vmb_vmm_call_fail(call, "failed", "a machine has at most %u cards",
					 VMB_DEV_NET_MAX);
	vmb_dev_report_into(why, sizeof(why));
	error = add_card(call, number);
	vmb_dev_report_into(NULL, 0);
	if (error)
		return vmb_vmm_call_fail(call, "failed", "%s", *why ? why : strerror(-error));
	if (!call->machine)
		return vmb_vmm_call_no_machine(call);
	snprintf(name, sizeof(name), "net%d", number);
	vmb_vmm_call_set_text(call, "name", name);
	vmb_vmm_control_event(call->control, "device-offered", "{s:s}", "name", name);
	return VMB_VMM_CALL_DONE;
}

static struct vmb_dev_network *find_card(const struct vmb_vmm_call *call)
{
	int i = find(call, vmb_vmm_call_text(call, "name"));
	const struct vmb_dev_device *device = i < 0 ? NULL : &devices_of(call)->all[i];

	return device && device->ops == &vmb_dev_network_ops ? device->state : NULL;
}

static const struct vmb_vmm_control_field card_argument[] = {
	{ "name", TEXT, false, "of the card: `net0`, ..." }, NO_MORE
};

static enum vmb_vmm_call_step run_net_remove(struct vmb_vmm_call *call)
{
	const char *name = vmb_vmm_call_text(call, "name");

	return find_card(call) ? rescind(call, name, true) : no_such_device(call, name);
}

static const struct vmb_vmm_control_field net_link_arguments[] = {
	{ "name", TEXT, false, "of the card: `net0`, ..." },
	{ "up", FLAG, false, "false: as if its cable was pulled out" },
	NO_MORE
};

static enum vmb_vmm_call_step run_net_link(struct vmb_vmm_call *call)
{
	struct vmb_dev_network *card = find_card(call);

	if (!card)
		return no_such_device(call, vmb_vmm_call_text(call, "name"));
	vmb_dev_network_pull(card, !vmb_vmm_call_flag(call, "up"));
	return VMB_VMM_CALL_DONE;
}

const struct vmb_vmm_command vmb_vmm_control_device[] = {
	{ "devices", "The devices of the machine that can leave it.", true, run_devices, NULL,
	  devices_results },
	{ "device-rescind",
	  "Takes a device away from the guest, with all that is on it, as Hyper-V does when a "
	  "device is removed. The answer comes when the guest has let go of it. It is back with "
	  "`device-offer`, or when the machine starts again.",
	  true, run_rescind, name_argument, NULL },
	{ "device-offer", "Offers a device again that was taken away.", true, run_offer,
	  name_argument, NULL },
	{ "net-add",
	  "Adds a card. In a nest its network is the nest's: `hostfwd=` leads from there.", true,
	  run_net_add, net_add_arguments, net_add_results },
	{ "net-remove",
	  "Removes a card for good. The answer comes when the guest has let go of it.", true,
	  run_net_remove, card_argument, NULL },
	{ "net-link",
	  "Pulls a card's cable or plugs it in again. Without it frames are dropped both ways.",
	  true, run_net_link, net_link_arguments, NULL },
	{ NULL, NULL, false, NULL, NULL, NULL },
};
