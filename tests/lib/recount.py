# SPDX-License-Identifier: Apache-2.0
"""An independent recount: rollup definitions and events in, every cell of every table out.

Reads schemas/ as JSON and CSV and shares nothing with the C programs. An event is a dict as
fastavro decodes it. Cells are first gathered by (source, region, bucket, dimensions), then folded
into the tables by source, town, county and city.
"""

import csv
import json
import pathlib
from collections import defaultdict

OUTSIDE = "-"
ZERO_AGGREGATES = ("count", "sum")
UNITS_MS = {"min": 60_000, "h": 3_600_000}
AHEAD_MS = 600_000
NOT_BEFORE_MS = 1_577_836_800_000  # 2020-01-01T00:00Z


class Regions:
    def __init__(self, path):
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.level = {row["code"]: row["level"] for row in rows} | {OUTSIDE: "city"}
        parents = {row["code"]: row["parent"] for row in rows}
        self.lineage = {OUTSIDE: [OUTSIDE]}
        for code in parents:
            nodes, at = [], code
            while at:
                nodes.append(at)
                at = parents[at]
            self.lineage[code] = nodes


def condition(field, wanted):
    """A function of an event. Null passes no comparison but the one for it, as in SQL."""
    if wanted is None:
        return lambda e: e[field] is None
    if isinstance(wanted, list):
        return lambda e: e[field] is not None and e[field] in wanted
    if not isinstance(wanted, dict):
        return lambda e: e[field] is not None and e[field] == wanted
    tests = [comparison(field, name, value) for name, value in wanted.items()]
    return tests[0] if len(tests) == 1 else lambda e: all(test(e) for test in tests)


def comparison(field, name, value):
    if name == "not":
        if value is None:
            return lambda e: e[field] is not None
        excluded = value if isinstance(value, list) else [value]
        return lambda e: e[field] is not None and e[field] not in excluded
    return {
        "gt": lambda e: e[field] is not None and e[field] > value,
        "gte": lambda e: e[field] is not None and e[field] >= value,
        "lt": lambda e: e[field] is not None and e[field] < value,
        "lte": lambda e: e[field] is not None and e[field] <= value,
    }[name]


def substitute(thing, item):
    if isinstance(thing, str):
        return thing.replace("{}", item)
    if isinstance(thing, list):
        return [substitute(one, item) for one in thing]
    if isinstance(thing, dict):
        return {substitute(k, item): substitute(v, item) for k, v in thing.items()}
    return thing


def unfold(entry):
    """The plain columns of an entry with each or within."""
    if "each" in entry:
        for item in entry["each"]:
            one = substitute({k: v for k, v in entry.items() if k not in ("each", "doc")}, item)
            yield {**one, "name": entry["name"].replace("{}", item.lower())}
    elif "within" in entry:
        ((field, edges),) = entry["within"].items()
        for label, edge in edges.items():
            yield {**entry, "name": entry["name"].replace("{}", label), "edge": (field, edge)}
    else:
        yield entry


class Column:
    def __init__(self, entry):
        self.name = entry["name"]
        self.aggregate = next(a for a in ("count", "sum", "min", "max", "last") if a in entry)
        self.field = None if self.aggregate == "count" else entry[self.aggregate]
        self.tests = [condition(f, w) for f, w in entry.get("where", {}).items()]
        if "edge" in entry:
            field, edge = entry["edge"]
            self.tests.append(comparison(field, "lte", edge))
        self.empty = 0 if self.aggregate in ZERO_AGGREGATES else None


