#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `openvmbus image` on machines of more than one kind, without a machine: our drivers put behind an image's
# initrd (--drivers), lists of machines (--matrix), and the firmware that is taken when nothing is said.
# tests/image/monitor stands for openvmbus. Prints TAP.
# result is always true, so "A && result 0 || result 1" is an if:
# shellcheck disable=SC2015
set -euo pipefail
cd "$(dirname "$0")/.."
program=$PWD/image/openvmbus-image
parts=$PWD/tests/image
export PATH="$PATH:/usr/sbin:/sbin"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh
shown=(out err)
cd "$work"
mkdir tmp bin
ln -s "$parts/monitor" bin/openvmbus
# try ARGUMENT...: rc, out and err of the program, and whether it left anything.
try() {
	rm -rf seen && mkdir seen
	rc=0
	PLAY=${PLAY:-good.play} SEEN=$work/seen OPENVMBUS=$work/bin/openvmbus TMPDIR=$work/tmp timeout 100 "$program" "$@" >out 2>err || rc=$?
	[ -z "$(ls tmp)" ] || { echo "left behind: $(ls tmp)" >>err; rc=99; }
}

# refused NAME PATTERN ARGUMENT...: exit code 2, one line, and nothing was started.
refused() {
	try disk.img "${@:3}"
	[ $rc = 2 ] && [ "$(wc -l <err)" = 1 ] && [ ! -e seen/all ] && grep -q -- "$2" err && result 0 "refused: $1" || result 1 "refused: $1"
}

# module FOLDER NAME RELEASE [DEPENDS]
module() {
	mkdir -p "$1"
	printf '\177ELF of %s\0depends=%s\0vermagic=%s SMP\0' "$2" "${4:-}" "$3" >"$1/$2.ko"
}

# modules FOLDER RELEASE
modules() {
	module "$1" vmbus "$2"
	module "$1" storvsc "$2" vmbus,scsi_mod
	module "$1" netvsc "$2" vmbus
}

# disk FILE INITRD: one file system with a loader entry, whose kernel says that it is 6.9-test.
disk() {
	truncate -s 16M "$1"
	mkfs.vfat "$1" >/dev/null
	mmd -i "$1" ::/loader ::/loader/entries
	mcopy -i "$1" kernel ::/linux
	mcopy -i "$1" initrd ::/initrd
	printf 'title A\nlinux /linux\n%soptions root=x\n' "$2" >entry
	mcopy -i "$1" entry ::/loader/entries/a.conf
}

python3 - <<'END'
head = bytearray(0x1000)
head[0x202:0x206] = b"HdrS"
head[0x20e:0x210] = b"\x00\x02"
head[0x400:0x415] = b"6.9-test (lab@lab) #1"
open("kernel", "wb").write(head)
END
printf 'of the image' >initrd # 12 bytes
disk disk.img $'initrd /initrd\n'
disk without.img ''
modules ours 6.9-test
modules other 6.8
modules part 6.9-test && rm part/netvsc.ko
module strange vmbus 6.9-test && module strange storvsc 6.9-test && echo text >strange/netvsc.ko
cat >good.play <<'END'
H progress: system
C [    0.0] Linux version 6.9
C openvmbus image: loaded vmbus storvsc netvsc
H progress: bus
H progress: disk
H progress: network
C [    1.0] EXT4-fs (sda2): mounted filesystem with ordered data mode
c debian login: 
END

refused 'no modules of ours for this kernel' 'none for 6.9-test; run: make modules KERNEL=6.9-test' --drivers ours
refused 'modules of another kernel' 'made for 6.8, and the image has 6.9-test' --drivers other
refused 'a folder without modules' 'no vmbus.ko in it' --drivers bin
refused 'a folder without one of them' 'there is no netvsc.ko' --drivers part
refused 'a module that is none' 'netvsc.ko: it is no kernel module' --drivers strange
refused 'our drivers by firmware' '--drivers: only with --direct' --drivers ours --firmware kernel
refused 'a list with a word twice' '--cpus 1,1: give each of the list once' --cpus 1,1
refused 'more machines than are tried' '96 machines; 64 at most' --matrix --cpus 1,2,3,4,5,6
refused 'one console of many machines' '--console: one machine at a time' --cpus 1,2 --console c
try without.img --drivers ours
[ $rc = 2 ] && grep -q 'starts without an initrd' err && result 0 'refused: nothing that they can be put into' || result 1 'refused: nothing that they can be put into'

cp -r ours bin/modules-6.9 && mkdir -p bin/modules && mv bin/modules-6.9 bin/modules/6.9-test
for drivers in ours "$work/ours"; do
	try disk.img --drivers "$drivers" --stop-within 0
	[ $rc = 0 ] && [ "$(head -c 12 seen/initrd)" = 'of the image' ] && grep -qx 'root=x rdinit=/openvmbus/init initcall_blacklist=hv_acpi_init console=ttyS0' seen/append &&
		grep -q '^note: our drivers: vmbus storvsc netvsc$' out && result 0 "drivers ${drivers##*/}" || result 1 "drivers ${drivers##*/}"
