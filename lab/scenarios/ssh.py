# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import re

from lab.host.common import LAB, OPENVMBUS, make
from lab.host.scenario import Scenario


class Ssh(Scenario):
    """in a guest without a network card, whose sshd is behind port 22 of AF_VSOCK: `openvmbus exec`
    runs a command there, gives each argument as it is, has its exit code, and carries 4 MiB each
    way with equal hashes; `openvmbus ssh` gives a terminal; a guest with another key than the known
    one, and a port where nobody listens, are refused with exit code 255"""
    hosts = ("openvmbus", "openvmm")
    kinds = ("ours", "intree")

    def boots(self):
        vsock = f"{self.socket}.vsock"
        self.around = [LAB / "nest/ssh-side", self.folder, OPENVMBUS, vsock]
        way = "--vsock" if self.host.name == "openvmbus" else "--vmbus-vsock-path"
        self.vmm += [way, vsock]
        self.boot()

    def prepare_disks(self, name=""):
        """The second one has the programs and the keys."""
        super().prepare_disks(name)
        make(LAB / "openssh", self.folder)

    def printed(self, name):
        """What the command of that name printed, and its exit code."""
        lines = self.read(f"ssh.{name}").replace("\r", "").split("\n")
        return "\n".join(lines[:-2]), lines[-2] if len(lines) > 1 else ""

    def judge(self):
        v = self.value
        self.judge_root()
        if self.host.name == "openvmbus":
            self.claim(f"the guest has no network card: {v('cards')}", v("cards").strip() == "lo")
        self.judge_exec()
        self.judge_ssh()
        self.claim("the host ended the scenario by a command", v("over") == "1")
        self.claim(f"sshd says that it let in root {v('accepted')} times", v("accepted") == "6")

    def judge_exec(self):
        said, rc = self.printed("kernel")
        self.claim(f"exec uname: {said}", (said, rc) == (self.guest.release, "rc=0"))
        said, rc = self.printed("arguments")
        self.claim(f"its arguments come as they are: {said}",
                   said == "two  words|it's $HOME|" and rc == "rc=7")
        self.claim("and the exit code of the command is its own", rc == "rc=7")
        for way in ("up", "down"):
            found = set(re.findall(r"\b[0-9a-f]{64}\b", self.printed(way)[0]))
            self.claim(f"4 MiB {way}, same hash at both ends",
                       len(found) == 1 and self.printed(way)[0].count(" -") == 2)
        said, rc = self.printed("nobody")
        self.claim("a port where nobody listens is refused, and one line says so",
                   rc == "rc=255" and "nobody listens at port 23 of the guest" in said)

    def judge_ssh(self):
        said, rc = self.printed("terminal")
        self.claim(f"ssh gives a terminal: {said}", "/dev/pts/" in said and rc == "rc=0")
        said, rc = self.printed("stranger")
        self.claim("another key than the known one is refused",
                   rc == "rc=255" and "Host key verification failed" in said)
