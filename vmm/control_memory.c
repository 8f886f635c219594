// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The command of control that makes a guest smaller and larger, or says how large it is. */
#include <errno.h>
#include <string.h>

#include "devices/balloon.h"
#include "devices/text.h"
#include "vmm/control.h"
#include "vmm/devices.h"
#include "vmm/options.h"

#define TEXT	 VMB_VMM_CONTROL_TEXT
#define NUMBER	 VMB_VMM_CONTROL_NUMBER
#define FLAG	 VMB_VMM_CONTROL_FLAG

#define LIMIT_MS 60000 /* a guest that finds pages one by one */

static struct vmb_dev_balloon *balloon_of(struct vmb_vmm_call *call)
{
	return vmb_vmm_devices_balloon(vmb_vmm_control_config(call)->devices);
}

static enum vmb_vmm_call_step show(struct vmb_vmm_call *call,
				   const struct vmb_dev_balloon_view *view)
{
	vmb_vmm_call_set_flag(call, "driver", view->ready);
	vmb_vmm_call_set_flag(call, "reached", view->reached);
	vmb_vmm_call_set_flag(call, "auto", view->follows);
	vmb_vmm_call_set_number(call, "target", view->target);
	vmb_vmm_call_set_number(call, "assigned", view->assigned);
	vmb_vmm_call_set_number(call, "given", view->out);
	vmb_vmm_call_set_number(call, "added", view->added);
	vmb_vmm_call_set_number(call, "max", view->max);
	vmb_vmm_call_set_number(call, "resident", view->resident);
	if (view->available || view->committed) {
		vmb_vmm_call_set_number(call, "available", view->available);
		vmb_vmm_call_set_number(call, "committed", view->committed);
	}
	return VMB_VMM_CALL_DONE;
}

static enum vmb_vmm_call_step await_target(struct vmb_vmm_call *call)
{
	struct vmb_dev_balloon_view view;

	if (call->over)
		return VMB_VMM_CALL_FAILED;
	vmb_dev_balloon_look(balloon_of(call), &view);
	if (!view.settled && view.ready && vmb_vmm_control_now() - call->began < LIMIT_MS)
		return VMB_VMM_CALL_LATER;
	return show(call, &view);
}

static enum vmb_vmm_call_step miss_driver(struct vmb_vmm_call *call)
{
	return vmb_vmm_call_fail(call, "failed",
				 "the guest has no driver for dynamic memory now (Linux: "
				 "hv_balloon); it is asked when it has");
}

static enum vmb_vmm_call_step set_target(struct vmb_vmm_call *call, const char *text)
{
	const struct vmb_vmm_options *o = vmb_vmm_control_config(call)->options;
	uint64_t size;
	int error = -ERANGE;

	if (vmb_dev_text_size(text, &size))
		error = vmb_dev_balloon_set(balloon_of(call), size);
	if (error == -ERANGE)
		return vmb_vmm_call_fail(
			call, "bad-argument",
			"size: give %lluM to %lluM, the most that --memory allows, "
			"or auto",
			VMB_DEV_BALLOON_MIN >> 20, (unsigned long long)o->memory_max >> 20);
	if (error)
		return miss_driver(call);
	call->go_on = await_target;
	return VMB_VMM_CALL_LATER;
}

static enum vmb_vmm_call_step run_memory(struct vmb_vmm_call *call)
{
	const char *size = vmb_vmm_call_text(call, "size");
	struct vmb_dev_balloon_view view;

	if (!balloon_of(call))
		return vmb_vmm_call_fail(call, "failed",
					 "this machine has no dynamic memory: see --services and "
					 "--generation");
	if (size && strcmp(size, "auto"))
		return set_target(call, size);
	if (size && vmb_dev_balloon_follow(balloon_of(call)))
		return miss_driver(call);
	vmb_dev_balloon_look(balloon_of(call), &view);
	return show(call, &view);
}

static const struct vmb_vmm_control_field arguments[] = {
	{ "size", TEXT, true,
	  "how much it is to have, as in `--memory`: `512M`; `auto`: as its need is" },
	{ NULL, TEXT, false, NULL },
};
static const struct vmb_vmm_control_field results[] = {
	{ "driver", FLAG, false, "the guest has a driver for it" },
	{ "reached", FLAG, false,
	  "the guest is as large as it is to be; if not, the machine goes on" },
	{ "auto", FLAG, false, "the target follows the guest's need" },
	{ "target", NUMBER, false, "bytes that it is to have" },
	{ "assigned", NUMBER, false, "bytes that it has" },
	{ "given", NUMBER, false, "bytes that it gave to this machine" },
	{ "added", NUMBER, false, "bytes that it got since its start" },
	{ "max", NUMBER, false, "bytes that it may have" },
	{ "resident", NUMBER, false, "bytes of its memory that this machine holds now" },
	{ "available", NUMBER, true, "bytes that it could spare, as it says" },
	{ "committed", NUMBER, true, "bytes that its programs may come to need, as it says" },
	{ NULL, TEXT, false, NULL },
};

const struct vmb_vmm_command vmb_vmm_control_memory[] = {
	{ "memory",
	  "Makes the guest smaller or larger, and says how large it is. The answer comes when it "
	  "has the size, or has no more to spare for now; for auto at once.",
	  true, run_memory, arguments, results },
	{ NULL, NULL, false, NULL, NULL, NULL },
};
