#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""rfb.py PATH|PORT picture FILE | type TEXT

A VNC client out of Python's own library (RFC 6143), to look at the host's server: writes the whole
picture, three bytes a pixel after a line with its size, or types TEXT and Return."""

import socket
import struct
import sys
import time

SIZE = -223  # the encoding of a new size
RETURN = 0xFF0D


class Client:
    def __init__(self, where):
        if where.isdigit():
            self.socket = socket.create_connection(("127.0.0.1", int(where)), 60)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(where)
        self.socket.settimeout(120)
        if self.get(12) != b"RFB 003.008\n":
            raise ValueError("not RFB 3.8")
        self.put(b"RFB 003.008\n")
        types = self.get(self.get(1)[0])
        if 1 not in types:
            raise ValueError(f"it wants a password: {types}")
        self.put(b"\1")
        if self.get(4) != bytes(4):
            raise ValueError("refused")
        self.put(b"\1")
        self.width, self.height = struct.unpack(">HH", self.get(4))
        self.get(16)
        self.name = self.get(struct.unpack(">I", self.get(4))[0]).decode()
        self.put(struct.pack(">B3xBBBBHHHBBB3x", 0, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0))
        self.put(struct.pack(">BxHii", 2, 2, 0, SIZE))
        self.pixels = bytearray(4 * self.width * self.height)

    def get(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError("the server has closed the connection")
            data += more
        return data

    def put(self, data):
        self.socket.sendall(data)

    def update(self, incremental):
        """Asks, and takes what comes."""
        self.put(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))
        if self.get(1) != b"\0":
            raise ValueError("something else than an update")
        for _ in range(struct.unpack(">xH", self.get(3))[0]):
            x, y, width, height, encoding = struct.unpack(">HHHHi", self.get(12))
            if encoding == SIZE:
                self.width, self.height = width, height
                self.pixels = bytearray(4 * width * height)
                continue
            data = self.get(4 * width * height)
            for line in range(height):
                at = 4 * ((y + line) * self.width + x)
                self.pixels[at:at + 4 * width] = data[4 * width * line:4 * width * (line + 1)]

    def picture(self):
        """Of a screen that stands still: three bytes a pixel."""
        self.update(False)
        blue, green, red = (self.pixels[i::4] for i in range(3))
        data = bytearray(3 * self.width * self.height)
        data[0::3], data[1::3], data[2::3] = red, green, blue
        return data

    def key(self, symbol):
        for down in (1, 0):
            self.put(struct.pack(">BBxxI", 4, down, symbol))

    def type(self, text):
        for character in text:
            self.key(ord(character))
            time.sleep(0.05)
        self.key(RETURN)
        time.sleep(1)  # the server has read it before this client is gone


if __name__ == "__main__":
    client = Client(sys.argv[1])
    if sys.argv[2] == "type":
        client.type(sys.argv[3])
    else:
        with open(sys.argv[3], "wb") as file:
            picture = client.picture()
            file.write(f"{client.width} {client.height}\n".encode() + picture)
