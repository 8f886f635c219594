# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What boots machines, and says what is true of that which they left: the base of lab/host/cell.py
and of lab/host/variant.py."""

import os
import subprocess

from lab.host.common import LAB, has_kvm, run

LARGE = 16 << 20


class Judge:
    here = False  # runs on this machine, never in the nest
    nest = "warm"
    folder = None  # what it leaves
    limit = 600  # seconds that a boot may take

    def __init__(self):
        self.failures, self.said, self.evidence = 0, [], None

    def claim(self, text, holds):
        self.failures += not holds
        self.tell(f"{'ok' if holds else 'not ok'} {text}")

    def note(self, text):
        self.tell(f"# {text}")

    def tell(self, line):
        self.said.append(line)
        print(line, flush=True)

    def value(self, name):
        return self.evidence[name]

    def where(self, command, stdout, stderr):
        """Runs it on this machine if its /dev/kvm can, else in the nest; its exit code. The command
        has its own limit; the one here ends the wait for a nest that does not run it."""
        if not self.here and not has_kvm():
            command = ["timeout", "-k", "5", self.limit + 120, LAB / "warm-nest", "-n", self.nest,
                       "exec", *command]
        return run(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)

    def drop_large(self):
        """Disks and captures, which nobody needs when all is well: all cells together would leave
        60 GiB. KEEP=1 in the environment keeps them."""
        if "KEEP" in os.environ:
            return
        for path in self.folder.iterdir():
            if path.stat().st_size > LARGE:
                path.unlink()
