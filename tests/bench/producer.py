# SPDX-License-Identifier: Apache-2.0
"""What a producer takes: lines a second into Kafka, answers in time, memory, a backlog.

How long an answer may take follows the disk: the target holds where an fsync takes 1 ms; where the
median of this disk, measured in the same run, is longer, it is as many times longer.
"""

import contextlib
import json
import os
import socket
import subprocess
import threading
import time

import meter
from lib.post import HAICHENG, LINE
from lib.system import BUILD, System, wait_until
from report import percentile

BULK_PER_S, MAIN_CPU_S, ANSWER_MS, MEMORY_MB = 200_000, 5, 10, 16
SOURCES = 700
POOL = 20_000  # different lines
GIVEN = "run seq sign reverses_run reverses_seq counted_at".split()  # by the producer
CLIENTS = 8
WAITING = (200_000, 1_000_000)  # events of the backlog, in the short form and in the long one


def watched(system, *words, env=None, **pipes):
    """fx-checkpoint, watched by a meter."""
    words = [str(BUILD / "bin/fx-checkpoint"), *map(str, words)]
    return meter.Watched(words, {**system.env, **(env or {})}, system.dir / "producer.log", **pipes)


def make_lines(system, count, path, build=BUILD):
    """A file of so many lines of a city's posts, as devices write them."""
    words = [f"{build}/bin/fx-checkpoint", "--simulate", "--dry-run", "--events", POOL]
    words += ["--sources", SOURCES]
    lines = []
    made = subprocess.run(
        list(map(str, words)), env=system.env, check=True, timeout=60, capture_output=True
    )
    for text in made.stdout.decode().splitlines():
        event = json.loads(text)
        event["at"] = event.pop("occurred_at")
        event["source"] = event["source"].removeprefix("SIM-")
        said = {k: v for k, v in event.items() if k not in GIVEN and v not in (0, None)}
        lines.append(json.dumps(said, separators=(",", ":")) + "\n")
    assert len(lines) == POOL
    with open(path, "w", encoding="utf-8") as file:
        for first in range(0, count, POOL):
            file.writelines(lines[: count - first])


def fsync_ms(system, count=200):
    """What making three pages of a growing file durable takes: median and 99th percentile."""
    times = []
    file = os.open(system.dir / "fsync", os.O_RDWR | os.O_CREAT)
    for i in range(count):
        os.pwrite(file, b"x" * 12288, i * 12288)
        began = time.perf_counter()
        os.fdatasync(file)
        times.append((time.perf_counter() - began) * 1000)
    os.close(file)
    return percentile(times, 0.5), percentile(times, 0.99)


def sent(system):
    """Messages in the topic."""
    return sum(system.ends("checkpoint"))


def status(system, outbox):
    return json.loads(system.run("fx-checkpoint", "--status", "--outbox", outbox).out)


def bulk(system, lines, count, report):
    """Lines from a file until Kafka has acknowledged them all."""
    before = sent(system)
    outbox = system.dir / "bulk.db"
    with open(lines, "rb") as stdin:
        run = watched(system, "--outbox", outbox, stdin=stdin)
        per_s = count / run.end()
    assert sent(system) - before >= count and status(system, outbox)["unsent"] == 0
    cpu, main = (round(s * 1e6 / count, 2) for s in (run.cpu_s, run.main_cpu_s))
    report("producer_bulk_events_per_s", round(per_s), f">={BULK_PER_S}", per_s >= BULK_PER_S)
    report("producer_bulk_main_cpu_s_per_million", main, f"<={MAIN_CPU_S}", main <= MAIN_CPU_S)
    report("producer_bulk_cpu_s_per_million", cpu, "-", True)
    return run.peak_mb


def store(system, lines, count, outbox, report):
    """The same without Kafka: the backlog of the next part."""
    words = ["--outbox", outbox, "--no-drain"]
    with open(lines, "rb") as stdin:
        run = watched(system, *words, stdin=stdin, env={"FX_BROKERS": ""})
        run.end()
    report("producer_store_cpu_s_per_million", round(run.cpu_s * 1e6 / count, 2), "-", True)


def connect(outbox):
    def attempt():
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(f"{outbox}.sock")
        except OSError:
            client.close()
            return None
        return client

    return wait_until(attempt, 60, "the socket", every=0.001)


def ask(file, text):
    """One line, one answer: milliseconds."""
    began = time.perf_counter()
    file.write(text)
    file.flush()
    answer = file.readline()
    assert answer.startswith(b'{"ok":true'), answer
    return (time.perf_counter() - began) * 1000


def a_line(source):
    line = {**LINE, "source": source, "region": HAICHENG}
    return json.dumps(line).encode() + b"\n"


def start(system, outbox, before, report, name):
    """A daemon on this outbox: until it answers a first line, and until a first message came."""
    times = {}
    run = watched(system, "--socket", "--outbox", outbox)

    def answered():
        with connect(outbox) as client, client.makefile("rwb") as file:
            ask(file, a_line("CP-FIRST"))
            times["answer"] = time.monotonic() - run.began

    asker = threading.Thread(target=answered)
    asker.start()
    wait_until(lambda: sent(system) > before, 60, "a first message", every=0.002)
    times["send"] = time.monotonic() - run.began
    asker.join(60)
    report(f"producer_start_{name}_first_answer_ms", round(times["answer"] * 1000), "-", True)
    report(f"producer_start_{name}_first_send_ms", round(times["send"] * 1000), "-", True)
    return run


