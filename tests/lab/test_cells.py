# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""lab/cells: what it says of what lab/run says, which is made up here."""

import contextlib
import io
import subprocess
import sys
import time
import unittest
from unittest import mock

from programs import program

from lab.host import common

cells = program("cells")
SAID = {"good": (0, "ok a\n# note\n", ""), "bad": (1, "ok a\nnot ok b\n", ""),
        "none": (77, "# first\nskip g h none # no such thing\n", ""), "wrong": (2, "", "x\nlast\n"),
        "crash": (1, "ok a\n", "Traceback\nIndexError: no such word\n"), "silent": (0, "# x\n", "")}


class Cells(unittest.TestCase):
    def setUp(self):
        (common.BUILD / "cells").mkdir(exist_ok=True)
        self.nests, self.stopped = [], []
        patch = mock.patch.object(subprocess, "run", self.fake)
        patch.start()
        self.addCleanup(patch.stop)

    def fake(self, command, stderr=None, **more):
        scenario = command[-1]
        if scenario == "stop":
            self.stopped.append(command[2])
            return subprocess.CompletedProcess(command, 0, "", "")
        if scenario == "interrupted":
            raise KeyboardInterrupt
        rc, said, errors = SAID[scenario]
        self.nests.append(command[2])
        stderr.write(errors.encode())
        return subprocess.CompletedProcess(command, rc, said)

    def test_lines_have_the_name_of_the_cell(self):
        end = time.time() + 60
        self.assertEqual(cells.run("--cpus 2 g h good", "n", end),
                         ["ok 2-cpu_g_h_good: a", "# note"])
        self.assertEqual(cells.run("g h bad", "n", end), ["ok g_h_bad: a", "not ok g_h_bad: b"])
        self.assertEqual(cells.run("g h none", "n", end), ["skip g_h_none # no such thing"])
        self.assertEqual(cells.run("g h wrong", "n", end),
                         ["not ok g_h_wrong ends # lab/run: exit code 2: last"])
        self.assertEqual(cells.run("g h good", "n", end - 61), ["skip g_h_good # no time left"])

    def test_a_cell_that_ends_without_a_verdict_has_failed(self):
        """As an exception in its judge does, whose exit code is that of a claim that is not ok."""
        end = time.time() + 60
        self.assertEqual(cells.run("g h crash", "n", end),
                         ["ok g_h_crash: a", "not ok g_h_crash ends # lab/run: exit code 1: "
                          "IndexError: no such word"])
        self.assertEqual(cells.run("g h silent", "n", end)[1:],
                         ["not ok g_h_silent ends # lab/run: exit code 0: nothing was said"])
        self.assertEqual(self.main(["good", "crash"])[0], 1)

    def test_nests_are_stopped_also_when_it_is_interrupted(self):
        for slot in range(2):
            (common.BUILD / f"nest/cells-{slot}").mkdir(parents=True, exist_ok=True)
        with self.assertRaises(KeyboardInterrupt):
            self.main(["interrupted", "good", "good"])
        self.assertEqual(self.stopped, ["cells-0", "cells-1"])

    def main(self, some, broken=()):
        with mock.patch.object(cells, "some_cells", lambda: [f"g h {one}" for one in some]), \
                mock.patch.object(cells, "prepare", lambda texts: broken), \
                contextlib.redirect_stdout(io.StringIO()) as said:
            rc = cells.main([])
        return rc, said.getvalue()

    def test_all_run_and_one_that_is_not_ok_is_told_by_the_exit_code(self):
        rc, said = self.main(["good", "bad", "none", "good", "wrong", "good"])
        self.assertEqual((rc, len(self.nests)), (1, 6))
        self.assertLessEqual(set(self.nests), {"cells-0", "cells-1"})
        self.assertEqual((common.BUILD / "cells/results").read_text(), said)
        self.assertEqual(self.main(["good", "none"])[0], 0)

    def test_a_signal_ends_what_runs(self):
        source = ("import signal, subprocess, sys; sys.path.insert(0, sys.argv[1])\n"
                  "from lab.host import common\n"
                  "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
                  "common.map_at_once(lambda one: subprocess.run(\n"
                  "    ['sh', '-c', 'echo begun; exec sleep 1000']), range(3), 2)\n")
        with subprocess.Popen([sys.executable, "-c", source, str(common.ROOT)], text=True,
                              stdout=subprocess.PIPE) as one:
            for _ in range(2):
                self.assertEqual(one.stdout.readline(), "begun\n")
            one.terminate()
            self.assertEqual(one.stdout.read(), "")  # to the end of those that it began, too
            self.assertEqual(one.wait(), 143)

    def test_what_cannot_be_made_is_a_failure_or_a_skip(self):
        self.assertEqual(self.main(["good"], ["6.1"])[0], 1)
        self.assertEqual(self.main(["good"], None),
                         (0, "skip all # kernels or disk image could not be made: see above\n"))

    def test_wrong_arguments_boot_nothing(self):
        for arguments, seconds in ((["--help"], "900"), (["--all", "x"], "900"), ([], "1e3")):
            with mock.patch.dict("os.environ", CELLS_SECONDS=seconds), \
                    mock.patch.object(cells, "prepare", self.fail), \
                    contextlib.redirect_stderr(io.StringIO()) as said, \
                    self.assertRaises(SystemExit) as end:
                cells.main(arguments)
            self.assertEqual(end.exception.code, 2)
            self.assertEqual(said.getvalue().count("\n"), 1)


if __name__ == "__main__":
    unittest.main()
