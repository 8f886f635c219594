// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Serves the integration services: moves packets between their channels and the rows of the
 * services, on one worker, and hands over what other threads ask for.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devices/channel.h"
#include "devices/report.h"
#include "devices/services/services.h"

#define READ_BUDGET  16u /* packets of a channel; a sound guest has sent one at most */
#define PAYLOAD_AT   sizeof(struct vmb_pkt_desc)
#define UTC_UNIT_NS  100
#define SECOND_NS    1000000000ll
#define ROOM_POLL_MS 10 /* for guests that never promised to signal when there is room */

static const struct vmb_dev_service_ops *const rows[] = {
	&vmb_dev_service_shutdown_ops, &vmb_dev_service_heartbeat_ops, &vmb_dev_service_time_ops,
	&vmb_dev_service_kvp_ops,      &vmb_dev_service_backup_ops,    &vmb_dev_service_copy_ops,
};
_Static_assert(VMB_ARRAY_COUNT(rows) == VMB_DEV_SERVICE_COUNT, "a place for each row");

static int64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * SECOND_NS + now.tv_nsec;
}

struct vmb_dev_services_now vmb_dev_services_now(const struct vmb_dev_services *services)
{
	struct vmb_dev_services_now now;

	if (services->config.clock) {
		services->config.clock(&now);
		return now;
	}
	now.ns = read_clock(CLOCK_MONOTONIC);
	now.awake_ns = read_clock(CLOCK_BOOTTIME);
	now.utc = VMB_IC_TIME_UNIX + (uint64_t)(read_clock(CLOCK_REALTIME) / UTC_UNIT_NS);
	return now;
}

/* Calls of other threads, under the lock */

static void end_call(struct vmb_dev_service *s, int error)
{
	if (!s->call)
		return;
	s->call->state = VMB_DEV_SERVICE_CALL_DONE;
	s->call->error = error;
	s->call = NULL;
	pthread_cond_broadcast(&s->services->changed);
}

int vmb_dev_service_call(struct vmb_dev_service *s, struct vmb_dev_service_call *call)
{
	if (!s->ready || s->services->paused)
		return -ENOTCONN;
	if (s->call)
		return -EBUSY;
	call->state = VMB_DEV_SERVICE_CALL_QUEUED;
	s->call = call;
	vmb_dev_worker_wake(&s->services->worker);
	return 0;
}

void vmb_dev_service_withdraw(struct vmb_dev_service *s, struct vmb_dev_service_call *call)
{
	if (s->call == call)
		s->call = NULL;
}

int vmb_dev_services_ask(struct vmb_dev_services *services, enum vmb_ic_type type,
			 struct vmb_dev_service_call *call)
{
	struct vmb_dev_service *s = vmb_dev_service_find(services, type);
	int error;

	if (!s)
		return -ENOTCONN;
	pthread_mutex_lock(&services->lock);
	error = vmb_dev_service_call(s, call);
	pthread_mutex_unlock(&services->lock);
	return error;
}

bool vmb_dev_services_asked(struct vmb_dev_services *services,
			    const struct vmb_dev_service_call *call)
{
	bool done;

	pthread_mutex_lock(&services->lock);
	done = call->state == VMB_DEV_SERVICE_CALL_DONE;
	pthread_mutex_unlock(&services->lock);
	return done;
}

void vmb_dev_services_withdraw(struct vmb_dev_services *services, enum vmb_ic_type type,
			       struct vmb_dev_service_call *call)
{
	struct vmb_dev_service *s = vmb_dev_service_find(services, type);

	if (!s)
		return;
	pthread_mutex_lock(&services->lock);
	vmb_dev_service_withdraw(s, call);
	pthread_mutex_unlock(&services->lock);
}

void vmb_dev_service_nudge(struct vmb_dev_service *s)
{
	s->nudged = true;
	vmb_dev_worker_wake(&s->services->worker);
}

static void set_ready(struct vmb_dev_service *s, bool ready)
{
	pthread_mutex_lock(&s->services->lock);
	s->ready = ready;
	s->version = ready ? vmb_ic_version_number(&s->ic.message) : 0;
	if (!ready)
		end_call(s, -ENOTCONN);
	pthread_mutex_unlock(&s->services->lock);
}

