# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The ring of a storage controller: docs/protocol/storage.md."""
from transcript.bus import (FIRMWARE_RING, IDE_PATH, IDE_TARGET, INSTANCE, SCSI, SMALL_RING, guid,
                            message)
from transcript.form import (COMPLETION_REQUESTED, PAGE, Transcript, dotted, name, pattern, raw,
                             u8, u16, u32, u64, width_of, zero)

STORAGE = [(2, 0), (4, 2), (5, 1), (6, 0), (6, 2)]

# 3.1
OPERATIONS = {
    "COMPLETE_IO": 1, "EXECUTE_SRB": 3, "RESET_BUS": 6, "BEGIN_INITIALIZATION": 7,
    "END_INITIALIZATION": 8, "QUERY_PROTOCOL_VERSION": 9, "QUERY_PROPERTIES": 10,
    "ENUMERATE_BUS": 11, "CREATE_SUB_CHANNELS": 13,
}
REQUEST_COMPLETION = 1  # flag of a storage packet

# 7: NTSTATUS, and what stands in an SRB
SUCCESS = 0
INVALID_PARAMETER, INVALID_DEVICE_STATE = 0xC000000D, 0xC0000184
IO_DEVICE_ERROR = 0xC0000185
DEVICE_DOES_NOT_EXIST = 0xC00000C0
REVISION_MISMATCH = 0xC0000059
SRB_SUCCESS, SRB_ERROR, SRB_INVALID_REQUEST, SRB_INVALID_LUN = 0x01, 0x04, 0x06, 0x20
SRB_AUTOSENSE_VALID = 0x80
GOOD, CHECK_CONDITION = 0x00, 0x02

READ, WRITE, NO_DATA = 1, 0, 2

# 3.3: what Linux says of a request, and of its direction
SRB_FLAGS = 0x8 | 0x102  # DISABLE_SYNCH_TRANSFER | QUEUE_ACTION_ENABLE, NO_QUEUE_FREEZE
SRB_FLAGS_OF = {READ: 0x40, WRITE: 0x80, NO_DATA: 0}

# 12: commands, and sense keys and codes
TEST_UNIT_READY, INQUIRY, READ_CAPACITY_10, READ_10, WRITE_10 = 0x00, 0x12, 0x25, 0x28, 0x2A
SYNCHRONIZE_CACHE_10, SERVICE_ACTION_IN_16, REPORT_LUNS = 0x35, 0x9E, 0xA0
NO_SUCH_COMMAND = 0xC1
ILLEGAL_REQUEST, UNIT_ATTENTION = 5, 6
UNKNOWN_OPCODE, LBA_OUT_OF_RANGE, CAPACITY_CHANGED = (0x20, 0), (0x21, 0), (0x2A, 9)


def word(version):
    return version[0] << 8 | version[1]


