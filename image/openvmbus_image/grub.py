# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A grub.cfg, followed to the entry that GRUB would start by itself.

Variables, conditions, functions, submenus, search and the environment block work as GRUB's manual
says; commands that only change the screen are taken to succeed. What an image's author wrote may be
anything, so the number of commands is bounded.
"""
import re
from dataclasses import dataclass, field

STEPS_MAX = 20000
DEPTH_MAX = 16
VALUES_MAX = 8 << 10  # characters that the variables of a word expand to
NAME = re.compile(r"\$(?:\{([^}]*)\}|([A-Za-z_][A-Za-z0-9_]*|[0-9@*#?]))")
LINUX = ("linux", "linuxefi", "linux16")
FEATURES = ("menuentry_id", "all_video_module", "platform_search_hint", "default_font_path",
            "timeout_style", "menuentry_options")
INITRD = ("initrd", "initrdefi", "initrd16")


class GrubError(Exception):
    """Why a configuration leads to no kernel; one line."""


@dataclass
class Entry:
    """A menu entry or a submenu."""
    title: str
    id: str
    block: list
    submenu: bool = False


@dataclass
class Choice:
    """What the default entry starts. Files are (volume, path)."""
    title: str
    kernel: tuple = None
    line: str = ""
    initrds: list = field(default_factory=list)
    chain: str = ""  # another loader that it starts instead


# The language: words, commands, blocks

def tokens(text):
    """Yields words, as lists of (text, quoted, expands), and "\\n", ";", "{", "}"."""
    at, end = 0, len(text)
    word = None
    while at < end:
        c = text[at]
        if c in " \t\r\n;" or (c == "#" and word is None):
            if word is not None:
                yield word
                word = None
            if c == "#":
                at = (text.find("\n", at) + 1 or end + 1) - 1
                continue
            if c in "\n;":
                yield c
            at += 1
        elif c in "{}" and word is None and (at + 1 == end or text[at + 1] in " \t\r\n;"):
            yield c
            at += 1
        else:
            piece, at = _piece(text, at)
            word = (word or []) + ([piece] if piece else [])
    if word is not None:
        yield word


def _piece(text, at):
    """One piece of a word: quoted, escaped or plain. Returns it and where the next begins."""
    c = text[at]
    if c == "'":
        end = text.find("'", at + 1)
        end = len(text) if end < 0 else end
        return (text[at + 1:end], True, False), end + 1
    if c == '"':
        match = re.compile(r'((?:[^"\\]|\\.)*)', re.S).match(text, at + 1)
        return (match[1].replace('\\"', '"'), True, True), match.end() + 1
    if c == "\\":
        plain = text[at + 1:at + 2]
        return (None if plain == "\n" else (plain, True, False)), at + 2
    match = re.compile(r"(?:\$\{[^}]*\}|[^ \t\r\n;'\"\\])+").match(text, at)
    return (match[0], False, True), match.end()


def parse(text):
    """A list of nodes: ("do", words), ("if", [(condition, block)...], else) and so on."""
    stream = list(tokens(text))
    block, _ = _block(stream, 0, ())
    return block


def _plain(token):
    """The keyword that a token may be; None: it is quoted, or no word."""
    if isinstance(token, list) and len(token) == 1 and not token[0][1]:
        return token[0][0]
    return token if isinstance(token, str) else None


def _block(stream, at, ends):
    block = []
    while at < len(stream):
        word = _plain(stream[at])
        if word in ends:
            return block, at
        if word in ("\n", ";", "{", "}"):
            at += 1
        elif word == "if":
            node, at = _if(stream, at + 1)
            block.append(node)
        elif word in ("for", "while", "until"):
            node, at = _loop(stream, at)
            block.append(node)
        elif word in ("menuentry", "submenu", "function"):
            words, at = _words(stream, at)
            body, at = _block(stream, at + 1, ("}",)) if at < len(stream) else ([], at)
            block.append((word, words[1:], body))
            at += 1
        else:
            words, at = _words(stream, at)
            block.append(("do", words))
    return block, at


def _words(stream, at):
    words = []
    while at < len(stream) and isinstance(stream[at], list):
        words.append(stream[at])
        at += 1
    return words, at


def _if(stream, at):
    branches, other = [], []
    while True:
        condition, at = _block(stream, at, ("then",))
        body, at = _block(stream, at + 1, ("elif", "else", "fi"))
        branches.append((condition, body))
        if at >= len(stream) or _plain(stream[at]) != "elif":
            break
        at += 1
    if at < len(stream) and _plain(stream[at]) == "else":
        other, at = _block(stream, at + 1, ("fi",))
    return ("if", branches, other), at + 1


def _loop(stream, at):
    head, at = _block(stream, at + 1, ("do",)) if _plain(stream[at]) != "for" else \
        _words(stream, at + 1)
    kind = "for" if isinstance(head and head[0], list) else "while"
    while at < len(stream) and _plain(stream[at]) != "do":
        at += 1
    body, at = _block(stream, at + 1, ("done",))
    return (kind, head, body), at + 1


# Following it

class Grub:
    """GRUB at work on the volumes of an image."""

    def __init__(self, volumes, volume, path):
        self.volumes = volumes
        folder = path.rpartition("/")[0]
        self.env = {"root": volume, "prefix": f"({volume}){folder}", "cmdpath": f"({volume})",
                    "grub_platform": "efi", "grub_cpu": "x86_64",
                    **{f"feature_{name}": "y" for name in FEATURES}}
        self.entries, self.functions = [], {}
        self.steps = self.depth = 0
        self.choice = None

    def follow(self, text):
        """Returns the Choice of the default entry, or raises GrubError."""
        self.run(parse(text))
        path = self.env.get("default", "0")
        while True:
            entry, path = self._pick(path)
            self.choice = Choice(entry.title)
            self.entries = []
            self.run(entry.block)
            if not entry.submenu or not self.entries:
                return self._judge()

    def _judge(self):
        if self.choice.kernel:
            return self.choice
        if self.choice.chain:
            raise GrubError(f"its default entry \"{self.choice.title}\" starts another loader, "
                            f"{self.choice.chain}")
        raise GrubError(f"its default entry \"{self.choice.title}\" names no kernel")

    def _pick(self, path):
        """The entry that the first part of "1>2" means, and the rest."""
        first, _, rest = path.partition(">")
        if not self.entries:
            raise GrubError("it has no menu entry")
        for entry in self.entries:
            if first and first in (entry.id, entry.title):
                return entry, rest
        if first.isdigit() and int(first) < len(self.entries):
            return self.entries[int(first)], rest
        return self.entries[0], ""

    def expand(self, word):
        """The text of a word."""
        grown = 0

        def value(match):
            nonlocal grown
            found = self.env.get(match[1] or match[2], "")
            grown += len(found)
            if grown > VALUES_MAX:
                raise GrubError("its variables grow without end")
            return found
        return "".join(NAME.sub(value, text) if expands else text for text, _, expands in word)

    def expand_all(self, words):
        """The texts of words; a word that is one empty variable is none, others are split."""
        out = []
        for word in words:
            text = self.expand(word)
            if any(quoted for _, quoted, _ in word):
                out.append(text)
            else:
                out += text.split()
        return out

    def run(self, block):
        """Runs commands; returns whether the last one succeeded."""
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise GrubError("it calls itself without end")
        good = True
        for node in block:
            self.steps += 1
            if self.steps > STEPS_MAX:
                raise GrubError("it has no end")
            good = self._node(node)
        self.depth -= 1
        return good

    def _node(self, node):
        kind = node[0]
        if kind == "do":
            words = self.expand_all(node[1])
            return self.command(words) if words else True
        if kind == "if":
            for condition, body in node[1]:
                if self.run(condition):
                    return self.run(body)
            return self.run(node[2])
        if kind == "for":
            values = self.expand_all(node[1])
            for value in values[2:]:
                self.env[values[0]] = value
                self.run(node[2])
            return True
        if kind == "function":
            self.functions[self.expand(node[1][0])] = node[2]
        elif kind != "while" and node[1]:
            self._add(self.expand_all(node[1]), node[2], kind == "submenu")
        return True

    def _add(self, words, body, submenu):
        entry = Entry(words[0], "", body, submenu)
        for option, value in zip(words, words[1:]):
            if option == "--id":
                entry.id = value
        self.entries.append(entry)

    def command(self, words):
        """Runs one command; returns whether it succeeded."""
        name, arguments = words[0], words[1:]
        if "=" in name and name.partition("=")[0].isidentifier():
            name, arguments = "set", words
        if name in self.functions:
            return self.run(self.functions[name])
        if name in ("[", "test"):
            return self._test([w for w in arguments if w != "]"])
        if name.startswith("search"):
            return self._search(name, arguments)
        method = {"set": self._set, "unset": self._unset, "load_env": self._load_env,
                  "configfile": self._configfile, "source": self._source, ".": self._source,
                  "blscfg": self._blscfg, "chainloader": self._chain}.get(name)
        if name in LINUX:
            method = self._linux
        elif name in INITRD:
            method = self._initrd
        if method:
            return method(arguments)
        return name != "false"

    def _set(self, arguments):
        for argument in arguments:
            name, _, value = argument.partition("=")
            self.env[name] = value
            if name == "root":
                self.env["root"] = _device(value)
        return True

    def _unset(self, arguments):
        for name in arguments:
            self.env.pop(name, None)
        return True

    def _search(self, name, arguments):
        by = {"search.fs_uuid": "uuid", "search.fs_label": "label",
              "search.file": "file", "search.fs_file": "file"}.get(name)
        if by:
            value, variable = arguments[0], (arguments[1:] or ["root"])[0]
        else:
            by, value, variable = self._search_options(arguments)
        found = self.volumes.find(by, value)
        if found:
            self.env[variable] = found
        return found is not None

    @staticmethod
    def _search_options(arguments):
        by, value, variable = "file", "", "root"
        kinds = {"-u": "uuid", "--fs-uuid": "uuid", "-l": "label", "--label": "label",
                 "--fs-label": "label", "-f": "file", "--file": "file"}
        skip = False
        for i, argument in enumerate(arguments):
            if skip:
                skip = False
            elif argument in kinds:
                by = kinds[argument]
            elif argument.startswith("--set="):
                variable = argument[6:]
            elif argument in ("--set", "-s"):
                # Its value may be left out; the last word is what is looked for.
                skip = i + 2 < len(arguments)
                variable = arguments[i + 1] if skip else variable
            elif argument == "--hint":
                skip = True
            elif not argument.startswith("-"):
                value = argument
        return by, value, variable

    def place(self, path):
        """(volume, path) of a file as GRUB names it."""
        match = re.match(r"\(([^)]*)\)(.*)", path)
        if match:
            return _device(match[1]), match[2]
        return self.env.get("root", ""), path

    def _test(self, words):
        if "-o" in words:
            at = words.index("-o")
            return self._test(words[:at]) or self._test(words[at + 1:])
        if "-a" in words:
            at = words.index("-a")
            return self._test(words[:at]) and self._test(words[at + 1:])
        if words and words[0] == "!":
            return not self._test(words[1:])
        if len(words) == 2 and words[0] in ("-e", "-f", "-s", "-d"):
            return self.volumes.exists(*self.place(words[1]))
        if len(words) == 2 and words[0] in ("-n", "-z"):
            return (words[0] == "-n") == bool(words[1])
        if len(words) == 3:
            return _compare(*words)
        return len(words) == 1 and words[0] not in ("", "-n", "-f", "-e", "-s", "-d")

    def _load_env(self, arguments):
        path = "/grubenv"
        if "-f" in arguments:
            path = arguments[arguments.index("-f") + 1]
        elif "--file" in arguments:
            path = arguments[arguments.index("--file") + 1]
        else:
            path = self.env["prefix"] + path
        text = self.volumes.text(*self.place(path)) or ""
        for line in text.splitlines():
            name, equals, value = line.partition("=")
            if equals and not name.startswith("#"):
                self.env[name] = value
        return bool(text)

    def _source(self, arguments):
        text = self.volumes.text(*self.place(arguments[0])) if arguments else None
        if text is None:
            return False
        return self.run(parse(text))

    def _configfile(self, arguments):
        text = self.volumes.text(*self.place(arguments[0])) if arguments else None
        if text is None:
            return False
        self.entries = []
        return self.run(parse(text))

    def _blscfg(self, arguments):
        for folder in ("/loader/entries", "/boot/loader/entries"):
            for name, values in entries_of(self.volumes, self.env.get("root", ""), folder):
                self.entries.append(Entry(values.get("title", name), name, _commands(values)))
        return True

    def _chain(self, arguments):
        self.choice.chain = (arguments or [""])[-1]
        return True

    def _linux(self, arguments):
        if arguments and self.choice:
            self.choice.kernel = self.place(arguments[0])
            self.choice.line = " ".join(_quoted(word) for word in arguments[1:])
        return bool(arguments)

    def _initrd(self, arguments):
        if self.choice:
            self.choice.initrds += [self.place(path) for path in arguments]
        return True


def _commands(values):
    """The commands that a loader entry stands for; its variables are GRUB's."""
    def words(text):
        return [[(word, False, True)] for word in text.split()]
    block = [("do", words("linux " + values.get("linux", "") + " " + values.get("options", "")))]
    if values.get("initrd"):
        block.append(("do", words("initrd " + values["initrd"])))
    return block