/* Turns a call into a request, when none is under way. */
static void send_call(struct vmb_dev_service *s)
{
	pthread_mutex_lock(&s->services->lock);
	if (s->call && s->call->state == VMB_DEV_SERVICE_CALL_QUEUED &&
	    !vmb_host_ic_request(&s->ic, s->call->body, s->call->body_len))
		s->call->state = VMB_DEV_SERVICE_CALL_SENT;
	pthread_mutex_unlock(&s->services->lock);
}

/* Returns whether the answer was a call's. */
static bool answer_call(struct vmb_dev_service *s, const struct vmb_host_ic_answer *answer)
{
	struct vmb_dev_service_call *call;
	bool sent;

	pthread_mutex_lock(&s->services->lock);
	call = s->call;
	sent = call && call->state == VMB_DEV_SERVICE_CALL_SENT;
	if (sent) {
		call->status = answer->status;
		if (call->answer_len > answer->body_len)
			call->answer_len = answer->body_len;
		if (call->answer)
			memcpy(call->answer, answer->body, call->answer_len);
		end_call(s, 0);
	}
	pthread_mutex_unlock(&s->services->lock);
	return sent;
}

/* The rings */

static bool has_tick(const struct vmb_dev_service *s)
{
	return s->ops->tick;
}

static void fail(struct vmb_dev_service *s)
{
	s->broken = true;
	set_ready(s, false);
	if (vmb_dev_report_due(&s->report_due))
		vmb_dev_report("the guest broke the protocol of the service '%s', which it has no "
			       "more until it opens the channel again",
			       s->ops->name);
}

static void take_step(struct vmb_dev_service *s, int step, const struct vmb_host_ic_answer *answer,
		      const struct vmb_dev_services_now *now)
{
	if (step == VMB_HOST_IC_READY) {
		s->due = has_tick(s) ? now->ns : VMB_DEV_SERVICE_NEVER;
		if (s->ops->ready)
			s->ops->ready(s, now);
		set_ready(s, true); /* last: others may ask from here on */
	} else if (step == VMB_HOST_IC_ANSWERED) {
		if (!answer_call(s, answer) && s->ops->answered)
			s->ops->answered(s, now, answer);
	} else if (step == VMB_HOST_IC_REFUSED) {
		if (vmb_dev_report_due(&s->report_due))
			vmb_dev_report("the guest knows no version of the service '%s' that this "
				       "host has",
				       s->ops->name);
	} else {
		fail(s);
	}
}

/* A service while its ring is read. */
struct turn {
	struct vmb_dev_service *service;
	const struct vmb_dev_services_now *now;
};

static bool wants_packet(const void *arg)
{
	const struct turn *turn = arg;

	return !turn->service->broken;
}

static void take_packet(void *arg, const struct vmb_ring_received *received)
{
	const struct turn *turn = arg;
	struct vmb_dev_service *s = turn->service;
	uint8_t payload[VMB_IC_PACKET_LEN_MAX];
	struct vmb_host_ic_answer answer;

	if (received->type != VMB_PKT_INBAND || received->header_len ||
	    received->payload_len > sizeof(payload) ||
	    !vmb_ring_copy(&s->channel.rx, received, PAYLOAD_AT, payload, received->payload_len))
		fail(s);
	else
		take_step(s, vmb_host_ic_input(&s->ic, payload, received->payload_len, &answer),
			  &answer, turn->now);
}

static const struct vmb_dev_channel_reader reader = { .wants = wants_packet, .take = take_packet };

static void read_ring(struct vmb_dev_service *s, const struct vmb_dev_services_now *now)
{
	struct turn turn = { s, now };
	enum vmb_dev_channel_rest rest =
		vmb_dev_channel_read_ring(&s->channel, READ_BUDGET, &reader, &turn);

	if (rest == VMB_DEV_CHANNEL_BROKEN)
		fail(s);
	s->more = !s->broken && rest == VMB_DEV_CHANNEL_MORE;
}

static void write_ring(struct vmb_dev_service *s)
{
	const void *message;
	uint32_t len;
	int error;

	s->full = false;
	message = vmb_host_ic_output(&s->ic, &len);
	if (!message || s->broken)
		return;
	error = vmb_dev_channel_write_inband(&s->channel, message, len);
	if (!error)
		vmb_host_ic_output_done(&s->ic);
	else if (error != VMB_EAGAIN)
		fail(s);
	s->full = error == VMB_EAGAIN;
	if (vmb_ring_commit(&s->channel.tx))
		vmb_dev_bus_signal(&s->channel);
}

