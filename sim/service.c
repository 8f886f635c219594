// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What somebody wants of the services, and the checker: each request is answered once, and what the
 * host says came of it is what the guest did.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/utf16.h"
#include "sim/sim.h"

#define SECOND_NS   1000000000ll
#define FILE_MAX    20000u
#define PAIR_MAX    100000u
/* The thaw is asked for every second, and a daemon has three to do it. */
#define THAW_WAIT_S 20

static struct vmb_dev_service *service_of(const struct sim_device *d)
{
	return &sim_services(d)->all[0];
}

static bool is_honest(const struct sim_device *d)
{
	return d->sim->config.faults == SIM_FAULTS_NONE;
}

uint64_t sim_service_utc(const struct sim *sim)
{
	return VMB_IC_TIME_UNIX + (uint64_t)sim->now / 100;
}

uint8_t sim_service_byte(uint64_t number, uint64_t at)
{
	return (uint8_t)(number * 31 + at + (at >> 8));
}

/* Wishes */

static int call_pairs(struct sim_device *d, uint32_t arg)
{
	struct sim_service *s = &d->service;

	s->body = (struct vmb_ic_kvp){ .operation = VMB_IC_KVP_ENUMERATE,
				       .pool = VMB_IC_KVP_AUTO,
				       .u.enumerate.index = arg % PAIR_MAX };
	s->call = (struct vmb_dev_service_call){ .body = &s->body,
						 .body_len = sizeof(s->body),
						 .answer = &s->reply,
						 .answer_len = sizeof(s->reply) };
	return vmb_dev_services_ask(sim_services(d), VMB_IC_KVP, &s->call);
}

static int call_backup(struct sim_device *d, uint32_t arg)
{
	return arg % 2 ? vmb_dev_services_freeze(sim_services(d), SIM_FREEZE_S) :
			 vmb_dev_services_thaw(sim_services(d));
}

static int call_copy(struct sim_device *d, uint32_t arg)
{
	uint32_t len = arg % FILE_MAX;
	uint8_t bytes[FILE_MAX];
	int fd = memfd_create("file", MFD_CLOEXEC), error = -EIO;

	for (uint32_t i = 0; i < len; i++)
		bytes[i] = sim_service_byte(d->service.number + 1, i);
	if (fd >= 0 && write(fd, bytes, len) == (ssize_t)len)
		error = vmb_dev_services_copy(sim_services(d), fd, len, "/", "file",
					      VMB_IC_COPY_OVERWRITE);
	if (error && fd >= 0)
		close(fd);
	return error;
}

static int call(struct sim_device *d, uint32_t arg)
{
	switch (d->config->service) {
	case VMB_IC_SHUTDOWN:
		return vmb_dev_services_shutdown(sim_services(d), VMB_IC_SHUTDOWN_OFF, 30);
	case VMB_IC_KVP: return call_pairs(d, arg);
	case VMB_IC_BACKUP: return call_backup(d, arg);
	case VMB_IC_COPY: return call_copy(d, arg);
	default: return -EOPNOTSUPP;
	}
}

bool sim_service_call(struct sim_device *d, uint32_t arg)
{
	if (d->service.asked || call(d, arg))
		return false;
	d->service.asked = d->config->service != VMB_IC_BACKUP;
	d->service.number = d->config->service == VMB_IC_COPY ? d->service.number + 1 : arg;
	d->awake = true;
	sim_say(d->sim, "somebody asks service %lu for something (%lu)", d->number, arg, 0);
	return true;
}

/* What came of them */

static void wrong(struct sim_device *d, const char *text, uint64_t was)
{
	if (is_honest(d))
		sim_fail(d->sim, text, d->number, d->service.number, was);
}

static bool is_expected_pair(const struct sim_service *s)
{
	const struct vmb_ic_kvp_value *v = &s->reply.u.enumerate.value;
	char text[24], wanted[24];
	uint32_t len = v->value_len;

	snprintf(wanted, sizeof(wanted), "%u", (unsigned int)(s->number % PAIR_MAX));
	vmb_utf16_to_utf8(text, sizeof(text), v->value, len < sizeof(v->value) ? len : 0);
	return strcmp(text, wanted) == 0;
}

static bool look_at_pairs(struct sim_device *d)
{
	struct sim_service *s = &d->service;

	if (!vmb_dev_services_asked(sim_services(d), &s->call))
		return false;
	if (!s->call.error && (s->call.status || !is_expected_pair(s)))
		wrong(d, "WRONG ANSWER: service %lu gives another pair than %lu (status %lx)",
		      s->call.status);
	return true;
}

