// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The log of a run: every event in words, and one hash over all of them. The text is only made when
 * somebody reads it; the hash is over what the text would be made of.
 */
#include <string.h>

#include "sim/sim.h"

static uint64_t hash_word(uint64_t hash, uint64_t word)
{
	return (hash ^ word) * 0x100000001B3ull;
}

static void hash(struct sim *sim, const char *text, unsigned long a, unsigned long b,
		 unsigned long c)
{
	uint64_t h = hash_word(sim->hash, (uint64_t)sim->now);

	for (; *text; text++)
		h = hash_word(h, (uint8_t)*text);
	h = hash_word(h, a);
	h = hash_word(h, b);
	sim->hash = hash_word(h, c) ^ h >> 29;
}

static const char *message_name(uint32_t type)
{
	static const char *const names[VMB_MSG_TYPE_COUNT] = {
		[VMB_MSG_OFFER] = "OFFER",
		[VMB_MSG_RESCIND] = "RESCIND",
		[VMB_MSG_REQUEST_OFFERS] = "REQUEST_OFFERS",
		[VMB_MSG_OFFERS_DELIVERED] = "OFFERS_DELIVERED",
		[VMB_MSG_OPEN] = "OPEN",
		[VMB_MSG_OPEN_RESULT] = "OPEN_RESULT",
		[VMB_MSG_CLOSE] = "CLOSE",
		[VMB_MSG_GPADL_HEADER] = "GPADL_HEADER",
		[VMB_MSG_GPADL_BODY] = "GPADL_BODY",
		[VMB_MSG_GPADL_CREATED] = "GPADL_CREATED",
		[VMB_MSG_GPADL_TEARDOWN] = "GPADL_TEARDOWN",
		[VMB_MSG_GPADL_TORNDOWN] = "GPADL_TORNDOWN",
		[VMB_MSG_RELID_RELEASED] = "RELID_RELEASED",
		[VMB_MSG_INITIATE_CONTACT] = "INITIATE_CONTACT",
		[VMB_MSG_VERSION_RESPONSE] = "VERSION_RESPONSE",
		[VMB_MSG_UNLOAD] = "UNLOAD",
		[VMB_MSG_UNLOAD_COMPLETE] = "UNLOAD_COMPLETE",
		[VMB_MSG_TL_CONNECT_REQUEST] = "TL_CONNECT_REQUEST",
		[VMB_MSG_TL_CONNECT_RESULT] = "TL_CONNECT_RESULT",
		[VMB_MSG_MODIFY_CHANNEL] = "MODIFY_CHANNEL",
		[VMB_MSG_MODIFY_CHANNEL_RESPONSE] = "MODIFY_CHANNEL_RESPONSE",
	};

	return type < VMB_MSG_TYPE_COUNT && names[type] ? names[type] :
							  "a message of no known type";
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void print(const struct sim *sim, const char *text, unsigned long a, unsigned long b,
		  unsigned long c)
{
	fprintf(sim->story, "%12.6f s  ", (double)sim->now / 1e9);
	fprintf(sim->story, text, a, b, c);
	fputc('\n', sim->story);
}

void sim_say(struct sim *sim, const char *text, unsigned long a, unsigned long b, unsigned long c)
{
	hash(sim, text, a, b, c);
	if (sim->story && (sim->details || !sim->quiet))
		print(sim, text, a, b, c);
}

static bool prints_small(const struct sim *sim)
{
	return sim->story && (sim->details || !(sim->resting || sim->quiet));
}

void sim_note(struct sim *sim, const char *text, unsigned long a, unsigned long b, unsigned long c)
{
	hash(sim, text, a, b, c);
	if (prints_small(sim))
		print(sim, text, a, b, c);
}

void sim_note_message(struct sim *sim, const char *text, const void *message, unsigned long a,
		      unsigned long b)
{
	uint32_t type;

	memcpy(&type, message, sizeof(type));
	hash(sim, text, type, a, b);
	if (!prints_small(sim))
		return;
	fprintf(sim->story, "%12.6f s  ", (double)sim->now / 1e9);
	fprintf(sim->story, text, message_name(type), a, b);
	fputc('\n', sim->story);
}

void sim_fail(struct sim *sim, const char *text, unsigned long a, unsigned long b, unsigned long c)
{
	sim->quiet = false;
	sim_say(sim, text, a, b, c);
	if (sim->failed)
		return;
	sim->failed = true;
	snprintf(sim->failure, sizeof(sim->failure), text, a, b, c);
}
