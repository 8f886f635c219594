# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Programs of the lab, which have no .py at their ends, as modules."""

import importlib.machinery
import importlib.util

from lab.host import common


def program(name):
    loader = importlib.machinery.SourceFileLoader(name, str(common.LAB / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module
