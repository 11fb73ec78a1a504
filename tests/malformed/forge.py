# SPDX-License-Identifier: Apache-2.0
"""Bad events, each with the one reason it must be rejected for by schemas/README.md.

Most are good events of posts that report, spoilt: what stands in the ledger must survive them. The
flood comes from a post of its own, which says nothing but nonsense.
"""

import hashlib
import random
from dataclasses import dataclass

from lib.post import Post
from lib.system import now_ms
from lib.wire import HEADER_SIZE, MARKER, partition_of, varint

FAR = 10**9 + 10**6  # further ahead than a number may jump
NO_UTF8 = [b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\x80", b"\x00"]
EXTREMES = [-1, -(2**31), 2**31 - 1]
MAKERS = {}


@dataclass
class Bad:
    """A message to be rejected, and what is recorded of it: never its bytes."""

    reason: str
    key: bytes | None
    value: bytes | None
    partition: int
    source: str | None = None  # where the envelope is to be believed

    def record(self):
        value = self.value or b""
        return self.reason, len(value), hashlib.sha256(value).digest(), self.source


def maker(reason, is_named=False):
    """Registers a way to spoil a good message; is_named: its source is recorded."""

    def add(function):
        MAKERS[function.__name__] = (reason, is_named, function)
        return function

    return add


class Forge:
    """samples: good messages that were counted, as (key, value, partition)."""

    def __init__(self, system, samples, seed=1):
        self.system = system
        self.samples = samples
        self.dice = random.Random(seed)
        self.kind = system.kind("checkpoint")
        self.beats = system.kind("heartbeat")
        self.other = system.kind("test_site")
        self.flood = Post(system, source="FLOOD-1")
        self.flood_next = 1

    def make(self, name=None):
        """A bad message of a kind of fault, or of any."""
        reason, is_named, spoil = MAKERS[name or self.dice.choice(list(MAKERS))]
        key, value, partition = self.dice.choice(self.samples)
        source = key.decode()
        key, value, partition = spoil(self, key, value, partition)
        return Bad(reason, key, value, partition, source if is_named else None)

    def make_flood(self):
        """One more of a post that numbers its nonsense."""
        value = self.flood.bytes(self.flood_next, persons=-self.flood_next)
        self.flood_next += 1
        source = self.flood.source
        return Bad("invalid_field", source.encode(), value, self.flood.partition, source)

    # ---- for the makers ----

    def changed(self, value, **changes):
        return self.kind.encode({**self.kind.decode(value), **changes})

    def bytes(self, size):
        return self.dice.randbytes(size)

    def elsewhere(self, partition):
        step = self.dice.randrange(1, self.system.partitions)
        return (partition + step) % self.system.partitions

    def beat(self, value, n=1, **changes):
        event = self.kind.decode(value)
        post = Post(self.system, source=event["source"])
        post.run = event["run"]
        return post.heartbeat(n, 1, **changes)


# ---- broken ----


@maker("undecodable")
def truncated(forge, key, value, partition):
    return key, value[: forge.dice.randrange(len(value))], partition


@maker("undecodable")
def trailing(forge, key, value, partition):
    return key, value + forge.bytes(forge.dice.randrange(1, 20)), partition


@maker("undecodable")
def noise(forge, key, value, partition):
    return key, b"\x7f" + forge.bytes(forge.dice.randrange(400)), partition


@maker("undecodable")
def noise_behind_header(forge, key, value, partition):
    """Its first byte says that the source is longer than the message."""
    return key, value[:HEADER_SIZE] + b"\xfe" + forge.bytes(80), partition


@maker("undecodable")
def nothing(forge, key, value, partition):
    return key, forge.dice.choice([None, b""]), partition


@maker("undecodable")
def heartbeat_truncated(forge, key, value, partition):
    beat = forge.beat(value)
    return key, beat[: forge.dice.randrange(HEADER_SIZE, len(beat))], partition


# ---- bomb-like ----


@maker("undecodable")
def huge_length(forge, key, value, partition):
    size = forge.dice.choice([2**62, 2**63 - 1, 2**31, 2**32, 10**9, -1, -(2**63), -(2**31)])
    return key, value[:HEADER_SIZE] + varint(size) + key, partition


@maker("undecodable")
def varint_of_ten_bytes(forge, key, value, partition):
    long_form = b"\xff" * forge.dice.choice([9, 10, 11, 64, 4000]) + b"\x7f"
    return key, value[:HEADER_SIZE] + long_form + key, partition


@maker("undecodable")
def varint_in_long_form(forge, key, value, partition):
    size = varint(len(key))
    spread = bytes([size[0] | 0x80]) + b"\x80" * forge.dice.randrange(8) + b"\x00"
    return key, value.replace(size + key, spread + key, 1), partition


@maker("undecodable")
def oversized(forge, key, value, partition):
    return key, value + b"\x00" * forge.dice.choice([4096, 10_000, 60_000]), partition


# ---- not theirs ----


@maker("key_mismatch")
def forged_key(forge, key, value, partition):
    other = forge.dice.choice(forge.samples)[0]
    forged = [key[:-1], key + b"\x00", key.lower(), b"", None, b"x" * 5000, b"\xff" * 7]
    return forge.dice.choice(forged + ([other] if other != key else [])), value, partition


@maker("key_mismatch")
def forged_heartbeat(forge, key, value, partition):
    return b"CP-somebody-else", forge.beat(value), partition


@maker("moved_partition", is_named=True)
def moved(forge, key, value, partition):
    return key, value, forge.elsewhere(partition)


@maker("unknown_schema")
def unknown_schema(forge, key, value, partition):
    return key, MARKER + forge.bytes(8) + value[HEADER_SIZE:], partition


@maker("wrong_kind")
def wrong_kind(forge, key, value, partition):
    return key, forge.other.current.header + value[HEADER_SIZE:], partition


@maker("key_mismatch")
def name_of_another(forge, key, value, partition):
    return key, forge.changed(value, source="CP-somebody-else"), partition


@maker("invalid_field")
def envelope_out_of_bounds(forge, key, value, partition):
    changes = [{"seq": 0}, {"seq": -(2**63)}, {"run": -1}, {"run": 2**48}, {"run": 2**63 - 1}]
    return key, forge.changed(value, **forge.dice.choice(changes)), partition


@maker("invalid_field")
def name_out_of_bounds(forge, key, value, partition):
    name = forge.dice.choice(["", "a b", "x" * 65, "a'b;--", "a\x00b", "名", "x" * 3000])
    return name.encode(), forge.changed(value, source=name), partition


@maker("seq_jump", is_named=True)
def far_ahead(forge, key, value, partition):
    number = forge.dice.choice([FAR, 2**62, 2**63 - 1, forge.dice.randrange(FAR, 2**63)])
    return key, forge.changed(value, seq=number), partition


@maker("seq_jump", is_named=True)
def heartbeat_far_ahead(forge, key, value, partition):
    number = forge.dice.choice([FAR, 2**63 - 1])
    return key, forge.beat(value, acked_seq=number, last_seq=number), partition


@maker("seq_jump", is_named=True)
def heartbeat_out_of_reach(forge, key, value, partition):
    """Every figure that a post tells of itself is summed by a view."""
    number = forge.dice.choice([2**63 - 1, 2**62, forge.dice.randrange(10**13, 2**63)])
    field = forge.dice.choice(["last_seq", "oldest_kept", "refused", "previous_last_seq"])
    changes = {field: number, "previous_run": 1}
    return key, forge.beat(value, n=2**40, **changes), partition  # newer than all that came


# ---- poison ----


@maker("invalid_field", is_named=True)
def no_utf8(forge, key, value, partition):
    bad = b"4415" + forge.dice.choice(NO_UTF8)
    text = "4415" + "~" * (len(bad) - 4)
    return key, forge.changed(value, region=text).replace(text.encode(), bad, 1), partition


@maker("invalid_field", is_named=True)
def extreme(forge, key, value, partition):
    field = forge.dice.choice(["persons", "passed", "code_green", "queue_vehicles"])
    number = forge.dice.choice(EXTREMES)
    return key, forge.changed(value, **{field: number}), partition


@maker("invalid_field", is_named=True)
def sign_of_nothing(forge, key, value, partition):
    changes = [{"sign": 0}, {"sign": -1}, {"reverses_run": 1}, {"counted_at": 0}]
    return key, forge.changed(value, **forge.dice.choice(changes)), partition


@maker("sums_mismatch", is_named=True)
def sums_mismatch(forge, key, value, partition):
    passed = forge.kind.decode(value)["passed"]
    return key, forge.changed(value, passed=(passed + 1) % 10_000), partition


def odd_events(system):
    """Good events whose clocks are mad: each counts in the hour it was appended."""
    post = Post(system, source="ODD-1")
    clocks = [-(2**63), 2**63 - 1, 0, -1, 2**53, 1_577_836_799_999, now_ms() + 40 * 86_400_000]
    key, where = post.source.encode(), partition_of(post.source, system.partitions)
    return [
        (key, post.bytes(seq, occurred_at=at), where) for seq, at in enumerate(clocks, start=1)
    ]
