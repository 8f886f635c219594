#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The simulator must find bugs that were planted in what ships (tests/simulate/mutate): each within
# 1,000 seeds, by a checker that is for it, and shrunk to a few choices that one command replays.
# Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
choices_max=60

# plant kinds
plants='lost_signal SIGNAL OWED|NO RECOVERY|NO END|NO ANSWER
lost_on_modify SIGNAL OWED|NO RECOVERY|NO END
double_completion TWO ENDS|WRONG END|WRONG DATA|BROKEN PROMISE
leak_on_rescind KEPT|NO ANSWER|NO RECOVERY
deaf_card NO RECOVERY
rescind_while_opening NO ANSWER|NO RECOVERY|NO END|KEPT
fua_ignored BROKEN PROMISE
short_write WRONG DATA|WRONG DISC
room_unsaid SIGNAL OWED|NO END|NO RECOVERY|WRONG COUNT
call_without_end NO END|NO RECOVERY
stays_frozen STAYS FROZEN|WRONG END
service_held NO RECOVERY
page_too_many PAGE TAKEN|SIGNAL OWED|WRONG DATA
returned_twice NOT GIVEN
lost_on_close LOST BYTES
disc_untold UNTOLD DISC'

# check NAME KINDS: prints why not, if not. A seed whose story stays long is passed over, twice at most.
check() {
	local rc seed=0 left=$((choices_max + 1)) tries=3
	while [ "$left" -gt $choices_max ]; do
		[ $((tries--)) -gt 0 ] || { echo "$left choices are left, more than $choices_max"; return 1; }
		rc=0
		timeout 300 "build/planted/$1" --seed $((seed + 1)) --seeds $((1000 - seed)) \
			>"$work/out" 2>&1 || rc=$?
		[ $rc = 1 ] || { echo "exit code $rc, not 1: it was not found"; return 1; }
		grep -qE "^seed [0-9]+: ($2):" "$work/out" || { echo "found by another checker"; return 1; }
		left=$(sed -n 's/^\([0-9]*\) choices are left.*/\1/p' "$work/out")
		seed=$(sed -n 's/^replay: .*--seed \([0-9]*\) .*/\1/p' "$work/out")
	done
	rc=0
	timeout 60 "build/planted/$1" --seed "$seed" >"$work/again" 2>&1 || rc=$?
	[ $rc = 1 ] || { echo "seed $seed does not fail again"; return 1; }
	cmp -s <(grep -v seeds "$work/out") <(grep -v seeds "$work/again") ||
		{ echo "seed $seed tells another story the second time"; return 1; }
}

failed=0 n=0
echo "1..$(wc -l <<<"$plants")"
while read -r name kinds; do
	n=$((n + 1))
	if [ ! -x "build/planted/$name" ]; then
		echo "ok $n - $name # SKIP build/planted/$name is missing"
	elif why=$(check "$name" "$kinds"); then
		echo "ok $n - $name is found: $(grep -m1 '^seed' "$work/out")"
	else
		echo "not ok $n - $name: $why"
		sed 's/^/# /' "$work/out" | tail -n 40
		failed=1
	fi
done <<<"$plants"
exit $failed
