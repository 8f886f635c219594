# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=sh
#
# For the scenarios, which run in the guest. They print evidence as NAME=VALUE lines; lab/run, on
# the build machine, judges it. /run/lab/drivers says which drivers this guest was given.
# shellcheck source=/dev/null
. /run/lab/drivers # KIND, DRIVERS (bus and storage), NETWORK

# option NAME: its value on the kernel command line, or for a machine that the lab did not boot in
# /run/lab/options.
option() {
	line=/run/lab/options
	[ -e $line ] || line=/proc/cmdline
	tr ' ' '\n' <$line | sed -n "s/^$1=//p"
}

# bus_driver DISK: the driver of the VMBus (or other) device that a disk like sda hangs off: the
# nearest one above the SCSI host.
bus_driver() {
	at=$(readlink -f "/sys/block/$1/device")
	at=${at%/host[0-9]*}
	while [ "$at" != /sys/devices ] && [ -n "$at" ]; do
		if [ -e "$at/driver" ]; then
			basename "$(readlink -f "$at/driver")"
			return
		fi
		at=${at%/*}
	done
	echo none
}

# bus_version: what the bus driver says that it negotiated.
bus_version() {
	dmesg | grep -i vmbus | sed -n 's/.*[Vv]ersion[: ]*\([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p' | tail -n1
}

# storage_version: what our storage driver says that it negotiated; the kernel's own says nothing.
storage_version() {
	dmesg | sed -n 's/.*storage protocol \([0-9.]*\).*/\1/p' | tail -n1
}

# count_memory ROUND: pages that are free, the CPUs' own lists of them included, and slab pages that
# cannot be shrunk. What is held for a moment is not lost: the best of many looks counts, and five
# that find nothing better end them.
count_memory() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	most_free=0 least_slab=999999999 same=0
	for _ in $(seq 50); do
		[ $same -lt 5 ] || break
		sleep 0.2
		echo 3 >/proc/sys/vm/drop_caches
		listed=$(awk '$1 == "count:" { n += $2 } END { print n + 0 }' /proc/zoneinfo)
		free=$(awk '/^nr_free_pages / { print $2 }' /proc/vmstat)
		slab=$(awk '/^nr_slab_unreclaimable / { print $2 }' /proc/vmstat)
		same=$((same + 1))
		[ $((free + listed)) -le $most_free ] || most_free=$((free + listed)) same=0
		[ "$slab" -ge $least_slab ] || least_slab=$slab same=0
	done
	echo "memory=$1 $most_free $least_slab"
}

# complaints: lines of the kernel log, from the first module on, that no healthy run has. Printed,
# then counted. (Before that, kernels wonder about the emulated CPU.)
complaints() {
	from=/@@modules/
	dmesg | grep -q "@@modules" || from=1 # not the lab's boot: all of it
	dmesg | sed -n "$from,\$p" | grep -E 'WARNING:|BUG:|Oops|Call Trace|general protection|blocked for more than|I/O error|EXT4-fs error' \
		>/run/complaints
	cat /run/complaints
	echo "complaints=$(wc -l </run/complaints)"
}

# root_evidence: the root disk, the driver that found it, the kernel and the negotiated versions.
root_evidence() {
	device=$(findmnt -n -o SOURCE /)
	disk=$(lsblk -n -o PKNAME "$device" | head -n1)
	disk=${disk:-${device#/dev/}}
	echo "kernel=$(uname -r)"
	echo "cpus=$(nproc)"
	echo "bus_version=$(bus_version)"
	echo "storage_version=$(storage_version)"
	echo "root_device=$device"
	echo "root_options=$(findmnt -n -o OPTIONS /)"
	echo "root_driver=$(bus_driver "$disk")"
	echo "seconds_to_init=$(cat /run/seconds-to-init 2>/dev/null)"
}

# serial_of DISK: the serial number that the host gave a disk like sda or hvda; nothing if it has
# none. On a host that gives none of ours the command line has the names of its disks, by LUN.
serial_of() {
	luns=$(option openvmbus.luns)
	if [ -n "$luns" ]; then
		lun=$(basename "$(readlink -f "/sys/block/$1/device")")
		echo "$luns" | cut -d, -f$((${lun##*:} + 1))
	elif [ -e "/sys/block/$1/serial" ]; then
		cat "/sys/block/$1/serial"
	else # behind the four bytes that head a page of vital product data
		tail -c +5 "/sys/block/$1/device/vpd_pg80" 2>/dev/null | tr -d ' \0'
	fi
}

# disk_called SERIAL: the name of the disk with that serial number, like sdb; waits for it up to 20
# s. Linux names SCSI disks in the order in which it happens to find them, so a name says nothing
# about which disk it is.
disk_called() {
	tries=200
	while [ $tries -gt 0 ]; do
		for block in /sys/block/[shv]*d*; do
			[ "$(serial_of "${block##*/}")" != "$1" ] || {
				echo "${block##*/}"
				return
			}
		done
		sleep 0.1
		tries=$((tries - 1))
	done
	return 1
}

# data_disk: the name of the second disk, which scenarios write to.
data_disk() { disk_called data; }
