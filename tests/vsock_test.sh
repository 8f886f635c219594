#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `openvmbus vsock PATH PORT` against a server that plays the machine's: what it says, what it carries,
# and how it ends. `openvmbus ssh` and `exec`: what they have ssh do, which is played here too.
# shellcheck disable=SC2317 # expect calls the functions
set -euo pipefail
cd "$(dirname "$0")/.."
openvmbus=${OPENVMBUS:-build/openvmbus}
work=$(mktemp -d)
server=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh

# Port 1 gives back what comes, then "end"; port 2 is nobody's; port 3 says something else; port 4 ends
# at once and reads nothing.
cat >"$work/server" <<'END'
import socket, sys, threading

def serve(sock):
    line = b""
    while not line.endswith(b"\n"):
        line += sock.recv(1)
    port = line.split()[1]
    if line == b"CONNECT " + port + b"\n" and port != b"2":
        sock.sendall(b"NO 3\n" if port == b"3" else b"OK " + port + b"\n")
        while port == b"1" and (piece := sock.recv(65536)):
            sock.sendall(piece)
        sock.sendall(b"end" if port == b"1" else b"")
    sock.close()

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
END
python3 "$work/server" "$work/s" &
server=$!
for _ in {1..100}; do [ ! -S "$work/s" ] || break; sleep 0.1; done

vsock() { timeout 20 "$openvmbus" vsock "$@" 2>"$work/said"; }

carries() {
	head -c 3000000 /dev/urandom >"$work/in"
	vsock "$work/s" 1 <"$work/in" >"$work/out" || return 1
	{ cat "$work/in"; printf end; } | cmp - "$work/out"
}
refused() {
	local rc=0
	vsock "$work/s" "$1" </dev/null >"$work/out" || rc=$?
	[ "$rc" = 1 ] && [ ! -s "$work/out" ] && grep -q "nobody listens at port $1 of the guest" "$work/said"
}
# Its input stays open, and nobody writes to it.
ends_with_the_guest() {
	local rc=0
	mkfifo "$work/fifo"
	exec {open}<>"$work/fifo"
	vsock "$work/s" 4 <"$work/fifo" >"$work/out" || rc=$?
	exec {open}>&-
	[ "$rc" = 0 ]
}
no_machine() {
	local rc=0
	vsock "$work/nothing" 1 </dev/null || rc=$?
	[ "$rc" = 1 ] && grep -q 'is a machine with --vsock running' "$work/said"
}
usage() {
	local rc=0
	vsock "$@" </dev/null || rc=$?
	[ "$rc" = 2 ] && [ "$(wc -l <"$work/said")" = 1 ]
}

# An ssh that says what it was given, a line each, and what comes through its ProxyCommand.
cat >"$work/ssh" <<'END'
#!/bin/sh
printf '<%s>\n' "$@"
[ "$2" != "${2#ProxyCommand=}" ] && printf hello | sh -c "exec $(printf %s "${2#ProxyCommand=}" | sed 's/%%/%/g')"
exit 42
END
chmod +x "$work/ssh"
# says VERB ARGUMENT...: in a folder whose name needs quotes.
says() {
	local rc=0
	(cd "$work" && OPENVMBUS_SSH=$work/ssh timeout 20 "$here/$openvmbus" "$@") >"$work/out" 2>"$work/said" || rc=$?
	return "$rc"
}
# The rest of the arguments, one a line, in order and beside each other.
has() {
	diff <(printf '<%s>\n' "$@") <(sed -n "/^<$1>$/,\$p" "$work/out" | head -n $#)
}
ssh_gets_what_follows() {
	local rc=0
	says ssh -p 1 's it%s' -v root@vm ls '-l a' || rc=$?
	[ "$rc" = 42 ] && has CheckHostIP=no -v root@vm ls '-l a' && grep -q 'helloend$' "$work/out"
}
# shellcheck disable=SC2016 # nothing is to expand
exec_quotes_each_argument() {
	local rc=0
	says exec -p 1 -l root -i 'a key' -o A=b 's it%s' echo 'two  words' "it's" '$HOME' '' -n || rc=$?
	[ "$rc" = 42 ] && has -l root -i 'a key' -o A=b -o "HostKeyAlias=vsock$(printf %s "$work" | tr / _)_s" -o \
		BatchMode=yes -T -- guest "'echo'" "'two  words'" "'it'\\''s'" "'\$HOME'" "''" "'-n'" &&
		grep -q 'helloend$' "$work/out" &&
		[ "$(sh -c "$(sed -n "/^<guest>$/,\$s/^<\('.*'\)>.*/\1/p" "$work/out" | tr '\n' ' ')")" = "two  words it's \$HOME  -n" ]
}
ssh_usage() {
	local rc=0
	says "$@" || rc=$?
	[ "$rc" = 2 ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/said")" = 1 ]
}
no_ssh() {
	local rc=0
	OPENVMBUS_SSH=$work/none "$openvmbus" exec s true 2>"$work/said" || rc=$?
	[ "$rc" = 1 ] && grep -q 'openssh-client' "$work/said"
}
here=$PWD
ln -s s "$work/s it%s"

expect carries_both_ways_and_ends carries
expect a_port_where_nobody_listens refused 2
expect another_answer_is_a_refusal refused 3
expect ends_when_the_guest_does ends_with_the_guest
expect without_a_machine no_machine
expect without_a_port usage "$work/s"
expect with_a_port_that_is_none usage "$work/s" 0x16
expect with_a_port_that_is_too_high usage "$work/s" 2147483648
expect ssh_is_given_what_follows_the_path ssh_gets_what_follows
expect exec_gives_each_argument_as_it_is exec_quotes_each_argument
expect ssh_without_a_name ssh_usage ssh "$work/s"
expect ssh_with_an_option_that_is_none ssh_usage ssh -z "$work/s" vm
expect exec_without_a_command ssh_usage exec "$work/s"
expect exec_with_a_port_that_is_none ssh_usage exec -p x "$work/s" true
expect exec_without_ssh no_ssh
the_end
