# SPDX-License-Identifier: Apache-2.0
"""What a person decides about numbers: write-offs, releases, cut-offs, while fx-rollup counts."""

import random
import threading
import time
from datetime import datetime, timezone

import pytest
from lib.post import Post
from lib.system import System, now_ms, wait_until

WHY = ["--reason", "the device fell into the sea"]


@pytest.fixture(scope="module")
def system():
    system = System("decide", partitions=2)
    yield system
    system.close()


@pytest.fixture
def alone():
    system = System("decided", partitions=2)
    yield system
    system.close()


def name(post, first=None, last=None):
    numbers = "" if first is None else f":{first}-{last}"
    return f"{post.source}:{post.run:012x}{numbers}"


def write_off(post, first, last, **kw):
    return post.system.run("fx-setup", "--write-off", name(post, first, last), *WHY, **kw)


def decided(system, table):
    return system.rows(f"SELECT * FROM {system.schema}_record.{table}")


def check_gaps(post):
    """Disjoint, in order, apart unless the causes differ; the days tile what there is."""
    gaps = post.gaps()
    for (_, last, cause), (first, _, other) in zip(gaps, gaps[1:]):
        assert last < first and (last + 1 < first or cause != other), gaps
    return post.ledger()


# ---- who decides ----


def test_the_first_schema_of_a_record_is_the_live_one():
    """Whatever the record schema is called; who shares it later counts anew, until the swap."""
    system = System("record", partitions=1, is_set_up=False)
    record, other = system.schema + "_of_people", system.schema + "_next"
    system.extra_schemas.append(record)
    try:
        for _ in range(2):
            system.setup("--record-schema", record)
        system.setup("--record-schema", record, schema=other)
        assert system.differences("--record-schema", record, schema=other) == []
        post = Post(system)
        post.send(1, 3)
        system.sent()
        for schema in (system.schema, other):
            system.count(env={"FX_SCHEMA_NAME": schema})
        for is_swapped in (False, True):
            said = write_off(post, 2, 2, code=2, env={"FX_SCHEMA_NAME": other})
            assert "decide there" in said.err
            system.run("fx-setup", "--cut-off", now_ms() - 2_000 + is_swapped)
            system.setup("--record-schema", record)
            live = system.rows(f"SELECT name FROM {record}.live_schema")
            assert [row["name"] for row in live] == [system.schema]
            if not is_swapped:
                system.run("fx-setup", "--swap", other)
        write_off(post, 2, 2)
        assert post.gaps() == [(2, 2, "written_off")]
    finally:
        system.close()


# ---- write-off ----


def test_write_off_splits_gaps_exactly(system):
    post = Post(system)
    post.send(1, 12, 20)
    post.send(5, sign=0)  # rejected
    post.count()
    assert post.gaps() == [(2, 4, "missing"), (5, 5, "rejected"), (6, 11, "missing"),
                           (13, 19, "missing")]
    result = write_off(post, 4, 14)
    assert "10 numbers" in result.out and "ev=write_off" in result.err
    assert post.gaps() == [(2, 3, "missing"), (4, 11, "written_off"), (13, 14, "written_off"),
                           (15, 19, "missing")]
    assert check_gaps(post)["counted"] == 3
    write_off(post, 2, 3)
    assert post.gaps()[0] == (2, 11, "written_off")
    row = decided(system, "write_off")[0]
    assert (row["topic"], row["source"], row["run"]) == (system.topic("checkpoint"), post.source,
                                                         post.run)
    assert (row["first_seq"], row["last_seq"], row["reason"]) == (4, 14, WHY[1])
    assert row["decided_by"] == system.value("SELECT session_user")


def test_a_copy_that_comes_after_all_counts(system):
    post = Post(system)
    post.send(1, 9)
    post.count()
    write_off(post, 2, 8)
    post.send(5, 5)
    post.count()
    assert post.gaps() == [(2, 4, "written_off"), (6, 8, "written_off")]
    assert check_gaps(post)["counted"] == 3 and post.total() == 3
    assert post.ledger()["duplicates"] == 1


