# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import re

from lab.host.common import LAB, OPENVMBUS, make
from lab.host.evidence import number, sha256, word
from lab.host.scenario import Scenario

# The class ids of the services that this host offers at least.
CLASSES = ("0e0b6031-5213-4934-818b-38d90ced39db", "57164f39-9115-4e78-ab55-382f3bd5422d",
           "9527e630-d0ae-497b-adce-e80ab0175caf")


class Services(Scenario):
    """the services' offers are there and have their driver; the clock, which was wrong, was set to
    within 1 s of the machine's; a PTP clock named `hyperv` is there and within 1 s; the host
    counted the heartbeats that were answered; with Debian's hyperv-daemons: the guest says what it
    is and its address, takes a pair, freezes (a copy of its disk is clean meanwhile) and thaws,
    also when nobody asks it to, and gets a file whose hash is the same; asked by SIGTERM, the guest
    powers off within 60 s, after it has told its processes. On OpenVMM: the clock, a pair, and that
    it powers off"""
    usual = ("--cpus", "2")
    hosts = ("openvmbus", "openvmm")

    def boots(self):
        make(LAB / "hyperv-daemons")
        if self.host.name == "openvmm":  # which has no `ctl`
            self.boot(append="openvmbus.passive=1")
            return
        self.around = [LAB / "nest/services-side", self.folder, OPENVMBUS, self.socket]
        self.vmm += ["--stats", "--control", self.socket, "--net", "user"]
        self.boot(append=f"openvmbus.folder={self.folder}")

    def judge(self):
        self.judge_root()
        driver = "hv_utils" if self.kind == "intree" else "hvutils"
        if self.host.name == "openvmm":
            offered = self.evidence.count(rf"^offer=\{{({'|'.join(CLASSES)})\}} {driver} ")
            self.claim(f"the host offers {offered} of these services, and they have the driver "
                       f"{driver}", offered >= 1)
            self.claim("the clock was set", self.value("clock") == "set")
            self.judge_ptp()
            self.claim("the guest's file has a pair that it was given",
                       self.value("pair") == f"token{self.token}")
            self.claim("asked to power off, it told its processes first",
                       self.value("asked") == "1")
            return
        for one in CLASSES:
            self.claim(f"service {one.split('-')[0]} is offered and has the driver {driver}",
                       self.evidence.count(rf"^offer=\{{{one}\}} {driver} ") > 0)
        self.judge_clocks()
        self.judge_daemons()
        self.judge_end()

    def judge_daemons(self):
        """The kernel's own driver has no device for hv_fcopy_daemon from 6.10 on."""
        self.judge_pairs()
        self.judge_freeze()
        release = [number(one) for one in re.findall(r"\d+", self.value("kernel"))[:2]]
        if self.kind == "ours" or release < [6, 10]:
            self.judge_copy()

    def judge_ptp(self):
        self.claim("there is a PTP clock named hyperv", self.value("ptp") == "hyperv")

    def judge_clocks(self):
        error = self.clock_error("set")
        self.claim(f"the clock was set: {error} ms from the machine's", error <= 1000)
        self.judge_ptp()
        error = self.clock_error("ptp")
        self.claim(f"it is {error} ms from the machine's", error <= 1000)

    def clock_error(self, name):
        """Milliseconds between the guest's clock of that name and the machine's, in the line that
        came fastest; 999999: none came."""
        lines = [line.split() for line in self.read("clocks").split("\n")]
        return min((int(abs(float(guest) - float(machine)) * 1000)
                    for which, guest, machine in (one for one in lines if len(one) == 3)
                    if which == name), default=999999)

    def answer(self, name):
        """What `openvmbus ctl` printed in that step."""
        return self.read(f"ctl.{name}")

    def answered(self, name, rc):
        return self.answer(name).rstrip("\n").split("\n")[-1] == f"rc={rc}"

    def judge_pairs(self):
        v, said = self.value, self.answer("kvp-list")
        pairs = sum('"key"' in line for line in said.split("\n"))
        address = v("address").split("/")[0]
        self.claim(f"the guest says what it is: {pairs} pairs", '"OSName"' in said)
        self.claim("among them its kernel", v("kernel") != "" and v("kernel") in said)
        self.claim("a pair was given to the guest", self.answered("kvp-set", 0))
        self.claim("the guest's file has it", v("pair") == f"token{self.token}")
        self.claim("it is read back", self.token in self.answer("kvp-get"))
        self.claim("a key that is not there is not found", self.answered("kvp-none", 1))
        self.claim(f"the guest says its address ({v('address')})",
                   address != "" and address in self.answer("ip"))

    def judge_freeze(self):
        longest = self.value("longest_write")
        self.claim("the guest froze and thawed", self.answered("freeze", 0))
        self.claim("a copy of its disk has a clean file system meanwhile",
                   self.read("fsck").rstrip("\n").endswith("rc=0"))
        self.claim("it thawed when asked to", self.answered("thaw", 0))
        self.claim(f"a write took {longest} s", number(longest) >= 2)
        self.claim("it froze again", self.answered("freeze-2", 0))
        self.claim("it was thawed after 2 s", "was frozen for 2 s: thawed" in self.read("host.log"))
        self.claim("then there was nothing to thaw", self.answered("thaw-2", 1))
        if self.kind == "ours":
            self.claim("it thawed when its daemon died", self.value("thawed_without_daemon") == "1")

    def judge_copy(self):
        self.claim("a file was copied", self.answered("copy", 0))
        self.claim("the guest has the same bytes",
                   self.value("copied") == sha256((self.folder / "copied").read_bytes()))
        self.claim("a file that is there is not overwritten", self.answered("copy-again", 1))

    def judge_end(self):
        beats = re.findall(r"service heartbeat: .* (\d+) answers", self.read("host.log"))
        beats = beats[-1] if beats else "0"
        self.claim(f"the host counted {beats} heartbeats", int(beats) >= 3)
        self.claim("the guest is alive, says ctl", "alive" in self.answer("heartbeat"))
        took, rc = word(0, self.read("stop")) or "999", word(1, self.read("stop"))
        self.claim(f"asked to power off, the guest did within {took} s", number(took) < 60)
        self.claim("and the exit code was that of its own power-off", rc == "0")
        self.claim("its processes were told to end first", self.value("asked") == "1")
