# SPDX-License-Identifier: Apache-2.0
"""What happens in the consumers' group while fx-rollup runs: partitions are added, which it finds,
claims and counts by itself; another takes a worker's name."""

import os
import signal
import time
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer
from lib.post import Post
from lib.system import BROKERS, System, wait_until
from lib.wire import partition_of
from psycopg import sql

BEFORE, AFTER = 3, 6


@pytest.fixture
def system():
    system = System("partitions", partitions=BEFORE)
    yield system
    system.close()


def post_of(system, partition):
    """A post whose events go to this partition."""
    names = (f"CP-part-{i}" for i in range(1000))
    mine = next(name for name in names if partition_of(name, system.partitions) == partition)
    return Post(system, "checkpoint", mine)


def counted(system):
    return {
        row["partition"]: row["next_offset"]
        for row in system.rows(
            "SELECT partition, next_offset FROM {s}.partition_position WHERE topic = %s",
            system.topic("checkpoint"),
        )
    }


def test_a_running_counter_takes_them(system):
    """What the first one remembers of Kafka from its claims must not hide the new ones from it; a
    second one joins so that they are shared out now, not at the next look for such."""
    rollups = [system.start("fx-rollup", "--workers", 2)]
    for partition in range(BEFORE):
        post_of(system, partition).send(*range(1, 6))
    old = dict.fromkeys(range(BEFORE), 5)
    wait_until(lambda: counted(system) == old, 60, "the old ones")
    system.partitions = AFTER
    system.setup()
    system.forget_topics()
    for partition in range(BEFORE, AFTER):
        post_of(system, partition).send(*range(1, 8))
    rollups.append(system.start("fx-rollup", "--workers", 1))
    new = dict.fromkeys(range(BEFORE, AFTER), 7)
    wait_until(lambda: counted(system) == old | new, 60, "the new ones")
    for rollup in rollups:
        assert rollup.stop().code == 0


def take_name(system, instance):
    """A member that comes late under the name of another, and goes once it has partitions."""
    topic = system.topic("checkpoint")
    late = Consumer(
        {
            "bootstrap.servers": BROKERS,
            "group.id": f"fangxian-rollup.{system.schema}",
            "group.instance.id": instance,
            "partition.assignment.strategy": "roundrobin",
            "session.timeout.ms": 10000,
            "enable.auto.commit": False,
        }
    )
    try:
        late.subscribe([topic])
        wait_until(lambda: late.poll(0.1) or late.assignment(), 60, "it has the other's name")
    finally:
        late.close()


def test_a_worker_takes_its_name_back(system):
    """As if what a killed process of that name had sent to Kafka were read after its successor."""
    rollup = system.start("fx-rollup", "--instance", "night")
    old = dict.fromkeys(range(BEFORE), 4)
    for partition in old:
        post_of(system, partition).send(*range(1, 5))
    wait_until(lambda: counted(system) == old, 60, "what came before")
    take_name(system, "night-0")
    wait_until(lambda: "ev=fenced" in rollup.result().err, 60, "it hears of that")
    for partition in old:
        post_of(system, partition).send(*range(1, 3))
    wait_until(lambda: counted(system) == dict.fromkeys(old, 6), 60, "what comes after")
    result = rollup.stop()
    assert result.code == 0, result


def test_a_name_that_is_used_twice_is_given_up(system):
    """After a few rounds: both would take it from each other for ever."""
    rollup = system.start("fx-rollup", "--instance", "twice")
    wait_until(lambda: "ev=claim" in rollup.result().err, 60, "it has partitions")

    def said(words):
        return rollup.result().err.count(words)

    for times in range(1, 4):
        claims = said("ev=claim")
        take_name(system, "twice-0")
        wait_until(lambda: said("effect=joins_again") == times, 60, "it is fenced")
        wait_until(lambda: said("ev=claim") > claims, 60, "it is back")
    take_name(system, "twice-0")
    assert rollup.wait() == 3, rollup.result()


def test_a_worker_that_loses_its_name_while_it_drains_ends_well(system):
    """Its last flush waits for a lock meanwhile."""
    rollup = system.start("fx-rollup", "--instance", "dusk")
    wait_until(lambda: "ev=claim" in rollup.result().err, 60, "it has partitions")
    with psycopg.connect() as other:
        lock = "SELECT FROM {s}.partition_position FOR UPDATE"
        other.execute(sql.SQL(lock).format(s=sql.Identifier(system.schema)))
        for partition in range(BEFORE):
            post_of(system, partition).send(*range(1, 4))
        time.sleep(1)
        rollup.signal(signal.SIGTERM)
        take_name(system, "dusk-0")
        assert rollup.wait() == 0, rollup.result()
        other.rollback()
    assert "effect=stops" in rollup.result().err, rollup.result()
    system.count()
    assert set(counted(system).values()) == {3}


def sessions_of(system, process):
    """The pids of PostgreSQL's ends of a process's connections."""
    folder = Path(f"/proc/{process.popen.pid}")
    ours = {os.readlink(link) for link in (folder / "fd").iterdir()}
    lines = [line.split() for line in (folder / "net/tcp").read_text().splitlines()[1:]]
    ports = [int(words[1].split(":")[1], 16) for words in lines if f"socket:[{words[9]}]" in ours]
    query = "SELECT pid FROM pg_stat_activity WHERE client_port = ANY (%s)"
    return [row["pid"] for row in system.rows(query, ports)]


def test_a_database_that_hangs_does_not_keep_it_from_stopping(system):
    """It neither answers nor hangs up, as a machine that was put to sleep."""
    rollup = system.start("fx-rollup", "--resend-after", 1)
    wait_until(lambda: "ev=claim" in rollup.result().err, 60, "it has partitions")
    time.sleep(2)  # whoever asks for missing numbers is connected
    pids = sessions_of(system, rollup)
    assert len(pids) >= 2
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        post_of(system, 0).send(*range(1, 4))
        time.sleep(3)  # by then somebody has asked
        rollup.signal(signal.SIGTERM)
        assert rollup.wait() == 4, rollup.result()
        assert "ev=stuck" in rollup.result().err
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    system.count()
    assert counted(system)[0] == 3
