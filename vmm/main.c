// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The command `openvmbus`: its help and its subcommands. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/platform.h"
#include "devices/limits.h"
#include "devices/report.h"
#include "devices/switch/switch.h"
#include "vmm/confine.h"
#include "vmm/ctl.h"
#include "vmm/firmware.h"
#include "vmm/image.h"
#include "vmm/replay.h"
#include "vmm/run.h"
#include "vmm/ssh.h"
#include "vmm/top.h"
#include "vmm/vsock.h"

#ifndef OPENVMBUS_VERSION
#define OPENVMBUS_VERSION "unknown"
#endif

#define SPEAK_MS 500 /* at the end, to a reader of standard error that takes nothing */

static const char help_text[] =
	"Runs a virtual machine with Hyper-V's VMBus and nothing else.\n"
	"\n"
	"usage: openvmbus run [--kernel FILE|--firmware FILE] [OPTION...]\n"
	"       openvmbus switch SOCKET [--ports N] [--capture FILE [--capture-size SIZE]]\n"
	"                               [--seccomp kill|errno|off] [--user NAME]\n"
	"       openvmbus ctl PATH COMMAND [ARGUMENT...]\n"
	"       openvmbus replay [--host] FILE\n"
	"       openvmbus top PATH\n"
	"       openvmbus vsock PATH PORT\n"
	"       openvmbus ssh [-p PORT] PATH [OPTION...] [USER@]NAME [COMMAND...]\n"
	"       openvmbus exec [-p PORT] [-l USER] [-i FILE] [-o OPTION]... PATH COMMAND...\n"
	"       openvmbus image FILE [OPTION...]\n"
	"       openvmbus firmware\n"
	"       openvmbus check\n"
	"       openvmbus --version | --help\n"
	"\n"
	"  --kernel FILE      a Linux bzImage (vmlinuz), or an ELF file with a PVH note (vmlinux)\n"
	"  --initrd FILE      its initial RAM disk\n"
	"  --append TEXT      the kernel's command line (console=ttyS0)\n"
	"  --firmware FILE    instead of a kernel: OPENVMBUS.fd, or the MSVM.fd of Hyper-V's\n"
	"                     Generation 2 machines; starts a system from a disk or DVD; with a\n"
	"                     disk and without --kernel, the one that `openvmbus firmware` names\n"
	"  --nvram FILE       keeps the firmware's variables; made if it is not there\n"
	"  --boot disk|dvd|network|http\n"
	"                     what the firmware tries first: the first --disk, --cdrom or --net;\n"
	"                     http, which OPENVMBUS.fd can: from where DHCP says, or give\n"
	"                     http://HOST/PATH instead\n"
	"  --uuid UUID        the machine's, in SMBIOS; else one is made up\n"
	"  --asset-tag TEXT   of its chassis, in SMBIOS\n"
	"  --disk FILE|URI[,PROPERTY]...\n"
	"                     a file or block device as a SCSI disk; repeatable;\n"
	"                     nbd://HOST/EXPORT or nbd+unix:///EXPORT?socket=PATH: on an NBD\n"
	"                     server; ram:SIZE is empty, in memory, and gone when openvmbus ends;\n"
	"                     null:SIZE is a disk of zeroes that forgets what is written\n"
	"     readonly        no writes\n"
	"     lun=N           0 to 63; else the first that is free\n"
	"     controller=GUID of a SCSI controller with that instance id\n"
	"     format=raw|qcow2|vhd|vhdx|vmdk\n"
	"                     what the file is (raw); all others need qemu-nbd\n"
	"     backing=allow   an image may show the guest other files of this machine\n"
	"     block=512|4096  bytes of a logical block (a device's own; else 512)\n"
	"     serial=TEXT     its serial number, up to 31 characters; else one is made up\n"
	"     discard=off     the guest is not told that it may discard blocks\n"
	"     reconnect=S     NBD: seconds that commands wait for a server that went away (25)\n"
	"     hold=BLOCK      for tests: reads of that block wait for the first reset of the disk\n"
	"     stuck=BLOCK     for tests: the first read of that block is never answered\n"
	"     gone=BLOCK      for tests: the first read of that block takes the disk away\n"
	"  --disk-queues N    channels of the SCSI controller, 1 to 64 (one for each four CPUs);\n"
	"                     each has a thread, and a guest takes as many as it wants\n"
	"  --disk-poll US     each of them looks for requests for US microseconds, 0 to 1000 (0),\n"
	"                     before it sleeps; keeps processors busy, which must be to spare\n"
	"  --cdrom FILE|URI[,PROPERTY]...\n"
	"                     an image as a DVD, 2048-byte blocks; repeatable\n"
	"  --ide FILE|URI[,PROPERTY]...\n"
	"                     the same as a disk on IDE, without lun=; up to 4\n"
	"     channel=N       0 or 1; with unit= or without: else the first that is free\n"
	"     unit=N          0 or 1\n"
	"  --ide-cdrom FILE|URI[,PROPERTY]...\n"
	"                     an image as a DVD on IDE\n"
	"  --nvme FILE|URI[,PROPERTY]...\n"
	"                     an NVMe disk, which the guest finds by PCI pass-through; up to 8;\n"
	"                     readonly, format=, backing=, block=, serial=, discard= and\n"
	"                     reconnect= as for a disk\n"
	"  --net user|tap=NAME|switch=SOCKET|null|none[,PROPERTY]...\n"
	"                     a network card; repeatable. Without --net, or with none: no card.\n"
	"                     user: in user space, with DHCP, DNS and a way out; needs no rights\n"
	"                     tap: an interface of this machine; created if it is not there\n"
	"                     switch: a cable to an openvmbus switch, for guests among themselves\n"
	"                     null: a network that nobody is on\n"
	"     hostfwd=tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT\n"
	"                     user: a port of this machine leads to the guest; repeatable\n"
	"     restrict=on     user: nothing leaves; forwarded ports reach the guest\n"
	"     loopback=off    user: this machine's 127.0.0.1 and ::1 are out of reach\n"
	"     redirect=ADDRESS:PORT-ADDRESS:PORT\n"
	"                     user: TCP of the guest to the first address goes to the second;\n"
	"                     127.0.0.1 is this machine; repeatable\n"
	"     dhcp-option=CODE:HEX\n"
	"                     user: one more option that DHCP gives; repeatable\n"
	"     mac=ADDRESS     for example 02:00:00:00:00:01; else one is made up\n"
	"     queues=N        1 to 64 (1)\n"
	"     mtu=N           1500 to 65521 (1500)\n"
	"     monitor=on      its channels have monitor ids, as DPDK and uio want them\n"
	"     rsc=off         the guest is not offered coalesced frames\n"
	"     capture=FILE    all frames as pcapng; with tap and switch they may be larger than\n"
	"                     the MTU and have incomplete checksums, as they go over that wire\n"
	"     capture-size=SIZE\n"
	"                     the file ends before it is longer (1G)\n"
	"  --memory SIZE[,max=SIZE][,min=SIZE]\n"
	"                     with K, M or G (1G); max: what `ctl memory` may make of it;\n"
	"                     min: the guest's size follows its need, down to this\n"
	"  --cpus N           1 to 64 (1)\n"
	"  --console stdio|FILE|unix:PATH\n"
	"                     where the serial port ends (stdio); twice: in both places;\n"
	"                     unix: a socket, which keeps 1 MiB for its next client;\n"
	"                     on a terminal Ctrl-] is the\n"
	"                     escape key: q stops the machine, r resets it, Ctrl-] sends Ctrl-]\n"
	"  --fault RULE       for tests: KIND[,PROPERTY=VALUE]..., repeatable: the host\n"
	"                     misbehaves, and a line says how to repeat it;\n"
	"                     docs/testing-your-driver.md\n"
	"  --control PATH     a socket on which openvmbus ctl commands and inspects the machine\n"
	"  --vsock PATH       the guest's sockets (AF_VSOCK) as UNIX sockets: who connects to\n"
	"                     PATH and writes CONNECT PORT reaches that port of the guest; what\n"
	"                     the guest connects to, port N of the host, is PATH_N\n"
	"  --input            a keyboard and a mouse, for ctl type, key and pointer\n"
	"  --video WIDTHxHEIGHT\n"
	"                     a screen, which prefers that resolution; ctl screenshot writes it\n"
	"  --vnc unix:PATH|:N[,password-file=FILE]\n"
	"                     a VNC server for screen, keyboard and mouse, which it implies; :N:\n"
	"                     on port 5900+N of 127.0.0.1\n"
	"  --accel auto|kvm|nest\n"
	"                     kvm: /dev/kvm; nest: in an emulated machine with KVM;\n"
	"                     auto: kvm if it is there, else nest\n"
	"  --generation G     2008, 2008r2, 2012, 2012r2, 2016, 2019, 2022 or 2025: like that\n"
	"                     Windows Server, in its newest protocol versions and its build\n"
	"                     (the newest of all)\n"
	"  --vmbus-version V  0.13, 1.1, 2.4, 3.0, 4.0, 4.1, 5.0, 5.1, 5.2, 5.3 or 6.0:\n"
	"                     the newest to accept\n"
	"  --storage-version V\n"
	"                     2.0, 4.2, 5.1, 6.0 or 6.2\n"
	"  --network-version V\n"
	"                     1, 2, 4, 5, 6 or 6.1\n"
	"  --monitor auto|on|off\n"
	"                     whether guests may signal disks and cards through the monitor page,\n"
	"                     which is polled every 100 us and slower than a doorbell for each;\n"
	"                     auto (if not said): those that cannot do without\n"
	"  --unannounced      CPUID does not announce messages and events, which are accepted\n"
	"                     anyway, as on Microsoft's open host\n"
	"  --no-reboot        end when the guest resets itself, instead of starting it again\n"
	"  --on-crash stop[,after=SECONDS]|continue\n"
	"                     a guest that reports a crash goes on, to write a dump; stop: its\n"
	"                     next reset ends the machine, or SECONDS (30) without progress\n"
	"  --contact-within SECONDS\n"
	"                     say so when the guest was without VMBus for so long (120; 0: never)\n"
	"  --no-timers        for tests: without synthetic timers\n"
	"  --trace FILE       record every message, ring packet and signal of VMBus as pcapng\n"
	"  --trace-size SIZE  the file ends before it is longer (1G)\n"
	"  --trace-snap BYTES|full\n"
	"                     how much is recorded of the memory that a packet names (256)\n"
	"  --services LIST    the integration services to offer: some of shutdown, heartbeat,\n"
	"                     time, kvp, backup and copy, with commas between them; none; or\n"
	"                     all (all that a host of the generation has)\n"
	"  --stop-timeout SECONDS\n"
	"                     a signal asks the guest to power off, which has this long (60;\n"
	"                     0: it is not asked); the next signal ends it\n"
	"  --watchdog SECONDS reset a guest that stops to answer heartbeats for so long (10 to\n"
	"                     3600; 0: never); firmware then has a watchdog of its own\n"
	"  --seccomp kill|errno|off\n"
	"                     what happens when a thread makes a system call that its role does\n"
	"                     not need: one line and the end (kill), or an error (errno); off:\n"
	"                     every call is allowed\n"
	"  --user NAME        become that user when everything is open; root only\n"
	"  --progress         say on standard error, once each, that the guest's system began,\n"
	"                     used the bus, a disk, a network card: for programs that wait for it\n"
	"  --stats            at the end, say on standard error what the bus and the disks did\n"
	"\n"
	"switch: an Ethernet switch for guests of this machine, up to N (16) of them; SIGTERM\n"
	"ends it, with exit code 0 and its statistics on standard error\n"
	"\n"
	"ctl: a command for the machine whose --control socket is PATH; openvmbus ctl --help\n"
	"lists them\n"
	"\n"
	"replay: plays the guest of a recording (--trace) against this host's devices, and says\n"
	"where they do something else: exit code 0, 1 if they do, 2 if it is no recording; with\n"
	"--host the recorded host is played to the guest core of OpenVMBus\n"
	"\n"
	"top: what the channels of that machine do, once a second\n"
	"\n"
	"vsock: standard input and output as a connection to a port of the guest whose machine\n"
	"has --vsock PATH; for scp: -o ProxyCommand='openvmbus vsock PATH 22'\n"
	"\n"
	"ssh: this machine's ssh, to the guest's PORT (22) of AF_VSOCK, without a network;\n"
	"options behind PATH are ssh's. exec: runs one command there without a terminal, each\n"
	"argument as it is given; exit code: the command's, or 255 if it was not reached\n"
	"\n"
	"image: boots a disk image without changing it, and says how far it came; see openvmbus\n"
	"image --help\n"
	"\n"
	"firmware: prints which one that is: FIRMWARE=FILE of the environment, else one that is\n"
	"installed; exit code 1: none\n"
	"\n"
	"check: whether the /dev/kvm of this machine can run guests: exit code 0, or 1 and why\n"
	"\n"
	"exit codes: 0 the guest powered off; 1 the host failed, or could not give the guest a\n"
	"device; 2 a bad option or input file, nothing was started or written; 3 the guest\n"
	"reported a crash; 4 it reset itself (--no-reboot); 5 triple fault (--no-reboot);\n"
	"6 stopped by the escape key, a signal or ctl; 7 a system call was forbidden (--seccomp);\n"
	"8 the firmware found no boot device. One more signal ends the program at once.\n";

