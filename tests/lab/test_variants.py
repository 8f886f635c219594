# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""lab/uefi and lab/stock: their variants are those that lab/cells boots, and each thing that a boot
must leave is one claim, which fails without it."""

import argparse
import contextlib
import io
import re
import unittest
from pathlib import Path
from unittest import mock

from lab.host import common, variant
from lab.host.evidence import Evidence
from programs import program

UEFI_EVIDENCE = {
    "scenario_rc": "0", "host_rc": "0", "complaints": "0", "kernel": "6.1-release", "cpus": "1",
    "root_driver": "hv_storvsc", "root_options": "rw,relatime", "efi": "64", "memory_mib": "480",
    "bus_version": "5.3", "vendor": "Microsoft Corporation", "product": "Virtual Machine",
    "uuid": "6f70656e-766d-4275-8573-000000000001", "asset_tag": "openvmbus-lab"}
STOCK_EVIDENCE = {
    "host_rc": "0", "kernel": "6.1-own", "root_driver": "storvsc", "network_driver": "netvsc",
    "complaints": "0", "token": "0123"}


def written(name, values):
    path = common.BUILD / name
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    return Evidence(path)


class Variants(unittest.TestCase):
    def setUp(self):
        self.uefi, self.stock = program("uefi"), program("stock")

    def make_uefi(self, name, **more):
        options = argparse.Namespace(variant=name, cpus=1, memory="512M", nest="n", rounds=3)
        one = self.uefi.VARIANTS[name](options, Path("/firmware"))
        one.kernel = Path("/kernels/6.1-release")
        for key, value in more.items():
            setattr(one, key, value)
        return one

    def make_stock(self, name):
        options = argparse.Namespace(variant=name, cpus=1, memory="1G", nest="n", prepare=False)
        with mock.patch.object(self.stock, "kernels", lambda root: {"6.1-own"}):
            return self.stock.VARIANTS[name](options, "bookworm", Path("/package.deb"))

    def failures(self, one, judge):
        with contextlib.redirect_stdout(io.StringIO()):
            judge(one)
        failures, one.failures = one.failures, 0
        return failures

    def each_is_a_claim(self, one, values, judge):
        """The claims hold; without any one of the values exactly one does not."""
        one.evidence = written("variant", values)
        self.assertEqual(self.failures(one, judge), 0)
        for name in values:
            with self.subTest(name):
                one.evidence = written("variant", {**values, name: "else"})
                self.assertEqual(self.failures(one, judge), 1)
                one.evidence = written("variant", {key: value for key, value in values.items()
                                                   if key != name})
                self.assertEqual(self.failures(one, judge), 1)

    def test_cells_boot_variants_that_there_are(self):
        cells = list(program("cells").all_cells())
        for kind, variants in (("uefi", self.uefi.VARIANTS), ("stock", self.stock.VARIANTS)):
            booted = {found[1] for cell in cells
                      for found in [re.search(rf"\b{kind}-(?:own-)?([a-z]+) ", cell)] if found}
            self.assertEqual(booted, set(variants) - {"openvmm"})

    def test_each_variant_says_what_it_is(self):
        for variants in (self.uefi.VARIANTS, self.stock.VARIANTS):
            for name, one in variants.items():
                self.assertTrue(one.__doc__, name)

    def test_a_variant_that_there_is_not_is_refused(self):
        for module, name in ((self.uefi, "lab/uefi"), (self.stock, "lab/stock")):
            with mock.patch.object(common, "say"), self.assertRaises(SystemExit) as ended:
                variant.find(module.VARIANTS, "nonsense", name)
            self.assertEqual(ended.exception.code, 2)

    def test_a_start_by_the_firmware_is_judged(self):
        one = self.make_uefi("uki", token_in_file=lambda: "")
        one.token_in_file = lambda: one.token
        with mock.patch.object(self.uefi, "make", lambda *command: str(512 << 20)):
            self.each_is_a_claim(one, UEFI_EVIDENCE, lambda one: one.judge_start())
            one.evidence = written("variant", UEFI_EVIDENCE)
            one.token_in_file = lambda: ""
            self.assertEqual(self.failures(one, lambda one: one.judge_start()), 1)

    def test_a_stock_debian_is_judged(self):
        one = self.make_stock("ours")
        with mock.patch.object(self.stock, "output", lambda *command: b"0123\n"):
            self.each_is_a_claim(one, STOCK_EVIDENCE,
                                 lambda one: one.judge_boot("6.1-own", "ours", common.BUILD))
            one.evidence = written("variant", STOCK_EVIDENCE)
            self.assertEqual(self.failures(
                one, lambda one: one.judge_boot("6.1-own", "intree", common.BUILD)), 2)

    def test_variables_are_counted_without_a_gap(self):
        one = self.make_uefi("kill", folder=common.BUILD)
        self.assertEqual(one.kept(), -1)
        names = ", ".join(f'{{"name": "OpenVmbusLab.{i}"}}' for i in (0, 1, 2, 4))
        (common.BUILD / "nvram.json").write_text(f'{{"variables": [{names}]}}')
        self.assertEqual(one.kept(), 3)
        (common.BUILD / "nvram.json").write_text(f'{{"variables": [{names}')
        self.assertEqual(one.kept(), -1)

    def test_what_the_guest_was_told_of_is_its_last_whole_line(self):
        one = self.make_uefi("kill", folder=common.BUILD)
        (common.BUILD / "console.1").write_text("@@WROTE 0\r\n@@WROTE 1\r\nx\r\n@@WRO")
        self.assertEqual(one.told(), ["@@WROTE 0", "@@WROTE 1"])

    def test_grub_counts_the_resets(self):
        self.assertIn('"xxxx"', self.make_uefi("restarts").begin)  # three, and the last start


if __name__ == "__main__":
    unittest.main()
