# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import BUILD, LAB, make
from lab.host.host import Host
from lab.hosts.qemu import Qemu

OFFERED = "6f70656e-766d-6275-7300-000000000001"  # the instance id of its one device


class Bridge(Qemu):
    """QEMU's own VMBus bridge, from Debian's backports, with one device: dynamic memory"""
    vmbus = True
    program = [BUILD / "qemu/usr/bin/qemu-system-x86_64", "-L", BUILD / "qemu/usr/share/qemu",
               "-L", BUILD / "qemu/usr/share/seabios"]
    offered = OFFERED
    bridge = ["-device", "vmbus-bridge", "-device", f"hv-balloon,instanceid={OFFERED}",
              "-trace", "vmbus_*"]
    lacks = Host.lacks

    def check(self):
        make(LAB / "qemu")
