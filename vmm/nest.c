// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Starts the same command line in an emulated machine, for machines without /dev/kvm. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/disk/disk.h"
#include "devices/report.h"
#include "devices/uefi/nvram.h"
#include "vmm/console.h"
#include "vmm/control.h"
#include "vmm/nest.h"
#include "vmm/nest_files.h"
#include "vmm/nest_net.h"
#include "vmm/relay.h"

#define NEST_MEMORY_MIB 1024u /* what the nest needs beside the guest */
#define PATH_LEN	4096u

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/*
 * The program in the nest locks its disks too, but there 9p grants every lock. So they are locked
 * here, and the descriptors are left to the process that this one becomes and to the QEMU that it
 * starts.
 */
static int lock_disk(const struct vmb_dev_disk_option *disk)
{
	int fd;

	if (!vmb_vmm_nest_files_is_file(disk))
		return 0;
	fd = open(disk->path, O_NOCTTY | O_NONBLOCK | (disk->read_only ? O_RDONLY : O_RDWR));
	if (fd >= 0)
		return vmb_dev_disk_lock(fd, disk);
	vmb_dev_report("%s %s: %s", vmb_dev_disk_option_name(disk), disk->path, strerror(errno));
	return -EINVAL;
}

/* In the nest the program replaces the file, but not the lock beside it. */
static int lock_variables(const struct vmb_vmm_options *o)
{
	char *path = o->nvram ? vmb_dev_uefi_nvram_find(o->nvram) : NULL;
	int fd = path ? vmb_dev_uefi_nvram_lock(path) : -EINVAL;

	free(path);
	if (fd < 0)
		return o->nvram ? -EINVAL : 0;
	fcntl(fd, F_SETFD, 0);
	return 0;
}

static int lock_disks(const struct vmb_vmm_options *o)
{
	int error = 0;

	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(o->disks) && !error; i++)
		error = lock_disk(&o->disks[i]);
	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(o->ides) && !error; i++)
		error = lock_disk(&o->ides[i]);
	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(o->nvmes) && !error; i++)
		error = lock_disk(&o->nvmes[i]);
	return error;
}

/*
 * Finds the program that starts a nest: where `make install` puts it, or in the sources if this
 * program is in their build folder.
 */
static bool find_starter(const char *self, char *path, size_t len)
{
	static const char *const places[] = { "../libexec/openvmbus", "../lab/nest" };
	int folder_len = strrchr(self, '/') - self;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(places); i++)
		if (snprintf(path, len, "%.*s/%s/openvmbus-nest", folder_len, self, places[i]) <
			    (int)len &&
		    access(path, X_OK) == 0)
			return true;
	vmb_dev_report("%s is missing, which starts a nest; run make install, or use a machine "
		       "with /dev/kvm",
		       path);
	return false;
}

/*
 * A command line under construction. Its memory is never freed, because exec replaces the process.
 */
struct line {
	char **arguments;
	uint32_t count;
};

static void add(struct line *l, const char *argument)
{
	l->arguments[l->count++] = (char *)argument;
}

static void add_starter(struct line *l, const struct vmb_vmm_options *o, const char *starter,
			const struct vmb_vmm_nest_files *files, int control)
{
	static char memory[24], descriptor[24];
	char *port;

	snprintf(memory, sizeof(memory), "%llu",
		 (unsigned long long)(o->memory_max >> 20) + NEST_MEMORY_MIB);
	add(l, starter);
	add(l, "-m");
	add(l, memory);
	if (o->control) {
		snprintf(descriptor, sizeof(descriptor), "%d", control);
		add(l, "-c");
		add(l, descriptor);
	}
	for (uint32_t i = 0; (port = vmb_vmm_nest_net_port(o, i)); i++) {
		add(l, "-f");
		add(l, port);
	}
	if (o->vnc.used) {
		static char forward[40];

		snprintf(forward, sizeof(forward), "tcp:127.0.0.1:%u",
			 VMB_DEV_VNC_PORT + o->vnc.display);
		add(l, "-f");
		add(l, forward);
	}
	for (uint32_t i = 0; i < files->count; i++) {
		add(l, "-w");
		add(l, files->folders[i]);
	}
	add(l, "--");
}

/*
 * The last of an option counts: the program in the nest must use KVM, and has another way to its
 * clients.
 */
static void add_command(struct line *l, const struct vmb_vmm_options *o, const char *self, int argc,
			char **argv)
{
	add(l, self);
	for (int i = 0; i < argc; i++) {
		const char *inner = vmb_vmm_nest_net_inner(o, argv[i]);

		add(l, inner ? inner : argv[i]);
	}
	add(l, "--accel");
	add(l, "kvm");
	if (o->control) {
		add(l, "--control");
		add(l, VMB_VMM_CONTROL_PORT);
	}
	if (o->vnc.used) {
		static char vnc[PATH_LEN];

		snprintf(vnc, sizeof(vnc), "nest:%u%s%s", o->vnc.display,
			 o->vnc.password_file ? ",password-file=" : "",
			 o->vnc.password_file ? o->vnc.password_file : "");
		add(l, "--vnc");
		add(l, vnc);
	}
}

static bool is_socket(const char *console)
{
	return console && begins_with(console, VMB_VMM_CONSOLE_SOCKET);
}

/* QEMU would find it too, but report it in its own way and after the nest was prepared. */
static bool vnc_is_free(const struct vmb_vmm_options *o)
{
	struct vmb_dev_vnc_config config = { .option = o->vnc };

	return !o->vnc.used || !vmb_dev_vnc_check(&config);
}

int vmb_vmm_nest_run(const struct vmb_vmm_options *o, int argc, char **argv)
{
	static char self[PATH_LEN], starter[PATH_LEN + 64];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct vmb_vmm_nest_files files = { .count = 0 };
	struct line line = { 0 };
	int control = -1;

	if (is_socket(o->console) || is_socket(o->console_also)) {
		vmb_dev_report("--console unix: no socket of an emulated machine is reached from "
			       "here; give stdio or a file, or use a machine with /dev/kvm");
		return VMB_VMM_EXIT_USAGE;
	}
	if (o->vsock) {
		vmb_dev_report("--vsock %s: no socket of an emulated machine is reached from here; "
			       "leave it out, or use a machine with /dev/kvm",
			       o->vsock);
		return VMB_VMM_EXIT_USAGE;
	}
	if (*o->vnc.path) {
		vmb_dev_report("--vnc unix:%s: no socket of an emulated machine is reached from "
			       "here; give :N, or use a machine with /dev/kvm",
			       o->vnc.path);
		return VMB_VMM_EXIT_USAGE;
	}
	if (len < 0 || !vmb_vmm_nest_net_check(o) || !vnc_is_free(o) ||
	    !find_starter(self, starter, sizeof(starter)) || lock_disks(o) || lock_variables(o) ||
	    vmb_vmm_nest_files_find(&files, o) ||
	    (o->control && vmb_vmm_relay_start(o->control, &control))) {
		vmb_vmm_nest_files_free(&files);
		return VMB_VMM_EXIT_USAGE;
	}
	line.arguments = calloc(argc + 2 * vmb_vmm_nest_net_port_count(o) + 2 * files.count + 16,
				sizeof(char *));
	if (line.arguments) {
		add_starter(&line, o, starter, &files, control);
		add_command(&line, o, self, argc, argv);
		execv(starter, line.arguments);
	}
	vmb_dev_report("%s: %s", starter, strerror(errno));
	free(line.arguments);
	vmb_vmm_nest_files_free(&files);
	return VMB_VMM_EXIT_FAILURE;
}
