# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# How lab/stock says what is true: as lab/host/cell.py does, an ok or not ok line for each claim.
# shellcheck disable=SC2154 # evidence: a file with NAME=VALUE lines

failures=0

# claim TEXT COMMAND...: holds when the command succeeds.
claim() {
	local text=$1
	shift
	if "$@"; then
		echo "ok $text"
	else
		echo "not ok $text"
		failures=$((failures + 1))
	fi
}

# value NAME: of the last line NAME=VALUE.
value() {
	sed -n "s/^$1=//p" "$evidence" | tail -n1
}

same() { [ -n "$1" ] && [ "$1" = "$2" ]; }
