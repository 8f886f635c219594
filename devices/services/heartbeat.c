// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Sends a heartbeat every two seconds and says when a guest stops to answer: one line, and with
 * --watchdog the machine is told. A guest that never answered one is not watched, nor one that
 * closed the channel: it may be without drivers, or on its way into another kernel.
 */
#include <inttypes.h>

#include "devices/report.h"
#include "devices/services/services.h"

#define SECOND_NS 1000000000ll
#define PERIOD_NS (2 * SECOND_NS)
#define LOST_S	  30u /* a busy machine may need some */

static uint32_t seconds(int64_t ns)
{
	return (uint32_t)(ns / SECOND_NS);
}

static void tell(struct vmb_dev_service *s, bool lost, uint32_t seconds)
{
	struct vmb_dev_machine *machine = s->services->machine;

	if (lost)
		vmb_dev_report("the guest has not answered a heartbeat for %u s", seconds);
	else
		vmb_dev_report("the guest answers heartbeats again, after %u s", seconds);
	if (machine->ops->heartbeat)
		machine->ops->heartbeat(machine, lost, seconds);
}

/* Seconds without an answer until a line says so. */
static uint32_t lost_s(const struct vmb_dev_service *s)
{
	uint32_t watchdog = s->services->config.watchdog_s;

	return watchdog && watchdog < LOST_S ? watchdog : LOST_S;
}

static void ready(struct vmb_dev_service *s, const struct vmb_dev_services_now *now)
{
	pthread_mutex_lock(&s->services->lock);
	s->u.heartbeat.answered_at = 0;
	s->u.heartbeat.lost = s->u.heartbeat.told = false;
	pthread_mutex_unlock(&s->services->lock);
}

static void answered(struct vmb_dev_service *s, const struct vmb_dev_services_now *now,
		     const struct vmb_host_ic_answer *answer)
{
	int64_t before = s->u.heartbeat.answered_at;

	if (!vmb_host_ic_beat_answered(&s->ic, answer))
		return;
	if (s->u.heartbeat.lost)
		tell(s, false, seconds(now->ns - before));
	pthread_mutex_lock(&s->services->lock);
	s->u.heartbeat.answered_at = now->ns;
	s->u.heartbeat.answered++;
	s->u.heartbeat.lost = s->u.heartbeat.told = false;
	pthread_mutex_unlock(&s->services->lock);
}

/* The machine stood still: what the guest did not answer meanwhile does not count. */
static void forgive(struct vmb_dev_service *s, const struct vmb_dev_services_now *now)
{
	pthread_mutex_lock(&s->services->lock);
	if (s->u.heartbeat.forgiven && s->u.heartbeat.answered_at)
		s->u.heartbeat.answered_at = now->ns;
	s->u.heartbeat.forgiven = false;
	pthread_mutex_unlock(&s->services->lock);
}

static void look(struct vmb_dev_service *s, const struct vmb_dev_services_now *now)
{
	struct vmb_dev_machine *machine = s->services->machine;
	uint32_t watchdog = s->services->config.watchdog_s;
	uint32_t silent = seconds(now->ns - s->u.heartbeat.answered_at);

	if (!s->u.heartbeat.answered_at)
		return;
	if (!s->u.heartbeat.lost && silent >= lost_s(s)) {
		s->u.heartbeat.lost = true;
		tell(s, true, silent);
	}
	if (!watchdog || s->u.heartbeat.told || silent < watchdog)
		return;
	s->u.heartbeat.told = true;
	if (machine->ops->hung)
		machine->ops->hung(machine);
}

static int64_t tick(struct vmb_dev_service *s, const struct vmb_dev_services_now *now)
{
	forgive(s, now);
	look(s, now);
	vmb_host_ic_beat(&s->ic); /* refused while the last one is not answered */
	return now->ns + PERIOD_NS;
}

const struct vmb_dev_service_ops vmb_dev_service_heartbeat_ops = {
	.name = "heartbeat",
	.type = VMB_IC_HEARTBEAT,
	.type_id = VMB_GUID_HEARTBEAT,
	.instance_id = VMB_GUID_HEARTBEAT_INSTANCE,
	.ready = ready,
	.answered = answered,
	.tick = tick,
};

/* Under the lock. */
static void describe(const struct vmb_dev_service *s, int64_t now,
		     struct vmb_dev_services_heartbeat *heartbeat)
{
	int64_t at = s->u.heartbeat.answered_at;

	heartbeat->answered = s->u.heartbeat.answered;
	if (!s->ready || !at)
		return;
	heartbeat->since_ms = (uint32_t)((now - at) / 1000000);
	heartbeat->health = now - at >= lost_s(s) * SECOND_NS ? VMB_DEV_SERVICES_LOST :
								VMB_DEV_SERVICES_ALIVE;
}

struct vmb_dev_services_heartbeat vmb_dev_services_heartbeat(struct vmb_dev_services *services)
{
	struct vmb_dev_service *s = vmb_dev_service_find(services, VMB_IC_HEARTBEAT);
	struct vmb_dev_services_heartbeat heartbeat = { 0 };

	if (!s)
		return heartbeat;
	pthread_mutex_lock(&services->lock);
	describe(s, vmb_dev_services_now(services).ns, &heartbeat);
	pthread_mutex_unlock(&services->lock);
	return heartbeat;
}
