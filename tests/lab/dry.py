# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Cells that boot nothing: what would be run is recorded, kernels and images are made up."""

import atexit
import contextlib
import os
import secrets
import shlex
import shutil
import subprocess
from unittest import mock

from lab.host import cell, common

TOKEN = "0123456789abcdef"
real_run = subprocess.run


def sparse(path, length):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.truncate(length)
    return path


def make_up():
    """What lab/kernel, lab/image and the compiler would have made."""
    for line in (common.LAB / "kernels").read_text().split("\n"):
        if line and not line.startswith("#"):
            name = line.split()[0]
            folder = common.BUILD / "kernels" / f"{name}-release"
            sparse(folder / "vmlinuz", 3000000)
            folder.joinpath("config").write_text(
                "CONFIG_HYPERV_VMBUS=y\n" if name == "sid" else "CONFIG_HYPERV_VMBUS=m\n")
            (common.BUILD / "kernels" / name).symlink_to(folder.name)
    sparse(common.BUILD / "images/debian-12.ext4", 1 << 20)
    sparse(common.BUILD / "openvmbus", 0).chmod(0o755)


def fake_run(command, **more):
    """In place of subprocess.run: only what has no effect outside of the test is really run."""
    name, said = os.path.basename(command[0]), ""
    if name == "cp":
        return real_run(command, **more)
    if name == "initrd":
        path = common.BUILD / "initrd" / f"{command[1]}-{command[2]}.img"
        said = str(path if path.exists() else sparse(path, 1500000))
    rc = 1 if command[-1] == "check" else 0
    return subprocess.CompletedProcess(command, rc, said, "")


@contextlib.contextmanager
def dry_lab():
    if not (common.BUILD / "images").exists():
        make_up()
    common.has_kvm.cache_clear()
    with mock.patch.object(subprocess, "run", fake_run), \
            mock.patch.object(atexit, "register"), \
            mock.patch.object(secrets, "token_hex", lambda length: TOKEN), \
            mock.patch.object(shutil, "which", lambda name: name), \
            mock.patch.object(cell, "take_ports", lambda: 20000), \
            mock.patch.object(cell, "say"), \
            mock.patch.object(cell, "lock"), \
            mock.patch.dict(os.environ, OPENVMM="/bin/true",
                            CLOUD_HYPERVISOR="/bin/true"):
        os.environ.pop("LAB_LIMIT", None)
        yield


def parse(words):
    options, words = cell.Options(), list(words)
    while len(words) > 3:
        assert options.take(words.pop(0)[2:], words.pop(0))
    return cell.make_cell(options, *words)


def text_of(one, command):
    nest = "nest count-PID: " if one.nest.startswith("count-") else ""
    text = shlex.join(map(str, command)).replace(str(one.folder), "CELL")
    return nest + text.replace(str(common.BUILD), "build").replace(str(common.ROOT) + "/", "")


def commands(one):
    """Each command that the cell would run, as a line."""
    found = []

    def where(self, command, stdout, stderr):
        found.append(text_of(self, command))
        for name in ("command.1", "command.2"):
            if (self.folder / name).exists():
                found.append(text_of(self, self.read(name).split("\0")[:-1]))
        return 0

    with mock.patch.object(type(one), "where", where), mock.patch("builtins.print"):
        one.open()
        one.boots()
    return found
