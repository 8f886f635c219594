# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Finds the kernel that an image would start, with its initrd and its command line.

Tried in this order, each on every file system: a loader entry, a unified kernel image, a grub.cfg,
a kernel that lies where distributions put it and that nothing names.
"""
import fnmatch
import os
import re
import shutil
import struct
from dataclasses import dataclass

from .grub import Choice, Grub, GrubError, entries_of, version_key
from .volumes import FILE_MAX, Volumes

# Btrfs: the names of the subvolume that is the root, of Debian, Ubuntu, Fedora and others.
ROOTS = ("", "/@rootfs", "/@", "/root", "/@/.snapshots/1/snapshot")
GRUB_FOLDERS = ("/boot/grub", "/grub", "/boot/grub2", "/grub2")
SECTIONS_MAX = 96
LINE_MAX = 2047  # characters of a command line (COMMAND_LINE_SIZE of Linux, x86)


@dataclass
class Kernel:
    """Files in the work folder, and where they were found."""
    path: str
    initrd: str  # empty: none
    line: str
    found: str


class Finder:
    """Looks for a kernel in a raw image; files go to the folder work."""

    def __init__(self, raw, work):
        self.volumes = Volumes(raw)
        self.work = work
        self.notes = []  # what was there, and of no use

    def find(self):
        """Returns the Kernel, or None: then notes say why."""
        for way in (self._by_entry, self._by_uki, self._by_grub, self._by_name):
            for volume in self.volumes.readable:
                kernel = way(volume)
                if kernel and len(kernel.line) <= LINE_MAX and "\0" not in kernel.line:
                    return kernel
                if kernel:
                    self.notes.append(f"{kernel.found} has a command line that no kernel takes")
        for volume in self.volumes.all:
            if volume.type == "crypto_LUKS":
                self.notes.append(f"partition {volume.name} is encrypted (LUKS), and a kernel "
                                  "in it is not seen")
        return None

    def contents(self):
        """The partitions in a few words."""
        parts = [f"{v.name.removeprefix('loop0,')} {v.type or 'unknown'}"
                 for v in self.volumes.all if v.name != "loop0" or v.readable]
        return ", ".join(parts) or "no partition with a file system that is known"

    def _roots(self, volume):
        return ROOTS if volume.type == "btrfs" else ("",)

    def _take(self, choice, found):
        """Copies what a Choice names; None, with a note, if it is not there."""
        path = os.path.join(self.work, "kernel")
        initrd = os.path.join(self.work, "initrd")
        if not self.volumes.copy(*choice.kernel, path):
            self.notes.append(f"{found} names the kernel {choice.kernel[1]}, which is not there")
            return None
        if uki_section(path, ".linux"):
            return self._unpack(path, found, choice.line)
        with open(initrd, "wb") as whole:
            for one in choice.initrds:
                part = os.path.join(self.work, "part")
                if not self.volumes.copy(*one, part):
                    self.notes.append(f"{found} names the initrd {one[1]}, which is not there")
                    return None
                with open(part, "rb") as file:
                    whole.write(b"\0" * (-whole.tell() % 4))  # where the next archive may begin
                    shutil.copyfileobj(file, whole)
                if whole.tell() > FILE_MAX:
                    self.notes.append(f"{found} names initrds of more than {FILE_MAX >> 30} GiB")
                    return None
        return Kernel(path, initrd if os.path.getsize(initrd) else "", choice.line, found)

    def _by_entry(self, volume):
        for root in self._roots(volume):
            for folder in (f"{root}/loader/entries", f"{root}/boot/loader/entries"):
                entries = [(n, v) for n, v in entries_of(self.volumes, volume.name, folder)
                           if v.get("linux") or v.get("efi")]
                for name, values in self._preferred(volume, root, entries):
                    kernel = self._of_entry(volume, root, name, values)
                    if kernel:
                        return kernel
        return None

    def _preferred(self, volume, root, entries):
        """The default of loader.conf first."""
        conf = self.volumes.text(volume.name, f"{root}/loader/loader.conf") or ""
        pattern = re.search(r"^default\s+(\S+)", conf, re.M)
        if not pattern:
            return entries
        return sorted(entries, key=lambda e: not fnmatch.fnmatch(e[0] + ".conf", pattern[1]) and
                      not fnmatch.fnmatch(e[0], pattern[1]))

    def _of_entry(self, volume, root, name, values):
        line = self._kernel_variables(volume, root, values.get("options", ""))
        # A path begins at the root of the file system, whose subvolume or mount may lie above.
        for base in dict.fromkeys((root, f"{root}/boot", "")):
            kernel = base + (values.get("linux") or values["efi"])
            if self.volumes.exists(volume.name, kernel):
                initrds = [(volume.name, base + path)
                           for path in values.get("initrd", "").split() if path[0] == "/"]
                return self._take(Choice(name, (volume.name, kernel), line, initrds),
                                  f"loader entry {name}")
        self.notes.append(f"loader entry {name} names a kernel that is not there")
        return None

    def _kernel_variables(self, volume, root, line):
        """Fedora's $kernelopts and the like are in GRUB's environment."""
        if "$" not in line:
            return line
        grub = Grub(self.volumes, volume.name, f"{root}/grub2/grub.cfg")
        for folder in GRUB_FOLDERS:
            grub.env["prefix"] = f"({volume.name}){root}{folder}"
            grub.command(["load_env"])
        try:
            return grub.expand([(line, False, True)])
        except GrubError:
            return line  # too long, then

    def _by_uki(self, volume):
        names = [n for n in self.volumes.names(volume.name, "/EFI/Linux")
                 if n.lower().endswith(".efi")]
        paths = [f"/EFI/Linux/{n}" for n in sorted(names, key=version_key, reverse=True)]
        for path in paths + ["/EFI/BOOT/BOOTX64.EFI"]:
            copy = os.path.join(self.work, "uki")
            if self.volumes.copy(volume.name, path, copy) and uki_section(copy, ".linux"):
                return self._unpack(copy, f"unified kernel image {path}", "")
        return None

    def _unpack(self, uki, found, line):
        """A unified kernel image: its own command line counts, if it has one."""
        kernel = os.path.join(self.work, "kernel.uki")
        initrd = os.path.join(self.work, "initrd")
        with open(kernel, "wb") as file:
            file.write(uki_section(uki, ".linux"))
        with open(initrd, "wb") as file:
            file.write(uki_section(uki, ".initrd") or b"")
        own = (uki_section(uki, ".cmdline") or b"").split(b"\0")[0].decode("utf-8", "replace")
        return Kernel(kernel, initrd if os.path.getsize(initrd) else "",
                      " ".join((own or line).split()), found)

    def _by_grub(self, volume):
        folders = [root + folder for root in self._roots(volume) for folder in GRUB_FOLDERS]
        folders += [f"/EFI/{n.rstrip('/')}" for n in self.volumes.names(volume.name, "/EFI")
                    if n.endswith("/")]
        for folder in folders:
            path = f"{folder}/grub.cfg"
            text = self.volumes.text(volume.name, path)
            if not text:
                continue
            try:
                choice = Grub(self.volumes, volume.name, path).follow(text)
            except (GrubError, IndexError, RecursionError) as error:
                self.notes.append(f"{path}: {error or 'it makes no sense'}")
                continue
            kernel = self._take(choice, f"{path} ({choice.title[:80]})")
            if kernel:
                return kernel
        return None

    def _by_name(self, volume):
        for root in self._roots(volume):
            for folder in (f"{root}/boot", f"{root}/"):
                names = self.volumes.names(volume.name, folder)
                for name in self._kernels(names):
                    kernel = self._named(volume, folder.rstrip("/"), name, names)
                    if kernel:
                        return kernel
        return None

    @staticmethod
    def _kernels(names):
        versions = [n for n in names if re.match(r"(vmlinuz|bzImage|kernel)-", n) and
                    "rescue" not in n]
        return sorted(versions, key=version_key, reverse=True) + \
            [n for n in names if n in ("vmlinuz", "bzImage")]

    def _named(self, volume, folder, name, names):
        version = name.partition("-")[2]
        candidates = [f"initrd.img-{version}", f"initramfs-{version}.img", f"initrd-{version}"] \
            if version else ["initrd.img", "initrd", "initramfs.img"]
        initrds = [(volume.name, f"{folder}/{n}") for n in candidates if n in names][:1]
        choice = Choice(name, (volume.name, f"{folder}/{name}"),
                        self._root_words(volume if folder else None), initrds)
        return self._take(choice, f"{folder}/{name}")

    def _root_words(self, holder):
        """root= and what belongs to it, of the /etc/fstab in the image, else of what looks so.

        holder: the volume with the kernel in its /boot; None: it may be a partition for /boot.
        """
        for volume in self.volumes.readable:
            for root in self._roots(volume):
                fstab = self.volumes.text(volume.name, f"{root}/etc/fstab") or ""
                for line in fstab.splitlines():
                    words = line.split()
                    if len(words) >= 3 and not words[0].startswith("#") and words[1] == "/":
                        return _root_line(words[0], words[3] if len(words) > 3 else "")
        for volume in self.volumes.readable:
            for root in self._roots(volume):
                if self.volumes.exists(volume.name, f"{root}/etc/os-release"):
                    return _root_line(_root_name(volume), f"subvol={root[1:]}" if root else "")
        return _root_line(_root_name(holder), "") if holder else "ro"


def _root_name(volume):
    if volume.name.startswith("lvm/"):
        return "/dev/mapper/" + volume.name.removeprefix("lvm/")
    return f"UUID={volume.uuid}"


def _root_line(name, options):
    flags = [o for o in options.split(",") if o.startswith(("subvol=", "subvolid="))]
    return f"root={name} ro" + (f" rootflags={flags[0]}" if flags else "")


def uki_section(path, name):
    """The bytes of a section of an EFI program; None: there is none, or it is no program."""
    with open(path, "rb") as file:
        head = file.read(4096)
        if head[:2] != b"MZ" or len(head) < 64:
            return None
        start = struct.unpack_from("<I", head, 60)[0]
        file.seek(start)
        head = file.read(24)
        if head[:4] != b"PE\0\0" or len(head) < 24:
            return None
        count, optional = struct.unpack_from("<H12xH", head, 6)
        file.seek(start + 24 + optional)
        table = file.read(40 * min(count, SECTIONS_MAX))
        for at in range(0, len(table) - 39, 40):
            if table[at:at + 8].rstrip(b"\0") != name.encode():
                continue
            virtual, _, length, offset = struct.unpack_from("<IIII", table, at + 8)
            file.seek(offset)
            return file.read(min(virtual or length, length, FILE_MAX))
    return None
