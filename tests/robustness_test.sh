#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# docs/robustness.md must be true: each known bug has a row or is said not to be ours, and every
# file, test and planted bug that a row names is there. Prints TAP.
# shellcheck disable=SC2016 # the quoted backquotes are Markdown's
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

# complaints DOCUMENT KNOWN_BUGS: one line for each thing that is wrong.
complaints() {
	local entry row file name kind
	while read -r entry; do
		grep -qF "| $entry |" "$1" && continue
		grep -qE "^Not ours:.*\b${entry%% *}\b" "$1" || echo "no row: $entry"
	done < <(sed -n 's/^### \([0-9]* .*\)/\1/p' "$2")
	while read -r row; do
		for file in $(grep -oE '`(tests|lab)/[^`]*`' <<<"$row" | tr -d '`'); do
			[ -e "$root/$file" ] || echo "no such file: $file"
		done
		file=''
		while read -r name; do
			case $name in
			tests/*) file=$name ;;
			test_*) grep -qsw "$name" "$root/$file" || echo "not in $file: $name" ;;
			esac
		done < <(grep -oE '`[^`]*`' <<<"$row" | tr -d '`')
		while read -r kind name; do
			grep -qE "^$name\)" "$root/tests/$kind/mutate" ||
				echo "not planted by tests/$kind/mutate: $name"
		done < <(grep -oE '[RS] `[^`]*`' <<<"$row" | tr -d '`' |
			sed 's/^R /ring_model /; s/^S /simulate /')
		while read -r name; do
			grep -q "^$name|" "$root/tests/robustness/plants" ||
				echo "not in tests/robustness/plants: $name"
		done < <(grep -oE 'P `[^`]*`' <<<"$row" | tr -d '`' | sed 's/^P //')
	done < <(grep '^| ' "$1")
}

check() {
	local why
	why=$(complaints "$root/docs/robustness.md" "$root/docs/known-bugs.md")
	[ -z "$why" ] || { echo "# ${why//$'\n'/$'\n'# }"; return 1; }
}

# Each kind of lie must be found.
lies() {
	local copy edit
	copy=$(mktemp)
	for edit in '/^| 11 /d' 's/host_walk_test/host_wolk_test/' 's/test_random_walk_keeps/test_random_wolk_keeps/' \
		's/S `lost_signal`/S `lost_penny`/' 's/P `deaf_filter`/P `deaf_folder`/'; do
		sed "$edit" "$root/docs/robustness.md" >"$copy"
		if [ -z "$(complaints "$copy" "$root/docs/known-bugs.md")" ]; then
			echo "# not found: $edit"
			rm -f "$copy"
			return 1
		fi
	done
	rm -f "$copy"
}

echo 1..2
failed=0
if check; then
	echo "ok 1 - every test that is named is there; $(grep -cE '\| (–|by hand) \|$' "$root/docs/robustness.md") rows have no planted bug"
else
	echo "not ok 1 - every test that is named is there"
	failed=1
fi
if lies; then
	echo "ok 2 - a lie is found"
else
	echo "not ok 2 - a lie is found"
	failed=1
fi
exit $failed
