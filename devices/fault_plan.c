// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Decides by rules and a seed what goes wrong on its way to the guest, and how. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "devices/fault_plan.h"
#include "devices/report.h"
#include "devices/text.h"
#include "wire/guid.h"

#define RATE_DEFAULT  100u
#define TICKS_DEFAULT 20u
#define TICKS_MAX     100000u
#define MODE_SENSE_6  0x1Au
#define MODE_SENSE_10 0x5Au
#define STORM_MAX     8u
#define BACKSTOP      50u /* ticks that a reordered packet waits for the next one */

enum targets {
	MESSAGES = 1,
	STORAGE = 2,
	NETWORK = 4,
	OTHERS = 8, /* services and what there will be */
	PACKETS = STORAGE | NETWORK | OTHERS,
};

static const struct {
	const char *name;
	uint32_t may; /* where it can happen */
} kinds[] = {
	[VMB_DEV_FAULT_KIND_DROP] = { "drop", MESSAGES | PACKETS },
	[VMB_DEV_FAULT_KIND_DELAY] = { "delay", MESSAGES | PACKETS },
	[VMB_DEV_FAULT_KIND_DUPLICATE] = { "duplicate", MESSAGES | PACKETS },
	[VMB_DEV_FAULT_KIND_REORDER] = { "reorder", MESSAGES | PACKETS },
	[VMB_DEV_FAULT_KIND_CORRUPT] = { "corrupt", MESSAGES | PACKETS },
	[VMB_DEV_FAULT_KIND_FORGE] = { "forge", MESSAGES | PACKETS },
	[VMB_DEV_FAULT_KIND_LIE] = { "lie", MESSAGES | PACKETS },
	[VMB_DEV_FAULT_KIND_STORM] = { "storm", MESSAGES },
	[VMB_DEV_FAULT_KIND_REFUSE] = { "refuse", MESSAGES },
	[VMB_DEV_FAULT_KIND_SILENCE] = { "silence", PACKETS },
	[VMB_DEV_FAULT_KIND_THROTTLE] = { "throttle", PACKETS },
	[VMB_DEV_FAULT_KIND_FAIL] = { "fail", STORAGE },
	[VMB_DEV_FAULT_KIND_TEAR] = { "tear", STORAGE },
	[VMB_DEV_FAULT_KIND_NO_MODE_SENSE] = { "no-mode-sense", STORAGE },
};
_Static_assert(VMB_ARRAY_COUNT(kinds) == VMB_DEV_FAULT_KIND_COUNT, "a name for each kind");

static const struct {
	const char *name;
	uint32_t targets, message_type;
} places[] = {
	{ "messages", MESSAGES, 0 },
	{ "storage", STORAGE, 0 },
	{ "network", NETWORK, 0 },
	{ "others", OTHERS, 0 },
	{ "packets", PACKETS, 0 },
	{ "version", MESSAGES, VMB_MSG_VERSION_RESPONSE },
	{ "offer", MESSAGES, VMB_MSG_OFFER },
	{ "rescind", MESSAGES, VMB_MSG_RESCIND },
	{ "delivered", MESSAGES, VMB_MSG_OFFERS_DELIVERED },
	{ "opened", MESSAGES, VMB_MSG_OPEN_RESULT },
	{ "gpadl", MESSAGES, VMB_MSG_GPADL_CREATED },
	{ "torndown", MESSAGES, VMB_MSG_GPADL_TORNDOWN },
	{ "modified", MESSAGES, VMB_MSG_MODIFY_CHANNEL_RESPONSE },
	{ "unloaded", MESSAGES, VMB_MSG_UNLOAD_COMPLETE },
};

const char *vmb_dev_fault_kind_name(uint32_t kind)
{
	return kind < VMB_DEV_FAULT_KIND_COUNT ? kinds[kind].name : NULL;
}

/* Chance. The upper bits of such a generator are the good ones. */

static uint32_t draw(uint64_t *random, uint32_t below)
{
	*random = *random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((*random >> 33) % below);
}

