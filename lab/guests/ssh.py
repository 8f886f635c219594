# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import need
from lab.host.guest import Guest


class Ssh(Guest):
    """a machine that runs already, for example on Hyper-V or Azure, reached by ssh; on the host
    `none` ([docs/real-hyper-v.md](../docs/real-hyper-v.md))"""
    pattern = r"ssh:([\w.@:-]+)"
    usage = "ssh:USER@MACHINE"
    kind = "any"

    def __init__(self, text, target):
        super().__init__(text)
        self.target = target

    def make(self):
        need("ssh", "openssh-client")
