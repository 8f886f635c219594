// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A private NBD server for an image: qemu-nbd on a socket in a folder of its own, for as long as
 * the machine runs. A keeper, a child process of the machine, starts the server, starts it again
 * when it dies or hangs, and ends it. So no thread of the machine has to start a process, and the
 * folder is removed even if the machine is killed.
 *
 * The machine talks to the keeper over a socket, the line: a byte means "the server is stuck",
 * closing it means "stop". The keeper answers once: a NUL when the server is ready, or a text that
 * says why it is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/platform.h"
#include "devices/disk/disk.h"
#include "devices/files.h"
#include "devices/report.h"
#include "devices/role.h"
#include "devices/user.h"

#define SERVER	    "qemu-nbd"
#define GREETING    "NBDMAGIC"
#define START_MS    20000
#define STOP_MS	    6000 /* it writes out what it holds */
#define IDLE_MS	    1000 /* without doing anything for that */
#define LOOK_MS	    100
#define KILL_MS	    500
#define KEEPER_MS   7500u /* from leave() on: all of that */
#define STEP_MS	    10
#define RETRY_MS    1000
#define TRIES_MAX   10 /* to start it again */
#define MESSAGE_LEN 512
#define IMAGE_LEN   (2 * PATH_MAX + 128u)

struct vmb_dev_disk_server {
	pid_t keeper;
	int pidfd; /* of it; -1: none */
	int line; /* to it */
	bool left;
	uint64_t left_ms;
	char folder[32];
	char socket[48];
	char uri[80];
};

/* The keeper's: one server's process. */
struct process {
	const struct vmb_dev_disk_option *option;
	const char *folder, *socket;
	int line;
	pid_t pid; /* 0: none */
	int pidfd;
	int messages; /* read end of its standard error */
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/*
 * In QEMU's words. It shall see nothing in the name but a file's name; and a VHD image is as long
 * as it says, as on Hyper-V, not as long as its cylinders.
 */
static void describe(const struct vmb_dev_disk_option *option, char *image)
{
	const char *driver = vmb_dev_disk_format_driver(option->format);
	bool vhd = strcmp(driver, "vpc") == 0;
	struct stat st;
	size_t len;

	len = (size_t)snprintf(
		image, IMAGE_LEN, "driver=%s%s,file.driver=%s,file.filename=", driver,
		vhd ? ",force_size_calc=current_size" : "",
		stat(option->path, &st) == 0 && S_ISBLK(st.st_mode) ? "host_device" : "file");
	for (const char *c = option->path; *c && len < IMAGE_LEN - 2; c++) {
		image[len++] = *c;
		if (*c == ',')
			image[len++] = ',';
	}
	image[len] = 0;
}

/* Wherever the server is found. */
static void allow_programs(int rules)
{
	char *copy = strdup(getenv("PATH") ? getenv("PATH") : ""), *rest;

	for (char *one = copy ? strtok_r(copy, ":", &rest) : NULL; one;
	     one = strtok_r(NULL, ":", &rest))
		vmb_dev_files_allow(rules, one, VMB_DEV_FILES_READ);
	free(copy);
}

/*
 * It reads what formats are made of, which has had holes: it gets its image, the folder with its
 * socket, and what programs are made of. A program that takes the server over finds nothing else to
 * write to, and no network.
 */
static void confine_server(const struct process *p)
{
	static const char *const system[] = { "/usr",  "/lib", "/lib64",      "/etc",
					      "/proc", "/sys", "/dev/urandom" };
	const int image = VMB_DEV_FILES_READ | (p->option->read_only ? 0 : VMB_DEV_FILES_WRITE);
	const struct rlimit none = { 0, 0 };
	int rules;

	setrlimit(RLIMIT_CORE, &none); /* it holds what the guest wrote */
	if (!vmb_dev_role_is_confined())
		return;
	rules = vmb_dev_files_begin();
	for (size_t i = 0; i < VMB_ARRAY_COUNT(system); i++)
		vmb_dev_files_allow(rules, system[i], VMB_DEV_FILES_READ);
	vmb_dev_files_allow(rules, "/dev/null", VMB_DEV_FILES_READ | VMB_DEV_FILES_WRITE);
	allow_programs(rules);
	if (p->option->backing)
		vmb_dev_files_allow(rules, "/", VMB_DEV_FILES_READ);
	vmb_dev_files_allow(rules, p->option->path, image);
	vmb_dev_files_allow(rules, p->folder, VMB_DEV_FILES_READ | VMB_DEV_FILES_SOCKET);
	vmb_dev_files_enter(rules);
	vmb_dev_files_end(rules);
	vmb_dev_role_enter(VMB_DEV_ROLE_SERVER);
}

/* In the keeper's child. It must not outlive the keeper, whatever becomes of that. */
static void become_server(const struct process *p, int messages, pid_t parent)
{
	char socket[64], image[IMAGE_LEN];
	const char *arguments[] = { SERVER,
				    "--persistent",
				    "--shared=8",
				    "--cache=writeback",
				    "--discard=unmap",
				    socket,
				    p->option->read_only ? "--read-only" : "--detect-zeroes=off",
				    "--image-opts",
				    "--",
				    image,
				    NULL };
	sigset_t none;
	int null = open("/dev/null", O_RDWR);

	describe(p->option, image);
	snprintf(socket, sizeof(socket), "--socket=%s", p->socket);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || null < 0)
		_exit(127);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(messages, STDERR_FILENO);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	confine_server(p);
	execvp(SERVER, (char *const *)arguments);
	dprintf(STDERR_FILENO, "%s; run apt-get install qemu-utils", strerror(errno));
	_exit(127);
}

