// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One integration service in the guest: answers negotiations, judges requests, and reads what
 * shutdown, heartbeat and time messages say.
 */
#include "guest/ic.h"

#define MESSAGES_MAX 4u

/* Newest first. Ends at the first entry without a major version. */
static const struct vmb_ic_version frameworks[] = { { 3, 0 }, { 1, 0 } };
static const struct vmb_ic_version messages[VMB_IC_TYPE_COUNT][MESSAGES_MAX] = {
	[VMB_IC_SHUTDOWN] = { { 3, 2 }, { 3, 1 }, { 3, 0 }, { 1, 0 } },
	[VMB_IC_TIME] = { { 4, 0 }, { 3, 0 }, { 1, 0 } },
	[VMB_IC_HEARTBEAT] = { { 3, 0 }, { 1, 0 } },
	[VMB_IC_KVP] = { { 4, 0 }, { 3, 0 }, { 1, 0 } },
	[VMB_IC_BACKUP] = { { 5, 0 } },
	[VMB_IC_COPY] = { { 1, 1 } },
};

void vmb_guest_ic_init(struct vmb_guest_ic *ic, enum vmb_ic_type type)
{
	memset(ic, 0, sizeof(*ic));
	ic->type = type;
}

static bool is_offered(const struct vmb_ic_version *version, const uint8_t *offered, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (!memcmp(version, offered + i * sizeof(*version), sizeof(*version)))
			return true;
	return false;
}

/* Chooses the newest of ours that is offered. */
static bool choose(const struct vmb_ic_version *ours, size_t count, const uint8_t *offered,
		   uint32_t offered_count, struct vmb_ic_version *chosen)
{
	for (size_t i = 0; i < count && ours[i].major; i++) {
		*chosen = ours[i];
		if (is_offered(&ours[i], offered, offered_count))
			return true;
	}
	return false;
}

static void write_choice(struct vmb_guest_ic *ic, uint8_t *body)
{
	const struct vmb_ic_negotiate head = { .framework_count = ic->negotiated,
					       .message_count = ic->negotiated };
	uint8_t *at = body + sizeof(head);

	memcpy(body, &head, sizeof(head));
	if (!ic->negotiated)
		return;
	memcpy(at, &ic->framework, sizeof(ic->framework));
	memcpy(at + sizeof(ic->framework), &ic->message, sizeof(ic->message));
}

/*
 * The answer has 16 bytes of body in the place of the request's, which has at least as many when it
 * offers one version of each.
 */
static int negotiate(struct vmb_guest_ic *ic, struct vmb_ic_packet *head, uint8_t *body)
{
	const uint8_t *offered = body + sizeof(struct vmb_ic_negotiate);
	struct vmb_ic_negotiate n;
	uint32_t count;

	if (head->ic.body_len < VMB_IC_NEGOTIATE_LEN)
		return VMB_EPROTO;
	memcpy(&n, body, sizeof(n));
	count = (uint32_t)n.framework_count + n.message_count;
	if (n.framework_count > VMB_IC_VERSION_MAX || n.message_count > VMB_IC_VERSION_MAX ||
	    sizeof(n) + count * sizeof(struct vmb_ic_version) > head->ic.body_len)
		return VMB_EPROTO;
	ic->negotiated = choose(frameworks, VMB_ARRAY_COUNT(frameworks), offered, n.framework_count,
				&ic->framework) &&
			 choose(messages[ic->type], MESSAGES_MAX,
				offered + n.framework_count * sizeof(struct vmb_ic_version),
				n.message_count, &ic->message);
	write_choice(ic, body);
	head->ic.body_len = VMB_IC_NEGOTIATE_LEN;
	return VMB_GUEST_IC_REPLY;
}

/* Checks what all requests have in common. */
static bool is_sound(const struct vmb_ic_packet *head, uint32_t len)
{
	return head->pipe.type == VMB_PIPE_DATA && head->pipe.len >= sizeof(head->ic) &&
	       head->pipe.len <= len - sizeof(head->pipe) &&
	       head->ic.body_len <= head->pipe.len - sizeof(head->ic);
}

static void set_response(struct vmb_ic_packet *head, uint32_t status)
{
	head->ic.status = status;
	head->ic.flags = VMB_IC_FLAG_TRANSACTION | VMB_IC_FLAG_RESPONSE;
}

static int take(struct vmb_guest_ic *ic, void *payload, uint32_t len,
		struct vmb_guest_ic_request *request)
{
	uint8_t *body = (uint8_t *)payload + sizeof(struct vmb_ic_packet);
	struct vmb_ic_packet head;
	int step;

