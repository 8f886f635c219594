# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import os

from lab.host.common import OPENVMBUS, Skip, die
from lab.host.host import MAC, PEER_MAC, Host


class Openvmbus(Host):
    """`build/openvmbus`, or the program that `OPENVMBUS` names"""
    is_measured = True

    def check(self):
        if not os.access(OPENVMBUS, os.X_OK):
            raise Skip(f"{OPENVMBUS} is missing; run: make")

    def monitor(self, cell, kernel, initrd, line):
        disks = [word for disk in cell.files for word in (cell.attach, disk)]
        return [OPENVMBUS, "run", "--accel", "kvm", *cell.once, "--cpus", cell.cpus,
                "--memory", cell.memory, "--kernel", kernel,
                *(["--initrd", initrd] if initrd else []), "--append", line, *cell.card, *cell.vmm,
                *disks]

    def card(self, cell, way):
        many = f"queues={cell.cpus}"
        cards = {"user": f"user,{many},mac={MAC},capture={cell.folder}/sink.pcapng",
                 "tap": f"tap=vm0,{many},mtu=9000,mac={MAC}",
                 "bench": f"tap=vm0,{many},mtu=9000,mac={MAC}",
                 "pair-1": f"switch={cell.socket},{many},mac={MAC}",
                 "pair-2": f"switch={cell.socket},{many},mac={PEER_MAC}"}
        if way not in cards:
            die(f"no network '{way}': tap or user")
        return ["--stats", "--net", cards[way]]
