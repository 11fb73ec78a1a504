# SPDX-License-Identifier: Apache-2.0
"""Totals follow the cells, whatever comes: late events, reversals, a wrong clock, more totals
than one statement takes, workers side by side, a rebuild and its swap; and fx-setup makes them
where there are none: in a system of before there were any, for a stock that is added, beside an
added column."""

import json
import shutil
from datetime import datetime, timedelta, timezone

import pytest
from lib import same, totals
from lib.audit import audit
from lib.city import at, today
from lib.post import HAICHENG, HAIFENG, SHANWEI, Post
from lib.system import SCHEMAS, System, now_ms
from psycopg import sql

MANY = 2100  # over 2,048, the rows of one statement


def times(days=3):
    """From before the first event to behind the last: every third hour."""
    first = datetime.fromtimestamp(at(today() - timedelta(days=days), 0) / 1000, timezone.utc)
    last = datetime.fromtimestamp(now_ms() / 1000, timezone.utc) + timedelta(hours=2)
    return list(totals.hours(first, totals.edge_before(last)))[::7]


def agree(system):
    """Totals are the sums of the cells, now and as of any time, and fx-audit finds it so."""
    compared = totals.check(system, times())
    assert audit(system)["findings"]["breaches"] == []
    return compared


def census(system, region, when):
    query = "SELECT census_persons FROM {s}.quarantine_stock_at(%s) WHERE region = %s"
    return system.value(query, datetime.fromtimestamp(when / 1000, timezone.utc), region)


@pytest.fixture
def system():
    system = System("totals", partitions=3)
    yield system
    system.close()


def test_setup_does_not_wait_for_who_reads_tables(system):
    """Nothing is to be changed in them: to lock them would wait for a long query, hold up every
    flush meanwhile, and lock in another order than a flush does."""
    tables = [
        row["name"]
        for row in system.rows(
            "SELECT relname AS name FROM pg_class WHERE relnamespace = %s::regnamespace AND"
            " relkind = 'r'",
            system.schema,
        )
    ]
    assert any(name.endswith("_total") for name in tables)
    with system.snapshot():
        for name in tables:
            query = sql.SQL("SELECT count(*) FROM {}.{}")
            system.db.execute(query.format(*map(sql.Identifier, (system.schema, name))))
        system.setup()


def test_what_comes_late_changes_every_later_stock(system):
    post = Post(system, "quarantine", region=HAICHENG)
    old, before, noon = (at(today() - timedelta(days=n), 12) for n in (3, 2, 1))
    kept = post.event(1, occurred_at=before, persons=7)
    post.send_raw(post.schema.encode(kept))
    post.send(2, occurred_at=noon, persons=2)
    post.send(3, occurred_at=noon, persons=0, step="STATUS", reported_persons=9)
    post.count()
    hour = 3_600_000
    stocks = [(old, None), (before, None), (before + hour, 7), (noon, 7), (noon + hour, 9)]
    for when, persons in stocks:
        assert census(system, HAIFENG, when) == persons, when
    # a late one, into an hour that had no row: every later stock has it, no earlier one
    post.send(4, occurred_at=old, persons=30)
    post.count()
    for when, persons in stocks[1:]:
        assert census(system, HAIFENG, when) == 30 + (persons or 0), when
    assert census(system, HAIFENG, old) is None
    assert agree(system) > 50
    # a reversal takes its event from where it counted
    post.send_raw(post.reversal(5, kept))
    post.count()
    assert census(system, SHANWEI, before + hour) == 30
    assert census(system, SHANWEI, noon + hour) == 32
    # late reports: an older one is no newer one, as of now; as of then it is
    late = {"step": "STATUS", "persons": 0}
    post.send(6, occurred_at=before, **late, reported_persons=5)
    post.send(7, occurred_at=now_ms() + 86_400_000, persons=1)  # a wrong clock: now
    post.count()
    assert agree(system) > 50


def test_more_totals_than_one_statement_takes_by_workers_side_by_side(system):
    """Of one town, in two orders, in hours that differ: each worker adds to the same totals."""
    posts = [Post(system, "test_site", source, HAICHENG) for source in ("TS-1", "TS-2", "TS-4")]
    assert len({post.partition for post in posts}) > 1
    day = at(today() - timedelta(days=1), 0)
    for number, post in enumerate(posts):
        for seq in range(1, 2 * MANY + 1):
            name = seq % MANY if number % 2 else MANY - 1 - seq % MANY
            post.send(seq, round=f"r{name}", occurred_at=day + seq % 23 * 3_600_000,
                      step="SEALED", tubes=1)
    system.sent()
    system.count("--workers", 2, "--flush-events", 100_000)
    query = "SELECT count(*) AS n, sum(sealed_tubes)::bigint AS tubes FROM {s}.test_site_town_total"
    assert system.rows(query) == [{"n": MANY, "tubes": 2 * MANY * len(posts)}]
    agree(system)


