# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What an image is, by its content. Files that cannot be a machine's disk are refused."""
import contextlib
import json
import os
import re
import stat
import struct
import tarfile
import zlib
from dataclasses import dataclass, replace

from .common import Refused, call, last_line, need, say

MAGIC = (
    (b"QFI\xfb", "qcow2"), (b"vhdxfile", "vhdx"), (b"KDMV", "vmdk"), (b"conectix", "vhd"),
)
PACKED = (
    (b"\x1f\x8b", "gunzip"), (b"\xfd7zXZ", "unxz"), (b"\x28\xb5\x2f\xfd", "unzstd"),
    (b"BZh", "bunzip2"), (b"PK\x03\x04", "unzip"), (b"\x04\x22\x4d\x18", "unlz4"),
    (b"\x5d\0\0", "unlzma"), (b"LZIP", "lzip -d"), (b"\x89LZO", "lzop -d"),
    (b"7z\xbc\xaf", "7z x"), (b"Rar!\x1a\x07", "unrar x"), (b"\x1f\x9d", "uncompress"),
)
CONVERT = "run qemu-img convert -O qcow2 first"
# Other files that are taken for an image of a disk: offset (from the end, if negative), magic, what
# to say.
OTHERS = (
    (64, b"\x7f\x10\xda\xbe", f"an image of VirtualBox (vdi); {CONVERT}"),
    (0, b"QED\0", f"a qed image; {CONVERT}"),
    (0, b"QFI\xfb\0\0\0\x01", f"a qcow image, of version 1; {CONVERT}"),
    (0, b"WithoutFreeSpace", f"an image of Parallels; {CONVERT}"),
    (0, b"WithouFreSpacExt", f"an image of Parallels; {CONVERT}"),
    (-512, b"koly", f"an Apple disk image (dmg); {CONVERT}"),
    (0, b"rgtpvhds", "a vhd set: it names another file; give the avhdx image beside it"),
    (0, b"# Disk Desc", "a description of other files, not a disk; run qemu-img convert -O qcow2 "
     "where those are"),
    (0, b"\x3a\xff\x26\xed", "an Android sparse image; run simg2img first"),
    (0, b"MSWIM\0\0\0", "a Windows image (wim): files to install, not a disk"),
    (0, b"LUKS\xba\xbe", "encrypted as a whole (LUKS): nothing in it could start"),
    (0, b"hsqs", "a SquashFS file system: what lies on an installer's disc, not a disk"),
    (0, b"070701", "a cpio archive: an initrd, not a disk"),
    (0, b"\x7fELF", "a program, not a disk; openvmbus run --kernel starts a vmlinux"),
    (514, b"HdrS", "a kernel, not a disk; openvmbus run --kernel starts it"),
    (0, b"<", "text, not a disk: is it what a server said instead of the image?"),
    (4096, b"EFI PART", "a disk with sectors of 4096 bytes, which is not known here"),
)
FILE_SYSTEMS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "LVM2_member")
SECTOR = 512
PROTECTIVE = 0xee  # type of the partition of an MBR that stands for a GUID partition table
ISO_SECTOR = 2048
ISO_FIRST, ISO_LAST = 16, 64  # sectors with volume descriptors
VMDK_CAPACITY = 12, 8  # 0: QEMU reads only a text, which names the files that hold the disk
NBD = ("nbd://", "nbd+unix://")
COPY_S = 3600
ENTRIES_MAX = 1 << 20  # bytes
TAR_MEMBERS_MAX = 1000
DISK_ENDS = (".vmdk", ".vhd", ".vhdx", ".qcow2", ".img", ".raw", ".iso")


@dataclass
class Image:
    """A file that was looked at."""
    path: str
    format: str  # of qemu-img, but "vhd"
    kind: str  # disk, iso
    uri: str = ""  # of the server that the file is a copy from

    @property
    def title(self):
        """What the user calls it."""
        return self.uri or self.path

    @property
    def driver(self):
        """QEMU's name of the format."""
        return "vpc" if self.format == "vhd" else self.format


