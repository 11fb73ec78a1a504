# SPDX-License-Identifier: Apache-2.0
"""A post that a third party programmed: numbers its events and writes them to Kafka itself."""

import hashlib
import secrets

from lib.system import now_ms
from lib.wire import partition_of

HAICHENG, HAIFENG, SHANWEI = "441521115", "441521", "441500"
BODIES = {
    "checkpoint": {
        "direction": "IN",
        "post_type": "VILLAGE",
        "vehicle": "CAR",
        "plate_scope": "IN_CITY",
        "persons": 3,
        "code_green": 2,
        "code_none": 1,
        "itinerary_unchecked": 3,
        "passed": 3,
    },
    "test_site": {"step": "SAMPLED", "scheme": "MASS", "persons": 10, "tubes": 1, "pool_size": 10},
    "quarantine": {
        "place": "CENTRAL",
        "tier": "CLOSE",
        "step": "ADMITTED",
        "persons": 2,
        "origin": HAICHENG,
    },
}
# A line that fx-checkpoint takes.
LINE = {
    "direction": "IN",
    "post_type": "VILLAGE",
    "vehicle": "CAR",
    "plate_scope": "IN_CITY",
    "persons": 2,
    "passed": 2,
}


class Post:
    def __init__(self, system, kind="checkpoint", source=None, region=HAICHENG, body=None):
        self.system, self.kind, self.region = system, kind, region
        self.source = source or f"TP-{secrets.token_hex(4)}"
        self.run = secrets.randbits(48)
        self.schema = system.kind(kind)
        self.beats = system.kind("heartbeat")
        self.body = BODIES[kind] if body is None else body
        self.partition = partition_of(self.source, system.partitions)

    # ---- out ----

    def event(self, seq, **changes):
        envelope = {
            "source": self.source,
            "run": self.run,
            "seq": seq,
            "occurred_at": now_ms(),
            "region": self.region,
            "sign": 1,
            "reverses_run": None,
            "reverses_seq": None,
            "counted_at": None,
        }
        return {**self.schema.defaults, **envelope, **self.body, **changes}

    def bytes(self, seq, **changes):
        return self.schema.encode(self.event(seq, **changes))

    def send(self, *seqs, **changes):
        """Events of these numbers; the last one's bytes."""
        for seq in seqs:
            value = self.bytes(seq, **changes)
            self.send_raw(value)
        return value

    def send_raw(self, value, key=None, partition=None):
        where = self.partition if partition is None else partition
        self.system.send(self.kind, self.source if key is None else key, value, where)
        return value

    def reversal(self, seq, original, **changes):
        undone = {"sign": -1, "reverses_run": original["run"], "reverses_seq": original["seq"]}
        return self.schema.encode({**original, "run": self.run, "seq": seq, **undone, **changes})

    def heartbeat(self, n, acked, **changes):
        beat = {
            "source": self.source,
            "run": self.run,
            "n": n,
            "state": "ALIVE",
            "last_seq": acked,
            "acked_seq": acked,
            "oldest_kept": 1,
            "refused": 0,
            "input_state": "OPEN",
            "last_line_at": None,
            "previous_run": None,
            "previous_last_seq": None,
            "region": self.region,
            "at": now_ms(),
        }
        return self.beats.encode({**beat, **changes})

    def count(self):
        self.system.sent()
        self.system.count()

    # ---- what became of them ----

    def ledger(self):
        """The run's row, or None."""
        query = "SELECT * FROM {s}.source_ledger WHERE source = %s AND run = %s"
        with self.system.snapshot():
            found, gaps = self.system.rows(query, self.source, self.run), self.gaps()
        if not found:
            return None
        row = found[0]
        length = sum(last - first + 1 for first, last, _ in gaps)
        assert row["counted"] + length == row["high"], f"the invariant does not hold: {row} {gaps}"
        assert row["gaps"] == len(gaps), f"{row} {gaps}"
        return row

    def gaps(self):
        return [
            (g["first_seq"], g["last_seq"], g["cause"])
            for g in self.system.rows(
                "SELECT * FROM {s}.source_gap WHERE source = %s AND run = %s ORDER BY first_seq",
                self.source,
                self.run,
            )
        ]

    def counted(self):
        row = self.ledger()
        return row["counted"] if row else 0

    def reasons(self, value):
        """Reasons of the rejected copies of these bytes."""
        digest = hashlib.sha256(value).digest()
        return [
            r["reason"]
            for r in self.system.rows(
                'SELECT reason FROM {s}.rejected_event WHERE sha256 = %s ORDER BY "offset"', digest
            )
        ]

    def cells(self, column="checked_groups", table="checkpoint_source", key=None):
        """{bucket in ms: value} of a column, summed over dimensions."""
        place = "source" if table.endswith("_source") else "region"
        query = f"SELECT bucket_start AS b, sum({column})::bigint AS n FROM {{s}}.{table}"
        query += f" WHERE {place} = %s GROUP BY 1"
        return {
            round(r["b"].timestamp() * 1000): r["n"]
            for r in self.system.rows(query, key or self.source)
        }

    def total(self, *args, **kw):
        return sum(self.cells(*args, **kw).values())
