#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# ThreadSanitizer must find a race that was planted: the thread of an NBD connection takes new operations without its lock.
# Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/.."
program=build/tsan/planted_race
[ -x "$program" ] || { echo "skip planted_race # $program is missing"; exit 0; }
work=$(mktemp)
trap 'rm -f "$work"' EXIT
echo 1..1
rc=0
timeout 120 "$program" >"$work" 2>&1 || rc=$?
if [ $rc != 0 ] && grep -q 'SUMMARY: ThreadSanitizer: data race .*/planted/' "$work"; then
	echo "ok 1 - a lock taken out of take_incoming() is found"
else
	echo "not ok 1 - a lock taken out of take_incoming() is found"
	sed 's/^/# /' "$work"
	exit 1
fi
