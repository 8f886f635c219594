# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034
# For tests that are commands with names; sourced. $failed is the exit code at the end.
failed=0

# expect NAME COMMAND...: ok if it succeeds; else with what it printed.
expect() {
	local name=$1 said
	shift
	if said=$("$@" 2>&1); then
		echo "ok $name"
	else
		printf 'not ok %s\n# %s\n' "$name" "${said//$'\n'/$'\n'# }"
		failed=1
	fi
}