def test_announced_numbers_that_never_came(system):
    """Above high: high is raised, a gap stands there; what was announced later still counts."""
    post = Post(system)
    post.send(1, 2)
    post.send_raw(post.heartbeat(1, acked=2, last_seq=9))
    post.count()
    result = write_off(post, 3, 10, code=2)
    assert "announced" in result.err and "up to 9" in result.err and "3-9" in result.err
    assert post.ledger()["high"] == 2 and post.gaps() == []
    write_off(post, 5, 9)
    assert post.gaps() == [(3, 4, "missing"), (5, 9, "written_off")]
    assert check_gaps(post)["high"] == 9
    post.send(10, 3)
    post.count()
    assert post.gaps() == [(4, 4, "missing"), (5, 9, "written_off")]
    assert check_gaps(post)["counted"] == 4 and post.total() == 4


def test_numbers_only_the_next_run_knows_of(system):
    """A run of which nothing came: its successor says how many there were."""
    lost, post = Post(system), None
    post = Post(system, source=lost.source)
    post.send(1)
    post.send_raw(
        post.heartbeat(1, acked=1, state="OPEN", previous_run=lost.run, previous_last_seq=7)
    )
    post.count()
    assert lost.ledger() is None
    write_off(lost, 1, 7)
    assert lost.gaps() == [(1, 7, "written_off")] and check_gaps(lost)["high"] == 7
    day = system.value(
        "SELECT day_first_seq FROM {s}.source_ledger WHERE source = %s AND run = %s",
        lost.source, lost.run)
    assert day == 1
    lost.send(4)
    lost.count()
    assert check_gaps(lost)["counted"] == 1 and lost.total() == 2


def test_what_is_refused_and_what_there_is_instead(system):
    post = Post(system)
    post.send(1, 2, 7)
    post.count()
    before = len(decided(system, "write_off"))
    other = Post(system)
    for words, code, told in [
        (["--write-off", name(post, 1, 2), *WHY], 2, ["nothing in the range", "3-6"]),
        (["--write-off", name(post, 3, 8), *WHY], 2, ["ever announced", "up to 7", "3-6"]),
        (["--write-off", name(post, 3, 6)], 2, ["--reason"]),
        (["--write-off", name(post, 3, 6), "--reason", " "], 2, ["--reason"]),
        (["--write-off", name(post, 6, 3), *WHY], 2, ["numbers"]),
        (["--write-off", name(post, 0, 3), *WHY], 2, ["from 1"]),
        (["--write-off", name(post), *WHY], 2, ["SOURCE:RUN:FIRST-LAST"]),
        (["--write-off", f"{post.source}:12ab:3-6", *WHY], 2, ["12 hex digits"]),
        (["--write-off", name(other, 3, 6), *WHY], 2, ["nothing was ever heard", other.source]),
        (["--write-off", f"{post.source}:{other.run:012x}:3-6", *WHY], 2, [f"{post.run:012x}"]),
        (["--write-off", name(post, 3, 6), "--release", name(post), *WHY], 2, ["one decision"]),
        (["--write-off", name(post, 3, 6), "--check", *WHY], 2, ["--check"]),
        (["--release", name(post)], 2, ["not quarantined"]),
        (["--release", name(post), *WHY], 2, ["--reason"]),
        (WHY, 2, ["decision"]),
    ]:
        result = system.run("fx-setup", *words, code=code)
        assert result.out == "" and all(word in result.err for word in told), (words, result)
    assert post.gaps() == [(3, 6, "missing")]
    assert len(decided(system, "write_off")) == before


def test_a_run_in_two_topics_wants_its_kind(system):
    post = Post(system)
    twin = Post(system, kind="test_site", source=post.source)
    twin.run = post.run
    for one in (post, twin):
        one.send(1, 3)
    post.count()
    assert "--kind" in write_off(post, 2, 2, code=2).err
    words = ["--write-off", name(post, 2, 2), "--kind", "test_site", *WHY]
    system.run("fx-setup", *words)
    rows = system.rows(
        "SELECT topic, cause FROM {s}.source_gap WHERE source = %s ORDER BY 1", post.source
    )
    assert [r["cause"] for r in rows] == ["missing", "written_off"]


