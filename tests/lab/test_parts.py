# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Parts of the lab's Python, one by one."""

import math
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import unittest
from unittest import mock

import dry
from programs import program

from lab.host import bench, cell, common, evidence, host, judge, scenario


class Numbers(unittest.TestCase):
    def test_what_is_no_number_compares_with_nothing(self):
        for text in ("", "x", "1 2"):
            self.assertFalse(evidence.number(text) <= 5 or evidence.number(text) >= 5)
        self.assertEqual(evidence.number("7"), 7)
        self.assertEqual(evidence.number("1.5"), 1.5)

    def test_medians(self):
        self.assertEqual(bench.spread([3, 1, 2]), "2 (1 to 3)")
        self.assertEqual(bench.spread([4, 1, 2, 3]), "2.5 (1 to 4)")
        self.assertEqual(bench.low_spread([4, 1, 2, 3]), "2 (1..4)")
        self.assertEqual(bench.ratio([2, 4, 3], [6, 5, 7]), "0.50")

    def test_medians_of_nothing_fail_each_claim(self):
        self.assertTrue(math.isnan(bench.median([])))
        self.assertEqual((bench.spread([]), bench.ratio([], [1]), bench.ratio([1], [])),
                         ("none", "-", "-"))
        self.assertFalse(bench.low_median([]) <= bench.low_median([1]))

    def test_a_leak_is_more_than_noise(self):
        counts = ["0 9 9", "10 5000 100", "100 4968 100"]
        self.assertTrue(scenario.leak(counts, 1, 32)[3])  # 32 pages in 90 rounds
        self.assertFalse(scenario.leak(counts[:2] + ["100 4954 100"], 1, 32)[3])
        self.assertFalse(scenario.leak(counts[:2] + ["100 5000 146"], 1, 32)[3])
        self.assertTrue(scenario.leak(counts[:2] + ["200 4906 100"], 1, 32)[3])
        self.assertFalse(scenario.leak(counts[:1], 1, 32)[3])

    def test_counted_marks_become_costs(self):
        path = common.BUILD / "marks"
        marks = [0, 20, 20, 80, 100, 200, 200, 1100]  # pairs of 20, 60, 100 and 900
        lines = [f"mark 1 user 0 kernel {one} entries {one // 10}" for one in marks]
        path.write_text("\n".join(lines + ["ticks.spin.2=2", "ticks.spin.8=8", ""]))
        kernel, entries = bench.pairs(evidence.Evidence(path))
        self.assertEqual((kernel, bench.grown(kernel)), ([20, 60, 100, 900], [40, 40, 800]))
        self.assertEqual(entries, [2, 6, 10, 90])
        self.assertAlmostEqual(bench.tick_cost(evidence.Evidence(path), kernel), 40 / 6)

    def test_a_boot_that_did_not_measure_all_fails_a_claim(self):
        with dry.dry_lab():
            one = dry.parse(["linux-6.1-ours", "openvmbus", "queuebench"])
        for number, line in ((1, "few=1"), (2, "none=1")):
            path = common.BUILD / f"measured.{number}"
            path.write_text(f"{line}\nmark\n")
            one.boots_done[number] = evidence.Evidence(path)
        one.marks = 1
        with mock.patch("builtins.print"):
            rows = one.rows(lambda found: int(found["few"]))
        self.assertEqual((rows, one.failures), ([1], 1))

    def test_a_guest_without_its_daemons_fails_their_claims(self):
        """Also one whose driver shows none of the devices that they serve. The kernel's own has no
        device for fcopy from 6.10 on."""
        failed = {}
        for kind, kernel in (("ours", "6.12.48-amd64"), ("intree", "6.1.0-40-amd64"),
                             ("intree", "6.12.48-amd64")):
            with dry.dry_lab():
                one = dry.parse([f"linux-6.1-{kind}", "openvmbus", "services"])
            one.folder.mkdir(parents=True, exist_ok=True)
            (one.folder / "copied").write_text("x")
            path = common.BUILD / "no-daemons"
            path.write_text(f"kernel={kernel}\n")
            one.evidence = evidence.Evidence(path)
            with mock.patch("builtins.print"):
                one.judge_daemons()
            failed[kind, kernel] = [claim for claim in (
                "a pair was given", "the guest froze", "a file was copied")
                if any(claim in line for line in one.said if line.startswith("not ok"))]
        self.assertEqual([len(claims) for claims in failed.values()], [3, 3, 2])


