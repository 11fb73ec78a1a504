# SPDX-License-Identifier: Apache-2.0
"""fx-report --publish: what everybody may read, by which rule, when; and that it is all they may
read."""

import json
import re
import time
from datetime import date

import psycopg
import pytest
from lib.city import at
from lib.post import HAICHENG, HAIFENG, SHANWEI, Post
from lib.system import HOUR_MS, System, now_ms, wait_until
from psycopg import sql
from test_new_kind import copy_schemas

DAY = date(2022, 2, 10)
MEILONG = "441521101"  # a town of Haifeng's, too


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    folder = copy_schemas(tmp_path_factory.mktemp("publish"))
    system = System("publish", schemas=folder)
    system.db.prepare_threshold = None  # tables get columns while we look at them
    try:
        report(system)
        publish(system, at(DAY, 11))
        yield system
    finally:
        system.close()


def report(system):
    """27 and 3 person-times, 9 and 1 vehicles of two towns; 12 persons in quarantine, 6 rooms."""
    post, other = Post(system), Post(system, region=MEILONG)
    for seq in range(1, 10):
        post.send(seq, occurred_at=at(DAY, 10, 30), wait_s=120)
    other.send(1, occurred_at=at(DAY, 10, 30), passed=0, turned_back=3)
    place = Post(system, "quarantine")
    place.send(1, occurred_at=at(DAY, 9), persons=12, households=4)
    place.send(2, occurred_at=at(DAY, 10), step="STATUS", persons=0, reported_persons=6,
               rooms_total=40, rooms_in_use=6)
    site = Post(system, "test_site")
    site.send(1, occurred_at=at(DAY, 9), round="of somebody's own words")
    system.sent()
    system.count()


def publish(system, cut_off_ms=None, code=0, **kw):
    words = [] if cut_off_ms is None else ["--as-of", cut_off_ms]
    return system.run("fx-report", "--publish", *words, code=code, **kw)


def published(system, table, cut_off_ms, region, **where):
    """The one row of the table."""
    query = f"SELECT * FROM {system.schema}_published.{table} WHERE region = %s"
    query += f" AND cut_off = to_timestamp({cut_off_ms / 1000})"
    query += "".join(f" AND {name} = '{value}'" for name, value in where.items())
    (row,) = system.rows(query, region)
    return row


def everything(system, until_ms):
    """Every row of every table up to a cut-off, as text."""
    out = {}
    for table in tables(system):
        query = f"SELECT t::text AS row FROM {system.schema}_published.{table} t WHERE cut_off"
        query += f" <= to_timestamp({until_ms / 1000}) ORDER BY 1"
        out[table] = [row["row"] for row in system.rows(query)]
    return out


def tables(system):
    query = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = %s::regnamespace"
    return sorted(r["relname"] for r in system.rows(query, f"{system.schema}_published"))


# ---- the rule ----


