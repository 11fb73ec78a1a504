# SPDX-License-Identifier: Apache-2.0
"""Bad events among good ones while fx-rollup counts: its memory stays flat, the good ones equal a
recount in another language cell for cell, and each bad one is recorded with reason and coordinates.

The recount knows the bad ones by the coordinates that Kafka gave them, not by what they look like.
"""

import random
import time

import pytest
from forge import MAKERS, Forge, odd_events
from lib.audit import audit, found
from lib.recount import Recount
from lib.system import LONG, SCHEMAS, System, wait_until
from meter import GROWTH_MAX_MB, Growth

GOOD, BAD = (1_000_000, 100_000) if LONG else (200_000, 20_000)
WARM = GOOD // 2  # counted before memory is looked at
SOURCES = 1000
FLOOD_SHARE = 0.25  # of the bad ones: those of one post, one after another
FOLDED_MIN = 20  # rejected messages of the flood in a row, at the least, on average
SPREAD_MS = 3_600_000
FEED_S = 8 if LONG else 3


def fill(system, events, first, *args):
    return system.start(
        "fangxian-fill",
        *["--topic", system.topic("checkpoint"), "--events", events, "--sources", SOURCES],
        *["--first", first, "--from", "2022-02-10", "--spread-ms", SPREAD_MS, *args],
        "checkpoint",
    )


def wait_counted(system, seconds=240):
    """Until the positions in PostgreSQL are where Kafka's topic ends."""
    ends = system.ends("checkpoint")
    query = "SELECT partition, next_offset FROM {s}.partition_position WHERE topic = %s"

    def is_counted():
        rows = system.rows(query, system.topic("checkpoint"))
        at = {row["partition"]: row["next_offset"] for row in rows}
        return all(at.get(partition, 0) >= end for partition, end in enumerate(ends))

    wait_until(is_counted, seconds, "all of Kafka to be counted", every=0.1)
    return sum(ends)


def take_samples(system, count=3000):
    """Good messages that were counted, from all partitions."""
    samples = []
    for chunk in system.messages("checkpoint"):
        samples += [(m.key(), m.value(), m.partition()) for m in chunk[::20]]
    return random.Random(1).sample(samples, count)


class Sender:
    """Sends bad messages, and keeps where Kafka put them."""

    def __init__(self, system):
        self.system = system
        self.sent = {}  # (partition, offset): what must be recorded

    def send(self, bad):
        producer, topic = self.system.producer(), self.system.topic("checkpoint")

        def keep(error, message, record=bad.record()):
            assert error is None, error
            self.sent[message.partition(), message.offset()] = record

        while True:
            try:
                producer.produce(topic, bad.value, bad.key, bad.partition, on_delivery=keep)
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)


