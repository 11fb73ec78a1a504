# SPDX-License-Identifier: Apache-2.0
"""Two recounts, and what PostgreSQL says. See README.md, "The judge"."""

import json
import multiprocessing
import pathlib
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import psycopg
from lib import recount
from lib.system import System
from lib.wire import Kind
from load import SINKS
from stack import PARTITIONS

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
ZONE_MS = 8 * HOUR_MS  # of days

@dataclass
class Verdict:
    lines: int = 0  # in the journals
    events: int = 0  # in Kafka, each number once
    copies: int = 0  # messages of a number that was there before
    lost: int = 0
    doubled: int = 0
    in_added: int = 0  # events in partitions that were added
    reversed: int = 0
    corrected: int = 0
    cells: int = 0
    differ: int = 0
    also: Counter = field(default_factory=Counter)  # (schema, recount): what differs there
    texts: list = field(default_factory=list)

    def note(self, texts):
        self.differ += len(texts)
        self.texts += texts[:5]

    def say(self, amount, name, text):
        if amount:
            setattr(self, name, getattr(self, name) + amount)
            self.texts.append(text)

    @property
    def wrong(self):
        return self.lost + self.doubled + self.differ


def without_numbers(rows):
    """A last value's place in the order, without run and seq: the journal does not know them."""
    out = {}
    for key, row in rows.items():
        out[key] = {n: v[:1] if v and n.endswith("_last") else v for n, v in row.items()}
    return out


def compare_tables(tally, system, schema, change=lambda rows: rows):
    """(cells compared, differences as texts)"""
    compared, texts = 0, []
    for rollup in tally.rollups:
        for table, wanted in rollup.tables().items():
            found = recount.read_table(system, table, rollup.dimensions, schema)
            compared += sum(len(row) for row in wanted.values())
            texts += recount.differences(table, change(wanted), change(found))
    return compared, texts


def unequal(name, wanted, found):
    """Of two {key: value}: what differs, as texts."""
    keys = [key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)]
    return [f"{name} {key}: (found, wanted) {found.get(key), wanted.get(key)}" for key in keys]


class FromJournal:
    """Recount 1: the lines, as they were before any program of ours saw them.

    A clock of next year counts in an hour that only Kafka knows. So such a line is counted here by
    source alone, and cells behind the hour of the last other line, where nothing else counts, are
    left to recount 2."""

    def __init__(self, system, folder, sink):
        self.sink, self.tally = sink, recount.Recount(system.schemas, sink.kind)
        kind, self.lines, self.sources = Kind(system.schemas, sink.kind), set(), Counter()
        self.ahead, self.undone, self.latest_ms = Counter(), Counter(), 0
        self.now_ms = time.time() * 1000
        withdrawn = self.withdrawn(folder)
        for text in self.texts(folder):
            line = json.loads(text)
            if "withdrawn" in line:
                continue
            if line.get("sign") == -1 and (line["source"], line["at"]) in withdrawn:
                continue
            source = line["source"]
            self.sources[source] += 1
            self.count(kind.complete(line, source, 0, self.sources[source]))

    def texts(self, folder):
        with open(folder / f"{self.sink.name}.journal", "rb") as journal:
            yield from journal

    def withdrawn(self, folder):
        texts = (text for text in self.texts(folder) if text.startswith(b'{"withdrawn"'))
        return {tuple(json.loads(text)["withdrawn"]) for text in texts}

    def count(self, event):
        source, at_ms, sign = event["source"], event["occurred_at"], event["sign"]
        self.note(source, at_ms, sign)
        if at_ms > self.now_ms:
            self.ahead[source] += 1
            return
        self.undone[source] += sign < 0
        self.latest_ms = max(self.latest_ms, at_ms)
        self.tally.add(event)

    def note(self, *line):
        assert line not in self.lines, f"written twice: {line}"
        self.lines.add(line)

    def events(self):
        return self.tally.events + self.ahead.total()

    def without_ahead(self, rows):
        rows = without_numbers(rows)
        if not self.ahead:
            return rows
        return {key: row for key, row in rows.items() if key[1] <= self.latest_ms}

    def by_source(self, system, schema, query):
        rows = system.rows(query + " GROUP BY 1", system.topic(self.sink.kind), schema=schema)
        return Counter({row["source"]: int(row["n"]) for row in rows})

    def compare(self, system, verdict, schema=None):
        query = "SELECT source, sum(counted) AS n FROM {s}.source_ledger WHERE topic = %s"
        ledger = self.by_source(system, schema, query)
        lost = self.sources - ledger
        more = ledger - self.sources
        verdict.say(lost.total(), "lost", f"ledger, too few: {list(lost.items())[:3]}")
        verdict.say(more.total(), "doubled", f"ledger, too many: {list(more.items())[:3]}")
        query = "SELECT source, sum(clock_corrected) AS n FROM {s}.source_tally WHERE topic = %s"
        texts = unequal("corrected", +self.ahead, +self.by_source(system, schema, query))
        query = "SELECT source, count(*) AS n FROM {s}.reversal WHERE topic = %s"
        texts += unequal("reversed", +self.undone, +self.by_source(system, schema, query))
        cells, more = compare_tables(self.tally, system, schema, self.without_ahead)
        verdict.cells += cells
        verdict.note([f"journal: {text}" for text in texts + more])


