# SPDX-License-Identifier: Apache-2.0
"""Gaps heal by themselves: fx-rollup asks over PREFIX.resend, the posts send again.

Loss is real for everyone who looks: a post's outbox takes its lines without a broker; a copy of it,
cut behind number FIRST - 1, sends the head; the outbox itself goes on with a watermark that calls
the numbers up to LAST acknowledged, as if a broker had said so and then lost them."""

import contextlib
import itertools
import json
import shutil
import sqlite3
import threading
import time

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from lib.post import Post
from lib.system import System, now_ms, wait_until
from test_daemon import BASE_MS, Daemon, line

FIRST, LAST, LINES = 4, 6, 10
SITE = {"step": "SAMPLED", "scheme": "MASS", "persons": 10, "tubes": 1, "pool_size": 10}


@pytest.fixture(scope="module")
def system():
    system = System("resend", partitions=1)
    yield system
    system.close()


class Live:
    """fx-rollup that asks after a second, and someone who writes all the time: a partition is
    caught up with each flush, else only every ten seconds."""

    def __init__(self, system):
        self.system = system
        self.rollup = system.start("fx-rollup", "--resend-after", 1)
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.write, daemon=True)
        self.thread.start()

    def write(self):
        kinds = ("checkpoint", "test_site")
        posts = [Post(self.system, kind, source="TP-WRITER") for kind in kinds]
        for n in itertools.count(1):
            if self.is_over.wait(0.3):
                return
            for post in posts:
                post.send(n)
            self.system.producer().flush(10)

    def stop(self):
        self.is_over.set()
        self.thread.join()
        assert self.rollup.stop().code == 0, self.rollup.result()


@contextlib.contextmanager
def counting(system):
    live = Live(system)
    try:
        yield live
    finally:
        live.stop()


@pytest.fixture
def live(system):
    with counting(system) as live:
        yield live


class Station(Daemon):
    """A daemon of any kind that takes lines from its socket."""

    def __init__(self, system, name, source, program="fx-checkpoint"):
        super().__init__(system, name, "--socket", source=source)
        self.source, self.program = source, program

    def start(self, *more, env=None):
        self.process = self.system.start(self.program, *self.words, *more, env=env)
        return self.ready()

    def status(self):
        return json.loads(self.system.run(self.program, "--outbox", self.outbox, "--status").out)

    def edit(self, *statements):
        db = sqlite3.connect(self.outbox)
        for statement in statements:
            db.execute(statement)
        db.commit()
        db.close()

    def lose(self, lines, *more):
        """FIRST to LAST are acknowledged and yet not in Kafka; the post runs on. Its old run."""
        self.start(env={"FX_BROKERS": "127.0.0.1:1"})
        (run,) = {answer["run"] for answer in self.ask(*lines)}
        assert self.process.kill()
        head = Station(self.system, f"{self.outbox.stem}-head", self.source, self.program)
        for end in ("", "-wal"):
            shutil.copy(f"{self.outbox}{end}", f"{head.outbox}{end}")
        head.edit(
            f"DELETE FROM event WHERE seq >= {FIRST}",
            f"DELETE FROM mark WHERE seq >= {FIRST}",
            f"UPDATE run SET last_seq = {FIRST - 1}, last_id = (SELECT max(id) FROM event)",
        )
        head.start()
        wait_until(lambda: head.status()["unsent"] == 0, 20, "the head is sent")
        assert head.process.kill()
        self.edit(f"INSERT OR REPLACE INTO meta VALUES ('acked', {LAST})")
        self.start(*more)
        wait_until(lambda: self.status()["unsent"] == 0, 20, "the tail is sent")
        return run


def lines(count=LINES):
    return [line(i) for i in range(count)]


def row(system, source, run):
    found = system.rows(
        "SELECT * FROM {s}.source_ledger WHERE source = %s AND run = %s", source, int(run, 16)
    )
    return found[0] if found else None


def gaps(system, source):
    query = "SELECT first_seq, last_seq FROM {s}.source_gap WHERE source = %s AND cause = 'missing'"
    return [(g["first_seq"], g["last_seq"]) for g in system.rows(query, source)]


