# SPDX-License-Identifier: Apache-2.0
"""How soon an event is seen: from the write of a line to fx-checkpoint until a SELECT on the city's
table shows it. Two posts take turns, each of a type of its own, so that each has cells of its own;
the events of a post are counted in order, so the n-th is seen as soon as its cells add up to n.
One connection asks again and again: no delay is overstated by more than the time between two."""

import array
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

from lib.post import HAICHENG, LINE
from lib.system import ROOT, now_ms, wait_until
from lib.wire import partition_of
from report import percentile

TYPES = ["VILLAGE", "PORT"]
ASK_EVERY_S = 0.001
GRACE_S = 60  # for what is still on its way at the end


@dataclass
class Seen:
    """How far the cells of each type were, whenever one was further than before."""

    base: dict
    steps: dict = field(default_factory=lambda: {name: [] for name in TYPES})
    asked_ns: list = field(default_factory=list)

    def note(self, counts, at_ns):
        self.asked_ns.append(at_ns)
        for name, steps in self.steps.items():
            count = counts.get(name, 0) - self.base.get(name, 0)
            if count > (steps[-1][0] if steps else 0):
                steps.append((count, at_ns))

    def total(self):
        return sum(steps[-1][0] for steps in self.steps.values() if steps)

    def delays_ms(self, written_ns):
        """Of each event, in the order of writing of each type."""
        delays = []
        for turn, steps in enumerate(self.steps.values()):
            mine = iter(written_ns[turn :: len(TYPES)])
            shown = 0
            for count, at_ns in steps:
                delays += [(at_ns - next(mine)) / 1e6 for _ in range(count - shown)]
                shown = count
        return delays

    def interval_ms(self):
        """Between two answers, of a hundred the second longest."""
        gaps = [b - a for a, b in zip(self.asked_ns, self.asked_ns[1:])]
        return percentile(gaps, 0.99) / 1e6


class Probe:
    """A running system, and the posts whose events are watched."""

    def __init__(self, topic):
        self.topic = topic
        self.counter = topic.start("fx-rollup", "--workers", 2)
        self.station = topic.start(
            "fx-checkpoint", "--outbox", topic.dir / "outbox.db", stdin=subprocess.PIPE
        )
        self.from_ms = now_ms() - 3_600_000
        self.lines = [self._line(turn, name) for turn, name in enumerate(TYPES)]
        self.query = f"SELECT post_type, sum(checked_groups)::bigint FROM {topic.schema}"
        self.query += ".checkpoint_city WHERE bucket_start >= to_timestamp(%s) GROUP BY post_type"

    def _line(self, turn, post_type):
        """Posts of the first and of the last partition: they should meet different workers."""
        wanted = turn * (self.topic.partitions - 1)
        names = (f"PROBE-{post_type}-{i}" for i in range(10_000))
        source = next(n for n in names if partition_of(n, self.topic.partitions) == wanted)
        line = {**LINE, "source": source, "post_type": post_type, "region": HAICHENG, "at": 0}
        return json.dumps(line).replace('"at": 0', '"at": @')

    def counts(self):
        # floor to the hour: buckets begin there
        since_s = self.from_ms // 3_600_000 * 3600
        return dict(self.topic.db.execute(self.query, (since_s,), prepare=True).fetchall())

    def play(self, rate, count):
        """Writes the lines and watches them; delays in ms and the time between two looks."""
        times = self.topic.dir / "times"
        seen = Seen(self.counts())
        words = [sys.executable, str(ROOT / "tests/bench/pace.py"), str(rate), str(count)]
        pace = subprocess.Popen([*words, str(times), *self.lines], stdout=self.station.popen.stdin)
        try:
            self._watch(seen, count, count / rate + GRACE_S)
            assert pace.wait(30) == 0, "pace.py failed"
        finally:
            pace.kill()
            pace.wait()
        written = array.array("q")
        written.frombytes(times.read_bytes())
        return seen.delays_ms(written), seen.interval_ms(), written

    def _watch(self, seen, count, seconds):
        end = time.monotonic() + seconds
        while seen.total() < count:
            assert time.monotonic() < end, f"{seen.total()} of {count} events seen: {self.told()}"
            seen.note(self.counts(), time.monotonic_ns())
            time.sleep(ASK_EVERY_S)

    def told(self):
        return "\n".join(p.result().err[-1500:] for p in (self.counter, self.station))

    def stop(self):
        self.station.popen.stdin.close()
        assert self.station.wait(60) == 0, self.told()
        assert self.counter.stop(60).code == 0, self.told()


def row_of(name, played):
    delays, interval, written = played
    rate = (len(written) - 1) / max(1e-9, (written[-1] - written[0]) / 1e9)
    figures = [percentile(delays, share) for share in (0.5, 0.9, 0.99)]
    return [name, len(delays), rate, *figures, max(delays), interval]


def measured_peak(bench):
    """Of fx-rollup with two workers; where no other section has told it."""
    if not bench.peak_per_s:
        with bench.lab() as topic:
            topic.fill(min(bench.events, 3_000_000), 1000)
            rates = []
            for _ in range(3):
                _, _, (events, _, seconds) = topic.run_rollup(2)
                rates.append(events / seconds)
            bench.peak_per_s = statistics.median(rates)
    return bench.peak_per_s


class Load:
    """Other posts' events in the same topic, at a rate."""

    def __init__(self, topic, rate, seconds):
        self.topic = topic
        words = topic.fill_words(rate * seconds, 1000, "--rate", rate)
        self.filling = topic.start(*words)
        self._wait_for(rate)
        self.began, self.before = time.monotonic(), self._end()

    def _end(self):
        return sum(self.topic.ends("checkpoint"))

    def _wait_for(self, events):
        before = self._end()
        wait_until(lambda: self._end() > before + events, 60, "the load to flow", 0.1)

    def stop(self, others):
        """What it was, per second; others: the events of the probe meanwhile."""
        was_running = self.filling.is_running()
        rate = (self._end() - self.before - others) / (time.monotonic() - self.began)
        self.filling.kill()
        assert was_running, f"the load ended too early: {self.filling.result()}"
        return rate


def run(bench):
    slow = bench.pick(20, 300)
    steady = bench.pick(10_000, 100_000)
    loaded = bench.pick(10_000, 20_000)
    peak = measured_peak(bench)
    rate = int(peak / 2)
    with bench.lab() as topic:
        probe = Probe(topic)
        probe.play(10, 20)  # until everything has started
        rows = [row_of("at 1/s", probe.play(1, slow))]
        rows.append(row_of("at 20/s", probe.play(20, 10 * slow)))
        rows.append(row_of("at 1000/s", probe.play(1000, steady)))
        load = Load(topic, rate, loaded // 1000 + 2 * GRACE_S)
        played = probe.play(1000, loaded)
        reached = load.stop(loaded)
        rows.append(row_of("beside half of the peak", played))
        probe.stop()
    headers = ["ms from line to SELECT", "samples", "written/s", "p50", "p90", "p99", "max"]
    bench.report.table("freshness", [*headers, "asked every, p99"], rows)
    bench.report.say(
        f"half of the peak: {rate} events/s wanted, {reached:.0f} reached; what makes them shares"
        " the cores"
    )
    bench.report.keep("freshness", {"headers": headers, "rows": rows, "load_per_s": reached})
    for name, row, bound in zip(("1", "20", "1000", "half_peak"), rows, (50, 50, 50, 250)):
        bench.report.at_most(f"fresh_p99_ms_at_{name}", row[5], bound)
