# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""lab/matrix: what it runs and runs again, its reports, and its page in a browser."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path
from unittest import mock

from programs import program

from lab.host import browser, common, report

matrix = program("matrix")
EVIL = "</script><script>document.title='evil'</script><img src=x onerror=alert(1)>\x01@cells@@js@"
SAID = ["ok one", f"not ok two {EVIL}", "# a note"]


def results():
    """One of each verdict."""
    logs = {"1": [[0.1, "host", "it starts"], [2.5, "guest", f"hello {EVIL}"]]}
    shown = {"kernel": "6.1", "bus_version": "5.3", "seconds_to_init": "8.5"}
    common_part = {"at": "2026-11-30 12:00:00", "commit": "abc", "seconds": 61.5, "said": SAID,
                   "errors": "", "shown": shown, "logs": logs, "old": False}
    for guest in ("linux-6.1-ours", "linux-6.1-intree"):
        for host, scenario, verdict, reason in (
                ("openvmbus", "boot", "ok", ""), ("qemu", "boot", "not offered", "no VMBus"),
                ("openvmbus", "pair", "not ok", f"two {EVIL}"),
                ("openvmm", "boot", "skip", "no OpenVMM"),
                ("openvmm", "pair", "not run", "no time")):
            yield {"name": f"{guest}_{host}_{scenario}", "guest": guest, "host": host,
                   "scenario": scenario, "verdict": verdict, "reason": reason, **common_part}


def write():
    folder = common.BUILD / "report"
    folder.mkdir(exist_ok=True)
    points = [{**report.point(one), "to_init": seconds}
              for one in results() for seconds in (9, 8, 8.5) if one["scenario"] == "boot"]
    (folder / "history.jsonl").write_text("".join(json.dumps(one) + "\n" for one in points))
    report.write(folder, "abc", list(results()))
    return folder


class Reports(unittest.TestCase):
    def test_tap_has_a_line_for_each_cell_that_is_offered(self):
        lines = (write() / "results.tap").read_text().split("\n")
        self.assertEqual(lines[0], "1..8")
        self.assertEqual(sum(line.startswith("not ok ") for line in lines), 2)
        self.assertIn("ok 3 - linux-6.1-ours_openvmm_boot # SKIP no OpenVMM", lines)

    def test_junit_counts_and_says_why(self):
        suite = xml.parse(write() / "junit.xml").getroot()
        self.assertEqual([suite.get(name) for name in ("tests", "failures", "skipped")],
                         ["8", "2", "4"])
        self.assertEqual(len(suite.findall("testcase/failure")), 2)

    def test_json_has_all(self):
        found = json.loads((write() / "results.json").read_text())
        self.assertEqual(found["results"], list(results()))

    def test_the_page_names_no_other_place(self):
        page = (write() / "index.html").read_text()
        for word in ("http:", "https:", "<img", "url(", "@import", "<link"):
            self.assertNotIn(word, page)

    def test_a_page_without_times_has_no_heading_for_them(self):
        self.assertIn("Time to init", (write() / "index.html").read_text())
        one = {**next(results()), "shown": {}}
        self.assertNotIn("Time to init", report.page("abc", [one], {one["name"]: []}))

    def test_text_of_a_guest_is_no_place_of_the_page(self):
        """2 reasons in the grid and in cells, a claim and a console's line in each of 8 cells."""
        page = (write() / "index.html").read_text()
        self.assertEqual(page.count("@cells@@js@"), 2 * 2 + 2 * 8)

    def test_a_line_of_the_history_that_is_not_whole_is_left_out(self):
        path = write() / "history.jsonl"
        with open(path, "a") as history:
            history.write('{"name": "linux')
        self.assertEqual({len(points) for points in report.read_history(path).values()}, {3})

    def test_a_time_that_is_none_is_left_out(self):
        one = next(results())
        self.assertEqual(report.point(one)["to_init"], 8.5)
        one["shown"] = {"seconds_to_init": "INIT: version 3.06 booting"}
        self.assertEqual(report.point(one)["to_init"], None)


