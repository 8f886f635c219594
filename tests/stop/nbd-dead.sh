# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
# The server of a disk dies while the machine runs, and does not come back.
ways="signal twice hang-up off failure"

row() {
	truncate -s 1M "$work/disk"
	qemu-nbd --persistent --shared=8 --format=raw --socket="$work/socket" "$work/disk" &
	server=$!
	while [ ! -S "$work/socket" ]; do sleep 0.1; done
	arguments=(--disk "nbd+unix:///?socket=$work/socket,reconnect=60") warm=3
	(sleep 2 && kill -KILL "$server") &
}

clean() {
	wait "$server" || true
	rm -f "$work/socket" "$work/disk"
}
