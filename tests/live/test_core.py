# SPDX-License-Identifier: Apache-2.0
"""Every cell equals the recount, over a million events, kill -9 and every kind of trouble.

Where the expected figures come from: simulated lines from the producers' outboxes, read by
lib/outbox.py after the producers ended, and checked against a second, uninterrupted simulation
that never met Kafka; lines of stdin from the journal of --answers (run and seq of each line that
was accepted) and the line itself; a third party's events from what it sent. recount.py then counts
them. What lies in Kafka is compared with the same journal byte by byte.
"""

import json
import random
import time
from collections import Counter

import pytest
from lib import recount
from lib.outbox import accepted
from lib.post import HAICHENG, Post
from lib.system import DAY_MS, LONG, SCHEMAS, System, now_ms, wait_until
from lib.wire import without_number

SCALE = 3 if LONG else 1
SEED = random.SystemRandom().randrange(2**31)
# program: (kind, events, sources)
PLAN = {
    "fx-checkpoint": ("checkpoint", 760_000 * SCALE, 700),
    "fx-test-site": ("test_site", 170_000 * SCALE, 300),
    "fx-quarantine": ("quarantine", 100_000 * SCALE, 200),
}
SIMULATED = sum(events for _, events, _ in PLAN.values())
KILLS = 5
SECONDS = 12 * SCALE  # the simulations are paced, so that kills fall into their middle
LIMIT_S = 600 * SCALE