done
mkdir tree
(cd tree && tail -c +13 ../seen/initrd | busybox cpio -i) 2>/dev/null || true
cmp -s tree/openvmbus/storvsc.ko ours/storvsc.ko && cmp -s tree/openvmbus/busybox "$(command -v busybox)" && result 0 'they are in an archive behind the initrd' || result 1 'they are in an archive behind the initrd'
busybox sh -n tree/openvmbus/init && [ -x tree/openvmbus/init ] && grep -q 'in scsi_mod; do' tree/openvmbus/init && grep -q 'in vmbus storvsc netvsc; do' tree/openvmbus/init &&
	result 0 'its first program loads what they need, and them' || result 1 'its first program loads what they need, and them'
sed 's/loaded.*/loaded vmbus storvsc but not netvsc/' good.play >failed.play
PLAY=failed.play try disk.img --drivers ours --stop-within 0
grep -q '^note: our drivers: vmbus storvsc loaded; netvsc did not$' out && result 0 'one that does not load' || result 1 'one that does not load'
grep -v 'loaded' good.play >silent.play
PLAY=silent.play try disk.img --drivers ours --stop-within 0
grep -q 'does not say that they were loaded' out && result 0 'none of them is heard of' || result 1 'none of them is heard of'

try disk.img --direct --matrix --generation 2016,2025 --cpus 1,4 --stop-within 0 --junit junit.xml --html page.html
[ $rc = 0 ] && [ "$(wc -l <seen/all)" = 8 ] && [ "$(grep -c -- '--cpus 4.*--generation 2016' seen/all)" = 2 ] && [ "$(grep -c 'initcall_blacklist' seen/all)" = 4 ] &&
	[ "$(grep -cE '^20(16|25) +[14]  (intree|ours) +0 - ' out)" = 8 ] && grep -q '^disk.img: started on 8 of 8 machines$' out && result 0 'a matrix' || result 1 'a matrix'
python3 - junit.xml page.html >>err 2>&1 <<'END' && result 0 'its reports' || result 1 'its reports'
import re, sys, xml.etree.ElementTree as tree
suites = tree.parse(sys.argv[1]).getroot()
assert suites.tag == "testsuites" and len(suites) == 8
assert len({suite.get("name") for suite in suites}) == 8
text = open(sys.argv[2]).read()
assert text.count("<details>") == 8 and text.count("<svg") == 8
places = re.findall('href="([^"]*)"', text)
assert len(places) == 8 and set(places) == {"#" + name for name in re.findall('id="([^"]*)"', text)}
END
echo 'H progress: system' >kernel.play
PLAY=kernel.play try disk.img --direct --cpus 1,2 --within 1 --json
python3 - out <<'END' && [ $rc = 11 ] && result 0 'machines on which it does not start' || result 1 'machines on which it does not start'
import json, sys
said = json.load(open(sys.argv[1]))
assert said["exit"] == 11 and [m["machine"]["cpus"] for m in said["machines"]] == ["1", "2"]
assert [m["stopped"] for m in said["machines"]] == ["kernel", "kernel"]
END

REFUSED=2019 try disk.img --direct --generation 2016,2025,2019,2022 --stop-within 0
[ $rc = 2 ] && [ "$(wc -l <seen/all)" = 3 ] && [ "$(grep -cE '^20(16|25) +1  intree +0 - ' out)" = 2 ] && grep -q '^openvmbus: no such machine$' err &&
	result 0 'a machine that is refused, and those before it' || result 1 'a machine that is refused, and those before it'
INSTALLED=some.fd try disk.img --stop-within 0
[ $rc = 0 ] && grep -qx -- '--firmware' seen/arguments && grep -qx some.fd seen/arguments && [ ! -e seen/kernel ] && result 0 'the firmware that is installed' || result 1 'the firmware that is installed'
INSTALLED=some.fd try disk.img --direct --stop-within 0
[ $rc = 0 ] && [ -e seen/kernel ] && ! grep -q some.fd seen/arguments && result 0 'not with --direct' || result 1 'not with --direct'
INSTALLED=some.fd try disk.img --drivers ours --stop-within 0
[ $rc = 0 ] && [ -e seen/kernel ] && ! grep -q some.fd seen/arguments && result 0 'nor with drivers of ours' || result 1 'nor with drivers of ours'
try disk.img --stop-within 0
[ $rc = 0 ] && [ -e seen/kernel ] && result 0 'directly where none is installed' || result 1 'directly where none is installed'
the_end
