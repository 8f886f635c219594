# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.hosts.qemu import Qemu


class Plain(Qemu):
    """Debian's QEMU without any Hyper-V"""
    cpu = "max"
    is_measured = True
