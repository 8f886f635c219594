# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import need, output
from lab.host.evidence import matches, number, same, word
from lab.host.host import MAC
from lab.host.scenario import Network as Base, wire_check


class Network(Base):
    """DHCP and router announcement; `--mib` MiB over HTTP each way with one hash at both ends: IPv4
    and IPv6, all offloads on and all off, MTU 1500 and 9000, VLAN 100 (the last two not on `--net
    user`); every datagram of an echo came back; `ethtool` sets what flows are told apart by, and a
    speed; no checksum or length was wrong on the wire, no error counter of the card moved, the host
    refused nothing"""
    usual = ("--mib", "4")
    hosts = ("openvmbus", "qemu")
    seconds_a_mib = 16

    def boots(self):
        need("tshark", "tshark")
        self.plug_in(self.net)
        self.boot(append=self.on_net(f" openvmbus.mib={self.mib}"))

    def judge(self):
        names = ["v4-on-1500", "v6-on-1500", "v4-off-1500", "v6-off-1500"]
        if self.net != "user":
            names += ["v4-on-9000", "v6-off-9000", "vlan-v4-on-1500", "vlan-v6-off-1500"]
        self.judge_root()
        self.judge_card()
        if self.kind != "virtio":
            self.judge_choices()
        if self.host.name == "openvmbus":
            self.judge_waits()
        self.judge_lease(r"^10\.(77\.0|0\.2)\.\d+/24 from 10\.")
        self.claim(f"an IPv6 address from the router: {self.value('net_address6')}",
                   matches(self.value("net_address6"), "^(fd77|fec0)::?"))
        for name in names:
            self.judge_transfer(name)
        self.judge_wire()
        self.judge_errors()
        self.judge_side()

    def judge_choices(self):
        """Frames of 64 ports leave by several queues, or by one where the user leaves the ports
        out."""
        v = self.value
        hashes = [v(f"hash.{name}") for name in ("udp4", "tcp4", "back")]
        self.claim("ethtool sets what frames are told apart by", hashes == ["2", "4", "4"])
        self.claim("a speed that the user sets is shown", v("speed") == "2500 full")
        if self.kind == "ours" and self.cpus > 1:
            self.claim(f"64 ports: {v('spread.ports')} queues, without ports "
                       f"{v('spread.addresses')}",
                       number(v("spread.ports")) > 1 and v("spread.addresses") == "1")

    def judge_waits(self):
        """Frames wait when the guest keeps the receive buffer: when acknowledgements are lost, half
        of them do."""
        frames = self.host_says(r"0: in (\d+) frames")
        waited = self.host_says(r"0: .* (\d+) frames waited")
        self.claim(f"of {frames} frames {waited} waited for the receive buffer, "
                   "not more than one in 10", int(waited or 1) * 10 <= int(frames or 0))

    def judge_transfer(self, name):
        v = self.value
        state, udp, small = v(f"offloads.{name}"), v(f"udp.{name}"), v(f"small.{name}")
        if "-on-" in name:
            self.claim(f"{name}: checksum and segmentation are the card's ({state})",
                       matches(state, "tx-checksumming:on.*tcp-segmentation-offload:on"))
        else:
            self.claim(f"{name}: checksum and segmentation are the kernel's ({state})",
                       matches(state, "tx-checksumming:off.*tcp-segmentation-offload:off"
                                      ".*receive-offload:off"))
        mtu = name.split("-")[-1]
        self.claim(f"{name}: the MTU is {mtu}", v(f"mtu.{name}") == mtu)
        self.claim(f"{name}: all datagrams came back as they were ({udp})",
                   matches(udp, r"^([2-9][0-9]|1[0-9][0-9]) \1$"))
        self.claim(f"{name}: a small upload has the same hash at both ends",
                   same(word(0, small), word(1, small)))
        self.judge_way(name, "down", f"/data?{name}")
        self.judge_way(name, "up", f"/up-{name}")

    def judge_wire(self):
        """What arrived where nothing completes it; then the same frames with some bytes changed, to
        see that the check sees."""
        capture, broken = self.folder / "sink.pcapng", self.folder / "broken.pcapng"
        line, found = wire_check(capture, MAC)
        at = found.get
        self.claim(f"the guest's frames were looked at on the wire: {line}",
                   at("tcp", 0) >= 1000 and at("udp", 0) >= 100)
        self.claim("every checksum is right, and every length",
                   (at("bad"), at("wrong_length")) == (0, 0))
        most = 1500 if self.net == "user" else 9000
        self.claim("no frame is longer than the MTU", 0 < at("longest", 0) <= most + 18)
        if self.net != "user":
            self.claim("some of them are tagged", at("vlan", 0) >= 100)
        output("editcap", "-r", "-E", "0.001", "-o", "60", "--seed", "1", capture, broken, "1-2000")
        bad = wire_check(broken, MAC)[1].get("bad", 0)
        self.claim(f"control: with some bytes changed the check finds {bad} bad", bad >= 1)
        broken.unlink(missing_ok=True)
