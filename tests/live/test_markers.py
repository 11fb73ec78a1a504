# SPDX-License-Identifier: Apache-2.0
"""A writer that uses transactions: their markers take offsets that no event comes for, and what was
aborted is not delivered. Its events count; the offsets are a hole, also at a partition's end."""

import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from lib.post import Post
from lib.system import BROKERS, System, wait_until


@pytest.fixture
def system():
    system = System("markers", partitions=1)
    yield system
    system.close()


def end_offset(topic):
    words = {"bootstrap.servers": BROKERS, "group.id": "eye", "isolation.level": "read_uncommitted"}
    reader = Consumer(words)
    try:
        return reader.get_watermark_offsets(TopicPartition(topic, 0), 30)[1]
    finally:
        reader.close()


def send(post, *seqs, is_aborted=False):
    """Returns when the marker is there: the broker answers before it writes it."""
    topic = post.system.topic(post.kind)
    end = end_offset(topic) + len(seqs) + 1
    producer = Producer({"bootstrap.servers": BROKERS, "transactional.id": post.source})
    producer.init_transactions(60)
    producer.begin_transaction()
    for seq in seqs:
        producer.produce(topic, post.bytes(seq), post.source, 0)
    producer.flush(60)
    if is_aborted:
        producer.abort_transaction(60)
    else:
        producer.commit_transaction(60)
    wait_until(lambda: end_offset(topic) == end, 30, "the marker")


def position(system):
    query = "SELECT next_offset FROM {s}.partition_position WHERE topic = %s"
    return system.value(query, system.topic("checkpoint"))


def holes(system):
    query = "SELECT first_offset, last_offset FROM {s}.offset_hole WHERE topic = %s ORDER BY 1"
    rows = system.rows(query, system.topic("checkpoint"))
    return [(row["first_offset"], row["last_offset"]) for row in rows]


def test_markers_at_the_end_are_a_hole(system):
    post = Post(system)
    send(post, 1, 2, 3)  # offsets 0 to 2, and the marker
    system.count()
    assert (post.counted(), position(system), holes(system)) == (3, 4, [(3, 3)])
    send(post, 4, 5, is_aborted=True)
    system.count()
    assert (post.counted(), position(system), holes(system)) == (3, 7, [(3, 6)])
    post.send(4, 5, 6)
    post.count()
    assert (post.counted(), position(system), post.gaps()) == (6, 10, [])


def test_a_running_counter_is_not_behind(system):
    post = Post(system)
    rollup = system.start("fx-rollup")
    wait_until(lambda: "ev=claim" in rollup.result().err, 60, "it has partitions")
    send(post, 1, 2)
    wait_until(lambda: position(system) == 3, 30, "the marker to be passed")
    query = "SELECT caught_up_at > to_timestamp(%s) FROM {s}.partition_position WHERE topic = %s"
    now = time.time()
    wait_until(lambda: system.value(query, now, system.topic("checkpoint")), 30, "all is counted")
    rollup.kill()
    post.send(3, 4)
    rollup = system.start("fx-rollup")
    wait_until(lambda: post.counted() == 4, 60, "what came after it")
    assert holes(system) == [(2, 2)]
    assert rollup.stop().code == 0
