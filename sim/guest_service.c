// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The guest's services: each answers one request at a time, most at once, some when a daemon gets
 * to it. What it does is what the checker of sim/service.c asks about.
 */
#include <stdlib.h>
#include <string.h>

#include "base/utf16.h"
#include "guest/ic_kvp.h"
#include "sim/sim.h"

#define DAEMON_NS 3000000000ll

static bool alloc_service(struct sim_channel *ch, const struct vmb_msg_offer *offer)
{
	ch->answer = calloc(1, sizeof(*ch->answer));
	return ch->answer;
}

static void free_service(struct sim_channel *ch)
{
	free(ch->answer);
}

static void prepare(struct sim_channel *ch)
{
	vmb_guest_ic_init(&ch->answer->ic, ch->device->config->service);
	ch->answer->len = 0;
	ch->device->service.counting = false;
}

static void begin(struct sim_channel *ch)
{
}

/* What requests ask for. Each returns the status of the answer. */

static bool is_honest(const struct sim_channel *ch)
{
	return ch->guest->sim->config.faults == SIM_FAULTS_NONE;
}

static uint32_t beat(struct sim_channel *ch, const struct vmb_guest_ic_request *request)
{
	struct sim_service *s = &ch->device->service;
	uint64_t sequence;

	memcpy(&sequence, request->body, sizeof(sequence));
	if (is_honest(ch) && sequence <= s->sequence)
		sim_fail(ch->guest->sim, "WRONG BEAT: heartbeat %lu comes after %lu", sequence,
			 s->sequence, 0);
	s->sequence = sequence;
	return vmb_guest_ic_beat(request) ? VMB_IC_FAIL : VMB_IC_OK;
}

static uint32_t set_clock(struct sim_channel *ch, const struct vmb_guest_ic_request *request)
{
	struct sim *sim = ch->guest->sim;
	struct vmb_guest_ic_time time;
	uint64_t at;

	if (vmb_guest_ic_time(&ch->answer->ic, request, &time))
		return VMB_IC_FAIL;
	at = vmb_guest_ic_time_at(&time, (uint64_t)sim->now / 100);
	if (is_honest(ch) && time.reference && at != sim_service_utc(sim))
		sim_fail(sim, "WRONG TIME: the guest is told that it is %lu, and it is %lu", at,
			 sim_service_utc(sim), 0);
	return VMB_IC_OK;
}

static uint32_t shut_down(struct sim_channel *ch, const struct vmb_guest_ic_request *request)
{
	struct sim_service *s = &ch->device->service;
	bool can = vmb_guest_ic_shutdown(request) == VMB_IC_SHUTDOWN_OFF && s->number % 4;

	s->status = can ? VMB_IC_OK : VMB_IC_FAIL;
	return s->status;
}

static uint32_t give_pair(struct sim_channel *ch, const struct vmb_guest_ic_request *request)
{
	struct vmb_guest_ic_kvp kvp;
	char value[24];

	if (vmb_guest_ic_kvp(request, &kvp) || kvp.operation != VMB_IC_KVP_ENUMERATE)
		return VMB_IC_INVALID_ARGUMENT;
	snprintf(value, sizeof(value), "%u", kvp.index);
	return vmb_guest_ic_kvp_answer(request, "key", value) ? VMB_IC_FAIL : VMB_IC_OK;
}

static uint32_t freeze(struct sim_channel *ch, const struct vmb_guest_ic_request *request)
{
	struct sim_service *s = &ch->device->service;
	int operation = vmb_guest_ic_backup(request);

	if (operation == VMB_IC_BACKUP_FREEZE) {
		s->frozen = true;
		s->frozen_since = ch->guest->sim->now;
		sim_say(ch->guest->sim, "  the guest's file systems are FROZEN", 0, 0, 0);
	} else if (operation == VMB_IC_BACKUP_THAW) {
		s->frozen = false;
		sim_say(ch->guest->sim, "  the guest's file systems are thawed", 0, 0, 0);
	}
	return VMB_IC_OK;
}

static uint32_t write_file(struct sim_channel *ch, const struct vmb_ic_copy_write *write)
{
	struct sim_service *s = &ch->device->service;

	if (write->offset != s->file_len && is_honest(ch))
		sim_fail(ch->guest->sim, "WRONG FILE: bytes at %lu come after %lu bytes",
			 write->offset, s->file_len, 0);
	for (uint32_t i = 0; i < write->len && i < sizeof(write->data) && is_honest(ch); i++)
		if (write->data[i] != sim_service_byte(s->number, write->offset + i)) {
			sim_fail(ch->guest->sim, "WRONG FILE: byte %lu of file %lu",
				 write->offset + i, s->number, 0);
			break;
		}
	s->file_len = write->offset + write->len;
	return s->number % 8 == 7 ? VMB_IC_DISK_FULL : VMB_IC_OK;
}

