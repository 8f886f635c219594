# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import LAB
from lab.host.guest import Guest


class Uefi(Guest):
    """Debian, started by the firmware of Hyper-V's Generation 2 machines, or by our own (`own-`);
    `lab/uefi` has the variants, and says where the firmware is looked for"""
    pattern = "uefi-((?:own-)?[a-z]+)"
    usage = "uefi-[own-]VARIANT"

    def __init__(self, text, variant):
        super().__init__(text)
        self.variant = variant

    def program(self, options):
        return [LAB / "uefi", "--nest", options.nest, "--cpus", options.cpus,
                "--memory", options.memory or "512M", "--rounds", options.rounds or 10,
                self.variant]
