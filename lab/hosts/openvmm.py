# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import os
import re

from lab.host.common import LAB, Skip
from lab.host.host import Host


class Openvmm(Host):
    """Microsoft's open monitor, which `OPENVMM=PROGRAM` names; its card is on its own network"""
    is_measured = True

    def __init__(self):
        self.program = os.environ.get("OPENVMM", "")

    def check(self):
        if not os.access(self.program, os.X_OK):
            raise Skip("no OpenVMM: set OPENVMM to the path of its program")

    def around(self, cell):
        return [LAB / "nest/openvmm-side", cell.folder / "serial"]

    def monitor(self, cell, kernel, initrd, line):
        # It knows none of our properties; without a serial number the LUN tells which disk it is.
        files = [disk.split(",")[0] for disk in cell.files]
        disks = [word for file in files for word in ("--disk", f"file:{file}")]
        names = [re.search("serial=([^,]*)|$", disk)[1] or "" for disk in cell.files]
        if names:
            line += f" openvmbus.luns={','.join(names)}"
        serial = cell.folder / "serial"
        network = ["--net", "consomme"] if cell.has_network else []
        return [self.program, "--hypervisor", "kvm", "--hv", "--single-process",
                "--processors", cell.cpus, "--memory", cell.memory, "--kernel", kernel,
                "--initrd", initrd, "--cmdline", line, "--com1", f"file={serial}", *network,
                *cell.vmm, *disks]
