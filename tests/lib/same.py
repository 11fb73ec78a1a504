# SPDX-License-Identifier: Apache-2.0
"""Whether two schemas hold the same, cell for cell: figures, ledger, gaps, days, rejected events.

What only says who counted when is left out: tokens, workers, times of claims and of fx-setup.
"""

from collections import Counter
from dataclasses import dataclass, field

from psycopg import sql

LEVELS = ("_town", "_county", "_city", "_source")
SUFFIXES = LEVELS + tuple(level + "_total" for level in LEVELS)
# table: columns that are its key; other columns are cells
KEYS = {
    "source_ledger": ("topic", "source", "run"),
    "source_gap": ("topic", "source", "run", "first_seq"),
    "source_day": ("topic", "source", "run", "day"),
    "source_tally": ("topic", "source", "day"),
    "source_hour": ("topic", "source", "hour_start"),
    "reversal": ("topic", "source", "reversed_run", "reversed_seq"),
    "corrected_event": ("topic", "source", "run", "seq"),
    "offset_hole": ("topic", "partition", "first_offset"),
    "rejected_event": ("topic", "partition", "offset"),
}
IGNORED = {"found_at", "claimed_by", "claimed_at", "caught_up_at", "generation", "installed_at"}


@dataclass
class Same:
    """What a comparison found. cells: how many were compared; differing: how many are not equal."""

    cells: int = 0
    differing: int = 0
    rows: Counter = field(default_factory=Counter)  # table: how many rows were compared
    texts: list = field(default_factory=list)  # the first ones, in words

    def __str__(self):
        return "\n".join([f"{self.differing} of {self.cells} cells differ", *self.texts[:20]])


def rollup_tables(db, schema):
    """{table: key} of every table of a rollup of the schema, totals as well."""
    names = db.execute(
        "SELECT c.relname, array_agg(a.attname::text ORDER BY k.n) FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_index i ON i.indrelid = c.oid"
        " AND i.indisprimary CROSS JOIN unnest(i.indkey) WITH ORDINALITY k (attnum, n)"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum"
        " WHERE n.nspname = %s GROUP BY 1",
        (schema,),
    ).fetchall()
    rollups = db.execute(
        sql.SQL("SELECT rollup FROM {}.rollup_definition").format(sql.Identifier(schema))
    ).fetchall()
    wanted = {name + suffix for (name,) in rollups for suffix in SUFFIXES}
    return {table: tuple(key) for table, key in names if table in wanted}


def read(db, schema, table, key):
    """{key: {column: value}}"""
    cursor = db.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table)))
    names = [column.name for column in cursor.description]
    out = {}
    for values in cursor:
        row = {n: v for n, v in zip(names, values) if n not in IGNORED}
        if row.get("cause") in ("written_off", "rejected"):
            # The first is decided about a gap that was, or was not, there already. Of the second,
            # what lies right of a number that was re-driven keeps the time of the whole; each
            # number's own is in rejected_event.
            del row["opened_at"]
        out[tuple(row.pop(name) for name in key)] = row
    return out


def compare(db, left, right, is_left_out=lambda table, key: False):
    """Compares two schemas of the database that db is connected to."""
    same = Same()
    tables = rollup_tables(db, left)
    other = rollup_tables(db, right)
    for table in sorted(set(tables) ^ set(other)):
        same.differing += 1
        same.texts.append(f"{table}: in one schema only")
    shared = {table: key for table, key in tables.items() if other.get(table) == key}
    for table, key in {**shared, **KEYS}.items():
        mine, theirs = read(db, left, table, key), read(db, right, table, key)
        for where in sorted(mine.keys() | theirs.keys(), key=str):
            if is_left_out(table, where):
                continue
            one, two = mine.get(where), theirs.get(where)
            columns = (one or {}).keys() | (two or {}).keys()
            wrong = (
                {n: (one.get(n), two.get(n)) for n in columns if one.get(n) != two.get(n)}
                if one is not None and two is not None
                else dict.fromkeys(columns or {"row"}, f"only in {left if two is None else right}")
            )
            same.rows[table] += 1
            same.cells += max(1, len(columns))
            same.differing += len(wrong)
            if wrong:
                same.texts.append(f"{table} {where}: {wrong}")
    return same


def assert_same(db, left, right):
    """The comparison, which found no difference and something to compare."""
    same = compare(db, left, right)
    assert same.differing == 0 and same.cells > 0, str(same)
    return same