class Rollup:
    def __init__(self, path, regions):
        definition = json.loads(path.read_text())
        self.name = definition["rollup"]
        self.regions = regions
        self.region_field = definition.get("region", "region")
        self.dimensions = definition.get("dimensions", [])
        self.by = definition["by"]
        width = definition["bucket"]
        unit = "min" if width.endswith("min") else "h"
        self.bucket_ms = int(width.removesuffix(unit)) * UNITS_MS[unit]
        self.columns = [Column(one) for entry in definition["columns"] for one in unfold(entry)]
        self.sums = [
            (i, c.field) for i, c in enumerate(self.columns) if c.aggregate == "sum" and not c.tests
        ]
        self.others = [
            (i, c, c.tests[0] if len(c.tests) == 1 else None)
            for i, c in enumerate(self.columns)
            if c.aggregate != "sum" or c.tests
        ]
        self.empty = [column.empty for column in self.columns]
        self.base = {}

    def add(self, event, counted_ms):
        place = event[self.region_field]
        if place is None:
            return
        if place not in self.regions.level:
            place = OUTSIDE
        bucket = counted_ms // self.bucket_ms * self.bucket_ms
        key = (event["source"], place, bucket, *[event[d] for d in self.dimensions])
        cell = self.base.get(key)
        if cell is None:
            cell = self.base[key] = list(self.empty)
        sign = event["sign"]
        for i, field in self.sums:
            value = event[field]
            if value:
                cell[i] += sign * value
        for i, column, test in self.others:
            if test(event) if test else all(test(event) for test in column.tests):
                self.apply(cell, i, column, event, counted_ms)

    @staticmethod
    def apply(cell, i, column, event, counted_ms):
        if column.aggregate == "count":
            cell[i] += event["sign"]
            return
        value = event[column.field]
        if value is None:
            return
        if column.aggregate == "sum":
            cell[i] += event["sign"] * value
        elif event["sign"] > 0:
            one = value
            if column.aggregate == "last":
                one = (counted_ms, event["run"], event["seq"], value)
            cell[i] = Rollup.better(column.aggregate, cell[i], one)

    @staticmethod
    def better(aggregate, old, new):
        if old is None or new is None:
            return new if old is None else old
        return min(old, new) if aggregate == "min" else max(old, new)

    def fold(self, cells, key, base):
        cell = cells.get(key)
        if cell is None:
            cells[key] = list(base)
            return
        for i, column in enumerate(self.columns):
            if column.empty == 0:
                cell[i] += base[i]
            else:
                cell[i] = self.better(column.aggregate, cell[i], base[i])

    def tables(self):
        """{table: {key: {column: value}}}"""
        out = defaultdict(dict)
        for (source, place, *rest), base in self.base.items():
            if "source" in self.by:
                self.fold(out[f"{self.name}_source"], (source, *rest), base)
            if "region" in self.by:
                for node in self.regions.lineage[place]:
                    level = self.regions.level[node]
                    self.fold(out[f"{self.name}_{level}"], (node, *rest), base)
        for table in self.table_names():
            named = {key: self.named(table, cell) for key, cell in out[table].items()}
            out[table] = named
        return out

    def table_names(self):
        levels = ["town", "county", "city"] if "region" in self.by else []
        return [
            f"{self.name}_{suffix}"
            for suffix in levels + (["source"] if "source" in self.by else [])
        ]

    def named(self, table, cell):
        row = {}
        for column, value in zip(self.columns, cell):
            if column.aggregate != "last":
                row[column.name] = value
            elif table.endswith("_source"):
                row[column.name] = value[3] if value else None
                row[column.name + "_last"] = list(value[:3]) if value else None
        return row


