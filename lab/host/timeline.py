# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""When lines came into files that somebody else writes."""

import threading
import time

from lab.host.evidence import number, read

LOOK = 0.1  # seconds


class Timeline:
    """While it is entered, each line that comes into one of the files goes to another one too, as
    "SECONDS NAME LINE"; the seconds are since the beginning, right to a tenth or two. What is in
    the files already is left out."""

    def __init__(self, path, **files):
        self.path = path
        self.streams = {name: open(file, "rb") for name, file in files.items()}
        self.rests = dict.fromkeys(files, b"")
        self.ended = threading.Event()

    def __enter__(self):
        self.start = time.monotonic()
        self.file = open(self.path, "w")
        for stream in self.streams.values():
            stream.seek(0, 2)
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()
        return self

    def follow(self):
        while not self.ended.wait(LOOK):
            self.look()

    def look(self, last=False):
        now = time.monotonic() - self.start
        for name, stream in self.streams.items():
            *lines, rest = (self.rests[name] + stream.read()).split(b"\n")
            if last and rest:
                lines, rest = [*lines, rest], b""
            self.rests[name] = rest
            for line in lines:
                text = line.decode("utf-8", "replace").replace("\r", "")
                self.file.write(f"{now:.1f} {name} {text}\n")

    def __exit__(self, *error):
        self.ended.set()
        self.thread.join()
        self.look(last=True)
        for one in (self.file, *self.streams.values()):
            one.close()


def read_timeline(path):
    """Its lines, as (seconds, name, text)."""
    parts = [line.split(" ", 2) for line in read(path).split("\n")]
    return [(number(part[0]), part[1], part[2]) for part in parts if len(part) == 3]