static bool start_process(struct process *p)
{
	pid_t parent = getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return false;
	/* Nobody reads what it says later: it shall not wait for that. */
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	unlink(p->socket);
	p->pid = fork();
	if (p->pid == 0)
		become_server(p, fds[1], parent);
	close(fds[1]);
	p->messages = fds[0];
	p->pidfd = p->pid > 0 ? pidfd_open(p->pid, 0) : -1;
	return p->pid > 0;
}

/* Returns whether the server has ended; then *status is its exit status. */
static bool reap(struct process *p, int *status, int ms)
{
	struct pollfd end = { .fd = p->pidfd, .events = POLLIN };

	if (p->pidfd >= 0)
		poll(&end, 1, ms);
	if (waitpid(p->pid, status, WNOHANG) != p->pid)
		return false;
	close(p->pidfd);
	p->pid = 0;
	return true;
}

/*
 * Adds a thread's processor time to *ticks. Returns whether it runs or waits for a disk. path: its
 * folder in /proc.
 */
static bool thread_works(const char *path, uint64_t *ticks)
{
	char name[PATH_MAX], text[1024], state = 'R';
	uint64_t user = 0, system = 0;
	FILE *file;

	snprintf(name, sizeof(name), "%s/stat", path);
	file = fopen(name, "re");
	if (file && fgets(text, sizeof(text), file) && strrchr(text, ')'))
		sscanf(strrchr(text, ')') + 1,
		       " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, &state,
		       &user, &system);
	if (file)
		fclose(file);
	*ticks += user + system;
	return state == 'R' || state == 'D';
}

/* Whether the server does something; *ticks: what it was at the last look. Not known: yes. */
static bool is_at_work(const struct process *p, uint64_t *ticks)
{
	uint64_t before = *ticks;
	bool works = false;
	char pattern[64];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "/proc/%d/task/*", p->pid);
	if (glob(pattern, 0, NULL, &found))
		return true;
	*ticks = 0;
	for (size_t i = 0; i < found.gl_pathc; i++)
		works |= thread_works(found.gl_pathv[i], ticks);
	globfree(&found);
	return works || *ticks != before;
}

/* A server that hangs writes nothing out: it does not get all of the time. */
static bool reap_in_time(struct process *p, int *status)
{
	uint64_t until = now_ms() + STOP_MS, worked = now_ms(), ticks = 0;

	while (now_ms() < until && now_ms() - worked < IDLE_MS) {
		if (reap(p, status, LOOK_MS))
			return true;
		if (is_at_work(p, &ticks))
			worked = now_ms();
	}
	return false;
}

static void end_process(struct process *p)
{
	int status;

	if (p->pid > 0) {
		kill(p->pid, SIGTERM);
		kill(p->pid, SIGCONT); /* somebody may have stopped it */
		if (!reap_in_time(p, &status)) {
			kill(p->pid, SIGKILL);
			reap(p, &status, KILL_MS);
		}
	}
	if (p->messages >= 0)
		close(p->messages);
	p->messages = -1;
}

