#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The lists of files that EDK2's build reads for our firmware (ports/uefi) agree with what is there, which
# without EDK2 nobody would see: sources that are named exist, those that exist are named, what is named of
# the core is what `make freestanding` checks, and each driver of ours is in the platform and in the image.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tests/tap.sh
. tests/tap.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# check NAME WORD...: holds when there are no words.
check() {
	local name=$1
	shift
	printf '%s\n' "$@" >"$work/said"
	result $(($# > 0)) "$name" "$work/said"
}

# The sources of a list of modules (.inf), as paths from the root.
named() {
	local inf
	for inf; do
		awk '/^\[/ { on = /^\[Sources\]/; next } on && NF { print $1 }' "$inf" |
			xargs -r -I{} realpath -m --relative-to=. "$(dirname "$inf")/{}"
	done | sort -u
}

# lines of the first list that are not in the second
without() { comm -23 <(sort -u <<<"$1") <(sort -u <<<"$2") | grep . || true; }

infs=$(find ports/uefi -name '*.inf')
own=$(find ports/uefi -name '*.c' -o -name '*.nasm' -o -name '*.asl')
# shellcheck disable=SC2016 # make's variables
core=$(make -s -f sources.mk --eval 'show: ; @echo $(CORE_RING) $(CORE_GUEST)' show | tr ' ' '\n')
# shellcheck disable=SC2086 # one a line
named=$(named $infs)
result $(($(wc -l <<<"$named") < 20)) 'the lists are read'
# shellcheck disable=SC2046,SC2086 # one a line
{
	check 'what is named is there' $(without "$named" "$(find ring guest ports/uefi -type f)")
	check 'what is there is named' $(without "$own" "$named")
	check 'no two modules have the same GUID' $(sed -n 's/ *FILE_GUID = //p' $infs | sort | uniq -d)
	check 'the core is that of make freestanding' $(without "$(grep -v '^ports/' <<<"$named")" "$core")
	for file in ports/uefi/OpenVmbusPkg.dsc ports/uefi/OpenVmbusPkg.fdf; do
		listed=$(grep -o 'ports/uefi/[a-z/]*\.inf' "$file")
		check "$(basename "$file") names what is there" $(without "$listed" "$infs")
		check "$(basename "$file") has all drivers" $(without "$(grep -v /lib/ <<<"$infs")" "$listed")
	done
}
the_end
