# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import LAB, OPENVMBUS
from lab.host.evidence import number, word
from lab.host.scenario import Scenario

SMALL, LARGE, MORE = 256, 1024, 1280  # MiB


def span(numbers):
    if len(numbers) > 4:
        return f"{min(numbers):.0f} to {max(numbers):.0f}"
    return " and ".join(f"{n:.0f}" for n in numbers) or "?"


class Balloon(Scenario):
    """the guest became small and large again --rounds times (2), from 1 GiB to 256 MiB, then larger
    than it was at its start, and by itself smaller when it needed less; the machine never held more
    than 5% above what the guest had; a program that kept memory, and filled what it found free,
    read back what it wrote; nothing was ended for want of memory"""
    hosts = ("openvmbus",)
    memory = f"{LARGE}M,max={MORE}M"
    rounds = 2
    seconds_a_round = 120
    once = ()

    def boots(self):
        self.around = [LAB / "nest/balloon-side", self.folder, OPENVMBUS, self.socket,
                       *(f"{size}M" for size in (SMALL, LARGE, MORE))]
        self.vmm += ["--stats", "--control", self.socket]
        self.boot()

    def judge(self):
        v = self.value
        driver = "hv_balloon" if self.kind == "intree" else "hvballoon"
        self.claim(f"dynamic memory has the driver {driver}", v("driver") == driver)
        lines = [line for line in self.read("sizes").split("\n") if line]
        reached = [word(1, line) for line in lines if word(2, line) == "true"]
        wanted = [f"{SMALL}M", f"{LARGE}M"] * self.rounds + [f"{MORE}M"]
        self.claim(f"the guest became small and large {self.rounds} times, and larger at the end",
                   reached == wanted and len(lines) == len(wanted))
        has, held, process = ([number(word(i, line)) for line in lines] for i in (3, 4, 5))
        self.judge_sizes("small", has[:-1:2], held[:-1:2], process[:-1:2])
        self.judge_sizes("large", has[1::2], held[1::2], process[1::2])
        self.judge_sizes("at the end", has[-1:], held[-1:], process[-1:])
        self.claim("what it got again it used",
                   held[1:] and all(h >= 0.6 * a for a, h in zip(has[1::2], held[1::2])))
        self.claim(f"new memory is the guest's: {v('total')} MiB became {v('total_end')}",
                   number(v("total_end")) - number(v("total")) >= 0.9 * (MORE - LARGE))
        self.claim(f"a program read back {v('held')} MiB {v('checks')} times, and {v('filled')} "
                   "MiB that it had in between once", v("wrong") == "0")
        self.claim(f"it filled free memory {v('fills')} times",
                   number(v("filled")) >= (LARGE - SMALL) * 0.4 * self.rounds)
        need = self.read("need").strip()
        self.claim(f"left to its need it became {need} MiB by itself",
                   number(need) <= MORE * 3 / 4)
        self.claim("nobody was ended for want of memory", v("ooms") == "0")

    def judge_sizes(self, when, has, held, process):
        self.claim(f"{when} it had {span(has)} MiB, of which the machine held {span(held)}, never "
                   "5% more", has and all(h <= a * 1.05 for a, h in zip(has, held)))
        self.claim(f"and the process {span(process)}, never 5% more, but for 24 of its own",
                   process and all(p <= a * 1.05 + 24 for a, p in zip(has, process)))
