# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What all parts share: refusals, messages, and other programs."""
import errno
import os
import shutil
import subprocess
import sys

# Debian's tools for file systems are in sbin, which is not in every user's path.
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
LIMIT_S = 300  # of a program that reads an image


class Refused(Exception):
    """A bad option or image: one line for the user, exit code 2."""


def say(text):
    """Prints a message of this program."""
    print(f"openvmbus: {printable(str(text))}", file=sys.stderr, flush=True)


def need(program, package):
    """Refuses if a program is not installed."""
    if not shutil.which(program, path=PATH):
        raise Refused(f"{program} is missing; run: apt-get install {package}")


def call(*command, data=None, limit=LIMIT_S):
    """Runs a program to its end and returns it, with its output as bytes."""
    env = {**os.environ, "PATH": PATH, "LC_ALL": "C"}
    try:
        said = subprocess.run(command, input=data, capture_output=True, env=env,
                              timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise Refused(f"{command[0]} did not end within {limit} s: "
                      "is the image damaged?") from None
    # What it writes goes to this program's folder, so this says nothing of the image.
    if said.returncode and os.strerror(errno.ENOSPC).encode() in said.stderr:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return said


def last_line(data):
    """The last line of a program's output that says something."""
    lines = [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    return printable(lines[-1]).strip() if lines else "no reason given"


def printable(text):
    """Text of a guest or an image, safe for a terminal: one line."""
    return "".join(c if c.isprintable() else " " for c in text)


def part_of(path):
    """What a report is written to first, to be whole when it gets its name; a device or a pipe is
    written to itself."""
    return path if os.path.exists(path) and not os.path.isfile(path) else f"{path}.part"
