#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `openvmbus replay`: its output and exit code for a recording that plays the same, one that was
# changed, one that lies about its machine, and files that are none. Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/.."
recorder=build/tests/devices_trace_test program=build/openvmbus
for file in $recorder $program; do
	[ -x "$file" ] || { echo "skip replay # $file is missing"; exit 0; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh

# expect NAME CODE PATTERN [--host] FILE: one line of what it says matches.
expect() {
	local rc=0 code=1
	timeout 60 $program replay "${@:4}" >"$work/said" 2>&1 || rc=$?
	[ $rc = "$2" ] && grep -qE "$3" "$work/said" && code=0
	echo "exit code $rc" >>"$work/said"
	result $code "$1" "$work/said"
}

$recorder --record-machine "$work/good"
expect recording_plays_the_same 0 '^[0-9]+ records played, 1[0-9] compared, 0 left out, 0 differences$' "$work/good"

# The host's last word, UNLOAD_COMPLETE (17), becomes another one.
at=$(grep -obaP '\x11\x00\x00\x00\x00\x00\x00\x00' "$work/good" | tail -n1 | cut -d: -f1)
cp "$work/good" "$work/changed"
printf '\x18' | dd of="$work/changed" bs=1 seek="$at" conv=notrunc status=none
expect change_is_found 1 '^record [0-9]+: MODIFY_CHANNEL_RESPONSE .* was expected' "$work/changed"

head -c $(($(stat -c %s "$work/good") - 30)) "$work/good" >"$work/short"
expect cut_recording_says_so 1 'ended early: its last block is cut off' "$work/short"
sed -b 's|ram:16777216|/etc/passwd1|' "$work/good" >"$work/other"
expect disks_of_this_machine_are_not_opened 2 'describes no machine that can be played on' "$work/other"
sed -b 's|--memory\x00128M|--memory\x00128X|' "$work/good" >"$work/bad"
expect options_are_checked 2 'memory 128X: not a size' "$work/bad"
$recorder --record "$work/plain"
expect recording_without_options_is_refused 2 'does not say which machine' "$work/plain"
expect other_files_are_refused 2 'README.md: not a recording; give a recording' README.md
expect missing_file_is_refused 2 'No such file or directory; give a recording' "$work/none"
expect folder_is_refused 2 'not a file; give a recording' "$work"

# The host's half, to our guest.
expect our_guest_says_the_same 0 '^1[0-9] records played, 1[0-9] compared, 0 left out, 0 differences$' --host "$work/good"
# It reads: the other way would be another command.
cp "$work/good" "$work/changed"
at=$(grep -obaP '\x10\x00\x00\x00\x00\x00\x00\x00' "$work/good" | tail -n1 | cut -d: -f1) # UNLOAD
printf '\x03' | dd of="$work/changed" bs=1 seek="$at" conv=notrunc status=none
expect another_guest_is_found 1 '^record [0-9]+: REQUEST_OFFERS: our guest does not do that now' --host "$work/changed"
expect cut_recording_of_a_host_says_so 1 'ended early: its last block is cut off' --host "$work/short"
expect host_needs_a_recording 2 'README.md: not a recording; give a recording' --host README.md
expect host_needs_a_file 2 'replay takes one file' --host

# A session of Linux 6.1 with its own drivers, from the first message to the first frame: what their
# guest and ours say is the same, and so is what our host answers.
gunzip -c tests/recordings/linux-6.1-intree.pcapng.gz >"$work/linux"
expect linux_says_what_our_guest_says 0 '^[0-9]+ records played, 3[0-9][0-9] compared, 0 left out, 0 differences$' \
	--host "$work/linux"
expect linux_gets_the_same_answers 0 ' 0 differences$' "$work/linux"

the_end
