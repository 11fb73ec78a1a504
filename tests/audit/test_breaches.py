# SPDX-License-Identifier: Apache-2.0
"""One row at a time is changed behind the system's back: fx-audit names table, key, column and both
numbers. The change is undone, and everything agrees again."""

import datetime
import json

import pytest
from lib.audit import audit, found, keep_off_midnight, register, today
from lib.post import HAICHENG, HAIFENG, SHANWEI, Post
from lib.system import System, wait_until

SETTLED = 30


@pytest.fixture(scope="module")
def system():
    keep_off_midnight(60)
    system = System("breach", is_set_up=False)
    try:
        kinds = ("checkpoint", "quarantine", "test_site")
        posts = [
            Post(system, kind, f"P-{kind}-{i}", region)
            for kind in kinds
            for i, region in enumerate((HAICHENG, HAIFENG, SHANWEI))
        ]
        register(system, [(p.source, p.kind, p.region) for p in posts])
        for post in posts:
            changes = {"queue_vehicles": 7} if post.kind == "checkpoint" else {}
            post.send(*range(1, SETTLED + 1), **changes)
            post.send_raw(post.heartbeat(1, SETTLED))
        posts[0].send(33, 34)
        posts[0].count()
        yield system
    finally:
        system.close()


def breaches(system):
    return audit(system)["findings"]["breaches"]


def test_everything_agrees(system):
    assert breaches(system) == []


