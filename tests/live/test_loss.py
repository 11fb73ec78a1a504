# SPDX-License-Identifier: Apache-2.0
"""Kafka lost something, really: fx-rollup stops with 3, names what is lost and the command that
accepts it; that command, as printed, makes it go on, exactly once, and the loss stays in sight."""

import re
import shlex
import signal
import time

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from lib.post import Post
from lib.system import System, now_ms, wait_until


@pytest.fixture
def system():
    system = System("loss", partitions=2)
    yield system
    system.close()


def refusal(system, post, *told, result=None):
    """fx-rollup stops with 3; the words of the command that it prints, and its range."""
    result = result or system.count(code=3)
    topic = system.topic(post.kind)
    assert f"topic {topic} partition {post.partition}: offsets" in result.err, result
    for text in told:
        assert text in result.err, (text, result)
    found = re.search(r"fx-setup (--accept-loss (\S+):(\d+):(\d+)-(\d+)) --reason TEXT", result.err)
    assert found and found[2] == topic and int(found[3]) == post.partition, result
    return shlex.split(found[1]), (int(found[4]), int(found[5]))


def accept(system, words, **kw):
    return system.run("fx-setup", *words, "--reason", "the disk of the broker burnt", **kw)


def trim(system, post, offset):
    """Retention, by an administrator's hand."""
    where = TopicPartition(system.topic(post.kind), post.partition, offset)
    for future in system.admin.delete_records([where]).values():
        future.result(20)


def recreate(system):
    topic = system.topic("checkpoint")
    system.delete_topics("checkpoint")
    wait_until(
        lambda: topic not in system.admin.list_topics(timeout=10).topics, 15, "the topic is gone"
    )
    system.setup()
    system.forget_topics()


def set_time(system, kind, value):
    resource = ConfigResource(ResourceType.TOPIC, system.topic(kind))
    resource.add_incremental_config(
        ConfigEntry(
            "message.timestamp.type", value, incremental_operation=AlterConfigOpType.SET
        )
    )
    for future in system.admin.incremental_alter_configs([resource]).values():
        future.result(10)
    time.sleep(0.3)


def position(system, post):
    return system.rows(
        "SELECT * FROM {s}.partition_position WHERE topic = %s AND partition = %s",
        system.topic(post.kind), post.partition,
    )[0]


def losses(system):
    return [
        (r["first_offset"], r["last_offset"], r["is_counted"], r["is_applied"])
        for r in system.rows("SELECT * FROM {s}.accepted_loss ORDER BY accepted_at")
    ]


# ---- retention passed us ----


def test_retention_passed_us(system):
    post = Post(system)
    post.send(1, 2)
    post.count()
    post.send(3, 4, 5)
    system.sent()
    trim(system, post, 4)
    words, lost = refusal(system, post, "gone from Kafka and were never counted")
    assert lost == (2, 3)
    refusal(system, post)  # again, and nothing moved
    assert position(system, post)["next_offset"] == 2
    assert "2-3" in accept(system, words[:1] + [words[1].replace(":2-3", ":1-3")], code=2).err
    result = accept(system, words)
    assert "ev=accept_loss" in result.err and "without the offsets that are gone" in result.out
    assert losses(system) == [(2, 3, False, False)]
    post.count()
    assert post.counted() == 3 and post.gaps() == [(3, 4, "missing")] and post.total() == 3
    assert losses(system) == [(2, 3, False, True)]
    row = position(system, post)
    assert row["base_offset"] <= row["next_offset"] == 5 and row["accepted_id"] is not None


def test_retention_passes_a_running_fx_rollup(system):
    """It reads where nothing is any more: the same words and the same exact range."""
    post = Post(system)
    post.send(1, 2)
    system.sent()
    rollup = system.start("fx-rollup")
    wait_until(lambda: post.counted() == 2, 30, "the first events")
    rollup.signal(signal.SIGSTOP)
    time.sleep(0.5)  # what it asked Kafka for last is answered: nothing
    post.send(*range(3, 50))
    system.sent()
    trim(system, post, 40)
    rollup.signal(signal.SIGCONT)
    assert rollup.wait(60) == 3, rollup.result()
    words, lost = refusal(system, post, result=rollup.result())
    assert lost == (2, 39)
    accept(system, words)
    post.count()
    assert post.counted() == 11 and post.gaps() == [(3, 40, "missing")]


