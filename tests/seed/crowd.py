# SPDX-License-Identifier: Apache-2.0
"""Days of many small events of every kind, drawn by schema: how many fall on a town follows a
gamma-Poisson law, as reports do, so that a town may have hundreds or none. Seeded."""

import bisect
import collections
import itertools
import json
import random

from lib.recount import OUTSIDE, Regions, Rollup
from lib.system import DAY_MS, HOUR_MS

EVENTS_A_DAY = {
    "checkpoint": 4000,
    "test_site": 2500,
    "quarantine": 900,
    "screening": 400,
    "contact": 700,
    "duty": 800,
    "service": 800,
}
ENVELOPE = {"sign": 1, "reverses_run": None, "reverses_seq": None, "counted_at": None}
# steps by which somebody leaves, and those by which they had come
GOES = {
    "quarantine": {"TRANSFERRED_OUT", "RELEASED", "HOSPITAL", "BECAME_CASE", "ABSCONDED"},
    "contact": {"HANDED_OFF", "BECAME_CASE", "CLOSED"},
    "duty": {"SIGN_OFF"},
}
COMES = {
    "quarantine": {"ADMITTED", "TRANSFERRED_IN"},
    "contact": {"LISTED"},
    "duty": {"SIGN_ON"},
}
HOURS = [1, 1, 1, 1, 2, 3, 6, 9, 10, 10, 9, 8, 7, 7, 8, 9, 9, 8, 6, 5, 4, 3, 2, 1]


def skewed(count, first=0.8):
    """Weights that fall off: the first value is the usual one, the last is rare."""
    rest = [0.4**i for i in range(count - 1)]
    return [first] + [(1 - first) * r / sum(rest) for r in rest] if rest else [1.0]


class Crowd:
    """The events of one kind, day after day."""

    def __init__(self, schemas, kind, seed):
        self.kind, self.random = kind, random.Random(f"{seed} {kind}")
        folder = schemas / kind
        versions = sorted(folder.glob("*.avsc"), key=lambda p: int(p.stem))
        self.schema = json.loads(versions[-1].read_text())
        self.fields = [f for f in self.schema["fields"][9:]]
        self.sums = self.schema.get("sums", [])
        regions = Regions(schemas / "regions.csv")
        self.towns = [code for code, level in regions.level.items() if level == "town"]
        self.city = next(c for c, at in regions.lineage.items() if len(at) == 1 and c != OUTSIDE)
        self.weights = [self.random.gammavariate(0.7, 1) for _ in self.towns]
        self.inside = []  # events of those who came and have not gone
        self.events = 0

    def place(self):
        if self.random.random() < 0.01:
            return self.city
        return self.random.choices(self.towns, self.weights)[0]

    def day(self, starts_ms, factor=1.0):
        count = round(EVENTS_A_DAY[self.kind] * factor * self.random.gauss(1, 0.05))
        hours = self.random.choices(range(24), HOURS, k=count)
        for at in sorted(h * HOUR_MS + self.random.randrange(HOUR_MS) for h in hours):
            yield self.event(starts_ms + at)

    def event(self, at_ms):
        place = self.place()
        self.events += 1
        event = {
            **ENVELOPE,
            "source": f"SIM-{self.kind}-{place}",
            "run": 1,
            "seq": self.events,
            "occurred_at": at_ms,
            "region": place,
        }
        for field in self.fields:
            event[field["name"]] = self.value(field)
        self.make_sense(event)
        return event

    def value(self, field):
        name, kind = field["name"], field["type"]
        if isinstance(kind, list):
            other = next(t for t in kind if t != "null")
            return self.value({**field, "type": other}) if self.random.random() < 0.7 else None
        if isinstance(kind, dict):
            symbols = kind["symbols"]
            return self.random.choices(symbols, skewed(len(symbols), 0.35))[0]
        if kind == "boolean":
            return self.random.random() < 0.3
        if kind == "string":
            return self.code(name)
        if name.startswith("minutes_"):
            return min(int(self.random.expovariate(1 / 300)), field.get("max", 10**6))
        return min(1 + int(self.random.expovariate(0.9)), field.get("max", 10**6))

    def code(self, name):
        if name in ("origin", "unit"):
            return OUTSIDE if self.random.random() < 0.1 else self.place()
        return "R1"

    def make_sense(self, event):
        """Sums hold, nobody goes who has not come, a part is not more than its whole."""
        for rule in self.sums:
            for part in rule["parts"]:
                event[part] = 0
            for _ in range(event[rule["total"]]):
                part = self.random.choices(rule["parts"], skewed(len(rule["parts"]), 0.9))[0]
                event[part] += 1
        step = event.get("step")
        if step in GOES.get(self.kind, ()):
            self.leave(event)
        elif step in COMES.get(self.kind, ()):
            bisect.insort(self.inside, (self.random.random(), self.events, event))
        if self.kind == "checkpoint":
            event["temperature_taken"] = event["persons"]
            event["temperature_high"] = int(self.random.random() < 0.01)
        for less, more in (("tubes", "persons"), ("households", "persons")):
            if less in event and more in event:
                event[less] = min(event[less], event[more])

    def leave(self, event):
        """All of those who came in one event, by its place and its other names."""
        if not self.inside:
            event["step"] = next(s for s in event_steps(self.schema) if s in COMES[self.kind])
            bisect.insort(self.inside, (self.random.random(), self.events, event))
            return
        came = self.inside.pop()[2]
        for name in event:
            if name not in ("step", "occurred_at", "seq", *ENVELOPE):
                event[name] = came[name]


