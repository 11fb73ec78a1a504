# SPDX-License-Identifier: Apache-2.0
"""Batches that are small in Kafka and huge once unpacked: all within the limits of the topic."""

import pytest
from confluent_kafka import Producer
from lib.post import Post
from lib.system import BROKERS, System, wait_until
from meter import GROWTH_MAX_MB, Growth

BOMBS = {  # records, bytes of each
    "many_small": (2000, 4000),
    "large": (20, 1_000_000),
    "larger": (4, 16_000_000),
    "one": (1, 90_000_000),
    "beyond": (1, 120_000_000),  # more than librdkafka takes from a broker by default
}


def plant(system, post, records, size):
    """One batch of so many records in the post's partition."""
    producer = Producer(
        {
            "bootstrap.servers": BROKERS,
            "compression.type": "zstd",
            "message.max.bytes": 1_000_000_000,
            "batch.size": 2_000_000_000,
            "linger.ms": 500,
            "queue.buffering.max.kbytes": 2_000_000,
        }
    )
    failed = []
    for _ in range(records):
        producer.produce(
            system.topic("checkpoint"),
            b"\x00" * size,
            post.source.encode(),
            post.partition,
            on_delivery=lambda error, _: error and failed.append(error),
        )
    assert producer.flush(60) == 0 and not failed, failed


@pytest.mark.parametrize("name", BOMBS)
def test_bomb(name, at_most):
    """Each record of it is recorded, what comes behind it counts, memory stays flat."""
    records, size = BOMBS[name]
    system = System("bomb", partitions=1)
    try:
        post = Post(system)
        rollup = system.start("fx-rollup")
        post.send(*range(1, 20_001))
        system.sent()
        wait_until(lambda: post.counted() == 20_000, 60, "good events")
        growth = Growth(rollup)
        plant(system, post, records, size)
        post.send(*range(20_001, 20_101))
        system.sent()
        wait_until(lambda: post.counted() == 20_100, 20, "what comes behind the bomb", every=0.2)
        query = "SELECT count(*)::int FROM {s}.rejected_event WHERE length = %s"
        assert system.value(query, size) == records
        at_most(f"bomb_{name}_growth_mb", growth.mb(), GROWTH_MAX_MB)
    finally:
        system.close()
