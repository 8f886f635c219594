#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2154,SC2317
#
# The machine always ends in time: a table of hostile or merely slow backends, servers, terminals
# and guests, each with every way to end. A line for each says how long the end took. Runs in a nest
# of its own where no /dev/kvm can run it. Prints TAP. What needs a guest that uses the bus is
# tests/devices_stop_test.c.
#
#	tests/stop_test.sh [--all] [NAME...]
#
# Without --all only the first ways of each row are gone.
#
# A row is a file tests/stop/NAME.sh. It is sourced once for each of its ways and defines
#
#	ways="signal off ..."      how it is ended; those below, or its own: a function end_NAME
#	row WAY                    sets up the other side and fills: kernel, a name for kernel() of
#	                           tiny_kernels.sh, where the way's own does not do;
#	                           arguments=(...) of `openvmbus run`; in, out and err, where the
#	                           standard descriptors lead
#	before WAY                 what happens just before the end, if anything
#	clean                      takes the other side down again; may say in problem what was wrong
#
# and may set short (the ways without --all; the first), limit (milliseconds, 8000), code (the exit
# code that is expected, else the way's) and warm (seconds until the end is asked for, 1).
set -euo pipefail
cd "$(dirname "$0")/.."
program=${OPENVMBUS:-$PWD/build/openvmbus}
[ -x "$program" ] || { echo "skip stop # $program is missing"; exit 0; }
if [ "${1:-}" != inside ] && ! "$program" check >/dev/null 2>&1; then
	command -v qemu-system-x86_64 >/dev/null || { echo "skip stop # neither KVM nor QEMU"; exit 0; }
	trap 'lab/warm-nest -n stop stop' EXIT
	lab/warm-nest -n stop -m 1536 exec "$PWD/tests/stop_test.sh" inside "$@"
	exit
fi
[ "${1:-}" != inside ] || shift
all=no
[ "${1:-}" != --all ] || { all=yes; shift; }
tests=$PWD/tests
work=$(mktemp -d -p /dev/shm) # the files of a nest are another machine's, and no pipe can be made there
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
# shellcheck source=tests/tiny_kernels.sh
. "$tests/tiny_kernels.sh"
kernel forever "$x$halt"
kernel flood "$x$flood"
kernel flood-off "$x$page$page$key$off$halt"
kernel off "$x$key$off$halt"
kernel failure "$x$key$nowhere"
kernel fault "$x$key$fault"
kernel crash "$x$key$crash$halt"
kernel reset "$x$reset$halt"
number=0 failures=0

# The ways to end. Each ends what has the process id $pid. Where the guest does it, it waits for a key.
type_key() { echo >&9; }
end_signal() { kill "$pid"; }
end_twice() { kill "$pid" && sleep 0.5 && { kill "$pid" 2>/dev/null || true; }; }
end_hang-up() { kill -HUP "$pid"; }
end_off() { type_key; }     # powers itself off
end_failure() { type_key; } # does what KVM cannot carry out
end_fault() { type_key; }   # a triple fault, with --no-reboot
end_crash() { type_key; }   # reports a crash and stands still, with --on-crash stop,after=1
declare -A codes=([signal]=6 [twice]=6 [hang-up]=6 [off]=0 [failure]=1 [fault]=5 [crash]=3)

now() { date +%s%3N; }

# measure WAY: milliseconds from the end's beginning to the program's; empty: it did not end.
measure() {
	local began
	"$program" run --accel kvm --kernel "$work/$kernel" "${arguments[@]}" >"$out" 2>"$err" <"$in" 9>&- &
	pid=$!
	sleep "$warm"
	before "$1"
	began=$(now)
	"end_$1" 2>/dev/null || : # has ended before it was asked: its exit code is then the wrong one
	while kill -0 "$pid" 2>/dev/null && [ $(($(now) - began)) -lt 15000 ]; do
		sleep 0.05
	done
	kill -KILL "$pid" 2>/dev/null && rc=none && wait "$pid" 2>/dev/null && return
	rc=0
	wait "$pid" || rc=$?
	took=$(($(now) - began))
}

# judge ROW WAY
judge() {
	local good=no
	number=$((number + 1))
	[ -z "$took" ] || [ "$took" -gt "$limit" ] || [ "$rc" != "$code" ] || good=yes
	! grep -q 'ended all the same' "$work/err" || good=no
	[ -z "$problem" ] || good=no
	[ $good = yes ] || failures=$((failures + 1))
	[ $good = yes ] || echo -n "not "
	echo "ok $number - $1, $2: ${took:-more than 15000} of $limit ms, exit code $rc"
	[ $good = yes ] || { echo "$problem" && cat "$work/err"; } | sed 's/^/# /'
}

# ways_of FILE
ways_of() {
	local short='' ways
	# shellcheck disable=SC1090
	. "$1"
	[ $all = yes ] || ways=${short:-${ways%% *}}
	echo "$ways"
}

for file in "$tests"/stop/*.sh; do
	name=$(basename "$file" .sh)
	[ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
	for way in $(ways_of "$file"); do
		limit=8000 warm=1 out=/dev/null err=$work/err in=$work/keys arguments=() took='' rc=0 problem=''
		kernel=forever
		before() { :; }
		[ ! -e "$work/$way" ] || kernel=$way
		# shellcheck disable=SC1090
		. "$file"
		code=${codes[$way]}
		: >"$work/err"
		rm -f "$work/keys"
		mkfifo "$work/keys"
		exec 9<>"$work/keys"
		row "$way"
		measure "$way"
		clean
		judge "$name" "$way"
	done
done
echo "1..$number"
exit $((failures > 0))
