// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Commands of control that make the host misbehave. */
#include <string.h>

#include "devices/fault_plan.h"
#include "devices/report.h"
#include "vmm/control.h"
#include "vmm/machine.h"

#define TEXT   VMB_VMM_CONTROL_TEXT
#define NUMBER VMB_VMM_CONTROL_NUMBER
#define LIST   VMB_VMM_CONTROL_LIST
#define NO_MORE                         \
	{                               \
		NULL, TEXT, false, NULL \
	}

static struct vmb_dev_fault_plan *plan_of(const struct vmb_vmm_call *call)
{
	return vmb_vmm_control_config(call)->faults;
}

/* faults */

static const struct vmb_vmm_control_field faults_results[] = {
	{ "faults", LIST, false, "the rules" },
	{ "faults[].id", NUMBER, true, "for `fault-remove`" },
	{ "faults[].rule", TEXT, true, "with its seed: added again it does the same" },
	{ "faults[].met", NUMBER, true,
	  "packets, messages, signals or operations that it concerns" },
	{ "faults[].struck", NUMBER, true, "of them, those that it spoiled" },
	NO_MORE
};

static enum vmb_vmm_call_step run_faults(struct vmb_vmm_call *call)
{
	char text[VMB_DEV_FAULT_RULE_LEN_MAX];
	struct vmb_dev_fault_rule rule;
	json_t *list = json_array();

	for (uint32_t i = 0; vmb_dev_fault_plan_look(plan_of(call), i, &rule); i++) {
		vmb_dev_fault_plan_text(&rule, text, sizeof(text));
		json_array_append_new(list,
				      json_pack("{s:I, s:s, s:I, s:I}", "id", (json_int_t)rule.id,
						"rule", text, "met", (json_int_t)rule.met, "struck",
						(json_int_t)rule.done));
	}
	vmb_vmm_call_set(call, "faults", list);
	return VMB_VMM_CALL_DONE;
}

/* fault-add, fault-remove */

static const struct vmb_vmm_control_field add_arguments[] = {
	{ "rule", TEXT, false, "as the value of `--fault`" }, NO_MORE
};

static const struct vmb_vmm_control_field add_results[] = {
	{ "id", NUMBER, false, "of the rule; of `any`, of the first" },
	{ "rule", TEXT, false, "with its seed: added again it does the same" },
	NO_MORE
};

/* Returns the text of the rule with this id; empty: it is not there. */
static void text_of(struct vmb_vmm_call *call, uint32_t id, char *text, size_t len)
{
	struct vmb_dev_fault_rule rule;

	*text = 0;
	for (uint32_t i = 0; vmb_dev_fault_plan_look(plan_of(call), i, &rule); i++)
		if (rule.id == id)
			vmb_dev_fault_plan_text(&rule, text, len);
}

static enum vmb_vmm_call_step run_fault_add(struct vmb_vmm_call *call)
{
	char why[VMB_VMM_CONTROL_MESSAGE_LEN], text[VMB_DEV_FAULT_RULE_LEN_MAX];
	int id;

	vmb_dev_report_into(why, sizeof(why));
	id = vmb_dev_fault_plan_add(plan_of(call), vmb_vmm_call_text(call, "rule"));
	vmb_dev_report_into(NULL, 0);
	if (id < 0)
		return vmb_vmm_call_fail(call, "bad-argument", "%s", why);
	vmb_vmm_machine_wake(call->machine);
	text_of(call, id, text, sizeof(text));
	vmb_vmm_call_set_number(call, "id", id);
	vmb_vmm_call_set_text(call, "rule", text);
	vmb_vmm_control_event(call->control, "fault-added", "{s:s}", "rule", text);
	return VMB_VMM_CALL_DONE;
}

static const struct vmb_vmm_control_field remove_arguments[] = {
	{ "id", NUMBER, false, "of the rule" }, NO_MORE
};

static enum vmb_vmm_call_step run_fault_remove(struct vmb_vmm_call *call)
{
	uint64_t id = vmb_vmm_call_number(call, "id", 0);
	char text[VMB_DEV_FAULT_RULE_LEN_MAX];

	text_of(call, id, text, sizeof(text));
	if (id > UINT32_MAX || vmb_dev_fault_plan_remove(plan_of(call), id))
		return vmb_vmm_call_fail(call, "bad-argument", "there is no rule %llu",
					 (unsigned long long)id);
	vmb_vmm_control_event(call->control, "fault-removed", "{s:s}", "rule", text);
	return VMB_VMM_CALL_DONE;
}

const struct vmb_vmm_command vmb_vmm_control_fault[] = {
	{ "faults", "What the host does wrong on purpose.", true, run_faults, NULL,
	  faults_results },
	{ "fault-add",
	  "From now on the host misbehaves by one more rule. docs/testing-your-driver.md is about "
	  "rules.",
	  true, run_fault_add, add_arguments, add_results },
	{ "fault-remove", "It no longer does. What it has delayed still comes.", true,
	  run_fault_remove, remove_arguments, NULL },
	{ NULL, NULL, false, NULL, NULL, NULL },
};
