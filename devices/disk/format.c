// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Image files with a format of their own. QEMU knows them all: qemu-nbd serves the file on a private
 * socket for as long as the machine runs, and the disk is an NBD disk. Which format a file has is for
 * the user to say; a file that looks like one of them and is not said to be one is refused, because
 * taken as raw it would be ruined.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/disk/disk.h"
#include "devices/report.h"

#define SERVER	    "qemu-nbd"
#define START_MS    20000
#define STOP_MS	    20000
#define EXPLAIN_MS  1000
#define STEP_MS	    10
#define MESSAGE_LEN 512

struct vmb_dev_disk_server {
	pid_t pid;
	int messages; /* read end of its standard error */
	char folder[32];
	char socket[48];
	char uri[80];
};

static const struct {
	const char *name; /* of format= */
	const char *driver; /* QEMU's */
	const char *magic;
	bool at_end; /* magic begins the last 512 bytes, not the file */
} formats[] = {
	{ "raw", "raw", NULL, false },	       { "qcow2", "qcow2", "QFI\xfb", false },
	{ "vhdx", "vhdx", "vhdxfile", false }, { "vmdk", "vmdk", "KDMV", false },
	{ "vhd", "vpc", "conectix", false },   { "vhd", "vpc", "conectix", true },
};

bool vmb_dev_disk_format_known(const char *name)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			return true;
	return false;
}

static const char *driver_of(const char *name)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			return formats[i].driver;
	return NULL;
}

const char *vmb_dev_disk_format_of(int fd, uint64_t len)
{
	char bytes[16];
	off_t at;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(formats); i++) {
		if (!formats[i].magic || (formats[i].at_end && len < 512))
			continue;
		at = formats[i].at_end ? (off_t)len - 512 : 0;
		if (pread(fd, bytes, sizeof(bytes), at) == sizeof(bytes) &&
		    memcmp(bytes, formats[i].magic, strlen(formats[i].magic)) == 0)
			return formats[i].name;
	}
	return NULL;
}

/* In the child. It must not outlive us, whatever becomes of us. */
static void become_server(const struct vmb_dev_disk_option *option,
			  const struct vmb_dev_disk_server *server, int messages, pid_t parent)
{
	char socket[64];
	const char *arguments[] = { SERVER,
				    "--persistent",
				    "--shared=8",
				    "--cache=writeback",
				    "--discard=unmap",
				    socket,
				    "--format",
				    driver_of(option->format),
				    option->read_only ? "--read-only" : "--detect-zeroes=off",
				    "--",
				    option->path,
				    NULL };
	sigset_t none;
	int null = open("/dev/null", O_RDWR);

	snprintf(socket, sizeof(socket), "--socket=%s", server->socket);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || null < 0)
		_exit(127);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(messages, STDERR_FILENO);
	setpgid(0, 0); /* the terminal's interrupt key is the machine's */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(SERVER, (char *const *)arguments);
	fprintf(stderr, "%s; run apt-get install qemu-utils", strerror(errno));
	fflush(stderr);
	_exit(127);
}

static bool start_process(struct vmb_dev_disk_server *server,
			  const struct vmb_dev_disk_option *option)
{
	pid_t parent = getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return false;
	fcntl(fds[1], F_SETFL,
	      O_NONBLOCK); /* nobody reads what it says later: it shall not wait for that */
	server->pid = fork();
	if (server->pid == 0)
		become_server(option, server, fds[1], parent);
	close(fds[1]);
	server->messages = fds[0];
	return server->pid > 0;
}

/* Its last words, without line ends. */
static void read_message(const struct vmb_dev_disk_server *server, char *message)
{
	ssize_t len = read(server->messages, message, MESSAGE_LEN - 1);

	message[len > 0 ? len : 0] = 0;
	message[strcspn(message, "\n")] = 0;
	if (!*message)
		snprintf(message, MESSAGE_LEN, "it ended without a word");
}

/* The socket is there before the image is open, and answers only then. */
static bool answers(const struct vmb_dev_disk_server *server)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool connected;

	memcpy(address.sun_path, server->socket, sizeof(server->socket));
	connected = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	if (fd >= 0)
		close(fd);
	return connected;
}

static int wait_until_ready(struct vmb_dev_disk_server *server,
			    const struct vmb_dev_disk_option *option)
{
	char message[MESSAGE_LEN] = "it does not get ready";
	int status;

	for (int waited = 0; waited < START_MS; waited += STEP_MS) {
		if (answers(server))
			return 0;
		if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
			server->pid = 0;
			read_message(server, message);
			break;
		}
		poll(NULL, 0, STEP_MS);
	}
	vmb_dev_report("%s %s: " SERVER ": %s", vmb_dev_disk_option_name(option), option->path,
		       message);
	return -EINVAL;
}

/*
 * In shared memory where there is some: /tmp of the emulated machine that stands in for /dev/kvm is another machine's
 * file system, on which no socket can be bound.
 */
static bool make_folder(char *folder)
{
	strcpy(folder, access("/dev/shm", W_OK | X_OK) ? "/tmp/openvmbus-disk-XXXXXX" :
							 "/dev/shm/openvmbus-disk-XXXXXX");
	if (mkdtemp(folder))
		return true;
	vmb_dev_report("%s: %s", folder, strerror(errno));
	return false;
}

struct vmb_dev_disk_server *vmb_dev_disk_server_start(const struct vmb_dev_disk_option *option)
{
	struct vmb_dev_disk_server *server = calloc(1, sizeof(*server));

	if (!server)
		return NULL;
	server->messages = -1;
	if (!make_folder(server->folder)) {
		free(server);
		return NULL;
	}
	snprintf(server->socket, sizeof(server->socket), "%s/socket", server->folder);
	snprintf(server->uri, sizeof(server->uri), "nbd+unix:///?socket=%s", server->socket);
	if (start_process(server, option) && wait_until_ready(server, option) == 0)
		return server;
	vmb_dev_disk_server_stop(server);
	return NULL;
}

void vmb_dev_disk_server_explain(struct vmb_dev_disk_server *server, char *why, uint32_t why_len)
{
	char message[MESSAGE_LEN];
	int status;

	for (int waited = 0; server->pid > 0 && waited < EXPLAIN_MS; waited += STEP_MS) {
		if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
			server->pid = 0;
			read_message(server, message);
			snprintf(why, why_len, SERVER ": %s", message);
		}
		poll(NULL, 0, STEP_MS);
	}
}

const char *vmb_dev_disk_server_uri(const struct vmb_dev_disk_server *server)
{
	return server->uri;
}

/* It writes out what it still holds before it ends, so it gets its time. */
static void end_process(struct vmb_dev_disk_server *server)
{
	int status;

	kill(server->pid, SIGTERM);
	for (int waited = 0; waited < STOP_MS; waited += STEP_MS) {
		if (waitpid(server->pid, &status, WNOHANG) == server->pid)
			return;
		poll(NULL, 0, STEP_MS);
	}
	kill(server->pid, SIGKILL);
	waitpid(server->pid, &status, 0);
}

void vmb_dev_disk_server_stop(struct vmb_dev_disk_server *server)
{
	if (!server)
		return;
	if (server->pid > 0)
		end_process(server);
	if (server->messages >= 0)
		close(server->messages);
	unlink(server->socket);
	rmdir(server->folder);
	free(server);
}
