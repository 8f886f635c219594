// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The VNC server with a client of its own, which speaks RFC 6143 by hand: what the guest draws
 * arrives, and no client, however slow, mad or numerous, keeps the others or the end waiting.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/input.h"
#include "devices/video.h"
#include "devices/vnc.h"
#include "ports/user/guest.h"
#include "tests/guest_thread.h"
#include "tests/lack.h"

#define GPA	 VMB_USER_WINDOW_GPA
#define PATIENCE 20000 /* milliseconds, for what must come */
#define LIMIT_MS 1000u /* that a client may do nothing here when it is its turn */

/* Of libvncserver: what a client does with the challenge and its password. */
void rfbEncryptBytes(unsigned char *challenge, char *password);

static struct bed {
	struct vmb_user_machine machine;
	struct vmb_user_guest guest;
	struct guest_thread thread;
	struct vmb_dev_video *video;
	struct vmb_dev_input *input;
	struct vmb_user_device *d;
	char path[64], password_file[80];
	bool password;
	uint16_t port; /* 0: a UNIX socket, path */
	uint32_t pixels[1024 * 768]; /* of the client */
	uint16_t width, height; /* that it knows */
} * b;

/* The guest */

static void lock(void)
{
	pthread_mutex_lock(&b->d->rx_lock);
}

static void unlock(void)
{
	pthread_mutex_unlock(&b->d->rx_lock);
	vmb_user_guest_say(b->d);
}

static void await_state(enum vmb_guest_video_state state)
{
	bool there = false;

	for (int i = 0; i < PATIENCE && !there; i++) {
		pthread_mutex_lock(&b->d->rx_lock);
		there = b->d->video.core.state == state;
		pthread_mutex_unlock(&b->d->rx_lock);
		usleep(1000);
	}
	assert_true(there);
}

static void await_mode(uint32_t width)
{
	struct vmb_host_video_mode mode = { 0 };

	for (int i = 0; i < PATIENCE && mode.width != width; i++) {
		vmb_dev_video_look(b->video, &mode);
		usleep(1000);
	}
	assert_int_equal(mode.width, width);
}

static void show(uint32_t width, uint32_t height)
{
	const struct vmb_guest_video_mode mode = {
		.width = width, .height = height, .pitch = width * 4, .depth = 32
	};

	lock();
	assert_int_equal(vmb_guest_video_show(&b->d->video.core, &mode), 0);
	unlock();
	await_mode(width);
}

static uint32_t pixel(uint32_t seed, uint32_t i)
{
	return (i * 2654435761u ^ seed * 40503u) & 0xFFFFFF;
}

static void draw(uint32_t seed, uint32_t count)
{
	uint32_t *screen = (uint32_t *)b->machine.mapped.base;

	for (uint32_t i = 0; i < count; i++)
		screen[i] = pixel(seed, i);
}

static void draw_rectangle(uint32_t colour, const struct vmb_video_rectangle *r)
{
	uint32_t *screen = (uint32_t *)b->machine.mapped.base;
	bool wanted = false;

	for (int32_t y = r->top; y < r->bottom; y++)
		for (int32_t x = r->left; x < r->right; x++)
			screen[(uint32_t)y * b->width + (uint32_t)x] = colour;
	for (int i = 0; i < PATIENCE && !wanted; i++) { /* the guest heard that somebody watches */
		pthread_mutex_lock(&b->d->rx_lock);
		wanted = b->d->video.core.dirt_wanted;
		pthread_mutex_unlock(&b->d->rx_lock);
		usleep(1000);
	}
	assert_true(wanted);
	lock();
	vmb_guest_video_dirt(&b->d->video.core, r);
	unlock();
}

static void add(const struct vmb_dev_device *device)
{
	assert_int_equal(vmb_user_machine_add(&b->machine, device), 0);
}

/* A port of VNC that is free now. */
static uint16_t find_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	uint16_t port = VMB_DEV_VNC_PORT + 1;

	do
		at.sin_port = htons(port);
	while (bind(fd, (struct sockaddr *)&at, sizeof(at)) &&
	       ++port <= VMB_DEV_VNC_PORT + VMB_DEV_VNC_DISPLAY_MAX);
	close(fd);
	return port;
}

