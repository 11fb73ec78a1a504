# SPDX-License-Identifier: Apache-2.0
"""A post's daemon: socket and followed file, kill -9, rotation, heartbeats, commands."""

import json
import os
import random
import socket
import threading
import time
from collections import Counter

import pytest
from lib import recount
from lib.outbox import accepted
from lib.post import HAICHENG, LINE
from lib.system import LONG, SCHEMAS, System, now_ms, wait_until

BASE_MS = now_ms() - 3_600_000
KILLS = 8


@pytest.fixture(scope="module")
def system():
    system = System("daemon")
    yield system
    system.close()


class Daemon:
    def __init__(self, system, name, *words, source="CP-DAEMON"):
        self.system = system
        self.outbox = system.dir / f"{name}.db"
        self.words = ["--outbox", self.outbox, "--source", source, "--region", HAICHENG, *words]
        self.process = None

    def start(self):
        self.process = self.system.start("fx-checkpoint", *self.words)
        return self

    def ready(self):
        self.connect().close()
        return self

    def connect(self):
        """A connection, once the daemon listens."""

        def attempt():
            assert self.process.is_running(), self.process.result()
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(20)
            try:
                client.connect(f"{self.outbox}.sock")
            except OSError:
                client.close()
                return None
            return client

        return wait_until(attempt, 15, "the daemon's socket")

    def ask(self, *lines):
        """Sends lines, reads as many answers."""
        with self.connect() as client:
            return exchange(client, lines)

    def command(self, *words, code=0):
        return json.loads(
            self.system.run("fx-checkpoint", "--outbox", self.outbox, *words, code=code).out
        )

    def events(self, kind):
        return [kind.decode(row[0]) for row in accepted(self.outbox)]


def exchange(client, lines):
    client.sendall("".join(json.dumps(line) + "\n" for line in lines).encode())
    with client.makefile("rb") as answers:
        return [json.loads(answers.readline()) for _ in lines]


def line(i, **more):
    """Line i; its time tells it apart from all others."""
    return {**LINE, "at": BASE_MS + i, **more}


def settled(daemon, system, code=0):
    """The daemon ends by SIGTERM, all is counted: as many as the outbox has."""
    assert daemon.process.stop().code == code
    system.count()
    kind = system.kind("checkpoint")
    tally = recount.Recount(SCHEMAS, "checkpoint")
    for event in daemon.events(kind):
        tally.add(event)
    found = system.rows(
        "SELECT source, sum(checked_groups)::int AS n FROM {s}.checkpoint_source" " GROUP BY 1"
    )
    mine = {source for source, _ in tally.numbers}
    assert sum(r["n"] for r in found if r["source"] in mine) == tally.events
    return tally