/* Seeds that are near each other must not begin alike. */
static uint64_t scatter(uint64_t seed)
{
	seed ^= seed >> 30;
	seed *= 0xBF58476D1CE4E5B9ull;
	seed ^= seed >> 27;
	seed *= 0x94D049BB133111EBull;
	return seed ^ seed >> 31;
}

/* With the plan's lock. */
static bool strikes(struct vmb_dev_fault_rule *r)
{
	bool chance = draw(&r->random, r->rate) == 0;

	if (r->met++ < r->after || r->done >= r->count || !chance)
		return false;
	r->done++;
	return true;
}

/* Bytes */

static void flip(uint64_t *random, uint8_t *bytes, uint32_t len)
{
	for (uint32_t i = 1 + draw(random, 3); len && i-- > 0;)
		bytes[draw(random, len)] ^= (uint8_t)(1u << draw(random, 8));
}

/* Numbers at which others went wrong: nothing, one more, the largest, the sign. */
static void lie_at(uint64_t *random, uint8_t *bytes, uint32_t len)
{
	uint32_t at = len >= 4 ? draw(random, len / 4) * 4 : 0, word;

	if (len < 4)
		return;
	memcpy(&word, bytes + at, sizeof(word));
	switch (draw(random, 6)) {
	case 0: word = 0; break;
	case 1: word++; break;
	case 2: word--; break;
	case 3: word = UINT32_MAX; break;
	case 4: word = 0x80000000u; break;
	default: word = draw(random, INT32_MAX); break;
	}
	memcpy(bytes + at, &word, sizeof(word));
}

/* Messages. The lock of the bus is held. */

struct message {
	struct vmb_dev_fault *fault;
	uint8_t *payload;
	uint32_t *len;
};

/* Offers and rescinds that nothing is behind, at once. */
static void storm(struct vmb_dev_fault_rule *r, const struct message *m)
{
	uint8_t forged[VMB_MSG_LEN_MAX];
	struct vmb_msg_relid rescind = { .header.type = VMB_MSG_RESCIND };

	for (uint32_t i = 1 + draw(&r->random, STORM_MAX); i-- > 0;) {
		memcpy(forged, m->payload, sizeof(forged));
		rescind.relid = draw(&r->random, 8) ? draw(&r->random, VMB_CHANNEL_COUNT_MAX) :
						      draw(&r->random, INT32_MAX);
		if (draw(&r->random, 2))
			vmb_dev_fault_say(m->fault, &rescind, sizeof(rescind), 0, false);
		else
			vmb_dev_fault_say(m->fault, forged, *m->len, 0, false);
	}
}

static void refuse(const struct message *m)
{
	struct vmb_msg_version_response response;

	memcpy(&response, m->payload, VMB_MSG_VERSION_RESPONSE_LEN);
	response.supported = 0;
	memcpy(m->payload, &response, VMB_MSG_VERSION_RESPONSE_LEN);
}

/* Everything behind the message's number. */
static void spoil_message(struct vmb_dev_fault_rule *r, const struct message *m)
{
	uint8_t *body = m->payload + sizeof(struct vmb_msg_header);
	uint32_t len = *m->len - sizeof(struct vmb_msg_header);

	if (r->kind == VMB_DEV_FAULT_KIND_CORRUPT)
		flip(&r->random, m->payload, *m->len);
	else if (r->kind == VMB_DEV_FAULT_KIND_FORGE && len >= 4)
		memcpy(body, &(uint32_t){ draw(&r->random, VMB_CHANNEL_COUNT_MAX * 2) }, 4);
	else if (draw(&r->random, 2))
		lie_at(&r->random, body, len);
	else
		*m->len = sizeof(struct vmb_msg_header) + draw(&r->random, len + 1);
}

