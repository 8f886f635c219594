# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What passes. Each file of tests/lab/recorded is what a cell left that was good (bundle.py): all
of its claims hold. Then each of its lines is spoiled in turn, and so is what this machine found in
the guest's disks and on the wire: each claim must fail for one of these. And no claim of any cell
may hold when there is nothing at all."""

import contextlib
import re
import shutil
import unittest
from pathlib import Path
from unittest import mock

import bundle
import dry
from test_commands import blocks

from lab.host import cell
from lab.host.evidence import Evidence
from lab.scenarios import network

HERE = Path(__file__).parent
WIRE = "frames=9000 tcp=8000 udp=900 icmp=4 vlan={vlan} longest={longest} bad={bad} wrong_length=0"


class Disks:
    """What debugfs, sha256sum and lab/host/wire-check would say of the cell's big files: with
    spoiled, the wrong thing."""

    def __init__(self, one, spoiled):
        self.one, self.spoiled = one, spoiled

    def in_host_file(self, path, disk="root.ext4"):
        return b"" if self.spoiled else dry.TOKEN.encode()

    def hash_of_data(self, *where):
        found = self.one.boots_done[len(self.one.boots_done)]
        return "spoiled" if self.spoiled else found["data_hash"] or found["hash"]

    def hash_inside(self, path, kind="sha256"):
        found = self.one.value({"sha256": "root_hash", "blake2b": "down.generation"}[kind])
        return "spoiled" if self.spoiled else found.split(" ")[-1]

    def wire_check(self, capture, *mac):
        changed = capture.name.startswith("broken")
        vlan, longest, bad = {None: (900, 1518, 0), "vlan": (0, 1518, 0), "longest": (900, 9999, 0),
                              "bad": (900, 1518, 3)}.get(self.spoiled, (900, 1518, 0))
        if changed:
            bad = 0 if self.spoiled == "blind" else 5
        line = "" if self.spoiled == "wire" else WIRE.format(vlan=vlan, longest=longest, bad=bad)
        return line, {name: int(text) for name, text in re.findall(r"(\w+)=(\d+)", line)}

    def patched(self):
        return (mock.patch.object(cell.Cell, "in_host_file", lambda _, *a: self.in_host_file(*a)),
                mock.patch.object(cell.Cell, "hash_of_data", lambda _, *a: self.hash_of_data(*a)),
                mock.patch.object(cell.Cell, "hash_inside", lambda _, *a: self.hash_inside(*a)),
                mock.patch.object(network, "wire_check", self.wire_check))


class Recorded:
    """A cell whose folder is a bundle's."""

    def __init__(self, text):
        self.files = bundle.unpack(text)
        said = cell.json.loads(self.files.pop("result.json"))
        options = cell.Options(**said["options"])
        self.one = cell.make_cell(options, said["guest"], said["host"], said["scenario"])
        self.one.folder.mkdir(parents=True, exist_ok=True)
        self.one.token = dry.TOKEN
        kernel = re.search("(?m)^kernel=(.*)", self.files.get("evidence.1", ""))
        self.one.guest.release = kernel[1] if kernel else ""

    def judge(self, files, spoiled=None):
        """All claims, as ok and not ok lines."""
        one = self.one
        one.said, one.failures = [], 0
        for name, text in files.items():
            (one.folder / name).write_text(text)
        boots = sorted(one.folder.glob("evidence.*"), key=lambda path: int(path.suffix[1:]))
        if one.name == "pair":  # the first guest's is read last
            boots.reverse()
        for path in boots:
            one.evidence = one.boots_done[int(path.suffix[1:])] = Evidence(path)
        with mock.patch("builtins.print"):
            for patch in (patches := Disks(one, spoiled).patched()):
                patch.start()
            try:
                if one.name == "verify":
                    self.judge_first()
                one.judge_boots()
                one.judge()
            finally:
                for patch in patches:
                    patch.stop()
        return [line for line in one.said if not line.startswith("#")]

    def judge_first(self):
        """What its boots() does after the first one."""
        second, self.one.evidence = self.one.evidence, self.one.boots_done[1]
        self.one.judge_every()
        self.one.evidence = second

    def spoils(self):
        """One line of one file gone, or other in each of its numbers and its last word."""
        for name, text in self.files.items():
            lines = text.split("\n")
            for i, line in enumerate(lines[:-1]):
                changed = [re.sub(r"\d+", lambda n: str(10 ** 7 + int(n[0])), line),
                           re.sub(r"\d+", "0", line), re.sub(r"\d+", "1", line), line + "x", None]
                for other in changed:
                    if other != line:
                        some = lines[:i] + ([] if other is None else [other]) + lines[i + 1:]
                        yield {**self.files, name: "\n".join(some)}
            yield {**self.files, name: ""}
            yield {**self.files, name: "spoiled\n" + text}


def judge_nothing(one):
    """The claims of a cell that hold although its boots left nothing."""
    shutil.rmtree(one.folder, ignore_errors=True)
    one.folder.mkdir(parents=True)
    one.token, one.guest.release, one.said = dry.TOKEN, "6.1.0-none", []
    for number in range(1, 12):
        path = one.folder / f"evidence.{number}"
        path.write_text("")
        one.evidence = one.boots_done[number] = Evidence(path)
    with contextlib.ExitStack() as stack:
        for patch in (*Disks(one, "wire").patched(), mock.patch("builtins.print")):
            stack.enter_context(patch)
        for stage in (one.judge_boots, one.judge):
            # As in a cell: what a judge needs and does not find ends it.
            with contextlib.suppress(OSError, LookupError, AttributeError, TypeError, ValueError):
                stage()
    shutil.rmtree(one.folder)  # other tests read what is there
    return [line for line in one.said if line.startswith("ok ")]


class Judging(unittest.TestCase):
    maxDiff = None

    def test_cells_were_recorded(self):
        self.assertGreater(len(list((HERE / "recorded").glob("*"))), 10)

    def test_nothing_holds_over_nothing(self):
        cells = {}
        with dry.dry_lab():
            for name, _ in blocks():
                one = dry.parse(name.split())
                cells.setdefault((one.name, one.kind), one)
            held = {name: judge_nothing(one) for name, one in cells.items()}
            said = sum(len(one.said) for one in cells.values())
        self.assertGreater(said, 5 * len(cells))
        self.assertEqual({name: lines for name, lines in held.items() if lines}, {})


def add(path):
    def test(self):
        with dry.dry_lab():
            recorded = Recorded(path.read_text())
            claims = recorded.judge(recorded.files)
            self.assertGreater(len(claims), 0)
            self.assertEqual([line for line in claims if not line.startswith("ok ")], [])
            tries = [recorded.judge(files) for files in recorded.spoils()]
            tries += [recorded.judge(recorded.files, spoiled)
                      for spoiled in ("disks", "vlan", "longest", "bad", "blind", "wire")]
        never = [line for i, line in enumerate(claims)
                 if not any(len(one) == len(claims) and one[i].startswith("not") for one in tries)]
        self.assertEqual(never, [])

    setattr(Judging, f"test_{path.name}_passes_and_each_claim_can_fail", test)


for recorded_path in sorted((HERE / "recorded").glob("*")):
    add(recorded_path)
