// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reads the files of tests/transcripts/ and compares their records with what was said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/conformance_transcript.h"

static const char *const kinds[KIND_COUNT] = {
	[A_MESSAGE] = "message", [A_PACKET] = "ring",	  [A_SIGNAL] = "signal",
	[AN_EVENT] = "event",	 [MEMORY] = "memory",	  [A_MONITOR] = "monitor",
	[PENDING] = "pending",	 [A_SECTION] = "section", [A_SUBALLOCATION] = "suballocation",
};
static const char *const ways[] = { [GUEST_TO_HOST] = "g>h", [HOST_TO_GUEST] = "h>g" };

/* Reading. Names and comments stay in the text, which is cut into pieces. */

static char *read_text(const char *file)
{
	char path[128];
	char *text;
	size_t len;
	FILE *in;

	snprintf(path, sizeof(path), "tests/transcripts/%s", file);
	in = fopen(path, "r");
	if (!in)
		fail_msg("%s is missing", path);
	text = calloc(1, 1u << 20);
	assert_non_null(text);
	len = fread(text, 1, (1u << 20) - 1, in);
	assert_true(len && len < (1u << 20) - 1);
	fclose(in);
	return text;
}

static int find(const char *const *table, int count, const char *word)
{
	int i;

	for (i = 0; i < count; i++)
		if (!strcmp(table[i], word))
			return i;
	return -1;
}

/* "{name}" or a hexadecimal number. */
static struct transcript_arg read_arg(char *word)
{
	struct transcript_arg arg = { 0, NULL };

	if (word[0] == '{') {
		arg.name = word + 1;
		word[strcspn(word, "}")] = 0;
	} else {
		arg.literal = strtoull(word, NULL, 16);
	}
	return arg;
}

static struct transcript_cell *add_cells(struct transcript_record *r, uint32_t count)
{
	r->cells = realloc(r->cells, (r->len + count) * sizeof(*r->cells));
	assert_non_null(r->cells);
	memset(r->cells + r->len, 0, count * sizeof(*r->cells));
	r->len += count;
	return r->cells + r->len - count;
}

/* "{name:4}", "{name?:8}" or two hexadecimal digits. */
static void read_bytes(struct transcript_record *r, char *word)
{
	struct transcript_cell *cells;
	uint32_t width, i;
	char *colon;

	if (word[0] != '{') {
		add_cells(r, 1)->literal = (uint8_t)strtoul(word, NULL, 16);
		return;
	}
	colon = strchr(word, ':');
	assert_non_null(colon);
	*colon = 0;
	width = (uint32_t)strtoul(colon + 1, NULL, 10);
	assert_true(width && width <= 8);
	cells = add_cells(r, width);
	for (i = 0; i < width; i++)
		cells[i] = (struct transcript_cell){ .name = word + 1,
						     .index = (uint8_t)i,
						     .width = (uint8_t)width,
						     .may_be_zero = colon[-1] == '?' };
}

static void read_head(struct transcript *t, char *word, uint32_t line, const char *comment)
{
	struct transcript_record *r;
	char *kind = strtok(NULL, " ");

	t->records = realloc(t->records, (t->record_count + 1) * sizeof(*t->records));
	r = &t->records[t->record_count++];
	memset(r, 0, sizeof(*r));
	r->way = (enum transcript_way)find(ways, 2, word);
	r->optional = kind && kind[strlen(kind) - 1] == '?';
	if (r->optional)
		kind[strlen(kind) - 1] = 0;
	r->kind = (enum transcript_kind)(kind ? find(kinds, KIND_COUNT, kind) : -1);
	if ((int)r->way < 0 || (int)r->kind < 0 || !t->section_count)
		fail_msg("%s:%u: what is this?", t->file, line);
	r->line = line;
	r->comment = comment;
	while ((word = strtok(NULL, " ")) && r->arg_count < 2)
		r->args[r->arg_count++] = read_arg(word);
	t->sections[t->section_count - 1].count++;
}