class Simulation:
    """A producer playing a city, killed at random moments and started again."""

    def __init__(self, system, program):
        self.system, self.program = system, program
        self.kind, self.events, self.sources = PLAN[program]
        self.outbox = system.dir / f"{self.kind}.db"
        pick = random.Random(SEED + self.events)
        self.kills_at = sorted(pick.uniform(0.05, 0.9) * self.events for _ in range(KILLS))
        self.kills, self.peak_kb = 0, 0
        self.process = None

    def words(self, outbox):
        return [
            "--simulate",
            "--events",
            self.events,
            "--sources",
            self.sources,
            "--seed",
            22,
            "--from",
            "2022-02-10",
            "--to",
            "2022-02-12",
            "--outbox",
            outbox,
        ]

    def start(self):
        pace = ["--rate", self.events // SECONDS]
        self.process = self.system.start(self.program, *self.words(self.outbox), *pace)

    def watch(self, sent):
        """Starts it, kills it where that is due; True when the whole simulation is through."""
        if self.process is None:
            self.start()
        self.peak_kb = max(self.peak_kb, self.process.peak_kb)
        if self.kills < KILLS and sent >= self.kills_at[self.kills]:
            self.kills += self.process.kill()
            self.start()
        if self.process.is_running():
            return False
        assert self.process.wait() == 0, self.process.result()
        return True


class Counting:
    """Two fx-rollup of two workers each; the second is killed between 20 and 80 % of the events."""

    def __init__(self, system):
        self.system = system
        pick = random.Random(SEED)
        self.kills_at = sorted(pick.uniform(0.2, 0.8) * SIMULATED for _ in range(KILLS))
        self.killed_at = []
        self.first = self.start("a")
        self.second = self.start("b")

    def start(self, instance):
        return self.system.start("fx-rollup", "--workers", 2, "--instance", instance)

    def counted(self):
        return int(self.system.value("SELECT sum(next_offset) FROM {s}.partition_position") or 0)

    def watch(self):
        done = self.counted()
        if len(self.killed_at) < KILLS and done >= self.kills_at[len(self.killed_at)]:
            if self.second.kill():
                self.killed_at.append(done / SIMULATED)
            self.second = self.start("b")
        for process in (self.first, self.second):
            assert process.is_running(), process.result()


@pytest.fixture(scope="module")
def day(note):
    """Runs the whole thing once; the tests below look at what is left of it."""
    system = System("core", partitions=6, is_simulated=True)
    try:
        yield Day(system, note)
    finally:
        system.close()


class Day:
    def __init__(self, system, note):
        self.system, self.note = system, note
        self.pick = random.Random(SEED)
        note(f"seed of this run: {SEED}")
        self.simulations = [Simulation(system, program) for program in PLAN]
        self.kinds = {s.kind: system.kind(s.kind) for s in self.simulations}
        self.journal = {kind: [] for kind in self.kinds}  # events accepted otherwise, as dicts
        self.bad = []  # messages that must not count
        self.copies = 0
        began = time.monotonic()
        self.counter = Counting(system)
        self.feed_lines()
        self.wait_first_figure(began)
        self.third_party()
        self.run_simulations()
        self.aftermath()
        self.settle()
        self.tallies = {kind: self.tally(kind) for kind in self.kinds}

    # ---- what goes in ----

    def feed_lines(self):
        """Real device lines through fx-emit, every tenth of them wrong, some of last month."""
        base = now_ms()
        lines = []
        for i in range(3000):
            line = {
                "direction": ("IN", "OUT")[i % 2],
                "post_type": "PORT",
                "vehicle": "BUS",
                "plate_scope": "OUT_PROVINCE",
                "persons": i % 40,
                "code_green": i % 3 % (i % 40 + 1),
                "passed": i % 40,
                "at": base - i * 61_000,
                "source": f"CP-LINES-{i % 7}",
                "region": (HAICHENG, "441521", "441500", "441581001")[i % 4],
                "id": f"n{i}",
            }
            if i % 50 == 7:
                line["at"] -= 31 * DAY_MS
            if i % 10 == 3:
                line |= (
                    {"persons": 41, "passed": 40},
                    {"vehicle": "TANK"},
                    {"extra": 1},
                    {"persons": "x"},
                )[i // 10 % 4]
            lines.append(line)
        text = "".join(json.dumps(line) + "\n" for line in lines) + "no json\n"
        self.emit = ["--outbox", self.system.dir / "lines.db"]
        result = self.system.run(
            "fx-emit", "checkpoint", *self.emit, "--answers", text=text, code=1
        )
        answers = [json.loads(row) for row in result.out.splitlines()]
        assert [a["ok"] for a in answers] == [i % 10 != 3 for i in range(3000)] + [False]
        self.answered = [(line, a) for line, a in zip(lines, answers) if a["ok"]]
        kind = self.kinds["checkpoint"]
        self.journal["checkpoint"] += [
            kind.complete(line, line["source"], int(a["run"], 16), a["seq"])
            for line, a in self.answered
        ]

    def third_party(self):
        """Gaps that stay or are filled later, rejected ones, and bytes that are no event."""
        for kind in self.kinds:
            post = Post(self.system, kind)
            skipped = set(self.pick.sample(range(2, 400), 40))
            events = [post.event(seq) for seq in range(1, 401) if seq not in skipped]
            late = [post.event(seq) for seq in sorted(skipped)[::2]]
            for event in events + late:
                post.send_raw(post.schema.encode(event))
            self.journal[kind] += events + late
            bad = [
                post.bytes(401, region="999999"),
                post.bytes(402, region="-"),
                post.bytes(9)[:-2],
                post.bytes(9) + b"\0",
                b"",
                b"\xc3\x01garbage",
                post.bytes(403, sign=0),
            ]
            for value in bad:
                post.send_raw(value)
            self.bad += bad
        self.system.sent()

    def run_simulations(self):
        began, watched = time.monotonic(), list(self.simulations)
        while watched:
            assert time.monotonic() - began < LIMIT_S, "the simulations do not end"
            watched = [s for s in watched if not s.watch(sum(self.system.ends(s.kind)))]
            self.counter.watch()
            time.sleep(0.01)
        self.note(
            f"{SIMULATED} events simulated and sent in {time.monotonic() - began:.1f} s, paced"
        )

    def aftermath(self):
        """Reversals, resending and copies, once the outboxes are free."""
        system, kind = self.system, self.kinds["checkpoint"]
        for line, answer in self.pick.sample(self.answered, 12):
            number = f"{line['source']}:{answer['run']}:{answer['seq']}"
            words = ["checkpoint", *self.emit, "--reverse", number, "--reason", "typed twice"]
            back = json.loads(system.run("fx-emit", *words).out)
            original = kind.complete(line, line["source"], int(answer["run"], 16), answer["seq"])
            self.journal["checkpoint"].append(
                original
                | {
                    "run": int(back["run"], 16),
                    "seq": back["seq"],
                    "sign": -1,
                    "reverses_run": original["run"],
                    "reverses_seq": original["seq"],
                }
            )
            again = json.loads(system.run("fx-emit", *words, code=1).out)
            assert not again["ok"], "an event was reversed twice"
        self.resent = 0
        for simulation in self.simulations:
            for source, run, last in self.some_runs(simulation, 3):
                words = ["--outbox", simulation.outbox, "--resend", f"{source}:{run:012x}:1-{last}"]
                self.resent += json.loads(system.run(simulation.program, *words).out)["resent"]
        for name in self.kinds:
            self.copy_some(name)

    def some_runs(self, simulation, count):
        lasts = {}
        for _, source, run, seq in accepted(simulation.outbox):
            lasts[source, run] = seq
        return [(*key, lasts[key]) for key in self.pick.sample(sorted(lasts), count)]

    def copy_some(self, name):
        """Exact copies of messages, written to Kafka directly; heartbeats and bad ones too."""
        for chunk in self.system.messages(name):
            for message in self.pick.sample(chunk, len(chunk) // 50):
                self.system.send(name, message.key(), message.value(), message.partition())
                self.copies += 1
        self.system.sent()

    def settle(self):
        """All that lies in Kafka is counted; both processes end by SIGTERM."""
        total = sum(sum(self.system.ends(kind)) for kind in self.kinds)
        wait_until(lambda: self.counter.counted() >= total, 300, "all of Kafka counted")
        self.peaks_kb = [self.counter.first.peak_kb, self.counter.second.peak_kb]
        self.ends = [p.stop() for p in (self.counter.first, self.counter.second)]

    def wait_first_figure(self, began):
        wait_until(
            lambda: self.system.value("SELECT 1 FROM {s}.checkpoint_city LIMIT 1"),
            120,
            "the first figure",
        )
        self.note(
            f"first figure {time.monotonic() - began:.2f} s after fx-rollup was started"
            " (3,001 lines were fed in between)"
        )

    # ---- what is expected ----

    def tally(self, kind):
        tally, schema = recount.Recount(SCHEMAS, kind), self.kinds[kind]
        simulation = next(s for s in self.simulations if s.kind == kind)
        for value, *_ in accepted(simulation.outbox):
            tally.add(schema.decode(value))
        for event in self.journal[kind]:
            tally.add(event)
        return tally


def test_programs_were_killed_in_the_middle(day):
    assert [s.kills for s in day.simulations] == [KILLS] * 3
    assert len(day.counter.killed_at) == KILLS
    assert all(0.2 <= share <= 0.9 for share in day.counter.killed_at), day.counter.killed_at


def test_both_counters_stopped_cleanly(day):
    assert [end.code for end in day.ends] == [0, 0], "\n".join(map(str, day.ends))


def test_as_many_events_and_places_as_claimed(day):
    tallies = day.tallies.values()
    events = sum(t.events for t in tallies)
    sources = {source for t in tallies for source, _ in t.numbers}
    assert events >= 1_000_000 and len(sources) >= 1_000
    levels = {name: sum(t.levels[name] for t in tallies) / events for name in ("county", "city")}
    day.note(
        f"{events} events of {len(sources)} sources; at county nodes {levels['county']:.1%},"
        f" at the city {levels['city']:.1%}; {day.copies} copies, {day.resent} resent"
    )
    assert levels["county"] >= 0.01 and levels["city"] >= 0.01


@pytest.mark.parametrize("program", PLAN)
def test_killed_simulation_took_each_line_once(day, program):
    """The outbox holds what an uninterrupted simulation holds, but for run and seq."""
    simulation = next(s for s in day.simulations if s.program == program)
    other = day.system.dir / "uninterrupted.db"
    other.unlink(missing_ok=True)
    day.system.run(
        program, *simulation.words(other), "--no-drain", env={"FX_BROKERS": ""}, seconds=LIMIT_S
    )
    killed = Counter(hash(without_number(row[0])) for row in accepted(simulation.outbox))
    whole = Counter(hash(without_number(row[0])) for row in accepted(other))
    assert killed.total() == simulation.events
    assert killed == whole


@pytest.mark.parametrize("program", PLAN)
def test_outbox_numbers_have_no_gap(day, program):
    simulation = next(s for s in day.simulations if s.program == program)
    highest = Counter()
    for value, source, run, seq in accepted(simulation.outbox):
        highest[source, run] += 1
        assert seq == highest[source, run], (source, run, seq)


@pytest.mark.parametrize("kind", [kind for kind, *_ in PLAN.values()])
def test_kafka_holds_the_journal_and_nothing_else(day, kind):
    schema = day.kinds[kind]
    simulation = next(s for s in day.simulations if s.kind == kind)
    journal = {hash(row[0]) for row in accepted(simulation.outbox)}
    others = {schema.encode(event) for event in day.journal[kind]}
    journal |= {hash(value) for value in others}
    bad, found = {hash(value) for value in day.bad}, set()
    for chunk in day.system.messages(kind):
        found.update(hash(m.value()) for m in chunk if m.value() and schema.is_event(m.value()))
    found -= bad
    assert len(journal - found) == 0, "accepted, but not in Kafka"
    assert len(found - journal) == 0, "in Kafka, but never accepted"


@pytest.mark.parametrize("kind", [kind for kind, *_ in PLAN.values()])
def test_every_cell_equals_the_recount(day, kind):
    cells = recount.assert_equal(day.tallies[kind], day.system)
    day.note(f"{kind}: {cells} cells equal the recount of {day.tallies[kind].events} events")


def test_what_was_rejected(day):
    rows = day.system.rows("SELECT DISTINCT reason, sha256 FROM {s}.rejected_event")
    found = Counter(row["reason"] for row in rows)
    # the empty value and the garbage are the same bytes in all three topics
    assert found == {"undecodable": 2 * 3 + 2, "unknown_region": 2 * 3, "invalid_field": 3}


def test_a_second_schema_counts_the_same(day):
    """A rebuild from Kafka by one process: the same figures, and its speed."""
    system, name = day.system, day.system.schema + "_b"
    system.setup(schema=name)
    total = sum(sum(system.ends(kind)) for kind in day.kinds)
    began = time.monotonic()
    process = system.start("fx-rollup", "--until-end", "--workers", 2, env={"FX_SCHEMA_NAME": name})
    assert process.wait(LIMIT_S) == 0, process.result()
    took = time.monotonic() - began
    day.note(
        f"rebuild: {total} messages in {took:.2f} s, {total / took / 1e6:.2f} M/s from start"
        " to exit, 2 workers"
    )
    peaks = [*day.peaks_kb, process.peak_kb]
    day.note(
        f"VmHWM of fx-rollup: {max(peaks) / 1024:.0f} MiB; of "
        + ", ".join(f"{s.program} {s.peak_kb / 1024:.0f} MiB" for s in day.simulations)
    )
    for kind in day.kinds:
        compared, texts = day.tallies[kind].compare(system, name)
        assert compared > 0 and texts[:20] == []


def test_heartbeats_say_that_all_is_acknowledged(day):
    """After the last run of each source ended, nothing is announced beyond what was met."""
    rows = day.system.rows(
        "SELECT topic, source, run, high, announced, acked, heartbeat_state"
        " FROM {s}.source_ledger WHERE source LIKE 'SIM-%%'"
    )
    wrong = [
        r
        for r in rows
        if r["heartbeat_state"] != "ENDED"
        or r["announced"] > r["high"]
        or r["acked"] != r["announced"]
    ]
    assert rows and wrong[:5] == []
