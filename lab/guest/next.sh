# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=sh
#
# For scenarios in which one kernel starts another. What it needs for that is on a disk: the kernel's image and, from the
# next MiB on, the initrd; openvmbus.next=BYTES,BYTES says how long they are.
# shellcheck source=lab/guest/scenario.sh
. /run/lab/scenario.sh

now() { date +%s; }

load_drivers() {
	now >/run/began
	for module in $DRIVERS; do
		insmod "/modules/$module.ko" || exit 1
	done
}

image_len() { option openvmbus.next | cut -d, -f1; }
initrd_len() { option openvmbus.next | cut -d, -f2; }
mebibytes() { echo $((($1 + 1048575) >> 20)); }

# payload_disk: the disk's name, once it is there.
payload_disk() {
	sectors=$((($(mebibytes "$(image_len)") + $(mebibytes "$(initrd_len)")) * 2048))
	for _ in $(seq 300); do
		for disk in /sys/block/sd*; do
			[ "$(cat "$disk/size" 2>/dev/null)" != $sectors ] || { basename "$disk"; return; }
		done
		sleep 0.1
	done
}

# load_next load|crash COMMAND-LINE: this kernel again, with the line that this one has and more at its end.
load_next() {
	disk=/dev/$(payload_disk)
	skip=$(mebibytes "$(image_len)")
	dd if="$disk" bs=1M count="$skip" 2>/dev/null | head -c "$(image_len)" >/run/kernel
	dd if="$disk" bs=1M skip="$skip" 2>/dev/null | head -c "$(initrd_len)" >/run/initrd
	/run/lab/kexec "$1" /run/kernel /run/initrd \
		"$(sed 's/ openvmbus.\(round\|left\)=[^ ]*//g; s/ crashkernel=[^ ]*//' /proc/cmdline) $2"
	rm -f /run/kernel /run/initrd
}

# Reads that are under way when the kernel ends.
keep_busy() {
	disk=/dev/$(payload_disk)
	for _ in 1 2; do
		while :; do
			dd if="$disk" of=/dev/null bs=64k iflag=direct 2>/dev/null || sleep 1
		done &
	done
	sleep 1
}
