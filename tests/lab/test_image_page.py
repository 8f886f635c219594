# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The page and the JUnit file of openvmbus image, as a browser shows them."""

import base64
import os
import sys
import tempfile
import unittest
from pathlib import Path

from lab.host import browser, picture

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "image"))

from openvmbus_image import formats, main, reports, stages  # noqa: E402

EVIL = "</pre><script>document.title='evil'</script><img src=x onerror=alert(1)>\x1b[31m"
STOPPED, REACHED = (0xb4, 0x23, 0x18), (0x2d, 0x6c, 0xb5)  # the colours of bars


def result(last, cpus="1", text=EVIL):
    """Of a guest that came to this stage."""
    course = stages.Course(stages.target_of("login"), False, True)
    for number, stage in enumerate(stages.STAGES):
        course.reach(stage.name, number * 12.5)
        if stage.name == last:
            break
    course.lines = [(1.0, "Linux version 6.1"), (2.5, text)] * 40
    course.host = [(0.5, "openvmbus: progress: system")]
    one = main.Result(formats.Image(f"disk {EVIL}.img", "raw", "disk"), course,
                      {"generation": "2025", "cpus": cpus, "drivers": "intree"})
    one.by, one.took, one.command = "a loader entry", 95.0, ["openvmbus", "run", EVIL]
    one.verdict = stages.judge(course, 6, 300, True)
    return one


@unittest.skipUnless(browser.there(), "chromium or chromedriver is missing: tools/setup page")
class Page(unittest.TestCase):
    def open(self, text, end="html"):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / f"page.{end}"
        path.write_text(text, encoding="utf-8")
        page = browser.Browser(path.as_uri()).__enter__()
        self.addCleanup(page.__exit__)
        return page

    def colours(self, page):
        """The colours that the screen shows."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "screen.png"
            path.write_bytes(base64.b64decode(page.picture()))
            keep = os.environ.get("KEEP_PICTURES")
            if keep:
                (Path(keep) / f"{self._testMethodName}.png").write_bytes(path.read_bytes())
            _, _, data = picture.read_png(path)
        return {tuple(data[at:at + 3]) for at in range(0, len(data), 3)}

    def fits(self, page):
        self.assertTrue(page.run("return document.documentElement.scrollWidth <= innerWidth"))

    def test_of_an_image_that_stopped(self):
        page = self.open(reports.page([result("disk")]))
        # Four stages, and the one before which it stopped.
        self.assertEqual(page.shown("svg rect"), 5)
        self.assertTrue({STOPPED, REACHED} <= self.colours(page))
        self.assertIn("is root= right?",
                      page.run("return document.querySelector('.bad').innerText"))
        self.assertIn("stopped here", page.run("return document.querySelector('svg').textContent"))
        self.fits(page)

    def test_of_an_image_that_started(self):
        page = self.open(reports.page([result("shutdown")]))
        self.assertEqual(page.shown("svg rect"), len(stages.STAGES))
        colours = self.colours(page)
        self.assertIn(REACHED, colours)
        self.assertNotIn(STOPPED, colours)
        self.assertIn("started, by a loader entry",
                      page.run("return document.querySelector('.good').innerText"))

    def test_what_a_guest_printed_is_text(self):
        page = self.open(reports.page([result("disk")]))
        self.assertEqual(page.run("return document.images.length + document.scripts.length"), 0)
        self.assertTrue(page.run("return document.title").startswith("openvmbus image: disk"))
        self.assertIn("<img src=x", page.run("return document.querySelector('pre').innerText"))

    def test_of_many_machines(self):
        page = self.open(reports.page([result("shutdown"), result("bus", "4")]))
        self.assertIn("started on 1 of 2", page.run("return document.body.innerText"))
        self.assertEqual(page.shown("svg"), 0)
        page.click("tr:nth-child(3) a")  # it opens what it leads to
        self.assertEqual(page.shown("svg"), 1)
        self.assertEqual(page.shown("svg rect"), 4)
        self.fits(page)

    def test_junit_is_xml(self):
        page = self.open(reports.junit([result("shutdown"), result("bus", "4")]), "xml")
        self.assertEqual(page.run("return document.querySelectorAll('parsererror').length"), 0)
        self.assertEqual(page.run("return document.querySelectorAll('testsuite').length"), 2)
        self.assertEqual(page.run("return document.querySelectorAll('failure').length"), 1)
