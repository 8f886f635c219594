# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.scenario import Scenario


class Decline(Scenario):
    """where there is no VMBus our bus driver refuses to load, says why in one line, and leaves
    nothing"""
    hosts = ("qemu", "qemu-plain")
    kinds = ("ours",)

    def boots(self):
        self.boot(f"memory-{self.kind}")

    def judge(self):
        v = self.value
        self.claim(f"the module is refused: {v('error')}", v("error") == "No such device")
        self.claim(f"it says why in one line: {v('said')}", v("lines") == "1")
        self.claim("nothing of it stays behind", (v("loaded"), v("buses")) == ("0", "0"))
        self.note(f"declined within {v('took')}")
