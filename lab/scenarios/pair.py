# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import re

from lab.host.common import OPENVMBUS, say
from lab.host.evidence import matches, number
from lab.host.scenario import Network, rate


class Pair(Network):
    """two guests on one switch, ours and the kernel's own driver: iperf3 TCP and UDP both ways; no
    error counter moved in either, no frame dropped by either host"""
    hosts = ("openvmbus", "qemu")
    memory = "640M"
    more_seconds = 360
    has_disks = False  # each guest has its own

    def boots(self):
        for number_, kind in ((1, self.kind), (2, self.guest.peer)):
            self.prepare_disks(str(number_))
            self.plug_in(f"pair-{number_}")
            command = self.prepare(kind, f"openvmbus.net=pair openvmbus.role={number_}")
            text = "".join(f"{word}\0" for word in command)
            (self.folder / f"command.{number_}").write_text(text)
            (self.folder / f"exit.{number_}").write_text("1\n")
        say(f"{self.guest} on {self.host.name}: {self.name}")
        with open(self.folder / "host.log", "ab") as log:
            self.where([*self.around, OPENVMBUS, self.socket], log, log)
        for number_ in (2, 1):
            self.collect(number_, self.read(f"exit.{number_}").strip())

    def judge(self):
        first, second = self.boots_done[1], self.boots_done[2]
        self.judge_bus()
        self.judge_measured(second)
        self.claim("the first guest was told the end", first["goodbye"] == "finished")
        for self.evidence in (first, second):
            self.judge_guest(self.evidence.path.suffix[1:])
        if self.host.name == "openvmbus":
            self.judge_switch()
        if self.kind != "virtio":
            self.claim("the two have different drivers",
                       first["net_driver"] != second["net_driver"])
        self.judge_side()

    def judge_measured(self, evidence):
        for name in ("tcp-out", "tcp-in", "udp-out", "udp-in"):
            rc, _, bits, again, lost, sent = (evidence[f"iperf.{name}"].split() + ["?"] * 6)[:6]
            self.claim(f"{name}: {rate(number(bits) / 8)}, {again} sent again, {lost} of {sent} "
                       "datagrams lost", rc == "0" and number(bits) > 0)

    def judge_guest(self, which):
        v = self.value
        if which != "1":
            self.judge_every()
        self.claim(f"guest {which}: the card is driven by {v('net_driver')}",
                   matches(v("net_driver"), "^(netvsc|hv_netvsc|virtio_net)$"))
        self.claim(f"guest {which}: no error counter of the card moved ({v('net_errors')})",
                   v("net_errors") == "0")
        if self.host.name == "openvmbus":
            self.judge_its_host(which, f"host.{which}.log")
        self.note(f"guest {which}: {v('link')}")

    def judge_its_host(self, which, log):
        said = self.host_says(r"0: \d* packets, (.* forged);", log)
        self.claim(f"guest {which}: its host found nothing wrong in what it sent ({said})",
                   said == "0 refused, 0 broken, 0 forged")
        for way in ("out", "in"):
            said = self.host_says(f"0: {way} (.*)", log)
            self.claim(f"guest {which}: its host dropped nothing, {way}: {said}",
                       " 0 dropped" in said)

    def judge_switch(self):
        """What one port gave to the switch the other one got."""
        ports = (re.findall("stats: port [01]: (.*)", self.read("side.log")) + ["", ""])[:2]
        self.claim(f"the switch passed every frame ({ports[0]}; {ports[1]})",
                   all(" 0 dropped" in port for port in ports))
