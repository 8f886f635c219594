# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What is recorded says nothing of where it was: no path but of the guest's and the lab's own."""

import json
import re
import tempfile
import unittest
from pathlib import Path

import bundle

RECORDED = [path for folder in ("tests/lab/recorded", "tests/lab/commands", "tests/image/recorded",
                                "tests/transcripts")
            for path in (bundle.ROOT / folder).rglob("*") if path.is_file()]
# An absolute path, and not the rest of a relative one or of an address.
PLACE = re.compile(r"(?<![\w.:/*>-])/(?!(?:bin|dev|etc|proc|run|scripts|sys|usr)/)[\w.-]+/")


def places(text):
    return [line for line in text.splitlines() if PLACE.search(line)]


class Bundle(unittest.TestCase):
    def pack(self, line):
        with tempfile.TemporaryDirectory() as folder:
            cell = Path(folder) / "build/cells/boot"
            cell.mkdir(parents=True)
            (cell / "result.json").write_text(json.dumps({"token": "0011223344556677"}))
            (cell / "host.log").write_text(line.format(root=bundle.ROOT, cell=cell) + "\n")
            return bundle.pack(cell).splitlines()[2]

    def test_a_recording_names_no_place(self):
        self.assertEqual(self.pack("{root}/lab/nest/nbd-side: line 3: gone"),
                         "lab/nest/nbd-side: line 3: gone")
        self.assertEqual(self.pack("{root}/build/openvmbus run"), "build/openvmbus run")
        self.assertEqual(self.pack("{cell}/root.ext4: x"), "root.ext4: x")
        self.assertEqual(self.pack("/dev/shm/openvmbus-0011223344556677"),
                         f"/dev/shm/openvmbus-{bundle.TOKEN}")

    def test_places_are_seen(self):
        for line in ("/home/me/lab/run: x", 'disk="/srv/x/y"', "=/tmp/x/y", "a (/root/x/y)"):
            self.assertEqual(places(line), [line])
        for line in ("/dev/sda", "build/cells/x", "http://10.0.2.2/debian/x", "=/dev/shm/x"):
            self.assertEqual(places(line), [])

    def test_no_recording_names_a_place(self):
        self.assertGreater(len(RECORDED), 20)
        for path in RECORDED:
            with self.subTest(path=path.name):
                self.assertEqual(places(path.read_text(errors="replace")), [])


if __name__ == "__main__":
    unittest.main()
