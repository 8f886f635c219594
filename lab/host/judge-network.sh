# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The verdicts on cells that use the network. See lab/host/judge.sh, whose words these use; from
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
	found=$("$LAB/host/wire-check" "$cell/sink.pcapng" "$MAC")
	claim "the guest's frames were looked at on the wire: $found" \
		test "$(field tcp "$found")" -ge 1000 -a "$(field udp "$found")" -ge 100
	claim "every checksum is right, and every length" same \
		"$(field bad "$found") $(field wrong_length "$found")" "0 0"
	claim "no frame is longer than the MTU" test "$(field longest "$found")" -le $((net_mtu + 18))
	[ "$net" = user ] || claim "some of them are tagged" test "$(field vlan "$found")" -ge 100
	editcap -r -E 0.001 -o 60 --seed 1 "$cell/sink.pcapng" "$cell/broken.pcapng" 1-2000 2>/dev/null
	broken=$("$LAB/host/wire-check" "$cell/broken.pcapng" "$MAC")
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

# host_says PATTERN [LOG]: what the host's statistics say at the end, like "network 0: BACKEND, NVSP
# VERSION, N of M queues, ...".
host_says() { sed -n "s/.*stats: network $1/\\1/p" "${2:-$cell/host.log}" | tail -n1; }

# How many versions of NVSP a guest asks for in vain, newest first, by Windows Server.
declare -A NEWER_NVSP=([2008]=5 [2008r2]=4 [2012]=3 [2012r2]=2 [2016]=1)

judge_host_card() {
	local version refused queues=$cpus
	[[ ! ${generation:-} =~ ^20(08|08r2|12)$ ]] || queues=1 # before NVSP 5
	version=$(host_says '0: [a-z]*, NVSP \([^,]*\),.*')
	refused=$(host_says '0: [0-9]* packets, \(.* forged\);.*')
	claim "NVSP $version, says the host" matches "$version" '^[0-9]'
	claim "$(value net_queues) queue pairs" same "$(value net_queues)" "$queues"
	claim "the host found nothing wrong in what the guest sent ($refused)" \
		same "$refused" "${NEWER_NVSP[${generation:-2025}]:-0} refused, 0 broken, 0 forged"
}

# Frames wait when the guest keeps the receive buffer: when acknowledgements are lost, half of them do.
judge_waits() {
	local frames waited
	frames=$(host_says '0: in \([0-9]*\) frames.*')
	waited=$(host_says '0: .* \([0-9]*\) frames waited.*')
	claim "of $frames frames $waited waited for the receive buffer, not more than one in 10" \
		test "$((${waited:-1} * 10))" -le "${frames:-0}"
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
	[ "$host" != openvmbus ] || judge_waits
	claim "an address by DHCP: $(value net_lease)" matches "$(value net_lease)" '^10\.(77\.0|0\.2)\.[0-9]+/24 from 10\.'
	claim "an IPv6 address from the router: $(value net_address6)" matches "$(value net_address6)" '^(fd77|fec0)::?'
	for name in "${names[@]}"; do
		judge_transfer "$name"
	done
	judge_wire
	claim "no error counter of the card moved ($(value net_errors))" same "$(value net_errors)" 0
	judge_side
}

judge_apt() {
	judge_root
	judge_card
	claim "an address by DHCP: $(value net_lease)" matches "$(value net_lease)" '^10\.0\.2\.[0-9]+/24 from 10\.'
	claim "apt-get update worked within $(value apt_seconds) s" same "$(value apt)" 0
	claim "no list is missing" test "$(grep -cE '^(Err|W|E):' "$evidence")" -eq 0
	claim "apt knows $(value packages) packages" test "$(value packages)" -gt 0
	judge_side
}

judge_churn() {
	local one ones=(down_up mtu queue_count unload_load)
	[ "$cpus" != 1 ] || ones=(down_up mtu unload_load)
	judge_root
	judge_card
	for one in "${ones[@]}"; do
		claim "$one: $(value "rounds.$one") rounds under traffic" same "$(value "rounds.$one")" "$rounds"
		claim "$one: transfers were going on both ways ($(value "done.$one"))" \
			matches "$(value "done.$one")" '^[0-9]+ down [0-9]+ up$'
		judge_churn_memory "$one"
	done
	claim "no error counter of the card moved ($(value net_errors))" same "$(value net_errors)" 0
	judge_side
}

