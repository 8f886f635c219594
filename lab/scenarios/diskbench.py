# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import re

from lab.host.bench import Bench, ratio, spread
from lab.host.common import LAB, need
from lab.host.evidence import number, word


class Diskbench(Bench):
    """its measurements succeed; prints random reads a second, with 1, 4 and 32 under way, of a disk
    that the host has in memory, for the same three, and how many requests shared a doorbell"""

    def boots(self):
        need("qemu-system-x86_64", "qemu-system-x86")
        self.files[1] = f"{self.socket},serial=data"
        self.around = [LAB / "nest/ram-side", self.socket, self.data_len]
        self.qemu_disk = "virtio-blk-pci"
        self.vmm += ["--stats"]
        self.boot_alternately()

    def judge(self):
        good = sum(one.count("^bench[.][0-9]+=0 [1-9]") for one in self.boots_done.values())
        self.claim("every measurement ended well", good == 9 * self.rounds)
        for depth in (1, 4, 32):
            virtio = self.rates("virtio", depth)
            said = [f"{driver} {spread(rates)} ratio {ratio(rates, virtio)}"
                    for driver in self.drivers() for rates in [self.rates(driver, depth)]]
            self.note(f"{depth} under way, thousands of reads/s: {'; '.join(said)}")
        said = re.findall(r"stats: storage: (\d*) requests.*flushes; (.*)", self.read("host.log"))
        self.note("openvmbus, boot by boot: "
                  + " ".join(f"{count} requests, {rest};" for count, rest in said))

    def drivers(self):
        """Virtio last."""
        found = {one["data_driver"] for one in self.boots_done.values()}
        return sorted(found, key=lambda name: (name.startswith("virtio"), name))

    def rates(self, driver, depth):
        """Thousands of reads a second, in each boot."""
        return [number(word(1, one[f"bench.{depth}"])) / 1000 for one in self.boots_done.values()
                if one["data_driver"].startswith(driver)]
