# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The command line of openvmbus-image."""
import argparse
import itertools
import os
import re
import shutil

from .azure import provision_of
from .common import Refused, call, part_of
from .stages import target_of

GENERATIONS = "2008,2008r2,2012,2012r2,2016,2019,2022,2025"
MACHINES_MAX = 64
CPUS_MAX = 64

HELP = """\
Boots a disk image where VMBus is the only bus, and says how far it came.

usage: openvmbus image FILE [OPTION...]

  FILE               raw, qcow2, vhd, vhdx or vmdk, found by its content; or an ISO image; or an
                     export of an NBD server, which is copied first: nbd://HOST/EXPORT
  --firmware FILE    start it by this MSVM.fd (the one that `openvmbus firmware` names)
  --direct           start the kernel that a loader entry, unified kernel image or grub.cfg in it
                     names, or the newest of /boot; the default where there is no firmware
  --until TARGET     what counts as started: login, ssh (an SSH server answers), cloud-init (it
                     has finished), heartbeat (the guest answers one), provisioned (it reports
                     so; with --azure), or a text on the console (login)
  --within SECONDS   when to give up (300)
  --stop-within SECONDS
                     then it is asked to power off, and has this long (60; 0: it is not asked)
  --cpus N, --memory SIZE, --generation G, --net NET, --accel A
                     of the machine, as for openvmbus run (1, 1G, the newest, user)
  --drivers DRIVERS  intree: those of the image; ours: our modules for its kernel, put behind its
                     initrd, or a folder with them (intree; with --direct)
                     --generation, --cpus and --drivers may be lists (1,4): each machine is tried
  --matrix           each generation, with 1 and 4 processors, the kernel's own drivers and ours;
                     lists that are given take the place of these
  --append TEXT      more for the kernel's command line (with --direct)
  --write            let the guest write to the image (raw ones only)
  --console FILE     keep what the guest printed
  --azure            give it what Azure gives a machine at its first start: a provisioning DVD,
                     WireServer, the metadata service; needs --net user (docs/image.md)
     --user NAME, --hostname NAME, --ssh-key FILE, --custom-data FILE
                     whom it makes (azureuser), how it is called (openvmbus), a public key for the
                     user, and what cloud-init is given
  --json             print the result as JSON instead of as a table
  --junit FILE       write it as JUnit's XML too
  --html FILE        write it as a page: stages on a time axis, console and messages

exit codes: 0 the target was reached; 1 the host failed; 2 a bad option or image, nothing was
started; 6 a signal. Else the guest stopped before this: 10 a loader or kernel was found; 11 the
kernel began; 12 it used VMBus; 13 it used a disk; 14 it mounted its root; 17 it used the network
card; 15 the target. Or it stopped because: 16 the kernel crashed; 18 a passphrase was asked for;
19 the system is in emergency mode; 20 it did not power off when asked to; 21 its provisioning
failed.
"""

VALUES = ("firmware", "until", "within", "stop-within", "cpus", "memory", "generation", "net",
          "accel", "append", "console", "junit", "html", "user", "hostname", "ssh-key",
          "custom-data", "drivers")
FLAGS = ("direct", "write", "json", "azure", "matrix")
DEFAULTS = {"within": "300", "stop-within": "60", "memory": "1G", "net": "user"}


class Value(argparse.Action):
    """The value of an option: an empty one is a variable of a script that was not set."""

    def __call__(self, parser, options, value, name=None):
        if not value and name != "--append":
            parser.error(f"{name}: the value is empty")
        setattr(options, self.dest, value)


class Parser(argparse.ArgumentParser):
    """Whose errors are one line."""

    def error(self, message):
        raise Refused(f"{message}; see openvmbus image --help")


def parse(arguments):
    """The options as a namespace; None: the help was asked for."""
    if "--help" in arguments or "-h" in arguments:
        return None
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("image", nargs="?", default="")
    for name in VALUES:
        parser.add_argument(f"--{name}", default=DEFAULTS.get(name, ""), action=Value)
    for name in FLAGS:
        parser.add_argument(f"--{name}", action="store_true")
    options, more = parser.parse_known_args(arguments)
    for word in more:
        raise Refused(f"{word}: no such option; see openvmbus image --help" if word[0:1] == "-"
                      else f"{word}: one image at a time")
    return check(options)


