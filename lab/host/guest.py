# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a guest of cells says of itself. Each sort is a file in lab/guests, with one class, whose
first line of documentation is its row in lab/README.md."""


class Guest:
    pattern = ""  # of its names on the command line; the groups are further arguments
    usage = ""  # its names, for people
    kind = "ours"  # the drivers in it
    drivers = {}  # what its "storage" and "network" drivers are called
    kernel = None  # file

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text

    def program(self, options):
        """The command that boots and judges it, where that is not a class of lab/scenarios."""

    def make(self):
        """Makes what it boots from, if that is not there."""

    def initrd(self, kind):
        """The file with its drivers."""
        return ""

    def line(self, kind):
        """More for the kernel's command line."""
        return ""
