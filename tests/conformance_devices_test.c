// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The packets of keyboard, mouse, screen and dynamic memory, byte by byte, against
 * tests/transcripts/: by guest and host of ours, by our guest alone, by our host alone. The cores
 * are played without a channel: bus and rings are those of the other transcripts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/platform.h"
#include "guest/balloon.h"
#include "guest/keyboard.h"
#include "guest/mouse.h"
#include "guest/video.h"
#include "host/balloon.h"
#include "host/keyboard.h"
#include "host/mouse.h"
#include "host/video.h"
#include "tests/conformance_transcript.h"

#define CASTS	    3u
#define CAST_BOTH   0u
#define CAST_GUEST  1u
#define CAST_HOST   2u
#define ADDED_FIRST 0x40000u
#define ADDED_PAGES 0x8000u

static const char *const casts[] = { "guest and host", "guest alone", "host alone" };

/* All that there is; a test uses two of them. */
struct ends {
	uint32_t cast;
	const struct device *device;
	struct vmb_guest_keyboard guest_keyboard;
	struct vmb_host_keyboard host_keyboard;
	struct vmb_guest_mouse guest_mouse;
	struct vmb_host_mouse host_mouse;
	struct vmb_guest_video guest_video;
	struct vmb_host_video host_video;
	struct vmb_guest_balloon guest_balloon;
	struct vmb_host_balloon host_balloon;
	uint32_t map[(1u << 20) / 32];
	struct transcript_names names;
};

/* What one end says, and hears. */
struct end {
	const void *(*output)(struct ends *e, uint32_t *len);
	void (*done)(struct ends *e);
	int (*input)(struct ends *e, const void *payload, uint32_t len);
};

struct act {
	const char *section;
	void (*guest)(struct ends *e); /* or NULL */
	void (*host)(struct ends *e);
};

struct device {
	const char *name;
	struct end ends[2]; /* by enum transcript_way: who speaks so */
	const struct act *acts; /* up to one without a section */
};

#define END(who, kind)                                                          \
	static const void *who##_##kind##_output(struct ends *e, uint32_t *len) \
	{                                                                       \
		return vmb_##who##_##kind##_output(&e->who##_##kind, len);      \
	}                                                                       \
	static void who##_##kind##_done(struct ends *e)                         \
	{                                                                       \
		vmb_##who##_##kind##_output_done(&e->who##_##kind);             \
	}

#define INPUT(who, kind)                                                                   \
	static int who##_##kind##_input(struct ends *e, const void *payload, uint32_t len) \
	{                                                                                  \
		return vmb_##who##_##kind##_input(&e->who##_##kind, payload, len);         \
	}

/* clang-format off */
END(guest, keyboard) END(host, keyboard) INPUT(guest, keyboard) INPUT(host, keyboard)
END(guest, mouse) END(host, mouse) INPUT(host, mouse)
END(guest, video) END(host, video) INPUT(guest, video) INPUT(host, video)
END(guest, balloon) END(host, balloon) INPUT(guest, balloon) INPUT(host, balloon)
	/* clang-format on */

	static int guest_mouse_input(struct ends *e, const void *payload, uint32_t len)
{
	static const uint8_t wanted[] = { 1, 0x34, 0x12, 0x78, 0x56, 0xFF, 0xFF };
	struct vmb_guest_mouse_report report;
	int step = vmb_guest_mouse_input(&e->guest_mouse, payload, len, &report);

	if (step != VMB_GUEST_MOUSE_REPORT)
		return step;
	assert_int_equal(report.len, sizeof(wanted));
	assert_memory_equal(report.bytes, wanted, sizeof(wanted));
	return step;
}

