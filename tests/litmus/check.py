#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""tests/litmus/check.py FILE...: the ring's barriers, from the axioms of two processors and of C11.

Each FILE is a litmus test in the C dialect of the Linux-kernel memory model, as herd7 reads it. Its
"exists" is an outcome that must not be. For each file this finds all executions that are consistent
with x86-TSO, with ARMv8 and with C11, and says whether one of them has that outcome or, in C11, a
data race. Then it does the same with each barrier weakened in turn: smp_mb() and smp_rmb() left out,
smp_load_acquire() and smp_store_release() made READ_ONCE() and WRITE_ONCE(). The file's "caught:"
lines say which of these must be noticed, and where. Prints TAP.

The models are axiomatic: an execution is a choice of whom each load reads from (rf) and of an order
of the stores to each location (co); it is consistent if some relations have no cycle.
x86-TSO: Owens, Sarkar, Sewell, "A better x86 memory model". ARMv8: the ARM Architecture Reference
Manual, B2.3, external visibility; Pulte et al., "Simplifying ARM concurrency". C11: Lahav et al., "Repairing
sequential consistency in C/C++11", with smp_mb() as a fence that is sequentially consistent and
smp_rmb() as one that acquires. Accesses are of one size, and there are no read-modify-writes, so
that is all there is to it.
"""
import itertools
import re
import sys

MODELS = ("x86", "arm64", "c11")
INSTRUCTION = re.compile(
    r"(?:int\s+)?(?P<to>r\d+)\s*=\s*(?P<load>READ_ONCE|smp_load_acquire)\((?:\*|)(?P<from>\w+)\)"
    r"|(?P<store>WRITE_ONCE|smp_store_release)\((?:\*|)(?P<at>\w+),\s*(?P<value>\w+)\)"
    r"|(?P<fence>smp_mb|smp_rmb)\(\)"
    r"|(?P<plain_to>r\d+)\s*=\s*\*(?P<plain_from>\w+)|\*(?P<plain_at>\w+)\s*=\s*(?P<plain_value>\w+)"
    r"|if\s*\((?P<if>[^)]+)\)\s*\{|(?P<end>\})"
)


class Event:
    def __init__(self, thread, kind, place="", value=None, register="", order="", condition=()):
        self.thread, self.kind, self.place = thread, kind, place
        self.value, self.register, self.order = value, register, order
        self.condition = condition  # registers that decide whether it happens


def parse(text):
    """Threads as lists of events, the condition, and what must be caught."""
    threads = []
    body = re.sub(r"\(\*.*?\*\)", "", text, flags=re.S)
    for match in re.finditer(r"P(\d+)\(([^)]*)\)\s*\{(.*?)\n\}", body, flags=re.S):
        thread, events, conditions = int(match.group(1)), [], []
        for found in INSTRUCTION.finditer(match.group(3)):
            g = found.groupdict()
            held = tuple(conditions)
            if g["load"]:
                order = "acquire" if "acquire" in g["load"] else ""
                events.append(Event(thread, "R", g["from"], None, g["to"], order, held))
            elif g["store"]:
                order = "release" if "release" in g["store"] else ""
                events.append(Event(thread, "W", g["at"], int(g["value"]), "", order, held))
            elif g["plain_to"]:
                events.append(Event(thread, "R", g["plain_from"], None, g["plain_to"], "plain", held))
            elif g["plain_at"]:
                value = int(g["plain_value"])
                events.append(Event(thread, "W", g["plain_at"], value, "", "plain", held))
            elif g["fence"]:
                events.append(Event(thread, "F", order=g["fence"], condition=held))
            elif g["if"]:
                conditions.append(g["if"])
            elif g["end"] and conditions:
                conditions.pop()
        threads.append(events)
    outcome = re.search(r"exists\s*\((.*)\)", body, flags=re.S).group(1)
    caught = [line.split() for line in re.findall(r"caught: (.*)", text)]
    return threads, outcome, caught


def paths(events):
    """Each way through a thread: the events that happen, and the conditions that held or not."""
    conditions = sorted({c for e in events for c in e.condition})
    for values in itertools.product((True, False), repeat=len(conditions)):
        holds = dict(zip(conditions, values))
        yield [e for e in events if all(holds[c] for c in e.condition)], holds


def truth(condition, registers):
    text = re.sub(r"r\d+", lambda m: str(registers[m.group()]), condition)
    if not re.fullmatch(r"[\d\s=!<>&|]+", text):
        raise ValueError(condition)
    return bool(eval(text.replace("&&", " and ").replace("||", " or ")))  # digits and operators only


def has_cycle(edges, count):
    after = [[] for _ in range(count)]
    for a, b in edges:
        after[a].append(b)
    state = [0] * count

    def visit(n):
        state[n] = 1
        for m in after[n]:
            if state[m] == 1 or (state[m] == 0 and visit(m)):
                return True
        state[n] = 2
        return False

    return any(state[n] == 0 and visit(n) for n in range(count))


def preserved(model, events, po, dependencies):
    """Pairs of one thread's accesses that every processor of the model keeps in order."""
    fences = [(i, e) for i, e in enumerate(events) if e.kind == "F"]
    kept = set()
    for a, b in po:
        first, second = events[a], events[b]
        if "F" in (first.kind, second.kind):
            continue
        between = [f.order for i, f in fences if (a, i) in po and (i, b) in po]
        if "smp_mb" in between:
            kept.add((a, b))
        elif model == "x86":
            if not (first.kind == "W" and second.kind == "R"):
                kept.add((a, b))
        elif first.kind == "R" and "smp_rmb" in between:  # DMB ISHLD
            kept.add((a, b))
        elif first.order == "acquire" or second.order == "release":
            kept.add((a, b))
        elif first.order == "release" and second.order == "acquire":
            kept.add((a, b))
        elif (a, b) in dependencies and second.kind == "W":  # ctrl;[W]
            kept.add((a, b))
    return kept


