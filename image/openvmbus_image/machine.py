# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Runs openvmbus, watches what it and its guest say, and ends it.

Two threads read the console and the messages as they come, so that each line has its time. A
machine that is commanded by a signal in a nest is cut off, so the guest is asked to power off over
the control socket, which works in both cases.
"""
import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import threading
import time

from .common import say
from .stages import STAGES

TICK_S = 0.25
POLL_S = 2  # between two looks at what is asked for, not heard
LINGER_S = 2  # what is still under way when a guest is known to be stuck
CONSOLE_FILE_MAX = 64 << 20
NETWORK_S = 10  # that the card may be later than the target
WHAT = {stage.name: stage.what for stage in STAGES}


class Control:
    """The control socket of a machine (docs/control.md)."""

    def __init__(self, path):
        self.path = path

    def ask(self, command, limit=5):
        """The result of a command, or None: there is no answer, or an error."""
        with contextlib.suppress(OSError, ValueError), \
                socket.socket(socket.AF_UNIX) as s:
            s.settimeout(limit)
            s.connect(self.path)
            with s.makefile("rw") as file:
                file.readline()
                file.write(json.dumps({"command": command}) + "\n")
                file.flush()
                return json.loads(file.readline()).get("result")
        return None


class Machine:
    """One start of an image; course is told what happens."""

    def __init__(self, command, course, options, work):
        self.course, self.options = course, options
        self.control = Control(os.path.join(work, "control"))
        self.command = command + ["--control", self.control.path]
        self.console = os.path.join(work, "console")
        self.heard = queue.Queue(maxsize=1024)
        self.process = self.began = None
        self.code = None
        self.powered_off = None  # None: it could not be asked
        self.next_poll = 0

    def now(self):
        """Seconds since the start, to a tenth."""
        return round(time.monotonic() - self.began, 1)

    def run(self):
        """Starts it, and returns when the target was reached, or never will be."""
        self.began = time.monotonic()
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        readers = [threading.Thread(target=self._read, args=args, daemon=True) for args in
                   (("console", self.process.stdout), ("host", self.process.stderr))]
        for reader in readers:
            reader.start()
        self._watch()
        if "target" in self.course.seconds and self.options.stop_within:
            self._power_off()
        self.stop()
        for reader in readers:
            reader.join(5)
        while not self.heard.empty():
            self._take(0)
        self.course.finish(self.now())

    def _read(self, what, pipe):
        with open(self.console if what == "console" else os.devnull, "ab", buffering=0) as copy:
            copied = 0
            while True:
                data = os.read(pipe.fileno(), 65536) if what == "console" else pipe.readline()
                if not data:
                    break
                if copied < CONSOLE_FILE_MAX:
                    copy.write(data)
                copied += len(data)
                with contextlib.suppress(queue.Full):  # at the end nobody takes it any more
                    self.heard.put((what, data, self.now()), timeout=5)

    def _take(self, wait):
        """Passes on to the course what was heard up to now: what a guest that never pauses says
        meanwhile is for the next time, when the clock was looked at."""
        with contextlib.suppress(queue.Empty):
            for _ in range(self.heard.qsize() or 1):
                what, data, at = self.heard.get(timeout=wait) if wait else self.heard.get_nowait()
                wait = 0
                if what == "console":
                    self._tell(self.course.hear(data, at))
                elif what == "health":
                    self._take_health(data, at)
                else:
                    text = data.decode("utf-8", "replace").rstrip("\n")
                    self._tell(self.course.hear_host(text, at))

    def _take_health(self, refusal, at):
        if refusal:
            self.course.refusal = refusal
        elif self.course.target.name == "provisioned" and self.course.reach("target", at):
            self._tell(["target"])

    def _tell(self, names):
        for name in names:
            if not self.options.json:
                say(f"{self.course.seconds[name]:6.1f} s  {WHAT[name]}")

    def _watch(self):
        end = self.options.within
        while self.now() < end and self.process.poll() is None:
            self._take(TICK_S)
            self._poll()
            if "target" in self.course.seconds:
                late = self.course.network and "network" not in self.course.seconds
                end = min(end, self.course.seconds["target"] + (NETWORK_S if late else 0))
            elif self.course.stuck():
                end = min(end, self.now() + LINGER_S)
        self._take(0)

    def hear_health(self, state, substatus, description):
        """What the guest reports to --azure; from a thread of its services."""
        if state == "Ready":
            self.heard.put(("health", "", self.now()))
        elif substatus == "ProvisioningFailed":
            self.heard.put(("health", description or "it gave no reason", self.now()))

    def _poll(self):
        """Targets that nobody tells of."""
        if self.now() < self.next_poll or "target" in self.course.seconds:
            return
        self.next_poll = self.now() + POLL_S
        reached = False
        if self.course.target.name == "heartbeat":
            answer = self.control.ask("heartbeat") or {}
            reached = answer.get("answered", 0) > 0
        elif self.course.target.name == "ssh":
            reached = greets(self.options.ssh_port)
        if reached and self.course.reach("target", self.now()):
            self._tell(["target"])

    def _power_off(self):
        if self.control.ask("shutdown", self.options.stop_within) is None:
            self.course.notes.append("it was not asked to power off: its shutdown service "
                                     "(hv_utils) is not in use")
            return
        end = time.monotonic() + self.options.stop_within
        while self.process.poll() is None and time.monotonic() < end:
            self._take(TICK_S)
        self.powered_off = self.process.poll() == 0
        if self.powered_off and self.course.reach("shutdown", self.now()):
            self._tell(["shutdown"])

    def stop(self):
        """Ends it at once; the second signal does not wait for the guest."""
        if not self.process:
            return
        for _ in range(2):
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(0.5)
        try:
            self.code = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.code = self.process.wait()


def greets(port):
    """Whether an SSH server answers on a forwarded port of this machine."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as s:
        s.settimeout(2)
        return s.recv(4) == b"SSH-"
    return False


def free_port():
    """A port of the loopback address that nobody has now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