class Consoles(unittest.TestCase):
    def test_evidence_is_what_stands_between_the_markers(self):
        console = "a=0\r\n@@BEGIN boot\r\na=1\r\nb=x=y\r\na=2\r\n@@END boot rc=3\r\na=4\r\n"
        path = common.BUILD / "one"
        path.write_text(evidence.collect(console, "boot", 7))
        found = evidence.Evidence(path)
        self.assertEqual([found[name] for name in ("a", "b", "scenario_rc", "host_rc", "none")],
                         ["2", "x=y", "3", "7", ""])
        self.assertEqual(found.all("a"), ["1", "2"])

    def test_a_scenario_that_does_not_end_has_no_exit_code(self):
        path = common.BUILD / "two"
        path.write_text(evidence.collect("@@BEGIN boot\nlast=1", "boot", 124))
        found = evidence.Evidence(path)
        self.assertEqual((found["scenario_rc"], found["last"]), ("", "1"))


class Ports(unittest.TestCase):
    def test_neither_a_port_in_use_nor_one_of_another_program_is_taken(self):
        seed = random.randrange(1 << 30)
        first = common.take_ports(random.Random(seed))
        self.assertNotEqual(common.take_ports(random.Random(seed)), first)
        common.held.pop().close()
        common.held.pop().close()
        self.assertEqual(common.take_ports(random.Random(seed)), first)
        common.held.pop().close()
        with socket.socket() as listener:
            listener.bind(("", first + 1))
            listener.listen()
            self.assertNotEqual(common.take_ports(random.Random(seed)), first)
        common.held.pop().close()


class Ends(unittest.TestCase):
    def test_what_a_cell_runs_ends_with_it(self):
        """A signal comes while the command runs."""
        with dry.dry_lab():
            one = dry.parse(["ssh:root@there", "none", "survey"])
        began = time.monotonic()
        signal.signal(signal.SIGALRM, lambda *_: sys.exit(143))
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with self.assertRaises(SystemExit):
            one.where(["sh", "-c", f"echo $$ >{common.BUILD}/pid; exec sleep 60"], None, None)
        self.assertLess(time.monotonic() - began, 30)
        pid = (common.BUILD / "pid").read_text().strip()
        self.assertFalse(os.path.exists(f"/proc/{pid}"))


class Leavings(unittest.TestCase):
    def leave(self, failures, **environment):
        """The large files of a cell that ended so."""
        with dry.dry_lab():
            one = dry.parse(["linux-6.1-ours", "openvmbus", "boot"])
        one.open = one.boots = one.judge_boots = one.judge = lambda: None
        one.failures = failures
        dry.sparse(one.folder / "root.ext4", 1 << 30)
        dry.sparse(one.folder / "console.1", 2000)
        with mock.patch.dict(os.environ, environment), mock.patch("builtins.print"):
            self.assertEqual(one.run(), 1 if failures else 0)
        self.assertTrue((one.folder / "console.1").exists())
        return [path.name for path in one.folder.iterdir() if path.stat().st_size > judge.LARGE]

    def test_disks_stay_where_something_failed_or_somebody_wants_them(self):
        self.assertEqual(self.leave(0), [])
        self.assertEqual(self.leave(1), ["root.ext4"])
        self.assertEqual(self.leave(0, KEEP="1"), ["root.ext4"])


