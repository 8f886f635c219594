# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Lines are stamped when they come, whole, and in order."""

import unittest
from unittest import mock

from lab.host import common, timeline
from lab.host.timeline import Timeline, read_timeline


class Lines(unittest.TestCase):
    def test_lines_come_whole_in_order_and_once(self):
        guest, host, path = (common.BUILD / name for name in ("guest", "host", "timeline"))
        guest.write_text("")
        host.write_text("before\n")
        with mock.patch.object(timeline, "LOOK", 60), \
                Timeline(path, guest=guest, host=host) as line:
            for text, file in (("o\rne\r\n", guest), ("ha", host), ("lf\nrest", host),
                               ("two\n", guest)):
                with open(file, "a") as stream:
                    stream.write(text)
                line.look()
        found = read_timeline(path)
        self.assertEqual([(name, text) for _, name, text in found],
                         [("guest", "one"), ("host", "half"), ("guest", "two"), ("host", "rest")])
        self.assertEqual(sorted(found, key=lambda one: one[0]), found)


if __name__ == "__main__":
    unittest.main()
