# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.evidence import same
from lab.host.scenario import Scenario


class Verify(Scenario):
    """fio wrote and verified 64 MiB on the root and on a second disk; after a reboot the guest
    reads the same hashes, and so does the host from its files"""
    hosts = Scenario.hosts + ("qemu-plain",)

    def boots(self):
        self.boot(append="openvmbus.phase=write")
        self.judge_every()
        self.boot(append="openvmbus.phase=read")

    def judge(self):
        v, first = self.value, self.boots_done[1]
        self.judge_root()
        self.claim(f"the data disk is on {v('data_driver')}",
                   v("data_driver") == self.expected("storage"))
        self.claim("fio wrote and verified 64 MiB on the root disk", first["fio_root"] == "0")
        self.claim("fio wrote and verified 64 MiB on the second disk", first["fio_data"] == "0")
        self.claim("the root file has the same hash after the reboot",
                   same(v("root_hash"), first["root_hash"]))
        self.claim("the second disk has the same hash after the reboot",
                   same(v("data_hash"), first["data_hash"]))
        self.claim("the host's root file has those bytes",
                   self.hash_inside("/verify.bin") == v("root_hash"))
        self.claim("the host's second file has those bytes",
                   same(self.hash_of_data(), v("data_hash")))
        self.claim("the root file system was clean at the second boot", v("recoveries") == "0")
        self.note_io(first)
