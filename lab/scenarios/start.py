# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.bench import Bench, ratio, spread
from lab.host.cell import find
from lab.host.common import LAB, Skip, make, names
from lab.host.evidence import number


class Start(Bench):
    """each monitor that is there started the guest's first program; prints how long that took from
    the monitor's own start, with a kernel, a machine of 256 MiB and no device, and what memory it
    needs beyond the guest's; monitors in turn, the first round is not counted"""
    kinds = ("intree",)
    memory = "256M"
    has_disks = has_network = False
    usual = ("--rounds", "1")

    def boots(self):
        monitors = self.find_monitors()
        initrd = make(LAB / "initrd", self.guest.version, "bare")
        line = f"console=ttyS0 quiet panic=-1 {self.append}"
        for _ in range(self.rounds + 1):
            for host in monitors:
                (self.folder / "serial").unlink(missing_ok=True)
                self.around = ["timeout", "-k", "5", self.limit, LAB / "nest/start-side",
                               host.name, self.folder / "serial"]
                self.boot_command(host.monitor(self, self.guest.kernel, initrd, line))

    def find_monitors(self):
        found = []
        for name in names("hosts"):
            host = find("hosts", name)()
            try:
                if host.is_measured:
                    host.check()
                    found.append(host)
            except Skip as reason:
                self.note(f"{name} is not measured: {reason}")
        return found

    def judge(self):
        boots = self.boots_done.values()
        monitors = sorted({one["monitor"] for one in boots})
        self.claim(f"{len(monitors)} monitors started the guest {self.rounds + 1} times",
                   "openvmbus" in monitors and len(boots) == len(monitors) * (self.rounds + 1)
                   and all(number(one["seconds"]) > 0 and number(one["beyond_kib"]) > 0
                           and number(one["guest_kib"]) > 0 for one in boots))
        ours, our_memory = self.of("openvmbus")
        for name in monitors:
            seconds, memory = self.of(name)
            self.note(f"{name}: {spread(seconds)} s from its start to the guest's first "
                      f"program, ours/its {ratio(ours, seconds)}; {spread(memory)} MiB beyond the "
                      f"guest's memory, ours/its {ratio(our_memory, memory)}")

    def of(self, name):
        """Seconds and MiB of each counted boot of a monitor."""
        counted = [one for one in self.boots_done.values() if one["monitor"] == name][1:]
        return ([number(one["seconds"]) for one in counted],
                [number(one["beyond_kib"]) / 1024 for one in counted])
