# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The verdicts of lab/run. Each judge_SCENARIO looks at what the guest printed between its markers
# ($evidence, NAME=VALUE lines) and at the host's files; it prints ok or not ok for each claim.
# From lab/run: expected_rc, more_disks, more_cards, cell (folder), release, kind, host, cpus, rounds, root, generation, FORMATS, token and
# evidence (last boot's).
# shellcheck disable=SC2154

failures=0

# claim TEXT COMMAND...: holds when the command succeeds.
claim() {
	local text=$1
	shift
	if "$@"; then
		echo "ok $text"
	else
		echo "not ok $text"
		failures=$((failures + 1))
	fi
}

# value NAME [FILE]: of the last line NAME=VALUE.
value() {
	sed -n "s/^$1=//p" "${2:-$evidence}" | tail -n1
}

same() { [ -n "$1" ] && [ "$1" = "$2" ]; }
matches() { [[ $1 =~ $2 ]]; }

# expected DRIVER-ROLE: the name of the storage or network driver that this kind must be using.
expected() {
	case $kind-$1 in
	ours-storage) [ "$root" = ide ] && echo blkvsc || echo storvsc ;;
	intree-storage) echo hv_storvsc ;;
	virtio-storage) echo virtio_scsi ;;
	ours-network) echo netvsc ;;
	intree-network) echo hv_netvsc ;;
	virtio-network) echo virtio_net ;;
	esac
}

# host_hash disk FILE | inside FILE: of the bytes in the host's file, not of the guest's view.
host_hash() {
	case $1 in
	disk) head -c 64M "$2" | sha256sum | cut -d' ' -f1 ;;
	inside) debugfs -R 'cat /verify.bin' "$2" 2>/dev/null | sha256sum | cut -d' ' -f1 ;;
	esac
}

judge_every() {
	claim "the scenario ended well (rc=$(value scenario_rc))" same "$(value scenario_rc)" 0
	claim "the virtual machine ended well (exit code $(value host_rc))" same "$(value host_rc)" "$expected_rc"
	claim "no complaint in the kernel log ($(value complaints))" same "$(value complaints)" 0
}

judge_bus() {
	[ "$kind" = virtio ] && return
	claim "VMBus version $(value bus_version) negotiated" matches "$(value bus_version)" '^[0-9]+\.[0-9]+$'
}

# The root disk came through the drivers under test, and can be written to.
judge_root() {
	judge_bus
	[ "$kind" != ours ] || claim "storage protocol $(value storage_version) negotiated" \
		matches "$(value storage_version)" '^[0-9]+\.[0-9]+$'
	claim "kernel $(value kernel)" same "$(value kernel)" "$release"
	claim "$(value cpus) CPUs" same "$(value cpus)" "$cpus"
	claim "root is $(value root_device) through $(value root_driver)" \
		same "$(value root_driver)" "$(expected storage)"
	claim "root is mounted read-write" matches "$(value root_options)" '^rw'
}

judge_boot() {
	judge_root
	claim "the host's file has the token that the guest wrote" \
		same "$(debugfs -R 'cat /token' "$cell/root.ext4" 2>/dev/null)" "$token"
	[ "$more_disks$more_cards" = 00 ] || claim "$(value disks) disks and $(value cards) cards" \
		same "$(value disks),$(value cards)" "$((more_disks + 2)),$more_cards"
	echo "# $(value seconds_to_init) s to init, root read at $(value read_rate), modules: $(value modules)"
}

judge_verify() {
	local first=$cell/evidence.1
	judge_root
	claim "the data disk is on $(value data_driver)" same "$(value data_driver)" "$(expected storage)"
	claim "fio wrote and verified 64 MiB on the root disk" same "$(value fio_root "$first")" 0
	claim "fio wrote and verified 64 MiB on the second disk" same "$(value fio_data "$first")" 0
	claim "the root file has the same hash after the reboot" \
		same "$(value root_hash)" "$(value root_hash "$first")"
	claim "the second disk has the same hash after the reboot" \
		same "$(value data_hash)" "$(value data_hash "$first")"
	claim "the host's root file has those bytes" \
		same "$(host_hash inside "$cell/root.ext4")" "$(value root_hash)"
	claim "the host's second file has those bytes" \
		same "$(host_hash disk "$cell/data.raw")" "$(value data_hash)"
	claim "the root file system was clean at the second boot" same "$(value recoveries)" 0
	echo "# $(grep -E 'READ|WRITE' "$first" | sed 's/^ *//; s/ (.*//' | xargs)"
}

