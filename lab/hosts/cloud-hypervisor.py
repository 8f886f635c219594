# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import os

from lab.host.common import Skip
from lab.host.host import Host


class CloudHypervisor(Host):
    """Cloud Hypervisor, which `CLOUD_HYPERVISOR=PROGRAM` names; without disks here"""
    vmbus = False
    is_measured = True

    def __init__(self):
        self.program = os.environ.get("CLOUD_HYPERVISOR", "")

    def check(self):
        if not os.access(self.program, os.X_OK):
            raise Skip("no Cloud Hypervisor: set CLOUD_HYPERVISOR to the path of its program")

    def lacks(self, guest):
        return f"{self.name} is only started"

    def monitor(self, cell, kernel, initrd, line):
        return [self.program, "--cpus", f"boot={cell.cpus}", "--memory", f"size={cell.memory}",
                "--kernel", kernel, "--initramfs", initrd, "--cmdline", line,
                "--serial", "tty", "--console", "off"]
