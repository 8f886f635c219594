#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What the lab waits for and which ports it takes depends on no luck: a socket that has its name but
# does not listen yet is waited for, and neither a port in use nor one of another script is taken.
# Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
# shellcheck source=lab/host/common.sh
. lab/host/common.sh
# shellcheck source=tests/tap.sh
. tests/tap.sh
seed=$(($$ * 2)) # no other run of this test has these

# taken SEED: the port that is taken where chance begins with SEED. Nobody else's in here, so it is
# free again at once.
taken() { (RANDOM=$1; take_ports; echo "$port"); }

# listen KIND: a program that listens at a TCP port of its own choice, or that takes its time from
# bind to listen. It goes on when $work/go is there.
listen() {
	perl -MSocket -e '
		my ($kind, $work) = @ARGV;
		my $unix = $kind eq "unix";
		socket(my $s, $unix ? PF_UNIX : PF_INET, SOCK_STREAM, 0) or die;
		bind($s, $unix ? pack_sockaddr_un("$work/socket") : pack_sockaddr_in($kind, INADDR_ANY)) or die;
		open(my $f, ">", "$work/bound"); close($f);
		select(undef, undef, undef, 0.05) until -e "$work/go";
		listen($s, 1) or die;
		sleep 60' "$1" "$work" &
	until [ -e "$work/bound" ]; do sleep 0.05; done
	rm "$work/bound"
}

touch "$work/go"
free=$(taken $seed)
expect 'chance is repeatable here' test "$(taken $seed)" = "$free"
listen "$free"
lab/nest/await-listener "$free"
expect 'a port in use is not taken' test "$(taken $seed)" != "$free"
RANDOM=$((seed + 1))
take_ports
expect 'nor one that another script has taken' test "$(taken $((seed + 1)))" != "$port"

rm "$work/go"
listen unix
lab/nest/await-listener "$work/socket" &
waiter=$!
sleep 0.5
expect 'a socket that is only bound is waited for' kill -0 $waiter
touch "$work/go"
expect 'until it listens' wait $waiter

# A guest that says nothing any more is ended; the program stands for openvmbus.
cat >"$work/program" <<-'EOF'
	#!/bin/sh
	[ "$3" != power-off ] || touch "$2.off"
EOF
chmod +x "$work/program"
mkdir "$work/cell"
# shellcheck disable=SC2016 # the inner shell's
timeout 30 lab/nest/services-side -s 1 "$work/cell" "$work/program" "$work/vm" sh -c '
	sleep 2 # a guest that boots is silent, too
	echo "@@BEGIN faults"
	until [ -e "$0.off" ]; do sleep 0.1; done' "$work/vm" >"$work/said" || true
expect 'a guest that is silent is ended' test "$(cat "$work/said")" = $'@@BEGIN faults\nsilent=1'
expect 'and its machine is asked before' grep -q '^rc=0$' "$work/cell/ctl.silent.1"
the_end
