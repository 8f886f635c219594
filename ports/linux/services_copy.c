// SPDX-License-Identifier: GPL-2.0-only
/*
 * File copy: hv_fcopy_daemon writes the file that the host sends (docs/protocol/integration.md, "8
 * File copy", "15.4 File copy device"). What is checked here, the daemon trusts.
 */
#include <linux/moduleparam.h>
#include "base/utf16.h"
#include "ports/linux/services.h"

#define REGISTER   1u
#define PATIENCE_S 30u

static bool copy = true;
module_param(copy, bool, 0644);
MODULE_PARM_DESC(copy, "Let the host copy files into this system, by hv_fcopy_daemon (Y)");

static int greet(const u8 *message, u32 len, u8 *reply)
{
	u32 said;

	if (len != sizeof(said))
		return -EINVAL;
	memcpy(&said, message, sizeof(said));
	if (said != REGISTER)
		return -EINVAL;
	memcpy(reply, &said, sizeof(said));
	return sizeof(said);
}

/* A name that leads elsewhere is none. */
static bool is_name(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

static bool climbs(const char *path)
{
	const char *at = path;

	while ((at = strstr(at, ".."))) {
		if ((at == path || at[-1] == '/') && (at[2] == '/' || !at[2]))
			return true;
		at += 2;
	}
	return false;
}

static u32 ask_start(const struct vmb_guest_ic_request *request, u8 *message)
{
	struct vmb_ic_copy_start *m = (void *)message;

	if (request->body_len < sizeof(*m))
		return 0;
	memcpy(m, request->body, sizeof(*m));
	memset(m->name, 0, sizeof(m->name));
	memset(m->path, 0, sizeof(m->path));
	vmb_utf16_to_utf8((char *)m->name, sizeof(m->name),
			  ((struct vmb_ic_copy_start *)request->body)->name, sizeof(m->name));
	vmb_utf16_to_utf8((char *)m->path, sizeof(m->path),
			  ((struct vmb_ic_copy_start *)request->body)->path, sizeof(m->path));
	if (!is_name((char *)m->name) || m->path[0] != '/' || climbs((char *)m->path))
		return 0;
	return sizeof(*m);
}

static u32 ask_write(const struct vmb_guest_ic_request *request, u8 *message)
{
	struct vmb_ic_copy_write *m = (void *)message;

	if (request->body_len < sizeof(*m))
		return 0;
	memcpy(m, request->body, sizeof(*m));
	return m->len <= sizeof(m->data) && m->offset <= S64_MAX - m->len ? sizeof(*m) : 0;
}

static u32 ask(struct service *s, u8 *message, u32 *status)
{
	const struct vmb_ic_copy *body = s->request.body;

	*status = VMB_IC_INVALID_ARGUMENT;
	if (s->request.body_len < sizeof(*body))
		return 0;
	switch (body->operation) {
	case VMB_IC_COPY_START: return ask_start(&s->request, message);
	case VMB_IC_COPY_WRITE: return ask_write(&s->request, message);
	case VMB_IC_COPY_COMPLETE:
	case VMB_IC_COPY_CANCEL: memcpy(message, body, sizeof(*body)); return sizeof(*body);
	default: return 0;
	}
}

static u32 take(struct service *s, u8 *answer)
{
	u32 status;

	memcpy(&status, answer, sizeof(status));
	return status;
}

static u32 patience(const struct service *s)
{
	return PATIENCE_S;
}

const struct daemon_kind daemon_copy = {
	.name = "vmbus/hv_fcopy",
	.answer_len = sizeof(u32),
	.greet = greet,
	.ask = ask,
	.take = take,
	.patience = patience,
};

const struct service_kind service_copy = {
	.type = VMB_IC_COPY,
	.enabled = &copy,
	.daemon = &daemon_copy,
	.start = daemon_start,
	.stop = daemon_stop,
	.take = daemon_take_request,
};