static void name_place(char *text, size_t len)
{
	const char *password = b->password ? ",password-file=" : "";

	snprintf(b->path, sizeof(b->path), "/tmp/vmb-vnc-test.%d", getpid());
	snprintf(b->password_file, sizeof(b->password_file), "%s.password", b->path);
	if (b->port)
		snprintf(text, len, ":%u%s%s", b->port - VMB_DEV_VNC_PORT, password,
			 b->password ? b->password_file : "");
	else
		snprintf(text, len, "unix:%s%s%s", b->path, password,
			 b->password ? b->password_file : "");
}

static void add_devices(void)
{
	struct vmb_dev_video_config video = { .bus_version = VMB_VERSION_NEWEST };
	struct vmb_dev_vnc_config vnc = { .limit_ms = LIMIT_MS };
	static char text[192];
	struct vmb_dev_device device;

	assert_true(vmb_dev_video_parse(NULL, &video.preferred));
	assert_int_equal(vmb_dev_video_open(&device, &video), 0);
	vnc.video = b->video = vmb_dev_video_of(&device);
	add(&device);
	assert_int_equal(vmb_dev_input_open(&device), 0);
	vnc.input = b->input = vmb_dev_input_of(&device);
	add(&device);
	name_place(text, sizeof(text));
	assert_int_equal(vmb_dev_vnc_parse(&vnc.option, text), 0);
	if (b->password) {
		FILE *file = fopen(b->password_file, "w");

		fputs("secret\nnot this\n", file);
		fclose(file);
	}
	assert_int_equal(vmb_dev_vnc_open(&device, &vnc), 0);
	add(&device);
	unlink(b->password_file);
}

static void begin(bool password, uint16_t port)
{
	const struct vmb_user_machine_config machine = { .page_count = 512, .threads = true };
	const struct vmb_user_guest_config guest = { .ring_pages = 5 };

	b = calloc(1, sizeof(*b));
	b->password = password;
	b->port = port;
	assert_int_equal(vmb_user_machine_init(&b->machine, &machine), 0);
	assert_int_equal(vmb_user_guest_init(&b->guest, &b->machine, &guest), 0);
	add_devices();
	guest_thread_start(&b->thread, &b->guest);
	assert_int_equal(vmb_user_guest_start(&b->guest), 0);
	b->d = vmb_user_guest_video(&b->guest);
	assert_int_equal(vmb_user_guest_open(&b->guest, b->d), 0);
	vmb_user_guest_say(b->d);
	await_state(VMB_GUEST_VIDEO_READ);
	lock();
	assert_int_equal(vmb_guest_video_place(&b->d->video.core, GPA), 0);
	unlock();
	await_state(VMB_GUEST_VIDEO_OPEN);
}

static int set_up(void **state)
{
	begin(false, 0);
	return 0;
}

static int set_up_password(void **state)
{
	begin(true, 0);
	return 0;
}

static int set_up_port(void **state)
{
	begin(false, find_port());
	return 0;
}

