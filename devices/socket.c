// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Listens on a UNIX socket, in place of one that nobody serves any more. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "devices/report.h"
#include "devices/socket.h"

#define LOCK_MS	     2000 /* another program that starts in the folder is long done */
#define LOCK_REST_MS 20

static int refuse(const struct vmb_dev_socket *s, const char *why)
{
	vmb_dev_report("%s %s: %s", s->who, s->path, why);
	return -EINVAL;
}

static int refuse_place(const struct vmb_dev_socket *s, int error)
{
	vmb_dev_report("%s %s: %s; give a path where a socket can be made", s->who, s->path,
		       strerror(error));
	return -EINVAL;
}

int vmb_dev_socket_create(struct sockaddr_un *address, const char *path, int type)
{
	int fd;

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	strcpy(address->sun_path, path);
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

/* Removes the socket of a program that was killed. A socket in use, or any other file, stays. */
static int make_room(const struct vmb_dev_socket *s, int type)
{
	struct sockaddr_un address;
	struct stat about;
	int fd, error;

	if (lstat(s->path, &about))
		return errno == ENOENT ? 0 : refuse(s, strerror(errno));
	if (!S_ISSOCK(about.st_mode))
		return refuse(s, "it exists and is no socket; give another path");
	fd = vmb_dev_socket_create(&address, s->path, type);
	if (fd < 0)
		return refuse(s, strerror(-fd));
	error = connect(fd, (struct sockaddr *)&address, sizeof(address)) ? errno : 0;
	close(fd);
	if (error != ECONNREFUSED)
		return refuse(s, "a socket that somebody serves; give another path, or stop it");
	return unlink(s->path) ? refuse(s, strerror(errno)) : 0;
}

static int bind_socket(struct vmb_dev_socket *s, int type, bool is_private)
{
	struct sockaddr_un address;
	struct stat about;
	int error;

	if (make_room(s, type))
		return -EINVAL;
	s->fd = vmb_dev_socket_create(&address, s->path, type);
	if (s->fd < 0)
		return refuse_place(s, -s->fd);
	/* The file gets the socket's mode. */
	if ((is_private && fchmod(s->fd, 0600)) ||
	    bind(s->fd, (struct sockaddr *)&address, sizeof(address)))
		return refuse_place(s, errno);
	if (listen(s->fd, SOMAXCONN) || lstat(s->path, &about)) {
		error = errno;
		unlink(s->path); /* ours: the folder is locked */
		return refuse_place(s, error);
	}
	s->dev = about.st_dev;
	s->ino = about.st_ino;
	return 0;
}

/* The signals that would end a wait are blocked, so it has a limit. */
static int lock_folder(int folder)
{
	const struct timespec rest = { .tv_nsec = LOCK_REST_MS * 1000000 };

	for (int i = 0; i < LOCK_MS / LOCK_REST_MS; i++) {
		if (flock(folder, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		nanosleep(&rest, NULL);
	}
	return -EWOULDBLOCK;
}

int vmb_dev_socket_serve(struct vmb_dev_socket *s, const char *who, const char *path, int type,
			 bool is_private)
{
	char copy[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int folder, error;

	*s = (struct vmb_dev_socket){ .who = who, .path = path, .fd = -1 };
	if (strlen(path) >= sizeof(copy))
		return refuse(s, "the path is too long for a socket; give a shorter one");
	strcpy(copy, path);
	folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return refuse(s, strerror(errno));
	error = lock_folder(folder);
	if (error == -EWOULDBLOCK)
		refuse(s, "its folder is locked by another program; give another path");
	else if (error)
		refuse(s, strerror(-error));
	else
		error = bind_socket(s, type, is_private);
	close(folder);
	return error ? -EINVAL : 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A client that has gone meanwhile does not come back by itself, any other reason may. */
static bool is_lasting(int error)
{
	return error != EAGAIN && error != EINTR && error != ECONNABORTED;
}

int vmb_dev_socket_accept(struct vmb_dev_socket *s)
{
	int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		return fd;
	fd = -errno;
	if (is_lasting(-fd))
		s->accept_at = now_ms() + VMB_DEV_SOCKET_REST_MS;
	return fd;
}

int vmb_dev_socket_wanted(const struct vmb_dev_socket *s, int *timeout_ms)
{
	int64_t left = s->accept_at ? s->accept_at - now_ms() : 0;

	if (left <= 0)
		return s->fd;
	if (*timeout_ms < 0 || left < *timeout_ms)
		*timeout_ms = (int)left;
	return -1;
}

void vmb_dev_socket_end(struct vmb_dev_socket *s)
{
	struct stat about;

	if (s->ino && lstat(s->path, &about) == 0 && about.st_ino == s->ino &&
	    about.st_dev == s->dev)
		unlink(s->path);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->ino = 0;
}
