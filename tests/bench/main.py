# SPDX-License-Identifier: Apache-2.0
"""The benchmark: see the head of the file run."""

import contextlib
import importlib
import os
import pathlib
import platform
import signal
import sys
import tempfile
import time
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import lab  # noqa: E402
import meter  # noqa: E402
from lib.system import LONG  # noqa: E402
from report import Report  # noqa: E402

BUSY_MAX = 0.2  # cores: more is no idle machine
stops = []  # signals that asked for the end
SECTIONS = ["consumers", "hot", "profile", "producer", "freshness", "cost", "growth"]


@dataclass
class Bench:
    """What the sections share."""

    report: Report
    services: meter.Services
    machine: dict
    is_long: bool
    events: int
    rounds: int

    @contextlib.contextmanager
    def lab(self, **options):
        """A Lab for as long as it is needed."""
        one = lab.Lab(self.services, **options)
        try:
            one.setup()
            yield one
        finally:
            one.close()

    def pick(self, short, long):
        return long if self.is_long else short


def chosen_sections():
    wanted = [name for name in os.environ.get("FX_BENCH_ONLY", "").split(",") if name]
    unknown = set(wanted) - set(SECTIONS)
    if unknown:
        raise SystemExit(f"FX_BENCH_ONLY: no section {', '.join(unknown)}; there are {SECTIONS}")
    return [name for name in SECTIONS if not wanted or name in wanted]


def busy_cores():
    """How many cores others keep busy, once our own start has died down: the load average would
    blame them for it."""
    for _ in range(10):
        began, before = time.monotonic(), idle_s()
        time.sleep(3)
        busy = os.cpu_count() - (idle_s() - before) / (time.monotonic() - began)
        if busy <= BUSY_MAX:
            break
    return max(0.0, busy)


def idle_s():
    """Seconds all cores together have been idle or waiting for a disk."""
    words = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return sum(int(words[at]) for at in (4, 5)) / os.sysconf("SC_CLK_TCK")


def machine():
    model = "unknown"
    with contextlib.suppress(OSError):
        rows = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        names = [row.split(":", 1)[1].strip() for row in rows if row.startswith("model name")]
        model = names[0] if names else model
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "busy": busy_cores(),
    }


def run_section(bench, name):
    began = time.monotonic()
    bench.report.begin(
        name,
        {
            "machine": bench.machine,
            "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "is_long": bench.is_long,
            "events": bench.events,
            "rounds": bench.rounds,
        },
    )
    bench.report.say("", f"== {name}")
    try:
        importlib.import_module(name).run(bench)
    except Exception:  # the others still have something to say
        bench.report.broken(name)
    if stops:  # closing may have failed over it
        raise SystemExit(143)
    bench.report.say(f"({name}: {time.monotonic() - began:.0f} s)")
    bench.report.write(lab.OUT / "results.json")


def main():
    report = Report()
    chosen = chosen_sections()
    where = machine()
    report.say(f"{where['cores']} cores, {where['cpu']}, {where['busy']:.2f} busy")
    if where["busy"] > BUSY_MAX:
        report.say("the machine is not idle: no figure below means anything")
    scratch = lab.OUT / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(scratch)  # outboxes belong on the disk, and /tmp may be none
    lab.build_programs()
    events = int(os.environ.get("FX_BENCH_EVENTS") or (20_000_000 if LONG else 6_000_000))
    rounds = int(os.environ.get("FX_BENCH_ROUNDS") or (5 if LONG else 3))
    bench = Bench(report, meter.Services(), where, LONG, events, rounds)
    for name in chosen:
        run_section(bench, name)
    report.say("", f"all figures: {(lab.OUT / 'results.json').relative_to(lab.ROOT)}")
    return 0 if report.close() else 1


def stopped(number, _frame):
    """tests/run stops a suite that takes too long; topics and schemas go all the same."""
    stops.append(number)
    raise SystemExit(143)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stopped)
    sys.exit(main())
