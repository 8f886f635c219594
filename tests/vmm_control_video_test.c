// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The command screenshot over its socket: the file is what the guest drew, and it is whole or not
 * there.
 */
#include <dirent.h>
#include <fcntl.h>
#include <png.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/fault_plan.h"
#include "devices/trace.h"
#include "devices/video.h"
#include "ports/user/guest.h"
#include "vmm/control.h"
#include "vmm/devices.h"
#include "vmm/machine.h"

#define WIDTH	640u
#define HEIGHT	480u
#define LIMIT_S 60

static struct vmb_user_machine user;
static struct vmb_user_guest guest;
static struct vmb_user_device *d;
static struct vmb_vmm_machine machine;
static struct vmb_vmm_options options;
static struct vmb_vmm_devices devices;
static struct vmb_vmm_control *control;
static struct vmb_dev_trace trace;
static struct vmb_dev_fault_plan faults;
static uint32_t resets;
static char folder[] = "/tmp/vmb-screenshot-XXXXXX", path[64], file[64], answer[4096];

static void settle(void)
{
	bool any;

	do {
		any = vmb_user_machine_step(&user);
		any |= vmb_user_guest_step(&guest);
	} while (any);
}

static void start_guest(void)
{
	const struct vmb_user_machine_config config = { .page_count = 512 };
	const struct vmb_user_guest_config guest_config = { .ring_pages = 5 };
	const struct vmb_dev_video_config video = { .bus_version = VMB_VERSION_NEWEST };

	assert_int_equal(vmb_user_machine_init(&user, &config), 0);
	assert_int_equal(vmb_user_guest_init(&guest, &user, &guest_config), 0);
	assert_int_equal(vmb_dev_video_open(&devices.all[0], &video), 0);
	assert_int_equal(vmb_user_machine_add(&user, &devices.all[0]), 0);
	devices.count = 1;
	assert_int_equal(vmb_user_guest_start(&guest), 0);
	d = vmb_user_guest_video(&guest);
	assert_int_equal(vmb_user_guest_open(&guest, d), 0);
	vmb_user_guest_say(d);
	settle();
}

static void show(void)
{
	const struct vmb_guest_video_mode mode = {
		.width = WIDTH, .height = HEIGHT, .pitch = WIDTH * 4, .depth = 32
	};

	assert_int_equal(vmb_guest_video_place(&d->video.core, VMB_USER_WINDOW_GPA), 0);
	vmb_user_guest_say(d);
	settle();
	assert_int_equal(vmb_guest_video_show(&d->video.core, &mode), 0);
	vmb_user_guest_say(d);
	settle();
	for (uint32_t i = 0; i < WIDTH * HEIGHT; i++)
		((uint32_t *)user.mapped.base)[i] = i * 2654435761u;
}

static int set_up(void **state)
{
	const struct vmb_vmm_control_config config = { &options, &devices, &resets, &trace,
						       &faults };

	alarm(LIMIT_S);
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/control", folder);
	snprintf(file, sizeof(file), "%s/shot.png", folder);
	vmb_dev_trace_init(&trace);
	options.generation = *vmb_vmm_generation_newest();
	start_guest();
	machine = (struct vmb_vmm_machine){ .vmbus = user.bus, .options = &options };
	machine.wake = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(vmb_vmm_control_open(&control, path, &config), 0);
	assert_int_equal(vmb_vmm_control_start(control), 0);
	vmb_vmm_control_attach(control, &machine);
	return 0;
}

static int tear_down(void **state)
{
	vmb_vmm_control_detach(control);
	vmb_vmm_control_close(control);
	close(machine.wake);
	vmb_user_guest_destroy(&guest);
	vmb_user_machine_destroy(&user);
	devices.count = 0;
	vmb_dev_trace_destroy(&trace);
	unlink(file);
	assert_int_equal(rmdir(folder), 0); /* nothing else was left */
	return 0;
}

static void read_line(FILE *in)
{
	assert_non_null(fgets(answer, sizeof(answer), in));
}

/* Returns what the machine says to it. */
static const char *shoot(const char *where)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	FILE *client;

	memcpy(at.sun_path, path, sizeof(path));
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	client = fdopen(fd, "r+");
	read_line(client);
	fprintf(client, "{\"command\": \"screenshot\", \"arguments\": {\"file\": \"%s\"}}\n",
		where);
	fflush(client);
	read_line(client);
	fclose(client);
	return answer;
}

static void expect_file(void)
{
	static uint8_t bytes[WIDTH * HEIGHT * 3];
	png_image image = { .version = PNG_IMAGE_VERSION };

	assert_int_not_equal(png_image_begin_read_from_file(&image, file), 0);
	assert_int_equal(image.width, WIDTH);
	assert_int_equal(image.height, HEIGHT);
	image.format = PNG_FORMAT_RGB;
	assert_int_not_equal(png_image_finish_read(&image, NULL, bytes, 0, NULL), 0);
	for (uint32_t i = 0; i < WIDTH * HEIGHT; i++) {
		uint32_t pixel = i * 2654435761u;

		assert_int_equal(bytes[3 * i], pixel >> 16 & 0xFF);
		assert_int_equal(bytes[3 * i + 1], pixel >> 8 & 0xFF);
		assert_int_equal(bytes[3 * i + 2], pixel & 0xFF);
	}
}

static void test_the_file_is_what_the_guest_drew(void **state)
{
	show();
	assert_non_null(strstr(shoot(file), "\"width\":640"));
	expect_file();
}

static void test_a_file_that_is_there_is_replaced(void **state)
{
	int fd = open(file, O_WRONLY | O_CREAT, 0644);

	close(fd);
	show();
	assert_non_null(strstr(shoot(file), "\"height\":480"));
	expect_file();
}

static void test_without_a_picture_there_is_no_file(void **state)
{
	assert_non_null(strstr(shoot(file), "the guest shows no picture now"));
	assert_int_equal(access(file, F_OK), -1);
	devices.count = 0;
	assert_non_null(strstr(shoot(file), "the machine has no screen"));
	devices.count = 1;
	assert_int_equal(access(file, F_OK), -1);
}

/* The name is that of a folder, which the new file cannot take. */
static void test_a_file_that_cannot_have_its_name_leaves_nothing(void **state)
{
	show();
	assert_int_equal(mkdir(file, 0755), 0);
	assert_non_null(strstr(shoot(file), "Is a directory"));
	assert_int_equal(rmdir(file), 0);
	assert_non_null(strstr(shoot("/tmp/vmb-screenshot-nowhere/x"), "No such file"));
}

/* As on a disk that is full. */
static void test_a_file_that_does_not_become_whole_replaces_nothing(void **state)
{
	struct rlimit before, little;
	FILE *old = fopen(file, "w");
	char text[4] = "";

	fputs("old", old);
	fclose(old);
	show();
	getrlimit(RLIMIT_FSIZE, &before);
	little = before;
	little.rlim_cur = 5000;
	setrlimit(RLIMIT_FSIZE, &little);
	shoot(file);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_non_null(strstr(answer, "File too large"));
	old = fopen(file, "r");
	assert_non_null(fgets(text, sizeof(text), old));
	fclose(old);
	assert_string_equal(text, "old");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_file_is_what_the_guest_drew),
		TEST(test_a_file_that_is_there_is_replaced),
		TEST(test_without_a_picture_there_is_no_file),
		TEST(test_a_file_that_cannot_have_its_name_leaves_nothing),
		TEST(test_a_file_that_does_not_become_whole_replaces_nothing),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
