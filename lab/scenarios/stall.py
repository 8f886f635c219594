# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import re

from lab.host.common import LAB, OPENVMBUS
from lab.host.evidence import number, word
from lab.host.scenario import Scenario

HOLD = 60  # seconds that the guest's script has the host hold a user's command


class Stall(Scenario):
    """two SCSI disks, the root in memory: `SG_IO` with 5 s, which the host holds for a minute, ends
    in its time with our driver while fio verifies both disks (with the kernel's own it waits); a
    stall of 20 s ends without an error for fio; a read whose completion is lost ends well with our
    driver, and with the kernel's own it does not end. `--append openvmbus.stall=300`: a stall of
    five minutes with the default time-out, and nothing else"""
    usual = ("--cpus", "2")
    hosts = ("openvmbus",)
    kinds = ("ours", "intree")

    def __init__(self, *what):
        super().__init__(*what)
        found = re.search(r"openvmbus\.stall=(\d+)", self.append)
        self.stall = int(found[1]) if found else 20
        if not found:
            self.append += f" openvmbus.stall={self.stall}"

    def boots(self):
        self.limit += 3 * HOLD + 3 * self.stall
        other = self.make_file("other.raw", 64 << 20)
        self.files = [f"{self.folder}/data.raw,serial=data", f"{other},serial=other"]
        self.around = [LAB / "nest/services-side", self.folder, OPENVMBUS, self.socket]
        self.vmm += ["--stats", "--control", self.socket]
        self.boot(f"memory-{self.kind}")

    def judge(self):
        v, driver = self.value, self.guest.drivers["storage"]
        self.claim("two disks of one driver", v("disks").split()[2:] == [driver, driver])
        self.claim("fio verified both at first", v("first") == "0")
        if self.stall < 300:
            self.judge_user()
        self.claim(f"no request ended for {v('pause')} s of the stall of {self.stall} s",
                   number(v("pause")) >= self.stall - 5)
        verified = self.evidence.all("verified")
        self.claim(f"fio saw no error on both disks (runs and failures: {', '.join(verified)})",
                   len(verified) == 2 and all(word(1, one) == "0" and number(word(0, one)) > 0
                                              for one in verified))
        if self.stall < 300:
            self.judge_lost()
            self.judge_faults()

    def judge_faults(self):
        struck = [number(one) for one in re.findall(r'"struck": ?(\d+)', self.read("ctl.faults"))]
        self.claim(f"the host held one answer and lost one (rules that are left struck {struck})",
                   struck == [1, 1])

    def judge_user(self):
        began, ended, rc = (number(word(i, self.value("user"))) for i in range(3))
        beside = [(word(0, one), number(word(1, one)) - began)
                  for one in self.evidence.all("beside")]
        self.claim("meanwhile fio verified both disks, after "
                   f"{' and '.join(f'{after:.0f}' for _, after in beside)} s",
                   len(beside) == 2 and all(one == "0" and after < HOLD for one, after in beside))
        said = (f"a user's command with a time-out of 5 s took {ended - began:.0f} s (exit code "
                f"{rc:.0f})")
        if self.kind == "ours":
            self.claim(said, 4 <= ended - began <= HOLD / 2 and rc > 0)
        else:
            self.claim(f"{said}, as long as the host held it", ended - began >= HOLD - 5)

    def judge_lost(self):
        began, ended, rc = (word(i, self.value("lost")) for i in range(3))
        seconds = number(ended) - number(began)
        if self.kind == "ours":
            self.claim(f"the read whose completion was lost ended well after {seconds:.0f} s",
                       rc == "0" and seconds >= number(self.value("timeout")) - 1)
        else:
            self.claim("the read whose completion was lost had not ended "
                       f"{seconds:.0f} s later", rc == "none")
