// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Shows the guest's picture to VNC clients, and types and points for them. libvncserver speaks the
 * protocol; what is here is when it may, with which client, and for how long.
 *
 * The library reads and writes whole messages, and waits for the rest of one. So one client can
 * keep the others waiting, and the end of the machine too: a second thread, the watch, shuts down
 * the socket of a client whose turn takes too long, and all of them at the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <rfb/keysym.h>
#include <rfb/rfb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "devices/event.h"
#include "devices/input.h"
#include "devices/report.h"
#include "devices/role.h"
#include "devices/socket.h"
#include "devices/text.h"
#include "devices/video.h"
#include "devices/vnc.h"

#define LIMIT_MS     5000u
#define TURN_LIMITS  6 /* a client's turn ends after so many times the limit, whatever it does */
#define PICTURE_MS   33 /* between two pictures */
#define SILENT_MS    500 /* between two looks at a picture of which the guest says nothing */
#define TILE	     64 /* pixels: the side of what is sent at once */
#define BLANK_WIDTH  640u /* while there is no picture */
#define BLANK_HEIGHT 480u
#define WHEEL_UP     8 /* buttons of VNC */
#define WHEEL_DOWN   16
#define MAKE_SHIFT   0x2Au

struct client {
	rfbClientPtr rfb; /* NULL: a free place */
	struct vmb_dev_vnc *vnc;
	int buttons; /* of VNC, that are down; while it holds one, nobody else points */
	uint16_t x, y; /* where it points */
	bool shift; /* it holds Shift */
	bool keys[2][VMB_KEYBOARD_MAKE_CODE_MAX + 1]; /* that it holds; [1]: those with E0 */
};

