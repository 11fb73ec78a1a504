# SPDX-License-Identifier: Apache-2.0
"""How long the worked questions take on sixty days: the reference day is counted through the whole
path, then its rows are copied to each of the 59 days before, in the tables themselves, and the
questions are asked as an analyst. What the copied days say is not judged here, only how fast. By
hand (deploy/local/up first):

    . .local/env && cd tests/seed && ../../.local/venv/bin/python speed.py
"""

import dataclasses
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import load  # noqa: E402
import psycopg  # noqa: E402
from lib.system import System  # noqa: E402
from psycopg import sql  # noqa: E402

DAYS = 60
RUNS = 7
TARGET_MS = 50
DAY_MS = 86_400_000


@dataclasses.dataclass
class Limit:
    """A figure that is to be at most its target."""

    name: str
    value: float
    target: float

    @property
    def is_met(self):
        return self.value <= self.target

    def __str__(self):
        return f"{self.name} {self.value:.1f} {self.target} {'ok' if self.is_met else 'short'}"


def rollup_tables(system):
    rows = system.rows(
        "SELECT c.relname AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns"
        " FROM {s}.rollup_definition d CROSS JOIN unnest(ARRAY['town', 'county', 'city',"
        " 'source']) l JOIN pg_class c ON c.relname = d.rollup || '_' || l"
        " AND c.relnamespace = %s::regnamespace JOIN pg_attribute a ON a.attrelid = c.oid"
        " AND a.attnum > 0 AND NOT a.attisdropped WHERE c.relkind = 'r' GROUP BY 1",
        system.schema,
    )
    return {row["name"]: row["columns"] for row in rows}


def earlier(column, columns):
    """The column of a row that is moved n days back."""
    name = sql.Identifier("t", column)
    if column == "bucket_start":
        return sql.SQL("{} - n * interval '1 day'").format(name)
    if column.endswith("_last") and column.removesuffix("_last") in columns:
        moved = "CASE WHEN {0} IS NOT NULL THEN ARRAY[{0}[1] - n::bigint * {1}, {0}[2], {0}[3]] END"
        return sql.SQL(moved).format(name, sql.Literal(DAY_MS))
    return name


def multiply(system, days=DAYS):
    """As if each of the days before had been the reference day, too; numbers in proportion."""
    names = {"s": sql.Identifier(system.schema), "r": sql.Identifier(f"{system.schema}_record")}
    names |= {"more": sql.Literal(days - 1), "all": sql.Literal(days)}
    names |= {"day": sql.Literal(load.DATE), "end": sql.Literal(load.END)}
    for table, columns in rollup_tables(system).items():
        moved = sql.SQL(", ").join(earlier(column, columns) for column in columns)
        copy = "INSERT INTO {s}.{table} SELECT {moved} FROM {s}.{table} t,"
        copy += " generate_series(1, {more}) n"
        copy += " WHERE (t.bucket_start AT TIME ZONE 'Asia/Shanghai')::date = {day}"
        copy += " ON CONFLICT DO NOTHING"
        statement = sql.SQL(copy).format(table=sql.Identifier(table), moved=moved, **names)
        system.db.execute(statement)
    for statement in (
        # what came is judged as of that midnight, not as of today: else there are years of days
        "UPDATE {s}.partition_position SET caught_up_at = {end}",
        "UPDATE {r}.source SET valid_from = valid_from - {more}",
        "INSERT INTO {s}.source_hour SELECT t.topic, t.source, t.hour_start - n * interval '1 day',"
        " t.slots FROM {s}.source_hour t, generate_series(1, {more}) n"
        " WHERE (t.hour_start AT TIME ZONE 'Asia/Shanghai')::date = {day} ON CONFLICT DO NOTHING",
        "DELETE FROM {s}.source_day",
        "INSERT INTO {s}.source_day SELECT t.topic, t.source, t.run, date {day} - n,"
        " ({more} - n) * t.high + 1, ({more} - n + 1) * t.high FROM {s}.source_ledger t,"
        " generate_series(1, {more}) n WHERE t.high > 0",
        "UPDATE {s}.source_ledger SET high = high * {all}, counted = counted * {all},"
        " announced = announced * {all}, acked = acked * {all}, day = {day},"
        " day_first_seq = high * {more} + 1, previous_last_seq = previous_last_seq * {all}",
        "INSERT INTO {r}.correction (rollup, level, region, bucket_start, dimensions, changes,"
        " cutoff_at, changed_at) SELECT t.rollup, t.level, t.region, t.bucket_start"
        " - n * interval '1 day', t.dimensions, t.changes, t.cutoff_at, t.changed_at"
        " FROM {r}.correction t, generate_series(1, {more}) n",
    ):
        system.db.execute(sql.SQL(statement).format(**names))
    for row in system.rows("SELECT schemaname AS s, tablename AS t FROM pg_tables"
                           " WHERE schemaname IN (%s, %s)", system.schema,
                           f"{system.schema}_record"):
        system.db.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(row["s"], row["t"])))


def ask(connection, statement):
    """Milliseconds from the statement to its last row; how many rows."""
    began = time.perf_counter()
    rows = connection.execute(statement).fetchall()
    return (time.perf_counter() - began) * 1000, len(rows)


def measure(system):
    """(question, median of its times in ms, rows) of each question, asked as an analyst."""
    with psycopg.connect(autocommit=True) as connection:
        settings = "SET ROLE fangxian_analyst; SET search_path = {s}, pg_catalog;"
        settings += " SET timezone = 'Asia/Shanghai'; SET default_transaction_read_only = on;"
        settings += " SET jit = off; SET statement_timeout = '20s'"
        connection.execute(sql.SQL(settings).format(s=sql.Identifier(system.schema)))
        for path in sorted((load.SEED / "questions").glob("*.sql")):
            statement = path.read_text()
            rows = ask(connection, statement)[1]
            times = [ask(connection, statement)[0] for _ in range(RUNS)]
            yield path.stem, statistics.median(times), rows


def limits(found):
    """A line per question, then the slowest."""
    for name, median, _ in found:
        yield Limit(f"question_ms_{name}", median, TARGET_MS)
    yield Limit("questions_slowest_ms", max(median for _, median, _ in found), TARGET_MS)


def main():
    system = System("speed", is_set_up=False)
    try:
        load.load(system)
        multiply(system)
        print(*limits(list(measure(system))), sep="\n")
    finally:
        system.close()


if __name__ == "__main__":
    main()
