# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.next import Next


class Kexec(Next):
    """N times from one kernel into the next under I/O: each finds the disk"""
    usual = ("--cpus", "2", "--rounds", "2")
    seconds_a_round = 30

    def judge(self):
        found = self.evidence.count("^round=[0-9]* disk=sd")
        self.claim(f"{found} kernels one after the other found the disk", found == self.rounds + 1)
        seconds = [line.split("seconds=")[1] for line in self.evidence.lines
                   if line.startswith("round=") and "seconds=" in line]
        self.note(f"seconds from one to the next: {' '.join(seconds)}")
