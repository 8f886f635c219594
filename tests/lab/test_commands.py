# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What each cell runs: the monitor's command line and the kernel's. The file `commands` has, for
each cell of lab/cells and some more, "cell OPTIONS GUEST HOST SCENARIO", "folder NAME", and the
commands of its boots; write it anew with UPDATE=1 and read the difference."""

import os
import re
import unittest
from pathlib import Path

import dry
from programs import program

GOLDEN = Path(__file__).parent / "commands"


def blocks():
    for block in GOLDEN.read_text().split("\ncell ")[1:]:
        name, folder, *lines = block.rstrip("\n").split("\n")
        yield name, [folder, *lines]


class Commands(unittest.TestCase):
    maxDiff = None

    def test_each_cell_has_its_commands(self):
        cells = program("cells")
        listed = {line for line in cells.some_cells() + list(cells.all_cells())
                  if not re.search("(stock|image|uefi)-", line)}
        recorded = dict(blocks())
        self.assertEqual(listed - set(recorded), set())
        self.assertEqual([name for name, lines in recorded.items() if len(lines) < 2], [])

    def test_cells_run_the_recorded_commands(self):
        update = []
        with dry.dry_lab():
            for name, expected in blocks():
                one = dry.parse(name.split())
                found = [f"folder {one.folder.name}", *dry.commands(one)]
                update.append(f"cell {name}\n" + "".join(f"{line}\n" for line in found))
                with self.subTest(name):
                    if not os.environ.get("UPDATE"):
                        self.assertEqual(found, expected)
        if os.environ.get("UPDATE"):
            licence = GOLDEN.read_text().split("\n")[0]
            GOLDEN.write_text(f"{licence}\n{''.join(update)}")


if __name__ == "__main__":
    unittest.main()