/* Returns whether the message leaves now. */
static bool strike_message(struct vmb_dev_fault_rule *r, const struct message *m)
{
	switch (r->kind) {
	case VMB_DEV_FAULT_KIND_DROP: return false;
	case VMB_DEV_FAULT_KIND_DELAY:
		vmb_dev_fault_say(m->fault, m->payload, *m->len, r->ticks, false);
		return false;
	case VMB_DEV_FAULT_KIND_REORDER:
		vmb_dev_fault_say(m->fault, m->payload, *m->len, BACKSTOP, true);
		return false;
	case VMB_DEV_FAULT_KIND_DUPLICATE:
		vmb_dev_fault_say(m->fault, m->payload, *m->len, 0, false);
		return true;
	case VMB_DEV_FAULT_KIND_STORM: storm(r, m); return true;
	case VMB_DEV_FAULT_KIND_REFUSE: refuse(m); return true;
	default: spoil_message(r, m); return true;
	}
}

static bool concerns_message(const struct vmb_dev_fault_rule *r, uint32_t type)
{
	if (!(r->targets & MESSAGES))
		return false;
	if (r->kind == VMB_DEV_FAULT_KIND_REFUSE)
		return type == VMB_MSG_VERSION_RESPONSE;
	if (r->kind == VMB_DEV_FAULT_KIND_STORM && !r->message_type)
		return type == VMB_MSG_OFFER || type == VMB_MSG_RESCIND;
	return !r->message_type || r->message_type == type;
}

static bool judge_message(void *arg, uint8_t payload[VMB_MSG_LEN_MAX], uint32_t *len)
{
	struct vmb_dev_fault_plan *plan = arg;
	const struct message m = { &plan->fault, payload, len };
	uint32_t type;
	bool leaves = true;

	if (*len < sizeof(struct vmb_msg_header))
		return true;
	memcpy(&type, payload, sizeof(type));
	pthread_mutex_lock(&plan->lock);
	for (uint32_t i = 0; i < plan->count && leaves; i++)
		if (concerns_message(&plan->rules[i], type) && strikes(&plan->rules[i]))
			leaves = strike_message(&plan->rules[i], &m);
	pthread_mutex_unlock(&plan->lock);
	return leaves;
}

/* Packets, signals, operations. The device's thread. */

static uint32_t target_of(const struct vmb_dev_channel *ch)
{
	static const struct vmb_guid scsi = VMB_GUID_SCSI, ide = VMB_GUID_IDE,
				     network = VMB_GUID_NETWORK;

	if (vmb_guid_equal(&ch->host.type_id, &scsi) || vmb_guid_equal(&ch->host.type_id, &ide))
		return STORAGE;
	return vmb_guid_equal(&ch->host.type_id, &network) ? NETWORK : OTHERS;
}

/* Ids of requests are small numbers, or pointers of the guest's. */
static void forge_id(struct vmb_dev_fault_rule *r, struct vmb_dev_packet *p)
{
	switch (draw(&r->random, 4)) {
	case 0: p->transaction_id = 0; break;
	case 1: p->transaction_id++; break;
	case 2: p->transaction_id ^= 1ull << draw(&r->random, 64); break;
	default: p->transaction_id = draw(&r->random, 1024); break;
	}
}

/* About lengths, offsets and counts: in the payload, of the ranges, or of the packet. */
static void lie(struct vmb_dev_fault_rule *r, struct vmb_dev_packet *p)
{
	if (p->header_len && draw(&r->random, 2))
		lie_at(&r->random, p->header, p->header_len);
	else if (draw(&r->random, 3))
		lie_at(&r->random, p->payload, p->payload_len);
	else
		p->payload_len = draw(&r->random, p->payload_len + 1);
}

static enum vmb_dev_fault_verdict strike_packet(struct vmb_dev_fault_rule *r,
						struct vmb_dev_packet *p)
{
	switch (r->kind) {
	case VMB_DEV_FAULT_KIND_DROP: return VMB_DEV_FAULT_DROP;
	case VMB_DEV_FAULT_KIND_DUPLICATE: return VMB_DEV_FAULT_TWICE;
	case VMB_DEV_FAULT_KIND_DELAY: p->ticks = r->ticks; return VMB_DEV_FAULT_HOLD;
	case VMB_DEV_FAULT_KIND_REORDER:
		p->ticks = BACKSTOP;
		p->behind = true;
		return VMB_DEV_FAULT_HOLD;
	case VMB_DEV_FAULT_KIND_CORRUPT: flip(&r->random, p->payload, p->payload_len); break;
	case VMB_DEV_FAULT_KIND_FORGE: forge_id(r, p); break;
	default: lie(r, p); break;
	}
	return VMB_DEV_FAULT_PASS;
}