def seconds(name, text, least):
    """A number of seconds."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) < least:
        raise Refused(f"--{name} {text}: give seconds, {least} to 99999")
    return int(text)


def check(options):
    """Refuses what does not fit together; fills in what follows."""
    if not options.image:
        raise Refused("an image is missing; see openvmbus image --help")
    options.within = seconds("within", options.within, 1)
    options.stop_within = seconds("stop-within", options.stop_within, 0)
    options.provision = provision(options)
    options.until = options.until or ("provisioned" if options.azure else "login")
    options.target = target_of(options.until)
    if options.target.name == "provisioned" and not options.azure:
        raise Refused("--until provisioned: only with --azure")
    if options.firmware and options.direct:
        raise Refused("--firmware and --direct: give one of them")
    options.machines = machines(options)
    drivers = any(machine["drivers"] != "intree" for machine in options.machines)
    if options.firmware and (options.append or drivers):
        raise Refused(f"--{'drivers' if drivers else 'append'}: only with --direct")
    options.direct = options.direct or drivers or bool(options.append)
    if not options.firmware and not options.direct:
        options.firmware = installed_firmware()
        options.direct = not options.firmware
    if options.target.name == "ssh" and not re.match("user(,|$)", options.net):
        raise Refused("--until ssh: only with --net user, which forwards a port")
    check_reports(options)
    return options


def check_reports(options):
    """Refuses reports that could not be written at the end, or would take the place of something
    else that is named."""
    taken = {os.path.realpath(path): what for what, path in
             (("the image", options.image), ("--firmware", options.firmware),
              ("--ssh-key", options.ssh_key), ("--custom-data", options.custom_data)) if path}
    for name in ("console", "junit", "html"):
        path = getattr(options, name)
        if not path:
            continue
        check_writable(name, path)
        if part_of(path) == path:  # a device or a pipe may be shared
            continue
        for place in (path, part_of(path)):
            other = taken.setdefault(os.path.realpath(place), f"--{name}")
            if other != f"--{name}":
                raise Refused(f"--{name} {path}: {os.path.basename(place)} would take the place of "
                              f"{other}")


def installed_firmware():
    """The path of the firmware that openvmbus itself would take; empty: there is none."""
    program = shutil.which(os.environ.get("OPENVMBUS", "openvmbus"))
    said = call(program, "firmware") if program else None
    return os.fsdecode(said.stdout).strip() if said and said.returncode == 0 else ""


def machines(options):
    """The machines that the image is tried on, each as {generation, cpus, drivers}."""
    whole = options.matrix
    lists = [[one.strip() for one in (text or default).split(",")] for text, default in
             ((options.generation, GENERATIONS if whole else ""),
              (options.cpus, "1,4" if whole else "1"),
              (options.drivers, "intree,ours" if whole else "intree"))]
    check_lists(lists[0], lists[1])
    found = [dict(zip(("generation", "cpus", "drivers"), one))
             for one in itertools.product(*lists)]
    for name, words in zip(("generation", "cpus", "drivers"), lists):
        if len(words) > 1 and "" in words or len(set(words)) < len(words):
            raise Refused(f"--{name} {','.join(words)}: give each of the list once")
    if len(found) > MACHINES_MAX:
        raise Refused(f"--matrix: {len(found)} machines; {MACHINES_MAX} at most")
    if len(found) > 1 and (options.console or options.write):
        raise Refused(f"--{'write' if options.write else 'console'}: one machine at a time")
    return found


def check_lists(generations, counts):
    """Refuses what the last machine of a list would be refused for, after hours."""
    known = GENERATIONS.split(",")
    for one in generations:
        if one and one not in known:
            raise Refused(f"--generation {one}: give one of {', '.join(known)}")
    for one in counts:
        if one and not (re.fullmatch("[0-9]{1,2}", one) and 1 <= int(one) <= CPUS_MAX):
            raise Refused(f"--cpus {one}: give a number, 1 to {CPUS_MAX}")


def provision(options):
    """What --azure and its options ask for; None: nothing."""
    if options.azure:
        if not re.match("user(,|$)", options.net) or re.search("(^|,)(mac|redirect)=", options.net):
            raise Refused(f"--azure: --net {options.net}: give user, without mac= and redirect=")
        return provision_of(options.user or "azureuser", options.ssh_key, options.custom_data,
                            options.hostname or "openvmbus")
    for name in ("user", "hostname", "ssh_key", "custom_data"):
        if getattr(options, name):
            raise Refused(f"--{name.replace('_', '-')}: only with --azure")
    return None


def check_writable(name, path):
    """Refuses a file that could not be written at the end; leaves nothing."""
    part = part_of(path)
    there = os.path.exists(part)
    try:
        if part == path and not os.path.isdir(path):
            return
        with open(part, "ab"):
            pass
    except OSError as error:
        raise Refused(f"--{name} {path}: {error.strerror}") from None
    if not there:
        os.unlink(part)
