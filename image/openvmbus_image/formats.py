# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What an image is, by its content. Files that cannot be a machine's disk are refused."""
import json
import os
import stat
import struct
import zlib
from dataclasses import dataclass

from .common import Refused, call, last_line, need

MAGIC = (
    (b"QFI\xfb", "qcow2"), (b"vhdxfile", "vhdx"), (b"KDMV", "vmdk"), (b"conectix", "vhd"),
)
PACKED = (
    (b"\x1f\x8b", "gunzip"), (b"\xfd7zXZ", "unxz"), (b"\x28\xb5\x2f\xfd", "unzstd"),
    (b"BZh", "bunzip2"), (b"PK\x03\x04", "unzip"),
)
FILE_SYSTEMS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "LVM2_member")
SECTOR = 512
VMDK_CAPACITY = 12, 8  # 0: QEMU reads only a text, which names the files that hold the disk
ENTRIES_MAX = 1 << 20  # bytes


@dataclass
class Image:
    """A file that was looked at."""
    path: str
    format: str  # of qemu-img, but "vhd"
    kind: str  # disk, iso

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
    for magic, name in MAGIC:
        if head.startswith(magic):
            return check_format(Image(path, name, "disk"))
    if at(path, max(size - 512, 0), 8) == b"conectix":
        return check_format(Image(path, "vhd", "disk"))
    if at(path, 257, 5) == b"ustar":
        raise Refused(f"{path}: a tar archive; unpack it and give the disk image in it")
    if at(path, 32769, 5) == b"CD001":
        return Image(path, "raw", "iso")
    if at(path, 512, 8) == b"EFI PART" or at(path, 510, 2) == b"\x55\xaa":
        check_table(path, path)
    elif not direct or file_system(path) not in FILE_SYSTEMS:
        raise Refused(f"{path}: no disk image: it has no partition table, "
                      "and is in no format that is known")
    return Image(path, "raw", "disk")


def file_system(path, start=0, length=0):
    """blkid's name of what a part of a file holds; empty: unknown."""
    where = ["-O", str(start), "-S", str(length)] if length else []
    return call("blkid", "-p", *where, "-o", "value", "-s", "TYPE",
                path).stdout.decode().strip()


def check_table(path, raw):
    """Refuses a partition table with an error: the file was cut or changed."""
    size = os.path.getsize(raw)
    fault = gpt_fault(raw, size) if at(raw, 512, 8) == b"EFI PART" else mbr_fault(raw, size)
    if fault:
        raise Refused(f"{path}: its partition table is damaged, "
                      f"or the file is cut short: {fault}")


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
    if image.format in ("qcow2", "vhdx", "vmdk"):
        check = qemu_img(image, "check")
        if check.returncode not in (0, 3, 63):  # 3: unused clusters; 63: has no check
            raise Refused(f"{image.path}: a damaged {image.format} image; "
                          f"qemu-img check -f {image.driver} says more")
    if names_others(json.loads(info.stdout)):
        raise Refused(f"{image.path}: it names another file as its base or for its data; "
                      "merge them with qemu-img convert first")
    return image


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
