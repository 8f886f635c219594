# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The stages of a boot: their signs, and what to say of the first one that was not reached.

The host says when a system began, and used the bus, a disk, a card (openvmbus run --progress); the
serial console shows the kernel, the root file system and the target. The console may be silent
about a stage that was passed, so a stage counts as passed when a later one was reached.
"""
import codecs
import re
from dataclasses import dataclass, field

from .common import printable

# Exit codes, beside 0: the target was reached.
FAILED, USAGE, STOPPED = 1, 2, 6
CRASHED, PASSPHRASE, EMERGENCY, NOT_PROVISIONED = 16, 18, 19, 21


@dataclass(frozen=True)
class Stage:
    """One row of the table."""
    name: str
    code: int  # the exit code if the guest stopped before it
    what: str


STAGES = (
    Stage("loader", 10, "a loader or kernel was found"),
    Stage("kernel", 11, "the kernel began"),
    Stage("bus", 12, "the kernel used VMBus"),
    Stage("disk", 13, "a disk driver used its channel"),
    Stage("root", 14, "the root file system was mounted"),
    Stage("network", 17, "a network driver used its channel"),
    Stage("target", 15, "the target was reached"),
    Stage("shutdown", 20, "it powered off when asked to"),
)

KERNEL = re.compile(r"Linux version [0-9]")
# An initramfs with systemd in it greets too; it says that it is one. What may lie between the words
# of a sign is bounded, because a guest may repeat its beginning without end; what is looked for
# first costs least, for the same reason.
ROOT = re.compile(
    r"mounted filesystem|VFS: Mounted root|Ending clean mount|"
    r"BTRFS info [^\n]{0,200}(?:first mount|using free space tree|disk space caching)|"
    r"INIT: version|OpenRC [0-9]|systemd\[1\]: Hostname set to|"
    r"Welcome to (?=[^\n]{0,200}!)(?![^\n]{0,200}(?:[Ii]nitramfs|dracut))")
PASSPHRASE_ASKED = re.compile(
    r"Please enter passphrase for|Please unlock disk|Enter passphrase for /|"
    r"enter passphrase for disk", re.I)
SHELL = re.compile(
    r"\(initramfs\)|dracut:/#|You are in (?:emergency|rescue) mode|Entering emergency mode|"
    r"Press Enter for maintenance|Give root password for maintenance|Generating \"/run/initramfs")
PANIC = re.compile(r"Kernel panic - not syncing[^\n]*")
NO_ROOT_PANIC = re.compile(r"not syncing: VFS: Unable to mount root")
COMPLAINT = re.compile(r"ALERT|VFS:|cannot|failed|not found|error|does not exist|timed out", re.I)
CLOUD_INIT = re.compile(r"Cloud-init v\. \S+ finished at [^\n]{0,300}\n")  # with what it says then
SOURCE = re.compile(r"Datasource (DataSource\w+)")
LOADER = re.compile(r"GNU GRUB|Welcome to GRUB|Press enter to boot the selected OS|EFI stub:")
MENU = re.compile(r"Press enter to boot the selected OS")
LOGIN = re.compile(r"login: *")
REFUSED = re.compile(r"hv_vmbus: Unable to connect to host")
NO_SOURCE = "cloud-init found no data source: --azure gives it Azure's"
ESCAPE_MAX = 16
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>c])")

# The longest piece of console that a sign may span, so that text is searched once.
OVERLAP = 4096
CONSOLE_MAX = 8 << 20


@dataclass
class Target:
    """What counts as started."""
    name: str  # login, ssh, cloud-init, heartbeat, provisioned, text
    text: str = ""

    @property
    def on_console(self):
        """The pattern of it on the console; None: it is not seen there."""
        return {"login": LOGIN, "cloud-init": CLOUD_INIT,
                "text": re.compile(re.escape(self.text))}.get(self.name)

    def __str__(self):
        return {"login": "a login prompt", "ssh": "an SSH server",
                "cloud-init": "the end of cloud-init", "heartbeat": "an answered heartbeat",
                "provisioned": "a report that it is ready"}.get(
                    self.name, f"\"{self.text}\"")


def target_of(text):
    """The Target that --until means; what is no name is a text, and "login:" is one."""
    if text in ("login", "ssh", "cloud-init", "heartbeat", "provisioned"):
        return Target(text)
    return Target("text", text)


@dataclass
class Course:
    """How far a boot came; times are seconds since it began."""
    target: Target
    firmware: bool
    network: bool  # there is a card
    seconds: dict = field(default_factory=dict)
    passphrase: bool = False
    shell: bool = False
    menu: bool = False  # the loader's
    login: bool = False
    refused: bool = False  # no version of the bus suited the host
    panic: str = ""
    refusal: str = ""  # why the guest says that its provisioning failed
    lines: list = field(default_factory=list)  # (seconds, text) of the console
    host: list = field(default_factory=list)  # (seconds, text) of openvmbus
    notes: list = field(default_factory=list)
    dropped: int = 0  # bytes of the console that were not looked at
    _tail: str = ""
    _escape: str = ""  # the beginning of one
    _line: str = ""
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))
    _len: int = 0

    def reach(self, name, now):
        """The first time counts. Returns whether it was that."""
        if name in self.seconds:
            return False
        self.seconds[name] = now
        return True

    def hear_host(self, text, now):
        """A line of openvmbus. Returns the stages that it shows."""
        self.host.append((now, text))
        word = text.rpartition("progress: ")[2] if "progress: " in text else ""
        if word == "system":
            return self._first(["loader"] if self.firmware else [], now)
        return self._first([word] if word in ("bus", "disk", "network") else [], now)

    def hear(self, data, now):
        """Bytes of the console. Returns the stages that they show."""
        room = max(CONSOLE_MAX - self._len, 0)
        self.dropped += max(len(data) - room, 0)
        self._len += len(data[:room])
        if not room:
            return []
        text = self._escape + self._decoder.decode(data[:room]).replace("\r", "")
        # A sequence may come in two pieces.
        begun = text.rfind("\x1b", -ESCAPE_MAX)
        cut = begun if begun >= 0 and not ESCAPES.match(text, begun) else len(text)
        text, self._escape = ESCAPES.sub("", text[:cut]), text[cut:]
        self._keep_lines(text, now)
        seen = self._tail + text
        self._tail = seen[-OVERLAP:]
        found = []
        if self.firmware and LOADER.search(seen):
            found.append("loader")
        self.menu |= MENU.search(seen) is not None
        if KERNEL.search(seen):
            found += ["loader", "kernel"]
        if ROOT.search(seen):
            found.append("root")
        pattern = self.target.on_console
        if pattern and pattern.search(seen):
            found.append("target")
        self.passphrase |= PASSPHRASE_ASKED.search(seen) is not None
        self.refused |= REFUSED.search(seen) is not None
        self.login |= LOGIN.search(seen) is not None
        self.shell |= SHELL.search(seen) is not None
        panic = PANIC.search(seen)
        if panic and not self.panic:
            self.panic = printable(panic[0])[:120]
        return self._first(found, now)

    def _keep_lines(self, text, now):
        *whole, self._line = (self._line + text).split("\n")
        self.lines += [(now, printable(line)) for line in whole]

    def finish(self, now):
        """The machine has ended: what it printed last is a line too."""
        if self._escape or self._line:
            self._keep_lines(self._escape + "\n", now)
        self._escape = self._line = ""

    def _first(self, names, now):
        return [name for name in names if self.reach(name, now)]

    def stuck(self):
        """Whether the guest shows that it will not come further."""
        return bool(self.panic or self.passphrase or self.shell or self.refusal or
                    self.refused and "bus" not in self.seconds)

    def last_words(self):
        """What the console said last about a failure; empty: nothing."""
        lines = [text for _, text in self.lines] + [printable(self._line)]
        for text in reversed(lines):
            if COMPLAINT.search(text) and "progress: " not in text:
                return f" The console says: {re.sub(r'^.*?] ', '', text)[:120]}"
        return ""

    def source(self):
        """Which data source cloud-init says it used; empty: it does not say."""
        for _, text in reversed(self.lines):
            if CLOUD_INIT.search(text + "\n"):
                found = SOURCE.search(text)
                return found[1] if found else ""
        return ""


@dataclass
class Verdict:
    """The end: an exit code, and why."""
    code: int
    stopped: str = ""  # the stage that was not reached
    reason: str = ""  # a word for programs
    why: str = ""  # a line for people


REASONS = {"loader": "no-loader", "kernel": "kernel-silent", "bus": "no-vmbus",
           "disk": "no-disk-driver", "root": "no-root", "network": "no-network-driver",
           "target": "no-target", "shutdown": "no-shutdown"}


def passed(course):
    """The stages that count: without a card there is no network."""
    return [s for s in STAGES if s.name != "network" or course.network]


def judge(course, host_code, within, finished):
    """The Verdict on a course. host_code: exit code of openvmbus. finished: it was to power off
    and had the service for it, but did not."""
    stages = passed(course)[:-1]
    reached = [i for i, stage in enumerate(stages) if stage.name in course.seconds]
    # The card is used beside the rest: it says nothing of the stages before it.
    beyond = [i for i in reached if stages[i].name != "network"]
    first = max(beyond, default=-1) + 1
    if first < len(stages) and stages[first].name == "network" and first in reached:
        first += 1
    if "target" in course.seconds:
        first = len(stages)
        if course.network and "network" not in course.seconds:
            first = next(i for i, s in enumerate(stages) if s.name == "network")
    if first < len(stages):
        return _explain(course, stages[first], host_code, within)
    if finished is False:
        return Verdict(STAGES[-1].code, "shutdown", REASONS["shutdown"],
                       "it was asked to power off by its shutdown service, and did not")
    return Verdict(0)


def _explain(course, stage, host_code, within):
    if host_code == FAILED:
        last = course.host[-1][1] if course.host else ""
        return Verdict(FAILED, stage.name, "host", printable(last.removeprefix("openvmbus: ")))
    if host_code == 0:
        return Verdict(stage.code, stage.name, REASONS[stage.name],
                       f"the guest powered itself off before this: {stage.what}."
                       f"{course.last_words()}")
    if course.panic and not (NO_ROOT_PANIC.search(course.panic) and
                             stage.name in ("bus", "disk", "root")):
        return Verdict(CRASHED, stage.name, "crash",
                       f"the kernel crashed before this: {stage.what}. {course.panic}")
    if course.refusal and stage.name == "target":
        return Verdict(NOT_PROVISIONED, stage.name, "provisioning",
                       f"the guest reported that its provisioning failed: {course.refusal}")
    if course.passphrase and stage.name in ("root", "network", "target"):
        return Verdict(PASSPHRASE, stage.name, "passphrase",
                       "it asks for the passphrase of an encrypted disk: such an image does not "
                       "start by itself")
    if course.shell and stage.name in ("network", "target") and "root" in course.seconds:
        return Verdict(EMERGENCY, stage.name, "emergency",
                       "the root was mounted, but the system stopped in emergency mode: a wrong "
                       f"line in /etc/fstab is the usual cause.{course.last_words()}")
    return Verdict(stage.code, stage.name, REASONS[stage.name], hint(course, stage.name, within))


def hint(course, name, within):
    """The line that helps when this is the first stage that was not reached."""
    shell = " It ended in the shell of its initramfs." if course.shell else ""
    if name == "loader":
        return ("no loader was found: is there an EFI system partition with "
                "\\EFI\\BOOT\\BOOTX64.EFI?")
    return {
        "kernel": "the loader ran, but no kernel said anything: does it print to ttyS0 "
                  f"(console=ttyS0)?{waits(course)}",
        "bus": no_bus(course) + shell,
        "disk": f"no driver used the disk: is hv_storvsc in the kernel or in its initrd?{shell}",
        "root": f"the root was not mounted: is root= right?{shell}{course.last_words()}",
        "network": "no driver used the network card: is hv_netvsc in the kernel or among its "
                   "modules?",
        "target": f"{course.target} did not appear within {within} s.{idle(course)}"
                  f"{course.last_words()}",
    }[name]


def no_bus(course):
    """Why the bus was not used; the kernel's own driver says when no version suited the host."""
    if course.refused:
        return ("the kernel's VMBus driver was refused: it speaks none of the versions of this "
                "generation of hosts")
    return ("the kernel never contacted VMBus: is CONFIG_HYPERV_VMBUS in it, or hv_vmbus in its "
            "initrd?")


def waits(course):
    """Where a loader's menu was the last that came."""
    if not course.menu or "bus" in course.seconds:
        return ""
    return " The loader showed its menu: does it wait for a key (no timeout)?"


def idle(course):
    """Where cloud-init is waited for: it does not run where it finds no data source."""
    if course.target.name != "cloud-init" or not course.login:
        return ""
    return f" The login prompt came: is cloud-init in the image? Or {NO_SOURCE}."