static int set_up_port_password(void **state)
{
	begin(true, find_port());
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* The end has a bound whatever the clients do. */
static int tear_down(void **state)
{
	int64_t began = now_ms();

	guest_thread_stop(&b->thread);
	vmb_user_guest_destroy(&b->guest);
	vmb_user_machine_destroy(&b->machine);
	assert_true(now_ms() - began < PATIENCE);
	assert_int_equal(access(b->path, F_OK), -1);
	free(b);
	return 0;
}

/* The client */

static int dial_port(void)
{
	const struct sockaddr_in at = { .sin_family = AF_INET,
					.sin_port = htons(b->port),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static int dial(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd;

	if (b->port)
		return dial_port();
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(at.sun_path, b->path, sizeof(b->path));
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static bool get(int fd, void *to, size_t len)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	uint8_t *at = to;
	ssize_t n;

	while (len) {
		if (poll(&poll_fd, 1, PATIENCE) <= 0)
			return false;
		n = read(fd, at, len);
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static void put(int fd, const void *from, size_t len)
{
	assert_int_equal(send(fd, from, len, MSG_NOSIGNAL), (ssize_t)len);
}

static uint16_t be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t be32(const uint8_t *at)
{
	return (uint32_t)be16(at) << 16 | be16(at + 2);
}

/* Up to the types of security. Returns the only one. */
static uint8_t greet(int fd)
{
	uint8_t version[12], types[2];

	assert_true(get(fd, version, sizeof(version)));
	assert_memory_equal(version, "RFB 003.008\n", 12);
	put(fd, "RFB 003.008\n", 12);
	assert_true(get(fd, types, 2));
	assert_int_equal(types[0], 1);
	put(fd, types + 1, 1);
	return types[1];
}

/* Raw pixels, and a desktop that changes its size. */
static void finish_greeting(int fd)
{
	static const uint8_t format[20] = { 0,	 0, 0,	 0, 32,	 24, 0, 1, 0,
					    255, 0, 255, 0, 255, 16, 8, 0 };
	static const uint8_t encodings[12] = { 2, 0, 0, 2, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0x21 };
	uint8_t init[24], name[64];

	put(fd, "\1", 1);
	assert_true(get(fd, init, sizeof(init)));
	b->width = be16(init);
	b->height = be16(init + 2);
	assert_true(be32(init + 20) < sizeof(name));
	assert_true(get(fd, name, be32(init + 20)));
	put(fd, format, sizeof(format));
	put(fd, encodings, sizeof(encodings));
}

static int join(void)
{
	uint8_t result[4];
	int fd = dial();

	assert_int_equal(greet(fd), 1);
	assert_true(get(fd, result, 4));
	assert_int_equal(be32(result), 0);
	finish_greeting(fd);
	return fd;
}

static void ask(int fd, bool incremental)
{
	const uint8_t request[10] = { 3,
				      incremental,
				      0,
				      0,
				      0,
				      0,
				      (uint8_t)(b->width >> 8),
				      (uint8_t)b->width,
				      (uint8_t)(b->height >> 8),
				      (uint8_t)b->height };

	put(fd, request, sizeof(request));
}

/* Takes one update. Returns how many pixels it had. */
static uint32_t take_update(int fd)
{
	uint8_t head[4], rectangle[12];
	uint32_t count = 0;

	assert_true(get(fd, head, 4));
	assert_int_equal(head[0], 0);
	for (uint16_t i = be16(head + 2); i; i--) {
		uint16_t x, y, width, height;

		assert_true(get(fd, rectangle, 12));
		x = be16(rectangle);
		y = be16(rectangle + 2);
		width = be16(rectangle + 4);
		height = be16(rectangle + 6);
		if (be32(rectangle + 8) == 0xFFFFFF21) {
			b->width = width;
			b->height = height;
			continue;
		}
		assert_int_equal(be32(rectangle + 8), 0);
		assert_true(x + width <= b->width && y + height <= b->height);
		for (uint16_t line = 0; line < height; line++)
			assert_true(get(fd, &b->pixels[(y + line) * b->width + x], width * 4u));
		count += (uint32_t)width * height;
	}
	return count;
}

static bool has_picture(uint32_t seed)
{
	for (uint32_t i = 0; i < (uint32_t)b->width * b->height; i++)
		if ((b->pixels[i] & 0xFFFFFF) != pixel(seed, i))
			return false;
	return true;
}

static void expect_picture(int fd, uint32_t seed)
{
	ask(fd, false);
	take_update(fd);
	for (int i = 0; i < 200 && !has_picture(seed); i++) {
		ask(fd, true);
		take_update(fd);
	}
	assert_true(has_picture(seed));
}

/* Tests */

static void test_a_client_gets_what_the_guest_drew(void **state)
{
	int fd;

	show(800, 600);
	draw(1, 800 * 600);
	fd = join();
	assert_int_equal(b->width, 800);
	assert_int_equal(b->height, 600);
	expect_picture(fd, 1);
	close(fd);
	draw(2, 800 * 600); /* nobody watches, and nobody is told */
	fd = join();
	expect_picture(fd, 2);
	close(fd);
}

static void test_what_changes_is_sent_and_not_the_rest(void **state)
{
	const struct vmb_video_rectangle r = { 100, 200, 110, 205 };
	uint32_t count = 0;
	int fd;

	show(1024, 768);
	draw(1, 1024 * 768);
	fd = join();
	expect_picture(fd, 1);
	draw_rectangle(0x123456, &r);
	while (b->pixels[204 * 1024 + 109] != 0x123456) {
		ask(fd, true);
		count += take_update(fd);
	}
	assert_true(count <= 4 * 64 * 64);
	close(fd);
}

/* Takes updates until the picture has that width. */
static void follow(int fd, uint16_t width)
{
	ask(fd, true);
	while (b->width != width) {
		take_update(fd);
		ask(fd, true);
	}
	take_update(fd);
}

static void test_a_client_follows_the_resolution(void **state)
{
	int fd = join();

	assert_int_equal(b->width, 640); /* there is no picture yet */
	draw(3, 1024 * 768); /* first: of what is drawn later the server would hear nothing */
	show(1024, 768);
	follow(fd, 1024);
	expect_picture(fd, 3);
	draw(4, 640 * 480);
	show(640, 480);
	follow(fd, 640);
	expect_picture(fd, 4);
	close(fd);
}

/* What is half of the old picture is more than all of the new one. */
static void test_a_client_that_scales_follows_the_resolution(void **state)
{
	static const uint8_t half[4] = { 8, 2, 0, 0 };
	int fd;

	show(1024, 768);
	draw(9, 1024 * 768);
	fd = join();
	put(fd, half, sizeof(half));
	follow(fd, 512);
	draw(10, 256 * 192);
	show(256, 192);
	follow(fd, 256);
	expect_picture(fd, 10);
	close(fd);
}

static void await_lost(uint64_t keys, uint64_t pointers)
{
	struct vmb_dev_input_view view = { 0 };

	for (int i = 0; i < PATIENCE && (view.keys_lost < keys || view.pointers_lost < pointers);
	     i++) {
		usleep(1000);
		vmb_dev_input_look(b->input, &view);
	}
	assert_int_equal(view.keys_lost, keys); /* this guest has no driver */
	assert_int_equal(view.pointers_lost, pointers);
}

static void test_keys_and_pointer_reach_the_device(void **state)
{
	static const uint8_t events[] = { 4, 1, 0, 0, 0, 0, 0, 'a', 4, 0, 0, 0,	   0, 0,   0, 'a',
					  4, 1, 0, 0, 0, 0, 0, 'A', 4, 0, 0, 0,	   0, 0,   0, 'A',
					  5, 1, 0, 9, 0, 9, 4, 1,   0, 0, 0, 0xFF, 0, 0xFF };
	int fd = join();

	put(fd, events, sizeof(events)); /* the last is no key of a keyboard */
	await_lost(6, 1); /* a, and A with its Shift */
	close(fd);
}

/* The library lets nobody else point while one holds a button. */
static void test_a_client_that_leaves_lets_go_of_its_own_keys_alone(void **state)
{
	static const uint8_t a[] = { 4, 1, 0, 0, 0, 0, 0, 'a' };
	static const uint8_t a_b_and_left[] = { 4, 1, 0, 0, 0,	 0, 0, 'a', 4, 1, 0,
						0, 0, 0, 0, 'b', 5, 1, 0,   9, 0, 9 };
	static const uint8_t a_up_and_move[] = { 4, 0, 0, 0, 0, 0, 0, 'a', 5, 0, 0, 8, 0, 8 };
	int stays = join(), leaves = join();

	put(stays, a, sizeof(a));
	await_lost(1, 0);
	put(leaves, a_b_and_left, sizeof(a_b_and_left));
	await_lost(3, 1);
	close(leaves);
	await_lost(4, 2); /* b and the button go up */
	put(stays, a_up_and_move, sizeof(a_up_and_move));
	await_lost(5, 3);
	close(stays);
}

/* A WebSocket, as noVNC has it. Short frames only. */
static void put_frame(int fd, const void *bytes, uint8_t len)
{
	uint8_t frame[6 + 125] = { 0x82, 0x80 | len }; /* binary, masked with 0 */

	memcpy(frame + 6, bytes, len);
	put(fd, frame, 6u + len);
}

static void skip_frames(int fd, size_t len)
{
	uint8_t head[2], bytes[125];

	while (len) {
		assert_true(get(fd, head, 2));
		assert_true(head[1] <= len && head[1] <= sizeof(bytes));
		assert_true(get(fd, bytes, head[1]));
		len -= head[1];
	}
}

static void upgrade(int fd)
{
	static const char request[] =
		"GET /websockify HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nOrigin: http://x\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		"Sec-WebSocket-Protocol: binary\r\n"
		"Sec-WebSocket-Version: 13\r\n\r\n";
	char last[5] = "";

	put(fd, request, sizeof(request) - 1);
	while (strcmp(last, "\r\n\r\n") != 0) {
		memmove(last, last + 1, 3);
		assert_true(get(fd, last + 3, 1));
	}
}

static void test_a_browser_may_send_several_messages_at_once(void **state)
{
	static const uint8_t keys[] = { 4, 1, 0, 0, 0, 0, 0, 'a', 4, 0, 0, 0, 0, 0, 0, 'a',
					4, 1, 0, 0, 0, 0, 0, 'b', 4, 0, 0, 0, 0, 0, 0, 'b' };
	int fd = dial();

	upgrade(fd);
	skip_frames(fd, 12);
	put_frame(fd, "RFB 003.008\n", 12);
	skip_frames(fd, 2);
	put_frame(fd, "\1", 1);
	skip_frames(fd, 4);
	put_frame(fd, "\1", 1);
	skip_frames(fd, 24 + 9);
	put_frame(fd, keys, sizeof(keys));
	await_lost(4, 0);
	close(fd);
}

/* Whoever wrote the page that a browser on this machine shows. */
static void test_a_browser_has_no_way_in_without_a_password(void **state)
{
	uint8_t head[2], greeting[12];
	int fd = dial();

	upgrade(fd);
	skip_frames(fd, 12); /* the library greets before anybody can see who it is */
	send(fd, "\x82\x8c\0\0\0\0RFB 003.008\n", 18, MSG_NOSIGNAL);
	assert_true(!get(fd, head, 2) || head[0] == 0x88); /* the end, or a frame that says it */
	close(fd);
	fd = dial();
	assert_true(get(fd, greeting, sizeof(greeting))); /* others have */
	close(fd);
}

static void test_a_browser_may_connect_with_a_password(void **state)
{
	int fd = dial();

	upgrade(fd);
	skip_frames(fd, 12);
	close(fd);
}

static void test_a_client_waits_while_descriptors_lack(void **state)
{
	int fd, other = join();

	lack_begin();
	fd = dial();
	lack_watch();
	draw(11, 800 * 600);
	show(800, 600);
	follow(other, 800);
	expect_picture(other, 11);
	lack_end();
	close(other);
	greet(fd);
	close(fd);
}

static void test_a_client_that_says_half_a_message_holds_nobody_up(void **state)
{
	static const uint8_t half[3] = { 6, 0, 0 }; /* a text is to follow */
	int stuck, fd;

	show(800, 600);
	draw(5, 800 * 600);
	stuck = join();
	put(stuck, half, sizeof(half));
	fd = join();
	expect_picture(fd, 5);
	close(fd);
	close(stuck);
}

/* Each byte comes in time for the library, and the whole would take for ever. */
static void test_a_client_that_drips_is_ended(void **state)
{
	static const uint8_t text[8] = { 6, 0, 0, 0, 0, 0, 0x40, 0 };
	int stuck = join(), sent = 0;

	put(stuck, text, sizeof(text));
	while (sent < PATIENCE / 50 && send(stuck, "x", 1, MSG_NOSIGNAL) == 1) {
		usleep(50000);
		sent++;
	}
	assert_true(sent < PATIENCE / 50);
	close(stuck);
	close(join());
}

static void test_a_client_that_does_not_read_holds_nobody_up(void **state)
{
	int stuck, fd;

	show(1024, 768);
	draw(6, 1024 * 768);
	stuck = join();
	for (int i = 0; i < 20; i++)
		ask(stuck, false);
	fd = join();
	expect_picture(fd, 6);
	close(fd);
	close(stuck);
}

static void test_the_end_does_not_wait_for_clients(void **state)
{
	static const uint8_t half[3] = { 6, 0, 0 };
	int64_t began;
	int fd = join();

	show(1024, 768);
	put(fd, half, sizeof(half));
	ask(join(), false);
	dial(); /* says nothing at all */
	began = now_ms();
	guest_thread_stop(&b->thread);
	vmb_user_guest_destroy(&b->guest);
	vmb_user_machine_destroy(&b->machine);
	assert_true(now_ms() - began < PATIENCE);
	free(b);
	begin(false, 0); /* for the end of this test */
}

static void test_there_are_four_clients_at_most(void **state)
{
	int fds[VMB_DEV_VNC_CLIENT_MAX], fd;
	uint8_t byte;

	for (uint32_t i = 0; i < VMB_DEV_VNC_CLIENT_MAX; i++)
		fds[i] = join();
	fd = dial();
	assert_false(get(fd, &byte, 1));
	close(fd);
	close(fds[0]);
	for (int i = 0; i < 100; i++) { /* its place is free when the server has seen that */
		fd = dial();
		if (get(fd, &byte, 1))
			break;
		close(fd);
		usleep(10000);
	}
	assert_int_equal(byte, 'R');
	close(fd);
	for (uint32_t i = 1; i < VMB_DEV_VNC_CLIENT_MAX; i++)
		close(fds[i]);
}

static void test_nonsense_ends_only_who_says_it(void **state)
{
	uint8_t noise[4096];
	uint32_t random = 1;
	int good, fd;

	show(640, 480);
	draw(7, 640 * 480);
	good = join();
	for (int round = 0; round < 24; round++) {
		for (size_t i = 0; i < sizeof(noise); i++) {
			random = random * 1103515245 + 12345;
			noise[i] = (uint8_t)(random >> 16);
		}
		if (round % 3 == 0) {
			fd = dial(); /* no greeting */
		} else {
			fd = join();
			noise[0] = (uint8_t)(round % 12);
		}
		send(fd, noise, sizeof(noise), MSG_NOSIGNAL);
		close(fd);
	}
	b->width = 640;
	b->height = 480;
	expect_picture(good, 7);
	close(good);
}

/* Returns whether there is the head of a rectangle of that encoding, within the picture. */
static bool has_rectangle(const uint8_t *bytes, size_t len, uint32_t encoding)
{
	for (const uint8_t *at = bytes; at + 12 <= bytes + len; at++)
		if (be32(at + 8) == encoding && be16(at + 4) && be16(at + 6) &&
		    be16(at) + be16(at + 4) <= b->width && be16(at + 2) + be16(at + 6) <= b->height)
			return true;
	return false;
}

/* Pixels are not looked at: the server must have all that it needs for it, also when confined. */
static void test_each_encoding_is_served(void **state)
{
	static const struct {
		int32_t code;
		bool known; /* to the library; instead of the others it sends what it likes */
	} all[] = {
		{ 1, false }, { 2, true },  { 4, true },     { 5, true },
		{ 6, true },  { 7, true },  { 8, false },    { 9, true },
		{ 16, true }, { 17, true }, { -260, false }, { 0x574D5664, false },
	};
	uint8_t bytes[4096], message[4 + 7 * 4] = { 2, 0, 0, 7 };
	uint32_t *screen;

	show(800, 600);
	screen = (uint32_t *)b->machine.mapped.base;
	for (uint32_t i = 0; i < 800 * 600; i++) /* RRE and CoRRE send noise raw */
		screen[i] = pixel(8, i / 8);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(all); i++) {
		/* with JPEG, compression, cursors, the last rectangle, identity, sizes */
		const int32_t wanted[7] = { all[i].code, -26, -250, -239, -224, -65533, -308 };
		int fd = join();

		for (size_t k = 0; k < 7; k++) {
			const uint32_t code = (uint32_t)wanted[k];

			message[4 + 4 * k] = (uint8_t)(code >> 24);
			message[5 + 4 * k] = (uint8_t)(code >> 16);
			message[6 + 4 * k] = (uint8_t)(code >> 8);
			message[7 + 4 * k] = (uint8_t)code;
		}
		put(fd, message, sizeof(message));
		ask(fd, false);
		assert_true(get(fd, bytes, sizeof(bytes)));
		assert_true(!all[i].known ||
			    has_rectangle(bytes, sizeof(bytes), (uint32_t)all[i].code));
		close(fd);
	}
	close(join());
}

static void test_a_password_is_asked_for(void **state)
{
	static const struct {
		char word[9];
		uint32_t result;
	} all[] = { { "secret", 0 }, { "secreT", 1 }, { "not this", 1 }, { "", 1 } };
	uint8_t challenge[16], result[4];
	char word[9];

	for (size_t i = 0; i < VMB_ARRAY_COUNT(all); i++) {
		int fd = dial();

		assert_int_equal(greet(fd), 2);
		assert_true(get(fd, challenge, sizeof(challenge)));
		memcpy(word, all[i].word, sizeof(word));
		rfbEncryptBytes(challenge, word);
		put(fd, challenge, sizeof(challenge));
		assert_true(get(fd, result, sizeof(result)));
		assert_int_equal(be32(result), all[i].result);
		if (!all[i].result)
			finish_greeting(fd);
		close(fd);
	}
}

static void test_symbols_are_keys_of_a_us_keyboard(void **state)
{
	static const struct {
		uint32_t keysym;
		struct vmb_dev_vnc_key key;
	} all[] = {
		{ 'a', { 0x1E, false, false } },
		{ 'A', { 0x1E, false, true } },
		{ '1', { 0x02, false, false } },
		{ '!', { 0x02, false, true } },
		{ '0', { 0x0B, false, false } },
		{ '-', { 0x0C, false, false } },
		{ '_', { 0x0C, false, true } },
		{ '=', { 0x0D, false, false } },
		{ 'p', { 0x19, false, false } },
		{ ']', { 0x1B, false, false } },
		{ ';', { 0x27, false, false } },
		{ '"', { 0x28, false, true } },
		{ '~', { 0x29, false, true } },
		{ '\\', { 0x2B, false, false } },
		{ '|', { 0x2B, false, true } },
		{ 'z', { 0x2C, false, false } },
		{ '/', { 0x35, false, false } },
		{ '?', { 0x35, false, true } },
		{ ' ', { 0x39, false, false } },
		{ 0xFF0D, { 0x1C, false, false } },
		{ 0xFF1B, { 0x01, false, false } },
		{ 0xFF53, { 0x4D, true, false } },
		{ 0xFFFF, { 0x53, true, false } },
		{ 0xFFC9, { 0x58, false, false } },
		{ 0xFFE4, { 0x1D, true, false } },
		{ 0xFF8D, { 0x1C, true, false } },
		{ 0, { 0 } },
		{ 0x7F, { 0 } },
		{ 0xE4, { 0 } },
		{ 0xFFFFFFFF, { 0 } },
	};

	for (size_t i = 0; i < VMB_ARRAY_COUNT(all); i++) {
		struct vmb_dev_vnc_key key = vmb_dev_vnc_find_key(all[i].keysym);

		assert_int_equal(key.make_code, all[i].key.make_code);
		assert_int_equal(key.extended, all[i].key.extended);
		assert_int_equal(key.shift, all[i].key.shift);
	}
	for (uint32_t c = ' '; c <= '~'; c++)
		assert_int_not_equal(vmb_dev_vnc_find_key(c).make_code, 0);
}

static void test_options_are_understood_or_refused(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		"5",
		":100",
		":1x",
		": 1",
		"unix:",
		":1,",
		":1,password=x",
		":1,password-file=",
		"nest:",
		"tcp:1",
		"unix:,password-file=x",
		":-1",
		":1:2",
	};
	struct vmb_dev_vnc_option o;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(bad); i++)
		assert_int_equal(vmb_dev_vnc_parse(&o, bad[i]), -EINVAL);
	assert_int_equal(vmb_dev_vnc_parse(&o, ":99,password-file=/a,b"), 0);
	assert_int_equal(o.display, 99);
	assert_string_equal(o.password_file, "/a,b");
	assert_int_equal(*o.path, 0);
	assert_int_equal(vmb_dev_vnc_parse(&o, "unix:/tmp/x"), 0);
	assert_string_equal(o.path, "/tmp/x");
	assert_null(o.password_file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_client_gets_what_the_guest_drew),
		TEST(test_what_changes_is_sent_and_not_the_rest),
		TEST(test_a_client_follows_the_resolution),
		TEST(test_a_client_that_scales_follows_the_resolution),
		TEST(test_keys_and_pointer_reach_the_device),
		TEST(test_a_client_that_leaves_lets_go_of_its_own_keys_alone),
		TEST(test_a_browser_may_send_several_messages_at_once),
		cmocka_unit_test_setup_teardown(test_a_browser_has_no_way_in_without_a_password,
						set_up_port, tear_down),
		cmocka_unit_test_setup_teardown(test_a_browser_may_connect_with_a_password,
						set_up_port_password, tear_down),
		TEST(test_a_client_waits_while_descriptors_lack),
		TEST(test_a_client_that_says_half_a_message_holds_nobody_up),
		TEST(test_a_client_that_drips_is_ended),
		TEST(test_a_client_that_does_not_read_holds_nobody_up),
		TEST(test_the_end_does_not_wait_for_clients),
		TEST(test_there_are_four_clients_at_most),
		TEST(test_nonsense_ends_only_who_says_it),
		TEST(test_each_encoding_is_served),
		cmocka_unit_test_setup_teardown(test_a_password_is_asked_for, set_up_password,
						tear_down),
		cmocka_unit_test(test_symbols_are_keys_of_a_us_keyboard),
		cmocka_unit_test(test_options_are_understood_or_refused),
	};

	signal(SIGPIPE, SIG_IGN); /* as the program does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
