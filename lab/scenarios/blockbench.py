# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.bench import Counted, grown, low_median, low_spread, pairs, tick_cost, ticks

DRIVERS = ("blkvsc", "storvsc", "hv_storvsc")


class Blockbench(Counted):
    """`blkvsc` needs at least 20% fewer guest instructions for a 4 KiB read than the kernel's own
    `hv_storvsc`, one at a time and 32 at a time; prints both, and `storvsc` with `ide=all`
    ([docs/performance.md](../docs/performance.md))"""
    kinds = ("ours",)
    marks = 12

    def boots(self):
        self.attach = "--ide"
        self.files = [f"null:{self.data_len},serial=data"]
        self.start_counting()
        for _ in range(self.rounds):
            for driver in ("blkvsc", "hv_storvsc", "storvsc"):
                kind = "intree" if driver == "hv_storvsc" else "ours"
                self.boot_counted(f"memory-{kind}",
                                  f"openvmbus.driver={driver} openvmbus.reads=3200")

    def judge(self):
        rows = self.rows(self.of_boot)

        def of(driver, depth, i):
            return [costs[depth][i] for name, costs in rows if name == driver]

        for driver in DRIVERS:
            for depth, text in ((1, "one read at a time"), (32, "32 at a time")):
                said = [low_spread(of(driver, depth, i)) for i in range(3)]
                self.note(f"{driver}, {text}: {said[0]} kernel instructions a read, "
                          f"without ticks {said[1]}, entries {said[2]}")
        for depth in (1, 32):
            ours, theirs = (low_median(of(driver, depth, 1)) for driver in ("blkvsc", "hv_storvsc"))
            self.claim(f"blkvsc needs at least 20% fewer than hv_storvsc ({depth} at a time)",
                       ours <= theirs * 8 // 10)

    @staticmethod
    def of_boot(evidence):
        """Driver; for each depth the kernel's instructions a read, the same without those of the
        ticks, and entries into the guest a read."""
        kernel, entries = pairs(evidence)
        few, many = map(int, evidence["reads"].split())
        tick, reads, costs = tick_cost(evidence, kernel), many - few, {}
        for depth, i in ((1, 2), (32, 4)):
            late = ticks(evidence, f"many.{depth}") - ticks(evidence, f"few.{depth}")
            costs[depth] = (round(grown(kernel)[i] / reads),
                            round((grown(kernel)[i] - late * tick) / reads),
                            round(grown(entries)[i] / reads, 2))
        return evidence["driver"], costs
