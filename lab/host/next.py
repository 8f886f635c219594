# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Scenarios in which one kernel starts the next one (lab/guest/next.sh)."""

from pathlib import Path

from lab.host.scenario import Scenario


class Next(Scenario):
    kinds = ("ours", "intree")
    hosts = ("openvmbus", "openvmm")

    def boots(self):
        """The only disk has what a kernel needs to start the next one, each from a MiB on."""
        parts = [Path(one).read_bytes() for one in
                 (self.guest.folder / "vmlinuz", self.guest.initrd(f"lean-{self.kind}"))]
        disk = self.folder / "next.raw"
        disk.write_bytes(b"".join(part + bytes(-len(part) % (1 << 20)) for part in parts))
        self.files = [str(disk)]
        lengths = ",".join(str(len(part)) for part in parts)
        self.boot(f"lean-{self.kind}", f"openvmbus.next={lengths} crashkernel=224M")
