# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The verdicts on cells with IDE disks; see lab/host/judge.sh.
# shellcheck disable=SC2154

judge_block() {
	claim "two disks under blkvsc, the first is hvda" same "$(value disk) $(value driver)" 'hvda blkvsc'
	claim "hvda: $((DATA_LEN / 512)) sectors, model $(value hvda.model), serial $(value hvda.serial), $(value hvda.wwid)" \
		matches "$(value hvda.size) $(value hvda.model) $(value hvda.serial) $(value hvda.wwid)" \
		"^$((DATA_LEN / 512)) Virtual Disk [[:graph:]]+ naa\.[0-9a-f]{32}$"
	claim "lsblk: $(value hvda.lsblk)" matches "$(value hvda.lsblk)" '^hvda [^ ]+ 0 0 disk Virtual Disk$'
	claim "no scheduler, $(value hvda.write_cache), FUA, does not rotate" \
		matches "$(value hvda.scheduler),$(value hvda.write_cache),$(value hvda.fua),$(value hvda.rotational)" \
		'^\[none\].*,write back,1,0$'
	claim "geometry: $(value hvda.geometry)" matches "$(value hvda.geometry)" '255 heads, 63 sectors'
	claim "two partitions, the first of 65536 sectors" same "$(value partitions) $(value partition)" '2 65536'
	claim "hvdc: $(value discards) requests discarded all of it" matches "$(value discard) $(value discards)" '^0 [1-9]'
	claim "zeroes, and discard where there is one, read as they should" same "$(value zeroes) $(value punched)" '0 0'
	claim "hvdb: ro $(value hvdb.ro), writing is refused, reading works" \
		same "$(value hvdb.ro) $(value hvdb.readonly) $(value refused) $(value read)" '1 1 1 0'
	claim "the driver left a busy disk, and fio ended (exit code $(value fio_unbound))" \
		matches "$(value gone) $(value fio_unbound)" '^yes [1-9]'
	claim "and came back as $(value back)" same "$(value back)" hvda
	claim "fio wrote and verified 32 MiB" same "$(value fio)" 0
	claim "the host's file has the bytes that the guest read" same "$(value hash)" \
		"$(host_hash disk "$cell/data.raw")"
	claim "both modules were unloaded" same "$(value unloaded)" 0
}

# overdue DISK LIMIT WHAT FILE BLOCK: its silent block, and what another process did with the same disk.
judge_overdue() {
	claim "$1: $3: the read ended well after $(value "overdue_seconds.$1") s" same "$(value "overdue.$1")" 0
	claim "$1: not before its time-out of 3 s, and within $2 s" test "$(value "overdue_seconds.$1")" -ge 2 -a \
		"$(value "overdue_seconds.$1")" -le "$2"
	claim "$1: it has what the host's file has there" same "$(value "overdue_hash.$1")" \
		"$(dd if="$4" bs=512 skip="$5" count=1 2>/dev/null | sha256sum | cut -d' ' -f1)"
	claim "$1: another process wrote and verified 8 MiB meanwhile, and again afterwards" \
		same "$(value "verified.$1") $(value "verified.$1.after")" '0 0'
}

