#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# KVM is loaded in the nest only after the nest's kernel has measured the TSC for the second time.
# Before that KVM may refuse its own rate, and guests with two processors stand still when they
# start; see await_clock() in lab/nest/init. And the nest writes only in folders that it was given,
# which needs a real one too. Prints TAP.
# shellcheck disable=SC2317 # expect calls the functions
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x build/openvmbus ] || { echo "skip nest_clock # build/openvmbus is missing"; exit 0; }
if build/openvmbus check >/dev/null 2>&1; then
	echo "skip nest_clock # there is a /dev/kvm, so nothing needs a nest"
	exit 0
fi
command -v qemu-system-x86_64 >/dev/null || { echo "skip nest_clock # neither KVM nor QEMU"; exit 0; }
work=$(mktemp -d)
trap 'lab/warm-nest -n clock stop >"$work/end" 2>&1 || true; rm -rf "$work"' EXIT
lab/warm-nest -n clock -m 512 exec dmesg >"$work/log"

# The same nest writes where it may, and where it may not.
outside=/var/tmp/openvmbus-nest-$$
lab/warm-nest -n clock exec sh -c "cd /; exec 2>&1; echo inside >'$work/inside'; echo outside >'$outside'
	mount -o remount,rw /; echo outside >'$outside'" >"$work/writes" || true

failures=0
# expect NAME CONDITION...
expect() {
	local name=$1
	shift
	"$@" || { failures=$((failures + 1)); echo -n "not "; }
	echo "ok - $name"
}
kvm_is_second() { [ "$order" = "clock kvm" ] || { echo "# in the log: $order"; return 1; }; }
rate_is_taken() { ! grep 'user requested TSC rate' "$work/log" >"$work/refused"; }

is_there() { [ "$(cat "$work/inside" 2>&1)" = inside ] || { sed 's/^/# /' "$work/writes"; return 1; }; }
is_refused() {
	[ ! -e "$outside" ] && [ "$(grep -c 'Read-only file system' "$work/writes")" -ge 2 ] && return
	sed 's/^/# /' "$work/writes"
	rm -f "$outside"
	return 1
}

order=$(sed -n 's/.*Refined TSC clocksource.*/clock/p; s/.*kvm: Nested Virtualization.*/kvm/p' "$work/log" | xargs)
expect 'the clock was measured before KVM was loaded' kvm_is_second
expect 'KVM did not refuse its own rate' rate_is_taken
expect 'what the nest writes into a folder that it was given is there' is_there
expect 'a write elsewhere is refused, also after the nest has mounted its root anew' is_refused
echo "1..4"
exit $((failures > 0))
