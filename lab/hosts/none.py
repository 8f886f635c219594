# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import LAB
from lab.host.host import Host


class Nobody(Host):
    """none of the lab's: the guest runs already, on a host that is not asked; it is reached by ssh
    (`LAB_SSH`, the command)"""
    here = True

    def lacks(self, guest):
        return None if guest.name == "ssh" else f"{guest} needs a host"

    def monitor(self, cell, kernel, initrd, line):
        return [LAB / "host/over-ssh", cell.guest.target, cell.name, line]
