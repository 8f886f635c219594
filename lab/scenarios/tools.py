# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import difflib
import re

from lab.host.common import LAB, make
from lab.host.scenario import Scenario

CONTROLLER = "f8b3781a-1e82-4818-a1c3-63d806ec15bb"  # as on Azure


class Tools(Scenario):
    """`lsvmbus`, `lsscsi`, `sg_inq`, `sg_vpd`, `sg_readcap` print the same under our drivers as
    under the kernel's own; devices, channels, the bus and the driver have the same attributes, and
    udev gives the disks the same `ID_PATH` and names in `/dev/disk/by-path`; disks are told apart
    by serial number. The second disk's controller has an instance id of Azure, which udev finds.
    A read passes the tracepoints of our bus"""
    kinds = ("ours",)
    hosts = ("openvmbus", "openvmm")

    def boots(self):
        make(LAB / "lsvmbus")
        if self.host.name == "openvmbus":
            self.files[1] += f",lun=1,controller={CONTROLLER}"
        self.boot(kind="intree")
        self.boot()

    def judge(self):
        theirs, ours = (normal(self.boots_done[i].lines) for i in (1, 2))
        commands = sum(line.startswith("@@TOOL") for line in ours)
        good = sum(line.startswith("@@RC 0") for line in ours)
        self.claim(f"{commands} commands, none failed", commands >= 17 and good == commands)
        self.claim("lsvmbus, lsscsi, sg_inq and sg_vpd print the same under both drivers, "
                   "and disks hang at the same place", bool(ours) and theirs == ours)
        for line in difflib.unified_diff(theirs, ours, "intree", "ours", lineterm=""):
            self.note(line)
        events = ("packet_sent", "packet_received", "signal", "interrupt")
        self.claim("a read passes our bus's tracepoints",
                   all(self.boots_done[2][f"trace.{one}"] not in ("", "0") for one in events))
        if self.host.name == "openvmbus":
            by_path = [line for line in ours if line.startswith("/dev/disk/by-path/acpi-")]
            id_of = f'ATTRS{{device_id}}=="{{{CONTROLLER}}}"'
            self.claim("udev has a name by path for each disk, and finds the id that a controller "
                       "was given", len(by_path) == 2 and
                       sum(id_of in line for line in ours) == 1)


def normal(lines):
    """The tools' output, without what may differ: the number that the kernel gives to a SCSI host,
    which is the order of their probes, and the names of disks."""
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
    hosts = sorted(line for line in found if line.startswith("[N:"))
    return [hosts.pop(0) if line.startswith("[N:") else line for line in found]
