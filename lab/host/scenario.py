# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What scenarios are made of. Each is a class in a file of lab/scenarios, beside the script of the
same name that runs in the guest. Its documentation, "passes when ...", is its row in lab/README.md.
It says how often the guest boots (boots) and what must be true of what that left (judge): the
guest's evidence is value(NAME), the host's files are in the cell's folder. The guest only prints
what it found; what passes is decided here, from the host's own files and traces where it can be."""

import re

from lab.host.cell import Cell
from lab.host.common import LAB, output
from lab.host.evidence import matches, number, same, word
from lab.host.host import MAC


class Scenario(Cell):
    def boots(self):
        self.boot()

    def judge_boots(self):
        self.judge_every()

    def judge(self):
        """Further claims."""

    def judge_every(self):
        v = self.value
        self.claim(f"the scenario ended well (rc={v('scenario_rc')})", v("scenario_rc") == "0")
        self.claim(f"the virtual machine ended well (exit code {v('host_rc')})",
                   v("host_rc") == str(self.expected_rc))
        self.claim(f"no complaint in the kernel log ({v('complaints')})", v("complaints") == "0")

    def judge_bus(self):
        if self.kind != "virtio":
            version = self.value("bus_version")
            self.claim(f"VMBus version {version} negotiated", matches(version, r"^\d+\.\d+$"))

    def expected(self, role):
        """What the storage or network driver must be called."""
        if (self.kind, role, self.root) == ("ours", "storage", "ide"):
            return "blkvsc"
        return self.guest.drivers[role]

    def judge_root(self):
        """The root disk came through the drivers under test, and can be written to."""
        v = self.value
        self.judge_bus()
        if self.kind == "ours":
            self.claim(f"storage protocol {v('storage_version')} negotiated",
                       matches(v("storage_version"), r"^\d+\.\d+$"))
        self.claim(f"kernel {v('kernel')}", v("kernel") == self.guest.release)
        self.claim(f"{v('cpus')} CPUs", v("cpus") == str(self.cpus))
        self.claim(f"root is {v('root_device')} through {v('root_driver')}",
                   v("root_driver") == self.expected("storage"))
        self.claim("root is mounted read-write", v("root_options").startswith("rw"))

    def note_io(self, evidence):
        """What fio said of its transfers."""
        said = [re.sub(r" \(.*", "", line.strip()) for line in evidence.lines
                if matches(line, "READ|WRITE")]
        self.note(" ".join(" ".join(said).split()))


def rate(bytes_a_second):
    found = number(bytes_a_second)
    return f"{found * 8 / 1e6 if found == found else 0:.0f} Mbit/s"


class Network(Scenario):
    """A cell whose guest has a card. server.log, sink.pcapng and side-complaints come from
    lab/nest/net-side."""

    def on_net(self, more=""):
        """For the guest's command line: what its card hangs on."""
        return f"openvmbus.net={self.net} openvmbus.port={self.port}{more}"

    def served(self, way, path):
        """The hash that the server computed of the last transfer by that path."""
        found = [line.split() for line in self.read("server.log").split("\n")]
        found = [words for words in found if words[:2] == [way, path]]
        return word(3, " ".join(found[-1])) if found else ""

    def judge_way(self, name, way, path):
        """As many bytes as there should be, and one hash at both ends."""
        guest = self.value(f"{way}.{name}")
        self.claim(f"{name}: {self.mib} MiB {way}, same hash at both ends ({rate(word(1, guest))})",
                   f"{word(0, guest)} {word(2, guest)}"
                   == f"{self.mib << 20} {self.served(way, path) or 'none'}")

    def judge_card(self):
        v = self.value
        self.claim(f"the card is driven by {v('net_driver')}",
                   v("net_driver") == self.expected("network"))
        self.claim("it has the address that it was given", v("net_mac") == MAC)
        if self.kind == "ours":
            self.claim(f"network protocol {v('nvsp_version')}, says the guest",
                       matches(v("nvsp_version"), "^0x[0-9a-f]+$"))
        if self.host.name == "openvmbus":
            self.judge_host_card()

    def host_says(self, pattern, log="host.log"):
        """What the group of the pattern finds in the host's last statistics of a card, like
        "network 0: BACKEND, NVSP VERSION, N of M queues, ..."."""
        found = re.findall(f"stats: network {pattern}", self.read(log))
        return found[-1] if found else ""

    # How many versions of NVSP a guest asks for in vain, newest first, by Windows Server.
    newer_nvsp = {"2008": 5, "2008r2": 4, "2012": 3, "2012r2": 2, "2016": 1}

    def judge_host_card(self):
        generation = self.options.generation
        queues = 1 if generation in ("2008", "2008r2", "2012") else self.cpus  # before NVSP 5
        version = self.host_says("0: [a-z]*, NVSP ([^,\n]*),")
        refused = self.host_says(r"0: \d* packets, (.* forged);")
        self.claim(f"NVSP {version}, says the host", matches(version, "^[0-9]"))
        self.claim(f"{self.value('net_queues')} queue pairs",
                   self.value("net_queues") == str(queues))
        self.claim(f"the host found nothing wrong in what the guest sent ({refused})",
                   refused == f"{self.newer_nvsp.get(generation, 0)} refused, 0 broken, 0 forged")

    def judge_lease(self, pattern):
        self.claim(f"an address by DHCP: {self.value('net_lease')}",
                   matches(self.value("net_lease"), pattern))

    def judge_errors(self):
        self.claim(f"no error counter of the card moved ({self.value('net_errors')})",
                   self.value("net_errors") == "0")

    def judge_side(self):
        path = self.folder / "side-complaints"
        self.claim("no complaint in the kernel log of the machine around it",
                   path.exists() and not path.stat().st_size)


def wire_check(capture, *mac):
    """The line of lab/host/wire-check, and its numbers by name."""
    line = output(LAB / "host/wire-check", capture, *mac).decode().strip()
    return line, {name: number(text) for name, text in re.findall(r"(\w+)=(\d+)", line)}


def leak(counts, first, least):
    """From lines "ROUND FREE SLAB" of count_memory() in the guest: pages lost from the first-th
    count to the last, slab pages gained, rounds, and whether that is no more than noise: less than
    one page in two rounds, or fewer than `least` in all."""
    rounds, free, slab = [[number(word(i, line)) for line in counts] for i in range(3)]
    if len(rounds) <= first:
        return "?", "?", "?", False
    done = rounds[-1] - rounds[first]
    lost, grown = free[first] - free[-1], slab[-1] - slab[first]
    most = max(done // 2, least)
    return lost, grown, done, lost <= most and grown <= most


__all__ = ["Network", "Scenario", "leak", "matches", "number", "rate", "same", "wire_check", "word"]
