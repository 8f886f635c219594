#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `openvmbus image` without a machine: images that are refused; where it finds kernel, initrd and
# command line; and what it says of a guest that stops at each stage. A script stands for the
# monitor: it plays what a guest prints and what the host reports. Prints TAP.
# result() is true either way, so that "A && result 0 || result 1" is an if:
# shellcheck disable=SC2015
set -euo pipefail
cd "$(dirname "$0")/.."
program=$PWD/image/openvmbus-image
export PATH="$PATH:/usr/sbin:/sbin"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir tmp
number=0 failures=0

result() {
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		failures=$((failures + 1))
		sed 's/^/# /' out err
	fi
}

# The monitor: keeps its command line and what it was given, and plays up to stage $PLAY.
cat >monitor <<'END'
#!/bin/bash
printf '%s\n' "$@" >"$SEEN/arguments"
while [ $# -gt 0 ]; do
	case $1 in
	--kernel | --initrd) cp "$2" "$SEEN/${1#--}" ;;
	--append) printf %s "$2" >"$SEEN/append" ;;
	--disk) disk=${2%%,*} ;;
	esac
	shift
done
[ ! -f "${disk:-}" ] || qemu-io -f qcow2 -c 'write -q 0 4096' "$disk" >/dev/null
stage() { [ "$PLAY" != "$1" ] || { [ -z "${PANIC:-}" ] || echo 'Kernel panic - not syncing: no init'; sleep 30 & wait $!; }; }
trap 'kill %1 2>/dev/null; exit 6' TERM
stage loader
echo 'openvmbus: progress: system' >&2
echo '[    0.0] Linux version 6.1'
stage kernel
echo 'openvmbus: progress: bus' >&2
stage bus
echo 'openvmbus: progress: disk' >&2
stage disk
echo 'ALERT! /dev/nowhere does not exist.'
echo '[    1.0] EXT4-fs (sda2): mounted filesystem with ordered data mode'
stage root
echo 'openvmbus: progress: network' >&2
echo 'debian login: '
stage target
exit 0
END
chmod +x monitor

# try ARGUMENT...: rc, out and err of the program, and whether it left anything.
try() {
	rm -rf seen && mkdir seen
	rc=0
	PLAY=${PLAY:-target} SEEN=$work/seen OPENVMBUS=$work/monitor TMPDIR=$work/tmp timeout 60 "$program" "$@" >out 2>err || rc=$?
	[ -z "$(ls tmp)" ] || { echo "left behind: $(ls tmp)" >>err; rc=99; }
}

# refused NAME FILE PATTERN: exit code 2 and one line.
refused() {
	try "$2" --direct
	[ $rc = 2 ] && [ "$(wc -l <err)" = 1 ] && [ ! -s out ] && grep -q -- "$3" err && result 0 "$1" || result 1 "$1"
}

# table FILE MIB: a GPT with a system partition of 16 MiB and a Linux partition of 32 MiB.
table() {
	truncate -s 52M "$1"
	printf 'label: gpt\nstart=2048,size=32768,type=U\nstart=34816,size=65536,type=L\n' | sfdisk -q "$1" >/dev/null
}

into() { dd if="$2" of="$1" bs=512 seek="$3" conv=notrunc,sparse status=none; }

# A program with the sections of a unified kernel image; only these are read.
uki() {
	echo 'console=tty0 root=UUID=uki quiet' >cmdline
	cp /bin/true plain
	objcopy --add-section .linux=kernel.uki --add-section .initrd=initrd.uki --add-section .cmdline=cmdline plain "$1"
}

echo "the kernel of grub.cfg" >kernel.grub
echo "the initrd of grub.cfg" >initrd.grub
echo "the kernel of the entry" >kernel.entry
echo "the kernel of the program" >kernel.uki
echo "the initrd of the program" >initrd.uki

mkdir -p root/boot/grub
cp kernel.grub root/boot/vmlinuz-6.1
cp initrd.grub root/boot/initrd.img-6.1
ln -s boot/vmlinuz-6.1 root/vmlinuz
printf "menuentry 'Debian' {\n\tlinux\t/vmlinuz root=UUID=grub ro quiet\n\tinitrd\t/boot/initrd.img-6.1\n}\n" >root/boot/grub/grub.cfg
truncate -s 32M root.ext4
mkfs.ext4 -q -F -d root root.ext4
rm root/boot/grub/grub.cfg
truncate -s 32M named.ext4
mkfs.ext4 -q -F -U 01234567-89ab-cdef-0123-456789abcdef -d root named.ext4
truncate -s 16M empty.fat
mkfs.vfat empty.fat >/dev/null
cp empty.fat entry.fat
mmd -i entry.fat ::/loader ::/loader/entries ::/debian
mcopy -i entry.fat kernel.entry ::/debian/linux
printf 'title Debian\r\nlinux /debian/linux\r\noptions root=UUID=entry rw\r\n' >entry.conf
mcopy -i entry.fat entry.conf ::/loader/entries/debian-6.1.conf
cp empty.fat uki.fat
uki BOOTX64.EFI
mmd -i uki.fat ::/EFI ::/EFI/BOOT
mcopy -i uki.fat BOOTX64.EFI ::/EFI/BOOT/BOOTX64.EFI