/* Opening and closing: the bus orders, the worker carries it out. */

static void begin_open(struct vmb_dev_service *s)
{
	s->open = true;
	s->broken = s->full = false;
	s->more = true; /* the guest may have filled the ring before it opened the channel */
	s->due = VMB_DEV_SERVICE_NEVER;
	vmb_host_ic_reset(&s->ic);
}

static bool take_orders(struct vmb_dev_service *s)
{
	uint32_t orders = vmb_dev_channel_take_orders(&s->channel);

	if (orders & VMB_DEV_ORDER_OPEN)
		begin_open(s);
	if (!(orders & VMB_DEV_ORDER_CLOSE))
		return orders;
	s->open = false;
	set_ready(s, false);
	vmb_dev_bus_stopped(&s->channel);
	return true;
}

/* The device's step */

/* Only the worker changes these. */
static bool is_served(const struct vmb_dev_service *s)
{
	return s->open && s->ready && !s->broken;
}

static void tick(struct vmb_dev_service *s, const struct vmb_dev_services_now *now)
{
	if (is_served(s) && has_tick(s) && now->ns >= s->due)
		s->due = s->ops->tick(s, now);
}

static bool serve(struct vmb_dev_service *s, const struct vmb_dev_services_now *now)
{
	bool any;

	if (!s->looked_at)
		return false;
	any = take_orders(s);
	if (!s->open)
		return any;
	if ((vmb_dev_channel_rang(&s->channel) || s->more) && !s->broken)
		read_ring(s, now);
	send_call(s);
	tick(s, now);
	write_ring(s);
	return s->more || any;
}

/*
 * Nothing is due while the machine stands still, and all that was nudged afterwards. What leaves is
 * not looked at from now on.
 */
static void take_nudges(struct vmb_dev_services *services)
{
	pthread_mutex_lock(&services->lock);
	for (uint32_t i = 0; i < services->count; i++) {
		struct vmb_dev_service *s = &services->all[i];

		if (s->served && s->leaving) {
			s->served = false;
			pthread_cond_broadcast(&services->changed);
		}
		s->looked_at = s->served;
		if (services->paused)
			s->due = VMB_DEV_SERVICE_NEVER;
		else if (s->nudged && has_tick(s))
			s->due = 0;
		s->nudged &= services->paused;
	}
	pthread_mutex_unlock(&services->lock);
}

static bool step(void *state)
{
	struct vmb_dev_services *services = state;
	struct vmb_dev_services_now now = vmb_dev_services_now(services);
	bool more = false;

	vmb_dev_worker_heard(&services->worker);
	take_nudges(services);
	for (uint32_t i = 0; i < services->count; i++)
		more |= serve(&services->all[i], &now);
	return more;
}

/* Until the next tick; never: -1. */
static int wait_ms(const struct vmb_dev_services *services)
{
	int64_t now = vmb_dev_services_now(services).ns, due = VMB_DEV_SERVICE_NEVER;

	for (uint32_t i = 0; i < services->count; i++) {
		const struct vmb_dev_service *s = &services->all[i];

		if (!s->looked_at)
			continue;
		if (is_served(s) && s->due < due)
			due = s->due;
		if (s->open && s->full && !vmb_ring_peer_signals_room(&s->channel.rx))
			return ROOM_POLL_MS;
	}
	if (due == VMB_DEV_SERVICE_NEVER)
		return -1;
	return due > now ? (int)((due - now) / 1000000) + 1 : 0;
}

static void wait(void *state, bool more)
{
	struct vmb_dev_services *services = state;
	struct vmb_dev_bell *bells[VMB_DEV_SERVICE_COUNT];
	uint32_t count = 0;

	for (uint32_t i = 0; i < services->count; i++)
		if (services->all[i].looked_at)
			bells[count++] = &services->all[i].channel.bell;
	vmb_dev_worker_poll(&services->worker, bells, count, more ? 0 : wait_ms(services));
}

static const struct vmb_dev_worker_ops worker_ops = { .step = step,
						      .wait = wait,
						      .role = VMB_DEV_ROLE_SERVICES };

/* Life */

static int prepare(void *state)
{
	return 0;
}

static void released(struct vmb_dev_channel *channel)
{
	struct vmb_dev_service *s = channel->device;

	__atomic_store_n(&s->released, true, __ATOMIC_RELEASE);
}

