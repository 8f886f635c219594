#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# lab/host/wire-check is what says that a guest's frames were right on the wire, so it must find each
# kind of wrong: frames made by hand, one fault at a time. Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v tshark >/dev/null || { echo "skip wire_check # tshark is missing; run: apt-get install tshark"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh

# capture FAULT FILE: five frames (TCP and UDP over IPv4, the same over IPv6, TCP over IPv4 in VLAN 100),
# the last TCP over IPv4 one with the fault.
capture() {
	/usr/bin/python3 -IS - "$1" "$2" <<-'END'
	import struct, sys

	fault, name = sys.argv[1], sys.argv[2]

	def checksum(data):
	    data += b"\0" * (len(data) % 2)
	    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
	    while total >> 16:
	        total = (total & 0xFFFF) + (total >> 16)
	    return ~total & 0xFFFF

	def upper(protocol, pseudo, payload):
	    if protocol == 6:
	        head, at = struct.pack("!HHIIBBHHH", 1000, 80, 1, 1, 0x50, 0x18, 512, 0, 0), 16
	    else:
	        head, at = struct.pack("!HHHH", 1000, 53, 8 + len(payload), 0), 6
	    whole = head + payload
	    value = checksum(pseudo(len(whole)) + whole) or 0xFFFF
	    return whole[:at] + struct.pack("!H", value) + whole[at + 2:]

	def four(protocol, payload):
	    source, to = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
	    body = upper(protocol, lambda n: source + to + struct.pack("!BBH", 0, protocol, n), payload)
	    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0) + source + to
	    return b"\x08\0", head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body

	def six(protocol, payload):
	    ends = bytes(15) + b"\1" + bytes(15) + b"\2"
	    body = upper(protocol, lambda n: ends + struct.pack("!IHBB", n, 0, 0, protocol), payload)
	    return b"\x86\xdd", struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + ends + body

	def ethernet(kind, packet, tag=b""):
	    return bytes.fromhex("020000000002020000000001") + tag + kind + packet

	text = bytes(range(101))
	frames = [ethernet(*make(protocol, text)) for make in (four, six) for protocol in (17, 6)]
	frames.append(ethernet(*four(6, text), tag=b"\x81\0\0\x64"))
	last = bytearray(ethernet(*four(6, text)))
	if fault == "payload":
	    last[80] ^= 1
	elif fault == "tcp":
	    last[50] ^= 1
	elif fault == "ip":
	    last[24] ^= 1
	elif fault == "tail":
	    last += b"tail"
	elif fault == "cut":
	    last = last[:-1]
	elif fault == "udp0":
	    last = bytearray(ethernet(*four(17, text)))
	    last[40:42] = b"\0\0"
	frames.append(bytes(last))
	with open(name, "wb") as file:
	    file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
	    for frame in frames:
	        file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
	END
}

# expect FAULT WORDS: how wire-check ends its line.
expect() {
	local said code=1
	capture "$1" "$work/$1.pcap"
	said=$(lab/host/wire-check "$work/$1.pcap" 02:00:00:00:00:01)
	[[ $said = *" $2" ]] && code=0
	printf 'want ... %s\ngot  %s\n' "$2" "$said" >"$work/said"
	result $code "$1" "$work/said"
}

expect nothing 'tcp=4 udp=2 icmp=0 vlan=1 longest=175 bad=0 wrong_length=0'
expect payload 'bad=1 wrong_length=0'
expect tcp 'bad=1 wrong_length=0'
expect ip 'bad=1 wrong_length=0'
expect tail 'bad=0 wrong_length=1'
expect cut 'wrong_length=1'
expect udp0 'bad=1 wrong_length=0'
the_end
