// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Asks a guest to power off, to restart or to hibernate, when another thread wants that. */
#include <errno.h>

#include "devices/services/services.h"

const struct vmb_dev_service_ops vmb_dev_service_shutdown_ops = {
	.name = "shutdown",
	.type = VMB_IC_SHUTDOWN,
	.type_id = VMB_GUID_SHUTDOWN,
	.instance_id = VMB_GUID_SHUTDOWN_INSTANCE,
};

static bool is_under_way(const struct vmb_dev_service_call *call)
{
	return call->state == VMB_DEV_SERVICE_CALL_QUEUED ||
	       call->state == VMB_DEV_SERVICE_CALL_SENT;
}

static int ask(struct vmb_dev_service *s, uint32_t flags, uint32_t timeout_s)
{
	struct vmb_dev_services *services = s->services;
	int error;

	if (!s->ready || services->paused)
		return -ENOTCONN;
	if (is_under_way(&services->power))
		return -EBUSY;
	error = vmb_host_ic_shutdown(s->version, flags, timeout_s, &services->power_body);
	if (error)
		return error;
	services->power = (struct vmb_dev_service_call){ .body = &services->power_body,
							 .body_len = sizeof(services->power_body) };
	return vmb_dev_service_call(s, &services->power);
}

int vmb_dev_services_shutdown(struct vmb_dev_services *services, uint32_t flags, uint32_t timeout_s)
{
	struct vmb_dev_service *s = vmb_dev_service_find(services, VMB_IC_SHUTDOWN);
	int error;

	if (!s)
		return -ENOTCONN;
	pthread_mutex_lock(&services->lock);
	error = ask(s, flags, timeout_s);
	pthread_mutex_unlock(&services->lock);
	return error;
}

int vmb_dev_services_shutdown_answer(struct vmb_dev_services *services)
{
	const struct vmb_dev_service_call *call = &services->power;
	int error;

	pthread_mutex_lock(&services->lock);
	if (call->state != VMB_DEV_SERVICE_CALL_DONE)
		error = -EAGAIN;
	else if (call->error)
		error = call->error;
	else
		error = call->status == VMB_IC_OK ? 0 : -EIO;
	pthread_mutex_unlock(&services->lock);
	return error;
}
