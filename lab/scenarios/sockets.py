# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import re

from lab.host.common import LAB, OPENVMBUS
from lab.host.evidence import number
from lab.host.scenario import Network

# What both ends do as clients of the other's servers; lab/guest/sockets says how.
CHECKS = ("echo", "refused", "half", "other_closes", "up", "down", "both", "slow", "ends", "many")


class Sockets(Network):
    """with AF_VSOCK in the guest and UNIX sockets at the host, each end a client of the other's
    servers: `--mib` each way with equal hashes (of the host a quarter), and a quarter of that both
    ways at once; a port where nobody listens; each direction ended by itself; a reader that pauses,
    beside one that does not; ends at each point of a connection's life; N connections, 16 at a
    time; afterwards neither end has a channel left; the rates of `--mib`, 64 at most, by socket and
    by TCP, each way, are printed, on a tap by a connection to the host's kernel. On OpenVMM, which
    nobody asks, without channels that are left and rates"""
    hosts = ("openvmbus", "openvmm")
    rounds = 500
    more_seconds = 200
    seconds_a_round = 1
    seconds_a_mib = 8

    def boots(self):
        vsock, address, bench = f"{self.socket}.vsock", "127.0.0.1", min(self.mib, 64)
        if self.host.name == "openvmm":
            self.vmm += ["--vmbus-vsock-path", vsock]
            bench = 0
        elif self.net == "tap":
            self.plug_in("bench")
            address = "10.77.0.1"
        else:
            self.card = ["--stats", "--net", "user"]
        self.around += [LAB / "nest/sockets-side", self.folder, OPENVMBUS, self.socket, vsock,
                        max(1, self.mib // 4), self.rounds, f"{address}:{self.port + 1}"]
        if bench:
            self.vmm += ["--control", self.socket, "--vsock", vsock]
        self.boot(append=f"openvmbus.net={self.net} openvmbus.port={self.port + 1} "
                         f"openvmbus.mib={self.mib} openvmbus.bench={bench} "
                         f"openvmbus.count={self.rounds}")

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
        if self.host.name == "openvmbus":
            self.judge_host()

    def judge_host(self):
        v = self.value
        left = v("left"), self.of_host("left")
        self.claim(f"channels of connections that are left: guest {left[0]}, host {left[1]}",
                   left == ("0", "0"))
        for way, where in (("out", "to the host"), ("in", "to the guest")):
            by_socket, by_tcp = v(f"{way}_socket"), v(f"{way}_tcp")
            self.claim(f"{where} {by_socket} MiB/s by socket, {by_tcp} by TCP",
                       number(by_socket) > 0 and number(by_tcp) > 0)
        self.claim("the guest broke no protocol",
                   re.search("stats: sockets: .* 0 broken", self.read("host.log")) is not None)
