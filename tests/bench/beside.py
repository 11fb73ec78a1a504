# SPDX-License-Identifier: Apache-2.0
"""The producer's bulk of several builds beside one another, by turns, each with the same lines.

FX_BUILD=... FX_BROKERS=... python tests/bench/beside.py [--rounds N] [--lines N] [--made-by BUILD]
[--store] BUILD[=WORDS]...

FX_BUILD sets up the topics; --made-by says whose simulation makes the lines (else FX_BUILD's);
--store leaves Kafka out; WORDS go to fx-checkpoint, separated by commas. A row per build: seconds
of CPU a million lines (user and system; of the main thread; user alone), lines a second and VmHWM
in MB, the best of each (of VmHWM the worst), then the median of its ratios to the first build in
the same round: whatever else the machine does, it does to all.
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import producer  # noqa: E402
from lib.system import BUILD, System  # noqa: E402

COLUMNS = ("cpu_s", "main_cpu_s", "user_s", "per_s", "peak_mb")


def watch(pid, found):
    """The main thread's CPU to the nanosecond, and the peak of memory, while they can be read."""
    folder = pathlib.Path(f"/proc/{pid}")
    with contextlib.suppress(OSError, ValueError, IndexError):
        while True:
            schedstat = (folder / "task" / str(pid) / "schedstat").read_text()
            found["main"] = max(found["main"], int(schedstat.split()[0]) / 1e9)
            status = (folder / "status").read_text()
            found["mb"] = int(status.split("VmHWM:")[1].split()[0]) / 1024
            time.sleep(0.01)


def one(system, command, lines, is_store):
    """One run: seconds of CPU, of the main thread, of user; seconds; MB."""
    for part in system.dir.glob("beside.db*"):
        part.unlink()
    env = {**system.env, **({"FX_BROKERS": ""} if is_store else {})}
    command = [*command, "--outbox", str(system.dir / "beside.db")]
    if is_store:
        command.append("--no-drain")
    found = {"main": 0.0, "mb": 0.0}
    with open(lines, "rb") as stdin, open(system.dir / "beside.log", "wb") as log:
        began = time.monotonic()
        popen = subprocess.Popen(command, env=env, stdin=stdin, stderr=log)
        watcher = threading.Thread(target=watch, args=(popen.pid, found), daemon=True)
        watcher.start()
        _, status, usage = os.wait4(popen.pid, 0)
        seconds = time.monotonic() - began
        popen.returncode = os.waitstatus_to_exitcode(status)
        watcher.join(5)
    assert popen.returncode == 0, (system.dir / "beside.log").read_text()[-2000:]
    cpu = usage.ru_utime + usage.ru_stime
    return cpu, found["main"], usage.ru_utime, seconds, found["mb"]


def play(options, figures):
    """Fills figures, by build: rows of COLUMNS, one a round."""
    scale = 1e6 / options.lines
    with contextlib.closing(System("beside", is_simulated=True)) as system:
        lines = system.dir / "lines.ndjson"
        producer.make_lines(system, options.lines, lines, options.made_by)
        print(f"bytes_per_line {lines.stat().st_size / options.lines:.1f}", flush=True)
        for _ in range(options.rounds):
            for name, rows in figures.items():
                build, _, words = name.partition("=")
                command = [f"{build}/bin/fx-checkpoint", *filter(None, words.split(","))]
                *cpu, seconds, mb = one(system, command, lines, options.store)
                rows.append((*(s * scale for s in cpu), options.lines / seconds, mb))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("builds", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lines", type=int, default=300_000)
    parser.add_argument("--made-by", default=BUILD)
    parser.add_argument("--store", action="store_true")
    options = parser.parse_args()
    figures = {name: [] for name in options.builds}
    play(options, figures)
    print("build", *COLUMNS, *(f"x_{column}" for column in COLUMNS[:4]))
    first = figures[options.builds[0]]
    for name, rows in figures.items():
        columns = list(zip(*rows))
        best = [*(min(column) for column in columns[:3]), max(columns[3]), max(columns[4])]
        ratios = [
            statistics.median(mine / base for mine, base in zip(columns[i], list(zip(*first))[i]))
            for i in range(4)
        ]
        print(name, *(f"{x:.2f}" for x in best[:3]), f"{best[3]:.0f} {best[4]:.1f}", end=" ")
        print(*(f"{x:.3f}" for x in ratios), flush=True)


if __name__ == "__main__":
    main()
