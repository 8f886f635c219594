// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Freezes the guest's file systems, so that a copy of its disks is whole, and thaws them again:
 * when it is asked to, when the time is over that it was asked for, and when a freeze fails.
 */
#include <errno.h>

#include "devices/report.h"
#include "devices/services/services.h"

#define SECOND_NS  1000000000ll

/* The list of disks, which is empty, follows in a FREEZE: all that the guest has. */
#define FREEZE_LEN 6260u

static int request(struct vmb_dev_service *s, uint8_t operation)
{
	uint8_t body[FREEZE_LEN] = { operation };

	return vmb_host_ic_request(
		&s->ic, body,
		operation == VMB_IC_BACKUP_FREEZE ? sizeof(body) : sizeof(struct vmb_ic_backup));
}

static void set_state(struct vmb_dev_service *s, enum vmb_dev_services_backup_state state)
{
	pthread_mutex_lock(&s->services->lock);
	s->u.backup.state = state;
	pthread_mutex_unlock(&s->services->lock);
}

static void set_status(struct vmb_dev_service *s, uint32_t status)
{
	pthread_mutex_lock(&s->services->lock);
	s->u.backup.status = status;
	pthread_mutex_unlock(&s->services->lock);
}

/*
 * A guest that opens the channel anew, because its driver was loaded again, may be frozen from
 * before, and whoever asked for that has been told that it has left: it is thawed at once.
 */
static void ready(struct vmb_dev_service *s, const struct vmb_dev_services_now *now)
{
	enum vmb_dev_services_backup_state state = s->u.backup.state;
	bool frozen = state != VMB_DEV_SERVICES_THAWED && state != VMB_DEV_SERVICES_CHECKING;

	pthread_mutex_lock(&s->services->lock);
	s->u.backup.wish = VMB_DEV_SERVICES_NOTHING;
	s->u.backup.state = frozen ? VMB_DEV_SERVICES_FROZEN : VMB_DEV_SERVICES_THAWED;
	pthread_mutex_unlock(&s->services->lock);
	s->u.backup.thaw_at = now->ns;
	if (frozen && !s->u.backup.told)
		vmb_dev_report("the guest opened its backup service anew while it was frozen: "
			       "thawed");
	s->u.backup.told = frozen;
}

static void begin_freeze(struct vmb_dev_service *s, const struct vmb_dev_services_now *now)
{
	if (request(s, VMB_IC_BACKUP_FREEZE))
		return;
	s->u.backup.thaw_at = now->ns + s->u.backup.limit_s * SECOND_NS;
	s->u.backup.told = false;
	set_state(s, VMB_DEV_SERVICES_FREEZING);
}

static void begin_thaw(struct vmb_dev_service *s)
{
	if (!request(s, VMB_IC_BACKUP_THAW))
		set_state(s, VMB_DEV_SERVICES_THAWING);
}

/* A guest whose daemon has died cannot thaw until there is another one: it is asked again. */
static void thaw_failed(struct vmb_dev_service *s, const struct vmb_dev_services_now *now,
			uint32_t status)
{
	if (!s->u.backup.thaw_failed)
		vmb_dev_report("the guest could not thaw its file systems (status 0x%08x); it is "
			       "asked again every second: is its daemon running (Linux: "
			       "hv_vss_daemon)?",
			       status);
	s->u.backup.thaw_failed = s->u.backup.told = true;
	s->u.backup.thaw_at = now->ns + SECOND_NS;
	set_status(s, status);
	set_state(s, VMB_DEV_SERVICES_FROZEN);
}

static void thawed(struct vmb_dev_service *s)
{
	if (s->u.backup.thaw_failed) {
		vmb_dev_report("the guest has thawed its file systems now");
		set_status(s, VMB_IC_OK);
	}
	s->u.backup.thaw_failed = false;
	set_state(s, VMB_DEV_SERVICES_THAWED);
}

static void answered(struct vmb_dev_service *s, const struct vmb_dev_services_now *now,
		     const struct vmb_host_ic_answer *answer)
{
	enum vmb_dev_services_backup_state was = s->u.backup.state;

	s->due = now->ns;
	if (was == VMB_DEV_SERVICES_THAWING && answer->status)
		thaw_failed(s, now, answer->status);
	else if (was == VMB_DEV_SERVICES_THAWING)
		thawed(s);
	if (was == VMB_DEV_SERVICES_THAWING)
		return;
	set_status(s, answer->status);
	if (was == VMB_DEV_SERVICES_CHECKING && !answer->status)
		begin_freeze(s, now);
	else if (was == VMB_DEV_SERVICES_FREEZING && !answer->status)
		set_state(s, VMB_DEV_SERVICES_FROZEN);
	else if (was == VMB_DEV_SERVICES_FREEZING)
		begin_thaw(s); /* some of the file systems may be frozen */
	else
		set_state(s, VMB_DEV_SERVICES_THAWED);
}