# The tools' output, without what may differ: the number that the kernel gives to a SCSI host, and the names of disks.
normal() {
	local names
	names=$(sed -n 's!^disk\.\([a-z]*\)=\([a-z]*\)$!s#/dev/\2\\>#/dev/\1#g!p' "$1")
	sed -n '/^@@TOOL/,/^@@RC/p' "$1" | sed -E -e "$names" \
		-e 's/^(\[)[0-9]+(:[0-9]+:[0-9]+:[0-9]+\])/\1N\2/' -e 's/[Hh]ost[0-9]+/hostN/g'
}

# Boot 1 had the kernel's own drivers, boot 2 ours.
judge_tools() {
	local commands
	normal "$cell/evidence.1" >"$cell/tools.intree"
	normal "$cell/evidence.2" >"$cell/tools.ours"
	commands=$(grep -c '^@@TOOL' "$cell/tools.ours")
	claim "$commands commands, none failed" test "$commands" -ge 9 -a \
		"$(grep -c '^@@RC 0' "$cell/tools.ours")" -eq "$commands"
	claim "lsvmbus, lsscsi, sg_inq and sg_vpd print the same under both drivers, and disks hang at the same place" \
		diff -u "$cell/tools.intree" "$cell/tools.ours"
}

# A host may leave the address alone; then the guest must not say otherwise.
judge_leave() {
	local mac what
	judge_bus
	read -ra mac <<<"$(value mac)"
	if [ "$(value rc.mac)" = 0 ]; then
		claim "the host changed the address, and so did the guest" same "${mac[1]:-}" 02:00:00:00:77:99
	else
		claim "the host left the address alone, and so did the guest" same "${mac[0]:-}" "${mac[1]:-}"
	fi
	claim "another MTU" same "$(value rc.mtu)" 0
	claim "the driver was unloaded" same "$(value rc.remove)" 0
	claim "the host kept no memory" same "$(value lost)" 0
	for what in mac mtu remove; do
		claim "$what took $(value seconds.$what) s" test "$(value seconds.$what | cut -d. -f1)" -lt 10
	done
}

judge_kdump() {
	local seconds
	claim "the panic was on CPU $(value panic_cpu) of $cpus" same "$(value panic_cpu)" $((cpus - 1))
	claim "the second kernel found the disk" matches "$(value disk)" '^sd'
	seconds=$(($(value began) - $(value panicked)))
	claim "it ran $seconds s after the panic" test "$seconds" -le 60
}

judge_kexec() {
	local found
	found=$(grep -c '^round=[0-9]* disk=sd' "$evidence" || true)
	claim "$found kernels one after the other found the disk" same "$found" $((rounds + 1))
	echo "# seconds from one to the next: $(sed -n 's/^round=.*seconds=//p' "$evidence" | xargs)"
}

judge_offers() {
	local trace=$cell/host.log sent
	judge_bus
	if [ "$host" = qemu-vmbus ]; then
		sent=$(grep -c vmbus_send_offer "$trace" || true)
		claim "the host's trace shows the contact" grep -q vmbus_initiate_contact "$trace"
		claim "the host's trace shows $sent offers" test "$sent" -ge 1
		claim "the guest lists all of them" same "$(value offers)" "$sent"
		claim "the offer is the host's dynamic memory device" same "$(value offer)" \
			"{525074dc-8985-46e2-8057-a307dc18a502} {$OFFERED}"
	else
		claim "the guest lists $(value offers) offers" test "$(value offers)" -ge 1
		[ "$kind" != ours ] || claim "driver_override keeps the driver away, and gives it back" \
			same "$(value overridden) / $(value taken_back)" "nobody  / (null) bound"
	fi
}

