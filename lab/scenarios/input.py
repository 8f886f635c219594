# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import re

from lab.host.common import LAB, OPENVMBUS
from lab.host.scenario import Scenario

TEXT = "Hello, VMBus 0.13 to 6.0!"
DRIVERS = {"intree": ["hyperv_keyboard", "hid_hyperv"], "ours": ["hvinput", "hvinput"]}


class Input(Scenario):
    """with `--input`: what `ctl type` types is read from the guest's input devices as that text,
    keys that are held together come in order and none stays down, the pointer is where `ctl
    pointer` put it, a button goes down and up, the wheel turns; nothing was lost; with our driver
    the light of caps lock is seen by the host"""
    hosts = ("openvmbus",)

    def boots(self):
        self.around = [LAB / "nest/input-side", self.folder, OPENVMBUS, self.socket, TEXT]
        self.vmm += ["--stats", "--control", self.socket, "--input"]
        self.boot()

    def of_host(self, name):
        """What `ctl input` said."""
        found = re.search(rf'^ *"{name}": (\w+),?$', self.read("ctl.input"), re.M)
        return found[1] if found else ""

    def judge(self):
        v = self.value
        self.judge_root()
        drivers = re.findall("^driver=(.*)$", "\n".join(self.evidence.lines), re.M)
        self.claim(f"drivers: {' '.join(drivers)}", drivers == DRIVERS[self.kind])
        self.claim(f"the guest read: {v('typed')}", v("typed") == TEXT)
        self.claim(f"the last keys were {v('keys')}",
                   v("keys") == "58+ 58- 29+ 105+ 105- 29- 107+ 107-")
        self.claim(f"keys and buttons that stayed down: {v('held')}", v("held") == "[]")
        self.claim(f"the pointer was at {v('places')}",
                   v("places") == "[[100, 32000], [30000, 200]]")
        self.claim(f"buttons: {v('clicks')}", v("clicks") == "[(0, 1), (0, 0)]")
        self.claim(f"the wheel turned {v('wheel')} notches", v("wheel") == "3")
        self.claim(f"the guest dropped {v('dropped')} times", v("dropped") == "0")
        for what in ("keys", "pointers"):
            lost = self.of_host(f"{what}-lost")
            self.claim(f"the host lost {lost} {what} of {self.of_host(what)}", lost == "0")
        if self.kind == "ours":
            self.claim("the light of caps lock was on", self.of_host("caps-lock") == "true")
