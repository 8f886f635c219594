# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.evidence import number
from lab.host.scenario import Scenario, leak


class Reload(Scenario):
    """with the root in memory, N times: load, verified I/O, unload; the same bytes, no page lost"""
    usual = ("--rounds", "10")
    usual_of_kind = {"intree": ("--vmm", "--no-timers")}  # or hv_vmbus of 6.1 hangs in its unload
    kinds = ("ours", "intree")
    seconds_a_round = 6

    def boots(self):
        self.boot(f"memory-{self.kind}")

    def judge(self):
        v = self.value
        # One page a round is seen in 100 rounds, the control's four pages in 20.
        lost, slab, done, good = leak(self.evidence.all("memory"), 1, 32)
        self.claim(f"{v('rounds')} rounds of load, verified I/O and unload",
                   number(v("rounds")) == self.rounds)
        self.claim("fio verified in every tenth round",
                   number(v("fios")) == (self.rounds + 9) // 10)
        self.claim("every round found the bytes that the first one left", v("hashes") == "1")
        self.claim(f"no leak: free pages went down by {lost}, slab pages up by {slab}, "
                   f"in {done} rounds", good)
