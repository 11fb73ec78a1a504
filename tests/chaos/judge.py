# SPDX-License-Identifier: Apache-2.0
"""Two recounts, and what PostgreSQL says. See README.md, "The judge"."""

import json
import multiprocessing
import pathlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import psycopg
from lib import recount
from lib.system import System
from lib.wire import Kind
from load import SINKS


@dataclass
class Verdict:
    lines: int = 0  # in the journals
    events: int = 0  # in Kafka, each number once
    copies: int = 0  # messages of a number that was there before
    lost: int = 0
    doubled: int = 0
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


class FromJournal:
    """Recount 1: the lines, as they were before any program of ours saw them."""

    def __init__(self, system, folder, sink):
        self.sink, self.tally = sink, recount.Recount(system.schemas, sink.kind)
        kind, self.lines, self.sources = Kind(system.schemas, sink.kind), set(), Counter()
        for text in self.texts(folder):
            line = json.loads(text)
            source = line["source"]
            self.sources[source] += 1
            self.note(source, line["at"])
            self.tally.add(kind.complete(line, source, 0, self.sources[source]))

    def texts(self, folder):
        with open(folder / f"{self.sink.name}.journal", "rb") as journal:
            yield from journal

    def note(self, source, at_ms):
        assert (source, at_ms) not in self.lines, f"written twice: {source} {at_ms}"
        self.lines.add((source, at_ms))

    def compare(self, system, verdict, schema=None):
        ledger = Counter()
        topic = system.topic(self.sink.kind)
        query = "SELECT source, sum(counted)::bigint AS n FROM {s}.source_ledger WHERE topic = %s"
        for row in system.rows(query + " GROUP BY 1", topic, schema=schema):
            ledger[row["source"]] = row["n"]
        lost = self.sources - ledger
        more = ledger - self.sources
        verdict.say(lost.total(), "lost", f"ledger, too few: {list(lost.items())[:3]}")
        verdict.say(more.total(), "doubled", f"ledger, too many: {list(more.items())[:3]}")
        cells, texts = compare_tables(self.tally, system, schema, without_numbers)
        verdict.cells += cells
        verdict.note([f"journal: {text}" for text in texts])


class FromKafka:
    """Recount 2: what lies in Kafka, read by another client, decoded by another library."""

    def __init__(self, system, sink):
        self.sink, self.tally = sink, recount.Recount(system.schemas, sink.kind)
        kind, self.copies, self.found = Kind(system.schemas, sink.kind), 0, Counter()
        numbers = defaultdict(set)
        for chunk in system.messages(sink.kind):
            for message in chunk:
                value = message.value()
                if not value or not kind.is_event(value):
                    continue
                event = kind.decode(value)
                run = numbers[event["source"], event["run"]]
                if event["seq"] in run:
                    self.copies += 1
                    continue
                run.add(event["seq"])
                self.note(event["source"], event["occurred_at"])
                self.tally.add(event)

    def note(self, source, at_ms):
        self.found[source, at_ms] += 1

    def compare(self, system, verdict, schema=None):
        cells, texts = compare_tables(self.tally, system, schema)
        texts += self.tally.compare_ledger(system, schema)
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
        verdict.lines += journal.tally.events
        verdict.events += kafka.tally.events
        verdict.copies += kafka.copies
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


def add_up(verdicts):
    total = Verdict()
    for one in verdicts:
        for name in ("lines", "events", "copies", "lost", "doubled", "cells", "differ"):
            setattr(total, name, getattr(total, name) + getattr(one, name))
        total.also += one.also
        total.texts += one.texts
    return total