def requests(system, source):
    """The messages of source in the resend topic, in order; None is a withdrawal."""
    messages = [m for chunk in system.messages("resend") for m in chunk]
    mine = [m for m in messages if m.key() == source.encode()]
    return [json.loads(m.value()) if m.value() else None for m in mine]


def asked(system, source):
    found = system.rows("SELECT * FROM {s}.resend_request WHERE source = %s", source)
    return found[0] if found else None


def settled(system, source):
    """The request was withdrawn; all messages before that."""
    wait_until(lambda: requests(system, source)[-1:] == [None], 60, "the request is withdrawn")
    wait_until(lambda: asked(system, source) is None, 20, "and forgotten")
    return requests(system, source)[:-1]


def iso(instant_ms):
    whole, part = divmod(instant_ms, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{part:03d}Z"


def ask(system, source, runs, at_ms=None, attempt=1, **more):
    """What the city would say."""
    body = {"asked_at": iso(at_ms or now_ms()), "attempt": attempt, "runs": runs, **more}
    system.send("resend", source, json.dumps(body).encode(), 0)
    system.sent()


def entry(system, run, *ranges, kind="checkpoint"):
    return {"topic": system.topic(kind), "run": run, "ranges": [list(r) for r in ranges]}


def test_what_kafka_lost_comes_back(system, live):
    """No command is typed: gap, request, resend, figures whole, request withdrawn."""
    source = "CP-HEALS"
    station = Station(system, "heals", source)
    run = station.lose(lines())
    messages = settled(system, source)
    assert messages[0]["attempt"] == 1
    assert messages[0]["runs"] == [entry(system, run, (FIRST, LAST))]
    found = row(system, source, run)
    assert (found["counted"], found["high"], found["gaps"]) == (LINES, LINES, 0)
    assert system.value(
        "SELECT sum(checked_groups)::int FROM {s}.checkpoint_source WHERE source = %s", source
    ) == LINES
    assert station.status()["asked"] >= 1
    assert station.process.stop().code == 0


def test_what_the_outbox_gave_up_is_declared(system):
    """The rows are pruned before anybody asks: a heartbeat says so, and asking ends."""
    source = "CP-GONE"
    station = Station(system, "gone", source)
    run = station.lose(lines())
    assert station.process.stop().code == 0
    station.start("--keep-days", 0)
    station.ask(line(100))
    wait_until(lambda: station.status()["kept"] == 0, 20, "acknowledged rows are given up")
    with counting(system):
        messages = settled(system, source)
    assert [m["runs"] for m in messages] == [[entry(system, run, (FIRST, LAST))]] * len(messages)
    found = row(system, source, run)
    assert (found["oldest_kept"], found["announced"]) == (0, LINES)
    assert found["heartbeat_state"] == "ENDED"
    assert gaps(system, source) == [(FIRST, LAST)], "what is lost stays named"
    newest = system.rows(
        "SELECT run, heartbeat_state FROM {s}.source_ledger WHERE source = %s"
        " ORDER BY heartbeat_at DESC LIMIT 1",
        source,
    )[0]
    assert (newest["run"] != int(run, 16), newest["heartbeat_state"]) == (True, "ALIVE")
    assert station.process.stop().code == 0


def test_a_half_that_is_kept_is_sent_and_the_rest_declared(system):
    source = "CP-HALF"
    station = Station(system, "half", source)
    run = station.lose(lines())
    assert station.process.stop().code == 0
    station.edit(f"DELETE FROM event WHERE seq < {LAST}")
    station.start()
    with counting(system):
        settled(system, source)
    found = row(system, source, run)
    assert (found["counted"], found["oldest_kept"]) == (LINES - (LAST - FIRST), LAST)
    assert gaps(system, source) == [(FIRST, LAST - 1)]
    assert station.process.stop().code == 0


def test_a_request_is_obeyed_once(system):
    """The topic is read anew at every start; what was obeyed is in the outbox."""
    source = "CP-ONCE"
    station = Station(system, "once", source).start()
    run = station.ask(*lines())[0]["run"]
    at_ms = now_ms()
    ask(system, source, [entry(system, run, (2, 4), (8, 8))], at_ms)
    wait_until(lambda: station.status()["asked"] == 1, 20, "the request is obeyed")
    ask(system, source, [entry(system, run, (1, 1))], at_ms - 1000, attempt=9)
    for _ in range(3):
        assert station.process.stop().code == 0
        station.start()
    ask(system, source, [entry(system, run, (1, 1))], at_ms, attempt=2)
    wait_until(lambda: station.status()["asked"] == 1, 20, "the next attempt is obeyed")
    assert station.process.stop().code == 0
    system.count()
    assert row(system, source, run)["duplicates"] == 4 + 1


def test_wrong_requests_do_no_harm(system):
    source = "CP-WRONG-ASK"
    station = Station(system, "wrong", source).start()
    run = station.ask(*lines())[0]["run"]
    good = entry(system, run, (3, 3))
    head = {"asked_at": iso(now_ms()), "attempt": 1, "runs": [good]}
    wrong = [
        b"",
        b"no json",
        b"[]",
        b'{"asked_at":1,"asked_at":1}',
        b"\x00\xff" * 40000,
        b"[" * 60000,
        {**head, "asked_at": None},
        {**head, "asked_at": iso(now_ms() + 86_400_000)},
        {**head, "attempt": 0},
        {**head, "runs": []},
        {**head, "runs": [{**good, "run": "XYZ"}]},
        {**head, "runs": [{**good, "topic": 7}]},
        {**head, "runs": [{**good, "ranges": [[5, 4]]}]},
        {**head, "runs": [{**good, "ranges": [[1, 2**64]]}]},
        {**head, "runs": [{**good, "ranges": [[1, 1]] * 1025}]},
    ]
    for value in wrong:
        value = value if isinstance(value, bytes) else json.dumps(value).encode()
        system.send("resend", source, value, 0)
    system.send("resend", b"\xff\xfe", b"x", 0)
    others = entry(system, "0123456789ab", (1, 5))
    ask(system, source, [others, good, entry(system, run, (50, 60))], more="is passed over")
    wait_until(lambda: station.status()["asked"] == 1, 20, "the right one is obeyed")
    assert station.status()["asked_wrong"] == len(wrong) + 1
    result = station.process.stop()
    assert result.code == 0 and result.err.count("ev=resend_request_wrong") == 1
    system.count()
    assert row(system, source, run)["duplicates"] == 1


def test_two_kinds_of_one_source(system, live):
    """One message asks both; each program obeys its part."""
    source = "CP-TWO-KINDS"
    first = Station(system, "two-cp", source)
    second = Station(system, "two-ts", source, "fx-test-site")
    runs = [
        first.lose(lines()),
        second.lose([{**SITE, "at": BASE_MS + i} for i in range(LINES)]),
    ]
    messages = settled(system, source)
    topics = {e["topic"] for m in messages if m for e in m["runs"]}
    assert topics == {system.topic("checkpoint"), system.topic("test_site")}
    assert [row(system, source, run)["counted"] for run in runs] == [LINES, LINES]
    assert first.process.stop().code == 0 and second.process.stop().code == 0


def test_who_does_not_answer_is_asked_again(system, live):
    """A deaf post: attempts go on, at growing distances; once it hears, it answers."""
    source = "CP-DEAF"
    station = Station(system, "deaf", source)
    run = station.lose(lines(), "--ignore-resend")
    wait_until(lambda: (asked(system, source) or {}).get("attempts", 0) >= 3, 60, "three attempts")
    messages = requests(system, source)
    assert [m["attempt"] for m in messages] == list(range(1, len(messages) + 1))
    assert gaps(system, source) == [(FIRST, LAST)]
    assert station.process.stop().code == 0
    station.start()
    settled(system, source)
    assert row(system, source, run)["counted"] == LINES
    assert station.process.stop().code == 0


def test_a_post_that_runs_for_a_moment_hears_it_too(system, live):
    """Lines by standard input, ended at once, now and then: no daemon."""
    source = "CP-MOMENT"
    station = Station(system, "moment", source)
    run = station.lose(lines(), "--ignore-resend")
    assert station.process.stop().code == 0
    wait_until(lambda: asked(system, source), 20, "it is asked")
    words = station.words[:-1]  # without --socket

    def has_healed():
        system.run("fx-checkpoint", *words, text=json.dumps(line(1000)) + "\n")
        return gaps(system, source) == []

    wait_until(has_healed, 60, "the gap is closed", every=1)
    settled(system, source)
    assert row(system, source, run)["counted"] == LINES


def speaks(process):
    return "ev=resend_active" in process.err_path.read_text()


def test_one_process_of_all_speaks(system, live):
    """The second stands by; it takes over when the first is killed."""
    wait_until(lambda: speaks(live.rollup), 30, "one speaks")
    second = system.start("fx-rollup", "--resend-after", 1)
    post = Post(system, source="TP-SPEAKS")
    post.send(1, 2, 5)
    system.sent()
    wait_until(lambda: asked(system, post.source), 30, "it is asked")
    assert not speaks(second)
    assert live.rollup.kill()
    live.rollup = second
    wait_until(lambda: speaks(second), 60, "the other speaks")
    post.send(9)
    system.sent()

    def both_gaps():
        found = requests(system, post.source)
        return next((m for m in found if len(m["runs"][0]["ranges"]) == 2), None)

    last = wait_until(both_gaps, 60, "the new gap is asked for by the other")
    assert last["runs"][0]["ranges"] == [[3, 4], [6, 8]] and last["attempt"] == 1
    post.send(3, 4, 6, 7, 8)
    system.sent()
    settled(system, post.source)


def test_a_rebuild_is_silent(system, live):
    system.db.execute(f"UPDATE {system.schema}.definition SET is_rebuild = true")
    wait_until(lambda: speaks(live.rollup), 30, "it has the lock")
    post = Post(system, source="TP-REBUILD")
    post.send(1, 3)
    system.sent()
    old = "SELECT 1 FROM {s}.source_gap WHERE source = %s AND opened_at < now() - interval '4 s'"
    wait_until(lambda: system.rows(old, post.source), 30, "a gap, some rounds old")
    assert asked(system, post.source) is None and requests(system, post.source) == []
    system.db.execute(f"UPDATE {system.schema}.definition SET is_rebuild = false")
    wait_until(lambda: asked(system, post.source), 30, "it is asked once it is live")


def test_setup_makes_and_checks_the_topic(system):
    topic = system.topic("resend")
    resource = ConfigResource(ResourceType.TOPIC, topic)
    configs = system.admin.describe_configs([resource])[resource].result(20)
    assert configs["cleanup.policy"].value == "compact"
    assert configs["message.timestamp.type"].value == "LogAppendTime"
    assert len(system.admin.list_topics(timeout=10).topics[topic].partitions) == 1

    def check():
        return system.setup("--check", "--no-database", code=None)

    assert check().code == 0
    change = ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET)
    changed = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])
    system.admin.incremental_alter_configs([changed])[changed].result(20)
    found = wait_until(lambda: check().out, 20, "the difference is seen")
    assert "cleanup.policy delete -> compact" in found
    system.setup("--no-database")
    wait_until(lambda: check().code == 0, 20, "it is put right")


