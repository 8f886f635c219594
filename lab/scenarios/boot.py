# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.scenario import Scenario


class Boot(Scenario):
    """the right kernel, CPUs, versions; the root disk uses the right driver; the host's file has a
    token that the guest wrote to its root disk; `--disks N` and `--cards N`: so many more are
    there"""
    hosts = Scenario.hosts + ("qemu-plain",)

    def judge(self):
        v, more = self.value, self.options
        self.judge_root()
        self.claim("the host's file has the token that the guest wrote",
                   self.in_host_file("/token").decode().strip() == self.token)
        if more.disks or more.cards:
            self.claim(f"{v('disks')} disks and {v('cards')} cards",
                       (v("disks"), v("cards")) == (str(more.disks + 2), str(more.cards)))
        self.note(f"{v('seconds_to_init')} s to init, root read at {v('read_rate')}, "
                  f"modules: {v('modules')}")
