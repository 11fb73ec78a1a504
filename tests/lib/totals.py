# SPDX-License-Identifier: Apache-2.0
"""What <rollup>_total_before(T) and <rollup>_last_before(T) say, beside a recount of the cells
before T: the totals that they come from are kept by every flush."""

import datetime

from psycopg import sql

LEVELS = ("town", "county", "city", "source")
MOMENT = datetime.timedelta(microseconds=1)


def hours(first, last):
    """Every edge of an hour from first to last, and the moment before it."""
    at = first
    while at <= last:
        yield from (at - MOMENT, at)
        at += datetime.timedelta(hours=1)


def edge_before(at):
    return at.replace(minute=0, second=0, microsecond=0)


def functions(system, suffix):
    """Rollups that have one."""
    rows = system.rows("SELECT proname AS name FROM pg_proc WHERE proname ~ %s"
                       " AND pronamespace = %s::regnamespace", suffix + "$", system.schema)
    return sorted(row["name"].removesuffix(suffix) for row in rows)


def columns(system, rollup, *aggregates):
    rows = system.rows("SELECT name FROM {s}.rollup_column WHERE rollup = %s"
                       " AND aggregate = ANY (%s) ORDER BY position", rollup, list(aggregates))
    return [row["name"] for row in rows]


def keys(system, rollup, level):
    text = system.value("SELECT dimensions FROM {s}.rollup_definition WHERE rollup = %s", rollup)
    return ["source" if level == "source" else "region", *filter(None, text.split(", "))]


def names(words):
    return sql.SQL(", ").join(map(sql.Identifier, words))


def compare(system, parts, told, recount, at):
    """How many rows the function has; how many only one side has."""
    texts = [sql.SQL(text).format(**parts) for text in (told, recount)]
    both = sql.SQL("SELECT count(*) FROM ((({0}) EXCEPT ALL ({1})) UNION ALL"
                   " (({1}) EXCEPT ALL ({0}))) x").format(*texts)
    rows = sql.SQL("SELECT count(*) FROM ({}) x").format(texts[0])
    named = {"at": at, "edge": edge_before(at)}
    return (system.db.execute(rows, named).fetchone()[0],
            system.db.execute(both, named).fetchone()[0])


def level_parts(system, rollup, level):
    """None: the rollup has no such table."""
    table = sql.Identifier(system.schema, f"{rollup}_{level}")
    if not system.value("SELECT to_regclass(%s) IS NOT NULL", table.as_string(system.db)):
        return None
    summed = columns(system, rollup, "count", "sum")
    whole = "CASE WHEN count({0}) = count(*) THEN sum({0})::bigint END"
    return {
        "table": table,
        "function": sql.Identifier(system.schema, f"{rollup}_total_before"),
        "level": sql.Literal(level),
        "keys": names(keys(system, rollup, level)),
        "columns": names(summed),
        "sums": sql.SQL(", ").join(sql.SQL(whole).format(sql.Identifier(n)) for n in summed),
    }


def check_totals(system, rollup, times):
    """How many rows were compared; asserts that none differs."""
    compared = 0
    for level in LEVELS:
        parts = level_parts(system, rollup, level)
        if parts is None:
            assert level == "source"
            continue
        for at in times:
            rows, differing = compare(
                system, parts,
                "SELECT {keys}, {columns} FROM {function}(%(at)s) WHERE level = {level}",
                "SELECT {keys}, {sums} FROM {table} WHERE bucket_start < %(edge)s GROUP BY {keys}",
                at,
            )
            assert differing == 0, f"{rollup}_total_before({at}), {level}: {differing} rows"
            compared += rows
    return compared


def check_last(system, rollup, times):
    """The same of last values."""
    compared = 0
    for name in columns(system, rollup, "last"):
        parts = {
            "table": sql.Identifier(system.schema, f"{rollup}_source"),
            "function": sql.Identifier(system.schema, f"{rollup}_last_before"),
            "keys": names(keys(system, rollup, "source")),
            "column": sql.Identifier(name),
            "bucket": sql.Identifier(f"{name}_at"),
        }
        for at in times:
            rows, differing = compare(
                system, parts,
                "SELECT {keys}, {column}, {bucket} FROM {function}(%(at)s)"
                " WHERE {column} IS NOT NULL",
                "SELECT DISTINCT ON ({keys}) {keys}, {column}, bucket_start FROM {table}"
                " WHERE bucket_start < %(edge)s AND {column} IS NOT NULL"
                " ORDER BY {keys}, bucket_start DESC",
                at,
            )
            assert differing == 0, f"{rollup}_last_before({at}), {name}: {differing} rows"
            compared += rows
    return compared


def check(system, times):
    """All rollups; how many rows were compared."""
    times = list(times)
    return sum(check_totals(system, rollup, times)
               for rollup in functions(system, "_total_before")) + sum(
        check_last(system, rollup, times) for rollup in functions(system, "_last_before"))
