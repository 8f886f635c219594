# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.bench import Bench
from lab.host.common import need


class Netbench(Bench):
    """its measurements succeed; it judges none of them: prints medians of iperf3 for our driver,
    the kernel's own and QEMU's virtio, booted in turn"""

    def boots(self):
        need("qemu-system-x86_64", "qemu-system-x86")
        self.boot_alternately("bench")

    def judge(self):
        # bench.NAME: exit code, hundredths of a busy second, bytes, bits per second, ...
        good = sum(one.count("^bench[.][^ ]*=0 [0-9]+ [0-9]+ [1-9]")
                   for one in self.boots_done.values())
        self.claim("every measurement ended well", good == 18 * self.rounds)
        for name in ("tcp-out", "tcp-in", "tcp-in-nolro", "udp1400-out"):
            self.compare(name, "Mbit/s", lambda driver: self.rates(name, driver, 1e6))
        for name in ("udp64-out", "udp64-in"):
            self.compare(name, "packets/s", lambda driver: self.rates(name, driver, 512))
        for name in ("tcp-out", "tcp-in", "tcp-in-nolro", "udp64-out", "udp64-in"):
            self.compare(name, "ms/MiB", lambda driver: self.costs(name, driver))
        self.judge_side()

    def rates(self, name, driver, divisor):
        return [one / divisor for one in self.measured(name, 3, driver)]

    def costs(self, name, driver):
        """Guest CPU time for a mebibyte: less of the host's noise is in it than in a rate."""
        busy, moved = (self.measured(name, column, driver) for column in (1, 2))
        return [one * 10 / (length / (1 << 20)) for one, length in zip(busy, moved) if length > 0]
