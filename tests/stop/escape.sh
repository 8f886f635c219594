# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
# The escape key of a terminal, once while somebody reads what the guest prints, once while nobody does.
ways="read unread"
codes[read]=6 codes[unread]=6

row() {
	/usr/bin/python3 -IS "$tests/stop/typist" "$work/terminal" "$1" &
	terminal=$!
	while [ ! -s "$work/terminal" ]; do sleep 0.1; done
	in=$(<"$work/terminal") out=$(<"$work/terminal")
	kernel=flood warm=3
}

end_read() { kill -USR1 "$terminal"; }
end_unread() { kill -USR1 "$terminal"; }

clean() {
	kill "$terminal"
	wait "$terminal" || true
	rm "$work/terminal"
}