/* The server's last message, without its name and line ends. */
static void read_message(const struct process *p, char *message)
{
	char text[MESSAGE_LEN];
	ssize_t len = read(p->messages, text, sizeof(text) - 1);
	const char *words = text;

	text[len > 0 ? len : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	if (strncmp(text, SERVER ": ", strlen(SERVER ": ")) == 0)
		words += strlen(SERVER ": ");
	if (strstr(text, "log that needs to be replayed"))
		words = "its log holds writes that have not reached their places; leave readonly "
			"out once, or run qemu-img check -r all";
	snprintf(message, MESSAGE_LEN, "%s", *words ? words : "it ended without a word");
}

/* The socket is there before the image is open; it greets who connects only then. */
static bool greets(const struct process *p)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char greeting[sizeof(GREETING) - 1];
	struct pollfd answer = { .fd = fd, .events = POLLIN };
	bool good;

	memcpy(address.sun_path, p->socket, strlen(p->socket) + 1);
	good = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	       poll(&answer, 1, RETRY_MS) == 1 &&
	       recv(fd, greeting, sizeof(greeting), 0) == sizeof(greeting) &&
	       memcmp(greeting, GREETING, sizeof(greeting)) == 0;
	if (fd >= 0)
		close(fd);
	return good;
}

/*
 * Whether the line ended: then there is nothing more to wait for. Takes what is said on it
 * otherwise.
 */
static bool told_to_stop(const struct process *p, int ms)
{
	struct pollfd line = { .fd = p->line, .events = POLLIN };
	char byte;

	return poll(&line, 1, ms) == 1 && read(p->line, &byte, 1) <= 0;
}

/* Starts it and waits until it is ready. False: message says why it is not. */
static bool start_server(struct process *p, char *message)
{
	uint64_t until = now_ms() + START_MS;
	int status;

	snprintf(message, MESSAGE_LEN, "it does not get ready");
	if (!start_process(p)) {
		snprintf(message, MESSAGE_LEN, "%s", strerror(errno));
		return false;
	}
	while (now_ms() < until && !told_to_stop(p, STEP_MS)) {
		if (greets(p))
			return true;
		if (reap(p, &status, 0)) {
			read_message(p, message);
			break;
		}
	}
	end_process(p);
	return false;
}

static const char *how(int status)
{
	return WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "of its own accord";
}

/* False: starting the server again is of no use. */
static bool start_again(struct process *p, int status)
{
	const char *name = vmb_dev_disk_option_name(p->option), *path = p->option->path;
	char message[MESSAGE_LEN];

	vmb_dev_report("%s %s: " SERVER " ended (%s); starting it again", name, path, how(status));
	close(p->messages);
	p->messages = -1;
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		if (start_server(p, message))
			return true;
		if (told_to_stop(p, RETRY_MS))
			return false;
	}
	vmb_dev_report("%s %s: " SERVER " does not start any more: %s", name, path, message);
	return false;
}

/* Until the line ends. */
static void watch(struct process *p)
{
	struct pollfd fds[2] = { { .fd = p->line, .events = POLLIN }, { .events = POLLIN } };
	int status;
	char byte;

	for (;;) {
		fds[1].fd = p->pid > 0 ? p->pidfd : -1;
		poll(fds, 2, -1);
		if (fds[0].revents) {
			if (read(p->line, &byte, 1) <= 0)
				return;
			if (p->pid > 0)
				kill(p->pid, SIGKILL);
		}
		if (fds[1].revents && reap(p, &status, 0) && !start_again(p, status) &&
		    told_to_stop(p, -1))
			return;
	}
}

/* In the child. What else is open is the machine's, and other keepers' lines. */
static void become_keeper(const struct vmb_dev_disk_option *option,
			  const struct vmb_dev_disk_server *server, int line)
{
	struct process p = {
		.option = option, .folder = server->folder, .socket = server->socket, .messages = -1
	};
	char message[MESSAGE_LEN];
	int null = open("/dev/null", O_RDWR), error;
	sigset_t all;

	setpgid(0, 0); /* the terminal's interrupt key is the machine's */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	vmb_dev_report_raw(isatty(STDERR_FILENO)); /* it may become raw later */
	p.line = dup2(line, STDERR_FILENO + 1);
	close_range(STDERR_FILENO + 2, ~0u, 0);
	vmb_dev_report_begin();
	fcntl(p.line, F_SETFD, FD_CLOEXEC);
	error = vmb_dev_user_become();
	if (error)
		snprintf(message, sizeof(message), "--user: %s", strerror(-error));
	if (error || !start_server(&p, message)) {
		send(p.line, message, strlen(message), MSG_NOSIGNAL);
	} else {
		send(p.line, "", 1, MSG_NOSIGNAL);
		watch(&p);
	}
	end_process(&p);
	unlink(server->socket);
	rmdir(server->folder);
	vmb_dev_report_drain(KILL_MS);
	_exit(0);
}