struct vmb_dev_vnc {
	struct vmb_dev_vnc_config config;
	char password[VMB_DEV_VNC_PASSWORD_MAX + 1];
	char *passwords[2]; /* as the library wants them */
	struct vmb_dev_socket socket; /* that listens, a port too */
	int wake; /* eventfd: the picture changed, or the end has come */
	rfbScreenInfoPtr screen;
	uint32_t *pixels; /* that clients have, or get */
	struct vmb_host_video_mode mode; /* of pixels, if mode.active */
	struct client clients[VMB_DEV_VNC_CLIENT_MAX];
	uint32_t client_count;
	int64_t browser_next; /* when it may be said again that one was refused */
	int64_t due; /* when the picture may be looked at again, milliseconds */
	uint64_t connections, refused, ended; /* ended: by the watch */
	bool watching; /* of the device */
	bool whole; /* the next look is at the whole picture */
	bool started; /* there are threads to join */
	pthread_t server, watch;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* under the lock */
	bool ending;
	int busy; /* the place of the client that is being served; -1: none */
	int64_t busy_since; /* milliseconds */
	/*
	 * By place, our own descriptors of the clients' sockets, because the library closes its
	 * ones whenever it likes; -1: none.
	 */
	int sockets[VMB_DEV_VNC_CLIENT_MAX];
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* The option */

static int refuse(const char *text)
{
	vmb_dev_report("--vnc %s: give unix:PATH, or :N for port 5900+N of 127.0.0.1 (N 0 to %u), "
		       "and perhaps ,password-file=FILE",
		       text, VMB_DEV_VNC_DISPLAY_MAX);
	return -EINVAL;
}

static bool parse_display(struct vmb_dev_vnc_option *option, const char *text, size_t len)
{
	char number[4];
	const char *rest;
	uint64_t n;

	if (!len || len >= sizeof(number))
		return false;
	memcpy(number, text, len);
	number[len] = 0;
	if (!vmb_dev_text_number(number, VMB_DEV_VNC_DISPLAY_MAX, &n, &rest) || *rest)
		return false;
	option->display = (uint16_t)n;
	return true;
}

int vmb_dev_vnc_parse(struct vmb_dev_vnc_option *option, const char *text)
{
	static const char unix_prefix[] = "unix:", password[] = "password-file=", nest[] = "nest:";
	const char *comma = strchr(text, ',');
	size_t len = comma ? (size_t)(comma - text) : strlen(text);

	*option = (struct vmb_dev_vnc_option){ .used = true };
	if (comma) {
		option->password_file = comma + sizeof(password);
		if (strncmp(comma + 1, password, sizeof(password) - 1) != 0 ||
		    !*option->password_file)
			return refuse(text);
	}
	if (strncmp(text, unix_prefix, sizeof(unix_prefix) - 1) == 0) {
		len -= sizeof(unix_prefix) - 1;
		if (!len || len >= sizeof(option->path))
			return refuse(text);
		memcpy(option->path, text + sizeof(unix_prefix) - 1, len);
		return 0;
	}
	option->nest = strncmp(text, nest, sizeof(nest) - 1) == 0;
	if (option->nest)
		return parse_display(option, text + sizeof(nest) - 1, len - (sizeof(nest) - 1)) ?
			       0 :
			       refuse(text);
	return *text == ':' && parse_display(option, text + 1, len - 1) ? 0 : refuse(text);
}

/* Who is served now, for the watch. */

static void set_busy(struct vmb_dev_vnc *v, int place)
{
	pthread_mutex_lock(&v->lock);
	v->busy = place;
	v->busy_since = now_ms();
	pthread_cond_signal(&v->changed);
	pthread_mutex_unlock(&v->lock);
}

static bool is_ending(struct vmb_dev_vnc *v)
{
	bool ending;

	pthread_mutex_lock(&v->lock);
	ending = v->ending;
	pthread_mutex_unlock(&v->lock);
	return ending;
}

static void wait_until(struct vmb_dev_vnc *v, int64_t ms)
{
	const struct timespec until = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	pthread_cond_timedwait(&v->changed, &v->lock, &until);
}

static void *run_watch(void *arg)
{
	struct vmb_dev_vnc *v = arg;

	vmb_dev_role_enter(VMB_DEV_ROLE_VNC);
	pthread_mutex_lock(&v->lock);
	while (!v->ending) {
		int64_t until = v->busy_since + TURN_LIMITS * (int64_t)v->config.limit_ms;

		if (v->busy < 0) {
			pthread_cond_wait(&v->changed, &v->lock);
		} else if (now_ms() < until) {
			wait_until(v, until);
		} else {
			shutdown(v->sockets[v->busy], SHUT_RDWR);
			v->ended++;
			v->busy = -1;
		}
	}
	for (uint32_t i = 0; i < VMB_DEV_VNC_CLIENT_MAX; i++)
		if (v->sockets[i] >= 0)
			shutdown(v->sockets[i], SHUT_RDWR);
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

/* Keys and pointer */

/* A key that several clients hold goes up with the last of them. */
static void press(struct client *c, uint8_t make_code, bool extended, bool down)
{
	struct vmb_dev_vnc *v = c->vnc;

	c->keys[extended][make_code] = down;
	for (uint32_t i = 0; i < VMB_DEV_VNC_CLIENT_MAX && !down; i++)
		if (v->clients[i].rfb && v->clients[i].keys[extended][make_code])
			return;
	vmb_dev_input_key(v->config.input, make_code,
			  (extended ? VMB_KEYBOARD_E0 : 0) | (down ? 0 : VMB_KEYBOARD_BREAK));
}

/* A client that sends a symbol of an upper case alone, as programs do, has Shift pressed for it. */
static void take_key(rfbBool down, rfbKeySym keysym, rfbClientPtr rfb)
{
	struct client *c = rfb->clientData;
	struct vmb_dev_vnc_key key = vmb_dev_vnc_find_key(keysym);
	bool shift = key.shift && !c->shift;

	if (!key.make_code)
		return;
	if (keysym == XK_Shift_L || keysym == XK_Shift_R)
		c->shift = down;
	if (shift && down)
		press(c, MAKE_SHIFT, false, true);
	press(c, key.make_code, key.extended, down);
	if (shift && !down)
		press(c, MAKE_SHIFT, false, false);
}

static uint16_t scale(int at, uint32_t side)
{
	if (at < 0 || side < 2)
		return 0;
	if ((uint32_t)at >= side)
		return VMB_MOUSE_MAX;
	return (uint16_t)((uint64_t)at * VMB_MOUSE_MAX / (side - 1));
}

static void point(const struct client *c, int16_t wheel)
{
	uint8_t down = 0;

	if (c->buttons & 1)
		down |= VMB_MOUSE_LEFT;
	if (c->buttons & 2)
		down |= VMB_MOUSE_MIDDLE;
	if (c->buttons & 4)
		down |= VMB_MOUSE_RIGHT;
	vmb_dev_input_pointer(c->vnc->config.input, c->x, c->y, down, wheel);
}

static void take_pointer(int buttons, int x, int y, rfbClientPtr rfb)
{
	struct client *c = rfb->clientData;
	int pressed = buttons & ~c->buttons;

	c->buttons = buttons;
	c->x = scale(x, (uint32_t)c->vnc->screen->width);
	c->y = scale(y, (uint32_t)c->vnc->screen->height);
	point(c, (int16_t)(!!(pressed & WHEEL_UP) - !!(pressed & WHEEL_DOWN)));
}

/* What a client that is gone held goes up, and nothing that others hold. */
static void let_go(struct client *c)
{
	for (int extended = 0; extended < 2; extended++)
		for (uint8_t code = 1; code <= VMB_KEYBOARD_MAKE_CODE_MAX; code++)
			if (c->keys[extended][code])
				press(c, code, extended, false);
	if (c->buttons) {
		c->buttons = 0;
		point(c, 0);
	}
}

/* The picture */

/*
 * Clients that had the picture scaled get the whole one. The library (0.9.14) keeps a scaled
 * picture at its old size until its own end: the client hears of no new one, and where it is larger
 * than the whole, the library divides by 0.
 */
static void drop_scaled(struct vmb_dev_vnc *v)
{
	rfbScreenInfoPtr scaled;

	for (uint32_t i = 0; i < VMB_DEV_VNC_CLIENT_MAX; i++) {
		if (!v->clients[i].rfb)
			continue;
		v->clients[i].rfb->scaledScreen->scaledScreenRefCount--;
		v->clients[i].rfb->scaledScreen = v->screen;
		v->screen->scaledScreenRefCount++;
	}
	while ((scaled = v->screen->scaledScreenNext)) {
		v->screen->scaledScreenNext = scaled->scaledScreenNext;
		free(scaled->frameBuffer);
		free(scaled);
	}
}

/* Clients are told of the new size. Without memory they keep the old picture. */
static void resize(struct vmb_dev_vnc *v, const struct vmb_host_video_mode *mode)
{
	uint32_t width = mode->active ? mode->width : BLANK_WIDTH;
	uint32_t height = mode->active ? mode->height : BLANK_HEIGHT;
	uint32_t *pixels = calloc((size_t)width * height, sizeof(*pixels)), *old = v->pixels;

	if (!pixels) {
		v->mode.active = false;
		return;
	}
	v->mode = *mode;
	v->pixels = pixels;
	drop_scaled(v);
	rfbNewFramebuffer(v->screen, (char *)pixels, (int)width, (int)height, 8, 3, 4);
	v->screen->serverFormat.redShift = 16;
	v->screen->serverFormat.greenShift = 8;
	v->screen->serverFormat.blueShift = 0;
	for (uint32_t i = 0; i < VMB_DEV_VNC_CLIENT_MAX; i++)
		if (v->clients[i].rfb)
			rfbSetTranslateFunction(v->clients[i].rfb);
	free(old);
}

/* Sends what differs of a piece that is no larger than a tile. */
static void refresh_tile(struct vmb_dev_vnc *v, int x, int y, int right, int bottom)
{
	const struct vmb_video_rectangle r = { x, y, right, bottom };
	size_t len = (size_t)(right - x) * sizeof(uint32_t);
	uint32_t tile[TILE * TILE];
	bool differs = false;

	if (!vmb_dev_video_read(v->config.video, &v->mode, &r, tile, TILE))
		return;
	for (int line = 0; line < bottom - y; line++) {
		uint32_t *at = v->pixels + (size_t)(y + line) * v->mode.width + x;

		if (memcmp(at, tile + line * TILE, len) == 0)
			continue;
		memcpy(at, tile + line * TILE, len);
		differs = true;
	}
	if (differs)
		rfbMarkRectAsModified(v->screen, x, y, right, bottom);
}

static int lower(int a, int b)
{
	return a < b ? a : b;
}

static void refresh(struct vmb_dev_vnc *v, const struct vmb_video_rectangle *dirt)
{
	int width = (int)v->mode.width, height = (int)v->mode.height;
	int right = lower(dirt->right, width), bottom = lower(dirt->bottom, height);

	for (int y = dirt->top; y < bottom; y += TILE)
		for (int x = dirt->left; x < right; x += TILE)
			refresh_tile(v, x, y, lower(x + TILE, right), lower(y + TILE, bottom));
}

/* Returns whether the guest says what changes. */
static bool update(struct vmb_dev_vnc *v, bool whole)
{
	struct vmb_dev_video_changes changes;
	struct vmb_host_video_mode mode;

	vmb_dev_event_clear(v->wake);
	vmb_dev_video_changes(v->config.video, &changes);
	vmb_dev_video_look(v->config.video, &mode);
	if (!vmb_host_video_mode_equal(&mode, &v->mode)) {
		resize(v, &mode);
		whole = true;
	}
	if (whole || changes.silent)
		changes.dirt = (struct vmb_video_rectangle){ 0, 0, (int32_t)v->mode.width,
							     (int32_t)v->mode.height };
	if (v->mode.active)
		refresh(v, &changes.dirt);
	return !changes.silent;
}

/* Returns how long the next look may wait, milliseconds; -1: until something happens. */
static int look(struct vmb_dev_vnc *v)
{
	int64_t now = now_ms();
	bool whole = v->whole;

	if (!v->client_count)
		return -1;
	if (now < v->due)
		return (int)(v->due - now);
	v->due = now + PICTURE_MS;
	v->whole = false;
	return update(v, whole) ? -1 : SILENT_MS;
}

/* The guest is asked to say what changes while there are clients. */
static void watch(struct vmb_dev_vnc *v)
{
	bool wanted = v->client_count;

	if (wanted == v->watching)
		return;
	v->watching = v->whole = wanted;
	vmb_dev_video_watch(v->config.video, wanted ? v->wake : -1);
	v->due = 0;
}

/* Clients */

static int place_of(const struct vmb_dev_vnc *v, const struct client *c)
{
	return (int)(c - v->clients);
}

static void forget_socket(struct vmb_dev_vnc *v, const struct client *c)
{
	int *fd = &v->sockets[place_of(v, c)];

	pthread_mutex_lock(&v->lock);
	if (*fd >= 0)
		close(*fd);
	*fd = v->busy = -1;
	pthread_mutex_unlock(&v->lock);
}

/* The library (0.9.14) keeps the state of a WebSocket for ever. */
static void remove_if_gone(struct vmb_dev_vnc *v, struct client *c)
{
	void *web_socket;

	if (!c->rfb || c->rfb->sock != RFB_INVALID_SOCKET)
		return;
	forget_socket(v, c);
	web_socket = c->rfb->wsctx;
	c->rfb->wsctx = NULL;
	rfbClientConnectionGone(c->rfb);
	free(web_socket);
	c->rfb = NULL;
	v->client_count--;
	let_go(c);
}

static struct client *find_place(struct vmb_dev_vnc *v)
{
	for (uint32_t i = 0; i < VMB_DEV_VNC_CLIENT_MAX; i++)
		if (!v->clients[i].rfb)
			return &v->clients[i];
	return NULL;
}

/*
 * Any page that a browser on this machine shows may connect to a port of this machine, so it must
 * know the password. A page has no way to a UNIX socket.
 */
static bool is_unwanted_browser(const struct vmb_dev_vnc *v, const struct client *c)
{
	return c->rfb->wsctx && !*v->config.option.path && !v->config.option.password_file;
}

static void refuse_browser(struct vmb_dev_vnc *v, const struct client *c)
{
	v->refused++;
	rfbCloseClient(c->rfb);
	if (vmb_dev_report_due(&v->browser_next))
		vmb_dev_report("--vnc :%u: a browser was refused; give ,password-file=FILE to let "
			       "browsers connect",
			       v->config.option.display);
}

/* The library closes the sockets of those that it refuses. */
static void add_client(struct vmb_dev_vnc *v, struct client *c, int fd)
{
	*c = (struct client){ .vnc = v };
	update(v, true); /* it is told the size first of all */
	pthread_mutex_lock(&v->lock);
	v->sockets[place_of(v, c)] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&v->lock);
	set_busy(v, place_of(v, c));
	c->rfb = rfbNewClient(v->screen, fd);
	set_busy(v, -1);
	if (!c->rfb) {
		v->refused++;
		forget_socket(v, c);
		return;
	}
	c->rfb->clientData = c;
	v->client_count++;
	if (is_unwanted_browser(v, c))
		refuse_browser(v, c);
	else
		v->connections++;
	remove_if_gone(v, c);
}

/* The library keeps sockets in an fd_set. */
static void accept_client(struct vmb_dev_vnc *v)
{
	int fd = vmb_dev_socket_accept(&v->socket);
	struct client *c = find_place(v);

	if (fd < 0)
		return;
	if (c && fd < FD_SETSIZE) {
		add_client(v, c, fd);
		return;
	}
	v->refused++;
	close(fd);
}

/* A frame of a WebSocket may have several, of which the socket says nothing any more. */
static void take_messages(rfbClientPtr rfb)
{
	do
		rfbProcessClientMessage(rfb);
	while (rfb->sock != RFB_INVALID_SOCKET && rfb->wsctx && webSocketsHasDataInBuffer(rfb));
}

static void serve(struct vmb_dev_vnc *v, struct client *c, bool readable)
{
	if (!c->rfb)
		return;
	set_busy(v, place_of(v, c));
	if (readable)
		take_messages(c->rfb);
	if (c->rfb->sock != RFB_INVALID_SOCKET)
		rfbUpdateClient(c->rfb);
	set_busy(v, -1);
	remove_if_gone(v, c);
}

/* The server's thread */

static void wait_for_clients(struct vmb_dev_vnc *v, int ms, bool readable[])
{
	struct pollfd fds[2 + VMB_DEV_VNC_CLIENT_MAX];
	bool rests = v->client_count && now_ms() < v->due;

	/* While the picture rests what changes is collected. */
	fds[0] = (struct pollfd){ .fd = rests && !is_ending(v) ? -1 : v->wake, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = vmb_dev_socket_wanted(&v->socket, &ms), .events = POLLIN };
	for (uint32_t i = 0; i < VMB_DEV_VNC_CLIENT_MAX; i++)
		fds[2 + i] =
			(struct pollfd){ .fd = v->clients[i].rfb ? v->clients[i].rfb->sock : -1,
					 .events = POLLIN };
	if (rests && (ms < 0 || ms > PICTURE_MS))
		ms = PICTURE_MS;
	poll(fds, VMB_ARRAY_COUNT(fds), ms);
	if (!v->client_count && fds[0].revents)
		vmb_dev_event_clear(v->wake);
	for (uint32_t i = 0; i < VMB_DEV_VNC_CLIENT_MAX; i++)
		readable[i] = v->clients[i].rfb && fds[2 + i].revents;
	if (fds[1].revents)
		accept_client(v);
}

static void *run_server(void *arg)
{
	struct vmb_dev_vnc *v = arg;
	bool readable[VMB_DEV_VNC_CLIENT_MAX];
	int ms;

	vmb_dev_role_enter(VMB_DEV_ROLE_VNC);
	while (!is_ending(v)) {
		watch(v);
		ms = look(v);
		for (uint32_t i = 0; i < VMB_DEV_VNC_CLIENT_MAX; i++)
			serve(v, &v->clients[i], false);
		wait_for_clients(v, ms, readable);
		for (uint32_t i = 0; i < VMB_DEV_VNC_CLIENT_MAX; i++)
			if (readable[i])
				serve(v, &v->clients[i], true);
	}
	return NULL;
}

/* Life */

static void say_nothing(const char *format, ...)
{
}

static int read_password(struct vmb_dev_vnc *v)
{
	const char *path = v->config.option.password_file;
	char line[64] = "";
	FILE *file = fopen(path, "re");
	size_t len;

	if (!file) {
		vmb_dev_report("--vnc password-file=%s: %s", path, strerror(errno));
		return -EINVAL;
	}
	if (!fgets(line, sizeof(line), file))
		line[0] = 0;
	fclose(file);
	len = strcspn(line, "\r\n");
	line[len] = 0;
	if (!len || len > VMB_DEV_VNC_PASSWORD_MAX) {
		vmb_dev_report("--vnc password-file=%s: its first line must have 1 to %u "
			       "characters; VNC looks at no more",
			       path, VMB_DEV_VNC_PASSWORD_MAX);
		return -EINVAL;
	}
	memcpy(v->password, line, len + 1);
	return 0;
}

static int listen_tcp(struct vmb_dev_vnc *v)
{
	const struct vmb_dev_vnc_option *o = &v->config.option;
	const struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)(VMB_DEV_VNC_PORT + o->display)),
		.sin_addr.s_addr = htonl(o->nest ? INADDR_ANY : INADDR_LOOPBACK),
	};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	v->socket.fd = fd;
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 &&
	    listen(fd, 8) == 0)
		return 0;
	vmb_dev_report("--vnc :%u: port %u: %s; give another number", o->display,
		       VMB_DEV_VNC_PORT + o->display, strerror(errno));
	return -EINVAL;
}

