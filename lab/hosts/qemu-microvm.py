# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.hosts.qemu import Qemu


class Microvm(Qemu):
    """Debian's QEMU as its smallest machine, which has no PCI and no disks here"""
    machine = "microvm,rtc=on"
    cpu = "max"
    is_measured = True

    def lacks(self, guest):
        return f"{self.name} is only started"