class FromKafka:
    """Recount 2: what lies in Kafka, read by another client, decoded by another library."""

    def __init__(self, system, sink):
        self.sink, self.tally = sink, recount.Recount(system.schemas, sink.kind)
        self.copies, self.in_added, self.found = 0, 0, Counter()
        self.reversed, self.corrected, self.tallies = {}, {}, defaultdict(Counter)
        kind = Kind(system.schemas, sink.kind)
        for chunk in system.messages(sink.kind):
            for message in chunk:
                value = message.value()
                if value and kind.is_event(value):
                    self.take(kind.decode(value), message)

    def take(self, event, message):
        source, number = event["source"], (event["source"], event["run"], event["seq"])
        at_ms, append_ms = event["occurred_at"], message.timestamp()[1]
        tally = self.tallies[source, (append_ms + ZONE_MS) // DAY_MS]
        if event["seq"] in self.tally.numbers[number[:2]]:
            self.copies += 1
            tally["duplicates"] += 1
            return
        self.note(source, at_ms, event["sign"])
        self.tally.add(event, append_ms)
        self.in_added += message.partition() >= PARTITIONS
        counted_ms = self.tally.counted_ms(event, append_ms)
        tally["late"] += append_ms - counted_ms > HOUR_MS
        if event["sign"] < 0:
            self.reversed[source, event["reverses_run"], event["reverses_seq"]] = number[1:]
        elif counted_ms != at_ms:
            self.corrected[number] = counted_ms
            tally["clock_corrected"] += 1

    def note(self, *line):
        self.found[line] += 1

    def compare_marks(self, system, schema):
        """Reversals, corrected events and tallies by day: each row, whole."""
        topic = system.topic(self.sink.kind)

        def read(keys, values, table):
            query = f"SELECT {keys}, {values} FROM {{s}}.{table} WHERE topic = %s"
            return [tuple(row.values()) for row in system.rows(query, topic, schema=schema)]

        found = read("source, reversed_run, reversed_seq", "run, seq", "reversal")
        texts = unequal("reversal", self.reversed, {row[:3]: row[3:] for row in found})
        at = "(extract(epoch FROM counted_at) * 1000)::bigint AS at_ms"
        found = read("source, run, seq", at, "corrected_event")
        texts += unequal("corrected", self.corrected, {row[:3]: row[3] for row in found})
        tallies = {key: +tally for key, tally in self.tallies.items() if +tally}
        values = "duplicates, late, clock_corrected"
        found = read("source, day - date '1970-01-01' AS day", values, "source_tally")
        names = values.split(", ")
        rows = {row[:2]: +Counter(dict(zip(names, row[2:]))) for row in found}
        return texts + unequal("tally", tallies, rows)

    def compare(self, system, verdict, schema=None):
        cells, texts = compare_tables(self.tally, system, schema)
        texts += self.tally.compare_ledger(system, schema)
        texts += self.compare_marks(system, schema)
        verdict.cells += cells
        verdict.note([f"Kafka: {text}" for text in texts])


def compare_lines(journal, kafka, verdict):
    """Every line under exactly one number, and nothing but lines."""
    missing = journal.lines - kafka.found.keys()
    strange = kafka.found.keys() - journal.lines
    twice = [one for one, count in kafka.found.items() if count > 1]
    verdict.say(len(missing), "lost", f"not in Kafka: {list(missing)[:3]}")
    verdict.say(len(strange), "doubled", f"in Kafka, never written: {list(strange)[:3]}")
    verdict.say(len(twice), "doubled", f"under two numbers: {twice[:3]}")


def judge_sinks(system, folder, sinks, also=(), by=None):
    """A Verdict over some sinks, and of other schemas that counted the same; by: the makers of the
    two recounts, and what compares them."""
    verdict = Verdict()
    from_journal, from_kafka, compare = by or (FromJournal, FromKafka, compare_lines)
    for sink in sinks:
        journal, kafka = from_journal(system, folder, sink), from_kafka(system, sink)
        verdict.lines += journal.events()
        verdict.events += kafka.tally.events
        verdict.copies += kafka.copies
        verdict.in_added += kafka.in_added
        verdict.reversed += len(kafka.reversed)
        verdict.corrected += len(kafka.corrected)
        journal.compare(system, verdict)
        kafka.compare(system, verdict)
        compare(journal, kafka, verdict)
        for schema in also:
            for name, recounted in (("journal", journal), ("kafka", kafka)):
                apart = Verdict()
                recounted.compare(system, apart, schema)
                verdict.also[schema, name] += apart.wrong
    return verdict


def judge_apart(address, folder, sinks, also):
    return judge_sinks(Reader(*address), folder, sinks, also)


PARTS = (SINKS[:1], SINKS[1:])


def judge(system, folder, also=(), parts=PARTS, apart=judge_apart):
    """All sinks, in a process for each part; the sum of their verdicts."""
    with multiprocessing.get_context("spawn").Pool(len(parts)) as pool:
        work = [(system.address(), folder, part, also) for part in parts]
        return add_up(pool.starmap(apart, work))


class Reader(System):
    """Of a system that another process made: looks, and owns nothing."""

    def __init__(self, schema, prefix, partitions, schemas):
        self.schemas = pathlib.Path(schemas)
        self.schema, self.prefix, self.partitions = schema, prefix, partitions
        self.db = psycopg.connect(autocommit=True)
        self.db.execute("SET timezone = 'UTC'")


SUMS = "lines events copies lost doubled in_added reversed corrected cells differ".split()


def add_up(verdicts):
    total = Verdict()
    for one in verdicts:
        for name in SUMS:
            setattr(total, name, getattr(total, name) + getattr(one, name))
        total.also += one.also
        total.texts += one.texts
    return total
