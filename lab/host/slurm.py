# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A Slurm job array, for a matrix that is too large for one machine. All nodes must see the folder
of the project at the same place."""

import shlex
import subprocess

from .common import die, need

ARRAY_MAX = 1000  # tasks of a job; a cluster takes 1001 if it was told nothing
SILENT_MAX = 60  # times that the controller does not answer


def call(*words):
    """A program of Slurm; its output as text."""
    return subprocess.run(words, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)


def last_line(text):
    return (text.splitlines() or ["it failed"])[-1]


class Array:
    """Jobs of which each task runs a command with its own number, from 0, as its last word."""

    def __init__(self, command, count, at_once, memory, logs, cwd):
        for program in ("sbatch", "squeue", "scancel"):
            need(program, "slurm-client")
        logs.mkdir(parents=True, exist_ok=True)
        self.jobs, self.silent = [], 0
        for first in range(0, count, ARRAY_MAX):
            last = min(count - first, ARRAY_MAX) - 1
            task = f"{shlex.join(map(str, command))} $(({first} + SLURM_ARRAY_TASK_ID))"
            self.jobs.append(self.submit(
                f"--array=0-{last}%{at_once}", f"--mem={memory >> 20}M", f"--chdir={cwd}",
                f"--output={logs}/%A_%a", f"--wrap={task}"))

    def submit(self, *words):
        done = call("sbatch", "--parsable", "--job-name=openvmbus", "--cpus-per-task=1", *words)
        if done.returncode == 0:
            return done.stdout.split(";")[0].strip()
        if self.jobs:
            self.cancel()
        return die(f"sbatch: {last_line(done.stderr)}")

    def is_under_way(self):
        """Whether a task waits or runs. Slurm forgets jobs some minutes after their end; while its
        controller does not answer they may still run, for a bounded time."""
        done = call("squeue", "--noheader", f"--jobs={','.join(self.jobs)}")
        if done.returncode == 0 or "Invalid job id" in done.stderr:
            self.silent = 0
            return done.returncode == 0 and bool(done.stdout.strip())
        self.silent += 1
        if self.silent > SILENT_MAX:
            die(f"squeue: {last_line(done.stderr)}")
        return True

    def cancel(self, waiting_only=False):
        """Ends the tasks, or only those that have not begun."""
        call("scancel", *(["--state=PENDING"] if waiting_only else []), *self.jobs)
