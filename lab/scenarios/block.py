# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.evidence import matches, same
from lab.host.scenario import Scenario


class Block(Scenario):
    """two IDE disks under `blkvsc`, root in memory: what sysfs, `lsblk`, `sfdisk` and `blockdev`
    say of them; discard and zeroes read as zeroes; the write-protected one refuses writes; the
    driver is unbound from the busy disk and bound again; 32 MiB written and verified, same bytes in
    the host's file; unloaded"""
    usual = ("--cpus", "2")
    hosts = ("openvmbus",)
    kinds = ("ours",)

    def boots(self):
        self.attach = "--ide"
        self.files = [f"{self.folder}/data.raw,serial=data", f"{self.folder}/root.ext4,readonly",
                      "null:64M"]
        self.boot(f"memory-{self.kind}")

    def judge(self):
        v = self.value
        self.claim("two disks under blkvsc, the first is hvda",
                   (v("disk"), v("driver")) == ("hvda", "blkvsc"))
        model, serial, wwid = v("hvda.model"), v("hvda.serial"), v("hvda.wwid")
        sectors = self.data_len // 512
        self.claim(f"hvda: {sectors} sectors, model {model}, serial {serial}, {wwid}",
                   matches(f"{v('hvda.size')} {model} {serial} {wwid}",
                           rf"^{sectors} Virtual Disk [!-~]+ naa\.[0-9a-f]{{32}}$"))
        self.claim(f"lsblk: {v('hvda.lsblk')}",
                   matches(v("hvda.lsblk"), "^hvda [^ ]+ 0 0 disk Virtual Disk$"))
        cache = [v(f"hvda.{one}") for one in ("write_cache", "fua", "rotational")]
        self.claim(f"no scheduler, {v('hvda.write_cache')}, FUA, does not rotate",
                   v("hvda.scheduler").startswith("[none]") and cache == ["write back", "1", "0"])
        self.claim(f"geometry: {v('hvda.geometry')}", "255 heads, 63 sectors" in v("hvda.geometry"))
        self.claim("two partitions, the first of 65536 sectors",
                   (v("partitions"), v("partition")) == ("2", "65536"))
        self.claim(f"hvdc: {v('discards')} requests discarded all of it",
                   matches(f"{v('discard')} {v('discards')}", "^0 [1-9]"))
        self.claim("zeroes, and discard where there is one, read as they should",
                   (v("zeroes"), v("punched")) == ("0", "0"))
        protected = [v(one) for one in ("hvdb.ro", "hvdb.readonly", "refused", "read")]
        self.claim(f"hvdb: ro {v('hvdb.ro')}, writing is refused, reading works",
                   protected == ["1", "1", "1", "0"])
        self.claim(f"the driver left a busy disk, and fio ended (exit code {v('fio_unbound')})",
                   matches(f"{v('gone')} {v('fio_unbound')}", "^yes [1-9]"))
        self.claim(f"and came back as {v('back')}", v("back") == "hvda")
        self.claim("fio wrote and verified 32 MiB", v("fio") == "0")
        self.claim("the host's file has the bytes that the guest read",
                   same(v("hash"), self.hash_of_data()))
        self.claim("both modules were unloaded", v("unloaded") == "0")