def backlog(system, lines, count, report):
    """What a long outage left: started with it, and sent. Beside it, the start without any."""
    report("producer_backlog_events", count, "-", True)
    start(system, system.dir / "empty.db", sent(system), report, "empty").end(is_stopped=True)
    outbox = system.dir / "backlog.db"
    store(system, lines, count, outbox, report)
    before = sent(system)
    run = start(system, outbox, before, report, "backlog")
    wait_until(lambda: sent(system) - before > count, 600, "the backlog in Kafka", every=0.02)
    per_s = count / (time.monotonic() - run.began)
    run.end(is_stopped=True)
    assert status(system, outbox)["unsent"] == 0
    report("producer_backlog_events_per_s", round(per_s), "-", True)
    report("producer_backlog_cpu_s_per_million", round(run.cpu_s * 1e6 / count, 2), "-", True)
    return run.peak_mb


def answers_alone(system, count, report):
    """One writer on stdin that waits for each answer."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    run = watched(system, "--answers", "--outbox", system.dir / "answers.db", **pipes)
    times, line = [], a_line("CP-ALONE")
    for _ in range(count):
        began = time.perf_counter()
        run.popen.stdin.write(line)
        run.popen.stdin.flush()
        assert run.popen.stdout.readline().startswith(b'{"ok":true')
        times.append((time.perf_counter() - began) * 1000)
    run.popen.stdin.close()
    run.end()
    for percent in (50, 99):
        value = round(percentile(times, percent / 100), 2)
        report(f"answer_p{percent}_ms_alone", value, "-", True)


def answers_together(system, count, report):
    """Several writers on the socket, each waiting for its answers: they share fsyncs."""
    outbox = system.dir / "together.db"
    run = watched(system, "--socket", "--outbox", outbox)
    times = [[] for _ in range(CLIENTS)]

    def write(i):
        line = a_line(f"CP-WRITER-{i}")
        with connect(outbox) as client, client.makefile("rwb") as file:
            times[i] += [ask(file, line) for _ in range(count)]

    disk_ms = fsync_ms(system)
    threads = [threading.Thread(target=write, args=(i,)) for i in range(CLIENTS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
    seconds = time.monotonic() - began
    run.end(is_stopped=True)
    disk_ms = [(a + b) / 2 for a, b in zip(disk_ms, fsync_ms(system))]
    found = [ms for part in times for ms in part]
    assert len(found) == CLIENTS * count
    p99, limit = percentile(found, 0.99), ANSWER_MS * max(1, disk_ms[0])
    report("fsync_p50_ms", round(disk_ms[0], 2), "-", True)
    report("fsync_p99_ms", round(disk_ms[1], 2), "-", True)
    report("answer_p50_ms_group_commit", round(percentile(found, 0.5), 2), "-", True)
    report("answer_p99_ms_group_commit", round(p99, 2), f"<={limit:.1f}", p99 <= limit)
    report("answer_p99_fsyncs_group_commit", round(p99 / disk_ms[0], 1), "-", True)
    report("answers_per_s_group_commit", round(len(found) / seconds), "-", True)


def at_a_posts_rate(system, seconds, report):
    """Posts of one line and of fifty lines a second, each line by itself."""
    runs = {}
    for rate in (1, 50):
        outbox = system.dir / f"rate-{rate}.db"
        runs[rate] = watched(system, "--outbox", outbox, stdin=subprocess.PIPE)
    for tick in range(50 * seconds):
        for rate, run in runs.items():
            if tick % (50 // rate) == 0:
                run.popen.stdin.write(a_line(f"CP-RATE-{rate}"))
                run.popen.stdin.flush()
        time.sleep(0.02)
    for rate, run in runs.items():
        run.popen.stdin.close()
        run.end()
        percent = round(100 * run.cpu_s / run.seconds, 2)
        report(f"producer_cpu_percent_at_{rate}_per_s", percent, "-", True)
        report(f"producer_vm_hwm_mb_at_{rate}_per_s", round(run.peak_mb, 1), "-", True)
    return max(run.peak_mb for run in runs.values())


def run(bench):
    report = bench.report
    count = bench.pick(600_000, 3_000_000)
    waiting = bench.pick(*WAITING)
    with contextlib.closing(System("producer", is_simulated=True)) as system:
        lines = system.dir / "lines.ndjson"
        make_lines(system, max(count, waiting), lines)
        peaks = [bulk(system, lines, count, report)]
        make_lines(system, waiting, lines)
        peaks.append(backlog(system, lines, waiting, report))
        lines.unlink()
        answers_alone(system, bench.pick(300, 2000), report)
        answers_together(system, bench.pick(200, 2000), report)
        peaks.append(at_a_posts_rate(system, bench.pick(20, 60), report))
        peak = round(max(peaks), 1)
        report("producer_vm_hwm_mb", peak, f"<={MEMORY_MB}", peak <= MEMORY_MB)
    report.say(
        f"in bulk {count} lines; a backlog of {waiting} events; the short and the long form drain"
        f" {WAITING[0]} and {WAITING[1]}"
    )