def test_a_rebuild_has_the_same_and_goes_on(system):
    post, anew = Post(system, "quarantine"), system.schema + "_next"
    for seq in range(1, 40):
        post.send(seq, occurred_at=now_ms() - seq * 2 * 3_600_000)
    post.count()
    system.setup("--record-schema", system.schema + "_record", schema=anew)
    system.count(env={"FX_SCHEMA_NAME": anew})
    same.assert_same(system.db, system.schema, anew)
    system.run("fx-setup", "--swap", anew, seconds=180)
    assert agree(system) > 50
    post.send(40, occurred_at=now_ms() - 50 * 3_600_000)
    post.count()
    assert agree(system) > 50


def rows_of_totals(system):
    names = [row["n"] for row in system.rows(
        "SELECT tablename AS n FROM pg_tables WHERE schemaname = %s AND tablename LIKE '%%\\_total'"
        " ORDER BY 1", system.schema)]
    return {name: sorted(map(str, system.rows(f"SELECT * FROM {{s}}.{name}"))) for name in names}


def test_a_system_of_before_there_were_totals(system):
    posts = [Post(system, kind) for kind in ("quarantine", "test_site")]
    for post in posts:
        for seq in range(1, 30):
            post.send(seq, occurred_at=now_ms() - seq * 3_600_000)
        post.count()
    counted = rows_of_totals(system)
    assert len(counted) > 15 and sum(map(len, counted.values())) >= 8
    for name in counted:
        system.db.execute(f"DROP TABLE {system.schema}.{name} CASCADE")
    system.db.execute(f"UPDATE {system.schema}.definition SET hash = 'older'")
    assert system.run("fx-rollup", "--until-end", code=2).err.count("fx-setup") >= 1
    system.setup()
    assert rows_of_totals(system) == counted
    assert system.differences() == []
    for post in posts:
        post.send(30)
        post.count()
    assert agree(system) > 50


@pytest.fixture
def changing(tmp_path):
    """A system, and a copy of the definitions that it reads."""
    schemas = tmp_path / "schemas"
    shutil.copytree(SCHEMAS, schemas, ignore=shutil.ignore_patterns("*.c", "*.h"))
    system = System("totals", schemas=schemas, partitions=2, is_set_up=False)
    yield system, schemas
    system.close()


def edit(path, change):
    definition = json.loads(path.read_text())
    change(definition)
    path.write_text(json.dumps(definition, ensure_ascii=False))


def sign_on(post, *seqs):
    for seq in seqs:
        post.send(seq, occurred_at=now_ms() - seq * 3_600_000)
    post.count()


def test_a_stock_that_is_added_begins_with_all_that_was_counted(changing):
    system, schemas = changing
    path = schemas / "duty" / "duty.rollup.json"
    whole = path.read_text()
    edit(path, lambda definition: definition.pop("derived"))
    system.setup()
    body = {"step": "SIGN_ON", "role": "CADRE", "unit": HAIFENG, "persons": 2}
    post = Post(system, "duty", body=body)
    sign_on(post, 1, 2, 3)
    assert not totals.functions(system, "^duty_total_before")
    path.write_text(whole)
    system.setup()
    sign_on(post, 4)
    stock = "SELECT on_duty_persons FROM {s}.duty_stock_at(now() + interval '1 hour')"
    assert system.value(stock + " WHERE region = %s", HAIFENG) == 8
    assert agree(system) > 0


def test_a_column_that_is_added_leaves_the_stocks_as_they_are(changing):
    system, schemas = changing
    system.setup()
    post = Post(system, "quarantine")
    sign_on(post, 1, 2, 3)
    column = {"name": "told_times", "count": True, "doc": "times told of 上报次数(次)"}
    edit(schemas / "quarantine" / "quarantine.rollup.json",
         lambda definition: definition["columns"].append(column))
    system.setup()
    sign_on(post, 4)
    assert system.value("SELECT count(told_times) FROM {s}.quarantine_town") == 1
    assert census(system, HAIFENG, now_ms() + 3_600_000) == 8
    assert agree(system) > 0
    assert system.differences() == []
