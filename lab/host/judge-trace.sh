# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The verdict of lab/run's scenario trace: what tshark shows of the recording of this boot. From
# lab/run: cell (folder), ROOT; from lab/host/judge.sh: claim, judge_root.
# shellcheck disable=SC2154

# shark ARGUMENT...: tshark on the recording, with the dissector.
shark() {
	tshark -X "lua_script:$ROOT/packaging/wireshark/openvmbus.lua" -r "$cell/trace.pcapng" "$@" \
		2>>"$cell/tshark.log"
}

# line TEXT FILTER: the first record that the filter finds, as tshark's line shows it, has TEXT.
line() {
	local said
	said=$(shark -c 200000 -Y "$2" | sed -n '1s/^ *//p')
	claim "tshark shows: ${said:-nothing of $1}" matches "$said" "$1"
}

none() { [ -z "$(shark -Y "$1")" ]; }

judge_trace() {
	judge_root
	line 'INITIATE_CONTACT version [0-9.]+' 'openvmbus.message.type == 14'
	line 'VERSION_RESPONSE version [0-9.]+ accepted' \
		'openvmbus.message.type == 15 && openvmbus.message.supported == 1'
	line 'OFFER_CHANNEL [0-9]+: SCSI controller' \
		'openvmbus.message.type == 1 && openvmbus.service == "SCSI controller"'
	line 'OFFER_CHANNEL [0-9]+: network card' \
		'openvmbus.message.type == 1 && openvmbus.service == "network card"'
	line 'LUN 0: READ\(10\) block [0-9]+, [0-9]+ blocks' 'openvmbus.scsi.opcode == 0x28'
	line 'RNDIS .* INITIALIZE' 'openvmbus.rndis.type == 2'
	line 'RNDIS .* PACKET frame of [0-9]+ bytes' 'openvmbus.rndis.type == 1'
	line 'DHCP|PACKET' 'dhcp'
	claim "the guest has what the recorded frames carried ($(value down.trace))" \
		matches "$(value down.trace)" '^[0-9]+ '
	claim "no record was lost" none openvmbus.lost
	claim "each READ(10) but those under way at the end has its answer, in time" \
		none 'openvmbus.request_in && !(openvmbus.time >= 0)'
	claim "nothing is malformed" none '_ws.malformed || _ws.lua.error'
}
