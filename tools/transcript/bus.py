# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The messages of the bus: docs/protocol/bus.md, "4 Control plane"."""
from transcript.form import PAGE, Transcript, dotted, name, raw, u8, u16, u32, width_of, zero

BUS = [(0, 13), (1, 1), (2, 4), (3, 0), (4, 0), (4, 1), (5, 0), (5, 1), (5, 2), (5, 3), (6, 0)]


def word(version):
    return version[0] << 16 | version[1]


LONGEST = 240  # bytes of a message

# 4.2
MESSAGES = {
    "OFFER_CHANNEL": 1, "RESCIND_CHANNEL_OFFER": 2, "REQUEST_OFFERS": 3, "ALL_OFFERS_DELIVERED": 4,
    "OPEN_CHANNEL": 5, "OPEN_CHANNEL_RESULT": 6, "CLOSE_CHANNEL": 7, "GPADL_HEADER": 8,
    "GPADL_BODY": 9, "GPADL_CREATED": 10, "GPADL_TEARDOWN": 11, "GPADL_TORNDOWN": 12,
    "RELID_RELEASED": 13, "INITIATE_CONTACT": 14, "VERSION_RESPONSE": 15, "UNLOAD": 16,
    "UNLOAD_COMPLETE": 17, "OPEN_RESERVED_CHANNEL": 18, "CLOSE_RESERVED_CHANNEL": 19,
    "CLOSE_RESERVED_RESPONSE": 20, "TL_CONNECT_REQUEST": 21, "MODIFY_CHANNEL": 22,
    "TL_CONNECT_RESULT": 23, "MODIFY_CHANNEL_RESPONSE": 24,
}


def message(kind, *fields):
    return [u32(MESSAGES[kind]), zero(4)] + list(fields)


def guid(text):
    a, b, c, d, e = text.split("-")
    return (bytes.fromhex(a)[::-1] + bytes.fromhex(b)[::-1] + bytes.fromhex(c)[::-1] +
            bytes.fromhex(d) + bytes.fromhex(e))


SCSI = "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"
IDE = "32412632-86cb-44a2-9b5c-50d1417354f5"


