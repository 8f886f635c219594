// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Steps through a transcript: compares a real end's words, speaks for the one that is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/conformance_play.h"

bool play_has_guest(const struct play *p)
{
	return p->cast != HOST_REAL;
}

bool play_has_host(const struct play *p)
{
	return p->cast != GUEST_REAL;
}

bool play_is_scripted(const struct play *p, enum transcript_way way)
{
	return way == GUEST_TO_HOST ? !play_has_guest(p) : !play_has_host(p);
}

void play_say(struct play *p, enum transcript_way way, enum transcript_kind kind, uint64_t arg0,
	      uint64_t arg1, const void *bytes, uint32_t len)
{
	struct transcript_said *said;

	if (!(p->kinds & 1u << kind))
		return;
	p->said = realloc(p->said, (p->said_count + 1) * sizeof(*p->said));
	assert_non_null(p->said);
	said = &p->said[p->said_count++];
	*said = (struct transcript_said){ .way = way,
					  .kind = kind,
					  .arg_count = 2,
					  .args = { arg0, arg1 },
					  .len = len,
					  .bytes = malloc(len ? len : 1) };
	assert_non_null(said->bytes);
	if (len)
		memcpy(said->bytes, bytes, len);
}

void play_unsay(struct play *p)
{
	free(p->said[--p->said_count].bytes);
}

/* Any number that fits, where the end that is not there does not care. */
static uint64_t choose(void *arg, const char *name, uint32_t width)
{
	struct play *p = arg;
	uint64_t value = p->choose(p->arg, name), limit = 1ull << (8 * width - 1);

	if (value)
		return value;
	if (name[strlen(name) - 1] == '?')
		return 0;
	p->random = p->random * 6364136223846793005ull + 1442695040888963407ull;
	return 1 + (p->random >> 16 ^ p->random << 24) % (limit - 1);
}

static void perform(struct play *p, const struct transcript_record *r)
{
	struct transcript_said said;

	transcript_render(&p->names, r, choose, p, &said);
	p->put(p->arg, &said);
	free(said.bytes);
}

static bool still_good(struct play *p, const struct transcript_record *r,
		       const struct transcript_said *said)
{
	char why[TRANSCRIPT_WHY_MAX];

	p->doubted++;
	return transcript_match(p->t, &p->names, r, said, why);
}

/* All names of r are bound now, so no change of any byte is as good. */
static void doubt(struct play *p, const struct transcript_record *r, struct transcript_said *said)
{
	uint32_t i, bit;

	for (i = 0; i < said->len; i++) {
		bit = 1u << i % 8;
		said->bytes[i] ^= (uint8_t)bit;
		if (still_good(p, r, said))
			fail_msg("%s:%u passes with byte %u changed", p->t->file, r->line, i);
		said->bytes[i] ^= (uint8_t)bit;
	}
	for (i = 0; i < r->arg_count; i++) {
		said->args[i] ^= 1;
		assert_false(still_good(p, r, said));
		said->args[i] ^= 1;
	}
	said->len++;
	assert_false(still_good(p, r, said));
	said->len--;
}

static void compare(struct play *p, const struct transcript_record *r)
{
	struct transcript_said *said = &p->said[p->said_first++];
	char why[TRANSCRIPT_WHY_MAX];
	bool good = transcript_match(p->t, &p->names, r, said, why);

	if (good && p->doubt)
		doubt(p, r, said);
	free(said->bytes);
	if (!good)
		fail_msg("%s", why);
}

static bool is_heard(const struct play *p)
{
	return p->said_first < p->said_count;
}

static bool is_next(const struct play *p, const struct transcript_record *r)
{
	return p->said[p->said_first].kind == r->kind && p->said[p->said_first].way == r->way;
}

void play_begin(struct play *p, const struct transcript *t, const char *section)
{
	const struct transcript_section *at = transcript_section(t, section);

	if (!at)
		fail_msg("tests/transcripts/%s has no section %s", t->file, section);
	assert_int_equal(p->next, p->end);
	p->t = t;
	p->next = at->first;
	p->end = at->first + at->count;
}

bool play_go_on(struct play *p)
{
	const struct transcript_record *r;
	bool any = false;

	for (; p->next < p->end; p->next++, any = true) {
		r = &p->t->records[p->next];
		if (play_is_scripted(p, r->way))
			perform(p, r);
		else if (!is_heard(p))
			break;
		else if (!r->optional || is_next(p, r))
			compare(p, r);
	}
	return any;
}

void play_finish(struct play *p)
{
	const struct transcript_record *r;
	char where[256];

	while (play_go_on(p), p->next < p->end) {
		r = &p->t->records[p->next];
		if (p->step(p->arg) || is_heard(p))
			continue;
		if (r->optional) {
			p->next++;
			continue;
		}
		transcript_describe(p->t, r, where, sizeof(where));
		fail_msg("%s: it is never said", where);
	}
}

void play_end(struct play *p)
{
	while (p->step(p->arg))
		;
	if (is_heard(p))
		fail_msg("something more is said: kind %u, %u bytes, direction %u",
			 p->said[p->said_first].kind, p->said[p->said_first].len,
			 p->said[p->said_first].way);
}

void play_free(struct play *p)
{
	for (; is_heard(p); p->said_first++)
		free(p->said[p->said_first].bytes);
	free(p->said);
	p->said = NULL;
	p->said_first = p->said_count = 0;
	p->kinds = 0;
}