class Runs(unittest.TestCase):
    """lab/run is made up here: it fails for pair, skips offers, and counts how often it ran."""

    def setUp(self):
        self.ran = []
        folder = mock.patch.object(matrix, "FOLDER", common.BUILD / "matrix")
        shutil.rmtree(common.BUILD / "matrix", ignore_errors=True)
        for patch in (folder, mock.patch.object(common, "lock"),
                      mock.patch.object(common, "prepare", lambda guests: []),
                      mock.patch.object(matrix.subprocess, "run", self.fake)):
            patch.start()
            self.addCleanup(patch.stop)

    def fake(self, command, **more):
        if command[0] == "git":
            said = b"abc" if "rev-parse" in command else b""
            return subprocess.CompletedProcess(command, 0, said)
        scenario = command[-1]
        self.ran.append(scenario)
        rc = {"pair": 1, "offers": 77}.get(scenario, 0)
        said = {"pair": "ok a\nnot ok b\n", "offers": "skip x y z # why\n"}.get(scenario, "ok a\n")
        return subprocess.CompletedProcess(command, rc, said, "")

    def main(self, *words):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            rc = matrix.main(["--guests", "linux-6.1-ours", "--hosts", "openvmbus", "--jobs", "2",
                              *words])
        return rc, said.getvalue()

    def test_what_has_a_result_is_not_run_again(self):
        some = ("--scenarios", "boot,offers,pair,decline")
        rc, said = self.main(*some)
        self.assertEqual((rc, sorted(self.ran)), (1, ["boot", "offers", "pair"]))
        self.assertIn("1 ok, 1 not ok, 1 skip, 1 not offered", said)
        self.assertIn("not ok linux-6.1-ours_openvmbus_pair (0 s) # b", said)
        self.main(*some)
        self.assertEqual(self.ran[3:], ["offers"])  # a skip is tried again
        self.main(*some, "--again")
        self.assertEqual(sorted(self.ran[4:]), ["boot", "offers", "pair"])

    def test_no_cell_begins_after_a_failure_of_its_own(self):
        with mock.patch.object(matrix, "evidence", side_effect=OSError("disk full")):
            with self.assertRaises(OSError):
                self.main("--scenarios", "boot,offers,pair", "--jobs", "1")
        self.assertEqual(self.ran, ["boot"])
        self.assertTrue((common.BUILD / "matrix/index.html").exists())

    def test_another_commit_runs_all(self):
        self.main("--scenarios", "boot")
        with mock.patch.object(matrix, "commit", lambda: "def"):
            rc, said = self.main("--scenarios", "boot", "--limit", "-1")
            self.assertEqual((rc, self.ran), (0, ["boot"]))  # no time left
            self.assertIn("pale", (common.BUILD / "matrix/index.html").read_text())
            self.main("--scenarios", "boot")
        self.assertEqual(self.ran, ["boot", "boot"])

    def test_a_wrong_option_ends_with_2(self):
        for words in (["--what", "x"], ["--jobs", "none"], ["--guests"],
                      ["--limit", "soon"], ["--limit", "nan"], ["--hosts", "openvmbus@2001"]):
            with self.assertRaises(SystemExit) as ended, contextlib.redirect_stderr(io.StringIO()):
                self.main(*words)
            self.assertEqual(ended.exception.code, 2)


SBATCH = """#!/bin/sh
# Runs the tasks at once, but for those of which $LOST is a part of the line.
printf '%s\\n' "$@" >>$SAID
for word; do
    case $word in --array=*) last=${word#--array=0-} ;; --wrap=*) task=${word#--wrap=} ;; esac
done
for SLURM_ARRAY_TASK_ID in $(seq 0 ${last%%%*}); do
    export SLURM_ARRAY_TASK_ID
    sed -n $((SLURM_ARRAY_TASK_ID + 1))p $TASKS | grep -q "${LOST:-nothing}" || eval "$task" >&2
done
echo '17;cluster'
"""


