# SPDX-License-Identifier: Apache-2.0
"""Where the time of an event goes: samples of all cores while fx-rollup counts, by what they found.
What fx-rollup cannot make smaller - the broker, librdkafka, PostgreSQL - stands beside what it can.
Needs perf and the right to sample the whole machine; without them it is skipped."""

import collections
import shutil
import signal
import subprocess
import time

EVENTS = 5_000_000
RATE_HZ = 997  # no divisor of anything that comes round regularly
# (thread begins with, library begins with) -> what it is; the first that fits
PARTS = [
    ("swapper", "", "idle"),
    ("rdk:", "", "librdkafka's threads"),
    ("fx-rollup", "fx-rollup", "fx-rollup: decode, ledger, count, flush"),
    ("fx-rollup", "", "fx-rollup in librdkafka, allocator, libc, kernel"),
    ("postgres", "", "PostgreSQL"),
    ("", "", "broker and others"),
]


def part_of(thread, library):
    return next(name for t, b, name in PARTS if thread.startswith(t) and library.startswith(b))


def seconds_of(text):
    """perf's lines "samples thread library" -> part -> seconds of a core."""
    found = collections.Counter()
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and words[0].isdigit():
            found[part_of(words[1], words[2])] += int(words[0]) / RATE_HZ
    return found


def sample(path, run):
    """What run gives, and the seconds of what was met meanwhile; (…, None) without perf."""
    if not shutil.which("perf"):
        return run(), None
    words = ["perf", "record", "-q", "-a", "-e", "cpu-clock", "-F", str(RATE_HZ), "-o", str(path)]
    perf = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        result = run()
    finally:
        perf.send_signal(signal.SIGINT)
        code = perf.wait(60)
    words = ["perf", "report", "-i", str(path), "--stdio", "-F", "sample,comm,dso"]
    told = subprocess.run(words, capture_output=True, text=True, timeout=120)
    path.unlink(missing_ok=True)
    return result, seconds_of(told.stdout) if code in (0, -signal.SIGINT, 130) else None


def run(bench):
    with bench.lab() as topic:
        topic.fill(min(bench.events, EVENTS), 1000)
        columns = {}
        for workers in (1, 2):
            (_, _, (events, _, seconds)), found = sample(
                topic.dir / "perf.data", lambda n=workers: topic.run_rollup(n)
            )
            if not found:
                bench.report.say("profile: skipped: no perf, or no right to sample all cores")
                return
            columns[workers] = {name: found[name] / events * 1e9 for *_, name in PARTS}
            bench.report.say(f"{workers} worker(s): {events / seconds / 1e6:.2f} M/s")
        rows = [
            [name, *(columns[n][name] for n in columns)]
            for name in dict.fromkeys(name for *_, name in PARTS)
        ]
        headers = ["ns of a core an event", *(f"{n} worker(s)" for n in columns)]
        bench.report.table("where the time goes, from the making of the schema on", headers, rows)
        bench.report.keep("profile", columns)
        own = next(name for *_, name in PARTS if name.startswith("fx-rollup: "))
        for n in columns:
            bench.report(f"own_ns_an_event_{n}_workers", columns[n][own], "-", True)
