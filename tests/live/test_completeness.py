# SPDX-License-Identifier: Apache-2.0
"""Who was heard, what is missing and why, now and per day, by source and up the tree."""

from datetime import datetime, timedelta, timezone

import psycopg
import pytest
from lib.city import ZONE, City, Outbox, at, caught_up, pass_time, today
from lib.post import HAIFENG, SHANWEI
from lib.system import MINUTE_MS, now_ms

ELSEWHERE = "441521101"  # another town of the same county
VIEWS = ["completeness", "completeness_daily", "source_run", "missing_range", "rejected_summary"]
SUMS = [
    "sources_expected",
    "sources_heard",
    "announced",
    "counted",
    "pending",
    "missing",
    "rejected",
    "written_off",
    "before_base",
    "duplicates",
    "late",
    "clock_corrected",
    "runs_opened",
    "runs_lost",
    "runs_cloned",
]


@pytest.fixture(scope="module")
def city():
    city = City("complete")
    yield city
    city.system.close()


# ---- who is there ----


def test_zero_unknown_silent_closed_stale(city):
    posts = {name: Outbox(city, name) for name in City.NAMES[:7]}
    posts["busy"].send(1, 2)
    posts["busy"].beat(2, state="OPEN")
    posts["quiet"].beat(0, state="OPEN")
    posts["silent"].beat(0, state="OPEN")
    posts["ended"].send(1)
    posts["ended"].beat(1, state="ENDED", input_state="CLOSED")
    posts["shut"].beat(0, input_state="CLOSED")
    posts["stale"].beat(0, input_state="STALE")
    city.count()
    pass_time(posts["silent"], 16)
    pass_time(posts["ended"], 16)
    pass_time(posts["shut"], 16)
    keys = ["sources_expected", "sources_silent", "inputs_closed", "inputs_stale", "counted"]
    seen = city.sources_now()
    rows = {name: seen[post.source] for name, post in posts.items()}
    found = {name: tuple(row[key] for key in keys) for name, row in rows.items()}
    assert found == {
        "busy": (1, 0, 0, 0, 2),
        "quiet": (1, 0, 0, 0, 0),
        "never": (1, 1, 0, 0, 0),
        "silent": (1, 1, 0, 0, 0),
        "ended": (1, 0, 1, 0, 1),
        "shut": (1, 0, 1, 0, 0),
        "stale": (1, 0, 0, 1, 0),
    }
    whole = {name: row["complete"] for name, row in rows.items()}
    assert whole == {name: name in ("busy", "quiet", "ended", "shut") for name in posts}
    assert rows["silent"]["silent_since"] is not None and rows["never"]["silent_since"] is None
    # a sum is 0 where an open input was heard, NULL where it was not
    query = "SELECT checked_groups AS n FROM {s}.checkpoint_source_daily WHERE day = %s"
    query += " AND source = %s"
    shown = {n: city.system.value(query, today(), p.source) for n, p in posts.items()}
    assert [shown[n] for n in ("busy", "quiet", "never", "shut", "stale")] == [2, 0] + 3 * [None]


def test_a_silent_device_is_not_only_stale(city):
    post = Outbox(city, "stale")
    post.beat(0, input_state="STALE")
    city.count()
    pass_time(post, 16)
    row = post.now()
    assert (row["sources_silent"], row["inputs_stale"]) == (1, 0)


def test_no_longer_expected(city):
    row = Outbox(city, "gone").now()
    assert (row["sources_expected"], row["sources_silent"], row["complete"]) == (0, 0, None)


def test_unknown_since(city):
    post = Outbox(city, "busy")
    post.beat(0)
    city.count()
    assert post.now()["unknown_since"] is None and post.now()["complete"] is not None
    long_ago = datetime.now(timezone.utc) - timedelta(minutes=2)
    caught_up(city.system, long_ago)
    row, day = post.now(), post.day(today())
    assert row["unknown_since"] == long_ago and row["complete"] is None
    assert day["unknown_since"] == long_ago and day["complete"] is None
    caught_up(city.system, None)
    row = post.now()
    assert row["judged_at"] is None and row["unknown_since"] is not None
    assert row["complete"] is None
    caught_up(city.system, datetime.now(timezone.utc))


