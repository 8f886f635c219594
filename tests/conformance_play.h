/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Plays a transcript: compares what the real ends say with it, and speaks for the end that is not
 * real.
 *
 *   p.step, p.put, p.choose = ...; p.arg = ...
 *   play_begin(&p, t, "open"); make it happen; play_finish(&p)      for each section
 *   play_end(&p)                                                    nothing more is said
 *   play_free(&p)
 *
 * Who listens calls play_say() with what he hears, in order. Who steps the real ends calls
 * play_go_on() after each step.
 */
#ifndef TESTS_CONFORMANCE_PLAY_H
#define TESTS_CONFORMANCE_PLAY_H

#include "tests/conformance_transcript.h"

enum play_cast {
	BOTH_REAL,
	GUEST_REAL, /* the transcript is the host */
	HOST_REAL, /* the transcript is the guest */
};

struct play {
	enum play_cast cast;
	uint32_t kinds; /* bits 1 << enum transcript_kind: what is listened to */
	/* Lets the real ends do one step. True: something was done. */
	bool (*step)(void *arg);
	/* Says something for the end that is not real. */
	void (*put)(void *arg, const struct transcript_said *said);
	/* A value for a name that it may choose; 0: any number will do. */
	uint64_t (*choose)(void *arg, const char *name);
	void *arg;
	/* each record is compared again with each byte and argument of it changed: none may pass */
	bool doubt;
	/* the player's */
	uint64_t doubted; /* bytes and arguments */
	struct transcript_names names;
	const struct transcript *t;
	uint32_t next, end; /* records of t */
	struct transcript_said *said; /* heard and not yet compared: from said_first on */
	uint32_t said_first, said_count;
	uint64_t random;
};

bool play_has_guest(const struct play *p);
bool play_has_host(const struct play *p);
/* Whether the transcript speaks there. */
bool play_is_scripted(const struct play *p, enum transcript_way way);

void play_say(struct play *p, enum transcript_way way, enum transcript_kind kind, uint64_t arg0,
	      uint64_t arg1, const void *bytes, uint32_t len);
/* The last one is taken back: it was refused, and will be said again. */
void play_unsay(struct play *p);

/* The test fails when there is no such section. */
void play_begin(struct play *p, const struct transcript *t, const char *section);
/*
 * Compares what was heard, and says what is the transcript's to say now. True: something was done.
 */
bool play_go_on(struct play *p);
/* Until the section has been played. The test fails when nothing moves any more. */
void play_finish(struct play *p);
/* Lets the real ends do what they still have to do: nothing of it must be heard. */
void play_end(struct play *p);
void play_free(struct play *p);

#endif