# Pages from the first tenth of the rounds to the last. Traffic leaves its own traces: 128 pages are noise,
# and in many rounds less than one in each.
judge_churn_memory() {
	local counts first last most lost slab
	mapfile -t counts < <(sed -n "s/^memory=$1\.//p" "$evidence")
	[ ${#counts[@]} -ge 1 ] || counts=('0 0 0')
	read -ra first <<<"${counts[0]}"
	read -ra last <<<"${counts[-1]}"
	most=$(((last[0] - first[0]) / 2))
	[ $most -ge 128 ] || most=128
	lost=$((first[1] - last[1])) slab=$((last[2] - first[2]))
	claim "$1: no leak: free pages went down by $lost, slab pages up by $slab, in $((last[0] - first[0])) rounds" \
		test $lost -le $most -a $slab -le $most
}

judge_pair() {
	local name number numbers
	judge_bus
	judge_measured "$cell/evidence.2"
	claim "the first guest was told the end" same "$(value goodbye "$cell/evidence.1")" finished
	for number in 1 2; do
		evidence=$cell/evidence.$number
		[ $number = 1 ] || judge_every
		claim "guest $number: the card is driven by $(value net_driver)" \
			matches "$(value net_driver)" '^(netvsc|hv_netvsc|virtio_net)$'
		claim "guest $number: no error counter of the card moved ($(value net_errors))" \
			same "$(value net_errors)" 0
		[ "$host" != openvmbus ] || judge_pair_host "$cell/host.$number.log" $number
		echo "# guest $number: $(value link)"
	done
	[ "$host" != openvmbus ] || judge_switch
	[ "$kind" = virtio ] || claim "the two have different drivers" test \
		"$(value net_driver "$cell/evidence.1")" != "$(value net_driver "$cell/evidence.2")"
	judge_side
}

judge_measured() {
	local name numbers
	for name in tcp-out tcp-in udp-out udp-in; do
		read -ra numbers <<<"$(value "iperf.$name" "$1")"
		claim "$name: $(rate "$((${numbers[2]:-0} / 8))"), ${numbers[3]:-?} sent again, ${numbers[4]:-?} of ${numbers[5]:-?} datagrams lost" \
			test "${numbers[0]:-1}" = 0 -a "${numbers[2]:-0}" -gt 0
	done
}

judge_pair_host() {
	local said way
	said=$(host_says '0: [0-9]* packets, \(.* forged\);.*' "$1")
	claim "guest $2: its host found nothing wrong in what it sent ($said)" same "$said" "0 refused, 0 broken, 0 forged"
	for way in out in; do
		said=$(host_says "0: $way \\(.*\\)" "$1")
		claim "guest $2: its host dropped nothing, $way: $said" matches "$said" ' 0 dropped'
	done
}

# What one port gave to the switch the other one got.
judge_switch() {
	local ports
	mapfile -t ports < <(sed -n 's/.*stats: port [01]: \(.*\)/\1/p' "$cell/side.log")
	claim "the switch passed every frame (${ports[0]:-}; ${ports[1]:-})" test \
		"$(grep -c ' 0 dropped' <<<"${ports[0]:-}")$(grep -c ' 0 dropped' <<<"${ports[1]:-}")" = 11
}

# numbers NAME COLUMN KIND: of each boot with that driver.
numbers() {
	local file
	for file in "$cell"/evidence.*; do
		[ "$(value net_driver "$file")" != "$3" ] || word "$2" "$(value "bench.$1" "$file")"
	done
}

# "MEDIAN (LEAST to MOST)" of the numbers on stdin.
median() {
	sort -g | awk '{ n[NR] = $1 } END { printf "%.4g %.4g %.4g\n", NR % 2 ? n[(NR + 1) / 2] : (n[NR / 2] + n[NR / 2 + 1]) / 2, n[1], n[NR] }'
}

# bench_line NAME UNIT DIVISOR: bits per second.
bench_line() {
	local driver
	for driver in netvsc hv_netvsc virtio_net; do
		numbers "$1" 4 $driver | awk -v d="$3" '{ print $1 / d }' | median
	done | compared "$1" "$2"
}

# compared NAME UNIT: a line of what ours, the kernel's own and virtio had, from three medians.
compared() {
	local ours theirs virtio
	read -r ours && read -r theirs && read -r virtio
	printf '# %-12s %-10s ours %s, in-tree %s, ratio %s, virtio %s, ratio %s\n' "$1" "$2" "$(spread "$ours")" \
		"$(spread "$theirs")" "$(ratio "$ours" "$theirs")" "$(spread "$virtio")" "$(ratio "$ours" "$virtio")"
}

# ratio MEDIAN MEDIAN
ratio() { awk -v a="${1%% *}" -v b="${2%% *}" 'BEGIN { printf b ? "%.2f" : "-", b ? a / b : 0 }'; }

spread() { awk '{ printf "%s (%s to %s)", $1, $2, $3 }' <<<"$1"; }

# Column 4 of "bench.NAME" is bits per second, 3 bytes, 2 hundredths of a busy second, 7 datagrams.
judge_netbench() {
	local name
	claim "every measurement ended well" test "$(cat "$cell"/evidence.* | grep -cE '^bench\.[^ ]*=0 [0-9]+ [0-9]+ [1-9]')" \
		-eq $((18 * rounds))
	for name in tcp-out tcp-in tcp-in-nolro udp1400-out; do
		bench_line $name 'Mbit/s' 1000000
	done
	for name in udp64-out udp64-in; do
		bench_line $name 'packets/s' 512
	done
	for name in tcp-out tcp-in tcp-in-nolro udp64-out udp64-in; do
		bench_cost $name
	done
	judge_side
}

# Guest CPU time for a mebibyte: less of the host's noise is in it than in a rate.
bench_cost() {
	local driver
	for driver in netvsc hv_netvsc virtio_net; do
		cost "$1" $driver | median
	done | compared "$1" 'ms/MiB'
}

cost() {
	local ours theirs
	ours=$(cost "$1" netvsc | median)
	theirs=$(cost "$1" hv_netvsc | median)
	printf '# %-12s %-10s ours %s, in-tree %s, ratio %s\n' "$1" 'ms/MiB' "$(spread "$ours")" "$(spread "$theirs")" \
		"$(awk -v a="${ours%% *}" -v b="${theirs%% *}" 'BEGIN { printf b ? "%.2f" : "-", b ? a / b : 0 }')"
}

cost() {
	paste <(numbers "$1" 2 "$2") <(numbers "$1" 3 "$2") | awk '$2 > 0 { print $1 * 10 / ($2 / 1048576) }'
}

# What netcount counts, in the order of its marks; its unit is a datagram, or 1024 bytes of TCP. Then the hundredths of
# hv_netvsc's instructions that netvsc may have, 2 of them noise: docs/performance.md says why TCP to the host has more.
COUNTED=(udp-in udp-out tcp-in tcp-out)
COUNTED_MAX=(102 102 80 108)

# count_row FILE: driver; for each of COUNTED the kernel's instructions and the entries into the guest, a unit; of
# one boot.
count_row() {
	awk -F '[= ]' -v ways="${COUNTED[*]}" '
		$1 == "net_driver" { printf "%s", $2 }
		$1 ~ /^count\./ { units[$1] = $7 ? $7 - $6 : $3 / 1024 }
		$1 == "mark" { kernel[++n] = $6; entries[n] = $8 }
		# Marks come in pairs, few and many of each way.
		function pair(v, i) { return v[2 * i] - v[2 * i - 1] }
		function cost(v, i) { return (pair(v, 2 * i) - pair(v, 2 * i - 1)) / (units[many] - units[few]) }
		END {
			count = split(ways, way, " ")
			for (i = 1; i <= count; i++) {
				few = "count." way[i] ".few"
				many = "count." way[i] ".many"
				printf " %.0f %.3f", cost(kernel, i), cost(entries, i)
			}
			print ""
		}' "$1"
}

judge_netcount() {
	local i
	bench_rows count_row 16
	for i in "${!COUNTED[@]}"; do
		judge_counted "${COUNTED[i]}" $((2 + 2 * i)) "${COUNTED_MAX[i]}"
	done
	judge_side
}

# judge_counted WAY FIELD HUNDREDTHS
judge_counted() {
	local ours theirs
	ours=$(bench_cell netvsc "$2") theirs=$(bench_cell hv_netvsc "$2")
	echo "# $1: kernel instructions a $([[ $1 = udp* ]] && echo datagram || echo KiB): netvsc $ours, hv_netvsc $theirs"
	echo "# $1: entries into the guest: netvsc $(bench_cell netvsc $(($2 + 1))), hv_netvsc $(bench_cell hv_netvsc $(($2 + 1)))"
	claim "netvsc needs at most $3% of hv_netvsc's instructions ($1)" \
		test "${ours%% *}" -le $((${theirs%% *} * $3 / 100))
}

judge_hibernate() {
	claim "the bus says that it can: $(value hibernation)" matches "$(value hibernation)" '^[01]$'
	claim "slept $rounds times and went on" same "$(grep -c '^slept\.' "$evidence") $(grep -c '^sleep_failed' "$evidence")" "$rounds 0"
	claim "the machine was reset as often" same "$(sed -n 's/.*stats: \([0-9]*\) resets.*/\1/p' "$cell/host.log")" "$rounds"
	claim "what was written before each sleep was read after it" same "$(grep -c '^lost=' "$evidence")" 0
	claim "a transfer over TCP was under way in each of them" same \
		"$(sed -n 's/^received\.[0-9]*=//p' "$evidence" | awk -v all=$((mib << 20)) '$1 > 0 && $1 < all' | wc -l)" "$rounds"
	claim "it went on over all of them: $(value slow), $(sed -n 's/^received\.[0-9]*=//p' "$evidence" | tr '\n' ' ')" \
		same "$(value slow)" "0 $((mib << 20)) 1"
	claim "with the bytes that the server sent" same "$(value slow_hash)" \
		"$(awk '$1 == "down" && $2 ~ /slow/ { print $4 }' "$cell/server.log")"
	claim "channels interrupt the same CPUs: $(value channels)" same "$(value channels_after)" "$(value channels)"
}
