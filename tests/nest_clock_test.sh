#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# KVM is loaded in the nest only after the nest's kernel has measured the TSC for the second time.
# Before that KVM may refuse its own rate, and guests with two processors stand still when they
# start; see await_clock() in lab/nest/init. Prints TAP.
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

order=$(sed -n 's/.*Refined TSC clocksource.*/clock/p; s/.*kvm: Nested Virtualization.*/kvm/p' "$work/log" | xargs)
[ "$order" = "clock kvm" ] || echo -n "not "
echo "ok 1 - the clock was measured before KVM was loaded"
echo "# $order"
! grep 'user requested TSC rate' "$work/log" || echo -n "not "
echo "ok 2 - KVM did not refuse its own rate"
echo "1..2"
[ "$order" = "clock kvm" ]