def consistent(model, events, po, dependencies, rf, co):
    """None: no; else whether it has a data race. rf: load -> store or None (the initial value);
    co: (earlier, later) stores of a place."""
    count = len(events)
    reads = [i for i, e in enumerate(events) if e.kind == "R"]
    writes = [i for i, e in enumerate(events) if e.kind == "W"]
    from_reads = set()
    for r in reads:
        for w in writes:
            if events[w].place == events[r].place and (
                    rf[r] is None or (rf[r], w) in co):
                from_reads.add((r, w))
    reads_from = {(w, r) for r, w in rf.items() if w is not None}
    same_place = {(a, b) for a, b in po if events[a].place and events[a].place == events[b].place}
    if has_cycle(same_place | reads_from | co | from_reads, count):
        return None
    if model == "c11":
        return c11(events, po, rf, co, from_reads)

    def external(pairs):
        return {(a, b) for a, b in pairs if events[a].thread != events[b].thread}

    kept = preserved(model, events, po, dependencies)
    if model == "x86":
        bad = has_cycle(kept | external(reads_from) | co | from_reads, count)
    else:
        seen = external(reads_from) | external(co) | external(from_reads)
        bad = has_cycle(kept | seen, count)
    return None if bad else False


def closure(pairs):
    closed = set(pairs)
    while True:
        more = {(a, d) for a, b in closed for c, d in closed if b == c} - closed
        if not more:
            return closed
        closed |= more


def synchronizes(events, po, reads_from):
    """Release to acquire, each by the access itself or by a fence beside it."""
    pairs = set()
    for w, r in reads_from:
        releases = [w] if events[w].order == "release" else []
        releases += [f for f, x in po if x == w and events[f].order == "smp_mb"]
        acquires = [r] if events[r].order == "acquire" else []
        acquires += [f for x, f in po if x == r and events[f].order in ("smp_mb", "smp_rmb")]
        pairs.update(itertools.product(releases, acquires))
    return pairs


def c11(events, po, rf, co, from_reads):
    """None: not consistent; else whether there is a data race."""
    count = len(events)
    reads_from = {(w, r) for r, w in rf.items() if w is not None}
    before = closure(po | synchronizes(events, po, reads_from))
    eco = closure(reads_from | co | from_reads)
    if has_cycle(po | reads_from, count) or any((b, a) in before for a, b in eco):
        return None
    if any(a == b for a, b in before):
        return None
    fences = [i for i, e in enumerate(events) if e.order == "smp_mb"]
    linked = {(a, d) for a, b in before for c, d in eco if b == c}
    linked = {(a, d) for a, b in linked for c, d in before if b == c}
    psc = {(a, b) for a, b in before | linked if a in fences and b in fences}
    if has_cycle(psc, count):
        return None
    for a, b in itertools.combinations(range(count), 2):
        x, y = events[a], events[b]
        if (x.place and x.place == y.place and x.thread != y.thread and "W" in (x.kind, y.kind)
                and "plain" in (x.order, y.order) and not {(a, b), (b, a)} & before):
            return True
    return False


