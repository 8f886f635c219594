# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The file systems in an image, read without mounting and without rights.

grub-fstest is GRUB's own code as a program. It knows partition tables, LVM and RAID, and FAT,
ext2 to ext4, XFS, Btrfs, ISO 9660 and more, as the loader does that will read them. Devices have
GRUB's names: (loop0,gpt2), (lvm/group-root). It would also read this machine's files, as (host);
an image must not name them, so only devices of the image are taken.
"""
import os
import re
from dataclasses import dataclass

from .common import call, need
from .formats import file_system

FILE_MAX = 1 << 30  # bytes that one file out of an image may have
TEXT_MAX = 1 << 20
OURS = re.compile(r"^(loop0(,[a-z]*[0-9]+)*|lvm/.+|lvmid/.+|md/.+|mduuid/.+)$")
DESCRIPTION = re.compile(
    r"(?:Partition|Device) (?P<name>\S+): (?P<rest>.*)")
SIZES = re.compile(r"Partition start at (\d+)KiB.*Total size (\d+)KiB")


@dataclass
class Volume:
    """A partition, a logical volume, or the whole disk if it has a file system."""
    name: str  # GRUB's, without parentheses
    type: str  # GRUB's name of the file system, or blkid's of what GRUB cannot read; may be empty
    uuid: str
    label: str
    readable: bool


class Volumes:
    """Those of one raw image."""

    def __init__(self, raw):
        need("grub-fstest", "grub-common")
        self.raw = os.path.abspath(raw)
        self.all = [self._describe(match) for match in self._devices()]
        self.readable = [v for v in self.all if v.readable]

    def _fstest(self, *command):
        return call("grub-fstest", self.raw, "--", *command)

    def _devices(self):
        listing = self._fstest("ls", "-l").stdout.decode("utf-8", "replace")
        for line in listing.splitlines():
            match = DESCRIPTION.match(line.strip())
            if match and OURS.match(match["name"]):
                yield match

    def _describe(self, match):
        rest = match["rest"]
        known = re.search(r"Filesystem type ([^ ,]+)", rest)
        uuid = re.search(r"UUID ([0-9A-Za-z-]+)", rest)
        label = re.search(r"Label `([^']*)'", rest)
        sizes = SIZES.search(rest)
        kind = known[1].replace("ext*", "ext") if known else ""
        if not known and sizes:
            kind = file_system(self.raw, int(sizes[1]) * 1024, int(sizes[2]) * 1024)
        return Volume(match["name"], kind, uuid[1] if uuid else "", label[1] if label else "",
                      known is not None)

    def has(self, name):
        """Whether the image has a device of that name."""
        return any(v.name == name for v in self.readable)

    def names(self, name, folder):
        """What is in a folder; folders end with a slash. Empty if it is none."""
        said = self._fstest("ls", "-l", f"({name}){folder.rstrip('/')}/")
        found = []
        for line in said.stdout.decode("utf-8", "replace").splitlines():
            words = line.split(None, 2)
            if len(words) == 3 and not words[2].startswith("."):
                found.append(words[2].rstrip())
        return found

    def copy(self, name, path, to):
        """Copies a file out of the image; False: there is no such file, or nothing in it."""
        if not self.has(name) or "\n" in path:
            return False
        said = call("grub-fstest", "-n", str(FILE_MAX), self.raw, "cp", f"({name}){path}", to)
        if said.returncode == 0 and os.path.isfile(to) and os.path.getsize(to):
            return True
        if os.path.isfile(to):
            os.unlink(to)
        return False

    def text(self, name, path):
        """A small file of the image as text; None: there is no such file."""
        if not self.has(name) or "\n" in path:
            return None
        said = call("grub-fstest", "-n", str(TEXT_MAX), self.raw, "cat", f"({name}){path}")
        return said.stdout.decode("utf-8", "replace") if said.returncode == 0 else None

    def find(self, by, value):
        """The name of the volume with that UUID, label or file; None: there is none."""
        for volume in self.readable:
            if by == "file":
                if self.exists(volume.name, value):
                    return volume.name
            elif value and getattr(volume, by).lower() == value.lower():
                return volume.name
        return None

    def exists(self, name, path):
        """Whether there is such a file or folder."""
        folder, _, last = path.rstrip("/").rpartition("/")
        return any(found.rstrip("/") == last for found in self.names(name, folder or "/"))
