#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# tools/seeds: the same seeds make the same archive, whoever packs them and when; a seed that is added
# is there, once; and the archives of the tree are as it makes them, with a target for each.
# shellcheck disable=SC2317 # check calls them
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export SEEDS=$scratch/corpus
failed=0

# check NAME COMMAND...
check() {
	local name=$1
	shift
	if "$@" >"$scratch/out" 2>&1; then
		echo "ok $name"
	else
		sed 's/^/# /' "$scratch/out"
		echo "not ok $name"
		failed=1
	fi
}

seeds() {
	"$root/tools/seeds" "$@"
}

# Other order in the folder, other time, other rights.
packs_alike() {
	mkdir -p "$scratch/a" "$scratch/b"
	(cd "$scratch/a" && printf 1 >one && printf 2 >two && printf 3 >Three)
	(cd "$scratch/b" && umask 077 && printf 3 >Three && printf 2 >two && printf 1 >one)
	touch -d 2001-01-01 "$scratch/b/"*
	seeds --pack a "$scratch/a"
	seeds --pack b "$scratch/b"
	cmp "$SEEDS/a.tar" "$SEEDS/b.tar"
}

unpacks_what_was_packed() {
	mkdir -p "$scratch/c"
	touch "$scratch/c/stale"
	seeds --unpack a "$scratch/c"
	diff -r "$scratch/a" "$scratch/c"
}

# By contents: under two names it is one seed; what was there stays.
adds_once() {
	printf new >"$scratch/x"
	cp "$scratch/x" "$scratch/y"
	seeds a "$scratch/x" "$scratch/y"
	seeds --unpack a "$scratch/c"
	[ "$(find "$scratch/c" -type f | wc -l)" = 4 ] || return 1
	cmp "$scratch/x" "$scratch/c/$(sha1sum <"$scratch/x" | cut -c1-10)" || return 1
	cp "$SEEDS/a.tar" "$scratch/before.tar"
	seeds a "$scratch/y"
	cmp "$SEEDS/a.tar" "$scratch/before.tar"
}

# refused WORDS... : exit code 2, and the archive stays.
refused() {
	local rc=0
	seeds "$@" || rc=$?
	[ "$rc" = 2 ] && cmp "$SEEDS/a.tar" "$scratch/before.tar"
}

no_archive_is_no_seed() {
	seeds --unpack none "$scratch/d"
	[ -d "$scratch/d" ] && [ -z "$(ls -A "$scratch/d")" ]
}

tree_is_packed() {
	local archive target SEEDS
	for archive in "$root"/fuzz/corpus/*.tar; do
		target=$(basename "$archive" .tar)
		[ -e "$root/fuzz/${target}_fuzz.c" ] || { echo "$target: no such target"; return 1; }
		SEEDS=$root/fuzz/corpus seeds --unpack "$target" "$scratch/tree"
		SEEDS=$scratch/corpus seeds --pack "$target" "$scratch/tree"
		cmp "$archive" "$scratch/corpus/$target.tar" || return 1
	done
}

check same_seeds_make_the_same_archive packs_alike
check folder_has_the_seeds_and_nothing_else unpacks_what_was_packed
check added_seed_is_there_once adds_once
check missing_file_is_refused refused a "$scratch/nothing"
check empty_folder_is_refused refused --pack a "$(mktemp -d -p "$scratch")"
check odd_target_is_refused refused ../a "$scratch/x"
check target_without_archive_has_no_seeds no_archive_is_no_seed
check archives_of_the_tree_are_as_packed tree_is_packed
exit $failed
