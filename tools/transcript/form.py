# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The form of a transcript: fields, records, packets of a ring."""

PAGE = 4096

# Types of packets, and their one flag: docs/protocol/bus.md, "5.2 Packets".
PACKETS = {"in-band": 6, "transfer pages": 7, "GPA direct": 9, "completion": 11}
COMPLETION_REQUESTED = 1

LICENCE = "# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n"


# Fields are (width in bytes, text, comment).


def raw(data, comment=""):
    return (len(data), " ".join("%02x" % b for b in data), comment)


def number(width, value, comment=""):
    return raw(value.to_bytes(width, "little"), comment)


def u8(value, comment=""):
    return number(1, value, comment)


def u16(value, comment=""):
    return number(2, value, comment)


def u32(value, comment=""):
    return number(4, value, comment)


def u64(value, comment=""):
    return number(8, value, comment)


def zero(width, comment=""):
    return raw(bytes(width), comment)


def name(width, text, comment=""):
    return (width, "{%s:%d}" % (text, width), comment)


def width_of(fields):
    return sum(field[0] for field in fields)


class Transcript:
    def __init__(self, title):
        self.text = [LICENCE, "# %s\n" % title,
                     "# Written by tools/transcripts from docs/protocol/: do not edit.\n"]
        self.position = {}  # by way and channel: where the next packet of that ring starts
        self.ring_len = 0

    def section(self, title, comment=""):
        self.text.append("\n== %s%s\n" % (title, "  # " + comment if comment else ""))

    def record(self, head, fields, comment=""):
        self.text.append("%s%s\n" % (head, "  # " + comment if comment else ""))
        words = []
        for _, text, note in fields:
            if note and words:
                self.lines(words, "")
                words = []
            words += text.split(" ")
            if note:
                self.lines(words, note)
                words = []
        self.lines(words, "")

    def lines(self, words, note):
        for at in range(0, len(words), 16):
            line = "  " + " ".join(words[at:at + 16])
            if note and at == 0:
                line = "%-51s # %s" % (line, note)
            self.text.append(line + "\n")

    # A packet of a ring (docs/protocol/bus.md, "5.2 Packets"): descriptor, header, payload, padding, footer.
    def packet(self, way, channel, kind, flags, transaction, header, payload, comment=""):
        head_len = 16 + width_of(header)
        body_len = width_of(payload)
        padding = -body_len % 8
        length = head_len + body_len + padding
        fields = [u16(PACKETS[kind], kind), u16(head_len // 8, "payload at, in qwords"),
                  u16(length // 8, "length in qwords"),
                  u16(flags, "completion requested" if flags else ""), transaction]
        fields += header + payload
        if padding:
            fields.append(zero(padding, "padding"))
        at = self.position.get((way, channel), 0)
        fields += [u32(0), u32(at, "footer: where this packet starts")]
        self.position[way, channel] = (at + length + 8) % self.ring_len
        self.record("%s ring %s" % (way, channel), fields, comment)

    def write(self):
        return "".join(self.text)


def dotted(version):
    return "%d.%d" % version


def pattern(length):
    return bytes((i * 7 + i // 256) & 0xFF for i in range(length))
