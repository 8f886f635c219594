// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/nest.h"
#include "vmm/nest_net.h"
#include "devices/report.h"

#define QEMU		"qemu-system-x86_64"
#define NEST_MEMORY_MIB 1024u /* what the nest needs beside the guest */
#define PATH_LEN	4096u
#define ARGUMENT_MAX	64u
#define OUT_FD		8 /* numbers that the contract names */
#define ERR_FD		9
#define COPY_LEN	65536u
#define END_S		5 /* how long QEMU may take to end */

/* See lab/nest-append: stable clock, no randomisation, quick start. */
static const char kernel_line[] = "quiet nokaslr mitigations=off tsc=reliable random.trust_cpu=on "
				  "rcupdate.rcu_expedited=1 panic=-1 nest.mode=once";

struct nest {
	char folder[PATH_LEN]; /* of kernel and initrd */
	char self[PATH_LEN]; /* this program */
	char job[PATH_LEN];
	bool terminal;
	char *arguments[ARGUMENT_MAX]; /* of QEMU */
	uint32_t argument_count;
	pid_t qemu;
	int out, err; /* read ends; -1: the terminal serves */
	sigset_t signals; /* blocked before we came */
};

/* What is needed */

static bool folder_is_nest(struct nest *n, const char *format, const char *where)
{
	char path[PATH_LEN + 16];

	if (snprintf(n->folder, sizeof(n->folder), format, where) >= (int)sizeof(n->folder))
		return false;
	snprintf(path, sizeof(path), "%s/vmlinux", n->folder);
	if (access(path, R_OK))
		return false;
	snprintf(path, sizeof(path), "%s/initrd", n->folder);
	return access(path, R_OK) == 0;
}

/* Beside the program as built, or where it was installed, or where the user says. */
static bool find_folder(struct nest *n)
{
	const char *given = getenv("OPENVMBUS_NEST");
	char folder[PATH_LEN];
	ssize_t len = readlink("/proc/self/exe", n->self, sizeof(n->self) - 1);

	if (given)
		return folder_is_nest(n, "%s", given);
	if (len < 0)
		return false;
	n->self[len] = 0;
	memcpy(folder, n->self, len + 1);
	*strrchr(folder, '/') = 0;
	return folder_is_nest(n, "%s/../lib/openvmbus/nest", folder) ||
	       folder_is_nest(n, "%s/nest", folder);
}

static bool in_path(const char *program)
{
	const char *dir = getenv("PATH");
	char path[PATH_LEN];

	while (dir && *dir) {
		size_t len = strcspn(dir, ":");

		if (snprintf(path, sizeof(path), "%.*s/%s", (int)len, dir, program) <
			    (int)sizeof(path) &&
		    access(path, X_OK) == 0)
			return true;
		dir += len + (dir[len] == ':');
	}
	return false;
}

static bool everything_is_there(struct nest *n)
{
	if (!find_folder(n)) {
		vmb_dev_report("the nest is missing: no vmlinux and initrd in %s; run "
			       "lab/nest-image, or use a machine with /dev/kvm",
			       n->folder);
		return false;
	}
	if (in_path(QEMU))
		return true;
	vmb_dev_report("the nest needs " QEMU "; run apt-get install qemu-system-x86, or use a "
		       "machine with /dev/kvm");
	return false;
}

/* The job folder */

static FILE *job_file(const struct nest *n, const char *name)
{
	char path[PATH_LEN + 16];

	snprintf(path, sizeof(path), "%s/%s", n->job, name);
	return fopen(path, "we");
}

static bool close_file(FILE *file)
{
	bool good = !ferror(file);

	return fclose(file) == 0 && good;
}

static bool write_strings(const struct nest *n, const char *name, char *const *strings)
{
	FILE *file = job_file(n, name);

	if (!file)
		return false;
	for (; *strings; strings++)
		fwrite(*strings, strlen(*strings) + 1, 1, file);
	return close_file(file);
}