def test_a_city_without_the_topic(system):
    """An older city: told once, and everything else works. Once there is one, it is used."""
    system.delete_topics("resend")
    wait_until(
        lambda: system.topic("resend") not in system.admin.list_topics(timeout=10).topics,
        20,
        "the topic is gone",
    )
    station = Station(system, "older", "CP-OLDER").start()
    answers = station.ask(*lines())
    wait_until(lambda: station.status()["unsent"] == 0, 20, "all is sent")
    rollup = system.start("fx-rollup", "--resend-after", 1)
    Post(system, source="TP-NOBODY").send(1, 3)
    system.sent()
    wait_until(lambda: "ev=resend_waits" in rollup.err_path.read_text(), 30, "it says so")
    wait_until(lambda: row(system, "CP-OLDER", answers[0]["run"]), 20, "counting goes on")
    assert "run fx-setup" in rollup.err_path.read_text()
    system.setup("--no-database")
    wait_until(lambda: requests(system, "TP-NOBODY"), 60, "it is asked after all")
    ask(system, "CP-OLDER", [entry(system, answers[0]["run"], (3, 3))])
    wait_until(lambda: station.status()["asked"] == 1, 60, "the post hears it after all")
    result = station.process.stop()
    assert result.code == 0 and result.err.count("ev=resend_requests_away") == 1
    assert rollup.stop().code == 0
