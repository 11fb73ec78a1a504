# SPDX-License-Identifier: Apache-2.0
"""Every way to break a rule of schemas/README.md lands in rejected_event with its reason."""

import hashlib
import re

import pytest
from lib.post import HAICHENG, Post
from lib.system import SCHEMAS, System
from lib.wire import HEADER_SIZE, varint


@pytest.fixture(scope="module")
def system():
    system = System("reject")
    yield system
    system.close()


def envelope_rejected(post, value, reason, before=None):
    """Rejected for this reason, and the ledger was left alone."""
    assert post.reasons(value) == [reason]
    ledger = post.ledger()
    assert (ledger and (ledger["high"], ledger["counted"])) == before, ledger


# ---- what is rejected, the envelope not being trusted ----


def test_undecodable(system):
    post = Post(system)
    good = post.send(1)
    tail = varint(post.run)
    long_form = tail[:-1] + bytes([tail[-1] | 0x80, 0])
    broken = {
        "truncated": post.bytes(2)[:-3],
        "trailing": post.bytes(2) + b"\0",
        "varint": post.bytes(2).replace(tail, long_form, 1),
        "header": post.bytes(2)[:HEADER_SIZE],
        "short": b"\xc3\x01\x00",
        "framing": b"\x01" + post.bytes(2),
        "symbol": post.bytes(3, direction="IN").replace(
            HAICHENG.encode() + b"\x02\x00\x00\x00\x00", HAICHENG.encode() + b"\x02\x00\x00\x00\x08"
        ),
        "long": post.bytes(2) + b"\0" * 5000,
        "negative": good[:HEADER_SIZE] + varint(-5) + b"abc",
        "huge": good[:HEADER_SIZE] + varint(2**62) + b"abc",
    }
    for value in broken.values():
        post.send_raw(value)
    post.count()
    found = {name: post.reasons(value) for name, value in broken.items()}
    assert found == {name: ["undecodable"] for name in broken}
    assert post.counted() == 1 and post.ledger()["high"] == 1


@pytest.mark.parametrize("value", [None, b""])
def test_message_without_a_value(system, value):
    post = Post(system)
    post.send_raw(value)
    post.send(1)
    post.count()
    assert post.counted() == 1
    assert (
        system.value(
            "SELECT count(*) FROM {s}.rejected_event WHERE length = 0" " AND reason = 'undecodable'"
        )
        >= 1
    )


def test_unknown_schema_and_wrong_kind(system):
    post = Post(system)
    unknown = post.send_raw(b"\xc3\x01" + b"\x11" * 8 + post.bytes(1)[HEADER_SIZE:])
    other = Post(system, "test_site", source=post.source)
    wrong = post.send_raw(other.bytes(1))
    post.count()
    envelope_rejected(post, unknown, "unknown_schema")
    envelope_rejected(post, wrong, "wrong_kind")


@pytest.mark.parametrize("key", ["somebody-else", "", None, "tp"])
def test_key_mismatch(system, key):
    post = Post(system)
    value = post.bytes(1)
    system.producer().produce(system.topic("checkpoint"), value, key, post.partition)
    beat = post.heartbeat(1, 3)
    system.producer().produce(system.topic("checkpoint"), beat, key, post.partition)
    post.count()
    envelope_rejected(post, value, "key_mismatch")
    envelope_rejected(post, beat, "key_mismatch")


def test_simulated_source(system):
    post = Post(system, source="SIM-CP-1")
    value = post.send(1)
    beat = post.send_raw(post.heartbeat(1, 3))
    post.count()
    envelope_rejected(post, value, "simulated")
    envelope_rejected(post, beat, "simulated")


def test_moved_partition(system):
    post = Post(system)
    post.send(1)
    post.count()
    elsewhere = (post.partition + 1) % system.partitions
    moved = post.send_raw(post.bytes(2), partition=elsewhere)
    beat = post.send_raw(post.heartbeat(1, 9), partition=elsewhere)
    post.count()
    envelope_rejected(post, moved, "moved_partition", (1, 1))
    envelope_rejected(post, beat, "moved_partition", (1, 1))
    post.send(2)
    post.count()
    assert post.counted() == 2


def test_seq_jump(system):
    post = Post(system)
    post.send(1)
    value = post.send(10**9 + 2)
    beat = post.send_raw(post.heartbeat(1, 10**9 + 2))
    post.count()
    envelope_rejected(post, value, "seq_jump", (1, 1))
    envelope_rejected(post, beat, "seq_jump", (1, 1))
    post.send(10**9 + 1)
    post.count()
    assert post.counted() == 2 and post.gaps() == [(2, 10**9, "missing")]


def test_source_quarantined(system):
    """The event that would open gap 16,385 is the first; then the run is closed to all."""
    post, other = Post(system), Post(system)
    other.source, other.partition = post.source, post.partition
    post.send(*range(2, 2 * 16384 + 1, 2))
    post.send(32769)
    post.count()
    assert post.ledger()["gaps"] == 16384 and not post.ledger()["is_quarantined"]
    values = [post.send(32771), post.send(32770), post.send(1)]
    other.send(1)
    post.count()
    for value in values:
        assert post.reasons(value) == ["source_quarantined"]
    ledger = post.ledger()
    assert ledger["is_quarantined"] and ledger["high"] == 32769 and ledger["counted"] == 16385
    assert other.counted() == 1, "another run of the source is free"


# ---- what is rejected, its number lying in a gap of cause rejected ----

