# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import difflib
import re

from lab.host.common import LAB, make
from lab.host.scenario import Scenario


class Tools(Scenario):
    """`lsvmbus`, `lsscsi`, `sg_inq`, `sg_vpd`, `sg_readcap` print the same under our drivers as
    under the kernel's own; disks are told apart by serial number"""
    kinds = ("ours",)
    hosts = ("openvmbus", "openvmm")

    def boots(self):
        make(LAB / "lsvmbus")
        self.boot(kind="intree")
        self.boot()

    def judge(self):
        theirs, ours = (normal(self.boots_done[i].lines) for i in (1, 2))
        commands = sum(line.startswith("@@TOOL") for line in ours)
        good = sum(line.startswith("@@RC 0") for line in ours)
        self.claim(f"{commands} commands, none failed", commands >= 9 and good == commands)
        self.claim("lsvmbus, lsscsi, sg_inq and sg_vpd print the same under both drivers, "
                   "and disks hang at the same place", theirs == ours)
        for line in difflib.unified_diff(theirs, ours, "intree", "ours", lineterm=""):
            self.note(line)


def normal(lines):
    """The tools' output, without what may differ: the number that the kernel gives to a SCSI host,
    and the names of disks."""
    names = dict(match.group(2, 1) for match in
                 (re.fullmatch("disk[.]([a-z]*)=([a-z]*)", line) for line in lines) if match)
    found, inside = [], False
    for line in lines:
        inside = inside or line.startswith("@@TOOL")
        if inside:
            line = re.sub(r"/dev/(\w+)\b", lambda m: "/dev/" + names.get(m[1], m[1]), line)
            line = re.sub(r"^\[\d+(:\d+:\d+:\d+\])", r"[N\1", line)
            found.append(re.sub("[Hh]ost[0-9]+", "hostN", line))
            inside = not line.startswith("@@RC")
    return found
