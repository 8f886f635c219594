# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import re

from lab.host.common import LAB, OPENVMBUS
from lab.host.evidence import number
from lab.host.scenario import Scenario

# What both ends do as clients of the other's servers; lab/guest/sockets says how.
CHECKS = ("echo", "refused", "half", "other_closes", "up", "down", "both", "slow", "ends", "many")


class Sockets(Scenario):
    """with AF_VSOCK in the guest and UNIX sockets at the host, each end a client of the other's
    servers: `--mib` each way with equal hashes, and a quarter of that both ways at once; a port
    where nobody listens; each direction ended by itself; a reader that pauses, beside one that does
    not; ends at each point of a connection's life; N connections, 16 at a time; afterwards neither
    end has a channel left; a transfer's rate is printed beside that of TCP"""
    hosts = ("openvmbus",)
    rounds = 500
    more_seconds = 200
    seconds_a_round = 1
    seconds_a_mib = 8

    def boots(self):
        vsock = f"{self.socket}.vsock"
        self.around = [LAB / "nest/sockets-side", self.folder, OPENVMBUS, self.socket, vsock,
                       self.mib, self.rounds, self.port]
        self.vmm += ["--stats", "--control", self.socket, "--vsock", vsock, "--net", "user"]
        self.boot(append=f"openvmbus.net=user openvmbus.port={self.port} "
                         f"openvmbus.mib={self.mib} openvmbus.count={self.rounds}")

    def of_host(self, name):
        found = re.findall(rf"^{name}=(.*)$", self.read("sockets"), re.M)
        return found[-1] if found else ""

    def judge(self):
        v = self.value
        self.judge_root()
        for check in CHECKS:
            self.claim(f"guest to host, {check}: {v(check)}", v(check) == "ok")
        for check in CHECKS:
            said = self.of_host(check)
            self.claim(f"host to guest, {check}: {said}", said == "ok")
        left = v("left"), self.of_host("left")
        self.claim(f"channels of connections that are left: guest {left[0]}, host {left[1]}",
                   left == ("0", "0"))
        self.claim(f"{self.mib} MiB and {self.rounds} connections each way; "
                   f"{v('rate_socket')} MiB/s by socket, {v('rate_tcp')} by TCP",
                   number(v("rate_socket")) > 0)
        self.claim("the guest broke no protocol",
                   re.search("stats: sockets: .* 0 broken", self.read("host.log")) is not None)