static bool is_of_packets(enum vmb_dev_fault_kind kind)
{
	return kind <= VMB_DEV_FAULT_KIND_LIE;
}

static enum vmb_dev_fault_verdict judge_packet(void *arg, struct vmb_dev_channel *ch,
					       struct vmb_dev_packet *packet)
{
	enum vmb_dev_fault_verdict verdict = VMB_DEV_FAULT_PASS;
	struct vmb_dev_fault_plan *plan = arg;
	uint32_t target = target_of(ch);

	pthread_mutex_lock(&plan->lock);
	for (uint32_t i = 0; i < plan->count && verdict == VMB_DEV_FAULT_PASS; i++) {
		struct vmb_dev_fault_rule *r = &plan->rules[i];

		if (r->targets & target && is_of_packets(r->kind) && strikes(r))
			verdict = strike_packet(r, packet);
	}
	pthread_mutex_unlock(&plan->lock);
	return verdict;
}

/* Returns whether a rule of this kind strikes at a channel. */
static bool strikes_channel(struct vmb_dev_fault_plan *plan, const struct vmb_dev_channel *ch,
			    enum vmb_dev_fault_kind kind)
{
	bool struck = false;

	pthread_mutex_lock(&plan->lock);
	for (uint32_t i = 0; i < plan->count && !struck; i++)
		struck = plan->rules[i].kind == kind && plan->rules[i].targets & target_of(ch) &&
			 strikes(&plan->rules[i]);
	pthread_mutex_unlock(&plan->lock);
	return struck;
}

static bool judge_signal(void *arg, struct vmb_dev_channel *ch)
{
	return !strikes_channel(arg, ch, VMB_DEV_FAULT_KIND_SILENCE);
}

static bool hears(void *arg, struct vmb_dev_channel *ch)
{
	return !strikes_channel(arg, ch, VMB_DEV_FAULT_KIND_THROTTLE);
}

static enum vmb_dev_fault_operation judge_operation(void *arg, struct vmb_dev_channel *ch,
						    const struct vmb_host_scsi_task *task)
{
	if (strikes_channel(arg, ch, VMB_DEV_FAULT_KIND_FAIL))
		return VMB_DEV_FAULT_FAIL;
	if (task->op == VMB_HOST_SCSI_WRITE && strikes_channel(arg, ch, VMB_DEV_FAULT_KIND_TEAR))
		return VMB_DEV_FAULT_TEAR;
	return VMB_DEV_FAULT_DO;
}

static bool judge_command(void *arg, struct vmb_dev_channel *ch, uint8_t opcode)
{
	bool is_mode_sense = opcode == MODE_SENSE_6 || opcode == MODE_SENSE_10;

	return !is_mode_sense || !strikes_channel(arg, ch, VMB_DEV_FAULT_KIND_NO_MODE_SENSE);
}

/* Rules */

static bool set_number(const char *value, uint64_t min, uint64_t max, uint64_t *number)
{
	const char *rest;

	return vmb_dev_text_number(value, max, number, &rest) && !*rest && *number >= min;
}

static bool set_place(struct vmb_dev_fault_rule *r, const char *name)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(places); i++) {
		if (strcmp(places[i].name, name))
			continue;
		r->targets = places[i].targets & kinds[r->kind].may;
		r->message_type = places[i].message_type;
		return r->targets;
	}
	return false;
}