def test_what_is_not_lost_yet_cannot_be_accepted(system):
    """Or it would be lost later without a word: also in one go with what is lost by now."""
    post = Post(system)
    post.send(*range(1, 6))
    post.count()
    post.send(*range(6, 31))
    system.sent()
    where = f"{system.topic(post.kind)}:{post.partition}"
    ahead = accept(system, ["--accept-loss", f"{where}:5-30"], code=2)
    assert "its end 30" in ahead.err and "5-29 are there" in ahead.err
    trim(system, post, 10)
    ahead = accept(system, ["--accept-loss", f"{where}:5-19"], code=2)
    assert "next offset to count is 5" in ahead.err and "lost are 5-9" in ahead.err
    trim(system, post, 20)
    words, lost = refusal(system, post, "never counted")
    assert lost == (5, 19)
    away = accept(system, words, code=4, env={"FX_BROKERS": "127.0.0.1:1"})
    assert "asking Kafka" in away.err and losses(system) == []
    accept(system, words)
    post.count()
    assert post.gaps() == [(6, 20, "missing")]


def test_an_acceptance_that_is_too_small_does_not_do(system):
    post = Post(system)
    post.send(*range(1, 11))
    post.count()
    post.send(*range(11, 31))
    system.sent()
    trim(system, post, 20)
    words, lost = refusal(system, post)
    assert lost == (10, 19)
    accept(system, [words[0], words[1].replace("10-19", "10-18")])
    words, lost = refusal(system, post)
    assert lost == (10, 19) and position(system, post)["next_offset"] == 10
    accept(system, words)
    post.count()
    assert post.counted() == 20 and post.gaps() == [(11, 20, "missing")]
    assert losses(system) == [(10, 18, False, True), (10, 19, False, True)]


def test_the_same_range_can_be_lost_twice(system):
    """Accepted, made anew, lost again: the old acceptance does not speak for the new log."""
    post = Post(system)
    post.send(1, 2)
    post.count()
    post.send(3, 4)
    system.sent()
    trim(system, post, 4)
    accept(system, refusal(system, post)[0])
    system.db.execute(  # the database's clock is a day ahead, later acceptances are earlier
        f"UPDATE {system.schema}_record.acceptance SET accepted_at = now() + interval '1 day'"
    )
    post.send(5)
    post.count()
    recreate(system)
    post.send(6, 7)
    system.sent()
    words, lost = refusal(system, post, "log ends at offset 2")
    assert lost == (0, 4)
    accept(system, words)
    post.count()
    assert post.counted() == 5 and post.gaps() == [(3, 4, "missing")]
    post.send(8, 9)
    system.sent()
    trim(system, post, 4)
    words, lost = refusal(system, post, "never counted")
    assert lost == (2, 3)  # as the first time
    accept(system, words)
    post.send(10)
    post.count()
    assert post.counted() == 6 and post.gaps() == [(3, 4, "missing"), (8, 9, "missing")]
    assert len(losses(system)) == 3 and all(applied for *_, applied in losses(system))


# ---- the topic is another one ----


@pytest.mark.parametrize("length", [5, 19, 40], ids=["shorter", "as_long", "longer"])
def test_topic_recreated(system, length):
    """All of the new log counts, copies of what was counted do not."""
    post = Post(system)
    post.send(*range(1, 20))
    bad = post.send(20, sign=0)
    post.count()
    assert post.reasons(bad) == ["invalid_field"]
    recreate(system)
    other = Post(system, source=post.source)
    other.send(*range(1, length))
    other.send_raw(bad)
    post.send(3)  # a copy
    system.sent()
    words, lost = refusal(system, post, "recreated")
    assert lost == (0, 19) and other.ledger() is None and post.total() == 19
    result = accept(system, words)
    assert "once more" in result.out
    post.count()
    assert other.counted() == length - 1 and post.counted() == 19
    assert post.total() == 18 + length and post.ledger()["duplicates"] == 1
    assert post.reasons(bad) == ["invalid_field"] * 2  # each log has its own
    assert losses(system) == [(0, 19, True, True)]
    for _ in range(2):  # applied once: later claims go on where they were
        system.count()
    assert post.ledger()["duplicates"] == 1
    assert position(system, post)["next_offset"] == length + 1


def test_a_schema_of_later_knows_nothing_of_the_old_log(system):
    """What was accepted about a log that is no more does not send a rebuild back."""
    post = Post(system)
    post.send(*range(1, 10))
    post.count()
    recreate(system)
    post.send(*range(5, 15))
    system.sent()
    accept(system, refusal(system, post)[0])
    post.count()
    name = system.schema + "_b"
    system.setup("--record-schema", system.schema + "_record", schema=name)
    for _ in range(2):
        system.run("fx-rollup", "--until-end", env={"FX_SCHEMA_NAME": name})
    row = system.rows("SELECT * FROM {s}.source_ledger", schema=name)[0]
    assert (row["counted"], row["duplicates"]) == (10, 0)
    assert post.counted() == 14