def test_write_offs_race_with_counting(alone, note):
    """Live workers flush every few milliseconds while ranges are given up: nothing is counted twice
    or lost, and the gaps are exact at every look."""
    posts = [Post(alone) for _ in range(6)]
    pick = random.Random(11)
    rollups = [alone.start("fx-rollup", "--workers", 2, "--flush-events", 200) for _ in range(2)]
    stop, sent = threading.Event(), {post: set() for post in posts}
    given_up = 0

    def feed():
        seq = 0
        while not stop.is_set():
            seq += 1
            for post in posts:
                if seq % 3 or seq < 4:
                    post.send(seq)
                    sent[post].add(seq)
            alone.sent()
            time.sleep(0.004)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        wait_until(lambda: all(p.counted() > 30 for p in posts), 30, "the first events")
        for _ in range(40):
            post = pick.choice(posts)
            gaps = [(a, b) for a, b, cause in post.gaps() if cause == "missing"]
            if not gaps:
                continue
            first = pick.choice(gaps)[0]
            write_off(post, first, min(first + pick.randrange(9), post_high(post)))
            given_up += 1
    finally:
        stop.set()
        feeder.join()
    for post in posts:  # a third of what was left out comes after all
        late = [n for n in range(4, max(sent[post])) if n % 3 == 0 and n % 9 == 0]
        post.send(*late)
        sent[post] |= set(late)
    alone.sent()
    for rollup in rollups:
        assert rollup.is_running(), rollup.result()
        assert rollup.stop().code == 0
    alone.count()
    for post in posts:
        row = check_gaps(post)
        assert row["counted"] == len(sent[post]) == post.total(), post.source
        missing = {n for a, b, _ in post.gaps() for n in range(a, b + 1)}
        assert missing == set(range(1, row["high"] + 1)) - sent[post]
    fenced = sum(r.result().err.count("another owner") for r in rollups)
    note(f"{given_up} write-offs against two live fx-rollup; {fenced} flushes were fenced")
    assert given_up > 10 and fenced > 0


def post_high(post):
    return post.system.value(
        "SELECT high FROM {s}.source_ledger WHERE source = %s AND run = %s", post.source, post.run
    )


# ---- release ----


def test_release(alone):
    """Over 16,384 gaps quarantine a run; released, it counts, and is told what to do next."""
    post = Post(alone)
    post.send(*range(1, 2 * 16_384 + 3, 2))
    quarantined = 2 * 16_384 + 3
    post.send(quarantined)
    post.count()
    assert post.ledger()["is_quarantined"] and post.counted() == 16_385
    post.send(2)
    post.count()
    assert post.counted() == 16_385
    result = alone.run("fx-setup", "--release", name(post))
    assert "fx-rollup --redrive source_quarantined" in result.out and "ev=release" in result.err
    assert decided(alone, "release")[0]["run"] == post.run
    post.send(4, 6)
    post.count()
    assert post.counted() == 16_387 and not post.ledger()["is_quarantined"]


# ---- cut-off ----


def test_cut_off(alone):
    post = Post(alone)
    post.send(1)
    post.count()
    before = alone.rows("SELECT topic, partition, generation FROM {s}.partition_position")
    result = alone.run("fx-setup", "--cut-off", "2022-02-10 08:30")
    assert "2022-02-10T08:30" in result.out
    row = decided(alone, "cutoff")[0]
    assert row["as_of"] == datetime(2022, 2, 10, 0, 30, tzinfo=timezone.utc)
    after = alone.rows("SELECT topic, partition, generation FROM {s}.partition_position")
    assert len(before) == len(after) > 0
    assert not {tuple(r.values()) for r in before} & {tuple(r.values()) for r in after}
    assert "recorded" in alone.run("fx-setup", "--cut-off", "2022-02-10 08:30", code=2).err
    ahead = now_ms() + 3_600_000
    assert "yet to come" in alone.run("fx-setup", "--cut-off", ahead, code=2).err
    alone.run("fx-setup", "--cut-off", "yesterday", code=2)
    alone.run("fx-setup", "--cut-off", "2022-02-10T08:30:00Z")
    assert len(decided(alone, "cutoff")) == 2