# ---- days ----


def test_a_whole_day(city):
    yesterday, post = today() - timedelta(days=1), Outbox(city, "whole")
    for hour in range(24):
        post.beat(0, at=at(yesterday, hour, 2))
    post.send(1, occurred_at=at(yesterday, 9))
    post.beat(1, at=at(yesterday, 23, 50))
    city.count()
    day = post.day(yesterday)
    assert day["complete"] is True and day["unknown_since"] is None
    assert (day["sources_expected"], day["sources_heard"], day["announced"]) == (1, 1, 1)
    assert day["silent_minutes"] == 24 * 60 - 25 * 5  # a slot per hour, and 23:50
    assert post.day(today())["complete"] is False or datetime.now(ZONE).hour == 0
    shown = city.system.rows(
        "SELECT * FROM {s}.checkpoint_source_daily WHERE day = %s AND source = %s",
        yesterday,
        post.source,
    )[0]
    assert (shown["complete"], shown["checked_groups"], shown["silent_minutes"]) == (
        True,
        1,
        day["silent_minutes"],
    )
    post.send(3, occurred_at=at(yesterday, 10))  # 2 is missing
    city.count()
    day = post.day(yesterday)
    assert (day["complete"], day["missing"], day["announced"]) == (False, 1, 3)


def test_missing_numbers_belong_to_the_days_that_hold_them(city):
    yesterday, post = today() - timedelta(days=1), Outbox(city)
    post.send(1, occurred_at=at(yesterday, 8))
    post.beat(4, at=at(yesterday, 9))  # 2 to 4 never came, 5 and 6 a day later
    post.beat(6)
    city.count()
    assert post.gaps() == [(2, 6, "missing")]  # one gap, two days
    assert post.missing() == [(yesterday, 2, 4, "missing"), (today(), 5, 6, "missing")]
    assert [post.day(d)["missing"] for d in (yesterday, today())] == [3, 2]
    assert [post.day(d)["announced"] for d in (yesterday, today())] == [4, 2]
    assert [post.day(d)["counted"] for d in (yesterday, today())] == [1, 0]
    assert post.now()["missing"] == 5
    # an hour shows its day's
    query = "SELECT missing_events AS n FROM {s}.checkpoint_source_hourly WHERE source = %s"
    query += " AND hour = to_timestamp(%s)"
    for hour in (3, 8):
        assert city.system.value(query, post.source, at(yesterday, hour) / 1000) == 3
    post.send(3, occurred_at=at(yesterday, 10))
    city.count()
    assert [post.day(d)["missing"] for d in (yesterday, today())] == [2, 2]
    assert [(first, last) for _, first, last, _ in post.missing()] == [(2, 2), (4, 4), (5, 6)]


def test_what_is_still_to_come(city):
    yesterday, post = today() - timedelta(days=1), Outbox(city, "owing")
    for hour in range(24):
        post.send(hour + 1, occurred_at=at(yesterday, hour))
    post.beat(24, last_seq=30)
    city.count()
    row = post.now()
    assert (row["announced"], row["counted"], row["pending"], row["missing"]) == (30, 24, 6, 0)
    assert row["complete"] is False
    assert [post.day(d)["pending"] for d in (yesterday, today())] == [0, 6]
    assert post.day(yesterday)["complete"] is False  # 25 may have occurred before midnight
    post.send(*range(25, 31))
    city.count()
    assert post.now()["pending"] == 0
    assert post.day(yesterday)["complete"] is True


