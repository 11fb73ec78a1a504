# SPDX-License-Identifier: Apache-2.0
"""Batches that are small in Kafka and huge once unpacked: all within the limits of the topic.

Each offset of one is accounted for, once: as a rejected message where the batch could be unpacked,
else as a hole. What comes behind it counts, also if that is only the end of the log."""

import re

import pytest
from confluent_kafka import Producer
from lib.audit import audit, found
from lib.post import Post
from lib.system import BROKERS, System, wait_until
from meter import GROWTH_MAX_MB, Growth

GOOD = 20_000
BEHIND_S = 20
BOMBS = {  # records, bytes of each, whether it can be unpacked: None depends on what it grows by
    "small": (500, 4000, True),
    "many_small": (2000, 4000, None),
    "large": (20, 1_000_000, False),
    "larger": (4, 16_000_000, False),
    "one": (1, 90_000_000, False),
    "beyond": (1, 120_000_000, False),  # more than librdkafka takes from a broker by default
    "tiny": (300_000, 50, False),
}


def plant(system, post, records, size):
    """One batch of so many records in the post's partition; its offsets."""
    producer = Producer(
        {
            "bootstrap.servers": BROKERS,
            "compression.type": "zstd",
            "message.max.bytes": 1_000_000_000,
            "batch.size": 2_000_000_000,
            "batch.num.messages": 1_000_000,
            "linger.ms": 2000,
            "queue.buffering.max.kbytes": 2_000_000,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    offsets, failed = [], []

    def note(error, message):
        failed.append(error) if error else offsets.append(message.offset())

    for _ in range(records):
        producer.produce(
            system.topic("checkpoint"),
            b"\x00" * size,
            post.source.encode(),
            post.partition,
            on_delivery=note,
        )
    assert producer.flush(60) == 0 and not failed, failed
    assert len(offsets) == records == max(offsets) - min(offsets) + 1
    return offsets


def accounted(system):
    """Offsets of rejected messages, and of holes."""
    rejected = system.rows('SELECT "offset" FROM {s}.rejected_event')
    holes = system.rows("SELECT first_offset, last_offset FROM {s}.offset_hole")
    return [row["offset"] for row in rejected], [
        offset
        for row in holes
        for offset in range(row["first_offset"], row["last_offset"] + 1)
    ]


@pytest.mark.parametrize("name", BOMBS)
def test_bomb(name, at_most):
    records, size, is_read = BOMBS[name]
    system = System("bomb", partitions=1)
    try:
        post = Post(system)
        rollup = system.start("fx-rollup")
        post.send(*range(1, GOOD + 1))
        system.sent()
        wait_until(lambda: post.counted() == GOOD, 60, "good events")
        growth = Growth(rollup)
        offsets = plant(system, post, records, size)
        post.send(*range(GOOD + 1, GOOD + 101))
        system.sent()
        wait_until(lambda: post.counted() == GOOD + 100, BEHIND_S, "what comes behind", every=0.2)
        at_most(f"bomb_{name}_growth_mb", growth.mb(), GROWTH_MAX_MB)
        rejected, holes = accounted(system)
        assert sorted(rejected + holes) == sorted(offsets), rollup.result().err[-2000:]
        if is_read is not None:
            assert rejected if is_read else holes
        assert rollup.stop().code == 0
        report = audit(system)
        assert len(found(report, "breaches")) == 0
        assert len(found(report, "holes")) == (len(holes) > 0)
    finally:
        system.close()


def test_bombs_are_the_end_of_the_log(at_most):
    """Nothing comes behind them: all is counted all the same, and what comes later counts."""
    system = System("bomb", partitions=1)
    try:
        post = Post(system)
        post.send(*range(1, 101))
        system.sent()
        offsets = plant(system, post, 3, 16_000_000) + plant(system, post, 1, 90_000_000)
        system.count()
        assert post.counted() == 100 and sorted(accounted(system)[1]) == sorted(offsets)
        post.send(*range(101, 201))
        system.count()
        at_most("behind_bombs_miscounted", abs(post.counted() - 200), 0)
        assert sorted(accounted(system)[1]) == sorted(offsets)
        where = f"{system.topic('checkpoint')}:0:{min(offsets)}-{max(offsets)}"
        system.run("fx-setup", "--accept-loss", where, "--reason", "bombs")
        system.count()
        assert not found(audit(system), "holes") and post.counted() == 200
        assert sorted(accounted(system)[1]) == sorted(offsets)
    finally:
        system.close()


def test_a_bomb_does_not_stop_a_redrive(at_most):
    """It lies between two events that are taken again."""
    system = System("bomb", partitions=1)
    try:
        post = Post(system)
        first = post.send(1, persons=-1)
        system.sent()
        plant(system, post, 3, 16_000_000)
        second = post.send(2, persons=-1)
        system.sent()
        system.count()
        assert post.reasons(first) == post.reasons(second) == ["invalid_field"]
        said = system.run("fx-rollup", "--redrive", code=1)
        gone = int(re.search(r"ev=redriven .*gone=(\d+)", said.err)[1])
        at_most("gone_behind_a_bomb", gone, 0)
    finally:
        system.close()
