#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Every kind of bad input to `openvmbus`: exactly one line on standard error that says what and what to
# do, exit code 2, nothing on standard output, nothing written, nothing started. Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$PWD/build/openvmbus
[ -x "$program" ] || { echo "skip cli # build/openvmbus is missing"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh
cd "$work"
chmod 755 .
user=()
bad=1 # until a condition says otherwise; each verdict sets it back

# verdict NAME
verdict() {
	result $bad "$1"
	bad=1
}

# What the folder holds: names, sizes, times and bytes.
snapshot() {
	find . -printf '%p %s %T@ %m\n' | sort
	find . -type f -readable -exec sha256sum {} + | sort
}

# expect NAME LINE ARGUMENT...: the program's whole answer.
expect() {
	local name=$1 line=$2 rc=0 before after
	shift 2
	before=$(snapshot)
	timeout 20 "${user[@]}" "$program" "$@" >"$out" 2>"$err" </dev/null || rc=$?
	after=$(snapshot)
	if [ $rc = 2 ] && [ ! -s "$out" ] && [ "$(cat "$err")" = "openvmbus: $line" ] &&
		[ "$before" = "$after" ]; then
		result 0 "$name"
	else
		result 1 "$name"
		echo "# exit code $rc; said: $(cat "$err")"
		echo "# expected: openvmbus: $line"
		[ "$before" = "$after" ] || echo "# something was written"
	fi
}

# A file that passes for a Linux kernel as far as its header goes: boot_flag, jump, "HdrS", version
# 2.15, loaded high, 64-bit entry, preferred address 16 MiB, room of 32 MiB.
kernel() {
	truncate -s 64K "$1"
	poke "$1" 497 '\x01' # setup_sects
	poke "$1" 510 '\x55\xaa\xeb\x66HdrS\x0f\x02'
	poke "$1" 529 '\x01' # loadflags
	poke "$1" 556 '\xff\xff\xff\x7f' # initrd_addr_max
	poke "$1" 566 '\x01\x00\xff\x07\x00\x00' # xloadflags, cmdline_size
	poke "$1" 600 '\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02' # pref_address, init_size
}

# poke FILE OFFSET BYTES
poke() {
	# shellcheck disable=SC2059
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

out=$(mktemp) err=$(mktemp)
trap 'rm -rf "$work" "$out" "$err"' EXIT
kernel k
head -c 4096 /dev/urandom >noise
: >empty
truncate -s 1M disk
truncate -s 1000 odd
truncate -s 3584 oddcd
mkdir folder
truncate -s 64K elf
poke elf 0 '\x7fELF\x02\x01\x01'
cp k huge
poke huge 600 '\x00\x00\x00\x03'
cp k old
poke old 518 '\x00\x02' # protocol 2.0: no 64-bit entry
cp k narrow
poke narrow 566 '\x00'
truncate -s 4K sector
poke sector 510 '\x55\xaa'
truncate -s 4K efi
poke efi 0 MZ
truncate -s 520 short
dd if=k of=short bs=520 count=1 conv=notrunc status=none

expect 'no command' 'a command is missing; see openvmbus --help'
expect 'unknown command' 'walk: no such command; see openvmbus --help' walk
expect 'check with an argument' 'check takes no argument; see openvmbus --help' check kvm
# What it says is this machine's; that it agrees with its own exit code is not. Nor is a machine
# without io_uring a failure.
rc=0 agrees=0
"$program" check >"$out" 2>"$err" || rc=$?
sed -i '/^openvmbus: io_uring: .*; threads serve the disks, more slowly$/d' "$err"
case $rc in
0) grep -qx '/dev/kvm can run guests' "$out" && [ ! -s "$err" ] ;;
1) [ ! -s "$out" ] && grep -qE '^openvmbus: /dev/kvm(:| lacks) .*; guests run in an emulated machine$' "$err" ;;
*) false ;;
esac || agrees=1
result $agrees 'check'
expect 'no kernel' '--kernel FILE is missing; see openvmbus --help' run
# The firmware: the image, and what does not go with it.
truncate -s 6M blank.fd
export FIRMWARE=blank.fd
gen2='give an OPENVMBUS.fd (make firmware), or the MSVM.fd of Hyper-V'\''s Generation 2 machines'
expect 'a disk without a kernel' "--firmware blank.fd: its first code is not where it must be; $gen2" \
	run --disk null:1M