static void read_section(struct transcript *t)
{
	struct transcript_section *s;

	t->sections = realloc(t->sections, (t->section_count + 1) * sizeof(*t->sections));
	s = &t->sections[t->section_count++];
	memset(s, 0, sizeof(*s));
	snprintf(s->name, sizeof(s->name), "%s", strtok(NULL, " "));
	s->first = t->record_count;
}

static void read_line(struct transcript *t, char *text, uint32_t line)
{
	bool indented = text[0] == ' ';
	char *hash = strchr(text, '#');
	const char *comment = NULL;
	char *word;

	if (hash) {
		*hash = 0;
		comment = hash + 1 + strspn(hash + 1, " ");
	}
	word = strtok(text, " ");
	if (!word)
		return;
	if (!strcmp(word, "==")) {
		read_section(t);
	} else if (!indented) {
		read_head(t, word, line, comment);
	} else {
		assert_true(t->record_count);
		for (; word; word = strtok(NULL, " "))
			read_bytes(&t->records[t->record_count - 1], word);
	}
}

struct transcript *transcript_load(const char *file)
{
	struct transcript *t = calloc(1, sizeof(*t));
	char *at, *end;
	uint32_t line = 1;

	assert_non_null(t);
	snprintf(t->file, sizeof(t->file), "%s", file);
	t->text = read_text(file);
	for (at = t->text; *at; at = end + 1, line++) {
		end = strchr(at, '\n');
		if (!end)
			fail_msg("%s:%u: the last line has no end", file, line);
		*end = 0;
		read_line(t, at, line);
	}
	return t;
}

void transcript_free(struct transcript *t)
{
	uint32_t i;

	for (i = 0; i < t->record_count; i++)
		free(t->records[i].cells);
	free(t->records);
	free(t->sections);
	free(t->text);
	free(t);
}

const struct transcript_section *transcript_section(const struct transcript *t, const char *name)
{
	uint32_t i;

	for (i = 0; i < t->section_count; i++)
		if (!strcmp(t->sections[i].name, name))
			return &t->sections[i];
	return NULL;
}

/* Names */

static uint32_t name_index(struct transcript_names *names, const char *name)
{
	uint32_t i;

	for (i = 0; i < names->count; i++)
		if (!strcmp(names->at[i].name, name))
			return i;
	assert_true(names->count < TRANSCRIPT_NAMES_MAX);
	memset(&names->at[i], 0, sizeof(names->at[i]));
	snprintf(names->at[i].name, sizeof(names->at[i].name), "%s", name);
	names->count++;
	return i;
}

uint64_t transcript_value(const struct transcript_names *names, const char *name)
{
	uint32_t i;

	for (i = 0; i < names->count; i++)
		if (!strcmp(names->at[i].name, name) && names->at[i].bound)
			return names->at[i].value;
	fail_msg("{%s} has no value yet", name);
	return 0;
}

/* False: the name has another value. */
static bool bind(struct transcript_names *names, const char *name, uint64_t value)
{
	uint32_t i = name_index(names, name);

	if (!names->at[i].bound) {
		names->at[i].bound = true;
		names->at[i].value = value;
	}
	return names->at[i].value == value;
}

/* Comparing */

void transcript_describe(const struct transcript *t, const struct transcript_record *r, char *to,
			 uint32_t len)
{
	snprintf(to, len, "%s %s at tests/transcripts/%s:%u%s%s", ways[r->way], kinds[r->kind],
		 t->file, r->line, r->comment ? ", " : "", r->comment ? r->comment : "");
}

static bool match_args(struct transcript_names *names, const struct transcript_record *r,
		       const struct transcript_said *said, char *why)
{
	uint32_t i;
	bool good;

	for (i = 0; i < r->arg_count; i++) {
		good = r->args[i].name ? bind(names, r->args[i].name, said->args[i]) :
					 r->args[i].literal == said->args[i];
		if (!good) {
			snprintf(why, TRANSCRIPT_WHY_MAX, "its argument %u is %llx", i,
				 (unsigned long long)said->args[i]);
			return false;
		}
	}
	return true;
}

