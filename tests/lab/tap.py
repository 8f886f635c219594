# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""tap.py [PATTERN]: runs the tests in test_*.py beside this file, or those whose name has the
pattern, and prints TAP."""

import os
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Tap(unittest.TestResult):
    said = 0  # of which test a part has failed

    def say(self, verdict, test, text=""):
        print(f"{verdict} {self.testsRun} - {test.id().removeprefix('test_')}", flush=True)
        print("".join(f"# {line}\n" for line in text.strip().split("\n") if line), end="")

    def addSuccess(self, test):
        self.say("ok", test)

    def addSkip(self, test, reason):
        print(f"ok {self.testsRun} - {test.id()} # SKIP {reason}", flush=True)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.say("not ok", test, self.failures[-1][1])

    def addError(self, test, error):
        super().addError(test, error)
        self.say("not ok", test, self.errors[-1][1])

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error and self.said != self.testsRun:
            self.said = self.testsRun  # one line a test, whatever its parts
            self.say("not ok", test)
        if error:
            print(f"# {subtest}: {error[1]}", flush=True)


def main():
    sys.dont_write_bytecode = True
    sys.path[:0] = [str(HERE), str(HERE.parents[1])]
    with tempfile.TemporaryDirectory() as build:
        os.environ["BUILD"] = build  # the tests' own
        loader = unittest.TestLoader()
        loader.testNamePatterns = [f"*{one}*" for one in sys.argv[1:]] or None
        result = loader.discover(str(HERE)).run(Tap())
    print(f"1..{result.testsRun}")
    return 0 if result.wasSuccessful() else 1


sys.exit(main())
