# SPDX-License-Identifier: Apache-2.0
"""How soon an event is seen: from the write of a line to fx-checkpoint until a SELECT on the city's
table shows it. Two posts take turns, each of a type of its own, so that each has cells of its own;
the events of a post are counted in order, so the n-th is seen as soon as its cells add up to n.
One connection asks again and again: no delay is overstated by more than the time between two."""

import array
import json
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
MORE_THAN_CAN_BE_MADE = 2_000_000  # events/s


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


class Load:
    """Other posts' events in the same topic, at a rate. Making them takes the same cores."""

    def __init__(self, topic, rate, seconds):
        self.topic = topic
        words = topic.fill_words(rate * seconds, 1000, "--rate", rate)
        self.filling = topic.start(*words)
        self._wait_for(100_000)
        self.began, self.before, self.counted = time.monotonic(), self._end(), self._counted()

    def _end(self):
        return sum(self.topic.ends("checkpoint"))

    def _counted(self):
        query = "SELECT sum(next_offset)::bigint AS counted FROM {s}.partition_position"
        return self.topic.rows(query)[0]["counted"]

    def _wait_for(self, events):
        before = self._end()
        wait_until(lambda: self._end() > before + events, 60, "the load to flow", 0.1)

    def stop(self):
        """(made, counted) per second."""
        was_running = self.filling.is_running()
        took_s = time.monotonic() - self.began
        made, counted = self._end() - self.before, self._counted() - self.counted
        self.filling.kill()
        assert was_running, f"the load ended too early: {self.filling.result()}"
        wait_until(lambda: self._counted() == self._end(), 120, "all to be counted", 0.1)
        return made / took_s, counted / took_s


def run(bench):
    slow = bench.pick(20, 300)
    steady = bench.pick(10_000, 100_000)
    loaded = bench.pick(10_000, 20_000)
    with bench.lab() as topic:
        probe = Probe(topic)
        probe.play(10, 20)  # until everything has started
        rows = [row_of("at 1/s", probe.play(1, slow))]
        rows.append(row_of("at 20/s", probe.play(20, 10 * slow)))
        rows.append(row_of("at 1000/s", probe.play(1000, steady)))
        told = []
        rate = MORE_THAN_CAN_BE_MADE
        for name in ("beside all that can be made", "beside half of that peak"):
            load = Load(topic, rate, loaded // 1000 + 2 * GRACE_S)
            rows.append(row_of(name, probe.play(1000, loaded)))
            told.append(load.stop())
            rate = int(min(told[0]) / 2)
        probe.stop()
    headers = ["ms from line to SELECT", "samples", "written/s", "p50", "p90", "p99", "max"]
    bench.report.table("freshness", [*headers, "asked every, p99"], rows)
    (made, counted), (half, _) = told
    bench.report.say(
        f"the peak of all that runs, with the making of it on the same cores: {made:.0f} events/s"
        f" made, {counted:.0f} counted; half of it: {half:.0f}"
    )
    bench.report.keep("freshness", {"headers": headers, "rows": rows, "load_per_s": told})
    for name, row in zip(("1", "20", "1000"), rows):
        bench.report.at_most(f"fresh_p99_ms_at_{name}", row[5], 50)
    bench.report("fresh_p99_ms_at_the_peak", rows[3][5], "-", True)
    bench.report.at_most("fresh_p99_ms_at_half_peak", rows[4][5], 250)
