# SPDX-License-Identifier: Apache-2.0
"""The views of all rollups say the same of the reference day: parts add up to their node, counties
of the statistics to the city, hours to a day; and a stock is the sum of all that came before."""

import datetime
from collections import Counter, defaultdict

import load
import pytest

NOON, MIDNIGHT = "2022-02-10 12:00+08", "2022-02-11 00:00+08"
WITHIN = "2022-02-10 12:47+08"  # an hour that is not over


@pytest.fixture(scope="module")
def rollups(city):
    """{rollup by region: names of its summed columns}."""
    found = defaultdict(list)
    for row in city.rows(
        "SELECT d.rollup, c.name FROM {s}.rollup_definition d"
        " JOIN {s}.rollup_column c USING (rollup) WHERE d.counted_by LIKE '%region'"
        " AND c.aggregate IN ('count', 'sum') ORDER BY c.position"
    ):
        found[row["rollup"]].append(row["name"])
    assert len(found) >= 8
    return found


def sums(rows, key, columns):
    """{key: Counter of the columns}, zeros left out, so that 0 and nothing are the same."""
    found = defaultdict(Counter)
    for row in rows:
        found[row[key]].update({name: row[name] or 0 for name in columns})
    return {k: {n: v for n, v in c.items() if v} for k, c in found.items()}


def test_parts_add_up_to_their_node(city, rollups):
    compared = 0
    for rollup, columns in rollups.items():
        parts = city.rows(f"SELECT * FROM {{s}}.{rollup}_parts WHERE day = %s", load.DATE)
        nodes = city.rows(f"SELECT * FROM {{s}}.{rollup}_levels WHERE day = %s", load.DATE)
        whole = {row["whole"] for row in parts if row["is_direct"]}
        assert "441500" in whole, rollup
        added = sums([row for row in parts if row["whole"] in whole], "whole", columns)
        told = sums([row for row in nodes if row["region"] in whole], "region", columns)
        assert added == told, rollup
        compared += sum(len(node) for node in told.values())
    assert compared > 100


def test_an_own_part_is_what_was_told_at_the_node_itself(city):
    rows = city.rows("SELECT * FROM {s}.duty_unit_direct WHERE day = %s", load.DATE)
    posted = {row["region"]: row["posted_persons"] for row in rows}
    assert posted["441500"] == 118
    assert posted["441521"] == 179, "its towns sent nobody"


def test_counties_of_the_statistics_add_up_to_the_city(city, rollups):
    for rollup, columns in rollups.items():
        counties = city.rows(f"SELECT * FROM {{s}}.{rollup}_statistical WHERE day = %s", load.DATE)
        roots = city.rows(f"SELECT * FROM {{s}}.{rollup}_city_daily WHERE day = %s", load.DATE)
        for row in counties + roots:
            row["all"] = "all"
        assert sums(counties, "all", columns) == sums(roots, "all", columns), rollup
        named = {row["region"]: row["units"] for row in counties if row["units"]}
        assert set(named) == {"441502", "441521", "441523", "441581"}, rollup
        assert set(named["441581"].split("、")) == {"陆丰市", "华侨管理区"}


def same(rows):
    return sorted(tuple(sorted((k, str(v)) for k, v in row.items())) for row in rows)


@pytest.mark.parametrize("detail", ["", "_detail"])
def test_as_of_midnight_is_the_whole_day(city, rollups, detail):
    for rollup in rollups:
        as_of = city.rows(f"SELECT * FROM {{s}}.{rollup}_as_of{detail}(%s)", MIDNIGHT)
        day = city.rows(f"SELECT * FROM {{s}}.{rollup}_levels{detail} WHERE day = %s", load.DATE)
        assert same(as_of) == same(day) and day, rollup


def test_as_of_noon_is_the_sum_of_the_hours_before(city, rollups):
    """A time within an hour is as of the hour before it."""
    for rollup, columns in rollups.items():
        early = city.rows(f"SELECT * FROM {{s}}.{rollup}_as_of(%s) WHERE level = 'county'", NOON)
        later = city.rows(f"SELECT * FROM {{s}}.{rollup}_as_of(%s) WHERE level = 'county'", WITHIN)
        assert same(early) == same(later), rollup
        hours = city.rows(
            f"SELECT * FROM {{s}}.{rollup}_county_hourly WHERE hour >= '2022-02-10 00:00+08'"
            " AND hour < %s",
            NOON,
        )
        told, added = sums(early, "region", columns), sums(hours, "region", columns)
        assert told == {region: added.get(region, {}) for region in told}, rollup


