# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Our modules in place of the kernel's own (--drivers): in a second archive behind the image's
initrd, which the kernel unpacks over the first one.

The archive's own first program loads them before the image's begins. The kernel's own bus is kept
away by a word on the command line, also where it is built in or loaded later from the root file
system, so that what needs it has nothing to bind to.
"""
import lzma
import os
import re
import shutil
import struct
import subprocess
from dataclasses import replace

from .common import Refused, need

NEEDED = ("vmbus", "storvsc", "netvsc")
ALL = NEEDED + ("blkvsc", "hvutils")
WORDS = "rdinit=/openvmbus/init initcall_blacklist=hv_acpi_init"
LOADED = re.compile(r"openvmbus image: loaded(?P<names>[ a-z]*?)(?: but not(?P<failed>[ a-z]+))?$")
MODULE_MAX = 64 << 20  # bytes

# What a module needs besides ours is the image's: its own modprobe first, because the modules may
# be compressed in a way that only that one knows.
INIT = """#!/openvmbus/busybox sh
b=/openvmbus/busybox
$b mkdir -p /proc /sys
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
for name in {others}; do
	modprobe $name 2>/dev/null || $b modprobe $name 2>/dev/null
done
loaded= failed=
for name in {ours}; do
	if $b insmod /openvmbus/$name.ko; then loaded="$loaded $name"; else failed="$failed $name"; fi
done
echo "openvmbus image: loaded$loaded${{failed:+ but not$failed}}"
$b umount /sys /proc
exec /init "$@"
"""


def release_of(kernel):
    """The release that a bzImage says it is (the boot protocol's kernel_version)."""
    with open(kernel, "rb") as file:
        head = file.read(0x10000)
    if head[0x202:0x206] == b"HdrS":
        at = struct.unpack_from("<H", head, 0x20e)[0] + 0x200
        word = head[at:at + 200].partition(b"\0")[0].decode("ascii", "replace").split(" ")[0]
        if re.fullmatch(r"[0-9][A-Za-z0-9.+~_-]*", word):
            return word
    raise Refused(f"--drivers: {os.path.basename(kernel)} does not say which release it is")


def folder_of(drivers, release):
    """Where the modules are. drivers: "ours", or a folder."""
    if drivers != "ours":
        places = [drivers]
    else:
        program = shutil.which(os.environ.get("OPENVMBUS", "openvmbus")) or ""
        places = [os.path.join(os.path.dirname(program), "modules", release),
                  f"/lib/modules/{release}/updates/dkms"]
    for place in places:
        if find(place, "vmbus"):
            return place
    if drivers != "ours":
        raise Refused(f"--drivers {drivers}: there is no vmbus.ko in it")
    raise Refused(f"--drivers ours: there are none for {release}; run: make modules "
                  f"KERNEL={release}, or give a folder with them")


def find(folder, name):
    """The path of a module; empty: it is not there."""
    for end in (".ko", ".ko.xz"):
        path = os.path.join(folder, name + end)
        if os.path.isfile(path):
            return path
    return ""


def module(path):
    """The bytes of a module."""
    try:
        with (lzma.open if path.endswith(".xz") else open)(path, "rb") as file:
            data = file.read(MODULE_MAX + 1)
    except (OSError, lzma.LZMAError) as error:
        raise Refused(f"{path}: {error}") from None
    if data[:4] != b"\x7fELF" or len(data) > MODULE_MAX:
        raise Refused(f"{path}: it is no kernel module")
    return data


def info(data, key):
    """A word of a module's description; empty: it has none."""
    found = re.search(b"\0" + key + b"=([^\0]*)\0", data)
    return found[1].decode("ascii", "replace") if found else ""


def modules_of(drivers, release):
    """{name: bytes} in the order in which they are loaded."""
    folder = folder_of(drivers, release)
    found = {}
    for name in ALL:
        path = find(folder, name)
        if path:
            found[name] = module(path)
            made_for = info(found[name], b"vermagic").split(" ")[0]
            if made_for != release:
                raise Refused(f"{path}: it is made for {made_for or 'no kernel'}, and the image "
                              f"has {release}")
        elif name in NEEDED:
            raise Refused(f"--drivers {drivers}: there is no {name}.ko in {folder}")
    return found


def shell():
    """The bytes of a busybox that needs no libraries."""
    need("busybox", "busybox-static")
    path = shutil.which("busybox")
    said = subprocess.run(["ldd", path], capture_output=True, check=False)
    if said.returncode == 0:
        raise Refused("busybox needs libraries; run: apt-get install busybox-static")
    with open(path, "rb") as file:
        return file.read()


def entry(number, name, mode, data=b""):
    """One file of a cpio archive ("newc")."""
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % one for one in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def archive(modules):
    """The bytes of the second archive."""
    others = sorted({word for data in modules.values() for word in info(data, b"depends").split(",")
                     if word} - set(modules))
    script = INIT.format(others=" ".join(others), ours=" ".join(modules)).encode()
    files = [("openvmbus", 0o40755, b""), ("openvmbus/busybox", 0o100755, shell()),
             ("openvmbus/init", 0o100755, script)]
    files += [(f"openvmbus/{name}.ko", 0o100644, data) for name, data in modules.items()]
    return b"".join(entry(i, *one) for i, one in enumerate(files, 1)) + entry(0, "TRAILER!!!", 0)


def with_drivers(kernel, drivers, path):
    """The same kernels.Kernel with these drivers; path: where its initrd may be made."""
    if not kernel or drivers == "intree":
        return kernel
    if not kernel.initrd:
        raise Refused("--drivers: the image starts without an initrd, so there is nothing that "
                      "they can be put into")
    added = archive(modules_of(drivers, release_of(kernel.path)))
    with open(path, "wb") as whole:
        with open(kernel.initrd, "rb") as first:
            shutil.copyfileobj(first, whole)
        whole.write(b"\0" * (-whole.tell() % 4) + added)
    return replace(kernel, initrd=path, line=f"{kernel.line} {WORDS}")


def heard(course):
    """A note on which modules the guest loaded."""
    for _, text in course.lines:
        said = LOADED.search(text)
        if said and said["failed"]:
            return f"our drivers:{said['names']} loaded;{said['failed']} did not"
        if said:
            return f"our drivers:{said['names']}"
    return "our drivers: the console does not say that they were loaded"