static int listen_unix(struct vmb_dev_vnc *v)
{
	return vmb_dev_socket_serve(&v->socket, "--vnc", v->config.option.path, SOCK_STREAM, true);
}

static int make_screen(struct vmb_dev_vnc *v)
{
	const struct vmb_host_video_mode none = { .active = false };
	rfbScreenInfoPtr s = rfbGetScreen(NULL, NULL, BLANK_WIDTH, BLANK_HEIGHT, 8, 3, 4);

	v->screen = s;
	if (!s)
		return -ENOMEM;
	s->screenData = v;
	s->desktopName = "openvmbus";
	s->alwaysShared = TRUE;
	s->permitFileTransfer = FALSE;
	s->deferUpdateTime = 0;
	s->cursor = NULL;
	s->maxClientWait = (int)v->config.limit_ms;
	s->kbdAddEvent = take_key;
	s->ptrAddEvent = take_pointer;
	if (v->config.option.password_file) {
		v->passwords[0] = v->password;
		s->authPasswdData = v->passwords;
		s->passwordCheck = rfbCheckPasswordByList;
	}
	resize(v, &none);
	return v->pixels ? 0 : -ENOMEM;
}

/*
 * The library's ciphers come from libgcrypt, which looks around and writes to the system's log when
 * it is first used. That must be before the threads are confined.
 */
