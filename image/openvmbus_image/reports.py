# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The result as a table, JSON, JUnit's XML, and a page that needs nothing else.

What a guest printed is anybody's: it is escaped everywhere, and the page allows itself no script
and no request (its Content-Security-Policy).
"""
import json
from html import escape

from .common import printable
from .stages import NO_SOURCE, passed

PAGE_LINES = 5000  # of a log, its first and last halves


def stages_of(result):
    """(stage, seconds or None) in order."""
    return [(s, result.course.seconds.get(s.name)) for s in passed(result.course)]


def name_of(machine):
    """A machine in words: {generation, cpus, drivers}."""
    cpus = machine["cpus"]
    return ", ".join([f"generation {machine['generation'] or 'newest'}",
                      f"{cpus} processor{'' if cpus == '1' else 's'}",
                      f"drivers {machine['drivers']}"])


def code_of(results):
    """The exit code: that of the first machine on which it did not start."""
    return next((r.verdict.code for r in results if r.verdict.code), 0)


def verdict_of(result):
    """What became of it."""
    if result.verdict.code:
        return f"stopped: {result.verdict.why}"
    return f"started, by {result.by}, in {result.course.seconds['target']:.1f} s"


def summary(result):
    """One line."""
    return f"{result.image.title}: {verdict_of(result)}"


def table(results):
    """Text for a terminal."""
    if len(results) > 1:
        return matrix(results)
    result = results[0]
    lines = [f"{'stage':9} {'seconds':>8}  what"]
    for stage, at in stages_of(result):
        lines.append(f"{stage.name:9} {'-' if at is None else f'{at:.1f}':>8}  {stage.what}")
    lines += [f"note: {note}" for note in notes_of(result)]
    return "\n".join(printable(line) for line in lines + [summary(result)])


def matrix(results):
    """The same for more than one machine: a line for each, and how many started."""
    lines = [f"{'generation':10} {'cpus':>4}  {'drivers':8} {'exit':>4} {'before':9} "
             f"{'seconds':>7}  what"]
    for r in results:
        m = r.machine
        lines.append(f"{m['generation'] or 'newest':10} {m['cpus']:>4}  {m['drivers']:8} "
                     f"{r.verdict.code:>4} {r.verdict.stopped or '-':9} {r.took:7.1f}  "
                     f"{verdict_of(r)}")
    lines.append(f"{results[0].image.title}: started on {started(results)} of {len(results)} "
                 "machines")
    return "\n".join(printable(line) for line in lines)


def started(results):
    """On how many machines."""
    return sum(not r.verdict.code for r in results)


def notes_of(result):
    """What else is worth a line."""
    notes = list(result.course.notes)
    source = result.course.source()
    if source == "DataSourceNone":
        notes.append(NO_SOURCE)
    elif source:
        notes.append(f"cloud-init used {source}")
    if result.course.dropped:
        notes.append(f"the console was longer than is looked at: {result.course.dropped} bytes")
    return notes


def as_json(results):
    """One object; docs/image.md lists its members."""
    if len(results) == 1:
        return json.dumps(members(results[0]))
    image = results[0].image
    return json.dumps({"image": image.title, "format": image.format, "exit": code_of(results),
                       "machines": [members(result) for result in results]})


def members(result):
    """What the object says of one machine."""
    verdict = result.verdict
    return {
        "image": result.image.title, "format": result.image.format, "by": result.by,
        "machine": result.machine, "exit": verdict.code, "stopped": verdict.stopped,
        "reason": verdict.reason, "why": verdict.why, "seconds": round(result.took, 1),
        "stages": {stage.name: at for stage, at in stages_of(result)},
        "notes": notes_of(result), "azure": {"requests": result.requests, "health": result.health}}


def clean(text):
    """Text that XML may hold."""
    return escape("".join(c if c.isprintable() or c in "\n\t" else " " for c in text))


def junit(results):
    """A suite for each machine."""
    suites = [line for result in results for line in suite(result, len(results) > 1)]
    if len(results) > 1:
        suites = ["<testsuites>", *suites, "</testsuites>"]
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', *suites, ""])


def suite(result, one_of_many):
    """One case for each stage; those that were not tried are skipped."""
    verdict = result.verdict
    name = clean(result.image.title)
    if one_of_many:
        name += f" ({clean(name_of(result.machine))})"
    yield (f'<testsuite name="openvmbus image {name}" tests="{len(stages_of(result))}" '
           f'failures="{int(verdict.code != 0)}" time="{result.took:.1f}">')
    for stage, at in stages_of(result):
        if stage.name == verdict.stopped:
            inside = f'<failure message="{clean(verdict.why)}"/>'
        else:
            inside = "<skipped/>" if at is None else ""
        yield (f' <testcase classname="{name}" name="{clean(stage.what)}" '
               f'time="{at or 0:.1f}">{inside}</testcase>')
    console = "\n".join(text for _, text in result.course.lines[-200:])
    yield f" <system-out>{clean(console)}</system-out>"
    yield "</testsuite>"


STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1c1c1c; background: #fff; margin: 0 auto;
  padding: 1.5em; max-width: 70em }
h1 { font-size: 1.35em; margin: 0 0 .2em; overflow-wrap: anywhere }
h2 { font-size: 1.05em; margin: 1.8em 0 .4em }
.verdict { padding: .6em .8em; border-left: .35em solid; margin: 1em 0; overflow-wrap: anywhere }
.good { border-color: #1a7f37; background: #e9f6ec }
.bad { border-color: #b42318; background: #fdecea }
svg { width: 100%; height: auto; display: block } svg text { font: 13px system-ui, sans-serif }
pre { font: 12.5px/1.4 ui-monospace, monospace; background: #f6f6f6; border: 1px solid #ddd;
  padding: .7em; overflow: auto; max-height: 32em; white-space: pre-wrap; overflow-wrap: anywhere }
pre i { color: #767676; font-style: normal; user-select: none }
table { border-collapse: collapse } td, th { text-align: left; padding: .15em 1.2em .15em 0 }
summary { cursor: pointer; padding: .3em 0 } details { margin: 1em 0 }
a { color: inherit }
td.number { text-align: right; font-variant-numeric: tabular-nums }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #161616 }
  .good { background: #12301b } .bad { background: #3a1714 } svg { fill: #e6e6e6 }
  pre { background: #1f1f1f; border-color: #3a3a3a } pre i { color: #9a9a9a } }
"""
ROW, LEFT, RIGHT = 30, 110, 880


