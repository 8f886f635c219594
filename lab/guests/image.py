# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import LAB
from lab.host.guest import Guest


class Image(Guest):
    """a disk image that `openvmbus image` judges; `lab/images` has the kinds"""
    pattern = "image-([a-z-]+)"
    usage = "image-KIND"

    def __init__(self, text, kind):
        super().__init__(text)
        self.kind = kind

    def program(self, options):
        return [LAB / "images", self.kind]