expect 'an initrd without a kernel' '--kernel FILE is missing; see openvmbus --help' run --disk null:1M --initrd blank.fd
[ "$("$program" firmware 2>"$err")" = blank.fd ] && [ ! -s "$err" ] && bad=0
result $bad 'the firmware that a disk gets'
expect 'an argument of firmware' 'firmware takes no argument; see openvmbus --help' firmware x
unset FIRMWARE
# One that is installed is this machine's business.
if ! "$program" firmware >"$out" 2>"$err"; then
	[ ! -s "$out" ] && grep -q '^openvmbus: no firmware: ' "$err" && bad=0
	result $bad 'no firmware'
	expect 'a disk, and no firmware' '--kernel FILE is missing, or --firmware FILE: none is installed; see openvmbus --help' \
		run --disk null:1M
fi
truncate -s 5M short.fd
expect 'firmware that is missing' "--firmware no.fd: No such file or directory; $gen2" run --firmware no.fd
expect 'firmware of another length' "--firmware short.fd: not 6 MiB, as a firmware is; $gen2" \
	run --firmware short.fd
expect 'firmware without code' "--firmware blank.fd: its first code is not where it must be; $gen2" \
	run --firmware blank.fd
expect 'a folder as firmware' "--firmware .: not a regular file; $gen2" run --firmware .
expect 'firmware and kernel' \
	'--firmware blank.fd: the firmware finds the kernel on a disk; leave out --kernel, --initrd and --append' \
	run --firmware blank.fd --kernel k
expect 'variables without firmware' '--nvram v: only firmware has variables; give --firmware too' run --kernel k --nvram v
expect 'another thing to start' '--boot floppy: give disk, dvd, network, http or http://HOST/PATH' run --firmware blank.fd --boot floppy
expect 'what to start first without firmware' '--boot: only firmware looks for a system; give --firmware too' \
	run --kernel k --boot disk --disk null:1M
expect 'a disc to start that is not there' '--boot: there is no --cdrom to start from' \
	run --firmware blank.fd --boot dvd --disk null:1M
expect 'a card to start that is not there' '--boot: there is no --net to start from' run --firmware blank.fd --boot network
expect 'a UUID that is none' \
	'--uuid 1234: give a UUID, for example 12345678-9abc-def0-1234-56789abcdef0' run --kernel k --uuid 1234
expect 'an empty asset tag' '--asset-tag : give 1 to 63 characters' run --kernel k --asset-tag ''
expect 'unknown option' '--kernle: no such option; see openvmbus --help' run --kernle k
expect 'value missing' '--kernel: its value is missing; see openvmbus --help' run --kernel
expect 'stray argument' 'stray: no such option; see openvmbus --help' run --kernel k stray

expect 'kernel missing' \
	'--kernel none: No such file or directory; give a file that can be read' run --kernel none
expect 'kernel a folder' \
	'--kernel folder: not a regular file; give a file that can be read' run --kernel folder
expect 'kernel empty' '--kernel empty: the file is empty' run --kernel empty
expect 'kernel no kernel' \
	'--kernel noise: not a kernel that can be started; give a Linux bzImage (vmlinuz) or an ELF file with a PVH note' \
	run --kernel noise
expect 'kernel cut short' \
	'--kernel short: a Linux kernel that is cut short; give a Linux bzImage (vmlinuz) or an ELF file with a PVH note' \
	run --kernel short
expect 'kernel too old' \
	'--kernel old: a Linux kernel, but one from before 3.8, or a loader in its form: both need a BIOS, and this machine has none; give an amd64 kernel from Linux 3.8 on' \
	run --kernel old
expect 'kernel of 32 bits' \
	'--kernel narrow: a Linux kernel, but not a 64-bit one; give an amd64 kernel from Linux 3.8 on' \
	run --kernel narrow
expect 'boot sector' \
	'--kernel sector: a boot sector or a loader that needs a BIOS, and this machine has none; give a Linux bzImage (vmlinuz) or an ELF file with a PVH note' \
	run --kernel sector
expect 'EFI program' \
	'--kernel efi: an EFI program, and this machine has no firmware; give a Linux bzImage (vmlinuz) or an ELF file with a PVH note' \
	run --kernel efi
expect 'program instead of a kernel' \
	"--kernel $program: an ELF file, but without a PVH note, so nothing says how to start it" \
	run --kernel "$program"
expect 'ELF of another kind' '--kernel elf: an ELF file, but not for x86' run --kernel elf
expect 'kernel larger than memory' \
	'--kernel huge: needs memory up to 81 MiB; give more --memory' \
	run --kernel huge --memory 64M

expect 'initrd missing' \
	'--initrd none: No such file or directory; give a file that can be read' \
	run --kernel k --initrd none
expect 'initrd empty' '--initrd empty: the file is empty' run --kernel k --initrd empty
truncate -s 100M big
expect 'initrd larger than memory' \
	'--initrd big: 101 MiB do not fit beside the kernel; give more --memory' \
	run --kernel k --initrd big --memory 128M
