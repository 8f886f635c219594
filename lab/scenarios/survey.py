# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import re

from lab.host.evidence import matches, same, word
from lab.host.scenario import Scenario

# Class ids, and what may drive such a device: our driver, or the kernel's own.
CLASSES = {"ba6163d9-04a1-4d29-b605-72e2ffb1dc7f": ("SCSI controller", ("storvsc", "hv_storvsc")),
           "32412632-86cb-44a2-9b5c-50d1417354f5": ("IDE channel", ("blkvsc", "storvsc",
                                                                    "hv_storvsc")),
           "f8615163-df3e-46c5-913f-f2d2f965ed0e": ("network card", ("netvsc", "hv_netvsc"))}
DRIVERS = {name for _, drivers in CLASSES.values() for name in drivers}


class Survey(Scenario):
    """nothing is asked of the host: the bus has a version; each disk controller and card that is
    offered has a driver for it; the root disk is on one of them; 32 MiB written to it are read
    again; the kernel's log has no complaint. Over ssh it needs root, and leaves nothing"""
    guests = ("linux", "ssh")
    kinds = ("ours", "intree", "any")
    hosts = ("openvmbus", "openvmm", "none")

    def boots(self):
        if self.host.name == "openvmbus":
            self.vmm += ["--net", "user"]
        self.boot()

    def judge(self):
        v = self.value
        self.judge_bus()
        self.claim(f"root is {v('root_device')} through {v('root_driver')}",
                   v("root_driver") in DRIVERS)
        offers = [re.sub("[{}]", "", one).split() for one in self.evidence.all("offer")]
        known = [one for one in offers if len(one) == 4 and one[0] in CLASSES]
        self.claim(f"{len(offers)} devices are offered, {len(known)} of them disks and cards",
                   len(known) >= 2)
        said = [f"{CLASSES[kind][0]} {instance} by {driver} with {channels} channels"
                for kind, instance, channels, driver in known]
        self.claim(f"each of these has a driver: {', '.join(said)}",
                   bool(known) and all(one[3] in CLASSES[one[0]][1] for one in known))
        cards = [word(1, one) for one in self.evidence.all("card")]
        self.claim(f"a card is driven by {' '.join(cards)}",
                   any(card in DRIVERS for card in cards))
        self.claim("32 MiB written to the root disk were read again", same(v("read"), v("written")))
        self.note(f"machine {v('machine')}, host build {v('host_build')}, kernel {v('kernel')}, "
                  f"clock {v('clock')}")
        if not matches(v("bus_version"), r"\d"):
            self.note("no VMBus was found there")