#define ENDS(kind)                                                              \
	{                                                                       \
		[GUEST_TO_HOST] = { guest_##kind##_output, guest_##kind##_done, \
				    guest_##kind##_input },                     \
		[HOST_TO_GUEST] = { host_##kind##_output, host_##kind##_done,   \
				    host_##kind##_input },                      \
	}

/* Keyboard */

static void key(struct ends *e, uint16_t code, uint32_t flags)
{
	assert_int_equal(vmb_host_keyboard_key(&e->host_keyboard, code, flags), 0);
}

static void key_down(struct ends *e)
{
	key(e, 0x1E, 0);
}

static void key_up(struct ends *e)
{
	key(e, 0x1E, VMB_KEYBOARD_BREAK);
}

static void key_prefixed(struct ends *e)
{
	key(e, 0x48, VMB_KEYBOARD_E0);
}

static void set_lights(struct ends *e)
{
	assert_int_equal(vmb_guest_keyboard_leds(&e->guest_keyboard, 4), 0);
}

static const struct act keyboard_acts[] = {
	{ "open", NULL, NULL },		{ "down", NULL, key_down },
	{ "up", NULL, key_up },		{ "prefixed", NULL, key_prefixed },
	{ "lights", set_lights, NULL }, { NULL, NULL, NULL }
};
static const struct device keyboard = { "keyboard", ENDS(keyboard), keyboard_acts };

/* Mouse */

static void report_pointer(struct ends *e)
{
	const struct vmb_mouse_report report = { 1, 0x1234, 0x5678, -1 };

	assert_int_equal(vmb_host_mouse_report(&e->host_mouse, &report), 0);
}

static const struct act mouse_acts[] = { { "open", NULL, NULL },
					 { "report", NULL, report_pointer },
					 { NULL, NULL, NULL } };
static const struct device mouse = { "mouse", ENDS(mouse), mouse_acts };

/* Screen */

static void place(struct ends *e)
{
	assert_int_equal(vmb_guest_video_place(&e->guest_video, 0xF8000000), 0);
}

static void want_dirt(struct ends *e)
{
	assert_true(e->host_video.location.specified);
	assert_int_equal(e->host_video.location.gpa, 0xF8000000);
	vmb_host_video_want(&e->host_video, true);
}

static void show(struct ends *e)
{
	struct vmb_guest_video_mode mode = {
		.width = 1024,
		.height = 768,
		.pitch = 4096,
		.depth = e->guest_video.version == VMB_VIDEO_VERSION_3_0 ? 16 : 32,
	};

	assert_int_equal(vmb_guest_video_show(&e->guest_video, &mode), 0);
}

static void draw(struct ends *e)
{
	const struct vmb_video_rectangle rectangle = { 16, 32, 48, 64 };

	vmb_guest_video_dirt(&e->guest_video, &rectangle);
}

static const struct act video_acts[] = { { "open", NULL, NULL },
					 { "place", place, NULL },
					 { "show", show, want_dirt },
					 { "draw", draw, NULL },
					 { NULL, NULL, NULL } };
static const struct device video = { "video", ENDS(video), video_acts };

/* Dynamic memory */

static void report_memory(struct ends *e)
{
	const struct vmb_balloon_status status = { .available = 1000,
						   .committed = 2000,
						   .page_file = 3,
						   .zero_free = 4,
						   .page_file_writes = 5,
						   .io_difference = 6 };

	assert_int_equal(vmb_guest_balloon_report(&e->guest_balloon, &status), 0);
}

static void ask(struct ends *e)
{
	assert_int_equal(e->host_balloon.status.committed, 2000);
	assert_int_equal(vmb_host_balloon_ask(&e->host_balloon, 1024), 0);
}

static void give_back(struct ends *e)
{
	assert_int_equal(e->host_balloon.done, 768);
	assert_int_equal(vmb_host_balloon_give(&e->host_balloon, 768), 0);
}

static void add(struct ends *e)
{
	assert_int_equal(vmb_host_balloon_add(&e->host_balloon, ADDED_FIRST, ADDED_PAGES,
					      ADDED_FIRST, 0x40000),
			 0);
}

static const struct act balloon_acts[] = {
	{ "open", NULL, NULL }, { "status", report_memory, NULL },
	{ "give", NULL, ask },	{ "return", NULL, give_back },
	{ "add", NULL, add },	{ NULL, NULL, NULL }
};
static const struct device balloon = { "balloon", ENDS(balloon), balloon_acts };

/* What a guest's port does when it has heard this: 512 pages at once, 256 more later. */
static void serve_memory(struct ends *e, uint32_t turn)
{
	struct vmb_guest_balloon *g = &e->guest_balloon;

	if (g->state == VMB_GUEST_BALLOON_GIVING && turn == 0) {
		assert_int_equal(g->wanted, 1024);
		assert_int_equal(vmb_guest_balloon_range(g, 512, 512), 0);
		vmb_guest_balloon_flush(g);
	} else if (g->state == VMB_GUEST_BALLOON_GIVING) {
		assert_int_equal(vmb_guest_balloon_range(g, 2048, 256), 0);
		assert_int_equal(vmb_guest_balloon_given(g), 0);
	} else if (g->state == VMB_GUEST_BALLOON_TAKING) {
		assert_int_equal(g->range_count, 2);
		vmb_guest_balloon_taken(g);
	} else if (g->state == VMB_GUEST_BALLOON_ADDING) {
		assert_int_equal(g->add_first, ADDED_FIRST);
		vmb_guest_balloon_added(g, ADDED_PAGES, false);
	}
}

/* The player */

static bool is_real(const struct ends *e, enum transcript_way way)
{
	return e->cast == CAST_BOTH || e->cast == (way == GUEST_TO_HOST ? CAST_GUEST : CAST_HOST);
}

static uint64_t choose(void *arg, const char *name, uint32_t width)
{
	return 0x5A; /* not what ours would */
}

static uint8_t *copy(const void *bytes, uint32_t len)
{
	uint8_t *all = malloc(len);

	assert_non_null(all);
	memcpy(all, bytes, len);
	return all;
}

static struct transcript_said speak(struct ends *e, const struct transcript *t,
				    const struct transcript_record *r)
{
	const struct end *end = &e->device->ends[r->way];
	struct transcript_said said = { .way = r->way, .kind = A_PACKET, .arg_count = 1 };
	char why[TRANSCRIPT_WHY_MAX];
	const void *payload;

	if (!is_real(e, r->way)) {
		transcript_render(&e->names, r, choose, NULL, &said);
		return said;
	}
	payload = end->output(e, &said.len);
	if (!payload)
		fail_msg("%s:%u: nothing is said", t->file, r->line);
	said.bytes = copy(payload, said.len);
	if (!transcript_match(t, &e->names, r, &said, why))
		fail_msg("%s", why);
	end->done(e);
	return said;
}

static void hear(struct ends *e, const struct transcript *t, const struct transcript_record *r,
		 const struct transcript_said *said)
{
	enum transcript_way other = r->way == GUEST_TO_HOST ? HOST_TO_GUEST : GUEST_TO_HOST;

	if (is_real(e, other) && e->device->ends[other].input(e, said->bytes, said->len) < 0)
		fail_msg("%s:%u: refused", t->file, r->line);
}

static void expect_silence(struct ends *e, const struct transcript *t, const char *section)
{
	uint32_t len;

	for (int way = GUEST_TO_HOST; way <= HOST_TO_GUEST; way++)
		if (is_real(e, (enum transcript_way)way) && e->device->ends[way].output(e, &len))
			fail_msg("%s: more is said in %s", t->file, section);
}

static void play_section(struct ends *e, const struct transcript *t, const struct act *act)
{
	const struct transcript_section *section = transcript_section(t, act->section);
	uint32_t turn = 0;

	assert_non_null(section);
	if (act->guest && is_real(e, GUEST_TO_HOST))
		act->guest(e);
	if (act->host && is_real(e, HOST_TO_GUEST))
		act->host(e);
	for (uint32_t i = 0; i < section->count; i++) {
		const struct transcript_record *r = &t->records[section->first + i];
		struct transcript_said said;

		if (e->device == &balloon && r->way == GUEST_TO_HOST && is_real(e, GUEST_TO_HOST))
			serve_memory(e, turn++);
		said = speak(e, t, r);
		hear(e, t, r, &said);
		free(said.bytes);
	}
	expect_silence(e, t, act->section);
}

static void begin(struct ends *e, uint32_t bus_version)
{
	static const struct vmb_video_resolution resolutions[] = { { 800, 600 }, { 1024, 768 } };
	static const struct vmb_host_ram ram[] = { { 0, 1u << 16 }, { ADDED_FIRST, ADDED_PAGES } };
	const struct vmb_host_video_config screen = { .bus_version = bus_version,
						      .memory_len = 8u << 20,
						      .resolutions = resolutions,
						      .resolution_count = 2,
						      .preferred = 1 };
	const struct vmb_host_balloon_config memory = { .bus_version = bus_version,
							.ram = ram,
							.ram_count = 2,
							.map = e->map,
							.map_pages = 1u << 20,
							.page_max = 1u << 20 };

	vmb_guest_keyboard_init(&e->guest_keyboard);
	vmb_host_keyboard_init(&e->host_keyboard);
	vmb_host_keyboard_reset(&e->host_keyboard);
	vmb_guest_mouse_init(&e->guest_mouse);
	vmb_host_mouse_init(&e->host_mouse);
	vmb_host_mouse_reset(&e->host_mouse);
	vmb_guest_video_init(&e->guest_video, VMB_VERSION_6_0);
	vmb_host_video_init(&e->host_video, &screen);
	vmb_host_video_reset(&e->host_video);
	vmb_guest_balloon_init(&e->guest_balloon, VMB_BALLOON_CAP_BALLOON | VMB_BALLOON_CAP_ADD |
							  7u << VMB_BALLOON_CAP_ALIGN_SHIFT);
	vmb_host_balloon_init(&e->host_balloon, &memory);
	vmb_host_balloon_reset(&e->host_balloon);
}

static void play(const struct device *device, const char *version, uint32_t bus_version)
{
	char file[64];
	struct transcript *t;

	snprintf(file, sizeof(file), "%s-%s.txt", device->name, version);
	t = transcript_load(file);
	for (uint32_t cast = 0; cast < CASTS; cast++) {
		struct ends *e = calloc(1, sizeof(*e));

		assert_non_null(e);
		print_message("# %s %s, %s\n", device->name, version, casts[cast]);
		e->cast = cast;
		e->device = device;
		begin(e, bus_version);
		for (const struct act *act = device->acts; act->section; act++)
			play_section(e, t, act);
		free(e);
	}
	transcript_free(t);
}

static void test_the_keyboard_speaks_as_written(void **state)
{
	play(&keyboard, "1.0", VMB_VERSION_6_0);
}

static void test_the_mouse_speaks_as_written(void **state)
{
	play(&mouse, "2.0", VMB_VERSION_6_0);
}

static void test_the_screen_of_every_version_speaks_as_written(void **state)
{
	play(&video, "3.0", VMB_VERSION_1_1);
	play(&video, "3.2", VMB_VERSION_3_0);
	play(&video, "3.5", VMB_VERSION_6_0);
}

static void test_dynamic_memory_of_every_version_speaks_as_written(void **state)
{
	play(&balloon, "0.3", VMB_VERSION_1_1);
	play(&balloon, "1.0", VMB_VERSION_3_0);
	play(&balloon, "2.0", VMB_VERSION_6_0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_keyboard_speaks_as_written),
		cmocka_unit_test(test_the_mouse_speaks_as_written),
		cmocka_unit_test(test_the_screen_of_every_version_speaks_as_written),
		cmocka_unit_test(test_dynamic_memory_of_every_version_speaks_as_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
