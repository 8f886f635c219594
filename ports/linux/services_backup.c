// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backup: hv_vss_daemon freezes and thaws the file systems when the host asks for it
 * (docs/protocol/integration.md, "7 VSS", "15.3 VSS device").
 */
#include <linux/moduleparam.h>
#include <linux/umh.h>
#include "ports/linux/services.h"

#define REGISTER	  129u
#define PATIENCE_S	  30u
#define PATIENCE_FREEZE_S 900u
#define NO_AUTO_RECOVERY  5u /* what the guest says about a hot backup */

static bool backup = true;
module_param(backup, bool, 0644);
MODULE_PARM_DESC(backup,
		 "Freeze and thaw file systems when the host asks for it, by hv_vss_daemon (Y)");

static int greet(const u8 *message, u32 len, u8 *reply)
{
	static const u32 said = REGISTER;

	if (len != sizeof(struct vmb_ic_backup) || message[0] != REGISTER)
		return -EINVAL;
	memcpy(reply, &said, sizeof(said));
	return sizeof(said);
}

/* What needs no daemon succeeds, as with Linux's own driver. */
static u32 ask(struct service *s, u8 *message, u32 *status)
{
	struct vmb_ic_backup *m = (struct vmb_ic_backup *)message, *body = s->request.body;
	int operation = vmb_guest_ic_backup(&s->request);

	switch (operation) {
	case VMB_IC_BACKUP_CHECK: body->flags = NO_AUTO_RECOVERY; fallthrough;
	case VMB_IC_BACKUP_FREEZE:
	case VMB_IC_BACKUP_THAW:
		s->wish |= operation == VMB_IC_BACKUP_FREEZE;
		m->operation = operation;
		m->flags = operation == VMB_IC_BACKUP_CHECK ? NO_AUTO_RECOVERY : 0;
		return sizeof(*m);
	case VMB_EPROTO: *status = VMB_IC_INVALID_ARGUMENT; return 0;
	default: *status = operation <= 7 ? VMB_IC_OK : VMB_IC_FAIL; return 0;
	}
}

static u32 take(struct service *s, u8 *answer)
{
	u32 status;

	memcpy(&status, answer, sizeof(status));
	if (!status && vmb_guest_ic_backup(&s->request) == VMB_IC_BACKUP_THAW)
		s->wish = 0;
	return status;
}

/*
 * The kernel has no function for modules that thaws all file systems; its SysRq key does that, and
 * for whoever writes to the file whatever keys are allowed. The shell is on a frozen file system,
 * but only reads it.
 */
static void left(struct service *s)
{
	static char *envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	static char *argv[] = { "/bin/sh", "-c", "echo j >/proc/sysrq-trigger", NULL };
	int rc;

	if (!s->wish)
		return;
	s->wish = 0;
	pr_warn("hv_vss_daemon has left file systems frozen: thawing all\n");
	rc = call_usermodehelper(argv[0], argv, envp, UMH_NO_WAIT);
	if (rc)
		pr_err("they stay frozen: %d\n", rc);
}

static u32 patience(const struct service *s)
{
	return vmb_guest_ic_backup(&s->request) == VMB_IC_BACKUP_FREEZE ? PATIENCE_FREEZE_S :
									  PATIENCE_S;
}

const struct daemon_kind daemon_backup = {
	.name = "vmbus/hv_vss",
	.answer_len = sizeof(struct vmb_ic_backup),
	.greet = greet,
	.ask = ask,
	.take = take,
	.patience = patience,
	.left = left,
};

const struct service_kind service_backup = {
	.type = VMB_IC_BACKUP,
	.enabled = &backup,
	.daemon = &daemon_backup,
	.start = daemon_start,
	.stop = daemon_stop,
	.take = daemon_take_request,
};