def axis(result):
    """The stages as bars of an SVG, each from the one before to its own time."""
    end = max([at for _, at in stages_of(result) if at is not None] + [result.took, 1])
    step = next(s for s in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 1 << 30)
                if end / s <= 10)
    scale = (RIGHT - LEFT) / end
    rows = stages_of(result)
    height = ROW * len(rows)
    out = [f'<svg viewBox="0 0 960 {height + 30}" role="img" aria-label="stages over time">']
    for tick in range(0, int(end) + 1, step):
        x = LEFT + tick * scale
        out.append(f'<path d="M{x:.1f} 0V{height}" stroke="#bbb" stroke-width="1"/>'
                   f'<text x="{x:.1f}" y="{height + 18}" text-anchor="middle">{tick} s</text>')
    before = 0.0
    for number, (stage, at) in enumerate(rows):
        y = number * ROW + ROW / 2
        out.append(f'<text x="0" y="{y + 5}">{stage.name}</text>')
        failed = stage.name == result.verdict.stopped
        to = at if at is not None else (result.took if failed else None)
        if to is None:
            continue
        begin = min(before, to)
        colour = "#b42318" if failed else "#2d6cb5"
        out.append(f'<rect x="{LEFT + begin * scale:.1f}" y="{y - 8}" height="16" rx="2" '
                   f'width="{max((to - begin) * scale, 3):.1f}" fill="{colour}"/>')
        label = "stopped here" if failed else f"{to:.1f}"
        x = LEFT + to * scale + 6
        if x > RIGHT:  # no room behind the bar: in front of it
            out.append(f'<text x="{LEFT + begin * scale - 6:.1f}" y="{y + 5}" '
                       f'text-anchor="end">{label}</text>')
        else:
            out.append(f'<text x="{x:.1f}" y="{y + 5}">{label}</text>')
        before = max(before, to) if stage.name != "network" else before
    return "\n".join(out + ["</svg>"])


