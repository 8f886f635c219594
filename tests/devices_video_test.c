// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Video, both ends in one process, stepped by hand: what the guest draws is seen, where it may have
 * the video memory, and what becomes of that when it moves, closes the channel, lies or is reset.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/event.h"
#include "devices/video.h"
#include "ports/user/guest.h"
#include "tests/guest_thread.h"

#define PAGES 512u
#define GPA   (VMB_USER_WINDOW_GPA + (1u << 20))

static bool threaded;

static struct bed {
	struct vmb_user_machine machine;
	struct vmb_user_guest guest;
	struct guest_thread thread; /* of the threaded case */
	struct vmb_dev_video *video;
	struct vmb_user_device *d;
	uint32_t pixels[1024 * 768];
} * b;

static void settle(void)
{
	uint32_t steps = 0;
	bool any;

	do {
		any = vmb_user_machine_step(&b->machine);
		any |= vmb_user_guest_step(&b->guest);
		assert_true(++steps < 5000);
	} while (any);
}

static void say(void)
{
	vmb_user_guest_say(b->d);
	settle();
}

static void add_device(void)
{
	struct vmb_dev_video_config config = { .bus_version = VMB_VERSION_NEWEST };
	struct vmb_dev_device device;

	assert_true(vmb_dev_video_parse(NULL, &config.preferred));
	assert_int_equal(vmb_dev_video_open(&device, &config), 0);
	b->video = vmb_dev_video_of(&device);
	assert_int_equal(vmb_user_machine_add(&b->machine, &device), 0);
}

static void begin(uint32_t version_max)
{
	const struct vmb_user_machine_config machine = { .page_count = PAGES,
							 .threads = threaded,
							 .version_max = version_max };
	const struct vmb_user_guest_config guest = { .ring_pages = 5 };

	b = calloc(1, sizeof(*b));
	assert_int_equal(vmb_user_machine_init(&b->machine, &machine), 0);
	assert_int_equal(vmb_user_guest_init(&b->guest, &b->machine, &guest), 0);
	add_device();
	if (threaded)
		guest_thread_start(&b->thread, &b->guest);
	assert_int_equal(vmb_user_guest_start(&b->guest), 0);
	b->d = vmb_user_guest_video(&b->guest);
	assert_non_null(b->d);
	assert_int_equal(vmb_user_guest_open(&b->guest, b->d), 0);
	if (!threaded)
		say();
}

static int set_up(void **state)
{
	begin(0);
	return 0;
}

static int tear_down(void **state)
{
	if (threaded)
		guest_thread_stop(&b->thread);
	vmb_user_guest_destroy(&b->guest);
	vmb_user_machine_destroy(&b->machine);
	free(b);
	return 0;
}

static uint32_t came(enum vmb_guest_video_step step)
{
	return b->d->video.steps[step];
}

static void place(uint64_t gpa)
{
	uint32_t placed = came(VMB_GUEST_VIDEO_PLACED);

	assert_int_equal(vmb_guest_video_place(&b->d->video.core, gpa), 0);
	say();
	assert_int_equal(came(VMB_GUEST_VIDEO_PLACED), placed + 1);
	assert_int_equal(b->machine.mapped.gpa, gpa);
	assert_non_null(b->machine.mapped.base);
}

static void show(uint32_t width, uint32_t height, uint8_t depth)
{
	const struct vmb_guest_video_mode mode = {
		.width = width, .height = height, .pitch = width * depth / 8, .depth = depth
	};

	assert_int_equal(vmb_guest_video_show(&b->d->video.core, &mode), 0);
	say();
}

static struct vmb_host_video_mode look(void)
{
	struct vmb_host_video_mode mode;

	vmb_dev_video_look(b->video, &mode);
	return mode;
}

static bool read_all(void)
{
	struct vmb_host_video_mode mode = look();
	const struct vmb_video_rectangle all = { 0, 0, (int32_t)mode.width, (int32_t)mode.height };

	return vmb_dev_video_read(b->video, &mode, &all, b->pixels, mode.width);
}

