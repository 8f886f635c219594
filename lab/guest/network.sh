# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=sh
# shellcheck disable=SC2034 # scenarios use what is set here
#
# For the scenarios that use the network card eth0; lab/nest/net-side is at its other end.
# shellcheck source=lab/guest/scenario.sh
. /run/lab/scenario.sh

# The world's addresses; a "user" network shows the machine at fixed ones.
case $(option openvmbus.net) in
user) WORLD4=10.0.2.2 WORLD6=fec0::2 ;;
*) WORLD4=10.77.0.1 WORLD6=fd77::1 ;;
esac
PORT=$(option openvmbus.port)
CHECKED=$((PORT + 1))

# load_module NAME: one that the initrd brought along but did not load, and what it needs.
load_module() {
	while read -r needed; do
		[ -e "/sys/module/$(echo "$needed" | tr - _)" ] || insmod "/run/lab/modules/$needed.ko" || return 1
	done <"/run/lab/modules/$1.need"
}

# within SECONDS COMMAND...: waits until it succeeds.
within() {
	left=$(($1 * 5))
	shift
	until "$@"; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		sleep 0.2
	done
}

has_address4() { ip -4 -o address show dev eth0 scope global | grep -q inet; }
has_address6() { ip -6 -o address show dev eth0 -tentative | grep -v fe80: | grep -q inet6; }
address() { ip "-$1" -o address show dev eth0 | awk '!/ fe80:/ { print $4; exit }'; }

# nvsp_version: what our driver says that it negotiated; the kernel's own says nothing.
nvsp_version() {
	dmesg | sed -n 's/.*network protocol \(0x[0-9a-f]*\),.*/\1/p' | tail -n1
}

queues() {
	ethtool -l eth0 2>/dev/null | awk '/^Current/ { now = 1 } now && /^Combined:/ { print $2 }'
}

# card_evidence: the card, its driver, and how it got its addresses.
card_evidence() {
	echo "net_driver=$(basename "$(readlink -f /sys/class/net/eth0/device/driver)")"
	echo "net_mac=$(cat /sys/class/net/eth0/address)"
	echo "net_mtu=$(cat /sys/class/net/eth0/mtu)"
	echo "net_carrier=$(cat /sys/class/net/eth0/carrier)"
	echo "net_speed=$(cat /sys/class/net/eth0/speed 2>/dev/null)"
	echo "net_queues=$(queues)"
	echo "nvsp_version=$(nvsp_version)"
	echo "net_lease=$(cat /run/dhcp 2>/dev/null)"
	echo "net_address4=$(address 4)"
	echo "net_address6=$(address 6)"
}

# offloads on|off: all that the driver lets one change; prints what they are then. A driver may have
# none of some kind, which is not an error.
offloads() {
	for name in tx tso gso gro rx lro; do
		ethtool -K eth0 $name "$1" >/dev/null 2>&1
	done
	ethtool -k eth0 | awk -F': ' '
		/^(rx-checksumming|tx-checksumming|tcp-segmentation-offload|generic-receive-offload|large-receive-offload):/ {
			sub(/ .*/, "", $2)
			out = out " " $1 ":" $2
		}
		END { print substr(out, 2) }'
}

# url_host ADDRESS: as it stands in a URL.
url_host() {
	case $1 in
	*:*) echo "[$1]" ;;
	*) echo "$1" ;;
	esac
}

hash_of() { b2sum "$1" | cut -d' ' -f1; }

# transfer NAME ADDRESS: down, then up, other bytes each way. Hashes are computed here and, of what
# it sent and got, by the server, which logs them: lab/run compares.
transfer() {
	base="http://$(url_host "$2"):$PORT"
	down=$(curl -sgS -m 240 -o /dev/shm/down -w '%{size_download} %{speed_download}' "$base/data?$1") || echo "down_failed=$1"
	echo "down.$1=$down $(hash_of /dev/shm/down)"
	up=$(curl -sgS -m 240 -T /dev/shm/upload -o /run/answer -w '%{size_upload} %{speed_upload}' "$base/up-$1") || echo "up_failed=$1"
	echo "up.$1=$up $UPLOAD_HASH $(cat /run/answer)"
}

# make_upload MEBIBYTES: what transfers send.
make_upload() {
	dd if=/dev/urandom of=/dev/shm/upload bs=1M count="$1" 2>/dev/null
	UPLOAD_HASH=$(hash_of /dev/shm/upload)
}

# errors: the sum of all counters of the card that a healthy network leaves at zero.
errors() {
	{
		cd /sys/class/net/eth0/statistics &&
			grep . rx_errors rx_crc_errors rx_frame_errors rx_length_errors rx_over_errors \
				rx_fifo_errors tx_errors tx_dropped tx_fifo_errors tx_carrier_errors | tr : ' '
		ethtool -S eth0 2>/dev/null | sed -n 's/^ *\([^:]*\(err\|drop\|bad\|fail\|invalid\|inval\)[^:]*\): /\1 /p'
	} | awk '$2 { text = text " " $1 ":" $2; n += $2 } END { print n + 0 text }'
}