table grub.img && into grub.img empty.fat 2048 && into grub.img root.ext4 34816
table named.img && into named.img named.ext4 34816
table entry.img && into entry.img entry.fat 2048
table uki.img && into uki.img uki.fat 2048
table none.img && into none.img empty.fat 2048

# What is refused
: >zero.img
tar cf tar.img kernel.grub
head -c 5000 /dev/zero | tr '\0' x >noise.img
head -c 30M grub.img >cut.img
cp grub.img crc.img && printf X | dd of=crc.img bs=1 seek=530 conv=notrunc status=none
printf 'QFI\xfb\0\0\0\3' >broken.qcow2
head -c 600 /dev/zero >>broken.qcow2
qemu-img create -q -f qcow2 -b grub.img -F raw backed.qcow2
refused 'a file that is missing' no.img 'there is no such file'
refused 'a folder' . 'not a regular file'
refused 'an empty file' zero.img 'the file is empty'
refused 'a tar archive' tar.img 'a tar archive'
refused 'no image at all' noise.img 'no partition table'
refused 'a table that is cut short' cut.img 'damaged, or the file is cut short'
refused 'a table with a wrong checksum' crc.img 'damaged, or the file is cut short'
refused 'a broken qcow2 image' broken.qcow2 broken.qcow2
refused 'an image that names another file' backed.qcow2 'merge them'

# The kernel and its command line
found() {
	[ $rc = 0 ] && cmp -s "seen/kernel" "$1" && [ "$(cat seen/append)" = "$2" ]
}
before=$(sha256sum grub.img)
try grub.img --direct
found kernel.grub 'root=UUID=grub ro console=ttyS0' && cmp -s seen/initrd initrd.grub && result 0 'grub.cfg names the kernel' ||
	result 1 'grub.cfg names the kernel'
[ "$before" = "$(sha256sum grub.img)" ] && result 0 'the image is not written' || result 1 'the image is not written'
try entry.img --direct
found kernel.entry 'root=UUID=entry rw console=ttyS0' && result 0 'a loader entry names the kernel' ||
	result 1 'a loader entry names the kernel'
try uki.img --direct --append more=1
found kernel.uki 'console=tty0 root=UUID=uki more=1 console=ttyS0' && cmp -s seen/initrd initrd.uki &&
	result 0 'a unified kernel image has kernel, initrd and line' || result 1 'a unified kernel image has kernel, initrd and line'
try named.img --direct
found kernel.grub 'root=UUID=01234567-89ab-cdef-0123-456789abcdef ro console=ttyS0' && result 0 'a kernel that nothing names' ||
	result 1 'a kernel that nothing names'
qemu-img convert -f raw -O qcow2 grub.img grub.qcow2
try grub.qcow2 --direct
found kernel.grub 'root=UUID=grub ro console=ttyS0' && result 0 'the same in a qcow2 image' || result 1 'the same in a qcow2 image'
try none.img --direct
[ $rc = 10 ] && [ ! -e seen/arguments ] && grep -q 'no kernel was found' out && result 0 'no kernel: exit code 10' ||
	result 1 'no kernel: exit code 10'

# Each stage has its own exit code and line
stops() {
	PLAY=$1 try grub.img --direct --within 2
	[ $rc = "$2" ] && grep -q "stopped: .*$3" out && result 0 "stops after $1: exit code $2" ||
		result 1 "stops after $1: exit code $2"
}
stops loader 11 'no kernel said anything'
stops kernel 12 'CONFIG_HYPERV_VMBUS'
stops bus 13 'hv_storvsc'
stops disk 14 'is root= right'
stops root 15 '"login:" did not appear within 2 s.*/dev/nowhere'
PANIC=yes stops disk 16 'the kernel crashed before this: the root.*no init'

# The forms of the result
PLAY=bus try grub.img --direct --within 2 --json --junit junit.xml
python3 - out junit.xml >>err <<'END' && result 0 'JSON and JUnit say the same' || result 1 'JSON and JUnit say the same'
import json, sys, xml.etree.ElementTree as tree
said = json.load(open(sys.argv[1]))
suite = tree.parse(sys.argv[2]).getroot()
failed = [c.get("name") for c in suite if c.find("failure") is not None]
assert said["exit"] == 13 and said["stopped"] == "disk" and said["stages"]["bus"] is not None
assert said["stages"]["disk"] is None and said["format"] == "raw"
assert failed == ["a disk driver used its channel"] and suite.get("failures") == "1"
assert suite.find("testcase/failure").get("message") == said["why"]
END
PLAY=bus SEEN=$work/seen OPENVMBUS=$work/monitor TMPDIR=$work/tmp "$program" grub.img --direct >out 2>err &
pid=$!
for _ in {1..100}; do
	grep -q 'kernel used VMBus' err && break
	sleep 0.1
done
kill $pid
rc=0
wait $pid || rc=$?
[ $rc = 6 ] && [ -z "$(ls tmp)" ] && result 0 'a signal ends it and leaves nothing' || result 1 'a signal ends it and leaves nothing'
echo "1..$number"
[ $failures = 0 ]
