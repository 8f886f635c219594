# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import base64
import os
import subprocess
import time

from lab.host import browser
from lab.host.common import Skip, ports_in_use
from lab.host.scenario import Scenario

NOVNC = "/usr/share/novnc"
WIDTH, HEIGHT = 800, 600
PASSWORD = "secret12"
COMMAND = 'echo "$(whoami) at $(tty)" >/run/typed'
# The canvas's size, and its pixels that are not black.
LOOK = """const canvas = document.querySelector('#screen canvas');
if (!canvas || !canvas.width || !canvas.height) return [0, 0, 0];
const bytes = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
let lit = 0;
for (let at = 0; at < bytes.length; at += 4) lit += bytes[at] + bytes[at + 1] + bytes[at + 2] > 0;
return [canvas.width, canvas.height, lit];"""
RETURN = "\uE007"  # WebDriver's


def within(seconds, what):
    """What it returns first that is something, or None."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(1)
    return None


def press(page, text):
    strokes = [{"type": way, "value": one} for one in text for way in ("keyDown", "keyUp")]
    page.ask("/actions", actions=[{"type": "key", "id": "keyboard", "actions": strokes}])


class Login(Scenario):
    """with the kernel's own drivers of screen and keyboard and a VNC server with a password: noVNC
    in a headless Chromium shows the guest's login on its screen; root logs in there by the
    browser's keyboard, and a command that is typed there runs; with another password the page shows
    nothing. The pictures are kept: login.png, typed.png. It needs chromium, chromium-driver and
    novnc"""
    kinds = ("intree",)
    hosts = ("openvmbus",)

    def boots(self):
        if not browser.there():
            raise Skip("no Chromium: install chromium and chromium-driver")
        if not os.path.exists(f"{NOVNC}/vnc_lite.html"):
            raise Skip("no noVNC: install novnc")
        used = ports_in_use()
        self.display = next(n for n in range(50, 99) if 5900 + n not in used)
        secret = self.folder / "password"
        secret.write_text(f"{PASSWORD}\n")
        self.vmm += ["--stats", "--video", f"{WIDTH}x{HEIGHT}", "--vnc",
                     f":{self.display},password-file={secret}"]
        self.seen = {}
        self.boot()

    def where(self, command, stdout, stderr):
        """Without the warm nest, whose ports are not this machine's."""
        command = ["auto" if word == "kvm" else str(word) for word in command]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
        try:
            self.watch(process)
            return process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise

    def says(self, text):
        return text in self.read("console.1")

    def watch(self, process):
        if not within(self.limit, lambda: self.says("@@LOGIN") or process.poll() is not None):
            return
        url = (f"http://127.0.0.1:{browser.serve(NOVNC)}/vnc_lite.html?host=127.0.0.1"
               f"&port={5900 + self.display}&password=")
        with browser.Browser(url + "another") as page:
            time.sleep(5)
            self.seen["stranger"] = page.run(LOOK)
        with browser.Browser(url + PASSWORD) as page:
            self.log_in(page)

    def log_in(self, page):
        self.seen["login"] = within(60, lambda: self.look(page, 200))
        self.keep(page, "login.png")
        page.click("#screen canvas")
        press(page, "root" + RETURN)
        time.sleep(8)
        self.seen["shell"] = self.look(page, 0)
        press(page, COMMAND + RETURN)
        within(60, lambda: self.says("@@TYPED"))
        self.keep(page, "typed.png")

    def look(self, page, least):
        """The size and the lit pixels, if the picture has so many."""
        seen = page.run(LOOK)
        return seen if seen[2] >= least else None

    def keep(self, page, name):
        (self.folder / name).write_bytes(base64.b64decode(page.picture()))

    def judge(self):
        v = self.value
        stranger, login, shell = (self.seen.get(name) or (0, 0, 0)
                                  for name in ("stranger", "login", "shell"))
        self.judge_root()
        self.claim(f"the browser shows {login[0]}x{login[1]} with {login[2]} pixels that are not "
                   "black", list(login[:2]) == [WIDTH, HEIGHT] and login[2] >= 200)
        self.claim(f"with another password it shows {stranger[2]} of them",
                   "stranger" in self.seen and stranger[2] == 0)
        self.claim(f"what was typed there is on it: {shell[2]}", shell[2] > login[2])
        self.claim(f"the guest's shell ran what was typed there: {v('typed')}",
                   v("typed") == "root at /dev/tty1")
        self.note(f"pictures: {self.folder}/login.png and typed.png")
