#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# How `openvmbus run --accel nest` starts and ends QEMU, without a nest: a script in QEMU's place says what it was
# given and ends, or does not, as a test wants. Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$PWD/build/openvmbus sources=$PWD
[ -x "$program" ] || { echo "skip nest # build/openvmbus is missing"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh
cd "$work"
bad=1 # until a condition says otherwise; each verdict sets it back

# verdict NAME
verdict() {
	result $bad "$1"
	bad=1
}

mkdir bin jobs
touch vmlinux initrd
cat >bin/qemu-system-x86_64 <<'END'
#!/bin/bash
cd "$WORK"
for fd in /proc/$$/fd/*; do
	echo "${fd##*/} $(readlink "$fd")"
done >descriptors
for argument; do
	[[ $argument != local,id=job,* ]] || job=${argument#*path=} job=${job%%,*}
done
. ./qemu "$job"
END
chmod 755 bin/qemu-system-x86_64
# A file that passes for a kernel: ELF, one segment, a note with an entry.
truncate -s 8K kernel
poke() {
	# shellcheck disable=SC2059
	printf "$2" | dd of="${3:-kernel}" bs=1 seek="$1" conv=notrunc status=none
}
poke 0 '\x7fELF\x02\x01\x01'
poke 16 '\x02\x00\x3e\x00\x01\x00\x00\x00'
poke 32 '\x40'
poke 52 '\x40\x00\x38\x00\x02\x00'
poke 64 '\x01\x00\x00\x00\x07\x00\x00\x00\x00\x10'
poke 82 '\x20\x00\x00\x00\x00\x00\x00\x00\x20'
poke 97 '\x01\x00\x00\x00\x00\x00\x00\x00\x01'
poke 120 '\x04\x00\x00\x00\x04\x00\x00\x00\x00\x04'
poke 152 '\x14\x00\x00\x00\x00\x00\x00\x00\x14'
poke 168 '\x04'
poke 1024 '\x04\x00\x00\x00\x04\x00\x00\x00\x12\x00\x00\x00Xen\x00\x00\x00\x20\x00'

# A file that passes for firmware: a volume with a file of type SEC, which is a program.
truncate -s 6M firmware
volume=$(($(sed -n 's/^#define VMB_DEV_UEFI_SEC_AT *\(0x[0-9a-fA-F]*\)u.*/\1/p' "$sources"/devices/uefi/*.h)))
poke $((volume + 40)) '_FVH' firmware
poke $((volume + 48)) '\x38' firmware
poke $((volume + 74)) '\x03\x00\x1c\x01' firmware
poke $((volume + 80)) '\x04\x01\x00\x10MZ' firmware
poke $((volume + 144)) '\x40' firmware
poke $((volume + 148)) 'PE' firmware
poke $((volume + 188)) '\x80' firmware

# start ARGUMENT...: runs the program; what QEMU does is in the file qemu.
start() {
	rm -f descriptors
	WORK=$work OPENVMBUS_NEST=$work TMPDIR=$work/jobs PATH=$work/bin:$PATH \
		timeout 20 "$program" run --accel nest "$@"
}
nest() { start --kernel kernel "$@"; }

# shellcheck disable=SC2016
echo 'echo 0 >"$1/exit"' >qemu
rc=0
nest >out 2>err </dev/null || rc=$?
[ $rc = 0 ] && [ ! -s err ] && [ -z "$(ls jobs)" ] && bad=0
verdict 'the exit code of the nest is that of the program, and its folder is gone'
# The control socket is served from outside for as long as the nest runs: its port leads to this process.
cat >qemu <<'END'
[ -S ctl ] && grep -q '^[0-9]* socket:' descriptors && echo 0 >"$1/exit"
END
rc=0
nest --control ctl >out 2>err </dev/null || rc=$?
for ((tenths = 0; tenths < 50; tenths++)); do
	[ -e ctl ] || break
	sleep 0.1
done
[ $rc = 0 ] && [ ! -e ctl ] && bad=0
verdict 'the control socket of a nest is there while it runs, and gone afterwards'
# shellcheck disable=SC2016
echo 'echo 0 >"$1/exit"' >qemu
rc=0
nest --disk null:1M --disk null:1M --disk null:1M --disk null:1M --disk null:1M >out 2>err <&- || rc=$?
[ $rc = 0 ] && grep -qx '0 /dev/null' descriptors && bad=0
verdict 'QEMU has the null device where standard input is closed'
# The firmware's variables are locked from outside: in the nest, whose file system grants every lock, nobody would know.
cat >qemu <<'END'
flock -n nvram.lock true || echo 0 >"$1/exit"
END
rc=0
start --firmware firmware --nvram nvram >out 2>err </dev/null || rc=$?
[ $rc = 0 ] && [ -e nvram.lock ] && flock nvram.lock true && bad=0
verdict 'no second machine gets the variables of a machine in a nest'
rc=0
flock nvram.lock timeout 20 "$program" run --accel nest --firmware firmware --nvram nvram >out 2>err </dev/null || rc=$?
[ $rc = 2 ] && grep -q 'nvram: another machine uses it; give each machine its own$' err && bad=0
verdict 'nor does a machine in a nest get those of another one'
# QEMU prints more than the pipe takes, and its reader has paused.
cat >qemu <<'END'
trap '' $IGNORED
: >running
timeout 1 head -c 1M /dev/zero >&8
exec sleep 60
END
# ends NAME IGNORED SIGNALS: whether that many signals, half a second from each other, end it with 6 within 10 s.
ends() {
	rm -f running
	mkfifo fifo
	exec 7<>fifo
	IGNORED=$2 WORK=$work OPENVMBUS_NEST=$work TMPDIR=$work/jobs PATH=$work/bin:$PATH \
		"$program" run --accel nest --kernel kernel >fifo 2>err </dev/null &
	pid=$!
	while [ ! -e running ]; do sleep 0.1; done
	sleep 2
	for ((i = 0; i < $3; i++)); do
		kill "$pid"
		sleep 0.5
	done
	for ((i = 0; i < 200; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.05
	done
	kill -KILL "$pid" 2>/dev/null && bad=1
	rc=0
	wait "$pid" || rc=$?
	[ $rc = 6 ] && [ -z "$(ls jobs)" ] && bad=0
	verdict "$1"
	exec 7<&-
	rm -rf fifo jobs/*
}
ends 'a signal ends a nest whose reader has paused' USR1 1

the_end
