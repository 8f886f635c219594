# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What lab/matrix writes of its results: TAP, JUnit XML, JSON, and one HTML page that asks for
nothing else (lab/host/page.css, page.js and what is made here)."""

import collections
import html
import json
import re
import xml.etree.ElementTree as xml
from pathlib import Path

from lab.host.evidence import number, read

HERE = Path(__file__).parent
VERDICTS = ("ok", "not ok", "skip", "not run", "not offered")


def counts(results):
    found = collections.Counter(one["verdict"] for one in results)
    return ", ".join(f"{found[verdict]} {verdict}" for verdict in VERDICTS if found[verdict])


def point(result):
    """What history.jsonl keeps of a run, for the plots."""
    seconds = number(result.get("shown", {}).get("seconds_to_init", ""))
    return {"name": result["name"], "at": result["at"], "commit": result["commit"],
            "verdict": result["verdict"], "to_init": seconds if seconds == seconds else None}


def read_history(path):
    """The points of each cell, oldest first. A line that a full disk cut off is left out."""
    found = collections.defaultdict(list)
    for line in read(path).splitlines():
        try:
            one = json.loads(line)
            found[one["name"]].append(one)
        except (ValueError, LookupError):
            continue
    return found


def write(folder, commit, results):
    history = read_history(folder / "history.jsonl")
    (folder / "results.json").write_text(
        json.dumps({"commit": commit, "results": results}, indent=1) + "\n")
    (folder / "results.tap").write_text(tap(results))
    xml.ElementTree(junit(results)).write(folder / "junit.xml", encoding="utf-8",
                                          xml_declaration=True)
    (folder / "index.html").write_text(page(commit, results, history))


def tap(results):
    shown = [one for one in results if one["verdict"] != "not offered"]
    lines = [f"1..{len(shown)}"]
    for i, one in enumerate(shown, 1):
        bad = one["verdict"] == "not ok"
        skipped = f" # SKIP {one['reason']}" if one["verdict"] in ("skip", "not run") else ""
        lines.append(f"{'not ok' if bad else 'ok'} {i} - {one['name']}{skipped}")
        if bad:
            lines.append(f"# {one['reason']}")
    return "\n".join(lines) + "\n"


def printable(text):
    """Without what XML cannot have."""
    return re.sub("[^\t\n\x20-\ud7ff\ue000-\ufffd]", "?", text)


def junit(results):
    suite = xml.Element("testsuite", name="lab")
    for one in results:
        if one["verdict"] == "not offered":
            continue
        case = xml.SubElement(suite, "testcase", classname=f"{one['guest']}.{one['host']}",
                              name=one["scenario"], time=str(one.get("seconds", 0)))
        if one["verdict"] == "not ok":
            failure = xml.SubElement(case, "failure", message=printable(one["reason"]))
            failure.text = printable("\n".join(one.get("said", [])) + "\n" + one.get("errors", ""))
        elif one["verdict"] != "ok":
            xml.SubElement(case, "skipped", message=printable(one["reason"]))
    for name, verdicts in (("tests", VERDICTS[:4]), ("failures", ["not ok"]),
                           ("skipped", VERDICTS[2:4])):
        suite.set(name, str(sum(one["verdict"] in verdicts for one in results)))
    return suite


# The page. Text of guests and hosts is anybody's, so all of it goes through text().

def text(value):
    return html.escape(printable(str(value)))


def anchor(one):
    return re.sub("[^A-Za-z0-9.-]", "_", one["name"])


def klass(one):
    return one["verdict"].replace(" ", "-")


def page(commit, results, history):
    css, js = ((HERE / f"page.{kind}").read_text() for kind in ("css", "js"))
    parts = {"commit": text(commit), "counts": text(counts(results)), "css": css, "js": js,
             "filters": filters(results), "grid": grid(results),
             "plots": overview(results, history),
             "cells": "".join(section(one, history[one["name"]]) for one in results
                              if one["verdict"] != "not offered")}
    # In one go: what is put in is not looked through again.
    return re.sub("@([a-z]+)@", lambda found: parts[found[1]], (HERE / "page.html").read_text())


def distinct(results, name):
    return list(dict.fromkeys(one[name] for one in results))


def filters(results):
    made = ""
    for name in ("guest", "host", "scenario"):
        options = "".join(f"<option>{text(one)}</option>" for one in distinct(results, name))
        made += (f'<label>{name} <select data-filter="{name}"><option value="">all</option>'
                 f"{options}</select></label>\n")
    for verdict in VERDICTS:
        made += (f'<label class="{verdict.replace(" ", "-")}"><input type="checkbox" checked '
                 f'data-verdict="{verdict}"> {verdict}</label>\n')
    return made


def data(one):
    return "".join(f' data-{name}="{text(one[name])}"'
                   for name in ("guest", "host", "scenario", "verdict"))


def grid(results):
    """Rows are scenarios of guests, columns hosts."""
    hosts = distinct(results, "host")
    rows = collections.defaultdict(dict)
    for one in results:
        rows[one["guest"], one["scenario"]][one["host"]] = one
    made = "<tr><th>guest<th>scenario" + "".join(f"<th>{text(host)}" for host in hosts) + "\n"
    for (guest, scenario), cells in rows.items():
        if all(one["verdict"] == "not offered" for one in cells.values()):
            continue
        made += f"<tr><th>{text(guest)}<th>{text(scenario)}"
        made += "".join(place(cells[host]) if host in cells else "<td>" for host in hosts) + "\n"
    return f"<table id=grid>{made}</table>"


def place(one):
    said = text(one["reason"] or one["verdict"])
    if one["verdict"] == "not offered":
        return f'<td class="{klass(one)}"{data(one)} title="{said}">–'
    old = " old" if one["old"] else ""
    return (f'<td class="{klass(one)}{old}"{data(one)} title="{said}"><a href="#{anchor(one)}">'
            f'{text(one["verdict"])}</a>')


def section(one, points):
    facts = {"reason": one["reason"], "ran": one.get("at"), "commit": one.get("commit"),
             "seconds": one.get("seconds"), "folder": one.get("folder"), **one.get("shown", {})}
    rows = "".join(f"<tr><th>{text(name)}<td>{text(value)}"
                   for name, value in facts.items() if value)
    said = "".join(f'<li class="{claim_class(line)}">{text(line)}' for line in one.get("said", []))
    logs = "".join(log(number, lines) for number, lines in one.get("logs", {}).items())
    plot = curve([(p["at"], p["to_init"]) for p in points if p["to_init"]])
    return (f'<details class="cell {klass(one)}" id="{anchor(one)}"{data(one)}><summary>'
            f'<b>{text(one["verdict"])}</b> {text(one["name"].replace("_", " "))} '
            f'<a class=link href="#{anchor(one)}" title="permanent link">#</a></summary>'
            f"<table>{rows}</table>{plot}<ul>{said}</ul>{logs}</details>\n")


def claim_class(line):
    return "note" if line.startswith("#") else "not-ok" if line.startswith("not ok") else "ok"


def log(number, lines):
    """Guest and host beside each other: one row for each line, at the time that it came."""
    rows = "".join(f"<tr><td>{seconds:.1f}" + (f"<td>{text(line)}<td>" if name == "guest" else
                                               f"<td><td>{text(line)}")
                   for seconds, name, line in lines)
    return (f"<h4>Boot {text(number)}: lines by the second in which they came</h4><table class=log>"
            f"<tr><th>s<th>guest's console<th>host{rows}</table>")


def curve(points):
    """Seconds to init over runs, as a drawing in the page."""
    if not points:
        return ""
    width, height, top = 360, 90, max(value for _, value in points) * 1.1
    step = (width - 50) / max(1, len(points) - 1)
    at = [(40 + i * step, height - 15 - value / top * (height - 25))
          for i, (_, value) in enumerate(points)]
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{text(when)}: {value} s</title>'
                   "</circle>" for (x, y), (when, value) in zip(at, points))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    return (f'<figure><svg viewBox="0 0 {width} {height}" width="{width}" role="img">'
            f'<line x1="40" y1="{height - 15}" x2="{width}" y2="{height - 15}"/>'
            f'<text x="0" y="14">{top:.0f} s</text><text x="20" y="{height - 12}">0</text>'
            f'<polyline points="{line}"/>{dots}</svg><figcaption>seconds to init, '
            f"{len(points)} run{'s' * (len(points) > 1)}</figcaption></figure>")


def overview(results, history):
    """The plots of the scenario boot, one for each guest and host."""
    made = ""
    for one in results:
        points = [(p["at"], p["to_init"]) for p in history[one["name"]] if p["to_init"]]
        if one["scenario"] == "boot" and points:
            made += f"<div{data(one)}><h4>{text(one['guest'])} on {text(one['host'])}</h4>"
            made += f"{curve(points)}</div>"
    return f'<h2>Time to init</h2><div id="plots">{made}</div>' if made else ""