def test_tallies_go_by_append_day(city):
    yesterday, post = today() - timedelta(days=1), Outbox(city)
    post.send(1, occurred_at=at(yesterday, 8))
    post.send(1, 1, occurred_at=at(yesterday, 8))
    post.send(2, occurred_at=now_ms() + 30 * MINUTE_MS)
    post.send(3, region="nowhere")
    city.count()
    day = post.day(today())
    keys = ["duplicates", "late", "clock_corrected", "rejected", "rejected_events"]
    assert [day[key] for key in keys] == [2, 1, 1, 1, 1]
    assert [post.day(yesterday)[key] for key in keys] == [0, 0, 0, 0, 0]
    assert [post.now()[key] for key in keys[:4]] == [2, 1, 1, 1]
    summary = city.system.rows("SELECT * FROM {s}.rejected_summary WHERE source = %s", post.source)
    assert [(r["kind"], r["day"], r["reason"], r["events"]) for r in summary] == [
        ("checkpoint", today(), "unknown_region", 1)
    ]


def test_written_off(city):
    post = Outbox(city)
    post.send(1, 4)
    city.count()
    city.system.db.execute(
        f"UPDATE {city.system.schema}.source_gap SET cause = 'written_off' WHERE source = %s",
        (post.source,),
    )
    row, day = post.now(), post.day(today())
    for found in (row, day):
        assert (found["missing"], found["written_off"], found["counted"]) == (0, 2, 2)
    assert post.missing() == [(today(), 2, 3, "written_off")]


def test_what_the_source_no_longer_holds(city):
    query = "SELECT first_seq, last_seq, is_gone FROM {s}.missing_range WHERE source = %s"
    cases = {
        1: [(2, 5, False)],
        4: [(2, 3, True), (4, 5, False)],
        6: [(2, 5, True)],
        0: [(2, 5, True)],
    }
    for kept, wanted in cases.items():
        post = Outbox(city)
        post.send(1, 6)
        post.beat(6, oldest_kept=kept)
        city.count()
        rows = city.system.rows(query + " ORDER BY first_seq", post.source)
        assert [tuple(r.values()) for r in rows] == wanted, kept
    post = Outbox(city)
    post.send(1, 6)
    city.count()
    assert [tuple(r.values()) for r in city.system.rows(query, post.source)] == [(2, 5, None)]


# ---- runs ----


def test_a_restart_loses_nothing(city):
    post = Outbox(city)
    post.beat(0, state="OPEN")
    post.send(1, 2)
    first = post.run
    post.reopen(2).beat(0, state="OPEN")
    post.send(1)
    city.count()
    assert (post.state(first), post.state()) == ("replaced", "current")
    row = post.now()
    assert [row[k] for k in ("runs_opened", "runs_replaced", "runs_lost", "runs_cloned")] == [
        2,
        1,
        0,
        0,
    ]
    assert (row["counted"], row["missing"], post.missing()) == (3, 0, [])
    assert post.run_row()["previous_run"] == f"{first:012x}"


def test_an_ordered_end(city):
    post = Outbox(city)
    post.send(1)
    post.beat(1, state="ENDED", input_state="CLOSED")
    first = post.run
    post.reopen(1).beat(0, state="OPEN")
    city.count()
    assert (post.state(first), post.state()) == ("ended", "current")


def test_a_successor_knows_of_lost_numbers(city):
    yesterday, post = today() - timedelta(days=1), Outbox(city)
    post.send(1, 2, occurred_at=at(yesterday, 8))
    first = post.run
    post.reopen(5).beat(0, state="OPEN")
    city.count()
    row = post.run_row(first)
    assert (row["state"], row["lost_first_seq"], row["lost_last_seq"]) == ("replaced", 3, 5)
    assert post.missing() == [(yesterday, 3, 5, "lost")]  # of the run's newest day
    assert post.day(yesterday)["missing"] == 3 and post.day(yesterday)["announced"] == 5
    assert post.now()["missing"] == 3 and post.now()["runs_lost"] == 0
    # one of them comes after all
    post.run, now = first, post.run
    post.send(4, occurred_at=at(yesterday, 9))
    city.count()
    post.run = now
    assert [gap[1:] for gap in post.missing()] == [(3, 3, "missing"), (5, 5, "lost")]


