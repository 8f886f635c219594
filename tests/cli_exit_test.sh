#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2154
#
# How a machine ends, and the exit code and words for it: guests of a few instructions that power off,
# reset in every way there is, crash, and fault. Runs in a nest of its own where no /dev/kvm can run it.
# Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$PWD/build/openvmbus
[ -x "$program" ] || { echo "skip exit # build/openvmbus is missing"; exit 0; }
if [ "${1:-}" != inside ] && ! "$program" check >/dev/null 2>&1; then
	command -v qemu-system-x86_64 >/dev/null || { echo "skip exit # neither KVM nor QEMU"; exit 0; }
	trap 'lab/warm-nest -n exit stop' EXIT
	lab/warm-nest -n exit -m 1536 exec "$PWD/tests/cli_exit_test.sh" inside
	exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh
# shellcheck source=tests/tiny_kernels.sh
. tests/tiny_kernels.sh

# judge NAME CODE OUTPUT PATTERN: whether the last run gave this exit code, matched this pattern on
# standard output, and this one on standard error; a pattern of nothing means silence.
judge() {
	local code=1
	[ "$rc" = "$2" ] && said "$work/out" "$3" && said "$work/err" "$4" && code=0
	echo "exit code $rc, $(head -c 80 "$work/out"), $(cat "$work/err")" >"$work/judged"
	result $code "$1" "$work/judged"
}

said() {
	if [ -n "$2" ]; then
		grep -qE "$2" "$1"
	else
		[ ! -s "$1" ]
	fi
}

# ends NAME CODE PATTERN ARGUMENT...
ends() {
	local name=$1 code=$2 pattern=$3
	shift 3
	rc=0
	timeout 60 "$program" run --accel kvm --kernel "$work/$name" "$@" >"$work/out" 2>"$work/err" \
		</dev/null || rc=$?
	judge "$name ends with $code" "$code" '^x$' "$pattern"
}

kernel off "$x$off$halt"
kernel reset-register "$x$reset$halt"
kernel reset-keyboard "$x\xb0\xfe\xe6\x64$halt"
kernel reset-hyperv "$x\xb9\x03\x00\x00\x40\xb8\x01\x00\x00\x00\x31\xd2$msr$halt"
kernel crash "$x$crash$halt"
kernel crash-off "$x$crash$off$halt"
kernel crash-reset "$x$crash$reset$halt"
kernel fault "$x\x0f\x0b"
kernel forever "$x$halt"
# Pushes an x, and pops what it prints.
kernel push "\x6a\x78\x58\x66\xba\xf8\x03\xee$off$halt"
# Sets the first counter of the interval timer to 65536 and waits until it is below 32768.
kernel timer "$x\xb0\x34\xe6\x43\xb0\x00\xe6\x40\xe6\x40\xb0\x00\xe6\x43\xe4\x40\xe4\x40\x3c\x80\x73\xf4$off$halt"
# Reads the default memory type: enabled, and write-back.
kernel cached "$x\xb9\xff\x02\x00\x00\x0f\x32\x3d\x06\x08\x00\x00\x75\x07$off$halt"

ends off 0 '' --cpus 1
ends off 0 '' --cpus 64 --memory 5G
ends push 0 ''
ends timer 0 ''
ends cached 0 ''
ends reset-register 4 '' --no-reboot
ends reset-keyboard 4 '' --no-reboot
ends reset-hyperv 4 '' --no-reboot
# A crash is reported when it happens, and ends the machine with what the guest does next.
crashed='^openvmbus: the guest crashed: 0x1234 0 0 0 0; '
ends crash 3 "$crashed" --on-crash stop,after=1
ends crash 3 '^openvmbus: the guest has stood still for 1 s since its crash: ended$' --on-crash stop,after=1
ends crash-off 3 "$crashed"
ends crash-off 3 '^openvmbus: the guest that had crashed powered itself off$'
ends crash-off 3 "$crashed" --on-crash=continue
ends crash-reset 3 '^openvmbus: the guest that had crashed reset itself$'
ends crash-reset 3 '^openvmbus: the guest that had crashed reset itself$' --on-crash=continue --no-reboot
ends fault 5 '^openvmbus: processor 0: triple fault' --no-reboot

