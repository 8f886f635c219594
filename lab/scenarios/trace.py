# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import re
import subprocess

from lab.host.common import ROOT, need
from lab.host.evidence import matches
from lab.host.scenario import Network

MESSAGE = "openvmbus.message.type"


class Trace(Network):
    """with `--net user` and `--trace`: tshark shows, of the host's recording, the negotiation of
    versions, both offers, the first READ(10), the first RNDIS message and the first frame; no
    record was lost, none is malformed; the guest's half and the host's play without a difference"""
    usual = ("--cpus", "2", "--mib", "1")
    hosts = ("openvmbus",)

    def boots(self):
        need("tshark", "tshark")
        self.plug_in("user")
        self.vmm += ["--trace", self.folder / "trace.pcapng", "--trace-snap", "2K"]
        self.boot(append=f"openvmbus.net=user openvmbus.port={self.port}")

    def judge(self):
        self.judge_root()
        self.judge_line(r"INITIATE_CONTACT version [0-9.]+", f"{MESSAGE} == 14")
        self.judge_line(r"VERSION_RESPONSE version [0-9.]+ accepted",
                        f"{MESSAGE} == 15 && openvmbus.message.supported == 1")
        for name in ("SCSI controller", "network card"):
            self.judge_line(f"OFFER_CHANNEL [0-9]+: {name}",
                            f'{MESSAGE} == 1 && openvmbus.service == "{name}"')
        self.judge_line(r"LUN 0: READ\(10\) block [0-9]+, [0-9]+ blocks",
                        "openvmbus.scsi.opcode == 0x28")
        self.judge_line("RNDIS .* INITIALIZE", "openvmbus.rndis.type == 2")
        self.judge_line("RNDIS .* PACKET frame of [0-9]+ bytes", "openvmbus.rndis.type == 1")
        self.judge_line("DHCP|PACKET", "dhcp")
        down = self.value("down.trace")
        self.claim(f"the guest has what the recorded frames carried ({down})",
                   matches(down, "^[0-9]+ "))
        self.claim("no record was lost", self.none("openvmbus.lost"))
        self.claim("each READ(10) but those under way at the end has its answer, in time",
                   self.none("openvmbus.request_in && !(openvmbus.time >= 0)"))
        self.claim("nothing is malformed", self.none("_ws.malformed || _ws.lua.error"))
        for half in ([], ["--host"]):
            self.judge_replay(half)

    def judge_replay(self, half):
        """The recording plays on our devices, or to our guest core."""
        done = subprocess.run([ROOT / "build/openvmbus", "replay", *half,
                               self.folder / "trace.pcapng"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = (re.findall(r".* differences$", done.stdout, re.M) or ["nothing"])[-1]
        self.claim(f"replay {' '.join(half)}: {said}",
                   done.returncode == 0 and matches(said, " [1-9][0-9]* compared"))

    def shark(self, *arguments):
        """What tshark says of the recording, with our dissector; None when it fails."""
        with open(self.folder / "tshark.log", "ab") as log:
            done = subprocess.run(
                ["tshark", "-X", f"lua_script:{ROOT}/packaging/wireshark/openvmbus.lua",
                 "-r", self.folder / "trace.pcapng", *arguments],
                stdout=subprocess.PIPE, stderr=log, text=True, errors="replace")
        return done.stdout if done.returncode == 0 else None

    def judge_line(self, pattern, wanted):
        """The first record that the filter finds, as tshark's line shows it, has the pattern."""
        said = (self.shark("-c", "200000", "-Y", wanted) or "").split("\n")[0].strip()
        self.claim(f"tshark shows: {said or f'nothing of {pattern}'}", matches(said, pattern))

    def none(self, wanted):
        """No record is so, of a recording that has records."""
        return self.shark("-Y", wanted) == "" != self.shark("-c", "1")
