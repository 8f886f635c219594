# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.bench import Counted, grown, pairs, tick_cost, ticks


class Queuebench(Counted):
    """on 4 CPUs (`--cpus 4`) with 1, 2 and 4 channels for the disk's controller, our `storvsc` and
    the kernel's own in turn: each opens all of them, on CPUs of their own; prints interrupts of
    each CPU and calls between them for random reads, 32 at a time, and guest instructions, which
    include the waking of idle CPUs and so say nothing on a busy machine"""
    usual = ("--cpus", "4", "--rounds", "1")
    marks = 8

    def boots(self):
        self.files = [f"null:{self.data_len},serial=data"]
        self.start_counting()
        for _ in range(self.rounds):
            for queues in (1, 2, 4):
                self.vmm = ["--stats", "--disk-queues", queues]
                for kind in (self.kind, self.guest.peer):
                    self.boot_counted(f"memory-{kind}", f"openvmbus.queues={queues}",
                                      f"queues={queues}")

    def judge(self):
        rows = self.rows(self.of_boot)
        for queues, driver, hardware, cpus, instructions, entries, interrupts, calls in rows:
            self.note(f"{queues} channels, {driver}: {hardware} hardware queues; channels on CPUs "
                      f"{','.join(cpus)}; {instructions} kernel instructions a read; {entries} "
                      f"entries; for 100 reads interrupts of each CPU: {interrupts}, calls from "
                      f"CPU to CPU: {calls}")
            self.claim(f"{driver} opened {queues} channels, on as many CPUs",
                       len(set(cpus)) == int(queues))
        ours = [row for row in rows if row[1] == "storvsc"]
        self.claim("ours has as many hardware queues as channels",
                   bool(ours) and all(row[0] == row[2] for row in ours))

    @staticmethod
    def of_boot(evidence):
        """Queues; driver; hardware queues; CPUs that channels interrupt; without the ticks' the
        kernel's instructions a read; entries into the guest a read; interrupts of each CPU and
        calls between them for 100 reads."""
        kernel, entries = pairs(evidence)
        few, many = map(int, evidence["reads"].split())
        late = (ticks(evidence, "many") - ticks(evidence, "few")) * tick_cost(evidence, kernel)
        seen = [f"{(more - less) * 100 / (many - few):.1f}" for less, more in
                zip(interrupted(evidence, "few"), interrupted(evidence, "many"))]
        return (evidence["queues"], evidence["driver"], evidence["hardware_queues"],
                evidence["channels"].split(), round((grown(kernel)[2] - late) / (many - few)),
                round(grown(entries)[2] / (many - few), 2), ",".join(seen[:-1]), seen[-1])


def interrupted(evidence, name):
    """What of each CPU, and at last by calls, came during one of the runs."""
    return [after - before for before, after in
            zip(evidence.numbers(f"before.{name}"), evidence.numbers(f"after.{name}"))]
