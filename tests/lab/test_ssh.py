# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""lab/host/over-ssh, with a command in place of ssh that runs what it is given on this machine, in
a folder that stands for /run/lab there."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from lab.host import common

SSH = """#!/bin/sh
[ "$1" = me@there ] || exit 255
there=$(printf '%s\\n' "$2" | sed 's|/run/lab|{work}/there|g; s|PATH=|PATH={work}/bin:|')
exec env PATH={work}/bin:$PATH sh -c "$there"
"""
SCENARIO = """. {work}/there/scenario.sh
echo "token=$(option openvmbus.token)"
exit 3
"""


class OverSsh(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = Path(folder.name)
        for name in ("lab/host", "lab/guest", "lab/scenarios", "bin"):
            (self.work / name).mkdir(parents=True)
        shutil.copy(common.LAB / "host/over-ssh", self.work / "lab/host")
        for name in ("scenario.sh", "network.sh"):
            text = (common.LAB / "guest" / name).read_text()
            (self.work / "lab/guest" / name).write_text(
                text.replace("/run/lab", f"{self.work}/there"))
        (self.work / "lab/scenarios/one").write_text(SCENARIO.format(work=self.work))
        self.program("ssh", SSH.format(work=self.work))

    def program(self, name, text):
        path = self.work / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def go(self, target="me@there"):
        script = (self.work / "lab/host/over-ssh")
        script.write_text(script.read_text().replace("sh /run/lab", f"sh {self.work}/there"))
        return subprocess.run([script, target, "one", "openvmbus.token=abc x=y"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              env={**os.environ, "LAB_SSH": str(self.work / "bin/ssh")})

    def test_a_scenario_runs_with_its_options_and_leaves_nothing(self):
        self.program("id", "#!/bin/sh\necho 0\n")
        done = self.go()
        self.assertEqual(done.stdout, "@@BEGIN one\ntoken=abc\n@@END one rc=3\n")

    def test_who_is_not_root_is_asked_for_nothing(self):
        self.program("id", "#!/bin/sh\necho 1000\n")
        self.program("sudo", "#!/bin/sh\n"
                     f"printf '%s\\n' \"$1\" >>{self.work}/asked\nshift\nexec \"$@\"\n")
        self.assertIn("token=abc\n", self.go().stdout)
        self.assertEqual(set((self.work / "asked").read_text().split()), {"-n"})

    def test_a_machine_that_is_not_there_is_a_failure(self):
        self.assertEqual(self.go("me@nowhere").returncode, 255)


if __name__ == "__main__":
    unittest.main()