static void prime_ciphers(void)
{
	unsigned char bytes[CHALLENGESIZE] = { 0 };
	char word[] = "any";

	rfbEncryptBytes(bytes, word);
}

static int prepare(void *state)
{
	struct vmb_dev_vnc *v = state;
	int error;

	prime_ciphers();

	v->wake = vmb_dev_event_create();
	error = v->wake < 0 ? v->wake : make_screen(v);
	if (error) {
		vmb_dev_report("--vnc: %s", strerror(-error));
		return error;
	}
	return *v->config.option.path ? listen_unix(v) : listen_tcp(v);
}

static void end_watch(struct vmb_dev_vnc *v)
{
	pthread_mutex_lock(&v->lock);
	v->ending = true;
	pthread_cond_signal(&v->changed);
	pthread_mutex_unlock(&v->lock);
	pthread_join(v->watch, NULL);
}

/* The threads begin with the first start of the machine, when the program has confined itself. */
static int attach(void *state, struct vmb_dev_bus *bus)
{
	struct vmb_dev_vnc *v = state;
	int error;

	if (v->started || bus->config.stepped)
		return 0;
	error = pthread_create(&v->watch, NULL, run_watch, v);
	if (!error) {
		error = pthread_create(&v->server, NULL, run_server, v);
		v->started = !error;
		if (error)
			end_watch(v);
	}
	if (error)
		vmb_dev_report("--vnc: no thread: %s", strerror(error));
	return -error;
}

