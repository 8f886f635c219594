#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `openvmbus run` where there is no /dev/kvm, up to the QEMU that it starts, in whose place a script
# stands here: what that is told, what comes out of it and what is left when it ends; and that no
# two machines get one disk. Prints TAP.
# shellcheck disable=SC2317,SC2016 # expect calls the functions; scripts for others are in quotes
set -euo pipefail
cd "$(dirname "$0")/.."
program=${OPENVMBUS:-$PWD/build/openvmbus}
[ -x "$program" ] || { echo "skip nest # build/openvmbus is missing"; exit 0; }
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh
cd "$work"

is() { [ "$1" = "$2" ] || { echo "'$1', not '$2'"; return 1; }; }

# A file that passes for a Linux kernel as far as its header goes.
kernel() {
	truncate -s 64K "$1"
	poke "$1" 497 '\x01'
	poke "$1" 510 '\x55\xaa\xeb\x66HdrS\x0f\x02'
	poke "$1" 529 '\x01'
	poke "$1" 556 '\xff\xff\xff\x7f'
	poke "$1" 566 '\x01\x00\xff\x07\x00\x00'
	poke "$1" 600 '\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02'
}

# poke FILE OFFSET BYTES
poke() {
	# shellcheck disable=SC2059
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# In QEMU's place: keeps what it was told in the folder that $SEEN names and does what "play" there
# says, with "say TEXT" and "complain TEXT" for the command's output and errors.
mkdir bin nest tmp
cat >bin/qemu-system-x86_64 <<'END'
#!/bin/bash
printf '%s\n' "$@" >"$SEEN/arguments"
job=$(sed -n 's/^local,id=job,path=\([^,]*\),.*/\1/p' "$SEEN/arguments")
cp -r "$job" "$SEEN/job"
{ read -r out; read -r err; } < <(sed -n 's/^fd=\([0-9]*\),set=.*/\1/p' "$SEEN/arguments") || true
say() { echo "$*" >&"$out"; }
complain() { echo "$*" >&"$err"; }
touch "$SEEN/started"
. "$SEEN/play"
END
chmod +x bin/qemu-system-x86_64
touch nest/vmlinux nest/initrd
kernel k
truncate -s 1M raw image
export PATH=$work/bin:$PATH OPENVMBUS_NEST=$work/nest TMPDIR=$work/tmp

# play NAME SCRIPT: what the next machine of that name does.
play() {
	rm -rf "$1"
	mkdir "$1"
	echo "$2" >"$1/play"
}

# machine NAME OPTION...: runs it; its output and errors are NAME/out and NAME/err, its exit code in
# rc.
machine() {
	local name=$1
	shift
	rc=0
	SEEN=$work/$name "$program" run --kernel k --accel nest "$@" >"$name/out" 2>"$name/err" || rc=$?
}

# living NAME OPTION...: starts one that lives until it is told to end, in the background; process
# is its id.
living() {
	local name=$1
	shift
	play "$name" 'exec sleep 60'
	SEEN=$work/$name "$program" run --kernel k --accel nest "$@" >"$name/out" 2>"$name/err" </dev/null &
	process=$!
	for _ in {1..600}; do
		[ ! -e "$name/started" ] || return 0
		sleep 0.05
	done
}

# end [SIGNAL]: ends that one; its exit code in rc.
end() {
	rc=0
	kill "-${1:-TERM}" "$process"
	wait "$process" || rc=$?
}

has() { grep -qxF -e "$2" "$1/arguments" || { cat "$1/arguments"; return 1; }; }
job() { tr '\0' '\n' <"$1/job/$2"; }

play a 'echo 37 >$job/exit'
NUMBER=seven machine a --memory 512M --net user,hostfwd=tcp:127.0.0.1:40022-:22,hostfwd=udp::40053-:53 --append 'a  b'
expect 'the exit code of the command is ours' is "$rc" 37
expect 'the memory is the guest and what the nest needs' has a 1536
expect 'forwarded ports lead to the nest' has a "user,id=net,net=10.0.3.0/24,ipv6-prefix=fec0:0:0:3::,ipv6-prefixlen=64\
,hostfwd=tcp:127.0.0.1:40022-10.0.3.15:40022,hostfwd=udp::40053-10.0.3.15:40053"
expect 'and from there to the guest' is "$(job a argv | sed 1d)" "$(printf '%s\n' run --kernel k --accel nest --memory 512M --net \
	user,hostfwd=tcp::40022-:22,hostfwd=udp::40053-:53 --append 'a  b' --accel kvm)"
expect 'the command is this program' test "$(job a argv | head -n1)" -ef "$program"
expect 'its folder is the caller'\''s' is "$(job a cwd)" "$PWD"
expect 'and so is its environment' grep -qx 'NUMBER=seven' <(job a env)
expect 'kernel and initrd are those that the environment names' has a "$work/nest/initrd"

# What the nest is told of its clock: nothing, where nothing measures it.
clock_of() { sed -n 's/.* tsc_early_khz=\([^ ]*\) .*/\1/p' "$1/arguments"; }
expect 'without a measure the nest measures its clock itself' is "$(clock_of a)" ''
for said in 2596142 'no clock'; do
	printf '#!/bin/sh\necho %s\n' "$said" >nest/nest-tsc
	chmod +x nest/nest-tsc
	play clock 'echo 0 >"$job/exit"'
	machine clock
	expect "its clock counts as this machine's is said to: $said" is "$(clock_of clock)" "${said/no clock/}"
done
rm nest/nest-tsc

mkdir disks
other=$(mktemp -d '/var/tmp/openvmbus, b-XXXXXX')
truncate -s 1M disks/raw disks/other
ln -s "$work/disks/raw" linked
shares() { sed -n 's/^local,id=\(root\|write[0-9]*\),path=\(.*\),security_model=.*readonly=\(on\|off\)$/\1 \3 \2/p' "$1/arguments"; }
play writes 'echo 0 >$job/exit'
machine writes --disk linked --disk disks/other --trace "$other/new" --console /dev/null
expect 'the nest may write where its disks, its records and its caller are, and nowhere else' is "$(shares writes)" \
	"root on /
write0 off $work
write1 off ${other/,/,,}"
rm -r "$other"
expect 'and is told so' is "$(job writes writable)" "$work
$other"
(cd / && truncate -s 1M "$work/disks/far" && play "$work/far" 'echo 0 >$job/exit')
far() { cd / && SEEN=$work/far "$program" run --accel nest --kernel "$work/k" --disk "$work/disks/far" >/dev/null; }
(far)
expect 'a caller in the root gives no more than its disks' is "$(shares far)" "root on /
write0 off $work/disks"
in_root() { cd / && "$program" run --accel nest --kernel "$work/k" --disk ram:1M --trace /openvmbus-trace 2>&1; }
expect 'nothing is written to the root itself' is "$(in_root || true)" "openvmbus: '/openvmbus-trace': where there is \
no /dev/kvm nothing is written to the folder /, because all is below it; put the file into another folder"
many() {
	local options=() i
	for i in {1..17}; do
		mkdir -p "/var/tmp/openvmbus-$$/$i"
		truncate -s 1M "/var/tmp/openvmbus-$$/$i/raw"
		options+=(--disk "/var/tmp/openvmbus-$$/$i/raw")
	done
	"$program" run --accel nest --kernel k "${options[@]}" 2>&1 || true
	rm -r "/var/tmp/openvmbus-$$"
}
expect 'folders are not more than a nest has room for' is "$(many)" "openvmbus: '/var/tmp/openvmbus-$$/16': files that are \
written may lie in 16 folders where there is no /dev/kvm; put them together"

play b 'exit 0'
machine b
expect 'without an exit code the nest has failed' is "$rc $(<b/err)" \
	"1 openvmbus: the nest ended without an exit code; QEMU's own messages are above"

play c 'say one; complain two; say three; cat | while read -r line; do say "got $line"; done; say end; echo 0 >$job/exit'
printf 'a\nb\n' | machine c
expect 'output' is "$(<c/out)" $'one\nthree\ngot a\ngot b\nend'
expect 'errors' is "$(<c/err)" two

play d 'for ((i = 0; i < 9999; i++)); do say "a line that is long enough to fill a pipe"; done; echo 5 >$job/exit'
rc=$(SEEN=$work/d "$program" run --kernel k --accel nest 2>d/err </dev/null | head -n1 >d/out; echo "${PIPESTATUS[0]}")
expect 'a reader that goes away does not stop the machine' is "$rc $(wc -l <d/out) $(<d/err)" '5 1 '

for signal in TERM INT HUP; do
	[ $signal != INT ] || continue # a shell's background jobs ignore that one
	living e
	end $signal
	expect "SIG$signal ends the machine" is "$rc $(<e/err)" '6 '
done

# Nobody reads; the pipe is full before the signal comes.
mkfifo paused
exec {paused}<>paused
play p 'echo 5 >$job/exit; for ((i = 0; i < 9999; i++)); do say "a line that is long enough to fill a pipe"; done'
SEEN=$work/p "$program" run --kernel k --accel nest --disk raw >paused 2>p/err </dev/null &
process=$!
sleep 1
kill $process
gone() { for _ in {1..100}; do kill -0 "$process" 2>/dev/null || return 0; sleep 0.1; done; return 1; }
expect 'a reader that has paused does not hold up a signal' gone
exec {paused}<&-
play p 'echo 0 >$job/exit'
machine p --disk raw
expect 'and nobody keeps the disk' is "$rc $(<p/err)" '0 '
play q "trap '' TERM; for _ in {1..600}; do read -rt 0.1 <><(:) || true; done"
SEEN=$work/q "$program" run --kernel k --accel nest >q/out 2>q/err </dev/null &
process=$!
until [ -e q/started ]; do sleep 0.05; done
kill $process
sleep 0.5
kill $process
expect 'the second signal ends at once what does not listen to the first' gone
expect 'nothing is left in the folder for temporary files' is "$(ls tmp)" ''

play f 'exec >&- 2>&-; echo 0 >$job/exit'
rc=0
SEEN=$work/f "$program" run --kernel k --accel nest <&- >&- 2>&- || rc=$?
expect 'closed input and output' is "$rc" 0

if command -v script >/dev/null; then
	play g 'say x 2>/dev/null; stty raw; echo 9 >$job/exit'
	rc=0
	SEEN=$work/g script -qec "stty rows 33 cols 77; '$program' run --kernel k --accel nest; rc=\$?; stty -a; exit \$rc" \
		/dev/null >g/out 2>&1 </dev/null || rc=$?
	expect 'a terminal is the command'\''s, in its size' is "$rc $(job g tty)" '9 33 77'
	expect 'and has its settings afterwards' grep -qE '[^-]icanon' g/out
fi

# refused NAME OPTION...: while another machine lives.
refused() {
	local name=$1
	shift
	play x 'echo 0 >$job/exit'
	machine x "$@"
	expect "$name is refused" is "$rc $(<x/err)" \
		"2 openvmbus: $1 ${2%%,*}: in use by another machine, or given twice; stop that one, or give a copy"
}

# taken NAME OPTION...
taken() {
	local name=$1
	shift
	play x 'echo 0 >$job/exit'
	machine x "$@"
	expect "$name is not" is "$rc $(<x/err)" '0 '
}

living y --disk raw --ide image,format=qcow2
refused 'a disk of another machine' --disk raw
refused 'to read it' --disk raw,readonly
refused 'an image of another machine' --disk image,format=qcow2
refused 'the same file as another format' --ide image,format=raw
taken 'a disk without a file' --disk null:1M
end
taken 'a disk of a machine that has ended' --disk image,format=qcow2
living y --disk image,format=qcow2,readonly
taken 'a read-only image that others read' --disk image,format=qcow2,readonly
refused 'to write to it' --disk image,format=qcow2
end

cp "$program" alone
play z 'echo 0 >$job/exit'
rc=0
SEEN=$work/z ./alone run --kernel k --accel nest >z/out 2>z/err </dev/null || rc=$?
expect 'a program that has lost its other half says so' is "$rc $(sed 's/: [^ ]* is/: it is/' z/err)" \
	"2 openvmbus: it is missing, which starts a nest; run make install, or use a machine with /dev/kvm"
the_end
