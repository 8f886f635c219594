# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.evidence import matches, word
from lab.host.scenario import Network, rate

# What guest and host must agree on, and the build that the CPU reports, by Windows Server.
BUS = {"2008": "0.13", "2008r2": "1.1", "2012": "2.4", "2012r2": "3.0", "2016": "4.0",
       "2019": "5.2", "2022": "5.3", "2025": "6.0"}
BUILDS = {"2008": 6002, "2008r2": 7600, "2012": 9200, "2012r2": 9600, "2016": 14393,
          "2019": 17763, "2022": 20348, "2025": 26100}


class Generation(Network):
    """`--generation G`: the versions and the CPU's build are that host's; root through the right
    driver (`--root ide`: `blkvsc`), an address by DHCP, `--mib` MiB through the card to the root
    disk and back, the same hash at the server, in the guest and in the host's file"""
    usual = ("--mib", "8")
    hosts = ("openvmbus",)
    kinds = ("ours", "intree")
    seconds_a_mib = 4

    def boots(self):
        self.plug_in(self.net)
        self.boot(append=self.on_net(f" openvmbus.mib={self.mib}"))

    def judge(self):
        v, generation = self.value, self.options.generation
        self.judge_root()
        self.judge_card()
        if generation and self.kind == "ours":
            self.claim(f"VMBus {BUS[generation]}", v("bus_version") == BUS[generation])
        if generation:
            self.claim(f"the CPU reports build {v('host_build')}",
                       matches(v("host_build"), rf"(^|[.]){BUILDS[generation]}[.]"))
        self.judge_lease("^10[.]")
        down = v("down.generation")
        served = self.served("down", "/data?generation") or "none"
        self.claim(f"{self.mib} MiB came through the card to the root disk and back "
                   f"({rate(word(1, down))})",
                   f"{word(0, down)} {word(2, down)}" == f"{self.mib << 20} {served}")
        self.claim("the host's root file has those bytes",
                   word(2, down) == self.hash_inside("/generation.bin", "blake2b"))
        self.judge_errors()
        self.note(f"VMBus {v('bus_version')}, storage {v('storage_version')}, "
                  f"network {v('nvsp_version')}")