static int check(int argc, char **argv)
{
	if (argc == 1)
		return vmb_vmm_check();
	vmb_dev_report("check takes no argument; see openvmbus --help");
	return VMB_VMM_EXIT_USAGE;
}

static int confine_switch(const char *how)
{
	enum vmb_vmm_confine_how chosen = VMB_VMM_CONFINE_KILL;

	if (!how || vmb_vmm_confine_parse(&chosen, how))
		return vmb_vmm_confine_begin(chosen);
	vmb_dev_report("--seccomp %s: give kill, errno or off", how);
	return -EINVAL;
}

/*
 * Whoever started us may have closed standard input, output or error. The next file that is opened
 * would get that number, and our messages would be written into a disk. open() takes the lowest
 * free one.
 */
static bool fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || open("/dev/null", O_RDWR) == fd)
			continue;
		vmb_dev_report("a standard descriptor is closed, and /dev/null: %s",
			       strerror(errno));
		return false;
	}
	return true;
}

static int run_switch(int argc, char **argv)
{
	return vmb_dev_switch_run(argc, argv, confine_switch);
}

static int print_version(int argc, char **argv)
{
	puts("openvmbus " OPENVMBUS_VERSION);
	return VMB_VMM_EXIT_OFF;
}

static int print_help(int argc, char **argv)
{
	fputs(help_text, stdout);
	return VMB_VMM_EXIT_OFF;
}