class Slurm(unittest.TestCase):
    """sbatch is made up; the tasks are real programs, which run a made-up lab/run."""

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.write("sbatch", SBATCH)
        self.write("squeue", "#!/bin/sh\n")
        self.write("scancel", "#!/bin/sh\necho scancel $* >>$SAID\n")
        self.tree = self.folder / "tree"
        shutil.copytree(common.LAB, self.tree / "lab", symlinks=True)
        self.write("run", "#!/bin/sh\nfor last; do :; done\n[ $last = boot ] && echo ok it boots\n",
                   self.tree / "lab")
        for name in ("kernel", "image", "nest-image", "warm-nest"):
            self.write(name, "#!/bin/sh\n", self.tree / "lab")
        (self.tree / "tools").mkdir()
        self.write("modules", "#!/bin/sh\n", self.tree / "tools")

    def write(self, name, text, folder=None):
        path = (folder or self.bin) / name
        path.write_text(text)
        path.chmod(0o755)

    def run_matrix(self, *words, **more):
        build = self.tree / "build"
        return subprocess.run(
            [self.tree / "lab/matrix", "--executor", "slurm", "--guests", "linux-6.1-ours",
             "--hosts", "openvmbus", "--scenarios", "boot,offers", *words],
            env={**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}", "BUILD": str(build),
                 "OPENVMBUS": "/bin/false", "SAID": str(self.folder / "said"),
                 "TASKS": f"{build}/matrix/slurm/tasks", **more},
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def test_each_cell_is_a_task_and_its_result_on_the_page(self):
        done = self.run_matrix("--jobs", "3")
        self.assertIn("jobs of Slurm: 17\n", done.stdout)
        self.assertIn("1 ok, 1 not ok\n", done.stdout)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--array=0-1%3\n", (self.folder / "said").read_text())
        found = json.loads((self.tree / "build/matrix/results.json").read_text())["results"]
        self.assertEqual([(one["verdict"], one["said"]) for one in found],
                         [("ok", ["ok it boots"]), ("not ok", [])])

    def test_a_task_that_ends_without_a_result_is_not_ok(self):
        done = self.run_matrix(LOST="boot")
        self.assertIn("not ok linux-6.1-ours_openvmbus_boot (0 s) # its task ended without",
                      done.stdout)
        self.assertIn("2 not ok\n", done.stdout)

    def test_a_refused_job_ends_with_2(self):
        self.write("sbatch", "#!/bin/sh\necho sbatch: error: no partition >&2\nexit 1\n")
        done = self.run_matrix()
        self.assertIn("sbatch: error: no partition\n", done.stdout)
        self.assertEqual(done.returncode, 2)

    def test_after_its_limit_what_waits_is_taken_back(self):
        self.run_matrix("--limit", "-1")
        self.assertIn("scancel --state=PENDING 17\n", (self.folder / "said").read_text())


@unittest.skipUnless(shutil.which("git"), "git is not installed")
class Commits(unittest.TestCase):
    def test_what_differs_from_the_commit_has_another_name(self):
        """Also a file that git does not know yet, as a new scenario is."""
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(common, "ROOT", Path(folder)):
            for words in ("init -q", "-c user.name=x -c user.email=x commit -q --allow-empty -mx"):
                subprocess.run(["git", "-C", folder, *words.split()], check=True)
            clean = matrix.commit()
            names = {clean}
            for text in ("one", "other"):
                (Path(folder) / "new.py").write_text(text)
                names.add(matrix.commit())
            self.assertEqual(matrix.commit() in names, True)
        self.assertEqual(len(names), 3)
        self.assertRegex(clean, "^[0-9a-f]{12}$")


@unittest.skipUnless(browser.there(), "chromium and chromium-driver are not installed")
class Page(unittest.TestCase):
    def test_filters_and_links_work_and_nothing_is_asked_for(self):
        with browser.Browser(f"file://{write()}/index.html") as page:
            self.assertEqual(page.run("return document.title"), "OpenVMBus lab")
            self.assertEqual(page.run("return performance.getEntriesByType('resource').length"), 0)
            self.assertEqual(page.shown("details.cell"), 8)
            self.assertEqual(page.shown("#grid td.not-ok"), 2)
            self.assertEqual(page.shown("svg polyline"), 6)
            page.click("input[data-verdict='not ok']")
            self.assertEqual((page.shown("details.not-ok"), page.shown("details.cell")), (0, 6))
            page.click("input[data-verdict='not ok']")
            page.type("input[data-filter=text]", "intree")
            self.assertEqual(page.shown("details.cell"), 4)
            page.run("document.querySelector('input[data-filter=text]').value = ''")
            page.click("select[data-filter=scenario] option:last-child")
            self.assertEqual(page.shown("details.cell"), 4)
            page.click("select[data-filter=scenario] option:first-child")
            self.assertEqual(page.shown("details.cell"), 8)
            page.click("#grid td.not-ok a")
            self.assertEqual(page.run("return location.hash"), "#linux-6.1-ours_openvmbus_pair")
            self.assertEqual(page.shown("details.cell[open] table.log tr"), 3)
            page.click("#open")
            self.assertEqual(page.shown("details.cell[open]"), 8)

    def test_a_permanent_link_opens_its_cell(self):
        name = "linux-6.1-intree_openvmbus_pair"
        with browser.Browser(f"file://{write()}/index.html#{name}") as page:
            found = page.run("return document.querySelector('details[open]').id")
            self.assertEqual(found, name)


if __name__ == "__main__":
    unittest.main()
