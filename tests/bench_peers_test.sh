#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# bench/peers/run with stand-ins for the peers: rates, medians and ratios are what the programs say, and what cannot be
# measured is said. Prints TAP.
# result is always true, so "A && result 0 || result 1" is an if:
# shellcheck disable=SC2015
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
run=$PWD/bench/peers/run
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh
shown=("$work/out" "$work/err")
mkdir -p "$work"/{bin,build/benches,build/peers}
PATH=$work/bin:$PATH BUILD=$work/build
export PATH BUILD

# stand_in FILE: with the script that comes from standard input.
stand_in() {
	{ echo '#!/bin/bash'; cat; } >"$work/$1"
	chmod +x "$work/$1"
}

# Each rate once, so that a line taken for another one shows.
stand_in build/benches/network_bench <<'END'
[ "$#" = 2 ] || exit 2
echo 'to host     64 B inline, batch 32 1 queue     8.00 (8.00..8.00) Mframe/s  CPU guest     39 host     54 ns'
echo 'to host   1514 B inline, batch 32 1 queue     4.00 (4.00..4.00) Mframe/s'
echo 'to guest    64 B inline, batch 32 1 queue    16.00 (16.00..16.00) Mframe/s'
echo 'to guest    64 B inline, batch 32 2 queues   99.00 (99.00..99.00) Mframe/s'
echo 'to guest  1514 B inline, batch 32 1 queue     2.00 (2.00..2.00) Mframe/s'
END
stand_in build/benches/storage_bench <<'END'
echo 'QD1     60000 reads/s, p50 9.0 us, p99 12.2 us, CPU 9.05 us a read'
echo 'QD32   900000 reads/s, p50 16.8 us, p99 24.1 us, CPU 0.53 us a read'
END
stand_in build/peers/vhost_user_blk <<'END'
[ -e "$1" ] && echo $(($2 * 30000))
END
stand_in bin/qemu-storage-daemon <<'END'
all=$*
path=${all##*addr.path=}
touch "${path%%,*}"
exec sleep 100
END
# Memif's frames are half as many as virtio-user's; the first second of each is not to be counted.
stand_in bin/dpdk-testpmd <<'END'
rate=4000000 all=$*
case $all in
*iface=* | *path=*) path=${all##*iface=} ;;
*) rate=2000000 path=${all##*role=server,socket=} ;;
esac
path=${path%%,*}
path=${path%% *}
case $all in *iface=* | *role=server*) touch "$path" ;; esac
echo "  Rx-pps:            0"
echo "  Rx-pps:       100000"
for _ in 1 2 3 4 5 6; do echo "  Rx-pps:      $rate"; done
exec sleep 100
END

"$run" --rounds 2 network disk >"$work/out" 2>"$work/err"
result $? "network and disk are measured"
expect "each rate is that of its line" \
	grep -qxF 'to guest 64 B, million frames/s: ours 16 (16 to 16); virtio-user 4 (4 to 4) ratio 4.00; memif 2 (2 to 2) ratio 8.00' "$work/out"
expect "towards the host too" \
	grep -qxF 'to host 1514 B, million frames/s: ours 4 (4 to 4); virtio-user 4 (4 to 4) ratio 1.00; memif 2 (2 to 2) ratio 2.00' "$work/out"
expect "four lines of frames" test "$(grep -c 'million frames' "$work/out")" = 4
expect "reads, one at a time" \
	grep -qxF '1 under way, thousand reads/s: ours 60 (60 to 60); vhost-user-blk 30 (30 to 30) ratio 2.00' "$work/out"
expect "reads, 32 at a time" \
	grep -qxF '32 under way, thousand reads/s: ours 900 (900 to 900); vhost-user-blk 960 (960 to 960) ratio 0.94' "$work/out"
expect "no stand-in is left" test -z "$(pgrep -f "$work/bin/")"

rm "$work/bin/qemu-storage-daemon" "$work/build/peers/vhost_user_blk"
PATH=$work/bin:/nowhere /usr/bin/python3 -IS "$run" --rounds 1 disk >"$work/out" 2>"$work/err"
code=$?
expect "a peer that is missing is said" grep -q '^disk: not measured: .*qemu-storage-daemon' "$work/out"
result $((code != 1)) "its exit code is 1"
echo 'exit 3' | stand_in build/benches/storage_bench
"$run" disk >"$work/out" 2>"$work/err"
result $(($? != 1)) "a benchmark that fails is not measured"
expect "and it is named" grep -q '^disk: not measured: storage_bench' "$work/out"

for bad in --rounds=0 --seconds=0 --seconds=x --rounds=1.5 disc --what; do
	"$run" "$bad" >"$work/out" 2>"$work/err"
	result $(($? != 2)) "$bad is refused"
done
the_end
