# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The verdicts on cells that use the network. See lab/lib/judge.sh, whose words these use; from
# lab/run also: net, mib, MAC. server.log, sink.pcapng and side-complaints come from net-side.
# shellcheck disable=SC2154

# word NUMBER TEXT
word() { awk -v n="$1" '{ print $n }' <<<"$2"; }

rate() { awk -v b="$1" 'BEGIN { printf "%.0f Mbit/s", b * 8 / 1e6 }'; }

# judge_way NAME down|up PATH: as many bytes as there should be, and one hash at both ends.
judge_way() {
	local guest server
	guest=$(value "$2.$1")
	server=$(awk -v way="$2" -v path="$3" '$1 == way && $2 == path' "$cell/server.log" 2>/dev/null | tail -n1)
	claim "$1: $((mib)) MiB $2, same hash at both ends ($(rate "$(word 2 "$guest")"))" \
		same "$(word 1 "$guest") $(word 3 "$guest")" "$((mib << 20)) $(word 4 "$server")"
}

judge_transfer() {
	local name=$1 state udp
	state=$(value "offloads.$name") udp=$(value "udp.$name")
	case $name in
	*-on-*) claim "$name: checksum and segmentation are the card's ($state)" \
		matches "$state" 'tx-checksumming:on.*tcp-segmentation-offload:on' ;;
	*) claim "$name: checksum and segmentation are the kernel's ($state)" \
		matches "$state" 'tx-checksumming:off.*tcp-segmentation-offload:off.*receive-offload:off' ;;
	esac
	claim "$name: the MTU is ${name##*-}" same "$(value "mtu.$name")" "${name##*-}"
	claim "$name: all datagrams came back as they were ($udp)" matches "$udp" '^([2-9][0-9]|1[0-9][0-9]) \1$'
	claim "$name: a small upload has the same hash at both ends" \
		same "$(word 1 "$(value "small.$name")")" "$(word 2 "$(value "small.$name")")"
	judge_way "$name" down "/data?$name"
	judge_way "$name" up "/up-$name"
}

field() { tr ' ' '\n' <<<"$2" | sed -n "s/^$1=//p"; }

# What arrived where nothing completes it; then the same frames with some bytes changed, to see
# that the check sees.
judge_wire() {
	local found broken
	found=$("$LAB/lib/wire-check" "$cell/sink.pcapng" "$MAC")
	claim "the guest's frames were looked at on the wire: $found" \
		test "$(field tcp "$found")" -ge 1000 -a "$(field udp "$found")" -ge 100
	claim "every checksum is right, and every length" same \
		"$(field bad "$found") $(field wrong_length "$found")" "0 0"
	claim "no frame is longer than the MTU" test "$(field longest "$found")" -le $((net_mtu + 18))
	[ "$net" = user ] || claim "some of them are tagged" test "$(field vlan "$found")" -ge 100
	editcap -r -E 0.001 -o 60 --seed 1 "$cell/sink.pcapng" "$cell/broken.pcapng" 1-2000 2>/dev/null
	broken=$("$LAB/lib/wire-check" "$cell/broken.pcapng" "$MAC")
	claim "control: with some bytes changed the check finds $(field bad "$broken") bad" \
		test "$(field bad "$broken")" -ge 1
	rm -f "$cell/broken.pcapng"
}

judge_card() {
	claim "the card is driven by $(value net_driver)" same "$(value net_driver)" "$(expected network)"
	claim "it has the address that it was given" same "$(value net_mac)" "$MAC"
	[ "$kind" != ours ] || claim "network protocol $(value nvsp_version), says the guest" \
		matches "$(value nvsp_version)" '^0x[0-9a-f]+$'
	[ "$host" != openvmbus ] || judge_host_card
}

# What the host's statistics say at the end: "network 0: BACKEND, NVSP VERSION, N of M queues, ...".
host_says() { sed -n "s/.*stats: network $1/\1/p" "$cell/host.log" | tail -n1; }

judge_host_card() {
	local version refused
	version=$(host_says '0: [a-z]*, NVSP \([^,]*\),.*')
	refused=$(host_says '0: [0-9]* packets, \(.* forged\);.*')
	claim "NVSP $version, says the host" matches "$version" '^[0-9]'
	claim "$(value net_queues) queue pairs" same "$(value net_queues)" "$cpus"
	claim "the host found nothing wrong in what the guest sent ($refused)" \
		same "$refused" "0 refused, 0 broken, 0 forged"
}

judge_side() {
	claim "no complaint in the kernel log of the machine around it" \
		test -e "$cell/side-complaints" -a ! -s "$cell/side-complaints"
}

judge_network() {
	local name net_mtu=9000 names=(v4-on-1500 v6-on-1500 v4-off-1500 v6-off-1500)
	if [ "$net" = user ]; then
		net_mtu=1500
	else
		names+=(v4-on-9000 v6-off-9000 vlan-v4-on-1500 vlan-v6-off-1500)
	fi
	judge_root
	judge_card
	claim "an address by DHCP: $(value net_lease)" matches "$(value net_lease)" '^10\.(77\.0|0\.2)\.[0-9]+/24 from 10\.'
	claim "an IPv6 address from the router: $(value net_address6)" matches "$(value net_address6)" '^(fd77|fec0)::?'
	for name in "${names[@]}"; do
		judge_transfer "$name"
	done
	judge_wire
	claim "no error counter of the card moved ($(value net_errors))" same "$(value net_errors)" 0
	judge_side
}