def event_steps(schema):
    return next(f["type"]["symbols"] for f in schema["fields"] if f["name"] == "step")


class World:
    """Days of all kinds, counted by an independent reader."""

    def __init__(self, schemas, seed, starts_ms, days=2, factor=1.0):
        self.regions = Regions(schemas / "regions.csv")
        self.starts_ms, self.days = starts_ms, days
        self.rollups, self.sources = {}, set()
        for kind in EVENTS_A_DAY:
            self.count(schemas, kind, Crowd(schemas, kind, seed), factor)
        self.tables = {}
        for rollup in self.rollups.values():
            self.tables |= rollup.tables()

    def count(self, schemas, kind, crowd, factor):
        rollups = [Rollup(p, self.regions) for p in (schemas / kind).glob("*.rollup.json")]
        self.rollups |= {rollup.name: rollup for rollup in rollups}
        days = (crowd.day(self.starts_ms + d * DAY_MS, factor) for d in range(self.days))
        for event in itertools.chain.from_iterable(days):
            self.sources.add((event["source"], kind, event["region"]))
            for rollup in rollups:
                rollup.add(event, event["occurred_at"])

    def cut_offs(self):
        """The end of every hour."""
        return [self.starts_ms + h * HOUR_MS for h in range(1, self.days * 24 + 1)]

    def truth(self, name, cut_off_ms, dimensions):
        """{(region, values of the dimensions, column): exact figure of the day so far}."""
        rollup, out = self.rollups[name], collections.defaultdict(int)
        starts_ms = self.starts_ms + (cut_off_ms - 1 - self.starts_ms) // DAY_MS * DAY_MS
        at = [rollup.dimensions.index(d) for d in dimensions]
        for level in ("town", "county", "city"):
            for key, row in self.tables.get(f"{name}_{level}", {}).items():
                region, bucket, *values = key
                if starts_ms <= bucket < cut_off_ms:
                    for column, value in row.items():
                        self.merge(out, (region, tuple(values[i] for i in at), column), value)
        return out

    @staticmethod
    def merge(out, key, value):
        if key[2].endswith("_max"):
            if value is not None:
                out[key] = max(out.get(key, value), value)
        else:
            out[key] += value or 0
