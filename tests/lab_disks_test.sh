#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Linux names two SCSI disks in either order, so the lab must know its disks by what the host gave
# them: the same two disks are shown to the lab's scripts under both orders of names, and nothing
# may differ. Prints TAP.
# shellcheck disable=SC2317 # expect calls the functions
set -euo pipefail
cd "$(dirname "$0")/.."
cell=$(mktemp -d)
work=$cell
trap 'rm -rf "$cell"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh

# disk TREE NAME LUN SERIAL: as /sys shows a SCSI disk.
disk() {
	mkdir -p "$1/sys/block/$2/device"
	printf '\0\200\0\14%-12s' "$4" >"$1/sys/block/$2/device/vpd_pg80"
	echo "[0:0:0:$3]    disk    Msft     Virtual Disk     1.0   /dev/$2 " >>"$1/lsscsi"
}

# guest TREE: the lab's scripts for it, and tools that say which disk they were asked about.
guest() {
	local tool
	mkdir -p "$1/bin" "$1/lab"
	sed "s|/run/lab|$1/lab|g; s|/sys/|$1/sys/|g" lab/guest/scenario.sh >"$1/lab/scenario.sh"
	# This machine's udev is left alone.
	sed "s|/run/lab|$1/lab|g; s|/lib/systemd/systemd-udevd|true|" lab/scenarios/tools >"$1/scenario"
	: >"$1/lab/drivers"
	printf '#!/bin/sh\nsort %s\n' "$1/lsscsi" >"$1/bin/lsscsi"
	printf '#!/bin/sh\necho lsvmbus\n' >"$1/bin/python3"
	for tool in sg_inq sg_vpd sg_readcap; do
		# shellcheck disable=SC2016 # for the script that this makes
		printf '#!/bin/sh\nfor disk; do :; done\ntail -c +5 %s/sys/block/${disk#/dev/}/device/vpd_pg80\necho\n' \
			"$1" >"$1/bin/$tool"
	done
	printf '#!/bin/sh\n:\n' | tee "$1/bin/dmesg" >"$1/bin/udevadm"
	chmod +x "$1"/bin/*
}

# in_guest TREE COMMAND: with the lab's words.
in_guest() {
	PATH=$1/bin:$PATH sh -c ". '$1/lab/scenario.sh'; sleep() { :; }; $2" 2>/dev/null
}

# normal FILE: what the scenario tools compares.
normal() {
	/usr/bin/python3 -BIS -c 'import sys
sys.path.insert(0, ".")
from lab.scenarios.tools import normal
print(*normal(open(sys.argv[1]).read().split("\n")), sep="\n")' "$1"
}

is() { [ "$1" = "$2" ] || { echo "$1, not $2"; return 1; }; }

disk "$cell/a" sda 0 root
disk "$cell/a" sdb 1 data
disk "$cell/b" sdb 0 root
disk "$cell/b" sda 1 data
for order in a b; do
	guest "$cell/$order"
	PATH=$cell/$order/bin:$PATH sh "$cell/$order/scenario" 2>&1 | sed "s|$cell/$order||" >"$cell/evidence.$order" || true
	normal "$cell/evidence.$order" >"$cell/tools.$order"
done
mkdir -p "$cell/c/sys/block/hvda"
echo data >"$cell/c/sys/block/hvda/serial"
guest "$cell/c"

expect 'a disk is found by its serial number' is "$(in_guest "$cell/a" 'disk_called data')" sdb
expect 'and so it is under another name' is "$(in_guest "$cell/b" 'disk_called data')" sda
expect 'and an IDE disk, which has a file for it' is "$(in_guest "$cell/c" 'disk_called data')" hvda
expect 'the one that scenarios write to is never the root' is "$(in_guest "$cell/b" data_disk)" sda
expect 'a serial number that no disk has ends the wait' is "$(in_guest "$cell/a" 'disk_called other || echo none')" none
ran=$(grep -c "^@@TOOL.*/dev/root" "$cell/tools.a" || true)
expect 'the tools ran on one disk' test "$ran" -ge 4
expect 'and as many on the other' is "$(grep -c "^@@TOOL.*/dev/data" "$cell/tools.a")" "$ran"
expect 'what the tools say is the same in both orders' diff -u "$cell/tools.a" "$cell/tools.b"
sed -i 's/^data/rest/' "$cell/tools.b"
expect 'control: a disk that says something else is seen' is "$(cmp -s "$cell/tools.a" "$cell/tools.b" || echo differs)" differs
the_end
