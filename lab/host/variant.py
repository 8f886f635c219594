# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What lab/uefi and lab/stock are made of: each of their variants is a class, whose documentation
says what is booted. They are no scenarios of lab/run, because what boots is not a kernel, an initrd
and a root disk of the lab, but what a firmware or a stock Debian makes of its own disk."""

import argparse
import os
import signal
import sys
import textwrap
import time

from lab.host.common import Skip, die, say
from lab.host.evidence import Evidence, collect, read
from lab.host.judge import Judge


class Variant(Judge):
    name = ""  # the class's, in small letters
    scenario = ""  # what the guest calls its evidence

    def __init__(self, options):
        super().__init__()
        self.cpus, self.memory, self.nest = options.cpus, options.memory, options.nest
        self.limit = int(os.environ.get("LAB_LIMIT", self.limit))

    def run(self):
        """Makes what boots, boots it, and claims."""

    def boot_command(self, what, command, console, log, evidence):
        """Its files are those; WHAT is for people."""
        start = time.monotonic()
        with open(console, "wb") as out, open(log, "wb") as errors:
            rc = self.where(command, out, errors)
        say(f"{what} took {time.monotonic() - start:.0f} s")
        evidence.write_text(collect(read(console), self.scenario, rc))
        self.evidence = Evidence(evidence)


def variants_of(base):
    """By name, in the order in which they are defined."""
    found = {}
    for one in base.__subclasses__():
        found[one.__dict__.get("name") or one.__name__.lower()] = one
        found.update(variants_of(one))
    return found


def parser(program, text, prefix=""):
    """The options that both programs have; the variants and what they are go into its help."""
    told = argparse.ArgumentParser(prog=program, description=text, allow_abbrev=False,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("--nest", default="warm", metavar="NAME")
    told.add_argument("--cpus", default=1, type=int, metavar="N")
    told.add_argument("variant", metavar=f"{prefix}VARIANT")
    return told


def list_of(variants):
    return "\n".join(textwrap.fill(" ".join(one.__doc__.split()), 100,
                                   initial_indent=f"  {name:11}", subsequent_indent=" " * 13)
                     for name, one in variants.items())


def find(variants, name, program):
    if name not in variants:
        die(f"no variant '{name}': see {program} --help")
    return variants[name]


def main(function, words, kind):
    """Calls it with the words of the command line; ends the program. KIND-VARIANT is a guest."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what is to be taken down is
    try:
        sys.exit(function(words))
    except Skip as reason:
        print(f"skip {kind}-{words[-1]} # {reason}")
        sys.exit(77)
