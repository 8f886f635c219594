#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# lab/kernel on a build folder that was copied: the headers must name the place where they are now,
# and one whose list of symbols was written over counts as not there. Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh

# The least that lab/kernel looks at, as it unpacks it at the place $2, in $1.
make_kernel() {
	local dir=$1 place=$2 headers=$1/usr/src/linux-headers-1
	mkdir -p "$headers" "$dir/usr/lib/linux-kbuild-1/scripts/mod" "$dir/usr/src/linux-headers-1-common"
	printf 'KBUILD_OUTPUT=%s/usr/src/linux-headers-1\ninclude %s/usr/src/linux-headers-1-common/Makefile\n' \
		"$place" "$place" >"$headers/Makefile"
	printf '0x00000000\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n' >"$headers/Module.symvers"
	ln -s "$place/usr/lib/linux-kbuild-1/scripts" "$headers/scripts"
	printf '#!/bin/sh\nexec %s/libc/ld.so %s/modpost.elf "$@"\n' "$place" "$place" \
		>"$dir/usr/lib/linux-kbuild-1/scripts/mod/modpost"
	ln -s usr/src/linux-headers-1 "$dir/kdir"
	touch "$dir/ready"
}

build=$work/build
mkdir -p "$build/kernels"
make_kernel "$build/kernels/1-amd64" /elsewhere/kernels/1-amd64
ln -s 1-amd64 "$build/kernels/6.1"
expect "a kernel that is there is not fetched" env BUILD="$build" lab/kernel 6.1
# shellcheck disable=SC2016
expect "a copied kernel names its own place" bash -c '! grep -rqF /elsewhere "$1/usr" && grep -qF "$1/" "$1/kdir/Makefile"' \
	- "$build/kernels/1-amd64"
expect "so do its links" test "$(readlink "$build/kernels/1-amd64/kdir/scripts")" = \
	"$build/kernels/1-amd64/usr/lib/linux-kbuild-1/scripts"

# Without its symbols it would be fetched again: with no source for the suite, that fails at once.
printf '0x00000000\tvmb_bus_version\tvmbus\tEXPORT_SYMBOL_GPL\t\n' >"$build/kernels/1-amd64/kdir/Module.symvers"
mkdir -p "$work/bin"
printf '#!/bin/sh\n' >"$work/bin/apt-get"
chmod +x "$work/bin/apt-get"
# shellcheck disable=SC2317 # claim calls it
fetches() {
	! PATH=$work/bin:$PATH BUILD=$build lab/kernel 6.1 2>"$work/said" && grep -q 'apt has no source' "$work/said"
}
expect "a kernel without its symbols is fetched again" fetches
the_end
