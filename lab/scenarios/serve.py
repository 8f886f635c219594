# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import os

from lab.host.common import LAB, Skip, has_kvm, need
from lab.host.evidence import Evidence, matches, number, sha256
from lab.host.scenario import Scenario


class Serve(Scenario):
    """of `baremetal`: it hashed its disk, answered three pings, and served a page with its
    counters, over which it was also told to end"""
    guests = ("baremetal",)
    hosts = ("openvmbus",)
    memory = "64M"
    seconds = 120
    has_disks = False
    disk_len = 1 << 20  # hashing it takes an emulated CPU a second

    def boots(self):
        if has_kvm() and os.geteuid():
            raise Skip("it makes a network namespace: run it as root")
        need("curl", "curl")
        disk = self.folder / "disk.raw"
        disk.write_bytes(os.urandom(self.disk_len))
        self.files = [str(disk)]
        self.around = [LAB / "nest/metal-side", self.folder]
        self.card = ["--stats", "--net", "tap=vm0"]
        self.boot_command(self.host.command(self, self.guest.kernel, "", "interrupt poweroff"))

    def judge_boots(self):
        rc = self.value("host_rc")
        self.claim(f"the machine was ended over the network (exit code {rc})", rc == "0")

    def judge(self):
        page, before = (Evidence(self.folder / f"page.{i}") for i in (2, 1))
        disk, other = (self.folder / "disk.raw").read_bytes(), self.read("other").strip()
        self.claim(f"VMBus version {page['vmbus']}", matches(page["vmbus"], r"^\d+\.\d+$"))
        self.claim(f"it read the disk: {page['disk_bytes']} bytes",
                   page["disk_bytes"] == str(len(disk)))
        self.claim("its hash is that of the host's file", page["sha256"] == sha256(disk))
        self.claim("it answered three pings", matches(
            self.read("ping"), "(?m)^3 packets transmitted, 3 packets received"))
        self.claim(f"it counted them: {page['pings']}", page["pings"] == "3")
        self.claim("it served the page before", before["sha256"] == sha256(disk))
        self.claim(f"it has no other page ({other})", other == "404")
        self.claim("no frame was dropped", page["frames_dropped"] == "0")
        # Microseconds since the machine was made.
        entered, connected, disk, card, hashed = (
            number(page[f"{what}_us"]) / 1000
            for what in ("entered", "connected", "disk", "card", "hashed"))
        self.note(f"ms from its first instruction: {connected - entered:.0f} connected, "
                  f"{disk - entered:.0f} disk open, {card - entered:.0f} card open, "
                  f"{hashed - entered:.0f} disk hashed; it began {entered:.0f} ms after the "
                  "machine was made")
