# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The rings of a network card: docs/protocol/network.md."""
from transcript.form import (COMPLETION_REQUESTED, PAGE, Transcript, name, pattern, raw, u8, u16,
                             u32, u64, width_of, zero)

NETWORK = [("1", 0x00000002), ("2", 0x00030002), ("4", 0x00040000), ("5", 0x00050000),
           ("6", 0x00060000), ("6.1", 0x00060001)]
MTU = 1500
RECEIVE_LEN = 2 << 20
SUBALLOCATION = 256 + MTU + 14 + 36
NOT_SUPPORTED = 0xC00000BB
RECEIVE_BUFFER_ID = 0xCAFE  # the guest's choice, and everybody's

# 4 and 5
MESSAGES = {
    "INIT": 1, "INIT_COMPLETE": 2, "SEND_NDIS_VERSION": 100, "SEND_RECEIVE_BUFFER": 101,
    "SEND_RECEIVE_BUFFER_COMPLETE": 102, "REVOKE_RECEIVE_BUFFER": 103, "SEND_SEND_BUFFER": 104,
    "SEND_SEND_BUFFER_COMPLETE": 105, "REVOKE_SEND_BUFFER": 106, "SEND_RNDIS_PACKET": 107,
    "SEND_RNDIS_PACKET_COMPLETE": 108, "SEND_NDIS_CONFIG": 125, "SUBCHANNEL": 133,
    "SEND_INDIRECTION_TABLE": 134,
}
CHANNEL_TYPES = {"data": 0, "control": 1}
NO_SECTION = u32(0xFFFFFFFF, "no section")
GOOD = u32(1, "success")
CAP_802_1Q, CAP_TEAMING, CAP_RSC = 0x08, 0x20, 0x80

# 8: RNDIS messages; object identifiers; a status that is indicated
RNDIS = {
    "PACKET": 1, "INITIALIZE": 2, "HALT": 3, "QUERY": 4, "SET": 5, "INDICATE_STATUS": 7,
    "INITIALIZE_CMPLT": 0x80000002, "QUERY_CMPLT": 0x80000004, "SET_CMPLT": 0x80000005,
}
OIDS = {
    "maximum frame size": 0x00010106,
    "permanent address": 0x01010101,
    "link speed, 100 bit/s": 0x00010107,
    "offload capabilities": 0xFC01020D,
    "offload parameters": 0xFC01020C,
    "media connect status": 0x00010114,
    "receive scale capabilities": 0x00010203,
    "receive scale parameters": 0x00010204,
    "packet filter": 0x0001010E,
}
OFFLOAD_CURRENT_CONFIG = 0x40020006

# 9: per-packet information, and what it says
INFO_CHECKSUM, INFO_VLAN, INFO_HASH_VALUE, INFO_HASH_TYPE = 0, 6, 8, 9
INFO_PACKET_ID = 0x80000001
RECEIVED_TCP_GOOD_SUM_STALE = 0x88
HASH_TCP_IPV4_TOEPLITZ = 0x201
FRAGMENT, FIRST_FRAGMENT, LAST_FRAGMENT = 1, 2, 4

# 10: objects of NDIS, and hash types of receive scaling
OBJECT_DEFAULT, OBJECT_OFFLOAD = 0x80, 0xA7
OBJECT_RSS_CAPABILITIES, OBJECT_RSS_PARAMETERS = 0x88, 0x89
HASH_TYPES = 0x100 | 0x200 | 0x400 | 0x1000  # IPv4, TCP over it, IPv6, TCP over it
TOEPLITZ = 1
FILTER_OF_LINUX = 0x0B  # directed, multicast, broadcast
MAC = bytes([0x00, 0x15, 0x5D, 0x01, 0x02, 0x03])
KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c"
                    "6a42b73bbeac01fa")


def channel(kind):
    return u32(CHANNEL_TYPES[kind], kind)


def rndis(kind):
    return u32(RNDIS[kind], kind)