/* The guest is told that it broke the protocol by nothing: its packets are left alone. */
static void expect_broken(void)
{
	uint32_t placed = came(VMB_GUEST_VIDEO_PLACED);

	b->d->video.spoil = NULL;
	b->d->video.core.state = VMB_GUEST_VIDEO_OPEN;
	assert_int_equal(vmb_guest_video_place(&b->d->video.core, GPA), 0);
	say();
	assert_int_equal(came(VMB_GUEST_VIDEO_PLACED), placed);
}

static void test_a_guest_finds_the_memory_and_the_resolutions(void **state)
{
	const struct vmb_guest_video *core = &b->d->video.core;

	assert_int_equal(b->d->channel.offer.mmio_mib, 8);
	assert_int_equal(b->d->channel.offer.flags, 0x10);
	assert_int_equal(b->d->channel.offer.user[0], 4);
	assert_int_equal(core->version, VMB_VIDEO_VERSION_3_5);
	assert_int_equal(core->resolutions[core->preferred].width, 1024);
	assert_int_equal(core->resolutions[core->preferred].height, 768);
	for (uint32_t i = 0; i < core->resolution_count; i++)
		assert_true(core->resolutions[i].width * core->resolutions[i].height * 4u <=
			    8u << 20);
	assert_false(look().active);
	assert_false(read_all());
}

static void test_what_the_guest_draws_is_read(void **state)
{
	uint32_t *screen;

	place(GPA);
	show(1024, 768, 32);
	assert_true(look().active);
	screen = (uint32_t *)b->machine.mapped.base;
	for (uint32_t i = 0; i < 1024 * 768; i++)
		screen[i] = 0xAB000000 | i * 7;
	assert_true(read_all());
	for (uint32_t i = 0; i < 1024 * 768; i++)
		assert_int_equal(b->pixels[i], i * 7);
}

static void test_sixteen_bits_are_made_whole_colours(void **state)
{
	uint16_t *screen;

	place(GPA);
	show(640, 480, 16);
	screen = (uint16_t *)b->machine.mapped.base;
	screen[0] = 0xF800;
	screen[1] = 0x07E0;
	screen[2] = 0x001F;
	screen[640] = 0xFFFF;
	screen[641] = 0x8410;
	assert_true(read_all());
	assert_int_equal(b->pixels[0], 0xFF0000);
	assert_int_equal(b->pixels[1], 0x00FF00);
	assert_int_equal(b->pixels[2], 0x0000FF);
	assert_int_equal(b->pixels[640], 0xFFFFFF);
	assert_int_equal(b->pixels[641], 0x848284);
}

static void test_part_of_the_picture_is_read_and_nothing_else(void **state)
{
	static const struct vmb_video_rectangle outside[] = {
		{ -1, 0, 1, 1 }, { 0, -1, 1, 1 }, { 0, 0, 641, 1 }, { 0, 0, 1, 481 },
		{ 5, 5, 5, 6 },	 { 5, 5, 6, 5 },  { 7, 7, 6, 8 },
	};
	const struct vmb_video_rectangle part = { 10, 20, 12, 22 };
	struct vmb_host_video_mode mode;

	place(GPA);
	show(640, 480, 32);
	mode = look();
	((uint32_t *)b->machine.mapped.base)[21 * 640 + 11] = 0x123456;
	assert_true(vmb_dev_video_read(b->video, &mode, &part, b->pixels, 100));
	assert_int_equal(b->pixels[101], 0x123456);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(outside); i++)
		assert_false(vmb_dev_video_read(b->video, &mode, &outside[i], b->pixels, 100));
	show(800, 600, 32);
	assert_false(vmb_dev_video_read(b->video, &mode, &part, b->pixels, 100));
}