rm big # every snapshot would read it
expect 'command line too long' '--append: 2100 characters; this kernel takes at most 2047' \
	run --kernel k --append "$(head -c 2100 /dev/zero | tr '\0' x)"

expect 'memory max no size' \
	'--memory ...,max=lots: not known; give max=SIZE and min=SIZE, for example 1G,max=4G' \
	run --kernel k --memory 1G,max=lots
expect 'memory property unknown' \
	'--memory ...,most=1G: not known; give max=SIZE and min=SIZE, for example 1G,max=4G' \
	run --kernel k --memory 1G,most=1G
expect 'memory min above the start' \
	'--memory ...,min=1025M: give 32M to what the guest starts with' \
	run --kernel k --memory 1G,max=2G,min=1025M
expect 'memory min too little' \
	'--memory ...,min=1M: give 32M to what the guest starts with' \
	run --kernel k --memory 1G,min=1M
expect 'memory max below the start' \
	'--memory ...,max=512M: give at least what the guest starts with, 1T at most, and both in steps of 128M' \
	run --kernel k --memory 1G,max=512M
expect 'memory max in no steps' \
	'--memory ...,max=1025M: give at least what the guest starts with, 1T at most, and both in steps of 128M' \
	run --kernel k --memory 1G,max=1025M
expect 'memory no size' \
	'--memory lots: not a size; give a number with K, M or G, for example 1G' \
	run --kernel k --memory lots
expect 'memory negative' \
	'--memory -1G: not a size; give a number with K, M or G, for example 1G' \
	run --kernel k --memory -1G
expect 'memory beyond numbers' \
	'--memory 99999999999999999999G: not a size; give a number with K, M or G, for example 1G' \
	run --kernel k --memory 99999999999999999999G
for size in '1 ' '1  ' '1GG' '1 G' ' 1G' '1G ' $'1\t' '+1G' 1.5G 0x1G; do
	expect "memory '$size'" "--memory ${size//[[:cntrl:]]/?}: not a size; give a number with K, M or G, for example 1G" \
		run --kernel k --memory "$size"
done
expect 'memory too small' '--memory 1M: give 64M to 1T, in pages of 4K' run --kernel k --memory 1M
expect 'memory in odd bytes' '--memory 1073741825: give 64M to 1T, in pages of 4K' \
	run --kernel k --memory 1073741825
expect 'no processors' '--cpus 0: give a number from 1 to 64' run --kernel k --cpus 0
expect 'too many processors' '--cpus 65: give a number from 1 to 64' run --kernel k --cpus 65
expect 'no queues' '--disk-queues 0: give a number from 1 to 64' run --kernel k --disk-queues 0
expect 'too many queues' '--disk-queues 65: give a number from 1 to 64' \
	run --kernel k --disk-queues 65
expect 'polls for too long' '--disk-poll 1001: give a number of microseconds from 0 to 1000' \
	run --kernel k --disk-poll 1001
expect 'polls for no number' '--disk-poll 5us: give a number of microseconds from 0 to 1000' \
	run --kernel k --disk-poll 5us
expect 'processors no number' '--cpus two: give a number from 1 to 64' run --kernel k --cpus two
expect 'no such generation' '--generation 2003: give 2008, 2008r2, 2012, 2012r2, 2016, 2019, 2022 or 2025' \
	run --kernel k --generation 2003
expect 'no such bus version' '--vmbus-version 4.2: give 0.13, 1.1, 2.4, 3.0, 4.0, 4.1, 5.0, 5.1, 5.2, 5.3 or 6.0' \
	run --kernel k --vmbus-version 4.2
expect 'no such storage version' '--storage-version 5.0: give 2.0, 4.2, 5.1, 6.0 or 6.2' \
	run --kernel k --storage-version 5.0
expect 'no such network version' '--network-version 3: give 1, 2, 4, 5, 6 or 6.1' run --kernel k --network-version 3
for value in ignore '' stop,after= stop,after=x 'stop,after=1 ' stop,after=3601; do
	expect "on crash '$value'" "--on-crash $value: give stop, stop,after=SECONDS (0 to 3600) or continue" \
		run --kernel k --on-crash "$value"
done
for value in never '' -1 3601 '1 '; do
	expect "stop timeout '$value'" "--stop-timeout $value: give seconds from 1 to 3600, or 0: the guest is not asked" \
		run --kernel k --stop-timeout "$value"
	expect "watchdog '$value'" "--watchdog $value: give seconds from 10 to 3600, or 0: never" \
		run --kernel k --watchdog "$value"
	expect "contact within '$value'" "--contact-within $value: give seconds from 1 to 3600, or 0: never" \
		run --kernel k --contact-within "$value"
