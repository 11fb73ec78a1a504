# SPDX-License-Identifier: Apache-2.0
"""A city of posts that are expected to report, and what the views of completeness say of each."""

import csv
import secrets
import time
from datetime import datetime, timedelta, timezone

from lib.post import HAICHENG, Post
from lib.system import System

ZONE = timezone(timedelta(hours=8))


def today():
    return datetime.now(ZONE).date()


def at(day, hour=12, minute=0):
    """Milliseconds of a local time."""
    local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZONE)
    return round(local.timestamp() * 1000)


class Outbox(Post):
    """A post that also says how it is: its runs follow each other, as those of one outbox do."""

    def __init__(self, city, name=None, source=None, region=HAICHENG):
        super().__init__(city.system, source=source or city.sources.get(name), region=region)
        self.beats_sent, self.previous = 0, {}

    def beat(self, acked, **changes):
        self.beats_sent += 1
        beat = self.heartbeat(self.beats_sent, acked, **{**self.previous, **changes})
        self.send_raw(beat)
        return self

    def reopen(self, last):
        """A new run, which names the one before and says that its last number was last."""
        self.previous = {"previous_run": self.run, "previous_last_seq": last}
        self.run, self.beats_sent = secrets.randbits(48), 0
        return self

    def state(self, run=None):
        row = self.run_row(run)
        return row["state"] if row else None

    def run_row(self, run=None):
        found = self.system.rows(
            "SELECT * FROM {s}.source_run WHERE source = %s AND run = %s",
            self.source,
            f"{self.run if run is None else run:012x}",
        )
        return found[0] if found else None

    def now(self):
        """Its row of completeness."""
        query = "SELECT * FROM {s}.completeness WHERE level = 'source' AND source = %s"
        (row,) = self.system.rows(query, self.source)
        return row

    def day(self, day):
        """Its row of completeness_daily."""
        query = "SELECT * FROM {s}.completeness_daily WHERE kind = 'checkpoint' AND day = %s"
        query += " AND level = 'source' AND source = %s"
        (row,) = self.system.rows(query, day, self.source)
        return row

    def missing(self):
        """(day, first, last, cause) of what is not counted."""
        query = "SELECT * FROM {s}.missing_range WHERE source = %s ORDER BY run_number, first_seq"
        rows = self.system.rows(query, self.source)
        assert all(r["events"] == r["last_seq"] - r["first_seq"] + 1 for r in rows)
        return [(r["day"], r["first_seq"], r["last_seq"], r["cause"]) for r in rows]


class City:
    """A system with posts that are expected to report."""

    NAMES = ["busy", "quiet", "never", "silent", "ended", "shut", "stale", "whole", "owing", "gone"]

    def __init__(self, name):
        self.system = System(name, partitions=2)
        self.sources = {n: f"CP-{n}-{secrets.token_hex(3)}" for n in self.NAMES}
        path = self.system.dir / "sources.csv"
        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["source", "kind", "name", "region", "valid_from", "valid_to"])
            for n, source in self.sources.items():
                ends = today() - timedelta(days=1) if n == "gone" else ""
                writer.writerow([source, "checkpoint", n, HAICHENG, "2022-01-01", ends])
        self.system.setup("--sources", path)

    def count(self):
        """Counts all there is, and says so: fx-rollup asks idle partitions every ten seconds."""
        self.system.sent()
        self.system.count()
        caught_up(self.system, datetime.now(timezone.utc))

    def apart(self):
        """What is sent from here on is appended at a later millisecond."""
        self.system.sent()
        time.sleep(0.005)

    def sources_now(self):
        """{source: its row of completeness}, all in one snapshot."""
        query = "SELECT * FROM {s}.completeness WHERE level = 'source'"
        return {row["source"]: row for row in self.system.rows(query)}


# What only time can bring about is brought about here, in the tables.


def pass_time(post, minutes):
    """As if the post had fallen silent so many minutes ago."""
    post.system.db.execute(
        f"UPDATE {post.system.schema}.source_ledger SET "
        "heartbeat_at = heartbeat_at - %(m)s * interval '1 minute', "
        "last_appended_at = last_appended_at - %(m)s * interval '1 minute', "
        "opened_at = opened_at - %(m)s * interval '1 minute' WHERE source = %(s)s",
        {"m": minutes, "s": post.source},
    )


def caught_up(system, when):
    """As if all had been counted up to then, and nothing since; None: as if never."""
    system.db.execute(
        f"UPDATE {system.schema}.partition_position SET caught_up_at = %s", (when,)
    )