RUN = "source = 'P-checkpoint-0'"
# name: (statement, statement that undoes it, rule, table, column, found, expected)
CHANGES = {
    "counted": (
        f"UPDATE source_ledger SET counted = counted + 1 WHERE {RUN}",
        f"UPDATE source_ledger SET counted = counted - 1 WHERE {RUN}",
        ("counted + gaps = high", "source_ledger", "counted", "35", "34"),
    ),
    "gaps": (
        f"UPDATE source_ledger SET gaps = 5 WHERE {RUN}",
        f"UPDATE source_ledger SET gaps = 1 WHERE {RUN}",
        ("gaps = rows of source_gap", "source_ledger", "gaps", "5", "1"),
    ),
    "gap_above_high": (
        f"UPDATE source_gap SET first_seq = 41, last_seq = 42 WHERE {RUN}",
        f"UPDATE source_gap SET first_seq = 31, last_seq = 32 WHERE {RUN}",
        ("gaps lie in 1 to high", "source_gap", "first_seq", "41-42", "1-34"),
    ),
    "overlap": (
        "INSERT INTO source_gap SELECT topic, source, run, 32, 32, cause, opened_at"
        f" FROM source_gap WHERE {RUN}",
        f"DELETE FROM source_gap WHERE {RUN} AND first_seq = 32",
        ("gaps are disjoint", "source_gap", "first_seq", "32-32", "above 32"),
    ),
    "gap_of_no_run": (
        "INSERT INTO source_gap SELECT topic, source, run + 1, first_seq, last_seq, cause,"
        f" opened_at FROM source_gap WHERE {RUN}",
        f"DELETE FROM source_gap g WHERE {RUN} AND NOT EXISTS (SELECT FROM source_ledger l"
        " WHERE l.run = g.run)",
        ("a gap is of a run", "source_gap", "run", "no row in source_ledger", "a row"),
    ),
    "days_overlap": (
        "INSERT INTO source_day SELECT topic, source, run, day - 1, 1, 9"
        f" FROM source_ledger WHERE {RUN}",
        f"DELETE FROM source_day WHERE {RUN}",
        ("days tile 1 to high", "source_ledger", "first_seq", "1-34", "from 10"),
    ),
    "days_hole": (
        f"UPDATE source_ledger SET day_first_seq = 4 WHERE {RUN}",
        f"UPDATE source_ledger SET day_first_seq = 1 WHERE {RUN}",
        ("days tile 1 to high", "source_ledger", "first_seq", "4-34", "from 1"),
    ),
    "partition": (
        f"UPDATE source_ledger SET partition = partition + 100 WHERE {RUN}",
        f"UPDATE source_ledger SET partition = partition - 100 WHERE {RUN}",
        ("a run lives in a known partition", "source_ledger", "partition", None,
         "a row in partition_position"),
    ),
    "announced": (
        f"UPDATE source_ledger SET announced = announced - 31 WHERE {RUN}",
        f"UPDATE source_ledger SET announced = announced + 31 WHERE {RUN}",
        ("counts are not negative", "source_ledger", "announced", "-1", "at least 0"),
    ),
    "position": (
        "UPDATE partition_position SET base_offset = next_offset + 1 WHERE partition = 2"
        " AND topic LIKE '%%.quarantine'",
        "UPDATE partition_position SET base_offset = 0 WHERE partition = 2"
        " AND topic LIKE '%%.quarantine'",
        ("positions only rise", "partition_position", "next_offset", None, None),
    ),
    "town": (
        "UPDATE checkpoint_town SET checked_person_times = checked_person_times + 1000",
        "UPDATE checkpoint_town SET checked_person_times = checked_person_times - 1000",
        ("a node is at least its children", "checkpoint_county", "checked_person_times", None,
         None),
    ),
    "county": (
        "UPDATE checkpoint_county SET passed_person_times = 0",
        "UPDATE checkpoint_county SET passed_person_times = checked_person_times",
        ("a node is at least its children", "checkpoint_county", "passed_person_times", "0",
         None),
    ),
    "county_row": (
        "UPDATE quarantine_county SET bucket_start = bucket_start - interval '1 day'",
        "UPDATE quarantine_county SET bucket_start = bucket_start + interval '1 day'",
        ("a node is at least its children", "quarantine_county", None, "no row", "a row"),
    ),
    "extreme": (
        "UPDATE checkpoint_city SET queue_vehicles_max = 5",
        "UPDATE checkpoint_city SET queue_vehicles_max = 7",
        ("a node is at least its children", "checkpoint_city", "queue_vehicles_max", "5",
         "at least 7"),
    ),
    "city": (
        "UPDATE test_site_city SET sampled_person_times = sampled_person_times + 1",
        "UPDATE test_site_city SET sampled_person_times = sampled_person_times - 1",
        ("the roots are all sources", "test_site_city", "sampled_person_times", None, None),
    ),
    "source": (
        "UPDATE checkpoint_source SET checked_groups = checked_groups + 2"
        " WHERE source = 'P-checkpoint-1'",
        "UPDATE checkpoint_source SET checked_groups = checked_groups - 2"
        " WHERE source = 'P-checkpoint-1'",
        ("a source's events are its counted numbers", "checkpoint_source", "checked_groups",
         "32", "30"),
    ),
    "negative": (
        "UPDATE quarantine_source SET released_persons = -1 WHERE source = 'P-quarantine-2'",
        "UPDATE quarantine_source SET released_persons = 0 WHERE source = 'P-quarantine-2'",
        ("no cell is negative", "quarantine_source", "released_persons", "-1", "at least 0"),
    ),
    "total": (
        "UPDATE quarantine_town_total SET admitted_persons = admitted_persons + 1000",
        "UPDATE quarantine_town_total SET admitted_persons = admitted_persons - 1000",
        ("a total is all its cells", "quarantine_town_total", "admitted_persons", None, None),
    ),
    "total_of_none": (
        "UPDATE test_site_source_total SET source = source || '-2' WHERE source LIKE '%%-1'",
        "UPDATE test_site_source_total SET source = left(source, -2) WHERE source LIKE '%%-1-2'",
        ("a total is all its cells", "test_site_source_total", None, "no row",
         "one on both sides"),
    ),
    "total_first": (
        "UPDATE quarantine_city_total SET first_bucket = first_bucket - interval '1 hour'",
        "UPDATE quarantine_city_total SET first_bucket = first_bucket + interval '1 hour'",
        ("a total is all its cells", "quarantine_city_total", "first_bucket", None, None),
    ),
    "cell_below_its_total": (
        "UPDATE quarantine_source SET admitted_persons = admitted_persons + 1",
        "UPDATE quarantine_source SET admitted_persons = admitted_persons - 1",
        ("a total is all its cells", "quarantine_source_total", "admitted_persons", None, None),
    ),
    "reversal": (
        "INSERT INTO reversal SELECT topic, source, run, 1, run, 31, now()"
        f" FROM source_ledger WHERE {RUN}",
        f"DELETE FROM reversal WHERE {RUN}",
        ("a reversal is counted", "reversal", "seq", "31", "a counted number"),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_behind_the_back_is_named(system, name):
    change, undo, wanted = CHANGES[name]
    system.db.execute(f"SET search_path = {system.schema}")
    assert system.db.execute(change).rowcount > 0
    named = breaches(system)
    assert system.db.execute(undo).rowcount > 0
    keys = ("rule", "table", "column", "found", "expected")
    met = [b for b in named if all(v in (None, b[key]) for key, v in zip(keys, wanted))]
    assert met, named
    assert all(b["command"] and b["key"] and b["explanation"] is None for b in met)
    assert breaches(system) == []


def test_a_reversal_before_its_original_is_explained(system):
    """It makes cells negative until the original comes."""
    post = Post(system, source="P-early", region=HAICHENG)
    original = post.event(1)
    post.send_raw(post.reversal(2, original))
    post.count()
    named = breaches(system)
    tables = {b["table"] for b in named if b["rule"] == "no cell is negative"}
    assert "checkpoint_source" in tables
    why = f"a reversal counted before its original P-early:{post.run:012x}:1"
    assert {b["explanation"] for b in named if b["table"] == "checkpoint_source"} == {why}
    post.send_raw(post.schema.encode(original))
    post.count()
    assert breaches(system) == []


def test_a_column_added_later_is_compared_with_nothing(system):
    """NULL before it was there: no breach, and what is counted since is compared."""
    system.db.execute(f"SET search_path = {system.schema}")
    tables = [f"test_site_{level}" for level in ("town", "county", "city", "source")]
    name = "sampled_person_times"
    for table in tables:
        system.db.execute(f"UPDATE {table} SET {name} = {name} + 1")
    assert len(breaches(system)) >= 1
    for table in tables:
        change = f"ALTER COLUMN {name} DROP NOT NULL, ALTER COLUMN {name} DROP DEFAULT"
        system.db.execute(f"ALTER TABLE {table} {change}")
        system.db.execute(f"UPDATE {table} SET {name} = NULL")
    assert breaches(system) == []


def test_garbage_troubles_its_day_and_a_number_until_it_counts(system):
    post = Post(system, source="P-garbage")
    system.db.execute(f"SET search_path = {system.schema}")
    post.send_raw(post.bytes(1)[:-2])
    post.send(1, region="999999")
    post.count()

    def reasons(*words):
        return {f["reason"]: f["events"] for f in audit(system, *words)["findings"]["rejected"]}

    assert reasons() == {"undecodable": 1, "unknown_region": 1}
    system.db.execute(
        "UPDATE rejected_range SET appended_at ="
        " ARRAY(SELECT t - interval '1 day' FROM unnest(appended_at) t)"
    )
    assert reasons() == {"unknown_region": 1}
    yesterday = (today() - datetime.timedelta(1)).isoformat()
    assert reasons("--day", yesterday) == {"undecodable": 1, "unknown_region": 1}
    post.send(1)
    post.count()
    assert reasons() == {}


def test_wrong_usage_is_told_apart(system):
    for words in (["--kind", "nothing"], ["--region", "x"], ["--day", "x"], ["more"]):
        result = system.run("fx-audit", *words, code=2)
        assert result.out == "" and "lvl=error" in result.err, result
    env = {"FX_SCHEMA_NAME": "no_such_schema"}
    assert "fx-setup" in system.run("fx-audit", env=env, code=2).err
    away = system.run("fx-audit", env={"PGPORT": "1"}, code=4)
    assert away.out == "" and "lvl=error" in away.err
    for name in ("CP-TYPO", ""):
        nobody = system.run("fx-audit", "--source", name, code=2)
        assert nobody.out == "" and "nobody of that name is registered" in nobody.err, nobody


def test_a_lock_is_waited_for(system):
    """Who held it may be done: it is asked once more."""
    with system.db.transaction():
        system.db.execute(f"LOCK TABLE {system.schema}.source_gap IN ACCESS EXCLUSIVE MODE")
        audit = system.start("fx-audit")
        wait_until(lambda: "ev=again" in audit.result().err, 20, "it found the lock")
        assert audit.is_running()
    assert audit.wait() == system.run("fx-audit", code=None).code, audit.result()


def test_it_needs_no_more_than_the_counter(system):
    """A member of fangxian_writer, as fx-rollup is, gets the same report."""
    role = f"reader_{system.schema}"
    system.db.execute(f"CREATE ROLE {role} LOGIN IN ROLE fangxian_writer")
    try:
        mine = audit(system)
        theirs = system.run("fx-audit", "--json", env={"PGUSER": role}, code=None)
        assert json.loads(theirs.out)["findings"] == mine["findings"], theirs
    finally:
        system.db.execute(f"DROP ROLE {role}")


def test_days_of_nobody(system):
    """A day before anything was expected: unknown, not complete."""
    day = today() - datetime.timedelta(3000)
    report = audit(system, "--day", day.isoformat(), code=2)
    assert report["verdict"] == "unknown" and found(report) == []