# ---- the producer's time ----


def test_producers_time(system):
    post = Post(system)
    post.send(1, 2)
    post.count()
    trusted = position(system, post)["append_high_ms"]
    set_time(system, "checkpoint", "CreateTime")
    post.send(3)
    far = now_ms() + 50 * 60_000  # what the broker takes at most is an hour
    system.producer().produce(
        system.topic("checkpoint"), post.bytes(4), post.source, post.partition, timestamp=far
    )
    system.sent()
    words, lost = refusal(system, post, "LogAppendTime", "run fx-setup")
    assert lost == (2, 3) and post.counted() == 2
    system.setup()  # repairs the topic, not what was written meanwhile
    post.send(5)
    system.sent()
    words, lost = refusal(system, post, "LogAppendTime")
    assert lost == (2, 4) and post.counted() == 2
    accept(system, words)
    post.count()
    row = position(system, post)
    assert post.counted() == 5 and post.gaps() == [] and post.total() == 5
    assert trusted <= row["append_high_ms"] < far
    late = system.value(
        "SELECT last_appended_at < now() FROM {s}.source_ledger WHERE source = %s", post.source
    )
    assert late, "a producer's clock was believed"
    system.setup(schema=system.schema + "_b")  # other record: knows of no acceptance
    result = system.run("fx-rollup", "--until-end", code=3,
                        env={"FX_SCHEMA_NAME": system.schema + "_b"})
    assert "2-" in result.err
    system.setup("--record-schema", system.schema + "_record", schema=system.schema + "_c")
    system.run("fx-rollup", "--until-end", env={"FX_SCHEMA_NAME": system.schema + "_c"})


# ---- another cluster ----


def test_another_cluster(system):
    post = Post(system)
    post.send(1, 2)
    post.count()
    mine = system.value("SELECT cluster_id FROM {s}.definition")
    assert mine
    system.db.execute(f"UPDATE {system.schema}.definition SET cluster_id = 'another-one'")
    post.send(3)
    system.sent()
    for result in (system.count(code=3), system.setup(code=3)):
        assert mine in result.err and "another-one" in result.err
        assert "fx-setup --accept-cluster --reason TEXT" in result.err
    assert post.counted() == 2
    system.run("fx-setup", "--accept-cluster", code=2)
    result = system.run("fx-setup", "--accept-cluster", "--reason", "new racks")
    assert mine in result.out
    row = system.rows(f"SELECT * FROM {system.schema}_record.cluster_move")[0]
    assert (row["old_cluster"], row["new_cluster"]) == ("another-one", mine)
    post.count()
    system.setup()
    assert post.counted() == 3
    again = system.run("fx-setup", "--accept-cluster", "--reason", "again", code=2)
    assert "already" in again.err


def test_a_cluster_that_was_never_told(system):
    """--no-topics: nothing to compare with; the next whole fx-setup notes it."""
    name = system.schema + "_b"
    system.setup("--no-topics", schema=name)
    cluster = f"SELECT cluster_id FROM {name}.definition"
    assert system.db.execute(cluster).fetchone()[0] is None
    system.run("fx-rollup", "--until-end", env={"FX_SCHEMA_NAME": name})
    system.setup(schema=name)
    assert system.db.execute(cluster).fetchone()[0]


# ---- what is refused ----


def test_what_is_refused_and_what_there_is_instead(system):
    post = Post(system)
    post.send(1, 2)
    post.count()
    topic, partition = system.topic("checkpoint"), post.partition
    for text, told in [
        (f"{topic}:7:0-1", ["does not count", f"{topic}:0-1"]),
        (f"{topic}x:0:0-1", ["does not count", f"{topic}:0-1"]),
        (f"{topic}:{partition}:1-0", ["offsets"]),
        (f"{topic}:{partition}", ["TOPIC:PARTITION:FIRST-LAST"]),
        (f"{topic}:{partition}:1-2", ["1-1 or 2-2"]),
        (f"{topic}:{partition}:2-2", ["next offset to count is 2", "none that was not counted"]),
        (f"{topic}:{partition}:1000-2000", ["next offset to count is 2", "its end 2"]),
    ]:
        result = accept(system, ["--accept-loss", text], code=2)
        assert all(word in result.err for word in told), (text, result)
    system.run("fx-setup", "--accept-loss", f"{topic}:{partition}:0-1", code=2)
    assert losses(system) == []
