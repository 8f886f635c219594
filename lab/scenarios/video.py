# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
from lab.host.common import LAB, OPENVMBUS
from lab.host.picture import read_png
from lab.host.scenario import Scenario

WIDTH, HEIGHT = 800, 600
TEXT = 'The quick brown fox, 0123456789: "{Jumps} over" <the> lazy_dog!?'


def drawn(seed):
    """What lab/scenarios/video draws, three bytes a pixel."""
    return b"".join(bytes(((y * 7 + x // 16 * seed) & 0xFF, (x ^ y * seed) & 0xFF,
                           (x * 5 + y * 3 + seed) & 0xFF))
                    for y in range(HEIGHT) for x in range(WIDTH))


def read_rfb(path):
    """As lab/host/rfb.py wrote it."""
    size, _, pixels = path.read_bytes().partition(b"\n")
    return (*map(int, size.split()), pixels)


class Video(Scenario):
    """with the kernel's own drivers of screen and keyboard: two pictures that the guest draws are,
    to the pixel, in the host's screenshots and at a VNC client; a text that the client types
    arrives at the guest's console, and appears on it"""
    kinds = ("intree",)
    hosts = ("openvmbus",)

    def boots(self):
        vnc = f"{self.socket}.vnc"
        self.around = [LAB / "nest/video-side", self.folder, OPENVMBUS, self.socket, vnc, TEXT]
        self.vmm += ["--stats", "--control", self.socket, "--video", f"{WIDTH}x{HEIGHT}",
                     "--vnc", f"unix:{vnc}"]
        self.boot()

    def judge(self):
        v = self.value
        self.judge_root()
        self.claim(f"the screen has the driver hyperv_drm, which says {v('driver_says')}, at "
                   f"{v('place')}", v("driver") == "hyperv_drm")
        self.claim("the keyboard has the driver hyperv_keyboard",
                   v("keyboard") == "hyperv_keyboard")
        self.claim(f"the guest has the resolution that the host prefers: {v('screen')}",
                   v("screen") == f"{WIDTH}x{HEIGHT} 32 bits")
        for seed, name in ((1, "first"), (2, "second")):
            self.judge_picture(f"{name}.png", read_png, drawn(seed))
            self.judge_picture(f"{name}.rfb", read_rfb, drawn(seed))
        self.claim(f"the guest read what was typed: {v('typed')}", v("typed") == TEXT)
        self.judge_console()

    def judge_picture(self, file, reader, wanted):
        path = self.folder / file
        width, height, found = reader(path) if path.exists() else (0, 0, b"")
        wrong = sum(a != b for a, b in zip(found, wanted)) if found != wanted else 0
        self.claim(f"{file} is what the guest drew: {width}x{height}, {wrong} bytes differ",
                   (width, height, found) == (WIDTH, HEIGHT, wanted))

    def judge_console(self):
        """The text is on it: more than a cursor, and the same both ways."""
        path = self.folder / "console.png"
        found = read_png(path)[2] if path.exists() else b""
        lit = sum(any(found[at:at + 3]) for at in range(0, len(found), 3))
        self.claim(f"the console shows something: {lit} pixels are not black", 500 < lit < 100000)
