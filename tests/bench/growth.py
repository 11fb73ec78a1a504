# SPDX-License-Identifier: Apache-2.0
"""How it grows: events per second and CPU against partitions, posts, places, bytes an event and
workers, each alone (but a place needs a post) beside a middle case; a plot of it, what limits each,
and what it comes to for a nation."""

import contextlib
import csv
import json
import os
import shutil
import time
from dataclasses import dataclass, replace

import cost
import lab
import meter
import plot
from lib.system import SCHEMAS, now_ms, wait_until
from report import number

PARTITIONS, SOURCES, WORKERS = 8, 1000, 2  # the middle case
NATION_PER_S, BACKLOG = 43_000, 233_000_000  # samples in the peak hour; after 90 minutes away
CITY_PLACES, NATION_PLACES = 66, 45_000
REMARK_BYTES, SIZE_BYTES = 1024, 2_000_000_000  # of a string at most; of a topic, about
COUNTIES_PER_CITY, TOWNS_PER_COUNTY = 8, 14


@dataclass
class Point:
    what: str  # the axis; bytes: of an event, as it lies in Kafka
    x: int
    rate: float
    cpu: float  # seconds per million events, this and the next two
    broker: float
    postgres: float
    peak_mb: float
    flushes: int
    rows: int
    wrong: int  # runs that did not count all events, each once

    def all_cpu(self):
        return self.cpu + self.broker + self.postgres


