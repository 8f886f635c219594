// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * kexec load|crash KERNEL INITRD COMMAND-LINE: loads the next kernel, for kexec or for a panic.
 * kexec go: starts it. For guests whose root is in memory: the kernel itself stops the devices.
 * Compile it with gcc -O2 -static.
 */
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int load(char **argv, unsigned long flags)
{
	int kernel = open(argv[0], O_RDONLY | O_CLOEXEC);
	int initrd = open(argv[1], O_RDONLY | O_CLOEXEC);

	if (kernel < 0 || initrd < 0) {
		perror("kexec: kernel or initrd");
		return 1;
	}
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[2]) + 1, argv[2], flags)) {
		perror("kexec: load");
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "load"))
		return load(argv + 2, 0);
	if (argc == 5 && !strcmp(argv[1], "crash"))
		return load(argv + 2, KEXEC_FILE_ON_CRASH);
	if (argc == 2 && !strcmp(argv[1], "go")) {
		syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
			LINUX_REBOOT_CMD_KEXEC, NULL);
		perror("kexec: go");
		return 1;
	}
	fprintf(stderr, "usage: kexec load|crash KERNEL INITRD COMMAND-LINE, or kexec go\n");
	return 2;
}