	if (len < sizeof(head))
		return VMB_EPROTO;
	memcpy(&head, payload, sizeof(head));
	if (!is_sound(&head, len))
		return VMB_EPROTO;
	if (head.ic.type == VMB_IC_NEGOTIATE) {
		step = negotiate(ic, &head, body);
		set_response(&head, VMB_IC_OK);
		if (step >= 0)
			memcpy(payload, &head, sizeof(head));
		return step;
	}
	if (!ic->negotiated || head.ic.type != ic->type)
		return VMB_EPROTO;
	request->body = body;
	request->body_len = head.ic.body_len;
	return VMB_GUEST_IC_REQUEST;
}

int vmb_guest_ic_input(struct vmb_guest_ic *ic, void *payload, uint32_t len,
		       struct vmb_guest_ic_request *request)
{
	int step;

	memset(request, 0, sizeof(*request));
	step = take(ic, payload, len, request);
	ic->malformed += step < 0;
	ic->requests += step == VMB_GUEST_IC_REQUEST;
	return step;
}

void vmb_guest_ic_answer(void *payload, uint32_t status)
{
	struct vmb_ic_packet head;

	memcpy(&head, payload, sizeof(head));
	set_response(&head, status);
	memcpy(payload, &head, sizeof(head));
}

bool vmb_guest_ic_has(const struct vmb_guest_ic *ic, uint16_t major, uint16_t minor)
{
	return vmb_ic_version_number(&ic->message) >= VMB_IC_VERSION(major, minor);
}

int vmb_guest_ic_beat(const struct vmb_guest_ic_request *request)
{
	uint64_t sequence;

	if (request->body_len < VMB_IC_HEARTBEAT_LEN_MIN)
		return VMB_EPROTO;
	memcpy(&sequence, request->body, sizeof(sequence));
	sequence++;
	memcpy(request->body, &sequence, sizeof(sequence));
	return 0;
}

int vmb_guest_ic_shutdown(const struct vmb_guest_ic_request *request)
{
	struct {
		uint32_t reason, timeout_s, flags;
	} head;

	if (request->body_len < VMB_IC_SHUTDOWN_LEN_MIN)
		return VMB_EPROTO;
	memcpy(&head, request->body, sizeof(head));
	switch (head.flags & ~VMB_IC_SHUTDOWN_FORCE) {
	case VMB_IC_SHUTDOWN_OFF:
	case VMB_IC_SHUTDOWN_RESTART:
	case VMB_IC_SHUTDOWN_HIBERNATE: return (int)(head.flags & ~VMB_IC_SHUTDOWN_FORCE);
	default: return VMB_EOPNOTSUPP;
	}
}
_Static_assert(VMB_IC_SHUTDOWN_LEN_MIN == 12, "reason, timeout_s, flags");

static int read_time_4(const struct vmb_guest_ic_request *request, struct vmb_guest_ic_time *time,
		       uint8_t *flags)
{
	struct vmb_ic_time_4 body = { 0 };

	if (request->body_len < VMB_IC_TIME_4_LEN_MIN)
		return VMB_EPROTO;
	memcpy(&body, request->body, VMB_IC_TIME_4_LEN_MIN);
	time->utc = body.parent_time;
	time->reference = body.reference;
	*flags = body.flags;
	return 0;
}

static int read_time(const struct vmb_guest_ic_request *request, struct vmb_guest_ic_time *time,
		     uint8_t *flags)
{
	struct vmb_ic_time body;

	if (request->body_len < sizeof(body))
		return VMB_EPROTO;
	memcpy(&body, request->body, sizeof(body));
	time->utc = body.parent_time;
	*flags = body.flags;
	return 0;
}

int vmb_guest_ic_time(const struct vmb_guest_ic *ic, const struct vmb_guest_ic_request *request,
		      struct vmb_guest_ic_time *time)
{
	uint8_t flags = 0;
	int error;

	memset(time, 0, sizeof(*time));
	error = vmb_guest_ic_has(ic, 4, 0) ? read_time_4(request, time, &flags) :
					     read_time(request, time, &flags);
	time->sync = flags & VMB_IC_TIME_SYNC;
	time->sample = flags & VMB_IC_TIME_SAMPLE;
	return error;
}

uint64_t vmb_guest_ic_time_at(const struct vmb_guest_ic_time *time, uint64_t reference)
{
	if (!time->reference || reference < time->reference)
		return time->utc;
	return time->utc + (reference - time->reference);
}