def test_nothing_is_lost_before_the_successor_is_judged(city):
    post = Outbox(city)
    post.send(1, 2)
    first = post.run
    city.count()
    post.reopen(5).beat(0, state="OPEN")
    city.apart()
    other = Outbox(city, source=post.source)
    other.beat(0, state="OPEN")
    city.count()
    query = "SELECT min(opened_at) FROM {s}.source_ledger WHERE source = %s"
    caught_up(city.system, city.system.value(query, post.source))
    assert post.missing() == [] and post.now()["missing"] == 0
    assert post.state() == "current" and post.state(other.run) == "current"
    caught_up(city.system, datetime.now(timezone.utc))
    assert [gap[1:] for gap in post.missing()] == [(3, 5, "lost")]
    assert post.state(first) == "replaced" and post.state() == "lost"


def test_a_lost_device(city):
    post = Outbox(city)
    post.send(1, 2)
    post.beat(2, state="ALIVE", last_seq=4)
    city.count()
    assert (post.now()["pending"], post.now()["missing"]) == (2, 0)
    other = Outbox(city, source=post.source)
    other.beat(0, state="OPEN")
    city.count()
    assert (post.state(), other.state()) == ("lost", "current")
    assert post.missing() == [(today(), 3, 4, "lost")]
    row, day = post.now(), post.day(today())
    assert (row["pending"], row["missing"], row["runs_lost"], row["runs_cloned"]) == (0, 2, 1, 0)
    assert (day["missing"], day["runs_lost"], day["runs_opened"]) == (2, 1, 2)


def test_a_device_that_ended_is_not_lost(city):
    post = Outbox(city)
    post.send(1)
    post.beat(1, state="ENDED", input_state="CLOSED")
    city.apart()
    other = Outbox(city, source=post.source)
    other.beat(0, state="OPEN")
    city.count()
    assert (post.state(), other.state()) == ("ended", "current")


def test_a_fork_is_a_clone(city):
    post = Outbox(city)
    post.send(1)
    first = post.run
    post.reopen(1).beat(0, state="OPEN")
    other = Outbox(city, source=post.source)
    other.previous = dict(post.previous)
    other.beat(0, state="OPEN")
    city.count()
    assert (post.state(), other.state()) == ("cloned", "cloned")
    assert post.state(first) == "replaced"
    assert (post.now()["runs_cloned"], post.day(today())["runs_cloned"]) == (2, 2)


def test_a_run_that_outgrows_its_successor_is_a_clone(city):
    post = Outbox(city)
    post.send(1, 2)
    first = post.run
    post.reopen(2).beat(0, state="OPEN")
    city.count()
    assert post.state(first) == "replaced"
    post.run, second = first, post.run
    post.send(3)  # the copied image went on
    city.count()
    assert post.state() == "cloned" and post.state(second) == "current"


def test_devices_that_take_turns_are_clones(city):
    one = Outbox(city)
    two = Outbox(city, source=one.source)
    for seq in (1, 2):
        for post in (one, two):
            post.send(seq)
            city.apart()
    city.count()
    assert (one.state(), two.state()) == ("cloned", "cloned")
    assert one.now()["runs_cloned"] == 2
    assert (one.now()["counted"], one.now()["missing"]) == (4, 0)  # each numbers for itself


def test_resent_rows_of_an_old_run_are_no_clone(city):
    post = Outbox(city)
    post.send(1, 3)
    post.beat(3, state="ENDED", input_state="CLOSED")
    first = post.run
    post.reopen(3).beat(0, state="OPEN")
    post.send(1)
    city.count()
    post.run, second = first, post.run
    post.send(2)
    city.count()
    assert (post.state(), post.state(second)) == ("ended", "current")
    assert post.now()["missing"] == 0


# ---- up the tree ----


def rows_of(city, view, level, where=""):
    return city.system.rows(f"SELECT * FROM {{s}}.{view} WHERE level = '{level}' {where}")