def executions(model, threads):
    """Yields the registers of each consistent execution, and whether it has a data race."""
    for choice in itertools.product(*(list(paths(t)) for t in threads)):
        events = [e for path, _ in choice for e in path]
        index = {id(e): i for i, e in enumerate(events)}
        po, dependencies = set(), set()
        for path, _ in choice:
            for a, b in itertools.combinations(path, 2):
                po.add((index[id(a)], index[id(b)]))
                if a.kind == "R" and any(a.register in c for c in b.condition):
                    dependencies.add((index[id(a)], index[id(b)]))
        writes = {}
        for i, e in enumerate(events):
            if e.kind == "W":
                writes.setdefault(e.place, []).append(i)
        reads = [i for i, e in enumerate(events) if e.kind == "R"]
        sources = [[None] + writes.get(events[r].place, []) for r in reads]
        orders = [list(itertools.permutations(w)) for w in writes.values()]
        for source in itertools.product(*sources):
            rf = dict(zip(reads, source))
            registers = {}
            for r, w in rf.items():
                value = 0 if w is None else events[w].value
                registers[(events[r].thread, events[r].register)] = value
            if not all(truth(c, {r: v for (t, r), v in registers.items() if t == number}) == holds
                       for number, (_, conditions) in enumerate(choice)
                       for c, holds in conditions.items()):
                continue
            for order in itertools.product(*orders):
                co = {pair for o in order for pair in itertools.combinations(o, 2)}
                race = consistent(model, events, po, dependencies, rf, co)
                if race is not None:
                    yield registers, race


def happens(model, threads, outcome):
    def term(match):
        return str(registers.get((int(match.group(1)), match.group(2)), -1))

    for registers, race in executions(model, threads):
        text = re.sub(r"(\d+):(r\d+)", term, outcome)
        text = text.replace("/\\", " and ").replace("\\/", " or ")
        text = re.sub(r"(?<![=!<>])=(?!=)", "==", text)
        if not re.fullmatch(r"[-\d\s=()andor]+", text):
            raise ValueError(outcome)
        if race or eval(text):  # numbers, comparisons and two words
            return True
    return False


def weakened(threads):
    """Yields the name of each barrier, and the threads without it."""
    for t, events in enumerate(threads):
        names = {}
        for i, e in enumerate(events):
            name = e.order if e.kind == "F" else {"acquire": "smp_load_acquire",
                                                  "release": "smp_store_release"}.get(e.order)
            if not name:
                continue
            names[name] = names.get(name, 0) + 1
            copy = list(events)
            if e.kind == "F":
                del copy[i]
            else:
                copy[i] = Event(e.thread, e.kind, e.place, e.value, e.register, "", e.condition)
            yield f"P{t}.{name}.{names[name]}", threads[:t] + [copy] + threads[t + 1:]


number = failures = 0


def judge(name, good):
    global number, failures
    number += 1
    failures += not good
    print(f"{'ok' if good else 'not ok'} {number} - {name}")


def check(path):
    threads, outcome, caught = parse(open(path, encoding="utf-8").read())
    title = re.sub(r".*/|\.litmus$", "", path)
    said = set()
    for model in MODELS:
        judge(f"{title}_is_forbidden_on_{model}", not happens(model, threads, outcome))
        for name, weak in weakened(threads):
            expected = any(line[0] == name and model in line[1:] for line in caught)
            said.add(name)
            found = happens(model, weak, outcome)
            word = "is_caught" if expected else "is_not_needed"
            judge(f"{title}_without_{name}_{word}_on_{model}", found == expected)
    judge(f"{title}_names_its_barriers", {line[0] for line in caught} <= said)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        check(argument)
    print(f"1..{number}")
    sys.exit(1 if failures else 0)