class Fed:
    """What was fed, and what the counting of it took."""

    def __init__(self, system):
        self.system = system
        self.rollup = system.start("fx-rollup")
        assert fill(system, WARM, 1).wait(120) == 0
        wait_counted(system)
        self.forge = Forge(system, take_samples(system))
        self.bad = self.make_bad()
        self.growth = Growth(self.rollup)
        self.sender = Sender(system)
        self.feed()
        began = time.monotonic()
        self.messages = wait_counted(system)
        self.behind_s = round(time.monotonic() - began, 1)
        self.growth_mb = self.growth.mb()
        stopped = self.rollup.stop()
        assert stopped.code == 0, stopped

    def make_bad(self):
        """Every fault there is, then any; the flood in stretches between them."""
        made = [self.forge.make(name) for name in MAKERS for _ in range(20)]
        flood = int(BAD * FLOOD_SHARE)
        made += [self.forge.make() for _ in range(BAD - flood - len(made))]
        self.forge.dice.shuffle(made)
        stretch, out = flood // 10, []
        for i in range(10):
            out += made[i * len(made) // 10 : (i + 1) * len(made) // 10]
            out += [self.forge.make_flood() for _ in range(stretch)]
        return out

    def feed(self):
        """The good ones come at a pace, so that the bad ones are among them."""
        rate = GOOD // FEED_S
        filling = fill(self.system, GOOD, WARM // SOURCES + 1, "--rate", rate)
        began = time.monotonic()
        for key, value, partition in odd_events(self.system):
            self.system.send("checkpoint", key, value, partition)
        for i, bad in enumerate(self.bad):
            self.sender.send(bad)
            if i % 500 == 0:
                time.sleep(max(0, began + FEED_S * i / len(self.bad) - time.monotonic()))
        self.system.sent()
        assert filling.wait(120) == 0, filling.result()


@pytest.fixture(scope="module")
def fed():
    system = System("malformed")
    try:
        yield Fed(system)
    finally:
        system.close()


def test_memory_stays_flat(fed, at_least, at_most):
    at_least("bad_events", len(fed.sender.sent), BAD)
    at_most("rollup_growth_mb", fed.growth_mb, GROWTH_MAX_MB)
    at_most("rollup_behind_s", fed.behind_s, 60)


def test_each_bad_one_is_recorded(fed, at_most):
    """With its reason, where it lies, its length and digest, and its source if that is known."""
    rows = fed.system.rows(
        'SELECT partition, "offset", reason, length, sha256, source FROM {s}.rejected_event'
    )
    found = {
        (r["partition"], r["offset"]): (r["reason"], r["length"], bytes(r["sha256"]), r["source"])
        for r in rows
    }
    wanted = fed.sender.sent
    wrong = [(where, found[where], wanted[where]) for where in wanted.keys() & found.keys()]
    wrong = [one for one in wrong if one[1] != one[2]]
    for where, is_there, should_be in wrong[:10]:
        print(f"{where}: found {is_there}, wanted {should_be}")
    at_most("bad_recorded_twice", len(rows) - len(found), 0)
    at_most("bad_not_recorded", len(wanted.keys() - found.keys()), 0)
    at_most("bad_recorded_otherwise", len(wrong), 0)
    at_most("good_recorded_as_bad", len(found.keys() - wanted.keys()), 0)


def test_good_ones_equal_a_recount(fed, at_least, at_most):
    recount = Recount(SCHEMAS, "checkpoint")
    kind = fed.system.kind("checkpoint")
    for chunk in fed.system.messages("checkpoint"):
        for message in chunk:
            if (message.partition(), message.offset()) not in fed.sender.sent:
                recount.add(kind.decode(message.value()), message.timestamp()[1])
    at_least("good_recounted", recount.events, WARM + GOOD)
    compared, differing = recount.compare(fed.system)
    differing += recount.compare_ledger(fed.system)
    print("\n".join(differing[:20]))
    at_least("cells_compared", compared, 1000)
    at_most("cells_and_ledgers_differing", len(differing), 0)


def test_the_flood_is_one_gap_and_few_rows(fed, at_most):
    """However many numbers its nonsense has; and few rows of rejected messages."""
    rows = fed.system.rows(
        "SELECT first_seq, last_seq, cause FROM {s}.source_gap WHERE source = 'FLOOD-1'"
    )
    assert [tuple(r.values()) for r in rows] == [(1, fed.forge.flood_next - 1, "rejected")]
    at_most("flood_gaps", len(rows), 1)
    kept = "SELECT count(*)::int FROM {s}.rejected_range WHERE source = 'FLOOD-1'"
    at_most("flood_rows", fed.system.value(kept), int(BAD * FLOOD_SHARE) // FOLDED_MIN)


def test_audit_finds_no_breach(fed, at_most):
    report = audit(fed.system)
    at_most("breaches", len(found(report, "breaches")), 0)
    reasons = {finding["reason"] for _, finding in found(report, "rejected")}
    assert "undecodable" in reasons and reasons <= {reason for reason, _, _ in MAKERS.values()}