def test_unregistered_sources_count_and_are_shown(city):
    far = Outbox(city, region=ELSEWHERE)
    far.send(1, 3)
    city.count()
    (town,) = rows_of(city, "completeness", "town", f"AND region = '{ELSEWHERE}'")
    assert (town["counted"], town["missing"], town["sources_expected"]) == (2, 1, 0)
    assert town["complete"] is None
    row = far.now()
    assert (row["name"], row["region"], row["sources_expected"]) == (None, ELSEWHERE, 0)
    lost = Outbox(city, region="nowhere")
    lost.beat(2)  # numbers that never came, and nobody knows from where
    city.count()
    assert lost.now()["region"] is None and lost.missing() == [(today(), 1, 2, "missing")]


@pytest.mark.parametrize("view", ["completeness", "completeness_daily"])
def test_the_tree_adds_up(city, view):
    keys = SUMS + (
        ["sources_silent", "inputs_closed", "inputs_stale", "refused", "runs_replaced"]
        if view == "completeness"
        else ["silent_minutes", "rejected_events"]
    )
    sources = rows_of(city, view, "source")
    levels = {level: rows_of(city, view, level) for level in ("town", "county", "city")}
    assert {r["region"] for r in levels["city"]} == {SHANWEI}
    assert {r["region"] for r in levels["county"]} == {HAIFENG}
    days = {r.get("day") for r in sources}
    assert len(days) == 1 or len(days) > 1 and view == "completeness_daily"
    unplaced = [r for r in sources if r["region"] is None]
    assert unplaced

    def total(rows, key, day):
        return sum(r[key] or 0 for r in rows if r.get("day") == day)

    for day in days:
        for key in keys:
            whole = total(sources, key, day)
            loose = total(unplaced, key, day)  # charged to the root
            found = [total(levels[n], key, day) for n in ("town", "county", "city")]
            assert found == [whole - loose, whole - loose, whole], (day, key)
    for row in sources + [r for rows in levels.values() for r in rows]:
        known = sum(row[k] for k in ("counted", "missing", "rejected", "written_off"))
        assert known + row["before_base"] + row["pending"] == row["announced"], row


def test_days_add_up_to_now(city):
    for key in ("announced", "counted", "missing", "pending", "duplicates", "runs_opened"):
        daily = f"SELECT sum({key})::bigint AS n FROM {{s}}.completeness_daily WHERE level = 'city'"
        now = f"SELECT sum({key})::bigint AS n FROM {{s}}.completeness WHERE level = 'city'"
        assert city.system.value(daily) == city.system.value(now), key


def test_dense_views_show_the_same(city):
    """missing_events, complete and sources beside the figures are those of completeness_daily."""
    for level in ("town", "county", "city"):
        figures = city.system.rows(f"SELECT * FROM {{s}}.checkpoint_{level}_daily")
        seen = {(r["day"], r["region"]): r for r in rows_of(city, "completeness_daily", level)}
        found = 0
        for row in figures:
            proof = seen.get((row["day"], row["region"]))
            if proof is None:
                continue
            found += 1
            assert row["missing_events"] == proof["missing"] + proof["rejected"], row
            for key in ("complete", "sources_expected", "sources_heard"):
                assert row[key] == proof[key], (key, row, proof)
        assert found >= 2


def test_analysts_read_the_views_and_not_the_ledger(city):
    with psycopg.connect(autocommit=True) as db:
        db.execute("SET ROLE fangxian_analyst")
        for view in VIEWS:
            db.execute(f"SELECT * FROM {city.system.schema}.{view}").fetchall()
        for table in ("source_ledger", "rejected_event", "rejected_range"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(f"SELECT * FROM {city.system.schema}.{table}")


def test_every_column_says_what_it_is(city):
    bare = city.system.rows(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = a.attnum "
        "WHERE c.relnamespace = %s::regnamespace AND c.relkind = 'v' AND a.attnum > 0 "
        "AND coalesce(d.description, '') !~ '[\u4e00-\u9fff]'",
        city.system.schema,
    )
    assert bare == []
