/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Transcripts: what a guest and a host say to each other, as tests/transcripts/ has it
 * (tools/transcripts tells the form), and their comparison with what was said.
 *
 *   t = transcript_load("bus-5.3.txt")
 *   section = transcript_section(t, "contact")          its records: t->records[section->first],
 *                                                       section->count
 *   transcript_match(names, record, &said, why)         binds the names that it meets for the first
 *                                                       time
 *   transcript_render(names, record, choose, arg, &said)   the other way: what a side would say
 *   transcript_free(t)
 *
 * A file that can't be read or has a mistake fails the test.
 */
#ifndef TESTS_CONFORMANCE_TRANSCRIPT_H
#define TESTS_CONFORMANCE_TRANSCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#define TRANSCRIPT_NAMES_MAX 1024u
#define TRANSCRIPT_WHY_MAX   512u

enum transcript_way {
	GUEST_TO_HOST,
	HOST_TO_GUEST,
};

enum transcript_kind {
	A_MESSAGE, /* args: the connection id, guest to host only */
	A_PACKET, /* of a ring: the channel */
	A_SIGNAL, /* the connection id */
	AN_EVENT, /* the channel */
	MEMORY, /* the page frame number, the offset */
	A_MONITOR, /* its id */
	PENDING, /* the monitor's id */
	A_SECTION, /* its number */
	A_SUBALLOCATION, /* its number */
	KIND_COUNT,
};

/* Of two values of the same name, the later ones must equal the first. */
struct transcript_names {
	uint32_t count;
	struct {
		char name[24];
		bool bound;
		uint64_t value;
	} at[TRANSCRIPT_NAMES_MAX];
};

/* One expected number: a literal, or (name not NULL) bytes of a named one. */
struct transcript_cell {
	uint8_t literal, index, width; /* index: which byte of width */
	bool may_be_zero;
	const char *name;
};

struct transcript_arg {
	uint64_t literal;
	const char *name; /* or NULL */
};

struct transcript_record {
	enum transcript_way way;
	enum transcript_kind kind;
	uint32_t line; /* of the file */
	bool optional;
	uint32_t arg_count;
	struct transcript_arg args[2];
	uint32_t len; /* bytes */
	struct transcript_cell *cells; /* one a byte */
	const char *comment;
};

struct transcript_section {
	char name[24];
	uint32_t first, count;
};

struct transcript {
	char file[64];
	char *text;
	uint32_t record_count, section_count;
	struct transcript_record *records;
	struct transcript_section *sections;
};

/* What was said. bytes: malloc. */
struct transcript_said {
	enum transcript_way way;
	enum transcript_kind kind;
	uint32_t arg_count;
	uint64_t args[2];
	uint32_t len;
	uint8_t *bytes;
};

struct transcript *transcript_load(const char *file);
void transcript_free(struct transcript *t);
/* NULL: there is none of that name. */
const struct transcript_section *transcript_section(const struct transcript *t, const char *name);

/* False: why says where and how they differ. */
bool transcript_match(const struct transcript *t, struct transcript_names *names,
		      const struct transcript_record *r, const struct transcript_said *said,
		      char why[TRANSCRIPT_WHY_MAX]);

/* choose gives a value to a name that has none. said->bytes is the caller's to free. */
void transcript_render(struct transcript_names *names, const struct transcript_record *r,
		       uint64_t (*choose)(void *arg, const char *name, uint32_t width), void *arg,
		       struct transcript_said *said);

/* The value of a name; the test fails when it has none. */
uint64_t transcript_value(const struct transcript_names *names, const char *name);

/* "g>h message at bus-5.3.txt:17 (OPEN_CHANNEL)" */
void transcript_describe(const struct transcript *t, const struct transcript_record *r, char *to,
			 uint32_t len);

#endif
