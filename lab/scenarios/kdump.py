# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import re

from lab.host.evidence import number
from lab.host.next import Next


class Kdump(Next):
    """after a panic on the last CPU under I/O, while the other CPU runs, the second kernel finds
    the disk and runs within 60 s; with `--append openvmbus.crash=default` the crash is reported to
    the host first, as Linux does on Hyper-V if nothing is said, the host says the end of the
    kernel's log, and the exit code is 3"""
    usual = ("--cpus", "2")

    def judge(self):
        v = self.value
        self.claim(f"the panic was on CPU {v('panic_cpu')} of {self.cpus}",
                   v("panic_cpu") == str(self.cpus - 1))
        self.claim("the second kernel found the disk", v("disk").startswith("sd"))
        seconds = number(v("began")) - number(v("panicked"))
        self.claim(f"it ran {seconds} s after the panic", seconds <= 60)
        if self.expected_rc:
            found = re.findall(r"openvmbus: guest: (.*Kernel panic.*)", self.read("host.log"))
            self.claim(f"the host said the end of the kernel's log: {(found + ['none'])[0]}",
                       len(found) == 1)