done
for value in '' maybe ON 1; do
	expect "monitor '$value'" "--monitor $value: give auto, on or off" run --kernel k --monitor "$value"
done
for value in '' 'time,' times 'shutdown,,time' 'all,time'; do
	expect "services '$value'" "--services $value: give all, none, or some of shutdown, heartbeat, time, kvp, backup, copy and memory, with commas between them" \
		run --kernel k --services "$value"
done
expect 'watchdog below the beat' '--watchdog 9: give seconds from 10 to 3600, or 0: never' run --kernel k --watchdog 9
for value in on '' KILL 'kill '; do
	expect "seccomp '$value'" "--seccomp $value: give kill, errno or off" run --kernel k --seccomp "$value"
done
expect 'switch, seccomp' '--seccomp on: give kill, errno or off' switch s --seccomp on
expect 'switch, unknown user' '--user nosuch: no such user; give the name of one' switch s --user nosuch
expect 'unknown user' '--user nosuch: no such user; give the name of one' run --kernel k --user nosuch
expect 'user root' '--user root: that user has all rights; give one who may do little' run --kernel k --user root
expect 'unknown accelerator' '--accel xen: give auto, kvm or nest' run --kernel k --accel xen

expect 'disk missing' \
	'--disk none: No such file or directory; give a file that can be read and written, or add ,readonly' \
	run --kernel k --disk none
expect 'disk a folder' \
	'--disk folder: neither a file nor a block device; give one of these' \
	run --kernel k --disk folder,readonly
expect 'disk empty' '--disk empty: it is empty; give it a size with truncate -s' \
	run --kernel k --disk empty
expect 'disk of odd size' \
	'--disk odd: 1000 bytes are not whole blocks of 512; grow it with truncate -s %512' \
	run --kernel k --disk odd
expect 'DVD of odd size' \
	'--cdrom oddcd: 3584 bytes are not whole blocks of 2048; grow it with truncate -s %2048' \
	run --kernel k --cdrom oddcd
expect 'disk without name' "--disk: the file's name is missing" run --kernel k --disk ,readonly
scsi='there are readonly, lun=0 to lun=63, controller=GUID, format=raw|qcow2|vhd|vhdx|vmdk, backing=allow, block=512|4096, serial=1 to 31 characters, discard=off|auto, reconnect=0 to reconnect=3600 seconds, hold=BLOCK, stuck=BLOCK and gone=BLOCK'
expect 'disk with unknown property' \
	"--disk disk: no property 'fast'; $scsi" \
	run --kernel k --disk disk,fast
expect 'disk with impossible LUN' \
	"--disk disk: no property 'lun=64'; $scsi" \
	run --kernel k --disk disk,lun=64
expect 'two disks with one LUN' '--disk odd: LUN 3 is taken already; give another lun=N' \
	run --kernel k --disk disk,lun=3 --disk odd,lun=3
expect 'one file twice' \
	'--disk disk: in use by another machine, or given twice; stop that one, or give a copy' \
	run --kernel k --disk disk --disk disk
ide='there are readonly, channel=0|1, unit=0|1, format=raw|qcow2|vhd|vhdx|vmdk, backing=allow, block=512|4096, serial=1 to 31 characters, discard=off|auto, reconnect=0 to reconnect=3600 seconds, hold=BLOCK, stuck=BLOCK and gone=BLOCK'
dvd='there are readonly, channel=0|1, unit=0|1, format=raw|qcow2|vhd|vhdx|vmdk, backing=allow and reconnect=0 to reconnect=3600 seconds'
expect 'IDE disk without name' "--ide: the file's name is missing" run --kernel k --ide ,readonly
guid=f8b3781a-1e82-4818-a1c3-63d806ec15bb
for id in 0 f8b3781a "{$guid}" 00000000-0000-0000-0000-000000000000; do
	expect "controller=$id" "--disk disk: no property 'controller=$id'; $scsi" \
		run --kernel k --disk "disk,controller=$id"
done
expect 'one LUN twice on a controller' '--disk odd: LUN 3 is taken already; give another lun=N' \
	run --kernel k --disk "disk,lun=3,controller=$guid" --disk "odd,controller=${guid^^},lun=3"
expect 'a fifth controller' '--disk odd: a machine has at most 4 SCSI controllers; give a controller= that another disk has, or none' \
	run --kernel k --disk "disk,controller=${guid/a-/b-}" --disk "disk,controller=${guid/a-/c-}" \
	--disk "disk,controller=${guid/a-/d-}" --disk "odd,controller=${guid/a-/e-}"
expect 'IDE disk with a controller' "--ide disk: no property 'controller=$guid'; $ide" \
	run --kernel k --ide "disk,controller=$guid"
