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
mkdir "$work/here"
cd "$work/here"
: >kernel
number=0 failures=0

# refuse CODE ARGUMENT...: says why on standard output if the answer is another.
refuse() {
	local code=$1 rc=0
	shift
	timeout 20 "$program" "$@" >"$work/out" 2>"$work/err" </dev/null || rc=$?
	[ $rc = "$code" ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" = 1 ] &&
		grep -q '^openvmbus: .* ' "$work/err" && ! grep -qE '[[:cntrl:]]|xxxx$' "$work/err" && [ "$(ls)" = kernel ] ||
		printf '# %q: exit code %s, "%.300s"\n' "$*" $rc "$(cat -v "$work/err")"
}

result() {
	number=$((number + 1))
	if [ -z "$2" ]; then
		echo "ok $number - $1"
	else
		printf 'not ok %s - %s\n%s\n' $number "$1" "$2"
		failures=$((failures + 1))
	fi
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
result 'the help names the options' "$found"
for option in $options; do
	result "run $option" "$(try_option "$option")"
done
for verb in run switch ctl replay image check; do
	result "$verb" "$(refuse 2 $verb --nope; refuse 2 $verb a b c d e f)"
done
result top "$(refuse 2 top; refuse 2 top a b c d e f; refuse 1 top nobody)"
result 'ctl without a machine' "$(refuse 1 ctl nobody status)"
result 'no such verb' "$(refuse 2 nope; refuse 2; refuse 2 $'ru\nn')"
for verb in run switch ctl replay top image check; do
	said=$("$program" $verb --help 2>&1) && [ "$(wc -l <<<"$said")" -gt 20 ] && said='' || said="# $said"
	result "$verb --help" "$said"
done
echo "1..$number"
exit $((failures > 0))
