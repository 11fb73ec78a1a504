# SPDX-License-Identifier: Apache-2.0
"""How long the worked questions take on sixty days: the reference day is counted through the whole
path, then its rows are copied to each of the 59 days before, in the tables themselves, and the
questions are asked as an analyst. What the copied days say is not judged here, only how fast. In
its long form (FX_LONG=1) a city of a thousand posts tells 100,000 events of that day beside it.
By hand (deploy/local/up first):

    . .local/env && cd tests/seed && FX_LONG=1 ../../.local/venv/bin/python speed.py
"""

import dataclasses
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import load  # noqa: E402
import psycopg  # noqa: E402
from lib.story import words_of  # noqa: E402
from lib.system import LONG, System  # noqa: E402
from psycopg import sql  # noqa: E402

DAYS = 60
RUNS = 7
TARGET_MS = 50
DAY_MS = 86_400_000
BEGIN = "2022-02-10T00:00:00+08:00"
# Kind of the simulated city: its posts, and its lines at most; the last four end with the story.
CITY = {
    "checkpoint": (600, 75_000),
    "test_site": (300, 27_000),
    "quarantine": (100, 5_000),
    "screening": (1, 1_000_000),
    "contact": (1, 1_000_000),
    "duty": (1, 1_000_000),
    "service": (1, 1_000_000),
}
POSTS_WANTED, EVENTS_WANTED = 1_000, 100_000  # of the long form


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


@dataclasses.dataclass
class Size:
    """How much there is to ask: it has no target."""

    name: str
    value: int
    is_met = True

    def __str__(self):
        return f"{self.name} {self.value} - ok"


def program_of(kind, *more):
    """The command line that plays the kind's part of the city."""
    return words_of(kind, 6, BEGIN, load.END, *CITY[kind]) + list(more)


def play(system):
    """A simulated city tells the same day; its posts are expected beside those of the fixture."""
    sources = (load.DAY / "sources.csv").read_text()
    for kind in CITY:
        path = system.dir / f"{kind}.csv"
        system.run(*program_of(kind, "--write-sources", path))
        sources += path.read_text().split("\n", 1)[1]
    path = system.dir / "sources.csv"
    path.write_text(sources)
    system.setup("--sources", path)
    running = [
        system.start(*program_of(kind, "--outbox", system.dir / f"city-{kind}.db")) for kind in CITY
    ]
    for process in running:
        assert process.wait(300) == 0, process.result()
    system.count(seconds=120)


def day_of_all_kinds(system):
    """The reference day; in the long form with the city, before the day is reported."""

    def report(system):
        if LONG:
            play(system)
        load.cut_off(system)

    load.load(system, report=report)
    if LONG:
        posts = system.value("SELECT count(*) FROM {s}.source")
        events = system.value("SELECT sum(counted)::bigint FROM {s}.source_ledger")
        assert posts >= POSTS_WANTED and events >= EVENTS_WANTED, (posts, events)


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


def make_totals(system):
    """Cells that were not counted are in no total: fx-setup makes them of all that is there."""
    for row in system.rows("SELECT tablename AS name FROM pg_tables WHERE schemaname = %s"
                           " AND tablename LIKE '%%\\_total'", system.schema):
        name = sql.Identifier(system.schema, row["name"])
        system.db.execute(sql.SQL("DROP TABLE {} CASCADE").format(name))
    system.setup()


def multiply(system, days=DAYS):
    """As if each of the days before had been the reference day, too; numbers in proportion."""
    names = {"s": sql.Identifier(system.schema), "r": sql.Identifier(f"{system.schema}_record")}
    names |= {"more": sql.Literal(days - 1), "all": sql.Literal(days)}
    names |= {"day": sql.Literal(load.DATE), "end": sql.Literal(load.END)}
    system.db.execute("SET statement_timeout = '600s'")
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
    make_totals(system)
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


def sizes(system):
    """What the questions are asked of: posts that are expected, and rows of the rollups."""
    yield Size("question_sources", system.value("SELECT count(*) FROM {s}.source"))
    rows = (system.value(f"SELECT count(*) FROM {{s}}.{name}") for name in rollup_tables(system))
    yield Size("question_rows", sum(rows))


def limits(found):
    """A line per question, then the slowest."""
    for name, median, _ in found:
        yield Limit(f"question_ms_{name}", median, TARGET_MS)
    yield Limit("questions_slowest_ms", max(median for _, median, _ in found), TARGET_MS)


def main():
    system = System("speed", is_simulated=LONG, is_set_up=False)
    try:
        day_of_all_kinds(system)
        multiply(system)
        print(*sizes(system), *limits(list(measure(system))), sep="\n")
    finally:
        system.close()


if __name__ == "__main__":
    main()
