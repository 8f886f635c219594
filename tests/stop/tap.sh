# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
# This machine floods a card on a tap, and the guest takes nothing.
ways="signal twice hang-up off failure"

row() {
	arguments=(--net tap=stop0) warm=4
	/usr/bin/python3 -ISc '
import socket, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
for _ in range(100):
    try:
        s.bind(("stop0", 0))
        break
    except OSError:
        time.sleep(0.1)
while True:
    try:
        s.send(b"\xff" * 6 + b"\x02" + bytes(5) + b"\x88\xb5" + bytes(1400))
    except OSError:
        time.sleep(0.01)' &
	flood=$!
}

clean() {
	kill "$flood"
	wait "$flood" || true
}
