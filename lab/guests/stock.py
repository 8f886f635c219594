# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import LAB
from lab.host.guest import Guest


class Stock(Guest):
    """a stock Debian before and after our modules' package; `lab/stock` has the variants"""
    pattern = "stock-([a-z]+)"
    usage = "stock-VARIANT"

    def __init__(self, text, variant):
        super().__init__(text)
        self.variant = variant

    def program(self, options):
        return [LAB / "stock", "--nest", options.nest, "--cpus", options.cpus, self.variant]
