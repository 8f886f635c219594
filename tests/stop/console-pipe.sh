# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
# Standard output is a pipe whose reader has paused: the guest prints more than fits.
ways="signal twice hang-up off"

warm=4 # a byte of the guest takes some 200 us in a nest

row() {
	mkfifo "$work/fifo"
	exec 7<>"$work/fifo"
	/usr/bin/python3 -ISc 'import fcntl; fcntl.fcntl(7, fcntl.F_SETPIPE_SZ, 4096)'
	out=$work/fifo
	kernel=flood
	[ "$1" != off ] || kernel=flood-off
}

clean() {
	exec 7<&-
	rm "$work/fifo"
}
