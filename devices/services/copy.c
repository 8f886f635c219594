// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Copies a file of this machine into the guest, one piece after the other was answered. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/utf16.h"
#include "devices/report.h"
#include "devices/services/services.h"

static void end(struct vmb_dev_service *s, int error)
{
	struct vmb_dev_services_copy *copy = &s->services->copy;

	pthread_mutex_lock(&s->services->lock);
	if (copy->fd >= 0)
		close(copy->fd);
	copy->fd = -1;
	copy->state = VMB_DEV_SERVICES_COPY_IDLE;
	copy->error = error;
	pthread_mutex_unlock(&s->services->lock);
}

static void request(struct vmb_dev_service *s, const void *body, uint32_t len,
		    enum vmb_dev_services_copy_state state)
{
	struct vmb_dev_services_copy *copy = &s->services->copy;

	if (vmb_host_ic_request(&s->ic, body, len))
		return;
	pthread_mutex_lock(&s->services->lock);
	copy->state = state;
	pthread_mutex_unlock(&s->services->lock);
}

static void start(struct vmb_dev_service *s)
{
	request(s, &s->services->copy.start, sizeof(s->services->copy.start),
		VMB_DEV_SERVICES_COPY_STARTING);
}

static void finish(struct vmb_dev_service *s, bool whole)
{
	const struct vmb_ic_copy body = { .operation = whole ? VMB_IC_COPY_COMPLETE :
							       VMB_IC_COPY_CANCEL };

	request(s, &body, sizeof(body),
		whole ? VMB_DEV_SERVICES_COPY_COMPLETING : VMB_DEV_SERVICES_COPY_CANCELLING);
}

static bool is_cancelled(struct vmb_dev_service *s)
{
	bool cancel;

	pthread_mutex_lock(&s->services->lock);
	cancel = s->services->copy.cancel;
	pthread_mutex_unlock(&s->services->lock);
	return cancel;
}

/* A file that shrinks meanwhile, or cannot be read, is not copied. */
static void write_next(struct vmb_dev_service *s)
{
	struct vmb_dev_services_copy *copy = &s->services->copy;
	struct vmb_ic_copy_write body = { .header.operation = VMB_IC_COPY_WRITE,
					  .offset = copy->offset };
	uint64_t left = copy->start.size - copy->offset;
	bool cancel = is_cancelled(s);
	ssize_t len;

	if (!left || cancel) {
		finish(s, !cancel);
		return;
	}
	body.len = left < sizeof(body.data) ? (uint32_t)left : (uint32_t)sizeof(body.data);
	len = pread(copy->fd, body.data, body.len, (off_t)copy->offset);
	if (len != (ssize_t)body.len) {
		copy->read_error = len < 0 ? -errno : -ENODATA;
		finish(s, false);
		return;
	}
	request(s, &body, sizeof(body), VMB_DEV_SERVICES_COPY_WRITING);
	copy->piece = body.len;
}

static int error_of(uint32_t status)
{
	switch (status) {
	case VMB_IC_OK: return 0;
	case VMB_IC_EXISTS: return -EEXIST;
	case VMB_IC_DISK_FULL: return -ENOSPC;
	default: return -EIO;
	}
}

static void go_on(struct vmb_dev_service *s)
{
	struct vmb_dev_services_copy *copy = &s->services->copy;

	if (copy->state == VMB_DEV_SERVICES_COPY_WRITING) {
		pthread_mutex_lock(&s->services->lock);
		copy->offset += copy->piece;
		pthread_mutex_unlock(&s->services->lock);
	}
	write_next(s);
}

/* After an error the guest is told to forget the file. */
static void answered(struct vmb_dev_service *s, const struct vmb_dev_services_now *now,
		     const struct vmb_host_ic_answer *answer)
{
	struct vmb_dev_services_copy *copy = &s->services->copy;
	int error = error_of(answer->status);

	switch (copy->state) {
	case VMB_DEV_SERVICES_COPY_COMPLETING: end(s, error); break;
	case VMB_DEV_SERVICES_COPY_CANCELLING:
		end(s, copy->read_error ? copy->read_error : -ECANCELED);
		break;
	case VMB_DEV_SERVICES_COPY_STARTING:
		if (error)
			end(s, error); /* there is nothing to forget */
		else
			go_on(s);
		break;
	default:
		copy->read_error = error;
		if (error)
			finish(s, false);
		else
			go_on(s);
	}
}

static void ready(struct vmb_dev_service *s, const struct vmb_dev_services_now *now)
{
	if (s->services->copy.state != VMB_DEV_SERVICES_COPY_IDLE)
		end(s, -ENOTCONN); /* the guest opened the channel anew */
}

static int64_t tick(struct vmb_dev_service *s, const struct vmb_dev_services_now *now)
{
	enum vmb_dev_services_copy_state state;

	pthread_mutex_lock(&s->services->lock);
	state = s->services->copy.state;
	pthread_mutex_unlock(&s->services->lock);
	if (state == VMB_DEV_SERVICES_COPY_WANTED)
		start(s);
	return VMB_DEV_SERVICE_NEVER;
}

const struct vmb_dev_service_ops vmb_dev_service_copy_ops = {
	.name = "copy",
	.type = VMB_IC_COPY,
	.type_id = VMB_GUID_COPY,
	.instance_id = VMB_GUID_COPY_INSTANCE,
	.ready = ready,
	.answered = answered,
	.tick = tick,
};

/* Under the lock. */
static int begin(struct vmb_dev_service *s, const struct vmb_dev_services_copy *wanted)
{
	struct vmb_dev_services_copy *copy = &s->services->copy;

	if (!s->ready || s->services->paused)
		return -ENOTCONN;
	if (copy->state != VMB_DEV_SERVICES_COPY_IDLE)
		return -EBUSY;
	*copy = *wanted;
	copy->state = VMB_DEV_SERVICES_COPY_WANTED;
	vmb_dev_service_nudge(s);
	return 0;
}

int vmb_dev_services_copy(struct vmb_dev_services *services, int fd, uint64_t size,
			  const char *folder, const char *name, uint32_t flags)
{
	struct vmb_dev_service *s = vmb_dev_service_find(services, VMB_IC_COPY);
	struct vmb_dev_services_copy copy = { .fd = fd, .start = { .flags = flags, .size = size } };
	int error;

	if (!vmb_utf16_from_utf8(copy.start.name, VMB_IC_COPY_NAME_LEN / 2, name) ||
	    !vmb_utf16_from_utf8(copy.start.path, VMB_IC_COPY_NAME_LEN / 2, folder))
		return -ENAMETOOLONG;
	if (!s)
		return -ENOTCONN;
	pthread_mutex_lock(&services->lock);
	error = begin(s, &copy);
	pthread_mutex_unlock(&services->lock);
	return error;
}

int vmb_dev_services_copied(struct vmb_dev_services *services, uint64_t *offset)
{
	struct vmb_dev_service *s = vmb_dev_service_find(services, VMB_IC_COPY);
	int error;

	pthread_mutex_lock(&services->lock);
	*offset = services->copy.offset;
	error = services->copy.state == VMB_DEV_SERVICES_COPY_IDLE ? services->copy.error : -EAGAIN;
	if (!s || !s->ready)
		error = -ENOTCONN;
	pthread_mutex_unlock(&services->lock);
	return error;
}

void vmb_dev_services_copy_cancel(struct vmb_dev_services *services)
{
	pthread_mutex_lock(&services->lock);
	services->copy.cancel = true;
	pthread_mutex_unlock(&services->lock);
}
