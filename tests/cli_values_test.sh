#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Every option in `openvmbus --help`, each with every value of a list that no option takes, and every
# verb with arguments that none takes: exit code 2 (top and ctl: 1 if there is no machine), one line
# on standard error that begins with the program's name, nothing on standard output, nothing written.
# What each of them says is in tests/cli_test.sh. Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$PWD/build/openvmbus
[ -x "$program" ] || { echo "skip cli_values # build/openvmbus is missing"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh
mkdir "$work/here"
cd "$work/here"
: >kernel

# refuse CODE ARGUMENT...: says why on standard output if the answer is another.
refuse() {
	local code=$1 rc=0
	shift
	timeout 20 "$program" "$@" >"$work/out" 2>"$work/err" </dev/null || rc=$?
	[ $rc = "$code" ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" = 1 ] &&
		grep -q '^openvmbus: .* ' "$work/err" && ! grep -qE '[[:cntrl:]]|xxxx$' "$work/err" && [ "$(ls)" = kernel ] ||
		printf '%q: exit code %s, "%.300s"\n' "$*" $rc "$(cat -v "$work/err")"
}

# verdict NAME COMPLAINTS
verdict() {
	local code=0
	[ -z "$2" ] || code=1
	echo "$2" >"$work/why"
	result $code "$1" "$work/why"
}

# shellcheck disable=SC2054 # the commas are in values
values=('' $'\x01\e[2J' $'two\nlines' "$(head -c 5000 /dev/zero | tr '\0' x)" -1 99999999999999999999999 ' 1'
	'%s%n' '=,' a,b=c /nonexistent/x)

# The kernel is no kernel: with a text that may be anything, as --append has it, that is what is said.
try_option() {
	refuse 2 run --kernel kernel "$1"
	local value
	for value in "${values[@]}"; do
		refuse 2 run --kernel kernel "$1" "$value"
	done
}

options=$("$program" --help | sed -nE 's/^  (--[a-z-]+)( .*)?$/\1/p')
[ "$(wc -w <<<"$options")" -ge 35 ] && found='' || found='# too few options in --help'
verdict 'the help names the options' "$found"
for option in $options; do
	verdict "run $option" "$(try_option "$option")"
done
for verb in run switch ctl replay image check; do
	verdict "$verb" "$(refuse 2 $verb --nope; refuse 2 $verb a b c d e f)"
done
verdict top "$(refuse 2 top; refuse 2 top a b c d e f; refuse 1 top nobody)"
verdict 'ctl without a machine' "$(refuse 1 ctl nobody status)"
verdict 'no such verb' "$(refuse 2 nope; refuse 2; refuse 2 $'ru\nn')"
for verb in run switch ctl replay top image check; do
	said=$("$program" $verb --help 2>&1) && [ "$(wc -l <<<"$said")" -gt 20 ] && said='' || said="# $said"
	verdict "$verb --help" "$said"
done
the_end