def test_several_writers_with_ids(system):
    daemon = Daemon(system, "writers", "--socket").start()
    numbers = {}

    def write(writer):
        with daemon.connect() as client:
            for first in range(0, 400, 50):
                lines = [
                    line(i, id=f"{i}", source=f"CP-W-{writer}") for i in range(first, first + 50)
                ]
                for one, answer in zip(lines, exchange(client, lines)):
                    numbers[writer, one["id"]] = answer

    threads = [threading.Thread(target=write, args=(w,)) for w in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(numbers) == 2400 and all(a["ok"] for a in numbers.values())
    again = daemon.ask(*[line(i, id=f"{i}", source="CP-W-3") for i in range(400)])
    assert again == [numbers[3, f"{i}"] for i in range(400)], "a repeated id has its first number"
    assert daemon.command("--status")["repeated"] == 400
    tally = settled(daemon, system)
    assert tally.events == 2400 and all(max(n) == len(n) for n in tally.numbers.values())


def test_wrong_lines_are_answered_and_the_rest_goes_on(system):
    daemon = Daemon(system, "wrong", "--socket", source="CP-WRONG").start()
    answers = daemon.ask(line(1), line(2, vehicle="TANK"), line(3, passed=1), line(4))
    assert [a["ok"] for a in answers] == [True, False, False, True]
    assert answers[1]["field"] == "vehicle" and "TANK" in answers[1]["reason"]
    assert answers[2]["field"] == "persons"
    assert settled(daemon, system, code=1).events == 2, "exit code 1: a line was refused"


def test_unanswered_lines_are_sent_again_after_kill(system):
    """kill -9 between lines and answers: by their ids nothing is lost and nothing doubled."""
    pick = random.Random(5)
    daemon = Daemon(system, "kill", "--socket", "--group-lines", 8, source="CP-KILL").start()
    numbers, waiting, lines, kills = {}, [], 0, 0
    while waiting or kills < KILLS:
        client = daemon.connect()
        if kills < KILLS:
            waiting += range(lines, lines + 2000)
            lines += 2000
            threading.Timer(pick.uniform(0.0, 0.04), daemon.process.kill).start()
        try:
            for first in range(0, len(waiting), 20):
                part = waiting[first : first + 20]
                for i, answer in zip(part, exchange(client, [line(i, id=str(i)) for i in part])):
                    assert answer["ok"]
                    numbers[i] = answer["run"], answer["seq"]
        except (OSError, json.JSONDecodeError):
            kills += 1
            daemon.process.wait()
            daemon.start()
        client.close()
        waiting = [i for i in waiting if i not in numbers]
    tally = settled(daemon, system)
    kept = Counter(e["occurred_at"] - BASE_MS for e in daemon.events(system.kind("checkpoint")))
    assert kept == Counter(range(lines)) and tally.events == lines
    answered = {(int(run, 16), seq) for run, seq in numbers.values()}
    assert answered == {(run, seq) for (_, run), seqs in tally.numbers.items() for seq in seqs}


class Writer(threading.Thread):
    """A device's log: grows in odd pieces, is rotated now and then."""

    def __init__(self, path, lines, rotations):
        super().__init__(daemon=True)
        self.path, self.lines = path, lines
        step = lines // (rotations + 1)
        self.rotate_at = {step * (i + 1) for i in range(rotations)}
        self.pick = random.Random(11)

    def run(self):
        file = open(self.path, "ab", buffering=0)
        for i in range(self.lines):
            if i in self.rotate_at:
                file.close()
                os.rename(self.path, f"{self.path}.{i}")
                file = open(self.path, "ab", buffering=0)
            text = json.dumps(line(i)).encode() + b"\n"
            cut = self.pick.randrange(len(text))
            file.write(text[:cut])
            if i % 97 == 0:
                time.sleep(0.01)
            file.write(text[cut:])
            if i % 20 == 0:
                time.sleep(0.002)
        file.close()


def test_follow_survives_kill_and_rotation(system):
    """No line lost, none doubled, compared with what the device wrote."""
    lines = 60_000 if LONG else 20_000
    log = system.dir / "device.log"
    writer = Writer(log, lines, rotations=3)
    log.touch()
    daemon = Daemon(system, "follow", "--follow", log, source="CP-FOLLOW").start()
    writer.start()
    pick = random.Random(3)
    for _ in range(KILLS):
        time.sleep(pick.uniform(0.1, 0.5))
        assert daemon.process.kill(), "it had ended by itself: " + str(daemon.process.result())
        daemon.start()
    writer.join(60)
    daemon.ready()
    wait_until(
        lambda: daemon.command("--status")["unsent"] == 0 and at_end(daemon, lines),
        30,
        "the daemon reads the file to its end",
    )
    tally = settled(daemon, system)
    found = Counter(e["occurred_at"] - BASE_MS for e in daemon.events(system.kind("checkpoint")))
    twice = [i for i, n in found.items() if n > 1]
    lost = [i for i in range(lines) if i not in found]
    assert (lost[:5], twice[:5]) == ([], []), f"{len(lost)} lost, {len(twice)} doubled"
    assert tally.events == lines


def at_end(daemon, lines):
    return (
        sum(run["last_seq"] for run in daemon.command("--status")["runs"]) > 0
        and daemon.command("--status")["kept"] >= lines
    )


def test_line_without_newline_waits(system):
    log = system.dir / "half.log"
    log.write_text(json.dumps(line(1)) + "\n" + json.dumps(line(2)))
    daemon = Daemon(system, "half", "--follow", log, source="CP-HALF").start().ready()
    wait_until(lambda: daemon.command("--status")["kept"] == 1, 15, "the first line")
    with open(log, "a", encoding="utf-8") as file:
        file.write("\n")
    wait_until(lambda: daemon.command("--status")["kept"] == 2, 15, "the second line")
    assert settled(daemon, system).events == 2


def test_truncated_file_begins_again(system):
    log = system.dir / "copytruncate.log"
    log.write_text("".join(json.dumps(line(i)) + "\n" for i in range(10)))
    daemon = Daemon(system, "trunc", "--follow", log, source="CP-TRUNC").start().ready()
    wait_until(lambda: daemon.command("--status")["kept"] == 10, 15, "the first file")
    log.write_text(json.dumps(line(100)) + "\n")
    wait_until(lambda: daemon.command("--status")["kept"] == 11, 15, "the line after truncation")
    assert settled(daemon, system).events == 11


def ledger(system, source):
    return system.rows(
        "SELECT * FROM {s}.source_ledger WHERE source = %s ORDER BY previous_run"
        " IS NOT NULL, last_line_at",
        source,
    )


@pytest.fixture
def live(system):
    """fx-rollup running beside the test."""
    rollup = system.start("fx-rollup")
    yield rollup
    assert rollup.stop().code == 0


def beat(system, source, **wanted):
    """The ledger row of source with these values, once there is one."""

    def find():
        rows = ledger(system, source)
        return next((r for r in rows if wanted.items() <= r.items()), None)

    return wait_until(find, 15, f"a heartbeat of {source} with {wanted}")


def test_opening_is_heard_of_before_the_first_line(system, live):
    """OPEN is the first heartbeat of a run; the post is known though it has nothing to report."""
    daemon = Daemon(system, "opening", "--socket", source="CP-OPENING").start()
    row = beat(system, "CP-OPENING", heartbeat_state="OPEN")
    assert (row["announced"], row["input_state"], row["region"]) == (0, "OPEN", HAICHENG)
    assert daemon.process.stop().code == 0
    beat(system, "CP-OPENING", heartbeat_state="ENDED")


def test_heartbeats_go_on_and_end(system, live):
    source = "CP-BEATS"
    daemon = Daemon(system, "beats", "--socket", "--heartbeat-s", 1, source=source).start()
    daemon.ask(line(1), line(2))
    row = beat(system, source, heartbeat_state="ALIVE", acked=2)
    assert (row["announced"], row["input_state"], row["region"]) == (2, "OPEN", HAICHENG)
    wait_until(lambda: ledger(system, source)[0]["heartbeat_n"] > row["heartbeat_n"], 15, "another")
    assert daemon.process.stop().code == 0
    row = beat(system, source, heartbeat_state="ENDED")
    assert (row["announced"], row["acked"], row["input_state"]) == (2, 2, "CLOSED")


def test_run_cut_short_by_kill_is_ended_by_the_next(system, live):
    source = "CP-CUT"
    daemon = Daemon(system, "cut", "--socket", source=source).start()
    run = int(daemon.ask(line(3))[0]["run"], 16)
    assert daemon.process.kill()
    daemon.start()
    row = beat(system, source, run=run, heartbeat_state="ENDED")
    assert (row["announced"], row["acked"]) == (1, 1)
    row = beat(system, source, heartbeat_state="OPEN")
    assert (row["previous_run"], row["previous_last_seq"]) == (run, 1)
    daemon.process.stop()


def test_commands_go_through_the_daemon(system):
    """--status, --resend and --reverse while it runs; the outbox is locked by it."""
    daemon = Daemon(system, "commands", "--socket", source="CP-COMMANDS").start()
    answers = daemon.ask(*[line(i) for i in range(20)])
    run = answers[0]["run"]
    assert daemon.command("--resend", f"CP-COMMANDS:{run}:1-20") == {"ok": True, "resent": 20}
    back = daemon.command("--reverse", f"CP-COMMANDS:{run}:5", "--reason", "wrong key")
    assert back["ok"] and back["seq"] == 21
    assert not daemon.command("--reverse", f"CP-COMMANDS:{run}:5", "--reason", "x", code=1)["ok"]
    assert not daemon.command("--reverse", f"CP-COMMANDS:{run}:99", "--reason", "x", code=1)["ok"]
    status = daemon.command("--status")
    assert (status["kind"], status["stored"], status["kafka"]) == ("checkpoint", 20, "ok"), status
    wait_until(lambda: daemon.command("--status")["unsent"] == 0, 15, "all acknowledged")
    assert daemon.process.stop().code == 0
    system.count()
    (row,) = system.rows(
        "SELECT sum(checked_groups)::int AS n FROM {s}.checkpoint_source"
        " WHERE source = 'CP-COMMANDS'"
    )
    assert row["n"] == 19
    (row,) = ledger(system, "CP-COMMANDS")
    assert (row["counted"], row["duplicates"], row["high"]) == (21, 20, 21)


def test_daemon_without_a_broker_keeps_taking_lines(system):
    """Answers come from the outbox; what was taken goes out when Kafka is there."""
    daemon = Daemon(system, "alone", "--socket", source="CP-ALONE")
    daemon.process = system.start("fx-checkpoint", *daemon.words, env={"FX_BROKERS": "127.0.0.1:1"})
    assert all(a["ok"] for a in daemon.ask(*[line(i) for i in range(50)]))
    assert daemon.command("--status")["unsent"] == 50
    assert daemon.process.kill()
    daemon.start().ready()
    wait_until(lambda: daemon.command("--status")["unsent"] == 0, 20, "all sent")
    assert settled(daemon, system).events == 50