/* The last --accel counts: down there it is KVM. */
static bool write_command(struct nest *n, const struct vmb_vmm_options *o, int argc, char **argv)
{
	static char accel[] = "--accel", kvm[] = "kvm";
	char **command = calloc(argc + 4, sizeof(*command));
	char **changed = calloc(argc + 1, sizeof(*changed));
	bool written = false;

	if (command && changed) {
		command[0] = n->self;
		for (int i = 0; i < argc; i++) {
			changed[i] = vmb_vmm_nest_net_inner(o, argv[i]);
			command[i + 1] = changed[i] ? changed[i] : argv[i];
		}
		command[argc + 1] = accel;
		command[argc + 2] = kvm;
		written = write_strings(n, "argv", command);
		for (int i = 0; i < argc; i++)
			free(changed[i]);
	}
	free(changed);
	free(command);
	return written;
}

static bool write_terminal(const struct nest *n)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	FILE *file = job_file(n, "tty");

	if (!file)
		return false;
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	fprintf(file, "%u %u\n", size.ws_row, size.ws_col);
	return close_file(file);
}

static bool make_job(struct nest *n, const struct vmb_vmm_options *o, int argc, char **argv)
{
	const char *tmp = getenv("TMPDIR");
	char cwd[PATH_LEN], *where[] = { cwd, NULL };

	snprintf(n->job, sizeof(n->job), "%s/openvmbus-XXXXXX", tmp ? tmp : "/tmp");
	if (!getcwd(cwd, sizeof(cwd)) || !mkdtemp(n->job)) {
		vmb_dev_report("%s: %s; set TMPDIR", n->job, strerror(errno));
		n->job[0] = 0;
		return false;
	}
	if (write_command(n, o, argc, argv) && write_strings(n, "cwd", where) &&
	    write_strings(n, "env", environ) && (!n->terminal || write_terminal(n)))
		return true;
	vmb_dev_report("%s: %s", n->job, strerror(errno));
	return false;
}

static void remove_job(const struct nest *n)
{
	static const char *const names[] = { "argv", "cwd", "env", "tty", "exit" };
	char path[PATH_LEN + 16];

	if (!n->job[0])
		return;
	for (size_t i = 0; i < VMB_ARRAY_COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", n->job, names[i]);
		unlink(path);
	}
	rmdir(n->job);
}

/* -1: the nest left none. */
static int read_exit(const struct nest *n)
{
	char path[PATH_LEN + 16];
	FILE *file;
	int code;

	snprintf(path, sizeof(path), "%s/exit", n->job);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (fscanf(file, "%d", &code) != 1 || code < 0 || code > 255)
		code = -1;
	fclose(file);
	return code;
}

/* QEMU's command line */

static void add(struct nest *n, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct nest *n, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (n->argument_count < ARGUMENT_MAX - 1 &&
	    vasprintf(&n->arguments[n->argument_count], format, args) >= 0)
		n->argument_count++;
	va_end(args);
}

static void add_option(struct nest *n, const char *name, const char *value)
{
	add(n, "%s", name);
	add(n, "%s", value);
}

static void add_share(struct nest *n, const char *id, const char *path)
{
	add(n, "-fsdev");
	add(n, "local,id=%s,path=%s,security_model=%s,multidevs=remap", id, path,
	    geteuid() ? "none" : "passthrough");
	add(n, "-device");
	add(n, "virtio-9p-pci,fsdev=%s,mount_tag=%s", id, id);
}

/* One emulated processor: with two, nests hung. */
static void add_machine(struct nest *n, const struct vmb_vmm_options *o)
{
	static const char *const fixed[] = {
		QEMU,
		"-nodefaults",
		"-no-user-config",
		"-display",
		"none",
		"-no-reboot",
		"-M",
		"q35",
		"-accel",
		"tcg,thread=multi",
		"-cpu",
		"max,family=26,model=80,+svm,+npt,-xsave,-erms,-fsrm",
		"-smp",
		"1",
	};

	for (size_t i = 0; i < VMB_ARRAY_COUNT(fixed); i++)
		add(n, "%s", fixed[i]);
	add(n, "-m");
	add(n, "%llu", (unsigned long long)(o->memory_len >> 20) + NEST_MEMORY_MIB);
	add(n, "-kernel");
	add(n, "%s/vmlinux", n->folder);
	add(n, "-initrd");
	add(n, "%s/initrd", n->folder);
	add_option(n, "-append", kernel_line);
	add_share(n, "root", "/");
	add_share(n, "job", n->job);
	add_option(n, "-device", "virtio-rng-pci");
	add_option(n, "-device", "virtio-serial-pci");
}