def _quoted(word):
    """As GRUB hands a word to the kernel."""
    word = re.sub(r"([\\'\"])", r"\\\1", word)
    return f'"{word}"' if " " in word else word


def _device(name):
    """The device that a name means: the only disk is the first one, by whatever driver."""
    return re.sub(r"^(hd|ahci|ata)[0-9]+(?=,|$)", "loop0", name.strip("()"))


def _compare(left, operator, right):
    if operator in ("=", "=="):
        return left == right
    if operator == "!=":
        return left != right
    numbers = {"-eq": int.__eq__, "-ne": int.__ne__, "-lt": int.__lt__, "-le": int.__le__,
               "-gt": int.__gt__, "-ge": int.__ge__}
    try:
        return numbers[operator](int(left), int(right))
    except (KeyError, ValueError):
        return False


# Loader entries, which systemd-boot and GRUB's blscfg share

def version_key(name):
    """For sorting names by the versions in them."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part)
            for part in re.findall(r"[0-9]+|[^0-9]+", name)]


def entries_of(volumes, volume, folder):
    """(name, values) of each loader entry in a folder, the newest first."""
    names = [n for n in volumes.names(volume, folder) if n.endswith(".conf")]
    for name in sorted(names, key=version_key, reverse=True):
        values = {}
        for line in (volumes.text(volume, f"{folder}/{name}") or "").splitlines():
            key, _, value = line.strip().partition(" ") if " " in line else \
                line.strip().partition("\t")
            if key and not key.startswith("#"):
                values[key] = f"{values[key]} {value.strip()}" if key in values else value.strip()
        yield name[:-len(".conf")], values
