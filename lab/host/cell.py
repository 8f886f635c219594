# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""One cell: a guest on a host that runs a scenario. Boots it, keeps what it left below build/cells,
and tells what was claimed of that. lab/host/scenario.py has what scenarios are made of."""

import dataclasses
import hashlib
import json
import os
import re
import secrets
import shutil
import time

from lab.host.common import (BUILD, LAB, Skip, die, has_kvm, load, lock, make, names, output, say,
                             take_ports)
from lab.host.evidence import Evidence, collect, read, sha256
from lab.host.judge import Judge
from lab.host.timeline import Timeline


@dataclasses.dataclass
class Options:
    """Of lab/run; the command line has them as --NAME VALUE."""
    cpus: int = 1
    memory: str = ""  # the scenario's
    nest: str = "warm"
    rounds: int = 0  # the scenario's
    append: str = ""
    net: str = "tap"
    mib: int = 64
    generation: str = ""
    root: str = "scsi"
    vmm: list = dataclasses.field(default_factory=list)
    disks: int = 0
    cards: int = 0

    def take(self, name, text):
        """Whether there is such an option, and it takes this text."""
        kind = {field.name: field.type for field in dataclasses.fields(self)}.get(name)
        if kind is None or (kind is int and not text.isdigit()):
            return False
        if kind is list:
            self.vmm.append(text)
        else:
            setattr(self, name, kind(text))
        return True


class Cell(Judge):
    # What a scenario says of itself.
    guests = ("linux",)
    kinds = ("ours", "intree", "virtio")
    hosts = ("openvmbus", "openvmm", "qemu")
    rounds = 100
    memory = "1G"
    mib = 0  # --mib
    data_len = 256 << 20  # of the second disk
    seconds = 400  # a boot may take, and so much more:
    more_seconds = seconds_a_round = seconds_a_mib = 0
    once = ("--no-reboot",)  # the machine ends with the guest's reset
    has_disks = True
    has_network = True  # where the host gives one unasked
    usual = ()  # options that lab/matrix gives it,
    usual_of_kind = {}  # and on openvmbus more of them, by the drivers of the guest

    def __init__(self, options, guest, host):
        super().__init__()
        self.options, self.guest, self.host = options, guest, host
        self.here = host.here
        self.kind, self.cpus = guest.kind, options.cpus
        self.net, self.root = options.net, options.root
        self.rounds = options.rounds or self.rounds
        self.memory = options.memory or self.memory
        self.mib = self.mib or options.mib
        self.append, self.nest = options.append, options.nest
        self.limit = (int(os.environ.get("LAB_LIMIT", self.seconds)) + self.more_seconds
                      + self.seconds_a_round * self.rounds + self.seconds_a_mib * self.mib)
        if options.disks:
            self.append += f" openvmbus.disks={options.disks + 2}"
        self.vmm = ["--generation", options.generation] if options.generation else []
        self.vmm += options.vmm + ["--disk", "null:8M"] * options.disks
        self.vmm += ["--net", "null"] * options.cards
        self.attach = "--disk" if self.root == "scsi" else "--ide"
        self.qemu_disk = "scsi-hd"
        # A crash that the guest reports is in the exit code, also if the next kernel ends well.
        self.expected_rc = 3 if "openvmbus.crash=default" in self.append else 0
        self.files = []  # disks: FILE,serial=TEXT and more properties
        self.around = []  # what the monitor runs in: lab/nest/net-side and its arguments
        self.card = []  # the monitor's options for the card
        self.boots_done = {}  # by number, their evidence
        self.seconds_of_boots = []
        self.folder = BUILD / "cells" / self.folder_name()
        self.token = self.socket = ""
        self.port = 0

    @classmethod
    def not_offered(cls, guest, host):
        """Why this scenario cannot run with that guest on that host; None when it can."""
        if guest.program(Options()):
            here = (cls.name, host.name) == ("boot", "openvmbus")
            return None if here else f"{guest} only boots, on openvmbus"
        if guest.name not in cls.guests:
            return f"{cls.name} is for the guests {', '.join(cls.guests)}"
        if guest.kind not in cls.kinds:
            return f"{cls.name} is for the drivers {', '.join(cls.kinds)}"
        if host.name not in cls.hosts and cls.name not in host.scenarios:
            return f"{cls.name} is for the hosts {', '.join(cls.hosts)}"
        return host.lacks(guest) if cls.name != "decline" else None

    def folder_name(self):
        o = self.options
        name = f"{self.guest}-{self.host.name}-{self.name}-c{o.cpus}"
        name += f"-{o.net}" if o.net != "tap" else ""
        name += f"-{o.root}" if o.root != "scsi" else ""
        name += f"-{o.generation}" if o.generation else ""
        name += f"-{o.disks}-disks-{o.cards}-cards" if o.disks or o.cards else ""
        return re.sub("[:@/]", "_", name) + re.sub("[^a-z0-9.=-]", "_", "".join(o.vmm))

    def open(self):
        """From here on the cell's folder, token, socket and ports are this program's alone."""
        self.guest.make()
        lock(f"cell-{self.folder.name}")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.token = secrets.token_hex(8)
        self.socket = f"/dev/shm/openvmbus-{self.token}"
        self.port = take_ports()
        if self.has_disks and not self.host.here:
            self.prepare_disks()

    # Files

    def read(self, name):
        return read(self.folder / name)

    def in_host_file(self, path, disk="root.ext4"):
        """The bytes of a file inside of a guest's disk, as this machine sees it."""
        return output("debugfs", "-R", f"cat {path}", self.folder / disk)

    def hash_inside(self, path, kind="sha256"):
        """Of such a file."""
        return hashlib.new(kind, self.in_host_file(path)).hexdigest()

    def hash_of_data(self, name="data.raw", length=64 << 20):
        try:
            with open(self.folder / name, "rb") as file:
                return sha256(file.read(length))
        except OSError:
            return ""

    # Boots

    def prepare_disks(self, name=""):
        """Guests know them by their serial numbers."""
        root, data = self.folder / f"root{name}.ext4", self.folder / f"data{name}.raw"
        make(LAB / "image")
        make("cp", "--sparse=always", "--reflink=auto", BUILD / "images/debian-12.ext4", root)
        root.chmod(0o644)
        self.make_file(data.name, self.data_len)
        self.files = [f"{root},serial=root", f"{data},serial=data"]

    def make_file(self, name, length):
        with open(self.folder / name, "wb") as file:
            file.truncate(length)
        return self.folder / name

    def plug_in(self, way):
        """The card on user, tap (or bench, which is a tap too), and for a pair of guests on pair-1
        and pair-2; around it what serves the other end."""
        if has_kvm() and os.geteuid():
            raise Skip("network cells make namespaces: run it as root")
        self.around = [LAB / "nest/net-side", re.sub("-[12]$", "", way), self.folder, self.mib,
                       self.port, self.cpus]
        self.card = self.host.card(self, way)

    def prepare(self, kind, append):
        """The command that boots the cell."""
        line = (f"console=ttyS0 quiet panic=-1 root=LABEL=openvmbus openvmbus.scenario={self.name}"
                f" openvmbus.token={self.token} openvmbus.rounds={self.rounds}"
                f" openvmbus.sectors={self.data_len // 512} {append} {self.append}")
        initrd = self.guest.initrd(kind)
        return self.host.command(self, self.guest.kernel, initrd, line + self.guest.line(kind))

    def boot(self, kind="", append=""):
        self.boot_command(self.prepare(kind or self.kind, append))

    def boot_command(self, command):
        number, start = len(self.boots_done) + 1, time.monotonic()
        say(f"{self.guest} on {self.host.name}: {self.name}, boot {number}")
        console, log = self.folder / f"console.{number}", self.folder / "host.log"
        with open(console, "wb") as out, open(log, "ab") as errors, \
                Timeline(self.folder / f"timeline.{number}", guest=console, host=log):
            rc = self.where([*self.around, *command], out, errors)
        self.collect(number, rc)
        self.seconds_of_boots.append(round(time.monotonic() - start, 1))
        say(f"boot {number} took {self.seconds_of_boots[-1]:.0f} s")

    def collect(self, number, rc):
        path = self.folder / f"evidence.{number}"
        path.write_text(collect(self.read(f"console.{number}"), self.name, rc))
        self.evidence = self.boots_done[number] = Evidence(path)

    def run(self):
        """Exit code: 0 all ok, 1 something is not."""
        self.open()
        self.boots()
        self.judge_boots()
        self.judge()
        if self.failures:
            self.note(f"consoles and evidence: {self.folder}")
        else:
            self.drop_large()
        self.save()
        return 1 if self.failures else 0

    def save(self):
        """What was asked for and what came of it, for lab/matrix."""
        result = {"guest": str(self.guest), "host": self.host.name, "scenario": self.name,
                  "options": dataclasses.asdict(self.options), "token": self.token,
                  "said": self.said, "seconds": self.seconds_of_boots,
                  "at": time.strftime("%Y-%m-%d %H:%M:%S")}
        (self.folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")


def find_guest(name):
    for kind in names("guests"):
        guest = load("guests", kind)
        found = re.fullmatch(guest.pattern, name)
        if found:
            return guest(name, *found.groups())
    known = ", ".join(load("guests", kind).usage for kind in names("guests"))
    die(f"no guest '{name}': {known}")


def find(folder, name):
    if name not in names(folder):
        die(f"no {folder[:-1]} '{name}': {', '.join(names(folder))}")
    return load(folder, name)


def make_cell(options, guest, host, scenario):
    """Checks what the command line says, and what is there."""
    guest, host, scenario = find_guest(guest), find("hosts", host)(), find("scenarios", scenario)
    reason = scenario.not_offered(guest, host)
    if reason:
        die(reason)
    if options.root not in ("scsi", "ide"):
        die(f"no root disk on '{options.root}': scsi or ide")
    if options.vmm and host.name not in ("openvmbus", "openvmm"):
        die("--vmm is openvmbus's and openvmm's")
    if (options.generation or options.root != "scsi") and host.name != "openvmbus":
        die("--generation and --root are openvmbus's")
    host.check()
    return scenario(options, guest, host)
