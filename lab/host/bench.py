# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Scenarios that measure: several boots, drivers in turn, so that what changes on this machine
meanwhile meets all of them; medians of what each had."""

import atexit
import itertools
import math
import os
import statistics

from lab.host.cell import find
from lab.host.common import LAB, Skip, has_kvm, make
from lab.host.evidence import Evidence, number, read, word
from lab.host.scenario import Network


def median(values):
    return statistics.median(values) if values else math.nan


def spread(values):
    """MEDIAN (LEAST to MOST)."""
    if not values:
        return "none"
    return f"{median(values):.4g} ({min(values):.4g} to {max(values):.4g})"


def low_median(values):
    return statistics.median_low(values) if values else math.nan


def low_spread(values):
    """MEDIAN (LEAST..MOST), the median being one of them."""
    return f"{low_median(values)} ({min(values)}..{max(values)})" if values else "none"


def ratio(ours, theirs):
    ours, theirs = median(ours), median(theirs)
    return f"{ours / theirs:.2f}" if theirs and ours == ours and theirs == theirs else "-"


class Bench(Network):
    """Judges each boot by itself."""
    rounds = 3
    usual = ("--rounds", "1")
    hosts = ("openvmbus",)
    kinds = ("ours", "intree")

    def judge_boots(self):
        pass  # each was judged when it ended

    def boot_alternately(self, way=None):
        """Ours, the kernel's own and QEMU's virtio in turn."""
        openvmbus, qemu = self.host, find("hosts", "qemu")()
        qemu.check()
        for _ in range(self.rounds):
            for kind in (self.kind, self.guest.peer, "virtio"):
                self.host = qemu if kind == "virtio" else openvmbus
                if way:
                    self.plug_in(way)
                self.boot(kind, f"openvmbus.net=tap openvmbus.port={self.port}")
                self.judge_every()

    def measured(self, name, column, driver):
        """Of each boot with that network driver: a word of its bench.NAME."""
        return [number(word(column, one[f"bench.{name}"])) for one in self.boots_done.values()
                if one["net_driver"] == driver and one[f"bench.{name}"]]

    def compare(self, name, unit, values):
        """A line of what ours, the kernel's own and virtio had."""
        ours, theirs, virtio = map(values, ("netvsc", "hv_netvsc", "virtio_net"))
        self.note(f"{name:12} {unit:10} ours {spread(ours)}, in-tree {spread(theirs)}, ratio "
                  f"{ratio(ours, theirs)}, virtio {spread(virtio)}, ratio {ratio(ours, virtio)}")


class Counted(Bench):
    """In a nest of its own, which counts its guest's instructions (lab/host/count.c) between marks
    that the guest makes."""
    marks = 0  # of each boot

    def start_counting(self):
        if has_kvm():
            raise Skip("it counts what the nest executes, and there is /dev/kvm")
        plugin = self.folder / "count.so"
        make("gcc", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-o", plugin,
             LAB / "host/count.c")
        os.environ["NEST_PLUGIN"] = f"{plugin},out={self.folder}/count"
        self.nest = f"count-{os.getpid()}"
        atexit.register(make, LAB / "warm-nest", "-n", self.nest, "stop")

    def boot_counted(self, kind, append, *more):
        """The marks, and more lines, go with the evidence."""
        seen = len(self.read("count"))
        self.boot(kind, append)
        path = self.evidence.path
        path.write_text(read(path) + self.read("count")[seen:] + "\n".join([*more, ""]))
        self.evidence = self.boots_done[len(self.boots_done)] = Evidence(path)
        self.judge_every()

    def rows(self, of_boot):
        """What that function says of each boot; one that it can say nothing of is not ok."""
        self.claim(f"every boot made its {self.marks} marks",
                   all(one.count("^mark") == self.marks for one in self.boots_done.values()))
        rows = []
        for one in self.boots_done.values():
            try:
                rows.append(of_boot(one))
            except (ArithmeticError, LookupError, ValueError):
                self.claim(f"{one.path.name} has all that was measured", False)
        return rows


def pairs(evidence):
    """What was counted from each odd mark to the next one: kernel instructions, and entries into
    the guest."""
    marks = [line.split() for line in evidence.lines if line.startswith("mark ")]
    return [[int(after[i]) - int(before[i]) for before, after in zip(marks[::2], marks[1::2])]
            for i in (5, 7)]


def grown(counts):
    """From each pair to the next one: what was run with few and then with many."""
    return [many - few for few, many in itertools.pairwise(counts)]


def ticks(evidence, name):
    return int(evidence[f"ticks.{name}"])


def tick_cost(evidence, kernel):
    """Instructions of a tick: a loop alone, for 2 and for 8 seconds, made the first two pairs."""
    return grown(kernel)[0] / (ticks(evidence, "spin.8") - ticks(evidence, "spin.2"))
