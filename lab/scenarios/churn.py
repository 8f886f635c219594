# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import need
from lab.host.evidence import matches, number
from lab.host.scenario import Network, leak


class Churn(Network):
    """N times each under traffic both ways: down/up, MTU 1500 and 9000, `ethtool -L`, unload/load;
    the other end of the network answered after each, no page lost"""
    usual = ("--rounds", "10")
    hosts = ("openvmbus",)
    kinds = ("ours", "intree")
    seconds_a_round = 36
    mib = 1

    def boots(self):
        need("tshark", "tshark")
        self.plug_in(self.net)
        self.boot(append=self.on_net(f" openvmbus.mib={self.mib}"))

    def judge(self):
        self.judge_root()
        self.judge_card()
        for one in ("down_up", "mtu", "queue_count", "unload_load"):
            if one != "queue_count" or self.cpus != 1:
                self.judge_rounds(one)
        self.judge_errors()
        self.judge_side()

    def judge_rounds(self, one):
        done, transfers = self.value(f"rounds.{one}"), self.value(f"done.{one}")
        self.claim(f"{one}: {done} rounds under traffic", number(done) == self.rounds)
        self.claim(f"{one}: transfers were going on both ways ({transfers})",
                   matches(transfers, "^[0-9]+ down [0-9]+ up$"))
        # From the first tenth of the rounds to the last. Traffic leaves its own traces.
        counts = [line.removeprefix(f"memory={one}.") for line in self.evidence.lines
                  if line.startswith(f"memory={one}.")]
        lost, slab, rounds, good = leak(counts, 0, 128)
        self.claim(f"{one}: no leak: free pages went down by {lost}, slab pages up by {slab}, "
                   f"in {rounds} rounds", good)
