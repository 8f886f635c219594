#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# lab/host/trim-elf takes zeroes off the end of a program and nothing else. Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/.."
CC=${CC:-gcc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh

size() { stat -c %s "$1"; }

# A program whose last 4 MiB are zeroes in the file, which it counts.
cat >"$work/a.c" <<'END'
#include <stdio.h>
static char zeroes[4 << 20];
int main(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < sizeof(zeroes); i++)
		n += !zeroes[i];
	printf("%u\n", n);
	return 0;
}
END
"$CC" -O0 -static -o "$work/plain" "$work/a.c"
objcopy --strip-all --set-section-flags .bss=alloc,load,contents "$work/plain" "$work/full"
cp "$work/full" "$work/trimmed"
lab/host/trim-elf "$work/trimmed"
expect 'the zeroes were in the file' test "$(size "$work/full")" -gt $((4 << 20))
expect 'and are no more' test $(($(size "$work/full") - $(size "$work/trimmed"))) -ge $((4 << 20))
expect 'the program does what it did' test "$("$work/trimmed")" = "$("$work/full")"
cp "$work/trimmed" "$work/again"
lab/host/trim-elf "$work/again"
expect 'there is nothing left to take off' cmp "$work/trimmed" "$work/again"
head -c 4096 /dev/zero >"$work/none"
expect 'what is no ELF file is refused' test "$(lab/host/trim-elf "$work/none" 2>&1)" = "$work/none: not a 64-bit ELF file"
the_end
