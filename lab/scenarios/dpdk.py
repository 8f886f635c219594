# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import BUILD, LAB, make, need
from lab.host.evidence import number, word
from lab.host.host import MAC
from lab.host.scenario import Network

COUNT = 2000  # datagrams, there and back
MAPS = [("txrx_rings", 0x400000), ("int_page", 0x1000), ("monitor_page", 0x1000),
        (r"recv:\d+", 31 << 20), (r"send:\d+", 16 << 20)]


class Dpdk(Network):
    """Debian's DPDK drives the card by the driver of user-space I/O, with a queue a CPU: the maps
    are those that it looks for; 2000 datagrams that the other end of the network sends come back
    from it byte for byte, by each queue; then it sends what it can; testpmd and the host have
    counted the same frames and no error; afterwards the card's own driver has it again, and the
    network answers. With `--vmm --monitor --vmm off` this DPDK finds no card, says so, and the
    card's own driver has it again"""
    usual = ("--cpus", "2")
    hosts = ("openvmbus",)
    kinds = ("ours", "intree")

    def boots(self):
        need("mmdebstrap", "mmdebstrap")
        make(LAB / "dpdk")
        self.plug_in("tap")
        self.around[1] = "echo"
        self.around = ["env", f"CARD={MAC}", f"DATAGRAMS={COUNT}", *self.around]
        if self.monitored():
            self.card[-1] += ",monitor=on"
        self.files.append(f"{BUILD}/dpdk/dpdk.ext4,serial=dpdk,readonly")
        self.boot(append=self.on_net(f" hugepages=64 openvmbus.datagrams={COUNT}"))

    def monitored(self):
        return "off" not in self.options.vmm

    def judge(self):
        self.judge_root()
        self.judge_maps()
        if self.monitored():
            self.judge_echo()
            self.judge_frames()
        else:
            self.claim("DPDK found no card", self.evidence.count(r"Scan for \(vmbus\) bus failed"))
        ended, expected = self.value("pmd"), "0" if self.monitored() else "1"
        self.claim(f"testpmd ended with exit code {expected} ({ended})", ended == expected)
        self.claim("the card's own driver has it again, and the network answers",
                   self.value("driver") == self.expected("network") and self.value("back") != "")
        self.judge_side()

    def judge_maps(self):
        for index, (name, length) in enumerate(MAPS):
            found = self.evidence.count(rf"^map={index} {name} 0x0*{length:x}$")
            self.claim(f"map {index} is {name} of {hex(length)}", found >= 1)
        rings = self.evidence.count(r"^ring=\d+ 4194304 600$")
        queues = self.cpus if self.monitored() else 1
        self.claim(f"{queues} channels have their rings to be mapped", rings == 1 + queues)

    def judge_echo(self):
        sent, good, lost, wrong = [word(i, self.read("datagrams")) for i in range(4)]
        self.claim(f"of {sent} datagrams {good} came back, {lost} did not, {wrong} were changed",
                   (sent, good, lost, wrong) == (str(COUNT), str(COUNT), "0", "0"))
        for queue in range(self.cpus):
            counts = self.value(f"pmd.echo.queue.{queue}")
            self.claim(f"queue {queue} took and sent some ({counts})",
                       number(word(0, counts)) > 0 and number(word(1, counts)) > 0)

    def judge_frames(self):
        """What testpmd counted, and what the kernel's driver did before and after, is what the host
        has counted; between the last look and the end a few more may have come."""
        v = self.value
        for name in ("rx_errors", "tx_errors", "rx_mbuf_allocation_errors"):
            self.claim(f"testpmd has no {name}", v(f"pmd.send.{name}") == "0")
        sent = number(v("pmd.send.tx_good_packets")) - number(v("pmd.echo.tx_good_packets"))
        self.claim(f"testpmd sent {sent} frames by itself", sent > 1000)
        for index, (way, mine) in enumerate((("out", "tx"), ("in", "rx"))):
            host = number(self.host_says(rf"0: {way} (\d+) frames"))
            guest = sum(number(one) for one in (v(f"pmd.send.{mine}_good_packets"),
                                                word(index, v("frames")), word(index, v("back"))))
            self.claim(f"{way}: the guest counted {guest} frames, the host {host}",
                       0 <= host - guest <= 50)
        refused = self.host_says(r"0: \d* packets, (.* forged);")
        self.claim(f"the host found nothing wrong in what the guest sent ({refused})",
                   refused == "0 refused, 0 broken, 0 forged")
