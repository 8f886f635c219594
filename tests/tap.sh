# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# How the shell tests say what is true: lines of TAP. Read by a test that has set work, a folder of
# its own; the last thing that the test does is the_end.

number=0 failures=0
shown=() # files that say more of every result which is not ok

# result CODE NAME [FILE...]: one line, ok if the code is 0; else with what the files say. Is true
# either way, so that "A && result 0 B || result 1 B" is an if.
result() {
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number - $2"
		return
	fi
	failures=$((failures + 1))
	echo "not ok $number - $2"
	sed -s 's/^/# /' /dev/null "${@:3}" "${shown[@]}"
}

# expect NAME COMMAND...: holds when the command succeeds.
expect() {
	local name=$1 code=0
	shift
	"$@" >"$work/said" 2>&1 || code=1
	result $code "$name" "$work/said"
}

# the_end: how many results there were; ends the test.
the_end() {
	echo "1..$number"
	exit $((failures > 0))
}
