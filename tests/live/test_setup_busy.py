# SPDX-License-Identifier: Apache-2.0
"""fx-setup while others read: whoever reads is not thrown out and does not wait for long, and
fx-setup gets through. PostgreSQL locks a view that is replaced against its readers, and a reader
keeps what it read to the end of its transaction."""

import json
import shutil
import threading

import psycopg
import pytest
from lib.system import SCHEMAS, System, wait_until

TOP = "checkpoint_city_hourly"  # made of views, through functions
BENEATH = ("number_range", "run_chain", "checkpoint_town")
WAITS_OF_SETUP = (
    "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_class c"
    " ON c.oid = l.relation AND c.relkind = 'v' WHERE a.application_name = 'fx-setup'"
    " AND l.mode = 'AccessExclusiveLock' AND c.relnamespace = %s::regnamespace"
    " AND NOT l.granted"
)


@pytest.fixture
def system(tmp_path):
    schemas = tmp_path / "schemas"
    shutil.copytree(SCHEMAS, schemas)
    system = System("busy", schemas=schemas)
    yield system
    system.close()


@pytest.fixture
def reader(system):
    """In one snapshot, as the README tells analysts."""
    with psycopg.connect() as db:
        db.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        db.execute(f"SET search_path = {system.schema}; SET statement_timeout = '20s'")
        db.commit()
        yield db


def change_view(system, text="-- another text\n"):
    with (system.schemas / "views/status.sql").open("a") as file:
        file.write(text)


def add_column(system):
    path = system.schemas / "checkpoint/checkpoint.rollup.json"
    rollup = json.loads(path.read_text(encoding="utf-8"))
    like = next(c for c in rollup["columns"] if c["name"] == "checked_vehicles")
    rollup["columns"].append({**like, "name": "more_vehicles"})
    path.write_text(json.dumps(rollup, ensure_ascii=False), encoding="utf-8")


def start_setup(system):
    return system.start("fx-setup", "--partitions", system.partitions)


def views(system):
    return {
        row["name"]: row["text"]
        for row in system.rows(
            "SELECT c.relname AS name, pg_get_viewdef(c.oid) || obj_description(c.oid, 'pg_class')"
            " AS text FROM pg_class c WHERE c.relkind = 'v' AND c.relnamespace = %s::regnamespace",
            system.schema,
        )
    }


def test_a_place_is_added_while_all_views_are_held(system, reader):
    for name in views(system):
        reader.execute(f"SELECT FROM {name} LIMIT 0")
    system.add_town("441521999")
    system.setup("--check", code=None)
    assert system.value("SELECT count(*) FROM {s}.region WHERE code = '441521999'") == 1


@pytest.mark.parametrize("change", [change_view, add_column])
def test_a_change_waits_for_the_reader_and_not_the_reader_for_it(system, reader, change):
    """It asks for what a reader takes first before it holds what the reader takes next."""
    reader.execute(f"SELECT FROM {TOP} LIMIT 0")
    change(system)
    setup = start_setup(system)
    wait_until(lambda: system.value(WAITS_OF_SETUP, system.schema), 20, "it waits for a view")
    for name in BENEATH:
        reader.execute(f"SELECT count(*) FROM {name}")
    wait_until(lambda: "ev=again" in setup.result().err, 20, "it gives way")
    reader.execute(f"SELECT count(*) FROM {TOP}")
    reader.commit()
    assert setup.wait() == 0, setup.result()
    assert not system.differences()


def test_readers_at_work_are_not_thrown_out(system):
    """Each of a few reads one view after another, as a dashboard does."""
    names, errors, is_over = sorted(views(system)), [], threading.Event()

    def read(first):
        with psycopg.connect(autocommit=True) as db:
            db.execute(f"SET search_path = {system.schema}")
            number = first
            while not is_over.is_set():
                try:
                    db.execute(f"SELECT count(*) FROM {names[number % len(names)]}")
                except psycopg.Error as error:
                    errors.append(str(error))
                number += 7

    readers = [threading.Thread(target=read, args=(20 * i,)) for i in range(3)]
    for one in readers:
        one.start()
    try:
        for i in range(3):
            change_view(system, f"-- text {i}\n")
            system.setup()
            system.setup()
    finally:
        is_over.set()
        for one in readers:
            one.join()
    assert not errors


@pytest.mark.parametrize(
    "change",
    [
        "DROP VIEW {s}.accepted_loss",
        "COMMENT ON VIEW {s}.run_chain IS 'mine'",
        "CREATE OR REPLACE VIEW {s}.accepted_loss AS SELECT t.topic, t.partition, t.first_offset,"
        " t.last_offset, t.is_counted, t.reason, t.accepted_at, true AS is_applied"
        " FROM {s}.accepted_loss_kept t",
    ],
)
def test_what_was_changed_by_hand_is_made_again(system, change):
    before = views(system)
    system.db.execute(
        f"CREATE TABLE {system.schema}.accepted_loss_kept AS TABLE {system.schema}.accepted_loss"
    )
    system.db.execute(change.format(s=system.schema))
    assert views(system) != before
    assert system.differences()
    system.setup()
    assert views(system) == before
