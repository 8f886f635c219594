# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import die, need
from lab.host.host import MAC, PEER_MAC, Host


class Qemu(Host):
    """Debian's QEMU with Hyper-V's CPUID, but no VMBus"""
    vmbus = False
    machine = "q35"
    cpu = "max,kvm=off,hv-relaxed,hv-time,hv-vapic,hv-vpindex,hv-synic,hv-stimer"
    program = ["qemu-system-x86_64"]
    bridge = []

    def check(self):
        need("qemu-system-x86_64", "qemu-system-x86")

    def lacks(self, guest):
        return None if guest.kind == "virtio" else f"{self.name} has no VMBus"

    def monitor(self, cell, kernel, initrd, line):
        disks = []
        for i, disk in enumerate(cell.files):
            file, serial = disk.split(",serial=")
            disks += ["-drive", f"file={file},format=raw,aio=io_uring,if=none,id=d{i}",
                      "-device", f"{cell.qemu_disk},drive=d{i},serial={serial}"]
        if disks:
            disks = ["-device", "virtio-scsi-pci", *disks]
        return [*self.program, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-M", f"{self.machine},accel=kvm", "-m", cell.memory, "-smp", cell.cpus,
                "-cpu", self.cpu, "-kernel", kernel, "-initrd", initrd, "-append", line,
                "-serial", "stdio", *disks, *self.bridge, *cell.card]

    def card(self, cell, way):
        tap = (f"tap,id=net,ifname=vm0,script=no,downscript=no,vhost=off,queues={cell.cpus}",
               MAC, f",mq={'off' if cell.cpus == 1 else 'on'}")
        cards = {"user": ("user,id=net", MAC, ""), "tap": tap, "bench": tap,
                 "pair-1": (f"socket,id=net,listen=127.0.0.1:{cell.port}", MAC, ""),
                 "pair-2": (f"socket,id=net,connect=127.0.0.1:{cell.port}", PEER_MAC, "")}
        if way not in cards:
            die(f"no network '{way}': tap or user")
        backend, mac, more = cards[way]
        card = ["-netdev", backend,
                "-device", f"virtio-net-pci,netdev=net,mac={mac},romfile={more}"]
        if way == "user":
            card += ["-object", f"filter-dump,id=dump,netdev=net,file={cell.folder}/sink.pcapng"]
        return card
