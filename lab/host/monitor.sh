# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# How lab/run starts a machine: commands for each host, their network card and what is at its other
# end. From lab/run: host, cpus, memory, release, files (disks: FILE,serial=TEXT and more properties), attach (--disk or --ide), qemu_disk (the same for QEMU: a device), vmm (more
# of the monitor's options), cell, net, mib, port, socket.
# shellcheck disable=SC2154,SC2034

# Of the guest's card, and of the second guest's in a pair.
MAC=02:00:00:00:77:01
PEER_MAC=02:00:00:00:77:02

# The instance id of the one device that QEMU offers on its VMBus.
OFFERED=6f70656e-766d-6275-7300-000000000001

around=() # what the monitor runs in: lab/nest/net-side and its arguments
card=() # the monitor's options for the card

# where COMMAND...: on this machine if its /dev/kvm can, else in the nest. The command has its own
# limit; the one here ends the wait for a nest that does not run it.
where() {
	if has_kvm; then
		"$@"
	else
		timeout -k 5 $((limit + 120)) "$LAB/warm-nest" -n "$nest" exec "$@"
	fi
}

# command_HOST INITRD LINE: sets command.
command_openvmbus() {
	local disk
	command=(timeout -k 5 "$limit" "$OPENVMBUS" run --accel kvm "${once[@]}" --cpus "$cpus" --memory "$memory"
		--kernel "$BUILD/kernels/$release/vmlinux" --initrd "$1" --append "$2" "${card[@]}" "${vmm[@]}")
	for disk in "${files[@]}"; do
		command+=("$attach" "$disk")
	done
}

# Microsoft's open monitor; its card is on its own user network.
command_openvmm() {
	local disk
	command=(timeout -k 5 "$limit" "$LAB/nest/openvmm-side" "$cell/serial" "$OPENVMM" --hypervisor kvm --hv --single-process
		--processors "$cpus" --memory "$memory" --kernel "$BUILD/kernels/$release/vmlinux" --initrd "$1"
		--cmdline "$2" --com1 "file=$cell/serial" --net consomme "${extra[@]}")
	for disk in "${files[@]}"; do
		command+=(--disk "file:$disk")
	done
}

command_qemu() {
	local disks=() disk bridge=() qemu=(qemu-system-x86_64)
	local cpu=max,kvm=off,hv-relaxed,hv-time,hv-vapic,hv-vpindex,hv-synic,hv-stimer
	[ "$host" != qemu-plain ] || cpu=max
	for disk in "${files[@]}"; do
		disks+=(-drive "file=${disk%%,*},format=raw,aio=io_uring,if=none,id=d${#disks[@]}"
			-device "$qemu_disk,drive=d${#disks[@]},serial=${disk##*,serial=}")
	done
	if [ "$host" = qemu-vmbus ]; then
		qemu=("$BUILD/qemu/usr/bin/qemu-system-x86_64" -L "$BUILD/qemu/usr/share/qemu"
			-L "$BUILD/qemu/usr/share/seabios")
		bridge=(-device vmbus-bridge -device "hv-balloon,instanceid=$OFFERED" -trace 'vmbus_*')
	fi
	command=(timeout -k 5 "$limit" "${qemu[@]}" -nodefaults -no-user-config -display none
		-no-reboot -M "q35,accel=kvm" -m "$memory" -smp "$cpus" -cpu "$cpu"
		-kernel "$BUILD/kernels/$release/vmlinux" -initrd "$1" -append "$2" -serial stdio
		-device virtio-scsi-pci "${disks[@]}" "${bridge[@]}" "${card[@]}")
}

virtio_card() {
	card=(-netdev "$1" -device "virtio-net-pci,netdev=net,mac=$2,romfile=${3:-}")
}

# plug_in WAY: the card on user, tap (or bench, which is a tap too), and for a pair of guests on
# pair-1 and pair-2; around it what serves the other end.
plug_in() {
	has_kvm && [ $EUID -ne 0 ] && skip "network cells make namespaces: run it as root"
	around=("$LAB/nest/net-side" "${1%-[12]}" "$cell" "$mib" "$port" "$cpus")
	case $host-$1 in
	openvmbus-user) card=(--stats --net "user,queues=$cpus,mac=$MAC,capture=$cell/sink.pcapng") ;;
	openvmbus-tap | openvmbus-bench) card=(--stats --net "tap=vm0,queues=$cpus,mtu=9000,mac=$MAC") ;;
	openvmbus-pair-1) card=(--stats --net "switch=$socket,queues=$cpus,mac=$MAC") ;;
	openvmbus-pair-2) card=(--stats --net "switch=$socket,queues=$cpus,mac=$PEER_MAC") ;;
	qemu*-user)
		virtio_card "user,id=net" $MAC
		card+=(-object "filter-dump,id=dump,netdev=net,file=$cell/sink.pcapng")
		;;
	qemu*-tap | qemu*-bench)
		virtio_card "tap,id=net,ifname=vm0,script=no,downscript=no,vhost=off,queues=$cpus" $MAC \
			",mq=$([ "$cpus" = 1 ] && echo off || echo on)"
		;;
	qemu*-pair-1) virtio_card "socket,id=net,listen=127.0.0.1:$port" $MAC ;;
	qemu*-pair-2) virtio_card "socket,id=net,connect=127.0.0.1:$port" $PEER_MAC ;;
	*) die "no network '$1': tap or user" ;;
	esac
}
