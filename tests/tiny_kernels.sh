# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Guests of a few instructions, for tests of how a machine begins and ends. Sourced; the files are made in $work.

# kernel NAME CODE: an ELF file whose PVH note leads to CODE (printf escapes) at 2 MiB.
kernel() {
	local file=$work/$1
	truncate -s 8K "$file"
	put "$file" 0 '\x7fELF\x02\x01\x01'
	put "$file" 16 '\x02\x00\x3e\x00\x01\x00\x00\x00' # type, machine
	put "$file" 32 '\x40' # program headers at 64
	put "$file" 52 '\x40\x00\x38\x00\x02\x00' # sizes, two of them
	put "$file" 64 '\x01\x00\x00\x00\x07\x00\x00\x00\x00\x10' # load from 4096
	put "$file" 82 '\x20\x00\x00\x00\x00\x00\x00\x00\x20' # to 2 MiB
	put "$file" 97 '\x01\x00\x00\x00\x00\x00\x00\x00\x01' # 256 bytes
	put "$file" 120 '\x04\x00\x00\x00\x04\x00\x00\x00\x00\x04' # notes at 1024
	put "$file" 152 '\x14\x00\x00\x00\x00\x00\x00\x00\x14' # 20 bytes
	put "$file" 168 '\x04' # aligned to 4
	put "$file" 1024 '\x04\x00\x00\x00\x04\x00\x00\x00\x12\x00\x00\x00Xen\x00\x00\x00\x20\x00'
	put "$file" 4096 "$2"
}

# put FILE OFFSET BYTES
put() {
	# shellcheck disable=SC2059
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# What they are made of.
# shellcheck disable=SC2034
{
	x='\x66\xba\xf8\x03\xb0x\xee' # an x on the serial port
	halt='\xf4\xeb\xfd'           # for ever
	msr='\x0f\x30'                # write a register of the processor
	off='\x66\xba\x00\x06\xb0\x34\xee'
	nowhere='\xb8\x00\x00\x00\xe0\xff\xe0' # goes on where there is no memory
	fault='\x0f\x0b'
	key='\x66\xba\xfd\x03\xec\xa8\x01\x74\xf7' # waits for one on the serial port
	reset='\x66\xba\x02\x06\xb0\x01\xee'
	crash="\xb9\x00\x01\x00\x40\xb8\x34\x12\x00\x00\x31\xd2$msr\xb9\x05\x01\x00\x40\x31\xc0\xba\x00\x00\x00\x80$msr"
	# 4096 bytes of memory on the serial port; and so on for ever
	page='\x66\xba\xf8\x03\xbe\x00\x00\x20\x00\xb9\x00\x10\x00\x00\xf3\x6e'
	flood="$page\xeb\xee"
}
