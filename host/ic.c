// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One exchange of an integration service: negotiates, sends a request, judges the answer. Makes the
 * messages of shutdown, heartbeat and time, which have a few fields each.
 */
#include "host/ic.h"

/* A version, and the bus version of the first host that offered it. */
struct known {
	uint16_t major, minor;
	uint32_t since;
};

static const struct known frameworks[] = {
	{ 1, 0, VMB_VERSION_0_13 },
	{ 3, 0, VMB_VERSION_1_1 },
};

#define MESSAGES_MAX 4u

/* Ends at the first entry without a major version. docs/generations.md says what is assumed. */
static const struct known messages[VMB_IC_TYPE_COUNT][MESSAGES_MAX] = {
	[VMB_IC_SHUTDOWN] = { { 1, 0, VMB_VERSION_0_13 },
			      { 3, 0, VMB_VERSION_1_1 },
			      { 3, 1, VMB_VERSION_5_2 },
			      { 3, 2, VMB_VERSION_5_2 } },
	[VMB_IC_TIME] = { { 1, 0, VMB_VERSION_0_13 },
			  { 3, 0, VMB_VERSION_1_1 },
			  { 4, 0, VMB_VERSION_4_0 } },
	[VMB_IC_HEARTBEAT] = { { 1, 0, VMB_VERSION_0_13 }, { 3, 0, VMB_VERSION_1_1 } },
	[VMB_IC_KVP] = { { 1, 0, VMB_VERSION_0_13 },
			 { 3, 0, VMB_VERSION_1_1 },
			 { 4, 0, VMB_VERSION_2_4 } },
	[VMB_IC_BACKUP] = { { 4, 0, VMB_VERSION_3_0 }, { 5, 0, VMB_VERSION_3_0 } },
	[VMB_IC_COPY] = { { 1, 1, VMB_VERSION_3_0 } },
};

static bool offers(const struct known *known, uint32_t bus_version)
{
	return known->major && known->since <= bus_version;
}

bool vmb_host_ic_exists(enum vmb_ic_type type, uint32_t bus_version)
{
	return offers(&messages[type][0], bus_version);
}

void vmb_host_ic_init(struct vmb_host_ic *ic, enum vmb_ic_type type, uint32_t bus_version)
{
	memset(ic, 0, sizeof(*ic));
	ic->type = type;
	ic->bus_version = bus_version;
}

/* Writes the headers in front of a body that is in place. */
static void finish(struct vmb_host_ic *ic, uint16_t type, uint32_t body_len)
{
	struct vmb_ic_packet head = {
		.pipe = { .type = VMB_PIPE_DATA, .len = sizeof(head.ic) + body_len },
		.ic = { .framework = ic->framework,
			.type = type,
			.message = ic->message,
			.body_len = (uint16_t)body_len,
			.flags = VMB_IC_FLAG_TRANSACTION | VMB_IC_FLAG_REQUEST },
	};

	memcpy(ic->packet, &head, sizeof(head));
	ic->output_len = sizeof(head) + body_len;
}

/* Appends the versions that this host has. Returns how many. */
static uint16_t append(const struct vmb_host_ic *ic, const struct known *known, size_t count,
		       uint8_t **at)
{
	uint16_t appended = 0;

	for (size_t i = 0; i < count; i++) {
		const struct vmb_ic_version version = { known[i].major, known[i].minor };

		if (!offers(&known[i], ic->bus_version))
			continue;
		memcpy(*at, &version, sizeof(version));
		*at += sizeof(version);
		appended++;
	}
	return appended;
}

void vmb_host_ic_reset(struct vmb_host_ic *ic)
{
	uint8_t *body = ic->packet + sizeof(struct vmb_ic_packet);
	uint8_t *at = body + sizeof(struct vmb_ic_negotiate);
	struct vmb_ic_negotiate head = { 0 };

	memset(&ic->framework, 0, sizeof(ic->framework));
	memset(&ic->message, 0, sizeof(ic->message));
	head.framework_count = append(ic, frameworks, VMB_ARRAY_COUNT(frameworks), &at);
	head.message_count = append(ic, messages[ic->type], MESSAGES_MAX, &at);
	memcpy(body, &head, sizeof(head));
	finish(ic, VMB_IC_NEGOTIATE, (uint32_t)(at - body));
	ic->state = VMB_HOST_IC_NEGOTIATING;
}

const void *vmb_host_ic_output(const struct vmb_host_ic *ic, uint32_t *len)
{
	*len = ic->output_len;
	return ic->output_len ? ic->packet : NULL;
}

void vmb_host_ic_output_done(struct vmb_host_ic *ic)
{
	ic->output_len = 0;
}

/* What the guest chose must be among what it was offered. */
static bool choose(const struct vmb_host_ic *ic, const struct known *known, size_t count,
		   const uint8_t *from, struct vmb_ic_version *chosen)
{
	memcpy(chosen, from, sizeof(*chosen));
	for (size_t i = 0; i < count; i++)
		if (known[i].major == chosen->major && known[i].minor == chosen->minor)
			return offers(&known[i], ic->bus_version);
	return false;
}

static int take_versions(struct vmb_host_ic *ic, const struct vmb_host_ic_answer *answer)
{
	const uint8_t *versions = (const uint8_t *)answer->body + sizeof(struct vmb_ic_negotiate);
	struct vmb_ic_negotiate head;

	if (answer->body_len < sizeof(head))
		return VMB_EPROTO;
	memcpy(&head, answer->body, sizeof(head));
	if (!head.framework_count && !head.message_count)
		return VMB_HOST_IC_REFUSED;
	if (head.framework_count != 1 || head.message_count != 1 ||
	    answer->body_len < VMB_IC_NEGOTIATE_LEN ||
	    !choose(ic, frameworks, VMB_ARRAY_COUNT(frameworks), versions, &ic->framework) ||
	    !choose(ic, messages[ic->type], MESSAGES_MAX, versions + sizeof(ic->framework),
		    &ic->message))
		return VMB_EPROTO;
	return VMB_HOST_IC_READY;
}

