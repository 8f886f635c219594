# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
# The guest prints to a terminal that somebody has halted (Ctrl-S), or that nobody reads any more.
ways="signal twice hang-up off"

warm=3

row() {
	/usr/bin/python3 -IS "$tests/stop/halted-terminal" "$work/terminal" &
	terminal=$!
	while [ ! -s "$work/terminal" ]; do sleep 0.1; done
	out=$(<"$work/terminal")
	kernel=flood
	[ "$1" != off ] || kernel=flood-off
}

clean() {
	kill "$terminal"
	wait "$terminal" || true
	rm "$work/terminal"
}
