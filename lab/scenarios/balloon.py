# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import LAB, OPENVMBUS
from lab.host.evidence import number
from lab.host.scenario import Scenario


class Balloon(Scenario):
    """the guest became small and large again --rounds times (2), from 1 GiB to 256 MiB, or to
    384 MiB with the kernel's own driver, which gives no more; the machine never held more than 5%
    above what the guest had; a program that kept memory, and filled what it found free, read back
    what it wrote; nothing was ended for want of memory"""
    hosts = ("openvmbus",)
    rounds = 2
    once = ()

    def boots(self):
        small = "384M" if self.kind == "intree" else "256M"
        self.around = [LAB / "nest/balloon-side", self.folder, OPENVMBUS, self.socket, small, "1G"]
        self.vmm += ["--stats", "--control", self.socket]
        self.boot()

    def judge(self):
        v = self.value
        driver = "hv_balloon" if self.kind == "intree" else "hvballoon"
        self.claim(f"dynamic memory has the driver {driver}", v("driver") == driver)
        lines = [line.split() for line in self.read("sizes").split("\n") if line]
        reached = sum(line[2] == "true" for line in lines)
        self.claim(f"the guest became small and large {self.rounds} times",
                   reached == len(lines) == 2 * self.rounds)
        has, held, process = ([int(line[i]) for line in lines] for i in (3, 4, 5))
        self.claim(f"it had {has} MiB, of which the machine held {held}, never 5% more",
                   has and all(h <= a * 1.05 for a, h in zip(has, held)))
        self.claim(f"the process had {process}, never 5% more, but for 24 of its own",
                   process and all(p <= a * 1.05 + 24 for a, p in zip(has, process)))
        self.claim("what it got again it used",
                   held[1:] and all(h >= 600 for h in held[1::2]))
        self.claim(f"a program read back {v('held')} MiB {v('checks')} times, and {v('filled')} "
                   "MiB that it had in between once", v("wrong") == "0")
        self.claim(f"it filled free memory {v('fills')} times", number(v("fills")) >= self.rounds)
        self.claim("nobody was ended for want of memory", v("ooms") == "0")