expect 'IDE disk with a LUN' "--ide disk: no property 'lun=1'; $ide" run --kernel k --ide disk,lun=1
expect 'no such IDE channel' "--ide disk: no property 'channel=2'; $ide" run --kernel k --ide disk,channel=2
expect 'no such IDE unit' "--ide disk: no property 'unit=2'; $ide" run --kernel k --ide disk,unit=2
expect 'serial number too long' \
	"--ide disk: no property 'serial=12345678901234567890123456789012'; $ide" \
	run --kernel k --ide disk,serial=12345678901234567890123456789012
expect 'IDE DVD with a serial number' \
	"--ide-cdrom disk: no property 'serial=1'; $dvd" run --kernel k --ide-cdrom disk,serial=1
expect 'DVD that shall go away' "--ide-cdrom disk: no property 'gone=1'; $dvd" \
	run --kernel k --ide-cdrom disk,gone=1
for value in hold= hold=x stuck=-1 gone=1K gone=18446744073709551616; do
	expect "no such block: $value" "--ide disk: no property '$value'; $ide" run --kernel k --ide "disk,$value"
done
expect 'IDE unit taken' \
	'--ide-cdrom disk: channel 1, unit 0 is taken already; give another unit= or channel=' \
	run --kernel k --ide disk,channel=1 --ide-cdrom disk,channel=1,unit=0
expect 'IDE channel full' \
	'--ide disk: both units of channel 1 are taken already; give another channel=' \
	run --kernel k --ide disk,channel=1 --ide disk,channel=1 --ide disk,channel=1
expect 'IDE unit of both channels taken' \
	'--ide disk: unit 1 of both channels is taken already; give another unit=' \
	run --kernel k --ide disk,unit=1 --ide disk,unit=1 --ide disk,unit=1
expect 'five IDE units' '--ide odd: a machine has at most 4 IDE units; use --disk' \
	run --kernel k --ide disk --ide disk --ide disk --ide-cdrom disk --ide odd
nvme='there are readonly, format=raw|qcow2|vhd|vhdx|vmdk, backing=allow, block=512|4096, serial=1 to 31 characters, discard=off|auto and reconnect=0 to reconnect=3600 seconds'
for value in lun=1 unit=0 hold=1 stuck=1 gone=1 block=1 serial=; do
	expect "NVMe disk with $value" "--nvme disk: no property '$value'; $nvme" run --kernel k --nvme "disk,$value"
done
expect 'NVMe disk without a file' "--nvme: the file's name is missing" run --kernel k --nvme ''
expect 'nine NVMe disks' '--nvme odd: a machine has at most 8 such disks' \
	run --kernel k --nvme disk --nvme disk --nvme disk --nvme disk --nvme disk --nvme disk --nvme disk --nvme disk --nvme odd
expect 'NVMe disk of half a block' \
	'--nvme odd: 1000 bytes are not whole blocks of 512; grow it with truncate -s %512' run --kernel k --nvme odd
expect 'IDE disk missing' \
	'--ide none: No such file or directory; give a file that can be read and written, or add ,readonly' \
	run --kernel k --ide none
expect 'IDE DVD of odd size' \
	'--ide-cdrom oddcd: 3584 bytes are not whole blocks of 2048; grow it with truncate -s %2048' \
	run --kernel k --ide-cdrom oddcd
printf 'QFI\xfb' >image
truncate -s 64K image
expect 'image without a format' \
	'--disk image: looks like a qcow2 image; add format=raw if it is a guest'\''s own disk, format=qcow2 only if you know that it is an image' \
	run --kernel k --disk image
expect 'backing not allowed' "--disk disk: no property 'backing=no'; there are readonly, lun=0 to lun=63, controller=GUID, format=raw|qcow2|vhd|vhdx|vmdk, backing=allow, block=512|4096, serial=1 to 31 characters, discard=off|auto, reconnect=0 to reconnect=3600 seconds, hold=BLOCK, stuck=BLOCK and gone=BLOCK" \
	run --kernel k --disk disk,backing=no
expect 'unknown format' \
	"--disk disk: no property 'format=iso'; there are readonly, lun=0 to lun=63, controller=GUID, format=raw|qcow2|vhd|vhdx|vmdk, backing=allow, block=512|4096, serial=1 to 31 characters, discard=off|auto, reconnect=0 to reconnect=3600 seconds, hold=BLOCK, stuck=BLOCK and gone=BLOCK" \
	run --kernel k --disk disk,format=iso
expect 'image missing' '--disk none: No such file or directory' run --kernel k --disk none,format=vhdx
expect 'format of an NBD export' \
	'--disk nbd://localhost: an NBD export has no format; leave format= out, its server knows' \
	run --kernel k --disk nbd://localhost,format=qcow2
