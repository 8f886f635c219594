# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
# Nobody is hostile: what the rest is to be compared with.
ways="signal twice hang-up off"

row() {
	kernel=forever
	[ "$1" != off ] || kernel=off
}

clean() { :; }
