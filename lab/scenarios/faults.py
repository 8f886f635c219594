# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import re

from lab.host.common import LAB, OPENVMBUS
from lab.host.evidence import number
from lab.host.scenario import Scenario

FAULTS = 24  # in lab/scenarios/faults
SILENCE = 150  # seconds; more than a step of the guest may take


class Faults(Scenario):
    """with the root in memory, on a host that misbehaves by one rule after the other: load,
    verified I/O, unload, and the same without the rule; services are taken away while their driver
    opens them. It prints what became of each; of our drivers none hangs and none complains, and
    without the rule all works again. `--append openvmbus.faults=N-M`: these alone"""
    usual = ("--cpus", "2")
    usual_of_kind = {"intree": ("--vmm", "--no-timers")}  # or hv_vmbus of 6.1 hangs in its unload
    kinds = ("ours", "intree")
    hosts = ("openvmbus",)
    seconds = 1200

    def boots(self):
        self.around = [LAB / "nest/services-side", "-s", SILENCE, self.folder, OPENVMBUS,
                       self.socket]
        self.vmm += ["--stats", "--control", self.socket]
        self.outcomes = {}
        self.first, self.last = self.chosen()
        following = self.first
        while self.first <= following <= self.last:
            self.boot(f"memory-{self.kind}",
                      append=f"openvmbus.first={following} openvmbus.last={self.last}")
            following = self.take(following)

    def chosen(self):
        found = re.search(r"openvmbus\.faults=(\d+)-(\d+)", self.append)
        return (int(found[1]), int(found[2])) if found else (1, FAULTS)

    def take(self, first):
        """What the boot found; the number of the fault with which the next one begins, 0: none. A
        boot that ended without a word about a fault ended by it."""
        if not self.evidence.count("^@@CTL"):
            return 0
        for line in self.evidence.all("fault"):
            which, rest = line.split(";", 1)
            rule, said = rest.split("; now ", 1)
            outcome, log = said.rsplit(";", 1)
            self.outcomes[int(which)] = (rule, outcome, log.strip())
        following = self.value("faults_next")
        if following:
            return int(number(following))
        died = max([n for n in self.outcomes if n >= first], default=first - 1) + 1
        self.outcomes[died] = (self.rule_of_the_dead(), self.end_of_the_dead(), "")
        return died + 1

    def rule_of_the_dead(self):
        added = [line.split()[-1] for line in self.evidence.lines if " fault-add " in line]
        return added[-1] if added else ""

    def end_of_the_dead(self):
        """How the machine ended, in which step of the guest, and what its kernel said last."""
        silence = self.value("silent")
        how = f"silent for {silence} s" if silence else f"exit code {self.value('host_rc')}"
        said = re.findall("BUG: .*|Oops.*|general protection.*|Kernel panic.*|Incorrect trans.*",
                          self.read(f"console.{len(self.boots_done)}").replace("\r", ""))
        return f"the guest ended: {how}, in {self.value('step')}, {'; '.join(dict.fromkeys(said))}"

    def judge_boots(self):
        for which, (rule, outcome, log) in sorted(self.outcomes.items()):
            self.note(f"{which}: {rule}: {outcome}{': ' + log if log else ''}")
        self.claim(f"{len(self.outcomes)} faults were tried",
                   list(self.outcomes) == list(range(self.first, self.last + 1)))
        if self.kind == "ours":
            bad = [n for n, (_, outcome, log) in self.outcomes.items()
                   if log or "stuck" in outcome or "ended" in outcome
                   or not outcome.endswith(("then 0", "unloaded"))]
            self.claim(f"with our drivers nothing hangs, complains or stays broken ({bad})",
                       not bad)
