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


def shares(text):
    """perf's lines "12.34%  thread  library" -> part -> percent."""
    found = collections.Counter()
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0].endswith("%"):
            found[part_of(words[1], words[2] if len(words) > 2 else "")] += float(words[0][:-1])
    return found


def sample(path, run):
    """What run gives, and the shares of what was met meanwhile; (…, None) without perf."""
    if not shutil.which("perf"):
        return run(), None
    words = ["perf", "record", "-q", "-a", "-F", str(RATE_HZ), "-o", str(path)]
    perf = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        result = run()
    finally:
        perf.send_signal(signal.SIGINT)
        code = perf.wait(60)
    words = ["perf", "report", "-i", str(path), "--stdio", "--sort", "comm,dso"]
    told = subprocess.run(words, capture_output=True, text=True, timeout=120)
    path.unlink(missing_ok=True)
    return result, shares(told.stdout) if code in (0, -signal.SIGINT, 130) else None


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
            busy = 100 - found["idle"]
            event_ns = bench.cores * seconds * 1e9 / events  # of all cores
            columns[workers] = {
                name: (found[name], found[name] / 100 * event_ns) for *_, name in PARTS
            }
            bench.report.say(f"{workers} worker(s): {events / seconds / 1e6:.2f} M/s, {busy:.0f} %"
                             f" of {bench.cores} cores busy")
        rows = [
            [name, *(value for n in columns for value in columns[n][name])]
            for name in dict.fromkeys(name for *_, name in PARTS)
        ]
        headers = ["share of all cores"]
        headers += [text for n in columns for text in (f"{n} worker(s): %", "ns an event")]
        bench.report.table("where the time goes", headers, rows)
        bench.report.keep("profile", columns)
        own = next(name for *_, name in PARTS if name.startswith("fx-rollup: "))
        for n in columns:
            bench.report(f"own_ns_an_event_{n}_workers", columns[n][own][1], "-", True)
