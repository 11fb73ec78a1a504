# SPDX-License-Identifier: Apache-2.0
"""fx-rollup beside its peers on the same topic: librdkafka counting only, Go, Flink. Rounds are
interleaved, so that what the machine does otherwise meets all of them alike; every figure is
compared: a fast wrong one is no result."""

import statistics
from dataclasses import dataclass, field

import lab
from report import number, spread

# The machine the design was measured on; elsewhere these say nothing.
DESIGN_GO2_PER_S, DESIGN_FLINK_WARM_PER_S = 2.4e6, 1.7e6


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

    def add(self, ran, events, seconds):
        self.rates.append(events / max(seconds, 0.001))
        self.cpu.append(ran.cpu_s / events * 1e6)
        self.broker.append(ran.broker_cpu_s / events * 1e6)
        self.postgres.append(ran.postgres_cpu_s / events * 1e6)
        self.peak_mb.append(ran.peak_mb)
        if ran.seen_ms is not None:
            self.seen_ms.append(ran.seen_ms)

    def median(self, name):
        return statistics.median(getattr(self, name))

    def row(self):
        rates = [rate / 1e6 for rate in spread(self.rates)]
        costs = [self.median(name) for name in ("cpu", "broker", "postgres", "peak_mb")]
        return [self.name, *rates, *costs, self.median("seen_ms") if self.seen_ms else "-"]


HEADERS = ["M events/s:", "min", "median", "max", "CPU s/M", "broker s/M", "PostgreSQL s/M"]
HEADERS += ["VmHWM MB", "start to figure ms"]


class Race:
    """The consumers of one topic, one run after the other."""

    def __init__(self, bench, topic):
        self.bench, self.topic = bench, topic
        self.series = {}
        self.figures = {}  # (events, person-times) -> the runs that said so
        self.warm_rates = []

    def one(self, name, run, *args):
        ran, ended, (events, person_times, seconds) = run(*args)
        self.series.setdefault(name, Series(name)).add(ran, self.topic.events, seconds)
        if person_times is not None:
            self.figures.setdefault((events, person_times), []).append(name)
        elif events != self.topic.events:
            raise AssertionError(f"{name} met {events} of {self.topic.events} events")
        if "warm_events_per_s" in ended:
            self.warm_rates.append(ended["warm_events_per_s"])

    def rounds(self, entries, rounds):
        for turn in range(rounds):
            shift = turn % len(entries)
            for name, run, *args in entries[shift:] + entries[:shift]:
                self.one(name, run, *args)

    def table(self, title):
        rows = [self.series[name].row() for name in sorted(self.series)]
        self.bench.report.table(title, HEADERS, rows)
        self.bench.report.keep(title, {name: vars(one) for name, one in self.series.items()})

    def median(self, name, what="rates"):
        return self.series[name].median(what)

    def ratio(self, above, below, what="rates"):
        return self.median(above, what) / self.median(below, what)

    def wrong(self):
        """Runs whose figures are not those of all others, or not of all events."""
        common = max(self.figures, key=lambda figure: len(self.figures[figure]))
        wrong = [n for figure, runs in self.figures.items() if figure != common for n in runs]
        if common[0] != self.topic.events:
            wrong += self.figures[common]
        for figure, runs in self.figures.items() if wrong else ():
            self.bench.report.say(f"figures {figure} of {self.topic.events} events: {runs}")
        return len(wrong)


def entries_of(topic, gobench):
    entries = [(f"count {n}, glibc", topic.run_count, n, False) for n in (1, 2)]
    if lab.MIMALLOC:
        entries += [(f"count {n}, mimalloc", topic.run_count, n, True) for n in (1, 2)]
    entries += [(f"fx-rollup {n}", topic.run_rollup, n) for n in (1, 2)]
    if gobench:
        entries += [(f"go {n}", topic.run_go, gobench, n) for n in (1, 2)]
    return entries