class Storage(Transcript):
    """One controller's channel; storage 3 to 7."""

    def __init__(self, version, ide, title, monitor=False, ring_pages=SMALL_RING):
        super().__init__(title)
        self.version, self.ide, self.monitor = version, ide, monitor
        self.path, self.target = (IDE_PATH, IDE_TARGET) if ide else (0, 0)
        self.ring_len = (ring_pages - 1) * PAGE
        self.transactions = self.pages = 0
        self.sub_channels = 0  # that the host allows

    def sizes(self, version):
        new = version >= (5, 1)
        return {"packet": 64 if new else 48, "srb": 0x34 if new else 0x24,
                "sense": 20 if new else 18}

    def transaction(self):
        self.transactions += 1
        return name(8, "transaction%d" % self.transactions, "transaction id")

    def vstor(self, version, operation, flags, status, *fields):
        body = [u32(OPERATIONS[operation], operation),
                u32(flags, "request completion" if flags else ""), u32(status, "status")]
        body += fields
        rest = self.sizes(version)["packet"] - width_of(body)
        return body + ([zero(rest)] if rest else [])

    def ask(self, version, operation, *fields, header=None, srb=False):
        transaction = self.transaction()
        body = self.vstor(version, operation, REQUEST_COMPLETION, SUCCESS, *fields)
        self.packet("g>h", "{relid0}", "GPA direct" if header else "in-band", COMPLETION_REQUESTED,
                    transaction, header or [], body, operation)
        self.record("g>h pending {monitor0?}" if self.monitor else "g>h signal {signal0}", [])
        return transaction

    def answer(self, version, transaction, status, *fields):
        self.packet("h>g", "{relid0}", "completion", 0, transaction, [],
                    self.vstor(version, "COMPLETE_IO", 0, status, *fields))
        self.record("h>g event {relid0}", [])

    # newest: of the guest. Its first packets have that version's size, and so have their answers:
    # docs/protocol/storage.md, "5 Sizes of replies".
    def handshake(self, newest):
        self.section("handshake")
        self.answer(newest, self.ask(newest, "BEGIN_INITIALIZATION"), SUCCESS)
        for version in reversed(STORAGE[:STORAGE.index(newest) + 1]):
            transaction = self.ask(version, "QUERY_PROTOCOL_VERSION",
                                   u16(word(version), "version " + dotted(version)),
                                   u16(0, "revision"))
            if version <= self.version:
                break
            self.answer(version, transaction, REVISION_MISMATCH)
        # Hyper-V's firmware stops unless what was accepted stands in the completion.
        self.answer(version, transaction, SUCCESS, u16(word(version), "version " + dotted(version)))
        self.properties()
        self.answer(version, self.ask(version, "END_INITIALIZATION"), SUCCESS)

    def properties(self):
        transaction = self.ask(self.version, "QUERY_PROPERTIES")
        if self.version >= (5, 1):
            head = [u32(0), u16(self.sub_channels, "sub-channels"), u16(0),
                    u32(1 if self.sub_channels else 0,
                        "flags: multi-channel" if self.sub_channels else "flags")]
        else:
            head = [u16(word(self.version), "protocol version"),
                    u8(self.path, "path"), u8(self.target, "target"), u32(0, "port"),
                    u32(2 if self.ide else 0, "flags: emulated IDE" if self.ide else "flags")]
        self.answer(self.version, transaction, SUCCESS, *head,
                    u32(1 << 20, "bytes a request at most"),
                    u64(0))

    # 3.2
    def srb(self, lun, cdb, direction, length):
        fields = [u16(self.sizes(self.version)["srb"], "SRB length"), u8(0, "SRB status"),
                  u8(0, "SCSI status"), u8(0, "port"), u8(self.path, "path"),
                  u8(self.target, "target"), u8(lun, "LUN"), u8(len(cdb), "CDB length"),
                  u8(self.sizes(self.version)["sense"], "room for sense data"),
                  u8(direction, ("write", "read", "no data")[direction]), u8(0),
                  u32(length, "data length"), raw(cdb + bytes(20 - len(cdb)), "CDB")]
        if self.version >= (5, 1):
            flags = SRB_FLAGS | SRB_FLAGS_OF[direction]
            fields += [u16(0), u8(0xFF, "queue tag"), u8(0x20, "queue action: simple"),
                       u32(flags, "SRB flags"), u32(60, "timeout, seconds"),
                       u32(0, "queue sort key")]
        return fields

    # 7: the address is echoed, sense data lies over the CDB.
    def result(self, lun, srb_status, scsi_status, moved, sense):
        fields = [u16(self.sizes(self.version)["srb"], "SRB length"),
                  u8(srb_status, "SRB status"), u8(scsi_status, "SCSI status"), u8(0),
                  u8(self.path, "path"), u8(self.target, "target"), u8(lun, "LUN"),
                  u8(0x10, "CDB length"), u8(len(sense), "sense length"), u8(0), u8(0),
                  u32(moved, "bytes moved")]
        if sense:
            fields.append(raw(sense, "sense data"))
        return fields

    # Guest pages of one range; the offset counts for the first only:
    # docs/protocol/storage.md, "6 Data transfer".
    def range(self, length, offset):
        pages = -(-(offset + length) // PAGE)
        names = ["page%d" % (self.pages + i) for i in range(pages)]
        self.pages += pages
        header = [zero(4), u32(1, "range count"), u32(length, "byte count"),
                  u32(offset, "byte offset")] + [name(8, page) for page in names]
        return names, header

    def memory(self, way, names, offset, data):
        for page in names:
            part, data = data[:PAGE - offset], data[PAGE - offset:]
            if part:
                self.record("%s memory {%s} %x" % (way, page, offset), [raw(part)])
            offset = 0

    def command(self, lun, cdb, direction=NO_DATA, data=b"", offset=0, room=None,
                result=(SRB_SUCCESS, GOOD, SUCCESS, b"")):
        length = len(data) if room is None else room
        header = None
        names = []
        if length:
            names, header = self.range(length, offset)
        if direction == WRITE:
            self.memory("g>h", names, offset, data)
        transaction = self.ask(self.version, "EXECUTE_SRB", *self.srb(lun, cdb, direction, length),
                               header=header)
        srb_status, scsi_status, status, sense = result
        moved = len(data) if srb_status == SRB_SUCCESS else 0
        if direction == READ:
            self.memory("h>g", names, offset, data if moved else b"")
        self.answer(self.version, transaction, status,
                    *self.result(lun, srb_status, scsi_status, moved, sense))


def rw10(opcode, block, count):
    return bytes([opcode, 0]) + block.to_bytes(4, "big") + b"\0" + count.to_bytes(2, "big") + b"\0"


def sense(key, code):
    return bytes([0x70, 0, key, 0, 0, 0, 0, 0x0A, 0, 0, 0, 0, code[0], code[1], 0, 0, 0, 0])


def invalid_request(code):
    return (SRB_INVALID_REQUEST | SRB_AUTOSENSE_VALID, CHECK_CONDITION, IO_DEVICE_ERROR,
            sense(ILLEGAL_REQUEST, code))


# 12.3
STANDARD_INQUIRY = (bytes([0x00, 0x00, 0x05, 0x02, 91, 0, 0, 0x02]) + b"Msft    " +
                    b"Virtual Disk    " + b"1.0 ")


def storage(version, ide, title, newest=STORAGE[-1]):
    t = Storage(version, ide, title)
    t.handshake(newest)
    t.section("inquiry", 'docs/protocol/storage.md, "12.3 INQUIRY", 36 bytes of it')
    t.command(0, bytes([INQUIRY, 0, 0, 0, 36, 0]), READ, STANDARD_INQUIRY)
    t.section("capacity", "READ CAPACITY(10): 32768 blocks of 512 bytes")
    t.command(0, bytes([READ_CAPACITY_10]) + bytes(9), READ, (32767).to_bytes(4, "big") +
              (512).to_bytes(4, "big"))
    t.section("write", "a block, across the end of a page")
    t.command(0, rw10(WRITE_10, 0x1234, 1), WRITE, pattern(512), offset=0xF00)
    t.section("read", "and back, into one page")
    t.command(0, rw10(READ_10, 0x1234, 1), READ, pattern(512))
    t.section("flush", "SYNCHRONIZE CACHE(10)")
    t.command(0, rw10(SYNCHRONIZE_CACHE_10, 0, 0))
    t.section("error", "READ(10) beyond the end: check condition with sense data")
    t.command(0, rw10(READ_10, 32768, 1), READ, room=512,
              result=invalid_request(LBA_OUT_OF_RANGE))
    t.section("opcode", "a command that does not exist")
    t.command(0, bytes([NO_SUCH_COMMAND]) + bytes(9), result=invalid_request(UNKNOWN_OPCODE))
    return t


# docs/protocol/bus.md, "6.3 Monitor pages", on buses of any version
def monitored(version):
    t = Storage(version, False, "Storage %s: signals by the monitor page" % dotted(version), True)
    t.handshake(STORAGE[-1])
    t.section("write")
    t.command(0, rw10(WRITE_10, 0x1234, 1), WRITE, pattern(512), offset=0xF00)
    t.section("flush")
    t.command(0, rw10(SYNCHRONIZE_CACHE_10, 0, 0))
    return t


def scsi(version):
    t = storage(version, False, "Storage %s: a SCSI controller's ring" % dotted(version))
    t.section("luns", "REPORT LUNS: LUN 0 alone")
    t.command(0, bytes([REPORT_LUNS, 0, 0, 0, 0, 0]) + (64).to_bytes(4, "big") + bytes(2), READ,
              (8).to_bytes(4, "big") + bytes(12))
    t.section("absent", "TEST UNIT READY to a LUN that is not there")
    t.command(5, bytes([TEST_UNIT_READY] + [0] * 5),
              result=(SRB_INVALID_LUN, GOOD, DEVICE_DOES_NOT_EXIST, b""))
    t.section("resize", "ENUMERATE_BUS from 4.2 on, and a unit attention")
    if version >= (4, 2):
        t.packet("h>g", "{relid0}", "in-band", 0, u64(0, "transaction id"), [],
                 t.vstor(version, "ENUMERATE_BUS", 0, SUCCESS), "ENUMERATE_BUS")
        t.record("h>g event {relid0}", [])
    t.section("attention")
    t.command(0, bytes([TEST_UNIT_READY] + [0] * 5),
              result=(SRB_ERROR | SRB_AUTOSENSE_VALID, CHECK_CONDITION, IO_DEVICE_ERROR,
                      sense(UNIT_ATTENTION, CAPACITY_CHANGED)))
    t.section("reset")
    t.answer(version, t.ask(version, "RESET_BUS"), SUCCESS)
    return t


# A guest that knows nothing newer, on any host.
def old(version):
    return storage(version, False, "Storage %s: a guest that never heard of a newer one" %
                   dotted(version), newest=version)


# What the driver of 2009 asks of a disk: docs/protocol/storage.md, "11 The IDE driver of 2009",
# "12.3 INQUIRY".
def ide(version):
    t = storage(version, True, "Storage %s: the ring of an IDE unit" % dotted(version))
    disk = bytes([1] + [0] * 15)
    t.section("serial", "VPD page 83: the disk's number by T10 and by NAA")
    t.command(0, bytes([INQUIRY, 1, 0x83, 0, 64, 0]), READ, bytes([0, 0x83, 0, 48]) +
              bytes([1, 1, 0, 24]) + b"Msft    " + disk +
              bytes([1, 3, 0, 16, 0x60, 0x02, 0x24, 0x80]) + disk[0:6] + disk[10:16], room=64)
    t.section("capacity-2009", "9E with service action 0")
    t.command(0, bytes([SERVICE_ACTION_IN_16] + [0] * 15), READ, (32767).to_bytes(8, "big") +
              (512).to_bytes(4, "big"))
    return t


# The firmware of Generation 2 speaks 6.0 alone, stops unless the completion echoes that, and leaves
# the allocation length of REPORT LUNS 0: the buffer's length is meant.
def firmware_scsi():
    t = Storage((6, 0), False, "Storage 6.0: what a Generation 2 machine's firmware asks",
                ring_pages=FIRMWARE_RING)
    t.handshake((6, 0))
    t.section("luns", "REPORT LUNS without an allocation length")
    t.command(0, bytes([REPORT_LUNS] + [0] * 11), READ, (8).to_bytes(4, "big") + bytes(12),
              room=512)
    t.section("inquiry")
    t.command(0, bytes([INQUIRY, 0, 0, 0, 36, 0]), READ, STANDARD_INQUIRY)
    t.section("capacity")
    t.command(0, bytes([READ_CAPACITY_10]) + bytes(9), READ, (32767).to_bytes(4, "big") +
              (512).to_bytes(4, "big"))
    return t


# 4 (6), for versions from 5.1 on: the host answers, then offers as many, with the primary's ids and
# indexes from 1 on; it does so once. Nothing is said on their rings until they are open.
def queues(version):
    t = Storage(version, False, "Storage %s: a controller with sub-channels" % dotted(version))
    t.sub_channels = 3
    t.handshake(version)
    t.section("too-many", "one more than the host has")
    t.answer(version, t.ask(version, "CREATE_SUB_CHANNELS", u16(4, "count")), INVALID_PARAMETER)
    t.section("create", "fewer than it has")
    t.answer(version, t.ask(version, "CREATE_SUB_CHANNELS", u16(2, "count")), SUCCESS,
             u16(2, "count, as agreed"))  # our host's choice: the reference names the status alone
    for index in (1, 2):
        t.record("h>g message", message(
            "OFFER_CHANNEL", raw(guid(SCSI), "interface type"), raw(INSTANCE, "instance"), zero(8),
            zero(8), u16(1, "flags: enumerate device interface"), u16(0, "MMIO megabytes"),
            raw(bytes(120), "user-defined data"), u16(index, "sub-channel index"), zero(2),
            name(4, "relid%d" % index, "channel id"), u8(0xFF, "monitor id: none"),
            u8(0, "monitor not allocated"), u16(1, "dedicated interrupt"),
            name(4, "signal%d" % index, "connection id for signals")), "OFFER_CHANNEL")
    t.section("again")
    t.answer(version, t.ask(version, "CREATE_SUB_CHANNELS", u16(1, "count")), INVALID_DEVICE_STATE)
    t.section("inquiry", "the primary goes on")
    t.command(0, bytes([INQUIRY, 0, 0, 0, 36, 0]), READ, STANDARD_INQUIRY)
    return t