class Bus(Transcript):
    """One connection to a host whose newest version is `version`."""

    def __init__(self, version, title):
        super().__init__(title)
        self.version = version
        # 3.3: below 5.0 everything goes to connection 1, from 5.0 on where the host said.
        self.connection = "{connection}" if version >= (5, 0) else "1"
        self.pfns = 0

    def post(self, kind, *fields, comment=None, connection=None):
        self.record("g>h message " + (connection or self.connection), message(kind, *fields),
                    comment or kind)

    def tell(self, kind, *fields, comment=None):
        self.record("h>g message", message(kind, *fields), comment or kind)

    def contact(self, version):
        fields = [u32(word(version), "version " + dotted(version)), u32(0, "target VP")]
        if version >= (5, 0):
            fields += [u8(2, "target SINT"), u8(0, "target VTL"), zero(2),
                       u32(0, "feature flags" if version >= (6, 0) else "")]
        else:
            fields.append(name(8, "interrupt_page?", "interrupt page"))
        fields += [name(8, "monitor1?", "monitor page 1"), name(8, "monitor2?", "monitor page 2")]
        self.post("INITIATE_CONTACT", *fields, connection="4" if version >= (5, 0) else "1")

    def refuse(self):
        self.tell("VERSION_RESPONSE", u8(0, "not supported"), u8(0), zero(2), u32(0))

    def accept(self):
        version = self.version
        fields = [u8(1, "supported"), u8(0, "connection state: ok"), zero(2)]
        if version >= (5, 0):
            fields.append(name(4, self.connection[1:-1], "message connection id"))
        else:
            fields.append(u32(word(version), "selected version"))
        if version >= (6, 0):
            fields.append(u32(0, "feature flags of both"))
        self.tell("VERSION_RESPONSE", *fields)

    def negotiate(self, section="contact"):
        self.section(section, "the guest proposes its newest version first")
        for version in reversed(BUS):
            self.contact(version)
            if version <= self.version:
                break
            self.refuse()
        self.accept()

    def offer(self, which, interface, instance, user=bytes(120), comment="OFFER_CHANNEL",
              monitor=False):
        fields = [raw(guid(interface), "interface type"), raw(instance, "instance"), zero(8),
                  zero(8), u16(1, "flags: enumerate device interface"), u16(0, "MMIO megabytes"),
                  raw(user, "user-defined data"), u16(0, "sub-channel index"), zero(2),
                  name(4, "relid%d" % which, "channel id")]
        if monitor:
            fields += [name(1, "monitor%d?" % which, "monitor id"), u8(1, "monitor allocated")]
        else:
            fields += [u8(0xFF, "monitor id: none"), u8(0, "monitor not allocated")]
        # docs/protocol/bus.md, "4.2 Message numbers" ends the message of 0.13 here. In-tree guests
        # want the whole of it on every version, and hosts send it: what the version does not know
        # is 0.
        if self.version >= (1, 1):
            fields += [u16(1, "dedicated interrupt"),
                       name(4, "signal%d" % which, "connection id for signals")]
        else:
            fields += [u16(0, "dedicated interrupt: from 1.1"), u32(0, "connection id: from 1.1")]
        self.tell("OFFER_CHANNEL", *fields, comment=comment)

    def offers(self, section, interface, instance, user=bytes(120), monitor=False):
        self.section(section)
        self.post("REQUEST_OFFERS")
        self.offer(0, interface, instance, user, monitor=monitor)
        self.tell("ALL_OFFERS_DELIVERED")

    # 4.4: one range, in the header up to 26 page frame numbers, in each body up to 28.
    def gpadl(self, which, relid, pages):
        rest = ["pfn%d" % (self.pfns + i) for i in range(pages)]
        self.pfns += pages
        first, rest = rest[:26], rest[26:]
        fields = [name(4, relid), name(4, "gpadl%d" % which, "GPADL id"),
                  u16(8 + 8 * pages, "range buffer length"), u16(1, "range count"),
                  u32(pages * PAGE, "byte count"), u32(0, "byte offset")]
        self.post("GPADL_HEADER", *fields, *[name(8, pfn) for pfn in first])
        number_of_body = 0
        while rest:
            part, rest = rest[:28], rest[28:]
            self.post("GPADL_BODY", u32(number_of_body, "message number"),
                      name(4, "gpadl%d" % which), *[name(8, pfn) for pfn in part])
            number_of_body += 1
        self.tell("GPADL_CREATED", name(4, relid), name(4, "gpadl%d" % which), u32(0, "success"))

    # With a monitor its parameters stand before the guest hears that the channel is
    # open: docs/protocol/bus.md, "6.3 Monitor pages".
    def open(self, which, relid, ring_pages, monitor=False):
        self.gpadl(which, relid, 2 * ring_pages)
        self.post("OPEN_CHANNEL", name(4, relid), name(4, "open%d" % which, "open id"),
                  name(4, "gpadl%d" % which, "ring"), u32(0, "target VP"),
                  u32(ring_pages, "downstream ring's first page"), raw(bytes(120), "user data"))
        if monitor:
            self.record("h>g monitor {monitor%d?}" % which,
                        [name(4, "signal%d" % which, "connection id"), u16(0, "flag"), u16(0)])
        self.tell("OPEN_CHANNEL_RESULT", name(4, relid), name(4, "open%d" % which),
                  u32(0, "success"))

    def close(self, which, relid):
        self.post("CLOSE_CHANNEL", name(4, relid), comment="CLOSE_CHANNEL: no reply exists")
        self.post("GPADL_TEARDOWN", name(4, relid), name(4, "gpadl%d" % which))
        self.tell("GPADL_TORNDOWN", name(4, "gpadl%d" % which))

    def open_at(self, which, relid, processor, status):
        self.post("OPEN_CHANNEL", name(4, relid), name(4, "open%d" % which, "open id"),
                  name(4, "gpadl0", "ring"), u32(processor, "target VP"),
                  u32(SMALL_RING, "downstream ring's first page"), raw(bytes(120), "user data"))
        self.tell("OPEN_CHANNEL_RESULT", name(4, relid), name(4, "open%d" % which), status)

    def close_reserved(self):
        self.post("CLOSE_RESERVED_CHANNEL", u32(5, "channel id"), u32(0, "answer to VP"),
                  u32(2, "answer to SINT"))
        self.tell("CLOSE_RESERVED_RESPONSE", u32(5))

    # 22 and 24: from 4.1 a channel may move, from 5.3 the host says so.
    def modify(self, relid):
        self.section("modify")
        if self.version >= (4, 1):
            self.post("MODIFY_CHANNEL", name(4, relid), u32(0, "target VP"))
        if self.version >= (5, 3):
            self.tell("MODIFY_CHANNEL_RESPONSE", name(4, relid), u32(0, "success"))

    def rescind(self, which, relid):
        self.section("rescind", "of an open channel: close, tear down, release")
        self.tell("RESCIND_CHANNEL_OFFER", name(4, relid))
        self.close(which, relid)
        self.post("RELID_RELEASED", name(4, relid))

    # 1.7: from 3.0 on a host takes another contact after that.
    def again(self):
        if self.version >= (5, 0):
            self.connection = "{connection2}"
        self.negotiate("again")
        self.post("REQUEST_OFFERS")
        self.offer(2, SCSI, bytes([2] * 16))
        self.tell("ALL_OFFERS_DELIVERED")
        self.unload("unload-again")

    def unload(self, section="unload"):
        self.section(section)
        self.post("UNLOAD")
        if self.version >= (1, 1):
            self.tell("UNLOAD_COMPLETE")


