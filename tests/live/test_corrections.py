# SPDX-License-Identifier: Apache-2.0
"""Corrections: a reversal undoes its original in the original's bucket, once; what changes hours
that were reported is logged, by how much and when."""

import json
from collections import Counter

import pytest
from lib.post import HAICHENG, HAIFENG, LINE, SHANWEI, Post
from lib.system import HOUR_MS, System, now_ms


@pytest.fixture(scope="module")
def system():
    system = System("corrections")
    yield system
    system.close()


def hour_of(instant_ms):
    return instant_ms - instant_ms % HOUR_MS


def emit(system, outbox, *lines, source="CP-C"):
    """Sends lines; the number each got."""
    words = ["--outbox", outbox, "--source", source, "--region", HAICHENG, "--answers"]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    answers = system.run("fx-checkpoint", *words, text=text).out
    return [json.loads(row) for row in answers.splitlines()]


def reverse(system, outbox, number, code=0, source="CP-C"):
    what = f"{source}:{number['run']}:{number['seq']}"
    words = ["--outbox", outbox, "--reverse", what, "--reason", "typed twice"]
    return json.loads(system.run("fx-checkpoint", *words, code=code).out)


def test_a_reversal_undoes_each_original_where_it_counted(system):
    """Also of an event whose clock was wrong, and counted in the hour it arrived."""
    outbox = system.dir / "reversals.db"
    times = [now_ms() - 5 * HOUR_MS, now_ms() + 3 * HOUR_MS, now_ms() + 60 * HOUR_MS]
    numbers = [emit(system, outbox, {**LINE, "at": at})[0] for at in times]
    system.count()
    post = Post(system, source="CP-C")
    before = post.cells()
    assert before.pop(hour_of(times[0])) == 1
    assert sum(before.values()) == 2 and hour_of(times[1]) not in before, "the clock was believed"
    corrected = system.rows("SELECT * FROM {s}.corrected_event ORDER BY counted_at")
    assert [row["seq"] for row in corrected] == [n["seq"] for n in numbers[1:]]
    for number in numbers:
        assert reverse(system, outbox, number)["ok"]
        assert not reverse(system, outbox, number, code=1)["ok"], "reversed twice"
    system.count()
    places = {"source": "CP-C", "town": HAICHENG, "county": HAIFENG, "city": SHANWEI}
    for table, key in places.items():
        cells = post.cells(table=f"checkpoint_{table}", key=key)
        assert set(cells.values()) == {0}, f"{table}: {cells}"
    assert system.value("SELECT count(*) FROM {s}.reversal") == 3
    assert system.value("SELECT count(*) FROM {s}.rejected_event") == 0
    assert system.value("SELECT sum(clock_corrected) FROM {s}.source_tally") == 2


def test_numbers_belong_to_days(system):
    """A number that never came belongs to the day by whose end it was known to exist."""
    post = Post(system)
    day_ms = 24 * HOUR_MS
    at = now_ms() - 3 * day_ms
    post.send(1, 2, occurred_at=at)
    post.send(5, occurred_at=at + day_ms)
    post.send(6, occurred_at=at)  # late: the day does not go back
    post.send(9, occurred_at=at + 2 * day_ms)
    post.count()
    rows = system.rows(
        "SELECT first_seq, last_seq, current_date - day AS ago FROM {s}.source_day"
        " WHERE source = %s UNION ALL SELECT day_first_seq, high, current_date - day"
        " FROM {s}.source_ledger WHERE source = %s ORDER BY 1",
        post.source,
        post.source,
    )
    assert [(r["first_seq"], r["last_seq"]) for r in rows] == [(1, 2), (3, 6), (7, 9)]
    agos = [r["ago"] for r in rows]
    assert agos == [agos[0], agos[0] - 1, agos[0] - 2]


def figures(system):
    """{(level, region, bucket, post_type, column): value} of what the log speaks of."""
    found = {}
    for level in ("town", "county", "city"):
        for row in system.rows(f"SELECT * FROM {{s}}.checkpoint_{level}"):
            for column in ("checked_groups", "checked_person_times", "passed_person_times"):
                key = (level, row["region"], row["bucket_start"], row["post_type"], column)
                found[key] = row[column]
    return Counter(found)


def test_the_log_tells_by_how_much_a_reported_hour_changed(system):
    post = Post(system)
    cutoff = now_ms() - now_ms() % HOUR_MS - HOUR_MS
    early, late = cutoff - 2 * HOUR_MS, cutoff + 10 * 60_000
    post.send(1, 2, occurred_at=early)
    post.send(3, occurred_at=late)
    post.count()
    assert system.rows("SELECT * FROM {s}.correction") == []
    system.db.execute(
        f"INSERT INTO {system.schema}_record.cutoff (as_of) VALUES (to_timestamp(%s))",
        (cutoff / 1000,),
    )
    reported = figures(system)
    original = post.event(1, occurred_at=early)
    five = {"persons": 5, "code_green": 5, "code_none": 0, "itinerary_unchecked": 5, "passed": 5}
    post.send(4, occurred_at=early, **five)
    post.send_raw(post.reversal(5, original))
    post.send(6, occurred_at=late)  # not reported yet: no correction
    post.count()
    now = figures(system)
    logged = Counter()
    for row in system.rows(
        "SELECT * FROM {s}.correction_by_column WHERE rollup = 'checkpoint' AND column_name IN"
        " ('checked_groups', 'checked_person_times', 'passed_person_times')"
    ):
        key = (row["level"], row["region"], row["bucket_start"], *row["dimensions"])
        key += (row["column_name"],)
        logged[key] += row["added"]
        assert row["unit"] and row["changed_at"] > row["cutoff_at"]
    changed = {k: now[k] - reported[k] for k in now if now[k] != reported[k]}
    before = {k: v for k, v in changed.items() if k[2].timestamp() * 1000 < cutoff}
    assert before and len(before) < len(changed)
    assert {k: v for k, v in logged.items() if v} == before
    daily = system.rows(
        "SELECT sum(added) AS n FROM {s}.correction_daily WHERE rollup = 'checkpoint'"
        " AND level = 'city' AND region = %s AND column_name = 'checked_person_times'",
        SHANWEI,
    )
    assert daily[0]["n"] == 5 - 3


def test_a_rebuild_logs_no_corrections(system):
    logged = system.value("SELECT count(*) FROM {s}.correction")
    other = f"{system.schema}_next"
    system.setup("--record-schema", f"{system.schema}_record", schema=other)
    system.db.execute(f"UPDATE {other}.definition SET is_rebuild = true")
    system.count("--schema-name", other)
    assert system.value("SELECT count(*) FROM {s}.correction") == logged > 0
    for query in (
        "SELECT * FROM {s}.source_day ORDER BY source, run, day",
        "SELECT source, run, high, counted, opened_at, day, day_first_seq FROM {s}.source_ledger"
        " ORDER BY 1, 2",
        "SELECT * FROM {s}.corrected_event ORDER BY source, run, seq",
    ):
        assert system.rows(query, schema=other) == system.rows(query)
