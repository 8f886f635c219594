# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import make, need, output
from lab.host.evidence import matches
from lab.host.scenario import Scenario

# What qemu-img calls them, and its options.
FORMATS = {"qcow2": ("qcow2", "compat=1.1"),
           "vhd-fixed": ("vpc", "subformat=fixed,force_size=on"),
           "vhd-dynamic": ("vpc", "subformat=dynamic,force_size=on"),
           "vhdx": ("vhdx", "subformat=dynamic"),
           "vmdk": ("vmdk", "subformat=monolithicSparse")}


class Formats(Scenario):
    """disks of five formats, written by the guest like a raw one (some of it twice, discarded,
    zeroed), read the same in the guest and are equal to it by `qemu-img compare`; one changed byte
    is found"""
    hosts = ("openvmbus",)
    data_len = 64 << 20

    def boots(self):
        """Disks of each format behind a qemu-nbd of their own, beside the raw one."""
        need("qemu-img", "qemu-utils")
        for name, (kind, options) in FORMATS.items():
            file = self.folder / f"data.{name}"
            make("qemu-img", "create", "-q", "-f", kind, "-o", options, file, self.data_len)
            self.files.append(f"{file},format={name.split('-')[0]}")
        self.boot()

    def judge(self):
        v = self.value
        self.judge_root()
        raw = v("disk.1")
        self.claim("the raw disk was written", matches(raw, f"^{self.data_len} [0-9a-f]{{64}}$"))
        self.claim(f"the guest saw {v('disks')} disks", v("disks") == str(len(FORMATS) + 1))
        for lun, name in enumerate(FORMATS, 2):
            said = self.compare(name)
            self.claim(f"{name}: the guest reads from it what it reads from the raw disk",
                       bool(raw) and v(f"disk.{lun}") == raw)
            self.claim(f"{name}: qemu-img compare: {said}", said == "Images are identical.")
        with open(self.folder / "data.raw", "r+b") as file:
            file.seek(21 << 20)
            file.write(b"x")
        self.claim("control: one byte changed in the raw file is found",
                   self.compare("qcow2").startswith("Content mismatch at offset"))

    def compare(self, name):
        said = output("qemu-img", "compare", "-f", "raw", "-F", FORMATS[name][0],
                      self.folder / "data.raw", self.folder / f"data.{name}").decode()
        return said.split("\n")[0]
