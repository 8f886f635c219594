# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the lab's Python programs share: where things are, how progress and failure are told, locks
and ports, so that two programs which need the same thing do not meet. lab/host/common.sh is the
same for the scripts that make kernels and images."""

import concurrent.futures
import fcntl
import functools
import importlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

# A descriptor that the caller closed would become a disk or a console.
for fd in range(3):
    try:
        os.fstat(fd)
    except OSError:
        os.set_inheritable(os.open("/dev/null", os.O_RDWR), True)

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "lab"
BUILD = Path(os.environ.get("BUILD", ROOT / "build"))
OPENVMBUS = os.environ.get("OPENVMBUS", str(BUILD / "openvmbus"))
PROGRAM = "lab/" + os.path.basename(sys.argv[0])
os.environ["PATH"] += ":/usr/sbin:/sbin"
held = []  # locks, until the program ends


class Skip(Exception):
    """This cell cannot run here; the text says why."""


def say(text):
    print(f"{PROGRAM}: {text}", file=sys.stderr, flush=True)


def die(text):
    say(text)
    sys.exit(2)


def need(command, package):
    if not shutil.which(command):
        die(f"{command} is missing; run: apt-get install {package}")


def run(command, **more):
    """Its exit code, 128 and more for a signal's. When a signal ends this program, the command is
    ended as well, by its own handlers: it may have started others."""
    process = subprocess.Popen(list(map(str, command)), **more)
    try:
        rc = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    return rc if rc >= 0 else 128 - rc


def make(*command, **more):
    """Runs a script of the lab that makes something; its output. One that fails has said why."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, **more)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout.strip()


def shell(function, *arguments, **more):
    """Runs a function of the libraries in lab/host that the scripts share which make kernels and
    images; its output."""
    return make("bash", "-euc", 'for one in common apt unpack-kernel; do . "$1/host/$one.sh"; '
                'done; shift; "$@"', PROGRAM, LAB, function, *arguments, **more)


def newer(target, *files):
    """Whether it exists and none of the files is newer than it."""
    return target.exists() and all(one.stat().st_mtime <= target.stat().st_mtime for one in files)


def fetch(folder, *packages):
    """Debian's packages, unpacked in that folder and not installed. Cached."""
    if (folder / "ready").exists():
        return
    lock(folder.name)
    if (folder / "ready").exists():
        return
    suite = shell("apt_base")
    shell("apt_private", suite)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "debs").mkdir(parents=True)
    for package in packages:
        say(f"downloading {package}")
        try:
            shell("apt_do", suite, "get", "download", package, cwd=folder / "debs")
        except SystemExit:
            raise Skip(f"no package {package}") from None
    for package in (folder / "debs").glob("*.deb"):
        make("dpkg", "-x", package, folder)
    shutil.rmtree(folder / "debs")
    (folder / "ready").touch()


def output(*command):
    """What a program prints, as bytes; nothing when it is missing or fails."""
    try:
        return subprocess.run(list(map(str, command)), stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL).stdout
    except OSError:
        return b""


def lock(name):
    """Held until the program ends or the file that it returns is closed. Waiting is announced,
    because it can take minutes."""
    folder = BUILD / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    file = open(folder / name, "w")
    held.append(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"waiting for another {PROGRAM} to finish with {name}")
        fcntl.flock(file, fcntl.LOCK_EX)
    return file


def ports_in_use():
    found = set()
    for name in ("tcp", "tcp6", "udp", "udp6"):
        try:
            text = Path("/proc/net", name).read_text()
        except OSError:
            continue
        found |= {int(port, 16) for port in re.findall(r"^ *\d+: \w+:(\w{4}) ", text, re.M)}
    return found


def take_ports(chance=random.SystemRandom()):
    """A port that is free, as the next one is, and which no other program of a lab takes until
    this one ends."""
    used = ports_in_use()
    for _ in range(1000):
        port = chance.randrange(20000, 30000, 2)
        if used & {port, port + 1}:
            continue
        try:
            file = open(f"/dev/shm/openvmbus-port-{port}", "w")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        held.append(file)
        return port
    die("no two ports between 20000 and 30000 are free")


@functools.cache
def has_kvm():
    """Whether guests run on this machine's own /dev/kvm; if not, in a nest."""
    return os.access("/dev/kvm", os.W_OK) and subprocess.run(
        [OPENVMBUS, "check"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def stop_nests(names):
    """Those of them that there are: each keeps a CPU to itself until it is stopped."""
    for name in names:
        if (BUILD / "nest" / name).is_dir():
            subprocess.run([LAB / "warm-nest", "-n", name, "stop"], stdout=sys.stderr)


def map_at_once(function, things, count):
    """What function(THING) says of each, count of them at a time. On a signal no more begin, and
    the programs that run are ended: one of them alone would keep this program for minutes."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        try:
            return list(pool.map(function, things))
        except BaseException:
            for path in Path("/proc/self/task").glob("*/children"):
                for child in path.read_text().split():
                    os.kill(int(child), signal.SIGTERM)
            raise


def names(folder):
    """Of the guests, hosts or scenarios: each is a file in that folder of the lab."""
    return sorted(path.stem for path in (LAB / folder).glob("*.py"))


def load(folder, name):
    """The class that the file lab/FOLDER/NAME.py defines; its name is the file's."""
    module = importlib.import_module(f"lab.{folder}.{name}")
    (found,) = (one for one in vars(module).values()
                if isinstance(one, type) and one.__module__ == module.__name__)
    found.name = name
    return found


def prepare(texts):
    """What several cells need is made before, or those at work would wait for each other. The texts
    name guests, among other things. The kernels whose modules do not build; None when a kernel or
    an image cannot be made."""
    broken = []
    guests = [re.search("linux-([^ ]*)-(ours|intree)", text) for text in texts]
    for version in sorted({found[1] for found in guests if found}):
        if subprocess.run([LAB / "kernel", version]).returncode:
            return None
        if subprocess.run([ROOT / "tools/modules", version], cwd=ROOT,
                          stdout=sys.stderr).returncode:
            broken.append(version)
    made = [LAB / "image"] + ([] if has_kvm() else [LAB / "nest-image"])
    return broken if not any(subprocess.run([one]).returncode for one in made) else None
