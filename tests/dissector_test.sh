#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# packaging/wireshark/openvmbus.lua, by tshark, on a recording of the sessions in
# tests/trace_session.c: what it shows is what they did. Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/.."
recorder=build/tests/devices_trace_test
[ -x $recorder ] || { echo "skip dissector # $recorder is missing"; exit 0; }
command -v tshark >/dev/null || { echo "skip dissector # tshark is missing"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
$recorder --record "$work/session.pcapng"
# shellcheck source=tests/tap.sh
. tests/tap.sh

shark() {
	tshark -X lua_script:packaging/wireshark/openvmbus.lua "$@" 2>"$work/err"
}

# expect NAME EXPECTED FILTER FIELD...: these fields of the records that the filter finds.
expect() {
	local name=$1 expected=$2 filter=$3 said field fields=()
	shift 3
	for field; do
		fields+=(-e "$field")
	done
	said=$(shark -2 -r "$work/session.pcapng" -Y "$filter" -T fields "${fields[@]}" -E separator=' ')
	judge "$name" "$expected" "$said"
}

judge() {
	local code=0
	diff <(echo "$2") <(echo "$3") >"$work/differs" || code=1
	result $code "$1" "$work/differs" "$work/err"
}

expect versions_are_negotiated \
	'0x00060000 14 
 15 1
0x00060000 14 
 15 1' \
	'openvmbus.message.type == 14 || openvmbus.message.type == 15' \
	openvmbus.message.version openvmbus.message.type openvmbus.message.supported
expect offers_have_class_and_service \
	'ba6163d9-04a1-4d29-b605-72e2ffb1dc7f SCSI controller 0
f8615163-df3e-46c5-913f-f2d2f965ed0e network card 0
f8615163-df3e-46c5-913f-f2d2f965ed0e network card 1' \
	'openvmbus.message.type == 1' openvmbus.offer.type openvmbus.service openvmbus.sub_channel
expect gpadls_have_ranges '0x00000001 1 131072' 'openvmbus.message.type == 8 && frame.number < 10' \
	openvmbus.gpadl.id openvmbus.gpadl.range_count openvmbus.gpadl.byte_count
expect storage_handshake_is_shown \
	'7 
9 0x0602
10 
8 ' \
	'openvmbus.storage.operation > 3 && openvmbus.direction == 0' \
	openvmbus.storage.operation openvmbus.storage.version
expect commands_are_named_with_block_and_length \
	'0x2a 100 16 8192 0
0x28 100 16 8192 1
0x28 32768 1 512 1' \
	openvmbus.scsi.opcode \
	openvmbus.scsi.opcode openvmbus.scsi.lba openvmbus.scsi.blocks openvmbus.scsi.data_len \
	openvmbus.scsi.data_direction
expect completions_have_status_and_sense \
	'0x01 0x00  
0x01 0x00  
0x06 0x02 0x05 0x2100' \
	openvmbus.scsi.srb_status \
	openvmbus.scsi.srb_status openvmbus.scsi.status openvmbus.scsi.sense_key openvmbus.scsi.asc
expect memory_belongs_to_its_packet \
	'0 0 0
1 0 0' \
	'openvmbus.data.place && openvmbus.service == "SCSI controller"' \
	openvmbus.direction openvmbus.data.place openvmbus.data.offset
expect network_handshake_is_shown \
	'1 0x00060001  
2  1 
125   1514
100   
101   
102  1 
104   
105  1 ' \
	'openvmbus.nvsp.type && openvmbus.nvsp.type != 107 && openvmbus.nvsp.type < 126 && frame.number < 108' \
	openvmbus.nvsp.type openvmbus.nvsp.version openvmbus.nvsp.status openvmbus.nvsp.mtu
expect first_rndis_messages_are_named \
	'0x00000002 
0x80000002 
0x00000004 0x00010106
0x80000004 ' \
	'openvmbus.rndis.type && frame.number < 122' openvmbus.rndis.type openvmbus.rndis.oid
expect frames_are_dissected_in_their_envelopes \
	'120 10.0.0.2 17
200  ' \
	'openvmbus.rndis.type == 1' openvmbus.rndis.data_len ip.src ip.proto

# Each request has its answer, and each answer its request, in time.
unanswered=$(shark -2 -r "$work/session.pcapng" -T fields -e frame.number \
	-Y '(openvmbus.packet.completion_requested == 1 && !openvmbus.response_in) ||
		(openvmbus.packet.type == 11 && !openvmbus.request_in) ||
		(openvmbus.rndis.type >= 0x80000000 && !openvmbus.request_in) ||
		(openvmbus.message.type in {6, 10, 12, 15, 17} && !openvmbus.request_in) ||
		(openvmbus.request_in && !(openvmbus.time >= 0 && openvmbus.time < 10))')
judge requests_and_answers_are_matched '' "$unanswered"
judge answers_have_times 1 \
	"$(shark -r "$work/session.pcapng" -c 3 -T fields -e openvmbus.time | grep -c '^0\.0')"

# No record is malformed, whole or cut at any place, in one pass or two.
malformed() {
	shark -V -r "$1" "${@:2}" | grep -ciE 'malformed|lua error' || true
	sed -n '/Lua/p' "$work/err"
}
judge nothing_is_malformed 0 "$(malformed "$work/session.pcapng")"
judge nothing_is_malformed_in_two_passes 0 "$(malformed "$work/session.pcapng" -2)"
for len in 17 24 31 40 52 64 90 120; do
	editcap -s $len "$work/session.pcapng" "$work/cut.pcapng"
	judge "nothing_is_malformed_when_cut_at_$len" 0 "$(malformed "$work/cut.pcapng")"
done

the_end