static bool set_property(struct vmb_dev_fault_rule *r, const char *name, const char *value,
			 bool *seeded)
{
	uint64_t n;

	if (strcmp(name, "on") == 0)
		return set_place(r, value);
	if (strcmp(name, "after") == 0)
		return set_number(value, 0, UINT64_MAX, &r->after);
	if (strcmp(name, "count") == 0)
		return set_number(value, 1, UINT64_MAX, &r->count);
	if (strcmp(name, "seed") == 0)
		return *seeded = set_number(value, 0, UINT64_MAX, &r->seed);
	if (strcmp(name, "rate") == 0 && set_number(value, 1, 1u << 30, &n)) {
		r->rate = n;
		return true;
	}
	if (strcmp(name, "ticks") == 0 && set_number(value, 1, TICKS_MAX, &n)) {
		r->ticks = n;
		return true;
	}
	return false;
}

static int refuse_rule(const char *text, const char *why)
{
	char names[256] = "";
	size_t len = 0;

	for (uint32_t i = 0; vmb_dev_fault_kind_name(i); i++)
		len += snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "",
				vmb_dev_fault_kind_name(i));
	vmb_dev_report("fault %.128s: %s; give any or one of %s, with on=, rate=, after=, count=, "
		       "ticks=, seed=; see docs/testing-your-driver.md",
		       text, why, names);
	return -EINVAL;
}

static int find_kind(const char *name)
{
	for (uint32_t i = 0; i < VMB_DEV_FAULT_KIND_COUNT; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return i;
	return -ENOENT;
}

static void begin_rule(struct vmb_dev_fault_rule *r, enum vmb_dev_fault_kind kind)
{
	*r = (struct vmb_dev_fault_rule){ .kind = kind,
					  .targets = kinds[kind].may,
					  .rate = RATE_DEFAULT,
					  .ticks = TICKS_DEFAULT,
					  .count = UINT64_MAX };
}

/* rest: properties, which are used up. */
static bool parse_properties(struct vmb_dev_fault_rule *r, char *rest, bool *seeded)
{
	char *name, *value;

	while ((name = strsep(&rest, ","))) {
		value = strchr(name, '=');
		if (!value)
			return false;
		*value++ = 0;
		if (!set_property(r, name, value, seeded))
			return false;
	}
	return true;
}

static int add_rule(struct vmb_dev_fault_plan *plan, struct vmb_dev_fault_rule *r)
{
	int id = -ENOSPC;

	r->random = scatter(r->seed ^ (uint64_t)(r->kind + 1) << 56);
	pthread_mutex_lock(&plan->lock);
	if (plan->count < VMB_DEV_FAULT_RULE_MAX) {
		r->id = ++plan->last_id;
		id = r->id;
		plan->rules[plan->count++] = *r;
		__atomic_store_n(&plan->fault.idle, false, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&plan->lock);
	return id;
}

/* A seed draws its own rules, each of which has a text of its own. */
static int add_any(struct vmb_dev_fault_plan *plan, uint64_t seed)
{
	uint64_t random = scatter(seed);
	uint32_t count = 1 + draw(&random, 4);
	int first = 0, id;

	for (uint32_t i = 0; i < count; i++) {
		struct vmb_dev_fault_rule r;

		begin_rule(&r, draw(&random, VMB_DEV_FAULT_KIND_COUNT));
		r.rate = 1u << (2 + draw(&random, 10));
		r.ticks = 1 + draw(&random, 200);
		r.after = draw(&random, 2) ? draw(&random, 400) : 0;
		r.count = 1 + draw(&random, 50);
		r.seed = draw(&random, INT32_MAX);
		id = add_rule(plan, &r);
		if (id < 0)
			return id;
		first = first ? first : id;
	}
	return first;
}

static int add_parsed(struct vmb_dev_fault_plan *plan, const char *text, char *copy)
{
	char *rest = copy, *name = strsep(&rest, ",");
	bool any = strcmp(name, "any") == 0, seeded = false;
	int kind = any ? VMB_DEV_FAULT_KIND_DROP : find_kind(name), id;
	struct vmb_dev_fault_rule r;

	if (kind < 0)
		return refuse_rule(text, "no such kind");
	begin_rule(&r, kind);
	if (!parse_properties(&r, rest, &seeded))
		return refuse_rule(text, "a property is unknown, or its value does not fit");
	if (!seeded && getrandom(&r.seed, sizeof(r.seed), 0) != sizeof(r.seed))
		return refuse_rule(text, "no random number; give seed=");
	r.seed = seeded ? r.seed : r.seed % 1000000;
	id = any ? add_any(plan, r.seed) : add_rule(plan, &r);
	return id < 0 ? refuse_rule(text, "there are as many rules as there can be") : id;
}

int vmb_dev_fault_plan_add(struct vmb_dev_fault_plan *plan, const char *text)
{
	char copy[VMB_DEV_FAULT_RULE_LEN_MAX];

	if (strlen(text) >= sizeof(copy))
		return refuse_rule(text, "too long");
	strcpy(copy, text);
	return add_parsed(plan, text, copy);
}

int vmb_dev_fault_plan_remove(struct vmb_dev_fault_plan *plan, uint32_t id)
{
	int error = -ENOENT;

	pthread_mutex_lock(&plan->lock);
	for (uint32_t i = 0; i < plan->count && error; i++) {
		if (plan->rules[i].id != id)
			continue;
		plan->count--;
		memmove(&plan->rules[i], &plan->rules[i + 1],
			(plan->count - i) * sizeof(plan->rules[0]));
		error = 0;
	}
	__atomic_store_n(&plan->fault.idle, plan->count == 0, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&plan->lock);
	return error;
}

bool vmb_dev_fault_plan_look(struct vmb_dev_fault_plan *plan, uint32_t place,
			     struct vmb_dev_fault_rule *rule)
{
	bool there;

	pthread_mutex_lock(&plan->lock);
	there = place < plan->count;
	if (there)
		*rule = plan->rules[place];
	pthread_mutex_unlock(&plan->lock);
	return there;
}

static const char *place_name(const struct vmb_dev_fault_rule *r)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(places); i++)
		if ((places[i].targets & kinds[r->kind].may) == r->targets &&
		    places[i].message_type == r->message_type)
			return places[i].name;
	return NULL; /* wherever it can happen */
}

