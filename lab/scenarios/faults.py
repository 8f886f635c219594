# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import LAB, OPENVMBUS
from lab.host.evidence import number
from lab.host.scenario import Scenario

FAULTS = 24  # in lab/scenarios/faults
BOOTS_MAX = 16


class Faults(Scenario):
    """with the root in memory, on a host that misbehaves by one rule after the other: load,
    verified I/O, unload, and the same without the rule; services are taken away while their driver
    opens them. It prints what became of each; of our drivers none hangs and none complains, and
    without the rule all works again"""
    usual = ("--cpus", "2")
    usual_of_kind = {"intree": ("--vmm", "--no-timers")}  # or hv_vmbus of 6.1 hangs in its unload
    kinds = ("ours", "intree")
    hosts = ("openvmbus",)
    seconds = 1200
    first = 1

    def boots(self):
        self.around = [LAB / "nest/services-side", self.folder, OPENVMBUS, self.socket]
        self.vmm += ["--stats", "--control", self.socket]
        self.outcomes, following = {}, self.first
        while 0 < following <= FAULTS and len(self.boots_done) < BOOTS_MAX:
            self.boot(f"memory-{self.kind}", append=f"openvmbus.first={following}")
            following = self.take(following)

    def take(self, first):
        """What the boot found; the number of the fault with which the next one begins, 0: none. A
        boot that ended without a word about a fault ended by it."""
        if not self.evidence.count("^@@CTL"):
            return 0
        for line in self.evidence.all("fault"):
            which, rest = line.split(";", 1)
            rule, outcome, log = rest.split("; now ")[0], *rest.split("; now ")[1].split(";", 1)
            self.outcomes[int(which)] = (rule, outcome, log.strip())
        following = self.value("faults_next")
        if following:
            return int(number(following))
        died = max([n for n in self.outcomes if n >= first], default=first - 1) + 1
        self.outcomes[died] = ("", f"the guest ended (exit code {self.value('host_rc')})", "")
        return died + 1

    def judge_boots(self):
        for which, (rule, outcome, log) in sorted(self.outcomes.items()):
            self.note(f"{which}: {rule}: {outcome}{': ' + log if log else ''}")
        self.claim(f"{len(self.outcomes)} faults were tried", len(self.outcomes) == FAULTS)
        if self.kind == "ours":
            bad = [n for n, (_, outcome, log) in self.outcomes.items()
                   if log or "stuck" in outcome or "ended" in outcome
                   or not outcome.endswith(("then 0", "unloaded"))]
            self.claim(f"with our drivers nothing hangs, complains or stays broken ({bad})",
                       not bad)