/* Without memory the guest has no way out, but all else works. */
static void add_network(struct nest *n, const struct vmb_vmm_options *o)
{
	char *netdev = vmb_vmm_nest_net_netdev(o);

	if (!netdev)
		return;
	add_option(n, "-netdev", netdev);
	add_option(n, "-device", "virtio-net-pci,netdev=net,romfile=");
	free(netdev);
}

static void add_port(struct nest *n, const char *id, const char *chardev)
{
	add_option(n, "-chardev", chardev);
	add(n, "-device");
	add(n, "virtserialport,chardev=%s,name=nest.%s", id, id);
}

static void add_streams(struct nest *n)
{
	if (n->terminal) {
		add_option(n, "-chardev", "stdio,id=tty,signal=off");
		add_option(n, "-device", "virtconsole,chardev=tty");
		return;
	}
	add_option(n, "-add-fd", "fd=8,set=8");
	add_option(n, "-add-fd", "fd=9,set=9");
	add_port(n, "in", "stdio,id=in,signal=off");
	add_port(n, "out", "file,id=out,path=/dev/fdset/8,append=on");
	add_port(n, "err", "file,id=err,path=/dev/fdset/9,append=on");
}

/* Running it */

/*
 * Whether no other nest of this machine has that CPU. The lock lasts as long as this process and what it becomes, on a
 * descriptor above those that the contract names: these are replaced.
 */
static bool claim(int cpu)
{
	char path[64];
	int low, fd;

	snprintf(path, sizeof(path), "/dev/shm/openvmbus-cpu-%d", cpu);
	low = open(path, O_RDONLY | O_CLOEXEC);
	if (low < 0)
		low = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
	fd = low < 0 ? -1 : fcntl(low, F_DUPFD, ERR_FD + 1);
	if (low >= 0)
		close(low);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	if (fd >= 0)
		close(fd);
	return false;
}

/*
 * QEMU's SVM emulation changes the word of pending interrupts at each exit of the guest without a lock, while another
 * thread sets a bit in it when a timer has fired. On one CPU that cannot lose the bit; on two it does now and then, and
 * then the emulated machine has no timer until something else interrupts it. One that no other nest has, if there is
 * one: QEMU inherits its lock. lab/nest does the same.
 */
static void stay_on_one_cpu(void)
{
	cpu_set_t allowed, one;
	int cpu = -1;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
		while (++cpu < CPU_SETSIZE && !(CPU_ISSET(cpu, &allowed) && claim(cpu)))
			;
	if (cpu < 0 || cpu == CPU_SETSIZE)
		cpu = sched_getcpu();
	if (cpu < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* In the child. The descriptors 8 and 9 are what QEMU is told to write to. */
static void become_qemu(struct nest *n, int out, int err)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	stay_on_one_cpu();
	if (!n->terminal && (dup2(out, OUT_FD) < 0 || dup2(err, ERR_FD) < 0))
		_exit(127);
	execvp(QEMU, n->arguments);
	_exit(127);
}

/*
 * The pipes' ends are moved above the numbers that the contract uses, so that neither overwrites the other.
 */
static bool make_pipe(int *reader, int *writer)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return false;
	*reader = fcntl(fds[0], F_DUPFD_CLOEXEC, ERR_FD + 1);
	*writer = fcntl(fds[1], F_DUPFD_CLOEXEC, ERR_FD + 1);
	close(fds[0]);
	close(fds[1]);
	return *reader >= 0 && *writer >= 0;
}

static bool start_qemu(struct nest *n)
{
	int out = -1, err = -1;

	n->out = n->err = -1;
	if (!n->terminal && (!make_pipe(&n->out, &out) || !make_pipe(&n->err, &err)))
		return false;
	n->qemu = fork();
	if (n->qemu == 0)
		become_qemu(n, out, err);
	if (out >= 0)
		close(out);
	if (err >= 0)
		close(err);
	return n->qemu > 0;
}

