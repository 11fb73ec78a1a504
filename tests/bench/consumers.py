# SPDX-License-Identifier: Apache-2.0
"""fx-rollup beside its peers on the same topic: librdkafka counting only, Go, Flink. Rounds are
interleaved, so that what the machine does otherwise meets all of them alike. The rows and the sum
of every column of every table are compared: a fast wrong one is no result."""

import collections
import statistics
from dataclasses import dataclass, field

import lab
from report import number, spread

# The machine the design was measured on; elsewhere these say nothing.
DESIGN_GO2_PER_S, DESIGN_FLINK_WARM_PER_S = 2.4e6, 1.7e6
DIFFERENCES_MAX = 8  # named of each run
OURS = "fx-rollup 2"
TABLES_SAID = (
    "the peers' tables have their primary key alone, pages filled to 70 % (go) and 85 % (flink);"
    " fx-rollup's have two more indexes and 45 %, and it keeps the ledger beside them"
)


@dataclass
class Series:
    """All runs of one consumer."""

    name: str
    rates: list = field(default_factory=list)  # events per second of its own clock
    cpu: list = field(default_factory=list)  # seconds per million events, this and the next two
    broker: list = field(default_factory=list)
    postgres: list = field(default_factory=list)
    peak_mb: list = field(default_factory=list)
    seen_ms: list = field(default_factory=list)
    best_rates: list = field(default_factory=list)  # over two seconds, of those that tell it

    def add(self, ran, ended, events, seconds):
        self.rates.append(events / max(seconds, 0.001))
        self.cpu.append(ran.cpu_s / events * 1e6)
        self.broker.append(ran.broker_cpu_s / events * 1e6)
        self.postgres.append(ran.postgres_cpu_s / events * 1e6)
        self.peak_mb.append(ran.peak_mb)
        if ran.seen_ms is not None:
            self.seen_ms.append(ran.seen_ms)
        if ended.get("warm_events_per_s"):
            self.best_rates.append(ended["warm_events_per_s"])

    def median(self, name):
        return statistics.median(getattr(self, name))

    def row(self, ours):
        """ours: the rate of fx-rollup with two workers."""
        rates = [rate / 1e6 for rate in spread(self.rates)]
        best = self.median("best_rates") / 1e6 if self.best_rates else "-"
        costs = [self.median(name) for name in ("cpu", "broker", "postgres", "peak_mb")]
        seen = self.median("seen_ms") if self.seen_ms else "-"
        return [self.name, *rates, best, ours / self.median("rates"), *costs, seen]


HEADERS = ["M events/s:", "min", "median", "max", "best 2 s", f"{OURS} / it", "CPU s/M"]
HEADERS += ["broker s/M", "PostgreSQL s/M", "VmHWM MB", "start to figure ms"]


class Race:
    """The consumers of one topic, one run after the other."""

    def __init__(self, bench, topic):
        self.bench, self.topic = bench, topic
        self.series = {}
        self.figures = []  # (name, figures) of each run that has any

    def one(self, name, run, *args):
        ran, ended, (events, figures, seconds) = run(*args)
        self.series.setdefault(name, Series(name)).add(ran, ended, self.topic.events, seconds)
        if figures is not None:
            self.figures.append((name, figures))
        elif events != self.topic.events:
            raise AssertionError(f"{name} met {events} of {self.topic.events} events")

    def rounds(self, entries, rounds):
        for turn in range(rounds):
            shift = turn % len(entries)
            for name, run, *args in entries[shift:] + entries[:shift]:
                try:
                    self.one(name, run, *args)
                except AssertionError:  # the others still have something to say
                    self.bench.report.broken(name.replace(", ", "_").replace(" ", "_"))

    def table(self, title):
        ours = self.median(OURS)
        rows = [self.series[name].row(ours) for name in sorted(self.series)]
        self.bench.report.table(title, HEADERS, rows)
        if {"go 2", "flink"} & set(self.series):
            self.bench.report.say(f"  {TABLES_SAID}")
        self.bench.report.keep(title, {name: vars(one) for name, one in self.series.items()})

    def median(self, name, what="rates"):
        return self.series[name].median(what)

    def ratio(self, above, below, what="rates"):
        return self.median(above, what) / self.median(below, what)

    def check(self, name):
        """No run has another figure than what was filled in, or than most runs have. Each that does
        is a failed target, named by table and column."""
        said = collections.defaultdict(collections.Counter)
        for _, figures in self.figures:
            for key, value in figures.items():
                said[key][value] += 1
        right = {key: values.most_common(1)[0][0] for key, values in said.items()}
        right |= self.topic.expected()
        wrong = 0
        for who, figures in self.figures:
            bad = [key for key, value in figures.items() if value != right[key]]
            wrong += bool(bad)
            for key in bad[:DIFFERENCES_MAX]:
                label = f"{key}_of_{who.replace(' ', '_')}"
                self.bench.report(label, figures[key], f"={right[key]}", False)
        self.bench.report.say(f"  {len(self.figures)} runs compared, by {len(said)} figures")
        self.bench.report.at_most(f"wrong_figures_{name}", wrong, 0)


