// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Asks a guest to power off when the program must end, and says when it does not. */
#include <errno.h>
#include <time.h>

#include "devices/report.h"
#include "devices/services/services.h"
#include "vmm/shutdown.h"

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

bool vmb_vmm_shutdown_ask(struct vmb_vmm_shutdown *s)
{
	int error;

	if (!s->services || !s->timeout_s)
		return false;
	error = vmb_dev_services_shutdown(s->services, VMB_IC_SHUTDOWN_OFF, s->timeout_s);
	if (error && error != -EBUSY) /* busy: somebody else has just asked */
		return false;
	s->asking = true;
	s->asked_at = now_ms();
	vmb_dev_report("the guest was asked to power off, and has %u s; a second signal ends it",
		       s->timeout_s);
	return true;
}

/* Returns why waiting has no sense any more; NULL: it has. */
static const char *why_over(const struct vmb_vmm_shutdown *s)
{
	int error = vmb_dev_services_shutdown_answer(s->services);

	if (now_ms() - s->asked_at >= s->timeout_s * 1000ll)
		return error ? "did not answer in time" : "did not power off in time";
	if (error == -EIO)
		return "refused";
	return error == -ENOTCONN ? "left without an answer" : NULL;
}

bool vmb_vmm_shutdown_over(struct vmb_vmm_shutdown *s)
{
	const char *why = s->asking ? why_over(s) : NULL;

	if (!why)
		return false;
	vmb_dev_report("the guest that was asked to power off %s: ended", why);
	s->asking = false;
	return true;
}
