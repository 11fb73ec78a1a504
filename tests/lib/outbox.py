# SPDX-License-Identifier: Apache-2.0
"""Reads a producer's outbox (SQLite) after the producer ended: what it accepted."""

import sqlite3


def accepted(path):
    """Every event kept, as (message bytes, source, run, seq)."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = "SELECT event.bytes, run.source, run.run, event.seq FROM event"
        yield from db.execute(rows + " JOIN run ON run.id = event.run ORDER BY event.id")
    finally:
        db.close()