static bool look_at_shutdown(struct sim_device *d)
{
	int error = vmb_dev_services_shutdown_answer(sim_services(d));

	if (error == -EAGAIN)
		return false;
	if ((!error && d->service.status) || (error == -EIO && !d->service.status))
		wrong(d, "WRONG ANSWER: service %lu, request %lu: the guest said %lx",
		      d->service.status);
	return true;
}

static bool look_at_copy(struct sim_device *d)
{
	uint64_t offset;
	int error = vmb_dev_services_copied(sim_services(d), &offset);

	if (error == -EAGAIN)
		return false;
	if (!error && !d->service.file_complete)
		wrong(d,
		      "WRONG END: service %lu has copied file %lu, of which the guest has %lu "
		      "bytes",
		      d->service.file_len);
	return true;
}

void sim_service_look(struct sim_device *d)
{
	bool over = false;

	d->good = service_of(d)->ic.answers;
	if (!d->service.asked)
		return;
	switch (d->config->service) {
	case VMB_IC_SHUTDOWN: over = look_at_shutdown(d); break;
	case VMB_IC_KVP: over = look_at_pairs(d); break;
	default: over = look_at_copy(d);
	}
	d->service.asked = !over;
	if (over)
		sim_say(d->sim, "  what service %lu was asked for is over", d->number, 0, 0);
}

/* Counting */

void sim_service_asked(struct sim_device *d, bool negotiation)
{
	struct sim_service *s = &d->service;
	const struct vmb_host_ic *ic = &service_of(d)->ic;

	s->read += !negotiation;
	if (!negotiation)
		return;
	s->counting = true;
	s->requests_before = ic->requests;
	s->answers_before = ic->answers;
	s->read = s->answered = 0;
	s->sequence = 0;
}

void sim_service_answered(struct sim_device *d)
{
	d->service.answered++;
}

void sim_service_check(struct sim_device *d)
{
	const struct sim_service *s = &d->service;
	const struct vmb_host_ic *ic = &service_of(d)->ic;

	if (!s->counting || !is_honest(d))
		return;
	if (service_of(d)->broken)
		sim_fail(d->sim, "BROKEN: service %lu finds that its guest breaks the protocol",
			 d->number, 0, 0);
	if (s->read > ic->requests - s->requests_before)
		sim_fail(d->sim, "TWO REQUESTS: service %lu made %lu, and the guest has read %lu",
			 d->number, ic->requests - s->requests_before, s->read);
	if (ic->answers - s->answers_before > s->answered)
		sim_fail(d->sim, "TWO ANSWERS: service %lu has %lu, and the guest gave %lu",
			 d->number, ic->answers - s->answers_before, s->answered);
}

static void check_backup(struct sim_device *d)
{
	enum vmb_dev_services_backup_state state;
	const struct sim_service *s = &d->service;
	int error = vmb_dev_services_backup(sim_services(d), &state);

	if (!error && s->frozen != (state == VMB_DEV_SERVICES_FROZEN))
		sim_fail(d->sim,
			 s->frozen ? "WRONG END: service %lu says thawed, and the guest is frozen" :
				     "WRONG END: service %lu says frozen, and the guest is not",
			 d->number, 0, 0);
	if (s->frozen && d->sim->now - s->frozen_since > (SIM_FREEZE_S + THAW_WAIT_S) * SECOND_NS)
		sim_fail(d->sim, "STAYS FROZEN: the guest is frozen for %lu s",
			 (unsigned long)((d->sim->now - s->frozen_since) / SECOND_NS), 0, 0);
}

void sim_service_check_rest(struct sim_device *d)
{
	const struct sim_service *s = &d->service;
	const struct vmb_host_ic *ic = &service_of(d)->ic;

	sim_service_look(d);
	if (!s->counting || !service_of(d)->open)
		return;
	if (ic->requests - s->requests_before != s->read ||
	    ic->answers - s->answers_before != s->answered || s->read != s->answered)
		sim_fail(d->sim, "NO END: all rest; service %lu: the guest read %lu, answered %lu",
			 d->number, s->read, s->answered);
	if (s->asked)
		sim_fail(d->sim, "NO END: all rest, and what service %lu was asked for is not over",
			 d->number, 0, 0);
	if (d->config->service == VMB_IC_BACKUP)
		check_backup(d);
}
