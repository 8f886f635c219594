# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import os

from lab.host.common import BUILD, LAB, Skip, make
from lab.host.evidence import matches, read
from lab.host.guest import Guest

DRIVERS = {"ours": {"storage": "storvsc", "network": "netvsc"},
           "intree": {"storage": "hv_storvsc", "network": "hv_netvsc"},
           "virtio": {"storage": "virtio_scsi", "network": "virtio_net"}}
OTHER = {"ours": "intree", "intree": "ours", "virtio": "virtio"}


class Linux(Guest):
    """Debian's kernel VERSION of `lab/kernels`, with our drivers, the kernel's own, or virtio's"""
    pattern = "linux-([a-z0-9.-]+)-(ours|intree|virtio)"
    usage = "linux-VERSION-ours, -intree or -virtio"

    def __init__(self, text, version, kind):
        super().__init__(text)
        self.version, self.kind = version, kind
        self.drivers = DRIVERS[kind]
        self.peer = OTHER[kind]  # what it is compared with, or talks to

    def make(self):
        make(LAB / "kernel", self.version)
        self.release = os.path.basename(os.path.realpath(BUILD / "kernels" / self.version))
        self.folder = BUILD / "kernels" / self.release
        self.kernel = self.folder / "vmlinux"

    def initrd(self, kind):
        try:
            return make(LAB / "initrd", self.version, kind)
        except SystemExit:
            raise Skip("no initrd: see above") from None

    def line(self, kind):
        built_in = matches(read(self.folder / "config"), "(?m)^CONFIG_HYPERV_VMBUS=y")
        return " initcall_blacklist=hv_acpi_init" if built_in and kind.endswith("ours") else ""
