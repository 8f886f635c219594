# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Chromium without a window, driven by the WebDriver protocol, which is JSON over HTTP."""

import functools
import http.server
import json
import re
import shutil
import subprocess
import tempfile
import threading
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name for a reference to one
OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000",
           "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


def there():
    return shutil.which("chromium") and shutil.which("chromedriver")


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def serve(folder):
    """The files in that folder, on a thread of this program; the port of 127.0.0.1."""
    handler = functools.partial(Files, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


class Browser:
    def __init__(self, url):
        self.url = url

    def __enter__(self):
        self.home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, text=True)
        for line in self.driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                break
        self.base = f"http://127.0.0.1:{found[1]}/session"
        options = {"args": [*OPTIONS, f"--user-data-dir={self.home.name}"],
                   "binary": shutil.which("chromium")}
        wanted = {"alwaysMatch": {"goog:chromeOptions": options}}
        self.base += "/" + self.ask("", capabilities=wanted)["sessionId"]
        self.ask("/url", url=self.url)
        return self

    def __exit__(self, *error):
        try:
            self.ask("", "DELETE")
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.driver.stdout.close()
            self.home.cleanup()

    def ask(self, path, method="POST", **body):
        request = urllib.request.Request(self.base + path, json.dumps(body).encode(), method=method,
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def run(self, script, *arguments):
        return self.ask("/execute/sync", script=script, args=list(arguments))

    def find(self, what):
        return self.ask("/element", using="css selector", value=what)[ELEMENT]

    def click(self, what):
        self.ask(f"/element/{self.find(what)}/click")

    def type(self, what, text):
        self.ask(f"/element/{self.find(what)}/value", text=text)

    def shown(self, what):
        """How many there are that can be seen."""
        return self.run("return [...document.querySelectorAll(arguments[0])].filter("
                        "(one) => one.checkVisibility({checkVisibilityCSS: true})).length", what)

    def picture(self):
        """A PNG, in base64."""
        return self.ask("/screenshot", "GET")