class CommandLine(unittest.TestCase):
    def run_it(self, *words):
        done = subprocess.run([sys.executable, "-IS", common.LAB / "run", *words], text=True,
                              capture_output=True, env={"PATH": "/usr/bin:/bin"})
        return done.returncode, done.stdout + done.stderr

    def test_bad_command_lines_end_with_2_and_one_line(self):
        guest, host = "linux-6.1-ours", "openvmbus"
        for words, reason in (
                ([], "usage: "), ([guest, host], "usage: "),
                (["--cpus", "x", guest, host, "boot"], "usage: "),
                (["--what", "1", guest, host, "boot"], "usage: "),
                (["linux-6.1", host, "boot"], "no guest 'linux-6.1'"),
                ([guest, "xen", "boot"], "no host 'xen'"),
                ([guest, host, "dance"], "no scenario 'dance'"),
                (["--root", "nvme", guest, host, "boot"], "no root disk on 'nvme'"),
                (["--vmm", "--x", "linux-6.1-virtio", "qemu", "boot"], "--vmm is openvmbus's"),
                (["--generation", "2016", "linux-6.1-virtio", "qemu", "boot"], "--generation and"),
                ([guest, "qemu", "boot"], "qemu has no VMBus"),
                (["linux-6.1-virtio", host, "boot"], "openvmbus has no virtio"),
                ([guest, host, "decline"], "decline is for the hosts qemu, qemu-plain"),
                ([guest, host, "serve"], "serve is for the guests baremetal")):
            with self.subTest(words):
                rc, said = self.run_it(*words)
                self.assertEqual((rc, said.count("\n")), (2, 1), said)
                self.assertIn(reason, said)

    def test_a_host_that_is_not_there_is_a_skip(self):
        rc, said = self.run_it("linux-6.1-ours", "openvmm", "boot")
        self.assertEqual((rc, said), (77, "skip linux-6.1-ours openvmm boot # no OpenVMM: set "
                                          "OPENVMM to the path of its program\n"))

    def test_the_readme_has_the_tables_of_guests_hosts_and_scenarios(self):
        """UPDATE=1 puts them there."""
        path, row = common.LAB / "README.md", r"(?:\| `.*\n)+"
        readme, listed = path.read_text(), self.run_it("--list")[1]
        tables = re.findall(rf"\| (\w+) \| \|\n\|---\|---\|\n({row})", listed)
        self.assertEqual([name for name, _ in tables], ["guest", "host", "scenario"])
        for name, rows in tables:
            head = rf"(\| {name} \|.*\n\|---\|---\|\n)"
            if os.environ.get("UPDATE"):
                readme = re.sub(head + row, lambda found: found[1] + rows, readme)
                path.write_text(readme)
            self.assertEqual(re.search(f"{head}({row})", readme)[2].split("\n"), rows.split("\n"))

    def test_a_new_host_says_itself_what_it_runs(self):
        class Mine(host.Host):
            name, scenarios = "mine", ("boot",)

        guest = cell.find_guest("linux-6.1-ours")
        for name, offered in (("boot", True), ("verify", False)):
            reason = common.load("scenarios", name).not_offered(guest, Mine())
            self.assertEqual(reason is None, offered, reason)

    def test_each_script_of_a_guest_has_its_class(self):
        scripts = {path.name for path in (common.LAB / "scenarios").iterdir() if path.is_file()}
        scripts = {name for name in scripts if not name.endswith(".py")}
        self.assertEqual(scripts - set(common.names("scenarios")), set())

    def test_cells_can_be_run(self):
        """Each row of lab/cells is a cell that lab/run takes."""
        cells = program("cells")
        lists = cells.some_cells() + list(cells.all_cells())
        with dry.dry_lab():
            for line in lists:
                if not re.search("(stock|image|uefi)-", line):  # those have programs of their own
                    self.assertIsInstance(dry.parse(line.split()), cell.Cell)
        self.assertEqual(cells.name_of(lists[1]), "4-cpu_4-mib_linux-6.1-ours_openvmbus_network")


if __name__ == "__main__":
    unittest.main()