INVALID = {
    "persons_below": {"persons": -1},
    "persons_above": {"persons": 10_001},
    "temperature": {"temperature_max_decicelsius": 501},
    "sign_zero": {"sign": 0},
    "counted_at": {"counted_at": 1_700_000_000_000},
    "reverses": {"reverses_run": 1, "reverses_seq": 1},
    "reverses_run_only": {"reverses_run": 1},
    "reversal_of_nothing": {"sign": -1},
    "reversal_half": {"sign": -1, "reverses_run": 1},
    "region_too_long": {"region": "4" * 33},
}


@pytest.mark.parametrize("changes", INVALID.values(), ids=INVALID)
def test_invalid_field(system, changes):
    numbered_rejection(Post(system), changes, "invalid_field")


@pytest.mark.parametrize(
    "text", [b"\xff\xfe4152111", b"44152\x001115", b"\xed\xa0\x8021115x", b"\xc0\xaf1521115"]
)
def test_text_that_is_no_utf8(system, text):
    post = Post(system)
    value = post.bytes(1).replace(HAICHENG.encode(), text)
    post.send_raw(value)
    post.count()
    assert post.reasons(value) == ["invalid_field"] and post.gaps() == [(1, 1, "rejected")]


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 0},
        {"run": 2**48},
        {"run": -1},
        {"source": "a b"},
        {"source": ""},
        {"source": "x" * 65},
    ],
    ids=str,
)
def test_invalid_envelope_leaves_the_ledger_alone(system, changes):
    post = Post(system)
    value = post.schema.encode({**post.event(1), **changes})
    post.send_raw(value, key=changes.get("source"))
    post.count()
    envelope_rejected(post, value, "invalid_field")
    (row,) = system.rows(
        "SELECT source, run, seq FROM {s}.rejected_event WHERE sha256 = %s",
        hashlib.sha256(value).digest(),
    )
    assert set(row.values()) == {None}


def test_sums_mismatch(system):
    numbered_rejection(Post(system), {"passed": 2}, "sums_mismatch")


@pytest.mark.parametrize("region", ["999999", "-", "44152111", ""])
def test_unknown_region(system, region):
    reason = "invalid_field" if region == "" else "unknown_region"
    post = Post(system)
    value = post.send(1, region=region)
    post.count()
    assert post.reasons(value)[0] in (reason, "unknown_region") and post.gaps() == [
        (1, 1, "rejected")
    ]


def numbered_rejection(post, changes, reason):
    """Rejected, in a gap; a good copy fills it; a malformed copy of a counted one does nothing."""
    post.send(1)
    bad = post.send(3, **changes)
    post.count()
    assert post.reasons(bad) == [reason]
    assert post.gaps() == [(2, 2, "missing"), (3, 3, "rejected")] and post.counted() == 1
    post.send(3)
    post.send(2)
    post.count()
    assert post.gaps() == [] and post.counted() == 3 and post.total() == 3
    again = post.send(2, **changes)
    post.count()
    assert post.reasons(again) == [reason]
    ledger = post.ledger()
    assert post.gaps() == [] and ledger["counted"] == 3 and ledger["rejected"] == 2


def test_bad_then_good_within_one_flush(system):
    post = Post(system)
    bad = post.send(1, passed=0)
    post.send(1)
    post.send(2)
    worse = post.send(2, passed=0)
    post.count()
    assert post.counted() == 2 and post.gaps() == []
    assert post.reasons(bad) == post.reasons(worse) == ["sums_mismatch"]


def test_already_reversed(system):
    """Whether the first reversal is committed before or lies in the same flush."""
    post = Post(system)
    original = post.event(1)
    post.send_raw(post.schema.encode(original))
    first = post.send_raw(post.reversal(2, original))
    second = post.send_raw(post.reversal(3, original))
    post.send_raw(first)
    post.count()
    third = post.send_raw(post.reversal(4, original))
    post.count()
    assert post.reasons(second) == post.reasons(third) == ["already_reversed"]
    ledger = post.ledger()
    assert post.gaps() == [(3, 4, "rejected")] and ledger["duplicates"] == 1
    assert post.total() == 0 and ledger["counted"] == 2


def test_store_refused():
    """A value that only PostgreSQL refuses: that event alone is set aside, the rest counts."""
    system = System("refused", partitions=2)
    try:
        bad, good = Post(system, source="BAD-1"), Post(system)
        rule = "ALTER TABLE {s}.checkpoint_source ADD CONSTRAINT refuse CHECK (source <> 'BAD-1')"
        system.db.execute(rule.format(s=system.schema))
        good.send(*range(1, 200))
        value = bad.send(1)
        good.send(*range(200, 400))
        good.count()
        assert good.counted() == 399 and good.total() == 399
        assert bad.reasons(value) == ["store_refused"] and bad.gaps() == [(1, 1, "rejected")]
        system.db.execute(f"ALTER TABLE {system.schema}.checkpoint_source DROP CONSTRAINT refuse")
        bad.send_raw(value)
        bad.count()
        assert bad.counted() == 1 and bad.gaps() == [] and bad.total() == 1
    finally:
        system.close()


def test_rejected_rows_never_hold_the_payload(system):
    post = Post(system)
    value = post.send(1, region="SECRETTOWN")
    post.count()
    (row,) = system.rows(
        "SELECT * FROM {s}.rejected_event WHERE sha256 = %s", hashlib.sha256(value).digest()
    )
    assert "SECRETTOWN" not in str(row) and row["length"] == len(value)
    assert (row["source"], row["run"], row["seq"]) == (post.source, post.run, 1)


def test_all_reasons_were_met():
    """The closed list in consumers/reason.h is covered by this file."""
    text = (SCHEMAS.parent / "consumers/reason.h").read_text()
    listed = set(re.findall(r'X\(REASON_\w+, "(\w+)"', text))
    mine = open(__file__, encoding="utf-8").read()
    assert len(listed) == 13 and [r for r in listed if f'"{r}"' not in mine] == []
