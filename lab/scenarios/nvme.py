# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import hashlib
import re

from lab.host.common import LAB, OPENVMBUS
from lab.host.evidence import number
from lab.host.scenario import Scenario

MIB = 64


class Nvme(Scenario):
    """with the kernel's own `pci_hyperv` and `nvme`: the guest finds two disks, what it writes is
    what it reads and what is in the file, a flush, a discard, a queue a CPU; a disk is taken away
    by `ctl` and given back"""
    kinds = ("intree",)
    hosts = ("openvmbus",)

    def boots(self):
        image = self.folder / "nvme.raw"
        with open(image, "wb") as file:
            file.truncate(MIB << 20)
        self.around = [LAB / "nest/ctl-side", self.folder, OPENVMBUS, self.socket]
        self.vmm += ["--stats", "--control", self.socket, "--nvme", f"{image},serial=flash",
                     "--nvme", f"ram:{MIB}M,serial=ram"]
        self.boot()

    def judge(self):
        v = self.value
        self.judge_root()
        self.claim(f"the bus has the driver hv_pci, which agreed on {v('said')}",
                   v("bus_driver") == "hv_pci" and v("said") == "0x10004")
        self.claim(f"the functions are {v('functions')}", v("functions") == " ".join(
            f"{domain}:00:00.0 0x1414 0x00a9 0x010802 nvme" for domain in ("0001", "0002")))
        self.claim(f"the disk is {v('disk')}",
                   v("disk") == f"{(MIB << 20) // 512} OpenVMBus NVMe disk flash")
        self.claim(f"{v('queues')} queues", v("queues") == str(self.cpus))
        self.claim(f"a {v('write_cache')} cache", v("write_cache") == "write back")
        self.claim("what was written was read back", v("read") == v("wrote") != "")
        for what in ("write", "flush", "discard", "zero", "cpu"):
            self.claim(f"{what} went well", v(f"rc_{what}") == "0")
        self.claim("what was discarded, and zeroed, reads as zeroes",
                   (v("discarded"), v("zeroed"), v("kept")) == ("0", "0", "yes"))
        self.claim(f"{v('interrupts')} interrupts came", number(v("interrupts")) > 10)
        self.judge_removal()
        self.judge_host()

    def judge_removal(self):
        v = self.value
        self.claim("the host took the disk away, and it went",
                   (v("ctl_device-rescind"), v("gone")) == ("0", "yes"))
        self.claim("the host gave it back, and it came",
                   (v("ctl_device-offer"), v("back")) == ("0", "yes"))
        self.claim("it has what was written to it before", v("again") == v("wanted") != "")

    def judge_host(self):
        """The file itself, and what the device counted."""
        data = (self.folder / "nvme.raw").read_bytes()[:16 << 20]
        self.claim("the file has it", hashlib.sha256(data).hexdigest() == self.value("wanted"))
        found = re.findall(r"stats: nvme\d: (.*)", self.read("host.log"))
        # Linux asks once each time for what a controller of 1.4 does not know.
        self.claim(f"the host counted {found}", len(found) == 2 and not any(
            "broken" in line or not re.search(" [012] failed", line) for line in found))