def log(lines):
    """A log with the time of each line."""
    half = PAGE_LINES // 2
    left_out = len(lines) - 2 * half
    if left_out > 0:
        lines = lines[:half] + [(lines[half][0], f"... {left_out} lines ...")] + lines[-half:]
    return "<pre>" + "\n".join(f"<i>{at:8.1f} </i>{clean(text)}" for at, text in lines) + "</pre>"


def azure_of(result):
    """What the guest asked of Azure's services."""
    if not result.requests:
        return ""
    return "<h2>Requests to Azure's services</h2>\n<pre>" + \
        "\n".join(clean(one) for one in result.requests) + "</pre>"


def page(results):
    """HTML with everything in it."""
    image = results[0].image
    if len(results) == 1:
        kind = "bad" if code_of(results) else "good"
        body = f'<p class="verdict {kind}">{clean(summary(results[0]))}</p>{part(results[0])}'
    else:
        body = parts(results)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>openvmbus image: {clean(image.title)}</title><style>{STYLE}</style></head><body>
<h1>{clean(image.title)}</h1>
<p>{image.format}{", ISO" if image.kind == "iso" else ""}; exit code {code_of(results)}</p>
{body}
</body></html>
"""


def parts(results):
    """A table of all machines, and behind it what there is to say of each."""
    rows = "".join(
        f'<tr><td>{clean(r.machine["generation"] or "newest")}</td>'
        f'<td class="number">{clean(r.machine["cpus"])}</td><td>{clean(r.machine["drivers"])}</td>'
        f'<td class="number">{r.verdict.code}</td><td class="number">{r.took:.1f}</td>'
        f'<td><a href="#m{i}">{clean(verdict_of(r))}</a></td></tr>' for i, r in enumerate(results))
    # A link to a part of closed details opens them, one to the details themselves does not.
    each = "".join(f"<details><summary>{clean(name_of(r.machine))}: {clean(verdict_of(r))}"
                   f'</summary><div id="m{i}">{part(r)}</div></details>'
                   for i, r in enumerate(results))
    kind = "bad" if code_of(results) else "good"
    return (f'<p class="verdict {kind}">started on {started(results)} of {len(results)} '
            "machines</p><table><tr><th>generation</th><th>processors</th><th>drivers</th>"
            f"<th>exit</th><th>seconds</th><th></th></tr>{rows}</table>{each}")


def part(result):
    """What there is to say of one machine."""
    rows = "".join(f'<tr><td>{s.name}</td><td class="number">{"-" if at is None else f"{at:.1f}"}'
                   f"</td><td>{clean(s.what)}</td></tr>" for s, at in stages_of(result))
    notes = "".join(f"<p>Note: {clean(note)}</p>" for note in notes_of(result))
    return f"""<p>Started by {clean(result.by or "nothing")}; {clean(name_of(result.machine))}</p>
{notes}
<h2>Stages over time</h2>
{axis(result)}
<h2>Stages</h2>
<table><tr><th>stage</th><th>seconds</th><th></th></tr>{rows}</table>
<h2>Console</h2>
{log(result.course.lines)}
<h2>Messages of the host</h2>
{log(result.course.host)}
{azure_of(result)}
<h2>Command</h2>
<pre>{clean(" ".join(result.command))}</pre>"""
