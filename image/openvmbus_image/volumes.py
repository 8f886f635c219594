# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The file systems in an image, read without mounting and without rights.

grub-fstest is GRUB's own code as a program. It knows partition tables, LVM and RAID, and FAT,
ext2 to ext4, XFS, Btrfs, ISO 9660 and more, as the loader does that will read them. Devices have
GRUB's names: (loop0,gpt2), (lvm/group-root). It would also read this machine's files, as (host);
an image must not name them, so only devices of the image are taken.
"""
import os
import re
import time
from dataclasses import dataclass

from .common import Refused, call, need
from .formats import file_system

FILE_MAX = 1 << 30  # bytes that one file out of an image may have
TEXT_MAX = 1 << 20
PATH_MAX = 4096
READ_S = 600  # for all of an image: a grub.cfg can have as many files looked for as it likes
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
        self.end = time.monotonic() + READ_S
        self.all = [self._describe(match) for match in self._devices()]
        self.readable = [v for v in self.all if v.readable]

    def _fstest(self, *command, most=0):
        """Runs grub-fstest; most: how many bytes of a file are wanted."""
        if time.monotonic() > self.end:
            raise Refused(f"{self.raw}: its file systems were not read within {READ_S} s: "
                          "is the image damaged?")
        return call("grub-fstest", *(["-n", str(most)] if most else []), self.raw, "--", *command)

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

    def _may_have(self, name, path):
        """Whether a path can be one in the image; (host) and the like are this machine's."""
        return self.has(name) and path.isprintable() and len(path) <= PATH_MAX

    def names(self, name, folder):
        """What is in a folder; folders end with a slash. Empty if it is none."""
        if not self._may_have(name, folder):
            return []
        said = self._fstest("ls", "-l", f"({name}){folder.rstrip('/')}/")
        found = []
        for line in said.stdout.decode("utf-8", "replace").splitlines():
            words = line.split(None, 2)
            if len(words) == 3 and not words[2].startswith("."):
                found.append(words[2].rstrip())
        return found

    def copy(self, name, path, to):
        """Copies a file out of the image; False: there is no such file, or nothing in it."""
        if not self._may_have(name, path):
            return False
        said = self._fstest("cp", f"({name}){path}", to, most=FILE_MAX)
        if said.returncode == 0 and os.path.isfile(to) and os.path.getsize(to):
            return True
        if os.path.isfile(to):
            os.unlink(to)
        return False

    def text(self, name, path):
        """A small file of the image as text; None: there is no such file."""
        if not self._may_have(name, path):
            return None
        said = self._fstest("cat", f"({name}){path}", most=TEXT_MAX)
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