def frame(length, to, source):
    return to + source + bytes([0x88, 0xB5]) + pattern(length - 14)


class Network(Transcript):
    """One card's channels; network 3 to 13."""

    def __init__(self, index):
        self.name, self.word = NETWORK[index]
        super().__init__("NVSP %s: a network card's rings" % self.name)
        self.index = index
        self.ring_len = PAGE
        self.transactions = self.requests = self.slots = self.sections = self.pages = 0
        self.queues = 2 if self.since("5") else 1
        self.rsc = self.since("6.1")
        self.asking = index  # whose message length is used

    def since(self, version):
        return self.index >= [known for known, _ in NETWORK].index(version)

    # 3: 28 bytes up to version 6, then 40; a host pads 28 to 32.
    def message(self, of_host, kind, *fields, minimum=0):
        body = [u32(MESSAGES[kind], kind)] + list(fields)
        new = NETWORK[self.asking][0] == "6.1"
        length = max(minimum, 40 if new else 32 if of_host else 28)
        rest = length - width_of(body)
        return body + ([zero(rest)] if rest else [])

    def send(self, kind, *fields, wanted=True, header=None, queue=0, comment=""):
        self.transactions += 1
        transaction = name(8, "transaction%d" % self.transactions, "transaction id")
        self.packet("g>h", str(queue), "GPA direct" if header else "in-band",
                    COMPLETION_REQUESTED if wanted else 0, transaction, header or [],
                    self.message(False, kind, *fields), comment or kind)
        return transaction

    def guest_signals(self, queue=0, maybe=False):
        self.record("g>h signal%s %d" % ("?" if maybe else "", queue), [])

    def complete(self, transaction, kind, *fields, queue=0, minimum=0):
        self.packet("h>g", str(queue), "completion", 0, transaction, [],
                    self.message(True, kind, *fields, minimum=minimum), kind)

    def host_signals(self, queue=0, maybe=False):
        self.record("h>g event%s %d" % ("?" if maybe else "", queue), [])

    # 6: one message a suballocation, in a packet that names them all.
    def give(self, channel_type, messages, queue=0, comment=""):
        first = self.slots + 1
        ranges = []
        for fields in messages:
            self.slots += 1
            self.record("h>g suballocation {slot%d?}" % self.slots, fields, comment)
            ranges += [u32(width_of(fields), "byte count"),
                       name(4, "offset%d?" % self.slots, "byte offset")]
        header = [u16(RECEIVE_BUFFER_ID, "receive buffer"), u8(0), u8(0),
                  u32(len(messages), "ranges")]
        self.packet("h>g", str(queue), "transfer pages", COMPLETION_REQUESTED,
                    name(8, "slot%d?" % first, "transaction id"),
                    header + ranges,
                    self.message(True, "SEND_RNDIS_PACKET", channel(channel_type),
                                 NO_SECTION, u32(0)))
        return first

    def acknowledge(self, slot, queue=0):
        self.packet("g>h", str(queue), "completion", 0,
                    name(8, "slot%d?" % slot, "transaction id"), [],
                    [u32(MESSAGES["SEND_RNDIS_PACKET_COMPLETE"]), GOOD],
                    "SEND_RNDIS_PACKET_COMPLETE")

    # ---- the handshake, in Linux' order: docs/protocol/network.md, "4 Guest initialisation" ----

    def negotiate(self):
        for index in reversed(range(len(NETWORK))):
            self.asking = index
            word = NETWORK[index][1]
            transaction = self.send("INIT", u32(word, "version " + NETWORK[index][0]), u32(word))
            self.guest_signals()
            status = 1 if index == self.index else 0
            self.complete(transaction, "INIT_COMPLETE", u32(2 if index == 0 else 0xFFFFFFFF),
                          u32(34, "longest MDL chain"), u32(status, ("none", "success")[status]))
            self.host_signals()
            if status:
                break

    def config(self):
        if self.since("2"):
            caps = (CAP_802_1Q | (CAP_TEAMING if self.since("5") else 0) |
                    (CAP_RSC if self.rsc else 0))
            self.send("SEND_NDIS_CONFIG", u32(MTU + 14, "MTU with the Ethernet header"), u32(0),
                      u64(caps, "802.1Q" + (", teaming" if self.since("5") else "") +
                          (", RSC" if self.rsc else "")), wanted=False)
        # The driver of 2009, who alone speaks version 1 only, is one of NDIS 5.0.
        major, minor = (6, 30) if self.since("5") else (6, 1) if self.since("2") else (5, 0)
        self.send("SEND_NDIS_VERSION", u32(major, "NDIS major"), u32(minor, "minor"), wanted=False)

    def buffers(self):
        transaction = self.send("SEND_RECEIVE_BUFFER", name(4, "receive_gpadl", "GPADL"),
                                u16(RECEIVE_BUFFER_ID, "id"))
        self.guest_signals()
        count = RECEIVE_LEN // SUBALLOCATION
        self.complete(transaction, "SEND_RECEIVE_BUFFER_COMPLETE", GOOD, u32(1, "sections"),
                      u32(0, "offset"),
                      u32(SUBALLOCATION, "suballocation size"), u32(count, "suballocations"),
                      u32(count * SUBALLOCATION, "end offset"))
        self.host_signals()
        transaction = self.send("SEND_SEND_BUFFER", name(4, "send_gpadl", "GPADL"), u16(0, "id"))
        self.guest_signals()
        self.complete(transaction, "SEND_SEND_BUFFER_COMPLETE", GOOD, u32(6144, "section size"))
        self.host_signals()

    # ---- docs/protocol/network.md, "8 RNDIS" ----

    # A request, and the replies that follow it in the host's next turn; they are acknowledged with
    # what comes next.
    # behind, unread: something may be in that ring already, and then nobody signals
    # (docs/protocol/bus.md, "5.4 Producer").
    def control(self, fields, *replies, comment="", behind=False, unread=False):
        length = width_of(fields)
        self.record("g>h memory {control} 0", fields, comment)
        transaction = self.send("SEND_RNDIS_PACKET", channel("control"), NO_SECTION, u32(0),
                                header=[zero(4), u32(1, "ranges"), u32(length, "byte count"),
                                        u32(0, "byte offset"), name(8, "control")],
                                comment="SEND_RNDIS_PACKET")
        self.guest_signals(maybe=behind)
        self.complete(transaction, "SEND_RNDIS_PACKET_COMPLETE", GOOD)
        slots = [self.give("control", [reply]) for reply in replies]
        self.host_signals(maybe=unread)
        for slot in slots:
            self.acknowledge(slot)

    def request(self):
        self.requests += 1
        return name(4, "request%d" % self.requests, "request id")

    def initialize(self):
        request = self.request()
        self.control([rndis("INITIALIZE"), u32(24, "length"), request, u32(1, "major"),
                      u32(0, "minor"), u32(0x4000, "longest transfer")],
                     [rndis("INITIALIZE_CMPLT"), u32(52, "length"), request,
                      u32(0, "success"), u32(1, "major"), u32(0, "minor"),
                      u32(1, "connectionless"), u32(0, "802.3"), u32(8, "packets a message"),
                      name(4, "longest_transfer", "longest transfer"),
                      u32(3, "alignment, log2"), u32(0), u32(0)], comment="RNDIS INITIALIZE")

    # The message is padded to 4 bytes, which nobody forbids; the buffer's own length is exact.
    def oid(self, kind, oid, request, data):
        padding = -len(data) % 4
        fields = [rndis(kind),
                  u32(28 + len(data) + padding, "length"), request, u32(OIDS[oid], "OID"),
                  u32(len(data), "buffer length"), u32(20, "buffer offset"), u32(0)]
        return fields + ([raw(data)] if data else []) + ([zero(padding)] if padding else [])

    def query(self, oid, answer, data=b"", status=0):
        request = self.request()
        reply = [rndis("QUERY_CMPLT"), u32(24 + len(answer), "length"), request,
                 u32(status, "status"), u32(len(answer), "buffer length"),
                 u32(16, "buffer offset")]
        self.control(self.oid("QUERY", oid, request, data),
                     reply + ([raw(answer)] if answer else []),
                     comment="QUERY " + oid)

    def set(self, oid, data, *more, behind=False, unread=False):
        request = self.request()
        self.control(self.oid("SET", oid, request, data),
                     [rndis("SET_CMPLT"), u32(16, "length"), request,
                      u32(0, "success")], *more, comment="SET " + oid, behind=behind,
                     unread=unread)

    # 10.1, empty in a question
    def offload(self, full):
        revision = 3 if self.since("5") else 2 if self.since("4") else 1
        size = {1: 112, 2: 144, 3: 156}[revision]
        data = bytearray(size)
        data[0:4] = bytes([OBJECT_OFFLOAD, revision]) + size.to_bytes(2, "little")
        if not full:
            return bytes(data)
        words = [2, 0x155, 2, 0x155, 2, 0x55, 2, 0x55]
        data[4:36] = b"".join(w.to_bytes(4, "little") for w in words)
        words = [2, 0xF53C, 2, 2, 0xF53C, 2, 5]
        data[80:108] = b"".join(w.to_bytes(4, "little") for w in words)
        if self.rsc:
            data[144:146] = b"\1\1"
        return bytes(data)

    # docs/protocol/network.md, "10.2 Offload parameters": checksums both ways (4), large
    # sends on (2)
    def offload_parameters(self):
        new = self.since("5")
        size = 28 if new else 22
        data = bytearray(size)
        data[0:4] = bytes([OBJECT_DEFAULT, 3 if new else 2]) + size.to_bytes(2, "little")
        data[4:9] = bytes([4] * 5)
        data[11:13] = bytes([2, 2])
        if self.rsc:
            data[22:24] = bytes([2, 2])
        return bytes(data)

    def rndis(self):
        self.initialize()
        self.query("maximum frame size", MTU.to_bytes(4, "little"))
        self.query("permanent address", MAC)
        self.query("link speed, 100 bit/s", (100000000).to_bytes(4, "little"))
        if self.since("2"):
            self.query("offload capabilities", self.offload(True),
                       self.offload(False))
            config = self.offload(True)
            self.set("offload parameters", self.offload_parameters(),
                     [rndis("INDICATE_STATUS"), u32(20 + len(config), "length"),
                      u32(OFFLOAD_CURRENT_CONFIG, "offload current config"), u32(len(config)),
                      u32(12),
                      raw(config)])
        else:
            # NDIS 5.0 has no such thing.
            self.query("offload capabilities", b"", self.offload(False),
                       NOT_SUPPORTED)
        self.query("media connect status", bytes(4))
        if self.since("5"):
            head = bytes([OBJECT_RSS_CAPABILITIES, 2, 18, 0])
            caps = (head + (0x301).to_bytes(4, "little") + (2).to_bytes(4, "little") +
                    (2).to_bytes(4, "little") + (128).to_bytes(2, "little"))
            self.query("receive scale capabilities", caps, head + bytes(14))

    # One sub-channel; the host then says which frames leave by which channel:
    # docs/protocol/network.md, "11 Sub-channels", "10.5 Send indirection table".
    def subchannels(self):
        transaction = self.send("SUBCHANNEL", u32(1, "allocate"), u32(1, "channels"))
        self.guest_signals()
        self.complete(transaction, "SUBCHANNEL", GOOD, u32(1, "channels"), minimum=40)
        self.host_signals()
        table = [u32(MESSAGES["SEND_INDIRECTION_TABLE"], "SEND_INDIRECTION_TABLE"),
                 u32(16, "entries"), u32(12, "offset")]
        table += [raw(b"".join((i % 2).to_bytes(4, "little") for i in range(16)))]
        self.packet("h>g", "0", "in-band", 0, zero(8), [], table, "SEND_INDIRECTION_TABLE")
        self.host_signals()
        rss = (bytes([OBJECT_RSS_PARAMETERS, 2]) + (40).to_bytes(2, "little") + bytes(4) +
               (HASH_TYPES | TOEPLITZ).to_bytes(4, "little") +
               (512).to_bytes(2, "little") + bytes(2) + (40).to_bytes(4, "little") +
               (40).to_bytes(2, "little") + bytes(2) + (552).to_bytes(4, "little") + bytes(12))
        rss += b"".join((i % 2).to_bytes(4, "little") for i in range(128)) + KEY
        self.set("receive scale parameters", rss, unread=True)

    def filter(self, value, behind=False):
        self.set("packet filter", value.to_bytes(4, "little"), behind=behind)

    # ---- frames: docs/protocol/network.md, "9 RNDIS packets" ----

    def envelope(self, length, infos, data_at, whole):
        info = b"".join((16).to_bytes(4, "little") + kind.to_bytes(4, "little") +
                        (12).to_bytes(4, "little") + value.to_bytes(4, "little")
                        for kind, value in infos)
        fields = [rndis("PACKET"), u32(whole, "length"),
                  u32(data_at - 8, "data offset"), u32(length, "data length"), zero(12),
                  u32(36 if info else 0, "info offset"), u32(len(info), "info length"), zero(8)]
        return fields + ([raw(info, "per-packet information")] if info else [])

    # A whole frame in a section, padded to the host's alignment.
    def packet_message(self, data, infos):
        head = 44 + 16 * len(infos)
        padding = -(head + len(data)) % 8
        fields = self.envelope(len(data), infos, head, head + len(data) + padding)
        return fields + [raw(data, "frame")] + ([zero(padding, "padding")] if padding else [])

    def send_section(self, fields, queue=0, header=None, memory=None):
        self.sections += 1
        section = "section%d?" % self.sections
        self.record("g>h section {%s}" % section, fields)
        if memory:
            self.record(*memory)
        transaction = self.send("SEND_RNDIS_PACKET", channel("data"), name(4, section, "section"),
                                u32(width_of(fields), "bytes of it"), queue=queue, header=header)
        self.guest_signals(queue)
        self.complete(transaction, "SEND_RNDIS_PACKET_COMPLETE", GOOD, queue=queue)
        self.host_signals(queue)

    def send_pages(self):
        data = frame(600, MAC, MAC)
        inline, rest = data[:40], data[40:]
        fields = self.envelope(len(data), [], 44, 44 + len(data)) + [raw(inline, "frame")]
        header = [zero(4), u32(1, "ranges"), u32(len(rest), "byte count"),
                  u32(0x123, "byte offset"), name(8, "page1")]
        self.send_section(fields, header=header,
                          memory=("g>h memory {page1} 123", [raw(rest)], "the rest of it"))

    # The host's frames stand at 256, with a checksum's per-packet information before them.
    def receive(self, *frames):
        messages = []
        for data, infos in frames:
            fields = self.envelope(len(data), [(INFO_CHECKSUM, 0)] + infos, 256, 256 + len(data))
            fields.append(zero(256 - width_of(fields)))
            messages.append(fields + [raw(data, "frame")])
        first = self.give("data", messages)
        self.host_signals()
        self.acknowledge(first)
        self.guest_signals()


    # A fragment holds what a frame may; the first says what is true of all: IP header and TCP are
    # good.
    def receive_large(self, data):
        most = MTU + 14
        parts = [data[at:at + most] for at in range(0, len(data), most)]
        value = toeplitz(data[26:38])
        queue = value % 128 % 2  # 10.4: the table's entry of the hash names the queue
        messages = []
        for i, part in enumerate(parts):
            flags = (FRAGMENT | (FIRST_FRAGMENT if i == 0 else 0) |
                     (LAST_FRAGMENT if i == len(parts) - 1 else 0))
            identity = (INFO_PACKET_ID, 1 | flags << 8)
            infos = [(INFO_CHECKSUM, RECEIVED_TCP_GOOD_SUM_STALE), (INFO_HASH_VALUE, value),
                     (INFO_HASH_TYPE, HASH_TCP_IPV4_TOEPLITZ), identity] if i == 0 else [identity]
            fields = self.envelope(len(part), infos, 256, 256 + len(part))
            fields.append(zero(256 - width_of(fields)))
            messages.append(fields + [raw(part, "fragment")])
        first = self.give("data", messages, queue)
        self.host_signals(queue)
        self.acknowledge(first, queue)
        self.guest_signals(queue)