# The loopback's controllers have instances of 16 equal bytes.
INSTANCE = bytes([1] * 16)
SMALL_RING = 2
LARGE_RING = 28


# Storage 1: where an IDE unit stands is in the instance and, again, in the user-defined data.
IDE_PATH, IDE_TARGET = 1, 1
IDE_INSTANCE = (IDE_PATH.to_bytes(4, "little") + IDE_TARGET.to_bytes(2, "little") +
                (0x8899).to_bytes(2, "little") + bytes(8))
IDE_USER = (bytes([0, 0, IDE_PATH, IDE_TARGET]) + bytes(4) + (0x2).to_bytes(4, "little") +
            bytes(120 - 12))


# Hyper-V's firmware of Generation 2: one contact on connection 1, with a feature and the client
# id that goes with it; SINT and trust level, which count on connection 4 only, stay 0. It speaks
# on connection 1 whatever it is told.
FIRMWARE_CLIENT = "18dd3964-3e8a-4e42-86fa-c8e6b191ee0e"
FIRMWARE_RING = 10
FEATURE_CLIENT_ID = 0x08


class Firmware(Bus):
    def __init__(self):
        super().__init__((6, 0), "VMBus 6.0: the messages of a Generation 2 machine's firmware")
        self.connection = "1"

    # 10: it fills each of these to the longest that a message can be.
    def post(self, kind, *fields, comment=None, connection=None):
        if kind == "GPADL_HEADER":
            fields += (zero(LONGEST - width_of(message(kind, *fields)), "padding"),)
        super().post(kind, *fields, comment=comment, connection=connection)


def firmware_bus():
    t = Firmware()
    t.section("contact")
    t.post("INITIATE_CONTACT", u32(word(t.version), "version 6.0"), u32(0, "target VP"),
           u8(0, "target SINT"), u8(0, "target VTL"), zero(2),
           u32(FEATURE_CLIENT_ID, "feature flags: client id"), zero(8, "no monitor pages"),
           zero(8), raw(guid(FIRMWARE_CLIENT), "client id"))
    t.tell("VERSION_RESPONSE", u8(1, "supported"), u8(0, "connection state: ok"), zero(2),
           name(4, "connection", "message connection id"), u32(0, "feature flags of both"))
    t.offers("offers", SCSI, INSTANCE)
    t.section("open", "rings of 10 pages each")
    t.open(0, "relid0", FIRMWARE_RING)
    t.unload()  # and never closes or tears down
    return t


# What other guests say and ours does not: all the bodies that there is room for, processors that
# do not exist or do not matter, channels that a crash kernel reserves. A failure is any number
# but 0.
NO_PROCESSOR = 0xFFFFFFFF


def other_guests():
    t = Bus((5, 3), "VMBus 5.3: messages that are legal and unusual")
    t.section("contact")
    t.contact(t.version)
    t.accept()
    t.offers("offers", SCSI, INSTANCE)
    t.section("surplus", "a GPADL in 15 bodies more than it needs, all zeros; one answer")
    t.gpadl(0, "relid0", 2 * SMALL_RING)
    for _ in range(15):
        t.post("GPADL_BODY", u32(0, "message number"), name(4, "gpadl0"), zero(28 * 8))
    t.section("processor", "one that does not exist is refused, none at all is not")
    t.open_at(0, "relid0", 99, name(4, "failure", "a failure"))
    t.open_at(1, "relid0", NO_PROCESSOR, u32(0, "success"))
    t.section("reserved", "the host has none; a close is answered whatever it closes")
    t.post("OPEN_RESERVED_CHANNEL", u32(5, "channel id"), u32(0, "answer to VP"),
           u32(2, "answer to SINT"), name(4, "gpadl0", "ring"), u32(SMALL_RING))
    t.tell("OPEN_CHANNEL_RESULT", u32(5), u32(0, "it has no open id"), name(4, "failure"))
    t.close_reserved()
    t.section("close")
    t.close(0, "relid0")
    t.unload()
    t.section("afterwards", "a close needs no connection")
    t.connection = "1"
    t.close_reserved()
    return t


# 4.7 and integration.md, "14 hvsock": a service or an end is a port in this GUID's first field.
def port(number):
    return guid("%08x-facb-11e6-bd58-64006a7986d3" % number)


