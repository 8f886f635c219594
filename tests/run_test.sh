#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# tests/run must not call a test good that crashed, hung, said nothing or stopped half way.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# expect NAME LINE SCRIPT [SECONDS]: a suite that runs SCRIPT yields LINE first of all that begins with
# ok, not ok or skip... and nothing that begins with ok when LINE is the only result.
expect() {
	local name=$1 want=$2 got
	got=$(RESULTS=$scratch tests/run --suite s "${4:-60}" bash -c "$3" | grep -E '^(ok|not ok|skip)' |
		paste -sd '|')
	if [ "$got" = "$want" ]; then
		echo "ok $name"
	else
		printf 'not ok %s\n# want %s\n# got  %s\n' "$name" "$want" "$got"
		failed=1
	fi
}

expect pass_is_counted 'ok s/a' 'echo 1..1; echo "ok 1 - a"'
expect failure_is_counted_once 'not ok s/a' 'echo "not ok 1 - a"; exit 1'
expect skip_keeps_its_reason 'skip s/a # no disk' 'echo "skip a # no disk"'
expect tap_skip_is_a_skip 'skip s/a # no disk' 'echo "ok 1 - a # SKIP no disk"'
expect name_may_begin_with_digit 'ok s/4-cpu' 'echo "ok 4-cpu"'
expect crash_fails 'ok s/a|not ok s/ends # exit code 134' 'echo "ok 1 - a"; exit 134'
expect short_run_fails 'ok s/a|not ok s/ends # 1 results, 2 planned' 'echo 1..2; echo "ok 1 - a"'
expect silence_fails 'not ok s/ends # printed no result' 'echo hello'
expect hang_fails 'ok s/a|not ok s/ends # still running after 5 s' 'echo "ok 1 - a"; sleep 60' 5
exit $failed
