#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# lab/guest/iperf-result is what says how much arrived, also when the receiver starved. Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh

# expect NAME WORDS: what it says of the JSON on stdin.
expect() {
	local said code=1
	said=$(/usr/bin/python3 -IS lab/guest/iperf-result /dev/stdin)
	[[ $said = "$2" ]] && code=0
	printf 'want %s\ngot  %s\n' "$2" "$said" >"$work/said"
	result $code "$1" "$work/said"
}

# udp LAST: 100 of 1000 datagrams arrived, the last of them was number LAST; as iperf3 3.12 says it, which counts as
# lost only what is missing before LAST.
udp() {
	cat <<-END
		{"start": {"test_start": {"protocol": "UDP", "blksize": 64}}, "end": {
		"sum": {"bytes": 64000, "bits_per_second": 64000, "lost_packets": $(($1 - 100)), "packets": 1000},
		"sum_sent": {"bytes": 64000, "bits_per_second": 64000, "lost_packets": 0, "packets": 1000},
		"sum_received": {"bytes": 6400, "bits_per_second": 6400, "lost_packets": $(($1 - 100)), "packets": $1}}}
	END
}

expect 'datagrams, lost all the time' '6400 6400 0 900 1000' < <(udp 1000)
expect 'datagrams, the receiver starved after the first' '6400 6400 0 900 1000' < <(udp 100)
expect 'a stream' '999 888 3 0 0' <<-'END'
	{"start": {"test_start": {"protocol": "TCP", "blksize": 131072}}, "end": {
	"sum_sent": {"bytes": 1000, "bits_per_second": 900, "retransmits": 3},
	"sum_received": {"bytes": 999, "bits_per_second": 888}}}
END
expect 'a failure' "error KeyError('test_start') unable to connect" <<<'{"start": {}, "error": "unable to connect"}'
expect 'no result' "error JSONDecodeError('Expecting value: line 1 column 1 (char 0)') " </dev/null
the_end