static const struct vmb_dev_channel_ops channel_ops = { .start = vmb_dev_channel_order_open,
							.stop = vmb_dev_channel_order_close,
							.released = released };

static void fill_channel(struct vmb_dev_service *s)
{
	const uint32_t mode = VMB_PIPE_MODE_MESSAGE;

	memset(&s->channel, 0, sizeof(s->channel));
	s->channel.ops = &channel_ops;
	s->channel.worker = &s->services->worker;
	s->channel.device = s;
	s->channel.host.type_id = s->ops->type_id;
	s->channel.host.instance_id = s->ops->instance_id;
	s->channel.host.flags = VMB_OFFER_FLAG_ENUMERATE | VMB_OFFER_FLAG_NAMED_PIPE;
	memcpy(s->channel.host.user, &mode, sizeof(mode));
}

static void begin(struct vmb_dev_services *services, const struct vmb_dev_service_ops *row)
{
	struct vmb_dev_service *s = &services->all[services->count++];

	s->ops = row;
	s->services = services;
	vmb_host_ic_init(&s->ic, row->type, services->config.bus_version);
}

static void set_served(struct vmb_dev_service *s, bool served)
{
	pthread_mutex_lock(&s->services->lock);
	if (served)
		memset(&s->u, 0, sizeof(s->u));
	s->served = served;
	s->leaving = false;
	pthread_mutex_unlock(&s->services->lock);
}

static int attach_one(struct vmb_dev_service *s, struct vmb_dev_bus *bus)
{
	int error;

	s->open = false;
	s->released = false;
	fill_channel(s);
	error = vmb_dev_bus_attach(bus, &s->channel);
	s->attached = !error;
	if (!error)
		set_served(s, true);
	return error;
}

static void detach_one(struct vmb_dev_service *s)
{
	if (!s->attached)
		return;
	set_served(s, false);
	vmb_dev_bus_detach(&s->channel);
	s->attached = false;
}

static int attach(void *state, struct vmb_dev_bus *bus)
{
	struct vmb_dev_services *services = state;
	int error = 0;

	services->machine = bus->machine;
	services->paused = false;
	for (uint32_t i = 0; i < services->count && !error; i++)
		error = attach_one(&services->all[i], bus);
	if (error || bus->config.stepped)
		return error;
	error = vmb_dev_worker_start(&services->worker);
	if (error)
		vmb_dev_report("services: no thread: %s", strerror(-error));
	return error;
}

static void detach(void *state)
{
	struct vmb_dev_services *services = state;

	vmb_dev_worker_stop(&services->worker);
	for (uint32_t i = 0; i < services->count; i++)
		detach_one(&services->all[i]);
}

static void report_one(const struct vmb_dev_service *s)
{
	const struct vmb_ic_version *version = &s->ic.message;

	vmb_dev_report("stats: service %s: version %u.%u, %" PRIu64 " requests, %" PRIu64
		       " answers%s",
		       s->ops->name, version->major, version->minor, s->ic.requests, s->ic.answers,
		       s->broken ? ", broken by the guest" : "");
}

static void report(const void *state)
{
	const struct vmb_dev_services *services = state;

	for (uint32_t i = 0; i < services->count; i++)
		report_one(&services->all[i]);
}

static void shut(void *state)
{
	struct vmb_dev_services *services = state;

	detach(services);
	if (services->copy.fd >= 0)
		close(services->copy.fd);
	pthread_cond_destroy(&services->changed);
	pthread_mutex_destroy(&services->lock);
	free(services);
}

static const struct vmb_dev_device_ops ops = { .prepare = prepare,
					       .attach = attach,
					       .detach = detach,
					       .step = step,
					       .report = report,
					       .close = shut };