/* argv[0] is the verb. */
static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	bool has_help; /* of its own */
} verbs[] = {
	{ "run", vmb_vmm_run, false },
	{ "switch", run_switch, false },
	{ "ctl", vmb_vmm_ctl_run, true },
	{ "replay", vmb_vmm_replay_run, false },
	{ "top", vmb_vmm_top_run, false },
	{ "vsock", vmb_vmm_vsock_run, false },
	{ "ssh", vmb_vmm_ssh_run, false },
	{ "exec", vmb_vmm_exec_run, false },
	{ "image", vmb_vmm_image_run, true },
	{ "firmware", vmb_vmm_firmware_run, false },
	{ "check", check, false },
	{ "--version", print_version, false },
	{ "--help", print_help, false },
	{ "help", print_help, false },
};

static int run_verb(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	bool helps = argc == 3 && strcmp(argv[2], "--help") == 0;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(verbs); i++) {
		if (strcmp(verb, verbs[i].name) != 0)
			continue;
		if (helps && !verbs[i].has_help)
			return print_help(argc, argv);
		return verbs[i].run(argc - 1, argv + 1);
	}
	if (*verb)
		vmb_dev_report("%s: no such command; see openvmbus --help", verb);
	else
		vmb_dev_report("a command is missing; see openvmbus --help");
	return VMB_VMM_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	int code;

	if (!fill_standard_descriptors())
		return VMB_VMM_EXIT_FAILURE;
	vmb_dev_report_begin();
	vmb_dev_limits_raise();
	vmb_dev_limits_stacks();
	code = run_verb(argc, argv);
	vmb_dev_report_drain(SPEAK_MS);
	return code;
}