# Of pages fewer than the requests that were under way when hvdb went: 32 of 64 KiB are 512.
judge_blockfaults() {
	local first last seen flushed
	claim "timeout=0 is the default, 180 s" same "$(value timeout_zero)" 180000
	claim "timeout=3 is 3 s" same "$(value timeout)" 3000
	claim "three disks under blkvsc" same "$(value disks)" 'hvda blkvsc blkvsc blkvsc'
	judge_overdue hvda 20 'held until a reset' "$cell/data.raw" 400000
	judge_overdue hvdc 40 'never answered' "$cell/stuck.raw" 100000
	claim "the log says it: two resets, one new channel, both answer again" \
		same "$(sed -n 's/^said=//p' "$evidence" | tr '\n' ' ')" '2 1 2 '
	claim "hvda grew without being loaded again: $(value grown)" same "$(value grown)" \
		"$((DATA_LEN / 512)) $(((DATA_LEN + GROWTH) / 512))"
	claim "the kernel said so: $(value uevent)" same "$(value uevent)" 'change hvda 1'
	claim "its new last block was written and read" same "$(value last_written) $(value last_read)" '0 0'
	claim "the host's file ends with it" same "$(value last_hash)" "$(tail -c 512 "$cell/data.raw" | sha256sum | cut -d' ' -f1)"
	claim "hvdb went away under fio, which ended (exit code $(value gone_fio), after $(value gone_seconds) s)" \
		matches "$(value gone) $(value gone_dd) $(value gone_fio)" '^yes [1-9][0-9]* [1-9]'
	claim "and is not there when the drivers are loaded again" same "$(value still_gone)" yes
	claim "hvda works as before" same "$(value verified.hvda.last)" 0
	seen=$(sed -n 's/^flushes=//p' "$evidence" | awk '{ n += $1 } END { print n + 0 }')
	flushed=$(sed -n 's/.* ide0:0: .* \([0-9]*\) flushes.*/\1/p' "$cell/host.log")
	claim "the driver flushed hvda at both unloads and at the shutdown: $flushed flushes, the block layer made $seen" \
		same "$flushed" $((seen + 3))
	claim "both modules were unloaded, twice" same "$(value first_unload) $(value unloaded)" '0 0'
	read -ra first <<<"$(sed -n 's/^memory=1 //p' "$evidence")"
	read -ra last <<<"$(sed -n 's/^memory=2 //p' "$evidence")"
	claim "no leak: free pages went down by $((first[0] - last[0])), slab pages up by $((last[1] - first[1]))" \
		test $((first[0] - last[0])) -le 128 -a $((last[1] - first[1])) -le 64
}

# bench_row FILE: driver; for depth 1, then 32: the kernel's instructions a read, the same without those of the
# ticks, and entries into the guest a read; at last instructions a tick; of one boot.
bench_row() {
	awk -F '[= ]' '
		$1 == "driver" { printf "%s", $2 }
		$1 == "reads" { reads = $3 - $2 }
		/^ticks/ { ticks[$1] = $2 }
		$1 == "mark" { kernel[++n] = $6; entries[n] = $8 }
		# Marks come in pairs: spin 2, spin 8, then few and many of each depth.
		function pair(v, i) { return v[2 * i] - v[2 * i - 1] }
		function grown(v, i) { return pair(v, i + 1) - pair(v, i) }
		END {
			tick = grown(kernel, 1) / (ticks["ticks.spin.8"] - ticks["ticks.spin.2"])
			for (i = 3; i <= 5; i += 2) {
				depth = i == 3 ? 1 : 32
				all = grown(kernel, i)
				late = ticks["ticks.many." depth] - ticks["ticks.few." depth]
				printf " %.0f %.0f %.2f", all / reads, (all - late * tick) / reads, grown(entries, i) / reads
			}
			printf " %.0f\n", tick
		}' "$1"
}

# bench_rows FUNCTION MARKS: what it says of each boot; each made that many marks.
bench_rows() {
	local file
	for file in "$cell"/evidence.*; do
		"$1" "$file"
	done >"$cell/rows"
	claim "every boot made its $2 marks" same "$(grep -c '^mark' "$cell"/evidence.* | sed 's/.*://' | sort -u)" "$2"
}

# bench_cell DRIVER FIELD: "median (least..most)" over the boots.
bench_cell() {
	awk -v driver="$1" -v field="$2" '$1 == driver { print $field }' "$cell/rows" | sort -n |
		awk '{ v[NR] = $1 } END { printf "%s (%s..%s)", v[int((NR + 1) / 2)], v[1], v[NR] }'
}

judge_blockbench() {
	local driver field
	bench_rows bench_row 12
	for driver in blkvsc storvsc hv_storvsc; do
		echo "# $driver, one read at a time: $(bench_cell $driver 2) kernel instructions a read," \
			"without ticks $(bench_cell $driver 3), entries $(bench_cell $driver 4)"
		echo "# $driver, 32 at a time: $(bench_cell $driver 5) kernel instructions a read," \
			"without ticks $(bench_cell $driver 6), entries $(bench_cell $driver 7)"
	done
	for field in 3 6; do
		claim "blkvsc needs at least 20% fewer than hv_storvsc ($([ $field = 3 ] && echo 1 || echo 32) at a time)" \
			test "$(bench_cell blkvsc $field | sed 's/ .*//')" -le \
			$(($(bench_cell hv_storvsc $field | sed 's/ .*//') * 8 / 10))
	done
}