expect 'null disk without size' "--disk null:big: 'big' is no size; give for example null:1G" \
	run --kernel k --disk null:big
expect 'RAM disk without size' "--disk ram:: '' is no size; give for example ram:64M" run --kernel k --disk ram:
expect 'no such block length' "--ide disk: no property 'block=1024'; $ide" run --kernel k --ide disk,block=1024
expect 'RAM disk of odd size' \
	'--disk ram:6K: 6144 bytes are not whole blocks of 4096; grow it with truncate -s %4096' \
	run --kernel k --disk ram:6K,block=4096
OPENVMBUS_NEST=$work expect 'nest missing' \
	"the nest is missing: no vmlinux and initrd in $work; run lab/nest-image, or use a machine with /dev/kvm" \
	run --kernel k --disk disk --accel nest

# net NAME LINE VALUE...: --net values
net() {
	local name=$1 line=$2 value args=()
	shift 2
	for value in "$@"; do
		args+=(--net "$value")
	done
	expect "$name" "$line" run --kernel k "${args[@]}"
}

properties='there are hostfwd=, redirect=, dhcp-option=, restrict=, loopback=, mac=, queues=, mtu=, monitor=, rsc=, capture= and capture-size='
expect 'no such choice of a monitor' '--net user: monitor=yes: give on, or auto: as --monitor says' run --kernel k --net user,monitor=yes
forward='give tcp or udp:[ADDRESS]:PORT-[ADDRESS]:PORT, for example tcp:127.0.0.1:2222-:22'
mac='give one card'\''s address, for example 02:00:00:00:00:01'
for value in '' foo User user=x null=x none,mac=02:00:00:00:00:01; do
	net "network '$value'" "--net ${value%%[=,]*}: give user, tap=NAME, switch=SOCKET, null or none" \
		"$value"
done
net 'tap without name' "--net tap: the interface's name is missing" tap
net 'tap with empty name' "--net tap: the interface's name is missing" tap=,mtu=9000
net 'tap with a long name' \
	"--net tap=abcdefghijklmnop: the interface's name has at most 15 characters" \
	tap=abcdefghijklmnop
net 'switch without socket' "--net switch: the socket's path is missing" switch
long=$(head -c 108 /dev/zero | tr '\0' x)
net 'switch with a long path' "--net switch=$long: the socket's path has at most 107 characters" \
	"switch=$long"
for value in x mac queues ''; do
	net "network property '$value'" "--net user: no property '$value'; $properties" "user,$value"
done
for value in '' tcp tcp: tcp::22 tcp::22-22 tcp:22-:22 tcp::0-:22 tcp::22-:0 tcp::65536-:22 tcp::22-:65536 \
	tcp::x-:22 tcp::22x-:22 tcp::22-:22x sctp::22-:22 tcp:localhost:22-:22 tcp:1.2.3.4.5:22-:22 \
	tcp::22-10.0.2:22 tcp:255.255.255.2555555555:22-:22 tcp::-22-:22; do
	net "forward '$value'" "--net user: hostfwd=$value: $forward" "user,hostfwd=$value"
done
net 'forward on a tap' '--net tap: hostfwd=tcp::22-:22: only --net user forwards ports' \
	tap=t,hostfwd=tcp::22-:22
net 'too many forwards' '--net user: hostfwd=tcp::17-:1: at most 16 ports are forwarded' \
	"user$(printf ',hostfwd=tcp::%d-:1' {1..17})"
for value in '' 02:00:00:00:00 $'02:00:00:00:00:\x10\x11' 02:00:00:00:00:01:02 2:0:0:0:0:1 02-00-00-00-00-01 02:00:00:00:00:0g \
	00:00:00:00:00:00 01:00:5e:00:00:01 ff:ff:ff:ff:ff:ff; do
	net "mac '$value'" "--net user: mac=${value//[[:cntrl:]]/?}: $mac" "user,mac=$value"
done
for value in '' 0 65 -1 two 1x 99999999999999999999; do
	net "queues '$value'" "--net user: queues=$value: give a number from 1 to 64" "user,queues=$value"
done
for value in '' 0 1499 65522 9k; do
	net "mtu '$value'" "--net user: mtu=$value: give a number from 1500 to 65521" "user,mtu=$value"
done
net 'capture without name' '--net user: capture=: the file'\''s name is missing' user,capture=
net 'too many cards' '--net null: a machine has at most 8 cards' null null null null null null null null null
net 'two cards with one address' '--net: two cards have one address; give another mac=' \
	user,mac=02:00:00:00:00:01 null,mac=02:00:00:00:00:01
net 'two cards with one capture' '--net: two cards write to capture=c; give another file' \
	user,capture=c null,capture=c

expect 'three consoles' '--console c: at most two can be given' \
	run --kernel k --console a --console b --console c