GUEST_PORT, HOST_PORT = 0x40000001, 77
REFUSED = 0xC0000236
SILO_SINCE = (5, 2)  # offers say a version of their fields


class Sockets(Bus):
    def ask(self, number):
        self.post("TL_CONNECT_REQUEST", raw(port(GUEST_PORT + number), "the guest's end"),
                  raw(port(HOST_PORT + number), "the host's service"))

    def offer_socket(self, which, service, instance, from_host):
        user = [u32(0, "pipe: byte stream"), u8(from_host, "the host connects" if from_host else
                                                "the guest connects"), u8(0, "no container"),
                u32(1 if self.version >= SILO_SINCE else 0, "version of these fields"),
                zero(16, "silo"), zero(2)]
        self.tell("OFFER_CHANNEL", raw(service, "service"), *instance, zero(8), zero(8),
                  u16(0x2011, "flags: interface, pipe, socket"), u16(0, "MMIO megabytes"), *user,
                  zero(120 - width_of(user)), u16(0, "sub-channel index"), zero(2),
                  name(4, "relid%d" % which, "channel id"), u8(0xFF, "monitor id: none"),
                  u8(0, "monitor not allocated"), u16(1, "dedicated interrupt"),
                  name(4, "signal%d" % which, "connection id for signals"))

    # 5.7: a header, then the bytes; without bytes it is the end.
    def piece(self, way, which, text):
        self.packet(way, "{relid%d}" % which, "in-band", 0, zero(8),
                    [], [u32(1, "data"), u32(len(text), "bytes")] +
                    ([raw(text)] if text else []), "data" if text else "the end")
        self.record("g>h signal {signal%d}" % which if way == "g>h" else
                    "h>g event {relid%d}" % which, [])

    def talk(self, which):
        self.section("guest-talks-%d" % which)
        self.piece("g>h", which, b"hello")
        self.section("host-talks-%d" % which)
        self.piece("h>g", which, b"stranger")
        self.section("host-ends-%d" % which)
        self.piece("h>g", which, b"")
        self.section("guest-ends-%d" % which)
        self.piece("g>h", which, b"")

    def hang_up(self, which):
        relid = "relid%d" % which
        self.section("taken-back-%d" % which, "both have ended, and the guest has read all")
        self.tell("RESCIND_CHANNEL_OFFER", name(4, relid))
        self.close(which, relid)
        self.post("RELID_RELEASED", name(4, relid))


def sockets(version):
    t = Sockets(version, "VMBus %s: sockets" % dotted(version))
    t.ring_len = PAGE
    t.negotiate()
    t.offers("offers", SCSI, INSTANCE)
    t.section("refused", "where nobody listens" if version >= (4, 1) else
              "where nobody listens: by silence")
    t.ask(0)
    if version >= (4, 1):
        t.tell("TL_CONNECT_RESULT", raw(port(GUEST_PORT)), raw(port(HOST_PORT)), u32(REFUSED))
    t.section("dialled")
    t.ask(1)
    t.offer_socket(1, port(HOST_PORT + 1), [raw(port(GUEST_PORT + 1), "the guest's end")], 0)
    t.open(1, "relid1", SMALL_RING)
    t.talk(1)
    t.hang_up(1)
    t.position = {}
    t.section("called", "by the host; its end is any GUID")
    t.offer_socket(2, port(HOST_PORT + 2), [name(8, "end_low", "the host's end"),
                                            name(8, "end_high")], 1)
    t.open(2, "relid2", SMALL_RING)
    t.talk(2)
    t.hang_up(2)
    t.unload()
    return t


def bus(version):
    t = Bus(version, "VMBus %s: the messages" % dotted(version))
    t.negotiate()
    t.offers("offers", SCSI, INSTANCE)
    t.offers("offers-ide", IDE, IDE_INSTANCE, IDE_USER)
    t.offers("offers-monitor", SCSI, INSTANCE, monitor=True)
    t.section("open-monitor")
    t.open(0, "relid0", SMALL_RING, monitor=True)
    t.pfns = 0
    t.section("open", "rings of 2 pages each: their GPADL fits one message")
    t.open(0, "relid0", SMALL_RING)
    t.section("close")
    t.close(0, "relid0")
    t.section("open-large", "rings of 28 pages each: a header and two bodies")
    t.open(1, "relid0", LARGE_RING)
    t.modify("relid0")
    t.rescind(1, "relid0")
    t.section("hot-add")
    t.offer(1, SCSI, bytes([2] * 16), comment="OFFER_CHANNEL after ALL_OFFERS_DELIVERED")
    t.unload()
    if version >= (3, 0):
        t.again()
    return t