static uint64_t get(const uint8_t *at, uint32_t width)
{
	uint64_t value = 0;

	while (width--)
		value = value << 8 | at[width];
	return value;
}

static bool match_name(struct transcript_names *names, const struct transcript_cell *cell,
		       uint64_t value, uint32_t at, char *why)
{
	if (!value && !cell->may_be_zero) {
		snprintf(why, TRANSCRIPT_WHY_MAX, "offset %u: {%s} is 0", at, cell->name);
		return false;
	}
	if (bind(names, cell->name, value))
		return true;
	snprintf(why, TRANSCRIPT_WHY_MAX, "offset %u: {%s} is %llx here and %llx before", at,
		 cell->name, (unsigned long long)value,
		 (unsigned long long)transcript_value(names, cell->name));
	return false;
}

static bool match_bytes(struct transcript_names *names, const struct transcript_record *r,
			const struct transcript_said *said, char *why)
{
	const struct transcript_cell *cell;
	uint32_t at, step;

	for (at = 0; at < r->len; at += step) {
		cell = &r->cells[at];
		step = cell->name ? cell->width : 1;
		if (cell->name) {
			if (!match_name(names, cell, get(said->bytes + at, step), at, why))
				return false;
		} else if (cell->literal != said->bytes[at]) {
			snprintf(why, TRANSCRIPT_WHY_MAX, "offset %u is %02x and should be %02x",
				 at, said->bytes[at], cell->literal);
			return false;
		}
	}
	return true;
}

bool transcript_match(const struct transcript *t, struct transcript_names *names,
		      const struct transcript_record *r, const struct transcript_said *said,
		      char why[TRANSCRIPT_WHY_MAX])
{
	char detail[TRANSCRIPT_WHY_MAX] = "", where[256];

	if (r->way != said->way || r->kind != said->kind || r->arg_count > said->arg_count)
		snprintf(detail, sizeof(detail), "there was a %s %s of %u bytes instead",
			 ways[said->way], kinds[said->kind], said->len);
	else if (r->len != said->len)
		snprintf(detail, sizeof(detail), "it has %u bytes and should have %u", said->len,
			 r->len);
	else if (match_args(names, r, said, detail) && match_bytes(names, r, said, detail))
		return true;
	transcript_describe(t, r, where, sizeof(where));
	snprintf(why, TRANSCRIPT_WHY_MAX, "%.200s: %.300s", where, detail);
	return false;
}

/* Speaking */

static uint64_t value_or_choice(struct transcript_names *names, const char *name, uint32_t width,
				uint64_t (*choose)(void *arg, const char *name, uint32_t width),
				void *arg)
{
	uint32_t i = name_index(names, name);

	if (!names->at[i].bound) {
		names->at[i].value = choose(arg, name, width);
		names->at[i].bound = true;
	}
	return names->at[i].value;
}

void transcript_render(struct transcript_names *names, const struct transcript_record *r,
		       uint64_t (*choose)(void *arg, const char *name, uint32_t width), void *arg,
		       struct transcript_said *said)
{
	const struct transcript_cell *cell;
	uint32_t i;

	memset(said, 0, sizeof(*said));
	said->way = r->way;
	said->kind = r->kind;
	said->arg_count = r->arg_count;
	for (i = 0; i < r->arg_count; i++)
		said->args[i] = r->args[i].name ?
					value_or_choice(names, r->args[i].name, 8, choose, arg) :
					r->args[i].literal;
	said->len = r->len;
	said->bytes = malloc(r->len ? r->len : 1);
	assert_non_null(said->bytes);
	for (i = 0; i < r->len; i++) {
		cell = &r->cells[i];
		said->bytes[i] = cell->literal;
		if (cell->name)
			said->bytes[i] = (uint8_t)(value_or_choice(names, cell->name, cell->width,
								   choose, arg) >>
						   8 * cell->index);
	}
}
