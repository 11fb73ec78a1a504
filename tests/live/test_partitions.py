# SPDX-License-Identifier: Apache-2.0
"""Partitions that are added while fx-rollup runs: it finds, claims and counts them by itself."""

import pytest
from lib.post import Post
from lib.system import System, wait_until
from lib.wire import partition_of

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