def at(path, offset, length):
    """Bytes of a file; fewer where it ends."""
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(length)


def check_file(path):
    """Refuses what is no readable file with bytes in it; returns its length."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise Refused(f"{path}: not a regular file; give a disk image")
        at(path, 0, 1)
    except FileNotFoundError:
        if re.match("[a-z][a-z0-9+.-]*://", path):
            raise Refused(f"{path}: give a file, or an export of an NBD server (nbd://HOST/EXPORT, "
                          "nbd+unix:///EXPORT?socket=PATH)") from None
        raise Refused(f"{path}: there is no such file") from None
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from None
    if status.st_size == 0:
        raise Refused(f"{path}: the file is empty")
    return status.st_size


def recognise(path, direct):
    """Returns the Image that path is, or refuses. direct: no firmware must find a partition."""
    size = check_file(path)
    head = at(path, 0, 8)
    for magic, tool in PACKED:
        if head.startswith(magic):
            raise Refused(f"{path}: packed; run {tool} first")
    if at(path, 257, 5) == b"ustar":
        raise Refused(f"{path}: a tar archive{in_tar(path)}")
    if at(path, 32769, 5) == b"CD001":
        check_iso(path, size)
        return Image(path, "raw", "iso")
    check_others(path, size)
    for magic, name in MAGIC:
        if head.startswith(magic):
            return check_format(Image(path, name, "disk"))
    if at(path, max(size - 512, 0), 8) == b"conectix":
        return check_format(Image(path, "vhd", "disk"))
    if at(path, 512, 8) == b"EFI PART" or at(path, 510, 2) == b"\x55\xaa":
        check_table(path, path)
    elif not direct or file_system(path) not in FILE_SYSTEMS:
        raise Refused(f"{path}: no disk image: it has no partition table, "
                      "and is in no format that is known")
    return Image(path, "raw", "disk")


def obtain(name, direct, work):
    """The Image of a file or of an NBD server's export, which is copied to the folder work: a look at
    a part of a copy that changes meanwhile would say little."""
    if not name.startswith(NBD):
        return recognise(name, direct)
    need("qemu-img", "qemu-utils")
    path = os.path.join(work, "copy")
    say(f"copying {name}")
    said = call("qemu-img", "convert", "-f", "raw", "-O", "raw", name, path, limit=COPY_S)
    if said.returncode:
        raise Refused(f"{name}: {last_line(said.stderr)}")
    try:
        return replace(recognise(path, direct), uri=name)
    except Refused as refused:
        raise Refused(str(refused).replace(path, name)) from None


def check_others(path, size):
    """Refuses files that are known, and are no image of a disk that can be tried."""
    for offset, magic, what in OTHERS:
        if at(path, offset if offset >= 0 else max(size + offset, 0), len(magic)) == magic:
            raise Refused(f"{path}: {what}")


def in_tar(path):
    """What to do with a tar archive; an appliance (OVA) is one."""
    with contextlib.suppress(tarfile.TarError, OSError, ValueError), tarfile.open(path) as archive:
        for member, _ in zip(archive, range(TAR_MEMBERS_MAX)):
            if member.isfile() and member.name.endswith(DISK_ENDS):
                return f"; run tar xf first, and give {member.name}"
    return "; unpack it and give the disk image in it"


def check_iso(path, size):
    """Refuses an ISO image that is cut short, or whose catalogue of boot images is damaged (ECMA-119
    8.4.8, El Torito 2.0). One without a catalogue is an image without a loader."""
    length = struct.unpack_from("<I", at(path, ISO_FIRST * ISO_SECTOR + 80, 4).ljust(4, b"\0"))[0]
    if length * ISO_SECTOR > size:
        raise Refused(f"{path}: an ISO image that is cut short: {length * ISO_SECTOR} bytes long, of "
                      f"which {size} are there")
    for sector in range(ISO_FIRST, ISO_LAST):
        descriptor = at(path, sector * ISO_SECTOR, ISO_SECTOR)
        if descriptor[1:6] != b"CD001" or descriptor[0] == 255:
            return
        if descriptor[0] == 0 and descriptor[7:30] == b"EL TORITO SPECIFICATION":
            where = struct.unpack_from("<I", descriptor, 71)[0]
            fault = catalogue_fault(at(path, where * ISO_SECTOR, ISO_SECTOR), size)
            if fault:
                raise Refused(f"{path}: an ISO image whose catalogue of boot images is damaged: "
                              f"{fault}")


def catalogue_fault(catalogue, size):
    """What is wrong with El Torito's catalogue; empty: nothing."""
    if len(catalogue) < ISO_SECTOR:
        return "it lies behind the end of the file"
    if catalogue[0] != 1 or catalogue[30:32] != b"\x55\xaa" or \
            sum(struct.unpack_from("<16H", catalogue)) & 0xffff:
        return "its first entry has a wrong checksum"
    for start in range(32, ISO_SECTOR, 32):
        kind, count, sector = struct.unpack_from("<B5xHI", catalogue, start)
        if kind == 0x88 and sector * ISO_SECTOR + count * SECTOR > size:
            return f"boot image {start // 32} lies behind the end of the file"
    return ""