static uint32_t copy(struct sim_channel *ch, const struct vmb_guest_ic_request *request)
{
	struct sim_service *s = &ch->device->service;
	const struct vmb_ic_copy_start *start = request->body;

	if (request->body_len < sizeof(start->header))
		return VMB_IC_FAIL;
	switch (start->header.operation) {
	case VMB_IC_COPY_START:
		s->file_len = 0;
		s->file_complete = false;
		s->file_size = request->body_len >= sizeof(*start) ? start->size : 0;
		return VMB_IC_OK;
	case VMB_IC_COPY_WRITE:
		return request->body_len < sizeof(struct vmb_ic_copy_write) ?
			       VMB_IC_FAIL :
			       write_file(ch, request->body);
	case VMB_IC_COPY_COMPLETE: s->file_complete = s->file_len == s->file_size; return VMB_IC_OK;
	default: return VMB_IC_OK;
	}
}

static uint32_t serve(struct sim_channel *ch, const struct vmb_guest_ic_request *request)
{
	switch (ch->answer->ic.type) {
	case VMB_IC_HEARTBEAT: return beat(ch, request);
	case VMB_IC_TIME: return set_clock(ch, request);
	case VMB_IC_SHUTDOWN: return shut_down(ch, request);
	case VMB_IC_KVP: return give_pair(ch, request);
	case VMB_IC_BACKUP: return freeze(ch, request);
	default: return copy(ch, request);
	}
}

/* Answers */

static void write_answer(struct sim_channel *ch)
{
	struct sim_answer *a = ch->answer;

	if (!a->len || a->slow || !sim_guest_write(ch, a->packet, a->len, a->transaction_id))
		return;
	a->len = 0;
	sim_note(ch->guest->sim, "the guest answers service %lu", ch->device->number, 0, 0);
	if (ch->ready)
		sim_service_answered(ch->device);
	else
		ch->ready = a->ic.negotiated;
}

static void take(struct sim_channel *ch)
{
	struct sim_answer *a = ch->answer;
	struct vmb_guest_ic_request request;
	int step = vmb_guest_ic_input(&a->ic, a->packet, a->len, &request);

	if (step < 0) {
		a->len = 0;
		if (is_honest(ch))
			sim_fail(ch->guest->sim, "WRONG REQUEST: service %lu makes no sense",
				 ch->device->number, 0, 0);
		return;
	}
	sim_service_asked(ch->device, step == VMB_GUEST_IC_REPLY);
	if (step == VMB_GUEST_IC_REPLY) {
		ch->ready = false;
		return;
	}
	vmb_guest_ic_answer(a->packet, serve(ch, &request));
	a->slow = sim_mix(ch->device->service.read + ch->guest->sim->seed) % 4 == 0;
	a->since = ch->guest->sim->now;
}

static void read_packet(struct sim_channel *ch, const struct vmb_ring_received *received)
{
	struct sim_answer *a = ch->answer;

	if (a->len && is_honest(ch))
		sim_fail(ch->guest->sim,
			 "TWO REQUESTS: service %lu asks again before it was answered",
			 ch->device->number, 0, 0);
	if (a->len)
		return;
	a->len = received->payload_len < sizeof(a->packet) ? received->payload_len :
							     sizeof(a->packet);
	a->slow = false;
	a->transaction_id = received->transaction_id;
	vmb_ring_copy(&ch->rx, received, 16 + received->header_len, a->packet, a->len);
	take(ch);
	write_answer(ch);
}

bool sim_guest_service_answer(struct sim_channel *ch)
{
	if (!ch->open || !ch->answer->len || !ch->answer->slow)
		return false;
	ch->answer->slow = false;
	write_answer(ch);
	return true;
}

static void forget(struct sim_channel *ch)
{
	struct sim_service *s = &ch->device->service;

	ch->answer->len = 0;
	s->counting = false;
	/* Nobody would thaw it any more. */
	s->frozen &= !ch->core.rescinded;
}

static void watch(struct sim_channel *ch)
{
	if (ch->answer->slow && ch->guest->sim->now - ch->answer->since > DAEMON_NS)
		sim_guest_service_answer(ch);
}

const struct sim_guest_ops sim_guest_service_ops = { .alloc = alloc_service,
						     .free = free_service,
						     .prepare = prepare,
						     .begin = begin,
						     .read = read_packet,
						     .write = write_answer,
						     .fail = forget,
						     .watch = watch };
