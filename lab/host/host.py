# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a host of cells says of itself. Each is a file in lab/hosts, with one class, whose first
line of documentation is the host's row in lab/README.md."""

MAC = "02:00:00:00:77:01"  # of the guest's card,
PEER_MAC = "02:00:00:00:77:02"  # and of the second guest's in a pair


class Host:
    vmbus = True
    scenarios = ()  # that it can run, besides those whose own `hosts` names it
    is_measured = False  # by the scenario start
    here = False  # the command runs on this machine, not where the monitors do

    def check(self):
        """Raises Skip when this machine has not what the host needs."""

    def lacks(self, guest):
        """What this host has not and the guest needs, as a sentence; or None."""
        if guest.kind == "any":
            return f"{guest} is for the host none"
        if guest.kind == "virtio":
            return f"{self.name} has no virtio devices"
        return None

    def monitor(self, cell, kernel, initrd, line):
        """The program and its arguments that boot a cell; no initrd when that is empty."""
        raise NotImplementedError

    def around(self, cell):
        """What the program runs in."""
        return []

    def command(self, cell, kernel, initrd, line):
        """All of it, with an end."""
        return ["timeout", "-k", "5", cell.limit, *self.around(cell),
                *self.monitor(cell, kernel, initrd, line)]

    def card(self, cell, way):
        """Arguments for the guest's card; ways are those of Cell.plug_in."""
        return []
