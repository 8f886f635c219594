# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import re

from lab.host.common import LAB
from lab.host.evidence import matches, number, sha256, word
from lab.host.scenario import Scenario

GROWTH = 64 << 20  # what the second disk becomes longer by, in bytes


class Blockfaults(Scenario):
    """three IDE disks under `blkvsc` with a time-out of 3 s: a read that the host holds until a
    reset, and one that it never answers, so that the channel is replaced, end well, while another
    process writes and verifies; the first disk's file grows, and so does the disk, with an event,
    to its last block; the second disk is taken away under fio with 32 requests; no page lost, both
    modules unloaded; the host saw a flush at each unload and at the shutdown; `timeout=0` is the
    default"""
    usual = ("--cpus", "2")
    hosts = ("openvmbus",)
    kinds = ("ours",)

    def boots(self):
        gone, stuck = (self.make_file(name, 64 << 20) for name in ("gone.raw", "stuck.raw"))
        self.attach = "--ide"
        self.files = [f"{self.folder}/data.raw,serial=data,hold=400000", f"{gone},gone=100000",
                      f"{stuck},stuck=100000"]
        self.around = [LAB / "nest/grow-side", self.folder, GROWTH >> 20]
        self.vmm += ["--stats"]
        self.boot(f"memory-{self.kind}")

    def judge(self):
        v, old = self.value, self.data_len // 512
        self.claim("timeout=0 is the default, 180 s", v("timeout_zero") == "180000")
        self.claim("timeout=3 is 3 s", v("timeout") == "3000")
        self.claim("three disks under blkvsc", v("disks") == "hvda blkvsc blkvsc blkvsc")
        self.judge_overdue("hvda", 20, "held until a reset", "data.raw", 400000)
        self.judge_overdue("hvdc", 40, "never answered", "stuck.raw", 100000)
        self.claim("the log says it: two resets, one new channel, both answer again",
                   self.evidence.all("said") == ["2", "1", "2"])
        self.claim(f"hvda grew without being loaded again: {v('grown')}",
                   v("grown") == f"{old} {old + GROWTH // 512}")
        self.claim(f"the kernel said so: {v('uevent')}", v("uevent") == "change hvda 1")
        self.claim("its new last block was written and read",
                   (v("last_written"), v("last_read")) == ("0", "0"))
        self.claim("the host's file ends with it",
                   v("last_hash") == self.hash_at("data.raw", old + GROWTH // 512 - 1))
        self.claim(f"hvdb went away under fio, which ended (exit code {v('gone_fio')}, "
                   f"after {v('gone_seconds')} s)",
                   matches(f"{v('gone')} {v('gone_dd')} {v('gone_fio')}", "^yes [1-9][0-9]* [1-9]"))
        self.claim("and is not there when the drivers are loaded again", v("still_gone") == "yes")
        self.claim("hvda works as before", v("verified.hvda.last") == "0")
        self.judge_flushes()
        self.claim("both modules were unloaded, twice",
                   (v("first_unload"), v("unloaded")) == ("0", "0"))
        self.judge_memory()

    def hash_at(self, name, block):
        try:
            with open(self.folder / name, "rb") as file:
                file.seek(block * 512)
                return sha256(file.read(512))
        except OSError:
            return None

    def judge_overdue(self, disk, limit, what, file, block):
        """Its silent block, and what another process did with the same disk."""
        v = self.value
        took = v(f"overdue_seconds.{disk}")
        self.claim(f"{disk}: {what}: the read ended well after {took} s",
                   v(f"overdue.{disk}") == "0")
        self.claim(f"{disk}: not before its time-out of 3 s, and within {limit} s",
                   2 <= number(took) <= limit)
        self.claim(f"{disk}: it has what the host's file has there",
                   v(f"overdue_hash.{disk}") == self.hash_at(file, block))
        self.claim(f"{disk}: another process wrote and verified 8 MiB meanwhile, and again "
                   "afterwards",
                   (v(f"verified.{disk}"), v(f"verified.{disk}.after")) == ("0", "0"))

    def judge_flushes(self):
        seen = sum(number(word(0, one)) for one in self.evidence.all("flushes"))
        flushed = (re.findall(r" ide0:0: .* (\d+) flushes", self.read("host.log")) or [""])[-1]
        self.claim("the driver flushed hvda at both unloads and at the shutdown: "
                   f"{flushed} flushes, the block layer made {seen}", number(flushed) == seen + 3)

    def judge_memory(self):
        """Of pages fewer than the requests that were under way when hvdb went: 32 of 64 KiB are
        512."""
        counts = {word(0, one): one for one in self.evidence.all("memory")}
        free, slab = ([number(word(i, counts.get(one, ""))) for one in "12"] for i in (1, 2))
        lost, grown = free[0] - free[1], slab[1] - slab[0]
        self.claim(f"no leak: free pages went down by {lost}, slab pages up by {grown}",
                   lost <= 128 and grown <= 64)
