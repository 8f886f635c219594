# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Reads pictures that the host wrote, without the library that wrote them."""

import struct
import zlib


def predict(kind, left, up, corner):
    """What a filter of PNG (RFC 2083, 6) adds to a byte."""
    if kind == 4:
        guess = left + up - corner
        return min((abs(guess - value), order, value)
                   for order, value in enumerate((left, up, corner)))[2]
    return (0, left, up, (left + up) // 2)[kind]


def read_png(path):
    """Width, height and three bytes a pixel of a PNG file with 8 bits a colour and no interlace."""
    data = path.read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError(f"{path} is no PNG file")
    at, packed, head = 8, b"", None
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if data[at + 8 + length:at + 12 + length] != struct.pack(">I", zlib.crc32(name + body)):
            raise ValueError(f"{path} is damaged")
        head = struct.unpack(">IIBBBBB", body) if name == b"IHDR" else head
        packed += body if name == b"IDAT" else b""
        at += 12 + length
    width, height = head[:2]
    if head[2:] != (8, 2, 0, 0, 0):
        raise ValueError(f"{path} has another form: {head[2:]}")
    raw, lines, step = zlib.decompress(packed), [], 3 * width
    above = bytes(step)
    for y in range(height):
        kind, *line = raw[y * (step + 1):(y + 1) * (step + 1)]
        for x in range(step if kind else 0):
            left, corner = (line[x - 3], above[x - 3]) if x >= 3 else (0, 0)
            line[x] = (line[x] + predict(kind, left, above[x], corner)) & 0xFF
        above = bytes(line)
        lines.append(above)
    return width, height, b"".join(lines)