static bool start_keeper(struct vmb_dev_disk_server *server,
			 const struct vmb_dev_disk_option *option)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return false;
	server->keeper = fork();
	if (server->keeper == 0)
		become_keeper(option, server, fds[1]);
	server->pidfd = server->keeper > 0 ? pidfd_open(server->keeper, 0) : -1;
	close(fds[1]);
	server->line = fds[0];
	return server->keeper > 0;
}

static bool wait_until_ready(const struct vmb_dev_disk_server *server,
			     const struct vmb_dev_disk_option *option)
{
	char message[MESSAGE_LEN];
	ssize_t len = recv(server->line, message, sizeof(message) - 1, 0);

	if (len == 1 && !*message)
		return true;
	message[len > 0 ? len : 0] = 0;
	vmb_dev_report("%s %s: " SERVER ": %s", vmb_dev_disk_option_name(option), option->path,
		       len > 0 ? message : "it cannot be started");
	return false;
}

/*
 * In shared memory where there is some: /tmp of the emulated machine that stands in for /dev/kvm is
 * another machine's file system, on which no socket can be bound.
 */
static bool make_folder(char *folder)
{
	strcpy(folder, access("/dev/shm", W_OK | X_OK) ? "/tmp/openvmbus-disk-XXXXXX" :
							 "/dev/shm/openvmbus-disk-XXXXXX");
	if (mkdtemp(folder) && vmb_dev_user_own(folder) == 0)
		return true;
	vmb_dev_report("%s: %s", folder, strerror(errno));
	return false;
}

struct vmb_dev_disk_server *vmb_dev_disk_server_start(const struct vmb_dev_disk_option *option)
{
	struct vmb_dev_disk_server *server = calloc(1, sizeof(*server));

	if (!server)
		return NULL;
	server->line = server->pidfd = -1;
	if (!make_folder(server->folder)) {
		free(server);
		return NULL;
	}
	snprintf(server->socket, sizeof(server->socket), "%s/socket", server->folder);
	snprintf(server->uri, sizeof(server->uri), "nbd+unix:///?socket=%s", server->socket);
	if (start_keeper(server, option) && wait_until_ready(server, option))
		return server;
	vmb_dev_disk_server_stop(server);
	return NULL;
}

const char *vmb_dev_disk_server_uri(const struct vmb_dev_disk_server *server)
{
	return server->uri;
}

void vmb_dev_disk_server_restart(struct vmb_dev_disk_server *server)
{
	send(server->line, "k", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void vmb_dev_disk_server_leave(struct vmb_dev_disk_server *server)
{
	if (server->left)
		return;
	shutdown(server->line, SHUT_WR);
	server->left = true;
	server->left_ms = now_ms();
}

/* The keeper's own limits are shorter: it is killed only if it was stopped itself. */
static void join_keeper(struct vmb_dev_disk_server *server)
{
	uint64_t spent = now_ms() - server->left_ms;
	struct pollfd line = { .fd = server->line };

	pidfd_send_signal(server->pidfd, SIGCONT, NULL, 0); /* somebody may have stopped it */
	if (spent < KEEPER_MS)
		poll(&line, 1, (int)(KEEPER_MS - spent));
	if (!line.revents) {
		pidfd_send_signal(server->pidfd, SIGKILL, NULL, 0);
		unlink(server->socket);
		rmdir(server->folder);
	}
	waitpid(server->keeper, NULL, 0);
}

void vmb_dev_disk_server_stop(struct vmb_dev_disk_server *server)
{
	if (!server)
		return;
	if (server->line >= 0)
		vmb_dev_disk_server_leave(server);
	if (server->keeper > 0)
		join_keeper(server);
	if (server->line >= 0)
		close(server->line);
	if (server->pidfd >= 0)
		close(server->pidfd);
	rmdir(server->folder); /* if no keeper was ever started */
	free(server);
}