class Recount:
    """Counts events of one kind. Whether one should count is the test's affair."""

    def __init__(self, schemas, kind, regions=None):
        folder = pathlib.Path(schemas)
        self.regions = Regions(regions or folder / "regions.csv")
        self.rollups = [Rollup(p, self.regions) for p in (folder / kind).glob("*.rollup.json")]
        self.kind = kind
        self.numbers = defaultdict(set)  # (source, run): numbers counted
        self.events = 0
        self.levels = defaultdict(int)  # events by the level of their region

    def add(self, event, append_ms=None):
        """append_ms is needed only where the event's clock is not to be believed."""
        run = self.numbers[event["source"], event["run"]]
        assert event["seq"] not in run, f"given twice: {event}"
        run.add(event["seq"])
        self.events += 1
        self.levels[self.regions.level[event["region"]]] += 1
        when = self.counted_ms(event, append_ms)
        for rollup in self.rollups:
            rollup.add(event, when)

    @staticmethod
    def counted_ms(event, append_ms):
        at = event["occurred_at"]
        if event["sign"] < 0:
            return at if event["counted_at"] is None else event["counted_at"]
        if append_ms is not None and (at > append_ms + AHEAD_MS or at < NOT_BEFORE_MS):
            return append_ms
        return at

    def compare(self, system, schema=None):
        """Differences between PostgreSQL and this, as texts; (cells compared, texts)."""
        compared, texts = 0, []
        for rollup in self.rollups:
            for table, wanted in rollup.tables().items():
                found = read_table(system, table, rollup.dimensions, schema)
                compared += sum(len(row) for row in wanted.values())
                texts += differences(table, wanted, found)
        return compared, texts

    def compare_ledger(self, system, schema=None):
        """source_ledger and source_gap against the numbers counted."""
        topic, texts = system.topic(self.kind), []
        ledger = system.rows(
            "SELECT * FROM {s}.source_ledger WHERE topic = %s", topic, schema=schema
        )
        gaps = defaultdict(list)
        for gap in system.rows(
            "SELECT * FROM {s}.source_gap WHERE topic = %s ORDER BY first_seq", topic, schema=schema
        ):
            gaps[gap["source"], gap["run"]].append((gap["first_seq"], gap["last_seq"]))
        for row in ledger:
            key = row["source"], row["run"]
            mine = gaps.pop(key, [])
            counted = self.numbers.get(key, set())
            missing = {n for first, last in mine for n in range(first, last + 1)}
            length = sum(last - first + 1 for first, last in mine)
            if row["counted"] + length != row["high"] or row["gaps"] != len(mine):
                texts.append(
                    f"{key}: counted {row['counted']} + gaps {mine} is not {row['high']}"
                    f" (gaps {row['gaps']})"
                )
            if (
                row["counted"] != len(counted)
                or missing != set(range(1, row["high"] + 1)) - counted
            ):
                texts.append(
                    f"{key}: {row['counted']} counted instead of {len(counted)}, "
                    f"gaps {mine[:5]}"
                )
        heard = {(row["source"], row["run"]) for row in ledger}
        texts += [
            f"{key}: counted, but not in the ledger" for key in self.numbers if key not in heard
        ]
        texts += [f"{key}: gaps without a ledger row" for key in gaps]
        return texts


def read_table(system, table, dimensions, schema=None):
    """{key: {column: value}} as PostgreSQL has it."""
    place = "source" if table.endswith("_source") else "region"
    out = {}
    for row in system.rows("SELECT * FROM {s}." + table, schema=schema):
        bucket = round(row.pop("bucket_start").timestamp() * 1000)
        key = (row.pop(place), bucket, *[row.pop(d) for d in dimensions])
        out[key] = row
    return out


def differences(table, wanted, found):
    texts = [f"{table} {key}: missing" for key in wanted if key not in found]
    texts += [f"{table} {key}: should not be there" for key in found if key not in wanted]
    for key, row in wanted.items():
        other = found.get(key, row)
        if other != row:
            wrong = {
                n: (other.get(n, "no such column"), v) for n, v in row.items() if other.get(n) != v
            }
            extra = set(other) - set(row)
            texts.append(f"{table} {key}: (found, wanted) {wrong} {extra or ''}")
    return texts


def assert_equal(recount, system, schema=None):
    """Every cell and every ledger row; returns how many cells were compared."""
    compared, texts = recount.compare(system, schema)
    texts += recount.compare_ledger(system, schema)
    shown = "\n".join(texts[:20])
    assert not texts, f"{len(texts)} differences over {recount.events} events:\n{shown}"
    return compared
