// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Commands of control that switch the recording of the bus on and off. */
#include <string.h>

#include "devices/report.h"
#include "devices/trace.h"
#include "vmm/control.h"
#include "vmm/machine.h"

static const struct vmb_vmm_control_field on_arguments[] = {
	{ "file", VMB_VMM_CONTROL_TEXT, false,
	  "a pcapng file; one that exists must be a capture or empty" },
	{ "size", VMB_VMM_CONTROL_NUMBER, true, "bytes that it may have (1073741824)" },
	{ "snap", VMB_VMM_CONTROL_NUMBER, true,
	  "bytes that are recorded of the memory that a packet names (256)" },
	{ NULL, VMB_VMM_CONTROL_TEXT, false, NULL },
};

static enum vmb_vmm_call_step run_on(struct vmb_vmm_call *call)
{
	struct vmb_dev_trace *trace = vmb_vmm_control_config(call)->trace;
	uint64_t snap = vmb_vmm_call_number(call, "snap", VMB_DEV_TRACE_SNAP_DEFAULT);
	char why[VMB_VMM_CONTROL_MESSAGE_LEN];
	int error;
	const struct vmb_dev_trace_config config = {
		.path = vmb_vmm_call_text(call, "file"),
		.len_max = vmb_vmm_call_number(call, "size", VMB_DEV_TRACE_LEN_DEFAULT),
		.snap = snap < VMB_DEV_TRACE_SNAP_FULL ? snap : VMB_DEV_TRACE_SNAP_FULL,
	};

	if (vmb_dev_trace_is_on(trace))
		return vmb_vmm_call_fail(call, "failed", "it is on already; trace-off ends it");
	vmb_vmm_call_release(call);
	vmb_dev_report_into(why, sizeof(why));
	error = vmb_dev_trace_check(&config);
	if (!error)
		error = vmb_dev_trace_start(trace, &config);
	vmb_dev_report_into(NULL, 0);
	vmb_vmm_call_regain(call);
	if (error)
		return vmb_vmm_call_fail(call, "failed", "%s", *why ? why : strerror(-error));
	if (!call->machine) {
		vmb_dev_trace_stop(trace);
		return vmb_vmm_call_no_machine(call);
	}
	vmb_dev_trace_attach(trace, call->machine->vmbus);
	return VMB_VMM_CALL_DONE;
}

static enum vmb_vmm_call_step run_off(struct vmb_vmm_call *call)
{
	struct vmb_dev_trace *trace = vmb_vmm_control_config(call)->trace;

	if (!vmb_dev_trace_is_on(trace))
		return vmb_vmm_call_fail(call, "failed", "it is not on");
	vmb_dev_trace_detach(call->machine->vmbus);
	vmb_vmm_call_release(call);
	vmb_dev_trace_stop(trace); /* waits for the file */
	vmb_vmm_call_regain(call);
	return VMB_VMM_CALL_DONE;
}

const struct vmb_vmm_command vmb_vmm_control_trace[] = {
	{ "trace-on",
	  "Records what passes on the bus into a file, as --trace does, from here on: first which "
	  "channels are open.",
	  true, run_on, on_arguments, NULL },
	{ "trace-off", "Ends the recording. The file is whole when the answer comes.", true,
	  run_off, NULL, NULL },
	{ NULL, NULL, false, NULL, NULL, NULL },
};