static void test_a_watcher_is_told_what_changes(void **state)
{
	const struct vmb_video_rectangle dirt = { 3, 4, 50, 60 }, more = { 1, 70, 5, 80 };
	struct vmb_dev_video_changes changes;
	int fd = vmb_dev_event_create();
	uint64_t count;

	place(GPA);
	show(640, 480, 32);
	vmb_guest_video_dirt(&b->d->video.core, &dirt); /* nobody wants to know */
	say();
	vmb_dev_video_changes(b->video, &changes);
	assert_true(changes.mode);
	assert_false(changes.silent);
	assert_int_equal(changes.dirt.right, 640);
	assert_false(b->d->video.core.dirt_wanted);
	vmb_dev_video_watch(b->video, fd);
	settle();
	say(); /* the form, again */
	assert_true(b->d->video.core.dirt_wanted);
	vmb_dev_video_changes(b->video, &changes);
	vmb_dev_event_clear(fd);
	vmb_guest_video_dirt(&b->d->video.core, &dirt);
	say();
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	vmb_guest_video_dirt(&b->d->video.core, &more);
	say();
	vmb_dev_video_changes(b->video, &changes);
	assert_false(changes.mode);
	assert_memory_equal(&changes.dirt, &((struct vmb_video_rectangle){ 1, 4, 50, 80 }),
			    sizeof(dirt));
	vmb_dev_video_watch(b->video, -1);
	settle();
	assert_false(b->d->video.core.dirt_wanted);
	close(fd);
}

static void test_the_memory_moves_with_its_picture(void **state)
{
	place(GPA);
	show(640, 480, 32);
	((uint32_t *)b->machine.mapped.base)[7] = 0x112233;
	place(GPA + (16u << 20));
	place(GPA + (16u << 20)); /* where it is already */
	assert_int_equal(((uint32_t *)b->machine.mapped.base)[7], 0x112233);
	assert_true(read_all());
	assert_int_equal(b->pixels[7], 0x112233);
}

static void test_the_memory_is_nowhere_else_than_in_the_window(void **state)
{
	static const uint64_t places[] = {
		0, /* RAM, or nothing */
		VMB_USER_FIRST_PFN << VMB_PAGE_SHIFT,
		VMB_USER_WINDOW_GPA - VMB_PAGE_LEN,
		VMB_USER_WINDOW_GPA + VMB_USER_WINDOW_LEN - (8u << 20) + VMB_PAGE_LEN,
		GPA + 1, /* not at a page */
		GPA + 512,
		UINT64_MAX - VMB_PAGE_LEN + 1,
		UINT64_MAX - (8u << 20) + 1,
		1ull << 63,
	};

	for (size_t i = 0; i < VMB_ARRAY_COUNT(places); i++) {
		place(GPA); /* what it had is taken away */
		assert_int_equal(vmb_guest_video_place(&b->d->video.core, places[i]), 0);
		say();
		assert_null(b->machine.mapped.base);
		expect_broken();
		assert_int_equal(vmb_user_guest_close(&b->guest, b->d), 0);
		settle();
		assert_int_equal(vmb_user_guest_open(&b->guest, b->d), 0);
		say();
	}
}

static void not_specified(uint8_t *message, uint32_t *len)
{
	if (message[8] == VMB_VIDEO_LOCATION)
		message[24] = 0;
}

static void test_a_guest_that_names_no_place_has_none(void **state)
{
	b->d->video.spoil = not_specified;
	assert_int_equal(vmb_guest_video_place(&b->d->video.core, GPA), 0);
	say();
	assert_int_equal(came(VMB_GUEST_VIDEO_PLACED), 1);
	assert_null(b->machine.mapped.base);
}

/* As firmware does, whose picture the system shows on. */
static void test_a_picture_outlives_its_channel(void **state)
{
	struct vmb_dev_video_changes changes;

	place(GPA);
	show(640, 480, 32);
	assert_int_equal(vmb_user_guest_close(&b->guest, b->d), 0);
	settle();
	((uint32_t *)b->machine.mapped.base)[9] = 0x445566;
	assert_true(read_all());
	assert_int_equal(b->pixels[9], 0x445566);
	vmb_dev_video_changes(b->video, &changes);
	assert_true(changes.silent);
	assert_int_equal(vmb_user_guest_open(&b->guest, b->d), 0);
	say();
	place(GPA + (8u << 20));
	show(800, 600, 32);
	vmb_dev_video_changes(b->video, &changes);
	assert_false(changes.silent);
	assert_int_equal(look().width, 800);
}