# depth_line DEPTH: thousands of reads a second, of each driver, and what they are to virtio's.
depth_line() {
	local driver line virtio
	virtio=$(depth_rates virtio_blk "$1")
	line=
	for driver in $(expected_disks) virtio_blk; do
		line+=" $driver $(spread "$(depth_rates "$driver" "$1")")"
		line+=$(awk -v a="$(depth_rates "$driver" "$1")" -v b="$virtio" \
			'BEGIN { split(a, x, " "); split(b, y, " "); if (y[1]) printf " ratio %.2f;", x[1] / y[1] }')
	done
	echo "# $1 under way, thousands of reads/s:${line%;}"
}

expected_disks() { sed -n 's/^data_driver=//p' "$cell"/evidence.* | grep -v virtio | sort -u; }

depth_rates() {
	local file
	for file in "$cell"/evidence.*; do
		[[ $(value data_driver "$file") != "${1%_blk}"* ]] || word 2 "$(value "bench.$2" "$file")"
	done | awk '{ print $1 / 1000 }' | median
}

judge_diskbench() {
	local depth
	claim "every measurement ended well" test "$(cat "$cell"/evidence.* | grep -cE '^bench\.[0-9]+=0 [1-9]')" \
		-eq $((9 * rounds))
	for depth in 1 4 32; do
		depth_line $depth
	done
	echo "# openvmbus, boot by boot: $(sed -n 's/.*stats: storage: \([0-9]*\) requests.*flushes; \(.*\)/\1 requests, \2;/p' \
		"$cell/host.log" | xargs)"
}

# queue_row FILE: queues; driver; hardware queues; CPUs that channels interrupt; without the ticks' the kernel's
# instructions a read; entries into the guest a read; interrupts of each CPU for 100 reads; of one boot.
queue_row() {
	awk -F '[= ]' '
		$1 == "queues" { queues = $2 }
		$1 == "driver" { driver = $2 }
		$1 == "hardware_queues" { hardware = $2 }
		$1 == "channels" { for (i = 2; i <= NF; i++) if ($i != "") cpus = cpus (cpus == "" ? "" : ",") $i }
		$1 == "reads" { reads = $3 - $2; many = $3 }
		/^ticks/ { ticks[$1] = $2 }
		$1 == "before" { for (i = 2; i <= NF; i++) before[i] = $i }
		$1 == "after" { for (i = 2; i <= NF && $i != ""; i++) seen = seen sprintf("%s%.1f", seen == "" ? "" : ",", ($i - before[i]) * 100 / many) }
		$1 == "mark" { kernel[++n] = $6; entries[n] = $8 }
		function pair(v, i) { return v[2 * i] - v[2 * i - 1] }
		END {
			tick = (pair(kernel, 2) - pair(kernel, 1)) / (ticks["ticks.spin.8"] - ticks["ticks.spin.2"])
			late = ticks["ticks.many"] - ticks["ticks.few"]
			printf "%s %s %s %s %.0f %.2f %s\n", queues, driver, hardware, cpus,
				(pair(kernel, 4) - pair(kernel, 3) - late * tick) / reads,
				(pair(entries, 4) - pair(entries, 3)) / reads, seen
		}' "$1"
}

# What the host's file of statistics says of each boot is behind it, in order.
judge_queuebench() {
	local queues driver hardware cpus instructions entries interrupts
	bench_rows queue_row 8
	while read -r queues driver hardware cpus instructions entries interrupts; do
		echo "# $queues channels, $driver: $hardware hardware queues; channels on CPUs $cpus; $instructions kernel" \
			"instructions a read; $entries entries; interrupts of each CPU for 100 reads: $interrupts"
		claim "$driver opened $queues channels, on as many CPUs" same \
			"$(tr ',' '\n' <<<"$cpus" | sort -u | wc -l)" "$queues"
	done <"$cell/rows"
	claim "ours has as many hardware queues as channels" same \
		"$(awk '$2 == "storvsc" && $1 != $3' "$cell/rows" | wc -l)" 0
}
