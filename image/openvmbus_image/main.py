# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""openvmbus image: looks at an image, starts it, judges, reports."""
import copy
import errno
import os
import shlex
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass, field

from . import formats, reports
from .azure import (ASSET_TAG, DVD_LUN, RESOURCE_LUN, SYSTEM_LUN, Azure, make_dvd,
                    make_resource_disk, place)
from .common import Refused, call, last_line, need, part_of, say
from .drivers import heard, with_drivers
from .kernels import Finder
from .machine import Machine, free_port
from .options import HELP, parse
from .stages import FAILED, STAGES, STOPPED, USAGE, Course, Verdict, judge


class Interrupted(Exception):
    """A signal ended the program."""


@dataclass
class Result:
    """What the reports are made of."""
    image: formats.Image
    course: Course
    machine: dict  # generation, cpus, drivers
    verdict: Verdict = None
    by: str = ""  # what started it
    took: float = 0
    command: list = field(default_factory=list)
    requests: list = field(default_factory=list)  # of --azure
    health: list = field(default_factory=list)  # the last report: state, substatus, description


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt(*_):
    """Of a signal: the way out cleans up. It takes at most 21 s, and no other signal cuts it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise Interrupted


def main(arguments):
    """Returns the exit code."""
    for number in SIGNALS:
        signal.signal(number, interrupt)
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options = parse(arguments)
        if options is None:
            print(HELP, end="")
            return 0
        work = tempfile.mkdtemp(prefix="openvmbus-image-")
        try:
            image = formats.obtain(options.image, options.direct, work)
            if options.write and (image.format != "raw" or image.kind != "disk" or image.uri):
                raise Refused(f"--write: {image.title} is no raw image of a disk")
            return check_image(options, image, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except Refused as refused:
        say(refused)
        return USAGE
    except BrokenPipeError:
        return STOPPED
    except OSError as error:
        where, more = error.filename, ""
        if error.errno == errno.ENOSPC and not where:
            where, more = tempfile.gettempdir(), "; set TMPDIR to a folder with more"
        say(f"{where or 'a file'}: {error.strerror}{more}")
        return FAILED
    except Interrupted:
        return STOPPED


def check_image(options, image, work):
    """Boots it on each machine that was asked for, and reports."""
    finder = kernel = None
    if options.direct and image.kind == "disk":
        finder = Finder(formats.as_raw(image, work), work)
        kernel = finder.find()
    if options.direct and not kernel:
        result = result_of(options, image, options.machines[0])
        result.verdict = no_kernel(finder)
        if options.console:
            write(options.console, b"")
        return report(options, [result])
    kernels = {drivers: with_drivers(kernel, drivers, os.path.join(work, f"initrd-{number}"))
               for number, drivers in enumerate({m["drivers"] for m in options.machines})}
    results = []
    try:
        for machine in options.machines:
            if len(options.machines) > 1:
                say(f"{len(results) + 1} of {len(options.machines)}: {reports.name_of(machine)}")
            one = copy.copy(options)
            vars(one).update(machine)
            result = result_of(one, image, machine)
            boot_image(one, result, kernels[one.drivers], work)
            results.append(result)
    except (Refused, Interrupted, OSError):
        if results:  # they may have taken hours
            report(options, results)
        raise
    return report(options, results)


def result_of(options, image, machine):
    """That of a machine on which nothing has happened yet."""
    course = Course(options.target, bool(options.firmware), options.net != "none")
    return Result(image, course, machine)


def boot_image(options, result, kernel, parent):
    """Boots it once, with the services of --azure if they are wanted."""
    work = tempfile.mkdtemp(dir=parent)
    azure = Azure(options.provision) if options.provision else None
    try:
        watch_image(options, result, kernel, azure, work)
    finally:
        if azure:
            azure.close()
    if options.console:
        console = os.path.join(work, "console")
        write(options.console, formats.at(console, 0, None) if os.path.exists(console) else b"")
    shutil.rmtree(work, ignore_errors=True)


def watch_image(options, result, kernel, azure, work):
    """The same; fills in the result."""
    course = result.course
    if kernel:
        course.reach("loader", 0.0)
    result.by = kernel.found if kernel else "firmware"
    command = command_of(options, result.image, kernel, azure, work)
    machine = Machine(command, course, options, work)
    if azure:
        azure.on_health = machine.hear_health
    result.command = machine.command
    try:
        machine.run()
    finally:
        machine.stop()
    if machine.code == USAGE and "bus" not in course.seconds:
        raise Refused(course.host[-1][1].removeprefix("openvmbus: ") if course.host else
                      "openvmbus refused the machine")
    result.took = machine.now()
    result.verdict = judge(course, machine.code, options.within, machine.powered_off)
    if result.verdict.code and is_full(work):  # so the guest's writes failed there
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if options.drivers != "intree":
        course.notes.append(heard(course))
    if azure:
        note_azure(result, azure)


def is_full(folder):
    """Whether an overlay there could not grow: it does so by some clusters of 64 KiB."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize < 1 << 20