int vmb_dev_services_open(struct vmb_dev_device *device,
			  const struct vmb_dev_services_config *config)
{
	struct vmb_dev_services *services = calloc(1, sizeof(*services));

	if (!services) {
		vmb_dev_report("services: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	services->config = *config;
	services->copy.fd = -1;
	vmb_dev_worker_init(&services->worker, &worker_ops, services);
	pthread_mutex_init(&services->lock, NULL);
	pthread_cond_init(&services->changed, NULL);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(rows); i++)
		if (config->offered & VMB_DEV_SERVICES_BIT(rows[i]->type) &&
		    vmb_host_ic_exists(rows[i]->type, config->bus_version))
			begin(services, rows[i]);
	*device = (struct vmb_dev_device){ &ops, services };
	return 0;
}

/* One service as a device, which the others serve. */

static int attach_part(void *state, struct vmb_dev_bus *bus)
{
	struct vmb_dev_service *s = state;
	int error = s->attached ? 0 : attach_one(s, bus);

	vmb_dev_worker_wake(&s->services->worker);
	return error;
}

/* The worker serves the others meanwhile: it must have seen that this one leaves. */
static void detach_part(void *state)
{
	struct vmb_dev_service *s = state;

	if (!s->attached)
		return;
	pthread_mutex_lock(&s->services->lock);
	s->leaving = true;
	vmb_dev_worker_wake(&s->services->worker);
	while (s->served && s->services->worker.started)
		pthread_cond_wait(&s->services->changed, &s->services->lock);
	pthread_mutex_unlock(&s->services->lock);
	detach_one(s);
}

static bool step_part(void *state)
{
	return false;
}

static void report_part(const void *state)
{
}

/* All services may be closed already. */
static void close_part(void *state)
{
}

static struct vmb_dev_channel *channel_of_part(void *state)
{
	return &((struct vmb_dev_service *)state)->channel;
}

static bool is_released(const void *state)
{
	return __atomic_load_n(&((const struct vmb_dev_service *)state)->released,
			       __ATOMIC_ACQUIRE);
}

static const char *name_of_part(const void *state)
{
	return ((const struct vmb_dev_service *)state)->ops->name;
}

static const struct vmb_dev_device_ops part_ops = { .prepare = prepare,
						    .attach = attach_part,
						    .detach = detach_part,
						    .step = step_part,
						    .report = report_part,
						    .close = close_part,
						    .channel = channel_of_part,
						    .released = is_released,
						    .name = name_of_part };

bool vmb_dev_services_part(struct vmb_dev_device *device, struct vmb_dev_services *services,
			   uint32_t i)
{
	if (i >= services->count)
		return false;
	*device = (struct vmb_dev_device){ &part_ops, &services->all[i] };
	return true;
}

struct vmb_dev_services *vmb_dev_services_of(const struct vmb_dev_device *device)
{
	return device->ops == &ops ? device->state : NULL;
}

struct vmb_dev_service *vmb_dev_service_find(struct vmb_dev_services *services,
					     enum vmb_ic_type type)
{
	for (uint32_t i = 0; i < services->count; i++)
		if (services->all[i].ops->type == type)
			return &services->all[i];
	return NULL;
}

static void forgive(struct vmb_dev_services *services)
{
	struct vmb_dev_service *heartbeat = vmb_dev_service_find(services, VMB_IC_HEARTBEAT);
	struct vmb_dev_service *time = vmb_dev_service_find(services, VMB_IC_TIME);

	if (heartbeat)
		heartbeat->u.heartbeat.forgiven = true;
	if (time)
		time->u.time.wanted = true;
	for (uint32_t i = 0; i < services->count; i++)
		vmb_dev_service_nudge(&services->all[i]);
}

void vmb_dev_services_pause(struct vmb_dev_services *services, bool on)
{
	pthread_mutex_lock(&services->lock);
	if (services->paused && !on)
		forgive(services);
	services->paused = on;
	pthread_mutex_unlock(&services->lock);
	vmb_dev_worker_wake(&services->worker);
}

static bool is_name(const char *name, const char *given, size_t len)
{
	return strlen(name) == len && strncmp(name, given, len) == 0;
}

static bool parse_name(const char *name, size_t len, uint32_t *offered)
{
	if (is_name("memory", name, len)) {
		*offered |= VMB_DEV_SERVICES_MEMORY;
		return true;
	}
	for (size_t i = 0; i < VMB_ARRAY_COUNT(rows); i++) {
		if (!is_name(rows[i]->name, name, len))
			continue;
		*offered |= VMB_DEV_SERVICES_BIT(rows[i]->type);
		return true;
	}
	return false;
}

bool vmb_dev_services_parse(const char *list, uint32_t *offered)
{
	size_t len;

	*offered = strcmp(list, "all") == 0 ? VMB_DEV_SERVICES_ALL : 0;
	if (*offered || strcmp(list, "none") == 0)
		return true;
	for (;; list += len + 1) {
		len = strcspn(list, ",");
		if (!parse_name(list, len, offered))
			return false;
		if (!list[len])
			return true;
	}
}
