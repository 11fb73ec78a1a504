# SPDX-License-Identifier: Apache-2.0
"""Nonsense as lines, from stdin and from a followed file: each line is refused, those around it are
stored and counted, and memory stays flat."""

import json
import subprocess

import nonsense
import pytest
from lib.post import HAICHENG
from lib.system import LONG, System, wait_until
from meter import GROWTH_MAX_MB, Growth

WARM = 20_000
NONSENSE = 6000 if LONG else 1500
FLOOD = 200_000 if LONG else 50_000
MADE_UP = 100_000 if LONG else 50_000


@pytest.fixture(scope="module")
def system():
    system = System("lines")
    yield system
    system.close()


class Station:
    """A program that takes lines from stdin and answers each."""

    def __init__(self, system, name, program="fx-checkpoint", *args):
        self.system, self.name = system, name
        self.process = system.start(
            program,
            *["--outbox", system.dir / f"{name}.db", "--source", f"CP-{name}"],
            *["--region", HAICHENG, "--answers", *args],
            stdin=subprocess.PIPE,
        )
        self.wanted = []

    def send(self, *pieces):
        for piece in pieces:
            self.process.popen.stdin.write(piece)

    def lines(self, lines):
        for text, is_good in lines:
            self.send(text + b"\n")
            self.wanted.append(is_good)

    def sync(self):
        """Until all that was sent is answered."""
        self.process.popen.stdin.flush()
        count = len(self.wanted)

        def is_answered():
            assert self.process.is_running(), self.process.result()
            return self.process.out_path.read_bytes().count(b"\n") >= count

        wait_until(is_answered, 120, "answers", every=0.1)

    def end(self):
        self.process.popen.stdin.close()
        self.process.wait(120)
        return [json.loads(row)["ok"] for row in self.process.result().out.splitlines()]


def counted(system, source):
    query = "SELECT coalesce(sum(checked_groups), 0)::int FROM {s}.checkpoint_source"
    return system.value(query + " WHERE source = %s", source)


@pytest.mark.parametrize("program", [["fx-checkpoint"], ["fx-emit", "checkpoint"]], ids=str)
def test_stdin(system, program, at_least, at_most):
    name = program[0].removeprefix("fx-")
    station = Station(system, name, program[0], *program[1:])
    station.lines([(nonsense.GOOD, True)] * WARM)
    station.sync()
    growth = Growth(station.process)
    station.lines(nonsense.mixed(NONSENSE))
    station.send(*nonsense.no_newline())
    station.wanted.append(False)
    station.lines([(b'{"persons":-1}', False)] * FLOOD)
    station.lines([(nonsense.GOOD, True)])
    station.sync()
    growth_mb = growth.mb()
    answers = station.end()
    assert len(answers) == len(station.wanted), station.process.result()
    wrong = [i for i, (ok, good) in enumerate(zip(answers, station.wanted)) if ok != good]
    system.count()
    at_least(f"{name}_nonsense", len(answers) - sum(answers), 2 * NONSENSE + FLOOD)
    at_most(f"{name}_answered_wrongly", len(wrong), 0)
    at_most(f"{name}_miscounted", abs(counted(system, f"CP-{name}") - sum(station.wanted)), 0)
    at_most(f"{name}_growth_mb", growth_mb, GROWTH_MAX_MB)


def test_a_line_that_never_ends(system, at_most):
    """Stdin ends within it: what came before is stored."""
    station = Station(system, "endless")
    station.lines([(nonsense.GOOD, True)] * 1000)
    station.sync()
    growth = Growth(station.process)
    for piece in nonsense.no_newline(4 * nonsense.LONG_BYTES):
        station.send(piece.rstrip(b"\n"))
    station.process.popen.stdin.flush()
    at_most("endless_growth_mb", growth.mb(), GROWTH_MAX_MB)
    assert station.end().count(True) == 1000
    system.count()
    assert counted(system, "CP-endless") == 1000


def test_nonsense_of_made_up_sources(system, at_most):
    """Refused lines that name a source each: nobody hears of these sources."""
    station = Station(system, "gateway")
    station.lines([(nonsense.GOOD, True)] * WARM)
    station.sync()
    growth = Growth(station.process)
    text = '{"source":"NOBODY-%06d","persons":-1}'
    station.lines([((text % i).encode(), False) for i in range(MADE_UP)])
    station.sync()
    growth_mb = growth.mb()
    answers = station.end()
    assert answers.count(True) == WARM
    system.count()
    heard = "SELECT count(*)::int FROM {s}.source_ledger WHERE source LIKE 'NOBODY-%%'"
    made_up = system.value(heard)
    at_most("made_up_growth_mb", growth_mb, GROWTH_MAX_MB)
    at_most("made_up_sources_heard", made_up, 0)


def test_follow(system, at_least, at_most):
    """A file that grows; each refused line is kept, and the position goes past all of them."""
    path, rejects = system.dir / "lines.ndjson", system.dir / "lines.rejects"
    path.write_bytes((nonsense.GOOD + b"\n") * WARM)
    words = ["--outbox", system.dir / "follow.db", "--source", "CP-follow", "--region", HAICHENG]
    words += ["--follow", path, "--rejects", rejects]
    station = system.start("fx-checkpoint", *words)
    wait_stored(system, WARM)
    growth = Growth(station)
    lines = list(nonsense.mixed(NONSENSE))
    with open(path, "ab") as file:
        for text, _ in lines:
            file.write(text + b"\n")
        for piece in nonsense.no_newline():
            file.write(piece)
        file.write(nonsense.GOOD + b"\n" + nonsense.GOOD)  # the last one has no end yet
    good = WARM + sum(is_good for _, is_good in lines) + 1
    wait_stored(system, good)
    growth_mb = growth.mb()
    assert station.stop().code in (0, 1), station.result()
    kept = [json.loads(row) for row in rejects.read_bytes().splitlines()]
    refused = sum(not is_good for _, is_good in lines) + 1
    system.run("fx-checkpoint", "--outbox", system.dir / "follow.db", code=None)
    system.count()
    at_least("follow_refused", len(kept), refused)
    at_most("follow_refused_twice", len(kept) - refused, 0)
    at_most("follow_miscounted", abs(counted(system, "CP-follow") - good), 0)
    at_most("follow_growth_mb", growth_mb, GROWTH_MAX_MB)


def wait_stored(system, count):
    """Until the station has sent so many events."""

    def is_stored():
        system.count()
        return counted(system, "CP-follow") >= count

    wait_until(is_stored, 120, f"{count} events", every=0.2)
