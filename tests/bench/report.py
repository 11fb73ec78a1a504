# SPDX-License-Identifier: Apache-2.0
"""What the benchmark says: tables as they come, all targets at the end, everything as JSON, by
section: what a run leaves out stays in the file as it was last."""

import contextlib
import json
import statistics
import sys
import traceback


def number(value):
    """Three digits that matter: 12345, 123, 12.3, 1.23, 0.123."""
    if not isinstance(value, float):
        return str(value)
    size = abs(value)
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"


def percentile(values, share):
    """The smallest value that at least share (0 to 1) of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def spread(values):
    """[min, median, max]"""
    return [min(values), statistics.median(values), max(values)]


class Report:
    """Called with (name, value, target, is_ok) it takes a target's result."""

    def __init__(self):
        self.sections = {}
        self.section = None  # what is kept of the one that runs

    def begin(self, section, where):
        """where: on what, when and how it ran."""
        self.section = self.sections[section] = {**where, "targets": []}

    def __call__(self, name, value, target, is_ok):
        self.section["targets"].append(
            {"name": name, "value": value, "target": target, "is_ok": bool(is_ok)}
        )

    def at_least(self, name, value, bound):
        self(name, value, f">={bound}", value >= bound)

    def at_most(self, name, value, bound):
        self(name, value, f"<={bound}", value <= bound)

    def broken(self, section):
        """A section that an exception ended: a failure, whatever its targets say."""
        traceback.print_exc()
        self(f"{section}_ended", str(sys.exc_info()[0].__name__), "done", False)

    def say(self, *lines):
        for line in lines:
            print(line, flush=True)

    def table(self, title, headers, rows):
        cells = [headers, *([number(cell) for cell in row] for row in rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
        self.say("", title)
        for row in cells:
            first, *rest = (
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths))
            )
            self.say("  " + "  ".join([first, *rest]).rstrip())

    def keep(self, name, data):
        """Something for results.json."""
        self.section[name] = data

    def write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        found = {}
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(path.read_text())
        kept = {k: v for k, v in found.items() if isinstance(v, dict) and "targets" in v}
        new = path.with_suffix(".new")
        text = json.dumps({**kept, **self.sections}, indent=1, ensure_ascii=False)
        new.write_text(text + "\n")
        new.replace(path)

    def close(self):
        """Prints the targets and the closing line; whether all are met."""
        targets = [target for one in self.sections.values() for target in one["targets"]]
        good = sum(target["is_ok"] for target in targets)
        bad = len(targets) - good
        self.say("")
        for target in targets:
            verdict = "ok" if target["is_ok"] else "short"
            self.say(f"{target['name']} {number(target['value'])} {target['target']} {verdict}")
        self.say(f"{good} passed, {bad} failed")
        return bad == 0 and good > 0