def test_a_stock_is_the_sum_of_all_before(city):
    for rollup, stock, sql in (
        ("contact", "active_persons", "listed_persons - closed_persons - became_case_persons"
         " - handed_off_persons"),
        ("test_site", "pending_tubes", "sealed_tubes - rejected_tubes - resulted_tubes"),
        ("duty", "on_duty_persons", "sign_on_persons - sign_off_persons"),
    ):
        for told_at, at in ((NOON, NOON), (WITHIN, NOON), (MIDNIGHT, MIDNIGHT)):
            stocks = city.rows(f"SELECT * FROM {{s}}.{rollup}_stock_at(%s)", told_at)
            sums_before = city.rows(
                f"SELECT region, sum({sql})::bigint AS n FROM (SELECT * FROM {{s}}.{rollup}_town"
                f" UNION ALL SELECT * FROM {{s}}.{rollup}_county UNION ALL SELECT *"
                f" FROM {{s}}.{rollup}_city) t WHERE bucket_start < %s GROUP BY region",
                at,
            )
            told = {row["region"]: row[stock] for row in stocks}
            assert told == {row["region"]: row["n"] for row in sums_before} and told, rollup


AT = ["quarantine_census", "quarantine_rooms", "contact_funnel", "quarantine_stock",
      "quarantine_place_stock", "contact_stock", "test_site_stock", "duty_stock", "duty_unit_stock"]


@pytest.mark.parametrize("function", AT)
def test_a_stock_within_an_hour_is_that_of_the_hours_before(city, function):
    """Figures and completeness, in an hour that changes them: rooms are told of from 22:00 on."""
    hour = 22 if function in ("quarantine_rooms", "quarantine_place_stock") else 12
    starts, within, ends = (
        same(city.rows(f"SELECT * FROM {{s}}.{function}_at(%s)", f"2022-02-10 {at}+08"))
        for at in (f"{hour}:00", f"{hour}:47", f"{hour + 1}:00")
    )
    assert starts and within == starts != ends


def test_census_and_headcount_add_up_over_places_tiers_and_levels(city):
    rows = city.rows("SELECT * FROM {s}.quarantine_census_at(%s)", MIDNIGHT)
    total = {
        (row["level"], row["region"] if row["source"] is None else row["source"]): row
        for row in rows
        if row["place"] == "ALL" and row["tier"] == "ALL"
    }
    for name in ("census_persons", "headcount_persons"):
        places = sum(row[name] for key, row in total.items() if key[0] == "source")
        assert total["city", "441500"][name] == places
        for (level, code), row in total.items():
            parts = [
                r[name] or 0
                for r in rows
                if (r["level"], r["source"] or r["region"]) == (level, code)
                and "ALL" not in (r["place"], r["tier"])
            ]
            assert sum(parts) == row[name], (level, code, name)
    stock = city.rows("SELECT * FROM {s}.quarantine_stock_at(%s) WHERE region = '441500'", MIDNIGHT)
    assert stock[0]["census_persons"] == total["city", "441500"]["census_persons"]
    assert stock[0]["headcount_persons"] == total["city", "441500"]["headcount_persons"]


def test_views_of_stocks_are_the_functions_as_far_as_counted(city):
    """At the end of the hour that is being counted. Nobody is expected any more as of now, so that
    there are no rooms."""
    for view in ("quarantine_census", "quarantine_rooms", "contact_funnel", "quarantine_stock"):
        with city.snapshot():
            kind = view.split("_")[0]
            judged_at = city.value("SELECT judged_at FROM {s}.kind_clock WHERE kind = %s", kind)
            at = judged_at.replace(minute=0, second=0, microsecond=0) + datetime.timedelta(hours=1)
            rows = city.rows(f"SELECT * FROM {{s}}.{view}")
            assert same(rows) == same(city.rows(f"SELECT * FROM {{s}}.{view}_at(%s)", at))
            assert rows or view == "quarantine_rooms"
