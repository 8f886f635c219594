#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# tests/robustness_plants_test.sh [--all | NAME...]
#
# Plants the bugs of tests/robustness/plants, one after the other, and requires that the test which
# is named for each is red. Without arguments a few of them, other ones every hour; `make
# robustness` plants all. Prints TAP.
# shellcheck disable=SC2317 # what expect calls
set -euo pipefail
cd "$(dirname "$0")/.."
plants=tests/robustness/plants
sample=5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/tap.sh

names() {
	sed -n 's/^\([a-z0-9_]*\)|.*/\1/p' "$plants"
}

# Other ones every hour, and all of them in turn.
some() {
	local -a all
	mapfile -t all < <(names)
	local hour=$(($(date +%s) / 3600)) i
	for ((i = hour * sample; i < (hour + 1) * sample; i++)); do
		echo "${all[i % ${#all[@]}]}"
	done
}

# How the tests are built, as the Makefile says: flags and parts of each kind.
asan_cc='' asan_flags='' asan_libs='' linux_flags='' linux_parts='' services_parts='' network_parts='' override_parts=''
eval "$(make -s --no-print-directory asan-commands)"

# build NAME FILE TEST EDIT: $work/NAME is TEST with the bug in FILE.
build() {
	local file=$2 test=$3 flags objects mutant_of mutant=$work/$1.d/${2##*/}
	mkdir -p "$work/$1.d"
	sed "$4" "$file" >"$mutant"
	! cmp -s "$file" "$mutant" || { echo "there is no place for it in $file"; return 1; }
	flags=$asan_flags
	objects="build/asan/tests/$test.o build/asan/libtest.a $asan_libs"
	case $test in
	linux_*)
		flags=$linux_flags
		objects="build/linux/asan/shim/$test.o $linux_parts"
		[ "$test" != linux_services_test ] ||
			objects="build/linux/asan/shim/$test.o $services_parts"
		[ "$test" != linux_override_test ] ||
			objects="build/linux/asan/shim/$test.o $override_parts"
		[ "${test#linux_network_}" = "$test" ] ||
			objects="build/linux/asan/shim/$test.o $network_parts $asan_libs"
		mutant_of=core/$(basename "$file" .c).o
		[ "$file" = "${file#ports/linux/}" ] || mutant_of=port/${mutant_of#core/}
		objects=$(tr ' ' '\n' <<<"$objects" | grep -v "/$mutant_of\$")
		;;
	vmm_* | devices_*)
		objects="build/asan/tests/confined.o build/asan/tests/$test.o build/asan/libvmm.a
			build/asan/libtest.a $asan_libs"
		;;
	esac
	# A bug may leave a variable or a function without a use. The words are options and files.
	# shellcheck disable=SC2086
	$asan_cc $flags -DKBUILD_MODNAME='"openvmbus"' -Wno-error -iquote "${file%/*}" -c -o "$work/$1.o" "$mutant" &&
		$asan_cc -fsanitize=address,undefined -pthread -o "$work/$1" "$work/$1.o" $objects \
			-lcmocka
}

# is_red NAME: says why not.
is_red() {
	local name file test function edit code=0
	IFS='|' read -r name file test function edit < <(grep "^$1|" "$plants") ||
		{ echo "$plants has no such bug"; return 1; }
	build "$name" "$file" "$test" "$edit" >"$work/$name.log" 2>&1 ||
		{ tail -n 3 "$work/$name.log"; return 1; }
	CMOCKA_MESSAGE_OUTPUT=STDOUT timeout 60 "$work/$name" >"$work/$name.log" 2>&1 || code=$?
	[ "$code" != 0 ] || { echo "$test is green"; return 1; }
	# A crash or a hang is of the case that ran last.
	grep -qE "^\[  FAILED  \] $function\$" "$work/$name.log" ||
		[ "$(sed -n 's/^\[ RUN      \] //p' "$work/$name.log" | tail -n 1)" = "$function" ] ||
		{ echo "$test is red, and not by $function"; grep FAILED "$work/$name.log"; return 1; }
}

case ${1:-} in
--all) mapfile -t chosen < <(names) ;;
'') mapfile -t chosen < <(some) ;;
*) chosen=("$@") ;;
esac
for name in "${chosen[@]}"; do
	expect "$name turns its test red" is_red "$name"
done
the_end
