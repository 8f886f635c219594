# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
# VNC clients: one has said half a message, one asks for pictures and does not read them, one says nothing.
ways="signal twice hang-up off failure"

row() {
	arguments=(--vnc "unix:$work/vnc") warm=4
	/usr/bin/python3 -ISc '
import socket, struct, sys, time
def client(after):
    s = socket.socket(socket.AF_UNIX)
    for _ in range(200):
        try:
            s.connect(sys.argv[1])
            break
        except OSError:
            time.sleep(0.1)
    if after is None:
        return s
    for say, length in ((b"RFB 003.008\n", 12), (b"\1", 2), (b"\1", 4)):
        s.recv(length, socket.MSG_WAITALL)
        s.sendall(say)
    s.recv(24, socket.MSG_WAITALL)
    s.sendall(after)
    return s
all = [client(None), client(struct.pack(">BBHHHH", 3, 0, 0, 0, 640, 480) * 50), client(b"\6\0\0")]
open(sys.argv[1] + ".there", "w").close()
time.sleep(600)' "$work/vnc" &
	clients=$!
}

before() {
	for _ in {1..100}; do
		[ ! -e "$work/vnc.there" ] || return 0
		sleep 0.1
	done
	problem="the clients did not come"
}

clean() {
	kill "$clients"
	wait "$clients" || true
	[ ! -e "$work/vnc" ] || problem="its socket was left"
	rm -f "$work/vnc" "$work/vnc.there"
}