static bool is_frozen(enum vmb_dev_services_backup_state state)
{
	return state == VMB_DEV_SERVICES_FREEZING || state == VMB_DEV_SERVICES_FROZEN;
}

static enum vmb_dev_services_backup_wish take_wish(struct vmb_dev_service *s)
{
	enum vmb_dev_services_backup_wish wish;

	pthread_mutex_lock(&s->services->lock);
	wish = s->u.backup.wish;
	if (vmb_host_ic_may_ask(&s->ic))
		s->u.backup.wish = VMB_DEV_SERVICES_NOTHING;
	pthread_mutex_unlock(&s->services->lock);
	return wish;
}

static void end_in_time(struct vmb_dev_service *s, const struct vmb_dev_services_now *now)
{
	if (!is_frozen(s->u.backup.state) || now->ns < s->u.backup.thaw_at ||
	    !vmb_host_ic_may_ask(&s->ic))
		return;
	if (!s->u.backup.told)
		vmb_dev_report("the guest was frozen for %u s: thawed", s->u.backup.limit_s);
	s->u.backup.told = true;
	begin_thaw(s);
}

static int64_t tick(struct vmb_dev_service *s, const struct vmb_dev_services_now *now)
{
	enum vmb_dev_services_backup_wish wish = take_wish(s);

	if (wish == VMB_DEV_SERVICES_FREEZE && s->u.backup.state == VMB_DEV_SERVICES_THAWED &&
	    !request(s, VMB_IC_BACKUP_CHECK))
		set_state(s, VMB_DEV_SERVICES_CHECKING);
	if (wish == VMB_DEV_SERVICES_THAW && s->u.backup.state == VMB_DEV_SERVICES_FROZEN)
		begin_thaw(s);
	end_in_time(s, now);
	return s->u.backup.state == VMB_DEV_SERVICES_THAWED && !s->u.backup.wish ?
		       VMB_DEV_SERVICE_NEVER :
		       now->ns + SECOND_NS;
}

const struct vmb_dev_service_ops vmb_dev_service_backup_ops = {
	.name = "backup",
	.type = VMB_IC_BACKUP,
	.type_id = VMB_GUID_BACKUP,
	.instance_id = VMB_GUID_BACKUP_INSTANCE,
	.ready = ready,
	.answered = answered,
	.tick = tick,
};

/* Under the lock. */
static int wish_for(struct vmb_dev_service *s, enum vmb_dev_services_backup_wish wish)
{
	enum vmb_dev_services_backup_state wanted =
		wish == VMB_DEV_SERVICES_FREEZE ? VMB_DEV_SERVICES_THAWED : VMB_DEV_SERVICES_FROZEN;

	if (!s->ready || s->services->paused)
		return -ENOTCONN;
	if (s->u.backup.wish || s->u.backup.state != wanted)
		return -EBUSY;
	s->u.backup.wish = wish;
	vmb_dev_service_nudge(s);
	return 0;
}

int vmb_dev_services_freeze(struct vmb_dev_services *services, uint32_t limit_s)
{
	struct vmb_dev_service *s = vmb_dev_service_find(services, VMB_IC_BACKUP);
	int error = -ENOTCONN;

	if (!s)
		return error;
	pthread_mutex_lock(&services->lock);
	error = wish_for(s, VMB_DEV_SERVICES_FREEZE);
	if (!error)
		s->u.backup.limit_s = limit_s;
	pthread_mutex_unlock(&services->lock);
	return error;
}

int vmb_dev_services_thaw(struct vmb_dev_services *services)
{
	struct vmb_dev_service *s = vmb_dev_service_find(services, VMB_IC_BACKUP);
	int error = -ENOTCONN;

	if (!s)
		return error;
	pthread_mutex_lock(&services->lock);
	error = wish_for(s, VMB_DEV_SERVICES_THAW);
	pthread_mutex_unlock(&services->lock);
	return error;
}

/* Under the lock. */
static int describe(const struct vmb_dev_service *s, enum vmb_dev_services_backup_state *state)
{
	*state = s->u.backup.state;
	if (!s->ready)
		return -ENOTCONN;
	if (s->u.backup.wish ||
	    (*state != VMB_DEV_SERVICES_THAWED && *state != VMB_DEV_SERVICES_FROZEN))
		return -EAGAIN;
	return s->u.backup.status ? -EIO : 0;
}

int vmb_dev_services_backup(struct vmb_dev_services *services,
			    enum vmb_dev_services_backup_state *state)
{
	struct vmb_dev_service *s = vmb_dev_service_find(services, VMB_IC_BACKUP);
	int error;

	*state = VMB_DEV_SERVICES_THAWED;
	if (!s)
		return -ENOTCONN;
	pthread_mutex_lock(&services->lock);
	error = describe(s, state);
	pthread_mutex_unlock(&services->lock);
	return error;
}
