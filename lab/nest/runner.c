// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * nest-runner JOB ROOT: becomes the command of the job folder JOB, in a chroot to ROOT; see lab/nest/openvmbus-nest for the
 * folder's files. A program of its own, and linked statically, because a shell and its libraries would first be read through
 * the shared file system, in an emulated machine a sixth of a second before each command.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The strings of a file, each ended by a NUL, and a NULL behind them. Without the file: none. */
static char **strings(const char *folder, const char *name)
{
	struct stat st = { 0 };
	char path[4096], *bytes, **list;
	size_t count = 0, at = 0;
	ssize_t len = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		fstat(fd, &st);
	bytes = calloc(1, st.st_size + 1);
	list = calloc(st.st_size + 1, sizeof(*list));
	if (!bytes || !list)
		exit(126);
	while (at < (size_t)st.st_size && (len = read(fd, bytes + at, st.st_size - at)) > 0)
		at += len;
	for (char *s = bytes; s < bytes + at; s += strlen(s) + 1)
		list[count++] = s;
	return list;
}

static void need(int error, const char *what)
{
	if (!error)
		return;
	fprintf(stderr, "nest: %s: %s\n", what, strerror(errno));
	exit(126);
}

int main(int argc, char **argv)
{
	static char *minimal[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
		"TERM=linux", NULL
	};
	char **command, **cwd, **environment;

	if (argc != 3)
		return 126;
	command = strings(argv[1], "argv");
	cwd = strings(argv[1], "cwd");
	environment = strings(argv[1], "env");
	need(chroot(argv[2]), argv[2]);
	need(chdir(*cwd ? *cwd : "/"), *cwd ? *cwd : "/");
	environ = *environment ? environment : minimal;
	if (*command)
		execvp(*command, command);
	fprintf(stderr, "nest: %s: %s\n", *command ? *command : "no command", strerror(errno));
	return errno == ENOENT ? 127 : 126;
}
