# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import LAB, make, output
from lab.host.evidence import number, same
from lab.host.scenario import Scenario


class Nbd(Scenario):
    """the second disk's server is killed four times, whatever it had in memory lost, while fio
    writes and verifies 64 MiB: fio sees no error, the image has the bytes that the guest read at
    last"""
    hosts = ("openvmbus",)

    def boots(self):
        make("qemu-img", "create", "-q", "-f", "qcow2", self.folder / "data.qcow2", self.data_len)
        self.files[1] = f"nbd+unix:///?socket={self.socket},serial=data"
        self.around = [LAB / "nest/nbd-side", self.folder, self.socket]
        self.boot()

    def judge(self):
        self.judge_root()
        kills = self.read("nbd-kills").strip() or "0"
        self.claim(f"the server was killed {kills} times", number(kills) >= 3)
        self.claim("fio wrote and verified 64 MiB meanwhile", self.value("fio_data") == "0")
        output("qemu-img", "dd", "-f", "qcow2", "-O", "raw", "bs=1M", "count=64",
               f"if={self.folder}/data.qcow2", f"of={self.folder}/data.out")
        self.claim("the image has the bytes that the guest read at last",
                   same(self.hash_of_data("data.out"), self.value("data_hash")))
        self.note_io(self.evidence)