void vmb_dev_fault_plan_text(const struct vmb_dev_fault_rule *r, char *text, size_t len)
{
	size_t at = snprintf(text, len, "%s", kinds[r->kind].name);

	if (place_name(r))
		at += snprintf(text + at, len - at, ",on=%s", place_name(r));
	at += snprintf(text + at, len - at, ",rate=%u", r->rate);
	if (r->after)
		at += snprintf(text + at, len - at, ",after=%llu", (unsigned long long)r->after);
	if (r->count != UINT64_MAX)
		at += snprintf(text + at, len - at, ",count=%llu", (unsigned long long)r->count);
	if (r->kind == VMB_DEV_FAULT_KIND_DELAY)
		at += snprintf(text + at, len - at, ",ticks=%u", r->ticks);
	snprintf(text + at, len - at, ",seed=%llu", (unsigned long long)r->seed);
}

/* Life */

void vmb_dev_fault_plan_init(struct vmb_dev_fault_plan *plan)
{
	memset(plan, 0, sizeof(*plan));
	pthread_mutex_init(&plan->lock, NULL);
	plan->fault = (struct vmb_dev_fault){ .arg = plan,
					      .idle = true,
					      .message = judge_message,
					      .packet = judge_packet,
					      .signal = judge_signal,
					      .hears = hears,
					      .operation = judge_operation,
					      .command = judge_command };
}

void vmb_dev_fault_plan_destroy(struct vmb_dev_fault_plan *plan)
{
	pthread_mutex_destroy(&plan->lock);
}

void vmb_dev_fault_plan_attach(struct vmb_dev_fault_plan *plan, struct vmb_dev_bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	plan->fault.said_count = 0;
	plan->fault.judged = false;
	__atomic_store_n(&bus->fault, &plan->fault, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&bus->lock);
}

void vmb_dev_fault_plan_detach(struct vmb_dev_fault_plan *plan, struct vmb_dev_bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	if (bus->fault == &plan->fault)
		__atomic_store_n(&bus->fault, NULL, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&bus->lock);
}