def race_all(bench):
    """1,000 sources, everybody."""
    report = bench.report
    gobench, why_no_go = lab.build_go()
    flink, why_no_flink = lab.build_flink()
    for peer, why in (("go", why_no_go), ("flink", why_no_flink)):
        if why:
            report.say(f"{peer}: skipped: {why}")
    with bench.lab() as topic:
        topic.fill(bench.events, 1000)
        race = Race(bench, topic)
        race.rounds(entries_of(topic, gobench), bench.rounds)
        if flink:
            race.rounds([("flink", topic.run_flink, flink)], bench.pick(1, bench.rounds))
        race.table(f"{bench.events} events of 1000 sources")
        bench.peak_per_s = race.median("fx-rollup 2")
        targets_of_race(report, race, gobench is not None)
    report.at_most("wrong_figures_1000_sources", race.wrong(), 0)


def targets_of_race(report, race, has_go):
    if has_go:
        report.at_least("rollup2_vs_go2", race.ratio("fx-rollup 2", "go 2"), 2.0)
        report.at_most("cpu_rollup_vs_go", race.ratio("fx-rollup 2", "go 2", "cpu"), 0.5)
        say_sanity(report, "go 2", race.median("go 2"), DESIGN_GO2_PER_S)
    if lab.MIMALLOC:
        for n, bound in ((2, 0.7), (1, 0.8)):
            ratio = race.ratio(f"fx-rollup {n}", f"count {n}, mimalloc")
            report.at_least(f"rollup{n}_vs_count{n}_mimalloc", ratio, bound)
    if race.warm_rates:
        warm = statistics.median(race.warm_rates)
        if warm > 0:
            ratio = race.median("fx-rollup 2") / warm
            report.at_least("rollup2_vs_flink_warm", ratio, 2.5)
            say_sanity(report, "flink, warm", warm, DESIGN_FLINK_WARM_PER_S)
        else:
            report.say("flink: no two seconds of it were measured; more events, please")
    report.at_most("vm_hwm_mb_1000_sources", race.median("fx-rollup 2", "peak_mb"), 64)
    report.at_most("start_to_figure_ms", race.median("fx-rollup 2", "seen_ms"), 1000)


def say_sanity(report, name, rate, design):
    share = rate / design
    report.say(
        f"{name}: {number(rate / 1e6)} M/s, {number(share)} of what it does where the design was"
        f" measured{'' if share >= 0.9 else '; there this peer would not be at its best'}"
    )


def race_many_sources(bench):
    """50,000 sources: the ledger's memory."""
    events = bench.pick(max(50_000, bench.events // 3), bench.events)
    gobench, _ = lab.build_go() if bench.is_long else (None, None)
    with bench.lab() as topic:
        topic.fill(events, 50_000)
        race = Race(bench, topic)
        entries = [("fx-rollup 2", topic.run_rollup, 2)]
        if gobench:
            entries += [("go 2", topic.run_go, gobench, 2)]
        race.rounds(entries, bench.pick(1, bench.rounds))
        race.table(f"{events} events of 50000 sources")
        peak = race.median("fx-rollup 2", "peak_mb")
        bench.report.at_most("vm_hwm_mb_50000_sources", peak, 150)
        bench.report.at_most("wrong_figures_50000_sources", race.wrong(), 0)


def race_mixed(bench):
    """Three kinds at once, and a compressed topic."""
    for title, kinds, args in (
        ("three kinds", ("checkpoint", "test_site", "quarantine"), ()),
        ("zstd", ("checkpoint",), ("-X", "compression.codec=zstd")),
    ):
        with bench.lab() as topic:
            for kind in kinds:
                topic.fill(bench.events // len(kinds), 1000, *args, kind=kind)
            race = Race(bench, topic)
            for _ in range(bench.rounds):
                ran, ended, (_, _, seconds) = topic.run_rollup(2)
                assert ended["events"] == topic.events, ended
                race.series.setdefault("fx-rollup 2", Series("fx-rollup 2")).add(
                    ran, topic.events, seconds
                )
            race.table(f"{topic.events} events, {title}")


def run(bench):
    race_all(bench)
    race_many_sources(bench)
    if bench.is_long:
        race_mixed(bench)
