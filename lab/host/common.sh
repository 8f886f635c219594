# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# What every lab script shares: where things are, how progress and failure are told, and a lock,
# so that two scripts which need the same cached thing do not build it twice.
#
# Source it first:  . "$(dirname "$(readlink -f "$0")")/host/common.sh"

# A descriptor that the caller closed would become a disk or a kernel, and what is said would be written into it.
for fd in 0 1 2; do
	[ -e "/proc/$$/fd/$fd" ] || eval "exec $fd<>/dev/null"
done
unset fd

LAB=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
ROOT=$(dirname "$LAB")
BUILD=${BUILD:-$ROOT/build}
PROG=lab/$(basename "$0")
export LAB ROOT BUILD PATH="$PATH:/usr/sbin:/sbin"

say() { echo "$PROG: $*" >&2; }

die() {
	say "$*"
	exit 2
}

# need COMMAND PACKAGE: one line that says what brings a missing program.
need() {
	command -v "$1" >/dev/null || die "$1 is missing; run: apt-get install $2"
}

# lock NAME: held until the script ends. Waiting is announced, because it can take minutes.
lock() {
	mkdir -p "$BUILD/locks"
	exec {lock_fd}>"$BUILD/locks/$1"
	flock -n "$lock_fd" && return
	say "waiting for another $PROG to finish with $1"
	flock "$lock_fd"
}

# ports_in_use: of this machine, in hexadecimal.
ports_in_use() {
	cat /proc/net/{tcp,tcp6,udp,udp6} 2>/dev/null | awk '$2 ~ /:/ { sub(/.*:/, "", $2); print $2 }'
}

# take_ports: sets port; it and the next one are free, and no other script of a lab takes them until this one ends.
take_ports() {
	local used claim_fd
	used=$(ports_in_use)
	for _ in {1..1000}; do
		port=$((20000 + RANDOM % 5000 * 2))
		! grep -qxE "$(printf '%04X|%04X' $port $((port + 1)))" <<<"$used" || continue
		exec {claim_fd}>"/dev/shm/openvmbus-port-$port" || continue
		! flock -n "$claim_fd" || return 0
		exec {claim_fd}>&-
	done
	die "no two ports between 20000 and 30000 are free"
}

# newer TARGET FILE...: true when TARGET exists and no FILE is newer than it.
newer() {
	local target=$1 file
	shift
	[ -e "$target" ] || return 1
	for file; do
		[ "$file" -nt "$target" ] && return 1
	done
	return 0
}

# has_kvm: whether guests run on this machine's own /dev/kvm; without, or with one that cannot, in a nest.
has_kvm() {
	[ -w /dev/kvm ] && "${OPENVMBUS:-$BUILD/openvmbus}" check >/dev/null 2>&1
}
