# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import re

from lab.host.evidence import matches, number, same
from lab.host.scenario import Network


class Hibernate(Network):
    """the guest sleeps N times: its image goes to a VMBus disk, the machine resets, a fresh kernel
    loads it; the root file system has what was written before, a TCP transfer goes on over all of
    them with the right bytes, channels interrupt the same CPUs as before"""
    usual = ("--cpus", "2", "--memory", "512M", "--rounds", "1")
    hosts = ("openvmbus",)
    rounds = 3
    seconds_a_round = 200
    mib = 1  # at 8 KiB/s outlives all the sleeps
    once = ()  # the machine starts again after each

    def boots(self):
        self.plug_in(self.net)
        self.boot(append=self.on_net(" hibernate=nocompress"))

    def judge(self):
        v, all_bytes = self.value, self.mib << 20
        received = [one for name, values in self.evidence.values.items()
                    if re.fullmatch(r"received\.\d*", name) for one in values]
        self.claim(f"the bus says that it can: {v('hibernation')}",
                   matches(v("hibernation"), "^[01]$"))
        self.claim(f"slept {self.rounds} times and went on",
                   (self.evidence.count(r"^slept\."), self.evidence.count("^sleep_failed"))
                   == (self.rounds, 0))
        resets = re.findall(r"stats: (\d+) resets", self.read("host.log"))
        self.claim("the machine was reset as often", resets == [str(self.rounds)])
        self.claim("what was written before each sleep was read after it",
                   not self.evidence.count("^lost=") and self.evidence.count(r"^slept\."))
        self.claim("a transfer over TCP was under way in each of them",
                   sum(0 < number(one) < all_bytes for one in received) == self.rounds)
        self.claim(f"it went on over all of them: {v('slow')}, {' '.join(received)}",
                   v("slow") == f"0 {all_bytes} 1")
        self.claim("with the bytes that the server sent", same(v("slow_hash"), self.slow_hash()))
        self.claim(f"channels interrupt the same CPUs: {v('channels')}",
                   same(v("channels_after"), v("channels")))

    def slow_hash(self):
        found = re.findall(r"^down \S*slow\S* \S+ (\S+)", self.read("server.log"), re.M)
        return "\n".join(found)