static volatile sig_atomic_t stopped;
static pid_t child;

/* The second signal, or when QEMU does not end: without asking. */
static void pass_on(int number)
{
	kill(child, stopped || number == SIGALRM ? SIGKILL : SIGTERM);
	stopped = 1;
	alarm(END_S);
}

static const int stop_signals[] = { SIGINT, SIGTERM, SIGHUP };

/* Until there is somebody to pass them on to: else they would leave the folder and QEMU behind. */
static void hold_signals(struct nest *n)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(stop_signals); i++)
		sigaddset(&set, stop_signals[i]);
	sigprocmask(SIG_BLOCK, &set, &n->signals);
}

static void release_signals(const struct nest *n)
{
	sigprocmask(SIG_SETMASK, &n->signals, NULL);
}

static void catch_signals(struct nest *n)
{
	struct sigaction action = { .sa_handler = pass_on };

	child = n->qemu;
	for (size_t i = 0; i < VMB_ARRAY_COUNT(stop_signals); i++)
		sigaction(stop_signals[i], &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	release_signals(n);
}

/* As much as surely does not wait. */
static ssize_t write_if_taken(int to, const char *bytes, size_t len)
{
	struct pollfd out = { .fd = to, .events = POLLOUT };

	if (poll(&out, 1, 0) != 1) {
		errno = EAGAIN;
		return -1;
	}
	return write(to, bytes, len < PIPE_BUF ? len : PIPE_BUF);
}

/*
 * False: there is no more. A reader that went away does not stop the machine; one that has paused holds it up, but not the
 * end: a signal ends the wait for it.
 */
static bool copy_some(int from, int to)
{
	char bytes[COPY_LEN];
	ssize_t len = read(from, bytes, sizeof(bytes)), done = 0, n;

	if (len < 0 && errno == EINTR)
		return true;
	while (done < len) {
		n = stopped ? write_if_taken(to, bytes + done, len - done) :
			      write(to, bytes + done, len - done);
		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? n : 0;
	}
	return len > 0;
}

static void copy_streams(struct nest *n)
{
	struct pollfd fds[] = { { .fd = n->out, .events = POLLIN },
				{ .fd = n->err, .events = POLLIN } };

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		if (poll(fds, VMB_ARRAY_COUNT(fds), -1) < 0)
			continue;
		if (fds[0].revents && !copy_some(fds[0].fd, STDOUT_FILENO))
			fds[0].fd = -1;
		if (fds[1].revents && !copy_some(fds[1].fd, STDERR_FILENO))
			fds[1].fd = -1;
	}
}

static int run_qemu(struct nest *n)
{
	struct termios saved;
	bool have_saved = n->terminal && tcgetattr(STDIN_FILENO, &saved) == 0;
	int status, code;

	if (!start_qemu(n)) {
		vmb_dev_report("the nest: %s", strerror(errno));
		return VMB_VMM_EXIT_FAILURE;
	}
	catch_signals(n);
	copy_streams(n);
	while (waitpid(n->qemu, &status, 0) < 0 && errno == EINTR)
		continue;
	if (have_saved)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	code = read_exit(n);
	if (code >= 0)
		return code;
	if (stopped)
		return VMB_VMM_EXIT_STOPPED;
	vmb_dev_report("the nest ended without an exit code; QEMU's own messages are above");
	return VMB_VMM_EXIT_FAILURE;
}

int vmb_vmm_nest_run(const struct vmb_vmm_options *o, int argc, char **argv)
{
	static struct nest n;
	int code;

	n.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	if (!vmb_vmm_nest_net_check(o) || !everything_is_there(&n))
		return VMB_VMM_EXIT_USAGE;
	code = VMB_VMM_EXIT_FAILURE;
	hold_signals(&n);
	if (make_job(&n, o, argc, argv)) {
		add_machine(&n, o);
		add_network(&n, o);
		add_streams(&n);
		code = run_qemu(&n);
	}
	remove_job(&n);
	release_signals(&n); /* one that came before QEMU could start ends us now */
	while (n.argument_count)
		free(n.arguments[--n.argument_count]);
	return code;
}
