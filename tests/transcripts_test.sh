#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# tests/transcripts_test.sh : the transcripts are what tools/transcripts writes, and no hand has been in them.
set -euo pipefail
cd "$(dirname "$0")/.."
echo 1..2
n=0

judge() {
	local name=$1
	shift
	n=$((n + 1))
	if "$@"; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
	fi
}

a_changed_byte_is_found() {
	local copy said found=1
	copy=$(mktemp -d)
	mkdir -p "$copy/tools" "$copy/tests"
	cp -r tools/transcripts tools/transcript "$copy/tools"
	cp -r tests/transcripts "$copy/tests"
	sed -i '0,/^  0e 00/s//  0e 01/' "$copy/tests/transcripts/bus-6.0.txt"
	said=$("$copy/tools/transcripts" --check) || found=0
	[ "$said" = "tests/transcripts/bus-6.0.txt: not what tools/transcripts writes" ] || found=1
	rm -r "$copy"
	return $found
}

judge transcripts_are_what_the_tool_writes tools/transcripts --check
judge a_changed_byte_is_found a_changed_byte_is_found
