# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.evidence import number, same, word
from lab.host.scenario import Network


class Leave(Network):
    """another address (or its refusal, where the host does not do it), another MTU and `rmmod` take
    under 10 s each, and the host keeps no memory"""
    hosts = ("openvmbus", "openvmm")

    def boots(self):
        if self.host.name != "openvmm":
            self.plug_in("user")
        self.boot(f"memory-{self.kind}")

    def judge(self):
        """A host may leave the address alone; then the guest must not say otherwise."""
        v = self.value
        self.judge_bus()
        before, after = word(0, v("mac")), word(1, v("mac"))
        if v("rc.mac") == "0":
            self.claim("the host changed the address, and so did the guest",
                       after == "02:00:00:00:77:99")
        else:
            self.claim("the host left the address alone, and so did the guest", same(before, after))
        self.claim("another MTU", v("rc.mtu") == "0")
        self.claim("the driver was unloaded", v("rc.remove") == "0")
        self.claim("the host kept no memory", v("lost") == "0")
        for what in ("mac", "mtu", "remove"):
            took = v(f"seconds.{what}")
            self.claim(f"{what} took {took} s", number(took) < 10)
