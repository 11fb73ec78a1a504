# SPDX-License-Identifier: Apache-2.0
"""Kafka or PostgreSQL away, changed or not the one we knew; ports; stopping."""

import os
import shutil
import socket
import subprocess
import tempfile
import time

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from lib.post import LINE, Post
from lib.system import ROOT, SCHEMAS, System, wait_until
from test_bad_input import counted, feed


@pytest.fixture(scope="module")
def system():
    system = System("services")
    yield system
    system.close()


@pytest.fixture
def alone():
    """A system that the test may break."""
    system = System("broken", partitions=2)
    yield system
    system.close()


# ---- services ----


def test_no_broker(system):
    """What was taken stays in the outbox: exit 4; the next run sends it."""
    closed = {"FX_BROKERS": "127.0.0.1:1"}
    result, answers = feed(
        system, "nobroker", LINE, LINE, code=4, env=closed, more=["--drain-s", 1]
    )
    assert [a["ok"] for a in answers] == [True, True] and "outbox" in result.err
    assert "127.0.0.1:1" in system.run("fx-rollup", "--give-up", 1, code=4, env=closed).err
    system.run("fx-setup", code=4, env=closed)
    feed(system, "nobroker", LINE)
    system.count()
    assert counted(system, "CP-nobroker") == 3


def test_no_database(system):
    away = {"PGHOST": "127.0.0.1", "PGPORT": "1"}
    for program, args in (("fx-rollup", ["--give-up", 1]), ("fx-setup", [])):
        result = system.run(program, *args, code=4, env=away)
        assert "PostgreSQL" in result.err or "connection" in result.err


def test_schema_that_was_never_set_up(system):
    result = system.run("fx-rollup", "--until-end", code=2, env={"FX_SCHEMA_NAME": "live_nothing"})
    assert "fx-setup" in result.err


def test_topic_that_was_never_made(system):
    env = {"FX_TOPIC_PREFIX": system.prefix + "-none"}
    result, _ = feed(system, "notopic", LINE, code=None, env=env, more=["--drain-s", 2])
    assert result.code in (2, 4) and "none.checkpoint" in result.err
    result = system.run("fx-rollup", "--until-end", "--give-up", 1, code=None, env=env)
    assert result.code in (2, 3, 4) and "none." in result.err
    known = system.admin.list_topics(timeout=10).topics
    assert not [t for t in known if t.startswith(system.prefix + "-none")], "made by a mere typo"


def test_wrong_definitions(system, tmp_path):
    folder = tmp_path / "schemas"
    shutil.copytree(SCHEMAS, folder, ignore=shutil.ignore_patterns("*.c", "*.h"))
    path = folder / "checkpoint/checkpoint.rollup.json"
    path.write_text(path.read_text().replace('"checked_groups", "count"', '"seen_groups", "count"'))
    result = system.run("fx-rollup", "--until-end", "--schemas", folder, code=2)
    assert "fx-setup" in result.err
    path.write_text(path.read_text().replace('"count": true', '"count": treu', 1))
    result = system.run("fx-rollup", "--until-end", "--schemas", folder, code=2)
    assert "checkpoint.rollup.json" in result.err


def test_missing_table(alone):
    """The statement fails loudly; after fx-setup the events count, once."""
    post = Post(alone)
    post.send(1, 2)
    alone.sent()
    alone.db.execute(f"DROP TABLE {alone.schema}.checkpoint_town CASCADE")
    process = alone.start("fx-rollup")
    told = lambda: "checkpoint_town" in process.result().err or not process.is_running()
    wait_until(told, 20, "a word about the missing table")
    if process.is_running():
        process.stop()
    assert "checkpoint_town" in process.result().err and post.counted() == 0
    alone.setup()
    alone.count()
    assert post.counted() == 2 and post.total() == 2


# ---- Kafka is not the one we knew ----


def test_topic_recreated(alone):
    """Same name, other events: exit 3 says so, and nothing is counted."""
    post = Post(alone)
    post.send(*range(1, 20))
    post.count()
    alone.delete_topics("checkpoint")
    wait_until(
        lambda: alone.topic("checkpoint") not in alone.admin.list_topics(timeout=10).topics,
        15,
        "the topic is gone",
    )
    alone.setup()
    other = Post(alone, source=post.source)
    for _ in range(2):
        other.run = other.run ^ 1
        other.send(*range(1, 15))
    alone.sent()
    result = alone.count(code=3)
    assert "recreated" in result.err
    assert post.total() == 19


def test_topic_deleted(alone):
    post = Post(alone)
    post.send(1, 2, 3)
    post.count()
    alone.delete_topics("checkpoint")
    result = alone.run("fx-rollup", "--until-end", "--give-up", 1, code=None)
    assert result.code in (2, 3) and "checkpoint" in result.err


def test_topic_with_create_time(alone):
    post = Post(alone)
    post.send(1)
    post.count()
    resource = ConfigResource(ResourceType.TOPIC, alone.topic("checkpoint"))
    resource.add_incremental_config(
        ConfigEntry(
            "message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET
        )
    )
    for future in alone.admin.incremental_alter_configs([resource]).values():
        future.result(10)
    time.sleep(0.3)
    post.send(2)
    alone.sent()
    assert "LogAppendTime" in alone.count(code=3).err
    assert post.counted() == 1
    alone.setup()
    post.send(3)
    alone.sent()
    assert alone.run("fx-rollup", "--until-end", code=None).code == 3


def test_records_deleted_before_they_were_counted(alone):
    """Retention passed us: exit 3 with the exact range; an acceptance lets it go on."""
    post = Post(alone)
    post.send(1, 2)
    post.count()
    post.send(3, 4, 5)
    alone.sent()
    where = TopicPartition(alone.topic("checkpoint"), post.partition, 4)
    for future in alone.admin.delete_records([where]).values():
        future.result(10)
    result = alone.count(code=3)
    assert "2 to 3" in result.err or "[2" in result.err, result.err
    alone.db.execute(
        f"INSERT INTO {alone.schema}_record.acceptance (topic, partition, first_offset,"
        " last_offset, reason) VALUES (%s, %s, 2, 3, 'test')",
        (alone.topic("checkpoint"), post.partition),
    )
    alone.count()
    assert post.counted() == 3 and post.gaps() == [(3, 4, "missing")]


# ---- stopping, ports ----


def test_sigterm_commits_and_ends_with_0(alone):
    post = Post(alone)
    rollup = alone.start("fx-rollup", "--workers", 2)
    seq = 0
    for _ in range(20):
        post.send(*range(seq + 1, seq + 101))
        seq += 100
        alone.sent()
    wait_until(lambda: post.counted() > 0, 20, "the first events")
    result = rollup.stop()
    assert result.code == 0 and "ev=done" in result.err
    alone.run("fx-rollup", "--until-end")
    assert post.counted() == seq and post.total() == seq


def test_metrics_port_in_use(alone):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = alone.run("fx-rollup", "--metrics", f"127.0.0.1:{port}", code=None)
    assert result.code != 0 and str(port) in result.err


def test_stack_port_in_use():
    """deploy/local/up in a copy of the scripts, whose state is its own: exit 4 names the port."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as taken:
        shutil.copytree(ROOT / "deploy/local", f"{folder}/deploy/local")
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        env = {**os.environ, "FX_KAFKA_PORT": port}
        result = subprocess.run(
            [f"{folder}/deploy/local/up"], env=env, capture_output=True, text=True, timeout=60
        )
    assert result.returncode == 4 and port in result.stderr, result
