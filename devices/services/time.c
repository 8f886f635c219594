// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tells a guest the time: to set its clock when it begins to listen and when the machine has stood
 * still, as a hint every five seconds otherwise. That the clock of this machine was set is no
 * reason to set the guest's; the hints tell it.
 */
#include "devices/services/services.h"

#define SECOND_NS	  1000000000ll
#define PERIOD_NS	  (5 * SECOND_NS)
#define STILL_NS	  SECOND_NS
#define REFERENCE_UNIT_NS 100

static uint64_t reference_of(struct vmb_dev_machine *machine)
{
	return machine->ops->reference ? machine->ops->reference(machine) : 0;
}

/* How far the time awake is ahead of the guest's counter, which stands still while it sleeps. */
static int64_t ahead_of(const struct vmb_dev_services_now *now, uint64_t reference)
{
	return now->awake_ns - (reference ? (int64_t)(reference * REFERENCE_UNIT_NS) : now->ns);
}

static bool take_wish(struct vmb_dev_service *s)
{
	bool wanted;

	pthread_mutex_lock(&s->services->lock);
	wanted = s->u.time.wanted;
	s->u.time.wanted = false;
	pthread_mutex_unlock(&s->services->lock);
	return wanted;
}

static void ready(struct vmb_dev_service *s, const struct vmb_dev_services_now *now)
{
	s->u.time.synced = false;
}

static int64_t tick(struct vmb_dev_service *s, const struct vmb_dev_services_now *now)
{
	uint64_t reference = reference_of(s->services->machine);
	int64_t ahead = ahead_of(now, reference);
	bool sync;

	if (take_wish(s) || ahead - s->u.time.ahead_ns >= STILL_NS)
		s->u.time.synced = false;
	s->u.time.ahead_ns = ahead;
	sync = !s->u.time.synced;
	if (vmb_host_ic_time(&s->ic, now->utc, reference,
			     sync ? VMB_IC_TIME_SYNC : VMB_IC_TIME_SAMPLE))
		return now->ns + SECOND_NS; /* the last one is not answered */
	s->u.time.synced = true;
	s->u.time.syncs += sync;
	s->u.time.samples += !sync;
	return now->ns + PERIOD_NS;
}

const struct vmb_dev_service_ops vmb_dev_service_time_ops = {
	.name = "time",
	.type = VMB_IC_TIME,
	.type_id = VMB_GUID_TIME,
	.instance_id = VMB_GUID_TIME_INSTANCE,
	.ready = ready,
	.tick = tick,
};
