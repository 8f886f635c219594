# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import BUILD, ROOT, make
from lab.host.guest import Guest


class Baremetal(Guest):
    """`ports/baremetal`, a guest without an operating system"""
    pattern = usage = "baremetal"
    kernel = BUILD / "baremetal.elf"

    def make(self):
        make("make", "-s", "-C", ROOT, "baremetal")
