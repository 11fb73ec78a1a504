# SPDX-License-Identifier: Apache-2.0
"""The lines of the reference day as a list of events that count, late ones and reversals with them,
and what may be asked of a list: no database, no program of ours."""

import csv
import json
import pathlib
from collections import defaultdict
from datetime import datetime, timedelta, timezone

SEED = pathlib.Path(__file__).resolve().parent
ZONE = timezone(timedelta(hours=8))
START = datetime(2022, 2, 10, tzinfo=ZONE)
MIDNIGHT = START + timedelta(days=1)
CITY, HAICHENG, JIAXI, DONGKENG = "441500", "441521115", "441581118", "441523106"
UNITS = ["441500-honghaiwan", "441500-huaqiao", "441502", "441521", "441523", "441581"]


def instant(text):
    return datetime.fromisoformat(text)


def stamp(time):
    """As PostgreSQL prints it in this zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S") + "+08"


def read(path):
    return [json.loads(row) for row in path.read_text(encoding="utf-8").splitlines()]


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Day:
    def __init__(self, folder=SEED / "day"):
        rows = table(SEED.parents[1] / "schemas/regions.csv")
        self.regions = {row["code"]: row for row in rows}
        self.registered = table(folder / "sources.csv")
        self.events = defaultdict(list)
        for home, is_late in ((folder, False), (folder / "late", True)):
            for path in sorted(home.glob("*.ndjson")):
                for line in read(path) if path.stem != "reversals" else []:
                    event = {**line, "time": instant(line["at"]), "sign": 1, "is_late": is_late}
                    self.events[path.stem].append(event)
        for undone in read(folder / "late/reversals.ndjson"):
            same = {"source": undone["source"], "id": undone["id"]}
            (original,) = self.only(self.events[undone["kind"]], **same)
            self.events[undone["kind"]].append({**original, "sign": -1, "is_late": True})
        self.kinds = sorted(self.events)

    def above(self, code):
        """The node and all above it; nothing of a code outside of the tree."""
        while code in self.regions:
            yield code
            code = self.regions[code]["parent"]

    def place(self, code):
        return self.regions[code]["level"], code, self.regions[code]["name"]

    def sources(self, kind, code=CITY):
        """Those registered at or below a node."""
        return [s for s in self.registered if s["kind"] == kind and code in self.above(s["region"])]

    def source(self, kind, name):
        return next(s for s in self.sources(kind) if s["source"] == name)

    def at(self, kind, code, role="region", since=START, until=MIDNIGHT, **where):
        """Events at or below a node, by the field that says where, in a time."""
        return [
            event
            for event in self.only(self.events[kind], **where)
            if (since is None or event["time"] >= since)
            and event["time"] < until
            and code in self.above(event.get(role))
        ]

    @staticmethod
    def only(events, **where):
        return [e for e in events if all(e.get(k) == v for k, v in where.items())]

    @staticmethod
    def total(events, field):
        return sum(event["sign"] * event.get(field, 0) for event in events)

    def silent_minutes(self, kind, source):
        """Five for each five-minute slot of the day in which it told nothing."""
        slots = {
            (event["time"] - START) // timedelta(minutes=5)
            for event in self.events[kind]
            if event["source"] == source and START <= event["time"] < MIDNIGHT
        }
        return 5 * (288 - len(slots))
