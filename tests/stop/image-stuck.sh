# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
# The qemu-nbd of an image stops answering; or the process of ours that keeps it does (keeper). Meanwhile a slow reader
# takes what the guest has printed, for 4 s.
ways="signal keeper hang-up off failure"
codes[keeper]=6

row() {
	qemu-img create -q -f qcow2 "$work/disk" 16M
	mkfifo "$work/fifo"
	exec 7<>"$work/fifo"
	/usr/bin/python3 -ISc '
import fcntl, os, time
fcntl.fcntl(7, fcntl.F_SETPIPE_SZ, 4096)
while os.read(7, 64):
    time.sleep(0.1)' &
	reader=$!
	out=$work/fifo warm=4
	arguments=(--disk "$work/disk,format=qcow2")
	[ "$kernel" != forever ] || kernel=flood
}

child_of() { tr -d ' ' <"/proc/$1/task/$1/children"; }

# The program's child is the keeper, and the keeper's is qemu-nbd.
before() {
	local keeper server
	keeper=$(child_of "$pid") server=$(child_of "$keeper")
	kill -STOP "$server"
	[ "$1" != keeper ] || kill -STOP "$keeper"
}

end_keeper() { kill "$pid"; }

clean() {
	kill "$reader"
	wait "$reader" || true
	exec 7<&-
	rm -f "$work/fifo" "$work/disk"
}