static void test_a_machine_that_starts_again_has_a_black_screen(void **state)
{
	const struct vmb_dev_device_ops *ops;
	struct vmb_dev_bus_config config;
	struct vmb_dev_device device;

	place(GPA);
	show(640, 480, 32);
	((uint32_t *)b->machine.mapped.base)[9] = 0x445566;
	device = b->machine.devices->device;
	ops = device.ops;
	config = b->machine.bus->config;
	vmb_user_guest_destroy(&b->guest);
	vmb_dev_bus_reset(b->machine.bus);
	for (uint32_t i = 0; i < 100; i++)
		vmb_user_machine_step(&b->machine);
	vmb_dev_bus_stop(b->machine.bus);
	ops->detach(device.state);
	vmb_dev_bus_destroy(b->machine.bus);
	b->machine.bus = vmb_dev_bus_create(&config);
	memset(&b->machine.mapped, 0, sizeof(b->machine.mapped)); /* another virtual machine */
	assert_int_equal(ops->attach(device.state, b->machine.bus), 0);
	assert_false(look().active);
	assert_int_equal(vmb_user_guest_init(&b->guest, &b->machine,
					     &(struct vmb_user_guest_config){ .ring_pages = 5 }),
			 0);
	assert_int_equal(vmb_user_guest_start(&b->guest), 0);
	b->d = vmb_user_guest_video(&b->guest);
	assert_int_equal(vmb_user_guest_open(&b->guest, b->d), 0);
	say();
	place(GPA);
	show(640, 480, 32);
	assert_true(read_all());
	assert_int_equal(b->pixels[9], 0);
}

static uint32_t spoil_type, spoil_at, spoil_len;
static uint8_t spoil_value;

static void spoil(uint8_t *message, uint32_t *len)
{
	if (message[8] != spoil_type)
		return;
	message[spoil_at] = spoil_value;
	*len = spoil_len ? spoil_len : *len;
}

static void test_a_guest_that_breaks_the_protocol_has_no_video_until_it_opens_again(void **state)
{
	static const struct {
		uint32_t type, at, len;
		uint8_t value;
	} all[] = {
		{ VMB_VIDEO_SITUATION, 8, 0, 77 }, /* no such type */
		{ VMB_VIDEO_SITUATION, 0, 0, 2 }, /* no data of a pipe */
		{ VMB_VIDEO_SITUATION, 4, 0, 200 }, /* longer than the packet */
		{ VMB_VIDEO_SITUATION, 24, 0, 2 }, /* two outputs */
		{ VMB_VIDEO_SITUATION, 30, 0, 24 }, /* 24 bits */
		{ VMB_VIDEO_SITUATION, 42, 0, 0xFF }, /* pitch */
		{ VMB_VIDEO_SITUATION, 29, 0, 0xFF }, /* offset */
		{ VMB_VIDEO_SITUATION, 16, 8, 0 }, /* cut short */
	};

	for (size_t i = 0; i < VMB_ARRAY_COUNT(all); i++) {
		place(GPA);
		spoil_type = all[i].type;
		spoil_at = all[i].at;
		spoil_len = all[i].len;
		spoil_value = all[i].value;
		b->d->video.spoil = spoil;
		show(640, 480, 32);
		expect_broken();
		assert_int_equal(vmb_user_guest_close(&b->guest, b->d), 0);
		settle();
		assert_int_equal(vmb_user_guest_open(&b->guest, b->d), 0);
		say();
	}
	place(GPA);
	show(640, 480, 32);
	assert_true(look().active);
}

