# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
# Standard error is a full pipe that nobody reads.
ways="signal twice hang-up off failure crash"

row() {
	mkfifo "$work/full"
	exec 7<>"$work/full"
	/usr/bin/python3 -ISc 'import fcntl, os; os.write(7, bytes(fcntl.fcntl(7, fcntl.F_SETPIPE_SZ, 4096)))'
	err=$work/full warm=2
	arguments=(--stats --contact-within 1 --no-reboot --on-crash 'stop,after=1')
}

clean() {
	exec 7<&-
	rm "$work/full"
}
