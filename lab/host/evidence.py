# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a guest printed between its markers: lines NAME=VALUE, and others."""

import hashlib
import math
import re
from pathlib import Path


def read(path):
    """A file's text; of one that is missing, nothing."""
    try:
        return Path(path).read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def number(text):
    """NaN, which no comparison holds for, when the text is none."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return math.nan


def word(index, text):
    """From 0; empty when there are not so many."""
    words = text.split()
    return words[index] if index < len(words) else ""


def same(one, other):
    return bool(one) and one == other


def matches(text, pattern):
    return re.search(pattern, text) is not None


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def collect(console, scenario, rc):
    """The evidence in a console's text, and how the scenario and the machine ended."""
    console = console.replace("\r", "")
    begin, end = f"@@BEGIN {scenario}", f"@@END {scenario}"
    lines, inside = [], False
    for line in console.split("\n"):
        inside = inside or line.startswith(begin)
        if inside:
            lines.append(line)
            inside = not line.startswith(end)
    lines += [line.replace(f"{end} rc=", "scenario_rc=", 1) for line in console.split("\n")
              if line.startswith(f"{end} rc=")]
    return "\n".join(lines + [f"host_rc={rc}"]) + "\n"


class Evidence:
    def __init__(self, path):
        self.path = path
        self.lines = read(path).split("\n")
        self.values = {}
        for line in self.lines:
            name, found, value = line.partition("=")
            if found:
                self.values.setdefault(name, []).append(value)

    def __getitem__(self, name):
        """The last value of that name; empty when there is none."""
        return self.values.get(name, [""])[-1]

    def all(self, name):
        return self.values.get(name, [])

    def numbers(self, name):
        return [number(one) for one in self[name].split()]

    def count(self, pattern):
        """Lines that match."""
        return sum(matches(line, pattern) for line in self.lines)
