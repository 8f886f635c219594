# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.evidence import number
from lab.host.scenario import Scenario


class Offers(Scenario):
    """the guest lists the offers that the host's trace shows, the known instance id among them;
    with `--vmm --unannounced`, of a host whose CPUID grants neither messages nor events"""
    hosts = ("openvmbus", "openvmm", "qemu-vmbus")
    kinds = ("ours",)  # the kernel's own bus of 6.1 hangs when it is unloaded

    def boots(self):
        self.boot(f"memory-{self.kind}")

    def judge(self):
        v = self.value
        self.judge_bus()
        if self.host.name == "qemu-vmbus":
            self.judge_trace()
            return
        self.claim(f"the guest lists {v('offers')} offers", number(v("offers")) >= 1)
        self.claim("driver_override keeps the driver away, and gives it back",
                   f"{v('overridden')} / {v('taken_back')}" == "nobody  / (null) bound")

    def judge_trace(self):
        trace = self.read("host.log")
        sent = sum("vmbus_send_offer" in line for line in trace.split("\n"))
        self.claim("the host's trace shows the contact", "vmbus_initiate_contact" in trace)
        self.claim(f"the host's trace shows {sent} offers", sent >= 1)
        self.claim("the guest lists all of them", self.value("offers") == str(sent))
        self.claim("the offer is the host's dynamic memory device", self.value("offer")
                   == f"{{525074dc-8985-46e2-8057-a307dc18a502}} {{{self.host.offered}}}")
