# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
# Nobody is hostile: what the rest is to be compared with. The guest never contacts the bus, which is said after 1 s.
ways="signal twice hang-up off failure fault crash"
short="signal off failure" warm=3

row() {
	arguments=(--no-reboot --contact-within 1 --on-crash 'stop,after=1')
}

clean() {
	[ "$rc" = none ] || grep -q "has not contacted VMBus" "$work/err" || problem="nothing is said of a guest without the bus"
}