def test_the_rule_is_that_of_the_manual(system):
    """Against the rule in other words, for every number of a range and below 0."""
    query = "SELECT {s}.publish_persons(%s, %s) AS persons, {s}.publish_things(%s, %s) AS things"
    for n in [-3, *range(60), 831, 2727, 10**9 + 3]:
        for is_fine in (False, True):
            (found,) = system.rows(query, n, is_fine, n, is_fine)
            nearest = min(range(n // 5 * 5, n + 10, 5), key=lambda r: abs(r - n))
            persons = nearest if n >= 8 else 0 if n == 0 and not is_fine else None
            assert found == {"persons": persons, "things": None if is_fine and n < 8 else n}


def test_a_total_is_of_exact_figures(system):
    """27 and 3 are 30 in the county, though 25 is all that is shown of its towns."""
    town, other, county, city = (
        published(system, "checkpoint", at(DAY, 11), region)
        for region in (HAICHENG, MEILONG, HAIFENG, SHANWEI)
    )
    figures = [row["checked_person_times"] for row in (town, other, county, city)]
    assert figures == [25, None, 30, 30]
    assert [row["checked_vehicles"] for row in (town, other, county, city)] == [9, None, 10, 10]
    assert (town["level"], county["level"], city["level"]) == ("town", "county", "city")
    assert town["day"] == DAY and town["sources_heard"] == 0, "nobody is registered"


def test_zeros_are_shown_in_the_city_alone(system):
    county, city = (
        published(system, "checkpoint", at(DAY, 11), region) for region in (HAIFENG, SHANWEI)
    )
    assert city["code_red_person_times"] == 0 and county["code_red_person_times"] is None
    assert city["turned_back_person_times"] is None, "3"
    assert "code_red_person_times" in county["withheld"]
    assert "turned_back_person_times" in city["withheld"]
    assert "code_red_person_times" not in city["withheld"]
    assert city["turned_back_vehicles"] == 1 and county["turned_back_vehicles"] is None
    nothing = published(system, "checkpoint", at(DAY, 11), "441523100")
    assert nothing["checked_person_times"] is None
    assert nothing["withheld"] == figures_of(nothing), "as where there are a few"


def figures_of(row):
    """Its columns but for the head and ratios."""
    found = [name for name in row if re.search(r"_(times|vehicles|groups|s|max)$", name)]
    return [name for name in found if name != "wait_mean_s"]


def test_ratios_come_from_published_figures(system):
    town, other, city = (
        published(system, "checkpoint", at(DAY, 11), region)
        for region in (HAICHENG, MEILONG, SHANWEI)
    )
    assert town["wait_mean_s"] == 120 and city["wait_mean_s"] == 120
    assert other["wait_mean_s"] is None, "nobody's wait was measured"
    assert city["turned_back_percent"] is None, "3 are withheld"


def test_stocks_and_rooms(system):
    city = published(system, "quarantine", at(DAY, 11), SHANWEI)
    assert (city["admitted_persons"], city["census_persons"]) == (10, 10), "12"
    assert city["headcount_persons"] is None and "headcount_persons" in city["withheld"]
    rooms, county = (
        published(system, "quarantine_place", at(DAY, 11), region) for region in (SHANWEI, HAIFENG)
    )
    assert (rooms["total_rooms"], rooms["used_rooms"]) == (40, None), "a room, a person"
    assert (county["total_rooms"], county["used_rooms"]) == (40, None)
    assert "used_rooms" in rooms["withheld"]


def test_dimensions_are_enums_of_city_and_counties(system):
    values = {"place": "CENTRAL", "tier": "CLOSE"}
    one = published(system, "quarantine_detail", at(DAY, 11), HAIFENG, **values)
    assert one["admitted_persons"] == 10 and one["released_persons"] is None
    levels = system.rows(f"SELECT DISTINCT level FROM {system.schema}_published.quarantine_detail")
    assert {row["level"] for row in levels} == {"city", "county"}
    told = json.dumps(everything(system, now_ms()), ensure_ascii=False)
    assert "somebody" not in told and "temperature_decicelsius_max" not in told
    columns = published(system, "test_site_detail", at(DAY, 11), SHANWEI, scheme="MASS")
    assert "round" not in columns


def test_every_value_has_its_row_whatever_was_counted(system):
    """A row that comes when the first event does would tell its hour."""
    nodes = system.value("SELECT count(*) FROM {s}.region WHERE level IN ('city', 'county')")
    for table, count in (("quarantine_detail", 2 * 6), ("test_site_detail", 6), ("duty_detail", 0)):
        if not count:
            fields = json.loads((system.schemas / "duty/1.avsc").read_text())["fields"]
            count = len(next(f for f in fields if f["name"] == "role")["type"]["symbols"])
        found = system.value(f"SELECT count(*) FROM {system.schema}_published.{table}"
                             f" WHERE cut_off = to_timestamp({at(DAY, 11) / 1000})")
        assert found == nodes * count, table


def test_every_node_has_its_row_whatever_was_counted(system):
    """A row that is not there would be a zero that is shown."""
    places = system.value("SELECT count(*) FROM {s}.region")
    for table in tables(system):
        if table == "snapshot" or table.endswith("_detail"):
            continue
        found = system.value(f"SELECT count(*) FROM {system.schema}_published.{table}"
                             f" WHERE cut_off = to_timestamp({at(DAY, 11) / 1000})")
        assert found == places, table
    assert {"checkpoint", "contact", "duty_unit", "quarantine_place"} <= set(tables(system))


def test_everything_is_explained_in_both_languages(system):
    query = "SELECT c.relname, a.attname, coalesce(col_description(c.oid, a.attnum),"
    query += " obj_description(c.oid, 'pg_class')) AS doc FROM pg_class c LEFT JOIN pg_attribute a"
    query += " ON a.attrelid = c.oid AND a.attnum > 0 WHERE c.relkind = 'r'"
    query += " AND c.relnamespace = %s::regnamespace"
    rows = system.rows(query, f"{system.schema}_published")
    bilingual = re.compile(r"[a-z]{3}.*[一-鿿]|[一-鿿].*[a-z]{3}")
    bare = [row for row in rows if not bilingual.search(row["doc"] or "")]
    assert len(rows) > 200 and bare == []


# ---- when ----


def test_a_snapshot_never_changes(system):
    before = everything(system, at(DAY, 11))
    Post(system).send(1, occurred_at=at(DAY, 10, 15), persons=5, code_green=4, passed=5,
                      itinerary_unchecked=5)
    system.sent()
    system.count()
    again = publish(system, at(DAY, 11))
    assert "new=no" in again.err and everything(system, at(DAY, 11)) == before
    publish(system, at(DAY, 12))
    assert everything(system, at(DAY, 11)) == before
    assert published(system, "checkpoint", at(DAY, 12), SHANWEI)["checked_person_times"] == 35


@pytest.mark.parametrize(
    "cut_off_ms,why",
    [
        (at(DAY, 9), "snapshots go forward"),
        (at(DAY, 13, 30), "full hour"),
        (None, "is not over|yet to come"),
    ],
)
def test_a_cut_off_that_is_refused(system, cut_off_ms, why):
    """None: an hour that is not over yet when the test runs."""
    publish(system, at(DAY, 12))
    before = everything(system, now_ms())
    result = publish(system, cut_off_ms or now_ms() // HOUR_MS * HOUR_MS + 2 * HOUR_MS, code=2)
    assert re.search(why, result.err) and everything(system, now_ms()) == before


def test_only_the_live_schema_publishes(system):
    other = f"{system.schema}_next"
    system.setup("--record-schema", f"{system.schema}_record", schema=other)
    result = publish(system, at(DAY, 15), code=2, env={"FX_SCHEMA_NAME": other})
    assert "counted anew" in result.err
    assert system.value("SELECT to_regnamespace(%s)", f"{other}_published") is None


def test_two_publishers_make_one_snapshot(system):
    words = "fx-report", "--publish", "--as-of", at(DAY, 13)
    both = [system.start(*words) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    told = sorted(re.search(r"new=(\w+)", process.result().err)[1] for process in both)
    assert told == ["no", "yes"]


def test_fx_setup_leaves_it_as_it_is(system):
    before = everything(system, now_ms())
    system.setup()
    assert system.differences() == [] and everything(system, now_ms()) == before


def test_a_column_that_is_added_stands_at_the_end(system):
    path = system.schemas / "checkpoint/checkpoint.rollup.json"
    rollup = json.loads(path.read_text())
    rollup["columns"].append({"name": "truck_vehicles", "count": True, "doc": "trucks 货车(辆)",
                              "where": {"vehicle": "TRUCK"}})
    path.write_text(json.dumps(rollup, ensure_ascii=False))
    system.setup()
    publish(system, at(DAY, 14))
    old, new = (published(system, "checkpoint", at(DAY, h), SHANWEI) for h in (11, 14))
    assert list(new)[-1] == "truck_vehicles" and old["truck_vehicles"] is None
    assert "truck_vehicles" not in old["withheld"] + new["withheld"]
    assert new["truck_vehicles"] is None, "the rows of the day were there before the column"


@pytest.mark.parametrize("words", [("--region", SHANWEI), ("--lang", "both"), ("--format", "md"),
                                   ("--output", "/tmp")])
def test_what_means_nothing_to_a_snapshot_is_refused(system, words):
    result = system.run("fx-report", "--publish", "--as-of", at(DAY, 11), *words, code=2)
    assert "--publish prints nothing" in result.err


@pytest.fixture(scope="module")
def empty():
    """A system that has counted nothing."""
    system = System("publish_empty")
    system.db.prepare_threshold = None
    try:
        yield system
    finally:
        system.close()


def test_the_last_full_hour_is_the_default(empty):
    result = publish(empty)
    newest = empty.value(f"SELECT max(cut_off) FROM {empty.schema}_published.snapshot")
    assert now_ms() - newest.timestamp() * 1000 < 2 * HOUR_MS and "new=yes" in result.err


def test_a_dimension_that_is_gone_asks_for_another_name(empty):
    """As a rebuild leaves it that no longer counts by one: its key columns bear no NULL."""
    publish(empty)
    table = f"{empty.schema}_published.checkpoint_detail"
    empty.db.execute(
        f"ALTER TABLE {table} ADD COLUMN lane text NOT NULL DEFAULT '';"
        f" ALTER TABLE {table} DROP CONSTRAINT checkpoint_detail_pkey,"
        " ADD PRIMARY KEY (cut_off, region, post_type, lane)"
    )
    result = publish(empty, code=2)
    assert "by other dimensions, with lane: rename it" in result.err
    empty.db.execute(f"ALTER TABLE {table} RENAME TO checkpoint_by_lane")
    publish(empty)
    assert "checkpoint_detail" in tables(empty)


def waits_for_setup(system, program):
    query = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT"
    query += " l.granted AND l.locktype = 'advisory' AND a.application_name = %s"
    return system.value(query, program)


def test_fx_setup_waits_longer_for_its_like_than_for_another_lock(empty):
    with psycopg.connect() as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('fx-setup', 0))")
        process = empty.start("fx-setup", "--no-topics", "--check")
        wait_until(lambda: waits_for_setup(empty, "fx-setup"), 10, "fx-setup to wait")
        time.sleep(5.5)  # a session's lock_timeout is 5 s
        assert process.is_running(), process.result()
    assert process.wait() in (0, 1) and "ev=checked" in process.result().err


def test_a_snapshot_waits_for_fx_setup(empty):
    """And looks only then: here at a schema that became a rebuild meanwhile."""
    publish(empty)
    with psycopg.connect() as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('fx-setup', 0))")
        process = empty.start("fx-report", "--publish")
        wait_until(lambda: waits_for_setup(empty, "fx-report"), 10, "fx-report to wait")
        other.execute(f"UPDATE {empty.schema}.definition SET is_rebuild = true")
    assert process.wait() == 2 and "counted anew" in process.result().err
    empty.db.execute(f"UPDATE {empty.schema}.definition SET is_rebuild = false")
    publish(empty)


# ---- who ----


def test_the_public_reads_what_is_published_and_nothing_else(system):
    """Every schema, relation and function of the database, but PostgreSQL's own catalogs."""
    mine = f"{system.schema}_published"
    usable = system.rows("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_'"
                         " AND has_schema_privilege('fangxian_public', oid, 'USAGE')")
    names = {row["nspname"] for row in usable}
    assert mine in names and all(n == "public" or n.endswith("_published") for n in names)
    held = system.rows(
        "SELECT n.nspname, c.relname, p FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN unnest(%s::text[]) p"
        " WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND n.nspname !~ '^pg_|^information_'"
        " AND has_table_privilege('fangxian_public', c.oid, p)",
        ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"],
    )
    assert {(h["nspname"].endswith("_published"), h["p"]) for h in held} == {(True, "SELECT")}
    assert {h["relname"] for h in held if h["nspname"] == mine} == set(tables(system))
    routines = system.rows(
        "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid ="
        " p.pronamespace WHERE n.nspname !~ '^pg_|^information_'"
        " AND has_schema_privilege('fangxian_public', n.oid, 'USAGE')"
    )
    creatable = system.rows("SELECT nspname FROM pg_namespace WHERE"
                            " has_schema_privilege('fangxian_public', oid, 'CREATE')")
    members = system.rows("SELECT 1 FROM pg_auth_members WHERE member = 'fangxian_public'::regrole")
    assert routines == [] and creatable == [] and members == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM {s}.checkpoint_city",
        "SELECT * FROM {s}.checkpoint_city_daily",
        "SELECT * FROM {s}.region_status('checkpoint', 't', NULL, false, now(), now())",
        "SELECT {s}.publish_persons(3, false)",
        "SELECT * FROM {r}.source",
        "SELECT * FROM {r}.cutoff",
        "INSERT INTO {p}.snapshot (cut_off, day) VALUES (now(), now())",
        "UPDATE {p}.checkpoint SET checked_person_times = 0",
        "DELETE FROM {p}.snapshot",
        "TRUNCATE {p}.checkpoint",
        "CREATE TABLE {p}.mine (a int)",
        "CREATE TABLE public.mine (a int)",
        "SET ROLE fangxian_analyst",
    ],
)
def test_the_public_is_refused(system, statement):
    names = {"s": system.schema, "r": f"{system.schema}_record", "p": f"{system.schema}_published"}
    asked = sql.SQL(statement).format(**{k: sql.Identifier(v) for k, v in names.items()})
    with psycopg.connect(autocommit=True) as connection:
        login = f"{system.schema}_reader"
        connection.execute(f"CREATE ROLE {login} IN ROLE fangxian_public")
        try:
            connection.execute(f"GRANT {login} TO CURRENT_USER; SET ROLE {login}")
            connection.execute(f"SELECT * FROM {system.schema}_published.checkpoint").fetchall()
            if statement.startswith("SET ROLE"):
                # a session's own user decides what it may become, not its present role
                query = "SELECT pg_has_role('fangxian_analyst', 'MEMBER')"
                assert connection.execute(query).fetchone() == (False,)
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(asked)
        finally:
            connection.execute(f"RESET ROLE; DROP ROLE {login}")
