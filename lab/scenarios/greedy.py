# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import LAB
from lab.host.evidence import number, word
from lab.host.scenario import Network

# What a guest's process may make of the host, whatever it does, in the order of what
# lab/nest/greedy-side measures; docs/network.md and docs/storage.md say why.
MOST = {"KiB of its own": 300 << 10, "descriptors": 2400, "mappings": 4000, "threads": 64}
MOST_LINES = 40


class Greedy(Network):
    """a guest's process without privilege sends datagrams from ever new ports and opens connections
    until its network has no more for it, flushes from 32 threads and moves 4 MiB at a time from 8;
    meanwhile another process writes and verifies on another disk, and a transfer that had begun
    ends with the right bytes; then the guest resets itself and finds what it wrote; the host's own
    memory, descriptors, mappings, threads and lines stay below printed limits"""
    usual = ("--cpus", "2")
    hosts = ("openvmbus",)
    more_seconds = 360
    mib = 4
    once = ()

    def boots(self):
        self.plug_in("user")
        self.around += [LAB / "nest/greedy-side", self.folder]
        self.boot(append=f"openvmbus.net=user openvmbus.port={self.port}")

    def judge(self):
        v = self.value
        steady, transfer = v("steady"), v("transfer")
        self.judge_root()
        self.claim(f"it sent {v('greedy_udp')} datagrams, each from another port, and opened "
                   f"{v('greedy_tcp')} connections",
                   number(v("greedy_udp")) > 0 and number(v("greedy_tcp")) > 0)
        self.claim(f"it flushed {v('greedy_flush')} times, and moved 8 MiB {v('greedy_big')} times",
                   number(v("greedy_flush")) > 0 and number(v("greedy_big")) > 0)
        self.claim("its network reached the bound",
                   "connections that its network may" in self.read("host.log"))
        self.claim(f"another process verified {word(0, steady)} writes of another disk meanwhile",
                   number(word(0, steady)) > 20)
        self.claim(f"each within {word(1, steady)} ms (limit 15000)",
                   number(word(1, steady)) <= 15000)
        self.claim("a transfer that had begun ended well", word(0, transfer) == "0")
        self.claim("with the bytes that were sent", any(
            line.startswith("down /data ") and (word(1, transfer) or "none") in line
            for line in self.read("server.log").split("\n")))
        self.claim("the guest could reset itself", v("second_start") == "1")
        self.claim("and found what it had written", v("token_after") == self.token)
        self.judge_bounds()

    def judge_bounds(self):
        samples = [line.split() for line in self.read("samples").strip().split("\n")]
        for i, (what, most) in enumerate(MOST.items()):
            self.bounded(what, max((number(one[i]) for one in samples if len(one) > i), default=0),
                         most)
        self.bounded("lines to say", self.read("host.log").count("\n"), MOST_LINES)

    def bounded(self, what, seen, most):
        self.claim(f"the host had {seen} {what} at most (limit {most})", 0 < seen <= most)