# Of addresses and ports: for each bit that is set, the 32 bits of the key that begin there.
def toeplitz(data):
    key = int.from_bytes(KEY, "big")
    value = 0
    for bit in range(8 * len(data)):
        if data[bit // 8] >> (7 - bit % 8) & 1:
            value ^= key >> (8 * len(KEY) - 32 - bit) & 0xFFFFFFFF
    return value


# TCP over IPv4 from 10.0.0.2:80 to 10.0.0.1:1024, sums left out: the host has judged them.
def tcp(length):
    ip = (bytes([0x45, 0]) + (length - 14).to_bytes(2, "big") +
          bytes([0, 0, 0x40, 0, 64, 6, 0, 0]) +
          bytes([10, 0, 0, 2, 10, 0, 0, 1]))
    segment = ((80).to_bytes(2, "big") + (1024).to_bytes(2, "big") + bytes(8) +
               bytes([0x50, 0x10, 0xFF, 0xFF, 0, 0, 0, 0]))
    return MAC + FAR + bytes([0x08, 0]) + ip + segment + pattern(length - 54)


FAR = bytes([0x02, 0, 0, 0, 0, 0x99])
VLAN = 5 | 100 << 4  # priority 5, id 100


def network(index):
    t = Network(index)
    t.section("open")
    t.negotiate()
    t.config()
    t.buffers()
    t.rndis()
    if t.since("5"):
        t.subchannels()
    t.guest_signals()
    t.filter(FILTER_OF_LINUX, behind=True)
    t.guest_signals()
    t.section("send", "two frames of 61 bytes in one section, the first of a VLAN")
    t.send_section(t.packet_message(frame(61, FAR, MAC), [(INFO_VLAN, VLAN)]) +
                   t.packet_message(frame(61, FAR, MAC), []))
    t.section("send-pages", "a frame of which a section has the first 40 bytes")
    t.send_pages()
    t.section("receive")
    t.receive((frame(60, MAC, FAR), []))
    t.section("receive-two", "in one packet, the second of a VLAN")
    t.receive((frame(60, MAC, FAR), []), (frame(61, MAC, FAR), [(INFO_VLAN, VLAN)]))
    if t.rsc:
        t.section("receive-large", 'a coalesced frame in two fragments: docs/protocol/network.md, "9.2 RSC"')
        t.receive_large(tcp(2000))
    if t.since("5"):
        t.section("send-sub", "by the sub-channel")
        t.send_section(t.packet_message(frame(60, FAR, MAC), []), queue=1)
    t.section("close")
    t.filter(0)
    t.guest_signals()
    request = t.request()
    t.control([rndis("HALT"), u32(12, "length"), request], comment="RNDIS HALT: no reply",
              behind=True)
    t.send("REVOKE_RECEIVE_BUFFER", u16(RECEIVE_BUFFER_ID, "id"), wanted=False)
    t.send("REVOKE_SEND_BUFFER", u16(0, "id"), wanted=False)
    t.guest_signals()
    return t