expect 'one console twice' '--console a: given twice; give another one' \
	run --kernel k --console a --console a
expect 'vsock without a path' '--vsock: its value is missing; see openvmbus --help' run --vsock
expect 'vsock with an empty path' "--vsock: the socket's path is missing" run --kernel k --vsock ''
expect 'input with a value' '--input=mouse: no such option; see openvmbus --help' run --kernel k --input=mouse
resolutions='640x480, 800x600, 1024x768, 1152x864, 1280x720, 1280x1024, 1366x768, 1440x900, 1600x900, 1600x1200, 1680x1050 or 1920x1080'
expect 'a resolution that is none' "--video 1x1: give $resolutions" run --kernel k --video 1x1
vnc='give unix:PATH, or :N for port 5900+N of 127.0.0.1 (N 0 to 99), and perhaps ,password-file=FILE'
expect 'vnc without a place' '--vnc: its value is missing; see openvmbus --help' run --vnc
expect 'vnc somewhere else' "--vnc 0.0.0.0:1: $vnc" run --kernel k --vnc 0.0.0.0:1
expect 'vnc beyond its ports' "--vnc :100: $vnc" run --kernel k --vnc :100
expect 'vnc with another property' "--vnc :1,password=x: $vnc" run --kernel k --vnc :1,password=x
expect 'control without a path' '--control: its value is missing; see openvmbus --help' run --control
expect 'control with an empty path' "--control: the socket's path is missing" run --kernel k --control ''
faults='give any or one of drop, delay, duplicate, reorder, corrupt, forge, lie, storm, refuse, silence, throttle, fail, tear, no-mode-sense, with on=, rate=, after=, count=, ticks=, seed=; see docs/testing-your-driver.md'
expect 'unknown fault' "fault drip: no such kind; $faults" run --kernel k --fault drip
expect 'fault in a place where it cannot be' \
	"fault tear,on=network: a property is unknown, or its value does not fit; $faults" \
	run --kernel k --fault tear,on=network
expect 'top without a path' "top: give a socket's path; see openvmbus --help" top
expect 'ctl without arguments' "ctl: give a socket's path and a command; see openvmbus ctl --help" ctl
expect 'ctl without a command' "ctl: give a socket's path and a command; see openvmbus ctl --help" ctl s
expect 'ctl with an unknown command' 'ctl: stat: no such command; see openvmbus ctl --help' ctl s stat
expect 'ctl with an argument too many' \
	"ctl: status has no argument for 'x'; see openvmbus ctl --help" ctl s status x
expect 'ctl with an argument that is none' "ctl: on 'x': give a flag" ctl s events x
bad=1
timeout 20 "${user[@]}" "$program" ctl nowhere status >"$out" 2>"$err" </dev/null ||
	{ [ "$(cat "$err")" = "openvmbus: ctl nowhere: No such file or directory" ] && bad=0; }
verdict 'ctl where nobody serves'
expect 'ctl with a value missing' 'ctl: --on: its value is missing' ctl s events --on

expect 'switch without socket' "switch: give one socket's path; see openvmbus --help" switch
expect 'switch with two sockets' "switch: give one socket's path; see openvmbus --help" switch a b
expect 'switch with an empty path' "switch: give one socket's path; see openvmbus --help" switch ''
expect 'switch with unknown option' '--prots: no such option; see openvmbus --help' switch s --prots
expect 'switch with a value missing' '--ports: its value is missing; see openvmbus --help' switch s --ports
for value in 0 1 257 -1 x 4x ''; do
	expect "switch of '$value' ports" "--ports $value: give a number from 2 to 256" \
		switch s --ports "$value"
done
for value in '' 0 x 1Q; do
	expect "switch with a capture of '$value'" "--capture-size $value: give a size, for example 100M" \
		switch s --capture-size "$value"
done
expect 'switch with a long path' "switch $long: the path is too long for a socket; give a shorter one" \
	switch "$long"
expect 'switch on a file' 'switch disk: it exists and is no socket; give another path' switch disk
mkdir locked
exec 9<locked
flock 9
expect 'switch in a folder that is locked' \
	'switch locked/s: its folder is locked by another program; give another path' switch locked/s
exec 9<&-
expect 'switch in no folder' 'switch none/s: No such file or directory' switch none/s
for value in 0 x 1Q ''; do
	expect "trace of '$value'" "--trace-size $value: give a size, for example 100M" \
		run --kernel k --trace t --trace-size "$value"
done
for value in x -1 5G ''; do
	expect "trace snap of '$value'" "--trace-snap $value: give bytes, for example 256, or full" \
		run --kernel k --trace t --trace-snap "$value"
