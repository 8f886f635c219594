# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
# A server of a disk takes the connection and says nothing: the guest has not started yet.
ways="signal hang-up"

row() {
	/usr/bin/python3 -ISc '
import signal, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
signal.pause()' "$work/socket" &
	server=$!
	while [ ! -S "$work/socket" ]; do sleep 0.1; done
	arguments=(--disk "nbd+unix:///?socket=$work/socket")
}

clean() {
	kill "$server"
	wait "$server" || true
	rm "$work/socket"
}