static void detach(void *state)
{
}

static bool step(void *state)
{
	return false;
}

static void report(const void *state)
{
	const struct vmb_dev_vnc *v = state;

	vmb_dev_report("stats: vnc: %" PRIu64 " clients, %" PRIu64 " refused, %" PRIu64
		       " ended because they held up the others",
		       v->connections, v->refused, v->ended);
}

/* The devices that it shows and types into may be closed before it. */
static void leave(void *state)
{
	struct vmb_dev_vnc *v = state;

	if (!v->started)
		return;
	end_watch(v);
	vmb_dev_event_ring(v->wake);
	pthread_join(v->server, NULL);
	v->started = false;
	vmb_dev_video_watch(v->config.video, -1);
	for (uint32_t i = 0; i < VMB_DEV_VNC_CLIENT_MAX; i++)
		if (v->clients[i].rfb) {
			rfbCloseClient(v->clients[i].rfb);
			remove_if_gone(v, &v->clients[i]);
		}
}

static void shut(void *state)
{
	struct vmb_dev_vnc *v = state;

	leave(v);
	if (v->screen)
		rfbScreenCleanup(v->screen);
	free(v->pixels);
	vmb_dev_socket_end(&v->socket);
	if (v->wake >= 0)
		close(v->wake);
	pthread_cond_destroy(&v->changed);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

static const struct vmb_dev_device_ops ops = { .prepare = prepare,
					       .attach = attach,
					       .detach = detach,
					       .step = step,
					       .report = report,
					       .leave = leave,
					       .close = shut };

int vmb_dev_vnc_open(struct vmb_dev_device *device, const struct vmb_dev_vnc_config *config)
{
	struct vmb_dev_vnc *v = calloc(1, sizeof(*v));
	pthread_condattr_t attr;
	int error;

	if (!v) {
		vmb_dev_report("--vnc: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	v->config = *config;
	if (!v->config.limit_ms)
		v->config.limit_ms = LIMIT_MS;
	v->wake = v->socket.fd = v->busy = -1;
	for (uint32_t i = 0; i < VMB_DEV_VNC_CLIENT_MAX; i++)
		v->sockets[i] = -1;
	pthread_mutex_init(&v->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&v->changed, &attr);
	pthread_condattr_destroy(&attr);
	rfbLog = rfbErr = say_nothing; /* what clients do is not for standard error */
	error = config->option.password_file ? read_password(v) : 0;
	if (error)
		shut(v);
	else
		*device = (struct vmb_dev_device){ &ops, v };
	return error;
}

int vmb_dev_vnc_check(const struct vmb_dev_vnc_config *config)
{
	struct vmb_dev_vnc v = { .config = *config, .socket.fd = -1 };
	int error = config->option.password_file ? read_password(&v) : 0;

	if (!error && !*config->option.path)
		error = listen_tcp(&v);
	vmb_dev_socket_end(&v.socket);
	return error;
}
