# SPDX-License-Identifier: Apache-2.0
"""One simulated city, as all kinds tell it: the lines, and how one kind's follow another's.

The rules are those of producers/simulate_story.h.
"""

import datetime
import json
from bisect import bisect_right
from collections import defaultdict
from itertools import accumulate

from lib.system import DAY_MS, MINUTE_MS

# kind: (program and its words, events a day, sources); the last four end with the story
KINDS = {
    "checkpoint": (("fx-checkpoint",), 1000, 60),
    "test_site": (("fx-test-site",), 2000, 40),
    "quarantine": (("fx-quarantine",), 1500, 40),
    "screening": (("fx-emit", "screening"), 1_000_000, 1),
    "contact": (("fx-emit", "contact"), 1_000_000, 1),
    "duty": (("fx-emit", "duty"), 1_000_000, 1),
    "service": (("fx-emit", "service"), 1_000_000, 1),
}
BACKGROUND = ("checkpoint", "test_site", "quarantine")
TIERS = ("CLOSE", "SECONDARY", "COMPANION")


def events_of(kind, begin, end):
    """Enough for the story of the span."""
    return KINDS[kind][1] * -(-(instant_ms(end) - instant_ms(begin)) // DAY_MS)


def words_of(kind, seed, begin, end, sources=None, events=None):
    """The command line that plays the kind."""
    program = KINDS[kind][0]
    words = ["--simulate", "--events", events or events_of(kind, begin, end)]
    words += ["--sources", sources or KINDS[kind][2]]
    words += ["--seed", seed]
    return [*program, *words, "--from", begin, "--to", end]


def instant_ms(text):
    return round(datetime.datetime.fromisoformat(text).timestamp() * 1000)


def is_told(kind, event):
    """Whether the line is of the story and not of the random background."""
    return kind not in BACKGROUND or event["source"].endswith("-000")


class City:
    """events[kind]: the lines of its run, in order, as events with at_ms."""

    def __init__(self, run, seed, begin, end):
        self.begin, self.end = begin, end
        self.from_ms, self.to_ms = instant_ms(begin), instant_ms(end)
        self.events = {}
        for kind in KINDS:
            out = run(*words_of(kind, seed, begin, end), "--dry-run").out
            events = [json.loads(row) for row in out.splitlines()]
            for event in events:
                event["at_ms"] = instant_ms(event["occurred_at"])
            self.events[kind] = events

    def told(self, kind, **wanted):
        """The story's lines whose fields have these values."""
        return [
            e
            for e in self.events[kind]
            if is_told(kind, e) and all(e[field] == value for field, value in wanted.items())
        ]


class Course:
    """When how many went through a step: {key: [(at_ms, how many)]}, by time."""

    def __init__(self, events, by=("region", "tier"), count="persons"):
        self.by_key = defaultdict(list)
        for event in events:
            if event[count] > 0:
                key = tuple(event[name] for name in by)
                self.by_key[key].append((event["at_ms"], event[count]))
        self.sums = {}
        for key, steps in self.by_key.items():
            steps.sort()
            self.sums[key] = [at for at, _ in steps], list(accumulate(n for _, n in steps))

    def until(self, key, at_ms):
        times, sums = self.sums.get(key, ([], []))
        index = bisect_right(times, at_ms)
        return sums[index - 1] if index else 0

    def totals(self):
        return {key: sums[-1] for key, (_, sums) in self.sums.items()}

    def total(self):
        return sum(self.totals().values())


def follows(first, second, least_min, most_min, is_whole=True):
    """Whoever is in second was in first so many minutes before; and, is_whole, none is missing."""
    assert second.total() > 0
    for key, steps in second.by_key.items():
        for at_ms, _ in steps:
            before = first.until(key, at_ms - least_min * MINUTE_MS)
            assert second.until(key, at_ms) <= before, (key, at_ms)
    if not is_whole:
        return
    assert first.totals() == second.totals()
    for key, steps in first.by_key.items():
        for at_ms, _ in steps:
            after = second.until(key, at_ms + most_min * MINUTE_MS)
            assert after >= first.until(key, at_ms), (key, at_ms)
