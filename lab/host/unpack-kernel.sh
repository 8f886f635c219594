# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The ELF inside of a bzImage. A loader that takes it saves the guest from decompressing it, seconds
# on an emulated CPU.

# number FILE OFFSET LENGTH: a little-endian number in a file.
number() {
	od -An -v -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '
}

# unpack_vmlinux BZIMAGE TO: the boot protocol's setup header says where the payload is; behind it
# stands its unpacked size.
unpack_vmlinux() {
	local image=$1 start length tool
	start=$((($(number "$image" 497 1) + 1) * 512 + $(number "$image" 584 4)))
	length=$(number "$image" 588 4)
	case $(number "$image" "$start" 4) in
	1484404733) tool=xz ;;
	4247762216) tool=zstd ;;
	407642370) tool=lz4 ;;
	*) tool=gzip ;;
	esac
	dd if="$image" iflag=skip_bytes,count_bytes skip="$start" count=$((length - 4)) \
		bs=1M status=none | "$tool" -dc >"$2"
}
