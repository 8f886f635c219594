// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The tables of control: which files have commands, how a request is checked against its row, and
 * the same as a document.
 */
#include <string.h>

#include "vmm/control.h"

#define COLUMNS 100u

static const struct vmb_vmm_command *const files[] = {
	vmb_vmm_control_machine, vmb_vmm_control_device, vmb_vmm_control_disk,
	vmb_vmm_control_trace,	 vmb_vmm_control_fault,	 vmb_vmm_control_services,
	vmb_vmm_control_memory,	 vmb_vmm_control_input,	 vmb_vmm_control_statistics,
	vmb_vmm_control_video,
};

void vmb_vmm_control_each(void (*visit)(void *arg, const struct vmb_vmm_command *row), void *arg)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(files); i++)
		for (const struct vmb_vmm_command *row = files[i]; row->name; row++)
			visit(arg, row);
}

const struct vmb_vmm_command *vmb_vmm_control_find(const char *name)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(files); i++)
		for (const struct vmb_vmm_command *row = files[i]; row->name; row++)
			if (strcmp(row->name, name) == 0)
				return row;
	return NULL;
}

const char *vmb_vmm_control_type_name(enum vmb_vmm_control_type type)
{
	static const char *const names[] = {
		[VMB_VMM_CONTROL_TEXT] = "text",     [VMB_VMM_CONTROL_NUMBER] = "number",
		[VMB_VMM_CONTROL_FLAG] = "flag",     [VMB_VMM_CONTROL_LIST] = "list",
		[VMB_VMM_CONTROL_OBJECT] = "object",
	};

	return names[type];
}

static bool has_type(const json_t *value, enum vmb_vmm_control_type type)
{
	switch (type) {
	case VMB_VMM_CONTROL_TEXT: return json_is_string(value);
	case VMB_VMM_CONTROL_NUMBER:
		return json_is_integer(value) && json_integer_value(value) >= 0;
	case VMB_VMM_CONTROL_FLAG: return json_is_boolean(value);
	case VMB_VMM_CONTROL_LIST: return json_is_array(value);
	case VMB_VMM_CONTROL_OBJECT: return json_is_object(value);
	}
	return false;
}

static const struct vmb_vmm_control_field *find_field(const struct vmb_vmm_control_field *fields,
						      const char *name)
{
	for (; fields && fields->name; fields++)
		if (strcmp(fields->name, name) == 0)
			return fields;
	return NULL;
}

/* A name of the client's may be long. */
static const char *check_names(const struct vmb_vmm_command *row, json_t *arguments, char *message)
{
	const struct vmb_vmm_control_field *field;
	const char *name;
	json_t *value;

	json_object_foreach(arguments, name, value) {
		field = find_field(row->arguments, name);
		if (!field) {
			snprintf(message, VMB_VMM_CONTROL_MESSAGE_LEN,
				 "%s has no argument '%.64s'; see docs/control.md", row->name,
				 name);
			return "no-such-argument";
		}
		if (!has_type(value, field->type)) {
			snprintf(message, VMB_VMM_CONTROL_MESSAGE_LEN,
				 "%s: the argument '%s' must be a %s", row->name, name,
				 vmb_vmm_control_type_name(field->type));
			return "bad-argument";
		}
	}
	return NULL;
}

const char *vmb_vmm_control_check(const struct vmb_vmm_command *row, json_t *arguments,
				  char *message)
{
	const struct vmb_vmm_control_field *field;
	const char *code = check_names(row, arguments, message);

	for (field = row->arguments; !code && field && field->name; field++) {
		if (field->optional || json_object_get(arguments, field->name))
			continue;
		snprintf(message, VMB_VMM_CONTROL_MESSAGE_LEN,
			 "%s: the argument '%s' is missing: %s", row->name, field->name,
			 field->doc);
		return "missing-argument";
	}
	return code;
}

static void document_fields(FILE *out, const char *title,
			    const struct vmb_vmm_control_field *fields)
{
	if (!fields || !fields->name)
		return;
	fprintf(out, "\n| %s | type | |\n|---|---|---|\n", title);
	for (; fields->name; fields++)
		fprintf(out, "| `%s` | %s%s | %s |\n", fields->name,
			vmb_vmm_control_type_name(fields->type),
			fields->optional ? ", optional" : "", fields->doc);
}

/* Prose has 100 columns. */
static void document_text(FILE *out, const char *text)
{
	size_t column = 0, len;

	for (; *text; text += len, text += strspn(text, " ")) {
		len = strcspn(text, " ");
		if (column && column + 1 + len > COLUMNS)
			column = !fputc('\n', out);
		column += fprintf(out, "%s%.*s", column ? " " : "", (int)len, text);
	}
	fputc('\n', out);
}

static void document_row(void *arg, const struct vmb_vmm_command *row)
{
	FILE *out = arg;

	fprintf(out, "### %s\n\n", row->name);
	document_text(out, row->doc);
	document_fields(out, "argument", row->arguments);
	document_fields(out, "result", row->results);
	fprintf(out, "\n");
}

void vmb_vmm_control_document(FILE *out)
{
	fprintf(out, "## Commands\n\n");
	vmb_vmm_control_each(document_row, out);
	fprintf(out, "## Events\n\n");
	for (const struct vmb_vmm_event_row *row = vmb_vmm_control_events; row->name; row++) {
		fprintf(out, "### %s\n\n", row->name);
		document_text(out, row->doc);
		document_fields(out, "field", row->fields);
		fprintf(out, "\n");
	}
}