# refused NAME PATTERN ARGUMENT...: exit code 2 and one line before the machine starts, and no file appears.
refused() {
	local name=$1 pattern=$2
	shift 2
	rc=0
	timeout 60 "$program" run --accel kvm --kernel "$work/off" --console "$work/never" "$@" \
		>"$work/out" 2>"$work/err" </dev/null || rc=$?
	[ "$(wc -l <"$work/err")" = 1 ] && [ ! -e "$work/never" ] || rc="$rc and more"
	judge "$name is refused" 2 '' "$pattern"
}

# A port of this machine that is taken, by a program that every Debian has.
perl -MIO::Socket::INET -e '
	$s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die;
	$| = 1; print $s->sockport, "\n"; sleep 60' >"$work/port" &
listener=$!
for ((i = 0; i < 100; i++)); do
	[ ! -s "$work/port" ] || break
	sleep 0.05
done
port=$(<"$work/port")
refused 'taken port' "^openvmbus: --net user: hostfwd=tcp:127.0.0.1:$port-:22: Address already in use; give another port$" \
	--net "user,capture=$work/never" --net "user,hostfwd=tcp:127.0.0.1:$port-:22"
kill "$listener"
refused 'missing switch' "^openvmbus: --net switch=$work/none: no switch is there; start it first: openvmbus switch $work/none$" \
	--net "user,capture=$work/never" --net "switch=$work/none"
refused 'interface that is no tap' '^openvmbus: --net tap=lo: ' --net "null,capture=$work/never" --net tap=lo
refused 'capture in no folder' "^openvmbus: capture=$work/none/c: No such file or directory; give a file that can be written$" \
	--net "null,capture=$work/never" --net "user,capture=$work/none/c"
refused 'capture over another file' "^openvmbus: capture=$work/off: it exists and is no capture; give another name, or remove it$" \
	--net "user,capture=$work/off"

ends off 0 '' --net user --net "null,capture=$work/capture" --net none
expect 'a capture exists from the start on' [ "$(od -An -tx4 -N4 "$work/capture")" = ' 0a0d0d0a' ]

# stopped_after PATTERN FILE ARGUMENT...: a signal ends the machine once FILE has the pattern, or a minute is over.
stopped_after() {
	local pattern=$1 file=$2 machine
	shift 2
	"$program" run --accel kvm "$@" >"$work/out" 2>"$work/err" </dev/null &
	machine=$!
	for _ in {1..600}; do
		! grep -qE "$pattern" "$file" 2>/dev/null || break
		sleep 0.1
	done
	kill $machine
	rc=0
	wait $machine || rc=$?
}

# Without --no-reboot the guest starts again, and again.
stopped_after '^xxx+$' "$work/out" --kernel "$work/reset-register"
judge 'reset starts the guest again' 6 '^xxx+$' ''
rc=0
timeout --preserve-status 5 "$program" run --accel kvm --kernel "$work/fault" --stats >"$work/out" \
	2>"$work/err" </dev/null || rc=$?
judge 'a triple fault starts the guest again' 6 '^xxx+$' '^openvmbus: stats: [1-9][0-9]* resets'
[ "$(grep -c 'stats: messages' "$work/err")" = 1 ] || rc="$rc, statistics more than once"
judge 'the statistics are said once' 6 '^xxx+$' 'stats: messages'
rc=0
timeout --preserve-status 5 "$program" run --accel kvm --kernel "$work/crash-reset" --on-crash=continue \
	>"$work/out" 2>"$work/err" </dev/null || rc=$?
judge 'a guest that crashed may go on' 6 '^xxx+$' "$crashed"
# Eight starts wait 6.3 s between them.
began=$(date +%s)
"$program" run --accel kvm --kernel "$work/reset-register" >"$work/out" 2>"$work/err" </dev/null &
pid=$!
for ((i = 0; i < 600; i++)); do
	! grep -q . "$work/err" || break
	sleep 0.1
done
[ $(($(date +%s) - began)) -ge 6 ] && kill "$pid"
rc=0
wait "$pid" || rc=$?
judge 'a guest in a loop of resets is slowed down' 6 '^x{8}$' \
	'^openvmbus: the guest has reset itself 8 times in a row within 10 s of its start: '

# This guest knows nothing of VMBus.
stopped_after 'VMBus' "$work/err" --kernel "$work/forever" --contact-within 1
judge 'a guest without VMBus is reported' 6 '^x$' '^openvmbus: the guest has not contacted VMBus in 1 s: '

stopped_after '^x$' "$work/console" --kernel "$work/forever" --cpus 4 --console "$work/console"
judge 'a signal stops the machine' 6 '' ''
mv "$work/console" "$work/out"
judge 'the console is a file' 6 '^x$' ''
the_end
