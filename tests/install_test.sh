#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What `make install` puts into place is enough to build on: every installed header compiles alone,
# the core's freestanding, and a program links with the installed library.
# shellcheck disable=SC2317 # expect calls the functions
set -euo pipefail
cd "$(dirname "$0")/.."
CC=${CC:-gcc}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
include=$scratch/usr/include/openvmbus
. tests/expect.sh

headers_alone() {
	local header
	cd "$include"
	for header in {base,wire,ring,guest,host}/*.h; do
		echo "#include \"$header\"" | "$CC" -std=c11 -Wall -Wextra -Werror -ffreestanding \
			-nostdinc -isystem "$("$CC" -print-file-name=include)" -I. -xc -c -o /dev/null - ||
			{ echo "$header"; return 1; }
	done
}

# Those of the devices and of ports/user are for a system, but stand alone too.
system_headers_alone() {
	local header
	cd "$include"
	for header in devices/*.h devices/*/*.h ports/user/*.h; do
		echo "#include \"$header\"" | "$CC" -std=c11 -Wall -Wextra -Werror -D_GNU_SOURCE -I. -xc -fsyntax-only - ||
			{ echo "$header"; return 1; }
	done
}

program_links() {
	printf '%s\n' '#include "ring/ring.h"' \
		'int main(void) { return vmb_ring_packet_len(0, 16) != 40; }' >"$scratch/a.c"
	"$CC" -I"$include" "$scratch/a.c" -L"$scratch/usr/lib" -lvmbus-core -o "$scratch/a"
	"$scratch/a"
}

installed_version() {
	"$scratch/usr/bin/openvmbus" --version | grep -E '^openvmbus [0-9]+\.[0-9]+'
}

# The program and what starts its nest find each other, and the nest that was installed with them, if there was one.
installed_parts_fit() {
	local lib=$scratch/usr/lib/openvmbus/nest said code=0
	if [ ! -e build/nest/initrd ]; then
		mkdir -p "$lib"
		touch "$lib/vmlinux" "$lib/initrd"
	fi
	mkdir "$scratch/bin"
	printf '#!/bin/sh\necho "$@" >&2\n' >"$scratch/bin/qemu-system-x86_64"
	chmod +x "$scratch/bin/qemu-system-x86_64"
	said=$(PATH=$scratch/bin:$PATH TMPDIR=$scratch "$scratch/usr/libexec/openvmbus/openvmbus-nest" true 2>&1) || code=$?
	[ "$code" = 1 ] && grep -qF "/lib/openvmbus/nest/initrd" <<<"$said"
}

# The program that tries images comes with all its parts.
installed_image_runs() {
	"$scratch/usr/bin/openvmbus" image --help | grep -q '^usage: openvmbus image' &&
		[ ! -e "$scratch/usr/libexec/openvmbus/openvmbus_image/__pycache__" ]
}

expect make_install make -s install DESTDIR="$scratch" PREFIX=/usr
expect installed_headers_stand_alone headers_alone
expect installed_headers_of_devices_stand_alone system_headers_alone
expect program_links_with_installed_library program_links
expect installed_program_knows_its_version installed_version
expect installed_program_tries_images installed_image_runs
expect installed_parts_of_a_nest_fit installed_parts_fit
exit $failed
