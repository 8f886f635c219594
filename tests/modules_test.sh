#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The kernel modules build for every kernel of the lab without a warning of compiler, modpost or
# sparse.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0

# expect NAME COMMAND... : succeeds and prints no line with "warning".
expect() {
	local name=$1 out rc=0
	shift
	out=$("$@" 2>&1) || rc=$?
	if [ $rc -ne 0 ] || grep -qi warning: <<<"$out"; then
		printf 'not ok %s # exit code %d\n# %s\n' "$name" $rc "${out//$'\n'/$'\n'# }"
		failed=1
	else
		echo "ok $name"
	fi
}

# answers_to KERNEL: with nothing but our modules installed, the names of the kernel's own lead to
# ours.
# shellcheck disable=SC2317 # expect calls it
answers_to() {
	local release dir name file rc=0
	release=$(basename "$(readlink -f "build/kernels/$1")")
	dir=$(mktemp -d)
	mkdir -p "$dir/lib/modules/$release/extra"
	cp "build/modules/$release"/*.ko "$dir/lib/modules/$release/extra"
	depmod -b "$dir" "$release" 2>/dev/null || rc=$?
	for name in vmbus storvsc netvsc; do
		file=$(modinfo -b "$dir" -k "$release" -n "hv_$name") || rc=$?
		[ "${file##*/}" = "$name.ko" ] || rc=1
	done
	rm -rf "$dir"
	return "$rc"
}

for kernel in 6.1 6.12; do
	if [ ! -d "build/kernels/$kernel/kdir" ] && ! lab/kernel "$kernel" >&2; then
		echo "skip build_$kernel # its headers could not be fetched"
		continue
	fi
	expect "build_$kernel" tools/modules "$kernel"
	expect "sparse_$kernel" tools/modules --check "$kernel"
	expect "names_$kernel" answers_to "$kernel"
done
exit $failed