def note_azure(result, azure):
    """What the guest asked of Azure's services, and what it said."""
    result.requests = azure.asked()
    result.health = list(azure.health or [])
    if azure.health:
        state, substatus, _ = azure.health
        said = f"it reported {state}" + (f" ({substatus})" if substatus else "")
    else:
        said = "it reported nothing"
    notes = result.course.notes
    if result.requests:
        notes.append(f"Azure: {len(result.requests)} different requests; {said}")
    else:
        notes.append("Azure: it asked neither WireServer nor the metadata service: are cloud-init "
                     "or waagent in it, and is Azure among their data sources?")


def no_kernel(finder):
    """The Verdict where --direct found nothing to start."""
    loader = STAGES[0]
    why = "no kernel was found: no loader entry, unified kernel image, grub.cfg or /boot/vmlinuz"
    if finder:
        why += f" in {finder.contents()}"
        why += "".join(f"; {note}" for note in finder.notes)
    else:
        why = "an ISO image is started by firmware only: give --firmware FILE"
    return Verdict(loader.code, loader.name, "no-loader", why)


def command_of(options, image, kernel, azure, work):
    """The command line of the machine."""
    net = options.net + (azure.network() if azure else "")
    if options.target.name == "ssh":
        options.ssh_port = free_port()
        net += f",hostfwd=tcp:127.0.0.1:{options.ssh_port}-:22"
    program = os.environ.get("OPENVMBUS", "openvmbus")
    if not shutil.which(program):
        raise Refused(f"{program} is missing; run: make, or make install")
    command = [program, "run", "--progress", "--stats",
               "--contact-within", "0", "--cpus", options.cpus, "--memory", options.memory,
               "--net", net]
    for name in ("generation", "accel"):
        if getattr(options, name):
            command += [f"--{name}", getattr(options, name)]
    *kind, disk = disk_of(options, image, work)
    command += [*kind, disk + (place(SYSTEM_LUN) if azure else "")]
    if azure:
        command += ["--disk", make_resource_disk(work) + place(RESOURCE_LUN), "--cdrom",
                    make_dvd(azure.provision, work) + place(DVD_LUN), "--asset-tag", ASSET_TAG,
                    "--uuid", azure.provision.vm_id]
    if not kernel:
        return command + ["--firmware", options.firmware]
    command += ["--kernel", kernel.path, "--append", console_line(kernel.line, options.append)]
    return command + (["--initrd", kernel.initrd] if kernel.initrd else [])


def disk_of(options, image, work):
    """The image as a disk or DVD; what is written goes to an overlay, if not wanted otherwise."""
    path = os.path.abspath(image.path)
    if "," in path:  # it would end the name of a disk
        os.symlink(path, os.path.join(work, "image"))
        path = os.path.join(work, "image")
    if image.kind == "iso":
        return ["--cdrom", path]
    if options.write:
        return ["--disk", f"{path},format=raw"]
    need("qemu-img", "qemu-utils")
    overlay = os.path.join(work, "overlay")
    made = call("qemu-img", "create", "-q", "-f", "qcow2", "-b", path, "-F", image.driver, overlay)
    if made.returncode:
        raise Refused(f"{image.path}: no overlay can be made of it: {last_line(made.stderr)}")
    return ["--disk", f"{overlay},format=qcow2,backing=allow"]


def console_line(line, append):
    """A command line that speaks: the last console= is the one that init writes to."""
    try:
        words = shlex.split(f"{line} {append}", posix=False)
    except ValueError:
        words = f"{line} {append}".split()
    if not any(word.startswith("console=ttyS0") for word in words):
        words.append("console=ttyS0")
    return " ".join(w for w in words if w not in ("quiet", "splash", "rhgb"))


def report(options, results):
    """Writes what was asked for; returns the exit code: that of the first that did not start."""
    if options.junit:
        write(options.junit, reports.junit(results).encode())
    if options.html:
        write(options.html, reports.page(results).encode())
    print(reports.as_json(results) if options.json else reports.table(results))
    sys.stdout.flush()
    return reports.code_of(results)


def write(path, data):
    """A whole file or none."""
    part = part_of(path)
    try:
        with open(part, "wb") as file:
            file.write(data)
        if part != path:
            os.replace(part, path)
    except BaseException as error:
        if isinstance(error, OSError):
            error.filename = error.filename or path
        if part != path and os.path.exists(part):
            os.unlink(part)
        raise
