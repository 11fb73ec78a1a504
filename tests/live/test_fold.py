# SPDX-License-Identifier: Apache-2.0
"""Rejected messages of a kind lie folded in rows of rejected_range. Each is known all the same:
by its own offset, number, length and digest, whatever is taken out of its row or renumbered."""

import hashlib
import random
import re

import pytest
from lib.post import Post
from lib.system import System
from test_loss import recreate
from test_new_kind import copy_schemas
from test_redrive import NEW, assert_as_rebuilt, redrive

OTHER = "999999"  # a region that is never added


@pytest.fixture
def system(tmp_path):
    system = System("fold", schemas=copy_schemas(tmp_path), partitions=1)
    yield system
    system.close()


def ranges(system):
    """Rows in their order, which never overlap."""
    rows = system.rows("SELECT * FROM {s}.rejected_range ORDER BY topic, partition, last_offset")
    for row in rows:
        arrays = ["offsets", "details", "seqs", "lengths", "digests", "appended_at"]
        assert {len(row[name]) for name in arrays} == {row["events"]}
        assert row["offsets"] == sorted(set(row["offsets"]))
        assert (row["first_offset"], row["last_offset"]) == (row["offsets"][0], row["offsets"][-1])
    for one, next_one in zip(rows, rows[1:]):
        assert one["last_offset"] < next_one["first_offset"]
    return rows


def events(system):
    """{offset: (reason, seq, length, sha256)}"""
    rows = system.rows("SELECT * FROM {s}.rejected_event")
    found = {
        r["offset"]: (r["reason"], r["seq"], r["length"], bytes(r["sha256"])) for r in rows
    }
    assert len(found) == len(rows)
    return found


def wanted(values, first=0):
    """What must be recorded of these messages, which lie one behind the other: (value, reason,
    seq), reason None: it counts."""
    return {
        first + i: (reason, seq, len(value), hashlib.sha256(value).digest())
        for i, (value, reason, seq) in enumerate(values)
        if reason is not None
    }


def send(post, *events):
    """Sends (seq, region) or bytes; see wanted()."""
    sent = []
    for event in events:
        if isinstance(event, bytes):
            sent.append((post.send_raw(event), "undecodable", None))
            continue
        seq, region = event
        changes = {} if region is None else {"region": region}
        reason = None if region is None else "unknown_region"
        sent.append((post.send(seq, **changes), reason, seq))
    return sent


def test_a_kind_is_a_row_and_another_ends_it(system):
    post = Post(system)
    sent = send(post, *[(seq, NEW if seq % 5 else None) for seq in range(1, 101)])
    sent += send(post, b"no event", b"none either", (101, NEW), (102, NEW))
    post.count()
    assert [(r["reason"], r["events"]) for r in ranges(system)] == [
        ("unknown_region", 80), ("undecodable", 2), ("unknown_region", 2)
    ]
    assert events(system) == wanted(sent)
    assert post.counted() == 20


def test_what_counts_leaves_its_row(system):
    """Some of a row count, some stay, some are rejected anew: rows end where one was taken out."""
    dice = random.Random(11)
    post = Post(system)
    plan = [(seq, dice.choice([NEW, OTHER, OTHER, None])) for seq in range(1, 901)]
    sent = send(post, *plan)
    post.count()
    before = ranges(system)
    assert len(before) <= 4 and events(system) == wanted(sent)
    system.add_town(NEW)
    did = redrive(system, code=1)
    assert did["counted"] == sum(region == NEW for _, region in plan)
    assert did["rejected"] == sum(region == OTHER for _, region in plan)
    left = [(v, r if region == OTHER else None, s) for (v, r, s), (_, region) in zip(sent, plan)]
    assert events(system) == wanted(left)
    assert len(ranges(system)) > len(before)
    assert redrive(system, code=1)["counted"] == 0 and events(system) == wanted(left)
    assert_as_rebuilt(system)


def test_a_row_of_two_logs_becomes_two(system):
    """The log ends within a row: what lay behind makes room for what is read there now."""
    post = Post(system)
    sent = send(post, *[(seq, NEW) for seq in range(1, 21)])
    post.count()
    assert len(ranges(system)) == 1
    recreate(system)
    again = Post(system, source=post.source)
    again.run = post.run
    new = send(again, *[(seq, NEW) for seq in range(21, 31)])
    system.sent()
    found = re.search(r"--accept-loss (\S+):\d+-(\d+)", system.count(code=3).err)
    system.run("fx-setup", "--accept-loss", f"{found[1]}:5-{found[2]}", "--reason", "cut off")
    system.count()
    lost = {offset - 2**40: what for offset, what in wanted(sent).items() if offset >= 5}
    kept = {offset: what for offset, what in wanted(sent).items() if offset < 5}
    read = {offset: what for offset, what in wanted(new).items() if offset >= 5}
    assert events(system) == {**lost, **kept, **read}
    assert [r["events"] for r in ranges(system)] == [15, 5, 5]
    summary = "SELECT coalesce(sum(events), 0)::int FROM {s}.rejected_summary"
    assert system.value(summary) == 10
