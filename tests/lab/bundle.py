#!/usr/bin/python3 -IS
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""bundle.py CELL-FOLDER: prints what a cell left as one text, for tests/lab/recorded: the small
files that its judge reads, each after a line "@@@ NAME", and in "host" what big files had for it.
To record one: lab/run ..., then tests/lab/bundle.py build/cells/NAME >tests/lab/recorded/NAME."""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "0123456789abcdef"
KEPT = re.compile(r"evidence[.].*|host.*log|side[.]log|side-complaints|server[.]log|nbd-kills|"
                  r"ctl[.].*|clocks|stop|fsck|samples|result[.]json|page[.].|ping|other|sizes|need|"
                  r"datagrams")


def pack(folder):
    token = json.loads((folder / "result.json").read_text())["token"]
    text = "# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n"
    for path in sorted(folder.iterdir()):
        if KEPT.fullmatch(path.name):
            lines = path.read_text(errors="replace").splitlines()
            if path.name == "side.log":  # of the servers' own words none is judged
                lines = [line for line in lines if "stats:" in line]
            lines = [line for line in lines if not line.startswith("# ")]  # testpmd's own
            text += "".join(f"{line}\n" for line in [f"@@@ {path.name}", *lines])
    text = text.replace(token, TOKEN).replace(f"{folder.resolve()}/", "")
    text = re.sub(r"/[^ ]*/build/", "build/", text)  # wherever it is
    return text.replace(f"{ROOT}/", "")


def unpack(text):
    """The files' texts by name."""
    parts = re.split(r"(?m)^@@@ (.*)\n", text)
    return dict(zip(parts[1::2], parts[2::2]))


if __name__ == "__main__":
    print(pack(Path(sys.argv[1])), end="")