done
for option in --trace-size --trace-snap; do
	expect "$option without trace" "$option: it belongs to --trace FILE, which is missing" \
		run --kernel k $option 100
done
expect 'trace in no folder' \
	'--trace none/t: No such file or directory; give a file that can be written' \
	run --kernel k --trace none/t
expect 'trace that is no capture' \
	'--trace disk: it exists and is no capture; give another name, or remove it' \
	run --kernel k --trace disk
expect 'switch with a capture in no folder' \
	'capture=none/c: No such file or directory; give a file that can be written' \
	switch s --capture none/c
expect 'switch with a capture that is no capture' \
	'capture=disk: it exists and is no capture; give another name, or remove it' \
	switch s --capture disk
"$program" switch s 2>"$err" &
switch=$!
for ((i = 0; i < 100; i++)); do
	[ ! -S s ] || break
	sleep 0.05
done
expect 'switch on a socket that is served' \
	'switch s: a socket that somebody serves; give another path, or stop it' switch s
kill "$switch" && rc=0 && { wait "$switch" || rc=$?; }
[ "$rc" = 0 ] && [ ! -e s ] && grep -q '^openvmbus: stats: switch: [1-9]' "$err" && bad=0
verdict 'SIGTERM ends a switch with its statistics'

# Closed standard descriptors: what is opened next must not get their numbers, or the messages with them.
before=$(sha256sum disk) rc=0
"$program" run --kernel k --disk disk --disk missing <&- >&- 2>&- || rc=$?
[ $rc = 2 ] && [ "$(sha256sum disk)" = "$before" ] && bad=0
verdict 'a disk is not written to when standard descriptors are closed'
"$program" switch s --capture closed.pcapng <&- >&- 2>&- &
switch=$!
for ((i = 0; i < 100; i++)); do
	[ ! -S s ] || break
	sleep 0.05
done
names=$(readlink "/proc/$switch/fd/"[012] | sort -u) || names=none
kill "$switch" && rc=0 && { wait "$switch" || rc=$?; }
[ "$rc" = 0 ] && [ "$names" = /dev/null ] && ! grep -q openvmbus: closed.pcapng && bad=0
verdict 'a switch puts the null device in the place of closed standard descriptors'
rm -f closed.pcapng

# The same for the lab: each of its programs begins with what all share, the shell's or Python's.
begins_as_all() {
	case $(head -n 1 "$1") in
	*python*) grep -q '^from lab\.host.* import .*common\|^from lab\.host\.common import ' "$1" ;;
	*) [[ $(sed '/^#/d; /^$/d' "$1" | sed -n 2p) == ". "*/host/common.sh?* ]] ;;
	esac
}
for file in "$OLDPWD"/lab/*; do
	{ [ -x "$file" ] && [ -f "$file" ]; } || continue
	begins_as_all "$file" || echo "$file"
done >"$out"
[ ! -s "$out" ] && bad=0
verdict "each program of the lab begins with host/common.sh or lab.host.common"
names=$(BASH_ENV='' bash -c '. "$1" && readlink "/proc/$$/fd/"[012] >"$2"' lab "$OLDPWD/lab/host/common.sh" "$err" \
	<&- >&- 2>&- && sort -u "$err") || names=none
[ "$names" = /dev/null ] && bad=0
verdict "and the shell's puts the null device in the place of closed standard descriptors"
names=$(cd "$OLDPWD" && python3 -ISc 'import os, sys; sys.path.insert(0, "."); sys.dont_write_bytecode = True
from lab.host import common
print(*{os.readlink(f"/proc/self/fd/{fd}") for fd in range(3)}, file=open(sys.argv[1], "w"))' "$err" \
	<&- >&- 2>&- && cat "$err") || names=none
[ "$names" = /dev/null ] && bad=0
verdict "and Python's does too"

# Root may read and write everything, so these are asked as somebody else.
cp k secret && chmod 0 secret && cp disk fixed && chmod 444 fixed
[ "$(id -u)" = 0 ] && user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
if "${user[@]}" "$program" --version >/dev/null 2>&1; then
	expect 'unreadable kernel' \
		'--kernel secret: Permission denied; give a file that can be read' run --kernel secret
	expect 'disk not writable' \
		'--disk fixed: Permission denied; give a file that can be read and written, or add ,readonly' \
		run --kernel k --disk fixed
else
	echo "skip unreadable files # nobody but root can run $program"
fi

"$program" --version >"$out" 2>"$err" && grep -qE '^openvmbus [0-9]+\.[0-9]+\.[0-9]+$' "$out" && bad=0
verdict 'version'
"$program" --help >"$out" 2>"$err" && grep -q '^exit codes: 0 ' "$out" && [ ! -s "$err" ] && bad=0
verdict 'help names the exit codes'
the_end