def measure(bench, topic, what, x, workers=WORKERS):
    """The middle of some runs, by rate."""
    points, per_m = [], 1e6 / topic.events
    for _ in range(bench.pick(1, 3)):
        ran, ended, (events, _, seconds) = topic.run_rollup(workers)
        points.append(
            Point(
                what, x, topic.events / max(seconds, 0.001), ran.cpu_s * per_m,
                ran.broker_cpu_s * per_m, ran.postgres_cpu_s * per_m, ran.peak_mb,
                ended["flushes"], ended["rows"], events != topic.events,
            )
        )
    return sorted(points, key=lambda point: point.rate)[len(points) // 2]


def write_places(path, count):
    """A tree of about so many: cities of COUNTIES_PER_CITY counties of TOWNS_PER_COUNTY towns."""
    with open(path, "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["code", "name", "name_latin", "level", "parent", "statistical_parent"])
        per_city = 1 + COUNTIES_PER_CITY * (1 + TOWNS_PER_COUNTY)
        for city in range(max(1, round(count / per_city))):
            top = f"{1000 + city}00"
            rows.writerow([top, f"市{city}", f"City {city}", "city", "", ""])
            for county in range(COUNTIES_PER_CITY):
                middle = f"{1000 + city}{county + 1:02}"
                rows.writerow([middle, f"县{county}", f"County {county}", "county", top, middle])
                for town in range(TOWNS_PER_COUNTY):
                    code = f"{middle}{town + 100}"
                    rows.writerow([code, f"镇{town}", f"Town {town}", "town", middle, middle])


def by_partitions(bench, events):
    for partitions in bench.pick([1, 16], [1, 2, 4, 16]):
        with bench.lab(partitions=partitions) as topic:
            topic.fill(events, SOURCES)
            yield measure(bench, topic, "partitions", partitions, min(WORKERS, partitions))


def by_sources(bench, events):
    for sources in bench.pick([10, 200_000], [10, 100, 10_000, 50_000, 200_000]):
        with bench.lab() as topic:
            topic.fill(max(events, 4 * sources), sources)
            yield measure(bench, topic, "posts", sources)


@contextlib.contextmanager
def own_schemas():
    """A copy of what is in schemas/, to be changed."""
    schemas = lab.OUT / "tmp" / "schemas"
    shutil.copytree(SCHEMAS, schemas)
    try:
        yield schemas
    finally:
        shutil.rmtree(schemas)


def by_places(bench, events):
    for places in bench.pick([NATION_PLACES], [1000, 10_000, NATION_PLACES]):
        with own_schemas() as schemas:
            write_places(schemas / "regions.csv", places)
            # one city's example of who reports does not fit other places
            (schemas / "sources.csv").unlink(missing_ok=True)
            with bench.lab(schemas=schemas) as topic:
                # a post in each place: nothing is counted where there is none
                topic.fill(max(events, 4 * places), max(SOURCES, places))
                yield measure(bench, topic, "places", places)


def write_remarks(path, size):
    """Adds fields of so many bytes in all, that every event bears and nobody counts."""
    schema = json.loads(path.read_text())
    for number, first in enumerate(range(0, size, REMARK_BYTES)):
        length = min(REMARK_BYTES, size - first)
        schema["fields"].append({
            "name": f"remark_{number}", "type": "string", "default": "x" * length,
            "max_length": length, "doc": "for its size alone 备注",
        })
    path.write_text(json.dumps(schema, ensure_ascii=False))


def by_sizes(bench, events):
    """Events of another schema than the program was built with are read by its plan as it is
    walked: of 100 bytes more, for comparison with the longer ones."""
    for more in bench.pick([1000], [100, 300, 1000, 3000]):
        with own_schemas() as schemas:
            write_remarks(schemas / "checkpoint/1.avsc", more)
            with bench.lab(schemas=schemas) as topic:
                topic.fill(min(events, SIZE_BYTES // more), SOURCES)
                yield measure(bench, topic, "bytes", topic.bytes // topic.events)


def by_workers(bench, events):
    """Ends with the middle case of all axes."""
    with bench.lab() as topic:
        topic.fill(events, SOURCES)
        for workers in (1, 4, 2):
            point = measure(bench, topic, "workers", workers, workers)
            yield point
        yield replace(point, what="bytes", x=topic.bytes // topic.events)


def axes(points):
    """Axis -> its points; the middle case is one of each."""
    middle = next(p for p in points if (p.what, p.x) == ("workers", WORKERS))
    same = [
        replace(middle, what=what, x=x)
        for what, x in (("partitions", PARTITIONS), ("posts", SOURCES), ("places", CITY_PLACES))
    ]
    found = {}
    for p in sorted([*points, *same], key=lambda p: p.x):
        found.setdefault(p.what, []).append(p)
    return found, middle


def limit_of(points, cores):
    """What the slowest of an axis waits for, in a sentence."""
    slow = min(points, key=lambda p: p.rate)
    fast = max(points, key=lambda p: p.rate)
    busy = {
        "fx-rollup": slow.rate * slow.cpu / 1e6,
        "the broker": slow.rate * slow.broker / 1e6,
        "PostgreSQL": slow.rate * slow.postgres / 1e6,
    }
    most = max(busy, key=busy.get)
    if sum(busy.values()) > 0.85 * cores:
        why = f"the cores, most by {most}"
    elif most == "PostgreSQL":
        why = "PostgreSQL's transaction, which the workers wait for"
    else:
        why = "waiting for fetches and commits: no core is short"
    shares = ", ".join(f"{name} {number(share)}" for name, share in busy.items())
    return (
        f"{slow.what}: {number(fast.rate / 1e6)} M/s at {fast.x}, {number(slow.rate / 1e6)} at"
        f" {slow.x}. There, of {cores} cores: {shares}; {slow.rows / max(1, slow.flushes):.0f}"
        f" rows a flush. Limited by {why}."
    )


@dataclass
class Paced:
    """Events as they come, NATION_PER_S of them: CPU seconds a second, how many were counted."""

    name: str
    per_s: float
    own: float
    broker: float
    postgres: float

    def __str__(self):
        cores = self.own + self.broker + self.postgres
        late = "" if self.per_s > 0.97 * NATION_PER_S else ", which is all that is left for it"
        return (
            f"  {self.name}: {self.per_s:.0f}/s counted{late}; cores: fx-rollup"
            f" {number(self.own)}, the broker {number(self.broker)}, PostgreSQL"
            f" {number(self.postgres)}, together {number(cores)}"
        )


def paced(bench, topic, name, sources):
    """The nation's peak hour. What makes the events shares the cores, and is not told of."""
    seconds, port = bench.pick(10, 40), cost.free_port()
    counter = topic.start("fx-rollup", "--workers", WORKERS, "--metrics", f"127.0.0.1:{port}")
    metrics, events = cost.Metrics(port), NATION_PER_S * (seconds + 60)
    words = topic.fill_words(events, sources, "--rate", NATION_PER_S, "-X", "linger.ms=5",
                             "--from", now_ms(), spread_ms=events * 1000 // NATION_PER_S)
    filling = topic.start(*words)

    def look():
        mine = meter.cpu_s(counter.popen.pid), *bench.services.cpu_s()
        return time.monotonic(), metrics.read().get("committed_total", 0), *mine

    try:
        # every post is known, and nobody starts any more
        settled = 2 * NATION_PER_S + sources
        wait_until(lambda: metrics.read().get("committed_total", 0) > settled, 60, "the load", 0.2)
        before = look()
        time.sleep(seconds)
        used = [after - first for after, first in zip(look(), before)]
        assert filling.is_running(), filling.result()
    finally:
        filling.kill()
        counter.stop(120)
    return Paced(name, *(one / used[0] for one in used[1:]))


def in_nation(bench):
    with bench.lab() as topic:
        yield paced(bench, topic, "one city's places", SOURCES)
    with own_schemas() as schemas:
        write_places(schemas / "regions.csv", NATION_PLACES)
        (schemas / "sources.csv").unlink(missing_ok=True)
        with bench.lab(schemas=schemas) as topic:
            yield paced(bench, topic, f"{NATION_PLACES} places, a post in each", NATION_PLACES)


def nation(found, middle, wide, cores):
    """found: Paced ones. wide: the case of the most places."""
    lines = [f"The nation, {NATION_PER_S} samples/s in the peak hour, counted as they come:"]
    lines += map(str, found)
    lines.append(f"After 90 minutes away, {BACKLOG // 1_000_000} M events are counted in, by")
    for name, p in (("one city's places", middle), (f"{wide.x} places", wide)):
        lines.append(
            f"  {name}: {number(BACKLOG / p.rate / 60)} min on {cores} cores"
            f" ({number(p.rate / cores / 1e6)} M/s each)"
        )
    return [*lines, "  More than these cores give: more partitions, and processes in the group."]


def run(bench):
    events = bench.pick(max(20_000, bench.events // 6), max(20_000, bench.events // 4))
    cores = len(os.sched_getaffinity(0))
    points = []
    for axis in (by_workers, by_partitions, by_sources, by_places, by_sizes):
        points += axis(bench, events)
    found, middle = axes(points)
    headers = ["", "M events/s", "CPU s/M", "broker s/M", "PostgreSQL s/M", "rows/flush"]
    rows = [
        [f"{what} {p.x}", p.rate / 1e6, p.cpu, p.broker, p.postgres,
         p.rows / max(1, p.flushes), p.peak_mb]
        for what, mine in found.items() for p in mine
    ]
    bench.report.table(
        f"growth, around {PARTITIONS} partitions, {SOURCES} posts, {CITY_PLACES} places,"
        f" {WORKERS} workers", [*headers, "VmHWM MB"], rows,
    )
    panels = [
        plot.Panel(what, [p.x for p in mine], {
            "M events/s": [p.rate / 1e6 for p in mine],
            "CPU s/M, all": [p.all_cpu() for p in mine],
        })
        for what, mine in found.items()
    ]
    plot.write(lab.OUT / "growth.svg", panels)
    bench.report.say("", *(limit_of(mine, cores) for mine in found.values()), "")
    counted = list(in_nation(bench))
    bench.report.say(*nation(counted, middle, found["places"][-1], cores))
    bench.report.keep("nation", [vars(one) for one in counted])
    bench.report.say(f"plot: {(lab.OUT / 'growth.svg').relative_to(lab.ROOT)}")
    bench.report.keep("growth", [vars(p) for p in points])
    bench.report.at_most("growth_wrong_figures", sum(p.wrong for p in points), 0)