def file_system(path, start=0, length=0):
    """blkid's name of what a part of a file holds; empty: unknown."""
    where = ["-O", str(start), "-S", str(length)] if length else []
    return call("blkid", "-p", *where, "-o", "value", "-s", "TYPE",
                path).stdout.decode().strip()


def check_table(path, raw):
    """Refuses a partition table with an error: the file was cut or changed."""
    size = os.path.getsize(raw)
    fault = table_fault(raw, size)
    if fault:
        raise Refused(f"{path}: its partition table is damaged, "
                      f"or the file is cut short: {fault}")


def table_fault(raw, size):
    """What is wrong with a partition table; empty: nothing. Firmware and systems take a GUID
    partition table only where sector 0 has a protective partition (UEFI specification, 5.2.3): a
    header alone may be a remainder of what the disk once was."""
    kinds = at(raw, 446, 64)[4::16] if at(raw, 510, 2) == b"\x55\xaa" else b""
    header = at(raw, 512, 8) == b"EFI PART"
    if PROTECTIVE in kinds and (header or not file_system(raw)):
        return gpt_fault(raw, size)
    if header and not any(kinds):
        return "the protective partition in sector 0 is missing"
    return mbr_fault(raw, size)


def gpt_fault(raw, size):
    """What is wrong with a GUID partition table (UEFI specification, 5.3); empty: nothing."""
    fault, primary = gpt_header(raw, 1, size)
    if fault:
        return f"its header {fault}"
    fault, _ = gpt_header(raw, struct.unpack_from("<Q", primary, 32)[0], size)
    if fault:
        return f"its backup {fault}"
    first, last = struct.unpack_from("<QQ", primary, 40)
    return "" if first <= last < size // SECTOR else "it is for a longer disk"


def gpt_header(raw, sector, size):
    """(what is wrong, the header) of a GPT header and the entries that it names."""
    header = at(raw, sector * SECTOR, SECTOR)
    if header[:8] != b"EFI PART" or len(header) < SECTOR:
        return f"is not in sector {sector}", header
    length, crc = struct.unpack_from("<II", header, 12)
    if not 92 <= length <= SECTOR or \
            zlib.crc32(header[:16] + bytes(4) + header[20:length]) != crc:
        return "has a wrong checksum", header
    where, count, each, crc = struct.unpack_from("<QIII", header, 72)
    if count * each > ENTRIES_MAX or where * SECTOR + count * each > size or \
            zlib.crc32(at(raw, where * SECTOR, count * each)) != crc:
        return "has entries with a wrong checksum", header
    return "", header


