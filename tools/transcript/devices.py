# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Keyboard, mouse, screen and dynamic memory: the payloads of their in-band packets, as
docs/protocol/integration.md has them: "9 Dynamic memory" to "12 Video" and "16 Sequences"."""

from transcript.form import Transcript, name, raw, u16, u32, u64, u8, width_of, zero

PIPE_DATA = 1


class Device(Transcript):
    def __init__(self, title):
        super().__init__(title)
        self.text.append("# Payloads of in-band packets, without descriptor, padding and footer.\n")

    def guest(self, comment, *fields):
        self.record("g>h ring 0", fields, comment)

    def host(self, comment, *fields):
        self.record("h>g ring 0", fields, comment)


# "10 Keyboard": raw.


def keyboard():
    t = Device("Keyboard 1.0")
    t.section("open")
    t.guest("PROTOCOL REQUEST", u32(1), u32(0x00010000, "version 1.0"))
    t.host("PROTOCOL RESPONSE", u32(2), u32(1, "accepted"))
    t.section("down", "A")
    t.host("EVENT", u32(3), u16(0x1E, "make code"), zero(2), u32(0, "goes down"))
    t.section("up")
    t.host("EVENT", u32(3), u16(0x1E, "make code"), zero(2), u32(2, "break"))
    t.section("prefixed", "cursor up")
    t.host("EVENT", u32(3), u16(0x48, "make code"), zero(2), u32(4, "E0"))
    t.section("lights")
    t.guest("LED", u32(4), u16(4, "caps lock"), zero(2))
    return t


# "11 Mouse": a message pipe; the size of the inner header counts what follows it.

DESCRIPTOR = bytes.fromhex(
    "0501 0902 a101 0901 a100"  # page 1, mouse, collection app, pointer, collection physical
    "0509 1901 2905 1500 2501 9505 7501 8102"  # buttons 1..5, 0..1, 5 x 1 bit, input 2
    "9501 7503 8101"  # 3 bits of padding
    "0501 0930 0931 1500 26ff7f 7510 9502 8102"  # X, Y: 0..32767, 16 bits x 2, absolute
    "0501 0938 160180 26ff7f 7510 9501 8106"  # page 1, wheel: -32767..32767, 16 bits, relative
    "c0 c0")


def mouse():
    t = Device("Mouse 2.0")

    def message(say, comment, kind, *fields):
        length = width_of(fields)
        say(comment, u32(PIPE_DATA), u32(8 + length, "in the pipe"), u32(kind),
            u32(length, "behind this header"), *fields)

    t.section("open")
    message(t.guest, "REQUEST", 0, u32(0x00020000, "version 2.0"))
    message(t.host, "RESPONSE", 1, u32(0x00020000, "version"), u8(1, "accepted"))
    message(t.host, "DEVICE INFO", 2, u32(32, "attributes' size"), u16(0x045E, "vendor"),
            u16(0x0621, "product"), u16(1, "version"), zero(22),
            raw(bytes([9, 0x21]), "HID descriptor"), u16(0x0101), raw(bytes([0, 1, 0x22])),
            u16(len(DESCRIPTOR), "of the report descriptor"), raw(DESCRIPTOR, "report descriptor"))
    message(t.guest, "INFO ACK", 3, u8(0))
    t.section("report", "left button down, wheel down")
    message(t.host, "INPUT REPORT", 4, u8(1, "buttons"), u16(0x1234, "x"), u16(0x5678, "y"),
            u16(0xFFFF, "wheel: -1"))
    return t


# "12 Video": a message pipe; here the size of the inner header counts that header too.

VIDEO = [(3, 0), (3, 2), (3, 5)]
GPA = 0xF8000000
WIDTH, HEIGHT, PITCH = 1024, 768, 4096
RESOLUTIONS = [(800, 600), (WIDTH, HEIGHT)]


def video(version):
    t = Device("Video %d.%d" % version)
    depth = 16 if version == (3, 0) else 32

    def message(say, comment, kind, *fields):
        length = 8 + width_of(fields)
        say(comment, u32(PIPE_DATA), u32(length, "in the pipe"), u32(kind),
            u32(length, "with this header"), *fields)

    def picture():
        message(t.guest, "POINTER POSITION", 7, u8(1, "visible"), u8(0, "output"), u32(0), u32(0))
        message(t.guest, "POINTER SHAPE", 8, u8(255, "the only part"), u8(1, "with alpha"),
                u32(1, "width"), u32(1, "height"), u32(0), u32(0), zero(4, "nothing to see"))
        message(t.guest, "SITUATION", 5, zero(8, "context"), u8(1, "outputs"), u8(1, "active"),
                u32(0, "offset"), u8(depth), u32(WIDTH), u32(HEIGHT), u32(PITCH))
        message(t.host, "SITUATION ACK", 6, zero(8, "context"))

    t.section("open")
    for tried in reversed(VIDEO):
        if tried < version:
            break
        accepted = int(tried == version)
        number = (tried[1] << 16) + tried[0]
        message(t.guest, "VERSION REQUEST", 1, u32(number, "%d.%d" % tried))
        message(t.host, "VERSION RESPONSE", 2, u32(number), u8(accepted, "accepted"),
                u8(1, "outputs"))
    if version >= (3, 5):
        message(t.guest, "SUPPORTED RESOLUTIONS REQUEST", 13, u8(64, "at most"))
        message(t.host, "SUPPORTED RESOLUTIONS RESPONSE", 14, zero(128, "no EDID"),
                u8(len(RESOLUTIONS)), u8(1, "the default"), u8(0, "not standard"),
                *[u16(side) for one in RESOLUTIONS for side in one])
    t.section("place")
    message(t.guest, "VRAM LOCATION", 3, name(8, "context?", "context"), u8(1, "specified"),
            u64(GPA))
    message(t.host, "VRAM ACK", 4, name(8, "context?", "context"))
    t.section("show")
    picture()
    message(t.host, "FEATURE CHANGE", 9, u8(1, "dirt is wanted"), u8(1), u8(1), u8(1))
    picture()
    t.section("draw")
    message(t.guest, "DIRT", 10, u8(0, "output"), u8(1, "rectangles"), u32(16, "left"),
            u32(32, "top"), u32(48, "right"), u32(64, "bottom"))
    return t


# "9 Dynamic memory": raw.

BALLOON = [("0.3", 0x00000003), ("1.0", 0x00010000), ("2.0", 0x00020000)]
CAPS = 1 | 2 | 7 << 2
PAGE_MAX = 1 << 20


def extent(first, count, comment=""):
    return u64(first | count << 40, comment)


def balloon(index):
    t = Device("Dynamic memory %s" % BALLOON[index][0])
    count = {"guest": 0, "host": 0}

    def message(who, comment, kind, *fields):
        count[who] += 1
        getattr(t, who)(comment, u16(kind), u16(8 + width_of(fields), "size"),
                        name(4, "%s%d?" % (who, count[who]), "transaction"), *fields)

    t.section("open")
    for tried in range(len(BALLOON) - 1, index - 1, -1):
        text, number = BALLOON[tried]
        message("guest", "VERSION REQUEST", 1, u32(number, text), u32(int(tried == 0),
                                                                      "the last" if tried == 0 else ""))
        message("host", "VERSION RESPONSE", 2, u64(int(tried == index), "accepted"))
    message("guest", "CAPABILITIES", 3, u64(CAPS, "balloon, hot-add by 128 MiB"), u64(0), raw(b"\xff" * 8))
    message("host", "CAPABILITIES RESPONSE", 4, u64(1, "accepted"))
    if index:
        message("host", "INFO", 12, u32(0), u32(16, "size of what follows"), u32(0, "most pages"), u32(8),
                u64(PAGE_MAX))
    t.section("status")
    message("guest", "STATUS", 5, u64(1000, "available"), u64(2000, "committed"), u64(3), u64(4), u32(5),
            u32(6))
    t.section("give")
    message("host", "BALLOON REQUEST", 6, u32(1024, "pages"), u32(0))
    message("guest", "BALLOON RESPONSE", 7, u32(0), u32(1 | 1 << 1, "more; 1 range"), extent(512, 512))
    message("guest", "BALLOON RESPONSE", 7, u32(0), u32(1 << 1, "1 range, the last"), extent(2048, 256))
    t.section("return")
    message("host", "UNBALLOON REQUEST", 8, u32(0, "no more"), u32(2, "ranges"), extent(512, 512),
            extent(2048, 256))
    message("guest", "UNBALLOON RESPONSE", 9)
    t.section("add")
    region = [extent(0x40000, 0x40000, "of what will come")] if index else []
    message("host", "HOT ADD REQUEST", 10, extent(0x40000, 0x8000, "128 MiB at 1 GiB"), *region)
    message("guest", "HOT ADD RESPONSE", 11, u32(0x8000, "pages"), u32(1, "ok"))
    return t
