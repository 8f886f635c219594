# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.bench import Counted, low_median, low_spread, pairs

# The hundredths of hv_netvsc's instructions that netvsc may have, 2 of them noise, in the order of
# the guest's marks; docs/performance.md says why TCP to the host has more.
MOST = {"udp-in": 102, "udp-out": 102, "tcp-in": 80, "tcp-out": 108}


class Netcount(Counted):
    """the guest's kernel instructions that `netvsc` needs against the kernel's own driver: for a
    datagram of 64 bytes each way no more (2% are noise), for a KiB of TCP to the guest at most 80%,
    to the host at most 108%"""
    marks = 16

    def boots(self):
        self.start_counting()
        self.plug_in("bench")
        for _ in range(self.rounds):
            for kind in (self.kind, self.guest.peer):
                self.boot_counted(kind, f"openvmbus.net=tap openvmbus.port={self.port}")

    def judge(self):
        rows = self.rows(self.of_boot)
        for way, most in MOST.items():
            unit = "datagram" if way.startswith("udp") else "KiB"
            ours, theirs, entries, their_entries = (
                [costs[way][i] for driver, costs in rows if driver == wanted]
                for i in (0, 1) for wanted in ("netvsc", "hv_netvsc"))
            self.note(f"{way}: kernel instructions a {unit}: netvsc {low_spread(ours)}, "
                      f"hv_netvsc {low_spread(theirs)}")
            self.note(f"{way}: entries into the guest: netvsc {low_spread(entries)}, "
                      f"hv_netvsc {low_spread(their_entries)}")
            self.claim(f"netvsc needs at most {most}% of hv_netvsc's instructions ({way})",
                       low_median(ours) <= low_median(theirs) * most // 100)
        self.judge_side()

    @staticmethod
    def of_boot(evidence):
        """Driver; for each way kernel instructions and entries into the guest, a unit: a datagram,
        or 1024 bytes of TCP."""
        kernel, entries = pairs(evidence)
        costs = {}
        for i, way in enumerate(MOST):
            units = moved(evidence, f"{way}.many") - moved(evidence, f"{way}.few")
            costs[way] = (round((kernel[2 * i + 1] - kernel[2 * i]) / units),
                          round((entries[2 * i + 1] - entries[2 * i]) / units, 3))
        return evidence["net_driver"], costs


def moved(evidence, name):
    words = evidence.numbers(f"count.{name}")  # exit code, bytes, ..., lost, datagrams
    return words[5] - words[4] if words[5] else words[1] / 1024
