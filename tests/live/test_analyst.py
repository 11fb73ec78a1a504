# SPDX-License-Identifier: Apache-2.0
"""Views of stocks and their proof: a stock needs every number of every day before; and files of
views that are about rollups which a system does not have."""

import csv
import shutil
from datetime import datetime, timedelta, timezone

import pytest
from lib.city import at, caught_up, today
from lib.post import HAICHENG, HAIFENG, Post
from lib.system import SCHEMAS, System, now_ms

PLACE = "QP-441521115-009"
VIEWS = ["quarantine_stock", "quarantine_census"]


@pytest.fixture(scope="module")
def system():
    """One place of quarantine: it told of yesterday's every hour, and misses number 2 of the day
    before."""
    system = System("analyst", partitions=2)
    try:
        path = system.dir / "sources.csv"
        with open(path, "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["source", "kind", "name", "region", "valid_from", "valid_to"])
            rows.writerow([PLACE, "quarantine", "九号隔离点", HAICHENG, "2022-01-01", ""])
        system.setup("--sources", path)
        yield system
    finally:
        system.close()


@pytest.fixture(scope="module")
def place(system):
    post = Post(system, "quarantine", source=PLACE)
    before, yesterday = today() - timedelta(days=2), today() - timedelta(days=1)
    post.send(1, occurred_at=at(before, 10), persons=7)
    post.send(3, occurred_at=at(before, 11), persons=1, step="RELEASED")
    status = {"step": "STATUS", "persons": 0}
    for hour in range(24):
        post.send(4 + hour, occurred_at=at(yesterday, hour), **status, reported_persons=6 + hour)
    count(post)
    return post


def count(post):
    post.count()
    caught_up(post.system, datetime.now(timezone.utc))


def midnight():
    return datetime.fromtimestamp(at(today(), 0) / 1000, timezone.utc)


def stock(system, region):
    query = "SELECT * FROM {s}.quarantine_stock_at(%s) WHERE region = %s"
    return system.rows(query, midnight(), region)[0]


def census(system, key, region):
    query = "SELECT * FROM {s}.quarantine_census_at(%s) WHERE level = %s AND region = %s"
    query += " AND place = 'ALL' AND tier = 'ALL'"
    return system.rows(query, midnight(), key, region)[0]


def test_a_stock_needs_every_number_of_every_day_before(system, place):
    day = system.rows(
        "SELECT * FROM {s}.quarantine_levels WHERE day = %s AND region = %s",
        today() - timedelta(days=1),
        HAICHENG,
    )[0]
    assert (day["missing_events"], day["complete"]) == (0, True), "of yesterday nothing is missing"
    for found in (stock(system, HAICHENG), census(system, "source", HAICHENG)):
        assert (found["sources_expected"], found["missing_events"]) == (1, 1)
        assert found["complete"] is False, "admissions of the day before may be missing"
        assert (found["census_persons"], found["headcount_persons"]) == (6, 29)
    place.send(2, occurred_at=at(today() - timedelta(days=2), 10, 30), persons=23)
    count(place)
    for found in (stock(system, HAIFENG), census(system, "county", HAIFENG)):
        assert (found["missing_events"], found["complete"]) == (0, True)
        assert found["census_persons"] == found["headcount_persons"] == 29


def test_census_beside_headcount(system, place):
    found = census(system, "source", HAICHENG)
    assert found["source"] == PLACE and found["name"] == "九号隔离点"
    assert found["difference_persons"] == found["census_persons"] - found["headcount_persons"]
    assert found["headcount_oldest"].timestamp() * 1000 == at(today() - timedelta(days=1), 23)


def test_as_far_as_counted_takes_in_the_hour_that_is_not_over(system, place):
    """What was just counted is in the views; the functions take only hours that are over."""
    before = {view: persons_of(system, view) for view in VIEWS}
    occurred_at = now_ms()
    place.send(28, occurred_at=occurred_at, persons=3)
    count(place)
    for view, persons in before.items():
        assert persons_of(system, view) == persons + 3, view
        within = f"{view}_at(to_timestamp({occurred_at / 1000}))"
        assert persons_of(system, within) == persons, within


def persons_of(system, relation):
    query = f"SELECT census_persons FROM {{s}}.{relation} WHERE region = %s"
    if "census" in relation:
        query += " AND source IS NULL AND place = 'ALL' AND tier = 'ALL'"
    return system.value(query, HAIFENG)


def test_files_of_views_that_need_other_rollups_are_passed_over(tmp_path):
    schemas = tmp_path / "schemas"
    shutil.copytree(SCHEMAS, schemas, ignore=shutil.ignore_patterns("*.c", "*.h", "contact"))
    system = System("needs", schemas=schemas, partitions=1)
    try:
        there = "SELECT to_regclass('{s}.' || %s) IS NOT NULL"
        there = there.replace("{s}", system.schema)
        assert system.value(there, "quarantine_census")
        assert not system.value(there, "contact_funnel")
        shutil.copytree(SCHEMAS / "contact", schemas / "contact")
        system.setup()
        assert system.value(there, "contact_funnel")
        assert system.differences() == []
    finally:
        system.close()