judge_decline() {
	claim "the module is refused: $(value error)" same "$(value error)" "No such device"
	claim "it says why in one line: $(value said)" same "$(value lines)" 1
	claim "nothing of it stays behind" same "$(value loaded) $(value buses)" "0 0"
	echo "# declined within $(value took)"
}

# Pages lost from the second count to the last. Less than one in two rounds is noise, and so is less
# than 32 in all: one page a round is seen in 100 rounds, the control's four pages in 20.
judge_reload() {
	local counts first last lost slab most
	mapfile -t counts < <(sed -n 's/^memory=//p' "$evidence")
	[ ${#counts[@]} -ge 2 ] || counts=('0 0 0' '0 0 0')
	read -ra first <<<"${counts[1]}"
	read -ra last <<<"${counts[-1]}"
	most=$(((last[0] - first[0]) / 2))
	[ $most -ge 32 ] || most=32
	lost=$((first[1] - last[1])) slab=$((last[2] - first[2]))
	claim "$(value rounds) rounds of load, verified I/O and unload" same "$(value rounds)" "$rounds"
	claim "fio verified in every tenth round" same "$(value fios)" $(((rounds + 9) / 10))
	claim "every round found the bytes that the first one left" same "$(value hashes)" 1
	claim "no leak: free pages went down by $lost, slab pages up by $slab, in $((last[0] - first[0])) rounds" \
		test $lost -le $most -a $slab -le $most
}

# What guest and host must agree on, and the build that the CPU reports: by Windows Server.
declare -A GENERATION_BUS=([2008]=0.13 [2008r2]=1.1 [2012]=2.4 [2012r2]=3.0 [2016]=4.0 [2019]=5.2 [2022]=5.3 [2025]=6.0)
declare -A GENERATION_BUILD=([2008]=6002 [2008r2]=7600 [2012]=9200 [2012r2]=9600 [2016]=14393 [2019]=17763
	[2022]=20348 [2025]=26100)

judge_generation() {
	local guest server
	judge_root
	judge_card
	[ "$kind" != ours ] || [ -z "$generation" ] || claim "VMBus ${GENERATION_BUS[$generation]}" \
		same "$(value bus_version)" "${GENERATION_BUS[$generation]}"
	[ -z "$generation" ] || claim "the CPU reports build $(value host_build)" \
		matches "$(value host_build)" "(^|[.])${GENERATION_BUILD[$generation]}[.]"
	claim "an address by DHCP: $(value net_lease)" matches "$(value net_lease)" '^10[.]'
	guest=$(value down.generation)
	server=$(awk '$1 == "down" && $2 == "/data?generation"' "$cell/server.log" 2>/dev/null | tail -n1)
	claim "$mib MiB came through the card to the root disk and back ($(rate "$(word 2 "$guest")"))" \
		same "$(word 1 "$guest") $(word 3 "$guest")" "$((mib << 20)) $(word 4 "$server")"
	claim "the host's root file has those bytes" same "$(word 3 "$guest")" \
		"$(debugfs -R 'cat /generation.bin' "$cell/root.ext4" 2>/dev/null | b2sum | cut -d' ' -f1)"
	claim "no error counter of the card moved ($(value net_errors))" same "$(value net_errors)" 0
	echo "# VMBus $(value bus_version), storage $(value storage_version), network $(value nvsp_version)"
}

judge_formats() {
	local format lun=2 raw
	judge_root
	raw=$(value disk.1)
	claim "the raw disk was written" matches "$raw" "^$DATA_LEN [0-9a-f]{64}$"
	claim "the guest saw $(value disks) disks" same "$(value disks)" $((${#FORMATS[@]} + 1))
	for format in "${FORMATS[@]}"; do
		claim "$format: the guest reads from it what it reads from the raw disk" same "$(value disk.$lun)" "$raw"
		claim "$format: qemu-img compare: $(compare_images "$format")" same \
			"$(compare_images "$format")" "Images are identical."
		lun=$((lun + 1))
	done
	printf x | dd of="$cell/data.raw" bs=1 seek=$((21 << 20)) conv=notrunc 2>/dev/null
	claim "control: one byte changed in the raw file is found" \
		matches "$(compare_images "${FORMATS[0]}")" '^Content mismatch at offset'
}

compare_images() {
	qemu-img compare -f raw -F "${QEMU_FORMAT[$1]}" "$cell/data.raw" "$cell/data.$1" 2>&1 | head -n1
}

judge_nbd() {
	local kills
	judge_root
	kills=$(cat "$cell/nbd-kills" 2>/dev/null || echo 0)
	claim "the server was killed $kills times" test "$kills" -ge 3
	claim "fio wrote and verified 64 MiB meanwhile" same "$(value fio_data)" 0
	claim "the image has the bytes that the guest read at last" same "$(value data_hash)" \
		"$(qemu-img dd -f qcow2 -O raw bs=1M count=64 if="$cell/data.qcow2" of="$cell/data.out" &&
			sha256sum "$cell/data.out" | cut -d' ' -f1)"
	echo "# $(grep -E 'READ|WRITE' "$evidence" | sed 's/^ *//; s/ (.*//' | xargs)"
}

# The class ids of the services that this host offers at least.
SERVICE_CLASSES=(0e0b6031-5213-4934-818b-38d90ced39db 57164f39-9115-4e78-ab55-382f3bd5422d
	9527e630-d0ae-497b-adce-e80ab0175caf)

# clock_error NAME: milliseconds between the guest's clock of that name and the machine's, in the line that
# came fastest; 999999: none came.
clock_error() {
	awk -v name="$1" 'BEGIN { least = 999999 }
		$1 == name { d = ($2 - $3) * 1000; d = d < 0 ? -d : d; least = d < least ? d : least }
		END { printf "%d", least }' "$cell/clocks" 2>/dev/null || echo 999999
}

# answer NAME: what `openvmbus ctl` printed in that step; answered NAME RC: and that it ended so.
answer() { cat "$cell/ctl.$1" 2>/dev/null || echo none; }
answered() { same "$(tail -n1 "$cell/ctl.$1" 2>/dev/null)" "rc=$2"; }

judge_pairs() {
	claim "the guest says what it is: $(answer kvp-list | grep -c '"key"') pairs" \
		matches "$(answer kvp-list)" '"OSName"'
	claim "among them its kernel" matches "$(answer kvp-list)" "$(value kernel)"
	claim "a pair was given to the guest" answered kvp-set 0
	claim "the guest's file has it" same "$(value pair)" "token$token"
	claim "it is read back" matches "$(answer kvp-get)" "$token"
	claim "a key that is not there is not found" answered kvp-none 1
	claim "the guest says its address ($(value address))" matches "$(answer ip)" "$(value address | cut -d/ -f1)"
}

judge_freeze() {
	claim "the guest froze and thawed" answered freeze 0
	claim "a copy of its disk has a clean file system meanwhile" same "$(tail -n1 "$cell/fsck")" rc=0
	claim "it thawed when asked to" answered thaw 0
	claim "a write took $(value longest_write) s" test "$(value longest_write | cut -d. -f1)" -ge 2
	claim "it froze again" answered freeze-2 0
	claim "it was thawed after 2 s" grep -q 'was frozen for 2 s: thawed' "$cell/host.log"
	claim "then there was nothing to thaw" answered thaw-2 1
	[ "$driver" != hvutils ] || claim "it thawed when its daemon died" same "$(value thawed_without_daemon)" 1
}

judge_copy() {
	claim "a file was copied" answered copy 0
	claim "the guest has the same bytes" same "$(value copied)" "$(sha256sum <"$cell/copied" | cut -d' ' -f1)"
	claim "a file that is there is not overwritten" answered copy-again 1
}

# On a foreign host, which nobody commands: what it offers of them is used.
judge_services_there() {
	local offered
	offered=$(grep -cE "^offer={($(IFS='|'; echo "${SERVICE_CLASSES[*]}"))} $driver " "$evidence" || true)
	claim "the host offers $offered of these services, and they have the driver $driver" test "$offered" -ge 1
	claim "the clock was set" same "$(value clock)" set
	claim "there is a PTP clock named hyperv" same "$(value ptp)" hyperv
}

judge_services() {
	local class driver beats stop
	judge_root
	driver=$([ "$kind" = intree ] && echo hv_utils || echo hvutils)
	[ "$host" != openvmm ] || { judge_services_there; return; }
	for class in "${SERVICE_CLASSES[@]}"; do
		claim "service ${class%%-*} is offered and has the driver $driver" \
			grep -q "^offer={$class} $driver " "$evidence"
	done
	claim "the clock was set: $(clock_error set) ms from the machine's" test "$(clock_error set)" -le 1000
	claim "there is a PTP clock named hyperv" same "$(value ptp)" hyperv
	claim "it is $(clock_error ptp) ms from the machine's" test "$(clock_error ptp)" -le 1000
	! grep -q '^daemon=hv_kvp_daemon' "$evidence" || judge_pairs
	! grep -q '^daemon=hv_vss_daemon' "$evidence" || judge_freeze
	! grep -q '^daemon=hv_fcopy_daemon' "$evidence" || judge_copy
	beats=$(sed -n 's/.*service heartbeat: .* \([0-9]*\) answers.*/\1/p' "$cell/host.log")
	claim "the host counted ${beats:-0} heartbeats" test "${beats:-0}" -ge 3
	claim "the guest is alive, says ctl" matches "$(answer heartbeat)" alive
	read -r -a stop <"$cell/stop" || stop=(999 -1)
	claim "asked to power off, the guest did within ${stop[0]} s" test "${stop[0]%.*}" -lt 60
	claim "and the exit code was that of its own power-off" same "${stop[1]}" 0
	claim "its processes were told to end first" same "$(value asked)" 1
}

# What a guest's process may make of the host, whatever it does; docs/network.md and docs/storage.md say why.
GREEDY_KIB=$((300 << 10)) GREEDY_DESCRIPTORS=2400 GREEDY_MAPPINGS=4000 GREEDY_THREADS=64 GREEDY_LINES=40

# most COLUMN: the greatest number there in what lab/nest/greedy-side measured.
most() {
	awk -v column="$1" '$column > most { most = $column } END { print most + 0 }' "$cell/samples"
}

# bounded WHAT NUMBER LIMIT
bounded() {
	claim "the host had $2 $1 at most (limit $3)" test "$2" -gt 0 -a "$2" -le "$3"
}

judge_greedy() {
	local steady transfer
	judge_root
	read -r -a steady <<<"$(value steady)"
	read -r -a transfer <<<"$(value transfer)"
	claim "it sent $(value greedy_udp) datagrams, each from another port, and opened $(value greedy_tcp) connections" \
		test "$(value greedy_udp)" -gt 0 -a "$(value greedy_tcp)" -gt 0
	claim "it flushed $(value greedy_flush) times, and moved 8 MiB $(value greedy_big) times" \
		test "$(value greedy_flush)" -gt 0 -a "$(value greedy_big)" -gt 0
	claim "its network reached the bound" grep -q 'connections that its network may' "$cell/host.log"
	claim "another process verified ${steady[0]:-0} writes of another disk meanwhile" test "${steady[0]:-0}" -gt 20
	claim "each within ${steady[1]:-0} ms (limit 15000)" test "${steady[1]:-15001}" -le 15000
	claim "a transfer that had begun ended well" same "${transfer[0]:-}" 0
	claim "with the bytes that were sent" grep -q "^down /data .*${transfer[1]:-none}" "$cell/server.log"
	claim "the guest could reset itself" same "$(value second_start)" 1
	claim "and found what it had written" same "$(value token_after)" "$token"
	bounded 'KiB of its own' "$(most 1)" $GREEDY_KIB
	bounded 'descriptors' "$(most 2)" $GREEDY_DESCRIPTORS
	bounded 'mappings' "$(most 3)" $GREEDY_MAPPINGS
	bounded 'threads' "$(most 4)" $GREEDY_THREADS
	bounded 'lines to say' "$(wc -l <"$cell/host.log")" $GREEDY_LINES
}
