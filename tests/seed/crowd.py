# SPDX-License-Identifier: Apache-2.0
"""Days of many small events of every kind, drawn by schema: how many fall on a town follows a
gamma-Poisson law, as reports do, so that a town may have hundreds or none. Seeded."""

import bisect
import collections
import functools
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
# steps by which somebody, or a tube, leaves, and those by which they had come
GOES = {
    "quarantine": {"TRANSFERRED_OUT", "RELEASED", "HOSPITAL", "BECAME_CASE", "ABSCONDED"},
    "contact": {"HANDED_OFF", "BECAME_CASE", "CLOSED"},
    "test_site": {"REJECTED", "RESULTED"},
    "duty": {"SIGN_OFF"},
}
COMES = {
    "quarantine": {"ADMITTED", "TRANSFERRED_IN"},
    "contact": {"LISTED"},
    "test_site": {"SEALED"},
    "duty": {"SIGN_ON"},
}
OWN = {"step", "occurred_at", "seq", "result", "minutes_since_sampling", "minutes_since_listed"}
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
        self.numbers = collections.Counter()  # of each source

    def place(self):
        if self.random.random() < 0.01:
            return self.city
        return self.random.choices(self.towns, self.weights)[0]

    def day(self, starts_ms, busy):
        count = round(EVENTS_A_DAY[self.kind] * busy * self.random.gauss(1, 0.05))
        hours = self.random.choices(range(24), HOURS, k=count)
        for at in sorted(h * HOUR_MS + self.random.randrange(HOUR_MS) for h in hours):
            yield self.event(starts_ms + at)

    def event(self, at_ms):
        place = self.place()
        event = {
            **ENVELOPE,
            "source": f"SIM-{self.kind}-{place}",
            "run": 1,
            "seq": 0,
            "occurred_at": at_ms,
            "region": place,
        }
        for field in self.fields:
            event[field["name"]] = self.value(field)
        self.make_sense(event)
        self.numbers[event["source"]] += 1
        event["seq"] = self.numbers[event["source"]]
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
        value = int(self.random.expovariate(1 / 300 if name.startswith("minutes_") else 0.9))
        return min(max(field.get("min", 0), 1) + value, field.get("max", 10**6))

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
            self.enter(event)
        if self.kind == "checkpoint":
            event["temperature_taken"] = event["persons"]
            event["temperature_high"] = int(self.random.random() < 0.01)
        for less, more in (("tubes", "persons"), ("households", "persons")):
            if less in event and more in event:
                event[less] = min(event[less], event[more])
        if step == "RESULTED":
            if event["result"] == "PRESUMPTIVE_POSITIVE" and self.random.random() < 0.5:
                event["scheme"] = "RETEST"
            if event["scheme"] == "RETEST":
                event["persons"] = event["tubes"]

    def leave(self, event):
        """All of those who came in one event, by its place and its other names."""
        if not self.inside:
            event["step"] = min(COMES[self.kind])
            self.enter(event)
            return
        came = self.inside.pop()[1]
        for name in event:
            if name not in OWN and name not in ENVELOPE:
                event[name] = came[name]

    def enter(self, event):
        """Who leaves next is anybody."""
        bisect.insort(self.inside, (self.random.random(), event), key=lambda one: one[0])


class World:
    """Days of all kinds, counted by an independent reader."""

    def __init__(self, schemas, seed, starts_ms, busy):
        """busy: a number per day, 1 for EVENTS_A_DAY."""
        self.regions = Regions(schemas / "regions.csv")
        self.starts_ms = starts_ms
        self.rollups, self.sources, self.events = {}, set(), {}
        for kind in EVENTS_A_DAY:
            crowd = Crowd(schemas, kind, seed)
            days = (crowd.day(starts_ms + d * DAY_MS, b) for d, b in enumerate(busy))
            self.events[kind] = list(itertools.chain.from_iterable(days))
        self.list_positives()
        for kind in EVENTS_A_DAY:
            self.count(schemas, kind)
        self.tables = {}
        for rollup in self.rollups.values():
            self.tables |= rollup.tables()

    def list_positives(self):
        """Whom retests find stands on the lists as positive, and nobody else."""
        listed = [e for e in self.events["contact"] if e["step"] != "POSITIVE"]
        found = [
            e
            for e in self.events["test_site"]
            if (e["step"], e["scheme"], e["result"])
            == ("RESULTED", "RETEST", "PRESUMPTIVE_POSITIVE")
        ]
        positives = [
            {
                **contact,
                "step": "POSITIVE",
                "persons": e["tubes"],
                "source": f"SIM-contact-{e['region']}",
                "region": e["region"],
                "occurred_at": e["occurred_at"],
            }
            for contact, e in zip(listed, found)
        ]
        self.events["contact"] = sorted(listed + positives, key=lambda e: e["occurred_at"])
        numbers = collections.Counter()
        for event in self.events["contact"]:
            numbers[event["source"]] += 1
            event["seq"] = numbers[event["source"]]

    def count(self, schemas, kind):
        rollups = [Rollup(p, self.regions) for p in (schemas / kind).glob("*.rollup.json")]
        self.rollups |= {rollup.name: rollup for rollup in rollups}
        for event in self.events[kind]:
            self.sources.add((event["source"], kind, event["region"]))
            for rollup in rollups:
                rollup.add(event, event["occurred_at"])

    def cut_offs(self, day):
        """The ends of its hours."""
        return [self.starts_ms + day * DAY_MS + h * HOUR_MS for h in range(1, 25)]

    @functools.cache
    def hours(self, name):
        """{start of an hour: [(region, values of the dimensions, row)]}."""
        out = collections.defaultdict(list)
        for level in ("town", "county", "city"):
            for (region, bucket, *values), row in self.tables.get(f"{name}_{level}", {}).items():
                out[bucket - bucket % HOUR_MS].append((region, values, row))
        return out

    @functools.cache
    def figures(self, name, starts_ms, ends_ms, dimensions=()):
        """{(region, values of the dimensions, column): what was counted in these hours}: those of
        one hour less, and the last."""
        out = collections.defaultdict(int)
        if starts_ms == ends_ms:
            return out
        out |= self.figures(name, starts_ms, ends_ms - HOUR_MS, dimensions)
        at = [self.rollups[name].dimensions.index(d) for d in dimensions]
        for region, values, row in self.hours(name)[ends_ms - HOUR_MS]:
            for column, value in row.items():
                self.merge(out, (region, tuple(values[i] for i in at), column), value)
        return out

    @staticmethod
    def merge(out, key, value):
        if not key[2].endswith("_max"):
            out[key] += value or 0
        elif value is not None:
            out[key] = max(out.get(key, value), value)

    def truth(self, definition, cut_off_ms, dimensions):
        """Every figure of a snapshot as it is: {(region, values or None, column): number}."""
        starts_ms = cut_off_ms - 1 - (cut_off_ms - 1 - self.starts_ms) % DAY_MS
        name, out = definition.name, {}
        for values in ((), tuple(dimensions)):
            found = self.figures(name, starts_ms, cut_off_ms, values)
            for (region, chosen, column), number in found.items():
                out[region, chosen if values else None, column] = number
        before = self.figures(name, self.starts_ms, cut_off_ms)
        for stock, signs in definition.changes.items():
            for region in self.regions.level:
                came, went = (sum(before[region, (), c] for c in names) for names in signs)
                out[region, None, stock] = came - went
        return out