def entries_of(topic, gobench):
    entries = [(f"count {n}, glibc", topic.run_count, n, False) for n in (1, 2)]
    if lab.MIMALLOC:
        entries += [(f"count {n}, mimalloc", topic.run_count, n, True) for n in (1, 2)]
        queue = lab.OUR_QUEUE
        entries += [(f"count {n}, our queue", topic.run_count, n, True, *queue) for n in (1, 2)]
    entries += [(f"fx-rollup {n}", topic.run_rollup, n) for n in (1, 2)]
    if gobench:
        entries += [(f"go {n}", topic.run_go, gobench, n) for n in (1, 2)]
    return entries


def peers(report):
    """(Go's program, Flink's); None and a line for one that cannot be built."""
    found = []
    for name, build in (("go", lab.build_go), ("flink", lab.build_flink)):
        path, why = build()
        found.append(path)
        if why:
            report.say(f"{name}: skipped: {why}")
    return found


def race_all(bench, gobench, flink):
    """1,000 sources, everybody."""
    report = bench.report
    with bench.lab() as topic:
        topic.fill(bench.events, 1000)
        race = Race(bench, topic)
        race.rounds(entries_of(topic, gobench), bench.rounds)
        if flink:
            race.rounds([("flink", topic.run_flink, flink)], bench.pick(1, bench.rounds))
        race.table(f"{bench.events} events of 1000 sources")
        race.check("1000_sources")
        targets_of_race(report, race, gobench is not None)


def targets_of_race(report, race, has_go):
    if has_go:
        report.at_least("rollup2_vs_go2", race.ratio(OURS, "go 2"), 2.0)
        report.at_most("cpu_rollup_vs_go", race.ratio(OURS, "go 2", "cpu"), 0.5)
        say_sanity(report, "go 2", race.median("go 2"), DESIGN_GO2_PER_S)
    if lab.MIMALLOC:
        for n, bound in ((2, 0.7), (1, 0.8)):
            # the faster of the two: which one that is differs between machines
            counts = [f"count {n}, mimalloc", f"count {n}, our queue"]
            ratio = race.ratio(f"fx-rollup {n}", max(counts, key=race.median))
            report.at_least(f"rollup{n}_vs_count{n}_mimalloc", ratio, bound)
    if "flink" in race.series:
        targets_beside_flink(report, race)
    report.at_most("vm_hwm_mb_1000_sources", race.median(OURS, "peak_mb"), 64)
    report.at_most("start_to_figure_ms", race.median(OURS, "seen_ms"), 1000)


def targets_beside_flink(report, race):
    if not race.series["flink"].best_rates:
        report.say("flink: no two seconds of it were measured; more events, please")
        return
    warm = race.median("flink", "best_rates")
    report.at_least("rollup2_vs_flink_warm", race.median(OURS) / warm, 2.5)
    report.say(
        "rollup2_vs_flink_warm: the whole of our run, start and rebalance included, by Flink's best"
        " two seconds"
    )
    if race.series[OURS].best_rates:
        ratio = race.ratio(OURS, "flink", "best_rates")
        report("rollup2_best_2s_vs_flink_warm", ratio, "-", True)
    say_sanity(report, "flink, warm", warm, DESIGN_FLINK_WARM_PER_S)


def say_sanity(report, name, rate, design):
    share = rate / design
    report.say(
        f"{name}: {number(rate / 1e6)} M/s, {number(share)} of what it does where the design was"
        f" measured{'' if share >= 0.9 else '; there this peer would not be at its best'}"
    )


def entries_beside(topic, gobench, flink):
    """fx-rollup with two workers, and who is there to stand beside it."""
    entries = [(OURS, topic.run_rollup, 2)]
    if lab.MIMALLOC:
        entries.append(("count 2, mimalloc", topic.run_count, 2, True))
    if gobench:
        entries.append(("go 2", topic.run_go, gobench, 2))
    if flink:
        entries.append(("flink", topic.run_flink, flink))
    return entries


def race_many_sources(bench, gobench, flink):
    """50,000 sources: the ledger's memory."""
    events = bench.pick(max(50_000, bench.events // 3), bench.events)
    with bench.lab() as topic:
        topic.fill(events, 50_000)
        race = Race(bench, topic)
        race.rounds(entries_beside(topic, gobench, None), bench.pick(1, bench.rounds))
        if flink and bench.is_long:
            race.rounds([("flink", topic.run_flink, flink)], 1)
        race.table(f"{events} events of 50000 sources")
        bench.report.at_most("vm_hwm_mb_50000_sources", race.median(OURS, "peak_mb"), 150)
        race.check("50000_sources")


def race_mixed(bench, gobench, flink):
    """Three kinds at once, which no peer but the counting one knows, and a compressed topic."""
    for name, kinds, args, others in (
        ("three_kinds", ("checkpoint", "test_site", "quarantine"), (), (None, None)),
        ("zstd", ("checkpoint",), ("-X", "compression.codec=zstd"), (gobench, flink)),
    ):
        with bench.lab() as topic:
            for kind in kinds:
                topic.fill(bench.events // len(kinds), 1000, *args, kind=kind)
            race = Race(bench, topic)
            race.rounds(entries_beside(topic, *others), bench.rounds)
            race.table(f"{topic.events} events, {name.replace('_', ' ')}")
            race.check(name)


def run(bench):
    gobench, flink = peers(bench.report)
    race_all(bench, gobench, flink)
    race_many_sources(bench, gobench, flink)
    if bench.is_long:
        race_mixed(bench, gobench, flink)
