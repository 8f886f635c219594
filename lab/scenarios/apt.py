# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import subprocess

from lab.host.common import LAB
from lab.host.evidence import number
from lab.host.scenario import Network


class Apt(Network):
    """`apt-get update` in the guest, by name, from the mirror that the image was made from (or,
    where the machine cannot reach it, from the lab's server)"""
    hosts = ("openvmbus",)
    kinds = ("ours", "intree")
    more_seconds = 360
    mirror = f""". {LAB}/host/common.sh && . {LAB}/host/apt.sh &&
        curl -sfI -m 10 -o /dev/null "$(apt_mirror "$(apt_base)")/dists/$(apt_base)/InRelease" """

    def boots(self):
        self.net = "user"
        self.plug_in("user")
        self.boot(append=f"openvmbus.net=user {self.source()}")

    def source(self):
        if not subprocess.run(["bash", "-c", self.mirror]).returncode:
            return ""
        folder = self.folder / "server.log.files/debian"
        folder.mkdir(parents=True)
        (folder / "Packages").write_text("Package: lab\nVersion: 1\nArchitecture: all\n"
                                         "Maintainer: lab\nFilename: ./lab.deb\nSize: 1\n\n")
        return f"openvmbus.apt=http://10.0.2.2:{self.port}/debian"

    def judge(self):
        v = self.value
        self.judge_root()
        self.judge_card()
        self.judge_lease(r"^10\.0\.2\.\d+/24 from 10\.")
        self.claim(f"apt-get update worked within {v('apt_seconds')} s", v("apt") == "0")
        self.claim("no list is missing",
                   v("apt") == "0" and not self.evidence.count("^(Err|W|E):"))
        self.claim(f"apt knows {v('packages')} packages", number(v("packages")) > 0)
        self.judge_side()
