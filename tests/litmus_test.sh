#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# tests/litmus_test.sh : what tests/litmus/check.py says of the ring's barriers; and the ring has no
# barrier that these tests do not know. Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "skip litmus # python3 is missing"; exit 0; }

rc=0
said=$(python3 tests/litmus/check.py tests/litmus/*.litmus) || rc=$?
number=$(grep -c '^\(not \)\?ok ' <<<"$said")
grep -v '^1\.\.' <<<"$said"

# How often each is called in the ring: P1 C1 C6, P4 C2b, P5 B2 C3 C6, P7 and the one behind C3. The
# load of C6 acquires nothing that is used: vmb_ring_read() loads the index again.
count() {
	number=$((number + 1))
	if [ "$(grep -c "$1(" ring/ring.c)" = "$2" ]; then
		echo "ok $number - ring_calls_$1_$2_times"
	else
		echo "not ok $number - ring_calls_$1_$2_times"
		echo "# a barrier came or went: tests/litmus/ must know it"
		rc=1
	fi
}
count vmb_load_acquire_u32 3
count vmb_store_release_u32 2
count vmb_full_barrier 4
count vmb_read_barrier 2
echo "1..$number"
exit $rc