def mbr_fault(raw, size):
    """What is wrong with an MBR; empty: nothing. A FAT without a table is taken for one without
    partitions."""
    table = at(raw, 446, 64)
    if file_system(raw):
        return ""
    for entry in range(4):
        kind, first, count = table[16 * entry + 4], *struct.unpack_from("<II", table,
                                                                        16 * entry + 8)
        if kind and (first + count) * SECTOR > size:
            return f"partition {entry + 1} ends behind the end of the file"
    return ""


def check_format(image):
    """Refuses an image that QEMU's own check finds fault with, or that names other files."""
    need("qemu-img", "qemu-utils")
    if image.format == "vhdx" and has_log(image.path):
        raise Refused(f"{image.path}: a vhdx image that was not closed: its log was not replayed; "
                      "qemu-img check -r all -f vhdx does that")
    if image.format == "vmdk" and not any(at(image.path, *VMDK_CAPACITY)):
        raise Refused(f"{image.path}: it is a description of other files, not a disk; "
                      "convert it with qemu-img where those are")
    info = qemu_img(image, "info", "--output=json")
    if info.returncode:
        why = last_line(info.stderr).rsplit(": ", 1)[-1]
        raise Refused(f"{image.path}: a {image.format} image that cannot be opened: {why}")
    said = json.loads(info.stdout)
    if names_others(said):
        raise Refused(f"{image.path}: it names another file as its base or for its data"
                      f"{missing_base(said)}; merge them with qemu-img convert first")
    if said.get("encrypted"):
        raise Refused(f"{image.path}: an encrypted {image.format} image; qemu-img convert, with its "
                      "passphrase, makes one that can be tried")
    if image.format in ("qcow2", "vhdx", "vmdk"):
        check = qemu_img(image, "check")
        if check.returncode not in (0, 3, 63):  # 3: unused clusters; 63: has no check
            raise Refused(f"{image.path}: a damaged {image.format} image; "
                          f"qemu-img check -f {image.driver} says more")
    return image


def missing_base(info):
    """Of an image whose base is not there: which one."""
    base = info.get("full-backing-filename", "")
    return f", {base}, which is not there" if base.startswith("/") and not os.path.exists(base) \
        else ""


def qemu_img(image, command, *more):
    """Runs qemu-img on an image. A whole path is no URL, whatever the file is called."""
    return call("qemu-img", command, "-f", image.driver, *more, os.path.abspath(image.path))


def names_others(info):
    """Whether an image names other files of this machine, which its guest would read."""
    data = info.get("format-specific", {}).get("data", {})
    return "backing-filename" in info or "data-file" in data or \
        any(part["filename"] != info["filename"] for part in data.get("extents", []))


def has_log(path):
    """Whether the current header of a VHDX names a log ([MS-VHDX] 2.2.2). QEMU would leave out one
    that is damaged, and read stale data."""
    headers = [at(path, start, 4096) for start in (1 << 16, 2 << 16)]
    valid = [h for h in headers if h[:4] == b"head" and len(h) == 4096]
    current = max(valid, key=lambda h: struct.unpack_from("<Q", h, 8)[0], default=bytes(4096))
    return current[48:64] != bytes(16)


def as_raw(image, work):
    """The path of the image's bytes as a raw file, made in the folder work if need be."""
    if image.format == "raw":
        return image.path
    raw = os.path.join(work, "raw")
    said = call("qemu-img", "convert", "-f", image.driver, "-O", "raw",
                os.path.abspath(image.path), raw)
    if said.returncode:
        raise Refused(f"{image.path}: cannot be read whole: {last_line(said.stderr)}")
    if at(raw, 510, 2) == b"\x55\xaa" or at(raw, 512, 8) == b"EFI PART":
        check_table(image.path, raw)
    return raw
