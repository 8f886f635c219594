#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Makes a small Debian mirror for Debian's installer, of packages that apt fetches.

    mirror.py FOLDER SUITE KERNEL INSTALLED COMMAND... -- UDEB... -- DEB...

FOLDER gets dists/SUITE and pool, as on a mirror, with these packages and what they need: their own
entries of the real mirror's lists, and the real files. There is no signature. INSTALLED: the
/var/lib/dpkg/status of the installer's initrd, whose packages are there already. KERNEL: its release;
modules for other kernels are left out. COMMAND is apt-get with the options for lists that have main and
main/debian-installer and no installed package. All of Debian's required packages are added to the DEBs.
"""
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys

HELPER = "/usr/lib/apt/apt-helper"


def entries(text):
    """{name: (fields, text)} of a list of packages; the newest version is the last one."""
    found = {}
    for one in text.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+): *(.*)$", one, re.M))
        if fields:
            found[fields["Package"]] = fields, one.strip("\n")
    return found


def names(relation):
    """[[alternative, ...], ...] of a Depends or Provides."""
    return [[re.split(r"[ (:]", one.strip())[0] for one in word.split("|")]
            for word in relation.split(",") if word.strip()]


def udebs_needed(udebs, roots, installed, kernel):
    """Names, with what they depend on and what is not installed."""
    usable = {name: fields for name, (fields, _) in udebs.items()
              if fields.get("Kernel-Version", kernel) == kernel}
    provided = {}
    for name, fields in usable.items():
        for (what,) in names(fields.get("Provides", "")):
            provided.setdefault(what, []).append(name)
    there = set(installed)
    for fields, _ in installed.values():
        there.update(what for (what,) in names(fields.get("Provides", "")))
    wanted, found = list(roots), []
    while wanted:
        name = wanted.pop()
        name = name if name in usable else provided.get(name, [None])[0]
        if not name or name in found or name in there:
            continue
        found.append(name)
        wanted += [one[0] for one in names(usable[name].get("Depends", ""))
                   if not there.intersection(one)]
    return found


def publish(folder, suite, component, entries_text):
    """The list of a component, as a file and packed."""
    place = os.path.join(folder, "dists", suite, component, "binary-amd64")
    os.makedirs(place, exist_ok=True)
    data = ("\n\n".join(entries_text) + "\n\n").encode()
    with open(os.path.join(place, "Packages"), "wb") as file:
        file.write(data)
    with gzip.open(os.path.join(place, "Packages.gz"), "wb", mtime=0) as file:
        file.write(data)


def release(folder, suite):
    """The file Release, with the sums of all lists."""
    base, sums = os.path.join(folder, "dists", suite), {"MD5Sum": "md5", "SHA256": "sha256"}
    lines = [f"Origin: Debian\nLabel: Debian\nSuite: {suite}\nCodename: {suite}\nVersion: 12\n"
             "Date: Mon, 30 Nov 2026 00:00:00 UTC\nArchitectures: amd64\nComponents: main"]
    lists = sorted(os.path.relpath(os.path.join(at, name), base)
                   for at, _, files in os.walk(base) for name in files if name != "Release")
    for title, kind in sums.items():
        lines.append(f"{title}:")
        for name in lists:
            with open(os.path.join(base, name), "rb") as file:
                data = file.read()
            lines.append(f" {hashlib.new(kind, data).hexdigest()} {len(data)} {name}")
    with open(os.path.join(base, "Release"), "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


class Apt:
    """The real mirror."""

    def __init__(self, command, folder):
        self.command, self.folder = command, folder

    def run(self, *words, **more):
        """Runs apt-get."""
        return subprocess.run([*self.command, *words], check=True, stdout=subprocess.PIPE,
                              **more).stdout.decode()

    def lists(self):
        """(udebs, debs), each {name: (fields, text)}."""
        said = self.run("indextargets", "--format", "$(COMPONENT) $(FILENAME)",
                        "Created-By: Packages", "Architecture: amd64")
        found = [{}, {}]
        for line in said.splitlines():
            component, path = line.split(" ", 1)
            text = subprocess.run([HELPER, "cat-file", path], check=True,
                                  stdout=subprocess.PIPE).stdout.decode()
            found[component == "main"].update(entries(text))
        return found

    def needed(self, packages):
        """Their names and those of what they depend on."""
        said = self.run("install", "--simulate", "--no-install-recommends", *packages)
        return re.findall(r"^Inst (\S+)", said, re.M)

    def fetch(self, packages):
        """Their files, each at its place below pool."""
        store = os.path.join(self.folder, "store")
        os.makedirs(store, exist_ok=True)
        missing = [(name, fields) for name, fields in packages if
                   not os.path.exists(os.path.join(self.folder, fields["Filename"]))]
        if missing:
            self.run("download", *(f"{name}={fields['Version']}" for name, fields in missing),
                     cwd=store)
        for name, fields in missing:
            version = fields["Version"].replace(":", "%3a")
            end = fields["Filename"].rpartition(".")[2]
            target = os.path.join(self.folder, fields["Filename"])
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.move(os.path.join(store, f"{name}_{version}_{fields['Architecture']}.{end}"),
                        target)


def main(folder, suite, kernel, installed, *rest):
    """Makes it."""
    rest = list(rest)
    debs_at = len(rest) - rest[::-1].index("--")
    udebs_at = debs_at - 1 - rest[:debs_at - 1][::-1].index("--")
    command, wanted = rest[:udebs_at - 1], rest[udebs_at:debs_at - 1]
    apt = Apt(command, folder)
    udebs, debs = apt.lists()
    with open(installed, encoding="utf-8") as file:
        there = entries(file.read())
    chosen = udebs_needed(udebs, wanted, there, kernel)
    required = [name for name, (fields, _) in debs.items() if fields["Priority"] == "required"]
    base = apt.needed(required + rest[debs_at:])
    apt.fetch([(name, udebs[name][0]) for name in chosen] + [(name, debs[name][0]) for name in base])
    publish(folder, suite, "main/debian-installer", [udebs[name][1] for name in sorted(chosen)])
    publish(folder, suite, "main", [debs[name][1] for name in sorted(base)])
    release(folder, suite)
    print(f"{len(chosen)} packages of the installer, {len(base)} of the system")


main(*sys.argv[1:])