/* It asks again and again, and never reads an answer. */
static void test_a_guest_that_never_reads_costs_nothing(void **state)
{
	uint32_t asked = 0, steps = 0;

	place(GPA);
	b->d->service.deaf = true;
	while (asked < 3000) {
		b->d->video.core.due |= 2; /* resolutions, once more */
		vmb_user_guest_say(b->d);
		asked++;
		while (vmb_user_machine_step(&b->machine) && steps < 100000)
			steps++;
	}
	assert_true(steps < 100000);
	b->d->service.deaf = false;
	b->d->interrupted = true;
	say();
	place(GPA + (8u << 20));
}

static void test_resolutions_have_names(void **state)
{
	uint8_t preferred;

	assert_true(vmb_dev_video_parse("1920x1080", &preferred));
	assert_int_equal(preferred, 11);
	assert_false(vmb_dev_video_parse("1920x1081", &preferred));
	assert_false(vmb_dev_video_parse("1920x1080 ", &preferred));
	assert_false(vmb_dev_video_parse("1920", &preferred));
	assert_false(vmb_dev_video_parse("", &preferred));
}

static void test_threads_serve_it_and_end(void **state)
{
	struct vmb_dev_video_changes changes;
	int fd = vmb_dev_event_create();

	vmb_dev_video_watch(b->video, fd);
	vmb_dev_video_changes(b->video, &changes);
	assert_int_equal(vmb_user_guest_close(&b->guest, b->d), 0);
	vmb_dev_video_watch(b->video, -1);
	close(fd);
}

static bool enough; /* atomic */

static void *watch_again_and_again(void *arg)
{
	int fd = vmb_dev_event_create();

	while (!__atomic_load_n(&enough, __ATOMIC_ACQUIRE)) {
		vmb_dev_video_watch(arg, fd);
		vmb_dev_video_watch(arg, -1);
	}
	close(fd);
	return NULL;
}

/* As a VNC server does, whose clients stay. */
static void test_one_may_watch_while_the_machine_starts_again(void **state)
{
	const struct vmb_dev_video_config config = { .bus_version = VMB_VERSION_NEWEST };
	struct vmb_dev_device device;
	struct vmb_dev_bus *bus;
	pthread_t watcher;

	assert_int_equal(vmb_dev_video_open(&device, &config), 0);
	assert_int_equal(device.ops->prepare(device.state), 0);
	assert_int_equal(pthread_create(&watcher, NULL, watch_again_and_again,
					vmb_dev_video_of(&device)),
			 0);
	for (int i = 0; i < 20; i++) {
		bus = vmb_dev_bus_create(&b->machine.bus->config);
		assert_non_null(bus);
		assert_int_equal(device.ops->attach(device.state, bus), 0);
		vmb_dev_bus_stop(bus);
		device.ops->detach(device.state);
		vmb_dev_bus_destroy(bus);
	}
	__atomic_store_n(&enough, true, __ATOMIC_RELEASE);
	pthread_join(watcher, NULL);
	device.ops->close(device.state);
}

static int set_up_threads(void **state)
{
	threaded = true;
	begin(0);
	return 0;
}

static int tear_down_threads(void **state)
{
	tear_down(state);
	threaded = false;
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_guest_finds_the_memory_and_the_resolutions),
		TEST(test_what_the_guest_draws_is_read),
		TEST(test_sixteen_bits_are_made_whole_colours),
		TEST(test_part_of_the_picture_is_read_and_nothing_else),
		TEST(test_a_watcher_is_told_what_changes),
		TEST(test_the_memory_moves_with_its_picture),
		TEST(test_the_memory_is_nowhere_else_than_in_the_window),
		TEST(test_a_guest_that_names_no_place_has_none),
		TEST(test_a_picture_outlives_its_channel),
		TEST(test_a_machine_that_starts_again_has_a_black_screen),
		TEST(test_a_guest_that_breaks_the_protocol_has_no_video_until_it_opens_again),
		TEST(test_a_guest_that_never_reads_costs_nothing),
		cmocka_unit_test(test_resolutions_have_names),
		cmocka_unit_test_setup_teardown(test_threads_serve_it_and_end, set_up_threads,
						tear_down_threads),
		cmocka_unit_test_setup_teardown(test_one_may_watch_while_the_machine_starts_again,
						set_up_threads, tear_down_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