/* Checks everything that all answers have in common. */
static bool parse(const struct vmb_host_ic *ic, const void *payload, uint32_t len,
		  struct vmb_host_ic_answer *answer)
{
	const uint8_t flags = VMB_IC_FLAG_TRANSACTION | VMB_IC_FLAG_RESPONSE;
	struct vmb_ic_packet head;
	uint16_t type = ic->state == VMB_HOST_IC_NEGOTIATING ? VMB_IC_NEGOTIATE : ic->type;

	if (len < sizeof(head))
		return false;
	memcpy(&head, payload, sizeof(head));
	if (head.pipe.type != VMB_PIPE_DATA || head.pipe.len < sizeof(head.ic) ||
	    head.pipe.len > len - sizeof(head.pipe))
		return false;
	if (head.ic.type != type || head.ic.transaction_id || (head.ic.flags & flags) != flags ||
	    head.ic.body_len > head.pipe.len - sizeof(head.ic))
		return false;
	answer->status = head.ic.status;
	answer->body = (const uint8_t *)payload + sizeof(head);
	answer->body_len = head.ic.body_len;
	return true;
}

/* A request that was not sent yet cannot have been answered. */
static int judge(struct vmb_host_ic *ic, const void *payload, uint32_t len,
		 struct vmb_host_ic_answer *answer)
{
	bool waits = ic->state == VMB_HOST_IC_NEGOTIATING || ic->state == VMB_HOST_IC_WAITING;

	memset(answer, 0, sizeof(*answer));
	if (!waits || ic->output_len || !parse(ic, payload, len, answer))
		return VMB_EPROTO;
	return ic->state == VMB_HOST_IC_NEGOTIATING ? take_versions(ic, answer) :
						      VMB_HOST_IC_ANSWERED;
}

int vmb_host_ic_input(struct vmb_host_ic *ic, const void *payload, uint32_t len,
		      struct vmb_host_ic_answer *answer)
{
	int step = judge(ic, payload, len, answer);

	if (step == VMB_EPROTO || step == VMB_HOST_IC_REFUSED) {
		ic->state = VMB_HOST_IC_IDLE;
		ic->output_len = 0;
		return step;
	}
	ic->state = VMB_HOST_IC_OPEN;
	ic->answers += step == VMB_HOST_IC_ANSWERED;
	return step;
}

bool vmb_host_ic_may_ask(const struct vmb_host_ic *ic)
{
	return ic->state == VMB_HOST_IC_OPEN;
}

int vmb_host_ic_request(struct vmb_host_ic *ic, const void *body, uint32_t len)
{
	if (len > VMB_IC_BODY_LEN_MAX)
		return VMB_EINVAL;
	if (!vmb_host_ic_may_ask(ic))
		return VMB_EAGAIN;
	memcpy(ic->packet + sizeof(struct vmb_ic_packet), body, len);
	finish(ic, ic->type, len);
	ic->state = VMB_HOST_IC_WAITING;
	ic->requests++;
	return 0;
}

bool vmb_host_ic_has(const struct vmb_host_ic *ic, uint16_t major, uint16_t minor)
{
	return vmb_ic_version_number(&ic->message) >= VMB_IC_VERSION(major, minor);
}

int vmb_host_ic_shutdown(uint32_t version, uint32_t flags, uint32_t timeout_s,
			 struct vmb_ic_shutdown *body)
{
	uint32_t what = flags & ~VMB_IC_SHUTDOWN_FORCE;

	if ((what == VMB_IC_SHUTDOWN_RESTART && version < VMB_IC_VERSION(3, 1)) ||
	    (what == VMB_IC_SHUTDOWN_HIBERNATE && version < VMB_IC_VERSION(3, 2)))
		return VMB_EOPNOTSUPP;
	memset(body, 0, sizeof(*body));
	body->reason = VMB_IC_SHUTDOWN_PLANNED;
	body->timeout_s = timeout_s;
	body->flags = flags;
	return 0;
}

int vmb_host_ic_beat(struct vmb_host_ic *ic)
{
	const struct vmb_ic_heartbeat body = { .sequence = ic->sequence + 1 };
	int error = vmb_host_ic_request(ic, &body, sizeof(body));

	if (!error)
		ic->sequence = body.sequence;
	return error;
}

bool vmb_host_ic_beat_answered(const struct vmb_host_ic *ic,
			       const struct vmb_host_ic_answer *answer)
{
	uint64_t sequence;

	if (answer->status || answer->body_len < VMB_IC_HEARTBEAT_LEN_MIN)
		return false;
	memcpy(&sequence, answer->body, sizeof(sequence));
	return sequence == ic->sequence + 1;
}

int vmb_host_ic_time(struct vmb_host_ic *ic, uint64_t utc, uint64_t reference, uint8_t flags)
{
	const struct vmb_ic_time_4 body_4 = { .parent_time = utc,
					      .reference = reference,
					      .flags = flags };
	const struct vmb_ic_time body = { .parent_time = utc, .flags = flags };

	if (vmb_host_ic_has(ic, 4, 0))
		return vmb_host_ic_request(ic, &body_4, sizeof(body_4));
	return vmb_host_ic_request(ic, &body, sizeof(body));
}
