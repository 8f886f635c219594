// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stdio.h>
#include <string.h>

#include "vmm/report.h"
#include "vmm/run.h"

#ifndef OPENVMBUS_VERSION
#define OPENVMBUS_VERSION "unknown"
#endif

static const char help_text[] =
	"Runs a virtual machine with Hyper-V's VMBus and nothing else.\n"
	"\n"
	"usage: openvmbus run --kernel FILE [OPTION...]\n"
	"       openvmbus --version | --help\n"
	"\n"
	"  --kernel FILE      a Linux bzImage (vmlinuz), or an ELF file with a PVH note (vmlinux)\n"
	"  --initrd FILE      its initial RAM disk\n"
	"  --append TEXT      the kernel's command line (console=ttyS0)\n"
	"  --disk FILE[,readonly][,lun=N]\n"
	"                     a raw file or block device as a SCSI disk, 512-byte blocks; repeatable;\n"
	"                     null:SIZE is a disk of zeroes that forgets what is written\n"
	"  --cdrom FILE[,lun=N]\n"
	"                     a raw image as a DVD, 2048-byte blocks; repeatable\n"
	"  --net user[,hostfwd=tcp:[ADDRESS]:PORT-[ADDRESS]:PORT]...[,mac=...][,queues=N][,mtu=N]\n"
	"                     a card on a network in user space: DHCP, DNS, connections to the outside\n"
	"                     and forwarded ports (also udp:); repeatable. Without --net, or with\n"
	"                     --net none, there is no card; null is one on which nobody answers\n"
	"  --memory SIZE      with K, M or G (1G)\n"
	"  --cpus N           1 to 64 (1)\n"
	"  --console stdio|FILE\n"
	"                     where the serial port ends (stdio); on a terminal Ctrl-] is the escape\n"
	"                     key: then q stops the machine, r resets it, Ctrl-] sends Ctrl-]\n"
	"  --accel auto|kvm|nest\n"
	"                     kvm: /dev/kvm; nest: in an emulated machine with KVM; auto: what is there\n"
	"  --no-reboot        end when the guest resets itself, instead of starting it again\n"
	"  --stats            at the end, say on standard error what the bus and the disks did\n"
	"\n"
	"exit codes: 0 the guest powered off; 1 the host failed; 2 a bad option or input file, nothing\n"
	"was started; 3 the guest reported a crash; 4 it reset itself (--no-reboot); 5 triple fault;\n"
	"6 stopped by the escape key or a signal\n";

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "run") == 0)
		return vmb_vmm_run(argc - 1, argv + 1);
	if (strcmp(verb, "--version") == 0) {
		puts("openvmbus " OPENVMBUS_VERSION);
		return VMB_VMM_EXIT_OFF;
	}
	if (strcmp(verb, "--help") == 0 || strcmp(verb, "help") == 0) {
		fputs(help_text, stdout);
		return VMB_VMM_EXIT_OFF;
	}
	if (*verb)
		vmb_vmm_report("%s: no such command; see openvmbus --help", verb);
	else
		vmb_vmm_report("a command is missing; see openvmbus --help");
	return VMB_VMM_EXIT_USAGE;
}
